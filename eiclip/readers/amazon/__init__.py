"""Amazon's metadata and reviews, JSON lines of three generations of the dataset."""
