"""The HTTP server of the endpoint: who may ask, how long, how often, and what is where.

A thread accepts, and a thread answers each connection; TLS, too, is begun by the latter. Nothing of a request is said
back, and nothing is said of it on stderr, which may be the screen.

The standard library's server is not used: there each line of a request may take its time anew, so that a few slow
clients keep it busy for hours, and what it refuses is said back to who sent it.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import ssl
import threading
import time
import zlib
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING

from topcon import __version__
from topcon.errors import HostUnreadable
from topcon.exporter.access import Passwords, TokenBucket
from topcon.exporter.exposition import CONTENT_TYPE, OPENMETRICS_CONTENT_TYPE, PageRequest
from topcon.exporter.listen import open_listeners
from topcon.exporter.options import GROUPS
from topcon.exporter.request import (
    LONGEST_HEAD,
    Refused,
    accepts_gzip,
    check_request_line,
    head_end,
    parse_head,
    prefers_openmetrics,
    query_values,
    scrape_timeout_s,
)
from topcon.exporter.tls import is_allowed
from topcon.exporter.web_config import WebRules

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from topcon.exporter.exposition import Exposition
    from topcon.exporter.listen import Address, Listener
    from topcon.exporter.request import Head
    from topcon.exporter.web_config import RateLimit, WebFile
    from topcon.model.sample import Problem

MAX_CONNECTIONS = 128
MAX_SCRAPES = 8
HEAD_S = 10.0
"""How long the head of a request may take, and TLS before it."""
IDLE_S = 60.0
"""How long a connection is kept between requests."""
SEND_S = 30.0
"""How long a whole answer may take to be sent."""
SCRAPE_S = 10.0
"""How long a page may take to be made, unless the scraper tells how long it waits."""
SCRAPE_MARGIN_S = 0.5
"""How much earlier than the scraper gives up a page ends."""
SCRAPE_BOUNDS_S = (0.1, SEND_S)
LINGER_S = 0.5
"""How long we listen on after the last answer: closing at once could take it away from who still sends."""
LONGEST_LINGER = 1 << 18
OUT_OF_DESCRIPTORS_S = 0.1
"""How long nothing is accepted after it could not be."""

TURN_AWAY_S = 0.1
"""How long the thread that accepts may be held up by who is not taken; a new socket has room for the few bytes."""
PIECE = 65536
"""Bytes that are sent at once."""
COMPRESSION = 1
"""The lowest: a seventh more bytes than the highest, for a quarter of its time."""
GZIP = 31
"""zlib's number for the largest window with the frame of gzip."""

METHODS = ("GET", "HEAD", "OPTIONS")
TEXT = "text/plain; charset=utf-8"
HTML = "text/html; charset=utf-8"
PAGES = {"/metrics": "metrics", "/metrics/cadvisor": "metrics", "/metrics/resource": "resource"}

LANDING = f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>topcon</title></head>
<body><h1>topcon {__version__}</h1><p>The containers of this host, from the kernel.</p>
<ul><li><a href="/metrics">/metrics</a>: for Prometheus</li>
<li><a href="/metrics/resource">/metrics/resource</a>: CPU and memory only</li>
<li><a href="/healthz">/healthz</a>: whether this server lives</li>
<li><a href="/readyz">/readyz</a>: whether there is something to serve</li></ul></body></html>
"""


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent back."""

    status: HTTPStatus
    content_type: str = TEXT
    body: bytes | _Scrape | None = None
    """Bytes, or what is made while it is sent; None for the status alone."""
    headers: tuple[tuple[str, str], ...] = ()


class Endpoint:
    """Serves the newest snapshot until closed."""

    def __init__(
        self,
        addresses: Iterable[Address],
        exposition: Exposition,
        web: WebFile | None = None,
        max_scrapes: int = MAX_SCRAPES,
        *,
        has_openmetrics: bool = False,
    ) -> None:
        """Listen at all addresses; port 0 takes a free one.

        Raises:
            HostUnreadable: an address cannot be used, or is taken.
        """
        self._web = web
        self._pages = _Pages(exposition, max_scrapes, has_openmetrics=has_openmetrics)
        self._gate = _Gate()
        self._lock = threading.Lock()
        self._open: set[_Wire] = set()
        self._is_closed = False
        self._wake, self._woken = socket.socketpair()
        self._listeners: list[Listener] = []
        try:
            for address in addresses:
                self._listeners += open_listeners(address)
        except HostUnreadable:
            self._close_sockets()
            raise
        self._thread = threading.Thread(target=self._accept, name="topcon-endpoint", daemon=True)
        self._thread.start()

    @property
    def urls(self) -> tuple[str, ...]:
        """Where it is served."""
        scheme = "https" if self._rules().context else "http"
        return tuple(each.where if each.is_unix else f"{scheme}://{each.where}/metrics" for each in self._listeners)

    @property
    def url(self) -> str:
        """The first of them."""
        return self.urls[0]

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is wrong now."""
        problem = self._web.problem if self._web is not None else None
        return (problem,) if problem else ()

    def close(self) -> None:
        """Serve no more; who is being answered is cut off."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            for wire in self._open:
                wire.cut()
        self._wake.send(b"\0")
        self._thread.join()
        self._close_sockets()

    def _close_sockets(self) -> None:
        for listener in self._listeners:
            listener.close()
        self._wake.close()
        self._woken.close()

    def _rules(self) -> WebRules:
        return self._web.rules() if self._web is not None else WebRules()

    def _accept(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._woken, selectors.EVENT_READ)
            for listener in self._listeners:
                listener.socket.settimeout(0.0)
                selector.register(listener.socket, selectors.EVENT_READ)
            while not self._is_closed:
                for key, _ in selector.select():
                    if isinstance(key.fileobj, socket.socket) and key.fileobj is not self._woken:
                        self._accept_one(key.fileobj)

    def _accept_one(self, listening: socket.socket) -> None:
        try:
            connection, _ = listening.accept()
        except (BlockingIOError, ConnectionError):
            return
        except OSError:
            # No descriptors are left; the client waits for its turn in the kernel's queue.
            time.sleep(OUT_OF_DESCRIPTORS_S)
            return
        wire = _Wire(connection)
        with self._lock:
            is_taken = not self._is_closed and len(self._open) < MAX_CONNECTIONS
            if is_taken:
                self._open.add(wire)
        if not is_taken:
            self._turn_away(wire)
            return
        try:
            threading.Thread(target=self._serve, args=(wire,), name="topcon-scrape", daemon=True).start()
        except RuntimeError:
            # There is no room for another thread.
            self._turn_away(wire)

    def _turn_away(self, wire: _Wire) -> None:
        rules = self._rules()
        # Without TLS there is nothing to be said to who expects it, and no time to begin it here.
        if rules.context is None:
            with contextlib.suppress(OSError):
                wire.send(_bare(HTTPStatus.SERVICE_UNAVAILABLE, rules), time.monotonic() + TURN_AWAY_S)
                wire.linger(0.0)
        self._forget(wire)

    def _forget(self, wire: _Wire) -> None:
        with self._lock:
            self._open.discard(wire)
        wire.close()

    def _serve(self, wire: _Wire) -> None:
        try:
            # Who hangs up, stalls or breaks TLS is let go; anything else is a bug and is told to the thread's hook.
            with contextlib.suppress(OSError):
                rules = self._rules()
                if rules.context is None or wire.begin_tls(rules.context, rules.client_allowed_sans):
                    self._answer_all(wire)
                    wire.linger(LINGER_S)
        finally:
            self._forget(wire)

    def _answer_all(self, wire: _Wire) -> None:
        patience_s = HEAD_S
        while True:
            try:
                head = wire.read_head(patience_s)
            except Refused as error:
                wire.send(_bare(error.status, self._rules()), time.monotonic() + SEND_S)
                return
            if head is None:
                return
            rules = self._rules()
            _send(wire, head, self._gate.refusal(head, rules) or self._pages.answer(head), rules)
            if head.is_last:
                return
            patience_s = IDLE_S


class _Wire:
    """A connection on which everything has a deadline, however small the pieces are that come."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._read = bytearray()
        self._is_cut = False

    def begin_tls(self, context: ssl.SSLContext, allowed_sans: frozenset[str] | None) -> bool:
        """Begin TLS; return whether the client's certificate, if there has to be one, has an allowed name."""
        self._socket = secured = context.wrap_socket(
            self._socket, server_side=True, do_handshake_on_connect=False, suppress_ragged_eofs=True
        )
        if self._is_cut:
            return False
        secured.settimeout(HEAD_S)
        secured.do_handshake()
        return is_allowed(secured, allowed_sans)

    def read_head(self, patience_s: float) -> Head | None:
        """Read the next request; None where there is none.

        Raises:
            Refused: it is malformed, too long, or does not come to an end in time.
        """
        deadline = time.monotonic() + (HEAD_S if self._read else patience_s)
        searched, is_begun = 0, False
        while True:
            if not is_begun:
                # Empty lines before a request are allowed (RFC 9112, 2.2).
                del self._read[: len(self._read) - len(self._read.lstrip(b"\r\n"))]
                if self._read:
                    is_begun = True
                    deadline = min(deadline, time.monotonic() + HEAD_S)
            end = head_end(self._read, searched)
            if end is not None and end <= LONGEST_HEAD:
                head = bytes(self._read[:end])
                del self._read[:end]
                return parse_head(head)
            first_end = self._read.find(b"\n")
            if len(self._read) > LONGEST_HEAD:
                is_one_line = not 0 <= first_end < LONGEST_HEAD
                raise Refused(
                    HTTPStatus.REQUEST_URI_TOO_LONG if is_one_line else HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
                )
            if first_end >= 0 and searched <= first_end:
                # What will be refused need not be waited for.
                check_request_line(bytes(self._read[:first_end]))
            searched = len(self._read)
            try:
                data = self._receive(deadline)
            except TimeoutError:
                if is_begun:
                    raise Refused(HTTPStatus.REQUEST_TIMEOUT) from None
                return None
            if not data:
                return None
            self._read += data

    def _receive(self, deadline: float) -> bytes:
        self._wait_until(deadline)
        return self._socket.recv(PIECE)

    def send(self, data: bytes, deadline: float) -> None:
        """Send all of it.

        Raises:
            OSError: it cannot be sent until the deadline.
        """
        rest = memoryview(data)
        while rest:
            self._wait_until(deadline)
            rest = rest[self._socket.send(rest) :]

    def _wait_until(self, deadline: float) -> None:
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            # A time-out of 0 would be another thing: what comes drop by drop could come for ever.
            raise TimeoutError
        self._socket.settimeout(left_s)

    def linger(self, patience_s: float) -> None:
        """Say that nothing more comes, and let the other side read what did before the connection is closed."""
        deadline = time.monotonic() + patience_s
        if isinstance(self._socket, ssl.SSLSocket):
            self._socket.settimeout(0.0)
            # It waits for the other side's word, and we do not.
            with contextlib.suppress(OSError):
                self._socket.unwrap()
        # Past TLS, if there is any: the bytes are of no interest.
        socket.socket.shutdown(self._socket, socket.SHUT_WR)
        left = LONGEST_LINGER
        while left > 0:
            left_s = deadline - time.monotonic()
            self._socket.settimeout(max(left_s, 0.0))
            count = len(socket.socket.recv(self._socket, PIECE))
            left -= count if count and left_s > 0 else left

    def cut(self) -> None:
        """End it under whoever uses it, who then closes it."""
        self._is_cut = True
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def close(self) -> None:
        """Give its descriptor back."""
        self._socket.close()


class _Gate:
    """Who is let in, and how often."""

    def __init__(self) -> None:
        self._passwords = Passwords()
        self._lock = threading.Lock()
        self._bucket: TokenBucket | None = None

    def refusal(self, head: Head, rules: WebRules) -> Answer | None:
        """Return what is answered instead of a page; None for who is let in."""
        if rules.rate_limit is not None and not self._bucket_of(rules.rate_limit).take():
            return Answer(HTTPStatus.TOO_MANY_REQUESTS)
        if not rules.users:
            return None
        is_right = self._passwords.are_right(head.headers.get("authorization"), rules.users)
        if is_right is None:
            return Answer(HTTPStatus.SERVICE_UNAVAILABLE)
        return None if is_right else Answer(HTTPStatus.UNAUTHORIZED, headers=(("WWW-Authenticate", "Basic"),))

    def _bucket_of(self, limit: RateLimit) -> TokenBucket:
        with self._lock:
            bucket = self._bucket
            if bucket is None or (bucket.interval_s, bucket.burst) != (limit.interval_s, limit.burst):
                bucket = self._bucket = TokenBucket(limit.interval_s, limit.burst)
            return bucket


class _Pages:
    """What is where."""

    def __init__(self, exposition: Exposition, max_scrapes: int, *, has_openmetrics: bool) -> None:
        self._exposition = exposition
        self._slots = threading.BoundedSemaphore(max_scrapes)
        self._has_openmetrics = has_openmetrics

    def answer(self, head: Head) -> Answer:
        """Answer a request of somebody who has been let in."""
        if head.method not in METHODS:
            return Answer(HTTPStatus.METHOD_NOT_ALLOWED, headers=(("Allow", ", ".join(METHODS)),))
        if head.method == "OPTIONS":
            return Answer(HTTPStatus.NO_CONTENT, headers=(("Allow", ", ".join(METHODS)),))
        try:
            return self._page(head) if head.path in PAGES else self._small_page(head.path)
        except Refused as error:
            return Answer(error.status)

    def _small_page(self, path: str) -> Answer:
        if path == "/readyz" and not self._exposition.newest_is_there():
            return Answer(HTTPStatus.SERVICE_UNAVAILABLE)
        if path in {"/healthz", "/readyz"}:
            return Answer(HTTPStatus.OK, body=b"ok\n")
        if path == "/":
            return Answer(HTTPStatus.OK, HTML, LANDING.encode())
        return Answer(HTTPStatus.NOT_FOUND)

    def _page(self, head: Head) -> Answer:
        values = query_values(head.query)
        groups, names = values.get("collect[]", frozenset()), values.get("name[]", frozenset())
        if not groups <= GROUPS:
            raise Refused(HTTPStatus.BAD_REQUEST)
        is_openmetrics = self._has_openmetrics and prefers_openmetrics(head.headers.get("accept", ""))
        asked = PageRequest(PAGES[head.path], groups, names, is_openmetrics=is_openmetrics)
        deadline = time.monotonic() + scrape_timeout_s(
            head.headers.get("x-prometheus-scrape-timeout-seconds"),
            default_s=SCRAPE_S,
            margin_s=SCRAPE_MARGIN_S,
            bounds_s=SCRAPE_BOUNDS_S,
        )
        if not self._slots.acquire(blocking=False):
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE)
        with contextlib.ExitStack() as stack:
            stack.callback(self._slots.release)
            if not self._exposition.wait_ready(max(deadline - time.monotonic(), 0.0)):
                raise Refused(HTTPStatus.SERVICE_UNAVAILABLE)
            chunks = self._exposition.chunks(asked, deadline)
            # From here on the slot belongs to who sends the page.
            kept = stack.pop_all()
        content_type = OPENMETRICS_CONTENT_TYPE if is_openmetrics else CONTENT_TYPE
        return Answer(HTTPStatus.OK, content_type, _Scrape(chunks, kept.close))


@dataclass(frozen=True, slots=True)
class _Scrape:
    """A page that is made while it is sent."""

    chunks: Iterator[bytes]
    close: Callable[[], object]
    """Lets the next scrape in."""


def _bare(status: HTTPStatus, rules: WebRules) -> bytes:
    body = _status_body(status)
    return _head(Answer(status), rules, length=len(body), is_last=True) + body


def _status_body(status: HTTPStatus) -> bytes:
    return b"" if status is HTTPStatus.NO_CONTENT else f"{status.value} {status.phrase}\n".encode()


def _head(
    answer: Answer,
    rules: WebRules,
    *,
    length: int | None,
    is_gzip: bool = False,
    is_last: bool,
    is_chunked: bool = False,
) -> bytes:
    lines = [f"HTTP/1.1 {answer.status.value} {answer.status.phrase}", f"Date: {formatdate(usegmt=True)}"]
    if answer.status is not HTTPStatus.NO_CONTENT:
        lines.append(f"Content-Type: {answer.content_type}")
        if is_gzip:
            lines.append("Content-Encoding: gzip")
        if length is not None:
            lines.append(f"Content-Length: {length}")
        elif is_chunked:
            lines.append("Transfer-Encoding: chunked")
    lines += [f"{name}: {value}" for name, value in (*answer.headers, *rules.headers.items())]
    if is_last:
        lines.append("Connection: close")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _send(wire: _Wire, head: Head, answer: Answer, rules: WebRules) -> None:
    """Send an answer: with its length if it is one piece, else piece by piece while they are made."""
    is_page = isinstance(answer.body, _Scrape) or answer.content_type == HTML
    is_gzip = is_page and accepts_gzip(head.headers.get("accept-encoding", ""))
    with contextlib.ExitStack() as stack:
        if isinstance(answer.body, _Scrape):
            stack.callback(answer.body.close)
            chunks = answer.body.chunks
        else:
            chunks = iter([_status_body(answer.status) if answer.body is None else answer.body])
        pieces = _pieces(chunks, is_gzip=is_gzip)
        piece, following = next(pieces), next(pieces, None)
        is_chunked = following is not None and not head.is_http_1_0
        length = len(piece) if following is None else None
        deadline = time.monotonic() + SEND_S
        begin = _head(answer, rules, length=length, is_gzip=is_gzip, is_last=head.is_last, is_chunked=is_chunked)
        if head.method == "HEAD":
            wire.send(begin, deadline)
            return
        wire.send(begin + _framed(piece, is_chunked=is_chunked), deadline)
        while following is not None:
            wire.send(_framed(following, is_chunked=is_chunked), deadline)
            following = next(pieces, None)
        if is_chunked:
            wire.send(b"0\r\n\r\n", deadline)


def _framed(piece: bytes, *, is_chunked: bool) -> bytes:
    # An empty chunk would be the last.
    return b"%x\r\n%b\r\n" % (len(piece), piece) if is_chunked and piece else piece


def _pieces(chunks: Iterator[bytes], *, is_gzip: bool) -> Iterator[bytes]:
    """Gather chunks, compressed or not, to what is worth being sent; the last piece may be empty."""
    compressor = zlib.compressobj(COMPRESSION, zlib.DEFLATED, GZIP) if is_gzip else None
    gathered: list[bytes] = []
    size = 0
    for chunk in chunks:
        gathered.append(compressor.compress(chunk) if compressor else chunk)
        size += len(gathered[-1])
        if size >= PIECE:
            yield b"".join(gathered)
            gathered.clear()
            size = 0
    if compressor:
        gathered.append(compressor.flush())
    yield b"".join(gathered)
