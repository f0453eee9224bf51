"""The server's one search thread: what waits is answered together, each with its own answer or error."""

import asyncio
import threading

import pytest

from eiclip.errors import SettingsError
from eiclip.search import Query
from eiclip.web.searcher import MOST_AT_ONCE, Searcher


class Echo:
    """An engine whose answers are the words, that waits to be let go, and takes no text "wrong"."""

    def __init__(self, go=None):
        self.go, self.batches = go, []

    def search_many(self, queries):
        if self.go is not None:
            assert self.go.wait(10)
        self.batches.append([query.text for query in queries])
        if "wrong" in self.batches[-1]:
            raise SettingsError("wrong")
        return [f"{id(self)} {query.text}" for query in queries]

    def search(self, query):
        return self.search_many([query])[0]


def answered(engines_and_texts, go=None):
    async def ask():
        searcher = Searcher()
        asked = [searcher.search(engine, Query(text=text)) for engine, text in engines_and_texts]
        if go is not None:
            asyncio.get_running_loop().call_later(0.3, go.set)
        return await asyncio.gather(*asked, return_exceptions=True)

    return asyncio.run(ask())


def test_what_waits_is_answered_together_in_order():
    go = threading.Event()
    engine, texts = Echo(go), [str(number) for number in range(20)]
    assert answered([(engine, text) for text in texts], go) == [f"{id(engine)} {text}" for text in texts]
    assert [text for batch in engine.batches for text in batch] == texts
    assert max(map(len, engine.batches)) == MOST_AT_ONCE


def test_engines_are_not_mixed():
    one, other = Echo(), Echo()
    asked = [(engine, str(number)) for number in range(12) for engine in (one, other)]
    assert answered(asked) == [f"{id(engine)} {text}" for engine, text in asked]


def test_a_wrong_query_spoils_no_other():
    go = threading.Event()
    engine = Echo(go)
    first, wrong, last = answered([(engine, text) for text in ("a", "wrong", "b")], go)
    assert (first, last) == (f"{id(engine)} a", f"{id(engine)} b")
    assert isinstance(wrong, SettingsError)


def test_who_has_gone_is_not_answered():
    async def ask():
        go = threading.Event()
        engine, searcher = Echo(go), Searcher()
        first = asyncio.ensure_future(searcher.search(engine, Query(text="first")))
        gone = asyncio.ensure_future(searcher.search(engine, Query(text="gone")))
        await asyncio.sleep(0.2)
        gone.cancel()
        await asyncio.sleep(0.1)
        go.set()
        return await first, engine.batches

    answer, batches = asyncio.run(ask())
    assert answer.endswith("first")
    assert ["gone"] not in batches


@pytest.mark.parametrize("error", [ValueError("odd"), SettingsError("odd")])
def test_an_error_of_the_engine_reaches_who_asked(error):
    class Broken(Echo):
        def search_many(self, queries):
            raise error

    assert answered([(Broken(), "a"), (Broken(), "b")]) == [error, error]
