"""What a scrape costs beside the library that exporters are mostly made with: parts of ``make bench``.

Both write the same samples: 1,000 containers with 50 families. Memory is measured in a process of its own, and who
scrapes is one.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import gzip
import json
import math
import random
import subprocess
import sys
import time
import urllib.request
import zlib
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from figures import Effort, Figure, Subject, paired, percentile  # noqa: E402  beside this file
from prometheus_client import CollectorRegistry, generate_latest, start_http_server  # noqa: E402  tests/ is not installed
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily  # noqa: E402  the same
from prometheus_client.parser import text_string_to_metric_families  # noqa: E402  the same
from samples import (  # noqa: E402  the same
    SDA,
    cgroup_of,
    docker_key,
    host_of,
    netns_of,
    pressures,
    running,
    sample_of,
    snapshot_after,
)

from topcon.exporter.exposition import METRICS, Exposition, PageRequest  # noqa: E402  the same
from topcon.exporter.listen import parse_listen  # noqa: E402  the same
from topcon.exporter.options import ExportOptions, LabelMode  # noqa: E402  the same
from topcon.exporter.server import Endpoint  # noqa: E402  the same
from topcon.model.sample import (  # noqa: E402  the same
    CgroupDetail,
    CpuStat,
    InterfaceStat,
    IoStat,
    LayerStat,
    MemoryStat,
    Survey,
    TaskStat,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from topcon.model.snapshot import Snapshot

CONTAINERS = 1000
FAMILIES = 50
ROUNDS = 9
OPTIONS = ExportOptions(LabelMode.KUBELET)
GRID_S = 0.05
"""How often the loop of a screen wants to be woken."""


def snapshot(seed: int = 1) -> Snapshot:
    """Return a host whose counters are of all lengths."""
    chance = random.Random(seed)

    def some(count: int) -> Iterator[int]:
        return (chance.randrange(10 ** chance.randrange(1, 12)) for _ in range(count))

    boxes = []
    for index in range(CONTAINERS):
        name = f"service-{index}"
        box = running(name, info={"image": f"registry.example.com/team/service-{index % 50}:v1.{index}"})
        sections: dict[str, Any] = {
            "cpu": CpuStat(usage_usec=chance.randrange(1, 10**11), user_usec=0, system_usec=next(some(1))),
            "memory": MemoryStat(*some(26)),
            "io": {SDA: IoStat(*some(4))},
            "pressure": pressures(*some(3), full=next(some(1))),
            "detail": CgroupDetail(cpu_weight=100),
        }
        counted = cgroup_of(box.path, limit_cores=0.5, inode=index + 10)._replace(**sections)
        boxes.append(replace(box, cgroup=counted))
    networks = {netns_of(f"service-{index}"): {"eth0": InterfaceStat(*some(8))} for index in range(CONTAINERS)}
    tasks = {box.path: TaskStat(3, {"S": 5}, 0, 1.5, 0.25, 700, 0.5, 0.0, *some(3)) for box in boxes}
    layers = {box.path: LayerStat("/dev/sda", *some(5)) for box in boxes}
    survey = Survey(0, 0.1, tasks=tasks, layers=layers)
    taken = snapshot_after(sample_of(*boxes, networks=networks, host=host_of(devices={SDA: "sda"}), survey=survey))
    assert docker_key("service-0") in taken.containers
    return taken


@dataclass
class Still:
    """A sampler that has sampled once."""

    newest: Snapshot
    tick_s: float = 0.1


def names() -> frozenset[str]:
    """Return families of which each container has a sample, and that the library can express."""
    chosen = [
        family.name
        for family in METRICS
        if family.name.startswith("container_") and not family.name.endswith(("failcnt", "_error"))
    ]
    exposition = Exposition(Still(snapshot()), OPTIONS)  # type: ignore[arg-type] # all that is asked of a sampler
    page = b"".join(exposition.chunks(PageRequest("metrics", names=frozenset(chosen)), math.inf)).decode()
    counts = {
        name: len(family.samples)
        for family in text_string_to_metric_families(page)
        for name in (family.name, f"{family.name}_total")
    }
    return frozenset([name for name in chosen if counts.get(name, 0) >= CONTAINERS][:FAMILIES])


class Library:
    """The same samples, as the library wants them: a registry with one collector."""

    def __init__(self, page: str) -> None:
        self._families = [
            (family, tuple(sorted(family.samples[0].labels)), family.samples)
            for family in text_string_to_metric_families(page)
        ]
        self.registry = CollectorRegistry()
        self.registry.register(self)

    def describe(self) -> list[Any]:
        """Nothing beforehand."""
        return []

    def collect(self) -> Iterator[Any]:
        """Build the families anew, as a collector does."""
        for family, labels, samples in self._families:
            make = CounterMetricFamily if family.type == "counter" else GaugeMetricFamily
            built = make(family.name, family.documentation, labels=labels)
            for sample in samples:
                built.add_metric([sample.labels[label] for label in labels], sample.value)
            yield built


@dataclass
class Both:
    """The two that are compared."""

    exposition: Exposition
    request: PageRequest
    library: Library

    def ours(self) -> bytes:
        return b"".join(self.exposition.chunks(self.request, math.inf))

    def theirs(self) -> bytes:
        return generate_latest(self.library.registry)


def both() -> Both:
    """Make ready, and see that both write the same bytes."""
    request = PageRequest("metrics", names=names())
    exposition = Exposition(Still(snapshot()), OPTIONS)  # type: ignore[arg-type] # the same
    page = b"".join(exposition.chunks(request, math.inf))
    made = Both(exposition, request, Library(page.decode()))
    assert made.theirs() == made.ours()
    return made


def timed(do: Callable[[], object]) -> float:
    begun = time.perf_counter()
    do()
    return time.perf_counter() - begun


def writing(made: Both) -> list[tuple[float, float]]:
    """Seconds to write the page: ours, the library's."""
    return [(timed(made.ours), timed(made.theirs)) for _ in range(ROUNDS)]


def scraping(made: Both) -> list[tuple[float, float]]:
    """Seconds for a whole scrape over HTTP with gzip, from another process."""
    query = "&".join(f"name[]={name}" for name in sorted(made.request.names))
    server, thread = start_http_server(0, "127.0.0.1", made.library.registry)
    theirs = f"http://127.0.0.1:{server.server_port}/metrics"
    try:
        with served(made.exposition) as url:
            client = [sys.executable, __file__, "scrape", f"{url}?{query}", theirs]
            done = subprocess.run(client, check=True, capture_output=True, text=True)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    return [(one, other) for one, other in json.loads(done.stdout)]


@contextmanager
def served(exposition: Exposition) -> Iterator[str]:
    """Serve it; give where."""
    endpoint = Endpoint((parse_listen("127.0.0.1:0"),), exposition)
    try:
        yield endpoint.url
    finally:
        endpoint.close()


def scrape(*urls: str) -> None:
    """Scrape in turn, and print how long each took."""

    def ask(url: str) -> None:
        request = urllib.request.Request(url, headers={"Accept-Encoding": "gzip"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            assert answer.headers["Content-Encoding"] == "gzip"
            answer.read()

    for url in urls:
        ask(url)
    sys.stdout.write(json.dumps([[timed(lambda url=url: ask(url)) for url in urls] for _ in range(ROUNDS)]))


def memory() -> tuple[float, float]:
    """MiB that a scrape with gzip adds to the peak of a process: ours, the library's."""

    def peak(which: str) -> float:
        done = subprocess.run([sys.executable, __file__, "memory", which], check=True, capture_output=True, text=True)
        return float(done.stdout)

    return peak("ours"), peak("theirs")


def print_memory(which: str) -> None:
    """Scrape once, and print what that added to the peak of this process, MiB."""
    made = both()
    clear_peak()
    before = peak_kib()
    if which == "ours":
        squeezed = zlib.compressobj(1, wbits=31)
        for chunk in made.exposition.chunks(made.request, math.inf):
            squeezed.compress(chunk)
        squeezed.flush()
    else:
        gzip.compress(made.theirs())
    sys.stdout.write(str((peak_kib() - before) / 1024))


def clear_peak() -> None:
    """Let the peak begin anew from what is in use (proc(5), clear_refs)."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")


def peak_kib() -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1])


def lateness(made: Both) -> tuple[list[float], list[float]]:
    """How late an event loop's timer is, seconds: with nobody scraping, and while scrapes run back to back."""
    # As topcon does when it has started.
    gc.freeze()
    quiet = asyncio.run(timers())
    query = "&".join(f"name[]={name}" for name in sorted(made.request.names))
    with served(made.exposition) as url:
        client = subprocess.Popen([sys.executable, __file__, "keep-scraping", f"{url}?{query}"])
        try:
            time.sleep(1)
            busy = asyncio.run(timers())
        finally:
            client.terminate()
            client.wait()
    return quiet, busy


async def timers(count: int = 200) -> list[float]:
    loop = asyncio.get_running_loop()
    late = []
    due = loop.time()
    for _ in range(count):
        due += GRID_S
        await asyncio.sleep(due - loop.time())
        late.append(loop.time() - due)
    return late


def keep_scraping(url: str) -> None:
    """Scrape until ended."""
    while True:
        request = urllib.request.Request(url, headers={"Accept-Encoding": "gzip"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            answer.read()


def measure(effort: Effort) -> list[Figure]:
    """Measure the endpoint, with 1,000 containers and 50 families."""
    made = both()
    quiet, busy = lateness(made)
    late = [(percentile(busy, 0.99), percentile(quiet, 0.99))]
    return [
        paired("writing a page of 1,000 containers", "`generate_latest`, the same bytes", writing(made)),
        paired("scraping it with gzip", "`start_http_server`", scraping(made)),
        paired(
            "what a scrape adds to the peak of memory",
            "`generate_latest` and `gzip.compress`",
            [memory() for _ in range(min(effort.rounds, 3))],
            unit="MiB",
        ),
        paired("how late a screen is while scrapes run back to back (p99)", "nobody scrapes", late),
    ]


ENDPOINT = Subject(
    "Endpoint",
    f"""A page of {CONTAINERS:,} containers with {FAMILIES} families, beside the library that exporters are mostly made
with, which writes the same samples. Memory is measured in a process of its own, and who scrapes is one.""",
    measure,
)

if __name__ == "__main__":
    {"scrape": scrape, "memory": print_memory, "keep-scraping": keep_scraping}[sys.argv[1]](*sys.argv[2:])
