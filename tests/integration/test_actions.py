"""Stop, restart, pause and kill, from the command line and from the keyboard, on real containers."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from tests.integration.conftest import SPIN, until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.conftest import Dockerd, Program, Terminal

NICE = ["sh", "-c", "trap 'exit 7' TERM USR1; while :; do sleep 0.1; done"]


def test_the_verbs_of_the_command_line(dockerd: Dockerd, topcon: Program, names: Callable[[str], str]) -> None:
    name = names("target")
    container_id = dockerd.run(name, NICE)
    begun = dockerd.state(name)["StartedAt"]

    assert f"paused {name}" in topcon.run("pause", name, "--yes").stdout
    assert dockerd.state(name)["Paused"]

    assert f"unpaused {name}" in topcon.run("unpause", f"docker:{name}", "--yes").stdout
    assert not dockerd.state(name)["Paused"]

    topcon.run("restart", container_id[:16], "--yes", "--grace", "5")
    assert dockerd.state(name)["StartedAt"] != begun

    topcon.run("kill", name, "--yes", "--signal", "usr1")
    until(lambda: not dockerd.state(name)["Running"], "the signal ends it")
    topcon.run("restart", name, "--yes")

    topcon.run("stop", name, "--yes", "--grace", "5")
    assert dockerd.state(name)["ExitCode"] == 7

    lines = [json.loads(line) for line in topcon.audit_log.read_text().splitlines()]
    assert [line["action"] for line in lines] == ["pause", "unpause", "restart", "kill", "restart", "stop"]
    assert {line["result"] for line in lines} == {"done"}
    assert {line["container"] for line in lines} == {f"docker:{container_id}"}


def test_a_short_grace_period_kills(dockerd: Dockerd, topcon: Program, names: Callable[[str], str]) -> None:
    name = names("stubborn")
    dockerd.run(name, SPIN)

    topcon.run("stop", name, "--yes", "--grace", "0")

    assert dockerd.state(name)["ExitCode"] == 137


def test_what_cannot_be_done_says_why(dockerd: Dockerd, topcon: Program, names: Callable[[str], str]) -> None:
    name = names("over")
    dockerd.run(name, ["true"])
    until(lambda: dockerd.state(name)["Status"] == "exited", "the container ends")

    stopped = topcon.run("stop", name, "--yes", check=False)
    missing = topcon.run("stop", "no-such-container", "--yes", check=False)

    assert (stopped.returncode, stopped.stderr.strip()) == (1, f"topcon: cannot stop {name}: it is exited")
    assert missing.returncode == 64
    assert "there is no such container" in missing.stderr


def test_without_a_terminal_nothing_is_done_unasked(
    dockerd: Dockerd, topcon: Program, names: Callable[[str], str]
) -> None:
    name = names("safe")
    dockerd.run(name)

    refused = topcon.run("stop", name, check=False)

    assert refused.returncode == 64
    assert dockerd.state(name)["Running"]


def test_the_keyboard(dockerd: Dockerd, topcon: Program, terminal: Terminal, names: Callable[[str], str]) -> None:
    name = names("keyed")
    dockerd.run(name, NICE)
    terminal.start("--filter", name)
    terminal.wait_for(name, "S stop")

    terminal.press("P")
    terminal.wait_for(f"Pause {name}?", "freezes all its processes")
    terminal.press("y")
    until(lambda: dockerd.state(name)["Paused"], "it is paused")
    terminal.wait_for("paused", "P unpause")

    terminal.press("P")
    terminal.wait_for(f"Unpause {name}?")
    terminal.press("y")
    until(lambda: not dockerd.state(name)["Paused"], "it is not paused any more")
    terminal.wait_for("P pause")

    begun = dockerd.state(name)["StartedAt"]
    terminal.press("R")
    terminal.wait_for(f"Restart {name}?", "its first process handles SIGTERM", "then starts it")
    terminal.press("y")
    until(lambda: dockerd.state(name)["StartedAt"] != begun, "it is started again")
    terminal.wait_for(f"restarted {name} in")
    # An action on the container of before the restart is refused, until topcon has heard of the new start.
    time.sleep(2)

    terminal.press("S")
    terminal.wait_for(f"Stop {name}?", "sends SIGTERM, after 10 s SIGKILL")
    terminal.press("Enter")
    terminal.wait_for("S stop")
    assert dockerd.state(name)["Running"]

    terminal.press("K")
    terminal.wait_for(f"Kill {name}?", "sends SIGKILL")
    terminal.press("y")
    until(lambda: dockerd.state(name)["ExitCode"] == 137, "it is killed")
    terminal.wait_for("exited 137", "S start")

    terminal.press("S")
    terminal.wait_for(f"Start {name}?")
    terminal.press("y")
    until(lambda: dockerd.state(name)["Running"], "it is started")

    terminal.press("q")
    assert terminal.wait_for_end() == 0
    actions = [json.loads(line)["action"] for line in topcon.audit_log.read_text().splitlines()]
    assert actions == ["pause", "unpause", "restart", "kill", "start"]


def test_read_only_has_no_such_keys(dockerd: Dockerd, terminal: Terminal, names: Callable[[str], str]) -> None:
    name = names("untouched")
    dockerd.run(name)
    terminal.start("--read-only", "--filter", name)
    terminal.wait_for(name, "read-only")

    terminal.press("S", "K", "R", "P")
    shown = terminal.wait_for("read-only")

    assert "?  " not in shown.splitlines()[-1]
    assert "stop" not in shown.splitlines()[-1]
    assert dockerd.state(name)["Running"]


@pytest.mark.parametrize("policy", ["always", "unless-stopped"])
def test_the_question_tells_who_starts_it_again(
    dockerd: Dockerd, terminal: Terminal, names: Callable[[str], str], policy: str
) -> None:
    owner, guest = names("owner"), names("guest")
    dockerd.run(owner, restart_policy={"Name": policy})
    dockerd.run(guest, network_mode=f"container:{owner}")
    terminal.start("--filter", owner, "--sort", "name")
    terminal.wait_for(owner, guest)

    terminal.press("End")
    # Names come sooner than the daemon's answer.
    terminal.wait_for("R restart")
    terminal.press("S")

    said = "starts it again when the daemon restarts" if policy == "always" else "stays stopped"
    terminal.wait_for("Stop ", "does not handle SIGTERM: expect SIGKILL", "shares its network with", said)
