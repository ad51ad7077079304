"""Ready files: what they hold, and that every choice they offer can be taken."""

from __future__ import annotations

import re
import shlex
import tomllib
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from topcon.columns import BY_NAME, SETS
from topcon.config import SETTINGS, Config, load_config
from topcon.config_tables import TABLES
from topcon.exporter.listen import HandedOver, TcpAddress, UnixAddress
from topcon.findings import Thresholds
from topcon.setup.config import EXAMPLES, commented
from topcon.setup.prometheus import scrape_config
from topcon.setup.systemd import own_command, recording_unit, unit
from topcon.ui.bindings import ids
from topcon.ui.themes import theme_names

if TYPE_CHECKING:
    from pathlib import Path

    from topcon.exporter.listen import Address

BLINDING = ("ProtectProc", "ProcSubset", "PrivateUsers", "PrivateNetwork", "PrivateDevices")
"""What would hide processes, namespaces or devices."""


def chosen(text: str) -> str:
    """Take every choice: remove single comment signs."""
    return re.sub(r"^( *)#(?!#)", r"\1", text, flags=re.MULTILINE)


# The unit.


def settings_of(text: str) -> dict[str, str]:
    """The assignments of a unit that hold."""
    return dict(re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE))


def test_the_unit_starts_this_topcon_by_its_whole_path() -> None:
    assert settings_of(unit(["/opt/topcon/bin/topcon"]))["ExecStart"] == "/opt/topcon/bin/topcon serve"


def test_the_unit_is_nobodys_and_hides_nothing_that_is_to_be_shown() -> None:
    settings = settings_of(unit(["/usr/bin/topcon"]))

    assert settings["DynamicUser"] == "yes"
    assert settings["CapabilityBoundingSet"] == settings["AmbientCapabilities"]
    assert not {"User", "SupplementaryGroups", *BLINDING} & set(settings)


def test_the_unit_of_a_recording_writes_into_its_state_directory_alone() -> None:
    serving, recording = settings_of(unit(["/usr/bin/topcon"])), settings_of(recording_unit(["/usr/bin/topcon"]))
    own = {"ExecStart", "Description", "StateDirectory", "StateDirectoryMode"}

    assert recording["ExecStart"] == "/usr/bin/topcon record %S/topcon/%H.topcon --keep 7d --max-size 500M"
    assert (recording["StateDirectory"], recording["UMask"]) == ("topcon", "0077")
    assert not {"RuntimeDirectory", "ReadWritePaths"} & set(recording)
    assert {key: each for key, each in recording.items() if key not in own} == {
        key: each for key, each in serving.items() if key not in {*own, "After", "RuntimeDirectory"}
    }


@pytest.mark.parametrize(
    ("started_as", "command"),
    [
        ("/usr/bin/topcon", ("/usr/bin/topcon",)),
        ("/opt/x/../topcon", ("/opt/topcon",)),
        ("/opt/lib/topcon/__main__.py", ("/opt/bin/python3", "-m", "topcon")),
    ],
)
def test_topcon_knows_how_it_was_started(started_as: str, command: tuple[str, ...]) -> None:
    assert own_command(started_as, "/opt/bin/python3") == command


def test_a_path_below_this_folder_becomes_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "newest").mkdir()
    (tmp_path / "current").symlink_to("newest")
    monkeypatch.chdir(tmp_path)

    assert own_command("current/topcon") == (f"{tmp_path}/current/topcon",)


@given(st.lists(st.text(st.characters(exclude_categories=["Cc", "Cs"])), min_size=1))
def test_any_command_stays_one_line_and_the_same_words(command: list[str]) -> None:
    line = settings_of(unit(["/bin/x", *command]))["ExecStart"]

    # What systemd makes of specifiers and variables, and then of quotes.
    read = shlex.split(line.replace("%%", "%").replace("$$", "$"))
    assert read == ["/bin/x", *command, "serve"]


def test_a_newline_in_a_path_ends_no_line() -> None:
    assert settings_of(unit(["/opt/a\nUser=root"]))["ExecStart"] == r'"/opt/a\nUser=root" serve'


# The scrape configuration.


def targets(text: str) -> list[str]:
    (job, *_) = yaml.safe_load(text)["scrape_configs"]
    (static,) = job["static_configs"]
    return list(static["targets"])


@pytest.mark.parametrize(
    ("listen", "expected"),
    [
        ([], ["127.0.0.1:9338"]),
        ([TcpAddress("10.0.0.7", 80), TcpAddress("node.example", 9338)], ["10.0.0.7:80", "node.example:9338"]),
        ([TcpAddress("0.0.0.0", 1)], ["127.0.0.1:1"]),
        ([TcpAddress("::", 1), TcpAddress("fe80::1", 2)], ["[::1]:1", "[fe80::1]:2"]),
        ([UnixAddress("/run/x.sock"), HandedOver()], ["127.0.0.1:9338"]),
        ([UnixAddress("/run/x.sock"), TcpAddress("localhost", 1)], ["localhost:1"]),
        ([TcpAddress('a"]} #\N{GRINNING FACE}', 1)], ['a"]} #\N{GRINNING FACE}:1']),
    ],
)
def test_prometheus_is_sent_to_where_topcon_listens(listen: list[Address], expected: list[str]) -> None:
    assert targets(scrape_config(listen)) == expected


def test_kubelets_labels_can_be_chosen() -> None:
    def relabelled(job: dict[str, Any]) -> dict[str, Any]:
        return {each["target_label"]: each for each in job["relabel_configs"] if "target_label" in each}

    only, *none = yaml.safe_load(scrape_config([]))["scrape_configs"]
    own, kubelet = yaml.safe_load(chosen(scrape_config([])))["scrape_configs"]

    assert (only["job_name"], none) == ("topcon", [])
    assert "basic_auth" not in only
    assert "basic_auth" in own
    assert kubelet["metrics_path"] == "/metrics/cadvisor"
    assert relabelled(kubelet)["job"]["replacement"] == "kubelet"
    assert "metrics_path" in relabelled(kubelet)


# The configuration file.


def loaded(folder: Path, text: str) -> Config:
    file = folder / "topcon.toml"
    file.write_text(text)
    return load_config({}, file)


def test_the_configuration_changes_nothing_as_it_is(tmp_path: Path) -> None:
    assert tomllib.loads(commented()) == {}
    assert loaded(tmp_path, commented()) == Config()


def test_every_setting_can_be_taken_as_it_stands(tmp_path: Path) -> None:
    config = loaded(tmp_path, chosen(commented()))

    assert config.problems == ()
    assert list(tomllib.loads(chosen(commented()))) == [
        *(setting.key for setting in SETTINGS),
        *(table.name for table in TABLES),
    ]


def test_each_setting_can_be_taken_alone(tmp_path: Path) -> None:
    head = ""
    for line in commented().splitlines():
        if line.startswith("#["):
            head = f"{line[1:]}\n"
        elif re.match(r"#(?!#)", line):
            config = loaded(tmp_path, head + line[1:])
            assert config.problems == (), line
            assert config.origin is not None
            assert config.origin.values, line


def test_the_configuration_names_all_columns_sets_and_themes() -> None:
    words = re.sub(r"\s+#*\s*", " ", commented())

    for names in (BY_NAME, SETS, theme_names()):
        assert f"there are: {', '.join(names)} " in words


def test_every_setting_but_the_examples_stands_at_its_default(tmp_path: Path) -> None:
    config = loaded(tmp_path, chosen(commented()))

    assert {
        setting.key for setting in SETTINGS if getattr(config, setting.key) != getattr(Config(), setting.key)
    } <= set(EXAMPLES)
    assert config.thresholds == Thresholds()
    assert set(config.keys) == set(ids())
    assert config.filters


def test_every_setting_is_explained() -> None:
    words = " ".join(line.removeprefix("## ") for line in commented().splitlines() if line.startswith("## "))

    assert all(" ".join(each.help.split()) in words for each in (*SETTINGS, *TABLES))
