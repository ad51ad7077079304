"""What labels say of the pod that a container is in, and what a pod's own labels say of the workload behind it.

The labels and names are those that the orchestrators document; a node does not tell who owns a pod, so the workload is
concluded from what its controllers write.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from topcon.model.sample import PodInfo, PodKind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

COMPOSE_PROJECT = "com.docker.compose.project"
COMPOSE_SERVICE = "com.docker.compose.service"


@dataclass(frozen=True, slots=True)
class Workload:
    """What keeps a pod running."""

    kind: str
    """``Deployment``, ``StatefulSet``, ``DaemonSet``, ``Job``, ``CronJob``, ``ReplicaSet``, ``Rollout``, ``StaticPod``;
    ``Service`` of a swarm, ``Task`` of Nomad and ECS."""
    name: str


def pod_of_labels(labels: Mapping[str, str]) -> PodInfo | None:
    """Return the pod that a container's labels name: Kubernetes', Compose's, Swarm's, Nomad's or ECS'."""
    for read in _BY_LABELS:
        pod = read(labels)
        if pod is not None:
            return pod
    return None


def _kubernetes(labels: Mapping[str, str]) -> PodInfo | None:
    uid = labels.get("io.kubernetes.pod.uid")
    if not uid:
        return None
    name = labels.get("io.kubernetes.pod.name") or uid
    return PodInfo(PodKind.KUBERNETES, uid, name, labels.get("io.kubernetes.pod.namespace"))


def _compose(labels: Mapping[str, str]) -> PodInfo | None:
    project = labels.get(COMPOSE_PROJECT) or labels.get("io.podman.compose.project")
    return _project(project) if project else None


@lru_cache(maxsize=1024)
def _project(name: str) -> PodInfo:
    """Make it once: many containers are of it, and are asked again and again."""
    return PodInfo(PodKind.COMPOSE, name, name)


def _swarm(labels: Mapping[str, str]) -> PodInfo | None:
    name = labels.get("com.docker.stack.namespace") or labels.get("com.docker.swarm.service.name")
    return PodInfo(PodKind.SWARM, name, name) if name and "com.docker.swarm.service.name" in labels else None


def _nomad(labels: Mapping[str, str]) -> PodInfo | None:
    alloc = labels.get("com.hashicorp.nomad.alloc_id")
    if not alloc:
        return None
    words = [labels.get(f"com.hashicorp.nomad.{key}") for key in ("job_name", "task_group_name")]
    name = ".".join(word for word in words if word)
    return PodInfo(PodKind.NOMAD, alloc, f"{name}[{alloc[:8]}]" if name else alloc[:8])


def _ecs(labels: Mapping[str, str]) -> PodInfo | None:
    task = labels.get("com.amazonaws.ecs.task-arn", "").rpartition("/")[2]
    if not task:
        return None
    family = labels.get("com.amazonaws.ecs.task-definition-family")
    version = labels.get("com.amazonaws.ecs.task-definition-version")
    return PodInfo(PodKind.ECS, task, f"{family}:{version}" if family and version else family or task[:12])


_BY_LABELS: tuple[Callable[[Mapping[str, str]], PodInfo | None], ...] = (_kubernetes, _compose, _swarm, _nomad, _ecs)
"""Kubernetes first: its pods can be made of a Compose file."""


def workload_of(pod: PodInfo, labels: Mapping[str, str], node: str) -> Workload | None:
    """Return what is behind a pod; None where nothing tells. ``labels`` are those of one of its containers.

    ``node`` is the name of the host, which the names of static pods end with.
    """
    match pod.kind:
        case PodKind.KUBERNETES:
            return _kubernetes_workload(pod, node)
        case PodKind.SWARM:
            service = labels.get("com.docker.swarm.service.name")
            return Workload("Service", service) if service else None
        case PodKind.NOMAD:
            job = labels.get("com.hashicorp.nomad.job_name")
            return Workload("Job", job) if job else None
        case PodKind.ECS:
            family = labels.get("com.amazonaws.ecs.task-definition-family")
            return Workload("TaskDefinition", family) if family else None
        case _:
            return None


def _kubernetes_workload(pod: PodInfo, node: str) -> Workload | None:
    if re.fullmatch("[0-9a-f]{32}", pod.id) or pod.annotations.get("kubernetes.io/config.source") in {"file", "http"}:
        # The kubelet reads these itself, and takes a hash of their file for the uid.
        return Workload("StaticPod", pod.name.removesuffix(f"-{node}").removesuffix(f"-{node.partition('.')[0]}"))
    if not pod.labels:
        match = re.fullmatch(rf"(.+)-{_TEMPLATE_HASH}-{_SUFFIX}", pod.name)
        return Workload("Deployment", match[1]) if match else None
    for rule in _RULES:
        workload = rule(pod)
        if workload is not None:
            return workload
    return None


_SAFE = "bcdfghjklmnpqrstvwxz2456789"
"""The letters of names that Kubernetes makes up: no vowels, so no words."""
_SUFFIX = f"[{_SAFE}]{{5}}"
_TEMPLATE_HASH = f"[{_SAFE}a-f0-9]{{6,10}}"


def _without_suffix(name: str) -> str:
    return re.sub(f"-{_SUFFIX}$", "", name)


def _of_replica_set(label: str, owner: str) -> Callable[[PodInfo], Workload | None]:
    def rule(pod: PodInfo) -> Workload | None:
        template = pod.labels.get(label)
        if not template:
            return None
        replica_set = _without_suffix(pod.name)
        name = replica_set.removesuffix(f"-{template}")
        return Workload(owner, name) if name != replica_set else Workload("ReplicaSet", replica_set)

    return rule


def _stateful_set(pod: PodInfo) -> Workload | None:
    if not {"statefulset.kubernetes.io/pod-name", "apps.kubernetes.io/pod-index"} & pod.labels.keys():
        return None
    return Workload("StatefulSet", re.sub(r"-\d+$", "", pod.name))


def _job(pod: PodInfo) -> Workload | None:
    name = pod.labels.get("batch.kubernetes.io/job-name") or pod.labels.get("job-name")
    if not name:
        return None
    # A CronJob's jobs are named for the minute that they were due, counted since 1970.
    match = re.fullmatch(r"(.+)-\d{7,}", name)
    return Workload("CronJob", match[1]) if match else Workload("Job", name)


def _daemon_set(pod: PodInfo) -> Workload | None:
    return Workload("DaemonSet", _without_suffix(pod.name)) if "controller-revision-hash" in pod.labels else None


_RULES = (
    _of_replica_set("rollouts-pod-template-hash", "Rollout"),
    _of_replica_set("pod-template-hash", "Deployment"),
    _stateful_set,
    _job,
    _daemon_set,
)
"""In order: a stateful set's pods carry a revision's hash too."""
