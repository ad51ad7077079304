"""A sample beside the one before it gives rates, histories and totals of pods."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from fakes import HOST_NAMESPACES, SECOND_NS, START_WALL_NS
from hypothesis import given
from hypothesis import strategies as st
from samples import (
    COMPOSE,
    HOST_NETNS,
    SDA,
    SDB,
    Box,
    container_id,
    docker_key,
    history_of,
    host_of,
    interface,
    kernel_only,
    netns_of,
    on_network,
    own_namespaces,
    past,
    pressures,
    running,
    sample_of,
    snapshot_after,
    stopped,
)

from topcon.model.derive import begun, derive
from topcon.model.history import HISTORY, NO_HISTORY
from topcon.model.sample import MemoryStat, Namespaces, NetnsKey, State
from topcon.model.snapshot import PressureShare, PressureShares, Usage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from topcon.model.sample import CgroupSample, InterfaceStat
    from topcon.model.snapshot import ContainerNode, PodNode, Snapshot

MIB = 1 << 20
SHARED = NetnsKey(4_040_000_000)


def over_a_second(before: Box, after: Box, **others: Any) -> Usage:
    """Return what the one container uses, after a second between two samples."""
    snapshot = snapshot_after(sample_of(before, **others), sample_of(after, seconds=1, **others))
    return next(iter(snapshot.containers.values())).usage


def web_of(snapshot: Snapshot) -> ContainerNode:
    return snapshot.containers[docker_key("web")]


def lost(section: str) -> Box:
    """Return a container one section of which cannot be read."""
    return running("web", **{section: None})


# CPU


def test_cpu_cores_are_cpu_time_by_time() -> None:
    usage = over_a_second(running("web", usage_usec=1_000_000), running("web", usage_usec=2_500_000))

    assert usage.cpu_cores == pytest.approx(1.5)


def test_rates_are_measured_over_the_real_interval() -> None:
    snapshot = snapshot_after(
        sample_of(running("web", usage_usec=0)), sample_of(running("web", usage_usec=1_000_000), seconds=2.5)
    )

    assert snapshot.interval_s == 2.5
    assert web_of(snapshot).usage.cpu_cores == pytest.approx(0.4)


def test_the_wall_clock_has_no_part_in_rates() -> None:
    samples = [sample_of(running("web", usage_usec=at * 500_000), seconds=at) for at in range(2)]
    set_back = replace(samples[1], wall_ns=START_WALL_NS - 3600 * SECOND_NS)

    assert web_of(snapshot_after(samples[0], set_back)).usage.cpu_cores == pytest.approx(0.5)


def test_the_first_snapshot_has_levels_but_no_rates() -> None:
    usage = web_of(snapshot_after(sample_of(running("web", current=100, inactive_file=30, limit_cores=1.5)))).usage

    assert (usage.memory_bytes, usage.pids, usage.cpu_limit_cores) == (70, 1, 1.5)
    assert (usage.cpu_cores, usage.throttled_share) == (None, None)
    assert (usage.read_bytes_per_second, usage.write_bytes_per_second) == (None, None)
    assert usage.pressure == PressureShares(None, None, None)


@pytest.mark.parametrize(
    ("periods", "throttled", "expected"),
    [
        ((100, 120), (10, 15), 0.25),
        ((100, 120), (10, 10), 0.0),
        ((100, 100), (10, 10), 0.0),
        ((100, 10), (10, 1), None),
    ],
)
def test_throttled_share_is_of_the_periods_that_passed(
    periods: tuple[int, int], throttled: tuple[int, int], expected: float | None
) -> None:
    before, after = (
        running("web", limit_cores=1.0, nr_periods=nr_periods, nr_throttled=nr_throttled)
        for nr_periods, nr_throttled in zip(periods, throttled, strict=True)
    )

    assert over_a_second(before, after).throttled_share == expected


def test_without_a_limit_nothing_is_throttled() -> None:
    usage = over_a_second(running("web", nr_periods=10), running("web", nr_periods=20, nr_throttled=5))

    assert usage.throttled_share is None


def test_without_the_cpu_controller_the_rest_is_still_there() -> None:
    usage = over_a_second(lost("cpu"), lost("cpu"))

    assert (usage.cpu_cores, usage.throttled_share) == (None, None)
    assert usage.memory_bytes == 10 * MIB


# Memory, pids, limits


def test_shares_of_limits() -> None:
    usage = over_a_second(
        running("web", limit_cores=2.0),
        running("web", limit_cores=2.0, usage_usec=500_000, current=300, inactive_file=50, limit=1000, pids_max=64),
    )

    assert usage.cpu_limit_share == pytest.approx(0.25)
    assert usage.memory_limit_share == pytest.approx(0.25)
    assert usage.pids_limit == 64


@pytest.mark.parametrize("usage", [Usage(), Usage(cpu_cores=1.0, memory_bytes=5), Usage(memory_limit_bytes=0)])
def test_without_a_limit_there_is_no_share_of_it(usage: Usage) -> None:
    assert (usage.cpu_limit_share, usage.memory_limit_share) == (None, None)


def test_more_inactive_file_than_charged_is_no_negative_working_set() -> None:
    assert MemoryStat(current=10, inactive_file=20).working_set == 0


@pytest.mark.parametrize("memory", [MemoryStat(None, inactive_file=5), MemoryStat(5)])
def test_a_working_set_needs_both_of_its_numbers(memory: MemoryStat) -> None:
    assert memory.working_set is None


# I/O


def test_io_rates_are_of_all_devices() -> None:
    usage = over_a_second(
        running("web", io={SDA: (100, 10), SDB: (0, 5)}), running("web", io={SDA: (300, 10), SDB: (50, 25)})
    )

    assert (usage.read_bytes_per_second, usage.write_bytes_per_second) == (250.0, 20.0)


def test_a_device_that_appears_counts_from_0() -> None:
    usage = over_a_second(running("web", io={}), running("web", io={SDA: (4096, 512)}))

    assert (usage.read_bytes_per_second, usage.write_bytes_per_second) == (4096.0, 512.0)


def test_a_device_that_goes_leaves_the_rates_of_the_others() -> None:
    usage = over_a_second(running("web", io={SDA: (9000, 9000), SDB: (10, 10)}), running("web", io={SDB: (30, 15)}))

    assert (usage.read_bytes_per_second, usage.write_bytes_per_second) == (20.0, 5.0)


def test_a_device_that_counts_anew_is_not_hidden_by_another() -> None:
    usage = over_a_second(
        running("web", io={SDA: (1000, 0), SDB: (0, 0)}), running("web", io={SDA: (0, 0), SDB: (5000, 0)})
    )

    assert usage.read_bytes_per_second is None


def test_a_container_that_reads_nothing_reads_0() -> None:
    usage = over_a_second(running("web", io={}), running("web", io={}))

    assert (usage.read_bytes_per_second, usage.write_bytes_per_second) == (0.0, 0.0)


@pytest.mark.parametrize("when", ["before", "after"])
def test_io_that_could_not_be_read_has_no_rate(when: str) -> None:
    boxes = (lost("io"), running("web")) if when == "before" else (running("web"), lost("io"))

    assert over_a_second(*boxes).read_bytes_per_second is None


# Network


def test_network_totals_leave_the_loopback_out() -> None:
    def networks(times: int) -> Mapping[NetnsKey, Mapping[str, InterfaceStat]]:
        return {
            netns_of("web"): {
                "lo": interface(10**9 * times, 10**9 * times),
                "eth0": interface(100 * times, 10 * times),
                "eth1": interface(5 * times, 1 * times),
            }
        }

    snapshot = snapshot_after(
        sample_of(running("web"), networks=networks(1)), sample_of(running("web"), seconds=1, networks=networks(3))
    )

    usage = web_of(snapshot).usage
    assert (usage.rx_bytes, usage.tx_bytes) == (315, 33)
    assert (usage.rx_bytes_per_second, usage.tx_bytes_per_second) == (210.0, 22.0)


def test_on_the_hosts_network_nothing_is_the_containers_own() -> None:
    box = running("web", process=on_network(HOST_NETNS))

    usage = over_a_second(box, box, networks={HOST_NETNS: {"eth0": interface(100, 100)}})

    assert (usage.rx_bytes, usage.rx_bytes_per_second, usage.tx_bytes, usage.tx_bytes_per_second) == (None,) * 4


def test_a_network_that_could_not_be_read_is_unknown() -> None:
    usage = over_a_second(running("web"), running("web"))

    assert (usage.rx_bytes, usage.rx_bytes_per_second) == (None, None)


def test_an_interface_that_counts_anew_is_not_hidden_by_another() -> None:
    own = netns_of("web")
    first = sample_of(running("web"), networks={own: {"eth0": interface(1000, 0), "eth1": interface(0, 0)}})
    second = sample_of(running("web"), seconds=1, networks={own: {"eth0": interface(0, 0), "eth1": interface(5000, 0)}})

    assert web_of(snapshot_after(first, second)).usage.rx_bytes_per_second is None


def test_a_container_without_a_cgroup_to_read_has_its_network_all_the_same() -> None:
    box = replace(running("web"), cgroup=None)

    usage = over_a_second(box, box, networks={netns_of("web"): {"eth0": interface(7, 8)}})

    assert (usage.rx_bytes, usage.tx_bytes, usage.rx_bytes_per_second) == (7, 8, 0.0)
    assert (usage.cpu_cores, usage.memory_bytes, usage.cpu_history) == (None, None, NO_HISTORY)


# Pressure


def test_pressure_is_the_share_of_the_interval() -> None:
    usage = over_a_second(
        running("web", pressure=pressures(cpu=1_000_000)),
        running("web", pressure=pressures(cpu=1_250_000, memory=500_000, full=100_000)),
    )

    assert usage.pressure == PressureShares(PressureShare(0.25, 0.1), PressureShare(0.5, 0.1), PressureShare(0.0, 0.1))
    assert usage.pressure.worst_some == 0.5


def test_no_more_than_all_of_the_interval_is_stalled() -> None:
    usage = over_a_second(running("web"), running("web", pressure=pressures(cpu=1_050_000)))

    assert usage.pressure
    assert usage.pressure.cpu == PressureShare(1.0, 0.0)


def test_a_kernel_that_has_no_full_line_leaves_it_unknown() -> None:
    usage = over_a_second(
        running("web", pressure=pressures(full=None)), running("web", pressure=pressures(cpu=10_000, full=None))
    )

    assert usage.pressure
    assert usage.pressure.cpu == PressureShare(0.01, None)


def test_without_pressure_files_there_is_no_pressure() -> None:
    assert over_a_second(lost("pressure"), lost("pressure")).pressure is None
    assert over_a_second(lost("pressure"), running("web")).pressure == PressureShares(None, None, None)


@pytest.mark.parametrize("shares", [PressureShares(), PressureShares(cpu=PressureShare(None, None))])
def test_of_nothing_known_there_is_no_worst(shares: PressureShares) -> None:
    assert shares.worst_some is None


# Resets


BUSY: dict[str, Any] = {
    "usage_usec": 5_000_000,
    "nr_periods": 50,
    "nr_throttled": 5,
    "limit_cores": 1.0,
    "io": {SDA: (5000, 5000)},
    "pressure": pressures(5_000_000, 5_000_000, 5_000_000, full=5_000_000),
}


def test_counters_that_went_back_give_no_rates() -> None:
    usage = over_a_second(
        running("web", **BUSY),
        running("web", limit_cores=1.0),
        networks={netns_of("web"): {"eth0": interface(5, 5)}},
    )

    unknown = PressureShare(None, None)
    assert (usage.cpu_cores, usage.throttled_share) == (None, None)
    assert (usage.read_bytes_per_second, usage.write_bytes_per_second) == (None, None)
    assert usage.pressure == PressureShares(unknown, unknown, unknown)
    assert past(usage.cpu_history) == (None, None)


def test_network_counters_that_went_back_give_no_rates() -> None:
    first = sample_of(running("web"), networks={netns_of("web"): {"eth0": interface(100, 100)}})
    second = sample_of(running("web"), seconds=1, networks={netns_of("web"): {"eth0": interface(10, 200)}})

    usage = web_of(snapshot_after(first, second)).usage

    assert (usage.rx_bytes, usage.rx_bytes_per_second, usage.tx_bytes_per_second) == (10, None, 100.0)


def test_another_cgroup_under_the_same_path_begins_anew() -> None:
    again = BUSY | {"usage_usec": 9_000_000, "io": {SDA: (9000, 9000)}, "nr_periods": 90}
    samples = [sample_of(running("web", **BUSY, inode=5), seconds=at) for at in range(3)]

    usage = web_of(snapshot_after(*samples, sample_of(running("web", **again, inode=6), seconds=3))).usage

    assert (usage.cpu_cores, usage.throttled_share, usage.read_bytes_per_second) == (None, None, None)
    assert usage.pressure == PressureShares(None, None, None)
    assert past(usage.cpu_history) == (None,)


def test_the_same_inode_under_another_path_is_another_cgroup() -> None:
    moved = running("web", usage_usec=9_000_000, inside=running("dind"), inode=5)

    assert over_a_second(running("web", inode=5), moved).cpu_cores is None


# Histories


def seconds_of(count: int, **others: Any) -> Snapshot:
    """Return the snapshot after so many samples, each with more CPU than the one before."""
    usage_usec = 0
    samples = []
    for at in range(count):
        usage_usec += at * 1000
        samples.append(sample_of(running("web", usage_usec=usage_usec), seconds=at, **others))
    return snapshot_after(*samples)


def test_a_history_grows_with_the_newest_last() -> None:
    assert past(web_of(seconds_of(4)).usage.cpu_history) == pytest.approx((None, 0.001, 0.002, 0.003))


def test_a_history_keeps_ten_minutes() -> None:
    history = past(web_of(seconds_of(HISTORY + 10)).usage.cpu_history)

    assert len(history) == HISTORY == 600
    assert (history[0], history[-1]) == pytest.approx((0.010, 0.609))


def test_a_container_that_stops_and_starts_has_a_fresh_history() -> None:
    samples = [
        sample_of(running("web"), seconds=0),
        sample_of(stopped("web"), seconds=1),
        sample_of(running("web"), seconds=2),
    ]

    assert past(web_of(snapshot_after(*samples[:2])).usage.cpu_history) == ()
    assert past(web_of(snapshot_after(*samples)).usage.cpu_history) == (None,)


# The host


def test_the_hosts_cpu_is_measured_like_the_containers() -> None:
    snapshot = snapshot_after(
        sample_of(host=host_of(cpu_busy_s=100.0)), sample_of(seconds=2, host=host_of(cpu_busy_s=101.0))
    )

    assert snapshot.host.cpu_cores == pytest.approx(0.5)
    assert past(snapshot.host.cpu_history) == (None, pytest.approx(0.25))
    assert past(snapshot.host.memory_history) == (0.25, 0.25)


def test_the_hosts_pressures_have_histories() -> None:
    first = sample_of(host=host_of(pressure=pressures(full=None)))
    second = sample_of(seconds=1, host=host_of(pressure=pressures(cpu=10_000, memory=20_000, io=30_000, full=None)))

    host = snapshot_after(first, second).host

    assert past(host.cpu_pressure_history) == (None, pytest.approx(0.01))
    assert past(host.memory_pressure_history) == (None, pytest.approx(0.02))
    assert past(host.io_pressure_history) == (None, pytest.approx(0.03))


def test_a_host_without_pressure_has_histories_of_nothing() -> None:
    still = host_of(pressure=None)

    host = snapshot_after(sample_of(host=still), sample_of(seconds=1, host=still)).host

    assert host.pressure is None
    assert past(host.io_pressure_history) == (None, None)


def test_the_hosts_cpu_time_that_went_back_says_nothing() -> None:
    snapshot = snapshot_after(
        sample_of(host=host_of(cpu_busy_s=100.0)), sample_of(seconds=1, host=host_of(cpu_busy_s=99.0))
    )

    assert snapshot.host.cpu_cores is None


def test_the_hosts_histories_keep_ten_minutes() -> None:
    host = seconds_of(HISTORY + 5).host

    assert {len(past(each)) for each in (host.cpu_history, host.memory_history, host.io_pressure_history)} == {HISTORY}


# Pods


def compose(name: str, **options: Any) -> Box:
    return running(name, info={"labels": {COMPOSE: "shop"}} | options.pop("info", {}), **options)


def shop_after_a_second(before: list[Box], after: list[Box], **others: Any) -> PodNode:
    (pod,) = snapshot_after(sample_of(*before, **others), sample_of(*after, seconds=1, **others)).pods
    return pod


def test_a_pods_usage_is_the_sum_of_its_containers() -> None:
    before = [compose("web"), compose("db")]
    after = [
        compose("web", usage_usec=250_000, current=100, io={SDA: (10, 1)}, pids=3),
        compose("db", usage_usec=500_000, current=200, io={SDA: (20, 2)}, pids=4),
    ]

    usage = shop_after_a_second(before, after).usage

    assert usage.cpu_cores == pytest.approx(0.75)
    assert (usage.memory_bytes, usage.pids) == (300, 7)
    assert (usage.read_bytes_per_second, usage.write_bytes_per_second) == (30.0, 3.0)
    assert past(usage.cpu_history) == (None, pytest.approx(0.75))


def test_a_pod_of_one_container_uses_what_the_container_uses() -> None:
    (pod,) = snapshot_after(sample_of(running("web", limit=100, pids_max=9))).pods

    assert pod.usage is pod.containers[0].usage


def test_what_is_nested_is_not_counted_twice() -> None:
    def boxes(usec: int) -> list[Box]:
        outer = running("dind", usage_usec=2 * usec, current=300, pids=10, limit=1000)
        return [outer, running("job", inside=outer, usage_usec=usec, current=100, pids=4)]

    usage = shop_after_a_second(boxes(0), boxes(100_000)).usage

    assert usage.cpu_cores == pytest.approx(0.2)
    assert (usage.memory_bytes, usage.pids, usage.memory_limit_bytes) == (300, 10, 1000)
    assert past(usage.cpu_history) == (None, pytest.approx(0.2))


def test_a_shared_network_is_counted_once() -> None:
    def at(seconds: int) -> Any:
        boxes = [compose(name, process=on_network(SHARED)) for name in ("web", "sidecar")]
        networks = {
            SHARED: {"eth0": interface(100 * seconds, 10 * seconds)},
            netns_of("db"): {"eth0": interface(5 * seconds, 5 * seconds)},
        }
        return sample_of(*boxes, compose("db"), seconds=seconds, networks=networks)

    (pod,) = snapshot_after(at(1), at(2)).pods

    assert (pod.usage.rx_bytes, pod.usage.tx_bytes) == (210, 30)
    assert (pod.usage.rx_bytes_per_second, pod.usage.tx_bytes_per_second) == (105.0, 15.0)
    assert [container.usage.rx_bytes for container in pod.containers] == [10, 200, 200]


def test_a_pod_is_throttled_as_the_worst_of_its_containers() -> None:
    before = [compose("web", limit_cores=1.0), compose("db", limit_cores=1.0), compose("free")]
    after = [
        compose("web", limit_cores=1.0, nr_periods=10, nr_throttled=1),
        compose("db", limit_cores=1.0, nr_periods=10, nr_throttled=6),
        compose("free"),
    ]

    assert shop_after_a_second(before, after).usage.throttled_share == pytest.approx(0.6)


def test_a_pods_pressure_is_the_worst_of_its_containers() -> None:
    before = [compose("web"), compose("db"), compose("old", pressure=None)]
    after = [
        compose("web", pressure=pressures(cpu=300_000, io=10_000)),
        compose("db", pressure=pressures(cpu=100_000, io=20_000, full=5000)),
        compose("old", pressure=None),
    ]

    assert shop_after_a_second(before, after).usage.pressure == PressureShares(
        PressureShare(0.3, 0.005), PressureShare(0.0, 0.005), PressureShare(0.02, 0.005)
    )


def test_a_pod_without_pressures_has_none() -> None:
    boxes = [compose("web", pressure=None), compose("db", pressure=None)]

    assert shop_after_a_second(boxes, boxes).usage.pressure is None


def test_a_pod_has_limits_only_if_all_its_containers_have_one() -> None:
    limited = {"limit": 1000, "limit_cores": 1.0}

    all_limited = shop_after_a_second([], [compose("web", **limited), compose("db", **limited)]).usage
    one_free = shop_after_a_second([], [compose("web", **limited), compose("db")]).usage

    assert (all_limited.memory_limit_bytes, all_limited.cpu_limit_cores) == (2000, 2.0)
    assert (one_free.memory_limit_bytes, one_free.cpu_limit_cores) == (None, None)


def test_a_pod_of_which_nothing_is_known_sums_to_unknown() -> None:
    boxes = [stopped(name, labels={COMPOSE: "shop"}) for name in ("web", "db")]

    assert shop_after_a_second(boxes, boxes).usage == Usage(cpu_history=history_of(None, None))


def test_a_pods_history_goes_back_as_far_as_its_oldest_containers() -> None:
    samples = [
        sample_of(compose("web", usage_usec=100_000 * at), *([compose("db")] if at == 3 else []), seconds=at)
        for at in range(4)
    ]

    (pod,) = snapshot_after(*samples).pods

    assert past(pod.usage.cpu_history) == (None, *[pytest.approx(0.1)] * 3)


def test_a_pod_started_when_its_first_container_did() -> None:
    boxes = [
        compose("web", info={"started_ns": START_WALL_NS - 50}),
        compose("db", info={"started_ns": START_WALL_NS - 70}),
        stopped("job", labels={COMPOSE: "shop"}),
    ]

    assert shop_after_a_second(boxes, boxes).started_ns == START_WALL_NS - 70


def test_a_pods_key_carries_its_kind() -> None:
    snapshot = snapshot_after(sample_of(compose("web"), running("single")))

    assert [pod.key for pod in snapshot.pods] == ["compose:shop", f"single:{docker_key('single')}"]


# OOM kills


def kills(*counts: int | None, inodes: tuple[int, ...] = ()) -> Snapshot:
    """Return the snapshot after a second each with so many OOM kills; None for no cgroup."""
    samples = []
    for at, count in enumerate(counts):
        options = {"inode": inodes[at]} if inodes else {}
        box = stopped("web") if count is None else running("web", oom_kill=count, **options)
        samples.append(sample_of(box, seconds=at))
    return snapshot_after(*samples)


@pytest.mark.parametrize(
    ("counts", "seen_at"),
    [
        ((0, 1), 1),
        ((0, 1, 1), 1),
        ((0, 1, 3), 2),
        ((0, 1, None), 1),
        ((None, 2), 1),
        ((0, 0), None),
        # What was counted before the first sample is old news.
        ((4,), None),
        ((4, 4), None),
        ((4, 3), None),
    ],
)
def test_when_oom_kills_are_seen(counts: tuple[int | None, ...], seen_at: int | None) -> None:
    expected = None if seen_at is None else sample_of(seconds=seen_at).monotonic_ns

    assert web_of(kills(*counts)).oom_seen_ns == expected


@pytest.mark.parametrize("counts", [(0, 1), (4, 4), (0, 0)])
def test_what_goes_on_from_a_sample_alone_is_as_after_its_snapshot(counts: tuple[int, int]) -> None:
    boxes = [running("web", oom_kill=count, usage_usec=at * 500_000) for at, count in enumerate(counts)]
    first, second = (sample_of(box, running("db"), seconds=at) for at, box in enumerate(boxes))

    known, found = derive(derive(None, first), second), derive(begun(first), second)

    assert web_of(found).usage.cpu_cores == 0.5
    assert (found.tick, found.interval_s, found.host) == (known.tick, known.interval_s, known.host)
    assert found.oom_kills == known.oom_kills
    for key, node in known.containers.items():
        seen = found.containers[key]
        past = {"cpu_history": seen.usage.cpu_history, "course": seen.usage.course}
        assert seen._replace(is_still=node.is_still) == node._replace(usage=node.usage._replace(**past))


def test_kills_in_another_cgroup_of_the_container_are_new() -> None:
    assert web_of(kills(3, 3, inodes=(5, 6))).oom_seen_ns == sample_of(seconds=1).monotonic_ns


def test_kills_that_could_not_be_read_before_are_not_new() -> None:
    snapshot = snapshot_after(sample_of(lost("memory")), sample_of(running("web", oom_kill=9), seconds=1))

    assert web_of(snapshot).oom_seen_ns is None


# Starts


def starts(*started_s: float | None) -> tuple[float, ...]:
    """Return the starts that are kept, in seconds, where each second the runtime reports this one."""
    samples = [
        sample_of(
            stopped("web", started_ns=None if at_s is None else START_WALL_NS + int(at_s * SECOND_NS)), seconds=seconds
        )
        for seconds, at_s in enumerate(started_s)
    ]
    return tuple((start - START_WALL_NS) / SECOND_NS for start in web_of(snapshot_after(*samples)).starts_ns)


@pytest.mark.parametrize(
    ("reports", "expected"),
    [
        ((None, None), ()),
        ((-10, -10), (-10,)),
        ((-20, -10, -10, -1), (-20, -10, -1)),
        ((-20, None, -10), (-20, -10)),
        # The kernel and the runtime tell of one start.
        ((-10, -9.5), (-9.5,)),
        ((-10, -10.5), (-10.5,)),
        ((-10, -9), (-10, -9)),
        # An old report that comes late.
        ((-10, -30), (-10,)),
        ((-301,), ()),
        ((-299,), (-299,)),
        ((-299, -5, -5), (-5,)),
    ],
)
def test_starts_of_the_last_five_minutes(reports: tuple[float | None, ...], expected: tuple[float, ...]) -> None:
    assert starts(*reports) == expected


def test_the_runtime_knows_better_than_the_kernel_when_a_container_started() -> None:
    node = web_of(snapshot_after(sample_of(running("web", info={"started_ns": START_WALL_NS - 5}))))

    assert node.started_ns == START_WALL_NS - 5


def test_without_a_runtime_a_container_started_with_its_first_process() -> None:
    node = web_of(snapshot_after(sample_of(kernel_only(running("web")))))

    assert node.started_ns == START_WALL_NS - 3600 * SECOND_NS


# Namespaces


def shared(host: Namespaces | None = None, **process: Any) -> set[str]:
    """Return what a container has in common with the host."""
    seen_host = host_of() if host is None else host_of(namespaces=host)
    return set(web_of(snapshot_after(sample_of(running("web", process=process), host=seen_host))).shared_with_host)


def test_namespaces_that_are_the_hosts() -> None:
    namespaces = own_namespaces("web", pid=HOST_NAMESPACES["pid"], ipc=HOST_NAMESPACES["ipc"])

    assert shared(namespaces=namespaces) == {"pid", "ipc", "user", "time"}


def test_a_container_that_isolates_all_shares_nothing() -> None:
    assert shared(namespaces=own_namespaces("web", user=1, time=2)) == set()


def test_a_reader_who_may_not_look_is_told_by_the_pids_and_the_network() -> None:
    unreadable = Namespaces()

    assert shared(namespaces=unreadable) == set()
    assert shared(namespaces=unreadable, netns=HOST_NETNS) == {"net"}
    assert shared(namespaces=unreadable, ns_pids=(77,)) == {"pid"}
    assert shared(namespaces=unreadable, netns=None, ns_pids=()) == set()


def test_a_reader_who_may_look_at_the_container_but_not_at_process_1_is_told_the_same_way() -> None:
    namespaces = own_namespaces("web", **HOST_NAMESPACES)

    assert shared(Namespaces(), namespaces=namespaces, netns=HOST_NETNS, ns_pids=(77,)) == {"net", "pid"}


def test_namespaces_that_nobody_may_see_are_not_called_shared() -> None:
    assert shared(Namespaces(), namespaces=Namespaces()) == set()


def test_a_stopped_container_shares_nothing() -> None:
    assert web_of(snapshot_after(sample_of(stopped("web")))).shared_with_host == ()


# Whose network it is


def test_one_container_of_each_network_owns_it() -> None:
    boxes = [
        running("late", process=on_network(SHARED, start_ticks=9)),
        running("early", process=on_network(SHARED, start_ticks=8)),
        running("apart"),
        running("hostnet", process=on_network(HOST_NETNS)),
        running("hidden", process=on_network(None)),
        stopped("done", joins_network_of=container_id("early")),
    ]

    nodes = snapshot_after(sample_of(*boxes)).containers.values()

    assert {node.name for node in nodes if node.is_network_owner} == {"early", "apart"}


def test_a_network_that_spans_two_projects_has_one_owner() -> None:
    boxes = [
        running(name, info={"labels": {COMPOSE: project}}, process=on_network(SHARED, start_ticks=at))
        for at, (name, project) in enumerate([("web", "shop"), ("debug", "tools")])
    ]

    nodes = snapshot_after(sample_of(*boxes)).containers.values()

    assert [node.name for node in nodes if node.is_network_owner] == ["web"]


# The snapshot itself


def test_ticks_are_counted() -> None:
    assert [seconds_of(count).tick for count in (1, 2, 5)] == [0, 1, 4]


def test_the_first_snapshot_has_no_interval() -> None:
    assert snapshot_after(sample_of()).interval_s is None


@pytest.mark.parametrize("seconds", [0, -1])
def test_a_clock_that_stands_still_or_goes_back_begins_anew(seconds: float) -> None:
    before = derive(None, sample_of(running("web", usage_usec=5)))
    sample = sample_of(running("web", usage_usec=900_000), seconds=seconds)

    snapshot = derive(before, sample)

    assert snapshot.interval_s is None
    assert web_of(snapshot).usage == web_of(derive(None, sample)).usage
    assert snapshot.host.cpu_cores is None


def test_containers_can_be_looked_up_by_their_keys() -> None:
    snapshot = snapshot_after(sample_of(compose("web"), compose("db"), stopped("done")))

    assert snapshot.containers == {node.key: node for pod in snapshot.pods for node in pod.containers}
    assert set(snapshot.containers) == {docker_key("web"), docker_key("db"), docker_key("done")}


def test_a_node_knows_its_name_and_its_network() -> None:
    snapshot = snapshot_after(sample_of(running("web"), stopped("done")))

    assert (web_of(snapshot).name, web_of(snapshot).netns) == ("web", netns_of("web"))
    assert snapshot.containers[docker_key("done")].netns is None


def test_a_state_is_that_of_the_sample() -> None:
    snapshot = snapshot_after(sample_of(stopped("web")), sample_of(running("web"), seconds=1))

    assert web_of(snapshot).info.state is State.RUNNING


def test_the_same_samples_give_the_same_snapshot() -> None:
    assert seconds_of(4) == seconds_of(4)


COUNTS = st.integers(0, 10**9)


@st.composite
def counters(draw: st.DrawFn) -> dict[str, Any]:
    return {
        "usage_usec": draw(COUNTS),
        "limit_cores": draw(st.none() | st.just(0.5)),
        "nr_periods": draw(COUNTS),
        "nr_throttled": draw(COUNTS),
        "current": draw(COUNTS),
        "inactive_file": draw(COUNTS),
        "io": draw(st.dictionaries(st.sampled_from([SDA, SDB]), st.tuples(COUNTS, COUNTS))),
        "pressure": pressures(draw(COUNTS), draw(COUNTS), draw(COUNTS), full=draw(COUNTS)),
        "inode": draw(st.integers(5, 6)),
    }


@given(counters(), counters(), COUNTS, COUNTS)
def test_nothing_in_a_snapshot_is_negative(
    before: dict[str, Any], after: dict[str, Any], rx_before: int, rx_after: int
) -> None:
    def at(seconds: int, counted: dict[str, Any], rx: int) -> Any:
        return sample_of(
            running("web", **counted), seconds=seconds, networks={netns_of("web"): {"eth0": interface(rx, rx)}}
        )

    usage = web_of(snapshot_after(at(0, before, rx_before), at(1, after, rx_after))).usage

    rates = (
        usage.cpu_cores,
        usage.throttled_share,
        usage.memory_bytes,
        usage.read_bytes_per_second,
        usage.write_bytes_per_second,
        usage.rx_bytes_per_second,
        usage.tx_bytes_per_second,
        usage.pressure.worst_some if usage.pressure else None,
    )
    assert all(rate is None or rate >= 0 for rate in rates)
    assert usage.throttled_share is None or usage.throttled_share <= 1


def test_a_cgroup_belongs_to_its_node() -> None:
    box = running("web", usage_usec=3)
    cgroup: CgroupSample | None = web_of(snapshot_after(sample_of(box))).cgroup

    assert cgroup is box.cgroup
