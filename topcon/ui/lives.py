"""What containers wrote in lives that are over, above what they write now. No Textual here."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from topcon.events import exit_words
from topcon.model.derive import place_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from topcon.model.output import LastLines
    from topcon.model.sample import LogLine
    from topcon.model.snapshot import ContainerNode, Snapshot

NS_PER_S = 10**9
TOO_LATE = "it was removed before they could be read"
ASKED = "they are being asked for ..."
ASKED_FOR_NS = 5 * NS_PER_S
"""How long the last lines of what went may be on their way."""


class Past(NamedTuple):
    """Lines of a life that is over, and what stands below them."""

    lines: tuple[LogLine, ...]
    note: str
    at_ns: int
    """When that life was over, nanoseconds since 1970."""


def of_gone(stone: ContainerNode, kept: LastLines | None) -> Past:
    """Return what one that is gone wrote last."""
    ended_ns = stone.info.finished_ns or stone.gone_ns or 0
    how = exit_words(stone.info.exit_code)[0]
    oom = ", out of memory" if stone.info.oom_killed else ""
    return Past(kept.lines if kept else (), f"{how}{oom} at {clock(ended_ns)}, and is gone{_read(kept)}", ended_ns)


def before_start(node: ContainerNode, kept: LastLines) -> Past:
    """Return what one wrote before it was started again."""
    again_ns = kept.started_again_ns or node.started_ns or kept.read_ns
    return Past(kept.lines, f"started again at {clock(again_ns)}{_read(kept)}", again_ns - 1)


def _read(kept: LastLines | None) -> str:
    """Say where lines come from, and when they were read."""
    if kept is None or not kept.lines:
        return ""
    count = f"the last {len(kept.lines)} lines" if len(kept.lines) > 1 else "the last line"
    return f"; {count}, read at {clock(kept.read_ns)} from {kept.where}"


def older_than(past: Past, shown: Iterable[LogLine]) -> Past | None:
    """Leave out the lines that are shown already; None where that cannot be told, since lines have no times."""
    times = [line.time_ns for line in shown]
    known = [time_ns for time_ns in times if time_ns is not None]
    if not times:
        return past
    if not known:
        return None
    first_ns = min(known)
    return past._replace(lines=tuple(line for line in past.lines if (line.time_ns or 0) < first_ns))


def predecessor(snapshot: Snapshot, node: ContainerNode) -> ContainerNode | None:
    """Return the tombstone of the last one that had the place of a container."""
    home = next((pod for pod in snapshot.pods if any(each.key == node.key for each in pod.containers)), None)
    if home is None or not snapshot.tombs:
        return None
    place = place_of(node, home)
    stones = (stone for pod in snapshot.tombs for stone in pod.containers if place_of(stone, pod) == place)
    return max(stones, key=lambda stone: stone.gone_ns or 0, default=None)


def nothing_text(stone: ContainerNode, kept: LastLines | None, now_ns: int, *, is_kept: bool) -> str:
    """Say why nothing can be read of one that is gone; ``is_kept`` is whether last lines are kept at all."""
    if not is_kept:
        return "its last lines are not kept here"
    if kept is None:
        is_late = now_ns - (stone.gone_ns or 0) > ASKED_FOR_NS
        return f"its last lines: {TOO_LATE if is_late else ASKED}"
    return f"its last lines are lost: {kept.reason}" if kept.reason else "it has written nothing"


def clock(wall_ns: int) -> str:
    """Write the time of day."""
    return f"{datetime.fromtimestamp(wall_ns // NS_PER_S).astimezone():%H:%M:%S}"
