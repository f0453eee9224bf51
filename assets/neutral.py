"""A dataset's shards and tables with neutral brand names: what `ablation_ambiguity` trains on beside the real ones."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from assets.common import Project
from assets.outputs import Given, Maker, Output
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

        return names_of(pq.read_table(self.project.paths.lake.path("tagged_entities", self.name)), self.group)

    @property
    def group(self) -> str:
        """The entity group whose names are made up."""
        return self.project.datasets()[self.name].brand_group

    def outputs(self) -> list[Output]:
        """Return them in the order in which they can be made."""
        names, tagged = {"group": self.group, "names": self.names}, self.table("tagged_entities")

        def output(name: str, place: Path, make: Maker, source: str, **given: Any) -> Output:
            return Output((self.name, name, "neutral"), make=make, sources=(source,), place=place, **given)

        return [
            *(output(table, self.table(table), _rename, table, settings=names) for table in RENAMED),
            # Counted again: a brand that shared its name with an entity of another group no longer does.
            output(
                PRIOR,
                self.table(PRIOR),
                _count,
                PRODUCTS,
                external={"tagged_entities": lambda: content_digest(tagged)},
                subject=tagged,
                uses=("eiclip.storage.lake:Lake",),
                queries=(f"entities/{PRIOR}",),
            ),
            output("shards", self.shards, _rename_shards, "shards", settings=names),
        ]

    def make(self) -> None:
        """Make what is not there, or not as it would be."""
        for output in self.outputs():
            output.make_once(self.project)


def _rename(given: Given) -> tuple[pa.Table, Mapping[str, Any]]:
    """Rename it as it is and do not make it again: ids stay, and with them all that row 5 sees of a brand."""
    from eiclip.studies.neutral import renamed_table

    names = given.parameters["names"]
    return renamed_table(given.table(given.of.sources[0]), **given.parameters), {"brands": len(names)}


def _count(given: Given) -> Mapping[str, Any]:
    files = {"tagged_entities": [given.of.subject], PRODUCTS: given.files(PRODUCTS)}
    rows = given.project.paths.lake.query(f"entities/{PRIOR}", given.output, files, {"dataset": given.dataset})
    return {"rows": rows}


def _rename_shards(given: Given) -> Mapping[str, Any]:
    from eiclip.studies.neutral import renamed_shards

    manifest = renamed_shards(given.path("shards"), given.output, **given.parameters)
    return {"samples": manifest["samples"]}
