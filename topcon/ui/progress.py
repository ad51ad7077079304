"""How far what was asked for has got, in words. No Textual here."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING

from topcon.text import padded, printable
from topcon.ui.spans import Span, Spans, Tone

if TYPE_CHECKING:
    from collections.abc import Sequence

    from topcon.batch import Batch, Step
    from topcon.model.snapshot import Snapshot

NAME_WIDTH = 28
INDENT = "    "


def left_text(step: Step, snapshot: Snapshot | None) -> str:
    """Say how many tasks are left in a container; nothing where there are none, or nobody knows."""
    node = snapshot.containers.get(step.request.key) if snapshot else None
    pids = node.usage.pids if node else None
    return f", {pids} task{'s' if pids > 1 else ''} left" if pids else ""


def summary(batch: Batch, snapshot: Snapshot | None) -> Span:
    """Say in a line how far a batch is, or how it ended."""
    steps, failed = batch.steps, batch.failed
    if len(steps) == 1:
        return _of_one(batch, steps[0], snapshot)
    ended = sum(step.outcome is not None for step in steps)
    done = ended - len(failed)
    if not batch.is_over:
        more = f", {len(failed)} failed" if failed else ""
        return Span(f"{batch.verb.ongoing} {ended} of {len(steps)} …{more}", Tone.WARN if failed else Tone.ACCENT)
    if failed:
        return Span(f"{steps[0].request.past} {done} of {len(steps)}, {len(failed)} failed", Tone.BAD)
    warning = next((step.outcome.warning for step in steps if step.outcome and step.outcome.warning), None)
    logged = f", but {printable(warning)}" if warning else ""
    return Span(f"{steps[0].request.past} {done} containers{logged}", Tone.WARN if warning else Tone.GOOD)


def _of_one(batch: Batch, step: Step, snapshot: Snapshot | None) -> Span:
    outcome = step.outcome
    if outcome is None:
        ago_s = batch.ago_s(step) or 0.0
        name = printable(step.request.name)
        return Span(f"{batch.verb} {name} … {ago_s:.0f} s{left_text(step, snapshot)}", Tone.ACCENT)
    if outcome.error is not None:
        return Span(outcome.text, Tone.BAD)
    return Span(outcome.text, Tone.WARN if outcome.warning else Tone.GOOD)


def progress_lines(batches: Sequence[Batch], snapshot: Snapshot | None, width: int) -> list[Spans]:
    """Write a line for each container of each batch, and in full why it was not done; the newest batch first."""
    lines: list[Spans] = []
    for batch in reversed(batches):
        if lines:
            lines.append([])
        if len(batch.steps) > 1:
            lines.append([summary(batch, snapshot)._replace(tone=Tone.STRONG)])
        for step in batch.steps:
            lines += _step_lines(batch, step, snapshot, width)
    return lines


def _step_lines(batch: Batch, step: Step, snapshot: Snapshot | None, width: int) -> list[Spans]:
    name_width = min(NAME_WIDTH, max(width // 2, 1))
    name = Span(f"{padded(printable(step.request.name), name_width, is_left=True)}  ")
    outcome = step.outcome
    if outcome is None:
        ago_s = batch.ago_s(step)
        if ago_s is None:
            return [[name, Span("waits for the others", Tone.DIM)]]
        return [[name, Span(f"… {ago_s:.0f} s{left_text(step, snapshot)}", Tone.ACCENT)]]
    if outcome.error is None:
        tone = Tone.WARN if outcome.warning else Tone.GOOD
        lines = [[name, Span(f"{step.request.past.removesuffix(' to')} in {outcome.took_s:.1f} s", tone)]]
        return lines + [[Span(line, Tone.WARN)] for line in _wrapped(outcome.warning or "", width)]
    return [[name, Span("failed", Tone.BAD)], *[[Span(line, Tone.BAD)] for line in _wrapped(outcome.error, width)]]


def _wrapped(text: str, width: int) -> list[str]:
    return wrap(printable(text), max(width, 20), initial_indent=INDENT, subsequent_indent=INDENT)


def failures_text(batches: Sequence[Batch]) -> str:
    """Return what was not done and why, a line each, to be copied."""
    return "\n".join(step.outcome.text for batch in batches for step in batch.failed if step.outcome is not None)
