"""What a container has written to a real journal, and writes, as libsystemd reads it."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.descriptors import open_below
from tests.integration.machine import until
from topcon.model.output import Wanted
from topcon.model.sample import ContainerId
from topcon.runtimes.journal import JournalFeed
from topcon.runtimes.logs import LONGEST_FOLLOWED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from topcon.model.sample import LogLine

WRITER = "/lib/systemd/systemd-journal-remote"
MACHINE, BOOT = "a" * 32, "b" * 32
ID, OTHER = ContainerId("d" * 64), ContainerId("e" * 64)
BEGIN_S = 1_700_000_000

pytestmark = pytest.mark.skipif(not os.access(WRITER, os.X_OK), reason="needs systemd-journal-remote")


class Journal:
    """A journal of a host that is not this one."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._file = root / f"var/log/journal/{MACHINE}/system.journal"
        self._file.parent.mkdir(parents=True)
        self._at = 0

    def write(self, *texts: bytes, container: ContainerId = ID, **fields: str) -> None:
        """Add entries a second apart, in the journal's export format."""
        entries = b""
        for text in texts:
            said = {
                "__REALTIME_TIMESTAMP": f"{(BEGIN_S + self._at) * 10**6}",
                "__MONOTONIC_TIMESTAMP": f"{(1000 + self._at) * 10**6}",
                "_BOOT_ID": BOOT,
                "CONTAINER_ID_FULL": container,
                **fields,
            }
            entries += b"".join(f"{name}={value}\n".encode() for name, value in said.items())
            # Of what holds a line's end, or is no text, the length is written.
            entries += b"MESSAGE\n" + len(text).to_bytes(8, "little") + text + b"\n\n"
            self._at += 1
        subprocess.run([WRITER, "-o", self._file, "-"], input=entries, check=True, capture_output=True)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path)


@pytest.fixture
def follow(journal: Journal) -> Iterator[Callable[..., JournalFeed]]:
    opened: list[JournalFeed] = []

    def begin(lines: int | None = None, since_s: float | None = None) -> JournalFeed:
        since_ns = None if since_s is None else int((BEGIN_S + since_s) * 1e9)
        opened.append(JournalFeed(ID, Wanted(lines, since_ns), str(journal.root)))
        return opened[-1]

    yield begin
    for feed in opened:
        feed.close()
    assert not open_below(journal.root)


def read(feed: JournalFeed) -> tuple[LogLine, ...]:
    batch = feed.read()
    assert batch is not None
    return batch.lines


def texts(feed: JournalFeed) -> list[str]:
    return [line.text for line in read(feed)]


@pytest.mark.parametrize(
    ("lines", "since_s", "expected"),
    [
        (None, None, range(6)),
        (2, None, range(4, 6)),
        (6, None, range(6)),
        (100, None, range(6)),
        (0, None, range(0)),
        (None, 3, range(3, 6)),
        (None, 2.5, range(3, 6)),
        (2, 3, range(4, 6)),
        (100, 3, range(3, 6)),
        (100, 99, range(0)),
    ],
)
def test_it_begins_where_it_is_wanted_and_goes_on(
    journal: Journal,
    follow: Callable[..., JournalFeed],
    lines: int | None,
    since_s: float | None,
    expected: range,
) -> None:
    journal.write(*(b"line %d" % number for number in range(6)))
    journal.write(b"of another", container=OTHER)

    feed = follow(lines, since_s)
    assert texts(feed) == [f"line {number}" for number in expected]

    # Later than any that was wanted.
    journal.write(*[b"of another"] * 100, container=OTHER)
    journal.write(b"later")
    assert until(lambda: texts(feed), "what is new has come") == ["later"]


def test_nothing_is_there_yet(journal: Journal, follow: Callable[..., JournalFeed]) -> None:
    journal.write(b"of another", container=OTHER)

    feeds = [follow(), follow(5), follow(0)]
    assert [texts(feed) for feed in feeds] == [[], [], []]

    journal.write(b"first")
    for feed in feeds:
        assert until(partial(texts, feed), "it has come") == ["first"]


def test_streams_times_parts_and_what_is_no_text(journal: Journal, follow: Callable[..., JournalFeed]) -> None:
    journal.write(b"out", PRIORITY="6")
    journal.write(b"err", PRIORITY="3")
    journal.write(b"the first ", b"of three, ", CONTAINER_PARTIAL_MESSAGE="true")
    journal.write(b"the end\n")
    journal.write(b"\x1b[31mred\xff\nand more", b"", b"x" * 3 * LONGEST_FOLLOWED)

    lines = read(follow())

    assert [(line.is_stderr, line.text) for line in lines[:5]] == [
        (False, "out"),
        (True, "err"),
        (False, "the first of three, the end"),
        (False, "\x1b[31mred\ufffd and more"),
        (False, ""),
    ]
    assert lines[5].text == "x" * LONGEST_FOLLOWED + "…"
    assert [line.time_ns for line in lines] == [(BEGIN_S + at) * 10**9 for at in (0, 1, 2, 5, 6, 7)]


def test_a_reader_that_waits_is_woken(journal: Journal, follow: Callable[..., JournalFeed]) -> None:
    journal.write(b"line")
    feed = follow(0)
    threading.Timer(0.05, feed.stop).start()

    begun_s = time.monotonic()
    assert feed.read() is None
    assert feed.read() is None
    assert time.monotonic() - begun_s < 30
