"""What a recording of many containers costs: to write it, on the disk, and to look into it."""

from __future__ import annotations

import gc
import random
import tempfile
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from fakes import SECOND_NS, START_WALL_NS
from figures import Effort, Figure, Subject, percentile
from samples import cgroup_of, host_of, netns_of, own_namespaces, running, sample_of

from topcon.commands.ticking import spare_collector
from topcon.model.sample import (
    CgroupPath,
    ContainerId,
    CpuStat,
    InterfaceStat,
    IoStat,
    MemoryStat,
    Port,
    Pressure,
    PressureStat,
    RuntimeSample,
    SourceSample,
)
from topcon.recording.codec import KEY_EVERY
from topcon.recording.reader import Reader
from topcon.recording.replayed import Replay, after
from topcon.recording.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from topcon.model.sample import CgroupSample, Sample
    from topcon.model.snapshot import Snapshot

SDA = (8, 0)
ACTIVE = 10
"""One in so many has done something since the sample before, others each time."""
GROUPS = 2
"""Of frames, after a first one, with which the containers are listed too."""
_ZEROS = (
    *("oom_kill", "oom_kill_local", "events_high", "events_max", "oom_group_kill"),
    *("pgscan", "pgsteal", "workingset_refault_file", "workingset_refault_anon"),
)
"""What is counted of memory only where it is short."""


class Host:
    """Containers as a runtime lists them, whose counters are of all lengths and go on as those of services do."""

    def __init__(self, count: int) -> None:
        """Have so many; each run has the same."""
        self._chance = random.Random(count)
        self._boot = 0
        self.sample = self._first(count)

    def _some(self, digits: int) -> int:
        return self._chance.randrange(10 ** self._chance.randrange(1, digits))

    def _pages(self) -> int:
        return 4096 * self._some(6)

    def _hex(self, digits: int) -> str:
        return f"{self._chance.getrandbits(4 * digits):0{digits}x}"

    def _first(self, count: int) -> Sample:
        boxes, networks = [], {}
        for at in range(count):
            project, name = f"team-{at % 250}", f"team-{at % 250}-service-{at}-1"
            started_ns = START_WALL_NS - self._chance.randrange(10**16)
            info: dict[str, Any] = {
                "id": ContainerId(self._hex(64)),
                "image": f"registry.example.com/{project}/service-{at % 200}:v1.{at % 17}.{at % 5}",
                "command": "/usr/local/bin/service --listen :8080 --config /etc/service/config.yaml",
                "labels": {
                    "com.docker.compose.config-hash": self._hex(64),
                    "com.docker.compose.container-number": "1",
                    "com.docker.compose.project": project,
                    "com.docker.compose.project.working_dir": f"/srv/deploy/{project}",
                    "com.docker.compose.service": f"service-{at}",
                    "org.opencontainers.image.revision": self._hex(40),
                },
                "ports": (Port("0.0.0.0", 20_000 + at, 8080, "tcp"),),
                "created_ns": started_ns - self._chance.randrange(10**9),
                "started_ns": started_ns,
                "restarts": 0,
                "restart_policy": "unless-stopped",
            }
            kinds = enumerate(("mnt", "uts", "ipc", "pid", "net", "cgroup"))
            process = {
                "started_ns": started_ns // 10**7 * 10**7,
                "start_ticks": self._some(9),
                "namespaces": own_namespaces(name, **{kind: 4_026_532_000 + 6 * at + each for each, kind in kinds}),
            }
            box = running(name, info=info, process=process)
            assert box.found is not None
            path = CgroupPath(f"/system.slice/docker-{info['id']}.scope")
            box = replace(box, found=replace(box.found, path=path, id=info["id"]), cgroup=self._counted(path, at))
            boxes.append(box)
            networks[netns_of(name)] = {"eth0": self._interface(), "lo": self._interface()}
        return sample_of(*boxes, networks=networks, host=host_of(cpu_busy_s=1e5))

    def _interface(self) -> InterfaceStat:
        return InterfaceStat(self._some(12), self._some(9), 0, 0, self._some(12), self._some(9), 0, 0)

    def _counted(self, path: CgroupPath, at: int) -> CgroupSample:
        usage, anon, file = self._some(12), self._pages(), self._pages()
        pressure = (Pressure(self._some(9), self._some(9)) for _ in range(3))
        return cgroup_of(
            path, inode=10_000 + at, limit_cores=0.5, limit=512 << 20, pids=self._some(3), pids_max=4096
        )._replace(
            cpu=CpuStat(usage, usage * 7 // 10, usage * 3 // 10, 0, 0, 0),
            memory=MemoryStat(
                current=anon + file,
                max=512 << 20,
                peak=anon + 2 * file,
                swap_current=0,
                anon=anon,
                file=file,
                inactive_file=file // 2,
                active_file=file // 2,
                file_mapped=self._pages(),
                file_dirty=0,
                file_writeback=0,
                shmem=4096 * (at % 3),
                unevictable=0,
                kernel=self._pages(),
                slab_reclaimable=self._pages(),
                pgfault=self._some(9),
                pgmajfault=self._some(4),
                **dict.fromkeys(_ZEROS, 0),
            ),
            io={SDA: IoStat(*(self._some(11) for _ in range(4)))},
            pressure=PressureStat(*pressure),
            since_ns=0,
        )

    def seconds(self, count: int) -> Iterator[Sample]:
        """Let so many seconds pass, and give what is read after each."""
        for _ in range(count):
            yield self.sample
            self.sample = self._moved_on(self.sample)

    def _moved_on(self, sample: Sample) -> Sample:
        chance = self._chance
        late_ns = chance.randrange(10**6)
        active = chance.sample(list(sample.cgroups), len(sample.cgroups) // ACTIVE)
        netns_by_path = {path: process.netns for path, process in sample.processes.items()}
        networks = [netns for path in active if (netns := netns_by_path[path]) is not None]
        host = sample.host
        return replace(
            sample,
            wall_ns=sample.wall_ns + SECOND_NS + late_ns,
            monotonic_ns=sample.monotonic_ns + SECOND_NS + late_ns,
            host=replace(
                host,
                uptime_s=round(host.uptime_s + 1, 2),
                cpu_busy_s=round(host.cpu_busy_s + chance.random(), 2),
                memory_used_bytes=host.memory_used_bytes + 4096 * chance.randrange(-1000, 1000),
                load=(round(chance.random(), 2), 0.5, 0.4),
                pressure=PressureStat(*(Pressure(chance.randrange(10**9), None) for _ in range(3))),
            ),
            cgroups=sample.cgroups | {path: self._busy(sample.cgroups[path], sample.monotonic_ns) for path in active},
            networks=sample.networks | {netns: self._sent(sample.networks[netns]) for netns in networks},
            runtimes=(
                RuntimeSample("docker", "/run/docker.sock", up=True, is_listed=True, duration_s=chance.random()),
            ),
            sources=tuple(
                SourceSample(name, chance.random() / 100, 0, sample.wall_ns)
                for name in ("bundles", "cgroup", "host", "isolated", "network", "own", "processes")
            ),
        )

    def _busy(self, cgroup: CgroupSample, now_ns: int) -> CgroupSample:
        """What has used the CPU has used memory, waited, and sometimes written."""
        chance = self._chance
        cpu, memory, pressure = cgroup.cpu, cgroup.memory, cgroup.pressure
        assert cpu is not None
        assert memory is not None
        assert memory.current is not None
        assert pressure is not None
        assert cgroup.io is not None
        used, pages = chance.randrange(200, 100_000), chance.randrange(-200, 300)
        user = chance.randrange(used)
        grown = {
            name: max((getattr(memory, name) or 0) + 4096 * chance.randrange(-100, 200), 0)
            for name in ("anon", "file", "active_file", "inactive_file", "slab_reclaimable", "file_dirty")
        }
        faults = (memory.pgfault or 0) + chance.randrange(1000)
        stalled = [
            line and Pressure(line.some_usec + (waited := chance.randrange(2000)), (line.full_usec or 0) + waited // 2)
            for line in (pressure.cpu, pressure.memory if not used % 5 else None, pressure.io)
        ]
        io = cgroup.io
        if used % 3 == 0:
            was, blocks = io[SDA], chance.randrange(100)
            io = {SDA: was._replace(wbytes=was.wbytes + 4096 * blocks, wios=was.wios + blocks)}
        return cgroup._replace(
            cpu=cpu._replace(
                usage_usec=cpu.usage_usec + used,
                user_usec=(cpu.user_usec or 0) + user,
                system_usec=(cpu.system_usec or 0) + used - user,
                nr_periods=(cpu.nr_periods or 0) + 10,
            ),
            memory=memory._replace(current=max(memory.current + 4096 * pages, 0), pgfault=faults, **grown),
            io=io,
            pressure=PressureStat(stalled[0], stalled[1] or pressure.memory, stalled[2]),
            since_ns=now_ns,
        )

    def _sent(self, interfaces: Any) -> dict[str, InterfaceStat]:
        was, packets = interfaces["eth0"], self._chance.randrange(1, 500)
        sent, received = (packets * self._chance.randrange(60, 1400) for _ in range(2))
        now = was._replace(
            rx_bytes=was.rx_bytes + received,
            rx_packets=was.rx_packets + packets,
            tx_bytes=was.tx_bytes + sent,
            tx_packets=was.tx_packets + packets,
        )
        return {**interfaces, "eth0": now}


def measure(effort: Effort) -> list[Figure]:
    """Measure a recording from its first byte to a jump into it."""
    groups = min(GROUPS, effort.rounds)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bench.topcon"
        host, spent = Host(effort.containers), []
        _write(path, host, KEY_EVERY)
        first = path.stat().st_size
        spent = _write(path, host, groups * KEY_EVERY)
        size = path.stat().st_size - first
        firsts, jumps, steps = _looked_into(path, max(effort.ticks, 10))
    count = f"{effort.containers:,} containers, a tenth of them active"
    of_core = sum(spent) / len(spent) * 100
    return [
        Figure(f"recording {count}, each second", of_core, "% of a core", goal="recording-cpu"),
        Figure("the same, a frame", median(spent), "ms", "a key frame", max(spent)),
        Figure("the same, on the disk", size / len(spent) * 3600 / 1e6, "MB/h", goal="recording-size"),
        Figure(
            "a jump to any time, p99", percentile(jumps, 0.99), "ms", "the median", median(jumps), goal="recording-jump"
        ),
        Figure(
            "the first one, where nothing is known yet, p99",
            percentile(firsts, 0.99),
            "ms",
            "the median",
            median(firsts),
        ),
        Figure("a step of its replay", median(steps), "ms", "the longest", max(steps)),
    ]


def _write(path: Path, host: Host, seconds: int) -> list[float]:
    """Write a recording, or go on with it; return the CPU seconds of each frame."""
    spent = []
    snapshot: Snapshot | None = None
    writer = Writer(path)
    for sample in host.seconds(seconds):
        snapshot = after(snapshot, sample)
        if not spent:
            spare_collector()
        begun = time.process_time()
        writer.write(snapshot)
        spent.append(time.process_time() - begun)
    writer.close()
    gc.unfreeze()
    return spent


def _looked_into(path: Path, jumps: int) -> tuple[list[float], list[float], list[float]]:
    """Seconds of first jumps to any time, of those that follow, and of steps from one sample to the next."""
    chance = random.Random(1)
    spare_collector()
    first = []
    for _ in range(jumps):
        with Reader(path) as reader:
            at = chance.randrange(len(reader.times))
            first.append(_timed(partial(Replay(reader).at, at))[0])
    with Reader(path) as reader:
        jumped = []
        shown: Snapshot | None = None
        for _ in range(jumps):
            at = chance.randrange(len(reader.times))
            seconds, shown = _timed(partial(Replay(reader, like=shown).at, at))
            jumped.append(seconds)
        replay = Replay(reader)
        replay.at(0)
        stepped = []
        while not replay.is_at_end:
            stepped.append(_timed(replay.step)[0])
    gc.unfreeze()
    return first, jumped, stepped


def _timed(look: Callable[[], Snapshot]) -> tuple[float, Snapshot]:
    """Return how many seconds it took, and what was seen."""
    begun = time.perf_counter()
    snapshot = look()
    return time.perf_counter() - begun, snapshot


RECORDING = Subject(
    "Recording",
    f"""Containers of Compose projects with their labels, one in {ACTIVE} of which has used CPU, memory and network
since the sample before, and others each time. What is measured of writing is the process' CPU time, with a transaction
a frame; of looking into it the time from the question to the snapshot, with its rates and findings.""",
    measure,
)
