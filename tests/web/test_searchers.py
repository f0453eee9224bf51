"""Queries at the same time share the cores; what each returns or raises is its own."""

import asyncio
import threading

import pytest
import torch

from eiclip.web.searchers import Searchers


@pytest.fixture(autouse=True)
def _threads_as_before():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def together(searchers, *works):
    async def all_of_them():
        return await asyncio.gather(*(searchers.run(work) for work in works), return_exceptions=True)

    return asyncio.run(all_of_them())


def test_alone_it_has_all_cores_and_beside_others_its_share():
    searchers = Searchers(cores=4)
    assert together(searchers, torch.get_num_threads) == [4]
    second_works = threading.Event()

    def first():
        assert second_works.wait(30)

    def second():
        second_works.set()
        return torch.get_num_threads()

    assert together(searchers, first, second) == [None, 2]
    assert together(searchers, torch.get_num_threads) == [4], "when the others are done"


def test_one_core_takes_one_query_after_the_other():
    searchers, working = Searchers(cores=1), threading.Lock()

    def alone():
        assert working.acquire(blocking=False)
        working.release()
        return torch.get_num_threads()

    assert together(searchers, *[alone] * 5) == [1] * 5


def test_an_error_is_its_querys_own_and_gives_its_cores_back():
    searchers = Searchers(cores=4)
    [error, found] = together(searchers, lambda: 1 / 0, lambda: 7)
    assert (type(error), found) == (ZeroDivisionError, 7)
    assert together(searchers, torch.get_num_threads) == [4]
