"""The line of time below the header: from when to when there is something, where one is, what happened. No Textual."""

from __future__ import annotations

from datetime import datetime
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from topcon.columns import SEVERITY_MARKS
from topcon.model.playing import NS_PER_S
from topcon.text import to_age_text
from topcon.ui.spans import Span, Spans, Tone, fitted, width_of
from topcon.ui.table import severity_tone

if TYPE_CHECKING:
    from topcon.model.playing import Mark, Playing

HERE, BEHIND, AHEAD, HAPPENED = "█", "━", "─", "·"
LEAST_WIDTH = 10
"""Columns of the bar, below which the times beside it give way."""
STATE_WIDTH = 7
JUST_S = 1.0
"""What is not longer ago is now."""


class Bar(NamedTuple):
    """Where the bar is in its line."""

    column: int
    """Its first."""
    width: int


def time_bar(playing: Playing, width: int) -> Spans:
    """Write the line."""
    state, (since, until) = _state(playing), _times(playing)
    bar = bar_of(playing, width)
    if not bar.width:
        return fitted([Span(" "), state], width)
    if width_of([state]) + bar.width >= width - 2:
        return fitted([Span(" "), state, Span(" "), *_drawn(playing, bar.width)], width)
    return [
        *(Span(" "), state, Span(f" {since} ", Tone.DIM)),
        *_drawn(playing, bar.width),
        Span(f" {until} ", Tone.DIM),
    ]


def bar_of(playing: Playing, width: int) -> Bar:
    """Return where the bar is in a line of this width; of none where there is no room."""
    since, until = _times(playing)
    before = len(" ") + STATE_WIDTH + len(f" {since} ")
    room = width - before - len(f" {until} ")
    if room < LEAST_WIDTH:
        before = len(" ") + STATE_WIDTH + len(" ")
        room = width - before
    return Bar(before, room if room >= LEAST_WIDTH else 0)


def moment_at(playing: Playing, column: int, width: int) -> int | None:
    """Return which moment a column of the line stands for, nanoseconds since 1970; None beside the bar."""
    bar = bar_of(playing, width)
    at = column - bar.column
    if not 0 <= at < bar.width:
        return None
    if bar.width == 1:
        return playing.first_ns
    return playing.first_ns + (playing.last_ns - playing.first_ns) * at // (bar.width - 1)


def _state(playing: Playing) -> Span:
    if playing.is_live:
        return Span("live".ljust(STATE_WIDTH), Tone.GOOD)
    if playing.is_paused:
        return Span("paused".ljust(STATE_WIDTH), Tone.WARN)
    return Span(f"▶ {playing.speed:g}x".ljust(STATE_WIDTH), Tone.ACCENT)


def _times(playing: Playing) -> tuple[str, str]:
    """Write both ends, with days where there is more than one."""
    first, last = (_local(each) for each in (playing.first_ns, playing.last_ns))
    if first.date() == last.date():
        return f"{first:%H:%M:%S}", f"{last:%H:%M:%S}"
    return f"{first:%m-%d %H:%M}", f"{last:%m-%d %H:%M}"


def _drawn(playing: Playing, width: int) -> Spans:
    here = _column(playing.at_ns, playing, width)
    worst: dict[int, Mark] = {}
    for mark in playing.marks:
        at = _column(mark.wall_ns, playing, width)
        known = worst.get(at)
        if known is None or (mark.severity or 0) > (known.severity or 0):
            worst[at] = mark
    cells = [_cell(at, here, worst.get(at)) for at in range(width)]
    grouped = groupby(cells, key=lambda cell: cell.tone)
    return [Span("".join(cell.text for cell in group), tone) for tone, group in grouped]


def _cell(at: int, here: int, mark: Mark | None) -> Span:
    if at == here:
        return Span(HERE, Tone.STRONG)
    if mark is None:
        return Span(BEHIND, Tone.ACCENT) if at < here else Span(AHEAD, Tone.DIM)
    return Span(SEVERITY_MARKS.get(mark.severity, HAPPENED), severity_tone(mark.severity))


def _column(wall_ns: int, playing: Playing, width: int) -> int:
    span_ns = playing.last_ns - playing.first_ns
    if span_ns <= 0:
        return width - 1
    share = min(max(wall_ns - playing.first_ns, 0), span_ns)
    return (share * (width - 1) + span_ns // 2) // span_ns


def past_words(playing: Playing, now_ns: int) -> str:
    """Say that it is the past, and which: ``PAST 03:12:40, 2h ago``; ``demo 03:12:40`` of what has a name."""
    at, now = _local(playing.at_ns), _local(now_ns)
    if playing.name:
        return f"{playing.name} {at:%H:%M:%S}"
    if playing.is_live:
        return f"LIVE {at:%H:%M:%S}"
    day = "" if at.date() == now.date() else f"{at:%Y-%m-%d} "
    age_s = (now_ns - playing.at_ns) / NS_PER_S
    ago = f", {to_age_text(age_s)} ago" if age_s >= JUST_S else ""
    return f"PAST {day}{at:%H:%M:%S}{ago}"


def _local(wall_ns: int) -> datetime:
    return datetime.fromtimestamp(wall_ns // NS_PER_S).astimezone()
