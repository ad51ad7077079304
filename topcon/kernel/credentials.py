"""What a process may do, as ``/proc`` shows it from outside (proc_pid_status(5), user_namespaces(7))."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from topcon.model.security import IdRange

if TYPE_CHECKING:
    from collections.abc import Mapping


class Worn(NamedTuple):
    """Users, groups and capabilities; the numbers are those of the reader's namespace."""

    uid: int = 0
    gid: int = 0
    groups: tuple[int, ...] = ()
    inheritable: int = 0
    """Capabilities, a bit each, as all that follow."""
    permitted: int = 0
    effective: int = 0
    bounding: int = 0
    ambient: int = 0
    has_no_new_privs: bool | None = None
    """Whether what it runs can never have more rights than it; None before Linux 4.10."""
    seccomp: int | None = None
    """0 for no filter of system calls, 1 for next to none allowed, 2 for a filter; None where the kernel has none."""


def parse_worn(status: bytes) -> Worn:
    """Parse ``/proc/PID/status``; what does not stand there, or is no number, is none."""
    fields = {name: rest.split() for name, _, rest in (line.partition(b":") for line in status.splitlines())}

    def numbers(name: bytes, base: int = 10) -> list[int]:
        try:
            return [int(word, base) for word in fields.get(name, ())]
        except ValueError:
            return []

    def first(name: bytes, base: int = 10) -> int | None:
        return next(iter(numbers(name, base)), None)

    # Real, effective, saved and of the file system: the second is what it may do.
    uids, gids = numbers(b"Uid"), numbers(b"Gid")
    no_new_privs = first(b"NoNewPrivs")
    return Worn(
        uid=uids[1] if len(uids) > 1 else 0,
        gid=gids[1] if len(gids) > 1 else 0,
        groups=tuple(numbers(b"Groups")),
        inheritable=first(b"CapInh", 16) or 0,
        permitted=first(b"CapPrm", 16) or 0,
        effective=first(b"CapEff", 16) or 0,
        bounding=first(b"CapBnd", 16) or 0,
        ambient=first(b"CapAmb", 16) or 0,
        has_no_new_privs=None if no_new_privs is None else no_new_privs > 0,
        seccomp=first(b"Seccomp"),
    )


def parse_environment(environ: bytes) -> Mapping[bytes, bytes]:
    """Parse ``/proc/PID/environ``."""
    pairs = (entry.partition(b"=") for entry in environ.split(b"\0"))
    return {name: value for name, equals, value in pairs if name and equals}


def parse_id_map(text: bytes) -> tuple[IdRange, ...]:
    """Parse ``/proc/PID/uid_map`` or ``gid_map``; what is no line of three numbers is passed over."""
    ranges = []
    for line in text.splitlines():
        words = line.split()
        if len(words) == 3 and all(word.isdigit() for word in words):  # noqa: PLR2004  inside, outside, how many
            ranges.append(IdRange(*map(int, words)))
    return tuple(ranges)


def to_inside(outside: int, id_map: tuple[IdRange, ...]) -> int:
    """Return what a user or group is called in a namespace; itself where its map does not tell."""
    return next((each.inside + outside - each.outside for each in id_map if each.has_outside(outside)), outside)
