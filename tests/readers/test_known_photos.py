"""What is taken over of photos that were examined before, by counting what the reader itself is asked for."""

import pyarrow.parquet as pq
import pytest
from PIL import Image

from eiclip.readers.base import CONTENT, PhotoFacts, UnusablePhotoError
from eiclip.readers.known_photos import KnownPhotos, known_of
from eiclip.readers.photo_files import PhotoFolder
from eiclip.readers.photos import PhotoRow, write_photos

from .conftest import write_photo


class Folder:
    """Photos of a folder by their stems; `asked` are those that were decoded."""

    def __init__(self, folder):
        self.folder, self.asked = PhotoFolder(folder), []

    def examine(self, refs):
        for ref in refs:
            self.asked.append(ref)
            try:
                yield self.folder.check(ref)
            except UnusablePhotoError as error:
                yield error


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(4):
        write_photo(folder / f"{number}.jpg", seed=number)
    Image.new("RGB", (9, 9), "white").save(folder / "blank.png")
    return folder


@pytest.fixture
def look(images, tmp_path):
    """Make a part; returns its rows without their places, and what was decoded."""

    def make(*refs, part="a", code="1", stamps=None, failures=None):
        reader, output = Folder(images), tmp_path / f"{part}.parquet"
        stamps = stamps or dict(zip(refs, reader.folder.stamps(refs), strict=True))
        photos = KnownPhotos(reader, stamps, output, code)
        write_photos([PhotoRow("f", n, ref) for n, ref in enumerate(refs)], photos, "d", output, failures or {})
        photos.save()
        assert (photos.examined, photos.taken_over) == (len(reader.asked), len(refs) - len(reader.asked))
        return [{**row, "place": None} for row in pq.read_table(output).to_pylist()], reader.asked

    return make


def test_photos_that_are_as_they_were_are_taken_over(look, images):
    refs = ["0", "1", "2", "blank", "gone"]
    first, asked = look(*refs)
    assert asked == refs
    assert look(*refs) == (first, ["blank", "gone"]), "faults may pass"
    write_photo(images / "1.jpg", seed=9)
    rows, asked = look(*refs)
    assert asked == ["1", "blank", "gone"], "one photo was replaced"
    assert rows[1]["photo_sha256"] != first[1]["photo_sha256"]
    assert [*rows[:1], *rows[2:]] == [*first[:1], *first[2:]]
    assert look("2", "0") == ([first[2], first[0]], []), "rows went and moved"
    assert look("0", "1")[1] == ["1"], "nothing is kept of what is in no row"
    write_photo(images / "gone.jpg", seed=8)
    assert look("0", "gone")[1] == ["gone"]


def test_other_code_takes_nothing_over(look):
    look("0", "1")
    assert look("0", "1", code="2")[1] == ["0", "1"]
    assert look("0", "1", code="2")[1] == []


def test_photos_come_from_other_parts_too(look):
    first, _ = look("0", "1", part="a")
    look("2", "3", part="b")
    rows, asked = look("1", "2", part="b")
    assert (rows[0], asked) == (first[1], [])
    assert look("1", part="c")[1] == ["1"], "a new part looks into no other"


def test_what_cannot_be_read_is_examined_again(look, tmp_path):
    look("0")
    for damaged in (b"", b"PAR1 no", known_of(tmp_path / "a.parquet").read_bytes()[:-9]):
        known_of(tmp_path / "a.parquet").write_bytes(damaged)
        assert look("0")[1] == ["0"]
    pq.write_table(pq.read_table(tmp_path / "a.parquet"), known_of(tmp_path / "a.parquet"))
    assert look("0")[1] == ["0"]


def test_why_a_photo_was_not_fetched_is_never_taken_over(look):
    rows, _ = look("gone", failures={"gone": "HTTP 404"})
    assert rows[0]["reason"] == "HTTP 404"
    rows, asked = look("gone")
    assert (rows[0]["reason"], asked) == ("photo missing: images/gone.jpg", ["gone"])


def test_bytes_in_rows_are_known_wherever_they_lie(tmp_path):
    class Rows:
        def examine(self, refs):
            self.asked = list(refs)
            for ref in refs:
                yield UnusablePhotoError(f"blank: {ref}") if ref == "f#3" else PhotoFacts(ref, 1, 2, f"{ref}", 3)

    def facts(stamps):
        reader = Rows()
        photos = KnownPhotos(reader, stamps, tmp_path / "a.parquet", "1")
        found = [str(one) if isinstance(one, UnusablePhotoError) else one for one in photos.examine(list(stamps))]
        photos.save()
        return found, getattr(reader, "asked", [])

    facts({f"f#{row}": f"{CONTENT}{row}" for row in range(1, 4)})
    found, asked = facts({"f#0": f"{CONTENT}1", "f#1": f"{CONTENT}2", "f#2": f"{CONTENT}3"})
    assert found[:2] == [PhotoFacts("f#0", 1, 2, "f#1", 3), PhotoFacts("f#1", 1, 2, "f#2", 3)]
    assert asked == ["f#2"], "a reason names the photo's place"
