"""A user's own catalogue: Parquet, CSV or JSON, whose columns the settings name; nothing to program.

One row is one photo of one product, and rows with the same id are several photos of it. Cells may be of any type:
numbers are read as they print, of a list of texts all count in descriptions and as entities, the first elsewhere.
"""

import functools
import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import quote

from PIL import Image

from eiclip.errors import RawDataError, SettingsError
from eiclip.readers.base import Listing, PhotoFacts, Rejected, UnusablePhotoError, check_groups, stamps_of
from eiclip.readers.cells import MAX_PARTS, MAX_TEXT, UnusableRowError, decoded, joined_texts, unread_text
from eiclip.readers.photo_files import decode_rgb, fold_name, photo_facts
from eiclip.readers.table.availability import read_availability
from eiclip.readers.table.files import Table, is_parquet, open_table
from eiclip.readers.table.parquet import ParquetTable
from eiclip.readers.table.photo_names import URL_PREFIX, fill_template, is_url, names_in, template_columns, urls_of
from eiclip.readers.table.photo_tree import PhotoTree
from eiclip.readers.table.photos import Content, TablePhotos, photo_of_cell
from eiclip.readers.table.prices import LOOKED_AT, PriceForm, price_form, read_price
from eiclip.readers.texts import (
    REPLACEMENT,
    entity_spelling,
    informative,
    names_nothing,
    says_nothing,
    spellings_of,
    storable,
)
from eiclip.settings.load import ONE_COLUMN, ColumnSettings

MAX_ID = 128  # characters
MAX_ENTITIES = 32  # of a group: a model's input has room for as many of each product as the most have
FIELD_GROUPS = ("category", "subcategory", "department", "gender")  # fields of a listing that may be entity groups
_ROUNDED = re.compile(r"[0-9]([.,][0-9]+)?[eE][+][0-9]+")
"""How spreadsheets write a long number: products that differ in its last digits would be one."""
_PLAIN_FIELDS = ("category", "subcategory", "pose", "department", "gender")
_VALIDATION = {"val", "valid", "validation", "dev"}


class TableReader:
    """Rows and photos of a table in one or several files of the same columns."""

    photos_in_rows = False
    expected = "expected CSV with a header, JSON (an object a line, or an array) or Parquet, with the columns named"
    unit = "row"
    """Rows from 0: of a CSV below its header, of JSONL its lines, blank ones too, of a JSON array its items."""

    def __init__(
        self, files: Sequence[Path], columns: ColumnSettings, images: Path | None, groups: Sequence[str],
        downloads: Path | None = None, encoding: str | None = None, placeholders: Sequence[str] = (),
    ) -> None:  # fmt: skip
        """Take where everything lies; `downloads` holds `<digest of the URL>.<extension>`. Files are looked at later.

        `encoding` is that of the texts; None: UTF-8, or of a CSV file what most of its lines are in. `placeholders` are
        further texts that say nothing.

        Raises SettingsError: a group has no column, no column of text is named, or two files have one name.
        """
        self.files, self.columns, self.images, self.downloads = tuple(files), columns, images, downloads
        known = {group: name for group in FIELD_GROUPS if (name := getattr(columns, group))} | columns.entities
        checked = check_groups(groups, known, "the table's columns (add it under columns.entities)")
        self.groups = {group: known[group] for group in checked}
        self.encoding = encoding
        self.placeholders = frozenset(map(entity_spelling, placeholders))
        if columns.title is None and not columns.description:
            raise SettingsError("the table's columns name no text: set `title`, `description`, or both")
        self._names = Counter(file.name for file in self.files)
        if twice := [name for name, count in self._names.items() if count > 1]:
            # References to photos and the quarantine know files by name.
            raise SettingsError(f"two files of the table are named {twice[0]!r}: rename one")

    def stamps(self) -> dict[str, list[int]]:
        """Sizes and times of the files. Raises RawDataError."""
        return stamps_of(self._files(), "the dataset's files")

    def rows_in(self) -> int:
        """Count the rows of all files in a pass of its own. Raises RawDataError."""
        return sum(self._table(file).count() for file in self._files())

    def rows(self) -> Iterator[Listing | Rejected]:
        """Yield one item per row, file by file. Every file's columns are checked first. Raises RawDataError."""
        tables = [(file.name, self._table(file)) for file in self._files()]
        for _, table in tables:
            table.check()
        for source, table in tables:
            above: dict[str, Any] = {}
            for place, cells in enumerate(table.rows()):
                yield self._row(source, place, cells, above)
                above = {} if isinstance(cells, UnusableRowError) else cells

    def examine(self, refs: Sequence[str]) -> Iterator[PhotoFacts | UnusablePhotoError]:
        """Decode the photos of `refs` in full: facts or what is wrong, in their order. Raises RawDataError."""
        for ref, tries in zip(refs, self._photos.contents(refs), strict=True):
            faults = []
            for exact, content in tries:
                try:
                    facts = photo_facts(_bytes(content), exact)
                except UnusablePhotoError as error:
                    faults.append(error)
                    continue
                names = [ref] if exact == ref or fold_name(exact) == fold_name(ref) else names_in(ref)
                other = exact not in (ref, *names) and not exact.startswith(URL_PREFIX)
                yield replace(facts, other_name=other, further_photos=len(names) - 1)
                break
            else:
                yield faults[0]

    def missing(self, refs: Sequence[str]) -> dict[str, str]:
        """Those of `refs` that are downloads. Raises RawDataError where there is no folder of photos."""
        return {ref: stem for ref in refs if (stem := self._photos.to_download(ref))}

    def nearest(self, ref: str) -> Path | None:
        """The photo below the folder whose path is most like one that is missing. Raises RawDataError: no folder."""
        is_path = not ref.startswith(URL_PREFIX) and ref.rpartition("#")[0] not in self._names
        return self._tree.nearest(names_in(ref)[0]) if self._tree and is_path else None

    def photo_stamps(self, refs: Sequence[str]) -> list[str]:
        """Digests of a file's size and time, or of the bytes that Parquet holds. Raises RawDataError."""
        return self._photos.stamps(refs)

    def photos(self, refs: Sequence[str]) -> Iterator[Image.Image]:
        """Yield the RGB photos of `refs` in their order. Raises RawDataError where one can no longer be used."""
        for ref, tries in zip(refs, self._photos.contents(refs), strict=True):
            try:
                yield decode_rgb(_bytes(next(content for _, content in tries)), ref)
            except UnusablePhotoError as error:
                way_out = "it changed after it was examined, examine the photos again"
                raise RawDataError(f"photo {ref!r}: {error}; {way_out}") from error

    def _files(self) -> tuple[Path, ...]:
        if not self.files:
            raise RawDataError("the table has no files; set the dataset's `files` to a file or a pattern that is there")
        return self.files

    def _table(self, file: Path) -> Table:
        columns, groups = self.columns, {**self.groups, **self.columns.attributes}
        fields = (field for field in ONE_COLUMN if field != "photo")
        names = (*(getattr(columns, field) for field in fields), *columns.description, *groups.values())
        wanted = tuple(dict.fromkeys(filter(None, (*names, *self._in_photo))))
        optional = set(columns.optional) - {columns.product_id, columns.photo, *self.groups.values(), *self._in_photo}
        return open_table(file, wanted, None if self._in_photo else columns.photo, self.encoding, optional)

    @cached_property
    def _price_form(self) -> PriceForm:
        """How the prices are written, as set or found out of the first rows of all files. Raises RawDataError."""
        columns, files = self.columns, self._files()
        name, currency, decimal = columns.price, columns.currency, columns.decimal
        if name is None or (currency and decimal):
            return PriceForm(currency, decimal)
        share = max(1, LOOKED_AT // len(files))
        rows = (row for file in files for row in islice(self._table(file).rows(), share))
        cells = (row.get(name) for row in rows if isinstance(row, dict))
        return price_form(cells, f"{files[0].parent}, column {name!r}", currency, decimal)

    @cached_property
    def _plain_fields(self) -> tuple[str, ...]:
        """Those of `_PLAIN_FIELDS` that have a column; the others are empty."""
        return tuple(field for field in _PLAIN_FIELDS if getattr(self.columns, field))

    @cached_property
    def _in_photo(self) -> tuple[str, ...]:
        """The columns that the photo's template takes; none where it is a column itself."""
        return template_columns(self.columns.photo)

    @cached_property
    def _tree(self) -> PhotoTree | None:
        return None if self.images is None else PhotoTree(self.images)

    @cached_property
    def _photos(self) -> TablePhotos:
        held = () if self._in_photo else self._files()
        tables = {file.name: ParquetTable(file, (), self.columns.photo) for file in held if is_parquet(file)}
        return TablePhotos(tables, self._tree, self.downloads)

    def _row(
        self, source: str, place: int, cells: dict[str, Any] | UnusableRowError, above: dict[str, Any]
    ) -> Listing | Rejected:
        if isinstance(cells, UnusableRowError):
            return Rejected(source, place, None, str(cells))
        product_id = None
        try:
            text = _text(cells.get(self.columns.product_id)).strip()
            if says_nothing(text):
                raise UnusableRowError("no id")
            # What cannot be stored was replaced: two ids might now be the same.
            if len(text) > MAX_ID or not text.isprintable() or REPLACEMENT in text:
                raise UnusableRowError(f"bad id: {text[:60]!a} (printable characters only, at most {MAX_ID})")
            if _ROUNDED.fullmatch(text):
                raise UnusableRowError(f"bad id: {text!a} was rounded by a spreadsheet; export the column as text")
            product_id = text
            return self._listing(source, place, product_id, cells, above)
        except UnusableRowError as error:
            return Rejected(source, place, product_id, str(error))

    def _listing(
        self, source: str, place: int, product_id: str, cells: dict[str, Any], above: dict[str, Any]
    ) -> Listing | Rejected:
        columns, photo_cell = self.columns, self._photo_cell(cells)

        def cell(field: str) -> Any:
            name = getattr(columns, field)
            return cells.get(name) if name else None

        told = functools.partial(informative, more=self.placeholders)

        def texts() -> tuple[str, list[str], str, str]:
            title_raw = _text(cell("title"))
            parts = [text for name in columns.description for text in _texts(cells.get(name))]
            title = told(title_raw)
            return title_raw, parts, title, joined_texts([title, *map(told, parts)])

        title_raw, parts, title, description = texts()
        attributes = {name: found for name, column in columns.attributes.items()
                      if (found := self._attributes(name, cells.get(column)))}  # fmt: skip
        available, available_unread = read_availability(_text(cell("availability")))
        if not any(map(str.isalnum, description)) and product_id == _text(above.get(columns.product_id)).strip():
            # Shopify's further rows of a product: a photo, a variant, or both, and no text.
            cells.update(
                {name: above.get(name) for name in above if not _texts(cells.get(name)) and name != columns.photo}
            )
            title_raw, parts, title, description = texts()
            if photo_cell is None or (isinstance(photo_cell, str) and not photo_cell.strip()):
                reason = "no photo of its own: a further row of the product above, such as a variant"
                return Rejected(source, place, product_id, reason, available, attributes)
        if not any(map(str.isalnum, description)):
            raise UnusableRowError("no title and no description")
        price, unread = read_price(cell("price"), self._price_form)
        link, link_unread = _link(_text(cell("link")).strip())
        photo, urls = photo_of_cell(photo_cell, source, place, self._names)
        split = _text(cell("split")).strip().lower()
        if columns.split and split in _VALIDATION:
            raise UnusableRowError("bad split: validation is drawn from train; mark the row 'train'")
        if columns.split and split not in {"train", "test"}:
            raise UnusableRowError(f"bad split: {split[:60]!a} is neither 'train' nor 'test'")
        entities = {group: self._entities(group, cells.get(name)) for group, name in self.groups.items()}
        return Listing(
            source=source, place=place, product_id=product_id, photo=photo, photo_urls=urls, title=title,
            description=description, description_raw="\n".join(filter(None, [title_raw, *parts]))[:MAX_TEXT],
            source_split=split if columns.split else None, price=price, price_unread=unread,
            currency=self._price_form.currency if price else None, available=available,
            available_unread=available_unread, link=link, link_unread=link_unread, attributes=attributes,
            style=(informative(_text(cell("style"))) or None) if columns.style else None,
            entities={group: found for group, found in entities.items() if found},
            **{field: told(next(self._values(field, cell(field)), "")) for field in self._plain_fields},
        )  # fmt: skip

    def _photo_cell(self, cells: dict[str, Any]) -> Any:
        """The cell of the photo, or what the template makes of the row; numbers as they print."""
        photo = self.columns.photo
        if not self._in_photo:
            cell = cells.get(photo)
            return _one(cell) if isinstance(cell, (int, float)) and not isinstance(cell, bool) else cell
        texts = [_text(cells.get(name)).strip() for name in self._in_photo]
        return fill_template(photo, [quote(text, safe="/%") for text in texts] if is_url(photo) else texts)

    def _values(self, group: str, cell: Any) -> Iterator[str]:
        """Yield a cell's texts, taken apart where the group has a separator."""
        separator = self.columns.separators.get(group)
        for text in _texts(cell):
            yield from filter(str.strip, text.split(separator)) if separator else [text]

    def _entities(self, group: str, cell: Any) -> list[str]:
        """Return the entities in a cell, each once, in their order. Raises UnusableRowError for too many."""
        found = spellings_of(self._values(group, cell))
        if len(found) > MAX_ENTITIES:
            raise UnusableRowError(f"too many entities: {len(found)} of {group!r}, at most {MAX_ENTITIES}")
        return found

    def _attributes(self, name: str, cell: Any) -> list[str]:
        """Return the values of an attribute in a cell, as `_entities`, without those that say nothing."""
        return [value for value in self._entities(name, cell) if not names_nothing(value, self.placeholders)]


def _link(text: str) -> tuple[str | None, str | None]:
    """Return the address of a web page in a cell's text, and where the text is something else, its beginning."""
    urls = urls_of([text]) if is_url(text) and REPLACEMENT not in text else ()
    return (urls[0], None) if urls else (None, unread_text(text))


def _bytes(content: Content) -> bytes:
    """The bytes of a photo. Raises UnusablePhotoError where there are none."""
    if isinstance(content, UnusablePhotoError):
        raise content
    return content


def _texts(cell: Any) -> list[str]:
    """A cell's texts: of a list every item's, one level deep."""
    items = cell[:MAX_PARTS] if isinstance(cell, list) else [cell]
    return [text for item in items if (text := _one(item)).strip()]


def _text(cell: Any) -> str:
    """A cell's first text, '' where there is none."""
    return next(iter(_texts(cell)), "")


def _one(value: Any) -> str:
    """A single value as text: '' for what is missing and for what holds other values. Raises UnusableRowError."""
    if value is None or isinstance(value, (list, tuple, dict)):
        return ""
    if isinstance(value, bytes):  # in a list, in files of older tools
        value = decoded(value)
    if isinstance(value, bool):
        value = str(value).lower()
    if isinstance(value, float):  # a column of whole numbers with gaps is one of floats
        value = "" if not math.isfinite(value) else int(value) if value.is_integer() and abs(value) < 1e18 else value
    return storable(str(value)[:MAX_TEXT])
