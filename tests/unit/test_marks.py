"""Marked rows, and whom a key acts on."""

from __future__ import annotations

from dataclasses import replace

import pytest
from samples import docker_key, node_of, pod_of, tree_of

from topcon.filter import parse_filter
from topcon.model.sample import PodInfo, PodKind, Role, State
from topcon.rows import Row, ViewState, rows
from topcon.ui.marks import between, containers_of, is_superfluous, keys_of, marked, settled, toggled

SHOP = pod_of(node_of("web"), node_of("db"), name="shop")
TREE = tree_of(SHOP, pod_of(node_of("cron")), pod_of(node_of("mail", state=State.EXITED)))
BY_NAME = ViewState(sort="name")


def mark(*names: str) -> set[str]:
    return {f"container:{docker_key(name)}" for name in names}


def shown(view: ViewState = BY_NAME) -> dict[str, Row]:
    """Return the rows by the names of what they show."""
    return {row.line.node.name: row for row in rows(TREE, view)}


def keys(view: ViewState = BY_NAME) -> set[str]:
    return {row.key for row in rows(TREE, view)}


def names_of(row: Row, view: ViewState = BY_NAME) -> set[str]:
    return {each.name for each in containers_of(row, keys(view))}


def test_a_row_is_its_container_and_a_group_all_of_its_own() -> None:
    assert names_of(shown()["web"]) == {"web"}
    assert names_of(shown()["cron"]) == {"cron"}
    assert names_of(shown()["shop"]) == {"web", "db"}


def test_what_a_filter_hides_is_not_acted_on() -> None:
    view = replace(BY_NAME, filter=parse_filter("web"))

    assert names_of(shown(view)["shop"], view) == {"web"}


def test_a_sandbox_out_of_sight_goes_with_its_pod() -> None:
    pod = pod_of(node_of("pause", role=Role.SANDBOX), node_of("web"), name="shop")
    row = rows(tree_of(pod), BY_NAME)[0]

    assert {each.name for each in containers_of(row, mark("web"))} == {"pause", "web"}
    assert containers_of(row, set()) == ()


def test_a_sandbox_stays_where_it_would_take_along_what_runs_out_of_sight() -> None:
    cron, done = node_of("cron"), node_of("done", state=State.EXITED)
    pod = pod_of(node_of("pause", role=Role.SANDBOX), node_of("web"), cron, done, name="shop")
    row = rows(tree_of(pod), BY_NAME)[0]

    assert [each.name for each in containers_of(row, mark("web"))] == ["web"]
    assert {each.name for each in containers_of(row, mark("web", "cron"))} == {"pause", "web", "cron"}


def test_a_mark_is_set_and_taken_away() -> None:
    once = toggled(frozenset(), shown()["web"], keys())
    twice = toggled(once, shown()["web"], keys())

    assert (once, twice) == (mark("web"), frozenset())


def test_a_group_is_marked_until_all_of_it_is_and_then_unmarked() -> None:
    half = frozenset(mark("web"))

    whole = toggled(half, shown()["shop"], keys())

    assert whole == mark("web", "db")
    assert toggled(whole, shown()["shop"], keys()) == frozenset()


@pytest.mark.parametrize(
    ("names", "is_marked"), [(("web",), False), (("web", "db"), True), (("web", "db", "cron"), True), ((), False)]
)
def test_a_group_has_a_mark_where_all_of_it_has(names: tuple[str, ...], *, is_marked: bool) -> None:
    marks = settled(frozenset(mark(*names)), rows(TREE, BY_NAME), TREE)

    assert (shown()["shop"].key in marks) is is_marked
    assert set(keys_of(marks)) == {docker_key(name) for name in names}


def test_a_mark_goes_with_its_container_and_with_it_that_of_its_group() -> None:
    marks = settled(frozenset(mark("web", "db", "cron")), rows(TREE, BY_NAME), TREE)
    later = tree_of(pod_of(node_of("web"), node_of("new"), name="shop"))

    assert settled(marks, rows(later, BY_NAME), later) == mark("web")


def test_marks_that_stay_are_the_same_object() -> None:
    marks = settled(frozenset(mark("web", "db")), rows(TREE, BY_NAME), TREE)

    assert settled(marks, rows(TREE, BY_NAME), TREE) is marks


@pytest.mark.parametrize("is_down", [True, False])
def test_a_range_is_what_lies_between_in_either_direction(*, is_down: bool) -> None:
    all_rows = rows(TREE, BY_NAME)
    first, last = all_rows[1].key, all_rows[3].key

    found = between(all_rows, *((first, last) if is_down else (last, first)))

    assert [row.key for row in found] == [row.key for row in all_rows[1:4]]


def test_a_range_of_one_row_and_one_whose_beginning_has_gone() -> None:
    all_rows = rows(TREE, BY_NAME)

    assert [row.key for row in between(all_rows, all_rows[1].key, all_rows[1].key)] == [all_rows[1].key]
    assert between(all_rows, "container:gone", all_rows[1].key) == ()


def test_all_that_is_shown_can_be_marked() -> None:
    assert marked(rows(TREE, BY_NAME), keys()) == mark("web", "db", "cron", "mail")


def test_a_restart_leaves_the_sandbox_of_kubernetes_out_unless_it_is_all_there_is() -> None:
    pod = PodInfo(PodKind.KUBERNETES, "uid", "shop", "prod")
    sandbox, web = node_of("pause", role=Role.SANDBOX, pod=pod), node_of("web", pod=pod)

    assert is_superfluous(sandbox, [sandbox, web])
    assert not is_superfluous(web, [sandbox, web])
    assert not is_superfluous(sandbox, [sandbox, node_of("cron")])


def test_a_restart_takes_the_infra_of_podman_along() -> None:
    pod = PodInfo(PodKind.PODMAN, "1", "books")
    infra, web = node_of("infra", role=Role.SANDBOX, pod=pod), node_of("web", pod=pod)

    assert not is_superfluous(infra, [infra, web])
