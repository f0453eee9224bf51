"""Shards: tars of photos (JPEG, at training resolution) and their texts, an index beside each, and a manifest.

A sample is `<image_id>.jpg`, `<image_id>.txt` (the description) and `<image_id>.json` ({"image_id", "product_id",
"entities"}), so that any reader of image-caption tars reads them too. Shards hold entity *strings*: ids belong to a
vocabulary, which may change without the photos being written again. docs/shards.md says more.
"""

from eiclip.shards.index import index_of_tar, read_index
from eiclip.shards.merge import merge_parts
from eiclip.shards.read import read_manifest, read_samples, shard_paths
from eiclip.shards.sample import JPEG_QUALITY, PixelReader, Sample, encode_photo, encode_photos, fit_square
from eiclip.shards.verify import CheckedShard, Finding, find_damage, valid_samples, valid_shards, verify_shards
from eiclip.shards.write import INDEX_SCHEMA, LONGEST_KEY, SAMPLES_PER_SHARD, SPLITS, write_shards

__all__ = [
    "INDEX_SCHEMA",
    "JPEG_QUALITY",
    "LONGEST_KEY",
    "SAMPLES_PER_SHARD",
    "SPLITS",
    "CheckedShard",
    "Finding",
    "PixelReader",
    "Sample",
    "encode_photo",
    "encode_photos",
    "find_damage",
    "fit_square",
    "index_of_tar",
    "merge_parts",
    "read_index",
    "read_manifest",
    "read_samples",
    "shard_paths",
    "valid_samples",
    "valid_shards",
    "verify_shards",
    "write_shards",
]
