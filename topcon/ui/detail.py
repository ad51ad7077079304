"""What the details of a row say. No Textual here."""

from __future__ import annotations

from datetime import datetime
from itertools import zip_longest
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from topcon.columns import SEVERITY_MARKS, Line, is_group, state_text, title_of
from topcon.model.about import About
from topcon.model.rates import ratio
from topcon.model.sample import NAMESPACE_KINDS, ContainerKey, Role
from topcon.model.snapshot import ContainerNode, PodNode, Severity
from topcon.model.tombstones import last_seen, tombstone_of
from topcon.rows import group_of
from topcon.signals import exit_meaning
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
    to_rate_text,
    to_time_text,
)
from topcon.ui.spans import Span, Spans, Tone, bar, fitted, width_of
from topcon.ui.table import severity_tone

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from topcon.columns import Node
    from topcon.model.about import Attachment, HealthCheck
    from topcon.model.sample import ContainerInfo, LogLine, Port, Volume
    from topcon.model.snapshot import Finding, PressureShare, Snapshot, Usage

T = TypeVar("T", int, float)

LABEL_WIDTH = 12
"""So that an id of 64 letters stands in one line of 80 columns."""
VALUE_AT = 2 + LABEL_WIDTH + 1
NS_PER_S = 10**9
OUTPUT_LINES = 10
"""How many of the last lines of a container's output are shown."""
BAR_AT, BAR_WIDTH = 24, 16
"""How far behind the beginning of a value its bar is, and how wide."""
TWO_WIDE = 130
"""From so many columns on there are two beside each other."""
FIRST_WIDTH = VALUE_AT + 64 + 1
"""The first of them has room for an id."""
UNASKED = About()


class Section(NamedTuple):
    """Lines that belong together."""

    title: str
    """Empty for the first one."""
    lines: list[Spans]


class Sections(NamedTuple):
    """What is said of a container or pod. Where there is room, the second part stands beside the first."""

    first: list[Section]
    output: list[Section]
    second: list[Section]


def find(snapshot: Snapshot, key: str) -> Node | None:
    """Return the pod or container of a row's key, or what is remembered of it, if it is not forgotten yet."""
    kind, _, rest = key.partition(":")
    if kind == "container":
        return snapshot.containers.get(ContainerKey(rest)) or tombstone_of(snapshot, rest)
    return next((pod for pod in (*snapshot.pods, *snapshot.tombs) if pod.key == rest), None) or group_of(snapshot, rest)


def detail_lines(
    snapshot: Snapshot, node: Node, width: int, output: Sequence[LogLine] = (), about: About = UNASKED
) -> list[Spans]:
    """Write all that is known of a pod or container, below each other, and what the latter has last written."""
    first, last_output, second = _sections(snapshot, node, width, output, about)
    head, *others = first
    # What it says comes before how it is: after who it is and what it does.
    in_order = [head, *others[:1], *last_output, *others[1:], *second]
    return [*_broken(_findings(snapshot, node, width), width), *_written_out(in_order, width)]


def wide_lines(
    snapshot: Snapshot, node: Node, width: int, output: Sequence[LogLine] = (), about: About = UNASKED
) -> list[Spans]:
    """Write the same, in two columns where there is room."""
    if width < TWO_WIDE:
        return detail_lines(snapshot, node, width, output, about)
    first, last_output, second = _sections(snapshot, node, width - FIRST_WIDTH, output, about)
    left = _written_out(first, FIRST_WIDTH - 1)
    right = _written_out([*last_output, *second], width - FIRST_WIDTH)
    # The first column begins without a title, the second with a blank line before one.
    blank: Spans = []
    beside = zip_longest(left, right[1:], fillvalue=blank)
    return [
        *_broken(_findings(snapshot, node, width), width),
        *([*one, Span(" " * (FIRST_WIDTH - width_of(one))), *other] if other else one for one, other in beside),
    ]


def _sections(snapshot: Snapshot, node: Node, width: int, output: Sequence[LogLine], about: About) -> Sections:
    return _pod(node) if isinstance(node, PodNode) else _container(snapshot, node, _output(output, width), about)


def _written_out(sections: Iterable[Section], width: int) -> list[Spans]:
    lines: list[Spans] = []
    for title, own in sections:
        lines += [*(_title(title) if title else []), *own]
    return _broken(lines, width)


def _broken(lines: Iterable[Spans], width: int) -> list[Spans]:
    return [wrapped for line in lines for wrapped in _wrapped(line, width)]


def _wrapped(line: Spans, width: int) -> list[Spans]:
    """Break a long value over several lines, under its first one; a bar that has no room is left out."""
    if width_of(line) > width and len(line) > _PAIR and line[0].text.startswith("  "):
        line = line[:_PAIR]
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


def _findings(snapshot: Snapshot, node: Node, width: int) -> list[Spans]:
    containers = node.containers if isinstance(node, PodNode) else (node,)
    names: dict[str, str] = {container.key: container.name for container in containers}
    lines: list[Spans] = []
    for finding in snapshot.findings:
        if finding.target in names:
            tone = severity_tone(finding.severity)
            mark = SEVERITY_MARKS.get(finding.severity, "·")
            of = f"{printable(names[finding.target])}: " if len(containers) > 1 else ""
            summary, evidence = Span(f" {mark} {of}{finding.summary}", tone), _evidence(finding, snapshot)
            together = [summary, Span(f"   {evidence}")] if evidence else [summary]
            lines += [together] if width_of(together) <= width else [[summary], [Span("   "), Span(evidence)]]
            # Of several, what to do about it stands with each.
            if finding.severity > Severity.INFO and not (of and evidence):
                lines.append([Span("   "), Span(finding.advice, Tone.DIM)])
    return [*lines, []] if lines else []


def _evidence(finding: Finding, snapshot: Snapshot) -> str:
    """Say since when, and what the numbers are."""
    parts = [printable(finding.evidence)] if finding.evidence else []
    if finding.since_ns is not None:
        parts.insert(0, f"for {to_age_text((snapshot.sample.monotonic_ns - finding.since_ns) / NS_PER_S)}")
    return ": ".join(parts)


def _title(text: str) -> list[Spans]:
    return [[], [Span(f" {text}", Tone.ACCENT)]]


def _pair(label: str, value: object, tone: Tone = Tone.PLAIN) -> Spans:
    text = UNKNOWN if value is None or value == "" else printable(str(value))
    return [Span(f"  {label:{LABEL_WIDTH}} ", Tone.DIM), Span(text, Tone.DIM if text == UNKNOWN else tone)]


def _pod(pod: PodNode) -> Sections:
    line = Line(pod, None)
    lines = [
        _pair(pod.key.partition(":")[0] if is_group(pod) else "pod", pod.title, Tone.STRONG),
        *([] if is_group(pod) else [_pair("kind", f"{pod.kind} ({pod.key})")]),
        *([_pair("workload", f"{pod.workload.kind} {pod.workload.name}")] if pod.workload else []),
        *([_pair("QoS", pod.qos)] if pod.qos else []),
        *([_pair("cgroup", pod.cgroup.path)] if pod.cgroup else []),
        _pair("state", state_text(line)),
    ]
    containers = [_pair(state_text(Line(each, None)), title_of(each)) for each in pod.containers]
    return Sections(
        [Section("", lines), Section("Containers", containers), Section("Use", _usage(pod.usage))],
        [],
        _shared_volumes(pod),
    )


def _shared_volumes(pod: PodNode) -> list[Section]:
    names: dict[str, str] = {container.key: container.name for container in pod.containers}
    shared = sorted(pod.shared_volumes.items())
    lines = [_pair(printable(source), ", ".join(names[key] for key in keys)) for source, keys in shared]
    return _unless_empty("Shared volumes", lines)


def _unless_empty(title: str, lines: list[Spans]) -> list[Section]:
    return [Section(title, lines)] if lines else []


def _output(output: Sequence[LogLine], width: int) -> list[Section]:
    """Write a line a line: cut, not broken, so that each begins where it began."""
    return _unless_empty("Output", [fitted(_written(line, width), width) for line in output[-OUTPUT_LINES:]])


def _written(line: LogLine, width: int) -> Spans:
    return [
        Span(f"   {_time_of_day(line.time_ns):8} ", Tone.DIM),
        Span("! " if line.is_stderr else "  ", Tone.WARN),
        # More would be cut anyway, but for marks that take no column.
        Span(printable(line.text[: 4 * width]), Tone.WARN if line.is_stderr else Tone.PLAIN),
    ]


def _time_of_day(wall_ns: int | None) -> str:
    return UNKNOWN if wall_ns is None else f"{datetime.fromtimestamp(wall_ns // NS_PER_S).astimezone():%H:%M:%S}"


def _container(snapshot: Snapshot, container: ContainerNode, output: list[Section], about: About) -> Sections:
    info, was = container.info, last_seen(snapshot, container) if container.is_gone else container
    pod = next(pod for pod in (*snapshot.pods, *snapshot.tombs) if container in pod.containers)
    identity = [
        _pair("name", info.name, Tone.STRONG),
        _pair("id", info.id),
        _pair("runtime", f"{info.runtime} (named by {info.source})"),
        _pair("image", info.image),
        _pair("digest", about.digest),
        _pair("command", info.command),
        _pair("user", about.user),
        *([_pair("role", info.role)] if info.role is not Role.WORKLOAD else []),
        _pair("pod", f"{pod.title} ({pod.kind})"),
    ]
    state = [
        _pair("state", _state(container)),
        _pair("health", _health(info, about)),
        *map(_check, about.checks),
        _pair("started", _when(container.started_ns, snapshot)),
        *([_pair("finished", _when(info.finished_ns, snapshot))] if info.finished_ns else []),
        *([_pair("gone", _when(container.gone_ns, snapshot))] if container.gone_ns else []),
        *([_pair("exit code", _exit(info), _exit_tone(info))] if info.exit_code is not None else []),
        *([_pair("error", about.error, Tone.WARN)] if about.error else []),
        *([_pair("OOM kills", container.oom_kills, Tone.BAD)] if container.is_gone and container.oom_kills else []),
        _pair("restarts", _restarts(container)),
    ]
    isolation = [
        _pair("process", _pid(container)),
        _pair("cgroup", container.cgroup.path if container.cgroup else None),
        *_namespaces(container),
    ]
    return Sections(
        [
            Section("", identity),
            Section("State", state),
            Section("Use, as it was last seen" if container.is_gone else "Use", _usage(was.usage, about)),
            *_unless_empty("Memory", _memory(container)),
        ],
        output,
        [
            *_unless_empty(
                "Ports",
                [_pair(printable(f"{each.container_port}/{each.protocol}"), _published(each)) for each in info.ports],
            ),
            *_unless_empty("Networks", [_pair(printable(each.network), _attached(each)) for each in about.attachments]),
            *_unless_empty("Volumes", [_pair(printable(each.target), _mounted(each)) for each in info.volumes]),
            Section("Isolation", isolation),
            *_unless_empty("Labels", [_pair(printable(name), value) for name, value in sorted(info.labels.items())]),
        ],
    )


def _state(container: ContainerNode) -> str:
    """Say it in full where it is gone: ``gone 137 oom``."""
    info = container.info
    if not container.is_gone:
        return state_text(Line(container, None))
    code = "" if info.exit_code is None else f" {info.exit_code}"
    return f"gone{code}{' oom' if info.oom_killed else ''}"


def _health(info: ContainerInfo, about: About) -> str | None:
    failing = f", the last {about.failing} checks failed" if about.failing else ""
    return None if info.health is None else f"{info.health}{failing}"


def _check(check: HealthCheck) -> Spans:
    code = UNKNOWN if check.exit_code is None else check.exit_code
    output = "".join(f": {line}" for line in check.output.splitlines()[-1:])
    return _pair("", f"{_time_of_day(check.time_ns)} exit {code}{output}", Tone.WARN if check.exit_code else Tone.DIM)


def _exit(info: ContainerInfo) -> str:
    meaning = exit_meaning(info.exit_code) if info.exit_code is not None else None
    why = [*([meaning] if meaning else []), *(["out of memory"] if info.oom_killed else [])]
    return f"{info.exit_code} ({', '.join(why)})" if why else f"{info.exit_code}"


def _exit_tone(info: ContainerInfo) -> Tone:
    return Tone.BAD if info.oom_killed else Tone.WARN if info.exit_code else Tone.PLAIN


def _attached(network: Attachment) -> str:
    gateway = f", gateway {network.gateway}" if network.gateway else ""
    mac = f", {network.mac}" if network.mac else ""
    return f"{', '.join(network.addresses) or UNKNOWN}{gateway}{mac}"


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


def _usage(usage: Usage, about: About = UNASKED) -> list[Spans]:
    pressure = usage.pressure
    return [
        _barred(
            "CPU",
            _of(usage.cpu_cores, usage.cpu_limit_cores, to_cores_text, usage.cpu_limit_share),
            usage.cpu_limit_share,
        ),
        *([_pair("CPU weight", f"{about.cpu_shares} of 1024")] if about.cpu_shares else []),
        *([_pair("CPUs", about.cpus)] if about.cpus else []),
        _pair("throttled", f"{to_percent_text(usage.throttled_share)} of its periods")
        if usage.throttled_share is not None
        else _pair("throttled", None),
        _barred(
            "memory",
            _of(usage.memory_bytes, usage.memory_limit_bytes, to_bytes_text, usage.memory_limit_share),
            usage.memory_limit_share,
        ),
        *_reserved(usage, about),
        *([_pair("with swap", f"limit {to_bytes_text(about.swap_limit_bytes)}")] if about.swap_limit_bytes else []),
        _pair("network", _rates(usage.rx_bytes_per_second, "in", usage.tx_bytes_per_second, "out")),
        _pair("disk", _rates(usage.read_bytes_per_second, "read", usage.write_bytes_per_second, "written")),
        _barred("pids", _of(usage.pids, usage.pids_limit, to_count_text, None), ratio(usage.pids, usage.pids_limit)),
        _pair("CPU stall", _stall(pressure.cpu if pressure else None)),
        _pair("mem stall", _stall(pressure.memory if pressure else None)),
        _pair("I/O stall", _stall(pressure.io if pressure else None)),
    ]


def _reserved(usage: Usage, about: About) -> list[Spans]:
    reserved = about.memory_reserved_bytes
    if reserved is None:
        return []
    used = ratio(usage.memory_bytes, reserved)
    return [_barred("reserved", _of(usage.memory_bytes, reserved, to_bytes_text, used), used)]


def _barred(label: str, text: str, share: float | None) -> Spans:
    """Write a value beside how much of its limit it is."""
    if share is None:
        return _pair(label, text)
    gap = " " * max(BAR_AT - len(text), 1)
    return [*_pair(label, text), Span(f"{gap}{bar(share, BAR_WIDTH).rstrip()}", Tone.DIM)]


def _of(value: T | None, limit: T | None, to_text: Callable[[T | None], str], share: float | None) -> str:
    if limit is None:
        # Of what has no value, nobody knows whether it has a limit.
        return UNKNOWN if value is None else f"{to_text(value)}, no limit"
    percent = "" if share is None else f" ({to_percent_text(share)})"
    return f"{to_text(value)} of {to_text(limit)}{percent}"


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


def _rates(one: float | None, word: str, other: float | None, other_word: str) -> str:
    return f"{to_rate_text(one)} {word}, {to_rate_text(other)} {other_word}"
