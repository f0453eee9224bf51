"""Amazon's metadata and reviews as mirrors and people's own tools write them: each format says what the lines say."""

import csv
import dataclasses
import gzip
import io
import json

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from eiclip.errors import RawDataError
from eiclip.readers.amazon.reader import AmazonReader
from eiclip.readers.amazon.reviews import write_reviews
from eiclip.readers.base import Rejected
from eiclip.readers.records import write_records
from eiclip.same_style.related import write_related

NEW = [
    {
        "main_category": "AMAZON FASHION", "title": f"Acme {name}, 2\" wide", "average_rating": 4.1,
        "features": ["Imported", "It's warm", 'Says "hi"'], "description": [] if number else ["Fits\nwell"],
        "price": 19.5 if number else None, "videos": [], "store": f"Store {number}",
        "images": [
            {"hi_res": None, "large": f"https://m.example/{number}_{place}.jpg", "thumb": "https://m.example/t.jpg"}
            for place in range(2)
        ],
        "categories": ["Clothing", "Women", "Dresses"], "details": {"Brand": f"Chloé {number}", "Fit": "Slim"},
        "parent_asin": f"B{number}",
    }
    for number, name in enumerate(("dress", "boots", "[Red] hat"))
]  # fmt: skip
OLD = [
    {
        "asin": f"000000{number}", "title": "Coat", "description": "Warm.", "brand": "Acme", "price": 9.99,
        "imUrl": f"http://e.example/{number}.jpg", "categories": [["Clothing", "Women"], ["Sale"]],
        "related": {"also_bought": ["B2", "B3"]},
    }
    for number in range(2)
]  # fmt: skip


def as_lines(rows):
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def as_csv(rows, written, missing="", **options):
    text = io.StringIO()
    writer = csv.writer(text, **options)
    writer.writerow(rows[0])
    for row in rows:
        cells = [cell if isinstance(cell, str) else missing if cell is None else written(cell) for cell in row.values()]
        writer.writerow(cells)
    return text.getvalue().encode()


def as_parquet(table):
    content = io.BytesIO()
    pq.write_table(table, content, row_group_size=2)
    return content.getvalue()


def by_numpy(cell):
    """What pandas writes into CSV of lists in a Parquet file: arrays, whose values have white space between them."""
    if isinstance(cell, dict):
        return repr(
            {name: np.array(value if isinstance(value, list) else [value], object) for name, value in cell.items()}
        )
    return str(np.array(cell, object) if isinstance(cell, list) else cell)


def turned(row):
    """The images as one mirror keeps them, a struct of lists, and the details as JSON text."""
    images = {size: [image[size] for image in row["images"]] for size in ("hi_res", "large", "thumb")}
    return row | {"images": images, "details": json.dumps(row["details"])}


def with_map(rows):
    """The same through DuckDB: details as a map, images as JSON text."""
    lists = pa.Table.from_pylist([row | {"images": json.dumps(row["images"])} for row in rows])
    query = "SELECT * REPLACE (map(['Brand', 'Fit'], [details.Brand, details.Fit]) AS details) FROM lists"
    assert lists.num_rows
    return as_parquet(duckdb.sql(query).to_arrow_table())


FORMATS = {
    "array": lambda rows: json.dumps(rows).encode(),
    "array over lines": lambda rows: b"\xef\xbb\xbf\n" + json.dumps(rows, indent=2, ensure_ascii=False).encode(),
    "gzipped array": lambda rows: gzip.compress(json.dumps(rows).encode()),
    "csv of Python": lambda rows: as_csv(rows, repr, "None"),
    "csv of JSON": lambda rows: as_csv(rows, json.dumps, "null"),
    "gzipped tsv": lambda rows: gzip.compress(as_csv(rows, repr, delimiter="\t")),
    "parquet": lambda rows: as_parquet(pa.Table.from_pylist(rows)),
    "pandas": lambda rows: as_parquet(pa.Table.from_pandas(pd.read_json(io.BytesIO(as_lines(rows)), lines=True,
                                                                        dtype={"asin": str}))),
}  # fmt: skip
OF_2023 = {
    "csv of NumPy": lambda rows: as_csv(rows, by_numpy),
    "csv of NumPy, turned": lambda rows: as_csv(list(map(turned, rows)), by_numpy),
    "mirror": lambda rows: as_parquet(pa.Table.from_pylist(list(map(turned, rows)))),
    "csv of the mirror": lambda rows: as_csv(list(map(turned, rows)), str, "None"),
    "map": with_map,
}


def listings(path, content):
    path.write_bytes(content)
    reader = AmazonReader(path, path.parent, ("brand", "category", "subcategory"), downloads=path.parent)
    counts = write_records(reader, "shop", path.with_name("records"))
    assert counts["rows_in"] == counts["usable"] + counts["rejected"] == reader.rows_in()
    return list(reader.rows())


@pytest.mark.parametrize(
    ("rows", "write"),
    [(rows, write) for rows in (NEW, OLD) for write in FORMATS.values()] + [(NEW, write) for write in OF_2023.values()],
    ids=[f"{edition}-{name}" for edition in (2023, 2014) for name in FORMATS] + [f"2023-{name}" for name in OF_2023],
)
def test_every_format_gives_the_listings_of_the_lines(tmp_path, rows, write):
    expected = listings(tmp_path / "meta", as_lines(rows))
    assert {listing.product_id for listing in expected} == {row.get("parent_asin", row.get("asin")) for row in rows}
    assert all(listing.photo_urls and listing.entities["brand"] for listing in expected)
    found = listings(tmp_path / "meta", write(rows))
    plain = [dataclasses.replace(listing, description_raw="") for listing in found]
    assert plain == [dataclasses.replace(listing, description_raw="") for listing in expected]


@pytest.mark.parametrize("write", [as_lines, *FORMATS.values()], ids=["lines", *FORMATS])
def test_related_products_are_read_from_every_format(tmp_path, write):
    (tmp_path / "meta").write_bytes(write(OLD))
    assert write_related(tmp_path / "meta", "shop", tmp_path / "related") == 4
    found = pq.read_table(tmp_path / "related").select(["product_id", "related_id", "kind"]).to_pylist()
    assert [tuple(row.values()) for row in found] == [
        (row["asin"], other, "also_buy") for row in OLD for other in ("B2", "B3")
    ]


REVIEWS = [
    {"rating": 1.0, "title": "Tore", "text": "Tore at\nonce", "asin": "B1", "parent_asin": "B0", "user_id": f"A{n}",
     "timestamp": 1588687728923 + n, "helpful_vote": 3, "verified_purchase": False}
    for n in (0, 1, 2, 0)
]  # fmt: skip


@pytest.mark.parametrize("write", FORMATS.values(), ids=list(FORMATS))
def test_reviews_are_read_from_every_format(tmp_path, write):
    def read(content):
        (tmp_path / "reviews").write_bytes(content)
        counts = write_reviews(tmp_path / "reviews", tmp_path / "out", tmp_path / "rejected", "shop")
        return counts, pq.read_table(tmp_path / "out"), pq.read_table(tmp_path / "rejected")

    counts, reviews, rejected = read(as_lines(REVIEWS))
    assert counts == {"rows_in": 4, "accepted": 3, "quarantined": 1, "duplicates": 1}
    assert None not in reviews["time"].to_pylist()
    assert read(write(REVIEWS)) == (counts, reviews, rejected)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (lambda: as_parquet(pa.table({"sku": ["1"], "title": ["x"]})), "no column 'parent_asin' or 'asin'; it has sku"),
        (lambda: b"sku,title\n1,x\n", "as CSV with a column 'parent_asin' or 'asin'"),
        (lambda: b"PK\x03\x04xl/worksheets", "an Excel workbook"),
        (lambda: b"BZh91AY&SY" + b"x" * 50, "bzip2"),
        (lambda: b'<?xml version="1.0"?><rss><item/></rss>', "XML or HTML; of a product feed fetch the text version"),
        (lambda: json.dumps({"products": NEW}).encode(), r"a list under 'products'.*jq -c '\.products\[\]'"),
        (lambda: json.dumps({"products": NEW}, indent=1).encode(), r"a list under 'products'.*jq -c '\.products\[\]'"),
        (lambda: b"\n".join(json.dumps(row, indent=1).encode() for row in NEW), r"over several lines; .* \(jq -c \.\)"),
        (lambda: json.dumps(NEW).encode()[:-3], "broken JSON in item 3 of the array, line 1"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_told_with_the_way_out(tmp_path, content, said):
    with pytest.raises(RawDataError, match=said) as error:
        listings(tmp_path / "meta.json", content())
    assert "meta.json" in str(error.value) or "none of 2 raw rows" in str(error.value)


def test_bad_rows_of_a_table_are_rejected_by_number(tmp_path):
    content = as_csv([*NEW, NEW[0] | {"parent_asin": "../x"}], repr) + b"too,few\n"
    content = content.replace("Chloé 1".encode(), b"Chlo\xe9 1")
    rejected = [row for row in listings(tmp_path / "meta", content) if isinstance(row, Rejected)]
    assert [(row.place, row.reason.split(":")[0]) for row in rejected] == [
        (2, "not UTF-8"), (4, "bad id"), (5, "bad row")
    ]  # fmt: skip
