"""Moments, spans and sizes: what people write, and that all else is refused in one line."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topcon.moment import parse_moment, parse_size, parse_span, to_moment_text

BERLIN = ZoneInfo("Europe/Berlin")
NS = 10**9
NOW = datetime(2026, 11, 22, 9, 30, tzinfo=BERLIN)


def ns(moment: datetime) -> int:
    return round(moment.timestamp()) * NS


def parsed(text: str, now: datetime = NOW) -> datetime:
    return datetime.fromtimestamp(parse_moment(text, ns(now), BERLIN) / NS, BERLIN)


def berlin(day: int, hour: int, minute: int, second: int = 0, *, month: int = 11, fold: int = 0) -> datetime:
    return datetime(2026, month, day, hour, minute, second, tzinfo=BERLIN, fold=fold)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("now", NOW),
        ("03:12", berlin(22, 3, 12)),
        ("03:12:40", berlin(22, 3, 12, 40)),
        ("09:30", NOW),
        ("09:31", berlin(21, 9, 31)),
        ("23:59:59", berlin(21, 23, 59, 59)),
        ("2026-11-22 03:12", berlin(22, 3, 12)),
        ("2026-11-22T03:12:40", berlin(22, 3, 12, 40)),
        ("2026-11-22T03:12:40Z", berlin(22, 4, 12, 40)),
        ("2026-11-22 03:12:40+05:30", datetime(2026, 11, 21, 21, 42, 40, tzinfo=UTC)),
        ("2026-11-23 03:12", berlin(23, 3, 12)),
        ("2026-11-22", berlin(22, 0, 0)),
        ("2026-11-22 03", berlin(22, 3, 0)),
        ("-10m", berlin(22, 9, 20)),
        ("-1h30m", berlin(22, 8, 0)),
        ("-2d", berlin(20, 9, 30)),
    ],
)
def test_a_moment_is_what_a_person_means(text: str, expected: datetime) -> None:
    assert parsed(text) == expected


def test_a_part_of_a_second_counts() -> None:
    assert parse_moment("1970-01-01T00:00:01.250Z", 0) == 1_250_000_000
    assert parse_moment("-0.5s", 2 * NS) == 1_500_000_000


def test_without_a_zone_it_is_that_of_the_machine() -> None:
    # Tests are in UTC.
    assert parse_moment("1970-01-02 00:00", 0) == 86_400 * NS
    assert parse_moment("00:01", 3600 * NS) == 60 * NS


def test_a_time_that_was_left_out_is_that_of_the_day_before() -> None:
    assert parsed("02:30", berlin(29, 12, 0, month=3)) == berlin(28, 2, 30, month=3)


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (berlin(25, 12, 0, month=10), berlin(25, 2, 30, month=10, fold=1)),
        (berlin(25, 2, 29, month=10, fold=1), berlin(25, 2, 30, month=10)),
    ],
    ids=["the second", "the first"],
)
def test_of_a_time_that_was_twice_it_is_the_last_that_has_been(now: datetime, expected: datetime) -> None:
    assert parse_moment("02:30", ns(now), BERLIN) == ns(expected)


@pytest.mark.parametrize(
    "text",
    [
        *("", "yesterday", "3:12", "24:00", "03:60", "0312", "2026-13-01", "-", "-10", "-0s", "--1m", "10m", "NOW"),
        *("03:12:40Z", "\N{ARABIC-INDIC DIGIT ONE}2:00", "-9999999999w", "0001-01-01 00:00+14:00x", "\x1b[2J"),
    ],
)
def test_what_is_no_moment_is_refused_with_what_is_expected(text: str) -> None:
    with pytest.raises(ValueError, match="expected 03:12, ") as refused:
        parse_moment(text, ns(NOW), BERLIN)

    assert str(refused.value).startswith(repr(text))


@pytest.mark.parametrize("text", ["0001-01-01", "9999-12-31 23:59:59.999999"])
@pytest.mark.parametrize("hours", [-14, 14])
def test_the_ends_of_the_calendar_are_moments(text: str, hours: int) -> None:
    zone = timezone(timedelta(hours=hours))

    assert parse_moment(text, 0, zone) == parse_moment(text, 0, UTC) - hours * 3600 * NS


@given(st.text())
def test_any_text_is_a_moment_or_refused_in_one_line(text: str) -> None:
    try:
        assert isinstance(parse_moment(text, ns(NOW), BERLIN), int)
    except ValueError as error:
        assert "\n" not in str(error)  # noqa: PT017  either will do


@given(st.times(), st.integers(0, 4_000_000_000))
def test_a_time_of_day_is_the_last_one(asked: time, now_s: int) -> None:
    text = f"{asked:%H:%M:%S}"
    found = parse_moment(text, now_s * NS, BERLIN)

    assert found <= now_s * NS
    assert f"{datetime.fromtimestamp(found / NS, BERLIN):%H:%M:%S}" == text
    assert now_s * NS - found < 50 * 3600 * NS


@given(st.integers(0, 4_000_000_000))
def test_a_moment_that_is_written_reads_back(at_s: int) -> None:
    assert parse_moment(to_moment_text(at_s * NS, BERLIN), 0, UTC) == at_s * NS
    assert parse_moment(to_moment_text(at_s * NS), 0, UTC) == at_s * NS


def test_a_moment_is_written_as_the_clock_on_the_wall_has_it() -> None:
    assert to_moment_text(ns(NOW) + 5, BERLIN) == "2026-11-22 09:30:00+01:00"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("10m", 600), ("1h30m", 5400), ("7d", 604_800), ("2w", 1_209_600), ("0.5s", 0.5), ("1d1s", 86_401)],
)
def test_a_span_is_counted_in_seconds(text: str, seconds: float) -> None:
    assert parse_span(text) == seconds


@pytest.mark.parametrize("text", ["", "10", "0s", "-5m", "1m1h", "5min", "5 m", "1e3s", "9999999999s", "999999w", "m"])
def test_what_is_no_span_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected 90s, 10m, 1h30m or 7d"):
        parse_span(text)


@given(st.integers(0, 9), st.integers(0, 30), st.integers(0, 99), st.integers(1, 99))
def test_the_parts_of_a_span_add_up(days: int, hours: int, minutes: int, seconds: int) -> None:
    span = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)

    assert parse_span(f"{days}d{hours}h{minutes}m{seconds}s") == span.total_seconds()


@pytest.mark.parametrize(
    ("text", "size"),
    [("1024", 1024), ("500M", 500 << 20), ("2G", 2 << 30), ("1.5g", 3 << 29), ("1T", 1 << 40), ("64k", 1 << 16)],
)
def test_a_size_is_counted_in_bytes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "0", "-1", "M", "5MB", "5 M", "1e9", "5P", "9999999999T", "nan"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected 500M, 2G or a number of bytes"):
        parse_size(text)
