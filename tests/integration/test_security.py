"""What is said of how far real containers are kept from the host, against the daemon and the kernel."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from samples import node_of

from topcon.kernel.files import Access
from topcon.kernel.privileges import PrivilegeReader
from topcon.kernel.process import ProcFs
from topcon.kernel.security import SecurityReader
from topcon.model.sample import ContainerId
from topcon.model.security import DEFAULT_CAPABILITIES, Security, capability_names, dangers
from topcon.runtimes.docker import Docker
from topcon.ui.tabs.inspect import InspectView, lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.integration.conftest import Dockerd
    from topcon.model.snapshot import ContainerNode

IMAGE = "topcon-test/busybox:latest"


def node(dockerd: Dockerd, name: str) -> ContainerNode:
    process = ProcFs("/proc", Access()).sample(int(dockerd.state(name)["Pid"]), 0)
    return node_of(name, process=process, shared_with_host=("user",))


def started(dockerd: Dockerd, name: str, **host: Any) -> ContainerNode:
    config = dockerd.api.create_host_config(network_mode="none", **host)
    made = dockerd.api.create_container(IMAGE, ["sleep", "100000"], name=name, host_config=config)
    dockerd.api.start(made["Id"])
    return node(dockerd, name)


def read(container: ContainerNode) -> Security:
    security = SecurityReader("/proc").read(container)
    assert isinstance(security, Security)
    return security


def named(container: ContainerNode) -> set[str]:
    return {danger.what for danger in dangers(read(container), container)} - {"unconfined"}


def test_a_usual_container_has_what_docker_gives(dockerd: Dockerd, names: Callable[[str], str]) -> None:
    container = started(dockerd, names("usual"))
    security = read(container)

    assert named(container) == set()
    # This machine may lack some of its own.
    assert set(capability_names(security.bounding)) == DEFAULT_CAPABILITIES & set(capability_names(security.every))
    assert security.seccomp == 2
    assert security.is_root_read_only is False
    assert security.mounts == ()


def test_what_was_asked_for_beyond_that_is_seen(dockerd: Dockerd, names: Callable[[str], str], tmp_path: Path) -> None:
    container = started(
        dockerd,
        names("beyond"),
        cap_add=["NET_ADMIN", "SYS_PTRACE"],
        security_opt=["seccomp=unconfined", "no-new-privileges"],
        binds=[f"{dockerd.socket}:/var/run/docker.sock", "/etc:/host/etc:ro", f"{tmp_path}:/data"],
        read_only=True,
    )
    security = read(container)

    assert named(container) == {dockerd.socket, "/etc", "NET_ADMIN", "SYS_PTRACE", "seccomp off"}
    assert security.has_no_new_privs is True
    assert security.is_root_read_only is True
    assert {(mount.source, mount.target, mount.is_read_only) for mount in security.mounts} == {
        (dockerd.socket, "/var/run/docker.sock", False),
        ("/etc", "/host/etc", True),
        (str(tmp_path), "/data", False),
    }


def test_the_whole_inspection_is_shown(dockerd: Dockerd, names: Callable[[str], str]) -> None:
    container = started(dockerd, names("said"))
    docker = Docker(dockerd.socket)
    said = docker.inspect(ContainerId(str(dockerd.api.inspect_container(container.name)["Id"])))
    docker.close()

    assert said == dockerd.api.inspect_container(container.name)
    shown = {line.path: line.text for line in lines(said, InspectView(is_all=True, is_revealed=True))}
    assert shown["/State/Pid"] == str(dockerd.state(container.name)["Pid"])


@pytest.fixture
def forsaken() -> Iterator[str]:
    """A network namespace without a process, and the host's end of a pair whose other end is in it."""
    name = f"topcon-{os.getpid()}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    subprocess.run(["ip", "link", "add", f"tc{os.getpid()}", "type", "veth", "peer", "eth0", "netns", name], check=True)
    yield name
    subprocess.run(["ip", "netns", "delete", name], check=True)


def test_what_is_left_of_networks_is_found(forsaken: str) -> None:
    reader = PrivilegeReader("/proc", None)

    class Nothing:
        containers: dict[str, ContainerNode] = {}  # noqa: RUF012  as it is in a snapshot

    nothing: Any = Nothing
    reader.read(nothing)
    found = [leak.what for leak in reader.read(nothing).leaks]

    assert f"/run/netns/{forsaken}: a network without a process" in found
    assert f"tc{os.getpid()}: its other end is in a network without a process" in found
