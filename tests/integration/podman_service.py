"""A Podman service of the tests' own.

Needs root, podman, runc and busybox (static). Storage, state, socket and configuration are private, and nothing has a
network, so nothing of a Podman that the machine may have is touched.
"""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.machine import busybox_layer, private_cgroups, private_folder, until
from topcon.errors import SourceUnavailable
from topcon.runtimes.podman import Podman

if TYPE_CHECKING:
    from collections.abc import Iterator

IMAGE = "localhost/topcon-test/busybox:latest"
# Limits that may be set without privileges that root in a virtual machine may lack; runc knows hybrid cgroups.
CONFIGURATION = """[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
"""


class PodmanService:
    """A service, and the program that makes what it is asked about."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = str(folder / "podman.sock")
        self.process: subprocess.Popen[bytes] | None = None
        self._environment = os.environ | {"CONTAINERS_CONF": str(folder / "containers.conf")}

    def command(self, *arguments: str) -> list[str]:
        private = (f"--root={self.folder}/root", f"--runroot={self.folder}/run", f"--tmpdir={self.folder}/tmp")
        return ["podman", *private, *arguments]

    def run(self, *arguments: str, check: bool = True, stdin: bytes | None = None) -> str:
        done = subprocess.run(
            self.command(*arguments), check=False, capture_output=True, env=self._environment, input=stdin
        )
        if check and done.returncode:
            pytest.fail(f"podman {' '.join(arguments)}: {done.stderr.decode(errors='replace')}")
        return done.stdout.decode().strip()

    def start(self) -> None:
        (self.folder / "containers.conf").write_text(CONFIGURATION)
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command("system", "service", "--time=0", f"unix://{self.socket}"),
                stdout=log,
                stderr=log,
                env=self._environment,
            )
        until(self._answers, f"podman answers; see {self.folder}/log")

    def _answers(self) -> bool:
        try:
            Podman(self.socket).containers()
        except SourceUnavailable:
            return False
        return True

    def import_image(self) -> None:
        self.run("import", "-", IMAGE, stdin=busybox_layer(("sh", "sleep")))

    def create_pod(self, name: str) -> str:
        """Make a pod, whose infra container runs when the first other one does; return its id."""
        infra = (f"--infra-image={IMAGE}", "--infra-command=sleep 100000")
        return self.run("pod", "create", f"--name={name}", "--network=none", *infra)

    def end(self) -> None:
        assert self.process is not None
        self.process.terminate()
        self.process.wait(30)

    def close(self) -> None:
        """Remove all containers, whatever state a test left them in, and end the service."""
        self.run("pod", "rm", "--force", "--all", "--time=0", check=False)
        self.run("rm", "--force", "--all", "--time=0", check=False)
        if self.process is not None:
            self.end()
        # Each conmon calls podman when its container has ended, which would make the folder anew.
        until(lambda: not self._has_processes(), "podman has cleaned up")

    def _has_processes(self) -> bool:
        own = os.fsencode(self.folder)
        for command_line in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):
                if own in command_line.read_bytes():
                    return True
        return False


@contextmanager
def running_podman() -> Iterator[PodmanService]:
    """A service with an image, for the time of the block."""
    with private_folder() as folder, private_cgroups("libpod_parent"):
        service = PodmanService(folder)
        try:
            service.start()
            service.import_image()
            yield service
        finally:
            service.close()
