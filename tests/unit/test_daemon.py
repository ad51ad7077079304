"""Who answers at a socket, and what that costs it."""

from __future__ import annotations

import os
import socket
import time
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topcon.runtimes import daemon as module
from topcon.runtimes.daemon import NAMES, Daemon, Process, daemon_at, find_process, process_cpu_ns

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECOND_NS = 10**9
OLD = Process(10, 5.0)
"""Started long ago."""


@dataclass
class World:
    """Processes by pid with what they have used, and who answers at the socket."""

    used_ns: dict[int, int] = field(default_factory=lambda: {OLD.pid: 7 * SECOND_NS})
    answers: Process | None = OLD
    now_s: float = 1000.0
    sought: int = 0

    def find(self) -> Process | None:
        self.sought += 1
        return self.answers

    def daemon(self) -> Daemon:
        return Daemon(self.find, self.used_ns.get, lambda: self.now_s)


@pytest.fixture
def world() -> World:
    return World()


def ask(world: World, daemon: Daemon, *, used_ns: int, pid: int = OLD.pid) -> None:
    with daemon.asked():
        world.used_ns[pid] = world.used_ns.get(pid, 0) + used_ns


def test_before_the_first_request_nothing_is_known(world: World) -> None:
    daemon = world.daemon()

    assert (daemon.pid, daemon.cpu_s, world.sought) == (None, None, 0)


def test_what_is_used_during_requests_counts_and_no_more(world: World) -> None:
    daemon = world.daemon()
    for _ in range(3):
        ask(world, daemon, used_ns=SECOND_NS)
        world.used_ns[OLD.pid] += 100 * SECOND_NS

    assert (daemon.pid, daemon.cpu_s, world.sought) == (OLD.pid, 3.0, 1)


def test_a_request_that_fails_counts(world: World) -> None:
    daemon = world.daemon()

    def fail() -> None:
        with daemon.asked():
            world.used_ns[OLD.pid] += SECOND_NS
            raise TimeoutError

    with pytest.raises(TimeoutError):
        fail()

    assert daemon.cpu_s == 1.0


def test_requests_at_the_same_time_count_once(world: World) -> None:
    daemon = world.daemon()
    with daemon.asked():
        ask(world, daemon, used_ns=SECOND_NS)
        assert daemon.cpu_s is None

    assert daemon.cpu_s == 1.0


def test_one_that_is_not_there_any_more_is_sought_again(world: World) -> None:
    daemon = world.daemon()
    ask(world, daemon, used_ns=SECOND_NS)
    world.used_ns.clear()
    world.used_ns[11] = 50 * SECOND_NS
    world.answers = Process(11, 900.0)

    ask(world, daemon, used_ns=2 * SECOND_NS, pid=11)

    assert (daemon.pid, daemon.cpu_s, world.sought) == (11, 3.0, 2)


def test_what_our_question_has_started_counts_from_its_beginning(world: World) -> None:
    daemon = world.daemon()
    world.answers = None
    with daemon.asked():
        world.answers = Process(12, world.now_s)
        world.used_ns[12] = SECOND_NS // 4

    assert (daemon.pid, daemon.cpu_s) == (12, 0.25)


def test_what_is_found_only_at_the_end_but_was_there_before_does_not_count(world: World) -> None:
    daemon = world.daemon()
    world.answers = None
    with daemon.asked():
        world.answers = OLD

    assert (daemon.pid, daemon.cpu_s) == (OLD.pid, 0.0)


def test_another_with_the_same_pid_is_told_from_it(world: World) -> None:
    daemon = world.daemon()
    with daemon.asked():
        world.answers = Process(OLD.pid, 1001.0)
        world.used_ns[OLD.pid] = SECOND_NS
        daemon.forget()

    assert daemon.cpu_s == 1.0


def test_what_cannot_be_told_is_not_sought_at_every_request(world: World) -> None:
    daemon = world.daemon()
    world.answers = None
    for _ in range(3):
        with daemon.asked():
            pass
    assert (daemon.pid, daemon.cpu_s, world.sought) == (None, None, 2)

    world.answers = OLD
    daemon.forget()
    ask(world, daemon, used_ns=SECOND_NS)

    assert daemon.cpu_s == 1.0


def test_a_process_that_cannot_be_measured_is_not_known(world: World) -> None:
    world.used_ns = {}
    daemon = world.daemon()
    with daemon.asked():
        pass

    assert daemon.cpu_s is None


@given(st.lists(st.tuples(st.integers(0, 10**12), st.integers(0, 10**12)), max_size=20))
def test_whatever_it_does_the_sum_of_the_requests_is_told(steps: list[tuple[int, int]]) -> None:
    world = World()
    daemon = world.daemon()
    for during_ns, between_ns in steps:
        ask(world, daemon, used_ns=during_ns)
        world.used_ns[OLD.pid] += between_ns

    assert daemon.cpu_s == (sum(during_ns for during_ns, _ in steps) / 1e9 if steps else None)


# Real processes, and a socket of our own.


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[str]:
    path = f"{tmp_path}/runtime.sock"
    with closing(socket.socket(socket.AF_UNIX)) as server:
        server.bind(path)
        server.listen()
        yield path


def test_the_listener_is_who_answers(listening: str) -> None:
    found = find_process(listening, ("dockerd",))

    assert found is not None
    assert found.pid == os.getpid()
    assert 0 < found.started_s <= time.clock_gettime(time.CLOCK_BOOTTIME)


def test_what_it_uses_is_the_processs_own_clock(listening: str) -> None:
    daemon = daemon_at("docker", listening)
    with daemon.asked():
        before_s = time.process_time()
        sum(range(1_000_000))
        used_s = time.process_time() - before_s

    assert daemon.pid == os.getpid()
    assert daemon.cpu_s is not None
    assert daemon.cpu_s >= used_s > 0


def test_a_process_that_is_not_there_has_no_clock() -> None:
    assert process_cpu_ns(2**22 + 1) is None
    assert (process_cpu_ns(1) or 0) > 0


@pytest.mark.parametrize("where", ["/nowhere/docker.sock", "127.0.0.1:2375", "x" * 200, "nul\0"])
def test_where_nobody_can_be_asked_nobody_is_known(where: str) -> None:
    assert find_process(where, ("dockerd",)) is None


def test_a_daemon_that_takes_no_more_connections_is_not_waited_for(tmp_path: Path) -> None:
    path = f"{tmp_path}/busy.sock"
    with closing(socket.socket(socket.AF_UNIX)) as server, closing(socket.socket(socket.AF_UNIX)) as first:
        server.bind(path)
        server.listen(0)
        first.connect(path)

        assert find_process(path, ("dockerd",)) is None


def test_who_is_in_another_pid_namespace_is_not_mistaken_for_us(
    listening: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Outside(socket.socket):
        def getsockopt(self, *arguments: int) -> bytes:  # type: ignore[override]
            assert arguments[:2] == (socket.SOL_SOCKET, socket.SO_PEERCRED)
            return bytes(12)

    monkeypatch.setattr(module.sockets, "socket", Outside)

    assert find_process(listening, ("dockerd",)) is None


STAT = "{pid} (a) b) S 1 {zeros} {start} 0 0\n"


def process(root: Path, pid: int, comm: str, start: int = 100, children: str = "") -> None:
    folder = root / str(pid)
    (folder / f"task/{pid}").mkdir(parents=True)
    (folder / "comm").write_text(f"{comm}\n")
    (folder / "stat").write_text(STAT.format(pid=pid, zeros=" ".join("0" * 17), start=start))
    (folder / f"task/{pid}/children").write_text(children)


@pytest.mark.parametrize(
    ("children", "names", "expected"),
    [
        ({20: "sshd", 21: "dockerd", 22: "containerd"}, NAMES["docker"], 21),
        ({20: "sshd", 21: "dockerd", 22: "containerd"}, NAMES["containerd"], 22),
        ({20: "podman", 21: "dockerd"}, NAMES["docker"], 21),
        ({20: "podman", 21: "sshd"}, NAMES["docker"], 20),
        ({20: "dockerd", 21: "dockerd"}, NAMES["docker"], None),
        ({20: "sshd"}, NAMES["docker"], None),
        ({}, NAMES["docker"], None),
        ({21: "dockerd"}, (), None),
    ],
)
def test_behind_a_socket_of_systemd_is_its_child_of_that_name(
    listening: str, tmp_path: Path, children: dict[int, str], names: tuple[str, ...], expected: int | None
) -> None:
    root = tmp_path / "proc"
    process(root, os.getpid(), "systemd", children=" ".join(map(str, children)))
    for pid, comm in children.items():
        process(root, pid, comm, start=250)

    found = find_process(listening, names, str(root))

    assert found == (None if expected is None else Process(expected, 250 / os.sysconf("SC_CLK_TCK")))


@pytest.mark.parametrize("stat", [None, "", "1 (a) S 1", "1 (a) " + "x " * 30])
def test_a_process_whose_start_is_not_known_is_none(listening: str, tmp_path: Path, stat: str | None) -> None:
    root = tmp_path / "proc"
    process(root, os.getpid(), "dockerd")
    path = root / f"{os.getpid()}/stat"
    path.unlink() if stat is None else path.write_text(stat)

    assert find_process(listening, (), str(root)) is None


def test_every_runtime_that_comes_with_topcon_has_a_name() -> None:
    assert all(NAMES[name] for name in ("containerd", "cri-o", "docker", "incus", "podman"))
