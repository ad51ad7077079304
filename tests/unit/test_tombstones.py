"""Containers that are gone: what is remembered of them, and their rows."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from fakes import SECOND_NS, START_WALL_NS
from samples import COMPOSE, docker_key, kernel_only, running, sample_of, stopped, text_of, unclaimed

from topcon.columns import Line, state_text
from topcon.events import events_after
from topcon.filter import parse_filter
from topcon.model.course import Kind as CourseKind
from topcon.model.derive import GONE_FOR_NS, derive
from topcon.model.event import Kind, Told
from topcon.model.sample import PodKind, Role, State
from topcon.model.tombstones import MOST_SHOWN, ended_badly, last_seen, tombstone_of
from topcon.report import to_object
from topcon.rows import Arrangement, ViewState, rows
from topcon.ui.detail import detail_lines, find
from topcon.ui.header import Status, header_lines
from topcon.ui.marks import settled
from topcon.ui.revealing import revealed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from samples import Box

    from topcon.model.sample import Sample
    from topcon.model.snapshot import ContainerNode, Snapshot
    from topcon.rows import Rows

SHOP = {"labels": {COMPOSE: "shop"}}
EVERYTHING = ViewState()


def at(seconds: float) -> int:
    return START_WALL_NS + int(seconds * SECOND_NS)


def told(kind: Kind, name: str, seconds: float, exit_code: int | None = None) -> Told:
    return Told(at(seconds), kind, docker_key(name), name, exit_code)


def following(*samples: Sample) -> list[Snapshot]:
    """Return the snapshots of samples, with their events, as a sampler makes them."""
    snapshots: list[Snapshot] = []
    for sample in samples:
        last = snapshots[-1] if snapshots else None
        snapshot = derive(last, sample)
        snapshots.append(replace(snapshot, events=events_after(last, snapshot)))
    return snapshots


def after(before: Iterable[Box], now: Iterable[Box], events: tuple[Told, ...] = ()) -> Snapshot:
    """Return what is there once something has gone."""
    boxes = tuple(before)
    last = replace(sample_of(*now, seconds=2), events=events)
    return following(sample_of(*boxes), sample_of(*boxes, seconds=1), last)[-1]


def stone_of(snapshot: Snapshot, name: str) -> ContainerNode:
    stone = tombstone_of(snapshot, docker_key(name))
    assert stone is not None
    return stone


def shown(snapshot: Snapshot, view: ViewState = EVERYTHING, **options: Any) -> list[tuple[int, str, str]]:
    view = replace(view, **options) if options else view
    return [(row.depth, row.line.title, state_text(row.line)) for row in rows(snapshot, view)]


def test_who_goes_leaves_a_tombstone() -> None:
    snapshot = after([running("web"), running("db")], [running("db")])

    stone = stone_of(snapshot, "web")
    assert docker_key("web") not in snapshot.containers
    assert (stone.is_gone, stone.gone_ns, stone.info.finished_ns) == (True, at(2), at(2))
    assert (stone.info.state, stone.info.exit_code, stone.info.oom_killed) == (State.EXITED, None, False)
    assert state_text(Line(stone, None)) == "gone"


ENDS = {
    "told as it goes": ([told(Kind.EXIT, "web", 1.5, 137)], (137, False, at(1.5)), "gone 137"),
    "killed for memory": (
        [told(Kind.OOM, "web", 1.4), told(Kind.EXIT, "web", 1.5, 137)],
        (137, True, at(1.5)),
        "gone oom",
    ),
    "it ended well, whatever was killed in it": (
        [told(Kind.OOM, "web", 1.4), told(Kind.EXIT, "web", 1.5, 0)],
        (0, False, at(1.5)),
        "gone 0",
    ),
    "told of another": ([told(Kind.EXIT, "db", 1.5, 3)], (None, False, at(2)), "gone"),
    "told of a life before": ([told(Kind.EXIT, "web", -50, 3)], (None, False, at(2)), "gone"),
}


@pytest.mark.parametrize(("events", "end", "text"), ENDS.values(), ids=ENDS)
def test_how_it_ended_is_what_was_told(events: list[Told], end: tuple[int | None, bool, int], text: str) -> None:
    before = [running("web", info={"started_ns": at(-10)})]

    stone = stone_of(after(before, [], tuple(events)), "web")

    assert (stone.info.exit_code, stone.info.oom_killed, stone.info.finished_ns) == end
    assert state_text(Line(stone, None)) == text


def test_an_end_that_was_told_before_it_went() -> None:
    web = running("web")
    dying = replace(sample_of(web, seconds=1), events=(told(Kind.EXIT, "web", 1, 3),))

    snapshot = following(sample_of(web), dying, sample_of(web, seconds=2), sample_of(seconds=3))[-1]

    assert stone_of(snapshot, "web").info.exit_code == 3


def test_an_end_that_is_told_only_later() -> None:
    late = replace(sample_of(seconds=3), events=(told(Kind.EXIT, "web", 1.8, 139),))

    snapshots = following(sample_of(running("web")), sample_of(seconds=2), late, sample_of(seconds=4))

    assert [stone_of(each, "web").info.exit_code for each in snapshots[1:]] == [None, 139, 139]
    assert snapshots[3].gone is snapshots[2].gone
    assert snapshots[3].tombs is snapshots[2].tombs


def test_what_the_kernel_counted_says_that_it_was_killed() -> None:
    stone = stone_of(after([running("web", oom_kill=1)], [], (told(Kind.EXIT, "web", 2, 137),)), "web")

    assert stone.info.oom_killed


def test_of_one_that_had_ended_its_runtime_has_told() -> None:
    ended = stopped("old", exit_code=1, finished_ns=at(-70), oom_killed=True)

    stone = stone_of(after([ended], []), "old")

    assert (stone.info.exit_code, stone.info.finished_ns, stone.info.oom_killed) == (1, at(-70), True)


NO_STONES: dict[str, Box] = {
    "never ran": stopped("x", state=State.CREATED, exit_code=None),
    "a sandbox": running("x", info={"role": Role.SANDBOX}),
}


@pytest.mark.parametrize("box", NO_STONES.values(), ids=NO_STONES)
def test_nobody_looks_for_these(box: Box) -> None:
    snapshot = after([box, running("web")], [running("web")])

    assert len(snapshot.gone) == 1
    assert snapshot.tombs == ()


def test_one_that_is_called_otherwise_now_is_not_gone() -> None:
    snapshot = after([unclaimed(kernel_only(running("web")))], [running("web")])

    assert [gone.container.key.partition(":")[0] for gone in snapshot.gone] == ["none"]
    assert snapshot.tombs == ()


def test_who_comes_back_has_none() -> None:
    web = running("web")

    snapshot = following(sample_of(web), sample_of(seconds=1), sample_of(web, seconds=2))[-1]

    assert snapshot.tombs == ()


def test_after_ten_minutes_nothing_is_left() -> None:
    later_s = GONE_FOR_NS / SECOND_NS + 2

    before, after_it = following(sample_of(running("web")), sample_of(seconds=1), sample_of(seconds=later_s))[1:]

    assert before.tombs
    assert (after_it.tombs, after_it.gone) == ((), ())


def test_no_more_than_the_newest() -> None:
    names = [f"job-{at}" for at in range(MOST_SHOWN + 20)]

    snapshot = after([running(name) for name in names], [])

    assert sum(len(pod.containers) for pod in snapshot.tombs) == MOST_SHOWN


def test_what_it_used_goes_on_as_unknown() -> None:
    boxes = [sample_of(running("web", usage_usec=second * 500_000), seconds=second) for second in range(5)]

    snapshot = following(*boxes, sample_of(seconds=5), sample_of(seconds=6), sample_of(seconds=7))[-1]

    usage = stone_of(snapshot, "web").usage
    assert usage.cpu_cores is None
    assert usage.course.values(CourseKind.CPU, snapshot.tick)[-6:] == [0.5, 0.5, 0.5, None, None, None]
    assert usage.cpu_history.values(snapshot.tick, 6) == [0.5, 0.5, 0.5, None, None, None]


def test_its_last_values_are_those_that_were_seen() -> None:
    boxes = [sample_of(running("web", usage_usec=second * 500_000), seconds=second) for second in range(3)]
    snapshot = following(*boxes, sample_of(seconds=3))[-1]

    assert last_seen(snapshot, stone_of(snapshot, "web")).usage.cpu_cores == 0.5


def test_tombstones_are_below_what_runs_in_their_pod() -> None:
    pod = [running(name, info=SHOP) for name in ("a-worker", "web", "zoo")]

    snapshot = after(pod, pod[1:])

    expected = [(0, "shop", "2 up"), (1, "web", "up"), (1, "zoo", "up"), (1, "a-worker", "gone")]
    for sort in ("name", "state", "finding", "age", "cpu"):
        for is_reversed in (False, True):
            found = shown(snapshot, sort=sort, is_reversed=is_reversed)
            assert sorted(found) == sorted(expected)
            assert found[-1] == expected[-1]


def test_a_pod_of_which_one_is_left_stays_a_pod() -> None:
    pod = [running(name, info=SHOP) for name in ("web", "db")]

    snapshot = after(pod, pod[:1])

    assert shown(snapshot) == [(0, "shop", "1 up"), (1, "web", "up"), (1, "db", "gone")]
    assert shown(snapshot, has_gone=False) == [(0, "web", "up")]


def test_a_pod_that_went_has_its_tombstones_to_itself() -> None:
    pod = [running(name, info=SHOP) for name in ("web", "db")]

    snapshot = after([*pod, running("alone")], [running("alone")])

    assert shown(snapshot) == [(0, "alone", "up"), (0, "shop", "gone"), (1, "db", "gone"), (1, "web", "gone")]
    (tomb,) = snapshot.tombs
    assert (tomb.kind, tomb.is_gone, find(snapshot, f"pod:{tomb.key}")) == (PodKind.COMPOSE, True, tomb)


def test_the_newest_comes_first() -> None:
    boxes = [running(name) for name in ("a", "b", "c")]

    snapshot = following(sample_of(*boxes), sample_of(*boxes[:1], boxes[2], seconds=1), sample_of(boxes[2], seconds=2))[
        -1
    ]

    assert [title for _, title, _ in shown(snapshot)] == ["c", "a", "b"]


@pytest.mark.parametrize(
    ("arrangement", "names"),
    [
        (Arrangement.FLAT, ["web", "db"]),
        (Arrangement.PODS, ["shop"]),
        (Arrangement.IMAGES, ["no image"]),
        (Arrangement.RUNTIMES, ["docker"]),
    ],
)
def test_the_other_arrangements(arrangement: Arrangement, names: list[str]) -> None:
    pod = [running(name, info=SHOP) for name in ("web", "db")]

    snapshot = after(pod, pod[:1])

    assert [title.removeprefix("shop/") for _, title, _ in shown(snapshot, arrangement=arrangement)] == names


@pytest.mark.parametrize(
    ("text", "names"),
    [("state:gone", ["web"]), ("!state:gone", ["db"]), ("state:up", ["db"]), ("exit=137", ["web"]), ("we", ["web"])],
)
def test_the_filter_knows_them(text: str, names: list[str]) -> None:
    snapshot = after([running("web"), running("db")], [running("db")], (told(Kind.EXIT, "web", 2, 137),))

    assert [title for _, title, _ in shown(snapshot, filter=parse_filter(text, {}))] == names


def test_stopped_ones_are_hidden_apart_from_them() -> None:
    snapshot = after([running("web"), stopped("old", exit_code=0)], [stopped("old", exit_code=0)])

    assert [title for _, title, _ in shown(snapshot, has_stopped=False)] == ["web"]
    assert [title for _, title, _ in shown(snapshot, has_gone=False)] == ["old"]


@pytest.mark.parametrize(("code", "is_sick"), [(137, True), (1, True), (0, False), (143, False), (None, False)])
def test_among_the_sick_are_those_that_ended_badly(code: int | None, *, is_sick: bool) -> None:
    snapshot = after([running("web")], [], (told(Kind.EXIT, "web", 2, code),))

    assert ended_badly(stone_of(snapshot, "web")) is is_sick
    assert [title for _, title, _ in shown(snapshot, only_sick=True)] == ["web"] * is_sick


def test_rows_are_the_very_same_while_nothing_changes() -> None:
    pod = [running(name, info=SHOP) for name in ("web", "db")]
    first, second, third = following(sample_of(*pod), sample_of(*pod[:1], seconds=1), sample_of(*pod[:1], seconds=2))
    before = rows(first, EVERYTHING)

    gone = rows(second, EVERYTHING, before)
    later = rows(third, EVERYTHING, gone)

    assert [row.line.title for row in gone] == ["shop", "web", "db"]
    assert later[-1] is gone[-1]
    assert later == rows(third, EVERYTHING)


def test_held_rows_let_a_tombstone_come_and_go() -> None:
    boxes = [running(name) for name in ("a", "b", "c")]
    samples = [sample_of(*boxes), sample_of(*boxes[1:], seconds=1), sample_of(*boxes, seconds=2)]
    known: Rows | None = None
    names = []
    for snapshot in following(*samples):
        known = rows(snapshot, EVERYTHING, known, is_held=True)
        names.append([row.line.title for row in known])

    assert names == [["a", "b", "c"], ["b", "c", "a"], ["b", "c", "a"]]


def test_none_of_them_can_be_marked() -> None:
    snapshot = after([running("web")], [])
    every = rows(snapshot, EVERYTHING)

    assert settled(frozenset({every[0].key}), every, snapshot) == frozenset()


def test_one_is_found_whatever_hides_it() -> None:
    snapshot = after([running("web")], [])
    view = ViewState(has_gone=False, has_stopped=False)

    found = revealed(snapshot, view, docker_key("web"))

    assert found is not None
    assert (found.view.has_gone, found.key) == (True, f"container:{docker_key('web')}")


def test_the_header_counts_them_apart() -> None:
    snapshot = after([running("web"), stopped("old", exit_code=0)], [stopped("old", exit_code=0)])

    def where(*hidden: str) -> str:
        return text_of(header_lines(snapshot, Status(1.0, hidden=hidden), 160)[0])

    assert "0 up · 1 stopped · 1 gone" in where()
    assert "1 gone hidden" in where("gone")
    assert "hides" not in where("gone")


def test_the_details_say_how_it_ended() -> None:
    boxes = [running("web", usage_usec=second * 500_000, limit=64 << 20, oom_kill=second // 2) for second in range(3)]
    samples = [sample_of(box, seconds=second) for second, box in enumerate(boxes)]
    last = replace(sample_of(seconds=3), events=(told(Kind.EXIT, "web", 3, 137),))
    snapshot = following(*samples, last)[-1]

    lines = [text_of(line).strip() for line in detail_lines(snapshot, stone_of(snapshot, "web"), 100)]

    assert any(line.startswith("state") and line.endswith("gone 137 oom") for line in lines)
    assert any(line.startswith("exit code") and "137 (SIGKILL, out of memory)" in line for line in lines)
    assert any(line.startswith("OOM kills") and line.endswith("1") for line in lines)
    assert "Use, as it was last seen" in lines
    assert any(line.startswith("CPU ") and "0.50" in line for line in lines)


def test_as_json_there_is_a_list_of_them() -> None:
    snapshot = after([running("web", info={"image": "web:1"})], [], (told(Kind.EXIT, "web", 2, 137),))

    (gone,) = to_object(snapshot, rows(snapshot, ViewState(has_gone=False)))["gone"]

    assert gone == {
        "key": docker_key("web"),
        "name": "web",
        "pod": f"single:{docker_key('web')}",
        "image": "web:1",
        "exit_code": 137,
        "oom_killed": False,
        "gone_at": gone["gone_at"],
    }
    assert gone["gone_at"].startswith("20")
