"""File systems of the host, and walks through what containers have written, hostile ones too."""

from __future__ import annotations

import errno
import itertools
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from descriptors import open_below
from hypothesis import given
from hypothesis import strategies as st
from samples import HOSTILE_NAMES

from topcon.errors import ParseError
from topcon.kernel import disk as module
from topcon.kernel.disk import (
    AGAIN_S,
    DUTY,
    Disks,
    Layer,
    disk_mounts,
    upper_directory,
    walk,
)
from topcon.kernel.mount import parse_mountinfo
from topcon.kernel.target import Target
from topcon.model.sample import CgroupPath

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from topcon.kernel.mount import Mount

WEB, DB = CgroupPath("/docker/web"), CgroupPath("/docker/db")
OVERLAY = "500 499 0:60 / / rw,relatime master:1 - overlay overlay rw,lowerdir={lower},upperdir={upper},workdir=/w\n"
MOUNTS = b"""\
24 1 0:23 / /dev/shm rw - tmpfs tmpfs rw
27 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,discard
47 27 8:1 /run/x /mnt/with\\040blank rw shared:1 - ext4 /dev/sda1 rw
48 27 0:40 /@home /home rw - btrfs /dev/sdb rw,subvol=/@home
"""


def test_only_what_is_on_a_device_is_a_disk_mount() -> None:
    mounts = disk_mounts(parse_mountinfo(MOUNTS, "mountinfo"))

    assert [(mount.device, mount.point, mount.source) for mount in mounts] == [
        ((8, 1), "/", "/dev/sda1"),
        ((8, 1), "/mnt/with blank", "/dev/sda1"),
        ((0, 40), "/home", "/dev/sdb"),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (OVERLAY.format(lower="/a:/b", upper="/var/lib/x/diff"), "/var/lib/x/diff"),
        (OVERLAY.format(lower="/a", upper="/with\\040blank\\054comma"), "/with blank,comma"),
        (OVERLAY.format(lower="/a", upper="\\303\\244"), None),
        (OVERLAY.format(lower="/a", upper="/\\303\\244"), "/ä"),
        (OVERLAY.format(lower="/a", upper="abc/diff"), None),
        ("1 0 0:6 / / ro - overlay overlay ro,lowerdir=/a:/b\n", None),
        ("1 0 8:1 / / rw - ext4 /dev/sda1 rw,upperdir=/x\n", None),
        ("1 0 0:6 / /data rw - overlay overlay rw,upperdir=/x\n", None),
        (OVERLAY.format(lower="/a", upper="/x") + "2 1 0:7 / / rw - tmpfs tmpfs rw\n", None),
        ("2 1 0:7 / / rw - rootfs rootfs rw\n" + OVERLAY.format(lower="/a", upper="/x"), "/x"),
        ("", None),
    ],
)
def test_the_layer_is_that_of_the_overlay_on_the_root(text: str, expected: str | None) -> None:
    assert upper_directory(parse_mountinfo(text.encode(), "mountinfo")) == expected


@pytest.mark.parametrize("choose", [disk_mounts, upper_directory])
@given(raw=st.binary() | st.binary().map(lambda raw: b"1 2 8:1 / / rw - " + raw) | st.binary().map(MOUNTS.__add__))
def test_any_bytes_parse_or_raise_a_parse_error(choose: Callable[[list[Mount]], object], raw: bytes) -> None:
    with suppress(ParseError):
        choose(parse_mountinfo(raw, "file"))


@pytest.mark.parametrize("line", [b"1 2 x / / rw - ext4 /dev/sda1 rw\n", b"1 2 - ext4 /dev/sda1 rw\n"])
def test_a_mount_in_another_form_is_not_understood(line: bytes) -> None:
    with pytest.raises(ParseError):
        disk_mounts(parse_mountinfo(line, "mountinfo"))


@pytest.mark.parametrize("line", [b"1 2 - overlay overlay rw\n", b"1 2 0:6 / / rw - overlay\n"])
def test_a_root_in_another_form_is_not_understood(line: bytes) -> None:
    with pytest.raises(ParseError):
        upper_directory(parse_mountinfo(line, "mountinfo"))


# Walking.


def walked(top: Path, meanwhile: Callable[[], object] = lambda: None) -> Layer | None:
    """Walk to the end, and let something happen at each pause; no descriptor may be left."""
    before = sorted(open_below(top.parent))
    going = walk(os.open(top, os.O_RDONLY | os.O_DIRECTORY))
    try:
        while True:
            next(going)
            meanwhile()
    except StopIteration as end:
        assert sorted(open_below(top.parent)) == before
        layer: Layer | None = end.value
        return layer


def expected(*paths: Path) -> Layer:
    """What these take, each one looked at by itself."""
    return Layer(sum(path.lstat().st_blocks * 512 for path in paths), len(paths))


@pytest.fixture
def top(tmp_path: Path) -> Path:
    top = tmp_path / "diff"
    top.mkdir()
    return top


def test_all_files_and_directories_count(top: Path) -> None:
    (top / "etc/deep/er").mkdir(parents=True)
    (top / "var").mkdir()
    (top / "etc/deep/file").write_bytes(b"x" * 100_000)
    (top / "var/other").write_bytes(b"x")

    assert walked(top) == expected(top, *top.rglob("*"))


def test_a_file_of_several_names_counts_once(top: Path) -> None:
    (top / "a").write_bytes(b"x" * 50_000)
    (top / "below").mkdir()
    (top / "b").hardlink_to(top / "a")
    (top / "below/c").hardlink_to(top / "a")

    assert walked(top) == expected(top, top / "a", top / "below")


def test_symbolic_links_are_not_followed(top: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/file").write_bytes(b"x" * 50_000)
    (top / "up").symlink_to(tmp_path)
    (top / "loop").symlink_to(".")
    (top / "file").symlink_to(tmp_path / "outside/file")

    assert walked(top) == expected(top, *top.iterdir())


@pytest.mark.parametrize("name", [name for name in HOSTILE_NAMES.values() if name and "\0" not in name])
def test_names_may_hold_anything(top: Path, name: str) -> None:
    (top / os.fsdecode(name.encode(errors="replace")[:200] + b"\xff\n") / "-rf").mkdir(parents=True)

    layer = walked(top)

    assert layer is not None
    assert layer.used_inodes == 3


def test_a_tree_deeper_than_a_path_can_be_long_is_walked_with_few_descriptors(top: Path) -> None:
    depth = 3000
    deepest = os.open(top, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=deepest)
        below = os.open("d", os.O_RDONLY, dir_fd=deepest)
        os.close(deepest)
        deepest = below
    os.close(deepest)
    held = []

    layer = walked(top, lambda: held.append(len(open_below(top.parent))))

    assert layer is not None
    assert layer.used_inodes == depth + 1
    assert held
    assert max(held) - min(held) <= 1
    remove_deep(top)


def remove_deep(top: Path) -> None:
    """Remove a tree that is too deep for those that go down by calling themselves."""
    below = top.parent / "below"
    while (top / "d").exists():
        (top / "d").rename(below)
        top.rmdir()
        below.rename(top)


def test_a_layer_of_too_much_is_left_out(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_ENTRIES", 5)
    for number in range(5):
        (top / f"{number}").touch()
    assert walked(top) == expected(top, *top.iterdir())

    (top / "one too many").touch()
    assert walked(top) is None


@pytest.fixture
def _looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PIECE_ENTRIES", 1)


@pytest.mark.usefixtures("_looks_often")
@pytest.mark.parametrize("other", ["a link", "a file", "nothing"])
def test_a_directory_that_becomes_something_else_is_not_entered(top: Path, tmp_path: Path, other: str) -> None:
    outside = tmp_path / "outside"
    (outside / "secret").mkdir(parents=True)
    for name in ("a", "b"):
        (top / name / "inside").mkdir(parents=True)

    def swap() -> None:
        for name in ("a", "b"):
            (top / name).rename(top / f"was {name}")
            if other == "a link":
                (top / name).symlink_to(outside)
            elif other == "a file":
                (top / name).touch()

    layer = walked(top, MoveAt(3, swap))

    # The directory itself, the two in it, and what is in the one where it was then.
    assert layer is not None
    assert layer.used_inodes == 4


@pytest.mark.usefixtures("_looks_often")
def test_a_directory_that_is_moved_while_it_is_walked_is_not_left_by_another_way(top: Path, tmp_path: Path) -> None:
    (top / "a/b/c").mkdir(parents=True)
    (tmp_path / "outside").mkdir()

    def move() -> None:
        with suppress(FileNotFoundError):
            (top / "a/b").rename(tmp_path / "outside/b")

    assert walked(top, MoveAt(3, move)) is None


class MoveAt:
    """Does something at one pause."""

    def __init__(self, pause: int, act: Callable[[], object]) -> None:
        self.left = pause
        self.act = act

    def __call__(self) -> None:
        self.left -= 1
        if self.left == 0:
            self.act()


@pytest.mark.usefixtures("_looks_often")
def test_what_vanishes_meanwhile_is_left_out(top: Path) -> None:
    for name in ("a", "b", "c"):
        (top / name).mkdir()

    def vanish() -> None:
        for path in top.iterdir():
            path.rmdir()

    layer = walked(top, MoveAt(1, vanish))

    assert layer is not None
    assert layer.used_inodes <= 4


def test_a_directory_that_may_not_be_read_leaves_the_layer_out(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (top / "etc").mkdir()
    real = os.scandir
    entered: list[int] = []

    def refusing(fd: int) -> Any:
        entered.append(fd)
        if len(entered) > 1:
            raise PermissionError(errno.EACCES, "refused")
        return real(fd)

    monkeypatch.setattr(module.os, "scandir", refusing)

    assert walked(top) is None


def test_other_file_systems_are_not_counted(top: Path) -> None:
    total = module.Total(top.stat())
    total.device += 1
    (top / "file").touch()
    fd = os.open(top, os.O_RDONLY)
    try:
        assert list(total.add(fd)) == []
        assert module._open_below(fd, ".", total.device) is None
    finally:
        os.close(fd)
    assert total.used_inodes == 1


# What is known of a host.


class Host:
    """A ``/proc`` whose mounts are on the device that the test itself writes to."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.now = 1000.0
        self.step_s = 0.0
        """How long each look at the clock takes."""
        number = (root.parent).stat().st_dev
        self.device = os.major(number), os.minor(number)
        self.write("proc/partitions", f"major minor  #blocks  name\n\n {self.device[0]} {self.device[1]} 1000 sda1\n")
        self.mounts(f"1 0 {self.device[0]}:{self.device[1]} / / rw - ext4 /dev/sda1 rw\n")

    def write(self, path: str, text: str) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def mounts(self, text: str) -> None:
        self.write("proc/1/mountinfo", text)

    def container(self, pid: int, files: int = 0, upper: str | None = None) -> Path:
        directory = self.root / f"layers/{pid}/diff"
        directory.mkdir(parents=True)
        for number in range(files):
            (directory / f"file{number}").touch()
        self.write(f"proc/{pid}/mountinfo", OVERLAY.format(lower="/l", upper=upper or f"/layers/{pid}/diff"))
        return directory

    def clock(self) -> float:
        self.now += self.step_s
        return self.now

    def disks(self) -> Disks:
        disks = Disks(str(self.root / "proc"), str(self.root), lambda: None, self.clock)
        disks.filesystems()
        return disks


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path / "host")


def container(path: CgroupPath, pid: int | None, **options: bool) -> Target:
    return Target(path, (path,), pid, is_container=True, **options)


def rounds(disks: Disks, host: Host, *targets: Target, count: int = 1, apart_s: float = 5.0) -> dict[CgroupPath, int]:
    """Let rounds go by; return how many inodes each layer is said to use."""
    for _ in range(count):
        layers, malformed = disks.layers(targets)
        assert malformed == []
        host.now += apart_s
    return {path: layer.used_inodes for path, layer in layers.items()}


def test_each_device_is_read_once(host: Host) -> None:
    major, minor = host.device
    line = f"{major}:{minor}"
    host.write("data/file", "")
    host.mounts(
        f"1 0 {line} /x /data rw - ext4 /dev/sda1 rw\n"
        f"2 0 {line} / / rw - ext4 /dev/sda1 rw\n"
        f"3 0 {line} /y /nowhere/at/all rw - ext4 /dev/sda1 rw\n"
        f"4 0 0:99 / /none rw - fuse /dev/fuse rw\n"
    )
    room = os.statvfs(host.root)

    (name, stat), *others = host.disks().filesystems().items()

    assert (name, others) == ("/dev/sda1", [])
    assert stat.size_bytes == room.f_blocks * room.f_frsize
    assert stat.inodes == room.f_files
    assert 0 <= stat.used_bytes <= stat.size_bytes


@pytest.mark.parametrize(
    ("mount", "names"),
    [
        ("1 0 {line} / / rw - ext4 /dev/root rw\n", ["/dev/sda1"]),
        ("1 0 {line} / / rw - ext4 /dev/mapper/vg-root rw\n", ["/dev/mapper/vg-root"]),
        ("1 0 0:40 / / rw - btrfs /dev/sda1 rw\n", ["/dev/sda1"]),
        ("1 0 0:40 / / rw - ext4 /dev/root rw\n", []),
        ("1 0 7:77 / / rw - ext4 /dev/sda1 rw\n", []),
        ("1 0 {line} / /gone rw - ext4 /dev/sda1 rw\n", []),
    ],
)
def test_only_what_is_really_there_on_a_device_is_a_file_system(host: Host, mount: str, names: list[str]) -> None:
    host.mounts(mount.format(line=f"{host.device[0]}:{host.device[1]}"))

    assert list(host.disks().filesystems()) == names


def test_a_layer_is_measured_and_its_file_system_named(host: Host) -> None:
    directory = host.container(100, files=3)
    disks = host.disks()

    layers, _ = disks.layers([container(WEB, 100)])

    room = os.statvfs(directory)
    (layer,) = layers.values()
    assert (layer.device, layer.used_inodes) == ("/dev/sda1", 4)
    assert layer.used_bytes == expected(directory, *directory.iterdir()).used_bytes
    assert (layer.limit_bytes, layer.inodes) == (room.f_blocks * room.f_frsize, room.f_files)


@pytest.mark.parametrize(
    ("mounts", "partitions", "device"),
    [
        ("", "{major} {minor} 1 sdz", "/dev/sdz"),
        ("", "7 7 1 sdz", None),
    ],
)
def test_a_layers_device_is_found_by_its_number(host: Host, mounts: str, partitions: str, device: str | None) -> None:
    host.container(100)
    host.mounts(mounts)
    major, minor = host.device
    host.write("proc/partitions", f"major minor  #blocks  name\n\n{partitions.format(major=major, minor=minor)}\n")

    layers, _ = host.disks().layers([container(WEB, 100)])

    assert [layer.device for layer in layers.values()] == ([device] if device else [])


@pytest.mark.parametrize(
    ("mounts", "device"),
    [
        ("1 0 0:40 / / rw - btrfs /dev/sda1 rw\n2 0 0:40 / /layers rw - btrfs /dev/sda2 rw\n", "/dev/sda2"),
        ("1 0 0:40 / /elsewhere rw - btrfs /dev/sda1 rw\n", None),
    ],
)
def test_where_its_number_is_made_up_a_layers_device_is_found_by_its_path(
    host: Host, monkeypatch: pytest.MonkeyPatch, mounts: str, device: str | None
) -> None:
    host.container(100)
    host.mounts(mounts)
    host.write("proc/partitions", "major minor  #blocks  name\n\n8 1 1 sda1\n8 2 1 sda2\n")
    monkeypatch.setattr(module.os, "major", lambda _: 0)

    layers, _ = host.disks().layers([container(WEB, 100)])

    assert [layer.device for layer in layers.values()] == ([device] if device else [])


def test_what_has_no_layer_of_its_own_on_this_host_is_left_out(host: Host) -> None:
    host.container(100)
    host.container(200, upper="/nowhere")
    host.container(300, upper="/proc/1/mountinfo")
    (host.root / "link").symlink_to("layers")
    host.container(400, upper="/link")
    targets = [
        container(WEB, 100, is_nested=True),
        container(WEB, None),
        Target(WEB, (WEB,), 100),
        container(DB, 200),
        container(CgroupPath("/c"), 300),
        container(CgroupPath("/d"), 400),
        container(CgroupPath("/e"), 999),
    ]

    assert rounds(host.disks(), host, *targets, count=3) == {}


def test_a_service_on_the_hosts_own_overlay_has_no_layer(host: Host) -> None:
    host.container(100)
    host.mounts(OVERLAY.format(lower="/l", upper="/layers/100/diff"))

    assert rounds(host.disks(), host, container(WEB, 100)) == {}


def test_a_layer_is_measured_again_after_a_while_and_kept_until_then(host: Host) -> None:
    directory = host.container(100)
    disks, target = host.disks(), container(WEB, 100)
    assert rounds(disks, host, target) == {WEB: 1}
    (directory / "file").touch()

    assert rounds(disks, host, target) == {WEB: 1}
    host.now += AGAIN_S
    assert rounds(disks, host, target) == {WEB: 2}


def test_a_container_that_is_gone_has_no_layer_any_more(host: Host) -> None:
    host.container(100)
    disks = host.disks()
    rounds(disks, host, container(WEB, 100))

    assert rounds(disks, host) == {}
    assert rounds(disks, host, container(WEB, 100)) == {WEB: 1}


def test_a_layer_that_cannot_be_measured_any_more_is_left_out(host: Host) -> None:
    directory = host.container(100)
    disks, target = host.disks(), container(WEB, 100)
    rounds(disks, host, target)
    directory.rmdir()

    assert rounds(disks, host, target, count=2, apart_s=AGAIN_S) == {}


def test_a_layer_of_too_much_is_no_longer_told(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.container(100, files=3)
    disks, target = host.disks(), container(WEB, 100)
    assert rounds(disks, host, target, apart_s=AGAIN_S) == {WEB: 4}
    monkeypatch.setattr(module, "MOST_ENTRIES", 2)

    assert rounds(disks, host, target) == {}


@pytest.mark.usefixtures("_looks_often")
def test_a_long_walk_goes_on_from_round_to_round(host: Host) -> None:
    host.container(100, files=9)
    disks, target = host.disks(), container(WEB, 100)
    host.step_s = 1.0

    assert rounds(disks, host, target, count=9, apart_s=0.0) == {}
    assert rounds(disks, host, target) == {WEB: 10}


@pytest.mark.usefixtures("_looks_often")
@pytest.mark.parametrize("end", ["gone", "closed"])
def test_a_walk_that_is_left_holds_nothing_open(host: Host, end: str) -> None:
    host.container(100, files=9)
    disks = host.disks()
    before = open_below(host.root)
    rounds(disks, host, container(WEB, 100))
    assert len(open_below(host.root)) > len(before)

    if end == "gone":
        rounds(disks, host)
    else:
        disks.close()

    assert open_below(host.root) == before


def test_walking_takes_no_more_than_its_share_and_everyone_has_their_turn(host: Host) -> None:
    targets = [container(CgroupPath(f"/docker/{pid}"), pid) for pid in range(100, 120)]
    for pid in range(100, 120):
        host.container(pid)
    disks = host.disks()
    host.step_s = 0.01
    known = [len(rounds(disks, host, *targets, apart_s=0.05 / DUTY)) for _ in range(6)]

    assert known[0] == 1
    assert all(0 < after - before <= 6 for before, after in itertools.pairwise(known) if before < 20)
    assert known[-1] == 20


def test_what_is_not_understood_costs_its_own_layer_alone(host: Host) -> None:
    host.container(100)
    host.container(200)
    host.write("proc/100/mountinfo", "what - is this\n")
    disks = host.disks()
    first, second = (disks.layers([container(WEB, 100), container(DB, 200)]) for _ in range(2))

    assert [*first[0], *second[0]].count(WEB) == 0
    assert DB in second[0]
    assert len(first[1]) + len(second[1]) == 1
