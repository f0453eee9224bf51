"""The log of clicks and thumbs: a CSV file that the setting `same_style.log` reads, and `eiclip evaluate --log`.

It is written only where `python -m eiclip.web --log FILE` names a file. No address of a visitor is in it.
"""

import csv
import io
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, Field, StringConstraints

from eiclip.errors import SettingsError
from eiclip.search.query import MAX_QUERY
from eiclip.storage.lock import held
from eiclip.web.messages import STRICT, Name

HEADER = ("session", "item", "time", "query", "action", "rank", "unwanted", "dataset", "variant")
"""`item` is empty where a thumb is down: such a product is in `unwanted`, and no click for those that read clicks."""


class ClickForm(BaseModel):
    """What somebody did with a product found."""

    model_config = STRICT

    session: Annotated[str, StringConstraints(pattern="^[0-9a-f]{16,64}$")]
    """Drawn at random by the page, for as long as the browser's tab is open."""
    product_id: Name
    action: Literal["open", "photo", "like", "up", "down"]
    """Its page or photo was opened, others like it were asked for, or a thumb given."""
    query: str = ""
    rank: Annotated[int, Field(ge=1)]


class ClickLog:
    """Appends lines to a file, each by one write: processes may share it, and lines are never mixed.

    A file that was moved away is begun again.

    Raises SettingsError where the file cannot be written, or is another table.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._begin()
        except OSError as error:
            raise SettingsError(f"{path}: cannot be written ({error}); name another --log") from error

    def _begin(self) -> None:
        """Write the header where there is none."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with held(self.path), self.path.open("a+b") as file:
            file.seek(0)
            first = file.readline()
            if first and first.strip() != ",".join(HEADER).encode():
                raise SettingsError(
                    f"{self.path}: no log of clicks of this server ({first[:60]!r}); name another --log"
                )
            if not first:
                file.write(_line(HEADER))
            elif file.seek(-1, os.SEEK_END) and file.read(1) != b"\n":  # a disk was full
                file.write(b"\n")

    def add(self, form: ClickForm, dataset: str, variant: str) -> None:
        """Append a line. Raises OSError where it cannot be written."""
        is_unwanted = form.action == "down"
        query = "".join(filter(str.isprintable, " ".join(form.query[:MAX_QUERY].split())))
        item, unwanted = ("", form.product_id) if is_unwanted else (form.product_id, "")
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = _line((form.session, item, now, query, form.action, form.rank, unwanted, dataset, variant))
        if not self.path.exists():  # somebody has moved it
            self._begin()
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND)
        try:
            written = os.write(descriptor, line)
        finally:
            os.close(descriptor)
        if written < len(line):
            raise OSError(f"{self.path}: {written} of {len(line)} bytes were written; is the disk full?")


def _line(cells: tuple[object, ...]) -> bytes:
    with io.StringIO(newline="") as text:
        csv.writer(text, lineterminator="\n").writerow(cells)
        return text.getvalue().encode()
