"""The cards of cross-encoders as an asset: of those that are there, and never of results of other models."""

import shutil

import pyarrow as pa
import pytest

from assets import cross_modal
from assets.common import Project
from eiclip.evaluation.comparisons import INTERVALS
from eiclip.settings.load import FASHIONGEN, load_settings
from eiclip.storage.cache import make_once
from eiclip.storage.catalogue import refresh_catalogue
from eiclip.storage.home import Paths
from tests.report.test_model_card import checkpoint

SMALL_CROSS = {"width": 16, "heads": 2, "layers": 1}


def put(folder, variant):
    """A checkpoint with a record, as if a training had made it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    make_once(folder, {"of": variant}, lambda: {"at": str(checkpoint(folder, variant, cross=SMALL_CROSS))})


@pytest.fixture
def project(tmp_path):
    settings = load_settings(home=tmp_path, datasets={"shop": FASHIONGEN}, pretrained="general")
    project = Project(settings, Paths(settings.home))
    for variant in ("fashionbert", "eiclip_rerank"):
        put(project.paths.checkpoint("shop", variant), variant)
    return project


def output(project):
    [step] = [one for one in cross_modal.steps(project, "shop", FASHIONGEN) if one.name == "shop__cross_modal_cards"]
    [found] = step.declared()
    return found


def test_each_that_is_there_has_its_card_and_it_is_reused(project):
    rows = {"dataset": "shop", "protocol": "full", "variant": "fashionbert", "measure": "r1", "direction": "i2t",
            "value": 50.0, "low": 40.0, "high": 60.0}  # fmt: skip
    project.paths.lake.write(pa.Table.from_pylist([rows], schema=INTERVALS), cross_modal.INTERVALS, "shop")
    refresh_catalogue(project.paths.lake)
    made = output(project).make_once(project)
    cards = {v: project.paths.checkpoint("shop", v) / "README.md" for v in ("fashionbert", "eiclip_rerank")}
    assert set(made.facts["cards"]) == {str(card.relative_to(project.paths.root)) for card in cards.values()}
    assert made.facts["row_14"].lstrip().startswith("# EI-CLIP, its first answers re-ranked (row 14)")
    for card in cards.values():
        text = card.read_text(encoding="utf-8")
        assert "from eiclip.evaluation.pair_scores import" in text
        assert "Nothing has been measured yet" in text, "figures without a record are of no known model"
    assert output(project).why_stale(project) is None
    shutil.rmtree(cards["fashionbert"].parent)
    assert "fashionbert" in output(project).why_stale(project)


def test_rows_of_table_1_have_their_cards_elsewhere(project):
    from assets.cards import steps

    [step] = steps(project, "shop", FASHIONGEN)
    [found] = step.declared()
    assert found.key == ("shop", "model_cards")
    assert not any("fashionbert" in str(one) for one in (*found.sources, *found.upstream(), *found.beside))
