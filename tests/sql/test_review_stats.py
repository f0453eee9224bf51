"""Numbers and texts of reviews per product, on tables small enough to count by hand."""

import datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from eiclip.readers.amazon.reviews import SCHEMA
from eiclip.storage.lake import Lake


@pytest.fixture
def ask(tmp_path):
    """Return a function that runs a query over reviews and gives its rows."""

    def call(query, *rows, **parameters):
        common = {"dataset": "shop", "source": "a.json", "helpful": 0, "rating": 4.0, "text": "words"}
        table = pa.Table.from_pylist([common | {"place": n + 1} | row for n, row in enumerate(rows)], SCHEMA)
        pq.write_table(table, tmp_path / "reviews.parquet")
        output = tmp_path / "out.parquet"
        Lake(tmp_path).query(f"ingest/{query}", output, {"reviews": [tmp_path / "reviews.parquet"]}, parameters)
        return pq.read_table(output).to_pylist()

    return call


def test_reviews_are_counted_and_averaged_per_product(ask):
    reviews = [("a", 5.0, 3), ("b", 2.0, 0), ("a", 4.0, 4), ("a", 1.5, 0)]
    rows = ask("review_stats", *({"product_id": p, "rating": r, "helpful": h} for p, r, h in reviews))
    assert rows == [
        {"dataset": "shop", "product_id": "a", "review_count": 3, "mean_rating": 3.5, "helpful_votes": 7},
        {"dataset": "shop", "product_id": "b", "review_count": 1, "mean_rating": 2.0, "helpful_votes": 0},
    ]


def test_datasets_are_kept_apart(ask):
    rows = ask("review_stats", {"product_id": "a"}, {"product_id": "a", "dataset": "other"})
    assert [(row["dataset"], row["review_count"]) for row in rows] == [("other", 1), ("shop", 1)]


def texts(ask, *rows, count=2, characters=100):
    found = ask("helpful_reviews", *rows, count=count, characters=characters)
    return {row["product_id"]: row["review_text"] for row in found}


def test_the_most_helpful_texts_come_first_and_no_others(ask):
    votes = {"none": 0, "some": 2, "more": 3, "most": 9}
    rows = [{"product_id": "a", "text": text, "helpful": helpful} for text, helpful in votes.items()]
    assert texts(ask, *rows, {"product_id": "b", "text": "lone"}) == {"a": "most more"}
    assert texts(ask, *rows, count=9) == {"a": "most more some"}


def test_ties_go_to_the_newest_then_to_the_first_in_the_file(ask):
    old, new = datetime.datetime(2010, 1, 1), datetime.datetime(2020, 1, 1)
    tied = [("undated", None), ("old", old), ("new", new), ("new too", new)]
    rows = [{"product_id": "a", "helpful": 1, "text": text, "time": time} for text, time in tied]
    assert texts(ask, *rows, count=4) == {"a": "new new too old undated"}


def test_texts_are_one_line_without_markup_and_cut(ask):
    text = " Fits\n\twell.<br />Waist < 30 and > 20;  <b>warm</b>\u00a0too "
    assert texts(ask, {"product_id": "a", "helpful": 1, "text": text}) == {
        "a": "Fits well. Waist < 30 and > 20; warm too"
    }
    assert texts(ask, {"product_id": "a", "helpful": 1, "text": "Größe passt gut"}, characters=6) == {"a": "Größe"}


@pytest.mark.parametrize("text", [None, "", "  \n", "<br>"])
def test_an_empty_text_takes_no_place(ask, text):
    rows = [{"product_id": "a", "helpful": 9, "text": text}, {"product_id": "a", "helpful": 1, "text": "real"}]
    assert texts(ask, *rows, count=1) == {"a": "real"}
