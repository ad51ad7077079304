"""The details: all that is known, nothing that is made up, and every line of it on the screen."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pytest
from fakes import SECOND_NS, START_WALL_NS
from hypothesis import given
from hypothesis import strategies as st
from samples import (
    HOSTILE_NAMES,
    cgroup_of,
    container_id,
    docker_key,
    node_of,
    own_namespaces,
    path_of,
    pod_of,
    process_of,
    sample_of,
    snapshot_after,
    stopped,
    text_of,
    tree_of,
    unhurried_in_making,
    unsafe,
)

from topcon.model.about import About, Attachment, HealthCheck
from topcon.model.sample import CgroupPath, Health, LogLine, MemoryStat, Namespaces, Port, State
from topcon.model.snapshot import Finding, PressureShare, PressureShares, Severity, Usage
from topcon.ui.detail import OUTPUT_LINES, TWO_WIDE, detail_lines, find, wide_lines
from topcon.ui.spans import Span, Tone, width_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from topcon.model.snapshot import ContainerNode, PodNode, Snapshot
    from topcon.ui.spans import Spans


HOUR_NS = 3600 * SECOND_NS
LABEL_END = 15
"""Where values begin."""


def lines_of(node: ContainerNode | PodNode, snapshot: Snapshot | None = None, width: int = 200) -> list[str]:
    if snapshot is None:
        snapshot = tree_of(node if not hasattr(node, "info") else pod_of(node))  # type: ignore[arg-type]
    return [text_of(line) for line in detail_lines(snapshot, node, width)]


def said(node: ContainerNode | PodNode, snapshot: Snapshot | None = None) -> dict[str, str]:
    """Return the values by their labels; the first one where a namespace is called as something else is."""
    pairs = [(line[:LABEL_END].strip(), line[LABEL_END:].strip()) for line in lines_of(node, snapshot)]
    found: dict[str, str] = {}
    for label, value in pairs:
        found.setdefault(label, value)
    return {label: value for label, value in found.items() if label and value}


def titles(node: ContainerNode) -> list[str]:
    snapshot = tree_of(pod_of(node))
    return [line[0].text.strip() for line in detail_lines(snapshot, node, 80) if line and line[0].tone is Tone.ACCENT]


FULL = node_of(
    "web",
    Usage(
        cpu_cores=0.95,
        cpu_limit_cores=2.0,
        throttled_share=0.61,
        memory_bytes=180 << 20,
        memory_limit_bytes=720 << 20,
        pressure=PressureShares(PressureShare(0.04, None), PressureShare(0.02, 0.01), None),
        rx_bytes_per_second=1024.0,
        tx_bytes_per_second=0.0,
        read_bytes_per_second=12288.0,
        pids=27,
        pids_limit=100,
    ),
    image="nginx:1.27",
    command="nginx -g 'daemon off;'",
    health=Health.HEALTHY,
    restarts=2,
    restart_policy="always",
    started_ns=START_WALL_NS - 2 * HOUR_NS,
    cgroup=cgroup_of(
        path_of("web"), memory=MemoryStat(200 << 20, 720 << 20, 300 << 20, 0, 150 << 20, 50 << 20, 20 << 20, 4)
    ),
    process=process_of("web", pid=4711, ns_pids=(4711, 1), comm="nginx"),
    shared_with_host=("user", "time"),
)


# Finding the row


def test_a_row_is_found_by_its_key() -> None:
    shop = pod_of(node_of("web"), node_of("db"), name="shop")
    snapshot = tree_of(shop)

    assert find(snapshot, f"container:{docker_key('db')}") is shop.containers[1]
    assert find(snapshot, "pod:compose:shop") is shop


@pytest.mark.parametrize("key", ["container:docker:123", "pod:compose:other", f"pod:{docker_key('web')}", "container:"])
def test_what_is_gone_is_not_found(key: str) -> None:
    assert find(tree_of(pod_of(node_of("web"))), key) is None


# What is said of a container


def test_all_that_is_known_of_a_container_is_said() -> None:
    shown = said(FULL)

    assert (
        shown
        | {
            "name": "web",
            "id": container_id("web"),
            "runtime": "docker (named by api)",
            "image": "nginx:1.27",
            "command": "nginx -g 'daemon off;'",
            "pod": "web (single)",
            "state": "healthy",
            "health": "healthy",
            "started": "2026-09-21T12:13:20.000Z (2h ago)",
            "restarts": "2 (policy always)",
            "digest": "-",
            "user": "-",
            "CPU": "0.95 of 2.00 (48%)      ███████▋",
            "throttled": "61% of its periods",
            "memory": "180M of 720M (25%)      ████",
            "network": "1.00k/s in, 0/s out",
            "disk": "12.0k/s read, - written",
            "pids": "27 of 100               ████▍",
            "CPU stall": "some tasks 4% of the time",
            "mem stall": "some tasks 2%, all 1% of the time",
            "I/O stall": "-",
            "charged": "200M",
            "working set": "180M",
            "anonymous": "150M",
            "page cache": "50.0M",
            "swap": "0",
            "peak": "300M",
            "OOM kills": "4",
            "process": "4711, 1 inside (nginx)",
            "cgroup": path_of("web"),
            "host's": "user, time",
        }
        == shown
    )


def test_namespaces_of_its_own_are_numbers_and_the_hosts_are_named() -> None:
    shown = said(FULL)
    own = own_namespaces("web")

    assert {kind: shown.get(kind) for kind in ("net ns", "mnt ns", "user ns", "time ns")} == {
        "net ns": str(own.net),
        "mnt ns": str(own.mnt),
        "user ns": None,
        "time ns": None,
    }


def test_what_is_unknown_is_a_dash() -> None:
    shown = said(node_of("web"))

    unknown = ("image", "command", "health", "started", "restarts", "throttled", "CPU stall", "process", "cgroup")
    assert {label: shown[label] for label in unknown} == dict.fromkeys(unknown, "-")
    assert shown["network"] == "- in, - out"
    assert "Memory" not in titles(node_of("web"))


def test_a_running_container_without_limits_is_said_to_have_none() -> None:
    shown = said(node_of("web", Usage(cpu_cores=0.5, memory_bytes=5 << 20, pids=3), cgroup=cgroup_of(path_of("web"))))

    assert (shown["CPU"], shown["memory"], shown["pids"]) == ("0.50, no limit", "5.00M, no limit", "3, no limit")


def test_a_stopped_container_is_not_said_to_have_no_limit() -> None:
    """Its cgroup is gone, and with it what is known of its limits."""
    snapshot = snapshot_after(sample_of(stopped("web")))

    shown = said(snapshot.containers[docker_key("web")], snapshot)

    assert (shown["CPU"], shown["memory"], shown["pids"]) == ("-", "-", "-")


def test_namespaces_that_may_not_be_looked_at_are_unknown_and_not_the_containers_own() -> None:
    shown = said(node_of("web", process=process_of("web", namespaces=Namespaces())))

    assert (shown["host's"], shown["net ns"], shown["user ns"]) == ("-", "-", "-")


def test_a_stopped_container_says_when_and_how_it_ended() -> None:
    options: dict[str, Any] = {"state": State.EXITED, "exit_code": 137, "oom_killed": True}
    shown = said(node_of("web", finished_ns=START_WALL_NS - 90 * SECOND_NS, **options))

    assert (shown["state"], shown["exit code"]) == ("oom 137", "137 (SIGKILL, out of memory)")
    assert shown["finished"] == "2026-09-21T14:11:50.000Z (1m ago)"
    assert not {"finished", "exit code"} & said(node_of("web")).keys()


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (0, "0"),
        (3, "3"),
        (127, "127 (command not found)"),
        (137, "137 (SIGKILL)"),
        (139, "139 (SIGSEGV)"),
        (143, "143 (SIGTERM)"),
    ],
)
def test_an_exit_code_is_said_with_what_it_means(code: int, expected: str) -> None:
    assert said(node_of("web", state=State.EXITED, exit_code=code))["exit code"] == expected


@pytest.mark.parametrize(
    ("port", "label", "expected"),
    [
        (Port("127.0.0.1", 8080, 80, "tcp"), "80/tcp", "at 127.0.0.1:8080"),
        (Port(None, 5353, 53, "udp"), "53/udp", "at *:5353"),
        (Port("::", 8080, 80, "tcp"), "80/tcp", "at [::]:8080"),
    ],
)
def test_a_published_port_says_where_it_is(port: Port, label: str, expected: str) -> None:
    assert said(node_of("web", ports=(port,)))[label] == expected


def test_a_port_without_one_on_the_host_is_not_said_to_be_at_one() -> None:
    """Docker has not chosen one yet while the container is stopped."""
    shown = said(node_of("web", ports=(Port(None, None, 80, "tcp"),)))

    assert "None" not in shown["80/tcp"]


def test_labels_are_in_order_and_stand_under_a_title_only_if_there_are_any() -> None:
    node = node_of("web", labels=MappingProxyType({"b": "2", "a": "1", "c": ""}))
    lines = lines_of(node)

    at = lines.index(" Labels")
    assert [line.split() for line in lines[at + 1 :]] == [["a", "1"], ["b", "2"], ["c", "-"]]
    assert titles(node_of("web")) == ["State", "Use", "Isolation"]
    assert titles(FULL) == ["State", "Use", "Memory", "Isolation"]


def test_a_pid_that_is_the_same_inside_is_said_once() -> None:
    assert said(node_of("web", process=process_of("web", pid=4711, ns_pids=(4711,))))["process"] == "4711 (sleep)"


# What is said of a pod


def test_a_pod_says_what_is_in_it_and_what_it_uses_together() -> None:
    pod = pod_of(
        node_of("web", health=Health.UNHEALTHY),
        node_of("db", state=State.EXITED, exit_code=1),
        name="shop",
        usage=Usage(cpu_cores=1.5, memory_bytes=1 << 30),
    )

    shown = said(pod)

    assert (shown["pod"], shown["kind"], shown["state"]) == ("shop", "compose (compose:shop)", "1/2 up")
    assert (shown["unhealthy"], shown["exited 1"]) == ("web", "db")
    assert shown["CPU"].startswith("1.50")


# Findings


def findings_of(*severities: Severity, target: str = "web") -> list[Finding]:
    return [Finding("code", each, docker_key(target), f"is {each.name}", f"mend {each.name}") for each in severities]


def test_what_is_wrong_comes_first_with_what_to_do() -> None:
    web = node_of("web")
    shop = pod_of(web, node_of("db"), name="shop")
    found = [*findings_of(Severity.CRITICAL, Severity.INFO), *findings_of(Severity.WARNING, target="db")]
    snapshot = tree_of(shop, findings=found)

    assert lines_of(web, snapshot)[:4] == [" ■ is CRITICAL", "   mend CRITICAL", " · is INFO", ""]
    assert lines_of(shop, snapshot)[:6] == [
        " ■ web: is CRITICAL",
        "   mend CRITICAL",
        " · web: is INFO",
        " ▲ db: is WARNING",
        "   mend WARNING",
        "",
    ]
    assert lines_of(snapshot.containers[docker_key("db")], snapshot)[0] == " ▲ db: is WARNING".replace("db: ", "")


def test_evidence_stands_between_what_is_wrong_and_what_to_do() -> None:
    web = node_of("web")
    snapshot = tree_of(pod_of(web))
    since_ns = snapshot.sample.monotonic_ns - 90 * SECOND_NS
    finding = Finding("code", Severity.WARNING, web.key, "is sick", "mend it", "12 of 10", "it is slow", since_ns)

    found = replace(snapshot, findings=(finding,))
    assert lines_of(web, found)[:2] == [" ▲ is sick   for 1m: 12 of 10", "   mend it"]
    assert lines_of(web, found, width=24)[:3] == [" ▲ is sick", "   for 1m: 12 of 10", "   mend it"]


def test_of_several_containers_evidence_is_said_and_what_to_do_left_to_each() -> None:
    shop = pod_of(node_of("web"), node_of("db"), name="shop")
    finding = Finding("code", Severity.WARNING, docker_key("web"), "is sick", "mend it", "12 of 10")

    assert lines_of(shop, tree_of(shop, findings=[finding]))[:2] == [" ▲ web: is sick   12 of 10", ""]


# What its runtime says when it is asked


ASKED = About(
    digest="sha256:1234",
    user="nginx",
    error="no such file",
    memory_reserved_bytes=90 << 20,
    swap_limit_bytes=1 << 30,
    cpu_shares=512,
    cpus="0-1",
    attachments=(
        Attachment("bridge", ("172.17.0.2/16", "fd00::2/64"), "172.17.0.1", "02:42:ac:11:00:02"),
        Attachment("lonely"),
    ),
    failing=3,
    checks=(
        HealthCheck(START_WALL_NS - SECOND_NS, 0, "ok"),
        HealthCheck(START_WALL_NS, 1, "first\nrefused"),
        HealthCheck(None, None, ""),
    ),
)


def asked(node: ContainerNode, about: About = ASKED) -> dict[str, str]:
    lines = [text_of(line) for line in detail_lines(tree_of(pod_of(node)), node, 200, about=about)]
    return {line[:LABEL_END].strip(): line[LABEL_END:].strip() for line in lines}


def test_what_its_runtime_says_stands_where_it_belongs() -> None:
    shown = asked(FULL)

    assert (
        shown
        | {
            "digest": "sha256:1234",
            "user": "nginx",
            "error": "no such file",
            "health": "healthy, the last 3 checks failed",
            "reserved": "180M of 90.0M (200%)    ████████████████",
            "with swap": "limit 1.00G",
            "CPU weight": "512 of 1024",
            "CPUs": "0-1",
            "bridge": "172.17.0.2/16, fd00::2/64, gateway 172.17.0.1, 02:42:ac:11:00:02",
            "lonely": "-",
        }
        == shown
    )


def test_the_last_health_checks_say_when_and_how_they_ended() -> None:
    lines = [text_of(line) for line in detail_lines(tree_of(pod_of(FULL)), FULL, 200, about=ASKED)]
    at = next(at for at, line in enumerate(lines) if line.strip().startswith("health"))

    assert [line.strip() for line in lines[at + 1 : at + 4]] == [
        "14:13:19 exit 0: ok",
        "14:13:20 exit 1: refused",
        "- exit -",
    ]


# In two columns


def wide(width: int, node: ContainerNode = FULL, output: Sequence[LogLine] = ()) -> list[str]:
    return [text_of(line) for line in wide_lines(tree_of(pod_of(node)), node, width, output, ASKED)]


def test_where_there_is_room_there_are_two_columns_with_the_same_in_them() -> None:
    output = (LogLine(None, is_stderr=False, text="hello"),)
    below, beside = wide(TWO_WIDE - 1, output=output), wide(159, output=output)

    assert len(beside) < len(below)
    assert [beside[0].split(), beside[1].split()[2:]] == [["name", "web", "Output"], ["-", "hello"]]
    # Broken elsewhere, so letter by letter.
    assert sorted("".join(below).replace(" ", "")) == sorted("".join(beside).replace(" ", ""))


def test_an_id_has_room_in_the_first_column() -> None:
    assert f"id           {container_id('web')}  " in "".join(wide(TWO_WIDE))


@unhurried_in_making
@given(st.integers(40, 250))
def test_no_column_is_wider_than_its_room(width: int) -> None:
    lines = wide_lines(tree_of(pod_of(FULL)), FULL, width, (), ASKED)

    assert max(map(width_of, lines)) <= width


# Any text, any width


def hostile(text: str) -> ContainerNode:
    """Return a container of which all that is foreign is the same text."""
    return node_of(
        text,
        id=text,
        image=text,
        command=text,
        restarts=1,
        restart_policy=text,
        labels=MappingProxyType({text: text}),
        ports=(Port(text, 80, 80, "tcp"),),
        cgroup=cgroup_of(CgroupPath(f"/{text}")),
        process=process_of("web", comm=text),
    )


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_nothing_foreign_reaches_the_terminal_as_it_is(name: str) -> None:
    node = hostile(HOSTILE_NAMES[name])
    pod = pod_of(node, node_of("b"), name=HOSTILE_NAMES[name] or "shop")
    snapshot = tree_of(pod, findings=[Finding("code", Severity.CRITICAL, node.key, "is sick", "mend it")])

    for each in (node, pod):
        assert unsafe("".join(lines_of(each, snapshot))) == set()


def test_the_protocol_of_a_port_is_foreign_too() -> None:
    assert unsafe("".join(lines_of(node_of("web", ports=(Port(None, 80, 80, "tcp\x1b[2J"),))))) == set()


@unhurried_in_making
@given(st.sampled_from(["x" * 300, "日本語の名前" * 20, "a b " * 40, "短い", "é" * 90]), st.integers(40, 120))
def test_no_line_is_wider_than_the_screen_and_nothing_of_a_value_is_lost(value: str, width: int) -> None:
    node = node_of("web", image=value)
    snapshot = tree_of(pod_of(node))

    lines = detail_lines(snapshot, node, width)

    assert max(map(width_of, lines)) <= width
    assert value.replace(" ", "") in "".join(line[-1].text for line in lines if line).replace(" ", "")


@pytest.mark.parametrize("width", [40, 80])
@pytest.mark.parametrize(
    "label",
    ["com.docker.compose.project.config_files", "x" * 300, "日本語の名前" * 10],
    ids=["compose", "long", "wide"],
)
def test_a_long_name_of_a_label_leaves_its_value_on_the_screen(label: str, width: int) -> None:
    node = node_of("web", labels=MappingProxyType({label: "/srv/shop/compose.yaml"}))
    snapshot = tree_of(pod_of(node))

    lines = detail_lines(snapshot, node, width)

    assert max(map(width_of, lines)) <= width
    assert "/srv/shop/compose.yaml" in "".join(line[-1].text for line in lines if line)


def test_the_rest_of_a_long_value_stands_under_its_beginning() -> None:
    lines = lines_of(node_of("web", image="x" * 100), width=60)

    at = next(at for at, line in enumerate(lines) if line.strip().startswith("image"))
    assert [line.count("x") for line in lines[at : at + 3]] == [45, 45, 10]
    assert {line.index("x") for line in lines[at : at + 3]} == {LABEL_END}


# What it has written.


def output_of(output: Sequence[LogLine], width: int = 80) -> list[Spans]:
    lines = detail_lines(tree_of(pod_of(FULL)), FULL, width, output)
    start = next((at for at, line in enumerate(lines) if line == [Span(" Output", Tone.ACCENT)]), None)
    return [] if start is None else lines[start + 1 : lines.index([], start)]


def test_the_output_says_when_and_marks_what_went_to_stderr() -> None:
    noon_ns = 20_000 * 86400 * SECOND_NS + 43_200 * SECOND_NS
    lines = output_of(
        [
            LogLine(noon_ns + 999_999_999, is_stderr=False, text="hello"),
            LogLine(noon_ns + 61 * SECOND_NS, is_stderr=True, text="\x1b[2Jbad\u202e"),
            LogLine(None, is_stderr=False, text=""),
        ]
    )

    assert [text_of(line).rstrip() for line in lines] == [
        "   12:00:00   hello",
        r"   12:01:01 ! \x1b[2Jbad\u202e",
        "   -",
    ]
    assert [line[-1].tone for line in lines] == [Tone.PLAIN, Tone.WARN, Tone.PLAIN]


def test_of_nothing_there_is_no_section() -> None:
    assert "Output" not in titles(FULL)
    assert output_of([]) == []


@pytest.mark.parametrize("text", ["x" * 4096, "\x1b" * 4096, "\u6c34" * 4096, "e\u0301" * 2048, "two words " * 400])
def test_long_lines_are_cut_and_not_broken(text: str) -> None:
    lines = output_of([LogLine(None, is_stderr=False, text=text)] * 30, 40)

    assert len(lines) == OUTPUT_LINES
    assert all(39 <= width_of(line) <= 40 and text_of(line).endswith("…") for line in lines)


@unhurried_in_making
@given(st.lists(st.builds(LogLine, st.none() | st.integers(0, 253_402_300_799 * 10**9), st.booleans(), st.text())))
def test_any_output_is_safe_to_show(output: list[LogLine]) -> None:
    for line in output_of(output, 60):
        assert width_of(line) <= 60
        assert not unsafe(text_of(line))


def test_a_whole_id_stands_in_one_line_of_80_columns() -> None:
    # The bar that scrolls takes one.
    lines = lines_of(FULL, width=79)

    assert any(line.endswith(f" {FULL.info.id}") and len(FULL.info.id) == 64 for line in lines)
