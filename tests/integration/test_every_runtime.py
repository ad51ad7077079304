"""Docker, Podman and containerd at once: all is named and grouped, with the daemons, without, and without any right."""

from __future__ import annotations

import json
import subprocess
import uuid
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from tests.integration.conftest import Program
from tests.integration.containerd_daemon import MINUTES, OBEYS, Kubelet
from tests.integration.machine import frozen, until
from tests.integration.podman_service import IMAGE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.integration.conftest import Dockerd, Terminal
    from tests.integration.containerd_daemon import ContainerdDaemon, Pod
    from tests.integration.podman_service import PodmanService

TRAP = ["sh", "-c", "trap 'exit 7' TERM; while :; do sleep 0.1; done"]
NUMBERS = (("cpu", "usage_seconds"), ("memory", "current_bytes"), ("pids", "current"))


class Seen(NamedTuple):
    """A container as topcon shows it."""

    name: str
    runtime: str
    pod: str
    kind: str
    role: str = "workload"


@dataclass
class Machine:
    """The daemons, and what runs under them for as long as the tests of this module do."""

    dockerd: Dockerd
    podman: PodmanService
    containerd: ContainerdDaemon
    expected: dict[str, Seen] = field(default_factory=dict)
    """By id."""

    @property
    def docker_pids(self) -> tuple[int, ...]:
        """Docker's own containerd answers for it no longer, so it goes first."""
        assert self.dockerd.process is not None
        own = Path(self.dockerd.folder / "exec/containerd/containerd.pid").read_text()
        return self.dockerd.process.pid, int(own)

    @property
    def podman_pids(self) -> tuple[int, ...]:
        assert self.podman.process is not None
        return (self.podman.process.pid,)

    @property
    def containerd_pids(self) -> tuple[int, ...]:
        assert self.containerd.process is not None
        return (self.containerd.process.pid,)

    def frozen(self) -> AbstractContextManager[None]:
        return frozen(*self.docker_pids, *self.podman_pids, *self.containerd_pids)

    def fill(self) -> None:
        self._fill_docker()
        self._fill_podman()
        self._fill_containerd()

    def _fill_docker(self) -> None:
        owner = self.dockerd.run("harbour")
        guest = self.dockerd.run("pilot", network_mode="container:harbour")
        alone = self.dockerd.run("lighthouse")
        self.expected |= {
            owner: Seen("harbour", "docker", "harbour", "namespace"),
            guest: Seen("pilot", "docker", "harbour", "namespace"),
            alone: Seen("lighthouse", "docker", "lighthouse", "single"),
        }

    def _fill_podman(self) -> None:
        pod = self.podman.create_pod("library")
        for name in ("reader", "lender"):
            container = self.podman.run("run", "--detach", "--pod=library", f"--name={name}", IMAGE, "sleep", "100000")
            self.expected[container] = Seen(name, "podman", "library", "podman")
        infra = self.podman.run("pod", "inspect", "--format={{.InfraContainerID}}", "library")
        self.expected[infra] = Seen(f"{pod[:12]}-infra", "podman", "library", "podman", "sandbox")
        hermit = self.podman.run("run", "--detach", "--network=none", "--name=hermit", IMAGE, "sleep", "100000")
        self.expected[hermit] = Seen("hermit", "podman", "hermit", "single")

    def _fill_containerd(self) -> None:
        pod = self.containerd.pod("market-7d9c5b6f4-x2x9k")
        self.expected[pod.id] = Seen(pod.name, "containerd", pod.name, "kubernetes", "sandbox")
        for name in ("stall", "scales"):
            self.expected[pod.start(name, MINUTES)] = Seen(name, "containerd", pod.name, "kubernetes")
        self.containerd.run("ledger", MINUTES)
        self.expected["default/ledger"] = Seen("ledger", "containerd", "ledger", "single")

    def clear(self) -> None:
        self.dockerd.remove("pilot", "harbour", "lighthouse")
        self.podman.run("pod", "rm", "--force", "--time=0", "library", check=False)
        self.podman.run("rm", "--force", "--time=0", "hermit", check=False)
        self.containerd.remove_pods()
        self.containerd.remove_others()

    def shown(self, text: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        """Of what ``topcon ps --json`` has written, what `fill` has made, with its pods, under whatever names."""
        pairs = [(pod, container) for pod in json.loads(text)["pods"] for container in pod["containers"]]
        pids = {container["pid"] for _, container in pairs if container["id"] in self.expected}
        return [
            (pod, container)
            for pod, container in pairs
            if container["pid"] in pids or any(name in container["id"] for name in self.expected)
        ]


@pytest.fixture(scope="module")
def machine(dockerd: Dockerd, podman_service: PodmanService, containerd: ContainerdDaemon) -> Iterator[Machine]:
    machine = Machine(dockerd, podman_service, containerd)
    try:
        machine.fill()
        yield machine
    finally:
        machine.clear()


@pytest.fixture
def topcon(tmp_path: Path, machine: Machine) -> Program:
    sockets = {
        "docker": machine.dockerd.socket,
        "podman": machine.podman.socket,
        "containerd": machine.containerd.socket,
    }
    return Program(tmp_path, **sockets)


def seen(shown: list[tuple[dict[str, Any], dict[str, Any]]]) -> list[tuple[str, Seen]]:
    return sorted(
        (each["id"], Seen(each["name"], each["runtime"], pod["name"], pod["kind"], each["role"])) for pod, each in shown
    )


def lacking(shown: list[tuple[dict[str, Any], dict[str, Any]]]) -> list[str]:
    """Numbers that are not known."""
    return [
        f"{container['name']}: {section}.{key}"
        for _, container in shown
        for section, key in NUMBERS
        if container[section][key] is None
    ]


def test_all_are_named_and_grouped_by_their_runtimes(machine: Machine, topcon: Program) -> None:
    shown = machine.shown(topcon.run("ps", "--json").stdout)

    assert seen(shown) == sorted(machine.expected.items())
    assert {container["source"] for _, container in shown} == {"api"}
    assert {container["state"] for _, container in shown} == {"running"}
    assert lacking(shown) == []


def test_what_two_runtimes_see_is_shown_once(machine: Machine, tmp_path: Path) -> None:
    beneath = f"{machine.dockerd.folder}/exec/containerd/containerd.sock"
    topcon = Program(tmp_path, docker=machine.dockerd.socket, containerd=beneath)

    shown = machine.shown(topcon.run("ps", "--json").stdout)

    dockers = {name for name, expected in machine.expected.items() if expected.runtime == "docker"}
    told = [(pod, container) for pod, container in shown if container["source"] == "api"]
    assert {container["id"] for _, container in told} == dockers
    assert seen(told) == sorted((name, machine.expected[name]) for name in dockers)


def test_all_are_named_and_grouped_while_no_daemon_answers(machine: Machine, topcon: Program) -> None:
    with machine.frozen():
        shown = machine.shown(topcon.run("ps", "--json").stdout)

    assert seen(shown) == sorted(machine.expected.items())
    assert {container["source"] for _, container in shown} == {"bundle"}
    assert {container["state"] for _, container in shown} == {"running"}
    assert lacking(shown) == []


def test_all_are_named_and_grouped_while_podmans_service_is_not_there(machine: Machine, topcon: Program) -> None:
    machine.podman.end()
    try:
        shown = machine.shown(topcon.run("ps", "--json").stdout)
    finally:
        machine.podman.start()

    assert seen(shown) == sorted(machine.expected.items())
    sources = {(container["runtime"], container["source"]) for _, container in shown}
    assert sources == {("docker", "api"), ("podman", "bundle"), ("containerd", "api")}


def test_without_any_right_all_are_grouped_and_some_are_named(
    machine: Machine, topcon: Program, as_nobody: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    done = as_nobody("ps", "--json", *topcon.arguments)

    assert done.returncode == 0, done.stderr
    shown = machine.shown(done.stdout)
    assert sorted((name, *each[:2], each.kind, each.role) for name, each in seen(shown)) == sorted(
        (name, _name_for_all(name, each), each.runtime, each.kind, each.role) for name, each in machine.expected.items()
    )
    mates = {frozenset(container["id"] for other, container in shown if other is pod) for pod, _ in shown}
    assert mates == {
        frozenset(name for name, each in machine.expected.items() if each.pod == pod)
        for pod in {each.pod for each in machine.expected.values()}
    }
    assert lacking(shown) == []
    problems = {problem["source"]: problem["message"] for problem in json.loads(done.stdout)["problems"]}
    for runtime in ("docker", "podman", "containerd"):
        assert "permission denied" in problems[runtime]


def _name_for_all(container: str, expected: Seen) -> str:
    """What everybody can see: conmon's command line names Podman's, and ctr's are where their cgroup says."""
    return expected.name if expected.runtime == "podman" or "/" in container else container[:12]


class Kind(NamedTuple):
    """A kind of container that can be stopped: how it is made, and what its runtime says of it."""

    start: Callable[[Machine, str], Pod | None]
    pid: Callable[[Machine, str], int | None]
    """Of its first process; None if it does not run."""
    remove: Callable[[Target], object]
    daemons: Callable[[Machine], tuple[int, ...]]
    """The pids of what has to answer for it."""
    runtime: str


def _start_in_docker(machine: Machine, name: str) -> None:
    machine.dockerd.run(name, TRAP)


def _pid_in_docker(machine: Machine, name: str) -> int | None:
    return machine.dockerd.state(name)["Pid"] or None


def _start_in_podman(machine: Machine, name: str) -> None:
    machine.podman.run("run", "--detach", "--network=none", f"--name={name}", IMAGE, *TRAP)


def _pid_in_podman(machine: Machine, name: str) -> int | None:
    return int(machine.podman.run("inspect", "--format={{.State.Pid}}", name)) or None


def _start_in_pod(machine: Machine, name: str) -> Pod:
    pod = machine.containerd.pod(f"pod-{uuid.uuid4().hex[:6]}")
    pod.start(name, OBEYS)
    return pod


def _pid_in_pod(machine: Machine, name: str) -> int | None:
    called_so = f'labels."io.kubernetes.container.name"=={name}'
    ids = machine.containerd.ctr("-n", "k8s.io", "containers", "ls", "-q", called_so).split()
    return next((pid for each in ids if (pid := _pid_of_task(machine, "k8s.io", each))), None)


def _start_by_ctr(machine: Machine, name: str) -> None:
    machine.containerd.run(name, OBEYS)


def _pid_by_ctr(machine: Machine, name: str) -> int | None:
    return _pid_of_task(machine, "default", name)


def _pid_of_task(machine: Machine, namespace: str, container: str) -> int | None:
    lines = machine.containerd.ctr("-n", namespace, "tasks", "ls").splitlines()[1:]
    tasks = {task: (int(pid), status) for task, pid, status in map(str.split, lines)}
    pid, status = tasks.get(container, (0, "STOPPED"))
    return pid if status == "RUNNING" else None


def _remove_from_docker(target: Target) -> None:
    target.machine.dockerd.remove(target.name)


def _remove_from_podman(target: Target) -> None:
    target.machine.podman.run("rm", "--force", "--time=0", target.name)


def _remove_pod(target: Target) -> None:
    assert target.pod is not None
    target.machine.containerd.remove_pod(target.pod.id)


def _remove_by_ctr(target: Target) -> None:
    target.machine.containerd.remove(target.name)


def _dockers(machine: Machine) -> tuple[int, ...]:
    return machine.docker_pids


def _podmans(machine: Machine) -> tuple[int, ...]:
    return machine.podman_pids


def _containerds(machine: Machine) -> tuple[int, ...]:
    return machine.containerd_pids


KINDS = {
    "docker": Kind(_start_in_docker, _pid_in_docker, _remove_from_docker, _dockers, "docker"),
    "podman": Kind(_start_in_podman, _pid_in_podman, _remove_from_podman, _podmans, "podman"),
    "cri": Kind(_start_in_pod, _pid_in_pod, _remove_pod, _containerds, "containerd"),
    "ctr": Kind(_start_by_ctr, _pid_by_ctr, _remove_by_ctr, _containerds, "containerd"),
}


@dataclass(frozen=True)
class Target:
    """A container that an action is tried on."""

    machine: Machine
    kind: Kind
    name: str
    pod: Pod | None

    def pid(self) -> int | None:
        return self.kind.pid(self.machine, self.name)

    def wait_stopped(self) -> None:
        until(lambda: self.pid() is None, f"{self.name} ends")

    def wait_restarted(self, before: int | None) -> None:
        until(lambda: self.pid() not in {None, before}, f"{self.name} runs again")

    def kept_up(self) -> AbstractContextManager[None]:
        """Who starts a pod's container again."""
        return Kubelet(self.pod) if self.pod else nullcontext()

    def frozen(self) -> AbstractContextManager[None]:
        return frozen(*self.kind.daemons(self.machine))


@pytest.fixture(params=KINDS)
def target(request: pytest.FixtureRequest, machine: Machine) -> Iterator[Target]:
    name, kind = f"buoy-{uuid.uuid4().hex[:6]}", KINDS[request.param]
    target = Target(machine, kind, name, kind.start(machine, name))
    try:
        assert target.pid()
        yield target
    finally:
        kind.remove(target)


def test_stopped_by_command(topcon: Program, target: Target) -> None:
    assert topcon.run("stop", target.name, "--yes").stdout.startswith(f"stopped {target.name} in ")

    target.wait_stopped()


def test_restarted_by_command(topcon: Program, target: Target) -> None:
    before = target.pid()

    with target.kept_up():
        assert topcon.run("restart", target.name, "--yes").stdout.startswith(f"restarted {target.name} in ")

        target.wait_restarted(before)


def press(terminal: Terminal, key: str, verb: str, name: str) -> None:
    """Do something to the only container whose name is shown."""
    terminal.start("--filter", name)
    # The name stands in the header too.
    terminal.wait_for(name, " 1 of ")
    terminal.press("End")
    terminal.wait_for(f"{key} {verb}")
    terminal.press(key)
    terminal.wait_for(f"{verb.capitalize()} {name}?")
    terminal.press("y")


def test_stopped_by_key(terminal: Terminal, target: Target) -> None:
    press(terminal, "S", "stop", target.name)

    terminal.wait_for(f"stopped {target.name} in ")
    target.wait_stopped()
    assert "through the kernel" not in terminal.text()


def test_restarted_by_key(terminal: Terminal, target: Target) -> None:
    before = target.pid()

    with target.kept_up():
        press(terminal, "R", "restart", target.name)

        terminal.wait_for(f"restarted {target.name} in ")
        target.wait_restarted(before)


def test_stopped_through_the_kernel_while_its_daemon_is_frozen(topcon: Program, target: Target) -> None:
    before = target.pid()
    with target.frozen():
        refused = topcon.run("restart", target.name, "--yes", check=False)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert f"cannot restart {target.name}: {target.kind.runtime} does not answer" in refused.stderr
        assert Path(f"/proc/{before}").exists()

        stopped = topcon.run("stop", target.name, "--yes").stdout
        assert stopped.startswith(f"stopped {target.name} in ")
        assert stopped.endswith(" s, through the kernel\n")
        assert not Path(f"/proc/{before}").exists()

    target.wait_stopped()


@contextmanager
def adrift() -> Iterator[subprocess.Popen[bytes]]:
    """A process in namespaces of its own, that no runtime and no cgroup knows of."""
    script = "echo adrift > /proc/sys/kernel/hostname; exec sleep 100000"
    unshare = ["unshare", "--fork", "--pid", "--kill-child", "--mount-proc", "--net", "--uts", "--ipc"]
    with subprocess.Popen([*unshare, "sh", "-c", script]) as process:
        try:
            yield process
        finally:
            process.kill()


def adrift_in(text: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    pairs = [(pod, container) for pod in json.loads(text)["pods"] for container in pod["containers"]]
    return [(pod, container) for pod, container in pairs if "adrift" in {container["name"], pod["name"]}]


def test_what_no_runtime_knows_is_shown_by_its_namespaces_until_it_ends(topcon: Program, terminal: Terminal) -> None:
    # The filter stands on the screen too, so it is not the whole name.
    terminal.start("--filter", "adrif")
    with adrift() as process:
        ((pod, container),) = until(lambda: adrift_in(topcon.run("ps", "--json").stdout), "it is shown")
        terminal.wait_for("adrift")
        child = int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text())
        namespaces = {kind: Path(f"/proc/{child}/ns/{kind}").stat().st_ino for kind in ("pid", "net", "uts", "ipc")}

    assert (pod["kind"], pod["name"], len(pod["containers"])) == ("single", "adrift", 1)
    assert [container[key] for key in ("name", "runtime", "source", "state")] == [
        *("adrift", "none", "namespace", "running"),
    ]
    assert container["pid"] == child
    assert {kind: container["namespaces"][kind] for kind in namespaces} == namespaces
    assert container["key"] == f"none:{namespaces['pid']}"
    assert "user" in container["shared_with_host"]
    terminal.wait_for("1 gone")
    terminal.press("_")
    terminal.wait_for("nothing matches")
    assert adrift_in(topcon.run("ps", "--json").stdout) == []
