"""What containers have said, in the forms in which runtimes send and keep it.

All of it is the containers' own: an answer is bounded in bytes as it comes in, and each line as it goes out.
"""

from __future__ import annotations

import json
import re
import struct
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlencode

from topcon.errors import ParseError
from topcon.model.output import Batch
from topcon.model.sample import LogLine
from topcon.runtimes.foreign import parse_time_ns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from topcon.model.output import Wanted

LARGEST_BYTES = 1 << 16
"""Of an answer, or of the end of a file."""
LONGEST_LINE = 1 << 12
"""Bytes of a line's text, as it was written; what is longer is cut."""
PART_BYTES = 1 << 14
"""Docker sends longer lines in parts of this size."""
LONGEST_FOLLOWED = 1 << 14
"""Bytes of the text of a line that is followed; of what is longer, an ellipsis tells."""
HISTORY_BYTES = 4 << 20
"""So much of what is followed is taken whole, at the pace at which it is taken apart: what was written before."""
BATCH_BYTES = 1 << 16
"""Of what comes faster after that, no more than the last of it is taken apart at once; the rest is counted."""
LONGEST_RECORD = 1 << 20
"""A line in a file that is longer, with all that stands around its text, is cut as it comes in."""

NS_PER_S = 10**9

_HEADER = struct.Struct(">BxxxI")
_HEADER_BYTES = 8
_STDERR, _DAEMON = 2, 3
"""Numbers of streams: beside stdin and stdout, the last one is of the daemon's own words."""
_CRI = re.compile(rb"(\S+) (stdout|stderr) (\S+) ?(.*)", re.DOTALL)

_Part = tuple[bool, bytes, bytes, bool]
"""Whether it is stderr, its time, its text, and whether a line ends with it."""


def parse_frames(data: bytes, where: str) -> list[LogLine]:
    """Parse Docker's multiplexed stream: frames with a header of 8 bytes, each a line or a part of one.

    https://docs.docker.com/reference/api/engine/, "Attach to a container", "Stream format".

    Args:
        data: frames, each of which begins with a time. The last one may be cut.
        where: whose they are.

    Raises:
        ParseError: they are no frames.
    """
    return _joined(part for is_stderr, text in _frames(data, where) for part in _parts(text, is_stderr=is_stderr))


def parse_terminal(data: bytes) -> list[LogLine]:
    """Parse what a container with a terminal has written: lines that begin with a time, stderr among them."""
    return _joined(_parts(data, is_stderr=False))


def parse_cri(data: bytes, *, is_whole: bool = True) -> list[LogLine]:
    """Parse a file in the CRI's format, ``TIME STREAM TAGS TEXT``; a line in no such form is taken as it is.

    https://github.com/kubernetes/design-proposals-archive/blob/main/node/kubelet-cri-logging.md

    Args:
        data: the file, or its end.
        is_whole: whether it is the file; the end of one begins amid a line.
    """
    lines = data.split(b"\n")
    # The end of a line that is longer than all that was read is better than nothing.
    if not is_whole and any(lines[1:]):
        lines = lines[1:]
    return _joined(_cri_part(line) for line in lines if line)


def last_lines(ask: Callable[[int], tuple[list[LogLine], bool]], lines: int) -> tuple[LogLine, ...]:
    """Return the last lines of a log that can only be read forwards.

    Args:
        ask: returns the last lines, so many, and whether the answer was cut for its size: what is lost then is the
            end, so fewer are asked for.
        lines: how many are wanted.
    """
    wanted = lines
    while wanted > 0:
        found, is_cut = ask(wanted)
        if not is_cut or wanted == 1:
            return tuple(found[-wanted:])
        wanted = max(wanted // 4, 1)
    return ()


def parse_plain(data: bytes) -> list[LogLine]:
    """Parse lines without times."""
    return _joined(_plain_parts(data))


def follow_query(wanted: Wanted) -> str:
    """Write what is wanted as Docker and Podman take it."""
    asked = {"follow": "true", "stdout": "true", "stderr": "true", "timestamps": "true"}
    if wanted.lines is not None:
        asked["tail"] = str(wanted.lines)
    if wanted.since_ns is not None:
        asked["since"] = f"{wanted.since_ns // NS_PER_S}.{wanted.since_ns % NS_PER_S:09}"
    return urlencode(asked)


class Form(NamedTuple):
    """A form of logs, for what comes in pieces."""

    parts: Callable[[bytes], Iterable[_Part]]
    """Takes whole records apart."""
    end: Callable[[bytearray], int]
    """Returns where the last whole record ends."""
    skip: Callable[[bytearray, int], tuple[int, int]]
    """Returns where the first record begins that is not before a place, and how many are before it."""


class Intake:
    """Makes lines of what comes in pieces; what is too much is left out, and counted. Only one thread uses it."""

    def __init__(self, form: Form, history_bytes: int = HISTORY_BYTES) -> None:
        """Take records of a form; so much at first is taken whole."""
        self._form = form
        self._data = bytearray()
        self._history_left = history_bytes
        self._passed = 0
        self._joiner = _Joiner(LONGEST_FOLLOWED)

    @property
    def is_history(self) -> bool:
        """Whether what comes is still taken whole: it should be taken as soon as it has come."""
        return self._history_left > 0

    def give(self, data: bytes) -> None:
        """Take in what has come.

        Raises:
            ParseError: it is in another form.
        """
        self._data += data
        self._history_left -= len(data)
        if self._history_left <= 0 and len(self._data) > 2 * BATCH_BYTES:
            begin, count = self._form.skip(self._data, len(self._data) - BATCH_BYTES)
            if count:
                del self._data[:begin]
                self._passed += count
                self._joiner.forget()
        if len(self._data) > LONGEST_RECORD and not self._form.end(self._data):
            del self._data[LONGEST_FOLLOWED * 2 :]

    def take(self) -> Batch:
        """Return the lines that are whole.

        Raises:
            ParseError: they are in another form.
        """
        end = self._form.end(self._data)
        whole = bytes(memoryview(self._data)[:end])
        del self._data[:end]
        passed, self._passed = self._passed, 0
        return Batch(tuple(self._joiner.lines(self._form.parts(whole))), passed)

    def rest(self) -> Batch:
        """Return the lines that were begun: there comes no more."""
        return Batch(tuple(self._joiner.rest()))


def _line_end(data: bytearray) -> int:
    return data.rfind(b"\n") + 1


def _skip_lines(data: bytearray, least: int) -> tuple[int, int]:
    begin = data.find(b"\n", least) + 1 or data.rfind(b"\n") + 1
    return begin, data.count(b"\n", 0, begin)


def _frame_end(data: bytearray) -> int:
    return _skip_frames(data, len(data))[0]


def _skip_frames(data: bytearray, least: int) -> tuple[int, int]:
    """Go over frames up to a place, or to the end of the last whole one; count the lines in them."""
    at = count = 0
    size = len(data)
    unpack = _HEADER.unpack_from
    while at < least and at + _HEADER_BYTES <= size:
        stream, length = unpack(data, at)
        if stream > _DAEMON or length > LONGEST_RECORD:
            where = "logs"
            raise ParseError(where, repr(bytes(data[at : at + _HEADER_BYTES])))
        after = at + _HEADER_BYTES + length
        if after > size:
            break
        at = after
        count += 1
    return at, count


def _frame_parts(data: bytes) -> Iterator[_Part]:
    for is_stderr, text in _frames(data, "logs"):
        yield from _parts(text, is_stderr=is_stderr)


def _terminal_parts(data: bytes) -> Iterator[_Part]:
    return _parts(data, is_stderr=False)


def _cri_parts(data: bytes) -> Iterator[_Part]:
    return (_cri_part(line) for line in data.split(b"\n") if line)


def _json_parts(data: bytes) -> Iterator[_Part]:
    return (_json_part(line) for line in data.split(b"\n") if line)


def _plain_parts(data: bytes) -> Iterator[_Part]:
    return ((False, b"", line, True) for line in data.removesuffix(b"\n").split(b"\n") if data)


def _json_part(line: bytes) -> _Part:
    try:
        said = json.loads(line)
    except (ValueError, RecursionError):
        said = None
    text = said.get("log") if isinstance(said, dict) else None
    if not isinstance(text, str):
        return False, b"", line, True
    time = said.get("time")
    written = text.encode(errors="replace")
    # What is longer than a part has a line's end in its last one alone.
    has_end = written.endswith(b"\n")
    time = time.encode(errors="replace") if isinstance(time, str) else b""
    return said.get("stream") == "stderr", time, written.removesuffix(b"\n").replace(b"\n", b" "), has_end


FRAMES = Form(_frame_parts, _frame_end, _skip_frames)
"""Docker's multiplexed stream, with times."""
TERMINAL = Form(_terminal_parts, _line_end, _skip_lines)
"""What a container with a terminal has written, with times."""
CRI = Form(_cri_parts, _line_end, _skip_lines)
"""The CRI's files, which Podman's driver ``k8s-file`` writes too."""
JSON_LINES = Form(_json_parts, _line_end, _skip_lines)
"""The files of Docker's driver ``json-file``; a line in no such form is taken as it is.

https://docs.docker.com/engine/logging/drivers/json-file/
"""
PLAIN = Form(_plain_parts, _line_end, _skip_lines)
"""Lines without a time."""


def _frames(data: bytes, where: str) -> Iterator[tuple[bool, bytes]]:
    at = 0
    while at + _HEADER_BYTES <= len(data):
        header = data[at : at + _HEADER_BYTES]
        if header[0] > _DAEMON or any(header[1:4]):
            raise ParseError(where, repr(header))
        begin, at = at + _HEADER_BYTES, at + _HEADER_BYTES + int.from_bytes(header[4:], "big")
        if header[0] != _DAEMON:
            yield header[0] == _STDERR, data[begin:at]


def _parts(data: bytes, *, is_stderr: bool) -> Iterator[_Part]:
    """Take lines apart that begin with a time; one goes on in the next frame if it fills its own to the end."""
    *lines, last = data.split(b"\n")
    for line in lines:
        time, _, text = line.partition(b" ")
        yield is_stderr, time, text, True
    if last:
        time, _, text = last.partition(b" ")
        yield is_stderr, time, text, len(text) < PART_BYTES


def _cri_part(line: bytes) -> _Part:
    match = _CRI.fullmatch(line)
    if match is None:
        return False, b"", line, True
    time, stream, tags, text = match.groups()
    return stream == b"stderr", time, text, tags.split(b":")[0] != b"P"


class _Joiner:
    """Makes lines of parts; stdout and stderr come in between each other."""

    def __init__(self, longest: int = LONGEST_LINE) -> None:
        """Cut lines that have more bytes."""
        self._longest = longest
        self._begun: dict[bool, tuple[bytes, bytes]] = {}

    def lines(self, parts: Iterable[_Part]) -> list[LogLine]:
        """Return the lines that end with one of these parts."""
        lines: list[LogLine] = []
        for is_stderr, time, text, is_end in parts:
            first, before = self._begun.pop(is_stderr, (time, b""))
            # One byte more tells that it was cut.
            whole = before + text[: self._longest + 1 - len(before)]
            if is_end:
                lines.append(_line(first, is_stderr=is_stderr, text=whole, longest=self._longest))
            else:
                self._begun[is_stderr] = (first, whole)
        return lines

    def rest(self) -> list[LogLine]:
        """Return the lines that have not ended."""
        begun, self._begun = self._begun, {}
        return [
            _line(time, is_stderr=is_stderr, text=text, longest=self._longest)
            for is_stderr, (time, text) in begun.items()
        ]

    def forget(self) -> None:
        """Leave out what was begun: its end was left out."""
        self._begun.clear()


def _joined(parts: Iterable[_Part]) -> list[LogLine]:
    joiner = _Joiner()
    return [*joiner.lines(parts), *joiner.rest()]


def _line(time: bytes, *, is_stderr: bool, text: bytes, longest: int) -> LogLine:
    time_ns = parse_time_ns(time.decode(errors="replace"))
    if time_ns is None and time:
        text = time + b" " + text if text else time
    # A terminal ends its lines with both.
    text = text.removesuffix(b"\r")
    mark = "…" if len(text) > longest > LONGEST_LINE else ""
    return LogLine(time_ns, is_stderr, text[:longest].decode(errors="replace") + mark)
