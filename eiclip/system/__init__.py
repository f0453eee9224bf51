"""The machine: which device work runs on, processes that end with their parent, and the memory allocator.

Nothing here knows of products, models or outputs.
"""
