"""What entities do: gates and what each group is worth, and interventions on single entities of single queries."""

from collections.abc import Callable

import pyarrow as pa

from assets.common import Project
from assets.features import store_of
from assets.outputs import Given, Output
from assets.relations import query
from assets.sources import prefixed
from assets.steps import Step
from assets.training import frozen_features
from eiclip.model.variants import VARIANTS
from eiclip.settings.load import DatasetSettings

GATED = tuple(name for name, variant in VARIANTS.items() if variant.has_entities)
"""Variants with entity encoders and gates: rows 4 to 6."""
READING = tuple(name for name, variant in VARIANTS.items() if variant.has_entities or variant.entities_as_text)
"""Variants that read entities at all: rows 3 to 6."""
TORCH = frozenset({"pytorch", "parquet"})
CHECKPOINT, EMBEDDINGS = "checkpoint/", "embeddings/"


def steps(project: Project, name: str, dataset: DatasetSettings) -> list[Step]:
    """All that a dataset's entities do, as one step."""
    plots = "eiclip.report.intervention_plots:"
    seed, frozen = {"seed": project.settings.seed}, frozen_features(project, dataset)
    checkpoints = prefixed(CHECKPOINT, GATED)
    outputs = [
        Output(
            (name, "gate_weights"), kinds=TORCH, make=_gate_weights, sources=checkpoints
        ).showing(
            gate_entities_table="gates.entities", gate_support_plot=f"{plots}gate_support_plot"
        ),
        Output(
            (name, "entity_shuffles"), kinds=TORCH, make=_entity_shuffles,
            sources=(*checkpoints, *prefixed(EMBEDDINGS, GATED), "shards", *frozen),
            settings=seed,
        ).showing(shuffles="gates.shuffles"),
        Output(
            (name, "interventions"), kinds=TORCH, make=_interventions,
            sources=(*prefixed(CHECKPOINT, READING), *prefixed(EMBEDDINGS, READING), "shards", *frozen,
                     "entity_vocabulary"),
            settings=seed,
        ).showing(intervention_examples="gates.examples", swap_plot=f"{plots}swap_plot"),
        query(name, "evaluation/gate_report", ("gate_weights", "entity_vocabulary", "entity_shuffles")).showing(
            gate_report_table="gates.by_group",
            gate_usefulness_plot=f"{plots}gate_usefulness_plot",
            what_gates_say="eiclip.report.gates:what_gates_say",
        ),
        query(name, "evaluation/intervention_summary", ("interventions",)).showing(
            intervention_table="gates.interventions", intervention_plot=f"{plots}intervention_plot"
        ),
        Output(
            (name, "gate_history"), make="evaluation/gate_history", sources=checkpoints,
            files_of={"training_log": prefixed("training_log/", GATED)},
        ).showing(gate_history_plot="eiclip.report.plots:gate_history_plot"),
    ]  # fmt: skip
    return [Step(f"{name}__gates", f"{name}/evaluation", outputs)]


def _gate_weights(given: Given) -> pa.Table:
    """w_k of every entity, for rows 4 (constant), 5 and 6."""
    from eiclip.evaluation.gates import gate_weights
    from eiclip.model.entity_clip import load_checkpoint

    models = [load_checkpoint(given.path(source)) for source in given.of.sources]
    return pa.concat_tables(gate_weights(model, given.dataset) for model in models)


def _entity_shuffles(given: Given) -> pa.Table:
    """Recall@1 lost when one group's entities change places between the test products, and when it is removed."""
    from eiclip.evaluation.gates import entity_shuffles

    return _of_each(given, entity_shuffles)


def _interventions(given: Given) -> pa.Table:
    """What the ranking of a sample of test products does when one of their entities is removed, swapped for another or
    written into the text instead: ranks, gates, best photos. Rows 3 to 6, text to photo.
    """
    from eiclip.evaluation.interventions import interventions_table

    return _of_each(given, interventions_table, given.table("entity_vocabulary"))


def _of_each(given: Given, make: Callable[..., pa.Table], *more: pa.Table) -> pa.Table:
    """A table of every variant's model, its embeddings and the test products, one after the other."""
    from eiclip.evaluation.gates import products_of
    from eiclip.features.reader import features_of
    from eiclip.model.entity_clip import load_checkpoint
    from eiclip.shards import read_samples, shard_paths

    seed, device = given.parameters["seed"], given.device
    paths = shard_paths(given.path("shards"), "test")
    samples = products_of(read_samples(paths))
    tables = []
    for source in given.of.sources:
        if source.startswith(CHECKPOINT):
            model = load_checkpoint(given.path(source), device)
            embeddings = given.table(EMBEDDINGS + source.removeprefix(CHECKPOINT))
            known = features_of(store_of(given, model), paths)
            tables.append(make(model, embeddings, samples, *more, seed=seed, device=device, features=known))
    return pa.concat_tables(tables)
