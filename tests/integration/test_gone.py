"""Real containers that end, are removed or replaced: their tombstones, their last lines, and what is told of it."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

import docker.errors
import pytest

from tests.integration.conftest import IMAGE
from tests.integration.inside import ticking
from tests.integration.machine import until
from topcon.config import Config
from topcon.model.derive import SAME_START_NS
from topcon.model.event import Kind
from topcon.model.sample import ContainerKey
from topcon.model.tombstones import tombstone_of
from topcon.tails import Tails
from topcon.wiring.inside import build_follow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.integration.conftest import Dockerd
    from topcon.model.event import Event
    from topcon.model.output import LastLines
    from topcon.model.snapshot import ContainerNode, Snapshot
    from topcon.runtimes.watch import RuntimeWatches
    from topcon.sampler import Sampler

SWELL = "echo loading; sleep 0.5; echo more >&2; sleep 3; x=aaaaaaaaaaaaaaaa; while :; do x=$x$x; done"
OTHER = "topcon-test-other"
APART_S = 0.3


class Watched:
    """A sampler that ticks while it is waited, and what reads last lines beside it."""

    def __init__(self, sampler: Sampler, runtimes: RuntimeWatches) -> None:
        self._sampler = sampler
        self.tails = Tails(build_follow(Config(), runtimes))

    def tick(self) -> Snapshot:
        time.sleep(APART_S)
        snapshot = self._sampler.tick()
        self.tails.look(snapshot)
        return snapshot

    def wait_for_node(self, container: str) -> ContainerNode:
        node: ContainerNode = until(lambda: self.tick().containers.get(key_of(container)), f"{container} is there")
        return node

    def wait_for_lines(self, container: str) -> LastLines:
        def lines() -> LastLines | None:
            self.tick()
            return self.tails.of(key_of(container))

        found: LastLines = until(lines, f"the last lines of {container} are read")
        return found

    def wait_for_tombstone(self, container: str) -> ContainerNode:
        stone: ContainerNode = until(
            lambda: tombstone_of(self.tick(), key_of(container)), f"{container} has a tombstone"
        )
        return stone

    def wait_for_event(self, name: str, kind: Kind) -> Event:
        def found() -> Event | None:
            events = self.tick().events.entries
            return next((each for each in events if each.name == name and each.kind is kind), None)

        event: Event = until(found, f"{kind} has happened to {name}")
        return event


def key_of(container: str) -> ContainerKey:
    return ContainerKey(f"docker:{container}")


@pytest.fixture
def watched(dockerd: Dockerd) -> Iterator[Watched]:
    with ticking(f"docker={dockerd.socket}") as (sampler, runtimes):
        watched = Watched(sampler, runtimes)
        for _ in range(3):
            watched.tick()
        yield watched
        watched.tails.close()
        until(lambda: not watched.tails.is_alive, "no thread is left")


def test_one_that_was_killed_for_memory_and_removed(
    dockerd: Dockerd, watched: Watched, names: Callable[[str], str]
) -> None:
    name = names("hog")
    container = dockerd.run(name, ["sh", "-c", SWELL], mem_limit="24m")
    watched.wait_for_node(container)
    until(lambda: watched.tick() and dockerd.state(name)["Status"] == "exited", "it was killed")
    assert dockerd.state(name)["OOMKilled"]
    read = watched.wait_for_lines(container)

    dockerd.api.remove_container(name)
    stone = watched.wait_for_tombstone(container)

    assert (stone.info.exit_code, stone.info.oom_killed, stone.name) == (137, True, name)
    assert [(line.is_stderr, line.text) for line in read.lines] == [(False, "loading"), (True, "more")]
    assert read.where == "docker"
    assert watched.tails.of(key_of(container)) is read


def test_one_that_is_removed_at_once_says_how_it_ended(
    dockerd: Dockerd, watched: Watched, names: Callable[[str], str]
) -> None:
    name = names("brief")
    container = dockerd.run(name, ["sh", "-c", "echo bye; exec sleep 100000"])
    watched.wait_for_node(container)

    dockerd.api.remove_container(name, force=True)
    stone = watched.wait_for_tombstone(container)

    assert until(lambda: (tombstone_of(watched.tick(), key_of(container)) or stone).info.exit_code, "it is told") == 137
    read = watched.wait_for_lines(container)
    assert not read.lines
    assert read.reason


def test_the_life_before_of_one_that_is_started_again(
    dockerd: Dockerd, watched: Watched, names: Callable[[str], str]
) -> None:
    name = names("again")
    container = dockerd.run(name, ["sh", "-c", "echo life; exec sleep 100000"])
    first = watched.wait_for_node(container)
    begun_ns = first.started_ns or 0
    # Two starts that are closer are taken for two reports of one.
    until(lambda: watched.tick().sample.wall_ns - begun_ns > 2 * SAME_START_NS, "it has run for a while")

    dockerd.api.restart(name, timeout=0)

    def is_bounded() -> bool:
        found = watched.wait_for_lines(container)
        return found.started_again_ns is not None and [line.text for line in found.lines] == ["life"]

    until(is_bounded, "the lines of the life before are told from those of the next")
    read = watched.wait_for_lines(container)
    again = watched.wait_for_node(container)
    assert first.started_ns is not None
    assert again.started_ns is not None
    assert again.started_ns > first.started_ns
    assert all(line.time_ns is not None and line.time_ns < again.started_ns for line in read.lines)


def test_one_that_takes_the_place_of_another(dockerd: Dockerd, watched: Watched, names: Callable[[str], str]) -> None:
    name = names("web")
    old = dockerd.run(name)
    watched.wait_for_node(old)
    dockerd.remove(name)
    watched.wait_for_tombstone(old)

    new = dockerd.run(name)

    event = watched.wait_for_event(name, Kind.REPLACE)
    assert (event.target, event.text) == (key_of(new), "replaced by a new container")


def test_one_of_another_image(dockerd: Dockerd, watched: Watched, names: Callable[[str], str]) -> None:
    name = names("web")
    watched.wait_for_node(dockerd.run(name))
    dockerd.api.tag(IMAGE, OTHER, "2")
    try:
        dockerd.remove(name)
        new = str(dockerd.api.create_container(f"{OTHER}:2", ["sleep", "100000"], name=name)["Id"])
        dockerd.api.start(new)

        event = watched.wait_for_event(name, Kind.IMAGE)
    finally:
        dockerd.remove(name)
        with suppress(docker.errors.APIError):
            dockerd.api.remove_image(f"{OTHER}:2")

    assert event.text == f"replaced by a new container, image {IMAGE} → {OTHER}:2"
