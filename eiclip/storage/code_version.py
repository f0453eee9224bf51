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

import ast
import functools
import hashlib
import platform
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from eiclip.errors import EiclipError

PROJECT = Path(__file__).resolve().parents[2]
PACKAGES = ("eiclip", "assets", "pipelines")
"""The packages of this project."""

NEUTRAL = {
    "eiclip.errors": "classes and texts of errors: what ends in one is not written",
    "eiclip.lock": "who may write",
    "eiclip.lifeline": "ends processes",
    "eiclip.memory": "the allocator's settings",
    "eiclip.home": "where things lie: what lies elsewhere is made there",
    "eiclip.settings": "values, which each output records",
    "eiclip.training_settings": "values, which each training records",
    "eiclip.same_style_settings": "values, which mining records",
    "eiclip.storage.cache": "when to make an output, not how",
    "eiclip.storage.code_version": "when to make an output, not how",
    "assets.common": "the settings, whose values outputs record, and where things lie",
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
    "ahocorasick": ("pyahocorasick",),
    "imagehash": ("imagehash", "pillow", "numpy", "scipy"),
    "open_clip": ("open_clip_torch", "torch", "torchvision", "timm", "ftfy", "regex"),
}
"""Distributions whose versions stand for an imported package, where they are not one of its own name."""

TOLD = {"eiclip.lake", "eiclip.storage.sql"}
"""Modules that are told which query to read, and by whom it is named."""

ANNOTATIONS = {"annotation", "returns", "type_comment"}
SKIPPED = {"ctx", "type_ignores", "type_params", "kind", *ANNOTATIONS}


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
        touched = [path for path, stamp in self.stamps.items() if _stamp(path) != stamp]
        if not touched or _as_on_disk(self.roots, touched) == self.digest:
            return []
        return [path.relative_to(PROJECT).as_posix() for path in touched]


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
    sql = {SQL / f"{query}.sql": None for query in queries}
    beside: dict[Path, None] = {}
    for symbol, source in reached.items():
        targets = [(name, numbers.get(target, str(target))) for name, target in source.targets]
        whole.update(repr((source.text, targets)).encode())
        by_file.setdefault(source.path, hashlib.sha256()).update(repr((symbol[1], source.text)).encode())
        packages |= source.packages
        sql |= dict.fromkeys(source.queries)
        beside |= dict.fromkeys(source.beside)
    texts = {path: _sql_digest(path) for path in sql} | {path: _digest(path.read_bytes()) for path in beside}
    files = {path: found.hexdigest()[:16] for path, found in by_file.items()} | texts
    versions = dict(_versions(packages, bool(sql)))
    whole.update(repr((sorted((path.name, text) for path, text in texts.items()), versions)).encode())
    named = {path.relative_to(PROJECT).as_posix(): found for path, found in sorted(files.items())}
    stamps = {path: _module_stamp(path) for path in files}
    return CodeVersion(whole.hexdigest()[:16], named, versions, stamps, (roots, queries))


def _as_on_disk(roots: tuple[tuple[str, ...], tuple[str, ...]], touched: Sequence[Path]) -> str:
    """The version as it would be computed now; what is known of the code as it was loaded stays."""
    known = dict(_modules)
    try:
        for name in [name for name, module in known.items() if module.path in touched]:
            del _modules[name]
        _sql_digest.cache_clear()
        return _version.__wrapped__(*roots).digest
    except (EiclipError, SyntaxError, KeyError):  # a KeyError: something used elsewhere is no longer there
        return ""
    finally:
        _modules.clear()
        _modules.update(known)


def _module_stamp(path: Path) -> tuple[int, int]:
    """The stamp of a file when it was read, or of one that has no tree now."""
    return next((module.stamp for module in _modules.values() if module.path == path), None) or _stamp(path)


Symbol = tuple[str, str]
"""(module, name of something at its top level); an empty name: what the module does when it is imported."""


@dataclass(frozen=True)
class _Source:
    """One definition of a module: its text to compare, and what it uses."""

    path: Path
    text: str
    targets: tuple[tuple[str, Symbol], ...]
    packages: frozenset[str]
    queries: tuple[Path, ...]
    beside: tuple[Path, ...]


SQL = PROJECT / "sql"


def _reached(roots: Sequence[str]) -> dict[Symbol, _Source]:
    """Every definition reached, in an order that depends on the code alone."""
    found: dict[Symbol, _Source] = {}
    waiting: list[Symbol] = []
    for root in reversed(roots):
        module, _, name = root.partition(":")
        symbol = _module(module).find(name)
        if symbol is None or symbol[0] not in _names():
            raise EiclipError(f"{root}: no such function to take the version of")
        waiting.append(symbol)
    while waiting:
        symbol = waiting.pop()
        if symbol in found or symbol[0] in NEUTRAL:
            continue
        source = found[symbol] = _module(symbol[0]).source(symbol[1])
        waiting += [target for _, target in reversed(source.targets)]
        if symbol[1] and _module(symbol[0]).effects:
            waiting.append((symbol[0], ""))
    return found


@functools.cache
def _names() -> dict[str, Path]:
    """Every module of the project, and its file."""
    found = {}
    for package in PACKAGES:
        for file in (PROJECT / package).rglob("*.py"):
            parts = file.relative_to(PROJECT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


_modules: dict[str, "_Module"] = {}


def _module(name: str) -> "_Module":
    if name not in _modules:
        if name not in _names():
            raise EiclipError(f"{name}: no such module of this project")
        _modules[name] = _Module(name, _names()[name])
    return _modules[name]


def forget(path: Path) -> None:
    """Read a file anew the next time a version is computed: for who changes code as it runs."""
    _version.cache_clear()
    for name in [name for name, module in _modules.items() if module.path == path]:
        del _modules[name]


class _Module:
    """What a module's top level binds, and what its imports mean."""

    def __init__(self, name: str, path: Path) -> None:
        self.name, self.path = name, path
        self.definitions: dict[str, list[ast.stmt]] = {}
        self.imports: dict[str, Symbol] = {}
        self.effects: list[ast.stmt] = []
        self._sources: dict[str, _Source] = {}
        self.stamp = _stamp(path)
        for statement in ast.parse(path.read_bytes()).body:
            self._bind(statement)

    def _bind(self, statement: ast.stmt) -> None:
        if isinstance(statement, (ast.Import, ast.ImportFrom)):
            self.imports |= imported(statement)
        elif isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            self.definitions.setdefault(statement.name, []).append(statement)
        elif isinstance(statement, ast.If) and _is_type_checking(statement.test):
            for inner in statement.body:
                self._bind(inner)
        elif not _is_text(statement):
            stored = [n.id for n in ast.walk(statement) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
            for name in stored:
                self.definitions.setdefault(name, []).append(statement)
            if not isinstance(statement, (ast.Assign, ast.AnnAssign)) or not stored:
                self.effects.append(statement)

    def find(self, name: str) -> Symbol | None:
        """Where a name of this module's top level is defined: here, where it is imported from, or nowhere."""
        if name in self.definitions:
            return self.name, name
        if name in self.imports:
            return resolved(self.imports[name])
        return (f"{self.name}.{name}", "*") if f"{self.name}.{name}" in _names() else None

    def source(self, name: str) -> _Source:
        """The definition of a name; `*`: all of them."""
        if name not in self._sources:
            self._sources[name] = self._read(name)
        return self._sources[name]

    def _read(self, name: str) -> _Source:
        if name == "*":
            targets = tuple((each, (self.name, each)) for each in self.definitions)
            others = tuple((each, found) for each in self.imports if (found := self.find(each)))
            packages = frozenset(t[0] for _, t in others if t[0] not in _names())
            return _Source(self.path, "", (*targets, *(o for o in others if o[1][0] in _names())), packages, (), ())
        reader = _Reader(self)
        for statement in self.definitions[name] if name else self.effects:
            reader.read(statement)
        return reader.source()


def imported(statement: ast.Import | ast.ImportFrom) -> dict[str, Symbol]:
    """What an import binds: by name, (module, "") for a module and (module, name) for a name out of one.

    Raises:
        EiclipError: it is relative, or imports `*`.
    """
    if isinstance(statement, ast.Import):
        return {a.asname or a.name.split(".")[0]: (a.name if a.asname else a.name.split(".")[0], "*")
                for a in statement.names}  # fmt: skip
    if statement.level or statement.names[0].name == "*":
        raise EiclipError(f"line {statement.lineno}: relative imports and `import *` cannot be followed")
    return {a.asname or a.name: (str(statement.module), a.name) for a in statement.names}


def resolved(symbol: Symbol) -> Symbol | None:
    """The definition that (module, name) means; a third-party one as it stands; None: of the standard library."""
    module, name = symbol
    top = module.split(".")[0]
    if top in sys.stdlib_module_names:
        return None
    if top not in PACKAGES:
        return top, f"{module}.{name}"
    return symbol if name == "*" else _module(module).find(name)


def _is_type_checking(test: ast.expr) -> bool:
    return isinstance(test, ast.Name) and test.id == "TYPE_CHECKING"


def _is_text(node: ast.AST) -> bool:
    """Whether a statement is a docstring, or a text below a field."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


class _Reader:
    """Reads a definition's syntax tree once: what is compared, and what is used."""

    def __init__(self, module: _Module) -> None:
        self.module = module
        self._written: list[str] = []
        self._local: dict[str, Symbol] = {}
        self._targets: dict[tuple[str, Symbol], None] = {}
        self._packages: set[str] = set()
        self._queries: dict[Path, None] = {}
        self._beside: dict[Path, None] = {}

    def source(self) -> _Source:
        text = _digest("\n".join(self._written).encode())
        return _Source(self.module.path, text, tuple(self._targets), frozenset(self._packages),
                       tuple(self._queries), tuple(self._beside))  # fmt: skip

    def read(self, statement: ast.stmt) -> None:
        for node in ast.walk(statement):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                self._local |= imported(node)
        self._write(statement, fields=False)

    def _write(self, node: Any, *, fields: bool) -> None:
        """Write a node and what is below it; `fields`: it stands in a class, where annotations make fields."""
        if isinstance(node, list):
            self._written.append("[")
            for item in node:
                self._write(item, fields=fields)
            self._written.append("]")
        elif not isinstance(node, ast.AST):
            self._written.append(repr(node))
        elif not _is_text(node) and not isinstance(node, (ast.Import, ast.ImportFrom)):
            self._written.append(type(node).__name__)
            if not (isinstance(node, ast.Attribute) and self._follow_attribute(node)):
                self._write_parts(node, fields)

    def _write_parts(self, node: ast.AST, fields: bool) -> None:
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            self._follow(node.id)
        elif isinstance(node, ast.Call):
            self._read_query(node)
        inside = isinstance(node, ast.ClassDef)
        for name in node._fields:
            if name == "annotation" and isinstance(node, ast.AnnAssign) and fields:
                self._write(node.annotation, fields=False)
            elif name in ANNOTATIONS:
                self._follow_annotation(getattr(node, name, None))
            elif name not in SKIPPED:
                self._write(getattr(node, name, None), fields=inside)

    def _follow_annotation(self, annotation: Any) -> None:
        if not isinstance(annotation, ast.AST):
            return
        for node in ast.walk(annotation):
            if isinstance(node, ast.Name):
                self._follow(node.id)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                self._follow_annotation(ast.parse(node.value, mode="eval"))

    def _follow(self, name: str) -> None:
        """Note what a name means, where it is one of a module's."""
        if name == "__file__":
            inside = self.module.path.parent.rglob("*")
            self._beside |= dict.fromkeys(sorted(f for f in inside if f.is_file() and f.suffix not in (".py", ".pyc")))
        for target in (self._local.get(name), self.module.find(name)):
            if target is not None:
                self._use(name, resolved(target) if name in self._local else target)

    def _follow_attribute(self, node: ast.Attribute) -> bool:
        """Note what `module.name` means; False where this is no name of a module of the project."""
        dotted, base = [node.attr], node.value
        while isinstance(base, ast.Attribute):
            dotted, base = [base.attr, *dotted], base.value
        if not isinstance(base, ast.Name):
            return False
        symbol = self._local.get(base.id) or self.module.imports.get(base.id)
        found = symbol and resolved(symbol)
        if not found or found[0] not in _names() or found[1] != "*":
            return False
        while dotted and found is not None and found[1] == "*":
            found = _module(found[0]).find(dotted.pop(0))
        self._use(f"{base.id}.{node.attr}", found)
        self._written.append(ast.unparse(node))
        return True

    def _use(self, name: str, target: Symbol | None) -> None:
        if target is None:
            return
        if target[0] in _names():
            self._targets[name, target] = None
        else:
            self._packages.add(target[0])
            self._written.append(f"{name} is {target[1]}")

    def _read_query(self, node: ast.Call) -> None:
        """Note the SQL files that a call of `read_sql` reads."""
        if not (isinstance(node.func, ast.Name) and node.func.id == "read_sql" and node.args):
            return
        named = node.args[0]
        if isinstance(named, ast.Constant):
            self._queries[SQL / f"{named.value!s}.sql"] = None
        elif isinstance(named, ast.JoinedStr) and isinstance(named.values[0], ast.Constant):
            folder, _, rest = str(named.values[0].value).partition("/")
            if not (SQL / folder).is_dir() or rest:
                raise EiclipError(f"{self.module.path}:{node.lineno}: read_sql of no folder of sql/ by name")
            self._queries |= dict.fromkeys(sorted((SQL / folder).glob("*.sql")))
        elif self.module.name not in TOLD:
            raise EiclipError(f"{self.module.path}:{node.lineno}: read_sql of a name that cannot be followed")


def _versions(imported_packages: set[str], reads_sql: bool) -> Iterator[tuple[str, str]]:
    yield "python", ".".join(platform.python_version_tuple()[:2])
    names: set[str] = {"duckdb"} if reads_sql else set()
    for package in imported_packages - NEUTRAL_PACKAGES.keys():
        names |= set(DISTRIBUTIONS.get(package, (package,)))
    for name in sorted(names):
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
    return _digest("\n".join(line for line in lines if line.strip() and not line.lstrip().startswith("--")).encode())


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _stamp(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_size
