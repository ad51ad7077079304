"""A host made of files, runtimes without sockets, and clocks that move when they are read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from topcon.kernel.cgroup import CgroupFs
from topcon.kernel.files import Access
from topcon.kernel.host import HostReader
from topcon.kernel.isolated import IsolatedScan
from topcon.kernel.mount import read_hierarchies
from topcon.kernel.network import Networks
from topcon.kernel.process import ProcFs
from topcon.runtimes.bundle import Bundles
from topcon.runtimes.watch import RuntimeWatches
from topcon.sampler import Clock, Sampler, Sources

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from topcon.model.event import Told
    from topcon.model.sample import ContainerInfo, Problem, RuntimeSample

SECOND_NS = 1_000_000_000
START_WALL_NS = 1_790_000_000 * SECOND_NS
UPTIME_S = 100_000.0
HOST_NAMESPACES = {
    "net": 4026531833,
    "pid": 4026531836,
    "mnt": 4026531832,
    "ipc": 4026531839,
    "uts": 4026531838,
    "user": 4026531837,
    "cgroup": 4026531835,
    "time": 4026531834,
}
V2_MOUNTS = "25 31 0:22 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot\n"
HYBRID_MOUNTS = """\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
33 31 0:30 / /sys/fs/cgroup/cpuacct rw,relatime - cgroup cgroup rw,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
37 31 0:34 / /sys/fs/cgroup/freezer rw,relatime - cgroup cgroup rw,freezer
38 31 0:35 / /sys/fs/cgroup/blkio rw,relatime - cgroup cgroup rw,blkio
39 31 0:36 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
"""
V1_MOUNTS = "".join(line for line in HYBRID_MOUNTS.splitlines(keepends=True) if "cgroup2" not in line)

NET_DEV = """\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier
    lo:     500       5    0    0    0     0          0         0      500       5    0    0    0     0       0
  eth0: {rx:7} {rx_packets:7}    1    2    0     0          0         0  {tx:7} {tx_packets:7}    3    4    0     0
"""
MEMINFO_KB = {
    "MemTotal": 8388608,
    "MemFree": 4194304,
    "MemAvailable": 6291456,
    "SwapTotal": 1024,
    "SwapFree": 512,
    **dict.fromkeys(("Buffers", "Cached", "Active", "Inactive", "Shmem", "SReclaimable", "Slab"), 0),
}
PRESSURE = """\
some avg10=0.00 avg60=0.00 avg300=0.00 total={some}
full avg10=0.00 avg60=0.00 avg300=0.00 total={full}
"""
MEMORY_STAT = """\
anon {anon}
file {file}
kernel 4096
inactive_anon 0
active_anon {anon}
inactive_file {inactive_file}
active_file 0
"""
DETAIL = {
    "cpu.weight": "100\n",
    "cpu.stat.local": "throttled_usec 0\n",
    "memory.min": "0\n",
    "memory.low": "0\n",
    "memory.swap.max": "max\n",
    "memory.swap.events": "high 0\nmax 0\nfail 0\n",
    "memory.numa_stat": "anon N0=4096 N1=0\nfile N0=0 N1=8192\nunevictable N0=0 N1=0\n",
    "pids.events": "max 0\n",
    "irq.pressure": "full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
    "cgroup.stat": "nr_descendants 0\nnr_dying_descendants 0\n",
    "hugetlb.2MB.rsvd.current": "0\n",
    "hugetlb.2MB.current": "0\n",
    "hugetlb.2MB.events": "max 0\n",
}
"""What is read of a cgroup of version 2 for the endpoint alone."""
DISKSTATS = """\
   8       0 sda 100 10 2000 30 200 20 4000 60 1 70 90 5 0 640 2 3 4
   8       1 sda1 90 9 1800 27 180 18 3600 54 0 63 81 5 0 640 2 3 4
"""
CACHES = (("1", "Data", "48K", False), ("1", "Instruction", "32K", False), ("3", "Unified", "16384K", True))
"""Level, type, size, and whether a socket's CPUs share it."""


@dataclass
class FakeHost:
    """A host as a tree of files: what the kernel would show in ``/proc`` and ``/sys/fs/cgroup``."""

    root: Path
    mounts: str = V2_MOUNTS
    next_netns: int = 4026540000
    _net_files: dict[int, Path] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.write("proc/self/mountinfo", self.mounts)
        self.write(
            "proc/stat",
            "cpu  1000 0 1000 8000 0 0 0 0 0 0\ncpu0 500 0 500 4000 0 0 0 0 0 0\ncpu1 500 0 500 4000 0 0 0 0 0 0\n",
        )
        self.write("proc/meminfo", "".join(f"{name}: {size} kB\n" for name, size in MEMINFO_KB.items()))
        self.write("proc/uptime", f"{UPTIME_S:.2f} 1.00\n")
        self.write("proc/loadavg", "0.50 0.40 0.30 1/100 4242\n")
        self.write(
            "proc/partitions", "major minor  #blocks  name\n\n   8        0   1000 sda\n   8        1   1000 sda1\n"
        )
        self.write("proc/diskstats", DISKSTATS)
        self.write("etc/os-release", 'NAME="Test"\nPRETTY_NAME="Test Linux 1 (one)"\n')
        self.write("etc/hostname", "testhost\n")
        self.write("proc/sys/kernel/hostname", "testhost\n")
        self.write("proc/sys/kernel/osrelease", "6.12.0-test\n")
        self.write("proc/sys/kernel/random/boot_id", "00000000-0000-4000-8000-000000000001\n")
        for name in ("cpu", "memory", "io"):
            self.write(f"proc/pressure/{name}", PRESSURE.format(some=0, full=0))
        if self.mounts == V2_MOUNTS:
            self.write("sys/fs/cgroup/cgroup.controllers", "cpuset cpu io memory pids\n")
            self.write("sys/fs/cgroup/cgroup.subtree_control", "cpu io memory pids\n")
            self.cgroup(
                "/",
                {
                    "cpu.stat": "usage_usec 5000000\nuser_usec 3000000\nsystem_usec 2000000\n",
                    "memory.stat": MEMORY_STAT.format(anon=1000, file=2000, inactive_file=500),
                },
            )
        else:
            for line in self.mounts.splitlines():
                (self.root / line.split()[4].lstrip("/")).mkdir(parents=True, exist_ok=True)
        self.process(1, comm="systemd", namespaces=HOST_NAMESPACES, netns=HOST_NAMESPACES["net"], ns_pids=(1,))

    @property
    def proc_root(self) -> str:
        return str(self.root / "proc")

    @property
    def sys_root(self) -> str:
        return str(self.root / "sys")

    @property
    def cgroup_root(self) -> str:
        return str(self.root / "sys/fs/cgroup")

    def write(self, path: str, text: str) -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def cgroup(self, path: str, files: Mapping[str, str], hierarchy: str = "") -> None:
        """Write files of a cgroup; ``hierarchy`` is the directory of one of version 1's, or ``unified``."""
        directory = "/".join(part for part in ("sys/fs/cgroup", hierarchy, path.strip("/")) if part)
        (self.root / directory).mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            self.write(f"{directory}/{name}", text)

    def process(
        self,
        pid: int,
        *,
        comm: str = "sleep",
        ppid: int = 1,
        start_ticks: int = 5_000_000,
        namespaces: Mapping[str, int] | None = None,
        netns: int | None = None,
        ns_pids: tuple[int, ...] | None = None,
        rx: int = 1000,
        tx: int = 2000,
        caught: int = 0,
        ignored: int = 0,
    ) -> int:
        """Write a process; those of the same ``netns`` share one ``net/dev``, as the kernel has it."""
        inodes = dict(HOST_NAMESPACES if namespaces is None else namespaces)
        if netns is not None:
            inodes["net"] = netns
        fields = ["0"] * 49
        fields[0], fields[1], fields[19] = "S", str(ppid), str(start_ticks)
        self.write(f"proc/{pid}/stat", f"{pid} ({comm}) {' '.join(fields)}\n")
        chain = "\t".join(map(str, ns_pids or (pid, 1)))
        self.write(
            f"proc/{pid}/status", f"Name:\t{comm}\nNSpid:\t{chain}\nSigIgn:\t{ignored:016x}\nSigCgt:\t{caught:016x}\n"
        )
        directory = self.root / f"proc/{pid}/ns"
        directory.mkdir(parents=True, exist_ok=True)
        for kind, inode in inodes.items():
            (directory / kind).unlink(missing_ok=True)
            (directory / kind).symlink_to(f"{kind}:[{inode}]")
        self._net_dev(pid, inodes["net"], rx, tx)
        return pid

    def _net_dev(self, pid: int, netns: int, rx: int, tx: int) -> None:
        path = self.root / f"proc/{pid}/net/dev"
        path.parent.mkdir(parents=True, exist_ok=True)
        if netns not in self._net_files:
            self._net_files[netns] = self.write(f"netns/{netns}", "")
            self.network(netns, rx, tx)
        if not path.is_symlink():
            path.symlink_to(self._net_files[netns])

    def network(self, netns: int, rx: int, tx: int) -> None:
        """Set the counters of a network namespace."""
        self._net_files[netns].write_text(NET_DEV.format(rx=rx, tx=tx, rx_packets=rx // 100, tx_packets=tx // 100))

    def container(
        self,
        path: str,
        pid: int,
        *,
        usage_usec: int = 0,
        quota: str = "max",
        nr_periods: int = 0,
        nr_throttled: int = 0,
        current: int = 10_000_000,
        limit: str = "max",
        inactive_file: int = 0,
        oom_kill: int = 0,
        pids: int = 1,
        pids_max: str = "max",
        rbytes: int = 0,
        wbytes: int = 0,
        cpu_some: int = 0,
        netns: int | None = None,
        frozen: int = 0,
        **process: object,
    ) -> None:
        """Write a container's cgroup of version 2, with its first process."""
        bandwidth = f"nr_periods {nr_periods}\nnr_throttled {nr_throttled}\nthrottled_usec {nr_throttled * 1000}\n"
        self.cgroup(
            path,
            {
                "cpu.stat": f"usage_usec {usage_usec}\nuser_usec {usage_usec}\nsystem_usec 0\n{bandwidth}",
                "cpu.max": f"{quota} 100000\n",
                "memory.current": f"{current}\n",
                "memory.max": f"{limit}\n",
                "memory.peak": f"{current}\n",
                "memory.swap.current": "0\n",
                "memory.stat": MEMORY_STAT.format(
                    anon=current - inactive_file, file=inactive_file, inactive_file=inactive_file
                ),
                "memory.events": f"low 0\nhigh 0\nmax 0\noom 0\noom_kill {oom_kill}\n",
                "memory.events.local": f"low 0\nhigh 0\nmax 0\noom 0\noom_kill {oom_kill}\n",
                "io.stat": f"8:0 rbytes={rbytes} wbytes={wbytes} rios=1 wios=2 dbytes=0 dios=0\n",
                "pids.current": f"{pids}\n",
                "pids.max": f"{pids_max}\n",
                "cpu.pressure": PRESSURE.format(some=cpu_some, full=0),
                "memory.pressure": PRESSURE.format(some=0, full=0),
                "io.pressure": PRESSURE.format(some=0, full=0),
                "cgroup.events": f"populated 1\nfrozen {frozen}\n",
                "cgroup.procs": f"{pid}\n",
            },
        )
        if not (self.root / f"proc/{pid}").exists():
            if netns is None:
                self.next_netns += 1
                netns = self.next_netns
            own = {kind: netns + 10 * at for at, kind in enumerate(("pid", "mnt", "ipc", "uts"), start=1)}
            self.process(pid, namespaces=HOST_NAMESPACES | own, netns=netns, **process)  # type: ignore[arg-type]

    def detail(self, path: str, files: Mapping[str, str] | None = None) -> None:
        """Write what is read of a cgroup of version 2 for the endpoint alone; ``files`` replaces some of it."""
        self.cgroup(path, DETAIL | dict(files or {}))

    def machine(self, sockets: int = 2, cores: int = 2, threads: int = 2) -> None:
        """Write what the machine is built of: a memory node a socket, CPUs numbered as Intel does."""
        system = "sys/devices/system"
        across = sockets * cores
        for cpu in range(across * threads):
            socket, core = cpu % across // cores, cpu % cores
            siblings = ",".join(str(cpu % across + across * thread) for thread in range(threads))
            shared = ",".join(str(other) for other in range(across * threads) if other % across // cores == socket)
            topology = f"{system}/cpu/cpu{cpu}/topology"
            self.write(f"{topology}/core_id", f"{core}\n")
            self.write(f"{topology}/physical_package_id", f"{socket}\n")
            self.write(f"{topology}/core_cpus_list", f"{siblings}\n")
            for index, (level, kind, size, is_shared) in enumerate(CACHES):
                cache = f"{system}/cpu/cpu{cpu}/cache/index{index}"
                cpus = shared if is_shared else siblings
                for name, text in (("level", level), ("type", kind), ("size", size), ("shared_cpu_list", cpus)):
                    self.write(f"{cache}/{name}", f"{text}\n")
            self.write(f"{system}/node/node{socket}/cpulist", f"{shared}\n")
        for node in range(sockets):
            directory = f"{system}/node/node{node}"
            self.write(
                f"{directory}/meminfo", f"Node {node} MemTotal:  {1024 * (node + 1)} kB\nNode {node} MemFree:  1 kB\n"
            )
            self.write(
                f"{directory}/distance", " ".join("10" if node == other else "21" for other in range(sockets)) + "\n"
            )
            self.write(f"{directory}/hugepages/hugepages-2048kB/nr_hugepages", f"{node + 3}\n")
            for module in range(2):
                dimm = f"{system}/edac/mc/mc{node}/dimm{module}"
                self.write(f"{dimm}/size", "16384\n")
                self.write(f"{dimm}/dimm_mem_type", "Registered-DDR4\n")
        self.write("sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "7\n")

    def sampler(
        self,
        runtimes: FakeRuntimes | None = None,
        *,
        detail: frozenset[str] | None = None,
        refresh_s: float = 0.0,
        **options: object,
    ) -> Sampler:
        """A sampler of this host, with a clock that moves on a second a tick; ``detail`` as for the endpoint."""
        cgroup_access, process_access = Access(1000), Access()
        clock = FakeClock()
        hierarchies = read_hierarchies(self.proc_root, self.cgroup_root)
        cgroups = CgroupFs(hierarchies, cgroup_access, detail, sys_root=self.sys_root, refresh_s=refresh_s)
        processes = ProcFs(self.proc_root, process_access)
        sources = Sources(
            host=HostReader(
                self.proc_root, self.sys_root, str(self.root / "etc/hostname"), has_detail=detail is not None
            ),
            cgroups=cgroups,
            processes=processes,
            isolated=IsolatedScan(processes, cgroups.processes, clock_ns=clock.monotonic_ns),
            networks=Networks(processes, None),
            runtimes=runtimes or FakeRuntimes(),
            bundles=Bundles(str(self.root), self.proc_root),
            cgroup_access=cgroup_access,
            process_access=process_access,
        )
        return Sampler(sources, clock=Clock(clock.wall_ns, clock.monotonic_ns), **options)  # type: ignore[arg-type]


class FakeClock:
    """Both clocks: each reading of the wall clock is a second after the last."""

    def __init__(self) -> None:
        self.seconds = 0

    def wall_ns(self) -> int:
        self.seconds += 1
        return START_WALL_NS + self.seconds * SECOND_NS

    def monotonic_ns(self) -> int:
        return (1000 + self.seconds) * SECOND_NS


@dataclass
class FakeWatch:
    """A runtime that says what it is told to."""

    infos: tuple[ContainerInfo, ...] = ()
    sample: RuntimeSample | None = None
    problem: Problem | None = None
    rest_s: float | None = None
    told: tuple[Told, ...] = ()

    def take_told(self) -> tuple[Told, ...]:
        told, self.told = self.told, ()
        return told

    def look(self) -> tuple[RuntimeSample, Problem | None]:
        assert self.sample is not None
        return self.sample, self.problem


@dataclass
class FakeRuntimes(RuntimeWatches):
    """Some runtimes, without sockets or threads."""

    watches: list[FakeWatch] = field(default_factory=list)
    woken: int = 0

    def look(self) -> tuple[FakeWatch, ...]:  # type: ignore[override]
        return tuple(self.watches)

    def start(self) -> None:
        pass

    def stop(self) -> None:
        pass

    def wake(self) -> None:
        self.woken += 1
