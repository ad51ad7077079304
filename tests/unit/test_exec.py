"""A program in a container, by the API that Docker has: what is asked, what comes of each answer, and of none."""

from __future__ import annotations

import json
import os
import socket
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topcon.errors import ActionFailed
from topcon.model.shell import Size
from topcon.runtimes import exec as module
from topcon.runtimes.exec import HttpSession, NotThere, execute, is_absent, parse_head
from topcon.runtimes.http import JsonSocket

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SWITCHED = b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
SIZE = Size(100, 30)
ABSENT = (
    'OCI runtime exec failed: exec failed: unable to start container process: exec: "bash": executable file not found'
)


def answer(status: str, body: object = None) -> bytes:
    text = b"" if body is None else json.dumps(body).encode()
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(text)}\r\n\r\n".encode() + text


def echo(channel: socket.socket) -> None:
    channel.sendall(b"$ ")
    while data := channel.recv(1024):
        channel.sendall(data.upper())
        if data == b"exit":
            return


@dataclass
class Daemon:
    """What a daemon answers to each of the calls, and what it was asked."""

    socket: str
    made: bytes = field(default_factory=lambda: answer("201 Created", {"Id": "e1"}))
    started: bytes = SWITCHED
    talk: Callable[[socket.socket], object] = echo
    state: dict[str, Any] = field(default_factory=lambda: {"Running": False, "ExitCode": 3})
    asked: list[tuple[str, Any]] = field(default_factory=list)
    hung: threading.Event = field(default_factory=threading.Event)
    hangs_at: str = "nowhere"

    def serve(self, listener: socket.socket) -> None:
        while True:
            try:
                channel, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self.take, args=(channel,), daemon=True).start()

    def take(self, channel: socket.socket) -> None:
        with channel:
            data = b""
            while b"\r\n\r\n" not in data:
                data += channel.recv(4096)
            head, _, body = data.partition(b"\r\n\r\n")
            length = next(
                (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
            )
            while len(body) < length:
                body += channel.recv(4096)
            path = head.split(b" ")[1].decode()
            self.asked.append((path, json.loads(body) if body else None))
            if self.hangs_at in path:
                self.hung.wait(30)
            elif path.endswith("/start"):
                channel.sendall(self.started)
                if self.started.startswith(SWITCHED[:12]):
                    self.talk(channel)
            elif path.endswith("/json"):
                channel.sendall(answer("200 OK", self.state))
            elif "/resize" in path:
                channel.sendall(answer("200 OK"))
            else:
                channel.sendall(self.made)

    def paths(self) -> list[str]:
        return [path for path, _ in self.asked]


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch) -> Iterator[Daemon]:
    for name in ("OPEN_S", "RESIZE_S", "STATUS_S", "FIRST_S"):
        monkeypatch.setattr(module, name, 0.3)
    # Names of sockets are short.
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
        path = str(Path(folder) / "d.sock")
        listener.bind(path)
        listener.listen()
        served = Daemon(path)
        threading.Thread(target=served.serve, args=(listener,), daemon=True).start()
        yield served
        served.hung.set()
        listener.shutdown(socket.SHUT_RDWR)


def opened(daemon: Daemon, *command: str) -> HttpSession:
    return execute(JsonSocket(daemon.socket), "/v1.43", "ab/c", command or ("bash",), SIZE, ["TERM=xterm"])


def read(session: HttpSession) -> bytes:
    os.set_blocking(session.fd, True)
    return os.read(session.fd, 1024)


def test_what_is_typed_goes_in_and_what_is_written_comes_out(daemon: Daemon) -> None:
    session = opened(daemon, "bash", "-l")

    assert session.early == b"$ "
    os.write(session.fd, b"hello")
    assert read(session) == b"HELLO"
    session.resize(Size(20, 10))
    os.write(session.fd, b"exit")
    assert read(session) == b"EXIT"
    assert read(session) == b""
    assert session.status() == 3
    session.close()

    assert daemon.paths() == [
        "/v1.43/containers/ab%2Fc/exec",
        "/v1.43/exec/e1/start",
        "/v1.43/exec/e1/resize?h=30&w=100",
        "/v1.43/exec/e1/resize?h=10&w=20",
        "/v1.43/exec/e1/json",
    ]
    made, begun = daemon.asked[0][1], daemon.asked[1][1]
    assert (made["Cmd"], made["Tty"], made["Env"]) == (["bash", "-l"], True, ["TERM=xterm"])
    assert begun["ConsoleSize"] == [30, 100]


def test_what_a_daemon_refuses_is_said_in_its_words(daemon: Daemon) -> None:
    daemon.made = answer("409 Conflict", {"message": "container ab is paused"})

    with pytest.raises(ActionFailed, match="container ab is paused"):
        opened(daemon)


@pytest.mark.parametrize(
    "how", ["an error", "the first that is written", "the first, as Podman has it", "an end at once"]
)
def test_a_program_that_is_not_there_is_told_from_all_else(daemon: Daemon, how: str) -> None:
    if how == "an error":
        daemon.started = answer("400 Bad Request", {"message": ABSENT})
    elif how == "the first that is written":
        daemon.talk = lambda channel: channel.sendall(f"{ABSENT}\r\n".encode())
    elif how == "the first, as Podman has it":
        text = b'Error: runc: exec failed: exec: "bash": executable file not found in $PATH: OCI runtime attempted\n'
        daemon.talk, daemon.state = lambda channel: channel.sendall(text), {"Running": False, "ExitCode": 127}
    else:
        daemon.talk, daemon.state = lambda _: None, {"Running": False, "ExitCode": 127}

    with pytest.raises(NotThere):
        opened(daemon)


def test_a_program_that_ends_at_once_by_itself_was_there(daemon: Daemon) -> None:
    daemon.talk = lambda _: None

    session = opened(daemon)

    assert session.status() == 3
    session.close()


@pytest.mark.parametrize("where", ["containers", "start"])
def test_a_daemon_that_hangs_is_not_waited_for(daemon: Daemon, where: str) -> None:
    daemon.hangs_at = where

    with pytest.raises(ActionFailed, match="no answer"):
        opened(daemon)


def test_one_that_hangs_later_costs_a_size_and_a_status(daemon: Daemon) -> None:
    session = opened(daemon)
    daemon.hangs_at = "exec"

    session.resize(SIZE)

    assert session.status() is None
    session.close()


def test_a_stream_that_never_begins_is_no_shell(daemon: Daemon) -> None:
    daemon.started = b"what?\r\n\r\n"

    with pytest.raises(ActionFailed, match="no HTTP"):
        opened(daemon)


def test_no_daemon(tmp_path: Path) -> None:
    with pytest.raises(ActionFailed):
        execute(JsonSocket(str(tmp_path / "none")), "", "a", ("sh",), SIZE, ())


@given(st.binary(max_size=200))
def test_any_bytes_are_a_head_or_are_refused(data: bytes) -> None:
    try:
        status, rest = parse_head(data)
    except ActionFailed:
        return
    assert 0 <= status < 1000
    assert data.endswith(rest)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (ABSENT, True),
        (
            "crun: executable file `ash` not found in $PATH: No such file or directory: OCI runtime command not found",
            True,
        ),
        ("container ab is not running", False),
        ("No such container: ab", False),
    ],
)
def test_words_that_mean_no_such_program(said: str, *, expected: bool) -> None:
    assert is_absent(said) is expected
