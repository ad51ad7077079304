"""Where what a container writes goes to, as its mounts tell it. Nothing is read here.

Kernel documents: proc_pid_mountinfo(5), https://docs.kernel.org/filesystems/overlayfs.html
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from topcon.kernel.disk import upper_directory
from topcon.kernel.mount import is_below, seen_from
from topcon.model.files import MountKind
from topcon.model.sample import PodKind, State

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from topcon.kernel.mount import Mount
    from topcon.model.sample import ContainerInfo, Device, PodInfo

DOCKER_ROOT = "/var/lib/docker"
"""Where Docker keeps all, if nobody has told it another place."""
POD_LOGS = "/var/log/pods"

_OF_KERNEL = frozenset(
    (
        *("autofs", "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "debugfs", "devpts", "devtmpfs", "efivarfs"),
        *("fusectl", "hugetlbfs", "mqueue", "nsfs", "proc", "pstore", "ramfs", "securityfs", "sysfs", "tracefs"),
    )
)
_ON_DISKS = frozenset(("bcachefs", "btrfs", "zfs"))
"""These may not name the device that they are on."""
_NETWORKS = re.compile(r"nfs\d*|cifs|smb\d*|9p|ceph|glusterfs|lustre|afs|fuse(\..*)?")
_VOLUME = re.compile(r".*/volumes/([^/]+)/_data|.*/pods/[^/]+/volumes/[^/]+/([^/]+)")
_DOCKER = re.compile(r"(.*)/containers/([0-9a-f]{64})/(?:hostname|hosts|resolv\.conf)")
_PODMAN = re.compile(r"(.*)/overlay/[^/]+/diff")
_HOSTS_MEMORY = re.compile(r"/dev(/.*)?|/run|/run/(lock|user|systemd|credentials)(/.*)?|/tmp|/sys/.*")
"""Where file systems in memory are mounted that are the host's own."""


class LogPlace(NamedTuple):
    """Where a runtime keeps what a container has said."""

    folder: str
    prefix: str
    """Of the names of its files; empty if all there are its own."""

    @property
    def path(self) -> str:
        """As people would name it."""
        return f"{self.folder}/{self.prefix}" if self.prefix else self.folder


class Outside(NamedTuple):
    """What the host has mounted, so that it is soon found."""

    by_device: Mapping[Device, Sequence[Mount]]
    own_memory: frozenset[Device]
    """File systems in memory that are the host's own."""

    def of(self, mount: Mount) -> Sequence[Mount]:
        """Return what shows the file system that a mount is of."""
        return self.by_device.get(mount.device, ())


def outside_of(mounts: Iterable[Mount]) -> Outside:
    """Put the host's mounts in order, once for all containers."""
    by_device: dict[Device, list[Mount]] = {}
    for mount in in_force(mounts):
        by_device.setdefault(mount.device, []).append(mount)
    own = frozenset(
        device
        for device, those in by_device.items()
        if any(mount.fstype == "tmpfs" and _HOSTS_MEMORY.fullmatch(mount.point) for mount in those)
    )
    return Outside(by_device, own)


def kind_of(mount: Mount) -> MountKind | None:
    """Say what a mount is for; None for the kernel's own, and what hides parts of that."""
    if mount.fstype in _OF_KERNEL or mount.point.startswith(("/proc/", "/sys/")):
        return None
    if mount.fstype == "overlay":
        return MountKind.OVERLAY
    if _NETWORKS.fullmatch(mount.fstype):
        return MountKind.NETWORK
    if mount.fstype == "tmpfs" and mount.root == "/":
        return MountKind.TMPFS
    if _VOLUME.fullmatch(mount.root):
        return MountKind.VOLUME
    return MountKind.DISK if mount.root == "/" else MountKind.BIND


def name_of(mount: Mount, kind: MountKind, outside: Outside) -> str:
    """Name what a mount shows: the volume, the directory of the host, or what the file system is on."""
    match = _VOLUME.fullmatch(mount.root) if kind is MountKind.VOLUME else None
    if match:
        return str(match[1] or match[2])
    if kind is MountKind.BIND:
        return seen_from(mount, outside.of(mount)) or mount.root
    return mount.source


def is_on_disk(mount: Mount) -> bool:
    """Whether its files take room on a disk of this host."""
    return mount.source.startswith("/dev/") or mount.fstype in _ON_DISKS


def in_force(mounts: Iterable[Mount]) -> list[Mount]:
    """Return those that can be seen: a later one at the same point hides those before."""
    return list({mount.point: mount for mount in mounts}.values())


def volumes_of(mounts: Sequence[Mount]) -> Iterator[Mount]:
    """Find the directories on disks that a container may write to, its root left out; files among them, too."""
    for mount in in_force(mounts):
        kind = kind_of(mount)
        is_directory = kind in {MountKind.VOLUME, MountKind.BIND, MountKind.DISK} and mount.point != "/"
        if is_directory and is_on_disk(mount) and not mount.is_read_only:
            yield mount


def memory_of(mounts: Sequence[Mount], outside: Outside) -> Iterator[Mount]:
    """Find the file systems in memory that a container writes to, but for the host's own."""
    for mount in in_force(mounts):
        if kind_of(mount) is MountKind.TMPFS and not mount.is_read_only and mount.device not in outside.own_memory:
            yield mount


def docker_root(mounts: Iterable[Mount], outside: Outside) -> tuple[str, str] | None:
    """Return where Docker keeps all, and the id that it knows this container by, as three of its files tell."""
    for mount in mounts:
        path = seen_from(mount, outside.of(mount)) if _DOCKER.fullmatch(mount.root) else None
        match = _DOCKER.fullmatch(path) if path else None
        if match:
            return match[1], match[2]
    return None


def log_places(info: ContainerInfo, mounts: Sequence[Mount], outside: Outside) -> Iterator[LogPlace]:
    """Say where the log of a container may be, whether its runtime answers or not."""
    docker = docker_root(mounts, outside)
    if docker:
        yield from docker_logs(*docker)
    podman = _PODMAN.fullmatch(upper_directory(mounts) or "") if info.runtime == "podman" else None
    if podman and _is_name(info.id):
        yield LogPlace(f"{podman[1]}/overlay-containers/{info.id}/userdata", "ctr.log")
    folder = _pod_folder(info.pod)
    if folder and _is_name(info.name):
        yield LogPlace(f"{POD_LOGS}/{folder}/{info.name}", "")


def docker_logs(root: str, container: str) -> Iterator[LogPlace]:
    """Say where Docker keeps the log of a container, by either of the drivers that write files."""
    folder = f"{root}/containers/{container}"
    yield LogPlace(folder, f"{container}-json.log")
    yield LogPlace(f"{folder}/local-logs", "container.log")


def _pod_folder(pod: PodInfo | None) -> str | None:
    if pod is None or pod.kind is not PodKind.KUBERNETES or pod.namespace is None:
        return None
    folder = f"{pod.namespace}_{pod.name}_{pod.id}"
    return folder if _is_name(folder) else None


def _is_name(text: str) -> bool:
    """Whether it is a name in a directory, and no way to elsewhere: it is foreign text."""
    return bool(text) and "/" not in text and "\0" not in text and text not in {".", ".."}


def is_kept_by_docker(info: ContainerInfo) -> bool:
    """Whether Docker keeps something of a container that has no processes."""
    return info.runtime == "docker" and info.state is not State.RUNNING and _is_name(info.id)


def is_of_host(mount: Mount, outside: Outside) -> bool:
    """Whether a whole file system that a container sees is one that the host itself lives on."""
    points = {each.point for each in outside.of(mount) if each.root == "/"}
    return any(is_below(place, point) and point != "/" for point in points for place in _HOSTS_PLACES) or "/" in points


_HOSTS_PLACES = ("/boot", "/home", "/root", "/usr", "/var/lib/docker", "/var/lib/containers", "/var/lib/containerd")
