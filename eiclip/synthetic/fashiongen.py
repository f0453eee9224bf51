"""The synthetic catalogue as the two HDF5 files of Fashion-Gen, a row a photo, a product's rows together."""

from itertools import count as counter
from pathlib import Path

import h5py
import numpy as np

from eiclip.storage.files import whole_file
from eiclip.synthetic.brands import RARE_BRANDS
from eiclip.synthetic.draws import chance, generator, require_count
from eiclip.synthetic.fabrics import PHOTO_SIZE
from eiclip.synthetic.photo import jpeg
from eiclip.synthetic.products import House, Product, draw_product, draw_products, spread, take_photo
from eiclip.synthetic.texts import describe, product_name

_WIDTHS = {"input_description": 400, "input_concat_description": 800, "input_composition": 200}
_FIRST_ID = {"train": 10_001, "validation": 80_001}
# Rows that a reader meets in the real files: no text at all, or markup in it.
_EMPTY_SHARE, _MARKUP_SHARE = 0.004, 0.01
EXAMPLES = ("sneakers", "coat")
"""Garments of which there is a photo to search with, `<kind>.jpg`, of a product that the catalogue does not have."""


def _rare_brands(seed: int, house: House, count: int) -> dict[int, str]:
    """Choose the products with a rare brand: all but one brand in training, half of them and that one in test."""
    names = RARE_BRANDS[:-1] if house.purpose == "train" else RARE_BRANDS[::2] + RARE_BRANDS[-1:]
    places = spread(generator(seed, f"rare brands of {house.purpose}"), len(names), count)
    return dict(zip(places, names, strict=False)) if count >= 50 else {}


def _rows(seed: int, house: House, count: int) -> list[tuple[Product, int, dict[str, str]]]:
    """Draw (product, pose, text columns) of every row."""
    rows: list[tuple[Product, int, dict[str, str]]] = []
    for product in draw_products(seed, house, count, _rare_brands(seed, house, count)):
        rng = generator(seed, f"description of {house.purpose}", product.index)
        name, text = product_name(product), describe(product, rng)
        if chance(rng, _EMPTY_SHARE):
            text = ""
        elif chance(rng, _MARKUP_SHARE):
            text = text.replace(". ", ".<br>", 1) if ". " in text else f"{text}<br>"
        columns = {
            "input_name": name, "input_brand": product.brand, "input_category": product.category,
            "input_subcategory": product.subcategory, "input_season": product.season,
            "input_composition": product.composition, "input_description": text,
            "input_concat_description": f"{name} {text}".strip(), "input_department": "CLOTHING",
            "input_gender": product.gender,
        }  # fmt: skip
        photos = int(generator(seed, f"photos of {house.purpose}", product.index).choice(3, p=(0.55, 0.35, 0.1))) + 1
        rows += [(product, pose, columns | {"input_pose": f"id_gridfs_{pose + 1}"}) for pose in range(photos)]
    return rows


def _write_file(path: Path, seed: int, house: House, count: int) -> None:
    rows, photo = _rows(seed, house, count), (PHOTO_SIZE, PHOTO_SIZE, 3)
    with h5py.File(path, "w") as h5:
        images = h5.create_dataset("input_image", (len(rows), *photo), "uint8", chunks=(1, *photo), compression="lzf")
        for place, (product, pose, _) in enumerate(rows):
            images[place] = np.asarray(take_photo(seed, house, product, pose))
        for key in rows[0][2]:
            width = _WIDTHS.get(key, 100)
            cells = [[texts[key].encode("latin-1", "replace")[:width]] for *_, texts in rows]
            h5.create_dataset(key, data=np.array(cells, dtype=f"S{width}"), compression="gzip")
        ids = [[_FIRST_ID[house.purpose] + product.index] for product, *_ in rows]
        h5.create_dataset("input_productID", data=np.array(ids, dtype=np.int32))
        prices = [[product.price] for product, *_ in rows]
        h5.create_dataset("input_msrpUSD", data=np.array(prices, dtype=np.float32))
        h5.create_dataset("index", data=np.arange(len(rows), dtype=np.int64).reshape(-1, 1))
        h5.create_dataset("index_2", data=np.arange(len(rows), dtype=np.int64))


def _write_example(path: Path, seed: int, kind: str) -> None:
    house = House("examples")
    drawn = (draw_product(seed, house, index) for index in counter())
    product = next(product for product in drawn if product.look.kind == kind)
    path.write_bytes(jpeg(take_photo(seed, house, product, 0)))


def write_fashiongen(folder: Path, *, seed: int, train_products: int = 3400, test_products: int = 800) -> None:
    """Write `fashiongen_256_256_train.h5` and `..._validation.h5` into `folder`, whole or not at all,
    and the photos of `EXAMPLES`, to search with.

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
    for kind in EXAMPLES:
        with whole_file(folder / f"{kind}.jpg") as path:
            _write_example(path, seed, kind)
