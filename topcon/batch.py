"""Acting on several containers: which comes after which, and who of them is how far.

What needs another to run is started after it, and ended before it. What does not depend on each other is done at the
same time.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from topcon.actions import Outcome, Request, Verb, Way, request_for
from topcon.model.pods import COMPOSE_PROJECT, COMPOSE_SERVICE, pod_of_labels
from topcon.model.sample import ContainerKey, Role
from topcon.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from topcon.actions import Actions
    from topcon.model.sample import ProcessSample
    from topcon.model.snapshot import ContainerNode

    Needs = Mapping[ContainerKey, AbstractSet[ContainerKey]]
    """Which others must have been done before each."""

MOST_AT_ONCE = 8
"""A daemon has others to serve; what waits for a grace period costs it nothing."""
DEPENDS_ON = "com.docker.compose.depends_on"
"""The label that Compose keeps the dependencies of a service in."""
UNORDERED = frozenset({Verb.PAUSE, Verb.UNPAUSE})
"""The order would only make what depends on each other stand still for longer."""
UPWARDS = frozenset({Verb.START, Verb.RESTART})
"""What is needed comes first; elsewhere it comes last."""
NOBODY: frozenset[ContainerKey] = frozenset()
ENDED = "not done: topcon ended before it began"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done, in which order."""

    verb: Verb
    waves: tuple[tuple[Request, ...], ...]
    """Each waits for the end of the one before."""
    needs: Needs = field(default_factory=lambda: MappingProxyType({}))
    """Those that are not done where others have failed, and which; these are in waves before theirs."""


def plan(
    verb: Verb,
    containers: Sequence[ContainerNode],
    *,
    grace_s: float | None = None,
    signal: str = "SIGKILL",
    ways: Mapping[ContainerKey, Way] | None = None,
    member: ProcessSample | None = None,
) -> Plan:
    """Put containers in the order that something is to be done to them; without ``grace_s`` each has its own.

    With ``member`` it is done to that process alone, of the only container.

    Raises:
        ValueError: there is no such signal.
    """
    ways = ways or {}
    requests = {
        each.key: request_for(verb, each, grace_s, signal, ways.get(each.key, Way.RUNTIME), member)
        for each in containers
    }
    needs: Needs = dependencies(containers)
    if verb in UNORDERED:
        needs = {}
    elif verb not in UPWARDS:
        needs = _turned(needs)
    waves = in_waves(list(requests), needs)
    before: set[ContainerKey] = set()
    kept: dict[ContainerKey, AbstractSet[ContainerKey]] = {}
    for wave in waves:
        # Within a circle nobody can wait for the other.
        kept |= {key: needs[key] & before for key in wave if needs.get(key, NOBODY) & before}
        before |= set(wave)
    # What is to be killed is killed, whatever becomes of the others.
    is_killing = verb is Verb.KILL
    return Plan(verb, tuple(tuple(requests[key] for key in wave) for wave in waves), {} if is_killing else kept)


def in_waves(keys: Sequence[ContainerKey], needs: Needs) -> list[list[ContainerKey]]:
    """Put what needs others after these; what goes round in a circle comes last, together."""
    left, known = list(keys), set(keys)
    placed: set[ContainerKey] = set()
    waves = []
    while left:
        wave = [key for key in left if needs.get(key, NOBODY) & known <= placed] or left
        waves.append(wave)
        placed |= set(wave)
        left = [key for key in left if key not in placed]
    return waves


def dependencies(containers: Sequence[ContainerNode]) -> dict[ContainerKey, set[ContainerKey]]:
    """Return whom of the others each needs: who Compose says, its pod's sandbox, whose network it has."""
    by_id = {(each.info.runtime, each.info.id): each.key for each in containers}
    services: dict[tuple[str, str], set[ContainerKey]] = {}
    sandboxes: dict[object, set[ContainerKey]] = {}
    for each in containers:
        labels = each.info.labels
        services.setdefault((labels.get(COMPOSE_PROJECT, ""), labels.get(COMPOSE_SERVICE, "")), set()).add(each.key)
        if each.info.role is Role.SANDBOX:
            sandboxes.setdefault(_pod(each), set()).add(each.key)
    needs: dict[ContainerKey, set[ContainerKey]] = {}
    for each in containers:
        info = each.info
        own: set[ContainerKey] = set()
        if project := info.labels.get(COMPOSE_PROJECT):
            for service in parse_depends_on(info.labels.get(DEPENDS_ON, "")):
                own |= services.get((project, service), set())
        if info.role is not Role.SANDBOX and (pod := _pod(each)) is not None:
            own |= sandboxes.get(pod, set())
        if info.joins_network_of is not None and (owner := by_id.get((info.runtime, info.joins_network_of))):
            own.add(owner)
        needs[each.key] = own - {each.key}
    return needs


def _pod(container: ContainerNode) -> object:
    pod = container.info.pod or pod_of_labels(container.info.labels)
    return (pod.kind, pod.id) if pod else None


def _turned(needs: Needs) -> dict[ContainerKey, set[ContainerKey]]:
    turned: dict[ContainerKey, set[ContainerKey]] = {}
    for key, own in needs.items():
        for other in own:
            turned.setdefault(other, set()).add(key)
    return turned


def parse_depends_on(label: str) -> tuple[str, ...]:
    """Return the services of ``db:service_healthy:true,cache:service_started:false``."""
    names = (part.partition(":")[0].strip() for part in label.split(","))
    return tuple(dict.fromkeys(name for name in names if name))


class Step(NamedTuple):
    """One container of a batch, and how far it is."""

    request: Request
    begun_s: float | None = None
    """On the batch's clock; None while it waits for others."""
    outcome: Outcome | None = None
    """None until it has ended."""

    @property
    def has_failed(self) -> bool:
        """Whether it has ended otherwise than it was meant to."""
        return self.outcome is not None and self.outcome.error is not None


class Batch:
    """Does what is planned."""

    def __init__(
        self,
        planned: Plan,
        actions: Actions,
        on_change: Callable[[], object],
        slots: threading.Semaphore | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Do nothing yet; ``on_change`` is told, on any thread, when a step has ended.

        ``slots`` is shared by all that may run at the same time.
        """
        self.verb = planned.verb
        self._plan = planned
        self._actions = actions
        self._on_change = on_change
        self._slots = slots or threading.Semaphore(MOST_AT_ONCE)
        self._clock = clock
        self._steps = {request.key: Step(request) for wave in planned.waves for request in wave}
        # Who takes a request out of these is the only one to deal with it.
        self._waiting = {key: step.request for key, step in self._steps.items()}
        self._bug: BaseException | None = None

    @property
    def steps(self) -> tuple[Step, ...]:
        """All of them, in their order."""
        return tuple(self._steps.values())

    @property
    def is_over(self) -> bool:
        """Whether all have ended."""
        return all(step.outcome is not None for step in self.steps)

    @property
    def failed(self) -> tuple[Step, ...]:
        """Those that were not done."""
        return tuple(step for step in self.steps if step.has_failed)

    def ago_s(self, step: Step) -> float | None:
        """How many seconds ago a step began."""
        return None if step.begun_s is None else self._clock() - step.begun_s

    def run(self) -> None:
        """Do all of it; returns when all has ended. Belongs on a thread of its own."""
        for wave in self._plan.waves:
            left = deque(wave)
            count = min(len(wave), MOST_AT_ONCE)
            # Daemon threads: a runtime that hangs must not keep topcon from ending.
            helpers = [threading.Thread(target=self._work, args=(left,), daemon=True) for _ in range(count - 1)]
            for helper in helpers:
                helper.start()
            self._work(left)
            for helper in helpers:
                helper.join()
            if self._bug is not None:
                raise self._bug

    def close(self) -> None:
        """Begin nothing more, and log what has not begun."""
        while self._waiting:
            _, request = self._waiting.popitem()
            self._end(request, self._actions.refuse(request, ENDED))

    def _work(self, left: deque[Request]) -> None:
        """Do what is left of a wave, one after the other."""
        try:
            while left:
                try:
                    request = left.popleft()
                except IndexError:
                    # Another was faster.
                    return
                with self._slots:
                    self._do(request)
        except BaseException as bug:  # noqa: BLE001  `run` raises it
            self._bug = bug

    def _do(self, request: Request) -> None:
        if self._waiting.pop(request.key, None) is None:
            return
        obstacle = self._obstacle(request)
        if obstacle is not None:
            self._end(request, self._actions.refuse(request, obstacle))
            return
        self._steps[request.key] = Step(request, self._clock())
        self._on_change()
        self._end(request, self._actions.perform(request))

    def _end(self, request: Request, outcome: Outcome) -> None:
        self._steps[request.key] = Step(request, self._steps[request.key].begun_s, outcome)
        self._on_change()

    def _obstacle(self, request: Request) -> str | None:
        """Say which of those that had to come before it have failed; None if none has."""
        needed = (self._steps[key] for key in self._plan.needs.get(request.key, ()))
        names = sorted(printable(step.request.name) for step in needed if step.has_failed)
        if not names:
            return None
        which = "which it needs" if self.verb in UPWARDS else f"which {'needs' if len(names) == 1 else 'need'} it"
        return f"not done: {', '.join(names)}, {which}, could not be {self.verb.past}"
