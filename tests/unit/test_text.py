"""Numbers keep to their width, foreign text can do nothing to the terminal, and columns are counted exactly."""

from __future__ import annotations

import unicodedata
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from samples import HOSTILE_NAMES, unsafe

from topcon.text import (
    BYTES_WIDTH,
    cell_width,
    cut,
    padded,
    printable,
    to_age_text,
    to_bytes_text,
    to_cores_text,
    to_count_text,
    to_percent_text,
    to_time_text,
    to_uptime_text,
)

ANY_TEXT = st.text(st.characters(exclude_categories=()))
"""With lone surrogates, as bytes that are no UTF-8 are read."""
DRAWN_TEXT = ANY_TEXT.map(printable)
TWO_TO_64 = 2**64
DAY_S = 86400


# Foreign text


@given(ANY_TEXT)
def test_nothing_in_a_foreign_text_reaches_the_terminal_as_a_command(text: str) -> None:
    shown = printable(text)

    assert unsafe(shown) == set()
    assert shown.splitlines() in ([], [shown])
    assert {unicodedata.bidirectional(each) for each in shown}.isdisjoint({"LRE", "RLE", "LRO", "RLO", "PDF", "B"})
    assert shown.encode().decode() == shown


@given(ANY_TEXT)
def test_what_was_made_printable_stays_as_it_is(text: str) -> None:
    assert printable(printable(text)) == printable(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("web-1.2_x", "web-1.2_x"),
        ("a b", "a b"),
        ("日本語 é שלום 🐳", "日本語 é שלום 🐳"),
        ("\x1b[2J", "\\x1b[2J"),
        ("\x9b31m", "\\x9b31m"),
        ("one\ntwo\r\t", "one\\ntwo\\r\\t"),
        ("a\x00b\x7f", "a\\x00b\\x7f"),
        ("a\u202egpj", "a\\u202egpj"),
        ("a\u2028b\u2029c\x85", "a\\u2028b\\u2029c\\x85"),
        ("a\udcffb", "a\\udcffb"),
        ("\ue000\U000f0000", "\\ue000\\U000f0000"),
        ("a\u00a0b\u3000c", "a\\xa0b\\u3000c"),
        ("", ""),
    ],
)
def test_what_is_not_plainly_visible_is_written_as_an_escape(text: str, expected: str) -> None:
    assert printable(text) == expected


@pytest.mark.parametrize(
    "invisible",
    ["\u200b", "\u00ad", "\ufeff", "\U000e0041", "\u3164", "\u115f", "\u1160", "\uffa0", "\u034f", "\ufe0f", "\u180b"],
    ids=lambda each: f"U+{ord(each):04X}",
)
def test_two_names_that_differ_do_not_look_the_same(invisible: str) -> None:
    """All of these are Default_Ignorable_Code_Point: a terminal draws nothing, or a blank, for them."""
    assert invisible not in printable(f"web{invisible}")


# Columns of the terminal


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", 0),
        ("web", 3),
        ("日本語", 6),
        ("ﾊﾝｶｸ", 4),
        ("\uff37\uff25\uff22", 6),
        ("é", 1),
        ("e\u0301", 1),
        ("e" + "\u0301" * 60, 1),
        ("한", 2),
        ("\u1112\u1161\u11ab", 2),
        ("שלום", 4),
        ("🐳", 2),
        ("…", 1),
        ("■▲▾▸▴├└·↓↑", 10),
        ("▁▂▃▄▅▆▇█▏▎▍▌▋▊▉", 15),
    ],
)
def test_a_text_takes_as_many_columns_as_a_terminal_draws(text: str, expected: int) -> None:
    assert cell_width(text) == expected


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_what_is_drawn_is_measured_as_textual_measures_it(name: str) -> None:
    """Rows are put together by one measure and painted by the other: where they differ, columns do not line up."""
    shown = printable(HOSTILE_NAMES[name])

    assert cell_width(shown) == cell_len(shown)


@given(DRAWN_TEXT, st.integers(0, 40), st.booleans())
def test_a_padded_text_has_exactly_its_width(text: str, width: int, is_left: bool) -> None:
    assert cell_width(padded(text, width, is_left=is_left)) == width


@given(DRAWN_TEXT, st.integers(0, 40))
def test_a_cut_text_keeps_both_its_ends(text: str, width: int) -> None:
    shown = cut(text, width)

    assert cell_width(shown) <= width
    if cell_width(text) <= width:
        assert shown == text
    elif width:
        left, mark, right = shown.partition("…") if "…" not in text else (shown, "…", "")
        assert mark
        if "…" not in text:
            assert text.startswith(left)
            assert text.endswith(right)


@pytest.mark.parametrize(
    ("text", "width", "expected"),
    [
        ("checkout-7d9c5b6f4-x2x9k", 24, "checkout-7d9c5b6f4-x2x9k"),
        ("checkout-7d9c5b6f4-x2x9k", 11, "check…x2x9k"),
        ("checkout-7d9c5b6f4-x2x9k", 10, "check…2x9k"),
        ("checkout", 2, "c…"),
        ("checkout", 1, "…"),
        ("checkout", 0, ""),
        ("日本語の名前", 6, "日…前"),
        ("日本語の名前", 2, "…"),
    ],
)
def test_a_long_text_loses_its_middle(text: str, width: int, expected: str) -> None:
    assert cut(text, width) == expected


def test_numbers_stand_to_the_right_and_names_to_the_left() -> None:
    assert padded("9", 4) == "   9"
    assert padded("web", 5, is_left=True) == "web  "


# Numbers


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (None, "-"),
        (0, "0"),
        (0.4, "0"),
        (512, "512"),
        (1023, "1023"),
        (1023.4, "1023"),
        (1023.6, "1.00k"),
        (1024, "1.00k"),
        (1536, "1.50k"),
        (9.99 * 1024, "9.99k"),
        (9.996 * 1024, "10.0k"),
        (99.96 * 1024, "100k"),
        (1023 * 2**20, "1023M"),
        (1023.6 * 2**20, "1.00G"),
        (2**40, "1.00T"),
        (TWO_TO_64 - 1, "16.0E"),
    ],
)
def test_bytes(count: float | None, expected: str) -> None:
    assert to_bytes_text(count) == expected


@given(st.floats(0, TWO_TO_64) | st.integers(0, TWO_TO_64))
def test_bytes_never_exceed_their_width_and_are_right_to_three_digits(count: float) -> None:
    text = to_bytes_text(count)
    unit = text[-1] if text[-1].isalpha() else ""

    assert len(text) <= BYTES_WIDTH
    said = float(text.removesuffix(unit)) * 1024 ** " kMGTPE".index(unit or " ")
    assert said == pytest.approx(count, rel=0.0051, abs=0.5)


@given(st.floats(0, TWO_TO_64), st.floats(0, TWO_TO_64))
def test_more_bytes_never_read_as_less(one: float, other: float) -> None:
    def read(text: str) -> float:
        unit = text[-1] if text[-1].isalpha() else ""
        return float(text.removesuffix(unit)) * 1024.0 ** " kMGTPE".index(unit or " ")

    less, more = sorted((one, other))

    assert read(to_bytes_text(less)) <= read(to_bytes_text(more))


@pytest.mark.parametrize(
    ("cores", "expected"),
    [
        (None, "-"),
        (0.0, "0.00"),
        (0.004, "0.00"),
        (0.95, "0.95"),
        (9.994, "9.99"),
        (9.996, "10.0"),
        (99.94, "99.9"),
        (99.96, "100"),
        (128.0, "128"),
    ],
)
def test_cores(cores: float | None, expected: str) -> None:
    assert to_cores_text(cores) == expected


@pytest.mark.parametrize(
    ("share", "expected"),
    [(None, "-"), (0.0, "0%"), (0.004, "0%"), (0.61, "61%"), (0.996, "100%"), (1.0, "100%"), (9.99, "999%")],
)
def test_percent(share: float | None, expected: str) -> None:
    assert to_percent_text(share) == expected


@given(st.floats(0, 10_000))
def test_a_share_of_a_limit_that_was_just_lowered_keeps_to_its_width(share: float) -> None:
    """Two CPUs used in an interval at whose end the limit is 0.1 are 2000%."""
    assert len(to_percent_text(share)) <= 4


@pytest.mark.parametrize(
    ("count", "expected"), [(None, "-"), (0, "0"), (99_999, "99999"), (100_000, "100k"), (4_194_304, "4194k")]
)
def test_counts(count: int | None, expected: str) -> None:
    assert to_count_text(count) == expected


@given(st.integers(0, 2**22), st.floats(0, 99_999), st.floats(0, 999 * 365 * DAY_S))
def test_counts_cores_and_ages_never_exceed_their_width(count: int, cores: float, age_s: float) -> None:
    """As many tasks as the kernel has pids for, more CPUs than it can have, an age since the clock was wrong."""
    assert len(to_count_text(count)) <= 5
    assert len(to_cores_text(cores)) <= 5
    assert len(to_age_text(age_s)) <= 4


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (None, "-"),
        (-5.0, "0s"),
        (0.0, "0s"),
        (59.9, "59s"),
        (60.0, "1m"),
        (3599.9, "59m"),
        (3600.0, "1h"),
        (DAY_S - 1, "23h"),
        (DAY_S, "1d"),
        (365 * DAY_S - 1, "364d"),
        (365 * DAY_S, "1y"),
        (800 * DAY_S, "2y"),
    ],
)
def test_ages(seconds: float | None, expected: str) -> None:
    assert to_age_text(seconds) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.0, "0m"),
        (59.0, "0m"),
        (300.0, "5m"),
        (4 * 3600 + 300, "4h 5m"),
        (DAY_S, "1d 0h"),
        (3 * DAY_S + 14_400, "3d 4h"),
    ],
)
def test_uptimes(seconds: float, expected: str) -> None:
    assert to_uptime_text(seconds) == expected


@given(st.integers(0, 4_102_444_800_000))
def test_a_time_is_written_to_the_millisecond_in_utc(milliseconds: int) -> None:
    text = to_time_text(milliseconds * 10**6)

    assert text is not None
    assert text.endswith("Z")
    moment = datetime.fromisoformat(text)
    assert round(moment.timestamp() * 1000) == milliseconds


def test_an_unknown_time_is_none() -> None:
    assert to_time_text(None) is None
