"""What a search reads besides tables: products' views by the models trained last; and what has drifted since then."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from assets.common import Project
from assets.outputs import Check, Given, Output
from assets.same_style import group_of
from assets.sources import known_content
from assets.steps import Step
from eiclip.model.variants import SAME_STYLE_VARIANTS, get_variant
from eiclip.search.sources import SERVED, TABLES, KeptViews
from eiclip.settings.load import DatasetSettings
from eiclip.storage.cache import content_digest

INDEX, DRIFT, TRAINED = "search_index", "drift", "trained_products"


def steps(project: Project, name: str, dataset: DatasetSettings) -> list[Step]:
    """The search index of each variant that is searched with, and its drift, a step a variant.

    A model that was trained on earlier shards is taken as it is: these are made again without any training.
    """
    found = []
    for variant in SERVED:
        of_clicks = variant in SAME_STYLE_VARIANTS
        if dataset.same_style is not None if of_clicks else dataset.table_1:
            group = group_of(name) if of_clicks else f"{name}/evaluation"
            outputs = [_index(project, name, variant), _drift(project, name, variant)]
            found.append(Step(f"{name}__{INDEX}__{variant}", group, outputs, subset=True))
    return found


def _index(project: Project, name: str, variant: str) -> Output:
    views, model = KeptViews(project.paths, name, variant), f"checkpoint/{variant}"
    return Output(
        (name, INDEX, variant),
        f"{get_variant(variant).title}: one row per product of the shards, in three views, as search compares them. By "
        "the model that was trained last; products whose photo, text and entities are the same keep their vectors.",
        frozenset({"pytorch", "parquet"}),
        make=_embed,
        sources=(model, "shards"),
        as_is=(model,),
        after=(model, "shards", *TABLES),
        code_of=("eiclip.evaluation.embedding_tables:renewed_views",),
        inputs=views.inputs,
        subject=views,
        alone=views.lock,
        first=views.remember,
    )


def _embed(given: Given) -> Mapping[str, Any]:
    views: KeptViews = given.of.subject
    return views.make(given.device)


def _drift(project: Project, name: str, variant: str) -> Output:
    model, trained = f"checkpoint/{variant}", project.paths.place((name, TRAINED, variant))
    folder = project.paths.checkpoint(name, variant)
    still = Check(
        "model_fits_the_products", "Products that are new since the training are found about as well as those that "
        "were held out of it, and have no more entities that the model does not know. A warning: train again.",
        says=True, blocking=False,
    )  # fmt: skip
    return Output(
        (name, DRIFT, variant),
        f"{get_variant(variant).title}: what has changed since it was trained, and what that has cost.",
        frozenset({"numpy", "parquet"}),
        make=_compare,
        sources=(f"{INDEX}/{variant}", "shards"),
        as_is=(model,),
        after=(model, f"{INDEX}/{variant}"),
        external={
            model: lambda: content_digest(folder),
            TRAINED: lambda: known_content(trained) if trained.is_file() else "none",
        },
        checks=(still,),
    )


def _compare(given: Given) -> tuple[pa.Table, Mapping[str, Any]]:
    """What has changed since a model was trained: numbers of products, unknown entities, recall of the new ones."""
    from eiclip.evaluation.drift import checkpoint_vocabulary, drift_table
    from eiclip.shards.products import product_contents

    index, shards, variant = *map(given.path, given.of.sources), given.of.key[-1]
    model = given.project.paths.checkpoint(given.dataset, variant)
    file = given.project.paths.place((given.dataset, TRAINED, variant))
    trained = pq.read_table(file, partitioning=None) if file.is_file() else None
    views = pq.read_table(index, partitioning=None)
    found = drift_table(views, product_contents(shards), trained, checkpoint_vocabulary(model), given.dataset, variant)
    return found, {"changed": "not known: trained before this table was kept"} if trained is None else {}
