"""What the terminal shows, so that only the cells that changed are sent to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from rich.control import Control
from rich.segment import Segment
from textual._compositor import ChopsUpdate, CompositorUpdate, LayoutUpdate
from textual.strip import Strip

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from rich.console import Console, ConsoleOptions, RenderResult

    Run = tuple[int, list[Segment]]
    """Where it begins in its line, and what is written from there on."""


class CellsUpdate(CompositorUpdate):
    """Some cells, each run of them in its place."""

    def __init__(self, runs: Sequence[tuple[int, int, list[Segment]]]) -> None:
        """Write runs: line, column, and what is written from there on."""
        self.runs = runs

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Write them as Rich does."""
        for y, x, segments in self.runs:
            yield Control.move_to(x, y).segment
            yield from segments

    def render_segments(self, console: Console) -> str:
        """Write them for a terminal; a style that goes on in the next run is not said again."""
        written: list[Segment] = []
        for y, x, segments in self.runs:
            text, style, _ = written.pop() if written else Segment("")
            written += [Segment(text + Control.move_to(x, y).segment.text, style), *segments]
        return Strip(written).simplify().render(console)


class _Line(NamedTuple):
    """A line, or a part of one."""

    segments: list[Segment]
    ends: Mapping[int, int]
    """The columns after which segments end, from left to right, and how many segments there are up to each."""

    @property
    def width(self) -> int:
        """How many columns it takes."""
        return next(reversed(self.ends), 0)


class Painter:
    """Remembers each line as it was last sent."""

    def __init__(self) -> None:
        """Know nothing of the terminal yet."""
        self._lines: dict[int, _Line] = {}

    def forget(self) -> None:
        """Take nothing for granted: the terminal may show anything."""
        self._lines.clear()

    def changed(self, update: LayoutUpdate | ChopsUpdate) -> CellsUpdate | None:
        """Reduce an update to the cells that the terminal does not show yet; None if it shows all of them.

        They count as sent.
        """
        parts = _of_screen(update) if isinstance(update, LayoutUpdate) else _of_spans(update)
        runs: list[tuple[int, int, list[Segment]]] = []
        for y, x, segments in _whole(parts):
            shown = self._lines.get(y)
            if shown is None:
                runs.append((y, x, segments))
                if x == 0 and isinstance(update, LayoutUpdate):
                    self._lines[y] = _Line(segments, _ends(segments))
                continue
            now = _Line(segments, _ends(segments))
            if x == 0 and now.width == shown.width:
                if shown.segments == segments:
                    continue
                runs += [(y, at, run) for at, run in _differing(shown, now)]
                self._lines[y] = now
                continue
            head, rest = split(shown.segments, x) if x else ([], shown.segments)
            old, tail = split(rest, now.width)
            line = [*head, *segments, *tail]
            if (head or tail) and _text([*head, *old, *tail]) != _text(shown.segments):
                # A wide character was cut in two: of the half that stays, the terminal makes what it likes.
                runs.append((y, 0, line))
            elif old != segments:
                runs += [(y, x + at, run) for at, run in differing(old, segments)]
            else:
                continue
            self._lines[y] = _Line(line, _ends(line))
        return CellsUpdate(runs) if runs else None


def _of_screen(update: LayoutUpdate) -> Iterator[tuple[int, int, list[Segment]]]:
    for y, line in enumerate(update.strips, update.region.y):
        yield y, update.region.x, [segment for strip in line for segment in strip]


def _of_spans(update: ChopsUpdate) -> Iterator[tuple[int, int, list[Segment]]]:
    """Give the parts of lines that were drawn anew, and of those no more than was asked for."""
    for y, first, end in update.spans:
        for chop_end, (x, strip) in zip(update.chop_ends[y], update.chops[y].items(), strict=True):
            if strip is not None and x < end and chop_end > first:
                part = strip.crop(max(first - x, 0), min(end, chop_end) - x)
                yield y, max(first, x), list(part)


def _whole(parts: Iterable[tuple[int, int, list[Segment]]]) -> Iterator[tuple[int, int, list[Segment]]]:
    """Put the parts of a line together that touch each other: the rows, and the scroll bar beside them."""
    y, x, end = -1, 0, 0
    whole: list[Segment] = []
    for part_y, part_x, segments in parts:
        width = _width(segments)
        if (part_y, part_x) == (y, end):
            whole = whole + segments
        else:
            if whole:
                yield y, x, whole
            y, x, end, whole = part_y, part_x, part_x, segments
        end += width
    if whole:
        yield y, x, whole


def _width(segments: Iterable[Segment]) -> int:
    return sum(map(_cells, segments))


def _cells(segment: Segment) -> int:
    # Most are plain, and to ask Rich takes ten times as long.
    return len(segment.text) if segment.text.isascii() and segment.text.isprintable() else segment.cell_length


def _text(segments: Iterable[Segment]) -> str:
    return "".join(segment.text for segment in segments)


def split(segments: Iterable[Segment], at: int) -> tuple[list[Segment], list[Segment]]:
    """Divide a line after so many columns."""
    head: list[Segment] = []
    rest: list[Segment] = []
    left = at
    for segment in segments:
        width = segment.cell_length
        if width <= left:
            head.append(segment)
        elif left > 0:
            before, after = segment.split_cells(left)
            head.append(before)
            rest.append(after)
        else:
            rest.append(segment)
        left -= width
    return head, rest


def differing(old: Sequence[Segment], new: Sequence[Segment]) -> list[Run]:
    """Find what of ``new`` is not in ``old``, which is as wide: runs of whole segments, as few as there can be."""
    return _differing(_Line(list(old), _ends(old)), _Line(list(new), _ends(new)))


def _differing(before: _Line, now: _Line) -> list[Run]:
    (old, ends_old), (new, ends_new) = before, now
    runs: list[Run] = []
    cuts = sorted(ends_old.keys() & ends_new.keys())
    at, from_old, from_new = 0, 0, 0
    end_of_run = -1
    for cut in cuts:
        to_old, to_new = ends_old[cut], ends_new[cut]
        if old[from_old:to_old] != new[from_new:to_new]:
            if end_of_run == at:
                runs[-1][1].extend(new[from_new:to_new])
            else:
                runs.append((at, new[from_new:to_new]))
            end_of_run = cut
        at, from_old, from_new = cut, to_old, to_new
    return runs


def _ends(segments: Iterable[Segment]) -> Mapping[int, int]:
    """Return the columns after which segments end, and how many segments there are up to each."""
    ends: dict[int, int] = {}
    at = 0
    for count, segment in enumerate(segments, 1):
        at += _cells(segment)
        ends[at] = count
    return ends
