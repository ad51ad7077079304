"""Logs: what is made of the forms in which runtimes send and keep them, and what is never more than so much."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topcon.errors import ParseError
from topcon.model.sample import LogLine
from topcon.runtimes.logs import (
    LONGEST_LINE,
    PART_BYTES,
    last_lines,
    parse_cri,
    parse_frames,
    parse_terminal,
)

WHERE = "docker: /logs"
TIME_NS = 1_795_266_652_526_609_275
TIME = b"2026-11-21T13:10:52.526609275Z "
SECOND_NS = 1_795_266_640 * 10**9


def frame(text: bytes, stream: int = 1) -> bytes:
    return bytes([stream, 0, 0, 0]) + len(text).to_bytes(4, "big") + text


def texts(lines: list[LogLine]) -> list[str]:
    return [line.text for line in lines]


# Frames.


def test_what_docker_sends() -> None:
    data = (
        b"\x02\0\0\0\0\0\0#2026-11-21T13:10:52.526277186Z bad\n"
        b"\x01\0\0\0\0\0\0%2026-11-21T13:10:52.526609275Z hello\n"
        b"\x01\0\0\0\0\0\0,2026-11-21T13:10:52.526646158Z \x1b[31mred\x1b[0m\n"
        b"\x01\0\0\0\0\0\0$2026-11-21T13:10:52.852450363Z noeol"
    )

    assert parse_frames(data, WHERE) == [
        LogLine(TIME_NS - 332_089, is_stderr=True, text="bad"),
        LogLine(TIME_NS, is_stderr=False, text="hello"),
        LogLine(TIME_NS + 36_883, is_stderr=False, text="\x1b[31mred\x1b[0m"),
        LogLine(TIME_NS + 325_841_088, is_stderr=False, text="noeol"),
    ]


def test_what_podman_sends() -> None:
    data = (
        b"\x01\0\0\0\0\0\0\x1b2026-11-21T13:10:40Z hello\n"
        b"\x02\0\0\0\0\0\0\x192026-11-21T13:10:40Z bad\n"
        b"\x01\0\0\0\0\0\0!2026-11-21T14:10:40+01:00 hello\r\n"
        # Where it leaves the line's end out, a frame is a line all the same.
        b"\x01\0\0\0\0\0\0\x182026-11-21T13:10:40Z one\x01\0\0\0\0\0\0\x182026-11-21T13:10:40Z two"
    )

    assert parse_frames(data, WHERE) == [
        LogLine(SECOND_NS, is_stderr=False, text="hello"),
        LogLine(SECOND_NS, is_stderr=True, text="bad"),
        LogLine(SECOND_NS, is_stderr=False, text="hello"),
        LogLine(SECOND_NS, is_stderr=False, text="one"),
        LogLine(SECOND_NS, is_stderr=False, text="two"),
    ]


def test_a_long_line_comes_in_parts_with_the_other_stream_between_them() -> None:
    part = b"x" * PART_BYTES
    data = frame(TIME + part) + frame(TIME + b"bad\n", 2) + frame(TIME + b"end\n") + frame(TIME + b"after\n")

    assert texts(parse_frames(data, WHERE)) == ["bad", "x" * LONGEST_LINE, "after"]


def test_parts_without_an_end_are_a_line() -> None:
    data = frame(TIME + b"x" * PART_BYTES) * 3

    assert texts(parse_frames(data, WHERE)) == ["x" * LONGEST_LINE]


@pytest.mark.parametrize("kept", range(len(frame(TIME + b"second\n"))))
def test_a_cut_answer_gives_what_it_has(kept: int) -> None:
    data = frame(TIME + b"first\n") + frame(TIME + b"second\n")[:kept]

    lines = parse_frames(data, WHERE)

    assert lines[0] == LogLine(TIME_NS, is_stderr=False, text="first")
    assert len(lines) <= 2


def test_the_daemons_own_words_are_not_the_containers() -> None:
    data = frame(b"Error grabbing logs: unexpected EOF\n", 3) + frame(TIME + b"hello\n")

    assert texts(parse_frames(data, WHERE)) == ["hello"]


@pytest.mark.parametrize("data", [b"<html>no frames</html>", b"\x04\0\0\0\0\0\0\x01x", b"\x01\0\x01\0\0\0\0\x01x"])
def test_what_is_no_frame_is_an_error(data: bytes) -> None:
    with pytest.raises(ParseError, match=WHERE):
        parse_frames(data, WHERE)


@pytest.mark.parametrize(
    ("line", "time_ns", "text"),
    [
        (TIME + b"\n", TIME_NS, ""),
        (TIME.rstrip() + b"\n", TIME_NS, ""),
        (TIME + b"  two blanks \n", TIME_NS, "  two blanks "),
        (b"no time\n", None, "no time"),
        (b"word\n", None, "word"),
        (b"2026-99-21T13:10:40Z text\n", None, "2026-99-21T13:10:40Z text"),
        (TIME + b"Montr\xe9\n", TIME_NS, "Montr\ufffd"),
        (TIME + "größer\n".encode(), TIME_NS, "größer"),
        (TIME + b"50%\r80%\r\n", TIME_NS, "50%\r80%"),
    ],
)
def test_a_line_of_a_frame(line: bytes, time_ns: int | None, text: str) -> None:
    assert parse_frames(frame(line), WHERE) == [LogLine(time_ns, is_stderr=False, text=text)]


# Terminals.


def test_what_a_container_with_a_terminal_has_written() -> None:
    data = (
        b"2026-11-21T13:10:54.379003501Z hello\r\n"
        b"2026-11-21T13:10:54.379018867Z bad\r\n"
        b"2026-11-21T13:10:54.704154897Z noeol"
    )

    lines = parse_terminal(data)

    assert texts(lines) == ["hello", "bad", "noeol"]
    assert lines[0].time_ns == 1_795_266_654_379_003_501
    assert not any(line.is_stderr for line in lines)


# Files of the CRI.


def test_a_file_of_the_cri() -> None:
    data = (
        b"2026-11-21T13:10:52.526609275Z stdout F hello\n"
        b"2026-11-21T13:10:52.526609276Z stdout P one \n"
        b"2026-11-21T13:10:52.526609277Z stderr F bad\n"
        b"2026-11-21T13:10:52.526609278Z stdout F line\n"
        b"2026-11-21T14:10:52.526609279+01:00 stdout F:later-tag  blank\n"
        b"2026-11-21T13:10:52.526609280Z stdout F \n"
        b"2026-11-21T13:10:52.526609281Z stdout P begun"
    )

    assert parse_cri(data) == [
        LogLine(TIME_NS, is_stderr=False, text="hello"),
        LogLine(TIME_NS + 2, is_stderr=True, text="bad"),
        LogLine(TIME_NS + 1, is_stderr=False, text="one line"),
        LogLine(TIME_NS + 4, is_stderr=False, text=" blank"),
        LogLine(TIME_NS + 5, is_stderr=False, text=""),
        LogLine(TIME_NS + 6, is_stderr=False, text="begun"),
    ]


@pytest.mark.parametrize("line", [b"hello", b'{"log":"hello","stream":"stdout"}', b"T stdin F x", b"\0\0\0"])
def test_a_line_in_another_form_is_taken_as_it_is(line: bytes) -> None:
    assert parse_cri(line + b"\n") == [LogLine(None, is_stderr=False, text=line.decode())]


def test_the_end_of_a_file_begins_amid_a_line() -> None:
    data = b"rest of a line\n" + TIME + b"stdout F hello\n"

    assert texts(parse_cri(data, is_whole=False)) == ["hello"]
    assert texts(parse_cri(data)) == ["rest of a line", "hello"]


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_the_end_of_one_long_line_is_better_than_nothing(end: bytes) -> None:
    assert texts(parse_cri(b"x" * 9000 + end, is_whole=False)) == ["x" * LONGEST_LINE]


# Anything.


@given(st.one_of(st.binary(), st.lists(st.builds(frame, st.binary(), st.integers(0, 3))).map(b"".join)))
def test_any_bytes_are_lines_or_no_frames(data: bytes) -> None:
    with contextlib.suppress(ParseError):
        parse_frames(data, WHERE)
    for lines in (parse_terminal(data), parse_cri(data), parse_cri(data, is_whole=False)):
        assert all(len(line.text) <= LONGEST_LINE and "\n" not in line.text for line in lines)


@given(st.lists(st.tuples(st.booleans(), st.text(st.characters(exclude_characters="\r\n", codec="utf-8")))))
def test_what_was_written_comes_back_in_its_order(written: list[tuple[bool, str]]) -> None:
    lines = [LogLine(TIME_NS, is_stderr, text) for is_stderr, text in written]
    frames = b"".join(frame(TIME + text.encode() + b"\n", 1 + is_stderr) for is_stderr, text in written)
    file = b"".join(
        TIME + (b"stderr" if is_stderr else b"stdout") + b" F " + text.encode() + b"\n" for is_stderr, text in written
    )

    assert parse_frames(frames, WHERE) == lines
    assert parse_cri(file) == lines


# The last ones.


def line(number: int) -> LogLine:
    return LogLine(number, is_stderr=False, text=str(number))


@pytest.mark.parametrize(
    ("fitting", "asked", "found"),
    [(10, [10], range(10)), (3, [10, 2], range(8, 10)), (1, [10, 2, 1], range(9, 10)), (0, [10, 2, 1], range(9, 10))],
)
def test_fewer_are_asked_for_if_an_answer_is_cut(fitting: int, asked: list[int], found: range) -> None:
    wanted = []

    def ask(count: int) -> tuple[list[LogLine], bool]:
        wanted.append(count)
        return [line(number) for number in range(10 - count, 10)], count > fitting

    assert last_lines(ask, 10) == tuple(map(line, found))
    assert wanted == asked


def test_no_more_are_returned_than_were_wanted() -> None:
    assert last_lines(lambda _: ([line(number) for number in range(9)], False), 2) == (line(7), line(8))


def test_none_are_not_asked_for() -> None:
    assert last_lines(lambda _: pytest.fail("it was asked"), 0) == ()
