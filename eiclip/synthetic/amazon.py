"""Writes a catalogue in the layout of Amazon's 2018 metadata: JSON a line and a folder of photos, some rows dirty."""

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np

from eiclip.storage.files import whole_file, whole_folder
from eiclip.synthetic.brands import AMAZON_ONLY_BRANDS, AMAZON_SHARED
from eiclip.synthetic.draws import generator, require_count
from eiclip.synthetic.photo import jpeg
from eiclip.synthetic.products import House, Product, dirty_places, draw_products, take_photo
from eiclip.synthetic.texts import amazon_description, amazon_title

# Shared and own brands take turns, so that both are found among the frequent ones.
_BRANDS = tuple(
    name for pair in zip(AMAZON_SHARED, AMAZON_ONLY_BRANDS, strict=False) for name in pair
) + AMAZON_ONLY_BRANDS[len(AMAZON_SHARED) :]  # fmt: skip
AMAZON_HOUSE = House("amazon", _BRANDS, 0.7)
DIRT = ("no photo", "broken line", "markup in title", "duplicate", "no brand")


def _record(seed: int, product: Product) -> dict[str, Any]:
    rng = generator(seed, "text of amazon", product.index)
    # Of Amazon's form: B0 and eight digits or capitals.
    asin = "B0" + np.base_repr(7_400_000_000 + product.index * 104_729, 36).zfill(8)
    urls = [f"https://images.example/I/{asin}.jpg"]
    title = amazon_title(product, rng)
    return {
        "category": ["Clothing, Shoes & Jewelry", product.gender, "Clothing", product.look.kind.title()],
        "tech1": "", "description": amazon_description(product, rng), "fit": "", "title": title, "also_buy": [],
        "tech2": "", "brand": product.brand, "feature": [], "rank": [], "also_view": [],
        "main_cat": '<img src="https://images.example/logo.png" alt="AMAZON FASHION"/>',
        "similar_item": "", "date": "", "price": f"${product.price / 5:.2f}", "asin": asin,
        "imageURL": urls, "imageURLHighRes": urls,
    }  # fmt: skip


def write_amazon(folder: Path, *, seed: int, products: int = 2200) -> None:
    """Write `meta_Fashion.json.gz` and `images/<asin>.jpg` into `folder`, each whole or not at all.

    The photos come into place before the list that names them. About 1 % of the rows is dirty on purpose.
    """
    require_count("products", products)
    dirt = dirty_places(generator(seed, "dirt of amazon"), DIRT, 0.011, products, least=4 * len(DIRT))
    lines: list[str] = []
    with whole_file(folder / "meta_Fashion.json.gz") as listing, whole_folder(folder / "images") as images:
        for product in draw_products(seed, AMAZON_HOUSE, products):
            record, fault = _record(seed, product), dirt.get(product.index)
            if fault != "no photo":
                photo = jpeg(take_photo(seed, AMAZON_HOUSE, product, 0))
                (images / f"{record['asin']}.jpg").write_bytes(photo)
            if fault == "markup in title":
                record["title"] = f'<span class="a-size-medium">{record["title"]}</span>&nbsp;'
            elif fault == "no brand":
                record["brand"] = ""
            line = json.dumps(record)
            if fault == "broken line":
                line = line[: len(line) * 2 // 3]
            lines += [line, line] if fault == "duplicate" else [line]
        # mtime 0: equal contents are equal bytes.
        listing.write_bytes(gzip.compress("".join(f"{line}\n" for line in lines).encode(), 6, mtime=0))
