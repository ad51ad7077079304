"""How findings are written: on the screen, as text and JSON, and in the document."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import HOSTILE_NAMES, docker_key, node_of, pod_of, text_of, tree_of, unsafe

from topcon.filter import parse_filter
from topcon.findings import ABOUT, CODES
from topcon.model.snapshot import Finding, Severity
from topcon.report import findings_of, findings_to_json, findings_to_text
from topcon.text import cell_width
from topcon.ui.findings import finding_entries, key_of, of_row, target_of, title_spans
from topcon.ui.spans import width_of

if TYPE_CHECKING:
    from topcon.model.snapshot import Snapshot

DOCUMENT = Path(__file__).parents[2] / "docs/findings.md"
SHOP = pod_of(node_of("web"), node_of("db"), name="shop")
ALONE = pod_of(node_of("alone"))


def finding(name: str, code: str = "unhealthy", severity: Severity = Severity.CRITICAL, age_s: float = 0) -> Finding:
    since_ns = 1000 * 10**9 - int(age_s * 1e9)
    return Finding(
        code, severity, docker_key(name), f"{name} is sick", "mend it", "1 of 2", "it means something.", since_ns
    )


def sick(*findings: Finding) -> Snapshot:
    return tree_of(SHOP, ALONE, findings=findings)


FOUND = (
    finding("web", age_s=75),
    finding("alone", "pids-near-limit", Severity.WARNING),
    finding("db", "shares-host", Severity.INFO),
)


def lines(snapshot: Snapshot, width: int = 80) -> list[str]:
    return [text_of(entry.spans) for entry in finding_entries(snapshot, snapshot.findings, width)]


def test_a_finding_is_a_few_lines() -> None:
    first, evidence, means, *rest = lines(sick(FOUND[0]))

    assert first.split() == ["■", "web", "web", "is", "sick", "unhealthy"]
    assert cell_width(first) == 80
    assert evidence.strip() == "for 1m; 1 of 2"
    assert means.strip() == "it means something. To do: mend it."
    assert rest == []


def test_each_finding_can_be_chosen_and_the_worst_comes_first() -> None:
    snapshot = sick(*FOUND)
    keys = [entry.key for entry in finding_entries(snapshot, snapshot.findings, 80) if entry.key]

    assert keys == [key_of(each) for each in FOUND]
    assert [target_of(key) for key in keys] == [docker_key(name) for name in ("web", "alone", "db")]


def test_what_has_begun_just_now_has_no_age() -> None:
    assert lines(sick(finding("web")))[1].strip() == "1 of 2"


def test_with_nothing_wrong_it_is_said_so() -> None:
    assert f"nothing is wrong: {len(CODES)} rules have looked at 3 containers" in "\n".join(lines(sick()))


def test_what_is_gone_is_said_to_be() -> None:
    assert [text_of(each.spans).strip() for each in finding_entries(sick(), None, 80)] == ["it is gone"]


@pytest.mark.parametrize(
    ("key", "names"),
    [
        ("pod:compose:shop", ["web", "db"]),
        (f"container:{docker_key('web')}", ["web"]),
        (f"container:{docker_key('alone')}", ["alone"]),
        ("container:docker:nothing", None),
    ],
)
def test_the_findings_of_a_row(key: str, names: list[str] | None) -> None:
    found = of_row(sick(*FOUND), key)

    assert (None if found is None else [each.target for each in found]) == (names and [docker_key(n) for n in names])


def test_the_title_counts_what_is_wrong() -> None:
    snapshot = sick(*FOUND)

    assert text_of(title_spans(snapshot, None, FOUND, 80)) == (
        " What is wrong   ■ 1 critical   ▲ 1 warning   · 1 worth knowing"
    )
    assert (
        text_of(title_spans(snapshot, "pod:compose:shop", FOUND[:1], 80)) == " What is wrong with shop   ■ 1 critical"
    )


@given(st.sampled_from(sorted(HOSTILE_NAMES.values())), st.integers(1, 200), st.text(max_size=300))
def test_nothing_is_wider_than_the_screen(name: str, width: int, evidence: str) -> None:
    """Names are foreign, evidence is ours: its foreign parts are escaped where it is made."""
    told = "".join(character for character in evidence if character.isprintable())
    node = node_of(name)
    sickness = replace(finding(name), target=node.key, evidence=told, summary=told)
    snapshot = tree_of(pod_of(node), findings=[sickness])

    entries = finding_entries(snapshot, snapshot.findings, width)

    assert all(width_of(entry.spans) <= max(width, 5) for entry in entries)
    assert not unsafe(text_of(entries[0].spans)) - set(told)


def test_all_of_the_evidence_is_there_on_a_narrow_screen() -> None:
    long = replace(finding("web"), evidence=" ".join(f"word{at}" for at in range(40)))

    assert " ".join(" ".join(lines(sick(long), 40)).split()).count("word") == 40


# topcon why


def test_why_as_text_has_the_evidence_and_the_advice() -> None:
    snapshot = sick(FOUND[0])

    assert findings_to_text(snapshot, snapshot.findings) == (
        "critical: web: web is sick [unhealthy]\n  1 of 2\n  it means something.\n  -> mend it\n"
    )


def test_why_says_nothing_where_nothing_is_wrong() -> None:
    assert findings_to_text(sick(), ()) == ""


@pytest.mark.parametrize("name", HOSTILE_NAMES.values(), ids=HOSTILE_NAMES)
def test_why_escapes_names(name: str) -> None:
    snapshot = tree_of(pod_of(node_of(name)), findings=[replace(finding(name), summary="is sick")])

    assert unsafe(findings_to_text(snapshot, snapshot.findings)) <= {"\n"}
    assert findings_to_text(snapshot, snapshot.findings).count("\n") == 4


def test_why_as_json() -> None:
    snapshot = sick(FOUND[0], Finding("runtime-silent", Severity.CRITICAL, "runtime:docker", "s", "a"))
    told = json.loads(findings_to_json(snapshot, snapshot.findings))

    assert told.keys() == {"version", "time", "interval_s", "findings", "problems"}
    assert told["findings"][0] == {
        "code": "unhealthy",
        "severity": "critical",
        "target": docker_key("web"),
        "name": "web",
        "summary": "web is sick",
        "evidence": "1 of 2",
        "means": "it means something.",
        "advice": "mend it",
        "since": "2026-09-21T14:12:05.000Z",
    }
    assert (told["findings"][1]["name"], told["findings"][1]["since"]) == ("docker", None)


@pytest.mark.parametrize(("text", "count"), [("", 4), ("web", 1), ("pod:shop", 2), ("nothing-like-it", 0)])
def test_a_filter_leaves_out_others_and_the_runtimes(text: str, count: int) -> None:
    silent = Finding("runtime-silent", Severity.CRITICAL, "runtime:docker", "s", "a")

    assert len(findings_of(sick(*FOUND, silent), parse_filter(text))) == count


# The document


def test_the_document_has_all_rules_in_the_words_of_the_table() -> None:
    sections = {
        head.strip("` "): " ".join(body.split())
        for head, _, body in (each.partition("\n") for each in DOCUMENT.read_text().split("\n## ")[1:])
    }

    assert list(sections) == sorted(ABOUT)
    for code, about in ABOUT.items():
        severities = " or ".join(each.name.lower() for each in about.severities)
        evidence = f" - **evidence**: {about.evidence}" if about.evidence else ""
        assert sections[code] == (
            f"{about.means} - **{severities}**: {about.when}{evidence} - **what to do**: {about.advice}"
        )
