"""Amazon's metadata and reviews, of three editions and in several formats. What makes a product is decided in SQL."""
