"""A recording written out as JSON lines or CSV, and which of its samples are.

Each goes over the snapshots once and keeps none, so that memory does not grow with the length of a recording.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from topcon.report import to_csv, to_object
from topcon.rows import rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from topcon.model.snapshot import Snapshot
    from topcon.rows import ViewState

_NS_PER_MS = 10**6
_EARLY = 20
"""What comes early by such a part of the span is still taken: no clock ticks without a jitter."""


def every(times: Sequence[int], start: int, stop: int, span_ns: int) -> Iterator[int]:
    """Yield which of the frames from ``start`` to before ``stop`` are ``span_ns`` apart, the first among them.

    They are on the grid of the first, so that one that comes late does not put off the rest. Where frames are further
    apart than that, each is taken; of those within one millisecond the first.
    """
    due_ns = times[start] if start < stop else 0
    last_ms = -1
    for index in range(start, stop):
        at_ns = times[index]
        if at_ns // _NS_PER_MS == last_ms or at_ns + span_ns // _EARLY < due_ns:
            continue
        yield index
        missed = max(at_ns - due_ns, 0) // span_ns if span_ns else 0
        due_ns += (missed + 1) * span_ns
        last_ms = at_ns // _NS_PER_MS


def to_json_lines(snapshots: Iterable[Snapshot], view: ViewState) -> Iterator[str]:
    """Write each snapshot as ``topcon ps --json`` does, on a line of its own."""
    for snapshot in snapshots:
        shown = rows(snapshot, view)
        yield json.dumps(to_object(snapshot, shown), separators=(",", ":")) + "\n"


def to_csv_lines(snapshots: Iterable[Snapshot], view: ViewState) -> Iterator[str]:
    """Write the containers of each snapshot as ``topcon ps --csv`` does, under one line of names."""
    is_first = True
    for snapshot in snapshots:
        text = to_csv(snapshot, rows(snapshot, view))
        # No name has a line break in it.
        yield text if is_first else text.partition("\n")[2]
        is_first = False
