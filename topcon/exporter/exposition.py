"""Pages of metrics, written family by family (https://prometheus.io/docs/instrumenting/exposition_formats/).

Text 0.0.4, without timestamps: those would outlive their containers. OpenMetrics
(https://github.com/prometheus/OpenMetrics) is written for who asks for it.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from topcon.exporter import cadvisor, own, resource
from topcon.exporter.families import COUNTER
from topcon.exporter.labels import LabelCache
from topcon.exporter.options import OPT_IN_GROUPS, ExportOptions
from topcon.exporter.page import Page, Vitals
from topcon.exporter.process import PROCESS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from topcon.exporter.families import Family, Number
    from topcon.exporter.page import Row
    from topcon.model.snapshot import Snapshot
    from topcon.sampler import Sampler

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS_CONTENT_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"

EXPONENT_FROM, EXPONENT_UNTIL = 1e6, 1e16
"""Between these the format's reference writes an exponent, and Python does not."""
KEPT_NUMBERS = 1 << 16
KEPT_PAGES = 8
POLL_S = 0.02

METRICS = (*cadvisor.FAMILIES, *own.FAMILIES, *PROCESS, own.OMITTED)
PAGES = {"metrics": METRICS, "resource": resource.FAMILIES}


@dataclass(frozen=True, slots=True)
class PageRequest:
    """What is asked for."""

    page: str
    """A key of `PAGES`."""
    groups: frozenset[str] = frozenset()
    """Empty for all that are served."""
    names: frozenset[str] = frozenset()
    """Of families or samples; empty for all."""
    is_openmetrics: bool = False


class Exposition:
    """Writes the newest snapshot of a sampler."""

    def __init__(self, sampler: Sampler, options: ExportOptions) -> None:
        """Write as ``options`` has it."""
        self._sampler = sampler
        self._options = options
        self._labels: dict[PageRequest, LabelCache] = {}
        self._scrape_s: float | None = None

    def newest_is_there(self) -> bool:
        """Whether there is anything to be written."""
        return self._sampler.newest is not None

    def wait_ready(self, timeout_s: float) -> bool:
        """Wait for the first snapshot; return whether it is there."""
        until = time.monotonic() + timeout_s
        while not self.newest_is_there() and time.monotonic() < until:
            time.sleep(POLL_S)
        return self.newest_is_there()

    def chunks(self, request: PageRequest, deadline: float) -> Iterator[bytes]:
        """Write a page in pieces; families that come after ``deadline``, on the monotonic clock, are left out."""
        snapshot = self._sampler.newest
        if snapshot is None:
            return
        begun = time.monotonic()
        vitals = Vitals(self._sampler.tick_s, begun - snapshot.sample.monotonic_ns / 1e9, self._scrape_s)
        labels = LabelCache(self._labels.get(request))
        page = Page(snapshot, vitals, self._options, labels)
        yield from write(page, _wanted(request, self._options), deadline=deadline, openmetrics=request.is_openmetrics)
        # Another scrape may do the same at the same time: each is right. Who asks is mostly the same one or two.
        self._labels = {**self._labels, request: labels} if len(self._labels) < KEPT_PAGES else {request: labels}
        self._scrape_s = time.monotonic() - begun


def to_page(snapshot: Snapshot, vitals: Vitals, options: ExportOptions | None = None) -> bytes:
    """Write all families of a snapshot that are served."""
    options = options or ExportOptions()
    page = Page(snapshot, vitals, options, LabelCache())
    return b"".join(write(page, _wanted(PageRequest("metrics"), options)))


def family_names() -> frozenset[str]:
    """Return the names of all families that can be on a page."""
    return frozenset(family.name for families in PAGES.values() for family in families)


def _wanted(request: PageRequest, options: ExportOptions) -> list[Family]:
    left_out = OPT_IN_GROUPS - options.groups
    return [
        family
        for family in PAGES[request.page]
        if family.group not in left_out
        and (not request.groups or family.group in request.groups)
        and (not request.names or family.name in request.names)
    ]


def write(
    page: Page, families: Sequence[Family], *, deadline: float = math.inf, openmetrics: bool = False
) -> Iterator[bytes]:
    """Write families, each in a piece; one without a sample is not announced, one that comes too late is counted."""
    for family in families:
        if time.monotonic() > deadline and family is not own.OMITTED:
            page.omitted += 1
        elif lines := samples(family, page.rows(family.rows)):
            yield "".join([head(family, openmetrics=openmetrics), *lines]).encode()
    if page.omitted and own.OMITTED not in families:
        # Whatever was asked for, a page that is cut short says so.
        yield from write(page, (own.OMITTED,), openmetrics=False)
    if openmetrics:
        yield b"# EOF\n"


def head(family: Family, *, openmetrics: bool = False) -> str:
    """Write the two lines that announce a family."""
    name, kind = family.name, family.type
    help_ = family.help.replace("\\", r"\\").replace("\n", r"\n")
    if openmetrics:
        # A counter's family has no ending there, and what is no counter by its name is of no type.
        is_counter = kind == COUNTER and name.endswith("_total")
        kind = kind if is_counter or (kind != COUNTER and not name.endswith("_total")) else "unknown"
        name = name.removesuffix("_total") if is_counter else name
        help_ = help_.replace('"', r"\"")
    return f"# HELP {name} {help_}\n# TYPE {name} {kind}\n"


def samples(family: Family, rows: Sequence[Row[object]]) -> list[str]:
    """Write the lines of a family, in the order of its rows; none for a value that is not known."""
    name, get = family.name, family.value
    return [
        f"{name}{{{labels}}} {number(value)}\n" if labels else f"{name} {number(value)}\n"
        for labels, row in rows
        if (value := get(row)) is not None
    ]


def number(value: Number) -> str:
    """Write a number as the format's reference does: the shortest that reads back as the same, exponents from 1e6."""
    value = float(value)
    if -math.inf < value < EXPONENT_FROM:
        return repr(value)
    return _long(value)


@lru_cache(KEPT_NUMBERS)
def _long(value: float) -> str:
    """Keep what was written: most counters of most containers stand still between two scrapes."""
    if not value < EXPONENT_UNTIL:
        return "+Inf" if value == math.inf else "NaN" if math.isnan(value) else repr(value)
    if value < 0:
        return "-Inf"
    whole, _, part = repr(value).partition(".")
    mantissa = f"{whole[0]}.{whole[1:]}{part}".rstrip("0.")
    return f"{mantissa}e+{len(whole) - 1:02d}"
