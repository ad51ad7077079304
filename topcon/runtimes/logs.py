"""What containers have said, in the forms in which runtimes send and keep it.

All of it is the containers' own: an answer is bounded in bytes as it comes in, and each line as it goes out.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from topcon.errors import ParseError
from topcon.model.sample import LogLine
from topcon.runtimes.foreign import parse_time_ns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

LARGEST_BYTES = 1 << 16
"""Of an answer, or of the end of a file."""
LONGEST_LINE = 1 << 12
"""Bytes of a line's text, as it was written; what is longer is cut."""
PART_BYTES = 1 << 14
"""Docker sends longer lines in parts of this size."""

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


def _joined(parts: Iterable[_Part]) -> list[LogLine]:
    """Make lines of parts; stdout and stderr come in between each other."""
    lines: list[LogLine] = []
    begun: dict[bool, tuple[bytes, bytes]] = {}
    for is_stderr, time, text, is_end in parts:
        first, before = begun.pop(is_stderr, (time, b""))
        whole = before + text[: LONGEST_LINE - len(before)]
        if is_end:
            lines.append(_line(first, is_stderr=is_stderr, text=whole))
        else:
            begun[is_stderr] = (first, whole)
    return [*lines, *(_line(time, is_stderr=is_stderr, text=text) for is_stderr, (time, text) in begun.items())]


def _line(time: bytes, *, is_stderr: bool, text: bytes) -> LogLine:
    time_ns = parse_time_ns(time.decode(errors="replace"))
    if time_ns is None and time:
        text = time + b" " + text if text else time
    # A terminal ends its lines with both.
    text = text.removesuffix(b"\r")[:LONGEST_LINE]
    return LogLine(time_ns, is_stderr, text.decode(errors="replace"))
