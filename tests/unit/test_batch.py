"""Acting on several containers: the order, and what becomes of the others where one fails."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import container_id, docker_key, node_of

from topcon.actions import Outcome, Verb, Way
from topcon.batch import ENDED, MOST_AT_ONCE, Batch, in_waves, parse_depends_on, plan
from topcon.model.sample import ContainerKey, PodInfo, PodKind, Role

if TYPE_CHECKING:
    from collections.abc import Callable

    from topcon.actions import Request
    from topcon.batch import Plan
    from topcon.model.snapshot import ContainerNode

UP = (Verb.START, Verb.RESTART)
DOWN = (Verb.STOP, Verb.KILL, Verb.REMOVE)


def service(name: str, *needs: str, project: str = "shop") -> ContainerNode:
    """Return a container of a Compose project."""
    label = ",".join(f"{need}:service_started:false" for need in needs)
    labels = {
        "com.docker.compose.project": project,
        "com.docker.compose.service": name,
        "com.docker.compose.depends_on": label,
    }
    return node_of(f"{project}-{name}", labels=labels)


def names(planned: Plan) -> list[set[str]]:
    return [{request.name for request in wave} for wave in planned.waves]


# The order.


SHOP = (service("web", "api"), service("api", "db", "cache"), service("db"), service("cache"), service("mail"))
WAVES_UP = [{"shop-db", "shop-cache", "shop-mail"}, {"shop-api"}, {"shop-web"}]
WAVES_DOWN = [{"shop-web", "shop-mail"}, {"shop-api"}, {"shop-db", "shop-cache"}]


@pytest.mark.parametrize("verb", UP)
def test_what_a_service_depends_on_comes_before_it(verb: Verb) -> None:
    assert names(plan(verb, SHOP)) == WAVES_UP


@pytest.mark.parametrize("verb", DOWN)
def test_what_depends_on_a_service_is_ended_before_it(verb: Verb) -> None:
    assert names(plan(verb, SHOP)) == WAVES_DOWN


@pytest.mark.parametrize("verb", [Verb.PAUSE, Verb.UNPAUSE])
def test_a_pause_has_no_order(verb: Verb) -> None:
    assert len(plan(verb, SHOP).waves) == 1


def test_dependencies_are_those_of_the_same_project() -> None:
    containers = (service("web", "db"), service("db", project="other"))

    assert len(plan(Verb.START, containers).waves) == 1


def test_dependencies_that_are_not_acted_on_are_not_waited_for() -> None:
    assert names(plan(Verb.START, [service("web", "api")])) == [{"shop-web"}]


def test_a_circle_does_not_hang() -> None:
    containers = (service("a", "b"), service("b", "c"), service("c", "a"), service("d"))

    planned = plan(Verb.START, containers)

    assert names(planned) == [{"shop-d"}, {"shop-a", "shop-b", "shop-c"}]
    assert planned.needs == {}


def test_a_service_that_depends_on_itself_is_done() -> None:
    assert names(plan(Verb.START, [service("a", "a")])) == [{"shop-a"}]


POD = PodInfo(PodKind.KUBERNETES, "uid-1", "shop", "prod")


def pod_members(pod: PodInfo | None = POD, **labels: str) -> tuple[ContainerNode, ...]:
    return (
        node_of("sandbox", pod=pod, role=Role.SANDBOX, labels=labels),
        node_of("web", pod=pod, labels=labels),
        node_of("sidecar", pod=pod, labels=labels),
    )


@pytest.mark.parametrize(
    "members",
    [
        pod_members(),
        pod_members(PodInfo(PodKind.PODMAN, "1234", "books")),
        pod_members(None, **{"io.kubernetes.pod.uid": "uid-1"}),
    ],
    ids=["kubernetes", "podman", "by labels"],
)
@pytest.mark.parametrize("verb", [*UP, *DOWN])
def test_a_sandbox_comes_first_and_goes_last(verb: Verb, members: tuple[ContainerNode, ...]) -> None:
    expected = [{"sandbox"}, {"web", "sidecar"}]

    assert names(plan(verb, members)) == (expected if verb in UP else expected[::-1])


def test_containers_that_are_in_no_pod_have_no_sandbox_in_common() -> None:
    containers = (node_of("pause", role=Role.SANDBOX), node_of("web"))

    assert len(plan(Verb.STOP, containers).waves) == 1


def test_whose_network_is_joined_is_there_first() -> None:
    containers = (node_of("guest", joins_network_of=container_id("owner")), node_of("owner"))

    assert names(plan(Verb.START, containers)) == [{"owner"}, {"guest"}]
    assert names(plan(Verb.STOP, containers)) == [{"guest"}, {"owner"}]


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("", ()),
        ("db:service_started:false", ("db",)),
        ("db:service_healthy:true,cache:service_started:false", ("db", "cache")),
        ("db", ("db",)),
        (" db:service_started , ,db:x", ("db",)),
        (":::,,", ()),
    ],
)
def test_the_label_of_dependencies(label: str, expected: tuple[str, ...]) -> None:
    assert parse_depends_on(label) == expected


@given(st.text())
def test_any_label_of_dependencies_is_taken(label: str) -> None:
    assert all(parse_depends_on(label))


@given(st.integers(1, 9).flatmap(lambda count: st.lists(st.tuples(*[st.integers(0, count - 1)] * 2), max_size=20)))
def test_everything_is_done_once_and_after_what_it_needs(edges: list[tuple[int, int]]) -> None:
    keys = [ContainerKey(str(each)) for each in range(9)]
    needs: dict[ContainerKey, set[ContainerKey]] = {}
    for one, other in edges:
        needs.setdefault(keys[one], set()).add(keys[other])

    waves = in_waves(keys, needs)

    assert sorted(key for wave in waves for key in wave) == keys
    before: set[ContainerKey] = set()
    for wave in waves[:-1]:
        assert all(needs.get(key, set()) <= before for key in wave)
        before |= set(wave)


def test_a_request_is_what_the_person_agreed_to() -> None:
    containers = (node_of("a", grace_s=30.0), node_of("b"))

    own = plan(Verb.STOP, containers, ways={docker_key("b"): Way.KERNEL})
    same = plan(Verb.STOP, containers, grace_s=3.0)
    kill = plan(Verb.KILL, containers, signal="hup")

    assert [request.grace_s for request in own.waves[0]] == [30.0, 10.0]
    assert [request.way for request in own.waves[0]] == [Way.RUNTIME, Way.KERNEL]
    assert [request.grace_s for request in same.waves[0]] == [3.0, 3.0]
    assert [request.signal for request in kill.waves[0]] == ["SIGHUP", "SIGHUP"]


# Doing it.


@dataclass
class Deeds:
    """Notes what it is asked to do; what is named in ``errors`` fails."""

    errors: dict[str, str] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    meanwhile: Callable[[Request], object] = lambda _: None

    def perform(self, request: Request) -> Outcome:
        self.meanwhile(request)
        self.done.append(request.name)
        return Outcome(request, 0.5, self.errors.get(request.name))

    def refuse(self, request: Request, why: str) -> Outcome:
        self.refused.append((request.name, why))
        return Outcome(request, 0.0, why)


def batch_of(verb: Verb, containers: tuple[ContainerNode, ...], deeds: Deeds, **options: Any) -> Batch:
    on_change = options.pop("on_change", lambda: None)
    return Batch(plan(verb, containers), deeds, on_change, **options)  # type: ignore[arg-type]


def test_a_wave_waits_for_the_one_before() -> None:
    deeds = Deeds()
    batch = batch_of(Verb.STOP, SHOP, deeds)
    assert not batch.is_over

    batch.run()

    ends = [len(wave) for wave in WAVES_DOWN]
    assert [set(deeds.done[:2]), set(deeds.done[2:3]), set(deeds.done[3:])] == WAVES_DOWN
    assert sum(ends) == len(deeds.done)
    assert (batch.is_over, batch.failed) == (True, ())


def test_within_a_wave_all_is_under_way_at_once_but_no_more_than_eight() -> None:
    together = threading.Barrier(MOST_AT_ONCE)
    lock, now, most = threading.Lock(), 0, 0

    def meanwhile(_: Request) -> None:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        # Broken unless as many are under way together.
        together.wait(30)
        with lock:
            now -= 1

    containers = tuple(node_of(f"c{at}") for at in range(MOST_AT_ONCE * 2))
    batch = batch_of(Verb.STOP, containers, Deeds(meanwhile=meanwhile))

    batch.run()

    assert (most, batch.failed) == (MOST_AT_ONCE, ())


def test_slots_are_shared_by_all_that_runs() -> None:
    slots = threading.Semaphore(1)
    lock, now, most = threading.Lock(), 0, 0

    def meanwhile(_: Request) -> None:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        with lock:
            now -= 1

    containers = tuple(node_of(f"c{at}") for at in range(20))
    batch_of(Verb.STOP, containers, Deeds(meanwhile=meanwhile), slots=slots).run()

    assert most == 1


def test_a_failure_stops_only_those_that_need_it() -> None:
    deeds = Deeds({"shop-db": "no space left on device"})
    batch = batch_of(Verb.START, SHOP, deeds)

    batch.run()

    assert set(deeds.done) == {"shop-db", "shop-cache", "shop-mail"}
    assert deeds.refused == [
        ("shop-api", "not done: shop-db, which it needs, could not be started"),
        ("shop-web", "not done: shop-api, which it needs, could not be started"),
    ]
    assert {step.request.name for step in batch.failed} == {"shop-db", "shop-api", "shop-web"}


def test_what_is_still_needed_is_not_stopped() -> None:
    deeds = Deeds({"shop-web": "it refused"})

    batch_of(Verb.STOP, SHOP, deeds).run()

    assert deeds.refused[0] == ("shop-api", "not done: shop-web, which needs it, could not be stopped")


def test_what_is_to_be_killed_is_killed_whatever_becomes_of_the_others() -> None:
    deeds = Deeds({"shop-web": "it is not running"})

    batch_of(Verb.KILL, SHOP, deeds).run()

    assert (len(deeds.done), deeds.refused) == (len(SHOP), [])


def test_how_far_it_is_can_be_seen_at_any_time() -> None:
    seen: list[list[tuple[str, bool, bool]]] = []
    clock = iter(range(100))

    def look(_: Request) -> None:
        seen.append([(step.request.name, step.begun_s is not None, step.outcome is not None) for step in batch.steps])

    batch = batch_of(Verb.START, (SHOP[1], SHOP[2]), Deeds(meanwhile=look), clock=lambda: float(next(clock)))
    assert [batch.ago_s(step) for step in batch.steps] == [None, None]
    batch.run()

    assert seen == [
        [("shop-db", True, False), ("shop-api", False, False)],
        [("shop-db", True, True), ("shop-api", True, False)],
    ]
    ago_s = batch.ago_s(batch.steps[0])
    assert ago_s is not None
    assert ago_s > 0


def test_the_end_of_topcon_begins_nothing_more() -> None:
    deeds = Deeds(meanwhile=lambda request: batch.close() if request.name == "shop-db" else None)
    batch = batch_of(Verb.START, (SHOP[1], SHOP[2]), deeds)

    batch.run()

    assert deeds.done == ["shop-db"]
    assert deeds.refused == [("shop-api", ENDED)]
    assert batch.is_over


@pytest.mark.parametrize("count", [1, 3])
def test_a_bug_is_not_taken_for_a_failure(count: int) -> None:
    def broken(_: Request) -> None:
        raise ZeroDivisionError

    batch = batch_of(Verb.STOP, tuple(node_of(f"c{at}") for at in range(count)), Deeds(meanwhile=broken))

    with pytest.raises(ZeroDivisionError):
        batch.run()


def test_each_step_is_told() -> None:
    told: list[int] = []
    batch = batch_of(Verb.START, (SHOP[1], SHOP[2]), Deeds(), on_change=lambda: told.append(1))

    batch.run()

    assert len(told) == 4
