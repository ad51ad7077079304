"""What is shared by all that samples on and on: the screen, the endpoint, a recording."""

from __future__ import annotations

import contextlib
import gc
import signal
import sys
import threading
from typing import TYPE_CHECKING

from topcon.commands.status import EXIT_INTERRUPTED
from topcon.errors import TopconError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from topcon.model.sample import Problem
    from topcon.model.snapshot import Snapshot
    from topcon.profile import Profile
    from topcon.sampler import Sampler

RUN_UNTIL = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
COLLECTOR_THRESHOLDS = (50_000, 50, 100)
"""Samples and snapshots are free of cycles: to look through them for some took a tenth of a tick."""
SPEEDY_NS = 60 * 10**9
"""After a minute at the speed that was asked for, it is worth a word that it is kept."""


def need_terminal(instead: str) -> None:
    """Refuse to draw where there is no terminal, and say what to do ``instead``.

    Raises:
        UsageError: there is none.
    """
    # The screen is drawn on stderr, as Textual has it.
    if not all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)):
        message = f"the screen needs a terminal; {instead}"
        raise UsageError(message)


def profiled(
    profile: Profile | None, sampler: Sampler, on_snapshot: Callable[[Snapshot], object]
) -> Callable[[Snapshot], object]:
    """Have each tick taken down before its snapshot is handed on."""
    if profile is None:
        return on_snapshot

    def take(snapshot: Snapshot) -> None:
        profile.take(snapshot, sampler.tick_s, sampler.spent)
        on_snapshot(snapshot)

    return take


def end_profile(profile: Profile | None) -> None:
    """Write it for the last time."""
    if profile is None:
        return
    try:
        profile.write()
    except OSError as error:
        sys.stderr.write(f"topcon: cannot write the profile: {error.strerror}\n")


def spare_collector() -> None:
    """Let the collector begin, and leave alone what is there and stays: to look through it takes 30 ms each time."""
    gc.freeze()
    gc.set_threshold(*COLLECTOR_THRESHOLDS)
    gc.enable()


def pace_teller() -> Callable[[Snapshot], str | None]:
    """Return what says when sampling begins to be slowed down for the budget, and when that has been over for a while.

    Around the budget it can come and go with each tick, which is not worth a line each time.
    """
    slowed_ns: int | None = None

    def tell(snapshot: Snapshot) -> str | None:
        nonlocal slowed_ns
        own, cost, now_ns = snapshot.sample.own, snapshot.cost, snapshot.sample.monotonic_ns
        if own is None or cost is None or own.budget is None:
            return None
        if cost.is_slowed:
            is_told, slowed_ns = slowed_ns is not None, now_ns
            share = f"{own.budget * 100:g}% of a core"
            asked = f"every {own.asked_interval_s:g} s"
            return None if is_told else f"samples every {own.interval_s:g} s, not {asked}, to stay within {share}"
        if slowed_ns is not None and now_ns - slowed_ns >= SPEEDY_NS:
            slowed_ns = None
            return f"samples every {own.interval_s:g} s again"
        return None

    return tell


def teller(others: Callable[[], Iterable[Problem]]) -> Callable[[Snapshot], None]:
    """Return what logs each problem when it begins, in the words it begins with, and when it is over.

    ``others`` returns those that no sample holds.
    """
    from topcon.report import problem_text

    told: set[tuple[str, str]] = set()
    tell_pace = pace_teller()

    def tell(snapshot: Snapshot) -> None:
        if pace := tell_pace(snapshot):
            sys.stderr.write(f"topcon: {pace}\n")
        problems = (*snapshot.sample.problems, *others())
        now = {problem.source for problem in problems}
        old = {source for source, _ in told}
        for problem in problems:
            if problem.source not in old:
                text = problem_text(problem)
                told.add((problem.source, text))
                sys.stderr.write(f"topcon: {text}\n")
        for source, text in [each for each in told if each[0] not in now]:
            told.discard((source, text))
            sys.stderr.write(f"topcon: {source}: works again\n")

    return tell


class AwaitedEnd:
    """Waits until topcon is told to end, or a thread has failed."""

    def __init__(self) -> None:
        """Hold the signals back from here on, here and in the threads to come.

        They are held back to the end, and waited for: no handler would wake this thread from a sleep that begins just
        after a signal has come, and a second one does not cut the end short.
        """
        self._failure: BaseException | None = None
        self._waiting = threading.get_ident()
        signal.pthread_sigmask(signal.SIG_BLOCK, RUN_UNTIL)

    def fail(self, error: BaseException) -> None:
        """End, since a thread has failed; on that thread."""
        self._failure = error
        signal.pthread_kill(self._waiting, signal.SIGTERM)

    def wait(self, longest_s: float | None = None) -> int:
        """Wait, no longer than ``longest_s``; return the exit status."""
        if longest_s is None:
            number: int | None = signal.sigwait(RUN_UNTIL)
        else:
            told = signal.sigtimedwait(RUN_UNTIL, longest_s)
            number = told.si_signo if told else None
        return EXIT_INTERRUPTED if number == signal.SIGINT else 0

    def raise_failure(self) -> None:
        """Raise what a thread has failed with."""
        if self._failure is not None:
            raise self._failure


def quietly(tick: Callable[[], object]) -> None:
    """Read once ahead; what goes wrong then goes wrong again when it is waited for, and is told there."""
    with contextlib.suppress(TopconError):
        tick()
