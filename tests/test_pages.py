"""README.md, docs/search.md and docs/serving.md: every command and block runs as it is printed, in order.

From a checkout that has nothing made yet, after the command that the pages name first. A block that does not run has a
comment above it that says why (`<!-- not run: ... -->`); single commands that do not are in `ELSEWHERE`.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import httpx
import numpy as np
import pytest

from eiclip.model.sources import HUB
from eiclip.search import Query, SearchEngine
from eiclip.settings.load import load_settings
from eiclip.storage.catalogue import connect
from tests.pages import ROOT, blocks

PAGES = ("README.md", "docs/search.md", "docs/serving.md")
MADE_FIRST = "make full_eval"
SERVERS = {"make search": 8000, "make ui": 3000}  # and the ports that the pages say
ELSEWHERE = {
    "make test": "it is what runs this",
    "make same_style": "tests/pipelines/test_same_style.py runs the job, of a dataset that is not in this home",
}
SMALL = {
    "EICLIP_DATASETS": json.dumps(
        {"fashiongen": {"kind": "fashiongen", "entity_groups": ["brand", "subcategory", "season", "composition"]}}
    ),
    "EICLIP_EMBEDDED__FASHIONGEN_TRAIN": "120",
    "EICLIP_EMBEDDED__FASHIONGEN_TEST": "40",
    "EICLIP_EMBEDDED__GENERAL_IMAGES": "128",
    "EICLIP_EMBEDDED__PRETRAINING_EPOCHS": "1",
    "EICLIP_TRAINING__EPOCHS": "1",
    "EICLIP_TRAINING__BATCH_SIZE": "32",
    "EICLIP_DEVICE": "cpu",
}
PARTS = (".envrc", "assets", "benchmarks", "configs", "dagster.yaml", "docs", "eiclip", "pipelines", "sql")
OURS = re.compile(r"(EICLIP|DAGSTER)_|MAKE|MFLAGS|PORT$")


class Checkout:
    """A folder with the project in it and nothing made, where commands run as they do in the first hour."""

    def __init__(self, folder):
        self.folder = folder
        self.done = set()
        for name in (*PARTS, "Makefile", "workspace.yaml", "pyproject.toml", "constraints.txt"):
            (folder / name).symlink_to(ROOT / name)
        (folder / ".venv").mkdir()
        for part in Path(sys.prefix).iterdir():
            if part.name != ".installed":
                (folder / ".venv" / part.name).symlink_to(part)
        (folder / ".venv" / ".installed").touch()  # newer than pyproject.toml: `make` has nothing to install
        self.environment = {name: value for name, value in os.environ.items() if not OURS.match(name)}
        self.environment |= SMALL | {"PYTHONPATH": str(folder)}
        self.servers = {}

    def shell(self, text, **environment):
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", text],
            cwd=self.folder,
            env=self.environment | environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{text}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
        return done.stdout

    def commands(self, text):
        """Run the commands of a block; what serves is started, asked for its first page, and left running."""
        for served, port in SERVERS.items():
            if f"127.0.0.1:{port}" in text:
                self.serve(served)
                text = text.replace(f"127.0.0.1:{port}", f"127.0.0.1:{self.servers[served][1]}")
        lines = [line.partition(" #")[0].strip() for line in text.splitlines()]
        for line in {*lines} & {*SERVERS}:
            self.serve(line)
        left = [line for line in lines if line not in {*SERVERS, *ELSEWHERE, *self.done}]
        self.done.update(line for line in left if line.startswith("make "))
        return self.shell("\n".join(left))

    def serve(self, command):
        if command in self.servers:
            return
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        process = subprocess.Popen(
            ["bash", "-c", command],
            cwd=self.folder,
            env=self.environment | {"PORT": str(port)},
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.servers[command] = process, port
        for _ in range(1200):
            assert process.poll() is None, f"{command} has ended"
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"http://127.0.0.1:{port}/", timeout=30).status_code == 200:
                    return
            time.sleep(0.1)
        raise AssertionError(f"{command} does not answer")

    def end(self):
        for process, _ in self.servers.values():
            os.killpg(process.pid, signal.SIGTERM)
        for process, _ in self.servers.values():
            process.wait()
        self.servers.clear()


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    if shutil.which("curl") is None or shutil.which("make") is None:
        pytest.skip("the pages' commands need make and curl")
    checkout = Checkout(tmp_path_factory.mktemp("checkout"))
    try:
        checkout.commands(MADE_FIRST)
        yield checkout
    finally:
        checkout.end()


@pytest.fixture(autouse=True)
def in_the_checkout(checkout, monkeypatch):
    monkeypatch.chdir(checkout.folder)
    for name, value in SMALL.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="module")
def names():
    """What the Python of each page has defined so far."""
    return {page: {} for page in PAGES}


RUN = [block for page in PAGES for block in blocks(page) if block.run]


@pytest.mark.parametrize("block", RUN, ids=[f"{block.page}:{block.line}" for block in RUN])
def test_a_block_runs_as_printed(checkout, names, block, monkeypatch):
    if block.language in ("bash", "sh"):
        assert '"error"' not in checkout.commands(block.text)
    elif block.language == "python":
        exec(compile(block.text, f"{block.page}:{block.line}", "exec"), names[block.page])
    elif block.language == "sql":
        with duckdb.connect("data/eiclip.duckdb", read_only=True) as connection:
            assert connection.execute(block.text).fetchall()
    elif block.language == "toml":
        Path("block.toml").write_text(block.text, encoding="utf-8")
        monkeypatch.setenv("EICLIP_SETTINGS", "block.toml")
        monkeypatch.delenv("EICLIP_DATASETS")
        [named] = set(re.findall(r"^\[datasets\.(\w+)", block.text, re.MULTILINE))
        assert named in load_settings().datasets
    else:
        raise AssertionError(f"{block.language}: no way to run it is known")


COMMANDS = re.findall(r"`(.+?)`", "\n".join(re.findall(r"^\| (`.+?`) \|", (ROOT / "README.md").read_text().split(
    "## Commands")[1].split("\n## ")[0], re.MULTILINE)))  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_readmes_table_runs(checkout, command):
    checkout.commands(command)


def test_what_is_said_not_to_run_is_there():
    commands = [line.partition(" #")[0].strip() for block in blocks("README.md") for line in block.text.splitlines()]
    assert {MADE_FIRST, *ELSEWHERE, *SERVERS} <= {*commands, *COMMANDS}


def test_the_python_of_search_answers_as_the_page_says(names):
    found = names["docs/search.md"]
    hits = [hit.product_id for hit in found["answer"].hits]
    assert len(hits) == 5
    assert found["photo"].startswith(b"\xff\xd8")
    assert hits[0] not in [hit.product_id for hit in found["like_it"][1].hits]


def test_the_sql_of_search_finds_what_the_engine_finds(checkout):
    [text] = [block.text for block in blocks("docs/search.md", "sql") if "list_inner_product" in block.text]
    with connect(checkout.folder / "data") as connection:
        found = connection.execute(text).fetchall()
    engine = SearchEngine.open(checkout.folder / "data", "fashiongen", "eiclip")
    hits = engine.search(Query(product_id=found[0][0], top=200, by="vectors")).hits
    ranked = {hit.product_id: hit for hit in hits}  # of a model hardly trained many are as near: in any order
    assert np.allclose([row[3] for row in found], [hit.score for hit in hits[:5]], atol=1e-3)
    assert np.allclose([row[3] for row in found], [ranked[row[1]].score for row in found], atol=1e-3)
    assert np.allclose([row[4] for row in found], [ranked[row[1]].by_view["image"] for row in found], atol=1e-3)
    assert np.allclose([row[5] for row in found], [ranked[row[1]].by_view["text"] for row in found], atol=1e-3)


def test_the_embeddings_of_serving_are_as_the_page_says(names):
    done = names["docs/serving.md"]
    assert done["images"].shape == done["texts"].shape == (2, done["model"].width)
    assert done["similarities"].shape == (2, 2)
    assert done["images"].dtype == np.float32


def test_numpy_and_duckdb_find_the_same_products(names):
    done = names["docs/serving.md"]
    of = dict(zip(done["products"]["product_id"], done["vectors"] @ done["query"], strict=True))
    assert [of[row[0]] for row in done["found"]] == pytest.approx([row[1] for row in done["found"]], abs=1e-5)
    nearest = (done["vectors"] @ done["query"])[done["best"]]
    assert [row[1] for row in done["found"]] == pytest.approx(nearest, abs=1e-5)


def test_a_store_of_ones_own_finds_what_search_finds(names):
    done = names["docs/serving.md"]
    views = duckdb.sql("SELECT product_id, joint FROM 'data/search/fashiongen/eiclip.parquet'").fetchnumpy()
    score_N = np.stack(views["joint"]) @ done["query"]
    of = dict(zip(views["product_id"], score_N, strict=True))
    assert [of[row["product_id"]] for row in done["near"]] == pytest.approx(np.sort(score_N)[:-4:-1], abs=1e-5)
    assert [1 - row["_distance"] for row in done["near"]] == pytest.approx(np.sort(score_N)[:-4:-1], abs=1e-5)


def test_open_clip_alone_agrees_but_for_the_jpeg_and_the_entities(names):
    done = names["docs/serving.md"]
    assert float(done["image"][0].numpy() @ done["images"][0]) > 0.99
    assert np.allclose(done["text"].numpy(), done["model"].encode_text("a leather sneaker"), atol=1e-5)


def test_serving_names_every_file_of_a_folder_and_towers_every_kind_of_weights():
    page, towers = ((ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("serving.md", "towers.md"))
    for variant in ("eiclip", "eiclip_plus"):
        for file in Path("data/models/fashiongen", variant).iterdir():
            assert f"`{file.name}`" in page, file.name
    assert all(f"`{suffix}`" in towers for suffix in (".safetensors", ".pt", ".bin"))
    assert f"`{HUB}org/name`" in towers
