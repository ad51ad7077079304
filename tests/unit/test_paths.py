"""Which container a cgroup path belongs to: the paths that Docker's set-ups make, and those that are no containers."""

from __future__ import annotations

import pytest

from topcon.model.sample import CgroupPath, ContainerId, FoundContainer
from topcon.runtimes.paths import Claim, Place, claims, classify

C = "c" * 64
D = "d0" * 32
POD = "0b3c5d7e_1234_4abc_8def_0123456789ab"
BUILD = "k1n2p3q4r5s6t7u8v9w0x1y2z"

CONTAINERS = [
    (f"/system.slice/docker-{C}.scope", "docker"),
    (f"/docker/{C}", "docker"),
    (f"/user.slice/user-1000.slice/user@1000.service/user.slice/docker-{C}.scope", "docker"),
    (f"/user.slice/user-1000.slice/user@1000.service/docker/{C}", "docker"),
    (f"/docker/buildkit/{C}", "buildkit"),
    (f"/docker/buildkit/{BUILD}", "buildkit"),
    (f"/system.slice/docker.service/buildkit/{BUILD}", "buildkit"),
    # --cgroup-parent with the systemd driver, and what else starts Docker's containers in slices of its own
    (f"/batch.slice/batch-night.slice/docker-{C}.scope", "docker"),
    (f"/nomad.slice/docker-{C}.scope", "docker"),
    (f"/nomad.slice/share.slice/docker-{C}.scope", "docker"),
    (f"/ecstasks.slice/ecstasks-{'e' * 32}.slice/docker-{C}.scope", "docker"),
    (f"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{POD}.slice/docker-{C}.scope", "docker"),
    # --cgroup-parent with the cgroupfs driver: other runtimes write the same
    (f"/batch/{C}", None),
    (f"/{C}", None),
    (f"/ecs/{'e' * 32}/{C}", None),
    (f"/kubepods/burstable/pod{POD}/{C}", None),
    (f"/moby/{C}", None),
    # Seen from another cgroup namespace
    (f"/../../system.slice/docker-{C}.scope", "docker"),
    (f"/../docker/{C}", "docker"),
]


@pytest.mark.parametrize(("path", "runtime"), CONTAINERS)
def test_a_containers_own_cgroup(path: str, runtime: str | None) -> None:
    found = FoundContainer(CgroupPath(path), runtime, ContainerId(C if C in path else BUILD))

    assert classify(CgroupPath(path)) == Place(found, is_inside=False)


@pytest.mark.parametrize(("path", "runtime"), CONTAINERS)
@pytest.mark.parametrize("below", ["init.scope", "system.slice/cron.service", "container", "supervisor/a/b"])
def test_what_is_below_a_container_is_inside_it(path: str, runtime: str | None, below: str) -> None:
    assert classify(CgroupPath(f"{path}/{below}")) == Place(None, is_inside=True)
    assert [claim.runtime for claim in claims(f"{path}/{below}")] == [runtime]


@pytest.mark.parametrize(
    ("outer", "inner", "runtime"),
    [
        (f"/system.slice/docker-{C}.scope", f"/docker/{D}", "docker"),
        (f"/docker/{C}", f"/docker/{D}", "docker"),
        (f"/docker/{C}", f"/system.slice/docker-{D}.scope", "docker"),
        (f"/system.slice/docker-{C}.scope", f"/kubelet/kubepods/besteffort/pod{POD}/{D}", None),
        (f"/docker/{C}", f"/docker/buildkit/{D}", "buildkit"),
        (f"/../../docker/{C}", f"/docker/{D}", "docker"),
    ],
)
def test_a_container_in_a_container_knows_the_outer_one(outer: str, inner: str, runtime: str | None) -> None:
    path = CgroupPath(outer + inner)

    assert classify(path) == Place(
        FoundContainer(path, runtime, ContainerId(D), outer=CgroupPath(outer)), is_inside=True
    )


def test_of_three_nested_containers_the_nearest_is_the_outer_one() -> None:
    path = CgroupPath(f"/docker/{C}/docker/{D}/docker/{'e' * 64}")

    place = classify(path)

    assert place.container is not None
    assert place.container.outer == f"/docker/{C}/docker/{D}"
    assert [claim.id for claim in claims(path)] == [C, D, "e" * 64]


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
        f"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{POD}.slice",
        # Mounts of a container's file system
        f"/system.slice/var-lib-docker-overlay2-{C}-merged.mount",
        f"/system.slice/docker-{C}.mount",
        f"/system.slice/{C}.mount",
        f"/system.slice/{C}.swap",
        f"/system.slice/{C}.device",
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
        f"/build/{BUILD}",
    ],
)
def test_a_path_of_the_hosts_own_is_no_container(path: str) -> None:
    assert claims(path) == ()
    assert classify(CgroupPath(path)) == Place(None, is_inside=False)


@pytest.mark.parametrize("path", [f"/docker/{C} (deleted)", f"/system.slice/docker-{C}.scope (deleted)"])
def test_a_cgroup_that_only_a_zombie_remembers_is_no_container(path: str) -> None:
    assert classify(CgroupPath(path)).container is None


def test_below_a_container_such_a_cgroup_is_inside_still() -> None:
    assert classify(CgroupPath(f"/docker/{C}/init.scope (deleted)")) == Place(None, is_inside=True)


def test_a_claim_says_how_many_components_lead_to_it() -> None:
    assert claims(f"/system.slice/docker-{C}.scope/docker/{D}") == (
        Claim("docker", ContainerId(C), 2),
        Claim("docker", ContainerId(D), 4),
    )
