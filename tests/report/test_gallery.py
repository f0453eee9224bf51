"""Which queries are shown, by which rank, and with which pictures."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from eiclip.lake import connect
from eiclip.report.gallery import TOP, _thumbnail, gallery, right_ranks
from eiclip.retrieval import full_ranks
from eiclip.shards import Sample


def test_ranks_are_those_of_the_evaluation():
    draw = np.random.default_rng(0)
    text_QD, image_ND = draw.normal(size=(30, 8)).round(1), draw.normal(size=(70, 8)).round(1)
    owner_N = np.concatenate([np.arange(30), draw.integers(0, 30, 40)])
    expected = full_ranks(*map(torch.from_numpy, (text_QD, image_ND, np.arange(30), owner_N)))
    assert right_ranks(text_QD, image_ND, owner_N).tolist() == expected.tolist()


def test_ties_count_against_the_model_and_no_photo_is_no_rank():
    constant = np.ones((2, 3))
    assert right_ranks(constant, np.ones((4, 3)), np.array([0, -1, -1, -1])).tolist() == [4, 0]


def test_rule_of_choice(whole_home):
    with connect(whole_home) as connection:
        shown = gallery(connection, whole_home, "fashiongen")
    assert shown.queries == 60
    assert len(shown.won) == min(6, shown.won_of) > 0
    assert len(shown.lost) == min(4, shown.lost_of) > 0
    gains = [query.strips[0].rank - query.strips[1].rank for query in shown.won]
    assert gains == sorted(gains, reverse=True)
    for query in shown.won:
        theirs, ours = query.strips
        assert ours.rank <= TOP < theirs.rank
        assert (theirs.row, ours.row) == (3, 5)
        assert [photo.right for photo in ours.photos].index(True) == ours.rank - 1
        assert not any(photo.right for photo in theirs.photos)
        assert all(photo.uri.startswith("data:image/jpeg;base64,") for photo in [*ours.photos, query.right])


def test_what_is_missing_is_said(fake):
    fake.results("toys")
    with connect(fake.refresh()) as connection:
        told = gallery(connection, fake.root, "toys")
    assert told == "Materialise the embeddings of clip_entities_text and eiclip."


def test_different_test_sets_are_not_compared(fake):
    fake.data("toys")
    samples = [Sample("p0-0", "p0", "a coat"), Sample("p1-0", "p1", "a shoe")]
    fake.embeddings("toys", "eiclip", samples, 0.1)
    with connect(fake.refresh()) as connection:
        assert "different test sets" in gallery(connection, fake.root, "toys")


@pytest.mark.parametrize(("side", "shown"), [(48, 48), (400, 128)])
def test_large_photos_are_made_smaller(photo, side, shown):
    import base64

    uri = _thumbnail(Sample("i", "p", "text", {}, photo(side)))
    content = base64.b64decode(uri.removeprefix("data:image/jpeg;base64,"))
    assert Image.open(io.BytesIO(content)).size == (shown, shown)


def test_an_unreadable_photo_is_left_out():
    assert _thumbnail(Sample("i", "p", "text", {}, b"no photo")) == ""
