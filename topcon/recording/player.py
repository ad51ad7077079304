"""Goes through a recording as through a film, on a thread of its own."""

from __future__ import annotations

import threading
import time
from bisect import bisect_left, bisect_right
from collections import OrderedDict, deque
from contextlib import suppress
from dataclasses import replace
from functools import partial
from math import ceil
from typing import TYPE_CHECKING, NamedTuple

from topcon.errors import RecordingUnreadable
from topcon.findings import DEFAULT_THRESHOLDS
from topcon.model.event import MOST_EVENTS
from topcon.model.playing import NS_PER_S, Playing, marks_of, next_speed
from topcon.moment import to_moment_text
from topcon.recording.replayed import BEFORE, Replay, after

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from topcon.findings import Thresholds
    from topcon.model.event import Events, Told
    from topcon.model.playing import Mark
    from topcon.model.sample import Sample
    from topcon.model.snapshot import Snapshot
    from topcon.recording.frames import Frames

LEAST_S = 0.1
"""No more than ten snapshots a second are shown."""
SHARE = 0.5
"""Of the time is spent on snapshots at the most; at high speed, samples in between are left out."""
LOOK_S = 1.0
"""How often is looked whether there is more."""
STAY_S = 3.0
"""How long the end is shown before it begins anew."""
GAP_INTERVALS, LEAST_GAP_NS = 5, 10 * NS_PER_S
"""Of a longer time in which nothing was recorded nothing is shown."""
CHARTED_NS = 600 * NS_PER_S
"""So much of what was before is derived once there is time for it, ..."""
CHARTS_S = 1.0
"""... and about so long is spent on that: of many containers not every sample is taken."""
NEAR_NS = 60 * NS_PER_S
"""Who says 03:12 means the minute, in which it may have begun."""
KEPT = 64
"""So many snapshots are kept, to go back to."""
MOST_LEFT_OUT = 120
"""In so many of the samples that are left out it is looked what was told."""
LATE_S = 2.0
"""Who is later than this has slept, or cannot keep up: it goes on from where it is."""
SHORTEST_S = 0.001
_OVER = object()


class _Kept(NamedTuple):
    """A snapshot that was shown."""

    snapshot: Snapshot
    is_charted: bool
    """Whether it knows what was in the minutes before."""


class Player:
    """Shows the snapshots of a recording in their time, or faster.

    Commands may come from any thread, and are carried out on the player's.
    """

    def __init__(
        self,
        open_frames: Callable[[], Frames],
        tell: Callable[[Playing, Snapshot], object],
        *,
        thresholds: Thresholds = DEFAULT_THRESHOLDS,
        at_ns: int | None = None,
        is_paused: bool = False,
        is_looped: bool = False,
        name: str = "",
        clock: Callable[[], float] = time.monotonic,
        spent: Callable[[], float] = time.thread_time,
    ) -> None:
        """Begin at a moment, or the first; ``tell`` is told what is to be seen, on the player's thread.

        ``is_looped`` has it begin anew after the end. ``name`` is what the recording is called. ``spent`` tells the
        seconds of CPU that the player's thread has used.
        """
        self._open_frames = open_frames
        self._tell = tell
        self._thresholds = thresholds
        self._begin_ns = at_ns
        self._is_looped = is_looped
        self._name = name
        self._clock = clock
        self._spent = spent
        self._commands: deque[Callable[[], object]] = deque()
        self._woken = threading.Event()
        self._is_stopped = False
        self._carried_out = 0
        self._frames: Frames | None = None
        self._others: Frames | None = None
        """The same, for what is read meanwhile somewhere else in it."""
        self._at = 0
        self._wanted: int | None = None
        self._snapshot: Snapshot | None = None
        self._is_charted = False
        self._kept: OrderedDict[int, _Kept] = OrderedDict()
        self._charting: Iterator[None] | None = None
        self._marks: tuple[Mark, ...] = ()
        self._speed = 1.0
        self._is_paused = is_paused
        self._is_live = False
        self._is_written = False
        self._problem: str | None = None
        self._anchor = (0.0, 0)
        """A time of the clock, and the moment of the recording then."""
        self._rests_until_s = 0.0
        self._looks_at_s = 0.0
        self._ends_at_s: float | None = None
        self._derive_s = 0.0
        """How long a snapshot takes to be derived, about."""

    # What can be asked for.

    def play(self) -> None:
        """Go on."""
        self._ask(self._play)

    def pause(self) -> None:
        """Stay where it is."""
        self._ask(self._pause)

    def toggle(self) -> None:
        """Go on, or stay."""
        self._ask(lambda: self._play() if self._is_paused else self._pause())

    def step(self, count: int) -> None:
        """Stay so many samples further on, or back where that is below 0."""
        self._ask(partial(self._step, count))

    def skip(self, seconds: float) -> None:
        """Go so many seconds on, or back."""
        self._ask(partial(self._skip, seconds))

    def jump(self, wall_ns: int) -> None:
        """Go to a moment, nanoseconds since 1970."""
        self._ask(partial(self._jump_to, wall_ns))

    def next_event(self, count: int) -> None:
        """Go to where something has happened next, or before where ``count`` is below 0."""
        self._ask(partial(self._to_event, count))

    def speed(self, speed: float) -> None:
        """Show so many seconds in one."""
        self._ask(partial(self._set_speed, speed))

    def faster(self, count: int) -> None:
        """Go a step faster, or slower where ``count`` is below 0."""
        self._ask(lambda: self._set_speed(next_speed(self._speed, count)))

    def live(self) -> None:
        """Go to the end, and along with it where it grows."""
        self._ask(self._follow_end)

    def _ask(self, command: Callable[[], object]) -> None:
        self._commands.append(command)
        self._woken.set()

    # The thread.

    def start(self, on_failure: Callable[[BaseException], object]) -> None:
        """Begin, on a thread of its own; ``on_failure`` is told what ends it before its time."""
        threading.Thread(target=self._run, args=(on_failure,), name="topcon-player", daemon=True).start()

    def stop(self) -> None:
        """Show nothing more."""
        self._is_stopped = True
        self._woken.set()

    def _run(self, on_failure: Callable[[BaseException], object]) -> None:
        try:
            while not self._is_stopped:
                self._woken.clear()
                wait_s = self.turn()
                if wait_s != 0.0:
                    self._woken.wait(wait_s)
        except BaseException as error:  # noqa: BLE001  the screen ends with it
            on_failure(error)
        finally:
            self.close()

    def close(self) -> None:
        """Let go of the recording."""
        for frames in (self._frames, self._others):
            if frames is not None:
                frames.close()
        self._frames = self._others = None

    def turn(self) -> float | None:
        """Do what is due; return the seconds until there is more to do, None where only a command brings more."""
        frames = self._frames
        if frames is None:
            self._frames = frames = self._open_frames()
            self._marks = marks_of(frames.events())
            self._wanted = 0 if self._begin_ns is None else frames.index_at(self._begin_ns)
        is_asked = bool(self._commands)
        while self._commands and frames.times:
            self._commands.popleft()()
            self._carried_out += 1
        if not frames.times:
            self._look(frames)
            return LOOK_S
        try:
            return self._turn(frames, is_asked=is_asked)
        except RecordingUnreadable as damage:
            self._take_damage(frames, damage)
            return 0.0

    def _turn(self, frames: Frames, *, is_asked: bool) -> float | None:
        if self._wanted is not None:
            self._jump(frames, self._wanted)
            return 0.0
        if is_asked:
            self._show()
        wait_s = self._go_on(frames)
        if self._charting is not None and (wait_s is None or wait_s > 0):
            if next(self._charting, _OVER) is _OVER:
                self._charting = None
            return 0.0
        return wait_s

    def _take_damage(self, frames: Frames, damage: RecordingUnreadable) -> None:
        """Say what cannot be read, and go on behind it where there is something."""
        self._problem = str(damage)
        self._wanted = None
        if damage.goes_on_ns is not None and damage.goes_on_ns <= frames.times[-1]:
            self._wanted = frames.index_at(damage.goes_on_ns)
        else:
            self._is_paused, self._is_live = True, False
            self._show()

    # What commands do.

    def _play(self) -> None:
        if self._is_at_end and not self._is_live:
            self._wanted = 0
        self._is_paused = False
        self._anchor_here()

    def _pause(self) -> None:
        self._is_paused, self._is_live = True, False

    def _step(self, count: int) -> None:
        self._pause()
        self._want(self._target + count)

    def _skip(self, seconds: float) -> None:
        frames = self._opened
        here_ns = frames.times[self._target]
        index = frames.index_at(here_ns + round(seconds * NS_PER_S))
        # Where samples are further apart than that.
        least = self._target + (1 if seconds > 0 else -1)
        self._leave_live()
        self._want(max(index, least) if seconds > 0 else min(index, least))

    def _jump_to(self, wall_ns: int) -> None:
        times = self._opened.times
        self._leave_live()
        self._want(self._opened.index_at(wall_ns))
        if wall_ns < times[0] - NEAR_NS:
            self._problem = f"there is nothing from before {to_moment_text(times[0])}"
        elif wall_ns > times[-1] + NEAR_NS:
            self._problem = f"there is nothing from after {to_moment_text(times[-1])}"

    def _to_event(self, count: int) -> None:
        times, marks = self._opened.times, self._marks
        here = self._target
        if count > 0:
            at = bisect_right(marks, times[here], key=_time_of)
            found = marks[at : at + 1]
        else:
            # Its sample is the first that was taken after it.
            before_ns = times[here - 1] if here else times[0] - 1
            at = bisect_right(marks, before_ns, key=_time_of)
            found = marks[max(at - 1, 0) : at]
        if found:
            self._leave_live()
            self._want(bisect_left(times, found[0].wall_ns))
        else:
            self._problem = f"nothing has happened {'after' if count > 0 else 'before'} this"

    def _set_speed(self, speed: float) -> None:
        self._speed = speed
        self._anchor_here()

    def _follow_end(self) -> None:
        frames = self._opened
        self._look(frames)
        self._is_live = self._is_written
        self._is_paused = not self._is_live
        self._want(len(frames.times) - 1)

    def _leave_live(self) -> None:
        if self._is_live:
            self._pause()

    def _want(self, index: int) -> None:
        self._wanted = min(max(index, 0), len(self._opened.times) - 1)
        self._problem = None

    @property
    def _opened(self) -> Frames:
        assert self._frames is not None  # noqa: S101  commands are carried out once it is open
        return self._frames

    @property
    def _target(self) -> int:
        """Where it is, or is about to be."""
        return self._at if self._wanted is None else self._wanted

    @property
    def _is_at_end(self) -> bool:
        return self._target >= len(self._opened.times) - 1

    # Showing.

    def _show(self) -> None:
        frames, snapshot = self._opened, self._snapshot
        if snapshot is None:
            return
        times = frames.times
        playing = Playing(
            at_ns=times[self._at],
            first_ns=times[0],
            last_ns=times[-1],
            speed=self._speed,
            is_paused=self._is_paused,
            is_live=self._is_live,
            is_written=self._is_written,
            marks=self._marks,
            name=self._name,
            problem=self._problem,
            carried_out=self._carried_out,
        )
        self._tell(playing, snapshot)

    def _jump(self, frames: Frames, index: int) -> None:
        """Show a sample, with rates, and have the charts follow."""
        self._wanted, self._charting, self._ends_at_s = None, None, None
        known = self._kept.get(frames.times[index])
        if known is None:
            begun_s = self._spent()
            snapshot = Replay(frames, self._thresholds, like=self._snapshot).at(index)
            self._derive_s = (self._spent() - begun_s) / (BEFORE + 1)
            known = _Kept(snapshot, is_charted=index <= BEFORE)
        self._at = index
        self._keep(known)
        if not known.is_charted:
            self._charting = self._chart(frames.times[index])
        self._anchor_here()
        self._show()

    def _keep(self, known: _Kept) -> None:
        self._snapshot, self._is_charted = known
        wall_ns = self._opened.times[self._at]
        self._kept[wall_ns] = known
        self._kept.move_to_end(wall_ns)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)

    def _anchor_here(self) -> None:
        self._anchor = self._clock(), self._opened.times[self._target]

    def _go_on(self, frames: Frames) -> float | None:
        now_s = self._clock()
        if self._is_live or self._is_paused:
            return self._wait_for_more(frames, now_s)
        times = frames.times
        if self._at >= len(times) - 1:
            return self._end(frames, now_s)
        following = self._at + 1
        if now_s - self._due_s(times[following]) > LATE_S:
            self._anchor = now_s, times[following]
        since_s, since_ns = self._anchor
        target = frames.index_at(since_ns + round((now_s - since_s) * self._speed * NS_PER_S))
        if target <= self._at:
            longest_ns = max(LEAST_GAP_NS, round((frames.interval_s or 0.0) * GAP_INTERVALS * NS_PER_S))
            if times[following] - times[self._at] <= longest_ns:
                return max(self._due_s(times[following]) - now_s, SHORTEST_S)
            target = following
            self._anchor = now_s, times[target]
        if now_s < self._rests_until_s:
            return self._rests_until_s - now_s
        begun_s = self._spent()
        self._go_to(frames, target)
        self._rests_until_s = now_s + max(LEAST_S, (self._spent() - begun_s) / SHARE)
        return max(self._rests_until_s - self._clock(), SHORTEST_S)

    def _due_s(self, wall_ns: int) -> float:
        """Return when a moment of the recording comes, on the clock."""
        since_s, since_ns = self._anchor
        return since_s + (wall_ns - since_ns) / NS_PER_S / self._speed

    def _go_to(self, frames: Frames, index: int) -> None:
        """Show a later sample: all that is between the two counts into its rates."""
        assert self._snapshot is not None  # noqa: S101  there was a jump first
        sample = _with_told(frames, self._at, index)
        begun_s = self._spent()
        snapshot = after(self._snapshot, sample, self._thresholds)
        self._derive_s = self._spent() - begun_s
        told = self._events_until(frames, self._snapshot.events, frames.times[self._at], frames.times[index])
        self._at, self._problem = index, None
        self._keep(_Kept(replace(snapshot, events=told), self._is_charted))
        self._show()

    def _events_until(self, frames: Frames, before: Events, since_ns: int, until_ns: int) -> Events:
        """Return what has happened, as it was told then: of what is left out nobody can tell anew."""
        first, last = (bisect_right(self._marks, each, key=_time_of) for each in (since_ns, until_ns))
        if first == last:
            return before
        entries = (*before.entries, *frames.events(since_ns + 1, until_ns))
        too_many = max(len(entries) - MOST_EVENTS, 0)
        return replace(before, entries=entries[too_many:], forgotten=before.forgotten + too_many)

    def _end(self, frames: Frames, now_s: float) -> float:
        if self._is_looped:
            if self._ends_at_s is None:
                self._ends_at_s = now_s + STAY_S
            if now_s < self._ends_at_s:
                return self._ends_at_s - now_s
            self._wanted = 0
            return 0.0
        self._look(frames)
        if self._is_at_end:
            self._is_live, self._speed = self._is_written, 1.0
            self._is_paused = not self._is_live
            self._show()
        return 0.0

    def _wait_for_more(self, frames: Frames, now_s: float) -> float | None:
        """Go along with the end, or at least know where it is."""
        if self._is_looped:
            return None
        if now_s < self._looks_at_s:
            return self._looks_at_s - now_s
        interval_s = frames.interval_s or LOOK_S
        self._looks_at_s = now_s + (min(interval_s / 2, LOOK_S) if self._is_live else LOOK_S)
        if self._look(frames):
            if self._is_live:
                self._go_to(frames, len(frames.times) - 1)
            else:
                self._show()
        elif self._is_live and not self._is_written:
            self._pause()
            self._show()
        return max(self._looks_at_s - self._clock(), SHORTEST_S)

    def _look(self, frames: Frames) -> bool:
        """Look for new samples, and for what has happened."""
        since_ns = frames.times[-1] if frames.times else None
        self._is_written = frames.is_written
        if not frames.refresh():
            return False
        known = self._marks if since_ns is None else self._marks[: bisect_left(self._marks, since_ns, key=_time_of)]
        self._marks = (*known, *marks_of(frames.events(since_ns)))
        return True

    def _chart(self, at_ns: int) -> Iterator[None]:
        """Derive what was before a moment, a sample a turn, and put its charts into what is shown."""
        frames = self._others = self._others or self._open_frames()
        frames.refresh()
        end, begin = frames.index_at(at_ns), frames.index_at(at_ns - CHARTED_NS)
        step = max(ceil((end - begin) * self._derive_s / CHARTS_S), 1)
        # The last ones one by one: rates are to be those of an interval.
        last_ones = max(end - BEFORE, begin)
        snapshot: Snapshot | None = None
        at = before = end
        for at in (*range(last_ones - (last_ones - begin) // step * step, last_ones, step), *range(last_ones, end + 1)):
            try:
                snapshot = after(snapshot, _with_told(frames, before, at), self._thresholds)
            except RecordingUnreadable:
                # It is said where one goes there; here it only leaves a gap.
                continue
            before = at
            yield
        # It has gone on meanwhile.
        while frames.times[at] < self._opened.times[self._at]:
            if frames.times[-1] < self._opened.times[self._at]:
                frames.refresh()
            before, at = at, min(at + step, frames.index_at(self._opened.times[self._at]))
            snapshot = after(snapshot, _with_told(frames, before, at), self._thresholds)
            yield
        if snapshot is not None and self._snapshot is not None:
            self._keep(_Kept(replace(snapshot, events=self._snapshot.events), is_charted=True))
            self._charting = None
            self._show()


def _time_of(mark: Mark) -> int:
    return mark.wall_ns


def _with_told(frames: Frames, before: int, at: int) -> Sample:
    """Return a sample, with what runtimes told in those after another that are left out: how containers ended.

    Raises:
        RecordingUnreadable: it is damaged; it does not matter whether one that is left out is.
    """
    told: list[Told] = []
    for left_out in range(max(before + 1, at - MOST_LEFT_OUT, 0), at):
        with suppress(RecordingUnreadable):
            told += frames.sample(left_out).events
    sample = frames.sample(at)
    return replace(sample, events=(*told, *sample.events)) if told else sample
