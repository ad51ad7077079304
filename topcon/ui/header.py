"""The two lines above the tree and the one below it: where, how much, and what is wrong. No Textual here."""

from __future__ import annotations

import os.path
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from topcon.columns import SEVERITY_MARKS
from topcon.findings import DEFAULT_THRESHOLDS
from topcon.model.sample import ContainerKey, State
from topcon.model.snapshot import PressureShares, Severity
from topcon.text import (
    cut,
    printable,
    to_age_text,
    to_bytes_text,
    to_percent_text,
    to_uptime_text,
)
from topcon.ui.spans import Span, Spans, Tone, bars, fitted, sparkline, spread, steady_top, width_of
from topcon.ui.table import severity_tone

if TYPE_CHECKING:
    from collections.abc import Iterator

    from topcon.findings import Thresholds
    from topcon.model.history import History
    from topcon.model.sample import Problem
    from topcon.model.snapshot import Finding, PressureShare, Snapshot
    from topcon.rows import ViewState

LEAST_TOP_PRESSURE = 0.05
LEAST_BESIDE = 24
"""With fewer columns left beside what was just done, nothing else is said."""
_HISTORIES = ((10, 5), (5, 0), (0, 0))
"""How wide those of CPU and memory are, and those of the pressures, from the widest screen to the narrowest."""
HOST_WIDTH, FILTER_WIDTH = 24, 30
"""The most that a name and an expression get."""
STOPPED = "stopped"
GONE = "gone"
HIDEABLE = {"has_stopped": STOPPED, "has_sandboxes": "sandboxes", "has_system": "system", "has_gone": GONE}
"""What the fields of `ViewState` that hide something are called."""
_COUNTED = (Severity.CRITICAL, Severity.WARNING)
_STATE, _SEVERITY = attrgetter("info.state"), attrgetter("severity")


@dataclass(frozen=True, slots=True)
class Status:
    """What the header says of topcon itself."""

    interval_s: float
    filter: str = ""
    matches: int | None = None
    """How many containers the filter lets through; None without one."""
    hidden: tuple[str, ...] = ()
    """What is kept out of sight, in the words of `HIDEABLE`."""
    only_sick: bool = False
    marked: int = 0
    is_frozen: bool = False
    is_read_only: bool = False
    has_mouse: bool = True
    """Whether clicks come to topcon, not to the terminal."""
    age_s: float | None = None
    """How old what is shown is, where that is more than it should be."""
    endpoint: str | None = None
    past: Span | None = None
    """Which moment of the past is shown; None for now."""
    recording: Span | None = None
    """That what is seen is recorded; None while it is not."""
    thresholds: Thresholds = DEFAULT_THRESHOLDS
    """Those of the findings: above them the pressures are bright."""


class _Part(NamedTuple):
    """A piece of the first line. Where it is narrow, those of the greatest number give way first; 0 stays."""

    priority: int
    spans: Spans
    is_right: bool = False


def hidden_of(view: ViewState) -> tuple[str, ...]:
    """Return what a view hides."""
    return tuple(word for name, word in HIDEABLE.items() if not getattr(view, name))


def header_lines(snapshot: Snapshot, status: Status, width: int) -> list[Spans]:
    """Write the two lines."""
    return [_where(snapshot, status, width), _how_much(snapshot, status.thresholds, width)]


def _where(snapshot: Snapshot, status: Status, width: int) -> Spans:
    parts = [part for part in (*_host_parts(snapshot), *_count_parts(snapshot, status)) if part.spans]
    parts += [part._replace(is_right=True) for part in _status_parts(snapshot, status) if part.spans]
    while _width_of(parts) > width and (least := max(part.priority for part in parts)) > 0:
        parts = [part for part in parts if part.priority < least]
    left = [span for part in parts if not part.is_right for span in part.spans]
    right = [span for part in parts if part.is_right for span in (*part.spans, Span("  "))]
    return spread([Span(" "), *left], [*right[:-1], Span(" ")] if right else [], width)


def _width_of(parts: list[_Part]) -> int:
    """How wide the line is at least, with a blank at either end and one between its sides."""
    gaps = sum(len("  ") for part in parts if part.is_right)
    return len(" ") + sum(width_of(part.spans) for part in parts) + gaps


def _host_parts(snapshot: Snapshot) -> Iterator[_Part]:
    host = snapshot.sample.host
    yield _Part(0, [Span(cut(printable(host.name), HOST_WIDTH), Tone.STRONG)])
    yield _Part(10, [Span(f" · {printable(host.kernel)}", Tone.DIM)])
    yield _Part(7, [Span(f" · up {to_uptime_text(host.uptime_s)}", Tone.DIM)])
    yield _Part(9, [Span(f" · cgroup {snapshot.sample.mode or '-'}", Tone.DIM)])


def _count_parts(snapshot: Snapshot, status: Status) -> Iterator[_Part]:
    states = Counter(map(_STATE, snapshot.containers.values()))
    stopped = sum(count for state, count in states.items() if state.is_stopped)
    restarting = states[State.RESTARTING]
    live = sum(count for state, count in states.items() if state.is_live)
    yield _Part(2, [Span(f"   {live} up")])
    yield _Part(4, [Span(f" · {restarting} restarting", Tone.WARN)] if restarting else [])
    if stopped and STOPPED in status.hidden:
        yield _Part(1, [Span(f" · {stopped} {STOPPED} hidden", Tone.ACCENT)])
    elif stopped:
        yield _Part(5, [Span(f" · {stopped} {STOPPED}", Tone.DIM)])
    gone = sum(len(pod.containers) for pod in snapshot.tombs)
    if gone:
        is_hidden = GONE in status.hidden
        said = Span(f" · {gone} {GONE} hidden", Tone.ACCENT) if is_hidden else Span(f" · {gone} {GONE}", Tone.DIM)
        yield _Part(1 if is_hidden else 5, [said])
    severities = Counter(map(_SEVERITY, snapshot.findings))
    for at, severity in enumerate(severity for severity in _COUNTED if severities[severity]):
        gap = "   " if at == 0 else "  "
        yield _Part(0, [Span(f"{gap}{SEVERITY_MARKS[severity]} {severities[severity]}", severity_tone(severity))])


def _status_parts(snapshot: Snapshot, status: Status) -> Iterator[_Part]:
    """Say what is not as it is when topcon starts, and when it is."""
    if status.filter:
        yield _Part(0, [Span(cut(f"/{printable(status.filter)}", FILTER_WIDTH), Tone.ACCENT)])
    if status.matches is not None:
        yield _Part(3, [Span(f"{status.matches} of {len(snapshot.containers)}", Tone.DIM)])
    others = [each for each in status.hidden if each not in {STOPPED, GONE}]
    yield _Part(1, [Span(f"hides {', '.join(others)}", Tone.ACCENT)] if others else [])
    yield _Part(1, [Span("only sick", Tone.ACCENT)] if status.only_sick else [])
    yield _Part(1, [Span(f"{status.marked} marked", Tone.ACCENT)] if status.marked else [])
    yield _Part(0, [Span("FROZEN", Tone.WARN)] if status.is_frozen else [])
    yield _Part(0, [status.past] if status.past is not None else [])
    if status.age_s is not None:
        yield _Part(0, [Span(f"{to_age_text(status.age_s)} old", Tone.WARN)])
    yield _Part(1, [status.recording] if status.recording is not None else [])
    yield _Part(1, [Span("read-only", Tone.ACCENT)] if status.is_read_only else [])
    yield _Part(3, [] if status.has_mouse else [Span("mouse off", Tone.ACCENT)])
    yield _Part(8, [Span(status.endpoint, Tone.DIM)] if status.endpoint else [])
    slowed = slowed_text(snapshot)
    if status.past is not None:
        return
    yield _Part(4, [Span(f"{status.interval_s:g}s", Tone.DIM) if slowed is None else Span(slowed, Tone.WARN)])
    clock = datetime.fromtimestamp(snapshot.sample.wall_ns / 1e9).astimezone()
    yield _Part(6, [Span(f"{clock:%H:%M:%S}")])


def slowed_text(snapshot: Snapshot) -> str | None:
    """Say how often it is sampled if the budget has that slowed down, and None if not."""
    cost, own = snapshot.cost, snapshot.sample.own
    if cost is None or own is None or own.budget is None or not cost.is_slowed:
        return None
    return f"every {cost.interval_s:.1f} s, to stay within {own.budget * 100:g}%"


def _how_much(snapshot: Snapshot, thresholds: Thresholds, width: int) -> Spans:
    """Write CPU, memory and pressure, with histories as wide as there is room for; pressure gives way last."""
    for bar_width, pressure_width in _HISTORIES:
        spans = _used(snapshot, bar_width, "    " if pressure_width else "  ")
        spans += _stalled(snapshot, thresholds, pressure_width)
        if width_of(spans) <= width:
            return spans
    return fitted(_used(snapshot, 0, "  "), width)


def _used(snapshot: Snapshot, history_width: int, gap: str) -> Spans:
    host = snapshot.host
    cores = "-" if host.cpu_cores is None else f"{host.cpu_cores:.1f}"
    space = " " if history_width else ""
    return [
        Span(f" CPU{space}", Tone.DIM),
        *_history(host.cpu_history, snapshot.tick, history_width, 1.0),
        Span(f" {cores:>4}"),
        Span(f"/{host.sample.cpus}{gap}", Tone.DIM),
        Span(f"MEM{space}", Tone.DIM),
        *_history(host.memory_history, snapshot.tick, history_width, 1.0),
        Span(f" {to_bytes_text(host.sample.memory_used_bytes):>5}"),
        Span(f"/{to_bytes_text(host.sample.memory_total_bytes)}{gap}", Tone.DIM),
    ]


def _stalled(snapshot: Snapshot, thresholds: Thresholds, history_width: int) -> Spans:
    host = snapshot.host
    if host.sample.pressure is None:
        return [Span("PSI -", Tone.DIM)]
    shares = host.pressure or PressureShares()
    spans = [Span("PSI", Tone.DIM)]
    for name, line, threshold, history in (
        ("cpu", shares.cpu, thresholds.cpu_starved, host.cpu_pressure_history),
        ("mem", shares.memory, thresholds.memory_stalled, host.memory_pressure_history),
        ("io", shares.io, thresholds.io_stalled, host.io_pressure_history),
    ):
        spans.append(Span(f" {name} ", Tone.DIM))
        spans += _history(history, snapshot.tick, history_width, LEAST_TOP_PRESSURE)
        spans.append(_pressure(line, threshold.warning))
    return spans


def _history(history: History, tick: int, width: int, least_top: float) -> Spans:
    if not width:
        return []
    values = bars(history, tick, width)
    return [Span(sparkline(values, steady_top(values, least_top)), Tone.ACCENT)]


def _pressure(line: PressureShare | None, warning: float) -> Span:
    some = line.some if line else None
    tone = Tone.DIM if not some else Tone.WARN if some > warning else Tone.PLAIN
    return Span(f"{to_percent_text(some):>4}", tone)


Forms = tuple[Span, ...]
"""How something can be said, from the longest to the shortest."""


def wrong_line(snapshot: Snapshot, notice: Span | None, width: int, own: Problem | None = None) -> Spans:
    """Write the line above the keys: what was just done, what cannot be read, what is worst.

    What was just done is said whole; the rest is there in a moment, when that is no longer said. ``own`` is what no
    sample holds, and comes before what one does.
    """
    said = [notice, Span("   ")] if notice else []
    room = width - 1 - width_of(said)
    if notice and room < LEAST_BESIDE:
        return [Span(" "), *fitted([notice], width - 1)]
    parts: list[Forms] = []
    problems = (*([own] if own else []), *snapshot.sample.problems)
    if problems:
        parts.append(tuple(Span(printable(text), Tone.WARN) for text in _problem_texts(problems[0], len(problems))))
    finding = _unsaid(snapshot, problems[:1])
    if finding is not None:
        container = snapshot.containers.get(ContainerKey(finding.target))
        name = printable(container.name) if container else ""
        text = f"{SEVERITY_MARKS[finding.severity]} {name} {finding.summary}".replace("  ", " ")
        parts.append((Span(text, severity_tone(finding.severity)),))
    return [Span(" "), *(said if parts else said[:1]), *_side_by_side(parts, room)]


def _problem_texts(problem: Problem, count: int) -> Iterator[str]:
    """Say what is wrong and how many more there are; of a file that it is about, in the end only the name."""
    path = problem.message.partition(": ")[0] if problem.message.startswith("/") else ""
    home = os.path.expanduser("~/")  # noqa: PTH111  for a user without a home, this is no error
    message = f"~/{problem.message.removeprefix(home)}" if path.startswith(home) else problem.message
    remedy = f"; {problem.remedy}" if problem.remedy else ""
    yield f"{problem.source}: {message}{remedy}" + (f" (+{count - 1}: topcon doctor)" if count > 1 else "")
    if not path:
        # What it comes to is said after a comma, and is in the sources.
        yield f"{problem.source}: {message.partition(', ')[0]}"
    if path:
        # Where it stands is what one has to know.
        yield (f"1 of {count}: " if count > 1 else "") + problem.message.removeprefix(path[: path.rindex("/") + 1])


def _unsaid(snapshot: Snapshot, beside: tuple[Problem, ...]) -> Finding | None:
    """The first finding that is worth a line, but for the one that the problem beside it says already."""
    said = {f"runtime:{problem.source}" for problem in beside}
    worth = (each for each in snapshot.findings if each.severity >= Severity.WARNING and each.target not in said)
    return next(worth, None)


def _side_by_side(parts: list[Forms], width: int) -> Spans:
    """Give each part its share of the line, and what the others leave."""
    result: Spans = []
    for index, forms in enumerate(parts):
        others = len(parts) - index - 1
        room = width - width_of(result)
        least_for_others = sum(min(width_of(other[:1]) + 3, room // (others + 1)) for other in parts[index + 1 :])
        room -= least_for_others
        result += fitted([next((form for form in forms if width_of([form]) <= room), forms[-1])], room)
        if others:
            result.append(Span("   "))
    return fitted(result, width)
