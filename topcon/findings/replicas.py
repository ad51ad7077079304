"""Of three containers or more that do the same, which one does not; never told of those that are idle."""

from __future__ import annotations

from math import inf
from statistics import fmean, median
from typing import TYPE_CHECKING, NamedTuple

from topcon.findings.codes import found
from topcon.findings.wording import percent
from topcon.model.snapshot import Severity
from topcon.text import to_bytes_text, to_cores_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from topcon.findings.step import Step
    from topcon.model.snapshot import ContainerNode, Finding

CODE = "odd-one-out"
LASTING_TICKS = 30
"""What goes up and down is judged by the mean of so many samples."""
EVERY_TICKS = 5
"""They are compared every so many ticks: what is told of them lasts."""
COMPARED = 30
"""No more of the others are averaged."""


class Measure(NamedTuple):
    """What is compared."""

    name: str
    value_of: Callable[[ContainerNode], float | None]
    least: float
    """Half of the others must have more than this: else they are idle."""
    further: float
    """So much more than they it must have at least."""
    to_text: Callable[[float], str]
    past_of: Callable[[ContainerNode, int], list[float | None]] | None = None
    """Its last values up to a tick; None for what does not go up and down."""


MEASURES = (
    Measure(
        "CPUs",
        lambda each: each.usage.cpu_cores,
        0.05,
        0.2,
        to_cores_text,
        lambda each, tick: each.usage.cpu_history.values(tick, LASTING_TICKS),
    ),
    Measure("of memory", lambda each: each.usage.memory_bytes, 16 << 20, 64 << 20, to_bytes_text),
)
"""Of these it must have so many times as much as `Thresholds.odd_one_out` says."""
FURTHER_RESTARTS = 3
FURTHER_THROTTLED = 0.3


def odd_ones(step: Step) -> Iterator[Finding]:
    """Those that are unlike the others of their kind."""
    before, now = step.before, step.now
    if before is not None and (now.containers is before.containers or now.tick % EVERY_TICKS != 1):
        yield from (each for each in before.findings if each.code == CODE and each.target in now.containers)
        return
    for keys in step.now.replicas:
        nodes = [step.now.containers[key] for key in keys]
        odd: dict[int, list[str]] = {}
        for measure in MEASURES:
            for at, text in _unlike(nodes, measure, step):
                odd.setdefault(at, []).append(text)
        for at, text in (*_restarted(nodes), *_throttled(nodes)):
            odd.setdefault(at, []).append(text)
        for at, texts in odd.items():
            yield found(
                CODE,
                Severity.INFO,
                nodes[at].key,
                f"unlike the {len(nodes) - 1} others of its kind",
                evidence=", ".join(texts),
            )


def _unlike(nodes: Sequence[ContainerNode], measure: Measure, step: Step) -> Iterator[tuple[int, str]]:
    values = [measure.value_of(each) or 0.0 for each in nodes]
    middle = median(values)
    # More than one in four is no odd one any more, but another kind.
    bound = _bound(middle, measure, step)
    odd = [at for at, value in enumerate(values) if value > bound] if bound < inf else []
    if not odd or len(odd) * 4 > len(nodes) + 1:
        return
    for at in odd:
        value, usual = values[at], middle
        if measure.past_of is not None:
            others = [each for other, each in enumerate(nodes) if other != at][:COMPARED]
            known = _mean(measure, nodes[at], step)
            means = [mean for each in others if (mean := _mean(measure, each, step)) is not None]
            if known is None or len(means) < len(others):
                continue
            value, usual = known, median(means)
            if value <= _bound(usual, measure, step):
                continue
        yield at, f"{measure.to_text(value)} {measure.name}, half of the others at most {measure.to_text(usual)}"


def _bound(middle: float, measure: Measure, step: Step) -> float:
    """Return what the odd one has more than, where half of the others have no more than ``middle``."""
    if middle <= measure.least:
        return inf
    return max(step.thresholds.odd_one_out * middle, middle + measure.further)


def _mean(measure: Measure, container: ContainerNode, step: Step) -> float | None:
    past = measure.past_of(container, step.now.tick) if measure.past_of is not None else []
    known = [value for value in past if value is not None]
    return fmean(known) if len(known) >= LASTING_TICKS else None


def _restarted(nodes: Sequence[ContainerNode]) -> Iterator[tuple[int, str]]:
    counts = [each.info.restarts for each in nodes]
    known = [count for count in counts if count is not None]
    if len(known) < len(counts) or max(known) < FURTHER_RESTARTS:
        return
    usual = median(known)
    for at, count in enumerate(known):
        if count - usual >= FURTHER_RESTARTS and count > 2 * usual:
            yield at, f"restarted {count} times, half of the others at most {usual:.0f}"


def _throttled(nodes: Sequence[ContainerNode]) -> Iterator[tuple[int, str]]:
    shares = [each.usage.throttled_share or 0.0 for each in nodes]
    if max(shares) <= FURTHER_THROTTLED:
        return
    usual = median(shares)
    for at, (each, share) in enumerate(zip(nodes, shares, strict=True)):
        used = each.usage.cpu_limit_share
        # Else one that has hardly run.
        if share - usual > FURTHER_THROTTLED and used is not None and used > FURTHER_THROTTLED:
            yield at, f"throttled in {percent(share)} of its periods, half of the others in at most {percent(usual)}"
