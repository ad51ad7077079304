"""Prometheus takes what was recorded."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from played import PlayedHost

from topcon import cli
from topcon.recording.writer import Writer

if TYPE_CHECKING:
    from pathlib import Path

TICKS = 40
MEMORY = "container_memory_working_set_bytes"

pytestmark = pytest.mark.skipif(not shutil.which("promtool"), reason="needs promtool")


def promtool(folder: Path, *arguments: str) -> str:
    ended = subprocess.run(
        ["promtool", "tsdb", *arguments], cwd=folder, capture_output=True, text=True, check=False, timeout=120
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.mark.parametrize("arguments", [[], ["--every", "10s"], ["--since", "-20s", "--until", "-5s"]], ids=len)
def test_promtool_makes_blocks_of_what_was_recorded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    file = tmp_path / "incident.topcon"
    host = PlayedHost(tmp_path / "host")
    writer = Writer(file)
    for _ in range(TICKS):
        writer.write(host.tick())
    writer.close()

    assert cli.main(["export", "--from", str(file), "--openmetrics", *arguments]) == 0
    text = capsys.readouterr().out
    (tmp_path / "incident.om").write_text(text)
    promtool(tmp_path, "create-blocks-from", "openmetrics", "incident.om", "data")

    # It looks for what a server would have written there too.
    (tmp_path / "data/wal").mkdir(exist_ok=True)
    samples = [line for line in text.splitlines() if not line.startswith("#")]
    times = {line.rpartition(" ")[2] for line in samples}
    (counted,) = re.findall(r"^\S+ +\d+ +\d+ +\S+ +(\d+) ", promtool(tmp_path, "list", "data"), re.MULTILINE)
    assert int(counted) == len(samples)
    dumped = promtool(tmp_path, "dump", f"--match={{__name__='{MEMORY}'}}", "data").splitlines()
    assert len(dumped) == sum(line.startswith(f"{MEMORY}{{") for line in samples)
    assert {line.rpartition(" ")[2] for line in dumped} == {each.replace(".", "") for each in times}
