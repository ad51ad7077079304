"""The processes of containers, as files tell them: who is in which, what each uses, who is who."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from descriptors import open_below
from fakes import UPTIME_S
from hypothesis import given
from hypothesis import strategies as st
from samples import cgroup_of, node_of, process_of

from topcon.errors import ParseError
from topcon.kernel import processes as module
from topcon.kernel.mount import read_hierarchies
from topcon.kernel.processes import (
    ProcessReader,
    Stat,
    Status,
    UidRange,
    parse_command,
    parse_stat,
    parse_status,
    parse_uid_map,
    parse_users,
    read_users,
    to_inside,
)
from topcon.model.processes import ProcessTable
from topcon.model.sample import CgroupPath, Namespaces, NsInode, Problem

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fakes import FakeHost

    from topcon.model.processes import Process
    from topcon.model.snapshot import ContainerNode

WEB = "/docker/web"
TICKS = module.TICKS_PER_SECOND
STAT = b"4711 (a) b ((c) S 42 4711 4711 0 -1 4194560 100 0 0 0 250 50 9 9 20 0 7 0 123456 9 260 18446744073709551615"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """A clock that stands still until it is moved on, by seconds."""
    now = [1_000_000_000]
    monkeypatch.setattr(module.time, "monotonic_ns", lambda: now[0])

    def move(seconds: float) -> None:
        now[0] += int(seconds * 1e9)

    return move


def write(
    host: FakeHost,
    pid: int,
    *,
    ppid: int = 1,
    state: str = "S",
    ticks: int = 0,
    threads: int = 1,
    start_ticks: int = 5000,
    uid: int | None = 0,
    rss_kb: int | None = 1024,
    command: str = "sleep\x00100\x00",
    comm: str = "sleep",
    ns_pid: int = 1,
) -> None:
    fields = ["0"] * 49
    fields[0], fields[1], fields[11], fields[17], fields[19] = (
        state,
        str(ppid),
        str(ticks),
        str(threads),
        str(start_ticks),
    )
    host.write(f"proc/{pid}/stat", f"{pid} ({comm}) {' '.join(fields)}\n")
    status = f"Name:\t{comm}\n" + (f"Uid:\t9\t{uid}\t9\t9\n" if uid is not None else "") + f"NSpid:\t{pid}\t{ns_pid}\n"
    host.write(f"proc/{pid}/status", status + (f"VmRSS:\t    {rss_kb} kB\n" if rss_kb is not None else ""))
    host.write(f"proc/{pid}/cmdline", command)


def reader_of(host: FakeHost) -> ProcessReader:
    return ProcessReader(host.proc_root, read_hierarchies(host.proc_root, host.cgroup_root))


def in_cgroup(host: FakeHost, *pids: int, path: str = WEB, first: int | None = None) -> ContainerNode:
    """Put processes in a container's cgroup, and return the container."""
    host.cgroup(path, {"cgroup.procs": "".join(f"{pid}\n" for pid in pids)})
    inode = os.stat(host.root / f"sys/fs/cgroup{path}").st_ino  # noqa: PTH116  as where it is read
    process = process_of("web", pid=first) if first is not None else None
    return node_of("web", cgroup=cgroup_of(CgroupPath(path), inode=inode), process=process)


def seen(found: ProcessTable | Problem) -> list[Process]:
    assert isinstance(found, ProcessTable)
    return [process for members in found.members for process in members.processes]


def test_a_stat_is_parsed_whatever_the_command_is_called() -> None:
    assert parse_stat(STAT, "stat") == Stat("a) b ((c", "S", 42, 300, 7, 123456)


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"Name:\tx\nUid:\t1\t1000\t3\t4\nNSpid:\t4711\t7\nVmRSS:\t    1052 kB\n", Status(7, 1000, 1052 * 1024)),
        (b"Name:\tx\nUid:\t0\t0\t0\t0\nNSpid:\t4711\n", Status(4711, 0, 0)),
        (b"Name:\tx\n", Status(None, None, 0)),
    ],
)
def test_a_status_is_parsed(raw: bytes, status: Status) -> None:
    assert parse_status(raw, "status") == status


@pytest.mark.parametrize(
    ("raw", "command"),
    [
        (b"nginx\0-g\0daemon off;\0", "nginx -g daemon off;"),
        (b"nginx: worker process\0\0\0\0", "nginx: worker process"),
        (b"\xff\0", "\ufffd"),
        (b"", None),
        (b"\0", None),
    ],
)
def test_a_command_line_is_its_words(raw: bytes, command: str | None) -> None:
    assert parse_command(raw) == command


def test_users_are_mapped_range_by_range() -> None:
    ranges = parse_uid_map(b"         0     100000      65536\n     70000       1000          1\n", "uid_map")

    assert ranges == (UidRange(0, 100000, 65536), UidRange(70000, 1000, 1))
    assert [to_inside(uid, ranges) for uid in (100000, 165535, 165536, 1000, 0)] == [0, 65535, None, 70000, None]


def test_users_have_the_first_name_of_their_number() -> None:
    raw = b"root:x:0:0::/:/bin/sh\ntoor:x:0:0::/:\n\n# no\nweb:x:x:0:\n:x:5:5:\npg:x:70:70:Pg\xff:/:/bin/sh"

    assert parse_users(raw) == {0: "root", 70: "pg"}


@given(st.binary())
@pytest.mark.parametrize("parse", [parse_stat, parse_status, parse_uid_map])
def test_any_bytes_parse_or_raise_a_parse_error(parse: Callable[[bytes, str], object], raw: bytes) -> None:
    try:
        parse(raw, "file")
    except ParseError as error:
        assert error.path == "file"  # noqa: PT017  most bytes are meant to raise nothing


@given(st.binary())
def test_any_bytes_are_users_and_commands_as_far_as_they_go(raw: bytes) -> None:
    assert all(uid >= 0 and name for uid, name in parse_users(raw).items())
    assert parse_command(raw) != ""


@pytest.fixture
def root(host: FakeHost) -> Path:
    """What process 7 has for a root."""
    return host.write("proc/7/root/etc/passwd", "web:x:70:70::/:\n").parent.parent


def test_the_users_of_a_container_are_read(host: FakeHost, root: Path) -> None:
    assert root.is_dir()
    assert read_users(host.proc_root, 7) == {70: "web"}


@pytest.mark.parametrize("name", ["etc", "etc/passwd"])
def test_no_link_leads_out_of_a_container(host: FakeHost, root: Path, name: str) -> None:
    (root / name).rename(root / "other")
    (root / name).symlink_to(root / "other")

    assert read_users(host.proc_root, 7) == {}


def test_nothing_but_a_plain_file_is_opened(host: FakeHost, root: Path) -> None:
    (root / "etc/passwd").unlink()
    os.mkfifo(root / "etc/passwd")

    assert read_users(host.proc_root, 7) == {}


def test_users_are_not_read_without_end(host: FakeHost, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "etc/passwd").write_text("web:x:70:70::/:\nlate:x:71:71::/:\n")
    monkeypatch.setattr(module, "MOST_USERS_BYTES", 16)

    assert read_users(host.proc_root, 7) == {70: "web"}


def test_no_descriptor_is_left_open(host: FakeHost, root: Path) -> None:
    read_users(host.proc_root, 7)
    (root / "etc/passwd").unlink()
    read_users(host.proc_root, 7)
    read_users(host.proc_root, 8)

    assert not open_below(host.root)


def test_processes_are_those_of_the_cgroup_and_of_those_below(host: FakeHost) -> None:
    for pid in (100, 101, 102, 103):
        write(host, pid)
    host.cgroup(f"{WEB}/inner/most", {"cgroup.procs": "102\n0\n"})
    host.cgroup("/docker/other", {"cgroup.procs": "103\n"})

    found = reader_of(host).read([in_cgroup(host, 100, 101)])

    assert [process.pid for process in seen(found)] == [100, 101, 102]


def test_another_cgroup_in_its_place_has_none_of_its_processes(host: FakeHost) -> None:
    write(host, 100)
    container = in_cgroup(host, 100)
    assert container.cgroup is not None

    found = reader_of(host).read([container._replace(cgroup=container.cgroup._replace(inode=1))])

    assert seen(found) == []


def test_a_container_without_a_cgroup_has_those_in_its_namespace(host: FakeHost) -> None:
    for pid, inode in ((100, 77), (101, 77), (102, 78)):
        host.process(pid, netns=inode)
        write(host, pid)
    process = process_of("ns", pid=100, namespaces=Namespaces(net=NsInode(77)))
    container = node_of("ns", id="77", process=process)

    assert [each.pid for each in seen(reader_of(host).read([container]))] == [100, 101]


def test_a_process_is_told_with_its_own_words(host: FakeHost) -> None:
    write(host, 100, ppid=42, state="D", threads=3, start_ticks=700, uid=70, rss_kb=2048, ns_pid=9, comm="pg")
    host.write("proc/100/uid_map", "0 0 4294967295\n")
    host.write("proc/100/root/etc/passwd", "pg:x:70:70::/:\n")
    found = reader_of(host).read([in_cgroup(host, 100, first=100)])

    (process,) = seen(found)
    assert process._asdict() == {
        "pid": 100,
        "start_ticks": 700,
        "ppid": 42,
        "comm": "pg",
        "state": "D",
        "threads": 3,
        "cpu_cores": None,
        "rss_bytes": 2048 * 1024,
        "ns_pid": 9,
        "user": "pg",
        "command": "sleep 100",
    }
    assert isinstance(found, ProcessTable)
    assert found.age_s(process) == pytest.approx(UPTIME_S - 700 / TICKS)


@pytest.mark.parametrize(
    ("uid_map", "uid", "user"),
    [
        ("0 100000 65536\n", 100070, "pg"),
        ("0 100000 65536\n", 70, "70"),
        ("0 0 4294967295\n", 71, "71"),
        (None, 70, "70"),
    ],
    ids=["mapped", "nobody inside", "without a name", "not to be read"],
)
def test_a_user_has_the_containers_name_or_the_hosts_number(
    host: FakeHost, uid_map: str | None, uid: int, user: str
) -> None:
    write(host, 100, uid=uid)
    host.write("proc/100/root/etc/passwd", "pg:x:70:70::/:\n")
    if uid_map is not None:
        host.write("proc/100/uid_map", uid_map)

    assert [each.user for each in seen(reader_of(host).read([in_cgroup(host, 100)]))] == [user]


def test_cpu_is_what_was_used_between_two_looks(host: FakeHost, clock: Callable[[float], None]) -> None:
    reader = reader_of(host)
    for pid in (100, 101):
        write(host, pid)
    container = in_cgroup(host, 100, 101)
    assert [each.cpu_cores for each in seen(reader.read([container]))] == [None, None]

    clock(2.0)
    write(host, 100, ticks=3 * TICKS)

    assert [each.cpu_cores for each in seen(reader.read([container]))] == [1.5, 0.0]


def test_a_pid_that_is_used_again_is_another_process(host: FakeHost, clock: Callable[[float], None]) -> None:
    reader = reader_of(host)
    write(host, 100, ticks=50, command="old\0")
    container = in_cgroup(host, 100)
    reader.read([container])

    clock(1.0)
    write(host, 100, ticks=60, start_ticks=6000, command="new\0")

    assert [(each.cpu_cores, each.command) for each in seen(reader.read([container]))] == [(None, "new")]


def test_after_a_long_time_there_is_no_rate(host: FakeHost, clock: Callable[[float], None]) -> None:
    reader = reader_of(host)
    write(host, 100)
    write(host, 101)
    container = in_cgroup(host, 100, 101)
    reader.read([container])

    clock(module.FORGOTTEN_S + 1)
    write(host, 101, ticks=5)

    assert [each.cpu_cores for each in seen(reader.read([container]))] == [None, None]


def test_what_does_nothing_is_not_read_again_but_in_its_turn(
    host: FakeHost, clock: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = reader_of(host)
    for pid in range(100, 110):
        write(host, pid)
    container = in_cgroup(host, *range(100, 110))
    reader.read([container])
    before = {each.pid: each for each in seen(reader.read([container]))}
    read: list[str] = []
    really = reader._access.read
    monkeypatch.setattr(reader._access, "read", lambda path: read.append(path) or really(path))

    for _ in range(module.LOOKS_A_ROUND):
        clock(1.0)
        found = seen(reader.read([container]))

    assert sorted(path for path in read if path.endswith("status")) == sorted(
        f"{host.proc_root}/{pid}/status" for pid in before
    )
    assert [each._replace(cpu_cores=0.0) for each in before.values()] == found


def test_another_program_in_the_same_process_has_its_own_command(
    host: FakeHost, clock: Callable[[float], None]
) -> None:
    reader = reader_of(host)
    write(host, 100, command="sh\0-c\0exec nginx\0", comm="sh")
    container = in_cgroup(host, 100)
    reader.read([container])

    clock(1.0)
    write(host, 100, command="nginx\0", comm="nginx", ticks=1)

    assert [each.command for each in seen(reader.read([container]))] == ["nginx"]


def test_what_ends_while_it_is_looked_at_is_left_out(host: FakeHost) -> None:
    write(host, 100)
    write(host, 101)
    (host.root / "proc/101/status").unlink()

    assert [each.pid for each in seen(reader_of(host).read([in_cgroup(host, 100, 101, 102)]))] == [100]


def test_what_has_ended_has_no_command_and_no_memory(host: FakeHost) -> None:
    write(host, 100, state="Z", rss_kb=None, command="")

    (process,) = seen(reader_of(host).read([in_cgroup(host, 100)]))
    assert (process.state, process.command, process.rss_bytes) == ("Z", None, 0)


def test_too_many_are_counted(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_PROCESSES", 3)
    monkeypatch.setattr(module, "MOST_CONTAINERS", 2)
    for pid in range(100, 106):
        write(host, pid)
    containers = [
        in_cgroup(host, 100, 101, path="/docker/1"),
        in_cgroup(host, 102, 103, 104, path="/docker/2"),
        in_cgroup(host, 105, path="/docker/3"),
    ]

    found = reader_of(host).read(containers)

    assert [each.pid for each in seen(found)] == [100, 101, 102]
    assert isinstance(found, ProcessTable)
    assert (found.left_out, found.containers_left_out) == (2, 1)


def test_a_process_that_two_containers_claim_is_told_once(host: FakeHost) -> None:
    write(host, 100)
    write(host, 101)
    outer, inner = in_cgroup(host, 100), in_cgroup(host, 101, path=f"{WEB}/docker/inner")

    found = reader_of(host).read([inner, outer])

    assert isinstance(found, ProcessTable)
    assert [[each.pid for each in members.processes] for members in found.members] == [[101], [100]]


def test_a_host_that_hides_its_processes_is_told_with_the_remedy(host: FakeHost) -> None:
    (host.root / "proc/1/stat").unlink()

    found = reader_of(host).read([in_cgroup(host, 100)])

    assert isinstance(found, Problem)
    assert found.remedy == "sudo topcon"


def test_a_file_that_is_not_understood_is_a_problem_of_this_tab_alone(host: FakeHost) -> None:
    write(host, 100)
    host.write("proc/100/stat", "nonsense")

    found = reader_of(host).read([in_cgroup(host, 100)])

    assert isinstance(found, Problem)
    assert "proc/100/stat" in found.message
