"""What a tick costs beside a reader in C over the same files of real cgroups, and what finding the cgroups costs."""

from __future__ import annotations

import gc
import os
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING

from cgroups import c_reader, live_cgroups
from figures import Effort, Figure, Subject, paired
from sampling import ticking

from topcon.commands.ticking import spare_collector
from topcon.kernel.discovery import CgroupTree
from topcon.kernel.files import Access
from topcon.kernel.mount import CGROUP_ROOT, read_hierarchies

if TYPE_CHECKING:
    from collections.abc import Callable

    from cgroups import CReader, LiveCgroups
    from sampling import Ticking

WARM_UP_TICKS = 40
"""After which all that is refreshed now and then has been, and is spread out; and nobody looks for names any more."""
IDLE_S = 0.1
READER = "the reader in C, all files"
CHANGING = {"all": "all changing", "some": "10% changing", "idle": "idle"}

Pairs = list[tuple[float, float]]


def measure(effort: Effort) -> list[Figure]:
    by_count = {count: _of(count, effort) for count in effort.counts}
    goals_at = 1000
    result = [
        paired(
            f"tick, {count:,} containers, {words}",
            READER,
            by_count[count][kind],
            goal=f"tick-{kind}" if count == goals_at else None,
            has_mean=True,
        )
        for count in effort.counts
        for kind, words in CHANGING.items()
    ]
    few, many = (1000, 4000) if {1000, 4000} <= by_count.keys() else (effort.counts[0], effort.counts[-1])
    return [
        *result,
        _slope(by_count, few, many, "all", "slope"),
        _slope(by_count, few, many, "idle", "slope-idle"),
        *_finding(effort),
    ]


def _of(count: int, effort: Effort) -> dict[str, Pairs]:
    """Pairs of seconds: a tick's, and that of the reader in C after as many have changed again."""
    with live_cgroups(count) as live, ticking() as sampler, c_reader(sampler.files(live.paths)) as reader:
        for _ in range(WARM_UP_TICKS):
            live.run(count)
            sampler.tick()
            reader.read()
        spare_collector()
        changing = {"all": count, "some": count // 10, "idle": 0}
        try:
            return {kind: _pairs(live, sampler, reader, changing[kind], effort.ticks) for kind in CHANGING}
        finally:
            gc.unfreeze()


def _pairs(live: LiveCgroups, sampler: Ticking, reader: CReader, changing: int, ticks: int) -> Pairs:
    """One series after the other: what runs for the one must not be what the other finds changed."""
    ours, theirs = (_series(live, changing, ticks, take) for take in (sampler.timed, reader.read))
    return list(zip(ours, theirs, strict=True))


def _series(live: LiveCgroups, changing: int, ticks: int, take: Callable[[], float]) -> list[float]:
    seconds = []
    for round_ in range(-2, ticks):
        live.run(changing)
        if not changing:
            time.sleep(IDLE_S)
        spent = take()
        # What changed before this series is still told of in its first ticks.
        if round_ >= 0:
            seconds.append(spent)
    return seconds


def _slope(by_count: dict[int, dict[str, Pairs]], few: int, many: int, kind: str, goal: str) -> Figure:
    ours, theirs = (
        [statistics.median(pair[side] for pair in by_count[count][kind]) for count in (many, few)] for side in (0, 1)
    )
    return Figure(
        f"slope: tick, {many:,} containers, {CHANGING[kind]} (the reader in C: {theirs[0] / theirs[1]:.2f})",
        ours[0],
        "ms",
        f"{few:,} containers",
        ours[1],
        ours[0] / ours[1],
        goal=goal,
    )


def _finding(effort: Effort) -> list[Figure]:
    """Finding all cgroups: the first time, and when nothing has come or gone."""
    roots = read_hierarchies("/proc", CGROUP_ROOT).walked
    first, again = [], []
    with live_cgroups(effort.containers), c_reader([]) as reader:
        for _ in range(effort.rounds):
            tree = CgroupTree(roots, Access())
            begun = time.perf_counter()
            tree.find(0)
            walked = time.perf_counter() - begun
            theirs = sum(reader.walk(root) for root in roots)
            first.append((walked, theirs))
            # Watches are set the second time; what happened before is told the third.
            tree.find(10**12)
            tree.find(10**12)
            begun = time.perf_counter()
            tree.find(10**12)
            again.append((time.perf_counter() - begun, theirs))
            tree.close()
    walk = "a walk in C"
    return [
        paired(f"finding {effort.containers:,} cgroups, the first time", walk, first),
        paired("the same, when none has come or gone", walk, again),
    ]


def left_behind(effort: Effort) -> list[Figure]:
    """Descriptors and watches before and after containers came and went."""
    with ticking() as sampler:
        for _ in range(3):
            sampler.tick()
        before = _held()
        most = 0
        for _ in range(2):
            with live_cgroups(effort.come_and_go // 2):
                for _ in range(3):
                    sampler.tick()
                most = max(most, _held()[0])
        for _ in range(3):
            sampler.tick()
        after = _held()
    count = f"{effort.come_and_go:,} containers that came and went, half of them at a time"
    return [
        Figure(
            f"descriptors left behind by {count}",
            after[0] - before[0],
            "descriptors",
            "at the most",
            most,
            goal="descriptors",
        ),
        Figure("watches of inotify left behind by them", after[1] - before[1], "watches"),
    ]


def _held() -> tuple[int, int]:
    """How many descriptors this process has, and how many watches of inotify."""
    descriptors = os.listdir("/proc/self/fd")  # noqa: PTH208  names are all that is wanted
    infos = [Path("/proc/self/fdinfo", each) for each in descriptors]
    watches = sum(info.read_text().count("inotify wd:") for info in infos if info.exists())
    return len(descriptors) - 1, watches


TICKS = Subject(
    "Ticks",
    """Real cgroups with a live process each. A tick is all that topcon does for it: find the cgroups, read, derive the
snapshot, look for findings; it begins each second of its clock, so what is refreshed now and then is refreshed as often
as it is in use. The reader in C (`tests/benchmarks/reader.c`) keeps the same files open, reads them all and parses
every number in them, and nothing else. Before each tick and each round of the reader, as many processes have run as
the row says. The limit of descriptors holds for both: what it does not let them keep open they open each time.
What is read only now and then falls into some ticks and not into others, so there is the ratio of the means too.""",
    measure,
)
DESCRIPTORS = Subject(
    "Descriptors",
    "Cgroups with a live process each come and go while topcon ticks; its descriptors are counted before and after.",
    left_behind,
)
