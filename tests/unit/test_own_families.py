"""topcon's own families, by value."""

from __future__ import annotations

import platform
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from fakes import SECOND_NS, START_WALL_NS
from hypothesis import given
from hypothesis import strategies as st
from pages import (
    APP,
    FULL_PROTOCOL,
    KUBEPODS,
    NOW,
    POD,
    POD_NETNS,
    POD_UID,
    ROOT,
    SANDBOX,
    SERVICE,
    SIDE,
    SYSTEM,
    WEB,
    by,
    by_one,
    full_cgroup,
    full_sample,
    full_snapshot,
    page_of,
    series_of,
    types_of,
    web_box,
)
from samples import (
    COMPOSE,
    HOST_NETNS,
    SDA,
    SDB,
    Box,
    container_id,
    docker_key,
    docker_runtime,
    history_of,
    interface,
    kernel_only,
    netns_of,
    node_of,
    pod_of,
    process_of,
    running,
    sample_of,
    snapshot_after,
    stopped,
    tree_of,
    unhurried_in_making,
)

from topcon import __version__
from topcon.exporter.own import FAMILIES
from topcon.exporter.page import Vitals
from topcon.findings import CODES, assess
from topcon.model.derive import MOST_GONE, derive
from topcon.model.sample import (
    CgroupDetail,
    CgroupEvents,
    Health,
    IoStat,
    PodInfo,
    PodKind,
    Problem,
    ProtocolStat,
    RuntimeSample,
    Source,
    SourceSample,
    State,
    Survey,
    TaskStat,
)
from topcon.model.snapshot import Finding, HostNode, Place, PressureShare, PressureShares, Severity, Usage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from topcon.model.sample import Sample
    from topcon.model.snapshot import ContainerNode, Snapshot

IDENTITY = {"container_id", "id", "name", "namespace", "pod", "runtime"}
OF_CONTAINERS = ("sandbox", "app", "side", "web")


def own(snapshot: Snapshot, name: str, vitals: Vitals = NOW, **options: Any) -> dict[Any, float]:
    """Return a family's series; empty if it is not there."""
    return series_of(page_of(snapshot, vitals, **options)).get(f"topcon_{name}", {})


def labels_of(series: Iterable[frozenset[tuple[str, str]]], name: str) -> dict[str, str]:
    (labels,) = [dict(each) for each in series if ("name", name) in each]
    return labels


# What containers are


def test_what_is_known_of_a_container_of_a_pod() -> None:
    assert labels_of(own(full_snapshot(), "container_info"), "app") == {
        "container_id": container_id("app"),
        "id": APP,
        "name": "app",
        "namespace": "prod",
        "pod": "shop-0",
        "runtime": "containerd",
        "image": "app:1",
        "pod_kind": "kubernetes",
        "pod_uid": POD_UID,
        "qos": "burstable",
        "role": "workload",
        "source": "api",
        "workload": "",
        "workload_kind": "",
        "compose_project": "",
        "compose_service": "",
    }


def test_what_is_known_of_a_stopped_container_of_a_project() -> None:
    labels = {COMPOSE: "shop", "com.docker.compose.service": "db"}
    found = labels_of(own(snapshot_after(sample_of(stopped("db", labels=labels))), "container_info"), "db")

    assert (found["id"], found["pod"], found["pod_kind"]) == ("", "shop", "compose")
    assert (found["compose_project"], found["compose_service"]) == ("shop", "db")


def test_a_container_by_itself_is_in_no_pod() -> None:
    found = labels_of(own(full_snapshot(), "container_info"), "web")

    assert (found["pod"], found["namespace"], found["pod_kind"]) == ("", "", "single")


def test_a_workload_is_told() -> None:
    labels = {"com.docker.swarm.service.name": "shop_web"}
    snapshot = snapshot_after(sample_of(running("web", info={"labels": labels})))

    for family in ("container_info", "pod_info"):
        (found,) = map(dict, own(snapshot, family))
        assert (found["workload_kind"], found["workload"]) == ("Service", "shop_web")


def test_what_is_known_of_pods() -> None:
    found = own(full_snapshot(), "pod_info")

    assert {frozenset(dict(each)) for each in found} == {
        frozenset({"kind", "namespace", "pod", "pod_id", "id", "qos", "workload", "workload_kind"})
    }
    assert by(found, "kind", "namespace", "pod", "pod_id", "id", "qos") == {
        ("kubernetes", "prod", "shop-0", POD_UID, str(POD), "burstable"): 1,
        ("single", "", "web", docker_key("web"), "", ""): 1,
    }


KINDS = {
    ROOT: ("host", ""),
    SYSTEM: ("slice", ROOT),
    KUBEPODS: ("slice", ROOT),
    SERVICE: ("service", SYSTEM),
    POD: ("pod", KUBEPODS),
    SANDBOX: ("sandbox", POD),
    APP: ("container", POD),
    SIDE: ("container", POD),
    WEB: ("container", SYSTEM),
}


def test_the_tree_is_that_of_the_cgroups() -> None:
    assert by(own(full_snapshot(), "tree_info"), "id", "kind", "parent_id") == {
        (path, kind, parent): 1 for path, (kind, parent) in KINDS.items()
    }


def test_the_tree_holds_together_without_slices_and_services() -> None:
    shown = {path: kind for path, kind in KINDS.items() if path not in {SYSTEM, KUBEPODS, SERVICE}}
    parents = {POD: ROOT, WEB: ROOT}
    found = by(own(full_snapshot(), "tree_info", containers_only=True), "id", "kind", "parent_id")

    assert found == {(path, kind, parents.get(path, parent)): 1 for path, (kind, parent) in shown.items()}


def test_a_cgroup_that_has_nothing_above_it_has_no_parent() -> None:
    assert by_one(own(snapshot_after(sample_of(web_box())), "tree_info"), "parent_id") == {"": 1}


# States and ends


def test_containers_are_counted_by_runtime_and_state_the_stopped_ones_too() -> None:
    boxes = [running("web"), running("db"), stopped("old", exit_code=1), stopped("new", state=State.CREATED)]
    podman = RuntimeSample("podman", "/run/podman.sock", up=True, is_listed=True)
    found = by(
        own(snapshot_after(sample_of(*boxes, runtimes=(docker_runtime(), podman))), "containers"), "runtime", "state"
    )

    expected = {(runtime, state.value): 0 for runtime in ("docker", "podman") for state in State}
    assert found == expected | {("docker", "running"): 2, ("docker", "exited"): 1, ("docker", "created"): 1}


def test_a_runtime_is_counted_by_what_its_containers_call_it() -> None:
    runtime = RuntimeSample("incus", "/run/incus.sock", up=True, is_listed=True, runtime="lxc")
    found = own(snapshot_after(sample_of(runtimes=(runtime,))), "containers")

    assert {dict(labels)["runtime"] for labels in found} == {"lxc"}


@pytest.mark.parametrize(("box", "state"), [(stopped("web"), "exited"), (running("web"), "running")])
def test_a_container_is_in_one_state(box: Box, state: str) -> None:
    found = by_one(own(snapshot_after(sample_of(box)), "container_state"), "state")

    assert found == {
        each: float(each == state) for each in ("running", "paused", "created", "restarting", "exited", "dead")
    }


@pytest.mark.parametrize(
    ("health", "expected"), [(None, []), (Health.HEALTHY, [1]), (Health.UNHEALTHY, [0]), (Health.STARTING, [0])]
)
def test_health(health: Health | None, expected: list[float]) -> None:
    found = own(snapshot_after(sample_of(running("web", info={"health": health}))), "container_healthy")

    assert list(found.values()) == expected


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        (None, []),
        (CgroupEvents(populated=True, frozen=None), []),
        (CgroupEvents(populated=True, frozen=True), [1]),
        (CgroupEvents(populated=True, frozen=False), [0]),
    ],
)
def test_frozen(events: CgroupEvents | None, expected: list[float]) -> None:
    found = own(snapshot_after(sample_of(running("web", events=events))), "container_frozen")

    assert list(found.values()) == expected


ENDS = {
    "container_exit_code": 137,
    "container_finished_timestamp_seconds": START_WALL_NS / SECOND_NS - 5,
    "container_restarts_total": 3,
    "container_oom_killed": 1,
}
ENDED = stopped("web", exit_code=137, finished_ns=START_WALL_NS - 5 * SECOND_NS, restarts=3, oom_killed=True)
GONE = sample_of(seconds=1)


@pytest.mark.parametrize("name", ENDS)
@pytest.mark.parametrize(("after_s", "is_there"), [(None, True), (0, True), (600, True), (601, False)])
def test_how_a_container_ended_is_told_for_ten_minutes_after_it_was_removed(
    name: str, after_s: float | None, is_there: bool
) -> None:
    samples = [sample_of(ENDED)]
    if after_s is not None:
        samples += [GONE, sample_of(seconds=1 + after_s)] if after_s else [GONE]
    found = own(snapshot_after(*samples), name)

    assert list(found.values()) == ([ENDS[name]] if is_there else [])
    assert all(dict(labels)["container_id"] == container_id("web") for labels in found)


@pytest.mark.parametrize("name", ENDS)
def test_an_end_that_is_not_known_is_not_told(name: str) -> None:
    assert own(snapshot_after(sample_of(stopped("web", exit_code=None))), name) == {}


def test_what_comes_back_is_not_remembered_as_gone() -> None:
    snapshot = snapshot_after(sample_of(ENDED), GONE, sample_of(ENDED, seconds=2), sample_of(ENDED, seconds=3))

    assert snapshot.gone == ()


def test_what_is_gone_has_no_state_and_no_info() -> None:
    snapshot = snapshot_after(sample_of(running("web")), GONE)

    assert [gone.container.key for gone in snapshot.gone] == [docker_key("web")]
    assert (snapshot.gone[0].container.cgroup, snapshot.gone[0].container.process) == (None, None)
    assert own(snapshot, "container_info") == own(snapshot, "container_state") == {}


def test_no_more_than_so_many_are_remembered() -> None:
    boxes = [stopped(f"job{number}") for number in range(MOST_GONE + 1)]

    assert len(snapshot_after(sample_of(*boxes), GONE).gone) == MOST_GONE


def test_while_nothing_changes_the_same_is_remembered() -> None:
    before = snapshot_after(sample_of(ENDED), GONE)

    assert derive(before, sample_of(seconds=2)).gone is before.gone


# Killed for memory


def kills(snapshot: Snapshot) -> dict[tuple[str, ...], float]:
    return by(own(snapshot, "oom_kills_total"), "runtime", "namespace", "pod", "name")


def web_kills(*boxes: Box | None) -> list[float | None]:
    """Return the count after each second; None for a second without the container."""
    counts: list[float | None] = []
    snapshot = None
    for second, box in enumerate(boxes):
        snapshot = derive(snapshot, sample_of(*([box] if box else []), seconds=second))
        counts.append(kills(snapshot).get(("docker", "", "", "web")))
    return counts


def run(number: int = 1, count: int | None = 0, **info: Any) -> Box:
    """Return a container in its nth run, of which the kernel has counted so many kills."""
    started_ns = START_WALL_NS - (100 - 10 * number) * SECOND_NS
    counters = {"inode": number, **({"memory": None} if count is None else {"oom_kill": count})}
    return running("web", info={"started_ns": started_ns, **info}, process={"started_ns": started_ns}, **counters)


def end(number: int = 1, *, oom_killed: bool | None = True, **info: Any) -> Box:
    """Return it after that run."""
    started_ns = START_WALL_NS - (100 - 10 * number) * SECOND_NS
    given = {"started_ns": started_ns, "finished_ns": started_ns + SECOND_NS, "oom_killed": oom_killed}
    return stopped("web", **(given | info))


def told(number: int, box: Box) -> Box:
    """Let the runtime go on telling how the nth run ended."""
    assert box.info is not None
    finished_ns = START_WALL_NS - (100 - 10 * number) * SECOND_NS + SECOND_NS
    return replace(box, info=replace(box.info, oom_killed=True, finished_ns=finished_ns))


def replaced(count: int) -> Box:
    """Return a new container under the old name."""
    box = running("other", inode=99, oom_kill=count)
    assert box.info is not None
    return replace(box, info=replace(box.info, name="web"))


@pytest.mark.parametrize(
    ("boxes", "expected"),
    [
        # What the kernel counted before is counted, what it counts is added.
        ([run(count=0), run(count=2), run(count=2)], [0, 2, 2]),
        ([run(count=3), run(count=4)], [3, 4]),
        # A restart has a new cgroup, which counts from 0.
        ([run(count=2), run(2, count=0), run(2, count=1)], [2, 2, 3]),
        ([run(count=2), run(2, count=5)], [2, 7]),
        # A replacement is another container of the name.
        ([run(count=2), replaced(0), replaced(1)], [2, 2, 3]),
        ([run(count=2), None, None, replaced(1)], [2, 2, 2, 3]),
        # By the runtime's word alone, once.
        ([run(), end(), end()], [0, 1, 1]),
        ([run(), end(oom_killed=False)], [0, 0]),
        ([run(), end(oom_killed=None)], [0, 0]),
        ([run(), end(oom_killed=False), end()], [0, 0, 1]),
        ([end(), end()], [1, 1]),
        ([run(count=None), end()], [0, 1]),
        # Both tell of one kill.
        ([run(), run(count=1), end(), end()], [0, 1, 1, 1]),
        ([run(count=1), end(), end()], [1, 1, 1]),
        ([run(), run(count=1), end(oom_killed=False), end()], [0, 1, 1, 1]),
        # The runtime goes on telling while it runs again.
        ([run(), end(), told(1, run(2)), told(1, run(2))], [0, 1, 1, 1]),
        ([run(), run(count=1), told(1, run(2)), told(1, run(2))], [0, 1, 1, 1]),
        ([run(), told(1, run(2)), told(1, run(2))], [0, 1, 1]),
        ([run(), run(count=1, oom_killed=True)], [0, 1]),
        ([run(), run(oom_killed=True), run(count=1, oom_killed=True)], [0, 0, 1]),
        # Each end is one.
        ([run(), end(), run(2), end(2)], [0, 1, 1, 2]),
        ([end(), end(2)], [1, 2]),
        ([run(), end(), run(2, count=1), end(2)], [0, 1, 2, 2]),
        # A count that cannot be read for a while.
        ([run(count=2), run(count=None), end(oom_killed=False)], [2, 2, 2]),
        ([run(count=2), run(count=None), run(count=3)], [2, 2, 3]),
        # A runtime that loses its list for a while.
        ([end(), None, end()], [1, 1, 1]),
        ([run(count=2), None, run(count=2)], [2, 2, 2]),
        ([run(count=2), None, run(2, count=1)], [2, 2, 3]),
        ([run(count=2), kernel_only(run(count=2)), None, run(count=2)], [2, None, None, 2]),
        # Named only when its runtime answers.
        ([kernel_only(run(count=3)), run(count=4), run(count=4)], [None, 4, 4]),
        ([run(count=2), kernel_only(replaced(1)), replaced(1)], [2, 2, 3]),
        # A runtime that does not say when it started it.
        ([run(count=1), end(started_ns=None)], [1, 1]),
    ],
)
def test_kills_are_counted_once_and_the_count_never_falls(
    boxes: list[Box | None], expected: list[float | None]
) -> None:
    assert web_kills(*boxes) == expected


LIVES = [
    None,
    *(run(number, count) for number in (1, 2) for count in (0, 1, 3, None)),
    *(end(number, oom_killed=is_killed) for number in (1, 2) for is_killed in (True, False)),
    told(1, run(2)),
    replaced(0),
    replaced(2),
]
"""What can be seen of a place in a second."""


@unhurried_in_making
@given(st.lists(st.integers(0, len(LIVES) - 1), max_size=8))
def test_whatever_happens_the_count_of_a_place_never_falls(lives: list[int]) -> None:
    counts = [count for count in web_kills(*(LIVES[life] for life in lives)) if count is not None]

    assert counts == sorted(counts)


def test_a_place_that_is_empty_for_long_is_forgotten() -> None:
    first = snapshot_after(sample_of(run(count=2)), sample_of(seconds=1))
    still, forgotten = (snapshot_after(sample_of(run(count=2)), GONE, sample_of(seconds=at)) for at in (601, 602))

    assert kills(first) == kills(still) == {("docker", "", "", "web"): 2}
    assert kills(forgotten) == {}


def test_places_are_told_by_runtime_namespace_pod_and_name() -> None:
    assert full_snapshot().oom_kills == {
        Place("containerd", "prod", "shop-0", "app"): 5,
        Place("containerd", "prod", "shop-0", "side"): 5,
        Place("containerd", "prod", "shop-0", "sandbox"): 5,
        Place("docker", None, "", "web"): 5,
    }


def test_two_containers_in_one_place_are_added_up() -> None:
    """Names of one pod can be equal where nobody checks them."""
    pod = PodInfo(PodKind.COMPOSE, "shop", "shop")
    boxes = [running(name, inode=at, oom_kill=at, info={"pod": pod}) for at, name in ((1, "a"), (2, "b"))]
    twins = [replace(box, info=replace(box.info, name="web")) for box in boxes if box.info]

    assert kills(snapshot_after(sample_of(*twins))) == {("docker", "", "shop", "web"): 3}
    assert kills(snapshot_after(sample_of(*twins), sample_of(twins[0], seconds=1))) == {
        ("docker", "", "shop", "web"): 3
    }


def test_places_that_are_written_alike_are_added_up() -> None:
    boxes = [running(name, oom_kill=1) for name in ("a\x1b", "a\\x1b")]

    assert kills(snapshot_after(sample_of(*boxes))) == {("docker", "", "", "a\\x1b"): 2}


# Namespaces, threads, limits


def test_namespaces_are_told_with_what_is_shared_with_the_host() -> None:
    box = running("web")
    assert box.process is not None
    found = by(own(snapshot_after(sample_of(box)), "container_namespace_info"), "type", "inode", "host")
    inodes = {kind: getattr(box.process.namespaces, kind) for kind in ("net", "pid", "mnt", "ipc", "uts", "cgroup")}

    assert found == {
        **{(kind, str(inode), "false"): 1 for kind, inode in inodes.items()},
        ("user", "4026531837", "true"): 1,
        ("time", "4026531834", "true"): 1,
    }


def test_without_a_process_no_namespace_is_told() -> None:
    assert own(snapshot_after(sample_of(replace(running("web"), process=None))), "container_namespace_info") == {}


def surveyed(tasks: TaskStat) -> Snapshot:
    box = running("web")
    return snapshot_after(sample_of(box, survey=Survey(0, 1.0, tasks={box.path: tasks})))


def test_threads_are_counted_by_state() -> None:
    states = {"R": 1, "S": 2, "D": 3, "T": 4, "t": 5, "I": 6, "Z": 7, "X": 8, "Q": 9}
    found = own(surveyed(TaskStat(1, states, 7, None, None, None, 0, 0)), "container_threads")

    assert by_one(found, "state") == {
        "running": 1,
        "sleeping": 2,
        "uninterruptible": 3,
        "stopped": 9,
        "idle": 6,
        "zombie": 7,
        "dead": 8,
        "unknown": 9,
    }


def test_states_that_no_thread_is_in_are_zero() -> None:
    found = by_one(own(surveyed(TaskStat(1, {"S": 1}, 0, None, None, None, 0, 0)), "container_threads"), "state")

    assert found == dict.fromkeys(found, 0) | {"sleeping": 1}
    assert len(found) == 7


FULL = {
    "container_run_seconds_total": 6.5,
    "container_run_delay_seconds_total": 0.75,
    "container_zombies": 9,
    "container_runnable_threads": 1.25,
    "container_open_files": 12,
    "container_open_files_limit": 1024,
    "container_memory_unreclaimable_bytes": 600 + 70 + 80 - 25,
    "container_memory_limit_hits_total": 8,
    "container_oom_group_kills_total": 1,
    "container_throttled_local_seconds_total": 1.25,
    "container_swap_limit_hits_total": 3,
    "container_pids_limit_hits_total": 6,
    "container_pressure_irq_stalled_seconds_total": 0.5,
    "container_dying_descendants": 2,
    "container_pids_limit": 100,
}
"""Families without a label of their own: the value of each container."""


@pytest.mark.parametrize("name", FULL)
def test_a_family_is_of_all_containers_and_of_nothing_else(name: str) -> None:
    found = own(full_snapshot(), name)

    assert {frozenset(dict(labels)) for labels in found} == {frozenset(IDENTITY)}
    assert by_one(found, "name") == dict.fromkeys(OF_CONTAINERS, FULL[name])


BARE = TaskStat(1, {}, 0, None, None, None, 0, 0)


@pytest.mark.parametrize("name", sorted(FULL.keys() - {"container_zombies", "container_runnable_threads"}))
def test_what_is_not_known_is_not_told(name: str) -> None:
    box = running("web", detail=CgroupDetail())

    assert own(snapshot_after(sample_of(box, survey=Survey(0, 1.0, tasks={box.path: BARE}))), name) == {}
    assert own(snapshot_after(sample_of(running("web", memory=None, pids=None))), name) == {}
    assert own(snapshot_after(sample_of(stopped("web"), survey=Survey(0, 1.0))), name) == {}


def test_what_cannot_be_reclaimed_is_not_below_nothing() -> None:
    cgroup = full_cgroup(WEB)
    assert cgroup.memory is not None
    memory = cgroup.memory._replace(anon=0, shmem=0, kernel=5, slab_reclaimable=9)
    box = replace(web_box(), cgroup=cgroup._replace(memory=memory))

    assert list(own(snapshot_after(sample_of(box)), "container_memory_unreclaimable_bytes").values()) == [0]


def test_discards_are_told_by_device() -> None:
    io = {SDA: IoStat(0, 0, 0, 0, dbytes=512), SDB: IoStat(0, 0, 0, 0), (7, 0): IoStat(0, 0, 0, 0, dbytes=9)}
    sample = sample_of(running("web", io=None), stopped("db"))
    (path,) = sample.cgroups
    cgroups = {path: sample.cgroups[path]._replace(io=io)}
    host = replace(sample.host, devices={SDA: "sda", SDB: "sdb"})
    found = own(snapshot_after(replace(sample, cgroups=cgroups, host=host)), "container_discarded_bytes_total")

    assert by_one(found, "device") == {"/dev/sda": 512}


# TCP of pods


TCP = {
    "pod_tcp_segments_sent_total": 40,
    "pod_tcp_retransmitted_segments_total": 3,
    "pod_tcp_listen_overflows_total": 1,
}


@pytest.mark.parametrize("name", TCP)
def test_tcp_is_counted_once_for_a_namespace(name: str) -> None:
    assert by_one(own(full_snapshot(), name), "pod") == {"shop-0": TCP[name], "web": TCP[name]}


def test_sockets_are_told_by_state() -> None:
    states = {"established": 2, "inuse": 6, "orphan": 1, "timewait": 2}

    assert by(own(full_snapshot(), "pod_tcp_sockets"), "pod", "state") == {
        (pod, state): count for pod in ("shop-0", "web") for state, count in states.items()
    }


def test_a_pod_of_several_namespaces_is_their_sum() -> None:
    boxes = [running(name, info={"labels": {COMPOSE: "shop"}}) for name in ("web", "db")]
    protocols = {box.process.netns: FULL_PROTOCOL for box in boxes if box.process and box.process.netns}
    snapshot = snapshot_after(sample_of(*boxes, survey=Survey(0, 1.0, protocols=protocols)))

    assert by_one(own(snapshot, "pod_tcp_segments_sent_total"), "pod") == {"shop": 80}


@pytest.mark.parametrize("protocols", [{}, {HOST_NETNS: FULL_PROTOCOL}, {POD_NETNS: ProtocolStat({}, {})}])
def test_what_is_not_known_of_tcp_is_not_told(protocols: Any) -> None:
    snapshot = full_snapshot(survey=Survey(0, 1.0, protocols=protocols))

    assert not {name for name in types_of(page_of(snapshot)) if "_tcp_" in name}


# Findings


def finding(code: str, severity: Severity, target: str) -> Finding:
    return Finding(code, severity, target, "", "")


def with_findings(*findings: Finding) -> Snapshot:
    return replace(full_snapshot(), findings=findings)


def test_a_finding_is_told_of_its_container() -> None:
    snapshot = with_findings(finding("cpu-throttled", Severity.CRITICAL, docker_key("web")))
    ((labels, value),) = own(snapshot, "finding").items()

    assert value == 1
    assert dict(labels) == {
        "code": "cpu-throttled",
        "severity": "critical",
        "container_id": container_id("web"),
        "id": WEB,
        "name": "web",
        "namespace": "",
        "pod": "",
        "runtime": "docker",
    }


def test_a_finding_of_a_runtime_is_told_once_for_all_its_sockets() -> None:
    silent = finding("runtime-silent", Severity.CRITICAL, "runtime:docker")
    ((labels, _),) = own(with_findings(silent, silent), "finding").items()

    assert {name: value for name, value in labels if value} == {
        "code": "runtime-silent",
        "severity": "critical",
        "runtime": "docker",
    }


def test_findings_are_counted_and_what_is_not_wrong_is_zero() -> None:
    warning = finding("cpu-throttled", Severity.WARNING, docker_key("web"))
    found = by(own(with_findings(warning, warning), "findings"), "code", "severity")

    expected = {(code, severity.name.lower()): 0 for code, severities in CODES.items() for severity in severities}
    assert found == expected | {("cpu-throttled", "warning"): 2}


C, W, I = Severity.CRITICAL, Severity.WARNING, Severity.INFO  # noqa: E741  they are read side by side
AGREED = {
    "cpu-throttled": {W, C},
    "memory-near-limit": {W, C},
    "oom-killed": {W, C},
    "cpu-starved": {W, C},
    "memory-stalled": {W, C},
    "io-stalled": {W, C},
    "restart-loop": {C},
    "unhealthy": {C},
    "pids-near-limit": {W},
    "shares-host": {I},
    "no-memory-limit": {I},
    "runtime-silent": {C},
    "unknown-to-runtime": {W},
    "dead": {W},
    "dropped-packets": {W},
    "exit-error": {W, I},
    "frozen": {I},
    "memory-high": {W},
    "odd-one-out": {I},
    "swapping": {W},
}
"""What people and alerts hold on to."""


def stalled(name: str, some: float, full: float) -> Usage:
    return Usage(pressure=PressureShares(**{name: PressureShare(some, full)}))


def unlimited() -> ContainerNode:
    return node_of("web", cgroup=full_cgroup(WEB, memory=full_cgroup(WEB).memory._replace(max=None)))  # type: ignore[type-var]


def worst(sample: Sample) -> set[tuple[str, Severity]]:
    return {(each.code, each.severity) for each in snapshot_after(sample).findings}


def all_findings() -> set[tuple[str, Severity]]:
    """Return what comes of one container for each rule at each of its thresholds."""
    sample = tree_of().sample
    now_ns, wall_ns = sample.monotonic_ns, sample.wall_ns
    nodes = [
        *(node_of("web", Usage(throttled_share=share, cpu_limit_cores=1)) for share in (0.2, 0.9)),
        *(node_of("web", Usage(memory_bytes=used, memory_limit_bytes=100)) for used in (95, 99)),
        *(node_of("web", oom_seen_ns=now_ns - age_s * SECOND_NS) for age_s in (0, 60)),
        *(node_of("web", oom_killed=True, finished_ns=wall_ns - age_s * SECOND_NS) for age_s in (0, 60)),
        *(
            node_of("web", stalled(name, some, full))
            for name in ("cpu", "memory", "io")
            for some, full in ((0.5, 0.0), (0.5, 0.5))
        ),
        node_of("web", starts_ns=(1, 2, 3)),
        node_of("web", health=Health.UNHEALTHY),
        node_of("web", Usage(pids=99, pids_limit=100)),
        node_of("web", shared_with_host=("pid",)),
        node_of("web", state=State.DEAD),
        *(node_of("web", state=State.EXITED, exit_code=code, finished_ns=wall_ns) for code in (1, 137)),
    ]
    short_of_memory = HostNode(sample.host, None, PressureShares(memory=PressureShare(0.5, 0.0)))
    trees = [
        *(tree_of(pod_of(node)) for node in nodes),
        tree_of(pod_of(unlimited()), host=short_of_memory),
    ]
    samples = [sample_of(web_box(), runtimes=(docker_runtime(silent_s=5.0),)), sample_of(kernel_only(web_box()))]
    found = {(each.code, each.severity) for tree in trees for each in assess(tree)}
    return found.union(*map(worst, samples), *changes())


def changes() -> Iterator[set[tuple[str, Severity]]]:
    """What comes of what has happened between two samples, and of what has not happened for long."""
    before = full_cgroup(WEB)
    assert before.memory
    waits = Usage(pressure=PressureShares(memory=PressureShare(0.15, 0.0)))
    grown = before.memory._replace(events_high=10**9, swap_current=1 << 40)
    calm = before.memory._replace(events_high=0, swap_current=0)
    old = tree_of(pod_of(node_of("web", waits)), cgroups={before.path: before._replace(memory=calm)})
    now = before._replace(memory=grown)
    new = tree_of(pod_of(node_of("web", waits, cgroup=now)), cgroups={now.path: now})
    yield {(each.code, each.severity) for each in assess(new, old)}
    netns = netns_of("web")
    node = node_of("web", process=process_of("web"), is_network_owner=True)
    quiet, lossy = (
        tree_of(
            pod_of(node._replace(is_still=is_still)), networks={netns: {"eth0": interface(0)._replace(rx_drop=drops)}}
        )
        for is_still, drops in ((True, 0), (False, 100))
    )
    yield {(each.code, each.severity) for each in assess(lossy, quiet)}
    paused = replace(tree_of(pod_of(node_of("web", Usage(cpu_history=history_of(0.0)), state=State.PAUSED))), tick=700)
    yield {(each.code, each.severity) for each in assess(paused)}
    nodes = [node_of(name, Usage(memory_bytes=size << 20)) for name, size in (("a", 50), ("b", 50), ("c", 500))]
    replicas = replace(tree_of(*map(pod_of, nodes)), replicas=(tuple(each.key for each in nodes),))
    yield {(each.code, each.severity) for each in assess(replicas)}


def test_every_finding_that_can_be_is_in_the_table_and_nothing_else() -> None:
    agreed = {(code, severity) for code, severities in AGREED.items() for severity in severities}

    assert {(code, severity) for code, severities in CODES.items() for severity in severities} == agreed
    assert all_findings() == agreed


# Sources, and topcon itself


def test_how_sources_are_doing() -> None:
    sources = (SourceSample("cgroup", 0.5, 2, START_WALL_NS), SourceSample("survey", 0.25, 0, None))
    runtimes = (
        replace(docker_runtime(), duration_s=0.125, errors=3, succeeded_ns=START_WALL_NS - SECOND_NS),
        replace(docker_runtime(up=False), socket="/run/user/docker.sock"),
    )
    snapshot = snapshot_after(sample_of(sources=sources, runtimes=runtimes, problems=(Problem("survey", "x"),)))
    docker, users = "docker:/run/docker.sock", "docker:/run/user/docker.sock"

    assert by_one(own(snapshot, "source_up"), "source") == {
        "cgroup": 1,
        "processes": 1,
        "survey": 0,
        docker: 1,
        users: 0,
    }
    durations = by_one(own(snapshot, "source_scrape_duration_seconds"), "source")
    assert durations == {"cgroup": 0.5, "survey": 0.25, docker: 0.125}
    errors = by_one(own(snapshot, "source_errors_total"), "source")
    assert errors == {"cgroup": 2, "survey": 0, docker: 3, users: 0}
    start_s = START_WALL_NS / SECOND_NS
    successes = by_one(own(snapshot, "source_last_success_timestamp_seconds"), "source")
    assert successes == {"cgroup": start_s, docker: start_s - 1}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("tick_duration_seconds", 0.25),
        ("snapshot_age_seconds", 1.5),
        ("snapshot_timestamp_seconds", START_WALL_NS / SECOND_NS),
        ("scrape_duration_seconds", 0.75),
        ("scrape_families_omitted", 0),
        ("label_collisions", 0),
    ],
)
def test_topcon_tells_of_itself(name: str, expected: float) -> None:
    assert own(full_snapshot(), name, Vitals(0.25, 1.5, 0.75)) == {frozenset(): expected}


def test_the_first_page_does_not_know_how_long_a_page_takes() -> None:
    assert own(full_snapshot(), "scrape_duration_seconds") == {}


def test_versions_are_told() -> None:
    ((labels, value),) = own(full_snapshot(), "build_info").items()

    assert (dict(labels), value) == ({"python_version": platform.python_version(), "version": __version__}, 1)


def test_its_own_process_is_told_of() -> None:
    found = series_of(page_of(full_snapshot()))
    names = {name for name in found if name.startswith("topcon_process_")}

    assert names == {
        f"topcon_process_{name}"
        for name in (
            "cpu_seconds_total",
            "resident_memory_bytes",
            "virtual_memory_bytes",
            "start_time_seconds",
            "open_fds",
            "max_fds",
        )
    }
    assert all(value > 0 for name in names for value in found[name].values())


@pytest.mark.parametrize(
    ("used", "extra", "collisions", "served"),
    [
        ((), ("a.b", "a-b"), 0, {}),
        (("a.b",), ("a.b", "a-b"), 0, {"container_label_a_b": "a.b"}),
        (("a.b", "a-b"), ("a.b", "a-b"), 1, {"container_label_a_b": "a-b"}),
        (("a.b", "a-b", "a/b"), ("a/b", "a.b", "a-b"), 2, {"container_label_a_b": "a-b"}),
        (("a.b", "a-b"), (), 0, {}),
    ],
)
def test_labels_with_one_name_are_counted_and_the_first_is_served(
    used: tuple[str, ...], extra: tuple[str, ...], collisions: int, served: dict[str, str]
) -> None:
    snapshot = snapshot_after(sample_of(running("web", info={"labels": {key: key for key in used}})))
    found = series_of(page_of(snapshot, extra_labels=extra))
    (labels,) = map(dict, found["container_last_seen"])

    assert found["topcon_label_collisions"] == {frozenset(): collisions}
    assert {name: value for name, value in labels.items() if name.startswith("container_label_")} == served


def test_what_nobody_named_is_told_of_by_its_source() -> None:
    found = labels_of(
        own(snapshot_after(sample_of(kernel_only(web_box()))), "container_info"), container_id("web")[:12]
    )

    assert (found["source"], found["image"]) == (Source.CGROUP, "")


def test_every_family_is_there_where_all_is_known() -> None:
    sample = full_sample()
    ended = replace(ENDED, info=replace(ENDED.info, id=container_id("ended")) if ENDED.info else None)
    assert ended.info is not None
    runtime = replace(docker_runtime(), duration_s=1.0, succeeded_ns=1)
    snapshot = derive(None, replace(sample, containers=(*sample.containers, ended.info), runtimes=(runtime,)))
    page = page_of(replace(snapshot, findings=(finding("x", Severity.INFO, "y"),)), Vitals(1, 1, 1))

    assert {family.name for family in FAMILIES} <= types_of(page).keys()
