"""However topcon is told to end, it ends at once, leaves the terminal clean and nothing running."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.conftest import GATEWAY, until

if TYPE_CHECKING:
    from tests.integration.conftest import Program, Terminal

SIGNALS = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP]


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_ends_the_screen(terminal: Terminal, number: signal.Signals) -> None:
    terminal.start()
    terminal.wait_for("quit")
    children = _descendants(terminal.pid())

    os.kill(terminal.pid(), number)

    assert terminal.wait_for_end(patience_s=5) == 128 + number
    assert terminal.flags() == "0 0 1"
    settings = Path(f"{terminal.status}.stty").read_text()
    assert "-icanon" not in settings
    assert "-echo " not in settings
    assert not any(Path(f"/proc/{child}").exists() for child in children)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_ends_the_endpoint(topcon: Program, number: signal.Signals) -> None:
    with topcon.started("serve", "--listen", "127.0.0.1:0") as process:
        _port_once_serving(process)

        process.send_signal(number)

        assert process.wait(timeout=5) == (130 if number is signal.SIGINT else 0)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_second_signal_does_not_cut_the_end_of_the_endpoint_short(topcon: Program, number: signal.Signals) -> None:
    with topcon.started("serve", "--listen", "127.0.0.1:0") as process:
        _port_once_serving(process)

        process.send_signal(number)
        while process.poll() is None:
            process.send_signal(signal.SIGTERM)
            time.sleep(0.001)

        assert process.returncode == (130 if number is signal.SIGINT else 0)


def test_a_lost_terminal_ends_the_screen(terminal: Terminal) -> None:
    terminal.start()
    terminal.wait_for("quit")
    pid = terminal.pid()

    terminal.close()

    until(lambda: not Path(f"/proc/{pid}").exists(), "topcon ends with its terminal", 10)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_terminal_that_takes_no_output_does_not_hold_it_up(topcon: Program, number: signal.Signals) -> None:
    """A line that is stuck: topcon's output fills the terminal's buffer, and nobody reads it."""
    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        topcon.command("--interval", "0.1"),
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
        env=topcon.environment,
    )
    try:
        until(lambda: _is_full(controller, terminal), "topcon has filled its terminal")
        process.send_signal(number)
        assert process.wait(timeout=5) == 128 + number
    finally:
        process.kill()
        process.wait()
        os.close(terminal)
        os.close(controller)


def _is_full(controller: int, terminal: int) -> bool:
    """Whether a terminal has taken all that it can; keys go from view to view, since a screen at rest says little."""
    if select.select([controller], [], [], 0)[0]:
        # Not before it has begun to draw: a terminal repeats what it is told.
        os.write(controller, b"61")
    return not select.select([], [terminal], [], 0)[1]


def test_control_c_ends_a_command_without_a_word(topcon: Program) -> None:
    with topcon.started("ps", "--interval", "60") as process:
        time.sleep(2)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=10)

    assert (process.returncode, out, err) == (130, "", "")


def test_a_port_in_use_and_a_bad_address_are_one_line(topcon: Program) -> None:
    with topcon.started("serve", "--listen", "127.0.0.1:0") as process:
        port = _port_once_serving(process)

        taken = topcon.run("serve", "--listen", f"127.0.0.1:{port}", check=False)
    foreign = topcon.run("serve", "--listen", "203.0.113.7:9338", check=False)
    nonsense = topcon.run("serve", "--listen", f"{GATEWAY}:http", check=False)

    assert (taken.returncode, taken.stderr.count("\n")) == (69, 1)
    assert "address already in use" in taken.stderr
    assert (foreign.returncode, foreign.stderr.count("\n")) == (69, 1)
    assert (nonsense.returncode, nonsense.stderr.count("\n")) == (64, 1)


def _port_once_serving(process: subprocess.Popen[str]) -> str:
    """Wait until topcon says that it serves, and return where."""
    assert process.stderr is not None
    told = process.stderr.readline()
    assert "serves http://127.0.0.1:" in told
    return told.rsplit(":", 1)[1].split("/")[0]


def _descendants(pid: int) -> list[int]:
    children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return children + [below for child in children for below in _descendants(child)]
