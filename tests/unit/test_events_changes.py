"""What changed: who has taken whose place, of which image, with which limits; and which of it is shown."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from fakes import SECOND_NS, START_WALL_NS
from samples import COMPOSE, Box, cgroup_of, container_id, docker_key, kernel_only, running, sample_of, stopped, text_of

from topcon.events import SETTLED_NS, events_after
from topcon.model.derive import derive
from topcon.model.event import Event, Kind
from topcon.model.sample import CgroupPath, CpuMax, FoundContainer, FoundPod, PodInfo, PodKind, Role
from topcon.model.snapshot import Severity
from topcon.ui.events import Log, choice_text, empty_entry, lately, title_spans, written

if TYPE_CHECKING:
    from collections.abc import Iterable

    from topcon.model.sample import Sample
    from topcon.model.snapshot import Snapshot

DOCUMENT = Path(__file__).parents[2] / "docs/events.md"
CHANGES = {Kind.REPLACE, Kind.IMAGE, Kind.LIMIT}


def at(seconds: float) -> int:
    return START_WALL_NS + int(seconds * SECOND_NS)


def following(samples: Iterable[Sample]) -> list[Snapshot]:
    snapshots: list[Snapshot] = []
    for sample in samples:
        last = snapshots[-1] if snapshots else None
        snapshot = derive(last, sample)
        snapshots.append(replace(snapshot, events=events_after(last, snapshot)))
    return snapshots


def changes(*boxes: Iterable[Box], apart_s: float = 30) -> list[tuple[Kind, str, str]]:
    """Return what has changed from one sample to the next, the first of which are long after the start."""
    samples = [sample_of(*each, seconds=number * apart_s) for number, each in enumerate(boxes)]
    events = following(samples)[-1].events.entries
    return [(each.kind, each.name, each.text) for each in events if each.kind in CHANGES]


def web(identity: str, image: str | None = "web:1", **info: Any) -> Box:
    """A container that is called web, whoever it is."""
    return running(identity, info={"name": "web", "image": image} | info)


REPLACED = (Kind.REPLACE, "web", "replaced by a new container")
PLACES = {
    "by the same image": ([web("one")], [web("two")], [REPLACED]),
    "by another image": (
        [web("one")],
        [web("two", "web:2")],
        [(Kind.IMAGE, "web", "replaced by a new container, image web:1 → web:2")],
    ),
    "by one of an unknown image": ([web("one")], [web("two", None)], [REPLACED]),
    "by one of another name": ([web("one")], [web("two", name="api")], []),
    "in another project": ([web("one")], [web("two", labels={COMPOSE: "shop"})], []),
    "by nobody": ([web("one")], [], []),
    "it was started again": ([web("one")], [web("one", started_ns=at(20))], []),
    "both are there": ([web("one")], [web("one"), web("two")], []),
    "while the old one is still listed": (
        [web("one")],
        [stopped("one", name="web", image="web:1"), web("two")],
        [REPLACED],
    ),
    "a sandbox": ([web("one", role=Role.SANDBOX)], [web("two", role=Role.SANDBOX)], []),
}


@pytest.mark.parametrize(("before", "now", "expected"), PLACES.values(), ids=PLACES)
def test_who_took_its_place(before: list[Box], now: list[Box], expected: list[tuple[Kind, str, str]]) -> None:
    assert changes(before, before, now) == expected


def test_some_time_may_be_between() -> None:
    assert changes([web("one")], [web("one")], [], [], [web("two")]) == [REPLACED]


def test_its_name_may_be_known_only_later() -> None:
    nameless = kernel_only(web("two"))

    assert changes([web("one")], [web("one")], [nameless], [web("two")]) == [REPLACED]


def test_it_may_be_given_the_name_only_later() -> None:
    assert changes([web("one")], [web("one"), web("two", name="two_web")], [web("two")], [web("two")]) == [REPLACED]


def test_it_may_be_there_before_the_end_of_the_other_is_seen() -> None:
    old, heir = web("one", started_ns=at(-9)), web("two", "web:2", started_ns=at(50))
    ended = stopped("one", name="web", image="web:1", started_ns=at(-9))
    told = [(Kind.IMAGE, "web", "replaced by a new container, image web:1 → web:2")]

    assert changes([old], [old], [old, heir], [heir], [heir]) == told
    assert changes([old], [old], [old, heir], [ended, heir], [heir]) == told


def test_of_two_of_a_name_one_that_was_there_first_replaces_none() -> None:
    first, second = web("one", started_ns=at(-9)), web("two", started_ns=at(50))

    assert changes([first], [first], [first, second], [first]) == []


def test_of_several_that_were_there_it_is_the_last() -> None:
    found = changes(
        [web("one", started_ns=at(-9))],
        [web("one", started_ns=at(-9))],
        [web("two", "web:2", started_ns=at(50))],
        [web("three", "web:3", started_ns=at(80))],
    )

    assert [text.partition("image ")[2] for _, _, text in found] == ["web:1 → web:2", "web:2 → web:3"]


def test_it_is_told_when_the_new_one_was_started() -> None:
    samples = [sample_of(web("one"), seconds=0), sample_of(web("two", started_ns=at(28)), seconds=30)]

    (event,) = [each for each in following(samples)[-1].events.entries if each.kind is Kind.REPLACE]

    assert (event.wall_ns, event.target, event.severity) == (at(28), docker_key("two"), None)


def test_the_end_has_its_code() -> None:
    ended = stopped("one", exit_code=3, finished_ns=at(55))

    events = following([sample_of(running("one")), sample_of(ended, seconds=60)])[-1].events.entries

    assert [(event.kind, event.exit_code) for event in events] == [(Kind.EXIT, 3)]


UID = "3206f41c-56e9-4bcd-8240-b314f179e177"
POD = FoundPod(CgroupPath(f"/kubepods/pod{UID}"), PodKind.KUBERNETES, UID, "burstable")
AGED = {"started_ns": at(-100)}


def in_pod(**limits: Any) -> tuple[dict[CgroupPath, Any], Box]:
    """A pod with a cgroup of its own, which has these limits, and a container in it."""
    path = CgroupPath(f"{POD.path}/{container_id('app')}")
    pod = PodInfo(PodKind.KUBERNETES, UID, "checkout", "prod")
    box = running("app", info=AGED | {"pod": pod})
    found = FoundContainer(path, "docker", container_id("app"), pod=POD)
    inside = replace(box, found=found, cgroup=cgroup_of(path, inode=5))
    return {POD.path: cgroup_of(POD.path, inode=4, **limits)}, inside


def limited(seconds: float, **limits: Any) -> Sample:
    of_pod, box = in_pod(**limits)
    sample = sample_of(box, seconds=seconds)
    return replace(sample, cgroups={**sample.cgroups, **of_pod})


def test_limits_of_a_pod() -> None:
    snapshots = following(
        [
            limited(0, limit=64 << 20, cpu_max=CpuMax(100_000, 100_000)),
            limited(30, limit=64 << 20, cpu_max=CpuMax(100_000, 100_000)),
            limited(60, limit=128 << 20, cpu_max=CpuMax(50_000, 100_000)),
        ]
    )

    found = [(each.kind, each.name, each.target, each.text) for each in snapshots[-1].events.entries]

    key = f"kubernetes:{UID}"
    assert found == [
        (Kind.LIMIT, "prod/checkout", key, "CPU limit 1 CPU → 0.5 CPUs"),
        (Kind.LIMIT, "prod/checkout", key, "memory limit 64.0M → 128M"),
    ]


def test_a_limit_above_which_it_is_slowed_down() -> None:
    def limited(seconds: float, high: int | None) -> Sample:
        sample = sample_of(running("web", info=AGED), seconds=seconds)
        ((path, cgroup),) = sample.cgroups.items()
        assert cgroup.memory is not None
        return replace(sample, cgroups={path: cgroup._replace(memory=cgroup.memory._replace(high=high))})

    snapshots = following([limited(0, 32 << 20), limited(30, 32 << 20), limited(60, None)])

    assert [each.text for each in snapshots[-1].events.entries] == ["memory.high 32.0M → none"]


def test_limits_that_belong_to_the_start_of_a_pod() -> None:
    assert SETTLED_NS > SECOND_NS
    young = {"started_ns": at(29)}
    samples = []
    for seconds, limit in ((0, 64), (30, 64), (31, 128)):
        sample = limited(seconds, limit=limit << 20)
        samples.append(replace(sample, containers=tuple(replace(each, **young) for each in sample.containers)))

    assert [each for each in following(samples)[-1].events.entries if each.kind is Kind.LIMIT] == []


# What is shown of it.


def event(number: int, severity: Severity | None = None) -> Event:
    return Event(at(number), at(number), Kind.EXIT, "docker:1", "web", f"number {number}", severity, number=number)


EVENTS = (event(0), event(10, Severity.WARNING), event(20, Severity.INFO), event(30, Severity.CRITICAL))


@pytest.mark.parametrize(
    ("span_s", "numbers"), [(None, [0, 10, 20, 30]), (20, [20, 30]), (5, []), (1e6, [0, 10, 20, 30])]
)
def test_what_has_happened_lately(span_s: float | None, numbers: list[int]) -> None:
    assert [each.number for each in lately(EVENTS, span_s, at(40))] == numbers


def test_all_is_the_very_same() -> None:
    assert lately(EVENTS, None, at(40)) is EVENTS


def test_only_what_is_bad() -> None:
    log = written(Log(80, (), has_names=True, only_bad=True), EVENTS, at(40))

    assert [entry.key for entry in log.entries if entry.key is not None] == ["10", "30"]


def test_a_span_that_moves_on() -> None:
    log = Log(80, (), has_names=True)
    for now in (40, 45, 55):
        log = written(log, lately(EVENTS, 30, at(now)), at(now))

    assert [entry.key for entry in log.entries if entry.key is not None] == ["30"]


@pytest.mark.parametrize(
    ("span_s", "only_bad", "text"),
    [
        (None, False, ""),
        (600.0, False, "the last 10m"),
        (None, True, "warnings"),
        (3600.0, True, "warnings, the last 1h"),
    ],
)
def test_the_title_says_what_is_chosen(span_s: float | None, text: str, *, only_bad: bool) -> None:
    snapshot = following([sample_of()])[0]
    choice = choice_text(span_s, only_bad=only_bad)

    title = text_of(title_spans(snapshot.events, 100, choice=choice, count=2, filter_text="web"))

    assert choice == text
    assert text in title
    assert title.rstrip().endswith("with web")


def test_where_nothing_of_that_has_happened() -> None:
    events = replace(following([sample_of()])[0].events, entries=EVENTS)

    assert text_of(empty_entry(events, "", 100, "the last 10m").spans) == " nothing of the last 10m; t and z show more"


def test_the_document_tells_all_kinds() -> None:
    told = re.findall(r"^\| `([a-z]+)` \| .+ \| .+ \|$", DOCUMENT.read_text(), re.MULTILINE)

    assert sorted(told) == sorted(kind.value for kind in Kind)
