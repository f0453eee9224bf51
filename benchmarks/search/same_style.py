"""Products as queries: hybrid search beside each single score, with texts as they are and without the colours' words.

Queries, their styles and the candidates are of the test split; weights are learned on the validation split, anew for
the texts without colours.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.measure import say
from benchmarks.search.judged import table_of
from eiclip.evaluation import bootstrap
from eiclip.search.engine import SearchEngine
from eiclip.search.evaluate import ProductQueries, rank_of
from eiclip.search.fusion import Weights
from eiclip.search.learn import product_examples
from eiclip.search.signals import ProductSignals
from eiclip.search.sources import trained_variants
from eiclip.storage.home import Paths

COLOURS = ("colour", "color")
"""Names of the entity group whose words are taken out."""
HYBRID, WORDS = "hybrid m-m", "words"


def measure(homes: Sequence[Path], *, quick: bool) -> None:
    """Print a line a dataset, texts and score: MRR with its interval, and hybrid's lead over it."""
    for home in homes:
        paths = Paths(home)
        for dataset, variants in trained_variants(paths).items():
            if "same_style" not in variants:
                continue
            engine = SearchEngine.open(home, dataset, "same_style")
            styles, groups = (table_of(paths.lake, name, dataset) for name in ("styles", "product_groups"))
            for texts in ("as they are", "without colours"):
                if texts != "as they are":
                    engine.products = without_colours(engine)
                weights = Weights.learned(list(product_examples(engine, styles, groups)))
                say({"figure": "same_style weights", "dataset": dataset, "texts": texts} | dict(weights.by_signal))
                for figure in _figures(
                    *_ranks(weights, ProductQueries.of(engine, "test", styles, groups), 200 if quick else None)
                ):
                    say({"figure": "same_style", "dataset": dataset, "texts": texts} | figure)


def without_colours(engine: SearchEngine) -> ProductSignals:
    """Return signals of the engine's products with no colour in their titles, descriptions and tags."""
    index = engine.index
    facets = {name: facet for name, facet in index.facets.items() if name not in COLOURS}
    words = {
        word for name in COLOURS for value in getattr(index.facets.get(name), "codes", ()) for word in value.split()
    }
    pattern = re.compile(rf"\b({'|'.join(map(re.escape, sorted(words)))})\b", re.IGNORECASE)
    facts = index.facts
    for name in ("title", "description"):
        texts = pa.array([pattern.sub(" ", text or "") for text in facts[name].to_pylist()])
        facts = facts.set_column(facts.schema.get_field_index(name), name, texts)
    return ProductSignals.of(replace(index, facts=facts, facets=facets))


def _ranks(weights: Weights, queries: ProductQueries, most: int | None) -> tuple[dict[str, list[int]], list[int]]:
    """Return by score the rank of each query's best product of its style, and the styles' numbers."""
    found: dict[str, list[int]] = {}
    for place in queries.places[:most]:
        signals, relevant_C = queries.signals(place)
        by_field = [value_C for name, value_C in signals.items() if name.endswith(" words")]
        for name, score_C in {**signals, HYBRID: weights.scores(signals), WORDS: np.sum(by_field, axis=0)}.items():
            found.setdefault(name, []).append(rank_of(score_C, relevant_C))
    return found, queries.truth.style_N[queries.places[:most]].tolist()


def _figures(ranks: dict[str, list[int]], styles: list[int]) -> Iterator[dict[str, object]]:
    """Yield MRR by score, in percent, and hybrid's lead over it, with intervals over styles."""
    for name, own in ranks.items():
        if len(own) < len(styles):  # an entity group that some products lack
            continue
        mrr, hybrid = 100 / np.array(own), 100 / np.array(ranks[HYBRID])
        table = pa.table({"style": styles, "one": ["all"] * len(styles)})
        _, sum_PWM, count_PW = bootstrap.sums_by(table, [mrr, hybrid - mrr], ("style", "one"), {"one": ["all"]})
        drawn = bootstrap.cluster_weights(len(sum_PWM))
        mean_BM = bootstrap.resampled_means(sum_PWM[:, 0], count_PW[:, 0], drawn)
        low_M, high_M = bootstrap.interval(mean_BM, clusters=len(sum_PWM))
        ends = np.stack([[mrr.mean(), (hybrid - mrr).mean()], low_M, high_M], axis=1).round(2).tolist()
        yield {"score": name, "queries": len(styles), "mrr": ends[0], "hybrid ahead by": ends[1]}
