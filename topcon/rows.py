"""Which rows there are, and in which order: a snapshot and what the person chose, nothing else."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from topcon.columns import ASCENDING, BY_NAME, DEFAULT_SORT, Line, Node
from topcon.filter import Filter
from topcon.model.snapshot import ContainerNode, PodNode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from topcon.model.snapshot import Severity, Snapshot


EVERYTHING = Filter()


@dataclass(frozen=True, slots=True)
class ViewState:
    """What the person chose to see."""

    collapsed: frozenset[str] = frozenset()
    """The keys of the rows that are folded."""
    sort: str = DEFAULT_SORT
    is_reversed: bool = False
    filter: Filter = EVERYTHING
    has_stopped: bool = True

    def toggled(self, key: str) -> ViewState:
        """Fold a row, or unfold it."""
        return replace(self, collapsed=self.collapsed ^ {key})


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the tree."""

    key: str
    """``pod:KEY`` or ``container:KEY``."""
    depth: int
    line: Line
    is_expandable: bool = False
    is_expanded: bool = False
    is_last: bool = False
    """Whether no sibling comes after it."""

    @property
    def container(self) -> ContainerNode | None:
        """The container that it shows; None for a pod's row."""
        return self.line.node if isinstance(self.line.node, ContainerNode) else None


def rows(snapshot: Snapshot, view: ViewState) -> list[Row]:
    """Build the rows: pods with their containers below them, a pod of one container as that container's row."""
    severities = worst(snapshot)
    arranged = []
    for pod in snapshot.pods:
        shown = [container for container in pod.containers if _is_shown(pod, container, view)]
        if shown:
            arranged.append((_line(snapshot, pod, severities), shown))
    tree = _Tree(snapshot, view, severities, [])
    for pod_line, shown in _ordered(arranged, view):
        tree.add_pod(pod_line, shown)
    return tree.rows


def worst(snapshot: Snapshot) -> Mapping[str, Severity]:
    """Return the worst finding of each thing that has one: of containers, and of the pods they are in."""
    severities: dict[str, Severity] = {}
    for finding in snapshot.findings:
        severities[finding.target] = max(severities.get(finding.target, finding.severity), finding.severity)
    for pod in snapshot.pods:
        of_pod = [severities[container.key] for container in pod.containers if container.key in severities]
        if of_pod:
            severities[pod.key] = max(of_pod)
    return severities


def _is_shown(pod: PodNode, container: ContainerNode, view: ViewState) -> bool:
    return (view.has_stopped or container.info.state.is_live) and view.filter.matches(pod, container)


def _line(snapshot: Snapshot, node: Node, severities: Mapping[str, Severity]) -> Line:
    return Line(node, severities.get(node.key), snapshot.sample.wall_ns)


def _ordered(
    pods: Iterable[tuple[Line, list[ContainerNode]]], view: ViewState
) -> list[tuple[Line, list[ContainerNode]]]:
    by_name = sorted(pods, key=lambda pod: (not pod[0].is_live, pod[0].node.name.lower(), pod[0].node.key))
    return _sorted(by_name, lambda pod: pod[0], view)


T = TypeVar("T")


def _sorted(items: list[T], line: Callable[[T], Line], view: ViewState) -> list[T]:
    """Sort by the chosen column, stably; what is unknown comes last either way."""
    column = BY_NAME[view.sort]
    is_descending = (view.sort not in ASCENDING) != view.is_reversed
    values = [(column.value(line(item)), item) for item in items]
    known = [(value, item) for value, item in values if value is not None]
    known.sort(key=lambda pair: pair[0], reverse=is_descending)
    return [item for _, item in known] + [item for value, item in values if value is None]


@dataclass(frozen=True, slots=True)
class _Tree:
    snapshot: Snapshot
    view: ViewState
    severities: Mapping[str, Severity]
    rows: list[Row]

    def add_pod(self, pod: Line, shown: list[ContainerNode]) -> None:
        inner: dict[str | None, list[Line]] = {}
        keys = {container.key for container in shown}
        for container in shown:
            outer = container.outer if container.outer in keys else None
            inner.setdefault(outer, []).append(_line(self.snapshot, container, self.severities))
        if isinstance(pod.node, PodNode) and len(pod.node.containers) == 1:
            self._add(inner[None][0], inner, depth=0, is_last=False)
            return
        if len(inner[None]) == 1 and pod.node.name == inner[None][0].node.name:
            self._add(inner[None][0], inner, depth=0, is_last=False)
            return
        key = f"pod:{pod.node.key}"
        is_expanded = key not in self.view.collapsed
        self.rows.append(Row(key, 0, pod, is_expandable=True, is_expanded=is_expanded))
        if is_expanded:
            self._add_all(inner[None], inner, depth=1)

    def _add_all(self, lines: list[Line], inner: Mapping[str | None, list[Line]], depth: int) -> None:
        by_name = sorted(lines, key=lambda line: (not line.is_live, line.node.name.lower(), line.node.key))
        ordered = _sorted(by_name, lambda line: line, self.view)
        for line in ordered:
            self._add(line, inner, depth, is_last=line is ordered[-1])

    def _add(self, line: Line, inner: Mapping[str | None, list[Line]], depth: int, *, is_last: bool) -> None:
        key = f"container:{line.node.key}"
        nested = inner.get(line.node.key, [])
        is_expanded = key not in self.view.collapsed
        self.rows.append(Row(key, depth, line, bool(nested), is_expanded and bool(nested), is_last))
        if is_expanded:
            self._add_all(nested, inner, depth + 1)
