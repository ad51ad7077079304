"""Settings: a file under the options of the command line, and what is said of what cannot be used."""

from __future__ import annotations

import pwd
import re
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topcon import config_tables
from topcon.config import (
    INTERVAL_S,
    SETTINGS,
    Config,
    default_audit_log,
    default_file,
    load_config,
)
from topcon.errors import UsageError
from topcon.exporter.listen import TcpAddress, UnixAddress
from topcon.exporter.options import OPT_IN_GROUPS, LabelMode
from topcon.findings import Threshold, Thresholds

USABLE = """
interval = 2.5
runtime = ["docker=/run/d.sock", "podman"]
read_only = true
cgroup_root = "{folder}"
proc_root = "{folder}"
sys_root = "{folder}"
host_root = "{folder}"
audit_log = "{folder}/audit.jsonl"
theme = "topcon-light"
filter = "shop web"
sort = "mem:reversed"
listen = ["0.0.0.0:9000", "unix:/run/topcon.sock"]
web_config = "{folder}/web.yml"
labels = "kubelet"
label = ["team", "app.kubernetes.io/name"]
enable_metrics = ["tcp, udp", "sched"]
containers_only = true
openmetrics = true
max_scrapes = 3
budget = "2%"
profile = "{folder}/profile.txt"
ascii = true
columns = ["mem", "cpu"]
column_set = "memory"
arrangement = "flat"
hide = ["system", "stopped"]
only_sick = true
"""
TABLES = """
[thresholds]
cpu-throttled = 0.25
memory-near-limit = {warning = "80%"}
stalled = "30%"
io-stalled = {critical = 0.5}
pids-near-limit = "95%"
no-memory-limit = 0
restart-loop = 5
oom-killed = "1h"

[filters]
busy = "cpu>0.5"
sick = "@busy | health:unhealthy"

[keys]
stopped = "A"
quit = ["f10", "ctrl+q"]
"""


def written(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def loaded(folder: Path, text: str, **options: Any) -> Config:
    return load_config(options, written(folder / "topcon.toml", text))


def parse(name: str, text: str) -> Any:
    """Parse an option as the command line does."""
    (setting,) = [setting for setting in SETTINGS if setting.name == name]
    return setting.parse(text)


# Precedence.


def test_without_a_file_or_options_the_defaults_hold() -> None:
    config = load_config({}, None)

    assert config == Config()
    assert (config.interval, config.read_only, config.theme, config.listen) == (1.0, False, "topcon-dark", ())
    assert config.roots == ("/proc", "/sys", "/sys/fs/cgroup")


def test_every_option_can_stand_in_the_file(tmp_path: Path) -> None:
    config = loaded(tmp_path, USABLE.format(folder=tmp_path))

    assert config == Config(
        interval=2.5,
        runtime=("docker=/run/d.sock", "podman"),
        read_only=True,
        cgroup_root=str(tmp_path),
        proc_root=str(tmp_path),
        sys_root=str(tmp_path),
        host_root=str(tmp_path),
        audit_log=tmp_path / "audit.jsonl",
        theme="topcon-light",
        filter="shop web",
        sort="mem:reversed",
        listen=(TcpAddress("0.0.0.0", 9000), UnixAddress("/run/topcon.sock")),
        web_config=tmp_path / "web.yml",
        labels=LabelMode.KUBELET,
        label=("team", "app.kubernetes.io/name"),
        enable_metrics=("tcp", "udp", "sched"),
        containers_only=True,
        openmetrics=True,
        max_scrapes=3,
        budget=0.02,
        profile=tmp_path / "profile.txt",
        ascii=True,
        columns=("mem", "cpu"),
        column_set="memory",
        arrangement="flat",
        hide=("system", "stopped"),
        only_sick=True,
    )
    assert {line.split(" = ")[0] for line in USABLE.split("\n") if line} == {setting.key for setting in SETTINGS}


def test_settings_and_fields_are_the_same() -> None:
    settings = {setting.key for setting in SETTINGS} | {table.name for table in config_tables.TABLES}
    assert settings == {field.name for field in fields(Config)} - {"origin", "problems"}
    assert len({setting.name for setting in SETTINGS}) == len(SETTINGS)
    assert all(setting.help for setting in SETTINGS)


def test_tables_stand_in_the_file(tmp_path: Path) -> None:
    config = loaded(tmp_path, TABLES)

    assert config == Config(
        thresholds=Thresholds(
            cpu_throttled=Threshold(0.25, 0.5),
            memory_near_limit=Threshold(0.8, 0.97),
            cpu_starved=Threshold(0.3, 0.3),
            memory_stalled=Threshold(0.3, 0.3),
            io_stalled=Threshold(0.3, 0.5),
            pids_near_limit=0.95,
            no_memory_limit=0.0,
            restart_loop=5,
            oom_killed_s=3600.0,
        ),
        filters={"busy": "cpu>0.5", "sick": "@busy | health:unhealthy"},
        keys={"stopped": ("A",), "quit": ("f10", "ctrl+q")},
    )


def test_a_warning_above_what_is_critical_moves_that_up(tmp_path: Path) -> None:
    config = loaded(tmp_path, "thresholds.cpu-throttled = 0.8")

    assert config.thresholds == Thresholds(cpu_throttled=Threshold(0.8, 0.8))


def test_a_filter_may_name_one_that_is_saved(tmp_path: Path) -> None:
    text = "[filters]\nbusy = 'cpu>0.5'"

    assert loaded(tmp_path, f"filter = '!@busy'\n{text}").filter == "!@busy"
    assert loaded(tmp_path, text, filter="@busy").filter == "@busy"
    with pytest.raises(UsageError, match="--filter '@quiet', column 1: no filter is saved as quiet"):
        loaded(tmp_path, text, filter="@quiet")


def test_an_option_wins_over_the_file_and_leaves_the_rest_of_it(tmp_path: Path) -> None:
    config = loaded(tmp_path, 'interval = 5\nsort = "cpu"\nruntime = ["docker"]', interval=0.5, runtime=())

    assert (config.interval, config.sort, config.runtime) == (0.5, "cpu", ())


@pytest.mark.parametrize(
    ("text", "share"), [("2%", 0.02), ("0.02", 0.02), ("0.1%", 0.001), ("100%", 1.0), ("1", 1.0), ("0.5%", 0.005)]
)
def test_a_budget_is_a_share_or_a_percentage(text: str, share: float) -> None:
    assert parse("budget", text) == pytest.approx(share)


def test_a_key_may_be_written_as_the_option_is(tmp_path: Path) -> None:
    config = loaded(tmp_path, "read-only = true")

    assert (config.read_only, config.problems) == (True, ())


@pytest.mark.parametrize("is_named", [True, False])
def test_the_default_file_is_read_only_where_no_other_is_named(tmp_path: Path, is_named: bool) -> None:
    written(default_file(), "interval = 7")
    named = written(tmp_path / "own.toml", "interval = 3")

    assert load_config({}, named if is_named else None).interval == (3 if is_named else 7)


def test_what_is_no_setting_is_not_taken_from_the_options() -> None:
    assert load_config({"targets": ["web"], "verb": "stop"}, None) == Config()


@pytest.mark.parametrize(
    ("roots", "expected"),
    [
        ({}, ("/host/proc", "/host/sys", "/host/sys/fs/cgroup")),
        ({"proc_root": "/p"}, ("/p", "/host/sys", "/host/sys/fs/cgroup")),
        ({"sys_root": "/s", "cgroup_root": "/c"}, ("/host/proc", "/s", "/c")),
    ],
)
def test_the_hosts_root_sets_all_three_and_each_can_be_set_alone(
    roots: dict[str, str], expected: tuple[str, ...]
) -> None:
    assert Config(host_root="/host", **roots).roots == expected  # type: ignore[arg-type]


# What in the file cannot be used.


@pytest.mark.parametrize(
    ("line", "key", "words"),
    [
        ("inter_val = 1", "inter_val", "no such setting"),
        ("[ui]\ntheme = 'x'", "ui", "no such setting"),
        ("[theme]\nname = 'x'", "theme", "expected one value"),
        ("column = ['cpu']", "column", "did you mean columns?"),
        ("restart-loop = 4", "restart-loop", "no such setting; it belongs below [thresholds]"),
        ("quit = 'x'", "quit", "no such setting; it belongs below [keys]"),
        ("threshold = 1", "threshold", "did you mean thresholds?"),
        ("thresholds = 1", "thresholds", "expected a table, [thresholds]"),
        ("runtime = ['dokcer']", "runtime", "'dokcer': expected NAME or NAME=SOCKET"),
        ("host_root = ''", "host_root", "there is no such directory"),
        ("column_set = 'memroy'", "column_set", "did you mean memory?"),
        ("columns = ['cpu', 'mme']", "columns", "did you mean mem?"),
        ("arrangement = 'list'", "arrangement", "expected one of tree, flat"),
        ("hide = ['all']", "hide", "expected one of stopped"),
        ("hide = 'stopped'", "hide", "expected a list of texts"),
        ("sort = 'cpu:up'", "sort", "did you mean cpu?"),
        ("problems = []", "problems", "no such setting"),
        ("interval = 'soon'", "interval", "expected seconds from 0.1 to 3600"),
        ("interval = 0", "interval", "expected seconds from 0.1 to 3600"),
        ("interval = 3601", "interval", "expected seconds from 0.1 to 3600"),
        ("interval = nan", "interval", "expected seconds from 0.1 to 3600"),
        ("interval = true", "interval", "expected seconds from 0.1 to 3600"),
        ("interval = [1]", "interval", "expected one value"),
        ("interval = 2026-01-01", "interval", "expected one value"),
        ("budget = '0.05%'", "budget", "expected a share of one core, 0.1% to 100%"),
        ("budget = '101%'", "budget", "expected a share of one core, 0.1% to 100%"),
        ("budget = 2", "budget", "expected a share of one core, 0.1% to 100%"),
        ("budget = '%'", "budget", "expected a share of one core, 0.1% to 100%"),
        ("budget = nan", "budget", "expected a share of one core, 0.1% to 100%"),
        ("profile = '/'", "profile", "it is a directory"),
        ("profile = '/dev/null'", "profile", "it is no regular file"),
        ("read_only = 1", "read_only", "expected true or false"),
        ("read_only = 'yes'", "read_only", "expected true or false"),
        ("runtime = 'docker'", "runtime", "expected a list of texts"),
        ("runtime = ['docker', 1]", "runtime", "expected a list of texts"),
        ("sort = 'size'", "sort", "expected one of"),
        ("listen = 'host:http'", "listen", "expected ADDRESS:PORT"),
        ("listen = 99999", "listen", "a port from 0 to 65535"),
        ("listen = true", "listen", "expected a list of texts"),
        ("listen = [9338]", "listen", "expected a list of texts"),
        ("listen = ['9338', 'a:b:c']", "listen", "belongs in brackets"),
        ("labels = 'docker,kubelet'", "labels", "expected one of docker, kubelet, auto"),
        ("label = 'team'", "label", "expected a list of texts"),
        ("label = ['']", "label", "expected the name of a label"),
        ("enable_metrics = 'cpu'", "enable_metrics", "expected one of advtcp, cpu_topology, hugetlb"),
        ("enable_metrics = ['tcp,']", "enable_metrics", "expected one of advtcp"),
        ("max_scrapes = 0", "max_scrapes", "expected a number from 1 to 1024"),
        ("max_scrapes = 1025", "max_scrapes", "expected a number from 1 to 1024"),
        ("max_scrapes = 1.5", "max_scrapes", "expected a number from 1 to 1024"),
        ("proc_root = '/no/such/folder'", "proc_root", "there is no such directory"),
        ("audit_log = '/'", "audit_log", "it is a directory"),
        ("theme = {name = 'x'}", "theme", "expected one value"),
    ],
)
def test_what_cannot_be_used_is_said_in_a_line_with_file_and_key_and_the_rest_applies(
    tmp_path: Path, line: str, key: str, words: str
) -> None:
    config = loaded(tmp_path, f"filter = 'web'\n{line}\n")

    (problem,) = config.problems
    assert problem.source == "config"
    assert problem.message.startswith(f"{tmp_path / 'topcon.toml'}:2: {key}")
    assert words in problem.message
    assert "\n" not in problem.message
    assert config.filter == "web"
    # Who may have asked for it gets it.
    defaults = replace(Config(), read_only=key == "read_only")
    assert getattr(config, key, None) == getattr(defaults, key, None) or key == "problems"


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("filter = 'cpu>'", "2: filter = 'cpu>', column 5: expected a number, such as cpu>0.5"),
        (
            "filter = '@b'",
            "2: filter = '@b', column 1: no filter is saved as b; expected one of those saved: there are none",
        ),
        ("[thresholds]\ncpu = 1", "3: thresholds.cpu: there is no such threshold"),
        ("[thresholds]\nstaled = 1", "3: thresholds.staled: there is no such threshold; did you mean stalled?"),
        ("thresholds.stalled = 90", "2: thresholds.stalled = 90: expected a share, such as 0.9 or '90%'"),
        ("thresholds = {stalled = '-1%'}", "2: thresholds.stalled = '-1%': expected a share, such as 0.9 or '90%'"),
        ("thresholds.stalled = nan", "2: thresholds.stalled = nan: expected a share, such as 0.9 or '90%'"),
        ("thresholds.stalled = true", "2: thresholds.stalled = True: expected a share, such as 0.9 or '90%'"),
        (
            "thresholds.stalled = {warn = 1}",
            "2: thresholds.stalled = {'warn': 1}: expected a share, or {warning = SHARE, critical = SHARE}",
        ),
        (
            "thresholds.cpu-throttled = {warning = 0.6}",
            "2: thresholds.cpu-throttled = {'warning': 0.6}: expected a warning below what is critical, 50%",
        ),
        ("thresholds.restart-loop = 1", "2: thresholds.restart-loop = 1: expected a number of starts, from 2 to 100"),
        (
            "thresholds.oom-killed = '9y'",
            "2: thresholds.oom-killed = '9y': expected a time, such as 600, '10m' or '2h', up to 7d",
        ),
        ("[filters]\n'a b' = 'x'", "3: filters.'a b': expected a name without blanks, parentheses and |"),
        ("[filters]\na = 1", "3: filters.a = 1: expected a filter, such as 'cpu>0.5'"),
        ("[keys]\nstop = 3", "3: keys.stop = 3: expected a key, or a list of keys, as texts"),
        ("[keys]\n\nstop = 'q'", "4: keys.stop: q is the key of quit already"),
    ],
)
def test_what_cannot_be_used_elsewhere_is_said_and_the_rest_of_it_applies(
    tmp_path: Path, line: str, problem: str
) -> None:
    config = loaded(tmp_path, f"theme = 'paper'\n{line}\n")

    assert [each.message for each in config.problems] == [f"{tmp_path / 'topcon.toml'}:{problem}"]
    assert config == Config(
        theme="paper",
        thresholds=Thresholds() if "thresholds" in line else None,
        problems=config.problems,
    )


def test_all_that_cannot_be_used_is_said_with_its_line(tmp_path: Path) -> None:
    config = loaded(tmp_path, "a = 1\n# more\nlabel = [\n 'x',\n]\ninterval = 'x'\n[keys]\nno-such = 'x'")

    assert [problem.message.split(" ")[0] for problem in config.problems] == [
        f"{tmp_path / 'topcon.toml'}:{line}:" for line in (1, 6, 8)
    ]
    assert [problem.message.split(" ")[1] for problem in config.problems] == ["a:", "interval", "keys.no-such:"]


def test_what_is_wrong_is_told_in_the_order_of_the_lines(tmp_path: Path) -> None:
    config = loaded(tmp_path, "sort = 'x'\nfilter = 'cpu>'\nlabel = 1\n[keys]\nstop = 'q'\nquit = 3\nwhat = 'x'\n")

    assert [int(problem.message.split(":")[1]) for problem in config.problems] == [1, 2, 3, 5, 6, 7]


def test_what_may_be_meant_is_said_before_all_that_there_is(tmp_path: Path) -> None:
    (problem,) = loaded(tmp_path, "columns = ['mme']").problems

    assert problem.message.startswith(f"{tmp_path}/topcon.toml:1: columns = 'mme': did you mean mem? expected one of ")


def test_an_option_does_not_hide_that_the_files_value_is_wrong(tmp_path: Path) -> None:
    config = loaded(tmp_path, "interval = 'x'", interval=2.0)

    assert (config.interval, len(config.problems)) == (2.0, 1)


NO_TOML = [
    (b"interval = ", 1),
    (b"= 1", 1),
    (b"a = 1\na = 2", 2),
    (b"\xff\xfe", 1),
    (b"a = 1\n\n# \xff\nb = 2\n", 3),
    (b"x = '\x1b'", 1),
]


@pytest.mark.parametrize(("content", "line"), NO_TOML)
def test_a_file_that_is_named_and_no_toml_is_refused_by_name_and_line(
    tmp_path: Path, content: bytes, line: int
) -> None:
    file = tmp_path / "topcon.toml"
    file.write_bytes(content)

    with pytest.raises(UsageError) as caught:
        load_config({}, file)

    assert str(caught.value).startswith(f"{file}:{line}: cannot be read: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("content", "line"), NO_TOML)
def test_a_default_file_that_is_no_toml_is_told_and_does_not_stand_in_the_way(content: bytes, line: int) -> None:
    default_file().parent.mkdir(parents=True, exist_ok=True)
    default_file().write_bytes(content)

    config = load_config({"interval": 3.0}, None)

    (problem,) = config.problems
    assert problem.message.startswith(f"{default_file()}:{line}: cannot be read: ")
    assert "\n" not in problem.message
    assert problem.message.endswith("; until it is mended, nothing can be changed")
    assert config == Config(interval=3.0, read_only=True, problems=(problem,))


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a = 1\nb ; 2\n", r":2: cannot be read: .* \(column 3\)"),
        ("a = 1\n\nb = ", r":3: cannot be read: .* \(at the end\)"),
        ("a = [\n", r":1: cannot be read: .* \(at the end\)"),
    ],
)
def test_where_a_file_is_no_toml_is_told(tmp_path: Path, text: str, place: str) -> None:
    with pytest.raises(UsageError, match=place):
        loaded(tmp_path, text)


def test_a_file_that_is_named_must_be_there(tmp_path: Path) -> None:
    file = tmp_path / "none.toml"

    with pytest.raises(UsageError, match="there is no such file") as caught:
        load_config({}, file)

    assert str(file) in str(caught.value)


def test_a_file_without_an_end_is_refused() -> None:
    with pytest.raises(UsageError, match=r"^/dev/zero: cannot be read: it is longer than"):
        load_config({}, Path("/dev/zero"))


def test_a_folder_in_the_place_of_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"^{re.escape(str(tmp_path))}: cannot be read: Is a directory$"):
        load_config({}, tmp_path)


@given(st.binary(max_size=60))
def test_any_file_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    file = tmp_path_factory.mktemp("any") / "topcon.toml"
    file.write_bytes(content)

    said: list[str] = []
    try:
        said += [problem.message for problem in load_config({}, file).problems]
    except UsageError as error:
        said.append(str(error))
    assert all(re.match(rf"{re.escape(str(file))}(:\d+)?: ", message) for message in said)


# Places.


@pytest.mark.parametrize(
    ("config_home", "state_home", "folder"),
    [
        ("/c", "/s", ("/c/topcon/config.toml", "/s/topcon/audit.jsonl")),
        ("", "", ("/h/.config/topcon/config.toml", "/h/.local/state/topcon/audit.jsonl")),
        ("c", "./s", ("/h/.config/topcon/config.toml", "/h/.local/state/topcon/audit.jsonl")),
    ],
)
def test_files_lie_where_the_desktops_specification_says(
    monkeypatch: pytest.MonkeyPatch, config_home: str, state_home: str, folder: tuple[str, str]
) -> None:
    monkeypatch.setenv("HOME", "/h")
    monkeypatch.setenv("XDG_CONFIG_HOME", config_home)
    monkeypatch.setenv("XDG_STATE_HOME", state_home)

    assert (str(default_file()), str(default_audit_log())) == folder


def test_a_user_without_a_home_has_no_file_and_that_is_no_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def unknown(uid: int) -> pwd.struct_passwd:
        raise KeyError(uid)

    monkeypatch.delenv("HOME")
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.chdir(tmp_path)

    assert load_config({}, None) == Config()


# Values.


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("listen = 9000", (TcpAddress("127.0.0.1", 9000),)),
        ("listen = '[::1]:1'", (TcpAddress("::1", 1),)),
        ("listen = []", ()),
    ],
)
def test_one_address_need_not_be_a_list(tmp_path: Path, line: str, expected: tuple[TcpAddress, ...]) -> None:
    assert loaded(tmp_path, line) == Config(listen=expected)


def test_every_group_can_be_asked_for_in_one_word(tmp_path: Path) -> None:
    config = loaded(tmp_path, f"enable_metrics = '{','.join(OPT_IN_GROUPS)}'")

    assert frozenset(config.enable_metrics) == OPT_IN_GROUPS


@pytest.mark.parametrize(("text", "expected"), [("1", 1.0), ("0.1", 0.1), ("2.5s", 2.5), ("3600", 3600.0)])
def test_an_interval_is_in_seconds(text: str, expected: float) -> None:
    assert parse("interval", text) == expected


@pytest.mark.parametrize("text", ["0", "0.09", "3600.1", "-1", "nan", "inf", "", "s", "1m", "fast"])
def test_an_interval_out_of_bounds_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected seconds from 0\.1 to 3600"):
        parse("interval", text)


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_no_interval_is_outside_its_bounds(seconds: float) -> None:
    try:
        parsed = parse("interval", repr(seconds))
    except ValueError:
        parsed = INTERVAL_S[0]
    assert INTERVAL_S[0] <= parsed <= INTERVAL_S[1]


def test_a_folder_is_kept_as_a_whole_path_without_a_slash_at_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "proc").mkdir()
    monkeypatch.chdir(tmp_path)

    assert parse("proc-root", "proc/") == parse("host-root", f"{tmp_path}/proc") == f"{tmp_path}/proc"


def test_the_audit_log_may_begin_with_the_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/h")

    assert parse("audit-log", "~/a.jsonl") == Path("/h/a.jsonl")
    assert parse("audit-log", "a.jsonl").is_absolute()


def test_the_audit_log_of_a_home_that_nobody_knows_is_refused() -> None:
    with pytest.raises(ValueError, match="no-such-user"):
        parse("audit-log", "~no-such-user/a.jsonl")
