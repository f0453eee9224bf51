"""Search against its goals."""
