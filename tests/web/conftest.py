"""A home small enough to serve in a test: untrained models, and names that would break a careless page."""

import io
import shutil
import socket
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import pyarrow as pa
import pytest
import torch
import uvicorn
from PIL import Image

from eiclip.model.entity_clip import EntityClipModel, load_checkpoint, save_checkpoint
from eiclip.model.sources import SMALL
from eiclip.model.towers import new_towers
from eiclip.model.variants import get_variant
from eiclip.model.vocabulary import Vocabulary
from eiclip.search import SearchEngine
from eiclip.settings.cross_modal import CrossSettings
from eiclip.settings.training import OWN, TrainingSettings
from eiclip.shards import Sample, encode_photo, write_shards
from eiclip.storage.home import Paths
from eiclip.web.app import create_app
from eiclip.web.engines import Engines
from tests.conftest import reranker_of

HOSTILE = "<img src=x onerror=\"document.title='broken into'\">"
BRANDS, KINDS = ("golden goose", "acne studios", "gucci"), ("boots", "coats")
GENERAL = "leather"
"""An entity whose words most often mean no entity."""
VARIANTS = ("eiclip_plus", "eiclip", "clip_description")
COUNT = 18


@dataclass(frozen=True)
class Product:
    """What the home has of one product."""

    product_id: str
    title: str
    description: str
    entities: dict[str, list[str]]


def products(count=COUNT):
    """Eighteen products; ids that a path could be led astray by, a title that is markup."""
    odd = {3: "../../etc/passwd", 4: "a/b?c=d&e #1%2f"}
    for n in range(count):
        brand, kind = BRANDS[n % 3], KINDS[n % 2]
        title = HOSTILE if n == 5 else f"{('black', 'white', 'red')[n // 2 % 3]} {kind} number {n}"
        yield Product(odd.get(n, f"p{n}"), title, f"{title}, made well.", {"brand": [brand], "subcategory": [kind]})


def photo_of(number, size=64):
    """A photo of some noise, smooth enough to survive JPEG."""
    pixels = np.random.default_rng(number).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize((size, size), Image.Resampling.BICUBIC)


def as_file(photo, kind="PNG", **options):
    file = io.BytesIO()
    photo.save(file, kind, **options)
    return file.getvalue()


def split_of(number):
    return "train" if number % 3 else "test"


def write_photos(root: Path, dataset: str, own: list[Product]) -> None:
    """A dataset's shards; each product has the photo of its place in the list."""
    samples = [
        (split_of(n), Sample(f"i{n}", p.product_id, p.description, p.entities, encode_photo(photo_of(n), 64)))
        for n, p in enumerate(own)
    ]
    write_shards(sorted(samples, key=lambda pair: pair[0] == "test"), Paths(root).shards(dataset), photo_size=64)


def write_tables(root: Path, dataset: str, own: list[Product]) -> None:
    """A dataset's lake."""
    home, split = Paths(root), [split_of(n) for n in range(len(own))]
    sizes = [str(36 + n % 2 * 2) for n in range(len(own))]
    rows = {
        "products": [
            {
                "product_id": p.product_id, "split": s, "title": p.title, "description": p.description,
                "category": p.entities["subcategory"][0].upper(), "subcategory": p.entities["subcategory"][0],
                "department": "CLOTHING", "gender": "Women", "price": 12.5 + n if n else None,
            }
            for n, (p, s) in enumerate(zip(own, split, strict=True))
        ],
        "product_entities": [
            {"product_id": p.product_id, "split": s, "entity_group": group, "entity": entity, "ordinal": 1}
            for p, s in zip(own, split, strict=True) for group, [entity] in p.entities.items()
        ],
        "images": [
            {"product_id": p.product_id, "image_id": f"i{n}", "source": "file", "place": n} for n, p in enumerate(own)
        ],
        "entity_vocabulary": [],
        "semantic_prior": [],
        "offers": [
            {
                "product_id": p.product_id, "currency": "EUR", "available": (True, False, None, True)[n % 4],
                "link": "javascript:alert(1)" if n == 5 else f"https://shop.example/{n}?a=1&b=2",
            }
            for n, p in enumerate(own)
        ],
        "entity_spellings": [{"entity_group": "brand", "entity": BRANDS[0], "spelling": BRANDS[0], "rows": 1}],
    }  # fmt: skip
    for group, name in [*(("brand", name) for name in BRANDS), *(("subcategory", name) for name in (*KINDS, GENERAL))]:
        own, (tagged, untagged) = {"entity_group": group, "entity": name}, (1, 9) if name == GENERAL else (6, 0)
        rows["entity_vocabulary"].append(own)
        rows["semantic_prior"].append(own | {"prior": 1.0, "tagged_count": tagged, "untagged_mentions": untagged})
    for table, own_rows in rows.items():
        found = pa.Table.from_pylist([{"dataset": dataset} | row for row in own_rows])
        if table == "offers":
            maps = pa.array([[("size", [size])] for size in sizes], pa.map_(pa.string(), pa.list_(pa.string())))
            found = found.append_column("attributes", maps)
        home.lake.write(found, table, dataset)


def write_home(root: Path, dataset: str, count: int = COUNT) -> None:
    """A dataset's lake, shards and models, as jobs leave them behind; no job has made its views."""
    home, own = Paths(root), list(products(count))
    write_photos(root, dataset, own)
    write_tables(root, dataset, own)
    names = {"brand": ["<unk>", *BRANDS], "subcategory": ["<unk>", *KINDS, GENERAL]}
    for variant in VARIANTS:
        torch.manual_seed(0)
        own, training = get_variant(variant), TrainingSettings(**OWN.get(variant, {}))
        model = EntityClipModel(new_towers(SMALL, 0), own, Vocabulary(names, {}), training)
        save_checkpoint(model.eval(), home.checkpoint(dataset, variant), {})


@pytest.fixture(scope="session")
def shop_home(tmp_path_factory):
    """A home with the dataset `shop`."""
    root = tmp_path_factory.mktemp("web") / "home"
    write_home(root, "shop")
    return root


@contextmanager
def served(app):
    """The address of an app served on loopback by a real uvicorn, in a thread."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical", access_log=False))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not server.started and thread.is_alive():
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(20)


@pytest.fixture(scope="session")
def site(shop_home):
    """The address of the served home."""
    with served(create_app(Engines(shop_home))) as address:
        yield address


@pytest.fixture(scope="session")
def reranking_site(shop_home, tmp_path_factory):
    """The address of the same home with a row 14, which scores five products again."""
    home = Paths(Path(shutil.copytree(shop_home, tmp_path_factory.mktemp("rerank") / "home")))
    training = TrainingSettings(cross=CrossSettings(width=32, layers=2, heads=2, first=5))
    model = reranker_of(load_checkpoint(home.checkpoint("shop", "eiclip")), training)
    model.cross.mix[1] = 500  # pair scores decide all
    save_checkpoint(model, home.checkpoint("shop", "eiclip_rerank"), {})
    with served(create_app(Engines(home.root))) as address:
        yield address


@pytest.fixture(scope="module")
def client(site):
    with httpx.Client(base_url=site, timeout=60) as opened:
        yield opened


@pytest.fixture(scope="module")
def engine(shop_home):
    return SearchEngine.open(shop_home, "shop", "eiclip")
