"""Ranks of a trained trial on the test split, over all candidates.

Shape suffixes: N photos, P products, D embedding width.
"""

from pathlib import Path

import pyarrow as pa

from eiclip.evaluation.embed import embed_samples
from eiclip.evaluation.ranking import full_ranks
from eiclip.model.entity_clip import load_checkpoint
from eiclip.shards import read_samples, shard_paths

RANKS_SCHEMA = pa.schema(
    [("direction", pa.string()), ("query_id", pa.string()), ("product_id", pa.string()), ("rank", pa.int64())]
)


def rank_checkpoint(checkpoint: Path, shards: Path, device: str = "cpu") -> pa.Table:
    """Rank of every test query both ways: direction ('i2t' | 't2i'), query_id, product_id, rank.

    Raises:
        NonFiniteError: an embedding is NaN or infinite.
    """
    split = embed_samples(load_checkpoint(checkpoint, device), list(read_samples(shard_paths(shards, "test"))), device)
    image_owner_N, text_owner_P = split.owners()
    image_rank_N = full_ranks(split.image_ND, split.text_PD, image_owner_N, text_owner_P)
    text_rank_P = full_ranks(split.text_PD, split.image_ND, text_owner_P, image_owner_N)
    return pa.concat_tables(
        pa.table([[way] * len(ids), ids, products, ranks.cpu().numpy()], schema=RANKS_SCHEMA)
        for way, ids, products, ranks in (
            ("i2t", split.image_ids, split.image_products, image_rank_N),
            ("t2i", split.product_ids, split.product_ids, text_rank_P),
        )
    )
