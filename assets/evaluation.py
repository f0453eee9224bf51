"""Embeddings per variant, ranks and metrics over them, intervals, paired tests and breakdowns."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from assets import features
from assets.common import Project
from assets.outputs import Check, Given, Output
from assets.relations import query
from assets.steps import Step
from assets.training import frozen_features
from eiclip.model.variants import VARIANTS
from eiclip.settings.load import DatasetSettings

TORCH, NUMPY = frozenset({"pytorch", "parquet"}), frozenset({"numpy", "parquet"})
EMBEDDINGS = "embeddings/"
RANK_COLUMNS = (
    "dataset", "variant", "protocol", "direction", "product_id", "rank", "rank_text_equal", "ndcg10",
)  # fmt: skip


def steps(project: Project, name: str, dataset: DatasetSettings) -> list[Step]:
    """The evaluation of a dataset's rows 1 to 6."""
    group = f"{name}/evaluation"
    settings = {"excluded_group": dataset.negatives_group}
    finite = Check("embeddings_are_finite", "No embedding has a NaN or an infinity, and each has length one.")
    return [
        *(
            Step(f"{name}__embeddings__{row}", group, [Output(
                (name, "embeddings", row),
                f"Unit-length embeddings of the test photos and texts by row {variant.row}: {variant.title}.",
                TORCH, make=_embed, sources=(f"checkpoint/{row}", "shards", *frozen_features(project, dataset)),
                settings=settings, checks=(finite,),
            )])
            for row, variant in VARIANTS.items()
        ),
        Step(f"{name}__metrics", group, _metrics(name)),
        Step(f"{name}__uncertainty", group, _uncertainty(name, dataset)),
    ]  # fmt: skip


def _embed(given: Given) -> tuple[pa.Table, Mapping[str, Any]]:
    from eiclip.evaluation.embedding_tables import embeddings_table
    from eiclip.model.entity_clip import load_checkpoint
    from eiclip.shards import shard_paths

    device, (checkpoint, *_) = given.device, given.of.sources
    model, paths = load_checkpoint(given.path(checkpoint), device), shard_paths(given.path("shards"), "test")
    excluded, store = given.parameters["excluded_group"], features.store_of(given, model)
    table = embeddings_table(model, given.dataset, paths, excluded_group=excluded, device=device, store=store)
    return table, {"device": device}


def _metrics(name: str) -> list[Output]:
    """Ranks of every query under every variant, and the recalls they come to."""
    tables = {f"table_{p}": f"rows.leaderboard({p})" for p in ("full", "sample100")}
    shown = tables | {"recall_by_row": "eiclip.report.plots:recall_plot", "recalls": "eiclip.report.answers:recalls"}
    sources = ("candidate_lists", "product_groups", "products", *(EMBEDDINGS + v for v in VARIANTS))
    return [
        Output((name, "retrieval_ranks"), kinds=TORCH, make=_ranks, sources=sources),
        query(name, "evaluation/retrieval_metrics", ("retrieval_ranks",)),
        query(name, "evaluation/chance_recalls", ("candidate_lists", "products", "images", "product_groups"),
              {"dataset": name}),
        query(name, "evaluation/leaderboard", ("retrieval_metrics",), {"variants": list(VARIANTS)}).showing(**shown),
    ]  # fmt: skip


def _ranks(given: Given) -> tuple[pa.Table, Mapping[str, Any]]:
    """Rank of every test query under every variant, protocol and direction; ties count against the model."""
    from eiclip.evaluation.protocols import ranks_table

    columns, tested = ["product_id", "description"], [("split", "=", "test")]
    products = given.table("products", columns, tested).to_pydict()
    lists, groups, device = given.table("candidate_lists"), given.table("product_groups"), given.device
    descriptions = dict(zip(*(products[column] for column in columns), strict=True))
    ranked = (
        ranks_table(given.table(source), lists, descriptions=descriptions, product_groups=groups, device=device)
        for source in given.of.sources
        if source.startswith(EMBEDDINGS)
    )
    return pa.concat_tables(ranked), {"shortfall": sum(lists["shortfall"].to_pylist())}


def _uncertainty(name: str, dataset: DatasetSettings) -> list[Output]:
    """What a dataset's ranks are worth: facets, intervals, comparisons and breakdowns."""
    report, ranks = "eiclip.report.breakdown:", ("retrieval_ranks",)
    facets = ("products", "product_entities", "semantic_prior", "entity_vocabulary")
    roles = {"group": dataset.brand_group, "negatives_group": dataset.negatives_group}
    comparisons = {"table": "rows.comparisons", "comparison_plot": f"{report}comparison_plot"}
    breakdowns = {"table": "breakdowns.facets"}
    breakdowns |= {one: f"{report}{one}" for one in ("facet_plot", "brand_plot", "where_it_wins")}
    return [
        query(name, "evaluation/query_facets", facets, roles),
        Output((name, "metric_intervals"), kinds=NUMPY, make=_intervals, sources=ranks),
        Output((name, "row_comparisons"), kinds=NUMPY, make=_comparisons, sources=ranks, shown=comparisons),
        Output(
            (name, "recall_breakdowns"), kinds=NUMPY, make=_breakdowns, sources=(*ranks, "query_facets"),
            shown=breakdowns,
        ),
    ]  # fmt: skip


def _intervals(given: Given) -> pa.Table:
    """Every recall, MRR, nDCG@10 and SumR with its 95 % bootstrap interval over products."""
    from eiclip.evaluation.comparisons import metric_intervals

    return metric_intervals(given.table("retrieval_ranks", RANK_COLUMNS))


def _comparisons(given: Given) -> pa.Table:
    """Differences between rows on the same resampled products, with 95 % intervals and the p-value of a paired
    randomisation test over products; row 5 against row 3 first.
    """
    from eiclip.evaluation.comparisons import row_comparisons

    return row_comparisons(given.table("retrieval_ranks", RANK_COLUMNS))


def _breakdowns(given: Given) -> pa.Table:
    """Recall of every row by brand, subcategory, state of each entity group, how confounded the brand is, and number
    of meanings; the gain over row 3 with its interval, from 5 products up.
    """
    from eiclip.evaluation.breakdowns import recall_breakdowns

    return recall_breakdowns(given.table("retrieval_ranks", RANK_COLUMNS), given.table("query_facets"))
