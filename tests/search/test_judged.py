"""Queries with known products: the measures against a brute-force order and ranx, their figures, and `eiclip judge`."""

import json
from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest
import ranx
from scipy import stats

from eiclip.errors import RawDataError
from eiclip.model.variants import get_variant
from eiclip.readers.queries import QUERIES, read_queries
from eiclip.search.engine import SearchEngine
from eiclip.search.index import SearchIndex
from eiclip.search.judged import MEASURED, MEASURES, READINGS, Asked, figures, judged, worst
from eiclip.search.query import MAX_QUERY
from pipelines.cli import main
from tests.search.conftest import DATASET, small_home

ROWS = [("b0 coat", "p0"), ("b0 coat", "p3"), ("B1 coats", "p1"), ("b2 number", "p5"), ("number", "p2")]

OTHERS = {"clip_pretrained": "text", "clip_entities_text": "joint", "eiclip_equal": "image"}  # and the view to rank


VECTORS = ("plain words", "linked entities")


def rows_of(pairs, kind="file"):
    """Queries and products, with a grade or without, as a table."""
    rows = [(kind, query, product, *(rest or (1,))) for query, product, *rest in pairs]
    return pa.table(list(map(list, zip(*rows, strict=True))), schema=QUERIES)


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
    none = pa.nulls(products, pa.string())
    facts = pa.table({"split": splits, "title": [titles[n % 5] for n in range(products)], "description": none})
    facts = facts.append_column("price", pa.nulls(products, pa.float64()))
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
    found = judged(large, Asked.of(rows, large.index, split), readings=VECTORS).to_pylist()
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
        DATASET,
        "eiclip",
        large.index.product_ids,
        dict.fromkeys(("image", "text", "joint"), same_ND),
        large.index.facts,
        {},
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
        found = judged(engine, Asked.of(rows_of(ROWS), engine.index), view, VECTORS).to_pylist()
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


def test_graded_measures_agree_with_ranx(engine):
    large, draw = crowd(engine, ["coat"]), np.random.default_rng(4)
    vector_ND = draw.normal(size=large.index.views["image"].shape).astype(np.float32)
    vector_ND /= np.linalg.norm(vector_ND, axis=1, keepdims=True)
    index = SearchIndex(DATASET, "eiclip", large.index.product_ids, {"image": vector_ND, "joint": vector_ND},
                        large.index.facts, {})  # fmt: skip
    scattered = SearchEngine(index, engine.model, engine.reader.linker, engine.shelf)
    texts = {f"coat {number}": many for number, many in enumerate((1, 3, 12, 40))}
    grades = {text: {f"q{n}": int(draw.integers(4)) or 2 for n in draw.choice(60, many, replace=False)}
              for text, many in texts.items()}  # fmt: skip
    rows = rows_of([(text, own, grade) for text, products in grades.items() for own, grade in products.items()])
    found = judged(scattered, Asked.of(rows, index), readings=["plain words"])
    scores = {text: dict(zip(index.product_ids, (vector_ND @ engine.model.encode_text(text)[0]).tolist(), strict=True))
              for text in texts}  # fmt: skip
    names = ["recall@1", "recall@10", "mrr@10", "ndcg@10", "precision@10"]
    run = ranx.Run(scores)
    ranx.evaluate(ranx.Qrels(grades), run, names)
    for row in found.to_pylist():
        theirs = [100 * run.scores[name][row["query"]] for name in names]
        assert [row[name] for name in MEASURES] == pytest.approx(theirs), row["query"]


def test_products_of_grade_0_are_irrelevant_and_the_highest_of_several_grades_counts(engine):
    rows = rows_of([("coat", "p0", 0), ("coat", "p1", 1), ("coat", "p1", 3), ("shoe", "p2", 0)])
    asked = Asked.of(rows, engine.index)
    assert (asked.texts, [own.tolist() for own in asked.relevant]) == (["coat"], [[1]])
    assert [own.tolist() for own in asked.grades] == [[3]]
    assert asked.notes == ["queries without a relevant product there, left out of 2: 1 ('shoe')"]


def test_the_same_words_of_two_kinds_are_two_queries(engine):
    rows = pa.concat_tables([rows_of([("coat", "p0")], "names"), rows_of([("coat", "p1"), ("coat", "p2")], "tags")])
    asked = Asked.of(rows, engine.index)
    assert (asked.kinds, list(map(len, asked.relevant))) == (["names", "tags"], [1, 2])
    measured = judged(engine, asked)
    assert measured["reading"].unique().to_pylist() == list(READINGS)
    found = figures(measured).to_pylist()
    assert {(row["kind"], row["queries"]) for row in found} == {("names", 1), ("tags", 1)}


def test_kinds_of_tags_are_also_taken_together_and_the_worst_come_first(engine):
    kinds = ("subcategory", "brand and subcategory", "names")
    rows = pa.concat_tables([rows_of([(f"coat {number}", f"p{number}")], kind) for number, kind in enumerate(kinds)])
    measured = judged(engine, Asked.of(rows, engine.index), readings=["plain words"])
    found = {row["kind"]: row for row in figures(measured).to_pylist() if row["reading"] == "plain words"}
    assert list(found) == [*kinds, "tags"]
    assert found["tags"]["ndcg10"] == pytest.approx(np.mean([found[kind]["ndcg10"] for kind in kinds[:2]]))
    ranked = worst(measured, 2).to_pylist()
    assert [row["ndcg10"] for row in ranked] == sorted(measured["ndcg10"].to_pylist())[:2]


def measured_rows(values, relevant, linked=()):
    """A table of `judged` for queries 0, 1, 2 ...: of each reading all `MEASURES` (M, Q)."""
    rows = []
    for reading, measures_MQ in values.items():
        for n, own in enumerate(relevant):
            named = {"dataset": "d", "variant": "v", "view": "image", "kind": "k", "reading": reading, "query": f"{n}"}
            numbers = dict(zip(MEASURES, measures_MQ[:, n], strict=True)) | {"chance_ndcg10": 2.0, "rank": 1}
            is_linked = reading == "linked entities" and n in linked
            rows.append(named | numbers | {"linked": is_linked, "relevant": own, "candidates": 40})
    return pa.Table.from_pylist(rows, schema=MEASURED)


def test_figures_are_means_with_intervals_over_queries():
    draw = np.random.default_rng(2)
    plain = draw.choice([0.0, 50.0, 100.0], size=(5, 300))
    better = [np.minimum(100, plain + draw.choice([0.0, 0.0, 50.0], size=(5, 300))) for _ in range(3)]
    values = dict(zip(READINGS, [plain, *better], strict=True))
    measured = measured_rows(values, [1] * 150 + [4] * 150, range(20))
    table = figures(measured)
    found = {row["reading"]: row for row in table.to_pylist()}
    pairs = [("linked entities", "plain words"), ("hybrid", "words"), ("hybrid", "linked entities")]
    expected = values | {f"{one} - {other}": values[one] - values[other] for one, other in pairs}
    assert list(found) == [*expected, "hybrid - better of the others", "chance", "best possible"]
    for place, name in enumerate(MEASURES):
        for reading, measures in expected.items():
            row = found[reading]
            assert row[name] == pytest.approx(measures[place].mean())
            peer = stats.bootstrap((measures[place],), np.mean, method="percentile", rng=np.random.default_rng(3))
            ends = (row[f"{name}_low"], row[f"{name}_high"])
            assert ends == pytest.approx(tuple(peer.confidence_interval), abs=0.2 * peer.standard_error)
        others = [found[reading][name] for reading in list(READINGS)[:3]]
        row = found["hybrid - better of the others"]
        assert row[name] == pytest.approx(found["hybrid"][name] - max(others))
        assert row[f"{name}_high"] <= min(found[f"{one} - {other}"][f"{name}_high"] for one, other in pairs[1:])
        assert found["chance"][f"{name}_low"] is found["best possible"][f"{name}_high"] is None
    assert {(row["queries"], row["linked"], row["candidates"]) for row in found.values()} == {(300, 20, 40)}
    assert [found["best possible"][name] for name in MEASURES] == pytest.approx([62.5, 100, 100, 100, 25])
    assert [found["chance"][name] for name in ("r1", "r10", "ndcg10", "p10")] == pytest.approx([2.5, 25, 2, 6.25])
    assert figures(measured) == table


def test_chance_is_what_random_orders_reach_on_average(engine):
    large, draw = crowd(engine, ["coat"]), np.random.default_rng(6)
    asked = Asked.of(rows_of([("coat", f"q{n}", 1 + n % 3) for n in range(7)]), large.index)
    row = judged(large, asked, readings=["plain words"]).to_pylist()[0]
    gains_N = np.zeros(60)
    gains_N[:7] = 1 + np.arange(7) % 3
    discount = 1 / np.log2(np.arange(10) + 2)
    ideal = np.sort(gains_N)[::-1][:10] @ discount
    drawn = [100 * draw.permutation(gains_N)[:10] @ discount / ideal for _ in range(20_000)]
    assert row["chance_ndcg10"] == pytest.approx(np.mean(drawn), rel=0.02)


def test_figures_of_one_query_and_of_readings_alike():
    same = np.full((5, 1), 20.0)
    rows = figures(measured_rows({"plain words": same, "linked entities": same}, relevant=[30])).to_pylist()
    assert [rows[2][name] for name in ("r1", "r1_low", "r1_high")] == [0, 0, 0]
    assert (rows[0]["r10_low"], rows[0]["r10_high"]) == (20, 20)
    assert rows[4]["r10"] == pytest.approx(100 / 3), "the first ten hold ten of thirty"


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
    pa.csv.write_csv(rows_of([*ROWS, ("number", "u1")]).drop_columns("kind"), tmp_path / "queries.csv")
    return tmp_path / "queries.csv"


def test_the_command_prints_what_the_functions_find(home, engine, file, capsys):
    options = ("--home", home.root, "--variant", "eiclip", "--view", "joint", "--split", "test", "--json")
    status, output, errors = called(capsys, file, *options)
    assert (status, errors) == (0, "")
    asked = Asked.of(read_queries(file).rows, engine.index, "test")
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
    assert lines[1].startswith("among 6 products of shop, view image, by eiclip; percent")
    assert lines[3] == "file: 4 queries, 2 of them with linked entities"
    assert lines[4].split() == ["reading", "R@1", "R@10", "MRR@10", "nDCG@10", "P@10"]
    starts = [*READINGS, "linked entities - plain words", "hybrid - words", "hybrid - linked entities"]
    starts += ["hybrid - better of the others", "chance", "best possible"]
    assert all(line.startswith(start) for line, start in zip(lines[5:], starts, strict=True))
    assert "100.0 [100.0, 100.0]" in lines[5], "six products are all among the first ten"
    assert lines[13].split()[:3] == ["chance", "16.7", "100.0"]


def test_the_command_shows_the_worst_queries(home, file, capsys):
    _, output, _ = called(capsys, file, "--home", home.root, "--worst", "2")
    lines = output.splitlines()[-4:]
    assert lines[0] == "worst queries, hybrid"
    assert len(lines[1].split("  ")) >= 5
    assert all(line.split()[3] == "file" for line in lines[2:])


def test_a_file_with_ids_and_a_log_are_judged(home, tmp_path, capsys):
    (tmp_path / "qrels").write_text("1 0 p0 2\n2 0 p1 1\n")
    (tmp_path / "texts.tsv").write_text("1\tb0 coat\n2\tB1 coats\n")
    status, output, errors = called(
        capsys, tmp_path / "qrels", "--texts", tmp_path / "texts.tsv", "--home", home.root, "--json"
    )
    assert (status, errors) == (0, "")
    assert json.loads(output)["figures"][0]["queries"] == 2
    (tmp_path / "log.csv").write_text("query,product_id\nCoat,p0\ncoat,p0\ncoat,p1\n")
    _, output, _ = called(capsys, tmp_path / "log.csv", "--log", "--home", home.root, "--json")
    assert json.loads(output)["figures"][0]["queries"] == 1
    assert called(capsys, "--names", "test", "--log", "--home", home.root)[0] == 1


def test_names_are_judged_without_a_file(home, capsys):
    status, output, _ = called(capsys, "--names", "test", "--home", home.root, "--variant", "clip_description")
    assert status == 0
    assert "note: clip_description reads no entities: plain words and linked entities are the same" in output
    assert "names: 3 queries, 0 of them with linked entities" in output


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
    "options", ["", "q.csv --names test", "--names all", "q.csv --view side", "q.csv --split train", "q.csv --worst x"]
)
def test_a_wrong_command_line_is_status_2(options):
    with pytest.raises(SystemExit, match="^2$"):
        main(["judge", *options.split()])
