"""``topcon replay`` and ``topcon demo``, as far as no terminal is needed."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING, Any

import pytest
from samples import running, sample_of

from topcon.cli import main
from topcon.commands import replay
from topcon.commands.recorded import thresholds_of
from topcon.recording.replayed import after
from topcon.recording.writer import Writer
from topcon.wiring import replay as wired
from topcon.wiring.replay import first_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from topcon.config import Config
    from topcon.model.snapshot import Snapshot
    from topcon.ui.past import Recalled

S = 10**9
SECONDS = 90
START_NS = sample_of().wall_ns


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "incident.topcon"
    writer = Writer(path)
    snapshot = None
    for at in range(SECONDS):
        box = running("web", usage_usec=at * 250_000, current=(20 << 20) + at)
        snapshot = after(snapshot, sample_of(box, seconds=float(at)))
        writer.write(snapshot)
    writer.close()
    return path


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, list[str]]]:
    """Runs a command in a terminal, and returns its status and what it has said there."""

    def run(*arguments: str) -> tuple[int, list[str]]:
        said = Terminal()
        with monkeypatch.context() as patch:
            for name in ("stdin", "stdout", "stderr"):
                patch.setattr(sys, name, said)
            return main(arguments), said.getvalue().splitlines()

    return run


@pytest.fixture
def shown(
    refused: Callable[..., tuple[int, list[str]]], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[Config, Snapshot, Recalled]]:
    """Runs a command in a terminal, and returns what it would show."""
    told: list[Any] = []

    def note(*arguments: Any) -> int:
        told.append(arguments)
        return 0

    monkeypatch.setattr(replay, "_show", note)

    def run(*arguments: str) -> tuple[Config, Snapshot, Recalled]:
        assert refused(*arguments) == (0, [])
        config, recalled = told[-1]
        return config, first_of(recalled, thresholds_of(config)), recalled

    return run


def test_a_recording_is_shown_from_its_beginning(recording: Path, shown: Callable[..., Any]) -> None:
    _, first, recalled = shown("replay", str(recording))

    assert first.sample.wall_ns == recalled.at_ns == START_NS
    assert not recalled.is_looped
    assert recalled.name == ""
    frames = recalled.open_frames()
    assert len(frames.times) == SECONDS
    frames.close()


def test_or_from_a_moment_on_with_rates(recording: Path, shown: Callable[..., Any]) -> None:
    config, first, recalled = shown("replay", str(recording), "--at", "-30s", "--sort", "cpu", "--ascii")
    (container,) = first.containers.values()

    assert recalled.at_ns == START_NS + (SECONDS - 1 - 30) * S
    assert container.usage.cpu_cores == pytest.approx(0.25)
    assert config.sort == "cpu"
    assert config.ascii


def test_the_demo_is_played_again_and_again(
    recording: Path, shown: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wired, "files", lambda package: recording.parent if package == "topcon" else None)
    monkeypatch.setattr(wired, "DEMO", recording.name)
    _, first, recalled = shown("demo")

    assert recalled.is_looped
    assert recalled.name == "demo"
    assert first.sample.wall_ns == START_NS + 60 * S


@pytest.mark.parametrize(
    ("moment", "said"),
    [("03:99", "--at '03:99': expected 03:12"), ("2020-01-01 03:12", "goes from 20")],
)
def test_another_moment_is_told_in_one_line(
    recording: Path, refused: Callable[..., tuple[int, list[str]]], moment: str, said: str
) -> None:
    status, (line,) = refused("replay", str(recording), "--at", moment)

    assert status == 64
    assert said in line


def test_what_is_no_recording_is_told_in_one_line(
    tmp_path: Path, refused: Callable[..., tuple[int, list[str]]]
) -> None:
    (tmp_path / "notes").write_text("nothing of the kind, but long enough to be one" * 10)

    (one, (first,)), (other, (second,)) = (refused("replay", str(tmp_path / name)) for name in ("notes", "gone"))
    assert (one, other) == (1, 1)
    assert "not a recording" in first
    assert "no such file" in second


def test_without_a_terminal_it_says_what_does_without(recording: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", str(recording)]) == 64
    assert "topcon ps --from FILE" in capsys.readouterr().err
