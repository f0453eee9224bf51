"""Trainers in a Kubernetes cluster: an Indexed Job a training, a pod a node, from a manifest that the user writes.

`deploy/kubernetes` holds one to start from. What this needs (the extra `kubernetes`) is imported when a trainer is run.
"""

import contextlib
import copy
import os
import secrets
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg

from eiclip.errors import SettingsError
from eiclip.train.job import TrainJob
from pipelines.trainers import StepContext, TrainerClient, TrainerFailedError

MANIFEST = "EICLIP_TRAINER_MANIFEST"
"""Names the manifest; where it is not set, trainers are subprocesses of their steps."""
INDEX = "batch.kubernetes.io/job-completion-index"
"""Annotation of an Indexed Job's pods: 0, 1, ..."""
PATIENCE = 300.0
"""Seconds until a Job must have its pods, which may wait much longer for a machine."""
POLL = 1.0
"""Seconds between two looks at a pod: a trainer runs for longer, so that none ends before its log is followed."""

Manifest = dict[str, Any]


def trainer_client() -> TrainerClient:
    """The client of this code location's trainers: a cluster's where EICLIP_TRAINER_MANIFEST names a manifest.

    Raises:
        SettingsError: the manifest cannot be used; says why.
    """
    path = os.environ.get(MANIFEST)
    return ClusterClient(read_manifest(Path(path))) if path else TrainerClient()


def read_manifest(path: Path) -> Manifest:
    """The Job that trainings are made from.

    Raises:
        SettingsError: it cannot be read, or is no Job whose pods can train together.
    """
    import yaml

    try:
        manifest = yaml.safe_load(path.read_text(encoding="utf-8"))
        pod = manifest["spec"]["template"]["spec"]
        usable = manifest["kind"] == "Job" and bool(pod["containers"][0]["image"])
    except (OSError, yaml.YAMLError, KeyError, IndexError, TypeError) as error:
        raise SettingsError(f"{MANIFEST}={str(path)!r}: not the manifest of a Job ({error!r})") from error
    if not usable:
        raise SettingsError(f"{MANIFEST}={str(path)!r}: kind must be Job, and its first container needs an image")
    if nodes(manifest) > 1 and "subdomain" not in pod:
        raise SettingsError(
            f"{MANIFEST}={str(path)!r}: {nodes(manifest)} pods find each other by name; set spec.template.spec."
            "subdomain to a headless Service (deploy/kubernetes/setup.yaml has one)"
        )
    return dict(manifest)


def nodes(manifest: Manifest) -> int:
    """Pods of each training."""
    return int(manifest["spec"].get("completions", 1))


def gpus(manifest: Manifest) -> int:
    """GPUs of each pod: its first container's limit."""
    limits = manifest["spec"]["template"]["spec"]["containers"][0].get("resources", {}).get("limits", {})
    return int(limits.get("nvidia.com/gpu", 0))


def torchrun(manifest: Manifest, job: TrainJob, path: Path) -> list[str]:
    """What each pod runs. One that is not alone learns its number and the first one's name from the environment.

    Raises:
        SettingsError: the job's processes cannot be shared out evenly among the pods.
    """
    pods = nodes(manifest)
    each, left = divmod(job.hardware.processes or pods * max(1, gpus(manifest)), pods)
    if left or not each:
        raise SettingsError(
            f"EICLIP_HARDWARE__PROCESSES={job.hardware.processes} cannot be shared out evenly among {pods} pods"
        )
    meet = ["--standalone"] if pods == 1 else ["--nnodes", str(pods)]
    train = ["--nproc-per-node", str(each), "-m", "pipelines.trainer", str(path.resolve())]
    return ["python", "-m", "pipelines.torchrun", *meet, *train]


def training_manifest(template: Manifest, name: str, command: Sequence[str], env: Mapping[str, str]) -> Manifest:
    """The Job of one training: the user's, with its name, its command, and what holds for all of them.

    No pod is started again by the cluster: all end when one does, and the step's retry policy starts the next Job.
    What the template sets in the environment stays as it is.
    """
    manifest = copy.deepcopy(template)
    manifest["metadata"] = manifest.get("metadata", {}) | {"name": name}
    pods, spec = nodes(manifest), manifest["spec"]
    spec |= {"completions": pods, "parallelism": pods, "completionMode": "Indexed", "backoffLimit": 0}
    pod = spec["template"]["spec"]
    pod["restartPolicy"] = "Never"
    trainer = pod["containers"][0]
    trainer.pop("args", None)
    trainer["command"] = list(command)
    given = trainer.get("env", [])
    ours: list[dict[str, Any]] = [{"name": key, "value": value} for key, value in env.items()]
    if pods > 1:
        # torchrun's own variables: node 0 is pod 0, which therefore holds rank 0, the one that reports.
        rank = {"fieldRef": {"fieldPath": f"metadata.annotations['{INDEX}']"}}
        address = {"name": "PET_MASTER_ADDR", "value": f"{name}-0.{pod['subdomain']}"}
        ours += [address, {"name": "PET_NODE_RANK", "valueFrom": rank}]
    trainer["env"] = [entry for entry in ours if entry["name"] not in {known["name"] for known in given}] + given
    return manifest


class ClusterClient(TrainerClient):
    """Runs each trainer as a Job and follows the log of its first pod, where what rank 0 reports is found, too."""

    def __init__(self, template: Manifest) -> None:
        super().__init__()
        self.template = template

    def command(self, job: TrainJob, path: Path) -> list[str]:
        """What each pod runs for a job whose file lies at `path`, here and in the pods."""
        return torchrun(self.template, job, path)

    def run(  # type: ignore[override]  # as TrainerClient's
        self, *, context: StepContext, command: Sequence[str], env: Mapping[str, str]
    ) -> dg.PipesClientCompletedInvocation:
        """Run the command in every pod of a Job, to its end.

        Raises:
            TrainerFailedError: the first pod ended with an error, or was ended.
            DagsterExecutionInterruptedError: the step was interrupted, and the Job deleted.
        """
        from dagster_k8s import PipesK8sClient
        from dagster_k8s.client import DagsterK8sError
        from kubernetes.client.exceptions import ApiException

        pods = PipesK8sClient(poll_interval=POLL)
        failed = False
        with dg.open_pipes_session(
            context=context, context_injector=dg.PipesEnvContextInjector(), message_reader=pods.message_reader
        ) as session:
            name = f"eiclip-{context.run_id[:8]}-{secrets.token_hex(3)}"
            manifest = training_manifest(self.template, name, command, {**env, **session.get_bootstrap_env_vars()})
            with _Job(manifest) as job:
                context.log.info(f"Job {name} in namespace {job.namespace}: {nodes(manifest)} pods")
                try:
                    job.follow(pods, context)
                except (DagsterK8sError, ApiException) as error:
                    failed = True
                    context.log.error(f"Job {name}: {error}\n{job.other_logs()}")
        if failed:
            raise TrainerFailedError(1, session.get_custom_messages())
        return dg.PipesClientCompletedInvocation(session)


class _Job(contextlib.AbstractContextManager["_Job"]):
    """A Job in the cluster, deleted with its pods at the end of the block."""

    def __init__(self, manifest: Manifest) -> None:
        from dagster_k8s.client import DagsterKubernetesClient
        from dagster_k8s.utils import detect_current_namespace
        from kubernetes.config import load_incluster_config, load_kube_config

        if "KUBERNETES_SERVICE_HOST" in os.environ:
            load_incluster_config()
        else:
            load_kube_config(os.environ.get("KUBECONFIG"))
        self.cluster = DagsterKubernetesClient.production_client()
        self.name, self.size = str(manifest["metadata"]["name"]), nodes(manifest)
        self.namespace = manifest["metadata"].get("namespace") or detect_current_namespace(None) or "default"
        self.cluster.batch_api.create_namespaced_job(self.namespace, manifest)

    def __exit__(self, *_: object) -> None:
        self.cluster.batch_api.delete_namespaced_job(self.name, self.namespace, propagation_policy="Background")

    def pods(self) -> list[str]:
        """Return the names of its pods, the first node's first."""
        found = self.cluster.core_api.list_namespaced_pod(self.namespace, label_selector=f"job-name={self.name}").items
        return [pod.metadata.name for pod in sorted(found, key=lambda pod: int(pod.metadata.annotations[INDEX]))]

    def follow(self, client: Any, context: StepContext) -> None:
        """Pass on the log of the first pod, until it has ended.

        Raises:
            DagsterK8sError, ApiException: it ended with an error, or was ended.
        """
        from dagster_k8s.client import DagsterK8sError, WaitForPodState

        deadline = time.monotonic() + PATIENCE
        while len(found := self.pods()) < self.size:
            if time.monotonic() > deadline:
                missing = f"{len(found)} of {self.size} pods after {PATIENCE:.0f} s"
                raise DagsterK8sError(f"{missing}; kubectl describe job {self.name}")
            time.sleep(POLL)
        first, ended = found[0], {"wait_for_state": WaitForPodState.Terminated, "wait_timeout": 0}
        with client.consume_pod_logs(context=context, client=self.cluster, namespace=self.namespace, pod_name=first):
            self.cluster.wait_for_pod(first, self.namespace, **ended, wait_time_between_attempts=POLL)

    def other_logs(self) -> str:
        """Return the end of every other pod's log: an error of theirs is nowhere else."""
        from kubernetes.client.exceptions import ApiException

        logs = []
        for pod in self.pods()[1:]:
            with contextlib.suppress(ApiException):
                logs.append(f"{pod}:\n{self.cluster.retrieve_pod_logs(pod, self.namespace, tail_lines=20)}")
        return "\n".join(logs)
