"""What containers write, as lines of the screen. No Textual here.

All of it is foreign: escape sequences are taken out, but for colours where they are asked for, and what is not plainly
visible is escaped.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from topcon.pattern import LONGEST_MATCHED, LONGEST_PATTERN, PatternError, compile_pattern
from topcon.text import cell_width, cut, head, padded, printable, to_age_text
from topcon.ui.spans import Span, Tone, fitted, width_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from topcon.logs import Entry, Ring
    from topcon.ui.spans import Spans

    RowsOf = Callable[[int], list[Spans]]
    """Writes one of the lines that are shown."""

NS_PER_S = 10**9
NAME_WIDTH = 20
"""Of a container's name before its lines, at the most."""
TAB = 8
STEP = 16
"""Columns that the lines move at once to the left or right."""
NAME_TONES = (Tone.ACCENT, Tone.GOOD, Tone.WARN, Tone.STRONG, Tone.PLAIN)
"""In turn, for the names of containers."""
SPANS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}
MOST_LINES_ASKED = 10_000

_SGR = re.compile(r"\x1b\[([0-9;:]{0,64})m")
_ESCAPES = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]"  # CSI
    r"|\][^\x07\x1b]*(?:\x07|\x1b\\)?"  # OSC: titles, links
    r"|[PX^_][^\x1b]*(?:\x1b\\)?"  # DCS, SOS, PM, APC
    r"|[ -/]*[0-~])"
)
"""ECMA-48's escape sequences; one that is cut short loses its escape below."""
_COLORS = (Tone.DIM, Tone.BAD, Tone.GOOD, Tone.WARN, Tone.ACCENT, Tone.ACCENT, Tone.ACCENT, Tone.PLAIN)
"""Black, red, green, yellow, blue, magenta, cyan, white."""
_FOREGROUND = 38
_BY_NUMBER = frozenset((_FOREGROUND, 48))
_TABLE = 5
_NUMBERS = {_TABLE: 1, 2: 3}
"""How many numbers come after those that begin a colour."""
_LEVELS = ("level", "lvl", "severity", "levelname", "log.level")
_MESSAGES = ("msg", "message", "event")
_CLOCKS = ("time", "ts", "timestamp", "@timestamp")
_LEVEL_TONES = {
    **dict.fromkeys(("fatal", "panic", "critical", "crit", "alert", "emerg", "error", "err", "e"), Tone.BAD),
    **dict.fromkeys(("warn", "warning", "w"), Tone.WARN),
    **dict.fromkeys(("debug", "trace", "d"), Tone.DIM),
}
_NUMBERED = {10: "trace", 20: "debug", 30: "info", 40: "warn", 50: "error", 60: "fatal"}
"""As bunyan and pino count."""


class Times(StrEnum):
    """How it is told when a line was written."""

    OFF = "off"
    CLOCK = "clock"
    AGO = "ago"


class Pattern(NamedTuple):
    """What is searched for."""

    text: str
    """As it was typed."""
    compiled: re.Pattern[str]
    is_plain: bool

    def find(self, text: str) -> list[tuple[int, int]]:
        """Return where in a text it is, one after the other."""
        if self.is_plain:
            return [match.span() for match in self.compiled.finditer(text)]
        return list(_in_pieces(self.compiled, text))


def _in_pieces(pattern: re.Pattern[str], text: str) -> Iterator[tuple[int, int]]:
    """Look through a text of any length in pieces that overlap: a pattern is safe for so many characters only."""
    after = 0
    for begin in range(0, max(len(text) - LONGEST_MATCHED // 2, 1), LONGEST_MATCHED // 2):
        end = min(begin + LONGEST_MATCHED, len(text))
        for match in pattern.finditer(text, begin, end):
            first, last = match.span()
            # What touches the end of a piece may be cut there; the next one has it whole.
            is_cut = last == end < len(text) and first > begin
            if first >= after and last > first and not is_cut:
                after = last
                yield first, last


def parse_pattern(text: str) -> Pattern | None:
    """Take what was typed: plain text, or a pattern between slashes; None for nothing.

    Capitals are told from small letters where there are any.

    Raises:
        PatternError: it is no pattern, or one that could keep the screen waiting.
    """
    if not text:
        return None
    has_capitals = text != text.lower()
    if len(text) > 2 and text[0] == text[-1] == "/":  # noqa: PLR2004  something between them
        source = text[1:-1]
        compiled = compile_pattern(source)
        return Pattern(text, re.compile(source) if has_capitals else compiled, is_plain=False)
    if len(text) > LONGEST_PATTERN:
        message = f"expected no more than {LONGEST_PATTERN} characters"
        raise PatternError(LONGEST_PATTERN, message)
    return Pattern(text, re.compile(re.escape(text), 0 if has_capitals else re.IGNORECASE), is_plain=True)


@dataclass(frozen=True, slots=True)
class LogView:
    """How the lines are shown."""

    times: Times = Times.OFF
    is_wrapped: bool = False
    has_colors: bool = False
    """Whether colours that containers write are kept."""
    is_raw: bool = False
    """Whether JSON is shown as it was written."""
    search: Pattern | None = None
    only: Pattern | None = None
    """None but lines with it are shown."""
    column: int = 0
    """How far the lines were moved to the left."""

    def with_next_times(self) -> LogView:
        """Tell the time in the next way."""
        ways = list(Times)
        return replace(self, times=ways[(ways.index(self.times) + 1) % len(ways)])


def bare(text: str) -> str:
    """Take escape sequences out, and make the rest of it safe to show."""
    if text.isascii() and text.isprintable():
        return text
    if "\x1b" in text:
        text = _ESCAPES.sub("", text)
    if "\t" in text:
        text = text.expandtabs(TAB)
    return printable(text)


def colored(text: str) -> Spans:
    """Write a text in the colours that it asks for, as far as the theme has them."""
    spans: Spans = []
    at, tone, is_bold = 0, None, False
    for match in _SGR.finditer(text):
        spans.append(_piece(text[at : match.start()], tone, is_bold=is_bold))
        tone, is_bold = _turned(match[1], tone, is_bold=is_bold)
        at = match.end()
    spans.append(_piece(text[at:], tone, is_bold=is_bold))
    return [span for span in spans if span.text]


def _piece(text: str, tone: Tone | None, *, is_bold: bool) -> Span:
    return Span(bare(text), tone or (Tone.STRONG if is_bold else Tone.PLAIN))


def _turned(parameters: str, tone: Tone | None, *, is_bold: bool) -> tuple[Tone | None, bool]:
    """Follow one change of colours (ECMA-48, "select graphic rendition")."""
    codes = [int(code) if code.isdecimal() and len(code) < 4 else 0 for code in re.split("[;:]", parameters)]  # noqa: PLR2004
    rest = iter(codes)
    for code in rest:
        if code == 0:
            tone, is_bold = None, False
        elif code == 1:
            is_bold = True
        elif code == 2:  # noqa: PLR2004  faint
            tone = Tone.DIM
        elif code == 39:  # noqa: PLR2004  the colour it has by itself
            tone = None
        elif 30 <= code <= 37 or 90 <= code <= 97:  # noqa: PLR2004  the terminal's colours
            tone = _COLORS[code % 10]
        elif code in _BY_NUMBER:
            chosen = _by_number(rest)
            tone = chosen or tone if code == _FOREGROUND else tone
    return tone, is_bold


def _by_number(rest: Iterator[int]) -> Tone | None:
    """Take a colour by its number in a table, or by three of its own; None for one that the theme does not have."""
    kind = next(rest, 0)
    numbers = [next(rest, 0) for _ in range(_NUMBERS.get(kind, 0))]
    return _COLORS[numbers[0] % 8] if kind == _TABLE and numbers[0] < 2 * len(_COLORS) else None


def body(text: str, view: LogView) -> Spans:
    """Write what a container has written in a line."""
    if not view.is_raw and text.startswith("{"):
        spans = _fields(text)
        if spans is not None:
            return spans
    if view.has_colors and "\x1b[" in text:
        return colored(text)
    return [Span(bare(text))]


@lru_cache(maxsize=512)
def _parsed(text: str) -> dict[str, object] | None:
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return said if isinstance(said, dict) else None


def _fields(text: str) -> Spans | None:
    """Write an object of JSON as level, time, message, and the rest by its names; None if it is none."""
    said = _parsed(text)
    if not said:
        return None
    spans: Spans = []
    taken = set()
    for names, tone in ((_LEVELS, Tone.PLAIN), (_CLOCKS, Tone.DIM), (_MESSAGES, Tone.STRONG)):
        name = next((name for name in names if isinstance(said.get(name), str | int | float)), None)
        if name is None:
            continue
        taken.add(name)
        value = said[name]
        if names is _LEVELS:
            word = _NUMBERED.get(value, str(value)) if isinstance(value, int) else str(value)
            spans.append(Span(f"{bare(word).upper():5} ", _LEVEL_TONES.get(word.lower(), Tone.GOOD)))
        else:
            spans.append(Span(f"{bare(str(value))} ", tone))
    for name, value in said.items():
        if name not in taken:
            spans += [Span(f" {bare(name)}=", Tone.DIM), Span(_value(value))]
    return spans


def _value(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    # A text that holds blanks would run into the next name.
    return bare(json.dumps(text, ensure_ascii=False) if isinstance(value, str) and (" " in text or not text) else text)


def text_of(entry: Entry, view: LogView) -> str:
    """Return what is searched in: what is seen of a line."""
    if entry.note:
        return printable(entry.note)
    return "" if entry.line is None else "".join(span.text for span in body(entry.line.text, view))


def is_shown(entry: Entry, view: LogView) -> bool:
    """Whether a line is among those that are asked for."""
    return view.only is None or bool(view.only.find(text_of(entry, view)))


def entry_rows(entry: Entry, view: LogView, names: Sequence[str], width: int, now_ns: int) -> list[Spans]:
    """Write a line: one row, or as many as it takes if lines are wrapped.

    Args:
        entry: the line.
        view: how it is shown.
        names: of the containers; nothing for a single one.
        width: in columns.
        now_ns: nanoseconds since 1970.
    """
    line = entry.line
    if entry.note:
        return _note_rows(printable(entry.note), width)
    if line is None:
        return [fitted([Span(f"  {_passed(entry, names)}", Tone.DIM)], width)]
    before = [Span("! " if line.is_stderr else "  ", Tone.WARN), *_time(line.time_ns, view.times, now_ns)]
    if names:
        wide = min(max(map(cell_width, names)), NAME_WIDTH, max(width // 3, 1))
        tone = NAME_TONES[entry.source % len(NAME_TONES)]
        before.append(Span(f"{padded(cut(names[entry.source], wide), wide, is_left=True)} ", tone))
    spans = body(line.text, view)
    if view.search is not None:
        spans = marked(spans, view.search)
    room = max(width - width_of(before), 1)
    if view.is_wrapped:
        rows = list(wrapped(spans, room))
        indent = [Span(" " * width_of(before))]
        return [[*(indent if at else before), *row] for at, row in enumerate(rows)]
    return [[*before, *fitted(moved(spans, view.column), room)]]


def _note_rows(note: str, width: int) -> list[Spans]:
    """Write what is no line of a container's, whole and such that no line looks like it: from edge to edge."""
    text = f"── {note} "
    if cell_width(text) > width:
        return list(wrapped([Span(text, Tone.ACCENT)], max(width, 1)))
    return [fitted([Span(text, Tone.ACCENT), Span("─" * max(width - cell_width(text), 0), Tone.DIM)], width)]


def _passed(entry: Entry, names: Sequence[str]) -> str:
    of = f" of {cut(names[entry.source], NAME_WIDTH)}" if names else ""
    return f"… {entry.passed:,} line{'s' * (entry.passed != 1)}{of} passed by"


def _time(time_ns: int | None, times: Times, now_ns: int) -> Spans:
    if times is Times.OFF:
        return []
    if times is Times.AGO:
        ago = to_age_text(None if time_ns is None else (now_ns - time_ns) / NS_PER_S)
        return [Span(f"{ago:>4} ", Tone.DIM)]
    return [Span(f"{'-' if time_ns is None else clock(time_ns, now_ns):12} ", Tone.DIM)]


def clock(time_ns: int, now_ns: int) -> str:
    """Write the time of day, in milliseconds; what is not of today has its date instead of these."""
    then, now = (datetime.fromtimestamp(each // NS_PER_S).astimezone() for each in (time_ns, now_ns))
    if then.date() != now.date():
        return f"{then:%m-%d %H:%M}"
    return f"{then:%H:%M:%S}.{time_ns // 10**6 % 1000:03}"


def marked(spans: Spans, pattern: Pattern) -> Spans:
    """Mark where a pattern is, which may lie over several spans."""
    found = pattern.find("".join(span.text for span in spans))
    if not found:
        return spans
    edges = sorted({edge for place in found for edge in place})
    begins = [begin for begin, _ in found]
    result: Spans = []
    at = 0
    for text, tone in spans:
        inner = [edge - at for edge in edges if at < edge < at + len(text)]
        for begin, end in zip([0, *inner], [*inner, len(text)], strict=True):
            place = bisect_left(begins, at + begin + 1) - 1
            is_found = place >= 0 and at + begin < found[place][1]
            if end > begin:
                result.append(Span(text[begin:end], Tone.FOUND if is_found else tone))
        at += len(text)
    return result


def moved(spans: Spans, columns: int) -> Spans:
    """Leave out the first columns; what is left is no wider than it was."""
    result: Spans = []
    for span in spans:
        wide = cell_width(span.text)
        if columns >= wide:
            columns -= wide
            continue
        dropped = head(span.text, columns)
        text = span.text[len(dropped) :]
        if cell_width(dropped) < columns:
            # Half of a wide character.
            text = " " + text[1:]
        columns = 0
        result.append(Span(text, span.tone))
    return result


def wrapped(spans: Spans, width: int) -> Iterator[Spans]:
    """Break spans into rows of a width."""
    row: Spans = []
    left = width
    for text, tone in spans:
        rest = text
        while rest:
            piece = head(rest, left)
            # One character goes through even where it is wider than the screen.
            piece = piece or (rest[0] if left == width else "")
            if piece:
                row.append(Span(piece, tone))
                left -= cell_width(piece)
                rest = rest[len(piece) :]
            if rest:
                yield row
                row, left = [], width
    yield row


class Top(NamedTuple):
    """What stands in the first row of the screen."""

    at: int
    """Which of the lines that are shown."""
    row: int = 0
    """Which of its rows."""


def last_top(count: int, height: int, rows_of: RowsOf) -> Top:
    """Return what stands on top where the last row of all stands at the bottom."""
    left = height
    for at in range(count - 1, -1, -1):
        rows = len(rows_of(at))
        if rows >= left:
            return Top(at, rows - left)
        left -= rows
    return Top(0)


def stepped(top: Top, rows: int, count: int, rows_of: RowsOf) -> Top:
    """Go down so many rows, or up; no further than to the first or the last of all."""
    at, row = top
    row += rows
    while row < 0 and at > 0:
        at -= 1
        row += len(rows_of(at))
    while at < count - 1 and row >= (wide := len(rows_of(at))):
        row -= wide
        at += 1
    return Top(at, max(row, 0)) if at < count - 1 or not count else Top(at, min(max(row, 0), len(rows_of(at)) - 1))


def page(top: Top, height: int, count: int, rows_of: RowsOf) -> list[Spans]:
    """Write the rows from one on, as many as there is height for."""
    rows: list[Spans] = []
    at = top.at
    while at < count and len(rows) < height + top.row:
        rows += rows_of(at)
        at += 1
    return rows[top.row : top.row + height]


def shown_numbers(ring: Ring, view: LogView, known: list[int], since: int, until: int) -> list[int]:
    """Return the numbers of the lines that are asked for: those known before ``since``, and those up to ``until``."""
    kept = known[bisect_left(known, ring.first) : bisect_left(known, since)]
    return kept + [number for number in range(max(since, ring.first), until) if is_shown(ring.entry(number), view)]


def saved_line(entry: Entry, view: LogView, names: Sequence[str]) -> str:
    """Write a line for a file: as it is seen, but whole."""
    line = entry.line
    if entry.note:
        return f"── {printable(entry.note)}"
    if line is None:
        return _passed(entry, names)
    parts = []
    if view.times is not Times.OFF and line.time_ns is not None:
        parts.append(datetime.fromtimestamp(line.time_ns / NS_PER_S).astimezone().isoformat(timespec="milliseconds"))
    if names:
        parts.append(names[entry.source])
    return " ".join((*parts, text_of(entry, view)))


def parse_since(text: str) -> float:
    """Take a span of time, ``90s``, ``10m``, ``2h``, ``1d``: seconds.

    Raises:
        ValueError: what was expected.
    """
    match = re.fullmatch(r"([0-9]{1,6}(?:\.[0-9]{1,3})?) *([smhd]?)", text.strip())
    if match is None:
        message = f"{text!r}: expected a span of time, such as 90s, 10m, 2h or 1d"
        raise ValueError(message)
    return float(match[1]) * SPANS_S[match[2] or "s"]


def parse_count(text: str) -> int:
    """Take a count of lines.

    Raises:
        ValueError: what was expected.
    """
    if not re.fullmatch(r"[0-9]{1,6}", text) or not 1 <= int(text) <= MOST_LINES_ASKED:
        message = f"{text!r}: expected a number of lines, 1 to {MOST_LINES_ASKED}"
        raise ValueError(message)
    return int(text)


def place_text(places: Mapping[str, str]) -> str:
    """Say who tells the lines."""
    found = sorted(set(places.values()))
    return found[0] if len(found) == 1 else f"{len(found)} places" if found else ""


def state_text(view: LogView, count: int, passed: int) -> str:
    """Say how many lines are shown, and how."""
    said = [f"{count:,} line{'s' * (count != 1)}"]
    if passed:
        said.append(f"{passed:,} passed by")
    if view.only is not None:
        said.append(f"only {printable(view.only.text)}")
    if view.search is not None:
        said.append(f"/{printable(view.search.text)}")
    if view.column:
        said.append(f"from column {view.column + 1}")
    return "  ".join(said)
