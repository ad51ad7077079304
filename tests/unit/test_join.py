"""Cgroups, processes and what runtimes say become pods: the kernel decides what runs, a runtime lends the name."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import (
    COMPOSE,
    HOST_NETNS,
    Box,
    container_id,
    docker_key,
    docker_runtime,
    host_of,
    kernel_only,
    netns_of,
    on_network,
    path_of,
    running,
    sample_of,
    stopped,
    unclaimed,
    unhurried_in_making,
)

from topcon.model.join import join, network_owner, short_id
from topcon.model.sample import (
    CgroupEvents,
    CgroupPath,
    ContainerInfo,
    FoundContainer,
    NetnsKey,
    PodKind,
    Source,
    State,
)

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn

    from topcon.model.join import Group, Member
    from topcon.model.sample import Sample

SHARED = NetnsKey(4_040_000_000)


def members_of(*boxes: Box, **others: Any) -> dict[str, Member]:
    """Join, and return the members by key."""
    return {member.key: member for group in join(sample_of(*boxes, **others)) for member in group.members}


def only(*boxes: Box, **others: Any) -> Member:
    """Join, and return the one member that there is."""
    (member,) = members_of(*boxes, **others).values()
    return member


def shape(groups: tuple[Group, ...]) -> dict[tuple[str, str], list[str]]:
    """Return the names of the members by kind and name of their pod."""
    return {(group.info.kind, group.info.name): [member.info.name for member in group.members] for group in groups}


def pods_of(*boxes: Box, **others: Any) -> dict[tuple[str, str], list[str]]:
    return shape(join(sample_of(*boxes, **others)))


# Names


def test_a_container_is_named_by_the_runtime_that_knows_its_id() -> None:
    box = running("web", info={"image": "nginx:1"})

    member = only(box)

    assert member.key == docker_key("web")
    assert (member.info.name, member.info.image, member.info.source) == ("web", "nginx:1", Source.API)
    assert (member.found, member.process) == (box.found, box.process)


def test_without_a_runtime_the_name_is_the_short_id() -> None:
    info = only(kernel_only(running("web"))).info

    assert info == ContainerInfo(
        id=container_id("web"),
        runtime="docker",
        name=container_id("web")[:12],
        source=Source.CGROUP,
        state=State.RUNNING,
    )


def test_a_path_that_tells_no_runtime_takes_the_one_that_knows_the_id() -> None:
    member = only(unclaimed(running("web", info={"runtime": "podman"})))

    assert (member.key, member.info.runtime) == (f"podman:{container_id('web')}", "podman")


def test_a_path_tells_the_runtime_better_than_who_lists_the_container() -> None:
    member = only(running("web", info={"runtime": "podman"}))

    assert (member.key, member.info.runtime, member.info.name) == (docker_key("web"), "docker", "web")


def test_a_cgroup_that_nobody_claims_is_known_by_its_inode() -> None:
    member = only(unclaimed(kernel_only(running("web", inode=4711))))

    assert (member.key, member.info.runtime) == ("none:4711", "none")


def test_a_cgroup_that_nobody_claims_and_nobody_could_read_is_known_by_its_id() -> None:
    member = only(replace(unclaimed(kernel_only(running("web"))), cgroup=None))

    assert member.key == f"none:{container_id('web')}"


def test_a_short_id_has_twelve_digits() -> None:
    assert short_id("0123456789abcdef") == "0123456789ab"


# States


@pytest.mark.parametrize(
    ("populated", "frozen", "said", "expected"),
    [
        (True, False, State.RUNNING, State.RUNNING),
        (True, True, State.RUNNING, State.PAUSED),
        (True, False, State.PAUSED, State.RUNNING),
        (True, None, State.PAUSED, State.PAUSED),
        (True, None, State.RUNNING, State.RUNNING),
        (True, False, State.EXITED, State.RUNNING),
        (True, False, State.CREATED, State.RUNNING),
        (False, False, State.EXITED, State.EXITED),
        (False, True, State.RESTARTING, State.RESTARTING),
        # There is a process: only the count of them could not be read.
        (None, False, State.EXITED, State.RUNNING),
        (None, True, State.RUNNING, State.PAUSED),
    ],
)
def test_the_kernel_has_the_last_word_on_what_runs(
    populated: bool | None, frozen: bool | None, said: State, expected: State
) -> None:
    box = running("web", info={"state": said}, events=CgroupEvents(populated, frozen))

    assert only(box).info.state is expected


def test_a_silent_runtime_is_not_believed_that_an_empty_cgroup_runs() -> None:
    box = running("web", events=CgroupEvents(populated=False, frozen=False))

    assert only(box).info.state is State.RUNNING
    assert only(box, runtimes=(docker_runtime(silent_s=3.0),)).info.state is State.UNKNOWN


@pytest.mark.parametrize(("said", "expected"), [(State.RUNNING, State.RUNNING), (State.PAUSED, State.PAUSED)])
def test_without_an_events_file_a_process_is_proof_enough(said: State, expected: State) -> None:
    assert only(running("web", info={"state": said}, events=None)).info.state is expected


def test_without_an_events_file_and_without_a_process_the_runtime_is_believed() -> None:
    box = replace(running("web", info={"state": State.EXITED}, events=None), process=None)

    assert only(box).info.state is State.EXITED


def test_an_empty_cgroup_of_which_no_runtime_speaks_is_unknown() -> None:
    box = kernel_only(running("web", events=CgroupEvents(populated=False, frozen=False)))

    assert only(box).info.state is State.UNKNOWN


def test_what_the_runtime_says_stays_as_it_is_where_the_kernel_agrees() -> None:
    box = running("web")

    assert only(box).info is box.info


def test_a_stopped_container_is_shown_without_numbers() -> None:
    member = only(stopped("done", exit_code=3))

    assert (member.key, member.info.state, member.info.exit_code) == (docker_key("done"), State.EXITED, 3)
    assert (member.found, member.process, member.netns) == (None, None, None)


@pytest.mark.parametrize(
    ("said", "runtime", "expected"),
    [
        (State.RUNNING, docker_runtime(), State.RUNNING),
        (State.RUNNING, docker_runtime(silent_s=2.0), State.RUNNING),
        (State.RUNNING, docker_runtime(silent_s=2.1), State.UNKNOWN),
        (State.PAUSED, docker_runtime(silent_s=60.0), State.UNKNOWN),
        (State.RUNNING, docker_runtime(up=False), State.UNKNOWN),
        (State.EXITED, docker_runtime(up=False), State.EXITED),
        (State.CREATED, docker_runtime(silent_s=60.0), State.CREATED),
    ],
)
def test_what_a_silent_runtime_last_called_running_and_the_kernel_does_not_have_is_unknown(
    said: State, runtime: Any, expected: State
) -> None:
    assert only(stopped("web", state=said), runtimes=(runtime,)).info.state is expected


def test_the_silence_of_a_runtime_says_nothing_of_anothers_containers() -> None:
    box = stopped("web", state=State.RUNNING, runtime="podman")

    assert only(box, runtimes=(docker_runtime(up=False),)).info.state is State.RUNNING


# Pods


def test_a_container_by_itself_is_a_pod_of_its_own() -> None:
    (group,) = join(sample_of(running("web")))

    assert (group.info.kind, group.info.id, group.info.name) == (PodKind.SINGLE, docker_key("web"), "web")


def test_the_containers_of_a_compose_project_are_a_pod() -> None:
    shop = {"labels": {COMPOSE: "shop"}}

    groups = join(sample_of(running("web", info=shop), running("db", info=shop), stopped("job", **shop)))

    assert shape(groups) == {("compose", "shop"): ["db", "job", "web"]}
    assert groups[0].info.id == "shop"


def test_those_in_one_network_namespace_are_a_pod_named_for_the_first() -> None:
    boxes = [
        running("sidecar", process=on_network(SHARED, start_ticks=6000)),
        running("app", process=on_network(SHARED, start_ticks=5000)),
    ]

    (group,) = join(sample_of(*boxes))

    assert shape((group,)) == {("namespace", "app"): ["app", "sidecar"]}
    assert group.info.id == docker_key("app")


def test_a_stopped_container_belongs_to_the_one_whose_network_it_joins() -> None:
    assert pods_of(running("app"), stopped("sidecar", joins_network_of=container_id("app"))) == {
        ("namespace", "app"): ["app", "sidecar"]
    }


def test_stopped_containers_that_join_each_other_in_a_row_are_one_pod() -> None:
    boxes = [
        stopped("third", joins_network_of=container_id("second")),
        stopped("second", joins_network_of=container_id("first")),
        stopped("first"),
    ]

    (group,) = join(sample_of(*boxes))

    assert shape((group,)) == {("namespace", "first"): ["first", "second", "third"]}
    assert group.info.id == docker_key("first")


def test_a_stopped_container_that_joined_one_that_is_gone_is_by_itself() -> None:
    assert pods_of(stopped("sidecar", joins_network_of=container_id("gone"))) == {("single", "sidecar"): ["sidecar"]}


def test_one_that_says_to_join_itself_is_by_itself() -> None:
    assert pods_of(stopped("web", joins_network_of=container_id("web"))) == {("single", "web"): ["web"]}


def test_who_shares_the_network_of_a_compose_container_joins_its_pod() -> None:
    boxes = [
        running("web", info={"labels": {COMPOSE: "shop"}}, process=on_network(SHARED)),
        running("debug", process=on_network(SHARED)),
        stopped("old-debug", joins_network_of=container_id("web")),
    ]

    assert pods_of(*boxes) == {("compose", "shop"): ["debug", "old-debug", "web"]}


def test_sharing_a_network_does_not_take_a_container_out_of_its_project() -> None:
    boxes = [
        running(name, info={"labels": {COMPOSE: project}}, process=on_network(SHARED))
        for name, project in (("web", "shop"), ("proxy", "edge"))
    ]

    assert pods_of(*boxes) == {("compose", "edge"): ["proxy"], ("compose", "shop"): ["web"]}


def test_containers_on_the_hosts_network_are_no_pod() -> None:
    boxes = [running(name, process=on_network(HOST_NETNS)) for name in ("one", "two")]

    assert pods_of(*boxes, stopped("three", joins_network_of=container_id("one"))) == {
        ("single", "one"): ["one"],
        ("single", "three"): ["three"],
        ("single", "two"): ["two"],
    }


def test_a_nested_container_goes_with_its_outer_one() -> None:
    outer = running("dind", info={"labels": {COMPOSE: "ci"}})
    inner = running("job", inside=outer, info={"labels": {COMPOSE: "inner-project"}})
    innermost = kernel_only(running("step", inside=inner))

    members = members_of(outer, inner, innermost)

    assert pods_of(outer, inner, innermost) == {("compose", "ci"): [container_id("step")[:12], "dind", "job"]}
    assert [members[docker_key(name)].outer for name in ("dind", "job", "step")] == [
        None,
        docker_key("dind"),
        docker_key("job"),
    ]


def test_a_nested_container_draws_nobody_into_its_pod_by_its_network() -> None:
    outer = running("dind")
    inner = running("job", inside=outer, process=on_network(SHARED))

    assert pods_of(outer, inner, running("web", process=on_network(SHARED))) == {
        ("single", "dind"): ["dind", "job"],
        ("single", "web"): ["web"],
    }


def test_a_nested_container_whose_outer_one_was_not_found_stands_alone() -> None:
    inner = running("job", inside=running("dind"))

    assert pods_of(inner) == {("single", "job"): ["job"]}


def test_the_owner_of_a_network_was_told_to_join_nobody() -> None:
    first = running("late", process=on_network(SHARED, start_ticks=9000))
    second = running(
        "early", info={"joins_network_of": container_id("late")}, process=on_network(SHARED, start_ticks=1)
    )

    assert network_owner(members_of(first, second).values()).info.name == "late"


def test_of_two_that_started_together_the_key_decides_who_owns_the_network() -> None:
    members = members_of(*(running(name, process=on_network(SHARED)) for name in ("one", "two"))).values()

    assert network_owner(members).key == min(docker_key("one"), docker_key("two"))


def test_which_project_a_stopped_container_joins_does_not_hang_on_the_order_of_the_list() -> None:
    projects = [
        stopped(name, labels={COMPOSE: project}, joins_network_of=container_id("vpn"))
        for name, project in (("web", "shop"), ("feed", "blog"))
    ]
    vpn = running("vpn")

    assert pods_of(vpn, *projects) == pods_of(vpn, *reversed(projects))


def test_pods_and_their_members_come_by_name() -> None:
    shop = {"labels": {COMPOSE: "b"}}
    boxes = [running("c"), running("z", info=shop), running("y", info=shop), running("a")]

    assert list(pods_of(*boxes).items()) == [
        (("single", "a"), ["a"]),
        (("compose", "b"), ["y", "z"]),
        (("single", "c"), ["c"]),
    ]


# Whatever there is


@st.composite
def any_boxes(draw: DrawFn) -> list[Box]:
    """Draw containers of every sort, whose names, networks and projects often meet."""
    ids = [f"c{at}" for at in range(draw(st.integers(0, 7)))]
    boxes: list[Box] = []
    for each in ids:
        told = draw(st.none() | st.sampled_from(ids))
        project = draw(st.sampled_from(["", "shop", "blog"]))
        said = {
            "name": draw(st.sampled_from(["web", "db", each])),
            "labels": {COMPOSE: project} if project else {},
            "joins_network_of": None if told is None else container_id(told),
            "state": draw(st.sampled_from([State.RUNNING, State.PAUSED, State.EXITED])),
        }
        if draw(st.booleans()):
            boxes.append(stopped(each, **said))
            continue
        outers = [box for box in boxes if box.found]
        box = running(
            each,
            info=said,
            inside=draw(st.none() | st.sampled_from(outers)) if outers else None,
            process={
                "netns": draw(st.sampled_from([None, HOST_NETNS, SHARED, NetnsKey(7), netns_of(each)])),
                "start_ticks": draw(st.integers(1, 2)),
            },
        )
        changes = draw(st.sets(st.sampled_from([kernel_only, unclaimed])))
        for change in sorted(changes, key=lambda change: change.__name__):
            box = change(box)
        if draw(st.booleans()):
            box = replace(box, process=None)
        boxes.append(box)
    return boxes


@given(any_boxes())
def test_the_tree_holds_each_container_once(boxes: list[Box]) -> None:
    groups = join(sample_of(*boxes))

    counts = Counter(member.info.id for group in groups for member in group.members)

    assert counts == Counter(box.info.id if box.info else box.found.id for box in boxes if box.info or box.found)
    assert len({member.key for group in groups for member in group.members}) == len(boxes)
    assert len({(group.info.kind, group.info.id) for group in groups}) == len(groups)


@given(any_boxes())
def test_nested_containers_are_in_the_pod_of_their_outer_one(boxes: list[Box]) -> None:
    for group in join(sample_of(*boxes)):
        keys = {member.key for member in group.members}
        assert {member.outer for member in group.members} - {None} <= keys


@unhurried_in_making
@given(any_boxes().flatmap(lambda boxes: st.tuples(st.just(boxes), st.permutations(boxes))))
def test_the_order_of_what_was_read_does_not_matter(orders: tuple[list[Box], list[Box]]) -> None:
    one, other = orders

    assert join(sample_of(*one)) == join(sample_of(*other))


def test_a_host_without_a_network_namespace_of_its_own_is_no_trouble() -> None:
    box = running("web", process=on_network(None))

    assert pods_of(box, host=host_of(netns=None)) == {("single", "web"): ["web"]}


def test_an_empty_host_has_no_pods() -> None:
    sample: Sample = sample_of()

    assert join(sample) == ()


def test_two_cgroups_of_one_id_are_one_container() -> None:
    again = FoundContainer(CgroupPath(f"/restored{path_of('web')}"), "docker", container_id("web"))

    groups = join(sample_of(running("web"), Box(found=again)))

    assert [member.key for group in groups for member in group.members] == [docker_key("web")]


def test_a_container_is_not_nested_in_itself() -> None:
    box = running("web")
    # A container that binds the host's path of its own cgroup over its view of it, as Kubernetes in Docker does on
    # version 1, makes this one.
    again = FoundContainer(CgroupPath(box.path + path_of("web")), "docker", container_id("web"), box.path)

    groups = join(sample_of(box, Box(found=again)))

    assert [(member.found, member.outer) for group in groups for member in group.members] == [(box.found, None)]
