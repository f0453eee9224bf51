"""The weights of hybrid search, learned on products of the validation split, which no model was trained on.

Typed queries are those that `generated_queries` makes of the split (kinds of products, names, descriptions), parts of
descriptions, and makers with kinds of products that the catalogue has not: nothing is relevant to them, which tells
where a match ends. Products as queries ("more like this") have the products of their style as relevant ones.

Shape suffix: N products of the split.
"""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from eiclip.search.engine import SearchEngine
from eiclip.search.evaluate import ProductQueries
from eiclip.search.fusion import Example, Weights
from eiclip.search.index import SearchIndex
from eiclip.search.judged import Asked
from eiclip.search.queries import DESCRIPTIONS, NAMES, drawn_places, generated_queries
from eiclip.search.query import Query
from eiclip.storage.lake import Lake

SPLIT = "validation"
MINIMUM = 3
"""Products of the split that a kind of product needs to be a query: it has a tenth of a catalogue."""
PARTS, ABSENT = "parts of descriptions", "not in the catalogue"
MOST_ABSENT, MOST_STYLES = 60, 300


def typed_examples(engine: SearchEngine, lake: Lake, brand_group: str) -> Iterator[Example]:
    """Yield typed queries with their signals among the products of the validation split.

    Raises EiclipError where the lake has no such dataset.
    """
    index = engine.index
    rows = generated_queries(lake, index.dataset, SPLIT, brand_group=brand_group, minimum=MINIMUM)
    if not len(rows):
        return
    asked = Asked.of(rows, index, SPLIT)
    texts = list(zip(asked.kinds, asked.texts, asked.relevant, strict=True))
    texts += [(PARTS, _part(text), places) for kind, text, places in texts if kind == DESCRIPTIONS]
    texts += [(ABSENT, text, np.array([], dtype=np.int64)) for text in _absent(index, brand_group)]
    reads = [engine.reader.read(Query(text=text)) for _, text, _ in texts]
    for (kind, _, places), read, vector_D in zip(texts, reads, engine.vectors(reads), strict=True):
        relevant_N = np.zeros(len(asked.rows_N), dtype=bool)
        relevant_N[places] = True
        signals = {name: value_N[asked.rows_N] for name, value_N in engine.signals(read, vector_D).items()}
        # Of a text nobody knows which other products it would do for as well.
        yield Example(kind, signals, relevant_N, complete=kind not in {NAMES, DESCRIPTIONS, PARTS})


def product_examples(engine: SearchEngine, styles: pa.Table, groups: pa.Table | None = None) -> Iterator[Example]:
    """Yield products as queries, the others of their style relevant, among the products of the validation split.

    Args:
        engine: of the catalogue.
        styles, groups: as for `eiclip.same_style.evaluate.same_style_ranks`.
    """
    queries = ProductQueries.of(engine, SPLIT, styles, groups)
    for place in queries.places[drawn_places((queries.truth.products[own] for own in queries.places), MOST_STYLES)]:
        yield Example("same style", *queries.signals(place))


def learned_weights(
    engine: SearchEngine, lake: Lake, brand_group: str, styles: pa.Table, groups: pa.Table | None = None
) -> pa.Table:
    """Return the weights for typed queries and for products as queries: `dataset`, `variant`, then schema `WEIGHTS`.

    Raises EiclipError where the lake has no such dataset.
    """
    learned = {
        "words": Weights.learned(list(typed_examples(engine, lake, brand_group))),
        "product": Weights.learned(list(product_examples(engine, styles, groups))),
    }
    table = pa.concat_tables([weights.table(asked) for asked, weights in learned.items()])
    names = [pa.array([name] * len(table)) for name in (engine.index.dataset, engine.index.variant)]
    return pa.table([*names, *table.columns], names=["dataset", "variant", *table.column_names])


def _part(text: str) -> str:
    """Return half the words of a text, drawn by their digests."""
    words = text.split()
    return " ".join(words[place] for place in drawn_places((f"{text}/{word}" for word in words), (len(words) + 1) // 2))


def _absent(index: SearchIndex, brand_group: str) -> list[str]:
    """Return makers and kinds of which the catalogue has no product, as typed queries; drawn."""
    if not {brand_group, "subcategory"} <= index.facets.keys():
        return []
    makers, kinds = index.facets[brand_group], index.facets["subcategory"]
    kind_of: dict[int, list[int]] = {}
    for row, code in zip(kinds.row_T.tolist(), kinds.code_T.tolist(), strict=True):
        kind_of.setdefault(row, []).append(code)
    pairs = zip(makers.code_T.tolist(), makers.row_T.tolist(), strict=True)
    there = {(maker, kind) for maker, row in pairs for kind in kind_of.get(row, ())}
    absent = [
        f"{maker} {kind}"
        for maker, number in makers.codes.items()
        for kind, own in kinds.codes.items()
        if (number, own) not in there
    ]
    return [absent[place] for place in drawn_places(absent, MOST_ABSENT)]
