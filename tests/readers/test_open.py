"""A table by the preset of the program that wrote it: its own headers, what is set beside it, and columns it lacks."""

import csv
import io
import json
import logging

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from eiclip.errors import RawDataError, SettingsError
from eiclip.readers.base import Listing
from eiclip.readers.open import open_reader
from eiclip.settings.load import load_settings
from eiclip.storage.home import Paths

SHOPIFY = (
    "Handle,Title,Body (HTML),Vendor,Product Category,Type,Tags,Published,Option1 Name,Option1 Value,Variant SKU,"
    "Variant Grams,Variant Inventory Qty,Variant Price,Image Src,Image Position,Google Shopping / Gender,Status"
)
SHOPIFY_2025 = (
    "Title,URL handle,Description,Vendor,Product category,Type,Tags,Published on online store,Status,SKU,Option1 name,"
    "Option1 value,Inventory quantity,Price,Compare-at price,Product image URL,Image position,Google Shopping / Gender"
)
WOOCOMMERCE = (
    "ID,Type,SKU,Name,Published,Is featured?,Visibility in catalog,Short description,Description,In stock?,Sale price,"
    "Regular price,Categories,Tags,Shipping class,Images,Parent,Position,Brands,Attribute 1 name"
)
GOOGLE = (
    "id\ttitle\tdescription\tlink\timage_link\tprice\tbrand\tgoogle_product_category\tproduct_type\tgender\tcolor\tsize\t"
    "availability"
)
ROWS = {
    SHOPIFY: {
        "Handle": "wrap-dress", "Title": "Wrap dress", "Body (HTML)": "<p>Midi, in <b>silk</b></p>", "Vendor": "Acme",
        "Product Category": "Clothing > Dresses", "Type": "Dresses", "Tags": "silk, new in", "Variant Price": "149.00",
        "Image Src": "1.jpg", "Google Shopping / Gender": "female", "Status": "active", "Variant Inventory Qty": "-2",
    },
    SHOPIFY_2025: {
        "URL handle": "wrap-dress", "Title": "Wrap dress", "Description": "Midi, in silk", "Vendor": "Acme",
        "Product category": "Clothing > Dresses", "Type": "Dresses", "Tags": "silk, new in", "Price": "149.00",
        "Product image URL": "1.jpg", "Google Shopping / Gender": "female", "Inventory quantity": "7",
    },
    WOOCOMMERCE: {
        "ID": "wrap-dress", "Name": "Wrap dress", "Short description": "Midi, in silk", "Regular price": "149",
        "Categories": "Dresses", "Tags": "silk, new in", "Images": "1.jpg", "Brands": "Acme", "Type": "simple",
        "In stock?": "1",
    },
    GOOGLE: {
        "id": "wrap-dress", "title": "Wrap dress", "description": "Midi, in silk", "image_link": "1.jpg",
        "price": "149.00", "brand": "Acme", "google_product_category": "Clothing > Dresses", "product_type": "Dresses",
        "gender": "female", "color": "red/black", "link": "https://shop.example/wrap-dress",
        "size": "M", "availability": "in_stock",
    },
}  # fmt: skip
PRESETS = {SHOPIFY: "shopify", SHOPIFY_2025: "shopify", WOOCOMMERCE: "woocommerce", GOOGLE: "google_merchant"}


def export(header, without=(), **changes):
    """The export of one product by its header's program, of which columns may be renamed or left out."""
    mark = "\t" if "\t" in header else ","
    names = [name for name in header.split(mark) if name not in without]
    text = io.StringIO()
    writer = csv.writer(text, delimiter=mark)
    writer.writerow([changes.get(name, name) for name in names])
    writer.writerow([ROWS[header].get(name, "") for name in names])
    return text.getvalue()


@pytest.fixture
def opened(tmp_path):
    """Return a function that writes a file, and opens it as a dataset of the settings says."""

    def call(content, **entry):
        (tmp_path / "export.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
        entry = {"kind": "table", "files": str(tmp_path / "export.csv"), "images": str(tmp_path)} | entry
        return open_reader(Paths(tmp_path), "shop", load_settings(datasets={"shop": entry}).datasets["shop"])

    return call


@pytest.mark.parametrize("header", PRESETS, ids=["shopify", "shopify 2025", "woocommerce", "google"])
def test_a_preset_names_the_columns_of_an_export(opened, header):
    group, members = ("colour", ["red", "black"]) if header == GOOGLE else ("tag", ["silk", "new in"])
    reader = opened(export(header), preset=PRESETS[header], entity_groups=["brand", group])
    is_woo, is_google = header == WOOCOMMERCE, header == GOOGLE
    [listing] = reader.rows()
    assert listing == Listing(
        source="export.csv", place=0, product_id="wrap-dress", photo="1.jpg", title="Wrap dress",
        description="Wrap dress. Midi, in silk", description_raw=listing.description_raw, price=149.0,
        category="" if is_woo else "Clothing > Dresses", subcategory="Dresses", gender="" if is_woo else "female",
        entities={"brand": ["acme"], group: members}, available=header != SHOPIFY,
        link="https://shop.example/wrap-dress" if is_google else None, attributes={"size": ["m"]} if is_google else {},
    )  # fmt: skip


@pytest.mark.parametrize("header", PRESETS, ids=["shopify", "shopify 2025", "woocommerce", "google"])
def test_columns_that_an_export_lacks_are_left_out_and_told(opened, header, caplog):
    texts = {"Body (HTML)", "Description", "Short description", "description"}
    dropped = {name for name in ROWS[header] if "rice" in name or "ategor" in name} | texts
    with caplog.at_level(logging.WARNING):
        [listing] = opened(export(header, without=dropped), preset=PRESETS[header]).rows()
    assert (listing.title, listing.description, listing.price) == ("Wrap dress", "Wrap dress", None)
    told = " ".join(caplog.messages)
    assert all(repr(name) in told for name in dropped & set(ROWS[header]))
    assert "export.csv: no column" in told


def test_what_is_needed_is_asked_for_by_name(opened):
    with pytest.raises(RawDataError, match=r"export\.csv: no column 'Brands'; it has 'ID'.*under the dataset's `col"):
        list(opened(export(WOOCOMMERCE, without=["Brands"]), preset="woocommerce").rows())
    with pytest.raises(RawDataError, match="no column 'Image Src'"):
        list(opened(export(SHOPIFY, without=["Image Src"]), preset="shopify").rows())
    [listing] = opened(export(WOOCOMMERCE, without=["Brands"]), preset="woocommerce", entity_groups=["tag"]).rows()
    assert listing.entities == {"tag": ["silk", "new in"]}


def test_what_is_set_beside_a_preset_wins(opened):
    content = export(SHOPIFY, Vendor="Brand", **{"Variant Price": "Preis", "Type": "Art"})
    columns = {"price": "Preis", "subcategory": "Art", "entities": {"brand": "Brand"}, "separators": {"brand": "m"}}
    [listing] = opened(content, preset="shopify", columns=columns).rows()
    assert (listing.price, listing.subcategory) == (149.0, "Dresses")
    assert listing.entities == {"brand": ["ac", "e"]}
    with pytest.raises(RawDataError, match="no column 'Preis'"):
        list(opened(export(SHOPIFY), preset="shopify", columns={"price": "Preis"}).rows())
    with pytest.raises(RawDataError, match="no column 'Variant Price'"):
        without = export(SHOPIFY, without=["Variant Price"])
        list(opened(without, preset="shopify", columns={"price": "Variant Price"}).rows())


@pytest.mark.parametrize("form", ["csv", "jsonl", "array", "parquet"])
def test_an_optional_column_may_be_absent_from_every_format(opened, caplog, form):
    row, stream = {"sku": "A", "name": "Hat", "photo": "a.jpg"}, io.BytesIO()
    pq.write_table(pa.Table.from_pylist([row]), stream)
    content = {
        "csv": "sku,name,photo\nA,Hat,a.jpg\n", "jsonl": json.dumps(row), "array": json.dumps([row]),
        "parquet": stream.getvalue(),
    }[form]  # fmt: skip
    columns = {"product_id": "sku", "title": "name", "price": "cost", "gender": "sex", "optional": ["cost", "sex"]}
    reader = opened(content, columns=columns, entity_groups=[])
    [listing] = reader.rows()
    assert (listing.product_id, listing.price, listing.gender, reader.rows_in()) == ("A", None, "", 1)
    assert "export.csv: no column 'sex', 'cost'; left out" in caplog.text.replace("'cost', 'sex'", "'sex', 'cost'")
    with pytest.raises(RawDataError, match="no column 'sex'"):
        list(opened(content, columns=columns, entity_groups=["gender"]).rows())


def test_a_preset_is_for_a_table_and_one_that_there_is():
    with pytest.raises(SettingsError, match="preset is for a table"):
        load_settings(datasets={"shop": {"kind": "amazon", "preset": "shopify"}})
    with pytest.raises(SettingsError, match="'shopify', 'woocommerce' or 'google_merchant'"):
        load_settings(datasets={"shop": {"kind": "table", "files": "x", "preset": "magento"}})
