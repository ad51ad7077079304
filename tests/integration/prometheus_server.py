"""A real Prometheus on loopback, and topcon for it to scrape."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.integration.machine import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.conftest import Program

LOOPBACK = "127.0.0.1:0"
SCRAPED_S = 60.0
"""How long a first scrape may take: targets are looked for 5 s after the start, and machines are slow."""
NOT_TAKEN = tuple(
    f"prometheus_target_scrapes_sample_{what}_total"
    for what in ("duplicate_timestamp", "out_of_order", "out_of_bounds")
)


@pytest.fixture(scope="module")
def _prometheus() -> None:
    """Skip the tests of a module without the programs."""
    if not (shutil.which("prometheus") and shutil.which("promtool")):
        pytest.skip("needs prometheus and promtool (Debian package prometheus)")


def page_of(url: str) -> str:
    """Get a page as text."""
    with urllib.request.urlopen(url, timeout=30) as answer:
        return str(answer.read().decode())


@contextmanager
def served(program: Program, *arguments: str) -> Iterator[str]:
    """Serve for the time of the block; gives the URL."""
    with program.started("serve", "--listen", LOOPBACK, *arguments) as process:
        assert process.stderr is not None
        said = []
        for line in process.stderr:
            # What it has trouble with may be said before.
            if " serves " in line:
                yield line.split()[-1]
                return
            said.append(line)
        pytest.fail("".join(said) or "it has ended without a word")


def target(url: str) -> str:
    """What Prometheus calls the server of a URL."""
    return urllib.parse.urlsplit(url).netloc


@dataclass(frozen=True, slots=True)
class Prometheus:
    """A server that answers queries."""

    url: str

    def _get(self, path: str, **parameters: str) -> Any:
        url = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            answer = page_of(url)
        except urllib.error.HTTPError as error:
            with error:
                answer = error.read().decode()
            raise ValueError(json.loads(answer)["error"]) from None
        return json.loads(answer)["data"]

    def ask(self, query: str) -> list[dict[str, Any]]:
        """Execute a query for now, and return its series.

        Raises:
            ValueError: what is wrong with it.
        """
        return list(self._get("query", query=query)["result"])

    def targets(self) -> dict[str, str]:
        """The health of each target that was scraped, with what went wrong."""
        active = self._get("targets", state="active")["activeTargets"]
        return {each["labels"]["instance"]: f"{each['health']} {each['lastError']}".strip() for each in active}

    def families(self, instance: str) -> dict[str, str]:
        """The names of the families that a target announced, with their types."""
        told = self._get("targets/metadata", match_target=f'{{instance="{instance}"}}')
        return {each["metric"]: each["type"] for each in told}

    def rules(self) -> list[dict[str, Any]]:
        """All rules, with how they fare."""
        return [rule for group in self._get("rules")["groups"] for rule in group["rules"]]

    def not_taken(self) -> dict[str, float]:
        """How many samples were refused, by the reason."""
        own = text_string_to_metric_families(page_of(f"{self.url}/metrics"))
        counts = {sample.name: sample.value for family in own for sample in family.samples}
        return {name: counts[name] for name in NOT_TAKEN}


@contextmanager
def running_prometheus(folder: Path, config: str) -> Iterator[Prometheus]:
    """Run a server for the time of the block; files that the configuration names are looked for in the folder."""
    (folder / "prometheus.yml").write_text(config)
    log = folder / "prometheus.log"
    # Asked for any free port, it would not say which one it has got.
    address = f"127.0.0.1:{free_port()}"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={folder}/prometheus.yml",
                f"--storage.tsdb.path={folder}/data",
                f"--web.listen-address={address}",
                "--log.level=warn",
            ],
            stdout=output,
            stderr=output,
        )
    server = Prometheus(f"http://{address}")

    def is_ready() -> bool:
        if process.poll() is not None:
            pytest.fail(f"prometheus has ended:\n{log.read_text()}")
        try:
            return bool(page_of(f"{server.url}/-/ready"))
        except OSError:
            return False

    try:
        until(is_ready, f"prometheus is ready; see {log}", SCRAPED_S)
        yield server
    finally:
        process.terminate()
        process.wait(30)


def free_port() -> int:
    """A port of loopback that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def faults(page: str) -> set[str]:
    """The names that the linter finds fault with, each of which is followed by what is wrong."""
    linted = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True, text=True, check=False)
    said = (linted.stdout + linted.stderr).splitlines()
    assert linted.returncode == (3 if said else 0), said
    return {line.split()[0] for line in said}


def written_twice(page: str) -> list[str]:
    """The series that a page has more than once."""
    seen: set[tuple[str, frozenset[tuple[str, str]]]] = set()
    twice = []
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            series = (sample.name, frozenset(sample.labels.items()))
            if series in seen:
                twice.append(f"{sample.name}{sample.labels}")
            seen.add(series)
    return twice
