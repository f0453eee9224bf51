"""Files on disk and at URLs: the lake, the catalogue, what each output was made from, when it is made again.

Nothing here knows what an output means, nor how one is made.
"""
