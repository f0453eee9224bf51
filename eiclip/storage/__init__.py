"""Outputs on disk: the lake's tables and the catalogue, what each output was made from, and when it is made again.

Nothing here knows what an output means, nor how one is made.
"""
