"""What is done to every case: the steps of a dataset's assets from raw files to `quarantine`, without Dagster."""

import traceback
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from eiclip.errors import RawDataError, SettingsError
from eiclip.readers.open import open_reader
from eiclip.readers.photos import list_parts, part_rows_of, write_photos
from eiclip.readers.records import write_records
from eiclip.readers.spellings import entity_spellings
from eiclip.same_style.log import write_log
from eiclip.settings.load import DatasetSettings
from eiclip.storage.home import Paths
from eiclip.storage.lake import open_views
from eiclip.storage.sql import read_sql

NAME = "fuzz"
PART_ROWS = 4
_BESIDE: dict[str, dict[str, pa.DataType]] = {  # relations of other assets, here without rows
    "split_groups": {"product_id": pa.string(), "group_id": pa.string()},
    "review_stats": {"product_id": pa.string(), "review_count": pa.int64(), "mean_rating": pa.float64()},
    "helpful_reviews": {"product_id": pa.string(), "review_text": pa.string()},
}


def ingest(home: Path, dataset: DatasetSettings) -> dict[str, Any]:
    """Ingest a dataset; returns status (done | refused | error) and message, and raises nothing."""
    try:
        _ingest(Paths(home), dataset)
    except (RawDataError, SettingsError) as error:
        return {"status": "refused", "message": str(error)}
    except BaseException:
        return {"status": "error", "message": traceback.format_exc()}
    return {"status": "done", "message": ""}


def _ingest(home: Paths, dataset: DatasetSettings) -> None:
    lake = home.lake
    write_records(open_reader(home, NAME, dataset), NAME, lake.path("records", NAME))
    listed = lake.files("records", NAME)
    for part in list_parts(listed, PART_ROWS):
        rows = part_rows_of(listed, part, PART_ROWS)
        write_photos(rows, open_reader(home, NAME, dataset), NAME, lake.path("photos", NAME, part), {})
    for table, columns in _BESIDE.items():
        lake.write(pa.schema(columns).empty_table(), table, NAME)
    draws = {"seed": "0", "test_share": dataset.test_share, "validation_share": dataset.validation_share}
    _relation(home, "ingest/products", ("records", "photos", *_BESIDE), draws)
    photos = {"one_row": dataset.kind == "amazon", "part_rows": PART_ROWS}
    _relation(home, "ingest/images", ("records", "photos", "products"), photos)
    _relation(home, "ingest/quarantine", ("records", "photos", "images"), {"unit": unit_of(dataset)})
    lake.write(entity_spellings(listed, NAME, {}, (), fold=dataset.fold_entities), "entity_spellings", NAME)
    _relation(home, "ingest/conflicting_ids", ("records", "entity_spellings"), {})
    _check_accounts(home)
    _load_photos(home, dataset)
    if dataset.same_style is not None:
        log = dataset.same_style.log
        kept, rejected = (home.lake.path(table, NAME) for table in ("click_log", "click_rejections"))
        write_log(log, dataset.same_style.columns, NAME, kept, rejected, cache=home.fetched(NAME), latest=None)


def unit_of(dataset: DatasetSettings) -> str:
    """What places count in the raw files of a dataset."""
    return "line" if dataset.kind == "amazon" else "row"


def _relation(home: Paths, query: str, sources: tuple[str, ...], parameters: dict[str, Any]) -> None:
    files = {source: home.lake.files(source, NAME) for source in sources}
    home.lake.query(query, home.lake.path(query.rpartition("/")[2], NAME), files, parameters)


def _check_accounts(home: Paths) -> None:
    with duckdb.connect() as connection:
        open_views(connection, {table: home.lake.files(table, NAME) for table in ("records", "images", "quarantine")})
        offenders = connection.sql(read_sql("checks/rows_in_are_used_or_quarantined")).fetchall()
    assert not offenders, f"records, images, quarantined: {offenders}"


def _load_photos(home: Paths, dataset: DatasetSettings) -> None:
    """Whatever became an image can be loaded, as the shards will do."""
    with duckdb.connect() as connection:
        open_views(connection, {"images": home.lake.files("images", NAME)})
        images = connection.sql("SELECT photo, photo_width, photo_height FROM images").fetchall()
    loaded = open_reader(home, NAME, dataset).photos([photo for photo, _, _ in images])
    for (name, width, height), photo in zip(images, loaded, strict=True):
        assert photo.size == (width, height), f"{name}: {photo.size}, was {width} x {height}"
