"""The assets of judged queries: a file's rows beside the generated ones, and what is of no use told."""

import pyarrow.parquet as pq
import pytest

from assets.common import Project
from assets.judged_queries import steps
from eiclip.settings.load import AMAZON, load_settings
from eiclip.settings.queries import QuerySettings
from eiclip.storage.cache import make_once
from eiclip.storage.home import Paths
from tests.search.conftest import DATASET, small_home

LINES = ("b0 coat,p0,2", "b0 coat,p0,1", "B1 coats,p1,1", "coat,gone,1", ",p1,1", "hat,,1", "hat,p1,high")


@pytest.fixture
def made(tmp_path, shop):
    """The project, the declared outputs of row 5 by table, and what each came to."""
    home = small_home(tmp_path / "home", shop, ("eiclip",))
    for table in ("products", "product_entities", "images", "entity_spellings", "entity_vocabulary", "semantic_prior"):
        [file] = home.lake.files(table, DATASET)
        rows = pq.read_table(file)
        make_once(file, {"test": table}, lambda rows=rows, file=file: home.lake.write_file(rows, file) or {})
    (tmp_path / "q.csv").write_text("query,product_id,grade\n" + "".join(f"{line}\n" for line in LINES))
    queries = QuerySettings(file=str(tmp_path / "q.csv"), minimum=1)
    dataset = AMAZON.model_copy(update={"queries": queries})
    settings = load_settings(home=home.root).model_copy(update={"datasets": {DATASET: dataset}})
    project = Project(settings, Paths(settings.home))
    first = steps(project, DATASET, dataset)[0]
    outputs = {output.key[1]: output for output in first.outputs}
    return project, outputs, {name: output.make_once(project) for name, output in outputs.items()}


def test_the_files_queries_stand_beside_the_generated_ones(made):
    project, outputs, facts = made
    rows = pq.read_table(outputs["judged_queries"].at(project)).to_pylist()
    of_file = [
        (row["query"], row["product_id"], row["grade"], row["split"]) for row in rows if row["source"] == "q.csv"
    ]
    assert of_file == [("B1 coats", "p1", 1, "train"), ("b0 coat", "p0", 2, "train"), ("coat", "gone", 1, None)]
    generated = pq.read_table(outputs["generated_queries"].at(project)).to_pylist()
    assert [row for row in generated if row["kind"] == "brand and subcategory"]
    assert len(generated) + len(of_file) == len(rows)
    found = facts["judged_queries"].facts
    assert (found["queries of the file"], found["rows rejected"]) == (3, 3)
    assert "1 ('b0 coat')" in found["notes"]


def test_what_is_of_no_use_is_kept_and_told(made):
    project, outputs, facts = made
    rejected = pq.read_table(project.paths.lake.path("judged_query_rejections", DATASET)).to_pylist()
    assert [(row["place"], row["reason"].split(":")[0]) for row in rejected] == [
        (5, "no query"), (6, "no product"), (7, "bad grade"),
    ]  # fmt: skip
    judged = outputs["judged_queries"]
    [check] = judged.checks
    assert not check.blocking
    passed, _, found = check.result(project, judged.key, facts["judged_queries"], judged.at(project))
    assert not passed
    assert found["offenders"] == 4
    assert "gone" in " ".join(found["examples"])
