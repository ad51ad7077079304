"""What a text can mean that a person has of a container: a pid, a port, an address, a path, a line of a log."""

from __future__ import annotations

import re
from dataclasses import replace
from ipaddress import IPv6Address, ip_address
from posixpath import normpath
from typing import TYPE_CHECKING

from topcon.model.sample import NAMESPACE_KINDS
from topcon.model.who import THE_HOST, Kind, Question

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

EXPECTED = "expected a pid, :port, address, interface, cgroup, path, line of dmesg, name or id"
ANY_ADDRESS = frozenset({"", "0.0.0.0", "::"})  # noqa: S104  nothing is bound here
"""How it is written that something is bound to all addresses."""
LONGEST = 4096
"""Characters of what is asked; a path is not longer."""
LONGEST_LOG = 1 << 20
"""Characters of what may be the kernel's log."""
MOST_KILLS = 20
"""Cgroups in a log that are asked for."""
LARGEST_PID = 1 << 22
LARGEST_PORT = 65535
LARGEST_ID = (1 << 64) - 1
LONGEST_INTERFACE = 15

_CGROUP_ROOT = "/sys/fs/cgroup/"
_TASK = re.compile(r"(?P<path>/.*?),task=(?P<comm>.{0,16}?),pid=(?P<pid>[0-9]{1,10})\b")
_GLOBAL = re.compile(r",global_oom,|\bOut of memory: Kill|constraint=CONSTRAINT_NONE\b")
_KILLED = re.compile(r"\bKill(?:ed)? process (?P<pid>[0-9]{1,10}),? \((?P<comm>[^\n]{1,16})\)(?=[\s,]|$)")
_OF_OLD = re.compile(r"\bTask in (?P<path>/\S*) killed as a result of limit of (?P<limit>/\S*)")
_INVOKED = re.compile(r"(?P<comm>[^\n]{1,16}?) invoked oom-killer:")

_NUMBER = re.compile(r"[0-9]{1,20}")
_NAMESPACE = re.compile(rf"({'|'.join(NAMESPACE_KINDS)}):\[([0-9]{{1,20}})\]")
_NAMED = re.compile(r"(?P<word>[a-z-]{2,9})(?:[:/=]|\s+)\s*(?P<rest>\S.*)")
_PORT = re.compile(r"[*]?:(?P<port>[0-9]{1,5})(?:/(?P<protocol>tcp|udp))?")
_PORT_FIRST = re.compile(r"(?P<port>[0-9]{1,5})/(?P<protocol>tcp|udp)")
_ENDPOINT = re.compile(
    r"\[(?P<v6>[0-9A-Fa-f:.%\w]+)\](?::(?P<port6>[0-9]{1,5}))?|(?P<v4>[0-9.]+):(?P<port4>[0-9]{1,5})"
)
_INDEX = re.compile(r"if([0-9]{1,9})")
_LINK = re.compile(r"(?:[0-9]+: )?(?P<name>[^\s/@:]{1,15})@(?:if(?P<peer>[0-9]{1,9})|[^\s:]+):?")
_PROC = re.compile(r"/proc/(?P<pid>[0-9]{1,10})(?:/.*)?")
_UNIT = re.compile(r"[^/]+\.(?:scope|service|slice)")


def questions(text: str) -> tuple[Question, ...]:
    """Return what a text can mean, what is most likely first; empty if it can be nothing."""
    kills = _of_the_log(text[:LONGEST_LOG])
    if kills:
        return kills
    text = text.strip() if len(text) <= 2 * LONGEST else ""
    if not text or len(text) > LONGEST or not all(map(str.isprintable, text)):
        return ()
    return next((found for read in _READINGS if (found := read(text))), _by_name(text))


def _of_the_log(text: str) -> tuple[Question, ...]:
    """Read the kernel's lines about processes that it killed for memory, the last cgroup first."""
    tasks: dict[str, Question] = {}
    for line in reversed(text.split("\n")):
        task = _task(line[: 2 * LONGEST])
        if task is not None:
            tasks.setdefault(task.text, task)
    if tasks:
        return tuple(tasks.values())[:MOST_KILLS]
    killed = _killed(text)
    return (killed,) if killed else ()


def _task(line: str) -> Question | None:
    """Read the line that names the cgroup of the task, and the one whose limit it was (Linux 5.0 and later)."""
    before, _, after = line.partition("task_memcg=")
    found = _TASK.match(after)
    if found is None:
        return None
    limit = before.partition("oom_memcg=")[2].rstrip(",")
    return Question(
        Kind.OOM,
        text=found["path"],
        number=int(found["pid"]),
        command=found["comm"],
        limit=limit or (THE_HOST if _GLOBAL.search(before) else ""),
    )


def _killed(text: str) -> Question | None:
    """Read the other lines, and those of older kernels, each by itself or all of them."""
    killed, old, invoked = _KILLED.search(text), _OF_OLD.search(text), _INVOKED.search(text)
    told = killed or invoked
    if told is None and old is None:
        return None
    return Question(
        Kind.OOM,
        text=old["path"] if old else "",
        number=int(killed["pid"]) if killed else None,
        command=told["comm"].rpartition("] ")[2] if told else "",
        limit=old["limit"] if old else THE_HOST if _GLOBAL.search(text) else "",
    )


def _namespace(text: str) -> tuple[Question, ...]:
    found = _NAMESPACE.fullmatch(text)
    return (Question(Kind.NAMESPACE, text=found[1], number=int(found[2])),) if found else ()


def _named(text: str) -> tuple[Question, ...]:
    """Read a text that says itself what it is: ``pid:12``, ``tcp/80``, ``cgroup 4711``."""
    found = _NAMED.fullmatch(text)
    if found is None:
        return ()
    read = _WORDS.get(found["word"])
    return read(found["rest"].rstrip()) if read else ()


def _pid(text: str) -> tuple[Question, ...]:
    number = int(text) if _NUMBER.fullmatch(text) else 0
    return (Question(Kind.PID, number=number),) if 0 < number <= LARGEST_PID else ()


def _cgroup_id(text: str) -> tuple[Question, ...]:
    number = int(text)
    return (Question(Kind.CGROUP, number=number),) if 0 < number <= LARGEST_ID else ()


def _of_protocol(text: str, protocol: str | None) -> tuple[Question, ...]:
    """Read a port, or an address with one."""
    at = _address(text) or _port(f":{text}" if _NUMBER.fullmatch(text) else text)
    return tuple(replace(each, protocol=protocol or each.protocol) for each in at)


def _cgroup(text: str) -> tuple[Question, ...]:
    if _NUMBER.fullmatch(text):
        return _cgroup_id(text)
    if text.startswith("/"):
        return tuple(each for each in _path(text) if each.kind is not Kind.PATH)
    return (Question(Kind.CGROUP, text=text),)


def _interface(text: str) -> tuple[Question, ...]:
    number = int(text) if _NUMBER.fullmatch(text) and len(text) < LONGEST_INTERFACE else None
    return _index(text) or (Question(Kind.INTERFACE, text=text, number=number),)


def _of_container(text: str) -> tuple[Question, ...]:
    return (Question(Kind.CONTAINER, text=text),)


def _port(text: str) -> tuple[Question, ...]:
    found = _PORT.fullmatch(text) or _PORT_FIRST.fullmatch(text)
    if found is None or not 0 < int(found["port"]) <= LARGEST_PORT:
        return ()
    return (Question(Kind.PORT, number=int(found["port"]), protocol=found["protocol"]),)


def _address(text: str) -> tuple[Question, ...]:
    text, _, protocol = text.partition("/")
    if protocol.isdigit():
        # The length of a prefix, as ip address has it.
        protocol = ""
    if protocol not in {"", "tcp", "udp"}:
        return ()
    text = text.replace("localhost", "127.0.0.1", 1) if text.startswith("localhost") else text
    found = _ENDPOINT.fullmatch(text)
    port = int(found["port6"] or found["port4"] or 0) if found else 0
    try:
        address = ip_address(((found["v6"] or found["v4"]) if found else text).partition("%")[0])
    except ValueError:
        return ()
    if isinstance(address, IPv6Address):
        address = address.ipv4_mapped or address
    if port > LARGEST_PORT:
        return ()
    if port and str(address) in ANY_ADDRESS:
        return (Question(Kind.PORT, number=port, protocol=protocol or None),)
    return (Question(Kind.ADDRESS, text=str(address), number=port or None, protocol=protocol or None),)


def _index(text: str) -> tuple[Question, ...]:
    found, link = _INDEX.fullmatch(text), _LINK.fullmatch(text)
    if found:
        return (Question(Kind.INTERFACE, text=text, number=int(found[1])),)
    return (Question(Kind.INTERFACE, text=link["name"], peer=int(link["peer"] or 0) or None),) if link else ()


def _number(text: str) -> tuple[Question, ...]:
    if not _NUMBER.fullmatch(text):
        return ()
    return (*_pid(text), *_cgroup_id(text), Question(Kind.CONTAINER, text=text))


def _path(text: str) -> tuple[Question, ...]:
    if not text.startswith("/"):
        return ()
    process = _PROC.fullmatch(text)
    if process:
        return _pid(process["pid"])
    path = normpath(text.rstrip(":"))
    # Two slashes at the front stay two.
    path = "/" + path.lstrip("/")
    if path.startswith(_CGROUP_ROOT):
        whole = path.removeprefix(_CGROUP_ROOT.rstrip("/"))
        _, _, inner = whole[1:].partition("/")
        # Below a hierarchy of version 1, or of version 2's own.
        return tuple(Question(Kind.CGROUP, text=each) for each in dict.fromkeys((whole, f"/{inner}")))
    return (Question(Kind.CGROUP, text=path), Question(Kind.PATH, text=path))


def _unit(text: str) -> tuple[Question, ...]:
    if not _UNIT.fullmatch(text):
        return ()
    return (Question(Kind.CGROUP, text=text), Question(Kind.CONTAINER, text=text))


def _by_name(text: str) -> tuple[Question, ...]:
    named = Question(Kind.CONTAINER, text=text)
    is_short = len(text) <= LONGEST_INTERFACE and not any(each.isspace() or each == "/" for each in text)
    return (named, Question(Kind.INTERFACE, text=text)) if is_short else (named,)


_WORDS: Mapping[str, Callable[[str], tuple[Question, ...]]] = {
    "pid": _pid,
    "tcp": lambda text: _of_protocol(text, "tcp"),
    "udp": lambda text: _of_protocol(text, "udp"),
    "port": lambda text: _of_protocol(text, None),
    "address": _address,
    "if": _interface,
    "cgroup": _cgroup,
    "name": _of_container,
    "id": _of_container,
}
"""What a text can say of itself in its first word, and how the rest is then read."""
_READINGS: tuple[Callable[[str], tuple[Question, ...]], ...] = (
    _namespace,
    _named,
    _port,
    _number,
    _address,
    _index,
    _path,
    _unit,
)
"""What a text can be, in the order in which it is tried; what is none of it is a name."""
