"""Amazon's metadata and reviews, in JSON lines of three editions. What makes a product is decided in SQL."""
