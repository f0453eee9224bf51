"""Search among a catalogue's products: by photo, words, entities, another product, or several of them at once.

`SearchEngine.open(home, "fashiongen", "eiclip").search(Query(text="golden goose leather sneaker"))` returns an
`Answer`. docs/search.md says what a query can hold and how an answer is found.
"""

from typing import TYPE_CHECKING, Any

from eiclip.search.query import Answer, Hit, Link, Query, View

if TYPE_CHECKING:
    from eiclip.search.engine import SearchEngine

__all__ = ["Answer", "Hit", "Link", "Query", "SearchEngine", "View"]


def __getattr__(name: str) -> Any:
    """Import the engine, and with it torch, when it is first asked for."""
    if name != "SearchEngine":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from eiclip.search.engine import SearchEngine

    return SearchEngine
