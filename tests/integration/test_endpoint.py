"""A real ``topcon serve`` against thousands of requests that are none: it answers on, and grows by nothing."""

from __future__ import annotations

import base64
import http.client
import random
import shutil
import socket
import ssl
import subprocess
import threading
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.machine import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.conftest import Program

REQUESTS = 10_000
THREADS = 4
PATIENCE_S = 20.0
MOST_GROWTH_KIB = 32 << 10
HASH = "$2b$04$Tv0DjmRh8YwkuJmSrZGPTeJ3TIdWgT6jsw4UeB7nHZkgDzVfK1f0i"

BROKEN = (
    b"\r\n\r\n",
    b"GET\r\n\r\n",
    b"GET /metrics\r\n",
    b"GET  /metrics HTTP/1.1\r\n\r\n",
    b"GET /metrics HTTP/9.9\r\n\r\n",
    b"GET /metrics HTTP/1.1\r\n\r\n",
    b"GET //metrics HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /metrics/../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /metrics%00 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /metrics\0 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET http://169.254.169.254/latest HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /metrics?collect[]=%ff HTTP/1.1\r\nHost: x\r\n\r\n",
    b"CONNECT example.org:80 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\nabc",
    b"POST /metrics HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\nabc",
    b"GET /none HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"GET /none HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n",
    b"GET /none HTTP/1.1\r\nHost: x\r\n\r\n" * 20,
    b"GET /none HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 200 + b"\r\n",
    b"GET /none HTTP/1.1\r\nHost: x\r\nA:" + b"b" * 70_000,
    b"GET /" + b"a" * 70_000,
    b"GET /none HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 500,
    b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10",
    bytes(range(256)) * 4,
    b"GET /none HTTP/1.1\r\nHos",
    b"",
)
WRONG_PASSWORDS = (
    b"",
    b"Basic",
    b"Basic !!",
    b"Bearer x",
    *(
        b"Basic " + base64.b64encode(each)
        for each in (
            b"alice:x",
            b"mallory:x",
            b"alice",
            b":",
            b"alice:\0",
            b"\xff\xfe:\xff",
            b"a" * 5000 + b":" + b"b" * 5000,
        )
    ),
)


def vitals(pid: int) -> tuple[int, int, int]:
    """Threads, descriptors, and resident KiB of a process."""
    lines = dict(
        line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.count(":") == 1
    )
    return int(lines["Threads"]), len(list(Path(f"/proc/{pid}/fd").iterdir())), int(lines["VmRSS"].split()[0])


def send(port: int, data: bytes, chance: random.Random) -> bytes:
    """Send something in one way or another, and return what comes back."""
    answer = b""
    with suppress(ConnectionError), socket.create_connection(("127.0.0.1", port), PATIENCE_S) as client:
        way = chance.randrange(4)
        cut = chance.randrange(len(data) + 1)
        client.sendall(data[:cut])
        if way == 0:
            # Hang up in the middle.
            return b""
        client.sendall(data[cut:])
        if way == 1:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            return b""
        with suppress(OSError):
            # It may have been closed on us already.
            client.shutdown(socket.SHUT_WR)
        while piece := client.recv(65536):
            answer += piece
    return answer


def is_bare(answer: bytes) -> bool:
    """Whether answers hold nothing but their status."""
    return all(
        each.partition(b"\r\n\r\n")[2] in {b"", each[:3] + b" " + each.partition(b"\r\n")[0].partition(b" ")[2] + b"\n"}
        for each in answer.split(b"HTTP/1.1 ")[1:]
    )


def flood(count: int, work: Callable[[random.Random], None]) -> list[BaseException]:
    """Work many times on a few threads; return what went wrong."""
    failures: list[BaseException] = []

    def some(seed: int) -> None:
        chance = random.Random(seed)
        try:
            for _ in range(count // THREADS):
                work(chance)
        except BaseException as error:  # noqa: BLE001  told by the test
            failures.append(error)

    threads = [threading.Thread(target=some, args=(seed,)) for seed in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failures


def mutated(data: bytes, chance: random.Random) -> bytes:
    if not data or chance.random() < 0.5:
        return data
    at = chance.randrange(len(data))
    return data[:at] + chance.randbytes(chance.randrange(4)) + data[at + chance.randrange(3) :]


def test_ten_thousand_requests_that_are_none_change_nothing(topcon: Program) -> None:
    with topcon.started("serve", "--listen", "127.0.0.1:0") as process:
        assert process.stderr is not None
        url = process.stderr.readline().split()[-1]
        port = int(url.rsplit(":", 1)[1].split("/")[0])

        def scrape() -> int:
            with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)) as client:
                client.request("GET", "/metrics")
                response = client.getresponse()
                response.read()
                return response.status

        def work(chance: random.Random) -> None:
            data = mutated(chance.choice(BROKEN), chance)
            answer = send(port, data, chance)
            # A request that has been mended by chance may be answered by a page.
            assert is_bare(answer) or b" 200 OK\r\n" in answer, (data[:200], answer[:200])

        assert [scrape() for _ in range(20)] == [200] * 20
        flood(400, work)
        time.sleep(1)
        threads, descriptors, memory_kib = vitals(process.pid)

        assert flood(REQUESTS, work) == []

        until(lambda: vitals(process.pid)[0] <= threads, "threads have ended", PATIENCE_S)
        until(lambda: vitals(process.pid)[1] <= descriptors, "descriptors are closed", PATIENCE_S)
        assert vitals(process.pid)[2] - memory_kib < MOST_GROWTH_KIB
        assert scrape() == 200
        process.terminate()
        _, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0
    assert "Traceback" not in said


def test_who_has_no_password_gets_nothing_over_tls_whatever_is_sent(topcon: Program, tmp_path: Path) -> None:
    if not shutil.which("openssl"):
        pytest.skip("needs openssl")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-subj", "/CN=localhost", "-out", tmp_path / "cert.pem", "-keyout", tmp_path / "key.pem"),
        ],
        check=True,
        capture_output=True,
    )
    file = tmp_path / "web.yml"
    file.write_text(
        f"tls_server_config: {{cert_file: cert.pem, key_file: key.pem}}\nbasic_auth_users: {{alice: {HASH}}}\n"
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with topcon.started("serve", "--listen", "127.0.0.1:0", "--web-config", str(file)) as process:
        assert process.stderr is not None
        port = int(process.stderr.readline().split()[-1].rsplit(":", 1)[1].split("/")[0])

        def work(chance: random.Random) -> None:
            if chance.random() < 0.7:
                assert b"HTTP/" not in send(port, mutated(chance.choice(BROKEN), chance), chance)
                return
            with closing(http.client.HTTPSConnection("127.0.0.1", port, timeout=PATIENCE_S, context=context)) as client:
                client.putrequest("GET", chance.choice(("/metrics", "/", "/healthz", "/none")))
                client.putheader("Authorization", chance.choice(WRONG_PASSWORDS))
                client.endheaders()
                response = client.getresponse()
                assert (response.status, response.read()) == (401, b"401 Unauthorized\n")

        flood(100, work)
        time.sleep(1)
        threads, descriptors, memory_kib = vitals(process.pid)

        assert flood(1000, work) == []

        until(lambda: vitals(process.pid)[0] <= threads, "threads have ended", PATIENCE_S)
        until(lambda: vitals(process.pid)[1] <= descriptors, "descriptors are closed", PATIENCE_S)
        assert vitals(process.pid)[2] - memory_kib < MOST_GROWTH_KIB


def test_slow_requests_hold_nobody_up(topcon: Program) -> None:
    with topcon.started("serve", "--listen", "127.0.0.1:0") as process:
        assert process.stderr is not None
        port = int(process.stderr.readline().split()[-1].rsplit(":", 1)[1].split("/")[0])
        slow = [socket.create_connection(("127.0.0.1", port), PATIENCE_S) for _ in range(100)]
        for each in slow:
            each.sendall(b"GET /metrics HTTP/1.1\r\nHost: ")
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)) as client:
            client.request("GET", "/metrics")
            assert client.getresponse().read()
        for each in slow:
            with each:
                assert each.recv(1000).startswith(b"HTTP/1.1 408 ")
