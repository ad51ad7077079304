"""Connections by cgroup, as the kernel's socket diagnosis tells them."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pytest

from topcon.kernel import netlink
from topcon.kernel.mount import read_hierarchies
from topcon.kernel.netlink import established_by_cgroup

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ESTABLISHED_ONLY = 1 << 1


class Message:
    """A socket, as pyroute2 gives it."""

    def __init__(self, cgroup_id: int | None) -> None:
        self._attributes = {"INET_DIAG_CGROUP_ID": cgroup_id}

    def get_attr(self, name: str) -> int | None:
        return self._attributes.get(name)


class FakeDiag:
    """A kernel with some sockets: address family to the cgroups that opened them."""

    cgroups: Mapping[int, list[int | None]]
    calls: list[str]

    def __enter__(self) -> Self:
        self.calls.append("open")
        return self

    def __exit__(self, *_: object) -> None:
        self.calls.append("close")

    def bind(self) -> None:
        self.calls.append("bind")

    def get_sock_stats(self, *, family: int, states: int) -> Iterator[Message]:
        assert states == ESTABLISHED_ONLY
        self.calls.append(socket.AddressFamily(family).name)
        return map(Message, self.cgroups[family])


def fake_kernel(monkeypatch: pytest.MonkeyPatch, cgroups: Mapping[int, list[int | None]]) -> list[str]:
    """Put a kernel in the place of ours; return the calls that it gets."""
    calls: list[str] = []
    diag = type("Diag", (FakeDiag,), {"cgroups": cgroups, "calls": calls})
    monkeypatch.setattr(netlink, "DiagSocket", diag)
    return calls


def test_connections_of_both_protocols_are_counted_by_cgroup(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = fake_kernel(monkeypatch, {socket.AF_INET: [7, 8, 7], socket.AF_INET6: [7, 9]})

    assert established_by_cgroup() == {7: 3, 8: 1, 9: 1}
    assert calls == ["open", "bind", "AF_INET", "AF_INET6", "close"]


def test_kernels_that_do_not_name_the_cgroup_give_no_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_kernel(monkeypatch, {socket.AF_INET: [None, None], socket.AF_INET6: []})

    assert established_by_cgroup() == {}


def test_a_failing_kernel_is_not_hidden_and_the_socket_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = fake_kernel(monkeypatch, {})

    def fail(_: FakeDiag) -> None:
        raise OSError(2, "no sock_diag")

    monkeypatch.setattr(FakeDiag, "bind", fail)

    with pytest.raises(OSError, match="no sock_diag"):
        established_by_cgroup()
    assert calls == ["open", "close"]


def own_cgroup_id() -> int | None:
    """The inode of the cgroup of version 2 that this process is in; None where it cannot be looked at."""
    line = next((line for line in Path("/proc/self/cgroup").read_text().splitlines() if line.startswith("0::")), None)
    v2 = read_hierarchies("/proc", "/sys/fs/cgroup").v2
    if line is None or v2 is None:
        return None
    directory = Path(v2 + line.removeprefix("0::"))
    return directory.stat().st_ino if directory.is_dir() else None


def test_a_connection_of_ours_is_counted_for_our_cgroup() -> None:
    cgroup = own_cgroup_id()
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()):
        accepted, _ = server.accept()
        with accepted:
            try:
                counts = established_by_cgroup()
            except OSError as error:
                pytest.skip(f"no sock_diag here: {error}")
    if cgroup is None or not counts:
        pytest.skip("this kernel does not say which cgroup a connection is of")

    # Both ends are ours.
    assert counts[cgroup] >= 2
