"""What the screen costs: how long a key takes to be seen, how much is sent to the terminal, how much memory is used."""

from __future__ import annotations

import os
import random
import re
import select
import signal
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cgroups import live_cgroups
from figures import Effort, Figure, Subject, percentile
from start import PYTHON, TEXTUAL, TOPCON, read_titles
from terminal import LARGE, on_terminal, read_for, set_size

from topcon.model.history import HISTORY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cgroups import LiveCgroups

PLAIN = str(Path(__file__).with_name("plain.py"))
USEC = 20
"""How long a process runs each time: enough to be seen, and no more of the CPU than that."""
SOME = 5
SENT_GOALS = {f"{SOME} changing": "bytes-some"}
SETTLE_S = 4.0
FILLED_S = 75.0
"""After which the lines of the last minute are full, and ages are in minutes."""
PATIENCE_S = 5.0
LEARN_KEYS = 20
GAPS_S = (0.02, 0.2)
"""Between a key that was seen and the next."""
MOST_DOWN = 30
"""The cursor stays among so many rows, so that nothing scrolls."""
HEADER_LINES = 2
TOKEN = re.compile(rb"\x1b\[(?:(\d+);\d+H|([\d;]*)m)")
BACKGROUND = re.compile(rb"(?:^|;)48;(5;\d+|2;\d+;\d+;\d+)")
BY_NAME = [*TOPCON, "--sort", "name"]
"""A cursor that stays where it was put."""


def measure(effort: Effort) -> list[Figure]:
    count = effort.containers
    plain = key_times([PYTHON, PLAIN, str(count)], effort.keys)
    with live_cgroups(count) as live:
        keys = {}
        for words, changing in {"idle": 0, "10% changing": count // 10, "all changing": count}.items():
            with changing_each(live, changing, 1.0):
                keys[words] = key_times(BY_NAME, effort.keys)
        sent = {}
        for words, changing in {"idle": 0, f"{SOME} changing": SOME, "all changing": count}.items():
            with changing_each(live, changing, 1.0):
                sent[words] = bytes_sent(effort.bytes_s)
        frame = full_frame()
        memory, imported, ticks = memory_after(live, effort.history)
    what = f"{count:,} containers"
    return [
        *(
            _key_figure(f"{what}, {words}", times, plain, percent)
            for words, times in keys.items()
            for percent in (50, 99)
        ),
        *(
            figure
            for words, (all_, header) in sent.items()
            for figure in (
                _beside(f"sent to the terminal, {what}, {words}", all_, frame, SENT_GOALS.get(words)),
                _beside(
                    f"the same, but for the header, {words}",
                    all_ - header,
                    frame,
                    "bytes-idle" if words == "idle" else None,
                ),
            )
        ),
        Figure(
            f"memory, {what}, 10% changing, {min(ticks, HISTORY)} ticks of history",
            memory,
            "MB",
            "`import textual.app`",
            imported,
            memory / imported,
            goal="memory",
        ),
    ]


def _key_figure(what: str, times: list[float], plain: list[float], percent: int) -> Figure:
    ours, theirs = (percentile(values, percent / 100) for values in (times, plain))
    goal = "key" if percent == 99 and what.endswith("all changing") else None
    return Figure(
        f"key to paint, {what}, p{percent}", ours, "ms", f"a `DataTable`, p{percent}", theirs, ours / theirs, goal=goal
    )


def _beside(what: str, sent: float, frame: float, goal: str | None) -> Figure:
    return Figure(what, sent, "B/s", "a whole screen, each second", frame, sent / frame, goal=goal)


@contextmanager
def changing_each(live: LiveCgroups, count: int, every_s: float) -> Iterator[None]:
    """Let some of the processes run now and then, for the time of the block."""
    ended = threading.Event()

    def run() -> None:
        while not ended.wait(every_s):
            live.run(count, USEC)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


class Cursor:
    """Follows which line of the screen the cursor is on: the only one with its background."""

    def __init__(self) -> None:
        self.line = 0
        """Where it was drawn last; 0 for nowhere yet."""
        self.background: bytes | None = None
        self._at = 0
        self._rest = b""

    def feed(self, drawn: bytes) -> dict[int, set[bytes]]:
        """Take what was drawn; return the backgrounds of the lines it touched."""
        text = self._rest + drawn
        touched: dict[int, set[bytes]] = {}
        end = 0
        for token in TOKEN.finditer(text):
            end = token.end()
            line, style = token.groups()
            if line:
                self._at = int(line)
            elif found := BACKGROUND.search(style):
                touched.setdefault(self._at, set()).add(found[1])
                if found[1] == self.background:
                    self.line = self._at
        # A sequence may be cut in two; none is longer than this.
        self._rest = text[max(end, len(text) - 64) :]
        return touched


def key_times(command: list[str], count: int) -> list[float]:
    """Seconds from a key that moves the cursor to the first reading of the terminal that has it on another line."""
    chance = random.Random(1)
    cursor = Cursor()
    times: list[float] = []
    with on_terminal(command, LARGE) as (_, controller):
        read_titles(controller)
        drain(controller, SETTLE_S, cursor)
        _learn(controller, cursor)
        down = 0
        while len(times) < count:
            drain(controller, chance.uniform(*GAPS_S), cursor)
            is_down = down == 0 or (down < MOST_DOWN and chance.random() < 0.5)
            down += 1 if is_down else -1
            before, begun = cursor.line, time.perf_counter()
            os.write(controller, b"j" if is_down else b"k")
            while cursor.line == before:
                if not select.select([controller], [], [], PATIENCE_S)[0]:
                    message = f"a key was not seen within {PATIENCE_S:.0f} s"
                    raise TimeoutError(message)
                drawn = os.read(controller, 65536)
                seen = time.perf_counter()
                cursor.feed(drawn)
            times.append(seen - begun)
    return times


def _learn(controller: int, cursor: Cursor) -> None:
    """Find the background of the cursor: the one that a key takes from a line and gives to another."""
    for _ in range(LEARN_KEYS):
        touched: dict[int, set[bytes]] = {}
        os.write(controller, b"j")
        for drawn in drawing(controller, 0.5):
            for line, backgrounds in cursor.feed(drawn).items():
                touched.setdefault(line, set()).update(backgrounds)
        counts: dict[bytes, list[int]] = {}
        for line, backgrounds in touched.items():
            for background in backgrounds:
                counts.setdefault(background, []).append(line)
        # Colours of text on the cursor come along with it, but stay on the line for a moment.
        single = [(background, lines[0]) for background, lines in counts.items() if lines == [max(touched)]]
        if len(single) == 1 and len(counts) > 1:
            ((cursor.background, cursor.line),) = single
            for _ in range(LEARN_KEYS + 1):
                os.write(controller, b"k")
                drain(controller, 0.1, cursor)
            return
    message = "the cursor was not found"
    raise TimeoutError(message)


def drawing(controller: int, seconds: float) -> Iterator[bytes]:
    """What a program draws within some time."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if select.select([controller], [], [], left)[0]:
            yield os.read(controller, 65536)


def drain(controller: int, seconds: float, cursor: Cursor) -> None:
    for drawn in drawing(controller, seconds):
        cursor.feed(drawn)


def bytes_sent(seconds: float) -> tuple[float, float]:
    """Bytes a second: all, and those that the header is drawn with: the clock, and what the host does."""
    with on_terminal(TOPCON, LARGE) as (_, controller):
        read_titles(controller)
        read_for(controller, FILLED_S)
        drawn = b"".join(drawing(controller, seconds))
    places = [(int(token[1]), token.start()) for token in TOKEN.finditer(drawn) if token[1]]
    ends = [start for _, start in places[1:]] + [len(drawn)]
    header = sum(end - start for (line, start), end in zip(places, ends, strict=True) if line <= HEADER_LINES)
    return len(drawn) / seconds, header / seconds


def full_frame() -> float:
    """Bytes that a whole screen takes, as it is drawn when the terminal has another size."""
    lines, columns = LARGE
    with on_terminal(TOPCON, LARGE) as (process, controller):
        read_titles(controller)
        read_for(controller, SETTLE_S)
        set_size(controller, (lines, columns - 1))
        process.send_signal(signal.SIGWINCH)
        return read_for(controller, 0.5)


def memory_after(live: LiveCgroups, ticks: int) -> tuple[float, float, int]:
    """MB in use after so many ticks; beside it, with the library imported and nothing else done; and how many it were.

    Ticks that come late are left out, so there may be fewer.
    """
    interval_s = 0.1
    with tempfile.TemporaryDirectory() as folder:
        profile = Path(folder, "profile")
        command = [*TOPCON, "--interval", str(interval_s), "--profile", str(profile)]
        with (
            changing_each(live, len(live.pids) // 10, interval_s),
            on_terminal(command, LARGE) as (process, controller),
        ):
            read_titles(controller)
            read_for(controller, SETTLE_S + ticks * interval_s * 1.25)
            ours = resident_mb(process.pid)
        found = re.search(r"^ticks +(\d+)", profile.read_text(), re.MULTILINE)
    waiting = [*TEXTUAL[:-1], f"{TEXTUAL[-1]}; print('ready', flush=True); input()"]
    with on_terminal(waiting) as (process, controller):
        os.read(controller, 65536)
        return ours, resident_mb(process.pid), int(found[1]) if found else 0


def resident_mb(pid: int) -> float:
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024 / 1e6


SCREEN = Subject(
    "Screen",
    f"""On a terminal of {LARGE[1]}x{LARGE[0]}, with real cgroups that have a live process each; once a second as many
of them as the row says run. **Key to paint**: `j` or `k` at irregular times, from its writing to the first reading that
has the cursor on another line; beside it, the table that the library of the screen brings along, with as many rows and
nothing that changes. **Sent**: all that the terminal reads; the header is its first two lines. **Memory**: what is
resident after ticks a tenth of a second apart; histories keep 600 of them, ten minutes at a second apart.""",
    measure,
)
