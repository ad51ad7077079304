"""Acting while the daemon is frozen: through the kernel, and what the daemon makes of it afterwards."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.integration.conftest import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.integration.conftest import Dockerd, Program, Terminal

NICE = ["sh", "-c", "trap 'exit 7' TERM USR1; while :; do sleep 0.1; done"]
STUBBORN = ["sh", "-c", "trap '' TERM; sleep 100000 & while :; do sleep 0.1; done"]


@contextmanager
def frozen(dockerd: Dockerd) -> Iterator[None]:
    dockerd.freeze()
    try:
        yield
    finally:
        dockerd.thaw()


def state_of(topcon: Program, container_id: str) -> str:
    """The state as topcon shows it."""
    shown = json.loads(topcon.run("ps", "--json", "--interval", "0.1").stdout)
    (state,) = [each["state"] for pod in shown["pods"] for each in pod["containers"] if each["id"] == container_id]
    return str(state)


def test_the_commands_go_through_the_kernel(dockerd: Dockerd, topcon: Program, names: Callable[[str], str]) -> None:
    name = names("target")
    container_id = dockerd.run(name, NICE)

    with frozen(dockerd):
        paused = topcon.run("pause", container_id, "--yes")
        assert re.fullmatch(r"paused .* in \d+\.\d s, through the kernel\n", paused.stdout)
        assert state_of(topcon, container_id) == "paused"

        unpaused = topcon.run("unpause", container_id, "--yes")
        assert re.fullmatch(r"unpaused .* in \d+\.\d s, through the kernel\n", unpaused.stdout)
        assert state_of(topcon, container_id) == "running"

        stopped = topcon.run("stop", container_id, "--yes")
        assert re.fullmatch(r"stopped .* in \d+\.\d s, through the kernel\n", stopped.stdout)

    until(lambda: not dockerd.state(name)["Running"], "the daemon notices")
    assert dockerd.state(name)["ExitCode"] == 7
    lines = [json.loads(line) for line in topcon.audit_log.read_text().splitlines()]
    assert [(line["action"], line["way"], line["result"]) for line in lines] == [
        ("pause", "kernel", "done"),
        ("unpause", "kernel", "done"),
        ("stop", "kernel", "done"),
    ]
    assert {line["container"] for line in lines} == {f"docker:{container_id}"}


def test_a_paused_one_is_stopped_by_its_signal(dockerd: Dockerd, topcon: Program, names: Callable[[str], str]) -> None:
    name = names("paused")
    container_id = dockerd.run(name, NICE)
    dockerd.api.pause(name)

    with frozen(dockerd):
        topcon.run("stop", container_id, "--yes")

    until(lambda: not dockerd.state(name)["Running"], "the daemon notices")
    assert dockerd.state(name)["ExitCode"] == 7


@pytest.mark.parametrize("arguments", [["stop", "--grace", "0.5"], ["kill"]])
def test_what_does_not_heed_its_signal_is_killed_whole(
    dockerd: Dockerd, topcon: Program, names: Callable[[str], str], arguments: list[str]
) -> None:
    name = names("stubborn")
    container_id = dockerd.run(name, STUBBORN, pid_mode="host")

    with frozen(dockerd):
        topcon.run(*arguments, container_id, "--yes")
        assert state_of(topcon, container_id) != "running"

    until(lambda: not dockerd.state(name)["Running"], "the daemon notices")
    assert dockerd.state(name)["ExitCode"] == 137


def test_a_chosen_signal_reaches_the_first_process(
    dockerd: Dockerd, topcon: Program, names: Callable[[str], str]
) -> None:
    name = names("signalled")
    container_id = dockerd.run(name, NICE)

    with frozen(dockerd):
        killed = topcon.run("kill", container_id, "--signal", "usr1", "--yes")

    assert "through the kernel" in killed.stdout
    until(lambda: not dockerd.state(name)["Running"], "the daemon notices")
    assert dockerd.state(name)["ExitCode"] == 7


def test_what_the_kernel_cannot_do_is_refused(dockerd: Dockerd, topcon: Program, names: Callable[[str], str]) -> None:
    name = names("running")
    container_id = dockerd.run(name)

    with frozen(dockerd):
        refused = topcon.run("restart", container_id, "--yes", check=False)

    assert refused.returncode == 1
    assert ": docker does not answer\n" in refused.stderr
    assert dockerd.state(name)["Running"]


def test_the_daemon_starts_again_what_it_takes_for_a_crash(
    dockerd: Dockerd, topcon: Program, names: Callable[[str], str]
) -> None:
    name = names("always")
    container_id = dockerd.run(name, NICE, restart_policy={"Name": "always"})
    begun = dockerd.state(name)["StartedAt"]

    with frozen(dockerd):
        topcon.run("stop", container_id, "--yes")
        assert state_of(topcon, container_id) != "running"

    until(lambda: dockerd.state(name)["Running"] and dockerd.state(name)["StartedAt"] != begun, "it is started again")


def test_a_pause_that_the_daemon_has_not_seen_can_be_ended(
    dockerd: Dockerd, topcon: Program, names: Callable[[str], str]
) -> None:
    name = names("unseen")
    container_id = dockerd.run(name, NICE)

    with frozen(dockerd):
        topcon.run("pause", container_id, "--yes")
    assert not dockerd.state(name)["Paused"]
    unpaused = topcon.run("unpause", name, "--yes")

    assert "through the kernel" in unpaused.stdout
    assert state_of(topcon, container_id) == "running"
    assert dockerd.state(name)["Status"] == "running"

    # From here on the daemon and the kernel agree, and the daemon is asked.
    assert "through" not in topcon.run("pause", name, "--yes").stdout
    assert dockerd.state(name)["Paused"]
    assert "through" not in topcon.run("unpause", name, "--yes").stdout


def test_the_keyboard(dockerd: Dockerd, topcon: Program, terminal: Terminal, names: Callable[[str], str]) -> None:
    name = names("keyed")
    dockerd.run(name, NICE)
    terminal.start("--filter", name)
    terminal.wait_for(name, "S stop", "R restart")

    with frozen(dockerd):
        until(lambda: "R restart" not in terminal.text(), "only what the kernel can do is offered")
        terminal.wait_for("S stop", "P pause", "K kill")

        terminal.press("P")
        terminal.wait_for(
            f"Pause {name}?", "through the kernel)", "docker does not answer: its cgroup is frozen", "stays `running`"
        )
        terminal.press("y")
        terminal.wait_for("paused", "P unpause")

        terminal.press("P")
        terminal.wait_for(f"Unpause {name}?", "docker does not answer: its cgroup is thawed")
        terminal.press("y")
        terminal.wait_for("P pause")

        terminal.press("S")
        terminal.wait_for(
            f"Stop {name}?",
            "sends SIGTERM to its first process; after 10 s SIGKILL to all",
            "docker does not answer: the signal goes to the process itself",
            "docker will see it as exited",
            "its first process handles SIGTERM",
        )
        terminal.press("Escape")
        terminal.wait_for("K kill")

        terminal.press("K")
        terminal.wait_for("SIGTERM", "SIGKILL")
        terminal.press("9")
        terminal.press("Enter")
        terminal.wait_for(f"Kill {name}?", "sends SIGKILL to all its processes")
        terminal.press("Escape")
        terminal.wait_for("S stop")

        terminal.press("S")
        terminal.wait_for(f"Stop {name}?")
        terminal.press("y")
        terminal.wait_for(f"stopped {name} in", "through the kernel")

    until(lambda: not dockerd.state(name)["Running"], "the daemon notices")
    assert dockerd.state(name)["ExitCode"] == 7
    terminal.wait_for("exited 7", "S start")
    terminal.press("q")
    assert terminal.wait_for_end() == 0
    lines = [json.loads(line) for line in topcon.audit_log.read_text().splitlines()]
    assert [(line["action"], line["way"], line["result"]) for line in lines] == [
        ("pause", "kernel", "done"),
        ("unpause", "kernel", "done"),
        ("stop", "kernel", "done"),
    ]
