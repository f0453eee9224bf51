"""Entities in typed words: which brand, season or material a query names without saying that it does.

An entity is looked for as whole words, longest match first; what is neither in the vocabulary nor a word of the
catalogue is taken for a slip and compared with the entities. Whether an entity's words mean the entity follows from how
many training products carry it as a tag, and how many have the words in their description and not the tag.
"""

import functools
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

from eiclip.readers.texts import match_key, normalise_entity
from eiclip.search.query import Link
from eiclip.search.slips import Slips
from eiclip.search.sources import query_tables
from eiclip.storage.lake import Lake
from eiclip.storage.sql import read_sql

SURE = 0.5
"""Least share of an entity's uses by training products that are tags, for its words to count as it: the majority.
Anything from 0.5 to 0.7 has the best F1 on the synthetic catalogues' validation splits (docs/search.md)."""
MOST_WORDS = 6  # of the longest entity that is looked for, as in `semantic_prior`
MOST_SLIPS = 24  # unknown words that are compared with the entities: bounds the time of a text of nothing else
_WORD = re.compile(r"(?:[^\W_][\u0300-\u036f]*)+")


class TypedWords(NamedTuple):
    """The words of a text, in the forms that names are compared in."""

    words: list[str]  # in lower case
    keys: list[str]  # `match_key` of each
    joined: list[str]  # the same after a space, which is left out where an apostrophe or the like alone parts two words
    spans: list[tuple[int, int]]  # where each begins and ends in the text

    def spellings(self, first: int, last: int) -> tuple[str, str, str]:
        """Return the forms of the words from `first` up to but not including `last`, the strictest first.

        >>> words_of("Eau de L'Oréal").spellings(2, 4)
        ('l oréal', 'l oreal', 'loreal')
        """
        parts = slice(first, last)
        return " ".join(self.words[parts]), " ".join(self.keys[parts]), "".join(self.joined[parts]).lstrip()


def words_of(text: str) -> TypedWords:
    """Return the words of a text: runs of letters and digits, as `semantic_prior` counts them.

    >>> words_of("Rag & Bone's COAT").words
    ['rag', 'bone', 's', 'coat']
    """
    found, end = TypedWords([], [], [], []), 0
    for match in _WORD.finditer(text):
        between, word = text[end : match.start()], match[0].lower()
        end, key = match.end(), word if word.isascii() else match_key(word)  # most words are their own key
        found.words.append(word)
        found.keys.append(key)
        found.joined.append(key if between != " " and match_key(f"a{between}a") == "aa" else f" {key}")
        found.spans.append(match.span())
    return found


@dataclass(frozen=True)
class Known:
    """An entity of the vocabulary as its words can be meant."""

    entity: str
    groups: tuple[str, ...]  # the likeliest (highest prior) first
    tagged: int
    untagged: int
    spellings: tuple[str, ...] = ()
    """Other ways to write it."""

    @property
    def share(self) -> float:
        """Share of its uses that are tags."""
        return self.tagged / (self.tagged + self.untagged) if self.tagged else 0.0


class Match(NamedTuple):
    """Words of a text, from number `first` up to but not including `last`, that name an entity."""

    first: int
    last: int
    known: Known
    score: float

    def overlaps(self, other: "Match") -> bool:
        """Whether both have a word in common."""
        return self.first < other.last and other.first < self.last

    def contains(self, other: "Match") -> bool:
        """Whether all words of the other are its own."""
        return self.first <= other.first and other.last <= self.last


class Linker:
    """Finds entities of a vocabulary in texts; threads may share it.

    `catalogue_words`, of the catalogue's own texts, are never taken for slips. `sure` is the least share of an entity's
    uses that are tags. Of the groups `several` a text may name several entities, of others one. "by" before a word
    means an entity of the group `makers`.
    """

    def __init__(
        self,
        entities: Collection[Known],
        catalogue_words: Collection[str],
        sure: float = SURE,
        several: Collection[str] = (),
        makers: str = "",
    ) -> None:
        self.makers = makers
        self.sure, self.several = sure, frozenset(several)
        self._named: dict[str, Known] = {}
        named = []
        for known in sorted(entities, key=lambda known: (-known.tagged, known.entity)):
            names = (known.entity, *known.spellings)
            for reading in dict.fromkeys((*names, *(name.replace("&", " and ") for name in names))):
                typed = words_of(reading)
                if 0 < len(typed.words) <= MOST_WORDS:
                    named.append((known, typed.spellings(0, MOST_WORDS)))
        for form in range(3):  # a name as it is typed goes before one that is the same but for accents
            for known, spellings in named:  # and of several entities of the same words the one of most products
                self._named.setdefault(spellings[form], known)
        catalogue_keys = {match_key(word) for word in catalogue_words}
        self._slips = Slips(self._named, catalogue_keys)
        self._correct = catalogue_keys.union(*(name.split(" ") for name in self._named))

    @classmethod
    def open(cls, lake: Lake, dataset: str, groups: Collection[str]) -> Self:
        """Open the linker of a dataset's vocabulary, for a model's entity groups, of which the first names makers.

        Raises EiclipError without a vocabulary.
        """
        tables, asked = ("entity_vocabulary", "semantic_prior", "entity_spellings"), {"groups": sorted(groups)}
        rows = query_tables(lake, dataset, tables, read_sql("search/linkable_entities"), asked).to_pylist()
        words = query_tables(lake, dataset, ("products",), read_sql("search/catalogue_words"))["word"].to_pylist()
        several = query_tables(lake, dataset, ("product_entities",), read_sql("search/several_groups"))
        known = [Known(**row | {name: tuple(row[name]) for name in ("groups", "spellings")}) for row in rows]
        return cls(known, words, several=several["entity_group"].to_pylist(), makers=next(iter(groups), ""))

    def link(
        self, text: str, given: Mapping[str, list[str]] | None = None, unlink: Collection[str] = ()
    ) -> tuple[list[Link], list[str]]:
        """Return the entities in a text, in the order of their words, and notes on what was not looked at.

        Groups of the entities `given` (by group) are not linked again; `unlink` names links that are not wanted, as
        `group=entity` or the entity alone.
        """
        typed = words_of(text)
        exact = self._exact(typed)
        slips, notes = self._misspelt(typed, exact)
        for match in exact:  # a slip goes before the exact matches wholly within it, and after any other
            slips = [slip for slip in slips if slip.contains(match) or not slip.overlaps(match)]
        matches = slips + [match for match in exact if not any(slip.overlaps(match) for slip in slips)]
        removed, closed, links = {normalise_entity(name) for name in unlink}, dict(given or {}), []
        for match in sorted(matches, key=lambda match: match.first):
            links.append(self._judged(text, typed, match, closed, removed))
            if links[-1].kept and links[-1].group not in self.several:
                closed.setdefault(links[-1].group, [links[-1].entity])
        return links, notes

    def _exact(self, typed: TypedWords) -> list[Match]:
        """Names in the words, from the left, each the longest at its place."""
        found: list[Match] = []
        for first in range(len(typed.words)):
            if found and first < found[-1].last:
                continue
            for last in range(min(first + MOST_WORDS, len(typed.words)), first, -1):
                known = next(filter(None, map(self._named.get, typed.spellings(first, last))), None)
                if known is not None:
                    found.append(Match(first, last, known, 1.0))
                    break
        return found

    def _misspelt(self, typed: TypedWords, exact: Sequence[Match]) -> tuple[list[Match], list[str]]:
        """Entities that words of no meaning are nearly: of each word, and of up to `MOST_WORDS` around it."""
        linked = {number for match in exact for number in range(match.first, match.last)}
        odd = [n for n, key in enumerate(typed.keys) if n not in linked and key not in self._correct]
        found: list[Match] = []
        nearest = functools.cache(self._slips.nearest)  # neighbours among the odd words share most phrases
        for number in odd[:MOST_SLIPS]:
            near = [
                Match(first, last, self._named[slip[0]], slip[1])
                for first in range(number, max(-1, number - MOST_WORDS), -1)
                for last in range(number + 1, min(len(typed.keys), first + MOST_WORDS) + 1)
                if (slip := nearest(" ".join(typed.keys[first:last]))) is not None
            ]
            if near:
                found.append(max(near, key=lambda match: (match.score, match.last - match.first)))
        chosen: list[Match] = []  # from the left, the longest at its place of those that overlap
        for match in sorted(found, key=lambda match: (match.first, -match.last)):
            if not chosen or match.first >= chosen[-1].last:
                chosen.append(match)
        left_out = len(odd) - MOST_SLIPS
        notes = [f"{left_out:,} more unknown words were not compared with the entities"] if left_out > 0 else []
        return chosen, notes

    def _judged(
        self, text: str, typed: TypedWords, match: Match, closed: Mapping[str, list[str]], removed: Collection[str]
    ) -> Link:
        """Return the match as a link, with whether it counts and why; `closed` groups take no more entities."""
        known, (start, end) = match.known, (typed.spans[match.first][0], typed.spans[match.last - 1][1])
        groups = [group for group in known.groups if f"{group}={known.entity}" not in removed]
        group = (groups or known.groups)[0]
        before = typed.words[match.first - 1] if match.first else ""
        nearly = "" if match.score == 1 else f"no word of the catalogue, {match.score:.0%} its name; "
        used = f"{nearly}{known.tagged:,} training products are tagged with it, {known.untagged:,} only mention it"
        if not groups or known.entity in removed:
            kept, why = False, "removed by you"
        elif group in closed:
            kept, why = known.entity in closed[group], f"the {group} is {', '.join(map(repr, closed[group]))} already"
        elif known.share >= self.sure:
            kept, why = True, used
        elif before == group.lower() or (before == "by" and group == self.makers):
            kept, why = True, f"a general word ({used}), but {before!r} stands before it"
        else:
            kept, why = False, f"a general word: {used}"
        ambiguous = len(known.groups) > 1 or known.share < self.sure
        return Link(group, known.entity, text[start:end], start, end, match.score, ambiguous, kept, why)
