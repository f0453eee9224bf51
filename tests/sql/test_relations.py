"""The SQL relations on small catalogs whose answers can be counted by hand."""

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from eiclip.catalog import CATALOG_SCHEMA
from eiclip.lake import Lake, read_sql

GROUPS = ["brand", "composition", "subcategory"]


def photo(product, number=0, **given):
    row = dict.fromkeys((field.name for field in CATALOG_SCHEMA), "")
    row |= {"dataset": "d", "source": "train.h5", "product_id": product, "image_id": f"{product}_{number}"}
    row |= {"source_split": "train", "price": None, "photo_width": 1, "photo_height": 1, "description": "A coat."}
    row |= {"entities": {}, "subcategory": "coats"} | given
    return row | {"entities": list(row["entities"].items())}


class Relations:
    """Runs queries over a catalog in a lake of its own."""

    def __init__(self, home, photos):
        self.lake = Lake(home)
        rows = [row | {"locator": f"row {place}"} for place, row in enumerate(photos)]
        self.lake.write(pa.Table.from_pylist(rows, schema=CATALOG_SCHEMA), "catalog", "d")

    def run(self, table, *sources, **parameters):
        output = self.lake.path(table, "d")
        self.lake.query(table, output, {source: [self.lake.path(source, "d")] for source in sources}, parameters)
        return pq.read_table(output).to_pylist()

    def products(self, seed="0", test_share=0.3, validation_share=0.2):
        draws = {"seed": seed, "test_share": test_share, "validation_share": validation_share}
        return self.run("products", "catalog", **draws)

    def entities(self, minimum=2):
        self.products(validation_share=0.0)
        self.run("tagged_entities", "catalog", "products", groups=GROUPS)
        return self.run("entity_vocabulary", "tagged_entities", dataset="d", groups=GROUPS, minimum=minimum)

    def offenders(self, check, **tables):
        with duckdb.connect() as connection:
            for name, rows in tables.items():
                connection.register(name, pa.Table.from_pylist(rows))
            return connection.sql(read_sql(f"checks/{check}")).fetchall()


@pytest.fixture
def relations(tmp_path):
    return lambda photos: Relations(tmp_path, photos)


def splits(rows):
    return {row["product_id"]: row["split"] for row in rows}


def test_a_product_seen_in_the_test_file_is_wholly_test(relations):
    made = relations([photo("a"), photo("a", 1, source_split="test"), photo("b")])
    assert splits(made.products(validation_share=0.0)) == {"a": "test", "b": "train"}
    made.run("images", "catalog", "products")
    images = pq.read_table(made.lake.path("images", "d")).to_pylist()
    assert [(row["image_id"], row["split"]) for row in images] == [("a_0", "test"), ("a_1", "test"), ("b_0", "train")]


def test_shares_are_drawn_by_product_and_do_not_depend_on_other_rows(relations):
    many = [photo(f"p{number}", source_split=None) for number in range(600)]
    some = splits(relations(many[::2]).products())
    drawn = splits(relations(many).products())
    assert {product: drawn[product] for product in some} == some
    counts = {split: list(drawn.values()).count(split) / 600 for split in ("test", "validation", "train")}
    assert counts == {
        "test": pytest.approx(0.3, abs=0.06),
        "validation": pytest.approx(0.7 * 0.2, abs=0.05),
        "train": pytest.approx(0.7 * 0.8, abs=0.06),
    }
    assert splits(relations(many).products(seed="1")) != drawn


def test_the_first_row_speaks_for_the_product(relations):
    rows = [photo("a", description="first"), photo("a", 1, description="second")]
    product = relations(rows).products()[0]
    assert (product["description"], product["image_count"], product["description_count"]) == ("first", 2, 2)


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
    made.products()
    made.run("images", "catalog", "products")
    return made.run("candidate_lists", "products", "images", dataset="d", seed="0", negatives=100), made


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
    again = made.run("candidate_lists", "products", "images", dataset="d", seed="0", negatives=100)
    assert again == rows
    other = made.run("candidate_lists", "products", "images", dataset="d", seed="1", negatives=100)
    assert other != rows
    coats = [tuple(row["negative_ids"]) for row in rows if row["direction"] == "i2t" and row["query_id"][0] == "c"]
    assert len(set(coats)) == len(coats)


def test_leaderboard_is_in_the_papers_order(relations):
    made = relations([photo("a")])
    metrics = [
        {"dataset": "d", "variant": v, "protocol": "full", "direction": w, "r1": 1.0, "r5": 2.0, "r10": r}
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


def test_the_check_finds_a_product_in_two_splits(relations):
    products = [{"dataset": "d", "product_id": "a", "split": split} for split in ("train", "test")]
    catalog = [{"dataset": "d", "product_id": "a", "source_split": "train"}]
    assert relations([photo("a")]).offenders("no_product_in_two_splits", products=products, catalog=catalog)
    leaked = [{"dataset": "d", "product_id": "a", "split": "train"}]
    in_test_file = [catalog[0] | {"source_split": "test"}]
    assert relations([photo("a")]).offenders("no_product_in_two_splits", products=leaked, catalog=in_test_file)


def test_the_check_counts_embeddings_that_are_broken(relations):
    rows = [{"embedding": e} for e in ([0.6, 0.8], [float("nan"), 0.0], [2.0, 0.0], [float("inf"), 0.0])]
    assert relations([photo("a")]).offenders("embeddings_are_finite", embeddings=rows) == [(3,)]
