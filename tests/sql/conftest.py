"""Records, photos and what else the relations are made of, in a lake of their own."""

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from eiclip.readers.photos import SCHEMA as PHOTO_SCHEMA
from eiclip.readers.records import SCHEMA as RECORD_SCHEMA
from eiclip.readers.spellings import entity_spellings
from eiclip.storage.lake import Lake, open_views
from eiclip.storage.sql import SQL_FOLDER, read_sql

GROUPS = ["brand", "composition", "subcategory"]
GROUPED = {"dataset": pa.string(), "product_id": pa.string(), "group_id": pa.string()}
EMPTY = {
    "product_groups": GROUPED,
    "split_groups": GROUPED,
    "review_stats": {
        "dataset": pa.string(), "product_id": pa.string(), "review_count": pa.int64(), "mean_rating": pa.float64(),
    },
    "helpful_reviews": {"dataset": pa.string(), "product_id": pa.string(), "review_text": pa.string()},
}  # fmt: skip
"""Tables that products are made with beside the records and photos, and their columns."""
CODE = (
    "source_split", "price", "price_unread", "currency", "available", "available_unread", "link", "link_unread",
    "attributes", "reason", "brand_raw", "photo_urls", "style",
)  # fmt: skip
"""What is absent and not an empty text."""


def place_of(query):
    """Where a query lies below `sql/`: its folder and its name."""
    [file] = SQL_FOLDER.rglob(f"{query}.sql")
    return file.relative_to(SQL_FOLDER).with_suffix("").as_posix()


def photo(product, number=0, *, unusable=None, **given):
    """A raw row (its photo unusable for this reason); with a `reason` it is rejected."""
    row = {name: None if name in CODE else "" for name in RECORD_SCHEMA.names}
    row |= {"dataset": "d", "source": "train.h5", "product_id": product, "source_split": "train"}
    row |= {"description": "A coat.", "entities": {}, "subcategory": "coats", "pose": str(number)} | given
    entities = [(group, [own] if isinstance(own, str) else own) for group, own in row["entities"].items()]
    return row | {"entities": entities, "unusable": unusable}


class Relations:
    """Runs queries over records and photos in a lake of its own; rows take the places they come in."""

    def __init__(self, home, rows, **others):
        self.lake = Lake(home)
        records = [{"place": place} | row | {"place": place} for place, row in enumerate(rows)]
        listed = [row for row in records if row["reason"] is None]
        self.lake.write(pa.Table.from_pylist(records, schema=RECORD_SCHEMA), "records", "d")
        self.lake.write(pa.Table.from_pylist([facts(row) for row in listed], schema=PHOTO_SCHEMA), "photos", "d")
        others.setdefault("split_groups", others.get("product_groups", []))
        for name, columns in EMPTY.items():
            given = [{"dataset": "d"} | row for row in others.get(name, [])]
            self.lake.write(pa.Table.from_pylist(given, schema=pa.schema(columns)), name, "d")

    def run(self, table, *sources, **parameters):
        output = self.lake.path(table, "d")
        self.lake.query(
            place_of(table), output, {source: [self.lake.path(source, "d")] for source in sources}, parameters
        )
        return pq.read_table(output).to_pylist()

    def products(self, seed="0", test_share=0.3, validation_share=0.2):
        draws = {"seed": seed, "test_share": test_share, "validation_share": validation_share}
        return self.run("products", "records", "photos", *EMPTY, **draws)

    def images(self, one_row=False, part_rows=100):
        self.products(validation_share=0.0)
        return self.run("images", "records", "photos", "products", one_row=one_row, part_rows=part_rows)

    def quarantine(self, one_row=False, unit="row"):
        self.images(one_row)
        return self.run("quarantine", "records", "photos", "images", unit=unit)

    def spellings(self, synonyms=None, placeholders=(), fold=True):
        records = [self.lake.path("records", "d")]
        table = entity_spellings(records, "d", synonyms or {}, placeholders, fold=fold)
        self.lake.write(table, "entity_spellings", "d")
        return table.to_pylist()

    def tagged(self, **given):
        self.products(validation_share=0.0)
        self.spellings(**given)
        return self.run("tagged_entities", "records", "products", "entity_spellings", groups=GROUPS)

    def entities(self, minimum=2):
        self.tagged()
        return self.run("entity_vocabulary", "tagged_entities", dataset="d", groups=GROUPS, minimum=minimum)

    def lists(self, seed="0"):
        sources = ("products", "images", "product_groups")
        draws = {"negatives": 100, "draws": 5, "draw_queries": 1000}
        rows = self.run("candidate_lists", *sources, dataset="d", seed=seed, **draws)
        return [row for row in rows if row["protocol"] == "sample100"]

    def offenders_of(self, check, *tables):
        with duckdb.connect() as connection:
            open_views(connection, {name: [self.lake.path(name, "d")] for name in tables})
            return connection.sql(read_sql(f"checks/{check}")).fetchall()

    def offenders(self, check, parameters=None, **tables):
        with duckdb.connect() as connection:
            for name, rows in tables.items():
                rows = rows if isinstance(rows, pa.Table) else pa.Table.from_pylist(rows)
                connection.register(name, rows)
            return connection.sql(read_sql(f"checks/{check}"), params=parameters).fetchall()


def facts(row):
    """The row of `photos` of a record."""
    found = {name: row[name] for name in ("dataset", "source", "place")}
    if row["unusable"] is not None:
        return found | {"reason": row["unusable"]}
    sha256 = f"{row['product_id']} {row['pose']}"
    return found | {
        "photo": f"{row['source']}#{row['place']}",
        "width": 8,
        "height": 9,
        "photo_sha256": sha256,
        "phash": -1,
    }


@pytest.fixture
def relations(tmp_path):
    return lambda photos, **others: Relations(tmp_path, photos, **others)


def splits(rows):
    return {row["product_id"]: row["split"] for row in rows}


def duplicates(*groups):
    return [{"product_id": product, "group_id": group[0]} for group in groups for product in group]
