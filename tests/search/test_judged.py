"""Queries with known products: the measures against a brute-force order, the files they come in, and `eiclip judge`."""

import gzip
import json
from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from scipy import stats

from eiclip.errors import RawDataError
from eiclip.model.variants import get_variant
from eiclip.search.engine import SearchEngine
from eiclip.search.index import SearchIndex
from eiclip.search.judged import MEASURED, Asked, figures, judged, name_queries, read_queries
from eiclip.search.query import MAX_QUERY
from pipelines.cli import main
from tests.search.conftest import DATASET, small_home

ROWS = [("b0 coat", "p0"), ("b0 coat", "p3"), ("B1 coats", "p1"), ("b2 number", "p5"), ("number", "p2")]

OTHERS = {"clip_pretrained": "text", "clip_entities_text": "joint", "eiclip_equal": "image"}  # and the view to rank


def rows_of(pairs):
    return pa.table({name: [pair[n] for pair in pairs] for n, name in enumerate(("query", "product_id"))})


@pytest.fixture(scope="module")
def others(tmp_path_factory, shop):
    """A home with models of the rows of Table 1 that the usual one lacks."""
    return small_home(tmp_path_factory.mktemp("judged"), shop, tuple(OTHERS))


def crowd(engine, texts, products=60):
    """The engine with a larger index: near a query's vector in places, many products exactly alike."""
    draw = np.random.default_rng(5)
    near_ND = engine.model.encode_text(texts)[draw.integers(len(texts), size=products)]
    vector_ND = near_ND + draw.normal(size=near_ND.shape) * 0.05
    vector_ND[products // 2 :] = vector_ND[draw.integers(products // 2, size=products - products // 2)]
    vector_ND = (vector_ND / np.linalg.norm(vector_ND, axis=1, keepdims=True)).astype(np.float32)
    ids = [f"q{number}" for number in range(products)]
    titles = [None, "", "Red coat", "red coat", "Blue, wide; shoe"]
    splits = ["test" if number % 3 else "train" for number in range(products)]
    facts = pa.table({"split": splits, "title": [titles[number % 5] for number in range(products)]})
    views = dict.fromkeys(("image", "text", "joint"), vector_ND)
    index = SearchIndex(DATASET, engine.index.variant, ids, views, facts, {})
    return SearchEngine(index, engine.model, engine.reader.linker, engine.shelf)


def brute(vector_D, ids, vectors, relevant):
    """Recall at 1 and 10 and MRR at 10 of one order of all candidates, irrelevant ones first where they tie."""
    scores = [float(np.dot(vector_D.astype(np.float64), own.astype(np.float64))) for own in vectors]
    keys = {
        name: (-score - (0 if name in relevant else 1e-6), name in relevant)
        for name, score in zip(ids, scores, strict=True)
    }
    order = sorted(ids, key=keys.get)
    shares = [100 * len(set(order[:k]) & relevant) / len(relevant) for k in (1, 10)]
    return [*shares, next((100 / rank for rank, name in enumerate(order[:10], 1) if name in relevant), 0)]


@pytest.mark.parametrize("split", ["all", "test"])
def test_the_measures_are_those_of_an_order_by_brute_force(engine, split):
    texts = ["b0 coat", "B1 coats", "b2 number", "number", "coat by b0"]
    large = crowd(engine, texts)
    draw = np.random.default_rng(1)
    wanted = {text: {f"q{n}" for n in draw.choice(60, size=many, replace=False)} for text, many in
              zip(texts, (1, 2, 5, 25, 60), strict=True)}  # fmt: skip
    rows = rows_of([(text, own) for text, names in wanted.items() for own in sorted(names)])
    found = judged(large, Asked.of(rows, large.index, split)).to_pylist()
    encode = engine.model.encode_text
    linked = {
        "b0 coat": encode("coat", {"brand": "b0"}), "B1 coats": encode("coats", {"brand": "b1"}),
        "coat by b0": encode("coat by", {"brand": "b0"}),
    }  # fmt: skip
    ids = [own for n, own in enumerate(large.index.product_ids) if split == "all" or n % 3]
    vectors = [large.index.views["image"][int(own[1:])] for own in ids]
    kept = [text for text in texts if wanted[text] & set(ids)]
    assert [(row["reading"], row["query"]) for row in found] == [
        (reading, text) for reading in ("plain words", "linked entities") for text in kept
    ]
    for row in found:
        text = row["query"]
        is_linked = row["reading"] == "linked entities" and text in linked
        vector = linked[text][0] if is_linked else encode(text)[0]
        expected = brute(vector, ids, vectors, wanted[text] & set(ids))
        assert [row["r1"], row["r10"], row["mrr10"]] == pytest.approx(expected)
        assert (row["linked"], row["relevant"]) == (is_linked, len(wanted[text] & set(ids)))
        assert row["candidates"] == len(ids)
    assert len({row["mrr10"] for row in found}) > 3, "not all alike"


def test_ties_count_against_the_model_but_not_among_relevant_products(engine):
    large = crowd(engine, ["coat"])
    same_ND = np.repeat(engine.model.encode_text("coat"), 60, axis=0)
    index = SearchIndex(
        DATASET, "eiclip", large.index.product_ids, {"image": same_ND, "joint": same_ND}, large.index.facts, {}
    )
    flat = SearchEngine(index, engine.model, engine.reader.linker, engine.shelf)
    one = judged(flat, Asked.of(rows_of([("coat", "q7")]), index)).to_pylist()[0]
    assert (one["r1"], one["r10"], one["mrr10"]) == (0, 0, 0)
    every = judged(flat, Asked.of(rows_of([("coat", own) for own in index.product_ids]), index)).to_pylist()[0]
    assert [every["r1"], every["r10"], every["mrr10"]] == pytest.approx([100 / 60, 1000 / 60, 100])


def test_every_row_of_table_1_reads_entities_in_its_own_way(others):
    for name, view in OTHERS.items():
        variant = get_variant(name)
        engine = SearchEngine.open(others.root, DATASET, name)
        found = judged(engine, Asked.of(rows_of(ROWS), engine.index), view).to_pylist()
        encode, entities = engine.model.encode_text, {}
        texts = {text: text for text, _ in ROWS}
        if variant.has_entities:
            texts |= {"b0 coat": "coat", "B1 coats": "coats"}
            entities = {"b0 coat": {"brand": "b0"}, "B1 coats": {"brand": "b1"}}
        elif variant.entities_as_text:  # its own text, written here by hand, read as plain words
            texts |= {"b0 coat": "b0. coat", "B1 coats": "b1. coats"}
        names = Counter(row["query"] for row in found if row["linked"])
        assert names == ({} if variant.row < 3 else {"b0 coat": 1, "B1 coats": 1})
        for row in found:
            text = row["query"]
            read = (texts[text], entities.get(text, {})) if row["reading"] == "linked entities" else (text, {})
            relevant = {own for query, own in ROWS if query == text}
            expected = brute(encode(*read)[0], engine.index.product_ids, engine.index.views[view], relevant)
            assert [row["r1"], row["r10"], row["mrr10"]] == pytest.approx(expected)
            assert (row["variant"], row["view"]) == (name, view)


def measured_rows(r1, r10, mrr10, relevant, linked=()):
    """A table of `judged` for queries a, b, c ...: each measure as a pair of columns, plain and linked."""
    rows = []
    for place, reading in enumerate(("plain words", "linked entities")):
        for n in range(len(relevant)):
            named = {"dataset": "d", "variant": "v", "view": "image", "reading": reading, "query": f"{n}"}
            values = {"r1": r1[place][n], "r10": r10[place][n], "mrr10": mrr10[place][n]}
            rows.append(
                named | values | {"linked": place == 1 and n in linked, "relevant": relevant[n], "candidates": 40}
            )
    return pa.Table.from_pylist(rows, schema=MEASURED)


def test_figures_are_means_with_intervals_over_queries():
    draw = np.random.default_rng(2)
    plain = draw.choice([0.0, 50.0, 100.0], size=(3, 300))
    linked = np.minimum(100, plain + draw.choice([0.0, 0.0, 50.0], size=(3, 300)))
    table = figures(measured_rows(*zip(plain, linked, strict=True), relevant=[1] * 150 + [4] * 150, linked=range(20)))
    first, second, difference, chance, best = table.to_pylist()
    for place, name in enumerate(("r1", "r10", "mrr10")):
        for row, values in ((first, plain), (second, linked), (difference, linked - plain)):
            assert row[name] == pytest.approx(values[place].mean())
            peer = stats.bootstrap((values[place],), np.mean, method="percentile", rng=np.random.default_rng(3))
            ends = (row[f"{name}_low"], row[f"{name}_high"])
            error = peer.standard_error
            assert ends == pytest.approx(tuple(peer.confidence_interval), abs=0.2 * error)
        assert chance[f"{name}_low"] is best[f"{name}_high"] is None
    assert {(row["queries"], row["linked"], row["candidates"]) for row in (first, chance, best)} == {(300, 20, 40)}
    assert [best["r1"], best["r10"], best["mrr10"]] == pytest.approx([62.5, 100, 100])
    assert [chance["r1"], chance["r10"]] == pytest.approx([2.5, 25])
    assert (
        figures(measured_rows(*zip(plain, linked, strict=True), relevant=[1] * 150 + [4] * 150, linked=range(20)))
        == table
    )


def test_figures_of_one_query_and_of_readings_alike():
    rows = figures(measured_rows(*[([20.0], [20.0])] * 3, relevant=[30])).to_pylist()
    assert [rows[2][name] for name in ("r1", "r1_low", "r1_high")] == [0, 0, 0]
    assert (rows[0]["r10_low"], rows[0]["r10_high"]) == (20, 20)
    assert rows[4]["r10"] == pytest.approx(100 / 3), "the first ten hold ten of thirty"


def test_names_are_queries_of_all_products_that_have_them(engine):
    index = crowd(engine, ["coat"]).index
    rows = name_queries(index, "train").to_pylist()
    named = {"Red coat": {f"q{n}" for n in range(2, 60, 5)}, "red coat": {f"q{n}" for n in range(3, 60, 5)}}
    named["Blue, wide; shoe"] = {f"q{n}" for n in range(4, 60, 5)}
    found = {name: {row["product_id"] for row in rows if row["query"] == name} for name in named}
    assert found == named, "of products of other splits too"
    assert len(rows) == 36
    with pytest.raises(RawDataError, match="no product of the split 'validation' has a title"):
        name_queries(index, "validation")


def test_names_written_to_a_file_are_read_back(engine, tmp_path):
    rows = name_queries(crowd(engine, ["coat"]).index, "test")
    pa.csv.write_csv(rows, tmp_path / "names.csv")
    assert read_queries(tmp_path / "names.csv") == rows
    pq.write_table(rows, tmp_path / "names.parquet")
    assert read_queries(tmp_path / "names.parquet") == rows


FORMS = {
    "comma.csv": "query,product_id\nred coat,10\n\"coat, wide\",011\nred coat,12\n\n",
    "semicolon.csv": "\ufeffnote;product_id;query\n-;10;red coat\n-;011; coat, wide \n-;12;red coat\n",
    "lines.jsonl": '{"query": "red coat", "product_id": 10}\n\n{"product_id": "011", "query": "coat, wide"}\n'
                   '{"query": "red coat", "product_id": 12.0}\n',
    "lists.jsonl": '{"query": "red coat", "product_ids": [10]}\n{"product_ids": ["011"], "query": "coat, wide"}\n'
                   '{"query": "red coat", "product_ids": ["12"]}\n',
}  # fmt: skip


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", FORMS)
def test_files_of_every_form_say_the_same(tmp_path, name, packed):
    content = FORMS[name].encode()
    (tmp_path / name).write_bytes(gzip.compress(content) if packed else content)
    pairs = list(zip(*read_queries(tmp_path / name).to_pydict().values(), strict=True))
    assert pairs == [("red coat", "10"), ("coat, wide", "011"), ("red coat", "12")]


def test_parquet_has_ids_of_any_type_and_lists(tmp_path):
    file = tmp_path / "queries.parquet"
    for ids in ([10, 11], ["10", "11"], [10.0, 11.0], [[10], [11]]):
        pq.write_table(pa.table({"query": ["coat", "shoe"], "product_id": ids}), file)
        assert read_queries(file)["product_id"].to_pylist() == ["10", "11"]
    pq.write_table(pa.table({"query": ["coat"], "product_id": [["a", "b"]]}), file)
    assert read_queries(file).to_pylist() == [{"query": "coat", "product_id": own} for own in "ab"]


BAD = [
    ("q.csv", "query,sku\nred,1\n", "no column 'product_id'; it has 'query', 'sku'. Rename"),
    ("q.csv", "query,product_id\n", "no queries; write a query and the id"),
    ("q.csv", "query,product_id\nred,1\n \t,2\n", "q.csv: row 2: no query; write its words in 'query'"),
    ("q.csv", "query,product_id\nred,1\n\nblue,\n", "q.csv: row 3: no product for 'blue'; write its id"),
    ("q.csv", "query,product_id\nred, wide,1\n", "q.csv: row 1: bad row: 3 cells, the header has 2; mend it"),
    ("q.csv", "", "empty; remove it, or give it a header"),
    ("q.jsonl", '{"query": "red", "product_id": "1"}\n{"query": \n', "q.jsonl: line 2: broken JSON"),
    ("q.jsonl", '{"query": "red"}\n', "q.jsonl: line 1: no product for 'red'"),
    ("q.jsonl", '{"query": "red", "product_ids": []}\n', "q.jsonl: line 1: no product for 'red'"),
    ("q.jsonl", '{"query": "red", "product_ids": ["1", null]}\n', "q.jsonl: line 1: no product for 'red'"),
    ("q.jsonl", '{"text": "red", "product_id": 1}\n', "q.jsonl: line 1: no query"),
    ("q.jsonl", '{"query": ["red"], "product_id": 1}\n', "q.jsonl: line 1: no query"),
]


@pytest.mark.parametrize(("name", "content", "said"), BAD)
def test_a_file_that_is_wrong_says_where(tmp_path, name, content, said):
    (tmp_path / name).write_text(content)
    with pytest.raises(RawDataError) as error:
        read_queries(tmp_path / name)
    assert str(error.value).startswith(str(tmp_path / name))
    assert said in str(error.value)


def test_no_file_and_no_parquet(tmp_path):
    with pytest.raises(RawDataError, match=r"none\.csv: no such file; put it there"):
        read_queries(tmp_path / "none.csv")
    (tmp_path / "cut.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(RawDataError, match=r"cut\.parquet: damaged or cut short"):
        read_queries(tmp_path / "cut.parquet")
    pq.write_table(pa.table({"query": [None], "product_id": ["1"]}), tmp_path / "null.parquet")
    with pytest.raises(RawDataError, match=r"null\.parquet: row 1: no query"):
        read_queries(tmp_path / "null.parquet")


def test_what_the_index_does_not_have_is_counted_and_named(engine):
    long = "b0 " + "x" * MAX_QUERY
    rows = rows_of(
        [("coat", "p1"), ("coat", "u1"), ("shoe", "u2"), ("hat", "u3"), ("hat", "u1"), ("hat", "u4"), (long, "p2")]
    )
    asked = Asked.of(rows, engine.index)
    assert asked.texts == ["coat", long]
    assert [places.tolist() for places in asked.relevant] == [[1], [2]]
    assert asked.notes[:2] == [
        "product ids that are not among the 6 products of shop, and do not count: 4 ('u1', 'u2', 'u3', ...)",
        "queries without a relevant product there, left out of 4: 2 ('shoe', 'hat')",
    ]
    assert asked.notes[2].startswith("queries of which only the first 2,000 characters are read: 1 ('b0 xxx")
    cut = judged(engine, asked).to_pylist()[1]
    whole = judged(engine, Asked.of(rows_of([(long[:MAX_QUERY], "p2")]), engine.index)).to_pylist()[0]
    assert cut["mrr10"] == whole["mrr10"]
    with pytest.raises(
        RawDataError, match=r"q\.csv: none of 1 queries has .* 6 products of shop; ids look like p0, p1"
    ):
        Asked.of(rows_of([("coat", "u1")]), engine.index, source="q.csv")
    with pytest.raises(RawDataError, match="among the 3 products of shop, split test"):
        Asked.of(rows_of([("coat", "p0")]), engine.index, "test")


def called(capsys, *arguments):
    """Status, output and errors of `eiclip judge` in this process."""
    status = main(["judge", *map(str, arguments)])
    return status, *capsys.readouterr()


@pytest.fixture
def file(tmp_path):
    """A file of queries of the small shop, with one product that it does not have."""
    pa.csv.write_csv(rows_of([*ROWS, ("number", "u1")]), tmp_path / "queries.csv")
    return tmp_path / "queries.csv"


def test_the_command_prints_what_the_functions_find(home, engine, file, capsys):
    options = ("--home", home.root, "--variant", "eiclip", "--view", "joint", "--split", "test", "--json")
    status, output, errors = called(capsys, file, *options)
    assert (status, errors) == (0, "")
    asked = Asked.of(read_queries(file), engine.index, "test")
    answer = json.loads(output)
    assert answer["notes"] == asked.notes
    assert len(asked.notes) == 2
    expected = figures(judged(engine, asked, "joint")).to_pylist()
    assert answer["figures"] == json.loads(json.dumps(expected))


def test_the_command_shows_a_table(home, file, capsys):
    status, output, errors = called(capsys, file, "--home", home.root)
    assert (status, errors) == (0, "")
    lines = output.splitlines()
    assert lines[0] == "note: product ids that are not among the 6 products of shop, and do not count: 1 ('u1')"
    assert lines[1] == "4 queries, 2 of them with linked entities; among 6 products of shop, view image, by eiclip"
    assert lines[3].split() == ["reading", "R@1", "R@10", "MRR@10"]
    starts = ["plain words", "linked entities", "linked - plain", "chance", "best possible"]
    assert all(line.startswith(start) for line, start in zip(lines[4:], starts, strict=True))
    assert "100.0 [100.0, 100.0]" in lines[4], "six products are all among the first ten"
    assert "+0.0 [+0.0, +0.0]" in lines[6]
    assert lines[7].split() == ["chance", "16.7", "100.0", pytest.approx(lines[7].split()[3])]


def test_names_are_judged_without_a_file(home, capsys):
    status, output, _ = called(capsys, "--names", "test", "--home", home.root, "--variant", "clip_description")
    assert status == 0
    assert "note: clip_description reads no entities: both readings are the same" in output
    assert "3 queries, 0 of them with linked entities; among 6 products" in output


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["nowhere.csv"], "nowhere.csv: no such file"),
        (["--names", "test", "--variant", "nope"], "no model shop/nope; there are those of shop: eiclip"),
        (["--names", "test", "--dataset", "nope"], "there are datasets: shop"),
        (["--names", "train", "--split", "test"], "--names train: none of 2 queries has a relevant product among"),
    ],
)
def test_errors_are_one_line_and_status_1(home, capsys, options, said):
    status, output, errors = called(capsys, "--home", home.root, *options)
    assert (status, output) == (1, "")
    assert said in errors
    assert (errors[:8], errors.count("\n")) == ("eiclip: ", 1)


@pytest.mark.parametrize(
    "options", ["", "q.csv --names test", "--names all", "q.csv --view side", "q.csv --split train"]
)
def test_a_wrong_command_line_is_status_2(options):
    with pytest.raises(SystemExit, match="^2$"):
        main(["judge", *options.split()])
