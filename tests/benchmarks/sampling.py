"""A sampler as the commands build it, over this host, with a clock that moves a second a tick; and what it reads."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from topcon import wiring
from topcon.config import Config
from topcon.runtimes.watch import RuntimeWatches
from topcon.sampler import Clock

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from topcon.model.snapshot import Snapshot
    from topcon.sampler import Sampler

NO_RUNTIMES: list = []


class SteppedClock:
    """The monotonic clock, moved on so that a tick begins each second of it: what is due now and then is due as often
    as it is where ticks are a second apart."""

    def __init__(self) -> None:
        self._ahead_ns = 0
        self._tick_ns = time.monotonic_ns()

    def now_ns(self) -> int:
        return time.monotonic_ns() + self._ahead_ns

    def step(self) -> None:
        self._tick_ns += 1_000_000_000
        self._ahead_ns = max(self._tick_ns - time.monotonic_ns(), self._ahead_ns)


class Ticking:
    """A sampler that is told when to tick."""

    def __init__(self, sampler: Sampler, clock: SteppedClock) -> None:
        self.sampler = sampler
        self._clock = clock

    def tick(self) -> Snapshot:
        """Tick, a second after the last on its clock."""
        self._clock.step()
        return self.sampler.tick()

    def timed(self) -> float:
        """Tick; return the seconds that it took."""
        self._clock.step()
        begun = time.perf_counter()
        self.sampler.tick()
        return time.perf_counter() - begun

    def files(self, paths: Iterable[str]) -> list[str]:
        """The files that are read of some cgroups; that one is not there is found out by who opens it."""
        cgroups = self.sampler._sources.cgroups
        hierarchies = cgroups.hierarchies
        folders = {"v2": hierarchies.v2, **hierarchies.v1}
        files = [
            (folders.get(part.hierarchy), part.name)
            for section in cgroups._sections
            for part in section.parts
            if not part.is_substitute or not any(folders.get(first.hierarchy) for first in section.parts[:1])
        ]
        return [f"{folder}{path}/{name}" for path in paths for folder, name in files if folder]


@contextmanager
def ticking() -> Iterator[Ticking]:
    """A sampler of this host, without runtimes."""
    clock = SteppedClock()
    sampler = wiring.build_sampler(Config(), RuntimeWatches(NO_RUNTIMES, ""))
    # Whoever builds one for use has no other clock in mind.
    sampler._clock = Clock(monotonic_ns=clock.now_ns)
    sampler._readings._monotonic_ns = clock.now_ns
    sampler._sources.isolated._clock_ns = clock.now_ns
    sampler._sources.bundles._clock = lambda: clock.now_ns() / 1e9
    try:
        yield Ticking(sampler, clock)
    finally:
        sampler.close()
