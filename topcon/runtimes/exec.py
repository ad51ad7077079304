"""Programs started in a container by the API that Docker has, and Podman after it: made, started, then a bare stream.

https://docs.docker.com/reference/api/engine/, "Exec"; the stream is that of "Attach to a container".
"""

from __future__ import annotations

import json
import select
import time
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from topcon.errors import ActionFailed, SourceUnavailable
from topcon.runtimes.foreign import to_int, to_object, to_text
from topcon.runtimes.http import words
from topcon.runtimes.sockets import connected, reason

if TYPE_CHECKING:
    import socket as sockets
    from collections.abc import Sequence

    from topcon.model.shell import Size
    from topcon.runtimes.http import JsonSocket

OPEN_S = 10.0
"""How long a daemon may take to start a program."""
RESIZE_S = 1.0
"""How long one may take to hear of another size: what is typed waits meanwhile."""
STATUS_S = 2.0
"""How long one may take to tell how a program has ended."""
FIRST_S = 0.5
"""How long something is waited for that a program writes first: some daemons write there that there is no such one."""
LARGEST_HEAD = 1 << 16

_SWITCHED, _OK = 101, 200
_FAILED = "OCI runtime exec failed"
_ABSENT = ("executable file", "no such file or directory", "not found in $PATH", "permission denied: unknown")
_NOT_STARTED = frozenset((126, 127))


class NotThere(ActionFailed):
    """There is no such program in the container."""


class HttpSession:
    """A program that runs in a container; see `Session` of model.shell."""

    def __init__(self, api: JsonSocket, path: str, channel: sockets.socket, early: bytes) -> None:
        """Keep the stream to and from the program, and the ``path`` where it is asked about."""
        self._api = api
        self._path = path
        self._channel = channel
        self.fd = channel.fileno()
        self.early = early

    def resize(self, size: Size) -> None:
        """``POST /exec/ID/resize``."""
        query = urlencode({"h": size.rows, "w": size.columns})
        try:
            self._api.act("POST", f"{self._path}/resize?{query}", timeout_s=RESIZE_S)
        except ActionFailed:
            # It has ended, or the daemon hangs, which is seen by what it does not write.
            return

    def status(self) -> int | None:
        """Ask how it has ended; the daemon may come to know it a little after the end of the stream."""
        until = time.monotonic() + STATUS_S
        while (left_s := until - time.monotonic()) > 0:
            try:
                said = to_object(self._api.act("GET", f"{self._path}/json", timeout_s=left_s))
            except ActionFailed:
                return None
            if said.get("Running") is not True:
                return to_int(said.get("ExitCode"))
            time.sleep(0.02)
        return None

    def close(self) -> None:
        """Close the stream."""
        self._channel.close()


def execute(
    api: JsonSocket, base: str, container: str, command: Sequence[str], size: Size, environment: Sequence[str]
) -> HttpSession:
    """Start a program with a terminal in a container.

    Args:
        api: the daemon.
        base: where its paths begin, such as ``/v1.43``.
        container: its id.
        command: the program and its arguments.
        size: of its terminal.
        environment: ``NAME=VALUE`` each, beside the container's own.

    Raises:
        NotThere: there is no such program.
        ActionFailed: it was not started; the daemon's own words where it gave any.
    """
    body = {
        "AttachStdin": True,
        "AttachStdout": True,
        "AttachStderr": True,
        "Tty": True,
        "Cmd": list(command),
        "Env": list(environment),
    }
    where = f"{base}/containers/{quote(container, safe='', errors='replace')}/exec"
    made = to_text(to_object(api.act("POST", where, body, timeout_s=OPEN_S)).get("Id"))
    if made is None:
        message = "the runtime has not said which program it has made"
        raise ActionFailed(message)
    path = f"{base}/exec/{quote(made, safe='')}"
    channel, early = _started(api, path, size)
    session = HttpSession(api, path, channel, early)
    try:
        _check_is_there(session, channel)
    except BaseException:
        session.close()
        raise
    session.resize(size)
    return session


def _started(api: JsonSocket, path: str, size: Size) -> tuple[sockets.socket, bytes]:
    """Start the program; return the stream, and what has come of it already."""
    # Podman knows the size by other names.
    wish = {"Detach": False, "Tty": True, "ConsoleSize": [size.rows, size.columns], "h": size.rows, "w": size.columns}
    body = json.dumps(wish).encode()
    head = (
        f"POST {path}/start HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    try:
        channel = connected(api.socket, OPEN_S, api.remedy)
    except SourceUnavailable as error:
        raise ActionFailed(str(error)) from error
    try:
        channel.sendall(head.encode() + body)
        status, rest = _answer(channel, time.monotonic() + OPEN_S)
        if status in {_SWITCHED, _OK}:
            return channel, rest
        said = words(rest + _rest(channel))
    except BaseException as error:
        channel.close()
        if isinstance(error, OSError):
            raise ActionFailed(reason(error, api.socket)) from error
        raise
    channel.close()
    raise (NotThere if is_absent(said) else ActionFailed)(said)


def is_absent(said: str) -> bool:
    """Whether a daemon's words mean that there is no such program."""
    return any(part in said for part in _ABSENT)


def _answer(channel: sockets.socket, deadline: float) -> tuple[int, bytes]:
    """Read the head of an answer; return its status, and what has come after it."""
    data = b""
    while b"\r\n\r\n" not in data:
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        channel.settimeout(left_s)
        chunk = channel.recv(1 << 12)
        if not chunk or len(data) > LARGEST_HEAD:
            message = "the runtime's answer is no HTTP"
            raise ActionFailed(message)
        data += chunk
    return parse_head(data)


def parse_head(data: bytes) -> tuple[int, bytes]:
    """Parse the head of an answer of HTTP/1.1: its status, and what comes after the head.

    Raises:
        ActionFailed: it is none.
    """
    head, _, rest = data.partition(b"\r\n\r\n")
    first = head.split(b"\r\n", 1)[0].split(b" ")
    if len(first) < 2 or not first[0].startswith(b"HTTP/1.") or not first[1].isdigit() or len(first[1]) != 3:  # noqa: PLR2004  "HTTP/1.1 101"
        message = "the runtime's answer is no HTTP"
        raise ActionFailed(message)
    return int(first[1]), rest


def _rest(channel: sockets.socket) -> bytes:
    """Read what is left of an error's answer, as far as it is there soon."""
    channel.settimeout(FIRST_S)
    data = b""
    try:
        while len(data) < LARGEST_HEAD and (chunk := channel.recv(1 << 12)):
            data += chunk
    except OSError:
        # Its connection stays open.
        pass
    return data


def _check_is_there(session: HttpSession, channel: sockets.socket) -> None:
    """Wait a moment for the first that the program writes, which may be that there is none."""
    if not session.early and select.select([channel], [], [], FIRST_S)[0]:
        session.early = channel.recv(1 << 12)
        if not session.early and session.status() in _NOT_STARTED:
            message = "it was not started"
            raise NotThere(message)
    said = session.early.decode(errors="replace").strip()
    # Podman writes it into the stream; so may a program that is there, but that goes on, or ends otherwise.
    if said.startswith(_FAILED) or (is_absent(said) and session.status() in _NOT_STARTED):
        raise NotThere(said)
    channel.setblocking(False)  # noqa: FBT003  the standard library's
