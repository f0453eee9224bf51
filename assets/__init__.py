"""Dagster assets: what is made. Each is thin: inputs -> eiclip or sql -> files and metadata.

What needs torch is imported where it is used: the code location loads in a second, and the process that only hands
out steps stays small.
"""
