"""How fast a recording is played."""

from __future__ import annotations

import pytest

from topcon.model.event import Event, Kind
from topcon.model.playing import SPEEDS, Mark, Playing, marks_of, next_speed, parse_speed
from topcon.model.snapshot import Severity


def test_keys_go_through_all_speeds_and_stop_at_either_end() -> None:
    speed, up = 1.0, []
    for _ in range(len(SPEEDS)):
        up.append(speed)
        speed = next_speed(speed, 1)
    down = [next_speed(each, -1) for each in SPEEDS]

    assert up == list(SPEEDS)
    assert next_speed(SPEEDS[-1], 1) == SPEEDS[-1]
    assert down == [1.0, *SPEEDS[:-1]]


def test_a_speed_of_its_own_goes_to_the_next_of_the_table() -> None:
    assert next_speed(7.0, 1) == 10.0
    assert next_speed(7.0, -1) == 5.0
    assert next_speed(0.5, -1) == 0.5


@pytest.mark.parametrize(("text", "speed"), [("10", 10.0), ("10x", 10.0), (" 0.5 ", 0.5), ("60x", 60.0)])
def test_a_speed_is_taken_as_people_write_it(text: str, speed: float) -> None:
    assert parse_speed(text) == speed


@pytest.mark.parametrize("text", ["", "x", "0", "-1", "61", "nan", "inf", "fast"])
def test_another_text_is_no_speed(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected a speed from 0\.1 to 60"):
        parse_speed(text)


def test_each_event_is_a_mark_as_bad_as_it_is() -> None:
    events = (
        Event(5, 1, Kind.START, "docker:a", "a", "started"),
        Event(7, 2, Kind.OOM, "docker:a", "a", "killed", Severity.CRITICAL),
    )

    assert marks_of(events) == (Mark(5), Mark(7, Severity.CRITICAL))


def test_the_last_moment_is_the_end() -> None:
    assert Playing(at_ns=9, first_ns=1, last_ns=9).is_at_end
    assert not Playing(at_ns=8, first_ns=1, last_ns=9).is_at_end
