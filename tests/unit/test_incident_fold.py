"""Snapshots folded for a report: no peak is lost, nothing grows with the length, findings have a begin and an end."""

from __future__ import annotations

from dataclasses import replace
from math import isnan
from typing import TYPE_CHECKING, Any

import pytest
from fakes import START_WALL_NS
from hypothesis import given
from hypothesis import strategies as st
from samples import SECOND_NS, docker_key, node_of, pod_of, tree_of

from topcon.incident.fold import MOST_GAPS, MOST_SPANS, Span, fold
from topcon.incident.ranking import worst
from topcon.incident.tracks import MOST_STEPS, NOTHING, Kind, Steps, Track
from topcon.model.sample import State
from topcon.model.snapshot import Finding, Severity, Usage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from topcon.incident.fold import Case, Incident
    from topcon.model.snapshot import ContainerNode, Snapshot


def at(seconds: float, *nodes: ContainerNode, findings: Iterable[Finding] = (), pod: str | None = None) -> Snapshot:
    """What was at a moment, the same pod around all containers if it is named."""
    pods = [pod_of(*nodes, name=pod)] if pod else [pod_of(node) for node in nodes]
    return tree_of(*pods, findings=findings, seconds=seconds)


def folded(snapshots: Iterable[Snapshot]) -> Incident:
    incident = fold(iter(snapshots))
    assert incident is not None
    return incident


def cpu(name: str, cores: float | None, **options: Any) -> ContainerNode:
    return node_of(name, Usage(cpu_cores=cores), **options)


def finding(
    name: str = "web", severity: Severity = Severity.WARNING, code: str = "cpu-throttled", **more: Any
) -> Finding:
    return Finding(code, severity, docker_key(name), f"{code} of {name}", "do something", **more)


def ns(seconds: float) -> int:
    return START_WALL_NS + int(seconds * SECOND_NS)


def spans_of(case: Case) -> list[tuple[float, float]]:
    return [
        ((span.begin_ns - START_WALL_NS) / SECOND_NS, (span.end_ns - START_WALL_NS) / SECOND_NS) for span in case.spans
    ]


VALUES = st.none() | st.sampled_from([0.0, 1.0, 2.5, 1000.0])
MOMENTS = st.lists(
    st.tuples(st.sampled_from([SECOND_NS // 2, SECOND_NS, 5 * SECOND_NS, 90 * SECOND_NS]), VALUES),
    min_size=1,
    max_size=900,
)


@given(MOMENTS)
def test_each_step_has_the_least_the_greatest_and_the_mean_of_its_moments(
    moments: Sequence[tuple[int, float | None]],
) -> None:
    steps, track = Steps(0, SECOND_NS), Track()
    now_ns, last = 0, None
    seen: list[tuple[int, float | None]] = []
    for apart_ns, value in moments:
        now_ns += apart_ns
        for counts in steps.add(now_ns):
            track.merge(counts)
        # What has not changed is not put again.
        if value != last or not seen:
            track.put((value, *NOTHING[1:]), steps)
        seen.append((now_ns, value))
        last = value

    points = track.points(Kind.CPU, steps)

    assert len(steps) <= MOST_STEPS
    by_step: dict[int, list[float]] = {}
    for time_ns, value in seen:
        if value is not None:
            by_step.setdefault(time_ns // steps.step_ns, []).append(value)
    if not by_step:
        assert points.is_empty
        return
    assert len(points.low) == len(points.high) == len(points.mean) == len(steps)
    for step, (low, high, mean) in enumerate(zip(*points, strict=True)):
        values = by_step.get(step)
        if values is None:
            assert isnan(low)
            assert isnan(high)
            assert isnan(mean)
        else:
            assert (low, high) == (min(values), max(values))
            assert min(values) <= mean <= max(values)


def test_a_mean_is_that_of_all_moments_in_a_step_also_of_those_at_which_nothing_changed() -> None:
    quiet, busy = cpu("web", 1.0), cpu("web", 5.0)
    snapshots = [at(second, busy if second in {700, 701} else quiet) for second in range(1000)]

    incident = folded(snapshots)

    points = incident.subjects[0].track.points(Kind.CPU, incident.steps)
    assert incident.steps.step_ns == 4 * SECOND_NS
    assert points.mean[175] == pytest.approx((5 + 5 + 1 + 1) / 4)
    assert points.mean[174] == points.mean[176] == 1.0
    assert points.average == pytest.approx(1 + 8 / 1000)


def test_the_peak_of_one_moment_of_an_hour_is_kept() -> None:
    def snapshots() -> Iterator[Snapshot]:
        node = cpu("web", 0.1)
        for second in range(3600):
            yield at(second, cpu("web", 7.5) if second == 1234 else node)

    incident = folded(snapshots())

    points = incident.subjects[0].track.points(Kind.CPU, incident.steps)
    assert points.highest == 7.5
    assert points.peak_step == 1234 * SECOND_NS // incident.steps.step_ns
    assert MOST_STEPS // 2 <= len(incident.steps) <= MOST_STEPS
    assert (incident.moments, incident.span) == (3600, Span(ns(0), ns(3599)))


def test_what_takes_the_place_of_another_goes_on_its_track() -> None:
    first, second = cpu("web-1", 1.0), cpu("web-2", 2.0)
    first, second = (each._replace(info=replace(each.info, name="web")) for each in (first, second))

    incident = folded(
        [at(0, first, pod="shop"), at(1, first, pod="shop"), at(2, second, pod="shop"), at(3, second, pod="shop")]
    )

    (subject,) = incident.subjects
    assert (subject.key, subject.keys) == (second.key, {first.key, second.key})
    assert list(subject.track.points(Kind.CPU, incident.steps).mean) == [1.0, 1.0, 2.0, 2.0]


def test_two_that_are_called_the_same_at_the_same_time_are_two() -> None:
    one, two = cpu("one", 1.0), cpu("two", 2.0)
    both = [each._replace(info=replace(each.info, name="web")) for each in (one, two)]

    incident = folded([at(0, *both), at(1, *both)])

    assert [subject.key for subject in incident.subjects] == [one.key, two.key]


def test_what_is_gone_has_no_line_from_then_on_and_may_come_back() -> None:
    node = cpu("web", 1.0)
    others = [cpu("db", 3.0)]

    incident = folded([at(second, *(others if second in {2, 3} else [*others, node])) for second in range(6)])
    gone = folded([at(0, *others, node), at(1, *others)])

    web = next(subject for subject in incident.subjects if subject.name == "web")
    means = web.track.points(Kind.CPU, incident.steps).mean
    assert [isnan(value) for value in means] == [False, False, True, True, False, False]
    assert web.is_there
    (left,) = (subject for subject in gone.subjects if subject.name == "web")
    assert (left.is_there, left.last_seen_ns) == (False, ns(0))


def test_a_finding_has_a_begin_and_an_end() -> None:
    node = cpu("web", 1.0)
    held = replace(finding(), since_ns=None)

    incident = folded([at(second, node, findings=[held] if 10 <= second < 20 else []) for second in range(60)])

    (case,) = incident.cases
    assert spans_of(case) == [(10, 20)]
    assert (case.holds, case.held_s, case.name) == (False, 10, "web")


def test_a_finding_that_is_away_for_a_moment_goes_on_and_else_it_is_there_again() -> None:
    node = cpu("web", 1.0)
    holds = {*range(10, 20), *range(25, 30), *range(50, 60)}

    incident = folded([at(second, node, findings=[finding()] if second in holds else []) for second in range(60)])

    (case,) = incident.cases
    assert spans_of(case) == [(10, 30), (50, 59)]
    assert case.holds


def test_a_finding_begins_when_it_says_also_before_the_span() -> None:
    first = at(0, cpu("web", 1.0))
    since = finding(since_ns=first.sample.monotonic_ns - 40 * SECOND_NS)

    incident = folded([replace(first, findings=(since,)), at(1, cpu("web", 1.0), findings=[since])])

    assert spans_of(incident.cases[0]) == [(-40, 1)]


def test_of_a_finding_the_worst_is_told() -> None:
    node = cpu("web", 1.0)
    severities = [Severity.WARNING, Severity.CRITICAL, Severity.WARNING]

    incident = folded(
        [
            at(second, node, findings=[finding(severity=each, evidence=str(second))])
            for second, each in enumerate(severities)
        ]
    )

    (case,) = incident.cases
    assert (case.severity, case.finding.evidence) == (Severity.CRITICAL, "1")


def test_a_finding_that_comes_and_goes_for_ever_takes_no_more_room() -> None:
    node = cpu("web", 1.0)

    incident = folded([at(20 * second, node, findings=[finding()] if second % 2 else []) for second in range(1000)])

    (case,) = incident.cases
    assert len(case.spans) == MOST_SPANS
    assert case.spans == sorted(case.spans)
    assert (case.begin_ns, case.end_ns) == (ns(20), ns(20 * 999))


def test_what_is_found_about_a_pod_or_a_runtime_has_its_name() -> None:
    node = cpu("web", 1.0)
    pod = pod_of(node, name="shop")
    about = [replace(finding(), target=pod.key), replace(finding(), target="runtime:docker")]

    incident = folded([tree_of(pod, findings=about)])

    assert [(case.name, case.subject) for case in incident.cases] == [("shop", None), ("docker", None)]


def test_a_finding_is_told_of_a_container_by_its_last_name() -> None:
    old = cpu("web", 1.0)
    new = old._replace(info=replace(old.info, name="web-old"))

    incident = folded([at(0, old, findings=[finding()]), at(1, new, findings=[finding()])])

    assert incident.cases[0].name == "web-old"


def test_a_time_in_which_nothing_was_recorded_is_a_gap() -> None:
    node = cpu("web", 1.0)

    incident = folded([at(second, node) for second in (0, 1, 2, 62, 63, 70)])

    assert incident.gaps == (Span(ns(2), ns(62)),)


def test_of_many_gaps_the_longest_are_kept() -> None:
    node = cpu("web", 1.0)
    seconds = [0.0]
    for at_gap in range(MOST_GAPS + 50):
        seconds += [seconds[-1] + 1, seconds[-1] + 1 + 60 + at_gap]

    incident = folded([at(second, node) for second in seconds])

    assert len(incident.gaps) == MOST_GAPS
    assert min(gap.seconds for gap in incident.gaps) == 60 + 50


def test_without_a_snapshot_there_is_nothing() -> None:
    assert fold(iter(())) is None


def test_those_with_findings_come_first_the_worst_on_top_and_then_who_used_the_most() -> None:
    nodes = [
        cpu(name, cores) for name, cores in (("idle", 0.0), ("busy", 1.9), ("calm", 0.2), ("sick", 0.1), ("bad", 0.1))
    ]
    known = [
        finding("sick", Severity.WARNING),
        finding("bad", Severity.CRITICAL),
        finding("calm", Severity.INFO, "shares-host"),
    ]

    incident = folded([at(second, *nodes, findings=known) for second in range(3)])

    assert [ranked.subject.name for ranked in worst(incident)] == ["bad", "sick", "busy", "calm"]
    assert [ranked.subject.name for ranked in worst(incident, 2)] == ["bad", "sick"]


def test_what_never_ran_is_shown_only_if_something_was_wrong_with_it() -> None:
    nodes = [node_of(name, state=State.EXITED, exit_code=1) for name in ("old", "failed")]

    incident = folded([at(0, *nodes, findings=[finding("failed", code="exit-error")])])

    assert [ranked.subject.name for ranked in worst(incident)] == ["failed"]
