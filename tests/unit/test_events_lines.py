"""What has happened, as it is written."""

from __future__ import annotations

from dataclasses import replace
from operator import is_
from typing import TYPE_CHECKING, Any

import pytest
from fakes import START_WALL_NS
from hypothesis import given
from hypothesis import strategies as st
from samples import SECOND_NS, docker_key, node_of, pod_of, text_of, tree_of, unsafe

from topcon.model.event import Event, Events, Kind
from topcon.model.snapshot import Severity
from topcon.text import cell_width
from topcon.ui.events import Log, empty_entry, of_node, successor, title_spans, words_of, written
from topcon.ui.spans import Tone

if TYPE_CHECKING:
    from collections.abc import Iterable

    from topcon.ui.tabs.seen import Entry

DAY_S = 86_400
NOON_NS = START_WALL_NS - START_WALL_NS % (DAY_S * SECOND_NS) + DAY_S // 2 * SECOND_NS


def event(name: str = "web", seconds: float = 0.0, text: str = "started", **options: Any) -> Event:
    given: dict[str, Any] = {
        "wall_ns": NOON_NS + int(seconds * SECOND_NS),
        "monotonic_ns": 0,
        "kind": Kind.START,
        "target": docker_key(name),
        "number": int(seconds),
    }
    return Event(**(given | {"name": name, "text": text} | options))


def log(events: Iterable[Event], width: int = 80, words: str = "", *, today_ns: int = NOON_NS) -> Log:
    return written(Log(width, words_of(words), has_names=True), tuple(events), today_ns)


def texts(entries: Iterable[Entry]) -> list[str]:
    return [text_of(entry.spans).rstrip() for entry in entries]


def test_an_event_has_the_time_of_day_a_mark_and_a_name() -> None:
    entries = log(
        [
            event(),
            event("db", 1, "exited with 137 (SIGKILL)", severity=Severity.WARNING),
            event("hog", 2, "a process was killed for memory", severity=Severity.CRITICAL),
        ]
    ).entries

    assert texts(entries) == [
        " 12:00:00   web                   started",
        " 12:00:01 ▲ db                    exited with 137 (SIGKILL)",
        " 12:00:02 ■ hog                   a process was killed for memory",
    ]
    assert [entry.key for entry in entries] == ["0", "1", "2"]
    assert {span.tone for span in entries[2].spans} == {Tone.DIM, Tone.BAD, Tone.PLAIN}


def test_where_there_is_room_the_pod_stands_before_a_name_that_does_not_say_it() -> None:
    events = [event(pod="shop"), event("shop-web", pod="shop"), event("x" * 40, pod="shop")]

    lines = texts(log(events, 160).entries)

    assert [line[12:24].rstrip() for line in lines] == ["shop/web", "shop-web", "x" * 12]


@pytest.mark.parametrize(
    ("today_s", "expected"),
    [
        (0, [" 12:00:00", " 12:00:01", " Tue 22 Sep 2026", " 00:00:00", " 12:00:00"]),
        (DAY_S, [" Mon 21 Sep 2026", " 12:00:00", " 12:00:01", " Tue 22 Sep 2026", " 00:00:00", " 12:00:00"]),
    ],
)
def test_the_date_stands_where_it_changes(today_s: int, expected: list[str]) -> None:
    events = [event(seconds=seconds) for seconds in (0, 1, DAY_S // 2, DAY_S)]

    entries = log(events, today_ns=NOON_NS + today_s * SECOND_NS).entries

    assert [line.partition("   ")[0] for line in texts(entries)] == expected
    assert all((entry.key is None) == ("20" in text_of(entry.spans)) for entry in entries)


def test_a_long_text_goes_on_below() -> None:
    entries = log([event(text="one two three four five six seven eight nine ten eleven")], 60).entries

    assert texts(entries) == [
        " 12:00:00   web              one two three four five six",
        "                             seven eight nine ten eleven",
    ]
    assert [entry.key for entry in entries] == ["0", None]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("", ["0", "1", "2"]),
        ("WEB", ["0"]),
        ("exited shop", ["1"]),
        ("oom", ["2"]),
        ("shop/db", ["1"]),
        ("nothing", []),
    ],
)
def test_words_that_are_looked_for(words: str, expected: list[str]) -> None:
    events = [
        event(),
        event("db", 1, "exited with 1", kind=Kind.EXIT, pod="shop"),
        event("job", 2, "a process was killed", kind=Kind.OOM),
    ]

    assert [entry.key for entry in log(events, words=words).entries] == expected


def test_only_what_is_new_is_written() -> None:
    events = tuple(event(seconds=seconds) for seconds in range(5))
    before = log(events[:3])

    after = written(before, events, NOON_NS)

    assert all(map(is_, before.entries, after.entries))
    assert after.entries[3:] == log(events[3:]).entries
    assert written(after, events, NOON_NS) is after


@pytest.mark.parametrize(
    "now",
    [
        pytest.param((0, 2, 1), id="one that is told late"),
        pytest.param((1, 2, 3), id="the oldest is forgotten"),
        pytest.param((5,), id="others"),
        pytest.param((), id="nothing"),
    ],
)
def test_where_what_was_there_has_changed_all_is_written_anew(now: tuple[int, ...]) -> None:
    events = [event(seconds=seconds) for seconds in range(6)]
    before = log(events[:2])

    chosen = tuple(events[at] for at in now)

    assert written(before, chosen, NOON_NS).entries == log(chosen).entries


@given(st.text(), st.text(), st.text(), st.integers(1, 200))
def test_no_line_is_longer_than_the_screen_or_orders_it_about(name: str, pod: str, text: str, width: int) -> None:
    for entry in log([event(name, pod=pod, text=text)], width).entries:
        line = text_of(entry.spans)
        assert cell_width(line) <= width
        assert not unsafe(line)


def test_the_title_says_how_many_are_shown_and_how_many_are_forgotten() -> None:
    events = Events(entries=(event(), event()), forgotten=12)

    assert text_of(title_spans(events, 80)).split("WHAT")[1] == "   12 older ones are forgotten"
    assert text_of(title_spans(events, 80, filter_text="oom", count=1)).split("WHAT")[1] == "   1 of 2 with oom"


def test_where_there_is_nothing_it_is_said_why() -> None:
    since = Events(since_ns=NOON_NS)

    assert texts([empty_entry(since, "", 80)]) == [" nothing has happened since 12:00:00, when topcon was started"]
    assert texts([empty_entry(replace(since, entries=(event(),)), "oom", 80)]) == [
        " nothing that has happened has oom in it; esc shows all"
    ]


WEB, DB = node_of("web"), node_of("db")
SHOP = pod_of(WEB, DB, name="shop")
ALONE = pod_of(node_of("adrift"))
SNAPSHOT = replace(
    tree_of(SHOP, ALONE),
    events=Events(
        entries=(
            event("web", 0, pod="shop"),
            event("web", 1, target="docker:before", pod="shop"),
            event("web", 2, target="docker:elsewhere"),
            event("cache", 3, pod="shop"),
            event("adrift", 4),
            event("adrift", 5, target="docker:earlier"),
            event("docker", 6, target="runtime:docker"),
        )
    ),
)


def test_a_container_has_its_own_events_and_those_of_its_place() -> None:
    numbers = {node.name: [each.number for each in of_node(SNAPSHOT, node)] for node in (WEB, DB, ALONE.containers[0])}

    assert numbers == {"web": [0, 1], "db": [], "adrift": [4, 5]}


def test_a_pod_has_those_of_all_that_are_or_were_in_it() -> None:
    assert [each.number for each in of_node(SNAPSHOT, SHOP)] == [0, 1, 3]


def test_a_group_has_those_of_its_containers() -> None:
    group = SHOP._replace(key="image:shop")

    assert [each.number for each in of_node(SNAPSHOT, group)] == [0]


def test_who_is_gone_has_a_successor_where_its_place_is_taken() -> None:
    found = [successor(SNAPSHOT, each) for each in SNAPSHOT.events.entries]

    assert [node.key if node else None for node in found] == [
        WEB.key,
        WEB.key,
        None,
        None,
        docker_key("adrift"),
        docker_key("adrift"),
        None,
    ]
