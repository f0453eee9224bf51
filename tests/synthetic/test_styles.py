"""The synthetic catalogue of styles: equal for equal seeds, read as a table, true styles that nothing reveals."""

import io
from collections import Counter, defaultdict
from itertools import combinations, pairwise

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from eiclip.errors import SettingsError
from eiclip.readers.base import Listing, Rejected
from eiclip.readers.photo_files import UnusablePhotoError
from eiclip.readers.table.reader import TableReader
from eiclip.settings.load import ColumnSettings
from eiclip.synthetic import styles, write_styles
from eiclip.synthetic.draws import generator
from eiclip.synthetic.garments import KINDS
from eiclip.synthetic.listings import (
    LISTINGS_OF_A_STYLE,
    RECOLOURED,
    STYLE_HOUSE,
    TWO_PHOTOS,
    draw_listings,
    listing_photo,
    listing_texts,
)
from eiclip.synthetic.palette import GARMENT_COLOURS
from eiclip.synthetic.products import dirty_places
from eiclip.synthetic.texts import mentions

SEED = 3
COLUMNS = ColumnSettings(
    product_id="sku", title="name", description=("description",), photo="photo", category="category",
    subcategory="subcategory", gender="gender", price="price", style="style",
    entities={"brand": "brand", "season": "season", "composition": "composition", "colour": "colour"},
)  # fmt: skip
GROUPS = ("brand", "subcategory", "season", "composition", "colour")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("styles")
    write_styles(folder, seed=SEED, styles=60)
    return folder


@pytest.fixture(scope="module")
def rows(folder):
    return pq.read_table(folder / "products.parquet").to_pylist()


@pytest.fixture(scope="module")
def listings():
    return draw_listings(SEED, 400)


@pytest.fixture(scope="module")
def by_style(listings):
    found = defaultdict(list)
    for listing in listings:
        found[listing.style].append(listing)
    return found


def design(listing):
    """All that makes a style, and nothing that a seller or a colourway changes."""
    look = listing.product.look
    seen = (look.kind, look.pattern, look.pattern_step, look.fibre, look.signature)
    details = (look.sleeve, look.collar, look.closure, look.pocket, look.panel)
    return (*seen, *details, listing.product.brand, listing.product.gender)


def test_equal_seeds_give_equal_bytes_and_others_do_not(tmp_path):
    for name, seed in (("one", 1), ("again", 1), ("other", 2)):
        write_styles(tmp_path / name, seed=seed, styles=4)
    for file in ("products.parquet", "clicks.parquet"):
        one, again, other = ((tmp_path / name / file).read_bytes() for name in ("one", "again", "other"))
        assert one == again
        assert one != other


def test_nothing_is_left_of_a_run_that_fails(tmp_path, monkeypatch):
    write_styles(tmp_path, seed=1, styles=2)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(styles, "jpeg", fail)
    with pytest.raises(OSError, match="disk full"):
        write_styles(tmp_path, seed=2, styles=2)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


@pytest.mark.parametrize(("seed", "count", "said"), [(1, 0, "styles is 0"), (-1, 3, "seed -1")])
def test_bad_arguments_are_named(tmp_path, seed, count, said):
    with pytest.raises(SettingsError, match=said):
        write_styles(tmp_path, seed=seed, styles=count)


def test_a_style_has_one_to_six_listings_of_different_sellers(listings, by_style):
    sizes = Counter(len(own) for own in by_style.values())
    assert set(sizes) == set(LISTINGS_OF_A_STYLE)
    assert len(listings) == pytest.approx(3 * len(by_style), rel=0.1)
    for own in by_style.values():
        assert len({listing.seller.name for listing in own}) == len(own)


def test_a_style_is_one_design_and_designs_differ(by_style):
    designs = [{design(listing) for listing in own} for own in by_style.values()]
    assert all(len(found) == 1 for found in designs)
    assert len(set.union(*designs)) == len(by_style)


def test_half_of_the_listings_are_in_another_colourway(by_style):
    pairs = [pair for own in by_style.values() for pair in combinations(own, 2)]
    alike = np.mean([one.product.colour == other.product.colour for one, other in pairs])
    assert alike == pytest.approx((1 - RECOLOURED) ** 2 + RECOLOURED**2 / 10, abs=0.06)
    tones = [(one.product.look.colour, other.product.look.colour) for one, other in pairs]
    assert all(one != other for one, other in tones), "no two photos are of one dye lot"


def test_look_wears_the_colours_that_are_named(listings):
    for listing in listings[:300]:
        named = np.array([GARMENT_COLOURS[listing.product.colour], GARMENT_COLOURS[listing.product.panel_colour]])
        worn = np.array([listing.product.look.colour, listing.product.look.panel_colour])
        assert np.abs(named - worn).max() < 50


@pytest.mark.parametrize("key", [None, lambda listing: listing.sku], ids=["rows", "skus"])
def test_no_order_gives_the_style_away(listings, key):
    ordered = sorted(listings, key=key) if key else listings
    sizes = Counter(listing.style for listing in listings)
    by_chance = sum(size * (size - 1) for size in sizes.values()) / len(listings)
    neighbours = sum(one.style == other.style for one, other in pairwise(ordered))
    assert abs(neighbours - by_chance) < 5 * by_chance**0.5
    assert abs(np.corrcoef(range(len(ordered)), [listing.style for listing in ordered])[0, 1]) < 0.1


def cell(listing, column):
    if column in ("seller", "price"):
        return listing.seller.name if column == "seller" else listing.product.price
    return getattr(listing.tagged, column)


@pytest.mark.parametrize("column", [*styles.TEXT_COLUMNS, "seller", "price"])
def test_no_value_is_a_styles_own(listings, column):
    """Of two listings with the same value few are of one style."""
    groups = defaultdict(list)
    for listing in listings:
        groups[cell(listing, column)].append(listing.style)
    pairs = sum(len(own) * (len(own) - 1) for own in groups.values())
    alike = sum(count * (count - 1) for own in groups.values() for count in Counter(own).values())
    assert pairs > 1000
    assert alike < 0.1 * pairs


def test_words_and_photos_are_each_listings_own(listings, rows):
    texts = {(listing.style, *listing_texts(SEED, listing)) for listing in listings}
    assert len(texts) > 0.97 * len(listings), "sellers of one style write differently"
    photos = [row["photo"] for row in rows if row["photo"]]
    assert len(set(photos)) == len(photos)


def test_texts_are_partial_and_name_no_brand(listings):
    collars = [listing for listing in listings if listing.product.look.collar == "turtleneck"]
    named = np.mean([mentions(listing_texts(SEED, listing)[1], "turtleneck") for listing in collars])
    assert 0.25 < named < 0.65
    for listing in listings:
        assert not mentions(" ".join(listing_texts(SEED, listing)), listing.product.brand)


def test_a_photo_from_behind_hides_what_the_front_shows(listings):
    chosen = next(k for k in listings if len(k.behind) == 2 and k.product.look.pocket and not k.behind[0])
    front, back = (np.asarray(listing_photo(SEED, chosen, photo)) for photo in (0, 1))
    marks = np.asarray(chosen.product.look.signature.colour)
    seen = [(np.abs(photo.astype(int) - marks).max(axis=2) < 40).sum() for photo in (front, back)]
    assert seen[0] > 150
    assert seen[1] < seen[0] / 4
    assert 0.15 < np.mean([listing.behind[0] for listing in listings]) < 0.4


def test_some_listings_have_two_photos_in_rows_that_follow_each_other(listings, rows):
    assert np.mean([len(listing.behind) == 2 for listing in listings]) == pytest.approx(TWO_PHOTOS, abs=0.02)
    skus = [row["sku"] for row in rows if row["sku"]]
    twice = {sku for sku, count in Counter(skus).items() if count == 2}
    assert twice
    assert {one for one, other in pairwise(skus) if one == other} == twice


def test_tags_are_missing_now_and_then(listings):
    for tag, least, most in (("brand", 0.1, 0.27), ("subcategory", 0.005, 0.06), ("composition", 0.03, 0.12)):
        assert least < np.mean([getattr(listing.tagged, tag) == "" for listing in listings]) < most
    assert {listing.product.brand for listing in listings} <= set(STYLE_HOUSE.brands)
    assert {listing.product.look.kind for listing in listings} == set(KINDS)


def test_every_dirt_is_there(rows):
    count = len({row["sku"] for row in rows if row["sku"]}) + 1
    found = dirty_places(generator(SEED, "dirt of styles"), styles.DIRT, 0.01, count, least=25)
    assert Counter(found.values()) == Counter(styles.DIRT)
    assert {row["sku"] is None for row in rows} == {True, False}
    assert len({row["style"] for row in rows if row["photo"] is None}) == 1
    assert len({row["style"] for row in rows if row["name"] is None and row["description"] == ""}) == 1
    assert len({row["sku"] for row in rows if row["name"] and "<b>" in row["name"]}) == 1
    assert len({row["sku"] for row in rows if row["photo"] and broken(row["photo"])}) == 1


def broken(content):
    try:
        Image.open(io.BytesIO(content)).load()
    except OSError:
        return True
    return False


def test_the_table_reader_reads_it(folder, rows):
    reader = TableReader([folder / "products.parquet"], COLUMNS, None, GROUPS)
    items = list(reader.rows())
    read = [item for item in items if isinstance(item, Listing)]
    reasons = Counter(item.reason for item in items if isinstance(item, Rejected))
    assert len(items) == reader.rows_in() == len(rows)
    assert set(reasons) == {"no id", "no title and no description"}
    assert {(item.product_id, item.style) for item in read} <= {(row["sku"], row["style"]) for row in rows}
    assert all(item.style and item.category and item.gender and item.price for item in read)
    assert {group for item in read for group in item.entities} == set(GROUPS)
    assert not any("<" in item.title + item.description for item in read)
    facts = list(reader.examine([item.photo for item in read]))
    bad = {item.product_id for item, fact in zip(read, facts, strict=True) if isinstance(fact, UnusablePhotoError)}
    assert len(bad) == 2, "the missing photo and the broken one"
    assert sum(not isinstance(fact, UnusablePhotoError) for fact in facts) > 0.95 * len(facts)
