"""A containerd of the tests' own: pods by the CRI, as a kubelet has them made, and containers that ``ctr`` made.

Needs root, containerd with ctr and runc, and busybox (static). The pods are on the host's network, so no CNI is needed.
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
import shutil
import subprocess
import tarfile
import threading
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.integration.machine import busybox_layer, frozen, private_cgroups, private_folder, until
from topcon.errors import SourceUnavailable
from topcon.model.sample import Role, State
from topcon.runtimes import messages
from topcon.runtimes.containerd import Containerd
from topcon.runtimes.crio import connect as connect_to_crio
from topcon.runtimes.grpc_channel import GrpcChannel

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from topcon.model.sample import ContainerId

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


@dataclass
class Pod:
    """A pod as a kubelet has it made."""

    daemon: ContainerdDaemon
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


class ContainerdDaemon:
    """A daemon that can be frozen."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = str(folder / "c.sock")
        self.process: subprocess.Popen[bytes] | None = None
        self.root_cgroup = f"topcon-test-{uuid.uuid4().hex[:8]}"
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
        until(self._answers, f"containerd answers; see {self.folder}/log", PATIENCE_S)
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
        pod = Pod(self, name, uid, f"/{self.root_cgroup}/kubepods/pod{uid}")
        pod.run()
        return pod

    def remove_pods(self) -> None:
        connection = Containerd(self.socket)
        for info in connection.containers():
            if info.role is Role.SANDBOX:
                self.remove_pod(info.id)
        connection.close()

    def remove_pod(self, sandbox: str) -> None:
        self.ask("StopPodSandbox", "Sandbox", pod_sandbox_id=sandbox)
        self.ask("RemovePodSandbox", "Sandbox", pod_sandbox_id=sandbox)

    def remove_others(self) -> None:
        for namespace in self.ctr("namespaces", "ls", "-q").split():
            if namespace == "k8s.io":
                continue
            for name in self.ctr("-n", namespace, "containers", "ls", "-q").split():
                self.remove(name, namespace)

    def remove(self, name: str, namespace: str = "default") -> None:
        self.ctr("-n", namespace, "tasks", "rm", "--force", name, check=False)
        self.ctr("-n", namespace, "containers", "rm", name)

    def frozen(self) -> AbstractContextManager[None]:
        assert self.process is not None
        return frozen(self.process.pid)

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


def image() -> bytes:
    """An image as ``docker save`` writes it: busybox, sleeping."""
    layer = busybox_layer(APPLETS)
    configuration = {
        "architecture": ARCHITECTURES[platform.machine()],
        "os": "linux",
        "config": {"Cmd": MINUTES, "Env": ["PATH=/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [IMAGE], "Layers": ["layer.tar"]}]
    files = {
        "layer.tar": layer,
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


@contextmanager
def running_containerd() -> Iterator[ContainerdDaemon]:
    """A daemon with an image, for the time of the block."""
    with private_folder() as folder:
        daemon = ContainerdDaemon(folder)
        # ctr's containers are in cgroups by their namespace's name.
        with private_cgroups(daemon.root_cgroup, "default", "other"):
            try:
                daemon.start()
                daemon.import_image()
                yield daemon
            finally:
                daemon.close()


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
