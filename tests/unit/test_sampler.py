from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest
from fakes import FakeRuntimes, FakeWatch

from topcon import sampler as sampler_module
from topcon.errors import ParseError
from topcon.kernel.cgroup import CgroupFs
from topcon.model.sample import ContainerInfo, OwnSample, Problem, RuntimeSample, Source, State, TierSample
from topcon.sampler import GLANCE_NAMES_S, Pace, _Readings

if TYPE_CHECKING:
    from fakes import FakeHost

    from topcon.model.sample import Sample
    from topcon.model.snapshot import Snapshot
    from topcon.sampler import Sampler

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


def test_of_a_few_containers_a_glance_tells_all(host: FakeHost) -> None:
    host.container(f"/docker/{WEB}", 100, current=4096)
    host.container("/machine.slice/adrift.scope", 101)
    (host.root / "proc/101").joinpath("cgroup").write_text("0::/machine.slice/adrift.scope\n")

    sampler = host.sampler()
    glance, tick = sampler.glance(), host.sampler().tick()

    assert not sampler.is_partial
    assert glance.containers.keys() == tick.containers.keys()
    for told in ("cgroups", "processes", "isolated", "networks", "containers", "problems"):
        assert getattr(glance.sample, told) == getattr(tick.sample, told), told


def test_of_many_containers_a_glance_counts_the_first_and_a_tick_the_others(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampler_module, "GLANCE_CONTAINERS", 1)
    uid = "3206f41c-56e9-4bcd-8240-b314f179e177"
    pod = f"/kubepods/burstable/pod{uid}"
    host.container(pod, 99, current=5000)
    host.cgroup(pod, {"cgroup.procs": ""})
    host.container(f"{pod}/{DB}", 100, current=3000)
    host.container(f"/batch/{WEB}", 101, current=4000)
    sampler = host.sampler()

    glance = sampler.glance()
    is_partial = sampler.is_partial
    tick = sampler.tick()

    def told(snapshot: Snapshot) -> dict[str, tuple[int | None, State, int | None]]:
        return {
            each.info.id: (each.usage.memory_bytes, each.info.state, each.process and each.process.pid)
            for each in snapshot.containers.values()
        }

    db = (3000, State.RUNNING, 100)
    assert told(glance) == {DB: db, WEB: (None, State.UNKNOWN, None)}
    assert [each.usage.memory_bytes for each in glance.pods if each.kind == "kubernetes"] == [5000]
    assert told(tick) == {DB: db, WEB: (4000, State.RUNNING, 101)}
    assert (is_partial, sampler.is_partial) == (True, False)
    assert (tick.containers.keys(), tick.gone) == (glance.containers.keys(), ())
    assert {each.usage.cpu_cores for each in sampler.tick().containers.values()} == {0.0}


def test_a_glance_looks_for_names_no_longer_than_a_screen_can_wait(host: FakeHost) -> None:
    host.container(f"/docker/{WEB}", 100)
    sampler = host.sampler()
    bundles = sampler._sources.bundles
    asked: list[float | None] = []

    def infos(_: object, budget_s: float | None = None) -> tuple[ContainerInfo, ...]:
        asked.append(budget_s)
        return ()

    bundles.infos = infos  # type: ignore[method-assign]
    sampler.glance()
    sampler.tick()

    assert asked == [GLANCE_NAMES_S, None]


def test_the_first_process_of_a_container_is_none_of_a_container_inside_it(host: FakeHost) -> None:
    outer = f"/system.slice/docker-{WEB}.scope"
    host.container(outer, 100)
    host.cgroup(outer, {"cgroup.procs": ""})
    host.container(f"{outer}/docker/{DB}", 200)
    host.cgroup(f"{outer}/init", {"cgroup.procs": "100\n"})

    containers = host.sampler().tick().containers

    pids = {key: node.process.pid for key, node in containers.items() if node.process}
    assert pids == {f"docker:{WEB}": 100, f"docker:{DB}": 200}
    assert containers[f"docker:{DB}"].outer == f"docker:{WEB}"


def test_runtimes_are_woken_when_containers_come_or_go_and_not_otherwise(host: FakeHost) -> None:
    runtimes = _docker()
    sampler = host.sampler(runtimes)
    sampler.tick()
    before = runtimes.woken
    host.container(f"/docker/{WEB}", 100)
    sampler.tick()
    sampler.tick()

    assert runtimes.woken == before + 1


def test_a_pods_own_cgroup_is_read(host: FakeHost) -> None:
    pod = "/kubepods/burstable/pod3206f41c-56e9-4bcd-8240-b314f179e177"
    host.container(pod, 99, current=5_000_000)
    host.cgroup(pod, {"cgroup.procs": ""})
    host.container(f"{pod}/{WEB}", 100, current=3_000_000)

    (node,) = host.sampler().tick().pods

    assert (node.kind, node.qos, node.usage.memory_bytes) == ("kubernetes", "burstable", 5_000_000)


def test_what_no_runtime_knows_is_found_and_counted(host: FakeHost) -> None:
    host.container("/machine.slice/adrift.scope", 100, current=3_000_000)
    (host.root / "proc/100").joinpath("cgroup").write_text("0::/machine.slice/adrift.scope\n")

    (node,) = host.sampler().tick().containers.values()

    assert (node.info.runtime, node.info.source, node.usage.memory_bytes) == ("none", "namespace", 3_000_000)


@pytest.mark.parametrize(
    ("lies_beneath", "runtime", "is_told"),
    [
        (False, "docker", True),
        (True, "docker", False),
        (True, "containerd", True),
        (True, None, True),
    ],
)
def test_what_is_wrong_with_a_runtime_that_others_use_is_told_if_it_has_containers_of_its_own(
    host: FakeHost, runtime: str | None, *, lies_beneath: bool, is_told: bool
) -> None:
    paths = {"docker": f"/docker/{WEB}", "containerd": f"/k8s.io/{WEB}", None: f"/batch/{WEB}"}
    host.container(paths[runtime], 100)
    sample = RuntimeSample("containerd", "/run/c.sock", up=False, is_listed=False, lies_beneath=lies_beneath)
    problem = Problem("containerd", "permission denied at /run/c.sock")

    snapshot = host.sampler(FakeRuntimes([FakeWatch((), sample, problem)])).tick()

    assert snapshot.sample.problems == ((problem,) if is_told else ())


def test_what_ctr_made_is_shown_once_from_the_first_tick_on(host: FakeHost) -> None:
    host.container("/default/redis", 100)
    (host.root / "proc/100").joinpath("cgroup").write_text("0::/default/redis\n")
    info = ContainerInfo("default/redis", "containerd", "redis", Source.API, State.RUNNING)  # type: ignore[arg-type]
    sample = RuntimeSample("containerd", "/run/c.sock", up=True, is_listed=True)

    shown = list(host.sampler(FakeRuntimes([FakeWatch((info,), sample)])).tick().containers)
    unconfirmed = list(host.sampler().tick().containers)

    assert shown == ["containerd:default/redis"]
    assert [key.partition(":")[0] for key in unconfirmed] == ["none"]


KERNEL = ("host", "cgroup", "isolated", "processes", "network")


def test_how_reading_the_kernel_went_is_told(host: FakeHost) -> None:
    sampler = host.sampler()
    first, second = sampler.tick().sample, sampler.tick().sample

    assert [source.name for source in first.sources] == [*KERNEL]
    assert {(source.errors, source.succeeded_ns) for source in first.sources} == {(0, first.wall_ns)}
    assert {source.succeeded_ns for source in second.sources} == {second.wall_ns}


def test_each_part_of_a_tick_is_measured_by_itself(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    sampler = host.sampler()
    spent = {"read": 1, "find": 2, "cgroups": 4, "look": 8, "processes": 16, "networks": 32}
    now_s = 0

    def dear(place: object, name: str, key: str) -> None:
        really = getattr(place, name)

        def call(*arguments: object, **options: object) -> object:
            nonlocal now_s
            now_s += spent[key]
            return really(*arguments, **options)

        monkeypatch.setattr(place, name, call)

    sources = sampler._sources
    dear(sources.host, "read", "read")
    dear(sources.cgroups, "find", "find")
    dear(sources.cgroups, "read", "cgroups")
    dear(sources.isolated, "look", "look")
    dear(sampler._firsts, "find", "processes")
    dear(sources.networks, "read", "networks")
    sampler._readings = _Readings(lambda: now_s * 10**9)

    told = [{each.name: each.duration_s for each in sampler.tick().sample.sources} for _ in range(2)]

    assert told == [{"host": 1, "cgroup": 6, "isolated": 8, "processes": 16, "network": 32}] * 2


@pytest.mark.parametrize(
    ("file", "source", "said_as"),
    [
        (f"sys/fs/cgroup/docker/{WEB}/cpu.max", "cgroup", "cgroup"),
        ("proc/100/stat", "processes", "processes"),
        ("proc/100/net/dev", "network", "network"),
    ],
)
def test_what_is_not_understood_is_counted_and_costs_the_tick_nothing_else(
    host: FakeHost, file: str, source: str, said_as: str
) -> None:
    host.container(f"/docker/{WEB}", 100)
    sampler = host.sampler()
    before = sampler.tick().sample
    good = (host.root / file).read_text()
    for path, text in (
        (file, "eth0: what\neth0: what\neth0: what\n"),
        (f"sys/fs/cgroup/docker/{WEB}/pids.current", "2\n"),
    ):
        host.write(path, text)
    broken = sampler.tick().sample
    host.write(file, good)
    mended = sampler.tick().sample

    errors = [{each.name: each.errors for each in sample.sources} for sample in (before, broken, mended)]
    assert [each[source] for each in errors] == [0, 1, 1]
    assert sum(errors[1].values()) == 1
    assert [problem.source for problem in broken.problems] == [said_as]
    assert mended.problems == ()
    succeeded = {each.name: each.succeeded_ns for each in broken.sources}
    assert succeeded[source] == before.wall_ns
    assert set(succeeded.values()) == {before.wall_ns, broken.wall_ns}


def test_what_is_refused_is_counted_once(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    sampler = host.sampler()
    sampler.tick()
    monkeypatch.setattr(sampler._sources.process_access, "refused", "/proc/1/ns/net")
    first, second = sampler.tick().sample, sampler.tick().sample

    def of_processes(sample: Sample) -> tuple[int, int | None]:
        return next((each.errors, each.succeeded_ns) for each in sample.sources if each.name == "processes")

    assert of_processes(first)[0] == 1
    assert of_processes(second) == (1, second.wall_ns)
    assert [problem.source for problem in second.problems] == ["processes"]


# What topcon costs.


def test_the_parts_of_a_tick_add_up(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    host.container(f"/docker/{WEB}", 100)
    sampler = host.sampler(_docker(_info(WEB, "web")))
    now_ns = 0

    def tick_ns() -> int:
        nonlocal now_ns
        now_ns += 10**9
        return now_ns

    tiers = (TierSample("hot", 0.5, 3), TierSample("cold", 0.25, 1))
    monkeypatch.setattr(CgroupFs, "tiers", tiers, raising=False)
    really = sampler._sources.cgroups.read

    def read(*arguments: object, **options: object) -> object:
        told = really(*arguments, **options)  # type: ignore[arg-type]
        sampler._sources.cgroups.tiers = tiers
        return told

    monkeypatch.setattr(sampler._sources.cgroups, "read", read)
    sampler._readings = _Readings(tick_ns)

    for _ in range(2):
        sample = sampler.tick().sample
        assert sampler.spent == {
            ("host", ""): 1,
            ("cgroup", "find"): 1,
            ("isolated", ""): 1,
            ("cgroup", ""): 0.25,
            ("cgroup", "hot"): 0.5,
            ("cgroup", "cold"): 0.25,
            ("processes", ""): 1,
            ("runtimes", ""): 1,
            ("names", ""): 1,
            ("network", ""): 1,
            ("derive", ""): 1,
            ("findings", ""): 1,
            ("events", ""): 1,
        }
        assert {each.name: each.tiers for each in sample.sources if each.tiers} == {"cgroup": tiers}
        assert {each.name for each in sample.sources} == set(KERNEL)


@dataclass
class FakeOwn:
    """A process of ours that uses a second a tick."""

    used_s: float = 0.0
    rss: int | ParseError = 1 << 20
    is_closed: bool = False

    def cpu_s(self) -> float:
        self.used_s += 1.0
        return self.used_s

    def rss_bytes(self) -> int:
        if isinstance(self.rss, ParseError):
            raise self.rss
        return self.rss

    def close(self) -> None:
        self.is_closed = True


def _of_ours(host: FakeHost, own: FakeOwn, pace: Pace | None) -> Sampler:
    sampler = host.sampler(_docker(), pace=pace)
    sampler._sources = replace(sampler._sources, own=own)  # type: ignore[arg-type]
    return sampler


def test_it_tells_what_it_has_used_and_at_which_pace(host: FakeHost) -> None:
    own = FakeOwn()
    sampler = _of_ours(host, own, Pace(4.2, 1.0, 0.02))

    sampler.tick()
    sampler.pace = Pace(2.0, 2.0)
    snapshot = sampler.tick()
    sampler.close()

    assert snapshot.sample.own == OwnSample(2.0, 1 << 20, 2.0, 2.0, None)
    assert snapshot.cost is not None
    assert snapshot.cost.cpu_share == pytest.approx(1.0)
    assert own.is_closed


def test_of_a_host_that_is_not_ours_it_tells_nothing_of_itself(host: FakeHost) -> None:
    assert host.sampler().tick().sample.own is None
    assert _of_ours(host, FakeOwn(), None).tick().sample.own is None


def test_a_memory_that_is_not_understood_is_a_problem_and_costs_no_more(host: FakeHost) -> None:
    sample = _of_ours(host, FakeOwn(rss=ParseError("/proc/self/statm", "?")), Pace(1.0, 1.0)).tick().sample

    assert sample.own is not None
    assert sample.own.rss_bytes is None
    assert sample.problems == (Problem("own", "/proc/self/statm: cannot understand '?'"),)


@pytest.mark.parametrize(
    ("pace", "rest_s"), [(None, 0.0), (Pace(1.0, 1.0, 0.02), 0.0), (Pace(4.2, 1.0, 0.02), 4.2), (Pace(9.0, 9.0), 0.0)]
)
def test_runtimes_are_asked_as_seldom_as_it_ticks_when_it_is_slowed(
    host: FakeHost, pace: Pace | None, rest_s: float
) -> None:
    runtimes = _docker()
    sampler = host.sampler(runtimes, pace=pace)

    sampler.tick()

    assert [watch.rest_s for watch in runtimes.watches] == [rest_s]
