"""A hybrid answer among 20,000 products and a million, beside its goal; its vector part beside a bare product and sort.

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
ANSWER_MS, VECTOR_RATIO = 60.0, 1.5
MILLION, MILLION_MS = 1_000_000, 150.0
NOISE = 0.3
"""Length of what is added to a vector of the 20,000 where they are repeated to make a million."""
WORDS, TEXT = 3_000, 20
"""Different words of the descriptions, the first ones the most frequent (Zipf), and words of each."""
QUERIES = (
    "golden sneakers in black", "a wool coat with wide lapels", "brand7 leather bag", "brand12 dress with long sleeves",
    "brnad33 jacket", "slim trousers by brand250", "something red for the beach", "brand99 boots, size 41",
)  # fmt: skip


def measure(*, quick: bool, rounds: int | None, threads: int) -> None:
    """Print the figures: the whole answer, its vector part at both widths, and the answer among a million."""
    products, repeats = (500, 2) if quick else (PRODUCTS, 10)
    for width in WIDTHS[:1] if quick else WIDTHS:
        named = _medians((products, 0, width, repeats, threads), rounds or (1 if quick else 3))
        told = f"{products:,} products, width {width}, {threads} threads, top {TOP}, {len(QUERIES)} typed queries"
        note = f"{told}; slowest {named['slowest']} ms, encoding and linking {named['reading']} ms; peer: the goal"
        say(line(f"a hybrid answer, width {width} (ms)", named["answer"], ANSWER_MS, 1.0, at_most=True, note=note))
        vector = f"an answer's vector part / matrix-vector product and sort, width {width} (ms)"
        say(line(vector, named["vectors"], named["bare"], VECTOR_RATIO, at_most=True, note=told))
    copies = 3_000 if quick else MILLION
    named = _medians((products, copies, WIDTHS[-1], repeats, threads), 1)
    note = f"{products:,} repeated with noise, width {WIDTHS[-1]}, {threads} threads; slowest {named['slowest']} ms"
    say(line(f"a hybrid answer among {copies:,} (ms)", named["answer"], MILLION_MS, 1.0, at_most=True, note=note))


def _medians(arguments: tuple[int, int, int, int, int], rounds: int) -> dict[str, float]:
    runs = [run_apart(prepare, [arguments]) for _ in range(rounds)]
    return {name: median([run.facts[name] for run in runs]) for name in runs[0].facts}


def prepare(products: int, copies: int, width: int, repeats: int, threads: int) -> Work:
    """An engine over drawn products, repeated to make so many copies (0: as they are); medians in milliseconds."""
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = str(threads)
    import torch

    torch.set_num_threads(threads)
    import numpy as np

    from eiclip.search.query import Query

    engine = drawn_engine(products, width)
    if copies:
        engine = repeated(engine, copies)
    engine.products._coarse  # noqa: B018  made before anything is timed, as words are
    matrix_ND = engine.index.views["joint"]
    queries = [Query(text=text, top=TOP) for text in QUERIES]
    by_vectors = {query.text: Query(text=query.text, top=TOP, by="vectors") for query in queries}

    def bare(vector_D: np.ndarray) -> None:
        score_N = matrix_ND @ vector_D
        score_N[np.argsort(-score_N)[:TOP]].tolist()

    def work() -> dict[str, float]:
        times: dict[str, list[float]] = {name: [] for name in ("answer", "reading", "vectors", "bare")}
        for number, query in enumerate(queries * repeats):
            answer_ms, _ = timed(lambda query=query: engine.search(query))  # type: ignore[misc]
            reading_ms, (read, vector_D) = timed(lambda query=query: _encoded(engine, query))  # type: ignore[misc]
            sides: dict[str, Callable[[], Any]] = {
                "vectors": functools.partial(engine.nearest, read._replace(query=by_vectors[query.text]), vector_D),
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


def _texts(products: int) -> list[str]:
    """Descriptions of drawn words, those of the queries among them."""
    import numpy as np

    words = [*dict.fromkeys(" ".join(QUERIES).split()), *(f"word{number}" for number in range(WORDS))]
    number_NW = np.minimum(np.random.default_rng(1).zipf(1.3, (products, TEXT)), len(words)) - 1
    return [" ".join(words[number] for number in own) for own in number_NW]


def repeated(engine: Any, copies: int) -> Any:
    """An engine over the same products again and again, each with noise of its own."""
    import numpy as np
    import pyarrow as pa

    from eiclip.search.engine import SearchEngine
    from eiclip.search.index import Facet, SearchIndex
    from eiclip.search.query import View
    from eiclip.search.signals import VECTORS

    index, random = engine.index, np.random.default_rng(2)
    take = np.resize(np.arange(len(index)), copies)
    views: dict[View, np.ndarray] = {}
    for view in VECTORS.values():
        own_ND = np.empty((copies, index.views[view].shape[1]), dtype=np.float32)
        for start in range(0, copies, 50_000):
            rows = index.views[view][take[start : start + 50_000]]
            rows = rows + NOISE / rows.shape[1] ** 0.5 * random.standard_normal(rows.shape, dtype=np.float32)
            own_ND[start : start + 50_000] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        views[view] = own_ND
    views["joint"] = views["image"]  # memory: nothing is compared with it
    facets = {}
    for name, facet in index.facets.items():
        values = pa.array(facet.names).take(pa.array(facet.code_T[take]))  # of each product one
        facets[name] = Facet.of(copies, np.arange(copies), values)
    ids = [str(number) for number in range(copies)]
    facts = index.facts.take(pa.array(take)).combine_chunks()
    many = SearchIndex(index.dataset, index.variant, ids, views, facts, facets)
    return SearchEngine(many, engine.model, engine.reader.linker, engine.shelf)


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
        "description": _texts(products),
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
