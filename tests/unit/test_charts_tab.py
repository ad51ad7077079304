"""The tab of charts: which ones, how high, what is read at the cursor, and where keys take it."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import (
    SECOND_NS,
    docker_key,
    interface,
    netns_of,
    pressures,
    running,
    sample_of,
    snapshot_after,
    text_of,
    unhurried_in_making,
)

from topcon.model.derive import derive
from topcon.model.sample import OwnSample
from topcon.rows import group_of
from topcon.ui.chart import GUTTER
from topcon.ui.spans import Tone, width_of
from topcon.ui.tabs.charts import DOES, LEAST_ROWS, TWO_WIDE, Charts, charts_entries
from topcon.ui.tabs.seen import Seen

if TYPE_CHECKING:
    from topcon.columns import Node
    from topcon.model.snapshot import Snapshot

SMALL, LARGE = (79, 18), (159, 44)
"""What is left of 80x24 and of 160x50."""
SDA = (8, 0)


def after(ticks: int, **options: Any) -> Snapshot:
    """Return the snapshot after so many seconds in which the CPU was busier each second."""
    snapshot, usage_usec = None, 0
    for at in range(ticks):
        usage_usec += at * 1000
        box = running(
            "web",
            **(
                {
                    "usage_usec": usage_usec,
                    "limit_cores": 2.0,
                    "nr_periods": at * 10,
                    "nr_throttled": at * 5,
                    "current": 100 << 20,
                    "limit": 200 << 20,
                    "io": {SDA: (at * 1024, at * 2048)},
                    "pressure": pressures(cpu=at * 100_000),
                }
                | options
            ),
        )
        networks = {netns_of("web"): {"eth0": interface(at * 1000, at * 3000)}}
        snapshot = derive(snapshot, sample_of(box, seconds=at, networks=networks))
    assert snapshot is not None
    return snapshot


def seen(snapshot: Snapshot, size: tuple[int, int] = SMALL, node: Node | None = None, **state: Any) -> Seen:
    return Seen(snapshot, node or snapshot.containers[docker_key("web")], *size, state=Charts(**state))


def lines_of(what: Seen) -> list[str]:
    return [text_of(entry.spans) for entry in charts_entries(what)]


def titles(what: Seen) -> list[str]:
    spans = [entry.spans[0] for entry in charts_entries(what) if entry.spans]
    return [span.text.strip() for span in spans if span.tone is Tone.ACCENT]


def reading(what: Seen, title: str) -> str:
    return next(line for line in lines_of(what) if line.startswith(f" {title}")).strip()


# Which there are, and how high


def test_at_80x24_three_charts_are_whole() -> None:
    what = seen(after(20))

    assert titles(what) == ["CPU", "memory", "I/O", "network", "pressure"]
    assert lines_of(what)[SMALL[1]].startswith(" network")


def test_at_160x50_all_charts_are_in_sight() -> None:
    assert len(lines_of(seen(after(20), LARGE))) <= LARGE[1]


def test_charts_stand_beside_each_other_where_it_is_wide_and_low() -> None:
    lines = lines_of(seen(after(20), (TWO_WIDE, 18)))

    assert len(lines) <= 18
    assert " memory" in lines[0]
    assert lines[0].startswith(" CPU")


@unhurried_in_making
@given(st.integers(1, 300), st.integers(1, 100), st.sampled_from([60.0, 600.0, 3600.0]), st.booleans())
def test_no_line_is_wider_than_the_screen(width: int, height: int, span_s: float, is_set: bool) -> None:
    snapshot = SHORT
    at_ns = snapshot.sample.monotonic_ns - 5 * SECOND_NS if is_set else None

    for entry in charts_entries(seen(snapshot, (width, height), span_s=span_s, at_ns=at_ns)):
        assert width_of(entry.spans) <= max(width, GUTTER + 1, 40)


SHORT = after(20)


def test_charts_are_no_lower_than_can_be_read() -> None:
    lines = lines_of(seen(after(5), (79, 3)))

    assert lines.index(next(line for line in lines if line.startswith(" memory"))) == LEAST_ROWS + 2


def test_what_is_not_known_here_is_named_and_not_drawn() -> None:
    snapshot = snapshot_after(*(sample_of(running("web", pressure=None), seconds=at) for at in range(3)))

    what = seen(snapshot)

    assert titles(what) == ["CPU", "memory", "I/O"]
    assert lines_of(what)[-1].split() == ["unknown", "network,", "pressure"]


def test_without_a_limit_there_is_no_throttling() -> None:
    assert "throttled" not in reading(seen(after(5, limit_cores=None)), "CPU")


# What is read


def test_without_a_cursor_the_newest_values_are_read() -> None:
    snapshot = after(20)
    what = seen(snapshot)

    assert reading(what, "CPU") == "CPU  0.02 cores  limit 2.00 cores  throttled 50%"
    assert "working set 100M" in reading(what, "memory")
    assert "┄ limit 200M" in reading(what, "memory")
    assert reading(what, "I/O") == "I/O  read 1.00k/s  written 2.00k/s"
    assert reading(what, "network") == "network  received 1000/s  sent 2.93k/s"
    assert reading(what, "pressure") == "pressure  some waited for CPU 10%  memory 0%  I/O 0%"


def test_at_the_cursor_the_value_of_its_time_is_read() -> None:
    snapshot = after(120)
    at_ns = snapshot.sample.monotonic_ns - 30 * SECOND_NS

    shown = reading(seen(snapshot, LARGE, at_ns=at_ns, span_s=60.0), "CPU")

    clock = time.strftime("%H:%M", time.gmtime((snapshot.sample.wall_ns - 30 * SECOND_NS) // SECOND_NS))
    assert f"  {clock}:" in shown
    assert "  0.09 cores" in shown


def test_before_there_was_anything_nothing_is_read() -> None:
    snapshot = after(20)
    at_ns = snapshot.sample.monotonic_ns - 300 * SECOND_NS

    assert "  - cores" not in reading(seen(snapshot, at_ns=at_ns), "CPU")
    assert "  -  " in reading(seen(snapshot, at_ns=at_ns), "CPU")


def test_a_limit_that_is_far_is_said_and_not_drawn() -> None:
    lines = lines_of(seen(after(20)))

    assert lines[0].count("┄") == 0
    assert "limit 2.00" in lines[0]
    assert not any("┄" in line for line in lines[1:6])


def test_a_group_is_drawn_as_the_sum_of_its_containers() -> None:
    def at(seconds: int) -> Any:
        info = {"image": "shop"}
        boxes = [running(name, info=info, usage_usec=seconds * 300_000) for name in ("a", "b")]
        return sample_of(*boxes, seconds=seconds)

    snapshot = snapshot_after(*map(at, range(4)))
    key = next(key for key in ("images:shop", "image:shop") if group_of(snapshot, key))

    assert "0.60 cores" in reading(seen(snapshot, node=group_of(snapshot, key)), "CPU")


# Where keys take it


def pressed(what: Seen, *verbs: str) -> Seen:
    for verb in verbs:
        assert isinstance(what.state, Charts)
        what = what._replace(state=DOES[verb](what.state, what))
    return what


def at_s(what: Seen) -> float | None:
    """How many seconds ago the cursor is."""
    assert isinstance(what.state, Charts)
    if what.state.at_ns is None:
        return None
    return (what.snapshot.sample.monotonic_ns - what.state.at_ns) / SECOND_NS


def test_left_goes_back_by_a_column_and_right_on_until_now() -> None:
    what = seen(after(100))

    once, twice = pressed(what, "left"), pressed(what, "left", "left")

    first, second = at_s(once), at_s(twice)
    assert first is not None
    assert second is not None
    assert second - first == pytest.approx(600 / (79 - GUTTER), rel=0.01)
    assert at_s(pressed(twice, "right", "right")) is None
    assert at_s(pressed(what, "right")) is None


def test_home_goes_to_the_oldest_and_no_further_and_end_to_now() -> None:
    oldest = pressed(seen(after(100)), "first")

    assert at_s(oldest) == pytest.approx(590, abs=10)
    assert at_s(pressed(oldest, "left", "left")) == at_s(oldest)
    assert at_s(pressed(oldest, "last")) is None


def test_the_cursor_stays_at_its_time_while_time_goes_on() -> None:
    snapshot = after(100)
    what = pressed(seen(snapshot), "left", "left", "left")
    before = reading(what, "CPU")

    later = replace(snapshot.sample, wall_ns=snapshot.sample.wall_ns + 9 * SECOND_NS)
    later = replace(later, monotonic_ns=snapshot.sample.monotonic_ns + 9 * SECOND_NS)
    after_it = derive(snapshot, later)

    assert reading(what._replace(snapshot=after_it, node=after_it.containers[docker_key("web")]), "CPU") == before


def spans_s(what: Seen, verb: str, presses: int) -> list[float]:
    shown = []
    for _ in range(presses):
        assert isinstance(what.state, Charts)
        shown.append(what.state.span_s)
        what = pressed(what, verb)
    return shown


def test_plus_and_minus_show_less_and_more_time_as_far_as_it_goes() -> None:
    what = seen(after(5))

    assert spans_s(what, "more", 4) == [600.0, 300.0, 60.0, 60.0]
    assert spans_s(what, "less", 3) == [600.0, 3600.0, 3600.0]


@pytest.mark.parametrize(
    ("interval_s", "least", "most"), [(0.1, 60.0, 300.0), (1.0, 60.0, 3600.0), (30.0, 300.0, 86400.0)]
)
def test_what_can_be_shown_is_what_is_remembered(interval_s: float, least: float, most: float) -> None:
    snapshot = after(5)
    own = OwnSample(1.0, None, interval_s, interval_s, None)
    what = seen(replace(snapshot, sample=replace(snapshot.sample, own=own)))

    assert spans_s(what, "more", 9)[-1] == least
    assert spans_s(what, "less", 9)[-1] == most
