import hashlib
import io
import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from eiclip.errors import RawDataError
from eiclip.readers import photo_files
from eiclip.readers.base import UnusablePhotoError
from eiclip.readers.photo_files import PhotoFolder

from .conftest import noise, write_photo


def reason(folder, stem="a"):
    with pytest.raises(UnusablePhotoError) as caught:
        PhotoFolder(folder).check(stem)
    return str(caught.value)


@pytest.mark.parametrize("name", ["a.jpg", "a.JPEG", "a.png", "a.webp"])
def test_a_photo_of_each_format_is_found_and_read(tmp_path, name):
    write_photo(tmp_path / name)
    folder = PhotoFolder(tmp_path)
    facts = folder.check("a")
    assert facts.photo == f"{tmp_path.name}/{name}"
    assert (facts.width, facts.height) == (10, 12)
    assert facts.photo_sha256 == hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()
    assert folder.load(facts.photo).mode == "RGB"


def test_the_preferred_extension_wins(tmp_path):
    for name in ("a.webp", "a.png", "a.jpg"):
        write_photo(tmp_path / name)
    assert PhotoFolder(tmp_path).names == {"a": "a.jpg"}


def test_a_missing_photo_is_named(tmp_path):
    assert reason(tmp_path, "B001") == f"photo missing: {tmp_path.name}/B001.jpg"


def test_a_photo_is_found_in_letters_of_the_other_case(tmp_path):
    write_photo(tmp_path / "b001.JPG")
    write_photo(tmp_path / "B002.png")
    folder = PhotoFolder(tmp_path)
    found = [(folder.holds(stem), folder.check(stem)) for stem in ("B001", "b001", "b002", "B002")]
    assert [(held, facts.photo.rpartition("/")[2], facts.other_name) for held, facts in found] == [
        (True, "b001.JPG", True), (True, "b001.JPG", False), (True, "B002.png", True), (True, "B002.png", False)
    ]  # fmt: skip
    assert folder.load(found[0][1].photo).size == (10, 12)
    assert not folder.holds("B003")
    assert folder.stamps(["B001"]) == folder.stamps(["b001"]) != folder.stamps(["B003"])


def test_of_two_cases_the_same_counts_and_neither_is_guessed(tmp_path):
    for name in ("b001.jpg", "B001.png", "ab1.jpg", "AB1.png"):
        write_photo(tmp_path / name)
    folder = PhotoFolder(tmp_path)
    assert folder.check("B001").photo.endswith("/B001.png")
    assert reason(tmp_path, "Ab1") == f"ambiguous photo: Ab1 may be {tmp_path.name}/AB1.png or ab1.jpg; rename one"
    assert folder.holds("Ab1"), "nothing is downloaded in its place"
    assert folder.nearest("b0011") == tmp_path / "b001.jpg"


def test_other_formats_and_other_content_are_unreadable(tmp_path):
    Image.fromarray(noise(0)).save(tmp_path / "gif.png", format="GIF")
    (tmp_path / "html.jpg").write_text("<html>404</html>")
    (tmp_path / "empty.jpg").write_bytes(b"")
    for stem in ("gif", "html", "empty"):
        assert "is not a JPEG, PNG or WEBP" in reason(tmp_path, stem)


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp"])
def test_a_truncated_photo_is_unreadable(tmp_path, name):
    write_photo(tmp_path / name, size=(200, 200))
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: len(content) // 2])
    assert reason(tmp_path).startswith(f"unreadable photo: {tmp_path.name}/{name}")


def bomb(width, height):
    """A PNG of a few bytes that declares width x height pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b""))
    body = b"".join(struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks)
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize("side", [9_000, 60_000])  # over our cap; over Pillow's too
def test_a_bomb_is_refused_by_its_header(tmp_path, side, recwarn):
    (tmp_path / "a.png").write_bytes(bomb(side, side))
    assert reason(tmp_path).startswith("photo too large")
    assert not recwarn.list


def test_a_huge_file_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(photo_files, "MAX_FILE_BYTES", 10)
    write_photo(tmp_path / "a.jpg")
    assert "over 10 bytes" in reason(tmp_path)


def test_a_blank_photo_is_refused(tmp_path):
    Image.new("RGB", (9, 9), "white").save(tmp_path / "a.png")
    assert reason(tmp_path) == f"blank photo: {tmp_path.name}/a.png is one colour, (255, 255, 255)"


def test_transparent_parts_become_white(tmp_path):
    pixels = np.dstack([noise(0), np.zeros((8, 8), np.uint8)])
    pixels[0, 0] = (1, 2, 3, 255)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    photo = PhotoFolder(tmp_path).load(f"{tmp_path.name}/a.png")
    assert photo.getpixel((0, 0)) == (1, 2, 3)
    assert photo.getpixel((5, 5)) == (255, 255, 255)


def test_a_turned_photo_is_set_upright_and_broken_exif_is_ignored(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(noise(0, (6, 12))).save(tmp_path / "a.jpg", exif=exif)
    stream = io.BytesIO()
    Image.fromarray(noise(0, (6, 12))).save(stream, format="JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    (tmp_path / "b.jpg").write_bytes(stream.getvalue())
    folder = PhotoFolder(tmp_path)
    assert [(f.width, f.height) for f in map(folder.check, "ab")] == [(6, 12), (12, 6)]


def test_grey_and_cmyk_photos_become_rgb(tmp_path):
    Image.fromarray(noise(0)).convert("CMYK").save(tmp_path / "a.jpg")
    Image.fromarray(noise(0)).convert("L").save(tmp_path / "b.jpg")
    folder = PhotoFolder(tmp_path)
    assert {folder.load(folder.check(stem).photo).mode for stem in "ab"} == {"RGB"}


def in_16_bits(name):
    """A grey PNG of 16 bits, written here, whose rows rise from black to white."""
    rows = b"".join(b"\0" + (257 * value).to_bytes(2, "big") * 4 for value in (0, 51, 128, 255))

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 4, 4, 16, 0, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    name.write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)


def test_the_upper_bits_of_16_are_what_is_seen(tmp_path):
    in_16_bits(tmp_path / "a.png")
    photo = PhotoFolder(tmp_path).load(f"{tmp_path.name}/a.png")
    assert [photo.getpixel((1, row)) for row in range(4)] == [(v, v, v) for v in (0, 51, 128, 255)]


@pytest.mark.parametrize(
    ("kind", "values", "seen"),
    [
        (np.float32, [0, 0.5, 1], [0, 128, 255]),
        (np.float32, [0, 40.4, 255], [0, 40, 255]),
        (np.float32, [np.nan, -3, 900], [0, 0, 255]),
        (np.int32, [0, 32_896, 65_535], [0, 128, 255]),
    ],
)
def test_floats_and_whole_numbers_are_seen_by_their_range(kind, values, seen):
    photo = photo_files.rgb_on_white(Image.fromarray(np.array([values], kind)))
    assert np.asarray(photo)[0].tolist() == [[value] * 3 for value in seen]


def profile_of(primaries, gamma):
    """A colour profile (ICC, version 2) with these red, green and blue in XYZ at D50, written here."""

    def fixed(*values):
        return b"".join(struct.pack(">i", round(value * 65_536)) for value in values)

    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
    text = b"desc\0\0\0\0" + struct.pack(">I", 5) + b"odd1\0" + b"\0" * 78
    tags = [
        (name, b"XYZ \0\0\0\0" + fixed(*xyz)) for name, xyz in zip((b"rXYZ", b"gXYZ", b"bXYZ"), primaries, strict=True)
    ]
    tags += [(b"wtpt", b"XYZ \0\0\0\0" + fixed(0.9642, 1.0, 0.8249)), (b"desc", text + b"\0" * (-len(text) % 4))]
    tags += [(name, curve) for name in (b"rTRC", b"gTRC", b"bTRC")]
    place, entries, body = 128 + 4 + 12 * len(tags), b"", b""
    for name, content in tags:
        entries += name + struct.pack(">II", place + len(body), len(content))
        body += content
    size = place + len(body)
    header = struct.pack(">I4sI4s4s4s12s4s", size, b"none", 0x02100000, b"mntr", b"RGB ", b"XYZ ", b"\0" * 12, b"acsp")
    header += b"\0" * 28 + fixed(0.9642, 1.0, 0.8249)
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + entries + body


def test_colours_of_another_profile_are_converted(tmp_path):
    # Adobe RGB and sRGB by their primaries, adapted to D50: what comes out follows from the two matrices alone.
    adobe = np.array([[0.60974, 0.31111, 0.01947], [0.20528, 0.62567, 0.06087], [0.14919, 0.06322, 0.74457]])
    srgb = np.array([[0.43607, 0.22249, 0.01392], [0.38515, 0.71687, 0.09708], [0.14307, 0.06061, 0.71410]])
    linear = (np.array([200, 100, 50]) / 255) ** (563 / 256) @ adobe @ np.linalg.inv(srgb)
    expected = 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear.clip(0) ** (1 / 2.4) - 0.055).clip(
        0, 1
    )
    assert np.abs(expected - (200, 100, 50)).max() > 15, "the profile matters"
    profile = profile_of(adobe, 563 / 256)
    pixels = np.full((8, 8, 3), (200, 100, 50), np.uint8)
    pixels[0, 0] = 255
    Image.fromarray(pixels).save(tmp_path / "a.png", icc_profile=profile)
    Image.fromarray(pixels).save(tmp_path / "b.png", icc_profile=b"no profile at all")
    Image.fromarray(pixels).convert("L").save(tmp_path / "c.png", icc_profile=profile)
    folder = PhotoFolder(tmp_path)
    found = folder.load(f"{tmp_path.name}/a.png")
    assert np.abs(np.array(found.getpixel((4, 4))) - expected).max() <= 2
    assert found.getpixel((0, 0)) == (255, 255, 255)
    assert folder.load(f"{tmp_path.name}/b.png").getpixel((4, 4)) == (200, 100, 50)
    assert len(set(folder.load(f"{tmp_path.name}/c.png").getpixel((4, 4)))) == 1


@pytest.mark.parametrize("ref", ["../x.jpg", "/etc/passwd", "{}/../x.jpg", "{}/..", "{}/", "x.jpg", "{}/gone.jpg"])
def test_a_ref_of_another_place_is_an_error(tmp_path, ref):
    with pytest.raises(RawDataError):
        PhotoFolder(tmp_path).load(ref.format(tmp_path.name))


def test_a_folder_by_a_relative_path_has_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_photo(tmp_path / "a.jpg")
    folder = PhotoFolder(photo_files.Path())
    assert folder.load(folder.check("a").photo).size == (10, 12)


def test_a_missing_folder_is_an_error(tmp_path):
    with pytest.raises(RawDataError, match="cannot list the photos"):
        PhotoFolder(tmp_path / "absent").names  # noqa: B018


def test_photos_that_look_alike_have_close_hashes(tmp_path):
    """A pHash is made to survive a smaller copy in another format; other photos differ in half of the bits."""
    rng = np.random.default_rng(0)
    for stem in "ab":
        blocks = np.kron(rng.integers(0, 255, (8, 8)), np.ones((32, 32))).astype(np.uint8)
        Image.fromarray(blocks).save(tmp_path / f"{stem}.png")
        Image.fromarray(blocks).resize((128, 128)).save(tmp_path / f"{stem}_small.jpg", quality=80)
    a, a_small, b = (PhotoFolder(tmp_path).check(stem).phash for stem in ("a", "a_small", "b"))
    mask = 2**64 - 1
    assert ((a ^ a_small) & mask).bit_count() <= 4
    assert ((a ^ b) & mask).bit_count() > 16
    assert all(-(2**63) <= value < 2**63 for value in (a, a_small, b))


def test_stamps_follow_the_photos_named_alone(tmp_path):
    write_photo(tmp_path / "a.jpg")
    before = PhotoFolder(tmp_path).stamps(["a", "gone"])
    write_photo(tmp_path / "b.jpg")
    assert PhotoFolder(tmp_path).stamps(["a", "gone"]) == before
    os.utime(tmp_path / "a.jpg", (1, 1))
    touched = PhotoFolder(tmp_path).stamps(["a", "gone"])
    assert touched != before
    write_photo(tmp_path / "gone.jpg")
    assert PhotoFolder(tmp_path).stamps(["a", "gone"]) not in [before, touched]
