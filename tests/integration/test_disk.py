"""Who fills the disk: what is said of real containers is what du, df, docker and the kernel say at the same time."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.inside import HIERARCHIES, node_inside
from tests.integration.machine import skip_without, until
from topcon.kernel.mounted import FilesReader
from topcon.kernel.usage import ENTRIES_PER_S, SAVED_S, DiskWalker
from topcon.model.disk import HoldKind
from topcon.runtimes.docker import Docker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.integration.conftest import Dockerd, Terminal
    from topcon.model.disk import DiskUse, Hold
    from topcon.model.snapshot import ContainerNode

M = 1 << 20
SLACK_BYTES = 64 * 1024
"""What may move between two looks: a line of a log, a block of a directory."""
PATIENCE_S = 120.0
"""Other containers may write to the disk too."""
WRITES = (
    "dd if=/dev/zero of=/written bs=1M count=8; "
    "dd if=/dev/zero of=/data/kept bs=1M count=4; "
    "dd if=/dev/zero of=/dev/shm/inmem bs=1M count=2; "
    "dd if=/dev/zero of=/gone bs=1M count=3; "
    "exec 5</gone; "
    "cat /dev/null; "
    "echo ready; "
    "exec sleep 100000"
)


@pytest.fixture
def walker() -> Iterator[DiskWalker]:
    skip_without("du", "df")
    walker = DiskWalker("/proc", "", HIERARCHIES.walked)
    yield walker
    walker.stop()


def read(walker: DiskWalker, *nodes: ContainerNode) -> dict[HoldKind, Hold]:
    """Look until a whole round has been made since now."""
    before = walker.look(nodes).rounds
    use: DiskUse = until(lambda: (use := walker.look(nodes)).rounds > before + 1 and use, "a round is made", 60)
    return {hold.kind: hold for hold in use.holds if hold.container == nodes[0].key}


def du(path: str) -> int:
    said = subprocess.run(["du", "-x", "-s", "-B1", path], check=True, capture_output=True, text=True).stdout
    return int(said.split()[0])


def upper_of(dockerd: Dockerd, name: str) -> str:
    pid = dockerd.state(name)["Pid"]
    line = next(each for each in Path(f"/proc/{pid}/mountinfo").read_text().splitlines() if "upperdir=" in each)
    return line.split("upperdir=")[1].split(",")[0]


def written(dockerd: Dockerd, name: str) -> str:
    """Start a container that has written to all places there are."""
    dockerd.run(name, ["sh", "-c", WRITES], binds=[f"{name}:/data"])
    # Lines of stderr may come behind it: they are read from another pipe.
    until(lambda: b"ready\n" in dockerd.api.logs(name), f"{name} has written", PATIENCE_S)
    os.sync()
    return name


def test_it_is_what_du_df_and_docker_say(
    dockerd: Dockerd, walker: DiskWalker, names: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("topcon.kernel.usage.LEAST_ROUND_S", 0.5)
    name = written(dockerd, names("writer"))
    node = node_inside(dockerd, name)

    holds = read(walker, node)

    layer, volume, log = holds[HoldKind.LAYER], holds[HoldKind.VOLUME], holds[HoldKind.LOG]
    assert layer.used_bytes == pytest.approx(du(upper_of(dockerd, name)), abs=SLACK_BYTES)
    mountpoint = dockerd.api.inspect_volume(name)["Mountpoint"]
    assert volume.used_bytes == pytest.approx(du(mountpoint), abs=SLACK_BYTES)
    assert volume.where == "/data"
    path = dockerd.api.inspect_container(name)["LogPath"]
    assert log.used_bytes == pytest.approx(Path(path).stat().st_blocks * 512, abs=SLACK_BYTES)
    assert log.where == path
    assert holds[HoldKind.TMPFS].used_bytes == 2 * M
    assert holds[HoldKind.TMPFS].where == "/dev/shm"
    assert {layer.device, volume.device, log.device} == {layer.device}
    assert layer.biggest[0].path == "written"

    # What docker counts are the lengths of files, its own directories left out.
    runtime = Docker(dockerd.socket)
    sizes = runtime.sizes(node.info.id)
    runtime.close()
    (listed,) = dockerd.api.containers(filters={"id": node.info.id}, size=True)
    assert sizes.layer_bytes == listed["SizeRw"]
    assert sizes.whole_bytes == listed["SizeRootFs"]
    assert layer.used_bytes == pytest.approx(sizes.layer_bytes, abs=SLACK_BYTES)

    for filesystem in walker.newest().filesystems:
        said = subprocess.run(
            ["df", "-B1", "--output=size,used,avail,itotal,iused", filesystem.point],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.splitlines()[1]
        size, used, available, inodes, inodes_used = map(int, said.split())
        assert (filesystem.size_bytes, filesystem.inodes) == (size, inodes)
        assert filesystem.used_bytes == pytest.approx(used, abs=64 * M)
        assert filesystem.available_bytes == pytest.approx(available, abs=64 * M)
        assert filesystem.inodes - filesystem.inodes_free == pytest.approx(inodes_used, abs=1000)


def test_a_deleted_file_counts_for_as_long_as_it_is_held(
    dockerd: Dockerd, walker: DiskWalker, names: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("topcon.kernel.usage.LEAST_ROUND_S", 0.5)
    name = written(dockerd, names("holder"))
    node = node_inside(dockerd, name)
    assert HoldKind.DELETED not in read(walker, node)

    # The image has few programs; to the kernel it is the same.
    Path(f"/proc/{dockerd.state(name)['Pid']}/root/gone").unlink()
    hold = read(walker, node)[HoldKind.DELETED]

    assert hold.used_bytes == 3 * M
    assert [file.path for file in hold.biggest] == ["/gone"]
    seen = FilesReader("/proc", HIERARCHIES.walked, walker).read(node)
    assert [(each.path, each.used_bytes) for each in seen.deleted] == [("/gone", 3 * M)]
    limits = Path(f"/proc/{dockerd.state(name)['Pid']}/limits").read_text()
    (process,) = seen.processes
    assert f"Max open files            {process.limit} " in limits
    assert process.descriptors == len(list(Path(f"/proc/{process.pid}/fd").iterdir()))
    points = {mount.point: mount for mount in seen.mounts}
    assert points["/dev/shm"].used_bytes == 2 * M
    assert points["/data"].source == name
    room = os.statvfs(f"/proc/{process.pid}/root/data")
    assert points["/data"].size_bytes == room.f_blocks * room.f_frsize


def test_neither_links_nor_mounts_lead_out_of_a_layer(
    dockerd: Dockerd, walker: DiskWalker, names: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("topcon.kernel.usage.LEAST_ROUND_S", 0.5)
    name = written(dockerd, names("hostile"))
    upper = Path(upper_of(dockerd, name))
    node = node_inside(dockerd, name)
    before = read(walker, node)[HoldKind.LAYER]
    (tmp_path / "big").write_bytes(b"x" * (16 * M))
    (upper / "slash").symlink_to("/")
    (upper / "bound").mkdir()
    subprocess.run(["mount", "--bind", str(tmp_path), str(upper / "bound")], check=True)
    try:
        after = read(walker, node)[HoldKind.LAYER]
    finally:
        subprocess.run(["umount", str(upper / "bound")], check=True)

    assert before.used_bytes is not None
    assert after.used_bytes == pytest.approx(before.used_bytes, abs=SLACK_BYTES)
    assert "big" not in [file.path.rpartition("/")[2] for file in after.biggest]


def test_200000_files_take_their_time_and_are_all_counted(
    dockerd: Dockerd, walker: DiskWalker, names: Callable[[str], str]
) -> None:
    name = written(dockerd, names("many"))
    node = node_inside(dockerd, name)
    directory = Path(upper_of(dockerd, name)) / "many"
    directory.mkdir()
    first = directory / "first"
    first.touch()
    count = 200_000
    for number in range(count // 40):
        # Names of their own, but few inodes: those would be what takes long to make.
        file = directory / f"{number}"
        file.touch()
        for link in range(39):
            os.link(file, directory / f"{number}.{link}")

    begun_s = time.monotonic()
    seen: list[tuple[float, int]] = []

    def look() -> DiskUse | None:
        use = walker.look([node])
        seen.append((time.monotonic() - begun_s, use.entries))
        return use if use.rounds else None

    use: DiskUse = until(look, "all of it was read", 120)

    for elapsed_s, entries in seen:
        assert entries <= (elapsed_s + SAVED_S) * ENTRIES_PER_S + 10_000
    layer = next(hold for hold in use.holds if hold.kind is HoldKind.LAYER)
    assert layer.is_whole
    assert layer.used_inodes == pytest.approx(count // 40 + 1, abs=50)


def test_the_screen_shows_it(dockerd: Dockerd, terminal: Terminal, names: Callable[[str], str]) -> None:
    name = written(dockerd, names("seen"))

    terminal.start("--read-only", f"--filter={name}")
    terminal.wait_for(name)
    terminal.press("5")
    shown = terminal.wait_for("layer", "volume", "tmpfs", "/data", "/dev/shm")
    assert "8.0" in shown or "11." in shown
    terminal.press("Enter")
    terminal.wait_for("[files]", "Mounts", "overlay", "Open files")
    terminal.press("u")
    terminal.wait_for("its runtime says  image")
