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
_ROW_GROUP = 256  # rows: about 3 MB of photos in memory at once
TEXT_COLUMNS = ("colour", "brand", "subcategory", "category", "season", "composition", "gender")
SCHEMA = pa.schema(
    [("sku", pa.string()), ("name", pa.string()), ("description", pa.string()), ("photo", pa.binary())]
    + [(name, pa.string()) for name in (*TEXT_COLUMNS, "seller")]
    + [("price", pa.float64()), ("style", pa.string())]
)


def _rows(seed: int, listing: StyleListing, fault: str | None) -> Iterator[dict[str, Any]]:
    """Make the listing's rows, one per photo, with its fault if it has one; a missing tag is NULL."""
    name, description = listing_texts(seed, listing)
    for photo in range(len(listing.behind)):
        row: dict[str, Any] = {
            "sku": listing.sku,
            "name": name,
            "description": description,
            "photo": jpeg(listing_photo(seed, listing, photo)),
            **{column: getattr(listing.tagged, column) or None for column in TEXT_COLUMNS},
            "seller": listing.seller.name,
            "price": float(listing.product.price),
            "style": f"st{listing.style:05d}",
        }
        if fault == "no photo":
            row["photo"] = None
        elif fault == "broken photo":
            row["photo"] = row["photo"][: len(row["photo"]) // 3]
        elif fault == "no text":
            row |= {"name": None, "description": ""}
        elif fault == "markup":
            row |= {"name": f"<b>{name}</b>&nbsp;", "description": f"{description}<br>"}
        elif fault == "no id":
            row["sku"] = None
        yield row


def write_styles(folder: Path, *, seed: int, styles: int = 900) -> None:
    """Write `products.parquet` and `clicks.parquet` into `folder`, each whole or not at all.

    The products come into place before the clicks on them. Equal arguments give equal bytes. There are about three
    times as many listings as `styles`, and about thirteen times as many visits. Raises SettingsError where `styles` is
    below 1 or `seed` below 0.
    """
    require_count("styles", styles)
    listings = draw_listings(seed, styles)
    dirt = dirty_places(generator(seed, "dirt of styles"), DIRT, 0.01, len(listings), least=5 * len(DIRT))
    group: list[dict[str, Any]] = []
    with (
        whole_file(folder / "products.parquet") as path,
        pq.ParquetWriter(path, SCHEMA, compression="zstd", use_dictionary=False) as writer,
    ):
        for place, listing in enumerate(listings):
            group += _rows(seed, listing, dirt.get(place))
            if len(group) >= _ROW_GROUP or place == len(listings) - 1:
                writer.write_table(pa.Table.from_pylist(group, SCHEMA))
                group = []
    with whole_file(folder / "clicks.parquet") as path:
        write_clicks(path, seed, listings, sessions=round(styles * SESSIONS_OF_A_STYLE))
