"""Change functions of the library one by one, and compare what the cache would do with what happens to the bytes.

    python -m benchmarks.cache                  # all functions by their versions; 60 that change bytes, made for real
    python -m benchmarks.cache --changes 200 --seed 7

First every function of `eiclip/` is changed in a copy of the project, and the version of every output's code computed:
whether the output would be made again. Then functions drawn by the seed, of those that run while the tiny home is made,
are changed until so many have changed an output's bytes: all outputs in whose making the function ran are made again in
a copy of the home, whatever the cache says, and what comes after them as the cache says. An output that the cache would
have reused is a failure where its bytes differ, or where it cannot be made any more. What was made is still right after
an error in code that is called neutral, as where things lie, and after one that came when the output had been written
with the same bytes, as while its record is written. Ends in `N of N`.
"""

import argparse
import filecmp
import importlib
import os
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.cache.change import Function, changed, functions_of
from benchmarks.cache.processes import LIBRARIES, PROJECT, run_each

ROOT = Path(__file__).parents[2]
FOLDERS = ("eiclip", "assets", "pipelines", "sql", "benchmarks")
JUDGES = ("eiclip/storage/cache.py", "eiclip/storage/code_version.py", "eiclip/storage/definitions.py")
"""What says whether an output is stale cannot be changed and asked at once."""


def main() -> None:
    """Print what was found; exit with 1 unless nothing stale would have been reused."""
    given = _arguments()
    for library in LIBRARIES:
        importlib.import_module(library)
    for name in [
        name for name in sys.modules if name.split(".")[0] in PROJECT and not name.startswith("benchmarks.cache")
    ]:
        del sys.modules[name]  # each process reads them from its own tree
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
        proof = Proof(Path(temporary), given.seed, given.at_once, given.quick)
        if not given.no_versions:
            proof.versions()
        failures = proof.bytes_of(given.changes)
    sys.exit(bool(failures))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0, help="of the functions drawn and of what is changed in them")
    parser.add_argument("--changes", type=int, default=60, help="changes of bytes to see")
    parser.add_argument("--at-once", type=int, default=os.cpu_count() or 1, help="processes at a time")
    parser.add_argument("--quick", action="store_true", help="one dataset, and nothing that is trained")
    parser.add_argument("--no-versions", action="store_true", help="leave out the versions of all functions")
    return parser.parse_args()


class Proof:
    """The project, a home made of it, and what becomes of copies of both."""

    def __init__(self, scratch: Path, seed: int, at_once: int, quick: bool) -> None:
        self.scratch, self.seed, self.at_once, self.quick = scratch, seed, at_once, quick
        self.home, self.source = scratch / "home", scratch / "source"
        for folder in FOLDERS:  # as it is now, whatever is edited meanwhile
            shutil.copytree(ROOT / folder, self.source / folder, ignore=shutil.ignore_patterns("__pycache__"))

    def versions(self) -> None:
        """Change every function, and compute the versions of all outputs' code."""
        times = [_checked(found) for _, found in run_each(_timed, [(self.source, self.quick)] * 5, self.scratch, 1)]
        median = statistics.median(seconds for seconds, _ in times)
        print(f"all {times[0][1]} code versions, in a process that has none yet: {median:.2f} s (median of 5)")
        functions = functions_of(self.source)
        trees = [self._tree(f"versions-{number}") for number in range(self.at_once)]
        jobs = [(tree, (tree, functions[n :: self.at_once], self.seed, self.quick)) for n, tree in enumerate(trees)]
        began, found = time.perf_counter(), list[list[int] | None]()
        for _, result in run_each(_versions, jobs, self.scratch, self.at_once):
            found += _checked(result)
        again = [made[0] for made in found if made]
        total, seconds = max(made[1] for made in found if made), time.perf_counter() - began
        print(f"{len(found):,} functions of eiclip/, {len(again):,} with something to change: {seconds:.0f} s")
        told = f"{statistics.median(again):.0f} (median), {statistics.mean(again):.1f} (mean)"
        print(f"made again of {total} outputs: {told}")
        print(f"no output is made of {again.count(0):,} of them", flush=True)

    def bytes_of(self, wanted: int) -> list[str]:
        """Change functions until so many have changed bytes; returns what would have been reused wrongly."""
        [(_, made)] = run_each(_baseline, [(self.source, (self.home, self.quick))], self.scratch, 1)
        base = _checked(made)
        assert not base["failed"], f"{base['failed']}: {base['error']}"
        [(_, repeated)] = run_each(_baseline, [(self.source, (self.scratch / "again", self.quick))], self.scratch, 1)
        volatile = sorted(
            name for name in base["contents"] if _checked(repeated)["contents"].get(name) != base["contents"][name]
        )
        print(
            f"{len(base['contents'])} outputs made; not the same bytes twice: {', '.join(volatile) or 'none'}",
            flush=True,
        )
        began, seen, broken, failures = time.perf_counter(), 0, 0, list[str]()
        again = Counter[str]()
        for function, change, result in self._changes(base):
            outcome = Outcome(base, result, set(volatile), is_neutral=function.file in base["neutral"])
            seen, broken = seen + bool(outcome.changed), broken + bool(outcome.error)
            again.update(tried=outcome.tried, code=len(outcome.by_code), nothing=len(outcome.for_nothing))
            if outcome.changed or outcome.stale:
                wrong = f"  REUSED: {', '.join(sorted(outcome.stale))}" if outcome.stale else ""
                print(f"{seen:4} {function.file}:{function.name}: {change}: {outcome}{wrong}", flush=True)
            failures += [function.name] * bool(outcome.stale)
            if seen == wanted:
                break
        print(f"{broken} changes ended in an error; {time.perf_counter() - began:.0f} s")
        tried, nothing = max(1, again["tried"]), again["nothing"]
        print(f"made again because of their code: {again['code']} of {tried} outputs; for nothing: {nothing} of them, "
              f"{100 * nothing / tried:.0f} % of all")  # fmt: skip
        print(f"{seen - len(failures)} of {seen}")
        return failures if seen else ["no change was seen"]

    def _changes(self, base: Any) -> Iterator[tuple[Function, str, Any]]:
        """Functions that run while the home is made, drawn in turn, with what became of the home of each."""
        ran: dict[Function, set[str]] = {}
        known = set(functions_of(self.source))
        for name, called in base["called"].items():
            for file, qualified in called:
                if file.startswith(f"{self.source}/eiclip/") and not file.endswith(JUDGES):
                    outer = qualified.split(".<locals>")[0]
                    ran.setdefault(Function(Path(file).relative_to(self.source).as_posix(), outer), set()).add(name)
        draw = random.Random(self.seed)
        size = 4 * self.at_once
        drawn = draw.sample(sorted(ran.keys() & known, key=lambda f: (f.file, f.name)), len(ran.keys() & known))
        for start in range(0, len(drawn), size):
            yield from self._of_batch(drawn[start : start + size], ran, draw)

    def _of_batch(self, batch: Sequence[Function], ran: dict[Function, set[str]], draw: random.Random) -> Iterator[Any]:
        jobs, told = [], []
        for number, function in enumerate(batch):
            new = changed(self.source, function, draw)
            if new is None:
                continue
            tree, home = self._tree(f"tree-{number}"), self.scratch / f"home-{number}"
            (tree / function.file).write_text(new[0], encoding="utf-8")
            shutil.rmtree(home, ignore_errors=True)
            shutil.copytree(self.home, home, copy_function=os.link)
            jobs.append((tree, (home, self.quick, sorted(ran[function]))))
            told.append((function, new[1]))
        for number, result in run_each(_remade, jobs, self.scratch, self.at_once):
            if isinstance(result, dict) and result["failed"] in result["places"]:
                place, home = result["places"][result["failed"]], jobs[number][1][0]
                result["written"] = written_again(self.home / place, home / place)
            yield (*told[number], result)

    def _tree(self, name: str) -> Path:
        """A copy of the project's code."""
        tree = self.scratch / name
        shutil.rmtree(tree, ignore_errors=True)
        shutil.copytree(self.source, tree, ignore=shutil.ignore_patterns("__pycache__"))
        return tree


class Outcome:
    """What a change did to a home, and what the cache would have done."""

    def __init__(self, base: Any, result: Any, volatile: set[str], *, is_neutral: bool) -> None:
        self.error = (
            str(result)
            if isinstance(result, Exception)
            else f"{result['failed']}: {result['error']}"
            if result["failed"]
            else ""
        )
        nothing: dict[str, Any] = {"inputs": {}, "codes": {}, "contents": {}, "places": {}, "failed": ""}
        made = nothing if isinstance(result, Exception) else result
        common = (base["contents"].keys() & made["contents"].keys()) - volatile
        remade = {name for name, found in made["inputs"].items() if found != base["inputs"].get(name)}
        remade |= {name for name, place in made["places"].items() if place != base["places"].get(name)}
        self.tried = len(common)
        self.changed = {name for name in common if made["contents"][name] != base["contents"][name]}
        self.by_code = {name for name in common if made["codes"][name] != base["codes"][name]}
        self.for_nothing = self.by_code - self.changed
        # Of one that failed before its inputs were known nothing would be reused. An error in code that is neutral
        # (where things lie, who may write), or after the same bytes were written, leaves what was made right.
        right = is_neutral or made.get("written")
        failed = set() if right else {made["failed"]} & made["inputs"].keys() & base["contents"].keys()
        self.stale = (self.changed | failed) - remade
        self.remade = remade & common

    def __str__(self) -> str:
        ended = f", then {self.error[:90]}" if self.error else ""
        return f"{len(self.changed)} outputs of other bytes, {len(self.remade)} would be made again{ended}"


def written_again(old: Path, new: Path) -> bool:
    """Return whether `new`, which began as hard links to `old`, was written again as a whole, with the same bytes."""
    if not (old.exists() and new.exists()):
        return False
    names, found = ([file.relative_to(root) for file in sorted(root.rglob("*")) if file.is_file()] or [Path()]
                    for root in (old, new))  # fmt: skip
    last = [Path("manifest.json")] if Path("manifest.json") in names else names  # what is written last, or all at once
    return (
        names == found
        and not any((old / name).samefile(new / name) for name in last)
        and all(filecmp.cmp(old / name, new / name, shallow=False) for name in names)
    )


def _checked(result: Any) -> Any:
    if isinstance(result, Exception):
        sys.exit(f"error: {result}")
    return result


def _baseline(given: tuple[Path, bool]) -> Any:
    from benchmarks.cache.home import make_all
    from eiclip.storage.code_version import NEUTRAL

    made = asdict(make_all(given[0], quick=given[1], watch=True))
    return made | {"neutral": [f"{name.replace('.', '/')}.py" for name in NEUTRAL]}


def _remade(given: tuple[Path, bool, list[str]]) -> Any:
    from benchmarks.cache.home import make_all

    return asdict(make_all(given[0], quick=given[1], forget=given[2]))


def _timed(quick: bool) -> tuple[float, int]:
    """Seconds that all outputs' code versions take, and how many there are."""
    from assets.common import Project
    from assets.steps import Step
    from benchmarks.cache.home import steps_of, tiny_settings
    from eiclip.storage.code_version import code_version
    from eiclip.storage.home import Paths

    settings = tiny_settings(Path("nowhere"), quick)
    steps = steps_of(Project(settings, Paths(settings.home)), quick)
    made_by = [output.made_by for step in steps if isinstance(step, Step) for output in step.declared()]
    made_by += [step.made_by for step in steps if not isinstance(step, Step)]
    began = time.perf_counter()
    for roots in made_by:
        code_version(*roots)
    return time.perf_counter() - began, len(made_by)


def _versions(given: tuple[Path, Sequence[Function], int, bool]) -> list[list[int] | None]:
    """Of each function: how many outputs would be made again, of how many; None where nothing can be changed in it."""
    from assets.common import Project
    from assets.steps import Step
    from benchmarks.cache.home import steps_of, tiny_settings
    from eiclip.errors import EiclipError
    from eiclip.storage import code_version as versions
    from eiclip.storage.home import Paths

    tree, functions, seed, quick = given
    settings = tiny_settings(tree / "nowhere", quick)
    project, draw = Project(settings, Paths(settings.home)), random.Random(seed)
    steps = steps_of(project, quick)
    made_by = {output.key: output.made_by for step in steps if isinstance(step, Step) for output in step.declared()}
    made_by |= {step.key: step.made_by for step in steps if not isinstance(step, Step)}

    def _version(roots: tuple[tuple[str, ...], tuple[str, ...]]) -> str:
        try:
            return versions.code_version(*roots).digest
        except EiclipError:  # it names a query that is not there: an error, and nothing reused
            return ""

    before = {key: _version(roots) for key, roots in made_by.items()}
    found: list[list[int] | None] = []
    for function in functions:
        new = changed(tree, function, draw)
        if new is None:
            found.append(None)
            continue
        path = tree / function.file
        old = path.read_bytes()
        path.write_text(new[0], encoding="utf-8")
        versions.forget(path)
        again = sum(_version(roots) != before[key] for key, roots in made_by.items())
        path.write_bytes(old)
        versions.forget(path)
        found.append([again, len(made_by)])
    return found


if __name__ == "__main__":
    main()
