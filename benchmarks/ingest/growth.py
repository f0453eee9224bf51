"""Entity SQL at several sizes of generated catalogues: seconds, how they grow, and a plot of both."""

import itertools
import math
from pathlib import Path

import duckdb
import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt

from benchmarks.ingest.amazon import GROUPS, NAME, QUERIES, run_query, write_empty, write_usable_photos
from benchmarks.measure import GIB, Work, line, run_apart, say
from eiclip.storage.lake import Lake

SIZES = (200_000, 2_000_000, 10_000_000)
QUICK_SIZES = (5_000, 20_000)
PLOT = Path(__file__).resolve().parents[1] / "growth.png"
GROWTH = 1.25
"""Most times that seconds may grow per time that products do."""
VOCABULARY = 5_000
BRAND_WORDS = 50_000
# Words as frequent as words are (rank by a power law), 12 to 30 a description; brands of one to three words, few of
# which are said in descriptions; one product in 50 has no brand.
GENERATED = """
    WITH drawn AS (
        SELECT
            range AS number,
            list_transform(
                range(12 + (hash(range, 1) % 19)::BIGINT),
                lambda place: 'w' || floor(exp((hash(range, place, 2) % 1000000) / 1e6 * ln($vocabulary)))::INT
            ) AS words,
            floor(exp((hash(range, 3) % 1000000) / 1e6 * ln(20000)))::BIGINT AS brand
        FROM range($products)
    ),
    written AS (
        SELECT
            number,
            array_to_string(words, ' ') || '.' AS description,
            CASE WHEN hash(number, 4) % 50 > 0 THEN array_to_string(list_transform(
                range(1 + brand % 3), lambda place: 'w' || (hash(brand, place, 5) % $brand_words)
            ), ' ') END AS brand,
            'w' || (hash(number, 6) % 40) AS subcategory
        FROM drawn
    )
    SELECT
        'amazon' AS dataset, 'generated' AS source, NULL::BIGINT AS place,
        'P' || lpad(number::VARCHAR, 9, '0') AS product_id, product_id AS photo, []::VARCHAR[] AS photo_urls,
        NULL::VARCHAR AS source_split, left(description, 40) AS title, description, description AS description_raw,
        'fashion' AS category, subcategory, '' AS pose, '' AS department, '' AS gender, NULL::DOUBLE AS price,
        NULL::VARCHAR AS price_unread,
        brand AS brand_raw, map($groups, [[coalesce(brand, '')], ['fashion'], [subcategory]]) AS entities,
        NULL::VARCHAR AS reason
    FROM written"""


def generate(home: str, products: int) -> Work:
    """Write `records` of so many products, and usable photos for them."""

    def work() -> None:
        lake = Lake(Path(home))
        records = lake.path("records", NAME)
        records.parent.mkdir(parents=True, exist_ok=True)
        with duckdb.connect() as connection:
            given = {"products": products, "vocabulary": VOCABULARY, "brand_words": BRAND_WORDS, "groups": GROUPS}
            connection.sql(GENERATED, params=given).write_parquet(str(records), compression="zstd")
        write_usable_photos(lake, "generated", products)
        write_empty(lake)

    return work


def one_query(home: str, query: str) -> Work:
    """One relation, as the assets run it."""
    lake = Lake(Path(home))

    def work() -> None:
        run_query(lake, query)

    return work


def measure(work: Path, sizes: tuple[int, ...], *, plot: Path | None) -> None:
    """Print seconds and growth of each relation; draw them to `plot`."""
    seconds: dict[str, list[float]] = {query: [] for query in QUERIES}
    for size in sizes:
        home = str(work / f"growth_{size}")
        run_apart(generate, [(home, size)])
        for query, found in seconds.items():
            run = run_apart(one_query, [(home, query)])
            found.append(run.wall)
            print(
                f"{query}, {size:,} products: {run.wall:.2f} s, CPU {run.cpu:.1f} s, {run.peak / GIB:.2f} GiB",
                flush=True,
            )
    for query, found in seconds.items():
        for (small, large), (before, after) in zip(itertools.pairwise(sizes), itertools.pairwise(found), strict=True):
            exponent = math.log(after / before) / math.log(large / small)
            note = f"times as many s for times as many products ({small:,} to {large:,}); exponent {exponent:.2f}"
            say(line(f"growth of {query}", after / before, large / small, GROWTH, at_most=True, note=note))
    if plot is not None:
        draw(sizes, seconds, plot)


def draw(sizes: tuple[int, ...], seconds: dict[str, list[float]], plot: Path) -> None:
    """Seconds over products, both on log axes, beside a line of slope 1."""
    figure, axes = plt.subplots(figsize=(6, 4), dpi=100)
    for query, found in seconds.items():
        axes.loglog(sizes, found, marker="o", label=query)
    slowest = max(found[0] for found in seconds.values())
    axes.loglog(sizes, [slowest * size / sizes[0] for size in sizes], linestyle=":", color="grey", label="linear")
    axes.set(xlabel="products", ylabel="seconds", title="Entity SQL grows with the catalogue")
    axes.legend()
    figure.tight_layout()
    figure.savefig(plot)
    plt.close(figure)
