"""The table of a GPU: pairs a second, share of the card's own matrix rate, share of the loader, beside open_clip_train.

Without a GPU it says so; `--quick` runs the small model on whatever there is, to see that it works.
"""

import os
import platform
import statistics
import tempfile
import time
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.measure import line, median, run_apart, say
from benchmarks.training import data, peer, steps
from benchmarks.training.steps import Case
from eiclip.model.inputs import ModelInputs
from eiclip.model.towers import image_size, save_towers
from eiclip.settings.training import HardwareSettings
from eiclip.train.loader import Loader
from eiclip.train.world import World

MODELS = ("ViT-B-32", "ViT-B-16")
BATCHES = (128, 1024)


def measure(rounds: int, *, quick: bool) -> None:
    """Print the table's lines, or that there is no GPU."""
    if not torch.cuda.is_available() and not quick:
        print('{"name": "card", "note": "no GPU here: nothing measured"}')
        return
    device = "cuda" if torch.cuda.is_available() else "cpu"
    name = torch.cuda.get_device_name() if device == "cuda" else platform.machine()
    rate = matrix_rate(device)
    say({"name": "card", "device": name, "torch": torch.__version__, "cuda": torch.version.cuda, "bf16_tflops": rate})
    for model in ("small",) if quick else MODELS:
        _measure_model(model, (16,) if quick else BATCHES, device, rate, rounds, 120 if quick else 4 * data.PRODUCTS)


def matrix_rate(device: str, side: int = 8192) -> float:
    """Measured rate of bf16 matrix products, in 10^12 operations a second."""
    side = side if device == "cuda" else 512
    a, b = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in range(2))
    seconds = []
    for _ in range(20):
        _wait(device)
        begin = time.perf_counter()
        torch.mm(a, b)
        _wait(device)
        seconds.append(time.perf_counter() - begin)
    return round(2 * side**3 / statistics.median(seconds) / 1e12, 2)


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def _measure_model(model: str, batches: tuple[int, ...], device: str, rate: float, rounds: int, products: int) -> None:
    workers = max(1, (os.cpu_count() or 2) - 1)
    with tempfile.TemporaryDirectory() as folder:
        root, towers = Path(folder), steps.towers_of(model)
        data.make(root, image_size(towers), products)
        (root / "initial").mkdir()
        save_towers(towers, root / "initial")
        for batch in batches:
            case = Case(model=model, batch=batch, device=device, length=48)
            step = median([run_apart(steps.prepare, [(case,)]).facts["seconds"] for _ in range(rounds)])
            loader = _loader_rate(root, case, workers)
            setting = peer.Setting(root, batch, 3, 1, workers, device, log_every=2)
            pairs = [(peer.ours(setting, "eiclip"), peer.theirs(setting)) for _ in range(rounds)]
            mine, other = (median([pair[side] for pair in pairs]) for side in (0, 1))
            share = _operations(case) / step / (rate * 1e12)
            alone = f"step alone {batch / step:.0f} pairs/s, {100 * share:.0f} % of the matrix rate"
            note = f"{device}; {alone}; loader alone {loader:.0f} pairs/s with {workers} processes"
            say(
                line(
                    f"{model}, batch {batch}: beside open_clip_train (pairs/s)",
                    mine,
                    other,
                    1.2,
                    at_most=False,
                    note=note,
                )
            )
            say(
                line(
                    f"{model}, batch {batch}: loader beside the step (pairs/s)",
                    loader,
                    batch / step,
                    1.0,
                    at_most=False,
                )
            )


def _loader_rate(root: Path, case: Case, workers: int) -> float:
    """Pairs a second of the loader with nobody waiting for it, over an epoch after the first."""
    model = steps.built(Case(model=case.model, batch=2))[0]
    hardware = HardwareSettings(workers=workers)
    inputs = ModelInputs.of(model)
    world = World(device=case.device)
    loader = Loader(root / "shards", inputs, batch_size=case.batch, seed=0, hardware=hardware, world=world)
    for _ in loader.epoch(0):
        pass
    begin = time.perf_counter()
    pairs = sum(len(batch.images) for batch in loader.epoch(1))
    return pairs / (time.perf_counter() - begin)


def _operations(case: Case) -> float:
    """Floating point operations of a step of the batch: forward, and twice that for backward."""
    _, encoder, _, (pixels, tokens, ids) = steps.built(Case(model=case.model, batch=4, length=case.length))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        encoder(pixels, tokens, ids)
    return 3 * counter.get_total_flops() / 4 * case.batch
