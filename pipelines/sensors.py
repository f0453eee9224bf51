"""What starts runs by itself: a sensor of new or changed raw files."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import dagster as dg

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


@dataclass
class Look:
    """What the sensor knows of a dataset's raw files: digests of their stamps."""

    seen: str = ""  # at the last look
    requested: str = ""  # when a run was last asked for


@dataclass
class Cursor:
    """What the sensor remembers between looks."""

    requests: int = 0
    datasets: dict[str, Look] = field(default_factory=dict)

    @classmethod
    def read(cls, text: str | None) -> "Cursor":
        """The cursor of a text that `write` made; an empty one for any other (then one run too many is asked for)."""
        try:
            value = json.loads(text or "{}")
            looks = {
                str(name): Look(str(one["seen"]), str(one["requested"])) for name, one in value["datasets"].items()
            }
            return cls(int(value["requests"]), looks)
        except (ValueError, KeyError, TypeError, AttributeError):
            return cls()

    def write(self) -> str:
        """The cursor as text."""
        return json.dumps(asdict(self), sort_keys=True)


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
            why = "; ".join(f"{name}: {why}" for name, why in unsettled.items()) or _nothing(datasets)
            return dg.SensorResult(skip_reason=why, cursor=cursor.write())
        cursor.requests += 1
        outside = {dg.AssetKey(key) for key in ablation_keys(project)}
        request = dg.RunRequest(
            run_key=f"raw-files-{cursor.requests}-" + "-".join(changed.values()),
            tags={DATASETS_TAG: ",".join(changed)[:255]},
            asset_selection=_all_but(context.repository_def, set(unsettled), outside),
        )
        return dg.SensorResult(run_requests=[request], cursor=cursor.write())

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


def _nothing(datasets: Mapping[str, DatasetSettings]) -> str:
    return "raw files are as they were" if datasets else "no dataset has raw files of its own (all are synthetic)"


def _all_but(
    repository: dg.RepositoryDefinition | None, unsettled: set[str], outside: set[dg.AssetKey]
) -> list[dg.AssetKey] | None:
    """Every asset of the job (some are `outside` it) but those of datasets that cannot be run now; None for all.

    Unchanged datasets stay in: their assets are reused at once, and the report needs them.
    """
    if not unsettled or repository is None:
        return None
    keys = repository.asset_graph.get_all_asset_keys() - outside
    return sorted(key for key in keys if key.path[0] not in unsettled)
