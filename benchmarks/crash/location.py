"""The code location of a small home with a fuse in its steps: `dagster job execute -m benchmarks.crash.location`.

The normal assets of one synthetic dataset of few products; job `prepared` makes what row 5 is trained from, `trained`
trains it.
"""

import os

import dagster as dg

from benchmarks.crash.fuse import light
from eiclip.settings.load import FASHIONGEN, Settings, load_settings
from pipelines.definitions import build_definitions

SIZES = {"fashiongen_train": 64, "fashiongen_test": 24, "general_images": 64, "pretraining_epochs": 1}
CHECKPOINT = "fashiongen/checkpoint/eiclip"


def settings() -> Settings:
    """Those of the small home; where it lies and how long it trains is for the environment."""
    epochs = int(os.environ.get("CRASH_EPOCHS", "2"))
    return load_settings(
        datasets={"fashiongen": FASHIONGEN},
        pretrained="general",
        embedded=SIZES,
        training={"epochs": epochs, "batch_size": 16, "log_every": 1},
        hardware={"checkpoint_every": 2},
    )


select = dg.AssetSelection.from_string
jobs = [
    dg.define_asset_job("prepared", selection=select(f'+key:"{CHECKPOINT}"') - select(f'key:"{CHECKPOINT}"')),
    dg.define_asset_job("trained", selection=select(f'key:"{CHECKPOINT}"')),
]
defs = dg.Definitions.merge(build_definitions(settings()), dg.Definitions(jobs=jobs))
light()
