"""Which container and which pod a cgroup path belongs to: the paths of every runtime, and those that are neither's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topcon.model.sample import CgroupPath, ContainerId, FoundContainer, FoundPod, PodKind
from topcon.runtimes.paths import Claim, Place, claims, classify

C = "c" * 64
D = "d0" * 32
P = "f00d" * 16
HASH = "e" * 32
UID = "0b3c5d7e-1234-4abc-8def-0123456789ab"
UID_ = UID.replace("-", "_")
BUILD = "k1n2p3q4r5s6t7u8v9w0x1y2z"
GARDEN = "5d8e0a2a-5a61-4b6b-4f6d-0a3b"

USER = "/user.slice/user-1000.slice/user@1000.service"
NODE = f"/system.slice/docker-{D}.scope"
PODMAN_NODE = f"/machine.slice/libpod-{D}.scope"
BURSTABLE = "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod"
BEST_EFFORT = "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod"
KIND_BEST_EFFORT = (
    "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/kubelet-kubepods-besteffort-pod"
)

CONTAINERS = [
    # Docker: systemd, cgroupfs, rootless
    (f"/system.slice/docker-{C}.scope", "docker", C),
    (f"/docker/{C}", "docker", C),
    (f"{USER}/user.slice/docker-{C}.scope", "docker", C),
    (f"{USER}/docker/{C}", "docker", C),
    (f"/moby/{C}", "docker", C),
    # Docker with --cgroup-parent and the systemd driver, and what else starts its containers in slices of its own
    (f"/batch.slice/batch-night.slice/docker-{C}.scope", "docker", C),
    (f"/nomad.slice/docker-{C}.scope", "docker", C),
    (f"/nomad.slice/share.slice/docker-{C}.scope", "docker", C),
    # Steps of builds
    (f"/docker/buildkit/{C}", "buildkit", C),
    (f"/docker/buildkit/{BUILD}", "buildkit", BUILD),
    (f"/system.slice/docker.service/buildkit/{BUILD}", "buildkit", BUILD),
    (f"/system.slice/docker-{BUILD}.scope", "buildkit", BUILD),
    # --cgroup-parent with the cgroupfs driver: other runtimes write the same
    (f"/batch/{C}", None, C),
    (f"/batch/jobs/{C}", None, C),
    (f"/{C}", None, C),
    # containerd
    (f"/k8s.io/{C}", "containerd", C),
    (f"/default/{C}", "containerd", C),
    (f"/system.slice/nerdctl-{C}.scope", "containerd", C),
    (f"{USER}/user.slice/nerdctl-{C}.scope", "containerd", C),
    # Podman: root, rootless, both drivers, --cgroups=split and Quadlet
    (f"/machine.slice/libpod-{C}.scope", "podman", C),
    (f"{USER}/user.slice/libpod-{C}.scope", "podman", C),
    (f"/libpod_parent/libpod-{C}", "podman", C),
    (f"/system.slice/web.service/libpod-payload-{C}", "podman", C),
    (f"{USER}/app.slice/web.service/libpod-payload-{C}", "podman", C),
    # LXC, LXD, Incus, Proxmox
    ("/lxc.payload.web1", "lxc", "web1"),
    ("/lxc.payload.web1-1", "lxc", "web1-1"),
    ("/lxc.payload.proj_web1", "lxc", "proj_web1"),
    ("/lxc.payload/web1", "lxc", "web1"),
    ("/lxc/web1", "lxc", "web1"),
    ("/lxc/101", "lxc", "101"),
    ("/lxc/conmon", "lxc", "conmon"),
    (f"{USER}/user.slice/lxc.payload.web1", "lxc", "web1"),
    # systemd-nspawn and libvirt; systemd writes "-" as \x2d
    ("/machine.slice/systemd-nspawn@deb.service", "nspawn", "deb"),
    (r"/machine.slice/systemd-nspawn@my\x2ddeb.service", "nspawn", "my-deb"),
    (r"/machine.slice/machine-my\x2ddeb.scope", "nspawn", "my-deb"),
    (r"/machine.slice/machine-f\xc3\xbcr\xff.scope", "nspawn", "für\N{REPLACEMENT CHARACTER}"),
    (r"/machine.slice/machine-qemu\x2d3\x2dvm1.scope", "vm", "vm1"),
    ("/machine/qemu-3-vm1.libvirt-qemu", "vm", "vm1"),
    ("/libvirt/qemu/vm1", "vm", "vm1"),
    (r"/machine.slice/machine-lxc\x2d2293906\x2dlibvirt\x2dcontainer.scope", "libvirt-lxc", "libvirt-container"),
    ("/machine/lxc-77-box.libvirt-lxc", "libvirt-lxc", "box"),
    ("/libvirt/lxc/box", "libvirt-lxc", "box"),
    # Nomad, Mesos
    (f"/nomad.slice/share.slice/{UID}.web.scope", "nomad", f"{UID}.web"),
    (f"/nomad.slice/reserve.slice/{UID}.web.scope", "nomad", f"{UID}.web"),
    (f"/nomad/{UID}.web", "nomad", f"{UID}.web"),
    (f"/mesos/{UID}", "mesos", UID),
    # Cloud Foundry
    (f"/garden/{GARDEN}", "garden", GARDEN),
    (f"/garden-7/{UID}", "garden", UID),
    (f"/system.slice/garden.service/garden/good/{GARDEN}", "garden", GARDEN),
    (f"/garden/bad/{GARDEN}", "garden", GARDEN),
    ("/system.slice/bpm-nats.scope", "bpm", "nats"),
    ("/system.slice/bpm-nats", "bpm", "nats"),
    # One program in a box
    (f"{USER}/app.slice/app-flatpak-org.mozilla.firefox-12345.scope", "flatpak", "org.mozilla.firefox"),
    (f"{USER}/app.slice/snap.firefox.firefox-{UID}.scope", "snap", "firefox.firefox"),
    ("/system.slice/snap.lxd.daemon.service", "snap", "lxd.daemon"),
    (f"{USER}/user.slice/apptainer-4242.scope", "apptainer", "4242"),
    ("/system.slice/run-u123.scope", "systemd-run", "u123"),
    (f"/system.slice/run-r{HASH}.service", "systemd-run", f"r{HASH}"),
    ("/system.slice/run-p512-i813.scope", "systemd-run", "p512-i813"),
    ("/system.slice/runc-mybox.scope", "runc", "mybox"),
    ("/system.slice/crun-my-box.scope", "runc", "my-box"),
    # Seen from another cgroup namespace
    (f"/../../system.slice/docker-{C}.scope", "docker", C),
    (f"/../docker/{C}", "docker", C),
    (f"/../{C}", None, C),
]
"""Without a pod: path, runtime, id."""

IN_PODS = [
    # Kubernetes with containerd, CRI-O and cri-dockerd; of no class in its name is guaranteed
    (f"{BURSTABLE}{UID_}.slice", f"cri-containerd-{C}.scope", "containerd", "burstable"),
    (f"{BURSTABLE}{HASH}.slice", f"cri-containerd-{C}.scope", "containerd", "burstable"),
    (f"/kubepods.slice/kubepods-pod{UID_}.slice", f"cri-containerd-{C}.scope", "containerd", "guaranteed"),
    (f"{BEST_EFFORT}{UID_}.slice", f"crio-{C}.scope", "cri-o", "besteffort"),
    (f"/kubepods/besteffort/pod{UID}", f"crio-{C}", "cri-o", "besteffort"),
    (f"{BURSTABLE}{UID_}.slice", f"docker-{C}.scope", "docker", "burstable"),
    # The cgroupfs driver's containers have no runtime in their name
    (f"/kubepods/burstable/pod{UID}", C, None, "burstable"),
    (f"/kubepods/burstable/pod{HASH}", C, None, "burstable"),
    (f"/kubepods/besteffort/pod{UID}", C, None, "besteffort"),
    (f"/kubepods/pod{UID}", C, None, "guaranteed"),
    # --cgroup-root
    (f"{KIND_BEST_EFFORT}{UID_}.slice", f"cri-containerd-{C}.scope", "containerd", "besteffort"),
    (f"/kubelet/kubepods/besteffort/pod{UID}", C, None, "besteffort"),
    (f"/a.slice/a-b.slice/a-b-kubepods.slice/a-b-kubepods-pod{UID_}.slice", f"crio-{C}.scope", "cri-o", "guaranteed"),
    # Seen from a pod of the same class
    (f"/../../burstable/pod{UID}", C, None, "burstable"),
]
"""Kubernetes: the pod, the container in it, its runtime, the pod's class."""

OTHER_PODS = [
    (f"/machine.slice/machine-libpod_pod_{P}.slice", f"libpod-{C}.scope", "podman", PodKind.PODMAN, P),
    (f"{USER}/user.slice/user-libpod_pod_{P}.slice", f"libpod-{C}.scope", "podman", PodKind.PODMAN, P),
    (f"/libpod_parent/{P}", f"libpod-{C}", "podman", PodKind.PODMAN, P),
    (f"/ecstasks.slice/ecstasks-{HASH}.slice", f"docker-{C}.scope", "docker", PodKind.ECS, HASH),
    (f"/ecs/{HASH}", C, "docker", PodKind.ECS, HASH),
    (f"/ecs/{UID}", C, "docker", PodKind.ECS, UID),
    (f"/ecs/mycluster/{HASH}", C, "docker", PodKind.ECS, HASH),
    (f"/ecs/{HASH}", f"{HASH}-1234567890", "ecs", PodKind.ECS, HASH),
]


def kubernetes_pod(path: str, qos: str, outer: str | None = None) -> FoundPod:
    uid = UID if UID in path or UID_ in path else HASH
    return FoundPod(CgroupPath(path), PodKind.KUBERNETES, uid, qos, CgroupPath(outer) if outer else None)


ALL_IN_PODS = [
    *((kubernetes_pod(pod, qos), name, runtime) for pod, name, runtime, qos in IN_PODS),
    *((FoundPod(CgroupPath(pod), kind, id_), name, runtime) for pod, name, runtime, kind, id_ in OTHER_PODS),
]
EVERY_CONTAINER = [
    *((path, runtime) for path, runtime, _ in CONTAINERS),
    *((f"{pod.path}/{name}", runtime) for pod, name, runtime in ALL_IN_PODS),
]


@pytest.mark.parametrize(("path", "runtime", "container"), CONTAINERS)
def test_a_containers_own_cgroup(path: str, runtime: str | None, container: str) -> None:
    found = FoundContainer(CgroupPath(path), runtime, ContainerId(container))

    assert classify(CgroupPath(path)) == Place(found, None, is_inside=False)


@pytest.mark.parametrize(("pod", "name", "runtime"), ALL_IN_PODS)
def test_a_container_knows_the_pod_around_it(pod: FoundPod, name: str, runtime: str | None) -> None:
    path = CgroupPath(f"{pod.path}/{name}")
    id_ = C if C in name else name

    assert classify(path) == Place(FoundContainer(path, runtime, ContainerId(id_), pod=pod), None, is_inside=False)


@pytest.mark.parametrize("pod", [pod for pod, _, _ in ALL_IN_PODS])
def test_a_pods_own_cgroup(pod: FoundPod) -> None:
    assert classify(pod.path) == Place(None, pod, is_inside=False)
    assert claims(pod.path) == ()


BELOW = ["init.scope", "system.slice/cron.service", "container", "ns", "payload", "supervisor/a/b", "leaf"]


@pytest.mark.parametrize(("path", "runtime"), EVERY_CONTAINER)
def test_what_is_below_a_container_is_inside_it(path: str, runtime: str | None) -> None:
    for below in BELOW:
        assert classify(CgroupPath(f"{path}/{below}")) == Place(None, None, is_inside=True)
        assert [claim.runtime for claim in claims(f"{path}/{below}")] == [runtime]


@pytest.mark.parametrize(
    ("outer", "inner", "runtime", "container"),
    [
        (NODE, f"/docker/{C}", "docker", C),
        (f"/docker/{D}", f"/docker/{C}", "docker", C),
        (f"/docker/{D}", f"/system.slice/docker-{C}.scope", "docker", C),
        (f"/docker/{D}", f"/docker/buildkit/{C}", "buildkit", C),
        (f"/../../docker/{D}", f"/docker/{C}", "docker", C),
        ("/lxc.payload.web1", f"/system.slice/docker-{C}.scope", "docker", C),
        ("/lxc/101", f"/ns/docker/{C}", "docker", C),
        ("/lxc.payload.web1", "/lxc.payload.web2", "lxc", "web2"),
        (r"/machine.slice/systemd-nspawn@deb.service", f"/payload/machine.slice/libpod-{C}.scope", "podman", C),
        (f"/mesos/{UID}", f"/mesos/{UID}", "mesos", UID),
    ],
)
def test_a_container_in_a_container_knows_the_outer_one(
    outer: str, inner: str, runtime: str | None, container: str
) -> None:
    path = CgroupPath(outer + inner)

    assert classify(path) == Place(
        FoundContainer(path, runtime, ContainerId(container), outer=CgroupPath(outer)), None, is_inside=True
    )


@pytest.mark.parametrize(
    ("outer", "pod", "name", "runtime", "qos"),
    [
        (NODE, f"{KIND_BEST_EFFORT}{UID_}.slice", f"cri-containerd-{C}.scope", "containerd", "besteffort"),
        (NODE, f"/kubelet/kubepods/besteffort/pod{UID}", C, None, "besteffort"),
        (f"/docker/{D}", f"/kubelet/kubepods/besteffort/pod{UID}", C, None, "besteffort"),
        (f"/docker/{D}", f"/kubepods/burstable/pod{UID}", C, None, "burstable"),
        (
            PODMAN_NODE,
            f"/container/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod{UID_}.slice",
            f"cri-containerd-{C}.scope",
            "containerd",
            "guaranteed",
        ),
    ],
)
def test_pods_of_a_node_that_is_a_container_know_it(
    outer: str, pod: str, name: str, runtime: str | None, qos: str
) -> None:
    found = kubernetes_pod(outer + pod, qos, outer)
    path = CgroupPath(f"{found.path}/{name}")

    assert classify(found.path) == Place(None, found, is_inside=True)
    assert classify(path) == Place(
        FoundContainer(path, runtime, ContainerId(C), CgroupPath(outer), found), None, is_inside=True
    )


def test_a_pod_around_the_outer_container_is_not_the_inner_ones() -> None:
    outer = f"{BURSTABLE}{UID_}.slice/cri-containerd-{D}.scope"

    place = classify(CgroupPath(f"{outer}/docker/{C}"))

    assert place.container is not None
    assert place.container.outer == outer
    assert place.container.pod is None


def test_of_three_nested_containers_the_nearest_is_the_outer_one() -> None:
    path = CgroupPath(f"/docker/{C}/docker/{D}/docker/{'e' * 64}")

    place = classify(path)

    assert place.container is not None
    assert place.container.outer == f"/docker/{C}/docker/{D}"
    assert [claim.id for claim in claims(path)] == [C, D, "e" * 64]


def test_a_pod_that_is_but_a_word_in_its_containers_name_has_no_cgroup_to_count() -> None:
    slice_ = f"kubepods-burstable-pod{UID_}.slice"
    path = CgroupPath(f"/system.slice/containerd.service/{slice_}:cri-containerd:{C}")
    pod = kubernetes_pod(f"/system.slice/containerd.service/{slice_}", "burstable")

    assert classify(path) == Place(FoundContainer(path, "containerd", ContainerId(C), pod=pod), None, is_inside=False)


def test_such_a_name_without_a_pod_in_it_is_a_container_still() -> None:
    path = CgroupPath(f"/system.slice:cri-containerd:{C}")

    assert classify(path).container == FoundContainer(path, "containerd", ContainerId(C))


@pytest.mark.parametrize(
    ("path", "container"),
    [
        ("/default/redis", "default/redis"),
        ("/default/my.app_1-x", "default/my.app_1-x"),
        ("/k8s.io/redis", "k8s.io/redis"),
        ("/process_api/1d20f7a3b6c94e5f8a0b1c2d3e4f5a6b", "process_api/1d20f7a3b6c94e5f8a0b1c2d3e4f5a6b"),
        ("/../default/redis", "default/redis"),
    ],
)
def test_two_plain_names_are_a_container_only_if_somebody_confirms_it(path: str, container: str) -> None:
    found = FoundContainer(CgroupPath(path), "containerd", ContainerId(container), is_candidate=True)

    assert classify(CgroupPath(path)) == Place(found, None, is_inside=False)
    assert claims(path) == ()


@pytest.mark.parametrize("path", ["/default/redis/init.scope", "/batch/jobs/night"])
def test_what_is_below_such_names_is_not_taken_for_a_containers(path: str) -> None:
    assert classify(CgroupPath(path)) == Place(None, None, is_inside=False)


def test_two_plain_names_inside_a_container_are_its_own_affair() -> None:
    assert classify(CgroupPath(f"/docker/{C}/default/redis")) == Place(None, None, is_inside=True)


@pytest.mark.parametrize("name", ["docker", "lxc", "mesos", "default", "buildkit", "garden", "libpod_parent", "ecs"])
def test_a_containers_name_says_nothing_of_what_is_in_it(name: str) -> None:
    for below in (C, UID, "web1", GARDEN):
        place = classify(CgroupPath(f"/lxc/{name}/{below}"))

        assert place.is_inside
        assert place.container is None or place.container.runtime is None


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "",
        "/init.scope",
        "/system.slice/ssh.service",
        "/system.slice/docker.service",
        "/system.slice/docker.socket",
        "/system.slice/containerd.service",
        "/docker",
        "/docker/buildkit",
        "/system.slice",
        "/user.slice/user-1000.slice/session-3.scope",
        "/user.slice/user-1000.slice/user@1000.service/app.slice/app-gnome-firefox-1234.scope",
        "/user.slice/user-1000.slice/user@1000.service/app.slice/docker.service",
        "/kubepods.slice/kubepods-burstable.slice",
        "/kubepods",
        "/kubepods/burstable",
        "/kubelet/kubepods",
        "/cluster/kubepods",
        "/machine.slice",
        "/nomad.slice/share.slice",
        "/nomad/share",
        "/mesos/agent/leaf",
        "/libvirt/qemu",
        "/garden/good",
        "/libpod_parent",
        "/a/b.service",
        "/../../init.scope",
        r"/system.slice/system-serial\x2dgetty.slice/serial-getty@ttyS0.service",
        r"/system.slice/dev-disk-by\x2duuid-0b3c.swap",
        "/system.slice/snapd.service",
        "/system.slice/run-lock.mount",
        # What runtimes run beside their containers
        f"/machine.slice/libpod-conmon-{C}.scope",
        f"/machine.slice/machine-libpod_pod_{P}.slice/libpod-conmon-{C}.scope",
        f"/libpod_parent/{P}/conmon",
        "/libpod_parent/conmon",
        "/batch/conmon",
        f"{BURSTABLE}{UID_}.slice/crio-conmon-{C}.scope",
        f"/kubepods/burstable/pod{UID}/crio-conmon-{C}",
        "/lxc.monitor.web1",
        "/lxc.monitor/101",
        "/lxc.pivot",
        f"/kata_overhead/{C}",
        # Mounts of a container's file system
        f"/system.slice/var-lib-docker-overlay2-{C}-merged.mount",
        f"/system.slice/docker-{C}.mount",
        f"/system.slice/{C}.mount",
        f"/system.slice/{C}.swap",
        f"/system.slice/{C}.device",
        "/lxc/web1.mount",
        # Almost
        f"/docker/{C[:-1]}",
        f"/docker/{C}0",
        f"/docker/{C.upper()}",
        f"/docker/{C[:12]}",
        f"/docker/x{C[1:]}",
        f"/system.slice/docker-{C}.service",
        f"/system.slice/docker-{C}",
        f"/system.slice/dockerx{C}.scope",
        f"/system.slice/docker-{C[:-1]}.scope",
        f"/system.slice/docker-{C}xscope",
        f"/docker/{C}\n",
        f"/system.slice/a/{BUILD}",
        f"/kubepods/burstable/pod{UID_}",
        f"/burst/pod{UID}/a",
        f"/system.slice/libpod-{C}.service",
        f"/a/b/{UID}.web",
        f"/a/b/{HASH}-12",
        "/machine.slice/machine-.scope",
        "/system.slice/run-x12.scope",
        "/system.slice/bpm-nats.service",
        "/lxc.payload.",
        "/lxcx/a/b",
    ],
)
def test_a_path_of_the_hosts_own_is_no_container(path: str) -> None:
    assert claims(path) == ()
    assert classify(CgroupPath(path)) == Place(None, None, is_inside=False)


@pytest.mark.parametrize("below", ["", "/container"])
def test_the_empty_cgroup_that_cri_o_leaves_for_a_sandbox_is_no_container(below: str) -> None:
    path = f"{BURSTABLE}{UID_}.slice/crio-{C}{below}"

    assert classify(CgroupPath(path)) == Place(None, None, is_inside=True)
    assert claims(path) == ()


@pytest.mark.parametrize("path", [f"/docker/{C}", f"/system.slice/docker-{C}.scope"])
def test_a_cgroup_that_only_a_zombie_remembers_is_no_container_but_the_zombie_was_in_one(path: str) -> None:
    assert classify(CgroupPath(f"{path} (deleted)")) == Place(None, None, is_inside=True)
    assert claims(f"{path} (deleted)") == claims(path)


@pytest.mark.parametrize("path", [f"{BURSTABLE}{UID_}.slice", "/default/redis", "/system.slice/ssh.service", "/"])
def test_such_a_cgroup_of_a_pod_or_of_the_host_is_nothing(path: str) -> None:
    assert classify(CgroupPath(f"{path} (deleted)")) == Place(None, None, is_inside=False)


def test_below_a_container_such_a_cgroup_is_inside_still() -> None:
    assert classify(CgroupPath(f"/docker/{C}/init.scope (deleted)")) == Place(None, None, is_inside=True)


def test_a_claim_says_how_many_components_lead_to_it() -> None:
    assert claims(f"/system.slice/docker-{C}.scope/docker/{D}") == (
        Claim("docker", ContainerId(C), 2),
        Claim("docker", ContainerId(D), 4),
    )


def test_a_version_1_host_has_the_same_container_under_each_controllers_path() -> None:
    lines = [f"4:memory:/docker/{C}", f"1:name=systemd:/system.slice/docker-{C}.scope", "2:cpu,cpuacct:/"]

    found = [claims(line.rpartition(":")[2]) for line in lines]

    assert [[claim.id for claim in each] for each in found] == [[C], [C], []]


def test_cgroups_nested_without_end_are_inside_the_container_that_made_them() -> None:
    path = f"/docker/{C}" + f"/docker/{D}" * 2000

    assert classify(CgroupPath(path)) == Place(None, None, is_inside=True)
    assert 0 < len(claims(path)) < 100


def test_a_container_can_call_its_own_cgroups_as_it_likes() -> None:
    pretended = CgroupPath(f"{NODE}/system.slice/docker-{C}.scope")

    place = classify(pretended)

    assert place.container == FoundContainer(pretended, "docker", ContainerId(C), outer=CgroupPath(NODE))
    assert place.is_inside


PARTS = sorted({part for path, _ in EVERY_CONTAINER for part in path.split("/") if part})
COMPONENTS = st.sampled_from([*PARTS, "conmon", f"crio-{C}", "..", "a.slice", "ecs", "container"]) | st.text(
    max_size=40
)
PATHS = st.lists(COMPONENTS, max_size=12).map(lambda names: "/" + "/".join(names)) | st.text()


@given(PATHS)
def test_any_path_has_a_place(path: str) -> None:
    place = classify(CgroupPath(path))
    found = claims(path)

    depths = [claim.depth for claim in found]
    assert depths == sorted(set(depths))
    assert place.container is None or place.pod is None
    if place.container:
        assert place.container.path == path
        assert place.is_inside == (place.container.outer is not None)
        assert place.container.is_candidate or place.container.id == found[-1].id
    if place.pod:
        assert place.pod.path == path
        assert place.is_inside == (place.pod.outer is not None)


@given(st.lists(st.sampled_from(PARTS), min_size=1, max_size=12).map(lambda names: "/" + "/".join(names)))
def test_what_is_around_a_container_is_found_at_its_own_path_too(path: str) -> None:
    container = classify(CgroupPath(path)).container

    if container and container.outer:
        assert path.startswith(f"{container.outer}/")
        outer = classify(container.outer).container
        assert outer is not None
        assert (outer.runtime, outer.id) == (claims(path)[-2].runtime, claims(path)[-2].id)
    if container and container.pod and ":" not in path.rpartition("/")[2]:
        assert path.startswith(f"{container.pod.path}/")
        assert classify(container.pod.path).pod == container.pod
