"""Names that words are nearly: slips of the finger in typed words."""

from collections.abc import Collection, Iterable

from rapidfuzz import process
from rapidfuzz.distance import OSA

ALIKE = 0.8
"""Least similarity of a slip: one letter in five may be wrong, missing, too many or swapped with its neighbour."""
SHORTEST = 5
"""Letters of the shortest name that slips are looked for of: among shorter words too many are one letter apart."""


class Slips:
    """Finds the name that a phrase is nearly. The first letter must be right: slips are rare there, and it bounds work.

    What has digits is never a slip: `fw2015` is another season than `fw2016`, and no misspelt one. Of two `names` that
    are as near the first one is meant; a slip as near to one of `words`, correct words of other meaning, means it.
    """

    def __init__(self, names: Collection[str], words: Collection[str]) -> None:
        self._names = _by_first_letter(name for name in names if not _has_digits(name))
        self._words = _by_first_letter(sorted(set(words) - set(names)))

    def nearest(self, phrase: str) -> tuple[str, float] | None:
        """Return the name that a phrase is nearly, and how alike they are (0 to 1); None if nothing is alike enough."""
        name = None if _has_digits(phrase) else _nearest(phrase, self._names)
        word = _nearest(phrase, self._words) if name else None
        meant = not (name and word and word[1] >= name[1] and word[0] not in name[0].split(" "))
        return name if meant else None


def _by_first_letter(phrases: Iterable[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for phrase in phrases:
        if len(phrase) >= SHORTEST:
            found.setdefault(phrase[0], []).append(phrase)
    return found


def _has_digits(phrase: str) -> bool:
    return any(map(str.isdigit, phrase))


def _nearest(phrase: str, by_letter: dict[str, list[str]]) -> tuple[str, float] | None:
    cutoff = ALIKE - 1e-3  # the library compares with a cut-off less exactly
    choices = by_letter.get(phrase[:1], ())
    found = process.extractOne(phrase, choices, scorer=OSA.normalized_similarity, score_cutoff=cutoff)
    return found and (found[0], round(found[1], 3))
