"""As a user without any right: the tree and the numbers come, and one line says why the names do not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    from tests.integration.conftest import Dockerd


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
