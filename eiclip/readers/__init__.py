"""Readers of raw product data: files in the layouts people hold become rows and photos, or reasons why not."""
