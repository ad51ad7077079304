"""What is typed after the colon is taken for a command of the table, or it is said what was expected."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import unhurried

from topcon.config import INTERVAL_SETTING
from topcon.ui.command import COMMANDS, parse_command


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("interval 5s", ("interval", 5.0)),
        ("interval 0.5", ("interval", 0.5)),
        (" :interval   3600 ", ("interval", 3600.0)),
        ("q", ("quit", None)),
        ("quit", ("quit", None)),
        (":tree", ("tree", None)),
        ("namespaces", ("namespaces", None)),
        ("sources ", ("sources", None)),
        ("help", ("help", None)),
    ],
)
def test_a_command_is_understood(text: str, asked: tuple[str, float | None]) -> None:
    assert parse_command(text, INTERVAL_SETTING.parse) == asked


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "'': expected one of tree, namespaces, sources, interval, help, quit"),
        ("interva 5", "'interva': expected one of tree, namespaces, sources, interval, help, quit"),
        ("interval", "'': expected seconds from 0.1 to 3600"),
        ("interval 0.01", "'0.01': expected seconds from 0.1 to 3600"),
        ("interval nan", "'nan': expected seconds from 0.1 to 3600"),
        ("interval 5 m", "'5 m': expected seconds from 0.1 to 3600"),
        ("q now", "'now': expected nothing after q"),
    ],
)
def test_what_makes_no_sense_is_told_with_what_was_expected(text: str, expected: str) -> None:
    with pytest.raises(ValueError, match="expected") as caught:
        parse_command(text, INTERVAL_SETTING.parse)

    assert str(caught.value) == expected


@unhurried
@given(st.text())
def test_any_text_is_a_command_or_told_in_one_line(text: str) -> None:
    try:
        action, _ = parse_command(text, INTERVAL_SETTING.parse)
        told = action if action in {command.action for command in COMMANDS} else None
    except ValueError as error:
        told = str(error)

    assert told is not None
    assert "\n" not in told


def test_no_two_commands_have_one_name() -> None:
    names = [name for command in COMMANDS for name in command.names]

    assert len(names) == len(set(names))


def test_the_usage_names_the_argument() -> None:
    assert [command.usage for command in COMMANDS if command.action in {"interval", "quit"}] == [
        ":interval SECONDS",
        ":quit  :q",
    ]
