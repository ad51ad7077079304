"""What labels say of pods, and what a pod's own say of the workload behind it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topcon.model.pods import Workload, pod_of_labels, workload_of
from topcon.model.sample import PodInfo, PodKind

UID = "3206f41c-56e9-4bcd-8240-b314f179e177"
ALLOC = "5f1c2f9a-8d6e-4f43-9e0a-0c9c7d1b2a3f"
SWARM = {
    "com.docker.swarm.service.id": "x1",
    "com.docker.swarm.service.name": "shop_web",
    "com.docker.swarm.task.name": "shop_web.1.q2w3",
}
NOMAD = "com.hashicorp.nomad"
ECS = "com.amazonaws.ecs"
TASK = "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize(
    ("labels", "pod"),
    [
        ({}, None),
        ({"app": "web"}, None),
        (
            {
                "io.kubernetes.pod.uid": UID,
                "io.kubernetes.pod.name": "checkout",
                "io.kubernetes.pod.namespace": "prod",
                "com.docker.compose.project": "shop",
            },
            PodInfo(PodKind.KUBERNETES, UID, "checkout", "prod"),
        ),
        ({"io.kubernetes.pod.uid": UID}, PodInfo(PodKind.KUBERNETES, UID, UID)),
        ({"com.docker.compose.project": "shop"}, PodInfo(PodKind.COMPOSE, "shop", "shop")),
        ({"io.podman.compose.project": "shop"}, PodInfo(PodKind.COMPOSE, "shop", "shop")),
        ({"com.docker.compose.project": ""}, None),
        (SWARM, PodInfo(PodKind.SWARM, "shop_web", "shop_web")),
        (SWARM | {"com.docker.stack.namespace": "shop"}, PodInfo(PodKind.SWARM, "shop", "shop")),
        ({f"{NOMAD}.alloc_id": ALLOC}, PodInfo(PodKind.NOMAD, ALLOC, "5f1c2f9a")),
        (
            {f"{NOMAD}.alloc_id": ALLOC, f"{NOMAD}.job_name": "shop", f"{NOMAD}.task_group_name": "api"},
            PodInfo(PodKind.NOMAD, ALLOC, "shop.api[5f1c2f9a]"),
        ),
        ({f"{ECS}.task-arn": f"arn:aws:ecs:eu-1:1:task/prod/{TASK}"}, PodInfo(PodKind.ECS, TASK, TASK[:12])),
        (
            {
                f"{ECS}.task-arn": f"arn:aws:ecs:eu-1:1:task/{TASK}",
                f"{ECS}.task-definition-family": "web",
                f"{ECS}.task-definition-version": "7",
            },
            PodInfo(PodKind.ECS, TASK, "web:7"),
        ),
    ],
)
def test_labels_name_the_pod(labels: dict[str, str], pod: PodInfo | None) -> None:
    assert pod_of_labels(labels) == pod


@given(st.dictionaries(st.sampled_from([*SWARM, f"{ECS}.task-arn", f"{NOMAD}.alloc_id"]), st.text()))
def test_whatever_labels_hold_a_pod_has_an_id_and_a_name(labels: dict[str, str]) -> None:
    pod = pod_of_labels(labels)

    assert pod is None or (pod.id and pod.name)


@pytest.mark.parametrize(
    ("name", "labels", "workload"),
    [
        # As the controllers name and label what they make
        ("checkout-7d9c5b6f4-x2x9k", {"pod-template-hash": "7d9c5b6f4"}, Workload("Deployment", "checkout")),
        ("a-b-7d9c5b6f4-x2x9k", {"pod-template-hash": "7d9c5b6f4"}, Workload("Deployment", "a-b")),
        ("checkout-x2x9k", {"pod-template-hash": "7d9c5b6f4"}, Workload("ReplicaSet", "checkout")),
        (
            "canary-6bdf8c9d5b-x2x9k",
            {"rollouts-pod-template-hash": "6bdf8c9d5b"},
            Workload("Rollout", "canary"),
        ),
        (
            "db-0",
            {"statefulset.kubernetes.io/pod-name": "db-0", "controller-revision-hash": "db-6bc8"},
            Workload("StatefulSet", "db"),
        ),
        ("db-12", {"apps.kubernetes.io/pod-index": "12"}, Workload("StatefulSet", "db")),
        (
            "node-agent-zq4wd",
            {"controller-revision-hash": "6bc8", "pod-template-generation": "1"},
            Workload("DaemonSet", "node-agent"),
        ),
        ("backup-28934560-b7x2k", {"job-name": "backup-28934560"}, Workload("CronJob", "backup")),
        ("migrate-b7x2k", {"batch.kubernetes.io/job-name": "migrate"}, Workload("Job", "migrate")),
        # Made by hand
        ("shell", {"run": "shell"}, None),
        # Nothing but the name
        ("checkout-7d9c5b6f4-x2x9k", {}, Workload("Deployment", "checkout")),
        ("node-agent-zq4wd", {}, None),
        ("my-redis-cluster", {}, None),
        ("db-0", {}, None),
        ("", {}, None),
    ],
)
def test_a_kubernetes_pods_labels_and_name_tell_who_made_it(
    name: str, labels: dict[str, str], workload: Workload | None
) -> None:
    assert workload_of(PodInfo(PodKind.KUBERNETES, UID, name, "prod", labels), {}, "node1") == workload


@pytest.mark.parametrize("node", ["node1", "node1.example.org"])
@pytest.mark.parametrize("name", ["etcd-node1", "etcd-node1.example.org"])
def test_a_pod_that_the_kubelet_read_from_a_file_has_a_hash_for_its_uid(name: str, node: str) -> None:
    pod = PodInfo(PodKind.KUBERNETES, "8db4b2c0b44b2fb1df9dffb51b5a4ba6", name, "kube-system", {"tier": "control"})

    workload = workload_of(pod, {}, node)

    assert workload is not None
    assert workload.kind == "StaticPod"
    if name == f"etcd-{node}":
        assert workload.name == "etcd"


def test_a_pod_with_the_annotation_of_a_file_is_static_whatever_its_uid() -> None:
    pod = PodInfo(PodKind.KUBERNETES, UID, "etcd-node1", annotations={"kubernetes.io/config.source": "file"})

    assert workload_of(pod, {}, "node1") == Workload("StaticPod", "etcd")


@pytest.mark.parametrize(
    ("kind", "labels", "workload"),
    [
        (PodKind.SWARM, SWARM, Workload("Service", "shop_web")),
        (PodKind.NOMAD, {f"{NOMAD}.job_name": "shop"}, Workload("Job", "shop")),
        (PodKind.ECS, {f"{ECS}.task-definition-family": "web"}, Workload("TaskDefinition", "web")),
        (PodKind.SWARM, {}, None),
        (PodKind.COMPOSE, SWARM, None),
        (PodKind.SINGLE, {}, None),
    ],
)
def test_other_orchestrators_tell_by_the_labels_of_the_containers(
    kind: PodKind, labels: dict[str, str], workload: Workload | None
) -> None:
    assert workload_of(PodInfo(kind, "id", "name"), labels, "node1") == workload


@given(st.sampled_from(PodKind), st.text(), st.text(), st.dictionaries(st.text(), st.text()))
def test_whatever_a_pod_is_called_its_workload_has_a_kind(
    kind: PodKind, pod_id: str, name: str, labels: dict[str, str]
) -> None:
    workload = workload_of(PodInfo(kind, pod_id, name, labels=labels), labels, "node1")

    assert workload is None or workload.kind
