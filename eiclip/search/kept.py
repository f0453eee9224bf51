"""A model whose texts are encoded once: their vectors are kept on disk, where the next process finds them.

Importing torch and the towers takes longer than everything else that a command does. A query that is refined (by other
filters, another order, the next page) has the same text.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from eiclip.inference import Entities, EntityClip
from eiclip.storage.cache import content_digest, remembered
from eiclip.storage.code_version import installation
from eiclip.storage.files import digest

MOST = 1000
"""Texts that are kept of a model; the eldest go."""


class KeptTexts(EntityClip):
    """A checkpoint folder's model. In `kept`, a file a text holds its vector and gates, under a digest of its words.

    They are of one content of the folder, one version of this project and of its packages.
    """

    def __init__(self, folder: Path, kept: Path, device: str | None = None) -> None:
        super().__init__(folder, device)
        self._kept, self._of = kept, (content_digest(folder), installation(), device)

    def encode_text(
        self, texts: str | Sequence[str], entities: Entities | Sequence[Entities] | None = None
    ) -> np.ndarray:
        """As `EntityClip.encode_text`, one text at a time."""
        texts = [texts] if isinstance(texts, str) else list(texts)
        tags = [{} for _ in texts] if entities is None else self.normalised(entities)
        if len(tags) != len(texts) or not all(isinstance(text, str) for text in texts):
            return super().encode_text(texts, entities)  # which says what is wrong
        vectors = [self._vector(text, own) for text, own in zip(texts, tags, strict=True)]
        return np.array(vectors, np.float32).reshape(len(texts), self.width)

    def gates(self, entities: Entities | Sequence[Entities]) -> list[dict[str, float]]:
        """As `EntityClip.gates`."""
        tags = self.normalised(entities)
        found: list[dict[str, float]] = self._remembered(["gates", tags], lambda: super(KeptTexts, self).gates(tags))
        return found

    def _vector(self, text: str, tags: Entities) -> list[float]:
        found: list[float] = self._remembered(
            ["vector", text, tags], lambda: super(KeptTexts, self).encode_text(text, tags)[0].tolist()
        )
        return found

    def _remembered(self, what: list[Any], compute: Callable[[], Any]) -> Any:
        key = [*self._of, *what]
        file = self._kept / f"{digest(key)}.json"
        if not file.is_file():
            files = sorted(self._kept.glob("*.json"), key=lambda other: other.stat().st_mtime_ns)
            for eldest in files[: len(files) + 1 - MOST]:
                eldest.unlink(missing_ok=True)
        return remembered(file, key, compute)
