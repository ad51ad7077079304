"""The virtual machine of this folder, with its workload and topcon in it; `lab` beside this file makes it.

Needs root, qemu-system-x86, mmdebstrap and debian-archive-keyring. With ``LAB_KEEP`` set it stays up after the tests.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
from collections import defaultdict
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.machine import until

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
AS_NOBODY = "setpriv --reuid=nobody --regid=nogroup --clear-groups env HOME=/nonexistent"
DAEMONS = ("docker", "containerd")
PATIENCE_S = 180.0
"""How long the guest may take, on a host with other things to do; never waited for when all is well."""
CGROUP_FILES = ("cpu.stat", "memory.current", "memory.max", "pids.current", "io.stat", "cpu.pressure")

Json = dict[str, Any]
Files = dict[str, dict[str, str]]
"""Cgroup, file name: text."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything in this folder."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.lab)


class Lab:
    """The guest, over ssh."""

    def command(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run([HERE / "lab", *arguments], capture_output=True, text=True, check=False)
        if check and done.returncode:
            pytest.fail(f"lab {shlex.join(arguments)} exited {done.returncode}: {done.stderr or done.stdout}")
        return done

    def ssh(self, command: str) -> str:
        """What a command of the guest's shell says."""
        return self.command("ssh", command).stdout.strip()

    def topcon(self, *arguments: str, prefix: str = "", check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.command("ssh", f"{prefix} /opt/topcon/bin/topcon {shlex.join(arguments)}", check=check)

    def ps(self, *arguments: str, prefix: str = "") -> Json:
        return dict(json.loads(self.topcon("ps", "--json", *arguments, prefix=prefix).stdout))

    def cgroups(self, paths: list[str], names: tuple[str, ...] = CGROUP_FILES) -> Files:
        """The kernel's files of many cgroups, read at once; what is not there is left out."""
        folders = " ".join(shlex.quote(f"/sys/fs/cgroup{path}") for path in paths)
        files = " ".join(names)
        said = self.ssh(f'for folder in {folders}; do cd "$folder" && grep -sH "" {files} | sed "s,^,$folder/,"; done')
        read: Files = {path: defaultdict(str) for path in paths}
        for line in said.splitlines():
            name, text = line.removeprefix("/sys/fs/cgroup").split(":", 1)
            folder, file = name.rsplit("/", 1)
            read[folder][file] += f"{text}\n"
        return read

    @contextmanager
    def frozen(self, *daemons: str) -> Iterator[None]:
        """Hold daemons by SIGSTOP for the time of the block; Podman has none, so its socket is closed."""
        pids = " ".join(self.ssh(f"systemctl show -P MainPID {daemon}") for daemon in daemons)
        self.ssh(f"systemctl stop podman.socket podman.service; kill -STOP {pids}")
        try:
            yield
        finally:
            self.ssh(f"kill -CONT {pids}; systemctl start podman.socket")
            until(
                lambda: not self.command("ssh", "timeout 5 docker version", check=False).returncode,
                "dockerd answers",
                PATIENCE_S,
            )


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """The guest, up, loaded, and with this checkout's topcon."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to make a disk image")
    for program in ("qemu-system-x86_64", "mmdebstrap", "ssh"):
        if not shutil.which(program):
            pytest.skip(f"needs {program}")
    lab = Lab()
    try:
        for step in ("up", "load", "install"):
            lab.command(step)
        # A container counts as healthy only after its first check.
        until(
            lambda: lab.ssh("docker inspect -f '{{.State.Health.Status}}' shop-web-1") == "healthy",
            "a health check",
            PATIENCE_S,
        )
        yield lab
    finally:
        if not os.environ.get("LAB_KEEP"):
            lab.command("down")
