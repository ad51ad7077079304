"""Which rows there are, and in which order: a snapshot and what the person chose, nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from topcon.columns import ASCENDING, BY_NAME, DEFAULT_SORT, Line, Node
from topcon.filter import Filter
from topcon.model.snapshot import ContainerNode, PodNode

if TYPE_CHECKING:
    from collections.abc import Iterable

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
    lines: list[Line] = []
    nested: dict[str, Inner] = {}
    for pod in snapshot.pods:
        shown = [container for container in pod.containers if _is_shown(pod, container, view)]
        if shown:
            inner = _by_outer(shown)
            lines.append(_line(snapshot, _sole(pod, inner[None]) or pod, severities))
            nested[lines[-1].node.key] = inner
    tree = _Tree(snapshot, view, severities, [])
    for line in _ordered(lines, view):
        tree.add(line, nested[line.node.key])
    return tree.rows


Inner = Mapping[str | None, list[ContainerNode]]
"""What is nested in each container of a pod; under None, what is in none that is shown."""


def _by_outer(shown: Iterable[ContainerNode]) -> Inner:
    keys = {container.key for container in shown}
    inner: dict[str | None, list[ContainerNode]] = {}
    for container in shown:
        inner.setdefault(container.outer if container.outer in keys else None, []).append(container)
    return inner


def _sole(pod: PodNode, top: list[ContainerNode]) -> ContainerNode | None:
    """Return the container whose row says all that its pod's would; None if the pod has a row."""
    return top[0] if len(pod.containers) == 1 or (len(top) == 1 and top[0].name == pod.name) else None


def worst(snapshot: Snapshot) -> Mapping[str, Severity]:
    """Return the worst finding of each thing that has one: of containers, and of the pods they are in."""
    severities: dict[str, Severity] = {}
    for finding in snapshot.findings:
        severities[finding.target] = max(severities.get(finding.target, finding.severity), finding.severity)
    for pod in snapshot.pods:
        keys: list[str] = [pod.key, *(container.key for container in pod.containers)]
        of_pod = [severities[key] for key in keys if key in severities]
        if of_pod:
            severities[pod.key] = max(of_pod)
    return severities


def _is_shown(pod: PodNode, container: ContainerNode, view: ViewState) -> bool:
    return (view.has_stopped or not container.info.state.is_stopped) and view.filter.matches(pod, container)


def _line(snapshot: Snapshot, node: Node, severities: Mapping[str, Severity]) -> Line:
    return Line(node, severities.get(node.key), snapshot.sample.wall_ns)


def _ordered(lines: Iterable[Line], view: ViewState) -> list[Line]:
    """Sort by the chosen column, then by name; what is unknown comes last either way."""
    by_name = sorted(lines, key=lambda line: (not line.is_live, line.node.name.lower(), line.node.key))
    column = BY_NAME[view.sort]
    is_descending = (view.sort not in ASCENDING) != view.is_reversed
    values = [(column.value(line), line) for line in by_name]
    known = [(value, line) for value, line in values if value is not None]
    known.sort(key=lambda pair: pair[0], reverse=is_descending)
    return [line for _, line in known] + [line for value, line in values if value is None]


@dataclass(frozen=True, slots=True)
class _Tree:
    snapshot: Snapshot
    view: ViewState
    severities: Mapping[str, Severity]
    rows: list[Row]

    def add(self, line: Line, inner: Inner) -> None:
        """Add a pod's row and those below it, or those of the container that stands for it."""
        if isinstance(line.node, ContainerNode):
            self._add(line, inner, depth=0, is_last=False)
            return
        key = f"pod:{line.node.key}"
        is_expanded = key not in self.view.collapsed
        self.rows.append(Row(key, 0, line, is_expandable=True, is_expanded=is_expanded))
        if is_expanded:
            self._add_all(inner[None], inner, depth=1)

    def _add_all(self, nodes: list[ContainerNode], inner: Inner, depth: int) -> None:
        ordered = _ordered((_line(self.snapshot, node, self.severities) for node in nodes), self.view)
        for line in ordered:
            self._add(line, inner, depth, is_last=line is ordered[-1])

    def _add(self, line: Line, inner: Inner, depth: int, *, is_last: bool) -> None:
        key = f"container:{line.node.key}"
        nested = inner.get(line.node.key, [])
        is_expanded = key not in self.view.collapsed
        self.rows.append(Row(key, depth, line, bool(nested), is_expanded and bool(nested), is_last))
        if is_expanded:
            self._add_all(nested, inner, depth + 1)
