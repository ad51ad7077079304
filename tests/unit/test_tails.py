"""The last lines of what ends: who is read, how much is kept, and that no thread is left."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from fakes import SECOND_NS, START_WALL_NS
from hypothesis import given
from hypothesis import strategies as st
from samples import docker_key, running, sample_of, stopped, text_of

from topcon.errors import SourceUnavailable
from topcon.logs import Entry, Output
from topcon.model.derive import derive
from topcon.model.output import Batch, LastLines, Wanted
from topcon.model.sample import LogLine, Problem, Role, Source
from topcon.tails import MOST_CHARACTERS, MOST_KEPT, MOST_LINES, MOST_WAITING, Tails, last_of, wants
from topcon.ui.lives import ASKED, TOO_LATE, before_start, nothing_text, of_gone, older_than, predecessor
from topcon.ui.logs import LogView, entry_rows, saved_line
from topcon.ui.spans import width_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from samples import Box

    from topcon.model.snapshot import ContainerNode, Snapshot

PATIENCE_S = 20.0


def at(seconds: float) -> int:
    return START_WALL_NS + int(seconds * SECOND_NS)


def line(text: str, seconds: float | None = 1.0) -> LogLine:
    return LogLine(None if seconds is None else at(seconds), is_stderr=False, text=text)


def snapshots(*samples: tuple[Box, ...]) -> list[Snapshot]:
    made: list[Snapshot] = []
    for second, boxes in enumerate(samples):
        made.append(derive(made[-1] if made else None, sample_of(*boxes, seconds=second)))
    return made


AGED = {"started_ns": at(-60)}
WEB = running("web", info=AGED)


class Told:
    """A feed of what was written."""

    where = "docker"

    def __init__(self, *batches: Batch | SourceUnavailable) -> None:
        self.batches = list(batches)
        self.is_closed = False
        self.is_stopped = threading.Event()

    def read(self) -> Batch | None:
        found = self.batches.pop(0) if self.batches else None
        if isinstance(found, SourceUnavailable):
            raise found
        return found

    def stop(self) -> None:
        self.is_stopped.set()

    def close(self) -> None:
        self.is_closed = True


class Asked:
    """Notes whom it was asked for, and waits to be let go on if it shall."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.wanted: list[Wanted] = []
        self.feeds: dict[str, Any] = {}
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self.done = threading.Semaphore(0)

    def __call__(self, container: ContainerNode, wanted: Wanted) -> Any:
        assert self.may_go_on.wait(PATIENCE_S)
        self.names.append(container.name)
        self.wanted.append(wanted)
        return self.feeds.get(container.name) or Told(Batch((line(f"bye from {container.name}"),)))


@pytest.fixture
def asked() -> Asked:
    return Asked()


@pytest.fixture
def tails(asked: Asked) -> Iterator[Tails]:
    made = Tails(asked, apart_s=0.0)
    yield made
    asked.may_go_on.set()
    made.close()
    until_ended(made)


def until_ended(made: Tails) -> None:
    for thread in made._threads:
        thread.join(PATIENCE_S)
    assert not made.is_alive


def kept(made: Tails, name: str) -> LastLines:
    """Wait until it was read."""
    waited = threading.Event()
    for _ in range(int(PATIENCE_S * 100)):
        found = made.of(docker_key(name))
        if found is not None:
            return found
        waited.wait(0.01)
    raise AssertionError(name)


LIVES: dict[str, tuple[tuple[Box, ...], tuple[Box, ...], list[tuple[str, int | None]]]] = {
    "it goes on": ((WEB,), (running("web", info=AGED, usage_usec=5),), []),
    "it comes": ((), (WEB,), []),
    "it ends": ((WEB,), (stopped("web", exit_code=1, started_ns=at(-60), finished_ns=at(1)),), [("web", None)]),
    "it is removed": ((WEB,), (), [("web", None)]),
    "it is started again": ((WEB,), (running("web", info={"started_ns": at(0.5)}),), [("web", at(0.5))]),
    "it is started again, as nobody but the kernel tells yet": (
        (running("web", info=AGED, process={"pid": 7, "started_ns": at(-60), "ns_pids": (7, 1)}),),
        (running("web", info=AGED, process={"pid": 8, "started_ns": at(0.5), "ns_pids": (8, 1)}),),
        [("web", at(0.5))],
    ),
    "what had ended is removed": ((stopped("web", exit_code=1),), (), []),
    "what had ended is started": (
        (stopped("web", exit_code=1, started_ns=at(-60)),),
        (running("web", info={"started_ns": at(0.5)}),),
        [("web", at(0.5))],
    ),
    "a sandbox goes": ((running("web", info={"role": Role.SANDBOX}),), (), []),
    "nobody knows its name": ((running("web", info={"source": Source.CGROUP}),), (), []),
}


@pytest.mark.parametrize(("before", "now", "expected"), LIVES.values(), ids=LIVES)
def test_whose_lines_are_wanted(
    before: tuple[Box, ...], now: tuple[Box, ...], expected: list[tuple[str, int | None]]
) -> None:
    first, second = snapshots(before, now)

    found = [(want.container.name, want.started_again_ns) for want in wants(first, second)]

    assert found == expected


def test_what_ends_is_read_and_kept(tails: Tails, asked: Asked) -> None:
    for snapshot in snapshots((WEB,), (stopped("web", exit_code=1),)):
        tails.look(snapshot)

    found = kept(tails, "web")

    assert [each.text for each in found.lines] == ["bye from web"]
    assert (found.where, found.reason, found.started_again_ns) == ("docker", "", None)
    assert asked.wanted == [Wanted(MOST_LINES)]


def test_nothing_is_read_of_what_goes_on(tails: Tails, asked: Asked) -> None:
    for snapshot in snapshots((WEB,), (WEB,), (WEB, running("db"))):
        tails.look(snapshot)

    assert not tails._threads
    assert asked.names == []


def test_of_one_that_runs_again_only_what_it_wrote_before(tails: Tails, asked: Asked) -> None:
    lines = (line("old", -3), line("last words", 0.4), line("no time", None), line("hello again", 0.6))
    asked.feeds["web"] = Told(Batch(lines))
    for snapshot in snapshots((WEB,), (running("web", info={"started_ns": at(0.5)}),)):
        tails.look(snapshot)

    found = kept(tails, "web")

    assert [each.text for each in found.lines] == ["old", "last words"]
    assert found.started_again_ns == at(0.5)


def test_what_cannot_be_read_says_why(tails: Tails, asked: Asked) -> None:
    asked.feeds["web"] = Problem("logs", "no log file at /var/x")
    asked.feeds["db"] = Told(SourceUnavailable("the daemon went away"))
    for snapshot in snapshots((WEB, running("db")), ()):
        tails.look(snapshot)

    assert (kept(tails, "web").lines, kept(tails, "web").reason) == ((), "no log file at /var/x")
    assert kept(tails, "db").reason == "the daemon went away"
    assert asked.feeds["db"].is_closed


def test_what_comes_late_is_waited_for_but_not_what_comes_next(tails: Tails, asked: Asked) -> None:
    asked.feeds["web"] = Told(Batch(), Batch(), Batch((line("late"),)), Batch(), Batch((line("of the next life"),)))

    for snapshot in snapshots((WEB,), (stopped("web", exit_code=1),)):
        tails.look(snapshot)

    assert [each.text for each in kept(tails, "web").lines] == ["late"]


def test_what_was_read_as_it_ended_outlives_its_removal(tails: Tails, asked: Asked) -> None:
    dying = running("web", info=AGED)
    for snapshot in snapshots((dying,), (stopped("web", exit_code=1),)):
        tails.look(snapshot)
    first = kept(tails, "web")

    tails._keep(docker_key("web"), LastLines((), "", 0, None, "it is not there"))

    assert tails.of(docker_key("web")) is first
    assert asked.names == ["web"]


def test_more_than_can_wait_are_counted(tails: Tails, asked: Asked) -> None:
    asked.may_go_on.clear()
    names = [f"job-{number}" for number in range(MOST_WAITING + 20)]
    for snapshot in snapshots(tuple(running(name) for name in names), ()):
        tails.look(snapshot)

    assert tails.missed in range(20 - len(tails._threads), 21)
    assert len(tails._threads) <= 2


def test_those_read_first_are_forgotten_first(tails: Tails) -> None:
    for number in range(MOST_KEPT + 3):
        tails._keep(docker_key(f"job-{number}"), LastLines((line("x"),), "docker", number))

    assert tails.of(docker_key("job-2")) is None
    assert tails.of(docker_key("job-3")) is not None
    assert len(tails._kept) == MOST_KEPT


def test_readings_are_apart() -> None:
    made = Tails(Asked(), apart_s=100.0)

    rests = [made._rest_s() for _ in range(3)]

    assert rests[0] == 0
    assert rests[1] > 99
    assert rests[2] > 199


def test_closed_it_waits_for_nobody_and_leaves_nothing(asked: Asked) -> None:
    class Hanging(Told):
        begun = threading.Event()

        def read(self) -> Batch | None:
            self.begun.set()
            assert self.is_stopped.wait(PATIENCE_S)
            return None

    asked.feeds["web"] = feed = Hanging()
    made = Tails(asked, apart_s=0.0)
    first, second = snapshots((WEB,), ())
    made.looking(lambda _: None)(first)
    made.look(second)
    assert feed.begun.wait(PATIENCE_S)

    made.close()

    until_ended(made)
    assert feed.is_closed
    made.look(first)
    assert not made.is_alive


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_bug_on_its_thread_is_raised_where_it_is_seen() -> None:
    def follow(*_: object) -> Any:
        raise ZeroDivisionError

    made = Tails(follow, apart_s=0.0)
    first, second = snapshots((WEB,), ())
    made.look(first)
    made.look(second)
    made._threads[0].join(PATIENCE_S)

    with pytest.raises(ZeroDivisionError):
        made.look(second)
    made.close()


@given(st.lists(st.text(max_size=9000), max_size=80))
def test_no_more_is_kept_than_may_be(texts: list[str]) -> None:
    lines = [line(text) for text in texts]

    found = last_of(lines)

    assert len(found) <= MOST_LINES
    assert sum(len(each.text) for each in found) <= MOST_CHARACTERS
    assert [each.text for each in found] == texts[len(texts) - len(found) :]
    assert not texts or found


def test_a_line_that_is_too_long_is_cut() -> None:
    assert len(last_of([line("a"), line("x" * 2 * MOST_CHARACTERS)])[0].text) == MOST_CHARACTERS


# What the screen makes of it.


def gone_web(**info: Any) -> tuple[Snapshot, ContainerNode]:
    snapshot = snapshots((running("web", info=AGED | info),), ())[-1]
    (pod,) = snapshot.tombs
    return snapshot, pod.containers[0]


def test_the_note_says_how_it_ended_and_where_the_lines_are_from() -> None:
    _, stone = gone_web()
    stone = stone._replace(info=replace(stone.info, exit_code=137, oom_killed=True))

    past = of_gone(stone, LastLines((line("a"), line("b")), "docker", at(3)))

    assert past.note.startswith("exited with 137 (SIGKILL), out of memory at ")
    assert "; the last 2 lines, read at " in past.note
    assert past.note.endswith("from docker")
    assert of_gone(stone, None).note.endswith(", and is gone")


@pytest.mark.parametrize(
    ("kept_lines", "now_s", "is_kept", "text"),
    [
        (None, 2, True, f"its last lines: {ASKED}"),
        (None, 60, True, f"its last lines: {TOO_LATE}"),
        (None, 60, False, "its last lines are not kept here"),
        (LastLines((), "", 0, None, "no log file"), 2, True, "its last lines are lost: no log file"),
        (LastLines((), "docker", 0), 2, True, "it has written nothing"),
    ],
)
def test_why_there_is_nothing(kept_lines: LastLines | None, now_s: int, text: str, *, is_kept: bool) -> None:
    _, stone = gone_web()

    assert nothing_text(stone, kept_lines, at(now_s), is_kept=is_kept) == text


def test_lines_that_are_shown_already_are_left_out() -> None:
    node = snapshots((WEB,))[0].containers[docker_key("web")]
    past = before_start(node, LastLines((line("a", 1), line("b", 2)), "docker", at(4), at(3)))

    assert past.at_ns == at(3) - 1
    assert older_than(past, []) is past
    found = older_than(past, [line("b", 2), line("c", 5)])
    assert found is not None
    assert [each.text for each in found.lines] == ["a"]
    assert older_than(past, [line("no time", None)]) is None


def test_who_had_its_place() -> None:
    old, new = running("web", info=AGED), running("web2", info={"name": "web"})
    snapshot = snapshots((old,), (), (new, running("db")))[-1]

    found = predecessor(snapshot, snapshot.containers[docker_key("web2")])

    assert found is not None
    assert found.key == docker_key("web")
    assert predecessor(snapshot, snapshot.containers[docker_key("db")]) is None


@pytest.mark.parametrize("width", [1, 7, 40, 100])
def test_a_note_is_written_whole(width: int) -> None:
    note = "exited with 1 at 12:00:00, and is gone"

    found = entry_rows(Entry(0, 0, None, note=note), LogView(), (), width, 0)

    assert all(width_of(row) <= width for row in found)
    written = "".join(text_of(row) for row in found).replace("─", "").strip()
    assert written == note
    assert saved_line(Entry(0, 0, None, note=note), LogView(), ()) == f"── {note}"


def test_what_was_kept_stands_above_what_comes() -> None:
    output = Output(Wanted(10))
    output.put("new", [], "begun", at(5))

    since = output.put("old", [line("a", 1), line("b", 2)], "exited with 1", at(3))

    told = [(entry.line.text if entry.line else None, entry.note) for entry in output.ring.entries]
    assert told == [("a", ""), ("b", ""), (None, "exited with 1"), (None, "begun")]
    assert since == 0
    assert [each.text for each in output.lines_of("old")] == ["a", "b"]
    assert output.lines_of("nobody") == []
