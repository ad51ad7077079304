"""Who lives in which namespace (namespaces(7))."""

from __future__ import annotations

from typing import TYPE_CHECKING

from topcon.model.sample import NAMESPACE_KINDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from topcon.model.sample import ContainerKey
    from topcon.model.snapshot import ContainerNode, Snapshot

Residents = dict[tuple[str, int], list["ContainerKey"]]
"""Kind and identity of a namespace to the containers in it."""


def identity_of(container: ContainerNode, kind: str) -> int | None:
    """Tell a container's namespace from others of its kind; the network's everyone may look at."""
    if kind == "net" and container.netns is not None:
        return container.netns
    return getattr(container.process.namespaces, kind) if container.process else None


def residents_of(snapshot: Snapshot) -> Residents:
    """Return who lives in each namespace, in the order of the pods; the host's are left out."""
    residents: Residents = {}
    for pod in snapshot.pods:
        for container in pod.containers:
            for kind in NAMESPACE_KINDS:
                identity = identity_of(container, kind)
                if identity is not None and kind not in container.shared_with_host:
                    residents.setdefault((kind, identity), []).append(container.key)
    return residents


def shared_with(container: ContainerNode, residents: Residents) -> Mapping[str, list[ContainerKey]]:
    """Return the other containers in each of a container's namespaces, by kind; none for those it has alone."""
    others = {
        kind: sorted(
            key for key in residents.get((kind, identity_of(container, kind) or 0), ()) if key != container.key
        )
        for kind in NAMESPACE_KINDS
        if kind not in container.shared_with_host
    }
    return {kind: keys for kind, keys in others.items() if keys}
