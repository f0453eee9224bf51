"""The version of the code that makes an output, computed from the source: nobody keeps a list of modules.

From a function (`"eiclip.train.loop:train"`) every name it uses is followed, within its module and through imports,
to functions, classes and constants of this project, and from those on. What is reached is compared as syntax trees
without docstrings, comments and the annotations of functions, together with the SQL files that `read_sql` is called
with there, the files beside a module that uses `__file__`, and the versions of the third-party packages in use.

- A class counts whole: which of its methods is called cannot be told without running the code.
- Annotations are followed (an argument's methods may be called), though not compared.
- The places where code lies are not compared: a function that moves to another module is the same function.
- `NEUTRAL` lists what cannot change a result; `NEUTRAL_PACKAGES` does so for packages.

Code is read, not imported: a version takes no model library. It is of the files as they were when first read, which a
process does before it makes anything; `CodeVersion.edited` tells whether they have changed since.
"""

import functools
import hashlib
import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from eiclip.errors import EiclipError
from eiclip.storage import definitions
from eiclip.storage.definitions import MODULES, Source, Symbol, digest_of, module_of, names, stamp_of

NEUTRAL = {
    "eiclip.errors": "classes and texts of errors: what ends in one is not written",
    "eiclip.storage.lock": "who may write",
    "eiclip.system.processes": "ends processes",
    "eiclip.system.memory": "the allocator's settings",
    "eiclip.storage.home": "where things lie: what lies elsewhere is made there",
    "eiclip.settings.load": "values, which each output records",
    "eiclip.settings.training": "values, which each training records",
    "eiclip.settings.same_style": "values, which mining records",
    "eiclip.storage.cache": "when to make an output, not how",
    "eiclip.storage.code_version": "when to make an output, not how",
    "eiclip.storage.definitions": "when to make an output, not how",
    "assets.common": "the settings, whose values outputs record, and where things lie",
    "assets.sources": "where sources lie, and what identifies them",
    "assets.outputs": "hands an output's sources and parameters to what makes it",
    "pipelines.factory": "declares outputs to Dagster",
}
"""Modules that cannot change a result, each with the reason; the proof is `make cache_test`."""

NEUTRAL_PACKAGES = {
    "dagster": "runs steps",
    "dagster_pipes": "passes messages",
    "filelock": "who may write",
    "fsspec": "copies bytes, whose stamps are recorded",
    "httpcore": "copies bytes",
    "httpx": "copies bytes",
    "pydantic": "reads settings, whose values are recorded",
    "pydantic_settings": "reads settings, whose values are recorded",
}
"""Third-party packages that cannot change a result, each with the reason."""

DISTRIBUTIONS = {
    "PIL": ("pillow",),
    "imagehash": ("imagehash", "pillow", "numpy", "scipy"),
    "open_clip": ("open_clip_torch", "torch", "torchvision", "timm", "ftfy", "regex"),
}
"""Distributions whose versions stand for an imported package, where they are not one of its own name."""


@dataclass(frozen=True)
class CodeVersion:
    """A version, and what it is of, so that a difference can be told."""

    digest: str
    files: dict[str, str]
    """Digest of what is reached in each source, SQL or other file, by its path in the project."""
    packages: dict[str, str]
    """Version of each third-party distribution, and of Python."""
    stamps: dict[Path, tuple[int, int]] = field(compare=False, repr=False, default_factory=dict)
    roots: tuple[tuple[str, ...], tuple[str, ...]] = field(compare=False, repr=False, default=((), ()))

    def recorded(self) -> dict[str, Any]:
        """The version as an output's record holds it."""
        return {"version": self.digest, "files": self.files, "packages": self.packages}

    def edited(self) -> list[str]:
        """Files that have changed on disk since the version was computed, if with them it would be another version."""
        touched = [path for path, stamp in self.stamps.items() if stamp_of(path) != stamp]
        if not touched or _as_on_disk(self.roots, touched) == self.digest:
            return []
        return [path.relative_to(definitions.PROJECT).as_posix() for path in touched]


def code_version(roots: Sequence[str], queries: Sequence[str] = ()) -> CodeVersion:
    """Version of the code reached from functions (`module:name`) and of queries (`sql/<query>.sql`).

    Raises:
        EiclipError: there is no such function or query, or code names a query in a way that cannot be followed.
    """
    return _version(tuple(roots), tuple(queries))


@functools.cache
def _version(roots: tuple[str, ...], queries: tuple[str, ...]) -> CodeVersion:
    reached = _reached(roots)
    numbers = {symbol: number for number, symbol in enumerate(reached)}
    whole, by_file = hashlib.sha256(), dict[Path, Any]()
    packages: set[str] = set()
    sql = {definitions.SQL / f"{query}.sql": None for query in queries}
    beside: dict[Path, None] = {}
    for symbol, source in reached.items():
        targets = [(name, numbers.get(target, str(target))) for name, target in source.targets]
        whole.update(repr((source.text, targets)).encode())
        by_file.setdefault(source.path, hashlib.sha256()).update(repr((symbol[1], source.text)).encode())
        packages |= source.packages
        sql |= dict.fromkeys(source.queries)
        beside |= dict.fromkeys(source.beside)
    texts = {path: _sql_digest(path) for path in sql} | {path: digest_of(path.read_bytes()) for path in beside}
    files = {path: found.hexdigest()[:16] for path, found in by_file.items()} | texts
    versions = dict(_versions(packages, bool(sql)))
    whole.update(repr((sorted((path.name, text) for path, text in texts.items()), versions)).encode())
    named = {path.relative_to(definitions.PROJECT).as_posix(): found for path, found in sorted(files.items())}
    read = {module.path: module.stamp for module in MODULES.values()}
    stamps = {path: read.get(path) or stamp_of(path) for path in files}
    return CodeVersion(whole.hexdigest()[:16], named, versions, stamps, (roots, queries))


def forget(path: Path) -> None:
    """Read a file anew the next time a version is computed: for who changes code as it runs."""
    _version.cache_clear()
    for name in [name for name, module in MODULES.items() if module.path == path]:
        del MODULES[name]


def _as_on_disk(roots: tuple[tuple[str, ...], tuple[str, ...]], touched: Sequence[Path]) -> str:
    """The version as it would be computed now; what is known of the code as it was loaded stays."""
    known = dict(MODULES)
    try:
        for name in [name for name, module in known.items() if module.path in touched]:
            del MODULES[name]
        _sql_digest.cache_clear()
        return _version.__wrapped__(*roots).digest
    except (EiclipError, SyntaxError, KeyError):  # a KeyError: something used elsewhere is no longer there
        return ""
    finally:
        MODULES.clear()
        MODULES.update(known)


def _reached(roots: Sequence[str]) -> dict[Symbol, Source]:
    """Every definition reached, in an order that depends on the code alone."""
    found: dict[Symbol, Source] = {}
    waiting: list[Symbol] = []
    for root in reversed(roots):
        module, _, name = root.partition(":")
        symbol = module_of(module).find(name)
        if symbol is None or symbol[0] not in names():
            raise EiclipError(f"{root}: no such function to take the version of")
        waiting.append(symbol)
    while waiting:
        symbol = waiting.pop()
        if symbol in found or symbol[0] in NEUTRAL:
            continue
        source = found[symbol] = module_of(symbol[0]).source(symbol[1])
        waiting += [target for _, target in reversed(source.targets)]
        if symbol[1] and module_of(symbol[0]).effects:
            waiting.append((symbol[0], ""))
    return found


def _versions(imported_packages: set[str], reads_sql: bool) -> Iterator[tuple[str, str]]:
    yield "python", ".".join(platform.python_version_tuple()[:2])
    found: set[str] = {"duckdb"} if reads_sql else set()
    for package in imported_packages - NEUTRAL_PACKAGES.keys():
        found |= set(DISTRIBUTIONS.get(package, (package,)))
    for name in sorted(found):
        yield name, _installed(name)


@functools.cache
def _installed(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "not installed"


@functools.cache
def _sql_digest(path: Path) -> str:
    """Digest of a query without the lines that are comments."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise EiclipError(f"{path}: {error.strerror}, and code names it as a query") from error
    return digest_of("\n".join(line for line in lines if line.strip() and not line.lstrip().startswith("--")).encode())
