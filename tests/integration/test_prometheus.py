"""A real Prometheus scrapes topcon, and the linter of metrics finds nothing."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.conftest import until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.integration.conftest import Dockerd, Program, Terminal


@pytest.fixture(autouse=True)
def _programs() -> None:
    if not (shutil.which("prometheus") and shutil.which("promtool")):
        pytest.skip("needs prometheus and promtool (Debian package prometheus)")


def _get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return str(answer.read().decode())


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def test_prometheus_scrapes_and_answers(
    dockerd: Dockerd, topcon: Program, names: Callable[[str], str], tmp_path: Path
) -> None:
    name = names("scraped")
    dockerd.run(name, ["sh", "-c", "while :; do :; done"], nano_cpus=200_000_000, mem_limit="64m")
    served, own = _free_port(), _free_port()
    config = tmp_path / "prometheus.yml"
    config.write_text(
        "global: {scrape_interval: 1s, scrape_timeout: 1s}\n"
        "scrape_configs:\n"
        "  - job_name: topcon\n"
        f"    static_configs: [{{targets: ['127.0.0.1:{served}']}}]\n"
    )
    with topcon.started("serve", "--listen", f"127.0.0.1:{served}"):
        prometheus = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={config}",
                f"--storage.tsdb.path={tmp_path}/data",
                f"--web.listen-address=127.0.0.1:{own}",
                "--log.level=warn",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

        def ask(query: str) -> list[dict[str, Any]]:
            url = f"http://127.0.0.1:{own}/api/v1/query?" + urllib.parse.urlencode({"query": query})
            try:
                return list(json.loads(_get(url))["data"]["result"])
            except OSError:
                return []

        try:
            until(lambda: ask(f'container_memory_working_set_bytes{{name="{name}"}}'), "Prometheus has scraped", 60)
            time.sleep(5)
            (memory,) = ask(f'container_memory_working_set_bytes{{name="{name}"}}')
            (cores,) = ask(f'rate(container_cpu_usage_seconds_total{{name="{name}"}}[10s])')
            up = ask("topcon_source_up")
        finally:
            prometheus.terminate()
            prometheus.wait(30)

    assert 0 < float(memory["value"][1]) < 64 << 20
    assert memory["metric"]["image"].startswith("topcon-test/busybox")
    assert 0.1 < float(cores["value"][1]) < 0.3
    assert {each["metric"]["source"]: each["value"][1] for each in up}["docker"] == "1"


def test_the_linter_finds_nothing(dockerd: Dockerd, topcon: Program, names: Callable[[str], str]) -> None:
    dockerd.run(names("linted"), nano_cpus=200_000_000)
    with topcon.started("serve", "--listen", "127.0.0.1:0") as process:
        assert process.stderr is not None
        url = process.stderr.readline().split()[-1]
        time.sleep(2)
        page = _get(url)
        landing, health = _get(url.removesuffix("metrics")), _get(url.replace("/metrics", "/healthz"))

    linted = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True, text=True, check=False)

    assert (linted.returncode, linted.stdout + linted.stderr) == (0, "")
    assert "/metrics" in landing
    assert health == "ok\n"


def test_the_screen_serves_the_same_numbers(dockerd: Dockerd, terminal: Terminal, names: Callable[[str], str]) -> None:
    name = names("both")
    dockerd.run(name)
    port = _free_port()
    terminal.start("--listen", f"127.0.0.1:{port}")
    terminal.wait_for(name)

    page = _get(f"http://127.0.0.1:{port}/metrics")

    assert re.search(rf'container_last_seen{{.*name="{name}".*}} ', page)
    assert re.search(r'container_memory_working_set_bytes{.*id="/".*} ', page)
