"""Outputs on disk: what each was made from, the version of the code that made it, and when it is made again.

Nothing here knows what an output means, nor how one is made.
"""
