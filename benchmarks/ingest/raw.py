"""Raw files to measure on: real products where they are at hand, else the synthetic catalogue's."""

import gzip
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import h5py

from eiclip.synthetic import write_amazon, write_fashiongen

PACK = Path(__file__).resolve().parents[3] / "shared/tools/raw_from_pack.py"
FASHIONGEN = "fashiongen_256_256_train.h5"
_STAND_IN = "@@@@@@@@@@"


def fashiongen_file(folder: Path, products: int | None = None) -> Path:
    """The train file below `folder`; made of so many products where `products` is given and there is none."""
    if products and not (folder / FASHIONGEN).exists():
        folder.mkdir(parents=True, exist_ok=True)
        if PACK.exists():
            _unpack("fashiongen", folder, "--limit", str(products))
        else:
            train = products * 4 // 5
            write_fashiongen(folder, seed=0, train_products=train, test_products=products - train)
    return folder / FASHIONGEN


def repeated_file(source: Path, folder: Path, times: int) -> Path:
    """A folder whose file holds the rows of `source` so many times over; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with h5py.File(source) as old, h5py.File(folder / source.name, "w") as new:
        for key, column in old.items():
            count = column.shape[0]
            shape = (count * times, *column.shape[1:])
            made = new.create_dataset(key, shape, column.dtype, chunks=column.chunks)
            for begin in range(0, count, 500):
                rows = column[begin : begin + 500]
                for time in range(times):
                    made[time * count + begin : time * count + begin + len(rows)] = rows
    return folder


def _amazon_lines(folder: Path) -> list[dict[str, object]]:
    folder.mkdir(parents=True, exist_ok=True)
    if PACK.exists():
        _unpack("amazon", folder, "--edition", "2018")
    else:
        write_amazon(folder, seed=0)
    (metadata,) = folder.glob("meta_*")
    found = []
    with gzip.open(metadata, "rt", encoding="utf-8") as stream:
        for text in stream:
            try:
                found.append(json.loads(text))
            except ValueError:  # the synthetic catalogue has some that are broken on purpose
                continue
    return [record for record in found if record.get("asin") and record.get("title")]


def amazon_file(path: Path, lines: int) -> Path:
    """Metadata of the 2018 edition: real lines repeated under new ids, gzipped."""
    templates = [json.dumps(record | {"asin": _STAND_IN}) for record in _amazon_lines(path.parent / "amazon_lines")]

    def numbered() -> Iterator[str]:
        for number in range(lines):
            yield templates[number % len(templates)].replace(_STAND_IN, f"B{number:09d}", 1) + "\n"

    with gzip.open(path, "wt", encoding="utf-8", compresslevel=6) as stream:
        stream.writelines(numbered())
    return path


def _unpack(kind: str, folder: Path, *options: str) -> None:
    subprocess.run([sys.executable, str(PACK), kind, str(folder), *options], check=True, stdout=subprocess.DEVNULL)
