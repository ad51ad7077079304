"""What containers used over the last hour: exact while it is new, means when it is old, nothing made up."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import (
    SECOND_NS,
    cgroup_of,
    docker_key,
    interface,
    netns_of,
    path_of,
    pressures,
    running,
    sample_of,
    snapshot_after,
    stopped,
)

from topcon.model.course import NO_COURSE, REMEMBERED, STEP, STEPS, STRIDE, TICKS, Kind, Times
from topcon.model.derive import derive
from topcon.model.sample import MemoryStat

if TYPE_CHECKING:
    from topcon.model.course import Course
    from topcon.model.snapshot import Snapshot

KINDS = len(Kind)
SDA = (8, 0)
ROUNDING = 1 / 900
"""What 16 bits are off by, and some."""


def course_of(values: list[float | None], first: int = 0) -> Course:
    """Let the CPU be these, and nothing else be known."""
    course = NO_COURSE
    for tick, value in enumerate(values, start=first):
        course = course.grown(tick, [value, *[None] * (KINDS - 1)])
    return course


def mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def close(value: float | None) -> object:
    return None if value is None else pytest.approx(value, rel=ROUNDING)


VALUES = st.one_of(st.none(), st.integers(0, 1 << 20).map(float))


@given(st.lists(VALUES, max_size=3 * TICKS), st.integers(0, 100), st.integers(0, 40))
def test_the_last_minute_is_as_it_was(values: list[float | None], first: int, later: int) -> None:
    """Whatever has not been added since is as the newest."""
    course = course_of(values, first)
    newest = first + len(values) - 1
    while values and values[0] is None:
        values = values[1:]

    shown = course.values(Kind.CPU, newest + later, TICKS)

    expected = [*values, *values[-1:] * later]
    # Where there is less, the means before begin with their step.
    assert shown[-len(expected[-TICKS:]) :] == expected[-TICKS:]
    assert len(shown) <= min(len(expected) + STEP, TICKS)


@given(st.lists(st.tuples(VALUES, st.integers(1, 2 * STRIDE)), min_size=1, max_size=40), st.integers(0, 100))
def test_what_is_older_is_the_mean_of_its_step(runs: list[tuple[float | None, int]], first: int) -> None:
    values = [value for value, ticks in runs for _ in range(ticks)]
    course = course_of(values, first)
    newest = first + len(values) - 1

    shown = course.values(Kind.CPU, newest)

    for tick in range(max(first, newest - STEP * (STEPS - 1)), newest - TICKS - STRIDE):
        if newest - tick >= len(shown) or tick > course.newest - TICKS:
            continue
        begin = max(tick // STEP * STEP - first, 0)
        expected = mean(values[begin : tick // STEP * STEP - first + STEP])
        assert shown[tick - newest - 1] == close(expected)


def test_what_is_oldest_is_the_mean_of_half_a_minute() -> None:
    values = [float(tick % 1000) for tick in range(2000)]

    shown = course_of(values).values(Kind.CPU, 1999)

    assert len(shown) == 2000 // STRIDE * STRIDE + 2000 % STRIDE
    assert shown[:STRIDE] == [close(14.5)] * STRIDE
    assert shown[-REMEMBERED:][300:330] == [close(314.5)] * STRIDE


def test_no_more_is_kept_than_an_hour() -> None:
    course = course_of([float(tick) for tick in range(REMEMBERED + 400)])

    assert len(course.values(Kind.CPU, course.newest)) == REMEMBERED
    assert sum(map(len, course[:3])) < 10_000


def test_what_stays_as_it_is_adds_nothing() -> None:
    course = course_of([1.0, 2.0])

    assert course.grown(2, [2.0, *[None] * (KINDS - 1)]) is course
    assert NO_COURSE.grown(0, [None] * KINDS) is NO_COURSE


def test_what_was_still_for_hours_costs_no_more_and_was_as_it_was() -> None:
    course = course_of([5.0] * 10).grown(9000, [1.0, *[None] * (KINDS - 1)])

    shown = course.values(Kind.CPU, 9000)

    assert (shown[-1], shown[-2], shown[0], len(shown)) == (1.0, 5.0, close(5.0), REMEMBERED)
    assert sum(map(len, course[:3])) < 10_000


def test_a_gap_is_no_zero() -> None:
    course = course_of([1.0] * 100 + [None] * 100 + [2.0] * 100)

    shown = course.values(Kind.CPU, 299)

    assert shown[:90] == [1.0] * 90
    assert shown[110:190] == [None] * 80
    assert 0.0 not in shown


def test_times_are_kept_one_more_than_ticks() -> None:
    times = Times()
    for at in range(REMEMBERED + 50):
        times = times.grown(at)

    assert list(times.all_ns) == list(range(49, REMEMBERED + 50))


# As derive grows it


def after(snapshot: Snapshot, kind: Kind, name: str = "web") -> list[float | None]:
    return snapshot.containers[docker_key(name)].usage.course.values(kind, snapshot.tick)


def test_all_kinds_are_remembered() -> None:
    def box(at: int) -> object:
        cgroup = cgroup_of(
            path_of("web"),
            usage_usec=at * 500_000,
            limit_cores=1.0,
            nr_periods=at * 10,
            nr_throttled=at * 5,
            io={SDA: (at * 100, at * 200)},
            pressure=pressures(cpu=at * 100_000, memory=at * 200_000, io=at * 300_000),
            memory=MemoryStat(current=900, anon=300, file=500, inactive_file=400),
        )
        return replace(running("web"), cgroup=cgroup)

    samples = [
        sample_of(box(at), seconds=at, networks={netns_of("web"): {"eth0": interface(at * 10, at * 20)}})  # type: ignore[arg-type]
        for at in range(3)
    ]

    snapshot = snapshot_after(*samples)

    newest = {kind.name: after(snapshot, kind)[-1] for kind in Kind}
    assert newest == {
        "CPU": 0.5,
        "THROTTLED": 0.5,
        "MEMORY": 500.0,
        "ANON": 300.0,
        "FILE": 500.0,
        "READ": 100.0,
        "WRITE": 200.0,
        "RX": 10.0,
        "TX": 20.0,
        "CPU_PRESSURE": pytest.approx(0.1),
        "MEMORY_PRESSURE": pytest.approx(0.2),
        "IO_PRESSURE": pytest.approx(0.3),
    }


def test_a_restart_is_a_gap_and_no_end() -> None:
    """What it did before it fell over is what one wants to see."""
    samples = [sample_of(running("web", usage_usec=at * 500_000), seconds=at) for at in range(3)]
    samples += [sample_of(stopped("web"), seconds=at) for at in (3, 4)]
    samples += [sample_of(running("web", usage_usec=at * 250_000, inode=9), seconds=at) for at in (5, 6)]

    shown = after(snapshot_after(*samples), Kind.CPU)

    assert shown[-6:] == [0.5, 0.5, None, None, None, 0.25]


def test_a_pod_has_its_own_and_one_of_a_single_container_that_of_the_container() -> None:
    def boxes(at: int) -> list[object]:
        labels = {"labels": {"com.docker.compose.project": "shop"}}
        shop = [running(name, info=labels, usage_usec=at * 100_000) for name in ("a", "b")]
        return [*shop, running("web", usage_usec=at * 100_000)]

    snapshot = snapshot_after(*(sample_of(*boxes(at), seconds=at) for at in range(3)))  # type: ignore[arg-type]

    shop, web = sorted(snapshot.pods, key=lambda pod: len(pod.containers), reverse=True)
    assert shop.usage.course.values(Kind.CPU, snapshot.tick)[-1] == pytest.approx(0.2)
    assert web.usage.course is web.containers[0].usage.course


def test_an_idle_container_keeps_the_very_same_course() -> None:
    sample = sample_of(running("web"))
    snapshot, courses = None, []
    for at in range(5):
        snapshot = derive(snapshot, replace(sample, monotonic_ns=sample.monotonic_ns + at * SECOND_NS))
        courses.append(snapshot.containers[docker_key("web")].usage.course)

    assert courses[2] is courses[3] is courses[4]
    assert len(snapshot.times.all_ns) == 5 if snapshot else False


def test_ticks_took_as_long_as_they_were_apart() -> None:
    times = Times()
    for second in (0, 1, 2, 8, 14):
        times = times.grown(second * SECOND_NS)

    assert [times.seconds_of(ticks) for ticks in range(6)] == [0.0, 6.0, 12.0, 13.0, 14.0, None]
