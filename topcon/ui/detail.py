"""What the details of a row say. No Textual here."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

from topcon.columns import SEVERITY_MARKS, Line, is_group, state_text, title_of
from topcon.model.sample import NAMESPACE_KINDS, Role
from topcon.model.snapshot import ContainerNode, PodNode, Severity
from topcon.rows import group_of
from topcon.text import (
    UNKNOWN,
    cell_width,
    head,
    printable,
    to_age_text,
    to_bytes_text,
    to_cores_text,
    to_count_text,
    to_percent_text,
    to_time_text,
)
from topcon.ui.spans import Span, Spans, Tone, fitted, width_of
from topcon.ui.table import severity_tone

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from topcon.columns import Node
    from topcon.model.sample import LogLine, Port, Volume
    from topcon.model.snapshot import PressureShare, Snapshot, Usage

T = TypeVar("T", int, float)

LABEL_WIDTH = 12
"""So that an id of 64 letters stands in one line of 80 columns."""
VALUE_AT = 2 + LABEL_WIDTH + 1
NS_PER_S = 10**9
OUTPUT_LINES = 10
"""How many of the last lines of a container's output are shown."""


def find(snapshot: Snapshot, key: str) -> Node | None:
    """Return the pod or container of a row's key, if it is still there."""
    kind, _, rest = key.partition(":")
    if kind == "container":
        return next((node for node in snapshot.containers.values() if node.key == rest), None)
    return next((pod for pod in snapshot.pods if pod.key == rest), None) or group_of(snapshot, rest)


def detail_lines(snapshot: Snapshot, node: Node, width: int, output: Sequence[LogLine] = ()) -> list[Spans]:
    """Write all that is known of a pod or container, and what the latter has last written."""
    lines = _findings(snapshot, node)
    if isinstance(node, PodNode):
        lines += _pod(node)
    else:
        lines += _container(snapshot, node, _output(output, width))
    return [wrapped for line in lines for wrapped in _wrapped(line, width)]


def _wrapped(line: Spans, width: int) -> list[Spans]:
    """Break a long value over several lines, under its first one."""
    if width_of(line) <= width or len(line) != _PAIR:
        return [line]
    label, value = line
    # The name of a label can be as long as the screen is wide: its value then stands below it.
    is_above = cell_width(label.text) > max(width // 2, VALUE_AT)
    lines: list[Spans] = [[Span(text, label.tone)] for text in _pieces(label.text, width)] if is_above else []
    indent = Span(" " * min(VALUE_AT if is_above else cell_width(label.text), width - 2))
    for text in _pieces(value.text, width - len(indent.text)):
        lines.append([label if not lines else indent, Span(text, value.tone)])
    return lines


def _pieces(text: str, width: int) -> Iterator[str]:
    """Cut a text into pieces of at most ``width`` columns."""
    while text:
        # One character goes through even where it is wider than the screen.
        piece = head(text, width) or text[0]
        yield piece
        text = text[len(piece) :]


_PAIR = 2


def _findings(snapshot: Snapshot, node: Node) -> list[Spans]:
    containers = node.containers if isinstance(node, PodNode) else (node,)
    names: dict[str, str] = {container.key: container.name for container in containers}
    lines: list[Spans] = []
    for finding in snapshot.findings:
        if finding.target in names:
            tone = severity_tone(finding.severity)
            mark = SEVERITY_MARKS.get(finding.severity, "·")
            of = f"{printable(names[finding.target])}: " if len(containers) > 1 else ""
            lines.append([Span(f" {mark} {of}{finding.summary}", tone)])
            if finding.severity > Severity.INFO:
                lines.append([Span("   "), Span(finding.advice, Tone.DIM)])
    return [*lines, []] if lines else []


def _title(text: str) -> list[Spans]:
    return [[], [Span(f" {text}", Tone.ACCENT)]]


def _pair(label: str, value: object, tone: Tone = Tone.PLAIN) -> Spans:
    text = UNKNOWN if value is None or value == "" else printable(str(value))
    return [Span(f"  {label:{LABEL_WIDTH}} ", Tone.DIM), Span(text, Tone.DIM if text == UNKNOWN else tone)]


def _pod(pod: PodNode) -> list[Spans]:
    line = Line(pod, None)
    lines = [
        _pair(pod.key.partition(":")[0] if is_group(pod) else "pod", pod.title, Tone.STRONG),
        *([] if is_group(pod) else [_pair("kind", f"{pod.kind} ({pod.key})")]),
        *([_pair("workload", f"{pod.workload.kind} {pod.workload.name}")] if pod.workload else []),
        *([_pair("QoS", pod.qos)] if pod.qos else []),
        *([_pair("cgroup", pod.cgroup.path)] if pod.cgroup else []),
        _pair("state", state_text(line)),
        *_title("Containers"),
    ]
    for container in pod.containers:
        state = state_text(Line(container, None))
        lines.append(_pair(state, title_of(container)))
    return [*lines, *_usage(pod.usage), *_shared_volumes(pod)]


def _shared_volumes(pod: PodNode) -> list[Spans]:
    names: dict[str, str] = {container.key: container.name for container in pod.containers}
    shared = sorted(pod.shared_volumes.items())
    lines = [_pair(printable(source), ", ".join(names[key] for key in keys)) for source, keys in shared]
    return [*_title("Shared volumes"), *lines] if lines else []


def _output(output: Sequence[LogLine], width: int) -> list[Spans]:
    """Write a line a line: cut, not broken, so that each begins where it began."""
    lines = [fitted(_written(line, width), width) for line in output[-OUTPUT_LINES:]]
    return [*_title("Output"), *lines] if lines else []


def _written(line: LogLine, width: int) -> Spans:
    return [
        Span(f"   {_time_of_day(line.time_ns):8} ", Tone.DIM),
        Span("! " if line.is_stderr else "  ", Tone.WARN),
        # More would be cut anyway, but for marks that take no column.
        Span(printable(line.text[: 4 * width]), Tone.WARN if line.is_stderr else Tone.PLAIN),
    ]


def _time_of_day(wall_ns: int | None) -> str:
    return UNKNOWN if wall_ns is None else f"{datetime.fromtimestamp(wall_ns // NS_PER_S).astimezone():%H:%M:%S}"


def _container(snapshot: Snapshot, container: ContainerNode, output: list[Spans]) -> list[Spans]:
    info = container.info
    line = Line(container, None)
    pod = next(pod for pod in snapshot.pods if container in pod.containers)
    lines = [
        _pair("name", info.name, Tone.STRONG),
        _pair("id", info.id),
        _pair("runtime", f"{info.runtime} (named by {info.source})"),
        _pair("image", info.image),
        _pair("command", info.command),
        *([_pair("role", info.role)] if info.role is not Role.WORKLOAD else []),
        _pair("pod", f"{pod.title} ({pod.kind})"),
        *_title("State"),
        _pair("state", state_text(line)),
        _pair("health", info.health),
        _pair("started", _when(container.started_ns, snapshot)),
        *([_pair("finished", _when(info.finished_ns, snapshot))] if info.finished_ns else []),
        *([_pair("exit code", info.exit_code)] if info.exit_code is not None else []),
        _pair("restarts", _restarts(container)),
        *output,
        *_usage(container.usage),
        *_memory(container),
        *_title("Isolation"),
        _pair("process", _pid(container)),
        _pair("cgroup", container.cgroup.path if container.cgroup else None),
        *_namespaces(container),
    ]
    if info.ports:
        lines += _title("Ports")
        lines += [_pair(printable(f"{port.container_port}/{port.protocol}"), _published(port)) for port in info.ports]
    if info.volumes:
        lines += _title("Volumes")
        lines += [_pair(printable(volume.target), _mounted(volume)) for volume in info.volumes]
    if info.labels:
        lines += _title("Labels")
        lines += [_pair(printable(name), value) for name, value in sorted(info.labels.items())]
    return lines


def _mounted(volume: Volume) -> str:
    return f"is {volume.source}{', read-only' if volume.is_read_only else ''}"


def _when(wall_ns: int | None, snapshot: Snapshot) -> str | None:
    if wall_ns is None:
        return None
    return f"{to_time_text(wall_ns)} ({to_age_text((snapshot.sample.wall_ns - wall_ns) / NS_PER_S)} ago)"


def _restarts(container: ContainerNode) -> str | None:
    info = container.info
    if info.restarts is None:
        return None
    return f"{info.restarts} (policy {info.restart_policy or UNKNOWN})"


def _usage(usage: Usage) -> list[Spans]:
    pressure = usage.pressure
    return [
        *_title("Use"),
        _pair("CPU", _of(usage.cpu_cores, usage.cpu_limit_cores, to_cores_text, usage.cpu_limit_share)),
        _pair("throttled", f"{to_percent_text(usage.throttled_share)} of its periods")
        if usage.throttled_share is not None
        else _pair("throttled", None),
        _pair(
            "memory",
            _of(usage.memory_bytes, usage.memory_limit_bytes, to_bytes_text, usage.memory_limit_share),
        ),
        _pair("network", f"{_rate(usage.rx_bytes_per_second)} in, {_rate(usage.tx_bytes_per_second)} out"),
        _pair("disk", f"{_rate(usage.read_bytes_per_second)} read, {_rate(usage.write_bytes_per_second)} written"),
        _pair("pids", _of(usage.pids, usage.pids_limit, to_count_text, None)),
        _pair("CPU stall", _stall(pressure.cpu if pressure else None)),
        _pair("mem stall", _stall(pressure.memory if pressure else None)),
        _pair("I/O stall", _stall(pressure.io if pressure else None)),
    ]


def _of(value: T | None, limit: T | None, to_text: Callable[[T | None], str], share: float | None) -> str:
    if limit is None:
        # Of what has no value, nobody knows whether it has a limit.
        return UNKNOWN if value is None else f"{to_text(value)}, no limit"
    percent = "" if share is None else f" ({to_percent_text(share)})"
    return f"{to_text(value)} of {to_text(limit)}{percent}"


def _rate(bytes_per_second: float | None) -> str:
    return UNKNOWN if bytes_per_second is None else f"{to_bytes_text(bytes_per_second)}/s"


def _stall(line: PressureShare | None) -> str | None:
    if line is None or line.some is None:
        return None
    full = "" if line.full is None else f", all {to_percent_text(line.full)}"
    return f"some tasks {to_percent_text(line.some)}{full} of the time"


def _memory(container: ContainerNode) -> list[Spans]:
    memory = container.cgroup.memory if container.cgroup else None
    if memory is None:
        return []
    return [
        *_title("Memory"),
        _pair("charged", to_bytes_text(memory.current)),
        _pair("working set", to_bytes_text(memory.working_set)),
        _pair("anonymous", to_bytes_text(memory.anon)),
        _pair("page cache", to_bytes_text(memory.file)),
        _pair("swap", to_bytes_text(memory.swap_current)),
        _pair("peak", to_bytes_text(memory.peak)),
        _pair("OOM kills", to_count_text(memory.oom_kill)),
    ]


def _pid(container: ContainerNode) -> str | None:
    process = container.process
    if process is None:
        return None
    inside = f", {process.ns_pids[-1]} inside" if len(process.ns_pids) > 1 else ""
    return f"{process.pid}{inside} ({process.comm})"


def _namespaces(container: ContainerNode) -> Iterable[Spans]:
    process = container.process
    if process is None:
        return
    own = {kind: getattr(process.namespaces, kind) for kind in NAMESPACE_KINDS}
    is_seen = any(inode is not None for inode in own.values())
    yield _pair("host's", ", ".join(container.shared_with_host) or ("none" if is_seen else None))
    for kind, inode in own.items():
        if kind not in container.shared_with_host:
            yield _pair(f"{kind} ns", inode)


def _published(port: Port) -> str:
    address = port.host_ip or "*"
    address = f"[{address}]" if ":" in address else address
    return f"at {address}:{UNKNOWN if port.host_port is None else port.host_port}"
