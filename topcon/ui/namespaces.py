"""Which container lives in which namespaces, and who else does (namespaces(7)). No Textual here."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from itertools import count, product
from string import ascii_uppercase
from typing import TYPE_CHECKING

from topcon.columns import SEVERITY_MARKS, title_of
from topcon.model.namespaces import identity_of, residents_of
from topcon.model.sample import NAMESPACE_KINDS, PodKind, Source
from topcon.model.snapshot import ContainerNode, PodNode, Severity
from topcon.rows import FOLDED_AT_FIRST, Arrangement, rows
from topcon.text import UNKNOWN, cell_width, cut, padded, printable
from topcon.ui.spans import Span, Spans, Tone, fitted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from topcon.model.sample import ContainerKey, HostSample
    from topcon.model.security import Danger, Privileges
    from topcon.model.snapshot import Snapshot
    from topcon.rows import Row, ViewState

HOST, OWN = "host", "·"
"""What a cell says of a namespace that is the host's, and of one that nobody else is in."""

CELL_WIDTH = 4
LEAST_NAME, MOST_NAME = 12, 44
LEAST_NOTE = 24
GAP = 2
_GAP_BEFORE_NOTE = 3
_TITLE_INDENT = 3
_INODE_WIDTH = 10
_FEW = 2

_HOST_TONES = {"net": Tone.WARN, "pid": Tone.WARN, "mnt": Tone.WARN, "ipc": Tone.WARN, "uts": Tone.PLAIN}
"""Most containers are in the host's user and time namespaces; in these, one is less isolated than the others."""
_PREFIXED = frozenset({PodKind.KUBERNETES, PodKind.NOMAD, PodKind.ECS})
"""In other pods a container's name tells it from all on the host."""


@dataclass(frozen=True, slots=True)
class Sharing:
    """Containers that are in the same namespaces, of one kind or more."""

    letter: str
    members: tuple[ContainerKey, ...]
    inodes: Mapping[str, int | None]
    """Kind to inode; None where it may not be read."""


@dataclass(frozen=True, slots=True)
class NamespaceMap:
    """Who lives where."""

    cells: Mapping[ContainerKey, Mapping[str, str]]
    """Kind to `HOST`, `OWN`, the letter of a sharing, or `UNKNOWN`; of each container that has a process."""
    sharings: tuple[Sharing, ...]
    at_host: Mapping[str, tuple[ContainerKey, ...]]
    """Kind to those in the host's namespace."""


def map_namespaces(snapshot: Snapshot) -> NamespaceMap:
    """Find out who shares which namespace.

    Those that share a namespace of one kind often share those of others too: the same company has one letter.
    """
    nodes = [node for pod in snapshot.pods for node in pod.containers if node.process is not None]
    host = snapshot.sample.host
    at_host = {kind: tuple(node.key for node in nodes if kind in node.shared_with_host) for kind in NAMESPACE_KINDS}
    companies: dict[tuple[ContainerKey, ...], dict[str, int | None]] = {}
    inodes = {node.key: node.process.namespaces for node in nodes if node.process}
    for (kind, _), keys in residents_of(snapshot).items():
        if len(keys) > 1:
            companies.setdefault(tuple(keys), {})[kind] = getattr(inodes[keys[0]], kind)
    sharings = tuple(
        Sharing(letter, members, kinds) for letter, (members, kinds) in zip(_letters(), companies.items(), strict=False)
    )
    letters = {(key, kind): each.letter for each in sharings for key in each.members for kind in each.inodes}
    cells = {
        node.key: {kind: letters.get((node.key, kind)) or _alone(node, kind, host) for kind in NAMESPACE_KINDS}
        for node in nodes
    }
    return NamespaceMap(cells, sharings, at_host)


def _alone(node: ContainerNode, kind: str, host: HostSample) -> str:
    if kind in node.shared_with_host:
        return HOST
    hosts = host.netns if kind == "net" and node.netns is not None else getattr(host.namespaces, kind)
    return UNKNOWN if identity_of(node, kind) is None or hosts is None else OWN


def _letters() -> Iterator[str]:
    """Return A to Z, then AA, AB and so on."""
    for length in count(1):
        for letters in product(ascii_uppercase, repeat=length):
            yield "".join(letters)


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns that fit on the screen."""

    name_width: int
    kinds: tuple[str, ...]
    gap: int
    note_width: int
    """For the others in a row's namespaces; 0 for no such column."""


def layout(width: int, longest_name: int) -> Layout:
    """Choose the columns: on a narrow screen the last kinds are left out."""
    gap = GAP
    kinds = list(NAMESPACE_KINDS)

    def left() -> int:
        return width - 1 - sum(gap + _cell_width(kind) for kind in kinds)

    if left() < LEAST_NAME:
        gap = 1
    while len(kinds) > 1 and left() < LEAST_NAME:
        kinds.pop()
    name_width = max(min(left(), max(longest_name, LEAST_NAME), MOST_NAME), 1)
    note_width = left() - name_width - _GAP_BEFORE_NOTE
    return Layout(name_width, tuple(kinds), gap, note_width if note_width >= LEAST_NOTE else 0)


def _cell_width(kind: str) -> int:
    return max(len(kind), CELL_WIDTH)


@dataclass(frozen=True, slots=True)
class NamespaceLines:
    """What the screen shows."""

    title: Spans
    """The line of titles; it does not scroll."""
    lines: list[Spans]


def namespace_lines(
    snapshot: Snapshot, view: ViewState, width: int, privileges: Privileges | None = None
) -> NamespaceLines:
    """Write a row for each container that runs, grouped and filtered as in the tree, then who shares what.

    With ``privileges``, what is dangerous in them follows, and what is left of others.
    """
    # By name, so that rows stand still; and what the tree does not fold at first has no key here to unfold it.
    folded = view.collapsed & FOLDED_AT_FIRST
    view = replace(view, arrangement=Arrangement.TREE, sort="name", is_reversed=False, collapsed=folded)
    view = replace(view, has_stopped=False, has_gone=False)
    shown = rows(snapshot, view)
    if not shown:
        return NamespaceLines([], [[], fitted([Span(f"   {_empty(view)}")], width)])
    page = _Page(snapshot, map_namespaces(snapshot), width, privileges)
    placed = layout(width, max(cell_width(_prefix(row)) + cell_width(_name(row)) for row in shown))
    keys = {row.container.key for row in shown if row.container}
    lines = [page.row(row, placed) for row in shown]
    lines += [[], _legend(), *page.sharings(keys), *page.at_host(keys), *page.dangers(keys), *page.leaks()]
    return NamespaceLines(fitted(_titles(placed), width), [fitted(line, width) for line in lines])


def _empty(view: ViewState) -> str:
    return "nothing that runs matches the filter" if view.filter else "no container runs on this host"


def _titles(placed: Layout) -> Spans:
    text = f" {'NAME':{placed.name_width}}"[: placed.name_width + 1]
    text += "".join(f"{'':{placed.gap}}{kind.upper():{_cell_width(kind)}}" for kind in placed.kinds)
    note = f"{'':{_GAP_BEFORE_NOTE}}SHARED WITH" if placed.note_width else ""
    return [Span(text + note, Tone.DIM)]


def _legend() -> Spans:
    return [
        Span(f" {OWN}", Tone.STRONG),
        Span(" its own   ", Tone.DIM),
        Span(HOST, Tone.WARN),
        Span(" the host's   ", Tone.DIM),
        Span("A", Tone.ACCENT),
        Span(" shared, one letter a group   ", Tone.DIM),
        Span(UNKNOWN, Tone.STRONG),
        Span(" unknown", Tone.DIM),
    ]


def _prefix(row: Row) -> str:
    """Draw the tree: two columns a level."""
    fold = "▸ " if row.is_expandable and not row.is_expanded else ""
    if row.depth == 0:
        return fold or "  "
    return "  " * row.depth + (fold or ("└ " if row.is_last else "├ "))


def _name(row: Row) -> str:
    folded = f" ({len(row.line.node.containers)})" if _is_folded(row) and isinstance(row.line.node, PodNode) else ""
    return f"{printable(title_of(row.line.node))}{folded}"


def _is_folded(row: Row) -> bool:
    return row.is_expandable and not row.is_expanded


class _Page:
    """What all lines are made of."""

    def __init__(self, snapshot: Snapshot, namespaces: NamespaceMap, width: int, privileges: Privileges | None) -> None:
        self._privileges = privileges
        self._namespaces = namespaces
        self._host = snapshot.sample.host
        self._width = width
        self._pods = {node.key: pod for pod in snapshot.pods for node in pod.containers}
        self._nodes = {node.key: node for pod in snapshot.pods for node in pod.containers}
        self._sharings: dict[ContainerKey, list[Sharing]] = defaultdict(list)
        for sharing in namespaces.sharings:
            for key in sharing.members:
                self._sharings[key].append(sharing)

    def row(self, row: Row, placed: Layout) -> Spans:
        """Write a container's row, or the name of its pod."""
        prefix = _prefix(row)[-max(placed.name_width - LEAST_NAME // 2, 1) :]
        text = prefix + padded(_name(row), max(placed.name_width - cell_width(prefix), 0), is_left=True)
        container = row.container
        if container is None:
            return [Span(f" {text}", Tone.STRONG)]
        found = self._privileges.dangers.get(container.key, ()) if self._privileges is not None else ()
        cells = self._namespaces.cells.get(container.key, {})
        spans = [Span(*_mark(found)), Span(text)] if found else [Span(f" {text}")]
        for kind in placed.kinds:
            cell = cells.get(kind, UNKNOWN)
            spans += [
                Span(" " * placed.gap),
                Span(padded(cell, _cell_width(kind), is_left=True), _cell_tone(kind, cell, container)),
            ]
        return [*spans, *self._note(container.key, placed.note_width)]

    def _note(self, key: ContainerKey, width: int) -> Spans:
        """Say with whom a container shares namespaces, for as long as there is room."""
        if not width or key not in self._sharings:
            return []
        spans = []
        for sharing in self._sharings[key]:
            others = ", ".join(self._label(other, beside=key) for other in sharing.members if other != key)
            spans += [Span(f"{sharing.letter} ", Tone.ACCENT), Span(f"{others}  ", Tone.DIM)]
        spans[-1] = Span(spans[-1].text.rstrip(), Tone.DIM)
        return [Span(" " * _GAP_BEFORE_NOTE), *fitted(spans, width)]

    def sharings(self, keys: AbstractSet[ContainerKey]) -> list[Spans]:
        """Write each letter of these rows, with its namespaces and all containers in them."""
        sharings = [each for each in self._namespaces.sharings if not keys.isdisjoint(each.members)]
        lines = _title("Shared by containers") if sharings else []
        letters = max((len(each.letter) for each in sharings), default=0)
        indent = _TITLE_INDENT + letters + 2
        for each in sharings:
            inodes = [f"{kind} {UNKNOWN if inode is None else inode}" for kind, inode in each.inodes.items()]
            head = [Span(" " * _TITLE_INDENT), Span(f"{each.letter:{letters}}", Tone.ACCENT), Span("  ")]
            for text in _listed(inodes, self._width - indent):
                lines.append([*head, Span(text, Tone.DIM)])
                head = [Span(" " * indent)]
            lines += [[Span(" " * indent), Span(text)] for text in self._members(each.members, indent)]
        return lines

    def at_host(self, keys: AbstractSet[ContainerKey]) -> list[Spans]:
        """Write which of these rows are in each of the host's namespaces."""
        lines: list[Spans] = []
        for kind in NAMESPACE_KINDS:
            members = [key for key in self._namespaces.at_host.get(kind, ()) if key in keys]
            inode = getattr(self._host.namespaces, kind)
            head = Span(
                f"{'':{_TITLE_INDENT}}{kind:6} {UNKNOWN if inode is None else inode:<{_INODE_WIDTH}}  ", Tone.DIM
            )
            indent = len(head.text)
            for text in self._members(members, indent):
                lines.append([head, Span(text, _HOST_TONES.get(kind, Tone.DIM))])
                head = Span(" " * indent)
        return [*_title("In the host's namespaces"), *lines] if lines else []

    def dangers(self, keys: AbstractSet[ContainerKey]) -> list[Spans]:
        """Write what is dangerous in these rows, the worst first."""
        if self._privileges is None:
            return []
        found = [(self._privileges.dangers[key], self._label(key)) for key in keys & self._privileges.dangers.keys()]
        # Those that are all alike, as on many hosts, have one line.
        alike: dict[tuple[Danger, ...], list[str]] = defaultdict(list)
        for dangers, label in found:
            alike[dangers].append(label)
        lines: list[Spans] = []
        for dangers, labels in sorted(alike.items(), key=lambda item: (-item[0][0].severity, min(item[1]))):
            mark, tone = _mark(dangers)
            who = cut(", ".join(sorted(labels)), max(self._width - _TITLE_INDENT - 2, 1))
            lines.append([Span(f"{'':{_TITLE_INDENT - 2}}{mark} ", tone), Span(who)])
            names = [printable(each.what) for each in dangers]
            lines += [[Span(" " * (_TITLE_INDENT + 2)), Span(text, tone)] for text in self._listed_in(names)]
        left_out = self._privileges.left_out
        if left_out:
            lines.append([Span(f"{'':{_TITLE_INDENT}}{left_out} containers have not been looked at yet", Tone.DIM)])
        for problem in self._privileges.problems:
            remedy = f": {problem.remedy}" if problem.remedy else ""
            lines.append([Span(f"{'':{_TITLE_INDENT}}{printable(problem.message + remedy)}", Tone.DIM)])
        return [*_title("Less isolated than others"), *lines] if lines else []

    def _listed_in(self, texts: Sequence[str]) -> list[str]:
        return _listed(texts, self._width - _TITLE_INDENT - 2)

    def leaks(self) -> list[Spans]:
        """Write what is left of containers that have gone, and how to look further."""
        found = self._privileges.leaks if self._privileges is not None else ()
        lines: list[Spans] = []
        for leak in found:
            lines.append([Span(f"{'':{_TITLE_INDENT - 2}}▲ ", Tone.WARN), Span(printable(leak.what))])
            lines.append([Span(f"{'':{_TITLE_INDENT + 2}}{printable(leak.look)}", Tone.DIM)])
        return [*_title("Left of what has gone"), *lines] if lines else []

    def _members(self, keys: Sequence[ContainerKey], indent: int) -> list[str]:
        if len(keys) == len(self._namespaces.cells) > _FEW:
            return [cut(f"all {len(keys)}", self._width - indent)]
        return _listed([self._label(key) for key in keys], self._width - indent)

    def _label(self, key: ContainerKey, beside: ContainerKey | None = None) -> str:
        """Name a container; ``beside`` one of the same pod the pod's name is left out."""
        pod, name = self._pods[key], title_of(self._nodes[key])
        is_beside = beside is not None and self._pods[beside] is pod
        return printable(f"{pod.title}/{name}" if pod.kind in _PREFIXED and not is_beside else name)


def _mark(found: Sequence[Danger]) -> tuple[str, Tone]:
    """Return the mark of the worst, which comes first."""
    return SEVERITY_MARKS.get(found[0].severity, " "), Tone.BAD if found[0].severity is Severity.CRITICAL else Tone.WARN


def _title(text: str) -> list[Spans]:
    return [[], [Span(f" {text}", Tone.ACCENT)]]


def _cell_tone(kind: str, cell: str, container: ContainerNode) -> Tone:
    """Let what is not isolated stand out, and what is be quiet."""
    if cell == HOST:
        # Of what nobody calls a container nobody expects that it is isolated.
        return Tone.DIM if container.info.source is Source.NAMESPACE else _HOST_TONES.get(kind, Tone.DIM)
    return Tone.DIM if cell in {OWN, UNKNOWN} else Tone.ACCENT


def _listed(texts: Iterable[str], width: int) -> list[str]:
    """Write texts one after the other, over as many lines as they take; one that is too long is cut."""
    lines: list[str] = []
    for text in texts:
        piece = cut(text, max(width - 1, 1))
        if lines and cell_width(lines[-1]) + cell_width(piece) + len(", ,") <= width:
            lines[-1] += f", {piece}"
        else:
            if lines:
                lines[-1] += ","
            lines.append(piece)
    return lines
