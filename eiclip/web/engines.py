"""The search engines of a home: which there are, opened when they are first asked for, the last few kept."""

import io
import logging
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from eiclip.errors import EiclipError, SettingsError
from eiclip.model.variants import SAME_STYLE_VARIANTS, VARIANTS
from eiclip.search import Query
from eiclip.search.build import VIEWS_TABLE, kept_views
from eiclip.search.photos import PhotoShelf
from eiclip.storage.cache import MANIFEST
from eiclip.storage.home import Paths
from eiclip.storage.lake import count_rows

if TYPE_CHECKING:  # it imports torch: what there is to search is known without
    from eiclip.search import SearchEngine

LOG = logging.getLogger("eiclip.web")
MOST_OPEN = 4
"""Engines kept in memory: each holds a model and three matrices of all products."""
PREFERRED = ("same_style", "eiclip")
"""The variant shown first is the first of these that a dataset has."""
MOST_VALUES = 12
"""Values of a group that are offered at once."""
HEARTBEAT = 10.0
"""Seconds between the lines that say that products are still being embedded."""


class NotThereError(EiclipError):
    """No such dataset, variant, group or product."""


@dataclass(frozen=True)
class Value:
    """An entity or fact to choose, and how many products have it."""

    value: str
    products: int
    known: bool
    """Whether training saw it as an entity: what is not known steers nothing, and can only filter."""


@dataclass(frozen=True)
class Opened:
    """An engine, and what can be chosen in it."""

    engine: "SearchEngine"

    @cached_property
    def values(self) -> dict[str, list[Value]]:
        """By group the values that a product has, those of most products first."""
        vocabulary, facets = self.engine.vocabulary, self.engine.index.facets
        found = {}
        for group, facet in facets.items():
            codes_N = facet.codes_N[facet.codes_N >= 0]
            counts = np.bincount(codes_N, minlength=len(facet.codes)).tolist()
            known = set(vocabulary.get(group, ()))
            listed = [Value(value, counts[code], value in known) for value, code in facet.codes.items()]
            found[group] = sorted(listed, key=lambda value: (-value.products, value.value))
        return found

    @property
    def entity_groups(self) -> list[str]:
        """Groups that can steer, in the model's order."""
        return [group for group in self.engine.groups if group in self.values]

    def find(self, group: str, typed: str) -> list[Value]:
        """Values of a group that what was typed begins, or begins a word of, or is in: in this order.

        Raises:
            NotThereError: there is no such group.
        """
        if group not in self.values:
            raise NotThereError(f"no group {group!r}: there are {', '.join(self.values)}")
        typed = " ".join(typed.lower().split())
        return sorted(
            (value for value in self.values[group] if typed in value.value),
            key=lambda value: (not value.value.startswith(typed), f" {typed}" not in value.value),
        )[:MOST_VALUES]

    def examples(self, count: int = 4) -> list[str]:
        """Queries to try: titles of products far from each other in the catalogue, their brand before them."""
        rows = np.linspace(0, len(self.engine.index) - 1, count + 2).astype(int)[1:-1].tolist()
        facts = self.engine.index.facts_of(rows)
        texts = [f"{fact['entities'].get('brand', '')} {fact['title'] or fact['description'] or ''}" for fact in facts]
        return list(dict.fromkeys(" ".join(text.lower().split()[:6]) for text in texts if text.strip()))

    def warm(self) -> None:
        """Answer once, so that nobody waits for what the first answer sets up."""
        self.values  # noqa: B018  counted here, kept
        with io.BytesIO() as file:
            Image.new("RGB", (64, 64), "white").save(file, "PNG")
            self.engine.search(Query(text="warm", image=file.getvalue(), top=1))


class Engines:
    """Engines of a home by dataset and variant. Threads may share it."""

    def __init__(self, home: Path, device: str = "cpu") -> None:
        self.home, self.device = Paths(home), device
        self._open: OrderedDict[tuple[str, str], Opened] = OrderedDict()
        self._shelves: dict[str, PhotoShelf] = {}
        self._locks: dict[tuple[str, str], threading.Lock] = {}
        self._lock = threading.Lock()

    def available(self) -> dict[str, list[str]]:
        """Variants by dataset that have a model and products, those to show first first: of datasets the largest."""
        models = self.home.root / "models"
        folders = sorted(folder for folder in models.iterdir() if folder.is_dir()) if models.is_dir() else []
        found = {folder.name: self._variants(folder.name) for folder in folders}
        there = {dataset: variants for dataset, variants in found.items() if variants}
        return dict(sorted(there.items(), key=lambda item: (_place(item[1][0]), -self._products(item[0]))))

    def _products(self, dataset: str) -> int:
        return count_rows(self.home.lake.files("products", dataset))

    def _variants(self, dataset: str) -> list[str]:
        lake = self.home.lake
        if not lake.files("products", dataset):
            return []
        known = [*SAME_STYLE_VARIANTS, *VARIANTS]
        names = [name for name in known if (self.home.checkpoint(dataset, name) / MANIFEST).is_file()]
        return sorted(names, key=_place)

    def first(self) -> tuple[str, str]:
        """The dataset and variant that are shown first.

        Raises:
            SettingsError: the home has none; says what makes one.
        """
        for dataset, variants in self.available().items():
            return dataset, variants[0]
        raise SettingsError(
            f"{self.home.root}: no trained model with its catalogue; `make full_eval` makes them "
            "(a quarter of an hour on 2 cores), or name another home with --home or EICLIP_HOME"
        )

    def get(self, dataset: str, variant: str) -> Opened:
        """The engine of a dataset and variant, opened and warmed where it is not yet.

        Raises:
            NotThereError: there is no such dataset or variant.
            EiclipError: it cannot be opened.
        """
        key = (dataset, variant)
        with self._lock:
            if key in self._open:
                self._open.move_to_end(key)
                return self._open[key]
        self._check(dataset, variant)
        with self._lock:
            own = self._locks.setdefault(key, threading.Lock())
        with own:
            if key not in self._open:
                opened = self._opened(dataset, variant)
                with self._lock:
                    self._open[key] = opened
                    while len(self._open) > MOST_OPEN:
                        self._open.popitem(last=False)
                return opened
            return self._open[key]

    def photo(self, dataset: str, product_id: str) -> bytes:
        """JPEG bytes of a product's first photo.

        Raises:
            NotThereError: there is no such dataset, or no photo of that product.
            CorruptOutputError: the shards are missing or cut.
        """
        shelf = self._shelves.get(dataset)
        if shelf is None:
            self._check(dataset)
            shelf = self._shelves.setdefault(dataset, PhotoShelf(self.home.shards(dataset)))
        try:
            return shelf.photo(product_id)
        except SettingsError as error:  # it names the folder, which is no business of a browser's
            raise NotThereError(f"no photo of product {product_id[:100]!r}") from error

    def _check(self, dataset: str, variant: str | None = None) -> None:
        available = self.available()
        if dataset not in available:
            raise NotThereError(f"no dataset {dataset[:100]!r}: there are {', '.join(available) or 'none'}")
        if variant is not None and variant not in available[dataset]:
            raise NotThereError(f"no variant {variant[:100]!r} of {dataset}: there are {', '.join(available[dataset])}")

    def _opened(self, dataset: str, variant: str) -> Opened:
        from eiclip.search import SearchEngine

        start = time.perf_counter()
        made = self.home.lake.path(VIEWS_TABLE, dataset, variant), kept_views(self.home.root, dataset, variant)
        if any(path.is_file() for path in made):
            opened = Opened(SearchEngine.open(self.home.root, dataset, variant, self.device))
        else:
            LOG.info("%s, %s: embedding every product; once, it takes minutes", dataset, variant)
            with _Heartbeat(f"{dataset}, {variant}: still embedding"):
                opened = Opened(SearchEngine.open(self.home.root, dataset, variant, self.device))
        opened.warm()
        try:
            self.photo(dataset, opened.engine.index.product_ids[0])  # reads the indexes of the shards
        except EiclipError as error:  # of that product alone, or of all: either way search works without
            LOG.warning("photos of %s: %s", dataset, error)
        seconds = time.perf_counter() - start
        LOG.info("%s, %s: %s products, ready after %.1f s", dataset, variant, f"{len(opened.engine.index):,}", seconds)
        return opened


def _place(variant: str) -> int:
    return PREFERRED.index(variant) if variant in PREFERRED else len(PREFERRED)


class _Heartbeat:
    """A line now and then while something long is done."""

    def __init__(self, what: str) -> None:
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._say, args=(what,), daemon=True)

    def _say(self, what: str) -> None:
        start = time.perf_counter()
        while not self._done.wait(HEARTBEAT):
            LOG.info("%s, %.0f s", what, time.perf_counter() - start)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
