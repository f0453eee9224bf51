"""CSV as people have it, beside what `test_reader.py` tries through the reader."""

import pytest

from eiclip.errors import RawDataError
from eiclip.readers.cells import UnusableRowError
from eiclip.readers.table.delimited import CsvTable

WANTED = ("sku", "name", "pic", "brand")
HEADER = "sku,name,pic,brand,price\n"


@pytest.fixture
def rows(tmp_path):
    def read(text, written_in="utf-8", **given):
        (tmp_path / "shop.csv").write_bytes(text if isinstance(text, bytes) else text.encode(written_in))
        table = CsvTable(tmp_path / "shop.csv", WANTED, **given)
        found = list(table.rows())
        assert table.count() == len(found)
        return found

    return read


@pytest.mark.parametrize("between", [3, 79, 399])
def test_a_quote_that_is_closed_many_rows_later_costs_two_rows(rows, between):
    lines = [f"A{n},Dress {n},a{n}.jpg,Zed,{n}" for n in range(between + 2)]
    lines[0] = lines[0].replace("Dress", '"Dress')
    lines[-1] = lines[-1].replace(f"Dress {between + 1}", 'Bag 12"')
    found = rows(HEADER + "\n".join(lines))
    bad = [n for n, row in enumerate(found) if isinstance(row, UnusableRowError)]
    assert bad == [0]
    assert [row["sku"] for row in found[1:]] == [f"A{n}" for n in range(1, between + 2)]
    assert found[-1]["name"] == 'Bag 12"'


def test_line_ends_in_quoted_cells_are_text(rows):
    (row,) = rows(HEADER + 'A1,"Soft, warm, light\n\nand long, as you like it\nWash cold",a.jpg,Zed,9\n')
    assert row["name"] == "Soft, warm, light\n\nand long, as you like it\nWash cold"


def test_a_backslash_escapes_quotes_and_nothing_else(rows):
    found = rows(
        HEADER
        + r"""A1,"5\" heel",women\a1.jpg,AC\DC,9
A2,"a \"b\" c","a.jpg","\N",9"""
    )
    assert [(row["name"], row["pic"], row["brand"]) for row in found] == [
        ('5" heel', r"women\a1.jpg", r"AC\DC"), ('a "b" c', "a.jpg", r"\N")
    ]  # fmt: skip


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
@pytest.mark.parametrize("within", ["\n", "\r", "\r\n", "x"])
def test_line_ends_of_another_kind_in_cells(rows, end, within):
    text = end.join([HEADER.strip(), f'A1,"Red{within}hat",a.jpg,Zed,9', "A2,Hat,b.jpg,Zed,9", ""])
    one, two = rows(text)
    assert (one["sku"], one["brand"], two["sku"]) == ("A1", "Zed", "A2")
    assert "".join(one["name"].split()) == f"Red{within.strip()}hat"


@pytest.mark.parametrize(
    ("encoding", "cells"),
    [
        ("cp1252", ["£1.99", "£2", "£30"]), ("cp1252", ["Crème skirt £9", "Naïve tee", "Plain ½"]),
        ("cp1252", ["¥100", "¥200"]), ("cp1252", ["Wash at 10°", "at 30°"]), ("cp1252", ["10×10 cm", "20×20"]),
        ("cp1252", ["9 €", "10 €"]), ("cp1252", ["Größe", "Straße", "Übergröße"]), ("cp1252", ["m² 1", "m² 2"]),
        ("cp1250", ["Łódź", "żółty płaszcz", "spódnica dżinsowa"]), ("cp1251", ["красное платье", "шуба"]),
        ("gb18030", ["红色裙子", "日本外套"]),
    ],
)  # fmt: skip
def test_the_encoding_that_most_lines_are_in(rows, encoding, cells):
    lines = [f"A{n},{cell},a.jpg,Zed,9\n" for n, cell in enumerate(cells)]
    assert [row["name"] for row in rows(HEADER + "".join(lines), encoding)] == cells


def test_a_header_in_another_encoding_is_told(rows):
    with pytest.raises(
        RawDataError, match="line 1, perhaps the header, is not UTF-8; set the encoding, such as 'cp1252'"
    ):
        rows("sku,name,pic,brand,Größe\nA1,Hat,a.jpg,Zed,L\n", "cp1252")
    (row,) = rows("sku,name,pic,brand,Größe\nA1,Hat,a.jpg,Zed,L\n", "cp1252", encoding="cp1252")
    assert row["Größe"] == "L"


def test_a_cell_may_be_as_long_as_a_line(rows):
    (row,) = rows(HEADER + f'A1,"{"x" * 500_000}, y",a.jpg,Zed,9\n')
    assert len(row["name"]) == 500_003
