"""What was found of photos, kept beside the parts of the table `photos`: what has not changed is not decoded again.

A raw file that loses a row moves the others to other places and parts, and its table is read anew; the photos are the
same. Each is known by its reference and a stamp of its content, and only as long as the code that examined it is the
same.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from eiclip.readers.base import CONTENT, Examiner, PhotoFacts, UnusablePhotoError
from eiclip.readers.photos import SCHEMA
from eiclip.storage.files import beside, whole_file

ENDING = ".known"
FACTS = tuple(one.name for one in fields(PhotoFacts))
KEPT = pa.schema([
    ("ref", pa.string()), ("stamp", pa.string()), *(SCHEMA.field(name) for name in FACTS),
])  # fmt: skip
_CODE = b"code"


def known_of(part: Path) -> Path:
    """Return where what was found of a part's photos is kept."""
    return beside(part, ENDING)


@dataclass
class KnownPhotos:
    """Examines a part's photos as their reader does, but takes over what is kept of those that have not changed."""

    reader: Examiner
    stamps: Mapping[str, str]
    """Of the photos, by their references: `RawReader.photo_stamps`, asked before they are examined."""
    part: Path
    """The part of the table `photos` that is made."""
    code: str
    """Version of the code that examines."""
    examined: int = 0
    taken_over: int = 0
    _seen: list[pa.Table] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._by_ref = dict[tuple[str, str], PhotoFacts]()
        self._by_content = dict[str, PhotoFacts]()
        own, wanted = known_of(self.part), set(self.stamps.values())
        # Rows may have come from another part, if this one was there before.
        others = sorted(set(self.part.parent.glob(f"*{ENDING}")) - {own}) if own.exists() else []
        for file in [own, *others]:
            if not wanted:
                break
            for row in _kept(file, wanted, self.code):
                ref, stamp = (row.pop(name) for name in ("ref", "stamp"))
                found = PhotoFacts(**row)
                self._by_ref.setdefault((ref, stamp), found)
                if stamp.startswith(CONTENT) and found.photo == ref:
                    self._by_content.setdefault(stamp, found)
                wanted.discard(stamp)

    def examine(self, refs: Sequence[str]) -> Iterator[PhotoFacts | UnusablePhotoError]:
        """Facts or faults of photos, in their order; those that are not known are decoded. Raises RawDataError."""
        known = [self._known(ref) for ref in refs]
        new = [ref for ref, found in zip(refs, known, strict=True) if found is None]
        examined = iter(self.reader.examine(new) if new else ())
        rows = list[dict[str, Any]]()
        for ref, taken in zip(refs, known, strict=True):
            found = next(examined) if taken is None else taken
            if isinstance(found, PhotoFacts):  # a fault may be one of the disk, or of this user's rights
                rows.append({"ref": ref, "stamp": self.stamps[ref]} | asdict(found))
            yield found
        self.examined += len(new)
        self.taken_over += len(refs) - len(new)
        self._seen.append(pa.Table.from_pylist(rows, schema=KEPT))

    def save(self) -> None:
        """Keep the facts of all photos that were asked for."""
        table = pa.concat_tables([KEPT.empty_table(), *self._seen]).replace_schema_metadata({_CODE: self.code.encode()})
        with whole_file(known_of(self.part)) as temporary:
            pq.write_table(table, temporary, compression="zstd")

    def _known(self, ref: str) -> PhotoFacts | None:
        stamp = self.stamps[ref]
        if (found := self._by_ref.get((ref, stamp))) is not None:
            return found
        return replace(facts, photo=ref) if (facts := self._by_content.get(stamp)) else None


def _kept(file: Path, stamps: set[str], code: str) -> list[dict[str, Any]]:
    """What a file keeps of photos with these stamps; nothing where it is not there, or not of this code."""
    try:
        with pq.ParquetFile(file) as kept:
            if (kept.schema_arrow.metadata or {}).get(_CODE) != code.encode():
                return []
            table = kept.read()
        return table.filter(pc.is_in(table["stamp"], pa.array(stamps, pa.string()))).select(KEPT.names).to_pylist()
    except (OSError, KeyError, pa.ArrowException):
        return []
