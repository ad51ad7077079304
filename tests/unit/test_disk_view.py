"""The lines of the view of disks, and of the tab of files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from samples import HOSTILE_NAMES, docker_key, running, sample_of, snapshot_after, text_of, unsafe

from topcon.filter import parse_filter
from topcon.model.disk import MEMORY, BigFile, DiskUse, Hold, HoldKind, HostFilesystem
from topcon.model.files import Deleted, FilesSeen, LayerSizes, MountKind, MountUse, OpenFiles
from topcon.model.inside import Inside
from topcon.model.sample import Problem
from topcon.ui.disk import MOST_LINES, disk_lines, fullest, layout, time_left_s
from topcon.ui.held import fullness_tone, growth_text, growth_tone, in_order, size_text, where_text
from topcon.ui.spans import Tone, width_of
from topcon.ui.tabs.files import SIZES, UNCOUNTED, ask_sizes, files_entries
from topcon.ui.tabs.seen import Seen

if TYPE_CHECKING:
    from collections.abc import Mapping

M, G = 1 << 20, 1 << 30
SDA = HostFilesystem("/dev/sda1", "/", "ext4", 100 * G, 80 * G, 15 * G, 1000, 500)


def hold(name: str, kind: HoldKind = HoldKind.LAYER, used: int | None = M, **options: Any) -> Hold:
    given = {"where": f"/where/{name}", "device": "/dev/sda1", "used_bytes": used} | options
    return Hold(docker_key(name), kind, **given)


def snapshot(*names: str) -> Any:
    return snapshot_after(sample_of(*(running(name) for name in names)))


def written(use: DiskUse, *names: str, text: str = "", width: int = 100, height: int = 30) -> tuple[str, list[str]]:
    lines = disk_lines(use, snapshot(*names), parse_filter(text), width, height)
    for spans in [*lines.titles, *(entry.spans for entry in lines.entries)]:
        assert width_of(spans) <= width
    return "\n".join(map(text_of, lines.titles)), [text_of(entry.spans) for entry in lines.entries]


@pytest.mark.parametrize(
    ("used", "is_whole", "text"),
    [(None, True, "-"), (None, False, "…"), (0, True, "0"), (3 * M, True, "3.00M"), (3 * M, False, "≥3.00M")],
)
def test_a_size_says_whether_there_is_more(used: int | None, *, is_whole: bool, text: str) -> None:
    assert size_text(used, is_whole=is_whole) == text


@pytest.mark.parametrize(
    ("growth", "text", "tone"),
    [
        (None, "-", Tone.DIM),
        (0.0, "0", Tone.DIM),
        (0.001, "0", Tone.DIM),
        (1024.0, "+60.0k", Tone.PLAIN),
        (-1024.0, "-60.0k", Tone.PLAIN),
        (M, "+60.0M", Tone.WARN),
    ],
)
def test_a_growth_is_of_a_minute(growth: float | None, text: str, tone: Tone) -> None:
    assert (growth_text(growth), growth_tone(growth)) == (text, tone)


@pytest.mark.parametrize(
    ("share", "tone"), [(None, Tone.DIM), (0.5, Tone.PLAIN), (0.85, Tone.WARN), (0.95, Tone.BAD), (1.0, Tone.BAD)]
)
def test_what_is_nearly_full_stands_out(share: float | None, tone: Tone) -> None:
    assert fullness_tone(share) is tone


def test_the_most_comes_first_and_the_unknown_last() -> None:
    holds = [hold("a", used=None, is_whole=False), hold("b", used=5), hold("c", used=7), hold("d", used=0)]

    assert [each.used_bytes for each in in_order(holds)] == [7, 5, 0, None]


def test_the_fullest_file_system_comes_first_by_room_or_by_inodes() -> None:
    roomy = SDA._replace(device="/dev/sdb", used_bytes=G, available_bytes=99 * G)
    many = roomy._replace(device="/dev/sdc", inodes_free=1)

    assert [each.device for each in fullest([roomy, SDA, many])] == ["/dev/sdc", "/dev/sda1", "/dev/sdb"]


def test_when_a_file_system_will_be_full() -> None:
    grows, shrinks = hold("a", growth_bytes_per_s=3.0 * M), hold("b", growth_bytes_per_s=-1.0 * M)
    elsewhere = hold("c", growth_bytes_per_s=100.0 * M, device=MEMORY)

    assert time_left_s(SDA, [grows, shrinks, elsewhere]) == pytest.approx(15 * G / (2 * M))
    assert time_left_s(SDA, [shrinks, elsewhere]) is None
    assert "full in 2h at this growth" in written(DiskUse((grows, shrinks), (SDA,)), "a", "b")[0]


def test_each_hold_has_a_line() -> None:
    use = DiskUse(
        holds=(
            hold("web", used=3 * M, is_whole=False),
            hold("db", HoldKind.VOLUME, 2 * G, growth_bytes_per_s=1024.0, others=(docker_key("web"),)),
            hold("web", HoldKind.TMPFS, 32 * M, limit_bytes=64 * M, device=MEMORY, where="/dev/shm"),
            hold("db", HoldKind.DELETED, 9 * M, where="", used_inodes=2, biggest=(BigFile("/tmp/x", 8 * M),)),
        ),
        filesystems=(SDA,),
        rounds=2,
    )

    titles, lines = written(use, "web", "db")

    assert "all of it was read 2 times" in titles
    assert "/     " in titles
    assert "84%" in titles
    assert "inodes 50%" in titles
    assert [line.split() for line in lines[:4]] == [
        ["db", "volume", "2.00G", "+60.0k", "/where/db,", "also", "web"],
        ["web", "tmpfs", "32.0M", "-", "/dev/shm", "of", "64.0M"],
        ["db", "deleted", "9.00M", "-", "2", "files", "held", "open:", "/tmp/x,", "..."],
        ["web", "layer", "≥3.00M", "-", "/where/web"],
    ]
    rest = "\n".join(lines[4:])
    assert "/dev/sda1, ext4: containers hold ≥2.01G, the most: db 2.01G, web 3.00M" in rest
    assert "in memory: 32.0M of files" in rest


def test_how_far_reading_has_come() -> None:
    use = DiskUse(holds=(hold("web"),), walking="/var/lib/x", deferred=3, entries=1234)

    assert "walking through /var/lib/x  1234 files, 2 more to come" in written(use, "web")[0]
    assert "reading …" in written(DiskUse(), "web")[0]


@pytest.mark.parametrize(
    ("use", "text", "said"),
    [
        (DiskUse(), "", "reading what containers hold …"),
        (DiskUse(rounds=1), "", "containers hold nothing on this host's disks"),
        (DiskUse((hold("web"),), rounds=1), "db", "what matches the filter holds nothing"),
    ],
)
def test_where_there_is_nothing_it_is_said(use: DiskUse, text: str, said: str) -> None:
    assert said in written(use, "web", "db", text=text)[1][0]


def test_of_a_host_that_is_not_there_nothing_is_read() -> None:
    lines = disk_lines(DiskUse(), snapshot("web"), parse_filter(""), 80, 24, is_read=False)

    assert text_of(lines.entries[0].spans).strip() == "this host's disks cannot be read from here"


def test_the_filter_of_the_tree_holds_and_what_is_gone_has_no_line() -> None:
    use = DiskUse((hold("web", used=2), hold("db", others=(docker_key("web"),)), hold("x"), hold("gone")), rounds=1)

    assert [line.split()[0] for line in written(use, "web", "db", "x", text="web")[1]] == ["db", "web"]
    assert len(written(use, "web", "db", "x")[1]) == 3


def test_what_takes_nothing_has_no_line() -> None:
    assert "containers hold nothing" in written(DiskUse((hold("web", used=0),), rounds=1), "web")[1][0]


def test_problems_have_their_remedies() -> None:
    use = DiskUse(problems=(Problem("disk", "permission denied at /x", "sudo topcon"),), rounds=1)

    text = "\n".join(written(use)[1])
    assert "▲ permission denied at /x" in text
    assert "sudo topcon" in text


def test_very_many_are_added_up() -> None:
    holds = tuple(hold(f"c{n}", used=(n + 1) * M) for n in range(MOST_LINES + 7))

    lines = written(DiskUse(holds, rounds=1), *(f"c{n}" for n in range(MOST_LINES + 7)))[1]

    assert len(lines) == MOST_LINES + 1
    assert lines[-1].strip() == f"7 more, of {sum(range(8))}.0M in all"


def test_nothing_is_written_that_is_not_in_sight() -> None:
    lines = disk_lines(DiskUse((hold("web"),), rounds=1), snapshot("web"), parse_filter(""), 80, 24)

    assert lines.entries[0].spans._spans is None  # type: ignore[union-attr]


@pytest.mark.parametrize("width", [20, 40, 60, 80, 160])
def test_it_fits_any_screen(width: int) -> None:
    name = "a-very-long-name-of-a-container-that-somebody-made"
    use = DiskUse((hold(name, where="/x" * 90),), (SDA,), walking="/y" * 90, deferred=9)

    written(use, name, width=width, height=10)
    placed = layout(width, 50)
    assert placed.has_growth is (width >= 60)


@pytest.mark.parametrize("text", HOSTILE_NAMES.values(), ids=HOSTILE_NAMES)
def test_foreign_names_are_shown_safely(text: str) -> None:
    use = DiskUse(
        (
            hold(text or "x", where=text, biggest=(BigFile(text, 1),)),
            hold("y", HoldKind.DELETED, where="", biggest=(BigFile(text, 1),)),
        ),
        (SDA._replace(point=text, device=text, fstype=text),),
        (Problem("x", text, text),),
        walking=text,
    )
    titles, lines = written(use, text or "x", "y")
    assert not unsafe(titles.replace("\n", "") + "".join(lines))

    seen = FilesSeen(
        (MountUse(text, MountKind.BIND, text, text),),
        processes=(OpenFiles(1, text, 1, 1),),
        deleted=(Deleted(text, 1, 1),),
        disk=use,
        problems=use.problems,
    )
    assert not unsafe("".join(tab(seen, text or "x")))


def tab(found: object, name: str = "web", told: Mapping[str, object] | None = None, width: int = 100) -> list[str]:
    shown = snapshot(name)
    seen = Seen(shown, shown.containers[docker_key(name)], width, 30, found, None, None, told or {})
    entries = files_entries(seen)
    for entry in entries:
        assert width_of(entry.spans) <= width
    return [text_of(entry.spans) for entry in entries]


def test_the_tab_waits_and_says_so() -> None:
    assert "looking" in tab(None)[0]


def test_the_tab_shows_mounts_open_files_and_what_was_deleted() -> None:
    seen = FilesSeen(
        mounts=(
            MountUse("/", MountKind.OVERLAY, "overlay", "overlay", False, False, 100 * G, 80 * G, 15 * G, 1000, 500),
            MountUse("/data", MountKind.VOLUME, "pg", "ext4", True, True, 100 * G, 80 * G, 15 * G, 0, 0),
            MountUse("/nfs", MountKind.NETWORK, "server:/x", "nfs4"),
        ),
        of_kernel=12,
        processes=(OpenFiles(12, "nginx", 980, 1024), OpenFiles(13, "sh", 3, None)),
        unseen=2,
        deleted=(Deleted("/tmp/x", 8 * M, 12), Deleted("/tmp/y", M, 13)),
        disk=DiskUse((hold("web", used=3 * M, used_inodes=40, biggest=(BigFile("a/b", 2 * M),)), hold("db"))),
    )
    lines = tab(seen)
    words = [line.split() for line in lines]

    assert ["/", "100G", "80.0G", "██████▊", "84%", "50%", "overlay"] in words
    assert any(
        line[0] == "/data" and line[-5:] == ["volume", "pg,", "ro,", "shared,", "ext4"] for line in words if line
    )
    assert ["/nfs", "-", "-", "-", "-", "network", "server:/x,", "nfs4"] in words
    assert "   and 12 of the kernel's own" in lines
    assert ["12", "nginx", "980", "of", "1024", "96%"] in words
    assert ["13", "sh", "3", "no", "limit"] in words
    assert "   2 could not be looked at" in lines
    assert any("Deleted, and held open  9.00M in all" in line for line in lines)
    assert ["8.00M", "/tmp/x,", "pid", "12"] in words
    assert ["layer", "3.00M", "-", "/where/web,", "40", "inodes"] in words
    assert ["2.00M", "/a/b"] in words
    assert not any("/where/db" in line for line in lines)


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({}, "u has its runtime count the layer and the image"),
        ({SIZES: None}, "counts the layer and the image …"),
        ({SIZES: LayerSizes(3 * M, 103 * M)}, "image 100M, layer 3.00M"),
        ({SIZES: LayerSizes(None, None)}, "image -, layer -"),
        ({SIZES: Problem("docker", "no answer for 5 s")}, "no answer for 5 s"),
        ({SIZES: UNCOUNTED}, "no runtime that answers counts it"),
    ],
)
def test_the_runtime_counts_when_it_is_asked(told: dict[str, object], said: str) -> None:
    assert any(said in line for line in tab(FilesSeen(disk=DiskUse()), told=told))


@pytest.mark.parametrize("sizes", [None, lambda _: None])
def test_who_cannot_count_does_not_keep_anybody_waiting(sizes: Any) -> None:
    assert ask_sizes(Inside(sizes=sizes), snapshot("web").containers[docker_key("web")]) is UNCOUNTED


def test_what_the_deleted_are_called() -> None:
    one = hold("a", HoldKind.DELETED, where="", used_inodes=1, biggest=(BigFile("/x", 1),))

    assert where_text(one) == "held open: /x"
