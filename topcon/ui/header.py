"""The two lines above the tree and the one below it: where, how much, and what is wrong. No Textual here."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import TYPE_CHECKING

from topcon.columns import SEVERITY_MARKS
from topcon.model.sample import ContainerKey, State
from topcon.model.snapshot import Severity
from topcon.text import (
    printable,
    to_bytes_text,
    to_percent_text,
    to_uptime_text,
)
from topcon.ui.spans import Span, Spans, Tone, bars, fitted, sparkline, spread, steady_top, width_of
from topcon.ui.table import severity_tone

if TYPE_CHECKING:
    from topcon.model.history import History
    from topcon.model.snapshot import Finding, PressureShare, Snapshot

LEAST_TOP_PRESSURE = 0.05
STALL_WARNING = 0.2
HISTORY_WIDTH = 10
PRESSURE_WIDTH = 5
WIDE, NARROW = 100, 60
"""Columns of the screen from which there is room for more, and below which there is room for little."""
_STATE, _SEVERITY = attrgetter("info.state"), attrgetter("severity")


@dataclass(frozen=True, slots=True)
class Status:
    """What the header says of topcon itself."""

    interval_s: float
    filter: str = ""
    is_frozen: bool = False
    is_read_only: bool = False
    endpoint: str | None = None
    hides_stopped: bool = False


def header_lines(snapshot: Snapshot, status: Status, width: int) -> list[Spans]:
    """Write the two lines."""
    return [_where(snapshot, status, width), _how_much(snapshot, width)]


def _where(snapshot: Snapshot, status: Status, width: int) -> Spans:
    host = snapshot.sample.host
    left = [
        Span(" "),
        Span(printable(host.name), Tone.STRONG),
        Span(f" · {printable(host.kernel)}", Tone.DIM) if width >= WIDE else Span(""),
        Span(f" · up {to_uptime_text(host.uptime_s)}", Tone.DIM) if width >= NARROW else Span(""),
        Span(f" · cgroup {snapshot.sample.mode or '-'}", Tone.DIM) if width >= WIDE else Span(""),
        Span("   " if width >= NARROW else "  "),
        *_counts(snapshot, status, width),
    ]
    clock = datetime.fromtimestamp(snapshot.sample.wall_ns / 1e9).astimezone()
    right = []
    if status.filter:
        right += [Span(f"/{printable(status.filter)}", Tone.ACCENT), Span("  ")]
    if status.is_frozen:
        right += [Span("FROZEN", Tone.WARN), Span("  ")]
    if status.is_read_only:
        right += [Span("read-only", Tone.ACCENT), Span("  ")]
    if status.endpoint and width >= WIDE:
        right += [Span(status.endpoint, Tone.DIM), Span("  ")]
    right += _interval(snapshot, status) if width >= NARROW else []
    right.append(Span(f"{clock:%H:%M:%S} "))
    return spread(left, right, width)


def _interval(snapshot: Snapshot, status: Status) -> Spans:
    """Say how often it is sampled, and why, if that is less often than was asked for."""
    slowed = slowed_text(snapshot)
    return [Span(f"{status.interval_s:g}s  ", Tone.DIM) if slowed is None else Span(f"{slowed}  ", Tone.WARN)]


def slowed_text(snapshot: Snapshot) -> str | None:
    """Say how often it is sampled if the budget has that slowed down, and None if not."""
    cost, own = snapshot.cost, snapshot.sample.own
    if cost is None or own is None or own.budget is None or not cost.is_slowed:
        return None
    return f"every {cost.interval_s:.1f} s, to stay within {own.budget * 100:g}%"


def _counts(snapshot: Snapshot, status: Status, width: int) -> Spans:
    states = Counter(map(_STATE, snapshot.containers.values()))
    stopped = sum(count for state, count in states.items() if state.is_stopped)
    restarting = states[State.RESTARTING]
    spans = [Span(f"{sum(count for state, count in states.items() if state.is_live)} up", Tone.PLAIN)]
    if restarting and width >= NARROW:
        spans.append(Span(f" · {restarting} restarting", Tone.WARN))
    if stopped and width >= NARROW:
        hidden = " hidden" if status.hides_stopped else ""
        spans.append(Span(f" · {stopped} stopped{hidden}", Tone.DIM))
    severities = Counter(map(_SEVERITY, snapshot.findings))
    for severity in (Severity.CRITICAL, Severity.WARNING):
        count = severities[severity]
        if count:
            gap = "   " if width >= NARROW else " "
            spans.append(Span(f"{gap}{SEVERITY_MARKS[severity]} {count}", severity_tone(severity)))
    return spans


def _how_much(snapshot: Snapshot, width: int) -> Spans:
    host = snapshot.host
    sample = host.sample
    gap = "    " if width >= WIDE else "  "
    cores = "-" if host.cpu_cores is None else f"{host.cpu_cores:.1f}"
    total = to_bytes_text(sample.memory_total_bytes)
    spans = [
        Span(" CPU ", Tone.DIM),
        *_history(snapshot.host.cpu_history, snapshot.tick, HISTORY_WIDTH if width >= WIDE else PRESSURE_WIDTH, 1.0),
        Span(f" {cores:>4}"),
        Span(f"/{sample.cpus}{gap}", Tone.DIM),
        Span("MEM ", Tone.DIM),
        *_history(host.memory_history, snapshot.tick, HISTORY_WIDTH if width >= WIDE else PRESSURE_WIDTH, 1.0),
        Span(f" {to_bytes_text(sample.memory_used_bytes):>5}"),
        Span(f"/{total}{gap}", Tone.DIM),
    ]
    pressure = host.pressure
    if sample.pressure is None:
        return fitted([*spans, Span("PSI -", Tone.DIM)], width)
    spans.append(Span("PSI", Tone.DIM))
    for name, line, history in (
        ("cpu", pressure.cpu if pressure else None, host.cpu_pressure_history),
        ("mem", pressure.memory if pressure else None, host.memory_pressure_history),
        ("io", pressure.io if pressure else None, host.io_pressure_history),
    ):
        spans.append(Span(f" {name} ", Tone.DIM))
        if width >= WIDE:
            spans += _history(history, snapshot.tick, PRESSURE_WIDTH, LEAST_TOP_PRESSURE)
        spans.append(_pressure(line))
    return fitted(spans, width)


def _history(history: History, tick: int, width: int, least_top: float) -> Spans:
    values = bars(history, tick, width)
    return [Span(sparkline(values, steady_top(values, least_top)), Tone.ACCENT)]


def _pressure(line: PressureShare | None) -> Span:
    some = line.some if line else None
    tone = Tone.DIM if not some else Tone.WARN if some > STALL_WARNING else Tone.PLAIN
    return Span(f"{to_percent_text(some):>4}", tone)


def wrong_line(snapshot: Snapshot, notice: Span | None, width: int) -> Spans:
    """Write the line above the keys: what was just done, what cannot be read, what is worst."""
    parts: list[Span] = [notice] if notice else []
    for problem in snapshot.sample.problems[:1]:
        more = len(snapshot.sample.problems) - 1
        text = f"{problem.source}: {problem.message}"
        text += f"; {problem.remedy}" if problem.remedy else ""
        text += f" (+{more}: topcon doctor)" if more else ""
        parts.append(Span(printable(text), Tone.WARN))
    finding = _unsaid(snapshot)
    if finding is not None:
        container = snapshot.containers.get(ContainerKey(finding.target))
        name = printable(container.name) if container else ""
        parts.append(
            Span(
                f"{SEVERITY_MARKS[finding.severity]} {name} {finding.summary}".replace("  ", " "),
                severity_tone(finding.severity),
            )
        )
    return [Span(" "), *_side_by_side(parts, width - 1)]


def _unsaid(snapshot: Snapshot) -> Finding | None:
    """The first finding that is worth a line, but for the one that the problem beside it says already."""
    said = {f"runtime:{problem.source}" for problem in snapshot.sample.problems[:1]}
    worth = (each for each in snapshot.findings if each.severity >= Severity.WARNING and each.target not in said)
    return next(worth, None)


def _side_by_side(parts: list[Span], width: int) -> Spans:
    """Give each part its share of the line, and what the others leave."""
    result: Spans = []
    for index, part in enumerate(parts):
        others = len(parts) - index - 1
        room = width - width_of(result)
        least_for_others = sum(min(width_of([other]) + 3, room // (others + 1)) for other in parts[index + 1 :])
        result += fitted([part], room - least_for_others)
        if others:
            result.append(Span("   "))
    return fitted(result, width)
