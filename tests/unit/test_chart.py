"""Charts as text: what is drawn where, of which time, and how high."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import SECOND_NS, text_of

from topcon.ui.chart import (
    ACROSS,
    DOWN,
    GUTTER,
    Band,
    Lane,
    Window,
    axis_line,
    lane_lines,
    scale,
    spread_out,
    window,
)
from topcon.ui.glyphs import to_ascii
from topcon.ui.spans import Tone, width_of

NINE = 9 * 3600 * SECOND_NS
"""Nine o'clock, on the first day of all."""


def drawn(*dots: float | None, top: float = 4.0, rows: int = 1, **options: object) -> list[str]:
    """Draw one area, and return it without its gutter."""
    lane = Lane((Band(dots),), top, rows, **options)  # type: ignore[arg-type]
    return [text_of(line)[GUTTER:] for line in lane_lines(lane, None)]


# Time


@given(st.integers(0, 1 << 62), st.integers(1, 10_000), st.integers(1, 400))
def test_a_window_ends_with_the_column_that_now_is_in(now_ns: int, span_s: int, columns: int) -> None:
    over = window(now_ns, span_s, columns)

    assert over.end_ns - over.column_ns <= now_ns < over.end_ns
    assert over.begin_ns % over.column_ns == 0
    assert over.column_of(now_ns) == columns - 1
    assert over.column_of(over.time_of(columns // 2)) == columns // 2


def test_columns_stay_what_they_are_while_time_goes_on() -> None:
    begins = [window(NINE + at * SECOND_NS, 600, 60).begin_ns for at in range(25)]

    steps = {later - earlier for earlier, later in pairwise(begins)}
    assert steps == {0, 10 * SECOND_NS}


def test_what_is_outside_is_in_the_first_or_the_last_column() -> None:
    over = Window(100, 10, 5)

    assert [over.column_of(at) for at in (0, 100, 109, 110, 149, 150, 999)] == [0, 0, 0, 1, 4, 4, 4]


def test_each_value_stands_for_the_time_since_the_one_before() -> None:
    # Dots of 5: two in each of 4 columns.
    over = Window(0, 10, 4)

    assert spread_out([1.0, 2.0, 3.0], [0, 10, 20, 30], over) == [1.0, 1.0, 2.0, 2.0, 3.0, 3.0, None, None]


def test_values_of_one_dot_are_averaged_and_the_unknown_left_out() -> None:
    over = Window(0, 20, 2)

    shown = spread_out([1.0, 3.0, None, 5.0, None, None], [0, 5, 10, 15, 20, 25, 30], over)

    assert shown == [2.0, 5.0, None, None]


def test_late_ticks_stand_for_longer() -> None:
    over = Window(0, 10, 4)

    assert spread_out([1.0, 2.0], [0, 5, 40], over) == [1.0, *[2.0] * 7]


def test_what_was_before_anything_was_known_is_blank() -> None:
    over = Window(0, 10, 3)

    assert spread_out([1.0], [20, 25], over) == [None] * 4 + [1.0, None]
    assert spread_out([], [20], over) == spread_out([1.0], [], over) == [None] * 6


@given(
    st.lists(st.one_of(st.none(), st.floats(0, 100)), max_size=50),
    st.lists(st.integers(1, 50), max_size=50),
    st.integers(1, 30),
)
def test_no_dot_is_outside_of_the_values(values: list[float | None], passed: list[int], columns: int) -> None:
    times = [0]
    for each in passed:
        times.append(times[-1] + each)

    shown = spread_out(values, times, window(times[-1], 100 / SECOND_NS, columns))

    known = [value for value in values if value is not None]
    assert len(shown) == columns * ACROSS
    assert all(min(known) - 1e-9 <= value <= max(known) + 1e-9 for value in shown if value is not None)


# Height


@pytest.mark.parametrize(
    ("highest", "limit", "expected"),
    [
        (0.0, None, 1.0),
        (1.0, None, 1.0),
        (1.1, None, 2.0),
        (5.0, None, 8.0),
        (1.1, 4.0, 4.0),
        (1.0, 4.5, 1.0),
        (4.0, 4.0, 4.0),
        (5.0, 4.0, 8.0),
        (0.0, 4.0, 1.0),
    ],
)
def test_the_scale_is_the_limit_where_that_is_near(highest: float, limit: float | None, expected: float) -> None:
    assert scale([None, 0.0, highest], 1.0, limit) == expected


def test_of_nothing_known_the_scale_is_the_least() -> None:
    assert scale([None, None], 2.0) == 2.0


def test_an_area_has_four_steps_a_row() -> None:
    assert drawn(0, 1, 2, 3, 4, 4) == ["⣀⣴⣿"]
    assert drawn(1, 2, 3, 4) == ["⣠⣾"]
    assert drawn(4, 8, top=8.0, rows=2) == ["⢸", "⣿"]


def test_unknown_is_blank_and_zero_is_not() -> None:
    assert drawn(None, None, 0, 0, None, 0) == [" ⣀⢀"]


def test_a_lane_below_another_does_not_grow_into_it() -> None:
    assert drawn(4, 4, gap=1) == ["⣶"]
    assert drawn(4, 4, rows=2, gap=1) == ["⣶", "⣿"]


def test_zero_is_dim() -> None:
    (line,) = lane_lines(Lane((Band((0, 0, 1, 1)),), 4.0, 1), None)

    assert [(span.text, span.tone) for span in line[1:]] == [("⣀", Tone.DIM), ("⣀", Tone.ACCENT)]


def test_what_is_above_the_scale_is_cut() -> None:
    assert drawn(100, 100) == ["⣿"]


def dots_of(*bands: Band) -> int:
    """Count the dots of a single column, a row high."""
    (line,) = lane_lines(Lane(bands, 4.0, 1), None)
    return (ord(text_of(line)[GUTTER]) - ord("⠀")).bit_count()


def test_bands_are_told_apart_without_colours() -> None:
    assert [dots_of(Band((4, 4), every=every)) for every in (1, 2, 4)] == [ACROSS * DOWN, 5, 3]


def test_a_band_begins_where_the_one_below_it_ends() -> None:
    below, above = Band((2, 2)), Band((4, 4), Tone.DIM, 2)

    assert dots_of(below, above) == 4 + 2
    assert dots_of(above, below) == dots_of(above)
    assert dots_of(below, Band((None, None), Tone.DIM, 2)) == 4


def test_however_light_a_band_is_its_lowest_dots_are_seen() -> None:
    assert dots_of(Band((1, 1), every=4)) == ACROSS


def test_the_limit_is_a_line_where_nothing_else_is() -> None:
    assert drawn(None, None, 1, 1, 8, 8, top=8.0, rows=2, limit=6.0) == ["┄┄⣿", " ⣀⣿"]
    assert "┄" not in "".join(drawn(1, 1, top=4.0, rows=2, limit=6.0))


def test_the_cursor_is_seen_in_each_row() -> None:
    lines = lane_lines(Lane((Band((1, 1, 4, 4)),), 8.0, 2), 1)

    assert [text_of(line)[GUTTER:] for line in lines] == [" │", "⣀⣿"]
    assert lines[1][-1].tone is Tone.STRONG


def test_the_gutter_has_the_scale_above_and_the_name_below() -> None:
    def gutter(rows: int) -> list[str]:
        return [
            text_of(line)[:GUTTER].strip() for line in lane_lines(Lane((Band((1, 1)),), 4, rows, "4.00", "in"), None)
        ]

    assert (gutter(1), gutter(2), gutter(3)) == (["in 4.00"], ["4.00", "in"], ["4.00", "", "in"])


# The axis


def test_the_axis_has_round_times_at_their_places() -> None:
    # Columns of 10 s from nine o'clock on.
    line = text_of(axis_line(Window(NINE, 10 * SECOND_NS, 40), 0, None))[GUTTER:]

    assert line.index("┴09:02") == 12
    assert line.index("┴09:04") == 24
    assert len(line) == 40


def test_the_clock_of_the_day_may_be_another() -> None:
    line = text_of(axis_line(Window(0, SECOND_NS, 60), NINE, None))

    assert "09:00:15" in line
    assert "09:00:30" in line


@given(st.integers(0, 1 << 60), st.integers(1, 1 << 43), st.integers(1, 300), st.booleans())
def test_the_axis_is_as_wide_as_the_area(begin_ns: int, column_ns: int, columns: int, has_cursor: bool) -> None:
    over = Window(begin_ns, column_ns, columns)

    line = axis_line(over, 0, columns // 2 if has_cursor else None)

    assert width_of(line) == GUTTER + columns
    assert (text_of(line)[GUTTER + columns // 2] == "▲") is has_cursor


def test_in_ascii_more_dots_are_darker() -> None:
    assert to_ascii("⠀⡀⣀⣄⣤⣦⣶⣷⣿") == " .:-=+*%#"
