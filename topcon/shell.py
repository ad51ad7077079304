"""Opens a shell in a container: through its runtime, or else through the kernel.

Like all that can change the host it is logged, when it is opened and when it has ended, and does not exist with
``--read-only``.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from topcon.actions import Way
from topcon.errors import ActionFailed
from topcon.model.sample import State
from topcon.model.shell import SHELLS, Opened, no_shell
from topcon.runtimes.exec import NotThere

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from topcon.actions import AuditLog
    from topcon.model.shell import Size
    from topcon.model.snapshot import ContainerNode
    from topcon.runtimes.watch import RuntimeWatch, RuntimeWatches

SETTLE_S = 3.0
"""How long a runtime is waited for that has not answered for the first time."""
LOOK_S = 0.05
NOT_LOGGED = "not logged"
_KERNEL = "the kernel"
_NO_FILTER = "without the container's filter of system calls"


class Shells:
    """Opens shells. Its calls wait for runtimes and processes, so they belong on a thread of their own."""

    def __init__(
        self,
        runtimes: RuntimeWatches,
        proc_root: str,
        audit_log: AuditLog,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Open through ``runtimes`` and ``proc_root``, and log in ``audit_log``; ``clock`` gives seconds."""
        self._runtimes = runtimes
        self._proc_root = proc_root
        self._audit_log = audit_log
        self._clock = clock

    def open(self, container: ContainerNode, size: Size) -> Opened:
        """Open a shell on a terminal of a size.

        Raises:
            ActionFailed: there is none, and why.
        """
        begun = self._clock()
        opened, way = None, Way.RUNTIME
        result = "opened"
        environment = [f"TERM={terminal_type(os.environ.get('TERM', ''))}"]
        try:
            opened = self._by_runtime(container, size, environment)
            if opened is None:
                way = Way.KERNEL
                opened = self._by_kernel(container, size, environment)
        except NotThere:
            result = no_shell(container.process.pid if container.process else None)
        except ActionFailed as error:
            result = str(error)
        failure = self._log(container, way, result, self._clock() - begun)
        if opened is None:
            raise ActionFailed(result)
        if failure is not None:
            # Nothing is changed of which nobody could tell afterwards.
            opened.session.close()
            raise ActionFailed(failure)
        return opened

    def note_end(self, container: ContainerNode, opened: Opened, status: int | None, took_s: float) -> str | None:
        """Log how a shell has ended; return why that could not be logged."""
        way = Way.KERNEL if opened.through == _KERNEL else Way.RUNTIME
        result = "ended" if status is None else f"ended with {status}"
        return self._log(container, way, result, took_s)

    def _log(self, container: ContainerNode, way: Way, result: str, took_s: float) -> str | None:
        try:
            self._audit_log.write_shell(container, way, result, took_s)
        except OSError as error:
            return f"{NOT_LOGGED}: {self._audit_log.path}: {(error.strerror or str(error)).lower()}"
        return None

    def _watch(self, container: ContainerNode) -> RuntimeWatch | None:
        """Return who runs it; a runtime may only not have been heard yet."""
        until_s = self._clock() + SETTLE_S
        while (watch := self._runtimes.of(container.info.id)) is None and self._runtimes.is_settling:
            if self._clock() >= until_s:
                return None
            time.sleep(LOOK_S)
        return watch

    def _by_runtime(self, container: ContainerNode, size: Size, environment: Sequence[str]) -> Opened | None:
        """Let its runtime open it; None if that does not answer, or has no way to."""
        if container.info.state is not State.RUNNING:
            message = f"it is {container.info.state}"
            raise ActionFailed(message)
        watch = self._watch(container)
        if watch is None or not watch.answers:
            return None
        found = watch.execute(container.info.id, SHELLS, size, environment)
        return None if found is None else Opened(found[0], found[1][0], watch.plugin.name)

    def _by_kernel(self, container: ContainerNode, size: Size, environment: Sequence[str]) -> Opened:
        if container.process is None:
            message = "no runtime that answers knows it, and it has no process that could be followed into it"
            raise ActionFailed(message)
        from topcon.kernel.enter import enter  # noqa: PLC0415  not before it is asked for

        session = enter(self._proc_root, container.process, SHELLS, size, environment)
        return Opened(session, session.shell, _KERNEL, _NO_FILTER if session.has_filter else None)


def terminal_type(own: str) -> str:
    """Choose what a container may take our terminal for: it seldom knows those of multiplexers."""
    return "xterm-256color" if "256color" in own or "direct" in own else "xterm"
