"""Groups of known duplicates: products connected by photos that are the same (`sql/ingest/duplicate_photos.sql`)."""

import numpy as np
import pyarrow as pa
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

SCHEMA = pa.schema([("dataset", pa.string()), ("product_id", pa.string()), ("group_id", pa.string())])


def product_groups(pairs: pa.Table, dataset: str) -> pa.Table:
    """Return the components that `pairs` (product_id, other_id) connect: group_id is the smallest product's id."""
    ends = np.concatenate([pairs[name].to_numpy(zero_copy_only=False) for name in ("product_id", "other_id")])
    products, numbers = np.unique(ends.astype(str), return_inverse=True)
    if not len(products):
        return SCHEMA.empty_table()
    ones, others = numbers[: len(pairs)], numbers[len(pairs) :]
    graph = coo_array((np.ones(len(pairs), np.int8), (ones, others)), shape=(len(products), len(products)))
    _, group = connected_components(graph, directed=False)
    _, first = np.unique(group, return_index=True)  # products are sorted, so a group's first is its smallest
    columns = [[dataset] * len(products), products.tolist(), products[first[group]].tolist()]
    return pa.table(columns, schema=SCHEMA)
