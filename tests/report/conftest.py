"""A small believable home: drawn photos, recalls as in the small trial, and names that try to break the page."""

import io
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image, ImageDraw

from assets.cross_modal import BESIDE
from assets.cross_modal import PAIRS as CROSS_PAIRS
from eiclip.evaluation.comparisons import PAIRS
from eiclip.evaluation.run_history import SCHEMA as RUN_SCHEMA
from eiclip.model.variants import VARIANTS
from eiclip.shards import Sample, encode_photo, write_shards
from eiclip.storage.catalogue import refresh_catalogue
from eiclip.storage.lake import Lake
from eiclip.studies.results import RESULTS_SCHEMA
from eiclip.train.job import LOG_SCHEMA
from eiclip.train.outcome import SCHEMA as OUTCOMES

BRANDS = ["diesel", "golden goose", "<script>alert(1)</script>", "off-white", "acne studios", "a$b$c", "rick owens"]
KINDS = ["coats", "denim", "sneakers", "shirts", "dresses"]
GROUPS = {"brand": (BRANDS, 0.66), "composition": (["cotton", "silk", "denim", "wool"], 0.44),
          "season": (["fw2015", "ss2016"], 0.10), "subcategory": (KINDS, 0.47)}  # fmt: skip
RECALLS = {"clip_pretrained": 9.9, "clip_description": 13.7, "clip_entities_text": 14.7, "eiclip_equal": 27.5,
           "eiclip": 27.1, "eiclip_plus": 33.2}  # fmt: skip
CROSS_RECALLS = {"fashionbert": 8.0, "fashionbert_entities": 16.0, "kaleidobert": 9.0, "kaleidobert_entities": 18.0,
                 "eiclip_rerank": 32.1}  # fmt: skip
WIDTH = 16
PROTOCOLS = {"full": 1.0, "full_distinct": 1.1, "full_product": 1.2, "sample100": 1.6, "sample100_distinct": 1.7,
             "sample100_product": 1.8, "sample100_5x1000": 1.6}  # fmt: skip
"""How much easier each is than the first."""


def recalls(first: float) -> dict[str, float]:
    """Recalls that grow with k as they do, and what else is measured."""
    return {"r1": first, "r5": min(100, 2.2 * first + 4), "r10": min(100, 2.7 * first + 8), "mrr": 1.6 * first,
            "ndcg10": 1.9 * first}  # fmt: skip


def both_ways(first: float) -> dict[str, dict[str, float]]:
    """Recalls of both directions."""
    return {"i2t": recalls(first), "t2i": recalls(first * 0.98)}


def side_by_side(ways: dict[str, dict[str, float]]) -> dict[str, float]:
    """Recalls of both directions as the leaderboard has them, with their sum."""
    flat = {f"{way}_{name}": value for way, values in ways.items() for name, value in values.items()}
    return flat | {"sum_r": sum(value for name, value in flat.items() if name.split("_")[1] in ("r1", "r5", "r10"))}


def named(measure: str) -> dict[str, str]:
    """Direction and measure of a leaderboard's column."""
    way, _, name = measure.partition("_")
    return {"direction": "both", "measure": measure} if measure == "sum_r" else {"direction": way, "measure": name}


class FakeHome:
    """Writes tables and shards of made-up datasets into a home."""

    def __init__(self, root: Path) -> None:
        self.root, self.lake = root, Lake(root)

    def table(self, name: str, dataset: str, rows: list[dict[str, Any]], part: str = "data", **given: Any) -> None:
        """One Parquet file of the lake."""
        path = self.lake.path(name, dataset, part)
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist([{"dataset": dataset} | row for row in rows], **given), path)

    def results(self, dataset: str, firsts: dict[str, float] = RECALLS, queries: int = 800) -> None:
        """Metrics and leaderboard as if row by row recall@1 were `firsts`."""
        metrics, board = [], []
        for protocol, factor in PROTOCOLS.items():
            for name, first in firsts.items():
                ways = both_ways(first * factor)
                shared = {"variant": name, "protocol": protocol}
                rest = {"queries": queries, "median_rank": 7.0}
                rest |= {f"text_equal_{k}": min(100.0, ways["i2t"][k] + 1) for k in ("r1", "r5", "r10")}
                metrics += [shared | {"direction": way} | rest | values for way, values in ways.items()]
                board.append(shared | {"paper_row": VARIANTS[name].row} | side_by_side(ways))
        self.table("retrieval_metrics", dataset, metrics)
        self.table("leaderboard", dataset, board)

    def chance(self, dataset: str, first: float = 0.25) -> None:
        """What chance gives: recall@1 of `first` under the first protocol, recall@k k times that."""
        for_k = {"r1": 1, "r5": 5, "r10": 10, "mrr": 4, "ndcg10": 4}
        self.table("chance_recalls", dataset, [
            {"protocol": protocol, "variant": "chance"}
            | side_by_side({way: {name: first * factor * k for name, k in for_k.items()} for way in ("i2t", "t2i")})
            for protocol, factor in PROTOCOLS.items()
        ])  # fmt: skip

    def outcomes(self, dataset: str, **verdicts: str) -> None:
        """What came of the trainings: learned, but for those that are named with another verdict."""
        self.table("training_outcomes", dataset, [
            {"variant": name, "steps": 75, "best_step": 75, "batch_size": 64, "loss": 2.0, "loss_at_chance": 4.16,
             "validation": 100.0, "validation_chance": 4.0, "verdict": verdicts.get(name, "learned"),
             "message": f"what was found of {name}"}
            for name in list(VARIANTS)[1:]
        ], schema=OUTCOMES)  # fmt: skip

    def sure(self, dataset: str, firsts: dict[str, float] = RECALLS, width: float = 3.0) -> None:
        """Intervals and comparisons around `results` of the same recalls: `width` points to either side."""
        intervals, comparisons = [], []
        counts = {"queries": 800, "products": 400, "resamples": 2000}
        for protocol, factor in PROTOCOLS.items():
            boards = {name: side_by_side(both_ways(first * factor)) for name, first in firsts.items()}
            for name, board in boards.items():
                intervals += [{"variant": name, "protocol": protocol, **named(measure), "value": value,
                               "low": value - width, "high": value + width} | counts
                              for measure, value in board.items()]  # fmt: skip
            if protocol == "full":
                comparisons += [self._compared(pair, measure, boards, width) | counts for pair in PAIRS
                                if set(pair) <= set(boards) for measure in boards[pair[0]]]  # fmt: skip
        self.table("metric_intervals", dataset, intervals)
        if comparisons:
            self.table("row_comparisons", dataset, comparisons)

    def cross_modal(self, dataset: str, width: float = 3.0) -> None:
        """What the job `cross_modal` leaves: rows 2, 3, 5 and 6 as in `results`, and the cross-encoders."""
        firsts = {name: RECALLS[name] for name in BESIDE} | CROSS_RECALLS
        counts = {"queries": 800, "products": 400, "resamples": 2000}
        boards = {
            protocol: {name: side_by_side(both_ways(first * PROTOCOLS[protocol])) for name, first in firsts.items()}
            for protocol in ("sample100", "full")
        }
        self.table("cross_modal_intervals", dataset, [
            {"protocol": protocol, "variant": name, **named(measure), "value": value, "low": value - width,
             "high": value + width} | counts
            for protocol, found in boards.items() for name, board in found.items() for measure, value in board.items()
        ])  # fmt: skip
        self.table("cross_modal_comparisons", dataset, [
            self._compared(pair, measure, found, width) | counts | {"protocol": protocol}
            for protocol, found in boards.items() for pair in CROSS_PAIRS for measure in found[pair[0]]
        ])  # fmt: skip

    def _compared(self, pair: tuple[str, str], measure: str, boards: dict[str, Any], width: float) -> dict[str, Any]:
        value, base = (boards[name][measure] for name in pair)
        ends = {"difference": value - base, "low": value - base - width, "high": value - base + width}
        percents = {f"relative{end}": 100 * ends[name] / base
                    for end, name in (("", "difference"), ("_low", "low"), ("_high", "high"))}  # fmt: skip
        sign = ends["low"] > 0 or ends["high"] < 0
        return {"protocol": "full", **named(measure), "variant": pair[0], "baseline": pair[1], "value": value,
                "baseline_value": base, "p_value": 0.0001 if sign else 0.42} | ends | percents  # fmt: skip

    def studied(self, dataset: str) -> None:
        """Protocols, breakdowns, interventions, an ablation, and a kept run: a row or two each."""
        self.table("protocols", dataset, [
            {"protocol": name, "rule": f"Rule of {name}: <b>&", "level": "image", "candidates": "all", "queries": 1200,
             "draws": 0, "seed": 7 if name.startswith("sample") else None, "with_shortfall": 3, "negatives_short": 9}
            for name in PROTOCOLS
        ])  # fmt: skip
        gains = {"gain_r1": 5.0, "gain_low": 1.0, "gain_high": 9.0, "p_value": 0.01}
        nothing = dict.fromkeys(gains)
        places = [("brand confounded", "0 %"), ("brand confounded", "10 to 50 %"), ("meanings", "one")]
        places += [("brand state", "known"), ("brand state", "unseen"), ("season state", "missing")]
        places += [("brand", brand) for brand in BRANDS]
        self.table("recall_breakdowns", dataset, [
            {"protocol": "full", "direction": way, "facet": facet, "value": value, "variant": variant, "products": 44,
             "queries": 50, "r1": 21.0, "r10": 50.0, "mrr": 30.0} | (gains if variant == "eiclip" else nothing)
            for facet, value in places for variant in RECALLS for way in ("i2t", "t2i")
        ])  # fmt: skip
        self._changed(dataset)
        self.table("ablation_results", dataset, [
            {"ablation": "ablation_batch_size", "trial": f"row {VARIANTS[name].row}, batch {size}",
             "setting": "batch_size", "value": str(size), "x": float(size), "variant": name,
             "row": VARIANTS[name].row, "seed": 0, "subset": "all", "epochs": 3, "steps": 200, "seconds": 30.0,
             "products": 400, "sum_r": sum_r, "sum_r_low": sum_r - 9, "sum_r_high": sum_r + 9,
             "reference": f"row 3, batch {size}" if name == "eiclip" else None}
            | dict.fromkeys(("i2t_r1", "i2t_r5", "i2t_r10", "t2i_r1", "t2i_r5", "t2i_r10", "i2t_mrr", "t2i_mrr"), 30.0)
            | dict(zip(("sum_r_gain", "gain_low", "gain_high"), (70.0, 60.0, 80.0) if name == "eiclip" else [None] * 3,
                       strict=True))
            for size in (16, 32) for name, sum_r in (("clip_entities_text", 190.0), ("eiclip", 260.0))
        ], schema=RESULTS_SCHEMA, part="ablation_batch_size")  # fmt: skip
        for number in range(2):
            self.kept_run(dataset, f"run-{number}", number)

    def kept_run(self, dataset: str, run_id: str, day: int, **given: Any) -> None:
        """A kept run and its metrics."""
        row = {"run_id": run_id, "finished_at": datetime(2026, 1, 1 + day, tzinfo=UTC), "seed": 0, "device": "cpu",
               "config_hash": "c0ffee", "data_fingerprint": "da7a", "code_version": "abc", "result_hash": run_id,
               "versions": '{"numpy": "2.0"}', "settings": "{}", "seconds": 400.0}  # fmt: skip
        self.table("runs", dataset, [row | given], part=run_id, schema=RUN_SCHEMA)
        self.table("run_metrics", dataset, [
            {"run_id": run_id, "variant": name, "protocol": "full", "direction": way} | recalls(first)
            for name, first in RECALLS.items() for way in ("i2t", "t2i")
        ], part=run_id)  # fmt: skip

    def _changed(self, dataset: str) -> None:
        """Interventions on p0 and p1, their summary, and the gates' report."""
        shares = {"share_before": 0.9, "share_after": 0.3, "replacement_share_before": 0.0,
                  "replacement_share_after": 0.4}  # fmt: skip
        kinds = [
            (variant, kind, group)
            for variant in ("clip_entities_text", "eiclip")
            for group in GROUPS
            for kind in ("removed", "swapped", "as_text")
            if (variant, kind) != ("clip_entities_text", "as_text")
        ]
        self.table("interventions", dataset, [
            {"variant": variant, "intervention": kind, "entity_group": group, "product_id": f"p{n}", "entity": "diesel",
             "replacement": "coach" if kind == "swapped" else None, "gate_weight": 0.5, "rank_before": 2 + n,
             "rank_after": 30, "top_before": "p0-0", "top_after": "p1-0"} | shares
            for variant, kind, group in kinds for n in range(2)
        ])  # fmt: skip
        self.table("intervention_summary", dataset, [
            {"variant": variant, "intervention": kind, "entity_group": group, "queries": 400, "r1_before": 20.0,
             "r1_after": 11.0, "mean_rank_change": 9.0, "mean_log2_rank_change": 1.0, "median_rank_before": 7.0,
             "median_rank_after": 14.0, "worse_share": 0.6, "mean_gate": 0.5, "gate_correlation": 0.4} | shares
            for variant, kind, group in kinds
        ])  # fmt: skip
        self.table("gate_report", dataset, [
            {"variant": variant, "entity_group": group, "entities": len(names), "training_products": 400,
             "mean_weight": mean, "lowest": 0.1, "lower_quartile": 0.3, "median": mean, "upper_quartile": 0.7,
             "highest": 0.9, "r1_lost_removed": 20 * mean**2, "r1_lost_shuffled": 30 * mean**2}
            for variant, wider in (("eiclip", 0.0), ("eiclip_plus", 0.2))
            for group, (names, mean) in ((group, (names, mean + wider)) for group, (names, mean) in GROUPS.items())
        ])  # fmt: skip

    def ranks(self, dataset: str, by_variant: dict[str, list[int]]) -> None:
        """Ranks of texts 0, 1, ... over all candidates."""
        rows = [{"variant": name, "protocol": "full", "direction": "t2i", "query_id": f"p{n}", "product_id": f"p{n}",
                 "rank": rank} for name, ranks in by_variant.items() for n, rank in enumerate(ranks)]  # fmt: skip
        self.table("retrieval_ranks", dataset, rows)

    def learned(self, dataset: str, steps: int = 40) -> None:
        """Gates, shuffles and training logs."""
        draw = np.random.default_rng(1)
        gates, vocabulary, shuffles = [], [], []
        for group, (entities, mean) in GROUPS.items():
            many = [
                *entities,
                "<unk>",
                *(f"{group} {n}" for n in range(120 if group in ("brand", "composition") else 0)),
            ]
            for n, entity in enumerate(many):
                weight = float(np.clip(draw.normal(mean, 0.12), 0.01, 0.99))
                gates.append({"variant": "eiclip", "entity_group": group, "entity": entity, "weight": weight})
                vocabulary.append(
                    {"entity_group": group, "entity_id": n, "entity": entity, "product_count": 400 // (n + 1)}
                )
            for way in ("i2t", "t2i"):
                lost = 30 * mean**2 - 0.4
                row = {"variant": "eiclip", "entity_group": group, "direction": way, "r1": 27.1}
                shuffles.append(row | {"r1_shuffled": 27.1 - lost, "r1_lost": lost})
        self.table("gate_weights", dataset, gates)
        self.table("entity_vocabulary", dataset, vocabulary)
        self.table("entity_shuffles", dataset, shuffles)
        log = [row for name in list(VARIANTS)[1:] for row in self._log(name, steps, draw)]
        self.table("training_log", dataset, log, schema=LOG_SCHEMA)

    def _log(self, variant: str, steps: int, draw: np.random.Generator) -> list[dict[str, Any]]:
        rows = []
        for step in range(0, steps * 10, 10):
            loss = 2.2 * np.exp(-step / (4 * steps)) + RECALLS["eiclip"] / RECALLS[variant] * 0.7 + draw.normal(0, 0.12)
            done = step / (10 * steps)
            gates = {g: 0.5 + (mean - 0.5) * max(0, done - 0.15) for g, (_, mean) in GROUPS.items()}
            numbers = dict.fromkeys(("loss_description", "loss_entities", "lr_towers", "lr_entities", "lr_gates"), 0.0)
            rows.append(numbers | {
                "variant": variant, "step": step, "epoch": int(3 * done), "loss": loss, "loss_joint": loss,
                "temperature": 0.07, "gates": list(gates.items()) if VARIANTS[variant].gates == "learned" else [],
                "pairs_per_second": 410.0, "seconds": step * 0.16,
            })  # fmt: skip
        return rows

    def data(self, dataset: str, products: int = 60, side: int = 48) -> None:
        """Products, priors, quarantine, test photos, and embeddings of rows 3 and 5, the latter nearer the truth."""
        draw = np.random.default_rng(2)
        made = [self._product(n, draw) for n in range(products)]
        shared = ("product_id", "split", "title", "description", "subcategory", "image_count")
        self.table("products", dataset, [{key: product[key] for key in shared} for product in made])
        entities = [{"product_id": p["product_id"], "split": "test", "entity_group": group, "entity": entity,
                     "entity_id": 0 if entity == "silk" else 1, "ordinal": 1}
                    for p in made for group, [entity] in p["entities"].items()]  # fmt: skip
        self.table("product_entities", dataset, entities)
        self.table("semantic_prior", dataset, [
            {"entity": e, "entity_group": g, "tagged_count": 60 - n, "untagged_mentions": 90 - 7 * n, "prior": 1.0}
            for g, (es, _) in GROUPS.items() for n, e in enumerate(es)
        ])  # fmt: skip
        self.table("quarantine", dataset, [
            {"source": "a.h5", "locator": f"row {n}", "product_id": None, "reason": f"description missing: row {n}"}
            for n in range(7)
        ])  # fmt: skip
        samples = [sample for product in made for sample in self._samples(product, side)]
        write_shards((("test", sample) for sample in samples), self.root / "shards" / dataset, photo_size=side)
        for variant, noise in (("clip_entities_text", 1.1), ("eiclip", 0.7)):
            self.embeddings(dataset, variant, samples, noise)

    def _product(self, n: int, draw: np.random.Generator) -> dict[str, Any]:
        entities = {group: [str(draw.choice(values))] for group, (values, _) in GROUPS.items()}
        colour = str(draw.choice(["navy", "crimson", "olive", "black", "sand"]))
        text = f"Relaxed {entities['subcategory'][0]} in {colour}. Tonal stitching & notched <b>lapel</b>, two pockets."
        return {"product_id": f"p{n}", "split": "test", "title": "<script>alert(2)</script>", "description": text,
                "subcategory": entities["subcategory"][0], "image_count": 2, "entities": entities}  # fmt: skip

    def _samples(self, product: dict[str, Any], side: int) -> list[Sample]:
        number = int(product["product_id"][1:])
        photo = Image.new("RGB", (side, side), "white")
        shape = [side // 4, side // 8 + number % 5, 3 * side // 4, 7 * side // 8]
        ImageDraw.Draw(photo).rectangle(shape, fill=tuple((number * k) % 200 for k in (37, 61, 89)))
        jpeg = encode_photo(photo, side)
        facts = (product["product_id"], product["description"], product["entities"], jpeg)
        return [Sample(f"{product['product_id']}-{n}", *facts) for n in range(2)]

    def embeddings(self, dataset: str, variant: str, samples: list[Sample], noise: float) -> None:
        """Photos around their product's truth; texts around it too, further off the more noise."""
        products = sorted({sample.product_id for sample in samples})
        draw = np.random.default_rng(len(variant))
        truth = dict(zip(products, np.random.default_rng(3).normal(size=(len(products), WIDTH)), strict=True))
        rows = [("image", s.image_id, s.product_id, truth[s.product_id] + draw.normal(0, 0.4, WIDTH)) for s in samples]
        rows += [("text", p, p, truth[p] + draw.normal(0, noise, WIDTH)) for p in products]
        schema = pa.schema([(name, pa.string()) for name in ("dataset", "variant", "kind", "item_id", "product_id")]
                           + [("embedding", pa.list_(pa.float32(), WIDTH))])  # fmt: skip
        names = ("kind", "item_id", "product_id")
        listed = [
            {"variant": variant, "embedding": list(vector / np.linalg.norm(vector))}
            | dict(zip(names, keys, strict=True))
            for *keys, vector in rows
        ]
        self.table("embeddings", dataset, listed, part=variant, schema=schema)

    def duplicates(self, dataset: str) -> None:
        """Two groups of known duplicates: two test products, and a test product with two of train."""
        groups = {"p0": "p0", "p1": "p0", "p2": "p2", "x1": "p2", "x2": "p2"}
        self.table("product_groups", dataset, [{"product_id": p, "group_id": group} for p, group in groups.items()])
        excluded = [{"product_id": p, "split": "excluded", "image_count": 1} for p in ("x1", "x2")]
        self.table("products", dataset, excluded, part="more")

    def profiled(self, dataset: str) -> None:
        """The data profile, a row each."""
        self.table("profile_splits", dataset, [{"split": "test", "products": 60, "images": 120, "share": 1.0}])
        self.table("profile_entities", dataset, [
            {"entity_group": group, "tagged_products": 60, "coverage": 1.0, "entities": len(names),
             "distinct_entities": len(names), "unseen_in_test": 0, "paper_entities": None}
            for group, (names, _) in GROUPS.items()
        ], schema=pa.schema([(name, pa.string()) for name in ("dataset", "entity_group")]
                            + [("coverage", pa.float64())]
                            + [(name, pa.int64()) for name in ("tagged_products", "entities", "distinct_entities",
                                                               "unseen_in_test", "paper_entities")]))  # fmt: skip
        self.table("profile_descriptions", dataset, [
            {"split": "test", "descriptions": 60, "tokens_median": 20, "tokens_p95": 60, "tokens_max": 90, "cut": 3,
             "cut_share": 0.05, "context_length": 64, "duplicates": 0}
        ])  # fmt: skip
        self.table("profile_token_histogram", dataset, [{"tokens": 4 * n, "products": 9 - n} for n in range(9)])

    def whole(self, dataset: str) -> None:
        """Everything a finished run leaves."""
        draw = np.random.default_rng(4)
        self.results(dataset)
        self.chance(dataset)
        self.outcomes(dataset)
        self.sure(dataset)
        self.studied(dataset)
        self.profiled(dataset)
        self.cross_modal(dataset)
        self.ranks(dataset, {name: [int(rank) for rank in draw.geometric(0.15 + 0.01 * first, 400)]
                             for name, first in RECALLS.items()})  # fmt: skip
        self.learned(dataset)
        self.data(dataset)
        self.duplicates(dataset)

    def refresh(self) -> Path:
        """Make the catalogue; returns the home."""
        refresh_catalogue(self.lake)
        return self.root


@pytest.fixture
def fake(tmp_path: Path) -> FakeHome:
    """An empty home to fill."""
    return FakeHome(tmp_path / "home")


@pytest.fixture(scope="session")
def whole_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished home with one dataset, `fashiongen`; not to be changed."""
    made = FakeHome(tmp_path_factory.mktemp("whole"))
    made.whole("fashiongen")
    return made.refresh()


@pytest.fixture
def photo() -> Callable[[int], bytes]:
    """JPEGs of any size."""

    def make(side: int) -> bytes:
        buffer = io.BytesIO()
        Image.new("RGB", (side, side), "teal").save(buffer, "JPEG")
        return buffer.getvalue()

    return make
