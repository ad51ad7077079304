"""Who holds how much of the host's disks, as lines. No Textual here."""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from topcon.columns import title_of
from topcon.model.disk import MEMORY, HoldKind
from topcon.text import (
    cell_width,
    cut,
    padded,
    printable,
    to_age_text,
    to_bytes_text,
    to_count_text,
    to_percent_text,
)
from topcon.ui.held import (
    BAR_WIDTH,
    GROWTH_WIDTH,
    KIND_WIDTH,
    NEARLY_FULL,
    NOT_YET,
    SIZE_WIDTH,
    WORDS,
    fullness_tone,
    growth_text,
    growth_tone,
    in_order,
    problem_lines,
    size_text,
    where_text,
)
from topcon.ui.spans import LateSpans, Span, Spans, Tone, bar, fitted, width_of
from topcon.ui.tabs.seen import Entry, plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from topcon.filter import Filter
    from topcon.model.disk import DiskUse, Hold, HostFilesystem
    from topcon.model.sample import ContainerKey
    from topcon.model.snapshot import Snapshot

MOST_LINES = 500
"""What is smaller is added up."""
SOON_S = 7 * 86400
"""It is said when a file system will be full, if that is sooner."""
MOST_HEADS = 3
"""File systems that stay in sight."""
MOST_HOLDERS = 4

LEAST_NAME, MOST_NAME = 12, 28
LEAST_POINT = 4
WIDE = 60
"""Narrower screens do without growth."""
_GAP = "  "


class DiskLines(NamedTuple):
    """What the screen shows."""

    titles: list[Spans]
    entries: list[Entry]
    holds: Mapping[str, Hold]
    """Those that can be chosen, by the key of their line."""


def disk_lines(
    use: DiskUse, snapshot: Snapshot, chosen: Filter, width: int, height: int, *, is_read: bool = True
) -> DiskLines:
    """Write what is held, the most first; of what a filter lets through, if there is one.

    Without ``is_read`` nothing will ever be known.
    """
    names = {node.key: printable(title_of(node)) for node in snapshot.containers.values()}
    let_through = None
    if chosen:
        let_through = {node.key for pod in snapshot.pods for node in pod.containers if chosen.matches(pod, node)}
    holds = in_order(
        hold
        for hold in use.holds
        if hold.container in names
        and (let_through is None or not let_through.isdisjoint((hold.container, *hold.others)))
        and (hold.used_bytes != 0 or not hold.is_whole)
    )
    shown = holds[:MOST_LINES]
    placed = layout(width, max((cell_width(names[hold.container]) for hold in shown), default=0))
    heads = 1 if height < 2 * MOST_HEADS + 2 else MOST_HEADS
    titles = [
        _state(use, width),
        *(_filesystem(each, use, width) for each in fullest(use.filesystems)[:heads]),
        fitted(_titles(placed), width),
    ]
    entries = [Entry(LateSpans(partial(_hold, hold, names, placed, width)), hold.key) for hold in shown]
    if not is_read:
        titles, entries = titles[-1:], plain([[Span("   this host's disks cannot be read from here", Tone.DIM)]])
    elif not shown:
        entries = plain([[Span(f"   {_empty(use, is_filtered=let_through is not None)}", Tone.DIM)]])
    rest = holds[MOST_LINES:]
    if rest:
        size = to_bytes_text(sum(hold.used_bytes or 0 for hold in rest))
        entries += plain([[Span(f"   {len(rest)} more, of {size} in all", Tone.DIM)]])
    entries += plain([*problem_lines(use.problems, width), *_holders(use, names, width)])
    return DiskLines(titles, entries, {hold.key: hold for hold in shown})


def fullest(filesystems: Iterable[HostFilesystem]) -> list[HostFilesystem]:
    """Put the fullest first, whether it is its room or its inodes that end sooner."""
    return sorted(filesystems, key=lambda each: -max(each.used_share or 0.0, each.inodes_share or 0.0))


class Layout(NamedTuple):
    """The columns that fit on the screen."""

    name_width: int
    has_growth: bool
    where_width: int


def layout(width: int, longest_name: int) -> Layout:
    """Choose the columns: names as long as they are, if the rest of the line is left enough."""
    has_growth = width >= WIDE
    fixed = 1 + len(_GAP) * 3 + KIND_WIDTH + SIZE_WIDTH + ((GROWTH_WIDTH + len(_GAP)) if has_growth else 0)
    name_width = max(min(longest_name, MOST_NAME, (width - fixed) // 2), LEAST_NAME)
    return Layout(name_width, has_growth, max(width - fixed - name_width, 0))


def time_left_s(filesystem: HostFilesystem, holds: Iterable[Hold]) -> float | None:
    """Say when it will be full if all that is known to grow goes on so; None if nothing does."""
    growth = sum(hold.growth_bytes_per_s or 0.0 for hold in holds if hold.device == filesystem.device)
    return filesystem.available_bytes / growth if growth > 0 else None


def _titles(placed: Layout) -> Spans:
    text = f" {'CONTAINER':{placed.name_width}}{_GAP}{'WHAT':{KIND_WIDTH}}{_GAP}{'SIZE':>{SIZE_WIDTH}}"
    text += f"{_GAP}{'A MIN':>{GROWTH_WIDTH}}" if placed.has_growth else ""
    return [Span(f"{text}{_GAP}WHERE" if placed.where_width else text, Tone.DIM)]


def _hold(hold: Hold, names: Mapping[ContainerKey, str], placed: Layout, width: int) -> Spans:
    is_idle = not hold.used_bytes
    spans = [
        Span(f" {padded(names[hold.container], placed.name_width, is_left=True)}{_GAP}"),
        Span(f"{WORDS[hold.kind]:{KIND_WIDTH}}{_GAP}", Tone.WARN if hold.kind is HoldKind.DELETED else Tone.DIM),
        Span(
            padded(size_text(hold.used_bytes, is_whole=hold.is_whole), SIZE_WIDTH),
            Tone.DIM if is_idle else fullness_tone(_share(hold)),
        ),
    ]
    if placed.has_growth:
        growth = hold.growth_bytes_per_s
        spans.append(Span(_GAP + padded(growth_text(growth), GROWTH_WIDTH), growth_tone(growth)))
    if placed.where_width:
        limit = f" of {to_bytes_text(hold.limit_bytes)}" if hold.limit_bytes is not None else ""
        also = [names[key] for key in hold.others if key in names]
        shared = f", also {also[0]}{f' and {len(also) - 1} more' if len(also) > 1 else ''}" if also else ""
        room = max(placed.where_width - cell_width(limit) - cell_width(shared), placed.where_width // 2)
        text = f"{cut(where_text(hold), room)}{limit}{shared}"
        spans.append(Span(f"{_GAP}{text}", Tone.DIM if is_idle else Tone.PLAIN))
    return fitted(spans, width)


def _share(hold: Hold) -> float | None:
    """How full it is; that of a tone that says nothing where there is no limit of its own."""
    return (hold.used_bytes or 0) / hold.limit_bytes if hold.limit_bytes else 0.0


def _empty(use: DiskUse, *, is_filtered: bool) -> str:
    if not use.rounds:
        return f"reading what containers hold {NOT_YET}"
    return "what matches the filter holds nothing" if is_filtered else "containers hold nothing on this host's disks"


def _state(use: DiskUse, width: int) -> Spans:
    """Say how far reading has come."""
    if use.walking is not None:
        left = f", {use.deferred - 1} more to come" if use.deferred > 1 else ""
        head, tail = " walking through ", f"  {to_count_text(use.entries)} files{left}"
        room = max(width - cell_width(head) - cell_width(tail), LEAST_NAME)
        return fitted([Span(head, Tone.DIM), Span(cut(printable(use.walking), room)), Span(tail, Tone.DIM)], width)
    if not use.rounds:
        return fitted([Span(f" reading {NOT_YET}", Tone.DIM)], width)
    times = "once" if use.rounds == 1 else f"{use.rounds} times"
    return fitted([Span(f" all of it was read {times}; growth is from one time to the next", Tone.DIM)], width)


def _filesystem(each: HostFilesystem, use: DiskUse, width: int) -> Spans:
    share, inodes = each.used_share, each.inodes_share
    left_s = time_left_s(each, use.holds)
    longest = max(cell_width(printable(other.point)) for other in use.filesystems)
    name_width = max(min(longest, width // 4), LEAST_POINT)
    spans = [
        Span(f" {padded(printable(each.point), name_width, is_left=True)}"),
        Span(f"{_GAP}{bar(share, BAR_WIDTH)}{to_percent_text(share):>4}", fullness_tone(share)),
        Span(f"{_GAP}{to_bytes_text(each.used_bytes):>5} of {to_bytes_text(each.size_bytes):>5}"),
    ]
    more: Spans = []
    if left_s is not None and left_s < SOON_S:
        more.append(Span(f"{_GAP}full in {to_age_text(left_s)} at this growth", Tone.WARN))
    if inodes is not None:
        tone = Tone.DIM if inodes < NEARLY_FULL else fullness_tone(inodes)
        more.append(Span(f"{_GAP}inodes {to_percent_text(inodes)}", tone))
    more.append(Span(f"{_GAP}{to_bytes_text(each.available_bytes)} free", Tone.DIM))
    for span in more:
        # Whole or not at all.
        if width_of([*spans, span]) <= width:
            spans.append(span)
    return fitted(spans, width)


def _holders(use: DiskUse, names: Mapping[ContainerKey, str], width: int) -> list[Spans]:
    """Write each file system, and who holds the most of it."""
    totals: dict[str, dict[ContainerKey, int]] = defaultdict(lambda: defaultdict(int))
    unsure: set[str] = set()
    for hold in use.holds:
        if hold.device is not None and hold.container in names:
            totals[hold.device][hold.container] += hold.used_bytes or 0
            if not hold.is_whole:
                unsure.add(hold.device)
    lines: list[Spans] = [[], [Span(" File systems", Tone.ACCENT)]] if use.filesystems else []
    for each in fullest(use.filesystems):
        by_size = sorted(totals[each.device].items(), key=lambda item: -item[1])
        lines.append(_filesystem(each, use, width))
        what = f"   {printable(each.device)}, {printable(each.fstype)}: "
        sure = each.device not in unsure
        held = size_text(sum(totals[each.device].values()), is_whole=sure)
        most = ", ".join(f"{names[key]} {to_bytes_text(size)}" for key, size in by_size[:MOST_HOLDERS] if size)
        text = f"containers hold {held}{f', the most: {most}' if most else ''}"
        lines.append(fitted([Span(what, Tone.DIM), Span(text)], width))
    memory = sum(totals[MEMORY].values())
    if memory:
        text = f" in memory: {to_bytes_text(memory)} of files, which count for the memory of those who wrote them"
        lines.append(fitted([Span(text, Tone.DIM)], width))
    return lines
