"""Whether a case passed: from what ingestion left behind, and from what is known of the raw files."""

import itertools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.fuzz.case import HOME, RAW, Case, Place
from benchmarks.fuzz.datasets import SECRET, secret_photo
from benchmarks.fuzz.host import Outcome
from benchmarks.fuzz.ingest import NAME, unit_of
from eiclip.readers.open import open_reader
from eiclip.storage.home import Paths
from eiclip.storage.lake import Lake


def faults(root: Path, case: Case, outcome: Outcome) -> list[str]:
    """What is wrong with how a case ended; empty where it passed."""
    found = [f"opened {name}, which is not of the dataset" for name in outcome.opened]
    if SECRET in outcome.message:
        found.append("the message shows what lies outside the dataset")
    if outcome.status == "done":
        found += _faults_of_tables(root, case)
    elif outcome.status == "refused" and not case.clicks:  # a log without any click stops
        found += _faults_of_refusal(root, case, outcome.message)
    else:
        found.append(f"{outcome.status}: {outcome.message}")
    return found + _half_written(root / HOME)


def quarantined(root: Path) -> int:
    """Rows in a case's `quarantine`."""
    return sum(pq.read_metadata(file).num_rows for file in Lake(root / HOME).files("quarantine", NAME))


def _faults_of_refusal(root: Path, case: Case, message: str) -> list[str]:
    found = []
    # Where every row is bad by itself there is no one file to blame: the message counts the rows' reasons.
    if not any(file.name in message for file in (root / RAW).rglob("*")) and f"{NAME}: none of" not in message:
        found.append(f"the refusal names no file: {message}")
    if case.key is not None and case.key not in message:
        found.append(f"the refusal does not name {case.key!r}: {message}")
    return found


def _half_written(home: Path) -> list[str]:
    found = []
    for file in home.rglob("*"):
        if file.is_dir():
            continue
        if file.suffix != ".parquet":
            found.append(f"left behind: {file.name}")
            continue
        try:
            pq.read_metadata(file)
        except pa.ArrowException:
            found.append(f"half-written: {file.name}")
    return found


def _faults_of_tables(root: Path, case: Case) -> list[str]:
    images, quarantine = (_rows(root, table) for table in ("images", "quarantine"))
    found = [f"quarantined without {name}: {row}" for row in quarantine for name in _empty_cells(row)]
    used = {(row["source"], row["place"]): row["product_id"] for row in images}
    locator = re.compile(f"{unit_of(case.dataset)} (\\d+)")
    located = [(row["source"], locator.fullmatch(row["locator"] or "")) for row in quarantine]
    places = [*used, *((source, int(match.group(1))) for source, match in located if match)]
    if case.rows is not None and len(images) + len(quarantine) != case.rows:
        found.append(f"{case.rows} rows in, {len(images)} images and {len(quarantine)} quarantined")
    if sorted(places) != _running(places, first=0 if unit_of(case.dataset) == "row" else 1):
        found.append(f"places are not those of the rows, each once: {sorted(places)[:20]}")
    for place, product_id in case.untouched.items():
        if used.get(place) != product_id:
            reason = next((row["reason"] for row in quarantine if row["locator"].endswith(f" {place[1]}")), None)
            found.append(f"{place} is product {product_id}, but {used.get(place)!r} is there ({reason})")
    records = _rows(root, "records")
    conflicts = {row["product_id"]: set(row["differs"]) for row in _rows(root, "conflicting_ids")}
    if case.conflicts is not None and conflicts != case.conflicts:
        found.append(f"ids whose rows differ are {case.conflicts}, not {conflicts}")
    return (
        found
        + _unlike(case.photos, images, "photo_sha256")
        + _unlike(case.titles, records, "title")
        + _unlike(case.prices, records, "price")
        + _faults_of_names(root, case)
        + _faults_of_pixels(root, case)
        + _leaks(root)
        + _faults_of_log(root, case)
    )


def _faults_of_names(root: Path, case: Case) -> list[str]:
    named = {row["spelling"]: row["entity"] for row in _rows(root, "entity_spellings")}
    found = [] if case.spellings in (None, named) else [f"entities are {named}, not {case.spellings}"]
    for (one, name), (other, meant) in itertools.combinations((case.same_name or {}).items(), 2):
        if (named.get(one, one) == named.get(other, other)) != (name == meant):
            found.append(f"{one!r} is {named.get(one)!r} and {other!r} is {named.get(other)!r}")
    return found


def _faults_of_pixels(root: Path, case: Case) -> list[str]:
    if not case.brightness:
        return []
    refs = {(row["source"], row["place"]): row["photo"] for row in _rows(root, "images")}
    places = [place for place in case.brightness if place in refs]
    photos = open_reader(Paths(root / HOME), NAME, case.dataset).photos([refs[place] for place in places])
    means = {place: float(np.asarray(photo).mean()) for place, photo in zip(places, photos, strict=True)}
    return [
        f"{place}: the mean of its pixels is {means.get(place)}, not {mean}"
        for place, mean in case.brightness.items()
        if abs(means.get(place, -99) - mean) > 3
    ]


def _unlike(wanted: Mapping[Place, Any], rows: list[dict[str, Any]], column: str) -> list[str]:
    """The rows whose cell is not the one that was put in."""
    held = {(row["source"], row["place"]): row[column] for row in rows}
    return [
        f"{place}: {column} {held.get(place)!r}, not {cell!r}"
        for place, cell in wanted.items()
        if held.get(place) != cell
    ]


def _faults_of_log(root: Path, case: Case) -> list[str]:
    if case.clicks is None:
        return []
    rows, rejected = _rows(root, "click_log"), _rows(root, "click_rejections")
    kept = {row["row"]: (row["session"], row["item"]) for row in rows}
    found = [] if kept == case.clicks else [f"clicks are {kept}, {case.clicks} were put in"]
    if len(rows) + len(rejected) != case.log_rows:
        found.append(f"{case.log_rows} lines of the log, {len(rows)} kept and {len(rejected)} rejected")
    return found + [f"rejected without a reason: {row}" for row in rejected if not row["reason"]]


def _rows(root: Path, table: str) -> list[dict[str, Any]]:
    return [row for file in Lake(root / HOME).files(table, NAME) for row in pq.read_table(file).to_pylist()]


def _empty_cells(row: dict[str, Any]) -> list[str]:
    return [name for name in ("source", "locator", "reason") if not row[name]]


def _running(places: list[Place], first: int) -> list[Place]:
    """As many places as there are of each source, numbered without a gap."""
    sources = sorted(source for source, _ in places)
    seen: dict[str, int] = {}
    running = []
    for source in sources:
        seen[source] = seen.get(source, first - 1) + 1
        running.append((source, seen[source]))
    return running


def _leaks(root: Path) -> list[str]:
    text = "".join(str(_rows(root, table)) for table in Lake(root / HOME).tables())
    return [f"{what} of a file outside is in a table" for what, mark in _marks().items() if mark in text]


def _marks() -> dict[str, str]:
    import hashlib

    return {"the text": SECRET, "the photo": hashlib.sha256(secret_photo()).hexdigest()}
