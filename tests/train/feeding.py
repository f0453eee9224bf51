"""Takes batches until it is killed; says first which processes decode them. (shards, workers)"""

import sys
import time
from pathlib import Path

import torch

from eiclip.model.inputs import ModelInputs
from eiclip.model.tokenizer import clip_tokenizer
from eiclip.model.variants import get_variant
from eiclip.model.vocabulary import Vocabulary
from eiclip.settings.training import HardwareSettings
from eiclip.train.loader import Loader

if __name__ == "__main__":
    shards, end = sys.argv[1:]
    inputs = ModelInputs(get_variant("clip_description"), Vocabulary({}, {}), True, 64, clip_tokenizer(64))
    loader = Loader(Path(shards), inputs, batch_size=4, seed=0, hardware=HardwareSettings(workers=2))
    for number in range(1_000_000):
        for _ in loader.epoch(number):
            pids = [worker.pid for worker in torch.multiprocessing.active_children()]
        if number == 0:
            print(*pids, flush=True)
        if end == "exit":
            break
        time.sleep(0.01)
