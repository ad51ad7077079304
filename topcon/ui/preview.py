"""The demo in a frame, where there is nothing else: how topcon looks on a host that has something. No Textual here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from topcon.rows import ViewState, rows
from topcon.ui.spans import Span, Tone, fitted, width_of
from topcon.ui.table import Moment, layout_of, longest_name, row_spans, title_spans, top_cores
from topcon.ui.timebar import past_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from topcon.model.playing import Playing
    from topcon.model.snapshot import Snapshot
    from topcon.ui.spans import Spans

MARGIN = 2
EDGES = 4
"""What the two edges take of a line, with a space beside each."""
LEAST_WIDTH, LEAST_ROWS = 60, 4
"""In less room nobody would see what it is."""
FRAME = 3
"""Lines around the rows: two edges and the titles."""


def preview_lines(playing: Playing, snapshot: Snapshot, width: int, height: int) -> list[Spans]:
    """Write the tree of a moment into a frame that says whose it is; nothing where there is no room for it."""
    room, most = width - 2 * MARGIN - EDGES, height - FRAME
    if room < LEAST_WIDTH or most < LEAST_ROWS:
        return []
    view = ViewState()
    every = rows(snapshot, view)
    shown, moment = every[:most], Moment(snapshot.tick, snapshot.sample.wall_ns)
    placed = layout_of(room, longest_name(every), view.column_set)
    top = top_cores(shown, placed, moment)
    lines = [title_spans(placed, view), *(row_spans(row, placed, top, moment) for row in shown)]
    title = f" {past_words(playing, 0)}, recorded on another host "
    return [
        _edge("╭─", title, "╮", room),
        *(_between_edges(line, room) for line in lines),
        _edge("╰─", "", "╯", room),
    ]


def _edge(begin: str, title: str, end: str, room: int) -> Spans:
    rest = "─" * (room + EDGES - len(begin) - len(title) - len(end))
    return [Span(" " * MARGIN), Span(begin, Tone.DIM), Span(title, Tone.WARN), Span(f"{rest}{end}", Tone.DIM)]


def _between_edges(line: Sequence[Span], room: int) -> Spans:
    inner = fitted(line, room)
    rest = " " * (room - width_of(inner))
    return [Span(" " * MARGIN), Span("│ ", Tone.DIM), *inner, Span(f"{rest} │", Tone.DIM)]
