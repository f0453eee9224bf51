import itertools
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eiclip.errors import SettingsError
from eiclip.readers.cells import UnusableRowError
from eiclip.readers.table.photo_names import (
    MAX_CELL,
    MAX_URL,
    fill_template,
    names_in,
    reference_of,
    template_columns,
    url_of,
)
from eiclip.settings.load import load_settings

STEMS = st.text("abcXYZ019_-é", min_size=1, max_size=6)
PATHS = st.builds(lambda stem, ending: f"{stem}.{ending}", STEMS, st.sampled_from(["jpg", "JPEG", "png", "webp"]))
URLS = st.builds(lambda stem: f"https://shop.example/w_1,h_1/{stem}?v=1;2", st.text("abc019", min_size=1, max_size=6))


@settings(max_examples=200, deadline=None)
@given(names=st.lists(PATHS | URLS, min_size=1, max_size=5), mark=st.sampled_from([", ", ",", ";", "|", " | ", "\n"]))
def test_names_that_were_joined_are_parted_again(names, mark):
    # What ends in no extension is parted from what follows only where that begins like a URL.
    if all(not name.startswith("https") or after.startswith("https") for name, after in itertools.pairwise(names)):
        assert names_in(mark.join(names)) == names


@pytest.mark.parametrize(
    "name",
    [
        "blue, long dress.jpg", "my dress.jpg", "blue; 2.jpg", "a|b", "15970", "red, 2", "women/a, b/c.jpg", "[a].jpg",
        "[front", "{a}.jpg", "a.jpg,w_100", "https://shop.example/image.php?id=1;id=2", "[not, a, list]",
    ],
)  # fmt: skip
def test_a_single_name_is_left_whole(name):
    assert names_in(name) == [name]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('["a.jpg", "b, c.jpg"]', ["a.jpg", "b, c.jpg"]),
        ("['a.jpg', None, 'b.jpg']", ["a.jpg", "b.jpg"]),
        ("[]", []),
        ("a.jpg,", ["a.jpg"]),
        ("a.gif, b.jpg", ["a.gif", "b.jpg"]),
        ("a, b.jpg, c.jpg", ["a, b.jpg", "c.jpg"]),
        ("//cdn.shop.example/a , //cdn.shop.example/b", ["//cdn.shop.example/a", "//cdn.shop.example/b"]),
        ("1.jpg,https://shop.example/b", ["1.jpg", "https://shop.example/b"]),
    ],
)
def test_lists_and_mixed_cells(text, names):
    assert names_in(text) == names


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("//cdn.shop.example/files/dress.jpg?v=1", "https://cdn.shop.example/files/dress.jpg?v=1"),
        ("cdn.shop.example/files/hat.jpg", "https://cdn.shop.example/files/hat.jpg"),
        ("WWW.shop.example/red.jpg", "https://WWW.shop.example/red.jpg"),
        ("shop.example:8080/a", "https://shop.example:8080/a"),
        ("HTTP://shop.example/blue dress.jpg", "HTTP://shop.example/blue%20dress.jpg"),
        ("https://shop.example/a?b=1&amp;c=%20", "https://shop.example/a?b=1&c=%20"),
        *((path, None) for path in ("//m/b/a.jpg", "women/a.jpg", "a.jpg/b.jpg", "a.jpg", "shop.example", "./a.b/c")),
    ],
)
def test_what_is_or_can_be_read_as_a_url(name, url):
    assert url_of(name) == url


def test_urls_of_a_cell_are_in_its_order_and_bad_names_are_left_out():
    text = "ftp://shop.example/a.jpg, https://shop.example/b.jpg, www.shop.example/c.jpg"
    assert reference_of(text) == (text, ("https://shop.example/b.jpg", "https://www.shop.example/c.jpg"))
    (single, urls), (other, _) = reference_of("https://shop.example/a"), reference_of("https://shop.example/b")
    assert urls == ("https://shop.example/a",)
    assert single != other


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no photo"),
        ("[]", "no photo"),
        ("ftp://shop.example/a.jpg, ftp://shop.example/b.jpg", "bad photo: 'ftp://shop.example/a.jpg' is neither"),
        (f"https://shop.example/{'a' * MAX_URL}", "bad photo: 'https://shop.example/aaa"),
        ("a.jpg;" * MAX_CELL, "bad photo: text cannot hold"),
        ("\x1ba.jpg", "bad photo: '\\x1ba.jpg' has control characters"),
    ],
)
def test_cells_that_name_no_photo(text, reason):
    with pytest.raises(UnusableRowError) as caught:
        reference_of(text)
    assert str(caught.value).startswith(reason)


@pytest.mark.parametrize("text", [" " * MAX_CELL, ".a" * 16_000, ",;" * 16_000, "[" * MAX_CELL, "a.jpg " * 5_000])
def test_time_grows_with_the_text(text):
    begin = time.perf_counter()
    names_in(text)
    [url_of(name) for name in names_in(text)[:100]]
    assert time.perf_counter() - begin < 1


def test_templates():
    assert template_columns("{my folder}/{sku}_1.jpg") == ("my folder", "sku")
    assert fill_template("{a}{b}{a}", ["x", "{a}", "y"]) == "x{a}y"
    assert fill_template("{a}/{b}.jpg", ["x", ""]) == ""


@pytest.mark.parametrize("photo", ["{}.jpg", "{sku.jpg", "sku}.jpg", "{{sku}}"])
def test_a_template_that_is_none_is_refused_when_the_settings_are_read(tmp_path, photo):
    entry = {"kind": "table", "files": "shop.csv", "columns": {"title": "name", "photo": photo}}
    with pytest.raises(SettingsError, match="is no template"):
        load_settings(home=tmp_path, datasets={"shop": entry})
