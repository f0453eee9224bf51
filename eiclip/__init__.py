"""EI-CLIP: entity-aware interventional contrastive learning for product retrieval (CVPR 2022).

The library knows nothing of the orchestrator above it: every module here runs by itself.
"""
