"""Features of frozen towers: photos a second, beside timm's own inference loop and the tower alone, in turns.

    python -m benchmarks.features                      # the `starter` image tower, 224 px
    python -m benchmarks.features --photos 1024 --rounds 5

All three run EfficientNet-Lite0 at 224 px on all cores, each in a process of its own: ours over a shard (decode,
normalise, forward, float16), timm's over the same JPEG files (its `create_loader` and the loop of its `inference.py`,
with 2 workers), and the forward pass alone over ready tensors.
"""

import argparse
import io
import os
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from benchmarks.measure import Work, interleaved, line, median, say

SIZE, BATCH = 224, 64
GOAL = 0.9


def write_photos(folder: Path, count: int) -> None:
    """Write photos as one shard, and as JPEG files of a folder."""
    from eiclip.shards import Sample, encode_photo, write_shards

    random = np.random.default_rng(0)

    def photo() -> bytes:
        small = Image.fromarray(random.integers(0, 255, (28, 28, 3), dtype=np.uint8)).resize((SIZE, SIZE))
        return encode_photo(small.filter(ImageFilter.GaussianBlur(2)), SIZE)

    samples = [Sample(f"p{number}_0", f"p{number}", f"item {number}", {}, photo()) for number in range(count)]
    write_shards((("train", sample) for sample in samples), folder / "shards", photo_size=SIZE)
    (folder / "files" / "one").mkdir(parents=True)
    for sample in samples:
        Image.open(io.BytesIO(sample.jpeg)).save(folder / "files" / "one" / f"{sample.image_id}.jpg", quality=92)


def prepare_ours(folder: str) -> Work:
    """The asset's own work on a shard."""
    from eiclip.features.reader import feature_store
    from eiclip.model.entity_clip import EntityClipModel
    from eiclip.model.starter import starter_towers
    from eiclip.model.variants import get_variant
    from eiclip.model.vocabulary import Vocabulary
    from eiclip.settings.training import TrainingSettings
    from eiclip.shards import shard_paths
    from eiclip.shards.read import index_of
    from eiclip.system.devices import use_threads

    use_threads(len(os.sched_getaffinity(0)))
    settings = TrainingSettings(image_tower="heads", text_tower="full")
    model = EntityClipModel(starter_towers(), get_variant("clip_description"), Vocabulary({}, {}), settings)
    shards, place = Path(folder) / "shards", Path(tempfile.mkdtemp(dir=folder))
    store = feature_store(model, place, shards)
    assert store is not None
    [shard] = shard_paths(shards, "train")
    index = index_of(shard)

    def work() -> dict[str, float]:
        return {"photos": float(store.write(shard, index, [])["photos"])}

    return work


def prepare_timm(folder: str) -> Work:
    """timm's loop over a folder of files."""
    import timm
    import torch
    from timm.data import ImageDataset, create_loader, resolve_data_config

    model = timm.create_model("tf_efficientnet_lite0", num_classes=0).eval()
    config = resolve_data_config({"crop_pct": 1.0}, model=model)

    def work() -> dict[str, float]:
        dataset = ImageDataset(str(Path(folder) / "files"))
        loader = create_loader(
            dataset, batch_size=BATCH, use_prefetcher=False, num_workers=2,
            **{name: config[name] for name in ("input_size", "mean", "std", "interpolation", "crop_pct")},
        )  # fmt: skip
        photos = 0
        with torch.inference_mode():
            for images, _ in loader:
                photos += len(model(images))
        return {"photos": float(photos)}

    return work


def prepare_bare(count: int) -> Work:
    """The forward pass alone, channels last."""
    import timm
    import torch

    model = timm.create_model("tf_efficientnet_lite0", num_classes=0).eval()
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    images = torch.rand(BATCH, 3, SIZE, SIZE).to(memory_format=torch.channels_last)

    def work() -> dict[str, float]:
        with torch.inference_mode():
            return {"photos": float(sum(len(model(images)) for _ in range(count // BATCH)))}

    return work


def main() -> None:
    """Print the two figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        write_photos(Path(folder), arguments.photos)
        runs = interleaved(
            {
                "ours": (prepare_ours, [(folder,)]),
                "timm": (prepare_timm, [(folder,)]),
                "bare": (prepare_bare, [(arguments.photos,)]),
            },
            arguments.rounds,
        )
    rates = {name: median([run.facts["photos"] / run.wall for run in found]) for name, found in runs.items()}
    note = f"{arguments.photos} photos of {SIZE} px, {arguments.rounds} rounds, {time.perf_counter() - start:.0f} s"
    title = "features of the starter image tower"
    say(
        line(
            f"{title} / timm's inference loop (photos/s)", rates["ours"], rates["timm"], GOAL, at_most=False, note=note
        )
    )
    say(
        line(
            f"{title} / the forward pass alone (photos/s)", rates["ours"], rates["bare"], 0.0, at_most=False, note=note
        )
    )


if __name__ == "__main__":
    main()
