"""What containers of a real daemon have written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.machine import until
from topcon.model.sample import ContainerId, LogLine
from topcon.runtimes.docker import Docker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.integration.conftest import Dockerd, Terminal

SAY = r"echo hello; sleep 0.2; echo bad >&2; sleep 0.2; printf '\033[31mred\033[0m\n'; printf end; exec sleep 100000"
BABBLE = "dd if=/dev/zero bs=1M count=3; echo; echo end; exec sleep 100000"


@pytest.fixture
def docker(dockerd: Dockerd) -> Iterator[Docker]:
    runtime = Docker(dockerd.socket)
    yield runtime
    runtime.close()


def tail(docker: Docker, container: str, expected: str) -> tuple[LogLine, ...]:
    def lines() -> tuple[LogLine, ...]:
        found = docker.tail(ContainerId(container), 10)
        return found if found and found[-1].text == expected else ()

    found: tuple[LogLine, ...] = until(lines, f"{container} has written {expected!r}")
    return found


def test_lines_have_their_times_and_streams(dockerd: Dockerd, docker: Docker, names: Callable[[str], str]) -> None:
    container = dockerd.run(names("says"), ["sh", "-c", SAY])
    started_ns = docker.started_ns(ContainerId(container))
    assert started_ns

    # What has no line's end is kept by Docker until there is one.
    lines = tail(docker, container, "\x1b[31mred\x1b[0m")

    assert [(line.is_stderr, line.text) for line in lines[:2]] == [(False, "hello"), (True, "bad")]
    times_ns = [line.time_ns for line in lines if line.time_ns is not None]
    assert len(times_ns) == len(lines)
    assert times_ns == sorted(times_ns)
    # Its output is heard before its start is noted.
    assert abs(times_ns[0] - started_ns) < 60 * 10**9
    assert docker.tail(ContainerId(container), 1) == lines[-1:]


def test_a_terminal_and_a_flood(dockerd: Dockerd, docker: Docker, names: Callable[[str], str]) -> None:
    in_terminal = dockerd.run(names("terminal"), ["sh", "-c", f"{SAY}"], tty=True)
    babbling = dockerd.run(names("babbling"), ["sh", "-c", BABBLE])

    lines = tail(docker, in_terminal, "\x1b[31mred\x1b[0m")
    assert [line.text for line in lines] == ["hello", "bad", "\x1b[31mred\x1b[0m"]
    lines = tail(docker, babbling, "end")
    assert sum(len(line.text) for line in lines) <= 1 << 16


def test_what_keeps_no_log_has_written_nothing(dockerd: Dockerd, docker: Docker, names: Callable[[str], str]) -> None:
    host = dockerd.api.create_host_config(log_config={"Type": "none"})
    name = names("mute")
    container = dockerd.api.create_container(
        "topcon-test/busybox:latest", ["sh", "-c", SAY], name=name, host_config=host
    )
    dockerd.api.start(container["Id"])

    assert docker.tail(ContainerId(container["Id"]), 10) == ()
    assert docker.tail(ContainerId("f" * 64), 10) == ()


def test_the_details_show_it(dockerd: Dockerd, terminal: Terminal, names: Callable[[str], str]) -> None:
    name = names("seen")
    dockerd.run(name, ["sh", "-c", SAY])

    terminal.start("--read-only", f"--filter={name}")
    terminal.wait_for(name)
    terminal.press("Enter")

    shown = terminal.wait_for("Output", "hello", r"\x1b[31mred")
    assert "! bad" in shown
