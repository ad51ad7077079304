"""What the title of a terminal says, and which terminals have one."""

from __future__ import annotations

from dataclasses import replace

import pytest
from samples import running, sample_of, snapshot_after

from topcon.model.sample import ContainerKey
from topcon.model.snapshot import Finding, Severity
from topcon.ui.title import has_title, title_text, to_sequence


def finding(severity: Severity) -> Finding:
    return Finding(code="cpu-throttled", severity=severity, target=ContainerKey("docker:x"), summary="", advice="")


@pytest.mark.parametrize(
    ("severities", "expected"),
    [
        ((), "topcon {host}"),
        ((Severity.WARNING,), "topcon {host} ▲1"),
        ((Severity.CRITICAL, Severity.WARNING, Severity.CRITICAL, Severity.INFO), "topcon {host} ■2 ▲1"),
    ],
)
def test_the_title_counts_what_is_wrong(severities: tuple[Severity, ...], expected: str) -> None:
    sample = sample_of(running("web"), seconds=1)
    snapshot = replace(snapshot_after(sample), findings=tuple(map(finding, severities)))

    assert title_text(snapshot) == expected.format(host=sample.host.name)


def test_a_hostile_name_of_a_host_does_nothing() -> None:
    sample = sample_of(running("web"), seconds=1)
    hostile = replace(sample, host=replace(sample.host, name="a\x07\x1b[2Jb"))
    title = to_sequence(title_text(snapshot_after(hostile)))

    assert title.count("\x1b") == title.count("\x07") == 1


@pytest.mark.parametrize(
    ("term", "expected"),
    [
        ("xterm-256color", True),
        ("tmux-256color", True),
        ("screen", True),
        ("linux", False),
        ("dumb", False),
        ("", False),
    ],
)
def test_a_console_has_no_title(term: str, *, expected: bool) -> None:
    assert has_title(term) is expected
