"""Functions of the library, and small changes of what they compute: a number, a comparison, an operator, a text."""

import ast
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Function:
    """A function of a file, by its qualified name as Python has it, without decorators' wrappers."""

    file: str
    """Below the project's root."""
    name: str


def functions_of(root: Path, package: str = "eiclip") -> list[Function]:
    """Every function and method of a package, nested ones in their outer ones."""
    found = []
    for file in sorted((root / package).rglob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        found += [Function(file.relative_to(root).as_posix(), name) for name, _ in _named(tree)]
    return found


def _named(tree: ast.AST, prefix: str = "") -> Iterator[tuple[str, ast.AST]]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield prefix + node.name, node
        elif isinstance(node, ast.ClassDef):
            yield from _named(node, f"{prefix}{node.name}.")


def changed(root: Path, function: Function, draw: random.Random) -> tuple[str, str] | None:
    """The function's file with one thing changed in it, and what that was; None where there is nothing to change."""
    tree = ast.parse((root / function.file).read_text(encoding="utf-8"))
    nodes = [node for name, node in _named(tree) if name == function.name]
    body = [part for node in nodes for statement in getattr(node, "body", []) for part in _inside(statement)]
    sites = [(node, change) for node in body for kind, change in CHANGES if isinstance(node, kind) and _fits(node)]
    if not sites:
        return None
    node, change = draw.choice(sites)
    before = ast.unparse(node)
    change(node)
    after = ast.unparse(node)
    return (ast.unparse(tree) + "\n", f"{before[:60]} -> {after[:60]}") if before != after else None


def _inside(statement: ast.stmt) -> Iterator[ast.AST]:
    """Nodes that compute: no docstrings, annotations, or what errors say."""
    if isinstance(statement, ast.Raise) or (
        isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    ):
        return
    waiting: list[ast.AST] = [statement]
    while waiting:
        node = waiting.pop()
        yield node
        skipped = {id(getattr(node, name, None)) for name in ("annotation", "returns")}
        children = [child for child in ast.iter_child_nodes(node) if id(child) not in skipped]
        waiting += [child for child in children if not isinstance(child, (ast.Raise, ast.JoinedStr))]


def _fits(node: ast.AST) -> bool:
    return not isinstance(node, ast.Constant) or isinstance(node.value, (int, float, str))


def _constant(node: ast.AST) -> None:
    assert isinstance(node, ast.Constant)
    value = node.value
    node.value = not value if isinstance(value, bool) else value + "x" if isinstance(value, str) else value + 1  # type: ignore[operator]


OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult, ast.Mod: ast.Add,
}  # fmt: skip
COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.GtE, ast.GtE: ast.Lt, ast.Gt: ast.LtE, ast.LtE: ast.Gt,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip


def _operator(node: ast.AST) -> None:
    assert isinstance(node, ast.BinOp)
    node.op = OPERATORS.get(type(node.op), type(node.op))()


def _comparison(node: ast.AST) -> None:
    assert isinstance(node, ast.Compare)
    node.ops = [COMPARISONS[type(node.ops[0])](), *node.ops[1:]]


def _sign(node: ast.AST) -> None:
    assert isinstance(node, ast.UnaryOp)
    node.op = ast.UAdd() if isinstance(node.op, ast.USub) else node.op


def _either(node: ast.AST) -> None:
    assert isinstance(node, ast.BoolOp)
    node.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()


CHANGES: list[tuple[type[ast.AST], Callable[[ast.AST], None]]] = [
    (ast.Constant, _constant), (ast.BinOp, _operator), (ast.Compare, _comparison), (ast.UnaryOp, _sign),
    (ast.BoolOp, _either),
]  # fmt: skip
