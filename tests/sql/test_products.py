"""Which split a product is in, which photos are used, and where the others go."""

from hashlib import md5

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from .conftest import EMPTY, duplicates, photo, splits


def test_a_product_seen_in_the_test_file_is_wholly_test(relations):
    made = relations([photo("a"), photo("a", 1, source_split="test"), photo("b")])
    assert splits(made.products(validation_share=0.0)) == {"a": "test", "b": "train"}
    images = made.images()
    assert [(row["image_id"], row["split"]) for row in images] == [("a_1", "test"), ("a_2", "test"), ("b_1", "train")]


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


@pytest.mark.parametrize("count", [1, 2, 5])
def test_of_very_few_products_one_is_drawn_for_the_test(relations, count):
    rows = [photo(f"p{number}", source_split=None) for number in range(count)]
    for seed in "0123":
        drawn = splits(relations(rows).products(seed, test_share=1e-9))
        assert list(drawn.values()).count("test") == (1 if count > 1 else 0)
        least = min(drawn, key=lambda name: md5(f"test:{seed}:{name}".encode()).digest()[:7:-1])
        assert count == 1 or drawn[least] == "test"
    assert "test" not in splits(relations(rows).products(test_share=0)).values()


def test_the_first_row_speaks_for_the_product(relations):
    rows = [photo("a", description="first"), photo("a", 1, description="second")]
    product = relations(rows).products()[0]
    assert (product["description"], product["image_count"], product["description_count"]) == ("first", 2, 2)


def test_the_check_finds_a_product_in_two_splits(relations):
    made = relations([photo("a")])
    no_groups = pa.Table.from_pylist([], schema=pa.schema(EMPTY["split_groups"]))
    products = [{"product_id": "a", "split": split} for split in ("train", "test")]
    records = [{"product_id": "a", "source_split": "train"}]
    check = "no_product_in_two_splits"
    assert made.offenders(check, products=products, records=records, split_groups=no_groups)
    leaked = [{"product_id": "a", "split": "train"}]
    in_test_file = [{"product_id": "a", "source_split": "test"}]
    assert made.offenders(check, products=leaked, records=in_test_file, split_groups=no_groups)
    assert not made.offenders(check, products=leaked, records=records, split_groups=no_groups)


@pytest.mark.parametrize(
    ("splits", "offends"),
    [(("train", "test"), True), (("train", "validation"), True), (("excluded", "test"), False), (("test",) * 2, False)],
)
def test_the_check_finds_duplicates_that_straddle_splits(relations, splits, offends):
    products = [{"product_id": p, "split": split} for p, split in zip("ab", splits, strict=True)]
    records = [{"product_id": p, "source_split": None} for p in "ab"]
    groups = [{"product_id": p, "group_id": "g"} for p in "ab"]
    tables = {"products": products, "records": records, "split_groups": groups}
    found = relations([photo("a")]).offenders("no_product_in_two_splits", **tables)
    assert [offender for offender, _ in found] == (["g"] if offends else [])


def test_a_group_of_duplicates_is_drawn_as_one(relations):
    rows = [photo(f"p{number}", source_split=None) for number in range(600)]
    groups = duplicates(*([f"p{n}", f"p{n + 1}", f"p{n + 2}"] for n in range(0, 300, 3)))
    made = relations(rows, split_groups=groups)
    drawn = splits(made.products())
    assert all(len({drawn[f"p{n + m}"] for m in range(3)}) == 1 for n in range(0, 300, 3))
    assert set(drawn.values()) == {"train", "validation", "test"}
    alone = splits(relations(rows).products())
    assert all(alone[f"p{n}"] == drawn[f"p{n}"] for n in range(300, 600)), "others' groups change no draw"
    assert made.offenders_of("no_product_in_two_splits", "products", "records", "split_groups") == []


def test_duplicates_of_test_products_are_excluded_from_training(relations):
    rows = [photo(product) for product in "abcde"] + [photo(product, source_split="test") for product in "xyz"]
    rows += [photo("z", 1)]
    made = relations(rows, split_groups=duplicates("ax", "bc", "dz", "y?"))
    drawn = splits(made.products(validation_share=0.0))
    assert drawn == dict.fromkeys("xyz", "test") | dict.fromkeys("bce", "train") | dict.fromkeys("ad", "excluded")
    assert made.offenders_of("no_product_in_two_splits", "products", "records", "split_groups") == []


def test_duplicates_within_the_train_part_share_their_validation_draw(relations):
    rows = [photo(f"p{n}") for n in range(400)]
    made = relations(rows, split_groups=duplicates(*([f"p{n}", f"p{n + 1}"] for n in range(0, 400, 2))))
    drawn = splits(made.products(validation_share=0.5))
    assert set(drawn.values()) == {"train", "validation"}
    assert all(drawn[f"p{n}"] == drawn[f"p{n + 1}"] for n in range(0, 400, 2))


def test_a_row_in_the_test_part_makes_a_test_product_though_its_photo_is_unusable(relations):
    made = relations([photo("a"), photo("a", 1, source_split="test", unusable="blank photo: x"), photo("b")])
    assert splits(made.products(validation_share=0.0)) == {"a": "test", "b": "train"}
    assert made.offenders_of("no_product_in_two_splits", "products", "records", "split_groups") == []


def test_reviews_are_joined_where_there_are_any(relations):
    stats = [{"product_id": "a", "review_count": 3, "mean_rating": 4.5}]
    helpful = [{"product_id": "a", "review_text": "Fits me. Warm!"}, {"product_id": "gone", "review_text": "x"}]
    made = relations([photo("a"), photo("b")], review_stats=stats, helpful_reviews=helpful)
    found = {row["product_id"]: row for row in made.products()}
    assert found["a"]["description"].startswith("A coat.")
    assert found["a"]["description"].endswith("Fits me. Warm!")
    assert (found["a"]["review_count"], found["a"]["mean_rating"]) == (3, 4.5)
    assert (found["b"]["description"], found["b"]["review_count"], found["b"]["mean_rating"]) == ("A coat.", None, None)


def test_the_first_row_with_a_usable_photo_speaks_for_the_product(relations):
    rows = [photo("a", description="first", unusable="photo missing: a"), photo("a", 1, description="second")]
    rows += [photo("a", 2, description="third"), photo("b", unusable="photo missing: b")]
    (product,) = relations(rows).products()
    assert (product["description"], product["image_count"], product["description_count"]) == ("second", 2, 2)


def test_images_are_numbered_in_the_raw_order_past_the_unusable_ones(relations):
    rows = [
        photo("a"),
        photo("b"),
        photo("a", 1, unusable="blank photo: x"),
        photo("a", 2),
        photo("a", 3, reason="x: y"),
    ]
    images = relations(rows).images(part_rows=2)
    assert [(row["image_id"], row["place"], row["part"], row["pose"]) for row in images] == [
        ("a_1", 0, "train-h5-00000", "0"),
        ("b_1", 1, "train-h5-00000", "0"),
        ("a_2", 3, "train-h5-00001", "2"),
    ]
    first = images[0]
    assert (first["photo"], first["photo_width"], first["photo_height"]) == ("train.h5#0", 8, 9)
    assert (first["photo_sha256"], first["phash"], first["source"]) == ("a 0", -1, "train.h5")


def test_where_a_product_has_one_row_the_first_usable_one_is_it(relations):
    rows = [photo("a", unusable="photo missing: a"), photo("a", 1), photo("b"), photo("a", 2), photo("b", 1)]
    assert [(row["image_id"], row["place"]) for row in relations(rows).images(one_row=True)] == [("a_1", 1), ("b_1", 2)]


def test_what_is_not_used_is_quarantined_with_its_reason(relations):
    rows = [photo("a"), photo(None, reason="blank line"), photo("b", unusable="photo missing: b"), photo("a", 1)]
    rows += [photo("c", reason="no description", unusable="never looked at"), photo("c", 1)]
    made = relations(rows)
    assert [
        (row["locator"], row["product_id"], row["reason"]) for row in made.quarantine(one_row=True, unit="line")
    ] == [
        ("line 1", None, "blank line"),
        ("line 2", "b", "photo missing: b"),
        ("line 3", "a", "duplicate id: a"),
        ("line 4", "c", "no description"),
    ]
    assert [row["locator"] for row in made.quarantine(one_row=False)] == ["row 1", "row 2", "row 4"]


@pytest.mark.parametrize("one_row", [True, False])
def test_every_raw_row_is_used_or_quarantined(relations, one_row):
    reasons = [None, None, "blank line", "bad id: 'x'"]
    rows = [
        photo(f"p{n % 17}", n, reason=reasons[n % 4], unusable="photo missing: x" if n % 5 == 0 else None)
        for n in range(200)
    ]
    made = relations(rows)
    quarantined = made.quarantine(one_row)
    images = pq.read_table(made.lake.path("images", "d")).to_pylist()
    assert len(quarantined) + len(images) == 200
    tables = ("records", "images", "quarantine")
    assert made.offenders_of("rows_in_are_used_or_quarantined", *tables) == []
    made.lake.write(pa.Table.from_pylist(quarantined[1:]), "quarantine", "d")
    assert made.offenders_of("rows_in_are_used_or_quarantined", *tables) == [(200, len(images), len(quarantined) - 1)]


@pytest.mark.parametrize(
    ("drawn", "source_split", "said"),
    [
        (("train", "test"), None, []),
        (("train", "validation"), None, ["no test product: of 2 with a usable photo none is in the test split; "
                                         "set test_share (now 0.25) higher, or add products"]),
        (("test",), None, ["no train product: of 1 with a usable photo none is in the train split; "
                           "set test_share (now 0.25) lower, or add products"]),
        (("train",), "train", ["no test product: of 1 with a usable photo none is in the test split; "
                               "the raw files mark none of them so, correct their column of splits or those photos"]),
    ],
)  # fmt: skip
def test_the_check_says_which_split_is_empty_and_what_to_do(relations, drawn, source_split, said):
    products = [{"product_id": f"p{number}", "split": split} for number, split in enumerate(drawn)]
    records = [{"product_id": "p0", "source_split": source_split}]
    made = relations([photo("a")])
    tables = {"products": products, "records": records}
    found = made.offenders("train_and_test_have_products", parameters={"test_share": 0.25}, **tables)
    assert [row for (row,) in found] == said
