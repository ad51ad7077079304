"""Lines, bars and sparklines: each exactly as wide as it is meant to be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import history_of, text_of

from topcon.model.history import NO_HISTORY
from topcon.text import cell_width, printable
from topcon.ui.spans import (
    LEVELS,
    PER_BAR,
    Span,
    Tone,
    bar,
    bars,
    cut_end,
    first_in_sight,
    fitted,
    sparkline,
    spread,
    steady_top,
    width_of,
    windowed,
)

TEXTS = st.text(max_size=20).map(printable)
SPANS = st.lists(st.builds(Span, TEXTS, st.sampled_from(Tone)), max_size=6)
WIDTHS = st.integers(0, 60)
SHARES = st.floats(0, 1)
HISTORY_LENGTH = 60


# Lines


def test_the_width_of_spans_counts_columns() -> None:
    assert width_of([Span("日本"), Span("e\u0301", Tone.DIM), Span("")]) == 5


@given(SPANS, WIDTHS)
def test_fitted_spans_are_never_too_wide(spans: list[Span], width: int) -> None:
    assert width_of(fitted(spans, width)) <= width


@given(SPANS, st.integers(-5, -1))
def test_less_than_no_room_is_no_room(spans: list[Span], width: int) -> None:
    assert width_of(fitted(spans, width)) == 0


@given(SPANS, WIDTHS)
def test_spans_that_fit_stay_as_they_are(spans: list[Span], extra: int) -> None:
    assert fitted(spans, width_of(spans) + extra) == spans


@pytest.mark.parametrize(
    ("texts", "width", "expected"),
    [
        (("web", "-1"), 4, "web…"),
        (("web", "-1"), 2, "w…"),
        (("web", "-1"), 3, "we…"),
        (("web", "", "-1"), 3, "we…"),
        (("日本", "語"), 5, "日本…"),
        (("日本", "語"), 4, "日…"),
        (("web",), 0, ""),
    ],
)
def test_where_something_is_lost_there_is_an_ellipsis(texts: tuple[str, ...], width: int, expected: str) -> None:
    assert text_of(fitted([Span(text) for text in texts], width)) == expected


def test_a_span_that_is_cut_keeps_its_tone() -> None:
    assert fitted([Span("web", Tone.BAD), Span("-1234", Tone.DIM)], 5) == [Span("web", Tone.BAD), Span("-…", Tone.DIM)]


@given(TEXTS, WIDTHS)
def test_a_text_cut_at_its_end_keeps_its_beginning(text: str, width: int) -> None:
    shown = cut_end(text, width)

    assert cell_width(shown) <= width
    assert text.startswith(shown.removesuffix("…"))


@given(SPANS, SPANS, WIDTHS)
def test_two_parts_spread_over_a_line_fill_it_exactly(left: list[Span], right: list[Span], width: int) -> None:
    assert width_of(spread(left, right, width)) == width


@pytest.mark.parametrize(
    ("width", "expected"), [(12, "host   03:12"), (10, "host 03:12"), (8, "h… 03:12"), (5, "03:12"), (3, "03…")]
)
def test_the_left_part_gives_way(width: int, expected: str) -> None:
    assert text_of(spread([Span("host")], [Span("03:12")], width)) == expected


# Windows


@given(st.integers(1, 60), st.integers(1, 40), st.data())
def test_what_is_chosen_is_in_sight_and_no_line_is_wasted(count: int, height: int, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, count - 1))
    first = first_in_sight(at, height, count)

    assert first <= at < first + height
    assert 0 <= first <= max(count - height, 0)


@given(st.integers(1, 60), st.integers(1, 40), WIDTHS, st.data())
def test_a_window_has_a_thumb_where_there_is_more_to_see(
    count: int, height: int, width: int, data: st.DataObject
) -> None:
    lines = [[Span(f"line {at}")] for at in range(count)]
    first = data.draw(st.integers(0, max(count - height, 0)))

    seen = windowed(lines, first, height, width)
    thumb = [at for at, line in enumerate(seen) if text_of(line).endswith("▐")]

    assert len(seen) == min(count, height)
    assert max(map(width_of, seen)) <= width
    assert bool(thumb) == (count > height and width > 0)
    assert thumb == list(range(thumb[0], thumb[-1] + 1)) if thumb else True


def test_the_thumb_is_at_the_end_where_the_list_is() -> None:
    lines = [[Span(str(at))] for at in range(8)]

    assert [text_of(line) for line in windowed(lines, 0, 4, 5)] == ["0   ▐", "1   ▐", "2    ", "3    "]
    assert [text_of(line) for line in windowed(lines, 4, 4, 5)] == ["4    ", "5    ", "6   ▐", "7   ▐"]


# Bars


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        (None, "    "),
        (0.0, "    "),
        (0.0001, "▏   "),
        (1 / 32, "▏   "),
        (0.25, "█   "),
        (0.5, "██  "),
        (0.5 + 4 / 32, "██▌ "),
        (31 / 32, "███▉"),
        (1.0, "████"),
        (7.5, "████"),
        (-1.0, "    "),
    ],
)
def test_a_bar_says_how_full(share: float | None, expected: str) -> None:
    assert bar(share, 4) == expected


@given(st.none() | st.floats(-1, 1000), st.integers(1, 40))
def test_a_bar_has_exactly_its_width(share: float | None, width: int) -> None:
    assert cell_width(bar(share, width)) == width


@given(SHARES, SHARES, st.integers(1, 20))
def test_a_greater_share_is_never_a_shorter_bar(one: float, other: float, width: int) -> None:
    def eighths(share: float) -> int:
        drawn = bar(share, width)
        return sum(" ▏▎▍▌▋▊▉█".index(each) for each in drawn)

    assert eighths(min(one, other)) <= eighths(max(one, other))


# Sparklines


def test_a_bar_is_the_average_of_its_samples_the_newest_last() -> None:
    history = (*[1.0] * PER_BAR, *[3.0] * (PER_BAR - 1), None)

    assert bars(history_of(*history), 2 * PER_BAR - 1, 3) == [None, 1.0, 3.0]


def test_the_newest_bar_begins_with_one_sample() -> None:
    history = (*[1.0] * PER_BAR, 4.0)

    assert bars(history_of(*history), PER_BAR, 2) == [1.0, 4.0]


def test_nothing_is_drawn_for_a_time_before_the_history() -> None:
    assert bars(NO_HISTORY, 100, 3) == [None, None, None]
    assert bars(history_of(0.5, newest=100), 100, 3) == [None, None, 0.5]


def drawn_at(values: list[float | None], tick: int, width: int) -> list[float | None]:
    return bars(history_of(*values[: tick + 1][-HISTORY_LENGTH:], newest=tick), tick, width)


VALUES = st.lists(st.none() | st.floats(0, 8), min_size=2, max_size=2 * HISTORY_LENGTH)


@given(VALUES, st.sampled_from([5, 10]))
def test_all_bars_but_the_newest_stand_still_until_they_move_on_together(
    values: list[float | None], width: int
) -> None:
    for tick in range(len(values) - 1):
        now, then = drawn_at(values, tick, width), drawn_at(values, tick + 1, width)
        if (tick + 1) % PER_BAR:
            assert then[:-1] == now[:-1]
        else:
            assert then[:-1] == now[1:]


@pytest.mark.parametrize(
    ("values", "top", "expected"),
    [
        ([0.0, 0.5, 0.99, 1.0, 9.0], 1.0, "▁▅███"),
        ([None, 0.0, None], 1.0, " ▁ "),
        ([0.0, 3.0], 0.0, "▁▁"),
        ([], 1.0, ""),
    ],
)
def test_a_sparkline(values: list[float | None], top: float, expected: str) -> None:
    assert sparkline(values, top) == expected


@given(st.lists(st.none() | st.floats(0, 1e6), max_size=20), st.floats(0.001, 1e6))
def test_a_sparkline_has_a_column_for_each_value(values: list[float | None], top: float) -> None:
    drawn = sparkline(values, top)

    assert cell_width(drawn) == len(values)
    assert set(drawn) <= {" ", *LEVELS}


@given(st.lists(st.none() | st.floats(0, 1000), max_size=20))
def test_the_scale_is_the_least_doubling_that_nothing_is_above(values: list[float | None]) -> None:
    top = steady_top(values, 0.125)
    highest = max((value for value in values if value is not None), default=0.0)

    assert top >= highest
    assert top == 0.125 or top / 2 < highest
