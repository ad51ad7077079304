"""Which rows there are, and in which order: a snapshot and what the person chose, nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from topcon.columns import ASCENDING, BY_NAME, DEFAULT_SORT, Line, Node, title_of
from topcon.filter import Filter
from topcon.model.join import FOLDED
from topcon.model.sample import PodKind
from topcon.model.snapshot import ContainerNode, PodNode

if TYPE_CHECKING:
    from collections.abc import Iterable

    from topcon.model.snapshot import Severity, Snapshot


EVERYTHING = Filter()


FOLDED_AT_FIRST = frozenset(f"pod:{PodKind.NAMESPACE}:{pod}" for pod in FOLDED)
"""The rows of what would flood the tree."""


@dataclass(frozen=True, slots=True)
class ViewState:
    """What the person chose to see."""

    collapsed: frozenset[str] = FOLDED_AT_FIRST
    """The keys of the rows that are folded."""
    sort: str = DEFAULT_SORT
    is_reversed: bool = False
    filter: Filter = EVERYTHING
    has_stopped: bool = True

    def toggled(self, key: str) -> ViewState:
        """Fold a row, or unfold it."""
        return replace(self, collapsed=self.collapsed ^ {key})


class Row(NamedTuple):
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
    tree = _Tree(snapshot, view, worst(snapshot), _children(snapshot, view), [])
    tree.add_below(None, depth=0)
    return tree.rows


Children = Mapping[str | None, list[Node]]
"""What is right below each pod and container, by key; under None, what is at the top."""


def _children(snapshot: Snapshot, view: ViewState) -> Children:
    shown = [(pod, [each for each in pod.containers if _is_shown(pod, each, view)]) for pod in snapshot.pods]
    keys = {container.key for _, containers in shown for container in containers}
    children: dict[str | None, list[Node]] = {}
    for pod, containers in shown:
        own = {container.key for container in containers}
        top: list[Node] = [container for container in containers if container.outer not in own]
        if not top:
            continue
        children.setdefault(pod.outer if pod.outer in keys else None, []).append(_sole(pod, top) or pod)
        children[pod.key] = top
        for container in containers:
            if container.outer in own:
                children.setdefault(container.outer, []).append(container)
    return children


def _sole(pod: PodNode, top: list[Node]) -> Node | None:
    """Return the container whose row says all that its pod's would; None if the pod has a row."""
    if pod.kind in _ALWAYS_PODS:
        return None
    return top[0] if len(pod.containers) == 1 or (len(top) == 1 and top[0].name == pod.name) else None


_ALWAYS_PODS = frozenset({PodKind.KUBERNETES, PodKind.PODMAN, PodKind.NOMAD, PodKind.ECS})
"""Their names say more than that of a container in them."""


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
    by_name = sorted(lines, key=lambda line: (not line.is_live, title_of(line.node).lower(), line.node.key))
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
    children: Children
    rows: list[Row]

    def add_below(self, parent: str | None, depth: int) -> None:
        """Add the rows of what is below a node, each with what is below it."""
        nodes = self.children.get(parent, [])
        ordered = _ordered((_line(self.snapshot, node, self.severities) for node in nodes), self.view)
        for line in ordered:
            kind = "pod" if isinstance(line.node, PodNode) else "container"
            key = f"{kind}:{line.node.key}"
            has_more = line.node.key in self.children
            is_expanded = has_more and key not in self.view.collapsed
            self.rows.append(Row(key, depth, line, has_more, is_expanded, depth > 0 and line is ordered[-1]))
            if is_expanded:
                self.add_below(line.node.key, depth + 1)
