"""The endpoint on a real socket of the loopback: its pages, what it refuses, and how it ends."""

from __future__ import annotations

import gzip
import http.client
import re
import socket
import threading
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topcon import __version__
from topcon.errors import HostUnreadable
from topcon.exporter import server as module
from topcon.exporter.exposition import CONTENT_TYPE, OPENMETRICS_CONTENT_TYPE, PageRequest
from topcon.exporter.listen import TcpAddress, UnixAddress
from topcon.exporter.request import (
    MOST_HEADERS,
    Refused,
    accepts_gzip,
    head_end,
    parse_head,
    prefers_openmetrics,
    query_values,
    scrape_timeout_s,
)
from topcon.exporter.server import Endpoint
from topcon.exporter.web_config import RateLimit, WebRules
from topcon.model.sample import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PATIENCE_S = 10.0
"""How long an answer may take on a busy machine; never waited for when all is well."""
HASH = "$2b$04$Tv0DjmRh8YwkuJmSrZGPTeJ3TIdWgT6jsw4UeB7nHZkgDzVfK1f0i"
PAGE = (b"# HELP up Whether.\n# TYPE up gauge\n", b"up 1\n")


@dataclass
class Written:
    """All that the endpoint knows of an exposition."""

    pieces: tuple[bytes, ...] = PAGE
    is_there: bool = True
    asked: list[PageRequest] = field(default_factory=list)
    left_s: list[float] = field(default_factory=list)
    waited_s: list[float] = field(default_factory=list)
    meanwhile: Callable[[], object] = lambda: None

    def newest_is_there(self) -> bool:
        return self.is_there

    def wait_ready(self, timeout_s: float) -> bool:
        self.waited_s.append(timeout_s)
        return self.is_there

    def chunks(self, request: PageRequest, deadline: float) -> Iterator[bytes]:
        self.asked.append(request)
        self.left_s.append(deadline - time.monotonic())
        self.meanwhile()
        yield from self.pieces


@dataclass
class Web:
    """All that the endpoint knows of a file of passwords and limits."""

    now: WebRules = field(default_factory=WebRules)
    problem: Problem | None = None

    def rules(self) -> WebRules:
        return self.now


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


@contextmanager
def served(exposition: Written, address: str = "127.0.0.1", **options: Any) -> Iterator[Endpoint]:
    endpoint = Endpoint([TcpAddress(address, 0)], exposition, **options)  # type: ignore[arg-type]
    try:
        yield endpoint
    finally:
        endpoint.close()


@pytest.fixture
def exposition() -> Written:
    return Written()


@pytest.fixture
def endpoint(exposition: Written) -> Iterator[Endpoint]:
    with served(exposition) as endpoint:
        yield endpoint


def connection(endpoint: Endpoint) -> http.client.HTTPConnection:
    host = endpoint.url.removeprefix("http://").removesuffix("/metrics")
    return http.client.HTTPConnection(host, timeout=PATIENCE_S)


def ask(endpoint: Endpoint, path: str, method: str = "GET", **headers: str) -> Answer:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    with closing(connection(endpoint)) as client:
        client.request(method, path, headers=given)
        response = client.getresponse()
        return Answer(response.status, response.read(), dict(response.headers))


def port_of(endpoint: Endpoint) -> int:
    return int(endpoint.url.removesuffix("/metrics").rsplit(":", 1)[1])


def raw(endpoint: Endpoint, *sent: bytes) -> bytes:
    """Send bytes as they are, and return all that comes back."""
    with socket.create_connection(("127.0.0.1", port_of(endpoint)), PATIENCE_S) as client:
        for each in sent:
            client.sendall(each)
        client.shutdown(socket.SHUT_WR)
        with client.makefile("rb") as answer:
            return answer.read()


# Pages.


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/metrics", PageRequest("metrics")),
        ("/metrics/cadvisor", PageRequest("metrics")),
        ("/metrics/resource", PageRequest("resource")),
        ("/metrics?", PageRequest("metrics")),
        ("/metrics?collect[]=cpu&collect[]=memory", PageRequest("metrics", frozenset({"cpu", "memory"}))),
        ("/metrics?collect%5B%5D=tcp", PageRequest("metrics", frozenset({"tcp"}))),
        ("/metrics?name[]=a_b&name[]=%63", PageRequest("metrics", names=frozenset({"a_b", "c"}))),
        ("/metrics?module=x&x", PageRequest("metrics")),
        ("http://example.org/metrics?name[]=x", PageRequest("metrics", names=frozenset({"x"}))),
    ],
)
def test_a_page_is_of_what_is_asked_for(
    endpoint: Endpoint, exposition: Written, path: str, expected: PageRequest
) -> None:
    answer = ask(endpoint, path)

    assert (answer.status, answer.headers["Content-Type"], answer.body) == (200, CONTENT_TYPE, b"".join(PAGE))
    assert exposition.asked == [expected]


@pytest.mark.parametrize("query", ["collect[]=none", "collect[]=", "collect[]=cpu,memory", "&".join(["a=1"] * 1001)])
def test_a_group_that_is_none_is_refused(endpoint: Endpoint, exposition: Written, query: str) -> None:
    assert ask(endpoint, f"/metrics?{query}").status == 400
    assert exposition.asked == []


def test_before_the_first_snapshot_there_is_nothing_to_serve_but_health() -> None:
    exposition = Written(is_there=False)
    with served(exposition) as endpoint:
        assert ask(endpoint, "/metrics", X_Prometheus_Scrape_Timeout_Seconds="4.5").status == 503
        assert ask(endpoint, "/readyz").status == 503
        assert ask(endpoint, "/healthz").status == 200
        exposition.is_there = True
        assert ask(endpoint, "/metrics").status == 200
        assert ask(endpoint, "/readyz").body == b"ok\n"
    assert 3.0 < exposition.waited_s[0] <= 4.0


@pytest.mark.parametrize(
    ("path", "status", "content_type", "words"),
    [
        ("/healthz", 200, "text/plain; charset=utf-8", b"ok\n"),
        ("/", 200, "text/html; charset=utf-8", b'<a href="/metrics">'),
        ("/metrics?name[]=x", 200, CONTENT_TYPE, b"up 1"),
        ("/metric", 404, "text/plain; charset=utf-8", b"404 Not Found\n"),
        ("/metrics/", 404, "text/plain; charset=utf-8", b"404 Not Found\n"),
        ("//metrics", 404, "text/plain; charset=utf-8", b"404 Not Found\n"),
        ("/%6detrics", 404, "text/plain; charset=utf-8", b"404 Not Found\n"),
        ("/../etc/passwd", 404, "text/plain; charset=utf-8", b"404 Not Found\n"),
        ("/metrics/../metrics", 404, "text/plain; charset=utf-8", b"404 Not Found\n"),
        ("/%00", 404, "text/plain; charset=utf-8", b"404 Not Found\n"),
        ("metrics", 404, "text/plain; charset=utf-8", b"404 Not Found\n"),
        ("*", 404, "text/plain; charset=utf-8", b"404 Not Found\n"),
    ],
)
def test_what_is_where(endpoint: Endpoint, path: str, status: int, content_type: str, words: bytes) -> None:
    answer = ask(endpoint, path)

    assert (answer.status, answer.headers["Content-Type"]) == (status, content_type)
    assert words in answer.body
    assert int(answer.headers["Content-Length"]) == len(answer.body)


def test_the_landing_page_names_the_version(endpoint: Endpoint) -> None:
    assert f"topcon {__version__}".encode() in ask(endpoint, "/").body


def test_a_path_that_is_not_there_is_not_said_back(endpoint: Endpoint) -> None:
    assert b"script" not in ask(endpoint, "/<script>").body


@pytest.mark.parametrize("path", ["/", "/metrics", "/healthz", "/none"])
def test_head_is_get_without_the_body(endpoint: Endpoint, path: str) -> None:
    head, get = ask(endpoint, path, "HEAD"), ask(endpoint, path)

    assert (head.status, head.body) == (get.status, b"")
    assert head.headers["Content-Type"] == get.headers["Content-Type"]
    assert int(head.headers["Content-Length"]) > 0


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "TRACE", "get", "X-Y"])
def test_nothing_can_be_sent_to_it(endpoint: Endpoint, method: str) -> None:
    answer = ask(endpoint, "/metrics", method)

    assert answer.status == 405
    assert answer.headers["Allow"] == "GET, HEAD, OPTIONS"
    assert b"container_" not in answer.body


@pytest.mark.parametrize("path", ["/metrics", "*"])
def test_what_can_be_asked_is_told(endpoint: Endpoint, path: str) -> None:
    answer = ask(endpoint, path, "OPTIONS")

    assert (answer.status, answer.body, answer.headers["Allow"]) == (204, b"", "GET, HEAD, OPTIONS")


def test_a_connection_serves_many_scrapes(endpoint: Endpoint) -> None:
    with closing(connection(endpoint)) as client:
        for path in ("/metrics", "/none", "/healthz", "/metrics"):
            client.request("GET", path)
            own = client.sock
            client.getresponse().read()
            assert client.sock is own


@pytest.mark.parametrize("path", ["/healthz", "/none", "/metrics"])
def test_it_does_not_say_what_it_is(endpoint: Endpoint, path: str) -> None:
    answer = ask(endpoint, path)

    assert "Server" not in answer.headers
    assert b"topcon" not in answer.body


@pytest.mark.parametrize("has_openmetrics", [False, True])
def test_openmetrics_is_for_who_prefers_it_where_it_is_switched_on(exposition: Written, has_openmetrics: bool) -> None:
    with served(exposition, has_openmetrics=has_openmetrics) as endpoint:
        answer = ask(endpoint, "/metrics", Accept="application/openmetrics-text;version=1.0.0,text/plain;q=0.5")
        text = ask(endpoint, "/metrics", Accept="text/plain")

    assert answer.headers["Content-Type"] == (OPENMETRICS_CONTENT_TYPE if has_openmetrics else CONTENT_TYPE)
    assert text.headers["Content-Type"] == CONTENT_TYPE
    assert [each.is_openmetrics for each in exposition.asked] == [has_openmetrics, False]


# How a page is sent.

LONG = (b"a" * 100_000, b"", b"b" * 10, *([b"c" * 1000] * 200))


def test_a_long_page_is_sent_while_it_is_made(endpoint: Endpoint, exposition: Written) -> None:
    exposition.pieces = LONG
    with closing(connection(endpoint)) as client:
        for _ in range(2):
            client.request("GET", "/metrics")
            response = client.getresponse()
            assert response.headers["Transfer-Encoding"] == "chunked"
            assert response.headers["Content-Length"] is None
            assert response.read() == b"".join(LONG)


def test_a_long_page_of_the_old_protocol_ends_with_the_connection(endpoint: Endpoint, exposition: Written) -> None:
    exposition.pieces = LONG
    head, _, body = raw(endpoint, b"GET /metrics HTTP/1.0\r\n\r\n").partition(b"\r\n\r\n")

    assert b"Transfer-Encoding" not in head
    assert b"Content-Length" not in head
    assert b"Connection: close" in head
    assert body == b"".join(LONG)


def test_a_page_of_nothing_is_a_page(endpoint: Endpoint, exposition: Written) -> None:
    exposition.pieces = ()

    assert ask(endpoint, "/metrics").body == b""
    assert gzip.decompress(ask(endpoint, "/metrics", Accept_Encoding="gzip").body) == b""


def test_a_long_page_that_is_compressed_is_whole(endpoint: Endpoint, exposition: Written) -> None:
    exposition.pieces = tuple(f"{number * 7919} {number}\n".encode() * 3 for number in range(30_000))
    answer = ask(endpoint, "/metrics", Accept_Encoding="gzip")

    assert answer.headers["Transfer-Encoding"] == "chunked"
    assert gzip.decompress(answer.body) == b"".join(exposition.pieces)


def test_a_page_that_breaks_off_does_not_look_whole(
    endpoint: Endpoint, exposition: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = Hooked()
    monkeypatch.setattr(threading, "excepthook", hook)

    def pieces() -> Iterator[bytes]:
        yield from LONG
        raise ZeroDivisionError

    exposition.pieces = pieces()  # type: ignore[assignment]
    with pytest.raises(http.client.IncompleteRead):
        ask(endpoint, "/metrics")
    assert hook.has_been_told.wait(PATIENCE_S)


@pytest.mark.parametrize(
    ("header", "longest_s"),
    [("5", 4.5), ("0.2", 0.1), ("1e9", 30.0), ("0", 10.0), ("-1", 10.0), ("nan", 10.0), ("inf", 10.0), ("x", 10.0)],
)
def test_a_page_is_made_in_the_time_that_the_scraper_has(
    endpoint: Endpoint, exposition: Written, header: str, longest_s: float
) -> None:
    ask(endpoint, "/metrics", X_Prometheus_Scrape_Timeout_Seconds=header)

    assert longest_s - 0.1 - PATIENCE_S / 10 < exposition.left_s[0] <= longest_s


@pytest.mark.parametrize(
    ("header", "expected"), [(None, 10.0), ("", 10.0), ("2", 1.5), ("0.55", 0.1), ("31", 30.0), ("-inf", 10.0)]
)
def test_how_long_a_scrape_may_take(header: str | None, expected: float) -> None:
    assert scrape_timeout_s(header, default_s=10.0, margin_s=0.5, bounds_s=(0.1, 30.0)) == expected


def test_more_scrapes_at_once_than_allowed_are_turned_away(exposition: Written) -> None:
    begun, may_end = threading.Event(), threading.Event()

    def wait() -> None:
        begun.set()
        assert may_end.wait(PATIENCE_S)

    exposition.meanwhile = wait
    answers: list[Answer] = []
    with served(exposition, max_scrapes=1) as endpoint:
        first = threading.Thread(target=lambda: answers.append(ask(endpoint, "/metrics")))
        first.start()
        assert begun.wait(PATIENCE_S)
        assert ask(endpoint, "/metrics").status == 503
        assert ask(endpoint, "/healthz").status == 200
        may_end.set()
        first.join(PATIENCE_S)
        for _ in range(3):
            assert ask(endpoint, "/metrics", "HEAD").status == 200
    assert [answer.status for answer in answers] == [200]


def test_a_scrape_before_the_first_snapshot_gives_its_place_back() -> None:
    exposition = Written(is_there=False)
    with served(exposition, max_scrapes=1) as endpoint:
        assert [ask(endpoint, "/metrics").status for _ in range(3)] == [503] * 3
    assert len(exposition.waited_s) == 3


# Requests that are none.


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", 200),
        (b"\r\n\r\n\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", 200),
        (b"GET /healthz HTTP/1.0\n\n", 200),
        (b"GET /healthz HTTP/1.1\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nHost : x\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\nA: \0\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\nA: a\rb\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n", 400),
        (b"GET /healthz\r\n", 400),
        (b"GET  /healthz HTTP/1.1\r\n", 400),
        (b"GET /heal thz HTTP/1.1\r\n", 400),
        (b"GET /\0 HTTP/1.1\r\n", 400),
        (b"GET /healthz HTTP/11\r\n", 400),
        (b"GET /healthz HTTP/2.0\r\n", 505),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (b"\x16\x03\x01\x02\x00\x01\n", 400),
        (b"GET /" + b"a" * 70_000, 414),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 70_000, 431),
        (b"GET / HTTP/1.1\r\n" + b"A: a\r\n" * (MOST_HEADERS + 1) + b"\r\n", 431),
    ],
)
def test_a_request_that_is_none_is_answered_by_a_bare_status(endpoint: Endpoint, sent: bytes, status: int) -> None:
    answer = raw(endpoint, sent)

    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert body.startswith(b"ok\n" if status == 200 else b"%d " % status)
    assert body.count(b"\n") == 1


@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"\r\n"])
def test_who_says_nothing_whole_gets_no_answer(endpoint: Endpoint, sent: bytes) -> None:
    assert raw(endpoint, sent) == b""


@pytest.mark.parametrize(
    "body",
    [
        b"Content-Length: 5\r\n\r\nGET /",
        b"Transfer-Encoding: chunked\r\n\r\n5\r\nGET /\r\n0\r\n\r\n",
        b"Content-Length: 0\r\nTransfer-Encoding: identity\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
def test_a_body_is_not_read_and_ends_the_connection(endpoint: Endpoint, body: bytes) -> None:
    answer = raw(endpoint, b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + body)

    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"Connection: close\r\n" in answer


def test_requests_that_are_sent_at_once_are_answered_one_by_one(endpoint: Endpoint) -> None:
    one = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    answer = raw(endpoint, one * 20, one[:10], one[10:])

    assert answer.count(b"HTTP/1.1 200 OK") == 21


def test_a_head_that_comes_in_drops_is_cut_off(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HEAD_S", 0.2)
    with socket.create_connection(("127.0.0.1", port_of(endpoint)), PATIENCE_S) as client:
        answer = b""
        client.settimeout(0.05)
        for _ in range(200):
            try:
                client.sendall(b"G")
                answer += client.recv(1000)
            except TimeoutError:
                continue
            except OSError:
                break
            break

    assert answer.startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("sent", [b"", b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"])
def test_who_keeps_a_connection_for_nothing_is_let_go(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(module, "HEAD_S", 0.1)
    monkeypatch.setattr(module, "IDLE_S", 0.1)
    with socket.create_connection(("127.0.0.1", port_of(endpoint)), PATIENCE_S) as client:
        client.sendall(sent)
        with client.makefile("rb") as answer:
            assert answer.read().endswith(b"ok\n" if sent else b"")


def test_who_does_not_read_is_dropped(endpoint: Endpoint, exposition: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SEND_S", 0.2)
    exposition.pieces = (b"x" * 65536,) * 1000
    with socket.create_connection(("127.0.0.1", port_of(endpoint)), PATIENCE_S) as client:
        client.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        until(lambda: not endpoint._open and len(exposition.asked) == 1)


def test_more_connections_than_allowed_are_turned_away(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_CONNECTIONS", 2)
    with closing(connection(endpoint)) as one, closing(connection(endpoint)) as two:
        for client in (one, two):
            client.request("GET", "/healthz")
            client.getresponse().read()
        assert raw(endpoint).startswith(b"HTTP/1.1 503 ")
    until(lambda: not endpoint._open)
    assert ask(endpoint, "/healthz").status == 200


def test_without_room_for_a_thread_who_comes_is_turned_away(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: threading.Thread) -> None:
        message = "can't start new thread"
        raise RuntimeError(message)

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", full)
        assert raw(endpoint).startswith(b"HTTP/1.1 503 ")
    assert ask(endpoint, "/healthz").status == 200


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@given(st.binary())
def test_any_bytes_are_a_head_or_refused(data: bytes) -> None:
    status = 0
    try:
        parse_head(data)
    except Refused as error:
        status = error.status
    assert status == 0 or 400 <= status < 600


@given(st.lists(st.sampled_from([b"a", b"\r", b"\n"])).map(b"".join), st.integers(0, 20))
def test_the_end_of_a_head_is_found_however_it_comes(data: bytes, cut: int) -> None:
    begin = head_end(data[:cut])

    assert head_end(data) == (begin if begin is not None else head_end(data, min(cut, len(data))))


@given(st.text())
def test_any_query_is_taken_apart(query: str) -> None:
    assert all(values for values in query_values(query).values())


# Who is served.


def test_who_tells_no_password_gets_nothing_whatever_is_asked(exposition: Written) -> None:
    with served(exposition, web=Web(WebRules(users={"alice": HASH}))) as endpoint:
        answers = [ask(endpoint, path) for path in ("/", "/metrics", "/healthz", "/none")]
        answers.append(ask(endpoint, "/metrics", "POST"))

    assert {(answer.status, answer.headers["WWW-Authenticate"], answer.body) for answer in answers} == {
        (401, "Basic", b"401 Unauthorized\n")
    }
    assert exposition.asked == []


def test_a_password_opens_the_door(exposition: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    web = Web(WebRules(users={"alice": HASH}))
    with served(exposition, web=web) as endpoint:
        for result, status in ((True, 200), (False, 401), (None, 503)):
            monkeypatch.setattr(endpoint._gate._passwords, "are_right", lambda *_, result=result: result)
            assert ask(endpoint, "/metrics", Authorization="Basic YTpi").status == status


def test_so_many_are_served_and_no_more_until_the_limit_changes(exposition: Written) -> None:
    web = Web(WebRules(rate_limit=RateLimit(3600.0, 2)))
    with served(exposition, web=web) as endpoint:
        assert [ask(endpoint, "/healthz").status for _ in range(3)] == [200, 200, 429]
        web.now = WebRules(rate_limit=RateLimit(3600.0, 1))
        assert [ask(endpoint, "/healthz").status for _ in range(2)] == [200, 429]


def test_headers_that_are_set_are_on_every_answer(exposition: Written) -> None:
    rules = WebRules(headers={"X-Frame-Options": "deny"})
    with served(exposition, web=Web(rules)) as endpoint:
        answers = [ask(endpoint, path).headers for path in ("/", "/metrics", "/none")]
        answers += [ask(endpoint, "/", "OPTIONS").headers, ask(endpoint, "/", "POST").headers]
        assert [headers["X-Frame-Options"] for headers in answers] == ["deny"] * 5
        assert b"X-Frame-Options: deny\r\n" in raw(endpoint, b"nonsense\r\n")


def test_what_is_wrong_with_the_file_is_passed_on(exposition: Written) -> None:
    web = Web(problem=Problem("web-config", "broken"))
    with served(exposition, web=web) as endpoint, served(exposition) as without:
        assert endpoint.problems == (web.problem,)
        assert without.problems == ()


# Formats.


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("application/openmetrics-text;version=1.0.0", True),
        ("application/openmetrics-text; version=0.0.1", True),
        ("APPLICATION/OpenMetrics-Text; Version=1.0.0", True),
        ('application/openmetrics-text; version="1.0.0"; charset=utf-8', True),
        ("application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", True),
        ("application/openmetrics-text;version=1.0.0;q=0.2,text/plain;version=0.0.4;q=0.5", False),
        ("application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=1.0.0;q=0.9", True),
        ("application/openmetrics-text;version=1.0.0,text/plain", True),
        ("text/plain,application/openmetrics-text;version=1.0.0", False),
        ("application/openmetrics-text;version=1.0.0;q=0", False),
        ("application/openmetrics-text;version=1.0.0;q=2", False),
        ("application/openmetrics-text;version=1.0.0;q=nan", False),
        ("application/openmetrics-text;version=1.0.0;q=x", False),
        ("application/openmetrics-text;version=2.0.0", False),
        ("application/openmetrics-text", False),
        ("*/*", False),
        ("", False),
        (",;,=;q=", False),
    ],
)
def test_who_prefers_openmetrics(header: str, expected: bool) -> None:
    assert prefers_openmetrics(header) is expected


# Compression.


@pytest.mark.parametrize("path", ["/metrics", "/"])
def test_a_page_is_compressed_for_who_asks(endpoint: Endpoint, path: str) -> None:
    answer = ask(endpoint, path, Accept_Encoding="gzip")

    assert answer.headers["Content-Encoding"] == "gzip"
    assert int(answer.headers["Content-Length"]) == len(answer.body)
    assert gzip.decompress(answer.body) == ask(endpoint, path, Accept_Encoding="identity").body
    assert "Content-Encoding" not in ask(endpoint, path, Accept_Encoding="identity").headers


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("gzip", True),
        ("GZIP", True),
        ("deflate, gzip", True),
        ("gzip;q=0.5, br", True),
        ("*", True),
        ("gzip ; q=1", True),
        ("", False),
        ("identity", False),
        ("br, deflate", False),
        ("gzip;q=0", False),
        ("gzip; q=0.000", False),
        ("identity, gzip;q=0", False),
        ("*;q=0", False),
        ("gzip;q=0, *", False),
        ("x-gzipped", False),
    ],
)
def test_who_can_read_gzip(header: str, expected: bool) -> None:
    assert accepts_gzip(header) is expected


# What it can be told to listen at.


def test_port_0_takes_a_free_one_and_the_url_tells_which(endpoint: Endpoint) -> None:
    address, port = endpoint.url.removeprefix("http://").removesuffix("/metrics").rsplit(":", 1)

    assert address == "127.0.0.1"
    assert int(port) > 0


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6")
def test_an_ipv6_address_is_in_brackets_in_the_url() -> None:
    try:
        with served(Written(), "::1") as endpoint:
            assert endpoint.url.startswith("http://[::1]:")
            assert ask(endpoint, "/healthz").body == b"ok\n"
    except HostUnreadable:
        pytest.skip("no IPv6 loopback")


def test_a_name_is_looked_up() -> None:
    with served(Written(), "localhost") as endpoint:
        assert ask(endpoint, "/healthz").status == 200


def refusal(address: str, port: int) -> str:
    with pytest.raises(HostUnreadable) as caught:
        Endpoint([TcpAddress(address, port)], Written())  # type: ignore[arg-type]
    return str(caught.value)


def test_a_port_in_use_is_refused_in_one_line_that_says_what_to_do(endpoint: Endpoint) -> None:
    port = int(endpoint.url.removesuffix("/metrics").rsplit(":", 1)[1])

    assert refusal("127.0.0.1", port) == (
        f"cannot listen at 127.0.0.1:{port}: address already in use; choose another with --listen ADDRESS:PORT"
    )


@pytest.mark.parametrize(
    "address",
    ["203.0.113.7", "256.1.1.1", "no-such-host.invalid", "a" * 64, "..", "a..b", "\udcff"],
)
def test_an_address_that_is_not_ours_is_refused_in_one_line(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def numeric(host: str, port: int, *, type: int, flags: int) -> object:  # noqa: A002  the library's name
        """Look up without asking a name server."""
        return real(host, port, type=type, flags=flags | socket.AI_NUMERICHOST)

    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", numeric)
    message = refusal(address, 9338)

    assert message.startswith(f"cannot listen at {address}:9338: ")
    assert "--listen ADDRESS:PORT" in message
    assert "\n" not in message


# Its end, and what goes wrong on the way.


def test_once_closed_it_serves_no_more_and_its_port_is_free_again(exposition: Written) -> None:
    with served(exposition) as endpoint:
        port = int(endpoint.url.removesuffix("/metrics").rsplit(":", 1)[1])
        assert ask(endpoint, "/healthz").status == 200

    with pytest.raises(ConnectionRefusedError):
        ask(endpoint, "/healthz")
    Endpoint([TcpAddress("127.0.0.1", port)], exposition).close()  # type: ignore[arg-type]


def test_a_scraper_that_keeps_its_connection_does_not_hold_up_the_end(exposition: Written) -> None:
    with served(exposition) as endpoint:
        client = connection(endpoint)
        client.request("GET", "/healthz")
        client.getresponse().read()

    client.close()


class Hooked:
    """What was told to the hook of threads."""

    def __init__(self) -> None:
        self.told: list[threading.ExceptHookArgs] = []
        self.has_been_told = threading.Event()

    def __call__(self, args: threading.ExceptHookArgs) -> None:
        self.told.append(args)
        self.has_been_told.set()


def test_a_bug_in_a_page_is_told_and_the_next_page_is_served(
    endpoint: Endpoint, exposition: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = Hooked()
    monkeypatch.setattr(threading, "excepthook", hook)

    def broken() -> None:
        raise ZeroDivisionError

    exposition.meanwhile = broken
    with pytest.raises(http.client.RemoteDisconnected):
        ask(endpoint, "/metrics")
    exposition.meanwhile = lambda: None

    assert hook.has_been_told.wait(PATIENCE_S)
    assert [args.exc_type for args in hook.told] == [ZeroDivisionError]
    assert ask(endpoint, "/metrics").status == 200


@pytest.mark.parametrize("error", [BrokenPipeError, ConnectionResetError, TimeoutError])
def test_a_scraper_that_hangs_up_is_let_go_without_a_word(
    endpoint: Endpoint,
    exposition: Written,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    error: type[OSError],
) -> None:
    hook = Hooked()
    monkeypatch.setattr(threading, "excepthook", hook)

    def hung_up() -> None:
        raise error

    exposition.meanwhile = hung_up
    with pytest.raises(http.client.RemoteDisconnected):
        ask(endpoint, "/metrics")

    assert ask(endpoint, "/healthz").status == 200
    assert hook.told == []
    assert capfd.readouterr() == ("", "")


def test_it_says_nothing_of_requests_since_stderr_may_be_the_screen(
    endpoint: Endpoint, capfd: pytest.CaptureFixture[str]
) -> None:
    for path in ("/metrics", "/none", "/\x1b[31m".replace("\x1b", "%1b")):
        ask(endpoint, path)
    with socket.create_connection(("127.0.0.1", int(endpoint.url.rsplit(":", 1)[1].split("/")[0]))) as client:
        client.sendall(b"\x1b[2J nonsense\r\n\r\n")
        assert client.recv(100)

    assert capfd.readouterr() == ("", "")


def test_scrapes_run_beside_each_other(endpoint: Endpoint, exposition: Written) -> None:
    both = threading.Barrier(2, timeout=PATIENCE_S)
    exposition.meanwhile = both.wait
    answers: list[Answer] = []
    threads = [threading.Thread(target=lambda: answers.append(ask(endpoint, "/metrics"))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)

    assert [answer.status for answer in answers] == [200, 200]


def test_it_listens_at_all_that_it_is_told_to_and_serves_the_same(exposition: Written, tmp_path: Path) -> None:
    path = str(tmp_path / "topcon.sock")
    endpoint = Endpoint([TcpAddress("127.0.0.1", 0), UnixAddress(path)], exposition)  # type: ignore[arg-type]
    with closing(endpoint), socket.socket(socket.AF_UNIX) as client:
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/metrics", endpoint.url)
        assert endpoint.urls == (endpoint.url, f"unix:{path}")
        client.settimeout(PATIENCE_S)
        client.connect(path)
        client.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        with client.makefile("rb") as answer:
            assert answer.read().endswith(b"ok\n")


def test_of_several_addresses_all_are_given_back_if_one_cannot_be_used(exposition: Written, tmp_path: Path) -> None:
    path = tmp_path / "topcon.sock"

    with pytest.raises(HostUnreadable):
        Endpoint([UnixAddress(str(path)), TcpAddress("203.0.113.7", 0)], exposition)  # type: ignore[arg-type]

    assert not path.exists()


def test_to_close_it_twice_is_no_error(exposition: Written) -> None:
    with served(exposition) as endpoint:
        endpoint.close()
