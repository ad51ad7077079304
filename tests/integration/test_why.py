"""``topcon why`` on containers of a real daemon that are really sick, and on those that are not."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from tests.integration.machine import until
from topcon.model.sample import SILENT_AFTER_S

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.conftest import Dockerd, Program, Terminal

SECOND_NS = 10**9
Findings = dict[str, dict[str, Any]]


def why(topcon: Program, *arguments: str, name: str | None = None) -> tuple[int, Findings]:
    """The exit status and the findings by their codes, of one container or of all."""
    chosen = () if name is None else ("--filter", name)
    done = topcon.run("why", "--json", *chosen, *arguments, check=False)
    return done.returncode, {each["code"]: each for each in json.loads(done.stdout)["findings"]}


def test_who_is_well_has_no_finding(topcon: Program, dockerd: Dockerd, names: Callable[[str], str]) -> None:
    well = names("well")
    dockerd.run(well)

    done = topcon.run("why", "--filter", well, check=False)

    assert (done.returncode, done.stdout) == (0, "")


def test_a_crash_loop(topcon: Program, dockerd: Dockerd, names: Callable[[str], str]) -> None:
    loop = names("loop")
    dockerd.run(loop, ["sh", "-c", "sleep 0.2; exit 3"], restart_policy={"Name": "always"})
    until(lambda: dockerd.api.inspect_container(loop)["RestartCount"] >= 4, "it was started again", 60)

    status, found = why(topcon, name=loop)

    assert status == 2
    assert found["restart-loop"]["severity"] == "critical"
    assert "restart policy always" in found["restart-loop"]["evidence"]
    assert "exit-error" not in found


def test_a_failing_health_check(topcon: Program, dockerd: Dockerd, names: Callable[[str], str]) -> None:
    sick = names("sick")
    check = {"test": ["CMD", "false"], "interval": SECOND_NS, "timeout": SECOND_NS, "retries": 1}
    dockerd.run(sick, healthcheck=check)
    until(lambda: dockerd.state(sick)["Health"]["Status"] == "unhealthy", "its check has failed", 60)

    status, found = why(topcon, name=sick)

    assert (status, set(found)) == (2, {"unhealthy"})


def test_an_end_with_an_error(topcon: Program, dockerd: Dockerd, names: Callable[[str], str]) -> None:
    failed, killed, done = names("failed"), names("killed"), names("done")
    dockerd.run(failed, ["sh", "-c", "exit 3"])
    dockerd.run(done, ["true"])
    dockerd.run(killed)
    dockerd.api.kill(killed)
    for name in (failed, killed, done):
        until(lambda name=name: not dockerd.state(name)["Running"], f"{name} has ended", 60)  # type: ignore[misc]

    status, found = why(topcon, name=failed)
    assert (status, found["exit-error"]["summary"]) == (1, "ended with exit code 3")
    # Who was killed was perhaps meant to be.
    status, found = why(topcon, name=killed)
    assert (status, found["exit-error"]["severity"]) == (0, "info")
    assert found["exit-error"]["summary"] == "ended with exit code 137 (SIGKILL)"
    assert why(topcon, name=done) == (0, {})


def test_tasks_near_their_limit(topcon: Program, dockerd: Dockerd, names: Callable[[str], str]) -> None:
    bomb = names("bomb")
    container = dockerd.run(bomb, ["sh", "-c", "for i in 1 2 3 4 5 6 7 8 9; do sleep 1000 & done; wait"], pids_limit=10)

    def counted() -> bool:
        return len(dockerd.api.top(container)["Processes"]) == 10

    until(counted, "all of it has started", 60)

    status, found = why(topcon, name=bomb)

    assert (status, found["pids-near-limit"]["summary"]) == (1, "10 of 10 tasks")


def test_a_frozen_daemon(topcon: Program, dockerd: Dockerd, names: Callable[[str], str]) -> None:
    dockerd.run(names("running"))
    dockerd.freeze()
    try:
        begun = time.monotonic()
        status, found = why(topcon)
        waited_s = time.monotonic() - begun
    finally:
        dockerd.thaw()

    assert status == 2
    silent = found["runtime-silent"]
    assert (silent["target"], silent["name"]) == ("runtime:docker", "docker")
    assert dockerd.socket in silent["evidence"]
    # It must have been given the time to answer.
    assert waited_s > SILENT_AFTER_S
    until(dockerd.api.ping, "it answers again", 60)


def test_why_from_the_tree_and_back(terminal: Terminal, dockerd: Dockerd, names: Callable[[str], str]) -> None:
    failed = names("failed")
    dockerd.run(names("well"))
    dockerd.run(failed, ["sh", "-c", "exit 3"])
    until(lambda: not dockerd.state(failed)["Running"], "it has ended", 60)
    terminal.start()
    terminal.wait_for(failed)

    terminal.press("2")
    terminal.wait_for("What is wrong", "ended with exit code 3", "What it was there for is not done any more")
    terminal.press("Enter")
    terminal.wait_for("NAME", failed)
    terminal.press("w")
    terminal.wait_for("ended with exit code 3")
    terminal.press("Escape")
    terminal.wait_for("NAME")
