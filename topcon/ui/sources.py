"""How reading each source goes, what it costs, and what topcon itself does. No Textual here."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from topcon.model.sample import SILENT_AFTER_S
from topcon.text import UNKNOWN, padded, printable, to_bytes_text, to_count_text, to_rate_text
from topcon.ui.header import slowed_text
from topcon.ui.spans import Span, Spans, Tone, fitted, width_of

if TYPE_CHECKING:
    from topcon.model.sample import RuntimeSample, Sample, SourceSample, TierSample
    from topcon.model.snapshot import Snapshot

NAME_WIDTH, TOOK_WIDTH, COUNT_WIDTH, ERRORS_WIDTH = 12, 9, 11, 7
WELL_WIDTH, STATE_WIDTH, DAEMON_WIDTH = 12, 12, 7
LABEL_WIDTH = 14
_INDENT = "   "
_GAP = "  "
_NS_PER_S = 10**9
_LEAST_SOCKET = 24
_TWO_DIGITS_MS = 9.95
"""Where rounding would add a digit."""


class Terminal(NamedTuple):
    """What has been drawn; None where nothing counts it."""

    written_bytes: int | None
    bytes_per_second: float | None
    """Over the last ten samples."""


def source_lines(snapshot: Snapshot, terminal: Terminal, width: int) -> list[Spans]:
    """Write all that is read, and how that went last; then what topcon costs, and what it could not read."""
    lines = [
        *_kernel(snapshot.sample),
        *_runtimes(snapshot.sample, width),
        *_own(snapshot, terminal),
        *_problems(snapshot.sample),
    ]
    return [fitted(line, width) for line in lines]


def _title(name: str, *columns: tuple[str, int]) -> Spans:
    """Write a section's name, and what its columns hold; a negative width puts the text to the left."""
    text = f" {name:{len(_INDENT) - 1 + NAME_WIDTH}}"
    spans = [Span(text, Tone.ACCENT)]
    if columns:
        spans.append(Span("".join(_cell(title, width) for title, width in columns).rstrip(), Tone.DIM))
    return spans


def _cell(text: str, width: int) -> str:
    return _GAP + padded(text, -width, is_left=True) if width < 0 else padded(text, width)


def _kernel(sample: Sample) -> list[Spans]:
    lines = [
        _title(
            "Kernel", ("took", TOOK_WIDTH), ("read", COUNT_WIDTH), ("errors", ERRORS_WIDTH), ("went well", -WELL_WIDTH)
        )
    ]
    for source in sample.sources:
        lines.append(_source(source, sample.wall_ns))
        lines += [_tier(tier) for tier in source.tiers]
    return lines


def _source(source: SourceSample, now_ns: int) -> Spans:
    is_well = source.succeeded_ns == now_ns
    return [
        Span(_INDENT + padded(printable(source.name), NAME_WIDTH, is_left=True)),
        Span(_cell(to_duration_text(source.duration_s), TOOK_WIDTH)),
        Span(_cell("", COUNT_WIDTH)),
        Span(_cell(str(source.errors), ERRORS_WIDTH), Tone.WARN if source.errors else Tone.DIM),
        Span(_cell(_well(source.succeeded_ns, now_ns), -WELL_WIDTH), Tone.DIM if is_well else Tone.PLAIN),
    ]


def _tier(tier: TierSample) -> Spans:
    text = _INDENT + padded(f"  {printable(tier.name)}", NAME_WIDTH, is_left=True)
    text += _cell(to_duration_text(tier.duration_s), TOOK_WIDTH) + _cell(to_count_text(tier.reads), COUNT_WIDTH)
    return [Span(text, Tone.DIM)]


def _runtimes(sample: Sample, width: int) -> list[Spans]:
    lines: list[Spans] = [
        [],
        _title(
            "Runtimes",
            ("took", TOOK_WIDTH),
            ("containers", COUNT_WIDTH),
            ("errors", ERRORS_WIDTH),
            ("answered", -WELL_WIDTH),
            ("state", -STATE_WIDTH),
            ("its CPU", -DAEMON_WIDTH),
        ),
    ]
    for runtime in sample.runtimes:
        line = _runtime(runtime, sample.wall_ns)
        socket = [Span(_GAP + printable(runtime.socket), Tone.DIM), *_process(runtime)]
        if width - width_of(line) >= max(width_of(socket), _LEAST_SOCKET):
            lines.append([*line, *socket])
        else:
            lines += [line, [Span(_INDENT), *socket]]
    if not sample.runtimes:
        lines.append([Span(f"{_INDENT}no socket of a runtime is there", Tone.DIM)])
    return lines


def _runtime(runtime: RuntimeSample, now_ns: int) -> Spans:
    cpu_s = runtime.daemon_cpu_s
    state, tone = _state(runtime)
    return [
        Span(_INDENT + padded(printable(runtime.name), NAME_WIDTH, is_left=True)),
        Span(_cell(to_duration_text(runtime.duration_s), TOOK_WIDTH)),
        Span(_cell(to_count_text(runtime.container_count), COUNT_WIDTH)),
        Span(_cell(str(runtime.errors), ERRORS_WIDTH), Tone.WARN if runtime.errors else Tone.DIM),
        Span(_cell(_well(runtime.succeeded_ns, now_ns), -WELL_WIDTH)),
        Span(_cell(state, -STATE_WIDTH), tone),
        Span(_cell(to_duration_text(cpu_s), -DAEMON_WIDTH)),
    ]


def _process(runtime: RuntimeSample) -> Spans:
    return [] if runtime.daemon_pid is None else [Span(f", pid {runtime.daemon_pid}", Tone.DIM)]


def _state(runtime: RuntimeSample) -> tuple[str, Tone]:
    if runtime.silent_s >= SILENT_AFTER_S:
        return f"silent {runtime.silent_s:.0f} s", Tone.BAD
    if runtime.up:
        return "up", Tone.GOOD
    return ("no answer", Tone.BAD) if runtime.errors else ("is asked", Tone.PLAIN)


def _own(snapshot: Snapshot, terminal: Terminal) -> list[Spans]:
    cost, own = snapshot.cost, snapshot.sample.own
    lines: list[Spans] = [[], _title("topcon")]
    if cost is not None:
        lines += [
            _pair("CPU", _share(cost.cpu_share)),
            _pair("CPU of daemons", _share(cost.daemons_share)),
            _pair("memory", to_bytes_text(cost.rss_bytes)),
        ]
    if terminal.written_bytes is not None:
        rate = to_rate_text(terminal.bytes_per_second)
        lines.append(_pair("to the screen", rate))
    if own is not None:
        slowed, asked = slowed_text(snapshot), f"{own.asked_interval_s:g} s"
        lines.append(_pair("interval", f"every {asked}" if slowed is None else f"{slowed}; {asked} was asked for"))
        lines.append(_pair("budget", UNKNOWN if own.budget is None else f"{_share(own.budget)}"))
    return lines


def _share(share: float | None) -> str:
    return UNKNOWN if share is None else f"{share * 100:.2g}% of one core"


def _pair(label: str, text: str) -> Spans:
    return [Span(f"{_INDENT}{label:{LABEL_WIDTH}}  ", Tone.DIM), Span(text)]


def _problems(sample: Sample) -> list[Spans]:
    if not sample.problems:
        return []
    lines: list[Spans] = [[], _title("Problems")]
    for problem in sample.problems:
        lines.append([Span(_INDENT), Span(printable(f"{problem.source}: {problem.message}"), Tone.WARN)])
        if problem.remedy:
            lines.append([Span(f"{_INDENT}  "), Span(printable(problem.remedy), Tone.STRONG)])
    return lines


def _well(succeeded_ns: int | None, now_ns: int) -> str:
    """Say when something last went well: a time of day, so that it does not change while nothing does."""
    if succeeded_ns is None:
        return "never"
    if succeeded_ns == now_ns:
        return "now"
    when = datetime.fromtimestamp(succeeded_ns // _NS_PER_S).astimezone()
    is_today = when.date() == datetime.fromtimestamp(now_ns // _NS_PER_S).astimezone().date()
    return f"{when:%H:%M:%S}" if is_today else f"{when:%d %b %H:%M}"


def to_duration_text(seconds: float | None) -> str:
    """Write a short time with two digits: ``0.31 ms``, ``12 ms``, ``1.2 s``."""
    if seconds is None:
        return UNKNOWN
    if seconds >= 1:
        return f"{seconds:.1f} s"
    ms = seconds * 1000
    return f"{ms:.2f} ms" if ms < 1 else f"{ms:.1f} ms" if ms < _TWO_DIGITS_MS else f"{ms:.0f} ms"
