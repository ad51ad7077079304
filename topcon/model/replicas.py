"""Containers that do the same: of one workload, service, or image and command."""

from __future__ import annotations

from typing import TYPE_CHECKING

from topcon.model.pods import COMPOSE_SERVICE
from topcon.model.sample import PodKind, Role, Source

if TYPE_CHECKING:
    from collections.abc import Iterable

    from topcon.model.sample import ContainerKey
    from topcon.model.snapshot import ContainerNode, PodNode

LEAST_REPLICAS = 3
"""Of two that differ, nobody can say which is the odd one."""

Replicas = tuple[tuple["ContainerKey", ...], ...]


def replicas_of(pods: Iterable[PodNode]) -> Replicas:
    """Return the keys of those that run and do the same, three of them at least."""
    alike: dict[tuple[str | None, ...], list[ContainerKey]] = {}
    for pod in pods:
        for container in pod.containers:
            kind = _kind_of(pod, container)
            if kind is not None:
                alike.setdefault(kind, []).append(container.key)
    return tuple(tuple(keys) for keys in alike.values() if len(keys) >= LEAST_REPLICAS)


def _kind_of(pod: PodNode, container: ContainerNode) -> tuple[str | None, ...] | None:
    """Tell what a container is one of; None where it cannot be told."""
    info = container.info
    if container.cgroup is None or info.role is not Role.WORKLOAD or info.source is Source.NAMESPACE:
        return None
    if pod.workload is not None:
        return "workload", pod.namespace, pod.workload.kind, pod.workload.name, info.name
    service = info.labels.get(COMPOSE_SERVICE)
    if pod.kind is PodKind.COMPOSE and service:
        return "service", pod.name, service
    if info.image is None or info.command is None:
        return None
    return "image", info.runtime, info.image, info.command
