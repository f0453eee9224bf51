"""What every asset shares: the house it works in, and how a made output becomes a materialisation people can read."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq

from eiclip.home import Home
from eiclip.lake import count_rows, read_sql
from eiclip.settings import DatasetSettings, Settings
from eiclip.stage import Made

STEPS_AT_ONCE = 2
"""Steps that run at the same time."""

OWNERS = ["team:eiclip"]


@dataclass(frozen=True)
class House:
    """The settings of this code location and the home they name."""

    settings: Settings
    home: Home

    @property
    def threads(self) -> int:
        """CPU threads of one step or trainer: two run at once; threads in excess cost time."""
        return max(1, (os.cpu_count() or 2) // STEPS_AT_ONCE)

    def step_device(self) -> str:
        """The device of work done within a step, with this step's share of threads."""
        from eiclip.devices import pick_device, use_threads

        use_threads(self.threads)
        return pick_device()

    def datasets(self) -> dict[str, DatasetSettings]:
        """All datasets by name."""
        return self.settings.datasets

    def of_table_1(self) -> dict[str, DatasetSettings]:
        """Those that the five rows of Table 1 are trained on."""
        return {name: dataset for name, dataset in self.datasets().items() if dataset.table_1}

    def of_same_style(self) -> dict[str, DatasetSettings]:
        """Those that same-style retrieval is learned on."""
        return {name: dataset for name, dataset in self.datasets().items() if dataset.same_style is not None}


class Recipe(dg.ConfigurableResource):
    """Training settings that a run configuration (`-c`) may change for that run; empty: the settings' own."""

    training: dict[str, Any] = {}  # noqa: RUF012 - pydantic copies it


def table_metadata(files: Sequence[Path]) -> dict[str, Any]:
    """Row count and column schema of Parquet files, under the names that Dagster's UI knows."""
    schema: pa.Schema = pq.read_schema(files[0])
    columns = [dg.TableColumn(field.name, str(field.type)) for field in schema]
    return {
        "dagster/row_count": count_rows(files),
        "dagster/column_schema": dg.TableSchema(columns=columns),
    }


def column_lineage(files: Sequence[Path], sources: dict[dg.AssetKey, Path]) -> dg.TableColumnLineage:
    """Columns that keep their name from a source table to the output, which is how the SQL here carries them."""
    names = {key: set(pq.read_schema(file).names) for key, file in sources.items()}
    found = {
        column: [dg.TableColumnDep(asset_key=key, column_name=column) for key in names if column in names[key]]
        for column in pq.read_schema(files[0]).names
    }
    return dg.TableColumnLineage({column: deps for column, deps in found.items() if deps})


def result(
    made: Made,
    output: Path,
    *,
    key: dg.AssetKey | None = None,
    metadata: dict[str, Any] | None = None,
    checks: Sequence[dg.AssetCheckResult] = (),
) -> dg.MaterializeResult:
    """The materialisation of an output: its facts, its place, and whether it was reused because nothing had changed."""
    facts = {name: readable(value) for name, value in made.facts.items()}
    shared = {"reused": made.reused, "seconds_to_make": made.seconds, "path": dg.MetadataValue.path(str(output))}
    return dg.MaterializeResult(
        asset_key=key,
        metadata=facts | (metadata or {}) | shared,
        data_version=dg.DataVersion(made.content),
        check_results=list(checks),
    )


def readable(value: Any) -> Any:
    """A fact as Dagster's UI shows it best."""
    return dg.MetadataValue.json(value) if isinstance(value, (dict, list)) else value


def say(context: dg.AssetExecutionContext, made: Made, output: Path) -> None:
    """One line in the run's log: what was made, or that it was reused."""
    what = "unchanged, reused" if made.reused else f"made in {made.seconds:.1f} s"
    name = output.parent.parent.name if output.name == "data.parquet" else output.name
    context.log.info(f"{name}: {what}")


def sql_description(query: str) -> str:
    """The header comment of a query, as the asset's description."""
    lines = []
    for line in read_sql(query).splitlines():
        if not line.startswith("--"):
            break
        lines.append(line.removeprefix("--").strip())
    return "\n\n".join(lines[:1]) + "\n\n" + " ".join(lines[1:])
