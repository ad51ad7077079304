"""The list that columns are chosen from."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import text_of

from topcon.columns import COLUMN_NAMES, SETS
from topcon.ui.column_list import SET_LETTERS, ColumnList, column_lines, column_list, set_spans
from topcon.ui.spans import Tone


@pytest.mark.parametrize("column_set", SETS)
def test_what_a_set_shows_is_its_own_until_something_is_changed(column_set: str) -> None:
    chosen = column_list(column_set)

    assert chosen.own is None
    assert sorted(chosen.order) == sorted(COLUMN_NAMES)
    assert chosen.toggled().own is not None
    assert chosen.toggled().toggled().own is None


def test_what_a_person_has_chosen_comes_first_in_its_order() -> None:
    chosen = column_list("overview", ("pids", "cpu"))

    assert chosen.order[:2] == ("pids", "cpu")
    assert chosen.own == ("pids", "cpu")


def test_a_column_that_is_moved_takes_the_cursor_along() -> None:
    chosen = column_list("overview", ("pids", "cpu", "mem")).moved_to(2)

    once = chosen.carried(-1)

    assert (once.own, once.order[once.at]) == (("pids", "mem", "cpu"), "mem")
    assert once.carried(1) == chosen
    assert chosen.moved_to(0).carried(-1) == chosen.moved_to(0)


@given(st.lists(st.sampled_from(["toggle", "up", "down", "next", "previous"])))
def test_no_column_is_lost_or_doubled(steps: list[str]) -> None:
    chosen: ColumnList = column_list("memory")
    for step in steps:
        match step:
            case "toggle":
                chosen = chosen.toggled()
            case "up" | "down":
                chosen = chosen.carried(1 if step == "down" else -1)
            case _:
                chosen = chosen.moved_to(chosen.at + (1 if step == "next" else -1))

    assert sorted(chosen.order) == sorted(COLUMN_NAMES)
    assert 0 <= chosen.at < len(chosen.order)


def test_each_set_has_a_letter_of_its_own() -> None:
    assert list(SET_LETTERS.values()) == list(SETS)
    assert not set("qjk,.") & SET_LETTERS.keys()


def test_the_column_under_the_cursor_is_marked() -> None:
    lines = column_lines(column_list("cpu").moved_to(5))

    assert [at for at, line in enumerate(lines) if text_of(line).startswith("▸")] == [5]


def test_the_set_that_is_shown_is_marked_and_none_once_it_is_changed() -> None:
    chosen = column_list("io")

    def marked(chosen: ColumnList) -> list[str]:
        return [span.text.strip() for span in set_spans(chosen, 80) if span.tone is Tone.STRONG]

    assert (marked(chosen), marked(chosen.toggled())) == (["io"], [])
