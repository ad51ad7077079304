"""How far what was asked for has got, in words."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from samples import HOSTILE_NAMES, node_of, pod_of, text_of, tree_of, unsafe

from topcon.actions import Outcome, Verb, request_for
from topcon.batch import Step
from topcon.model.snapshot import Usage
from topcon.ui.progress import failures_text, progress_lines, summary
from topcon.ui.spans import Tone

if TYPE_CHECKING:
    from topcon.batch import Batch


@dataclass
class Under:
    """A batch that is as far as it is told to be."""

    steps: tuple[Step, ...] = ()
    verb: Verb = Verb.STOP
    failed: tuple[Step, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.failed = tuple(step for step in self.steps if step.has_failed)

    @property
    def is_over(self) -> bool:
        return all(step.outcome for step in self.steps)

    def ago_s(self, step: Step) -> float | None:
        return None if step.begun_s is None else 10.0 - step.begun_s


def waiting(name: str) -> Step:
    return Step(request_for(Verb.STOP, node_of(name)))


def begun(name: str) -> Step:
    return waiting(name)._replace(begun_s=7.0)


def ended(name: str, error: str | None = None, warning: str | None = None) -> Step:
    step = begun(name)
    return step._replace(outcome=Outcome(step.request, 1.2, error, warning))


def batch(*steps: Step) -> Batch:
    return Under(steps)  # type: ignore[return-value]


SNAPSHOT = tree_of(pod_of(node_of("web", Usage(pids=4))), pod_of(node_of("db", Usage(pids=1))))


def lines(*batches: Batch, width: int = 60) -> list[str]:
    return [text_of(spans).rstrip() for spans in progress_lines(batches, SNAPSHOT, width)]


@pytest.mark.parametrize(
    ("steps", "expected", "tone"),
    [
        ([begun("web")], "stop web … 3 s, 4 tasks left", Tone.ACCENT),
        ([begun("db")], "stop db … 3 s, 1 task left", Tone.ACCENT),
        ([begun("gone")], "stop gone … 3 s", Tone.ACCENT),
        ([ended("web")], "stopped web in 1.2 s", Tone.GOOD),
        ([ended("web", "it refused")], "stop web: it refused", Tone.BAD),
        ([ended("web", warning="not logged: no space")], "stopped web in 1.2 s, but not logged: no space", Tone.WARN),
        ([ended("a"), begun("b"), waiting("c")], "stopping 1 of 3 …", Tone.ACCENT),
        ([ended("a", "no"), begun("b"), waiting("c")], "stopping 1 of 3 …, 1 failed", Tone.WARN),
        ([ended("a"), ended("b")], "stopped 2 containers", Tone.GOOD),
        ([ended("a"), ended("b", "no")], "stopped 1 of 2, 1 failed", Tone.BAD),
        ([ended("a"), ended("b", warning="not logged")], "stopped 2 containers, but not logged", Tone.WARN),
    ],
)
def test_how_far_it_is_in_a_line(steps: list[Step], expected: str, tone: Tone) -> None:
    assert summary(batch(*steps), SNAPSHOT) == (expected, tone)


def test_each_container_has_a_line() -> None:
    shown = lines(batch(waiting("old"), begun("web"), ended("db"), ended("hog", "it refused")))

    assert [" ".join(line.split()) for line in shown] == [
        "stopping 2 of 4 …, 1 failed",
        "old waits for the others",
        "web … 3 s, 4 tasks left",
        "db stopped in 1.2 s",
        "hog failed",
        "it refused",
    ]


def test_signals_that_they_may_outlive_are_sent_and_no_more() -> None:
    web, db = (request_for(Verb.KILL, node_of(name), signal="SIGTERM") for name in ("web", "db"))
    sent, failed = Step(web, 7.0, Outcome(web, 1.2)), Step(db, 7.0, Outcome(db, 1.2, "it refused"))
    some, both = batch(sent, failed), batch(sent, sent)

    assert summary(some, None).text == "sent SIGTERM to 1 of 2, 1 failed"
    assert summary(both, None).text == "sent SIGTERM to 2 containers"
    assert " ".join(lines(some)[1].split()) == "web sent SIGTERM in 1.2 s"


def test_the_newest_comes_first() -> None:
    shown = lines(batch(ended("a")), batch(ended("b")))

    assert [line[:1] for line in shown] == ["b", "", "a"]


def test_a_long_reason_is_told_in_full() -> None:
    reason = "driver failed programming external connectivity on endpoint web: port is already allocated"

    shown = lines(batch(ended("web", reason)), width=40)

    assert " ".join(" ".join(shown[1:]).split()) == reason
    assert max(map(len, shown)) <= 40


def test_failures_can_be_copied() -> None:
    batches = [batch(ended("a", "no"), ended("b")), batch(ended("c", "never"))]

    assert failures_text(batches) == "stop a: no\nstop c: never"


@pytest.mark.parametrize("name", HOSTILE_NAMES.values(), ids=HOSTILE_NAMES)
def test_hostile_names_and_reasons_do_nothing(name: str) -> None:
    one = batch(begun(name), ended(name, name))

    assert not any(map(unsafe, lines(one)))
    assert not unsafe(summary(one, None).text)
    assert not unsafe(failures_text([batch(ended(name, name))]))
