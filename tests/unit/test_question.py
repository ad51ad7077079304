"""What is asked before anything is changed."""

from __future__ import annotations

from typing import Any

import pytest
from samples import HOSTILE_NAMES, node_of, text_of, unsafe

from topcon.actions import Verb, Way
from topcon.model.sample import State
from topcon.text import cell_width
from topcon.ui.question import (
    Question,
    Target,
    Wish,
    broken,
    default_grace_s,
    gathered,
    lines_of,
    refusal,
    title,
    typed_answers,
)
from topcon.ui.signal_choices import CHOICES, choices


def target(name: str, *consequences: str, way: Way | None = Way.RUNTIME, obstacle: str = "", **info: Any) -> Target:
    return Target(node_of(name, **info), way, consequences, obstacle)


def said(question: Question, wish: Wish | None = None) -> list[str]:
    return [text_of(spans) for spans in lines_of(question, wish or Wish(signal=question.signal))]


def test_a_question_names_what_is_acted_on() -> None:
    one = Question(Verb.STOP, (target("web"),))
    through = Question(Verb.STOP, (target("web", way=Way.KERNEL),))
    several = Question(Verb.STOP, (target("web"), target("db"), target("old", way=None, obstacle="it is exited")))

    assert title(one).startswith("Stop web?  (docker, ")
    assert title(through).endswith(", through the kernel)")
    assert title(several) == "Stop 2 containers?"


def test_of_several_each_is_named_with_its_runtime_and_state() -> None:
    lines = said(Question(Verb.STOP, (target("web"), target("db", state=State.PAUSED))))

    assert [" ".join(line.split()) for line in lines[:2]] == ["web docker, running", "db docker, paused"]
    assert "• all: sends SIGTERM, after 10 s SIGKILL" in lines


def test_those_that_cannot_be_acted_on_are_named_with_the_reason() -> None:
    lines = said(Question(Verb.STOP, (target("web"), target("old", way=None, obstacle="it is exited"))))

    assert lines[-2:] == ["Not the other:", "  old: it is exited"]


def test_one_alone_is_told_as_it_is() -> None:
    assert said(Question(Verb.STOP, (target("web", "ends the pod"),))) == [
        "• sends SIGTERM, after 10 s SIGKILL",
        "• ends the pod",
    ]


def test_what_several_have_in_common_is_told_once() -> None:
    effects = [("web", ["ends the pod", "a"]), ("db", ["ends the pod"]), ("cron", ["ends the pod", "b"])]

    assert list(gathered(effects)) == ["all: ends the pod", "web: a", "cron: b"]


def test_of_many_the_first_are_named() -> None:
    effects = [(f"c{at}", ["ends the pod"] if at else []) for at in range(9)]

    assert list(gathered(effects)) == ["c1, c2, c3 and 5 more: ends the pod"]


def test_connections_are_summed() -> None:
    effects = [
        ("web", ["3 open TCP connections will be cut"]),
        ("db", ["1 open TCP connection will be cut"]),
        ("cron", []),
    ]

    assert list(gathered(effects)) == ["web, db: 4 open TCP connections will be cut"]


def test_other_numbers_are_not_summed() -> None:
    effects = [("a", ["sends SIGTERM, after 10 s SIGKILL"]), ("b", ["sends SIGTERM, after 30 s SIGKILL"])]

    assert list(gathered(effects)) == ["a: sends SIGTERM, after 10 s SIGKILL", "b: sends SIGTERM, after 30 s SIGKILL"]


def test_the_grace_period_is_each_its_own_unless_one_is_given() -> None:
    question = Question(Verb.STOP, (target("web", grace_s=30.0), target("db")))

    assert default_grace_s(question) is None
    assert default_grace_s(Question(Verb.STOP, (target("web"), target("db")))) == 10.0
    assert "• web: sends SIGTERM, after 30 s SIGKILL" in said(question)
    assert "• all: sends SIGTERM, after 5 s SIGKILL" in said(question, Wish(5.0))


def test_a_removal_wants_its_name_or_its_number_typed() -> None:
    one = Question(Verb.REMOVE, (target("web", state=State.EXITED),))
    several = Question(Verb.REMOVE, (*one.targets, target("db", state=State.EXITED), target("c", way=None)))

    assert typed_answers(one) == ("web", one.targets[0].container.info.id[:12])
    assert typed_answers(several) == ("remove 2",)
    assert typed_answers(Question(Verb.STOP, one.targets)) == ()


def test_what_can_be_done_to_none_says_why() -> None:
    old = target("old", way=None, obstacle="it is exited")

    assert refusal(Verb.STOP, [old]) == "cannot stop old: it is exited"
    assert refusal(Verb.STOP, [old, old]) == "cannot stop old: it is exited (and 1 more)"


@pytest.mark.parametrize("name", HOSTILE_NAMES.values(), ids=HOSTILE_NAMES)
@pytest.mark.parametrize("width", [20, 70])
def test_hostile_names_do_nothing_and_keep_to_the_width(name: str, width: int) -> None:
    targets = (target(name), target("db"), target(name, way=None, obstacle=name))
    question = Question(Verb.REMOVE, targets)

    lines = [text_of(spans) for spans in broken(lines_of(question, Wish()), width)]

    assert not any(unsafe(line) for line in (*lines, title(question), title(Question(Verb.STOP, targets[:1]))))
    if name.isascii():
        assert max(map(cell_width, lines)) <= width
    assert not unsafe(refusal(Verb.STOP, targets[2:]))


# Signals.


def test_the_menu_begins_with_the_gentle_one() -> None:
    assert choices("")[0].name == "SIGTERM"
    assert choices("") == CHOICES


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("kill", "SIGKILL"),
        ("k", "SIGKILL"),
        ("9", "SIGKILL"),
        ("15", "SIGTERM"),
        ("1", "SIGHUP"),
        ("sigusr", "SIGUSR1"),
        ("usr2", "SIGUSR2"),
        (" hup ", "SIGHUP"),
        ("rtmin+5", "SIGRTMIN+5"),
        ("31", "SIGSYS"),
        ("sys", "SIGSYS"),
    ],
)
def test_typing_finds_a_signal_by_name_or_number(text: str, first: str) -> None:
    assert choices(text)[0].name == first


@pytest.mark.parametrize("text", ["none", "99", "-9", "kill9"])
def test_there_is_no_such_signal(text: str) -> None:
    assert choices(text) == ()


def test_each_signal_is_there_once() -> None:
    numbers = [choice.number for choice in CHOICES]

    assert len(set(numbers)) == len(numbers)
    assert {9, 15, 1, 2, 3, 10, 12, 19, 18, 6, 28} <= set(numbers)
