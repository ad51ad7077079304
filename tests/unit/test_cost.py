"""What topcon costs, out of what it and the daemons have used."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import SECOND_NS, sample_of

from topcon.model.cost import SMOOTHED_OVER_S, daemons_cpu_s, own_cpu_s, smoothed
from topcon.model.derive import derive
from topcon.model.sample import OwnSample, RuntimeSample

if TYPE_CHECKING:
    from topcon.model.sample import Sample
    from topcon.model.snapshot import Snapshot

shares = st.floats(0, 4)


def runtime(cpu_s: float | None, name: str = "docker") -> RuntimeSample:
    return RuntimeSample(name, f"/run/{name}.sock", up=True, is_listed=True, daemon_cpu_s=cpu_s)


def own(cpu_s: float, interval_s: float = 1.0, rss_bytes: int | None = 1 << 20) -> OwnSample:
    return OwnSample(cpu_s, rss_bytes, interval_s, 1.0, 0.02)


def sample(at_s: float, cpu_s: float | None, *runtimes: RuntimeSample, **options: Any) -> Sample:
    given = sample_of()
    used = None if cpu_s is None else own(cpu_s, **options)
    return replace(given, monotonic_ns=given.monotonic_ns + int(at_s * SECOND_NS), own=used, runtimes=runtimes)


def after(*samples: Sample) -> Snapshot:
    snapshot: Snapshot | None = None
    for each in samples:
        snapshot = derive(snapshot, each)
    assert snapshot is not None
    return snapshot


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        ((runtime(1.0),), (runtime(1.5),), 0.5),
        ((runtime(None),), (runtime(0.25),), 0.25),
        ((), (runtime(0.25),), 0.25),
        ((runtime(1.0),), (runtime(None),), None),
        ((runtime(1.0),), (), None),
        ((runtime(2.0),), (runtime(1.0),), 0.0),
        ((runtime(1.0), runtime(1.0, "podman")), (runtime(2.0), runtime(1.5, "podman")), 1.5),
        ((runtime(1.0), runtime(None, "podman")), (runtime(2.0), runtime(None, "podman")), 1.0),
    ],
)
def test_the_daemons_are_added_up_as_far_as_they_are_known(
    before: tuple[RuntimeSample, ...], now: tuple[RuntimeSample, ...], expected: float | None
) -> None:
    assert daemons_cpu_s(sample(0, 0.0, *before), sample(1, 0.0, *now)) == expected


@pytest.mark.parametrize(
    ("before", "now", "expected"), [(1.0, 1.25, 0.25), (None, 1.0, None), (1.0, None, None), (2.0, 1.0, 0.0)]
)
def test_what_topcon_itself_has_used(before: float | None, now: float | None, expected: float | None) -> None:
    assert own_cpu_s(sample(0, before), sample(1, now)) == expected


def test_a_captured_host_costs_nothing_that_is_known() -> None:
    assert after(sample(0, None), sample(1, None)).cost is None


def test_the_first_snapshot_knows_no_shares() -> None:
    cost = after(sample(0, 3.0)).cost

    assert cost is not None
    assert (cost.cpu_share, cost.daemons_share, cost.rss_bytes, cost.is_slowed) == (None, None, 1 << 20, False)


def test_the_second_knows_what_was_used_in_between() -> None:
    cost = after(sample(0, 3.0, runtime(1.0)), sample(2, 3.5, runtime(1.1))).cost

    assert cost is not None
    assert cost.cpu_share == pytest.approx(0.25)
    assert cost.daemons_share == pytest.approx(0.05)


def test_a_burst_is_forgotten_after_ten_seconds() -> None:
    samples = [sample(0, 0.0), *(sample(at, 1.0) for at in range(1, 12))]

    costs = [after(*samples[: count + 1]).cost for count in range(1, 12)]

    told = [cost.cpu_share for cost in costs if cost and cost.cpu_share is not None]
    assert told[0] == pytest.approx(1.0)
    assert told == sorted(told, reverse=True)
    assert told[-1] < 0.14


@pytest.mark.parametrize(("interval_s", "is_slowed"), [(1.0, False), (4.2, True)])
def test_it_tells_whether_it_is_slowed(interval_s: float, is_slowed: bool) -> None:
    cost = after(sample(0, 0.0, interval_s=interval_s)).cost

    assert cost is not None
    assert (cost.interval_s, cost.is_slowed) == (interval_s, is_slowed)


def test_daemons_that_cannot_be_told_for_once_stay_as_they_were() -> None:
    cost = after(sample(0, 0.0, runtime(0.0)), sample(1, 0.0, runtime(0.5)), sample(2, 0.0, runtime(None))).cost

    assert cost is not None
    assert cost.daemons_share == pytest.approx(0.5)


@given(now=shares, before=shares, elapsed_s=st.floats(0, 1e6))
def test_the_mean_lies_between_what_was_and_what_is(now: float, before: float, elapsed_s: float) -> None:
    mean = smoothed(now, before, elapsed_s)

    assert mean is not None
    assert min(now, before) - 1e-9 <= mean <= max(now, before) + 1e-9


@given(before=shares, now=shares)
def test_two_halves_of_a_time_are_as_the_whole(before: float, now: float) -> None:
    half = smoothed(now, before, SMOOTHED_OVER_S / 2)

    assert smoothed(now, half, SMOOTHED_OVER_S / 2) == pytest.approx(smoothed(now, before, SMOOTHED_OVER_S))
