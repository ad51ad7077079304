"""A daemon that hangs, dies and comes back: the tree goes on, and says so in one line."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from tests.integration.conftest import SPIN, until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.conftest import Dockerd, Terminal


def _cores(shown: str, name: str) -> float | None:
    match = re.search(rf"{name}\s.*?\s(\d+\.\d\d)\s", shown)
    return float(match[1]) if match else None


def _clock(shown: str) -> str:
    match = re.search(r"\d\d:\d\d:\d\d", shown)
    assert match, shown
    return match[0]


def test_frozen_then_killed_then_back(dockerd: Dockerd, terminal: Terminal, names: Callable[[str], str]) -> None:
    busy, idle = names("busy"), names("idle")
    dockerd.run(busy, SPIN, nano_cpus=300_000_000)
    dockerd.run(idle)
    terminal.start()
    terminal.wait_for(busy, idle)

    dockerd.freeze()
    try:
        terminal.wait_for("docker: no answer", patience_s=3.5)
        seen = set()
        until_s = time.monotonic() + 20
        while time.monotonic() < until_s:
            shown = terminal.text()
            assert busy in shown
            assert idle in shown
            seen.add(_clock(shown))
            time.sleep(0.2)
        # A second may fall between two looks, not more.
        assert len(seen) >= 17
        assert 0.2 < (_cores(shown, busy) or 0) < 0.4

        terminal.press("?")
        terminal.wait_for("details of the row")
        terminal.press("Escape")
        terminal.wait_for(busy)
        terminal.press("/")
        terminal.press(*busy)
        terminal.wait_for(f"/{busy}")
        terminal.press("Escape")
        terminal.wait_for(idle)
    finally:
        dockerd.thaw()

    until(lambda: "docker:" not in terminal.text(), "the problem is over")

    dockerd.kill()
    terminal.wait_for("docker: connection refused", busy, idle, patience_s=5)
    time.sleep(3)
    assert 0.2 < (_cores(terminal.text(), busy) or 0) < 0.4

    dockerd.start()
    until(lambda: "docker:" not in terminal.text(), "the daemon is seen to be back")
    late = names("late")
    dockerd.run(late)
    terminal.wait_for(busy, idle, late)


def test_a_silent_daemon_at_the_start_holds_nothing_up(
    dockerd: Dockerd, terminal: Terminal, names: Callable[[str], str]
) -> None:
    name = names("nameless")
    dockerd.run(name)

    dockerd.freeze()
    try:
        terminal.start()
        terminal.wait_for(name, "docker: no answer")
    finally:
        dockerd.thaw()

    until(lambda: "docker:" not in terminal.text(), "the problem is over")


def test_an_action_on_a_frozen_daemon_says_so_and_the_screen_lives(
    dockerd: Dockerd, terminal: Terminal, names: Callable[[str], str]
) -> None:
    name = names("stuck")
    dockerd.run(name)
    terminal.start("--filter", name)
    terminal.wait_for(name, "S stop")

    dockerd.freeze()
    try:
        terminal.press("S")
        terminal.wait_for(f"Stop {name}?")
        terminal.press("y")
        terminal.wait_for(f"stop {name} …")
        terminal.press("Enter")
        terminal.wait_for("State", "restarts")
        terminal.press("Escape")
        terminal.wait_for(f"stop {name}: docker: no answer")
    finally:
        dockerd.thaw()

    assert dockerd.state(name)["Running"]
