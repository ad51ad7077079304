"""What each command imports, and what the screen does not wait for. Counted, not timed."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import socket
import struct
import subprocess
import sys
import termios
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from topcon.sampler import GLANCE_CONTAINERS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fakes import FakeHost

ID = "d" * 64
PATIENCE_S = 60.0
BEGUN = "following"
HEAVY = {
    "the screen": ("textual", "rich", "topcon.ui"),
    "the host's totals": ("psutil",),
    "the kernel": ("topcon.kernel", "topcon.sampler"),
    "the endpoint": (
        "topcon.exporter.server",
        "topcon.exporter.cadvisor",
        "topcon.exporter.listen",
        "prometheus_client",
    ),
    "what is printed": (
        "topcon.setup.systemd",
        "topcon.setup.dashboards",
        "topcon.setup.alerts",
        "topcon.setup.grafana",
    ),
    "runtimes": ("topcon.runtimes.docker", "topcon.runtimes.cri", "importlib.metadata"),
    "clients of runtimes": ("docker", "requests", "grpc", "google.protobuf"),
    "networks of others": ("pyroute2",),
    "passwords": ("bcrypt", "yaml"),
    "recordings": ("sqlite3", "topcon.recording"),
    "changing something": ("topcon.actions", "topcon.kernel.control"),
}
"""What takes its time to import."""

COMMAND = f"""
import json, sys
from topcon.cli import main
try:
    main(sys.argv[1:])
except SystemExit:
    pass
sys.stderr.write("{BEGUN}" + json.dumps(list(sys.modules)))
"""
SCREEN = """
import json, os, sys
from topcon.cli import main
from topcon.ui.app import TopconApp

make = TopconApp.__init__

def noted(self, follow, **options):
    def begin(*listeners):
        is_drawn = self.query_one("#tree").row is not None
        os.write(int(os.environ["NOTES"]), json.dumps([is_drawn, *sys.modules]).encode())
        return follow(*listeners)

    make(self, begin, **options)

TopconApp.__init__ = noted
main(sys.argv[1:])
"""
"""Notes what is there when the screen begins to follow the host, which is after the first frame."""


def imported(modules: list[str]) -> set[str]:
    """Which of the heavy things are among the modules."""
    there = set(modules)
    return {what for what, names in HEAVY.items() if there & set(names)}


@pytest.mark.parametrize(
    ("command", "needed"),
    [
        (["--help"], set()),
        (["--version"], set()),
        (["serve", "--help"], set()),
        (["nonsense"], set()),
        (["ps"], {"the kernel", "the host's totals", "runtimes"}),
        (["ps", "--json"], {"the kernel", "the host's totals", "runtimes"}),
        (["setup", "systemd"], {"what is printed"}),
        (["record", "--help"], set()),
        (["export", "--help"], set()),
        (["ps", "--from", "/absent"], {"recordings"}),
        (["export", "--json", "--from", "/absent"], {"recordings"}),
    ],
    ids=" ".join,
)
def test_a_command_imports_what_it_needs(host: FakeHost, command: list[str], needed: set[str]) -> None:
    where = (
        ["--host-root", str(host.root), "--interval", "0.1"] if command[0] == "ps" and "--from" not in command else []
    )
    done = subprocess.run([sys.executable, "-c", COMMAND, *command, *where], check=True, capture_output=True, text=True)

    assert imported(json.loads(done.stderr.partition(BEGUN)[2])) == needed


class Screen:
    """Topcon on a terminal of its own."""

    def __init__(self, process: subprocess.Popen[bytes], controller: int, notes: int) -> None:
        self.process = process
        self.shown = b""
        self._controller = controller
        self._notes = notes

    def wait_for(self, *texts: str) -> None:
        until = time.monotonic() + PATIENCE_S
        while not all(text.encode() in self.shown for text in texts):
            if time.monotonic() > until or self.process.poll() is not None:
                pytest.fail(f"the screen does not show {texts}, but {self.shown[-2000:]!r}")
            self._read()

    def notes(self) -> tuple[bool, list[str]]:
        """Whether the tree had been drawn when topcon began to follow the host, and what had been imported."""
        raw = b""
        while part := os.read(self._notes, 1 << 20):
            raw += part
            if raw.endswith(b"]"):
                break
        is_drawn, *modules = json.loads(raw)
        return is_drawn, modules

    def press(self, key: str) -> None:
        os.write(self._controller, key.encode())

    def wait_for_end(self) -> int:
        until = time.monotonic() + PATIENCE_S
        while self.process.poll() is None and time.monotonic() < until:
            self._read()
        return self.process.wait(0)

    def _read(self) -> None:
        if select.select([self._controller], [], [], 0.05)[0]:
            self.shown += os.read(self._controller, 1 << 16)


@contextmanager
def screen(host: FakeHost, program: list[str], *arguments: str) -> Iterator[Screen]:
    """Start topcon over the host made of files."""
    controller, terminal = pty.openpty()
    reading, writing = os.pipe()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 120, 0, 0))
    process = subprocess.Popen(
        [sys.executable, *program, "--host-root", str(host.root), *arguments],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
        pass_fds=[writing],
        env=os.environ | {"TERM": "xterm-256color", "NOTES": str(writing)},
    )
    os.close(writing)
    try:
        yield Screen(process, controller, reading)
    finally:
        process.kill()
        process.wait()
        for fd in (terminal, controller, reading):
            os.close(fd)


@pytest.fixture
def web(host: FakeHost) -> FakeHost:
    """A host with a container of Docker's."""
    host.container(f"/system.slice/docker-{ID}.scope", 4242, usage_usec=1000)
    return host


def test_the_first_frame_needs_nothing_of_runtimes_nor_of_the_endpoint(web: FakeHost) -> None:
    with screen(web, ["-c", SCREEN]) as shown:
        shown.wait_for("NAME", "STATE", ID[:12])
        is_drawn, modules = shown.notes()
        shown.press("q")
        assert shown.wait_for_end() == 0

    assert is_drawn
    assert imported(modules) == {"the screen", "the kernel", "the host's totals", "changing something"}


def test_the_tree_is_there_while_a_runtime_says_nothing(web: FakeHost, tmp_path: Path) -> None:
    path = str(tmp_path / "docker.sock")
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(path)
        silent.listen()
        with screen(web, ["-m", "topcon"], f"--runtime=docker={path}", "--interval", "0.1") as shown:
            shown.wait_for("NAME", "STATE", ID[:12])
            # It has been asked, and the screen goes on.
            silent.settimeout(PATIENCE_S)
            connection, _ = silent.accept()
            shown.wait_for("no answer")
            shown.press("q")
            assert shown.wait_for_end() == 0
            connection.close()


@pytest.fixture
def many(host: FakeHost) -> FakeHost:
    """A host with more containers than are counted for the first frame; the last one has the most memory."""
    for number in range(GLANCE_CONTAINERS + 1):
        host.container(f"/docker/{number:064x}", 100 + number, usage_usec=1000, current=(number + 1) << 20)
    return host


LAST = f"--filter={GLANCE_CONTAINERS:064x}"
MEMORY_OF_LAST = f" {GLANCE_CONTAINERS + 1}M"


def test_many_containers_are_all_counted_soon_after_the_first_frame(many: FakeHost) -> None:
    with screen(many, ["-m", "topcon"], "--interval", "3600", LAST) as shown:
        shown.wait_for("NAME", "STATE", "unknown")
        shown.wait_for(MEMORY_OF_LAST, " 0.00")
        shown.press("q")
        assert shown.wait_for_end() == 0


def test_with_an_endpoint_all_are_counted_at_once(many: FakeHost, tmp_path: Path) -> None:
    with screen(many, ["-m", "topcon"], "--listen", f"unix:{tmp_path}/socket", LAST) as shown:
        shown.wait_for("NAME", "STATE", MEMORY_OF_LAST)
        shown.press("q")
        assert shown.wait_for_end() == 0

    assert b"unknown" not in shown.shown
