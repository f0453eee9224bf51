"""A training job as data: written to JSON by whoever starts it, read by the process that trains."""

from pathlib import Path

import pyarrow as pa

from eiclip.settings.section import Section
from eiclip.settings.training import HardwareSettings, TrainingSettings


class TrainJob(Section):
    """Train `variant` on `shards`, starting from `initial`, and leave a checkpoint folder at `output`."""

    dataset: str
    variant: str
    shards: Path
    initial: Path | None
    """Folder of towers to start from; None: the small model, untrained."""
    entity_groups: tuple[str, ...] = ()
    entity_vocabulary: Path | None = None
    """None: there are no entities (pretraining)."""
    semantic_prior: Path | None = None
    features: Path | None = None
    """Folder of the features of frozen towers, a function of `initial`, `shards` and the settings; None: frozen towers
    read pixels and tokens as well."""
    patches: Path | None = None
    """Cross-encoders: folder where the patches of photos are kept, a function of the towers and `shards`."""
    pairs: Path | None = None
    """Same-style rows: the pairs they are trained on (trigger_id, positive_id, weight)."""
    output: Path
    seed: int = 0
    threads: int = 1
    training: TrainingSettings = TrainingSettings()
    hardware: HardwareSettings = HardwareSettings()
    code: str = ""
    """Version of the training code, where whoever starts the training has computed it: it is part of its key."""


LOG_SCHEMA = pa.schema(
    {
        **dict.fromkeys(("dataset", "variant"), pa.string()),
        **dict.fromkeys(("step", "epoch"), pa.int64()),
        **dict.fromkeys(("loss", "loss_joint", "loss_description", "loss_entities"), pa.float32()),
        "loss_views": pa.map_(pa.string(), pa.float32()),
        **dict.fromkeys(("lr_towers", "lr_entities", "lr_gates", "temperature"), pa.float32()),
        "gates": pa.map_(pa.string(), pa.float32()),
        **dict.fromkeys(("validation", "pairs_per_second", "seconds"), pa.float32()),
    }
)
"""The step log: one row every `log_every` steps; `gates` is the mean weight of each group over the batch's entities.
`loss_views` holds the terms of a same-style row or a cross-encoder, whose other three are empty; `validation` is SumR
on the validation split where it was measured after the step."""
