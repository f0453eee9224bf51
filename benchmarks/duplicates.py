"""What duplicates a home's datasets have, and the recalls with and without them among the candidates, as lines of JSON.

    python -m benchmarks.duplicates                    # every dataset below EICLIP_HOME that has relations
    python -m benchmarks.duplicates fashiongen amazon

A line of `found` per dataset; a line of `metrics` per variant where there are duplicates and a leaderboard.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb

from eiclip.settings.load import load_settings
from eiclip.storage.catalogue import connect

DATASETS = "SELECT DISTINCT dataset FROM products ORDER BY dataset"
PAIRS = """
SELECT kind, count(*) AS pairs
FROM duplicate_photos
WHERE dataset = $dataset
GROUP BY kind
ORDER BY kind
"""
GROUPS = """
SELECT count(*) AS groups, coalesce(sum(size), 0)::BIGINT AS products, coalesce(max(size), 0) AS largest
FROM (SELECT count(*) AS size FROM product_groups WHERE dataset = $dataset GROUP BY group_id)
"""
SPLITS = """
SELECT split, count(*) AS products
FROM products
SEMI JOIN product_groups USING (dataset, product_id)
WHERE dataset = $dataset
GROUP BY split
ORDER BY split
"""
METRICS = """
SELECT variant, protocol, i2t_r1, t2i_r1, sum_r
FROM leaderboard
WHERE dataset = $dataset
ORDER BY paper_row NULLS LAST, variant, protocol
"""


def _rows(connection: duckdb.DuckDBPyConnection, query: str, **parameters: Any) -> list[dict[str, Any]]:
    """Rows of a query; none where the catalogue does not have its view yet."""
    try:
        found = connection.sql(query, params=parameters)
    except duckdb.CatalogException:
        return []
    return [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]


def lines(connection: duckdb.DuckDBPyConnection, datasets: Sequence[str]) -> Iterator[dict[str, Any]]:
    """One dictionary per line, for every dataset (all of the catalogue's, if none is named)."""
    for dataset in datasets or [row["dataset"] for row in _rows(connection, DATASETS)]:
        pairs = {row["kind"]: row["pairs"] for row in _rows(connection, PAIRS, dataset=dataset)}
        splits = {row["split"]: row["products"] for row in _rows(connection, SPLITS, dataset=dataset)}
        groups = _rows(connection, GROUPS, dataset=dataset)
        sizes = groups[0] if groups else {}
        yield {"line": "found", "dataset": dataset, "pairs": pairs} | sizes | {"products_by_split": splits}
        if pairs:
            yield from _metrics(connection, dataset)


def _metrics(connection: duckdb.DuckDBPyConnection, dataset: str) -> Iterator[dict[str, Any]]:
    """Recalls of each variant by protocol, percent."""
    variants: dict[str, dict[str, Any]] = {}
    for row in _rows(connection, METRICS, dataset=dataset):
        recalls = {name: round(row[name], 2) for name in ("i2t_r1", "t2i_r1", "sum_r")}
        variants.setdefault(row["variant"], {})[row["protocol"]] = recalls
    for variant, protocols in variants.items():
        yield {"line": "metrics", "dataset": dataset, "variant": variant} | protocols


def main() -> None:
    """Print the lines of `EICLIP_HOME`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("datasets", nargs="*", metavar="DATASET", help="default: all")
    arguments = parser.parse_args()
    with connect(Path(load_settings().home)) as connection:
        for line in lines(connection, arguments.datasets):
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
