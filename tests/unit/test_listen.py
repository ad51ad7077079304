"""Addresses, sockets in the file system, and what a service manager hands over."""

from __future__ import annotations

import os
import socket
import stat
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from topcon.errors import HostUnreadable
from topcon.exporter.listen import (
    DEFAULT_PORT,
    HandedOver,
    TcpAddress,
    UnixAddress,
    handed_over,
    is_exposed,
    notify,
    open_listeners,
    parse_listen,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from topcon.exporter.listen import Address, Listener


@contextmanager
def listening(where: Address) -> Iterator[Listener]:
    (listener,) = open_listeners(where)
    try:
        yield listener
    finally:
        listener.close()


def refusal(where: Address) -> str:
    with pytest.raises(HostUnreadable) as caught:
        open_listeners(where)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# Addresses.


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:9338", ("127.0.0.1", 9338)),
        (":9000", ("127.0.0.1", 9000)),
        ("9000", ("127.0.0.1", 9000)),
        ("0", ("127.0.0.1", 0)),
        ("0.0.0.0:0", ("0.0.0.0", 0)),
        ("localhost", ("localhost", DEFAULT_PORT)),
        ("host.example:65535", ("host.example", 65535)),
        ("[::1]:9338", ("::1", 9338)),
        ("[::]:80", ("::", 80)),
        ("unix:80", ("unix", 80)),
        ("systemd:80", ("systemd", 80)),
        ("unix:/run/topcon.sock", UnixAddress("/run/topcon.sock")),
        ("unix:/run/a:b.sock", UnixAddress("/run/a:b.sock")),
        ("systemd", HandedOver()),
    ],
)
def test_an_address_to_listen_at(text: str, expected: object) -> None:
    assert parse_listen(text) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("host:", "expected ADDRESS:PORT"),
        ("host:http", "expected ADDRESS:PORT"),
        (":", "expected ADDRESS:PORT"),
        ("host:-1", "expected ADDRESS:PORT"),
        ("host:65536", "a port from 0 to 65535"),
        ("65536", "a port from 0 to 65535"),
        ("host:\u00b2", "expected ADDRESS:PORT"),
        ("::1:9338", "an IPv6 address belongs in brackets, such as [::1]:9338"),
        ("fe80::2:9338", "an IPv6 address belongs in brackets, such as [::1]:9338"),
        ("unix:run/topcon.sock", "unix:/PATH"),
        ("unix:/", "expected unix:/PATH of a socket"),
        ("unix:/run/", "expected unix:/PATH of a socket"),
        ("unix:/a\0b", "expected unix:/PATH of a socket"),
        (f"unix:/{'a' * 107}", "of 107 bytes at the most"),
    ],
)
def test_an_address_that_cannot_be_listened_at_says_what_was_expected(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=r"^'.*': ") as caught:
        parse_listen(text)

    assert words in str(caught.value)


@given(st.text())
@example("\u00b2")
@example("[]:1")
def test_any_address_gives_a_port_or_says_what_was_expected(text: str) -> None:
    said = ""
    where: Address = TcpAddress("", 0)
    try:
        where = parse_listen(text)
    except ValueError as error:
        said = str(error)
    address, port = where if isinstance(where, TcpAddress) else ("no address", 0)
    assert address or "expected ADDRESS:PORT" in said or "belongs in brackets" in said
    assert 0 <= port <= 65535


@pytest.mark.parametrize("text", ["127.0.0.1:9338", "[::1]:80", "host.example:1"])
def test_an_address_is_written_as_it_is_read(text: str) -> None:
    assert str(parse_listen(text)) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:0", False),
        ("127.8.9.1:0", False),
        ("localhost:0", False),
        ("[::1]:0", False),
        ("0.0.0.0:0", True),
        ("[::]:0", True),
        ("192.0.2.1:0", True),
        ("a..b:0", True),
        ("unix:/run/topcon.sock", False),
        ("systemd", False),
    ],
)
def test_whether_others_can_reach_an_address(text: str, expected: bool) -> None:
    assert is_exposed(parse_listen(text)) is expected


# Sockets in the file system.


def test_a_socket_is_for_its_owner_and_group_whatever_the_umask_and_goes_with_the_server(tmp_path: Path) -> None:
    path = tmp_path / "topcon.sock"
    old = os.umask(0o077)
    try:
        with listening(UnixAddress(str(path))) as listener:
            assert stat.S_IMODE(path.stat().st_mode) == 0o660
            assert (listener.where, listener.is_unix) == (f"unix:{path}", True)
    finally:
        os.umask(old)

    assert not path.exists()


def test_a_socket_that_a_dead_server_left_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "topcon.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with listening(UnixAddress(str(path))), closing(socket.socket(socket.AF_UNIX)) as client:
        client.connect(str(path))


def test_a_socket_of_a_living_server_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "topcon.sock"
    with listening(UnixAddress(str(path))), closing(socket.socket(socket.AF_UNIX)) as client:
        assert refusal(UnixAddress(str(path))).startswith(f"cannot listen at unix:{path}: address already in use")
        client.connect(str(path))


def test_a_file_in_the_place_of_a_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "topcon.sock"
    path.write_text("mine")

    assert "address already in use" in refusal(UnixAddress(str(path)))
    assert path.read_text() == "mine"


def test_a_socket_in_no_folder_is_refused(tmp_path: Path) -> None:
    assert "no such file or directory" in refusal(UnixAddress(str(tmp_path / "none" / "topcon.sock")))


def test_a_socket_that_has_become_anothers_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "topcon.sock"
    with listening(UnixAddress(str(path))):
        path.unlink()
        path.write_text("another's")

    assert path.read_text() == "another's"


def test_a_socket_that_is_gone_is_no_error(tmp_path: Path) -> None:
    path = tmp_path / "topcon.sock"
    with listening(UnixAddress(str(path))):
        path.unlink()


# What a service manager hands over.


@contextmanager
def in_a_row(*sockets: socket.socket | int) -> Iterator[int]:
    """Have copies of descriptors one after the other, and return the first."""
    first = max(int(link.name) for link in Path("/proc/self/fd").iterdir()) + 1
    for number, each in enumerate(sockets):
        os.dup2(each if isinstance(each, int) else each.fileno(), first + number)
    try:
        yield first
    finally:
        for number in range(len(sockets)):
            try:
                os.close(first + number)
            except OSError:
                continue


def test_all_listening_stream_sockets_are_taken_over_and_nothing_else(tmp_path: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.socket(socket.AF_UNIX) as unix,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
        socket.socket(socket.AF_INET) as idle,
        (tmp_path / "file").open("w") as file,
    ):
        unix.bind(str(tmp_path / "handed.sock"))
        unix.listen()
        with in_a_row(tcp, datagrams, file.fileno(), idle, unix) as first:
            environ = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "5"}
            listeners = handed_over(environ, first)
            ports = [listener.where for listener in listeners]
            inheritable = [listener.socket.get_inheritable() for listener in listeners]
            for listener in listeners:
                listener.close()

        assert ports == [f"127.0.0.1:{tcp.getsockname()[1]}", f"unix:{tmp_path / 'handed.sock'}"]
        assert inheritable == [False, False]
        assert (tmp_path / "handed.sock").exists()


@pytest.mark.parametrize(
    ("pid", "count"),
    [(None, None), ("1", "1"), ("own", "0"), ("own", ""), ("own", "-1"), ("own", "x"), ("own", "9" * 5000)],
)
def test_where_nothing_is_handed_over_it_is_said(pid: str | None, count: str | None) -> None:
    environ = {"LISTEN_PID": str(os.getpid()) if pid == "own" else pid, "LISTEN_FDS": count}
    with (
        socket.create_server(("127.0.0.1", 0)) as tcp,
        in_a_row(tcp) as first,
        pytest.raises(HostUnreadable, match=r"^cannot listen at systemd: no listening socket was handed over"),
    ):
        handed_over({name: value for name, value in environ.items() if value is not None}, first)


def test_what_is_handed_over_is_asked_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LISTEN_PID", raising=False)

    assert "no listening socket" in refusal(HandedOver())


# Readiness.


@pytest.mark.parametrize("is_abstract", [False, True])
def test_a_service_manager_is_told(tmp_path: Path, is_abstract: bool) -> None:
    name = f"@topcon-test-{os.getpid()}" if is_abstract else str(tmp_path / "notify.sock")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"\0{name[1:]}" if is_abstract else name)
        notify("READY=1", {"NOTIFY_SOCKET": name})

        assert manager.recv(100) == b"READY=1"


@pytest.mark.parametrize("path", ["", "relative", "/no/such/socket", "@no-such-socket", f"/{'a' * 200}"])
def test_a_service_manager_that_does_not_listen_is_no_reason_to_end(path: str) -> None:
    notify("READY=1", {"NOTIFY_SOCKET": path} if path else {})
