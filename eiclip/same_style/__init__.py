"""Same-style retrieval: click logs, the pairs of products mined from them, and how well a model finds a style.

Queries are in `sql/clicks/` and `sql/mining/`; the loss is in `model`, the training in `train`.
"""

VIEW_COLUMNS = {"i": "image", "t": "text", "m": "joint"}
"""Columns of `product_views` by the letter that pairs of views are written with."""
VIEW_PAIRS = ("i-i", "t-t", "i-t", "t-i", "i-m", "t-m", "m-m")
"""The query's view and the candidates' view."""
