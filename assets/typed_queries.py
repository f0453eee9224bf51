"""What linking typed words to entities is worth: test descriptions with an entity's words written in, and no tags."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from assets.common import Project
from assets.outputs import Given, Output
from assets.steps import Step
from assets.training import frozen_features
from eiclip.model.variants import get_variant
from eiclip.settings.load import DatasetSettings

RANKS, METRICS, COMPARISONS = (f"typed_query_{table}" for table in ("ranks", "metrics", "comparisons"))
READ = (
    "products",
    "product_entities",
    "entity_spellings",
    "entity_vocabulary",
    "semantic_prior",
    "styles",
    "product_groups",
)


def steps(project: Project, name: str, dataset: DatasetSettings) -> list[Step]:
    """What linking is worth in a dataset's search: of row 5, or of same-style's row where there are no others."""
    variant = "eiclip" if dataset.table_1 else "same_style"
    group = f"{name}/{'evaluation' if dataset.table_1 else 'same_style'}"
    views = () if dataset.table_1 else (f"product_views/{variant}",)
    index = (f"checkpoint/{variant}", *views, "shards", *frozen_features(project, dataset))
    title = f"{get_variant(variant).title}. "
    asked = {
        "variant": variant,
        "group": dataset.brand_group,  # whose words buyers type
        "seed": project.settings.seed,
    }
    outputs = [
        Output(
            (name, RANKS),
            f"{title}One row per way of reading, pair of views and test product: its description with an entity's "
            "words written in is the query. Read as words alone, with the entities that linking finds, or with the "
            "product's own tags.",
            make=_ranks,
            sources=(*index, *READ),
            settings=asked,
        ),
        Output(
            (name, METRICS),
            f"{title}Recall and MRR of typed queries, by how they are read.",
            make="evaluation/same_style_metrics",
            sources=(RANKS,),
            files_of={"same_style_ranks": (RANKS,)},
        ),
        Output(
            (name, COMPARISONS),
            f"{title}What linking gains over plain text, and what is left to the product's own tags, with intervals.",
            make=_comparisons,
            sources=(RANKS,),
            settings={"variant": variant},
        ),
    ]
    return [Step(f"{name}__typed_queries", group, outputs)]


def _ranks(given: Given) -> tuple[pa.Table, Mapping[str, Any]]:
    from eiclip.search.engine import SearchEngine
    from eiclip.search.evaluate import linked_query_ranks

    home, asked = given.project.paths, given.parameters
    engine = SearchEngine.open(home.root, given.dataset, asked["variant"], given.device)
    styles, groups = given.table("styles"), given.table("product_groups")
    table = linked_query_ranks(
        engine,
        home.lake,
        asked["seed"],
        group=asked["group"],
        styles=styles if styles.num_rows else None,
        groups=groups,
    )
    return table, {"entities written in": asked["group"]}


def _comparisons(given: Given) -> pa.Table:
    from eiclip.same_style.uncertainty import same_style_comparisons
    from eiclip.search.evaluate import LINKED, TAGGED, TYPED

    typed, linked, tagged = (f"{given.parameters['variant']}, {way}" for way in (TYPED, LINKED, TAGGED))
    return same_style_comparisons(given.table(RANKS), pairs=((linked, typed), (tagged, linked)))
