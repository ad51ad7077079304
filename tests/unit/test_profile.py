"""Where a tick's time goes, as a table."""

from __future__ import annotations

import random
import stat
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import running, sample_of

from topcon import __version__
from topcon.model.derive import derive
from topcon.model.sample import OwnSample, RuntimeSample, SourceSample, TierSample
from topcon.profile import EVERY_S, Durations, Profile

if TYPE_CHECKING:
    from pathlib import Path

    from topcon.model.snapshot import Snapshot

TIERS = (TierSample("hot", 0.002, 400), TierSample("cold", 0.001, 40))
SPENT = {("host", ""): 0.001, ("cgroup", "find"): 0.0005, ("derive", ""): 0.004, ("cgroup", "hot"): 0.002}


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def snapshot(name: str = "web", *, interval_s: float = 1.0, budget: float | None = None, **others: Any) -> Snapshot:
    own = OwnSample(1.5, 50 << 20, interval_s, 1.0, budget)
    runtimes = (
        RuntimeSample("docker", "/run/user/1000/d.sock", up=True, is_listed=True, daemon_cpu_s=0.25),
        RuntimeSample("podman", "/run/p.sock", up=True, is_listed=True),
    )
    sources = (SourceSample("host", 0.1, 0, 1), SourceSample("cgroup", 0.1, 0, 1, TIERS))
    return derive(None, sample_of(running(name), **({"own": own, "runtimes": runtimes, "sources": sources} | others)))


def profiled(path: Path, clock: Clock, ticks: int = 1) -> Profile:
    profile = Profile(path, clock)
    for _ in range(ticks):
        profile.take(snapshot(), 0.01, SPENT)
    return profile


def table(text: str) -> dict[str, list[str]]:
    """Return the cells behind the name of each row."""
    lines = text.split("\n\n")[1].splitlines()
    rows = {}
    for line in lines:
        name, *cells = line.split()
        rows.setdefault(f"{name} {cells.pop(0)}" if len(cells) == 7 else name, cells)
    return rows


# Durations.


@given(st.lists(st.floats(1e-8, 100), min_size=1, max_size=100), st.floats(0.01, 1))
def test_a_quantile_is_off_by_a_twentieth_at_the_most(seconds: list[float], share: float) -> None:
    durations = Durations()
    for each in seconds:
        durations.add(each)

    left = share * len(seconds)
    exact = next((each for at, each in enumerate(sorted(seconds), start=1) if at >= left), max(seconds))
    assert durations.quantile(share) == pytest.approx(exact, rel=0.05)
    assert durations.quantile(share) <= durations.max_s == max(seconds)


def test_of_none_nothing_is_known() -> None:
    assert Durations().quantile(0.5) == 0.0


def test_a_million_take_no_more_room_than_a_few() -> None:
    durations = Durations()
    dice = random.Random(1)
    for _ in range(100_000):
        durations.add(10 ** dice.uniform(-9, 2))
    durations.add(0.0)

    assert durations.count == 100_001
    assert len(durations._buckets) < 300


# The table.


def test_before_the_first_tick_there_is_a_table_without_rows(tmp_path: Path, clock: Clock) -> None:
    text = Profile(tmp_path / "p.txt", clock).text()

    assert text.startswith(f"topcon   {__version__}\n")
    assert table(text)["rest"] == ["-"]
    assert set(table(text)) == {"source", "rest"}


def test_each_part_has_a_row_and_its_share_of_the_tick(tmp_path: Path, clock: Clock) -> None:
    rows = table(profiled(tmp_path / "p.txt", clock, ticks=4).text())

    assert rows["host"] == ["4", "-", "1.000", "1.000", "1.000", "10.0%"]
    assert rows["cgroup hot"] == ["4", "400.0", "2.000", "2.000", "2.000", "20.0%"]
    assert rows["derive"][-1] == "40.0%"
    assert rows["rest"] == ["25.0%"]
    assert rows["tick"] == ["4", "-", "10.000", "10.000", "10.000", "100.0%"]


def test_the_tiers_of_a_source_stand_together(tmp_path: Path, clock: Clock) -> None:
    assert [row.split()[0] for row in table(profiled(tmp_path / "p.txt", clock).text())][1:5] == [
        *("host", "cgroup", "cgroup", "derive")
    ]


def test_what_is_beside_the_tick_has_no_share_of_it(tmp_path: Path, clock: Clock) -> None:
    profile = profiled(tmp_path / "p.txt", clock)
    profile.note("ui", "draw", 0.5, reads=3)
    profile.note("ui", "draw", 0.5, reads=4)

    assert table(profile.text())["ui draw"] == ["2", "3.5", "500.000", "500.000", "500.000", "-"]


def test_numbers_end_in_one_column(tmp_path: Path, clock: Clock) -> None:
    lines = profiled(tmp_path / "p.txt", clock).text().split("\n\n")[1].splitlines()

    assert len({len(line) for line in lines}) == 1


def test_around_it_stands_what_the_host_is_and_what_topcon_costs(tmp_path: Path, clock: Clock) -> None:
    profile = profiled(tmp_path / "p.txt", clock)
    profile.take(snapshot(interval_s=4.2, budget=0.005), 0.01, SPENT)
    clock.now = 30.0

    text = profile.text()

    for words in (
        "ticks       2\n",
        "seconds     30\n",
        "kernel      6.12.0-test\n",
        "containers  1\n",
        "interval    4.2 s, 1 s asked for\n",
        "budget      0.50% of a core\n",
        "cpu of topcon   1.50 s since it was started, - of a core now\n",
        "memory          50.0M\n",
        "docker          0.25 s since topcon was started\n",
        "podman          -\n",
    ):
        assert words in text


def test_a_host_that_is_not_ours_has_no_costs(tmp_path: Path, clock: Clock) -> None:
    profile = Profile(tmp_path / "p.txt", clock)
    profile.take(snapshot(own=None), 0.01, SPENT)

    assert "cpu of topcon" not in profile.text()
    assert "interval" not in profile.text()


def test_nothing_in_it_tells_whose_host_it_is(tmp_path: Path, clock: Clock) -> None:
    profile = Profile(tmp_path / "p.txt", clock)
    profile.take(snapshot("secret-project"), 0.01, SPENT)

    text = profile.text()

    assert all(word not in text for word in ("secret", "testhost", "/run/", "1000", str(tmp_path)))


# The file.


def test_it_is_for_its_owner_alone_and_replaced_whole(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Those of the process that runs the tests come and go.
    monkeypatch.setattr("topcon.profile._DESCRIPTORS", str(tmp_path_factory.mktemp("fd")))
    path = tmp_path / "p.txt"
    path.write_text("x" * 100_000)
    path.chmod(0o644)
    profile = profiled(path, clock)

    profile.write()

    assert path.read_text() == profile.text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_stays_and_what_it_points_to_is_replaced(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "real.txt").write_text("")
    (tmp_path / "p.txt").symlink_to("real.txt")

    profiled(tmp_path / "p.txt", clock).write()

    assert (tmp_path / "p.txt").is_symlink()
    assert (tmp_path / "real.txt").read_text().startswith("topcon")


def test_it_is_written_once_a_minute(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "p.txt"
    profile = profiled(path, clock)
    written = []
    for clock.now in (EVERY_S - 1, EVERY_S, 2 * EVERY_S - 1, 2 * EVERY_S):
        profile.take(snapshot(), 0.01, SPENT)
        written.append(path.exists())
        path.unlink(missing_ok=True)

    assert written == [False, True, False, True]


def test_a_file_that_cannot_be_written_for_a_while_ends_nothing(tmp_path: Path, clock: Clock) -> None:
    folder = tmp_path / "there"
    profile = profiled(folder / "p.txt", clock)
    clock.now = EVERY_S
    profile.take(snapshot(), 0.01, SPENT)
    with pytest.raises(FileNotFoundError):
        profile.write()
    folder.mkdir()

    profile.write()

    assert "ticks       2" in (folder / "p.txt").read_text()


def test_what_could_not_be_put_in_place_leaves_nothing_behind(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "p.txt"
    profile = profiled(path, clock)
    path.mkdir()

    with pytest.raises(IsADirectoryError):
        profile.write()

    assert list(tmp_path.iterdir()) == [path]


def test_a_snapshot_with_costs_tells_their_shares(tmp_path: Path, clock: Clock) -> None:
    first = snapshot()
    now = replace(
        first.sample, monotonic_ns=first.sample.monotonic_ns + 10**9, own=OwnSample(1.75, None, 1.0, 1.0, None)
    )
    profile = Profile(tmp_path / "p.txt", clock)
    profile.take(derive(first, now), 0.01, SPENT)

    assert "since it was started, 25.00% of a core now\n" in profile.text()
    assert "memory          -\n" in profile.text()
