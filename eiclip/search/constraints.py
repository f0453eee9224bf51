"""Constraints in typed words: "not red", "without laces", "under 40", "20-40 eur", "size 38". English words only.

A negation reaches the next entity or word, and those that "or" adds. A number is a price where a currency stands beside
it or a word such as "under" before it, and nothing after it says otherwise. Names of the vocabulary go before
constraints: "under armour" is a brand.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence

from eiclip.readers.texts import match_key, normalise_entity
from eiclip.search.linking import Linker, Match, TypedWords, words_of
from eiclip.search.query import AVAILABILITY, IN_STOCK, Constraint

NEGATIONS = frozenset({"not", "no", "without", "except", "excluding", "w"})  # w: of "w/o"
_FILLERS = frozenset({"a", "an", "the", "any", "by", "in", "of", "from", "with", "made", "for", "too"})
_AUXILIARY = frozenset({  # before "not": a sentence, of which only an entity is read ("do not wash")
    "m", "s", "re", "do", "does", "did", "is", "are", "was", "were", "can", "could", "will", "would", "should", "may",
    "might", "must", "has", "have", "had", "if", "or", "whether",
})  # fmt: skip
_NEVER_NEGATED = frozenset({  # "not only", "no longer", "without being": nothing is unwanted
    "only", "just", "to", "me", "further", "sizes", "so", "be", "been", "being", "quite", "yet", "all", "every",
    "always", "necessarily", "sure", "included", "include", "available", "required", "recommended", "your", "my",
    "our", "its", "this", "that", "these", "those", "it", "you", "we", "one", "matter", "more", "less", "longer",
    "doubt", "need", "problem", "time", "other", "brainer", "name", "fuss", "show", "iron", "tie", "sew",
    "boundaries", "such", "limit", "limits", "end", "exception", "way", "idea", "compromise", "and", "or", "but",
    "compromising", "sacrificing", "having", "going", "losing", "making", "adding", "wearing", "feeling", "looking",
    "worrying", "needing", "using", "showing", "causing", "damaging", "breaking", "giving", "getting", "taking",
    "letting", "worry", "effort",
})  # fmt: skip
_SIGN = r"(?:[$€£¥₹]|(?:usd|eur|euros?|gbp|dollars?|pounds?|bucks|inr|rs)(?![a-z]))"
_MONEY = rf"(?P<sign{{0}}>(?<![a-z]){_SIGN}\.?\s*)?(?P<n{{0}}>\d+(?:[.,]\d+)*)(?P<unit{{0}}>\s*{_SIGN})?"
_BELOW = r"under|below|(?:no|not) more than|(?:less|cheaper|lower) than|up to|at most|max(?:imum)?(?: of)?"
_ABOVE = r"over|above|(?:no|not) less than|(?:more|higher) than|at least|min(?:imum)?(?: of)?"
_BEGIN, _END = r"(?<![\w$€£¥₹.,/-])", r"(?![\w%°/\"″'’]|[.,]\d|\s?[-–x×]\s?\w)"
_PRICE = r"(?P<price>price[sd]?\s+|cost(?:s|ing)?\s+)?"
_RANGE = re.compile(
    rf"{_BEGIN}{_PRICE}(?P<between>between\s+|from\s+)?{_MONEY.format(1)}(?P<to>\s*[-–—]\s*|\s+(?:to|and)\s+)"
    rf"{_MONEY.format(2)}{_END}"
)
_LIMIT = re.compile(rf"{_BEGIN}{_PRICE}(?:(?P<below>{_BELOW})|{_ABOVE})\s+{_MONEY.format(1)}{_END}")
_AFTER = re.compile(
    rf"{_BEGIN}{_PRICE}{_MONEY.format(1)}\s+(?:(?P<below>(?:or|and) (?:less|under|below|cheaper)|max(?:imum)?)|"
    r"(?:or|and) (?:more|over|above|up)|min(?:imum)?)(?![\w-])"
)
_NO_PRICE = frozenset(
    {"size", "sizes", "age", "ages", "aged", "waist", "height", "length", "weight", "inseam", "width"}
)
_FOLLOWS = frozenset({
    "with", "without", "for", "and", "or", "but", "not", "no", "by", "from", "please", "except", "under", "over",
    "below", "above",
})  # fmt: skip
_MOST_VALUE = 3  # words of the longest value of an attribute


def read_constraints(
    text: str,
    linker: Linker,
    attributes: Mapping[str, Collection[str]],
    removed: Collection[str] = (),
) -> tuple[list[Constraint], str]:
    """Return the constraints of a text in their order, and the text with their words blanked, as long as it was.

    Args:
        text: what was typed.
        linker: knows the entities. Of a group whose name ends in "size", "size" before one means it, too.
        attributes: known values of columns that are no entity groups, by name.
        removed: names of constraints not to read. Their words stay, apart from those of an entity that was not wanted:
            else it would be.
    """
    typed, removed = words_of(text), {normalise_entity(name) for name in removed}
    if not typed.words:
        return [], text
    matches, _ = linker.matches(typed)
    reader = _Reader(text, typed, matches, linker, attributes)
    found = [*reader.prices()]
    found += reader.worded(found)
    blanked = text
    for own in found:
        if own.name not in removed or (own.kind == "not" and own.group):
            blanked = f"{blanked[: own.start]}{' ' * (own.end - own.start)}{blanked[own.end :]}"
    return sorted((own for own in found if own.name not in removed), key=lambda own: own.start), blanked


class _Reader:
    """Reads one text, whose entities are known."""

    def __init__(
        self,
        text: str,
        typed: TypedWords,
        matches: Sequence[Match],
        linker: Linker,
        attributes: Mapping[str, Collection[str]],
    ) -> None:
        self.text, self.typed, self.linker = text, typed, linker
        self.match_at = {match.first: match for match in matches}
        names = [match for match in matches if match.score == 1 and not match.known.short]
        self.named = {number: match for match in names for number in range(match.first, match.last)}
        self.values = dict(attributes) | {
            group: names for group, names in linker.names.items() if _label(group).split(" ")[-1:] == ["size"]
        }

    def prices(self) -> Iterator[Constraint]:
        """Yield limits of the price."""
        lower, taken = self.text.lower(), [False] * (len(self.text) + 1)
        if len(lower) != len(self.text):  # of few letters the small form is longer
            lower = self.text
        for pattern in (_RANGE, _LIMIT, _AFTER):
            for match in pattern.finditer(lower):
                start, end = match.span()
                if any(taken[start:end]) or not self._is_price(match):
                    continue
                taken[start:end] = [True] * (end - start)
                low, high = _limits(match)
                yield Constraint("price", "", "", low, high, self.text[start:end], start, end)

    def _is_price(self, match: re.Match[str]) -> bool:
        """Whether a number is likely a price: no part of a name, and with a currency or followed by no unit."""
        start, end = match.span()
        inside = [n for n, span in enumerate(self.typed.spans) if span[0] < end and span[1] > start]
        names = {own for number in inside if (own := self.named.get(number)) is not None}
        if any(own.first < inside[0] or own.last > inside[-1] + 1 or own.known.entity.isalpha() for own in names):
            return False
        given = match.groupdict()
        if any(given.get(name) for name in ("price", "sign1", "unit1", "sign2", "unit2")):
            return given.get("between") is not None or (given.get("to") or "").strip() != "and"
        before = self.typed.words[inside[0] - 1] if inside[0] else ""
        is_limit = match.re is _LIMIT or ((given.get("between") or "").strip() == "between" and "and" in given["to"])
        if not is_limit or before in _NO_PRICE or match[0].startswith(("max", "min")):  # "air max 1"
            return False
        rest, following = self.text[end:].strip(), inside[-1] + 1
        if not rest or rest[0] in ",.;:!?)":
            return True
        words = self.typed.words[following : following + 2]
        after_in = following + 1 if words[:1] == ["in"] else following  # "under 40 in red", not "40 in"
        return bool(words) and (words[0] in _FOLLOWS or after_in in self.named)

    def worded(self, taken: Sequence[Constraint]) -> Iterator[Constraint]:
        """Yield negations and attributes, outside of what is `taken`."""
        number, count = 0, len(self.typed.words)
        ends = {n for own in taken for n, span in enumerate(self.typed.spans) if own.start <= span[0] < own.end}
        while number < count:
            step = 1
            if number not in ends and number not in self.named:
                found = [*self._negated(number, ends)] or [*self._attribute(number)]
                yield from (own for own, _ in found)
                step = found[-1][1] - number if found else 1
            number += step

    def _negated(self, number: int, ends: Collection[int]) -> Iterator[tuple[Constraint, int]]:
        """Yield what a negation at a word is about, and the number of the word that follows it."""
        words, item = self.typed.words, number + 1
        if words[number] not in NEGATIONS or not self._alone(number):
            return
        if words[number] == "w":
            if words[item : item + 1] != ["o"] or self.typed.signs[item] != "/":
                return
            item += 1
        is_sentence = words[number] == "not" and number > 0 and words[number - 1] in _AUXILIARY
        start = self.typed.spans[number][0]
        while (found := self._unwanted(item, start, ends)) is not None and (found[0].group or not is_sentence):
            yield found
            item = found[1]
            if words[item : item + 1] not in (["or"], ["nor"]):
                return
            start, item = self.typed.spans[item][0], item + 1

    def _unwanted(self, item: int, start: int, ends: Collection[int]) -> tuple[Constraint, int] | None:
        """Return the constraint of the entity or word at `item`, of words from `start`, and the next word's number."""
        words = self.typed.words
        while item < len(words) - 1 and words[item] in _FILLERS and item not in self.named and self._spaced(item):
            item += 1
        if item >= len(words) or item in ends or not self._spaced(item):
            return None
        for own, following in self._attribute(item):
            return Constraint(
                "not", own.group, own.value, None, None, self.text[start : own.end], start, own.end
            ), following
        match = self.match_at.get(item)
        if match is None or (match.known.groups[0] == self.linker.makers and match.known.share < self.linker.sure):
            group, value, following = "", words[item], item + 1
            while following < len(words) and self.typed.signs[following] == "-":  # "press-stud"
                value, following = f"{value}-{words[following]}", following + 1
            is_word = len(value) > 1 and not any(map(str.isdigit, value)) and value not in _FILLERS
            if not is_word or value in _NEVER_NEGATED or value in NEGATIONS:
                return None
        else:
            group, value, following = match.known.groups[0], match.known.entity, match.last
        end = self.typed.spans[following - 1][1]
        return Constraint("not", group, value, None, None, self.text[start:end], start, end), following

    def _attribute(self, number: int) -> Iterator[tuple[Constraint, int]]:
        """Yield the attribute that is named at a word and whose value follows, if any, and the next word's number."""
        typed = self.typed
        if " ".join(typed.keys[number : number + 2]) == IN_STOCK:
            start, end = typed.spans[number][0], typed.spans[number + 1][1]
            words = self.text[start:end]
            yield Constraint("attribute", AVAILABILITY, IN_STOCK, None, None, words, start, end), number + 2
            return
        for length in (2, 1):
            label, first = " ".join(typed.keys[number : number + length]), number + length
            if first >= len(typed.words) or typed.signs[first].strip() not in ("", ":", "="):
                continue
            for group, values in self.values.items():
                if label not in (_label(group), _label(group).rpartition(" ")[2]):
                    continue
                keyed = {" ".join(words_of(value).keys): value for value in values}
                for last in range(min(first + _MOST_VALUE, len(typed.words)), first, -1):
                    if (value := keyed.get(" ".join(typed.keys[first:last]))) is not None:
                        start, end = typed.spans[number][0], typed.spans[last - 1][1]
                        yield Constraint("attribute", group, value, None, None, self.text[start:end], start, end), last
                        return

    def _spaced(self, number: int) -> bool:
        """Whether nothing but space stands before a word."""
        return self.typed.signs[number].isspace()

    def _alone(self, number: int) -> bool:
        """Whether no hyphen, full stop or the like joins a word to its neighbours."""
        before, after = self.typed.signs[number : number + 2]
        return before[-1:] not in ("-", "/", "'", "’") and (after.isspace() or after == "/")


def _label(group: str) -> str:
    return match_key(group.replace("_", " "))


def _limits(match: re.Match[str]) -> tuple[float | None, float | None]:
    given = match.groupdict()
    first = _number(given["n1"])
    if "n2" in given:
        low, high = sorted((first, _number(given["n2"])))
        return low, high
    return (None, first) if given["below"] else (first, None)


def _number(written: str) -> float:
    """Return the number that is written, with points or commas between thousands or before cents.

    >>> [_number(text) for text in ("1,000", "39.99", "39,99", "1.299,50")]
    [1000.0, 39.99, 39.99, 1299.5]
    """
    parts = re.split("[.,]", written)
    cents = parts.pop() if len(parts) > 1 and len(parts[-1]) != 3 else "0"
    return float(f"{''.join(parts)}.{cents}")
