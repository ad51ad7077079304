"""Where the endpoint listens: addresses, sockets of their own, and those that a service manager hands over.

Socket activation and readiness: sd_listen_fds(3), sd_notify(3).
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, NamedTuple

from topcon.errors import HostUnreadable
from topcon.exporter.options import DEFAULT_PORT

if TYPE_CHECKING:
    from collections.abc import Mapping

FIRST_HANDED_FD = 3
"""The descriptors that a service manager hands over begin here."""
BACKLOG = 128
SOCKET_MODE = 0o660
LONGEST_SOCKET_PATH = 107
"""Bytes that the kernel takes as a socket's path (unix(7))."""


class TcpAddress(NamedTuple):
    """A name or an IP address, and a port."""

    address: str
    port: int

    def __str__(self) -> str:
        """Write it as it is written for ``--listen``."""
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """A socket in the file system."""

    path: str


@dataclass(frozen=True, slots=True)
class HandedOver:
    """The sockets that the service manager hands over."""


Address = TcpAddress | UnixAddress | HandedOver

LOOPBACK = TcpAddress("127.0.0.1", DEFAULT_PORT)


@dataclass(frozen=True, slots=True)
class Listener:
    """A socket that listens."""

    socket: socket.socket
    where: str
    """``ADDRESS:PORT`` or ``unix:PATH``."""
    own_file: tuple[str, int, int] | None = None
    """Path, device and inode of a socket that is removed with it."""

    @property
    def is_unix(self) -> bool:
        """Whether it is in the file system."""
        return self.where.startswith("unix:")

    def close(self) -> None:
        """Listen no more, and remove the socket from the file system unless it is another's by now."""
        self.socket.close()
        if self.own_file is None:
            return
        path, *identity = self.own_file
        with contextlib.suppress(OSError):
            now = os.lstat(path)
            if [now.st_dev, now.st_ino] == identity:
                os.unlink(path)  # noqa: PTH108  a socket's path need not be text


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal()


def parse_listen(text: str) -> Address:
    """Parse ``ADDRESS:PORT``, ``:PORT``, ``PORT``, ``[IPv6]:PORT``, ``unix:/PATH`` or ``systemd``.

    Without an address it is the loopback.

    Raises:
        ValueError: it is none of these.
    """
    if text == "systemd":
        return HandedOver()
    if text.startswith("unix:/"):
        return _unix_address(text)
    address, colon, port = text.rpartition(":")
    if not colon and not _is_number(text):
        address, port = text, str(DEFAULT_PORT)
    if text.count(":") > 1 and not (address.startswith("[") and address.endswith("]")):
        message = f"{text!r}: an IPv6 address belongs in brackets, such as [::1]:{DEFAULT_PORT}"
        raise ValueError(message)
    if not _is_number(port) or not 0 <= int(port) <= 65535:  # noqa: PLR2004  ports
        message = f"{text!r}: expected ADDRESS:PORT, with a port from 0 to 65535, unix:/PATH or systemd"
        raise ValueError(message)
    return TcpAddress(address.strip("[]") or LOOPBACK.address, int(port))


def _unix_address(text: str) -> UnixAddress:
    path = text.removeprefix("unix:")
    length = len(path.encode(errors="surrogateescape"))
    if "\0" in path or path.endswith("/") or length > LONGEST_SOCKET_PATH:
        message = f"{text!r}: expected unix:/PATH of a socket, of {LONGEST_SOCKET_PATH} bytes at the most"
        raise ValueError(message)
    return UnixAddress(path)


def is_exposed(where: Address) -> bool:
    """Whether others than this machine's own users can reach an address; what cannot be looked up counts as exposed."""
    if not isinstance(where, TcpAddress):
        return False
    try:
        found = socket.getaddrinfo(*where, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        return True
    return not ip_address(str(found[0][4][0]).partition("%")[0]).is_loopback


def open_listeners(where: Address) -> tuple[Listener, ...]:
    """Listen at an address.

    Raises:
        HostUnreadable: it cannot be used, is taken, or nothing has been handed over.
    """
    match where:
        case TcpAddress():
            return (_tcp_listener(where),)
        case UnixAddress():
            return (_unix_listener(where),)
        case HandedOver():
            return handed_over()


def _refusal(where: str, error: Exception) -> HostUnreadable:
    reason = (getattr(error, "strerror", None) or str(error)).lower()
    return HostUnreadable(f"cannot listen at {where}: {reason}; choose another with --listen ADDRESS:PORT")


def _tcp_listener(where: TcpAddress) -> Listener:
    try:
        family, *_, found = socket.getaddrinfo(*where, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        with contextlib.ExitStack() as stack:
            listening = stack.enter_context(socket.socket(family, socket.SOCK_STREAM))
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(found)
            listening.listen(BACKLOG)
            stack.pop_all()
    except (OSError, UnicodeError) as error:
        # Names that are none, such as "a..b", fail where they are encoded.
        refusal = _refusal(f"{where.address}:{where.port}", error)
        raise refusal from error
    return Listener(listening, _name_of(listening))


def _name_of(listening: socket.socket) -> str:
    name = listening.getsockname()
    if listening.family == socket.AF_UNIX:
        return f"unix:{os.fsdecode(name)}"
    host, port = name[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _unix_listener(where: UnixAddress) -> Listener:
    try:
        with contextlib.ExitStack() as stack:
            listening = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            # The file is made with the mode of the socket, so that it is never more open than it is to be.
            os.fchmod(listening.fileno(), SOCKET_MODE)
            try:
                listening.bind(where.path)
            except OSError as error:
                if error.errno != errno.EADDRINUSE or not _is_stale(where.path):
                    raise
                os.unlink(where.path)  # noqa: PTH108  a socket's path need not be text
                listening.bind(where.path)
            # What the umask took away.
            os.chmod(where.path, SOCKET_MODE)  # noqa: PTH101  the same
            listening.listen(BACKLOG)
            made = os.lstat(where.path)
            stack.pop_all()
    except OSError as error:
        refusal = _refusal(f"unix:{where.path}", error)
        raise refusal from error
    return Listener(listening, f"unix:{where.path}", (where.path, made.st_dev, made.st_ino))


def _is_stale(path: str) -> bool:
    """Whether a socket was left behind by a server that has ended: nobody listens at it."""
    if not stat.S_ISSOCK(os.lstat(path).st_mode):
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(0.0)
        return client.connect_ex(path) == errno.ECONNREFUSED


def handed_over(environ: Mapping[str, str] = os.environ, first_fd: int = FIRST_HANDED_FD) -> tuple[Listener, ...]:
    """Take the sockets over that the service manager has opened; those that do not listen for streams are left.

    Raises:
        HostUnreadable: there are none.
    """
    count = environ.get("LISTEN_FDS", "")
    # No process has as many descriptors as a longer number would say.
    is_ours = environ.get("LISTEN_PID") == str(os.getpid()) and _is_number(count) and len(count) <= 4  # noqa: PLR2004
    listeners = []
    for fd in range(first_fd, first_fd + int(count) if is_ours else first_fd):
        try:
            handed = socket.socket(fileno=fd)
        except OSError:
            continue
        if handed.type == socket.SOCK_STREAM and handed.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            handed.set_inheritable(False)
            listeners.append(Listener(handed, _name_of(handed)))
        else:
            handed.detach()
    if not listeners:
        message = "cannot listen at systemd: no listening socket was handed over; start it with a .socket unit"
        raise HostUnreadable(message)
    return tuple(listeners)


def notify(state: str, environ: Mapping[str, str] = os.environ) -> None:
    """Tell the service manager, if there is one, what we are at: ``READY=1``, ``STOPPING=1``."""
    path = environ.get("NOTIFY_SOCKET", "")
    if not path.startswith(("/", "@")):
        return
    # A manager that does not listen is no reason to end.
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
        client.settimeout(0.0)
        client.sendto(state.encode(), f"\0{path[1:]}" if path.startswith("@") else path)
