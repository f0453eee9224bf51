"""Photos a second: ours, the bare limit, and a plain dataset over HDF5; each side in processes of its own."""

import multiprocessing
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.loader.data import BRANDS, SEASONS, SIZE
from benchmarks.loader.plain import prepare_plain
from benchmarks.measure import Prepare, Run, Work, interleaved, line, median, say

if TYPE_CHECKING:
    from eiclip.model.entity_clip import EntityClipModel

BATCH = 128
BARE_GOAL, PLAIN_GOAL = 0.8, 3.0
CONTEXT = 77


def measure(figures: list[str], folder: Path, rounds: int) -> None:
    """Print the wanted ones of `bare`, `plain` and `start`."""
    cores = sorted(os.sched_getaffinity(0))
    if "bare" in figures:
        shares = [[cores], [cores[:1]], [cores[:1], cores[1:2] or cores[:1]]]
        for share in shares if len(cores) > 1 else shares[1:]:
            _say_bare(folder, rounds, share)
    if "plain" in figures:
        works: dict[str, tuple[Prepare, Sequence[tuple[Any, ...]]]] = {
            "ours": (prepare_ours, [(str(folder), cores, 0, 1, 2)]),
            "peer": (prepare_plain, [(str(folder), 2)]),
        }
        runs = interleaved(works, rounds)
        rates = {name: _rate(found) for name, found in runs.items()}
        note = "2 workers each; ours and the peer make normalised tensors and token ids, ours entity ids too"
        title = "loader / plain per-row HDF5 dataset with Pillow resize (photos/s)"
        say(line(title, rates["ours"], rates["peer"], PLAIN_GOAL, at_most=False, note=note))
    if "start" in figures:
        _say_start(folder, rounds, cores)


def _say_bare(folder: Path, rounds: int, shares: list[list[int]]) -> None:
    """One process a share of the cores, on both sides; several of ours are ranks that share each batch."""
    ranks = len(shares)
    ours = [(str(folder), share, rank, ranks, 0) for rank, share in enumerate(shares)]
    peer = [(str(folder), share, rank, ranks) for rank, share in enumerate(shares)]
    runs = interleaved({"ours": (prepare_ours, ours), "peer": (prepare_bare, peer)}, rounds)
    rates = {name: _rate(found) for name, found in runs.items()}
    cpu = {name: median([run.facts["photos"] / run.cpu for run in found]) for name, found in runs.items()}
    note = (
        "ours: warm epoch to float32 pixels, token and entity ids, without start-up; peer: JPEG to pixels, dropped at "
        f"once; per CPU second {cpu['ours']:.0f} and {cpu['peer']:.0f}, ratio {cpu['ours'] / cpu['peer']:.2f}"
    )
    title = f"loader / simplejpeg alone, {ranks} process{'es' if ranks > 1 else ''}, {len(shares[0])} core(s) each"
    say(line(f"{title} (photos/s)", rates["ours"], rates["peer"], BARE_GOAL, at_most=False, note=note))


def _say_start(folder: Path, rounds: int, cores: list[int]) -> None:
    runs = interleaved({"start": (prepare_start, [(str(folder), cores)])}, rounds)["start"]
    facts = {key: median([run.facts[key] for run in runs]) for key in runs[0].facts}
    megabytes = sum(file.stat().st_size for file in (folder / "shards").iterdir()) / 1e6
    say({"name": "start-up (s): checksums, index, token ids of all texts", **facts})
    say({"name": "checksums of tars and indexes (MB/s)", "ours": round(megabytes / facts["verify"], 1)})


def _rate(runs: list[Run]) -> float:
    return median([run.facts["photos"] / run.wall for run in runs])


def _on(cores: list[int]) -> None:
    """As the trainer: one thread of torch's, freed memory kept, workers forked."""
    import torch

    from eiclip.system.memory import keep_freed_memory

    os.sched_setaffinity(0, cores)
    multiprocessing.set_start_method("fork", force=True)
    torch.set_num_threads(1)
    keep_freed_memory()


def _model() -> "EntityClipModel":
    from eiclip.model.entity_clip import EntityClipModel
    from eiclip.model.sources import SMALL
    from eiclip.model.towers import new_towers
    from eiclip.model.variants import get_variant
    from eiclip.model.vocabulary import Vocabulary
    from eiclip.settings.training import TrainingSettings

    names = {"brand": [f"brand {n}" for n in range(BRANDS)], "season": [f"season {n}" for n in range(SEASONS)]}
    vocabulary = Vocabulary({group: ["<unk>", *known] for group, known in names.items()}, {})
    sizes = {"vision_cfg": SMALL["vision_cfg"] | {"image_size": SIZE}}
    sizes["text_cfg"] = SMALL["text_cfg"] | {"context_length": CONTEXT}
    return EntityClipModel(new_towers(SMALL | sizes, 0), get_variant("eiclip"), vocabulary, TrainingSettings())


def prepare_ours(folder: str, cores: list[int], rank: int, ranks: int, workers: int) -> Work:
    """A warm epoch of the loader, normalised on the CPU."""
    _on(cores)
    from eiclip.model.inputs import ModelInputs, normalise
    from eiclip.settings.training import HardwareSettings
    from eiclip.train.loader import Loader
    from eiclip.train.world import World

    model, hardware = _model(), HardwareSettings(workers=workers)
    shards, inputs = Path(folder) / "shards", ModelInputs.of(model)
    loader = Loader(shards, inputs, batch_size=BATCH, seed=0, world=World(rank, ranks), hardware=hardware)

    def epoch(number: int) -> dict[str, float]:
        photos = 0
        for batch in loader.epoch(number):
            photos += len(normalise(model, batch.images))
        return {"photos": photos}

    epoch(0)
    return lambda: epoch(1)


def prepare_bare(folder: str, cores: list[int], rank: int, ranks: int) -> Work:
    """simplejpeg's decoding of the same bytes, in memory already."""
    import simplejpeg

    from eiclip.shards import read_samples, shard_paths

    os.sched_setaffinity(0, cores)
    jpegs = [sample.jpeg for sample in read_samples(shard_paths(Path(folder) / "shards", "train"))][rank::ranks]
    jpegs = jpegs[: len(jpegs) // (BATCH // ranks) * (BATCH // ranks)]

    def work() -> dict[str, float]:
        for jpeg in jpegs:
            simplejpeg.decode_jpeg(jpeg, colorspace="RGB")
        return {"photos": len(jpegs)}

    work()
    return work


def prepare_start(folder: str, cores: list[int]) -> Work:
    """What comes before the first batch, and the first batch."""
    _on(cores)
    from eiclip.model.inputs import ModelInputs
    from eiclip.shards import find_damage
    from eiclip.train.loader import Loader

    inputs, shards = ModelInputs.of(_model()), Path(folder) / "shards"
    inputs.token_ids(["a word"])

    def work() -> dict[str, float]:
        begin = time.perf_counter()
        assert not find_damage(shards)
        verified = time.perf_counter()
        loader = Loader(shards, inputs, batch_size=BATCH, seed=0)
        made = time.perf_counter()
        next(loader.epoch(0))
        first = time.perf_counter()
        return {"verify": verified - begin, "loader": made - verified, "first_batch": first - made}

    return work
