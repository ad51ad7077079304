"""JSON over HTTP on a unix socket: what is asked, and what becomes of every kind of answer."""

from __future__ import annotations

import json
import os
import re
import socket
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from topcon.errors import ActionFailed, ParseError, SourceUnavailable
from topcon.runtimes import http as module
from topcon.runtimes.http import JsonSocket, Refused

if TYPE_CHECKING:
    from collections.abc import Iterator

SHORT_S = 0.1


@dataclass
class Server:
    """A daemon that gives the same answer to whoever asks, to the byte."""

    path: str
    answer: bytes = b""
    drips: bool = False
    """The answer's last byte is repeated for ever, slowly."""
    hangs: bool = False
    requests: list[bytes] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    def serve(self, listener: socket.socket) -> None:
        while not self.ended.is_set():
            try:
                channel, _ = listener.accept()
            except TimeoutError:
                continue
            with channel:
                self.talk(channel)

    def talk(self, channel: socket.socket) -> None:
        request = b""
        while not is_whole(request) and (read := channel.recv(65536)):
            request += read
        if not request:
            return
        self.requests.append(request)
        try:
            channel.sendall(self.answer)
            while (self.hangs or self.drips) and not self.ended.wait(0.01):
                if self.drips:
                    channel.sendall(self.answer[-1:])
        except BrokenPipeError:
            return


def is_whole(request: bytes) -> bool:
    head, end, body = request.partition(b"\r\n\r\n")
    length = re.search(rb"Content-Length: (\d+)", head)
    return bool(end) and len(body) >= int(length[1] if length else 0)


@pytest.fixture
def directory() -> Iterator[Path]:
    """A short directory: a socket's path has 108 bytes, and pytest's own directories are long."""
    with tempfile.TemporaryDirectory() as path:
        yield Path(path)


@pytest.fixture
def server(directory: Path) -> Iterator[Server]:
    server = Server(str(directory / "s"))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(server.path)
        listener.listen()
        listener.settimeout(0.01)
        thread = threading.Thread(target=server.serve, args=(listener,))
        thread.start()
        yield server
        server.ended.set()
        thread.join()


def answer(body: bytes, status: str = "200 OK") -> bytes:
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status.encode(), len(body), body)


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("whole", "value"),
    [
        (answer(b'[{"Id": "a"}]'), [{"Id": "a"}]),
        (CHUNKED + b"4\r\n[1, \r\n3\r\n 2]\r\n0\r\n\r\n", [1, 2]),
        (b'HTTP/1.1 200 OK\r\n\r\n{"until": "the end"}', {"until": "the end"}),
        (b'HTTP/1.0 200 OK\r\n\r\n"old"', "old"),
        (answer(b""), None),
        (b"HTTP/1.1 204 No Content\r\n\r\n", None),
        (b"HTTP/1.1 304 Not Modified\r\n\r\n", None),
    ],
)
def test_an_answer_is_read_to_its_end(server: Server, whole: bytes, value: object) -> None:
    server.answer = whole

    assert JsonSocket(server.path).request("GET", "/list") == value


def test_an_answer_longer_than_what_is_read_at_once(server: Server) -> None:
    value = ["x" * 1000] * 500
    server.answer = answer(json.dumps(value).encode())

    assert JsonSocket(server.path).request("GET", "/list") == value


def test_a_body_is_sent_as_json(server: Server) -> None:
    server.answer = answer(b"{}")
    JsonSocket(server.path).request("PUT", "/state?project=p", {"action": "stop"})
    head, _, body = server.requests[0].partition(b"\r\n\r\n")

    assert head.startswith(b"PUT /state?project=p HTTP/1.1\r\n")
    assert b"Content-Type: application/json" in head
    assert json.loads(body) == {"action": "stop"}


def test_a_request_without_a_body_has_none(server: Server) -> None:
    server.answer = answer(b"{}")
    JsonSocket(server.path).request("GET", "/")

    assert server.requests[0].endswith(b"\r\n\r\n")
    assert b"Content-Length" not in server.requests[0]


def test_each_request_has_a_connection_of_its_own(server: Server) -> None:
    server.answer = answer(b"1")
    api = JsonSocket(server.path)

    assert [api.request("GET", "/") for _ in range(3)] == [1, 1, 1]
    assert len(server.requests) == 3


# What is refused.


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (
            b'{"cause":"no such container","message":"no container with name a","response":404}',
            "no container with name a",
        ),
        (b'{"type":"error","error":"Instance not found","error_code":404}', "Instance not found"),
        (b'{"message":"","cause":"the cause"}', "the cause"),
        (b"Not\n Found\n", "Not Found"),
        (b'["what"]', '["what"]'),
        (b"\xff", "\ufffd"),
        (b"", "no reason given"),
        (b"[" * 5000, "[" * 500),
    ],
)
def test_an_error_is_told_in_the_daemons_own_words(server: Server, body: bytes, words: str) -> None:
    server.answer = answer(body, "404 Not Found")
    with pytest.raises(Refused) as refused:
        JsonSocket(server.path).request("GET", "/a")

    assert str(refused.value) == f"404 at {server.path}: {words}"
    assert (refused.value.status, refused.value.words) == (404, words)
    with pytest.raises(ActionFailed) as failed:
        JsonSocket(server.path).act("POST", "/a/start")
    assert str(failed.value) == words


def test_an_action_that_is_done(server: Server) -> None:
    server.answer = answer(b'{"done": true}')

    assert JsonSocket(server.path).act("POST", "/a/start") == {"done": True}


# What cannot be reached.


def reason(path: str, timeout_s: float = 5.0) -> str:
    """Why nothing came of a request; an action says the same."""
    with pytest.raises(SourceUnavailable) as error:
        JsonSocket(path).request("GET", "/", timeout_s=timeout_s)
    with pytest.raises(ActionFailed) as failed:
        JsonSocket(path).act("GET", "/", timeout_s=timeout_s)
    assert str(failed.value) == str(error.value)
    return str(error.value)


def test_nothing_listens(directory: Path) -> None:
    path = str(directory / "s")

    assert reason(path) == f"no such file or directory at {path}"
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(path)
        assert reason(path) == f"connection refused at {path}"
        with pytest.raises(SourceUnavailable, match="connection refused"):
            JsonSocket(path).probe()


def test_a_probe_asks_nothing(server: Server) -> None:
    JsonSocket(server.path).probe()

    assert server.requests == []


def test_where_we_may_not_connect_there_is_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    class Locked(socket.socket):
        def connect(self, _: object) -> None:
            raise PermissionError(13, os.strerror(13))

    monkeypatch.setattr(socket, "socket", Locked)
    with pytest.raises(SourceUnavailable, match=r"^permission denied at /s$") as error:
        JsonSocket("/s", remedy="become root").probe()

    assert error.value.remedy == "become root"


def test_a_daemon_that_takes_nobody_in_does_not_answer(directory: Path) -> None:
    path = str(directory / "s")
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as waiting:
        listener.bind(path)
        listener.listen(0)
        waiting.connect(path)

        assert reason(path, SHORT_S) == f"no answer at {path}"


@pytest.mark.parametrize("begun", [b"", b"HTTP/1.1 200 OK\r\n", answer(b"12")[:-1]])
def test_a_daemon_that_hangs_does_not_answer(server: Server, begun: bytes) -> None:
    server.answer, server.hangs = begun, True

    assert reason(server.path, SHORT_S) == f"no answer at {server.path}"


def test_a_daemon_that_answers_for_ever_does_not_answer(server: Server) -> None:
    server.answer, server.drips = b"HTTP/1.1 200 OK\r\n\r\n ", True

    assert reason(server.path, SHORT_S) == f"no answer at {server.path}"


@pytest.mark.parametrize("whole", [answer(b"[1, 2, 3]")[:-3], CHUNKED + b"9\r\n[1,", CHUNKED + b"3\r\n[1]\r\n"])
def test_an_answer_that_breaks_off(server: Server, whole: bytes) -> None:
    server.answer = whole

    assert reason(server.path) == f"answer cut short at {server.path}"


def test_a_daemon_that_hangs_up(server: Server) -> None:
    assert reason(server.path) == f"remote end closed connection without response at {server.path}"


def test_an_answer_that_is_too_long(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGEST_BYTES", 10)
    server.answer = answer(b"[1, 2, 3]")
    assert JsonSocket(server.path).request("GET", "/") == [1, 2, 3]

    server.answer = answer(b"[1, 2, 3, 4]")
    assert reason(server.path) == f"answer of more than 10 bytes at {server.path}"


@pytest.mark.parametrize(
    ("whole", "data", "is_more"),
    [
        (answer(b"12345678"), b"12345678", False),
        (answer(b"123456789"), b"12345678", True),
        (CHUNKED + b"5\r\n12345\r\n5\r\n67890\r\n0\r\n\r\n", b"12345678", True),
        (CHUNKED + b"3\r\n123\r\n0\r\n\r\n", b"123", False),
        (answer(b""), b"", False),
    ],
)
def test_the_beginning_of_an_answer(server: Server, whole: bytes, data: bytes, *, is_more: bool) -> None:
    server.answer = whole

    assert JsonSocket(server.path).beginning("/", 8) == (data, is_more)


def test_of_an_answer_that_does_not_end_there_is_a_beginning(server: Server) -> None:
    server.answer, server.hangs = CHUNKED + b"a\r\n1234567890\r\n", True

    assert JsonSocket(server.path).beginning("/", 8) == (b"12345678", True)
    with pytest.raises(SourceUnavailable, match="no answer"):
        JsonSocket(server.path).beginning("/", 11, SHORT_S)


def test_a_refusal_has_no_beginning(server: Server) -> None:
    server.answer = answer(b'{"message": "no such container"}', "404 Not Found")

    with pytest.raises(Refused, match="no such container"):
        JsonSocket(server.path).beginning("/", 1 << 10)


# What cannot be understood.


@pytest.mark.parametrize(
    "whole",
    [
        answer(b"<html>"),
        answer(b"\xff\xfe"),
        answer(b"[" * 200_000),
        answer(b"1" * 5000),
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 OK\r\n\r\n",
        CHUNKED + b"nonsense\r\n",
    ],
)
def test_what_is_no_json_or_no_http_is_said_so(server: Server, whole: bytes) -> None:
    server.answer = whole
    api = JsonSocket(server.path)

    with pytest.raises((ParseError, SourceUnavailable), match=server.path) as error:
        api.request("GET", "/list")
    with pytest.raises(ActionFailed) as failed:
        api.act("GET", "/list")
    assert str(failed.value) == str(error.value)


@given(st.binary())
@example(b'{"a": NaN}')
def test_any_bytes_parse_or_raise_a_parse_error(text: bytes) -> None:
    try:
        value = JsonSocket("/s")._parse("/list", text)
    except ParseError as error:
        assert error.path == "/list at /s"  # noqa: PT017
    else:
        assert value is None or json.loads(text) == value or b"NaN" in text
