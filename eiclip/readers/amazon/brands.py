"""Brand names as shops write them -> one name a brand."""

import functools
import re
import unicodedata

from eiclip.readers.texts import normalise_entity

# "Visit the Nike Store", "Brand: Nike", "by Nike": Amazon's own words around the name.
_AROUND = re.compile(r"^(?:visit the (?P<store>.+?) (?:store|shop)|brand: ?(?P<named>.+)|by (?P<by>.+))$")
_JOINS = re.compile(r"['’`.´]")  # "Levi's" and "Levis", "J.Crew" and "JCrew"
_SEPARATES = re.compile(r"[^\w&+]+|_")


@functools.lru_cache(maxsize=200_000)
def normalise_brand(text: str) -> str:
    """Return the one name of a brand: no case, accents, punctuation or words around it; '' for a placeholder.

    >>> [normalise_brand(text) for text in ("Visit the Levi's Store", "LEVIS", "by Chloé", "Dolce & Gabbana", "N/A")]
    ['levis', 'levis', 'chloe', 'dolce & gabbana', '']
    """
    brand = normalise_entity(text)
    around = _AROUND.match(brand)
    if around:
        brand = normalise_entity(next(filter(None, around.groups())))
    plain = "".join(c for c in unicodedata.normalize("NFKD", brand) if not unicodedata.combining(c))
    words = _SEPARATES.sub(" ", _JOINS.sub("", plain)).split()
    # Nothing but punctuation is left of a name such as "!!!": then it is its own name.
    return normalise_entity(" ".join(words)) or (brand if any(c.isalnum() for c in plain) else "")
