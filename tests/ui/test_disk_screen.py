"""The view of disks: it is read while it is seen, and leads to the files of a container."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from samples import docker_key, running, sample_of, snapshot_after

from tests.ui.looking import shows, text, until
from topcon.model.disk import MEMORY, BigFile, DiskUse, Hold, HoldKind, HostFilesystem
from topcon.model.files import Deleted, FilesSeen, LayerSizes, MountKind, MountUse, OpenFiles
from topcon.model.inside import Inside
from topcon.ui.screens import disk as disk_module
from topcon.ui.screens.detail import DetailScreen
from topcon.ui.screens.disk import DiskScreen

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from topcon.model.sample import ContainerId
    from topcon.model.snapshot import ContainerNode, Snapshot
    from topcon.ui.app import TopconApp

SIZE = (80, 24)
M, G = 1 << 20, 1 << 30
UPPER = f"/var/lib/docker/overlay2/{'ab' * 32}/diff"


def hold(name: str, kind: HoldKind, used: int | None, **options: object) -> Hold:
    given: dict[str, object] = {"where": UPPER, "device": "/dev/sda1"}
    return Hold(docker_key(name), kind, used_bytes=used, **(given | options))  # type: ignore[arg-type]


USE = DiskUse(
    holds=(
        hold("shop-db", HoldKind.VOLUME, 22 * G, where="/var/lib/postgresql/data", growth_bytes_per_s=3.0 * M),
        hold("shop-web", HoldKind.LAYER, int(1.2 * G), is_whole=False, used_inodes=20_000),
        hold(
            "shop-web", HoldKind.LOG, 900 * M, where="/var/lib/docker/containers/x/x-json.log", growth_bytes_per_s=0.0
        ),
        hold("hog", HoldKind.TMPFS, 60 * M, where="/dev/shm", device=MEMORY, limit_bytes=64 * M),
        hold("hog", HoldKind.DELETED, 30 * M, where="", used_inodes=2, biggest=(BigFile("/tmp/x", 30 * M),)),
        hold("hog", HoldKind.LAYER, None, where=UPPER.replace("ab", "cd"), is_whole=False),
    ),
    filesystems=(
        HostFilesystem("/dev/sda1", "/", "ext4", 252 * G, 220 * G, 30 * G, 1_000_000, 800_000),
        HostFilesystem("/dev/sdb", "/data", "xfs", 100 * G, 20 * G, 80 * G, 1_000_000, 990_000),
    ),
    rounds=3,
    walking=UPPER,
    deferred=2,
    entries=20_123,
)
SEEN = FilesSeen(
    mounts=(
        MountUse("/", MountKind.OVERLAY, "overlay", "overlay", False, False, 252 * G, 220 * G, 30 * G, 1000, 800),
        MountUse("/data", MountKind.VOLUME, "pgdata", "ext4", True, True, 252 * G, 220 * G, 30 * G, 1000, 800),
        MountUse("/dev/shm", MountKind.TMPFS, "shm", "tmpfs", False, False, 64 * M, 60 * M, 4 * M, 1000, 10),
    ),
    of_kernel=21,
    processes=(OpenFiles(4312, "nginx", 980, 1024), OpenFiles(4313, "sh", 3, None)),
    deleted=(Deleted("/tmp/x", 30 * M, 4312),),
    disk=USE,
)


def machine() -> Snapshot:
    return snapshot_after(sample_of(running("shop-db"), running("shop-web"), running("hog"), running("idle")))


class Answers:
    """What is known, and who asked."""

    def __init__(self) -> None:
        self.use: DiskUse | BaseException = USE
        self.looks: list[list[str]] = []
        self.looked = threading.Event()
        self.counted: list[str] = []

    def disk(self, nodes: Collection[ContainerNode]) -> DiskUse:
        assert threading.current_thread() is not threading.main_thread()
        self.looks.append(sorted(node.name for node in nodes))
        self.looked.set()
        if isinstance(self.use, BaseException):
            raise self.use
        return self.use

    def files(self, node: ContainerNode) -> FilesSeen:
        assert threading.current_thread() is not threading.main_thread()
        assert node.name
        return SEEN

    def sizes(self, container: ContainerId) -> LayerSizes:
        assert threading.current_thread() is not threading.main_thread()
        self.counted.append(container)
        return LayerSizes(3 * M, 103 * M)

    @property
    def inside(self) -> Inside:
        return Inside(disk=self.disk, files=self.files, sizes=self.sizes)


@pytest.fixture
def answers() -> Answers:
    return Answers()


async def test_5_shows_who_fills_the_disk(make_app: Callable[..., TopconApp], answers: Answers) -> None:
    app = make_app(first=machine(), inside=answers.inside)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("5")
        assert isinstance(app.screen, DiskScreen)
        page = await shows(app, pilot, "22.0G")

        assert "≥1.20G" in page
        assert "full in" in page
        assert answers.looks[0] == ["hog", "idle", "shop-db", "shop-web"]
        assert "enter open" in text(app, "#keys")

        await pilot.press("5")
        assert len(app.screen_stack) == 1


async def test_the_command_shows_it_too(make_app: Callable[..., TopconApp], answers: Answers) -> None:
    app = make_app(first=machine(), inside=answers.inside)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("colon", *"disk", "enter")
        await pilot.pause()

        assert isinstance(app.screen, DiskScreen)


async def test_enter_opens_the_files_of_the_container(make_app: Callable[..., TopconApp], answers: Answers) -> None:
    app = make_app(first=machine(), inside=answers.inside)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("5")
        await shows(app, pilot, "22.0G")

        await pilot.press("down", "enter")
        assert isinstance(app.screen, DetailScreen)
        assert "≥1.20G" in await shows(app, pilot, "Mounts")
        assert "[files]" in text(app, "#titles")

        await pilot.press("escape")
        assert isinstance(app.screen, DiskScreen)
        assert app.screen.entries.key == f"{docker_key('shop-web')} layer {UPPER}"


async def test_the_cursor_stays_at_the_top_until_it_is_moved(
    make_app: Callable[..., TopconApp], answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk_module, "LOOK_S", 0.02)
    answers.use = replace(USE, holds=USE.holds[1:])
    app = make_app(first=machine(), inside=answers.inside)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("5")
        await shows(app, pilot, "≥1.20G")
        answers.use = USE
        await shows(app, pilot, "22.0G")
        assert isinstance(app.screen, DiskScreen)
        assert app.screen.entries.key == USE.holds[0].key

        await pilot.press("down")
        answers.use = replace(USE, holds=(hold("idle", HoldKind.LOG, 30 * G, where="/x"), *USE.holds))
        await shows(app, pilot, "30.0G")

        assert app.screen.entries.key == USE.holds[1].key


async def test_u_has_the_runtime_count(make_app: Callable[..., TopconApp], answers: Answers) -> None:
    app = make_app(first=machine(), inside=answers.inside)
    async with app.run_test(size=(80, 40)) as pilot:
        await pilot.press("5")
        await shows(app, pilot, "22.0G")
        await pilot.press("enter")
        await shows(app, pilot, "u has its runtime count")
        assert answers.counted == []

        await pilot.press("u")

        await shows(app, pilot, "image 100M, layer 3.00M")
        assert len(answers.counted) == 1


async def test_it_is_asked_only_while_it_is_seen(
    make_app: Callable[..., TopconApp], answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk_module, "LOOK_S", 0.02)
    app = make_app(first=machine(), inside=answers.inside)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("5")
        await until(app, pilot, lambda: len(answers.looks) >= 3)

        await pilot.press("enter")
        await shows(app, pilot, "Mounts")
        before = len(answers.looks)
        await pilot.pause(0.1)
        assert len(answers.looks) == before

        await pilot.press("escape", "escape")
        await pilot.pause(0.1)
        before = len(answers.looks)
        await pilot.pause(0.1)
        assert len(answers.looks) == before


async def test_a_mistake_of_ours_ends_topcon(make_app: Callable[..., TopconApp], answers: Answers) -> None:
    answers.use = ZeroDivisionError("a bug")
    app = make_app(first=machine(), inside=answers.inside)

    async def look() -> None:
        async with app.run_test(size=SIZE) as pilot:
            await pilot.press("5")
            answers.looked.wait(10)
            await pilot.pause(0.05)

    with pytest.raises(ZeroDivisionError, match="a bug"):
        await look()


async def test_a_host_that_is_not_there_says_so(make_app: Callable[..., TopconApp]) -> None:
    app = make_app(first=machine())
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("5")

        await shows(app, pilot, "this host's disks cannot be read from here")


async def test_the_filter_of_the_tree_holds_here(make_app: Callable[..., TopconApp], answers: Answers) -> None:
    app = make_app(first=machine(), inside=answers.inside, filter_text="hog")
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("5")

        assert "postgresql" not in await shows(app, pilot, "60.0M") + text(app, "#titles")
