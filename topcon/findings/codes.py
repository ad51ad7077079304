"""All codes of findings: how bad each can be, when it holds, and what it means. A table."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from topcon.model.snapshot import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Mapping

    from topcon.model.sample import CgroupPath


class About(NamedTuple):
    """What is said of a code wherever it is found."""

    severities: tuple[Severity, ...]
    when: str
    """When it holds, with the thresholds as they are if nobody changes them."""
    means: str
    """What it comes to, in a sentence."""
    advice: str
    """What can be done, where there is nothing better to say."""
    evidence: str = ""
    """What is told with it, as far as it is known; empty where it says all there is."""


_INFO, _WARNING, _CRITICAL = (Severity.INFO,), (Severity.WARNING,), (Severity.CRITICAL,)
_EITHER = (Severity.WARNING, Severity.CRITICAL)

ABOUT: Mapping[str, About] = {
    "cpu-starved": About(
        _EITHER,
        "some of its tasks waited for a CPU for more than 20% of the time (warning), all of them did (critical)",
        "It has work to do and no CPU to do it on, so everything in it takes longer.",
        "raise the limit that holds it back; where none does, free CPUs of the host, or raise its weight",
        "a limit, its own or one above it, that holds it back; else who uses the CPUs of a "
        "busy host, or that the host is idle",
    ),
    "cpu-throttled": About(
        _EITHER,
        "held back by a CPU limit, its own or one above it, in more than 10% of the periods in which it wanted to run "
        "(warning), in more than 50% (critical); at most a warning while it uses less than half of the limit, and "
        "nothing below a tenth of it",
        "It stands still for the rest of a period once it has used what the limit gives it, however idle the host is.",
        "raise its CPU limit, or give it less to do",
        "the CPUs that are used, and the limit; of a limit above it, who uses the most of it",
    ),
    "dead": About(
        _WARNING,
        "its runtime calls it dead",
        "Its runtime wanted to remove it and could not: most often something still holds one of its mounts.",
        "see in the log of its runtime what still holds its files, then remove it again",
    ),
    "dropped-packets": About(
        _WARNING,
        "more than 1% of its packets, and more than ten a second, were dropped",
        "What is dropped is sent again at best, after a wait; at worst it is lost.",
        "find out whether it reads its sockets too slowly, or is sent more than the interface takes",
        "how many of how many, in or out, on which interface",
    ),
    "exit-error": About(
        (Severity.INFO, Severity.WARNING),
        "it ended with an error code in the last 10 minutes and nobody will start it again (warning); killed by "
        "SIGKILL, which people and runtimes send too (info); ended by SIGTERM or SIGINT is no error",
        "What it was there for is not done any more.",
        "read the end of its log, then start it again",
        "what the code stands for, how long it ran, its restart policy",
    ),
    "frozen": About(
        _INFO,
        "paused for more than 10 minutes",
        "It does nothing, but keeps its memory, its locks and its connections.",
        "let it go on, or stop it",
        "the memory that it keeps",
    ),
    "io-stalled": About(
        _EITHER,
        "some of its tasks waited for a disk for more than 20% of the time (warning), all of them did (critical)",
        "It waits for a disk more than is good: the disk is slow, has too much to do, or there is a limit on it.",
        "find who else uses the disk",
        "who reads and writes the most on the same disks",
    ),
    "memory-high": About(
        _WARNING,
        "above memory.high, its own or one above it, while some of its tasks waited for memory for more than 10% of "
        "the time",
        "The kernel slows it down on purpose until it gives memory back; it is not killed for that.",
        "raise memory.high, or find what grows in it",
        "how often since the last sample, and the working set",
    ),
    "memory-near-limit": About(
        _EITHER,
        "its working set is above 90% of its limit, or of one above it (warning), above 97% (critical); at most a "
        "warning while what is above 90% is page cache",
        "At the limit the kernel takes back what it can, and then kills.",
        "raise its memory limit before it is killed, or find what grows in it",
        "bytes of bytes, of what kind they are, and when the limit is reached if it grows on; the limit above "
        "it that leaves less room, and who uses the most of that",
    ),
    "memory-stalled": About(
        _EITHER,
        "some of its tasks waited for memory for more than 20% of the time (warning), all of them did (critical)",
        "It spends its time getting back what has just been taken away: it has less memory than it works with.",
        "raise its memory limit, or free memory of the host",
        "its limit, or the one above it that binds, or who uses the memory of a host that is short of it",
    ),
    "no-memory-limit": About(
        _INFO,
        "a workload without one, on a host whose tasks waited for memory for more than 20% of the time",
        "Nothing keeps it from taking the memory that all others need.",
        "give it a memory limit",
        "its working set, and how short of memory the host is",
    ),
    "odd-one-out": About(
        _INFO,
        "of at least three of one image and command, service or workload, it uses more than three times as much CPU or "
        "memory as half of the others, which are not idle; or it is restarted, or throttled, and they are not",
        "Those that do the same should use the same: it may have more to do, or something is wrong in it.",
        "compare what it is asked to do with what the others are, and its log with theirs",
        "what it uses, and what half of the others use at most",
    ),
    "oom-killed": About(
        _EITHER,
        "an OOM kill since the last sample (critical), or in the last 10 minutes (warning)",
        "There was nothing left below a limit of memory, so the kernel ended a process.",
        "raise its memory limit, or find what grows in it",
        "kills since its start, its limit, its working set",
    ),
    "pids-near-limit": About(
        _WARNING,
        "it has more than 90% of the tasks that it, or a cgroup above it, may have",
        "At the limit no process and no thread can be started in it, also not by who wants to help.",
        "find what forks in it, or raise its limit of pids",
        "tasks of tasks; of a limit above it, who has the most of them",
    ),
    "restart-loop": About(
        _CRITICAL,
        "three starts in five minutes, seen or told by its runtime",
        "Something ends it soon after its start, and it is started again and again.",
        "read the end of its log: something ends it soon after its start",
        "restarts since it was made, the last exit, its restart policy",
    ),
    "runtime-silent": About(
        _CRITICAL,
        "a runtime does not answer in 2 s while its containers run",
        "What it manages goes on running, but cannot be changed, and its names and states may be old.",
        "see how the service of the runtime is; its containers go on running",
        "its socket, and how many containers of it run",
    ),
    "shares-host": About(
        _INFO,
        "it lives in the host's pid, ipc, mnt or net namespace",
        "It sees, and may change, more of the host than a container should.",
        "give it its own, unless it is meant to act on the host",
    ),
    "swapping": About(
        _WARNING,
        "it is swapped out while some of its tasks waited for memory for more than 10% of the time",
        "What it uses next has to be read back from the disk first.",
        "give it more memory, or find what grows in it",
        "how much, since the last sample and in all",
    ),
    "unhealthy": About(
        _CRITICAL,
        "its health check says so",
        "It runs, but does not do what it is there for, as far as its own check can tell.",
        "run the check in it by hand",
    ),
    "unknown-to-runtime": About(
        _WARNING,
        "its runtime answers and does not list it",
        "Nobody will stop it, restart it or clean up behind it.",
        "restart its runtime, or end the container's processes by hand",
        "its first process",
    ),
}

CODES: Mapping[str, tuple[Severity, ...]] = {code: about.severities for code, about in ABOUT.items()}
"""All codes of findings, and how bad each can be."""


def found(
    code: str,
    severity: Severity,
    target: str,
    summary: str,
    *,
    advice: str | None = None,
    evidence: str = "",
    since_ns: int | None = None,
    limited_by: CgroupPath | None = None,
) -> Finding:
    """Make a finding, with what its code means, and what can be done."""
    about = ABOUT[code]
    return Finding(code, severity, target, summary, advice or about.advice, evidence, about.means, since_ns, limited_by)
