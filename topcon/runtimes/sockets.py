"""What a client does with a Unix socket before its library may speak: connect by hand, for the system's own reason."""

from __future__ import annotations

import socket as sockets

from topcon.errors import SourceUnavailable

TIMEOUT_S = 5
"""How long a runtime may take to answer."""


def probe(socket: str, remedy: str | None = None) -> None:
    """Connect once by hand: client libraries' own words for a refused connection are a paragraph.

    Takes and raises what `connected` does.
    """
    connected(socket, TIMEOUT_S, remedy).close()


def connected(socket: str, timeout_s: float, remedy: str | None = None) -> sockets.socket:
    """Return a connection.

    Args:
        socket: the path of a socket.
        timeout_s: for connecting, and for each read and write later.
        remedy: the command that lets us connect, where permission is denied.

    Raises:
        SourceUnavailable: nothing listens there, or we may not connect.
    """
    connection = sockets.socket(sockets.AF_UNIX)
    connection.settimeout(timeout_s)
    try:
        connection.connect(socket)
    except PermissionError as error:
        connection.close()
        message = f"permission denied at {socket}"
        raise SourceUnavailable(message, remedy) from error
    except OSError as error:
        connection.close()
        raise SourceUnavailable(reason(error, socket)) from error
    return connection


def reason(error: OSError, socket: str) -> str:
    """Say why a socket cannot be talked to; what begins with "no answer" may yet answer."""
    if isinstance(error, TimeoutError | BlockingIOError):
        return f"no answer at {socket}"
    return f"{(error.strerror or str(error)).lower()} at {socket}"
