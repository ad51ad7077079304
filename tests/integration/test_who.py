"""From what the kernel and Docker call something to the container of a real daemon."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.conftest import GATEWAY, IMAGE
from tests.integration.machine import until
from topcon.kernel.mount import parse_mountinfo, read_hierarchies
from topcon.kernel.who import overlay_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.conftest import Dockerd, Program

SERVE = ["sh", "-c", "httpd -f -p 80"]
CONNECT = ["sh", "-c", "sleep 100000 | nc {address} 80"]
HOG = ["sh", "-c", "x=a; while :; do x=$x$x; done"]


class Who:
    """Asks topcon, as a person would."""

    def __init__(self, topcon: Program) -> None:
        self._topcon = topcon

    def ask(self, thing: str, status: int = 0) -> list[dict[str, Any]]:
        done = self._topcon.run("who", "--json", thing, check=False)
        assert done.returncode == status, done.stderr
        answers: list[dict[str, Any]] = json.loads(done.stdout)["answers"]
        return answers

    def first(self, thing: str) -> tuple[str | None, int | None]:
        answer = self.ask(thing)[0]
        return answer["id"], answer["pid"]


@pytest.fixture
def who(topcon: Program) -> Who:
    return Who(topcon)


@pytest.fixture
def web(dockerd: Dockerd, names: Callable[[str], str]) -> str:
    """A web server that publishes its port on the loopback."""
    api = dockerd.api
    host = api.create_host_config(port_bindings={80: ("127.0.0.1", None)})
    container = str(api.create_container(IMAGE, SERVE, name=names("web"), ports=[80], host_config=host)["Id"])
    api.start(container)
    until(lambda: ":0050 " in Path(f"/proc/{pid_of(dockerd, container)}/net/tcp6").read_text(), "it serves")
    return container


def pid_of(dockerd: Dockerd, container: str) -> int:
    return int(dockerd.state(container)["Pid"])


def test_a_pid_is_found_outside_and_inside(dockerd: Dockerd, who: Who, web: str) -> None:
    pid = pid_of(dockerd, web)

    assert who.first(f"pid:{pid}") == (web, pid)
    assert (web, pid) in [(answer["id"], answer["pid"]) for answer in who.ask("pid:1")]
    # Processes of the host that work for it: its shim is the parent.
    shim = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    assert who.first(f"pid:{shim}") == (web, shim)


def test_a_port_is_found_where_it_is_published_and_where_it_is_served(dockerd: Dockerd, who: Who, web: str) -> None:
    (binding,) = dockerd.api.port(web, 80)
    port, pid = binding["HostPort"], pid_of(dockerd, web)

    published, proxy = who.ask(f"tcp/{port}")
    assert (published["id"], published["pid"]) == (web, None)
    assert (proxy["container"], proxy["process"]) == (None, "docker-proxy")
    assert who.first(f"127.0.0.1:{port}")[0] == web
    assert (web, pid) in [(answer["id"], answer["pid"]) for answer in who.ask(":80")]


def test_an_address_and_both_ends_of_a_pair_are_those_of_the_container(dockerd: Dockerd, who: Who, web: str) -> None:
    pid = pid_of(dockerd, web)
    (network,) = dockerd.api.inspect_container(web)["NetworkSettings"]["Networks"].values()
    told = subprocess.run(
        ["nsenter", f"--target={pid}", "--net", "ip", "-json", "link", "show", "eth0"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    (link,) = json.loads(told)
    (end,) = [
        each.parent.name
        for each in Path("/sys/class/net").glob("*/ifindex")
        if int(each.read_text()) == link["link_index"]
    ]

    assert who.first(network["IPAddress"])[0] == web
    assert who.first(end)[0] == web
    assert who.first(f"if{link['link_index']}")[0] == web
    assert who.first(f"eth0@if{link['link_index']}")[0] == web
    (gateway,) = who.ask(GATEWAY)
    assert gateway["container"] is None


def test_a_connection_is_found_by_its_other_end(
    dockerd: Dockerd, who: Who, web: str, names: Callable[[str], str]
) -> None:
    (network,) = dockerd.api.inspect_container(web)["NetworkSettings"]["Networks"].values()
    address = network["IPAddress"]
    client = dockerd.run(names("client"), [part.format(address=address) for part in CONNECT])

    def ends() -> dict[str, str]:
        found = {answer["id"]: answer["why"] for answer in who.ask(f"{address}:80") if "connection" in answer["why"]}
        return found if len(found) > 1 else {}

    found = until(ends, "both ends are told")

    assert found.keys() == {web, client}
    assert "to it from" in found[client]
    assert "at it with" in found[web]


def test_a_cgroup_and_a_layer_are_those_of_the_container(dockerd: Dockerd, who: Who, web: str) -> None:
    pid = pid_of(dockerd, web)
    hierarchies = read_hierarchies("/proc", "/sys/fs/cgroup")
    top = hierarchies.walked[0]
    (path,) = [each for each in Path(top).rglob(f"*{web}*") if each.is_dir()]
    mounts = parse_mountinfo(Path(f"/proc/{pid}/mountinfo").read_bytes(), "mountinfo")
    root = next((overlay for mount in mounts if mount.point == "/" and (overlay := overlay_of(mount))), None)

    assert who.first(f"cgroup:{path.stat().st_ino}")[0] == web
    assert who.first(str(path))[0] == web
    assert who.first(f"{path}/cgroup.procs")[0] == web
    assert who.first(f"net:[{Path(f'/proc/{pid}/ns/net').stat().st_ino}]")[0] == web
    if root is not None:
        assert root.upper is not None
        assert who.first(root.upper) == (web, None)
        assert who.first(f"{root.upper}/etc/hosts") == (web, None)
        assert web in {answer["id"] for answer in who.ask(root.lowers[0])}


def test_a_line_of_the_kernel_is_that_of_whom_it_killed(
    dockerd: Dockerd, who: Who, names: Callable[[str], str]
) -> None:
    hog = dockerd.run(names("hog"), HOG, mem_limit="16m")

    def line() -> str:
        log = subprocess.run(["dmesg"], check=False, capture_output=True, text=True).stdout
        return next((each for each in log.splitlines() if "task_memcg=" in each and hog in each), "")

    if subprocess.run(["dmesg"], check=False, capture_output=True).returncode:
        pytest.skip("needs the kernel's log")
    written = until(line, "the kernel has killed it")

    (answer,) = who.ask(written)
    assert answer["id"] == hog
    assert "was killed for memory" in answer["why"]


def test_without_root_the_container_is_found_and_what_is_not_seen_is_said(
    dockerd: Dockerd, web: str, as_nobody: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    done = as_nobody("who", "--json", "tcp/80")

    assert done.returncode == 0, done.stderr
    assert (web, None) in [(answer["id"], answer["pid"]) for answer in json.loads(done.stdout)["answers"]]
    assert "sudo topcon who" in done.stderr
    pid = pid_of(dockerd, web)
    assert (web, pid) in [
        (answer["id"], answer["pid"]) for answer in json.loads(as_nobody("who", "--json", f"{pid}").stdout)["answers"]
    ]


def test_what_is_nobodys_is_told_in_one_line(topcon: Program, who: Who) -> None:
    assert who.ask("veth-nobody", status=1) == []
    done = topcon.run("who", "veth-nobody", check=False)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert "nothing found; looked at" in done.stderr
