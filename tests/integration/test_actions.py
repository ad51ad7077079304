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
    terminal.wait_for(f"Signal for {name}", "▸ 15  SIGTERM")
    terminal.press("9", "Enter")
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

    terminal.press("S", "K", "R", "P", "X")
    shown = terminal.wait_for("read-only: there is no")

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


def _project(dockerd: Dockerd, names: Callable[[str], str], project: str) -> dict[str, str]:
    """Start what a project of Compose's is made of; return the names of its containers by their services."""
    services = {"db": "", "api": "db:service_started:false", "web": "api:service_healthy:true"}
    given = {}
    for service, needs in services.items():
        given[service] = names(service)
        labels = {
            "com.docker.compose.project": project,
            "com.docker.compose.service": service,
            "com.docker.compose.depends_on": needs,
        }
        dockerd.run(given[service], NICE, labels=labels)
    return given


def test_a_project_is_stopped_and_started_in_the_order_of_its_dependencies(
    dockerd: Dockerd, topcon: Program, terminal: Terminal, names: Callable[[str], str]
) -> None:
    project = names("shop")
    services = _project(dockerd, names, project)
    terminal.start("--filter", project, "--sort", "name")
    terminal.wait_for(project, "S stop")

    terminal.press("S")
    terminal.wait_for("Stop 3 containers?", *services.values())
    terminal.press("y")
    until(lambda: not dockerd.state(services["db"])["Running"], "all are stopped")
    terminal.wait_for("stopped 3 containers")
    terminal.press("Escape")
    ended = [dockerd.state(services[service])["FinishedAt"] for service in ("web", "api", "db")]
    assert ended == sorted(ended)
    assert {dockerd.state(name)["ExitCode"] for name in services.values()} == {7}

    terminal.wait_for("S start")
    terminal.press("S")
    terminal.wait_for("Start 3 containers?")
    terminal.press("y")
    until(lambda: dockerd.state(services["web"])["Running"], "all are started")
    terminal.wait_for("started 3 containers")
    begun = [dockerd.state(services[service])["StartedAt"] for service in ("db", "api", "web")]
    assert begun == sorted(begun)

    lines = [json.loads(line) for line in topcon.audit_log.read_text().splitlines()]
    assert [line["action"] for line in lines] == ["stop"] * 3 + ["start"] * 3
    assert [line["name"] for line in lines] == [services[each] for each in ("web", "api", "db", "db", "api", "web")]
    assert {line["result"] for line in lines} == {"done"}


def test_all_stopped_ones_are_removed_and_one_that_was_gone_is_told(
    dockerd: Dockerd, topcon: Program, terminal: Terminal, names: Callable[[str], str]
) -> None:
    project = names("old")
    olds = [names("old") for _ in range(5)]
    for name in olds:
        dockerd.run(name, ["true"], labels={"com.docker.compose.project": project})
    until(lambda: all(dockerd.state(name)["Status"] == "exited" for name in olds), "they have ended")
    terminal.start("--filter", project)
    terminal.wait_for(project, "R restart")

    terminal.press(":", *"remove-stopped", "Enter")
    terminal.wait_for("Remove 5 containers?", "type remove 5")
    dockerd.remove(olds[0])
    terminal.press(*"remove", "Space", "5", "Enter")

    terminal.wait_for("removed 4 of 5, 1 failed", "No such container")
    left = {name for each in dockerd.api.containers(all=True) for name in each["Names"]}
    assert not left & {f"/{name}" for name in olds}
    results = {line["name"]: line["result"] for line in map(json.loads, topcon.audit_log.read_text().splitlines())}
    assert [results[name] for name in olds[1:]] == ["done"] * 4
    assert "No such container" in results[olds[0]]


def test_one_that_runs_is_not_removed(dockerd: Dockerd, terminal: Terminal, names: Callable[[str], str]) -> None:
    name = names("alive")
    dockerd.run(name)
    terminal.start("--filter", name)
    terminal.wait_for(name, "S stop")

    terminal.press("X")
    terminal.wait_for(f"cannot remove {name}: it is running")

    assert dockerd.state(name)["Running"]


def test_the_end_of_topcon_does_not_wait_for_what_is_under_way(
    dockerd: Dockerd, topcon: Program, terminal: Terminal, names: Callable[[str], str]
) -> None:
    stubborn = [names("stubborn") for _ in range(2)]
    for name in stubborn:
        dockerd.run(name, SPIN, stop_timeout=60)
    terminal.start("--filter", "stubborn")
    terminal.wait_for(*stubborn, "S stop")

    terminal.press("Home", "Space", "Space", "S")
    terminal.wait_for("Stop 2 containers?", "after 60 s SIGKILL", "expect SIGKILL")
    terminal.press("y")
    terminal.wait_for("1 task left", "leave it to itself")
    terminal.press("Escape")
    terminal.wait_for("stopping 0 of 2 …", "q quit")
    terminal.press("q")

    assert terminal.wait_for_end() == 0
    lines = [json.loads(line) for line in topcon.audit_log.read_text().splitlines()]
    assert {line["name"] for line in lines} == set(stubborn)
    assert {line["result"] for line in lines} == {"unknown: topcon ended before it was done"}
