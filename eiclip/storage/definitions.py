"""What the names in this project's code mean: the definitions of its modules, and what each of them uses.

Code is read, not imported.
"""

import ast
import contextlib
import functools
import hashlib
import sys
from pathlib import Path
from typing import Any

from eiclip.errors import EiclipError

PROJECT = Path(__file__).resolve().parents[2]
PACKAGES = ("eiclip", "assets", "pipelines")
"""The packages of this project."""
SQL = PROJECT / "sql"
TAKES_QUERY_NAMES = {"eiclip.storage.lake", "eiclip.storage.sql"}
"""Modules that pass on the name of a query: whoever calls them names it."""

Symbol = tuple[str, str]
"""(module, name at its top level); name "": what the module does when it is imported; name "*": all of it."""


@functools.cache
def names() -> dict[str, Path]:
    """Return every module of the project, and its file."""
    found = {}
    for package in PACKAGES:
        for file in (PROJECT / package).rglob("*.py"):
            parts = file.relative_to(PROJECT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


MODULES: dict[str, "Module"] = {}


def module_of(name: str) -> "Module":
    """Return a module, read from its file the first time.

    Raises:
        EiclipError: the project has no such module.
    """
    if name not in MODULES:
        if name not in names():
            raise EiclipError(f"{name}: no such module of this project")
        MODULES[name] = Module(name, names()[name])
    return MODULES[name]


class Module:
    """What a module's top level binds, and what its imports mean."""

    def __init__(self, name: str, path: Path) -> None:
        self.name, self.path, self.stamp = name, path, stamp_of(path)
        self.definitions: dict[str, list[ast.stmt]] = {}
        self.imports: dict[str, Symbol] = {}
        self.effects: list[ast.stmt] = []
        self._sources: dict[str, Source] = {}
        for statement in ast.parse(path.read_bytes()).body:
            self._bind(statement)

    def _bind(self, statement: ast.stmt) -> None:
        if isinstance(statement, (ast.Import, ast.ImportFrom)):
            self.imports |= imported(statement)
        elif isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            self.definitions.setdefault(statement.name, []).append(statement)
        elif isinstance(statement, ast.If) and ast.unparse(statement.test) == "TYPE_CHECKING":
            for inner in statement.body:
                self._bind(inner)
        elif not _is_text(statement):
            stored = [n.id for n in ast.walk(statement) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
            for name in stored:
                self.definitions.setdefault(name, []).append(statement)
            if not isinstance(statement, (ast.Assign, ast.AnnAssign)) or not stored:
                self.effects.append(statement)

    def find(self, name: str) -> Symbol | None:
        """Return where a name of this module's top level is defined: here, where it is imported from, or nowhere."""
        if name in self.definitions:
            return self.name, name
        if name in self.imports:
            return resolved(self.imports[name])
        return (f"{self.name}.{name}", "*") if f"{self.name}.{name}" in names() else None

    def source(self, name: str) -> "Source":
        """Return the source of a name's definition, as in a `Symbol`."""
        if name not in self._sources:
            statements = [] if name == "*" else self.definitions[name] if name else self.effects
            source = self._sources[name] = Source(self, statements)
            for each in (*self.definitions, *self.imports) if name == "*" else ():
                source.use(each, self.find(each))
        return self._sources[name]


def imported(statement: ast.Import | ast.ImportFrom) -> dict[str, Symbol]:
    """Return what an import binds, by name.

    Raises:
        EiclipError: it is relative, or imports `*`.
    """
    if isinstance(statement, ast.Import):
        named = [(a.asname, a.name) if a.asname else (a.name.split(".")[0],) * 2 for a in statement.names]
        return {name: (module, "*") for name, module in named}
    if statement.level or statement.names[0].name == "*":
        raise EiclipError(f"line {statement.lineno}: relative imports and `import *` cannot be followed")
    return {a.asname or a.name: (str(statement.module), a.name) for a in statement.names}


def resolved(symbol: Symbol) -> Symbol | None:
    """Return the definition of what is imported; a third-party one as it stands; None: of the standard library."""
    module, name = symbol
    top = module.split(".")[0]
    if top in sys.stdlib_module_names:
        return None
    if top not in PACKAGES:
        return top, f"{module}.{name}"
    return symbol if name == "*" else module_of(module).find(name)


def _is_text(node: ast.AST) -> bool:
    """Whether a statement is a docstring, or a text below a field."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


class Source(ast.NodeVisitor):
    """One definition of a module: its text to compare, and what it uses."""

    def __init__(self, module: Module, statements: list[ast.stmt]) -> None:
        self.module, self.path = module, module.path
        self.targets: dict[tuple[str, Symbol], None] = {}
        self.packages: set[str] = set()
        self.files: dict[Path, None] = {}
        self._local: dict[str, Symbol] = {}
        self._written: list[str] = []
        for statement in statements:
            for node in ast.walk(statement):
                if isinstance(node, (ast.Import, ast.ImportFrom)):
                    self._local |= imported(node)
        for statement in statements:
            self.visit(statement)
        self.text = digest_of("\n".join(self._written).encode())

    def use(self, name: str, target: Symbol | None) -> None:
        """Note what a name stands for."""
        if target is not None and target[0] in names():
            self.targets[name, target] = None
        elif target is not None:
            self.packages.add(target[0])
            self._written.append(f"{name} is {target[1]}")

    def visit(self, node: ast.AST) -> None:
        """Write what is compared of a node."""
        if not _is_text(node) and not isinstance(node, (ast.Import, ast.ImportFrom)):
            self._written.append(type(node).__name__)
            super().visit(node)

    def generic_visit(self, node: ast.AST) -> None:
        """Write the parts of a node, but for annotations, which are only followed."""
        for name in node._fields:
            if name in ("annotation", "returns"):
                self._follow_annotation(getattr(node, name, None))
            elif name not in ("ctx", "type_ignores", "type_params", "kind", "type_comment"):
                self._write(getattr(node, name, None))

    def _write(self, value: Any) -> None:
        if isinstance(value, ast.AST):
            self.visit(value)
        elif isinstance(value, list):
            self._written.append(f"[{len(value)}]")
            for each in value:
                self._write(each)
        else:
            self._written.append(repr(value))

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        """Compare the annotation as well: in a class it makes a field."""
        self._follow_annotation(node.annotation)
        self._write([node.target, ast.unparse(node.annotation), node.value])

    def visit_Name(self, node: ast.Name) -> None:
        """Follow a name that is read."""
        if isinstance(node.ctx, ast.Load):
            self._follow(node.id)
        self._written.append(node.id)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        """Follow `module.name`, where it is a name of a module of the project."""
        dotted, base = [node.attr], node.value
        while isinstance(base, ast.Attribute):
            dotted, base = [base.attr, *dotted], base.value
        symbol = isinstance(base, ast.Name) and (self._local.get(base.id) or self.module.imports.get(base.id))
        found = resolved(symbol) if symbol else None
        if found is None or found[0] not in names() or found[1] != "*":
            self.generic_visit(node)
            return
        while dotted and found is not None and found[1] == "*":
            found = module_of(found[0]).find(dotted.pop(0))
        self._written.append(ast.unparse(node))
        self.use(self._written[-1], found)

    def visit_Call(self, node: ast.Call) -> None:
        """Note the SQL files that a call of `read_sql` reads."""
        self.generic_visit(node)
        if not (isinstance(node.func, ast.Name) and node.func.id == "read_sql" and node.args):
            return
        named, where = node.args[0], f"{self.path}:{node.lineno}"
        if isinstance(named, ast.Constant):
            self.files[SQL / f"{named.value!s}.sql"] = None
        elif isinstance(named, ast.JoinedStr) and isinstance(named.values[0], ast.Constant):
            folder, _, rest = str(named.values[0].value).partition("/")
            if not (SQL / folder).is_dir() or rest:
                raise EiclipError(f"{where}: read_sql of no folder of sql/ by name")
            self.files |= dict.fromkeys(sorted((SQL / folder).glob("*.sql")))
        elif self.module.name not in TAKES_QUERY_NAMES:
            raise EiclipError(f"{where}: read_sql of a name that cannot be followed")

    def _follow_annotation(self, annotation: ast.expr | None) -> None:
        for node in ast.walk(annotation) if annotation else ():
            if isinstance(node, ast.Name):
                self._follow(node.id)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                with contextlib.suppress(SyntaxError):  # a value of Literal
                    self._follow_annotation(ast.parse(node.value, mode="eval").body)

    def _follow(self, name: str) -> None:
        """Note what a name means, where it is one of a module's."""
        if name == "__file__":
            inside = self.path.parent.rglob("*")
            self.files |= dict.fromkeys(sorted(f for f in inside if f.is_file() and f.suffix not in (".py", ".pyc")))
        if name in self._local:
            self.use(name, resolved(self._local[name]))
        self.use(name, self.module.find(name))


def digest_of(content: bytes) -> str:
    """Return a short digest of a file's content."""
    return hashlib.sha256(content).hexdigest()[:16]


def stamp_of(path: Path) -> tuple[int, int]:
    """Return the time and size of a file; zeros where it is gone."""
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_size
