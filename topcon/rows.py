"""Which rows there are, and in which order: a snapshot and what the person chose, nothing else."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import groupby
from math import isnan, nan
from operator import attrgetter, is_
from typing import TYPE_CHECKING, NamedTuple, TypeVar, overload

from topcon.columns import ASCENDING, BY_NAME, DEFAULT_SET, DEFAULT_SORT, NOTHING_FOUND, HostSize, Line, Node
from topcon.filter import Filter
from topcon.model.derive import total
from topcon.model.history import History
from topcon.model.join import FOLDED
from topcon.model.sample import PodKind, Role
from topcon.model.snapshot import ContainerNode, PodNode, Severity
from topcon.model.tombstones import ended_badly

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from topcon.columns import Found
    from topcon.model.sample import ContainerKey
    from topcon.model.snapshot import Finding, Snapshot

    Place = tuple[bool, str, str]
    """Where something belongs by its name: what does not run is last."""

T = TypeVar("T")

EVERYTHING = Filter()


FOLDED_AT_FIRST = frozenset(f"pod:{PodKind.NAMESPACE}:{pod}" for pod in FOLDED)
"""The rows of what would flood the tree."""
_SYSTEM = frozenset(key.removeprefix("pod:") for key in FOLDED_AT_FIRST)
_ALWAYS_PODS = frozenset({PodKind.KUBERNETES, PodKind.PODMAN, PodKind.NOMAD, PodKind.ECS})
"""Their names say more than that of a container in them, which may have its like in every other."""
GROUP_HISTORY = 60
"""How many of the last values are added up for a group."""


class Arrangement(StrEnum):
    """What hangs below what."""

    TREE = "tree"
    FLAT = "flat"
    PODS = "pods"
    """The tree, folded."""
    IMAGES = "images"
    RUNTIMES = "runtimes"


FOLDS = frozenset({Arrangement.PODS, Arrangement.IMAGES, Arrangement.RUNTIMES})
"""In these each row is folded until it is unfolded."""


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
    has_gone: bool = True
    """The tombstones of what was removed lately; they are not in groups, which count what there is."""
    only_sick: bool = False
    """Only containers with a warning or worse."""
    arrangement: Arrangement = Arrangement.TREE
    column_set: str = DEFAULT_SET
    columns: tuple[str, ...] | None = None
    """The names of the columns that the person chose, in their order; None for those of the set."""
    scroll: int = 0
    """How many of the columns beside the name are scrolled out of sight, to the left."""
    marks: frozenset[str] = frozenset()
    """The keys of the rows that are marked."""
    unfolded: frozenset[str] = frozenset()
    """The keys of the rows that are unfolded, where rows are folded at first."""
    is_open: bool = False
    """Whether nothing is folded, whatever the two say."""

    @property
    def is_choosy(self) -> bool:
        """Whether it keeps any container out of sight."""
        shows_all = self.has_stopped and self.has_sandboxes and self.has_system and not self.only_sick
        return not shows_all or bool(self.filter)

    def is_folded(self, key: str) -> bool:
        """Whether a row is folded, if there is anything to fold."""
        if self.is_open:
            return False
        return key not in self.unfolded if self.arrangement in FOLDS else key in self.collapsed

    def toggled(self, key: str) -> ViewState:
        """Fold a row, or unfold it."""
        if self.arrangement in FOLDS:
            return replace(self, unfolded=self.unfolded ^ {key})
        return replace(self, collapsed=self.collapsed ^ {key})

    def all_toggled(self, shown: Iterable[Row]) -> ViewState:
        """Fold all of the rows that can be, or, if one of them is, unfold all."""
        foldable = [row for row in shown if row.is_expandable]
        is_open = all(row.is_expanded for row in foldable)
        keys = frozenset(row.key for row in foldable)
        if self.arrangement in FOLDS:
            return replace(self, unfolded=frozenset() if is_open else keys)
        return replace(self, collapsed=keys if is_open else frozenset())

    def of_rows(self) -> ViewState:
        """Leave out what makes no difference to which rows there are, and in which order."""
        return replace(self, column_set=DEFAULT_SET, columns=None, scroll=0, marks=frozenset())


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
    found: Mapping[str, Found] = field(compare=False, repr=False)
    branches: Mapping[str, _Branch] = field(compare=False, repr=False)
    """What is at the top, by the key of its pod; in the order of their names."""
    order: tuple[str, ...] = field(default=(), compare=False, repr=False)
    """The keys of the branches, from top to bottom."""
    is_settled: bool = field(default=True, compare=False, repr=False)
    """Whether the order is that of the values as they are now."""
    tombs: tuple[PodNode, ...] = field(default=(), compare=False, repr=False)

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
    by_name: Place
    value: float | str | None
    shown: str | None
    """What is shown of a value that goes up and down: of those that show the same, none is the greater."""


class _Family(NamedTuple):
    """What a branch is made of."""

    key: str
    nodes: tuple[Node, ...]
    """Pods, of which the first is at the top; where the tree is not that of the pods, containers."""
    titles: tuple[str, ...] = ()
    """Of the containers: the titles of their pods."""
    prefixed: tuple[bool, ...] = ()
    """Of the containers: whether these stand before their names."""
    tombs: tuple[PodNode, ...] = ()
    """The pods of the tombstones that belong to its pods."""

    def is_made_of(self, old: _Branch) -> bool:
        """Whether a branch would be built of the very same."""
        before = old.family
        return (
            len(before.nodes) == len(self.nodes) and all(map(is_, before.nodes, self.nodes)) and before[2:] == self[2:]
        )


class _Branch(NamedTuple):
    """What is at the top: a pod, a group or a container, with all that is below it."""

    family: _Family
    keys: frozenset[str]
    """Of all the pods and containers."""
    top: _Entry
    rows: tuple[Row, ...]
    entries: Mapping[str, _Entry]
    is_settled: bool = True
    """Whether all that is below it is in the order of the values as they are now."""

    @property
    def by_name(self) -> Place:
        """Where it belongs by its name."""
        return self.top.by_name


@dataclass(frozen=True, slots=True)
class _Making:
    """What rows are made by."""

    snapshot: Snapshot
    view: ViewState
    found: Mapping[str, Found]
    is_held: bool
    tombs: Mapping[str, PodNode] = field(default_factory=dict)
    """The pods of tombstones, by their keys; none where these are hidden."""

    @property
    def host(self) -> HostSize:
        """What its host has."""
        host = self.snapshot.host.sample
        return HostSize(host.cpus, host.memory_total_bytes)


def rows(snapshot: Snapshot, view: ViewState, before: Rows | None = None, *, is_held: bool = False) -> Rows:
    """Build the rows: pods with their containers below them, a pod of one container as that container's row.

    Given the rows ``before``, what has not changed is the very same object: all of them, if nothing has. While
    ``is_held``, rows keep the order of before; only what is new or has become critical, or of which nothing was known,
    goes to its place at once.
    """
    view = view.of_rows()
    if before is not None and before.view != view:
        before = None
    is_held = is_held and before is not None
    is_kept = before is not None and (is_held or before.is_settled)
    if view.filter.is_timed:
        view = replace(view, filter=view.filter.at(snapshot.sample.wall_ns))
    elif before is not None and is_kept and _is_same(snapshot, before):
        return before
    found = found_in(snapshot)
    known = before.found if before is not None and found == before.found else found
    tombs = {pod.key: pod for pod in snapshot.tombs} if view.has_gone else {}
    making = _Making(snapshot, view, known, is_held, tombs)
    branches = _branches(making, before)
    if before is not None:
        is_same = len(branches) == len(before.branches) and all(map(is_, branches.values(), before.branches.values()))
        if is_same and is_kept:
            found = making.found
            return replace(before, pods=snapshot.pods, findings=snapshot.findings, found=found, tombs=snapshot.tombs)
    return _in_order(making, branches, before)


def _is_same(snapshot: Snapshot, before: Rows) -> bool:
    """Whether a snapshot has what rows were made of."""
    is_same = snapshot.pods is before.pods and snapshot.findings is before.findings
    return is_same and snapshot.tombs is before.tombs


def _in_order(making: _Making, branches: Mapping[str, _Branch], before: Rows | None) -> Rows:
    view = making.view
    there, gone = _parted(list(branches.values()), _TOP, making)
    by_value = ordered = _by_value(there, _TOP, view)
    if before is not None and making.is_held:
        places = {key: at for at, key in enumerate(before.order)}
        loose = frozenset(
            key
            for key, branch in ((branch.family.key, branch) for branch in there)
            if key not in places or _is_loose(branch.top, before.branches[key].top)
        )
        ordered = _kept(by_value, lambda branch: branch.family.key, places, loose)
    is_settled = all(map(is_, ordered, by_value)) and all(branch.is_settled for branch in ordered)
    # What is gone comes last, however the rest is sorted.
    ordered = [*ordered, *gone]
    shown = tuple(row for branch in ordered for row in branch.rows)
    order = tuple(branch.family.key for branch in ordered)
    snapshot = making.snapshot
    about = snapshot.pods, snapshot.findings, view, making.found
    return Rows(shown, *about, branches, order, is_settled, snapshot.tombs)


def _parted(every: list[T], entry_of: Callable[[T], _Entry], making: _Making) -> tuple[list[T], list[T]]:
    """Part what is there from what is gone, of which the newest is put first."""
    if not making.tombs:
        return every, []
    there = [each for each in every if not entry_of(each).line.is_gone]
    gone = [each for each in every if entry_of(each).line.is_gone]
    return there, sorted(gone, key=lambda each: -_gone_ns(entry_of(each).line.node))


def _gone_ns(node: Node) -> int:
    newest = node.containers[0] if isinstance(node, PodNode) else node
    return newest.gone_ns or 0


def _branches(making: _Making, before: Rows | None) -> Mapping[str, _Branch]:
    """Build what is at the top, in the order of the names; take from ``before`` what is as it was."""
    known = before.branches if before is not None else {}
    changed: frozenset[str] = frozenset()
    if before is not None and making.found is not before.found:
        keys = making.found.keys() | before.found.keys()
        changed = frozenset(key for key in keys if making.found.get(key) != before.found.get(key))
    branches: dict[str, _Branch] = {}
    is_in_order = True
    build = _BUILDERS.get(making.view.arrangement, _branch)
    # Of the same pods time alone can let others through.
    is_filtered_later = making.view.filter.is_timed and build is _branch
    for family in _FAMILIES.get(making.view.arrangement, _families)(making):
        old = known.get(family.key)
        is_as_before = old is not None and family.is_made_of(old) and (not changed or changed.isdisjoint(old.keys))
        is_kept = is_as_before and old is not None and (making.is_held or old.is_settled)
        if old is not None and is_kept and not is_filtered_later:
            branches[family.key] = old
            continue
        branch = build(family, making, old)
        if old is not None and is_kept and branch is not None and branch.rows == old.rows:
            branch = old
        if branch is not None:
            branches[family.key] = branch
            is_in_order = is_in_order and old is not None and old.by_name == branch.by_name
    if is_in_order and branches.keys() == known.keys():
        return {key: branches[key] for key in known}
    return dict(sorted(branches.items(), key=lambda item: item[1].by_name))


def _families(making: _Making) -> Iterable[_Family]:
    """Put pods that are nested in containers of others to these."""
    families = list(_families_there(making))
    if not making.tombs:
        return families
    there = {node.key for family in families for node in family.nodes}
    tombs = making.tombs
    # A pod of which nothing is left has its tombstones to itself.
    return [
        *(
            family._replace(tombs=tuple(tombs[node.key] for node in family.nodes if node.key in tombs))
            for family in families
        ),
        *(_Family(key, (pod,)) for key, pod in tombs.items() if key not in there),
    ]


def _families_there(making: _Making) -> Iterable[_Family]:
    pods = making.snapshot.pods
    nested = [pod for pod in pods if pod.outer is not None]
    if not nested:
        return [_Family(pod.key, (pod,)) for pod in pods]
    homes: dict[ContainerKey, PodNode] = {each.key: pod for pod in pods for each in _shown(pod, making)}
    inner: dict[str, list[PodNode]] = {}
    for pod in nested:
        if pod.outer in homes:
            inner.setdefault(homes[pod.outer].key, []).append(pod)
    return [
        _Family(pod.key, tuple(_with_inner(pod, inner)) if pod.key in inner else (pod,))
        for pod in pods
        if pod.outer is None or pod.outer not in homes
    ]


def _with_inner(pod: PodNode, inner: Mapping[str, list[PodNode]]) -> Iterator[PodNode]:
    yield pod
    for each in inner.get(pod.key, ()):
        yield from _with_inner(each, inner)


def _each(making: _Making) -> Iterable[_Family]:
    """Every container by itself."""
    return [
        _Family(container.key, (container,), (_title(pod),), (_is_prefixed(pod),))
        for pod in (*making.snapshot.pods, *making.tombs.values())
        for container in _shown(pod, making)
    ]


def _grouped(kind: str, name_of: Callable[[ContainerNode], str]) -> Callable[[_Making], Iterable[_Family]]:
    """Put together the containers that have something in common."""

    def families(making: _Making) -> Iterable[_Family]:
        groups: dict[str, list[tuple[ContainerNode, PodNode]]] = {}
        for pod in making.snapshot.pods:
            for container in _shown(pod, making):
                groups.setdefault(name_of(container), []).append((container, pod))
        for name, members in groups.items():
            titles = tuple(_title(pod) for _, pod in members)
            prefixed = tuple(_is_prefixed(pod) for _, pod in members)
            yield _Family(f"{kind}:{name}", tuple(container for container, _ in members), titles, prefixed)

    return families


def _image_of(container: ContainerNode) -> str:
    return container.info.image or "no image"


def _runtime_of(container: ContainerNode) -> str:
    return container.info.runtime


def _title(pod: PodNode) -> str:
    return "" if pod.kind is PodKind.SINGLE else pod.title


def _is_prefixed(pod: PodNode) -> bool:
    return pod.kind in _ALWAYS_PODS


def group_of(snapshot: Snapshot, key: str) -> PodNode | None:
    """Return the containers of an image or a runtime, by the key of their row's node; None if there are none."""
    for families in (_FAMILIES[Arrangement.IMAGES], _FAMILIES[Arrangement.RUNTIMES]):
        for family in families(_Making(snapshot, ViewState(), {}, is_held=False)):
            if family.key == key:
                return _group(family, snapshot.tick)
    return None


def _group(family: _Family, tick: int) -> PodNode:
    containers = tuple(node for node in family.nodes if isinstance(node, ContainerNode))
    keys = {container.key for container in containers}
    # As in the total: the CPU of a nested one is in its outer one's already.
    histories = [each.usage.cpu_history for each in containers if each.outer not in keys]
    usage = total(containers)._replace(cpu_history=_added(histories, tick))
    started_ns = min((each.started_ns for each in containers if each.started_ns is not None), default=None)
    name = family.key.partition(":")[2]
    return PodNode(family.key, PodKind.SINGLE, name, containers, usage, started_ns)


def _added(histories: Iterable[History], tick: int) -> History:
    """Add up the last values of histories; a value is unknown where all are."""
    sums = array("f")
    for values in zip(*(_last_of(history, tick) for history in histories), strict=True):
        total = sum(values)
        if isnan(total):
            known = [value for value in values if not isnan(value)]
            total = sum(known) if known else nan
        sums.append(total)
    return History(sums.tobytes(), tick)


def _last_of(history: History, tick: int) -> array[float]:
    """Return the last values of a history as it keeps them, NaN for what is unknown: as many as are added up."""
    known = array("f", history.packed)[-GROUP_HISTORY:]
    last = known[-1:] * min(tick - history.newest, GROUP_HISTORY)
    return (array("f", [nan]) * GROUP_HISTORY + known + last)[-GROUP_HISTORY:]


def _single(family: _Family, making: _Making, old: _Branch | None) -> _Branch:
    """Build the row of a container that nothing is below of."""
    del old
    (container,) = family.nodes
    line = _line(container, making, family.titles[0], is_prefixed=family.prefixed[0])
    entry = _entry(line, making.view)
    return _Branch(
        family,
        frozenset((container.key,)),
        entry,
        (Row(f"container:{container.key}", 0, line),),
        {container.key: entry},
    )


def _group_branch(family: _Family, making: _Making, old: _Branch | None) -> _Branch:
    """Build the rows of a group: its own, and those of its containers, none below another."""
    group = _group(family, making.snapshot.tick)
    found = _merged(making.found.get(container.key, NOTHING_FOUND) for container in family.nodes)
    children: Children = {None: [group], group.key: list(family.nodes)}
    told = zip(family.nodes, family.titles, family.prefixed, strict=True)
    titles: dict[str, tuple[str, bool]] = {node.key: (title, is_prefixed) for node, title, is_prefixed in told}
    tree = _Tree(replace(making, found={**making.found, group.key: found}), children, titles, old)
    return tree.branch(family, frozenset((group.key, *(node.key for node in family.nodes))))


def _branch(family: _Family, making: _Making, old: _Branch | None) -> _Branch | None:
    """Build the rows of some pods, the first of which is at the top; None if nothing of them is shown."""
    pods = tuple(node for node in family.nodes if isinstance(node, PodNode))
    tombs = {pod.key: list(stones) for pod in family.tombs if (stones := _shown(pod, making))}
    if not tombs and len(pods) == 1 and len(pods[0].containers) == 1 and pods[0].kind not in _ALWAYS_PODS:
        return _leaf(family, pods[0], making, old)
    children = _children(pods, making, tombs)
    if None not in children:
        return None
    every = (*pods, *family.tombs)
    titles: dict[str, tuple[str, bool]] = {each.key: (_title(pod), False) for pod in every for each in pod.containers}
    keys = frozenset(key for pod in every for key in (pod.key, *(each.key for each in pod.containers)))
    return _Tree(making, children, titles, old).branch(family, keys)


def _leaf(family: _Family, pod: PodNode, making: _Making, old: _Branch | None) -> _Branch | None:
    """Build the row of a container by itself: what most of the rows are."""
    (container,) = pod.containers
    if not _shown(pod, making) or container.outer == container.key:
        return None
    line = _line(container, making, _title(pod))
    if old is None or len(old.entries) != 1 or (known := old.top.line.node).key != container.key:
        entry, keys = _entry(line, making.view), frozenset((pod.key, container.key))
    else:
        # With the same name and state its place among the names is the same.
        is_same = isinstance(known, ContainerNode) and known.info is container.info
        entry, keys = _entry(line, making.view, old.top.by_name if is_same else None), old.keys
    return _Branch(family, keys, entry, (Row(f"container:{container.key}", 0, line),), {container.key: entry})


Children = Mapping[str | None, list[Node]]
"""What is right below each pod and container, by key; under None, what is at the top."""


def _children(pods: Sequence[PodNode], making: _Making, tombs: Mapping[str, list[ContainerNode]]) -> Children:
    """Put what is shown below what it is in; tombstones, by the keys of their pods, come below these."""
    shown = [(pod, _shown(pod, making)) for pod in pods]
    keys = {container.key for _, containers in shown for container in containers}
    children: dict[str | None, list[Node]] = {}
    for pod, containers in shown:
        own = {container.key for container in containers}
        stones = tombs.get(pod.key, [])
        top: list[Node] = [container for container in containers if container.outer not in own]
        if not top and not stones:
            continue
        only = None if stones else _sole(pod, top)
        children.setdefault(pod.outer if pod.outer in keys else None, []).append(only or pod)
        children[pod.key] = [*top, *stones]
        for container in containers:
            if container.outer in own:
                children.setdefault(container.outer, []).append(container)
    return children


def _sole(pod: PodNode, top: list[Node]) -> Node | None:
    """Return the container whose row says all that its pod's would; None if the pod has a row."""
    if pod.kind in _ALWAYS_PODS:
        return None
    return top[0] if len(pod.containers) == 1 or (len(top) == 1 and top[0].name == pod.name) else None


def found_in(snapshot: Snapshot) -> Mapping[str, Found]:
    """Return what was found in each thing in which anything was: in containers, and in the pods they are in."""
    found: dict[str, dict[str, Severity]] = {}
    for finding in snapshot.findings:
        own = found.setdefault(finding.target, {})
        own[finding.code] = max(own.get(finding.code, finding.severity), finding.severity)
    if found:
        for pod in snapshot.pods:
            inside = [found[each.key] for each in pod.containers if each.key in found]
            if inside:
                found[pod.key] = _merged([found.get(pod.key, {}), *inside])
    return found


def _merged(found: Iterable[Found]) -> dict[str, Severity]:
    merged: dict[str, Severity] = {}
    for each in found:
        for code, severity in each.items():
            merged[code] = max(merged.get(code, severity), severity)
    return merged


def _shown(pod: PodNode, making: _Making) -> Sequence[ContainerNode]:
    view = making.view
    if not view.is_choosy:
        return pod.containers
    if not view.has_system and pod.key in _SYSTEM:
        return ()
    return [each for each in pod.containers if _is_shown(pod, each, making)]


def _is_shown(pod: PodNode, container: ContainerNode, making: _Making) -> bool:
    view, info = making.view, container.info
    return (
        (view.has_stopped or not info.state.is_stopped or container.is_gone)
        and (view.has_sandboxes or info.role is not Role.SANDBOX)
        and (not view.only_sick or _is_sick(container, making))
        and view.filter.matches(pod, container)
    )


def _is_sick(container: ContainerNode, making: _Making) -> bool:
    if container.is_gone:
        return ended_badly(container)
    return any(severity >= Severity.WARNING for severity in making.found.get(container.key, NOTHING_FOUND).values())


def _line(node: Node, making: _Making, pod: str = "", *, is_prefixed: bool = False) -> Line:
    found = making.found.get(node.key, NOTHING_FOUND)
    return Line(node, max(found.values(), default=None), found, pod, is_prefixed, making.host)


def _entry(line: Line, view: ViewState, by_name: Place | None = None) -> _Entry:
    if by_name is None:
        by_name = (not line.is_live, line.title.lower(), line.node.key)
    column = BY_NAME[view.sort]
    # A sparkline has no text: it is sorted by what it ends with.
    shown = column.text(line, 0) if column.is_live and column.history is None else None
    return _Entry(line, by_name, column.value(line), shown)


def _is_named_alike(line: Line, node: Node, title: tuple[str, bool]) -> bool:
    """Whether a container has the name and the state that it had, so that its place among the names is the same."""
    known = line.node
    is_same = isinstance(known, ContainerNode) and isinstance(node, ContainerNode) and known.info is node.info
    return is_same and (line.pod, line.is_prefixed) == title


def _is_loose(now: _Entry, before: _Entry) -> bool:
    """Whether something does not wait for its place: it has become critical, or its value is known only now."""
    if now.value is not None and before.value is None:
        return True
    return now.line.severity is Severity.CRITICAL and before.line.severity is not Severity.CRITICAL


_TOP: Callable[[_Branch], _Entry] = attrgetter("top")


def _itself(entry: _Entry) -> _Entry:
    return entry


def _by_value(by_name: list[T], entry_of: Callable[[T], _Entry], view: ViewState) -> list[T]:
    """Sort what is in the order of the names by the chosen column; what is unknown comes last either way.

    What shows the same is in the order of the names: rows do not change places for what nobody sees.
    """
    is_descending = (view.sort not in ASCENDING) != view.is_reversed
    entries = [entry_of(each) for each in by_name]
    known = [(entry.value, at) for at, entry in enumerate(entries) if entry.value is not None]
    known.sort(key=lambda pair: pair[0], reverse=is_descending)
    places = [at for _, at in known]
    if BY_NAME[view.sort].is_live:
        alike = groupby(known, lambda pair: entries[pair[1]].shown or pair[0])
        places = [at for _, same in alike for at in sorted(at for _, at in same)]
    unknown = [each for entry, each in zip(entries, by_name, strict=True) if entry.value is None]
    return [by_name[at] for at in places] + unknown


def _kept(ordered: list[T], key_of: Callable[[T], str], places: Mapping[str, int], loose: frozenset[str]) -> list[T]:
    """Put what is in order back to where it was; what is loose goes before the first that it now comes before."""
    kept = sorted((each for each in ordered if key_of(each) not in loose), key=lambda each: places[key_of(each)])
    if not loose:
        return kept
    ranks = {key_of(each): at for at, each in enumerate(ordered)}
    # The greatest rank so far never falls, so that it can be searched.
    highest, so_far = [], -1
    for each in kept:
        so_far = max(so_far, ranks[key_of(each)])
        highest.append(so_far)
    result, begin = [], 0
    for each in (each for each in ordered if key_of(each) in loose):
        at = bisect_left(highest, ranks[key_of(each)])
        result += [*kept[begin:at], each]
        begin = at
    return result + kept[begin:]


class _Tree:
    """Builds the rows of a branch."""

    def __init__(
        self, making: _Making, children: Children, titles: Mapping[str, tuple[str, bool]], old: _Branch | None
    ) -> None:
        """Begin with nothing; take what has not changed from the branch ``old``."""
        self._making = making
        self._children = children
        self._titles = titles
        self._old = old
        self._places = {row.line.node.key: at for at, row in enumerate(old.rows)} if old and making.is_held else {}
        self._rows: list[Row] = []
        self._entries: dict[str, _Entry] = {}
        self._is_settled = True

    def branch(self, family: _Family, keys: frozenset[str]) -> _Branch:
        """Build the branch."""
        self._add_below(None, depth=0)
        top = self._entries[self._rows[0].line.node.key]
        return _Branch(family, keys, top, tuple(self._rows), self._entries, self._is_settled)

    def _add_below(self, parent: str | None, depth: int) -> None:
        """Add the rows of what is below a node, each with what is below it."""
        view = self._making.view
        by_name = sorted((self._entry(node) for node in self._children.get(parent, [])), key=attrgetter("by_name"))
        there, gone = _parted(by_name, _itself, self._making)
        ordered = [*self._held(_by_value(there, _itself, view)), *gone]
        for entry in ordered:
            line = entry.line
            kind = "pod" if isinstance(line.node, PodNode) else "container"
            key = f"{kind}:{line.node.key}"
            has_more = line.node.key in self._children
            is_expanded = has_more and not view.is_folded(key)
            self._rows.append(Row(key, depth, line, has_more, is_expanded, depth > 0 and entry is ordered[-1]))
            if is_expanded:
                self._add_below(line.node.key, depth + 1)

    def _held(self, ordered: list[_Entry]) -> list[_Entry]:
        """Keep the order of before, while it is to be kept."""
        if self._old is None or not self._making.is_held:
            return ordered
        known = self._old.entries
        loose = frozenset(
            entry.line.node.key
            for entry in ordered
            if entry.line.node.key not in self._places or _is_loose(entry, known[entry.line.node.key])
        )
        kept = _kept(ordered, lambda entry: entry.line.node.key, self._places, loose)
        self._is_settled = self._is_settled and all(map(is_, kept, ordered))
        return kept

    def _entry(self, node: Node) -> _Entry:
        title, is_prefixed = self._titles.get(node.key, ("", False))
        entry = self._old.entries.get(node.key) if self._old is not None else None
        # As in a line: what was found, and what it is called.
        about = self._making.found.get(node.key, NOTHING_FOUND), title, is_prefixed, self._making.host
        if entry is None or entry.line.node is not node or entry.line[2:] != about:
            by_name = (
                entry.by_name if entry is not None and _is_named_alike(entry.line, node, (title, is_prefixed)) else None
            )
            entry = _entry(_line(node, self._making, title, is_prefixed=is_prefixed), self._making.view, by_name)
        self._entries[node.key] = entry
        return entry


_FAMILIES: Mapping[Arrangement, Callable[[_Making], Iterable[_Family]]] = {
    Arrangement.FLAT: _each,
    Arrangement.IMAGES: _grouped("image", _image_of),
    Arrangement.RUNTIMES: _grouped("runtime", _runtime_of),
}
_BUILDERS: Mapping[Arrangement, Callable[[_Family, _Making, _Branch | None], _Branch | None]] = {
    Arrangement.FLAT: _single,
    Arrangement.IMAGES: _group_branch,
    Arrangement.RUNTIMES: _group_branch,
}
"""Those that have neither are made of pods."""
