"""The tab of processes: their order, the tree, what a line says, and which of them is under the cursor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import HOSTILE_NAMES, docker_key, node_of, pod_of, text_of, tree_of, unsafe

from topcon.model.processes import Members, Process, ProcessTable
from topcon.model.sample import Problem
from topcon.text import cell_width
from topcon.ui.spans import LateSpans, Tone
from topcon.ui.tabs import processes as module
from topcon.ui.tabs.processes import (
    MOST_LINES,
    PROCESS_VERBS,
    SORTS,
    ProcessView,
    arranged,
    chosen_process,
    process_entries,
    process_heading,
)
from topcon.ui.tabs.seen import Seen

if TYPE_CHECKING:
    from topcon.columns import Node

WEB = node_of("web")


def process(pid: int, ppid: int = 1, **options: Any) -> Process:
    given: dict[str, Any] = {
        "start_ticks": 1000 + pid,
        "comm": f"c{pid}",
        "state": "S",
        "threads": 1,
        "cpu_cores": 0.0,
        "rss_bytes": 1 << 20,
        "ns_pid": pid - 99,
        "user": "root",
        "command": f"/bin/c{pid} --flag",
    }
    return Process(pid=pid, ppid=ppid, **(given | options))


def table(*processes: Process, **options: Any) -> ProcessTable:
    given: dict[str, Any] = {
        "members": (Members(WEB.key, processes),),
        "now_ticks": 61_000.0,
        "ticks_per_second": 100,
    }
    return ProcessTable(**(given | options))


def seen(found: object, view: ProcessView | None = None, *, node: Node = WEB, width: int = 79, **options: Any) -> Seen:
    nodes = node.containers if hasattr(node, "containers") else (node,)
    return Seen(tree_of(pod_of(*nodes)), node, width, 24, found, view or ProcessView(), **options)


def lines(found: object, view: ProcessView | None = None, **options: Any) -> list[str]:
    return [text_of(entry.spans) for entry in process_entries(seen(found, view, **options))]


def order(*processes: Process, **view: Any) -> list[tuple[int, str]]:
    return [(each.process.pid, each.branch) for each in arranged(processes, ProcessView(**view))]


def test_children_stand_below_their_parents() -> None:
    family = process(104, 102), process(102, 100), process(100), process(103, 100), process(200)

    assert order(*family, sort="pid") == [(100, ""), (102, "├ "), (104, "  └ "), (103, "└ "), (200, "")]


def test_in_the_tree_what_is_below_counts() -> None:
    family = (
        process(100, cpu_cores=0.0),
        process(101, 100, cpu_cores=0.0),
        process(102, 101, cpu_cores=2.0),
        process(200, cpu_cores=1.0),
        process(103, 100, cpu_cores=0.5),
    )

    assert [pid for pid, _ in order(*family)] == [100, 101, 102, 103, 200]
    assert [pid for pid, _ in order(*family, is_flat=True)] == [102, 200, 103, 100, 101]


@pytest.mark.parametrize(
    ("view", "pids"),
    [
        ({"sort": "cpu"}, [101, 102, 100]),
        ({"sort": "cpu", "is_reversed": True}, [100, 102, 101]),
        ({"sort": "memory"}, [100, 102, 101]),
        ({"sort": "pid"}, [100, 101, 102]),
        ({"sort": "pid", "is_reversed": True}, [102, 101, 100]),
    ],
)
@pytest.mark.parametrize("is_flat", [False, True], ids=["tree", "flat"])
def test_processes_are_sorted(view: dict[str, Any], pids: list[int], *, is_flat: bool) -> None:
    all_of = (
        process(102, cpu_cores=0.5, rss_bytes=20),
        process(100, cpu_cores=None, rss_bytes=30),
        process(101, cpu_cores=0.9, rss_bytes=10),
    )

    assert [pid for pid, _ in order(*all_of, **view, is_flat=is_flat)] == pids


PROCESSES = st.lists(
    st.builds(
        process,
        pid=st.integers(1, 12),
        ppid=st.integers(0, 12),
        start_ticks=st.integers(0, 3),
        cpu_cores=st.none() | st.floats(0, 4),
    ),
    unique_by=lambda each: each.pid,
)


@given(PROCESSES, st.sampled_from(list(SORTS)), st.booleans(), st.booleans())
def test_however_hostile_each_process_is_shown_once(
    processes: list[Process], sort: str, is_reversed: bool, is_flat: bool
) -> None:
    placed = arranged(processes, ProcessView(sort, is_reversed=is_reversed, is_flat=is_flat))

    assert sorted(each.process.pid for each in placed) == sorted(each.pid for each in processes)


def test_a_chain_of_thousands_is_drawn() -> None:
    chain = [process(pid, pid - 1) for pid in range(2, 5002)]

    assert len(lines(table(*chain))) == len(chain)
    assert all(cell_width(line) <= 79 for line in lines(table(*chain))[-3:])
    assert "c5001" in lines(table(*chain), width=119)[-1]


def test_a_line_says_all_there_is_to_know() -> None:
    (line,) = lines(table(process(4711, cpu_cores=1.25, rss_bytes=3 << 20, threads=7, state="R", user="pg", ns_pid=9)))

    assert line.split() == ["4711", "9", "pg", "1.25", "3.00M", "R", "7", "9m", "/bin/c4711", "--flag"]


def test_what_is_unknown_is_a_dash_and_what_has_no_command_is_in_brackets() -> None:
    (line,) = lines(table(process(100, cpu_cores=None, ns_pid=None, user=None, command=None, state="Z")))

    assert line.split() == ["100", "-", "-", "-", "1.00M", "Z", "1", "9m", "[c100]"]


@pytest.mark.parametrize("width", [30, 39, 59, 79, 119, 159])
def test_lines_and_titles_fit(width: int) -> None:
    found = table(process(4_194_304, threads=99_999, command="x" * 300, ns_pid=4_194_304), process(101, 4_194_304))

    written = [*lines(found, width=width), text_of(process_heading(seen(found, width=width)))]
    assert all(cell_width(line) <= width for line in written)
    assert "COMMAND" in written[-1]


def test_titles_stand_over_their_columns() -> None:
    found = table(process(4711, cpu_cores=1.25, user="postgres"))
    title, (line,) = text_of(process_heading(seen(found))), lines(found)

    assert title.index("PID") + 3 == line.index("4711") + 4
    assert title.index("USER") == line.index("postgres")
    assert title.index("CPU▾") + 4 == line.index("1.25") + 4
    assert title.index("COMMAND") == line.index("/bin")


@pytest.mark.parametrize(
    ("view", "title"),
    [
        (ProcessView("cpu"), "CPU▾"),
        (ProcessView("cpu", is_reversed=True), "CPU▴"),
        (ProcessView("pid"), "PID▴"),
        (ProcessView("memory"), "MEM▾"),
    ],
)
def test_what_is_sorted_by_is_marked(view: ProcessView, title: str) -> None:
    assert title in text_of(process_heading(seen(table(process(100)), view)))


def test_the_verbs_change_what_is_seen() -> None:
    at = seen(table(process(100)), chosen="100.1100")
    view = ProcessView()

    sorts = []
    for _ in SORTS:
        view = PROCESS_VERBS["sort"](view, at)
        sorts.append(view.sort)
    assert sorts == ["memory", "pid", "cpu"]
    assert PROCESS_VERBS["reverse"](view, at).is_reversed
    assert PROCESS_VERBS["flat"](view, at).is_flat
    assert PROCESS_VERBS["open"](view, at).opened == "100.1100"
    assert PROCESS_VERBS["open"](PROCESS_VERBS["open"](view, at), at).opened is None


def test_a_process_that_is_opened_says_its_whole_command() -> None:
    found = table(process(100, command=" ".join(f"--option-{at}" for at in range(20)), state="D"), process(101))
    view = ProcessView(opened="100.1100")
    entries = process_entries(seen(found, view))

    text = "\n".join(text_of(entry.spans) for entry in entries)
    assert "--option-19" in text
    assert "waits in the kernel" in text
    assert [entry.key for entry in entries if entry.key] == ["100.1100", "101.1101"]


def test_a_command_without_end_is_cut() -> None:
    found = table(process(100, command="x" * 100_000))

    assert len(process_entries(seen(found, ProcessView(opened="100.1100")))) <= MOST_LINES + 2


@pytest.mark.parametrize("name", HOSTILE_NAMES.values(), ids=HOSTILE_NAMES)
def test_nothing_that_a_process_says_of_itself_moves_the_cursor(name: str) -> None:
    found = table(process(100, command=name or None, comm=name, user=name, state=name[:1] or "S"))

    for line in lines(found, ProcessView(opened="100.1100")):
        assert not unsafe(line)
        assert cell_width(line) <= 79


def test_the_processes_of_a_pod_stand_below_their_containers() -> None:
    pod = pod_of(node_of("web"), node_of("db"), node_of("idle"), name="shop")
    found = table(
        members=(
            Members(docker_key("web"), (process(100), process(101, 100))),
            Members(docker_key("db"), (process(200),)),
            Members(docker_key("idle"), ()),
        )
    )
    entries = process_entries(seen(found, node=pod))

    titles = [text_of(entry.spans).strip() for entry in entries if entry.key is None]
    assert titles == ["web  2 processes", "", "db  1 process"]
    assert [entry.key for entry in entries if entry.key] == ["100.1100", "101.1101", "200.1200"]


def test_what_was_left_out_is_counted() -> None:
    text = "\n".join(lines(table(process(100), left_out=7, containers_left_out=3)))

    assert "7 more processes" in text
    assert "3 more containers" in text


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (None, "looking"),
        (Problem("processes", "it may not be", "sudo topcon"), "it may not be"),
        (table(), "there are no processes in it"),
    ],
)
def test_where_there_is_nothing_to_see_that_is_said(found: object, text: str) -> None:
    assert text in "\n".join(lines(found))
    assert "COMMAND" not in text_of(process_heading(seen(found))) or isinstance(found, ProcessTable)


def test_the_process_under_the_cursor_is_the_one_that_is_acted_on() -> None:
    at = seen(table(process(100), process(101, 100, ns_pid=2)), chosen="101.1101")

    member = chosen_process(at)

    assert member is not None
    assert member.container == WEB.key
    assert (member.process.pid, member.process.start_ticks, member.process.comm) == (101, 1101, "c101")
    assert member.process.ns_pids == (101, 2)
    assert at.snapshot.sample.wall_ns - member.process.started_ns == pytest.approx(598.99e9)


@pytest.mark.parametrize("chosen", [None, "100.9999", "999.1000"])
def test_where_the_process_is_gone_nothing_is_acted_on(chosen: str | None) -> None:
    assert chosen_process(seen(table(process(100)), chosen=chosen)) is None


def test_a_host_in_need_stands_out() -> None:
    (entry,) = process_entries(seen(table(process(100, state="D"))))

    assert ("D", Tone.WARN) in [(span.text, span.tone) for span in entry.spans]


def test_no_line_is_written_that_nobody_looks_at(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[int] = []
    really = module._line
    monkeypatch.setattr(module, "_line", lambda process, *rest: written.append(process.pid) or really(process, *rest))
    entries = process_entries(seen(table(*(process(pid) for pid in range(10_000, 15_000)))))

    assert len(entries) == 5000
    assert not written
    assert all(isinstance(entry.spans, LateSpans) for entry in entries)
    for entry in entries[:24]:
        text_of(entry.spans)
        text_of(entry.spans)
    assert len(written) == 24


def test_between_two_looks_the_entries_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    found = table(*(process(pid) for pid in range(100, 200)))
    first = process_entries(seen(found))
    monkeypatch.setattr(module, "arranged", lambda *_: pytest.fail("arranged again"))

    again = process_entries(seen(found, chosen="100.1100"))

    assert [entry.spans for entry in again] == [entry.spans for entry in first]
