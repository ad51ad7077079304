"""Rules that look at two samples or at the time: they hold, do not hold just below, and not where nothing is known."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from assessed import after, found, severity
from fakes import SECOND_NS, START_WALL_NS
from samples import (
    cgroup_of,
    docker_key,
    history_of,
    interface,
    netns_of,
    node_of,
    number_of,
    path_of,
    pod_of,
    pressures,
    running,
    sample_of,
    tree_of,
)

from topcon.findings import assess
from topcon.findings.passing import exit_text
from topcon.model.derive import derive
from topcon.model.sample import MemoryStat, PodKind, State
from topcon.model.snapshot import Severity, Usage

if TYPE_CHECKING:
    from topcon.model.sample import Sample
    from topcon.model.snapshot import Finding

CRITICAL, WARNING, INFO = Severity.CRITICAL, Severity.WARNING, Severity.INFO
MIB = 1 << 20


# Since when


def test_a_finding_remembers_since_when_it_has_held() -> None:
    full = {"pids": 95, "pids_max": 100}
    samples = [sample_of(running("web", usage_usec=at, **full), seconds=at) for at in range(4)]

    finding = found(after(*samples), "pids-near-limit")

    assert finding is not None
    assert finding.since_ns == samples[0].monotonic_ns


def test_a_finding_that_was_gone_for_a_while_begins_anew() -> None:
    samples = [
        sample_of(running("web", usage_usec=at, pids=10 if at == 1 else 95, pids_max=100), seconds=at)
        for at in range(3)
    ]

    finding = found(after(*samples), "pids-near-limit")

    assert finding is not None
    assert finding.since_ns == samples[2].monotonic_ns


def test_every_finding_says_what_it_means() -> None:
    snapshot = after(sample_of(running("web", pids=95, pids_max=100)))

    assert [(bool(each.means), bool(each.evidence)) for each in snapshot.findings] == [(True, True)]


# Memory


def memory_at(seconds: int, *, high: int | None = 0, swap: int | None = 0, waited_s: float = 0.0) -> Sample:
    memory = MemoryStat(50 * MIB, None, None, swap, 50 * MIB, 0, 0, 0, events_high=high)
    stalled = pressures(memory=round(waited_s * 1_000_000))
    return sample_of(running("web", memory=memory, usage_usec=seconds, pressure=stalled), seconds=seconds)


@pytest.mark.parametrize(
    ("times", "waited_s", "expected"),
    [(1, 0.11, WARNING), (1, 0.10, None), (0, 0.5, None), (None, 0.5, None), (-1, 0.5, None)],
)
def test_memory_high(times: int | None, waited_s: float, expected: Severity | None) -> None:
    """It is above memory.high while its tasks wait; a count that goes back says nothing."""
    snapshot = after(memory_at(0, high=5), memory_at(1, high=None if times is None else 5 + times, waited_s=waited_s))

    assert severity(snapshot, "memory-high") is expected


@pytest.mark.parametrize(
    ("grown", "waited_s", "expected"),
    [(MIB, 0.11, WARNING), (MIB - 1, 0.11, None), (MIB, 0.10, None), (None, 0.5, None), (-MIB, 0.5, None)],
)
def test_swapping(grown: int | None, waited_s: float, expected: Severity | None) -> None:
    snapshot = after(
        memory_at(0, swap=4 * MIB), memory_at(1, swap=None if grown is None else 4 * MIB + grown, waited_s=waited_s)
    )

    assert severity(snapshot, "swapping") is expected


def test_what_only_the_first_sample_knows_is_no_change() -> None:
    assert after(memory_at(1, high=99, swap=99 * MIB, waited_s=0.9)).findings == ()


def test_the_shares_of_the_time_can_be_others() -> None:
    samples = memory_at(0), memory_at(1, high=1, swap=2 * MIB, waited_s=0.15)

    codes = {finding.code for finding in after(*samples, memory_high=0.2, swapping=0.1).findings}

    assert codes == {"swapping"}


# Network


def traffic_at(seconds: int, name: str = "eth0", **counters: int) -> Sample:
    stat = interface()._replace(**counters)
    return sample_of(running("web"), seconds=seconds, networks={netns_of("web"): {name: stat}})


@pytest.mark.parametrize(
    ("counters", "expected"),
    [
        ({"rx_packets": 880, "rx_drop": 20}, WARNING),
        ({"tx_packets": 880, "tx_drop": 20}, WARNING),
        ({"rx_packets": 1980, "rx_drop": 20}, None),
        ({"rx_packets": 10, "rx_drop": 9}, None),
        ({"rx_packets": 10_000}, None),
    ],
)
def test_dropped_packets(counters: dict[str, int], expected: Severity | None) -> None:
    """More than one in a hundred, and more than ten a second."""
    assert severity(after(traffic_at(0), traffic_at(1, **counters)), "dropped-packets") is expected


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (traffic_at(0, "lo"), traffic_at(1, "lo", rx_drop=500)),
        (traffic_at(0, "eth1"), traffic_at(1, "eth0", rx_drop=500)),
        (traffic_at(0, rx_drop=900), traffic_at(1, rx_drop=500)),
    ],
)
def test_drops_that_say_nothing(before: Sample, now: Sample) -> None:
    """On the loopback, of a new interface, and of a counter that went back."""
    assert found(after(before, now), "dropped-packets") is None


# Throttling, without crying wolf


@pytest.mark.parametrize(
    ("cores", "expected"),
    [(None, CRITICAL), (0.5, CRITICAL), (0.49, WARNING), (0.1, WARNING), (0.099, None), (0.0, None)],
)
def test_who_hardly_runs_is_not_held_back(cores: float | None, expected: Severity | None) -> None:
    usage = Usage(cpu_cores=cores, cpu_limit_cores=1.0, throttled_share=1.0)
    snapshot = tree_of(pod_of(node_of("web", usage)))

    assert severity(replace(snapshot, findings=assess(snapshot)), "cpu-throttled") is expected


@pytest.mark.parametrize(
    ("active_file", "expected"), [(None, CRITICAL), (0, CRITICAL), (80, CRITICAL), (100, WARNING), (900, WARNING)]
)
def test_page_cache_is_no_reason_to_be_killed(active_file: int | None, expected: Severity) -> None:
    memory = MemoryStat(990, 1000, inactive_file=0, active_file=active_file)
    usage = Usage(memory_bytes=990, memory_limit_bytes=1000)
    snapshot = tree_of(pod_of(node_of("web", usage, cgroup=cgroup_of(path_of("web"), memory=memory))))

    assert severity(replace(snapshot, findings=assess(snapshot)), "memory-near-limit") is expected


# What has ended


def ended(code: int | None, age_s: float = 30.0, **options: Any) -> Finding | None:
    given = {"state": State.EXITED, "finished_ns": START_WALL_NS - int(age_s * SECOND_NS)} | options
    snapshot = tree_of(pod_of(node_of("web", exit_code=code, **given)))
    return found(replace(snapshot, findings=assess(snapshot)), "exit-error")


@pytest.mark.parametrize(
    ("code", "expected"),
    [(None, None), (0, None), (1, WARNING), (137, INFO), (139, WARNING), (143, None), (130, None), (255, WARNING)],
)
def test_exit_error(code: int | None, expected: Severity | None) -> None:
    finding = ended(code)

    assert (finding.severity if finding else None) is expected


@pytest.mark.parametrize("age_s", [0.0, 600.0])
def test_an_error_is_told_for_ten_minutes(age_s: float) -> None:
    assert ended(3, age_s) is not None
    assert ended(3, 600.5) is None


@pytest.mark.parametrize(
    "options",
    [
        {"restart_policy": "always"},
        {"restart_policy": "unless-stopped"},
        {"state": State.RUNNING},
        {"state": State.RESTARTING},
        {"finished_ns": None},
        {"oom_killed": True},
    ],
)
def test_an_error_that_is_not_the_end_or_is_told_otherwise(options: dict[str, Any]) -> None:
    assert ended(3, **options) is None


@pytest.mark.parametrize("policy", ["no", "", None, "on-failure"])
def test_nobody_starts_it_again(policy: str | None) -> None:
    assert ended(3, restart_policy=policy) is not None


@pytest.mark.parametrize("kind", [PodKind.KUBERNETES, PodKind.SWARM, PodKind.NOMAD, PodKind.ECS])
def test_where_another_takes_its_place_an_end_is_no_finding(kind: PodKind) -> None:
    node = node_of("web", exit_code=3, state=State.EXITED, finished_ns=START_WALL_NS)
    snapshot = tree_of(pod_of(node, kind=kind))

    assert assess(snapshot) == ()


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (3, "3"),
        (127, "127 (there is no such command)"),
        (128, "128"),
        (137, "137 (SIGKILL)"),
        (139, "139 (SIGSEGV)"),
        (255, "255"),
    ],
)
def test_what_an_exit_code_stands_for(code: int, text: str) -> None:
    assert exit_text(code) == text


# Loops that are told, not seen


def told(**options: Any) -> Severity | None:
    given: dict[str, Any] = {"restarts": 3, "state": State.RESTARTING, "created_ns": START_WALL_NS - 200 * SECOND_NS}
    started_ns = options.pop("started_ns", START_WALL_NS - 10 * SECOND_NS)
    snapshot = tree_of(pod_of(node_of("web", **(given | options), started_ns=started_ns)))
    return severity(replace(snapshot, findings=assess(snapshot)), "restart-loop")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, CRITICAL),
        ({"restarts": 2}, None),
        ({"restarts": None}, None),
        ({"state": State.RUNNING}, CRITICAL),
        ({"state": State.RUNNING, "created_ns": START_WALL_NS - 3600 * SECOND_NS}, None),
        ({"state": State.RUNNING, "created_ns": None}, None),
        ({"state": State.RUNNING, "started_ns": START_WALL_NS - 150 * SECOND_NS}, None),
        ({"state": State.EXITED}, None),
    ],
)
def test_a_loop_that_its_runtime_tells_of(options: dict[str, Any], expected: Severity | None) -> None:
    """It waits to be started again, or was started as often as in a loop and has not run for longer since."""
    assert told(**options) is expected


# OOM kills that nobody saw


@pytest.mark.parametrize(("age_s", "expected"), [(30, WARNING), (600, WARNING), (601, None)])
def test_kills_since_a_start_that_is_not_long_ago_are_told(age_s: int, expected: Severity | None) -> None:
    started_ns = START_WALL_NS - age_s * SECOND_NS
    snapshot = tree_of(pod_of(node_of("web", oom_kills=2, started_ns=started_ns)))

    assert severity(replace(snapshot, findings=assess(snapshot)), "oom-killed") is expected


# Paused


@pytest.mark.parametrize(
    ("ticks", "state", "expected"),
    [(601, State.PAUSED, INFO), (600, State.PAUSED, None), (9999, State.RUNNING, None)],
)
def test_frozen(ticks: int, state: State, expected: Severity | None) -> None:
    node = node_of("web", Usage(cpu_history=history_of(0.1)), state=state)
    snapshot = replace(tree_of(pod_of(node)), tick=ticks)

    assert severity(replace(snapshot, findings=assess(snapshot)), "frozen") is expected


def test_of_what_was_never_seen_to_run_nobody_knows_how_long_it_has_been_paused() -> None:
    snapshot = replace(tree_of(pod_of(node_of("web", state=State.PAUSED))), tick=9999)

    assert assess(snapshot) == ()


@pytest.mark.parametrize(("state", "expected"), [(State.DEAD, WARNING), (State.EXITED, None), (State.RUNNING, None)])
def test_dead(state: State, expected: Severity | None) -> None:
    snapshot = tree_of(pod_of(node_of("web", state=state)))

    assert severity(replace(snapshot, findings=assess(snapshot)), "dead") is expected


def test_what_the_time_passes_is_found_though_nothing_changes() -> None:
    """The very same findings for as long as they hold, none any more after that."""
    web = running("web", pids=95, pids_max=100, inode=number_of("web"))
    gone = replace(
        running("db"),
        cgroup=None,
        process=None,
        found=None,
        info=node_of("db", state=State.EXITED, exit_code=3, finished_ns=START_WALL_NS).info,
    )
    first, second, late = (sample_of(web, gone, seconds=at) for at in (1, 2, 700))

    one, other = after(first), after(first, second)
    again = derive(other, replace(second, monotonic_ns=second.monotonic_ns + SECOND_NS))

    assert [each.code for each in one.findings] == ["exit-error", "pids-near-limit"]
    assert assess(again, other) is other.findings
    assert [each.code for each in after(first, second, late).findings] == ["pids-near-limit"]
    assert {each.target for each in one.findings} == {docker_key("db"), docker_key("web")}
