"""``topcon why`` on a pure version 2 host: who is really sick is found, with who has to do with it, and nobody else."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.machine import until
from tests.lab.conftest import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.lab.conftest import Lab

Findings = dict[str, dict[str, Any]]
LOOP = "while :; do :; done"
HOG = "while :; do x=$x$x$(head -c 100000 /dev/zero | tr '\\\\0' x); done"
WRITE = "while :; do dd if=/dev/zero of=/written bs=1M count=8 conv=fsync 2>/dev/null; done"
FORK = "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19; do sleep 1000 & done; wait"

COUNTED = {
    "cpu-throttled": ("cpu.stat", r"nr_throttled (\d+)"),
    "cpu-starved": ("cpu.pressure", r"some .* total=(\d+)"),
    "io-stalled": ("io.pressure", r"some .* total=(\d+)"),
    "memory-stalled": ("memory.pressure", r"some .* total=(\d+)"),
}
"""By code of what even an idle container may suffer in an emulator that is slow: the file and the counter it is of."""
SLOW = {*COUNTED, "runtime-silent"}
"""What is true there now and then; a daemon may need longer than two seconds for an answer."""
COUNTING = tuple({file for file, _ in COUNTED.values()})


def counted(files: dict[str, str], code: str) -> int:
    """What the kernel counts of it."""
    file, pattern = COUNTED[code]
    said = re.search(pattern, files[file])
    assert said is not None
    return int(said[1])


def why(lab: Lab, *arguments: str) -> tuple[int, list[dict[str, Any]]]:
    done = lab.topcon("why", "--json", *arguments, check=False)
    return done.returncode, list(json.loads(done.stdout)["findings"])


def of(lab: Lab, name: str) -> Findings:
    return {each["code"]: each for each in why(lab, "--interval", "3", "--filter", f"name:{name}")[1]}


@contextmanager
def running(lab: Lab, name: str, command: str, *options: str) -> Iterator[None]:
    """A container, for the time of the block."""
    run = " ".join(["docker run -d --network none --name", name, *options, "lab/busybox /bin/sh -c", f'"{command}"'])
    lab.ssh(run)
    try:
        yield
    finally:
        lab.ssh(f"docker rm -f {name}")


def test_the_standard_workload_has_the_throttled_worker_and_hostnet_and_nothing_untrue(lab: Lab) -> None:
    containers = [container for pod in lab.ps()["pods"] for container in pod["containers"]]
    paths = {each["key"]: each["cgroup"] for each in containers if each["cgroup"]}
    before = lab.cgroups([*paths.values()], COUNTING)
    status, found = why(lab, "--interval", "3")
    after = lab.cgroups([*paths.values()], COUNTING)
    by_name = {(each["name"], each["code"]): each for each in found}

    worker = by_name["shop-worker-1", "cpu-throttled"]
    assert status == 2
    said = re.search(r"throttled in (\d+)% of its periods by a limit of 0.05 CPUs", worker["summary"])
    assert said is not None
    # A period that the emulator has slept through is none in which it wanted to run.
    assert int(said[1]) >= 90
    assert by_name["hostnet", "shares-host"]["severity"] == "info"
    sick = [each for each in found if each["severity"] != "info"]
    # That one is told for ten minutes.
    rest = {(each["name"], each["summary"]) for each in sick if each["code"] not in SLOW}
    assert rest <= {("stopped", "ended with exit code 3")}
    # The emulator is slow: even a health check may need more than its limit here, while it runs.
    for each in sick:
        path = paths.get(each["target"])
        if path is not None:
            assert counted(after[path], each["code"]) > counted(before[path], each["code"])


def test_a_throttled_loop(lab: Lab) -> None:
    with running(lab, "why-loop", LOOP, "--cpus 0.1"):
        found = of(lab, "why-loop")

    assert "by a limit of 0.1 CPUs" in found["cpu-throttled"]["summary"]
    assert "its own limit of 0.1 CPUs holds it back" in found["cpu-starved"]["evidence"]


def test_a_loop_throttled_by_the_limit_of_its_slice(lab: Lab) -> None:
    lab.ssh("systemctl set-property --runtime why.slice CPUQuota=10%")
    with running(lab, "why-sliced", LOOP, "--cgroup-parent why.slice"):
        found = of(lab, "why-sliced")

    assert "by the limit of /why.slice, 0.1 CPUs" in found["cpu-throttled"]["summary"]


def test_a_hog_that_is_killed_for_memory(lab: Lab) -> None:
    # Its first process lives on.
    with running(lab, "why-hog", f"while :; do ( {HOG} ); sleep 1; done".replace("$", "\\$"), "--memory 24m"):

        def killed() -> bool:
            return "oom-killed" in of(lab, "why-hog")

        until(killed, "the kernel has killed it", PATIENCE_S)
        found = of(lab, "why-hog")

    assert "limit 24.0M" in found["oom-killed"]["evidence"]


def test_a_crash_loop(lab: Lab) -> None:
    found: Findings = {}

    def looped() -> bool:
        found.update(of(lab, "why-crash"))
        return "restart-loop" in found

    with running(lab, "why-crash", "exit 3", "--restart always"):
        until(looped, "it was started again and again", PATIENCE_S)

    assert found["restart-loop"]["severity"] == "critical"


def test_a_writer_that_stalls(lab: Lab) -> None:
    device = lab.ssh("findmnt -no MAJ:MIN /")
    with running(lab, "why-writer", WRITE):
        # Docker leaves out such a limit here: the host's own cgroup has none.
        scope = f"system.slice/docker-{lab.ssh('docker inspect -f {{.Id}} why-writer')}.scope"
        lab.ssh(f"echo '{device} wbps=1048576' > /sys/fs/cgroup/{scope}/io.max")
        found = of(lab, "why-writer")

    assert "io-stalled" in found
    assert "most of the disk, of all containers: itself" in found["io-stalled"]["evidence"]


def test_tasks_near_the_limit(lab: Lab) -> None:
    with running(lab, "why-pids", FORK, "--pids-limit 20"):
        assert of(lab, "why-pids")["pids-near-limit"]["summary"] == "20 of 20 tasks"


@pytest.mark.parametrize("name", ["frozen", "adhoc", "books-api"])
def test_who_is_idle_is_well(lab: Lab, name: str) -> None:
    assert of(lab, name) == {}
