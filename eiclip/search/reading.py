"""How a query is read: texts cut, entities found in the words, given ones put into the form they are counted by."""

from collections.abc import Collection, Mapping
from typing import NamedTuple

from eiclip.errors import SettingsError
from eiclip.inference import EntityClip
from eiclip.model.inputs import compose_text
from eiclip.search.constraints import Constraint, read_constraints
from eiclip.search.linking import Linker
from eiclip.search.query import MAX_QUERY, Link, Query


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
    constraints: list[Constraint]
    """Read in the words. What is not wanted is in `negative` too; prices and attributes are for who filters."""


class Reader:
    """Reads queries for one model.

    The words of a link that is kept leave the text: descriptions do not have their tags' words either (docs/search.md).
    Constraints in the words are read by products' `attributes`, known values by name, and `prices` if they have any.
    """

    def __init__(
        self,
        model: EntityClip,
        linker: Linker,
        attributes: Mapping[str, Collection[str]] | None = None,
        *,
        prices: bool = True,
    ) -> None:
        self.model, self.linker = model, linker
        self.attributes, self.prices = attributes or {}, prices

    @property
    def reads_entities(self) -> bool:
        """Whether the variant does anything with entities (rows 1 and 2 do not)."""
        variant = self.model.model.variant
        return variant.has_entities or variant.entities_as_text

    def read(self, query: Query) -> ReadQuery:
        """Return what of a query is encoded. Raises SettingsError where an entity given is of no group it has."""
        if odd := [group for group in query.entities if group not in self.model.groups]:
            there = ", ".join(self.model.groups) or "none"
            raise SettingsError(f"no entity group {odd[0]!r}; the model's groups are: {there}")
        [given], notes = self.model.normalised(query.entities), list[str]()
        given = self._corrected(given, notes)
        for what, typed in (("text", query.text), ("negative words", query.negative)):
            if len(typed) > MAX_QUERY:
                notes.append(f"{what}: the last {len(typed) - MAX_QUERY:,} of {len(typed):,} characters are not read")
        text, negative = query.text[:MAX_QUERY], query.negative[:MAX_QUERY]
        constraints, wanted, links = list[Constraint](), text, list[Link]()
        if query.link:
            constraints, wanted = read_constraints(text, self.linker, self.attributes, query.unlink, prices=self.prices)
            links, left_out = self.linker.link(wanted, given, query.unlink)
            notes += left_out
            if not (any(map(str.isalnum, wanted)) or given or query.image is not None or query.product_id):
                wanted = text  # nothing else is asked, and something has to be compared
        if not self.reads_entities and (given or any(link.kept for link in links)):
            notes.append(f"{self.model.model.variant.name} reads no entities: they count as words")
        [unknown] = self.model.unknown(given)
        unwanted = self._unwanted(negative, constraints) if query.link else Words(negative, {})
        return ReadQuery(query, self._words(wanted, given, links), unwanted, links, unknown, notes, constraints)

    def _corrected(self, given: Mapping[str, list[str]], notes: list[str]) -> dict[str, list[str]]:
        """Return entities given by hand, the misspelt ones as they are meant; notes say so, or what may be meant."""
        [unknown] = self.model.unknown(given)
        found = {group: list(names) for group, names in given.items()}
        for group, names in unknown.items():
            for name in names:
                meant, near = self.linker.meant(group, name)
                if meant is not None:
                    found[group] = list(dict.fromkeys(meant if own == name else own for own in found[group]))
                    notes.append(f"{group} {name!r} is read as {meant!r}")
                elif near:
                    notes.append(f"no {group} {name!r} is known; did you mean {' or '.join(map(repr, near))}?")
        return found

    def _unwanted(self, negative: str, constraints: list[Constraint]) -> Words:
        """Return negative words, and what the constraints do not want."""
        unwanted = [own for own in constraints if own.kind == "not"]
        entities: dict[str, list[str]] = {}
        for own in unwanted:
            if own.group in self.model.groups:
                entities.setdefault(own.group, []).append(own.value)
        words = [negative, *(own.value for own in unwanted if own.group not in self.model.groups)]
        return self._words(" ".join(filter(None, words)), entities, self.linker.link(negative)[0])

    def linked(self, text: str) -> Words:
        """Return a typed text with the entities found in it, whose words leave it."""
        return self._words(text, {}, self.linker.link(text)[0])

    def _words(self, text: str, given: Mapping[str, list[str]], links: list[Link]) -> Words:
        if not self.reads_entities:  # those typed are words already
            return Words(compose_text(text, given, self.model.groups, entities_first=True), {})
        kept = [link for link in links if link.kept]
        for link in reversed(kept):
            text = f"{text[: link.start]} {text[link.end :]}"
        entities = {group: list(names) for group, names in given.items()}
        for link in kept:
            if link.entity not in entities.setdefault(link.group, []):
                entities[link.group].append(link.entity)
        return Words(text, entities)
