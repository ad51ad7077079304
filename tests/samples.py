"""Values as the kernel and the runtimes would give them, for tests of all that is pure."""

from __future__ import annotations

import unicodedata
import zlib
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from fakes import HOST_NAMESPACES, SECOND_NS, START_WALL_NS
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from topcon.findings import assess
from topcon.model.derive import derive
from topcon.model.history import NO_HISTORY
from topcon.model.sample import (
    CgroupEvents,
    CgroupPath,
    CgroupSample,
    ContainerId,
    ContainerInfo,
    ContainerKey,
    CpuMax,
    CpuStat,
    FoundContainer,
    HostSample,
    InterfaceStat,
    IoStat,
    MemoryStat,
    Namespaces,
    NetnsKey,
    NsInode,
    PidsStat,
    PodKind,
    Pressure,
    PressureStat,
    ProcessSample,
    RuntimeSample,
    Sample,
    Source,
    State,
)
from topcon.model.snapshot import ContainerNode, HostNode, PodNode, Snapshot, Usage

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from topcon.model.history import History
    from topcon.model.sample import Device
    from topcon.model.snapshot import Finding
    from topcon.ui.spans import Span

unhurried_in_making = settings(suppress_health_check=[HealthCheck.too_slow])
"""For those whose examples, such as whole hosts, take long to make."""

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
"""What a foreign program can write where another type is expected."""

HOST_NETNS = NetnsKey(4026532000)
MONOTONIC_NS = 1000 * SECOND_NS
SDA: Device = (8, 0)
SDB: Device = (8, 16)
IDLE: Mapping[Device, tuple[int, int]] = MappingProxyType({SDA: (0, 0)})
COMPOSE = "com.docker.compose.project"

HOSTILE_NAMES = {
    "escape": "\x1b]0;owned\x07\x1b[2J\x1b[31mred",
    "c1": "web\x9b31m\x85",
    "newlines": "one\ntwo\r\nthree\u2028four\u2029five",
    "nul": "a\x00b",
    "surrogate": "a\udcffb\ud800",
    "override": "invoice\u202egpj.exe\u2066",
    "rtl": "\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627",
    "emoji": "\U0001f433 whale \u2764\ufe0f \U0001f468\u200d\U0001f469\u200d\U0001f467",
    "wide": "\u65e5\u672c\u8a9e\u306e\u540d\u524d" * 10,
    "combining": "e" + "\u0301" * 60,
    "long": "x" * 300,
    "tab": "a\tb",
    "empty": "",
}
"""What a container's name can hold where nobody checks it."""


def text_of(spans: Iterable[Span]) -> str:
    """Return what is drawn, without its tones."""
    return "".join(span.text for span in spans)


def unsafe(text: str) -> set[str]:
    """Return what in a text could move the cursor, break the line or turn the writing around."""
    return {each for each in text if unicodedata.category(each) in {"Cc", "Cf", "Cs", "Zl", "Zp"}}


def container_id(name: str) -> ContainerId:
    """Return an id of 64 digits that is always the same for a name."""
    return ContainerId(f"{zlib.crc32(name.encode(errors='surrogatepass')):08x}" * 8)


def docker_key(name: str) -> ContainerKey:
    return ContainerKey(f"docker:{container_id(name)}")


def path_of(name: str) -> CgroupPath:
    return CgroupPath(f"/docker/{container_id(name)}")


def number_of(name: str) -> int:
    """Return a pid that is always the same for a name."""
    return 1000 + zlib.crc32(name.encode(errors="surrogatepass")) % 1_000_000


def netns_of(name: str) -> NetnsKey:
    """Return the network namespace that a container has of its own."""
    return NetnsKey(4_030_000_000 + number_of(name))


def info_of(name: str, /, **options: Any) -> ContainerInfo:
    """Return what Docker says of a container that runs."""
    given: dict[str, Any] = {
        "id": container_id(name),
        "runtime": "docker",
        "name": name,
        "source": Source.API,
        "state": State.RUNNING,
    }
    return ContainerInfo(**(given | options))


def own_namespaces(name: str, **options: int | None) -> Namespaces:
    """Return namespaces as Docker makes them: those of users and of time are the host's."""
    kinds = ("net", "pid", "mnt", "ipc", "uts", "cgroup")
    own = {kind: 5_000_000_000 + 10 * number_of(name) + at for at, kind in enumerate(kinds)}
    inodes: dict[str, Any] = HOST_NAMESPACES | own | options
    return Namespaces(**inodes)


def process_of(name: str, /, **options: Any) -> ProcessSample:
    """Return the first process of a container."""
    pid = number_of(name)
    given: dict[str, Any] = {
        "pid": pid,
        "start_ticks": 5000,
        "comm": "sleep",
        "started_ns": START_WALL_NS - 3600 * SECOND_NS,
        "ns_pids": (pid, 1),
        "namespaces": own_namespaces(name),
        "netns": netns_of(name),
    }
    return ProcessSample(**(given | options))


def pressure_of(some: int, full: int | None = 0) -> Pressure:
    """Return a pressure file, by its totals in microseconds."""
    return Pressure(some, full)


def pressures(cpu: int = 0, memory: int = 0, io: int = 0, *, full: int | None = 0) -> PressureStat:
    """Return the three pressure files, by their totals of ``some`` in microseconds."""
    return PressureStat(pressure_of(cpu, full), pressure_of(memory, full), pressure_of(io, full))


def cgroup_of(
    path: CgroupPath,
    *,
    inode: int = 77,
    usage_usec: int = 0,
    limit_cores: float | None = None,
    nr_periods: int = 0,
    nr_throttled: int = 0,
    current: int = 10 << 20,
    inactive_file: int = 0,
    limit: int | None = None,
    oom_kill: int = 0,
    io: Mapping[Device, tuple[int, int]] | None = IDLE,
    pids: int = 1,
    pids_max: int | None = None,
    **sections: Any,
) -> CgroupSample:
    """Return a container's counters; ``io`` is bytes read and written, by device."""
    given: dict[str, Any] = {
        "cpu": CpuStat(usage_usec, usage_usec, 0, nr_periods, nr_throttled, nr_throttled * 1000),
        "cpu_max": CpuMax(None if limit_cores is None else int(limit_cores * 100_000), 100_000),
        "memory": MemoryStat(
            current, limit, current, 0, current - inactive_file, inactive_file, inactive_file, oom_kill
        ),
        "io": None if io is None else {device: IoStat(*counted, 0, 0) for device, counted in io.items()},
        "pids": PidsStat(pids, pids_max),
        "pressure": pressures(),
        "events": CgroupEvents(populated=True, frozen=False),
    }
    return CgroupSample(path, inode, **(given | sections))


@dataclass(frozen=True)
class Box:
    """A container as it stands in a sample; None for what is not there to see."""

    info: ContainerInfo | None = None
    found: FoundContainer | None = None
    cgroup: CgroupSample | None = None
    process: ProcessSample | None = None

    @property
    def path(self) -> CgroupPath:
        assert self.found is not None
        return self.found.path


def running(
    name: str,
    *,
    info: Mapping[str, Any] | None = None,
    process: Mapping[str, Any] | None = None,
    inside: Box | None = None,
    **counters: Any,
) -> Box:
    """Return a container that Docker lists and the kernel runs; with another start it has another process."""
    started_ns = (info or {}).get("started_ns")
    ticks = {} if started_ns is None else {"start_ticks": started_ns // 10**7}
    path = CgroupPath(f"{inside.path if inside else ''}{path_of(name)}")
    return Box(
        info=info_of(name, **(info or {})),
        found=FoundContainer(path, "docker", container_id(name), inside.path if inside else None),
        cgroup=cgroup_of(path, **({"inode": number_of(name)} | counters)),
        process=process_of(name, **(ticks | dict(process or {}))),
    )


def kernel_only(box: Box) -> Box:
    """Take away what the runtime says."""
    return replace(box, info=None)


def unclaimed(box: Box) -> Box:
    """Let the container's path tell no runtime."""
    assert box.found is not None
    return replace(box, found=replace(box.found, runtime=None))


def stopped(name: str, /, **options: Any) -> Box:
    """Return a container that only Docker knows."""
    return Box(info=info_of(name, **({"state": State.EXITED, "exit_code": 0} | options)))


def on_network(netns: NetnsKey | None, **options: Any) -> dict[str, Any]:
    """Return what is particular to a process in a certain network namespace."""
    return {"netns": netns, **options}


def interface(rx: int = 0, tx: int = 0) -> InterfaceStat:
    return InterfaceStat(rx, 0, 0, 0, tx, 0, 0, 0)


def host_of(**options: Any) -> HostSample:
    given: dict[str, Any] = {
        "name": "testhost",
        "kernel": "6.12.0-test",
        "cpus": 2,
        "uptime_s": 100_000.0,
        "cpu_busy_s": 50.0,
        "memory_total_bytes": 8 << 30,
        "memory_used_bytes": 2 << 30,
        "pressure": pressures(full=None),
        "namespaces": Namespaces(**{kind: NsInode(inode) for kind, inode in HOST_NAMESPACES.items()}),
        "netns": HOST_NETNS,
    }
    return HostSample(**(given | options))


def docker_runtime(*, up: bool = True, is_listed: bool = True, silent_s: float = 0.0) -> RuntimeSample:
    return RuntimeSample("docker", "/run/docker.sock", up, is_listed, silent_s)


def sample_of(*boxes: Box, seconds: float = 0.0, **others: Any) -> Sample:
    """Return what is read ``seconds`` after the start."""
    ns = int(seconds * SECOND_NS)
    given: dict[str, Any] = {
        "wall_ns": START_WALL_NS + ns,
        "monotonic_ns": MONOTONIC_NS + ns,
        "host": host_of(),
        "cgroups": {box.cgroup.path: box.cgroup for box in boxes if box.cgroup},
        "found": {box.found.path: box.found for box in boxes if box.found},
        "processes": {box.path: box.process for box in boxes if box.process},
        "containers": tuple(box.info for box in boxes if box.info),
        "runtimes": (docker_runtime(),),
    }
    return Sample(**(given | others))


def snapshot_after(*samples: Sample) -> Snapshot:
    """Return the snapshot that comes of samples, one after the other."""
    snapshot = None
    for sample in samples:
        snapshot = derive(snapshot, sample)
        snapshot = replace(snapshot, findings=assess(snapshot))
    assert snapshot is not None
    return snapshot


def node_of(name: str, /, usage: Usage | None = None, **options: Any) -> ContainerNode:
    """Return a container of the tree; what is not a field of the node is one of what the runtime says."""
    fields = set(ContainerNode._fields) - {"info"}
    given: dict[str, Any] = {key: options.pop(key) for key in list(options) if key in fields}
    key = ContainerKey(f"{options.get('runtime', 'docker')}:{container_id(name)}")
    return ContainerNode(**({"key": key, "info": info_of(name, **options), "usage": usage or Usage()} | given))


def pod_of(*containers: ContainerNode, name: str | None = None, usage: Usage | None = None, **options: Any) -> PodNode:
    """Return a pod: a Compose project if it has a name, else a container by itself."""
    if usage is None:
        usage = containers[0].usage if len(containers) == 1 else Usage()
    kind = PodKind.COMPOSE if name else PodKind.SINGLE
    given: dict[str, Any] = {
        "key": f"{kind}:{name or containers[0].key}",
        "kind": kind,
        "name": name or containers[0].name,
        "containers": containers,
        "usage": usage,
        "started_ns": min((each.started_ns for each in containers if each.started_ns is not None), default=None),
    }
    return PodNode(**(given | options))


def tree_of(*pods: PodNode, findings: Iterable[Finding] = (), host: HostNode | None = None, **others: Any) -> Snapshot:
    """Return a snapshot of these pods; ``others`` are fields of its sample."""
    sample = sample_of(**others)
    return Snapshot(
        sample=sample,
        tick=0,
        interval_s=1.0,
        host=host or HostNode(sample.host, None, None),
        pods=pods,
        containers={container.key: container for pod in pods for container in pod.containers},
        findings=tuple(findings),
    )


def history_of(*values: float | None, newest: int | None = None) -> History:
    """A history whose last value is of the tick ``newest``, or begins with the first tick."""
    history = NO_HISTORY
    first = 0 if newest is None else newest - len(values) + 1
    for tick, value in enumerate(values, start=first):
        history = history.grown(tick, value)
    return history


def past(history: History) -> tuple[float | None, ...]:
    """All values that were added to a history, the newest last."""
    return tuple(history.values(history.newest))
