"""containerd, a real one of the tests' own: pods by the CRI, and containers that ``ctr`` made.

Needs root, containerd with ctr and runc, and busybox (static). The pods are on the host's network, so no CNI is needed.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import platform
import shutil
import signal
import subprocess
import tarfile
import tempfile
import threading
import time
import uuid
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from topcon.errors import ActionFailed, SourceUnavailable
from topcon.model.sample import PodKind, Role, State
from topcon.runtimes import cri, messages
from topcon.runtimes.containerd import Containerd
from topcon.runtimes.crio import connect as connect_to_crio
from topcon.runtimes.grpc_channel import GrpcChannel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from topcon.model.sample import ContainerId, ContainerInfo

IMAGE = "docker.io/topcon-test/busybox:latest"
APPLETS = ("echo", "false", "sh", "sleep", "true")
MINUTES = ["/bin/sleep", "100000"]
# They say when their trap is set: a signal that comes before ends them.
OBEYS = ["/bin/sh", "-c", "trap 'exit 7' TERM; : > /ready/TOKEN; while :; do sleep 0.1; done"]
DEAF = ["/bin/sh", "-c", "trap '' TERM; : > /ready/TOKEN; while :; do sleep 0.1; done"]
PATIENCE_S = 60.0
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
TABLE = """
    Entry{key=1 value=2}
    NamespaceOption{network=1:int32}
    SecurityContext{namespace_options=1:NamespaceOption}
    LinuxPodSandboxConfig{cgroup_parent=1 security_context=2:SecurityContext}
    PodSandboxMetadata{name=1 uid=2 namespace=3 attempt=4:uint32}
    PodSandboxConfig{metadata=1:PodSandboxMetadata log_directory=3 labels=6:Entry* annotations=7:Entry*
                     linux=8:LinuxPodSandboxConfig}
    RunPodSandboxRequest{config=1:PodSandboxConfig}
    RunPodSandboxResponse{pod_sandbox_id=1}
    ContainerMetadata{name=1 attempt=2:uint32}
    ImageSpec{image=1}
    Mount{container_path=1 host_path=2 readonly=3:bool}
    LinuxContainerConfig{}
    ContainerConfig{metadata=1:ContainerMetadata image=2:ImageSpec command=3* mounts=7:Mount* labels=9:Entry*
                    annotations=10:Entry* log_path=11 linux=15:LinuxContainerConfig}
    CreateContainerRequest{pod_sandbox_id=1 config=2:ContainerConfig sandbox_config=3:PodSandboxConfig}
    CreateContainerResponse{container_id=1}
    ContainerRequest{container_id=1}
    SandboxRequest{pod_sandbox_id=1}
"""


def until(condition: Callable[[], Any], what: str, patience_s: float = PATIENCE_S) -> Any:
    deadline = time.monotonic() + patience_s
    while True:
        if result := condition():
            return result
        if time.monotonic() > deadline:
            pytest.fail(f"not within {patience_s:.0f} s: {what}")
        time.sleep(0.1)


@dataclass
class Pod:
    """A pod as a kubelet has it made."""

    daemon: Daemon
    name: str
    uid: str
    cgroup: str
    id: str = ""

    @property
    def _labels(self) -> dict[str, str]:
        return {
            "io.kubernetes.pod.name": self.name,
            "io.kubernetes.pod.namespace": "prod",
            "io.kubernetes.pod.uid": self.uid,
        }

    @property
    def config(self) -> dict[str, Any]:
        return {
            "metadata": {"name": self.name, "uid": self.uid, "namespace": "prod"},
            "log_directory": str(self.daemon.folder / "logs" / self.uid),
            "labels": messages.entries(self._labels | {"app": "shop"}),
            "annotations": messages.entries({"team": "checkout"}),
            "linux": {"cgroup_parent": self.cgroup, "security_context": {"namespace_options": {"network": 2}}},
        }

    def run(self) -> None:
        self.id = self.daemon.ask("RunPodSandbox", "RunPodSandbox", config=self.config).pod_sandbox_id

    def start(self, name: str, command: list[str], attempt: int = 0, **annotations: str) -> ContainerId:
        token = uuid.uuid4().hex
        config = {
            "metadata": {"name": name, "attempt": attempt},
            "image": {"image": IMAGE},
            "command": [each.replace("TOKEN", token) for each in command],
            "mounts": [
                {"container_path": "/data", "host_path": str(self.daemon.folder / "data"), "readonly": True},
                {"container_path": "/ready", "host_path": str(self.daemon.folder / "ready")},
            ],
            "labels": messages.entries(self._labels | {"io.kubernetes.container.name": name}),
            "annotations": messages.entries(
                {"io.kubernetes.pod.terminationGracePeriod": "30"}
                | {f"io.kubernetes.container.{key}": value for key, value in annotations.items()}
            ),
            "log_path": f"{name}_{attempt}.log",
            "linux": {},
        }
        made = self.daemon.ask(
            "CreateContainer", "CreateContainer", pod_sandbox_id=self.id, config=config, sandbox_config=self.config
        )
        self.daemon.ask("StartContainer", "Container", container_id=made.container_id)
        self.daemon.wait_ready(token, command)
        return made.container_id


class Daemon:
    """A containerd that can be frozen."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = str(folder / "c.sock")
        self.process: subprocess.Popen[bytes] | None = None
        self.pods: list[Pod] = []
        self.cgroup = f"/topcon-test-{uuid.uuid4().hex[:8]}"
        self._classes: Mapping[str, Any] = messages.message_classes("test", TABLE)
        self.channel: GrpcChannel

    def start(self) -> None:
        for name in ("data", "ready"):
            (self.folder / name).mkdir()
        configuration = self.folder / "config.toml"
        configuration.write_text(f"""
version = 2
root = "{self.folder}/root"
state = "{self.folder}/state"
[grpc]
  address = "{self.socket}"
[plugins."io.containerd.grpc.v1.cri"]
  restrict_oom_score_adj = true
  sandbox_image = "{IMAGE}"
  [plugins."io.containerd.grpc.v1.cri".cni]
    conf_dir = "{self.folder}/cni"
[plugins."io.containerd.internal.v1.opt"]
  path = "{self.folder}/opt"
[plugins."io.containerd.internal.v1.restart"]
  interval = "1s"
""")
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(["containerd", "--config", configuration], stdout=log, stderr=log)
        until(self._answers, f"containerd answers; see {self.folder}/log")
        self.channel = GrpcChannel(self.socket)

    def _answers(self) -> bool:
        try:
            connect_to_crio(self.socket).close()
        except SourceUnavailable:
            return False
        return True

    def ask(self, method: str, message: str, **values: Any) -> Any:
        request = self._classes[f"test.{message}Request"](**values).SerializeToString()
        answer = self.channel.call(f"/runtime.v1.RuntimeService/{method}", request, PATIENCE_S)
        kind = self._classes.get(f"test.{method}Response")
        return kind.FromString(answer) if kind else None

    def ctr(self, *arguments: str, check: bool = True) -> str:
        command = ["ctr", "--address", self.socket, *arguments]
        return subprocess.run(command, check=check, capture_output=True, text=True, timeout=120).stdout

    def run(self, name: str, command: list[str], *options: str, namespace: str = "default") -> None:
        token = uuid.uuid4().hex
        mount = f"type=bind,src={self.folder}/ready,dst=/ready,options=rbind:rw"
        arguments = [each.replace("TOKEN", token) for each in command]
        own = ("--fifo-dir", f"{self.folder}/fifo", "--mount", mount)
        self.ctr("-n", namespace, "run", "--detach", *own, *options, IMAGE, name, *arguments)
        self.wait_ready(token, command)

    def wait_ready(self, token: str, command: list[str]) -> None:
        if "TOKEN" in command[-1]:
            until((self.folder / "ready" / token).exists, "the command is ready")

    def pod(self, name: str) -> Pod:
        uid = str(uuid.uuid4())
        pod = Pod(self, name, uid, f"{self.cgroup}/pod{uid}")
        self.pods.append(pod)
        pod.run()
        return pod

    def remove_pods(self) -> None:
        connection = Containerd(self.socket)
        for info in connection.containers():
            if info.role is Role.SANDBOX:
                self.ask("StopPodSandbox", "Sandbox", pod_sandbox_id=info.id)
                self.ask("RemovePodSandbox", "Sandbox", pod_sandbox_id=info.id)
        connection.close()
        self.pods.clear()

    def remove_others(self) -> None:
        for namespace in self.ctr("namespaces", "ls", "-q").split():
            if namespace == "k8s.io":
                continue
            for name in self.ctr("-n", namespace, "containers", "ls", "-q").split():
                self.ctr("-n", namespace, "tasks", "rm", "--force", name, check=False)
                self.ctr("-n", namespace, "containers", "rm", name)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        # Threads stop one by one, and one that has not yet can still answer.
        tasks = Path(f"/proc/{self.process.pid}/task")
        until(lambda: all(") T" in stat.read_text() for stat in tasks.glob("*/stat")), "all threads stop")
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def import_image(self) -> None:
        path = self.folder / "image.tar"
        path.write_bytes(image())
        for namespace in ("k8s.io", "default", "other"):
            self.ctr("-n", namespace, "images", "import", str(path))

    def close(self) -> None:
        if self.process is None:
            return
        if hasattr(self, "channel"):
            self.remove_pods()
            self.remove_others()
            self.channel.close()
        self.process.terminate()
        self.process.wait(60)
        mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
        for mount in reversed([mount for mount in mounts if mount.startswith(f"{self.folder}/")]):
            subprocess.run(["umount", "--lazy", mount], check=False)
        # ctr's containers are in cgroups by their namespace's name, which are left when they are empty.
        for cgroup in (f"{self.cgroup}/*", self.cgroup, "/default", "/other"):
            for hierarchy in ("sys/fs/cgroup", "sys/fs/cgroup/*"):
                for folder in Path("/").glob(f"{hierarchy}{cgroup}"):
                    with suppress(OSError):
                        folder.rmdir()


def image() -> bytes:
    """An image as ``docker save`` writes it: busybox, sleeping."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        tar.add(shutil.which("busybox") or "", "bin/busybox")
        for name in APPLETS:
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
    configuration = {
        "architecture": ARCHITECTURES[platform.machine()],
        "os": "linux",
        "config": {"Cmd": MINUTES, "Env": ["PATH=/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer.getvalue()).hexdigest()}"]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [IMAGE], "Layers": ["layer.tar"]}]
    files = {
        "layer.tar": layer.getvalue(),
        "config.json": json.dumps(configuration).encode(),
        "manifest.json": json.dumps(manifest).encode(),
    }
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return archive.getvalue()


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    if os.geteuid() != 0:
        pytest.skip("needs root, to run a containerd")
    for program in ("containerd", "ctr", "runc", "busybox"):
        if not shutil.which(program):
            pytest.skip(f"needs {program}")
    # Sockets have short paths, and containers' root file systems are no tmpfs.
    folder = Path(tempfile.mkdtemp(prefix="topcon-", dir="/var/tmp"))
    daemon = Daemon(folder)
    try:
        daemon.start()
        daemon.import_image()
        yield daemon
    finally:
        daemon.close()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def connection(daemon: Daemon) -> Iterator[Containerd]:
    connection = Containerd(daemon.socket)
    yield connection
    connection.close()
    daemon.remove_pods()
    daemon.remove_others()


def listed(connection: Containerd) -> dict[str, ContainerInfo]:
    """What the connection tells, when all of it has been told: a busy daemon needs more than one call."""

    def told() -> tuple[ContainerInfo, ...]:
        infos = connection.containers()
        is_all = all(info.started_ns is not None or info.pod is None for info in infos)
        return infos if is_all else ()

    return {info.id: info for info in until(told, "all start times are told")}


class Kubelet:
    """What topcon sees and needs of one: a process of that name, and a new attempt for each container that ended."""

    def __init__(self, pod: Pod) -> None:
        self._pod = pod
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> None:
        self._process = subprocess.Popen(["/usr/bin/kubelet", "1000"], executable=shutil.which("sleep"))
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()
        self._process.kill()
        self._process.wait()

    def _run(self) -> None:
        connection = Containerd(self._pod.daemon.socket)
        while not self._stopped.wait(0.3):
            for info in connection.containers():
                if info.role is not Role.SANDBOX and info.state is State.EXITED and info.pod.id == self._pod.uid:
                    self._pod.start(info.name, OBEYS, attempt=info.restarts + 1)
        connection.close()


def test_pods_and_containers_are_told_with_names_roles_and_restarts(daemon: Daemon, connection: Containerd) -> None:
    shop, agent = daemon.pod("shop-7d9c5b6f4-x2x9k"), daemon.pod("agent-zq4wd")
    web, side = shop.start("web", MINUTES, attempt=3), shop.start("side", MINUTES)
    init, log = agent.start("migrate", ["/bin/false"], type="init"), agent.start("log", MINUTES)
    daemon.run("db", MINUTES, "--label", "nerdctl/name=database")
    until(lambda: listed(connection)[init].exit_code == 1, "the init container ends")
    infos = listed(connection)

    assert set(infos) == {shop.id, agent.id, web, side, init, log, "default/db"}
    assert [infos[each].name for each in (shop.id, web, side, log)] == [shop.name, "web", "side", "log"]
    assert [infos[each].role for each in (shop.id, web, init)] == [Role.SANDBOX, Role.WORKLOAD, Role.INIT]
    assert {infos[each].pod.id for each in (shop.id, web, side)} == {shop.uid}
    assert infos[shop.id].pod.kind is PodKind.KUBERNETES
    assert infos[shop.id].pod.namespace == infos[web].pod.namespace == "prod"
    assert infos[shop.id].pod.labels["app"] == "shop"
    assert infos[shop.id].pod.annotations == {"team": "checkout"}
    assert not infos[web].pod.labels
    assert (infos[web].restarts, infos[side].restarts) == (3, 0)
    assert infos[web].image == IMAGE
    assert infos[web].grace_s == 30
    assert [(volume.target, volume.is_read_only) for volume in infos[web].volumes] == [
        ("/data", True),
        ("/ready", False),
    ]
    assert infos[web].state is State.RUNNING
    assert infos[web].created_ns < infos[web].started_ns < time.time_ns()
    assert (infos[init].state, infos[init].exit_code, infos[init].oom_killed) == (State.EXITED, 1, False)
    assert infos[init].finished_ns is not None
    own = infos["default/db"]
    assert (own.name, own.image, own.state, own.pod) == ("database", IMAGE, State.RUNNING, None)
    assert own.command == "/bin/sleep 100000"


def test_start_times_are_the_same_in_the_list_and_when_asked_for(daemon: Daemon, connection: Containerd) -> None:
    pod = daemon.pod("shop")
    web = pod.start("web", MINUTES)
    infos = listed(connection)
    assert connection.started_ns(web) == infos[web].started_ns is not None
    assert connection.started_ns(pod.id) == infos[pod.id].started_ns is not None
    daemon.run("db", MINUTES)
    assert connection.started_ns("default/db") is listed(connection)["default/db"].started_ns is None


def test_a_pods_container_is_stopped_as_it_wants(daemon: Daemon, connection: Containerd) -> None:
    web = daemon.pod("shop").start("web", OBEYS)
    connection.stop(web, 30)
    info = listed(connection)[web]
    assert (info.state, info.exit_code) == (State.EXITED, 7)


def test_a_pods_container_that_does_not_end_is_killed(daemon: Daemon, connection: Containerd) -> None:
    web = daemon.pod("shop").start("web", DEAF)
    connection.stop(web, 1)
    info = listed(connection)[web]
    assert (info.state, info.exit_code) == (State.EXITED, 137)


def test_a_sandbox_is_stopped_with_its_containers_each_as_it_wants(daemon: Daemon, connection: Containerd) -> None:
    pod = daemon.pod("shop")
    web, side = pod.start("web", OBEYS), pod.start("side", OBEYS)
    connection.stop(pod.id, 30)
    infos = listed(connection)
    assert [infos[each].state for each in (pod.id, web, side)] == [State.EXITED] * 3
    assert [infos[each].exit_code for each in (web, side)] == [7, 7]


def test_a_pods_container_is_restarted_by_kubelet(daemon: Daemon, connection: Containerd) -> None:
    pod = daemon.pod("shop")
    web = pod.start("web", OBEYS)
    with Kubelet(pod):
        connection.restart(web, 30)
        infos = listed(connection)
    (again,) = [info for info in infos.values() if info.name == "web"]
    assert again.id != web
    assert (again.state, again.restarts) == (State.RUNNING, 1)


def test_without_a_kubelet_a_restart_is_refused_before_the_stop(daemon: Daemon, connection: Containerd) -> None:
    if cri.has_kubelet():
        pytest.skip("a kubelet runs here")
    web = daemon.pod("shop").start("web", OBEYS)
    with pytest.raises(ActionFailed, match="not done: no kubelet runs here that would start it again"):
        connection.restart(web, 30)
    assert listed(connection)[web].state is State.RUNNING


def test_what_the_cri_cannot_do_is_refused(daemon: Daemon, connection: Containerd) -> None:
    web = daemon.pod("shop").start("web", OBEYS)
    with pytest.raises(ActionFailed, match="containerd has no way to pause a pod's container"):
        connection.pause(web)
    assert connection.abilities == {"start", "stop", "restart"}


def test_a_container_of_its_own_is_paused_killed_and_stopped(daemon: Daemon, connection: Containerd) -> None:
    daemon.run("web", OBEYS)
    daemon.run("deaf", MINUTES)
    connection.pause("default/web")
    assert listed(connection)["default/web"].state is State.PAUSED
    connection.unpause("default/web")
    assert listed(connection)["default/web"].state is State.RUNNING
    connection.pause("default/web")
    connection.stop("default/web", 30)
    info = listed(connection)["default/web"]
    assert (info.state, info.exit_code) == (State.EXITED, 7)
    assert info.finished_ns is not None
    connection.kill("default/deaf", "SIGKILL")
    until(lambda: listed(connection)["default/deaf"].exit_code == 137, "it is killed")


def test_a_container_of_its_own_that_does_not_end_is_killed(daemon: Daemon, connection: Containerd) -> None:
    daemon.run("deaf", DEAF)
    connection.stop("default/deaf", 1)
    assert listed(connection)["default/deaf"].exit_code == 137


def test_a_container_of_its_own_is_started_and_restarted(daemon: Daemon, connection: Containerd) -> None:
    name = uuid.uuid4().hex * 2
    daemon.run(name, OBEYS, namespace="other")
    assert listed(connection)[name].state is State.RUNNING

    def pid() -> str:
        return daemon.ctr("-n", "other", "tasks", "ls").splitlines()[1].split()[1]

    first = pid()
    connection.restart(name, 30)
    assert listed(connection)[name].state is State.RUNNING
    assert pid() != first
    connection.stop(name, 30)
    connection.start(name)
    assert listed(connection)[name].state is State.RUNNING
    with pytest.raises(ActionFailed, match="it is running"):
        connection.start(name)


def test_output_goes_where_it_went_before(daemon: Daemon, connection: Containerd) -> None:
    log = daemon.folder / "output"
    script = ["/bin/sh", "-c", "echo begun; trap 'exit 0' TERM; while :; do sleep 0.1; done"]
    daemon.run("web", script, "--log-uri", f"file://{log}")
    until(lambda: log.exists() and log.read_text() == "begun\n", "it has begun")
    connection.restart("default/web", 30)
    until(lambda: log.read_text() == "begun\nbegun\n", "it has begun again")


def test_what_an_image_says_of_where_output_goes_is_not_believed(daemon: Daemon, connection: Containerd) -> None:
    forged = daemon.folder / "forged"
    daemon.run("web", OBEYS, "--label", f"nerdctl/log-uri=file://{forged}")
    connection.restart("default/web", 30)
    assert listed(connection)["default/web"].state is State.RUNNING
    assert not forged.exists()


def test_a_container_with_a_terminal_is_not_stopped_to_be_restarted(daemon: Daemon, connection: Containerd) -> None:
    daemon.ctr("-n", "default", "containers", "create", "--tty", IMAGE, "web", *MINUTES)
    with pytest.raises(ActionFailed, match="not done: it has a terminal"):
        connection.restart("default/web", 30)
    assert listed(connection)["default/web"].state is State.CREATED


def test_what_is_stopped_stays_so_though_containerd_would_start_it_again(
    daemon: Daemon, connection: Containerd
) -> None:
    daemon.run("web", OBEYS, "--label", "containerd.io/restart.status=running")
    assert listed(connection)["default/web"].restart_policy == "always"
    connection.kill("default/web", "SIGKILL")
    until(lambda: listed(connection)["default/web"].state is State.RUNNING, "it is started again")
    connection.stop("default/web", 30)
    time.sleep(3)
    assert listed(connection)["default/web"].state is State.EXITED
    connection.start("default/web")
    assert listed(connection)["default/web"].labels["containerd.io/restart.status"] == "running"


def test_actions_on_what_is_gone_say_so(connection: Containerd) -> None:
    for container in ("default/nobody", "a" * 64):
        with pytest.raises(ActionFailed, match="containerd has no such container any more"):
            connection.stop(container, 1)


def test_a_frozen_daemon_gives_no_answer(daemon: Daemon, connection: Containerd) -> None:
    with daemon.frozen():
        with pytest.raises(SourceUnavailable, match=r"^no answer at "):
            connection.containers()
        with pytest.raises(SourceUnavailable, match=r"^no answer at "):
            Containerd(daemon.socket)
        with pytest.raises(ActionFailed, match=r"^no answer at "):
            connection.stop("default/web", 1)
    until(lambda: connection.containers() == (), "it answers again")


def test_the_cri_alone_is_what_cri_o_speaks(daemon: Daemon, connection: Containerd) -> None:
    web = daemon.pod("shop").start("web", OBEYS)
    runtime = connect_to_crio(daemon.socket)
    infos = {info.id: info for info in runtime.containers()}
    assert {info.runtime for info in infos.values()} == {"cri-o"}
    assert {info.id: info.name for info in infos.values()} == {
        info.id: info.name for info in listed(connection).values()
    }
    runtime.stop(web, 30)
    assert listed(connection)[web].exit_code == 7
    runtime.close()
