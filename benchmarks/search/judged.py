"""Hybrid search beside words and vectors alone: generated queries, and test descriptions with the brand written in.

Weights are learned on the validation split of each catalogue, here, as the asset `search_weights` learns them; queries,
their relevant products and the candidates are of the test split, or of all products.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.measure import say
from eiclip.errors import RawDataError
from eiclip.search.engine import SearchEngine
from eiclip.search.judged import Asked, figures, judged
from eiclip.search.learn import learned_weights
from eiclip.search.queries import ALL, MOST, MOST_PRODUCTS, generated_queries
from eiclip.search.sources import trained_variants
from eiclip.storage.home import Paths
from eiclip.storage.lake import Lake

VARIANTS = ("clip_entities_text", "eiclip", "eiclip_plus", "same_style")
SPLITS = {"test": 5, ALL: 10}
"""Whose products are asked for and ranked, and how many a common kind of product has there."""
SHOWN = ("r1", "r10", "mrr10", "ndcg10", "p10")


def engines(homes: Sequence[Path]) -> Iterator[tuple[Lake, SearchEngine]]:
    """Yield an engine of each served variant of each home, with weights learned now."""
    for home in homes:
        paths = Paths(home)
        for dataset, variants in trained_variants(paths).items():
            for variant in [name for name in VARIANTS if name in variants]:
                engine = SearchEngine.open(home, dataset, variant)
                tables = (table_of(paths.lake, name, dataset) for name in ("styles", "product_groups"))
                engine.use_weights(learned_weights(engine, paths.lake, engine.model.groups[0], *tables))
                yield paths.lake, engine


def table_of(lake: Lake, name: str, dataset: str) -> pa.Table:
    """Return a table of a lake."""
    return pa.concat_tables(pq.read_table(file) for file in lake.files(name, dataset))


def measure(homes: Sequence[Path], *, quick: bool) -> None:
    """Print a line a dataset, variant, split, kind of queries and reading."""
    for lake, engine in engines(homes):
        index = engine.index
        of = {"dataset": index.dataset, "variant": index.variant}
        say({"figure": "weights"} | of | {"words": dict(engine.weights.by_signal)})
        for split, minimum in SPLITS.items():
            rows = generated_queries(
                lake,
                index.dataset,
                split,
                brand_group=engine.model.groups[0],
                minimum=minimum,
                most=5 if quick else MOST,
                most_products=10 if quick else MOST_PRODUCTS,
            )
            try:
                asked = Asked.of(rows, index, split)
            except RawDataError:
                continue
            for row in figures(judged(engine, asked, view="joint")).to_pylist():
                same = {name: row[name] for name in ("dataset", "variant", "kind", "reading", "queries", "candidates")}
                ends = {name: [row[name + end] for end in ("", "_low", "_high")] for name in SHOWN}
                values = {name: [round(v, 1) for v in three if v is not None] for name, three in ends.items()}
                say({"figure": "judged", "among": split} | same | values)
