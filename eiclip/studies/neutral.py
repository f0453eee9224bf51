"""Neutral brand names: made-up words in place of a dataset's brands, in all that training and evaluation read.

Everything else stays: photos, descriptions (which may still hold a real name), ids, order and splits.
"""

import hashlib
import itertools
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from eiclip.model.tokenizer import clip_tokenizer
from eiclip.model.vocabulary import UNKNOWN
from eiclip.shards import Sample, merge_parts, read_manifest, read_samples, write_shards
from eiclip.storage.files import whole_folder

CONSONANTS, VOWELS = "fjkqvwxz", "aeiouy"
"""Words of these alone, one after the other, are hardly any language's."""
PATIENCE = 50
"""Words tried for a brand before they may be longer by a token."""


def neutral_names(brands: Collection[str], taken: Collection[str], tokens: Callable[[str], int]) -> dict[str, str]:
    """Return a made-up word for each brand: always the same for the same brands, in whatever order they come.

    It has as many tokens as the brand's name (two at least, and more once the short words are used up), so that it is
    not harder to read for its length.

    Args:
        brands: the names to replace.
        taken: names that no made-up word may be, nor stand in as a word.
        tokens: how many tokens a text is to the models.
    """
    used = {word for name in (*brands, *taken) for word in (name, *name.split())}
    names: dict[str, str] = {}
    for brand in sorted(set(brands) - {UNKNOWN}):  # a brand of that name is none to the vocabulary
        wanted = max(2, tokens(brand))  # the tokenizer knows in one piece what people write often
        words = ((word, wanted + more) for word, more in _words(brand, wanted) if word not in used)
        names[brand] = next(word for word, most in words if wanted <= tokens(word) <= most)
        used.add(names[brand])
    return names


def _words(brand: str, wanted: int) -> Iterator[tuple[str, int]]:
    """Words drawn from the brand's digest without end, and by how many tokens each may be longer than wanted."""
    for attempt in itertools.count():
        more = attempt // PATIENCE
        place = int.from_bytes(hashlib.sha512(f"{attempt}/{brand}".encode()).digest(), "big")
        word = ""
        for choices in [*[CONSONANTS, VOWELS] * (max(2, wanted - 1) + more), CONSONANTS]:
            place, choice = divmod(place, len(choices))
            word += choices[choice]
        yield word, more


def names_of(tagged: pa.Table, group: str) -> dict[str, str]:
    """Return made-up names, none an entity of `tagged_entities`, of all entities of a group there (of any split)."""
    groups, entities = tagged["entity_group"].to_pylist(), tagged["entity"].to_pylist()
    brands = {entity for own, entity in zip(groups, entities, strict=True) if own == group}
    return neutral_names(brands, set(entities), clip_tokenizer().count)


def renamed_table(table: pa.Table, group: str, names: Mapping[str, str]) -> pa.Table:
    """Return a table of entities (columns entity_group, entity) with those of a group renamed, its rows in order."""
    pairs = zip(table["entity_group"].to_pylist(), table["entity"].to_pylist(), strict=True)
    renamed = [names.get(entity, entity) if own == group else entity for own, entity in pairs]
    return table.set_column(table.column_names.index("entity"), "entity", pa.array(renamed, pa.string()))


def renamed_shards(shards: Path, output: Path, group: str, names: Mapping[str, str]) -> dict[str, Any]:
    """Write the shards anew with a group's entities renamed: the same parts, photos and order, so the same batches.

    Returns:
        The manifest.
    """
    manifest = read_manifest(shards)
    parts: dict[str, list[dict[str, Any]]] = {}
    for shard in manifest["shards"]:
        parts.setdefault(str(Path(shard["name"]).parent), []).append(shard)

    def renamed(listed: Iterable[dict[str, Any]]) -> Iterator[tuple[str, Sample]]:
        for shard in listed:
            for sample in read_samples([shards / shard["name"]]):
                own = sample.entities.get(group)
                made_up = {} if own is None else {group: [names.get(name, name) for name in own]}
                yield shard["split"], replace(sample, entities=sample.entities | made_up)

    with whole_folder(output) as folder:
        for part, listed in parts.items():
            write_shards(
                renamed(listed), folder / part, photo_size=manifest["photo_size"], photos=manifest.get("photos")
            )
        return merge_parts(folder, list(parts))
