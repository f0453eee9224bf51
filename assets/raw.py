"""Raw files, the records read from them, and their photos, examined in parts."""

import functools
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from assets.common import Project
from assets.outputs import Check, Given, Output
from assets.sources import raw_content
from assets.steps import PartedStep, Step
from eiclip.readers.amazon.reviews import REJECTED_SCHEMA, SCHEMA, write_reviews
from eiclip.readers.base import RawReader
from eiclip.readers.known_photos import KnownPhotos, known_of
from eiclip.readers.open import open_reader
from eiclip.readers.photos import PhotoRow, download_missing, list_parts, part_rows_of, photos_found, write_photos
from eiclip.readers.records import write_records
from eiclip.settings.load import DatasetSettings
from eiclip.storage.cache import CachedOutput, Inputs, read_record, remembered, remove_output
from eiclip.storage.files import beside, digest, whole_folder, write_json
from eiclip.storage.lake import count_rows
from eiclip.storage.locations import local_file, stamp
from eiclip.synthetic import write_amazon, write_fashiongen, write_styles

KINDS = {"fashiongen": "hdf5", "amazon": "json", "table": "parquet", "styles": "parquet"}


def steps(project: Project, name: str, dataset: DatasetSettings) -> list[Step | PartedStep]:
    """What is made of a dataset's raw files alone; first the synthetic ones themselves."""
    group = f"{name}/ingestion"
    raw = {"raw_files": functools.partial(raw_content, project, name)}
    text = "Raw files in the layout people hold them in: the user's own, or the synthetic catalogue's, generated."
    files = Output((name, "raw_files"), text, frozenset({KINDS[dataset.kind], "file"}), make=_list, external=raw)
    if dataset.embedded:
        sizes = project.settings.embedded.model_dump(exclude={"general_images", "pretraining_epochs"})
        drawn = {"kind": dataset.kind, "seed": project.settings.seed, "sizes": sizes}
        files = replace(files, make=_draw, external={}, settings=drawn)
    reading = dataset.model_dump(
        mode="json", include={"kind", "entity_groups", "columns", "preset", "subset", "encoding", "placeholders"}
    )
    records = Output(
        (name, "records"),
        "One row per raw row: text and tags where it is usable (`listings`), else the reason why not.",
        make=_records,
        after=("raw_files",),
        external=raw,
        settings=reading | {"download": dataset.download is not None},
        checks=(
            Check(
                "rows_in_are_in_records",
                "There are as many records as raw rows, counted independently: nothing is dropped.",
                holds=_as_many_as_raw_rows,
            ),
        ),
    )
    reviews = Output(
        (name, "reviews"),
        "One row per usable review (empty without a reviews file); the others are in review_rejections.",
        frozenset({"json", "parquet"}),
        make=_reviews,
        after=("raw_files",),
        external={"reviews": lambda: stamp(dataset.reviews) if dataset.reviews else "none"},
        beside=(project.paths.lake.path("review_rejections", name),),
    )
    return [
        Step(f"{name}__raw_files", group, [files]),
        Step(f"{name}__records", group, [records]),
        _photos(project, name, dataset),
        Step(f"{name}__reviews", group, [reviews]),
    ]


def _list(given: Given) -> Mapping[str, Any]:
    """The user's own files are only looked at: a list of them with their sizes and times is what is made."""
    stamps = given.inputs["sources"]["raw_files"]
    with whole_folder(given.output) as folder:
        write_json(folder / "files.json", stamps)
    entry = given.entry
    return {"source": str(entry.folder or entry.metadata or entry.files), "files": len(stamps)}


def _draw(given: Given) -> Mapping[str, Any]:
    folder, (kind, seed, sizes) = given.output, (given.parameters[name] for name in ("kind", "seed", "sizes"))
    if kind == "fashiongen":
        train, test = sizes["fashiongen_train"], sizes["fashiongen_test"]
        write_fashiongen(folder, seed=seed, train_products=train, test_products=test)
    elif kind == "styles":
        write_styles(folder, seed=seed, styles=sizes["styles"])
    else:
        write_amazon(folder, seed=seed, products=sizes["amazon"])
    files = [file for file in folder.rglob("*") if file.is_file()]
    return {"files": len(files), "bytes": sum(file.stat().st_size for file in files), "source": "synthetic catalogue"}


def _records(given: Given) -> Mapping[str, Any]:
    reader = open_reader(given.project.paths, given.dataset, given.entry)
    return write_records(reader, given.dataset, given.output)


def _as_many_as_raw_rows(made: CachedOutput, place: Path) -> tuple[bool, dict[str, Any]]:
    rows = count_rows([place])
    return rows == made.facts["rows_in"], {"rows_in": made.facts["rows_in"], "records": rows}


def _reviews(given: Given) -> Mapping[str, Any]:
    reviews, rejected = given.output, given.beside()
    if given.entry.reviews is None:
        given.project.paths.lake.write_file(SCHEMA.empty_table(), reviews)
        given.project.paths.lake.write_file(REJECTED_SCHEMA.empty_table(), rejected)
        return {"rows_in": 0}
    place = local_file(given.entry.reviews, given.project.paths.fetched(given.dataset))
    return write_reviews(place, reviews, rejected, given.dataset)


def _photos(project: Project, name: str, dataset: DatasetSettings) -> PartedStep:
    lake = project.paths.lake

    def tidy(parts: Mapping[str, str]) -> None:
        for stale in set(lake.files("photos", name)) - {lake.path("photos", name, part) for part in parts}:
            remove_output(stale)
            for kept in (known_of(stale), _stamps_file(stale)):
                kept.unlink(missing_ok=True)

    return PartedStep(
        (name, "photos"),
        f"{name}/ingestion",
        frozenset({"parquet"}),
        "One row per listing: its photo decoded in full (size, digest, perceptual hash), or why it is unusable. "
        "Photos given as URLs are fetched first.",
        upstream=("records",),
        plan=lambda _: list_parts([lake.path("records", name)], dataset.part_rows),
        part=lambda _, part: _photos_of(project, name, dataset, part),
        whole=lambda *_: [],
        tidy=tidy,
        checks=(
            Check(
                "photos_are_usable",
                "At least one photo can be used. Also says how many were found under another name than the raw files "
                "give, and how many were left out because their row names several.",
                summary=lambda: photos_found(
                    lake.files("records", name), lake.files("photos", name), open_reader(project.paths, name, dataset)
                ),
            ),
        ),
        made_by=(("assets.raw:_examine", "eiclip.storage.lake:Lake"), ()),
    )


def _photos_of(project: Project, name: str, dataset: DatasetSettings, part: str) -> Output:
    output = project.paths.lake.path("photos", name, part)
    failures: dict[str, str] | None = None

    def rows() -> list[Any]:
        return part_rows_of([project.paths.lake.path("records", name)], part, dataset.part_rows)

    def fetch() -> None:
        nonlocal failures
        if dataset.download is not None:
            reader = open_reader(project.paths, name, dataset)
            failures = download_missing(rows(), reader, project.paths.downloads(name), dataset.download)

    def inputs() -> Inputs:
        listed, reader = rows(), open_reader(project.paths, name, dataset)
        asked = digest([[row.source, row.place, row.photo] for row in listed])
        photos = digest(_photo_stamps(project, name, output, listed, reader))
        # What could not be fetched is asked again when it may be made, and not by others.
        known, _ = read_record(output)
        failed = failures if failures is not None else known["inputs"]["sources"]["failures"] if known else {}
        return {"code": declared.code, "sources": {"rows": asked, "photos": photos, "failures": failed}}

    declared = Output(
        (name, "photos", part), make=_examine, sources=("records",), settings={"part": part}, place=output,
        inputs=inputs, first=fetch,
    )  # fmt: skip
    return declared


def _stamps_file(part: Path) -> Path:
    return beside(part, ".stamps.json")


def _photo_stamps(project: Project, name: str, part: Path, rows: list[PhotoRow], reader: RawReader) -> list[str]:
    """What each photo of a part is known by, in their order; of those in raw files as long as these are the same."""
    refs = [row.photo for row in rows]
    if not reader.photos_in_rows:
        return reader.photo_stamps(refs)
    seen = {"raw_files": raw_content(project, name), "refs": refs}
    return list(remembered(_stamps_file(part), seen, lambda: reader.photo_stamps(refs)))


def _examine(given: Given) -> Mapping[str, Any]:
    rows = part_rows_of([given.path("records")], given.parameters["part"], given.entry.part_rows)
    reader = open_reader(given.project.paths, given.dataset, given.entry)
    stamps = _photo_stamps(given.project, given.dataset, given.output, rows, reader)
    by_ref = dict(zip((row.photo for row in rows), stamps, strict=True))
    photos = KnownPhotos(reader, by_ref, given.output, given.inputs["code"].digest)
    counts = write_photos(rows, photos, given.dataset, given.output, given.inputs["sources"]["failures"])
    if not given.inputs["code"].edited():  # what was loaded late may be of the new code
        photos.save()
    return counts | {"examined": photos.examined, "taken_over": photos.taken_over}
