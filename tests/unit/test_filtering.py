"""What helps in typing a filter."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from fakes import SECOND_NS, START_WALL_NS
from hypothesis import given
from hypothesis import strategies as st
from samples import HOSTILE_NAMES, node_of, pod_of, tree_of, unsafe

from topcon.filter import Filter, parse_filter
from topcon.rows import ViewState, rows
from topcon.ui.filtering import Matches, Typed, completed, next_match, pasted

if TYPE_CHECKING:
    from topcon.model.snapshot import ContainerNode, PodNode

SAVED = ("busy", "batch", "sick")


@pytest.mark.parametrize(
    ("text", "expected", "candidates"),
    [
        ("thr", "throttled>", ()),
        ("web THR", "web throttled>", ()),
        ("!(hea", "!(health:", ()),
        ("mem", "mem", ("mem>", "mem%>")),
        ("me", "mem", ("mem>", "mem%>")),
        ("na", "name", ("name:", "namespace:")),
        ("lab", "label.", ()),
        ("@s", "@sick", ()),
        ("web|@b", "web|@b", ("@busy", "@batch")),
        ("@", "@", ("@busy", "@batch", "@sick")),
        ("@B", "@B", ()),
        ("zzz", "zzz", ()),
        ("name:w", "name:w", ()),
    ],
)
def test_a_field_or_a_saved_filter_is_completed_as_far_as_it_is_clear(
    text: str, expected: str, candidates: tuple[str, ...]
) -> None:
    assert completed(text, SAVED) == (expected, candidates)


@given(st.text())
def test_completion_takes_nothing_away(text: str) -> None:
    assert completed(text, SAVED).text.lower().startswith(text.lower())


@pytest.mark.parametrize("name", HOSTILE_NAMES.values())
def test_what_is_pasted_is_one_printable_line(name: str) -> None:
    assert not unsafe(pasted(name))


def test_a_pasted_list_is_of_words() -> None:
    assert pasted(" web\n  db\r\n\tx\n") == "web db x"


def test_what_was_kept_comes_back_and_so_does_what_was_begun() -> None:
    typed = Typed()
    for text in ("web", "db", "web", ""):
        typed.keep(text)
    moves = []
    text = "begun"
    for step in (-1, -1, -1, 1, 1, 1):
        text = typed.moved(step, text)
        moves.append(text)

    assert moves == ["web", "db", "db", "web", "begun", "begun"]


def test_what_stands_there_already_is_passed_over() -> None:
    typed = Typed()
    for text in ("db", "web"):
        typed.keep(text)

    assert typed.moved(-1, "web") == "db"


def test_nothing_was_kept() -> None:
    assert Typed().moved(-1, "begun") == "begun"


class _Counted:
    """A filter's test that notes whom it was asked for."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def __call__(self, _: PodNode, container: ContainerNode, __: int | None) -> bool:
        self.names.append(container.name)
        return "web" in container.name


def test_only_pods_that_have_changed_are_counted_anew() -> None:
    asked = _Counted()
    web, shop = pod_of(node_of("web")), pod_of(node_of("db"), node_of("web-2"), name="shop")
    chosen, matches = Filter("web", asked), Matches()

    assert matches.count(tree_of(web, shop), chosen) == 2
    assert asked.names == ["web", "db", "web-2"]
    assert matches.count(tree_of(web, shop, pod_of(node_of("web-3"))), chosen) == 3
    assert asked.names == ["web", "db", "web-2", "web-3"]
    assert matches.count(tree_of(shop), chosen) == 1
    assert len(asked.names) == 4


def test_another_filter_counts_anew_and_none_counts_nothing() -> None:
    matches, tree = Matches(), tree_of(pod_of(node_of("web")), pod_of(node_of("db")))

    assert matches.count(tree, parse_filter("web")) == 1
    assert matches.count(tree, parse_filter("web|db")) == 2
    assert matches.count(tree, Filter()) is None


def test_time_makes_what_matches_by_its_age() -> None:
    pod, matches = pod_of(node_of("web")._replace(started_ns=START_WALL_NS)), Matches()

    def at(seconds: int) -> int | None:
        tree = tree_of(pod, wall_ns=START_WALL_NS + seconds * SECOND_NS)
        return matches.count(tree, parse_filter("age>5m"))

    assert [at(300), at(301)] == [0, 1]


def test_the_next_match_is_a_container_or_a_folded_pod_around_the_ends() -> None:
    shop = pod_of(node_of("a-1"), node_of("a-2"), name="a")
    folded = pod_of(node_of("b-1"), node_of("b-2"), name="b")
    view = ViewState(sort="name", collapsed=frozenset({"pod:compose:b"}))
    shown = rows(tree_of(shop, folded, pod_of(node_of("c"))), view)
    names = [row.line.node.name for row in shown]
    assert names == ["a", "a-1", "a-2", "b", "c"]

    def walked(name: str | None, step: int) -> list[str]:
        seen = []
        for _ in range(5):
            key = None if name is None else shown[names.index(name)].key
            at = next_match(shown, key, step)
            assert at is not None
            name = names[at]
            seen.append(name)
        return seen

    assert walked("a", 1) == ["a-1", "a-2", "b", "c", "a-1"]
    assert walked("a", -1) == ["c", "b", "a-2", "a-1", "c"]
    assert walked(None, 1)[0] == "a-1"
    assert walked(None, -1)[0] == "c"
    assert next_match([], None, 1) is next_match([], None, -1) is None
