"""Each rule at its threshold, just below and just above it; the worst comes first."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from fakes import SECOND_NS, START_WALL_NS
from samples import (
    HOST_NETNS,
    Box,
    cgroup_of,
    container_id,
    docker_key,
    docker_runtime,
    kernel_only,
    node_of,
    on_network,
    own_namespaces,
    path_of,
    pod_of,
    process_of,
    running,
    sample_of,
    snapshot_after,
    stopped,
    tree_of,
)

from topcon.findings import (
    CHANGE_RULES,
    CODES,
    CONTAINER_RULES,
    LEVEL_RULES,
    PASSING,
    SNAPSHOT_RULES,
    TIMED_RULES,
    Threshold,
    Thresholds,
    assess,
)
from topcon.findings.levels import levels
from topcon.findings.passing import timed
from topcon.model.derive import derive
from topcon.model.sample import Health, NetnsKey, RuntimeSample, Source, State
from topcon.model.snapshot import HostNode, PressureShare, PressureShares, Severity, Usage

if TYPE_CHECKING:
    from topcon.model.snapshot import ContainerNode, Finding, Snapshot

CRITICAL, WARNING, INFO = Severity.CRITICAL, Severity.WARNING, Severity.INFO


def findings_of(node: ContainerNode, **others: Any) -> list[Finding]:
    return list(assess(tree_of(pod_of(node), **others)))


def verdict(node: ContainerNode, code: str, **others: Any) -> Severity | None:
    """Return how bad the one finding of a code is; None if there is none."""
    severities = [finding.severity for finding in findings_of(node, **others) if finding.code == code]
    assert len(severities) <= 1
    return severities[0] if severities else None


def codes(snapshot: Snapshot) -> list[str]:
    return [finding.code for finding in snapshot.findings]


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        (None, None),
        (0.0, None),
        (0.1, None),
        (0.1001, WARNING),
        (0.5, WARNING),
        (0.5001, CRITICAL),
        (1.0, CRITICAL),
    ],
)
def test_a_threshold_is_crossed_above_it(share: float | None, expected: Severity | None) -> None:
    assert Threshold(0.1, 0.5).severity(share) is expected


def test_a_healthy_container_has_no_finding() -> None:
    assert snapshot_after(*(sample_of(running("web"), seconds=at) for at in range(3))).findings == ()


# CPU and memory


@pytest.mark.parametrize(
    ("share", "expected"),
    [(None, None), (0.099, None), (0.10, None), (0.101, WARNING), (0.5, WARNING), (0.501, CRITICAL)],
)
def test_cpu_throttled(share: float | None, expected: Severity | None) -> None:
    assert verdict(node_of("web", Usage(throttled_share=share, cpu_limit_cores=0.5)), "cpu-throttled") is expected


def test_throttled_without_a_known_limit_is_not_held_against_it() -> None:
    assert verdict(node_of("web", Usage(throttled_share=0.9)), "cpu-throttled") is None


def test_a_finding_says_how_much_and_what_to_do() -> None:
    (finding,) = findings_of(node_of("web", Usage(throttled_share=0.256, cpu_limit_cores=1.5)))

    assert (finding.code, finding.target) == ("cpu-throttled", docker_key("web"))
    assert finding.summary == "throttled in 26% of its periods by a limit of 1.5 CPUs"
    assert finding.advice == "raise its CPU limit, or give it less to do"


@pytest.mark.parametrize(
    ("working_set", "limit", "expected"),
    [
        (899, 1000, None),
        (900, 1000, None),
        (901, 1000, WARNING),
        (970, 1000, WARNING),
        (971, 1000, CRITICAL),
        (10**12, None, None),
        (None, 1000, None),
    ],
)
def test_memory_near_limit(working_set: int | None, limit: int | None, expected: Severity | None) -> None:
    node = node_of("web", Usage(memory_bytes=working_set, memory_limit_bytes=limit))

    assert verdict(node, "memory-near-limit") is expected


@pytest.mark.parametrize(
    ("pids", "limit", "expected"),
    [(89, 100, None), (90, 100, None), (91, 100, WARNING), (100, 100, WARNING), (91, None, None), (None, 100, None)],
)
def test_pids_near_limit(pids: int | None, limit: int | None, expected: Severity | None) -> None:
    assert verdict(node_of("web", Usage(pids=pids, pids_limit=limit)), "pids-near-limit") is expected


# Pressure


@pytest.mark.parametrize(
    ("resource", "code"), [("cpu", "cpu-starved"), ("memory", "memory-stalled"), ("io", "io-stalled")]
)
@pytest.mark.parametrize(
    ("some", "full", "expected"),
    [
        (0.20, 0.0, None),
        (0.201, 0.0, WARNING),
        (0.9, 0.20, WARNING),
        (0.9, 0.201, CRITICAL),
        (0.9, None, WARNING),
        (None, None, None),
        (0.1, None, None),
    ],
)
def test_stalls(resource: str, code: str, some: float | None, full: float | None, expected: Severity | None) -> None:
    pressure = PressureShares(**{resource: PressureShare(some, full)})

    assert verdict(node_of("web", Usage(pressure=pressure)), code) is expected
    assert len(findings_of(node_of("web", Usage(pressure=pressure)))) == (expected is not None)


# OOM kills


def killed_at(second: int, *, seen_for: int) -> Snapshot:
    """Return the snapshot so many seconds after an OOM kill was seen."""
    return snapshot_after(
        *(sample_of(running("web", oom_kill=int(at >= second)), seconds=at) for at in (0, second)),
        *([sample_of(running("web", oom_kill=1), seconds=second + seen_for)] if seen_for else []),
    )


def test_an_oom_kill_since_the_last_sample_is_critical() -> None:
    (finding,) = killed_at(1, seen_for=0).findings

    assert (finding.code, finding.severity) == ("oom-killed", CRITICAL)
    assert finding.summary.endswith("just now")


@pytest.mark.parametrize("age_s", [5, 599, 600])
def test_an_older_oom_kill_is_a_warning(age_s: int) -> None:
    snapshot = snapshot_after(*(sample_of(running("web", oom_kill=int(at >= 1)), seconds=at) for at in (0, 1)))
    node = snapshot.containers[docker_key("web")]
    later = replace(snapshot, sample=sample_of(running("web", oom_kill=1), seconds=1 + age_s))

    (finding,) = assess(later)

    assert (finding.severity, finding.target) == (WARNING, node.key)
    assert finding.summary.endswith(f"{age_s} s ago")


def test_an_oom_kill_is_new_in_one_sample_only() -> None:
    samples = [sample_of(running("web", oom_kill=int(at >= 1)), seconds=at) for at in range(3)]

    assert [finding.severity for finding in snapshot_after(*samples[:2]).findings] == [CRITICAL]
    assert [finding.severity for finding in snapshot_after(*samples).findings] == [WARNING]


def test_an_oom_kill_of_ten_minutes_ago_is_forgotten() -> None:
    snapshot = killed_at(1, seen_for=0)

    assert assess(replace(snapshot, sample=sample_of(running("web", oom_kill=1), seconds=602))) == ()


@pytest.mark.parametrize(
    ("age_s", "expected"), [(0.5, CRITICAL), (2.0, WARNING), (600.0, WARNING), (600.5, None), (-3.0, CRITICAL)]
)
def test_a_runtime_that_says_a_stopped_container_was_killed_for_memory_is_believed(
    age_s: float, expected: Severity | None
) -> None:
    finished_ns = START_WALL_NS - int(age_s * SECOND_NS)
    node = node_of("web", state=State.EXITED, exit_code=137, oom_killed=True, finished_ns=finished_ns)

    assert verdict(node, "oom-killed") is expected


@pytest.mark.parametrize(
    "said",
    [
        {"oom_killed": True},
        {"oom_killed": False, "finished_ns": START_WALL_NS},
        {"oom_killed": None, "finished_ns": START_WALL_NS},
    ],
)
def test_what_is_not_known_to_be_an_oom_kill_is_none(said: dict[str, Any]) -> None:
    assert verdict(node_of("web", state=State.EXITED, **said), "oom-killed") is None


# Starts and health


@pytest.mark.parametrize(("count", "expected"), [(0, None), (2, None), (3, CRITICAL), (7, CRITICAL)])
def test_restart_loop(count: int, expected: Severity | None) -> None:
    assert verdict(node_of("web", starts_ns=tuple(range(count))), "restart-loop") is expected


@pytest.mark.parametrize(
    ("exit_code", "summary"), [(None, "started 3 times in 5 minutes"), (1, "started 3 times in 5 minutes, last exit 1")]
)
def test_a_restart_loop_tells_the_last_exit(exit_code: int | None, summary: str) -> None:
    (finding,) = findings_of(node_of("web", starts_ns=(1, 2, 3), exit_code=exit_code))

    assert finding.summary == summary


@pytest.mark.parametrize(
    ("health", "state", "expected"),
    [
        (Health.UNHEALTHY, State.RUNNING, CRITICAL),
        (Health.UNHEALTHY, State.EXITED, None),
        (Health.STARTING, State.RUNNING, None),
        (Health.HEALTHY, State.RUNNING, None),
        (None, State.RUNNING, None),
    ],
)
def test_unhealthy(health: Health | None, state: State, expected: Severity | None) -> None:
    assert verdict(node_of("web", health=health, state=state), "unhealthy") is expected


# Isolation


@pytest.mark.parametrize(
    ("shared", "summary"),
    [
        (("net",), "lives in the host's net namespace"),
        (("time", "net", "user", "pid"), "lives in the host's pid, net namespaces"),
        (("mnt", "ipc"), "lives in the host's ipc, mnt namespaces"),
        (("user", "time", "cgroup", "uts"), None),
        ((), None),
    ],
)
def test_shares_host(shared: tuple[str, ...], summary: str | None) -> None:
    findings = findings_of(node_of("web", shared_with_host=shared))

    assert [(finding.severity, finding.summary) for finding in findings] == ([(INFO, summary)] if summary else [])


def test_a_container_on_the_hosts_network_is_told_of() -> None:
    box = running("web", process=on_network(HOST_NETNS, namespaces=own_namespaces("web", net=None)))

    assert codes(snapshot_after(sample_of(box))) == ["shares-host"]


# Memory limits on a host that is short of memory


def host_with(memory_some: float | None) -> HostNode:
    return HostNode(sample_of().host, None, PressureShares(memory=PressureShare(memory_some, None)))


@pytest.mark.parametrize(("some", "expected"), [(0.20, None), (0.201, INFO), (None, None)])
def test_no_memory_limit(some: float | None, expected: Severity | None) -> None:
    node = node_of("web", cgroup=cgroup_of(path_of("web")))

    assert verdict(node, "no-memory-limit", host=host_with(some)) is expected


@pytest.mark.parametrize(
    "cgroup",
    [
        None,
        cgroup_of(path_of("web"), limit=1 << 30),
        cgroup_of(path_of("web"), memory=None),
    ],
)
def test_who_has_a_memory_limit_or_no_memory_to_see_is_not_told_to_get_one(cgroup: Any) -> None:
    assert verdict(node_of("web", cgroup=cgroup), "no-memory-limit", host=host_with(0.9)) is None


@pytest.mark.parametrize("pressure", [None, PressureShares()])
def test_a_host_without_pressure_to_see_is_not_short_of_memory(pressure: PressureShares | None) -> None:
    node = node_of("web", cgroup=cgroup_of(path_of("web")))

    assert verdict(node, "no-memory-limit", host=HostNode(sample_of().host, None, pressure)) is None


# Runtimes


@pytest.mark.parametrize(("silent_s", "expected"), [(0.0, []), (2.0, []), (2.1, ["runtime-silent"])])
def test_runtime_silent(silent_s: float, expected: list[str]) -> None:
    snapshot = snapshot_after(sample_of(running("web"), runtimes=(docker_runtime(silent_s=silent_s),)))

    assert codes(snapshot) == expected


def test_a_silent_runtime_is_told_of_once_however_many_containers_it_has() -> None:
    boxes = [running(name) for name in ("web", "db", "cache")]

    (finding,) = snapshot_after(sample_of(*boxes, runtimes=(docker_runtime(silent_s=61.4),))).findings

    assert (finding.severity, finding.target) == (CRITICAL, "runtime:docker")
    assert finding.summary == "docker has not answered for 61 s"


@pytest.mark.parametrize("boxes", [[], [stopped("done")], [running("web", info={"runtime": "podman"})]])
def test_the_silence_of_a_runtime_matters_only_while_its_containers_run(boxes: list[Box]) -> None:
    silent = RuntimeSample("docker", "/run/docker.sock", up=False, is_listed=True, silent_s=30.0)
    elsewhere = [replace(box, found=replace(box.found, runtime="podman")) if box.found else box for box in boxes]

    assert codes(snapshot_after(sample_of(*elsewhere, runtimes=(silent,)))) == []


def stray(started_s_ago: float = 60.0, **options: Any) -> Box:
    """Return a container that runs, and that Docker does not list."""
    started_ns = START_WALL_NS - int(started_s_ago * SECOND_NS)
    return kernel_only(running("web", process={"started_ns": started_ns}, **options))


@pytest.mark.parametrize(
    ("started_s_ago", "expected"),
    [(0.0, []), (4.9, []), (5.0, ["unknown-to-runtime"]), (60.0, ["unknown-to-runtime"]), (-2.0, [])],
)
def test_unknown_to_runtime_is_given_five_seconds(started_s_ago: float, expected: list[str]) -> None:
    assert codes(snapshot_after(sample_of(stray(started_s_ago)))) == expected


def test_a_container_unknown_to_its_runtime_is_a_warning() -> None:
    (finding,) = snapshot_after(sample_of(stray())).findings

    assert (finding.severity, finding.target) == (WARNING, docker_key("web"))
    assert finding.summary == "runs, but docker does not list it"


@pytest.mark.parametrize(
    "runtimes",
    [
        (),
        (docker_runtime(up=False),),
        (docker_runtime(is_listed=False),),
        (replace(docker_runtime(), name="podman"),),
        # One daemon has answered; the container may be the other's.
        (docker_runtime(), replace(docker_runtime(up=False), socket="/run/user/1000/docker.sock")),
    ],
)
def test_only_a_runtime_that_has_listed_its_containers_can_lack_one(runtimes: tuple[RuntimeSample, ...]) -> None:
    assert codes(snapshot_after(sample_of(stray(), runtimes=runtimes))) == []


def test_a_container_without_a_process_does_not_run() -> None:
    assert codes(snapshot_after(sample_of(replace(stray(), process=None)))) == []


def test_a_container_inside_another_is_its_inner_runtimes_business() -> None:
    outer = running("dind")

    assert codes(snapshot_after(sample_of(outer, kernel_only(running("job", inside=outer))))) == []


def test_a_container_of_unknown_state_is_not_called_unknown_to_its_runtime() -> None:
    node = node_of("web", source=Source.CGROUP, state=State.UNKNOWN, process=process_of("web"))

    assert verdict(node, "unknown-to-runtime", seconds=60) is None


# All of them


def test_the_worst_comes_first_then_by_code_and_target() -> None:
    throttled = Usage(throttled_share=0.2, cpu_limit_cores=1.0)
    nodes = [
        node_of("a", throttled._replace(pids=95, pids_limit=100), health=Health.UNHEALTHY),
        node_of("b", throttled, shared_with_host=("net",), starts_ns=(1, 2, 3)),
        node_of("c", throttled._replace(throttled_share=0.9)),
    ]

    found = assess(tree_of(*(pod_of(node) for node in nodes)))

    ranks = [(-finding.severity, finding.code, finding.target) for finding in found]
    assert ranks == sorted(ranks)
    assert [finding.code for finding in found] == [
        "cpu-throttled",
        "restart-loop",
        "unhealthy",
        "cpu-throttled",
        "cpu-throttled",
        "pids-near-limit",
        "shares-host",
    ]


@pytest.mark.parametrize(
    ("code", "thresholds", "node", "expected"),
    [
        ("cpu-throttled", {"cpu_throttled": Threshold(0.3, 0.4)}, {"usage": {"throttled_share": 0.3}}, None),
        ("cpu-throttled", {"cpu_throttled": Threshold(0.3, 0.4)}, {"usage": {"throttled_share": 0.41}}, CRITICAL),
        ("memory-near-limit", {"memory_near_limit": Threshold(0.5, 0.97)}, {"usage": {"memory_bytes": 51}}, WARNING),
        ("cpu-starved", {"cpu_starved": Threshold(0.1, 0.9)}, {"cpu": PressureShare(0.15, 0.8)}, WARNING),
        ("memory-stalled", {"memory_stalled": Threshold(0.6, 0.1)}, {"memory": PressureShare(0.5, 0.15)}, CRITICAL),
        ("io-stalled", {"io_stalled": Threshold(0.6, 0.6)}, {"io": PressureShare(0.5, 0.5)}, None),
        ("io-stalled", {"cpu_starved": Threshold(0.6, 0.6)}, {"io": PressureShare(0.5, 0.5)}, CRITICAL),
        ("pids-near-limit", {"pids_near_limit": 0.5}, {"usage": {"pids": 51}}, WARNING),
        ("restart-loop", {"restart_loop": 2}, {"starts_ns": (1, 2)}, CRITICAL),
        ("restart-loop", {"restart_loop": 4}, {"starts_ns": (1, 2, 3)}, None),
    ],
)
def test_thresholds_can_be_others(
    code: str, thresholds: dict[str, Any], node: dict[str, Any], expected: Severity | None
) -> None:
    pressure = PressureShares(**{name: node.pop(name) for name in ("cpu", "memory", "io") if name in node})
    limits = {"cpu_limit_cores": 1.0, "memory_limit_bytes": 100, "pids_limit": 100}
    usage = Usage(**limits, pressure=pressure, **node.pop("usage", {}))
    found = assess(tree_of(pod_of(node_of("web", usage, **node))), thresholds=Thresholds(**thresholds))

    assert [finding.severity for finding in found if finding.code == code] == ([expected] if expected else [])


def test_how_long_an_oom_kill_is_told_and_when_a_host_is_short_of_memory_can_be_others() -> None:
    killed = node_of("web", state=State.EXITED, oom_killed=True, finished_ns=START_WALL_NS - 60 * SECOND_NS)
    unlimited = tree_of(pod_of(node_of("web", cgroup=cgroup_of(path_of("web")))), host=host_with(0.5))

    assert assess(tree_of(pod_of(killed)), thresholds=Thresholds(oom_killed_s=59.0)) == ()
    assert assess(unlimited, thresholds=Thresholds(no_memory_limit=0.5)) == ()
    assert codes(replace(unlimited, findings=assess(unlimited))) == ["no-memory-limit"]


def test_findings_name_containers_that_are_there() -> None:
    snapshot = snapshot_after(
        sample_of(stray(), running("db", process=on_network(NetnsKey(1))), stopped("done", oom_killed=True))
    )

    assert {finding.target for finding in snapshot.findings} <= set(snapshot.containers)
    assert container_id("web") in snapshot.findings[0].target


def test_all_rules_say_what_they_hold_for() -> None:
    rules = (*CONTAINER_RULES, *CHANGE_RULES, *TIMED_RULES, *SNAPSHOT_RULES, *LEVEL_RULES)
    assert all(rule.__doc__ for rule in rules)


def test_what_was_found_before_is_found_again() -> None:
    """As if all rules were asked: of what is the same, of what has changed, and of what passes with time."""
    snapshot = None
    for second in range(6):
        web = running("web", oom_kill=second // 2, usage_usec=second, pids=89 + second, pids_max=100)
        sample = sample_of(web, running("db", pids=99, pids_max=100), kernel_only(running("stray")), seconds=second)
        before, snapshot = snapshot, derive(snapshot, sample)
        snapshot = replace(snapshot, findings=assess(snapshot, before))

        assert snapshot.findings == assess(snapshot)
        assert "pids-near-limit" in codes(snapshot)


def test_of_what_is_the_same_nothing_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def noted(container: ContainerNode, _: Thresholds) -> None:
        asked.append(container.name)

    monkeypatch.setattr("topcon.findings.CONTAINER_RULES", (noted,))
    snapshot = None
    for second, usage_usec in enumerate((0, 0, 0, 9, 9, 9)):
        sample = sample_of(running("web", usage_usec=usage_usec), running("db"), seconds=second)
        before, snapshot = snapshot, derive(snapshot, sample)
        snapshot = replace(snapshot, findings=assess(snapshot, before))

    # When they came, when they were first seen to rest; then the one that ran, and when it rested again.
    assert asked == ["db", "web", "db", "web", "web", "web"]


def test_the_codes_of_what_passes() -> None:
    """Each rule that looks at the time, and each that looks at the snapshot; limits above have the codes of limits."""
    assert CODES.keys() > PASSING
    assert len(PASSING) == len(TIMED_RULES) + len({*SNAPSHOT_RULES} - {timed, levels})
