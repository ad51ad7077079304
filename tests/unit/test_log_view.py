"""How what containers write is shown: made safe, taken apart, searched, wrapped and scrolled."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import HOSTILE_NAMES, text_of, unsafe

from topcon.logs import Entry, Ring
from topcon.model.sample import LogLine
from topcon.pattern import PatternError
from topcon.text import cell_width
from topcon.ui.logs import (
    LogView,
    Pattern,
    Times,
    Top,
    bare,
    body,
    colored,
    entry_rows,
    is_shown,
    last_top,
    marked,
    moved,
    page,
    parse_count,
    parse_pattern,
    parse_since,
    saved_line,
    shown_numbers,
    stepped,
    wrapped,
)
from topcon.ui.spans import Span, Tone, width_of

if TYPE_CHECKING:
    from topcon.ui.spans import Spans

NOW_NS = 1_795_266_652_526_609_275
VIEW = LogView()
NOTHING = Pattern("", re.compile("(?!)"), is_plain=True)
ANY_TEXT = st.text(st.characters(exclude_characters="\n"))


def entry(text: str, *, is_stderr: bool = False, source: int = 0, time_ns: int | None = NOW_NS) -> Entry:
    return Entry(source, time_ns or 0, LogLine(time_ns, is_stderr, text))


def rows(one: Entry, view: LogView = VIEW, names: tuple[str, ...] = (), width: int = 40) -> list[str]:
    return [text_of(row) for row in entry_rows(one, view, names, width, NOW_NS)]


# Made safe.


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bP1;2|data\x1b\\after", "after"),
        ("\x1b[2J\x1b[Hcleared", "cleared"),
        ("\x1b(Bset", "set"),
        ("cut \x1b[31", "cut 31"),
        ("nul\0bell\x07", "nul\\x00bell\\x07"),
        ("50%\r80%", "50%\\r80%"),
        ("a\tb", "a       b"),
        ("\u202eturned", "\\u202eturned"),
        ("bad \ufffd", "bad \ufffd"),
        ("[bold]markup[/bold]", "[bold]markup[/bold]"),
    ],
)
def test_a_text_is_made_safe(text: str, shown: str) -> None:
    assert bare(text) == shown


@given(
    st.one_of(ANY_TEXT, st.sampled_from(list(HOSTILE_NAMES.values())), ANY_TEXT.map(lambda text: f"\x1b[{text}")),
    st.builds(LogView, st.sampled_from(Times), st.booleans(), st.booleans(), st.booleans()),
    st.integers(1, 90),
)
def test_any_text_is_rows_of_the_width_with_nothing_unsafe_in_them(text: str, view: LogView, width: int) -> None:
    for each in (text, "{" + text, f'{{"msg": "{text}"}}'):
        for row in entry_rows(entry(each, is_stderr=True), view, ("one", "two"), max(width, 30), NOW_NS):
            assert unsafe(text_of(row)) == set()
            assert width_of(row) <= max(width, 30)


def test_a_megabyte_is_a_row() -> None:
    (row,) = rows(entry("x" * (1 << 20)), width=40)

    assert cell_width(row) == 40
    assert row.endswith("…")


# Colours.


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ("plain", [("plain", Tone.PLAIN)]),
        ("\x1b[31mred\x1b[0m not", [("red", Tone.BAD), (" not", Tone.PLAIN)]),
        (
            "\x1b[1mbold\x1b[33mwarn\x1b[39mbold\x1b[m",
            [("bold", Tone.STRONG), ("warn", Tone.WARN), ("bold", Tone.STRONG)],
        ),
        ("\x1b[1;92mgood", [("good", Tone.GOOD)]),
        ("\x1b[38;5;1mred\x1b[38;5;200mred", [("red", Tone.BAD), ("red", Tone.BAD)]),
        ("\x1b[38;2;1;31;2mplain\x1b[48;5;1mplain", [("plain", Tone.PLAIN), ("plain", Tone.PLAIN)]),
        ("\x1b[31mred\x1b[2Jred", [("redred", Tone.BAD)]),
    ],
)
def test_colours_are_those_of_the_theme(text: str, spans: list[tuple[str, Tone]]) -> None:
    assert [(span.text, span.tone) for span in colored(text)] == spans
    assert body(text, replace(VIEW, has_colors=True)) == colored(text)
    assert [span.tone for span in body(text, VIEW)] == [Tone.PLAIN]


@given(st.lists(st.one_of(ANY_TEXT, st.builds("\x1b[{}m".format, st.text("0123456789;:")))).map("".join))
def test_colours_change_no_text(text: str) -> None:
    assert unsafe(text_of(colored(text))) == set()


# JSON.


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            '{"level":"info","ts":"03:12","msg":"started up","port":8080,"tls":false}',
            "INFO  03:12 started up  port=8080 tls=false",
        ),
        ('{"severity":"ERROR","message":"no","err":"a b","n":null}', 'ERROR no  err="a b" n=null'),
        ('{"level":50,"msg":"pino"}', "ERROR pino "),
        ('{"a":{"b":[1,2]},"c":""}', ' a={"b":[1,2]} c=""'),
        ('{"msg":{"not":"a text"}}', ' msg={"not":"a text"}'),
        ('{"msg":"\\u001b[31mred\\u0000"}', "red\\x00 "),
        ("{}", "{}"),
        ("{not json}", "{not json}"),
        ("[1, 2]", "[1, 2]"),
        ("{" * 9000, "{" * 9000),
    ],
)
def test_json_is_readable(text: str, shown: str) -> None:
    assert text_of(body(text, VIEW)).replace("   ", " ").rstrip() == shown.replace("   ", " ").rstrip()
    assert text_of(body(text, replace(VIEW, is_raw=True))) == bare(text)


@pytest.mark.parametrize(
    ("level", "tone"),
    [("error", Tone.BAD), ("WARNING", Tone.WARN), ("debug", Tone.DIM), ("info", Tone.GOOD), ("60", Tone.GOOD)],
)
def test_a_level_has_its_tone(level: str, tone: Tone) -> None:
    assert body(f'{{"level":"{level}"}}', VIEW)[0].tone is tone


# A line.


@pytest.mark.parametrize(
    ("view", "names", "shown"),
    [
        (VIEW, (), "  hello"),
        (VIEW, ("web", "sidecar"), "  web     hello"),
        (replace(VIEW, times=Times.CLOCK), (), "  13:10:40.126 hello"),
        (replace(VIEW, times=Times.AGO), ("web",), "   12s web hello"),
        (replace(VIEW, column=2), (), "  llo"),
    ],
)
def test_what_stands_before_a_line(view: LogView, names: tuple[str, ...], shown: str) -> None:
    assert rows(entry("hello", time_ns=NOW_NS - 12_400_000_000), view, names) == [shown]


def test_stderr_is_marked_and_each_container_has_its_colour() -> None:
    assert rows(entry("bad", is_stderr=True)) == ["! bad"]
    tones = {entry_rows(entry("x", source=at), VIEW, ("a", "b", "c"), 40, NOW_NS)[0][1].tone for at in range(3)}
    assert len(tones) == 3


def test_a_line_of_another_day_has_its_date() -> None:
    view = replace(VIEW, times=Times.CLOCK)
    assert rows(entry("old", time_ns=NOW_NS - 86_400 * 10**9), view) == ["  11-20 13:10  old"]
    assert rows(entry("unknown", time_ns=None), view) == ["  -            unknown"]


def test_what_passed_by_is_said() -> None:
    assert rows(Entry(0, 0, None, 812_331)) == ["  … 812,331 lines passed by"]


def test_a_long_line_is_cut_or_wrapped() -> None:
    assert rows(entry("x" * 50), width=22) == ["  " + "x" * 19 + "…"]
    assert rows(entry("x" * 50), replace(VIEW, is_wrapped=True), width=22) == [
        "  " + "x" * 20,
        "  " + "x" * 20,
        "  " + "x" * 10,
    ]


@given(st.lists(st.builds(Span, st.text("ab日本\u0301")), max_size=5), st.integers(2, 9))
def test_wrapping_loses_nothing(spans: Spans, width: int) -> None:
    made = list(wrapped(spans, width))

    assert "".join(map(text_of, made)) == text_of(spans)
    assert all(width_of(row) <= width for row in made)


@given(st.lists(st.builds(Span, st.text("ab日本")), max_size=5), st.integers(0, 30))
def test_moving_leaves_what_is_to_the_right(spans: Spans, columns: int) -> None:
    assert width_of(moved(spans, columns)) == max(width_of(spans) - columns, 0)


# Searching.


@pytest.mark.parametrize(
    ("typed", "text", "found"),
    [
        ("err", "Error: err", [(0, 3), (7, 10)]),
        ("Err", "Error: err", [(0, 3)]),
        ("a.b", "a.b axb", [(0, 3)]),
        ("/a.b/", "a.b axb", [(0, 3), (4, 7)]),
        ("/^A/", "Aa A", [(0, 1)]),
        ("/x*/", "abxx", [(2, 4)]),
        ("/api/v1", "GET /api/v1", [(4, 11)]),
        ("/$/", "abc", []),
    ],
)
def test_what_is_searched_for_is_found(typed: str, text: str, found: list[tuple[int, int]]) -> None:
    pattern = parse_pattern(typed)
    assert pattern is not None
    assert pattern.find(text) == found


@given(st.integers(0, 3000), st.integers(0, 2000))
def test_a_pattern_is_found_wherever_it_is_in_a_long_line(before: int, after: int) -> None:
    pattern = parse_pattern("/needle[0-9]{2}$|needle[0-9]{2}/")
    assert pattern is not None

    assert pattern.find("x" * before + "needle42" + "y" * after) == [(before, before + 8)]


@pytest.mark.parametrize("typed", ["/(a+)+$/", "/[/", "/a.*b.*c.*d.*e/", "x" * 500])
def test_a_pattern_that_could_hang_is_refused(typed: str) -> None:
    with pytest.raises(PatternError):
        parse_pattern(typed)


def test_nothing_typed_is_no_pattern() -> None:
    assert parse_pattern("") is None


def test_what_was_found_is_marked_over_colours() -> None:
    spans = [Span("one ", Tone.BAD), Span("two three")]

    assert marked(spans, parse_pattern("e tw") or NOTHING) == [
        Span("on", Tone.BAD),
        Span("e ", Tone.FOUND),
        Span("tw", Tone.FOUND),
        Span("o three"),
    ]


@given(
    st.lists(st.builds(Span, st.text("ab"), st.sampled_from([Tone.PLAIN, Tone.DIM])), max_size=6),
    st.text("ab", min_size=1, max_size=3),
)
def test_marking_changes_no_text(spans: Spans, needle: str) -> None:
    pattern = parse_pattern(needle) or NOTHING
    made = marked(spans, pattern)

    assert text_of(made) == text_of(spans)
    found = sum(end - begin for begin, end in pattern.find(text_of(spans)))
    assert sum(len(span.text) for span in made if span.tone is Tone.FOUND) == found


def test_only_lines_that_match_are_shown() -> None:
    ring = Ring(most_lines=4)
    view = replace(VIEW, only=parse_pattern("b"))
    ring.add([entry(text) for text in ("a", "ab", "c", "b")], is_ordered=True)
    known = shown_numbers(ring, view, [], 0, ring.end)
    assert known == [1, 3]

    since = ring.add([entry(text) for text in ("bb", "x")], is_ordered=True)
    assert shown_numbers(ring, view, known, since, ring.end) == [3, 4]
    assert not is_shown(Entry(0, 0, None, 12), view)


# Scrolling.


HEIGHTS = st.lists(st.integers(1, 4), min_size=1, max_size=12)


def written(heights: list[int]) -> list[list[Spans]]:
    return [[[Span(f"{at}.{row}")] for row in range(height)] for at, height in enumerate(heights)]


@given(HEIGHTS, st.integers(1, 8), st.integers(-30, 30))
def test_a_page_is_always_a_part_of_all_rows(heights: list[int], height: int, rows_down: int) -> None:
    lines = written(heights)
    every = [row for line in lines for row in line]
    count = len(lines)
    bottom = last_top(count, height, lines.__getitem__)
    assert page(bottom, height, count, lines.__getitem__) == every[-height:]

    moved_to = stepped(bottom, rows_down, count, lines.__getitem__)
    at = max(min(max(len(every) - height, 0) + rows_down, len(every) - 1), 0)
    assert page(moved_to, height, count, lines.__getitem__) == every[at : at + height]


def test_nothing_is_no_page() -> None:
    assert last_top(0, 5, lambda _: []) == Top(0)
    assert page(Top(0), 5, 0, lambda _: []) == []
    assert stepped(Top(0), 3, 0, lambda _: []) == Top(0, 3)


# Files and commands.


def test_a_line_in_a_file_is_whole_and_safe() -> None:
    view = replace(VIEW, times=Times.CLOCK, has_colors=True)
    one = entry("\x1b[31mred\x1b[0m " + "x" * 300, source=1)

    assert saved_line(one, view, ("a", "b")) == "2026-11-21T13:10:52.526+00:00 b red " + "x" * 300
    assert saved_line(one, VIEW, ()) == "red " + "x" * 300
    assert saved_line(Entry(0, 0, None, 7), VIEW, ()) == "… 7 lines passed by"


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("90s", 90), ("10m", 600), ("1.5h", 5400), ("2 d", 172_800)])
def test_a_span_of_time(text: str, seconds: float) -> None:
    assert parse_since(text) == seconds


@pytest.mark.parametrize("text", ["", "x", "-1m", "1w", "1e9", "\uff19m", "99999999d"])
def test_what_is_no_span_of_time(text: str) -> None:
    with pytest.raises(ValueError, match="expected a span of time"):
        parse_since(text)


@pytest.mark.parametrize("text", ["0", "10001", "-5", "x", "", "1.5", "\uff19"])
def test_what_is_no_count(text: str) -> None:
    assert parse_count("10000") == 10_000
    with pytest.raises(ValueError, match="expected a number of lines"):
        parse_count(text)
