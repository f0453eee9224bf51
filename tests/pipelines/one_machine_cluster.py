"""A cluster of one machine: the few calls of the Kubernetes API that a training needs, each pod a process."""

import json
import os
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

INDEX = "batch.kubernetes.io/job-completion-index"


class Pod:
    """One pod of an Indexed Job: its only container's command, run here."""

    def __init__(self, manifest, index, folder):
        job, pod = manifest["metadata"]["name"], manifest["spec"]["template"]["spec"]
        self.job, self.index, self.name = job, index, f"{job}-{index}-x"
        self.log = folder / f"{self.name}.log"
        container = pod["containers"][0]
        first = f"{job}-0.{pod.get('subdomain')}"  # the name that cluster DNS would resolve
        env = {entry["name"]: self._value(entry).replace(first, "127.0.0.1") for entry in container["env"]}
        assert container["command"][0] == "python"
        with self.log.open("w") as log:
            command = [sys.executable, *container["command"][1:]]
            self.process = subprocess.Popen(command, env=os.environ | env, stdout=log, stderr=log)

    def _value(self, entry):
        if "value" in entry:
            return entry["value"]
        assert entry["valueFrom"]["fieldRef"]["fieldPath"] == f"metadata.annotations['{INDEX}']"
        return str(self.index)

    def described(self):
        status = self.process.poll()
        state = {"running": {}} if status is None else {"terminated": {"exitCode": status}}
        container = {"name": "trainer", "image": "i", "imageID": "i", "restartCount": 0, "ready": status is None}
        metadata = {"name": self.name, "annotations": {INDEX: str(self.index)}}
        return {"metadata": metadata, "status": {"containerStatuses": [container | {"state": state}]}}

    def lines(self):
        """Its log, as it is written, to its end."""
        with self.log.open() as log:
            while True:
                ended = self.process.poll() is not None
                line = ""
                while part := log.readline():
                    line += part
                    if line.endswith("\n"):
                        yield line
                        line = ""
                if ended:
                    return
                time.sleep(0.05)


class Cluster:
    """The API server and what it runs; `jobs` are the manifests it was sent, `deleted` the names of those deleted."""

    def __init__(self, folder):
        self.folder, self.jobs, self.deleted, self.pods = folder, [], [], []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def config(self):
        """The path of a kubeconfig."""
        server = {"server": f"http://127.0.0.1:{self.server.server_port}"}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "here",
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": "nobody"}}],
            "clusters": [{"name": "here", "cluster": server}],
            "users": [{"name": "nobody", "user": {}}],
        }
        path = self.folder / "kubeconfig"
        path.write_text(json.dumps(config))
        return path

    def create(self, manifest):
        self.jobs.append(manifest)
        self.pods += [Pod(manifest, index, self.folder) for index in range(manifest["spec"]["completions"])]

    def delete(self, name):
        self.deleted.append(name)
        self.end([pod for pod in self.pods if pod.job == name])

    def end(self, pods):
        for pod in pods:
            pod.process.terminate()
        for pod in pods:
            pod.process.wait(20)

    def found(self, query):
        kind, _, value = (query.get("labelSelector") or query["fieldSelector"])[0].partition("=")
        return [pod for pod in self.pods if value == (pod.job if kind == "job-name" else pod.name)]

    def close(self):
        self.end(self.pods)
        self.server.shutdown()
        self.server.server_close()

    def _handler(cluster):
        class Handler(BaseHTTPRequestHandler):
            def answer(self, found):
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(json.dumps(found).encode())

            def do_POST(self):
                assert self.path.endswith("/jobs"), self.path
                cluster.create(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.answer(cluster.jobs[-1])

            def do_DELETE(self):
                cluster.delete(urlsplit(self.path).path.rpartition("/")[2])
                self.answer({})

            def do_GET(self):
                url = urlsplit(self.path)
                query = parse_qs(url.query)
                if not url.path.endswith("/log"):
                    return self.answer({"items": [pod.described() for pod in cluster.found(query)]})
                name = url.path.split("/")[-2]
                [pod] = [pod for pod in cluster.pods if pod.name == name]
                self.send_response(200)
                self.end_headers()
                for number, line in enumerate(pod.lines()):
                    stamp = f"2026-01-01T00:00:00.{number:09d}Z " if "timestamps" in query else ""
                    self.wfile.write((stamp + line).encode())
                return None

            def log_message(self, *_):
                """Nothing on the terminal."""

        return Handler
