"""A search answer on 20,000 products beside a bare matrix-vector product and sort, in one process, one after the other.

The text tower is the `general` model's, untrained (its speed is the same). The vector part, which grows with the
catalogue, is compared at the width of ViT-B-32's embeddings too; the rest (reading the words, the text tower, facts of
the products found) does not grow with it.
"""

import functools
import os
import time
from collections.abc import Callable
from typing import Any

from benchmarks.measure import Work, line, median, run_apart, say

PRODUCTS, TOP = 20_000, 20
BRANDS = 300
WIDTHS = (128, 512)
"""Of the `general` model and of ViT-B-32."""
ANSWER_MS, VECTOR_RATIO = 300.0, 1.5
QUERIES = (
    "golden sneakers in black", "a wool coat with wide lapels", "brand7 leather bag", "brand12 dress with long sleeves",
    "brnad33 jacket", "slim trousers by brand250", "something red for the beach", "brand99 boots, size 41",
)  # fmt: skip


def measure(*, quick: bool, rounds: int | None, threads: int) -> None:
    """Print the figures: the whole answer, and its vector part, at both widths."""
    products, repeats = (500, 2) if quick else (PRODUCTS, 10)
    for width in WIDTHS[:1] if quick else WIDTHS:
        runs = [run_apart(prepare, [(products, width, repeats, threads)]) for _ in range(rounds or (1 if quick else 3))]
        named = {name: median([run.facts[name] for run in runs]) for name in runs[0].facts}
        told = f"{products:,} products, width {width}, {threads} threads, top {TOP}, {len(QUERIES)} typed queries"
        if width == WIDTHS[0]:
            note = f"{told}; slowest {named['slowest']} ms, encoding and linking {named['reading']} ms; peer: the goal"
            say(line("a typed query's answer (ms)", named["answer"], ANSWER_MS, 1.0, at_most=True, note=note))
        vector = f"an answer's vector part / matrix-vector product and sort, width {width} (ms)"
        say(line(vector, named["vectors"], named["bare"], VECTOR_RATIO, at_most=True, note=told))


def prepare(products: int, width: int, repeats: int, threads: int) -> Work:
    """An engine over drawn products; returns medians in milliseconds."""
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = str(threads)
    import torch

    torch.set_num_threads(threads)
    import numpy as np

    from eiclip.search.query import Query

    engine = drawn_engine(products, width)
    matrix_ND = engine.index.views["joint"]
    queries = [Query(text=text, top=TOP) for text in QUERIES]

    def bare(vector_D: np.ndarray) -> None:
        score_N = matrix_ND @ vector_D
        score_N[np.argsort(-score_N)[:TOP]].tolist()

    def work() -> dict[str, float]:
        times: dict[str, list[float]] = {name: [] for name in ("answer", "reading", "vectors", "bare")}
        for number, query in enumerate(queries * repeats):
            answer_ms, _ = timed(lambda query=query: engine.search(query))  # type: ignore[misc]
            reading_ms, (read, vector_D) = timed(lambda query=query: _encoded(engine, query))  # type: ignore[misc]
            sides: dict[str, Callable[[], Any]] = {
                "vectors": functools.partial(engine.nearest, read, vector_D),
                "bare": functools.partial(bare, vector_D),
            }
            # Turn by turn: the first of the two finds the matrix out of the cache, after the towers.
            found = {name: timed(sides[name])[0] for name in sorted(sides, reverse=number % 2 == 0)}
            for name, value in {"answer": answer_ms, "reading": reading_ms, **found}.items():
                times[name].append(value)
        return {name: median(values) for name, values in times.items()} | {"slowest": round(max(times["answer"]), 3)}

    engine.search(queries[0])  # the first call of a process makes torch's threads
    return work


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Milliseconds of some work, and what it gave."""
    start = time.perf_counter()
    result = work()
    return 1000 * (time.perf_counter() - start), result


def _encoded(engine: Any, query: Any) -> tuple[Any, Any]:
    read = engine.reader.read(query)
    return read, engine.vectors([read])[0]


def drawn_engine(products: int, width: int) -> Any:
    """A search engine over drawn unit vectors, an untrained model of that width, and a shop's number of brands."""
    from pathlib import Path

    import numpy as np
    import pyarrow as pa

    from eiclip.inference import EntityClip
    from eiclip.model.entity_clip import EntityClipModel
    from eiclip.model.sources import SMALL
    from eiclip.model.towers import new_towers
    from eiclip.model.variants import get_variant
    from eiclip.model.vocabulary import Vocabulary
    from eiclip.search.engine import SearchEngine
    from eiclip.search.index import SearchIndex
    from eiclip.search.linking import Known, Linker
    from eiclip.search.photos import PhotoShelf
    from eiclip.settings.training import TrainingSettings

    random = np.random.default_rng(0)
    brands = [f"brand{number}" for number in range(BRANDS)]
    model = EntityClipModel(
        new_towers(SMALL | {"embed_dim": width}, 0),
        get_variant("eiclip"),
        Vocabulary({"brand": ["<unk>", *brands]}, {}),
        TrainingSettings(),
    )
    ids = [f"product {number}" for number in range(products)]
    views: dict[str, Any] = {"product_id": ids}
    for view in ("image", "text", "joint"):
        vectors = random.standard_normal(products * width, dtype=np.float32)
        views[view] = pa.FixedSizeListArray.from_arrays(pa.array(vectors), width)
    facts: dict[str, Any] = {"product_id": ids, "split": ["train"] * products, "image_id": ids}
    facts |= {name: [name] * products for name in ("title", "category", "subcategory", "department", "gender")}
    facts |= {
        "description": ["A coat of wool, lined, with two pockets at front."] * products,
        "price": [9.5] * products,
    }
    facts |= {"currency": ["EUR"] * products, "available": [True] * products, "link": [""] * products}
    tags = [[("brand", [brands[number % BRANDS]])] for number in range(products)]
    facts |= {
        name: pa.array(own, pa.map_(pa.string(), pa.list_(pa.string())))
        for name, own in {"entities": tags, "attributes": [[]] * products}.items()
    }
    index = SearchIndex.of_tables("drawn", "eiclip", pa.table(views), pa.table(facts))
    linker = Linker([Known(brand, ("brand",), 9, 1) for brand in brands], ["sneakers", "coat", "bag", "dress"])
    return SearchEngine(index, EntityClip(model, "cpu"), linker, PhotoShelf(Path("no shards")))
