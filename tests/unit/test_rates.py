"""Counters become rates, and nothing else does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topcon.model.rates import increase, per_second, share

READINGS = st.none() | st.integers(0, 2**64)


@pytest.mark.parametrize(
    ("current", "previous", "expected"),
    [
        (15, 10, 5),
        (10, 10, 0),
        (2**64, 0, 2**64),
        (None, 10, None),
        (10, None, None),
        (None, None, None),
    ],
)
def test_increase(current: int | None, previous: int | None, expected: int | None) -> None:
    assert increase(current, previous) == expected


def test_a_counter_that_went_back_says_nothing() -> None:
    assert increase(9, 10) is None
    assert per_second(9, 10, 1.0) is None


@pytest.mark.parametrize(
    ("current", "previous", "elapsed_s", "expected"),
    [
        (30, 10, 2.0, 10.0),
        (30, 10, 0.5, 40.0),
        (10, 10, 2.0, 0.0),
        (None, 10, 1.0, None),
        (10, None, 1.0, None),
    ],
)
def test_per_second(current: int | None, previous: int | None, elapsed_s: float, expected: float | None) -> None:
    assert per_second(current, previous, elapsed_s) == expected


@pytest.mark.parametrize("elapsed_s", [0.0, -1.0])
def test_without_time_there_is_no_rate(elapsed_s: float) -> None:
    assert per_second(20, 10, elapsed_s) is None


@pytest.mark.parametrize(
    ("part", "whole", "expected"),
    [
        (1, 4, 0.25),
        (4, 4, 1.0),
        (5, 4, 1.0),
        (0, 4, 0.0),
        (0, 0, 0.0),
        (3, 0, 0.0),
        (None, 4, None),
        (1, None, None),
    ],
)
def test_share(part: int | None, whole: int | None, expected: float | None) -> None:
    assert share(part, whole) == expected


@given(READINGS, READINGS, st.floats(-10, 1e9))
def test_no_rate_is_negative(current: int | None, previous: int | None, elapsed_s: float) -> None:
    rate = per_second(current, previous, elapsed_s)

    assert rate is None or rate >= 0


@given(READINGS, READINGS, READINGS, READINGS)
def test_no_share_leaves_0_to_1(
    part: int | None, old_part: int | None, whole: int | None, old_whole: int | None
) -> None:
    result = share(increase(part, old_part), increase(whole, old_whole))

    assert result is None or 0 <= result <= 1
