"""Amazon's metadata and reviews, JSON lines of three generations of the dataset.

What the fields mean is decided here; what a product or a review is made of, in `sql/ingest/`.
"""
