"""The SQL relations on small records whose answers can be counted by hand."""

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .conftest import GROUPS, duplicates, photo


def test_vocabulary_is_dense_and_rare_entities_train_unknown(relations):
    brands = ["diesel"] * 3 + ["acne"] * 2 + ["guess", "noah"]
    made = relations([photo(f"p{n}", entities={"brand": brand}) for n, brand in enumerate(brands)])
    vocabulary = made.entities()
    assert [(r["entity_id"], r["entity"], r["product_count"]) for r in vocabulary if r["entity_group"] == "brand"] == [
        (0, "<unk>", 2),
        (1, "diesel", 3),
        (2, "acne", 2),
    ]
    assert [r["entity"] for r in vocabulary if r["entity_group"] != "brand"] == ["<unk>", "<unk>"]
    ids = {
        row["product_id"]: row["entity_id"]
        for row in made.run("product_entities", "tagged_entities", "entity_vocabulary")
    }
    assert [ids[f"p{n}"] for n in range(7)] == [1, 1, 1, 2, 2, 0, 0]
    assert made.offenders("entity_ids_are_dense", entity_vocabulary=vocabulary) == []


def test_test_products_do_not_enter_the_vocabulary_or_the_prior(relations):
    made = relations([photo(f"p{n}", entities={"brand": "diesel"}, source_split="test") for n in range(5)])
    assert {row["entity"] for row in made.entities()} == {"<unk>"}
    assert made.run("semantic_prior", "tagged_entities", "products", dataset="d") == []


def test_prior_of_an_entity_of_two_groups(relations):
    photos = [photo(f"s{n}", entities={"subcategory": "denim"}) for n in range(3)]
    photos += [photo("c", entities={"composition": "denim"}), photo("m", description="Blue DENIM. Denim patch!")]
    photos += [photo("t", description="Denim jacket.", entities={"subcategory": "denim"})]
    made = relations(photos)
    made.entities()
    prior = made.run("semantic_prior", "tagged_entities", "products", dataset="d")
    assert [(r["entity_group"], r["tagged_count"], r["prior"], r["untagged_mentions"]) for r in prior] == [
        ("composition", 1, pytest.approx(0.2), 1),
        ("subcategory", 4, pytest.approx(0.8), 1),
    ]


def test_mentions_of_entities_of_several_words(relations):
    photos = [photo("a", entities={"brand": "golden goose"}), photo("b", description="A golden-goose print.")]
    photos += [photo("c", description="Golden buttons and a goose."), photo("d", description="Gol den goosey")]
    made = relations(photos)
    made.entities()
    [row] = made.run("semantic_prior", "tagged_entities", "products", dataset="d")
    assert row["untagged_mentions"] == 1


@pytest.fixture
def lists(relations):
    photos = [photo(f"c{n}", m, source_split="test") for n in range(130) for m in range(2)]
    photos += [photo(f"b{n}", source_split="test", subcategory="bags") for n in range(20)]
    made = relations(photos)
    made.images()
    return made.lists(), made


def test_candidates_are_100_other_products_of_the_subcategory(lists):
    rows, _ = lists
    assert len(rows) == 130 * 2 + 20 + 150
    for row in rows:
        assert len(set(row["negative_ids"])) == 100
        owners = {item.split("_")[0] for item in row["negative_ids"]}
        assert row["product_id"] not in owners
        assert row["positive_id"].split("_")[0] == row["product_id"]
        peers = sum(owner[0] == row["product_id"][0] for item in row["negative_ids"] for owner in [item])
        assert row["shortfall"] == 100 - peers
        assert (row["shortfall"] > 0) == row["product_id"].startswith("b")


def test_candidates_are_drawn_alike_every_time_and_differ_by_query(lists):
    rows, made = lists
    again = made.lists()
    assert again == rows
    other = made.lists(seed="1")
    assert other != rows
    coats = [tuple(row["negative_ids"]) for row in rows if row["direction"] == "i2t" and row["query_id"][0] == "c"]
    assert len(set(coats)) == len(coats)


def test_leaderboard_is_in_the_papers_order(relations):
    made = relations([photo("a")])
    metrics = [
        {
            "dataset": "d",
            "variant": v,
            "protocol": "full",
            "direction": w,
            "r1": 1.0,
            "r5": 2.0,
            "r10": r,
            "mrr": 1.5,
            "ndcg10": 1.2,
        }
        for v, r in (("eiclip", 4.0), ("clip_pretrained", 3.0))
        for w in ("i2t", "t2i")
    ]
    made.lake.write(pa.Table.from_pylist(metrics), "retrieval_metrics", "d")
    board = made.run("leaderboard", "retrieval_metrics", variants=["clip_pretrained", "clip_description", "eiclip"])
    assert [(row["paper_row"], row["variant"], row["t2i_r10"], row["sum_r"]) for row in board] == [
        (1, "clip_pretrained", 3.0, 12.0),
        (3, "eiclip", 4.0, 14.0),
    ]


@pytest.mark.parametrize(
    ("ids", "names"), [([0, 2], ["<unk>", "a"]), ([1, 2], ["<unk>", "a"]), ([0, 0], ["<unk>", "a"]), ([0], ["a"])]
)
def test_the_check_finds_ids_with_gaps(relations, ids, names):
    rows = [{"entity_group": "brand", "entity_id": i, "entity": n} for i, n in zip(ids, names, strict=True)]
    assert len(relations([photo("a")]).offenders("entity_ids_are_dense", entity_vocabulary=rows)) == 1


def test_the_check_finds_embeddings_that_are_broken(relations):
    vectors = ([0.6, 0.8], [float("nan"), 0.0], [2.0, 0.0], [float("inf"), 0.0])
    rows = [{"product_id": f"p{n}", "embedding": vector} for n, vector in enumerate(vectors)]
    assert relations([photo("a")]).offenders("embeddings_are_finite", embeddings=rows) == [("p1",), ("p2",), ("p3",)]


def test_spellings_of_one_name_are_one_entity_named_as_most_rows_write_it(relations):
    written = ["levi’s", "LEVIS", "levi's", "levi's", "h&m", "h & m", "h & m", "hermès", "nike™", "nike", "nike", "!!!"]
    rows = [photo(f"p{n}", entities={"brand": name.lower()}) for n, name in enumerate(written)]
    rows += [
        photo("a", entities={"subcategory": "levi's", "brand": "hermes"}),
        photo("b", entities={"brand": "hermes"}),
    ]
    rows += [photo("bad", entities={"brand": "gone"}, reason="no description")]
    made = relations(rows)
    found = {(row["entity_group"], row["spelling"]): (row["entity"], row["rows"]) for row in made.spellings()}
    assert found == {
        ("brand", "levi’s"): ("levi's", 1), ("brand", "levis"): ("levi's", 1), ("brand", "levi's"): ("levi's", 2),
        ("subcategory", "levi's"): ("levi's", 1), ("brand", "h&m"): ("h & m", 1), ("brand", "h & m"): ("h & m", 2),
        ("brand", "hermès"): ("hermes", 1), ("brand", "hermes"): ("hermes", 2), ("brand", "nike™"): ("nike", 1),
        ("brand", "nike"): ("nike", 2), ("brand", "!!!"): ("!!!", 1),
    }  # fmt: skip
    apart = {row["spelling"]: row["entity"] for row in made.spellings(fold=False)}
    assert apart == {spelling: spelling for _, spelling in found}


@pytest.mark.parametrize("fold", [True, False])
def test_synonyms_go_before_spellings_and_an_empty_one_is_a_placeholder(relations, fold):
    written = ["ysl", "yves saint laurent", "yves saint laurent", "saint laurent", "n/a", "house", "{{vendor}}", "tbd"]
    rows = [photo(f"p{n}", entities={"brand": name}) for n, name in enumerate(written)]
    given = {"ysl": "saint laurent", "yves saint laurent": "saint laurent", "house": ""}
    found = {r["spelling"]: r["entity"] for r in relations(rows).spellings(given, ["TBD"], fold)}
    assert found == dict.fromkeys(written[:4], "saint laurent") | dict.fromkeys(written[4:], "")


def test_products_are_tagged_with_entities_whatever_their_spelling_and_with_no_placeholder(relations):
    rows = [
        photo("a", entities={"brand": "h&m", "composition": ["silk", "n/a", "Silk".lower(), "wool"]}),
        photo("b", entities={"brand": "n/a"}), photo("b", 1, entities={"brand": "h & m"}),
        photo("c", entities={"brand": ["h & m", "h&m", "acne"], "composition": "none"}),
    ]  # fmt: skip
    found = [(r["product_id"], r["entity_group"], r["entity"], r["ordinal"]) for r in relations(rows).tagged()]
    assert found == [
        ("a", "brand", "h & m", 1), ("a", "composition", "silk", 1), ("a", "composition", "wool", 2),
        ("b", "brand", "h & m", 1), ("c", "brand", "h & m", 1), ("c", "brand", "acne", 2),
    ]  # fmt: skip


def test_the_first_row_with_an_entity_speaks_for_the_product(relations):
    rows = [photo("a", entities={"season": "ss2017"}), photo("a", 1, entities={"brand": "acne", "colour": "red"})]
    rows += [
        photo("a", 2, entities={"brand": "diesel", "composition": ""}),
        photo("b", entities={"brand": "x"}, reason="y"),
    ]
    tagged = relations(rows).tagged()
    assert [(row["product_id"], row["entity_group"], row["entity"]) for row in tagged] == [("a", "brand", "acne")]


NAMES = ["black", "white", "red", "denim", "<unk>"]
PRODUCT = st.fixed_dictionaries(
    {},
    optional={group: st.lists(st.sampled_from(NAMES), max_size=4, unique=True) for group in GROUPS},
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(products=st.lists(PRODUCT, min_size=1, max_size=8), minimum=st.integers(1, 3))
def test_every_entity_of_a_group_is_counted_once_a_product(relations, products, minimum):
    made = relations([photo(f"p{n}", entities=entities) for n, entities in enumerate(products)])
    vocabulary = made.entities(minimum)
    carriers = {
        (group, name): {n for n, entities in enumerate(products) if name in entities.get(group, [])}
        for group in GROUPS
        for name in NAMES
    }
    known = {
        (group, name): len(found)
        for (group, name), found in carriers.items()
        if len(found) >= minimum and name != "<unk>"
    }
    rare = {key: found for key, found in carriers.items() if len(found) < minimum}
    for group in GROUPS:
        known[group, "<unk>"] = len(set().union(*(found for key, found in rare.items() if key[0] == group)))
    assert {(row["entity_group"], row["entity"]): row["product_count"] for row in vocabulary} == known

    ids = {(row["entity_group"], row["entity"]): row["entity_id"] for row in vocabulary}
    rows = made.run("product_entities", "tagged_entities", "entity_vocabulary")
    assert [
        (row["product_id"], row["entity_group"], row["entity"], row["ordinal"], row["entity_id"]) for row in rows
    ] == [
        (f"p{n}", group, name, place, 0 if name == "<unk>" else ids.get((group, name), 0))
        for n, entities in enumerate(products)
        for group in GROUPS
        for place, name in enumerate(entities.get(group, []), start=1)
    ]

    prior = made.run("semantic_prior", "tagged_entities", "products", dataset="d")
    total = {name: sum(len(carriers[group, name]) for group in GROUPS) for name in NAMES}
    assert {(row["entity_group"], row["entity"]): row["prior"] for row in prior} == {
        (group, name): pytest.approx(len(found) / total[name]) for (group, name), found in carriers.items() if found
    }

    profile = made.run(
        "profile_entities", "products", "product_entities", "entity_vocabulary", paper_groups=[], paper_entities=[]
    )
    assert [(row["entity_group"], row["tagged_products"]) for row in profile] == [
        (group, sum(bool(entities.get(group)) for entities in products)) for group in sorted(GROUPS)
    ]


def test_samples_of_a_part_are_in_the_raw_order_without_excluded_products(relations):
    rows = [
        photo("b", entities={"brand": "acne", "subcategory": ["coats", "capes"]}),
        photo("a"),
        photo("b", 1),
        photo("t", source_split="test"),
    ]
    made = relations(rows, product_groups=duplicates("at"))
    made.images(part_rows=2)
    made.spellings()
    made.run("tagged_entities", "records", "products", "entity_spellings", groups=GROUPS)
    sources = ("images", "products", "tagged_entities")
    assert [row["part"] for row in made.run("shard_parts", "images")] == ["train-h5-00000", "train-h5-00001"]
    first, second = (made.run("shard_samples", *sources, part=f"train-h5-0000{n}") for n in range(2))
    assert [row["image_id"] for row in first] == ["b_1"]
    assert [(row["image_id"], row["split"]) for row in second] == [("b_2", "train"), ("t_1", "test")]
    assert (first[0]["entity_groups"], first[0]["entities"]) == (
        ["brand", "subcategory"],
        [["acne"], ["coats", "capes"]],
    )
    assert (second[1]["entity_groups"], second[1]["entities"]) == ([], [])
    assert made.offenders_of("images_to_shard", "images") == [(3,)]
