"""The endpoint on a real socket of the loopback: its pages, what it refuses, and how it ends."""

from __future__ import annotations

import gzip
import http.client
import socket
import threading
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from http.server import ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
from samples import running, sample_of, snapshot_after

from topcon import __version__
from topcon.errors import HostUnreadable
from topcon.exporter import server as module
from topcon.exporter.exposition import CONTENT_TYPE
from topcon.exporter.server import Endpoint, accepts_gzip

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from topcon.model.snapshot import Snapshot

PATIENCE_S = 10.0
"""How long an answer may take on a busy machine; never waited for when all is well."""


@dataclass
class Newest:
    """All that the endpoint sees of a sampler."""

    newest: Snapshot | None = None
    tick_s: float = 0.25


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


def snapshot() -> Snapshot:
    return snapshot_after(sample_of(running("web", usage_usec=1_500_000), monotonic_ns=time.monotonic_ns()))


@contextmanager
def served(sampler: Newest, address: str = "127.0.0.1") -> Iterator[Endpoint]:
    endpoint = Endpoint(address, 0, sampler)  # type: ignore[arg-type]
    try:
        yield endpoint
    finally:
        endpoint.close()


@pytest.fixture(autouse=True)
def _quick_to_close(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let servers look often whether they are to end: each test closes one."""
    serve_forever = ThreadingHTTPServer.serve_forever
    monkeypatch.setattr(ThreadingHTTPServer, "serve_forever", lambda server: serve_forever(server, 0.01))


@pytest.fixture
def sampler() -> Newest:
    return Newest(snapshot())


@pytest.fixture
def endpoint(sampler: Newest) -> Iterator[Endpoint]:
    with served(sampler) as endpoint:
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


# Pages.


def test_the_metrics_are_those_of_the_newest_snapshot(endpoint: Endpoint, sampler: Newest) -> None:
    first = ask(endpoint, "/metrics")
    sampler.newest = snapshot_after(sample_of(running("db", usage_usec=7), monotonic_ns=time.monotonic_ns()))
    second = ask(endpoint, "/metrics")

    assert (first.status, first.headers["Content-Type"]) == (200, CONTENT_TYPE)
    assert b'name="web"' in first.body
    assert b'name="web"' not in second.body
    assert b'name="db"' in second.body
    assert b"topcon_tick_duration_seconds 0.25\n" in second.body


@pytest.mark.parametrize("age_s", [0, 60, 86400])
def test_the_page_tells_how_old_its_values_are(endpoint: Endpoint, sampler: Newest, age_s: int) -> None:
    now = snapshot()
    sampler.newest = replace(now, sample=replace(now.sample, monotonic_ns=time.monotonic_ns() - age_s * 10**9))

    (line,) = [
        line for line in ask(endpoint, "/metrics").body.splitlines() if line.startswith(b"topcon_snapshot_age_seconds ")
    ]

    assert float(line.split()[1]) >= age_s


def test_before_the_first_snapshot_there_is_nothing_to_serve_but_health() -> None:
    with served(Newest()) as endpoint:
        assert ask(endpoint, "/metrics").status == 503
        assert ask(endpoint, "/healthz").status == 200


@pytest.mark.parametrize(
    ("path", "status", "content_type", "words"),
    [
        ("/healthz", 200, "text/plain; charset=utf-8", b"ok\n"),
        ("/", 200, "text/html; charset=utf-8", b'<a href="/metrics">'),
        ("/metrics?name[]=x", 200, CONTENT_TYPE, b"machine_cpu_cores"),
        ("/metric", 404, "text/plain; charset=utf-8", b"/metrics"),
        ("/metrics/", 404, "text/plain; charset=utf-8", b"/metrics"),
        ("/../etc/passwd", 404, "text/plain; charset=utf-8", b"/metrics"),
        ("/%00", 404, "text/plain; charset=utf-8", b"/metrics"),
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


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_nothing_can_be_sent_to_it(endpoint: Endpoint, method: str) -> None:
    answer = ask(endpoint, "/metrics", method)

    assert 400 <= answer.status < 600
    assert b"container_" not in answer.body


def test_a_connection_serves_many_scrapes(endpoint: Endpoint) -> None:
    with closing(connection(endpoint)) as client:
        for path in ("/metrics", "/none", "/healthz", "/metrics"):
            client.request("GET", path)
            own = client.sock
            client.getresponse().read()
            assert client.sock is own


def test_it_says_what_it_is_but_not_what_it_runs_on(endpoint: Endpoint) -> None:
    assert ask(endpoint, "/healthz").headers["Server"].strip() == f"topcon/{__version__}"


# Compression.


@pytest.mark.parametrize("path", ["/metrics", "/"])
def test_a_page_is_compressed_for_who_asks(endpoint: Endpoint, path: str) -> None:
    answer = ask(endpoint, path, Accept_Encoding="gzip")

    assert answer.headers["Content-Encoding"] == "gzip"
    assert int(answer.headers["Content-Length"]) == len(answer.body)
    assert b"topcon" in gzip.decompress(answer.body)
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
        with served(Newest(snapshot()), "::1") as endpoint:
            assert endpoint.url.startswith("http://[::1]:")
            assert ask(endpoint, "/healthz").body == b"ok\n"
    except HostUnreadable:
        pytest.skip("no IPv6 loopback")


def test_a_name_is_looked_up() -> None:
    with served(Newest(snapshot()), "localhost") as endpoint:
        assert ask(endpoint, "/healthz").status == 200


def refusal(address: str, port: int) -> str:
    with pytest.raises(HostUnreadable) as caught:
        Endpoint(address, port, Newest())  # type: ignore[arg-type]
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


def test_once_closed_it_serves_no_more_and_its_port_is_free_again(sampler: Newest) -> None:
    with served(sampler) as endpoint:
        port = int(endpoint.url.removesuffix("/metrics").rsplit(":", 1)[1])
        assert ask(endpoint, "/healthz").status == 200

    with pytest.raises(ConnectionRefusedError):
        ask(endpoint, "/healthz")
    Endpoint("127.0.0.1", port, sampler).close()  # type: ignore[arg-type]


def test_a_scraper_that_keeps_its_connection_does_not_hold_up_the_end(sampler: Newest) -> None:
    with served(sampler) as endpoint:
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
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = Hooked()
    monkeypatch.setattr(threading, "excepthook", hook)

    def broken(snapshot: Snapshot, tick_s: float, age_s: float) -> bytes:
        raise ZeroDivisionError(snapshot, tick_s, age_s)

    with monkeypatch.context() as patched:
        patched.setattr(module, "to_page", broken)
        with pytest.raises(http.client.RemoteDisconnected):
            ask(endpoint, "/metrics")

    assert hook.has_been_told.wait(PATIENCE_S)
    assert [args.exc_type for args in hook.told] == [ZeroDivisionError]
    assert ask(endpoint, "/metrics").status == 200


@pytest.mark.parametrize("error", [BrokenPipeError, ConnectionResetError, TimeoutError])
def test_a_scraper_that_hangs_up_is_let_go_without_a_word(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], error: type[OSError]
) -> None:
    hook = Hooked()
    monkeypatch.setattr(threading, "excepthook", hook)

    def hung_up(snapshot: Snapshot, tick_s: float, age_s: float) -> bytes:
        del snapshot, tick_s, age_s
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(module, "to_page", hung_up)
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


def test_scrapes_run_beside_each_other(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    both = threading.Barrier(2, timeout=PATIENCE_S)
    to_page: Callable[[Snapshot, float, float], bytes] = module.to_page

    def at_once(snapshot: Snapshot, tick_s: float, age_s: float) -> bytes:
        both.wait()
        return to_page(snapshot, tick_s, age_s)

    monkeypatch.setattr(module, "to_page", at_once)
    answers: list[Answer] = []
    threads = [threading.Thread(target=lambda: answers.append(ask(endpoint, "/metrics"))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)

    assert [answer.status for answer in answers] == [200, 200]
