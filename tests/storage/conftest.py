"""Places at URLs: in memory, and over HTTP and the S3 protocol with real servers on loopback."""

import functools
import http.server
import os
import threading

import fsspec
import pytest


class CountingHandler(http.server.SimpleHTTPRequestHandler):
    """Files of a folder; remembers which were fetched."""

    fetched: list

    def do_GET(self):
        self.fetched.append(self.path)
        super().do_GET()

    def log_message(self, *_):
        pass


@pytest.fixture
def web(tmp_path):
    """A real web server of a folder: its address, the folder and what was fetched."""
    pytest.importorskip("aiohttp")
    folder = tmp_path / "www"
    folder.mkdir()
    handler = type("Handler", (CountingHandler,), {"fetched": []})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(handler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", folder, handler.fetched
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def object_store():
    """A server of the S3 protocol on loopback."""
    pytest.importorskip("s3fs")
    server = pytest.importorskip("moto.server").ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        given = {"ENDPOINT_URL": f"http://{host}:{port}", "ACCESS_KEY_ID": "a", "SECRET_ACCESS_KEY": "b"}
        for name, value in {**given, "DEFAULT_REGION": "us-east-1"}.items():
            patch.setenv(f"AWS_{name}", value)
        yield
    server.stop()
    fsspec.get_filesystem_class("s3").clear_instance_cache()  # they know this server's port


@pytest.fixture(params=["memory", "file", "s3"])
def place(request, tmp_path):
    """An empty folder that can be written, at a URL of each protocol."""
    if request.param == "file":
        yield f"file://{tmp_path}/there"
        return
    if request.param == "s3":
        request.getfixturevalue("object_store")
    name = f"{request.param}://bucket-{os.getpid()}-{abs(hash(request.node.name)) % 10**9}"
    system, path = fsspec.url_to_fs(name)
    system.mkdir(path)
    yield f"{name}/there"
    system.rm(path, recursive=True)


def put(place, content):
    with fsspec.open(place, "wb", auto_mkdir=True) if place.startswith("file") else fsspec.open(place, "wb") as stream:
        stream.write(content)
