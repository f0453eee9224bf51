"""Names that words are nearly: slips of the finger in typed words."""

from collections.abc import Collection, Iterable

from rapidfuzz import process
from rapidfuzz.distance import OSA

ALIKE = 0.8
"""Least similarity of a slip: one letter in five may be wrong, missing, too many or swapped with its neighbour."""
SHORTEST = 5
"""Letters of the shortest name that slips are looked for of: among shorter words too many are one letter apart."""
LONG = 8
"""Letters of the shortest name whose first letter can be wrong: among shorter words those are often others."""
MAYBE = 0.6
"""Least similarity of a name to ask "did you mean ...?" with."""


class Slips:
    """Finds the name that a phrase is nearly.

    Names with the phrase's first letter are compared with it. A wrong, missing, added or swapped first letter is looked
    up, not compared, so that it must be the only slip: this costs next to nothing, however many names there are.
    What has digits is never a slip: `fw2015` is another season than `fw2016`, and no misspelt one. Of two `names` that
    are as near the first one is meant; a slip as near to one of `words`, correct words of other meaning, means it.
    """

    def __init__(self, names: Collection[str], words: Collection[str]) -> None:
        self._names = _Phrases(name for name in names if not _has_digits(name))
        self._words = _Phrases(sorted(set(words) - set(names)))

    def nearest(self, phrase: str) -> tuple[str, float] | None:
        """Return the name that a phrase is nearly, and how alike they are (0 to 1); None if nothing is alike enough."""
        name = None if _has_digits(phrase) else self._names.nearest(phrase)
        word = self._words.nearest(phrase) if name else None
        meant = not (name and word and word[1] >= name[1] and word[0] not in name[0].split(" "))
        return name if meant else None


class _Phrases:
    """Phrases of `SHORTEST` letters or more, by their first letter and by what follows it."""

    def __init__(self, phrases: Iterable[str]) -> None:
        self._by_letter: dict[str, list[str]] = {}
        self._by_rest: dict[str, str] = {}
        for phrase in phrases:
            if len(phrase) >= SHORTEST:
                self._by_letter.setdefault(phrase[0], []).append(phrase)
                self._by_rest.setdefault(phrase[1:], phrase)

    def nearest(self, phrase: str) -> tuple[str, float] | None:
        """Return the phrase that is most alike, and how alike they are; None if none is alike enough."""
        cutoff = ALIKE - 1e-3  # the library compares with a cut-off less exactly
        choices = self._by_letter.get(phrase[:1], ())
        found = process.extractOne(phrase, choices, scorer=OSA.normalized_similarity, score_cutoff=cutoff)
        near = [(found[0], round(found[1], 3))] if found else []
        rest, swapped = phrase[1:], phrase[1:2] + phrase[:1] + phrase[2:]
        wrong = self._by_rest.get(rest) if len(phrase) >= LONG else None
        for other in (wrong, self._by_rest.get(phrase), self._exact(swapped), self._exact(rest)):
            if other is not None and len(phrase) > 1:
                alike = round(OSA.normalized_similarity(phrase, other), 3)
                near += [(other, alike)] if alike >= cutoff else []
        return max(near, key=lambda own: own[1], default=None)

    def _exact(self, phrase: str) -> str | None:
        return phrase if self._by_rest.get(phrase[1:]) == phrase else None


def _has_digits(phrase: str) -> bool:
    return any(map(str.isdigit, phrase))


def near_names(phrase: str, names: Collection[str], most: int = 3) -> list[tuple[str, float]]:
    """Return the names most like a phrase, the nearest first, with how alike they are, from `MAYBE` to 1.

    >>> near_names("guci", ["gucci", "gap", "coach"])
    [('gucci', 0.8)]
    """
    near = process.extract(phrase, names, scorer=OSA.normalized_similarity, score_cutoff=MAYBE, limit=most)
    return [(name, round(alike, 3)) for name, alike, _ in near]
