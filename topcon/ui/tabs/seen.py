"""What a tab of the details is written of, and what it is written as. No Textual here."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from topcon.model.sample import Problem
from topcon.text import printable
from topcon.ui.spans import Span, Tone

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from topcon.columns import Node
    from topcon.model.snapshot import Snapshot
    from topcon.ui.spans import Spans


NOTHING_TOLD: Mapping[str, object] = MappingProxyType({})


class Entry(NamedTuple):
    """A line."""

    spans: Sequence[Span]
    key: str | None = None
    """What the cursor stays on when lines move; None for a line that cannot be chosen."""


class Seen(NamedTuple):
    """What there is to write of."""

    snapshot: Snapshot
    node: Node
    """As it is, or as it was last seen."""
    width: int
    height: int
    """Lines that are in sight."""
    found: object | None = None
    """What was last answered: None before the first answer, a `Problem` where one may not look."""
    state: object = None
    """The tab's own."""
    chosen: str | None = None
    """The key of the entry under the cursor."""
    told: Mapping[str, object] = NOTHING_TOLD
    """What was answered to those keys that ask for something; None while that is waited for."""


def unseen(found: object) -> list[Entry] | None:
    """Say that there is no answer yet, or why there will be none; None where there is one."""
    if isinstance(found, Problem):
        remedy = [[Span("   "), Span(printable(found.remedy), Tone.DIM)]] if found.remedy else []
        return plain([[Span(f" ▲ {printable(found.message)}", Tone.WARN)], *remedy])
    return plain([[Span(" looking …", Tone.DIM)]]) if found is None else None


def plain(lines: list[Spans]) -> list[Entry]:
    """Make entries of lines that cannot be chosen."""
    return [Entry(line) for line in lines]
