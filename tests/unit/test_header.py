"""The lines around the tree: where, how much, and what is wrong, in whatever width there is."""

from __future__ import annotations

import time
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import (
    HOSTILE_NAMES,
    docker_key,
    history_of,
    host_of,
    node_of,
    pod_of,
    sample_of,
    snapshot_after,
    text_of,
    tree_of,
    unhurried_in_making,
    unsafe,
)

from topcon.findings import DEFAULT_THRESHOLDS, Threshold
from topcon.model.sample import CgroupMode, OwnSample, Problem, State
from topcon.model.snapshot import Cost, Finding, HostNode, PressureShare, PressureShares, Severity
from topcon.ui.header import Status, header_lines, wrong_line
from topcon.ui.spans import Span, Tone, width_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from topcon.model.snapshot import Snapshot
    from topcon.ui.spans import Spans


CRITICAL, WARNING, INFO = Severity.CRITICAL, Severity.WARNING, Severity.INFO
SECOND_STATUS = Status(1.0)
HOSTILE = "".join(HOSTILE_NAMES.values())
WIDTHS = st.integers(1, 200)


def lines(snapshot: Snapshot, width: int = 160, **status: Any) -> list[str]:
    return [text_of(line) for line in header_lines(snapshot, Status(**({"interval_s": 1.0} | status)), width)]


def wrong(snapshot: Snapshot, notice: Span | None = None, width: int = 160, own: Problem | None = None) -> str:
    return text_of(wrong_line(snapshot, notice, width, own))


def toned(spans: Spans, tone: Tone) -> list[str]:
    return [span.text.strip() for span in spans if span.tone is tone and span.text.strip()]


def finding(name: str, severity: Severity, summary: str = "is sick", code: str = "code") -> Finding:
    return Finding(code, severity, docker_key(name), summary, "advice")


def host_node(**options: Any) -> HostNode:
    return HostNode(**({"sample": host_of(), "cpu_cores": None, "pressure": None} | options))


SHOP = pod_of(node_of("web"), node_of("db"), node_of("old", state=State.EXITED), name="shop")


@pytest.fixture
def tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A clock nine hours ahead."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "JST-9")
        time.tzset()
        yield
    time.tzset()


# Where


@pytest.mark.usefixtures("tokyo")
def test_the_first_line_says_where_and_when_it_is_on_the_wall() -> None:
    (where, _) = lines(tree_of(SHOP, mode=CgroupMode.V2), 120)

    assert where.startswith(" testhost · 6.12.0-test · up 1d 3h · cgroup v2   2 up · 1 stopped")
    assert where.endswith("1s  23:13:20 ")
    assert len(where) == 120


@pytest.mark.parametrize("width", [80, 160])
def test_an_interval_that_was_made_longer_for_the_budget_says_so(width: int) -> None:
    own = OwnSample(1.0, None, 4.2, 1.0, 0.02)
    slowed = replace(tree_of(SHOP, own=own), cost=Cost(0.02, None, None, 4.2, is_slowed=True))
    kept = replace(slowed, cost=Cost(0.01, None, None, 1.0, is_slowed=False))

    assert " every 4.2 s, to stay within 2%  " in lines(slowed, width)[0]
    assert " 1s  " in lines(kept, width)[0]


def test_a_host_without_cgroups_has_a_dash_for_them() -> None:
    assert " · cgroup - " in lines(tree_of())[0]


def test_what_is_less_important_gives_way_on_a_narrow_screen() -> None:
    snapshot = tree_of(SHOP, mode=CgroupMode.V2, findings=[finding("web", CRITICAL)])

    assert "6.12.0-test" not in lines(snapshot, 80)[0]
    assert " · up 1d 3h · cgroup v2 " in lines(snapshot, 80)[0]
    assert "cgroup" not in lines(snapshot, 70)[0]
    assert lines(snapshot, 40)[0] == " testhost   2 up · 1 stopped   ■ 1   1s "
    assert lines(snapshot, 20)[0] == " testhost   ■ 1     "


def test_that_it_records_is_said_before_the_kernel_and_gives_way_to_what_is_sick() -> None:
    snapshot = tree_of(SHOP, mode=CgroupMode.V2, findings=[finding("web", CRITICAL)])
    status = {"recording": Span("● rec"), "interval_s": 1.0}

    assert " ● rec  1s " in lines(snapshot, 80, **status)[0]
    assert lines(snapshot, 32, **status)[0] == " testhost   2 up   ■ 1    ● rec "
    assert lines(snapshot, 20, **status)[0] == " testhost   ■ 1     "


def test_it_counts_what_is_sick_but_not_what_is_only_worth_knowing() -> None:
    found = [finding("web", severity) for severity in (CRITICAL, WARNING, WARNING, INFO, INFO, INFO)]

    where = header_lines(tree_of(SHOP, findings=found), SECOND_STATUS, 120)[0]

    assert toned(where, Tone.BAD) == ["■ 1"]
    assert toned(where, Tone.WARN) == ["▲ 2"]


def test_it_says_that_stopped_ones_are_hidden() -> None:
    assert "1 stopped hidden" in lines(tree_of(SHOP), hidden=("stopped",))[0]
    assert "hidden" not in lines(tree_of(SHOP))[0]
    assert "stopped" not in lines(tree_of(pod_of(node_of("web"))), hidden=("stopped",))[0]


@pytest.mark.parametrize(
    ("status", "shown"),
    [
        ({"filter": "web db"}, "/web db"),
        ({"filter": "\x1b[2J"}, "/\\x1b[2J"),
        ({"is_frozen": True}, "FROZEN"),
        ({"is_read_only": True}, "read-only"),
        ({"recording": Span("● rec")}, " ● rec "),
        ({"endpoint": "127.0.0.1:9338"}, "127.0.0.1:9338"),
        ({"interval_s": 0.5}, "0.5s"),
        ({"filter": "web", "matches": 2}, "2 of 3"),
        ({"hidden": ("sandboxes", "system")}, "hides sandboxes, system"),
        ({"only_sick": True}, "only sick"),
        ({"marked": 4}, "4 marked"),
        ({"has_mouse": False}, "mouse off"),
        ({"age_s": 12.3}, "12s old"),
    ],
)
def test_what_is_unusual_about_topcon_itself_is_said(status: dict[str, Any], shown: str) -> None:
    usual = lines(tree_of(SHOP))[0]

    assert shown in lines(tree_of(SHOP), **status)[0]
    assert shown not in usual


def test_a_frozen_screen_and_a_filter_are_told_of_on_the_narrowest_screen_too() -> None:
    where = lines(tree_of(SHOP), 40, is_frozen=True, filter="web")[0]

    assert "FROZEN" in where
    assert "/web" in where


# How much


def test_the_second_line_says_how_much() -> None:
    pressure = PressureShares(PressureShare(0.02, None), PressureShare(0.0, 0.0), PressureShare(0.21, 0.1))
    host = host_node(cpu_cores=5.94, pressure=pressure, cpu_history=history_of(0.5), memory_history=history_of(0.25))

    how_much = header_lines(tree_of(host=host), SECOND_STATUS, 160)[1]

    drawn = text_of(how_much)
    assert " 5.9/2 " in drawn
    assert " 2.00G/8.00G " in drawn
    assert [drawn.split(name)[1].split()[0] for name in (" cpu ", " mem ", " io ")] == ["2%", "0%", "21%"]
    assert toned(how_much, Tone.WARN) == ["21%"]
    assert [bars.strip() for bars in toned(how_much, Tone.ACCENT)] == ["▅", "▃"]


@pytest.mark.parametrize(("share", "tone"), [(None, Tone.DIM), (0.0, Tone.DIM), (0.2, Tone.PLAIN), (0.21, Tone.WARN)])
def test_pressure_is_bright_where_it_would_be_a_finding(share: float | None, tone: Tone) -> None:
    host = host_node(pressure=PressureShares(cpu=PressureShare(share, None)))
    spans = header_lines(tree_of(host=host), SECOND_STATUS, 80)[1]

    at = next(at for at, span in enumerate(spans) if span.text == " cpu ")

    assert spans[at + 1].tone is tone


@pytest.mark.parametrize(
    ("name", "bright"), [("cpu_starved", " cpu "), ("memory_stalled", " mem "), ("io_stalled", " io ")]
)
def test_pressure_is_bright_above_the_threshold_in_force_of_its_own_finding(name: str, bright: str) -> None:
    shares = {each: PressureShare(0.1, None) for each in ("cpu", "memory", "io")}
    status = replace(SECOND_STATUS, thresholds=replace(DEFAULT_THRESHOLDS, **{name: Threshold(0.05, 0.9)}))
    spans = header_lines(tree_of(host=host_node(pressure=PressureShares(**shares))), status, 80)[1]

    marked = [before.text for before, span in pairwise(spans) if span.tone is Tone.WARN]
    assert marked == [bright]


def test_in_the_first_snapshot_the_rates_are_dashes() -> None:
    how_much = lines(snapshot_after(sample_of()))[1]

    assert " -/2 " in how_much
    assert [how_much.split(name)[1].split()[0] for name in (" cpu ", " mem ", " io ")] == ["-", "-", "-"]


def test_a_kernel_without_pressure_has_one_dash_for_it() -> None:
    how_much = lines(tree_of(host=host_node(sample=host_of(pressure=None), cpu_cores=0.1)))[1]

    assert how_much.endswith("PSI -")


def test_at_eighty_columns_everything_of_the_second_line_is_there() -> None:
    pressure = PressureShares(*[PressureShare(1.0, 1.0)] * 3)
    sample = host_of(cpus=128, memory_total_bytes=1023 << 30, memory_used_bytes=1000 << 30)
    host = host_node(sample=sample, cpu_cores=127.9, pressure=pressure, cpu_history=history_of(*(1.0,) * 60))

    how_much = lines(tree_of(host=host), 80)[1]

    assert "…" not in how_much
    assert how_much.count("100%") == 3


# Any width


@unhurried_in_making
@given(WIDTHS, st.sampled_from(list(HOSTILE_NAMES.values())), st.booleans())
def test_no_line_is_wider_than_the_screen_or_moves_the_cursor(width: int, name: str, is_odd: bool) -> None:
    snapshot = tree_of(
        pod_of(node_of(name)),
        findings=[finding(name, CRITICAL)],
        host=HostNode(host_of(name=name, kernel=name), 1.0, None),
        problems=(Problem(name, name, name),) * 3 if is_odd else (),
    )
    status = Status(
        1.0, filter=name, is_frozen=is_odd, is_read_only=True, endpoint="[::1]:9338", hidden=("stopped", "system")
    )

    for line in [
        *header_lines(snapshot, status, width),
        wrong_line(snapshot, Span("stopped web") if is_odd else None, width),
    ]:
        assert width_of(line) <= width
        assert unsafe(text_of(line)) == set()


# What is wrong


def test_nothing_is_said_where_nothing_is_wrong() -> None:
    assert wrong(tree_of(SHOP, findings=[finding("web", INFO)])).strip() == ""


def test_what_was_just_done_is_said_whole_before_anything_else() -> None:
    notice = "cannot remove shop-web-1: it is running; stop it first"
    snapshot = tree_of(SHOP, findings=[finding("web", CRITICAL, "was killed for memory")])

    assert wrong(snapshot, Span(notice), 70) == f" {notice}"
    assert wrong(snapshot, Span(notice), 90) == f" {notice}   ■ web was killed for memory"


@pytest.mark.parametrize("width", [0, 1])
def test_a_window_without_room_is_no_trouble(width: int) -> None:
    assert wrong(tree_of(SHOP), width=width).strip() == ""
    assert all(len(line) <= width for line in lines(tree_of(SHOP), width))


def test_the_worst_finding_is_said_in_words() -> None:
    found = [finding("db", CRITICAL, "was killed"), finding("web", CRITICAL), finding("web", WARNING)]

    spans = wrong_line(tree_of(SHOP, findings=found), None, 80)

    assert toned(spans, Tone.BAD) == ["■ db was killed"]
    assert text_of(spans).strip() == "■ db was killed"


def test_a_problem_says_how_to_mend_it_and_how_many_more_there_are() -> None:
    problems = (Problem("docker", "permission denied", "sudo topcon"), Problem("cgroup", "lost"), Problem("x", "y"))

    assert wrong(tree_of(problems=problems[:1])).strip() == "docker: permission denied; sudo topcon"
    assert wrong(tree_of(problems=problems)).strip() == "docker: permission denied; sudo topcon (+2: topcon doctor)"


def test_what_no_sample_holds_comes_before_what_one_does() -> None:
    silent = Finding("runtime-silent", WARNING, "runtime:docker", "docker is silent", "advice")
    snapshot = tree_of(problems=(Problem("docker", "no answer"),), findings=[silent])

    drawn = wrong(snapshot, own=Problem("recording", "database or disk is full"))

    assert drawn.strip() == "recording: database or disk is full (+1: topcon doctor)   ▲ docker is silent"


def test_what_was_just_done_comes_before_what_cannot_be_read_and_what_is_worst() -> None:
    snapshot = tree_of(SHOP, findings=[finding("web", WARNING)], problems=(Problem("docker", "no answer for 12 s"),))

    assert wrong(snapshot, Span("stopped db", Tone.ACCENT)).split("   ") == [
        " stopped db",
        "docker: no answer for 12 s",
        "▲ web is sick",
    ]


def test_a_long_part_leaves_the_others_their_share() -> None:
    snapshot = tree_of(SHOP, findings=[finding("web", CRITICAL)], problems=(Problem("docker", "x" * 300),))

    drawn = wrong(snapshot, Span("stopped db"), 80)

    assert "stopped db" in drawn
    assert "docker: xxx" in drawn
    assert "■ web is sick" in drawn


WRONG_LINE = Problem("config", "/home/me/.config/topcon/config.toml:12: column: no such setting; did you mean columns?")


@pytest.mark.parametrize(
    ("home", "width", "more", "shown"),
    [
        ("/root", 140, 0, f"config: {WRONG_LINE.message}"),
        ("/home/me", 140, 0, f"config: ~{WRONG_LINE.message.removeprefix('/home/me')}"),
        ("/home/me", 140, 2, f"config: ~{WRONG_LINE.message.removeprefix('/home/me')} (+2: topcon doctor)"),
        ("/home/me", 80, 0, "config.toml:12: column: no such setting; did you mean columns?"),
        ("/home/me", 80, 2, "1 of 3: config.toml:12: column: no such setting; did you mean columns?"),
        ("/home/me", 40, 2, "1 of 3: config.toml:12: column: no suc…"),
    ],
)
def test_of_what_is_wrong_in_a_file_the_line_is_shown_where_its_folder_has_no_room(
    monkeypatch: pytest.MonkeyPatch, home: str, width: int, more: int, shown: str
) -> None:
    monkeypatch.setenv("HOME", home)
    problems = (WRONG_LINE, *[Problem("x", "y")] * more)

    assert wrong(tree_of(problems=problems), width=width).strip() == shown


def test_the_line_of_a_file_is_not_lost_beside_a_finding() -> None:
    drawn = wrong(tree_of(SHOP, findings=[finding("web", CRITICAL, "x" * 80)], problems=(WRONG_LINE,)), width=80)

    assert "config.toml:12: column" in drawn
    assert "■ web xxx" in drawn


def test_a_silent_runtime_is_not_told_of_twice() -> None:
    silent = Finding("runtime-silent", CRITICAL, "runtime:docker", "docker has not answered for 12 s", "advice")
    snapshot = tree_of(
        SHOP, findings=[silent, finding("web", WARNING)], problems=(Problem("docker", "no answer for 12 s"),)
    )

    assert wrong(snapshot).strip() == "docker: no answer for 12 s   ▲ web is sick"


def test_a_silent_runtime_is_told_of_where_another_problem_has_the_line() -> None:
    silent = Finding("runtime-silent", CRITICAL, "runtime:docker", "docker has not answered for 12 s", "advice")
    problems = (Problem("podman", "permission denied", "sudo topcon"), Problem("docker", "no answer for 12 s"))

    assert "answer" in wrong(tree_of(SHOP, findings=[silent], problems=problems))
