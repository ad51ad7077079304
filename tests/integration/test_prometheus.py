"""A real Prometheus scrapes topcon, over TLS and as OpenMetrics too, and its linter finds only what is cAdvisor's."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import bcrypt
import pytest
from pages import CADVISORS_OWN

from tests.integration.conftest import SPIN, Program, until
from tests.integration.prometheus_server import (
    SCRAPED_S,
    _prometheus,  # noqa: F401  a fixture
    faults,
    free_port,
    page_of,
    running_prometheus,
    served,
    target,
)
from topcon.exporter.options import OPT_IN_GROUPS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.conftest import Dockerd, Terminal

pytestmark = pytest.mark.usefixtures("_prometheus")

CAPTURED = sorted(path.parent for path in Path(__file__).parents[1].glob("hosts/*/time"))
ALL_GROUPS = ("--enable-metrics", ",".join(sorted(OPT_IN_GROUPS)))


def scraping(*jobs: str) -> str:
    """A configuration of jobs, each in YAML's flow style."""
    return "global: {scrape_interval: 1s, scrape_timeout: 1s}\nscrape_configs:\n" + "".join(
        f"  - {{{job}}}\n" for job in jobs
    )


def job(name: str, url: str, more: str = "") -> str:
    """Scrape a URL."""
    return f"job_name: {name}, static_configs: [{{targets: ['{target(url)}']}}]{more}"


def test_prometheus_scrapes_and_answers(
    dockerd: Dockerd, topcon: Program, names: Callable[[str], str], tmp_path: Path
) -> None:
    name = names("scraped")
    dockerd.run(name, SPIN, nano_cpus=200_000_000, mem_limit="64m")
    with (
        served(topcon) as url,
        running_prometheus(tmp_path, scraping(job("topcon", url))) as prometheus,
    ):
        ask = prometheus.ask
        until(lambda: ask(f'container_memory_working_set_bytes{{name="{name}"}}'), "Prometheus has scraped", SCRAPED_S)
        time.sleep(5)
        (memory,) = ask(f'container_memory_working_set_bytes{{name="{name}"}}')
        (cores,) = ask(f'rate(container_cpu_usage_seconds_total{{name="{name}"}}[10s])')
        up = ask("topcon_source_up")
        refused = prometheus.not_taken()

    assert 0 < float(memory["value"][1]) < 64 << 20
    assert memory["metric"]["image"].startswith("topcon-test/busybox")
    assert 0.1 < float(cores["value"][1]) < 0.3
    assert {each["metric"]["source"]: each["value"][1] for each in up}["docker"] == "1"
    assert set(refused.values()) == {0}


def test_prometheus_takes_openmetrics_where_it_is_offered(
    dockerd: Dockerd, topcon: Program, names: Callable[[str], str], tmp_path: Path
) -> None:
    name = names("open")
    dockerd.run(name, nano_cpus=200_000_000)
    with (
        served(topcon, *ALL_GROUPS) as plain,
        served(topcon, "--openmetrics", *ALL_GROUPS) as offered,
        running_prometheus(tmp_path, scraping(job("plain", plain), job("offered", offered))) as prometheus,
    ):
        until(lambda: len(prometheus.ask("up == 1")) == 2, "both are scraped", SCRAPED_S)
        until(
            lambda: len(prometheus.ask(f'container_cpu_usage_seconds_total{{name="{name}"}}')) == 2,
            "both have the container",
            SCRAPED_S,
        )
        announced = {where: prometheus.families(target(url)) for where, url in (("plain", plain), ("offered", offered))}
        refused = prometheus.not_taken()

    # Only in OpenMetrics a counter's family has another name than its samples.
    assert announced["plain"]["container_cpu_usage_seconds_total"] == "counter"
    assert announced["offered"]["container_cpu_usage_seconds"] == "counter"
    assert "container_cpu_usage_seconds_total" not in announced["offered"]
    assert set(refused.values()) == {0}


def test_prometheus_scrapes_over_tls_with_a_password(topcon: Program, tmp_path: Path) -> None:
    if not shutil.which("openssl"):
        pytest.skip("needs openssl")
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-subj", "/CN=topcon", "-addext", "subjectAltName=IP:127.0.0.1", "-out", certificate, "-keyout", key),
        ],
        check=True,
        capture_output=True,
    )
    web = tmp_path / "web.yml"
    hashed = bcrypt.hashpw(b"open sesame", bcrypt.gensalt(4)).decode()
    web.write_text(
        f"tls_server_config: {{cert_file: cert.pem, key_file: key.pem}}\nbasic_auth_users: {{prometheus: '{hashed}'}}\n"
    )
    subprocess.run(["promtool", "check", "web-config", web], check=True, capture_output=True)
    https = f", scheme: https, tls_config: {{ca_file: {certificate}}}"
    with (
        served(topcon, "--web-config", str(web)) as url,
        running_prometheus(
            tmp_path,
            scraping(
                job("right", url, f"{https}, basic_auth: {{username: prometheus, password: open sesame}}"),
                job("wrong", url, f"{https}, basic_auth: {{username: prometheus, password: sesame}}"),
                job("unknown-authority", url, ", scheme: https"),
                job("plain", url),
            ),
        ) as prometheus,
    ):
        until(lambda: len(prometheus.ask("up")) == 4, "all have been tried", SCRAPED_S)
        until(lambda: prometheus.ask('up{job="right"} == 1'), "the right one is let in", SCRAPED_S)
        up = {each["metric"]["job"]: each["value"][1] for each in prometheus.ask("up")}
        served_to = {each["metric"]["job"] for each in prometheus.ask("topcon_build_info")}

    assert url.startswith("https://")
    assert up == {"right": "1", "wrong": "0", "unknown-authority": "0", "plain": "0"}
    assert served_to == {"right"}


def test_the_linter_finds_only_what_is_cadvisors(
    dockerd: Dockerd, topcon: Program, names: Callable[[str], str]
) -> None:
    dockerd.run(names("linted"), nano_cpus=200_000_000)
    with served(topcon, *ALL_GROUPS) as url:
        until(lambda: "container_tasks_state" in page_of(url), "the survey is done")
        page = page_of(url)
        landing, health = page_of(url.removesuffix("metrics")), page_of(url.replace("/metrics", "/healthz"))

    assert faults(page) - CADVISORS_OWN == set()
    assert "/metrics" in landing
    assert health == "ok\n"


@pytest.mark.parametrize("folder", CAPTURED, ids=lambda folder: folder.name)
def test_the_linter_finds_only_what_is_cadvisors_on_other_hosts(folder: Path, tmp_path: Path) -> None:
    with served(Program(tmp_path, docker=str(tmp_path / "absent")), "--host-root", str(folder), *ALL_GROUPS) as url:
        until(lambda: "container_tasks_state" in page_of(url), "the survey is done")
        page = page_of(url)

    assert faults(page) - CADVISORS_OWN == set()


def test_what_is_served_by_default_is_clean_but_for_three_names(topcon: Program) -> None:
    with served(topcon) as url:
        page = page_of(url)

    assert faults(page) <= {"cadvisor_version_info", "container_fs_inodes_total", "container_memory_failcnt"}


def test_the_screen_serves_the_same_numbers(dockerd: Dockerd, terminal: Terminal, names: Callable[[str], str]) -> None:
    name = names("both")
    dockerd.run(name)
    port = free_port()
    terminal.start("--listen", f"127.0.0.1:{port}")
    terminal.wait_for(name)

    page = page_of(f"http://127.0.0.1:{port}/metrics")

    assert re.search(rf'container_last_seen{{.*name="{name}".*}} ', page)
    assert re.search(r'container_memory_working_set_bytes{.*id="/".*} ', page)
