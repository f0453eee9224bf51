"""What records are made from: the raw files, and the settings that say how to read them."""

from assets import raw
from assets.common import Project
from eiclip.settings.load import DatasetSettings, load_settings
from eiclip.storage.home import Paths


def made_from(tmp_path, content=b"sku,name,brand\n1,Hat,x\n", name="name", groups=("brand",)):
    """Inputs of the records of a table, but for the version of their code."""
    (tmp_path / "shop.csv").write_bytes(content)
    columns = {"product_id": "sku", "photo": "sku", "title": name, "entities": dict.fromkeys(groups, "brand")}
    dataset = DatasetSettings(
        kind="table", files=str(tmp_path / "shop.csv"), images=str(tmp_path), columns=columns, entity_groups=groups
    )
    project = Project(load_settings(home=tmp_path / "home", datasets={"shop": dataset}), Paths(tmp_path / "home"))
    [records] = next(step for step in raw.steps(project, "shop", dataset) if step.name == "shop__records").declared()
    return {name: value for name, value in records.made_from(project).items() if name != "code"}


def test_records_follow_files_columns_and_groups(tmp_path):
    before = made_from(tmp_path)
    stamp = before["sources"]["raw_files"]["shop.csv"]
    others = [
        made_from(tmp_path, content=b"sku,name,brand\n1,Hat,x\n2,Hat,x\n"),
        made_from(tmp_path, name="brand"),
        made_from(tmp_path, groups=("season",)),
    ]
    assert stamp[0] == 23
    assert others[0]["sources"] != before["sources"]
    assert others[0]["parameters"] == before["parameters"]
    assert len({str(one["parameters"]) for one in others}) == 3
