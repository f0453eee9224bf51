"""The search page's answers over HTTP: 20,000 made-up products, a model of ViT-B-32's size, a real server on loopback.

The times are a client's: from the first byte sent to the whole answer read, as JSON. The very first answer of a server
that has just said that it is ready counts by itself.
"""

import io
import json
import logging
import multiprocessing
import os
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.measure import Work, line, median, run_apart, say
from benchmarks.search.speed import PRODUCTS, QUERIES, drawn_engine

ANSWER_MS = 300.0
USERS = 8
"""Who ask at the same time, each as soon as the last answer is there: the figure is the 99th percentile."""
WIDTH = 512
AT_ONCE = f"words, {USERS} users, 99th percentile,"
PHOTO = (1200, 1600)
"""Pixels of the photo that is sent, as shops show them."""
TOWERS = "ViT-B-32"


def measure(*, quick: bool, rounds: int | None, threads: int) -> None:
    """Print the figures: first answer, words, photo with words, and words of several users at once."""
    products, repeats = (500, 2) if quick else (PRODUCTS, 8)
    runs = [run_apart(prepare, [(products, repeats, threads, quick)]) for _ in range(rounds or (1 if quick else 3))]
    named = {name: median([run.facts[name] for run in runs]) for name in runs[0].facts}
    model = "the small model" if quick else f"a model of {TOWERS}'s size"
    told = f"{products:,} products, {model}, {threads} threads, 24 shown; peer: the goal"
    for name in ("first answer", "words", "photo and words", AT_ONCE):
        more = f"slowest {named[f'slowest {name}']} ms; " if f"slowest {name}" in named else ""
        note = f"{more}CPU {named[f'CPU {name}']} ms; {told}"
        say(line(f"page, {name} over HTTP (ms)", named[name], ANSWER_MS, 1.0, at_most=True, note=note))


def prepare(products: int, repeats: int, threads: int, small: bool) -> Work:
    """A warmed server, and a client that asks it; medians in milliseconds."""
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = str(threads)
    import httpx
    import torch

    torch.set_num_threads(threads)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    app, photo = _app(products, small), _photo()

    def work() -> dict[str, float]:
        with _served(app) as address, httpx.Client(base_url=address, timeout=60) as client:
            wall, cpu = _asked(client, QUERIES[0])
            found = {"first answer": wall, "CPU first answer": cpu}
            for name, sent in (("words", None), ("photo and words", photo)):
                walls, cpus = zip(*(_asked(client, text, sent) for text in QUERIES * repeats), strict=True)
                found |= {name: median(walls), f"slowest {name}": round(max(walls), 3), f"CPU {name}": median(cpus)}
            # Users in a process of their own: within the server they would take its interpreter, too.
            with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as elsewhere:
                elsewhere.submit(_users, address, 1).result()
                start = time.process_time()
                at_once = elsewhere.submit(_users, address, repeats).result()
            cpu = 1000 * (time.process_time() - start) / len(at_once)
            found[AT_ONCE] = sorted(at_once)[int(0.99 * len(at_once))]
            found |= {f"slowest {AT_ONCE}": max(at_once), f"CPU {AT_ONCE}": cpu}
        return found

    return work


def _users(address: str, repeats: int) -> list[float]:
    """Milliseconds of each answer of several users, who ask at the same time."""
    import httpx

    with httpx.Client(base_url=address, timeout=60) as client, ThreadPoolExecutor(USERS) as users:
        return [wall for wall, _ in users.map(lambda text: _asked(client, text), QUERIES * repeats * USERS)]


def _asked(client: Any, text: str, photo: bytes | None = None) -> tuple[float, float]:
    """Milliseconds of one answer: wall, and CPU of this process."""
    files: dict[str, Any] = {"query": (None, json.dumps({"text": text}))}
    if photo is not None:
        files["photo"] = ("photo.jpg", photo)
    start, cpu = time.perf_counter(), time.process_time()
    answer = client.post("/api/search/drawn/eiclip", files=files)
    answer.raise_for_status()
    assert len(answer.json()["hits"]) == 24
    return 1000 * (time.perf_counter() - start), 1000 * (time.process_time() - cpu)


def _app(products: int, small: bool) -> Any:
    """The page's server over a drawn engine, opened and warmed as it is at its start."""
    from eiclip.web.app import create_app
    from eiclip.web.engines import Engines, OpenedEngine

    engine = drawn_engine(products, WIDTH)
    opened = OpenedEngine(engine if small else _enlarged(engine))
    opened.warm()

    class Drawn(Engines):
        """Engines of no home."""

        def get(self, dataset: str, variant: str) -> OpenedEngine:
            return opened

    return create_app(Drawn(Path("no home")))


def _enlarged(engine: Any) -> Any:
    """The same engine with towers of ViT-B-32's size, untrained: their speed is the same."""
    import open_clip

    from eiclip.inference import EntityClip
    from eiclip.model.entity_clip import EntityClipModel
    from eiclip.model.towers import new_towers
    from eiclip.search.engine import SearchEngine

    size, small = open_clip.get_model_config(TOWERS), engine.model.model
    assert size is not None
    large = EntityClipModel(new_towers(size, 0), small.variant, small.vocabulary, small.training_settings)
    return SearchEngine(engine.index, EntityClip(large, "cpu"), engine.reader.linker, engine.shelf)


def _photo() -> bytes:
    import numpy as np
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).resize(PHOTO, Image.Resampling.BICUBIC).save(file, "JPEG", quality=90)
    return file.getvalue()


@contextmanager
def _served(app: Any) -> Iterator[str]:
    """The address of an app on loopback."""
    import uvicorn

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not server.started and thread.is_alive():
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join()
