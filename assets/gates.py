"""What entities do: gates and what each group is worth, and interventions on single entities of single queries."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from assets.common import OWNERS, House, result, say, sql_description, table_metadata
from assets.relations import Relation, make_relation
from eiclip.files import source_version
from eiclip.storage.catalogue import connect
from eiclip.storage.sql import read_sql
from eiclip.settings import DatasetSettings
from eiclip.storage.cache import Made, content_of, make_once
from eiclip.variants import VARIANTS

GATED = tuple(name for name, variant in VARIANTS.items() if variant.has_entities)
"""Variants with entity encoders and gates: rows 4 and 5."""
READING = tuple(name for name, variant in VARIANTS.items() if variant.has_entities or variant.entities_as_text)
"""Variants that read entities at all: rows 3, 4 and 5."""
LOGS = "training_log"
RELATIONS = (
    Relation("gate_report", ("gate_weights", "entity_vocabulary", "entity_shuffles")),
    Relation("intervention_summary", ("interventions",)),
)


@dataclass(frozen=True)
class _FromModels:
    """A table made of trained models: what it is, which variants, and what else it is made from."""

    table: str
    description: str
    variants: tuple[str, ...]
    code: tuple[str, ...]
    make: Callable[[House, str], pa.Table]
    sources: tuple[str, ...] = ()
    embedded: bool = True
    seeded: bool = True

    def deps(self, name: str) -> list[list[str]]:
        """Assets it needs."""
        kinds = ("checkpoint", "embeddings") if self.embedded else ("checkpoint",)
        return [[name, kind, v] for kind in kinds for v in self.variants] + [[name, s] for s in self.sources]


def _from_models() -> tuple[_FromModels, ...]:
    model = ("eiclip.model", "eiclip.embed", "eiclip.retrieval", "eiclip.variants", "eiclip.gates")
    return (
        _FromModels(
            "gate_weights",
            "w_k of every entity, for rows 4 (constant) and 5.",
            GATED,
            ("eiclip.model", "eiclip.gates"),
            _gate_weights,
            embedded=False,
            seeded=False,
        ),
        _FromModels(
            "entity_shuffles",
            "Recall@1 lost when one group's entities change places between the test products, and when it is removed.",
            GATED,
            model,
            _entity_shuffles,
            ("shards",),
        ),
        _FromModels(
            "interventions",
            "What the ranking of a sample of test products does when one of their entities is removed, swapped for "
            "another or written into the text instead: ranks, gates, best photos. Rows 3, 4 and 5, text to photo.",
            READING,
            (*model, "eiclip.interventions"),
            _interventions,
            ("shards", "entity_vocabulary"),
        ),
    )


def build(house: House, name: str, dataset: DatasetSettings) -> dg.AssetsDefinition:
    """One multi-asset for all that a dataset's entities do."""
    group: dict[str, Any] = {"group_name": f"{name}/evaluation", "owners": OWNERS}
    tables = _from_models()
    history = dg.AssetSpec(
        [name, "gate_history"],
        deps=[[name, "checkpoint", variant] for variant in GATED],
        description=sql_description("gate_history"),
        kinds={"duckdb", "parquet"},
        **group,
    )
    specs = [
        dg.AssetSpec(
            [name, table.table],
            deps=table.deps(name),
            description=table.description,
            kinds={"pytorch", "parquet"},
            **group,
        )
        for table in tables
    ]
    specs += [
        dg.AssetSpec(
            [name, relation.table],
            deps=[[name, source] for source in relation.sources],
            description=sql_description(relation.table),
            kinds={"duckdb", "parquet"},
            **group,
        )
        for relation in RELATIONS
    ]

    @dg.multi_asset(name=f"{name}__gates", specs=[*specs, history])
    def asset(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult]:
        made = {table.table: _make_from_models(house, name, table) for table in tables}
        made |= {relation.table: make_relation(house, name, relation) for relation in RELATIONS}
        made["gate_history"] = _make_history(house, name)
        house.home.lake.refresh_catalogue()
        shown = _shown(house, name)
        for table, (record, output) in made.items():
            say(context, record, output)
            metadata = table_metadata([output]) | shown.get(table, {})
            yield result(record, output, key=dg.AssetKey([name, table]), metadata=metadata)

    return asset


def _make_from_models(house: House, name: str, table: _FromModels) -> tuple[Made, Path]:
    home = house.home
    output = home.lake.path(table.table, name)
    inputs: dict[str, Any] = {
        "code": source_version(*table.code),
        "checkpoints": {variant: content_of(home.checkpoint(name, variant)) for variant in table.variants},
    }
    if table.embedded:
        files = {variant: home.lake.path("embeddings", name, variant) for variant in table.variants}
        inputs["embeddings"] = {variant: content_of(file) for variant, file in files.items()}
    for source in table.sources:
        inputs[source] = content_of(home.shards(name) if source == "shards" else home.lake.path(source, name))
    if table.seeded:
        inputs["seed"] = house.settings.seed

    def write() -> dict[str, Any]:
        home.lake.write(table.make(house, name), table.table, name)
        return {}

    return make_once(output, inputs, write), output


def _make_history(house: House, name: str) -> tuple[Made, Path]:
    """Gates over the steps; step logs have no record, so the checkpoints they belong to say whether they changed."""
    lake = house.home.lake
    output = lake.path("gate_history", name)
    checkpoints = {variant: content_of(house.home.checkpoint(name, variant)) for variant in GATED}
    inputs = {"code": read_sql("gate_history"), "checkpoints": checkpoints}
    logs = [lake.path(LOGS, name, variant) for variant in GATED]
    return make_once(output, inputs, lambda: {"rows": lake.query("gate_history", output, {LOGS: logs}, {})}), output


def _gate_weights(house: House, name: str) -> pa.Table:
    from eiclip.gates import gate_weights
    from eiclip.model.entity_clip import load_checkpoint

    models = [load_checkpoint(house.home.checkpoint(name, variant)) for variant in GATED]
    return pa.concat_tables(gate_weights(model, name) for model in models)


def _entity_shuffles(house: House, name: str) -> pa.Table:
    from eiclip.gates import entity_shuffles

    def table(model: Any, embeddings: pa.Table, samples: Sequence[Any], device: str) -> pa.Table:
        return entity_shuffles(model, embeddings, samples, seed=house.settings.seed, device=device)

    return _of_each(house, name, GATED, table)


def _interventions(house: House, name: str) -> pa.Table:
    from eiclip.interventions import interventions_table

    vocabulary = pq.read_table(house.home.lake.path("entity_vocabulary", name))

    def table(model: Any, embeddings: pa.Table, samples: Sequence[Any], device: str) -> pa.Table:
        seed = house.settings.seed
        return interventions_table(model, embeddings, samples, vocabulary, seed=seed, device=device)

    return _of_each(house, name, READING, table)


def _of_each(
    house: House, name: str, variants: Sequence[str], table: Callable[[Any, pa.Table, Sequence[Any], str], pa.Table]
) -> pa.Table:
    """A table of every variant's model, its embeddings and the test products, one after the other."""
    from eiclip.gates import products_of
    from eiclip.model.entity_clip import load_checkpoint
    from eiclip.shards import read_samples, shard_paths

    device = house.step_device()
    samples = products_of(read_samples(shard_paths(house.home.shards(name), "test")))
    tables = []
    for variant in variants:
        model = load_checkpoint(house.home.checkpoint(name, variant), device)
        embeddings = pq.read_table(house.home.lake.path("embeddings", name, variant))
        tables.append(table(model, embeddings, samples, device))
    return pa.concat_tables(tables)


def _shown(house: House, name: str) -> dict[str, dict[str, Any]]:
    """By table, what the UI shows of it: the report's tables, plots and sentence, as far as there is something."""
    from eiclip.report import intervention_plots as plots
    from eiclip.report import intervention_tables as tables
    from eiclip.report.plots import gate_history_plot

    with connect(house.home.root) as connection:
        said = tables.what_gates_say(connection, name)
        shown = {
            "gate_weights": _pair(connection, name, tables.gate_entities_table, plots.gate_support_plot),
            "gate_report": _pair(connection, name, tables.gate_report_table, plots.gate_usefulness_plot),
            "gate_history": _pair(connection, name, None, gate_history_plot),
            "interventions": _pair(connection, name, tables.intervention_examples, plots.swap_plot),
            "intervention_summary": _pair(connection, name, tables.intervention_table, plots.intervention_plot),
        }
    if said:
        shown["gate_report"]["what_gates_say"] = said
    return shown


def _pair(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    make_table: Callable[[duckdb.DuckDBPyConnection, str], Any] | None,
    make_plot: Callable[[duckdb.DuckDBPyConnection, str], bytes | None],
) -> dict[str, Any]:
    """A table and a plot as markdown, each if it is there."""
    from eiclip.report.profile_tables import markdown
    from eiclip.report.theme import as_markdown_image

    found: dict[str, Any] = {}
    if make_table and (table := make_table(connection, name)):
        found[make_table.__name__] = dg.MetadataValue.md(markdown(table))
    if picture := make_plot(connection, name):
        found[make_plot.__name__] = dg.MetadataValue.md(as_markdown_image(picture, f"{name} {make_plot.__name__}"))
    return found
