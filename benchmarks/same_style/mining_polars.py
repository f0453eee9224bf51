"""The mining of pairs with polars: the same steps as `eiclip.same_style`, the same files out."""

import datetime
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.same_style.mining_data import Drawn
from eiclip.settings.same_style import MiningSettings

PAIR = ["first", "second"]
PAIRS_AT_ONCE = 200_000
BEGIN = datetime.datetime(1990, 1, 1)


def mine(files: Drawn, settings: MiningSettings, latest: datetime.datetime, folder: Path) -> None:
    """Raw log in; click_log, click_rejections, click_pairs, positive_pairs and pair_funnel out."""
    lost: list[tuple[str, int]] = []
    _write_log(files.log, latest, folder)
    products = pl.read_parquet(files.products).sort("product_id").with_row_index("number", 1)
    products = products.with_columns(pl.col("number").cast(pl.Int32))
    sessions = _sessions(folder / "click_log.parquet", products, settings, lost)
    pairs = _pairs(sessions, products, settings, lost)
    _write_pairs(pairs, products, settings, folder / "click_pairs.parquet")
    _write_positives(
        _alike(pairs, products, files.views, settings, lost), products, files.images, settings, folder, lost
    )
    pl.DataFrame(lost, ["name", "lost"], orient="row").write_parquet(folder / "pair_funnel.parquet")


def _write_log(log: Path, latest: datetime.datetime, folder: Path) -> None:
    time = pl.col("time")
    reason = (
        pl.when(pl.col("session").is_null()).then(pl.lit("no session"))
        .when(pl.col("item").is_null() | (pl.col("item") == "")).then(pl.lit("no item"))
        .when(time.is_null()).then(pl.lit("unreadable time"))
        .when(time > latest).then(pl.lit("time in the future"))
        .when(time < BEGIN).then(pl.lit("time before 1990"))
    )  # fmt: skip
    rows = pl.scan_parquet(log).with_row_index("row").select(
        pl.lit("bench").alias("dataset"), pl.col("row").cast(pl.Int64), pl.lit(log.name).alias("source"),
        pl.col("session").cast(pl.String), time.cast(pl.Datetime("us")), pl.col("item").str.strip_chars(" \t\r\n"),
    ).with_columns(reason=reason).collect(engine="streaming")  # fmt: skip
    usable = rows.filter(pl.col("reason").is_null()).drop("reason")
    kept = usable.unique(["session", "time", "item"], keep="first", maintain_order=True)
    repeated = usable.select("dataset", "source", "row").join(kept.select("row"), on="row", how="anti")
    rejected = rows.filter(pl.col("reason").is_not_null()).select("dataset", "source", "row", "reason")
    rejected = pl.concat([rejected, repeated.with_columns(reason=pl.lit("duplicate row"))]).sort("row")
    kept.with_columns(trigger=pl.lit(None, pl.String)).write_parquet(folder / "click_log.parquet")
    rejected.write_parquet(folder / "click_rejections.parquet")


def _sessions(log: Path, products: pl.DataFrame, settings: MiningSettings, lost: list[tuple[str, int]]) -> pl.DataFrame:
    """(session, number) of the sessions that make pairs, each once; sessions are numbers too."""
    numbers = products.lazy().select("product_id", "number", training=pl.col("split") == "train")
    clicks = pl.scan_parquet(log).select("session", "item")
    known = (
        clicks.join(numbers, left_on="item", right_on="product_id", how="left").drop("item").collect(engine="streaming")
    )
    lost.append(("in the catalogue", int(known["number"].is_null().sum())))
    lost.append(("of the training split", int((~known["training"]).sum())))
    items = known.lazy().filter("training").select("session", "number").unique().collect(engine="streaming")
    sizes = items.group_by("session").len("size").with_row_index("visit")
    lost.append(("of two products", int((sizes["size"] < 2).sum())))
    lost.append(("most_session_items", int((sizes["size"] > settings.most_session_items).sum())))
    sizes = sizes.filter(pl.col("size").is_between(2, settings.most_session_items))
    return items.join(sizes, on="session").select("visit", "number")


def _pairs(
    sessions: pl.DataFrame, products: pl.DataFrame, settings: MiningSettings, lost: list[tuple[str, int]]
) -> pl.DataFrame:
    left = sessions.lazy()
    both = left.join(left, on="visit", suffix="_other").filter(pl.col("number") < pl.col("number_other"))
    counted = both.group_by(first="number", second="number_other").agg(support=pl.len().cast(pl.Int64))
    pairs = counted.collect(engine="streaming")
    kept = pairs.filter(pl.col("support") >= settings.clicked_support)
    lost.append(("clicked_support", 2 * (len(pairs) - len(kept))))
    lost.append(("minimum_support", 2 * int((kept["support"] < settings.minimum_support).sum())))
    single = sessions.group_by("number").agg(held=pl.len().cast(pl.Int64))
    facts = single.join(products.select("number", "category"), on="number")
    total = sessions["visit"].n_unique()
    lift = (
        pl.col("support").cast(pl.Float64)
        * total
        / (pl.col("first_support").cast(pl.Float64) * pl.col("second_support"))
    )
    return (
        kept.join(facts.rename({"held": "first_support"}), left_on="first", right_on="number")
        .join(facts.rename({"held": "second_support"}), left_on="second", right_on="number", suffix="_other")
        .with_columns(
            sessions=pl.lit(total, pl.Int64), lift=lift, same_category=pl.col("category") == pl.col("category_other")
        )
        .drop("category", "category_other")
    )


def _directed(pairs: pl.DataFrame) -> pl.DataFrame:
    """Both directions of each pair, as numbers."""
    forth = {
        "first": "trigger",
        "second": "positive",
        "first_support": "trigger_support",
        "second_support": "positive_support",
    }
    back = {
        "first": "positive",
        "second": "trigger",
        "first_support": "positive_support",
        "second_support": "trigger_support",
    }
    return pl.concat([pairs.rename(forth), pairs.rename(back)], how="diagonal")


def _named(pairs: pl.DataFrame, products: pl.DataFrame, settings: MiningSettings) -> pl.DataFrame:
    names = products.select("number", "product_id")
    return (
        pairs.sort("trigger", "positive")
        .join(names.rename({"product_id": "trigger_id"}), left_on="trigger", right_on="number", maintain_order="left")
        .join(names.rename({"product_id": "positive_id"}), left_on="positive", right_on="number", maintain_order="left")
        .with_columns(
            dataset=pl.lit("bench"),
            weight=pl.min_horizontal("support", pl.lit(settings.weight_cap, pl.Int64)).cast(pl.Float64),
        )
        .drop("trigger", "positive")
    )


def _write_pairs(pairs: pl.DataFrame, products: pl.DataFrame, settings: MiningSettings, output: Path) -> None:
    _named(_directed(pairs), products, settings).with_columns(source=pl.lit("log")).write_parquet(output)


def _alike(
    pairs: pl.DataFrame, products: pl.DataFrame, views: Path, settings: MiningSettings, lost: list[tuple[str, int]]
) -> pl.DataFrame:
    def keep(frame: pl.DataFrame, condition: pl.Expr, name: str) -> pl.DataFrame:
        kept = frame.filter(condition)
        lost.append((name, 2 * (len(frame) - len(kept))))
        return kept

    pairs = keep(pairs, pl.col("lift") >= settings.minimum_lift, "minimum_lift")
    pairs = keep(pairs, pl.col("same_category"), "category")
    words = products.select(
        "number", words=pl.col("description").str.to_lowercase().str.extract_all(r"[\p{L}\p{N}]+").list.unique()
    )
    pairs = pairs.join(words.rename({"words": "one"}), left_on="first", right_on="number")
    pairs = pairs.join(words.rename({"words": "other"}), left_on="second", right_on="number")
    common = pl.col("one").list.set_intersection("other").list.len().cast(pl.Float64)
    sizes = pl.col("one").list.len() + pl.col("other").list.len()
    pairs = pairs.with_columns(text_similarity=common / (sizes - common)).drop("one", "other")
    pairs = keep(pairs, pl.col("text_similarity") >= settings.minimum_text_similarity, "minimum_text_similarity")
    image_ND = pl.read_parquet(views).sort("product_id")["image"].to_numpy()
    first_P, second_P = (pairs[name].to_numpy() - 1 for name in PAIR)
    cosine_P = np.empty(len(pairs), np.float32)
    for begin in range(0, len(pairs), PAIRS_AT_ONCE):  # all at once would take gigabytes
        rows = slice(begin, begin + PAIRS_AT_ONCE)
        cosine_P[rows] = np.einsum("pd,pd->p", image_ND[first_P[rows]], image_ND[second_P[rows]])
    pairs = pairs.with_columns(image_similarity=pl.Series(cosine_P).cast(pl.Float64))
    return keep(pairs, pl.col("image_similarity") >= settings.minimum_image_similarity, "minimum_image_similarity")


def _write_positives(
    pairs: pl.DataFrame,
    products: pl.DataFrame,
    images: Path,
    settings: MiningSettings,
    folder: Path,
    lost: list[tuple[str, int]],
) -> None:
    order = ["trigger", "lift", "support", "positive"]
    directed = _directed(pairs).sort(order, descending=[False, True, True, False])
    kept = directed.filter(pl.int_range(pl.len()).over("trigger") < settings.most_positives)
    lost.append(("most_positives", len(directed) - len(kept)))
    named = _named(kept, products, settings).with_columns(source=pl.lit("log"))
    training = products.filter(pl.col("split") == "train").select("product_id")
    photos = (
        pl.read_parquet(images)
        .join(training, on="product_id")
        .group_by("product_id")
        .agg(pl.len().cast(pl.Int64).alias("support"))
    )
    counts = {name: pl.col("support") for name in ("trigger_support", "positive_support", "sessions")}
    ones = {name: pl.lit(1.0) for name in ("lift", "weight", "text_similarity", "image_similarity")}
    own = photos.with_columns(
        dataset=pl.lit("bench"), source=pl.lit("photos"), trigger_id="product_id", positive_id="product_id",
        same_category=pl.lit(True), **counts, **ones,
    ).drop("product_id")  # fmt: skip
    positives = pl.concat([named, own], how="diagonal").sort("trigger_id", "positive_id")
    positives.write_parquet(folder / "positive_pairs.parquet")
