"""The tab that says how far a container is kept from its host. No Textual here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from topcon.columns import SEVERITY_MARKS
from topcon.model.namespaces import identity_of, residents_of, shared_with
from topcon.model.sample import NAMESPACE_KINDS, Source
from topcon.model.security import (
    DEFAULT_CAPABILITIES,
    FILTER,
    NO_FILTER,
    STRICT,
    UNCONFINED,
    Danger,
    Security,
    beyond_default,
    capability_names,
    dangers,
)
from topcon.model.snapshot import ContainerNode, Severity
from topcon.text import UNKNOWN, cell_width, padded, printable
from topcon.ui.spans import Span, Spans, Tone, fitted, in_lines, width_of
from topcon.ui.tabs.seen import Entry, plain, unseen

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from topcon.model.security import HostMount, IdRange
    from topcon.model.snapshot import Snapshot
    from topcon.ui.tabs.seen import Seen

NO_PROCESS = False
"""The answer where nothing of it runs."""
LABEL_WIDTH = 14
MOST_RANGES = 4
MOST_RULES = 12
DANGER_WIDTH = 26

_TONES = {Severity.CRITICAL: Tone.BAD, Severity.WARNING: Tone.WARN, Severity.INFO: Tone.DIM}
_FILTERS = {
    NO_FILTER: ("off: every system call of the kernel is allowed", Tone.WARN),
    STRICT: ("strict: next to nothing is allowed", Tone.PLAIN),
    FILTER: ("a filter of system calls", Tone.PLAIN),
}


def security_entries(seen: Seen) -> list[Entry]:
    """Write what is dangerous first, then all that it may do."""
    waiting = unseen(seen.found)
    if waiting is not None:
        return waiting
    node = seen.node
    if not isinstance(seen.found, Security) or not isinstance(node, ContainerNode):
        return plain([[Span(" no process of it runs", Tone.DIM)]])
    security, width = seen.found, seen.width
    sections = (
        ("", danger_lines(dangers(security, node), width)),
        ("Who it is", _who(security, width)),
        ("What it may do", _rights(security, width)),
        ("Namespaces", _namespaces(seen.snapshot, node, width)),
        ("Files of the host", _mounts(security.mounts, width)),
        ("Devices", _devices(security, width)),
    )
    lines: list[Spans] = []
    for title, own in sections:
        lines += [[], [Span(f" {title}", Tone.ACCENT)]] if title and own else []
        lines += own
    return plain(lines)


def danger_lines(found: Sequence[Danger], width: int) -> list[Spans]:
    """Write each danger in a line, or more where one has no room."""
    if not found:
        return [[Span(" nothing of it is beyond what runtimes give by default", Tone.GOOD)]]
    longest = min(max(cell_width(printable(each.what)) for each in found), DANGER_WIDTH)
    lines: list[Spans] = []
    for each in found:
        tone = _TONES[each.severity]
        what = printable(each.what)
        begin = [Span(f" {SEVERITY_MARKS.get(each.severity, ' ')} ", tone)]
        line = [*begin, Span(padded(what, longest, is_left=True), tone), Span(f"  {printable(each.means)}")]
        if width_of(line) <= width and cell_width(what) <= longest:
            lines.append(line)
        else:
            # All that it is comes before that a line is all there is.
            lines += [
                [*(begin if not at else [Span("   ")]), Span(part, tone)]
                for at, part in enumerate(in_lines(what, width - 3))
            ]
            lines += [[Span("     "), Span(part)] for part in in_lines(printable(each.means), width - 5)]
    return lines


def _pair(label: str, text: str, width: int, tone: Tone = Tone.PLAIN) -> list[Spans]:
    """Write a value beside its label, over as many lines as it takes."""
    shown = printable(text) or UNKNOWN
    lines: list[Spans] = []
    for at, part in enumerate(in_lines(shown, width - LABEL_WIDTH - 3)):
        begin = f"  {label if not at else '':{LABEL_WIDTH}} "
        lines.append([Span(begin, Tone.DIM), Span(part, Tone.DIM if part == UNKNOWN else tone)])
    return lines


def _who(security: Security, width: int) -> list[Spans]:
    root = security.root_outside
    if root == 0:
        as_root = ("root on the host too", Tone.WARN if security.is_privileged else Tone.PLAIN)
    elif root is None:
        as_root = ("nobody: it has no root", Tone.PLAIN)
    else:
        as_root = (f"user {root} on the host, who has no rights there", Tone.GOOD)
    own = " (root)" if security.uid == 0 else ""
    lines = [
        *_pair("user", f"{security.uid}{own} on the host, group {security.gid}", width),
        *_pair("root in it is", as_root[0], width, as_root[1]),
    ]
    if security.has_own_users:
        lines += _pair("users", _ranges(security.uid_map), width)
        lines += _pair("groups", _ranges(security.gid_map), width)
    return lines


def _ranges(ranges: tuple[IdRange, ...]) -> str:
    """Write which numbers inside are which on the host."""
    texts = [
        f"{inside} is {outside}"
        if count == 1
        else f"{inside} to {inside + count - 1} are {outside} to {outside + count - 1}"
        for inside, outside, count in ranges[:MOST_RANGES]
    ]
    more = len(ranges) - MOST_RANGES
    return ", ".join([*texts, *([f"{more} more"] if more > 0 else [])])


def _rights(security: Security, width: int) -> list[Spans]:
    filtered, tone = (
        _FILTERS.get(security.seccomp, ("", Tone.PLAIN)) if security.seccomp is not None else ("", Tone.PLAIN)
    )
    label = security.label or ""
    return [
        *_capabilities(security, width),
        *_pair("new rights", _no_new_privs(security.has_no_new_privs), width),
        *_pair("seccomp", filtered, width, Tone.PLAIN if security.is_privileged else tone),
        *_pair("profile", label, width, Tone.WARN if label == UNCONFINED else Tone.PLAIN),
        *_pair("root directory", _root_text(security.is_root_read_only), width),
    ]


def _no_new_privs(has_no_new_privs: bool | None) -> str:  # noqa: FBT001  what a process has said
    if has_no_new_privs is None:
        return ""
    return "none: set-user-id programs give none either" if has_no_new_privs else "from set-user-id programs"


def _root_text(is_read_only: bool | None) -> str:  # noqa: FBT001  as it was read
    return "" if is_read_only is None else "read-only" if is_read_only else "can be written"


def _capabilities(security: Security, width: int) -> list[Spans]:
    if security.effective == security.bounding:
        return _capability_lines("capabilities", security.effective, security, width)
    return [
        *_capability_lines("has now", security.effective, security, width),
        *_capability_lines("can get", security.bounding, security, width),
    ]


def _capability_lines(label: str, mask: int, security: Security, width: int) -> list[Spans]:
    """Write the names of capabilities; where they are good for something outside, those that few have stand out."""
    if mask & security.every == security.every:
        return _pair(label, f"all {mask.bit_count()}", width, Tone.PLAIN if security.has_own_users else Tone.BAD)
    names = capability_names(mask)
    if not names:
        return _pair(label, "none", width, Tone.GOOD)
    ordinary = [name for name in names if name in DEFAULT_CAPABILITIES]
    lines = _pair(label, f"{len(names)}: {' '.join(ordinary)}".rstrip(": "), width)
    beyond = beyond_default(mask)
    if beyond:
        tone = Tone.PLAIN if security.has_own_users else Tone.WARN
        lines += _pair("", f"and beyond the default: {' '.join(beyond)}", width, tone)
    return lines


def _namespaces(snapshot: Snapshot, node: ContainerNode, width: int) -> list[Spans]:
    others = shared_with(node, residents_of(snapshot))
    lines: list[Spans] = []
    for kind in NAMESPACE_KINDS:
        keys = others.get(kind, ())
        if kind in node.shared_with_host:
            text, tone = "the host's", Tone.WARN if _is_expected_apart(kind, node) else Tone.DIM
        elif keys:
            names = [snapshot.containers[key].name if key in snapshot.containers else key for key in keys]
            text, tone = f"shared with {', '.join(names)}", Tone.ACCENT
        elif identity_of(node, kind) is None:
            text, tone = "", Tone.DIM
        else:
            text, tone = "its own", Tone.PLAIN
        lines += _pair(kind, text, width, tone)
    return lines


def _is_expected_apart(kind: str, node: ContainerNode) -> bool:
    return kind in {"net", "pid", "mnt", "ipc"} and node.info.source is not Source.NAMESPACE


def _mounts(mounts: tuple[HostMount, ...], width: int) -> list[Spans]:
    if not mounts:
        return [[Span("  none", Tone.GOOD)]]
    return [fitted(line, width) for each in mounts for line in _mount(each)]


def _mount(mount: HostMount) -> Iterator[Spans]:
    note = "  read-only" if mount.is_read_only else ""
    kind = "  volume" if mount.is_volume else ""
    yield [
        Span(f"  {printable(mount.source)}", Tone.DIM if mount.is_volume else Tone.PLAIN),
        Span(f" at {printable(mount.target)}{kind}{note}", Tone.DIM),
    ]


def _devices(security: Security, width: int) -> list[Spans]:
    devices = security.devices
    if devices is None:
        return [[Span("  not known: cgroup version 2 does not tell, nor does its runtime", Tone.DIM)]]
    if security.has_all_devices:
        return [[Span("  all", Tone.PLAIN if security.has_own_users else Tone.WARN)]]
    rules = ", ".join(map(printable, devices[:MOST_RULES])) or "none"
    more = f", and {len(devices) - MOST_RULES} more" if len(devices) > MOST_RULES else ""
    return [[Span("  "), Span(part)] for part in in_lines(f"{rules}{more}", width - 2)]
