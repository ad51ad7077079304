"""The parts of the page that list what was found and what happened."""

from __future__ import annotations

from collections import Counter
from itertools import groupby
from typing import TYPE_CHECKING

from topcon.incident.markup import mark, named, safe, safe_name, safe_text, tone
from topcon.incident.ranking import in_order
from topcon.incident.times import length_text
from topcon.incident.words import finding_text, listed, since_text, until_text
from topcon.model.snapshot import Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from topcon.incident.fold import Case
    from topcon.incident.view import View
    from topcon.model.event import Event

MOST_EVENTS = 500
MOST_CASES = 200
_HEADS = (
    ("", "Severity"),
    ("who", "Where"),
    ("what", "What"),
    ("when", "Since"),
    ("when", "Until"),
    ("number", "Held"),
)
"""The columns of the findings: class, title. Roles are given, since a narrow page takes them from the elements."""


def findings(view: View) -> Iterator[str]:
    """Write a table of what was found, the worst first."""
    cases = in_order(view.incident.cases)
    yield '<section aria-labelledby="findings">\n<h2 id="findings">Findings</h2>\n'
    if not cases:
        yield '<p class="good">Nothing was found.</p>\n</section>\n'
        return
    if len(cases) > MOST_CASES:
        yield f'<p class="note">The worst {MOST_CASES} of {len(cases):,}.</p>\n'
    heads = "".join(f'<th role="columnheader" scope="col" class="{kind}">{title}</th>' for kind, title in _HEADS)
    yield (
        f'<table class="findings" role="table">\n<thead role="rowgroup"><tr role="row">{heads}</tr></thead>\n'
        '<tbody role="rowgroup">\n'
    )
    yield from (_case(view, case) for case in cases[:MOST_CASES])
    yield "</tbody>\n</table>\n</section>\n"


def _case(view: View, case: Case) -> str:
    finding = case.finding
    pod = f'<span class="pod">{safe_name(case.pod)}</span>' if case.pod else ""
    evidence = f'<div class="evidence">{safe_text(finding.evidence)}</div>' if finding.evidence else ""
    often = f", {len(case.spans)} times" if len(case.spans) > 1 else ""
    what = f"{safe_text(finding_text(case))} <code>{safe(finding.code)}</code>{evidence}"
    since, until = since_text(case, view.times, view.incident), until_text(case, view.times)
    return (
        f'<tr role="row"><td role="cell">{named(case.severity)}</td>'
        f'<td role="cell" class="who">{view.who(case)}{pod}</td>'
        f'<td role="cell" class="what">{what}</td>'
        f'<td role="cell" class="when" data-label="since">{safe(since)}</td>'
        f'<td role="cell" class="when" data-label="until">{safe(until)}</td>'
        f'<td role="cell" class="number" data-label="held">{safe(length_text(case.held_s))}{often}</td></tr>\n'
    )


def events(view: View) -> Iterator[str]:
    """Write a list of what happened, in the order of time."""
    yield '<section aria-labelledby="events">\n<h2 id="events">Events</h2>\n'
    if not view.events:
        yield '<p class="dim">Nothing happened in that time, as far as it was seen.</p>\n</section>\n'
        return
    keys = {key for ranked in view.worst for key in ranked.subject.keys}
    shown, left = most_telling(view.events, keys)
    if left:
        counts = Counter(str(event.kind) for event in left)
        told = listed([f"{kind} {count:,}" for kind, count in counts.most_common()])
        yield (
            f'<p class="note">{len(shown):,} of {len(view.events):,}: what is bad before what is not, then what '
            "happened to the containers above before the rest, then the newest. "
            f"Left out, by kind: {safe(told)}.</p>\n"
        )
    yield '<ul class="events">\n'
    for day, of_day in groupby(shown, key=lambda event: view.times.day(event.wall_ns)):
        if not view.times.is_of_one_day:
            yield f'<li class="day">{safe(day)}</li>\n'
        yield from (_event(view, event) for event in of_day)
    yield "</ul>\n</section>\n"


def most_telling(all_events: Sequence[Event], keys: set[str]) -> tuple[list[Event], list[Event]]:
    """Choose the events that are listed, in the order of time; and those that are not.

    What is bad goes before what is not, then what is about one of ``keys``, then the newest.
    """
    if len(all_events) <= MOST_EVENTS:
        return list(all_events), []

    def weight(at: int) -> tuple[int, bool, int]:
        event = all_events[at]
        return (event.severity or 0, event.target in keys, at)

    chosen = set(sorted(range(len(all_events)), key=weight, reverse=True)[:MOST_EVENTS])
    shown = [event for at, event in enumerate(all_events) if at in chosen]
    return shown, [event for at, event in enumerate(all_events) if at not in chosen]


def _event(view: View, event: Event) -> str:
    severity = event.severity
    its_mark, kind = '<span class="mark"></span>', "text"
    if severity is not None and severity > Severity.INFO:
        its_mark, kind = mark(severity), f"text {tone(severity)}"
    pod = f'<span class="pod">{safe_name(event.pod)}</span>' if event.pod else ""
    return (
        f"<li>{view.time(event.wall_ns, view.times.time(event.wall_ns))}{its_mark}"
        f'<span>{safe_name(event.name)}{pod}</span><span class="{kind}">{safe_text(event.text)}</span></li>\n'
    )
