"""The synthetic catalogue as the two HDF5 files of Fashion-Gen, a row a photo, a product's rows together."""

from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np

from eiclip.storage.files import whole_file
from eiclip.synthetic.brands import RARE_BRANDS
from eiclip.synthetic.draws import chance, generator, require_count
from eiclip.synthetic.fabrics import PHOTO_SIZE
from eiclip.synthetic.products import House, Product, draw_products, spread, take_photo
from eiclip.synthetic.texts import describe, product_name

_TEXT_WIDTH = {"input_description": 400, "input_concat_description": 800, "input_composition": 200}
_OTHER_WIDTH = 100
_FIRST_ID = {"train": 10_001, "validation": 80_001}
# Rows that a reader meets in the real files: no text at all, or markup in it.
_EMPTY_SHARE, _MARKUP_SHARE = 0.004, 0.01


class _Row(NamedTuple):
    product: Product
    pose: int
    description: str


def _rare_brands(seed: int, house: House, count: int) -> dict[int, str]:
    """Choose the products with a rare brand: all but one brand in training, half of them and that one in test."""
    names = RARE_BRANDS[:-1] if house.purpose == "train" else RARE_BRANDS[::2] + RARE_BRANDS[-1:]
    places = spread(generator(seed, f"rare brands of {house.purpose}"), len(names), count)
    return dict(zip(places, names, strict=False)) if count >= 50 else {}


def _description(seed: int, house: House, product: Product) -> str:
    rng = generator(seed, f"description of {house.purpose}", product.index)
    text = describe(product, rng)
    if chance(rng, _EMPTY_SHARE):
        return ""
    if chance(rng, _MARKUP_SHARE):
        return text.replace(". ", ".<br>", 1) if ". " in text else f"{text}<br>"
    return text


def _rows(seed: int, house: House, count: int) -> list[_Row]:
    rows: list[_Row] = []
    for product in draw_products(seed, house, count, _rare_brands(seed, house, count)):
        text = _description(seed, house, product)
        photos = int(generator(seed, f"photos of {house.purpose}", product.index).choice(3, p=(0.55, 0.35, 0.1))) + 1
        rows += [_Row(product, pose, text) for pose in range(photos)]
    return rows


def _texts(row: _Row) -> dict[str, str]:
    product = row.product
    name = product_name(product)
    return {
        "input_name": name,
        "input_brand": product.brand,
        "input_category": product.category,
        "input_subcategory": product.subcategory,
        "input_season": product.season,
        "input_composition": product.composition,
        "input_description": row.description,
        "input_concat_description": f"{name} {row.description}".strip(),
        "input_department": "CLOTHING",
        "input_gender": product.gender,
        "input_pose": f"id_gridfs_{row.pose + 1}",
    }


def _write_columns(h5: h5py.File, rows: list[_Row], house: House) -> None:
    texts = [_texts(row) for row in rows]
    for key in texts[0]:
        width = _TEXT_WIDTH.get(key, _OTHER_WIDTH)
        cells = [text[key].encode("latin-1", "replace")[:width] for text in texts]
        h5.create_dataset(key, data=np.array(cells, dtype=f"S{width}").reshape(-1, 1), compression="gzip")
    ids = [[_FIRST_ID[house.purpose] + row.product.index] for row in rows]
    h5.create_dataset("input_productID", data=np.array(ids, dtype=np.int32))
    h5.create_dataset("input_msrpUSD", data=np.array([[row.product.price] for row in rows], dtype=np.float32))
    h5.create_dataset("index", data=np.arange(len(rows), dtype=np.int64).reshape(-1, 1))
    h5.create_dataset("index_2", data=np.arange(len(rows), dtype=np.int64))


def _write_file(path: Path, seed: int, house: House, count: int) -> None:
    rows = _rows(seed, house, count)
    side = PHOTO_SIZE
    with h5py.File(path, "w") as h5:
        images = h5.create_dataset(
            "input_image", (len(rows), side, side, 3), "uint8", chunks=(1, side, side, 3), compression="lzf"
        )
        for place, row in enumerate(rows):
            images[place] = np.asarray(take_photo(seed, house, row.product, row.pose))
        _write_columns(h5, rows, house)


def write_fashiongen(folder: Path, *, seed: int, train_products: int = 3400, test_products: int = 800) -> None:
    """Write `fashiongen_256_256_train.h5` and `..._validation.h5` into `folder`, whole or not at all.

    Equal arguments give equal contents.
    """
    require_count("train_products", train_products)
    require_count("test_products", test_products)
    with (
        whole_file(folder / "fashiongen_256_256_train.h5") as train,
        whole_file(folder / "fashiongen_256_256_validation.h5") as validation,
    ):  # an interrupted run leaves neither
        _write_file(train, seed, House("train"), train_products)
        _write_file(validation, seed, House("validation"), test_products)
