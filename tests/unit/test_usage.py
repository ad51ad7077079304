"""Who holds how much of a disk: all of it once, nothing of others, and never more work than is allowed."""

from __future__ import annotations

import os
import stat
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from descriptors import open_below
from samples import container_id, node_of, process_of

from topcon.kernel import disk as disk_module
from topcon.kernel import usage as module
from topcon.kernel.disk import DUTY, PIECE_ENTRIES, mount_id_of
from topcon.kernel.usage import (
    ENTRIES_PER_S,
    LEASE_S,
    SAVED_S,
    WORK_SHARE,
    Budget,
    DiskWalker,
)
from topcon.model.disk import HoldKind
from topcon.model.sample import PodInfo, PodKind, State

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from topcon.model.disk import DiskUse, Hold
    from topcon.model.snapshot import ContainerNode

OVERLAY = "500 499 0:60 / / rw - overlay overlay rw,lowerdir=/l,upperdir={upper},workdir=/w\n"


class Host:
    """A host below a directory, whose disk is the one that the test itself writes to."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir()
        self.now = 1000.0
        number = root.stat().st_dev
        self.device = f"{os.major(number)}:{os.minor(number)}"
        self.write("proc/partitions", f"major minor  #blocks  name\n\n {self.device.replace(':', ' ')} 1000 sda1\n")
        self.write("proc/1/mountinfo", f"1 0 {self.device} / / rw - ext4 /dev/sda1 rw\n")
        fd = os.open(root, os.O_RDONLY)
        self.mount_id = mount_id_of(fd)
        os.close(fd)
        self.walker = DiskWalker(str(root / "proc"), str(root), (), lambda: self.now)

    def write(self, path: str, content: str | bytes) -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return file

    def container(self, name: str, pid: int, *mounts: str, **options: Any) -> ContainerNode:
        """Make one that sees these mounts; where it has a root, its layer is below ``layers``."""
        lines = [OVERLAY.format(upper=f"/layers/{name}/diff")] if options.pop("has_layer", True) else []
        (self.root / f"layers/{name}/diff").mkdir(parents=True, exist_ok=True)
        self.write(f"proc/{pid}/mountinfo", "".join([*lines, *mounts]))
        (self.root / f"proc/{pid}/root").mkdir(exist_ok=True)
        (self.root / f"proc/{pid}/fd").mkdir(exist_ok=True)
        return node_of(name, process=process_of(name, pid=pid), **options)

    def volume(self, source: str, point: str, *, pids: tuple[int, ...] = (), flags: str = "rw") -> str:
        """Return the line of a directory of the host that these processes see at a point."""
        (self.root / source).mkdir(parents=True, exist_ok=True)
        for pid in pids:
            seen = self.root / f"proc/{pid}/root{point}"
            seen.parent.mkdir(parents=True, exist_ok=True)
            # A link in the way of the test, as the kernel has one at ``root``.
            seen.parent.rmdir()
            seen.parent.symlink_to(self.root / source.rpartition("/")[0])
        return f"{self.mount_id} 499 {self.device} /{source} {point} {flags} - ext4 /dev/sda1 rw\n"

    def read(self, *nodes: ContainerNode, alone: str | None = None) -> dict[tuple[str, HoldKind], Hold]:
        """Make a round; return what was found, by the name of the container and the kind."""
        self.walker._scope = nodes[0].key if alone else None
        for _ in self.walker._round(nodes):
            pass
        self.now += 60.0
        return by_name(self.walker.newest(), *nodes)


def by_name(use: DiskUse, *nodes: ContainerNode) -> dict[tuple[str, HoldKind], Hold]:
    names = {node.key: node.name for node in nodes}
    return {(names[hold.container], hold.kind): hold for hold in use.holds if hold.container in names}


def disk_bytes(*paths: Path) -> int:
    return sum(path.lstat().st_blocks * 512 for path in paths)


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    host = Host(tmp_path / "host")
    yield host
    host.walker.stop()
    if host.walker._thread is not None:
        host.walker._thread.join(10)
    assert open_below(host.root) == []


# How much may be done.


@pytest.mark.parametrize(
    ("cpu_s", "work_s", "entries"),
    [(0.02, 0.02, 10), (0.001, 2.0, 10), (0.001, 0.001, 1000)],
    ids=["the processor", "a slow disk", "many files"],
)
def test_work_is_paid_for_with_rest(cpu_s: float, work_s: float, entries: int) -> None:
    now, worked = 0.0, 0
    budget = Budget(lambda: now)
    while now < 1000.0:
        now += work_s
        now += budget.spend(cpu_s, work_s, entries)
        worked += 1

    allowed_s = now + SAVED_S + 2 * work_s
    assert worked * cpu_s <= allowed_s * DUTY + cpu_s
    assert worked * work_s <= allowed_s * WORK_SHARE + work_s
    assert worked * entries <= allowed_s * ENTRIES_PER_S + entries


def test_what_was_not_used_is_saved_up_but_not_for_ever() -> None:
    now = 0.0
    budget = Budget(lambda: now)
    assert budget.spend(0.0, 0.0, int(ENTRIES_PER_S * SAVED_S)) == 0.0
    assert budget.spend(0.0, 0.0, ENTRIES_PER_S) == pytest.approx(1.0)

    now = 1e6
    assert budget.spend(0.0, 0.0, int(ENTRIES_PER_S * SAVED_S)) == 0.0
    assert budget.spend(0.0, 0.0, 1) > 0


class Entry:
    """A file as scandir(3) has it; there are more than anybody would make for a test."""

    def __init__(self, number: int) -> None:
        self.name = f"file{number}"

    def stat(self, *, follow_symlinks: bool) -> Any:
        assert not follow_symlinks

        class Status:
            st_mode, st_nlink, st_ino, st_blocks = stat.S_IFREG, 1, 1, 8
            st_dev = DEVICE

        return Status


DEVICE = 0


class Resting:
    """Stands for what a thread rests on: time goes by at once, and what was done until then is noted."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.done: list[tuple[float, int]] = []

    def wait(self, timeout: float) -> bool:
        self.done.append((self.host.now, self.host.walker._entries))
        self.host.now += timeout
        self.host.walker._asked_s = self.host.now
        return False

    def clear(self) -> None:
        pass

    set = clear


def test_a_directory_of_200000_files_takes_its_time(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    web = host.container("web", 100)
    monkeypatch.setitem(globals(), "DEVICE", host.root.stat().st_dev)
    real, count = os.scandir, 200_000

    class Scan:
        def __init__(self, fd: int) -> None:
            self.entries = (Entry(number) for number in range(count))
            self.real = real(fd)

        def __enter__(self) -> Iterator[Entry]:
            return self.entries

        def __exit__(self, *_: object) -> None:
            self.real.close()

    monkeypatch.setattr(disk_module.os, "scandir", Scan)
    resting = Resting(host)
    host.walker._woken = resting  # type: ignore[assignment]
    begun_s = host.walker._asked_s = host.now

    assert host.walker._follow(host.walker._round([web]), None)

    hold = by_name(host.walker.newest(), web)["web", HoldKind.LAYER]
    assert hold.is_whole
    assert hold.used_inodes == count + 1
    steps = [after - before for (_, before), (_, after) in zip(resting.done, resting.done[1:], strict=False)]
    # Others have their turn, and nobody who wants it to end has to wait, after each piece.
    assert max(steps) <= PIECE_ENTRIES
    for now_s, done in resting.done:
        assert done <= (now_s - begun_s + SAVED_S) * ENTRIES_PER_S + PIECE_ENTRIES
    assert host.now - begun_s >= count / ENTRIES_PER_S - SAVED_S


def test_how_far_it_has_come_is_told(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk_module, "PIECE_ENTRIES", 2)
    web = host.container("web", 100)
    for number in range(9):
        host.write(f"layers/web/diff/{number}", b"x" * 5000)
    seen = []
    for _ in host.walker._round([web]):
        hold = by_name(host.walker.newest(), web).get(("web", HoldKind.LAYER))
        if hold is not None:
            seen.append((hold.is_whole, hold.used_bytes))

    sizes = [size for _, size in seen if size is not None]
    assert seen[0] == (False, None)
    assert [is_whole for is_whole, _ in seen] == [False] * (len(seen) - 1) + [True]
    assert sizes == sorted(sizes)
    assert len(set(sizes)) > 3


def test_nobody_looks_and_it_ends(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LEAST_ROUND_S", 0.01)
    web = host.container("web", 100)
    host.walker.look([web])
    thread = host.walker._thread
    assert thread is not None
    until(lambda: host.walker.newest().rounds)
    host.now += LEASE_S + 1

    thread.join(10)

    assert not thread.is_alive()
    # What it has found is still there, and the next who looks has it go on.
    before = host.walker.newest().rounds
    use = host.walker.look([web])
    assert use.holds
    until(lambda: host.walker.newest().rounds > before)


def until(holds: Any) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_hundred_looks_make_one_thread_and_none_is_left(host: Host) -> None:
    web = host.container("web", 100)
    for _ in range(100):
        host.walker.look([web])
        host.walker.look([web], web.key)
    assert [thread.name for thread in threading.enumerate()].count("topcon-disk") == 1

    host.walker.stop()

    until(lambda: "topcon-disk" not in [thread.name for thread in threading.enumerate()])
    host.walker.look([web])
    assert "topcon-disk" not in [thread.name for thread in threading.enumerate()]


def test_a_mistake_of_ours_is_raised_where_somebody_looks(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(DiskWalker, "_round", fail)
    host.walker.look([])

    with pytest.raises(ZeroDivisionError):
        until(lambda: host.walker.look([]) and False)


# What is found.


def test_a_layer_and_its_biggest_files(host: Host) -> None:
    web = host.container("web", 100)
    top = host.root / "layers/web/diff"
    files = [host.write(f"layers/web/diff/d{n}/e/file{n}", b"x" * 9000 * n) for n in range(1, 13)]

    hold = host.read(web)["web", HoldKind.LAYER]

    assert (hold.where, hold.device, hold.is_whole) == ("/layers/web/diff", "/dev/sda1", True)
    assert hold.used_bytes == disk_bytes(top, *top.rglob("*"))
    assert [file.path for file in hold.biggest] == [f"d{n}/e/file{n}" for n in range(12, 2, -1)]
    assert hold.biggest[0].used_bytes == disk_bytes(files[-1])


def test_growth_is_what_has_come_between_two_rounds(host: Host) -> None:
    web = host.container("web", 100)
    assert host.read(web)["web", HoldKind.LAYER].growth_bytes_per_s is None

    added = host.write("layers/web/diff/new", b"x" * 600_000)
    hold = host.read(web)["web", HoldKind.LAYER]
    assert hold.growth_bytes_per_s == pytest.approx(disk_bytes(added) / 60.0)

    added.unlink()
    growth = host.read(web)["web", HoldKind.LAYER].growth_bytes_per_s
    assert growth is not None
    assert growth < 0


def test_a_link_to_all_of_the_host_is_not_followed(host: Host) -> None:
    web = host.container("web", 100)
    host.write("secret", b"x" * 500_000)
    (host.root / "layers/web/diff/host").symlink_to(host.root)
    (host.root / "layers/web/diff/slash").symlink_to("/")

    hold = host.read(web)["web", HoldKind.LAYER]

    assert hold.used_inodes == 3


def test_what_is_mounted_from_the_same_disk_is_not_entered(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    web = host.container("web", 100)
    host.write("layers/web/diff/mounted/big", b"x" * 500_000)
    host.write("layers/web/diff/own/small", b"x")
    inode = (host.root / "layers/web/diff/mounted").stat().st_ino
    monkeypatch.setattr(disk_module, "mount_id_of", lambda fd: 77 if os.fstat(fd).st_ino == inode else host.mount_id)

    hold = host.read(web)["web", HoldKind.LAYER]

    # The directory that it is mounted on, and what is beside it.
    assert hold.used_inodes == 4
    assert [file.path for file in hold.biggest] == ["own/small"]


def test_a_volume_of_two_counts_once_and_names_both(host: Host) -> None:
    host.write("vol/_data/file", b"x" * 100_000)
    line = host.volume("vol/_data", "/mnt/_data", pids=(100, 101))
    web = host.container("web", 100, line)
    db = host.container("db", 101, line)

    found = host.read(web, db)

    hold = found["web", HoldKind.VOLUME]
    assert hold.used_bytes == disk_bytes(host.root / "vol/_data", host.root / "vol/_data/file")
    assert (hold.where, hold.device, hold.others) == ("/mnt/_data", "/dev/sda1", (db.key,))
    assert ("db", HoldKind.VOLUME) not in found


def test_what_is_shared_has_one_owner_whoever_looks(host: Host) -> None:
    host.write("vol/_data/file", b"x" * 100_000)
    line = host.volume("vol/_data", "/mnt/_data", pids=(100, 101))
    web, db = host.container("web", 100, line), host.container("db", 101, line)
    host.read(db, alone="db")
    assert ("db", HoldKind.VOLUME) in host.read(db, alone="db")

    host.read(web, db)
    host.read(db, alone="db")

    volumes = [hold for hold in host.walker.newest().holds if hold.kind is HoldKind.VOLUME]
    assert [(hold.container, hold.others) for hold in volumes] == [(web.key, (db.key,))]


def test_what_another_walk_counts_is_left_out(host: Host) -> None:
    host.write("layers/web/diff/big", b"x" * 500_000)
    line = host.volume("layers/web", "/mnt/web", pids=(101,))
    web = host.container("web", 100)
    agent = host.container("agent", 101, line)
    host.write("layers/web/other", b"x" * 9000)

    found = host.read(web, agent)

    assert found["agent", HoldKind.VOLUME].used_bytes == disk_bytes(
        host.root / "layers/web", host.root / "layers/web/other"
    )
    assert found["web", HoldKind.LAYER].used_inodes == 2


@pytest.mark.parametrize(
    "line",
    [
        "{id} 499 {device} /vol/_data /mnt/_data ro - ext4 /dev/sda1 rw\n",
        "{id} 499 {device} /vol/_data /mnt/_data rw - nfs4 server:/x rw\n",
        "{id} 499 {device} /vol/_data /mnt/_data rw - fuse.sshfs x:/ rw\n",
        "{id} 499 {device} / /mnt/_data rw - ext4 /dev/sda1 rw\n",
        "9999999 499 {device} /vol/_data /mnt/_data rw - ext4 /dev/sda1 rw\n",
        "{id} 499 {device} /vol/_data /mnt/_data/file rw - ext4 /dev/sda1 rw\n",
    ],
    ids=["read-only", "another machine's", "a program's", "the host's whole disk", "not what is there", "a file"],
)
def test_these_mounts_are_not_walked_through(host: Host, line: str) -> None:
    host.write("vol/_data/file", b"x" * 100_000)
    host.volume("vol/_data", "/mnt/_data", pids=(100,))
    web = host.container("web", 100, line.format(id=host.mount_id, device=host.device))

    assert ("web", HoldKind.VOLUME) not in host.read(web)


def test_the_log_and_those_before_it(host: Host) -> None:
    identifier = container_id("web")
    folder = f"docker/containers/{identifier}"
    web = host.container("web", 100, f"7 499 {host.device} /{folder}/hostname /etc/hostname rw - ext4 /dev/sda1 rw\n")
    files = [
        host.write(f"{folder}/{identifier}-json.log{end}", b"x" * size)
        for end, size in (("", 9000), (".1", 90_000), (".2.gz", 5000))
    ]
    host.write(f"{folder}/config.v2.json", b"x" * 50_000)
    (host.root / folder / f"{identifier}-json.log.9").symlink_to(host.write("secret", b"x" * 90_000))

    hold = host.read(web)["web", HoldKind.LOG]

    assert hold.used_bytes == disk_bytes(*files)
    assert hold.where == f"/{folder}/{identifier}-json.log"
    assert hold.biggest[0].path == f"{identifier}-json.log.1"
    assert hold.device == "/dev/sda1"


def test_the_log_of_a_pods_container(host: Host) -> None:
    pod = PodInfo(PodKind.KUBERNETES, "uid-1", "shop", "prod")
    web = host.container("web", 100, pod=pod)
    files = [host.write(f"var/log/pods/prod_shop_uid-1/web/{name}", b"x" * 9000) for name in ("0.log", "0.log.2024")]

    assert host.read(web)["web", HoldKind.LOG].used_bytes == disk_bytes(*files)


@pytest.mark.parametrize("name", ["../../../secret", "..", ""])
def test_a_name_is_no_way_to_elsewhere(host: Host, name: str) -> None:
    host.write("secret/0.log", b"x" * 9000)
    web = host.container("web", 100, pod=PodInfo(PodKind.KUBERNETES, "u", f"x/../{name}", "prod"))

    assert ("web", HoldKind.LOG) not in host.read(web)


def test_what_docker_keeps_of_a_stopped_one(host: Host) -> None:
    done = node_of("done", state=State.EXITED)
    identifier = container_id("done")
    log = host.write(f"var/lib/docker/containers/{identifier}/{identifier}-json.log", b"x" * 9000)
    host.write(f"var/lib/docker/image/overlay2/layerdb/mounts/{identifier}/mount-id", "abc123")
    host.write("var/lib/docker/overlay2/abc123/diff/file", b"x" * 50_000)

    found = host.read(done)

    assert found["done", HoldKind.LOG].used_bytes == disk_bytes(log)
    assert found["done", HoldKind.LAYER].used_inodes == 2


def test_what_is_gone_is_forgotten_and_what_nobody_looked_at_is_not(host: Host) -> None:
    web, db = host.container("web", 100), host.container("db", 101)
    assert len(host.read(web, db)) == 2

    assert len(host.read(web, alone="web")) == 1
    assert len(host.walker.newest().holds) == 2

    host.read(web)
    assert [hold.container for hold in host.walker.newest().holds] == [web.key]


def test_what_may_not_be_read_is_a_problem_and_the_rest_is_counted(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    web = host.container("web", 100)
    host.write("layers/web/diff/closed/file", b"x" * 9000)
    host.write("layers/web/diff/open/file", b"x" * 9000)
    real = os.open

    def refusing(path: Any, flags: int, *others: Any, **options: Any) -> int:
        if path == "closed":
            raise PermissionError(13, "refused")
        return real(path, flags, *others, **options)

    monkeypatch.setattr(disk_module.os, "open", refusing)

    hold = host.read(web)["web", HoldKind.LAYER]

    assert not hold.is_whole
    assert hold.used_inodes == 4
    (problem,) = host.walker.newest().problems
    assert "/layers/web/diff/closed" in problem.message
    assert problem.remedy == "sudo topcon"


def test_file_systems_as_df_has_them(host: Host) -> None:
    host.read()
    room = os.statvfs(host.root)

    (found,) = host.walker.newest().filesystems

    assert (found.device, found.point, found.fstype) == ("/dev/sda1", "/", "ext4")
    assert found.size_bytes == room.f_blocks * room.f_frsize
    assert found.inodes == room.f_files
    assert found.used_share is not None
    assert 0 <= found.used_share <= 1


def test_a_mountinfo_in_another_form_costs_no_more_than_its_container(host: Host) -> None:
    web, db = host.container("web", 100), host.container("db", 101)
    host.write("proc/100/mountinfo", "nonsense\n")

    found = host.read(web, db)

    assert set(found) == {("db", HoldKind.LAYER)}
    assert "nonsense" in host.walker.newest().problems[0].message
