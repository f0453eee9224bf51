"""What records and photos are made from: the raw files, the settings that say how to read them, each photo."""

import os

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

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


PRODUCTS = 30


class Shop:
    """A table of a user's own with a folder of photos, of which one cannot be decoded."""

    def __init__(self, folder, part_rows):
        self.folder, self.rows = folder, [[str(n), f"Hat {n}", f"{n}.jpg", "9.50"] for n in range(PRODUCTS)]
        (folder / "photos").mkdir()
        for number in range(PRODUCTS):
            self.photo(number, seed=number)
        (folder / "photos" / "7.jpg").write_bytes(b"no photo")
        self.write()
        columns = {"product_id": "sku", "title": "name", "photo": "photo", "price": "price"}
        self.dataset = DatasetSettings(
            kind="table", files=str(folder / "shop.csv"), images=str(folder / "photos"), columns=columns,
            entity_groups=(), part_rows=part_rows,
        )  # fmt: skip
        self.project = Project(
            load_settings(home=folder / "home", datasets={"shop": self.dataset}), Paths(folder / "home")
        )

    def photo(self, number, seed):
        pixels = np.random.default_rng(seed).integers(0, 255, (12, 10, 3), np.uint8)
        Image.fromarray(pixels).save(self.folder / "photos" / f"{number}.jpg")

    def write(self):
        lines = [",".join(row) for row in [["sku", "name", "photo", "price"], *self.rows]]
        (self.folder / "shop.csv").write_text("\n".join(lines) + "\n")

    def make(self):
        """Make records and photos; returns the rows of photos by their photo, and the counts of what was made."""
        _, records, photos, _ = raw.steps(self.project, "shop", self.dataset)
        records.declared()[0].make_once(self.project)
        parts = photos.plan({})
        made = [photos.part({}, part).make_once(self.project) for part in parts]
        photos.tidy({part: one.content for part, one in zip(parts, made, strict=True)})
        found = [
            row for file in self.project.paths.lake.files("photos", "shop") for row in pq.read_table(file).to_pylist()
        ]
        facts = [one.facts for one in made if not one.reused]
        return found, {name: sum(one[name] for one in facts) for name in ("examined", "taken_over")}


@pytest.fixture
def decoded(monkeypatch):
    """Photos that Pillow was asked to decode since this was last emptied."""
    seen, opened = [], Image.open
    monkeypatch.setattr(Image, "open", lambda *given, **options: seen.append(given) or opened(*given, **options))
    return seen


@pytest.mark.parametrize("part_rows", [20_000, 8])
def test_a_photo_that_has_not_changed_is_decoded_once(tmp_path, decoded, part_rows):
    shop = Shop(tmp_path, part_rows)

    def decodes():
        decoded.clear()
        found, counts = shop.make()
        assert len(found) == len(shop.rows)
        return found, len(decoded), counts

    first, number, counts = decodes()
    assert (number, counts) == (PRODUCTS, {"examined": PRODUCTS, "taken_over": 0})
    shop.rows[3][3] = "12.00"
    shop.write()
    assert decodes() == (first, 0, {"examined": 0, "taken_over": 0}), "a price is none of the photos' business"

    del shop.rows[2]
    shop.write()
    found, number, counts = decodes()
    at_bounds = 0 if part_rows > PRODUCTS else PRODUCTS // part_rows
    faults = sum(row["reason"] is not None for row in first)
    assert number == counts["examined"] <= at_bounds + faults, "what cannot be used may have been mended"
    assert counts["taken_over"] + number == PRODUCTS - 1
    assert [row["photo"] or row["reason"] for row in found] == [
        row["photo"] or row["reason"] for row in first if row["place"] != 2
    ]

    shop.photo(5, seed=99)
    found, number, _ = decodes()
    assert 1 <= number <= 1 + faults
    assert found[4]["photo_sha256"] != first[5]["photo_sha256"]

    os.utime(tmp_path / "photos" / "9.jpg", (1, 1))
    again, number, counts = decodes()
    assert again == found
    assert 1 <= number == counts["examined"] <= 1 + faults, "touched: decoded, and found to be the same"


def test_a_part_that_is_none_any_more_leaves_nothing(tmp_path):
    shop = Shop(tmp_path, part_rows=8)
    shop.make()
    folder = shop.project.paths.lake.path("photos", "shop").parent
    assert len({file.name.split(".")[0] for file in folder.iterdir()}) == 4
    del shop.rows[8:]
    shop.write()
    shop.make()
    assert {file.name.split(".")[0] for file in folder.iterdir()} == {"shop-csv-00000"}
