"""A sample of `make cache_test`: some functions, one dataset, nothing trained."""

import ast
import random
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.cache.__main__ import Outcome, written_again
from benchmarks.cache.change import Function, changed, functions_of

ROOT = Path(__file__).parents[1]


def test_no_output_whose_bytes_change_is_reused():
    command = [sys.executable, "-m", "benchmarks.cache", "--quick", "--changes", "4", "--no-versions", "--seed", "3"]
    run = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=600, check=False)
    lines = run.stdout.splitlines()
    assert run.returncode == 0, run.stderr[-2000:] + run.stdout[-2000:]
    assert lines[-1] == "4 of 4"
    assert lines[0].endswith("not the same bytes twice: none")
    assert "REUSED" not in run.stdout


def test_a_cache_that_did_not_look_at_a_module_would_be_found_out(tmp_path):
    """With the drawing of photos called neutral, raw files of other bytes would be reused, and the proof says so."""
    for folder in ("eiclip", "assets", "pipelines", "sql", "benchmarks"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    (tmp_path / "eiclip").unlink()
    subprocess.run(["cp", "-r", ROOT / "eiclip", tmp_path / "eiclip"], check=True)
    file = tmp_path / "eiclip" / "storage" / "code_version.py"
    text = file.read_text()
    assert text.count("NEUTRAL = {\n") == 1
    blind = "".join(
        f'    "eiclip.{name}": "wrongly",\n' for name in ("synthetic.photo", "synthetic.garments", "synthetic.texts")
    )
    file.write_text(text.replace("NEUTRAL = {\n", "NEUTRAL = {\n" + blind))
    command = [sys.executable, "-m", "benchmarks.cache", "--quick", "--changes", "8", "--no-versions"]
    run = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=600, check=False)
    assert run.returncode == 1, run.stdout[-2000:] + run.stderr[-2000:]
    assert "REUSED: fashiongen/raw_files" in run.stdout
    assert not run.stdout.splitlines()[-1].startswith("8 of 8")


def test_an_error_after_the_same_bytes_were_written_leaves_them_right(tmp_path):
    """As where the cache cannot write its record: it is no reason to say that what is reused is stale."""
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_bytes(b"rows")
    new.hardlink_to(old)
    assert not written_again(old, new), "the error came before anything was written"
    base = {"contents": {"a": "1"}, "inputs": {"a": "x"}, "places": {"a": "a"}, "codes": {}}
    result = base | {"contents": {}, "failed": "a", "error": "LookupError()"}
    for content, stale in ((b"rows", set()), (b"more", {"a"})):
        new.unlink()
        new.write_bytes(content)
        written = written_again(old, new)
        assert Outcome(base, result | {"written": written}, set(), is_neutral=False).stale == stale


def test_a_folder_was_written_again_if_its_manifest_was(tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    for name in ("part.tar", "manifest.json"):
        old.mkdir(exist_ok=True)
        (old / name).write_text(name)
    new.mkdir()
    (new / "part.tar").hardlink_to(old / "part.tar")
    assert not written_again(old, new)
    (new / "manifest.json").hardlink_to(old / "manifest.json")
    assert not written_again(old, new)
    (new / "manifest.json").unlink()
    (new / "manifest.json").write_text("manifest.json")
    assert written_again(old, new)


@pytest.fixture
def project(tmp_path):
    (tmp_path / "eiclip").mkdir()
    text = '''
    """Module."""
    class Box:
        """A box."""
        def area(self) -> "1":
            """Its area: 3."""
            if self.side < 0:
                raise ValueError(f"negative {1}")
            return self.side * 2
        def nothing(self):
            """Nothing to change."""
            return self.side
    def plain(names: list[str]) -> bool:
        def inner(name):
            return name == "a"
        return any(map(inner, names))
    '''
    lines = [line[4:] for line in text.splitlines()]
    (tmp_path / "eiclip" / "box.py").write_text("\n".join(lines))
    return tmp_path


def test_functions_are_found_by_their_names(project):
    assert [function.name for function in functions_of(project)] == ["Box.area", "Box.nothing", "plain"]


def test_a_change_is_one_and_computes_something_else(project):
    """Never a docstring, an annotation or the words of an error."""
    area, nothing, plain = functions_of(project)
    assert changed(project, nothing, random.Random(0)) is None
    before = ast.unparse(ast.parse((project / "eiclip" / "box.py").read_text())).splitlines()
    seen = set()
    for seed in range(60):
        for function in (area, plain):
            text, told = changed(project, function, random.Random(seed))
            after = text.rstrip("\n").splitlines()
            [(old, new)] = [(a, b) for a, b in zip(before, after, strict=True) if a != b]
            seen.add((old.strip(), new.strip()))
            assert " -> " in told
    assert seen == {
        ("if self.side < 0:", "if self.side >= 0:"),
        ("if self.side < 0:", "if self.side < 1:"),
        ("return self.side * 2", "return self.side + 2"),
        ("return self.side * 2", "return self.side * 3"),
        ("return name == 'a'", "return name != 'a'"),
        ("return name == 'a'", "return name == 'ax'"),
    }


def test_a_function_is_known_by_file_and_name(project):
    assert Function("eiclip/box.py", "plain") in functions_of(project)
