"""The worked example of docs/own_catalogue.md does what the page says."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eiclip.readers.base import Listing, PhotoFacts, Rejected
from eiclip.readers.table.reader import TableReader
from eiclip.settings.load import load_settings
from tests import pages

PAGE = (pages.ROOT / "docs" / "own_catalogue.md").read_text(encoding="utf-8")


def blocks(language):
    return [block.text for block in pages.blocks("docs/own_catalogue.md", language)]


@pytest.fixture
def reader(tmp_path, monkeypatch):
    """The page's settings and table in a folder of their own, with every photo but the one said to be missing."""
    monkeypatch.chdir(tmp_path)
    Path("catalogue.csv").write_text(blocks("csv")[0], encoding="utf-8")
    Path("shop.toml").write_text("".join(blocks("toml")), encoding="utf-8")
    monkeypatch.setenv("EICLIP_SETTINGS", "shop.toml")
    for path in re.findall(r"\w+/[\w-]+\.(?:jpg|png|webp)", blocks("csv")[0]):
        if path not in blocks("text")[0]:
            photo = Path("photos") / path
            photo.parent.mkdir(parents=True, exist_ok=True)
            pixels = np.random.default_rng(len(path)).integers(0, 255, (16, 16, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(photo)
    shop = load_settings().datasets["shop"]
    assert shop.kind == "table"
    return TableReader([Path(shop.files)], shop.columns, Path(shop.images), shop.entity_groups)


def test_the_example_gives_the_listings_and_the_quarantine_that_the_page_shows(reader):
    rows = list(reader.rows())
    listings = [row for row in rows if isinstance(row, Listing)]
    found = list(reader.examine([listing.photo for listing in listings]))
    bad = {row.place: row.reason for row in rows if isinstance(row, Rejected)}
    bad |= {
        row.place: str(facts) for row, facts in zip(listings, found, strict=True) if not isinstance(facts, PhotoFacts)
    }
    assert [f"row {place}: {bad[place]}" for place in sorted(bad)] == blocks("text")[0].splitlines()
    good = [listing for listing in listings if listing.place not in bad]
    counts = re.search(r"(\d+) listings of (\d+)\s+products", PAGE).groups()
    assert (str(len(good)), str(len({listing.product_id for listing in good}))) == counts
    assert len(rows) == reader.rows_in() == 12


def test_the_example_is_cleaned_as_the_page_says(reader):
    listings = {row.photo: row for row in reader.rows() if isinstance(row, Listing)}
    dress = listings["women/dr-1001-back.jpg"]
    assert dress.description == "Wrap dress. Midi dress in silk & cotton"
    assert dress.entities == {"brand": ["étoile bleue"], "season": ["spring"]}
    assert dress.entities == listings["women/dr-1001-front.jpg"].entities
    assert listings["women/dr-1002.jpg"].entities["brand"] == dress.entities["brand"]
    assert listings["boots/bt-0449.webp"].entities == {"brand": ["marchand"], "season": ["n/a"]}, (
        "relations leave it out"
    )
    assert (listings["scarves/sc-2032.png"].price, listings["scarves/sc-2032.png"].entities) == (
        1020,
        {"season": ["spring"]},
    )


def test_the_page_names_every_setting_of_columns_and_download(reader):
    shop = load_settings().datasets["shop"]
    for name in type(shop.columns).model_fields:
        assert f"`{name}`" in PAGE, name
    assert set(type(shop.download).model_fields) == set(re.findall(r"^(\w+) = ", blocks("toml")[2], re.MULTILINE))
