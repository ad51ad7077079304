"""Which rows there are and in which order, whatever the containers are called and whatever they do."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from fakes import SECOND_NS, START_WALL_NS
from hypothesis import given
from hypothesis import strategies as st
from samples import docker_key, node_of, pod_of, tree_of, unhurried_in_making

from topcon.columns import ASCENDING, BY_NAME
from topcon.filter import parse_filter
from topcon.model.sample import Health, PodKind, State
from topcon.model.snapshot import Finding, Severity, Usage
from topcon.rows import Row, Rows, ViewState, rows, worst

if TYPE_CHECKING:
    from collections.abc import Sequence

    from topcon.model.snapshot import ContainerNode, PodNode, Snapshot


CRITICAL, WARNING, INFO = Severity.CRITICAL, Severity.WARNING, Severity.INFO
HOUR_AGO_NS, HALF_AN_HOUR_AGO_NS, MINUTE_AGO_NS = (START_WALL_NS - ago * SECOND_NS for ago in (3600, 1800, 60))


def container_row(name: str) -> str:
    return f"container:{docker_key(name)}"


def shape(shown: Sequence[Row]) -> list[tuple[int, str]]:
    """Return how deep each row is, and its name."""
    return [(row.depth, row.line.node.name) for row in shown]


def names(snapshot: Snapshot, **view: Any) -> list[str]:
    return [row.line.node.name for row in rows(snapshot, ViewState(**view))]


def finding(name: str, severity: Severity) -> Finding:
    return Finding("code", severity, docker_key(name), "summary", "advice")


def cores(name: str, used: float | None, **options: Any) -> ContainerNode:
    return node_of(name, Usage(cpu_cores=used), **options)


SHOP = pod_of(node_of("web"), node_of("db"), name="shop")
DIND = pod_of(
    node_of("dind"),
    node_of("job", outer=docker_key("dind")),
    node_of("inmost", outer=docker_key("job")),
    name="dind",
    kind=PodKind.SINGLE,
)


# Which rows


def test_a_pod_of_several_has_a_row_with_its_containers_below() -> None:
    pod, *containers = rows(tree_of(SHOP), ViewState())

    assert (pod.key, pod.depth, pod.is_expandable, pod.is_expanded, pod.container) == (
        "pod:compose:shop",
        0,
        True,
        True,
        None,
    )
    assert [(row.key, row.depth, row.is_expandable, row.is_last) for row in containers] == [
        (container_row("db"), 1, False, False),
        (container_row("web"), 1, False, True),
    ]
    assert containers[0].container is SHOP.containers[1]


@pytest.mark.parametrize("pod", [pod_of(node_of("web")), pod_of(node_of("web"), name="shop")])
def test_a_pod_of_one_container_is_the_row_of_that_container(pod: PodNode) -> None:
    (row,) = rows(tree_of(pod), ViewState())

    assert (row.key, row.depth, row.is_expandable) == (container_row("web"), 0, False)


def test_a_row_that_is_folded_hides_its_children() -> None:
    view = ViewState().toggled("pod:compose:shop")

    (row,) = rows(tree_of(SHOP), view)

    assert (row.key, row.is_expandable, row.is_expanded) == ("pod:compose:shop", True, False)
    assert rows(tree_of(SHOP), view.toggled("pod:compose:shop")) == rows(tree_of(SHOP), ViewState())


def test_a_container_inside_another_hangs_below_it() -> None:
    assert shape(rows(tree_of(DIND), ViewState())) == [(0, "dind"), (1, "job"), (2, "inmost")]


def test_a_container_that_holds_others_can_be_folded() -> None:
    shown = rows(tree_of(DIND), ViewState(collapsed=frozenset({container_row("job")})))

    assert [(row.line.node.name, row.is_expandable, row.is_expanded) for row in shown] == [
        ("dind", True, True),
        ("job", True, False),
    ]


def test_what_was_folded_and_has_no_children_any_more_cannot_be_unfolded() -> None:
    (row,) = rows(tree_of(pod_of(node_of("dind"))), ViewState(collapsed=frozenset({container_row("dind")})))

    assert (row.is_expandable, row.is_expanded) == (False, False)


def test_a_container_whose_outer_one_is_filtered_out_moves_up() -> None:
    pod = pod_of(node_of("outer"), node_of("inner", outer=docker_key("outer")), name="nest", kind=PodKind.SINGLE)

    shown = rows(tree_of(pod), ViewState(filter=parse_filter("inner")))

    assert shape(shown) == [(0, "nest"), (1, "inner")]


def test_a_pod_without_a_container_that_matches_is_not_there() -> None:
    lone = pod_of(node_of("cache"))

    assert names(tree_of(SHOP, lone), filter=parse_filter("cache")) == ["cache"]
    assert names(tree_of(SHOP, lone), filter=parse_filter("web")) == ["shop", "web"]
    assert names(tree_of(SHOP, lone), filter=parse_filter("nothing")) == []


@pytest.mark.parametrize(
    ("state", "is_shown"),
    [(State.RUNNING, True), (State.PAUSED, True), (State.UNKNOWN, True), (State.EXITED, False), (State.CREATED, False)],
)
def test_only_what_does_not_run_can_be_hidden_as_stopped(state: State, is_shown: bool) -> None:
    snapshot = tree_of(pod_of(node_of("web", state=state)))

    assert names(snapshot, has_stopped=False) == ["web"] * is_shown
    assert names(snapshot) == ["web"]


def test_an_empty_host_has_no_rows() -> None:
    assert list(rows(tree_of(), ViewState())) == []


# Findings


def test_a_pod_carries_the_worst_of_its_containers() -> None:
    found = [finding("web", WARNING), finding("db", INFO), finding("db", CRITICAL), finding("db", WARNING)]

    severities = {row.line.node.name: row.line.severity for row in rows(tree_of(SHOP, findings=found), ViewState())}

    assert severities == {"shop": CRITICAL, "db": CRITICAL, "web": WARNING}


def test_a_folded_pod_still_tells_of_what_is_wrong_in_it() -> None:
    snapshot = tree_of(SHOP, findings=[finding("db", CRITICAL)])

    (row,) = rows(snapshot, ViewState(collapsed=frozenset({"pod:compose:shop"}), filter=parse_filter("shop")))

    assert row.line.severity is CRITICAL


def test_a_finding_of_a_pod_itself_is_not_made_less_by_its_containers() -> None:
    found = [Finding("code", CRITICAL, SHOP.key, "summary", "advice"), finding("web", WARNING)]

    assert worst(tree_of(SHOP, findings=found))[SHOP.key] is CRITICAL


def test_what_has_no_finding_has_no_severity() -> None:
    assert worst(tree_of(SHOP, findings=[Finding("runtime-silent", CRITICAL, "runtime:docker", "s", "a")])) == {
        "runtime:docker": CRITICAL
    }


# Order


def test_the_sick_one_is_seen_first() -> None:
    pods = [pod_of(node_of(name)) for name in ("a", "b", "c", "d")]

    assert names(tree_of(*pods, findings=[finding("d", CRITICAL), finding("c", WARNING), finding("b", INFO)])) == [
        *("d", "c", "a", "b"),
    ]


def test_of_equals_what_runs_comes_first_then_by_name_whatever_its_case() -> None:
    pods = [
        pod_of(node_of("b")),
        pod_of(node_of("C")),
        pod_of(node_of("a", state=State.EXITED)),
        pod_of(node_of("A1")),
    ]

    assert names(tree_of(*pods)) == ["A1", "b", "C", "a"]
    assert names(tree_of(*pods), is_reversed=True) == ["A1", "b", "C", "a"]


@pytest.mark.parametrize(
    ("sort", "is_reversed", "expected"),
    [
        ("cpu", False, ["busy", "idle", "new"]),
        ("cpu", True, ["idle", "busy", "new"]),
        ("name", False, ["busy", "idle", "new"]),
        ("name", True, ["new", "idle", "busy"]),
    ],
)
def test_numbers_begin_with_the_greatest_names_with_the_first_and_the_unknown_is_last_either_way(
    sort: str, is_reversed: bool, expected: list[str]
) -> None:
    nodes = [cores("new", None), cores("idle", 0.0), cores("busy", 1.5)]

    assert names(tree_of(*map(pod_of, nodes)), sort=sort, is_reversed=is_reversed) == expected
    assert names(tree_of(pod_of(*nodes, name="all")), sort=sort, is_reversed=is_reversed) == ["all", *expected]


def test_pods_are_sorted_by_what_they_use_and_containers_within_them() -> None:
    small = pod_of(cores("s1", 0.1), cores("s2", 0.2), name="small", usage=Usage(cpu_cores=0.3))
    large = pod_of(cores("l1", 0.9), cores("l2", 0.0), name="large", usage=Usage(cpu_cores=0.9))

    assert names(tree_of(small, large), sort="cpu") == ["large", "l1", "l2", "small", "s2", "s1"]


@pytest.mark.parametrize(
    ("sort", "options", "expected"),
    [
        (
            "state",
            {
                "healthy": {"health": Health.HEALTHY},
                "unhealthy": {"health": Health.UNHEALTHY},
                "exited": {"state": State.EXITED},
                "restarting": {"state": State.RESTARTING},
            },
            ["restarting", "exited", "unhealthy", "healthy"],
        ),
        (
            "age",
            {
                "done": {"state": State.EXITED, "started_ns": HOUR_AGO_NS, "finished_ns": MINUTE_AGO_NS},
                "web": {"started_ns": HALF_AN_HOUR_AGO_NS},
            },
            ["web", "done"],
        ),
    ],
)
def test_a_container_by_itself_is_sorted_by_what_its_row_says(
    sort: str, options: dict[str, dict[str, Any]], expected: list[str]
) -> None:
    nodes = [node_of(name, **each) for name, each in options.items()]

    assert names(tree_of(pod_of(*nodes, name="all")), sort=sort) == ["all", *expected]
    assert names(tree_of(*map(pod_of, nodes)), sort=sort) == expected


def test_only_the_last_of_its_siblings_is_the_last() -> None:
    pod = pod_of(
        cores("a", 3.0), cores("a1", 2.0, outer=docker_key("a")), cores("b", 2.0), cores("c", 1.0), name="nest"
    )

    shown = rows(tree_of(pod), ViewState(sort="cpu"))

    assert [(row.line.node.name, row.is_last) for row in shown[1:]] == [
        ("a", False),
        ("a1", True),
        ("b", False),
        ("c", True),
    ]


# One after the other


def after(snapshot: Snapshot, *changed: PodNode, **others: Any) -> Snapshot:
    """Return the next snapshot, in which some pods are not what they were."""
    pods = {pod.key: pod for pod in (*snapshot.pods, *changed)}
    return tree_of(*pods.values(), **({"findings": snapshot.findings} | others))


def fresh(before: Rows, now: Rows) -> list[str]:
    """Return the names of the rows that were built anew."""
    known = set(map(id, before))
    return [row.line.node.name for row in now if id(row) not in known]


MANY = [pod_of(cores(f"web{at}", 0.0)) for at in range(20)]


def test_of_the_same_pods_and_findings_come_the_very_same_rows() -> None:
    snapshot = tree_of(SHOP, DIND, *MANY, findings=[finding("db", WARNING)])
    before = rows(snapshot, ViewState())
    later = replace(snapshot, tick=1, sample=replace(snapshot.sample, wall_ns=START_WALL_NS + SECOND_NS))

    assert rows(later, ViewState(), before) is before


@pytest.mark.parametrize("sort", sorted(BY_NAME))
def test_only_what_has_changed_is_built_anew(sort: str) -> None:
    snapshot = tree_of(SHOP, DIND, *MANY)
    before = rows(snapshot, ViewState(sort=sort))

    now = rows(after(snapshot, pod_of(cores("web7", 0.5))), ViewState(sort=sort), before)

    assert fresh(before, now) == ["web7"]
    assert now.branches[SHOP.key] is before.branches[SHOP.key]


def test_of_a_pod_whose_usage_alone_has_changed_the_lines_below_it_stay() -> None:
    snapshot = tree_of(SHOP)
    before = rows(snapshot, ViewState())

    now = rows(after(snapshot, SHOP._replace(usage=Usage(pids=3))), ViewState(), before)

    assert [new.line is old.line for new, old in zip(now, before, strict=True)] == [False, True, True]


def test_other_findings_build_anew_only_the_rows_of_whom_they_tell() -> None:
    snapshot = tree_of(SHOP, *MANY)
    before = rows(snapshot, ViewState())

    now = rows(after(snapshot, findings=[finding("web3", CRITICAL)]), ViewState(), before)

    assert (fresh(before, now), now[0].line.severity) == (["web3"], CRITICAL)


def test_findings_that_say_the_same_in_other_words_leave_the_rows_as_they_are() -> None:
    snapshot = tree_of(SHOP, *MANY, findings=[finding("db", WARNING)])
    before = rows(snapshot, ViewState())

    now = rows(after(snapshot, findings=[replace(finding("db", WARNING), summary="for 2 s")]), ViewState(), before)

    assert now.rows is before.rows


@pytest.mark.parametrize("change", ["added", "removed", "stopped", "renamed", "nested"])
def test_what_comes_goes_or_gets_another_name_finds_its_place(change: str) -> None:
    snapshot = tree_of(*MANY)
    before = rows(snapshot, ViewState())
    node = MANY[5].containers[0]
    then = {
        "added": after(snapshot, pod_of(node_of("new"))),
        "removed": tree_of(*MANY[:5], *MANY[6:]),
        "stopped": after(snapshot, pod_of(node._replace(info=replace(node.info, state=State.EXITED)))),
        "renamed": after(snapshot, pod_of(node._replace(info=replace(node.info, name="a")))._replace(key=MANY[5].key)),
        "nested": after(snapshot, MANY[5]._replace(outer=docker_key("web0"))),
    }[change]

    assert rows(then, ViewState(), before) == rows(then, ViewState())


def test_pods_whose_containers_hold_each_other_are_nowhere() -> None:
    knot = [node_of("a", outer=docker_key("b")), node_of("b", outer=docker_key("a"))]
    inner = pod_of(node_of("c"))._replace(outer=docker_key("a"))
    itself = pod_of(node_of("d", outer=docker_key("d")))

    assert list(rows(tree_of(pod_of(*knot, name="knot"), inner, itself), ViewState())) == []


# Any tree

LEVEL = st.sampled_from([None, 0.0, 0.25, 0.5, 1.0])
USAGES = st.builds(
    # Behind a function, or fields that have a default are made up too.
    Usage()._replace,
    cpu_cores=LEVEL,
    cpu_limit_cores=LEVEL,
    throttled_share=LEVEL,
    memory_bytes=st.sampled_from([None, 0, 1024]),
    memory_limit_bytes=st.sampled_from([None, 0, 4096]),
    rx_bytes_per_second=LEVEL,
    pids=st.sampled_from([None, 0, 1]),
)


@st.composite
def trees(draw: st.DrawFn) -> Snapshot:
    """Build pods of one to four containers, of which some hold others, and findings; many of them are equal."""
    pods, found = [], []
    for at, size in enumerate(draw(st.lists(st.integers(1, 4), max_size=5))):
        nodes: list[ContainerNode] = []
        for inner in range(size):
            outer = draw(st.none() | st.sampled_from(nodes)) if nodes else None
            name = draw(st.sampled_from(["web", "Web", "db", "\x1b[2J", "日本", ""]))
            node = node_of(name, draw(USAGES), state=draw(st.sampled_from(State)), outer=outer.key if outer else None)
            nodes.append(node._replace(key=docker_key(f"{at}-{inner}")))
            found += [finding(f"{at}-{inner}", severity) for severity in draw(st.lists(st.sampled_from(Severity)))]
        name = draw(st.sampled_from(["shop", "SHOP", "web"]))
        pods.append(pod_of(*nodes, name=name, usage=draw(USAGES))._replace(key=f"compose:{at}"))
    return tree_of(*pods, findings=found)


VIEWS = st.builds(ViewState, sort=st.sampled_from(list(BY_NAME)), is_reversed=st.booleans(), has_stopped=st.booleans())


@unhurried_in_making
@given(trees(), VIEWS, st.randoms(use_true_random=False))
def test_the_order_does_not_depend_on_the_order_in_which_containers_were_found(
    snapshot: Snapshot, view: ViewState, random: Any
) -> None:
    shuffled = [
        pod._replace(containers=tuple(random.sample(pod.containers, len(pod.containers)))) for pod in snapshot.pods
    ]
    random.shuffle(shuffled)

    again = rows(tree_of(*shuffled, findings=snapshot.findings), view)

    assert [row.key for row in again] == [row.key for row in rows(snapshot, view)]


@unhurried_in_making
@given(st.data(), trees(), VIEWS, VIEWS, st.booleans())
def test_rows_that_follow_others_are_those_that_would_be_built_from_nothing(
    data: st.DataObject, snapshot: Snapshot, view: ViewState, next_view: ViewState, is_same_view: bool
) -> None:
    known = [each.key for each in snapshot.containers.values()]
    nested = [
        pod._replace(outer=data.draw(st.none() | st.sampled_from(known)) if known else None) for pod in snapshot.pods
    ]
    before = rows(tree_of(*nested, findings=snapshot.findings), view)
    others = data.draw(trees())
    taken = {pod.key: data.draw(st.sampled_from([pod, None])) for pod in others.pods}
    pods = {pod.key: pod for pod in nested} | {key: pod for key, pod in taken.items() if pod}
    now = tree_of(*pods.values(), findings=data.draw(st.sampled_from([snapshot.findings, others.findings])))
    then = view if is_same_view else next_view

    assert rows(now, then, before) == rows(now, then)


@unhurried_in_making
@given(trees(), VIEWS)
def test_each_container_has_one_row_and_each_row_a_key_of_its_own(snapshot: Snapshot, view: ViewState) -> None:
    shown = rows(snapshot, view)

    assert max(Counter(row.key for row in shown).values(), default=1) == 1
    assert sorted(row.container.key for row in shown if row.container) == sorted(
        key for key, node in snapshot.containers.items() if view.has_stopped or not node.info.state.is_stopped
    )


@unhurried_in_making
@given(trees(), VIEWS)
def test_tree_rows_order_has_each_row_right_below_its_parent_or_a_sibling(snapshot: Snapshot, view: ViewState) -> None:
    shown = rows(snapshot, view)

    for above, below in zip([None, *shown], shown, strict=False):
        assert below.depth <= (above.depth + above.is_expanded if above else 0)
        if above and above.is_expanded:
            assert below.depth == above.depth + 1


@unhurried_in_making
@given(trees(), VIEWS)
def test_siblings_are_in_the_order_of_the_column_with_the_unknown_last(snapshot: Snapshot, view: ViewState) -> None:
    column = BY_NAME[view.sort]
    is_descending = (view.sort not in ASCENDING) != view.is_reversed
    parents: list[str] = []
    siblings: dict[tuple[str, ...], list[Row]] = {}
    for row in rows(snapshot, view):
        del parents[row.depth :]
        if row.depth:
            siblings.setdefault(tuple(parents), []).append(row)
        parents.append(row.key)

    for group in siblings.values():
        values = [column.value(row.line) for row in group]
        known: list[Any] = [each for each in values if each is not None]
        assert values == sorted(known, reverse=is_descending) + [None] * (len(values) - len(known))


@unhurried_in_making
@given(trees(), VIEWS)
def test_folding_a_row_takes_away_what_is_below_it_and_nothing_else(snapshot: Snapshot, view: ViewState) -> None:
    shown = rows(snapshot, view)
    for at, row in enumerate(shown):
        if row.is_expanded:
            below = next((to for to in range(at + 1, len(shown)) if shown[to].depth <= row.depth), len(shown))
            left = rows(snapshot, view.toggled(row.key))
            assert [each.key for each in left] == [each.key for each in [*shown[: at + 1], *shown[below:]]]
