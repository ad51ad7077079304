"""Start pods as a kubelet with the systemd cgroup driver does: its cgroups, labels, directories, logs and links."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cri_pb2 as cri
import cri_pb2_grpc
import grpc

SOCKET = "unix:///run/containerd/containerd.sock"
IMAGE = "docker.io/lab/busybox:latest"
LINKS = Path("/var/log/containers")
IDLE = ["/bin/sleep", "1000000"]
BUSY = ["/bin/sh", "-c", "while :; do echo tick; /bin/sleep 5; done"]


@dataclass(frozen=True)
class Container:
    """A container of a pod; a limit of None is no limit."""

    name: str
    command: list[str]
    cpu_limit_cores: float | None = None
    memory_limit_bytes: int | None = None


@dataclass(frozen=True)
class Pod:
    """A pod as the API server would describe it."""

    name: str
    namespace: str
    uid: str
    qos: str
    labels: dict[str, str]
    containers: tuple[Container, ...]
    network: int = cri.POD

    @property
    def slice(self) -> str:
        """The pod's cgroup, under systemd's name for it."""
        return f"kubepods-{self.qos}-pod{self.uid.replace('-', '_')}.slice"

    @property
    def logs(self) -> Path:
        """Where its containers' logs are."""
        return Path(f"/var/log/pods/{self.namespace}_{self.name}_{self.uid}")

    @property
    def directory(self) -> Path:
        """Where the kubelet keeps its volumes."""
        return Path(f"/var/lib/kubelet/pods/{self.uid}")

    @property
    def identity(self) -> dict[str, str]:
        """The labels that the kubelet puts on the sandbox and on all containers."""
        keys = {"name": self.name, "namespace": self.namespace, "uid": self.uid}
        return {f"io.kubernetes.pod.{key}": value for key, value in keys.items()}

    @property
    def namespaces(self) -> cri.NamespaceOption:
        """The namespaces that it has for itself."""
        return cri.NamespaceOption(network=self.network, pid=cri.CONTAINER)


PODS = (
    Pod(
        "checkout-7d9c5b6f4-x2x9k",
        "prod",
        "3206f41c-56e9-4bcd-8240-b314f179e177",
        "burstable",
        {"app": "checkout", "pod-template-hash": "7d9c5b6f4"},
        (Container("web", IDLE, 0.2, 96 << 20), Container("sidecar", BUSY, 0.05)),
    ),
    Pod(
        "node-agent-zq4wd",
        "kube-system",
        "0f9d7c52-41a8-4c4c-9c55-2f1c6f0b7a11",
        "besteffort",
        {"app": "node-agent", "controller-revision-hash": "6bc8d5f7c9", "pod-template-generation": "1"},
        (Container("agent", IDLE),),
        network=cri.NODE,
    ),
)


def sandbox_config(pod: Pod) -> cri.PodSandboxConfig:
    """Describe the pod to the runtime."""
    return cri.PodSandboxConfig(
        metadata=cri.PodSandboxMetadata(name=pod.name, uid=pod.uid, namespace=pod.namespace),
        hostname="" if pod.network == cri.NODE else pod.name,
        log_directory=str(pod.logs),
        labels=pod.labels | pod.identity,
        annotations={"kubernetes.io/config.source": "api"},
        linux=cri.LinuxPodSandboxConfig(
            cgroup_parent=pod.slice,
            security_context=cri.LinuxSandboxSecurityContext(namespace_options=pod.namespaces),
        ),
    )


def container_config(pod: Pod, container: Container) -> cri.ContainerConfig:
    """Describe a container to the runtime, and make what it mounts."""
    hosts = pod.directory / "etc-hosts"
    hosts.write_text(f"127.0.0.1 localhost {pod.name}\n")
    shared = pod.directory / "volumes/kubernetes.io~empty-dir/shared"
    shared.mkdir(parents=True, exist_ok=True)
    termination = pod.directory / "containers" / container.name / "5f0c1d2e"
    termination.parent.mkdir(parents=True, exist_ok=True)
    termination.touch()
    (pod.logs / container.name).mkdir(parents=True, exist_ok=True)
    mounts = {"/shared": shared, "/etc/hosts": hosts, "/dev/termination-log": termination}
    quota = int(100_000 * container.cpu_limit_cores) if container.cpu_limit_cores else 0
    return cri.ContainerConfig(
        metadata=cri.ContainerMetadata(name=container.name),
        image=cri.ImageSpec(image=IMAGE),
        command=container.command,
        mounts=[cri.Mount(container_path=target, host_path=str(source)) for target, source in mounts.items()],
        labels=pod.identity | {"io.kubernetes.container.name": container.name},
        annotations={
            "io.kubernetes.container.hash": "5f0c1d2e",
            "io.kubernetes.container.restartCount": "0",
            "io.kubernetes.container.terminationMessagePath": "/dev/termination-log",
            "io.kubernetes.pod.terminationGracePeriod": "30",
        },
        log_path=f"{container.name}/0.log",
        linux=cri.LinuxContainerConfig(
            resources=cri.LinuxContainerResources(
                cpu_period=100_000,
                cpu_quota=quota,
                cpu_shares=2,
                memory_limit_in_bytes=container.memory_limit_bytes or 0,
            ),
            security_context=cri.LinuxContainerSecurityContext(namespace_options=pod.namespaces),
        ),
    )


def start(runtime: cri_pb2_grpc.RuntimeServiceStub, pod: Pod) -> None:
    """Start a pod and all of its containers, and link their logs."""
    pod.directory.mkdir(parents=True, exist_ok=True)
    config = sandbox_config(pod)
    sandbox = runtime.RunPodSandbox(cri.RunPodSandboxRequest(config=config)).pod_sandbox_id
    for container in pod.containers:
        request = cri.CreateContainerRequest(
            pod_sandbox_id=sandbox, config=container_config(pod, container), sandbox_config=config
        )
        container_id = runtime.CreateContainer(request).container_id
        runtime.StartContainer(cri.StartContainerRequest(container_id=container_id))
        link = LINKS / f"{pod.name}_{pod.namespace}_{container.name}-{container_id}.log"
        link.symlink_to(pod.logs / container.name / "0.log")


def main() -> None:
    """Start the pods that are not there."""
    LINKS.mkdir(exist_ok=True)
    # Strict servers refuse the socket's path as the authority.
    with grpc.insecure_channel(SOCKET, options=[("grpc.default_authority", "localhost")]) as channel:
        runtime = cri_pb2_grpc.RuntimeServiceStub(channel)
        there = {pod.metadata.uid for pod in runtime.ListPodSandbox(cri.ListPodSandboxRequest()).items}
        for pod in PODS:
            if pod.uid not in there:
                start(runtime, pod)


if __name__ == "__main__":
    main()
