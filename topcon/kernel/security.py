"""What the first process of a container may do, from ``/proc`` (proc(5), capabilities(7), seccomp(2))."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from topcon.errors import ParseError
from topcon.kernel.credentials import parse_id_map, parse_worn
from topcon.kernel.enter import cgroup_directories
from topcon.kernel.files import Access, read_small
from topcon.kernel.mount import is_below, parse_mountinfo, seen_from
from topcon.model.sample import Problem
from topcon.model.security import CAPABILITIES, HostMount, Security

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from topcon.kernel.mount import Mount
    from topcon.model.sample import Device
    from topcon.model.snapshot import ContainerNode

    Outside = Mapping[Device, Sequence[Mount]]
    """What is mounted on the host, by device."""

SOURCE = "security"
REMEDY = "run topcon with sudo"
EVERY = (1 << len(CAPABILITIES)) - 1
"""What root has on a host of which the first process cannot be seen."""
OWN_TARGETS = frozenset(
    (
        *("/etc/hostname", "/etc/hosts", "/etc/resolv.conf", "/etc/mtab", "/dev/shm", "/dev/termination-log"),  # noqa: S108
        *("/run/.containerenv", "/run/secrets", "/sbin/docker-init", "/run/podman-init", "/dev/init"),
        *("/var/run/secrets/kubernetes.io/serviceaccount",),
    )
)
"""Where runtimes and kubelet put files of their own into every container."""

_OF_KERNEL = frozenset(("cgroup", "cgroup2", "mqueue", "devpts", "securityfs", "nsfs", "hugetlbfs", "overlay"))
_SHOWN_OF_KERNEL = frozenset(("proc", "sysfs"))


class SecurityReader:
    """Looks at containers of a host, one at a time."""

    def __init__(self, proc_root: str) -> None:
        """Read below ``proc_root``."""
        self._root = proc_root

    def outside(self) -> Outside:
        """Read what is mounted on the host.

        Raises:
            PermissionError: it may not be read.
            ParseError: it is not in its documented form.
        """
        found: dict[Device, list[Mount]] = defaultdict(list)
        for mount in _mounts(f"{self._root}/1/mountinfo"):
            found[mount.device].append(mount)
        return found

    def read(self, container: ContainerNode, outside: Outside | None = None) -> Security | Problem | None:
        """Read what a container's first process may do; None if it has none.

        Who asks for many gives what is mounted ``outside``.
        """
        try:
            return self._read(container, outside)
        except ParseError as error:
            return Problem(SOURCE, str(error))

    def _read(self, container: ContainerNode, outside: Outside | None) -> Security | Problem | None:
        if container.process is None:
            return None
        directory = f"{self._root}/{container.process.pid}"
        status = Access().read(f"{directory}/status")
        if status is None:
            return None
        try:
            mounts = _mounts(f"{directory}/mountinfo")
            outside = self.outside() if outside is None else outside
        except PermissionError:
            return Problem(SOURCE, "what it mounts may not be read", REMEDY)
        worn = parse_worn(status)
        uid_map, gid_map = (Access().read(f"{directory}/{name}") or b"" for name in ("uid_map", "gid_map"))
        top = next((mount for mount in reversed(mounts) if mount.point == "/"), None)
        return Security(
            uid=worn.uid,
            gid=worn.gid,
            effective=worn.effective,
            bounding=worn.bounding,
            every=parse_worn(Access().read(f"{self._root}/1/status") or b"").bounding or EVERY,
            has_own_users="user" not in container.shared_with_host and _has_map(uid_map),
            uid_map=parse_id_map(uid_map),
            gid_map=parse_id_map(gid_map),
            seccomp=worn.seccomp,
            has_no_new_privs=worn.has_no_new_privs,
            label=_label(f"{directory}/attr/current"),
            is_root_read_only=top.is_read_only if top is not None else None,
            mounts=tuple(host_mounts(mounts, outside)),
            devices=self._devices(directory),
        )

    def _devices(self, directory: str) -> tuple[str, ...] | None:
        """Read the rules of cgroup version 1."""
        cgroup = b"\n".join(
            line
            for line in (Access().read(f"{directory}/cgroup") or b"").splitlines()
            if line.split(b":")[1:2] == [b"devices"]
        )
        if not cgroup:
            # Version 2 has no such list.
            return None
        path = f"{self._root}/self/mountinfo"
        for each in cgroup_directories(cgroup, parse_mountinfo(Access().read(path) or b"", path)):
            rules = Access().read(f"{each}/devices.list")
            return None if rules is None else tuple(rules.decode(errors="replace").splitlines())
        return None


def _has_map(text: bytes) -> bool:
    """Whether users have other numbers, or fewer, than on the host."""
    return [tuple(each) for each in parse_id_map(text)] != [(0, 0, 2**32 - 1)]


def _mounts(path: str) -> list[Mount]:
    """Read mounts; none where a process has ended.

    Raises:
        PermissionError: they may not be read.
    """
    return parse_mountinfo(read_small(path) or b"", path)


def _label(path: str) -> str | None:
    """Read what a security module holds a process for; None where there is no such module."""
    raw = Access().read(path)
    return raw.decode(errors="replace").strip("\0\n ") or None if raw is not None else None


def host_mounts(mounts: Sequence[Mount], outside: Outside) -> Iterator[HostMount]:
    """Return which of a container's mounts show files of the host, in their order."""
    for mount in mounts:
        if mount.point == "/" or mount.fstype in _OF_KERNEL or _is_own(mount):
            continue
        source = seen_from(mount, outside.get(mount.device, ()))
        if source is not None:
            yield HostMount(source or "/", mount.point, mount.is_read_only)


def _is_own(mount: Mount) -> bool:
    """Whether a runtime puts it into every container: over parts of /proc, over /dev, its files in /etc."""
    if mount.point in OWN_TARGETS or (mount.fstype in _SHOWN_OF_KERNEL and _is_usual(mount)):
        return True
    is_masked = is_below(mount.point, "/proc") or is_below(mount.point, "/sys")
    return (is_masked and mount.fstype not in _SHOWN_OF_KERNEL) or mount.point.startswith("/dev/")


def _is_usual(mount: Mount) -> bool:
    """Whether a mount of the kernel's own files is where all containers have it, and no more open than there."""
    return is_below(mount.point, "/proc") or (is_below(mount.point, "/sys") and mount.is_read_only)
