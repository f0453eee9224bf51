"""What a code version is of: checked on small projects that are written here, and on this one."""

import ast
import subprocess
import sys
import textwrap

import pytest

from eiclip.errors import EiclipError
from eiclip.storage import code_version as versions
from eiclip.storage import definitions
from eiclip.storage.code_version import NEUTRAL, NEUTRAL_PACKAGES, code_version
from eiclip.storage.definitions import PROJECT


def forget_all():
    for cached in (code_version, definitions.names, versions._file_digest):
        cached.cache_clear()
    definitions.MODULES.clear()


class Project:
    """A project in a folder of its own, whose versions are computed anew each time."""

    def __init__(self, root, monkeypatch):
        self.root = root
        monkeypatch.setattr(definitions, "PROJECT", root)
        monkeypatch.setattr(definitions, "SQL", root / "sql")

    def write(self, **files):
        for name, text in files.items():
            path = self.root / name.replace("__", "/").replace("INIT", "__init__")
            path = path.with_suffix(".sql") if path.parts[len(self.root.parts)] == "sql" else path.with_suffix(".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text))
        return self

    def version(self, *roots, queries=()):
        forget_all()
        return code_version(roots or ("eiclip.a:make",), queries)


@pytest.fixture
def project(tmp_path, monkeypatch):
    yield Project(tmp_path, monkeypatch)
    forget_all()


BASE = {
    "eiclip__a": """
        '''A module.'''
        from eiclip.b import helper, unused
        from eiclip.shapes import Shape
        import eiclip.c as see
        LIMIT = 3
        OTHER = 4

        def make(shape: Shape, more: "Later" = None) -> int:
            '''Make it.'''
            from eiclip.d import late
            return helper(LIMIT) + see.deep(shape.area()) + late()

        def beside():
            return OTHER

        class Later:
            def size(self):
                return 1
        """,
    "eiclip__b": "TABLE = {'k': 1}\ndef helper(n):\n    return n + TABLE['k']\ndef unused():\n    return 0\n",
    "eiclip__c": "def deep(n):\n    return n * 2\ndef shallow():\n    return 1\n",
    "eiclip__d": "def late():\n    return 5\n",
    "eiclip__shapes": "class Shape:\n    def area(self):\n        return 1\n    def edge(self):\n        return 2\n",
}
CHANGES = {
    "what the function does": ("eiclip__a", "+ late()", "- late()"),
    "a constant it uses": ("eiclip__a", "LIMIT = 3", "LIMIT = 30"),
    "a function of another module": ("eiclip__b", "n + TABLE", "n - TABLE"),
    "what that one uses": ("eiclip__b", "'k': 1", "'k': 2"),
    "one imported as a module": ("eiclip__c", "n * 2", "n * 3"),
    "one imported within the function": ("eiclip__d", "return 5", "return 6"),
    "a method of an annotated argument": ("eiclip__shapes", "return 1", "return 9"),
    "another method of it": ("eiclip__shapes", "return 2", "return 9"),
    "a method of an annotation in quotes": ("eiclip__a", "return 1", "return 9"),
    "a default": ("eiclip__a", '"Later" = None', '"Later" = 0'),
}
SAME = {
    "docstrings": ("eiclip__a", "'''Make it.'''", "'''Makes it, as ever.'''"),
    "comments": ("eiclip__b", "return n +", "# why\n    return n +"),
    "annotations": ("eiclip__a", "-> int", "-> float"),
    "a function nobody calls": ("eiclip__b", "return 0", "return 7"),
    "another constant": ("eiclip__a", "OTHER = 4", "OTHER = 5"),
    "a function of a module of which another is used": ("eiclip__c", "return 1", "return 7"),
    "spaces": ("eiclip__c", "n * 2", "n  *  2"),
}


def changed(name, old, new):
    assert textwrap.dedent(BASE[name]).count(old), "the change is one"
    return {name: textwrap.dedent(BASE[name]).replace(old, new)}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_a_result_depends_on_changes_the_version(project, change):
    before = project.write(**BASE).version()
    assert project.write(**changed(*change)).version().digest != before.digest


@pytest.mark.parametrize("change", SAME.values(), ids=SAME)
def test_what_cannot_matter_does_not(project, change):
    before = project.write(**BASE).version()
    assert project.write(**changed(*change)).version().digest == before.digest


def test_a_function_that_moves_is_the_same_and_the_file_is_told(project):
    before = project.write(**BASE).version()
    after = project.write(eiclip__e=BASE["eiclip__c"], **changed("eiclip__a", "eiclip.c", "eiclip.e")).version()
    assert after.digest == before.digest
    assert before.files.keys() ^ after.files.keys() == {"eiclip/c.py", "eiclip/e.py"}


def test_two_functions_that_change_places_are_not_the_same(project):
    """Names and contents are all there as before; which module's is called is not."""
    text = "from eiclip.{} import pick\nfrom eiclip.{} import pick as other\ndef make():\n    return pick() - other()\n"
    one = {"eiclip__x": "def pick():\n    return 1\n", "eiclip__y": "def pick():\n    return 2\n"}
    before = project.write(**one, eiclip__a=text.format("x", "y")).version()
    assert project.write(eiclip__a=text.format("y", "x")).version().digest != before.digest


def test_imports_through_a_package_lead_to_the_definition(project):
    parts = {
        "eiclip__p__INIT": "from eiclip.p.q import f\nfrom eiclip.p.r import g\n",
        "eiclip__p__q": "def f():\n    return 1\n",
        "eiclip__p__r": "def g():\n    return 2\n",
        "eiclip__a": "from eiclip.p import f\ndef make():\n    return f()\n",
    }
    before = project.write(**parts).version()
    assert list(before.files) == ["eiclip/a.py", "eiclip/p/q.py"]
    assert project.write(eiclip__p__q="def f():\n    return 3\n").version().digest != before.digest


def test_a_module_that_is_passed_on_counts_whole(project):
    text = "import eiclip.b as b\ndef make():\n    return getattr(b, 'pick')()\n"
    before = project.write(eiclip__b="def pick():\n    return 1\n", eiclip__a=text).version()
    assert project.write(eiclip__b="def pick():\n    return 2\n").version().digest != before.digest


def test_what_a_module_does_when_imported_counts_with_what_is_used_of_it(project):
    text = "REGISTERED = []\ndef f():\n    return REGISTERED\nREGISTERED.append({})\n"
    main = "from eiclip.b import f\ndef make():\n    return f()\n"
    before = project.write(eiclip__b=text.format(1), eiclip__a=main).version()
    assert project.write(eiclip__b=text.format(2)).version().digest != before.digest


def test_fields_of_a_class_count_with_their_annotations(project):
    """A model turns "3" into 3 where the field says so."""
    main = "from eiclip.b import Row\ndef make():\n    return Row(1)\n"
    before = project.write(eiclip__b="class Row:\n    n: int\n", eiclip__a=main).version()
    assert project.write(eiclip__b="class Row:\n    n: float\n").version().digest != before.digest


def test_queries_count_by_name_and_by_folder_without_their_comments(project):
    main = """
        from eiclip.storage.sql import read_sql
        def make(step):
            return read_sql("one") + read_sql(f"steps/{step}")
        """
    parts = {"eiclip__storage__sql": "def read_sql(query):\n    return query\n", "eiclip__a": main}
    queries = {"sql__one": "-- Rows.\nSELECT 1\n", "sql__steps__x": "SELECT 2\n", "sql__other": "SELECT 3\n"}
    before = project.write(**parts, **queries).version()
    assert [name for name in before.files if name.startswith("sql")] == ["sql/one.sql", "sql/steps/x.sql"]
    assert "duckdb" in before.packages
    assert project.write(sql__other="SELECT 4\n").version().digest == before.digest
    assert project.write(sql__one="-- Another word.\n\nSELECT 1\n").version().digest == before.digest
    assert project.write(sql__steps__x="SELECT 5\n").version().digest != before.digest


def test_a_query_that_cannot_be_followed_or_is_not_there_is_an_error(project):
    for named, problem in (("name + 'x'", r"a\.py:3.*cannot be followed"), ("'nothing'", r"nothing\.sql")):
        project.write(eiclip__a=f"from eiclip.b import read_sql\ndef make(name):\n    return read_sql({named})\n",
                      eiclip__b="def read_sql(query):\n    return query\n")  # fmt: skip
        with pytest.raises(EiclipError, match=problem):
            project.version()


def test_files_beside_a_module_that_uses_its_place_count(project, tmp_path):
    project.write(eiclip__page__a="PAGE = __file__\ndef make():\n    return PAGE\n")
    (tmp_path / "eiclip" / "page" / "page.css").write_text("a {}")
    before = project.version("eiclip.page.a:make")
    (tmp_path / "eiclip" / "page" / "page.css").write_text("b {}")
    assert project.version("eiclip.page.a:make").digest != before.digest


def test_packages_count_with_their_versions_but_those_that_decide_nothing(project, monkeypatch):
    text = "import numpy as np\nimport httpx\nimport open_clip\n"
    text += "def make():\n    return np.ones(1), httpx, open_clip.CLIP\n"
    before = project.write(eiclip__a=text).version()
    assert {"python", "numpy", "torch", "ftfy", "regex"} <= before.packages.keys()
    assert "httpx" not in before.packages
    real = versions._installed
    monkeypatch.setattr(versions, "_installed", lambda name: "99.0" if name == "ftfy" else real(name))
    assert project.version().digest != before.digest


def test_an_unknown_function_is_an_error(project):
    project.write(eiclip__a="def make():\n    return 1\n")
    for root in ("eiclip.a:nothing", "eiclip.nowhere:make"):
        with pytest.raises(EiclipError, match="no such"):
            project.version(root)


def test_files_edited_since_are_named_if_it_matters(project, tmp_path):
    version = project.write(**BASE).version()
    assert version.edited() == []
    file = tmp_path / "eiclip" / "b.py"
    before = file.read_text()
    file.write_text(f"# A word.\n{before}")
    assert version.edited() == []
    for text in ("def helper(n):\n    return 0\n", "def helper(", ""):
        file.write_text(text)
        assert version.edited() == ["eiclip/b.py"]
    file.write_text(before)
    assert version.edited() == []
    assert code_version(("eiclip.a:make",), ()) is version, "looking has changed nothing"


# On this project.

TRAINING = "eiclip.train.loop:train"


def test_renaming_a_plots_colour_trains_nothing_again():
    for file in code_version((TRAINING,)).files:
        assert not file.startswith(("eiclip/report/", "eiclip/web/", "eiclip/readers/", "assets/", "sql/")), file


def test_the_same_source_has_the_same_version_in_another_process():
    script = f"from eiclip.storage.code_version import code_version as v; print(v(({TRAINING!r},)).digest)"
    found = set()
    for seed in ("1", "2"):
        environment = {"PYTHONHASHSEED": seed, "PYTHONPATH": str(PROJECT)}
        found.add(subprocess.check_output([sys.executable, "-c", script], env=environment, text=True).strip())
    assert found == {code_version((TRAINING,)).digest}


def test_versions_take_no_library():
    script = "import sys, eiclip.storage.code_version; sys.exit(len({'torch', 'duckdb', 'pyarrow'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_what_is_neutral_is_there_and_says_why():
    modules = definitions.names()
    for name, reason in {**NEUTRAL, **NEUTRAL_PACKAGES}.items():
        assert len(reason.split()) > 1, name
    assert [name for name in NEUTRAL if name not in modules] == []


def test_no_import_of_this_project_hides_what_it_brings():
    """Neither `import *` nor relative imports, nor names that are made up as the code runs, can be followed."""
    for name, path in definitions.names().items():
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.ImportFrom):
                assert node.level == 0, name
                assert node.names[0].name != "*", name
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in ("eval", "exec", "__import__", "globals"), name


def test_every_definition_can_be_read():
    """Each function and class of the library, whoever uses it."""
    for name in definitions.names():
        module = definitions.module_of(name)
        for definition in module.definitions:
            assert module.source(definition).path == definitions.names()[name]
