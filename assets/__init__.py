"""Dagster assets: what is made. Each is thin: inputs -> eiclip or sql -> files and metadata."""
