"""What can be shown and sorted by: a table of columns, for the screen and for reports."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from operator import attrgetter
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from topcon.model.rates import ratio
from topcon.model.sample import Health, Role, State
from topcon.model.snapshot import ContainerNode, PodNode, Severity
from topcon.text import (
    BYTES_WIDTH,
    UNKNOWN,
    cut,
    printable,
    to_age_text,
    to_bytes_text,
    to_cores_text,
    to_count_text,
    to_percent_text,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from topcon.model.history import History
    from topcon.model.sample import CgroupSample, MemoryStat, Port
    from topcon.model.snapshot import PressureShare, Usage

    Found = Mapping[str, Severity]
    """The codes of findings, and how bad each is."""

Node = PodNode | ContainerNode
NOTHING_FOUND: Found = MappingProxyType({})
GROUPS = ("image:", "runtime:")
"""How the keys of what is only put together for a view begin; no pod's does."""


class HostSize(NamedTuple):
    """What a host has."""

    cpus: int | None = None
    memory_bytes: int | None = None


class Line(NamedTuple):
    """What the columns are drawn from: a pod or a container."""

    node: Node
    severity: Severity | None
    """The worst finding of the node, and of its containers."""
    found: Found = NOTHING_FOUND
    """What was found in it, and in its containers."""
    pod: str = ""
    """The title of the pod that it is in; empty for a container by itself. Foreign text."""
    is_prefixed: bool = False
    """Whether the name alone does not tell it from others, so that its pod stands before it."""
    host: HostSize = HostSize()

    @property
    def title(self) -> str:
        """What the row is called: foreign text, to be escaped."""
        return f"{self.pod}/{title_of(self.node)}" if self.is_prefixed else title_of(self.node)

    @property
    def usage(self) -> Usage:
        """What the node uses."""
        return self.node.usage

    @property
    def is_live(self) -> bool:
        """Whether anything in it runs."""
        if isinstance(self.node, PodNode):
            return any(container.info.state.is_live for container in self.node.containers)
        return self.node.info.state.is_live

    @property
    def is_stopped(self) -> bool:
        """Whether nothing in it runs, or will by itself."""
        if isinstance(self.node, PodNode):
            return all(container.info.state.is_stopped for container in self.node.containers)
        return self.node.info.state.is_stopped

    @property
    def is_gone(self) -> bool:
        """Whether it is a tombstone, or holds nothing else."""
        return self.node.is_gone

    @property
    def since_ns(self) -> int | None:
        """When it was started; of a stopped container, when it ended."""
        if isinstance(self.node, ContainerNode) and self.node.info.state.is_over:
            return self.node.info.finished_ns
        return self.node.started_ns

    def age_s(self, wall_ns: int) -> float | None:
        """Seconds since then."""
        return None if self.since_ns is None else max((wall_ns - self.since_ns) / 1e9, 0.0)


@dataclass(frozen=True, slots=True)
class Column:
    """A column: how wide, what it sorts by, what it says."""

    name: str
    """As in ``--sort``."""
    title: str
    letter: str
    """Its key in the sort menu."""
    width: int
    priority: int
    """Where the screen is narrow, those of the greatest number give way first, together; 0 stays."""
    value: Callable[[Line], float | str | None]
    """The same for as long as the line is."""
    text: Callable[[Line, int], str]
    """Given the time of day, in nanoseconds since 1970."""
    share: Callable[[Line], float | None] | None = None
    """How full it is, from 0 to 1, for a bar."""
    history: Callable[[Line], History] | None = None
    """For a sparkline in place of the text."""
    help: str = ""
    is_left: bool = False
    is_live: bool = False
    """Whether it goes up and down all the time: what shows the same is then sorted as if it were the same."""
    codes: frozenset[str] = frozenset()
    """The findings that are about what it says."""
    least: Severity = Severity.WARNING
    """How bad such a finding is at least, to be about it."""


def state_text(line: Line) -> str:
    """Say in a word what it does: ``up``, ``healthy``, ``paused``, ``exited 137``; of a pod, how many are up."""
    node = line.node
    if node.is_gone:
        return _gone_text(node)
    if isinstance(node, PodNode):
        working = [container for container in node.containers if container.info.role is not Role.SANDBOX]
        live = sum(container.info.state.is_live for container in working)
        return f"{live} up" if live == len(working) else f"{live}/{len(working)} up"
    info = node.info
    match info.state:
        case State.RUNNING:
            return str(info.health) if info.health is not None else "up"
        case State.EXITED | State.DEAD:
            code = "" if info.exit_code is None else f" {info.exit_code}"
            return f"{'oom' if info.oom_killed else info.state}{code}"
        case State.UNKNOWN:
            return "unknown"
        case _:
            return str(info.state)


def _gone_text(node: Node) -> str:
    """Say how it ended, as far as ten columns hold it: a kill for memory is 137, unless another code is said."""
    if isinstance(node, PodNode) or (node.info.exit_code is None and not node.info.oom_killed):
        return "gone"
    code = "" if node.info.exit_code is None else f" {node.info.exit_code}"
    return "gone oom" if node.info.oom_killed else f"gone{code}"


_STATE_ORDER = {State.RESTARTING: 0, State.DEAD: 1, State.EXITED: 2, State.UNKNOWN: 3, State.CREATED: 4}
_HEALTHY_LAST = {Health.UNHEALTHY: 0, Health.STARTING: 1, Health.HEALTHY: 3, None: 2}


def _state_value(line: Line) -> float:
    node = line.node
    if isinstance(node, PodNode):
        live = sum(container.info.state.is_live for container in node.containers)
        return 5.0 + live / len(node.containers)
    return _STATE_ORDER.get(node.info.state, 5.0) + 0.1 * _HEALTHY_LAST[node.info.health]


def is_group(node: Node) -> bool:
    """Whether a node is only put together for a view: the containers of an image, say."""
    return node.key.startswith(GROUPS)


def _containers(node: Node) -> tuple[ContainerNode, ...]:
    return node.containers if isinstance(node, PodNode) else (node,)


def _same_or_count(values: Iterable[str | None], what: str) -> str | None:
    """Return what all have in common, or else how many different ones they have."""
    known = {value for value in values if value is not None}
    return f"{len(known)} {what}" if len(known) > 1 else next(iter(known), None)


def _runtime(line: Line) -> str:
    if isinstance(line.node, PodNode) and not is_group(line.node):
        return str(line.node.kind)
    return _same_or_count((each.info.runtime for each in _containers(line.node)), "runtimes") or ""


def _image(line: Line) -> str | None:
    return _same_or_count((each.info.image for each in _containers(line.node)), "images")


def _pressure(line: Line) -> float | None:
    return line.usage.pressure.worst_some if line.usage.pressure else None


def _some(line: Line, name: str) -> float | None:
    stalled: PressureShare | None = getattr(line.usage.pressure, name, None)
    return stalled.some if stalled else None


def _full(line: Line, name: str) -> float | None:
    stalled: PressureShare | None = getattr(line.usage.pressure, name, None)
    return stalled.full if stalled else None


def _cgroups(node: Node) -> list[CgroupSample]:
    """The cgroups that count all of a node, none of it twice."""
    if isinstance(node, PodNode) and node.cgroup is None:
        keys = {each.key for each in node.containers}
        return [each.cgroup for each in node.containers if each.cgroup is not None and each.outer not in keys]
    return [node.cgroup] if node.cgroup is not None else []


def _sum(values: Iterable[int | None]) -> int | None:
    """Of what is known; None if nothing is."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _memory(line: Line, get: Callable[[MemoryStat], int | None]) -> int | None:
    return _sum(get(cgroup.memory) for cgroup in _cgroups(line.node) if cgroup.memory is not None)


def _peak(line: Line) -> int | None:
    # Peaks are of different moments: their sum is none.
    return _memory(line, lambda memory: memory.peak) if len(_cgroups(line.node)) == 1 else None


def _disk(line: Line, name: str) -> int | None:
    return _sum(getattr(stat, name) for cgroup in _cgroups(line.node) for stat in (cgroup.io or {}).values())


def _cpu_time_s(line: Line) -> float | None:
    usec = _sum(cgroup.cpu.usage_usec for cgroup in _cgroups(line.node) if cgroup.cpu is not None)
    return None if usec is None else usec / 1e6


def _oom_kills(line: Line) -> int | None:
    return _sum(
        each.oom_kills if each.oom_kills or (each.cgroup is not None and each.cgroup.memory is not None) else None
        for each in _containers(line.node)
    )


def _restarts(line: Line) -> int | None:
    return _sum(each.info.restarts for each in _containers(line.node))


def _pids_share(line: Line) -> float | None:
    return ratio(line.usage.pids, line.usage.pids_limit)


def _date_text(wall_ns: float | None) -> str:
    return UNKNOWN if wall_ns is None else f"{datetime.fromtimestamp(wall_ns / 1e9).astimezone():%Y-%m-%d %H:%M}"


def _created_ns(line: Line) -> float | None:
    known = [each.info.created_ns for each in _containers(line.node) if each.info.created_ns is not None]
    return float(min(known)) if known else None


def _command(line: Line) -> str | None:
    return _same_or_count((each.info.command for each in _containers(line.node)), "commands")


def _pid(line: Line) -> int | None:
    return line.node.process.pid if isinstance(line.node, ContainerNode) and line.node.process else None


def _pid_text(line: Line) -> str:
    pid = _pid(line)
    return "" if isinstance(line.node, PodNode) else UNKNOWN if pid is None else str(pid)


def _ports(line: Line) -> list[Port]:
    """Return the ports, those that the host can be reached at first."""
    ports = {port for each in _containers(line.node) for port in each.info.ports}
    return sorted(ports, key=lambda port: (port.host_port is None, port.host_port or 0, *port[2:]))


def _first_port(line: Line) -> float | None:
    first = next(iter(_ports(line)), None)
    return None if first is None else float(first.host_port or first.container_port)


def _ports_text(line: Line) -> str:
    """Write the host's port and the container's; one is there for IPv4 and for IPv6, but once here."""
    return " ".join(dict.fromkeys(map(_port_text, _ports(line))))


def _port_text(port: Port) -> str:
    host = "" if port.host_port is None else f"{port.host_port}→"
    return f"{host}{port.container_port}{'' if port.protocol == 'tcp' else f'/{port.protocol}'}"


def title_of(node: Node) -> str:
    """Return what a row is called: foreign text, to be escaped."""
    if isinstance(node, PodNode):
        return node.title
    role = node.info.role
    if role is Role.SANDBOX:
        return str(role)
    return node.name if role is Role.WORKLOAD else f"{node.name} ({role})"


PERCENT_WIDTH, COUNT_WIDTH = 4, 5
"""The widest that `to_percent_text` and `to_count_text` write."""
PID_WIDTH = 7
"""That of the kernel's greatest, 4194304."""
OVERVIEW_PRIORITY = 100
"""Columns of a greater number are in sets of their own."""
_ANON: Callable[[MemoryStat], int | None] = attrgetter("anon")
_FILE: Callable[[MemoryStat], int | None] = attrgetter("file")
_SWAP: Callable[[MemoryStat], int | None] = attrgetter("swap_current")

NAME = Column(
    "name",
    "NAME",
    "n",
    0,
    0,
    lambda line: line.title.lower(),
    lambda line, _: printable(line.title),
    help="name",
    is_left=True,
)
SEVERITY_MARKS: dict[Severity | None, str] = {Severity.CRITICAL: "■", Severity.WARNING: "▲"}
FINDING = Column(
    "finding",
    "",
    "f",
    1,
    0,
    lambda line: float(line.severity or 0) if line.severity in SEVERITY_MARKS else 0.0,
    lambda line, _: SEVERITY_MARKS.get(line.severity, " "),
    help="worst finding",
)
STATE = Column(
    "state",
    "STATE",
    "s",
    10,
    10,
    _state_value,
    lambda line, _: state_text(line),
    help="state and health",
    is_left=True,
    codes=frozenset({"dead", "exit-error", "frozen", "oom-killed", "restart-loop", "unhealthy", "unknown-to-runtime"}),
)

AGE = Column(
    "age",
    "AGE",
    "a",
    4,
    70,
    lambda line: None if line.since_ns is None else -line.since_ns,
    lambda line, wall_ns: to_age_text(line.age_s(wall_ns)),
    help="time since the start, or since the end",
    codes=frozenset({"restart-loop"}),
)


def _bytes(
    start: tuple[str, str, str, int], value: Callable[[Line], float | None], meaning: str, *codes: str
) -> Column:
    """Make a column of bytes, or of bytes a second: name, title, letter and priority; value, help and findings."""
    name, title, letter, priority = start
    return Column(
        name,
        title,
        letter,
        BYTES_WIDTH,
        priority,
        value,
        lambda line, _: to_bytes_text(value(line)),
        help=meaning,
        is_live=True,
        codes=frozenset(codes),
    )


def _stalled(
    start: tuple[str, str, str, int],
    value: Callable[[Line], float | None],
    meaning: str,
    *codes: str,
    least: Severity = Severity.WARNING,
) -> Column:
    """Make a column of a pressure, in the same way."""
    name, title, letter, priority = start
    return Column(
        name,
        title,
        letter,
        max(PERCENT_WIDTH, len(title)),
        priority,
        value,
        lambda line, _: to_percent_text(value(line)),
        help=meaning,
        is_live=True,
        codes=frozenset(codes),
        least=least,
    )


def _some_and_all_stalled(kind: str, short: str, letters: str, what: str, code: str) -> tuple[Column, Column]:
    """Make both columns of a pressure: in which some, and in which all processes waited."""
    name = f"psi-{'mem' if kind == 'memory' else kind}"
    return (
        _stalled(
            (name, f"PSI·{short}", letters[0], 110),
            lambda line: _some(line, kind),
            f"time in which some waited for {what}",
            code,
        ),
        _stalled(
            (f"{name}-full", f"FULL·{short}", letters[1], 110),
            lambda line: _full(line, kind),
            f"time in which all waited for {what}",
            code,
            least=Severity.CRITICAL,
        ),
    )


def _count(start: tuple[str, str, str, int], value: Callable[[Line], int | None], meaning: str, *codes: str) -> Column:
    """Make a column of a count, in the same way."""
    name, title, letter, priority = start
    return Column(
        name,
        title,
        letter,
        COUNT_WIDTH,
        priority,
        value,
        lambda line, _: to_count_text(value(line)),
        help=meaning,
        is_live=True,
        codes=frozenset(codes),
    )


def _host_share(name: str, letter: str, share: Callable[[Line], float | None], meaning: str) -> Column:
    """Make a column of a share of the host."""
    return Column(
        name,
        "%HOST",
        letter,
        max(PERCENT_WIDTH, len("%HOST")),
        110,
        share,
        lambda line, _: to_percent_text(share(line)),
        help=meaning,
        is_live=True,
    )


COLUMNS = (
    NAME,
    FINDING,
    STATE,
    Column(
        "runtime",
        "RUNTIME",
        "u",
        10,
        85,
        _runtime,
        lambda line, _: cut(_runtime(line), 10),
        help="runtime of a container, kind of a pod",
        is_left=True,
    ),
    Column(
        "history",
        "CPU ·60s",
        "h",
        10,
        80,
        lambda line: line.usage.cpu_cores,
        lambda *_: "",
        history=lambda line: line.usage.cpu_history,
        help="CPU over the last minute",
        is_live=True,
    ),
    Column(
        "cpu",
        "CPU",
        "c",
        5,
        0,
        lambda line: line.usage.cpu_cores,
        lambda line, _: to_cores_text(line.usage.cpu_cores),
        help="CPUs used",
        is_live=True,
        codes=frozenset({"cpu-starved", "cpu-throttled"}),
    ),
    Column(
        "cpu%",
        "%LIM",
        "C",
        PERCENT_WIDTH,
        40,
        lambda line: line.usage.cpu_limit_share,
        lambda line, _: "" if line.usage.cpu_limit_cores is None else to_percent_text(line.usage.cpu_limit_share),
        share=lambda line: line.usage.cpu_limit_share,
        help="CPUs used of the limit",
        is_live=True,
        codes=frozenset({"cpu-throttled"}),
    ),
    _host_share("cpu-host", "J", lambda line: ratio(line.usage.cpu_cores, line.host.cpus), "CPUs used of the host's"),
    Column(
        "cpu-limit",
        "CPUS",
        "L",
        5,
        110,
        lambda line: line.usage.cpu_limit_cores,
        lambda line, _: "" if line.usage.cpu_limit_cores is None else to_cores_text(line.usage.cpu_limit_cores),
        help="limit of CPUs",
    ),
    Column(
        "cpu-time",
        "TIME",
        "T",
        4,
        110,
        _cpu_time_s,
        lambda line, _: to_age_text(_cpu_time_s(line)),
        help="CPU time since the start",
        is_live=True,
    ),
    _bytes(
        ("mem", "MEM", "m", 0),
        lambda line: line.usage.memory_bytes,
        "memory, working set",
        "memory-high",
        "memory-near-limit",
        "memory-stalled",
    ),
    Column(
        "mem%",
        "%LIM",
        "M",
        PERCENT_WIDTH,
        20,
        lambda line: line.usage.memory_limit_share,
        lambda line, _: "" if line.usage.memory_limit_bytes is None else to_percent_text(line.usage.memory_limit_share),
        share=lambda line: line.usage.memory_limit_share,
        help="memory of the limit",
        is_live=True,
        codes=frozenset({"memory-near-limit"}),
    ),
    _host_share(
        "mem-host", "Q", lambda line: ratio(line.usage.memory_bytes, line.host.memory_bytes), "memory of the host's"
    ),
    Column(
        "mem-limit",
        "LIMIT",
        "l",
        BYTES_WIDTH,
        110,
        lambda line: line.usage.memory_limit_bytes,
        lambda line, _: "" if line.usage.memory_limit_bytes is None else to_bytes_text(line.usage.memory_limit_bytes),
        help="limit of memory",
    ),
    _bytes(("anon", "ANON", "A", 110), lambda line: _memory(line, _ANON), "memory that no file is behind"),
    _bytes(("file", "FILE", "F", 110), lambda line: _memory(line, _FILE), "memory that holds files, the page cache"),
    _bytes(("swap", "SWAP", "S", 110), lambda line: _memory(line, _SWAP), "memory that was moved to swap", "swapping"),
    _bytes(("peak", "PEAK", "K", 110), _peak, "most memory since the start"),
    _count(("oom", "OOM", "O", 110), _oom_kills, "processes killed for memory since the start", "oom-killed"),
    Column(
        "throttled",
        "THR",
        "t",
        PERCENT_WIDTH,
        50,
        lambda line: line.usage.throttled_share,
        lambda line, _: "" if line.usage.cpu_limit_cores is None else to_percent_text(line.usage.throttled_share),
        help="periods throttled by the CPU limit",
        is_live=True,
        codes=frozenset({"cpu-throttled"}),
    ),
    _stalled(
        ("psi", "PSI", "p", 60),
        _pressure,
        "time stalled for CPU, memory or I/O, the worst",
        "cpu-starved",
        "io-stalled",
        "memory-stalled",
    ),
    *_some_and_all_stalled("cpu", "C", "PX", "a CPU", "cpu-starved"),
    *_some_and_all_stalled("memory", "M", "eE", "memory", "memory-stalled"),
    *_some_and_all_stalled("io", "I", "oY", "a disk", "io-stalled"),
    _bytes(
        ("rx", "NET↓", "r", 30),
        lambda line: line.usage.rx_bytes_per_second,
        "received, bytes a second",
        "dropped-packets",
    ),
    _bytes(("tx", "NET↑", "x", 30), lambda line: line.usage.tx_bytes_per_second, "sent, bytes a second"),
    _bytes(("rx-total", "RX", "v", 110), lambda line: line.usage.rx_bytes, "bytes received since the start"),
    _bytes(("tx-total", "TX", "V", 110), lambda line: line.usage.tx_bytes, "bytes sent since the start"),
    _bytes(("read", "READ", "d", 90), lambda line: line.usage.read_bytes_per_second, "read from disks, bytes a second"),
    _bytes(
        ("write", "WRITE", "w", 90), lambda line: line.usage.write_bytes_per_second, "written to disks, bytes a second"
    ),
    _bytes(("read-total", "RD", "D", 110), lambda line: _disk(line, "rbytes"), "bytes read since the start"),
    _bytes(("write-total", "WR", "W", 110), lambda line: _disk(line, "wbytes"), "bytes written since the start"),
    _count(("pids", "PIDS", "i", 100), lambda line: line.usage.pids, "processes and threads", "pids-near-limit"),
    Column(
        "pids%",
        "%PID",
        "I",
        PERCENT_WIDTH,
        110,
        _pids_share,
        lambda line, _: "" if line.usage.pids_limit is None else to_percent_text(_pids_share(line)),
        share=_pids_share,
        help="processes and threads of the limit",
        is_live=True,
        codes=frozenset({"pids-near-limit"}),
    ),
    _count(("restarts", "RST", "R", 110), _restarts, "starts by the runtime itself", "restart-loop"),
    AGE,
    Column(
        "started",
        "STARTED",
        "b",
        16,
        110,
        lambda line: None if line.node.started_ns is None else float(line.node.started_ns),
        lambda line, _: _date_text(line.node.started_ns),
        help="when it was started",
    ),
    Column(
        "image",
        "IMAGE",
        "g",
        24,
        110,
        _image,
        lambda line, _: cut(printable(_image(line) or UNKNOWN), 24),
        help="image",
        is_left=True,
    ),
    Column(
        "pod",
        "POD",
        "z",
        20,
        110,
        lambda line: line.pod.lower(),
        lambda line, _: cut(printable(line.pod), 20),
        help="pod, or project, of a container",
        is_left=True,
    ),
    Column(
        "id",
        "ID",
        "y",
        12,
        110,
        lambda line: line.node.info.id if isinstance(line.node, ContainerNode) else None,
        lambda line, _: cut(printable(line.node.info.id[:12]), 12) if isinstance(line.node, ContainerNode) else "",
        help="id of a container",
        is_left=True,
    ),
    Column(
        "pid",
        "PID",
        "N",
        PID_WIDTH,
        110,
        _pid,
        lambda line, _: _pid_text(line),
        help="first process of a container, as the host numbers it",
    ),
    Column(
        "ports",
        "PORTS",
        "H",
        20,
        110,
        _first_port,
        lambda line, _: cut(printable(_ports_text(line)), 20),
        help="ports: the host's, and the container's",
        is_left=True,
    ),
    Column(
        "command",
        "COMMAND",
        "G",
        24,
        110,
        _command,
        lambda line, _: cut(printable(_command(line) or UNKNOWN), 24),
        help="command of a container",
        is_left=True,
    ),
    Column(
        "created",
        "CREATED",
        "B",
        16,
        110,
        _created_ns,
        lambda line, _: _date_text(_created_ns(line)),
        help="when it was made; of a pod, its first container",
    ),
)

BY_NAME = {column.name: column for column in COLUMNS}
DEFAULT_SORT = "finding"
ASCENDING = frozenset({"name", "runtime", "state", "image", "pod", "id", "pid", "ports", "command"})
"""Sorted from the smallest on, unless reversed; all others show the greatest first."""
REVERSED = ":reversed"
"""What stands after the name of a column whose order is turned around."""
FIXED = (NAME, FINDING)
"""Those that are always shown, at the left."""
COLUMN_NAMES = tuple(column.name for column in COLUMNS if column not in FIXED)
"""What a person can choose from."""


class ColumnSet(NamedTuple):
    """Columns that are shown together."""

    name: str
    columns: tuple[Column, ...]
    gives_way_in_order: bool = True
    """Whether, where there is little room, those at the right give way first, and not those of low priority."""


def _set(name: str, *names: str) -> ColumnSet:
    return ColumnSet(name, (*FIXED, STATE, *(BY_NAME[each] for each in names)))


DEFAULT_SET = "overview"
OVERVIEW = ColumnSet(
    DEFAULT_SET,
    (
        *(column for column in COLUMNS if column.priority <= OVERVIEW_PRIORITY),
        # For those whose terminal is wide.
        *(BY_NAME[name] for name in ("restarts", "image")),
    ),
    gives_way_in_order=False,
)
SETS: Mapping[str, ColumnSet] = {
    each.name: each
    for each in (
        OVERVIEW,
        _set("cpu", "cpu", "cpu%", "history", "throttled", "psi-cpu", "psi-cpu-full", "cpu-limit", "cpu-time", "pids"),
        _set(
            "memory",
            *("mem", "mem%", "mem-limit", "anon", "file", "swap", "peak", "oom", "psi-mem", "psi-mem-full"),
        ),
        _set("io", "read", "write", "psi-io", "psi-io-full", "read-total", "write-total", "file", "cpu"),
        _set("network", "rx", "tx", "rx-total", "tx-total", "cpu", "pod", "image"),
        _set("pressure", "psi", *(f"psi-{each}{more}" for each in ("cpu", "mem", "io") for more in ("", "-full"))),
        _set("about", "image", "ports", "command", "runtime", "id", "pid", "restarts", "created"),
    )
}


@lru_cache(maxsize=16)
def columns_of(column_set: str, own: tuple[str, ...] | None = None) -> ColumnSet:
    """Return the columns to show: those of a set, or the person's own, which are shown in their order."""
    if own is None:
        return SETS[column_set]
    return ColumnSet("own", (*FIXED, *(BY_NAME[name] for name in dict.fromkeys(own) if BY_NAME[name] not in FIXED)))


def next_set(column_set: str) -> str:
    """Return the set after one, and after the last the first."""
    names = list(SETS)
    return names[(names.index(column_set) + 1) % len(names)]
