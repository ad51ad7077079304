"""What is too dear to read every tick, read on a thread of its own that uses little of a CPU."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from topcon.errors import ParseError
from topcon.kernel.disk import DUTY, Disks
from topcon.kernel.protocols import Protocols
from topcon.kernel.tasks import TaskCounts
from topcon.model.sample import SourceSample, Survey

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from topcon.kernel.target import Target
    from topcon.model.sample import CgroupPath, FilesystemStat, NetnsKey

NAME = "survey"
LEAST_REST_S = 5.0
RESTS_PER_ROUND = 50
"""A rest is so many times as long as the CPU time of the round before: 2% of a CPU."""
WHOLE_SHARE = DUTY + 1 / RESTS_PER_ROUND
"""What it uses of a core at the most, with the walks through layers."""
BREATH_S = 0.001


@dataclass(frozen=True, slots=True)
class Finished:
    """What the last round has brought, as one value."""

    survey: Survey
    source: SourceSample
    malformed: ParseError | None
    """The first that was not understood in that round."""


class _Stopped(BaseException):
    """Nobody waits for the round any more."""


class SurveyThread:
    """Makes a round, rests, and makes the next."""

    def __init__(
        self,
        proc_root: str,
        groups: frozenset[str],
        host_root: str = "",
        *,
        pids_of: Callable[[CgroupPath], list[int]],
        share: float = WHOLE_SHARE,
    ) -> None:
        """Read the host whose ``/proc`` and root directory these are, and what is asked for by ``groups``.

        ``pids_of`` says which processes are in a cgroup itself. Of a core, it uses ``share`` at the most. Nothing is
        read before `aim`.
        """
        self._slowness = max(WHOLE_SHARE / share, 1.0)
        self._tasks = TaskCounts(proc_root, pids_of, self._breathe)
        self._disks = Disks(proc_root, host_root, self._breathe, duty=DUTY / self._slowness)
        self._protocols = Protocols(proc_root, groups, self._breathe)
        self._targets: tuple[Target, ...] = ()
        self._finished: Finished | None = None
        self._bug: BaseException | None = None
        self._stopped = threading.Event()
        # A daemon thread: a disk that hangs must not keep topcon from ending.
        self._thread = threading.Thread(target=self._run, name="topcon-survey", daemon=True)

    def aim(self, targets: tuple[Target, ...]) -> None:
        """Say what the next round is to look at; the first one begins now."""
        self._targets = targets
        if self._thread.ident is None and not self._stopped.is_set():
            self._thread.start()

    def stop(self) -> None:
        """Make no more rounds, and leave the one under way, without waiting for that."""
        self._stopped.set()

    @property
    def newest(self) -> Finished | None:
        """What the last round has brought, None before that; an error of our own on the thread is raised here."""
        if self._bug is not None:
            raise self._bug
        return self._finished

    def _run(self) -> None:
        try:
            while not self._stopped.is_set():
                self._stopped.wait(self._round(self._targets))
        except _Stopped:
            pass
        except BaseException as bug:  # noqa: BLE001  handed to the sampler, which ends topcon with it
            self._bug = bug
        finally:
            self._disks.close()

    def _round(self, targets: tuple[Target, ...]) -> float:
        """Read everything once; return how long to rest after that.

        The rest is counted from the time on a CPU, since that is what is to be spared: on a busy host most of a round
        is waiting for others. Walks through layers have a duty of their own.
        """
        begun_s, begun_cpu_s = time.monotonic(), time.thread_time()
        malformed: list[ParseError] = []
        tasks, failures = self._tasks.read(targets, begun_s)
        malformed += failures
        protocols, failures = self._protocols.read(_networks(targets))
        malformed += failures
        filesystems: Mapping[str, FilesystemStat] = self._finished.survey.filesystems if self._finished else {}
        try:
            filesystems = self._disks.filesystems()
        except ParseError as error:
            malformed.append(error)
        cpu_s = time.thread_time() - begun_cpu_s
        layers, failures = self._disks.layers(targets)
        malformed += failures
        monotonic_ns = time.monotonic_ns()
        survey = Survey(
            monotonic_ns=monotonic_ns,
            duration_s=monotonic_ns / 1e9 - begun_s,
            tasks=tasks,
            layers=layers,
            filesystems=filesystems,
            protocols=protocols,
        )
        before = self._finished.source if self._finished else SourceSample(NAME, 0.0, 0, None)
        source = replace(
            before,
            duration_s=survey.duration_s,
            errors=before.errors + len(malformed),
            succeeded_ns=before.succeeded_ns if malformed else time.time_ns(),
        )
        self._finished = Finished(survey, source, malformed[0] if malformed else None)
        return max(LEAST_REST_S, cpu_s * RESTS_PER_ROUND * self._slowness)

    def _breathe(self) -> None:
        """Let others have their turn, in the midst of much to do."""
        if self._stopped.wait(BREATH_S):
            raise _Stopped


def _networks(targets: tuple[Target, ...]) -> dict[NetnsKey, int]:
    """Return a process in each network namespace."""
    pids: dict[NetnsKey, int] = {}
    for target in targets:
        if target.netns is not None and target.pid is not None:
            pids.setdefault(target.netns, target.pid)
    return pids
