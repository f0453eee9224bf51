"""Results of earlier runs, kept beside the present one."""

import json
import time
from typing import Any

import dagster as dg

from assets.common import House
from assets.factory import OWNERS, table_metadata
from eiclip.files import digest
from eiclip.history import RUN_METRICS, RUN_RANKS, RUNS, Run, keep_run
from eiclip.settings import DatasetSettings
from eiclip.storage.cache import content_of
from eiclip.storage.catalogue import connect, refresh_catalogue
from eiclip.storage.code_version import code_version
from eiclip.storage.sql import read_sql
from eiclip.train.key import training_code
from eiclip.variants import VARIANTS

DATA = ("entity_vocabulary", "semantic_prior", "candidate_lists", "products")
PLACES = ("folder", "metadata", "images", "reviews", "files", "download", "publish")
"""Where a dataset lies is no part of its configuration: what lies there is in the data fingerprint."""
SHOWN = 20


def runs(house: House, name: str, dataset: DatasetSettings) -> dg.AssetsDefinition:
    """The kept runs of a dataset."""

    @dg.asset(
        key=[name, RUNS],
        deps=[[name, "retrieval_ranks"], [name, "retrieval_metrics"]],
        group_name=f"{name}/evaluation",
        kinds={"parquet"},
        owners=OWNERS,
        description=f"One row per run that came to a result of its own: run id, configuration hash, data fingerprint, "
        f"code, versions, settings. Its recalls and ranks are in `{RUN_METRICS}` and `{RUN_RANKS}`.",
    )
    def asset(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        lake = house.home.lake
        run_id, new = keep_run(lake, _run(house, name, dataset, context))
        context.log.info(f"{name}: {'kept as' if new else 'the same result as'} run {run_id}")
        refresh_catalogue(lake)
        metadata: dict[str, Any] = {"run_id": run_id, "new": new, "runs": dg.MetadataValue.md(_table(house, name))}
        return dg.MaterializeResult(metadata=table_metadata(lake.files(RUNS, name)) | metadata)

    return asset


def _run(house: House, name: str, dataset: DatasetSettings, context: dg.AssetExecutionContext) -> Run:
    trained = {variant: _described(house, name, variant) for variant in VARIANTS}
    given = dataset.model_dump(mode="json", exclude={*PLACES, "training"})
    settings = {
        "dataset": given,
        "training": {variant: described["training"] for variant, described in trained.items()},
        "pretrained": content_of(house.home.pretrained),
        "embedded": house.settings.embedded.model_dump() if dataset.embedded else None,
    }
    data = {table: content_of(house.home.lake.path(table, name)) for table in DATA}
    return Run(
        run_id=context.run.run_id,
        dataset=name,
        seed=house.settings.seed,
        settings=settings,
        data=data | {"shards": content_of(house.home.shards(name))},
        code_version=digest([training_code().digest, code_version(["assets.evaluation:_embed"]).digest]),
        device=trained[list(VARIANTS)[-1]]["device"],
        seconds=round(seconds_since_start(context), 1),
    )


def _described(house: House, name: str, variant: str) -> dict[str, Any]:
    """What a checkpoint says of its training."""
    described: dict[str, Any] = json.loads(
        (house.home.checkpoint(name, variant) / "eiclip.json").read_text(encoding="utf-8")
    )
    return described


def seconds_since_start(context: dg.AssetExecutionContext) -> float:
    """Seconds since the run began."""
    record = context.instance.get_run_record_by_id(context.run.run_id)
    return time.time() - (record.start_time if record and record.start_time else time.time())


def _table(house: House, name: str) -> str:
    """The newest kept runs, as markdown."""
    with connect(house.home.root) as connection:
        result = connection.execute(read_sql("run_summary"), {"dataset": name, "shown": SHOWN})
        header = [column[0] for column in result.description or ()]
        rows = [header, ["---"] * len(header), *result.fetchall()]
    return "\n".join("| " + " | ".join("–" if cell is None else str(cell) for cell in row) + " |" for row in rows)
