"""The first tab of the details: who it is, what it uses, what it has last written. No Textual here."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from topcon.model.about import About
from topcon.ui.detail import UNASKED, wide_lines
from topcon.ui.tabs.seen import plain

if TYPE_CHECKING:
    from topcon.model.inside import Inside
    from topcon.model.sample import LogLine
    from topcon.model.snapshot import ContainerNode
    from topcon.ui.tabs.seen import Entry, Seen


class Answers(NamedTuple):
    """What was asked for beside the snapshot."""

    output: tuple[LogLine, ...] = ()
    about: About = UNASKED


def look(inside: Inside, node: ContainerNode) -> Answers:
    """Ask what it has last written, and what its runtime knows of it; who may not look says so in the other tabs."""
    about = inside.about(node.info.id) if inside.about else None
    output = inside.tail(node.info.id) if inside.tail else ()
    return Answers(output, about if isinstance(about, About) else UNASKED)


def overview_entries(seen: Seen) -> list[Entry]:
    """Write all that the snapshot says of a pod or container, and what was answered."""
    found = seen.found if isinstance(seen.found, Answers) else Answers()
    return plain(wide_lines(seen.snapshot, seen.node, seen.width, found.output, found.about))
