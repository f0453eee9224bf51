"""Entities in typed words: which brand, season or material a query names without saying that it does.

An entity is looked for as whole words, longest match first; what is neither in the vocabulary nor a word of the
catalogue is taken for a slip and compared with the entities. Whether an entity's words mean the entity follows from how
many training products carry it as a tag, and how many have the words in their description and not the tag.
"""

import collections
import functools
import itertools
import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Self

from eiclip.readers.texts import match_key, normalise_entity
from eiclip.search.query import Link
from eiclip.search.slips import ALIKE, SHORTEST, Slips, near_names
from eiclip.search.sources import query_tables
from eiclip.storage.lake import Lake
from eiclip.storage.sql import read_sql

SURE = 0.5
"""Least share of an entity's uses by training products that are tags, for its words to count as it: the majority.
Anything from 0.5 to 0.7 has the best F1 on the synthetic catalogues' validation splits (docs/search.md)."""
MOST_WORDS = 6  # of the longest entity that is looked for, as in `semantic_prior`
MOST_SLIPS = 24  # unknown words that are compared with the entities: bounds the time of a text of nothing else
SURE_SHORT = 0.9  # the same for a part of a maker's name
LEAST_SHARE = 0.05  # the same where the words can count with less: in a short query, and of a short name
SHORT_QUERY = 3  # words of the longest query of nothing but entities, in which general words count as theirs
_MARKS = "".join(chr(code) for code in range(0x300, 0x10000) if unicodedata.category(chr(code)).startswith("M"))
_WORD = re.compile(f"(?:[^\\W_][{_MARKS}]*)+")
_OR = ("or", "/")  # between two names: a product needs one of them
_LISTED = (*_OR, ",", ", or", "and", ", and", "&")  # the same between makers, of which a product has one
_ENDS = ".,;:!?…()[]\"'“”"  # what stands around words in a sentence and belongs to none of them


class TypedWords(NamedTuple):
    """The words of a text, in the forms that names are compared in."""

    words: list[str]  # in lower case
    keys: list[str]  # `match_key` of each
    joined: list[str]  # the same after a space, which is left out where an apostrophe or the like alone parts two words
    spans: list[tuple[int, int]]  # where each begins and ends in the text
    signs: list[str]  # what stands between the words, of the text's beginning first and of its end last

    def spellings(self, first: int, last: int) -> tuple[str, str, str, str]:
        """Return the forms of the words from `first` up to but not including `last`, the strictest first.

        >>> words_of("Eau de L'Oréal").spellings(2, 4)
        ("l'oréal", 'l oréal', 'l oreal', 'loreal')
        >>> words_of("by h#y, a+").spellings(1, 3)[:2]
        ('h#y', 'h y')
        """
        parts, last = slice(first, last), min(last, len(self.words))
        between = self.signs[first : last + 1]  # around the words too: `a+` is not `a`
        around = between[0].rpartition(" ")[2], between[-1].partition(" ")[0]
        shown = "".join(f"{sign}{word}" for sign, word in zip(["", *between[1:]], self.words[parts], strict=False))
        typed = " ".join(f"{around[0]}{shown}{around[1]}".strip(_ENDS).split())
        return typed, " ".join(self.words[parts]), " ".join(self.keys[parts]), "".join(self.joined[parts]).lstrip()

    def is_ending(self, number: int) -> bool:
        """Whether a word is no word of its own: the m of "i'm", the d of "d'orsay", the shirt of "t-shirt"."""
        glued = [0 < n < len(self.joined) and self.joined[n][0] != " " for n in (number, number + 1)]
        return any(glued) and (len(self.words[number]) < 3 or (glued[0] and self.signs[number] in "- "))


def words_of(text: str) -> TypedWords:
    """Return the words of a text: runs of letters and digits, with their marks.

    >>> words_of("Rag & Bone's COAT").words
    ['rag', 'bone', 's', 'coat']
    """
    found, end = TypedWords([], [], [], [], []), 0
    for match in _WORD.finditer(text):
        between, word = text[end : match.start()], match[0].lower()
        end, key = match.end(), word if word.isascii() else match_key(word)  # most words are their own key
        is_joined = between != " " and match_key(f"a{between}a") == "aa"
        is_joined |= between == "-" and len(found.words) > 0 and len(found.words[-1]) == 1  # t-shirt is tshirt
        is_joined |= between == " " and found.words[-1:] == ["t"] and key.startswith("shirt")  # and so is "t shirt"
        found.words.append(word)
        found.keys.append(key)
        found.joined.append(key if is_joined else f" {key}")
        found.spans.append(match.span())
        found.signs.append(between)
    found.signs.append(text[end:])
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
    short: bool = False
    """It is meant by a part or another number of its name, of which the counts are: of mentions with and without it."""

    @property
    def share(self) -> float:
        """Share of its uses that are tags; of a short name that nothing mentions 1."""
        return self.tagged / (self.tagged + self.untagged) if self.tagged else float(self.short and not self.untagged)


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
    uses that are tags. "by" before a word
    means an entity of the group `makers`. `short_names` are further phrases (as `match_key` has them) that mean an
    entity where no name stands.
    """

    def __init__(
        self,
        entities: Collection[Known],
        catalogue_words: Collection[str],
        sure: float = SURE,
        makers: str = "",
        short_names: Mapping[str, Known] | None = None,
    ) -> None:
        self.makers, self._short = makers, dict(short_names or {})
        self.sure = sure
        self._named: dict[str, Known] = {}
        named = []
        for known in sorted(entities, key=lambda known: (-known.tagged, known.entity)):
            names = (known.entity, *known.spellings)
            for reading in dict.fromkeys((*names, *(form for name in names for form in _other_forms(name)))):
                typed = words_of(reading)
                if 0 < len(typed.words) <= MOST_WORDS:
                    named.append((known, typed.spellings(0, MOST_WORDS)))
        for form in range(4):  # a name as it is typed goes before one that is the same but for signs or accents
            for known, spellings in named:  # and of several entities of the same words the one of most products
                self._named.setdefault(spellings[form], known)
        self.names: dict[str, list[str]] = {}
        """Entities by group."""
        for known in entities:
            for group in known.groups:
                self.names.setdefault(group, []).append(known.entity)
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
        known = [Known(**row | {name: tuple(row[name]) for name in ("groups", "spellings")}) for row in rows]
        makers = next(iter(groups), "")
        short = short_names(known, makers)
        asked = {"phrases": list(short), "entities": [own.entity for own, _ in short.values()]}
        uses = query_tables(lake, dataset, ("products", "product_entities"), read_sql("search/phrase_uses"), asked)
        counts = {row["phrase"]: (row["tagged"], row["untagged"]) for row in uses.to_pylist()}
        meant = {
            phrase: replace(own, short=True, tagged=tagged, untagged=untagged)
            for phrase, (own, is_beginning) in short.items()
            for tagged, untagged in (counts.get(phrase, (0, 0)),)
            if tagged >= LEAST_SHARE * (tagged + untagged) and (is_beginning or tagged)
        }
        return cls(known, words, makers=makers, short_names=meant)

    def link(
        self, text: str, given: Mapping[str, list[str]] | None = None, unlink: Collection[str] = ()
    ) -> tuple[list[Link], list[str]]:
        """Return the entities in a text, in the order of their words, and notes on what was not looked at.

        Groups of the entities `given` (by group) are not linked again; `unlink` names links that are not wanted, as
        `group=entity` or the entity alone.
        """
        typed = words_of(text)
        matches, notes = self.matches(typed)
        covered = sum(match.last - match.first for match in matches)
        short = 0 < len(typed.words) <= SHORT_QUERY and covered == len(typed.words)
        removed, links = {normalise_entity(name) for name in unlink}, list[Link]()
        kept: dict[str, Link] = {}  # the last of each group
        for match in matches:
            link = self._judged(text, typed, match, given or {}, removed, short)
            before = kept.get(link.group)
            if link.kept and before is not None:
                between = text[before.end : link.start].strip().lower()
                joined = between in (_LISTED if link.group == self.makers else _OR)
                link = replace(link, alternative=before.alternative if link.entity == before.entity else joined)
            links.append(link)
            if link.kept:
                kept[link.group] = link
        return links, notes

    def meant(self, group: str, name: str) -> tuple[str | None, list[str]]:
        """Return the entity of a group that a name given for one means, None if none, and the three nearest to it.

        Without digits and with a word that the catalogue lacks, a name may be misspelt as typed words may.
        """
        typed = words_of(name)
        exact = [*map(self._named.get, typed.spellings(0, MOST_WORDS)), self._short.get(" ".join(typed.keys))]
        if found := [known.entity for known in exact if known is not None and group in known.groups]:
            return found[0], found[:1]
        of_group = {key: known.entity for key, known in self._named.items() if group in known.groups}
        near = near_names(" ".join(typed.keys), of_group)
        is_slip = near and near[0][1] >= ALIKE and not set(typed.keys) <= self._correct
        is_slip = is_slip and len(near[0][0]) >= SHORTEST and not any(map(str.isdigit, f"{name}{near[0][0]}"))
        names = list(dict.fromkeys(of_group[key] for key, _ in near))
        return names[0] if is_slip else None, names

    def matches(self, typed: TypedWords) -> tuple[list[Match], list[str]]:
        """Return what of the words can name an entity, in their order, and notes on what was not looked at."""
        exact = self._exact(typed)
        slips, notes = self._misspelt(typed, exact)
        for match in exact:  # a slip goes before the exact matches wholly within it, and after any other
            slips = [slip for slip in slips if slip.contains(match) or not slip.overlaps(match)]
        matches = slips + [match for match in exact if not any(slip.overlaps(match) for slip in slips)]
        return sorted(matches, key=lambda match: match.first), notes

    def _exact(self, typed: TypedWords) -> list[Match]:
        """Return the names in the words, each the longest at its place from the left, and short names between them."""
        names = self._scan(typed, lambda first, last: map(self._named.get, typed.spellings(first, last)), ())

        def short(first: int, last: int) -> Iterable[Known | None]:
            forms = " ".join(typed.keys[first:last]), "".join(typed.joined[first:last]).lstrip()
            return map(self._short.get, forms)

        return self._scan(typed, short, names)

    def _scan(
        self, typed: TypedWords, known_of: Callable[[int, int], Iterable[Known | None]], found: Collection[Match]
    ) -> list[Match]:
        """Return matches `found` and those of the words that they leave, by their places."""
        taken, place = {number for match in found for number in range(match.first, match.last)}, 0
        matches = list(found)
        while place < len(typed.words):
            last = place
            while last < min(place + MOST_WORDS, len(typed.words)) and last not in taken:
                last += 1
            while last > place:
                if last > place + 1 or not typed.is_ending(place):
                    known = next(filter(None, known_of(place, last)), None)
                    if known is not None:
                        matches.append(Match(place, last, known, 1.0))
                        break
                last -= 1
            place = max(last, place + 1)
        return sorted(matches)

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
        self,
        text: str,
        typed: TypedWords,
        match: Match,
        given: Mapping[str, list[str]],
        removed: Collection[str],
        short: bool,
    ) -> Link:
        """Return the match as a link, with whether it counts and why; groups of entities `given` take no others.

        In a `short` text of nothing else, general words count.
        """
        known, (start, end) = match.known, (typed.spans[match.first][0], typed.spans[match.last - 1][1])
        groups = [group for group in known.groups if f"{group}={known.entity}" not in removed]
        group = (groups or known.groups)[0]
        before = typed.words[match.first - 1] if match.first else ""
        nearly = "" if match.score == 1 else f"no word of the catalogue, {match.score:.0%} its name; "
        used = f"{nearly}{known.tagged:,} training products are tagged with it, {known.untagged:,} only mention it"
        if known.short:
            uses = known.tagged + known.untagged
            used = f"short for it: {known.tagged:,} of {uses:,} training products with these words are tagged with it"
        if not groups or known.entity in removed:
            kept, why = False, "removed by you"
        elif group in given:
            kept, why = known.entity in given[group], f"the {group} is {', '.join(map(repr, given[group]))} already"
        elif known.share >= (max(self.sure, SURE_SHORT) if known.short and group == self.makers else self.sure):
            kept, why = True, used
        elif before == group.lower() or (before == "by" and group == self.makers):
            kept, why = True, f"a general word ({used}), but {before!r} stands before it"
        elif short and known.share >= LEAST_SHARE:
            kept, why = True, f"a general word ({used}), but the query names nothing else"
        else:
            kept, why = False, f"a general word: {used}"
        ambiguous = len(known.groups) > 1 or known.share < self.sure
        return Link(group, known.entity, text[start:end], start, end, match.score, ambiguous, kept, why)


def _other_forms(name: str) -> tuple[str, str, str]:
    """Return a name with "and" for each "&", the other way round, and with its initials as one word."""
    keys = words_of(name).keys
    initials = name if (joined := _initials_joined(keys)) == keys else " ".join(joined)
    return name.replace("&", " and "), re.sub(r"(?<=\w )and(?= \w)", "&", name), initials


def _initials_joined(keys: Sequence[str]) -> list[str]:
    """Return words with each run of single letters as one.

    >>> _initials_joined(["u", "s", "polo", "assn"])
    ['us', 'polo', 'assn']
    """
    runs = itertools.groupby(keys, lambda key: len(key) == 1 and key.isalpha())
    return [word for is_run, run in runs for word in (["".join(run)] if is_run else run)]


def short_names(entities: Collection[Known], makers: str) -> dict[str, tuple[Known, bool]]:
    """Return phrases that are no name but can mean one entity, by their keys; whether how a name begins, or all of it.

    These are the words and beginnings of names of the group `makers` that are in no other entity, from four letters on,
    and the plural of names of other groups, or their singular.

    >>> names = [Known("umgee usa", ("brand",), 2, 0), Known("dresses", ("kind",), 2, 0)]
    >>> {phrase: known.entity for phrase, (known, _) in short_names(names, "brand").items()}
    {'umgee': 'umgee usa', 'dress': 'dresses'}
    """
    named, holders, found = set[str](), collections.Counter[str](), dict[str, list[tuple[Known, bool]]]()
    for known in entities:
        keys = words_of(known.entity).keys
        named |= {" ".join(keys), *(" ".join(words_of(spelling).keys) for spelling in known.spellings)}
        holders.update(set(keys))
        of_maker = makers in known.groups
        parts = _short_names(_initials_joined(keys), of_maker) | _short_names(keys, of_maker)
        for phrase, is_beginning in parts.items():
            found.setdefault(phrase, []).append((known, is_beginning))
    return {
        phrase: meant[0]
        for phrase, meant in found.items()
        if phrase not in named
        and len(meant) == 1
        and (meant[0][0].groups[0] != makers or " " in phrase or holders[phrase] == 1)
    }


def _short_names(keys: Sequence[str], of_maker: bool) -> dict[str, bool]:
    if not of_maker:
        return {" ".join([*keys[:-1], _other_number(keys[-1])]): True} if keys else {}
    parts = {key: number == 0 for number, key in reversed(list(enumerate(keys)))} if len(keys) > 1 else {}
    parts |= {" ".join(keys[:last]): True for last in range(2, len(keys))}
    return {part: is_first for part, is_first in parts.items() if len(part) > 3 and not part.isdigit()}


def _other_number(word: str) -> str:
    """Return the plural of an English word, or the singular of a plural.

    >>> [_other_number(word) for word in ("dress", "dresses", "top", "tops", "body", "bodies")]
    ['dresses', 'dress', 'tops', 'top', 'bodies', 'body']
    """
    for plural, singular in ((r"ies$", "y"), (r"(?<=ss|sh|ch)es$|(?<=x)es$", ""), (r"(?<![sui])s$", "")):
        if re.search(plural, word):
            return re.sub(plural, singular, word)
    for singular, plural in ((r"(?<=[^aeiou])y$", "ies"), (r"(?<=[sx])$|(?<=ch)$|(?<=sh)$", "es")):
        if re.search(singular, word):
            return re.sub(singular, plural, word)
    return f"{word}s"
