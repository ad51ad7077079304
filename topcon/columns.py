"""What can be shown and sorted by: a table of columns, for the screen and for reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from topcon.model.sample import Health, Role, State
from topcon.model.snapshot import ContainerNode, PodNode
from topcon.text import (
    BYTES_WIDTH,
    cut,
    printable,
    to_age_text,
    to_bytes_text,
    to_cores_text,
    to_count_text,
    to_percent_text,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from topcon.model.history import History
    from topcon.model.snapshot import Severity, Usage

Node = PodNode | ContainerNode


class Line(NamedTuple):
    """What the columns are drawn from: a pod or a container."""

    node: Node
    severity: Severity | None
    """The worst finding of the node, and of its containers."""

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


def state_text(line: Line) -> str:
    """Say in a word what it does: ``up``, ``healthy``, ``paused``, ``exited 137``; of a pod, how many are up."""
    node = line.node
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


_STATE_ORDER = {State.RESTARTING: 0, State.DEAD: 1, State.EXITED: 2, State.UNKNOWN: 3, State.CREATED: 4}
_HEALTHY_LAST = {Health.UNHEALTHY: 0, Health.STARTING: 1, Health.HEALTHY: 3, None: 2}


def _state_value(line: Line) -> float:
    node = line.node
    if isinstance(node, PodNode):
        live = sum(container.info.state.is_live for container in node.containers)
        return 5.0 + live / len(node.containers)
    return _STATE_ORDER.get(node.info.state, 5.0) + 0.1 * _HEALTHY_LAST[node.info.health]


def _runtime(line: Line) -> str:
    return str(line.node.kind if isinstance(line.node, PodNode) else line.node.info.runtime)


def _pressure(line: Line) -> float | None:
    return line.usage.pressure.worst_some if line.usage.pressure else None


def title_of(node: Node) -> str:
    """Return what a row is called: foreign text, to be escaped."""
    if isinstance(node, PodNode):
        return node.title
    role = node.info.role
    if role is Role.SANDBOX:
        return str(role)
    return node.name if role is Role.WORKLOAD else f"{node.name} ({role})"


def _title_value(line: Line) -> str:
    return title_of(line.node).lower()


NAME = Column(
    "name", "NAME", "n", 0, 0, _title_value, lambda line, _: printable(title_of(line.node)), help="name", is_left=True
)
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
SEVERITY_MARKS: dict[int | None, str] = {3: "■", 2: "▲"}

AGE = Column(
    "age",
    "AGE",
    "a",
    4,
    70,
    lambda line: None if line.since_ns is None else -line.since_ns,
    lambda line, wall_ns: to_age_text(line.age_s(wall_ns)),
    help="time since the start, or since the end",
)

COLUMNS = (
    NAME,
    FINDING,
    Column(
        "state",
        "STATE",
        "s",
        10,
        10,
        _state_value,
        lambda line, _: state_text(line),
        help="state and health",
        is_left=True,
    ),
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
    ),
    Column(
        "cpu%",
        "%LIM",
        "C",
        4,
        40,
        lambda line: line.usage.cpu_limit_share,
        lambda line, _: "" if line.usage.cpu_limit_cores is None else to_percent_text(line.usage.cpu_limit_share),
        share=lambda line: line.usage.cpu_limit_share,
        help="CPUs used of the limit",
    ),
    Column(
        "mem",
        "MEM",
        "m",
        BYTES_WIDTH,
        0,
        lambda line: line.usage.memory_bytes,
        lambda line, _: to_bytes_text(line.usage.memory_bytes),
        help="memory, working set",
    ),
    Column(
        "mem%",
        "%LIM",
        "M",
        4,
        20,
        lambda line: line.usage.memory_limit_share,
        lambda line, _: "" if line.usage.memory_limit_bytes is None else to_percent_text(line.usage.memory_limit_share),
        share=lambda line: line.usage.memory_limit_share,
        help="memory of the limit",
    ),
    Column(
        "throttled",
        "THR",
        "t",
        4,
        50,
        lambda line: line.usage.throttled_share,
        lambda line, _: "" if line.usage.cpu_limit_cores is None else to_percent_text(line.usage.throttled_share),
        help="periods throttled by the CPU limit",
    ),
    Column(
        "psi",
        "PSI",
        "p",
        4,
        60,
        _pressure,
        lambda line, _: to_percent_text(_pressure(line)),
        help="time stalled for CPU, memory or I/O, the worst",
    ),
    Column(
        "rx",
        "NET↓",
        "r",
        BYTES_WIDTH,
        30,
        lambda line: line.usage.rx_bytes_per_second,
        lambda line, _: to_bytes_text(line.usage.rx_bytes_per_second),
        help="received, bytes a second",
    ),
    Column(
        "tx",
        "NET↑",
        "x",
        BYTES_WIDTH,
        30,
        lambda line: line.usage.tx_bytes_per_second,
        lambda line, _: to_bytes_text(line.usage.tx_bytes_per_second),
        help="sent, bytes a second",
    ),
    Column(
        "read",
        "READ",
        "d",
        BYTES_WIDTH,
        90,
        lambda line: line.usage.read_bytes_per_second,
        lambda line, _: to_bytes_text(line.usage.read_bytes_per_second),
        help="read from disks, bytes a second",
    ),
    Column(
        "write",
        "WRITE",
        "w",
        BYTES_WIDTH,
        90,
        lambda line: line.usage.write_bytes_per_second,
        lambda line, _: to_bytes_text(line.usage.write_bytes_per_second),
        help="written to disks, bytes a second",
    ),
    Column(
        "pids",
        "PIDS",
        "i",
        5,
        100,
        lambda line: line.usage.pids,
        lambda line, _: to_count_text(line.usage.pids),
        help="processes and threads",
    ),
    AGE,
)

BY_NAME = {column.name: column for column in COLUMNS}
DEFAULT_SORT = "finding"
ASCENDING = frozenset({"name", "runtime", "state"})
"""Sorted from the smallest on, unless reversed; all others show the greatest first."""
