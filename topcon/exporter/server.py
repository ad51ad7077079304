"""The HTTP server of the endpoint."""

from __future__ import annotations

import gzip
import socket
import sys
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, ClassVar

from topcon import __version__
from topcon.errors import HostUnreadable
from topcon.exporter.exposition import CONTENT_TYPE, to_page

if TYPE_CHECKING:
    from collections.abc import Callable

    from topcon.sampler import Sampler

REQUEST_TIMEOUT_S = 10.0
COMPRESSION = 1
"""The lowest: a seventh more bytes than the highest, for a quarter of its time."""

LANDING = f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>topcon</title></head>
<body><h1>topcon {__version__}</h1><p>The containers of this host, from the kernel.</p>
<ul><li><a href="/metrics">/metrics</a>: for Prometheus</li>
<li><a href="/healthz">/healthz</a>: whether this server lives</li></ul></body></html>
"""


class Endpoint:
    """Serves the newest snapshot of a sampler until closed."""

    def __init__(self, address: str, port: int, sampler: Sampler) -> None:
        """Listen at ``address`` and ``port``; port 0 takes a free one.

        Raises:
            HostUnreadable: the address cannot be used, or the port is taken.
        """
        self._server = _listen(address, port, sampler)
        self._thread = threading.Thread(target=self._server.serve_forever, name="topcon-endpoint", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it is served."""
        host, port = self._server.server_address[:2]
        text = host.decode() if isinstance(host, bytes | bytearray) else str(host)
        return f"http://{f'[{text}]' if ':' in text else text}:{port}/metrics"

    def close(self) -> None:
        """Serve no more."""
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # Waiting for a scraper that reads slowly would hold up the end of topcon.
    block_on_close = False
    allow_reuse_address = True

    def __init__(self, family: socket.AddressFamily, address: tuple[str, int], sampler: Sampler) -> None:
        self.address_family = family
        self.sampler = sampler
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        """Bind without the look-up of our own name that the base class makes: it can take seconds."""
        socket_address = self.server_address
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(socket_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def handle_error(self, request: object, client_address: object) -> None:
        """Let a scraper that hangs up go; anything else is a bug and is told to the thread's hook."""
        del request, client_address
        kind, error, trace = sys.exc_info()
        if not isinstance(error, OSError) and kind is not None:
            threading.excepthook(threading.ExceptHookArgs((kind, error, trace, threading.current_thread())))


def _listen(address: str, port: int, sampler: Sampler) -> _Server:
    try:
        family, *_, where = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return _Server(family, (str(where[0]), int(where[1])), sampler)
    except (OSError, UnicodeError) as error:
        # Names that are none, such as "a..b", fail where they are encoded.
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        message = f"cannot listen at {address}:{port}: {reason}; choose another with --listen ADDRESS:PORT"
        raise HostUnreadable(message) from error


def accepts_gzip(header: str) -> bool:
    """Whether an ``Accept-Encoding`` header allows gzip."""
    for item in header.lower().split(","):
        name, _, quality = item.partition(";")
        if name.strip() in {"gzip", "*"}:
            return quality.replace(" ", "") not in {"q=0", "q=0.0", "q=0.00", "q=0.000"}
    return False


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = f"topcon/{__version__}"
    sys_version = ""
    timeout = REQUEST_TIMEOUT_S
    server: _Server

    def do_GET(self) -> None:
        """Answer one of the known paths."""
        answer = self._pages.get(self.path.partition("?")[0])
        if answer is None:
            self._send(HTTPStatus.NOT_FOUND, "text/plain; charset=utf-8", b"not found; the metrics are at /metrics\n")
        else:
            answer(self)

    do_HEAD = do_GET  # noqa: N815  the base class's name

    def _metrics(self) -> None:
        sampler = self.server.sampler
        snapshot = sampler.newest
        if snapshot is None:
            self._send(HTTPStatus.SERVICE_UNAVAILABLE, "text/plain; charset=utf-8", b"nothing has been read yet\n")
            return
        age_s = (time.monotonic_ns() - snapshot.sample.monotonic_ns) / 1e9
        self._send(HTTPStatus.OK, CONTENT_TYPE, to_page(snapshot, sampler.tick_s, age_s))

    def _landing(self) -> None:
        self._send(HTTPStatus.OK, "text/html; charset=utf-8", LANDING.encode())

    def _healthz(self) -> None:
        self._send(HTTPStatus.OK, "text/plain; charset=utf-8", b"ok\n")

    _pages: ClassVar[dict[str, Callable[[_Handler], None]]] = {
        "/": _landing,
        "/metrics": _metrics,
        "/healthz": _healthz,
    }

    def _send(self, status: HTTPStatus, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        if accepts_gzip(self.headers.get("Accept-Encoding", "")):
            body = gzip.compress(body, COMPRESSION)
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class's name
        """Say nothing: stderr may be the screen."""
