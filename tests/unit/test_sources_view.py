"""The view of sources says how reading goes, what it costs, and what cannot be read."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from fakes import SECOND_NS, START_WALL_NS
from hypothesis import given
from hypothesis import strategies as st
from samples import HOSTILE_NAMES, sample_of, snapshot_after, text_of, unsafe

from topcon.model.sample import OwnSample, Problem, RuntimeSample, SourceSample, TierSample
from topcon.model.snapshot import Cost
from topcon.ui.sources import Terminal, source_lines, to_duration_text
from topcon.ui.spans import Tone, width_of

if TYPE_CHECKING:
    from topcon.model.snapshot import Snapshot
    from topcon.ui.spans import Spans

DRAWN = Terminal(5000, 1200.0)
DAY_NS = 86400 * SECOND_NS


def seen(*, cost: Cost | None = None, **others: Any) -> Snapshot:
    return replace(snapshot_after(sample_of(**others)), cost=cost)


def lines_of(snapshot: Snapshot, width: int = 79, terminal: Terminal = DRAWN) -> list[Spans]:
    return source_lines(snapshot, terminal, width)


def line_with(snapshot: Snapshot, text: str, width: int = 79) -> str:
    (line,) = [shown for line in lines_of(snapshot, width) if (shown := text_of(line)).strip().startswith(text)]
    return line


def docker(**options: Any) -> RuntimeSample:
    given: dict[str, Any] = {"name": "docker", "socket": "/run/docker.sock", "up": True, "is_listed": True}
    return RuntimeSample(**(given | options))


@pytest.mark.parametrize(
    ("succeeded_ns", "said"),
    [
        (START_WALL_NS, "now"),
        (START_WALL_NS - SECOND_NS, ":"),
        (START_WALL_NS - 3 * DAY_NS, " "),
        (None, "never"),
    ],
)
def test_each_source_is_listed_with_its_last_good_reading(succeeded_ns: int | None, said: str) -> None:
    snapshot = seen(sources=(SourceSample("cgroup", 0.0042, 3, succeeded_ns),))

    cells = line_with(snapshot, "cgroup").split()
    assert cells[:4] == ["cgroup", "4.2", "ms", "3"]
    assert said in f" {' '.join(cells[4:])}"


def test_a_time_of_day_is_only_said_of_today() -> None:
    today, before = (
        " ".join(line_with(seen(sources=(SourceSample("host", 0.1, 1, when),)), "host").split()[4:])
        for when in (START_WALL_NS - SECOND_NS, START_WALL_NS - 3 * DAY_NS)
    )

    assert today.count(":") == 2
    assert before.count(":") == 1
    assert len(before.split()) == 3


def test_tiers_stand_below_their_source_with_how_much_was_read() -> None:
    tiers = (TierSample("hot", 0.001, 1000), TierSample("warm", 0.0005, 12))
    snapshot = seen(sources=(SourceSample("cgroup", 0.0015, 0, START_WALL_NS, tiers),))

    assert line_with(snapshot, "hot").split() == ["hot", "1.0", "ms", "1000"]
    assert line_with(snapshot, "warm").split() == ["warm", "0.50", "ms", "12"]


@pytest.mark.parametrize(
    ("runtime", "state", "tone"),
    [
        (docker(), "up", Tone.GOOD),
        (docker(up=False, silent_s=1.5, errors=1), "no answer", Tone.BAD),
        (docker(up=False, silent_s=12.3), "silent 12 s", Tone.BAD),
        (docker(up=False, is_listed=False), "is asked", Tone.PLAIN),
    ],
)
def test_the_state_of_a_runtime_is_told(runtime: RuntimeSample, state: str, tone: Tone) -> None:
    spans = [span for line in lines_of(seen(runtimes=(runtime,))) for span in line if span.text.strip() == state]

    assert [span.tone for span in spans] == [tone]


def test_a_runtime_says_what_its_daemon_uses_and_who_that_is() -> None:
    snapshot = seen(runtimes=(docker(daemon_pid=812, daemon_cpu_s=0.42, duration_s=0.012, container_count=40),))

    line = line_with(snapshot, "docker", 120)
    assert line.split() == [
        *("docker", "12", "ms", "40", "0", "never", "up"),
        *("420", "ms", "/run/docker.sock,", "pid", "812"),
    ]
    assert line_with(snapshot, "/run/docker.sock", 79).strip() == "/run/docker.sock, pid 812"


def test_no_runtime_is_said_too() -> None:
    assert line_with(seen(runtimes=()), "no socket") != ""


def test_what_topcon_costs_is_told() -> None:
    own = OwnSample(12.0, 40 << 20, 1.0, 1.0, 0.02)
    snapshot = seen(cost=Cost(0.012, 0.004, 40 << 20, 1.0, is_slowed=False), own=own)

    assert line_with(snapshot, "CPU  ").split(maxsplit=1)[1] == "1.2% of one core"
    assert line_with(snapshot, "CPU of daemons").split("  ")[-1] == "0.4% of one core"
    assert line_with(snapshot, "memory").split()[1] == "40.0M"
    assert line_with(snapshot, "to the screen").split()[-1] == "1.17k/s"
    assert line_with(snapshot, "interval").split(maxsplit=1)[1] == "every 1 s"
    assert line_with(snapshot, "budget").split(maxsplit=1)[1] == "2% of one core"


def test_when_it_is_slowed_it_says_why() -> None:
    own = OwnSample(12.0, None, 4.2, 1.0, 0.02)
    snapshot = seen(cost=Cost(0.02, None, None, 4.2, is_slowed=True), own=own)

    assert line_with(snapshot, "interval").endswith("every 4.2 s, to stay within 2%; 1 s was asked for")
    assert line_with(snapshot, "memory").split()[1] == "-"


def test_a_recorded_host_says_nothing_of_topcon() -> None:
    texts = [text_of(line).strip() for line in lines_of(seen(), terminal=Terminal(None, None))]

    assert not [text for text in texts if text.startswith(("CPU", "memory", "interval", "budget", "to the screen"))]


def test_problems_stand_with_what_mends_them() -> None:
    snapshot = seen(problems=(Problem("cgroup", "permission denied", "sudo topcon"), Problem("docker", "no answer")))

    texts = [text_of(line).strip() for line in lines_of(snapshot)]
    assert texts[texts.index("Problems") + 1 :] == ["cgroup: permission denied", "sudo topcon", "docker: no answer"]
    assert "Problems" not in [text_of(line).strip() for line in lines_of(seen())]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "-"), (0.0, "0.00 ms"), (0.000_312, "0.31 ms"), (0.0042, "4.2 ms"), (0.042, "42 ms"), (1.24, "1.2 s")],
)
def test_a_duration_has_two_digits(seconds: float | None, text: str) -> None:
    assert to_duration_text(seconds) == text


def test_the_same_sample_gives_the_same_lines() -> None:
    own = OwnSample(12.0, 40 << 20, 1.0, 1.0, None)
    sources = (SourceSample("host", 0.1, 0, START_WALL_NS),)
    first, second = (lines_of(seen(own=own, sources=sources, seconds=0)) for _ in range(2))

    assert first == second


@given(st.integers(1, 200), st.sampled_from(sorted(HOSTILE_NAMES)))
def test_no_line_is_wider_than_the_screen_and_nothing_hostile_gets_through(width: int, kind: str) -> None:
    name = HOSTILE_NAMES[kind]
    snapshot = seen(
        sources=(SourceSample(name, 1e6, 10**9, 1, (TierSample(name, 1e9, 10**12),)),),
        runtimes=(docker(name=name, socket=name, silent_s=1e9, errors=10**9, daemon_pid=1, daemon_cpu_s=1e9),),
        problems=(Problem(name, name, name),),
        own=OwnSample(1.0, 1, 1.0, 1.0, 0.02),
        cost=Cost(None, None, None, 1.0, is_slowed=True),
    )

    for line in lines_of(snapshot, width):
        assert not unsafe(text_of(line))
        assert width_of(line) <= width
