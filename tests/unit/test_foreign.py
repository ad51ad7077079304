"""JSON that others wrote, taken for what it should be."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import JSON

from topcon.runtimes.foreign import (
    parse_time_ns,
    to_int,
    to_labels,
    to_list,
    to_object,
    to_text,
    to_time_ns,
)


@given(JSON)
def test_any_json_is_what_it_should_be_or_is_taken_for_not_said(value: object) -> None:
    assert to_text(value) in {None, value if isinstance(value, str) else None}
    assert to_int(value) is None or to_int(value) == value
    assert to_object(value) in ({}, value)
    assert to_list(value) in ([], value)
    assert all(isinstance(text, str) for text in to_labels(value).values())
    assert to_time_ns(value) is None or to_time_ns(value) > 0
    assert parse_time_ns(value) is None or isinstance(value, str)


@pytest.mark.parametrize(
    ("value", "number"),
    [(0, 0), (-5, -5), (True, None), (1.0, None), ("1", None), (None, None), (2**63 - 1, 2**63 - 1), (2**63, None)],
)
def test_a_whole_number(value: object, number: int | None) -> None:
    assert to_int(value) == number


def test_labels_are_texts() -> None:
    assert to_labels({"a": "b", "empty": "", "n": 1, "none": None}) == {"a": "b", "empty": ""}
    assert to_labels(None) == {}


@pytest.mark.parametrize(
    ("seconds", "time_ns"),
    [
        (1795262833, 1795262833 * 10**9),
        (-62135596800, None),
        (0, None),
        (253402300799, 253402300799 * 10**9),
        (253402300800, None),
        ("1795262833", None),
    ],
)
def test_seconds_since_1970(seconds: object, time_ns: int | None) -> None:
    assert to_time_ns(seconds) == time_ns


@pytest.mark.parametrize(
    ("text", "time_ns"),
    [
        ("2026-11-21T12:07:13.871658464Z", 1795262833871658464),
        ("2026-11-21T12:09:29.13767831Z", 1795262969137678310),
        ("2026-11-21T12:07:13Z", 1795262833000000000),
        ("2026-11-21T14:07:13+02:00", 1795262833000000000),
        ("0001-01-01T00:00:00Z", None),
        ("1970-01-01T00:00:00Z", None),
        ("0001-01-01T00:00:00+23:59", None),
        ("2026-13-21T12:07:13Z", None),
        ("2026-11-21", None),
        ("\u0662026-11-21T12:07:13Z", None),
        ("", None),
        (None, None),
        (1795262833, None),
    ],
)
def test_a_time(text: object, time_ns: int | None) -> None:
    assert parse_time_ns(text) == time_ns


@given(st.integers(1, 253402300799 * 10**9))
def test_times_come_back_as_they_were(time_ns: int) -> None:
    seconds, ns = divmod(time_ns, 10**9)
    text = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0")

    assert parse_time_ns(f"{text}.{ns:09d}Z") == (time_ns if seconds else None)
