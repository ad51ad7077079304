"""Where a tick's time goes, as a table for whoever looks into a slow host. No names of containers are in it."""

from __future__ import annotations

import contextlib
import os
import platform
import tempfile
import time
from dataclasses import dataclass, field
from math import exp2, log2
from pathlib import Path
from typing import TYPE_CHECKING

from topcon import __version__
from topcon.text import to_bytes_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from topcon.model.snapshot import Snapshot

EVERY_S = 60.0
"""How often the file is written, so that little is lost with a process that is killed."""
_STEPS = 8
"""Buckets in which a time doubles: what is read off them is off by a twentieth at the most."""
_DESCRIPTORS = "/proc/self/fd"


@dataclass(slots=True)
class Durations:
    """Many durations, counted in buckets that grow with them: of few bytes, however many."""

    count: int = 0
    total_s: float = 0.0
    max_s: float = 0.0
    reads: int = 0
    _buckets: dict[int, int] = field(default_factory=dict)

    def add(self, seconds: float, reads: int = 0) -> None:
        """Count one more."""
        self.count += 1
        self.total_s += seconds
        self.max_s = max(self.max_s, seconds)
        self.reads += reads
        bucket = int(log2(max(seconds, 1e-9) * 1e9) * _STEPS)
        self._buckets[bucket] = self._buckets.get(bucket, 0) + 1

    def quantile(self, share: float) -> float:
        """Return what this share of them does not exceed, nearly; 0 of none."""
        left = share * self.count
        for bucket in sorted(self._buckets):
            left -= self._buckets[bucket]
            if left <= 0:
                return min(exp2((bucket + 0.5) / _STEPS) / 1e9, self.max_s)
        return self.max_s


class Profile:
    """Gathers the parts of all ticks, and writes them down now and then."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        """Write to ``path``, which is replaced whole each time. ``clock`` gives seconds."""
        self._path = path.resolve()
        self._clock = clock
        self._begun_s = self._written_s = clock()
        self._parts: dict[tuple[str, str], Durations] = {}
        self._beside: dict[tuple[str, str], Durations] = {}
        self._ticks = Durations()
        self._newest: Snapshot | None = None

    def take(self, snapshot: Snapshot, tick_s: float, spent: Mapping[tuple[str, str], float]) -> None:
        """Add a tick, with what went into each part of it by source and tier. One thread does."""
        reads = {(source.name, tier.name): tier.reads for source in snapshot.sample.sources for tier in source.tiers}
        for part, seconds in spent.items():
            self._parts.setdefault(part, Durations()).add(seconds, reads.get(part, 0))
        self._ticks.add(tick_s)
        self._newest = snapshot
        if self._clock() - self._written_s >= EVERY_S:
            # A disk that is full for a while is no reason to end; the last writing tells.
            with contextlib.suppress(OSError):
                self.write()

    def note(self, source: str, tier: str, seconds: float, reads: int = 0) -> None:
        """Add something that is not a part of the tick. Of each, one thread does."""
        self._beside.setdefault((source, tier), Durations()).add(seconds, reads)

    def write(self) -> None:
        """Replace the file.

        Raises:
            OSError: it cannot be written.
        """
        self._written_s = self._clock()
        text = self.text()
        # Of mode 0600, as mkstemp makes them.
        descriptor, name = tempfile.mkstemp(dir=self._path.parent, prefix=f".{self._path.name}.")
        try:
            with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123  a descriptor
                file.write(text)
            Path(name).replace(self._path)
        except OSError:
            Path(name).unlink()
            raise

    def text(self) -> str:
        """Return the table."""
        return "\n".join([*self._head(), "", *self._table(), "", *self._foot(), ""])

    def _head(self) -> Iterable[str]:
        newest = self._newest
        facts = [
            ("topcon", __version__),
            ("python", platform.python_version()),
            ("ticks", f"{self._ticks.count}"),
            ("seconds", f"{self._clock() - self._begun_s:.0f}"),
        ]
        if newest is not None:
            sample = newest.sample
            facts += [
                ("kernel", sample.host.kernel),
                ("cpus", f"{sample.host.cpus}"),
                ("containers", f"{len(newest.containers)}"),
                ("cgroups", f"{len(sample.cgroups)}"),
            ]
            if own := sample.own:
                slowed = f", {own.asked_interval_s:g} s asked for" if own.interval_s != own.asked_interval_s else ""
                facts.append(("interval", f"{own.interval_s:g} s{slowed}"))
                if own.budget is not None:
                    facts.append(("budget", f"{own.budget:.2%} of a core"))
        return _aligned(facts)

    def _table(self) -> Iterable[str]:
        whole_s = self._ticks.total_s

        def row(source: str, tier: str, each: Durations, *, is_part: bool = True) -> tuple[str, ...]:
            return (
                source,
                tier,
                f"{each.count}",
                f"{each.reads / each.count:.1f}" if each.reads else "-",
                *(f"{seconds * 1e3:.3f}" for seconds in (each.quantile(0.5), each.quantile(0.99), each.max_s)),
                f"{each.total_s / whole_s:.1%}" if is_part and whole_s else "-",
            )

        parts = dict(self._parts)
        sources = {source: at for at, (source, _) in reversed(list(enumerate(parts)))}
        rest = whole_s - sum(each.total_s for each in parts.values())
        unmeasured = f"{rest / whole_s:.1%}" if whole_s else "-"
        rows = [
            ("source", "tier", "times", "reads", "median ms", "p99 ms", "max ms", "share"),
            *(
                row(source, tier, parts[source, tier])
                for source, tier in sorted(parts, key=lambda part: sources[part[0]])
            ),
            ("rest", "", "", "", "", "", "", unmeasured),
            row("tick", "", self._ticks) if self._ticks.count else (),
            *(row(source, tier, each, is_part=False) for (source, tier), each in dict(self._beside).items()),
        ]
        return _columns([row for row in rows if row])

    def _foot(self) -> Iterable[str]:
        newest = self._newest
        # One is that of the folder itself.
        facts = [("descriptors", f"{len(os.listdir(_DESCRIPTORS)) - 1}")]  # noqa: PTH208  names are all that is wanted
        if newest is not None and (own := newest.sample.own) and (cost := newest.cost):
            facts += [
                ("cpu of topcon", f"{own.cpu_s:.2f} s since it was started, {_percent(cost.cpu_share)} of a core now"),
                ("memory", "-" if own.rss_bytes is None else to_bytes_text(own.rss_bytes)),
                ("cpu of daemons", f"{_percent(cost.daemons_share)} of a core now"),
            ]
            facts += [
                (each.name, "-" if each.daemon_cpu_s is None else f"{each.daemon_cpu_s:.2f} s since topcon was started")
                for each in newest.sample.runtimes
            ]
        return _aligned(facts)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.2%}"


def _aligned(facts: Sequence[tuple[str, str]]) -> list[str]:
    width = max(len(name) for name, _ in facts)
    return [f"{name:<{width}}  {value}" for name, value in facts]


_NAMES = 2
"""Columns that are no numbers."""


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            f"{cell:<{width}}" if at < _NAMES else f"{cell:>{width}}"
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
