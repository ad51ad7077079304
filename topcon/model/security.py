"""How far a container is kept from its host: what its first process may do, and what is dangerous in it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from topcon.model.sample import Source
from topcon.model.snapshot import Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from topcon.model.sample import ContainerKey, Problem
    from topcon.model.snapshot import ContainerNode

CAPABILITIES = (
    *("CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP"),
    *("LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER"),
    *("SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE"),
    *("SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP"),
    *("MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF"),
    "CHECKPOINT_RESTORE",
)
"""By their bits (capabilities(7))."""
DEFAULT_CAPABILITIES = frozenset(
    (
        *("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP", "NET_BIND_SERVICE"),
        *("NET_RAW", "SYS_CHROOT", "MKNOD", "AUDIT_WRITE", "SETFCAP"),
    )
)
"""What Docker and containerd give unless they are told otherwise; Podman and CRI-O give less."""
NO_FILTER, STRICT, FILTER = range(3)
"""What stands in ``Seccomp`` of a process."""
UNCONFINED = "unconfined"

_POWERFUL = {
    "SYS_ADMIN": (Severity.CRITICAL, "mounts file systems and does much of what root does"),
    "SYS_MODULE": (Severity.CRITICAL, "loads modules into the kernel"),
    "SYS_RAWIO": (Severity.CRITICAL, "reads and writes the machine's memory and devices"),
    "SYS_PTRACE": (Severity.WARNING, "looks into other processes, whoever's they are"),
    "DAC_READ_SEARCH": (Severity.WARNING, "opens any file of the host's file systems by its handle"),
    "NET_ADMIN": (Severity.WARNING, "changes addresses, routes and filters of its network"),
    "BPF": (Severity.WARNING, "loads programs into the kernel"),
    "SYS_BOOT": (Severity.WARNING, "restarts the host"),
    "SYS_TIME": (Severity.WARNING, "sets the host's clock"),
    "SYSLOG": (Severity.WARNING, "reads the kernel's log and addresses"),
}
_ORDINARY = "beyond what runtimes give by default"
_SOCKETS = re.compile(r"(^|/)(docker|containerd|crio|podman|dockershim|buildkitd)\.sock$")
_DANGEROUS_PATHS = (
    ("/", Severity.CRITICAL, "the whole file system of the host"),
    ("/proc", Severity.CRITICAL, "the host's processes and settings of its kernel"),
    ("/dev", Severity.CRITICAL, "the host's devices"),
    ("/run", Severity.CRITICAL, "the sockets of the host's daemons"),
    ("/boot", Severity.CRITICAL, "what the host starts"),
    ("/etc", Severity.CRITICAL, "the host's settings and passwords"),
    ("/root", Severity.CRITICAL, "root's own files, keys among them"),
    ("/var/lib/docker", Severity.CRITICAL, "the files of all containers"),
    ("/var/lib/containerd", Severity.CRITICAL, "the files of all containers"),
    ("/var/lib/containers", Severity.CRITICAL, "the files of all containers"),
    ("/var/lib/kubelet", Severity.CRITICAL, "the files and secrets of all pods"),
    ("/usr", Severity.CRITICAL, "the host's programs"),
    ("/sys", Severity.WARNING, "devices and settings of the host's kernel"),
)
"""Paths of the host, of which a mount shows at least that one."""
_OF_HOST = {
    "pid": (Severity.WARNING, "sees the host's processes, and may signal those of its users"),
    "mnt": (Severity.WARNING, "sees the host's files"),
    "ipc": (Severity.WARNING, "reaches the shared memory of the host's processes"),
    "net": (Severity.WARNING, "listens on the host's addresses, and reaches what listens on the loopback"),
}
_VOLUME = re.compile(r"/volumes/[^/]+/_data(/|$)")


class IdRange(NamedTuple):
    """Users, or groups, that a namespace has under other numbers."""

    inside: int
    outside: int
    length: int

    def has_outside(self, number: int) -> bool:
        """Whether a number from outside is one of them."""
        return self.outside <= number < self.outside + self.length


class HostMount(NamedTuple):
    """A file or directory of the host that a container sees."""

    source: str
    """Where it is on the host. Foreign text, as the next."""
    target: str
    """Where it is in the container."""
    is_read_only: bool

    @property
    def is_volume(self) -> bool:
        """Whether it is a volume that a runtime keeps, which shows nothing of the host."""
        return bool(_VOLUME.search(self.source))


class Security(NamedTuple):
    """What the first process of a container may do; None for what cannot be told."""

    uid: int
    """Of the host, as the next."""
    gid: int
    effective: int
    """Capabilities, a bit each: those that it has now."""
    bounding: int
    """Those that anything in it can ever have."""
    every: int
    """Those that root has on this host."""
    has_own_users: bool
    """Whether it has a namespace of users of its own: capabilities are good for little outside then."""
    uid_map: tuple[IdRange, ...] = ()
    gid_map: tuple[IdRange, ...] = ()
    seccomp: int | None = None
    has_no_new_privs: bool | None = None
    label: str | None = None
    """AppArmor's profile or SELinux' context."""
    is_root_read_only: bool | None = None
    mounts: tuple[HostMount, ...] = ()
    """Of the host, but for what runtimes put into every container."""
    devices: tuple[str, ...] | None = None
    """Rules of cgroup version 1's list, ``c 1:3 rwm``; version 2 has a program for it that cannot be read."""

    @property
    def is_privileged(self) -> bool:
        """Whether anything in it can have all capabilities, and those of the host's."""
        return not self.has_own_users and self.bounding & self.every == self.every

    @property
    def root_outside(self) -> int | None:
        """Who root inside is on the host; None if nobody."""
        if not self.has_own_users:
            return 0
        return next(
            (each.outside - each.inside for each in self.uid_map if each.inside <= 0 < each.inside + each.length), None
        )

    @property
    def has_all_devices(self) -> bool | None:
        """Whether it may use every device; None if that cannot be told."""
        return None if self.devices is None else any(rule.startswith("a ") for rule in self.devices)


class Danger(NamedTuple):
    """What makes a container less of one."""

    severity: Severity
    what: str
    """In a few words."""
    means: str
    """In a sentence, as it goes on after that."""


class Privileges(NamedTuple):
    """What was found out of all containers, and what nobody has taken away."""

    dangers: dict[ContainerKey, tuple[Danger, ...]]
    leaks: tuple[Leak, ...] = ()
    problems: tuple[Problem, ...] = ()
    left_out: int = 0
    """Containers that were not looked at: there was no time for all."""


class Leak(NamedTuple):
    """Something of a container that has gone."""

    what: str
    look: str
    """How to look further."""


def told_devices(said: object) -> tuple[str, ...] | None:
    """Return the devices that Docker or Podman say they let a container use; None if nothing was said of it."""
    host = said.get("HostConfig") if isinstance(said, Mapping) else None
    if not isinstance(host, Mapping):
        return None
    if host.get("Privileged") is True:
        return ("a *:* rwm",)
    given = host.get("Devices")
    return tuple(
        f"{each.get('PathOnHost')} {each.get('CgroupPermissions') or 'rwm'}"
        for each in (given if isinstance(given, list) else ())
        if isinstance(each, Mapping)
    )


def capability_names(mask: int) -> list[str]:
    """Return the names of capabilities, in the order of their bits."""
    known = [name for bit, name in enumerate(CAPABILITIES) if mask >> bit & 1]
    return known + [f"{bit}" for bit in range(len(CAPABILITIES), 64) if mask >> bit & 1]


def beyond_default(mask: int) -> list[str]:
    """Return those capabilities that runtimes do not give by themselves."""
    return [name for name in capability_names(mask) if name not in DEFAULT_CAPABILITIES]


def dangers(security: Security, container: ContainerNode) -> tuple[Danger, ...]:
    """Return what is dangerous in a container, the worst first."""
    found = [*_privileged(security), *_mounted(security), *_capable(security)]
    if container.info.source is not Source.NAMESPACE:
        # Of what nobody calls a container, nobody expects that it is isolated.
        found += [*_shared(container), *_unfiltered(security)]
    return tuple(sorted(found, key=lambda each: -each.severity))


def _privileged(security: Security) -> Iterator[Danger]:
    if security.is_privileged:
        devices = " and all devices" if security.has_all_devices else ""
        yield Danger(Severity.CRITICAL, "privileged", f"has all capabilities{devices}: root in it is root on the host")


def _mounted(security: Security) -> Iterator[Danger]:
    for mount in security.mounts:
        if mount.is_volume:
            continue
        if _SOCKETS.search(mount.source):
            yield Danger(
                Severity.CRITICAL,
                mount.source,
                "starts containers as it likes, and so is root on the host for who asks",
            )
            continue
        shown = next((each for each in _DANGEROUS_PATHS if _shows(mount.source, each[0])), None)
        if shown is not None:
            _, severity, what = shown
            severity = min(severity, Severity.WARNING) if mount.is_read_only else severity
            yield Danger(severity, mount.source, f"{'reads' if mount.is_read_only else 'changes'} {what}")


def _shows(source: str, path: str) -> bool:
    """Whether a mount of a directory shows a path of the host."""
    if path == "/":
        return source == "/"
    return path == source or path.startswith(source.rstrip("/") + "/")


def _capable(security: Security) -> Iterator[Danger]:
    if security.is_privileged or security.has_own_users:
        return
    others = []
    for name in beyond_default(security.bounding):
        if name in _POWERFUL:
            severity, means = _POWERFUL[name]
            yield Danger(severity, name, means)
        else:
            others.append(name)
    if others:
        yield Danger(Severity.WARNING, ", ".join(others), _ORDINARY)


def _shared(container: ContainerNode) -> Iterator[Danger]:
    for kind, (severity, means) in _OF_HOST.items():
        if kind in container.shared_with_host:
            yield Danger(severity, f"the host's {kind}", means)


def _unfiltered(security: Security) -> Iterator[Danger]:
    if security.is_privileged:
        # It goes without saying.
        return
    if security.seccomp == NO_FILTER:
        yield Danger(Severity.WARNING, "seccomp off", "may use every system call of the kernel")
    if security.label == UNCONFINED:
        yield Danger(Severity.WARNING, "unconfined", "no profile of AppArmor holds it")
