"""The synthetic catalogue of styles: a table of listings with photos, and the log of clicks on them.

One row is one photo of one listing (`eiclip.synthetic.listings`). The column `style` holds the TRUE style: ground truth
for evaluation, never a training signal; no other column reveals it.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from eiclip.storage.files import whole_file
from eiclip.synthetic.clicks import SESSIONS_OF_A_STYLE, write_clicks
from eiclip.synthetic.draws import generator, require_count
from eiclip.synthetic.listings import StyleListing, draw_listings, listing_photo, listing_texts
from eiclip.synthetic.photo import jpeg
from eiclip.synthetic.products import dirty_places

DIRT = ("no photo", "broken photo", "no text", "markup", "no id")
"""What is wrong with the dirty listings: about 1 % of all, every fault at least once where there are 25 or more."""
_DIRTY_SHARE = 0.01
_ROW_GROUP = 256  # rows: about 3 MB of photos in memory at once
TEXT_COLUMNS = ("colour", "brand", "subcategory", "category", "season", "composition", "gender")
SCHEMA = pa.schema(
    [("sku", pa.string()), ("name", pa.string()), ("description", pa.string()), ("photo", pa.binary())]
    + [(name, pa.string()) for name in (*TEXT_COLUMNS, "seller")]
    + [("price", pa.float64()), ("style", pa.string())]
)


def _soil(row: dict[str, Any], fault: str | None) -> dict[str, Any]:
    """Give the row its fault, if it has one."""
    if fault == "no photo":
        return row | {"photo": None}
    if fault == "broken photo":
        return row | {"photo": row["photo"][: len(row["photo"]) // 3]}
    if fault == "no text":
        return row | {"name": None, "description": ""}
    if fault == "markup":
        return row | {"name": f"<b>{row['name']}</b>&nbsp;", "description": f"{row['description']}<br>"}
    return row | {"sku": None} if fault == "no id" else row


def _rows(seed: int, listing: StyleListing, fault: str | None) -> Iterator[dict[str, Any]]:
    """Make the listing's rows, one per photo; a missing tag is NULL."""
    name, description = listing_texts(seed, listing)
    tags = {column: getattr(listing.tagged, column) or None for column in TEXT_COLUMNS}
    for photo in range(len(listing.behind)):
        row = {
            "sku": listing.sku,
            "name": name,
            "description": description,
            "photo": jpeg(listing_photo(seed, listing, photo)),
            **tags,
            "seller": listing.seller.name,
            "price": float(listing.product.price),
            "style": listing.style_id,
        }
        yield _soil(row, fault)


def _write_products(path: Path, seed: int, listings: list[StyleListing]) -> None:
    dirt = dirty_places(generator(seed, "dirt of styles"), DIRT, _DIRTY_SHARE, len(listings), least=5 * len(DIRT))
    group: list[dict[str, Any]] = []
    with pq.ParquetWriter(path, SCHEMA, compression="zstd", use_dictionary=False) as writer:
        for place, listing in enumerate(listings):
            group += _rows(seed, listing, dirt.get(place))
            if len(group) >= _ROW_GROUP or place == len(listings) - 1:
                writer.write_table(pa.Table.from_pylist(group, SCHEMA))
                group = []


def write_styles(folder: Path, *, seed: int, styles: int = 900) -> None:
    """Write `products.parquet` and `clicks.parquet` into `folder`, each whole or not at all.

    The products come into place before the clicks on them. Equal arguments give equal bytes.

    Args:
        folder: where to write.
        seed: of every draw, 0 or more.
        styles: designs; about three times as many listings, and about thirteen times as many sessions of clicks.

    Raises:
        SettingsError: `styles` is below 1 or `seed` below 0.
    """
    require_count("styles", styles)
    listings = draw_listings(seed, styles)
    with whole_file(folder / "products.parquet") as products:
        _write_products(products, seed, listings)
    with whole_file(folder / "clicks.parquet") as clicks:
        write_clicks(clicks, seed, listings, sessions=round(styles * SESSIONS_OF_A_STYLE))
