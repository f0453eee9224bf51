"""The searches of a server: one thread answers them, and those that wait meanwhile are encoded together.

Two threads at once would only share the cores, and each thread that calls torch keeps a team of workers. A text tower
takes hardly longer for eight short texts than for one: reading its weights takes the time.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from eiclip.errors import EiclipError
from eiclip.search import Answer, Query

if TYPE_CHECKING:  # it imports torch
    from eiclip.search import SearchEngine

Returned = TypeVar("Returned")
MOST_AT_ONCE = 8
"""Queries that are encoded together: more would keep the first one waiting."""


class _Waiting(NamedTuple):
    engine: "SearchEngine"
    query: Query
    answer: "Future[Answer]"


class Searcher:
    """Answers queries in the order they come, in one thread."""

    def __init__(self) -> None:
        self._thread, self._lock = ThreadPoolExecutor(1, "search"), threading.Lock()
        self._waiting: list[_Waiting] = []

    async def search(self, engine: "SearchEngine", query: Query) -> Answer:
        """Return the answer of a query. Raises as `SearchEngine.search`."""
        own = _Waiting(engine, query, Future())
        with self._lock:
            self._waiting.append(own)
        self._thread.submit(self._answer)
        return await asyncio.wrap_future(own.answer)

    async def run(self, work: Callable[..., Returned], *given: Any) -> Returned:
        """Return what other work returns that encodes, done in the same thread."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *given)

    def _answer(self) -> None:
        """Answer the query that has waited longest, and others of its engine; nothing, if all are answered already."""
        with self._lock:
            same = [own for own in self._waiting if own.engine is self._waiting[0].engine][:MOST_AT_ONCE]
            self._waiting = [own for own in self._waiting if own not in same]
        asked = [own for own in same if own.answer.set_running_or_notify_cancel()]  # whoever asked may have gone
        try:
            answers = asked[0].engine.search_many([own.query for own in asked]) if asked else []
            for own, answer in zip(asked, answers, strict=True):
                own.answer.set_result(answer)
        except Exception as error:
            if len(asked) == 1 or not isinstance(error, EiclipError):
                for own in asked:
                    own.answer.set_exception(error)
                return
            for own in asked:  # one of them is wrong: each has its own answer
                try:
                    own.answer.set_result(own.engine.search(own.query))
                except Exception as wrong:
                    own.answer.set_exception(wrong)
