"""A dataset's shards and tables with neutral brand names: what `ablation_ambiguity` trains on beside the real ones."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from assets.common import Project
from assets.outputs import Given, Output
from eiclip.storage.cache import content_digest

RENAMED = ("tagged_entities", "entity_vocabulary")
PRIOR, PRODUCTS = "semantic_prior", "products"


@dataclass(frozen=True)
class Neutral:
    """Where they lie, and how they are made."""

    project: Project
    name: str
    folder: Path

    @property
    def shards(self) -> Path:
        """The shards, with the photos of the real ones."""
        return self.folder / "shards"

    def table(self, table: str) -> Path:
        """A table that training reads, or that one is counted from."""
        return self.folder / f"{table}.parquet"

    @functools.cached_property
    def names(self) -> dict[str, str]:
        """The made-up name of each brand."""
        from eiclip.studies.neutral import names_of

        return names_of(pq.read_table(self.project.paths.lake.path("tagged_entities", self.name)))

    def outputs(self) -> list[Output]:
        """In the order in which they can be made."""
        names = {"names": self.names}
        renamed = [
            Output(
                (self.name, table, "neutral"), make=_rename, sources=(table,), settings=names, place=self.table(table)
            )
            for table in RENAMED
        ]
        # Counted again: a brand that shared its name with an entity of another group no longer does.
        tagged = self.table("tagged_entities")
        prior = Output(
            (self.name, PRIOR, "neutral"),
            make=_count,
            sources=(PRODUCTS,),
            external={"tagged_entities": lambda: content_digest(tagged)},
            place=self.table(PRIOR),
            subject=tagged,
            uses=("eiclip.storage.lake:Lake",),
            queries=(f"entities/{PRIOR}",),
        )
        shards = Output(
            (self.name, "shards", "neutral"),
            make=_rename_shards,
            sources=("shards",),
            settings=names,
            place=self.shards,
        )
        return [*renamed, prior, shards]

    def make(self) -> None:
        """Make what is not there, or not as it would be."""
        for output in self.outputs():
            output.make_once(self.project)


def _rename(given: Given) -> tuple[pa.Table, Mapping[str, Any]]:
    """Renamed as it is and not drawn up again: ids stay, and with them all that row 5 sees of a brand."""
    from eiclip.studies.neutral import renamed_table

    names = given.parameters["names"]
    return renamed_table(given.table(given.of.sources[0]), names), {"brands": len(names)}


def _count(given: Given) -> Mapping[str, Any]:
    files = {"tagged_entities": [given.of.subject], PRODUCTS: given.files(PRODUCTS)}
    return {
        "rows": given.project.paths.lake.query(f"entities/{PRIOR}", given.output, files, {"dataset": given.dataset})
    }


def _rename_shards(given: Given) -> Mapping[str, Any]:
    from eiclip.studies.neutral import renamed_shards

    manifest = renamed_shards(given.path("shards"), given.output, given.parameters["names"])
    return {"samples": manifest["samples"]}
