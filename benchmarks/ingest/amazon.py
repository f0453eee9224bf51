"""Amazon metadata of 2018 to products, vocabulary and prior, against DuckDB's bare scan, polars and pandas."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from benchmarks.ingest.raw import amazon_file
from benchmarks.measure import GIB, Work, interleaved, line, median, say
from eiclip.readers.amazon.reader import AmazonReader
from eiclip.readers.lines import count_lines
from eiclip.readers.records import write_records
from eiclip.readers.spellings import entity_spellings
from eiclip.storage.lake import Lake

NAME = "amazon"
GROUPS = ["brand", "category", "subcategory"]
DRAWS = {"seed": "0", "test_share": 0.1, "validation_share": 0.1}
MINIMUM = 2
PANDAS_LINES = 100_000
SPELLINGS = "entities/entity_spellings"
"""No query, but made by a function."""
QUERIES: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "ingest/products": (("records", "photos", "split_groups", "review_stats", "helpful_reviews"), DRAWS),
    SPELLINGS: (("records",), {}),
    "entities/tagged_entities": (("records", "products", "entity_spellings"), {"groups": GROUPS}),
    "entities/entity_vocabulary": (("tagged_entities",), {"dataset": NAME, "groups": GROUPS, "minimum": MINIMUM}),
    "entities/semantic_prior": (("tagged_entities", "products"), {"dataset": NAME}),
}
"""As `assets/relations.py` runs them."""
BARE_SCAN = """
    SELECT count(asin), sum(strlen(title)), sum(len(description)), sum(len(feature)), count(brand),
        sum(len(category)), count(main_cat), count(price)
    FROM read_json($file, format = 'newline_delimited', columns = {
        asin: 'VARCHAR', title: 'VARCHAR', description: 'VARCHAR[]', feature: 'VARCHAR[]', brand: 'VARCHAR',
        category: 'VARCHAR[]', main_cat: 'VARCHAR', price: 'VARCHAR'})"""
USABLE_PHOTOS = """
    SELECT 'amazon' AS dataset, $source AS source, range + 1 AS place, 'images/' || range AS photo, 256::INT AS width,
        256::INT AS height, md5(range::VARCHAR) AS photo_sha256, range AS phash, NULL::VARCHAR AS reason
    FROM range($lines)"""


def ingest(metadata: str, home: str, lines: int) -> Work:
    """Ours: records, products, tagged_entities, entity_vocabulary and semantic_prior, as they are made for real.

    Not timed: every line has a usable photo, none is a known duplicate, and there are no reviews.
    """
    file, lake = Path(metadata), Lake(Path(home))
    write_usable_photos(lake, file.name, lines)
    write_empty(lake)
    reader = AmazonReader(file, file.parent, GROUPS)

    def work() -> dict[str, float]:
        write_records(reader, NAME, lake.path("records", NAME))
        return {query.rpartition("/")[2]: float(run_query(lake, query)) for query in QUERIES}

    return work


def run_query(lake: Lake, query: str) -> int:
    """Run one of `QUERIES` as the assets do; returns the rows of its table."""
    if query == SPELLINGS:
        table = entity_spellings(lake.files("records", NAME), NAME, {}, (), fold=True)
        lake.write(table, "entity_spellings", NAME)
        return len(table)
    sources, parameters = QUERIES[query]
    output = lake.path(query.rpartition("/")[2], NAME)
    return lake.query(query, output, {source: lake.files(source, NAME) for source in sources}, parameters)


def write_usable_photos(lake: Lake, source: str, lines: int) -> None:
    output = lake.path("photos", NAME)
    output.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as connection:
        photos = connection.sql(USABLE_PHOTOS, params={"source": source, "lines": lines})
        photos.write_parquet(str(output), compression="zstd")


def write_empty(lake: Lake) -> None:
    texts = {"split_groups": ["dataset", "product_id", "group_id"], "helpful_reviews": ["product_id", "review_text"]}
    for table, columns in texts.items():
        lake.write(pa.schema([(column, pa.string()) for column in columns]).empty_table(), table, NAME)
    stats = [("product_id", pa.string()), ("review_count", pa.int64()), ("mean_rating", pa.float64())]
    lake.write(pa.schema(stats).empty_table(), "review_stats", NAME)


def scan_bare(metadata: str) -> Work:
    """DuckDB reads the needed fields and does nothing with them."""

    def work() -> None:
        with duckdb.connect() as connection:
            connection.execute(BARE_SCAN, {"file": metadata}).fetchall()

    return work


def read_with_pandas(metadata: str) -> Work:
    """pandas reads the lines and does nothing with them."""
    import pandas

    def work() -> None:
        pandas.read_json(metadata, lines=True, nrows=PANDAS_LINES)

    return work


def ingest_with_polars(metadata: str, output: str) -> Work:
    """The same tables made by polars, which only this side's process loads."""
    from benchmarks.ingest.polars_peer import ingest

    folder = Path(output)
    folder.mkdir(parents=True, exist_ok=True)
    return lambda: ingest(metadata, folder)


def count(metadata: str) -> Work:
    """The independent count of the lines, which is part of ours."""

    def work() -> None:
        count_lines(Path(metadata))

    return work


def measure(work: Path, lines: int, rounds: int) -> None:
    """Print the figures of Amazon metadata."""
    file = str(amazon_file(work / "meta_Tops.json.gz", lines))
    runs = interleaved(
        {
            "bare": (scan_bare, [(file,)]),
            "ours": (ingest, [(file, str(work / "home"), lines)]),
            "polars": (ingest_with_polars, [(file, str(work / "polars"))]),
            "pandas": (read_with_pandas, [(file,)]),
            "count": (count, [(file,)]),
        },
        rounds,
    )
    wall = {name: median([run.wall for run in found]) for name, found in runs.items()}
    wall["pandas"] *= max(1.0, lines / PANDAS_LINES)
    cpu = {name: median([run.cpu for run in found]) for name, found in runs.items()}
    peak = {name: max(run.peak for run in found) / GIB for name, found in runs.items()}
    without = (wall["ours"] - wall["count"]) / wall["bare"]
    seconds: Callable[[str], str] = lambda name: f"s; CPU s {cpu['ours']:.1f} and {cpu[name]:.1f}"  # noqa: E731
    counted = f"; {wall['count']:.2f} s of ours count lines: without them the ratio is {without:.2f}"
    name = f"Amazon 2018, {lines:,} lines"
    say(line(f"{name} / bare scan", wall["ours"], wall["bare"], 3, at_most=True, note=seconds("bare") + counted))
    say(line(f"{name}, times pandas' reading", wall["ours"], wall["pandas"], 15, at_most=False, speed=True,
             note=f"s; pandas read {min(lines, PANDAS_LINES):,} lines, scaled by the line"))  # fmt: skip
    facts = [runs[side][-1].facts for side in ("ours", "polars")]
    rows = "; rows " + ", ".join(f"{table} {facts[0][table]:.0f} and {facts[1][table]:.0f}" for table in facts[1])
    say(line(f"{name}, times polars", wall["ours"], wall["polars"], 1, at_most=False, speed=True,
             note=f"{seconds('polars')}; GiB {peak['ours']:.2f} and {peak['polars']:.2f}{rows}"))  # fmt: skip
    say(line(f"{name}, peak memory", peak["ours"], 4.0, 1, at_most=True, note="GiB; peer: 4 GiB"))
