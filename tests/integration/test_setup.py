"""The programs that the ready files are for take them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from topcon.setup import alerts, prometheus, systemd

TRIED = Path(__file__).parents[1] / "alerts"


def run(folder: Path, *command: str) -> tuple[int, str]:
    """Run a program that checks something; return its status and what it says."""
    if not shutil.which(command[0]):
        pytest.skip(f"needs {command[0]}")
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120)
    return ended.returncode, ended.stdout + ended.stderr


def chosen(text: str) -> str:
    """Take every choice: remove single comment signs."""
    return re.sub(r"^( *)#(?!#)", r"\1", text, flags=re.MULTILINE)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the rules in it."""
    (tmp_path / "topcon.rules.yml").write_text(alerts.rules())
    return tmp_path


def test_promtool_takes_the_rules(folder: Path) -> None:
    status, said = run(folder, "promtool", "check", "rules", "topcon.rules.yml")

    assert (status, f"SUCCESS: {len(alerts.ALERTS)} rules" in said) == (0, True), said


@pytest.mark.parametrize("name", ["healthy.yml", "sick.yml"])
def test_the_rules_fire_when_they_should(folder: Path, name: str) -> None:
    shutil.copy(TRIED / name, folder)

    status, said = run(folder, "promtool", "test", "rules", name)

    assert status == 0, said


@pytest.mark.parametrize("with_rules", [True, False])
@pytest.mark.parametrize("choose", [str, chosen])
def test_promtool_takes_the_scrape_configuration(folder: Path, with_rules: bool, choose: type[str]) -> None:
    if not with_rules:
        (folder / "topcon.rules.yml").unlink()
    (folder / "topcon-ca.pem").touch()
    (folder / "topcon-password").touch()
    text = choose(prometheus.scrape_config([])).replace("/etc/prometheus", str(folder))
    # Debian builds Prometheus without the discovery of Kubernetes.
    text = text.replace("kubernetes_sd_configs: [{role: pod}]", "static_configs: []")
    (folder / "prometheus.yml").write_text(text)

    status, said = run(folder, "promtool", "check", "config", "prometheus.yml")

    assert status == 0, said
    assert (f"{len(alerts.ALERTS)} rules found" in said) is with_rules


@pytest.mark.parametrize("name", ["topcon", "the 100% $HOME; topcon"])
def test_systemd_takes_the_unit_and_the_socket(folder: Path, name: str) -> None:
    program = folder / name
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    text = systemd.unit([str(program)])
    socket = text[text.index("#[Unit]") :]
    (folder / "topcon.service").write_text(text)
    (folder / "topcon.socket").write_text(chosen(socket))

    status, said = run(folder, "systemd-analyze", "verify", "./topcon.service", "./topcon.socket")

    assert (status, said) == (0, "")


@pytest.mark.parametrize("name", ["topcon", "the 100% $HOME; topcon"])
def test_systemd_takes_the_unit_of_a_recording(folder: Path, name: str) -> None:
    program = folder / name
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    (folder / "topcon-record.service").write_text(systemd.recording_unit([str(program)]))

    status, said = run(folder, "systemd-analyze", "verify", "./topcon-record.service")

    assert (status, said) == (0, "")


def test_systemd_misses_a_program_that_is_not_there(folder: Path) -> None:
    (folder / "topcon.service").write_text(systemd.unit([str(folder / "absent")]))

    status, said = run(folder, "systemd-analyze", "verify", "./topcon.service")

    assert (status != 0, "absent" in said) == (True, True)
