"""Which rows there are and in which order, whatever the containers are called and whatever they do."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from fakes import SECOND_NS, START_WALL_NS
from hypothesis import given
from hypothesis import strategies as st
from samples import docker_key, history_of, node_of, pod_of, tree_of, unhurried_in_making

from topcon.columns import ASCENDING, BY_NAME
from topcon.filter import parse_filter
from topcon.model.sample import SERVICES, Health, PodKind, Role, State
from topcon.model.snapshot import Finding, Severity, Usage
from topcon.rows import Arrangement, Row, Rows, ViewState, found_in, group_of, rows

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

    assert found_in(tree_of(SHOP, findings=found))[SHOP.key] == {"code": CRITICAL}


def test_what_has_no_finding_has_no_severity() -> None:
    found = found_in(tree_of(SHOP, findings=[Finding("runtime-silent", CRITICAL, "runtime:docker", "s", "a")]))

    assert found == {"runtime:docker": {"runtime-silent": CRITICAL}}


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
ARRANGED = st.builds(
    ViewState,
    sort=st.sampled_from(["finding", "name", "cpu", "mem%"]),
    is_reversed=st.booleans(),
    has_stopped=st.booleans(),
    has_sandboxes=st.booleans(),
    only_sick=st.booleans(),
    arrangement=st.sampled_from(Arrangement),
    is_open=st.booleans(),
)


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
@given(st.data(), trees(), VIEWS | ARRANGED, VIEWS | ARRANGED, st.booleans())
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
        assert values[len(known) :] == [None] * (len(values) - len(known))
        for above, below in pairwise(group[: len(known)]):
            # What shows the same does not change places for what nobody sees.
            is_same = column.is_live and column.text(above.line, 0) == column.text(below.line, 0)
            in_order: list[Any] = [column.value(above.line), column.value(below.line)]
            assert is_same or in_order == sorted(in_order, reverse=is_descending)


@unhurried_in_making
@given(trees(), VIEWS)
def test_folding_a_row_takes_away_what_is_below_it_and_nothing_else(snapshot: Snapshot, view: ViewState) -> None:
    shown = rows(snapshot, view)
    for at, row in enumerate(shown):
        if row.is_expanded:
            below = next((to for to in range(at + 1, len(shown)) if shown[to].depth <= row.depth), len(shown))
            left = rows(snapshot, view.toggled(row.key))
            assert [each.key for each in left] == [each.key for each in [*shown[: at + 1], *shown[below:]]]


# What is kept out of sight


SANDBOX = node_of("pause", role=Role.SANDBOX)
SYSTEM = pod_of(node_of("cron"), node_of("sshd"), name="isolated services", kind=PodKind.NAMESPACE)._replace(
    key=f"{PodKind.NAMESPACE}:{SERVICES}"
)


@pytest.mark.parametrize(
    ("view", "expected"),
    [
        ({}, ["books", "app", "sandbox", "isolated services", "lone"]),
        ({"has_sandboxes": False}, ["books", "app", "isolated services", "lone"]),
        ({"has_system": False}, ["books", "app", "sandbox", "lone"]),
        ({"only_sick": True}, ["books", "app"]),
        ({"only_sick": True, "filter": parse_filter("lone")}, []),
    ],
)
def test_what_is_hidden_has_no_row(view: dict[str, Any], expected: list[str]) -> None:
    books = pod_of(node_of("app"), SANDBOX, name="books", kind=PodKind.KUBERNETES)
    snapshot = tree_of(
        books, SYSTEM, pod_of(node_of("lone")), findings=[finding("app", WARNING), finding("lone", INFO)]
    )

    assert [row.line.title for row in rows(snapshot, ViewState(sort="name", **view))] == expected


def test_what_falls_ill_or_gets_well_comes_and_goes_where_only_the_sick_are_shown() -> None:
    view = ViewState(only_sick=True)
    well = tree_of(SHOP, *MANY)
    before = rows(well, view)

    ill = rows(after(well, findings=[finding("db", WARNING)]), view, before)

    assert [row.line.node.name for row in before] == []
    assert [row.line.node.name for row in ill] == ["shop", "db"]
    assert list(rows(well, view, ill)) == []


# How they hang


IMAGES = tree_of(
    pod_of(cores("web", 1.0, image="shop:1"), cores("db", 0.5, image="pg:16"), name="shop"),
    pod_of(cores("app", 0.25, image="shop:1"), name="prod/books", kind=PodKind.KUBERNETES),
    pod_of(cores("lone", None, image=None, runtime="crio")),
)


def arranged(arrangement: Arrangement, **view: Any) -> list[tuple[int, str]]:
    shown = rows(IMAGES, ViewState(sort="name", arrangement=arrangement, **view))
    return [(row.depth, row.line.title) for row in shown]


@pytest.mark.parametrize(
    ("arrangement", "folded", "unfolded"),
    [
        (
            Arrangement.TREE,
            [(0, "lone"), (0, "prod/books"), (1, "app"), (0, "shop"), (1, "db"), (1, "web")],
            [(0, "lone"), (0, "prod/books"), (1, "app"), (0, "shop"), (1, "db"), (1, "web")],
        ),
        # Of a Kubernetes pod the containers may be called like any other's.
        (Arrangement.FLAT, *[[(0, "db"), (0, "lone"), (0, "prod/books/app"), (0, "web")]] * 2),
        (
            Arrangement.PODS,
            [(0, "lone"), (0, "prod/books"), (0, "shop")],
            [(0, "lone"), (0, "prod/books"), (1, "app"), (0, "shop"), (1, "db"), (1, "web")],
        ),
        (
            Arrangement.IMAGES,
            [(0, "no image"), (0, "pg:16"), (0, "shop:1")],
            [
                *[(0, "no image"), (1, "lone"), (0, "pg:16"), (1, "db")],
                *[(0, "shop:1"), (1, "prod/books/app"), (1, "web")],
            ],
        ),
        (
            Arrangement.RUNTIMES,
            [(0, "crio"), (0, "docker")],
            [(0, "crio"), (1, "lone"), (0, "docker"), (1, "db"), (1, "prod/books/app"), (1, "web")],
        ),
    ],
)
def test_the_ways_in_which_rows_can_hang(
    arrangement: Arrangement, folded: list[tuple[int, str]], unfolded: list[tuple[int, str]]
) -> None:
    assert arranged(arrangement) == folded
    assert arranged(arrangement, is_open=True) == unfolded


@pytest.mark.parametrize("arrangement", Arrangement)
def test_what_can_be_unfolded_can_be_folded_again(arrangement: Arrangement) -> None:
    view = ViewState(sort="name", arrangement=arrangement)
    first = rows(IMAGES, view)
    toggled = view.all_toggled(first)
    keys = [row.key for row in first]

    assert [row.key for row in rows(IMAGES, toggled.all_toggled(rows(IMAGES, toggled)))] == keys
    for row in first:
        if row.is_expandable:
            once = view.toggled(row.key)
            assert len(rows(IMAGES, once)) != len(first)
            assert [each.key for each in rows(IMAGES, once.toggled(row.key))] == keys


def test_a_group_adds_up_what_is_in_it() -> None:
    web, app = (
        cores(name, used, image="shop:1")._replace(
            usage=Usage(cpu_cores=used, cpu_history=history_of(used, None, used))
        )
        for name, used in (("web", 1.0), ("app", 0.25))
    )
    snapshot = replace(tree_of(pod_of(web), pod_of(app), findings=[finding("app", CRITICAL)]), tick=2)

    (row,) = rows(snapshot, ViewState(arrangement=Arrangement.IMAGES))

    assert (row.line.usage.cpu_cores, row.line.severity, row.container) == (1.25, CRITICAL, None)
    assert row.line.usage.cpu_history.values(2, 3) == [1.25, None, 1.25]
    assert group_of(snapshot, "image:shop:1") == row.line.node
    assert group_of(snapshot, "image:none") is None


def test_a_nested_container_is_added_up_once() -> None:
    dind, job = (
        cores(name, used, image="dind:1", outer=outer)._replace(
            usage=Usage(cpu_cores=used, cpu_history=history_of(used))
        )
        for name, used, outer in (("dind", 1.0, None), ("job", 0.75, docker_key("dind")))
    )

    (row,) = rows(tree_of(pod_of(dind, job)), ViewState(arrangement=Arrangement.IMAGES))

    assert (row.line.usage.cpu_cores, row.line.usage.cpu_history.values(0, 1)) == (1.0, [1.0])


def test_what_is_hidden_is_not_added_up() -> None:
    view = ViewState(arrangement=Arrangement.IMAGES, filter=parse_filter("web"))

    assert [(row.line.title, row.line.usage.cpu_cores) for row in rows(IMAGES, view)] == [("shop:1", 1.0)]


@pytest.mark.parametrize("arrangement", Arrangement)
def test_in_each_way_of_hanging_only_what_has_changed_is_built_anew(arrangement: Arrangement) -> None:
    view = ViewState(arrangement=arrangement, is_open=True)
    snapshot = tree_of(SHOP, *MANY)
    before = rows(snapshot, view)

    assert rows(replace(snapshot, tick=1), view, before) is before
    now = rows(after(snapshot, pod_of(cores("web7", 0.5))), view, before)
    if arrangement not in {Arrangement.IMAGES, Arrangement.RUNTIMES}:
        assert fresh(before, now) == ["web7"]
    # A group is another, but what is in it is not.
    assert [row.line for row in now if row.container and row.line not in [each.line for each in before]] == [
        next(row.line for row in now if row.line.node.name == "web7")
    ]


def test_what_rows_do_not_depend_on_leaves_them_as_they_are() -> None:
    snapshot = tree_of(SHOP, *MANY)
    before = rows(snapshot, ViewState())
    view = ViewState(marks=frozenset({"container:x"}), scroll=2, column_set="cpu", columns=("pids",))

    assert rows(snapshot, view, before) is before


def test_a_filter_that_looks_at_the_time_is_asked_again() -> None:
    snapshot = tree_of(pod_of(node_of("web", started_ns=START_WALL_NS - 50 * SECOND_NS)))
    view = ViewState(filter=parse_filter("age>1m"))
    before = rows(snapshot, view)
    later = replace(snapshot, sample=replace(snapshot.sample, wall_ns=START_WALL_NS + 20 * SECOND_NS))

    assert (len(before), len(rows(later, view, before))) == (0, 1)


# A calm order


def busy(**used: float | None) -> Snapshot:
    return tree_of(*(pod_of(cores(name, each)) for name, each in used.items()))


def together(**used: float | None) -> Snapshot:
    return tree_of(pod_of(*(cores(name, each) for name, each in used.items()), name="all"))


BY_CPU = ViewState(sort="cpu")


def order(shown: Rows) -> str:
    return "".join(row.line.node.name for row in shown if row.container)


@pytest.mark.parametrize("host", [busy, together])
def test_rows_that_are_held_keep_their_order_and_get_their_values(host: Any) -> None:
    before = rows(host(a=3.0, b=2.0, c=1.0), BY_CPU)

    held = rows(host(a=1.0, b=2.0, c=3.0), BY_CPU, before, is_held=True)

    assert (order(before), order(held)) == ("abc", "abc")
    assert [row.line.usage.cpu_cores for row in held if row.container] == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("host", [busy, together])
def test_what_was_held_goes_to_its_place_afterwards_though_nothing_has_changed_since(host: Any) -> None:
    later = host(a=1.0, b=2.0, c=3.0)
    held = rows(later, BY_CPU, rows(host(a=3.0, b=2.0, c=1.0), BY_CPU), is_held=True)

    assert rows(later, BY_CPU, held, is_held=True) is held
    assert order(rows(later, BY_CPU, held)) == "cba"
    assert order(rows(replace(later, tick=1, pods=(*later.pods,)), BY_CPU, held)) == "cba"


@pytest.mark.parametrize("host", [busy, together])
def test_what_is_new_goes_to_its_place_at_once(host: Any) -> None:
    before = rows(host(a=3.0, b=2.0, c=1.0), BY_CPU)

    held = rows(host(a=1.0, b=2.0, c=3.0, d=2.5, e=0.0), BY_CPU, before, is_held=True)

    # Before the first that uses less, wherever that is for now.
    assert order(held) == "dabce"


@pytest.mark.parametrize("host", [busy, together])
def test_what_has_become_critical_goes_to_its_place_at_once_and_once(host: Any) -> None:
    view = ViewState()
    before = rows(host(a=1.0, b=1.0, c=1.0), view)
    ill = replace(host(a=1.0, b=1.0, c=1.0), findings=(finding("b", WARNING), finding("c", CRITICAL)))

    held = rows(ill, view, before, is_held=True)

    assert order(held) == "cab"
    assert order(rows(ill, view, held)) == "cba"
    well = rows(host(a=1.0, b=1.0, c=1.0), view, held, is_held=True)
    assert order(well) == "cab"


@pytest.mark.parametrize("host", [busy, together])
def test_what_is_known_only_now_does_not_wait(host: Any) -> None:
    """As all rates are at the second snapshot."""
    before = rows(host(a=None, b=None, c=None), BY_CPU)

    assert order(rows(host(a=1.0, b=2.0, c=3.0), BY_CPU, before, is_held=True)) == "cba"


def test_another_sorting_does_not_wait() -> None:
    before = rows(busy(a=1.0, b=2.0), ViewState(sort="name"))

    assert order(rows(busy(a=1.0, b=2.0), BY_CPU, before, is_held=True)) == "ba"


def test_what_goes_while_rows_are_held_is_gone() -> None:
    before = rows(busy(a=3.0, b=2.0, c=1.0), BY_CPU)

    assert order(rows(busy(a=1.0, c=3.0), BY_CPU, before, is_held=True)) == "ac"


@pytest.mark.parametrize("arrangement", Arrangement)
def test_with_a_filter_that_looks_at_the_time_order_and_rows_are_kept_as_well(arrangement: Arrangement) -> None:
    def host(**used: float) -> Snapshot:
        nodes = [cores(name, each, image="shop:1", started_ns=MINUTE_AGO_NS) for name, each in used.items()]
        return tree_of(pod_of(*nodes, name="all"), pod_of(cores("alone", 0.0, started_ns=MINUTE_AGO_NS)))

    view = ViewState(sort="cpu", filter=parse_filter("age<90s"), arrangement=arrangement, is_open=True)
    before = rows(host(a=3.0, b=2.0, c=1.0), view)
    later = host(a=1.0, b=2.0, c=3.0)
    held = rows(later, view, before, is_held=True)
    soon = replace(later, tick=1, sample=replace(later.sample, wall_ns=START_WALL_NS + SECOND_NS))
    too_late = replace(later, tick=2, sample=replace(later.sample, wall_ns=START_WALL_NS + 60 * SECOND_NS))

    assert order(before).replace("alone", "") == order(held).replace("alone", "") == "abc"
    assert list(map(id, rows(soon, view, held, is_held=True))) == list(map(id, held))
    assert order(rows(soon, view, held)).replace("alone", "") == "cba"
    assert list(rows(too_late, view, held, is_held=True)) == []


def test_what_shows_the_same_is_in_the_order_of_the_names() -> None:
    assert order(rows(busy(c=0.0149, a=0.011, b=0.013, d=0.02), BY_CPU)) == "dabc"
    assert order(rows(busy(c=0.0149, a=0.011, b=0.013, d=0.02), replace(BY_CPU, is_reversed=True))) == "abcd"


@unhurried_in_making
@given(trees(), trees(), ARRANGED)
def test_held_rows_are_the_same_rows_in_another_order(one: Snapshot, other: Snapshot, view: ViewState) -> None:
    before = rows(one, view)

    held, sorted_ = rows(other, view, before, is_held=True), rows(other, view)

    def by_key(shown: Rows) -> dict[str, Any]:
        return {row.key: row._replace(is_last=False) for row in shown}

    assert by_key(held) == by_key(sorted_)
    assert len(held) == len(sorted_)
    assert rows(other, view, held) == sorted_


def test_a_row_knows_what_its_host_has() -> None:
    snapshot = tree_of(pod_of(node_of("web")))
    (row,) = rows(snapshot, ViewState())

    assert row.line.host == (2, 8 << 30)
