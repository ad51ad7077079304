"""On a pure version 2 host with all runtimes: all is found and named, with daemons, without, and without any right."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.machine import until
from tests.lab.conftest import AS_NOBODY, DAEMONS, PATIENCE_S

if TYPE_CHECKING:
    from tests.lab.conftest import Files, Json, Lab

LIVE = {"running", "paused"}
SERVICE = re.compile(r"/system\.slice/[^/]+\.service(/|$)")
SLACK_BYTES = 4 << 20
"""What the kernel charges to a pod's cgroup itself, for keeping its children."""


@dataclass(frozen=True)
class Expected:
    """A container that the workload starts, and how it must be shown."""

    name: str
    runtime: str
    pod: str
    kind: str = "single"
    role: str = "workload"
    state: str = "running"
    without_daemon: str | None = "bundle"
    """Where its name is found while no daemon answers; None where nothing is left of it then."""
    name_for_all: bool = True
    """Whether a user without any right can find its name."""


CHECKOUT, NODE_AGENT = "checkout-7d9c5b6f4-x2x9k", "node-agent-zq4wd"
EXPECTED = (
    Expected("shop-web-1", "docker", "shop", "compose", name_for_all=False),
    Expected("shop-worker-1", "docker", "shop", "compose", name_for_all=False),
    Expected("hostnet", "docker", "hostnet", name_for_all=False),
    Expected("frozen", "docker", "frozen", state="paused", name_for_all=False),
    Expected("stopped", "docker", "stopped", state="exited", without_daemon=None, name_for_all=False),
    Expected("nested", "docker", "nested", name_for_all=False),
    Expected("inner", "docker", "nested", name_for_all=False),
    Expected("INFRA", "podman", "books", "podman", role="sandbox"),
    Expected("books-api", "podman", "books", "podman"),
    Expected("books-cache", "podman", "books", "podman"),
    Expected("alone", "podman", "alone"),
    Expected("quad", "podman", "quad"),
    Expected(CHECKOUT, "containerd", CHECKOUT, "kubernetes", role="sandbox", name_for_all=False),
    Expected("web", "containerd", CHECKOUT, "kubernetes"),
    Expected("sidecar", "containerd", CHECKOUT, "kubernetes"),
    Expected(NODE_AGENT, "containerd", NODE_AGENT, "kubernetes", role="sandbox", name_for_all=False),
    Expected("agent", "containerd", NODE_AGENT, "kubernetes"),
    Expected("adhoc", "containerd", "adhoc"),
    Expected("box", "lxc", "box", without_daemon="cgroup"),
    Expected("nest", "nspawn", "nest", without_daemon="cgroup"),
    Expected("adrift", "none", "adrift", without_daemon="namespace", name_for_all=False),
)
PODS = {
    CHECKOUT: {
        "namespace": "prod",
        "uid": "3206f41c-56e9-4bcd-8240-b314f179e177",
        "qos": "burstable",
        "workload": {"kind": "Deployment", "name": "checkout"},
    },
    NODE_AGENT: {
        "namespace": "kube-system",
        "uid": "0f9d7c52-41a8-4c4c-9c55-2f1c6f0b7a11",
        "qos": "besteffort",
        "workload": {"kind": "DaemonSet", "name": "node-agent"},
    },
}
Shown = dict[str, tuple[dict[str, Any], dict[str, Any]]]


def by_key(shown: Json) -> Shown:
    """Each container with its pod, but for the host's services that have a namespace of their own."""
    return {
        container["key"]: (pod, container)
        for pod in shown["pods"]
        for container in pod["containers"]
        if not (container["runtime"] == "none" and SERVICE.match(container["cgroup"] or ""))
    }


def described(found: Shown) -> list[Expected]:
    return sorted(
        (
            Expected(
                "INFRA" if container["name"].endswith("-infra") else container["name"],
                *(container["runtime"], pod["name"], pod["kind"], container["role"], container["state"]),
            )
            for pod, container in found.values()
        ),
        key=lambda each: (each.runtime, each.name),
    )


def the_same(table: list[Expected]) -> list[Expected]:
    """The table as `described` gives it."""
    found = (Expected(each.name, each.runtime, each.pod, each.kind, each.role, each.state) for each in table)
    return sorted(found, key=lambda each: (each.runtime, each.name))


def live(shown: Json) -> Shown:
    return {key: pair for key, pair in by_key(shown).items() if pair[1]["state"] in LIVE}


@pytest.fixture(scope="module")
def shown(lab: Lab) -> Json:
    """What root sees while all daemons answer: Podman's is only started by the question, which takes its time."""

    def without_problems() -> Json | None:
        shown = lab.ps()
        return None if shown["problems"] else shown

    return dict(until(without_problems, "no runtime has a problem", PATIENCE_S))


def test_all_that_was_started_is_named(shown: Json) -> None:
    assert described(by_key(shown)) == the_same(list(EXPECTED))
    assert shown["host"]["cgroup"] == "v2"


@pytest.mark.parametrize("name", PODS)
def test_pods_of_kubernetes_say_whose_they_are(shown: Json, name: str) -> None:
    (pod,) = [pod for pod in shown["pods"] if pod["name"] == name]

    assert {key: pod[key] for key in PODS[name]} == PODS[name]


def test_what_the_runtimes_say_is_shown(shown: Json) -> None:
    named = {container["name"]: container for _, container in by_key(shown).values() if container["role"] == "workload"}

    assert named["shop-web-1"]["health"] == "healthy"
    assert (named["shop-web-1"]["memory"]["limit_bytes"], named["shop-web-1"]["cpu"]["limit_cores"]) == (64 << 20, 0.25)
    (port,) = named["shop-web-1"]["ports"]
    assert (port["host_ip"], port["host_port"], port["container_port"]) == ("127.0.0.1", 18080, 80)
    assert named["stopped"]["exit_code"] == 3
    assert named["web"]["memory"]["limit_bytes"] == 96 << 20
    assert named["inner"]["outer"] == named["nested"]["key"]
    assert {"net", "pid"} <= set(named["hostnet"]["shared_with_host"])
    assert named["agent"]["network"] is None


def test_each_first_process_is_in_the_containers_own_cgroup(lab: Lab, shown: Json) -> None:
    found = {
        container["pid"]: container["cgroup"] for _, container in live(shown).values() if container["runtime"] != "none"
    }
    files = " ".join(f"/proc/{pid}/cgroup" for pid in found)
    inner = [container["cgroup"] for _, container in live(shown).values() if container["outer"]]

    lines = lab.ssh(f"grep -H ^0:: {files}").splitlines()

    assert len(lines) == len(found) == len(live(shown)) - 1
    for line in lines:
        file, _, path = line.partition(":0::")
        cgroup = found[int(file.split("/")[2])]
        assert f"{path}/".startswith(f"{cgroup}/")
        assert cgroup in inner or not path.startswith(tuple(inner))


def _counters(files: dict[str, str]) -> dict[str, int]:
    """The counters that only grow."""
    io = [dict(pair.split("=") for pair in line.split()[1:]) for line in files["io.stat"].splitlines()]
    cpu = dict(line.split() for line in files["cpu.stat"].splitlines())
    return {
        "usage_usec": int(cpu["usage_usec"]),
        "rbytes": sum(int(device.get("rbytes", 0)) for device in io),
        "wbytes": sum(int(device.get("wbytes", 0)) for device in io),
    }


def _gauges(files: dict[str, str]) -> dict[str, int]:
    return {name: int(files[name]) for name in ("memory.current", "pids.current")}


def _shown_counters(container: dict[str, Any]) -> dict[str, int]:
    return {
        "usage_usec": round(container["cpu"]["usage_seconds"] * 1e6),
        "rbytes": container["io"]["read_bytes"],
        "wbytes": container["io"]["write_bytes"],
    }


def _shown_gauges(container: dict[str, Any]) -> dict[str, int]:
    return {"memory.current": container["memory"]["current_bytes"], "pids.current": container["pids"]["current"]}


def _with_cgroup(shown: Json) -> list[dict[str, Any]]:
    return [container for _, container in live(shown).values() if container["runtime"] != "none"]


def check_numbers(lab: Lab, paths: list[str], prefix: str = "") -> None:
    """Compare with the kernel's files before and after: gauges move both ways, but hardly each time of five."""
    waiting = set(paths)
    for _ in range(5):
        before: Files = lab.cgroups(paths)
        containers = _with_cgroup(lab.ps(prefix=prefix))
        after = lab.cgroups(paths)
        assert {container["cgroup"] for container in containers} == set(paths)
        for container in containers:
            path = container["cgroup"]
            for key, value in _shown_counters(container).items():
                assert _counters(before[path])[key] <= value <= _counters(after[path])[key], (path, key)
            around = zip(_gauges(before[path]).values(), _gauges(after[path]).values(), strict=True)
            if all(
                min(pair) <= value <= max(pair)
                for pair, value in zip(around, _shown_gauges(container).values(), strict=True)
            ):
                waiting.discard(path)
        if not waiting:
            return
    pytest.fail(f"never the kernel's: {waiting}")


def test_pressure_is_what_the_kernel_has_counted(lab: Lab, shown: Json) -> None:
    (path,) = [each["cgroup"] for each in _with_cgroup(shown) if each["name"] == "shop-worker-1"]

    before = lab.cgroups([path])
    now = lab.ps()
    after = lab.cgroups([path])

    (worker,) = [each for each in _with_cgroup(now) if each["cgroup"] == path]
    stalled_usec = worker["pressure"]["cpu"]["some"] * now["interval_s"] * 1e6
    assert 0 < stalled_usec <= _stalled(after[path]) - _stalled(before[path])


def _stalled(files: dict[str, str]) -> int:
    return int(files["cpu.pressure"].split("total=", 1)[1].split()[0])


def test_the_numbers_are_the_kernels(lab: Lab, shown: Json) -> None:
    check_numbers(lab, [container["cgroup"] for container in _with_cgroup(shown)])


def test_containers_add_up_to_their_pod(lab: Lab) -> None:
    pods = [pod for pod in lab.ps()["pods"] if pod["kind"] == "kubernetes"]
    assert len(pods) == len(PODS)
    for pod in pods:
        (parent,) = {container["cgroup"].rpartition("/")[0] for container in pod["containers"]}
        paths = [container["cgroup"] for container in pod["containers"]]

        read = lab.cgroups([parent, *paths])

        sums = {key: sum(_shown_gauges(each)[key] for each in pod["containers"]) for key in _gauges(read[parent])}
        assert sums["pids.current"] == _gauges(read[parent])["pids.current"]
        assert 0 <= _gauges(read[parent])["memory.current"] - sums["memory.current"] < SLACK_BYTES
        for key, value in _counters(read[parent]).items():
            below = sum(_shown_counters(each)[key] for each in pod["containers"])
            assert below <= value, key
            assert value - sum(_counters(read[path])[key] for path in paths) <= value * 0.1 + 100_000, key


def _identities(found: Shown) -> dict[str, tuple[str, str, str, str]]:
    return {
        key: (container["name"], container["runtime"], pod["kind"], pod["name"])
        for key, (pod, container) in found.items()
    }


def test_frozen_daemons_cost_no_name(lab: Lab, shown: Json) -> None:
    with lab.frozen(*DAEMONS):
        without = lab.ps()

    assert _identities(live(without)) == _identities(live(shown))
    sources = {container["name"]: container["source"] for _, container in live(without).values()}
    expected = {each.name: each.without_daemon for each in EXPECTED if each.without_daemon}
    assert {name: source for name, source in sources.items() if name in expected} == {
        name: source for name, source in expected.items() if name != "INFRA"
    }


def test_nobody_sees_the_same_containers(lab: Lab, shown: Json) -> None:
    seen = live(lab.ps(prefix=AS_NOBODY))

    all_of_them = live(shown)
    assert {container["pid"] for _, container in seen.values()} == {
        container["pid"] for _, container in all_of_them.values()
    }
    nameable = {each.name for each in EXPECTED if each.name_for_all}
    for key, (pod, container) in all_of_them.items():
        if container["runtime"] == "none":
            continue
        other_pod, other = seen[key]
        if container["name"] in nameable or container["name"].endswith("-infra"):
            assert other["name"] == container["name"]
        if pod["kind"] in {"kubernetes", "podman"}:
            assert (other_pod["key"], other_pod["qos"]) == (pod["key"], pod["qos"])


def test_nobody_sees_the_same_numbers(lab: Lab, shown: Json) -> None:
    check_numbers(lab, [container["cgroup"] for container in _with_cgroup(shown)], AS_NOBODY)


def test_stopping_needs_no_daemon(lab: Lab) -> None:
    container_id = lab.ssh("docker run -d --network none --name victim lab/busybox")
    folder = f"/sys/fs/cgroup/system.slice/docker-{container_id}.scope"
    try:
        with lab.frozen(*DAEMONS):
            done = lab.topcon("stop", "victim", "--grace", "1", "--yes", check=False)
            left = lab.ssh(f"cat {folder}/pids.current 2>/dev/null || echo 0")
        assert (done.returncode, left) == (0, "0"), done.stderr
        until(
            lambda: lab.ssh("docker inspect -f '{{.State.Status}}' victim") == "exited",
            "dockerd has seen the end",
            PATIENCE_S,
        )
    finally:
        lab.ssh("docker rm --force victim")


def test_a_bare_unshare_is_a_container_of_no_runtime(lab: Lab, shown: Json) -> None:
    ((_, container),) = [pair for pair in by_key(shown).values() if pair[1]["name"] == "adrift"]

    assert (container["runtime"], container["source"]) == ("none", "namespace")
    assert container["key"].startswith("none:")
    assert container["pid"] == int(lab.ssh("pgrep -xf 'sleep 999999'"))
    assert not {"net", "pid", "mnt", "uts", "ipc"} & set(container["shared_with_host"])


JOT = "echo out; echo err >&2; exec sleep 1000"
FOLLOW = """
from contextlib import closing
from topcon.config import Config
from topcon.model.output import Wanted
from topcon.wiring import build_runtimes, build_sampler
from topcon.wiring.inside import build_follow

runtimes = build_runtimes(Config())
with closing(build_sampler(Config(), runtimes)) as sampler:
    # Each look takes no longer than a tenth of a second for names that no runtime gives.
    looks = (sampler.tick().containers.values() for _ in range(100))
    node = next(each for nodes in looks for each in nodes if each.info.name == "jot")
    feed = build_follow(Config(), runtimes)(node, Wanted())
    print(feed.where, sorted((line.is_stderr, line.text) for line in feed.read().lines))
    feed.close()
"""


def test_what_podman_puts_into_the_journal_is_read_without_it(lab: Lab) -> None:
    lab.ssh(f"podman run -d --network none --log-driver journald --name jot docker.io/lab/busybox /bin/sh -c '{JOT}'")
    try:
        with lab.frozen(*DAEMONS):
            followed = lab.ssh(f"/opt/topcon/bin/python -c {shlex.quote(FOLLOW)}")
    finally:
        lab.ssh("podman rm -f -t 0 jot")

    assert followed == "journal [(False, 'out'), (True, 'err')]"
