"""Which container is it: from whatever the kernel calls something, to the container, and to the process in it.

What is read for it is a value, so that all of this is pure. What a text can mean is in `topcon.model.thing`.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, NamedTuple

from topcon.errors import UsageError
from topcon.model.namespaces import identity_of
from topcon.model.sample import NAMESPACE_KINDS, CgroupPath, PodKind
from topcon.model.thing import ANY_ADDRESS, EXPECTED, LONGEST, questions
from topcon.model.who import THE_HOST, Answer, Answers, Clues, Endpoint, Kind, Question, Where
from topcon.runtimes.paths import claims
from topcon.text import cut, printable, to_age_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from topcon.model.sample import ContainerKey, NetnsKey, Problem, ProcessSample
    from topcon.model.snapshot import ContainerNode, Gone, PodNode, Snapshot
    from topcon.model.who import SeenLink, SeenProcess, SeenSocket

VERSION = 1
SHOWN_QUERY = 60
"""Columns of what was asked, where it is said that nothing was found."""
LEAST_PART = 3
"""Letters of a name, or digits of an id, by which it may be found."""
_TOLD_ONCE = frozenset({Kind.CGROUP, Kind.PATH})
"""Kinds of which several ways lead to the same container, and the best says it all."""
NEAR, LOOSE = 3, 6
"""Ranks: what is `NEAR` may be meant as well, what is `LOOSE` is told where there is nothing better."""
_NAMED_AFTER_ONE = frozenset({PodKind.SINGLE, PodKind.NAMESPACE})
"""Kinds of pods that have no name of their own."""
_NS_PER_S = 10**9

_SCHEME = re.compile(r"[a-z-]+://")
_ID = re.compile(r"(?<![0-9a-f])[0-9a-f]{12,64}(?![0-9a-f])")
_UID = re.compile(r"[0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12}")
_VOLUME = re.compile(r"/volumes/([^/]+)/_data(?:/|$)")


def where_of(snapshot: Snapshot) -> Where:
    """Say which processes show the network namespaces and the file systems of all containers."""
    host = snapshot.sample.host
    networks: dict[NetnsKey, int] = {} if host.netns is None else {host.netns: 1}
    processes = [each.process for each in snapshot.containers.values() if each.process is not None]
    for process in processes:
        if process.netns is not None:
            networks.setdefault(process.netns, process.pid)
    return Where(networks, tuple(process.pid for process in processes))


def answered(text: str, snapshot: Snapshot, look: Callable[[Question, Where], Clues]) -> Answers:
    """Say what a text is about; ``look`` reads what there is to tell about a question.

    Raises:
        UsageError: there is nothing to ask.
    """
    if not text.strip():
        raise UsageError(EXPECTED)
    asked = questions(text)
    host = _Host.of(snapshot)
    where = where_of(snapshot)
    ranked: list[_Ranked] = []
    problems: dict[Problem, None] = {}
    kinds: list[Kind] = []
    for question in asked:
        clues = look(question, where)
        found = list(_ANSWERS[question.kind](question, clues, host))
        kinds += [question.kind] if found else []
        ranked += found
        problems |= dict.fromkeys(clues.problems)
    best = min((each.rank for each in ranked), default=0)
    if best < LOOSE:
        ranked = [each for each in ranked if each.rank < LOOSE]
    if best == 0 and asked and asked[0].kind is Kind.CONTAINER:
        ranked = [each for each in ranked if each.rank < NEAR]
    # Sorting is stable: of a rank, what was asked first comes first.
    answers: dict[object, Answer] = {}
    for _, answer in sorted(ranked, key=lambda each: each.rank):
        is_told_once = asked[0].kind in _TOLD_ONCE
        answers.setdefault((answer.target or answer.id or answer.why) if is_told_once else answer, answer)
    kind = kinds[0] if kinds else asked[0].kind if asked else Kind.CONTAINER
    looked = tuple(dict.fromkeys(_looked(question.kind, host, where) for question in asked)) or ("nowhere",)
    return Answers(text, kind, tuple(answers.values()), looked, tuple(problems))


class _Ranked(NamedTuple):
    """An answer, and how likely it is meant: 0 is best."""

    rank: int
    answer: Answer


@dataclass(frozen=True, slots=True)
class _Host:
    """A snapshot, as answers are looked up in it."""

    snapshot: Snapshot
    by_cgroup: Mapping[CgroupPath, ContainerNode]
    by_network: Mapping[NetnsKey, Sequence[ContainerNode]]
    """Those that live in each namespace, the one that made it first."""
    pods: Mapping[ContainerKey, PodNode]

    @classmethod
    def of(cls, snapshot: Snapshot) -> _Host:
        nodes = list(snapshot.containers.values())
        by_network: dict[NetnsKey, list[ContainerNode]] = {}
        for node in sorted(nodes, key=lambda each: not each.is_network_owner):
            if node.netns is not None:
                by_network.setdefault(node.netns, []).append(node)
        return cls(
            snapshot,
            {node.cgroup.path: node for node in nodes if node.cgroup is not None},
            by_network,
            {node.key: pod for pod in snapshot.pods for node in pod.containers},
        )

    @property
    def netns(self) -> NetnsKey | None:
        return self.snapshot.sample.host.netns

    def owner(self, path: str) -> ContainerNode | None:
        """Return the container that a cgroup is of, or is in: the innermost."""
        while path.strip("/"):
            node = self.by_cgroup.get(CgroupPath(path))
            if node is not None:
                return node
            path = path.rpartition("/")[0]
        return None

    def home(self, process: SeenProcess) -> ContainerNode | None:
        """Return the container that a process is in: by its cgroup, or by namespaces that no runtime knows."""
        owners = (self.owner(path) for path in process.cgroups)
        return next((node for node in owners if node is not None), None) or next(
            (
                node
                for node in self.snapshot.containers.values()
                if node.info.runtime == "none" and node.process is not None and self._is_beside(process, node.process)
            ),
            None,
        )

    def _is_beside(self, process: SeenProcess, first: ProcessSample) -> bool:
        """Whether a process shares the most telling namespace of a container's first one."""
        hosts = self.snapshot.sample.host.namespaces
        for kind in ("pid", "net", "user", "mnt"):
            own = getattr(first.namespaces, kind)
            if own is not None and own != getattr(hosts, kind):
                return bool(getattr(process.namespaces, kind) == own)
        return process.pid == first.pid

    def served(self, process: SeenProcess) -> ContainerNode | None:
        """Return the container that a process of the host works for: its command line has the container's id."""
        words = set(process.words)
        return next(
            (node for node in self.snapshot.containers.values() if _is_id(node.info.id) and node.info.id in words), None
        )

    def gone(self, name: str) -> Iterator[Gone]:
        """Return those that were removed lately, by their name or id, or how that begins; the last one first."""
        for each in reversed(self.snapshot.gone):
            info = each.container.info
            if name in {info.name, info.id} or (len(name) >= LEAST_PART and info.id.startswith(name)):
                yield each


def _is_id(text: str) -> bool:
    return len(text) >= 12 and _ID.fullmatch(text) is not None  # noqa: PLR2004  so many digits are shown of one


def _of(host: _Host, node: ContainerNode, why: str, process: SeenProcess | None = None) -> Answer:
    """Answer with a container."""
    pod = host.pods.get(node.key)
    return Answer(
        why,
        container=node.key,
        name=node.name,
        pod=pod.title if pod is not None and pod.kind is not PodKind.SINGLE else None,
        runtime=node.info.runtime,
        id=node.info.id,
        pid=process.pid if process else None,
        process=process.comm if process else None,
    )


def _of_pod(pod: PodNode, why: str) -> Answer:
    return Answer(why, pod=pod.title, pod_key=pod.key)


def _of_host(why: str, process: SeenProcess | None = None) -> Answer:
    return Answer(why, pid=process.pid if process else None, process=process.comm if process else None)


def _of_gone(gone: Gone, host: _Host, why: str) -> Answer:
    info = gone.container.info
    age_s = (host.snapshot.sample.monotonic_ns - gone.since_ns) / _NS_PER_S
    pod = gone.pod.title if gone.pod.kind is not PodKind.SINGLE else None
    return Answer(
        f"{why}; it was removed {to_age_text(age_s)} ago",
        container=gone.container.key,
        name=info.name,
        pod=pod,
        runtime=info.runtime,
        id=info.id,
    )


def _of_process(host: _Host, process: SeenProcess, who: str, does: str, rank: int) -> _Ranked:
    """Answer with where a process lives; of one of the host it is said in which cgroup."""
    node = host.home(process)
    if node is not None:
        return _Ranked(rank, _of(host, node, f"{who}{does}", process))
    where = f"in {process.cgroups[0]}" if process.cgroups and process.cgroups[0] != "/" else "in no cgroup of its own"
    of_host = f"{who} of the host, {where}{',' if does else ''}{does}"
    served = host.served(process)
    if served is not None:
        return _Ranked(rank, _of(host, served, f"{of_host}; it works for this container", process))
    return _Ranked(rank, _of_host(of_host, process))


def _pid_answers(question: Question, clues: Clues, host: _Host) -> Iterator[_Ranked]:
    number = question.number
    for process in clues.processes:
        of = f"thread {number} of " if process.thread == number else ""
        # Those that have it inside come after the one that has it here.
        rank = 0 if of or process.pid == number else 1
        inside = number if rank else process.ns_pids[-1] if len(process.ns_pids) > 1 else None
        does = "" if inside is None or of else f" is {inside} inside"
        yield _of_process(host, process, f"{of}process {process.pid}", does, rank)


def _port_answers(question: Question, clues: Clues, host: _Host) -> Iterator[_Ranked]:
    port = question.number or 0
    yield from _published(host, port, question.protocol, None)
    yield from _listening(host, clues.sockets)


def _published(host: _Host, port: int, protocol: str | None, address: str | None) -> Iterator[_Ranked]:
    """Answer with those that publish a port of the host."""
    for node in host.snapshot.containers.values():
        seen: dict[str, None] = {}
        for each in node.info.ports:
            is_there = address is None or (each.host_ip or "") in ANY_ADDRESS or each.host_ip == address
            if each.host_port == port and protocol in {None, each.protocol} and is_there:
                seen[f"{port}/{each.protocol} of the host as its port {each.container_port}"] = None
        if seen:
            yield _Ranked(0, _of(host, node, f"publishes {', '.join(seen)}"))


def _listening(host: _Host, sockets: Iterable[SeenSocket]) -> Iterator[_Ranked]:
    """Answer with who listens: an answer a process, with all that it listens at."""
    groups: dict[tuple[NetnsKey, SeenProcess | None], list[SeenSocket]] = {}
    for socket in sockets:
        groups.setdefault((socket.netns, socket.process), []).append(socket)
    for (netns, process), of_process in groups.items():
        at = " and ".join(dict.fromkeys(f"{each.protocol} {_written(each.local)}" for each in of_process))
        more = max(each.others for each in of_process)
        others = f", as do{'es' if more == 1 else ''} {more} more" if more else ""
        yield from _using(host, netns, process, f"listens at {at}", others)


def _using(
    host: _Host, netns: NetnsKey, process: SeenProcess | None, does: str, others: str = "", rank: int = 1
) -> Iterator[_Ranked]:
    """Answer with who does something with a socket of a namespace."""
    is_hosts = netns == host.netns
    residents = () if is_hosts else host.by_network.get(netns, ())
    network = "the host's network" if is_hosts else "its own network"
    if process is not None:
        node = host.home(process)
        if residents and node not in residents:
            network = f"the network of {residents[0].name}"
        # What is reached from outside comes first, then what is inside.
        rank += (0 if node else 1) if is_hosts else 2
        yield _of_process(host, process, f"process {process.pid}", f" {does} in {network}{others}", rank)
    elif is_hosts:
        yield _Ranked(rank + 1, _of_host(f"somebody {does} in the host's network"))
    else:
        for node in residents[:1]:
            yield _Ranked(rank + 2, _of(host, node, f"somebody {does} in {network}"))


def _written(end: Endpoint) -> str:
    return f"[{end.address}]:{end.port}" if ":" in end.address else f"{end.address}:{end.port}"


def _address_answers(question: Question, clues: Clues, host: _Host) -> Iterator[_Ranked]:
    has_port = question.number is not None
    if has_port:
        yield from _endpoint_answers(question, clues, host)
    if ip_address(question.text).is_loopback:
        if not has_port:
            yield _Ranked(0, _of_host("the loopback: of the host, and of each network namespace by itself"))
        return
    # With a port it is told where nothing of that port was found.
    rank = LOOSE if has_port else 0
    for seen in clues.addresses:
        at = f" at {seen.interface}" if seen.interface else ""
        if seen.netns == host.netns:
            yield _Ranked(rank, _of_host(f"the host has the address{at}"))
            continue
        for index, node in enumerate(host.by_network.get(seen.netns, ())):
            why = f"has the address{at}" if index == 0 else f"shares the network that has the address{at}"
            yield _Ranked(rank + min(index, 1), _of(host, node, why))


def _endpoint_answers(question: Question, clues: Clues, host: _Host) -> Iterator[_Ranked]:
    """Answer with who listens at an address and port, then with who holds connections with it, at either end."""
    at = Endpoint(question.text, question.number or 0)
    having = {seen.netns for seen in clues.addresses}
    if host.netns in having:
        yield from _published(host, at.port, question.protocol, at.address)
    yield from _listening(
        host,
        [each for each in clues.sockets if each.is_listening and (each.local == at or each.netns in having)],
    )
    ends: dict[tuple[NetnsKey, SeenProcess | None, bool], list[SeenSocket]] = {}
    for socket in clues.sockets:
        if not socket.is_listening:
            ends.setdefault((socket.netns, socket.process, socket.remote == at), []).append(socket)
    for (netns, process, is_far), sockets in ends.items():
        first = sockets[0]
        count = f"{len(sockets)} {first.protocol} connections" if len(sockets) > 1 else f"a {first.protocol} connection"
        other = first.local if is_far else first.remote
        more = ", among others" if len(sockets) > 1 else ""
        way = "to it from" if is_far else "at it with"
        yield from _using(host, netns, process, f"holds {count} {way} {_written(other)}{more}", rank=3 if is_far else 2)


def _interface_answers(question: Question, clues: Clues, host: _Host) -> Iterator[_Ranked]:
    del question
    for link in clues.links:
        numbered = link.name if link.ifindex is None else f"{link.name} (index {link.ifindex})"
        if link.netns != host.netns:
            for index, node in enumerate(host.by_network.get(link.netns, ())):
                why = f"its own network has {numbered}" if index == 0 else f"shares the network that has {numbered}"
                yield _Ranked(2 + min(index, 1), _of(host, node, why))
            continue
        yield from _hosts_link(link, numbered, host)


def _hosts_link(link: SeenLink, numbered: str, host: _Host) -> Iterator[_Ranked]:
    residents = host.by_network.get(link.peer, ()) if link.peer is not None else ()
    what = link.kind or "interface"
    for index, node in enumerate(residents):
        text = f"the other end of {numbered}, a {what} of the host, is in its network"
        yield _Ranked(min(index, 1), _of(host, node, text))
    if not residents:
        lost = ", whose other end is in a network namespace without a known process" if link.is_end else ""
        yield _Ranked(0, _of_host(f"{numbered} is {'an' if what[0] in 'aeiou' else 'a'} {what} of the host{lost}"))


def _cgroup_answers(question: Question, clues: Clues, host: _Host) -> Iterator[_Ranked]:
    if not clues.cgroups and question.number is None:
        # A file in a cgroup, or one that is gone.
        named = _of_cgroup(question.text, host, is_there=False)
        yield from [named] if named else []
    for path in clues.cgroups:
        yield _of_cgroup(path, host) or _Ranked(1, _of_host(f"{path} is a cgroup of the host"))


def _of_cgroup(path: str, host: _Host, *, is_there: bool = True) -> _Ranked | None:
    """Answer with whose cgroup it is; None if it is the host's, or nothing is known of it."""
    node = host.owner(path)
    if node is not None:
        is_own = node.cgroup is not None and node.cgroup.path == path
        return _Ranked(0, _of(host, node, f"its cgroup is {path}" if is_own else f"in its cgroup is {path}"))
    for pod in host.snapshot.pods:
        if pod.cgroup is not None and pod.cgroup.path == path:
            return _Ranked(0, _of_pod(pod, f"its cgroup is {path}"))
    return _claimed(path, host, is_there=is_there)


def _claimed(path: str, host: _Host, *, is_there: bool) -> _Ranked | None:
    """Answer with the container that a path is named after, be it stopped, removed, or never seen here."""
    claim = next(iter(claims(path)[-1:]), None)
    if claim is None:
        return None
    known = next((each for each in host.snapshot.containers.values() if each.info.id == claim.id), None)
    if known is not None:
        return _Ranked(2, _of(host, known, f"{path} is named after it"))
    gone = next(host.gone(claim.id), None)
    if gone is not None:
        return _Ranked(0, _of_gone(gone, host, f"{path} was its cgroup"))
    why = f"{path} is named after it; it is not here any more"
    return None if is_there else _Ranked(LOOSE, Answer(why, runtime=claim.runtime, id=claim.id))


def _path_answers(question: Question, clues: Clues, host: _Host) -> Iterator[_Ranked]:
    path = question.text
    if clues.namespace is not None:
        yield from _inode_answers(clues.namespace, NAMESPACE_KINDS, host)
    firsts = {each.process.pid: each for each in host.snapshot.containers.values() if each.process}
    for mount in clues.mounts:
        node = firsts.get(mount.pid)
        if node is not None:
            yield _Ranked(2 if mount.is_shared else 0, _of(host, node, f"the path is {mount.part}"))
    yield from _volume_answers(path, host)
    yield from _ids_in(path, host)


def _volume_answers(path: str, host: _Host) -> Iterator[_Ranked]:
    """Answer with those that have a path mounted; the nearest to it first."""
    volume = _VOLUME.search(path)
    mounted = []
    for node in host.snapshot.containers.values():
        for each in node.info.volumes:
            source = each.source.rstrip("/")
            is_around = source.startswith("/") and (path == source or path.startswith(f"{source}/"))
            if is_around or (volume is not None and each.source == volume[1]):
                mounted.append((len(source) if is_around else LONGEST, node, each))
    nearest = max((length for length, _, _ in mounted), default=0)
    for length, node, each in mounted:
        why = f"has {each.source} mounted at {each.target}{', to read' if each.is_read_only else ''}"
        yield _Ranked(1 if length == nearest else 2, _of(host, node, why))


def _ids_in(path: str, host: _Host) -> Iterator[_Ranked]:
    """Answer with what the ids in a path are of: runtimes name directories after containers, kubelet after pods."""
    for found in dict.fromkeys(_ID.findall(path)):
        for node in host.snapshot.containers.values():
            if node.info.id.startswith(found):
                yield _Ranked(1, _of(host, node, "its id is in the path"))
    uids = {each.replace("_", "-") for each in _UID.findall(path)}
    for pod in host.snapshot.pods:
        if pod.uid in uids:
            yield _Ranked(1, _of_pod(pod, "its uid is in the path"))


def _namespace_answers(question: Question, clues: Clues, host: _Host) -> Iterator[_Ranked]:
    del clues
    yield from _inode_answers(question.number or 0, (question.text,), host)


def _inode_answers(inode: int, kinds: Iterable[str], host: _Host) -> Iterator[_Ranked]:
    hosts = host.snapshot.sample.host.namespaces
    for kind in kinds:
        if getattr(hosts, kind) == inode:
            yield _Ranked(0, _of_host(f"{kind}:[{inode}] is the host's"))
            continue
        for node in host.snapshot.containers.values():
            is_its = node.process is not None and getattr(node.process.namespaces, kind) == inode
            if is_its or (kind == "net" and identity_of(node, kind) == inode):
                yield _Ranked(0, _of(host, node, f"lives in {kind}:[{inode}]"))


def _oom_answers(question: Question, clues: Clues, host: _Host) -> Iterator[_Ranked]:
    what = question.command or "a process"
    killed = what if question.number is None else f"{what} (pid {question.number})"
    limit = _limit_text(question, host)
    if question.text:
        found = _of_cgroup(question.text, host, is_there=False)
        answer = found.answer if found else None
        why = f"{killed} was killed for memory in {question.text}{limit}"
        if answer is None:
            yield _Ranked(1, _of_host(f"{why}: no container's cgroup"))
            return
        yield _Ranked(0, replace(answer, why=why if host.owner(question.text) else f"{why}; {answer.why}"))
        return
    for process in clues.processes:
        # Mostly it has ended by now, and its pid is nobody's, or another's.
        if process.comm == question.command and process.pid == question.number:
            yield _of_process(host, process, f"process {process.pid}", " is still there", 0)
    hit = [node for node in host.snapshot.containers.values() if node.oom_kills]
    for node in sorted(hit, key=lambda each: -(each.oom_seen_ns or 0)):
        text = f"{node.oom_kills} of its processes {'was' if node.oom_kills == 1 else 'were'} killed for memory"
        yield _Ranked(2, _of(host, node, f"{text}; the line does not say in which cgroup {killed} was{limit}"))


def _limit_text(question: Question, host: _Host) -> str:
    """Say whose limit it was."""
    if question.limit == THE_HOST:
        return ", since the host ran out of memory"
    if not question.limit or question.limit == question.text:
        return ", by its own limit" if question.limit else ""
    owner = host.owner(question.limit)
    of = f" of {owner.name}" if owner is not None and owner is not host.owner(question.text) else ""
    return f", by the limit{of} at {question.limit}"


def _container_answers(question: Question, clues: Clues, host: _Host) -> Iterator[_Ranked]:
    """Answer by name, pod or id; less and less exactly."""
    del clues
    text = _SCHEME.sub("", question.text, count=1)
    runtime, colon, rest = text.partition(":")
    folded = text.casefold()
    for pod in host.snapshot.pods:
        for node in pod.containers:
            info = node.info
            is_named = colon and runtime == info.runtime and rest in {info.name, info.id}
            if is_named or text in {
                info.name,
                info.id,
                node.key,
                f"{pod.title}/{info.name}",
                f"{pod.name}/{info.name}",
            }:
                yield _Ranked(0, _of(host, node, f"{text} is its {'id' if info.id in {text, rest} else 'name'}"))
            elif pod.kind not in _NAMED_AFTER_ONE and text in {pod.title, pod.name, pod.uid, pod.key}:
                yield _Ranked(1, _of(host, node, f"it is in the pod {pod.title}"))
            elif (len(text) >= LEAST_PART and info.id.startswith(text)) or (
                colon and runtime == info.runtime and len(rest) >= LEAST_PART and info.id.startswith(rest)
            ):
                yield _Ranked(NEAR, _of(host, node, "so its id begins"))
            elif len(text) >= LEAST_PART and folded in info.name.casefold():
                yield _Ranked(LOOSE, _of(host, node, f"its name has {text} in it"))
    for gone in host.gone(text):
        yield _Ranked(
            NEAR + 1, _of_gone(gone, host, f"{text} was its {'name' if gone.container.name == text else 'id'}")
        )


_ANSWERS: Mapping[Kind, Callable[[Question, Clues, _Host], Iterator[_Ranked]]] = {
    Kind.PID: _pid_answers,
    Kind.PORT: _port_answers,
    Kind.ADDRESS: _address_answers,
    Kind.INTERFACE: _interface_answers,
    Kind.CGROUP: _cgroup_answers,
    Kind.PATH: _path_answers,
    Kind.NAMESPACE: _namespace_answers,
    Kind.OOM: _oom_answers,
    Kind.CONTAINER: _container_answers,
}


def _looked(kind: Kind, host: _Host, where: Where) -> str:
    count = len(host.snapshot.containers)
    containers = f"{count} container{'' if count == 1 else 's'}"
    networks = f"{len(where.networks)} network{'' if len(where.networks) == 1 else 's'}"
    return {
        Kind.PID: "the processes of the host, and inside containers",
        Kind.PORT: f"the sockets of {networks}, and published ports",
        Kind.ADDRESS: f"the addresses and sockets of {networks}",
        Kind.INTERFACE: f"the interfaces of {networks}",
        Kind.CGROUP: "the cgroups of the host",
        Kind.PATH: f"the mounts of {containers}",
        Kind.NAMESPACE: f"the namespaces of the host and of {containers}",
        Kind.OOM: f"the cgroups and counters of {containers}",
        Kind.CONTAINER: f"the names and ids of {containers}",
    }[kind]


def nothing_text(answers: Answers) -> str:
    """Say in one line that nothing was found, and where was looked."""
    looked = "; ".join(answers.looked)
    query = cut(printable(" ".join(answers.query[:LONGEST].split())), SHOWN_QUERY)
    if answers.looked == ("nowhere",):
        return f"{query}: {EXPECTED}"
    return f"{query}: nothing found; looked at {looked}"


def who_text(answer: Answer) -> str:
    """Name who an answer is: foreign text made safe, in one line."""
    if answer.container is None and answer.id is None:
        return "the host" if answer.pod is None else f"pod {printable(answer.pod)}"
    name = answer.name if answer.name is not None else "a container"
    pod = f", pod {answer.pod}" if answer.pod is not None else ""
    short = answer.id[:12] if answer.id and _is_id(answer.id) else answer.id
    return printable(f"{name} ({answer.runtime or 'runtime unknown'} {short}{pod})")


def why_text(answer: Answer) -> str:
    """Say how it was found: foreign text made safe, in one line."""
    process = f" ({answer.process})" if answer.process is not None and answer.pid is not None else ""
    return printable(answer.why.replace(f"process {answer.pid}", f"process {answer.pid}{process}", 1))


def to_text(answers: Answers) -> str:
    """Write two lines an answer: who it is, and how it was found."""
    return "".join(f"{who_text(answer)}\n  {why_text(answer)}\n" for answer in answers.answers)


def to_object(answers: Answers) -> dict[str, Any]:
    """Build what `to_json` writes."""
    return {
        "version": VERSION,
        "query": answers.query[:LONGEST],
        "kind": answers.kind,
        "answers": [
            {
                "container": answer.container,
                "name": answer.name,
                "pod": answer.pod,
                "runtime": answer.runtime,
                "id": answer.id,
                "pid": answer.pid,
                "process": answer.process,
                "why": answer.why,
            }
            for answer in answers.answers
        ],
    }


def to_json(answers: Answers) -> str:
    """Write one object; its fields keep their meaning within a version."""
    return json.dumps(to_object(answers), indent=1)
