"""A Podman service of the tests' own: what is listed, and what actions do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.machine import until
from tests.integration.podman_service import IMAGE
from topcon.errors import ActionFailed, SourceUnavailable
from topcon.model.sample import ContainerId, ContainerInfo, PodKind, Role, State, Volume
from topcon.runtimes.podman import PLUGIN, Podman

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.podman_service import PodmanService

FOREVER = "trap : USR1; while :; do sleep 1; done"


@pytest.fixture(scope="module")
def service(podman_service: PodmanService) -> Iterator[PodmanService]:
    """With a pod of two."""
    podman_service.create_pod("books")
    for name in ("books-api", "books-cache"):
        podman_service.run("run", "--detach", "--pod=books", f"--name={name}", IMAGE, "sleep", "100000")
    yield podman_service
    podman_service.run("pod", "rm", "--force", "--time=0", "books")


@pytest.fixture
def alone(service: PodmanService) -> Iterator[ContainerId]:
    """A container of its own that ends at no signal but SIGKILL."""
    yield ContainerId(
        service.run(
            *("run", "--detach", "--name=alone", "--network=none", "--label=tier=front", "--restart=no"),
            *("--stop-timeout=3", "--stop-signal=SIGUSR1", "--volume=/var/tmp:/data:ro", IMAGE, "sh", "-c", FOREVER),
        )
    )
    service.run("rm", "--force", "--time=0", "alone")


@pytest.fixture
def podman(service: PodmanService) -> Podman:
    runtime = PLUGIN.connect(service.socket)
    assert isinstance(runtime, Podman)
    return runtime


def listed(podman: Podman, container: str) -> ContainerInfo:
    return next(info for info in podman.containers() if container in {info.id, info.name})


def test_a_pod_is_told_with_its_infra_container(service: PodmanService, podman: Podman) -> None:
    pod = service.run("pod", "inspect", "--format={{.ID}}", "books")
    infra = service.run("pod", "inspect", "--format={{.InfraContainerID}}", "books")
    infos = {info.name: info for info in podman.containers()}
    members = [infos["books-api"], infos["books-cache"]]

    assert {(info.pod.kind, info.pod.id, info.pod.name) for info in [*members, listed(podman, infra)] if info.pod} == {
        (PodKind.PODMAN, pod, "books")
    }
    assert [info.role for info in members] == [Role.WORKLOAD, Role.WORKLOAD]
    assert listed(podman, infra).role is Role.SANDBOX
    assert {info.state for info in members} == {State.RUNNING}


def test_a_container_alone_is_told_with_its_details(podman: Podman, alone: ContainerId) -> None:
    info = until(lambda: (found := listed(podman, alone)).stop_signal and found, "it is inspected")

    assert (info.name, info.image, info.state, info.pod) == ("alone", IMAGE, State.RUNNING, None)
    assert info.labels["tier"] == "front"
    assert info.command == f"sh -c {FOREVER}"
    assert (info.restart_policy, info.restarts, info.oom_killed) == ("no", 0, False)
    assert (info.grace_s, info.stop_signal) == (3.0, "SIGUSR1")
    assert info.volumes == (Volume("/var/tmp", "/data", is_read_only=True),)


def test_the_start_that_actions_check_is_the_one_of_the_list(podman: Podman, alone: ContainerId) -> None:
    assert podman.started_ns(alone) == listed(podman, alone).started_ns is not None


def test_stop_and_start(podman: Podman, alone: ContainerId) -> None:
    started_ns = podman.started_ns(alone)
    podman.stop(alone, 1.0)
    stopped = listed(podman, alone)
    assert (stopped.state, stopped.exit_code) == (State.EXITED, 137)
    assert stopped.finished_ns is not None
    podman.stop(alone, 1.0)

    podman.start(alone)
    podman.start(alone)
    assert listed(podman, alone).state is State.RUNNING
    assert podman.started_ns(alone) == listed(podman, alone).started_ns != started_ns


def test_restart(podman: Podman, alone: ContainerId) -> None:
    started_ns = podman.started_ns(alone)
    podman.restart(alone, 1.0)

    assert listed(podman, alone).state is State.RUNNING
    assert podman.started_ns(alone) == listed(podman, alone).started_ns != started_ns


def test_pause_and_unpause(podman: Podman, alone: ContainerId) -> None:
    podman.pause(alone)
    assert listed(podman, alone).state is State.PAUSED
    with pytest.raises(ActionFailed, match="paused"):
        podman.pause(alone)

    podman.unpause(alone)
    assert listed(podman, alone).state is State.RUNNING


def test_kill(podman: Podman, alone: ContainerId) -> None:
    podman.kill(alone, "SIGUSR1")
    assert listed(podman, alone).state is State.RUNNING

    podman.kill(alone, "SIGKILL")
    until(lambda: listed(podman, alone).state is State.EXITED, "it has ended")
    assert listed(podman, alone).exit_code == 137


def test_what_is_not_there_is_told_in_podmans_words(podman: Podman) -> None:
    with pytest.raises(ActionFailed, match="no such container"):
        podman.start(ContainerId("f" * 64))


def test_a_service_that_ends_is_unavailable_until_it_is_started_again(service: PodmanService, podman: Podman) -> None:
    before = podman.containers()
    service.end()
    with pytest.raises(SourceUnavailable, match=f"at {service.socket}$"):
        podman.containers()

    service.start()
    assert podman.containers() == before
