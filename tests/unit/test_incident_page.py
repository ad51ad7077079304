"""The page of a report: whole by itself, well-formed, and nothing foreign in it that is more than text."""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime, timedelta, timezone
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET
from zoneinfo import ZoneInfo

import pytest
from fakes import START_WALL_NS
from hypothesis import given
from hypothesis import strategies as st
from samples import HOSTILE_NAMES, SECOND_NS, docker_key, host_of, node_of, pod_of, tree_of, unsafe

from topcon.errors import UsageError
from topcon.incident.charts import axis_text, shares, tens, twos
from topcon.incident.containers import CORES, SHARE
from topcon.incident.fold import Span
from topcon.incident.lists import MOST_EVENTS, most_telling
from topcon.incident.marks import Mark, placed
from topcon.incident.page import write_report
from topcon.incident.style import DARK, LIGHT, STYLE, TEXTS
from topcon.incident.times import Times, length_text
from topcon.incident.tracks import Steps
from topcon.incident.words import listed
from topcon.model.event import Event, Kind
from topcon.model.sample import Problem, State
from topcon.model.snapshot import Finding, HostNode, PressureShare, PressureShares, Severity, Usage

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from topcon.model.snapshot import Snapshot

MIB = 1 << 20
HOSTILE = {
    **HOSTILE_NAMES,
    "tags": "</svg><script>alert(1)</script>",
    "attribute": '" onmouseover="alert(1)" x=\'',
    "image": '<img src="http://example.org/x.png">',
    "style": "</style></title><h1>",
    "comment": "<!-- ",
    "entity": "&lt;script&gt; &#27; &amp;",
    "ansi": "\x1b[31mred\x1b[0m",
}
VOID = {"meta", "link", "br", "img", "input", "hr"}
REQUESTS = {"src", "href", "srcset", "data", "action", "poster", "background", "formaction", "ping", "xlink:href"}
HARMLESS = {
    *("html", "head", "meta", "link", "title", "style", "body", "header", "main", "footer", "section", "article"),
    *("p", "h1", "h2", "h3", "div", "span", "dl", "dt", "dd", "ul", "ol", "li", "a", "bdi", "strong", "code", "time"),
    *("table", "thead", "tbody", "tr", "th", "td", "figure", "figcaption"),
    *("svg", "defs", "path", "line", "rect", "text", "use"),
}


class Page(HTMLParser):
    """What a browser makes of a page: its elements in their order, its texts, and the source of each outer SVG."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.svgs: list[str] = []
        self._source = source
        self._lines = [0]
        for line in source.splitlines(keepends=True):
            self._lines.append(self._lines[-1] + len(line))
        self._svg_begin = 0
        self.feed(source)
        self.close()
        assert self.open == []

    def _at(self) -> int:
        line, column = self.getpos()
        return self._lines[line - 1] + column

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        assert len(given) == len(attrs)
        self.elements.append((tag, given))
        self.texts.append("" if tag in {"a", "bdi", "strong"} else " ")
        if tag == "svg" and "svg" not in self.open:
            self._svg_begin = self._at()
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        if tag == "svg" and "svg" not in self.open:
            self.svgs.append(self._source[self._svg_begin : self._at() + len("</svg>")])

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.texts).split())

    def all_of(self, tag: str, kind: str = "") -> list[dict[str, str]]:
        return [given for name, given in self.elements if name == tag and kind in given.get("class", "")]


def ns(seconds: float) -> int:
    return START_WALL_NS + int(seconds * SECOND_NS)


def event(name: str = "web", seconds: float = 0.0, kind: Kind = Kind.START, **options: Any) -> Event:
    given: dict[str, Any] = {"target": docker_key(name), "name": name, "text": kind.value}
    return Event(wall_ns=ns(seconds), monotonic_ns=0, kind=kind, **(given | options))


def finding(name: str = "web", severity: Severity = Severity.CRITICAL, **options: Any) -> Finding:
    given: dict[str, Any] = {
        "code": "cpu-throttled",
        "summary": "throttled in 61% of its periods",
        "evidence": "0.2 of 0.2",
    }
    return Finding(severity=severity, target=docker_key(name), advice="", **(given | options))


def busy(second: int, *, is_quiet: bool = False) -> Usage:
    """Something of everything; at second 7 more."""
    much = 4.0 if second == 7 else 1.0
    stalled = PressureShare(0.0 if is_quiet else 0.1 * much, 0.0)
    return Usage(
        cpu_cores=0.25 * much,
        cpu_limit_cores=2.0,
        throttled_share=0.2,
        memory_bytes=100 * MIB,
        memory_limit_bytes=128 * MIB,
        pressure=PressureShares(stalled, stalled, stalled),
        rx_bytes_per_second=1000.0 * much,
        tx_bytes_per_second=10.0,
        read_bytes_per_second=0.0,
        write_bytes_per_second=0.0,
    )


def ticks(
    seconds: Iterable[int], name: str = "web", findings: Iterable[Finding] = (), **options: Any
) -> list[Snapshot]:
    sample = host_of(**options.pop("host", {}))
    pod = options.pop("pod", None)
    others: dict[str, Any] = options.pop("others", {})
    snapshots = []
    for second in seconds:
        node = node_of(name, busy(second), **options)
        node = node._replace(key=docker_key("web"))
        host = HostNode(sample, 0.5, None)
        tree = tree_of(pod_of(node, name=pod), host=host, findings=findings, seconds=second, **others)
        snapshots.append(tree)
    return snapshots


def source(snapshots: Iterable[Snapshot], events: Iterable[Event] = (), **options: Any) -> str:
    out = io.StringIO()
    write_report(iter(snapshots), events, out, **({"tz": UTC} | options))
    return out.getvalue()


def page(snapshots: Iterable[Snapshot], events: Iterable[Event] = (), **options: Any) -> Page:
    return Page(source(snapshots, events, **options))


def hostile_page(text: str) -> Page:
    """Everything that can be foreign is."""
    return page(
        ticks(
            range(12),
            name=text,
            pod=text or "pod",
            image=text or "image",
            runtime=text or "docker",
            findings=[finding(summary=text, evidence=text or "evidence")],
            host={"name": text, "kernel": text, "os_name": text or "os"},
            others={"problems": (Problem(text, text),)},
        ),
        [event(text, 3, kind=kind, text=text, pod=text or "pod", severity=Severity.CRITICAL) for kind in Kind],
        title=text or "title",
    )


def structure(parsed: Page) -> list[tuple[str, tuple[str, ...]]]:
    return [(tag, tuple(given)) for tag, given in parsed.elements]


PLAIN = structure(hostile_page("web"))


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_foreign_text_is_text_and_nothing_else(text: str) -> None:
    parsed = hostile_page(text)

    assert structure(parsed) == PLAIN
    values = [value for _, given in parsed.elements for value in given.values()]
    for shown in (*parsed.texts, *values):
        assert not unsafe(shown.replace("\n", ""))


@given(st.text(max_size=40))
def test_whatever_a_name_is_the_page_has_the_same_elements(text: str) -> None:
    assert structure(hostile_page(text)) == PLAIN


def test_what_is_drawn_is_well_formed_and_nothing_of_the_page_is_fetched_or_run() -> None:
    written = source(
        ticks(range(60), findings=[finding()]),
        [event(seconds=5, kind=kind, severity=Severity.WARNING) for kind in Kind],
    )
    parsed = Page(written)

    assert len(parsed.svgs) > 8
    for svg in parsed.svgs:
        ET.fromstring(svg)
    assert {tag for tag, _ in parsed.elements} <= HARMLESS
    for _, attributes in parsed.elements:
        assert not [name for name in attributes if name.startswith("on")]
        for name in REQUESTS & attributes.keys():
            assert attributes[name].startswith("#") or attributes[name] == "data:,"
    assert "http:" not in written.replace("http-equiv", "")
    assert "https:" not in written
    assert not re.search(r"url\(|@import|expression", STYLE)
    anchors = {given["id"] for _, given in parsed.elements if "id" in given}
    assert {given["href"][1:] for _, given in parsed.elements if given.get("href", "").startswith("#")} <= anchors
    assert written.isascii()


def test_paths_stay_within_what_is_drawn() -> None:
    parsed = page(ticks([*range(30), *range(100, 130)]))

    inner = [ET.fromstring(svg) for svg in parsed.svgs]
    boxes = [each for svg in inner for each in svg.iter("svg") if "viewBox" in each.attrib]
    assert boxes
    for box in boxes:
        width, height = map(int, box.attrib["viewBox"].split()[2:])
        for path in box.iter("path"):
            for x, y in places(path.attrib["d"]):
                assert 0 <= x <= width
                assert 0 <= y <= height


def places(way: str) -> list[tuple[int, int]]:
    """Follow a path."""
    x = y = 0
    found = []
    for letter, numbers in re.findall(r"([MlhVz])([-\d ]*)", way):
        parts = [int(each) for each in re.findall(r"-?\d+", numbers)]
        match letter:
            case "M":
                x, y = parts
            case "l":
                x, y = x + parts[0], y + parts[1]
            case "h":
                x += parts[0]
            case "V":
                (y,) = parts
        found.append((x, y))
    return found


def test_it_says_whose_when_and_how_long_it_was() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    parsed = page(ticks(range(0, 3670, 10)), tz=berlin)

    begin = datetime.fromtimestamp(START_WALL_NS // SECOND_NS, berlin)
    assert (
        f"testhost From {begin:%Y-%m-%d %H:%M:%S} To {begin + timedelta(seconds=3660):%Y-%m-%d %H:%M:%S}" in parsed.text
    )
    assert "Time zone CEST (UTC+02:00) Length 1 h 1 min Containers 1" in parsed.text
    assert parsed.all_of("time")[0]["datetime"] == begin.isoformat()


def test_what_was_wrong_is_said_first_the_worst_on_top() -> None:
    nodes = {name: node_of(name, busy(0)) for name in ("web", "db", "cache")}
    found = [finding("db", Severity.WARNING, summary="it swaps"), finding("cache"), finding("web", Severity.INFO)]
    snapshots = [tree_of(*map(pod_of, nodes.values()), findings=found, seconds=second) for second in range(5)]

    parsed = page(snapshots, [event("db", 2, Kind.OOM), event("db", 3, Kind.EXIT), event("db", 4)])

    assert "1 critical finding and 1 warning, in 2 of 3 containers." in parsed.text
    assert "cache throttled in 61% of its periods, all the time" in parsed.text
    assert "In that time: 1 kill for memory, 1 exit and 1 start." in parsed.text
    assert parsed.text.index("cache throttled") < parsed.text.index("db it swaps")


def test_where_nothing_was_wrong_that_is_said() -> None:
    parsed = page(ticks(range(5)))

    assert "Nothing was found to be wrong in 1 container." in parsed.text
    assert "Nothing was found." in parsed.text
    assert "Nothing happened in that time" in parsed.text


def test_a_finding_has_since_until_and_how_long() -> None:
    wrong, well = ticks(range(60), findings=[finding()]), ticks(range(60))
    node = wrong[0]
    snapshots = [(wrong if 10 <= second < 30 else well)[second] for second in range(60)]

    parsed = page(snapshots)

    times = [f"{datetime.fromtimestamp(ns(second) // SECOND_NS, UTC):%H:%M:%S}" for second in (10, 30)]
    assert node.findings
    assert f"critical web throttled in 61% of its periods cpu-throttled 0.2 of 0.2 {times[0]} {times[1]} 20 s".replace(
        " ", ""
    ) in parsed.text.replace(" ", "")


def test_how_long_ago_it_was_then_is_left_out() -> None:
    parsed = page(ticks(range(3), findings=[finding(summary="a process of it was killed for memory 12 s ago")]))

    assert "a process of it was killed for memory" in parsed.text
    assert "ago" not in parsed.text.split()


def test_a_container_is_shown_with_its_peaks_limits_and_last_state() -> None:
    parsed = page(ticks(range(20), state=State.EXITED, exit_code=137, image="shop:1.4", finished_ns=ns(19), restarts=3))

    peak = f"{datetime.fromtimestamp(ns(7) // SECOND_NS, UTC):%H:%M:%S}"
    assert f"CPU cores peak 1 at {peak} limit 2" in parsed.text
    assert "Memory bytes peak 100M" in parsed.text
    assert "received peak 3.91k/s sent peak 10/s" in parsed.text
    assert "0 all the time: disk." in parsed.text
    assert "Image shop:1.4 Runtime docker" in parsed.text
    assert "Exit code 137 (SIGKILL) Restarts 3" in parsed.text
    labels = [given["aria-label"] for given in parsed.all_of("svg", "chart")]
    assert f"CPU of web, cores: peak 1 at {peak}" in labels


def test_each_kind_of_mark_is_drawn_where_it_happened() -> None:
    happened = [event(seconds=25, kind=Kind.START), event(seconds=50, kind=Kind.OOM), event(seconds=75, kind=Kind.EXIT)]

    parsed = page(ticks(range(100)), happened)

    marks = [(given["href"], given["x"]) for given in parsed.all_of("use") if "%" in given["x"]]
    assert {("#start", "25%"), ("#oom", "50%"), ("#exit", "75%")} <= set(marks)


def test_marks_that_are_too_near_become_the_worst_of_them() -> None:
    steps = Steps(ns(0), SECOND_NS)
    for second in range(100):
        steps.add(ns(second))
    happened = [
        event(seconds=10, kind=Kind.EXIT),
        event(seconds=10.5, kind=Kind.OOM),
        event(seconds=11),
        event(seconds=40),
    ]

    marks = placed([*happened, event(seconds=60, kind=Kind.FINDING)], steps, 0.03)

    assert [(each.mark, len(each.events)) for each in marks] == [(Mark.OOM, 3), (Mark.START, 1)]


def test_of_many_events_the_worst_are_listed_and_what_is_left_out_is_said() -> None:
    bad = [
        event(seconds=second, kind=Kind.OOM, severity=Severity.CRITICAL, text=f"bad {second}") for second in range(20)
    ]
    starts = [event("other", 20 + second / 10) for second in range(MOST_EVENTS)]

    parsed = page(ticks(range(100)), [*bad, *starts])

    assert len(re.findall(r"<li><time", source(ticks(range(100)), [*bad, *starts]))) == MOST_EVENTS
    assert all(f"bad {second}" in parsed.text for second in range(20))
    assert "500 of 520" in parsed.text
    assert "Left out, by kind: started 20." in parsed.text


def test_of_events_alike_those_of_the_containers_shown_and_then_the_newest_are_listed() -> None:
    happened = [event("web" if number % 2 else "db", number) for number in range(2 * MOST_EVENTS)]

    shown, left = most_telling(happened, {docker_key("web")})

    assert {each.name for each in shown} == {"web"}
    assert shown == sorted(shown, key=lambda each: each.wall_ns)
    assert len(shown) + len(left) == len(happened)


def test_events_outside_of_the_span_are_no_part_of_it() -> None:
    parsed = page(ticks(range(10, 20)), [event(seconds=5, text="before"), event(seconds=25, text="after")])

    assert "before" not in parsed.text.split()
    assert "Nothing happened in that time" in parsed.text


def test_days_are_told_where_there_is_more_than_one() -> None:
    day = [event(seconds=0), event(seconds=86_400)]

    parsed = page(ticks(range(0, 86_401, 3600)), day)

    assert len(parsed.all_of("li", "day")) == 2


def test_a_gap_is_drawn_and_said() -> None:
    parsed = page(ticks([*range(30), *range(90, 120)]))

    assert parsed.all_of("rect", "gap")
    begin, end = (f"{datetime.fromtimestamp(ns(second) // SECOND_NS, UTC):%H:%M:%S}" for second in (29, 90))
    assert f"Nothing was recorded from {begin} to {end}." in parsed.text


def test_a_single_moment_is_a_page_too() -> None:
    parsed = page(ticks([0]))

    assert "Length 0 s" in parsed.text
    assert any(given["d"].endswith("h0") for given in parsed.all_of("path", "line"))


def test_without_a_moment_there_is_no_page() -> None:
    with pytest.raises(UsageError, match="nothing was recorded"):
        source([])


def test_a_title_of_ones_own_leaves_the_host_its_name() -> None:
    parsed = page(ticks(range(3)), title="Checkout down")

    assert "Incident report Checkout down Host testhost" in parsed.text


@pytest.mark.parametrize(("colors"), [LIGHT, DARK], ids=["light", "dark"])
def test_what_is_written_and_drawn_has_contrast(colors: dict[str, str]) -> None:
    assert colors.keys() == LIGHT.keys()
    for ground in ("paper", "raised"):
        for name in TEXTS:
            assert contrast(colors[name], colors[ground]) >= 4.5, (name, ground)
    for name in ("limit", "critical", "warning", "good"):
        assert contrast(colors[name], colors["paper"]) >= 3.0, name


def contrast(one: str, other: str) -> float:
    """As WCAG 2 counts it."""
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(color: str) -> float:
    parts = (int(color[at : at + 2], 16) / 255 for at in (1, 3, 5))
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (40.4, "40 s"),
        (60, "1 min"),
        (340, "5 min 40 s"),
        (3600, "1 h"),
        (3661, "1 h 1 min"),
        (7205, "2 h"),
        (7199, "2 h"),
        (59.7, "1 min"),
        (3599.9, "1 h"),
        (93_570, "1 d 2 h"),
        (86_399, "1 d"),
        (90_000, "1 d 1 h"),
    ],
)
def test_lengths(seconds: float, text: str) -> None:
    assert length_text(seconds) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.50", "0.5"),
        ("1.00", "1"),
        ("64.0M", "64M"),
        ("1.50k/s", "1.5k/s"),
        ("100", "100"),
        ("100%", "100%"),
        ("-", "-"),
    ],
)
def test_an_axis_has_short_numbers(text: str, expected: str) -> None:
    assert axis_text(text) == expected


@given(st.floats(1e-3, 1e15))
def test_an_upper_edge_is_no_lower_and_not_much_higher(value: float) -> None:
    assert value * (1 - 1e-9) <= tens(value) <= 1.51 * value
    assert value <= twos(value) <= 1.51 * value


@given(st.floats(0.01, 900.0))
def test_of_an_upper_edge_and_its_half_all_digits_are_written(value: float) -> None:
    for scale, unit in ((CORES, 1.0), (SHARE, 0.01)):
        top = scale.rounded_up(min(max(value, scale.least), 1.0 if scale is SHARE else value + scale.least))
        for each in (top, top / 2):
            assert float(axis_text(scale.to_text(each)).rstrip("%")) * unit == pytest.approx(each)


@given(st.floats(0.0, 1.0))
def test_an_upper_edge_of_shares_is_one_at_the_most(value: float) -> None:
    assert value <= shares(value) <= 1.0


@pytest.mark.parametrize(
    ("seconds", "most", "texts"),
    [
        (10, 5, ["15:43:20", "15:43:22", "15:43:24", "15:43:26", "15:43:28", "15:43:30"]),
        (3600, 4, ["15:45", "16:00", "16:15", "16:30"]),
        (86_400, 4, ["18:00", "22 Sep", "06:00", "12:00"]),
        (7 * 86_400, 4, ["22 Sep", "24 Sep", "26 Sep", "28 Sep"]),
    ],
)
def test_times_of_an_axis_are_round(seconds: int, most: int, texts: Sequence[str]) -> None:
    # Half an hour beside the others' full ones.
    zone = timezone(timedelta(hours=1, minutes=30))
    times = Times(zone, Span(ns(0), ns(seconds)))

    assert [tick.text for tick in times.ticks(ns(0), ns(seconds), most)] == texts


def test_lists_in_a_sentence() -> None:
    assert [listed(parts) for parts in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == ["", "a", "a and b", "a, b and c"]
