from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from fakes import FakeRuntimes, FakeWatch

from topcon.model.sample import ContainerInfo, Problem, RuntimeSample, Source, State

if TYPE_CHECKING:
    from fakes import FakeHost

WEB = "a" * 64
DB = "b" * 64


def _docker(*infos: ContainerInfo, up: bool = True, silent_s: float = 0.0) -> FakeRuntimes:
    sample = RuntimeSample("docker", "/run/docker.sock", up, is_listed=True, silent_s=silent_s)
    return FakeRuntimes([FakeWatch(infos, sample)])


def _info(container: str, name: str, **options: object) -> ContainerInfo:
    return ContainerInfo(id=container, runtime="docker", name=name, source=Source.API, state=State.RUNNING, **options)  # type: ignore[arg-type]


def test_a_container_is_found_and_named(host: FakeHost) -> None:
    host.container(f"/system.slice/docker-{WEB}.scope", 100, usage_usec=1_000_000)
    sampler = host.sampler(_docker(_info(WEB, "web")))
    sampler.tick()
    host.container(f"/system.slice/docker-{WEB}.scope", 100, usage_usec=1_250_000)

    node = sampler.tick().containers[f"docker:{WEB}"]

    assert node.name == "web"
    assert node.info.source == "api"
    assert node.usage.cpu_cores == pytest.approx(0.25)
    assert node.process is not None
    assert node.process.pid == 100


def test_without_a_runtime_the_kernel_names_it(host: FakeHost) -> None:
    host.container(f"/system.slice/docker-{WEB}.scope", 100)

    node = host.sampler().tick().containers[f"docker:{WEB}"]

    assert (node.name, node.info.source, node.info.state) == (WEB[:12], "cgroup", "running")


def test_unchanged_files_give_the_same_objects(host: FakeHost) -> None:
    host.container(f"/docker/{WEB}", 100)
    sampler = host.sampler()

    first, second = sampler.tick(), sampler.tick()

    path = f"/docker/{WEB}"
    assert first.sample.cgroups[path] is second.sample.cgroups[path]
    assert first.sample.processes[path] is second.sample.processes[path]


def test_a_refused_runtime_is_a_problem_and_the_numbers_stay(host: FakeHost) -> None:
    host.container(f"/docker/{WEB}", 100, current=4096)
    sample = RuntimeSample("docker", "/run/docker.sock", up=False, is_listed=False)
    problem = Problem("docker", "permission denied at /run/docker.sock", "sudo usermod -aG docker $USER")
    snapshot = host.sampler(FakeRuntimes([FakeWatch((), sample, problem)])).tick()

    assert snapshot.sample.problems == (problem,)
    assert snapshot.containers[f"docker:{WEB}"].usage.memory_bytes == 4096
