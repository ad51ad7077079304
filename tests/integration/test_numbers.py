"""The numbers of real containers against the kernel's own files and against what the containers were told to do."""

from __future__ import annotations

import csv
import http.server
import io
import json
import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.conftest import GATEWAY, SPIN, until
from topcon.kernel.mount import read_hierarchies

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.conftest import Dockerd, Program

MEGABYTE = 1_000_000


def containers(topcon: Program, *arguments: str) -> dict[str, dict[str, Any]]:
    shown = json.loads(topcon.run("ps", "--json", *arguments).stdout)
    return {container["name"]: container for pod in shown["pods"] for container in pod["containers"]}


def test_a_busy_container_under_half_a_cpu(dockerd: Dockerd, topcon: Program, names: Callable[[str], str]) -> None:
    name = names("busy")
    dockerd.run(name, SPIN, nano_cpus=500_000_000)
    time.sleep(1)

    cpu = containers(topcon, "--interval", "3")[name]["cpu"]

    assert 0.45 <= cpu["cores"] <= 0.55
    assert cpu["throttled_share"] > 0.5
    assert cpu["limit_cores"] == 0.5


def test_memory_is_what_the_kernel_says_to_the_byte(
    dockerd: Dockerd, topcon: Program, names: Callable[[str], str]
) -> None:
    name = names("still")
    dockerd.run(name, mem_limit="64m")
    time.sleep(1)

    for _ in range(5):
        before = _memory_now(dockerd, name)
        memory = containers(topcon, "--interval", "0.1")[name]["memory"]
        if _memory_now(dockerd, name) == before:
            break
    else:
        pytest.fail("its memory did not stand still for the length of a command")

    assert {key: memory[key] for key in before} == before
    assert memory["limit_bytes"] == 64 << 20


def _memory_now(dockerd: Dockerd, name: str) -> dict[str, int]:
    pid = dockerd.state(name)["Pid"]
    hierarchies = read_hierarchies("/proc", "/sys/fs/cgroup")
    paths = {line.split(":")[1]: line.split(":")[2] for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines()}
    if "memory" in hierarchies.v1:
        directory = Path(hierarchies.v1["memory"] + paths["memory"])
        files = (
            "memory.usage_in_bytes",
            "memory.max_usage_in_bytes",
            "total_rss",
            "total_cache",
            "total_inactive_file",
        )
    else:
        directory = Path(f"{hierarchies.v2}{paths['']}")
        files = ("memory.current", "memory.peak", "anon", "file", "inactive_file")
    stat = dict(line.split() for line in (directory / "memory.stat").read_text().splitlines())
    current, peak = (int((directory / file).read_text()) for file in files[:2])
    anon, cache, inactive_file = (int(stat[key]) for key in files[2:])
    return {
        "current_bytes": current,
        "peak_bytes": peak,
        "anon_bytes": anon,
        "file_bytes": cache,
        "working_set_bytes": max(current - inactive_file, 0),
    }


class _TenMegabytes(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(10 * MEGABYTE))
        self.end_headers()
        self.wfile.write(os.urandom(10 * MEGABYTE))

    def log_message(self, *_: object) -> None:
        pass


def test_a_transfer_of_ten_megabytes(dockerd: Dockerd, topcon: Program, names: Callable[[str], str]) -> None:
    name = names("downloader")
    server = http.server.ThreadingHTTPServer((GATEWAY, 0), _TenMegabytes)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://{GATEWAY}:{server.server_address[1]}/"
    try:
        dockerd.run(name, ["sh", "-c", f"sleep 3; wget -q -O /dev/null {url}; echo > /tmp/done; sleep 1000"])
        before = containers(topcon, "--interval", "0.1")[name]["network"]["received_bytes"]
        done = Path(f"/proc/{dockerd.state(name)['Pid']}/root/tmp/done")
        until(done.exists, "the transfer ends")

        after = containers(topcon, "--interval", "0.1")[name]["network"]["received_bytes"]
    finally:
        server.shutdown()
        server.server_close()

    assert after - before == pytest.approx(10 * MEGABYTE, rel=0.02)


def test_a_compose_project_is_one_pod(dockerd: Dockerd, topcon: Program, names: Callable[[str], str]) -> None:
    project = names("project")
    services = [names("web"), names("worker"), names("db")]
    for service in services:
        labels = {"com.docker.compose.project": project, "com.docker.compose.service": service}
        dockerd.run(service, labels=labels)

    shown = json.loads(topcon.run("ps", "--json", "--filter", project).stdout)

    (pod,) = shown["pods"]
    assert (pod["kind"], pod["name"], pod["key"]) == ("compose", project, f"compose:{project}")
    assert sorted(container["name"] for container in pod["containers"]) == sorted(services)


def test_a_shared_network_is_counted_once(dockerd: Dockerd, topcon: Program, names: Callable[[str], str]) -> None:
    owner, guest = names("owner"), names("guest")
    dockerd.run(owner)
    dockerd.run(
        guest,
        ["sh", "-c", f"while :; do wget -q -O /dev/null http://{GATEWAY}:9/; sleep 0.2; done"],
        network_mode=f"container:{owner}",
    )
    time.sleep(2)

    shown = json.loads(topcon.run("ps", "--json", "--filter", owner).stdout)
    (pod,) = shown["pods"]
    sent = {container["name"]: container["network"]["transmitted_bytes"] for container in pod["containers"]}
    assert (pod["kind"], sorted(sent)) == ("namespace", sorted([owner, guest]))
    assert sent[owner] == sent[guest] > 0

    lines = list(csv.DictReader(io.StringIO(topcon.run("ps", "--csv", "--filter", owner).stdout)))
    assert [line["pod"] for line in lines] == [owner, owner]


def test_a_container_on_the_hosts_namespaces_says_which(
    dockerd: Dockerd, topcon: Program, names: Callable[[str], str]
) -> None:
    name = names("hostly")
    dockerd.run(name, network_mode="host", pid_mode="host")

    container = containers(topcon)[name]

    assert container["network"] is None
    assert {"net", "pid"} <= set(container["shared_with_host"])
    assert "mnt" not in container["shared_with_host"]


def test_stopped_containers_show_their_exit_code(
    dockerd: Dockerd, topcon: Program, names: Callable[[str], str]
) -> None:
    name = names("failed")
    dockerd.run(name, ["sh", "-c", "exit 3"])
    until(lambda: dockerd.state(name)["Status"] == "exited", "the container ends")

    container = containers(topcon)[name]

    assert (container["state"], container["exit_code"], container["pid"]) == ("exited", 3, None)
    assert container["memory"]["current_bytes"] is None


def test_a_custom_cgroup_parent_is_found_and_named(
    dockerd: Dockerd, topcon: Program, names: Callable[[str], str]
) -> None:
    name = names("parented")
    container_id = dockerd.run(name, cgroup_parent="/topcon-test")

    container = containers(topcon)[name]

    assert container["cgroup"] == f"/topcon-test/{container_id}"
    assert container["key"] == f"docker:{container_id}"
    assert container["memory"]["current_bytes"] > 0


def test_the_same_as_csv(dockerd: Dockerd, topcon: Program, names: Callable[[str], str]) -> None:
    name = names("csv")
    container_id = dockerd.run(name)

    lines = list(csv.DictReader(io.StringIO(topcon.run("ps", "--csv", "--filter", name).stdout)))

    assert [(line["name"], line["id"], line["state"]) for line in lines] == [(name, container_id, "running")]
    assert int(lines[0]["memory.current_bytes"]) > 0
