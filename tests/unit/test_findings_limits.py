"""Which limit binds, who uses what is short, and which replica is unlike the others."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from assessed import after, found, severity
from samples import (
    COMPOSE,
    SDA,
    SDB,
    Box,
    cgroup_of,
    docker_key,
    history_of,
    host_of,
    info_of,
    node_of,
    path_of,
    pod_of,
    pressures,
    running,
    sample_of,
    tree_of,
)

from topcon.findings import assess
from topcon.findings.context import time_left_s
from topcon.findings.step import Step
from topcon.findings.thresholds import DEFAULT_THRESHOLDS
from topcon.model.course import NO_COURSE, Kind
from topcon.model.pods import COMPOSE_SERVICE
from topcon.model.replicas import replicas_of
from topcon.model.sample import CgroupPath, MemoryStat, PodKind
from topcon.model.snapshot import HostNode, PressureShare, PressureShares, Severity, Usage

if TYPE_CHECKING:
    from topcon.model.sample import Sample
    from topcon.model.snapshot import ContainerNode, Snapshot

CRITICAL, WARNING, INFO = Severity.CRITICAL, Severity.WARNING, Severity.INFO
MIB = 1 << 20
BATCH = CgroupPath("/batch.slice")


def inside(name: str, parent: str = BATCH, **counters: Any) -> Box:
    """A container below a slice."""
    box = running(name, **counters)
    assert box.found is not None
    assert box.cgroup is not None
    path = CgroupPath(f"{parent}{path_of(name)}")
    return replace(box, found=replace(box.found, path=path), cgroup=box.cgroup._replace(path=path))


def host(*boxes: Box, seconds: int = 0, cpu_busy_s: float = 50.0, **slice_counters: Any) -> Sample:
    """Containers, and the slice that some of them are in."""
    sample = sample_of(*boxes, seconds=seconds, host=host_of(cpu_busy_s=cpu_busy_s))
    above = cgroup_of(BATCH, **slice_counters)
    return replace(sample, cgroups={**sample.cgroups, BATCH: above})


# Limits above


@pytest.mark.parametrize(("used", "expected"), [(900, None), (901, WARNING), (970, WARNING), (971, CRITICAL)])
def test_memory_near_the_limit_of_a_slice(used: int, expected: Severity | None) -> None:
    memory = MemoryStat(used, 1000, inactive_file=0)
    snapshot = after(host(inside("small", current=100), inside("big", current=700), memory=memory))
    finding = found(snapshot, "memory-near-limit")

    assert (finding.severity if finding else None) is expected
    if finding is not None:
        assert finding.target == docker_key("big")
        assert finding.limited_by == BATCH
        assert finding.summary == f"working set of /batch.slice at {used / 1000:.0%} of its limit"
        assert "most of it: big 700, small 100" in finding.evidence


def test_pids_near_the_limit_of_a_slice() -> None:
    snapshot = after(host(inside("one", pids=5), inside("two", pids=86), pids=91, pids_max=100))
    finding = found(snapshot, "pids-near-limit")

    assert finding is not None
    assert finding.target == docker_key("two")
    assert finding.summary == "91 of 100 tasks in /batch.slice"


@pytest.mark.parametrize(("throttled", "expected"), [(1, None), (2, WARNING), (6, CRITICAL)])
def test_throttled_by_the_limit_of_a_slice(throttled: int, expected: Severity | None) -> None:
    def at(seconds: int, box: Box, **counters: int) -> Sample:
        return host(box, seconds=seconds, limit_cores=0.5, **counters)

    snapshot = after(
        at(0, inside("loop")),
        at(
            1,
            inside("loop", usage_usec=450_000),
            usage_usec=450_000,
            nr_periods=10,
            nr_throttled=throttled,
        ),
    )

    assert severity(snapshot, "cpu-throttled") is expected


@pytest.mark.parametrize(
    "sample",
    [
        host(running("elsewhere"), pids=91, pids_max=100),
        host(inside("web"), pids=91, pids_max=None),
        host(inside("web"), pids=90, pids_max=100),
    ],
)
def test_limits_that_hold_for_nobody_or_are_far(sample: Sample) -> None:
    assert after(sample).findings == ()


def test_its_own_limit_is_told_of_once() -> None:
    snapshot = after(host(inside("web", pids=95, pids_max=100), pids=95, pids_max=100))

    assert [finding.limited_by for finding in snapshot.findings] == [None]


def test_a_limit_above_is_forgotten_when_it_is_not_near_any_more() -> None:
    """Though nothing in the container has changed."""
    web = inside("web")
    samples = [host(web, seconds=at, pids=95 if at < 3 else 5, pids_max=100) for at in range(4)]

    assert [severity(after(*samples[:count]), "pids-near-limit") for count in (3, 4)] == [WARNING, None]


# Whose limit it is that holds back


def starved(seconds: int, *others: Box, busy_s: float = 50.0, **slice_counters: Any) -> Sample:
    web = inside("web", usage_usec=seconds, pressure=pressures(cpu=seconds * 900_000))
    return host(web, *others, seconds=seconds, cpu_busy_s=busy_s, **slice_counters)


def evidence(snapshot: Snapshot, code: str) -> str:
    finding = found(snapshot, code)
    assert finding is not None
    return finding.evidence


def test_who_waits_for_a_cpu_is_held_back_by_the_slice() -> None:
    snapshot = after(
        starved(0, inside("hog"), limit_cores=0.5),
        starved(1, inside("hog", usage_usec=400_000), limit_cores=0.5, nr_periods=10, nr_throttled=9),
    )

    said = evidence(snapshot, "cpu-starved")
    assert "the limit of /batch.slice, 0.5 CPUs, holds it back" in said
    assert "most of that: hog 0.40" in said


def test_who_waits_for_a_cpu_of_a_busy_host_is_told_who_uses_them() -> None:
    snapshot = after(starved(0, running("hog")), starved(1, running("hog", usage_usec=1_700_000), busy_s=51.75))

    assert evidence(snapshot, "cpu-starved").endswith(
        "the host's CPUs are 88% busy; most of them: hog 1.70, itself 0.00"
    )


def test_what_runs_outside_of_containers_is_told_too() -> None:
    snapshot = after(starved(0, running("hog")), starved(1, running("hog", usage_usec=300_000), busy_s=51.9))

    assert "most of them: what is in no container 1.60, hog 0.30, itself 0.00" in evidence(snapshot, "cpu-starved")


def test_who_waits_for_a_cpu_of_an_idle_host_may_be_kept_to_some() -> None:
    assert "90% idle" in evidence(after(starved(0), starved(1, busy_s=50.2)), "cpu-starved")


def test_its_own_limit_explains_why_it_waits() -> None:
    def at(seconds: int) -> Sample:
        counters = {"usage_usec": seconds * 100_000, "nr_periods": seconds * 10, "nr_throttled": seconds * 9}
        pressure = pressures(cpu=seconds * 900_000)
        return sample_of(running("web", limit_cores=0.1, pressure=pressure, **counters), seconds=seconds)

    assert "its own limit of 0.1 CPUs holds it back" in evidence(after(at(0), at(1)), "cpu-starved")


def test_who_stalls_on_a_disk_is_told_who_else_uses_it() -> None:
    """On the devices that it uses itself, not on others."""

    def at(seconds: int) -> Sample:
        db = running(
            "db", usage_usec=seconds, pressure=pressures(io=seconds * 500_000), io={SDA: (0, seconds * 3 * MIB)}
        )
        backup = running("backup", usage_usec=seconds, io={SDA: (seconds * 90 * MIB, seconds * 30 * MIB)})
        other = running("other", usage_usec=seconds, io={SDB: (seconds * 900 * MIB, 0)})
        return sample_of(db, backup, other, seconds=seconds)

    assert evidence(after(at(0), at(1)), "io-stalled").endswith(
        "most of the disk, of all containers: backup 120M/s, itself 3.00M/s"
    )


def test_two_of_one_name_are_told_apart() -> None:
    """As in pods of Kubernetes, which have many of one name."""
    usage = Usage(pressure=PressureShares(cpu=PressureShare(0.9, 0.0)), cpu_cores=0.1)
    victim = node_of("web", usage, cgroup=cgroup_of(path_of("web")))
    other = node_of("twin", Usage(cpu_cores=1.8), cgroup=cgroup_of(path_of("twin")))
    other = other._replace(info=info_of("web"))
    pods = [
        pod_of(each, kind=PodKind.KUBERNETES, name=name, key=f"kubernetes:{name}")
        for name, each in (("a", victim), ("b", other))
    ]
    snapshot = tree_of(*pods, host=HostNode(host_of(), 1.95, None))

    assert "most of them: b/web 1.80, itself 0.10" in evidence(
        replace(snapshot, findings=assess(snapshot)), "cpu-starved"
    )


def test_a_crowd_of_sick_ones_is_ranked_once() -> None:
    asked: list[str] = []

    def made() -> str:
        asked.append("made")
        return "it"

    step = Step(tree_of(), None, DEFAULT_THRESHOLDS)

    assert [step.once("what", made) for _ in range(3)] == ["it"] * 3
    assert asked == ["made"]


def test_what_a_container_is_in_does_not_use_it_up() -> None:
    """It counts what is inside it."""
    outer = running("outer", usage_usec=0)
    inner = running("inner", inside=outer)
    busy = running("outer", usage_usec=1_900_000)
    stalled = running("inner", inside=outer, usage_usec=100_000, pressure=pressures(cpu=900_000))
    snapshot = after(
        sample_of(outer, inner, host=host_of()),
        sample_of(busy, stalled, seconds=1, host=host_of(cpu_busy_s=51.9)),
    )

    assert evidence(snapshot, "cpu-starved").endswith("most of them: itself 0.10")


def test_memory_that_a_slice_does_not_have() -> None:
    def at(seconds: int) -> Sample:
        web = inside("web", current=100, usage_usec=seconds, pressure=pressures(memory=seconds * 500_000))
        hog = inside("hog", current=800)
        return host(web, hog, seconds=seconds, memory=MemoryStat(950, 1000, inactive_file=0))

    said = evidence(after(at(0), at(1)), "memory-stalled")
    assert "the limit that binds is that of /batch.slice: 950 of 1000" in said
    assert "most of it: hog 800, itself 100" in said


def test_memory_that_the_host_does_not_have() -> None:
    def at(seconds: int) -> Sample:
        stalled = pressures(memory=seconds * 500_000)
        web = running("web", current=100, usage_usec=seconds, pressure=stalled)
        shared = sample_of(web, running("hog", current=900), seconds=seconds)
        return replace(shared, host=host_of(pressure=stalled))

    assert "most of the host's memory, of all containers: hog 900, itself 100" in evidence(
        after(at(0), at(1)), "memory-stalled"
    )


def test_names_from_outside_are_escaped_in_evidence() -> None:
    evil = "\x1b[31mred\n"
    snapshot = after(host(inside(evil, pids=90), pids=95, pids_max=100))

    assert "\x1b" not in evidence(snapshot, "pids-near-limit")
    assert "\n" not in evidence(snapshot, "pids-near-limit")


# How long it lasts


def growing(*values: float | None, limit: int | None = 1000, age_s: float = 1000.0) -> float | None:
    course = NO_COURSE
    for tick, value in enumerate(values):
        course = course.grown(tick, [value if kind is Kind.MEMORY else None for kind in Kind])
    node = node_of("web", Usage(memory_bytes=1, memory_limit_bytes=limit, course=course))
    snapshot = replace(tree_of(pod_of(node)), tick=len(values) - 1)
    node = node._replace(started_ns=snapshot.sample.wall_ns - int(age_s * 1e9))
    return time_left_s(node, Step(snapshot, None, DEFAULT_THRESHOLDS))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([500.0 + 10 * at for at in range(11)], 40.0),
        ([500.0 + 10 * at for at in range(9)], None),
        ([500.0] * 20, None),
        ([600.0 - at for at in range(20)], None),
        ([500.0] * 5 + [600.0] * 15, None),
        ([500.0 + at / 100 for at in range(20)], None),
        ([None] * 20, None),
    ],
)
def test_the_time_left_at_the_present_slope(values: list[float | None], expected: float | None) -> None:
    """Of what grows steadily; not of what has grown once, hardly, or for too short a time to say."""
    left_s = growing(*values)

    assert left_s == (None if expected is None else pytest.approx(expected, rel=1e-3))


@pytest.mark.parametrize(("age_s", "expected"), [(12.0, 38.0), (8.0, None)])
def test_what_it_had_before_its_last_start_is_of_another_life(age_s: float, expected: float | None) -> None:
    left_s = growing(*[900.0] * 20, *(500.0 + 10 * at for at in range(13)), age_s=age_s)

    assert left_s == (None if expected is None else pytest.approx(expected, rel=1e-3))


def test_without_a_limit_there_is_no_time_left_to_tell() -> None:
    assert growing(*(500.0 + 10 * at for at in range(20)), limit=None) is None


def test_the_time_left_is_told() -> None:
    samples = [
        sample_of(running("web", current=(800 + 10 * at) * MIB, limit=1000 * MIB, usage_usec=at), seconds=at)
        for at in range(16)
    ]

    assert "full in 5s at the present slope" in evidence(after(*samples), "memory-near-limit")


# Replicas


def three(*usages: Usage, **options: Any) -> list[ContainerNode]:
    return [node_of(f"web-{at}", usage, **options) for at, usage in enumerate(usages)]


def odd(nodes: list[ContainerNode], tick: int = 0) -> list[str]:
    """The names of those that are unlike the others."""
    snapshot = replace(tree_of(*map(pod_of, nodes)), tick=tick, replicas=(tuple(each.key for each in nodes),))
    findings = [finding for finding in assess(snapshot) if finding.code == "odd-one-out"]
    return [snapshot.containers[node.key].name for node in nodes if node.key in {each.target for each in findings}]


def of_memory(*sizes: int | None) -> list[Usage]:
    return [Usage(memory_bytes=None if size is None else size * MIB) for size in sizes]


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ((50, 50, 500), ["web-2"]),
        ((50, 50, 151), ["web-2"]),
        ((50, 50, 150), []),
        ((20, 20, 80), []),
        ((10, 10, 500), []),
        ((None, None, 500), []),
        ((50, 500, 500), []),
        ((50, 50, 50), []),
    ],
)
def test_the_one_that_uses_far_more_memory(sizes: tuple[int | None, ...], expected: list[str]) -> None:
    """Three times as much, 64 MiB more, and the others are not idle."""
    assert odd(three(*of_memory(*sizes))) == expected


def of_cores(now: float, past: float) -> Usage:
    return Usage(cpu_cores=now, cpu_history=history_of(*[past] * 30))


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        (of_cores(0.9, 0.9), ["web-2"]),
        (of_cores(0.9, 0.1), []),
        (of_cores(0.1, 0.9), []),
        (of_cores(0.35, 0.35), ["web-2"]),
    ],
)
def test_the_one_that_uses_far_more_cpu_for_long(last: Usage, expected: list[str]) -> None:
    usual = of_cores(0.1, 0.1)

    assert odd(three(usual, usual, last), tick=29) == expected


def test_of_a_few_samples_nobody_is_called_odd() -> None:
    usual, busy = (Usage(cpu_cores=cores, cpu_history=history_of(*[cores] * 29)) for cores in (0.1, 0.9))

    assert odd(three(usual, usual, busy), tick=28) == []


def test_what_is_compared_now_and_then_is_told_in_between() -> None:
    nodes = three(*of_memory(50, 50, 500))
    told = replace(tree_of(*map(pod_of, nodes)), tick=1, replicas=(tuple(each.key for each in nodes),))
    told = replace(told, findings=assess(told))
    alike = three(*of_memory(50, 50, 50))
    later = [replace(told, containers={each.key: each for each in alike}, tick=tick) for tick in (2, 6)]

    assert [[each.code for each in assess(snapshot, told)] for snapshot in later] == [["odd-one-out"], []]


def test_a_leader_among_idle_followers_is_not_odd() -> None:
    idle = of_cores(0.01, 0.01)

    assert odd(three(idle, idle, of_cores(0.9, 0.9)), tick=29) == []


def test_the_one_that_is_restarted() -> None:
    nodes = [node_of(f"web-{at}", restarts=count) for at, count in enumerate((0, 1, 4))]

    assert odd(nodes) == ["web-2"]
    assert odd([node_of(f"web-{at}", restarts=count) for at, count in enumerate((0, None, 9))]) == []


def test_the_one_that_is_throttled() -> None:
    free, held = (Usage(cpu_cores=0.5, cpu_limit_cores=1.0, throttled_share=share) for share in (0.0, 0.6))

    assert odd(three(free, free, held)) == ["web-2"]
    assert odd(three(free, free, held._replace(cpu_cores=0.1))) == []


def kinds(*boxes: Box) -> list[set[str]]:
    snapshot = after(sample_of(*boxes))
    names: dict[str, str] = {each.key: each.name for each in snapshot.containers.values()}
    return [{names[key] for key in keys} for keys in replicas_of(snapshot.pods)]


def test_who_does_the_same() -> None:
    """Those of a service; those of one image and command; never fewer than three."""
    by_image = [running(f"a{at}", info={"image": "web", "command": "serve"}) for at in range(3)]
    other = running("other", info={"image": "web", "command": "migrate"})
    labels = {COMPOSE: "shop", COMPOSE_SERVICE: "api"}
    of_service = [running(f"s{at}", info={"labels": labels, "image": "web", "command": f"{at}"}) for at in range(3)]
    two = [running(f"t{at}", info={"image": "db", "command": "serve"}) for at in range(2)]
    nameless = [running(f"n{at}") for at in range(3)]

    found_kinds = kinds(*by_image, other, *of_service, *two, *nameless)

    assert sorted(map(sorted, found_kinds)) == [["a0", "a1", "a2"], ["s0", "s1", "s2"]]


def test_replicas_are_looked_for_only_when_containers_come_or_go() -> None:
    boxes = [running(f"a{at}", info={"image": "web", "command": "serve"}) for at in range(3)]
    first = sample_of(*boxes, seconds=0)
    second = replace(first, monotonic_ns=first.monotonic_ns + 10**9)
    one = after(first)

    assert after(first, second).replicas == one.replicas
    assert one.replicas


def test_a_stopped_one_is_no_replica() -> None:
    boxes = [running(f"a{at}", info={"image": "web", "command": "serve"}) for at in range(2)]
    ended = Box(info=info_of("a2", image="web", command="serve"))

    assert kinds(*boxes, ended) == []


def test_of_a_host_without_pressure_nothing_is_told() -> None:
    usage = Usage(pressure=PressureShares(cpu=PressureShare(0.9, None)))
    snapshot = tree_of(pod_of(node_of("web", usage)))

    assert evidence(replace(snapshot, findings=assess(snapshot)), "cpu-starved") == ""
