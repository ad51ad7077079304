"""Shells in real containers: through the daemon and without it, against what the kernel says of both."""

from __future__ import annotations

import json
import os
import select
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.machine import until
from topcon.kernel.enter import Entered, enter
from topcon.kernel.files import Access
from topcon.kernel.process import ProcFs
from topcon.model.sample import NAMESPACE_KINDS, SILENT_AFTER_S, ContainerId
from topcon.model.shell import SHELLS, Size
from topcon.runtimes.docker import Docker
from topcon.runtimes.exec import NotThere

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.conftest import Dockerd, Terminal
    from topcon.model.shell import Session

SIZE = Size(90, 25)
WORN = ("Uid", "Gid", "Groups", "CapBnd", "CapEff", "NoNewPrivs")
PATIENCE_S = 20.0


def read(session: Session, expected: bytes) -> bytes:
    data = b""
    until_s = time.monotonic() + PATIENCE_S
    while expected not in data and time.monotonic() < until_s:
        if select.select([session.fd], [], [], 0.1)[0]:
            data += os.read(session.fd, 4096)
    assert expected in data, data
    return data


def go_in(dockerd: Dockerd, name: str) -> Entered:
    process = ProcFs("/proc", Access()).sample(int(dockerd.state(name)["Pid"]), 0)
    assert process is not None
    return enter("/proc", process, SHELLS, SIZE, ["TERM=xterm"])


def status_of(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: rest.strip() for name, _, rest in (line.partition(":") for line in lines) if name in WORN}


def shell_in(pid: int) -> int:
    """Find the shell that was started in the same cgroup, by the kernel's own list."""
    path = Path(f"/proc/{pid}/cgroup").read_text()

    def found() -> int | None:
        for other in Path("/proc").iterdir():
            try:
                is_one = (other / "cmdline").read_bytes() == b"sh\0" and (other / "cgroup").read_text() == path
            except OSError:
                continue
            if is_one and int(other.name) != pid:
                return int(other.name)
        return None

    return int(until(found, "a shell is in the cgroup"))


def assert_as_before(terminal: Terminal) -> None:
    assert terminal.flags() == "0 0 1"
    settings = until(
        lambda: Path(f"{terminal.status}.stty").read_text(), "the terminal has been asked for its settings"
    )
    assert {"icanon", "echo", "isig"} <= set(str(settings).split())


def test_a_shell_of_the_daemon_has_a_terminal_and_a_status(dockerd: Dockerd, names: Callable[[str], str]) -> None:
    container = ContainerId(dockerd.run(names("asked")))
    docker = Docker(dockerd.socket)

    with pytest.raises(NotThere):
        docker.execute(container, ("bash",), SIZE, ())
    session = docker.execute(container, ("sh",), SIZE, ["MARK=seen"])
    os.write(session.fd, b"echo $MARK-$((6 * 7)); exit 9\n")

    read(session, b"seen-42")
    until(lambda: session.status() == 9, "the daemon tells how it has ended")
    session.close()
    docker.close()


@pytest.mark.parametrize("user", ["0", "1234:5678"])
def test_a_shell_without_the_daemon_wears_what_the_container_does(
    dockerd: Dockerd, names: Callable[[str], str], user: str
) -> None:
    name = names("entered")
    dockerd.run(name, user=user)
    first = int(dockerd.state(name)["Pid"])
    session = go_in(dockerd, name)
    pid = shell_in(first)

    assert session.shell == "sh"
    assert status_of(pid) == status_of(first)
    for kind in NAMESPACE_KINDS:
        assert os.readlink(f"/proc/{pid}/ns/{kind}") == os.readlink(f"/proc/{first}/ns/{kind}"), kind  # noqa: PTH115
    assert os.readlink(f"/proc/{pid}/root") == os.readlink(f"/proc/{first}/root")  # noqa: PTH115
    # Nothing of ours is open in there, but the terminal.
    assert {os.readlink(fd).split("/")[1] for fd in Path(f"/proc/{pid}/fd").iterdir()} == {"dev"}  # noqa: PTH115
    os.write(session.fd, b"exit 4\n")
    assert until(lambda: session.status() == 4, "it has ended")
    session.close()


def test_it_ends_with_its_container(dockerd: Dockerd, names: Callable[[str], str]) -> None:
    name = names("killed")
    dockerd.run(name)
    session = go_in(dockerd, name)

    dockerd.api.kill(name)

    assert until(lambda: session.status() == 128 + signal.SIGKILL, "it has ended")
    session.close()


def test_one_that_is_left_ends(dockerd: Dockerd, names: Callable[[str], str]) -> None:
    name = names("left")
    dockerd.run(name)
    session = go_in(dockerd, name)
    pid = shell_in(int(dockerd.state(name)["Pid"]))

    session.close()

    until(lambda: not Path(f"/proc/{pid}").exists(), "the shell has ended")


def test_topcon_lends_its_terminal_and_takes_it_back(
    dockerd: Dockerd, terminal: Terminal, names: Callable[[str], str]
) -> None:
    name = names("lent")
    dockerd.run(name)
    terminal.start(f"--filter={name}")
    terminal.wait_for(name, "e shell")
    terminal.press("e")
    terminal.wait_for(f"sh in {name}, through docker")
    terminal.press("echo $((6 * 7))-here", "Enter")
    terminal.wait_for("42-here")
    terminal.press("exit 5", "Enter")
    terminal.wait_for(f"the shell in {name} has ended with 5")

    dockerd.freeze()
    terminal.wait_for("no answer for")
    # It is late by now, but silent only after two seconds.
    time.sleep(SILENT_AFTER_S)
    terminal.press("e")
    terminal.wait_for(f"sh in {name}, through the kernel")
    terminal.press("C-]", "C-]", "C-]")
    terminal.wait_for(f"the shell in {name} was left")
    dockerd.thaw()
    terminal.press("q")
    assert terminal.wait_for_end() == 0
    assert_as_before(terminal)

    log = [json.loads(line) for line in terminal._program.audit_log.read_text().splitlines()]
    assert [(line["way"], line["result"]) for line in log] == [
        ("runtime", "opened"),
        ("runtime", "ended with 5"),
        ("kernel", "opened"),
        ("kernel", "ended"),
    ]


def test_topcon_ends_in_good_order_while_its_terminal_is_lent(
    dockerd: Dockerd, terminal: Terminal, names: Callable[[str], str]
) -> None:
    name = names("ends")
    dockerd.run(name)
    terminal.start(f"--filter={name}")
    terminal.wait_for(name, "e shell")
    terminal.press("e")
    terminal.wait_for(f"sh in {name}, through docker")

    os.kill(terminal.pid(), signal.SIGTERM)

    assert terminal.wait_for_end() == 128 + signal.SIGTERM
    assert_as_before(terminal)
