"""What has happened, by the differences of snapshots and by what runtimes tell."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from fakes import START_WALL_NS
from hypothesis import given
from hypothesis import strategies as st
from samples import (
    COMPOSE,
    SECOND_NS,
    docker_key,
    docker_runtime,
    kernel_only,
    path_of,
    running,
    sample_of,
    stopped,
    unclaimed,
)

from topcon.events import KEPT_NS, OVER_NS, events_after, exit_words
from topcon.findings import assess
from topcon.model.derive import derive
from topcon.model.event import MOST_EVENTS, Event, Kind, Told
from topcon.model.sample import CgroupEvents, Health, Isolated, Problem, Role, State
from topcon.model.snapshot import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable

    from samples import Box

    from topcon.model.sample import Sample
    from topcon.model.snapshot import Snapshot

WARNING, CRITICAL = Severity.WARNING, Severity.CRITICAL


def following(samples: Iterable[Sample], *, has_findings: bool = False) -> list[Snapshot]:
    """Return the snapshots of samples, with their events, as a sampler makes them."""
    snapshots: list[Snapshot] = []
    for sample in samples:
        last = snapshots[-1] if snapshots else None
        snapshot = derive(last, sample)
        if has_findings:
            snapshot = replace(snapshot, findings=assess(snapshot, last))
        snapshots.append(replace(snapshot, events=events_after(last, snapshot)))
    return snapshots


def happened(*samples: Sample, **options: Any) -> list[Event]:
    return list(following(samples, **options)[-1].events.entries)


def said(events: Iterable[Event]) -> list[tuple[str, str, Severity | None]]:
    return [(event.name, event.text, event.severity) for event in events]


def at(seconds: float) -> int:
    return START_WALL_NS + int(seconds * SECOND_NS)


def told(kind: Kind, name: str, seconds: float, exit_code: int | None = None, detail: str = "") -> Told:
    return Told(at(seconds), kind, docker_key(name), name, exit_code, detail)


def between(before: Iterable[Box], after: Iterable[Box], seconds: float = 60.0, **others: Any) -> list[Event]:
    """Return what has happened from one sample to the next, long after topcon was started."""
    before = tuple(before)
    first = [sample_of(*before, seconds=second) for second in (0, 30)]
    return happened(*first, sample_of(*after, seconds=seconds, **others))


def test_what_was_there_at_first_has_not_happened() -> None:
    boxes = (running("web"), stopped("done", exit_code=1, finished_ns=at(-5)), running("hog", oom_kill=3))

    assert happened(*(sample_of(*boxes, seconds=second) for second in range(4))) == []


def test_what_is_found_late_was_there_before() -> None:
    late = (running("web", info={"started_ns": at(-100)}), stopped("done", exit_code=1, finished_ns=at(-50)))

    assert between([], late) == []


def test_a_start() -> None:
    (event,) = between([], [running("web", info={"started_ns": at(58)})])

    assert event == Event(at(58), event.monotonic_ns, Kind.START, docker_key("web"), "web", "started")


SLOW = (at(31), at(34.5), None, at(34.5), at(33), at(34.5))
"""What is told of one start on a slow host: by files, by the runtime, by nobody while it lists anew."""


def test_a_start_of_which_everybody_tells_another_moment_is_one() -> None:
    process = {"start_ticks": 5000, "started_ns": at(31)}
    boxes = [running("web", info={"started_ns": started_ns}, process=process) for started_ns in SLOW]
    samples = [sample_of(seconds=second) for second in (28, 29)]
    samples += [sample_of(box, seconds=second) for second, box in enumerate(boxes, start=35)]
    snapshots = following(samples)

    starts = [event for event in snapshots[-1].events.entries if event.kind is Kind.START]
    (node,) = snapshots[-1].containers.values()
    assert len(starts) == 1
    assert node.starts_ns == (at(34.5),)
    assert {each.started_ns for snapshot in snapshots[3:] for each in snapshot.containers.values()} == {
        at(34.5),
        at(33),
    }


def test_another_first_process_is_another_start() -> None:
    one, other = (
        running("web", info={"started_ns": started_ns}, process={"pid": pid, "started_ns": started_ns})
        for pid, started_ns in ((101, at(31)), (102, at(45)))
    )

    assert [event.text for event in between([one], [other])] == ["started"]


def life(began_s: int, told_s: float) -> Box:
    """A container whose pid 1 began at a time, and of which the runtime says that it was started at another."""
    pid = 100 + began_s
    process = {"pid": pid, "start_ticks": 100 * began_s, "started_ns": at(began_s), "ns_pids": (pid, 1)}
    return running("web", info={"started_ns": at(told_s)}, process=process)


ONE_LIFE = life(1, 1.1)
NEXT_LIFE = life(45, 45.5)
LATE = {
    "the runtime tells of it later": (ONE_LIFE, life(45, 1.1), life(45, 1.1), NEXT_LIFE, NEXT_LIFE),
    "nothing of it ran in between": (
        ONE_LIFE,
        stopped("web", state=State.RUNNING, started_ns=at(1.1)),
        life(45, 1.1),
        NEXT_LIFE,
    ),
    "the kernel is looked at later": (ONE_LIFE, life(1, 45.5), life(1, 45.5), NEXT_LIFE, NEXT_LIFE),
    "both at once": (ONE_LIFE, NEXT_LIFE, NEXT_LIFE),
}


@pytest.mark.parametrize("boxes", LATE.values(), ids=LATE)
def test_a_new_life_is_told_once_whoever_tells_of_it_first(boxes: tuple[Box, ...]) -> None:
    samples = [sample_of(ONE_LIFE, seconds=second) for second in (30, 31)]
    samples += [sample_of(box, seconds=second) for second, box in enumerate(boxes, start=46)]
    snapshots = following(samples)

    starts = [event for event in snapshots[-1].events.entries if event.kind is Kind.START]
    (node,) = snapshots[-1].containers.values()
    assert [event.text for event in starts] == ["started"]
    assert at(45) <= starts[0].wall_ns <= at(45.5)
    assert node.starts_ns[-1] == at(45.5)


def test_the_end_of_a_life_that_its_runtime_has_yet_to_tell_of_waits_for_its_words() -> None:
    first = {"state": State.EXITED, "exit_code": 137, "started_ns": at(1.1), "finished_ns": at(40)}
    second = first | {"exit_code": 1, "started_ns": at(45.5), "finished_ns": at(47)}
    alive = life(45, 1.1)
    unheard = replace(alive, info=replace(alive.info, **first) if alive.info else None)
    boxes = (ONE_LIFE, ONE_LIFE, stopped("web", **first), unheard, stopped("web", **first), stopped("web", **second))
    samples = [sample_of(box, seconds=second) for box, second in zip(boxes, (30, 31, 41, 46, 48, 49), strict=True)]

    events = following(samples)[-1].events.entries

    assert [(event.kind, event.text) for event in events] == [
        (Kind.EXIT, "exited with 137 (SIGKILL)"),
        (Kind.START, "started"),
        (Kind.EXIT, "exited with 1"),
    ]


def test_what_entered_a_container_is_no_new_life_of_it() -> None:
    guest = {"pid": 145, "start_ticks": 4500, "started_ns": at(45), "ns_pids": (145, 7)}

    assert between([ONE_LIFE], [running("web", info={"started_ns": at(1.1)}, process=guest)]) == []


PAUSED = CgroupEvents(populated=True, frozen=True)
AGED = {"started_ns": at(1)}
CASES = {
    "exit": (
        [running("web", info=AGED)],
        [stopped("web", exit_code=137, started_ns=at(1), finished_ns=at(57))],
        (Kind.EXIT, "exited with 137 (SIGKILL)", WARNING, at(57)),
    ),
    "exit at an unknown time": (
        [running("web")],
        [stopped("web", exit_code=0)],
        (Kind.EXIT, "exited with 0", None, at(60)),
    ),
    "a run between two looks": (
        [stopped("web", exit_code=1, started_ns=at(1), finished_ns=at(2))],
        [stopped("web", exit_code=3, started_ns=at(1), finished_ns=at(50))],
        (Kind.EXIT, "exited with 3", WARNING, at(50)),
    ),
    "it waits to be started again": (
        [running("web", info=AGED)],
        [stopped("web", state=State.RESTARTING, exit_code=None, started_ns=at(1))],
        (Kind.EXIT, "ended", None, at(60)),
    ),
    "another start": (
        [running("web", info=AGED | {"restarts": 0})],
        [running("web", info={"started_ns": at(59), "restarts": 0})],
        (Kind.START, "started", None, at(59)),
    ),
    "a restart by the runtime": (
        [running("web", info=AGED | {"restarts": 3})],
        [running("web", info={"started_ns": at(59), "restarts": 4})],
        (Kind.START, "started again by docker, restart 4", WARNING, at(59)),
    ),
    "a kill for memory": (
        [running("web", oom_kill=1, limit=64 << 20)],
        [running("web", oom_kill=2, limit=64 << 20)],
        (Kind.OOM, "a process was killed for memory, limit 64.0M", CRITICAL, at(60)),
    ),
    "kills for memory": (
        [running("web", oom_kill=1)],
        [running("web", oom_kill=4)],
        (Kind.OOM, "3 processes were killed for memory", CRITICAL, at(60)),
    ),
    "its health check fails": (
        [running("web", info={"health": Health.HEALTHY})],
        [running("web", info={"health": Health.UNHEALTHY})],
        (Kind.HEALTH, "health: unhealthy", CRITICAL, at(60)),
    ),
    "its health check is fine again": (
        [running("web", info={"health": Health.UNHEALTHY})],
        [running("web", info={"health": Health.HEALTHY})],
        (Kind.HEALTH, "health: healthy", None, at(60)),
    ),
    "a pause": (
        [running("web")],
        [running("web", info={"state": State.PAUSED}, events=PAUSED)],
        (Kind.PAUSE, "paused", None, at(60)),
    ),
    "the end of a pause": (
        [running("web", info={"state": State.PAUSED}, events=PAUSED)],
        [running("web")],
        (Kind.UNPAUSE, "unpaused", None, at(60)),
    ),
    "another name": (
        [running("web", info={"name": "old"})],
        [running("web")],
        (Kind.RENAME, "renamed, was old", None, at(60)),
    ),
    "a container that is made": (
        [],
        [stopped("web", state=State.CREATED, exit_code=None, created_ns=at(59))],
        (Kind.CREATE, "created", None, at(59)),
    ),
    "the removal of a stopped one": (
        [stopped("web")],
        [],
        (Kind.REMOVE, "removed", None, at(60)),
    ),
    "the end of one without a runtime that tells": (
        [kernel_only(running("web"))],
        [],
        (Kind.EXIT, "ended", None, at(60)),
    ),
    "a CPU limit": (
        [running("web", limit_cores=0.5)],
        [running("web", limit_cores=1.0)],
        (Kind.LIMIT, "CPU limit 0.5 CPUs → 1 CPU", None, at(60)),
    ),
    "a memory limit that is taken away": (
        [running("web", limit=256 << 20)],
        [running("web")],
        (Kind.LIMIT, "memory limit 256M → none", None, at(60)),
    ),
    "a limit of tasks": (
        [running("web", pids_max=None)],
        [running("web", pids_max=100)],
        (Kind.LIMIT, "limit of tasks none → 100", None, at(60)),
    ),
}


@pytest.mark.parametrize(("before", "after", "expected"), CASES.values(), ids=CASES.keys())
def test_a_change_is_an_event(
    before: list[Box], after: list[Box], expected: tuple[Kind, str, Severity | None, int]
) -> None:
    (event,) = between(before, after)

    assert (event.kind, event.text, event.severity, event.wall_ns) == expected
    assert event.target == (docker_key("web"))


NOTHING = {
    "time passes": ([running("web")], [running("web", usage_usec=10**6)]),
    "a start is told more exactly": (
        [running("web", info={"started_ns": at(10)})],
        [running("web", info={"started_ns": at(10.4)})],
    ),
    "its runtime falls silent": (
        [stopped("web", started_ns=at(1), finished_ns=at(2))],
        [stopped("web", state=State.UNKNOWN, exit_code=None)],
    ),
    "its runtime answers again": (
        [stopped("web", state=State.UNKNOWN, exit_code=None, started_ns=at(1), finished_ns=at(2))],
        [stopped("web", started_ns=at(1), finished_ns=at(2))],
    ),
    "its end is told more exactly": ([stopped("web")], [stopped("web", finished_ns=at(40))]),
    "a first word of its health": ([running("web")], [running("web", info={"health": Health.STARTING})]),
    "a runtime gives it the name": ([kernel_only(running("web"))], [running("web", info={"name": "shop"})]),
    "a limit is not known any more": ([running("web", limit_cores=1.0)], [running("web", cpu_max=None)]),
    "a limit that comes with a start": (
        [running("web", info={"started_ns": at(50)})],
        [running("web", info={"started_ns": at(50)}, limit_cores=1.0)],
    ),
    "another cgroup of the same path": (
        [running("web", inode=5, limit_cores=1.0)],
        [running("web", inode=6, limit_cores=2.0)],
    ),
    "a sandbox that its runtime has done with": (
        [stopped("web", role=Role.SANDBOX)],
        [],
    ),
}


@pytest.mark.parametrize(("before", "after"), NOTHING.values(), ids=NOTHING.keys())
def test_this_is_no_event(before: list[Box], after: list[Box]) -> None:
    first = [sample_of(*before, seconds=second) for second in (20, 51)]

    snapshots = following([sample_of(seconds=0), *first, sample_of(*after, seconds=60)])

    assert snapshots[-1].events.entries == snapshots[-2].events.entries


def test_one_that_runs_and_is_removed_has_ended_first() -> None:
    events = between([running("web")], [])

    assert [event.kind for event in events] == [Kind.EXIT, Kind.REMOVE]


def test_one_that_is_only_known_by_another_key_has_neither_come_nor_gone() -> None:
    box = unclaimed(running("web", info={"started_ns": at(45)}, process={"started_ns": at(45)}))
    before = kernel_only(box)

    events = following([sample_of(seconds=0), sample_of(before, seconds=50), sample_of(box, seconds=60)])[
        -1
    ].events.entries

    assert [event.kind for event in events] == [Kind.START]


def test_what_comes_and_goes_in_the_background_is_left_out() -> None:
    def isolated(fold: str | None) -> Isolated:
        box = running("web", process={"started_ns": at(55)})
        assert box.process is not None
        return Isolated("4026", box.process, path_of("web"), is_alone=False, name="web", command=None, fold=fold)

    def count(fold: str | None) -> int:
        samples = [sample_of(seconds=0), sample_of(isolated=(isolated(fold),), seconds=60), sample_of(seconds=70)]
        return len(happened(*samples))

    assert (count(None), count("sandboxes")) == (2, 0)


def test_one_that_has_ended_is_not_told_to_be_paused_by_what_was_said_before() -> None:
    assert said(between([running("web")], [stopped("web", state=State.PAUSED, exit_code=None)])) == []


def test_an_event_names_the_pod() -> None:
    labels = {"labels": {COMPOSE: "shop"}}
    boxes = [running("shop-db", info=labels), running("shop-web", info=labels)]

    (event,) = between(boxes, [boxes[0], stopped("shop-web", exit_code=0, **labels)])

    assert (event.name, event.pod) == ("shop-web", "shop")


# What runtimes tell.

WORDS = {
    "exit": (told(Kind.EXIT, "web", 60, 139), "exited with 139 (SIGSEGV)", WARNING),
    "exit as asked for": (told(Kind.EXIT, "web", 60, 143), "exited with 143 (SIGTERM)", None),
    "oom": (told(Kind.OOM, "web", 60), "a process was killed for memory", CRITICAL),
    "health": (told(Kind.HEALTH, "web", 60, detail="unhealthy"), "health: unhealthy", CRITICAL),
    "better health": (told(Kind.HEALTH, "web", 60, detail="healthy"), "health: healthy", None),
    "start": (told(Kind.START, "web", 60), "started", None),
    "signal": (told(Kind.SIGNAL, "web", 60, detail="SIGHUP"), "it is sent SIGHUP", None),
    "exec": (told(Kind.EXEC, "web", 60, detail="sh -c {x}"), "runs in it: sh -c {x}", None),
    "pull": (Told(at(60), Kind.PULL, "runtime:docker", "docker", detail="a:1"), "pulled a:1", None),
    "action": (told(Kind.ACTION, "web", 60, detail="topcon stopped it"), "topcon stopped it", None),
    "failed action": (told(Kind.FAILED, "web", 60, detail="topcon was to"), "topcon was to", WARNING),
}


@pytest.mark.parametrize(("each", "text", "severity"), WORDS.values(), ids=WORDS.keys())
def test_what_is_told_is_put_into_words(each: Told, text: str, severity: Severity | None) -> None:
    (event,) = between([running("web")], [running("web")], events=(each,))

    assert (event.text, event.severity, event.wall_ns, event.kind) == (text, severity, at(60), each.kind)


def test_one_that_lived_between_two_looks_is_told_of() -> None:
    runs = (told(Kind.CREATE, "job", 55), told(Kind.START, "job", 55.2), told(Kind.EXIT, "job", 56, 3))

    events = between([], [], events=(*runs, told(Kind.REMOVE, "job", 56.1)))

    assert said(events) == [
        ("job", "created", None),
        ("job", "started", None),
        ("job", "exited with 3", WARNING),
        ("job", "removed", None),
    ]


@pytest.mark.parametrize("is_first", [True, False])
def test_what_both_sides_tell_is_told_once(*, is_first: bool) -> None:
    old = running("web", info=AGED)
    new = stopped("web", exit_code=3, started_ns=at(1), finished_ns=at(59))
    die = (told(Kind.EXIT, "web", 59.01, 3),)
    steps = [sample_of(old, seconds=30), sample_of(old, seconds=50)]
    if is_first:
        steps += [sample_of(old, seconds=60, events=die), sample_of(new, seconds=61)]
    else:
        steps += [sample_of(new, seconds=60), sample_of(new, seconds=61, events=die)]

    assert said(happened(*steps)) == [("web", "exited with 3", WARNING)]


def test_of_what_is_told_at_once_the_runtime_knows_the_moment_and_the_kernel_the_number() -> None:
    box = running("web", info=AGED)
    tells = (told(Kind.OOM, "web", 58), told(Kind.OOM, "web", 58.1))

    (event,) = between([box], [running("web", info=AGED, oom_kill=2)], events=tells)

    assert event.text == "2 processes were killed for memory"


def test_what_the_list_knows_of_a_start_is_told_with_its_moment() -> None:
    box = running("web", info=AGED | {"restarts": 0})
    again = running("web", info={"started_ns": at(58), "restarts": 1})

    (event,) = between([box], [again], events=(told(Kind.START, "web", 58.1),))

    assert (event.wall_ns, event.text) == (at(58.1), "started again by docker, restart 1")


def test_starts_in_a_row_are_told_one_by_one() -> None:
    box = running("web", info=AGED | {"restarts": 0})
    again = running("web", info={"started_ns": at(59.9), "restarts": 3})
    tells = tuple(told(Kind.START, "web", seconds) for seconds in (58, 58.3, 59.9))

    events = between([box], [again], events=tells)

    assert [event.wall_ns for event in events] == [at(58), at(58.3), at(59.9)]


def test_the_other_side_is_not_waited_for_for_ever() -> None:
    box = running("web", info={"health": Health.HEALTHY})
    sick = running("web", info={"health": Health.UNHEALTHY})
    late_s = 60 + KEPT_NS / 1e9
    steps = [sample_of(box, seconds=second) for second in (0, 30)]
    steps += [sample_of(sick, seconds=60), sample_of(sick, seconds=late_s)]
    again = (told(Kind.HEALTH, "web", late_s, detail="unhealthy"),)

    assert len(happened(*steps, replace(steps[-1], monotonic_ns=steps[-1].monotonic_ns + 1, events=again))) == 2


def test_what_is_told_late_stands_where_it_belongs() -> None:
    old, new = running("web", info=AGED), running("db", info={"started_ns": at(58)})
    steps = [sample_of(old, seconds=second) for second in (0, 30)]
    steps += [sample_of(old, new, seconds=60), sample_of(old, new, seconds=61, events=(told(Kind.EXEC, "web", 57),))]

    events = happened(*steps)

    assert [event.name for event in events] == ["web", "db"]
    assert [event.number for event in events] == [1, 0]


# Runtimes.


def watched(*runtimes: dict[str, Any], problem: str = "") -> list[Event]:
    """Return what has happened while a runtime was like this, one second after the other."""
    problems = (Problem("docker", problem),) if problem else ()
    return happened(
        *(
            sample_of(running("web"), seconds=second, runtimes=(docker_runtime(**each),), problems=problems)
            for second, each in enumerate(runtimes)
        )
    )


def test_a_runtime_that_falls_silent_and_answers_again() -> None:
    silent = {"up": False, "silent_s": 2.5}

    events = watched({}, {"silent_s": 1.5, "up": False}, silent, silent, {}, problem="connection refused")

    assert said(events) == [
        ("docker", "does not answer: connection refused", CRITICAL),
        ("docker", "answers again, after 2s", None),
    ]
    assert events[0].target == "runtime:docker"
    assert events[0].wall_ns == at(2 - 2.5)


def test_the_first_answer_of_a_runtime() -> None:
    assert said(watched({"is_listed": False, "up": False}, {})) == [("docker", "answers at /run/docker.sock", None)]


def test_what_serves_other_runtimes_alone_concerns_nobody() -> None:
    def beneath(count: int) -> list[Event]:
        runtimes = [
            replace(docker_runtime(is_listed=each), lies_beneath=True, container_count=count) for each in (0, 1)
        ]
        return happened(*(sample_of(seconds=second, runtimes=(each,)) for second, each in enumerate(runtimes)))

    assert (len(beneath(0)), len(beneath(1))) == (0, 1)


# Findings.


def finding(severity: Severity = WARNING, code: str = "cpu-throttled", target: str = "web") -> Finding:
    return Finding(code, severity, docker_key(target), "throttled in 61% of its periods", "")


def assessed(*found: Iterable[Finding], step_s: float = 1.0) -> list[Event]:
    """Return what has happened while this was found, step after step."""
    last: Snapshot | None = None
    for number, each in enumerate(found):
        snapshot = derive(last, sample_of(running("web"), running("db"), seconds=number * step_s))
        snapshot = replace(snapshot, findings=tuple(each))
        last = replace(snapshot, events=events_after(last, snapshot))
    assert last is not None
    return list(last.events.entries)


def test_a_finding_begins_and_is_over() -> None:
    after = [[]] * 4

    events = assessed([], [finding()], [finding()], *after, step_s=OVER_NS / 2e9)

    assert said(events) == [
        ("web", "cpu-throttled: throttled in 61% of its periods", WARNING),
        ("web", "cpu-throttled is over, after 10s", None),
    ]
    assert [event.wall_ns for event in events] == [at(5), at(15)]


def test_a_finding_that_comes_and_goes_is_one() -> None:
    assert len(assessed([], *([[finding()], []] * 20))) == 1


def test_a_finding_that_gets_worse_is_told_again_but_not_one_that_gets_better() -> None:
    steps = [finding(WARNING)], [finding(CRITICAL)], [finding(WARNING)], [finding(CRITICAL)]

    assert [event.severity for event in assessed([], *steps)] == [WARNING, CRITICAL]


@pytest.mark.parametrize(
    "each",
    [
        pytest.param(finding(Severity.INFO), id="only worth knowing"),
        pytest.param(finding(code="oom-killed"), id="an event of its own"),
    ],
)
def test_these_findings_are_no_events(each: Finding) -> None:
    assert assessed([], [each], [each]) == []


def test_a_finding_of_a_runtime_has_its_name() -> None:
    each = Finding("odd", WARNING, "runtime:docker", "is odd", "")

    (event,) = assessed([], [each])

    assert (event.name, event.target) == ("docker", "runtime:docker")


# The list.


def test_where_nothing_happens_nothing_is_made_anew() -> None:
    snapshots = following((sample_of(running("web"), seconds=second) for second in range(4)), has_findings=True)

    assert snapshots[-1].events is snapshots[1].events


def test_the_oldest_are_forgotten() -> None:
    def many(second: int) -> Sample:
        tells = tuple(told(Kind.EXEC, f"c{at}", second) for at in range(MOST_EVENTS // 2))
        return sample_of(seconds=second, events=tells)

    events = following([sample_of(seconds=0), *map(many, range(1, 5))])[-1].events

    assert len(events.entries) == MOST_EVENTS
    assert (events.forgotten, events.count) == (MOST_EVENTS, 2 * MOST_EVENTS)
    assert [events.entries[0].number, events.entries[-1].number] == [MOST_EVENTS, 2 * MOST_EVENTS - 1]


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (0, "exited with 0"),
        (1, "exited with 1"),
        (126, "exited with 126 (cannot be run)"),
        (127, "exited with 127 (command not found)"),
        (128, "exited with 128"),
        (134, "exited with 134 (SIGABRT)"),
        (255, "exited with 255"),
        (-1, "exited with -1"),
        (None, "ended"),
    ],
)
def test_what_an_exit_code_means(code: int | None, text: str) -> None:
    assert exit_words(code)[0] == text


STATES = st.sampled_from([None, State.RUNNING, State.PAUSED, State.EXITED, State.UNKNOWN, State.RESTARTING])


@given(st.lists(st.lists(STATES, min_size=3, max_size=3), min_size=2, max_size=6), st.data())
def test_whatever_happens_the_same_is_told_again_and_in_order(
    steps: list[list[State | None]], data: st.DataObject
) -> None:
    samples = []
    for second, states in enumerate(steps):
        boxes = []
        for name, state in zip(("api", "db", "web"), states, strict=True):
            if state is State.RUNNING:
                boxes.append(running(name, info={"started_ns": at(data.draw(st.integers(-5, second)))}))
            elif state is not None:
                boxes.append(stopped(name, state=state, exit_code=None))
        kinds = data.draw(st.lists(st.sampled_from(list(Kind)), max_size=3))
        samples.append(sample_of(*boxes, seconds=second, events=tuple(told(kind, "web", second) for kind in kinds)))

    once, again = (following(samples)[-1].events for _ in range(2))

    assert once == again
    assert sorted(event.number for event in once.entries) == list(range(len(once.entries)))
    assert [event.wall_ns for event in once.entries] == sorted(event.wall_ns for event in once.entries)
