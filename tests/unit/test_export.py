"""A recording written out: lines of JSON, CSV, and OpenMetrics that others read."""

from __future__ import annotations

import csv
import io
import json
import re
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from played import PlayedHost
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from samples import HOSTILE_NAMES, info_of, sample_of, snapshot_after, unsafe

from topcon.export import every, to_csv_lines, to_json_lines
from topcon.exporter import timed
from topcon.exporter.exposition import to_page
from topcon.exporter.options import ExportOptions
from topcon.exporter.page import Vitals
from topcon.exporter.timed import OF_THE_SERVER, to_openmetrics
from topcon.report import to_csv, to_object
from topcon.rows import ViewState, rows

if TYPE_CHECKING:
    from pathlib import Path

    from topcon.model.snapshot import Snapshot

NS = 10**9
WHOLE = ViewState(collapsed=frozenset())
TICKS = 8


@pytest.fixture(scope="module")
def snapshots(tmp_path_factory: pytest.TempPathFactory) -> list[Snapshot]:
    """Some seconds of a host on which all kinds of containers run."""
    with closing(PlayedHost(tmp_path_factory.mktemp("host"))) as host:
        return [host.tick() for _ in range(TICKS)]


# Which frames.


@pytest.mark.parametrize(
    ("times_s", "every_s", "taken"),
    [
        ([0, 1, 2, 3, 4], 0, [0, 1, 2, 3, 4]),
        ([0, 1, 2, 3, 4], 2, [0, 2, 4]),
        ([0, 0.999, 2.001, 2.998], 1, [0, 1, 2, 3]),
        ([0, 9.99, 11, 20.01], 10, [0, 1, 3]),
        ([5, 100, 101, 109, 110], 10, [0, 1, 3]),
        ([0, 0.0001, 0.0012, 1], 0, [0, 2, 3]),
        ([], 5, []),
    ],
    ids=["all", "each second", "jitter", "not late", "a gap", "one a millisecond", "none"],
)
def test_frames_are_taken_as_far_apart_as_was_asked_for(times_s: list[float], every_s: float, taken: list[int]) -> None:
    times = [round(each * NS) for each in times_s]

    assert list(every(times, 0, len(times), round(every_s * NS))) == taken


def test_only_frames_within_the_range_are_taken() -> None:
    assert list(every([each * NS for each in range(10)], 3, 8, 2 * NS)) == [3, 5, 7]


@given(st.lists(st.integers(0, 100 * NS), unique=True), st.integers(0, 10 * NS))
def test_there_is_a_frame_for_each_span_that_has_any(times: list[int], span_ns: int) -> None:
    times.sort()
    taken = [times[each] for each in every(times, 0, len(times), span_ns)]

    assert taken[:1] == times[:1]
    assert len({each // 10**6 for each in taken}) == len(taken)
    # Nothing is left out for longer than two spans in which there was something.
    for left_out in set(times) - set(taken):
        assert any(left_out - each <= max(2 * span_ns, 10**6) for each in taken if each <= left_out)


# JSON and CSV.


def test_json_is_a_line_a_snapshot(snapshots: list[Snapshot]) -> None:
    lines = list(to_json_lines(snapshots, WHOLE))

    assert all(line.count("\n") == 1 and line.endswith("\n") for line in lines)
    assert [json.loads(line) for line in lines] == [
        json.loads(json.dumps(to_object(each, rows(each, WHOLE)))) for each in snapshots
    ]


def test_csv_has_one_line_of_names(snapshots: list[Snapshot]) -> None:
    text = "".join(to_csv_lines(snapshots, WHOLE))
    each = [list(csv.DictReader(io.StringIO(to_csv(snapshot, rows(snapshot, WHOLE))))) for snapshot in snapshots]

    assert list(csv.DictReader(io.StringIO(text))) == [line for lines in each for line in lines]
    assert len({line["time"] for line in csv.DictReader(io.StringIO(text))}) == TICKS


def test_each_snapshot_is_asked_for_when_the_one_before_is_written(snapshots: list[Snapshot]) -> None:
    asked = iter(snapshots)
    lines = to_json_lines(asked, WHOLE)
    next(lines)

    assert next(asked) is snapshots[1]


@pytest.mark.parametrize("name", HOSTILE_NAMES.values(), ids=HOSTILE_NAMES)
def test_no_hostile_name_gets_out(name: str) -> None:
    snapshot = snapshot_after(sample_of(containers=(info_of("web", name=name),)))

    for text in (*to_csv_lines([snapshot], WHOLE), *to_openmetrics([snapshot], ExportOptions())):
        assert unsafe(text) <= {"\n"}
        text.encode()
    (line,) = to_json_lines([snapshot], WHOLE)
    assert line.isascii()


# OpenMetrics.


def families_of(text: str) -> dict[str, list[tuple[str, tuple[tuple[str, str], ...], float, float]]]:
    """Take apart what was written, with the reference's parser, which refuses what is not in order."""
    return {
        family.name: [
            (each.name, tuple(sorted(each.labels.items())), each.value, float(each.timestamp))
            for each in family.samples
        ]
        for family in text_string_to_metric_families(text)
    }


def test_openmetrics_is_in_order_and_complete(snapshots: list[Snapshot]) -> None:
    text = "".join(to_openmetrics(snapshots, ExportOptions()))
    families = families_of(text)

    assert text.endswith("\n# EOF\n")
    assert {"container_cpu_usage_seconds", "container_memory_working_set_bytes", "topcon_containers"} <= set(families)
    memory = families["container_memory_working_set_bytes"]
    assert len({time for *_, time in memory}) == TICKS
    assert {round(time * 1000) for *_, time in memory} == {each.sample.wall_ns // 10**6 for each in snapshots}


def served(snapshot: Snapshot) -> set[str]:
    """What the endpoint says of a snapshot: names with labels and values."""
    lines = to_page(snapshot, Vitals(0.0, 0.0)).decode().splitlines()
    return {
        line for line in lines if not line.startswith("#") and line.partition("{")[0].split()[0] not in OF_THE_SERVER
    }


def test_each_snapshot_says_what_the_endpoint_said(snapshots: list[Snapshot]) -> None:
    last = snapshots[-1]
    at = f" {last.sample.wall_ns // 10**9}.{last.sample.wall_ns // 10**6 % 1000:03d}"
    written = "".join(to_openmetrics(snapshots, ExportOptions())).splitlines()
    of_last = {line.removesuffix(at) for line in written if line.endswith(at)}

    # A label without a value is none.
    assert of_last == {re.sub(r'([{,])(?:[a-zA-Z_]+="",?)+', r"\1", line).replace(",}", "}") for line in served(last)}


def test_nothing_of_the_process_that_writes_is_told(snapshots: list[Snapshot]) -> None:
    text = "".join(to_openmetrics(snapshots, ExportOptions()))

    assert not [name for name in OF_THE_SERVER if f"{name} " in text or f"{name}{{" in text]


@pytest.mark.parametrize(("most_points", "most_runs"), [(1, 2), (1000, 2), (5000, 64)])
def test_what_is_put_aside_changes_nothing(
    snapshots: list[Snapshot], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most_points: int, most_runs: int
) -> None:
    expected = "".join(to_openmetrics(snapshots, ExportOptions()))
    monkeypatch.setattr(timed, "MOST_POINTS", most_points)
    monkeypatch.setattr(timed, "MOST_RUNS", most_runs)

    assert "".join(to_openmetrics(snapshots, ExportOptions(), str(tmp_path))) == expected
    assert list(tmp_path.iterdir()) == []


def test_a_label_that_comes_and_goes_makes_no_other_series() -> None:
    labelled = info_of("db", labels={"com.docker.compose.project": "shop"})
    snapshots = [
        snapshot_after(sample_of(seconds=at, containers=(info_of("web"), *([labelled] if at == 1 else []))))
        for at in range(3)
    ]
    families = families_of("".join(to_openmetrics(snapshots, ExportOptions())))

    web = [each for each in families["topcon_container_info"] if ("name", "web") in each[1]]
    assert [time for *_, time in web] == sorted(time for *_, time in web)
    assert len({labels for _, labels, *_ in web}) == 1


def test_of_no_snapshots_only_the_end_is_written() -> None:
    assert list(to_openmetrics([], ExportOptions())) == ["# EOF\n"]
    assert list(to_csv_lines([], WHOLE)) == list(to_json_lines([], WHOLE)) == []
