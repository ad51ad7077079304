"""The files of a container: what is mounted, what it has written, what it holds open. No Textual here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from topcon.model.disk import HoldKind
from topcon.model.files import FilesSeen, LayerSizes, MountKind
from topcon.model.sample import Problem
from topcon.text import (
    cell_width,
    cut,
    padded,
    printable,
    to_bytes_text,
    to_count_text,
    to_percent_text,
)
from topcon.ui.held import (
    BAR_WIDTH,
    GROWTH_WIDTH,
    KIND_WIDTH,
    NEARLY_FULL,
    NOT_YET,
    SIZE_WIDTH,
    WORDS,
    fullness_tone,
    growth_text,
    growth_tone,
    in_order,
    problem_lines,
    size_text,
    where_text,
)
from topcon.ui.spans import Span, Spans, Tone, bar, fitted
from topcon.ui.tabs.seen import Entry, plain, unseen

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from topcon.model.disk import Hold
    from topcon.model.files import Deleted, MountUse, OpenFiles
    from topcon.model.inside import Inside
    from topcon.model.snapshot import ContainerNode
    from topcon.ui.tabs.seen import Seen

MOST_PROCESSES = 10
"""So many processes, those that are nearest to their limit, have a line."""
MOST_DELETED = 10
FIELD_WIDTH = 5
LEAST_POINT, MOST_POINT = 10, 32
SIZES = "sizes"
"""What the key that has the layer and the image counted stands for."""
UNCOUNTED = False
"""The answer where nobody can count."""
_INDENT = "   "
_GAP = "  "


def ask_sizes(inside: Inside, node: ContainerNode) -> object:
    """Have the runtime count."""
    said = inside.sizes(node.info.id) if inside.sizes is not None else None
    return UNCOUNTED if said is None else said


def files_entries(seen: Seen) -> list[Entry]:
    """Write what was answered; what a key asks the runtime for stands among it."""
    waiting = unseen(seen.found)
    if waiting is not None:
        return waiting
    found = seen.found if isinstance(seen.found, FilesSeen) else FilesSeen()
    holds = in_order(_own(found, seen.node.key))
    lines = [
        *_mounts(found, seen.width),
        *_written(holds, found, seen.width),
        *_sizes(seen.told, seen.width),
        *_biggest(holds, seen.width),
        *_processes(found, seen.width),
        *_deleted(found.deleted, seen.width),
        *problem_lines(found.problems, seen.width),
    ]
    return plain(lines)


def _own(found: FilesSeen, key: str) -> Iterator[Hold]:
    """Leave out what is known of others."""
    for hold in found.disk.holds if found.disk is not None else ():
        if key in (hold.container, *hold.others):
            yield hold


def _title(text: str, columns: str = "") -> Spans:
    return [Span(f" {text}", Tone.ACCENT), Span(columns, Tone.DIM)]


def _mounts(found: FilesSeen, width: int) -> list[Spans]:
    if not found.mounts:
        return []
    longest = max(cell_width(printable(mount.point)) for mount in found.mounts)
    point_width = max(min(longest, MOST_POINT, width // 3), LEAST_POINT)
    columns = (
        f"{'SIZE':>{FIELD_WIDTH}}{_GAP}{'USED':>{FIELD_WIDTH}}{_GAP}{'':{BAR_WIDTH}}{'USE%':>5}{_GAP}{'INODES':>6}"
    )
    first = "Mounts".ljust(len(_INDENT) - 1 + point_width)
    lines = [fitted([*_title(first), Span(f"{_GAP}{columns}{_GAP}WHAT", Tone.DIM)], width)]
    lines += [_mount(mount, point_width, width) for mount in found.mounts]
    if found.of_kernel:
        lines.append(fitted([Span(f"{_INDENT}and {found.of_kernel} of the kernel's own", Tone.DIM)], width))
    return lines


def _mount(mount: MountUse, point_width: int, width: int) -> Spans:
    share, inodes = mount.used_share, mount.inodes_share
    flags = [word for word, holds in (("ro", mount.is_read_only), ("shared", mount.is_shared)) if holds]
    name = "" if mount.kind in {MountKind.OVERLAY, MountKind.TMPFS} else f" {printable(mount.source)}"
    return fitted(
        [
            Span(f"{_INDENT}{padded(printable(mount.point), point_width, is_left=True)}{_GAP}"),
            Span(padded(to_bytes_text(mount.size_bytes), FIELD_WIDTH) + _GAP),
            Span(padded(to_bytes_text(mount.used_bytes), FIELD_WIDTH) + _GAP),
            Span(f"{bar(share, BAR_WIDTH)}{to_percent_text(share):>5}{_GAP}", fullness_tone(share)),
            Span(f"{to_percent_text(inodes):>6}", Tone.DIM if (inodes or 0) < NEARLY_FULL else fullness_tone(inodes)),
            Span(f"{_GAP}{mount.kind}", Tone.DIM),
            Span(name),
            *([Span(f", {', '.join(flags)}", Tone.WARN if mount.is_shared else Tone.DIM)] if flags else []),
            Span("" if mount.fstype == mount.kind else f", {printable(mount.fstype)}", Tone.DIM),
        ],
        width,
    )


def _written(holds: list[Hold], found: FilesSeen, width: int) -> list[Spans]:
    """Write what takes room because of it."""
    if found.disk is None:
        return []
    columns = f"{'SIZE':>{SIZE_WIDTH}}{_GAP}{'A MIN':>{GROWTH_WIDTH}}{_GAP}WHERE"
    first = "Holds".ljust(len(_INDENT) - 1 + KIND_WIDTH)
    lines = [[], fitted([*_title(first), Span(f"{_GAP}{columns}", Tone.DIM)], width)]
    lines += [_hold(hold, width) for hold in holds]
    if not holds:
        text = "nothing that can be counted" if found.disk.rounds else f"reading {NOT_YET}"
        lines.append([Span(f"{_INDENT}{text}", Tone.DIM)])
    return lines


def _hold(hold: Hold, width: int) -> Spans:
    growth = hold.growth_bytes_per_s
    is_bare = hold.used_inodes is None or hold.kind is HoldKind.DELETED
    files = "" if is_bare else f", {to_count_text(hold.used_inodes)} inode{'s' if hold.used_inodes != 1 else ''}"
    files += ", shared" if hold.others else ""
    room = max(width - len(_INDENT) - KIND_WIDTH - SIZE_WIDTH - GROWTH_WIDTH - 3 * len(_GAP) - len(files), 1)
    return fitted(
        [
            Span(f"{_INDENT}{WORDS[hold.kind]:{KIND_WIDTH}}{_GAP}", Tone.DIM),
            Span(padded(size_text(hold.used_bytes, is_whole=hold.is_whole), SIZE_WIDTH)),
            Span(_GAP + padded(growth_text(growth), GROWTH_WIDTH), growth_tone(growth)),
            Span(f"{_GAP}{cut(where_text(hold), room)}"),
            Span(files, Tone.DIM),
        ],
        width,
    )


def _sizes(told: Mapping[str, object], width: int) -> list[Spans]:
    """Write what its runtime has counted, or how to have it count."""
    said = told.get(SIZES)
    spans: Spans
    if SIZES not in told:
        spans = [Span("u has its runtime count the layer and the image, which may take a while", Tone.DIM)]
    elif said is None:
        spans = [Span(f"its runtime counts the layer and the image {NOT_YET}", Tone.DIM)]
    elif isinstance(said, LayerSizes):
        image, layer = to_bytes_text(said.image_bytes), to_bytes_text(said.layer_bytes)
        spans = [Span("its runtime says", Tone.DIM), Span(f"  image {image}, layer {layer}")]
        spans += [Span(", by the lengths of files", Tone.DIM)]
    elif isinstance(said, Problem):
        spans = [Span(printable(said.message), Tone.WARN)]
    else:
        spans = [Span("no runtime that answers counts it", Tone.DIM)]
    return [fitted([Span(_INDENT), *spans], width)]


def _biggest(holds: list[Hold], width: int) -> list[Spans]:
    """Write the biggest files of its layer."""
    layer = next((hold for hold in holds if hold.kind is HoldKind.LAYER and hold.biggest), None)
    if layer is None:
        return []
    lines: list[Spans] = [[], _title("Biggest files of the layer")]
    for file in layer.biggest:
        size = padded(to_bytes_text(file.used_bytes), FIELD_WIDTH)
        lines.append(_sized(size, f"/{printable(file.path)}", width))
    return lines


def _sized(size: str, path: str, width: int) -> Spans:
    head = f"{_INDENT}{size}{_GAP}"
    return [Span(head), Span(cut(path, max(width - len(head), 1)))]


def _processes(found: FilesSeen, width: int) -> list[Spans]:
    if not found.processes:
        return []
    lines: list[Spans] = [[], _title("Open files")]
    lines += [_process(each, width) for each in found.processes[:MOST_PROCESSES]]
    more = len(found.processes) - MOST_PROCESSES
    notes = [f"{more} more processes hold a smaller share"] if more > 0 else []
    notes += [f"{found.unseen} could not be looked at"] if found.unseen else []
    if notes:
        lines.append(fitted([Span(f"{_INDENT}{', '.join(notes)}", Tone.DIM)], width))
    return lines


def _process(each: OpenFiles, width: int) -> Spans:
    limit = "no limit" if each.limit is None else f"of {each.limit}"
    percent = "" if each.share is None else f" {to_percent_text(each.share):>4}"
    return fitted(
        [
            Span(f"{_INDENT}{each.pid:>7}{_GAP}{padded(printable(each.comm), 16, is_left=True)}{_GAP}"),
            Span(f"{to_count_text(each.descriptors):>6} {limit}"),
            Span(percent, fullness_tone(each.share)),
        ],
        width,
    )


def _deleted(deleted: tuple[Deleted, ...], width: int) -> list[Spans]:
    if not deleted:
        return []
    whole = to_bytes_text(sum(each.used_bytes for each in deleted))
    lines: list[Spans] = [[], [*_title("Deleted, and held open"), Span(f"  {whole} in all", Tone.DIM)]]
    for each in deleted[:MOST_DELETED]:
        size = padded(to_bytes_text(each.used_bytes), FIELD_WIDTH)
        lines.append(_sized(size, f"{printable(each.path)}, pid {each.pid}", width))
    if len(deleted) > MOST_DELETED:
        lines.append([Span(f"{_INDENT}{len(deleted) - MOST_DELETED} more", Tone.DIM)])
    return lines
