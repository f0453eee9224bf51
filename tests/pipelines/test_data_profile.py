"""The data profile as an asset: what it depends on, what it writes, and that nothing is made twice."""

import dagster as dg
import duckdb
import pyarrow as pa
import pytest

from assets import profile
from assets.common import Project
from eiclip.settings.load import load_settings
from eiclip.storage.cache import make_once
from eiclip.storage.catalogue import CATALOGUE
from eiclip.storage.home import Paths
from pipelines.factory import build

TABLES = {
    "splits",
    "entities",
    "confounded",
    "descriptions",
    "token_histogram",
    "photos",
    "placeholders",
    "prices",
    "quarantine",
    "tokens",
}


@pytest.fixture
def project(tmp_path, monkeypatch):
    for name in ("EICLIP_FASHIONGEN_DIR", "EICLIP_AMAZON_META", "EICLIP_AMAZON_IMAGES", "EICLIP_PRETRAINED"):
        monkeypatch.delenv(name, raising=False)
    return Project(load_settings(home=tmp_path), Paths(tmp_path))


def fill(project, name, group):
    """The tables that a profile is made of: four products, of which one is tagged; nothing in quarantine."""
    products = [{"product_id": f"p{n}", "split": "train" if n else "validation", "description": f"Silk coat {n}."}
                for n in range(4)]  # fmt: skip
    entity = {"entity_group": group, "entity": "100% silk", "entity_id": 0}
    prior = {"entity": "100% silk", "entity_group": group, "tagged_count": 1, "untagged_mentions": 2, "prior": 1.0}
    record = {"source": "shop.csv", "title": "Coat", "price": 9.5, "price_unread": None, "entities": [], "reason": None}
    record["description_raw"] = "Coat"
    tables = {
        "records": [record | {"product_id": f"p{n}", "place": n} for n in range(4)],
        "products": products,
        "images": [{"image_id": "p1_0", "product_id": "p1", "split": "train", "photo_width": 60, "photo_height": 80}],
        "tagged_entities": [{"product_id": "p1", "split": "train"} | entity],
        "product_entities": [{"product_id": "p1", "split": "train"} | entity],
        "entity_spellings": [entity | {"spelling": "100% silk", "rows": 1}],
        "entity_vocabulary": [{"entity_group": group, "entity_id": 0, "entity": "<unk>", "product_count": 1}],
        "semantic_prior": [prior],
        "quarantine": [],
    }
    for table, rows in tables.items():
        nothing = pa.schema([(column, pa.string()) for column in ("dataset", "source", "product_id", "reason")])
        arrow = pa.Table.from_pylist([{"dataset": name} | row for row in rows], schema=None if rows else nothing)

        def write(table=table, arrow=arrow):
            project.paths.lake.write(arrow, table, name)
            return {}

        make_once(project.paths.lake.path(table, name), {"rows": arrow.to_pylist()}, write)


def profile_assets(project, name):
    """The asset `data_profile` of a dataset, and what it waits for here: the compositions, where there are any."""
    *others, asset = [build(project, step) for step in profile.steps(project, name, project.datasets()[name])]
    return asset, *others


def profiled(project, asset, *others):
    key = asset.key
    with dg.DagsterInstance.ephemeral() as instance:
        done = dg.materialize([*others, asset], instance=instance)
        [event] = [e for e in done.get_asset_materialization_events() if e.asset_key == key]
    return event.materialization.metadata


def test_fashiongens_profile_waits_for_its_compositions_and_amazons_does_not(project):
    upstream = {key.path[-1] for key in profile_assets(project, "fashiongen")[0].asset_deps[
        dg.AssetKey(["fashiongen", "data_profile"])]}  # fmt: skip
    assert upstream == {"products", "images", "product_entities", "entity_vocabulary", "semantic_prior", "quarantine",
                        "records", "entity_spellings", "compositions"}  # fmt: skip
    spec = profile_assets(project, "amazon")[0].get_asset_spec()
    assert dg.AssetKey(["amazon", "compositions"]) not in {dep.asset_key for dep in spec.deps}
    assert spec.group_name == "amazon/profile"
    assert spec.owners == ["team:eiclip"]
    assert "profile_entities`: one row per entity group" in spec.description


def test_a_profile_is_made_once_and_lies_in_the_catalogue(project):
    fill(project, "fashiongen", "composition")
    asset, fibres = profile_assets(project, "fashiongen")
    metadata = profiled(project, asset, fibres)
    assert metadata["reused"].value is False
    for shown in ("table_descriptions", "table_entities", "table_compositions", "table_prices"):
        assert "\n| " in metadata[shown].value
    for plot in ("entity_plot", "confounded_plot", "token_plot", "photo_plot"):
        assert "data:image/png" in metadata[plot].value
    assert not {"quarantine_plot", "table_quarantine"} & set(metadata), "nothing was set aside"
    with duckdb.connect(str(project.paths.root / CATALOGUE), read_only=True) as connection:
        views = {row[0] for row in connection.execute("SHOW TABLES").fetchall()}
        assert {f"profile_{table}" for table in (*TABLES, "compositions")} <= views
        paper = connection.execute("SELECT paper_entities FROM profile_entities").fetchall()
        joined = connection.execute(
            "FROM compositions JOIN tagged_entities ON entity = composition SELECT fibre, share"
        )
        assert joined.fetchall() == [("silk", 100.0)]
    assert paper == [(16_844,)]
    assert profiled(project, asset, fibres)["reused"].value is True


def test_a_dataset_without_compositions_has_a_profile_too(project):
    fill(project, "amazon", "brand")
    metadata = profiled(project, *profile_assets(project, "amazon"))
    assert "184" in metadata["table_entities"].value
    assert "table_compositions" not in metadata
