"""EI-CLIP: entity-aware interventional contrastive learning for product retrieval (CVPR 2022).

The library knows nothing of the orchestrator above it: every module here runs by itself. `eiclip.EntityClip` is what
serves a trained model.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eiclip.inference import EntityClip

__all__ = ["EntityClip"]


def __getattr__(name: str) -> Any:
    """`EntityClip`, imported when it is asked for: most of the library loads without torch."""
    if name == "EntityClip":
        from eiclip.inference import EntityClip

        return EntityClip
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
