"""What is wrong, in lines: what, since when, the evidence, what it means, what one can do. No Textual here."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from topcon.columns import SEVERITY_MARKS, title_of
from topcon.findings import CODES
from topcon.model.sample import ContainerKey
from topcon.model.snapshot import PodNode, Severity
from topcon.text import cell_width, cut, printable, to_age_text
from topcon.ui.detail import find
from topcon.ui.spans import Span, Tone, fitted, in_lines, width_of
from topcon.ui.table import severity_tone
from topcon.ui.tabs.seen import Entry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from topcon.model.snapshot import Finding, Snapshot
    from topcon.ui.spans import Spans

INFO_MARK = "·"
INDENT = 3
MOST_NAME = 32
"""The most columns that a name gets, where the line is not wider than twice that and a half."""
WIDEST_TEXT = 110
"""Longer lines are hard to read."""
_COUNTED: Mapping[Severity, Callable[[int], str]] = {
    Severity.CRITICAL: "{} critical".format,
    Severity.WARNING: lambda count: f"{count} warning{'' if count == 1 else 's'}",
    Severity.INFO: "{} worth knowing".format,
}


def of_row(snapshot: Snapshot, key: str) -> tuple[Finding, ...] | None:
    """Return the findings of a row of the tree, a pod's with those of its containers; None if it is gone."""
    node = find(snapshot, key)
    if node is None:
        return None
    keys: set[str] = {node.key, *(each.key for each in node.containers)} if isinstance(node, PodNode) else {node.key}
    return tuple(finding for finding in snapshot.findings if finding.target in keys)


def title_spans(snapshot: Snapshot, key: str | None, findings: Sequence[Finding], width: int) -> Spans:
    """Say how much is wrong, and with what."""
    counts = Counter(finding.severity for finding in findings)
    told = [(severity, to_text(counts[severity])) for severity, to_text in _COUNTED.items() if counts[severity]]
    spans: Spans = [Span(" What is wrong", Tone.ACCENT)]
    if key is not None:
        node = find(snapshot, key)
        name = printable(title_of(node)) if node is not None else "what is gone"
        spans.append(Span(f" with {name}"))
    for severity, text in told:
        spans.append(Span(f"   {SEVERITY_MARKS.get(severity, INFO_MARK)} {text}", severity_tone(severity)))
    return fitted(spans, width)


def finding_entries(snapshot: Snapshot, findings: Sequence[Finding] | None, width: int) -> list[Entry]:
    """Write findings, worst first, each with a line that can be chosen; where there are none, say so."""
    if findings is None:
        return [Entry([Span(" it is gone", Tone.WARN)])]
    if not findings:
        return [Entry([]), Entry(fitted([Span(f"   {_nothing(snapshot)}", Tone.GOOD)], width))]
    entries: list[Entry] = []
    for finding in findings:
        if entries:
            entries.append(Entry([]))
        entries += _entries(snapshot, finding, width)
    return entries


def _nothing(snapshot: Snapshot) -> str:
    count = len(snapshot.containers)
    return f"nothing is wrong: {len(CODES)} rules have looked at {count} container{'' if count == 1 else 's'}"


def key_of(finding: Finding) -> str:
    """What the cursor stays on."""
    return f"{finding.code} {finding.target}"


def target_of(key: str) -> str:
    """Return what the finding under the cursor is about."""
    return key.partition(" ")[2]


def _entries(snapshot: Snapshot, finding: Finding, width: int) -> Iterator[Entry]:
    tone = severity_tone(finding.severity)
    mark = f" {SEVERITY_MARKS.get(finding.severity, INFO_MARK)} "
    name = cut(_name(snapshot, finding), max(min(MOST_NAME, width // 2), 1))
    room = width - INDENT - cell_width(name) - 2
    first, *rest = list(in_lines(finding.summary, room)) or [""]
    code = Span(f"  {finding.code}", Tone.DIM)
    spans = [Span(mark, tone), Span(name, Tone.STRONG), Span(f"  {first}", tone)]
    gap = width - width_of(spans) - width_of([code])
    if gap >= 0 and not rest:
        spans += [Span(" " * gap), code]
    yield Entry(fitted(spans, width), key_of(finding))
    under = " " * (INDENT + cell_width(name) + 2)
    for text in rest:
        yield Entry(fitted([Span(under), Span(text, tone)], width))
    since = _since(snapshot, finding)
    evidence = "; ".join(part for part in (since, finding.evidence) if part)
    for text, its_tone in ((evidence, Tone.PLAIN), (f"{finding.means} {_sentence(finding.advice)}", Tone.DIM)):
        for line in in_lines(text, min(width - INDENT, WIDEST_TEXT)):
            yield Entry([Span(" " * INDENT), Span(line, its_tone)])


def _name(snapshot: Snapshot, finding: Finding) -> str:
    container = snapshot.containers.get(ContainerKey(finding.target))
    name = container.name if container is not None else finding.target.partition(":")[2] or finding.target
    return printable(name)


def _sentence(advice: str) -> str:
    return f"To do: {advice}."


def _since(snapshot: Snapshot, finding: Finding) -> str:
    """Say for how long it has held; nothing of what has begun just now."""
    if finding.since_ns is None:
        return ""
    age_s = (snapshot.sample.monotonic_ns - finding.since_ns) / 1e9
    return f"for {to_age_text(age_s)}" if age_s >= 1 else ""
