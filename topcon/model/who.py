"""Which container is it? What can be asked, what is read to answer it, and the answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from topcon.model.sample import Namespaces

if TYPE_CHECKING:
    from collections.abc import Mapping

    from topcon.model.sample import CgroupPath, ContainerKey, NetnsKey, Problem


class Kind(StrEnum):
    """What a thing is taken for."""

    PID = "pid"
    PORT = "port"
    ADDRESS = "address"
    INTERFACE = "interface"
    CGROUP = "cgroup"
    PATH = "path"
    NAMESPACE = "namespace"
    OOM = "oom"
    """A line of the kernel's about a process that it killed for memory."""
    CONTAINER = "container"
    """A name, or an id or how it begins."""


@dataclass(frozen=True, slots=True)
class Question:
    """One way to understand what was asked. Foreign text."""

    kind: Kind
    text: str = ""
    """A name, a path, an address as the kernel writes it; of an OOM line the cgroup of the task."""
    number: int | None = None
    """A pid, a port, an interface's index, a cgroup's id, a namespace's inode."""
    protocol: str | None = None
    """``tcp`` or ``udp``; None for either."""
    command: str = ""
    """Of an OOM line: what was killed."""
    limit: str = ""
    """Of an OOM line: the cgroup whose limit it was, or `THE_HOST`."""
    peer: int | None = None
    """The index of an interface's other end, which is in another namespace; None where that is not said."""


THE_HOST = "host"
"""In the place of a cgroup: the host itself ran out of memory."""


class Where(NamedTuple):
    """Whom to look at."""

    networks: Mapping[NetnsKey, int]
    """Each network namespace, with a process in it; the host's is the first."""
    firsts: tuple[int, ...]
    """The first processes of the containers."""


@dataclass(frozen=True, slots=True)
class SeenProcess:
    """A process that it may be about."""

    pid: int
    comm: str
    """Foreign text."""
    thread: int | None = None
    """The thread that was asked for, where that is not the first."""
    ns_pids: tuple[int, ...] = ()
    """Its pid in each nested pid namespace, the reader's first; of the thread, where one was asked for."""
    words: tuple[str, ...] = ()
    """Of its command line. Foreign text."""
    cgroups: tuple[CgroupPath, ...] = ()
    """Its path in each hierarchy, the one to show first."""
    namespaces: Namespaces = field(default_factory=Namespaces)


class Endpoint(NamedTuple):
    """An end of a connection."""

    address: str
    """As the kernel writes it; one of version 4 also where the socket is of version 6."""
    port: int


@dataclass(frozen=True, slots=True)
class SeenSocket:
    """A socket that it may be about."""

    netns: NetnsKey
    protocol: str
    local: Endpoint
    remote: Endpoint
    is_listening: bool
    """Whether it takes connections, or packets from anybody."""
    process: SeenProcess | None = None
    """The oldest that has it open; None where that may not be seen, or it is nobody's any more."""
    others: int = 0
    """How many more have it open."""


class SeenAddress(NamedTuple):
    """An address of a network namespace."""

    netns: NetnsKey
    interface: str | None
    """None where the kernel does not tell."""


class SeenLink(NamedTuple):
    """A network interface."""

    netns: NetnsKey
    name: str
    ifindex: int | None
    kind: str | None = None
    """What it is, if it is virtual: ``veth``, ``bridge``."""
    is_end: bool = False
    """Whether its other end is in another namespace."""
    peer: NetnsKey | None = None
    """That namespace, if it is one that was looked at."""


class SeenMount(NamedTuple):
    """What a path is of the file system of a container."""

    pid: int
    """Of its first process."""
    part: str
    """In words: ``its writable layer``."""
    is_shared: bool = False
    """Whether other containers may have it too: an image's layer."""


class Clues(NamedTuple):
    """What was read to answer a question."""

    processes: tuple[SeenProcess, ...] = ()
    sockets: tuple[SeenSocket, ...] = ()
    addresses: tuple[SeenAddress, ...] = ()
    links: tuple[SeenLink, ...] = ()
    cgroups: tuple[CgroupPath, ...] = ()
    """Those that are there."""
    mounts: tuple[SeenMount, ...] = ()
    namespace: int | None = None
    """The inode of the namespace that a path holds."""
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """A container, a pod or, where it is neither, the host. Foreign text: escape it before showing it."""

    why: str
    """How it was found."""
    container: ContainerKey | None = None
    """None for a pod, for the host, and for a container that is not known here any more."""
    name: str | None = None
    pod: str | None = None
    """The title of the pod that it is in; None for a container by itself."""
    runtime: str | None = None
    id: str | None = None
    pid: int | None = None
    process: str | None = None
    """The command of that pid."""
    pod_key: str | None = None
    """The key of the pod, where it is the answer."""

    @property
    def target(self) -> str | None:
        """What the tree has a row of."""
        return self.container or self.pod_key


class Answers(NamedTuple):
    """All that it can be, the most likely first."""

    query: str
    kind: Kind
    answers: tuple[Answer, ...] = ()
    looked: tuple[str, ...] = ()
    """Where was looked."""
    problems: tuple[Problem, ...] = ()
