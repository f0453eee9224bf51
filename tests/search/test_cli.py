"""`eiclip search` as a process of its own, and its options against the engine."""

import json
import subprocess
import sys
from dataclasses import asdict

import pytest

from eiclip.search import Query
from pipelines.cli import main
from tests.search.conftest import small_home


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
        (["--text", "x", "--dataset", "nope"], "no model nope/same_style; there are datasets: shop"),
        (["--like", "p77"], "product 'p77' is not among the 6 products"),
        (["--image", "/nowhere.jpg"], "photo 0: "),
        (["--text", "x", "--colour", "red"], "no entity group 'colour'"),
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


WRONG = ("--filter brand", "--entity =x", "--top many", "--view side", "--nope", "--price 20", "--price a-b", 
         "--price -", "--sort cheap")  # fmt: skip


@pytest.mark.parametrize("options", WRONG)
def test_a_wrong_command_line_is_status_2(options, capsys):
    with pytest.raises(SystemExit, match="^2$"):
        main(["search", "--text", "x", *options.split()])
    assert options.split()[0] in capsys.readouterr().err


def test_help_needs_no_torch():
    code = "import sys, eiclip.search.cli, eiclip.search; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
