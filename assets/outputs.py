"""What an output is: declared once, made the same way whoever asks. `pipelines.factory` makes Dagster assets of it.

An `Output` names what it is made by (a query of `sql/`, or a function), from which others and with which parameters.
The function is handed a `Given`: the declared sources and parameters, and where to write; a source that is not
declared is refused. So what it comes to depends on what is recorded, and on code whose version is computed from there.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from assets.common import Project
from assets.sources import Key, key_of, known_content, source_content, source_files
from eiclip.settings.load import DatasetSettings
from eiclip.storage.cache import CachedOutput, Inputs, make_once, why_stale
from eiclip.storage.code_version import CodeVersion, code_version
from eiclip.storage.lake import open_views
from eiclip.storage.lock import exclusive
from eiclip.storage.sql import header, read_sql

WRITERS = ("eiclip.storage.lake:Lake",)
"""What every table is written by."""
FOLDERS = frozenset({"raw_files", "shards", "features", "checkpoint", "pretrained"})
"""Outputs that are no tables."""


@dataclass(frozen=True)
class Check:
    """An asset check: `sql/checks/<name>.sql` selects the offenders, or `holds` looks at the output's facts.

    What it finds wanting is in the run's log, in a sentence.
    """

    name: str
    description: str
    reads: tuple[str, ...] = ()
    """Tables of the dataset that the query reads beside the output."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    holds: Callable[[CachedOutput, Path], tuple[bool, dict[str, Any]]] | None = None
    summary: Callable[[], tuple[bool, str, dict[str, Any]]] | None = None
    """In place of both: looks at what was made by itself, and says in a sentence what it found."""
    says: bool = False
    """Whether the query's rows are sentences for people."""
    blocking: bool = True
    """Whether nothing is made of an output that does not pass it; False: it is a warning."""

    def result(self, project: Project, key: Key, made: Any, place: Path) -> tuple[bool, str, dict[str, Any]]:
        """Whether it holds, a sentence about that, and what else people want to see of it."""
        if self.summary is not None:
            return self.summary()
        if self.holds is not None:
            passed, facts = self.holds(made, place)
            return passed, "" if passed else str(facts.get("message") or f"failed: {self.description}"), facts
        lake = project.paths.lake
        with duckdb.connect() as connection:
            open_views(connection, {t: lake.files(t, key[0]) for t in self.reads} | {key[1]: [place]})
            found = connection.sql(read_sql(f"checks/{self.name}"), params=dict(self.parameters) or None).fetchall()
        examples = [", ".join(map(str, row)) for row in found[:5]]
        said = ("" if self.says else f"failed: {self.description} ") + "; ".join(examples[:2])
        return not found, said if found else "", {"offenders": len(found), "examples": examples}


@dataclass(frozen=True)
class Table:
    """An output as Dagster shows it: an asset of its own."""

    key: Key
    description: str = ""
    """Without one: the header of the query, or the docstring of the function, that makes it."""
    kinds: frozenset[str] = frozenset()
    """Without any: `parquet`, and `duckdb` where a query makes it."""
    checks: tuple[Check, ...] = ()
    shown: Mapping[str, str] = field(default_factory=dict)
    """Metadata: name -> `module:function` of the catalogue's connection and the dataset, which gives a plot, a text
    or numbers by name; or a table of the report's templates (`gates.by_group`). What both are given
    besides stands in brackets.
    """


@dataclass(frozen=True)
class Output(Table):
    """An output, and all that decides its content."""

    make: "str | Maker" = ""
    """A query of `sql/`, or a function at the top level of a module."""
    sources: tuple[str, ...] = ()
    """What it is made from: tables of the dataset, `shards`, `checkpoint/<variant>`, ...; or `general/...`."""
    as_is: tuple[str, ...] = ()
    """Those of its sources that are taken as they lie there, such as a model trained on earlier shards: it is not made
    again because they would be, and where one is not there it is left out of a run.
    """
    files_of: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Where a query knows its sources under another name: that name, and the sources under it."""
    optional: tuple[str, ...] = ()
    """Tables it reads as far as they are there, in all their parts."""
    settings: Mapping[str, Any] | Callable[[], Mapping[str, Any]] = field(default_factory=dict)
    """Settings it depends on: what a query takes, and what a function finds in `Given.parameters`. Those that take a
    model library to find out are found out when they are needed, by a function.
    """
    external: Mapping[str, Callable[[], Any]] = field(default_factory=dict)
    """What it is made from that is no output, by name: files of the user's, and what tells one state from another."""
    uses: tuple[str, ...] = ()
    """Functions (`module:name`) it depends on besides."""
    queries: tuple[str, ...] = ()
    """Queries of `sql/` it depends on besides."""
    code_of: tuple[str, ...] = ()
    """Functions it depends on in place of `make`, which only has them run, in a process of their own."""
    after: tuple[str, ...] = ()
    """Assets it comes after in the graph, where these are not its sources."""
    also: tuple[Table, ...] = ()
    """Tables written with it that are assets of their own."""
    beside: tuple[Path, ...] = ()
    """Files written with it that are none."""
    published: tuple[str, ...] = ()
    """Tables of which `publish` writes the part that is named as the last of its key."""
    place: Path | None = None
    """Where it lies, if not where its key says."""
    inputs: Callable[[], Inputs] | None = None
    """What it is made from, where that is not its sources as a whole: some rows of a table, or a training's job."""
    subject: Any = None
    """What its function works on, where that is an object made from the settings: a training, a study."""
    alone: Path | None = None
    """A lock file, where several runs may come to make it at once: one waits for the other."""
    first: Callable[[], None] | None = None
    """Called before anything else where it may be made: it brings what the inputs look at."""
    publish: "Callable[[Given], None] | None" = None
    """Called whenever it is there, made or reused."""

    @property
    def dataset(self) -> str:
        """The first part of the key."""
        return self.key[0]

    @property
    def tables(self) -> tuple[Table, ...]:
        """All assets that are made with it, itself first."""
        return (self, *self.also)

    @property
    def writes(self) -> tuple[Key, ...]:
        """Every table, or part of one, that is written with it."""
        return (*(table.key for table in self.tables), *((self.dataset, name, self.key[-1]) for name in self.published))

    def showing(self, **functions: str) -> "Output":
        """The same, with more to show."""
        return replace(self, shown=functions)

    def at(self, project: Project) -> Path:
        """Where it lies."""
        return self.place or project.paths.place(self.key)

    def upstream(self, *, followed: bool = False) -> list[Key]:
        """The assets it comes after in the graph; `followed`: those alone whose staleness is its own."""
        left_out = self.as_is if followed else ()
        sources = (source for source in self.after or self.sources if source not in left_out)
        return list(dict.fromkeys(key_of(self.dataset, source) for source in sources))

    def is_possible(self, project: Project) -> bool:
        """Whether the sources that are taken as they are are there."""
        return all(file.exists() for source in self.as_is for file in source_files(project, self.dataset, source))

    @cached_property
    def parameters(self) -> Mapping[str, Any]:
        """Its settings, by name."""
        return self.settings() if callable(self.settings) else self.settings

    @cached_property
    def code(self) -> CodeVersion:
        """Version of the code that decides its content."""
        return code_version(*self.made_by)

    @property
    def made_by(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The functions and the queries that its code's version is computed from."""
        written = (*(() if self.is_folder else WRITERS), *self.uses)
        if isinstance(self.make, str):
            return written, (self.make, *self.queries)
        functions = self.code_of or (f"{self.make.__module__}:{self.make.__qualname__}",)
        return (*functions, *written), self.queries

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder or a page, and no table."""
        return self.place.suffix != ".parquet" if self.place else self.key[1] in FOLDERS

    def made_from(self, project: Project) -> Inputs:
        """Everything that decides its content, as its record holds it.

        Raises:
            CorruptOutputError: a source is not there.
            RawDataError, SettingsError: the raw files cannot be looked at.
        """
        if self.inputs is not None:
            return self.inputs()
        sources: dict[str, Any] = {source: source_content(project, self.dataset, source) for source in self.sources}
        lake = project.paths.lake
        for table in self.optional:
            sources[table] = {file.stem: known_content(file) for file in lake.files(table, self.dataset)}
        sources |= {name: look() for name, look in self.external.items()}
        return {"code": self.code, "parameters": self.parameters, "sources": sources}

    def why_stale(self, project: Project) -> str | None:
        """Why the next run would make it again; None: it would be reused."""
        inputs = self.made_from(project)
        places = [self.at(project), *self.beside, *(project.paths.place(table.key) for table in self.also)]
        return next((reason for place in places if (reason := why_stale(place, inputs))), None)

    def make_once(self, project: Project, context: Any = None, trainer: Any = None) -> CachedOutput:
        """Make it, unless it is as it would be."""
        if self.alone is None:
            return self._make_once(project, context, trainer)
        with exclusive(self.alone):
            return self._make_once(project, context, trainer)

    def _make_once(self, project: Project, context: Any, trainer: Any) -> CachedOutput:
        if self.first is not None:
            self.first()
        output, inputs = self.at(project), self.made_from(project)
        given = Given(self, project, output, inputs, context, trainer)
        beside = [*self.beside, *(project.paths.place(table.key) for table in self.also)]
        made = make_once(output, inputs, lambda: self._make(project, given), beside=beside)
        if self.publish is not None:
            self.publish(given)
        return made

    def _make(self, project: Project, given: "Given") -> Mapping[str, Any]:
        lake = project.paths.lake
        if isinstance(self.make, str):
            known = self.files_of or {source: (source,) for source in self.sources}
            files = {view: [file for one in sources for file in given.files(one)] for view, sources in known.items()}
            return {"rows": lake.query(self.make, given.output, files, self.parameters)}
        made = self.make(given)
        rows, facts = made if isinstance(made, tuple) else (made, {})
        if not isinstance(rows, pa.Table):
            return rows
        lake.write_file(rows, given.output)
        return {"rows": rows.num_rows} | facts


@dataclass(frozen=True)
class Given:
    """What a function that makes an output is handed."""

    of: Output
    project: Project
    output: Path
    """Where to write; a table is returned instead."""
    inputs: Inputs
    """What it is made from, as recorded."""
    context: Any
    """Of the Dagster step, for trainers; None elsewhere."""
    trainer: Any

    @property
    def dataset(self) -> str:
        """Name of the dataset."""
        return self.of.dataset

    @property
    def parameters(self) -> Mapping[str, Any]:
        """As declared."""
        return self.of.parameters

    @property
    def device(self) -> str:
        """Where a model is to run, with this step's share of threads."""
        return self.project.step_device()

    def files(self, source: str) -> list[Path]:
        """The files of a declared source."""
        if source not in (*self.of.sources, *self.of.optional, *itertools.chain(*self.of.files_of.values())):
            raise KeyError(f"{'/'.join(self.of.key)} does not declare {source!r} as a source")
        return source_files(self.project, self.dataset, source)

    def path(self, source: str) -> Path:
        """The one file or the folder of a declared source."""
        [file] = self.files(source)
        return file

    @property
    def entry(self) -> DatasetSettings:
        """The dataset's entry of the settings, to open its raw files with: what it decides is among the parameters."""
        return self.project.datasets()[self.dataset]

    def table(self, source: str, columns: Sequence[str] | None = None, filters: Any = None) -> pa.Table:
        """A declared source's rows."""
        names = None if columns is None else list(columns)
        read = [pq.read_table(f, columns=names, filters=filters, partitioning=None) for f in self.files(source)]
        return pa.concat_tables(read)

    def beside(self, number: int = 0) -> Path:
        """Where a file goes that is written with the output."""
        return self.of.beside[number]

    def place(self, table: str) -> Path:
        """Where a table goes that is written with the output."""
        return self.project.paths.place((self.dataset, table))


Maker = Callable[[Given], "pa.Table | tuple[pa.Table, Mapping[str, Any]] | Mapping[str, Any]"]
"""Makes an output: returns its rows (and facts), or writes it, whole or not at all, and returns facts."""


def described(table: Table) -> str:
    """An asset's description: its own, or what its query or function says of itself."""
    made_by = table.make if isinstance(table, Output) else None
    if table.description or not made_by:
        return table.description
    if isinstance(made_by, str):
        return header(made_by).markdown
    return (made_by.__doc__ or "").strip()


def kinds_of(table: Table) -> set[str]:
    """What an asset is made with, as its tags in the UI."""
    made_by_query = isinstance(table, Output) and isinstance(table.make, str)
    return set(table.kinds) or {"parquet"} | ({"duckdb"} if made_by_query else set())
