"""Families of many snapshots with their times, in OpenMetrics, for what reads the past in.

Each family and each series stands there in one piece, as the format wants it, while snapshots come one after the other:
so what does not fit into the memory is put aside in files, and merged at the end.
"""

from __future__ import annotations

import heapq
import re
import tempfile
from contextlib import ExitStack
from operator import itemgetter
from typing import IO, TYPE_CHECKING

from topcon.exporter.exposition import METRICS, head, number
from topcon.exporter.labels import LabelCache
from topcon.exporter.options import OPT_IN_GROUPS
from topcon.exporter.own import OMITTED
from topcon.exporter.page import Page, Vitals
from topcon.exporter.process import PROCESS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from topcon.exporter.families import Family
    from topcon.exporter.options import ExportOptions
    from topcon.model.snapshot import Snapshot

    Group = tuple[int, int, str]
    """Samples of one series: the family's place, the series' number, their values and times."""

OF_THE_SERVER = frozenset(
    {
        *(family.name for family in (*PROCESS, OMITTED)),
        *("topcon_build_info", "topcon_scrape_duration_seconds", "topcon_snapshot_age_seconds"),
        *("topcon_snapshot_timestamp_seconds", "topcon_tick_duration_seconds"),
    }
)
"""Families that tell of the process that writes, and not of the host that was recorded."""
MOST_POINTS = 500_000
"""How many samples are held in memory before they are put aside, some 50 MB."""
MOST_RUNS = 64
"""How many files of samples are kept before they become one."""

_NO_VALUE = re.compile(r'(?:^|,)[a-zA-Z_][a-zA-Z0-9_]*=""')
"""A label without a value; what is escaped has no two quotes after a sign of equality."""
_BETWEEN = "|"
_NS_PER_MS = 10**6


def to_openmetrics(snapshots: Iterable[Snapshot], options: ExportOptions, folder: str | None = None) -> Iterator[str]:
    """Write the endpoint's families with timestamps, each family and each series in one piece.

    What is too much for the memory is put into unnamed files in ``folder``, or where temporary files go.

    Raises:
        OSError: there is no room for these.
    """
    families = [
        family
        for family in METRICS
        if family.name not in OF_THE_SERVER and family.group not in OPT_IN_GROUPS - options.groups
    ]
    with ExitStack() as files:
        series = _Series(files, folder)
        labels: LabelCache | None = None
        for snapshot in snapshots:
            labels = LabelCache(labels)
            page = Page(snapshot, Vitals(tick_s=0.0, age_s=0.0), options, labels)
            series.add(page, families)
        last = None
        for place, number_, points in series.sorted():
            if place != last:
                yield head(families[place], openmetrics=True)
                last = place
            yield _lines(families[place], series.labels[number_], points)
    yield "# EOF\n"


def _lines(family: Family, labels: str, points: str) -> str:
    name = f"{family.name}{{{labels}}}" if labels else family.name
    return "".join([f"{name} {point}\n" for point in points.split(_BETWEEN)])


def _time_text(wall_ns: int) -> str:
    """Write seconds since 1970; Prometheus keeps milliseconds."""
    seconds, ms = divmod(wall_ns // _NS_PER_MS, 1000)
    return f"{seconds}.{ms:03d}"


class _Series:
    """The samples of all series, which come page by page and are wanted series by series."""

    def __init__(self, files: ExitStack, folder: str | None) -> None:
        self.labels: list[str] = []
        """Of each series, by its number."""
        self._files = files
        self._folder = folder
        self._numbers: dict[tuple[int, str], int] = {}
        self._plain: dict[str, str] = {}
        self._held: dict[tuple[int, int], list[str]] = {}
        self._count = 0
        self._runs: list[IO[str]] = []

    def add(self, page: Page, families: Sequence[Family]) -> None:
        """Take what a page has of each family."""
        at = _time_text(page.snapshot.sample.wall_ns)
        held, numbers = self._held, self._numbers
        for place, family in enumerate(families):
            get = family.value
            for text, row in page.rows(family.rows):
                if (value := get(row)) is None:
                    continue
                key = numbers.get((place, text))
                if key is None:
                    key = self._number(place, text)
                held.setdefault((place, key), []).append(f"{number(value)} {at}")
                self._count += 1
        if self._count >= MOST_POINTS:
            self._put_aside()

    def _number(self, place: int, text: str) -> int:
        """Return the number of a series; without labels that have no value, which make no other one of it."""
        plain = self._plain.get(text)
        if plain is None:
            # Mostly a text of many families.
            plain = self._plain[text] = _NO_VALUE.sub("", text).removeprefix(",")
        key = self._numbers.get((place, plain))
        if key is None:
            key = self._numbers[place, plain] = len(self.labels)
            self.labels.append(plain)
        self._numbers[place, text] = key
        return key

    def sorted(self) -> Iterator[Group]:
        """Yield what there is, by family and series, each from the oldest on."""
        return heapq.merge(*map(_groups_in, self._runs), self._groups(), key=itemgetter(0, 1))

    def _groups(self) -> Iterator[Group]:
        for (place, key), points in sorted(self._held.items(), key=itemgetter(0)):
            yield place, key, _BETWEEN.join(points)

    def _put_aside(self) -> None:
        groups: Iterator[Group] = self._groups()
        if len(self._runs) >= MOST_RUNS:
            groups = self.sorted()
        unnamed = tempfile.TemporaryFile("w+", encoding="ascii", dir=self._folder)  # noqa: SIM115  `to_openmetrics` does
        file = self._files.enter_context(unnamed)
        file.writelines(f"{place} {key} {points}\n" for place, key, points in groups)
        if len(self._runs) >= MOST_RUNS:
            for run in self._runs:
                run.close()
            self._runs.clear()
        self._runs.append(file)
        self._held = {}
        self._count = 0


def _groups_in(file: IO[str]) -> Iterator[Group]:
    file.seek(0)
    for line in file:
        place, key, points = line.rstrip("\n").split(" ", 2)
        yield int(place), int(key), points
