"""The page of a report in a browser: it is drawn as it is meant, says nothing on the console, and fits any screen."""

from __future__ import annotations

import json
import re
import struct
import subprocess
from dataclasses import replace
from datetime import UTC
from html import escape, unescape
from itertools import combinations
from typing import TYPE_CHECKING, Any

import pytest
from played import PlayedHost

from tests.integration.machine import skip_without
from topcon.incident.page import write_report
from topcon.model.event import Kind, Told
from topcon.model.sample import ContainerKey

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from topcon.model.event import Event
    from topcon.model.snapshot import Snapshot

SECONDS = 150
LOOPS = range(40, 120, 15)
"""When the shop's web server ends and is started again."""
BAD_NAME = "</svg><script>console.error('run')</script>\x1b[31m" + "x" * 90
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--enable-logging=stderr", "--v=0"),
)
WIDTHS = (1280, 760, 400, 320)
"""Of a desk, a tablet, a phone, a small one."""


def played(folder: Path, events: list[Event]) -> Iterator[Snapshot]:
    """Some minutes of a host on which one container is throttled, one restarts, and one is called badly."""
    host = PlayedHost(folder)
    for second in range(SECONDS):
        infos = {info.name: info for info in host.docker.infos}
        web = infos["shop-web-1"]
        if second in LOOPS:
            wall_ns = host.sampler.tick().sample.wall_ns
            infos["shop-web-1"] = replace(web, restarts=(web.restarts or 0) + 1, started_ns=wall_ns, exit_code=1)
            key = ContainerKey(f"docker:{web.id}")
            host.docker.told = (
                Told(wall_ns - 10**9, Kind.EXIT, key, web.name, exit_code=1),
                Told(wall_ns, Kind.START, key, web.name),
            )
        if second == SECONDS // 2:
            infos["nested"] = replace(infos["nested"], name=BAD_NAME)
        host.docker.infos = tuple(infos.values())
        snapshot = host.tick()
        yield snapshot
    events += snapshot.events.entries


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    skip_without("chromium")
    folder = tmp_path_factory.mktemp("report")
    events: list[Event] = []
    path = folder / "report.html"
    with path.open("w") as out:
        write_report(played(folder / "host", events), events, out, title="What happened", tz=UTC)
    return path


class Browser:
    """Headless Chromium with a folder of its own for each run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.runs = 0

    def run(self, *arguments: str) -> tuple[str, str]:
        """Return what it printed, and what it logged of pages."""
        self.runs += 1
        done = subprocess.run(
            ["chromium", *FLAGS, f"--user-data-dir={self.folder}/{self.runs}", *arguments],
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        return done.stdout, "\n".join(re.findall(r".*CONSOLE.*", done.stderr))

    def measured(self, page: str, script: str, width: int) -> Any:
        """Return what a script finds in a page that is so wide, which may run none itself."""
        frame = self.folder / f"frame-{self.runs}.html"
        asking = (
            "const inner = document.querySelector('iframe').contentDocument, found = document.createElement('pre');"
            f"found.textContent = JSON.stringify({script}); document.body.append(found);"
        )
        frame.write_text(
            f'<!DOCTYPE html><meta charset="utf-8"><body><iframe srcdoc="{escape(page, quote=True)}" '
            f'style="width:{width}px;height:600px;border:0"></iframe><script>window.onload=()=>{{{asking}}}</script>'
        )
        printed, log = self.run(f"--window-size={width + 40},800", "--dump-dom", f"file://{frame}")
        assert log == ""
        (found,) = re.findall(r"<pre>(.*)</pre></body>", printed, re.DOTALL)
        return json.loads(unescape(found))

    def picture(self, page: Path, width: int, *flags: str) -> tuple[int, bytes]:
        """Return the width of a picture, and the picture; nothing may be said on the console."""
        target = self.folder / f"picture-{self.runs}.png"
        _, log = self.run(f"--window-size={width},900", *flags, f"--screenshot={target}", f"file://{page}")
        assert log == ""
        png = target.read_bytes()
        return struct.unpack(">I", png[16:20])[0], png


@pytest.fixture
def browser(tmp_path: Path) -> Browser:
    return Browser(tmp_path)


MEASURED = """(() => {
  const beyond = [...inner.querySelectorAll('body *')].filter(each => !each.closest('svg, thead, .name a'))
    .filter(each => each.getBoundingClientRect().right > inner.documentElement.clientWidth + 1)
    .map(each => each.outerHTML.slice(0, 80));
  const texts = [...inner.querySelectorAll('svg.chart, svg.axis')].map(svg =>
    [...svg.querySelectorAll(':scope > text')].filter(each => getComputedStyle(each).display !== 'none').map(each => {
      const box = each.getBoundingClientRect();
      return [box.left, box.top, box.right, box.bottom, each.textContent];
    }));
  return {width: inner.documentElement.clientWidth, scroll: inner.documentElement.scrollWidth, beyond, texts};
})()"""
"""What is wider than the page, but for names that are cut off; and where the letters of charts are."""


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_wider_than_the_screen_and_no_letters_of_a_chart_lie_upon_others(
    report: Path, browser: Browser, width: int
) -> None:
    found = browser.measured(report.read_text(), MEASURED, width)

    charts = found.pop("texts")
    assert found == {"width": width, "scroll": width, "beyond": []}
    assert sum(map(len, charts)) > 50
    for texts in charts:
        for (left, top, right, bottom, text), other in combinations(texts, 2):
            is_apart = right <= other[0] or other[2] <= left or bottom <= other[1] or other[3] <= top
            assert is_apart, (text, other[-1])


DRAWN = """(() => ({
  charts: inner.querySelectorAll('svg.chart').length,
  empty: [...inner.querySelectorAll('svg.chart')].filter(svg => !svg.querySelector('path.line')).length,
  flat: [...inner.querySelectorAll('svg')].filter(svg => svg.getBoundingClientRect().width < 10
    && !svg.classList.contains('defs')).length,
  marks: new Set([...inner.querySelectorAll('use.mark')].map(each => each.getAttribute('href'))).size,
  scripts: inner.scripts.length,
  title: inner.title,
  heading: inner.querySelector('h1').textContent,
}))()"""


def test_everything_is_drawn(report: Path, browser: Browser) -> None:
    found = browser.measured(report.read_text(), DRAWN, 1280)

    assert found.pop("charts") > 20
    assert found.pop("title").startswith("Incident report: What happened, ")
    assert found == {"empty": 0, "flat": 0, "marks": 4, "scripts": 0, "heading": "What happened"}


def test_it_is_drawn_light_and_dark_without_a_word_on_the_console(report: Path, browser: Browser) -> None:
    width, light = browser.picture(report, 1280)
    _, dark = browser.picture(report, 1280, "--blink-settings=preferredColorScheme=0")

    assert width == 1280
    assert light != dark
