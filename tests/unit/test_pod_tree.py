"""Pods of all kinds, from cgroups and what is said of them, to the tree and its rows."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from fakes import HOST_NAMESPACES
from samples import (
    Box,
    cgroup_of,
    container_id,
    docker_key,
    info_of,
    netns_of,
    on_network,
    past,
    path_of,
    process_of,
    running,
    sample_of,
    snapshot_after,
    stopped,
)

from topcon.model.join import FOLDED
from topcon.model.namespaces import residents_of, shared_with
from topcon.model.pods import Workload
from topcon.model.sample import (
    SERVICES,
    CgroupPath,
    ContainerId,
    FoundContainer,
    FoundPod,
    Isolated,
    PodInfo,
    PodKind,
    Role,
    Source,
    State,
    Volume,
)
from topcon.report import to_object
from topcon.rows import ViewState, rows

if TYPE_CHECKING:
    from topcon.model.sample import Sample
    from topcon.model.snapshot import PodNode, Snapshot

UID = "3206f41c-56e9-4bcd-8240-b314f179e177"
POD = FoundPod(CgroupPath(f"/kubepods/burstable/pod{UID}"), PodKind.KUBERNETES, UID, "burstable")
NAMED = PodInfo(PodKind.KUBERNETES, UID, "checkout-7d9c5b6f4-x2x9k", "prod")
OF_SANDBOX = replace(NAMED, labels={"pod-template-hash": "7d9c5b6f4"})


def in_pod(name: str, pod: FoundPod = POD, *, runtime: str | None = "containerd", **options: Any) -> Box:
    """A container in a pod's cgroup; ``info`` is what its runtime says, None for nothing."""
    path = CgroupPath(f"{pod.path}/{container_id(name)}")
    info = options.pop("info", {})
    process = options.pop("process", on_network(netns_of("pod")))
    return Box(
        info=None if info is None else info_of(name, **({"runtime": "containerd", "pod": NAMED} | info)),
        found=FoundContainer(path, runtime, container_id(name), pod.outer, pod),
        cgroup=cgroup_of(path, **({"inode": hash(name) % 100_000} | options)),
        process=process_of(name, **process),
    )


def pause(**info: Any) -> Box:
    return in_pod("pause", info={"role": Role.SANDBOX, "pod": OF_SANDBOX} | info, usage_usec=0)


def sample_with(
    *boxes: Box, pods: tuple[FoundPod, ...] = (POD,), own: dict[str, Any] | None = None, **others: Any
) -> Sample:
    """A sample in which the pods have cgroups of their own, that count ``own``."""
    sample = sample_of(*boxes, **others)
    counted = {pod.path: cgroup_of(pod.path, inode=5000 + at, **(own or {})) for at, pod in enumerate(pods)}
    return replace(sample, pods={pod.path: pod for pod in pods}, cgroups={**sample.cgroups, **counted})


def pod_in(snapshot: Snapshot, key: str) -> PodNode:
    return next(pod for pod in snapshot.pods if pod.key == key)


def names_of(pod: PodNode) -> list[str]:
    return [container.name for container in pod.containers]


def text_rows(snapshot: Snapshot, **view: Any) -> list[str]:
    """The tree, two blanks a level."""
    return ["  " * row.depth + row.line.node.key for row in rows(snapshot, ViewState(sort="name", **view))]


# Kubernetes


def test_a_pod_of_kubernetes_has_the_name_of_its_sandbox_and_the_quality_of_its_cgroup() -> None:
    pod = pod_in(snapshot_after(sample_with(in_pod("web"), in_pod("sidecar"), pause())), f"kubernetes:{UID}")

    assert (pod.name, pod.namespace, pod.uid, pod.qos) == ("checkout-7d9c5b6f4-x2x9k", "prod", UID, "burstable")
    assert pod.title == "prod/checkout-7d9c5b6f4-x2x9k"
    assert pod.workload == Workload("Deployment", "checkout")
    assert names_of(pod) == ["pause", "sidecar", "web"]


def test_a_pod_that_nobody_names_is_known_by_its_uid() -> None:
    pod = pod_in(snapshot_after(sample_with(in_pod("web", info=None))), f"kubernetes:{UID}")

    assert (pod.name, pod.namespace, pod.workload) == ("3206f41c", None, None)


def test_a_sandbox_without_a_process_lends_its_name_and_is_not_shown() -> None:
    gone = Box(info=replace(pause().info, state=State.RUNNING)) if pause().info else Box()
    pod = pod_in(snapshot_after(sample_with(in_pod("web", info={"pod": None}), gone)), f"kubernetes:{UID}")

    assert pod.name == "checkout-7d9c5b6f4-x2x9k"
    assert names_of(pod) == ["web"]


def test_a_container_that_ended_stays_in_its_pod() -> None:
    ended = stopped("setup", runtime="containerd", pod=NAMED, role=Role.INIT)
    pod = pod_in(snapshot_after(sample_with(in_pod("web"), ended)), f"kubernetes:{UID}")

    assert names_of(pod) == ["setup", "web"]


def test_a_pod_on_the_hosts_network_is_still_one_pod() -> None:
    host = on_network(None)
    pod = pod_in(
        snapshot_after(sample_with(in_pod("web", process=host), in_pod("log", process=host))), f"kubernetes:{UID}"
    )

    assert names_of(pod) == ["log", "web"]
    assert pod.usage.rx_bytes is None


def test_what_a_pods_cgroup_counts_is_what_the_pod_uses() -> None:
    def at(seconds: float, usage_usec: int) -> Sample:
        web = in_pod("web", usage_usec=usage_usec, current=1 << 20, pids=2)
        return sample_with(
            web,
            pause(),
            own={"usage_usec": usage_usec + 500_000 * int(seconds), "current": 3 << 20, "pids": 4, "limit": 64 << 20},
            seconds=seconds,
        )

    pod = pod_in(snapshot_after(at(0, 0), at(1, 250_000), at(2, 500_000)), f"kubernetes:{UID}")

    assert pod.usage.cpu_cores == pytest.approx(0.75)
    assert (pod.usage.memory_bytes, pod.usage.memory_limit_bytes, pod.usage.pids) == (3 << 20, 64 << 20, 4)
    assert past(pod.usage.cpu_history) == (None, pytest.approx(0.75), pytest.approx(0.75))


def test_without_a_cgroup_of_its_own_a_pod_uses_what_its_containers_use() -> None:
    boxes = [in_pod("web", current=1 << 20), in_pod("log", current=2 << 20)]
    pod = pod_in(snapshot_after(sample_of(*boxes)), f"kubernetes:{UID}")

    assert pod.cgroup is None
    assert pod.usage.memory_bytes == 3 << 20


def test_the_throttling_of_a_container_is_its_pods_too() -> None:
    def at(seconds: float, throttled: int) -> Sample:
        web = in_pod("web", limit_cores=0.5, nr_periods=10 * int(seconds), nr_throttled=throttled)
        return sample_with(web, pause(), own={"limit_cores": 4.0, "nr_periods": 10 * int(seconds)}, seconds=seconds)

    assert pod_in(snapshot_after(at(0, 0), at(1, 8)), f"kubernetes:{UID}").usage.throttled_share == pytest.approx(0.8)


# Kubernetes in a container


def node_with_pod() -> Sample:
    node = running("node")
    inner = replace(POD, path=CgroupPath(f"{node.path}/kubelet/kubepods/burstable/pod{UID}"), outer=node.path)
    return sample_with(node, running("alone"), in_pod("web", inner), in_pod("log", inner), pods=(inner,))


def test_a_pod_in_a_container_is_a_pod_below_it() -> None:
    snapshot = snapshot_after(node_with_pod())
    pod = pod_in(snapshot, f"kubernetes:{UID}")

    assert pod.outer == docker_key("node")
    assert names_of(pod) == ["log", "web"]
    assert text_rows(snapshot) == [
        docker_key("alone"),
        docker_key("node"),
        f"  kubernetes:{UID}",
        f"    containerd:{container_id('log')}",
        f"    containerd:{container_id('web')}",
    ]


def test_what_is_nested_is_not_counted_twice_and_counted_in_its_own_pod() -> None:
    snapshot = snapshot_after(node_with_pod())

    assert pod_in(snapshot, f"single:{docker_key('node')}").usage.memory_bytes == 10 << 20
    assert pod_in(snapshot, f"kubernetes:{UID}").usage.memory_bytes == 10 << 20


def test_a_pod_whose_outer_container_is_filtered_out_moves_up() -> None:
    from topcon.filter import parse_filter  # noqa: PLC0415

    assert text_rows(snapshot_after(node_with_pod()), filter=parse_filter("web")) == [
        f"kubernetes:{UID}",
        f"  containerd:{container_id('web')}",
    ]


# Other pods


def test_a_pod_of_podman_is_one_by_its_cgroup_or_by_what_podman_says() -> None:
    pod_id = "0b" * 32
    found = FoundPod(CgroupPath(f"/machine.slice/machine-libpod_pod_{pod_id}.slice"), PodKind.PODMAN, pod_id)
    said = PodInfo(PodKind.PODMAN, pod_id, "books")
    running_one = in_pod("api", found, runtime="podman", info={"runtime": "podman", "pod": None})
    ended = stopped("migrate", runtime="podman", pod=said)

    pod = pod_in(snapshot_after(sample_with(running_one, ended, pods=(found,))), f"podman:{pod_id}")

    assert (pod.name, pod.kind, pod.uid) == ("books", PodKind.PODMAN, None)
    assert names_of(pod) == ["api", "migrate"]


def test_a_stack_of_a_swarm_is_a_pod() -> None:
    labels = {"com.docker.swarm.service.name": "shop_web", "com.docker.stack.namespace": "shop"}
    pod = pod_in(snapshot_after(sample_of(running("web", info={"labels": labels}))), "swarm:shop")

    assert pod.workload == Workload("Service", "shop_web")


def test_volumes_that_several_containers_of_a_pod_see_are_known() -> None:
    data, own = Volume("/srv/data", "/data"), Volume("/srv/web", "/web")
    sample = sample_with(
        in_pod("web", info={"volumes": (data, own)}), in_pod("log", info={"volumes": (replace(data, target="/in"),)})
    )
    pod = pod_in(snapshot_after(sample), f"kubernetes:{UID}")

    assert pod.shared_volumes == {
        "/srv/data": (f"containerd:{container_id('log')}", f"containerd:{container_id('web')}")
    }


# What only a path suggests


def test_a_candidate_is_a_container_only_if_somebody_says_so() -> None:
    path = CgroupPath("/default/redis")
    candidate = Box(
        found=FoundContainer(path, "containerd", ContainerId("default/redis"), is_candidate=True),
        cgroup=cgroup_of(path),
        process=process_of("redis"),
    )
    confirmed = replace(candidate, info=info_of("redis", id=ContainerId("default/redis"), runtime="containerd"))

    assert snapshot_after(sample_of(candidate)).pods == ()
    assert list(snapshot_after(sample_of(confirmed)).containers) == ["containerd:default/redis"]


def test_an_id_that_a_person_chose_is_not_shortened() -> None:
    path = CgroupPath("/lxc.payload.a-database-of-the-shop")
    box = Box(found=FoundContainer(path, "lxc", ContainerId("a-database-of-the-shop")), cgroup=cgroup_of(path))

    (container,) = snapshot_after(sample_of(box)).containers.values()

    assert container.name == "a-database-of-the-shop"


# What no runtime knows


def adrift(name: str = "adrift", fold: str | None = None, *, is_alone: bool = True, **process: Any) -> Isolated:
    cgroup = CgroupPath(f"/user.slice/{name}.scope")
    return Isolated(str(netns_of(name)), process_of(name, **process), cgroup, is_alone, name, "sleep 9", fold)


def test_what_lives_in_namespaces_of_its_own_is_a_container_without_a_runtime() -> None:
    one = adrift()
    sample = replace(sample_of(isolated=(one,)), cgroups={one.cgroup: cgroup_of(one.cgroup, current=7 << 20)})
    snapshot = snapshot_after(sample)

    (container,) = snapshot.containers.values()

    assert container.key == f"none:{netns_of('adrift')}"
    assert (container.info.runtime, container.info.source, container.name) == ("none", Source.NAMESPACE, "adrift")
    assert (container.info.state, container.info.command) == (State.RUNNING, "sleep 9")
    assert container.usage.memory_bytes == 7 << 20


def test_what_shares_its_cgroup_with_others_has_no_numbers_of_its_own() -> None:
    one = adrift(is_alone=False)
    sample = replace(sample_of(isolated=(one,)), cgroups={one.cgroup: cgroup_of(one.cgroup, current=7 << 20)})

    (container,) = snapshot_after(sample).containers.values()

    assert container.usage.memory_bytes is None
    assert container.cgroup is None


def test_services_with_private_mounts_are_one_row_that_is_folded_at_first() -> None:
    snapshot = snapshot_after(sample_of(isolated=(adrift("logind", SERVICES), adrift("udevd", SERVICES))))
    key = f"namespace:{SERVICES}"

    assert pod_in(snapshot, key).name == FOLDED[SERVICES]
    assert text_rows(snapshot) == [key]
    assert len(text_rows(snapshot, collapsed=frozenset())) == 3


def test_those_without_a_runtime_are_not_blamed_for_what_they_share_with_the_host() -> None:
    one = adrift(ns_pids=(7,), namespaces=process_of("x").namespaces)

    assert snapshot_after(sample_of(isolated=(one,))).findings == ()


# Namespaces


def test_with_whom_a_container_shares_which_namespaces() -> None:
    web, log, alone = running("web"), running("log"), running("alone")
    assert web.process is not None
    assert log.process is not None
    theirs = replace(log.process.namespaces, net=web.process.namespaces.net, ipc=web.process.namespaces.ipc)
    log = replace(log, process=replace(log.process, namespaces=theirs, netns=web.process.netns))
    snapshot = snapshot_after(sample_of(web, log, alone))
    residents = residents_of(snapshot)

    shared = {container.name: dict(shared_with(container, residents)) for container in snapshot.containers.values()}

    assert shared == {
        "web": {"net": [docker_key("log")], "ipc": [docker_key("log")]},
        "log": {"net": [docker_key("web")], "ipc": [docker_key("web")]},
        "alone": {},
    }
    assert ("user", HOST_NAMESPACES["user"]) not in residents


# JSON


def test_the_json_of_a_pod_has_what_is_known_of_it() -> None:
    snapshot = snapshot_after(sample_with(in_pod("web"), pause(), own={"current": 3 << 20}))
    (pod,) = to_object(snapshot, rows(snapshot, ViewState()))["pods"]

    assert {key: pod[key] for key in ("kind", "name", "namespace", "uid", "qos", "workload", "cgroup", "outer")} == {
        "kind": "kubernetes",
        "name": "checkout-7d9c5b6f4-x2x9k",
        "namespace": "prod",
        "uid": UID,
        "qos": "burstable",
        "workload": {"kind": "Deployment", "name": "checkout"},
        "cgroup": POD.path,
        "outer": None,
    }
    assert pod["memory"]["current_bytes"] == 3 << 20
    assert {each["name"]: each["role"] for each in pod["containers"]} == {"web": "workload", "pause": "sandbox"}


# Ids that are not the only ones


def test_an_id_that_a_container_gives_to_a_cgroup_inside_itself_is_not_the_real_ones() -> None:
    attacker, victim = running("aaa"), running("zzz")
    path = CgroupPath(f"{attacker.path}/docker/{container_id('zzz')}")
    pretender = Box(
        found=FoundContainer(path, "docker", container_id("zzz"), attacker.path), cgroup=cgroup_of(path, inode=4711)
    )

    containers = snapshot_after(sample_of(attacker, pretender, victim)).containers

    assert containers[docker_key("zzz")].name == "zzz"
    assert containers[docker_key("zzz")].outer is None
    other = containers[f"{docker_key('zzz')}@4711"]
    assert other.outer == docker_key("aaa")
    # A runtime that is asked to stop it must not find the real one.
    assert other.info.id == f"{container_id('zzz')}@4711"


def test_two_of_one_name_in_different_places_are_two() -> None:
    places = [CgroupPath(f"/user.slice/user-{uid}.slice/app-flatpak-org.mozilla.firefox-{uid}.scope") for uid in (1, 2)]
    boxes = [
        Box(found=FoundContainer(path, "flatpak", ContainerId("org.mozilla.firefox")), cgroup=cgroup_of(path, inode=at))
        for at, path in enumerate(places, start=10)
    ]

    assert sorted(snapshot_after(sample_of(*boxes)).containers) == [
        "flatpak:org.mozilla.firefox",
        "flatpak:org.mozilla.firefox@11",
    ]


def test_the_tasks_of_an_allocation_of_nomad_are_a_pod() -> None:
    alloc = "5f1c2f9a-8d6e-4f43-9e0a-0c9c7d1b2a3f"
    boxes = []
    for task in ("web", "log"):
        path = CgroupPath(f"/nomad.slice/share.slice/{alloc}.{task}.scope")
        boxes.append(Box(found=FoundContainer(path, "nomad", ContainerId(f"{alloc}.{task}")), cgroup=cgroup_of(path)))

    pod = pod_in(snapshot_after(sample_of(*boxes)), f"nomad:{alloc}")

    assert (pod.name, names_of(pod)) == ("5f1c2f9a", ["log", "web"])


def test_a_container_in_a_users_slice_is_not_missed_by_the_daemon_of_root() -> None:
    users = CgroupPath(f"/user.slice/user-1000.slice/libpod-{container_id('web')}.scope")
    lost = {
        path: Box(
            found=FoundContainer(path, "docker", container_id("web")), cgroup=cgroup_of(path), process=process_of("web")
        )
        for path in (users, path_of("web"))
    }

    codes = {path: [each.code for each in snapshot_after(sample_of(box)).findings] for path, box in lost.items()}

    assert codes == {users: [], path_of("web"): ["unknown-to-runtime"]}
