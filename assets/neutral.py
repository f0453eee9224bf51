"""A dataset's shards and tables with neutral brand names: what `ablation_ambiguity` trains on beside the real ones."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from assets.common import House
from assets.shards import WRITERS
from eiclip.files import source_version, whole_file
from eiclip.storage.sql import read_sql
from eiclip.storage.cache import content_of, make_once

RENAMED = ("tagged_entities", "entity_vocabulary")
PRIOR, PRODUCTS = "semantic_prior", "products"


@dataclass(frozen=True)
class Neutral:
    """Where they lie, and how they are made."""

    house: House
    name: str
    folder: Path

    @property
    def shards(self) -> Path:
        """The shards, with the photos of the real ones."""
        return self.folder / "shards"

    def table(self, table: str) -> Path:
        """A table that training reads, or that one is counted from."""
        return self.folder / f"{table}.parquet"

    def _real(self, table: str) -> Path:
        return self.house.home.lake.path(table, self.name)

    @functools.cached_property
    def names(self) -> dict[str, str]:
        """The made-up name of each brand."""
        from eiclip.ablations.neutral import names_of

        return names_of(pq.read_table(self._real("tagged_entities")))

    def make(self) -> None:
        """Make what is not there, or not as it would be."""
        for table in RENAMED:
            self._once(self.table(table), self._real(table), functools.partial(self._rename, table))
        sources = [self.table("tagged_entities"), self._real(PRODUCTS)]
        inputs = {"sql": read_sql(PRIOR), "sources": [content_of(source) for source in sources]}
        make_once(self.table(PRIOR), inputs, self._count)
        self._once(self.shards, self.house.home.shards(self.name), self._rename_shards)

    def _once(self, output: Path, source: Path, make: Callable[[], dict[str, Any]]) -> None:
        code = source_version("eiclip.ablations.neutral", *WRITERS)
        make_once(output, {"code": code, "names": self.names, "source": content_of(source)}, make)

    def _rename(self, table: str) -> dict[str, Any]:
        """Renamed as it is and not drawn up again: ids stay, and with them all that row 5 sees of a brand."""
        from eiclip.ablations.neutral import renamed_table

        with whole_file(self.table(table)) as temporary:
            rows = renamed_table(pq.read_table(self._real(table)), self.names)
            pq.write_table(rows, temporary, compression="zstd")
        return {"brands": len(self.names)}

    def _count(self) -> dict[str, Any]:
        """Counted again: a brand that shared its name with an entity of another group no longer does."""
        files = {"tagged_entities": [self.table("tagged_entities")], PRODUCTS: [self._real(PRODUCTS)]}
        return {"rows": self.house.home.lake.query(PRIOR, self.table(PRIOR), files, {"dataset": self.name})}

    def _rename_shards(self) -> dict[str, Any]:
        from eiclip.ablations.neutral import renamed_shards

        manifest = renamed_shards(self.house.home.shards(self.name), self.shards, self.names)
        return {"samples": manifest["samples"]}
