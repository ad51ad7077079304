"""What has to change in the tree for a container to be seen. No Textual here."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from topcon.rows import EVERYTHING, rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from topcon.model.snapshot import Snapshot
    from topcon.rows import Row, ViewState


class Revealed(NamedTuple):
    """A view in which it has a row."""

    view: ViewState
    key: str
    """Of that row."""
    told: str | None
    """What is shown now that was hidden; None where at most something was folded."""


def revealed(snapshot: Snapshot, view: ViewState, target: str) -> Revealed | None:
    """Return a view in which the container or pod of this key has a row, as like the one that is shown as can be.

    None if it is not there any more.
    """
    pod = next((each for each in (*snapshot.pods, *snapshot.tombs) if each.key == target), None)
    # A pod of one container is shown as that.
    keys = (target, *(container.key for container in pod.containers)) if pod else (target,)
    for candidate, told in _candidates(view):
        every = rows(snapshot, replace(candidate, is_open=True))
        at = next((at for key in keys for at, row in enumerate(every) if row.line.node.key == key), None)
        if at is not None:
            folded = [row.key for row in _above(every, at) if candidate.is_folded(row.key)]
            for key in folded:
                candidate = candidate.toggled(key)  # noqa: PLW2901  the same view, with more of it unfolded
            return Revealed(candidate, every[at].key, told)
    return None


def _candidates(view: ViewState) -> Iterator[tuple[ViewState, str | None]]:
    """Say what could be changed, the least first."""
    yield view, None
    told = ""
    if view.filter:
        view = replace(view, filter=EVERYTHING)
        yield view, _FILTER
        told = f"{_FILTER}, and "
    yield (
        replace(view, has_stopped=True, has_sandboxes=True, has_system=True, has_gone=True, only_sick=False),
        f"{told}{_KINDS}",
    )


_FILTER = "the filter is taken away"
_KINDS = "what was hidden is shown"


def _above(every: Sequence[Row], at: int) -> Iterator[Row]:
    """Return the rows that one hangs below, the nearest first."""
    depth = every[at].depth
    for row in reversed(every[:at]):
        if row.depth < depth:
            depth = row.depth
            yield row
