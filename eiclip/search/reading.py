"""How a query is read: texts cut, entities found in the words, given ones put into the form they are counted by."""

import itertools
import math
import re
from collections.abc import Collection, Mapping
from typing import NamedTuple

from eiclip.errors import SettingsError, did_you_mean
from eiclip.inference import EntityClip
from eiclip.model.description import compose_text
from eiclip.search.constraints import read_constraints
from eiclip.search.linking import Linker
from eiclip.search.query import MAX_QUERY, Constraint, Link, Query

_SIZE = re.compile(r"\bsizes?:? (?:\d+[\w.,/]*|x*[sml]|\d?xl)\b", re.IGNORECASE)
MOST_ALTERNATIVES = 8  # choices between several names of a group: in a text of more, all of them count at once


class Words(NamedTuple):
    """A text and the entities that it is encoded with."""

    text: str
    entities: dict[str, list[str]]

    @property
    def empty(self) -> bool:
        """Whether there is nothing to encode."""
        return not self.text.strip() and not self.entities


class ReadQuery(NamedTuple):
    """A query as it was read: what is encoded, and what is said about it."""

    query: Query
    words: Words
    negative: Words
    links: list[Link]
    unknown: dict[str, list[str]]
    notes: list[str]
    entities: dict[str, list[str]]
    """By group, those given and those of links that were kept, whether or not the variant reads entities."""
    unwanted: dict[str, list[str]]
    """The same of what is not wanted."""
    spelt: str
    """The text with the names of kept links as the vocabulary spells them, and the entities given."""
    spelt_unwanted: str
    """The same of what is not wanted."""
    alternatives: list[tuple[str, dict[str, list[str]]]]
    """`spelt` and `entities` with one entity alone of those that are alternatives: a product needs to answer one."""
    constraints: list[Constraint]
    """Read in the words. What is not wanted is in `negative` too; prices and attributes are filters."""


class Reader:
    """Reads queries for one model.

    The words of a link that is kept leave the text: descriptions do not have their tags' words either (docs/search.md).
    They stay where the model does not know the entity, such as a brand that came after its training: it reads `<unk>`,
    and the words are all that tells one such entity from another.
    Constraints in the words are read by products' `attributes`, known values by name.
    """

    def __init__(
        self, model: EntityClip, linker: Linker, attributes: Mapping[str, Collection[str]] | None = None
    ) -> None:
        self.model, self.linker, self.attributes = model, linker, attributes or {}

    @property
    def reads_entities(self) -> bool:
        """Whether the variant does anything with entities (rows 1 and 2 do not)."""
        variant = self.model.variant
        return variant.has_entities or variant.entities_as_text

    def read(self, query: Query) -> ReadQuery:
        """Return what of a query is encoded. Raises SettingsError where an entity given is of no group it has."""
        if odd := [group for group in query.entities if group not in self.model.groups]:
            there = ", ".join(self.model.groups) or "none"
            near = did_you_mean(odd[0], self.model.groups)
            raise SettingsError(f"no entity group {odd[0]!r}; the model's groups are: {there}{near}")
        [given], notes = self.model.normalised(query.entities), list[str]()
        given = self._corrected(given, notes)
        for what, typed in (("text", query.text), ("negative words", query.negative)):
            if len(typed) > MAX_QUERY:
                notes.append(f"{what}: the last {len(typed) - MAX_QUERY:,} of {len(typed):,} characters are not read")
        text, negative = query.text[:MAX_QUERY], query.negative[:MAX_QUERY]
        constraints, wanted, links = list[Constraint](), text, list[Link]()
        if query.link:
            constraints, wanted = read_constraints(text, self.linker, self.attributes, query.unlink)
            links, left_out = self.linker.link(wanted, given, query.unlink)
            notes += left_out
            if size := _SIZE.search(wanted):
                notes.append(f"no product is said to have {size[0]!r}: it counts as words")
        asks_more = any(map(str.isalnum, wanted)) or given or query.image is not None or query.product_id
        encoded = wanted if asks_more else text  # of constraints alone, something has to be compared
        if not self.reads_entities and (given or any(link.kept for link in links)):
            notes.append(f"{self.model.variant.name} reads no entities: they count as words")
        asked = self._words(encoded, given, links)
        [unknown] = self.model.unknown({**given, **asked.entities})
        nots = [own for own in constraints if own.kind == "not"]
        words = " ".join(filter(None, [negative, *(own.value for own in nots if own.group not in self.model.groups)]))
        without: dict[str, list[str]] = {}
        for own in nots:
            if own.group in self.model.groups:
                without.setdefault(own.group, []).append(own.value)
        unlinked = self.linker.link(words)[0] if query.link else []
        return ReadQuery(
            query,
            asked,
            self._words(words, without, unlinked),
            links,
            unknown,
            notes,
            _entities(given, links),
            _entities(without, unlinked),
            _spelt(wanted, given, links),
            _spelt(words, without, unlinked),
            _alternatives(wanted, given, links),
            constraints,
        )

    def _corrected(self, given: Mapping[str, list[str]], notes: list[str]) -> dict[str, list[str]]:
        """Return entities given by hand, the misspelt ones as they are meant; notes say so, or what may be meant."""
        [unknown] = self.model.unknown(given)
        found = {group: list(names) for group, names in given.items()}
        for group, names in unknown.items():
            for name in names:
                meant, near = self.linker.meant(group, name)
                if meant is not None:
                    found[group] = list(dict.fromkeys(meant if own == name else own for own in found[group]))
                    if meant != name:  # else the entity came after the model's training
                        notes.append(f"{group} {name!r} is read as {meant!r}")
                elif near:
                    notes.append(f"no {group} {name!r} is known; did you mean {' or '.join(map(repr, near))}?")
        return found

    def linked(self, text: str) -> Words:
        """Return a typed text with the entities found in it, whose words leave it."""
        return self._words(text, {}, self.linker.link(text)[0])

    def _words(self, text: str, given: Mapping[str, list[str]], links: list[Link]) -> Words:
        if not self.reads_entities:  # those typed are words already
            return Words(compose_text(text, given, self.model.groups, entities_first=True), {})
        kept = [link for link in links if link.kept]
        for link in reversed(kept):
            if self.model.variant.entities_as_text or not self.model.unknown({link.group: link.entity})[0]:
                text = f"{text[: link.start]} {text[link.end :]}"
        return Words(text, _entities(given, kept))


def _entities(given: Mapping[str, list[str]], links: list[Link]) -> dict[str, list[str]]:
    """Return the entities given, and those of the links that are kept."""
    entities = {group: list(names) for group, names in given.items()}
    for link in links:
        if link.kept and link.entity not in entities.setdefault(link.group, []):
            entities[link.group].append(link.entity)
    return entities


def _alternatives(
    text: str, given: Mapping[str, list[str]], links: list[Link]
) -> list[tuple[str, dict[str, list[str]]]]:
    """Return the text and entities of each choice between alternatives; empty where there are none, or too many."""
    kept, found = [link for link in links if link.kept], list[tuple[str, dict[str, list[str]]]]()
    joined = {link.group for link in kept if link.alternative}
    choices = [[link for link in kept if link.group == group] for group in sorted(joined)]
    if math.prod(map(len, choices)) > MOST_ALTERNATIVES:
        return []
    for chosen in itertools.product(*choices) if joined else ():
        left = [link for link in kept if link.group not in joined or link in chosen]
        own = text
        for link in kept:
            if link not in left:
                own = f"{own[: link.start]}{' ' * (link.end - link.start)}{own[link.end :]}"
        found.append((_spelt(own, given, left), _entities(given, left)))
    return found


def _spelt(text: str, given: Mapping[str, list[str]], links: list[Link]) -> str:
    """Return a text with the names of kept links as the vocabulary spells them, after the entities given."""
    for link in reversed([link for link in links if link.kept]):
        text = f"{text[: link.start]} {link.entity} {text[link.end :]}"
    spelt = " ".join([*(name for names in given.values() for name in names), text])
    return spelt if any(map(str.isalnum, spelt)) else ""
