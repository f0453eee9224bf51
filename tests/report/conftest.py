"""A small believable home: drawn photos, recalls as in the small trial, and names that try to break the page."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image, ImageDraw

from eiclip.lake import Lake
from eiclip.shards import Sample, encode_photo, write_shards
from eiclip.train.job import LOG_SCHEMA
from eiclip.variants import VARIANTS

BRANDS = ["diesel", "golden goose", "<script>alert(1)</script>", "off-white", "acne studios", "a$b$c", "rick owens"]
KINDS = ["coats", "denim", "sneakers", "shirts", "dresses"]
GROUPS = {"brand": (BRANDS, 0.66), "composition": (["cotton", "silk", "denim", "wool"], 0.44),
          "season": (["fw2015", "ss2016"], 0.10), "subcategory": (KINDS, 0.47)}  # fmt: skip
RECALLS = {"clip_pretrained": 9.9, "clip_description": 13.7, "clip_entities_text": 14.7, "eiclip_equal": 27.5,
           "eiclip": 27.1}  # fmt: skip
WIDTH = 16
PROTOCOLS = {"full": 1.0, "full_distinct": 1.1, "sample100": 1.6, "sample100_distinct": 1.7}
"""How much easier each is than the first."""


def recalls(first: float) -> dict[str, float]:
    """Recalls that grow with k as they do."""
    return {"r1": first, "r5": min(100, 2.2 * first + 4), "r10": min(100, 2.7 * first + 8)}


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
                ways = {"i2t": recalls(first * factor), "t2i": recalls(first * factor * 0.98)}
                shared = {"variant": name, "protocol": protocol}
                metrics += [shared | {"direction": way, "queries": queries, "median_rank": 7.0} | values
                            for way, values in ways.items()]  # fmt: skip
                flat = {f"{way}_{k}": value for way, values in ways.items() for k, value in values.items()}
                board.append(shared | {"paper_row": VARIANTS[name].row} | flat | {"sum_r": sum(flat.values())})
        self.table("retrieval_metrics", dataset, metrics)
        self.table("leaderboard", dataset, board)

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
                "temperature": 0.07, "gates": list(gates.items()) if variant == "eiclip" else [],
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
                     "entity_id": 0 if entity == "silk" else 1}
                    for p in made for group, entity in p["entities"].items()]  # fmt: skip
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
        entities = {group: str(draw.choice(values)) for group, (values, _) in GROUPS.items()}
        colour = str(draw.choice(["navy", "crimson", "olive", "black", "sand"]))
        text = f"Relaxed {entities['subcategory']} in {colour}. Tonal stitching & notched <b>lapel</b>, two pockets."
        return {"product_id": f"p{n}", "split": "test", "title": "<script>alert(2)</script>", "description": text,
                "subcategory": entities["subcategory"], "image_count": 2, "entities": entities}  # fmt: skip

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

    def whole(self, dataset: str) -> None:
        """Everything a finished run leaves."""
        draw = np.random.default_rng(4)
        self.results(dataset)
        self.ranks(dataset, {name: [int(rank) for rank in draw.geometric(0.15 + 0.01 * first, 400)]
                             for name, first in RECALLS.items()})  # fmt: skip
        self.learned(dataset)
        self.data(dataset)
        self.duplicates(dataset)

    def refresh(self) -> Path:
        """Make the catalogue; returns the home."""
        self.lake.refresh_catalogue()
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
