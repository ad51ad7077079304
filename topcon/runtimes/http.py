"""JSON over HTTP on a unix socket, by the standard library alone, for the runtimes that speak it.

Each request has a connection of its own, so a daemon that ends when it is idle, or is started anew, is met again at the
next one. Answers are foreign: their size is bounded.
"""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from topcon.errors import ActionFailed, ParseError, SourceUnavailable
from topcon.runtimes.foreign import to_object, to_text
from topcon.runtimes.sockets import connected, probe, reason

if TYPE_CHECKING:
    import socket as sockets
    from collections.abc import Callable
    from http.client import HTTPResponse

TIMEOUT_S = 5.0
"""For a question, from its beginning to the end of its answer."""
ACTION_S = 60.0
"""For an action, beside what it waits for itself."""
LARGEST_BYTES = 64 << 20
"""A longer answer is refused: a thousand containers take one or two megabytes."""

_CHUNK_BYTES = 1 << 16
_CUT_SHORT = "answer cut short"
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})")
_HEAD_END = b"\r\n\r\n"
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:[^\r]*chunked", re.IGNORECASE)
_ERROR = 400
_WORDS = ("message", "error", "cause")
"""Under which names the daemons say why they refuse: Podman, Incus and LXD."""
_LONGEST_WORDS = 500


class Refused(SourceUnavailable):
    """An answer that says no."""

    def __init__(self, status: int, words: str, socket: str) -> None:
        """Name the HTTP status and the daemon's own words."""
        super().__init__(f"{status} at {socket}: {words}")
        self.status = status
        self.words = words


def prepare() -> None:
    """Import what requests need."""
    import http.client  # noqa: F401, PLC0415  0.03 s


@dataclass(frozen=True, slots=True)
class JsonSocket:
    """A daemon behind a unix socket."""

    socket: str
    remedy: str | None = None
    """The command that would let us in, where we may not connect."""

    def probe(self) -> None:
        """Connect, and leave it at that.

        Raises:
            SourceUnavailable: nothing listens there, or we may not connect.
        """
        probe(self.socket, self.remedy)

    def request(self, method: str, path: str, body: object = None, timeout_s: float = TIMEOUT_S) -> Any:  # noqa: ANN401
        """Return the parsed answer; None for one without a body, as ``204`` and ``304`` (already so) are.

        Raises:
            SourceUnavailable: nothing answers there, or in time.
            Refused: the answer is an error.
            ParseError: the answer is no JSON.
        """
        status, text = self._exchange(method, path, body, timeout_s, LARGEST_BYTES + 1)
        if len(text) > LARGEST_BYTES:
            message = f"answer of more than {LARGEST_BYTES} bytes"
            raise self._unavailable(message)
        if status >= _ERROR:
            raise Refused(status, words(text), self.socket)
        return self._parse(path, text)

    def beginning(self, path: str, most_bytes: int, timeout_s: float = TIMEOUT_S) -> tuple[bytes, bool]:
        """Return the beginning of an answer in any form, and whether there is more of it.

        Raises:
            SourceUnavailable: nothing answers there, or in time.
            Refused: the answer is an error.
            ParseError: the answer is no HTTP.
        """
        status, data = self._exchange("GET", path, None, timeout_s, most_bytes + 1)
        if status >= _ERROR:
            raise Refused(status, words(data), self.socket)
        return data[:most_bytes], len(data) > most_bytes

    def stream(self, path: str, timeout_s: float = TIMEOUT_S) -> tuple[sockets.socket, bytes]:
        """Ask for an answer that has no end; return the connection, and what has come of the answer already.

        That is nothing where nobody has answered in time: Podman does not before it has something to tell.

        Raises:
            SourceUnavailable: nothing listens there.
            Refused: the answer is an error.
            ParseError: the answer is no HTTP.
        """
        channel = connected(self.socket, timeout_s, self.remedy)
        deadline = time.monotonic() + timeout_s
        try:
            # In this version an answer comes as it is; later ones put each line of a log into a chunk of its own.
            channel.sendall(f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
            data = _until(channel, deadline, lambda data: _HEAD_END in data)
            status = _STATUS.match(data)
            if status is not None and int(status[1]) >= _ERROR:
                data = _until(channel, deadline, lambda _: False, data)
            if data:
                self.body(path, data)
        except OSError as error:
            channel.close()
            raise SourceUnavailable(reason(error, self.socket)) from error
        except (SourceUnavailable, ParseError):
            channel.close()
            raise
        return channel, data

    def body(self, path: str, data: bytes) -> bytes | None:
        """Return what comes after the head of an answer; None while that has not ended.

        Raises:
            Refused: the answer is an error.
            ParseError: the answer is no HTTP.
        """
        head, end, body = data.partition(_HEAD_END)
        if not end and len(data) < _CHUNK_BYTES:
            return None
        status = _STATUS.match(head)
        if status is None or _CHUNKED.search(head):
            raise self._malformed(path, head[:200].decode(errors="replace"))
        if int(status[1]) >= _ERROR:
            raise Refused(int(status[1]), words(body), self.socket)
        return body

    def _exchange(self, method: str, path: str, body: object, timeout_s: float, most_bytes: int) -> tuple[int, bytes]:
        """Return the status, and at most so many bytes of the answer."""
        import http.client  # noqa: PLC0415

        connection = http.client.HTTPConnection("localhost")
        channel = connection.sock = connected(self.socket, timeout_s, self.remedy)
        headers = {"Content-Type": "application/json", "Connection": "close"}
        deadline = time.monotonic() + timeout_s
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            with connection.getresponse() as response:
                return response.status, self._read(response, channel, deadline, most_bytes)
        except http.client.IncompleteRead as error:
            raise self._unavailable(_CUT_SHORT) from error
        except OSError as error:
            raise SourceUnavailable(reason(error, self.socket)) from error
        except http.client.HTTPException as error:
            raise self._malformed(path, str(error)) from error
        finally:
            connection.close()
            channel.close()

    def act(self, method: str, path: str, body: object = None, timeout_s: float = ACTION_S) -> Any:  # noqa: ANN401  JSON
        """Do the same for an action.

        Raises:
            ActionFailed: it was not done; the daemon's own words where it gave any.
        """
        try:
            return self.request(method, path, body, timeout_s)
        except Refused as error:
            raise ActionFailed(error.words) from error
        except (SourceUnavailable, ParseError) as error:
            raise ActionFailed(str(error)) from error

    def _read(self, response: HTTPResponse, channel: sockets.socket, deadline: float, most_bytes: int) -> bytes:
        """Read an answer to its end, or so many bytes of it; a socket's own time-out begins anew with every byte."""
        chunks: list[bytes] = []
        left = most_bytes
        while left and not response.isclosed():
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise TimeoutError
            channel.settimeout(left_s)
            chunk = response.read1(min(_CHUNK_BYTES, left))
            # Closed at the end of some answers, empty at the end of others.
            if not chunk:
                break
            chunks.append(chunk)
            left -= len(chunk)
        if left and response.length:
            raise self._unavailable(_CUT_SHORT)
        return b"".join(chunks)

    def _parse(self, path: str, text: bytes) -> Any:  # noqa: ANN401  JSON
        if not text:
            return None
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            raise self._malformed(path, text[:200].decode(errors="replace")) from None

    def _malformed(self, path: str, text: str) -> ParseError:
        return ParseError(f"{path} at {self.socket}", text)

    def _unavailable(self, what: str) -> SourceUnavailable:
        return SourceUnavailable(f"{what} at {self.socket}")


def _until(channel: sockets.socket, deadline: float, is_enough: Callable[[bytes], bool], data: bytes = b"") -> bytes:
    """Read on until it is enough, there is no more of it or too much, or the time is over."""
    while not is_enough(data) and len(data) <= _CHUNK_BYTES and (left_s := deadline - time.monotonic()) > 0:
        channel.settimeout(left_s)
        try:
            chunk = channel.recv(_CHUNK_BYTES)
        except TimeoutError:
            break
        if not chunk:
            # Its end ends the head, whatever that is.
            return data if _HEAD_END in data else data + _HEAD_END
        data += chunk
    return data


def words(text: bytes) -> str:
    """Return the daemon's own words in the body of an error, in one line."""
    try:
        answer = to_object(json.loads(text))
    except (ValueError, RecursionError):
        answer = {}
    said = next((answer[name] for name in _WORDS if to_text(answer.get(name))), None)
    whole = said if isinstance(said, str) else text[: 4 * _LONGEST_WORDS].decode(errors="replace")
    return " ".join(whole.split())[:_LONGEST_WORDS] or "no reason given"
