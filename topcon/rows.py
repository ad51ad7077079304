"""Which rows there are, and in which order: a snapshot and what the person chose, nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from operator import attrgetter, is_
from typing import TYPE_CHECKING, NamedTuple, TypeVar, overload

from topcon.columns import ASCENDING, BY_NAME, DEFAULT_SORT, Line, Node, title_of
from topcon.filter import Filter
from topcon.model.join import FOLDED
from topcon.model.sample import PodKind
from topcon.model.snapshot import ContainerNode, PodNode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from topcon.model.sample import ContainerKey
    from topcon.model.snapshot import Finding, Severity, Snapshot


T = TypeVar("T")

EVERYTHING = Filter()


FOLDED_AT_FIRST = frozenset(f"pod:{PodKind.NAMESPACE}:{pod}" for pod in FOLDED)
"""The rows of what would flood the tree."""


class Arrangement(StrEnum):
    """What hangs below what."""

    TREE = "tree"
    FLAT = "flat"
    PODS = "pods"
    IMAGES = "images"
    RUNTIMES = "runtimes"


@dataclass(frozen=True, slots=True)
class ViewState:
    """What the person chose to see."""

    collapsed: frozenset[str] = FOLDED_AT_FIRST
    """The keys of the rows that are folded."""
    sort: str = DEFAULT_SORT
    is_reversed: bool = False
    filter: Filter = EVERYTHING
    has_stopped: bool = True
    has_sandboxes: bool = True
    has_system: bool = True
    """What would flood the tree, folded at first."""
    only_sick: bool = False
    """Only containers with a warning or worse."""
    arrangement: Arrangement = Arrangement.TREE
    column_set: str = "overview"
    columns: tuple[str, ...] | None = None
    """The names of the columns that the person chose, in their order; None for those of the set."""
    scroll: int = 0
    """How many of the columns beside the name are scrolled out of sight, to the left."""
    marks: frozenset[str] = frozenset()
    """The keys of the rows that are marked."""

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


@dataclass(frozen=True, slots=True)
class Rows(Sequence[Row]):
    """The rows, with what they were made of, so that the next ones are made of what has changed since."""

    rows: tuple[Row, ...]
    pods: tuple[PodNode, ...] = field(compare=False, repr=False)
    findings: tuple[Finding, ...] = field(compare=False, repr=False)
    view: ViewState = field(compare=False, repr=False)
    severities: Mapping[str, Severity] = field(compare=False, repr=False)
    branches: Mapping[str, _Branch] = field(compare=False, repr=False)
    """What is at the top, by the key of its pod; in the order of their names."""

    @overload
    def __getitem__(self, at: int) -> Row: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[Row, ...]: ...
    def __getitem__(self, at: int | slice) -> Row | tuple[Row, ...]:
        """Return a row, or some."""
        return self.rows[at]

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self.rows)

    def __iter__(self) -> Iterator[Row]:
        """Go through them from top to bottom."""
        return iter(self.rows)


class _Entry(NamedTuple):
    """A line, and where it belongs among its siblings."""

    line: Line
    by_name: tuple[bool, str, str]
    value: float | str | None


class _Branch(NamedTuple):
    """What is at the top: a pod or a container, with all that is below it."""

    pods: tuple[PodNode, ...]
    """The pod, and those that are nested in its containers."""
    keys: frozenset[str]
    """Of all the pods and containers."""
    top: _Entry
    rows: tuple[Row, ...]
    entries: Mapping[str, _Entry]

    @property
    def by_name(self) -> tuple[bool, str, str]:
        """Where it belongs by its name."""
        return self.top.by_name


def rows(snapshot: Snapshot, view: ViewState, before: Rows | None = None) -> Rows:
    """Build the rows: pods with their containers below them, a pod of one container as that container's row.

    Given the rows ``before``, what has not changed is the very same object: all of them, if nothing has.
    """
    if before is not None and before.view != view:
        before = None
    if before is not None and snapshot.pods is before.pods and snapshot.findings is before.findings:
        return before
    severities = worst(snapshot)
    branches = _branches(snapshot.pods, severities, view, before)
    if before is not None:
        severities = before.severities if severities == before.severities else severities
        if len(branches) == len(before.branches) and all(map(is_, branches.values(), before.branches.values())):
            return replace(before, pods=snapshot.pods, findings=snapshot.findings, severities=severities)
    ordered = _by_value(list(branches.values()), [branch.top.value for branch in branches.values()], view)
    shown = tuple(row for branch in ordered for row in branch.rows)
    return Rows(shown, snapshot.pods, snapshot.findings, view, severities, branches)


def _branches(
    pods: Sequence[PodNode], severities: Mapping[str, Severity], view: ViewState, before: Rows | None
) -> Mapping[str, _Branch]:
    """Build what is at the top, in the order of the names; take from ``before`` what is as it was."""
    known = before.branches if before is not None else {}
    if before is None or severities == before.severities:
        changed: frozenset[str] = frozenset()
    else:
        changed = frozenset(key for key, _ in severities.items() ^ before.severities.items())
    branches: dict[str, _Branch] = {}
    is_in_order = True
    for family in _families(pods, view):
        key = family[0].key
        old = known.get(key)
        if old is not None and _is_same(old.pods, family) and (not changed or changed.isdisjoint(old.keys)):
            branches[key] = old
            continue
        branch = _branch(family, severities, view, old)
        if branch is not None:
            branches[key] = branch
            is_in_order = is_in_order and old is not None and old.by_name == branch.by_name
    if is_in_order and branches.keys() == known.keys():
        return {key: branches[key] for key in known}
    return dict(sorted(branches.items(), key=lambda item: item[1].by_name))


def _is_same(before: tuple[PodNode, ...], now: tuple[PodNode, ...]) -> bool:
    return len(before) == len(now) and all(map(is_, before, now))


def _families(pods: Sequence[PodNode], view: ViewState) -> list[tuple[PodNode, ...]]:
    """Put pods that are nested in containers of others to these."""
    nested = [pod for pod in pods if pod.outer is not None]
    if not nested:
        return [(pod,) for pod in pods]
    homes: dict[ContainerKey, PodNode] = {each.key: pod for pod in pods for each in _shown(pod, view)}
    inner: dict[str, list[PodNode]] = {}
    for pod in nested:
        if pod.outer in homes:
            inner.setdefault(homes[pod.outer].key, []).append(pod)
    return [
        tuple(_with_inner(pod, inner)) if pod.key in inner else (pod,)
        for pod in pods
        if pod.outer is None or pod.outer not in homes
    ]


def _with_inner(pod: PodNode, inner: Mapping[str, list[PodNode]]) -> Iterator[PodNode]:
    yield pod
    for each in inner.get(pod.key, ()):
        yield from _with_inner(each, inner)


def _branch(
    pods: tuple[PodNode, ...], severities: Mapping[str, Severity], view: ViewState, old: _Branch | None
) -> _Branch | None:
    """Build the rows of some pods, the first of which is at the top; None if nothing of them is shown."""
    if len(pods) == 1 and len(pods[0].containers) == 1 and pods[0].kind not in _ALWAYS_PODS:
        return _leaf(pods, severities, view, old)
    children = _children(pods, view)
    if None not in children:
        return None
    tree = _Tree(view, severities, children, old.entries if old else {}, [], {})
    tree.add_below(None, depth=0)
    keys = frozenset(key for pod in pods for key in (pod.key, *(each.key for each in pod.containers)))
    top = tree.entries[tree.rows[0].line.node.key]
    return _Branch(pods, keys, top, tuple(tree.rows), tree.entries)


def _leaf(
    pods: tuple[PodNode, ...], severities: Mapping[str, Severity], view: ViewState, old: _Branch | None
) -> _Branch | None:
    """Build the row of a container by itself: what most of the rows are."""
    container = pods[0].containers[0]
    if not _shown(pods[0], view) or container.outer == container.key:
        return None
    severity = severities.get(container.key)
    if old is None or len(old.entries) != 1 or (known := old.top.line.node).key != container.key:
        entry, keys = _entry(container, severity, view), frozenset((pods[0].key, container.key))
    else:
        # With the same name and state its place among the names is the same.
        is_same = isinstance(known, ContainerNode) and known.info is container.info
        entry, keys = _entry(container, severity, view, old.top.by_name if is_same else None), old.keys
    return _Branch(pods, keys, entry, (Row(f"container:{container.key}", 0, entry.line),), {container.key: entry})


Children = Mapping[str | None, list[Node]]
"""What is right below each pod and container, by key; under None, what is at the top."""


def _children(pods: Sequence[PodNode], view: ViewState) -> Children:
    shown = [(pod, _shown(pod, view)) for pod in pods]
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
    if not severities:
        return severities
    for pod in snapshot.pods:
        for container in pod.containers:
            if container.key in severities:
                worst_one = severities[container.key]
                severities[pod.key] = max(severities.get(pod.key, worst_one), worst_one)
    return severities


def _shown(pod: PodNode, view: ViewState) -> Sequence[ContainerNode]:
    if view.has_stopped and not view.filter:
        return pod.containers
    return [each for each in pod.containers if _is_shown(pod, each, view)]


def _is_shown(pod: PodNode, container: ContainerNode, view: ViewState) -> bool:
    return (view.has_stopped or not container.info.state.is_stopped) and view.filter.matches(pod, container)


def _entry(
    node: Node, severity: Severity | None, view: ViewState, by_name: tuple[bool, str, str] | None = None
) -> _Entry:
    line = Line(node, severity)
    if by_name is None:
        by_name = (not line.is_live, title_of(node).lower(), node.key)
    return _Entry(line, by_name, BY_NAME[view.sort].value(line))


def _by_value(by_name: list[T], values: list[float | str | None], view: ViewState) -> list[T]:
    """Sort what is in the order of the names by the chosen column; what is unknown comes last either way."""
    is_descending = (view.sort not in ASCENDING) != view.is_reversed
    known = [(value, each) for value, each in zip(values, by_name, strict=True) if value is not None]
    known.sort(key=lambda pair: pair[0], reverse=is_descending)
    unknown = [each for value, each in zip(values, by_name, strict=True) if value is None]
    return [each for _, each in known] + unknown


@dataclass(frozen=True, slots=True)
class _Tree:
    view: ViewState
    severities: Mapping[str, Severity]
    children: Children
    known: Mapping[str, _Entry]
    """The entries of before, for this view."""
    rows: list[Row]
    entries: dict[str, _Entry]

    def add_below(self, parent: str | None, depth: int) -> None:
        """Add the rows of what is below a node, each with what is below it."""
        by_name = sorted((self._entry(node) for node in self.children.get(parent, [])), key=attrgetter("by_name"))
        ordered = _by_value(by_name, [entry.value for entry in by_name], self.view)
        for entry in ordered:
            line = entry.line
            kind = "pod" if isinstance(line.node, PodNode) else "container"
            key = f"{kind}:{line.node.key}"
            has_more = line.node.key in self.children
            is_expanded = has_more and key not in self.view.collapsed
            self.rows.append(Row(key, depth, line, has_more, is_expanded, depth > 0 and entry is ordered[-1]))
            if is_expanded:
                self.add_below(line.node.key, depth + 1)

    def _entry(self, node: Node) -> _Entry:
        severity = self.severities.get(node.key)
        entry = self.known.get(node.key)
        if entry is None or entry.line.node is not node or entry.line.severity is not severity:
            entry = _entry(node, severity, self.view)
        self.entries[node.key] = entry
        return entry
