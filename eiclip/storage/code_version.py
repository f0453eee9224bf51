"""The version of the code that makes an output, computed from the source: nobody keeps a list of modules.

From a function (`"eiclip.train.loop:train"`) every name it uses is followed, within its module and through imports,
to functions, classes and constants of this project, and from those on. What is reached is compared as syntax trees
without docstrings, comments, the annotations of functions, and the places where code lies, together with the SQL files
that `read_sql` is called with there, the files beside a module that uses `__file__`, and the versions of the
third-party packages in use. A class counts whole, and annotations are followed: which methods are called is only known
when the code runs. `NEUTRAL` and `NEUTRAL_PACKAGES` list what cannot change a result.

Code is read, not imported: a version takes no model library. It is of the files as they were when first read, which a
process does before it makes anything; `CodeVersion.edited` names those that have changed since.
"""

import functools
import hashlib
import platform
import sysconfig
from collections.abc import Sequence
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
    "assets.current": "which outputs are as they would be made now: what leaves some out records which",
    "assets.common": "the settings, whose values outputs record, and where things lie",
    "assets.sources": "where sources lie, and what identifies them",
    "assets.outputs": "hands an output's sources and parameters to what makes it",
    "assets.steps": "which outputs are made in one step",
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
    "psutil": "ends processes",
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
    """A version, and what it is of, so that a difference can be named."""

    digest: str
    files: dict[str, str]
    """Digest of what is reached in each source, SQL or other file, by its path in the project."""
    packages: dict[str, str]
    """Version of each third-party distribution, and of Python."""
    stamps: dict[Path, tuple[int, int]] = field(compare=False, repr=False, default_factory=dict)
    roots: tuple[tuple[str, ...], tuple[str, ...]] = field(compare=False, repr=False, default=((), ()))
    """The functions (`module:name`) and queries that it is of."""

    def recorded(self) -> dict[str, Any]:
        """Return the version as an output's record holds it."""
        return {"version": self.digest, "files": self.files, "packages": self.packages}

    def edited(self) -> list[str]:
        """Return files that have changed on disk since the version was computed, if with them it would be another."""
        touched = [path for path, stamp in self.stamps.items() if stamp_of(path) != stamp]
        if not touched:
            return []
        known = dict(MODULES)  # what is known of the loaded code stays
        try:
            for name in [name for name, module in known.items() if module.path in touched]:
                del MODULES[name]
            _file_digest.cache_clear()
            if code_version.__wrapped__(*self.roots).digest == self.digest:
                return []
        except (EiclipError, SyntaxError, KeyError):
            pass  # it cannot be computed now; a KeyError: something used elsewhere is no longer there
        finally:
            MODULES.clear()
            MODULES.update(known)
        return [path.relative_to(definitions.PROJECT).as_posix() for path in touched]


@functools.cache
def code_version(roots: tuple[str, ...], queries: tuple[str, ...] = ()) -> CodeVersion:
    """Return the version of the code reached from functions (`module:name`) and of queries (`sql/<query>.sql`).

    Raises:
        EiclipError: there is no such function or query, or code names a query in a way that cannot be followed.
    """
    reached = _reached(roots)
    numbers = {symbol: number for number, symbol in enumerate(reached)}
    whole, by_file = hashlib.sha256(), dict[Path, Any]()
    packages: set[str] = set()
    others = {definitions.SQL / f"{query}.sql": None for query in queries}
    for symbol, source in reached.items():
        targets = [(name, numbers.get(target, str(target))) for name, target in source.targets]
        whole.update(repr((source.text, targets)).encode())
        by_file.setdefault(source.path, hashlib.sha256()).update(repr((symbol[1], source.text)).encode())
        packages |= source.packages
        others |= source.files
    texts = {path: _file_digest(path) for path in others}
    used = {name for package in packages - NEUTRAL_PACKAGES.keys() for name in DISTRIBUTIONS.get(package, (package,))}
    used |= {"duckdb"} if any(path.suffix == ".sql" for path in texts) else set()
    versions = {"python": ".".join(platform.python_version_tuple()[:2]), **{n: _installed(n) for n in sorted(used)}}
    whole.update(repr((sorted((path.name, text) for path, text in texts.items()), versions)).encode())
    files = {path: found.hexdigest()[:16] for path, found in by_file.items()} | texts
    named = {path.relative_to(definitions.PROJECT).as_posix(): found for path, found in sorted(files.items())}
    read = {module.path: module.stamp for module in MODULES.values()}
    stamps = {path: read.get(path) or stamp_of(path) for path in files}
    return CodeVersion(whole.hexdigest()[:16], named, versions, stamps, (roots, queries))


def _reached(roots: Sequence[str]) -> dict[Symbol, Source]:
    """Return every definition reached, in an order that depends on the code alone."""
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
        defined_in = module_of(symbol[0])
        source = found[symbol] = defined_in.source(symbol[1])
        waiting += [target for _, target in reversed(source.targets)]
        if symbol[1] and defined_in.effects:
            waiting.append((symbol[0], ""))
    return found


def installation() -> str:
    """Return a stamp of the project's files and the installed packages: while it stays, so does every version.

    It takes milliseconds, where a version takes half a second, and changes more often.
    """
    files = sorted(f for room in ("eiclip", "sql") for f in (definitions.PROJECT / room).rglob("*") if f.is_file())
    stamps = [(str(file), *stamp_of(file)) for file in files if file.suffix in (".py", ".sql")]
    return digest_of(repr((Path(sysconfig.get_path("purelib")).stat().st_mtime_ns, stamps)).encode())


def forget(path: Path) -> None:
    """Read a file anew the next time a version is computed: for code that changes code as it runs."""
    code_version.cache_clear()
    for name in [name for name, module in MODULES.items() if module.path == path]:
        del MODULES[name]


@functools.cache
def _installed(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "not installed"


@functools.cache
def _file_digest(path: Path) -> str:
    """Return the digest of a file that code reads; of a query without the lines that are comments."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise EiclipError(f"{path}: {error.strerror}, and code names it as a query") from error
    if path.suffix == ".sql":
        lines = (line for line in content.splitlines() if line.strip() and not line.lstrip().startswith(b"--"))
        content = b"\n".join(lines)
    return digest_of(content)
