import unicodedata
from pathlib import Path

import pytest

from eiclip.errors import RawDataError
from eiclip.readers.base import UnusablePhotoError
from eiclip.readers.table import photo_tree
from eiclip.readers.table.photo_tree import PhotoTree

NFC, NFD = (unicodedata.normalize(form, "étoile/robe brodée.jpg") for form in ("NFC", "NFD"))


@pytest.fixture
def tree(tmp_path):
    """Return a function that makes a folder of (empty) files."""

    def make(*paths):
        for path in paths:
            file = tmp_path / "shop" / "photos" / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
        return PhotoTree(tmp_path / "shop" / "photos")

    return make


def reason(tree, name):
    with pytest.raises(UnusablePhotoError) as caught:
        tree.find(name)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("women\\dress.jpg", "women/dress.jpg"),
        (".\\women\\dress.jpg", "women/dress.jpg"),
        ("C:\\Users\\me\\photos\\women\\dress.jpg", "women/dress.jpg"),
        ("c:/women/dress.jpg", "women/dress.jpg"),
        ("\\\\server\\share\\women\\dress.jpg", "women/dress.jpg"),
        ("/m/b/mb01 blue.jpg", "m/b/mb01 blue.jpg"),
        ("//m/b/mb01%20blue.jpg", "m/b/mb01 blue.jpg"),
        ("photos/women/dress.jpg", "women/dress.jpg"),
        ("Shop/Photos/women/dress.jpg", "women/dress.jpg"),
        ("WOMEN/Dress.JPG", "women/dress.jpg"),
        ("women/dress", "women/dress.jpg"),
        ("women/dress.jpeg", "women/dress.jpg"),
        ("women/dress.v2", "women/dress.v2.png"),
        ("hats/../women//dress.JPG", "women/dress.jpg"),
        (NFC, NFD),
        (NFC.upper(), NFD),
        (NFC.replace(" ", "%20"), NFD),
    ],
)
def test_a_file_is_found_however_its_path_is_written(tree, name, file):
    photos = tree("women/dress.jpg", "women/dress.v2.png", "m/b/mb01 blue.jpg", NFD, "dress.jpg.txt")
    assert photos.find(name) == (file, (photos.folder / file).resolve())


def test_a_plain_path_is_opened_without_listing_a_folder(tree, monkeypatch):
    photos = tree("women/dress.jpg", "women/DRESS.jpg")
    monkeypatch.setattr(photo_tree.os, "listdir", None)
    assert photos.find("women/DRESS.jpg")[0] == "women/DRESS.jpg"
    assert photos.find("./women/dress.jpg")[0] == "./women/dress.jpg"


def test_the_longest_part_of_a_path_from_a_drive_counts(tree):
    photos = tree("dress.jpg", "women/dress.jpg", "shop/women/dress.jpg")
    assert photos.find("D:\\shop\\women\\dress.jpg")[0] == "shop/women/dress.jpg"
    assert photos.find("D:\\archive\\women\\dress.jpg")[0] == "women/dress.jpg"
    assert photos.find("/women2/dress.jpg")[0] == "dress.jpg"


def test_no_part_of_another_path_counts(tree):
    """`men/1.jpg` is not the `1.jpg` of another product."""
    photos = tree("1.jpg", "women/1.jpg")
    assert reason(photos, "men/1.jpg") == "photo missing: photos/men/1.jpg"
    assert reason(photos, "photos2/1.jpg") == "photo missing: photos/photos2/1.jpg"
    with pytest.raises(UnusablePhotoError, match="outside the folder"):
        photos.find("//cdn.shop.example/1.jpg", whole=True)


@pytest.mark.parametrize("files", [("a.jpg", "A.jpg"), ("x/a.JPG", "X/a.jpg")])
def test_several_files_that_are_equally_likely_are_refused(tree, files):
    name = "C:/x/A.JPG" if "/" in files[0] else "A.JPG"
    found = reason(tree(*files), name)
    assert found.startswith(f"ambiguous photo: {name} may be photos/")
    assert all(f"photos/{file}" in found for file in files)


def test_of_several_the_one_of_the_same_letters_counts_and_of_extensions_the_preferred(tree):
    photos = tree(NFD, NFD.upper(), "b.webp", "b.png")
    assert photos.find(NFC)[0] == NFD
    assert photos.find("b")[0] == "b.png"
    assert photos.find("B.jpg")[0] == "b.png"


def test_nothing_outside_is_found_or_listed(tree, tmp_path, monkeypatch):
    photos = tree("women/a.jpg")
    (tmp_path / "secret.jpg").touch()
    (photos.folder / "up").symlink_to(tmp_path)
    (photos.folder / "Link.jpg").symlink_to(tmp_path / "secret.jpg")
    listed = []
    original = photo_tree.os.listdir
    monkeypatch.setattr(photo_tree.os, "listdir", lambda place: listed.append(str(place)) or original(place))
    names = (
        "UP/secret.jpg", "up/SECRET.jpg", "link.JPG", "..\\..\\secret.jpg", "C:\\..\\secret.jpg", "a\0b", "\ud800",
        "%2e%2e/%2e%2e/secret.jpg", "..%2f..%2fsecret.jpg", str(tmp_path / "secret.jpg"),
    )  # fmt: skip
    for name in names:
        assert reason(photos, name).startswith(("photo outside the folder", "photo missing")), name
    assert listed
    assert all(Path(place).resolve().is_relative_to(photos.folder) for place in listed)


def test_the_nearest_name(tree):
    photos = tree("women/dress-1.jpg", "hats/straw.png", "notes.txt")
    assert photos.nearest("Women\\dress_1.jpg") == photos.folder / "women" / "dress-1.jpg"
    assert photos.nearest("hats/straw.gif") == photos.folder / "hats" / "straw.png"


def test_of_an_empty_folder_no_name_is_near_and_an_absent_one_is_an_error(tree, tmp_path):
    (tmp_path / "empty").mkdir()
    assert PhotoTree(tmp_path / "empty").nearest("a.jpg") is None
    with pytest.raises(RawDataError, match="absent: no such folder; set the dataset's images"):
        PhotoTree(tmp_path / "absent").find("a.jpg")
