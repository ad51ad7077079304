"""Output that is followed: from a connection, from a file through its rotations, from what is asked again and again."""

from __future__ import annotations

import os
import socket as sockets
import threading
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topcon.errors import ParseError, SourceUnavailable
from topcon.model.output import Wanted
from topcon.model.sample import LogLine
from topcon.runtimes import feeds
from topcon.runtimes.feeds import AskingFeed, FileFeed, StreamFeed, added, begin_of_last
from topcon.runtimes.http import JsonSocket, Refused
from topcon.runtimes.logs import (
    BATCH_BYTES,
    CRI,
    FRAMES,
    JSON_LINES,
    LONGEST_FOLLOWED,
    LONGEST_RECORD,
    PART_BYTES,
    PLAIN,
    TERMINAL,
    Intake,
    follow_query,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from topcon.model.output import Feed
    from topcon.runtimes.logs import Form

TIME = "2026-11-21T13:10:52.526609275Z"
TIME_NS = 1_795_266_652_526_609_275
SECOND_NS = 10**9


def frame(text: str, stream: int = 1) -> bytes:
    data = f"{TIME} {text}\n".encode()
    return bytes([stream, 0, 0, 0]) + len(data).to_bytes(4, "big") + data


def terminal(text: str) -> bytes:
    return f"{TIME} {text}\r\n".encode()


def cri(text: str, time: str = TIME) -> bytes:
    return f"{time} stdout F {text}\n".encode()


def json_line(text: str, stream: str = "stdout") -> bytes:
    return f'{{"log":"{text}\\n","stream":"{stream}","time":"{TIME}"}}\n'.encode()


def plain(text: str) -> bytes:
    return f"{text}\n".encode()


FORMS = {
    "frames": (FRAMES, frame),
    "terminal": (TERMINAL, terminal),
    "cri": (CRI, cri),
    "json": (JSON_LINES, json_line),
    "plain": (PLAIN, plain),
}
forms = pytest.mark.parametrize(("form", "write"), FORMS.values(), ids=FORMS)


def texts(lines: tuple[LogLine, ...] | list[LogLine]) -> list[str]:
    return [line.text for line in lines]


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("POLL_S", "ASK_S", "GATHER_S"):
        monkeypatch.setattr(feeds, name, 0.001)
    monkeypatch.setattr(feeds, "WAIT_S", 0.02)


# Pieces.


@forms
@pytest.mark.parametrize("size", [1, 7, 64, 4096])
def test_lines_come_whole_whatever_pieces_they_come_in(form: Form, write: Callable[[str], bytes], size: int) -> None:
    data = b"".join(write(f"line {number}") for number in range(40))
    intake = Intake(form)
    found: list[str] = []
    for begin in range(0, len(data), size):
        intake.give(data[begin : begin + size])
        found += texts(intake.take().lines)

    assert found == [f"line {number}" for number in range(40)]


@forms
def test_what_comes_too_fast_is_counted_to_the_line(form: Form, write: Callable[[str], bytes]) -> None:
    data = b"".join(write(f"line {number}") for number in range(20_000))
    intake = Intake(form, history_bytes=0)
    for begin in range(0, len(data), 50_000):
        intake.give(data[begin : begin + 50_000])
    batch = intake.take()

    assert batch.passed > 0
    assert batch.passed + len(batch.lines) == 20_000
    assert texts(batch.lines) == [f"line {number}" for number in range(batch.passed, 20_000)]
    assert sum(len(write(line.text)) for line in batch.lines) <= 3 * BATCH_BYTES


def test_what_was_written_before_is_taken_whole() -> None:
    data = b"".join(frame(f"line {number}") for number in range(20_000))
    intake = Intake(FRAMES)
    intake.give(data)

    assert len(intake.take().lines) == 20_000
    assert intake.is_history


@pytest.mark.parametrize("form", [CRI, JSON_LINES, TERMINAL, PLAIN], ids=["cri", "json", "terminal", "plain"])
def test_a_line_without_an_end_fills_no_memory(form: Form) -> None:
    intake = Intake(form, history_bytes=0)
    for _ in range(40):
        intake.give(b"x" * 100_000)

    assert len(intake._data) <= LONGEST_RECORD + 100_000
    intake.give(b"\nnext\n")
    assert texts(intake.take().lines)[-1] == "next"


def test_a_long_line_in_parts_is_cut_and_says_so() -> None:
    part = (
        bytes([1, 0, 0, 0]) + (len(TIME) + 1 + PART_BYTES).to_bytes(4, "big") + f"{TIME} ".encode() + b"x" * PART_BYTES
    )
    intake = Intake(FRAMES)
    for _ in range(70):
        intake.give(part)
    intake.give(frame("end"))
    (line,) = intake.take().lines

    assert line.text == "x" * LONGEST_FOLLOWED + "…"


def test_what_was_begun_is_a_line_at_the_end() -> None:
    intake = Intake(CRI)
    intake.give(f"{TIME} stderr P begun\n".encode())

    assert intake.take().lines == ()
    assert intake.rest().lines == (LogLine(TIME_NS, is_stderr=True, text="begun"),)


@pytest.mark.parametrize("data", [b"<html>no frames</html>", b"\x04\0\0\0\0\0\0\x01x", b"\x01\0\0\0\x7f\0\0\0"])
def test_what_is_no_frame_is_an_error(data: bytes) -> None:
    intake = Intake(FRAMES)
    intake.give(data)
    with pytest.raises(ParseError):
        intake.take()


@given(st.lists(st.binary(), max_size=8), st.sampled_from(list(FORMS.values())))
def test_any_bytes_are_lines_or_an_error(pieces: list[bytes], form: tuple[Form, object]) -> None:
    intake = Intake(form[0], history_bytes=20)
    try:
        for piece in pieces:
            intake.give(piece)
            for line in intake.take().lines:
                assert "\n" not in line.text
    except ParseError:
        assert form[0] is FRAMES


# Docker's files.


def test_a_file_of_docker() -> None:
    data = (
        b'{"log":"hello\\n","stream":"stdout","time":"2026-11-21T13:10:52.526609275Z"}\n'
        b'{"log":"one ","stream":"stdout","time":"2026-11-21T13:10:52.526609276Z"}\n'
        b'{"log":"bad\\n","stream":"stderr","time":"2026-11-21T13:10:52.526609277Z"}\n'
        b'{"log":"line\\r\\n","stream":"stdout","time":"2026-11-21T13:10:52.526609278Z"}\n'
        b'{"log":"\\u001b[31mred\\ud800\\n","stream":"stdout","attrs":{"a":"b"}}\n'
        b"no JSON\n"
        b'{"log":12}\n'
    )

    intake = Intake(JSON_LINES)
    intake.give(data)
    assert [*intake.take().lines, *intake.rest().lines] == [
        LogLine(TIME_NS, is_stderr=False, text="hello"),
        LogLine(TIME_NS + 2, is_stderr=True, text="bad"),
        LogLine(TIME_NS + 1, is_stderr=False, text="one line"),
        LogLine(None, is_stderr=False, text="\x1b[31mred?"),
        LogLine(None, is_stderr=False, text="no JSON"),
        LogLine(None, is_stderr=False, text='{"log":12}'),
    ]


@pytest.mark.parametrize(
    ("wanted", "query"),
    [
        (Wanted(), "follow=true&stdout=true&stderr=true&timestamps=true"),
        (Wanted(lines=7), "follow=true&stdout=true&stderr=true&timestamps=true&tail=7"),
        (Wanted(since_ns=5 * SECOND_NS + 7), "follow=true&stdout=true&stderr=true&timestamps=true&since=5.000000007"),
    ],
)
def test_what_is_asked_of_docker(wanted: Wanted, query: str) -> None:
    assert follow_query(wanted) == query


# The last lines.


@given(st.lists(st.text("ab", max_size=3), max_size=12), st.booleans(), st.integers(0, 15))
def test_the_last_lines_begin_where_they_should(lines: list[str], has_end: bool, wanted: int) -> None:
    data = "\n".join(lines).encode() + (b"\n" if has_end and lines else b"")
    begin, missing = begin_of_last(data, wanted)
    whole = data.removesuffix(b"\n").split(b"\n") if data else []

    found = data[begin:].removesuffix(b"\n").split(b"\n") if data[begin:] else []
    kept = whole[max(len(whole) - wanted, 0) :] if wanted else []
    assert found == kept or (kept == [b""] and not found)
    assert missing == max(wanted - len(whole), 0)


# Files.


class File:
    """A log that is written while it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.path.write_bytes(b"")

    def write(self, *lines: str) -> None:
        with self.path.open("ab") as file:
            file.writelines(map(cri, lines))

    def rotate(self, name: str = "log.1") -> None:
        self.path.rename(self.path.with_name(name))
        self.path.write_bytes(b"")


@pytest.fixture
def file(tmp_path: Path) -> File:
    return File(tmp_path / "log")


@pytest.fixture
def follow(file: File) -> Iterator[Callable[..., FileFeed]]:
    opened: list[FileFeed] = []

    def begin(lines: int | None = None, since_ns: int | None = None) -> FileFeed:
        opened.append(FileFeed(str(file.path), CRI, Wanted(lines, since_ns)))
        return opened[-1]

    yield begin
    for feed in opened:
        feed.close()


def read(feed: Feed, count: int) -> list[str]:
    """Read until there are so many lines, or nothing comes."""
    found: list[str] = []
    while len(found) < count:
        batch = feed.read()
        if batch is None or not batch.lines:
            break
        found += texts(batch.lines)
    return found


def test_a_file_is_followed(file: File, follow: Callable[..., FileFeed]) -> None:
    file.write("one", "two", "three")
    feed = follow(lines=2)
    assert read(feed, 2) == ["two", "three"]
    assert feed.read().lines == ()  # type: ignore[union-attr]

    file.write("four")
    assert read(feed, 1) == ["four"]


def test_half_a_line_waits_for_its_end(file: File, follow: Callable[..., FileFeed]) -> None:
    feed = follow()
    with file.path.open("ab") as log:
        log.write(cri("whole")[:-3])
    assert read(feed, 1) == []
    with file.path.open("ab") as log:
        log.write(cri("whole")[-3:])
    assert read(feed, 1) == ["whole"]


def test_a_file_that_is_put_away_is_read_to_its_end_and_the_next_from_its_beginning(
    file: File, follow: Callable[..., FileFeed]
) -> None:
    file.write("one")
    feed = follow(lines=5)
    assert read(feed, 1) == ["one"]
    file.write("last of the old")
    file.rotate()
    file.write("first of the new")

    found: list[str] = []
    for _ in range(5):
        found += read(feed, 1)
    assert found == ["last of the old", "first of the new"]


def test_a_file_that_is_emptied_is_read_anew(file: File, follow: Callable[..., FileFeed]) -> None:
    file.write("one", "two", "three")
    feed = follow(lines=5)
    assert read(feed, 3) == ["one", "two", "three"]
    os.truncate(file.path, 0)
    read(feed, 1)
    file.write("new")

    assert read(feed, 1) == ["new"]


def test_what_a_file_is_too_short_for_is_in_the_one_that_was_put_away(
    file: File, follow: Callable[..., FileFeed]
) -> None:
    file.write("one", "two", "three")
    file.rotate()
    file.write("four", "five")

    assert read(follow(lines=4), 4) == ["two", "three", "four", "five"]
    assert read(follow(lines=1), 1) == ["five"]
    assert read(follow(lines=100), 5) == ["one", "two", "three", "four", "five"]


def test_what_was_written_before_a_time_is_left_out(file: File, follow: Callable[..., FileFeed]) -> None:
    with file.path.open("ab") as log:
        log.write(cri("early", "2026-11-21T13:10:51Z") + cri("late"))

    assert read(follow(since_ns=TIME_NS), 1) == ["late"]


def test_of_a_large_file_no_more_than_its_end_is_read(
    file: File, follow: Callable[..., FileFeed], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "HISTORY_BYTES", 1000)
    file.write(*(f"line {number}" for number in range(1000)))

    found = read(follow(lines=500), 500)
    assert 10 < len(found) < 25
    assert found[-1] == "line 999"


def test_a_reader_that_waits_is_woken(follow: Callable[..., FileFeed], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "POLL_S", 600.0)
    feed = follow()
    reader = threading.Thread(target=feed.read)
    reader.start()
    feed.stop()
    reader.join(10)

    assert not reader.is_alive()
    assert feed.read() is None


@pytest.mark.parametrize("kind", ["absent", "directory", "pipe"])
def test_what_is_no_file_is_not_waited_for(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "log"
    if kind == "directory":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)

    with pytest.raises(SourceUnavailable, match="no log file"):
        FileFeed(str(path), CRI, Wanted(5))


# Connections.


class Stream:
    """A connection that says what it is told to."""

    def __init__(self, first: bytes = b"") -> None:
        self.far, near = sockets.socketpair()
        self.feed = StreamFeed("docker", near, first, FRAMES)


@pytest.fixture
def stream() -> Iterator[Stream]:
    made = Stream(frame("first"))
    yield made
    made.far.close()
    made.feed.close()


def test_a_connection_is_followed_to_its_end(stream: Stream) -> None:
    stream.far.sendall(frame("second") + frame("third", 2)[:20])
    assert read(stream.feed, 2) == ["first", "second"]
    stream.far.sendall(frame("third", 2)[20:])
    assert stream.feed.read().lines == (LogLine(TIME_NS, is_stderr=True, text="third"),)  # type: ignore[union-attr]

    stream.far.close()
    assert stream.feed.read() is None


def test_a_connection_that_says_nothing_gives_an_empty_batch(stream: Stream) -> None:
    assert read(stream.feed, 1) == ["first"]
    assert stream.feed.read().lines == ()  # type: ignore[union-attr]


def test_a_connection_can_be_stopped_by_another_thread(stream: Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "WAIT_S", 600.0)
    read(stream.feed, 1)
    reader = threading.Thread(target=stream.feed.read)
    reader.start()
    stream.feed.stop()
    reader.join(10)

    assert not reader.is_alive()
    assert stream.feed.read() is None


@pytest.fixture
def answering(tmp_path: Path) -> Iterator[Callable[[bytes], tuple[JsonSocket, list[bytes]]]]:
    """A daemon that gives one answer, whatever it is asked."""
    listener = sockets.socket(sockets.AF_UNIX)
    path = str(tmp_path / "daemon")
    listener.bind(path)
    listener.listen()
    asked: list[bytes] = []
    threads: list[threading.Thread] = []

    def begin(answer: bytes) -> tuple[JsonSocket, list[bytes]]:
        def serve() -> None:
            connection, _ = listener.accept()
            asked.append(connection.recv(10_000))
            connection.sendall(answer)
            connection.close()

        threads.append(threading.Thread(target=serve))
        threads[-1].start()
        return JsonSocket(path), asked

    yield begin
    for thread in threads:
        thread.join(10)
    listener.close()


def test_an_answer_without_an_end_comes_as_it_is(
    answering: Callable[[bytes], tuple[JsonSocket, list[bytes]]],
) -> None:
    daemon, asked = answering(b"HTTP/1.0 200 OK\r\nContent-Type: x\r\n\r\nhello")
    channel, rest = daemon.stream("/logs?follow=true")
    while chunk := channel.recv(100):
        rest += chunk
    channel.close()

    assert daemon.body("/logs", rest) == b"hello"
    assert asked[0].startswith(b"GET /logs?follow=true HTTP/1.0\r\n")


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (b'HTTP/1.1 404 Not Found\r\n\r\n{"message":"no such container"}', Refused, "404 .*no such container"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", ParseError, "cannot understand"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", ParseError, "cannot understand"),
        (b"", ParseError, "cannot understand"),
    ],
)
def test_an_answer_that_is_none_is_told(
    answering: Callable[[bytes], tuple[JsonSocket, list[bytes]]], answer: bytes, error: type[Exception], words: str
) -> None:
    daemon, _ = answering(answer)
    with pytest.raises(error, match=words):
        daemon.stream("/logs")


# What is asked again and again.


@pytest.mark.parametrize(
    ("before", "now", "new"),
    [
        (b"", b"one\n", b"one\n"),
        (b"one\n", b"one\ntwo\n", b"two\n"),
        (b"one\n", b"one\n", b""),
        (b"x" * 600 + b"one\ntwo\n", b"x" * 550 + b"one\ntwo\nthree\n", b"three\n"),
        (b"one\n", b"something else\n", b"something else\n"),
    ],
)
def test_what_has_been_added(before: bytes, now: bytes, new: bytes) -> None:
    assert added(before, now) == new


def test_a_console_is_asked_again_and_again() -> None:
    answers = [b"one\ntwo\n", b"one\ntwo\nthree\n", b"one\ntwo\nthree\n"]
    before = answers.pop(0)
    feed = AskingFeed("incus", before, lambda: answers.pop(0) if len(answers) > 1 else answers[0], Wanted(1))

    assert [texts(feed.read().lines) for _ in range(3)] == [["two"], ["three"], []]  # type: ignore[union-attr]
    feed.stop()
    assert feed.read() is None


def test_of_a_console_only_what_comes_from_now_on_can_be_wanted() -> None:
    answers = [b"one\n", b"one\ntwo\n"]
    feed = AskingFeed("incus", answers.pop(0), lambda: answers.pop(0), Wanted(since_ns=1))

    assert [texts(feed.read().lines) for _ in range(2)] == [[], ["two"]]  # type: ignore[union-attr]
