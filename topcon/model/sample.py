"""What was read at one moment: frozen, cumulative, under the kernel's own names.

Kernel document: https://docs.kernel.org/admin-guide/cgroup-v2.html
A field that is None was not there to read: the controller is off, the file is unreadable, or the thing is gone.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, NewType

if TYPE_CHECKING:
    from collections.abc import Mapping

    from topcon.model.event import Told

CgroupPath = NewType("CgroupPath", str)
"""A cgroup's path below the root of its hierarchy, ``/`` for the root."""

ROOT = CgroupPath("/")
"""The whole host."""

ContainerId = NewType("ContainerId", str)
"""The full id that the runtime gave."""

ContainerKey = NewType("ContainerKey", str)
"""``runtime:full-id``, or ``none:CGROUP-INODE`` where no runtime is known."""

NsInode = NewType("NsInode", int)
"""The number in ``/proc/PID/ns/net`` and its siblings; reused after the namespace is gone."""

NetnsKey = NewType("NetnsKey", int)
"""One per network namespace: the inode of its ``/proc/PID/net/dev``, which needs no privilege to look at."""

Device = tuple[int, int]
"""A block device: major, minor."""


SILENT_AFTER_S = 2.0
"""A runtime that has not answered for so long is called silent."""


class CgroupMode(StrEnum):
    """How the host mounts its cgroups, as ``/proc/self/mountinfo`` tells."""

    V2 = "v2"
    HYBRID = "hybrid"
    V1 = "v1"


class State(StrEnum):
    """What a container is doing, in Docker's words."""

    RUNNING = "running"
    PAUSED = "paused"
    CREATED = "created"
    RESTARTING = "restarting"
    EXITED = "exited"
    DEAD = "dead"
    UNKNOWN = "unknown"

    @property
    def is_live(self) -> bool:
        """Whether it has processes."""
        return self in {State.RUNNING, State.PAUSED, State.UNKNOWN}

    @property
    def is_stopped(self) -> bool:
        """Whether it stays without processes until somebody starts it; one that is restarting does not."""
        return self is State.CREATED or self.is_over

    @property
    def is_over(self) -> bool:
        """Whether it ran and ended."""
        return self in {State.EXITED, State.DEAD}


class Health(StrEnum):
    """What the container's own health check says."""

    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    STARTING = "starting"


class Source(StrEnum):
    """Where a container's name was found."""

    API = "api"
    BUNDLE = "bundle"
    CGROUP = "cgroup"
    NAMESPACE = "namespace"


class PodKind(StrEnum):
    """Why containers are shown as one pod."""

    KUBERNETES = "kubernetes"
    PODMAN = "podman"
    COMPOSE = "compose"
    SWARM = "swarm"
    NOMAD = "nomad"
    ECS = "ecs"
    NAMESPACE = "namespace"
    """They share a network namespace."""
    SINGLE = "single"


class Role(StrEnum):
    """What a container is for within its pod."""

    WORKLOAD = "workload"
    SANDBOX = "sandbox"
    """Holds the pod's namespaces and does nothing else: a pause or infra container."""
    INIT = "init"
    EPHEMERAL = "ephemeral"


class CpuStat(NamedTuple):
    """``cpu.stat`` (cgroup-v2, "CPU Interface Files"); microseconds and counts since the cgroup was made."""

    usage_usec: int
    user_usec: int | None
    system_usec: int | None
    nr_periods: int | None = None
    """Enforcement periods in which the cgroup wanted to run; None without the cpu controller."""
    nr_throttled: int | None = None
    """Periods in which it was throttled."""
    throttled_usec: int | None = None
    nr_bursts: int | None = None
    """Periods in which it used what it had saved up (``cpu.max.burst``); None before Linux 5.18."""
    burst_usec: int | None = None
    """Time above its quota in those."""


class CpuMax(NamedTuple):
    """``cpu.max``: the bandwidth limit."""

    quota_usec: int | None
    """CPU time a period, microseconds; None for ``max``, no limit."""
    period_usec: int

    @property
    def cores(self) -> float | None:
        """The limit in CPUs; None for no limit."""
        return None if self.quota_usec is None else self.quota_usec / self.period_usec


class MemoryStat(NamedTuple):
    """``memory.*`` (cgroup-v2, "Memory Interface Files"); bytes, but for counts, which say so."""

    current: int | None
    """Memory charged to the cgroup, page cache included; None for the root cgroup, which has no such file."""
    max: int | None = None
    """Hard limit; None for the kernel's ``max``, no limit."""
    peak: int | None = None
    swap_current: int | None = None
    anon: int | None = None
    file: int | None = None
    inactive_file: int | None = None
    oom_kill: int | None = None
    """Processes killed for memory in this cgroup and below."""
    oom_kill_local: int | None = None
    """The same, in this cgroup alone (``memory.events.local``)."""
    events_high: int | None = None
    """Times its processes were made to reclaim, being above ``memory.high``; a count, as the next two."""
    events_max: int | None = None
    """Times it was about to go above its limit; on version 1 ``memory.failcnt``."""
    oom_group_kill: int | None = None
    """Times all its processes were killed together (``memory.oom.group``)."""
    active_file: int | None = None
    file_mapped: int | None = None
    file_dirty: int | None = None
    file_writeback: int | None = None
    shmem: int | None = None
    unevictable: int | None = None
    kernel: int | None = None
    slab_reclaimable: int | None = None
    pgfault: int | None = None
    """A count of pages, as all that follow."""
    pgmajfault: int | None = None
    pgscan: int | None = None
    pgsteal: int | None = None
    workingset_refault_file: int | None = None
    workingset_refault_anon: int | None = None
    high: int | None = None
    """Bytes above which its processes are made to reclaim and slowed down; None for the kernel's ``max``, no limit."""

    @property
    def working_set(self) -> int | None:
        """``current - inactive_file``, not below 0: what kubelet, cAdvisor and ``docker stats`` show."""
        if self.current is None or self.inactive_file is None:
            return None
        return max(self.current - self.inactive_file, 0)


class IoStat(NamedTuple):
    """One device's line of ``io.stat``: bytes and operations since the cgroup was made."""

    rbytes: int
    wbytes: int
    rios: int
    wios: int
    dbytes: int | None = None
    """Discarded; None on version 1."""
    dios: int | None = None
    cost_usage_usec: int | None = None
    """Time of the device it was charged; None without the iocost controller, as the next three."""
    cost_wait_usec: int | None = None
    cost_indebt_usec: int | None = None
    cost_indelay_usec: int | None = None


class HugetlbStat(NamedTuple):
    """``hugetlb.SIZE.*`` for one size of page."""

    current: int | None
    """Bytes, reserved ones where the kernel counts them (``rsvd.current``)."""
    events_max: int | None
    """Times it was refused a page by its limit."""


@dataclass(frozen=True, slots=True)
class CgroupDetail:
    """What is read of a cgroup for the endpoint alone. A limit is ``math.inf`` for the kernel's ``max``."""

    cpu_weight: int | None = None
    """``cpu.weight``, 1 to 10000."""
    cpu_shares: int | None = None
    """Version 1's ``cpu.shares``."""
    throttled_local_usec: int | None = None
    """``cpu.stat.local``: throttled by its own limit, not by one above it."""
    memory_min: float | None = None
    memory_low: float | None = None
    """On version 1 ``memory.soft_limit_in_bytes``; 0 where that is not set."""
    memory_swap_max: float | None = None
    swap_events_max: int | None = None
    """Times it was about to go above its limit of swap (``memory.swap.events``)."""
    swap_events_fail: int | None = None
    """Times it could have no swap, by its limit or since none was left."""
    pids_events_max: int | None = None
    """Times a fork failed by its limit of tasks (``pids.events``)."""
    irq_full_usec: int | None = None
    """Time all its tasks lost to interrupts (``irq.pressure``)."""
    dying_descendants: int | None = None
    """``cgroup.stat``: removed cgroups below it that memory still holds."""
    hugetlb: Mapping[str, HugetlbStat] | None = None
    """By the size of page, such as ``2MB``; read only when asked for."""
    numa_bytes: Mapping[str, Mapping[int, int]] | None = None
    """``memory.numa_stat``: key, such as ``anon``, to node to bytes; read only when asked for."""


class PidsStat(NamedTuple):
    """``pids.current`` and ``pids.max``; tasks, so threads count."""

    current: int
    max: int | None
    """None for the kernel's ``max``, no limit."""


class Pressure(NamedTuple):
    """The totals of a ``*.pressure`` file (https://docs.kernel.org/accounting/psi.html).

    Its averages are left out: they go on changing for minutes after the last stall, and the totals say more exactly
    what they say.
    """

    some_usec: int
    """Time in which some tasks were stalled, microseconds."""
    full_usec: int | None
    """Time in which all of them were; None where the kernel does not count it."""


class PressureStat(NamedTuple):
    """The three pressures of a cgroup or of the host."""

    cpu: Pressure | None
    memory: Pressure | None
    io: Pressure | None


class CgroupEvents(NamedTuple):
    """``cgroup.events``; on version 1 the freezer's state, and whether there are processes."""

    populated: bool | None
    frozen: bool | None


class CgroupSample(NamedTuple):
    """One cgroup's counters. A None section: the controller is off, unreadable or gone."""

    path: CgroupPath
    inode: int
    """The cgroup's id; with the path it is the identity, since a path can come back as another cgroup."""
    cpu: CpuStat | None = None
    cpu_max: CpuMax | None = None
    memory: MemoryStat | None = None
    io: Mapping[Device, IoStat] | None = None
    pids: PidsStat | None = None
    pressure: PressureStat | None = None
    events: CgroupEvents | None = None
    detail: CgroupDetail | None = None
    since_ns: int | None = None
    """When it was last read before this, on the monotonic clock; ``cpu.stat`` is read every time."""


class InterfaceStat(NamedTuple):
    """One line of ``/proc/PID/net/dev``: counters since the interface was made."""

    rx_bytes: int
    rx_packets: int
    rx_errs: int
    rx_drop: int
    tx_bytes: int
    tx_packets: int
    tx_errs: int
    tx_drop: int


@dataclass(frozen=True, slots=True)
class Namespaces:
    """The namespaces a process lives in (namespaces(7)); None where the reader may not look."""

    net: NsInode | None = None
    pid: NsInode | None = None
    mnt: NsInode | None = None
    ipc: NsInode | None = None
    uts: NsInode | None = None
    user: NsInode | None = None
    cgroup: NsInode | None = None
    time: NsInode | None = None


NAMESPACE_KINDS = tuple(kind.name for kind in fields(Namespaces))
"""As in ``/proc/PID/ns``."""


@dataclass(frozen=True, slots=True)
class ProcessSample:
    """A process, as far as a container needs it: its first one, or the host's."""

    pid: int
    start_ticks: int
    """Field 22 of ``/proc/PID/stat``."""
    comm: str
    started_ns: int
    """The same in nanoseconds since 1970, as exact as the kernel's clock tick."""
    ns_pids: tuple[int, ...] = ()
    """``NSpid``: its pid in each nested pid namespace, the reader's first."""
    namespaces: Namespaces = field(default_factory=Namespaces)
    netns: NetnsKey | None = None

    @property
    def identity(self) -> tuple[int, int]:
        """Pid and start: no other process has both."""
        return self.pid, self.start_ticks

    @property
    def is_init(self) -> bool:
        """Whether it is pid 1 in a pid namespace of its own: with another one there begins another life."""
        return len(self.ns_pids) > 1 and self.ns_pids[-1] == 1


@dataclass(frozen=True, slots=True)
class FoundPod:
    """A cgroup whose path says that it is a pod's."""

    path: CgroupPath
    kind: PodKind
    id: str
    """Kubernetes' uid, Podman's pod id, ECS' task id."""
    qos: str | None = None
    """Kubernetes' class: ``guaranteed``, ``burstable`` or ``besteffort``."""
    outer: CgroupPath | None = None
    """The container that it is nested in."""


@dataclass(frozen=True, slots=True)
class FoundContainer:
    """A cgroup whose path says that it is a container's."""

    path: CgroupPath
    runtime: str | None
    """None where the path fits more than one runtime."""
    id: ContainerId
    outer: CgroupPath | None = None
    """The container that it is nested in."""
    pod: FoundPod | None = None
    """The pod whose cgroup it is in."""
    is_candidate: bool = False
    """Whether the path alone is too weak a sign: it is a container only if somebody confirms it."""


class Isolated(NamedTuple):
    """Processes that share a namespace which is neither the host's nor a container's."""

    id: str
    """The inode of that namespace; where it may not be read, pid and start of the first process."""
    process: ProcessSample
    """The first one: pid 1 of its pid namespace, or else the oldest."""
    cgroup: CgroupPath
    """Where that process is."""
    is_alone: bool
    """Whether every process in that cgroup belongs to it, so that the cgroup's counters are its own."""
    name: str
    """Its own hostname, or its unit, or its command: foreign text."""
    command: str | None
    fold: str | None
    """`SERVICES` or `SANDBOXES`; None for what is worth a row of its own."""


SERVICES = "services"
"""Units of systemd on the host's pid namespace, with private mounts, users or a private network."""
SANDBOXES = "sandboxes"
"""What browsers and desktop applications lock themselves into."""


class Port(NamedTuple):
    """A published port."""

    host_ip: str | None
    host_port: int | None
    container_port: int
    protocol: str


@dataclass(frozen=True, slots=True)
class Volume:
    """A directory or file of the host that a container sees."""

    source: str
    """The path on the host, or the name of a volume."""
    target: str
    """Where the container sees it."""
    is_read_only: bool = False


@dataclass(frozen=True, slots=True)
class PodInfo:
    """What is said of the pod that a container is in. Foreign text: escape it before showing it."""

    kind: PodKind
    id: str
    """Kubernetes' uid, Podman's pod id, or whatever tells the pod from others of its kind."""
    name: str
    namespace: str | None = None
    labels: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """The pod's own, known to its sandbox alone; empty elsewhere."""
    annotations: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """The same."""


@dataclass(frozen=True, slots=True)
class ContainerInfo:
    """What a runtime says of one of its containers. Foreign text: escape it before showing it."""

    id: ContainerId
    runtime: str
    name: str
    source: Source
    state: State
    image: str | None = None
    command: str | None = None
    labels: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    ports: tuple[Port, ...] = ()
    health: Health | None = None
    exit_code: int | None = None
    restarts: int | None = None
    """Times the runtime has started it again by itself."""
    restart_policy: str | None = None
    """When the runtime would start it again: ``no``, ``always``, ``unless-stopped``, ``on-failure``."""
    created_ns: int | None = None
    started_ns: int | None = None
    """When it was last started; with the id this is the identity that actions check."""
    finished_ns: int | None = None
    oom_killed: bool | None = None
    grace_s: float | None = None
    """Seconds the runtime waits after the stop signal; None where it has not said."""
    stop_signal: str | None = None
    joins_network_of: ContainerId | None = None
    """The container whose network namespace it was told to join."""
    host_namespaces: tuple[str, ...] = ()
    """The host's namespaces that it was told to use."""
    role: Role = Role.WORKLOAD
    pod: PodInfo | None = None
    volumes: tuple[Volume, ...] = ()


@dataclass(frozen=True, slots=True)
class RuntimeSample:
    """How a runtime's socket is doing."""

    name: str
    socket: str
    up: bool
    """Whether the last call was answered."""
    is_listed: bool
    """Whether its containers have been listed at least once."""
    silent_s: float = 0.0
    """Seconds since a call was made that is not answered yet."""
    container_count: int = 0
    runtime: str = ""
    """What its containers say they are run by, where that is not its name."""
    lies_beneath: bool = False
    """Whether other runtimes use it for themselves."""
    duration_s: float | None = None
    """How long the last call that was answered took."""
    errors: int = 0
    """Calls that failed since topcon was started."""
    succeeded_ns: int | None = None
    """When it last answered, nanoseconds since 1970."""
    daemon_pid: int | None = None
    """Who answers at the socket; None for what is not known, such as behind TCP."""
    daemon_cpu_s: float | None = None
    """CPU seconds that the daemon has used while it answered us, since topcon was started.

    What it did for others at the same time is in it.
    """

    def runs(self, container: ContainerInfo | FoundContainer) -> bool:
        """Whether a container is of this runtime, though perhaps of another daemon."""
        return container.runtime == (self.runtime or self.name)


class Problem(NamedTuple):
    """What could not be read, as data."""

    source: str
    message: str
    remedy: str | None = None
    """The one command that would mend it."""


class MachineIds(NamedTuple):
    """What tells this machine from another; empty where it cannot be read."""

    machine_id: str = ""
    """``/etc/machine-id``."""
    system_uuid: str = ""
    """The firmware's; only root may read it."""
    boot_id: str = ""


class DiskStat(NamedTuple):
    """One device's line of ``/proc/diskstats`` (https://docs.kernel.org/admin-guide/iostats.html), since boot."""

    reads: int
    reads_merged: int
    sectors_read: int
    """Of 512 bytes, as all sectors here."""
    read_ms: int
    writes: int
    writes_merged: int
    sectors_written: int
    write_ms: int
    in_flight: int
    """Now."""
    io_ms: int
    weighted_io_ms: int


class CpuCache(NamedTuple):
    """A cache of a CPU, or one that a node's cores share."""

    node: int
    core: int | None
    """None where more than one core shares it."""
    kind: str
    """``Data``, ``Instruction`` or ``Unified``."""
    level: int
    size_bytes: int


class MachineTopology(NamedTuple):
    """What the machine is built of, read once. None or empty: this machine does not say."""

    physical_cores: int | None = None
    sockets: int | None = None
    dimms: Mapping[str, tuple[int, int]] = MappingProxyType({})
    """Kind of memory module, such as ``Registered-DDR4``: how many, bytes in all (EDAC)."""
    caches: tuple[CpuCache, ...] = ()
    threads: Mapping[tuple[int, int, int], int] = MappingProxyType({})
    """Node, core, thread: how many threads its core has."""
    node_memory_bytes: Mapping[int, int] = MappingProxyType({})
    node_hugepages: Mapping[tuple[int, int], int] = MappingProxyType({})
    """Node, size of page in KiB: how many there are."""
    node_distances: Mapping[tuple[int, int], int] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class HostSample:
    """The host's totals."""

    name: str
    kernel: str
    cpus: int
    uptime_s: float
    cpu_busy_s: float
    """CPU time spent on anything but idling, seconds since boot, all CPUs together."""
    memory_total_bytes: int
    memory_used_bytes: int
    """Total less what the kernel calls available."""
    swap_total_bytes: int = 0
    swap_used_bytes: int = 0
    load: tuple[float, float, float] | None = None
    pressure: PressureStat | None = None
    namespaces: Namespaces = field(default_factory=Namespaces)
    """Those of process 1."""
    netns: NetnsKey | None = None
    machine: MachineIds = field(default_factory=MachineIds)
    devices: Mapping[Device, str] = field(default_factory=lambda: MappingProxyType({}))
    """The names of the block devices, such as ``sda``."""
    disks: Mapping[str, DiskStat] = field(default_factory=lambda: MappingProxyType({}))
    """By name; read for the endpoint alone."""
    topology: MachineTopology | None = None
    """The same."""
    os_name: str = ""
    """``PRETTY_NAME`` of ``os-release``; foreign text."""


class TaskStat(NamedTuple):
    """The processes and threads of a cgroup; of a container, also those of the cgroups inside it."""

    processes: int
    """In the cgroup itself alone, as its ``cgroup.procs`` lists them."""
    states: Mapping[str, int]
    """Threads by state: the kernel's letter (``R``, ``S``, ``D``, ``T``, ``I``, ...; proc(5)) to how many."""
    zombies: int
    """Processes that ended and were not waited for."""
    run_s: float | None
    """Time on a CPU since first seen, all threads together, ended ones remembered; None without schedstats."""
    run_delay_s: float | None
    """Time waited for a CPU, in the same way."""
    run_periods: int | None
    """Times on a CPU."""
    runnable: float
    """Threads that ran or wanted to, smoothed over 10 s."""
    uninterruptible: float
    """Threads in state ``D``, smoothed over 10 s."""
    open_files: int | None = None
    """Descriptors of all processes; None where the reader may not look."""
    sockets: int | None = None
    open_files_limit: int | None = None
    """Soft limit of its first process; None for no limit too."""


class LayerStat(NamedTuple):
    """What a container has written into its own layer of the file system."""

    device: str
    """Of the file system it is on, such as ``/dev/sda1``."""
    used_bytes: int
    used_inodes: int
    limit_bytes: int
    """Size of that file system."""
    inodes: int
    inodes_free: int


class FilesystemStat(NamedTuple):
    """A file system of the host (statvfs(3))."""

    size_bytes: int
    used_bytes: int
    inodes: int
    inodes_free: int


class ProtocolStat(NamedTuple):
    """What a network namespace counts of TCP and UDP."""

    tcp: Mapping[str, int]
    """``Tcp:`` of ``net/snmp`` and ``TcpExt:`` of ``net/netstat``, under the kernel's keys."""
    tcp_sockets: Mapping[str, int]
    """``TCP:`` of ``net/sockstat``: ``inuse``, ``orphan``, ``tw``, ``alloc``."""
    tcp_states: Mapping[str, Mapping[int, int]] | None = None
    """``tcp`` and ``tcp6``: number of a state, 1 to 11, to sockets; read only when asked for, as the next."""
    udp: Mapping[str, Mapping[str, int]] | None = None
    """``udp`` and ``udp6``: ``listen``, ``dropped``, ``rxqueued``, ``txqueued``."""


@dataclass(frozen=True, slots=True)
class Survey:
    """What is too dear to read every tick, read on a thread of its own that uses little of a CPU."""

    monotonic_ns: int
    """When it was finished."""
    duration_s: float
    tasks: Mapping[CgroupPath, TaskStat] = field(default_factory=dict)
    layers: Mapping[CgroupPath, LayerStat] = field(default_factory=dict)
    """By the container's cgroup; may be minutes old."""
    filesystems: Mapping[str, FilesystemStat] = field(default_factory=dict)
    """The host's, by device."""
    protocols: Mapping[NetnsKey, ProtocolStat] = field(default_factory=dict)


class TierSample(NamedTuple):
    """How reading a part of a source went: what is read every time, what has changed, or what is due."""

    name: str
    """``hot``, ``warm`` or ``cold``."""
    duration_s: float
    reads: int
    """How many cgroups, or files, were read."""


class OwnSample(NamedTuple):
    """What topcon itself has used, and what it was told to."""

    cpu_s: float
    """User and system, all threads, since it was started."""
    rss_bytes: int | None
    interval_s: float
    """At which it samples now."""
    asked_interval_s: float
    budget: float | None
    """The share of one core that it is to stay within, with its daemons; None for no bound."""


@dataclass(frozen=True, slots=True)
class SourceSample:
    """How reading one source went."""

    name: str
    duration_s: float
    """Of the last reading."""
    errors: int
    """Readings that failed, or were partly not understood, since topcon was started."""
    succeeded_ns: int | None
    """When it last went well, nanoseconds since 1970; None for never."""
    tiers: tuple[TierSample, ...] = ()
    """Of the last reading, where a source has them."""


@dataclass(frozen=True, slots=True)
class Sample:
    """All that was read at one moment."""

    wall_ns: int
    """For people and files."""
    monotonic_ns: int
    """For rates."""
    host: HostSample
    mode: CgroupMode | None = None
    """None where no cgroup hierarchy is mounted."""
    cgroups: Mapping[CgroupPath, CgroupSample] = field(default_factory=dict)
    found: Mapping[CgroupPath, FoundContainer] = field(default_factory=dict)
    pods: Mapping[CgroupPath, FoundPod] = field(default_factory=dict)
    processes: Mapping[CgroupPath, ProcessSample] = field(default_factory=dict)
    """The first process of each container."""
    isolated: tuple[Isolated, ...] = ()
    """What lives in namespaces of its own without a runtime."""
    networks: Mapping[NetnsKey, Mapping[str, InterfaceStat]] = field(default_factory=dict)
    containers: tuple[ContainerInfo, ...] = ()
    runtimes: tuple[RuntimeSample, ...] = ()
    problems: tuple[Problem, ...] = ()
    sources: tuple[SourceSample, ...] = ()
    """How reading the kernel went."""
    events: tuple[Told, ...] = ()
    """What was told since the sample before to have happened."""
    survey: Survey | None = None
    """The newest; None before the first is done, and without the endpoint."""
    own: OwnSample | None = None
    """None for a host that was captured or recorded."""


class LogLine(NamedTuple):
    """A line that a container has written. Foreign text: escape it before showing it."""

    time_ns: int | None
    """When, as its runtime says."""
    is_stderr: bool
    """Whether to stderr; what writes to a terminal writes to stdout alone."""
    text: str
    """The first 4 KiB of it at the most."""
