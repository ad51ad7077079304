"""What has happened to containers of a real daemon, beside what the daemon itself and the kernel tell."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.integration.inside import ticking
from tests.integration.machine import until
from tests.integration.podman_service import IMAGE
from topcon.model.event import Event, Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.integration.conftest import Dockerd, Terminal
    from tests.integration.podman_service import PodmanService
    from topcon.model.snapshot import ContainerNode
    from topcon.sampler import Sampler

ACTIONS = {
    "create": Kind.CREATE,
    "start": Kind.START,
    "die": Kind.EXIT,
    "pause": Kind.PAUSE,
    "unpause": Kind.UNPAUSE,
    "destroy": Kind.REMOVE,
    "rename": Kind.RENAME,
}
"""What both name, by Docker's word."""
SWELL = "x=aaaaaaaaaaaaaaaa; while :; do x=$x$x; done"


class Watched:
    """A sampler that ticks while it is waited."""

    def __init__(self, sampler: Sampler) -> None:
        self._sampler = sampler

    def events(self, name: str) -> list[Event]:
        """Return what has happened until now to all of this name."""
        return [each for each in self._sampler.tick().events.entries if each.name == name]

    def node(self, name: str) -> ContainerNode:
        """Return the container as it is now."""
        return next(each for each in self._sampler.tick().containers.values() if each.name == name)

    def wait_for(self, name: str, *kinds: Kind) -> list[Event]:
        """Return what has happened once these have been among it."""

        def found() -> list[Event]:
            time.sleep(0.2)
            events = self.events(name)
            return events if {event.kind for event in events} >= set(kinds) else []

        return list(until(found, f"{kinds} have happened to {name}"))


@contextmanager
def watching(runtime: str) -> Iterator[Watched]:
    with ticking(runtime) as (sampler, _):
        for _ in range(3):
            # What is there already is known after these.
            sampler.tick()
            time.sleep(0.5)
        yield Watched(sampler)


@pytest.fixture
def watched(dockerd: Dockerd) -> Iterator[Watched]:
    with watching(f"docker={dockerd.socket}") as watched:
        yield watched


def by_docker(dockerd: Dockerd, name: str) -> list[tuple[Kind, int]]:
    """Return what the daemon itself tells of a container: what, and when."""
    now = int(time.time())
    said = dockerd.api.events(since=now - 120, until=now + 1, decode=True)
    return [
        (ACTIONS[each["Action"]], each["timeNano"])
        for each in said
        if each["Actor"]["Attributes"].get("name") == name and each["Action"] in ACTIONS
    ]


def told(events: list[Event]) -> list[tuple[Kind, int]]:
    return [(event.kind, event.wall_ns) for event in events if event.kind in ACTIONS.values()]


def test_one_that_lives_between_two_looks(dockerd: Dockerd, watched: Watched, names: Callable[[str], str]) -> None:
    name = names("short")
    dockerd.run(name, ["sh", "-c", "exit 3"])
    until(lambda: dockerd.state(name)["Status"] == "exited", "it has ended")
    dockerd.api.remove_container(name)

    events = watched.wait_for(name, Kind.REMOVE)

    said = by_docker(dockerd, name)
    assert [kind for kind, _ in told(events)] == [kind for kind, _ in said]
    # What a list has shown first was dated by that: a start is noted a moment before it is told.
    assert all(abs(ours - its) < 10**9 for (_, ours), (_, its) in zip(told(events), said, strict=True))
    assert [event.text for event in events] == ["created", "started", "exited with 3", "removed"]


def test_a_long_life_is_told_once(dockerd: Dockerd, watched: Watched, names: Callable[[str], str]) -> None:
    name = names("long")
    dockerd.run(name)
    watched.wait_for(name, Kind.START)
    dockerd.api.pause(name)
    watched.wait_for(name, Kind.PAUSE)
    dockerd.api.unpause(name)
    watched.wait_for(name, Kind.UNPAUSE)
    dockerd.api.kill(name)
    watched.wait_for(name, Kind.EXIT)
    dockerd.api.start(name)
    until(lambda: len([each for each in watched.events(name) if each.kind is Kind.START]) > 1, "it is started again")
    dockerd.remove(name)
    watched.wait_for(name, Kind.REMOVE)
    # The other side has had the time to tell it too.
    for _ in range(5):
        time.sleep(0.5)
        events = watched.events(name)

    assert [event.kind for event in events if event.kind in ACTIONS.values()] == [
        kind for kind, _ in by_docker(dockerd, name)
    ]
    assert [event.text for event in events if event.kind is Kind.EXIT] == ["exited with 137 (SIGKILL)"] * 2
    assert [event.wall_ns for event in events] == sorted(event.wall_ns for event in events)


def test_what_is_run_in_it_but_not_its_health_checks(
    dockerd: Dockerd, watched: Watched, names: Callable[[str], str]
) -> None:
    name = names("sick")
    check = {"test": ["CMD-SHELL", "exit 1"], "interval": 1_000_000_000, "retries": 2}
    dockerd.run(name, healthcheck=check)
    watched.wait_for(name, Kind.HEALTH)
    dockerd.api.exec_start(dockerd.api.exec_create(name, ["sh", "-c", "true"])["Id"])

    events = watched.wait_for(name, Kind.EXEC)

    assert [event.text for event in events if event.kind is Kind.EXEC] == ["runs in it: sh -c true"]
    assert [event.text for event in events if event.kind is Kind.HEALTH] == ["health: unhealthy"]


def test_kills_for_memory_are_counted_as_the_kernel_does(
    dockerd: Dockerd, watched: Watched, names: Callable[[str], str]
) -> None:
    name = names("hog")
    command = f"while :; do sh -c '{SWELL}'; sleep 2; done"
    dockerd.run(name, ["sh", "-c", command], mem_limit="24m")

    events = watched.wait_for(name, Kind.OOM)

    first = next(event for event in events if event.kind is Kind.OOM)
    assert first.text == "a process was killed for memory, limit 24.0M"
    time.sleep(4)
    dockerd.api.pause(name)
    time.sleep(1)
    kills = [event for event in watched.events(name) if event.kind is Kind.OOM]
    assert len(kills) == watched.node(name).oom_kills
    dockerd.api.unpause(name)


def test_another_limit(dockerd: Dockerd, watched: Watched, names: Callable[[str], str]) -> None:
    name = names("limited")
    dockerd.run(name, mem_limit="64m")
    watched.wait_for(name, Kind.START)
    time.sleep(16)
    watched.events(name)
    dockerd.api.update_container(name, mem_limit="128m", memswap_limit="256m")

    events = watched.wait_for(name, Kind.LIMIT)

    assert [event.text for event in events if event.kind is Kind.LIMIT] == ["memory limit 64.0M → 128M"]


def test_a_daemon_that_is_frozen_for_a_while(dockerd: Dockerd, watched: Watched) -> None:
    dockerd.freeze()
    try:
        watched.wait_for("docker", Kind.DOWN)
    finally:
        dockerd.thaw()

    events = watched.wait_for("docker", Kind.DOWN, Kind.UP)

    assert events[-1].text.startswith("answers again, after ")


def test_podman_tells_what_lived_between_two_looks(podman_service: PodmanService) -> None:
    with watching(f"podman={podman_service.socket}") as watched:
        podman_service.run("run", "--name=brief", "--network=none", IMAGE, "sh", "-c", "exit 3", check=False)
        podman_service.run("rm", "brief")

        # It keeps the list open until it changes.
        podman_service.run("run", "--detach", "--name=after", "--network=none", IMAGE, "sleep", "100000")
        events = watched.wait_for("brief", Kind.EXIT, Kind.REMOVE)
        podman_service.run("rm", "--force", "--time=0", "after")

    said = [json.loads(line) for line in podman_service.run(*_EVENTS).splitlines()]
    codes = [each.get("ContainerExitCode") for each in said if each.get("Name") == "brief" and each["Status"] == "died"]
    assert [event.text for event in events if event.kind is Kind.EXIT] == [f"exited with {code}" for code in codes]


_EVENTS = ("events", "--stream=false", "--since=5m", "--format=json")


def test_the_screen_shows_it(dockerd: Dockerd, terminal: Terminal, names: Callable[[str], str]) -> None:
    name = names("seen")
    terminal.start("--read-only")
    terminal.wait_for("STATE")
    terminal.press("3")
    terminal.wait_for("WHAT")
    dockerd.run(name, ["sh", "-c", "exit 7"])

    shown = terminal.wait_for(name, "exited with 7")

    assert "▲" in next(line for line in shown.splitlines() if "exited with 7" in line)
