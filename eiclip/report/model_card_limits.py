"""What a model is known not to do, as far as a run has measured it."""

from collections.abc import Iterator

import duckdb

from eiclip.model.variants import Variant
from eiclip.report.ablation_verdicts import verdict
from eiclip.report.headline import MEASURES
from eiclip.report.numbers import signed
from eiclip.report.queries import select
from eiclip.report.numbers import number
from eiclip.report.queries import intervals

FEWEST = 10
"""Test products that a recall is worth telling of."""
NOTHING = 1.0
"""Points of recall@1, the mean of both directions, under which a shuffled group is called worth nothing."""


def limits(connection: duckdb.DuckDBPyConnection, dataset: str, row: Variant, *, embedded: bool) -> list[str]:
    """Limits of a variant's model, one a sentence or two."""
    found = [
        "It was trained and tested on drawn pictures: it knows nothing of real photos." if embedded else "",
        "It knows the catalogue it was trained on; products of another kind, another shop’s wording and other "
        "languages were not tested." if row.trained else "",
        _how_sure(connection, dataset, row),
        *_worthless(connection, dataset, row),
        *_unseen(connection, dataset, row),
        _cut(connection, dataset),
        _one_seed(connection, dataset) if row.trained else "",
    ]  # fmt: skip
    return [sentence for sentence in found if sentence]


def _how_sure(connection: duckdb.DuckDBPyConnection, dataset: str, row: Variant) -> str:
    known = intervals(connection, dataset, "full")
    ends = {name: known[row.name, name] for name in MEASURES if (row.name, name) in known}
    if not ends:
        return "How sure its recalls are is not known: there are no intervals yet."
    told = ", ".join(f"{MEASURES[name]} from {number(low)} to {number(high)}" for name, (low, high) in ends.items())
    return f"Other test products alone could move its figures (95 % intervals, all candidates): {told}."


def _worthless(connection: duckdb.DuckDBPyConnection, dataset: str, row: Variant) -> Iterator[str]:
    """Groups that the model does not use: shuffling them costs nothing."""
    lost: dict[str, list[float]] = {}
    for shuffled in select(connection, "shuffles", dataset=dataset, variant=row.name):
        lost.setdefault(shuffled["entity_group"], []).append(shuffled["r1_lost"])
    means = {group: sum(values) / len(values) for group, values in lost.items()}
    for group, mean in means.items():
        if mean < NOTHING:
            yield (
                f"It makes nothing of `{group}`: with the tags of that group shuffled among the test products, "
                f"recall@1 changes by {signed(-mean)} points."
            )


def _unseen(connection: duckdb.DuckDBPyConnection, dataset: str, row: Variant) -> Iterator[str]:
    """Recall where a tag was too rare in training, or is missing, beside recall where it is known."""
    groups: dict[str, dict[str, tuple[float, int]]] = {}
    if not (row.has_entities or row.entities_as_text):
        return
    for state in select(connection, "entity_states", dataset=dataset, variant=row.name):
        groups.setdefault(state["facet"].removesuffix(" state"), {})[state["value"]] = (state["r1"], state["products"])
    for group, states in groups.items():
        known = states.get("known")
        for name, words in (("unseen", "training saw too rarely or never"), ("missing", "a product lacks")):
            recall, products = states.get(name, (0.0, 0))
            if known and products >= FEWEST:
                yield (
                    f"`{group}` that {words}: recall@1 from text to photo {number(recall)} over {products:,} test "
                    f"products, against {number(known[0])} over the {known[1]:,} whose {group} it knows."
                )


def _cut(connection: duckdb.DuckDBPyConnection, dataset: str) -> str:
    rows = select(connection, "cut_share", dataset=dataset)
    if not rows or not rows[0]["cut_share"]:
        return ""
    share, length = 100 * rows[0]["cut_share"], rows[0]["context_length"]
    return f"It reads the first {length} tokens of a text: {number(share)} % of the test descriptions are longer."


def _one_seed(connection: duckdb.DuckDBPyConnection, dataset: str) -> str:
    said = verdict(connection, dataset, "seed_study")
    return said or "One training with one seed: how far another would move its figures has not been measured here."
