"""``topcon report``: a page out of a part of a recording."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from html import unescape
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from played import PlayedHost
from running import Answer

from topcon import cli
from topcon.moment import to_moment_text
from topcon.recording.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TICKS = 30


@pytest.fixture(autouse=True)
def _own_psutil_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give psutil's root, which a reader sets, back after the test."""
    monkeypatch.setattr(psutil, "PROCFS_PATH", psutil.PROCFS_PATH)


@pytest.fixture(scope="module")
def times_ns() -> list[int]:
    """When its samples were taken, once there is a recording."""
    return []


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory, times_ns: list[int]) -> Path:
    folder = tmp_path_factory.mktemp("played")
    host = PlayedHost(folder / "host")
    writer = Writer(folder / "incident.topcon")
    for _ in range(TICKS):
        snapshot = host.tick()
        times_ns.append(snapshot.sample.wall_ns)
        writer.write(snapshot)
    writer.close()
    host.close()
    return folder / "incident.topcon"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    """Run the command in this process."""

    def run(*arguments: object) -> Answer:
        try:
            status: Any = cli.main(["report", *map(str, arguments)])
        except SystemExit as end:
            status = end.code
        return Answer(status, *capsys.readouterr())

    return run


def words(page: str) -> str:
    """The text of a page, without its elements."""
    return " ".join(unescape(re.sub(r"<style.*</style>|<[^>]*>", " ", page, flags=re.DOTALL)).split())


def test_the_page_is_of_the_whole_recording(run: Callable[..., Answer], file: Path, times_ns: list[int]) -> None:
    answer = run("--from", file)

    assert (answer.status, answer.err) == (0, "")
    assert answer.out.startswith("<!DOCTYPE html>")
    assert answer.out.endswith("</html>\n")
    text = words(answer.out)
    assert f"From {to_moment_text(times_ns[0])[:19]} To {to_moment_text(times_ns[-1])[:19]}" in text
    assert f"Length {TICKS - 1} s" in text
    assert "shop-worker-1 throttled in" in text


def test_a_part_of_it_has_rates_from_its_first_sample_on(run: Callable[..., Answer], file: Path) -> None:
    text = words(run("--from", file, "--since", "-10s", "--until", "-5s", "--title", "What happened").out)

    assert "Incident report What happened Host" in text
    assert "Length 5 s" in text
    assert "from 6 samples" in text


def test_where_nothing_was_recorded_that_is_one_line(run: Callable[..., Answer], file: Path) -> None:
    answer = run("--from", file, "--since", "2101-01-01")

    assert (answer.status, answer.out) == (64, "")
    assert "there is no sample between --since and --until" in answer.line


def test_what_is_damaged_is_told(run: Callable[..., Answer], file: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.topcon"
    with closing(sqlite3.connect(file)) as whole, closing(sqlite3.connect(damaged)) as copy:
        whole.backup(copy)
        with copy:
            copy.execute("UPDATE frames SET payload = x'00' WHERE wall_ns > (SELECT avg(wall_ns) FROM frames)")

    answer = run("--from", damaged)

    assert answer.status == 1
    assert answer.out.endswith("</html>\n")
    assert answer.err.startswith(f"topcon: {damaged}: damaged")
    assert answer.err.count("\n") == 1
