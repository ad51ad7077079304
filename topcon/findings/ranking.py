"""Who uses the most of what is short."""

from __future__ import annotations

from heapq import nlargest
from operator import itemgetter
from typing import TYPE_CHECKING

from topcon.model.sample import PodKind
from topcon.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping

    from topcon.findings.step import Step
    from topcon.model.sample import CgroupPath, ContainerKey
    from topcon.model.snapshot import ContainerNode

    Ranking = list[tuple[float, ContainerNode]]

NAMED = 3
"""So many are named."""
RANKED = 8
"""So many are ranked, since the containers that one is in are not named beside it."""
_PREFIXED = frozenset({PodKind.KUBERNETES, PodKind.NOMAD, PodKind.ECS})
"""In other pods a container's name tells it from all on the host."""


def ranking(
    what: Hashable,
    step: Step,
    containers: Callable[[], Iterable[ContainerNode]],
    use_of: Callable[[ContainerNode], float | None],
) -> Ranking:
    """Return those that use the most of something, the first first; ``what`` tells it from other rankings."""

    def rank() -> Ranking:
        users = ((float(use_of(each) or 0), each) for each in containers())
        return nlargest(RANKED, ((used, each) for used, each in users if used > 0), key=itemgetter(0))

    return step.once(("ranking", what), rank)


def running(step: Step) -> list[ContainerNode]:
    """All that have a cgroup."""
    return step.once("running", lambda: [each for each in step.now.containers.values() if each.cgroup is not None])


def inside(path: CgroupPath, step: Step) -> list[ContainerNode]:
    """Return the containers in a cgroup, itself left out."""
    below = f"{path.rstrip('/')}/"
    return step.once(
        ("inside", path),
        lambda: [each for each in running(step) if each.cgroup is not None and each.cgroup.path.startswith(below)],
    )


def most_of(
    what: str,
    ranked: Ranking,
    to_text: Callable[[float], str],
    step: Step,
    about: ContainerNode | None = None,
    *,
    elsewhere: float = 0.0,
) -> str:
    """Name who uses the most of something; empty where nobody uses any.

    ``about`` is the one that it is told of, and ``elsewhere`` is what is used outside of all containers.
    """
    own = about.cgroup.path if about is not None and about.cgroup is not None else ""
    users = [
        (used, "itself" if about is not None and each.key == about.key else _label(each, step))
        for used, each in ranked
        # Those that it is in count what it does.
        if each.cgroup is None or not own.startswith(f"{each.cgroup.path}/")
    ]
    if elsewhere > 0:
        users = sorted([*users, (elsewhere, "what is in no container")], key=itemgetter(0), reverse=True)
    named = [f"{label} {to_text(used)}" for used, label in users[:NAMED]]
    return f"most of {what}: {', '.join(named)}" if named else ""


def _label(container: ContainerNode, step: Step) -> str:
    pod = step.once("prefixes", lambda: _prefixes(step)).get(container.key)
    return printable(f"{pod}/{container.name}" if pod else container.name)


def _prefixes(step: Step) -> Mapping[ContainerKey, str]:
    return {each.key: pod.name for pod in step.now.pods if pod.kind in _PREFIXED for each in pod.containers}
