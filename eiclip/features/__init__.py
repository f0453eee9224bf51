"""Outputs of frozen towers, computed once per photo and text and kept: what training and evaluation read instead.

A file a shard; what is trained on them is not known here, and neither is what they are used for.
"""
