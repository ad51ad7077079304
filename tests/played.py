"""A captured host whose counters go on: its containers, names, limits and networks are real, their load is played.

It needs no root, no runtime and no time, and each run gives the same.
"""

from __future__ import annotations

import math
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from fakes import FakeRuntimes, FakeWatch

from topcon.kernel.cgroup import CgroupFs
from topcon.kernel.files import Access
from topcon.kernel.host import HostReader
from topcon.kernel.isolated import IsolatedScan
from topcon.kernel.mount import read_hierarchies
from topcon.kernel.network import Networks
from topcon.kernel.process import ProcFs
from topcon.model.sample import ContainerId, ContainerInfo, Health, RuntimeSample, Source, State
from topcon.runtimes import EVERY_ABILITY
from topcon.runtimes.bundle import Bundles
from topcon.sampler import Clock, Sampler, Sources

if TYPE_CHECKING:
    from collections.abc import Iterator

    from topcon.model.snapshot import ContainerNode, Snapshot

HOST = Path(__file__).parent / "hosts/v2-all"
KINDS = ("cpu", "memory", "io")
MIB = 1 << 20
_PERIODS_PER_S = 10
_STILL_S = 8 * 3600
"""Of what no runtime says when it was started, it was so long before the rest."""


@dataclass(frozen=True, slots=True)
class Load:
    """What a container does. Rates are a second."""

    cores: float = 0.0
    swing: float = 0.5
    """How far ``cores`` goes up and down, as a share of it."""
    memory_bytes: int = MIB
    growth_bytes: int = 0
    cpu_limit_cores: float | None = None
    memory_limit_bytes: int | None = None
    throttled: float = 0.0
    """Share of its periods."""
    stalled: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Shares of the time in which some task waits for CPU, memory, I/O."""
    rx_bytes: int = 0
    tx_bytes: int = 0
    write_bytes: int = 0
    pids: int = 1
    health: Health | None = None


LOADS = {
    "web": Load(0.19, 0.1, 62 * MIB, 0, 0.2, 96 * MIB, 0.61, (0.14, 0.0, 0.0), 1_240_000, 310_000, 0, 14),
    "sidecar": Load(0.03, 0.3, 31 * MIB, 2000, rx_bytes=9_000, tx_bytes=4_000, pids=4),
    "agent": Load(0.02, 0.8, 41 * MIB, pids=6, tx_bytes=2_300),
    "shop-web-1": Load(0.21, 0.7, 118 * MIB, 300, 0.5, 256 * MIB, rx_bytes=812_000, tx_bytes=96_000, pids=9),
    "shop-worker-1": Load(0.10, 0.05, 44 * MIB, 0, 0.1, 128 * MIB, 0.97, (0.31, 0.0, 0.02), 0, 0, 38_000, 3),
    "books-api": Load(0.06, 0.9, 19 * MIB, rx_bytes=42_000, tx_bytes=120_000, pids=11),
    "books-cache": Load(0.01, 0.6, 30 * MIB, rx_bytes=11_000, tx_bytes=36_000, pids=4),
    "hostnet": Load(0.01, 0.5, 12 * MIB, write_bytes=4_100, pids=3),
    "nested": Load(0.04, 0.5, 61 * MIB, pids=32),
    "inner": Load(0.02, 0.5, 17 * MIB, rx_bytes=600, tx_bytes=400, pids=2),
    "box": Load(0.02, 0.9, 52 * MIB, rx_bytes=900, tx_bytes=300, pids=12),
    "quad": Load(0.33, 0.8, 37 * MIB, 20_000, None, 50 * MIB, 0.0, (0.0, 0.02, 0.14), 0, 0, 2_600_000, 5),
    "nest": Load(0.01, 0.4, 22 * MIB, pids=7),
}
IDLE = Load()


@dataclass
class AnsweringWatch(FakeWatch):
    """A runtime that could do anything."""

    answers: bool = True
    abilities: frozenset[str] = EVERY_ABILITY
    plugin: SimpleNamespace = field(default_factory=lambda: SimpleNamespace(name="docker"))


class AnsweringRuntimes(FakeRuntimes):
    """Such runtimes."""

    is_settling = False

    def of(self, container: ContainerId) -> Any:
        """Return the one that knows a container."""
        return next((watch for watch in self.watches if any(info.id == container for info in watch.infos)), None)


class PlayedHost:
    """The host, a second at a time."""

    def __init__(self, folder: Path) -> None:
        """Copy the captured host into an empty folder, and read it once."""
        shutil.copytree(HOST, folder, symlinks=True, dirs_exist_ok=True)
        self._folder = folder
        self._begun_ns = int(float((folder / "time").read_text()) * 1e9)
        self._at = 0
        self._random = Random(HOST.name)
        self._counts: dict[Path, dict[str, float]] = {}
        self.docker = AnsweringWatch((), RuntimeSample("docker", "/run/docker.sock", up=True, is_listed=True))
        self.runtimes = AnsweringRuntimes()
        self.sampler = self._sampler()
        self._containers = self._named(self.sampler.tick())

    @property
    def roots(self) -> tuple[str, str, str]:
        """Where ``/proc``, ``/sys`` and the cgroups are."""
        return f"{self._folder}/proc", f"{self._folder}/sys", f"{self._folder}/sys/fs/cgroup"

    def close(self) -> None:
        """Let go of its files."""
        self.sampler.close()

    def _sampler(self) -> Sampler:
        proc_root, sys_root, cgroup_root = self.roots
        access = Access(10_000)
        cgroups = CgroupFs(read_hierarchies(proc_root, cgroup_root), access, sys_root=sys_root)
        processes = ProcFs(proc_root, access)
        sources = Sources(
            host=HostReader(proc_root, sys_root, f"{self._folder}/etc/hostname"),
            cgroups=cgroups,
            processes=processes,
            isolated=IsolatedScan(processes, cgroups.processes),
            networks=Networks(processes, None),
            bundles=Bundles(str(self._folder), proc_root, budget_s=60.0),
            runtimes=self.runtimes,  # type: ignore[arg-type]  looks like one
            cgroup_access=access,
            process_access=access,
        )
        clock = Clock(lambda: self._begun_ns + self._at * 10**9, lambda: (1000 + self._at) * 10**9)
        return Sampler(sources, clock=clock)

    def _named(self, snapshot: Snapshot) -> tuple[ContainerNode, ...]:
        """Let Docker tell of its containers what their files tell, and of some that have ended."""
        containers = tuple(snapshot.containers.values())
        infos = [
            replace(each.info, source=Source.API, restarts=0, restart_policy="unless-stopped", health=_health(each))
            for each in containers
            if each.info.runtime == "docker"
        ]
        self.docker.infos = (*infos, *self._ended())
        self.runtimes.watches.append(self.docker)
        return containers

    def _ended(self) -> Iterator[ContainerInfo]:
        for at, (name, code, was_killed) in enumerate((("migrate", 0, False), ("import-orders", 137, True)), start=3):
            yield ContainerInfo(
                id=ContainerId(f"{at}" * 64),
                name=name,
                runtime="docker",
                source=Source.API,
                state=State.EXITED,
                image=f"shop/{name}:1.4",
                exit_code=code,
                oom_killed=was_killed,
                finished_ns=self._begun_ns - at * 71 * 10**9,
                restarts=0,
                restart_policy="no",
            )

    def tick(self, ticks: int = 1) -> Snapshot:
        """Let so many seconds pass, and read the host after each."""
        for _ in range(ticks):
            self._at += 1
            for container in self._containers:
                self._move_on(container, LOADS.get(container.name, IDLE))
            self._move_host_on()
            snapshot = self.sampler.tick()
        return snapshot

    def _move_on(self, container: ContainerNode, load: Load) -> None:
        if container.cgroup is None:
            return
        phase = sum(map(ord, container.name)) % 30
        wave = math.sin((self._at + phase) / 7) * 0.6 + self._random.uniform(-0.4, 0.4)
        cores = max(load.cores * (1 + load.swing * wave), 0.0)
        if load.cpu_limit_cores is not None:
            cores = min(cores, load.cpu_limit_cores)
        memory = load.memory_bytes + load.growth_bytes * self._at
        own = self._directory(container)
        for directory in (own, *own.parents):
            if not directory.is_relative_to(self.roots[2]):
                break
            self._add(directory, cores, memory if self._at == 1 else load.growth_bytes, load)
        self._limit(own, load)
        if container.process is not None and (load.rx_bytes or load.tx_bytes):
            self._network(container.process.pid, load)

    def _directory(self, container: ContainerNode) -> Path:
        assert container.cgroup is not None
        return Path(self.roots[2] + container.cgroup.path)

    def _add(self, directory: Path, cores: float, memory: float, load: Load) -> None:
        """Count what a container uses in its cgroup, and in each above."""
        counts = self._counts.setdefault(directory, {})
        for name, value in (
            ("usage_usec", cores * 1e6),
            ("nr_periods", _PERIODS_PER_S if load.cpu_limit_cores else 0),
            ("nr_throttled", _PERIODS_PER_S * load.throttled),
            ("memory", memory),
            ("wbytes", load.write_bytes),
            ("pids", load.pids if self._at == 1 else 0),
            *((f"{kind}.pressure", share * 1e6) for kind, share in zip(KINDS, load.stalled, strict=True)),
        ):
            counts[name] = counts.get(name, 0.0) + value
        self._write(directory, counts)

    def _write(self, directory: Path, counts: dict[str, float]) -> None:
        if not (directory / "memory.current").exists():
            return
        usage, memory = int(counts["usage_usec"]), int(counts["memory"])
        (directory / "cpu.stat").write_text(
            f"usage_usec {usage}\nuser_usec {usage * 7 // 10}\nsystem_usec {usage * 3 // 10}\n"
            f"nr_periods {int(counts['nr_periods'])}\nnr_throttled {int(counts['nr_throttled'])}\n"
            f"throttled_usec {int(counts['nr_throttled'] * 40_000)}\nnr_bursts 0\nburst_usec 0\n"
        )
        (directory / "memory.current").write_text(f"{memory}\n")
        (directory / "memory.stat").write_text(f"anon {memory * 8 // 10}\nfile {memory // 10}\ninactive_file 0\n")
        (directory / "io.stat").write_text(f"254:0 rbytes=0 wbytes={int(counts['wbytes'])} rios=0 wios=0\n")
        (directory / "pids.current").write_text(f"{int(counts['pids'])}\n")
        for kind in KINDS:
            (directory / f"{kind}.pressure").write_text(_pressure(counts[f"{kind}.pressure"]))

    def _limit(self, directory: Path, load: Load) -> None:
        if load.cpu_limit_cores is not None:
            (directory / "cpu.max").write_text(f"{int(load.cpu_limit_cores * 100_000)} 100000\n")
        if load.memory_limit_bytes is not None:
            (directory / "memory.max").write_text(f"{load.memory_limit_bytes}\n")

    def _network(self, pid: int, load: Load) -> None:
        received, sent = load.rx_bytes * self._at, load.tx_bytes * self._at
        head = (HOST / "proc/1590/net/dev").read_text().splitlines()[:3]
        line = f"  eth0: {received} {received // 900} 0 0 0 0 0 0 {sent} {sent // 900} 0 0 0 0 0 0"
        (self._folder / f"proc/{pid}/net/dev").write_text("\n".join([*head, line, ""]))

    def _move_host_on(self) -> None:
        root = self._counts.get(Path(self.roots[2]), {})
        busy = int(root.get("usage_usec", 0.0) / 1e4)
        idle = max(self._at * 200 - busy, 0)
        each = f"{busy // 2} 0 0 {idle // 2} 0 0 0 0 0 0"
        lines = [f"cpu  {busy} 0 0 {idle} 0 0 0 0 0 0", f"cpu0 {each}", f"cpu1 {each}"]
        (self._folder / "proc/stat").write_text("\n".join([*lines, f"btime {self._begun_ns // 10**9 - _STILL_S}", ""]))
        for kind, share in (("cpu", 0.11), ("memory", 0.01), ("io", 0.02)):
            total = self._at * share * 1e6 * (1 + 0.3 * math.sin(self._at / 9))
            (self._folder / f"proc/pressure/{kind}").write_text(_pressure(total))


def _pressure(some_usec: float) -> str:
    averages = "avg10=0.00 avg60=0.00 avg300=0.00"
    return f"some {averages} total={int(some_usec)}\nfull {averages} total=0\n"


def _health(container: ContainerNode) -> Health | None:
    return Health.HEALTHY if container.name == "shop-web-1" else None
