"""Each column: what it says, what it sorts by, and that its cells fit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from fakes import SECOND_NS, START_WALL_NS
from hypothesis import given
from hypothesis import strategies as st
from samples import HOSTILE_NAMES, history_of, node_of, path_of, pod_of, process_of, unhurried_in_making, unsafe

from topcon.columns import (
    ASCENDING,
    BY_NAME,
    COLUMN_NAMES,
    COLUMNS,
    DEFAULT_SET,
    DEFAULT_SORT,
    FIXED,
    SETS,
    STATE,
    HostSize,
    Line,
    columns_of,
    next_set,
    state_text,
)
from topcon.findings import CODES
from topcon.model.sample import CgroupSample, CpuStat, Health, IoStat, MemoryStat, Port, State
from topcon.model.snapshot import PressureShare, PressureShares, Severity, Usage
from topcon.text import cell_width, cut

if TYPE_CHECKING:
    from topcon.columns import Node
    from topcon.model.snapshot import ContainerNode


TEXTS = {"name", "finding", "state", "runtime", "history", "pod", "id", "ports"}
LIMITS = {"cpu%", "mem%", "throttled", "cpu-limit", "mem-limit", "pids%"}
NUMBERS = [name for name in BY_NAME if name not in TEXTS]
DOCUMENT = Path(__file__).parents[2] / "docs/columns.md"
AGO_NS = 90 * SECOND_NS
MADE = "2026-09-21 14:13"
"""What `START_WALL_NS` is in UTC, to the minute."""

SHARE = st.none() | st.floats(0, 1)
RATE = st.none() | st.floats(0, 2**63)
USAGES = st.builds(
    # Behind a function, or fields that have a default are made up too.
    Usage()._replace,
    cpu_cores=st.none() | st.floats(0, 4096),
    throttled_share=SHARE,
    memory_bytes=st.none() | st.integers(0, 2**63),
    pressure=st.none()
    | st.builds(PressureShares, st.none() | st.builds(PressureShare, SHARE, SHARE), st.none(), st.none()),
    rx_bytes_per_second=RATE,
    tx_bytes_per_second=RATE,
    read_bytes_per_second=RATE,
    write_bytes_per_second=RATE,
    pids=st.none() | st.integers(0, 2**22),
)


def line_of(node: Node, severity: Severity | None = None) -> Line:
    return Line(node, severity)


def text(name: str, usage: Usage | None = None, **options: Any) -> str:
    return BY_NAME[name].text(line_of(node_of("web", usage, **options)), START_WALL_NS)


def value(name: str, usage: Usage | None = None, **options: Any) -> float | str | None:
    return BY_NAME[name].value(line_of(node_of("web", usage, **options)))


# All columns


def test_the_sort_menu_has_a_letter_for_each_column_and_q_still_leaves_it() -> None:
    letters = [column.letter for column in COLUMNS]

    assert len(set(letters)) == len(BY_NAME) == len(COLUMNS)
    assert "q" not in letters
    assert {DEFAULT_SORT, *ASCENDING} <= BY_NAME.keys()


@pytest.mark.parametrize("column", [column for column in COLUMNS if column.width], ids=lambda column: column.name)
def test_a_title_fits_over_its_column(column: Any) -> None:
    assert cell_width(column.title) <= column.width


@unhurried_in_making
@given(USAGES, st.sampled_from([None, 1, 64 << 20]), st.sampled_from([None, 0.5, 512.0]), st.sampled_from(State))
def test_no_number_is_wider_than_its_column(
    usage: Usage, memory_limit: int | None, cpu_limit: float | None, state: State
) -> None:
    cores = None if usage.cpu_cores is None or cpu_limit is None else min(usage.cpu_cores, 9 * cpu_limit)
    memory = None if usage.memory_bytes is None or memory_limit is None else min(usage.memory_bytes, memory_limit)
    limited = usage._replace(
        cpu_limit_cores=cpu_limit, memory_limit_bytes=memory_limit, cpu_cores=cores, memory_bytes=memory
    )
    for each in (usage, limited):
        line = line_of(node_of("web", each, state=state, started_ns=START_WALL_NS - AGO_NS, exit_code=255))
        assert {
            column.name for column in COLUMNS[1:] if cell_width(column.text(line, START_WALL_NS)) > column.width
        } == set()


@pytest.mark.parametrize(
    ("name", "usage"),
    [
        ("cpu%", Usage(cpu_cores=2.0, cpu_limit_cores=0.1)),
        ("mem%", Usage(memory_bytes=1 << 30, memory_limit_bytes=6 << 20)),
    ],
)
def test_a_limit_that_was_just_lowered_far_below_the_use_does_not_break_the_columns(name: str, usage: Usage) -> None:
    assert cell_width(text(name, usage)) <= BY_NAME[name].width


@pytest.mark.parametrize("name", NUMBERS)
def test_unknown_is_a_dash_and_an_absent_limit_is_empty(name: str) -> None:
    assert text(name) == ("" if name in LIMITS else "-")
    assert value(name) is None


@pytest.mark.parametrize("name", ["cpu%", "mem%", "throttled", "pids%"])
def test_what_is_unknown_of_a_known_limit_is_a_dash(name: str) -> None:
    assert text(name, Usage(cpu_limit_cores=1.0, memory_limit_bytes=1 << 30, pids_limit=9)) == "-"


ZERO = Usage(
    cpu_cores=0.0,
    cpu_limit_cores=2.0,
    throttled_share=0.0,
    memory_bytes=0,
    memory_limit_bytes=1 << 30,
    pressure=PressureShares(PressureShare(0.0, 0.0)),
    rx_bytes_per_second=0.0,
    tx_bytes_per_second=0.0,
    read_bytes_per_second=0.0,
    write_bytes_per_second=0.0,
    pids=0,
)
BUSY = Usage(
    cpu_cores=0.95,
    cpu_limit_cores=2.0,
    throttled_share=0.61,
    memory_bytes=180 << 20,
    memory_limit_bytes=720 << 20,
    pressure=PressureShares(PressureShare(0.04, 0.01), PressureShare(0.0, 0.9), PressureShare(0.11, None)),
    rx_bytes_per_second=1258291.2,
    tx_bytes_per_second=317440.0,
    read_bytes_per_second=512.0,
    write_bytes_per_second=12288.0,
    pids=27,
)


@pytest.mark.parametrize(
    ("name", "zero", "busy"),
    [
        ("cpu", "0.00", "0.95"),
        ("cpu%", "0%", "48%"),
        ("mem", "0", "180M"),
        ("mem%", "0%", "25%"),
        ("throttled", "0%", "61%"),
        ("psi", "0%", "11%"),
        ("rx", "0", "1.20M"),
        ("tx", "0", "310k"),
        ("read", "0", "512"),
        ("write", "0", "12.0k"),
        ("pids", "0", "27"),
    ],
)
def test_zero_is_shown_as_zero_and_a_number_as_a_number(name: str, zero: str, busy: str) -> None:
    assert (text(name, ZERO), text(name, BUSY)) == (zero, busy)
    assert value(name, ZERO) == 0
    assert value(name, BUSY)


@pytest.mark.parametrize(("name", "expected"), [("cpu%", 0.475), ("mem%", 0.25)])
def test_a_bar_is_against_the_limit(name: str, expected: float) -> None:
    share = BY_NAME[name].share

    assert share is not None
    assert share(line_of(node_of("web", BUSY))) == pytest.approx(expected)
    assert share(line_of(node_of("web"))) is None


def test_the_history_is_drawn_and_sorted_by_what_it_ends_with() -> None:
    line = line_of(node_of("web", Usage(cpu_cores=0.5, cpu_history=history_of(0.1, 0.5))))
    column = BY_NAME["history"]

    assert column.history is not None
    assert (column.history(line), column.value(line), column.text(line, START_WALL_NS)) == (
        history_of(0.1, 0.5),
        0.5,
        "",
    )


# What the cgroup counts


def counted(name: str, **options: Any) -> ContainerNode:
    """Return a container whose cgroup says something of each kind."""
    memory = MemoryStat(500, anon=100 << 20, file=20 << 20, swap_current=3 << 20, peak=300 << 20)
    io = {(8, 0): IoStat(1 << 20, 2 << 20, 0, 0), (8, 16): IoStat(1 << 20, 0, 0, 0)}
    cgroup = CgroupSample(path_of(name), 5, cpu=CpuStat(90_000_000, None, None), memory=memory, io=io)
    given: dict[str, Any] = {"cgroup": cgroup, "restarts": 2, "image": "shop:1.4", "oom_kills": 1}
    given |= {"created_ns": START_WALL_NS, "command": "serve --all"} | options
    return node_of(name, Usage(rx_bytes=5 << 20, tx_bytes=6 << 20, pids=50, pids_limit=200), **given)


ONE = {
    "anon": "100M",
    "file": "20.0M",
    "swap": "3.00M",
    "peak": "300M",
    "oom": "1",
    "cpu-time": "1m",
    "read-total": "2.00M",
    "write-total": "2.00M",
    "rx-total": "5.00M",
    "tx-total": "6.00M",
    "pids%": "25%",
    "restarts": "2",
    "image": "shop:1.4",
    "created": MADE,
    "command": "serve --all",
}


@pytest.mark.parametrize(("name", "expected"), ONE.items())
def test_what_a_containers_cgroup_counts(name: str, expected: str) -> None:
    assert BY_NAME[name].text(line_of(counted("web")), START_WALL_NS) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("anon", "200M"),
        ("oom", "3"),
        ("cpu-time", "3m"),
        ("read-total", "4.00M"),
        ("restarts", "6"),
        ("image", "2 images"),
        # Two peaks are of two moments.
        ("peak", "-"),
        ("id", ""),
    ],
)
def test_a_pod_adds_up_what_its_containers_count_but_a_nested_one_is_in_the_outer_one_already(
    name: str, expected: str
) -> None:
    outer = counted("dind")
    pod = pod_of(outer, counted("web", image="web:2"), counted("job", outer=outer.key), name="shop")

    assert BY_NAME[name].text(line_of(pod), START_WALL_NS) == expected


@pytest.mark.parametrize("name", ["anon", "peak", "cpu-time"])
def test_a_pod_that_has_a_cgroup_of_its_own_says_what_that_counts(name: str) -> None:
    pod = pod_of(counted("a"), counted("b"), name="shop", cgroup=counted("all").cgroup)

    assert BY_NAME[name].text(line_of(pod), START_WALL_NS) == ONE[name]


PORTS = (
    Port("0.0.0.0", 8080, 80, "tcp"),
    Port("::", 8080, 80, "tcp"),
    Port(None, None, 9090, "tcp"),
    Port("127.0.0.1", 53, 53, "udp"),
)


@pytest.mark.parametrize(
    ("ports", "expected", "first"),
    [
        ((), "", None),
        (PORTS[:2], "8080→80", 8080),
        (PORTS[2:3], "9090", 9090),
        (PORTS[1:], cut("53→53/udp 8080→80 9090", 20), 53),
    ],
)
def test_ports_that_the_host_can_be_reached_at_come_first_each_once(
    ports: tuple[Port, ...], expected: str, first: int | None
) -> None:
    assert (text("ports", ports=ports), value("ports", ports=ports)) == (expected, first)


@pytest.mark.parametrize(
    ("name", "expected"), [("ports", "53→53/udp 8080→80"), ("command", "2 commands"), ("pid", ""), ("created", MADE)]
)
def test_of_a_pod_stands_what_its_containers_have_together(name: str, expected: str) -> None:
    web = node_of("web", ports=PORTS[:2], command="serve", created_ns=START_WALL_NS + 90 * SECOND_NS)
    dns = node_of("dns", ports=PORTS[3:], command="answer", created_ns=START_WALL_NS)
    line = line_of(pod_of(web, dns, name="shop"))

    assert BY_NAME[name].text(line, START_WALL_NS) == expected


def test_the_greatest_pid_fits_its_column() -> None:
    node = line_of(node_of("web", process=process_of("web", pid=4194304)))

    assert BY_NAME["pid"].text(node, START_WALL_NS) == "4194304"
    assert BY_NAME["pid"].value(node) == 4194304


def test_a_title_tells_the_pod_where_the_name_alone_says_little() -> None:
    line = Line(node_of("web"), None, pod="prod/checkout", is_prefixed=True)

    assert BY_NAME["name"].text(line, START_WALL_NS) == "prod/checkout/web"
    assert BY_NAME["pod"].text(line, START_WALL_NS) == "prod/checkout"


# Sets


def test_each_set_begins_with_who_it_is_and_what_it_does() -> None:
    assert {name: each.columns[:3] for name, each in SETS.items()} == dict.fromkeys(SETS, (*FIXED, STATE))


def test_the_sets_follow_one_another_around() -> None:
    seen = [DEFAULT_SET]
    while (following := next_set(seen[-1])) != DEFAULT_SET:
        seen.append(following)

    assert seen == list(SETS)


def test_a_person_has_the_columns_in_the_order_that_was_asked_for_each_once() -> None:
    chosen = columns_of(DEFAULT_SET, ("pids", "name", "cpu", "pids"))

    assert [column.name for column in chosen.columns] == ["name", "finding", "pids", "cpu"]
    assert set(COLUMN_NAMES) == BY_NAME.keys() - {column.name for column in FIXED}


def test_columns_tell_of_findings_that_there_are() -> None:
    told = frozenset().union(*(column.codes for column in COLUMNS))

    # Of the rest a column does not say how much it is.
    assert told == CODES.keys() - {"no-memory-limit", "odd-one-out", "shares-host", "runtime-silent"}


def test_the_document_has_all_columns_and_sets() -> None:
    columns = [
        f"| `{each.name}` | {each.title} | {'' if each.history else f'`{each.letter}`'} | {each.help} |"
        for each in COLUMNS
    ]
    sets = [
        f"| `{name}` | {', '.join(f'`{column.name}`' for column in each.columns if column not in FIXED)} |"
        for name, each in SETS.items()
    ]

    assert [line for line in DOCUMENT.read_text().splitlines() if line.startswith("| `")] == columns + sets


# Names, findings, states


@pytest.mark.parametrize("name", HOSTILE_NAMES)
@pytest.mark.parametrize("column", ["name", "image", "command", "ports"])
def test_what_others_have_named_is_made_printable(name: str, column: str) -> None:
    foreign = HOSTILE_NAMES[name]
    node = node_of(foreign, image=foreign, command=foreign, ports=(Port(None, 1, 1, foreign),))

    assert unsafe(BY_NAME[column].text(line_of(node), START_WALL_NS)) == set()


@pytest.mark.parametrize(
    ("severity", "mark", "rank"),
    [(None, " ", 0.0), (Severity.INFO, " ", 0.0), (Severity.WARNING, "▲", 2.0), (Severity.CRITICAL, "■", 3.0)],
)
def test_what_is_only_worth_knowing_is_not_marked_as_sick(severity: Severity | None, mark: str, rank: float) -> None:
    line = line_of(node_of("web"), severity)

    assert (BY_NAME["finding"].text(line, START_WALL_NS), BY_NAME["finding"].value(line)) == (mark, rank)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "up"),
        ({"health": Health.HEALTHY}, "healthy"),
        ({"health": Health.UNHEALTHY}, "unhealthy"),
        ({"health": Health.STARTING}, "starting"),
        ({"exit_code": 1}, "up"),
        ({"state": State.PAUSED}, "paused"),
        ({"state": State.PAUSED, "health": Health.HEALTHY}, "paused"),
        ({"state": State.CREATED}, "created"),
        ({"state": State.RESTARTING, "exit_code": 1}, "restarting"),
        ({"state": State.EXITED, "exit_code": 0}, "exited 0"),
        ({"state": State.EXITED, "exit_code": 137}, "exited 137"),
        ({"state": State.EXITED, "exit_code": None}, "exited"),
        ({"state": State.EXITED, "exit_code": 1, "health": Health.UNHEALTHY}, "exited 1"),
        ({"state": State.EXITED, "exit_code": 137, "oom_killed": True}, "oom 137"),
        ({"state": State.DEAD, "exit_code": 2}, "dead 2"),
        ({"state": State.UNKNOWN}, "unknown"),
    ],
)
def test_a_state_is_a_word(options: dict[str, Any], expected: str) -> None:
    assert state_text(line_of(node_of("web", **options))) == expected


def test_a_pod_says_how_many_are_up() -> None:
    up, paused, down = node_of("a"), node_of("b", state=State.PAUSED), node_of("c", state=State.EXITED)

    assert state_text(line_of(pod_of(up, paused, name="shop"))) == "2 up"
    assert state_text(line_of(pod_of(up, down, name="shop"))) == "1/2 up"
    assert state_text(line_of(pod_of(down, name="shop"))) == "0/1 up"


def test_by_state_what_needs_a_look_comes_before_what_is_well() -> None:
    states: list[dict[str, Any]] = [
        {"state": State.RESTARTING},
        {"state": State.DEAD},
        {"state": State.EXITED},
        {"state": State.UNKNOWN},
        {"state": State.CREATED},
        {"health": Health.UNHEALTHY},
        {"health": Health.STARTING},
        {},
        {"health": Health.HEALTHY},
    ]

    ranks = [value("state", **options) for options in states]

    assert ranks == sorted(set(ranks))  # type: ignore[type-var]


@pytest.mark.parametrize("up", [0, 1, 2])
def test_by_state_a_pod_that_is_less_up_comes_first(up: int) -> None:
    def rank(live: int) -> Any:
        states = [State.RUNNING] * live + [State.EXITED] * (3 - live)
        nodes = [node_of(f"c{at}", state=state) for at, state in enumerate(states)]
        return BY_NAME["state"].value(line_of(pod_of(*nodes, name="shop")))

    assert rank(up) < rank(up + 1)


# Age


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, None),
        ({"started_ns": START_WALL_NS - AGO_NS}, 90.0),
        ({"started_ns": START_WALL_NS + AGO_NS}, 0.0),
        (
            {"started_ns": START_WALL_NS - 5 * AGO_NS, "state": State.EXITED, "finished_ns": START_WALL_NS - AGO_NS},
            90.0,
        ),
        # Docker keeps the end of the run before.
        ({"started_ns": START_WALL_NS - AGO_NS, "finished_ns": START_WALL_NS - 2 * AGO_NS}, 90.0),
        # When it ended is not known, and 90 s is when it started.
        ({"started_ns": START_WALL_NS - AGO_NS, "state": State.EXITED}, None),
    ],
    ids=["unknown", "running", "clock-set-back", "stopped", "started-again", "stopped-at-an-unknown-time"],
)
def test_an_age_is_since_the_start_and_of_a_stopped_one_since_its_end(
    options: dict[str, Any], expected: float | None
) -> None:
    assert line_of(node_of("web", **options)).age_s(START_WALL_NS) == expected


def test_the_age_of_a_pod_is_that_of_its_first_container() -> None:
    nodes = [node_of(name, started_ns=START_WALL_NS - ago * SECOND_NS) for name, ago in (("a", 60), ("b", 7200))]

    assert BY_NAME["age"].text(line_of(pod_of(*nodes, name="shop")), START_WALL_NS) == "2h"


def test_a_container_says_its_runtime_and_a_pod_its_kind_each_in_ten_columns() -> None:
    column = BY_NAME["runtime"]
    container = node_of("web", runtime="systemd-run")

    assert column.text(line_of(container), START_WALL_NS) == cut("systemd-run", 10)
    assert column.text(line_of(pod_of(container, name="shop")), START_WALL_NS) == "compose"


@pytest.mark.parametrize(("name", "expected"), [("cpu-host", "24%"), ("mem-host", "9%")])
def test_a_share_of_the_host_is_of_what_the_host_has(name: str, expected: str) -> None:
    line = Line(node_of("web", BUSY), None, host=HostSize(4, 2 << 30))

    assert BY_NAME[name].text(line, START_WALL_NS) == expected
    assert BY_NAME[name].text(line_of(node_of("web", BUSY)), START_WALL_NS) == "-"
