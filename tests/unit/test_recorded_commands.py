"""Commands that write a recording, and those that look into one."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from played import PlayedHost
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from running import Answer, Running, Said
from samples import container_id

from topcon import cli
from topcon.commands.status import EXIT_CRITICAL
from topcon.errors import RecordingFailed
from topcon.model.snapshot import Severity
from topcon.moment import parse_moment, to_moment_text
from topcon.recording.codec import KEY_EVERY
from topcon.recording.reader import Reader
from topcon.recording.writer import Writer
from topcon.report import to_object
from topcon.rows import ViewState, rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from fakes import FakeHost

    from topcon.model.snapshot import Snapshot

TICKS = 30
NS = 10**9
WHOLE = ViewState(collapsed=frozenset())


@pytest.fixture(autouse=True)
def _own_psutil_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give psutil's root, which a reader sets, back after the test."""
    monkeypatch.setattr(psutil, "PROCFS_PATH", psutil.PROCFS_PATH)


@pytest.fixture(autouse=True)
def _signals_come() -> Iterator[None]:
    """Recording holds signals back to its end, which is otherwise that of the process."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    yield
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    """Run a command in this process."""

    def run(*arguments: object) -> Answer:
        try:
            status: Any = cli.main(list(map(str, arguments)))
        except SystemExit as end:
            status = end.code
        return Answer(status, *capsys.readouterr())

    return run


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Snapshot]]:
    """Half a minute of a host, recorded, and as it was seen then."""
    folder = tmp_path_factory.mktemp("played")
    with closing(PlayedHost(folder / "host")) as host:
        assert host.sampler.newest is not None
        snapshots = [host.sampler.newest, *(host.tick() for _ in range(TICKS - 1))]
    record(folder / "incident.topcon", snapshots)
    return folder / "incident.topcon", snapshots


@pytest.fixture(scope="module")
def file(played: tuple[Path, list[Snapshot]]) -> Path:
    return played[0]


@pytest.fixture(scope="module")
def seen(played: tuple[Path, list[Snapshot]]) -> list[Snapshot]:
    return played[1]


def record(path: Path, snapshots: list[Snapshot]) -> None:
    writer = Writer(path)
    for snapshot in snapshots:
        writer.write(snapshot)
    writer.close()


def moment(snapshot: Snapshot) -> str:
    return to_moment_text(snapshot.sample.wall_ns)


def pods(snapshot: Snapshot) -> Any:
    return json.loads(json.dumps(to_object(snapshot, rows(snapshot, WHOLE))["pods"]))


# ps and why.


def test_the_end_is_shown_as_it_was(run: Callable[..., Answer], file: Path, seen: list[Snapshot]) -> None:
    answer = run("ps", "--from", file, "--json")
    told = json.loads(answer.out)

    assert (answer.status, answer.err) == (0, "")
    assert told["host"]["name"] == seen[-1].sample.host.name
    assert told["pods"] == pods(seen[-1])


@pytest.mark.parametrize("index", [5, 17, TICKS - 1])
def test_a_moment_is_shown_as_it_was(run: Callable[..., Answer], file: Path, seen: list[Snapshot], index: int) -> None:
    asked = moment(seen[index])
    time_of_day = asked.partition(" ")[2].partition("+")[0]
    ago = f"-{TICKS - 1 - index}s" if index < TICKS - 1 else "now"

    for text in (asked, time_of_day, ago):
        assert json.loads(run("ps", "--from", file, "--at", text, "--json").out)["pods"] == pods(seen[index]), text


def test_a_table_is_told_when_it_was(run: Callable[..., Answer], file: Path, seen: list[Snapshot]) -> None:
    answer = run("ps", "--from", file, "--at", "-10s")

    assert (answer.status, answer.err) == (0, f"topcon: {file}: {moment(seen[-11])}\n")
    assert answer.out.startswith(seen[0].sample.host.name)
    assert "shop-web-1" in answer.out


def test_csv_and_filter_are_as_without_a_recording(run: Callable[..., Answer], file: Path) -> None:
    answer = run("ps", "--from", file, "--csv", "--filter", "shop-web-1", "--sort", "mem")

    assert (answer.status, answer.err) == (0, "")
    assert [line["name"] for line in csv.DictReader(io.StringIO(answer.out))] == ["shop-web-1"]


def test_why_says_what_was_wrong_and_exits_with_it(
    run: Callable[..., Answer], file: Path, seen: list[Snapshot]
) -> None:
    worst = max(each.severity for each in seen[-1].findings)
    assert worst is Severity.CRITICAL

    answer = run("why", "--from", file)
    told = json.loads(run("why", "--from", file, "--json").out)

    assert answer.status == EXIT_CRITICAL
    assert answer.err.startswith(f"topcon: {file}: {moment(seen[-1])}\n")
    assert "critical: " in answer.out
    assert {(each["code"], each["target"]) for each in told["findings"]} == {
        (each.code, each.target) for each in seen[-1].findings
    }


def test_where_nothing_was_recorded_is_told(run: Callable[..., Answer], tmp_path: Path, seen: list[Snapshot]) -> None:
    gap_ns = 3600 * NS
    later = [replace(each, sample=shifted(each, gap_ns)) for each in seen[5:8]]
    record(tmp_path / "gap.topcon", [*seen[:5], *later])

    answer = run("ps", "--from", tmp_path / "gap.topcon", "--at", "-10m")

    assert answer.err == (
        f"topcon: {tmp_path}/gap.topcon: {moment(seen[4])}; nothing was recorded in the 50m after it\n"
    )


def shifted(snapshot: Snapshot, by_ns: int) -> Any:
    sample = snapshot.sample
    return replace(sample, wall_ns=sample.wall_ns + by_ns, monotonic_ns=sample.monotonic_ns + by_ns)


@pytest.mark.parametrize("command", [["ps"], ["why"], ["ps", "--json"]], ids=" ".join)
def test_a_moment_needs_a_recording(run: Callable[..., Answer], command: list[str]) -> None:
    answer = run(*command, "--at", "03:12")

    assert answer == Answer(64, "", "topcon: --at needs a recording: --from FILE; topcon record FILE makes one\n")


@pytest.mark.parametrize(
    ("option", "value"), [("--interval", "2"), ("--runtime", "docker"), ("--host-root", "/"), ("--read-only", None)]
)
def test_what_is_about_this_host_is_not_passed_over(
    run: Callable[..., Answer], file: Path, option: str, value: str | None
) -> None:
    answer = run("ps", "--from", file, option, *([value] if value else []))

    assert answer.status == 64
    assert answer.line.startswith(f"topcon: {option} is about this host, ")


@pytest.mark.parametrize("text", ["soon", "25:00", "-5", "2026-02-30"])
def test_what_is_no_moment_is_a_mistake(run: Callable[..., Answer], file: Path, text: str) -> None:
    answer = run("ps", "--from", file, f"--at={text}")

    assert answer.status == 64
    assert answer.line.startswith(f"topcon: --at {text!r}: expected 03:12, ")


@pytest.mark.parametrize(
    ("command", "text"), [("ps", "-2h"), ("why", "2001-01-01"), ("ps", "2101-01-01"), ("ps", "2026-11-21T00:00Z")]
)
def test_a_moment_outside_is_told_from_when_to_when_it_goes(
    run: Callable[..., Answer], file: Path, seen: list[Snapshot], command: str, text: str
) -> None:
    answer = run(command, "--from", file, "--at", text)

    assert answer.status == 64
    assert answer.line == f"topcon: --at {text}: {file} goes from {moment(seen[0])} to {moment(seen[-1])}"


def test_the_minute_in_which_it_begins_is_in_it(run: Callable[..., Answer], file: Path, seen: list[Snapshot]) -> None:
    minute = moment(seen[0]).partition(" ")[2][:5]

    assert json.loads(run("ps", "--from", file, "--at", minute, "--json").out)["pods"] == pods(seen[0])


@pytest.mark.parametrize("command", [["ps"], ["why", "--json"], ["export", "--json"]], ids=" ".join)
@pytest.mark.parametrize("content", [None, b"", b"name,cpu\n" * 1000], ids=["absent", "empty", "foreign"])
def test_what_is_no_recording_is_one_line(
    run: Callable[..., Answer], tmp_path: Path, command: list[str], content: bytes | None
) -> None:
    path = tmp_path / "incident.topcon"
    if content is not None:
        path.write_bytes(content)
    answer = run(*command, "--from", path)

    assert answer.status == 1
    assert answer.line.startswith(f"topcon: {path}: ")
    assert (path.read_bytes() if content is not None else None) == content


@pytest.mark.parametrize("command", [["ps"], ["export", "--json"]], ids=" ".join)
def test_a_recording_without_samples_is_one_line(
    run: Callable[..., Answer], tmp_path: Path, command: list[str]
) -> None:
    record(tmp_path / "new.topcon", [])

    assert run(*command, "--from", tmp_path / "new.topcon").line == (
        f"topcon: {tmp_path}/new.topcon: nothing was recorded yet"
    )


def test_problems_of_the_configuration_are_told_here_too(
    run: Callable[..., Answer], file: Path, tmp_path: Path
) -> None:
    (tmp_path / "topcon.toml").write_text("inter_val = 3\n")
    for command in (["ps", "--json"], ["export", "--csv"]):
        answer = run(*command, "--from", file, "--config", tmp_path / "topcon.toml")

        assert (answer.status, answer.err.count("\n")) == (0, 1)
        assert "inter_val: there is no such setting" in answer.err


# export.


def exported(run: Callable[..., Answer], file: Path, *arguments: str) -> list[Any]:
    answer = run("export", "--from", file, "--json", *arguments)
    assert (answer.status, answer.err) == (0, "")
    return [json.loads(line) for line in answer.out.splitlines()]


def test_json_has_a_line_a_sample_as_it_was_seen(run: Callable[..., Answer], file: Path, seen: list[Snapshot]) -> None:
    told = exported(run, file)

    assert [each["pods"] for each in told] == [pods(each) for each in seen]
    assert [each["findings"] for each in told] == [
        json.loads(json.dumps(to_object(each, rows(each, WHOLE))["findings"])) for each in seen
    ]


def test_a_part_begins_with_rates(run: Callable[..., Answer], file: Path, seen: list[Snapshot]) -> None:
    told = exported(run, file, "--since", "-10s", "--until", "-5s")

    assert [each["pods"] for each in told] == [pods(each) for each in seen[-11:-5]]


def test_rates_of_samples_far_apart_are_means(run: Callable[..., Answer], file: Path, seen: list[Snapshot]) -> None:
    def cores(told: Any) -> float:
        (found,) = [
            each["cpu"]["cores"] for pod in told["pods"] for each in pod["containers"] if each["name"] == "shop-web-1"
        ]
        return float(found)

    told = exported(run, file, "--since", "-20s", "--every", "10s")

    assert [each["interval_s"] for each in told] == [pytest.approx(9, abs=1.1), 10.0, 10.0]
    each_second = [cores({"pods": pods(each)}) for each in seen[-10:]]
    assert cores(told[-1]) == pytest.approx(sum(each_second) / 10)


def test_csv_has_the_time_of_each_line(run: Callable[..., Answer], file: Path, seen: list[Snapshot]) -> None:
    answer = run("export", "--from", file, "--csv", "--every", "15s")
    lines = list(csv.DictReader(io.StringIO(answer.out)))

    assert (answer.status, answer.err) == (0, "")
    assert [*dict.fromkeys(line["time"] for line in lines)] == [
        json.loads(json.dumps(to_object(seen[index], ())["time"])) for index in (0, 15)
    ]


def test_openmetrics_is_taken_by_the_references_parser(run: Callable[..., Answer], file: Path) -> None:
    answer = run("export", "--from", file, "--openmetrics", "--since", "-9s")
    families = {each.name: each for each in text_string_to_metric_families(answer.out)}

    assert (answer.status, answer.err) == (0, "")
    times = {float(each.timestamp) for each in families["container_cpu_usage_seconds"].samples}
    assert len(times) == 10


def test_labels_are_as_the_configuration_has_them(run: Callable[..., Answer], file: Path, tmp_path: Path) -> None:
    (tmp_path / "topcon.toml").write_text("labels = 'docker'\ncontainers-only = true\n")
    last = ("export", "--from", file, "--openmetrics", "--since", "now")
    plain, chosen = (
        [line for line in run(*last, *config).out.splitlines() if line.startswith("container_memory_rss{")]
        for config in ((), ("--config", tmp_path / "topcon.toml"))
    )

    assert any("namespace=" in line for line in plain)
    assert not any("namespace=" in line for line in chosen)
    assert 0 < len(chosen) < len(plain)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--json"], "the following arguments are required: --from"),
        (["--from", "x"], "one of the arguments --json --csv --openmetrics is required"),
        (["--from", "x", "--json", "--csv"], "not allowed with argument --json"),
        (["--from", "x", "--json", "--every", "5"], "'5': expected 90s, 10m, 1h30m or 7d"),
        (["--from", "x", "--json", "--host-root", "/"], "unrecognized arguments"),
    ],
)
def test_a_mistake_is_one_line(run: Callable[..., Answer], arguments: list[str], words: str) -> None:
    answer = run("export", *arguments)

    assert answer.status == 64
    assert words in answer.line


@pytest.mark.parametrize(
    "arguments",
    [["--since", "-5s", "--until", "-10s"], ["--since", "2101-01-01"], ["--until", "-3d"]],
    ids=["turned round", "after it", "before it"],
)
def test_an_empty_range_is_told_from_when_to_when_it_goes(
    run: Callable[..., Answer], file: Path, seen: list[Snapshot], arguments: list[str]
) -> None:
    answer = run("export", "--from", file, "--json", *arguments)

    assert answer.status == 64
    assert answer.line == (
        "topcon: there is no sample between --since and --until; "
        f"{file} goes from {moment(seen[0])} to {moment(seen[-1])}"
    )


def test_a_range_may_be_wider_than_the_recording(run: Callable[..., Answer], file: Path) -> None:
    assert len(exported(run, file, "--since", "-2d", "--until", "2101-01-01", "--every", "10s")) == TICKS // 10


@pytest.mark.parametrize("form", ["--json", "--csv", "--openmetrics"])
def test_what_is_damaged_is_left_out_and_told(
    run: Callable[..., Answer], tmp_path: Path, seen: list[Snapshot], form: str
) -> None:
    path = tmp_path / "damaged.topcon"
    begun_ns, damaged_s = seen[0].sample.wall_ns, KEY_EVERY + 5
    record(path, [replace(seen[0], sample=shifted(seen[0], at * NS)) for at in range(3 * KEY_EVERY)])
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE frames SET payload = x'00' WHERE wall_ns = ?", (begun_ns + damaged_s * NS,))

    answer = run("export", "--from", path, form, "--every", "5s")

    assert answer.status == 1
    assert answer.err.count("\n") == 1
    assert answer.err.startswith(f"topcon: {path}: damaged from ")
    assert answer.out
    if form == "--json":
        times = [parse_moment(json.loads(line)["time"], 0) - begun_ns for line in answer.out.splitlines()]
        left_out = set(range(0, 3 * KEY_EVERY, 5)) - {round(each / NS) for each in times}
        assert damaged_s in left_out
        assert left_out <= set(range(damaged_s, 2 * KEY_EVERY))


def test_times_go_on_where_the_clock_was_set_back(
    run: Callable[..., Answer], tmp_path: Path, seen: list[Snapshot]
) -> None:
    path = tmp_path / "back.topcon"
    back = [replace(each, sample=replace(each.sample, wall_ns=each.sample.wall_ns - 4 * NS)) for each in seen[5:10]]
    record(path, [*seen[:5], *back])

    for arguments in ([], ["--every", "2s"]):
        text = run("export", "--from", path, "--openmetrics", *arguments).out
        (family,) = [each for each in text_string_to_metric_families(text) if each.name == "topcon_findings"]
        times = [float(each.timestamp) for each in family.samples if each.labels == family.samples[0].labels]
        assert times == sorted(set(times))
        assert len(times) >= 4


@pytest.mark.parametrize("form", ["--json", "--csv", "--openmetrics"])
def test_a_closed_pipe_ends_an_export_silently(file: Path, form: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        ended = subprocess.run(
            [sys.executable, "-m", "topcon", "export", "--from", str(file), form],
            stdin=subprocess.DEVNULL,
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=60,
        )
    finally:
        os.close(writing)

    assert (ended.returncode, ended.stderr) == (0, "")


# record.


@pytest.fixture
def said() -> Said:
    return Said()


@pytest.fixture
def recording(host: FakeHost, said: Said, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Running]]:
    """Begin to record the host made of files; what still does so after the test is told to end."""
    begun: list[Running] = []
    host.write("etc/hostname", "testhost\n")
    host.container(f"/docker/{container_id('web')}", 100, current=4096)

    def recording(*arguments: object) -> Running:
        running = Running(*map(str, ("record", "--host-root", host.root, "--interval", "0.1", *arguments)))
        monkeypatch.setattr(sys, "stderr", said)
        begun.append(running)
        running.start()
        return running

    yield recording
    for running in begun:
        running.end(signal.SIGTERM)


def count_in(path: Path) -> int:
    with Reader(path) as reader:
        return len(reader.times)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 0), (signal.SIGHUP, 0), (signal.SIGINT, 130)])
def test_it_records_until_it_is_told_to_end(
    recording: Callable[..., Running], said: Said, tmp_path: Path, number: int, status: int
) -> None:
    path = tmp_path / "now.topcon"
    running = recording(path)
    said.wait_for("records into")

    assert running.end(number) == status

    begin, end = said.getvalue().splitlines()
    assert begin == f"topcon: records into {path}, every 0.1 s; ctrl+c ends it"
    count = count_in(path)
    assert end.startswith(f"topcon: {count} sample")
    assert end.endswith(f" in {path}")


def test_it_ends_by_itself_when_it_was_asked_to(
    recording: Callable[..., Running], said: Said, run: Callable[..., Answer], tmp_path: Path
) -> None:
    path = tmp_path / "now.topcon"

    assert recording(path, "--for", "0.5s").wait() == 0

    assert len(said.getvalue().splitlines()) == 2
    with Reader(path) as reader:
        assert (reader.host_name, reader.is_written) == ("testhost", False)
        assert len(reader.times) >= 1
    told = json.loads(run("ps", "--from", path, "--json").out)
    assert [each["id"] for pod in told["pods"] for each in pod["containers"]] == [container_id("web")]


def test_a_recording_is_gone_on_with(recording: Callable[..., Running], tmp_path: Path) -> None:
    path = tmp_path / "now.topcon"
    assert recording(path, "--for", "0.3s").wait() == 0
    before = count_in(path)
    assert recording(path, "--for", "0.3s").wait() == 0

    assert count_in(path) > before


def test_another_file_is_refused_and_left_alone(recording: Callable[..., Running], said: Said, tmp_path: Path) -> None:
    path = tmp_path / "letters.txt"
    path.write_text("Dear Sir,\n" * 100)

    assert recording(path).wait() == 1

    assert said.getvalue() == f"topcon: {path}: not a recording of topcon\n"
    assert path.read_text() == "Dear Sir,\n" * 100


def test_a_recording_of_another_host_is_refused(
    recording: Callable[..., Running], said: Said, tmp_path: Path, seen: list[Snapshot]
) -> None:
    record(tmp_path / "other.topcon", seen[:2])

    assert recording(tmp_path / "other.topcon").wait() == 64

    assert said.getvalue().count("\n") == 1
    assert f"a recording of {seen[0].sample.host.name}, not of testhost" in said.getvalue()
    assert count_in(tmp_path / "other.topcon") == 2


def test_where_nothing_can_be_made_is_told_at_once(
    recording: Callable[..., Running], said: Said, tmp_path: Path
) -> None:
    assert recording(tmp_path / "nowhere" / "now.topcon").wait() == 1

    assert said.getvalue() == f"topcon: {tmp_path}/nowhere/now.topcon: cannot be made: no such file or directory\n"


def test_a_host_that_cannot_be_read_leaves_no_file(run: Callable[..., Answer], tmp_path: Path) -> None:
    (tmp_path / "host").mkdir()
    answer = run("record", tmp_path / "now.topcon", "--host-root", tmp_path / "host")

    assert answer.status == 69
    assert answer.line.startswith("topcon: ")
    assert not (tmp_path / "now.topcon").exists()


def test_a_full_disk_is_told_once_and_when_it_is_over(
    recording: Callable[..., Running], said: Said, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write = Writer.write
    is_full = True

    def failing(writer: Writer, snapshot: Snapshot) -> None:
        if is_full:
            message = "now.topcon: cannot be written: database or disk is full"
            raise RecordingFailed(message)
        write(writer, snapshot)

    monkeypatch.setattr(Writer, "write", failing)
    running = recording(tmp_path / "now.topcon")
    said.wait_for("topcon: recording: now.topcon: cannot be written: database or disk is full\n")
    is_full = False
    said.wait_for("topcon: recording: works again\n")

    assert running.end(signal.SIGTERM) == 0
    text = said.getvalue()
    assert (text.count("disk is full"), text.count("works again")) == (1, 1)
    assert " left out" in text.splitlines()[-1]


def test_a_bug_ends_it(
    recording: Callable[..., Running], said: Said, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bug = ZeroDivisionError("a bug")

    def broken(*_: object) -> None:
        raise bug

    monkeypatch.setattr(Writer, "write", broken)

    assert recording(tmp_path / "now.topcon").wait() is bug
    assert "samples" not in said.getvalue()


def test_what_is_kept_is_told_to_the_writer(
    recording: Callable[..., Running], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    told: list[tuple[float | None, int | None]] = []
    make = Writer.__init__

    def noted(writer: Writer, path: Path, **options: Any) -> None:
        told.append((options["keep_s"], options["max_bytes"]))
        make(writer, path, **options)

    monkeypatch.setattr(Writer, "__init__", noted)
    recording(tmp_path / "a.topcon", "--for", "0.1s").wait()
    recording(tmp_path / "b.topcon", "--for", "0.1s", "--keep", "7d", "--max-size", "500M").wait()

    assert told == [(None, None), (604_800, 500 << 20)]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "the following arguments are required: FILE"),
        (["x", "--for", "10"], "'10': expected 90s, 10m, 1h30m or 7d"),
        (["x", "--keep", "long"], "'long': expected 90s, 10m, 1h30m or 7d"),
        (["x", "--max-size", "much"], "'much': expected 500M, 2G or a number of bytes"),
    ],
)
def test_a_mistake_in_recording_is_one_line(run: Callable[..., Answer], arguments: list[str], words: str) -> None:
    answer = run("record", *arguments)

    assert answer.status == 64
    assert words in answer.line


@pytest.mark.parametrize(
    ("command", "options"),
    [
        (
            "record",
            ("FILE", "--for SPAN", "--keep SPAN", "--max-size SIZE", "--interval S", "--runtime NAME", "--budget"),
        ),
        ("export", ("--from FILE", "--json", "--csv", "--openmetrics", "--since TIME", "--until TIME", "--every SPAN")),
        ("ps", ("--from FILE", "--at TIME")),
        ("why", ("--from FILE", "--at TIME")),
    ],
)
def test_help_is_for_stdout(run: Callable[..., Answer], command: str, options: tuple[str, ...]) -> None:
    answer = run(command, "--help")

    assert (answer.status, answer.err) == (0, "")
    for option in (*options, "--config FILE"):
        assert option in answer.out


def test_a_profile_is_left(recording: Callable[..., Running], tmp_path: Path) -> None:
    assert recording(tmp_path / "now.topcon", "--for", "0.3s", "--profile", tmp_path / "p.txt").wait() == 0

    assert "\ntick " in (tmp_path / "p.txt").read_text()
