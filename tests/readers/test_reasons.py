"""What a reason says of a row depends on the row alone: another process says the same, and none names memory."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import TRAIN, VALIDATION, write_fashiongen

SCRIPT = """
import sys
from pathlib import Path

from eiclip.errors import RawDataError
from eiclip.readers.amazon.reader import AmazonReader
from eiclip.readers.amazon.reviews import write_reviews
from eiclip.readers.fashiongen.reader import FashionGenReader
from eiclip.readers.table.reader import TableReader
from eiclip.settings.load import ColumnSettings
import pyarrow.parquet as pq

folder = Path(sys.argv[1])
columns = ColumnSettings(product_id="sku", title="name")
readers = [AmazonReader(file, folder / "images") for file in sorted(folder.glob("amazon*"))]
readers += [TableReader([file], columns, folder / "images", ()) for file in sorted(folder.glob("table*"))]
readers += [FashionGenReader(folder, ("brand",))]
for reader in readers:
    try:
        for row in reader.rows():
            print(ascii(getattr(row, "reason", row)))
    except RawDataError as error:
        print(ascii(str(error)))
for facts in readers[0].examine([file.stem for file in sorted((folder / "images").iterdir())]):
    print(ascii(str(facts)))
write_reviews(folder / "reviews", folder / "out", folder / "rejected", "shop")
for row in pq.read_table(folder / "rejected").to_pylist():
    print(ascii(row["reason"]))
"""
LITERALS = (
    "{'asin': foo()}", "{'asin': lambda: 1}", "{'asin': {1, 2}}", "{'asin': x.y}", "{'asin': -'a'}", "{'asin': 1 + 1j}",
    "{'asin': array(nan, nan)}", "{'asin': [x for x in y], 'price': nan}", "{'asin': f'{x}'}", "{'asin': {[]: 1}}",
    "{'asin': (yield)}", "{'asin': ...}", "{'asin': b'x'}", "{'asin': 'B1'",
)  # fmt: skip
LINES = (
    '{"asin": "B1", "title": "x", "overall": 5, "rating": 5}', '{"asin": {}}', "[1]", '"x"', "{", '{"asin": NaN}', "",
    '{"asin": true}', '{"asin": "B1", "overall": {}}', '{"sku": "A", "name": {"a": []}, "photo": {"b": 1}}',
)  # fmt: skip


@pytest.fixture
def odd(tmp_path):
    """A folder of odd input for every reader."""
    (tmp_path / "images").mkdir()
    lines = "\n".join([LINES[0], *LITERALS, *LINES]).encode() + b'\n{"asin": "caf\xe9"}\n'
    for name in ("amazon", "reviews", "table.jsonl"):
        (tmp_path / name).write_bytes(lines)
    (tmp_path / "amazon.csv").write_text(
        "asin,title,details\nB1,\"['a' 'b']\",{lambda: 1}\n,{x},[foo()]\nB2,x\n\"B3,x,y\n"
    )
    (tmp_path / "amazon.array").write_text('[{"asin": {}}, 1, null, {"asin": "B1", "title": tru}]')
    (tmp_path / "table.csv").write_bytes(b'sku,name,photo\n,,\nA,"x\nB,caf\xe9,y\nC,,{}\nD,x,data:1\n')
    for number, content in enumerate(
        (b"", b"GIF89a", b"\xff\xd8\xff\xe0cut", b"\x89PNG\r\n\x1a\ncut", b"RIFF0000WEBPVP8 ")
    ):
        (tmp_path / "images" / f"P{number}.jpg").write_bytes(content)
    rows = [{"id": 1, "description": "", "name": ""}, {"id": -1}, {"id": 2}]
    write_fashiongen(tmp_path / TRAIN, rows)
    write_fashiongen(tmp_path / VALIDATION, rows)
    return tmp_path


def test_reasons_are_the_same_in_every_process(odd):
    def said(seed):
        environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONMALLOC": "malloc" if seed == "1" else "default"}
        command = [sys.executable, "-c", SCRIPT, str(odd)]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]
        )
        return done.stdout.splitlines()

    first, second = said("1"), said("2")
    assert len(first) > 80
    assert first == second
    assert [line for line in first if re.search(r"0x[0-9a-f]{5,}|object at", line)] == []
    assert sum("broken Python literal" in line for line in first) > 20
