"""The views of a product and the pairs of them that ask for one another, as they are written everywhere."""

VIEWS = {"i": "image", "t": "text", "m": "joint"}
"""Columns of `product_views` by the letter that pairs of views are written with."""
VIEW_PAIRS = ("i-i", "t-t", "i-t", "t-i", "i-m", "t-m", "m-m")
"""The query's view and the candidates' view."""
