"""Tables of views and styles, as same-style retrieval reads them."""

import numpy as np
import pyarrow as pa


def views_table(products, split="test", **views):
    """Rows as of `product_views`; each view is a matrix."""
    named = {"dataset": "d", "variant": "v", "split": split}
    columns = {name: [value] * len(products) for name, value in named.items()} | {"product_id": list(products)}
    lists = {
        name: pa.FixedSizeListArray.from_arrays(pa.array(view.astype(np.float32).reshape(-1)), view.shape[1])
        for name, view in views.items()
    }
    return pa.table(columns | lists)


def styles_table(style_of):
    """Styles by product."""
    return pa.table({"product_id": list(style_of), "style_id": list(style_of.values())})


def unit(matrix):
    """Rows at length one."""
    return matrix / np.linalg.norm(matrix, axis=1, keepdims=True)
