"""The worked example of docs/serving.md does what the page says."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eiclip.evaluation.embedding_tables import embeddings_table
from eiclip.model.sources import HUB
from eiclip.report.model_card import FILE as CARD
from eiclip.search.cli import command_line
from eiclip.shards import SPLITS, shard_paths
from eiclip.storage.cache import LOG_FILE
from eiclip.storage.catalogue import refresh_catalogue
from tests.search.conftest import small_home

PAGE = (Path(__file__).parents[1] / "docs" / "serving.md").read_text(encoding="utf-8")
TOWERS = (Path(__file__).parents[1] / "docs" / "towers.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def done(tmp_path_factory, shop):
    """What the page's Python leaves behind, run in a folder with a home and two photos."""
    folder = tmp_path_factory.mktemp("serving")
    pytest.importorskip("lancedb")
    home = small_home(folder / "data", shop, ("eiclip",), dataset="fashiongen")
    shards = [path for split in SPLITS for path in shard_paths(home.shards("fashiongen"), split)]
    embeddings = embeddings_table(shop.model(), "fashiongen", shards, excluded_group="season")
    home.lake.write(embeddings, "embeddings", "fashiongen", "eiclip")
    refresh_catalogue(home.lake)
    for name, size in (("shoe.jpg", (90, 60)), ("coat.png", (50, 80))):
        pixels = np.random.default_rng(size[0]).integers(0, 256, (6, 6, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC).save(folder / name)
    names = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("EICLIP_DEVICE", "cpu")
        for block in re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL):
            exec(compile(block, "serving.md", "exec"), names)
    names["files"] = [file.name for file in home.checkpoint("fashiongen", "eiclip").iterdir()]
    yield names
    names["catalogue"].close()


def test_embeddings_are_as_the_page_says(done):
    assert done["images"].shape == done["texts"].shape == (2, done["model"].width)
    assert done["similarities"].shape == (2, 2)
    assert done["images"].dtype == np.float32


def test_numpy_and_duckdb_find_the_same_products(done):
    assert len(done["vectors"]) == 6
    assert [row[0] for row in done["found"]] == done["nearest"].tolist()
    assert done["found"][0][1] == pytest.approx(float(done["vectors"][done["best"][0]] @ done["query"]), abs=1e-5)


def test_a_store_of_ones_own_finds_what_search_finds(done):
    views = done["catalogue"].sql("SELECT product_id, joint FROM product_views ORDER BY product_id").fetchnumpy()
    score_N = np.stack(views["joint"]) @ done["query"]
    order = np.argsort(-score_N)[:3]
    assert [row["product_id"] for row in done["near"]] == views["product_id"][order].tolist()
    assert [1 - row["_distance"] for row in done["near"]] == pytest.approx(score_N[order], abs=1e-5)


def test_the_commands_are_understood():
    lines = "".join(re.findall(r"^```bash\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)).splitlines()
    assert len(lines) == 3
    for line in lines:
        given = command_line()[0].parse_args(shlex.split(line)[1:])
        assert given.to == "parquet" or f"--to {given.to} " in line


def test_open_clip_alone_agrees_but_for_the_jpeg_and_the_entities(done):
    assert float(done["image"][0].numpy() @ done["images"][0]) > 0.99
    text = done["model"].encode_text("a leather sneaker")
    assert np.allclose(done["text"].numpy(), text, atol=1e-5)


def test_the_pages_name_every_file_of_a_folder_and_every_kind_of_weights(done):
    assert len(done["files"]) == 6
    for name in [*done["files"], LOG_FILE, CARD]:
        assert f"`{name}`" in PAGE, name
    assert all(f"`{suffix}`" in TOWERS for suffix in (".safetensors", ".pt", ".bin"))
    assert f"`{HUB}org/name`" in TOWERS
