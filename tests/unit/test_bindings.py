"""The table of keys: whole, without clashes, and what a person makes of it."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.keys import _character_to_key

from topcon.ui.bindings import (
    KEYS,
    TOGETHER,
    Place,
    check_keys,
    checked,
    ids,
    key_text,
    keys_of,
    parse_key,
    to_name,
    to_textual,
)

DOCUMENT = Path(__file__).parents[2] / "docs/keys.md"


@pytest.mark.parametrize("key", KEYS, ids=lambda key: f"{key.place}-{key.id}-{key.action}")
def test_keys_are_written_as_they_are_parsed(key: object) -> None:
    assert all(parse_key(each) == each for each in key.keys)  # type: ignore[attr-defined]


def test_no_key_of_a_place_means_two_things() -> None:
    for one, other in combinations(KEYS, 2):
        if one.place is other.place and one.id != other.id:
            assert not set(one.keys) & set(other.keys), (one.id, other.id)


def test_what_has_one_name_has_the_same_keys_everywhere() -> None:
    keys: dict[tuple[str, bool], set[tuple[str, ...]]] = {}
    for key in KEYS:
        keys.setdefault((key.id, key.place in {Place.PAGE, Place.HELP}), set()).add(key.keys)

    assert [name for name, different in keys.items() if len(different) > 1] == []


def test_what_changes_something_has_a_capital_or_a_function_key() -> None:
    for key in KEYS:
        if key.action.startswith("act("):
            assert all(each.isupper() or each == "f9" for each in key.keys), key.id


def test_nothing_that_changes_sits_on_a_key_of_tmux_readline_or_flow_control() -> None:
    taken = {f"ctrl+{letter}" for letter in "abdhjklsz"}

    assert all(not taken & set(key.keys) for key in KEYS if key.action.startswith("act("))


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("x", "x"),
        ("X", "X"),
        ("?", "?"),
        ("-", "-"),
        ("+", "+"),
        (",", ","),
        ("ü", "ü"),
        ("F5", "f5"),
        ("esc", "escape"),
        ("PgUp", "pageup"),
        ("Ctrl+U", "ctrl+u"),
        ("shift+ctrl+left", "ctrl+shift+left"),
        ("shift+x", "X"),
        ("question_mark", "?"),
        ("ctrl+i", "tab"),
        ("ctrl+m", "enter"),
        (" ", "space"),
    ],
)
def test_a_key_is_written_as_people_write_it(text: str, key: str) -> None:
    assert parse_key(text) == key


@pytest.mark.parametrize("text", ["", "xy", "F99", "hyper+x", "ctrl+ctrl+x", "ctrl+", "ctrl+?", "\x1b", "\n", "alt+ü"])
def test_what_no_terminal_tells_of_is_no_key(text: str) -> None:
    with pytest.raises(ValueError, match="expected a key, such as"):
        parse_key(text)


@given(st.text(max_size=12))
def test_any_text_is_a_key_or_told(text: str) -> None:
    try:
        told = parse_key(text)
        is_same = parse_key(told) == told
    except ValueError as error:
        told = str(error)
        is_same = "expected a key" in told

    assert is_same, told


@given(st.characters(codec="utf-8").filter(str.isprintable))
def test_characters_have_the_names_that_textual_gives_them(character: str) -> None:
    assert to_name(character) == _character_to_key(character)


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("question_mark", "?"),
        ("?", "?"),
        ("ctrl+u", "ctrl+u"),
        ("f10", "F10"),
        ("pageup", "PgUp"),
        ("f", "f"),
        ("plus", "+"),
        ("+", "+"),
        ("shift+left", "shift+←"),
        ("comma", ","),
        ("space", "space"),
    ],
)
def test_a_key_is_shown_as_it_stands_on_the_keyboard(key: str, text: str) -> None:
    assert key_text(key) == text


def test_a_person_has_other_keys_for_things() -> None:
    keymap, problems = checked({"quit": ("Q", "f10"), "sort": "ctrl+o"})

    assert problems == {}
    assert keymap == {"quit": ("Q", "f10"), "sort": ("ctrl+o",)}
    assert keys_of("quit", keymap) == ("Q", "f10")
    assert keys_of("help", keymap) == ("?", "f1", "h")


def test_two_things_can_change_their_keys() -> None:
    keymap, problems = checked({"reverse": "f", "freeze": "r"})

    assert problems == {}
    assert keymap == {"reverse": ("f",), "freeze": ("r",)}


@pytest.mark.parametrize(
    ("asked", "problems"),
    [
        ({"sotr": "x"}, ["sotr: expected the name of an action, such as sort"]),
        ({"sort": "nonsense"}, ["sort: 'nonsense': expected a key, such as"]),
        ({"sort": []}, ["sort: expected a key, or a list of keys"]),
        ({"sort": "r"}, ["sort: r is the key of reverse already"]),
        ({"sort": "up"}, ["sort: ↑ is the key of up already"]),
        ({"freeze": "q"}, ["freeze: q is the key of quit already"]),
        ({"down": "q"}, ["down: q is the key of close already"]),
        ({"sort": "Z", "filter": "Z"}, ["sort: Z is the key of filter already"]),
        # What falls back to its own keys is in the way of another.
        (
            {"sort": "r", "reverse": ["r", "s"]},
            ["sort: r is the key of reverse already", "reverse: s is the key of sort"],
        ),
    ],
)
def test_what_cannot_be_is_told_and_the_keys_of_the_table_stay(
    asked: dict[str, str | list[str]], problems: list[str]
) -> None:
    told = check_keys(asked)

    assert len(told) == len(problems)
    assert all(line.startswith(problem) for line, problem in zip(told, problems, strict=True))


@given(st.dictionaries(st.sampled_from(ids()), st.lists(st.sampled_from("abcqrsS?/:"), max_size=3), max_size=6))
def test_whatever_a_person_wants_no_key_means_two_things(asked: dict[str, list[str]]) -> None:
    keymap, problems = checked(asked)

    assert keymap.keys() | problems.keys() == asked.keys()
    for one, other in combinations(KEYS, 2):
        if one.id == other.id or not any(one.place in each and other.place in each for each in TOGETHER):
            continue
        both = set(keymap.get(one.id, one.keys)) & set(keymap.get(other.id, other.keys))
        assert both <= set(one.keys) & set(other.keys)


def test_a_comma_is_a_key_though_it_parts_keys() -> None:
    assert to_textual(",") == "comma"


def test_the_document_lists_all_keys() -> None:
    rows = {}
    for key in KEYS:
        keys = ", ".join(f"`{key_text(each)}`" for each in key.keys)
        rows.setdefault((key.id, key.text), f"| `{key.id}` | {keys} | {key.text} |")
    listed = [line for line in DOCUMENT.read_text().splitlines() if line.startswith("| `")]

    assert sorted(listed) == sorted(rows.values())
