"""Pairs of random small logs against plain Python, and what the funnel says of them."""

import datetime
import itertools
import random
import re
from collections import Counter

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from eiclip.errors import SettingsError
from eiclip.same_style.mining import CHECK, TABLES, check_parameters, mine_pairs
from eiclip.settings.same_style import MiningSettings
from eiclip.storage.lake import open_views
from eiclip.storage.sql import read_sql

DAY = datetime.datetime(2024, 5, 1)
WORDS = ["red", "blue", "coat", "shirt", "cotton", "wool", "long", "short"]
OPEN = {
    "category": "none", "minimum_support": 1, "minimum_lift": 0, "minimum_text_similarity": 0,
    "minimum_image_similarity": -1,
}  # fmt: skip
"""No constraint."""


class Shop:
    """Products with splits, categories, descriptions, photos and views."""

    def __init__(self, seed=0, products=14, splits=("train", "train", "train", "test")):
        draw = random.Random(seed)
        self.products = [
            {
                "dataset": "d", "product_id": f"p{number:02d}", "split": draw.choice(splits),
                "category": "", "subcategory": draw.choice(["coats", "coats", "shirts", ""]), "department": "",
                "description": " ".join(draw.choices(WORDS, k=draw.randrange(5))).capitalize(),
            }
            for number in range(products)
        ]  # fmt: skip
        self.by_id = {row["product_id"]: row for row in self.products}
        self.photos = {row["product_id"]: draw.randrange(1, 4) for row in self.products}
        # Halves make every product of two exact, in any order of adding.
        self.views = {name: [draw.choice([-0.5, 0.5]) for _ in range(4)] for name in list(self.by_id)[1:]}

    def training(self, *names):
        return all(name in self.by_id and self.by_id[name]["split"] == "train" for name in names)

    def write(self, folder):
        images = [{"dataset": "d", "product_id": name} for name, count in self.photos.items() for _ in range(count)]
        views = [
            {"dataset": "d", "variant": variant, "product_id": name, "split": "", "image": image}
            for name, image in self.views.items()
            for variant, image in (("clip_pretrained", image), ("eiclip", [0.0] * 4))
        ]  # fmt: skip
        return {"products": self.products, "images": images, "product_views": views}


def click(session, item, time=None, trigger=None):
    return {"session": session, "item": item, "time": time, "trigger": trigger}


def related(product, other, kind="also_buy"):
    return {"dataset": "d", "product_id": product, "related_id": other, "kind": kind}


SCHEMAS = {
    "click_log": pa.schema([
        ("dataset", pa.string()), ("row", pa.int64()), ("source", pa.string()), ("session", pa.string()),
        ("time", pa.timestamp("us")), ("item", pa.string()), ("trigger", pa.string()),
    ]),
    "click_rejections": pa.schema([
        ("dataset", pa.string()), ("source", pa.string()), ("row", pa.int64()), ("reason", pa.string()),
    ]),
    "product_views": pa.schema([
        ("dataset", pa.string()), ("variant", pa.string()), ("product_id", pa.string()), ("split", pa.string()),
        ("image", pa.list_(pa.float32(), 4)),
    ]),
}  # fmt: skip


class Mined:
    """The three tables made of a shop's clicks."""

    def __init__(self, folder, shop, clicks=(), lists=(), rejected=(), **settings):
        self.settings = MiningSettings(**settings)
        log = [{"dataset": "d", "row": row, "source": "log.csv"} | one for row, one in enumerate(clicks)]
        rejections = [{"dataset": "d", "source": "log.csv", "row": 0, "reason": reason} for reason in rejected]
        tables = shop.write(folder) | {"click_log": log, "click_rejections": rejections}
        tables |= {"related_items": list(lists)} if lists else {}
        self.files = {name: [folder / f"{name}.parquet"] for name in tables}
        for name, rows in tables.items():
            pq.write_table(pa.Table.from_pylist(rows, SCHEMAS.get(name)), self.files[name][0])
        outputs = {name: folder / "made" / f"{name}.parquet" for name in TABLES}
        self.counts = mine_pairs(self.files, "d", self.settings, outputs)
        self.files |= {name: [path] for name, path in outputs.items()}
        self.click_pairs, self.positives, self.funnel = (pq.read_table(outputs[name]).to_pylist() for name in TABLES)
        assert [file for file in outputs["pair_funnel"].parent.iterdir() if file.name.startswith(".")] == []

    def offenders(self):
        with duckdb.connect() as connection:
            open_views(connection, {name: self.files[name] for name in ("positive_pairs", "products")})
            return connection.sql(read_sql(CHECK), params=check_parameters(self.settings)).fetchall()

    def supports(self):
        return {(row["trigger_id"], row["positive_id"]): row["support"] for row in self.click_pairs}

    def step(self, name, unit="pairs"):
        return next((row["kept"], row["lost"]) for row in self.funnel if (row["name"], row["unit"]) == (name, unit))


def sessions_of(shop, clicks, most):
    """The training products of each session that makes pairs."""
    sessions = {}
    for one in clicks:
        if shop.training(one["item"]):
            sessions.setdefault(one["session"], set()).add(one["item"])
    return [items for items in sessions.values() if 2 <= len(items) <= most]


def similarity(shop, one, other):
    words = [set(re.findall(r"\w+", shop.by_id[name]["description"].lower())) for name in (one, other)]
    return len(words[0] & words[1]) / len(words[0] | words[1]) if words[0] | words[1] else 0


def expected_pairs(shop, clicks, settings):
    """(trigger, positive) -> (support, lift): of all pairs, and of those that meet the constraints."""
    sessions = sessions_of(shop, clicks, settings.most_session_items)
    single = Counter(item for items in sessions for item in items)
    both = Counter(pair for items in sessions for pair in itertools.permutations(items, 2))
    pairs = {
        (one, other): (support, support * len(sessions) / (single[one] * single[other]))
        for (one, other), support in both.items()
        if support >= settings.clicked_support
    }
    kept = {
        pair: (support, lift)
        for pair, (support, lift) in pairs.items()
        if support >= settings.minimum_support and _meets(shop, *pair, lift, settings)
    }
    triggers = {trigger for trigger, _ in kept}
    best = set()
    for trigger in triggers:
        mine = sorted((-lift, -support, other) for (one, other), (support, lift) in kept.items() if one == trigger)
        best |= {(trigger, other) for _, _, other in mine[: settings.most_positives]}
    return pairs, {pair: kept[pair] for pair in best}


def _meets(shop, one, other, lift, settings):
    categories = {shop.by_id[name]["subcategory"] for name in (one, other)}
    if lift < settings.minimum_lift or len(categories) > 1 or categories == {""}:
        return False
    if similarity(shop, one, other) < settings.minimum_text_similarity:
        return False
    if settings.minimum_image_similarity <= -1:
        return True
    views = [shop.views.get(name) for name in (one, other)]
    return None not in views and np.dot(*views) >= settings.minimum_image_similarity


def random_clicks(seed, names, count=120):
    draw = random.Random(seed)
    return [click(f"s{draw.randrange(15)}", draw.choice([*names, "unknown"])) for _ in range(count)]


LOOSE = {
    "minimum_support": 1, "minimum_lift": 1, "minimum_text_similarity": 0.3, "minimum_image_similarity": 0.5,
}  # fmt: skip
SETTINGS = [
    LOOSE,
    LOOSE | {"minimum_support": 2, "minimum_lift": 0.8, "minimum_image_similarity": 0, "most_positives": 2},
    LOOSE | {"minimum_text_similarity": 0, "minimum_lift": 0, "minimum_image_similarity": -1, "most_session_items": 5},
]


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("seed", range(4))
def test_pairs_are_those_of_plain_python(tmp_path, seed, settings):
    shop = Shop(seed)
    clicks = random_clicks(seed, shop.by_id, 120 - 60 * (seed % 2))
    mined = Mined(tmp_path, shop, clicks, **settings)
    pairs, positives = expected_pairs(shop, clicks, mined.settings)
    found = {(row["trigger_id"], row["positive_id"]): (row["support"], row["lift"]) for row in mined.click_pairs}
    assert found == pairs
    kept = [row for row in mined.positives if row["source"] == "log"]
    assert {(row["trigger_id"], row["positive_id"]): (row["support"], row["lift"]) for row in kept} == positives
    for row in kept:
        assert row["text_similarity"] == similarity(shop, row["trigger_id"], row["positive_id"])
        assert row["weight"] == min(row["support"], mined.settings.weight_cap)
        if mined.settings.minimum_image_similarity > -1:
            assert row["image_similarity"] == np.dot(shop.views[row["trigger_id"]], shop.views[row["positive_id"]])
    assert mined.offenders() == []
    check_funnel(mined)


def check_funnel(mined):
    for unit, steps in itertools.groupby(mined.funnel, key=lambda row: row["unit"]):
        kept = None
        for row in steps:
            assert row["lost"] >= 0
            assert row["lost"] == 0 if kept is None else row["kept"] + row["lost"] == kept
            kept = row["kept"]
        assert unit != "pairs" or kept == sum(row["source"] != "photos" for row in mined.positives)
    assert [row["step"] for row in mined.funnel] == list(range(1, len(mined.funnel) + 1))


def test_pairs_have_both_directions_and_their_supports_change_places(tmp_path):
    shop = Shop(1)
    mined = Mined(tmp_path, shop, random_clicks(1, shop.by_id))
    forth = {
        (r["trigger_id"], r["positive_id"]): (r["trigger_support"], r["positive_support"]) for r in mined.click_pairs
    }
    assert forth
    assert all(forth[other, one] == (there, here) for (one, other), (here, there) in forth.items())
    assert [(r["trigger_id"], r["positive_id"]) for r in mined.click_pairs] == sorted(forth)


def test_every_training_product_is_its_own_positive(tmp_path):
    shop = Shop(2)
    mined = Mined(tmp_path, shop)
    own = {(row["trigger_id"], row["positive_id"]): row for row in mined.positives}
    assert set(own) == {(name, name) for name in shop.by_id if shop.training(name)}
    assert all(row["source"] == "photos" and row["support"] == shop.photos[name] for (name, _), row in own.items())
    assert {(row["weight"], row["lift"], row["text_similarity"], row["image_similarity"]) for row in own.values()} == {
        (1,) * 4
    }
    assert (mined.click_pairs, mined.offenders()) == ([], [])


def test_the_funnel_says_where_rows_sessions_and_pairs_went(tmp_path):
    shop = Shop(0, splits=["train"])
    shop.by_id["p03"]["split"] = "test"
    crawler = [click("crawler", name) for name in shop.by_id]
    clicks = [click("s", "p01"), click("s", "p02"), click("s", "p02", DAY), click("t", "p01"), click("t", "p03")]
    mined = Mined(
        tmp_path, shop, [*clicks, click("t", "gone"), *crawler], rejected=["no item"] * 3, most_session_items=5, **OPEN
    )
    assert [(row["unit"], row["name"], row["kept"], row["lost"]) for row in mined.funnel[:10]] == [
        ("rows", "rows read", 23, 0),
        ("rows", "no item", 20, 3),
        ("rows", "in the catalogue", 19, 1),
        ("rows", "of the training split", 17, 2),
        ("sessions", "sessions", 3, 0),
        ("sessions", "of two products", 2, 1),
        ("sessions", "most_session_items", 1, 1),
        ("pairs", "pairs", 2, 0),
        ("pairs", "clicked_support", 2, 0),
        ("pairs", "minimum_support", 2, 0),
    ]
    assert mined.supports() == {("p01", "p02"): 1, ("p02", "p01"): 1}


def test_a_session_of_100_000_items_makes_no_pair(tmp_path):
    shop = Shop(0)
    shop.products += [
        shop.products[0] | {"product_id": f"q{number}", "split": "train", "subcategory": "coats"}
        for number in range(100_000)
    ]
    clicks = [click("robot", f"q{number}") for number in range(100_000)] + [click("s", "q1"), click("s", "q2")]
    mined = Mined(tmp_path, shop, clicks, **OPEN)
    assert mined.step("most_session_items", "sessions") == (1, 1)
    assert mined.supports() == {("q1", "q2"): 1, ("q2", "q1"): 1}


def test_a_gap_cuts_a_session_into_visits(tmp_path):
    shop = Shop(0, splits=["train"])
    minutes = {"p01": 0, "p02": 5, "gone": 30, "p03": 40, "p04": 200}
    clicks = [click("s", name, DAY + datetime.timedelta(minutes=at)) for name, at in minutes.items()]
    random.Random(0).shuffle(clicks)
    pairs = set(Mined(tmp_path, shop, clicks, session_gap=1800, **OPEN).supports())
    # What is not in the catalogue was clicked all the same, and keeps the visit going.
    assert pairs == set(itertools.permutations(["p01", "p02", "p03"], 2))
    assert len(Mined(tmp_path, shop, clicks, **OPEN).supports()) == 12


def test_a_gap_without_times_is_refused(tmp_path):
    with pytest.raises(SettingsError, match="session_gap"):
        Mined(tmp_path, Shop(), [click("s", "p01")], session_gap=60)


def test_a_trigger_and_what_was_clicked_are_a_pair_alone(tmp_path):
    shop = Shop(0, splits=["train"])
    shown = [("s", "p01", "p02"), ("s", "p03", "p04"), ("t", "p02", "p01"), ("t", "p05", "p05"), ("u", "gone", "p01")]
    clicks = [click(session, item, None, trigger) for session, trigger, item in shown]
    mined = Mined(tmp_path, shop, clicks, **OPEN)
    assert mined.supports() == {("p01", "p02"): 2, ("p02", "p01"): 2, ("p03", "p04"): 1, ("p04", "p03"): 1}
    assert mined.step("in the catalogue", "rows") == (4, 1)
    row = mined.click_pairs[0]
    assert (row["sessions"], row["trigger_support"], row["lift"]) == (2, 2, 2 * 2 / (2 * 2))


def test_triggers_without_sessions_count_by_the_row(tmp_path):
    shop = Shop(0, splits=["train"])
    clicks = [click(None, "p02", None, "p01")] * 3 + [click(None, "p01", None, "p02"), click(None, "p03", None, "p01")]
    mined = Mined(tmp_path, shop, [*clicks, click(None, "p04", None, "p04")], **OPEN)
    assert mined.supports()["p01", "p02"] == mined.supports()["p02", "p01"] == 4
    assert mined.step("of two products", "sessions") == (5, 1)
    row = mined.click_pairs[0]
    assert (row["positive_id"], row["sessions"], row["trigger_support"], row["positive_support"]) == ("p02", 5, 5, 4)


def test_related_products_are_pairs_of_another_source(tmp_path):
    shop = Shop(0, splits=["train"])
    shop.by_id["p05"]["split"] = "test"
    lists = [
        related("p01", "p02"), related("p01", "p02"), related("p01", "p02", "also_view"), related("p02", "p01"),
        related("p03", "p03"), related("p03", "p05"), related("p03", "gone"),
    ]  # fmt: skip
    mined = Mined(tmp_path, shop, [click("s", "p01"), click("s", "p02")], lists, **OPEN)
    pairs = {(row["trigger_id"], row["positive_id"], row["source"]): row["support"] for row in mined.click_pairs}
    assert pairs == {
        ("p01", "p02", "log"): 1, ("p02", "p01", "log"): 1, ("p01", "p02", "related"): 3, ("p02", "p01", "related"): 3,
    }  # fmt: skip
    assert [(row["name"], row["kept"], row["lost"]) for row in mined.funnel if row["unit"] == "lists"] == [
        ("lists read", 7, 0), ("said once", 6, 1), ("in the catalogue", 5, 1), ("of the training split", 4, 1),
        ("of two products", 3, 1),
    ]  # fmt: skip
    assert mined.offenders() == []
    check_funnel(mined)


def test_a_least_support_is_of_sessions_and_not_of_lists(tmp_path):
    shop = Shop(0, splits=["train"])
    clicks = [click("s", "p01"), click("s", "p02")]
    mined = Mined(
        tmp_path, shop, clicks, [related("p01", "p03")], **OPEN | {"clicked_support": 2, "minimum_support": 2}
    )
    assert {(row["source"], row["positive_id"]) for row in mined.click_pairs} == {
        ("related", "p01"),
        ("related", "p03"),
    }
    assert mined.step("clicked_support") == (2, 2)


def test_the_check_finds_pairs_that_break_a_constraint(tmp_path):
    shop = Shop(0)
    clicks = random_clicks(0, shop.by_id)
    mined = Mined(tmp_path, shop, clicks, **OPEN)
    mined.settings = MiningSettings(
        **LOOSE | {"minimum_support": 2, "minimum_image_similarity": 0.1, "most_positives": 1}
    )
    offences = {offence for *_, offence in mined.offenders()}
    assert offences == {"not of one category", "support", "lift", "text similarity", "image similarity", "too many"}
    rows = [row | {"weight": 0.0} for row in mined.positives[:2]] + mined.positives[2:3] * 2
    rows += [mined.positives[0] | {"positive_id": "gone"}]
    pq.write_table(pa.Table.from_pylist(rows), mined.files["positive_pairs"][0])
    assert {offence for *_, offence in mined.offenders()} >= {"no weight", "twice", "not of the training split"}


def test_mining_twice_makes_the_same_bytes(tmp_path):
    shop = Shop(3, products=60)
    files = []
    for run in ("a", "b"):
        (tmp_path / run).mkdir()
        mined = Mined(tmp_path / run, shop, random_clicks(3, shop.by_id, 2000), **LOOSE)
        files.append([mined.files[name][0].read_bytes() for name in TABLES])
    assert files[0] == files[1]
