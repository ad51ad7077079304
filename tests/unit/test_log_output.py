"""What several containers write, brought together within bounds."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topcon import logs
from topcon.errors import SourceUnavailable
from topcon.logs import MOST_BATCHES, Entry, Output, Reader, Ring
from topcon.model.output import Batch, Wanted
from topcon.model.sample import LogLine, Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATIENCE_S = 30.0


def line(number: int, text: str = "") -> LogLine:
    return LogLine(number, is_stderr=False, text=text or str(number))


def entry(number: int, source: int = 0, text: str = "") -> Entry:
    return Entry(source, number, line(number, text))


def texts(ring: Ring) -> list[str]:
    return [each.line.text if each.line else f"+{each.passed}" for each in ring.entries]


def until(is_so: Callable[[], object]) -> None:
    """Wait for other threads."""
    done = threading.Event()
    for _ in range(int(PATIENCE_S / 0.005)):
        if is_so():
            return
        done.wait(0.005)
    pytest.fail("it never was")


# The list.


def test_the_list_is_in_the_order_of_time() -> None:
    ring = Ring()
    assert ring.add([entry(1), entry(4), entry(6)]) == 0
    assert ring.add([entry(5, 1), entry(2, 1)]) == 1
    assert texts(ring) == ["1", "2", "4", "5", "6"]
    assert ring.add([entry(9)]) == 5
    assert ring.add([]) == 6


def test_a_containers_own_lines_stay_in_the_order_in_which_they_came() -> None:
    ring = Ring()
    ring.add([entry(5, text="first"), entry(4, text="second")], is_ordered=True)
    ring.add([entry(3, text="third")], is_ordered=True)

    assert texts(ring) == ["first", "second", "third"]


@given(
    st.lists(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 2), st.text(max_size=9)), max_size=9)),
    st.integers(1, 12),
    st.integers(9 * 4, 90),
    st.booleans(),
)
def test_no_more_is_held_than_may_be(
    batches: list[list[tuple[int, int, str]]], most_lines: int, most_bytes: int, is_ordered: bool
) -> None:
    ring = Ring(most_lines, most_bytes)
    written = 0
    for batch in batches:
        since = ring.add((entry(at, source, text or "x") for at, source, text in batch), is_ordered=is_ordered)
        written += len(batch)
        assert len(ring.entries) <= most_lines
        assert sum(len(each.line.text.encode()) for each in ring.entries if each.line) <= most_bytes
        assert ring._bytes == sum(map(logs._size, ring.entries))
        assert ring.end == written
        assert ring.first <= since <= ring.end
        assert [ring.entry(number) for number in range(ring.first, ring.end)] == ring.entries


def test_what_passed_by_is_one_count() -> None:
    ring = Ring()
    for count in (3, 4):
        ring.add([Entry(0, 1, None, count)], is_ordered=True)
    ring.add([Entry(0, 1, None, 5), Entry(0, 1, None, 6), entry(2), Entry(0, 2, None, 1)], is_ordered=True)

    assert texts(ring) == ["+3", "+4", "+11", "2", "+1"]


# Readers.


class FakeFeed:
    """Gives what it was given, and then ends, or waits until it is stopped."""

    def __init__(self, *batches: Batch | Exception, ends: bool = False) -> None:
        self.where = "docker"
        self.batches = list(batches)
        self.ends = ends
        self.stopped = threading.Event()
        self.is_closed = False

    def read(self) -> Batch | None:
        if self.batches:
            batch = self.batches.pop(0)
            if isinstance(batch, Exception):
                raise batch
            return batch
        if not self.ends:
            self.stopped.wait(PATIENCE_S)
        return None

    def stop(self) -> None:
        self.stopped.set()

    def close(self) -> None:
        self.is_closed = True


class Opener:
    """Hands out feeds, one after the other, and notes what was wanted."""

    def __init__(self, *feeds: FakeFeed | Problem) -> None:
        self.feeds = list(feeds)
        self.wanted: list[Wanted] = []

    def __call__(self, wanted: Wanted) -> FakeFeed | Problem:
        self.wanted.append(wanted)
        return self.feeds.pop(0) if len(self.feeds) > 1 else self.feeds[0]


@pytest.fixture
def read() -> Iterator[Callable[..., Reader]]:
    readers: list[Reader] = []

    def begin(opener: Opener) -> Reader:
        readers.append(Reader(opener, Wanted(5), [0.001]))
        return readers[-1]

    yield begin
    for reader in readers:
        reader.stop()
        until(lambda reader=reader: not reader.is_alive)


def taken(reader: Reader, count: int) -> list[str]:
    found: list[str] = []

    def has_all() -> bool:
        found.extend(each.text for batch in reader.take() for each in batch.lines)
        return len(found) >= count

    until(has_all)
    return found


def test_a_feed_is_read_and_closed(read: Callable[..., Reader]) -> None:
    feed = FakeFeed(Batch((line(1), line(2))), Batch(), Batch((line(3),)))
    reader = read(Opener(feed))

    assert taken(reader, 3) == ["1", "2", "3"]
    assert reader.where == "docker"
    reader.stop()
    until(lambda: not reader.is_alive)
    assert feed.is_closed


def test_where_one_ends_it_is_asked_for_what_came_since(read: Callable[..., Reader]) -> None:
    again = Batch((line(5, "known"), line(7, "a"), line(7, "b"), line(7, "new"), line(8)))
    opener = Opener(
        FakeFeed(Batch((line(5, "known"), line(7, "a"), line(7, "b"))), ends=True), FakeFeed(Batch(), again)
    )
    reader = read(opener)

    assert taken(reader, 5) == ["known", "a", "b", "new", "8"]
    assert opener.wanted == [Wanted(5), Wanted(None, 7)]


def test_why_there_is_nothing_is_told_until_there_is(read: Callable[..., Reader]) -> None:
    gate = threading.Event()
    problem = Problem("logs", "no file", "sudo topcon")
    opener = Opener(problem, FakeFeed(Batch((line(1),))))

    def opened(wanted: Wanted) -> FakeFeed | Problem:
        if opener.wanted:
            gate.wait(PATIENCE_S)
        return opener(wanted)

    reader = read(opened)
    until(lambda: reader.problem == problem)
    gate.set()
    assert taken(reader, 1) == ["1"]
    assert reader.problem is None
    assert opener.wanted == [Wanted(5), Wanted(5)]


def test_a_source_that_breaks_is_told(read: Callable[..., Reader]) -> None:
    reader = read(Opener(FakeFeed(SourceUnavailable("it broke", "mend it"))))

    until(lambda: reader.problem == Problem("logs", "it broke", "mend it"))


def test_a_bug_comes_to_who_takes(read: Callable[..., Reader]) -> None:
    reader = read(Opener(FakeFeed(ZeroDivisionError())))
    until(lambda: not reader.is_alive)

    with pytest.raises(ZeroDivisionError):
        reader.take()


def test_what_nobody_takes_is_bounded_and_counted(read: Callable[..., Reader], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "MOST_LINES", 90)
    feed = FakeFeed(*(Batch((line(number), line(number))) for number in range(100)))
    reader = read(Opener(feed))
    until(lambda: not feed.batches)
    reader.stop()
    until(lambda: not reader.is_alive)

    batches = reader.take()
    assert len(batches) <= MOST_BATCHES
    assert sum(len(batch.lines) for batch in batches) <= 90
    assert sum(batch.passed + len(batch.lines) for batch in batches) == 200
    assert batches[-1].lines[-1] == line(99)


# All of them.


@pytest.fixture
def output() -> Iterator[Output]:
    made = Output(Wanted(5))
    yield made
    made.stop()
    until(lambda: not any(reader.is_alive for reader in made._readers.values()))


def test_several_are_brought_together(output: Output) -> None:
    output.follow(
        {
            "a": Opener(FakeFeed(Batch((line(1), line(4))))),
            "b": Opener(FakeFeed(Batch((line(2), line(3)), passed=7))),
        }
    )
    until(lambda: output.take() is None and len(output.ring.entries) == 5)

    assert [(each.source, each.passed or each.line.text) for each in output.ring.entries if each.line] == [
        (0, "1"),
        (1, "2"),
        (1, "3"),
        (0, "4"),
    ]
    assert output.passed == 7
    assert output.places() == {"a": "docker", "b": "docker"}


def test_what_comes_later_is_read_and_what_has_gone_comes_to_its_end(output: Output) -> None:
    gone, stays = FakeFeed(Batch((line(1, "gone"),))), FakeFeed()
    first = Opener(gone)
    output.follow({"a": first, "b": Opener(stays)})
    until(lambda: not gone.batches)
    output.follow({"b": Opener(stays), "c": Opener(FakeFeed(Batch((line(2, "came"),))))})
    until(lambda: (output.take(), len(output.ring.entries) == 2)[1])

    assert output.keys == ["a", "b", "c"]
    gone.stop()
    until(lambda: (output.follow({"b": first, "c": first}), "a" not in output._readers)[1])
    assert len(first.wanted) == 1

    output.follow({"a": first, "b": first, "c": first})
    until(lambda: len(first.wanted) == 2)
    assert first.wanted[1] == Wanted(None, 1)


def test_no_more_are_read_than_there_may_be_threads(output: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "MOST_READERS", 3)
    output.follow({str(at): Opener(FakeFeed()) for at in range(5)})

    assert len(output.keys) == 3
    assert output.unread == 2


def test_nothing_that_came_is_nothing_new(output: Output) -> None:
    assert output.take() is None
    assert not output.is_asking
    assert output.problems() == {}
