"""The line of time."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topcon.model.playing import Mark, Playing
from topcon.model.snapshot import Severity
from topcon.ui.glyphs import to_ascii
from topcon.ui.spans import Tone, width_of
from topcon.ui.timebar import bar_of, moment_at, past_words, time_bar

if TYPE_CHECKING:
    from topcon.ui.spans import Spans

S = 10**9
NOON = 1_763_812_800 * S
"""2025-11-22 12:00 UTC."""
HOUR = Playing(at_ns=NOON + 1800 * S, first_ns=NOON, last_ns=NOON + 3600 * S)


def text(spans: Spans) -> str:
    return "".join(span.text for span in spans)


def tones(spans: Spans, character: str) -> set[Tone]:
    return {span.tone for span in spans if character in span.text}


def test_both_ends_and_where_one_is() -> None:
    shown = text(time_bar(HOUR, 80))

    assert shown.startswith(" ▶ 1x    12:00:00 ━━━")
    assert shown.endswith("─── 13:00:00 ")
    assert "━█─" in shown
    assert len(shown) == 80


@pytest.mark.parametrize(
    ("change", "words", "tone"),
    [
        ({}, "▶ 1x", Tone.ACCENT),
        ({"speed": 60.0}, "▶ 60x", Tone.ACCENT),
        ({"speed": 0.5}, "▶ 0.5x", Tone.ACCENT),
        ({"is_paused": True}, "paused", Tone.WARN),
        ({"is_live": True}, "live", Tone.GOOD),
    ],
)
def test_how_it_goes_on(change: dict[str, object], words: str, tone: Tone) -> None:
    bar = time_bar(replace(HOUR, **change), 80)  # type: ignore[arg-type]

    assert text(bar)[1:].split("  ")[0].strip() == words
    assert tones(bar, words) == {tone}


def test_what_happened_is_marked_by_the_worst_of_each_column() -> None:
    at = NOON + 900 * S
    marks = (Mark(at), Mark(at, Severity.CRITICAL), Mark(at, Severity.WARNING), Mark(NOON + 2700 * S), Mark(NOON))
    bar = time_bar(replace(HOUR, marks=marks), 80)

    assert text(bar).count("■") == 1
    assert tones(bar, "■") == {Tone.BAD}
    assert "▲" not in text(bar)
    assert text(bar).count("·") == 2


def test_where_one_is_covers_what_happened_there() -> None:
    bar = time_bar(replace(HOUR, marks=(Mark(HOUR.at_ns, Severity.CRITICAL),)), 80)

    assert "■" not in text(bar)
    assert "█" in text(bar)


def test_days_are_told_where_there_is_more_than_one() -> None:
    bar = text(time_bar(replace(HOUR, first_ns=NOON - 86_400 * S), 80))

    assert " 11-21 12:00 " in bar
    assert " 11-22 13:00 " in bar


def test_in_ascii_nothing_moves() -> None:
    bar = text(time_bar(replace(HOUR, marks=(Mark(NOON + 60 * S, Severity.WARNING),)), 80))

    assert to_ascii(bar).isascii()
    assert len(to_ascii(bar)) == len(bar)
    assert "#" in to_ascii(bar)


def test_the_ends_give_way_where_it_is_narrow() -> None:
    assert text(time_bar(HOUR, 30)).startswith(" ▶ 1x    ━")
    assert ":" not in text(time_bar(HOUR, 30))
    assert text(time_bar(HOUR, 12)).strip() == "▶ 1x"


@given(st.integers(1, 300), st.integers(0, 3600), st.integers(0, 3600), st.booleans())
def test_it_is_as_wide_as_it_may_be(width: int, at_s: int, long_s: int, is_paused: bool) -> None:
    playing = Playing(NOON + min(at_s, long_s) * S, NOON, NOON + long_s * S, is_paused=is_paused)

    assert width_of(time_bar(playing, width)) <= width


@given(st.integers(24, 300), st.integers(0, 3600))
def test_a_click_goes_where_one_then_is(width: int, at_s: int) -> None:
    bar = bar_of(HOUR, width)
    column = bar.column + at_s % bar.width
    wall_ns = moment_at(HOUR, column, width)
    assert wall_ns is not None

    assert text(time_bar(replace(HOUR, at_ns=wall_ns), width))[column] == "█"


@pytest.mark.parametrize("column", [0, 5, 79])
def test_a_click_beside_the_bar_goes_nowhere(column: int) -> None:
    assert moment_at(HOUR, column, 80) is None


def test_a_click_into_a_single_moment() -> None:
    playing = Playing(NOON, NOON, NOON)

    assert moment_at(playing, 40, 80) == NOON


@pytest.mark.parametrize(
    ("playing", "ago_s", "words"),
    [
        (HOUR, 7200, "PAST 12:30:00, 2h ago"),
        (HOUR, 0, "PAST 12:30:00"),
        (HOUR, 3 * 86_400, "PAST 2025-11-22 12:30:00, 3d ago"),
        (replace(HOUR, name="demo"), 3 * 86_400, "demo 12:30:00"),
        (replace(HOUR, is_live=True), 1, "LIVE 12:30:00"),
    ],
)
def test_the_header_says_which_moment_it_is(playing: Playing, ago_s: int, words: str) -> None:
    assert past_words(playing, playing.at_ns + ago_s * S) == words
