"""What is sent to the terminal: whatever is drawn, it ends up on it, and no more is sent than what it does not show."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from textual._compositor import ChopsUpdate, LayoutUpdate
from textual.geometry import Region
from textual.strip import Strip

from topcon.ui.painter import Painter, differing, split

if TYPE_CHECKING:
    from collections.abc import Mapping

    from topcon.ui.painter import CellsUpdate

WIDTH = 12
PLAIN, BOLD, RED = Style(), Style(bold=True), Style(color="red")
Cells = list[tuple[str, Style | None]]
Grid = dict[tuple[int, int], tuple[str, Style | None]]


def segments(*texts: str, style: Style = PLAIN) -> list[Segment]:
    return [Segment(text, style) for text in texts]


def screen(*lines: list[Segment]) -> LayoutUpdate:
    return LayoutUpdate([[Strip(line)] for line in lines], Region(0, 0, WIDTH, len(lines)))


def part(y: int, first: int, end: int, chops: Mapping[int, list[Segment] | None]) -> ChopsUpdate:
    """Draw a part of line ``y`` anew, from ``first`` on; ``chops`` are the line's pieces, by where they begin."""
    strips = {x: None if piece is None else Strip(piece) for x, piece in chops.items()}
    return ChopsUpdate([{}] * y + [strips], [(y, first, end)], [[]] * y + [[*list(chops)[1:], WIDTH]])


def sent(update: CellsUpdate | None) -> list[tuple[int, int, str]]:
    return [] if update is None else [(y, x, "".join(each.text for each in run)) for y, x, run in update.runs]


def cells(line: list[Segment]) -> Cells:
    """Take a line apart; the second half of a wide character is an empty cell."""
    result: Cells = []
    for segment in line:
        for character in segment.text:
            result += [(character, segment.style), *[("", segment.style)] * (Segment(character).cell_length - 1)]
    return result


def shown_after(grid: Grid, update: CellsUpdate | None) -> Grid:
    """Return what a terminal shows after an update; of a wide character that is half overwritten a blank is left."""
    result = dict(grid)
    for y, x, run in update.runs if update else ():
        written = {(y, x + at): cell for at, cell in enumerate(cells(run))}
        end = x + len(written)
        for halved, left in ((x, x - 1), (end, end)):
            if (y, left) in result and result.get((y, halved), ("x", None))[0] == "":
                result[y, left] = (" ", result[y, left][1])
        result |= written
    return result


def test_what_the_terminal_shows_is_not_sent_again() -> None:
    painter = Painter()

    assert sent(painter.changed(screen(segments("a", "b"), segments("c")))) == [(0, 0, "ab"), (1, 0, "c")]
    assert painter.changed(screen(segments("a", "b"), segments("c"))) is None
    assert sent(painter.changed(screen(segments("a", "b"), segments("d")))) == [(1, 0, "d")]


def test_of_a_line_only_the_cells_that_changed_are_sent() -> None:
    painter = Painter()
    painter.changed(screen(segments("name  ", "0.10", "  ")))

    assert sent(painter.changed(screen(segments("name  ", "0.20", "  ")))) == [(0, 6, "0.20")]
    assert painter.changed(part(0, 0, WIDTH, {0: segments("name  ", "0.20", "  ")})) is None


def test_another_style_is_a_change() -> None:
    painter = Painter()
    painter.changed(screen([*segments("name"), *segments("0.10", style=PLAIN)]))

    assert sent(painter.changed(screen([*segments("name"), *segments("0.10", style=RED)]))) == [(0, 4, "0.10")]


def test_a_terminal_that_may_show_anything_is_sent_everything() -> None:
    painter = Painter()
    painter.changed(screen(segments("a"), segments("b")))
    painter.forget()

    assert sent(painter.changed(part(1, 0, 1, {0: segments("b")}))) == [(1, 0, "b")]
    assert sent(painter.changed(screen(segments("a"), segments("b")))) == [(0, 0, "a"), (1, 0, "b")]


def test_no_more_of_a_line_is_sent_than_was_drawn_anew() -> None:
    painter = Painter()
    painter.changed(screen(segments("aaaa", "bbbb", "cccc")))

    update = painter.changed(part(0, 5, 7, {0: None, 4: segments("xyzw"), 8: segments("nnnn")}))

    assert sent(update) == [(0, 5, "yz")]
    assert sent(painter.changed(screen(segments("aaaa", "byzb", "nnnn")))) == [(0, 4, "byzbnnnn")]


def test_cells_are_written_where_they_belong_and_those_of_one_style_together() -> None:
    painter = Painter()
    painter.changed(screen(*[segments("aaaa", "bbbb", "cccc", style=BOLD)] * 2))
    console = Console(color_system="truecolor", force_terminal=True)

    update = painter.changed(screen(segments("aaaa", "b1b1", "c2c2", style=BOLD), segments("x", "y", style=BOLD)))

    assert update is not None
    assert update.render_segments(console) == "\x1b[1;5H\x1b[1mb1b1c2c2\x1b[2;1Hxy\x1b[0m"
    assert "b1b1" in "".join(segment.text for segment in console.render(update))


TEXT = st.text("ab─日", min_size=1, max_size=4)


@st.composite
def lines(draw: st.DrawFn) -> list[Segment]:
    """Write a line of full width."""
    written = [Segment(text, draw(st.sampled_from([PLAIN, BOLD]))) for text in draw(st.lists(TEXT, max_size=6))]
    return list(Strip(written).adjust_cell_length(WIDTH, PLAIN))


@given(st.lists(st.lists(lines(), min_size=2, max_size=2), min_size=1, max_size=5))
def test_whatever_is_drawn_is_what_the_terminal_shows(frames: list[list[list[Segment]]]) -> None:
    painter = Painter()
    grid: Grid = {}
    for frame in frames:
        grid = shown_after(grid, painter.changed(screen(*frame)))

        assert grid == {(y, x): cell for y, line in enumerate(frame) for x, cell in enumerate(cells(line))}


@given(lines(), lines(), st.sets(st.integers(0, WIDTH), min_size=2, max_size=2).map(sorted))
def test_a_part_that_is_drawn_anew_leaves_the_rest_of_its_line(
    before: list[Segment], now: list[Segment], ends: list[int]
) -> None:
    first, end = ends
    painter = Painter()
    grid = shown_after({}, painter.changed(screen(before)))

    grid = shown_after(grid, painter.changed(part(0, first, end, {0: now})))

    wanted = [*list(Strip(before).crop(0, first)), *list(Strip(now).crop(first, end))]
    wanted += list(Strip(before).crop(end, WIDTH))
    assert [cell for _, cell in sorted(grid.items())] == cells(wanted)


@given(lines(), st.integers(0, WIDTH + 3))
def test_a_line_that_is_split_is_the_same_line_but_for_a_wide_character_on_the_cut(
    line: list[Segment], at: int
) -> None:
    head, rest = split(line, at)

    assert sum(each.cell_length for each in head) == min(at, WIDTH)
    assert cells([*head, *rest]) == cells([*Strip(line).crop(0, at), *Strip(line).crop(at, WIDTH)])


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (["ab", "cd"], ["ab", "cd"], []),
        (["ab", "cd"], ["abcd"], [(0, ["abcd"])]),
        (["ab", "cd", "e"], ["a", "xcd", "e"], [(0, ["a", "xcd"])]),
        (["ab", "cd", "e"], ["xy", "cd", "f"], [(0, ["xy"]), (4, ["f"])]),
        (["ab", "cd", "e"], ["ab", "zz", "f"], [(2, ["zz", "f"])]),
        ([], [], []),
    ],
)
def test_runs_are_whole_segments_and_those_beside_each_other_are_one(
    old: list[str], new: list[str], expected: list[tuple[int, list[str]]]
) -> None:
    found = differing(segments(*old), segments(*new))

    assert [(x, [each.text for each in run]) for x, run in found] == expected


def test_what_touches_in_a_line_is_compared_as_a_whole() -> None:
    painter = Painter()
    painter.changed(screen(segments("aaaaaa", "bbbbbb")))

    assert sent(painter.changed(part(0, 0, WIDTH, {0: segments("aaaaaa"), 6: segments("bbbbbb")}))) == []
    assert sent(painter.changed(part(0, 0, WIDTH, {0: segments("aaa", "ccc"), 6: segments("ddd", "bbb")}))) == [
        (0, 0, "aaacccdddbbb")
    ]
    assert sent(painter.changed(part(0, 0, WIDTH, {0: segments("aaa", "ccc"), 6: segments("eee", "bbb")}))) == [
        (0, 6, "eee")
    ]
