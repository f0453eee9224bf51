"""Several processes that share a batch: the loss and gradients of one process with the whole batch."""

import json
import runpy
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file

from eiclip.model.towers import new_towers, save_towers
from eiclip.settings.training import HardwareSettings, TrainingSettings
from eiclip.storage.cache import LOG_FILE
from eiclip.storage.files import write_json
from eiclip.train.loop import train
from tests.train.conftest import TINY

PROGRAM = Path(__file__).with_name("gradients.py")
TORCHRUN = [sys.executable, "-m", "torch.distributed.run"]
TWO = ["--standalone", "--nproc-per-node", "2"]


def wait(*processes):
    for process in processes:
        said = process.communicate(timeout=120)[0]
        assert process.returncode == 0, said


def begin(flags, *program):
    command = [*TORCHRUN, *flags, *map(str, program)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def two_nodes(endpoint, *program):
    """As on two machines: an agent on each, which meet at one address."""
    meet = ["--nnodes", "2", "--nproc-per-node", "1", "--rdzv-backend", "c10d", "--rdzv-endpoint", endpoint]
    return [begin([*meet, "--rdzv-id", "shop"], *program) for _ in range(2)]


def written(job, tmp_path, **changes):
    path = tmp_path / f"job{len(list(tmp_path.glob('job*')))}.json"
    write_json(path, job.model_copy(update=changes).model_dump(mode="json"))
    return path


RESNET = TINY | {"vision_cfg": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 8}}
BIASED = TINY | {"init_logit_bias": -10.0}
CHANGES = {
    "row 2": {"variant": "clip_description"},
    "row 5 in chunks, sparse": {"hardware": HardwareSettings(chunk_size=2, sparse_entities=True)},
    "frozen batch norm": {"towers": RESNET},
    "frozen batch norm in chunks": {"towers": RESNET, "hardware": HardwareSettings(chunk_size=2)},
    "sigmoid loss": {"towers": BIASED},
    "the entities' term alone": {"training": TrainingSettings(batch_size=8, loss_terms=("entities",))},
}


@pytest.fixture(scope="module")
def jobs(job_in, tmp_path_factory):
    """Job files, with the gradients of one process (`.one`) and of two (`.two`) beside each."""
    folder = tmp_path_factory.mktemp("gradients")
    files = {}
    for number, (name, changes) in enumerate(CHANGES.items()):
        changes = dict(changes)
        if config := changes.pop("towers", None):
            (changes := changes | {"initial": folder / f"towers{number}"})["initial"].mkdir()
            save_towers(new_towers(config, 0), changes["initial"])
        files[name] = written(job_in(folder), folder, **changes)
    two = begin(TWO, PROGRAM, *files.values())
    runpy.run_path(str(PROGRAM))["write_gradients"](list(files.values()), ".one")
    wait(two)
    return files


@pytest.mark.parametrize("name", CHANGES)
def test_two_processes_have_the_gradients_of_one(jobs, name):
    one, two = (load_file(jobs[name].with_suffix(ending)) for ending in (".one", ".two"))
    assert one.keys() == two.keys()
    largest = max(gradient.abs().max().item() for name, gradient in one.items() if name != "loss")
    assert largest > 0
    for name, gradient in one.items():
        assert torch.allclose(two[name], gradient, atol=1e-5 * min(1, largest), rtol=1e-5), name


def test_chunks_have_the_gradients_of_the_whole_batch_where_batch_norm_is_frozen(jobs):
    whole, chunks = (load_file(jobs[f"frozen batch norm{end}"].with_suffix(".one")) for end in ("", " in chunks"))
    for name, gradient in whole.items():
        assert torch.allclose(chunks[name], gradient, atol=1e-5, rtol=1e-4), name


def test_two_machines_train_as_one(job, tmp_path, free_port):
    training = job.training.model_copy(update={"epochs": 1})
    path = written(job, tmp_path, training=training, output=tmp_path / "two")
    nodes = two_nodes(f"127.0.0.1:{free_port}", "-m", "eiclip.train", path)
    train(job.model_copy(update={"training": training, "output": tmp_path / "one"}), lambda _: None)
    wait(*nodes)
    logs = [pq.read_table(tmp_path / name / LOG_FILE).to_pylist() for name in ("one", "two")]
    assert [row["step"] for row in logs[1]] == [0, 1, 2]
    for one, two in zip(*logs, strict=True):
        assert two["loss"] == pytest.approx(one["loss"], rel=1e-4)
        assert dict(two["gates"]) == pytest.approx(dict(one["gates"]), rel=1e-4)
    described = [json.loads((tmp_path / name / "eiclip.json").read_text()) for name in ("one", "two")]
    assert described[0] == described[1]
