"""Shards: tars of photos (JPEG, at training resolution) and their texts, an index beside each, and a manifest.

A sample is `<image_id>.jpg`, `<image_id>.txt` (the description) and `<image_id>.json` ({"image_id", "product_id",
"entities"}), so that any reader of image-caption tars reads them too. Shards hold entity *strings*: ids belong to a
vocabulary, which may change without the photos being written again. docs/shards.md says more.
"""

from eiclip.shards.read import INDEX_SCHEMA, read_index, read_jpeg, read_manifest, read_samples, shard_paths
from eiclip.shards.sample import JPEG_QUALITY, PhotoForm, Sample, encode_photo, encode_photos, fit_square
from eiclip.shards.verify import CheckedShard, Finding, find_damage, valid_samples, valid_shards
from eiclip.shards.write import SPLITS, merge_parts, write_shards

__all__ = [
    "INDEX_SCHEMA", "JPEG_QUALITY", "SPLITS", "CheckedShard", "Finding", "PhotoForm", "Sample", "encode_photo",
    "encode_photos", "find_damage", "fit_square", "merge_parts", "read_index", "read_jpeg",
    "read_manifest", "read_samples", "shard_paths", "valid_samples", "valid_shards", "write_shards",
]  # fmt: skip
