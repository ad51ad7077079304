"""Real hosts, as `tests/hosts/capture.py` read them, and samplers of them."""

from __future__ import annotations

import json
from pathlib import Path

from fakes import FakeRuntimes, FakeWatch

from topcon.exporter.options import OPT_IN_GROUPS
from topcon.kernel.cgroup import CgroupFs
from topcon.kernel.files import Access
from topcon.kernel.host import HostReader
from topcon.kernel.isolated import IsolatedScan
from topcon.kernel.mount import read_hierarchies
from topcon.kernel.network import Networks
from topcon.kernel.process import ProcFs
from topcon.kernel.survey import SurveyThread
from topcon.model.sample import RuntimeSample
from topcon.runtimes.bundle import Bundles
from topcon.runtimes.docker import info_from_inspect
from topcon.sampler import Clock, Sampler, Sources

HOSTS = sorted(path.parent for path in Path(__file__).parent.glob("hosts/*/time"))


def begun_ns(folder: Path) -> int:
    """When the host was captured."""
    return int(float((folder / "time").read_text()) * 1e9)


def sampler_of(folder: Path, clock: Clock | None = None) -> Sampler:
    """Return what reads a host; by itself its clock stands still."""
    runtimes = FakeRuntimes()
    if (folder / "docker.json").exists():
        infos = tuple(info_from_inspect(each) for each in json.loads((folder / "docker.json").read_text()))
        docker = RuntimeSample("docker", "/run/docker.sock", up=True, is_listed=True, container_count=len(infos))
        runtimes.watches.append(FakeWatch(infos, docker))
    proc_root, cgroup_root = f"{folder}/proc", f"{folder}/sys/fs/cgroup"
    access = Access(100)
    cgroups = CgroupFs(read_hierarchies(proc_root, cgroup_root), access, OPT_IN_GROUPS, sys_root=f"{folder}/sys")
    processes = ProcFs(proc_root, access)
    sources = Sources(
        host=HostReader(proc_root, f"{folder}/sys", f"{folder}/etc/hostname", has_detail=True),
        cgroups=cgroups,
        processes=processes,
        isolated=IsolatedScan(processes, cgroups.processes),
        networks=Networks(processes, None),
        bundles=Bundles(str(folder), proc_root, budget_s=60.0),
        runtimes=runtimes,
        cgroup_access=access,
        process_access=access,
        survey=SurveyThread(proc_root, frozenset(), str(folder), pids_of=cgroups.processes),
    )
    return Sampler(sources, has_system_cgroups=True, clock=clock or Clock(lambda: begun_ns(folder), lambda: 1))
