"""What rules are given that look further than at a container."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from topcon.findings.thresholds import Thresholds
    from topcon.model.sample import CgroupSample
    from topcon.model.snapshot import Snapshot

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Step:
    """From one snapshot to the next."""

    now: Snapshot
    before: Snapshot | None
    thresholds: Thresholds
    _made: dict[Hashable, object] = field(default_factory=dict, compare=False, repr=False)

    def once(self, what: Hashable, make: Callable[[], T]) -> T:
        """Make something that many findings have in common: on a host that is too busy, all are sick at once."""
        if what not in self._made:
            self._made[what] = make()
        return cast("T", self._made[what])

    def cgroup_before(self, cgroup: CgroupSample) -> CgroupSample | None:
        """The same cgroup a sample ago; None if it is a new one, even under an old path."""
        old = self.before.sample.cgroups.get(cgroup.path) if self.before is not None else None
        return old if old is not None and old.inode == cgroup.inode else None

    def seconds_of(self, cgroup: CgroupSample) -> float:
        """The time over which a cgroup's counters have grown, but for ``cpu.stat``, which is read every time."""
        if cgroup.since_ns is not None:
            return (self.now.sample.monotonic_ns - cgroup.since_ns) / 1e9
        return self.now.interval_s or 0.0
