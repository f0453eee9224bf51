"""What starts runs by itself: a sensor of new or changed raw files."""

from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg
from pydantic import BaseModel, ValidationError

from assets.ablations import ablation_keys
from assets.common import Project
from eiclip.errors import EiclipError
from eiclip.readers.fashiongen.reader import SPLITS as FASHIONGEN_FILES
from eiclip.settings.load import DatasetSettings
from eiclip.storage.files import digest
from eiclip.storage.locations import folder_stamp, stamp

JOB = "full_eval"
SECONDS = 60
DATASETS_TAG = "eiclip/changed_datasets"


class Look(BaseModel):
    """What the sensor knows of a dataset's raw files: digests of their stamps."""

    seen: str = ""  # at the last look
    requested: str = ""  # when a run was last asked for


class Cursor(BaseModel):
    """What the sensor remembers between looks."""

    requests: int = 0
    datasets: dict[str, Look] = {}

    @classmethod
    def read(cls, text: str | None) -> "Cursor":
        """The cursor of its JSON; an empty one for any other text (then one run too many is asked for)."""
        try:
            return cls.model_validate_json(text or "{}")
        except ValidationError:
            return cls()


def raw_files_sensor(project: Project) -> dg.SensorDefinition:
    """A sensor that asks for a run when raw files are new or changed, and written to no longer.

    Only names, sizes, times and checksums are looked at, as the file system or the store tells them. A folder of
    photos is not gone through: see `eiclip.storage.locations.folder_stamp`.
    """

    @dg.sensor(
        name="raw_files",
        job_name=JOB,
        minimum_interval_seconds=SECONDS,
        default_status=dg.DefaultSensorStatus.STOPPED,
        description="New or changed raw files: asks for a run once they are the same at two looks in a row.",
    )
    def raw_files(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        cursor = Cursor.read(context.cursor)
        datasets = {name: dataset for name, dataset in project.datasets().items() if not dataset.embedded}
        changed, unsettled = look_at(datasets, cursor)
        for name, why in unsettled.items():
            context.log.info(f"{name}: {why}")
        if not changed:
            same = (
                "raw files are as they were" if datasets else "no dataset has raw files of its own (all are synthetic)"
            )
            why = "; ".join(f"{name}: {why}" for name, why in unsettled.items()) or same
            return dg.SensorResult(skip_reason=why, cursor=cursor.model_dump_json())
        cursor.requests += 1
        selection = None
        if unsettled and context.repository_def is not None:
            # Unchanged datasets stay in: their assets are reused at once, and the report needs them.
            keys = context.repository_def.asset_graph.get_all_asset_keys()
            keys -= {dg.AssetKey(key) for key in ablation_keys(project)}  # no part of the job
            selection = sorted(key for key in keys if key.path[0] not in unsettled)
        request = dg.RunRequest(
            run_key=f"raw-files-{cursor.requests}-" + "-".join(changed.values()),
            tags={DATASETS_TAG: ",".join(changed)[:255]},
            asset_selection=selection,
        )
        return dg.SensorResult(run_requests=[request], cursor=cursor.model_dump_json())

    return raw_files


def look_at(datasets: Mapping[str, DatasetSettings], cursor: Cursor) -> tuple[dict[str, str], dict[str, str]]:
    """Look at the raw files of datasets and note in the cursor what was seen.

    Returns:
        The datasets to run for, with the digest of their files; and those that cannot be run now, with the reason.
    """
    changed: dict[str, str] = {}
    unsettled: dict[str, str] = {}
    cursor.datasets = {name: look for name, look in cursor.datasets.items() if name in datasets}
    for name, dataset in datasets.items():
        look = cursor.datasets.setdefault(name, Look())
        try:
            found = digest([[place, stamps] for place, stamps in raw_stamps(dataset)])
        except EiclipError as error:
            look.seen = ""
            unsettled[name] = str(error)
            continue
        if found != look.seen and found != look.requested:
            unsettled[name] = "raw files are new or being written; waiting until they are the same at two looks"
        elif found != look.requested:
            changed[name] = look.requested = found
        look.seen = found
    return changed, unsettled


def raw_stamps(dataset: DatasetSettings) -> Iterator[tuple[str, list[Any]]]:
    """Each raw place of a dataset with its stamp; RawDataError or SettingsError where one cannot be looked at."""
    if dataset.folder:
        for name in FASHIONGEN_FILES:
            yield name, stamp(f"{dataset.folder.rstrip('/')}/{name}")
    for place in filter(None, (dataset.metadata, dataset.reviews, dataset.files)):
        yield place, stamp(place)
    if dataset.images:
        yield dataset.images, folder_stamp(dataset.images)
