"""Entities in typed words: which brand, season or material a query names without saying that it does.

An entity is looked for as whole words, longest match first, by an Aho-Corasick automaton over words; what is neither in
the vocabulary nor a word of the catalogue is taken for a slip and compared with the entities. Whether an entity's
words mean the entity is told from how training products use them: `tagged_count` products carry it as a tag,
`untagged_mentions` have the words in their description and not the tag.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Self

import ahocorasick
import duckdb

from eiclip.errors import EiclipError
from eiclip.readers.texts import normalise_entity
from eiclip.search.query import Link
from eiclip.search.slips import Slips
from eiclip.storage.lake import Lake, open_views
from eiclip.storage.sql import read_sql

SURE = 0.5
"""Least share of an entity's uses by training products that are tags, for its words to count as it: the majority.
Anything from 0.5 to 0.7 has the best F1 on the embedded catalogues' validation splits (docs/search.md)."""
MOST_WORDS = 6
"""Words of the longest entity that is looked for, as in `semantic_prior`."""
MOST_SLIPS = 24
"""Unknown words of a query that are compared with the entities: bounds the time of a text of nothing else."""
_WORD = re.compile(r"[^\W_]+")


class Word(NamedTuple):
    """A word of a text, in lower case, and where it stands."""

    word: str
    start: int
    end: int


def words_of(text: str) -> list[Word]:
    """The words of a text: runs of letters and digits, as `semantic_prior` counts them.

    >>> [word.word for word in words_of("Rag & Bone's COAT")]
    ['rag', 'bone', 's', 'coat']
    """
    return [Word(found[0].lower(), found.start(), found.end()) for found in _WORD.finditer(text)]


@dataclass(frozen=True)
class Known:
    """An entity of the vocabulary as its words can be meant."""

    entity: str
    groups: tuple[str, ...]
    """Its groups, the likeliest (highest prior) first."""
    tagged: int
    untagged: int

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


class Linker:
    """Finds entities in texts. Built once for a vocabulary; threads may share it.

    Args:
        entities: the vocabulary.
        catalogue_words: words of the catalogue's own texts: never taken for slips.
    """

    def __init__(self, entities: Collection[Known], catalogue_words: Collection[str], sure: float = SURE) -> None:
        self.sure = sure
        self._numbers: dict[str, int] = {}
        self._automaton = ahocorasick.Automaton(ahocorasick.STORE_ANY, ahocorasick.KEY_SEQUENCE)
        phrases: dict[str, Known] = {}
        for known in sorted(entities, key=lambda known: (-known.tagged, known.entity)):
            for phrase in _phrases(known.entity):
                phrases.setdefault(phrase, known)  # of several entities of the same words the one of most products
        for phrase, known in phrases.items():
            words = phrase.split(" ")
            key = tuple(self._numbers.setdefault(word, len(self._numbers) + 1) for word in words)
            self._automaton.add_word(key, (len(key), known))
        if phrases:
            self._automaton.make_automaton()
        self._slips = Slips(phrases, catalogue_words)
        self._right = set(catalogue_words) | set(self._numbers)

    @classmethod
    def open(cls, lake: Lake, dataset: str, groups: Collection[str], sure: float = SURE) -> Self:
        """The linker of a dataset's vocabulary, for the entity groups of a model.

        Raises:
            EiclipError: the lake has no vocabulary of it.
        """
        names = ("entity_vocabulary", "semantic_prior", "products")
        sources = {name: lake.files(name, dataset) for name in names}
        if missing := [name for name, files in sources.items() if not files]:
            raise EiclipError(f"{lake.home}: no table {missing[0]} of {dataset!r}; run `make full_eval`")
        with duckdb.connect() as connection:
            connection.execute("SET enable_progress_bar = false").fetchall()
            open_views(connection, sources)
            rows = connection.execute(read_sql("search/linkable_entities"), {"groups": sorted(groups)}).fetchall()
            words = {word for (word,) in connection.execute(read_sql("search/catalogue_words")).fetchall()}
        return cls([Known(entity, tuple(own), tagged, untagged) for entity, own, tagged, untagged in rows], words, sure)

    def link(
        self, text: str, given: Mapping[str, str] | None = None, unlink: Collection[str] = ()
    ) -> tuple[list[Link], list[str]]:
        """The entities in a text, in the order of their words, and notes on what was not looked at.

        Args:
            text: as typed.
            given: entities by group that are known already: their groups are not linked again.
            unlink: links the user has removed, as `group=entity` or the entity alone.
        """
        words = words_of(text)
        exact = longest(self._matches(words))
        slips, notes = self._misspelt(words, exact)
        removed, taken, links = {normalise_entity(name) for name in unlink}, dict(given or {}), []
        for match in _joined(exact, slips):
            link = self._judged(text, words, match, taken, removed)
            links.append(link)
            if link.kept:
                taken[link.group] = link.entity
        return links, notes

    def _matches(self, words: list[Word]) -> list[Match]:
        """Every place where the words of an entity stand: at most `MOST_WORDS` a word."""
        if not len(self._automaton):
            return []
        numbers = tuple(self._numbers.get(word.word, 0) for word in words)
        return [Match(end + 1 - length, end + 1, known, 1.0) for end, (length, known) in self._automaton.iter(numbers)]

    def _misspelt(self, words: list[Word], exact: list[Match]) -> tuple[list[Match], list[str]]:
        """Entities that words of no meaning are nearly: of each word, and of up to `MOST_WORDS` around it."""
        linked = {number for match in exact for number in range(match.first, match.last)}
        odd = [n for n, word in enumerate(words) if n not in linked and word.word not in self._right]
        looked_up, found = odd[:MOST_SLIPS], []
        for number in looked_up:
            near = [match for window in _windows(number, len(words)) if (match := self._nearly(words, *window))]
            if near:
                found.append(max(near, key=lambda match: (match.score, match.last - match.first)))
        left_out = len(odd) - len(looked_up)
        note = f"{left_out:,} more unknown words were not compared with the entities" if left_out else ""
        return longest(found), [note] if note else []

    def _nearly(self, words: list[Word], first: int, last: int) -> Match | None:
        """The entity that words are nearly."""
        slip = self._slips.nearest(" ".join(word.word for word in words[first:last]))
        return None if slip is None else Match(first, last, slip.meant, slip.score)

    def _judged(
        self, text: str, words: list[Word], match: Match, taken: Mapping[str, str], removed: Collection[str]
    ) -> Link:
        """Whether a match counts, and why."""
        known = match.known
        start, end = words[match.first].start, words[match.last - 1].end
        groups = [group for group in known.groups if f"{group}={known.entity}" not in removed]
        group = groups[0] if groups else known.groups[0]
        kept, why = self._verdict(known, group, match, words, taken)
        if not groups or known.entity in removed:
            kept, why = False, "removed by you"
        ambiguous = len(known.groups) > 1 or known.share < self.sure
        return Link(group, known.entity, text[start:end], start, end, match.score, ambiguous, kept, why)

    def _verdict(
        self, known: Known, group: str, match: Match, words: list[Word], taken: Mapping[str, str]
    ) -> tuple[bool, str]:
        """Whether words count as an entity of the group, and why."""
        if group in taken:
            same = taken[group] == known.entity
            return same, f"the {group} is {taken[group]!r} already"
        nearly = "" if match.score == 1 else f"no word of the catalogue, {match.score:.0%} its name; "
        used = f"{nearly}{known.tagged:,} training products are tagged with it, {known.untagged:,} only mention it"
        if known.share >= self.sure:
            return True, used
        before = words[match.first - 1].word if match.first else ""
        if before == group.lower() or (before == "by" and group == "brand"):
            return True, f"a general word ({used}), but {before!r} stands before it"
        return False, f"a general word: {used}"


def _phrases(entity: str) -> Iterator[str]:
    """The ways an entity's words can be typed: as they are, and with "and" for an ampersand.

    >>> list(_phrases("rag & bone"))
    ['rag bone', 'rag and bone']
    """
    for spelling in dict.fromkeys((entity, entity.replace("&", " and "))):
        words = [word.word for word in words_of(spelling)]
        if 0 < len(words) <= MOST_WORDS:
            yield " ".join(words)


def longest(matches: Collection[Match]) -> list[Match]:
    """Matches that do not overlap, from left to right, each the longest at its place.

    >>> known = Known("a", ("brand",), 1, 0)
    >>> [match[:2] for match in longest([Match(1, 2, known, 1), Match(0, 2, known, 1), Match(2, 3, known, 1)])]
    [(0, 2), (2, 3)]
    """
    chosen: list[Match] = []
    for match in sorted(matches, key=lambda match: (match.first, -match.last)):
        if not chosen or match.first >= chosen[-1].last:
            chosen.append(match)
    return chosen


def _joined(exact: list[Match], slips: list[Match]) -> list[Match]:
    """Both, from left to right: a slip goes before the exact matches wholly within it, and after any other."""
    cut = [
        slip
        for slip in slips
        if all(
            slip.last <= match.first
            or match.last <= slip.first
            or (slip.first <= match.first and match.last <= slip.last)
            for match in exact
        )
    ]
    whole = [match for match in exact if not any(slip.first < match.last and match.first < slip.last for slip in cut)]
    return sorted(whole + cut, key=lambda match: match.first)


def _windows(number: int, words: int) -> Iterator[tuple[int, int]]:
    """Runs of up to `MOST_WORDS` words around a word."""
    for first in range(number, max(-1, number - MOST_WORDS), -1):
        for last in range(number + 1, min(words, first + MOST_WORDS) + 1):
            yield first, last
