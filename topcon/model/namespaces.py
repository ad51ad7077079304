"""Who lives in which namespace (namespaces(7))."""

from __future__ import annotations

from typing import TYPE_CHECKING

from topcon.model.sample import NAMESPACE_KINDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from topcon.model.sample import ContainerKey, NsInode
    from topcon.model.snapshot import ContainerNode, Snapshot

Residents = dict[tuple[str, "NsInode"], list["ContainerKey"]]
"""Kind and inode of a namespace to the containers in it, by key."""


def residents_of(snapshot: Snapshot) -> Residents:
    """Return who lives in each namespace, the host's left out."""
    hosts = snapshot.sample.host.namespaces
    residents: Residents = {}
    for container in sorted(snapshot.containers.values(), key=lambda container: container.key):
        namespaces = container.process.namespaces if container.process else None
        for kind in NAMESPACE_KINDS:
            inode = getattr(namespaces, kind, None)
            if inode is not None and inode != getattr(hosts, kind):
                residents.setdefault((kind, inode), []).append(container.key)
    return residents


def shared_with(container: ContainerNode, residents: Residents) -> Mapping[str, list[ContainerKey]]:
    """Return the other containers in each of a container's namespaces, by kind; none for those it has alone."""
    if container.process is None:
        return {}
    namespaces = container.process.namespaces
    others = {
        kind: [key for key in residents.get((kind, getattr(namespaces, kind)), ()) if key != container.key]
        for kind in NAMESPACE_KINDS
    }
    return {kind: keys for kind, keys in others.items() if keys}
