"""The products of a folder of shards, and what tells one state of each from another, from the indexes alone."""

import hashlib
import json
from pathlib import Path

import pyarrow as pa

from eiclip.shards.read import INDEX_SCHEMA, read_index, read_manifest
from eiclip.shards.write import SPLITS

CONTENTS_SCHEMA = pa.schema([
    ("product_id", pa.string()), ("split", pa.string()), ("content", pa.string()), INDEX_SCHEMA.field("entities"),
])  # fmt: skip


def product_contents(folder: Path) -> pa.Table:
    """Return a row a product, by split and then in the order of the shards: product_id, split, content, entities.

    `content` is a digest of all that a model reads of it (photos, text, entities): equal digests, equal embeddings.
    Photos count by the lengths and checksums of the index, so that no tar is read. Of several photos the first one's
    text and entities are the product's. Raises CorruptOutputError where the manifest or an index cannot be read.
    """
    rows: dict[str, tuple[str, list[object], object]] = {}
    listed = read_manifest(folder)["shards"]
    for split in SPLITS:
        for shard in (shard for shard in listed if shard["split"] == split):
            index = read_index(folder, shard)
            names = ("product_id", "description", "entities", "jpeg_bytes", "region_crc32")
            for product, *content in zip(*(index[name].to_pylist() for name in names), strict=True):
                rows.setdefault(product, (split, [], content[1]))[1].append(content)
    return pa.table(
        {
            "product_id": list(rows),
            "split": [split for split, *_ in rows.values()],
            "content": [_digest(content) for _, content, _ in rows.values()],
            "entities": [entities for *_, entities in rows.values()],
        },
        schema=CONTENTS_SCHEMA,
    )


def _digest(content: list[object]) -> str:
    return hashlib.blake2b(json.dumps(content).encode(), digest_size=16).hexdigest()
