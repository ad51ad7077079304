"""Real hosts, as they were read: what topcon makes of them is reviewed once and must not change by itself."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from fakes import FakeRuntimes, FakeWatch

from topcon.exporter.exposition import to_page
from topcon.exporter.options import OPT_IN_GROUPS, ExportOptions
from topcon.exporter.page import Vitals
from topcon.kernel.cgroup import CgroupFs
from topcon.kernel.files import Access
from topcon.kernel.host import HostReader
from topcon.kernel.isolated import IsolatedScan
from topcon.kernel.mount import read_hierarchies
from topcon.kernel.network import Networks
from topcon.kernel.process import ProcFs
from topcon.kernel.survey import SurveyThread
from topcon.model.sample import RuntimeSample
from topcon.report import to_json, to_text
from topcon.rows import ViewState, rows
from topcon.runtimes.bundle import Bundles
from topcon.runtimes.docker import info_from_inspect
from topcon.sampler import Clock, Sampler, Sources

OF_THIS_RUN = (
    "topcon_build_info{",
    "topcon_process_",
    "topcon_source_scrape_duration_seconds{",
    'topcon_source_last_success_timestamp_seconds{source="survey"}',
)
"""Samples that are no part of the review: they tell of Python, of this process, of now."""

HOSTS = sorted(path.parent for path in Path(__file__).parents[1].glob("hosts/*/time"))


def _sampler(folder: Path) -> Sampler:
    runtimes = FakeRuntimes()
    if (folder / "docker.json").exists():
        infos = tuple(info_from_inspect(each) for each in json.loads((folder / "docker.json").read_text()))
        docker = RuntimeSample("docker", "/run/docker.sock", up=True, is_listed=True, container_count=len(infos))
        runtimes.watches.append(FakeWatch(infos, docker))
    wall_ns = int(float((folder / "time").read_text()) * 1e9)
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
    return Sampler(sources, has_system_cgroups=True, clock=Clock(lambda: wall_ns, lambda: 1))


@pytest.mark.parametrize("folder", HOSTS, ids=lambda folder: folder.name)
def test_the_tree_is_as_reviewed(folder: Path, snapshot: object) -> None:
    taken = _sampler(folder).tick()

    assert to_text(taken, rows(taken, ViewState())) == snapshot


@pytest.mark.parametrize("folder", HOSTS, ids=lambda folder: folder.name)
def test_the_json_is_as_reviewed(folder: Path, snapshot: object) -> None:
    taken = _sampler(folder).tick()

    assert json.loads(to_json(taken, rows(taken, ViewState(sort="name")))) == snapshot


@pytest.mark.parametrize("folder", HOSTS, ids=lambda folder: folder.name)
def test_the_metrics_are_as_reviewed(folder: Path, snapshot: object) -> None:
    sampler = _sampler(folder)
    surveyed = None
    while surveyed is None:
        surveyed = sampler.tick().sample.survey
        time.sleep(0.01)
    sampler.close()
    assert sampler.newest is not None
    page = to_page(sampler.newest, Vitals(0.001, 0.5), ExportOptions(groups=OPT_IN_GROUPS)).decode()

    lines = [line for line in page.splitlines() if not line.startswith(OF_THIS_RUN)]
    assert lines == snapshot
