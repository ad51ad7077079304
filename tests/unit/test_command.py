"""What is typed after the colon is taken for a command of the table, or it is said what was expected."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topcon.config import INTERVAL_SETTING
from topcon.ui.command import COMMANDS, Argument, Command, offers, parse_command, parse_saved, parse_thing

ARGUMENTS = {
    "SECONDS": Argument(("1", "5"), INTERVAL_SETTING.parse),
    "THEME": Argument(("topcon-dark", "topcon-light", "paper")),
    "COLUMN": Argument(("name", "cpu", "memory")),
    "SET": Argument(("overview",)),
    "EXPRESSION": Argument(("@mine",), str),
    "filter NAME": Argument(("filter ",), parse_saved),
    "THING": Argument((), parse_thing),
}


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("interval 5s", ("interval", (5.0,))),
        ("interval 0.5", ("interval", (0.5,))),
        (" :interval   3600 ", ("interval", (3600.0,))),
        ("q", ("quit", ())),
        ("quit", ("quit", ())),
        (":tree", ("tree", ())),
        ("namespaces", ("namespaces", ())),
        ("sources ", ("sources", ())),
        ("help", ("help", ())),
        ("theme paper", ("set_theme", ("paper",))),
        ("theme", ("themes", ())),
        ("sort cpu", ("sort_column", ("cpu",))),
        ("filter a b", ("filter_by", ("a b",))),
        ("save", ("save", ())),
        ("who :8080", ("who", (":8080",))),
        ("who  pid 12 ", ("who", ("pid 12",))),
        ("save filter  @mine", ("save", ("mine",))),
    ],
)
def test_a_command_is_understood(text: str, asked: tuple[str, tuple[object, ...]]) -> None:
    call = parse_command(text, COMMANDS, ARGUMENTS)

    assert (call.action, call.values) == asked


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "'': expected a command"),
        ("xyz", "'xyz': expected a command"),
        ("interva 5", "'interva 5': expected a command, such as interval, filter, since"),
        ("interval", "'': expected seconds from 0.1 to 3600"),
        ("interval 0.01", "'0.01': expected seconds from 0.1 to 3600"),
        ("interval nan", "'nan': expected seconds from 0.1 to 3600"),
        ("interval 5 m", "'5 m': expected seconds from 0.1 to 3600"),
        ("q now", "'now': expected nothing after quit"),
        ("theme papre", "'papre': expected one of paper"),
        ("theme 0", "'0': expected one of topcon-dark, topcon-light, paper"),
        ("save mine", "'mine': expected filter NAME, or nothing"),
        (
            "who ",
            "'': expected a pid, :port, address, interface, cgroup, path, line of dmesg, name or id",
        ),
    ],
)
def test_what_makes_no_sense_is_told_with_what_was_expected(text: str, expected: str) -> None:
    with pytest.raises(ValueError, match="expected") as caught:
        parse_command(text, COMMANDS, ARGUMENTS)

    assert str(caught.value) == expected


@given(st.text())
def test_any_text_is_a_command_or_told_in_one_line(text: str) -> None:
    try:
        call = parse_command(text, COMMANDS, ARGUMENTS)
        told = call.action if call.command in COMMANDS else None
    except ValueError as error:
        told = str(error)

    assert told is not None
    assert "\n" not in told


def test_no_two_commands_have_one_name() -> None:
    names = [name for command in COMMANDS for name in command.names]

    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("command", "usage"),
    [
        (Command(("quit", "q"), "", "quit"), ":quit  :q"),
        (Command(("interval",), "", "interval", "SECONDS"), ":interval SECONDS"),
        (Command(("theme",), "", "set_theme", "THEME", bare="themes"), ":theme [THEME]"),
    ],
)
def test_the_usage_names_the_argument(command: Command, usage: str) -> None:
    assert command.usage == usage


def texts(typed: str) -> list[str]:
    return [offer.text for offer in offers(typed, COMMANDS, ARGUMENTS)]


def test_all_is_offered_in_an_empty_line() -> None:
    assert [text.strip() for text in texts("")] == [command.names[0] for command in COMMANDS]


@pytest.mark.parametrize(
    ("typed", "first"),
    [
        ("sor", "sort "),
        ("sour", "sources"),
        ("stopped", "remove-stopped"),
        ("topcon costs", "sources"),
        ("nmsp", "namespaces"),
        (":HELP", "help"),
        ("ns", "namespaces"),
        ("q!", "quit"),
        ("theme p", "theme paper"),
        ("theme light", "theme topcon-light"),
        ("theme ", "theme topcon-dark"),
        ("sort m", "sort memory"),
        ("filter ", "filter @mine"),
    ],
)
def test_what_is_nearest_is_offered_first(typed: str, first: str) -> None:
    assert texts(typed)[0] == first


@pytest.mark.parametrize("typed", ["zzz", "theme zzz", "help me", "interva 5"])
def test_what_leads_nowhere_is_offered_nothing(typed: str) -> None:
    assert texts(typed) == []


@given(st.text())
def test_what_is_offered_whole_is_understood(text: str) -> None:
    for offer in offers(text, COMMANDS, ARGUMENTS):
        if offer.is_whole:
            assert parse_command(offer.text, COMMANDS, ARGUMENTS).action
