"""A Docker daemon of the tests' own, topcon as a program, and a terminal to run it in.

Needs root, dockerd with its client library, iproute2, busybox (static) and tmux. Nothing of a daemon that may already
run on the machine is touched: roots, socket, bridge and network are private.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket as sockets
import subprocess
import sys
import uuid
from contextlib import contextmanager, suppress
from importlib.metadata import distribution
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker
import pytest

from tests.integration.containerd_daemon import ContainerdDaemon, running_containerd
from tests.integration.machine import PATIENCE_S, busybox_layer, private_folder, skip_without, until
from tests.integration.podman_service import PodmanService, running_podman
from topcon import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HERE = Path(__file__).parent
BRIDGE_PREFIX = "topcon-"
BRIDGE, GATEWAY = f"{BRIDGE_PREFIX}{os.getpid()}", f"172.31.{os.getpid() % 256}.1"
"""Of this run alone: others may be going on beside it, or may have been killed and have left theirs."""
IMAGE = "topcon-test/busybox:latest"
APPLETS = ("cat", "dd", "false", "httpd", "kill", "nc", "ps", "sh", "sleep", "true", "wget", "yes")
PYTHON = "/usr/bin/python3"
NOBODY = 65534
NEEDED = (
    *("topcon", "psutil", "docker", "requests", "urllib3", "idna", "certifi", "charset_normalizer"),
    *("grpc", "google", "typing_extensions"),
)
"""What the commands import, the clients of all runtimes among them."""
SPIN = ["sh", "-c", "while :; do :; done"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything in this folder."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.integration)


class Dockerd:
    """A daemon that can be frozen, killed and started again; its containers live on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = str(folder / "docker.sock")
        self.process: subprocess.Popen[bytes] | None = None
        self.api: docker.APIClient

    def start(self) -> None:
        arguments = [
            "dockerd",
            f"--data-root={self.folder}/data",
            f"--exec-root={self.folder}/exec",
            f"--pidfile={self.folder}/pid",
            f"--host=unix://{self.socket}",
            f"--bridge={BRIDGE}",
            "--iptables=false",
            "--ip6tables=false",
            "--live-restore",
        ]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(arguments, stdout=log, stderr=log)
        until(self._answers, f"dockerd answers; see {self.folder}/log", 60)

    def _answers(self) -> bool:
        with sockets.socket(sockets.AF_UNIX) as probe:
            if probe.connect_ex(self.socket):
                return False
        self.api = docker.APIClient(base_url=f"unix://{self.socket}", version="auto", timeout=60)
        return bool(self.api.ping())

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        assert self.process is not None
        self._signal(signal.SIGKILL)
        self.process.wait()

    def _signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def close(self) -> None:
        """End all containers, the daemon, and the containerd that it started, whatever state a test left them in."""
        if self.process is None:
            return
        if self.process.poll() is not None:
            self.start()
        self.thaw()
        for container in self.api.containers(all=True):
            self.api.remove_container(container["Id"], force=True)
        self.api.close()
        self.process.terminate()
        self.process.wait(60)
        containerd = self.folder / "exec/containerd/containerd.pid"
        if containerd.exists():
            with suppress(ProcessLookupError):
                os.kill(int(containerd.read_text()), signal.SIGTERM)

    def run(self, name: str | None = None, command: list[str] | None = None, **options: Any) -> str:
        """Start a container; return its id. Options are those of ``docker run`` that the tests need."""
        host_names = (
            "binds",
            "device_write_bps",
            "mem_limit",
            "nano_cpus",
            "network_mode",
            "pid_mode",
            "restart_policy",
            "pids_limit",
            "cgroup_parent",
        )
        host = {key: options.pop(key) for key in host_names if key in options}
        created = self.api.create_container(
            IMAGE, command or ["sleep", "100000"], name=name, host_config=self.api.create_host_config(**host), **options
        )
        self.api.start(created["Id"])
        return str(created["Id"])

    def remove(self, *names: str) -> None:
        for name in names:
            with suppress(docker.errors.NotFound):
                self.api.remove_container(name, force=True)

    def state(self, name: str) -> dict[str, Any]:
        return dict(self.api.inspect_container(name)["State"])

    def import_image(self) -> None:
        repository, tag = IMAGE.split(":")
        self.api.import_image_from_data(busybox_layer(APPLETS), repository=repository, tag=tag)


def remove_forsaken_bridges() -> None:
    """Remove the bridges of runs that were killed before they could do so."""
    for link in Path("/sys/class/net").glob(f"{BRIDGE_PREFIX}*"):
        pid = link.name.removeprefix(BRIDGE_PREFIX)
        if pid.isdecimal() and not Path("/proc", pid).exists():
            subprocess.run(["ip", "link", "delete", link.name], check=False)


@contextmanager
def running_dockerd() -> Iterator[Dockerd]:
    """A daemon with an image, for the time of the block."""
    remove_forsaken_bridges()
    with private_folder() as folder:
        subprocess.run(["ip", "link", "add", BRIDGE, "type", "bridge"], check=True)
        daemon = Dockerd(folder)
        try:
            subprocess.run(["ip", "address", "add", f"{GATEWAY}/24", "dev", BRIDGE], check=True)
            subprocess.run(["ip", "link", "set", BRIDGE, "up"], check=True)
            daemon.start()
            daemon.import_image()
            yield daemon
        finally:
            daemon.close()
            subprocess.run(["ip", "link", "delete", BRIDGE], check=True)


@pytest.fixture(scope="session")
def dockerd() -> Iterator[Dockerd]:
    """One daemon for all tests of the run, as are the two below."""
    skip_without("dockerd", "ip", "busybox", "tmux")
    with running_dockerd() as daemon:
        yield daemon


@pytest.fixture(scope="session")
def podman_service() -> Iterator[PodmanService]:
    skip_without("podman", "runc", "busybox")
    with running_podman() as service:
        yield service


@pytest.fixture(scope="session")
def containerd() -> Iterator[ContainerdDaemon]:
    skip_without("containerd", "ctr", "runc", "busybox")
    with running_containerd() as daemon:
        yield daemon


@pytest.fixture
def names(dockerd: Dockerd) -> Iterator[Callable[[str], str]]:
    """Names for containers that no other test uses; they are removed at the end."""
    given: list[str] = []

    def name(text: str) -> str:
        given.append(f"{text}-{uuid.uuid4().hex[:6]}")
        return given[-1]

    yield name
    dockerd.remove(*given)


class Program:
    """Topcon as a program, with what keeps it apart from the machine it runs on."""

    def __init__(self, folder: Path, **sockets: str) -> None:
        self.folder = folder
        self.arguments = [f"--runtime={name}={socket}" for name, socket in sockets.items()]
        self.environment = os.environ | {
            "XDG_CONFIG_HOME": str(folder / "config"),
            "XDG_STATE_HOME": str(folder / "state"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "TERM": "xterm-256color",
        }

    @property
    def audit_log(self) -> Path:
        return self.folder / "state/topcon/audit.jsonl"

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "topcon", *arguments, *self.arguments]

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments), check=check, capture_output=True, text=True, env=self.environment, timeout=120
        )

    @contextmanager
    def started(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """Run it beside the test; it is ended with the block."""
        process = subprocess.Popen(
            # A shell that runs the tests in the background ignores ^C, and so would what they start.
            ["env", "--default-signal=INT", *self.command(*arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
            _, errors = process.communicate(timeout=30)
            # Seen where the test fails.
            sys.stderr.write(errors)


@pytest.fixture
def topcon(tmp_path: Path, dockerd: Dockerd) -> Program:
    return Program(tmp_path, docker=dockerd.socket)


@pytest.fixture
def as_nobody(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run topcon as the user nobody, who may not read where Python and this checkout may be installed."""
    version = subprocess.run(
        [PYTHON, "-c", "import sys; print(sys.version_info[:2])"], capture_output=True, text=True, check=False
    ).stdout.strip()
    if version != str(sys.version_info[:2]):
        pytest.skip(f"needs this Python's version at {PYTHON}, which every user may run")
    packages = tmp_path / "packages"
    packages.mkdir()
    for name in NEEDED:
        _copy_package(name, packages)
    metadata = Path(str(distribution("topcon").locate_file(""))) / f"topcon-{__version__}.dist-info"
    shutil.copytree(metadata, packages / metadata.name)
    for directory in (packages, tmp_path, *tmp_path.parents):
        if directory.is_relative_to(tmp_path.parents[1]):
            directory.chmod(directory.stat().st_mode | 0o055)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [PYTHON, "-m", "topcon", *arguments],
            user=NOBODY,
            group=NOBODY,
            extra_groups=[],
            cwd="/",
            env={"PYTHONPATH": str(packages), "PATH": os.environ["PATH"], "HOME": "/nonexistent"},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def _copy_package(name: str, folder: Path) -> None:
    spec = find_spec(name)
    assert spec is not None
    if spec.submodule_search_locations is None:
        shutil.copy(str(spec.origin), folder)
    else:
        shutil.copytree(
            next(iter(spec.submodule_search_locations)), folder / name, ignore=shutil.ignore_patterns("__pycache__")
        )


class Terminal:
    """A terminal in which topcon runs; keys go in, text comes out."""

    def __init__(self, program: Program, width: int = 120, height: int = 30) -> None:
        self._tmux = ["tmux", "-L", f"topcon-{uuid.uuid4().hex[:8]}", "-f", "/dev/null"]
        self._program = program
        self._size = ["-x", str(width), "-y", str(height)]
        self.status = program.folder / "status"

    def start(self, *arguments: str) -> None:
        # The shell around it says how it ended, and keeps the terminal for a look at what is left on it.
        command = " ".join(f"'{part}'" for part in self._program.command(*arguments))
        script = f"{command}; echo $? > {self.status}; stty -a > {self.status}.stty; exec sleep 1000"
        subprocess.run(
            [*self._tmux, "new-session", "-d", *self._size, "sh", "-c", script],
            check=True,
            env=self._program.environment,
        )

    def pid(self) -> int:
        """The pid of topcon."""
        shell = self._ask("display-message", "-p", "#{pane_pid}").strip()

        def child() -> int | None:
            children = Path(f"/proc/{shell}/task/{shell}/children").read_text().split()
            return int(children[0]) if children else None

        return int(until(child, "topcon has been started"))

    def press(self, *keys: str) -> None:
        subprocess.run([*self._tmux, "send-keys", *keys], check=True)

    def text(self) -> str:
        return self._ask("capture-pane", "-p")

    def wait_for(self, *texts: str, patience_s: float = PATIENCE_S) -> str:
        def shown() -> str:
            text = self.text()
            return text if all(each in text for each in texts) else ""

        try:
            return str(until(shown, f"the screen shows {texts}", patience_s))
        except pytest.fail.Exception:
            pytest.fail(f"the screen does not show {texts}, but:\n{self.text()}")

    def wait_for_end(self, patience_s: float = PATIENCE_S) -> int:
        until(lambda: self.status.exists() and self.status.read_text().strip(), "topcon ends", patience_s)
        return int(self.status.read_text())

    def flags(self) -> str:
        """Whether the alternate screen and the mouse are on, and the cursor is shown."""
        return self._ask("display-message", "-p", "#{alternate_on} #{mouse_any_flag} #{cursor_flag}").strip()

    def close(self) -> None:
        subprocess.run([*self._tmux, "kill-server"], check=False, capture_output=True)

    def _ask(self, *arguments: str) -> str:
        return subprocess.run([*self._tmux, *arguments], check=True, capture_output=True, text=True).stdout


@pytest.fixture
def terminal(topcon: Program) -> Iterator[Terminal]:
    terminal = Terminal(topcon)
    yield terminal
    terminal.close()
