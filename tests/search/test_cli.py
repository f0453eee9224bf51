"""`eiclip search` as a process of its own, and its options against the engine."""

import json
import subprocess
import sys
from dataclasses import asdict
from importlib.metadata import version

import pytest

from eiclip.search import Query
from pipelines.cli import main
from tests.search.conftest import small_home

TORCH = 7  # a status that nothing else ends with


def run(*arguments, **more):
    command = [sys.executable, "-c", "import sys, pipelines.cli; sys.exit(pipelines.cli.main())", "search"]
    command += map(str, arguments)
    return subprocess.run(command, capture_output=True, text=True, check=False, **more)


def called(capsys, *arguments):
    """Status, output and errors of the command in this process."""
    status = main(["search", *map(str, arguments)])
    return status, *capsys.readouterr()


def same(found, answer):
    expected = json.loads(json.dumps(asdict(answer)))
    for one in (found, expected):
        del one["seconds"]
    for hit, wanted in zip(found.pop("hits"), expected.pop("hits"), strict=True):
        assert hit.pop("by_view") == pytest.approx(wanted.pop("by_view"), abs=1e-5)
        assert hit.pop("score") == pytest.approx(wanted.pop("score"), abs=1e-5)
        assert hit == wanted
    assert found.pop("gates") == pytest.approx(expected.pop("gates"), abs=1e-5)
    assert found == expected


def test_a_process_answers_in_json_and_in_words(home, engine, tmp_path):
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(engine.photo("p3"))
    done = run("--home", home.root, "--image", photo, "--text", "b1 coat", "--without", "number", "--top", 3, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    same(json.loads(done.stdout), engine.search(Query(image=str(photo), text="b1 coat", negative="number", top=3)))
    environment = {"EICLIP_HOME": str(home.root), "PATH": ""}
    shown = run("--text", "B2 coats by b0", "--brand", "acme", env=environment, cwd=tmp_path)
    assert (shown.returncode, shown.stderr) == (0, "")
    lines = shown.stdout.splitlines()
    assert lines[0].startswith("only suggested 'B2': brand 'b2'")
    assert "unknown brand: 'acme'" in lines
    assert [line.split()[0] for line in lines if line[:1].isdigit()] == ["1", "2", "3", "4", "5", "6", "6"]
    assert "Item p3" in shown.stdout


OPTIONS = [
    (["--like", "p2"], Query(product_id="p2", top=10)),
    (["--text", "b0 coat", "--no-linking"], Query(text="b0 coat", link=False, top=10)),
    (["--text", "b0 coat", "--unlink", "brand=b0"], Query(text="b0 coat", unlink=("brand=b0",), top=10)),
    (
        ["--brand", "b0", "--entity", "season=FW2016", "--filter", "brand=b1", "--filter", "brand=b2", "--view=image"],
        Query(
            entities={"brand": ("b0",), "season": ("FW2016",)}, filters={"brand": ("b1", "b2")}, view="image", top=10
        ),
    ),
    (
        ["--text", "x", "--price", "-40", "--sort=-price", "--top", "2", "--page", "2", "--facets"],
        Query(text="x", price=(None, 40), sort="-price", top=2, offset=2, facets=True),
    ),
    (["--text", "x", "--price", "10.5-", "--available"], Query(text="x", price=(10.5, None), available=True, top=10)),
    (["--text", "x", "--price", "10 - 20", "--sort", "price"], Query(text="x", price=(10, 20), sort="price", top=10)),
    (
        ["--like", "p0", "--take-out", "brand=b0", "--put-in", "brand=b1", "--text", "x", "--image-weight", "0.7"],
        Query(product_id="p0", remove={"brand": "b0"}, add={"brand": "b1"}, text="x", image_weight=0.7, top=10),
    ),
]


@pytest.mark.parametrize(("options", "query"), OPTIONS)
def test_every_option_is_the_querys(home, engine, capsys, options, query):
    status, output, errors = called(capsys, "--home", home.root, "--variant", "eiclip", "--json", *options)
    assert (status, errors) == (0, "")
    same(json.loads(output), engine.search(query))


def test_the_variant_can_be_named(home, capsys):
    options = ("--variant", "clip_description", "--text", "x", "--brand", "b0")
    status, output, _ = called(capsys, "--home", home.root, *options)
    assert status == 0
    assert "note: clip_description reads no entities" in output


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "nothing to search by"),
        (["--text", "x", "--variant", "nope"], "no model shop/nope; there are those of shop: eiclip, clip_description"),
        (["--text", "x", "--variant", "eiclp"], "eiclip, clip_description; did you mean 'eiclip'?"),
        (["--text", "x", "--dataset", "nope"], "no model nope/same_style; there are datasets: shop"),
        (["--text", "x", "--dataset", "shopp"], "there are datasets: shop; did you mean 'shop'?"),
        (["--like", "p77"], "product 'p77' is not among the 6 products"),
        (["--image", "/nowhere.jpg"], "--image: unreadable photo: /nowhere.jpg: No such file"),
        (["--image", __file__], "--image: "),
        (["--text", "x", "--entity", "sason=fw2016"], "groups are: brand, season; did you mean 'season'?"),
        (["--text", "x", "--filter", "brnd=b0"], "they have: brand, category, season; did you mean 'brand'?"),
        (["--text", "x", "--top", "0"], "top 0: ask for"),
        (["--text", "x", "--page", "0"], "--page 0: pages count from 1"),
        (["--text", "x", "--price", "40-20"], "no price is at least 40 and at most 20"),
    ],
)
def test_errors_are_one_line_and_status_1(home, capsys, options, said):
    status, output, errors = called(capsys, "--home", home.root, *options)
    assert (status, output) == (1, "")
    assert said in errors
    assert errors.startswith("eiclip: ")
    assert errors.count("\n") == 1


def test_a_home_of_nothing_or_of_several_datasets(tmp_path, shop, capsys):
    assert "no trained model; run `make full_eval`" in called(capsys, "--home", tmp_path, "--text", "x")[2]
    small_home(tmp_path, shop, ("eiclip",), views=False)
    (tmp_path / "models" / "other").symlink_to(tmp_path / "models" / "shop")
    assert "has models of other, shop: name one with --dataset" in called(capsys, "--home", tmp_path, "--text", "x")[2]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("search --text x --filter brand", "'brand' is no GROUP=VALUE"),
        ("search --text x --entity =x", "'=x' is no GROUP=VALUE"),
        ("search --text x --top many", "--top: invalid int value: 'many'"),
        ("search --text x --price 20", "'20' is no range of prices"),
        ("search --text x --price a-b", "'a-b' is no range of prices"),
        ("search --text x --price -", "'-' is no range of prices"),
        ("search --text x --sort cheap", "--sort: invalid choice: 'cheap'"),
        ("search --text x --view side", "--view: invalid choice: 'side'"),
        ("search --text x --nope", "no option --nope"),
        ("search --txt x", "no option --txt; the dataset's groups: brand, season; did you mean '--text'?"),
        ("search --seasn=fw2016", "did you mean '--season'?"),
        ("search --brand b0 --colour red", "no option --colour; the dataset's groups: brand, season"),
        ("search boots", "no option boots; words to search by follow --text: --text boots"),
        (
            "serach --text x",
            "no command 'serach': there are search, evaluate, judge, export, status; did you mean 'search'?",
        ),
        ("evaluate --name test", "did you mean '--names'?"),
        ("export --too parquet x", "did you mean '--to'?"),
    ],
)
def test_a_wrong_command_line_is_status_2(home, options, said, capsys, monkeypatch):
    monkeypatch.setenv("EICLIP_HOME", str(home.root))
    with pytest.raises(SystemExit, match="^2$"):
        main(options.split())
    assert said in capsys.readouterr().err


def test_a_misspelt_value_is_answered_with_the_nearest(home, capsys):
    options = ("--home", home.root, "--variant", "eiclip", "--text", "coat")
    assert (
        "note: no season 'fw2061' is known; did you mean 'fw2016'?" in called(capsys, *options, "--season", "fw2061")[1]
    )
    assert (
        "note: no product has the category 'coast'; did you mean 'coats'?"
        in called(capsys, *options, "--filter", "category=coast")[1]
    )


def test_the_version_and_the_older_name_of_evaluate(home, capsys):
    with pytest.raises(SystemExit, match="^0$"):
        main(["--version"])
    assert capsys.readouterr().out == f"eiclip {version('eiclip')}\n"
    found = []
    for name in ("evaluate", "judge"):
        assert main([name, "--home", str(home.root), "--variant", "eiclip", "--names", "test", "--json"]) == 0
        found.append(capsys.readouterr().out)
    assert found[0] == found[1]


def test_what_is_told_or_answered_without_a_model(home, capsys, tmp_path):
    """No torch: in a process of its own, whose exit status says whether it was imported."""
    assert called(capsys, "--home", home.root, "--variant", "eiclip", "--text", "b0 coat")[0] == 0
    code = f"""
import sys, pipelines.cli
try:
    pipelines.cli.main(sys.argv[1:])
finally:
    sys.exit({TORCH} * ('torch' in sys.modules))
"""
    for options in (
        ["search", "--help"],
        ["search", "--text", "x", "--dataset", "shopp"],
        ["search", "--image", __file__],
        ["search", "--text", " "],
        ["search", "--text", "x", "--brnd", "b0"],
        ["search", "--text", "x", "--filter", "brnd=b0"],
        ["search", "--like", "nope"],
        ["search", "--like", "p1", "--filter", "brand=b0"],
        ["search", "--text", "b0 coat", "--variant", "eiclip", "--filter", "category=coats"],  # asked before
        ["export", tmp_path / "products.parquet"],
    ):
        command = [sys.executable, "-c", code, *map(str, options)]
        done = subprocess.run(command, env={"EICLIP_HOME": str(home.root)}, capture_output=True, text=True, check=False)
        assert done.returncode != TORCH, (options, done.stderr)
        assert "Traceback" not in done.stderr
