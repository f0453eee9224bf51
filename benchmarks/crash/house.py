"""The code location of a small home: `dagster job execute -m benchmarks.crash.house -j trained`.

The normal assets of one embedded dataset, few products, and a job that ends with row 5's checkpoint.
"""

import os

import dagster as dg

from eiclip.settings import FASHIONGEN, Settings, load_settings
from pipelines.definitions import build_definitions

SIZES = {"fashiongen_train": 64, "fashiongen_test": 24, "general_images": 64, "pretraining_epochs": 1}
CHECKPOINT = "fashiongen/checkpoint/eiclip"


def settings() -> Settings:
    """Those of the small home; the home and the number of epochs are the environment's."""
    epochs = int(os.environ.get("CRASH_EPOCHS", "3"))
    return load_settings(
        datasets={"fashiongen": FASHIONGEN},
        pretrained="general",
        embedded=SIZES,
        training={"epochs": epochs, "batch_size": 16, "log_every": 1},
        hardware={"checkpoint_every": 2},
    )


trained = dg.define_asset_job("trained", selection=dg.AssetSelection.from_string(f'+key:"{CHECKPOINT}"'))
defs = dg.Definitions.merge(build_definitions(settings()), dg.Definitions(jobs=[trained]))
