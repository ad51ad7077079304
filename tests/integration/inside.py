"""Real runtimes as the sampler follows them, and a real container as the tree has it, for those who look inside."""

from __future__ import annotations

import os
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from samples import cgroup_of, node_of

from topcon.config import Config
from topcon.kernel.cgroup import CgroupFs
from topcon.kernel.files import Access
from topcon.kernel.isolated import parse_process_cgroups
from topcon.kernel.mount import read_hierarchies
from topcon.kernel.process import ProcFs
from topcon.model.sample import ContainerId, ContainerKey
from topcon.wiring import build_runtimes, build_sampler

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.conftest import Dockerd
    from topcon.model.snapshot import ContainerNode
    from topcon.runtimes.watch import RuntimeWatches
    from topcon.sampler import Sampler

HIERARCHIES = read_hierarchies("/proc", "/sys/fs/cgroup")


@contextmanager
def ticking(*runtimes: str) -> Iterator[tuple[Sampler, RuntimeWatches]]:
    """Follow runtimes, each given as its name and socket, and have a sampler of them."""
    config = Config(runtime=runtimes)
    watches = build_runtimes(config)
    # What closes it lets go of the runtimes too.
    with closing(build_sampler(config, watches)) as sampler:
        watches.start()
        watches.wait_settled(10)
        yield sampler, watches


def node_inside(dockerd: Dockerd, name: str) -> ContainerNode:
    """Return a running container, with its first process and its cgroup."""
    pid = int(dockerd.state(name)["Pid"])
    container_id = ContainerId(dockerd.api.inspect_container(name)["Id"])
    process = ProcFs("/proc", Access()).sample(pid, 0)
    cgroups = parse_process_cgroups(Path(f"/proc/{pid}/cgroup").read_bytes(), "cgroup").values()
    path = next(each for each in cgroups if container_id in each)
    assert pid in CgroupFs(HIERARCHIES, Access(), sys_root="/sys").processes(path)
    inode = next(os.stat(top + path).st_ino for top in HIERARCHIES.walked if Path(top + path).is_dir())  # noqa: PTH116
    cgroup = cgroup_of(path, inode=inode)
    key = ContainerKey(f"docker:{container_id}")
    return node_of(name, id=container_id, key=key, process=process, cgroup=cgroup)
