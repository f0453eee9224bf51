"""What the names in this project's code mean: the definitions of its modules, and what each of them uses.

Code is read, not imported.
"""

import ast
import functools
import hashlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eiclip.errors import EiclipError

PROJECT = Path(__file__).resolve().parents[2]
PACKAGES = ("eiclip", "assets", "pipelines")
"""The packages of this project."""
SQL = PROJECT / "sql"
TOLD = {"eiclip.storage.lake", "eiclip.storage.sql"}
"""Modules that are told which query to read, and by whom it is named."""

ANNOTATIONS = {"annotation", "returns", "type_comment"}
SKIPPED = {"ctx", "type_ignores", "type_params", "kind", *ANNOTATIONS}


Symbol = tuple[str, str]
"""(module, name of something at its top level); an empty name: what the module does when it is imported."""


@dataclass(frozen=True)
class Source:
    """One definition of a module: its text to compare, and what it uses."""

    path: Path
    text: str
    targets: tuple[tuple[str, Symbol], ...]
    packages: frozenset[str]
    queries: tuple[Path, ...]
    beside: tuple[Path, ...]


@functools.cache
def names() -> dict[str, Path]:
    """Every module of the project, and its file."""
    found = {}
    for package in PACKAGES:
        for file in (PROJECT / package).rglob("*.py"):
            parts = file.relative_to(PROJECT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


MODULES: dict[str, "Module"] = {}


def module_of(name: str) -> "Module":
    if name not in MODULES:
        if name not in names():
            raise EiclipError(f"{name}: no such module of this project")
        MODULES[name] = Module(name, names()[name])
    return MODULES[name]


class Module:
    """What a module's top level binds, and what its imports mean."""

    def __init__(self, name: str, path: Path) -> None:
        self.name, self.path = name, path
        self.definitions: dict[str, list[ast.stmt]] = {}
        self.imports: dict[str, Symbol] = {}
        self.effects: list[ast.stmt] = []
        self._sources: dict[str, Source] = {}
        self.stamp = stamp_of(path)
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
        return (f"{self.name}.{name}", "*") if f"{self.name}.{name}" in names() else None

    def source(self, name: str) -> Source:
        """The definition of a name; `*`: all of them."""
        if name not in self._sources:
            self._sources[name] = self._read(name)
        return self._sources[name]

    def _read(self, name: str) -> Source:
        if name == "*":
            targets = tuple((each, (self.name, each)) for each in self.definitions)
            others = tuple((each, found) for each in self.imports if (found := self.find(each)))
            packages = frozenset(t[0] for _, t in others if t[0] not in names())
            return Source(self.path, "", (*targets, *(o for o in others if o[1][0] in names())), packages, (), ())
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
    return symbol if name == "*" else module_of(module).find(name)


def _is_type_checking(test: ast.expr) -> bool:
    return isinstance(test, ast.Name) and test.id == "TYPE_CHECKING"


def _is_text(node: ast.AST) -> bool:
    """Whether a statement is a docstring, or a text below a field."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


class _Reader:
    """Reads a definition's syntax tree once: what is compared, and what is used."""

    def __init__(self, module: Module) -> None:
        self.module = module
        self._written: list[str] = []
        self._local: dict[str, Symbol] = {}
        self._targets: dict[tuple[str, Symbol], None] = {}
        self._packages: set[str] = set()
        self._queries: dict[Path, None] = {}
        self._beside: dict[Path, None] = {}

    def source(self) -> Source:
        text = digest_of("\n".join(self._written).encode())
        return Source(self.module.path, text, tuple(self._targets), frozenset(self._packages),
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
        if not found or found[0] not in names() or found[1] != "*":
            return False
        while dotted and found is not None and found[1] == "*":
            found = module_of(found[0]).find(dotted.pop(0))
        self._use(f"{base.id}.{node.attr}", found)
        self._written.append(ast.unparse(node))
        return True

    def _use(self, name: str, target: Symbol | None) -> None:
        if target is None:
            return
        if target[0] in names():
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


def digest_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def stamp_of(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_size
