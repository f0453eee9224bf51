"""Processes that end themselves, without warning, at the n-th call of a function: what the environment asks for.

CRASH_FUSE holds a `Fuse` as JSON. It blows once: its mark, a file, says that it has.
"""

import functools
import importlib
import json
import os
import signal
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

VARIABLE = "CRASH_FUSE"


@dataclass(frozen=True)
class Fuse:
    """Where and when a process ends."""

    target: str
    """The function, as `module:name` or `module:Class.name`, where it is looked up."""
    mark: str
    when: Literal["before", "half", "after"] = "before"
    call: int = 1
    among: str = ""
    """Calls count whose arguments, as text, hold this."""
    rank: str = "0"
    """Of several trainers, the one that ends."""
    number: int = signal.SIGKILL

    def in_environment(self) -> dict[str, str]:
        """The variable that lights it."""
        return {VARIABLE: json.dumps(asdict(self))}


def light() -> None:
    """Put the fuse that the environment asks for, if any, where it belongs."""
    fuse = Fuse(**json.loads(os.environ.get(VARIABLE, "null") or "null") or {"target": "", "mark": ""})
    if not fuse.target or Path(fuse.mark).exists() or os.environ.get("RANK", "0") != fuse.rank:
        return
    module, _, path = fuse.target.partition(":")
    owner: Any = importlib.import_module(module)
    *classes, name = path.split(".")
    for inner in classes:
        owner = getattr(owner, inner)
    setattr(owner, name, _fused(getattr(owner, name), fuse))


def _fused(original: Callable[..., Any], fuse: Fuse) -> Callable[..., Any]:
    calls = 0

    @functools.wraps(original)
    def wrapped(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += not fuse.among or fuse.among in " ".join(str(one) for one in arguments if not isinstance(one, dict))
        now = calls == fuse.call and not Path(fuse.mark).exists()
        if now and fuse.when == "before":
            _blow(fuse)
        if now and fuse.when == "half" and original.__name__ == "rmtree":
            next(file for file in Path(arguments[0]).rglob("*") if file.is_file()).unlink()
            _blow(fuse)
        result = original(*arguments, **named)
        if now:
            if fuse.when == "half":
                _halve(next(Path(one) for one in arguments if isinstance(one, (str, Path))))
            _blow(fuse)
        return result

    return wrapped


def _halve(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def _blow(fuse: Fuse) -> None:
    Path(fuse.mark).touch()
    os.kill(os.getpid(), fuse.number)
    if fuse.number == signal.SIGKILL:
        time.sleep(60)  # it takes a moment, in which nothing more is to happen
