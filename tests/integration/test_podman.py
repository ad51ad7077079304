"""A Podman service of the tests' own: what is listed, and what actions do.

Needs root, podman, runc and busybox (static). Storage, state, socket and configuration are private, and nothing has a
network, so nothing of a Podman that the machine may have is touched.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.conftest import until
from topcon.errors import ActionFailed, SourceUnavailable
from topcon.model.sample import ContainerId, ContainerInfo, PodKind, Role, State, Volume
from topcon.runtimes.podman import PLUGIN, Podman

if TYPE_CHECKING:
    from collections.abc import Iterator

IMAGE = "localhost/topcon-test/busybox:latest"
FOREVER = "trap : USR1; while :; do sleep 1; done"
# Limits that may be set without privileges that root in a virtual machine may lack; runc knows hybrid cgroups.
CONFIGURATION = """[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
"""
CGROUPS = Path("/sys/fs/cgroup")


class PodmanService:
    """A service, and the program that makes what it is asked about."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = str(folder / "podman.sock")
        self.process: subprocess.Popen[bytes] | None = None
        self._environment = os.environ | {"CONTAINERS_CONF": str(folder / "containers.conf")}

    def command(self, *arguments: str) -> list[str]:
        private = (f"--root={self.folder}/root", f"--runroot={self.folder}/run", f"--tmpdir={self.folder}/tmp")
        return ["podman", *private, *arguments]

    def run(self, *arguments: str, check: bool = True, stdin: bytes | None = None) -> str:
        done = subprocess.run(
            self.command(*arguments), check=False, capture_output=True, env=self._environment, input=stdin
        )
        if check and done.returncode:
            pytest.fail(f"podman {' '.join(arguments)}: {done.stderr.decode(errors='replace')}")
        return done.stdout.decode().strip()

    def start(self) -> None:
        (self.folder / "containers.conf").write_text(CONFIGURATION)
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command("system", "service", "--time=0", f"unix://{self.socket}"),
                stdout=log,
                stderr=log,
                env=self._environment,
            )
        until(self._answers, f"podman answers; see {self.folder}/log")

    def _answers(self) -> bool:
        try:
            Podman(self.socket).containers()
        except SourceUnavailable:
            return False
        return True

    def import_image(self) -> None:
        busybox = shutil.which("busybox")
        assert busybox
        layer = io.BytesIO()
        with tarfile.open(fileobj=layer, mode="w") as tar:
            tar.add(busybox, "bin/busybox")
            for name in ("sh", "sleep"):
                link = tarfile.TarInfo(f"bin/{name}")
                link.type, link.linkname = tarfile.SYMTYPE, "busybox"
                tar.addfile(link)
        self.run("import", "-", IMAGE, stdin=layer.getvalue())

    def end(self) -> None:
        assert self.process is not None
        self.process.terminate()
        self.process.wait(30)

    def close(self) -> None:
        """Remove all containers, whatever state a test left them in, and end the service."""
        self.run("pod", "rm", "--force", "--all", "--time=0", check=False)
        self.run("rm", "--force", "--all", "--time=0", check=False)
        self.end()
        mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
        for mount in reversed([mount for mount in mounts if mount.startswith(f"{self.folder}/")]):
            subprocess.run(["umount", "--lazy", mount], check=False)


def own_cgroups() -> list[Path]:
    """Podman's cgroups with the cgroupfs driver, in all hierarchies."""
    return [*CGROUPS.glob("libpod_parent"), *CGROUPS.glob("*/libpod_parent")]


def remove_empty(cgroup: Path) -> None:
    for folder, _, _ in os.walk(cgroup, topdown=False):
        with suppress(OSError):
            Path(folder).rmdir()


@pytest.fixture(scope="module")
def service() -> Iterator[PodmanService]:
    if os.geteuid() != 0:
        pytest.skip("needs root, to run a Podman service")
    for program in ("podman", "runc", "busybox"):
        if not shutil.which(program):
            pytest.skip(f"needs {program}")
    # Sockets have short paths, and containers' root file systems are no tmpfs.
    folder = Path(tempfile.mkdtemp(prefix="topcon-", dir="/var/tmp"))
    service, before = PodmanService(folder), own_cgroups()
    try:
        service.start()
        service.import_image()
        service.run(
            *("pod", "create", "--name=books", "--network=none"),
            *(f"--infra-image={IMAGE}", "--infra-command=sleep 100000"),
        )
        for name in ("books-api", "books-cache"):
            service.run("run", "--detach", "--pod=books", f"--name={name}", IMAGE, "sleep", "100000")
        yield service
    finally:
        service.close()
        for cgroup in own_cgroups():
            if cgroup not in before:
                remove_empty(cgroup)
        shutil.rmtree(folder, ignore_errors=True)


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
