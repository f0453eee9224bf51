"""Towers small enough to be saved in every form that weights come in."""

import http.server
import json
import threading
import zlib
from functools import partial
from pathlib import Path

import huggingface_hub
import open_clip
import pytest
import torch

from eiclip.model.sources import CONFIG_FILE, SMALL, WEIGHTS_FILE
from eiclip.model.towers import new_towers, save_towers

QUICK = SMALL | {"quick_gelu": True}
GREY = {"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]}


@pytest.fixture(scope="session")
def quick():
    """Small towers with another GELU than open_clip's own."""
    return new_towers(QUICK, 0).eval()


@pytest.fixture
def small_model(tmp_path, monkeypatch):
    """open_clip's list of models with a small one of the name `small`, so that bare files can be of it."""
    configs = tmp_path / "configs"
    configs.mkdir()
    (configs / "small.json").write_text(json.dumps(QUICK))
    monkeypatch.setattr(open_clip.factory, "_MODEL_CONFIG_PATHS", [*open_clip.factory._MODEL_CONFIG_PATHS])
    monkeypatch.setattr(open_clip.factory, "_MODEL_CONFIGS", dict(open_clip.factory._MODEL_CONFIGS))
    open_clip.add_model_config(configs)


@pytest.fixture(scope="session")
def hub_copy():
    """Writes a hub repository's files: the configuration, a card, and the weights in one of open_clip's two forms."""
    return _hub_copy


def _hub_copy(folder, towers, *, weights=WEIGHTS_FILE, preprocess=GREY, config=QUICK):
    folder.mkdir(parents=True)
    save_towers(towers, folder)
    (folder / CONFIG_FILE).write_text(json.dumps({"model_cfg": config, "preprocess_cfg": preprocess}))
    (folder / "README.md").write_text("# A model\n")
    if weights != WEIGHTS_FILE:
        torch.save(towers.state_dict(), folder / weights)
        (folder / WEIGHTS_FILE).unlink()
    return folder


class Hub(http.server.SimpleHTTPRequestHandler):
    """The hub's way of giving files: /org/name/resolve/main/file, with a checksum and a commit in the headers."""

    def translate_path(self, path):
        return str(Path(self.directory) / Path(path).name)

    def end_headers(self):
        self.send_header("ETag", f'"{zlib.crc32(self.path.encode()):08x}"')
        self.send_header("X-Repo-Commit", "c" * 40)
        super().end_headers()

    def send_error(self, code, message=None, explain=None):
        self.send_response(code)
        self.send_header("X-Error-Code", "EntryNotFound")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format, *args):
        pass


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub on loopback that serves the folder `copy`, and an empty cache."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Hub, directory=str(tmp_path / "copy")))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    address = f"http://127.0.0.1:{server.server_port}"
    changed = {
        "ENDPOINT": address,
        "HUGGINGFACE_CO_URL_TEMPLATE": address + "/{repo_id}/resolve/{revision}/{filename}",
        "HF_HUB_CACHE": str(tmp_path / "cache"),
        "HF_HUB_DISABLE_PROGRESS_BARS": True,
        "HF_HUB_OFFLINE": False,
    }
    for name, value in changed.items():
        monkeypatch.setattr(huggingface_hub.constants, name, value)
    yield server
    server.shutdown()
    thread.join()
    server.server_close()
