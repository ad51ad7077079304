"""What has not changed since the sample before is the very same object after it, and that makes no difference."""

from __future__ import annotations

from dataclasses import fields, replace
from itertools import pairwise
from operator import is_
from typing import TYPE_CHECKING, Any

import pytest
from fakes import START_WALL_NS
from hypothesis import given
from hypothesis import strategies as st
from samples import (
    SECOND_NS,
    docker_key,
    interface,
    netns_of,
    running,
    sample_of,
    stopped,
)

from topcon.findings import assess
from topcon.model.derive import STARTS_WINDOW_NS, derive
from topcon.model.sample import Namespaces, Sample

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from topcon.model.snapshot import Snapshot

NAMES = ("api", "db", "web")
IN_SHOP = {"com.docker.compose.project": "shop"}
KEPT = ("cgroups", "found", "processes", "isolated", "containers", "networks")
"""What a sampler hands on as the very same object if it says the same."""


def kept(sample: Sample, before: Sample | None) -> Sample:
    """Put in what is the same as before, as a sampler does."""
    if before is None:
        return sample
    same: dict[str, Any] = {}
    for name in KEPT:
        now, old = getattr(sample, name), getattr(before, name)
        if now == old:
            same[name] = old
        elif isinstance(now, dict):
            same[name] = {key: old[key] if old.get(key) == value else value for key, value in now.items()}
    return replace(sample, **same)


def derived(samples: Iterable[Sample], *, keep: bool) -> list[Snapshot]:
    snapshots: list[Snapshot] = []
    before: Sample | None = None
    for sample in samples:
        before = kept(sample, before) if keep else sample
        last = snapshots[-1] if snapshots else None
        snapshot = derive(last, before)
        snapshots.append(replace(snapshot, findings=assess(snapshot, last)))
    return snapshots


def plain(snapshot: Snapshot) -> dict[str, Any]:
    """What a snapshot says, but for what is there for the next one."""
    internal = {"places", "restless"}
    return {each.name: getattr(snapshot, each.name) for each in fields(snapshot) if each.name not in internal}


@st.composite
def hosts(draw: st.DrawFn) -> dict[str, Any]:
    """What may come, go and change between two samples."""
    boxes = []
    for name in draw(st.sets(st.sampled_from(NAMES))):
        if draw(st.booleans()):
            boxes.append(stopped(name, oom_killed=draw(st.booleans())))
            continue
        info: dict[str, Any] = {"labels": IN_SHOP} if draw(st.booleans()) else {}
        started_ns = draw(st.sampled_from([None, START_WALL_NS, START_WALL_NS + 3 * SECOND_NS]))
        boxes.append(
            running(
                name,
                info=info | ({"started_ns": started_ns} if started_ns else {}),
                usage_usec=draw(st.sampled_from([0, 500_000])),
                limit_cores=draw(st.sampled_from([None, 0.5])),
                nr_periods=draw(st.sampled_from([0, 10])),
                oom_kill=draw(st.integers(0, 1)),
                pids=draw(st.integers(1, 2)),
                inode=draw(st.integers(5, 6)),
            )
        )
    networks = {netns_of(name): {"eth0": interface(draw(st.sampled_from([0, 1000])))} for name in NAMES}
    return {"boxes": boxes, "networks": networks}


@given(st.lists(st.tuples(hosts(), st.sampled_from([1, 2, 400])), min_size=1, max_size=5))
def test_to_keep_what_is_the_same_makes_no_difference(steps: list[tuple[dict[str, Any], int]]) -> None:
    samples, seconds = [], 0
    for host, passed_s in steps:
        seconds += passed_s
        samples.append(sample_of(*host["boxes"], seconds=seconds, networks=host["networks"]))

    for one, other in zip(derived(samples, keep=True), derived(samples, keep=False), strict=True):
        for name, value in plain(one).items():
            assert value == getattr(other, name), name


def busy(*names: str, seconds: int, of: int = 100) -> Sample:
    """A hundred containers, of which those have run since the sample before."""
    return sample_of(
        *(running(f"c{at}", usage_usec=seconds if f"c{at}" in names else 0) for at in range(of)), seconds=seconds
    )


def rebuilt(snapshots: list[Snapshot]) -> list[set[str]]:
    """The containers that are other objects than in the snapshot before."""
    return [
        {key for key, node in now.containers.items() if before.containers[key] is not node}
        for before, now in pairwise(snapshots)
    ]


def test_what_has_changed_is_built_anew_and_once_more_until_its_rates_are_0() -> None:
    samples = [busy(seconds=0), busy(seconds=1), busy(seconds=2)]
    samples += [busy("c7", seconds=3), busy("c7", seconds=4)]
    again = replace(samples[-1], monotonic_ns=samples[-1].monotonic_ns + SECOND_NS)
    last = replace(again, monotonic_ns=again.monotonic_ns + SECOND_NS)

    changes = rebuilt(derived([*samples, again, last], keep=True))

    every, only = {docker_key(f"c{at}") for at in range(100)}, {docker_key("c7")}
    assert changes == [every, set(), only, only, only, set()]


def test_of_a_host_that_does_nothing_nothing_is_built_anew() -> None:
    *_, before, now = derived([busy(seconds=at) for at in range(3)], keep=True)

    assert all(
        map(
            is_,
            (now.pods, now.containers, now.groups, now.findings),
            (before.pods, before.containers, before.groups, before.findings),
        )
    )


def test_another_network_builds_those_in_it_anew() -> None:
    def at(seconds: int, rx: Mapping[str, int]) -> Sample:
        networks = {netns_of(name): {"eth0": interface(rx.get(name, 0))} for name in NAMES}
        return sample_of(*map(running, NAMES), seconds=seconds, networks=networks)

    *_, change = rebuilt(derived([at(0, {}), at(1, {}), at(2, {}), at(3, {"web": 1000})], keep=True))

    assert change == {docker_key("web")}


def test_what_is_known_of_the_host_only_now_is_asked_of_all() -> None:
    unknown = replace(busy(seconds=1).host, namespaces=Namespaces(), netns=None)
    samples = [replace(busy(seconds=at), host=unknown) for at in range(3)]

    *_, change = rebuilt(derived([*samples, busy(seconds=3)], keep=True))

    assert len(change) == 100


@pytest.mark.parametrize(("passed_ns", "count"), [(STARTS_WINDOW_NS - 1, 1), (STARTS_WINDOW_NS, 0)])
def test_a_start_is_forgotten_though_nothing_else_changes(passed_ns: int, count: int) -> None:
    box = running("web", info={"started_ns": START_WALL_NS})
    samples = [sample_of(box, seconds=at) for at in range(3)]
    later = replace(samples[-1], wall_ns=START_WALL_NS + passed_ns, monotonic_ns=samples[-1].monotonic_ns + passed_ns)

    *_, before, now = derived([*samples, later], keep=True)

    assert len(before.containers[docker_key("web")].starts_ns) == 1
    assert len(now.containers[docker_key("web")].starts_ns) == count
