"""Trainings as Jobs of a cluster: what is sent to it, and trainings run by one that is a single machine's processes."""

import copy
import itertools
import os
import runpy
import socket
import threading
import time
from pathlib import Path

import dagster as dg
import pytest
import yaml

from benchmarks.crash.data import tiny_job
from eiclip.errors import SettingsError
from eiclip.settings.training import HardwareSettings
from eiclip.train.job import TrainJob
from pipelines.cluster import ClusterClient, read_manifest, torchrun, trainer_client, training_manifest
from pipelines.trainers import TrainerClient

DEPLOY = Path(__file__).parents[2] / "deploy" / "kubernetes"
SHIPPED = DEPLOY / "trainer.yaml"
Cluster = runpy.run_path(str(Path(__file__).with_name("one_machine_cluster.py")))["Cluster"]


def template(pods=1, gpus=0, **env):
    manifest = read_manifest(SHIPPED)
    manifest["spec"]["completions"] = pods
    trainer = manifest["spec"]["template"]["spec"]["containers"][0]
    trainer["resources"]["limits"]["nvidia.com/gpu"] = gpus
    trainer["env"] = [{"name": name, "value": value} for name, value in env.items()]
    return manifest


def job(processes=None):
    hardware = HardwareSettings(processes=processes)
    paths = {"shards": Path("s"), "initial": None, "output": Path("o")}
    return TrainJob(dataset="shop", variant="eiclip", hardware=hardware, **paths)


def flags(command):
    return dict(itertools.pairwise(command))


@pytest.mark.parametrize(
    ("pods", "gpus", "processes", "each"),
    [(1, 0, None, "1"), (1, 8, None, "8"), (2, 4, None, "4"), (2, 4, 2, "1"), (3, 0, 6, "2")],
)
def test_each_pod_runs_its_share_of_the_processes(pods, gpus, processes, each):
    command = torchrun(template(pods, gpus), job(processes), Path("/data/jobs/a.json"))
    assert flags(command)["--nproc-per-node"] == each
    assert command[-3:] == ["-m", "pipelines.trainer", "/data/jobs/a.json"]
    assert ("--standalone" in command) == (pods == 1)
    assert flags(command).get("--nnodes") == (str(pods) if pods > 1 else None)


@pytest.mark.parametrize("processes", [1, 3])
def test_processes_that_cannot_be_shared_out_are_refused(processes):
    with pytest.raises(SettingsError, match=f"PROCESSES={processes} .* 2 pods"):
        torchrun(template(2), job(processes), Path("a.json"))


def test_a_job_is_the_users_with_name_command_and_environment():
    mine = template(2, gpus=4, OMP_NUM_THREADS="3")
    before = copy.deepcopy(mine)
    made = training_manifest(mine, "eiclip-1", ["python", "x"], {"OMP_NUM_THREADS": "1", "DAGSTER_PIPES_CONTEXT": "c"})
    assert mine == before
    spec, pod = made["spec"], made["spec"]["template"]["spec"]
    assert (spec["completions"], spec["parallelism"], spec["completionMode"], spec["backoffLimit"]) == (
        2,
        2,
        "Indexed",
        0,
    )
    assert pod["restartPolicy"] == "Never"
    assert pod["volumes"] == before["spec"]["template"]["spec"]["volumes"]
    [trainer] = pod["containers"]
    assert trainer["resources"]["limits"]["nvidia.com/gpu"] == 4
    env = {entry["name"]: entry.get("value") for entry in trainer["env"]}
    assert len(env) == len(trainer["env"])
    assert env == {
        "OMP_NUM_THREADS": "3",
        "DAGSTER_PIPES_CONTEXT": "c",
        "PET_MASTER_ADDR": "eiclip-1-0.eiclip-trainers",
        "PET_NODE_RANK": None,
    }


def test_a_pod_alone_meets_nobody():
    made = training_manifest(template(), "eiclip-1", ["python"], {})
    assert made["spec"]["template"]["spec"]["containers"][0]["env"] == []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda manifest: manifest.update(kind="Pod"), "kind must be Job"),
        (lambda manifest: manifest["spec"]["template"]["spec"].update(containers=[]), "not the manifest of a Job"),
        (lambda manifest: manifest["spec"]["template"]["spec"]["containers"][0].update(image=""), "needs an image"),
        (lambda manifest: manifest["spec"]["template"]["spec"].pop("subdomain"), "headless Service"),
    ],
)
def test_a_manifest_of_no_use_is_refused_when_the_code_location_loads(tmp_path, monkeypatch, change, says):
    manifest = template(2)
    change(manifest)
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(manifest))
    monkeypatch.setenv("EICLIP_TRAINER_MANIFEST", str(path))
    with pytest.raises(SettingsError, match=says):
        trainer_client()


@pytest.mark.parametrize("text", [None, "", "{", "a: [1]"])
def test_a_file_that_is_no_manifest_is_refused(tmp_path, text):
    path = tmp_path / "mine.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(SettingsError, match="not the manifest of a Job"):
        read_manifest(path)


def test_the_client_is_chosen_by_the_environment(monkeypatch):
    monkeypatch.delenv("EICLIP_TRAINER_MANIFEST", raising=False)
    assert type(trainer_client()) is TrainerClient
    monkeypatch.setenv("EICLIP_TRAINER_MANIFEST", str(SHIPPED))
    assert type(trainer_client()) is ClusterClient


def test_what_is_set_up_once_fits_the_jobs():
    once = {made["kind"]: made for made in yaml.safe_load_all((DEPLOY / "setup.yaml").read_text())}
    trainer = yaml.safe_load(SHIPPED.read_text())["spec"]["template"]
    assert once["Service"]["metadata"]["name"] == trainer["spec"]["subdomain"]
    assert once["Service"]["spec"]["clusterIP"] == "None"
    assert once["Service"]["spec"]["selector"].items() <= trainer["metadata"]["labels"].items()
    [claim] = [volume for volume in trainer["spec"]["volumes"] if "persistentVolumeClaim" in volume]
    assert claim["persistentVolumeClaim"]["claimName"] == once["PersistentVolumeClaim"]["metadata"]["name"]
    assert once["RoleBinding"]["roleRef"]["name"] == once["Role"]["metadata"]["name"]


def test_all_fields_are_kuberneteses_own():
    models = pytest.importorskip("dagster_k8s.models")
    client = pytest.importorskip("kubernetes.client")
    made = [*yaml.safe_load_all((DEPLOY / "setup.yaml").read_text()), training_manifest(template(2), "j", ["p"], {})]
    for manifest in made:
        model = getattr(client, f"V1{manifest['kind']}")
        models.k8s_model_from_dict(model, models.k8s_snake_case_dict(model, manifest))  # raises on unknown fields


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    pytest.importorskip("dagster_k8s", reason="the extra `kubernetes`")
    found = Cluster(tmp_path)
    monkeypatch.setenv("KUBECONFIG", str(found.config()))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    yield found
    found.close()


@pytest.fixture
def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@dg.op(out=dg.Out(dg.Any))
def train(context):
    path = Path(os.environ["JOB"])
    pods = int(os.environ["PODS"])
    client = ClusterClient(template(pods, PET_MASTER_PORT=os.environ["PORT"]))
    return client.train(context, TrainJob.model_validate_json(path.read_text()), path)


@dg.job(executor_def=dg.in_process_executor)
def training():
    train.with_retry_policy(dg.RetryPolicy(max_retries=1))()


def result(monkeypatch, job, path, pods, port=29500):
    path.write_text(job.model_dump_json())
    for name, value in {"JOB": path, "PODS": pods, "PORT": port}.items():
        monkeypatch.setenv(name, str(value))
    with dg.DagsterInstance.ephemeral() as instance:
        return training.execute_in_process(instance=instance, raise_on_error=False)


def kill_second_pod(cluster):
    """Once the first Job's pods have ended two epochs together: a machine is lost."""
    while len(cluster.pods) < 2 or "epoch 2 " not in cluster.pods[0].log.read_text():
        time.sleep(0.05)
    cluster.pods[1].process.kill()


def test_pods_train_together_and_go_on_after_one_is_lost(tmp_path, monkeypatch, cluster, free_port):
    job = tiny_job(tmp_path / "home", epochs=12, checkpoint_every=2)
    killer = threading.Thread(target=kill_second_pod, args=[cluster], daemon=True)
    killer.start()
    done = result(monkeypatch, job, tmp_path / "job.json", pods=2, port=free_port)
    logs = [pod.log.read_text() for pod in cluster.pods]
    assert done.success, logs
    assert "2 processes" in logs[0]
    assert "goes on after step" in logs[2]
    first, second = cluster.pods[:2], cluster.pods[2:]
    assert first[0].process.returncode > 0, "without the other, it does not wait"
    assert second[0].process.returncode == 0  # the other may have been deleted on its way out
    facts = done.output_for_node("train")
    assert (facts["steps"], facts["device"]) == (36, "cpu")
    assert (job.output / "eiclip.json").is_file()
    assert cluster.deleted == [manifest["metadata"]["name"] for manifest in cluster.jobs]


def test_an_error_in_a_pod_is_the_failures_text(tmp_path, monkeypatch, cluster):
    job = tiny_job(tmp_path / "home").model_copy(update={"initial": tmp_path / "nowhere"})
    failed = result(monkeypatch, job, tmp_path / "job.json", pods=1)
    [failure] = [event for event in failed.all_events if event.is_step_failure]
    assert "nowhere" in failure.step_failure_data.user_failure_data.description
    assert len(cluster.jobs) == len(cluster.deleted) == 1


def test_an_interrupted_step_deletes_its_job(tmp_path, monkeypatch, cluster):
    def interrupted(*_):
        raise dg.DagsterExecutionInterruptedError

    monkeypatch.setattr("pipelines.cluster._Job.follow", interrupted)
    job = tiny_job(tmp_path / "home")
    assert not result(monkeypatch, job, tmp_path / "job.json", pods=1).success
    assert cluster.deleted == [manifest["metadata"]["name"] for manifest in cluster.jobs] != []
    assert all(pod.process.returncode is not None for pod in cluster.pods)
