"""Which queries are shown, by which rank, and with which pictures."""

import io

import numpy as np
import pytest
from PIL import Image

from eiclip.report.gallery import TOP, _thumbnail, gallery, ranks
from eiclip.shards import Sample
from eiclip.storage.catalogue import connect


def test_texts_without_a_photo_have_no_rank_and_the_others_keep_theirs():
    draw = np.random.default_rng(0)
    text_QD, image_ND = (draw.normal(size=size).astype(np.float32) for size in ((30, 8), (70, 8)))
    owner_N = draw.integers(-1, 25, 70)
    asked = sorted(set(owner_N) - {-1})
    scores_QN = text_QD @ image_ND.T
    expected = [0] * 30
    for query in asked:
        right = owner_N == query
        expected[query] = 1 + int((scores_QN[query][~right] >= scores_QN[query][right].max()).sum())
    assert ranks(text_QD, image_ND, owner_N).tolist() == expected


def test_ties_count_against_the_model_and_there_may_be_no_photo_at_all():
    constant, photos = np.ones((2, 3), np.float32), np.ones((4, 3), np.float32)
    assert ranks(constant, photos, np.array([0, -1, -1, -1])).tolist() == [4, 0]
    assert ranks(constant, photos, np.full(4, -1)).tolist() == [0, 0]


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
