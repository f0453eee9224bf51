"""Ranks of a trained trial on the test split, over all candidates.

Shape suffixes: N photos, P products, D embedding width.
"""

from pathlib import Path

import pyarrow as pa

from eiclip.evaluation.embed import embed_samples
from eiclip.features.reader import feature_store, features_of
from eiclip.model.entity_clip import load_checkpoint
from eiclip.shards import read_samples, shard_paths

RANKS_SCHEMA = pa.schema(
    [("direction", pa.string()), ("query_id", pa.string()), ("product_id", pa.string()), ("rank", pa.int64())]
)


def rank_checkpoint(checkpoint: Path, shards: Path, device: str = "cpu", features: Path | None = None) -> pa.Table:
    """Rank of every test query both ways: direction ('i2t' | 't2i'), query_id, product_id, rank.

    Raises:
        NonFiniteError: an embedding is NaN or infinite.
    """
    model, paths = load_checkpoint(checkpoint, device), shard_paths(shards, "test")
    store = feature_store(model, features, shards, device)
    split = embed_samples(model, list(read_samples(paths)), device, features_of(store, paths))
    ranks = split.ranks()
    queries = {"i2t": (split.image_ids, split.image_products), "t2i": (split.product_ids, split.product_ids)}
    parts = [
        pa.table([[way] * len(ids), ids, products, ranks[way].cpu().numpy()], schema=RANKS_SCHEMA)
        for way, (ids, products) in queries.items()
    ]
    return pa.concat_tables(parts)
