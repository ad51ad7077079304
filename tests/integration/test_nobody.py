"""As a user without any right: the tree and the numbers come, and one line says why the names do not."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
from importlib.metadata import distribution
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import topcon

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.conftest import Dockerd

PYTHON = "/usr/bin/python3"
NOBODY = 65534


@pytest.fixture
def as_nobody(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run topcon as the user nobody, who may not read where Python and this checkout may be installed."""
    version = subprocess.run(
        [PYTHON, "-c", "import sys; print(sys.version_info >= (3, 11))"], capture_output=True, text=True, check=False
    ).stdout.strip()
    if version != "True":
        pytest.skip(f"needs Python 3.11 at {PYTHON}, which every user may run")
    packages = tmp_path / "packages"
    needed = ("topcon", "psutil", "docker", "requests", "urllib3", "idna", "certifi", "charset_normalizer")
    for package in (Path(str(importlib.import_module(name).__file__)).parent for name in needed):
        shutil.copytree(package, packages / package.name, ignore=shutil.ignore_patterns("__pycache__"))
    metadata = Path(str(distribution("topcon").locate_file(""))) / f"topcon-{topcon.__version__}.dist-info"
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


def test_the_tree_and_the_numbers_come(
    dockerd: Dockerd, names: Callable[[str], str], as_nobody: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    owner, guest, hostly = names("owner"), names("guest"), names("hostly")
    owner_id = dockerd.run(owner, ["sh", "-c", "while :; do :; done"], nano_cpus=200_000_000)
    guest_id = dockerd.run(guest, network_mode=f"container:{owner}")
    hostly_id = dockerd.run(hostly, network_mode="host")
    dockerd.folder.chmod(0o711)

    done = as_nobody("ps", "--json", "--runtime", f"docker={dockerd.socket}")

    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    found: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
        container["id"]: (pod, container) for pod in shown["pods"] for container in pod["containers"]
    }
    pod, container = found[owner_id]
    assert container["name"] == owner_id[:12]
    assert container["source"] == "cgroup"
    assert 0.1 < container["cpu"]["cores"] < 0.3
    assert container["memory"]["working_set_bytes"] > 0
    assert container["network"]["received_bytes"] is not None
    assert {each["id"] for each in pod["containers"]} == {owner_id, guest_id}
    assert "net" in found[hostly_id][1]["shared_with_host"]
    problems = {problem["source"]: problem for problem in shown["problems"]}
    assert "permission denied" in problems["docker"]["message"]
    assert "usermod" in problems["docker"]["remedy"]


def test_doctor_says_what_is_lacking(
    dockerd: Dockerd, as_nobody: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    dockerd.folder.chmod(0o711)

    checks = json.loads(as_nobody("doctor", "--json", "--runtime", f"docker={dockerd.socket}").stdout)["checks"]

    (docker,) = [check for check in checks if check["name"] == "docker"]
    assert (docker["status"], "permission denied" in docker["detail"]) == ("lacks", True)
    assert "usermod" in docker["remedy"]
