"""Files of weights from outside: nothing but tensors is read of them, and what is broken is told."""

import pickle
import re
import shlex
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from eiclip.errors import WeightsError
from eiclip.model.pretrained import resolve_towers
from eiclip.model.sources import CONFIG_FILE, PICKLE_FILE, WEIGHTS_FILE
from eiclip.model.towers import save_towers
from eiclip.model.weights_file import read_weights, weight_shapes

pytestmark = pytest.mark.usefixtures("small_model")


class Evil:
    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return Path.touch, (self.trace,)


def evil_files(trace, towers):
    """Pickles that make the file `trace` when they are read as pickles: alone, and among whole weights."""
    yield lambda file: torch.save(Evil(trace), file)
    yield lambda file: torch.save(towers.state_dict() | {"more": Evil(trace)}, file)
    yield lambda file: torch.save(Evil(trace), file, _use_new_zipfile_serialization=False)
    yield lambda file: file.write_bytes(pickle.dumps(Evil(trace)))


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("form", ["weights.pt", "weights.safetensors", "folder"])
def test_a_pickle_that_would_run_code_is_refused_and_does_not(hub_copy, quick, tmp_path, number, form, monkeypatch):
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")  # whatever the machine has been set to
    trace = tmp_path / "trace"
    folder = hub_copy(tmp_path / "copy", quick)
    (folder / WEIGHTS_FILE).unlink()
    file = folder / PICKLE_FILE if form == "folder" else tmp_path / form
    list(evil_files(trace, quick))[number](file)
    with pytest.raises(WeightsError, match=re.escape(str(file))) as caught:
        resolve_towers("small", str(folder if form == "folder" else file))
    assert not trace.exists()
    if file.suffix != ".safetensors":
        assert "convert it where it may run code" in str(caught.value)
    if number < 3:  # as a control: read in full, they do run
        torch.load(file, weights_only=False)
        assert trace.exists()


def convert(message):
    """Run the command that an error gives."""
    _, code = shlex.split(message.partition(": python ")[2])
    exec(compile(code, "command", "exec"), {})


@pytest.mark.filterwarnings("ignore")
def test_a_torchscript_archive_is_refused_and_the_given_command_converts_it(quick, tmp_path):
    class Visual(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = quick
            self.register_buffer("input_resolution", torch.tensor(64))

        def forward(self, pixels):
            return self.inner.visual(pixels)

    file = tmp_path / "ViT.pt"
    torch.jit.trace(Visual(), torch.randn(1, 3, 64, 64), check_trace=False).save(file)
    with pytest.raises(WeightsError, match="TorchScript archive") as caught:
        read_weights(file)
    convert(str(caught.value))
    made = load_file(tmp_path / "ViT.safetensors")
    assert "input_resolution" not in made
    assert torch.equal(made["inner.visual.proj"], quick.visual.proj)


def test_a_model_pickled_whole_is_converted_by_the_given_command(quick, tmp_path):
    file = tmp_path / "it's \"; touch trace;.pt"
    torch.save(torch.nn.Linear(2, 2), file)
    with pytest.raises(WeightsError, match="a pickle can run code") as caught:
        read_weights(file)
    convert(str(caught.value))
    assert set(load_file(file.with_suffix(".safetensors"))) == {"weight", "bias"}


@pytest.mark.parametrize("around", ["model", "state_dict", None])
def test_a_checkpoint_with_a_whole_model_in_it_is_converted_by_the_given_command(quick, tmp_path, around):
    file, held = tmp_path / "last.pt", quick.state_dict() if around == "state_dict" else torch.nn.Sequential(quick)
    torch.save({"epoch": 1, "args": Path("runs"), around: held} if around else held, file)
    with pytest.raises(WeightsError, match=r"and name .*last\.safetensors: python -c") as caught:
        read_weights(file)
    convert(str(caught.value))
    found = weight_shapes(read_weights(tmp_path / "last.safetensors"))
    assert found == {name: tuple(value.shape) for name, value in quick.state_dict().items()}


def cut(file, towers):
    save_towers(towers, file.parent)
    (file.parent / CONFIG_FILE).unlink()
    file.write_bytes((file.parent / WEIGHTS_FILE).read_bytes()[:100_000])


def cut_pickle(file, towers):
    torch.save(towers.state_dict(), file)
    file.write_bytes(file.read_bytes()[:100_000])


def not_finite(file, towers):
    torch.save(towers.state_dict() | {"text_projection": torch.full((128, 128), torch.nan)}, file)


BROKEN = {
    "cut.safetensors": (cut, "not a whole weights file"),
    "cut.pt": (cut_pickle, "not a whole weights file"),
    "list.pt": (lambda file, _: torch.save([1, 2], file), "holds no model's weights"),
    "empty.pt": (lambda file, _: file.write_bytes(b""), "not a whole weights file"),
    "empty.safetensors": (lambda file, _: file.write_bytes(b""), "not a whole weights file"),
    "linear.pt": (lambda file, _: torch.save(torch.nn.Linear(2, 2).state_dict(), file), "do not fit.*Missing key"),
    "pointer.bin": (lambda file, _: file.write_bytes(b"version https://git-lfs.github.com/spec/v1\n"), "git lfs pull"),
    "vision.npz": (lambda file, _: file.write_bytes(b"PK"), "NumPy's files are not read"),
    "transformers.pt": (lambda file, _: torch.save({"text_model.x": torch.zeros(2)}, file), "transformers' CLIPModel"),
    "nan.pt": (not_finite, "text tower gives .* not finite"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_and_other_files_are_clear_errors(quick, tmp_path, name):
    make, said = BROKEN[name]
    make(tmp_path / name, quick)
    with pytest.raises(WeightsError, match=said) as caught:
        resolve_towers("small", str(tmp_path / name))
    assert len(str(caught.value)) < 1200
