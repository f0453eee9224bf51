"""Real products, where they are at hand: from raw files to checked shards, through settings alone."""

import subprocess
import sys
from pathlib import Path

import dagster as dg
import pyarrow.parquet as pq
import pytest

from eiclip.settings.load import load_settings
from pipelines.definitions import build_definitions

TOOL = Path(__file__).parents[2].parent / "shared" / "tools" / "raw_from_pack.py"

pytestmark = pytest.mark.skipif(not TOOL.is_file(), reason="no real products beside the checkout")


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    raw = tmp_path_factory.mktemp("raw")
    for dataset in ("fashiongen", "amazon"):
        command = [sys.executable, str(TOOL), dataset, str(raw / dataset), "--limit", "150"]
        subprocess.run(command, check=True, capture_output=True)
    return load_settings(
        home=tmp_path_factory.mktemp("home"),
        fashiongen_dir=raw / "fashiongen",
        amazon_meta=raw / "amazon" / "meta_Tops.json.gz",
        amazon_images=raw / "amazon" / "images",
        pretrained="general",
    )


@pytest.mark.parametrize("name", ["fashiongen", "amazon"])
def test_ingestion_of_real_products(settings, name):
    definitions = build_definitions(settings)
    wanted = (
        [name, table] for table in ("shards", "candidate_lists", "semantic_prior", "product_entities", "data_profile")
    )
    selection = dg.AssetSelection.assets(*wanted).upstream().required_multi_asset_neighbors()
    assets = list(definitions.assets)
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(assets, selection=selection, instance=instance, resources=definitions.resources)
    assert result.success
    assert all(check.passed for check in result.get_asset_check_evaluations())
    lake = settings.home / "lake"
    products = pq.read_table(lake / "products" / f"folder={name}" / "data.parquet").to_pylist()
    # Real products have duplicates across the raw files' line.
    assert {row["split"] for row in products} - {"excluded"} == {"train", "validation", "test"}
    vocabulary = pq.read_table(lake / "entity_vocabulary" / f"folder={name}" / "data.parquet").to_pylist()
    assert sum(row["entity_group"] == "brand" for row in vocabulary) > 5
