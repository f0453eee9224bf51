"""The threads that encode and compare: queries at the same time share the cores."""

import asyncio
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from threadpoolctl import ThreadpoolController

Returned = TypeVar("Returned")
MOST = 8
"""Queries that are worked on at once, however many cores there are: each keeps workers of torch."""


class Searchers:
    """A query that is alone has all cores, several have a part each.

    Threads of one query wait for each other busily: with more of them than cores, that takes most of the time.
    """

    def __init__(self, cores: int | None = None) -> None:
        self.cores = cores or len(os.sched_getaffinity(0))
        self._pool = ThreadPoolExecutor(min(self.cores, MOST), "search")
        self._lock, self._working = threading.Lock(), 0
        self._blas: list[Any] = ThreadpoolController().select(user_api="blas").lib_controllers  # numpy's

    async def run(self, work: Callable[..., Returned], *given: Any) -> Returned:
        """Return what `work` returns, done in one of the threads."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._shared, work, *given)

    def _shared(self, work: Callable[..., Returned], *given: Any) -> Returned:
        from eiclip.system.devices import use_threads  # with torch, which the first engine loads

        with self._lock:
            self._working += 1
            share = max(1, self.cores // self._working)
        use_threads(share)  # of torch, in this thread
        for library in self._blas:
            library.set_num_threads(share)
        try:
            return work(*given)
        finally:
            with self._lock:
                self._working -= 1
