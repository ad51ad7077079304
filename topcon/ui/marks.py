"""Marked rows, and whom a key acts on. No Textual here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from topcon.model.sample import ContainerKey, PodKind, Role
from topcon.model.snapshot import ContainerNode

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from collections.abc import Set as AbstractSet

    from topcon.model.snapshot import Snapshot
    from topcon.rows import Row

PREFIX = "container:"
"""Of the keys of rows that show a container."""


def containers_of(row: Row, shown: AbstractSet[str]) -> tuple[ContainerNode, ...]:
    """Return those that a row stands for: its container, or all of a group that the view lets through.

    ``shown`` are the keys of all rows, be they folded away. A sandbox belongs to its pod, shown or not, but where it
    would take along what runs and is kept out of sight.
    """
    inside = inside_of(row)
    if row.container is not None:
        return inside
    seen = {each.key for each in inside if f"{PREFIX}{each.key}" in shown}
    is_whole = all(each.key in seen or not each.info.state.is_live for each in inside if not _is_sandbox(each))
    return tuple(each for each in inside if each.key in seen or (seen and is_whole and _is_sandbox(each)))


def _is_sandbox(container: ContainerNode) -> bool:
    return container.info.role is Role.SANDBOX


def inside_of(row: Row) -> tuple[ContainerNode, ...]:
    """Return the container that a row shows, or all of its group, shown or not."""
    node = row.line.node
    return (node,) if isinstance(node, ContainerNode) else node.containers


def toggled(marks: frozenset[str], row: Row, shown: AbstractSet[str]) -> frozenset[str]:
    """Mark a row, or take its mark away; a group's mark is that of all its containers."""
    own = {f"{PREFIX}{each.key}" for each in containers_of(row, shown)}
    return marks - own if own <= marks else marks | own


def marked(rows: Iterable[Row], shown: AbstractSet[str]) -> frozenset[str]:
    """Return the marks of some rows and of what they stand for."""
    return frozenset(f"{PREFIX}{each.key}" for row in rows for each in containers_of(row, shown))


def between(rows: Sequence[Row], one: str, other: str) -> Sequence[Row]:
    """Return the rows from one key to another, in either order; none if one of them is not there any more."""
    places = [at for at, row in enumerate(rows) if row.key in {one, other}]
    return rows[places[0] : places[-1] + 1] if places and (len(places) > 1 or one == other) else ()


def settled(marks: frozenset[str], rows: Iterable[Row], snapshot: Snapshot) -> frozenset[str]:
    """Let go of what is not there any more, and mark the groups of which all is marked.

    Returns the very same marks where nothing has changed.
    """
    if not marks:
        return marks
    kept = {f"{PREFIX}{key}" for key in keys_of(marks) if key in snapshot.containers}
    if kept:
        kept |= {row.key for row in rows if row.container is None and _is_all_marked(row, kept)}
    return marks if kept == marks else frozenset(kept)


def _is_all_marked(row: Row, marks: AbstractSet[str]) -> bool:
    """Whether all of a group is marked, but for sandboxes that are not shown."""
    inside = inside_of(row)
    own = [f"{PREFIX}{each.key}" in marks for each in inside]
    return any(own) and all(has or each.info.role is Role.SANDBOX for has, each in zip(own, inside, strict=True))


def keys_of(marks: Iterable[str]) -> tuple[ContainerKey, ...]:
    """Return the containers that are marked."""
    return tuple(ContainerKey(key.removeprefix(PREFIX)) for key in marks if key.startswith(PREFIX))


def is_superfluous(container: ContainerNode, others: Sequence[ContainerNode]) -> bool:
    """Whether a restart leaves it out: a Kubernetes pod keeps its sandbox, and with it its address."""
    pod = container.info.pod
    if container.info.role is not Role.SANDBOX or pod is None or pod.kind is not PodKind.KUBERNETES:
        return False
    return any(
        other.info.role is not Role.SANDBOX and other.info.pod is not None and other.info.pod.id == pod.id
        for other in others
    )
