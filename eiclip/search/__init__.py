"""Search among a catalogue's products: by photo, words, entities, another product, or several of them at once.

    engine = SearchEngine.open(home, "fashiongen", "eiclip")
    answer = engine.search(Query(text="golden goose leather sneaker"))
    for hit in answer.hits:
        print(hit.rank, hit.product_id, hit.score, hit.title)

docs/search.md says what a query can hold and how an answer is found.
"""

from typing import TYPE_CHECKING, Any

from eiclip.search.query import Answer, Hit, Link, Query, View

if TYPE_CHECKING:
    from eiclip.search.engine import SearchEngine
    from eiclip.search.index import SearchIndex

__all__ = ["Answer", "Hit", "Link", "Query", "SearchEngine", "SearchIndex", "View"]


def __getattr__(name: str) -> Any:
    """What needs torch is imported when it is asked for."""
    if name == "SearchEngine":
        from eiclip.search.engine import SearchEngine

        return SearchEngine
    if name == "SearchIndex":
        from eiclip.search.index import SearchIndex

        return SearchIndex
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
