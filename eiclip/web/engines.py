"""The search engines of a home: which there are, opened when they are first asked for, the last few kept."""

import io
import logging
import threading
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from eiclip.errors import CorruptOutputError, EiclipError, SettingsError, did_you_mean
from eiclip.readers.texts import match_key
from eiclip.search import Query
from eiclip.search.linking import MOST_WORDS
from eiclip.search.photos import PhotoShelf
from eiclip.search.sources import SERVED, KeptViews, searched_stamp, trained_variants
from eiclip.storage.home import Paths
from eiclip.storage.lake import count_rows

if TYPE_CHECKING:  # it imports torch: what there is to search is known without
    from eiclip.search import SearchEngine

LOG = logging.getLogger("eiclip.web")
MOST_OPEN = 4  # engines kept in memory: each holds a model and three matrices of all products
MOST_VALUES = 12  # values of a group that are offered at once
MOST_ENTITIES = 8  # of the suggestions, which are `MOST_VALUES` with titles of products
MOST_LENGTH = 60  # characters of an entity that is suggested: nobody types a whole list of ingredients
LOOK = 1.0  # least seconds between two looks at whether an engine's files have changed
SETTLED = 3.0  # seconds without a change after which an engine is opened again: a job writes one table after the other
SETTLED_WITHOUT_VIEWS = 60.0  # the same where products would have to be embedded first: a job may be about to
RETRY = 60.0  # seconds until an engine that could not be opened again is tried once more
HEARTBEAT = 10.0  # seconds between the lines that say that an engine is still being opened


class NotThereError(EiclipError):
    """No such dataset, variant, group or product."""


class NotNowError(EiclipError):
    """Something that is there cannot be read at the moment; its message is for a browser, its cause for the log."""


@dataclass(frozen=True)
class OpenedEngine:
    """An engine, and what can be chosen in it."""

    engine: "SearchEngine"
    stamp: Mapping[str, tuple[int, int, int]] = field(default_factory=dict)
    """`searched_stamp` of its files before it was opened."""

    @cached_property
    def values(self) -> dict[str, list[dict[str, Any]]]:
        """Return by group the values that products have, those of most `products` first.

        `known` are those that training saw as entities: what is not known steers nothing, and can only filter.
        """
        trained, found = self.engine.model.vocabulary.names, {}
        for group, facet in self.engine.index.facets.items():
            counts = np.bincount(facet.code_T, minlength=len(facet.codes)).tolist()
            known = set(trained.get(group, ())[1:])
            ordered = sorted(facet.codes.items(), key=lambda item: (-counts[item[1]], item[0]))
            found[group] = [{"value": own, "products": counts[n], "known": own in known} for own, n in ordered]
        return found

    def find(self, group: str, typed: str) -> list[dict[str, Any]]:
        """Return `values` of a group that what was typed begins, or begins a word of, or is in: in this order.

        Case, accents, apostrophes and the like do not count (`match_key`). Raises NotThereError without such a group.
        """
        if group not in self.values:
            raise NotThereError(f"no group {group!r}: there are {', '.join(self.values)}")
        key = _key(typed)
        found = [
            (not own.startswith(key), f" {key}" not in own, value) for own, value in self._keyed[group] if key in own
        ]
        return [value for *_, value in sorted(found, key=lambda ranked: ranked[:2])[:MOST_VALUES]]

    @cached_property
    def _keyed(self) -> dict[str, list[tuple[str, dict[str, Any]]]]:
        """The same, each value after its `match_key`."""
        return {group: [(_key(own["value"]), own) for own in values] for group, values in self.values.items()}

    @cached_property
    def _titles(self) -> list[tuple[str, str]]:
        """The products' titles, each once, in small letters, with the `match_key` of each."""
        titles = dict.fromkeys(title.lower() for title in self.engine.index.facts["title"].to_pylist() if title)
        return [(match_key(title), title) for title in titles]

    def suggest(self, typed: str) -> list[dict[str, Any]]:
        """Return texts that somebody who typed this may mean, each with its `group` and number of `products`, if any.

        Entities that as many of the last words as possible begin come first, those of most products before others; then
        titles that begin with what was typed, then those that have it at the beginning of another word.
        """
        words, found = typed.split(), list[dict[str, Any]]()
        for first in range(max(0, len(words) - MOST_WORDS), len(words)):
            key, before = _key(" ".join(words[first:])), " ".join(words[:first])
            found = [
                {"text": f"{before} {own['value']}".strip(), "group": group, "products": own["products"]}
                for group in self.engine.model.groups for known, own in self._keyed.get(group, ())
                if known.startswith(key) and len(own["value"]) <= MOST_LENGTH
            ]  # fmt: skip
            if found:
                break
        found = sorted(found, key=lambda own: -own["products"])[:MOST_ENTITIES]
        key = match_key(typed)
        named = [(not own.startswith(key), title) for own, title in self._titles if key and f" {key}" in f" {own}"]
        titles = [title for _, title in sorted(named, key=lambda pair: pair[0])]
        found += [{"text": title, "group": None, "products": None} for title in titles]
        offered = {own["text"]: own for own in reversed(found) if own["text"] != " ".join(words).lower()}
        return list(reversed(offered.values()))[:MOST_VALUES]

    def examples(self, count: int = 4) -> list[str]:
        """Return queries to try: titles of products far from each other, with their entity of the first group."""
        rows = np.linspace(0, len(self.engine.index) - 1, count + 2).astype(int)[1:-1].tolist()
        facts = self.engine.index.facts_of(rows)
        group = next(iter(self.engine.model.groups), "")
        names = [" ".join(fact["entities"].get(group, [])[:1]) for fact in facts]
        titles = [fact["title"] or fact["description"] or "" for fact in facts]
        named = zip([name.lower() for name in names], [title.lower() for title in titles], strict=True)
        texts = [title if name in title else f"{name} {title}" for name, title in named]
        return list(dict.fromkeys(" ".join(text.split()[:6]) for text in texts if text.strip()))

    def warm(self) -> None:
        """Answer once, so that nobody waits for what the first answer sets up."""
        self._keyed, self._titles  # noqa: B018  counted here, kept
        with io.BytesIO() as file:
            Image.new("RGB", (64, 64), "white").save(file, "PNG")
            self.engine.search(Query(text="warm", image=file.getvalue(), top=1))


class Engines:
    """Engines of a home by dataset and variant. Threads may share it.

    Where models, views, tables or shards have changed, an engine is opened again in the background while the old one
    answers. It is looked for that when somebody asks, at most once in `look` seconds, and files must have been left
    alone for `settled` seconds.
    """

    def __init__(
        self, home: Path, device: str = "cpu", *, first: tuple[str, str] = ("", ""), look: float = LOOK,
        settled: float = SETTLED,
    ) -> None:  # fmt: skip
        self.home, self.device, self.look, self.settled = Paths(home), device, look, settled
        self.first = first
        self._next_look: dict[tuple[str, str], float] = defaultdict(float)  # of `time.monotonic`
        self._renewing = threading.Lock()  # one at a time
        self._opened: dict[tuple[str, str], OpenedEngine] = {}  # those asked for last are the last
        self._shelves: dict[str, PhotoShelf] = {}
        self._opening: dict[tuple[str, str], threading.Lock] = defaultdict(threading.Lock)
        self._lock = threading.Lock()

    def available(self) -> dict[str, list[str]]:
        """Return variants by dataset that have a model and products, those to show first first.

        The dataset and variant of `first` come before others. Then datasets with a variant of `SERVED`, in that order,
        then those of most products.
        """
        trained, places = trained_variants(self.home), {}
        for dataset, (first, *_) in trained.items():
            if products := count_rows(self.home.lake.files("products", dataset)):
                places[dataset] = SERVED.index(first) if first in SERVED else len(SERVED), -products
        dataset, variant = self.first
        return {
            name: sorted(trained[name], key=lambda own: (name, own) != (dataset or name, variant))
            for name in sorted(places, key=lambda name: (name != dataset, places[name]))
        }

    def chosen(self, dataset: str | None, variant: str | None) -> OpenedEngine:
        """Return the engine of what is named, else of the only dataset and its best variant.

        Raises SettingsError where none is named of several datasets, and as `get`.
        """
        available = self.available()
        if dataset is None and len(available) > 1:
            raise SettingsError(f"dataset: there are {', '.join(available)}; name one")
        dataset = next(iter(available), "") if dataset is None else dataset
        return self.get(dataset, available.get(dataset, [""])[0] if variant is None else variant)

    def get(self, dataset: str, variant: str) -> OpenedEngine:
        """Return the engine of a dataset and variant, opened and warmed where it is not yet.

        Raises NotThereError where there is no such dataset or variant, EiclipError where it cannot be opened.
        """
        key = (dataset, variant)
        if key not in self._opened:
            self._check(dataset, variant)
        with self._lock:
            opening = self._opening[key]
        with opening:  # two that ask for one engine open it once
            opened = self._opened.get(key) or self._open(dataset, variant)
            with self._lock:
                self._opened.pop(key, None)
                self._opened[key] = opened
                for oldest in list(self._opened)[:-MOST_OPEN]:
                    del self._opened[oldest]
        self._look(key, opened)
        return opened

    def _look(self, key: tuple[str, str], opened: OpenedEngine) -> None:
        """Begin to open an engine again where its files have changed, and are no longer being changed."""
        with self._lock:
            if time.monotonic() < self._next_look[key]:
                return
            self._next_look[key] = time.monotonic() + self.look
        stamp = searched_stamp(self.home, *key)
        if stamp == opened.stamp:
            return
        quiet = time.time() - max((time_ns for time_ns, *_ in stamp.values()), default=0) / 1e9
        if 0 <= quiet < self.settled or not self._renewing.acquire(blocking=False):
            return
        threading.Thread(target=self._renew, args=(key, quiet), daemon=True).start()

    def _renew(self, key: tuple[str, str], quiet: float) -> None:
        """Open an engine again and put it in the old one's place; holds `_renewing`, which the caller has taken."""
        name = ", ".join(key)
        try:
            if quiet < SETTLED_WITHOUT_VIEWS and not KeptViews(self.home, *key).are_current():
                return
            opened = self._open(*key)
            with self._lock:
                if key in self._opened:
                    self._opened[key] = opened
            LOG.info("%s: what was searched has changed; the new products answer now", name)
        except Exception as error:
            LOG.warning("%s: the products of before are still searched, the new ones cannot be opened: %s", name, error)
            with self._lock:
                self._next_look[key] = time.monotonic() + RETRY
        finally:
            self._renewing.release()

    def photo(self, dataset: str, product_id: str) -> bytes:
        """Return the JPEG bytes of a product's first photo.

        Raises NotThereError where there is no such dataset or photo, NotNowError where shards cannot be read.
        """
        if dataset not in self._shelves:
            self._check(dataset)
        shelf = self._shelves.setdefault(dataset, PhotoShelf(self.home.shards(dataset)))
        try:
            return shelf.photo(product_id)
        except SettingsError as error:  # it names the folder, which is no business of a browser's
            gone = "it is no longer in the catalogue, or never was"
            raise NotThereError(f"no photo of product {product_id[:100]!r}: {gone}") from error
        except CorruptOutputError as error:
            why = "a job is making them again, or they are damaged; the server's log says which"
            raise NotNowError(f"photos cannot be shown now: {why}") from error

    def _check(self, dataset: str, variant: str | None = None) -> None:
        available = self.available()
        if dataset not in available:
            there = (", ".join(available) or "none") + did_you_mean(dataset[:100], available)
            raise NotThereError(f"no dataset {dataset[:100]!r}: there are {there}")
        if variant is not None and variant not in available[dataset]:
            there = f"{', '.join(available[dataset])}{did_you_mean(variant[:100], available[dataset])}"
            raise NotThereError(f"no variant {variant[:100]!r} of {dataset}: there are {there}")

    def _open(self, dataset: str, variant: str) -> OpenedEngine:
        from eiclip.search import SearchEngine

        start, name, done = time.perf_counter(), f"{dataset}, {variant}", threading.Event()
        views, stamp = KeptViews(self.home, dataset, variant), searched_stamp(self.home, dataset, variant)
        if not (views.from_job.is_file() or views.place.is_file()):
            LOG.info("%s: embedding every product; once, it takes minutes", name)

        def say_so() -> None:
            while not done.wait(HEARTBEAT):
                LOG.info("%s: still opening, %.0f s", name, time.perf_counter() - start)

        threading.Thread(target=say_so, daemon=True).start()
        try:
            engine = SearchEngine.open(self.home.root, dataset, variant, self.device)
        finally:
            done.set()
        place = str(views.place)  # which may have been made just now, of what else is in the stamp
        made = {place: now} if (now := searched_stamp(self.home, dataset, variant).get(place)) else {}
        opened = OpenedEngine(engine, {**stamp, **made})
        opened.warm()
        try:
            self.photo(dataset, opened.engine.index.product_ids[0])  # reads the indexes of the shards
        except EiclipError as error:  # of that product alone, or of all: either way search works without
            LOG.warning("photos of %s: %s", dataset, error)
        products = f"{len(opened.engine.index):,}"
        LOG.info("%s: %s products, ready after %.1f s", name, products, time.perf_counter() - start)
        return opened


def _key(text: str) -> str:
    return match_key(text) or text.strip().lower()  # nothing is left of a name such as "!!!"
