"""Entities that words are nearly: slips of the finger in typed words."""

from collections.abc import Collection, Mapping
from typing import Generic, NamedTuple, TypeVar

from rapidfuzz import process
from rapidfuzz.distance import OSA

ALIKE = 0.8
"""Least similarity of a slip: one letter in five may be wrong, missing, too many or swapped with its neighbour."""
SHORTEST = 5
"""Letters of the shortest entity that slips are looked for of: among shorter words too many are one letter apart."""
_ROUNDING = 1e-3  # the library compares with a cut-off less exactly

Meant = TypeVar("Meant")


class Slip(NamedTuple, Generic[Meant]):
    """What a phrase is nearly, and how alike the two are (0 to 1)."""

    meant: Meant
    score: float


class Slips(Generic[Meant]):
    """Finds what a phrase is nearly. The first letter must be right: slips are rare there, and it bounds the work.

    What has digits is never a slip: `fw2015` is another season than `fw2016`, and no misspelt one.

    Args:
        phrases: what can be meant, by its words; of two that are as near the first one is.
        words: right words of other meaning: a slip as near to one of them means that one.
    """

    def __init__(self, phrases: Mapping[str, Meant], words: Collection[str]) -> None:
        self._phrases: dict[str, dict[str, Meant]] = {}
        self._words: dict[str, list[str]] = {}
        for phrase, meant in phrases.items():
            if len(phrase) >= SHORTEST and not _has_digits(phrase):
                self._phrases.setdefault(phrase[0], {})[phrase] = meant
        for word in sorted(set(words) - set(phrases)):
            if len(word) >= SHORTEST:
                self._words.setdefault(word[0], []).append(word)

    def nearest(self, phrase: str) -> Slip[Meant] | None:
        """What a phrase of words in lower case is nearly, if anything is alike enough."""
        choices = None if _has_digits(phrase) else self._phrases.get(phrase[:1])
        found = None if choices is None else _nearest(phrase, choices.keys())
        if choices is None or found is None:
            return None
        other = _nearest(phrase, self._words.get(phrase[0], ()))
        if other is not None and other[1] >= found[1] and other[0] not in found[0].split(" "):
            return None
        return Slip(choices[found[0]], found[1])


def _has_digits(phrase: str) -> bool:
    return any(letter.isdigit() for letter in phrase)


def _nearest(phrase: str, choices: Collection[str]) -> tuple[str, float] | None:
    found = process.extractOne(phrase, choices, scorer=OSA.normalized_similarity, score_cutoff=ALIKE - _ROUNDING)
    return None if found is None else (found[0], round(found[1], 3))
