"""Figures, the goals they are held against, and how both are written to ``docs/performance.md``."""

from __future__ import annotations

import json
import os
import platform
import statistics
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

ROOT = Path(__file__).parents[2]
RESULTS = Path(__file__).with_name("results.json")
REPORT = ROOT / "docs/performance.md"

SCALES = {"ms": 1000, "us": 1e6}
"""Times are measured in seconds; all other units are written as they are measured."""


@dataclass(frozen=True)
class Figure:
    """A measurement, mostly beside another of the same run, in the same unit."""

    name: str
    ours: float | None
    """None where it could not be measured, which its name tells."""
    unit: str
    beside: str = ""
    theirs: float | None = None
    ratio: float | None = None
    """Of pair by pair, the median; it need not be that of the medians."""
    least: float | None = None
    greatest: float | None = None
    of_means: float | None = None
    """Where single measurements differ by their nature: the ratio of the means."""
    goal: str | None = None
    """Which of `GOALS` it is held against."""

    def cells(self, *, has_means: bool) -> list[str]:
        """What its row of a table says."""
        return [
            self.name,
            self.amount(self.ours),
            self.beside,
            self.amount(self.theirs),
            "" if self.ratio is None else f"**{_short(self.ratio)}**",
            "" if self.least is None or self.greatest is None else f"{_short(self.least)} to {_short(self.greatest)}",
            *([_short(self.of_means)] if has_means else []),
        ]

    def amount(self, value: float | None) -> str:
        return "" if value is None else f"{_short(self.in_unit(value))} {self.unit}".rstrip()

    def in_unit(self, value: float | None) -> float | None:
        return None if value is None else value * SCALES.get(self.unit, 1)


def paired(
    name: str,
    beside: str,
    pairs: Sequence[tuple[float, float]],
    *,
    unit: str = "ms",
    goal: str | None = None,
    has_mean: bool = False,
) -> Figure:
    """Of measurements that were taken in turn, ours and the other."""
    ours, theirs = zip(*pairs, strict=True)
    ratios = sorted(one / other for one, other in pairs if other)
    return Figure(
        name=name,
        ours=statistics.median(ours),
        unit=unit,
        beside=beside,
        theirs=statistics.median(theirs),
        ratio=statistics.median(ratios) if ratios else None,
        least=ratios[0] if len(ratios) > 1 else None,
        greatest=ratios[-1] if len(ratios) > 1 else None,
        of_means=sum(ours) / sum(theirs) if has_mean and sum(theirs) else None,
        goal=goal,
    )


def percentile(values: Sequence[float], share: float) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[round(share * 100) - 1]


@dataclass(frozen=True)
class Effort:
    """How much is measured."""

    counts: tuple[int, ...] = (100, 1000, 2000, 4000)
    """How many cgroups the ticks are measured with."""
    containers: int = 1000
    """How many the screen shows."""
    rounds: int = 9
    """Of what is measured in turn a few times."""
    ticks: int = 30
    keys: int = 400
    """Pressed for each of the times from key to paint."""
    bytes_s: float = 20.0
    """How long the bytes to the terminal are counted."""
    history: int = 600
    """How many ticks of history there are when the memory is looked at."""
    docker: int = 400
    podman: int = 40
    daemons_s: float = 30.0
    warm_up_s: float = 15.0
    come_and_go: int = 2000


TRIAL = Effort(
    counts=(20, 100),
    containers=100,
    rounds=2,
    ticks=5,
    keys=30,
    bytes_s=4.0,
    history=60,
    docker=6,
    podman=3,
    daemons_s=5.0,
    warm_up_s=5.0,
    come_and_go=100,
)
"""Enough to see that all of it works, and no more."""


@dataclass(frozen=True)
class Subject:
    """Figures that are measured together, and can be measured alone."""

    title: str
    how: str
    """In a few sentences, Markdown."""
    measure: Callable[[Effort], list[Figure]]


@dataclass(frozen=True)
class Goal:
    """How much a figure should be at most."""

    what: str
    most: float
    unit: str = ""
    """Of what is held against it; empty for a ratio."""


GOALS = {
    "tick-all": Goal("a tick of 1,000 containers, all changing / the reader in C", 1.8),
    "tick-some": Goal("the same, 10% changing / the reader in C, of everything", 0.5),
    "tick-idle": Goal("the same, idle / the reader in C, of everything", 0.1),
    "slope": Goal("a tick of 4,000 containers / one of 1,000, all changing", 4.4),
    "slope-idle": Goal("the same, idle", 4.4),
    "glances": Goal("400 Docker containers: CPU of topcon and the daemons / of glances and the daemons", 0.08),
    "docker-stats": Goal("the same / of `docker stats` and the daemons", 0.15),
    "first-frame": Goal("first frame with 1,000 containers / `import textual.app`", 2.5),
    "key": Goal("key to paint with 1,000 containers, all changing, p99", 50.0, "ms"),
    "bytes-idle": Goal("bytes to the terminal, 1,000 idle containers, but for the header with its clock", 0.0, "B/s"),
    "bytes-some": Goal("bytes to the terminal, 5 of 1,000 changing", 2000.0, "B/s"),
    "memory": Goal("memory with 1,000 containers and 10 minutes of history", 120.0, "MB"),
    "recording-cpu": Goal("recording 1,000 containers each second, 10% active", 3.0, "% of a core"),
    "recording-size": Goal("the same, on the disk", 40.0, "MB/h"),
    "recording-jump": Goal("a jump to any time in it, p99", 200.0, "ms"),
    "descriptors": Goal("descriptors left behind by 2,000 containers that came and went", 0.0, "descriptors"),
}

WHY: dict[str, str] = {
    "tick-all": "The reader in C keeps nothing: to derive the tree and look for findings is a fifth of the tick, to "
    "build what is kept of each file another; of the rest the kernel's work is the greater part",
    "tick-some": "One look at each container, and a ninth of all refreshed, are the half already; who has run is read "
    "once more, so that it is seen to wait",
    "tick-idle": "Nothing is older than 10 s: of a ninth of all containers the limits are read each time, and the scan "
    "for processes in namespaces of their own falls into every other tick",
    "slope": "Where more than 20,000 descriptors would be needed, which is the limit here, the rest is opened each "
    "time; so it is for the reader in C",
    "glances": "The daemons use most of it, whoever watches; see the row without that",
    "docker-stats": "The daemons use most of it, whoever watches; see the row without that",
    "first-frame": "The rules of findings and events are imported and applied before it",
    "key": "A key that comes while a new tree is drawn waits for that, and the tick takes its turns on the interpreter",
    "bytes-idle": "Ages that change",
    "recording-jump": "More than half of it is to build the tree anew; the machine's own speed varies by half",
}
"""Why a goal is not reached, by its name here: a sentence each."""


def save(name: str, figures: Iterable[Figure]) -> None:
    """Keep the figures of a subject beside those of the others."""
    results = _results()
    results[name] = {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": machine(),
        "figures": [asdict(figure) for figure in figures],
    }
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")


def write_report(subjects: dict[str, Subject]) -> None:
    """Write the figures of all subjects that have been measured so far."""
    results = {name: result for name, result in _results().items() if name in subjects}
    taken = {name: [Figure(**figure) for figure in result["figures"]] for name, result in results.items()}
    dates = sorted({f"{result['date']}, {result['machine']}" for result in results.values()})
    lines = [
        "# Performance",
        "",
        "Written by `make bench`, as root, on a machine that does nothing else; it takes some 20 minutes.",
        "`python tests/benchmarks/run.py NAME` measures one subject anew:",
        f"{', '.join(f'`{name}`' for name in subjects)}.",
        "",
        *(f"- {date}" for date in dates),
        "",
        "Machines differ and are noisy, so a figure is beside that of something else, measured in the same run. Where",
        "both were measured in turn: the medians of both, that of the ratios pair by pair, the least and the greatest",
        "of these.",
        "",
        "## Goals",
        "",
        *table(["figure", "goal", "measured", "holds", ""], _goal_rows(taken.values())),
    ]
    for name, subject in subjects.items():
        if name in taken:
            when = f" ({results[name]['date']})" if len(dates) > 1 else ""
            lines += ["", f"## {subject.title}{when}", "", subject.how, "", *figure_table(taken[name])]
    REPORT.write_text("\n".join(lines) + "\n")


def figure_table(figures: Sequence[Figure]) -> list[str]:
    """The lines of a table of them."""
    has_means = any(figure.of_means is not None for figure in figures)
    titles = ["what", "measured", "beside", "measured", "ratio", "least to greatest", *(["of the means"] * has_means)]
    return table(titles, [figure.cells(has_means=has_means) for figure in figures])


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a table in Markdown."""
    return [f"| {' | '.join(row)} |" for row in (titles, ["---"] * len(titles), *rows)]


def machine() -> str:
    """What it was measured on."""
    cpu = next((line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")), "")
    kernel = platform.release().split("-")[0]
    return (
        f"{os.cpu_count()} CPUs ({cpu.partition(':')[2].strip()}), Linux {kernel}, Python {platform.python_version()}"
    )


def _goal_rows(taken: Iterable[Sequence[Figure]]) -> list[list[str]]:
    by_goal = {figure.goal: figure for figures in taken for figure in figures if figure.goal}
    rows = []
    for name, goal in GOALS.items():
        figure = by_goal.get(name)
        if figure is None:
            rows.append([goal.what, _most(goal), "not measured", "", ""])
            continue
        value = figure.in_unit(figure.ours) if goal.unit else figure.ratio
        holds = value is not None and value <= goal.most
        measured = figure.amount(figure.ours) if goal.unit else _short(figure.ratio)
        rows.append(
            [goal.what, _most(goal), f"**{measured}**", "yes" if holds else "no", "" if holds else WHY.get(name, "")]
        )
    return rows


def _most(goal: Goal) -> str:
    return f"<= {goal.most:g} {goal.unit}".rstrip() if goal.most else f"0 {goal.unit}"


def _results() -> dict[str, dict]:
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else {}


def _short(value: float | None) -> str:
    """Three digits that mean something, and no exponent."""
    if value is None:
        return ""
    if value == round(value) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}" if abs(value) >= 0.1 else f"{value:.3f}"
