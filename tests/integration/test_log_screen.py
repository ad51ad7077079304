"""Logs of real containers, followed: from a daemon, from its file when it is silent; floods among them."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.inside import node_inside
from tests.integration.machine import until
from topcon.config import Config
from topcon.logs import Output
from topcon.model.output import Wanted
from topcon.model.sample import ContainerId, Problem
from topcon.runtimes.docker import Docker
from topcon.runtimes.podman import PLUGIN as PODMAN
from topcon.runtimes.watch import RuntimeWatches
from topcon.wiring.inside import build_follow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.integration.conftest import Dockerd, Terminal
    from tests.integration.podman_service import PodmanService
    from topcon.model.output import Feed

TICKS = "i=0; while :; do i=$((i + 1)); echo tick $i; echo bad $i >&2; sleep 0.2; done"
FLOOD = "exec yes 0123456789012345678901234567890123456789012345678901234567890123456789"
SAY = r"echo hello; echo bad >&2; printf '\033[31mred\033[0m\n'; exec sleep 100000"


def read(feed: Feed | Problem | None, count: int) -> list[str]:
    assert feed is not None
    assert not isinstance(feed, Problem), feed
    found: list[str] = []
    deadline = time.monotonic() + 30
    try:
        while len(found) < count and time.monotonic() < deadline:
            batch = feed.read()
            found += [f"{'!' * line.is_stderr}{line.text}" for line in (batch.lines if batch else ())]
    finally:
        feed.close()
    return found


@pytest.fixture
def docker(dockerd: Dockerd) -> Iterator[Docker]:
    runtime = Docker(dockerd.socket)
    yield runtime
    runtime.close()


@pytest.fixture
def watches(dockerd: Dockerd) -> Iterator[RuntimeWatches]:
    made = RuntimeWatches({"docker": dockerd.socket})
    made.start()
    made.wait_settled(5)
    yield made
    made.stop()


def test_what_docker_says_is_followed_as_it_is_written(
    dockerd: Dockerd, docker: Docker, names: Callable[[str], str]
) -> None:
    container = dockerd.run(names("ticks"), ["sh", "-c", TICKS])
    found = read(docker.follow(ContainerId(container), Wanted(5)), 20)
    said = dockerd.api.logs(container).decode().split("\n")

    assert len(found) >= 20
    for stream, word in (("", "tick"), ("!", "bad")):
        lines = [line.removeprefix("!") for line in found if line.startswith(f"{stream}{word}")]
        assert lines == [line for line in said if line in lines]


def test_a_terminal_too_and_what_keeps_no_log_has_none(
    dockerd: Dockerd, docker: Docker, names: Callable[[str], str]
) -> None:
    container = dockerd.run(names("terminal"), ["sh", "-c", SAY], tty=True)

    assert read(docker.follow(ContainerId(container), Wanted(5)), 3) == ["hello", "bad", "\x1b[31mred\x1b[0m"]
    assert docker.follow(ContainerId("f" * 64), Wanted(5)) is None


def test_a_silent_daemon_is_done_without(
    dockerd: Dockerd, watches: RuntimeWatches, names: Callable[[str], str]
) -> None:
    name = names("silent")
    container = dockerd.run(name, ["sh", "-c", TICKS])
    until(lambda: watches.of(ContainerId(container)), "it is listed")
    follow = build_follow(Config(), watches)
    seen = node_inside(dockerd, name)
    output = Output(Wanted(5))
    output.follow({container: lambda wanted: follow(seen, wanted)})
    until(lambda: (output.take(), output.places())[1] == {container: "docker"}, "the daemon tells it")
    dockerd.freeze()
    try:
        file = f"{dockerd.folder}/data/containers/{container}/{container}-json.log"
        until(lambda: (output.take(), output.places())[1] == {container: file}, "the file tells it")
        # A daemon that is frozen writes no file either; what is there was read once.
        lines = [entry.line for entry in output.ring.entries if entry.line]
    finally:
        dockerd.thaw()
        output.stop()
    ticks = [int(line.text.split()[1]) for line in lines if line.text.startswith("tick")]
    assert ticks == list(range(ticks[0], ticks[0] + len(ticks)))


def test_what_podman_says_is_followed(podman_service: PodmanService) -> None:
    from tests.integration.podman_service import IMAGE  # noqa: PLC0415  beside its fixture

    container = podman_service.run(
        "run", "--detach", "--name=says", "--network=none", "--log-driver=k8s-file", IMAGE, "sh", "-c", SAY
    )
    podman = PODMAN.connect(podman_service.socket)
    try:
        found = read(podman.follow(ContainerId(container), Wanted(5)), 3)  # type: ignore[attr-defined]
    finally:
        podman_service.run("rm", "--force", "--time=0", "says")
    assert set(found) == {"hello", "!bad", "\x1b[31mred\x1b[0m"}


def test_a_flood_is_bounded_and_counted(dockerd: Dockerd, docker: Docker, names: Callable[[str], str]) -> None:
    name = names("flood")
    container = dockerd.run(name, ["sh", "-c", FLOOD])
    output = Output(Wanted(10))
    output.follow({container: lambda wanted: docker.follow(ContainerId(container), wanted) or Problem("logs", "none")})
    try:
        until(lambda: (output.take(), output.passed > 50_000)[1], "lines pass by")
        assert len(output.ring.entries) <= 10_000
    finally:
        dockerd.remove(name)
        output.stop()
    until(lambda: not [each for each in threading.enumerate() if each.name == "topcon-logs"], "its thread ends")


def test_the_screen_shows_it_and_leaves_nothing(
    dockerd: Dockerd, terminal: Terminal, names: Callable[[str], str]
) -> None:
    name = names("seen")
    dockerd.run(name, ["sh", "-c", SAY])
    terminal.start("--read-only", f"--filter={name}")
    # The key is offered once there is a row.
    terminal.wait_for("l logs")
    terminal.press("l")
    assert "! bad" in terminal.wait_for("hello", "red", "following")
    terminal.press("Escape")
    terminal.wait_for("l logs")
    status = Path(f"/proc/{terminal.pid()}")
    time.sleep(2)
    before = len(list((status / "task").iterdir())), len(list((status / "fd").iterdir()))
    for _ in range(20):
        terminal.press("l")
        terminal.wait_for("following")
        terminal.press("Escape")
        terminal.wait_for("l logs")

    def is_as_before() -> bool:
        now = len(list((status / "task").iterdir())), len(list((status / "fd").iterdir()))
        return now[0] <= before[0] and now[1] <= before[1]

    until(is_as_before, "no thread and no descriptor is left")
