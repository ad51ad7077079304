"""Rows that line up: which columns a screen has room for, and what their cells look like."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from fakes import SECOND_NS, START_WALL_NS
from hypothesis import given
from hypothesis import strategies as st
from samples import (
    HOSTILE_NAMES,
    docker_key,
    history_of,
    node_of,
    pod_of,
    text_of,
    tree_of,
    unhurried_in_making,
    unsafe,
)

from topcon.columns import FIXED, OVERVIEW, SETS, Line, columns_of
from topcon.model.sample import Health, PodKind, State
from topcon.model.snapshot import Finding, PressureShare, PressureShares, Severity, Usage
from topcon.rows import Arrangement, Row, ViewState, rows
from topcon.text import cell_width
from topcon.ui.spans import Span, Tone, width_of
from topcon.ui.table import (
    LEAST_TOP_CORES,
    NAME_WIDTH,
    Layout,
    Moment,
    Slot,
    is_fold_at,
    layout,
    layout_of,
    longest_name,
    nearest,
    row_spans,
    severity_tone,
    short_names,
    title_spans,
    top_cores,
)

if TYPE_CHECKING:
    from topcon.model.snapshot import ContainerNode, PodNode


LEAST, MOST = 16, 300
"""Columns of a screen: with fewer than the least even four cells cannot be drawn."""
WIDE = layout(200)
NOW = Moment(0, START_WALL_NS)


def columns_at(width: int) -> list[str]:
    return [slot.column.name for slot in layout(width).slots]


def bars_at(width: int) -> set[str]:
    return {slot.column.name for slot in layout(width).slots if slot.has_bar}


def without_bars(placed: Layout) -> Layout:
    return replace(placed, slots=tuple(Slot(each.column, each.column.width or each.width) for each in placed.slots))


def taken(placed: Layout) -> int:
    return 1 + sum(slot.width for slot in placed.slots) + placed.gap * (len(placed.slots) - 1)


def row_of(node: ContainerNode | PodNode, severity: Severity | None = None, **options: Any) -> Row:
    return Row("key", line=Line(node, severity), **({"depth": 0} | options))


def cells(row: Row, placed: Layout = WIDE, top: float = 1.0, tick: int = 0) -> dict[str, Any]:
    """Return the span of each column; a bar and its number are one, in the tone of the number."""
    drawn = iter(row_spans(row, placed, top, Moment(tick, START_WALL_NS)))
    result = {}
    for slot in placed.slots:
        next(drawn)
        before = next(drawn).text if slot.has_bar else ""
        span = next(drawn)
        result[slot.column.name] = Span(before + span.text, span.tone)
    assert list(drawn) == []
    return result


def tone(column: str, usage: Usage | None = None, **options: Any) -> Tone:
    return cells(row_of(node_of("web", usage, **options)))[column].tone


# Which columns


@pytest.mark.parametrize(
    ("width", "expected"),
    [
        (40, {"name", "finding", "cpu", "mem"}),
        (80, {"name", "finding", "state", "cpu", "mem", "mem%", "rx", "tx"}),
        (200, {column.name for column in OVERVIEW.columns}),
    ],
)
def test_a_screen_has_at_least_the_columns_that_matter_most(width: int, expected: set[str]) -> None:
    assert expected <= set(columns_at(width))


@unhurried_in_making
@given(st.integers(LEAST, MOST), st.integers(0, 100))
def test_the_columns_never_take_more_than_the_screen(width: int, longest: int) -> None:
    assert taken(layout(width, longest)) <= width


def test_a_wider_screen_never_shows_fewer_columns() -> None:
    lost = {width: set(columns_at(width - 1)) - set(columns_at(width)) for width in range(LEAST + 1, MOST)}

    assert {width: columns for width, columns in lost.items() if columns} == {}


@unhurried_in_making
@given(st.integers(LEAST, MOST))
def test_columns_that_belong_together_come_and_go_together(width: int) -> None:
    shown = columns_at(width)

    assert ("rx" in shown) == ("tx" in shown)
    assert ("read" in shown) == ("write" in shown)


@unhurried_in_making
@given(st.integers(40, MOST), st.integers(0, 100))
def test_names_get_no_more_than_they_want_and_no_less_than_they_need(width: int, longest: int) -> None:
    name = layout(width, longest).slots[0].width

    assert NAME_WIDTH[0] <= name <= min(max(longest, NAME_WIDTH[0]), NAME_WIDTH[1])


def test_bars_come_where_there_is_room_for_all_of_them() -> None:
    assert bars_at(200) == bars_at(120) == {"cpu%", "mem%"}
    assert bars_at(100) == bars_at(80) == {"mem%"}
    assert bars_at(60) == set()


@pytest.mark.parametrize(
    ("width", "expected"),
    [
        (40, "cpu mem"),
        (80, "state cpu mem mem% rx tx"),
        (100, "state cpu cpu% mem mem% throttled psi rx tx age"),
        (140, "state runtime history cpu cpu% mem mem% throttled psi rx tx read write age"),
        (200, "state runtime history cpu cpu% mem mem% throttled psi rx tx read write pids age restarts image"),
    ],
)
def test_which_columns_of_the_overview_are_seen_where_names_are_long(width: int, expected: str) -> None:
    # One column is the scroll bar's.
    assert sorted(columns_at(width - 1)) == sorted(["name", "finding", *expected.split()])


@pytest.mark.parametrize("column_set", [name for name in SETS if name != "overview"])
@pytest.mark.parametrize("width", [40, 80, 120, 200])
def test_in_the_other_sets_and_of_the_persons_own_those_at_the_right_give_way_first(
    column_set: str, width: int
) -> None:
    wanted = [column.name for column in SETS[column_set].columns]

    shown = [slot.column.name for slot in layout_of(width, NAME_WIDTH[1], column_set).slots]

    assert shown == wanted[: len(shown)]
    assert len(shown) > len(FIXED)


# Columns out of sight


def test_scrolling_shows_all_columns_in_the_end_and_goes_no_further() -> None:
    every = [column.name for column in OVERVIEW.columns if column not in FIXED]
    placed = [layout(79, scroll=scroll) for scroll in range(len(every) + 3)]

    seen = {slot.column.name for each in placed for slot in each.slots}
    assert seen == {column.name for column in OVERVIEW.columns}
    assert [each.slots[at].column for each in placed for at in (0, 1)] == [*FIXED] * len(placed)
    assert placed[-1].slots[-1].column.name == every[-1]
    assert placed[-1].scroll < len(every) - 1
    assert [each.has_more for each in placed] == sorted((each.has_more for each in placed), reverse=True)


@pytest.mark.parametrize(("scroll", "mark"), [(0, " →"), (1, "←→"), (30, "← ")])
def test_the_titles_say_where_there_are_more_columns(scroll: int, mark: str) -> None:
    placed = layout(79, scroll=scroll)

    drawn = text_of(title_spans(placed, ViewState()))

    assert drawn[1 + placed.name_width - 2 :].startswith(mark)
    assert len(drawn) == taken(placed)


def test_where_all_columns_have_room_the_titles_say_nothing_of_more() -> None:
    assert not WIDE.has_more
    assert "→" not in text_of(title_spans(WIDE, ViewState()))


# Names that are cut


def named(names: list[str], width: int) -> list[str]:
    """Write the names of containers in a column of this width, with nothing before them."""
    placed = replace(WIDE, slots=(replace(WIDE.slots[0], width=width), *WIDE.slots[1:]))
    shown = [Row(name, 0, Line(node_of(name), None)) for name in names]
    short = short_names(shown, placed)
    return [row_spans(row, placed, 1.0, NOW, name=short.get(row.key))[1].text.strip() for row in shown]


def test_names_that_would_be_cut_to_the_same_keep_what_differs() -> None:
    drawn = named([f"checkout-service-production-{region}-frankfurt-blue" for region in ("one", "two")], 24)

    assert drawn == ["checkou…one-frankfurt…", "checkou…two-frankfurt…"]


def test_names_that_are_cut_and_stay_different_are_cut_in_the_middle() -> None:
    assert named(["checkout-service-production-1", "checkout-service-production-2"], 24) == [
        "checkout-se…oduction-1",
        "checkout-se…oduction-2",
    ]


@unhurried_in_making
@given(st.lists(st.text("ab日", min_size=1, max_size=40), min_size=2, max_size=6), st.integers(10, 40))
def test_a_shortened_name_keeps_to_its_room(names: list[str], width: int) -> None:
    for name in named(names, width):
        assert cell_width(name) <= width - 2


# The mouse


@pytest.mark.parametrize(
    ("x", "expected"), [(0, None), (1, "name"), (32, "name"), (33, "finding"), (34, "finding"), (35, "state")]
)
def test_what_is_at_a_place_of_the_titles(x: int, expected: str | None) -> None:
    placed = layout(79, chosen=columns_of("cpu"))
    assert placed.name_width == 32

    column = placed.column_at(x)

    assert (column.name if column else None) == expected
    assert placed.column_at(taken(placed)) is None


def test_the_sign_that_folds_is_where_it_is_drawn() -> None:
    dind = pod_of(node_of("dind"), node_of("job", outer=docker_key("dind")), name="dind", kind=PodKind.NOMAD)

    for row in rows(tree_of(dind), ViewState()):
        drawn = text_of(row_spans(row, WIDE, 1.0, NOW))
        signs = [x for x in range(20) if is_fold_at(row, WIDE, x)]
        assert [drawn[x] for x in signs] == (["▾", " "] if row.is_expandable else [])


# Where the cursor goes


def test_a_row_is_found_again_or_what_holds_it_or_what_it_held() -> None:
    snapshot = tree_of(pod_of(node_of("db"), node_of("web"), name="shop"), pod_of(node_of("lone")))
    tree, flat, pods = (
        rows(snapshot, ViewState(sort="name", arrangement=arrangement)).rows
        for arrangement in (Arrangement.TREE, Arrangement.FLAT, Arrangement.PODS)
    )
    by_name = {row.line.node.name: row for row in tree}

    assert [flat[nearest(flat, by_name[name]) or 0].line.node.name for name in ("web", "lone", "shop")] == [
        "web",
        "lone",
        "db",
    ]
    assert [pods[nearest(pods, by_name[name]) or 0].line.node.name for name in ("web", "lone", "shop")] == [
        "shop",
        "lone",
        "shop",
    ]
    assert nearest((), by_name["web"]) is None


# Marks


def test_a_mark_is_seen_without_its_colour() -> None:
    row = row_of(node_of("web"))

    plain, marked = (row_spans(row, WIDE, 1.0, NOW, is_marked=is_marked) for is_marked in (False, True))

    assert (text_of(plain)[0], text_of(marked)[0]) == (" ", "•")
    assert text_of(plain)[1:] == text_of(marked)[1:]
    assert marked[1].tone is not plain[1].tone


def test_the_longest_name_counts_the_lines_of_the_tree() -> None:
    shop = pod_of(node_of("日本語"), node_of("db"), name="shop")

    assert longest_name(rows(tree_of(shop), ViewState())) == len("  ├ ") + 6
    assert longest_name([]) == 0


# Widths


@unhurried_in_making
@given(
    st.sampled_from(list(HOSTILE_NAMES)),
    st.integers(LEAST + 4, MOST),
    st.integers(0, 1),
    st.sampled_from(State),
    st.none() | st.floats(0, 4),
)
def test_a_row_is_exactly_as_wide_as_its_titles(
    name: str, width: int, depth: int, state: State, used: float | None
) -> None:
    usage = Usage(cpu_cores=used, cpu_limit_cores=2.0, cpu_history=history_of(*(used,) * 60), memory_bytes=1 << 40)
    row = row_of(node_of(HOSTILE_NAMES[name], usage, state=state), Severity.CRITICAL, depth=depth)
    placed = layout(width, longest_name([row]))

    drawn = row_spans(row, placed, 1.0, Moment(59, START_WALL_NS))

    assert width_of(drawn) == width_of(title_spans(placed, ViewState())) == taken(placed)
    assert unsafe(text_of(drawn)) == set()


@pytest.mark.parametrize("depth", [2, 7, 8, 20])
def test_a_row_is_as_wide_as_its_titles_however_deep_it_is(depth: int) -> None:
    """Whoever may make cgroups can make one container's path inside another's, as often as they like."""
    row = row_of(node_of("web"), depth=depth)
    placed = layout(80, longest_name([row]))

    assert width_of(row_spans(row, placed, 1.0, NOW)) == taken(placed)


def test_numbers_stand_in_the_same_place_in_every_row() -> None:
    nodes = [node_of("a", Usage(cpu_cores=0.01, memory_bytes=5)), node_of("b" * 80, Usage(cpu_cores=12.3))]

    lines = [text_of(row_spans(row_of(node), layout(80), 1.0, NOW)) for node in nodes]

    assert lines[0].index("0.01") == lines[1].index("12.3")


# Titles


@pytest.mark.parametrize(
    ("sort", "is_reversed", "marked"),
    [
        ("cpu", False, "CPU▾"),
        ("cpu", True, "CPU▴"),
        ("name", False, "NAME▴"),
        ("name", True, "NAME▾"),
        ("finding", False, "▾"),
    ],
)
def test_the_title_of_the_sorted_column_shows_the_direction(sort: str, is_reversed: bool, marked: str) -> None:
    spans = title_spans(WIDE, ViewState(sort=sort, is_reversed=is_reversed))

    assert [span.text.strip() for span in spans if span.tone is Tone.ACCENT] == [marked]


def test_a_title_without_room_for_the_mark_is_shortened() -> None:
    (marked,) = [span for span in title_spans(WIDE, ViewState(sort="rx")) if span.tone is Tone.ACCENT]
    (full,) = [span for span in title_spans(WIDE, ViewState(sort="throttled")) if span.tone is Tone.ACCENT]
    narrow = layout(200, chosen=columns_of("overview", ("pids%",)), scroll=0)
    (cut,) = [span for span in title_spans(without_bars(narrow), ViewState(sort="pids%")) if span.tone is Tone.ACCENT]

    assert (marked.text, full.text, cut.text) == ("NET↓▾", "THR▾", "%PI▾")


# The tree


def test_the_tree_takes_two_columns_a_level() -> None:
    dind = pod_of(
        node_of("dind"),
        node_of("job", outer=docker_key("dind")),
        node_of("inmost", outer=docker_key("job")),
        node_of("tool", outer=docker_key("dind")),
        name="dind",
    )
    shop = pod_of(node_of("db"), node_of("web"), name="shop")
    snapshot = tree_of(dind, pod_of(node_of("lone")), shop)

    drawn = [cells(row)["name"].text.rstrip() for row in rows(snapshot, ViewState(sort="name"))]
    folded = [
        cells(row)["name"].text.rstrip()
        for row in rows(snapshot, ViewState(sort="name", collapsed=frozenset({"pod:compose:shop"})))
    ]

    assert drawn == [
        "▾ dind",
        "  ▾ job",
        "    └ inmost",
        "  └ tool",
        "  lone",
        "▾ shop",
        "  ├ db",
        "  └ web",
    ]
    assert folded[-1] == "▸ shop"


# Cells


def test_a_bar_is_drawn_before_its_number_and_none_without_a_limit() -> None:
    half = cells(row_of(node_of("web", Usage(memory_bytes=1 << 30, memory_limit_bytes=2 << 30))))

    assert half["mem%"].text == "███     50%"
    assert half["cpu%"].text == " " * 11


@pytest.mark.parametrize(("found", "expected"), [([], Tone.DIM), ([Severity.CRITICAL], Tone.BAD)])
def test_a_bar_is_quiet_unless_what_it_shows_is_sick(found: list[Severity], expected: Tone) -> None:
    web = node_of("web", Usage(memory_bytes=1 << 30, memory_limit_bytes=2 << 30))
    findings = [Finding("memory-near-limit", severity, web.key, "summary", "advice") for severity in found]
    (row,) = rows(tree_of(pod_of(web), findings=findings), ViewState())

    (drawn,) = [span for span in row_spans(row, WIDE, 1.0, NOW) if "█" in span.text]
    assert drawn == Span("███    ", expected)


def test_all_sparklines_share_a_scale() -> None:
    busy, idle = (
        row_of(node_of(name, Usage(cpu_cores=used, cpu_history=history_of(*(used,) * 6))))
        for name, used in (("a", 3.0), ("b", 0.4))
    )
    top = top_cores([busy, idle], WIDE, Moment(5, START_WALL_NS))

    assert top == 4.0
    assert cells(busy, top=top, tick=5)["history"].text == "▇".rjust(10)
    assert cells(idle, top=top, tick=5)["history"].text == "▁".rjust(10)


def test_without_sparklines_or_rows_the_scale_is_the_least() -> None:
    busy = row_of(node_of("a", Usage(cpu_history=history_of(3.0))))

    assert top_cores([busy], layout(80), NOW) == top_cores([], WIDE, NOW) == LEAST_TOP_CORES


STALLED = PressureShares(cpu=PressureShare(0.21, 0.0))
GIB = 1 << 30


@pytest.mark.parametrize(
    ("column", "usage", "expected"),
    [
        ("cpu", Usage(), Tone.DIM),
        ("cpu", Usage(cpu_cores=0.004), Tone.DIM),
        ("cpu", Usage(cpu_cores=0.01), Tone.PLAIN),
        ("history", Usage(cpu_cores=0.0), Tone.DIM),
        ("cpu%", Usage(cpu_cores=0.0, cpu_limit_cores=1.0), Tone.DIM),
        ("cpu%", Usage(cpu_cores=0.5, cpu_limit_cores=1.0), Tone.PLAIN),
        ("cpu%", Usage(cpu_cores=0.95, cpu_limit_cores=1.0), Tone.PLAIN),
        ("mem", Usage(memory_bytes=0), Tone.DIM),
        ("mem", Usage(memory_bytes=1), Tone.PLAIN),
        ("mem%", Usage(memory_bytes=GIB), Tone.DIM),
        ("mem%", Usage(memory_bytes=90 * GIB, memory_limit_bytes=100 * GIB), Tone.PLAIN),
        ("mem%", Usage(memory_bytes=98 * GIB, memory_limit_bytes=100 * GIB), Tone.PLAIN),
        ("throttled", Usage(throttled_share=0.0), Tone.DIM),
        ("throttled", Usage(throttled_share=0.1), Tone.PLAIN),
        ("throttled", Usage(throttled_share=0.51), Tone.PLAIN),
        ("psi", Usage(), Tone.DIM),
        ("psi", Usage(pressure=PressureShares(io=PressureShare(0.2, None))), Tone.PLAIN),
        ("psi", Usage(pressure=STALLED), Tone.PLAIN),
        ("rx", Usage(rx_bytes_per_second=0.0), Tone.DIM),
        ("rx", Usage(rx_bytes_per_second=1.0), Tone.PLAIN),
        ("pids", Usage(pids=3), Tone.PLAIN),
    ],
)
def test_idle_is_dim_busy_is_plain(column: str, usage: Usage, expected: Tone) -> None:
    assert tone(column, usage) is expected


@pytest.mark.parametrize(
    ("column", "code"),
    [
        ("cpu", "cpu-throttled"),
        ("cpu%", "cpu-throttled"),
        ("throttled", "cpu-throttled"),
        ("psi", "io-stalled"),
        ("mem", "memory-near-limit"),
        ("mem%", "memory-near-limit"),
        ("state", "unhealthy"),
        ("state", "restart-loop"),
        ("age", "restart-loop"),
        ("pids", "pids-near-limit"),
    ],
)
@pytest.mark.parametrize(
    ("severity", "expected"), [(Severity.WARNING, Tone.WARN), (Severity.CRITICAL, Tone.BAD), (Severity.INFO, Tone.DIM)]
)
def test_a_cell_is_bright_for_what_was_found_in_it(column: str, code: str, severity: Severity, expected: Tone) -> None:
    """Whatever the number is: what is too much is not known here."""
    web = node_of("web", state=State.EXITED, exit_code=0)
    found = [Finding(code, severity, web.key, "summary", "advice")]
    (row,) = rows(tree_of(pod_of(web), findings=found), ViewState())

    assert cells(row)[column].tone is expected
    assert cells(row)["rx"].tone is Tone.DIM


def test_a_pod_is_bright_where_one_of_its_containers_is() -> None:
    found = [Finding("memory-near-limit", Severity.CRITICAL, docker_key("db"), "summary", "advice")]
    pod, *_ = rows(tree_of(pod_of(node_of("db"), node_of("web"), name="shop"), findings=found), ViewState())

    assert [(cells(pod)[name].text.strip(), cells(pod)[name].tone) for name in ("finding", "mem%", "psi")] == [
        ("■", Tone.BAD),
        ("", Tone.BAD),
        ("-", Tone.DIM),
    ]


@pytest.mark.parametrize(
    ("options", "name", "state"),
    [
        ({}, Tone.PLAIN, Tone.PLAIN),
        ({"health": Health.HEALTHY}, Tone.PLAIN, Tone.GOOD),
        ({"health": Health.UNHEALTHY}, Tone.PLAIN, Tone.BAD),
        ({"health": Health.STARTING}, Tone.PLAIN, Tone.PLAIN),
        ({"state": State.PAUSED}, Tone.PLAIN, Tone.WARN),
        ({"state": State.UNKNOWN}, Tone.PLAIN, Tone.WARN),
        ({"state": State.RESTARTING}, Tone.PLAIN, Tone.WARN),
        ({"state": State.EXITED, "exit_code": 0}, Tone.DIM, Tone.DIM),
        ({"state": State.EXITED, "exit_code": 3}, Tone.DIM, Tone.WARN),
        ({"state": State.EXITED, "exit_code": 137, "oom_killed": True}, Tone.DIM, Tone.BAD),
        ({"state": State.EXITED, "health": Health.UNHEALTHY}, Tone.DIM, Tone.DIM),
    ],
)
def test_the_tones_of_a_container_that_is_well_sick_or_stopped(
    options: dict[str, Any], name: Tone, state: Tone
) -> None:
    assert (tone("name", **options), tone("state", **options)) == (name, state)


@pytest.mark.parametrize(
    ("state", "name", "expected"), [(State.RUNNING, Tone.STRONG, Tone.PLAIN), (State.EXITED, Tone.DIM, Tone.DIM)]
)
def test_the_tones_of_a_pod(state: State, name: Tone, expected: Tone) -> None:
    drawn = cells(row_of(pod_of(node_of("a"), node_of("b"), name="shop")))
    assert drawn["name"].tone is Tone.STRONG

    drawn = cells(row_of(pod_of(node_of("a", state=state), node_of("b", state=state), name="shop")))
    assert (drawn["name"].tone, drawn["state"].tone) == (name, expected)


def test_the_last_numbers_of_a_stopped_container_are_dim() -> None:
    assert tone("rx", Usage(rx_bytes_per_second=5.0), state=State.EXITED) is Tone.DIM


@pytest.mark.parametrize(
    ("severity", "expected"),
    [(None, Tone.PLAIN), (Severity.INFO, Tone.PLAIN), (Severity.WARNING, Tone.WARN), (Severity.CRITICAL, Tone.BAD)],
)
def test_a_finding_has_a_tone_beside_its_mark(severity: Severity | None, expected: Tone) -> None:
    found = [Finding("code", severity, docker_key("web"), "summary", "advice")] if severity else []
    (row,) = rows(
        tree_of(pod_of(node_of("web", started_ns=START_WALL_NS - 9 * SECOND_NS)), findings=found), ViewState()
    )

    assert severity_tone(severity) is expected
    assert cells(row)["finding"].tone is expected
    assert cells(row)["age"] == ("  9s", Tone.DIM)
