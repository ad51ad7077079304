"""What a page of metrics is about: the rows of the cgroups, containers and pods of one snapshot, with their labels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from topcon import __version__
from topcon.exporter.labels import LabelCache, Labels, container_label, path_text
from topcon.exporter.options import ExportOptions, LabelMode
from topcon.model.pods import COMPOSE_PROJECT, COMPOSE_SERVICE
from topcon.model.sample import ROOT, PodKind, Role, Survey
from topcon.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from topcon.exporter.labels import Pair
    from topcon.model.sample import CgroupPath, CgroupSample, ContainerKey, InterfaceStat, NetnsKey, TaskStat
    from topcon.model.snapshot import ContainerNode, PodNode, Snapshot

SKIPPED_INTERFACES = ("lo", "veth", "docker", "nerdctl")
"""The beginnings of the names of interfaces that cAdvisor leaves out."""

ALLOWED_LABELS = (
    COMPOSE_PROJECT,
    COMPOSE_SERVICE,
    "com.docker.compose.project.working_dir",
    "com.docker.swarm.node.id",
    "com.docker.swarm.service.name",
    "com.docker.swarm.task.name",
    "com.docker.stack.namespace",
    "org.label-schema.group",
)
"""The container labels that become ``container_label_*``: those that well-known dashboards ask for."""

KUBERNETES_CONTAINER = "io.kubernetes.container.name"
NOTHING_SURVEYED = Survey(monotonic_ns=0, duration_s=0.0)

T = TypeVar("T")
Row = tuple[str, T]
"""The text of a sample's labels, and what its value is taken from."""


@dataclass(frozen=True, slots=True)
class Vitals:
    """What topcon knows of itself at a scrape."""

    tick_s: float
    age_s: float
    """Seconds since the snapshot was taken."""
    scrape_s: float | None = None
    """How long the last page took."""
    version: str = __version__


@dataclass(frozen=True, slots=True)
class Subject:
    """What a sample is of: a cgroup, and the container or the pod if it is one's."""

    cgroup: CgroupSample
    container: ContainerNode | None
    pod: PodNode | None
    """The pod that the container is in, or whose cgroup it is."""
    labels: Labels

    @property
    def is_root(self) -> bool:
        """Whether it is the whole host."""
        return self.cgroup.path == ROOT


def container_name(container: ContainerNode) -> str:
    """Return the name that a container has in its pod's specification."""
    return container.info.labels.get(KUBERNETES_CONTAINER) or container.name


def _told_apart(rows: Sequence[Row[T]]) -> Sequence[Row[T]]:
    if len({labels for labels, _ in rows}) == len(rows):
        return rows
    return list(dict(reversed(rows)).items())[::-1]


class Page:
    """One snapshot, prepared for the families: each set of rows is made once and used by all that want it."""

    def __init__(self, snapshot: Snapshot, vitals: Vitals, options: ExportOptions, labels: LabelCache) -> None:
        """Make ready; rows are made when they are asked for."""
        self.snapshot = snapshot
        self.vitals = vitals
        self.options = options
        self.omitted = 0
        """How many families were left out for want of time."""
        self._cache = labels
        self._identities: dict[ContainerKey, Labels] = {}
        self._rows: dict[Callable[[Page], Sequence[Row[object]]], Sequence[Row[object]]] = {}

    def rows(self, make: Callable[[Page], Sequence[Row[T]]]) -> Sequence[Row[T]]:
        """Return the rows that ``make`` makes of this page, of those whose labels are written alike the first.

        A scraper refuses a page that has a series twice, and names that nobody checks can be made to look alike.
        """
        rows = self._rows.get(make)
        if rows is None:
            rows = self._rows[make] = _told_apart(make(self))
        return rows  # type: ignore[return-value] # what a function made has the type that it says

    @property
    def survey(self) -> Survey:
        """What is read on a thread of its own; empty before the first is done."""
        return self.snapshot.sample.survey or NOTHING_SURVEYED

    @cached_property
    def is_kubelet(self) -> bool:
        """Whether labels are kubelet's."""
        if self.options.labels is LabelMode.AUTO:
            return any(pod.kind is PodKind.KUBERNETES for pod in self.snapshot.pods)
        return self.options.labels is LabelMode.KUBELET

    @cached_property
    def pods(self) -> Mapping[ContainerKey, PodNode]:
        """The pod of each container, those that are gone among them."""
        current = {container.key: pod for pod in self.snapshot.pods for container in pod.containers}
        return {gone.container.key: gone.pod for gone in self.snapshot.gone} | current

    @cached_property
    def served_labels(self) -> tuple[tuple[str, str], ...]:
        """The container labels that are served and used: name of the sample's label, key.

        Of two keys that get one name, the first in the order of the alphabet has it.
        """
        names: dict[str, str] = {}
        for key in sorted(self._used_labels):
            names.setdefault(container_label(key), key)
        return tuple(names.items())

    @cached_property
    def label_collisions(self) -> int:
        """How many container labels are not served since another one has their name."""
        return len(self._used_labels) - len(self.served_labels)

    @cached_property
    def _used_labels(self) -> frozenset[str]:
        wanted = {*ALLOWED_LABELS, *self.options.extra_labels}
        containers = self.snapshot.containers.values()
        return frozenset(key for container in containers for key in wanted & container.info.labels.keys())

    @cached_property
    def subjects(self) -> tuple[Subject, ...]:
        """All cgroups, by path."""
        snapshot = self.snapshot
        containers = {each.cgroup.path: each for each in snapshot.containers.values() if each.cgroup}
        pods = {each.cgroup.path: each for each in snapshot.pods if each.cgroup}
        subjects = []
        for path, cgroup in sorted(snapshot.sample.cgroups.items()):
            container = containers.get(path)
            pod = self.pods[container.key] if container else pods.get(path)
            if self.options.containers_only and container is None and pod is None and path != ROOT:
                continue
            subjects.append(Subject(cgroup, container, pod, self._labels(path, container, pod)))
        return tuple(subjects)

    @cached_property
    def running(self) -> tuple[Subject, ...]:
        """The containers that have a cgroup, under the labels of topcon's own families."""
        return tuple(
            Subject(each.cgroup, each, self.pods[each.key], self.identity(each))
            for each in self.snapshot.containers.values()
            if each.cgroup is not None
        )

    def _labels(self, path: CgroupPath, container: ContainerNode | None, pod: PodNode | None) -> Labels:
        info = container.info if container else None
        image = printable(info.image or "") if info else ""
        pairs: list[Pair] = [("id", path_text(path)), ("image", image)]
        if not self.is_kubelet:
            pairs.append(("name", printable(info.name) if info else ""))
            pairs += [(name, printable(info.labels.get(key, "")) if info else "") for name, key in self.served_labels]
            return self._cache.labels(*pairs)
        is_of_kubernetes = pod is not None and pod.kind is PodKind.KUBERNETES
        name = short_name = ""
        if container is not None and info is not None:
            name = info.id if is_of_kubernetes else info.name
            if is_of_kubernetes and info.role is not Role.SANDBOX:
                short_name = container_name(container)
        return self._cache.labels(
            *pairs,
            ("name", printable(name)),
            ("container", printable(short_name)),
            ("pod", printable(pod.name) if pod and is_of_kubernetes else ""),
            ("namespace", printable(pod.namespace or "") if pod and is_of_kubernetes else ""),
        )

    def labels(self, *pairs: Pair) -> Labels:
        """Return labels that are kept for the next page."""
        return self._cache.labels(*pairs)

    @cached_property
    def machine(self) -> Labels:
        """The labels of the machine."""
        ids = self.snapshot.sample.host.machine
        return self.labels(
            ("boot_id", printable(ids.boot_id)),
            ("machine_id", printable(ids.machine_id)),
            ("system_uuid", printable(ids.system_uuid)),
        )

    def identity(self, container: ContainerNode) -> Labels:
        """Return the labels of a container in topcon's own families; of a stopped one too."""
        labels = self._identities.get(container.key)
        if labels is None:
            labels = self._identities[container.key] = self._identity(container)
        return labels

    def _identity(self, container: ContainerNode) -> Labels:
        pod = self.pods[container.key]
        runtime, _, container_id = container.key.partition(":")
        is_in_pod = pod.kind is not PodKind.SINGLE
        return self.labels(
            ("container_id", printable(container_id)),
            ("id", path_text(container.cgroup.path) if container.cgroup else ""),
            ("name", printable(container.name)),
            ("namespace", printable(pod.namespace or "")),
            ("pod", printable(pod.name) if is_in_pod else ""),
            ("runtime", printable(runtime)),
        )

    def pod_identity(self, pod: PodNode) -> Labels:
        """Return the labels of a pod in topcon's own families."""
        return self.labels(
            ("kind", pod.kind),
            ("namespace", printable(pod.namespace or "")),
            ("pod", printable(pod.name)),
            ("pod_id", printable(pod.key.partition(":")[2])),
        )

    def netns(self, subject: Subject) -> NetnsKey | None:
        """The network namespace of a subject that owns one, so that each is counted once."""
        if subject.is_root:
            return self.snapshot.sample.host.netns
        container = subject.container
        return container.netns if container is not None and container.is_network_owner else None

    def interfaces(self, subject: Subject) -> Mapping[str, InterfaceStat]:
        """The network interfaces of a subject that owns a namespace, without those that cAdvisor skips."""
        netns = self.netns(subject)
        found = self.snapshot.sample.networks.get(netns, {}) if netns is not None else {}
        return {name: stat for name, stat in found.items() if not name.startswith(SKIPPED_INTERFACES)}

    def device_name(self, device: tuple[int, int]) -> str:
        """Name a block device as cAdvisor does; empty where it has no name."""
        name = self.snapshot.sample.host.devices.get(device)
        return f"/dev/{name}" if name else ""


def all_subjects(page: Page) -> Sequence[Subject]:
    """Choose what ``container_*`` is of."""
    return page.subjects


def running_containers(page: Page) -> Sequence[Subject]:
    """Choose what topcon's own families of containers are of, as far as they run."""
    return page.running


def whole(page: Page) -> list[Row[Page]]:
    """Make the one row, without labels, of what is of the page as a whole."""
    return [("", page)]


def failed(source: str) -> Callable[[Page], int]:
    """Take from a page whether the last reading of a source failed: 1, or 0."""
    return lambda page: int(any(problem.source == source for problem in page.snapshot.sample.problems))


def parts(
    get: Callable[[CgroupSample], T | None], of: Callable[[Page], Sequence[Subject]] = all_subjects
) -> Callable[[Page], list[Row[T]]]:
    """Make rows of a part of each cgroup; there is none where that part could not be read."""

    def rows(page: Page) -> list[Row[T]]:
        return [(subject.labels.text, part) for subject in of(page) if (part := get(subject.cgroup)) is not None]

    return rows


def surveyed(page: Page, subjects: Sequence[Subject]) -> Iterator[tuple[Labels, TaskStat]]:
    """Yield what the survey has counted of each cgroup."""
    tasks = page.survey.tasks
    for subject in subjects:
        if (found := tasks.get(subject.cgroup.path)) is not None:
            yield subject.labels, found
