"""A shop and its click log, drawn: what sells sells by Zipf's law, and a visitor stays mostly within one category."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

WIDTH, WORDS, VOCABULARY = 64, 12, 4000
STYLE = 4
"""Products of one style: they share most words and the signs of most numbers of their vectors."""
CATEGORY = 400
"""Products of one category: neighbours by number."""
BOTS, BOT_CLICKS = 5, 10_000
NOISE = 0.3
"""Share of a session's clicks that lie anywhere."""
PIECE = 2_000_000
"""Rows drawn at once."""
EPOCH = 1_714_521_600
"""Seconds since 1970 of the first click."""


class Drawn(NamedTuple):
    """Files of a drawn shop."""

    log: Path
    products: Path
    images: Path
    views: Path


def draw(folder: Path, rows: int, items: int, seed: int = 0) -> Drawn:
    """Write a log of `rows` clicks on `items` products, and the products' tables of the lake."""
    random = np.random.default_rng(seed)
    files = Drawn(*(folder / f"{name}.parquet" for name in Drawn._fields))
    names = [f"{number:09d}" for number in range(items)]
    _write_products(files, names, random)
    with pq.ParquetWriter(files.log, _LOG, compression="zstd") as file:
        for piece in _clicks(rows, items, random):
            file.write_table(piece)
    return files


_LOG = pa.schema([("session", pa.int64()), ("time", pa.timestamp("s")), ("item", pa.string())])


def _clicks(rows: int, items: int, random: np.random.Generator) -> Iterator[pa.Table]:
    """Pieces of the log, 1 in 100 clicks without an item, of one unknown, twice; 1 in 1,000 of a time to come."""
    first = 0
    for begin in range(0, rows, PIECE):
        count = min(PIECE, rows - begin)
        session_N = first + np.sort(random.integers(0, max(count // 7, 1), count))
        first = int(session_N[-1]) + 1
        home_S = _zipf(max(items // CATEGORY, 1), first, random)
        near_N = home_S[session_N] * CATEGORY + _zipf(CATEGORY, count, random)
        item_N = np.where(random.random(count) < NOISE, _zipf(items, count, random), near_N) % items
        time_N = EPOCH + session_N * 3 + random.integers(0, 600, count)
        bots = min(BOT_CLICKS, count // 20)
        for bot in range(BOTS):
            session_N[bot * bots : (bot + 1) * bots] = -1 - bot
            item_N[bot * bots : (bot + 1) * bots] = random.integers(0, items, bots)
        again = random.integers(1, count, count // 100)
        session_N[again], item_N[again], time_N[again] = session_N[again - 1], item_N[again - 1], time_N[again - 1]
        time_N[random.integers(0, count, count // 1000)] += 10**9
        item_N[random.integers(0, count, count // 100)] += items
        item = pa.array(np.char.zfill(item_N.astype("U9"), 9), pa.string(), mask=random.random(count) < 0.01)
        yield pa.table([session_N, pa.array(time_N, pa.timestamp("s")), item], schema=_LOG)


def _zipf(kinds: int, count: int, random: np.random.Generator) -> np.ndarray:
    """Numbers below `kinds`, the n-th drawn in proportion to 1 / n, without a table of shares."""
    return np.minimum((kinds + 1) ** random.random(count) - 1, kinds - 1).astype(np.int64)


def _write_products(files: Drawn, names: list[str], random: np.random.Generator) -> None:
    count = len(names)
    style_N = np.arange(count) // STYLE
    word_NW = random.integers(0, VOCABULARY, (style_N[-1] + 1, WORDS))[style_N]
    word_NW = np.where(random.random(word_NW.shape) < 0.3, random.integers(0, VOCABULARY, word_NW.shape), word_NW)
    sign_ND = random.choice([-1, 1], (style_N[-1] + 1, WIDTH))[style_N] * random.choice(
        [-1, 1], (count, WIDTH), p=[0.1, 0.9]
    )
    # Eighths: vectors of length one, and every sum of products is exact in whichever order.
    image_ND = (sign_ND / np.sqrt(WIDTH)).astype(np.float32)
    split = np.where(random.random(style_N[-1] + 1) < 0.3, "test", "train")[style_N]
    same = {"dataset": ["bench"] * count, "product_id": names}
    category = [f"category {number}" for number in np.arange(count) // CATEGORY]
    description = [" ".join(f"w{word}" for word in words) for words in word_NW]
    facts = {"split": split, "category": category, "subcategory": category, "department": category}
    pq.write_table(pa.table(same | facts | {"description": description}), files.products)
    pq.write_table(pa.table(same), files.images)
    image = pa.FixedSizeListArray.from_arrays(pa.array(image_ND.ravel()), WIDTH)
    views = same | {"variant": ["clip_pretrained"] * count, "split": split, "image": image}
    pq.write_table(pa.table(views), files.views)
