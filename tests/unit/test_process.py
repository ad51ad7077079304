"""Processes below a root: what they are, which namespaces they live in, and which of a container's is its first."""

from __future__ import annotations

import errno
import os
import shutil
import signal
from typing import TYPE_CHECKING

import pytest
from descriptors import open_below
from fakes import HOST_NAMESPACES, FakeHost

from topcon.errors import ParseError
from topcon.kernel.files import Access
from topcon.kernel.process import CANDIDATES, TICK_NS, ProcFs, SignalMasks
from topcon.model.sample import InterfaceStat, Namespaces, ProcessSample
from topcon.signals import signal_number

if TYPE_CHECKING:
    from collections.abc import Callable

BOOT_NS = 1_790_000_000_000_000_000
TCP_TITLES = "  sl  local_address rem_address   st tx_queue rx_queue\n"


def processes_of(host: FakeHost) -> tuple[ProcFs, Access]:
    access = Access()
    return ProcFs(host.proc_root, access), access


def refuse(call: str, ending: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a call of ``os`` refuse paths of this ending."""
    really: Callable[..., object] = getattr(os, call)

    def refusing(path: str, *arguments: object, **options: object) -> object:
        if str(path).endswith(ending):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return really(path, *arguments, **options)

    monkeypatch.setattr(os, call, refusing)


def test_a_process_is_read(host: FakeHost) -> None:
    host.process(100, comm="nginx: master", start_ticks=250, netns=4026540001, ns_pids=(100, 17, 1))
    processes, access = processes_of(host)

    assert processes.sample(100, BOOT_NS) == ProcessSample(
        pid=100,
        start_ticks=250,
        comm="nginx: master",
        started_ns=BOOT_NS + 250 * TICK_NS,
        ns_pids=(100, 17, 1),
        namespaces=Namespaces(**HOST_NAMESPACES | {"net": 4026540001}),
        netns=(host.root / "netns/4026540001").stat().st_ino,
    )
    assert access.refused is None


def test_a_tick_is_the_kernels() -> None:
    assert TICK_NS * os.sysconf("SC_CLK_TCK") == 10**9


@pytest.mark.parametrize("gone", ["stat", "status"])
def test_a_process_that_ends_while_it_is_read_is_none(host: FakeHost, gone: str) -> None:
    host.process(100)
    (host.root / f"proc/100/{gone}").unlink()

    assert processes_of(host)[0].sample(100, BOOT_NS) is None


def test_a_process_that_ended_is_none_to_all_questions(host: FakeHost) -> None:
    processes, access = processes_of(host)

    assert processes.sample(100, BOOT_NS) is None
    assert processes.namespaces(100) == Namespaces()
    assert processes.netns(100) is None
    assert processes.interfaces(100) is None
    assert processes.parent(100) is None
    assert processes.environment(100) == {}
    assert processes.signal_masks(100) is None
    assert processes.established(100) is None
    assert access.refused is None


def test_a_malformed_process_is_told(host: FakeHost) -> None:
    host.process(100)
    host.write("proc/100/stat", "100 sleep S 1\n")
    processes, _ = processes_of(host)

    for read in (lambda: processes.sample(100, BOOT_NS), lambda: processes.parent(100)):
        with pytest.raises(ParseError, match="proc/100/stat: cannot understand"):
            read()


# Namespaces.


def test_namespaces_that_may_not_be_seen_are_none_and_noted(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    host.process(100)
    processes, access = processes_of(host)
    with monkeypatch.context() as patch:
        refuse("readlink", "/100/ns/user", patch)
        refuse("readlink", "/100/ns/net", patch)
        namespaces = processes.namespaces(100)

    assert namespaces == Namespaces(**HOST_NAMESPACES | {"net": None, "user": None})
    assert access.refused == f"{host.proc_root}/100/ns/net"


def test_a_kind_that_the_kernel_does_not_have_is_none(host: FakeHost) -> None:
    host.process(100)
    (host.root / "proc/100/ns/time").unlink()
    processes, access = processes_of(host)

    assert processes.namespaces(100) == Namespaces(**HOST_NAMESPACES | {"time": None})
    assert access.refused is None


@pytest.mark.parametrize("target", ["net", "net:[]", "net:[x]", "/somewhere"])
def test_a_link_in_another_form_is_none(host: FakeHost, target: str) -> None:
    host.process(100)
    (host.root / "proc/100/ns/net").unlink()
    (host.root / "proc/100/ns/net").symlink_to(target)

    assert processes_of(host)[0].namespaces(100).net is None


def test_network_namespaces_are_told_apart_without_seeing_them(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    for pid, netns in ((100, 1), (101, 1), (102, 2)):
        host.process(pid, netns=netns)
    processes, access = processes_of(host)
    with monkeypatch.context() as patch:
        refuse("readlink", "", patch)
        keys = [processes.netns(pid) for pid in (100, 101, 102)]

    assert keys[0] == keys[1] != keys[2]
    assert None not in keys
    assert access.refused is None


def test_a_process_that_may_not_be_looked_at_is_noted(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    host.process(100)
    processes, access = processes_of(host)
    with monkeypatch.context() as patch:
        refuse("stat", "/100/net/dev", patch)

        assert processes.netns(100) is None

    assert access.refused == f"{host.proc_root}/100/net/dev"


# Networks.


def test_the_interfaces_that_a_process_sees(host: FakeHost) -> None:
    host.process(100, netns=5, rx=1200, tx=3400)

    assert processes_of(host)[0].interfaces(100) == {
        "lo": InterfaceStat(500, 5, 0, 0, 500, 5, 0, 0),
        "eth0": InterfaceStat(1200, 12, 1, 2, 3400, 34, 3, 4),
    }


def test_the_interfaces_are_never_kept_open(host: FakeHost) -> None:
    host.process(100)
    processes = processes_of(host)[0]

    processes.interfaces(100)

    assert not open_below(host.root)


@pytest.mark.parametrize(
    ("tcp", "tcp6", "count"),
    [
        (["01", "0A", "01", "06"], ["01"], 3),
        (["0A"], ["0A"], 0),
        (["01"], None, 1),
        ([], [], 0),
    ],
)
def test_established_connections_of_both_protocols_are_counted(
    host: FakeHost, tcp: list[str], tcp6: list[str] | None, count: int
) -> None:
    host.process(100)
    for name, states in (("tcp", tcp), ("tcp6", tcp6)):
        if states is not None:
            lines = (
                f"   {at}: 0100007F:1F90 0100007F:9C40 {state} 00000000:00000000\n" for at, state in enumerate(states)
            )
            host.write(f"proc/100/net/{name}", TCP_TITLES + "".join(lines))

    assert processes_of(host)[0].established(100) == count


# The first process.


def test_the_first_process_is_the_one_with_pid_1_inside(host: FakeHost) -> None:
    host.process(100, start_ticks=10, ns_pids=(100, 30))
    host.process(101, start_ticks=20, ns_pids=(101, 1))
    host.process(102, start_ticks=5, ns_pids=(102, 31))

    first = processes_of(host)[0].first_of([100, 101, 102], BOOT_NS)

    assert first is not None
    assert first.pid == 101


@pytest.mark.parametrize("ns_pids", [lambda pid: (pid,), lambda pid: (pid, pid)], ids=["the host's", "another's"])
def test_in_a_shared_pid_namespace_it_is_the_oldest(host: FakeHost, ns_pids: Callable[[int], tuple[int, ...]]) -> None:
    for pid, start_ticks in ((102, 30), (100, 20), (101, 20)):
        host.process(pid, start_ticks=start_ticks, ns_pids=ns_pids(pid))

    first = processes_of(host)[0].first_of([102, 100, 101], BOOT_NS)

    assert first is not None
    assert first.pid == 100


def test_the_hosts_own_pid_1_is_not_a_containers(host: FakeHost) -> None:
    host.process(100, start_ticks=1, ns_pids=(100,))
    host.process(1, start_ticks=2, ns_pids=(1,))

    first = processes_of(host)[0].first_of([1, 100], BOOT_NS)

    assert first is not None
    assert first.pid == 100


def test_processes_that_have_ended_are_passed_over(host: FakeHost) -> None:
    host.process(103, start_ticks=30)
    processes, _ = processes_of(host)

    first = processes.first_of([101, 102, 103], BOOT_NS)

    assert first is not None
    assert first.pid == 103
    assert processes.first_of([101, 102], BOOT_NS) is None
    assert processes.first_of([], BOOT_NS) is None


def test_only_so_many_processes_are_looked_at(host: FakeHost) -> None:
    host.process(100, ns_pids=(100, 30))
    host.process(900, ns_pids=(900, 1))
    ended = range(200, 200 + CANDIDATES)
    processes, _ = processes_of(host)

    last_looked_at = processes.first_of([100, *ended[: CANDIDATES - 2], 900], BOOT_NS)
    first_left_out = processes.first_of([100, *ended[: CANDIDATES - 1], 900], BOOT_NS)

    assert last_looked_at is not None
    assert first_left_out is not None
    assert (last_looked_at.pid, first_left_out.pid) == (900, 100)


def test_a_process_is_another_once_its_pid_is_used_again(host: FakeHost) -> None:
    host.process(100, start_ticks=10)
    processes, _ = processes_of(host)
    process = processes.sample(100, BOOT_NS)
    assert process is not None
    assert processes.is_running(process)

    host.process(100, start_ticks=11)
    assert not processes.is_running(process)

    shutil.rmtree(host.root / "proc/100")
    assert not processes.is_running(process)


# What actions ask for.


def test_the_parent_of_a_process(host: FakeHost) -> None:
    host.process(100, ppid=42)
    host.process(2, ppid=0)
    processes, _ = processes_of(host)

    assert (processes.parent(100), processes.parent(2)) == (42, 0)


def test_the_environment_of_a_process(host: FakeHost) -> None:
    host.process(100)
    host.write("proc/100/environ", "PATH=/bin\0EMPTY=\0SSH_CLIENT=192.0.2.1 50000 22\0A=b=c\0odd\0\0")

    assert processes_of(host)[0].environment(100) == {
        "PATH": "/bin",
        "EMPTY": "",
        "SSH_CLIENT": "192.0.2.1 50000 22",
        "A": "b=c",
        "odd": "",
    }


def test_a_refused_environment_is_empty_and_not_worth_a_word(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    host.process(100)
    host.write("proc/100/environ", "PATH=/bin\0")
    processes, access = processes_of(host)
    with monkeypatch.context() as patch:
        refuse("open", "/environ", patch)

        assert processes.environment(100) == {}

    assert access.refused is None


def test_the_signals_of_a_process(host: FakeHost) -> None:
    host.process(100, caught=1 << (signal.SIGTERM - 1), ignored=1 << (signal.SIGHUP - 1))
    masks = processes_of(host)[0].signal_masks(100)

    assert masks == SignalMasks(caught=1 << 14, ignored=1)
    assert masks.handles(signal.SIGTERM)
    assert not masks.handles(signal.SIGHUP)
    assert masks.ignores(signal.SIGHUP)
    assert not masks.ignores(signal.SIGTERM)


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("SIGTERM", signal.SIGTERM),
        ("TERM", signal.SIGTERM),
        ("term", signal.SIGTERM),
        ("sigKill", signal.SIGKILL),
        ("15", signal.SIGTERM),
        ("SIGWINCH", signal.SIGWINCH),
        # What images with systemd in them name as their stop signal, and other ways to write such a one.
        ("SIGRTMIN+3", signal.SIGRTMIN + 3),
        ("RTMIN+3", signal.SIGRTMIN + 3),
        ("SIGRTMAX-2", signal.SIGRTMAX - 2),
        ("37", 37),
    ],
)
def test_a_signal_is_known_by_its_names_and_its_number(name: str, number: int) -> None:
    assert signal_number(name) == number


@pytest.mark.parametrize("name", ["", "SIG", "SIGNOTHING", "0", "65", "-15", "1.5", "SIGRTMIN+99", "SIGSIGTERM"])
def test_what_is_no_signal_is_refused(name: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  the message is no more than the name
        signal_number(name)
