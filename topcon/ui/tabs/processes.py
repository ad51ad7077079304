"""The processes of a container, or of each container of a pod, as a tree. No Textual here."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from textwrap import wrap
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from topcon.columns import title_of
from topcon.model.processes import ENDED, Process, ProcessTable
from topcon.model.sample import ProcessSample
from topcon.model.snapshot import PodNode
from topcon.text import (
    UNKNOWN,
    cell_width,
    cut,
    padded,
    printable,
    to_age_text,
    to_bytes_text,
    to_cores_text,
    to_count_text,
)
from topcon.ui.spans import LateSpans, Span, Spans, Tone, cut_end
from topcon.ui.tabs.seen import Entry, plain, unseen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from topcon.model.sample import ContainerKey
    from topcon.ui.tabs.seen import Seen

LEAST_COMMAND = 24
"""Columns that the command gets before others give way."""
LEAST_SEEN = 12
"""However deep a process is in the tree, so much of its command is seen."""
IDLE_CORES = 0.005
"""Rounds to 0.00."""
MOST_LINES = 12
"""Of the command line of the process that is opened."""
NOT_LIVING = ENDED | {"T", "t"}
STATES: Mapping[str, str] = MappingProxyType(
    {
        "R": "running, or ready to",
        "S": "sleeping: it waits for something",
        "D": "waits in the kernel, mostly for a disk; no signal reaches it",
        "T": "stopped by a signal",
        "t": "stopped by a debugger",
        "Z": "has ended; its parent has not asked how",
        "X": "has ended",
        "I": "idle, a part of the kernel",
    }
)
"""What the kernel's letters mean (proc_pid_stat(5))."""


@dataclass(frozen=True, slots=True)
class ProcessView:
    """How a person wants to see the processes."""

    sort: str = "cpu"
    is_reversed: bool = False
    is_flat: bool = False
    opened: str | None = None
    """The key of the process that more is said of."""


class _Column(NamedTuple):
    name: str
    title: str
    width: int
    text: Callable[[Process, str], str]
    """Writes a process; the other argument is its age as text."""
    tone: Callable[[Process], Tone] = lambda _: Tone.PLAIN
    priority: int = 0
    """Those of the greatest give way first; 0 stays."""
    is_left: bool = False


def _cpu_tone(process: Process) -> Tone:
    return Tone.DIM if (process.cpu_cores or 0.0) < IDLE_CORES else Tone.PLAIN


def _state_tone(process: Process) -> Tone:
    if process.state == "D" or process.state in NOT_LIVING:
        return Tone.WARN
    return Tone.GOOD if process.state == "R" else Tone.DIM


def _dim(_: Process) -> Tone:
    return Tone.DIM


_COLUMNS: tuple[_Column, ...] = (
    _Column("pid", "PID", 7, lambda each, _: str(each.pid)),
    _Column("inside", "INSIDE", 6, lambda each, _: UNKNOWN if each.ns_pid is None else str(each.ns_pid), _dim, 5),
    _Column("user", "USER", 8, lambda each, _: printable(each.user or UNKNOWN), priority=3, is_left=True),
    _Column("cpu", "CPU", 5, lambda each, _: to_cores_text(each.cpu_cores), _cpu_tone),
    _Column("memory", "MEM", 5, lambda each, _: to_bytes_text(each.rss_bytes)),
    _Column("state", "S", 1, lambda each, _: printable(each.state), _state_tone, 2),
    _Column("threads", "THR", 4, lambda each, _: to_count_text(each.threads), _dim, 6),
    _Column("age", "AGE", 4, lambda _, age: age, _dim, 4),
)
SORTS: Mapping[str, Callable[[Process], float]] = MappingProxyType(
    {
        "cpu": lambda process: process.cpu_cores or 0.0,
        "memory": lambda process: process.rss_bytes,
        "pid": lambda process: -process.pid,
    }
)
"""What can be sorted by: of the greatest first. In the tree, what is below a process counts for it, but for its pid."""


def next_sort(view: ProcessView, _: Seen) -> ProcessView:
    """Sort by what comes next."""
    names = list(SORTS)
    return replace(view, sort=names[(names.index(view.sort) + 1) % len(names)], is_reversed=False)


def reverse(view: ProcessView, _: Seen) -> ProcessView:
    """Turn the order around."""
    return replace(view, is_reversed=not view.is_reversed)


def flat(view: ProcessView, _: Seen) -> ProcessView:
    """Show the processes without the tree, or as a tree again."""
    return replace(view, is_flat=not view.is_flat)


def opened(view: ProcessView, seen: Seen) -> ProcessView:
    """Say all that is known of the process under the cursor, or no more."""
    return replace(view, opened=None if view.opened == seen.chosen else seen.chosen)


PROCESS_VERBS: Mapping[str, Callable[[ProcessView, Seen], ProcessView]] = MappingProxyType(
    {"sort": next_sort, "reverse": reverse, "flat": flat, "open": opened}
)


class Member(NamedTuple):
    """A process that something is to be done to."""

    container: ContainerKey
    process: ProcessSample
    """As it is seen."""


def chosen_process(seen: Seen) -> Member | None:
    """Return the process under the cursor, and whose it is."""
    if not isinstance(seen.found, ProcessTable) or seen.chosen is None:
        return None
    return next(
        (
            Member(members.container, _sampled(process, seen.found, seen.snapshot.sample.wall_ns))
            for members in seen.found.members
            for process in members.processes
            if process.key == seen.chosen
        ),
        None,
    )


def _sampled(process: Process, table: ProcessTable, wall_ns: int) -> ProcessSample:
    """Write down who a process is, for what is done to it."""
    return ProcessSample(
        pid=process.pid,
        start_ticks=process.start_ticks,
        comm=process.comm,
        started_ns=wall_ns - int(table.age_s(process) * 1e9),
        ns_pids=tuple(dict.fromkeys(pid for pid in (process.pid, process.ns_pid) if pid is not None)),
    )


class Placed(NamedTuple):
    """A process in its place."""

    process: Process
    branch: str
    """The lines of the tree before its command."""


def arranged(processes: Sequence[Process], view: ProcessView) -> list[Placed]:
    """Put processes in order, below their parents unless that is not wanted."""
    value = SORTS[view.sort]
    if view.is_flat:
        ordered = sorted(processes, key=lambda each: (-value(each), each.pid), reverse=view.is_reversed)
        return [Placed(each, "") for each in ordered]
    children, tops = _families(processes)
    totals = {each.pid: value(each) for each in processes}
    if view.sort != "pid":
        for process in reversed(_downwards(tops, children)):
            totals[process.pid] += sum(totals[child.pid] for child in children.get(process.pid, ()))

    def in_order(those: Iterable[Process]) -> list[Process]:
        return sorted(those, key=lambda each: (-totals[each.pid], each.pid), reverse=view.is_reversed)

    placed = []
    left = [(each, 0, False) for each in reversed(in_order(tops))]
    while left:
        process, depth, is_last = left.pop()
        placed.append(Placed(process, "  " * (depth - 1) + ("└ " if is_last else "├ ") if depth else ""))
        if below := children.get(process.pid):
            *others, last = in_order(below)
            left.append((last, depth + 1, True))
            left += [(each, depth + 1, False) for each in reversed(others)]
    return placed


def _families(processes: Sequence[Process]) -> tuple[Mapping[int, list[Process]], list[Process]]:
    """Return the children of each, and those whose parent is not there."""
    by_pid = {process.pid: process for process in processes}
    children: dict[int, list[Process]] = defaultdict(list)
    tops = []
    for process in processes:
        parent = by_pid.get(process.ppid)
        # No parent is younger than its child, so that nobody is below himself.
        if parent is None or (parent.start_ticks, parent.pid) >= (process.start_ticks, process.pid):
            tops.append(process)
        else:
            children[parent.pid].append(process)
    return children, tops


def _downwards(tops: Sequence[Process], children: Mapping[int, list[Process]]) -> list[Process]:
    """Return all processes, each behind the one it is below."""
    found = list(tops)
    for process in found:
        found += children.get(process.pid, ())
    return found


def process_heading(seen: Seen) -> Spans:
    """Write the titles of the columns; the one that is sorted by is marked."""
    if not isinstance(seen.found, ProcessTable):
        return []
    view: ProcessView = seen.state if isinstance(seen.state, ProcessView) else ProcessView()
    is_up = (view.sort == "pid") != view.is_reversed
    spans: Spans = []
    for column in _that_fit(seen.width):
        is_sorted = column.name == view.sort
        title = f"{column.title}{'▴' if is_up else '▾'}" if is_sorted else column.title
        spans += [
            Span(" "),
            Span(padded(title, column.width, is_left=column.is_left), _title_tone(is_sorted=is_sorted)),
        ]
    return [*spans, Span(" COMMAND", Tone.DIM)]


def _title_tone(*, is_sorted: bool) -> Tone:
    return Tone.ACCENT if is_sorted else Tone.DIM


@lru_cache(maxsize=8)
def _that_fit(width: int) -> tuple[_Column, ...]:
    """Choose the columns for a width."""
    chosen = list(_COLUMNS)
    while _taken(chosen) + 1 + LEAST_COMMAND > width and any(column.priority for column in chosen):
        chosen.remove(max(chosen, key=lambda column: column.priority))
    return tuple(chosen)


def _taken(columns: Iterable[_Column]) -> int:
    return sum(1 + column.width for column in columns)


def process_entries(seen: Seen) -> list[Entry]:
    """Write the processes."""
    if (nothing := unseen(seen.found)) is not None or not isinstance(seen.found, ProcessTable):
        return nothing or []
    view: ProcessView = seen.state if isinstance(seen.state, ProcessView) else ProcessView()
    names = tuple((each.key, title_of(each)) for each in seen.node.containers) if isinstance(seen.node, PodNode) else ()
    return list(_entries(seen.found, view, seen.width, names))


@lru_cache(maxsize=2)
def _entries(
    table: ProcessTable, view: ProcessView, width: int, names: tuple[tuple[ContainerKey, str], ...]
) -> tuple[Entry, ...]:
    """Write them once: between two looks nothing changes but the cursor."""
    titles = dict(names)
    entries: list[Entry] = []
    for members in table.members:
        if len(names) > 1 and members.processes:
            entries += plain([*([[]] if entries else []), _title(titles.get(members.container, ""), members.processes)])
        for process, branch in arranged(members.processes, view):
            age = to_age_text(table.age_s(process))
            key = process.key
            entries.append(Entry(_late_line(process, branch, age, width), key))
            if key == view.opened:
                entries += plain(_more(process, width))
    if not any(members.processes for members in table.members):
        entries += plain([[Span(" there are no processes in it", Tone.DIM)]])
    if table.left_out:
        entries += plain([[Span(f" and {table.left_out} more processes, which are not shown", Tone.DIM)]])
    if table.containers_left_out:
        more = f" and those of {table.containers_left_out} more containers, which are not shown"
        entries += plain([[Span(more, Tone.DIM)]])
    return tuple(entries)


def _title(name: str, processes: Sequence[Process]) -> Spans:
    count = f"  {len(processes)} process{'es' if len(processes) > 1 else ''}"
    return [Span(f" {printable(name)}", Tone.ACCENT), Span(count, Tone.DIM)]


@lru_cache(maxsize=20_000)
def _late_line(process: Process, branch: str, age: str, width: int) -> LateSpans:
    """Return what writes a process; of one that does nothing always the same."""
    return LateSpans(partial(_line, process, branch, age, width))


def _line(process: Process, branch: str, age: str, width: int) -> Spans:
    """Write a process."""
    columns = _that_fit(width)
    spans: Spans = []
    for column in columns:
        text = column.text(process, age)
        spans += [Span(" "), Span(padded(text, column.width, is_left=column.is_left), column.tone(process))]
    room = max(width - _taken(columns) - 1, 0)
    shown = branch[-max(room - LEAST_SEEN, 0) :] if len(branch) > room - LEAST_SEEN else branch
    left = max(room - cell_width(shown), 0)
    tone = Tone.DIM if process.command is None else Tone.PLAIN
    # More would be cut anyway, but for marks that take no column.
    command = cut_end(printable(command_of(process)[: 4 * max(width, 1)]), left)
    return [*spans, Span(f" {shown}", Tone.DIM), Span(command, tone)]


def command_of(process: Process) -> str:
    """Return its command line, or its name in brackets: foreign text."""
    return process.command or f"[{process.comm}]"


def _more(process: Process, width: int) -> list[Spans]:
    """Say what there is no room for in a line."""
    indent = 4
    said = f"{process.comm}, {STATES.get(process.state, process.state)}"
    lines = wrap(printable(command_of(process)), max(width - indent, 1))
    if len(lines) > MOST_LINES:
        lines = [*lines[: MOST_LINES - 1], "…"]
    text = [*wrap(printable(said), max(width - indent, 1)), *lines]
    return [[Span(" " * indent + cut(line, max(width - indent, 1)), Tone.DIM)] for line in text]
