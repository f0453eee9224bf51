"""Cross-encoders: rows 10 to 14 trained, asked, and compared with rows 2, 3, 5 and 6 on the same queries."""

import shutil
import time
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from assets import cards
from assets.common import Project
from assets.evaluation import NUMPY, RANK_COLUMNS, TORCH
from assets.outputs import Check, Given, Output
from assets.sources import prefixed
from assets.steps import Step
from assets.training import checkpoint_step, frozen_features, recipe_of
from eiclip.model.variants import CROSS_VARIANTS
from eiclip.settings.load import DatasetSettings
from eiclip.storage.cache import content_digest
from eiclip.storage.files import digest

RANKS, INTERVALS, COMPARISONS = "cross_modal_ranks", "cross_modal_intervals", "cross_modal_comparisons"
CARDS = "cross_modal_cards"
JOB = "cross_modal"
BESIDE = ("clip_description", "clip_entities_text", "eiclip", "eiclip_plus")
"""Rows that they are compared with."""
SOURCES = ("shards", "embeddings/eiclip", "candidate_lists", "products")
PAIRS = (
    ("eiclip_rerank", "eiclip"),
    ("eiclip_rerank", "eiclip_plus"),
    ("fashionbert_entities", "clip_entities_text"),
    ("kaleidobert_entities", "clip_entities_text"),
    ("fashionbert_entities", "eiclip"),
    ("kaleidobert_entities", "eiclip"),
    ("kaleidobert_entities", "fashionbert_entities"),
    ("fashionbert_entities", "fashionbert"),
    ("kaleidobert_entities", "kaleidobert"),
    ("fashionbert", "clip_description"),
    ("kaleidobert", "clip_description"),
)
"""Rows that are compared, the second the baseline; the first pair is the question asked beforehand."""


def steps(project: Project, name: str, dataset: DatasetSettings) -> list[Step]:
    """The cross-encoders of a dataset, their ranks, what these are worth, and their cards."""
    group = f"{name}/{JOB}"
    parts = prefixed(f"{RANKS}/", CROSS_VARIANTS)
    compared = (*parts, "retrieval_ranks")
    return [
        *(checkpoint_step(project, name, dataset, variant, JOB) for variant in CROSS_VARIANTS.values()),
        *(_ranked(project, name, dataset, variant) for variant in CROSS_VARIANTS),
        Step(f"{name}__{JOB}", group, [
            Output((name, INTERVALS), kinds=NUMPY, make=_intervals, sources=compared,
                   shown={"table": "cross_modal.board"}),
            Output((name, COMPARISONS), kinds=NUMPY, make=_comparisons, sources=compared,
                   shown={"table": "cross_modal.comparisons"}),
        ]),
        cards.cards_step(project, name, dataset, CARDS, CROSS_VARIANTS, (INTERVALS, COMPARISONS),
                         (*cards.READ, INTERVALS, COMPARISONS), group),
    ]  # fmt: skip


def _ranked(project: Project, name: str, dataset: DatasetSettings, variant: str) -> Step:
    group, title = f"{name}/{JOB}", CROSS_VARIANTS[variant].title
    text = (
        f"Rank of test queries under {title}: in sample-100's lists, and among row 5's first answers scored again; "
        "what is not among these keeps row 5's rank."
    )

    def outputs(recipe: Mapping[str, Any]) -> list[Output]:
        cross = recipe_of(project, dataset, recipe, variant).cross
        return [
            Output(
                (name, RANKS, variant),
                text,
                TORCH,
                make=_rank,
                sources=(f"checkpoint/{variant}", *SOURCES, *frozen_features(project, dataset)),
                settings={
                    "excluded_group": dataset.negatives_group,
                    "first": cross.first,
                    "queries": cross.queries,
                },
                checks=(WITHIN,),
            )
        ]

    return Step(f"{name}__{RANKS}__{variant}", group, outputs)


WITHIN = Check(
    "right_answers_are_within_reach",
    "Row 5 has the right answer among its first ones for most queries: recall after re-ranking cannot be higher. A "
    "warning.",
    holds=lambda made, place: (
        min(made.facts["ceiling"].values(), default=0.0) >= HALF,
        made.facts["ceiling"] | {"message": f"row 5's first {made.facts['first']} hold too few right answers"},
    ),
    blocking=False,
)
HALF = 50.0
"""Percent."""


def _rank(given: Given) -> Mapping[str, Any]:
    """Score the pairs of a cross-encoder, chunk by chunk, and rank by them."""
    from eiclip.evaluation.cross_ranks import cross_evaluation
    from eiclip.model.entity_clip import load_checkpoint
    from eiclip.shards import shard_paths

    device, checkpoint = given.device, given.path(given.of.sources[0])
    products = given.table("products", ["product_id", "description"], [("split", "=", "test")]).to_pydict()
    evaluation = cross_evaluation(
        load_checkpoint(checkpoint, device),
        shard_paths(given.path("shards"), "test"),
        given.path("shards"),
        given.project.paths.patches(given.dataset),
        given.table("embeddings/eiclip"),
        given.table("candidate_lists"),
        dict(zip(products["product_id"], products["description"], strict=True)),
        **given.parameters,
        device=device,
    )
    folder = given.output.with_suffix(".scores")  # of chunks, until all are there
    key = digest([given.of.code.digest, dict(given.parameters), *(content_digest(given.path(s)) for s in SOURCES),
                  content_digest(checkpoint)])  # fmt: skip
    started = time.perf_counter()
    ranks = evaluation.ranks(folder, key)
    seconds = time.perf_counter() - started
    given.project.paths.lake.write_file(ranks, given.output)
    shutil.rmtree(folder, ignore_errors=True)
    facts = {"first": evaluation.first, "ceiling": {k: round(v, 2) for k, v in evaluation.ceiling().items()}}
    return facts | {"rows": len(ranks), "device": device, "seconds": round(seconds, 1)}


def _with_rows(given: Given) -> pa.Table:
    """Ranks of the cross-encoders, and of the same queries under the rows that they are compared with."""
    parts = [given.table(source, RANK_COLUMNS) for source in given.of.sources if source.startswith(f"{RANKS}/")]
    ranks = given.table("retrieval_ranks", [*RANK_COLUMNS, "query_id"])
    names = ["protocol", "direction", "query_id"]
    asked = given.table(given.of.sources[0], names)
    wanted = pc.binary_join_element_wise(*(asked[name] for name in names), "\n")
    own = pc.binary_join_element_wise(*(ranks[name] for name in names), "\n")
    beside = pc.and_(pc.is_in(ranks["variant"], pa.array(BESIDE)), pc.is_in(own, wanted.combine_chunks()))
    return pa.concat_tables([*parts, ranks.filter(beside).select(list(RANK_COLUMNS))])


def _intervals(given: Given) -> pa.Table:
    """Recalls of the cross-encoders, and of rows 2, 3, 5 and 6 on the same queries, with their 95 % intervals."""
    from eiclip.evaluation.comparisons import metric_intervals

    return metric_intervals(_with_rows(given))


def _comparisons(given: Given) -> pa.Table:
    """Differences between the cross-encoders and rows 2, 3, 5 and 6, paired by product, with intervals and p-values."""
    from eiclip.evaluation.comparisons import row_comparisons

    return row_comparisons(_with_rows(given), pairs=PAIRS)
