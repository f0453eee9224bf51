"""The data profile: what a person wants to see of a dataset before training, as tables, and as plots in the UI."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pyarrow.parquet as pq

from assets.common import OWNERS, House, result, say, sql_description, table_metadata
from assets.relations import Relation, make_relation
from eiclip.files import digest, source_version
from eiclip.storage.catalogue import connect
from eiclip.report.paper import PAPER_ENTITIES
from eiclip.settings import DatasetSettings
from eiclip.storage.cache import Made, content_of, make_once

COMPOSITION = "composition"
TOKENS = "profile_tokens"
MOST_CONFOUNDED = 200
TOKEN_BUCKET = 4
SIDE_STEP = 64
PHOTO_SIZES = 200
FIBRES = 30
SOURCES = ("products", "images", "product_entities", "entity_vocabulary", "semantic_prior", "quarantine")


def compositions(house: House, name: str) -> dg.AssetsDefinition:
    """The fibres of a dataset's compositions; only for a dataset that has them as an entity group."""

    @dg.asset(
        key=[name, "compositions"],
        deps=[[name, "tagged_entities"]],
        group_name=f"{name}/relations",
        kinds={"python", "parquet"},
        owners=OWNERS,
        description="One row per distinct composition string and fibre, with its share in percent; `parsed` is false "
        "where a string could not be taken apart. `composition` is the entity of `tagged_entities`.",
    )
    def asset(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        made, output = make_compositions(house, name)
        say(context, made, output)
        house.home.lake.refresh_catalogue()
        return result(made, output, metadata=table_metadata([output]))

    return asset


def make_compositions(house: House, name: str) -> tuple[Made, Path]:
    """Take the dataset's composition strings apart, unless they and the code are as they were."""
    lake = house.home.lake
    output, tagged = lake.path("compositions", name), lake.path("tagged_entities", name)
    inputs = {"code": source_version("eiclip.compositions"), "tagged_entities": content_of(tagged)}

    def make() -> dict[str, Any]:
        from eiclip.compositions import composition_table

        columns = pq.read_table(tagged, columns=["entity"], filters=[("entity_group", "=", COMPOSITION)])
        table = composition_table(columns["entity"].unique().to_pylist(), name)
        lake.write(table, "compositions", name)
        unparsed = table["parsed"].to_pylist().count(False)
        return {"compositions": len(table["composition"].unique()), "unparsed": unparsed}

    return make_once(output, inputs, make), output


def make_tokens(house: House, name: str) -> tuple[Made, Path]:
    """Count the tokens of every product's description, unless products and code are as they were."""
    lake = house.home.lake
    output, products = lake.path(TOKENS, name), lake.path("products", name)
    inputs = {"code": source_version("eiclip.profile"), "products": content_of(products)}

    def make() -> dict[str, Any]:
        from eiclip.profile import token_table

        lake.write(token_table(products, name), TOKENS, name)
        return {}

    return make_once(output, inputs, make), output


def relations(house: House, name: str, dataset: DatasetSettings) -> list[Relation]:
    """The profile's queries: each a table of the lake."""
    from eiclip.profile import configured_context_length

    length = configured_context_length(house.settings.model, str(house.settings.pretrained))
    paper = PAPER_ENTITIES.get(dataset.kind, {})
    beside = {"paper_groups": list(paper), "paper_entities": list(paper.values())}
    made_of_fibres = Relation(
        "profile_compositions", ("compositions", "product_entities"), {"dataset": name, "shown": FIBRES}
    )
    return [
        Relation("profile_splits", ("products", "images")),
        Relation("profile_entities", ("products", "product_entities", "entity_vocabulary"), beside),
        Relation("profile_confounded", ("semantic_prior",), {"most": MOST_CONFOUNDED}),
        Relation("profile_descriptions", ("products", TOKENS), {"context_length": length}),
        Relation("profile_token_histogram", (TOKENS,), {"width": TOKEN_BUCKET}),
        Relation("profile_photos", ("images",), {"step": SIDE_STEP, "most": PHOTO_SIZES}),
        Relation("profile_quarantine", ("quarantine",)),
        *([made_of_fibres] if COMPOSITION in dataset.entity_groups else []),
    ]


def build(house: House, name: str, dataset: DatasetSettings) -> dg.AssetsDefinition:
    """One asset for all tables of a dataset's profile."""
    sources = [*SOURCES, *(["compositions"] if COMPOSITION in dataset.entity_groups else [])]

    @dg.asset(
        key=[name, "data_profile"],
        deps=[[name, source] for source in sources],
        group_name=f"{name}/profile",
        kinds={"duckdb", "parquet"},
        owners=OWNERS,
        description=_description(),
    )
    def asset(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        made = {TOKENS: make_tokens(house, name)}
        for relation in relations(house, name, dataset):
            made[relation.table] = make_relation(house, name, relation)
        house.home.lake.refresh_catalogue()
        whole = _together({table: record for table, (record, _) in made.items()})
        output = house.home.lake.path("profile_splits", name)
        say(context, whole, Path("data_profile"))
        return result(whole, output, metadata=profile_metadata(house, name))

    return asset


def _description() -> str:
    """What each table holds, from the queries' own headers."""
    tables = ("splits", "entities", "confounded", "descriptions", "token_histogram", "photos", "quarantine")
    lines = [sql_description(f"profile_{table}").split("\n\n")[0] for table in (*tables, "compositions")]
    return "What to look at before training:\n\n" + "\n".join(f"- `{line.replace(':', '`:', 1)}" for line in lines)


def _together(made: dict[str, Made]) -> Made:
    """One record for several tables: reused only if all were."""
    return Made(
        digest({table: record.content for table, record in made.items()}),
        {},
        reused=all(record.reused for record in made.values()),
        seconds=round(sum(record.seconds for record in made.values()), 3),
    )


def profile_metadata(house: House, name: str) -> dict[str, dg.MetadataValue]:
    """The profile's tables and plots, as far as there is something to show."""
    from eiclip.report import profile_plots, profile_tables
    from eiclip.report.theme import as_markdown_image

    tables = (profile_tables.splits, profile_tables.entities, profile_tables.compositions, profile_tables.quarantine)
    plots: tuple[Callable[[duckdb.DuckDBPyConnection, str], bytes | None], ...] = (
        profile_plots.entity_plot,
        profile_plots.confounded_plot,
        profile_plots.token_plot,
        profile_plots.photo_plot,
        profile_plots.quarantine_plot,
    )
    metadata: dict[str, dg.MetadataValue] = {}
    with connect(house.home.root) as connection:
        for make in tables:
            if table := make(connection, name):
                metadata[f"table_{make.__name__}"] = dg.MetadataValue.md(profile_tables.markdown(table))
        for plot in plots:
            if picture := plot(connection, name):
                metadata[plot.__name__] = dg.MetadataValue.md(as_markdown_image(picture, f"{name} {plot.__name__}"))
    return metadata
