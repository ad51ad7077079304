"""Keeps up with the runtimes, each on a thread of its own, so that one that hangs holds nothing up."""

from __future__ import annotations

import threading
import time
from collections import deque
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from operator import is_
from typing import TYPE_CHECKING, Any

from topcon.errors import ActionFailed, ParseError, SourceUnavailable
from topcon.model.event import MOST_TOLD
from topcon.model.sample import SILENT_AFTER_S, Problem, RuntimeSample
from topcon.runtimes import (
    load,
    plugin_names,
    sockets_there,
    supports_events,
    supports_exec,
    supports_inspect,
    supports_lifecycle,
    supports_logs,
    supports_sizes,
)
from topcon.runtimes.daemon import daemon_at
from topcon.runtimes.exec import NotThere

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from topcon.model.event import Told
    from topcon.model.files import LayerSizes
    from topcon.model.output import Batch, Feed, Wanted
    from topcon.model.sample import ContainerId, ContainerInfo, LogLine
    from topcon.model.shell import Session, Size
    from topcon.runtimes import Lifecycle, Plugin, Runtime
    from topcon.runtimes.daemon import Daemon

LEAST_POLL_S = 0.75
"""Calls are at least so far apart, however often containers come and go."""
RETRY_S = (1.0, 2.0, 3.0)
"""Waits between attempts to connect; the last one stays."""
LATE_AFTER_S = 1.0
"""A call that takes longer than this is worth a word to the user."""
LONGEST_WAIT_S = 15.0
"""How long a command waits for runtimes at the most, however busy the host."""
SEARCH_S = 10.0
"""How often sockets are looked for that were not there before."""


@dataclass(frozen=True, slots=True)
class _State:
    """What the watching thread has last made known: one value, replaced whole."""

    infos: tuple[ContainerInfo, ...] = ()
    ids: frozenset[ContainerId] = field(default_factory=frozenset)
    is_listed: bool = False
    failure: SourceUnavailable | ParseError | None = None
    abilities: frozenset[str] = frozenset()
    duration_s: float | None = None
    errors: int = 0
    succeeded_ns: int | None = None


class RuntimeWatch:
    """Follows one runtime at one socket."""

    def __init__(
        self,
        plugin: Plugin,
        socket: str,
        clock: Callable[[], float] = time.monotonic,
        wall_ns: Callable[[], int] = time.time_ns,
        daemon: Daemon | None = None,
    ) -> None:
        """Prepare to follow; nothing is connected before ``start``. ``clock`` gives seconds, ``wall_ns`` the date.

        What we cost ``daemon`` is measured; without one, it is looked for behind the socket.
        """
        self.plugin = plugin
        self.socket = socket
        self._daemon = daemon or daemon_at(plugin.name, socket)
        self.rest_s = 0.0
        """How far apart calls are at least, where topcon slows itself down; any thread may set it."""
        self._clock = clock
        self._wall_ns = wall_ns
        self._state = _State()
        self._told: deque[Told] = deque(maxlen=MOST_TOLD)
        self._unanswered_since: float | None = None
        self._bug: BaseException | None = None
        self._has_answered = False
        self._stopped = threading.Event()
        self._woken = threading.Event()
        # A daemon thread: a call that hangs must not keep topcon from ending.
        self._thread = threading.Thread(target=self._run, name=f"topcon-{plugin.name}", daemon=True)

    def start(self) -> None:
        """Begin to follow."""
        self._thread.start()

    def stop(self) -> None:
        """Stop following, without waiting for an answer that may never come."""
        self._stopped.set()
        self._woken.set()

    def wake(self) -> None:
        """Ask again soon: the kernel shows that containers have come or gone."""
        self._woken.set()

    @property
    def infos(self) -> tuple[ContainerInfo, ...]:
        """The containers, as last heard."""
        return self._state.infos

    @property
    def is_settled(self) -> bool:
        """Whether the first attempt has come to an end, one way or the other."""
        return self._state.is_listed or self._state.failure is not None

    @property
    def is_settling(self) -> bool:
        """Whether the first answer is still to be expected."""
        return not self.is_settled and self._silent_s() <= SILENT_AFTER_S

    def take_told(self) -> tuple[Told, ...]:
        """Return what the runtime has told since this was asked last to have happened; for one thread."""
        return tuple(self._told.popleft() for _ in range(len(self._told)))

    def knows(self, container: ContainerId) -> bool:
        """Whether the runtime has listed the container."""
        return container in self._state.ids

    @property
    def abilities(self) -> frozenset[str]:
        """What the runtime can do to its containers, in the words of `Lifecycle`."""
        return self._state.abilities

    @property
    def answers(self) -> bool:
        """Whether the last call was answered, and none has waited for an answer for long."""
        return self._state.is_listed and self._state.failure is None and self._silent_s() <= SILENT_AFTER_S

    def lifecycle(self) -> tuple[Runtime, Lifecycle]:
        """Connect anew, for an action.

        Raises:
            ActionFailed: the runtime does not answer or cannot change containers.
        """
        runtime = self._connect_to_act()
        lifecycle = supports_lifecycle(runtime)
        if lifecycle is None:
            runtime.close()
            message = f"{self.plugin.name}: topcon cannot change its containers"
            raise ActionFailed(message)
        return runtime, lifecycle

    def _connect_to_act(self) -> Runtime:
        """Connect anew.

        Raises:
            ActionFailed: the runtime does not answer.
        """
        try:
            return self.plugin.connect(self.socket)
        except SourceUnavailable as error:
            message = f"{self.plugin.name}: {error}"
            raise ActionFailed(message) from error

    @contextmanager
    def _connected(self) -> Iterator[Runtime]:
        """Connect anew, for a question; what the daemon uses until the connection is closed is counted.

        Raises:
            SourceUnavailable: the runtime does not answer.
        """
        with self._daemon.asked():
            runtime = self.plugin.connect(self.socket)
            try:
                yield runtime
            finally:
                runtime.close()

    def tail(self, container: ContainerId, lines: int) -> tuple[LogLine, ...]:
        """Connect anew, and return the last lines that a container has written; none where they cannot be had.

        Waits for the runtime: nothing to call on the threads of the UI and of the sampler.
        """
        try:
            with self._connected() as runtime:
                logs = supports_logs(runtime)
                return logs.tail(container, lines) if logs else ()
        except (SourceUnavailable, ParseError):
            # What is wrong with the runtime is told by `look`.
            return ()

    def follow(self, container: ContainerId, wanted: Wanted) -> Feed | None:
        """Connect anew, and follow what a container writes, until the runtime falls silent; None where there is no log.

        Waits for the runtime: nothing to call on the threads of the UI and of the sampler.

        Raises:
            SourceUnavailable: the runtime does not answer, or refuses.
            ParseError: the answer is in no known form.
        """
        with self._connected() as runtime:
            logs = supports_logs(runtime)
            feed = logs.follow(container, wanted) if logs else None
        return None if feed is None else _Answering(feed, lambda: self.answers)

    def inspect(self, container: ContainerId) -> Mapping[str, Any] | Problem | None:
        """Connect anew, and return all that the runtime knows of a container; None if it has no way to tell.

        Waits for the runtime: nothing to call on the threads of the UI and of the sampler.
        """
        try:
            with self._connected() as runtime:
                able = supports_inspect(runtime)
                return able.inspect(container) if able else None
        except (SourceUnavailable, ParseError) as error:
            return Problem(self.plugin.name, str(error), error.remedy)

    def sizes(self, container: ContainerId) -> LayerSizes | Problem | None:
        """Connect anew, and have counted how much of a disk a container takes; None if nobody can.

        Waits for the runtime, which can take long: nothing to call on the threads of the UI and of the sampler.
        """
        try:
            with self._connected() as runtime:
                able = supports_sizes(runtime)
                return able.sizes(container) if able else None
        except (SourceUnavailable, ParseError) as error:
            return Problem(self.plugin.name, str(error), error.remedy)

    def execute(
        self, container: ContainerId, commands: Sequence[Sequence[str]], size: Size, environment: Sequence[str]
    ) -> tuple[Session, Sequence[str]] | None:
        """Connect anew, and start the first of some programs that is in a container; None if it has no way to.

        Waits for the runtime: nothing to call on the threads of the UI and of the sampler.

        Raises:
            NotThere: none of them is.
            ActionFailed: none was started; the runtime's own words.
        """
        runtime = self._connect_to_act()
        try:
            able = supports_exec(runtime)
            if able is None:
                return None
            for command in commands[:-1]:
                with suppress(NotThere):
                    return able.execute(container, command, size, environment), command
            return able.execute(container, commands[-1], size, environment), commands[-1]
        finally:
            runtime.close()

    def look(self) -> tuple[RuntimeSample, Problem | None]:
        """Say how the runtime is doing now; an error of our own on its thread is raised here."""
        if self._bug is not None:
            raise self._bug
        state, silent_s = self._state, self._silent_s()
        sample = RuntimeSample(
            name=self.plugin.name,
            socket=self.socket,
            up=state.is_listed and state.failure is None and silent_s < LATE_AFTER_S,
            is_listed=state.is_listed,
            silent_s=silent_s,
            container_count=len(state.infos),
            runtime=self.plugin.runtime,
            lies_beneath=self.plugin.lies_beneath,
            duration_s=state.duration_s,
            errors=state.errors,
            succeeded_ns=state.succeeded_ns,
            daemon_pid=self._daemon.pid,
            daemon_cpu_s=self._daemon.cpu_s,
        )
        return sample, self._problem(state, silent_s)

    def _silent_s(self) -> float:
        since = self._unanswered_since
        return max(self._clock() - since, 0.0) if since is not None else 0.0

    def _problem(self, state: _State, silent_s: float) -> Problem | None:
        old = ", names and states may be old" if state.is_listed else ""
        if state.failure is not None and not str(state.failure).startswith("no answer"):
            return Problem(self.plugin.name, f"{state.failure}{old}", state.failure.remedy)
        if silent_s < LATE_AFTER_S:
            return None
        return Problem(self.plugin.name, f"no answer for {silent_s:.0f} s{old}")

    def _run(self) -> None:
        try:
            self._keep_following()
        except BaseException as bug:  # noqa: BLE001  handed to whoever looks, which ends topcon with it
            self._bug = bug

    def _keep_following(self) -> None:
        self.plugin.prepare()
        attempts = 0
        while not self._stopped.is_set():
            try:
                self._asking()
                self._daemon.forget()
                with self._daemon.asked():
                    runtime = self.plugin.connect(self.socket)
                try:
                    self._follow(runtime)
                finally:
                    runtime.close()
            except (SourceUnavailable, ParseError) as error:
                self._state = replace(self._state, failure=error, errors=self._state.errors + 1)
            attempts = 1 if self._has_answered else attempts + 1
            self._has_answered = False
            self._stopped.wait(RETRY_S[min(attempts, len(RETRY_S)) - 1])

    def _follow(self, runtime: Runtime) -> None:
        """Follow a connection until it breaks or topcon ends."""
        lifecycle = supports_lifecycle(runtime)
        abilities = lifecycle.abilities if lifecycle else frozenset()
        able = supports_events(runtime)
        while not self._stopped.is_set():
            self._asking()
            self._woken.clear()
            begun = self._clock()
            with self._daemon.asked():
                told = runtime.containers()
                if able is not None:
                    # Before the list is made known: what has happened is told first by who knows when.
                    self._told.extend(able.events())
            infos = _kept(told, self._state.infos)
            self._unanswered_since = None
            self._has_answered = True
            self._state = _State(
                infos=infos,
                ids=frozenset(info.id for info in infos),
                is_listed=True,
                abilities=abilities,
                duration_s=self._clock() - begun,
                errors=self._state.errors,
                succeeded_ns=self._wall_ns(),
            )
            self._stopped.wait(LEAST_POLL_S)
            self._woken.wait(max(self.plugin.poll_s, self.rest_s) - LEAST_POLL_S)

    def _asking(self) -> None:
        """Begin a call: until one is answered, the runtime is silent since the first that was not."""
        if self._unanswered_since is None:
            self._unanswered_since = self._clock()


class _Answering:
    """A feed that ends where its runtime does not answer any more: of one that hangs nothing would come for ever."""

    def __init__(self, feed: Feed, answers: Callable[[], bool]) -> None:
        self.where = feed.where
        self._feed = feed
        self._answers = answers
        self.stop = feed.stop
        self.close = feed.close

    def read(self) -> Batch | None:
        batch = self._feed.read()
        is_empty = batch is not None and not batch.lines and not batch.passed
        return None if is_empty and not self._answers() else batch


def _kept(infos: tuple[ContainerInfo, ...], before: tuple[ContainerInfo, ...]) -> tuple[ContainerInfo, ...]:
    """Return the old object for each that says nothing new, and for all of them together."""
    if len(infos) != len(before) or not all(map(is_, infos, before)):
        old = {info.id: info for info in before}
        infos = tuple(
            known if (known := old.get(info.id)) is not None and (known is info or known == info) else info
            for info in infos
        )
    return before if infos == before else infos


class RuntimeWatches:
    """All runtimes whose sockets are there."""

    def __init__(
        self,
        wanted: Mapping[str, str | None] | None = None,
        host_root: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Follow the runtimes ``wanted``, name to socket; None for a socket means the well-known places.

        Without ``wanted``, all that have a socket below ``host_root``, now or later.
        """
        self._wanted = wanted
        self._host_root = host_root
        self._clock = clock
        self._watches: dict[tuple[str, str], RuntimeWatch] = {}
        self._searched_at: float | None = None
        self._is_started = False

    def start(self) -> None:
        """Begin to follow; before this no socket is looked for."""
        self._search()
        self._is_started = True

    def stop(self) -> None:
        """Stop following all of them."""
        for watch in self._watches.values():
            watch.stop()

    def wake(self) -> None:
        """Let all of them ask again soon."""
        for watch in self._watches.values():
            watch.wake()

    def look(self) -> tuple[RuntimeWatch, ...]:
        """Return the watches, those of sockets that have appeared lately among them."""
        if self._is_started and (self._searched_at is None or self._clock() - self._searched_at >= SEARCH_S):
            self._search()
        return tuple(self._watches.values())

    def _search(self) -> None:
        self._searched_at = self._clock()
        wanted = self._wanted or dict.fromkeys(plugin_names())
        for name, socket in wanted.items():
            plugin = load(name)
            if socket:
                # Who names it wants to know.
                plugin = replace(plugin, lies_beneath=False)
            for path in [socket] if socket else sockets_there(plugin, self._host_root):
                if (name, path) not in self._watches:
                    watch = RuntimeWatch(plugin, path, self._clock)
                    watch.start()
                    # Replaced, not changed: other threads look through it.
                    self._watches = {**self._watches, (name, path): watch}

    def wait_settled(self, silence_s: float) -> None:
        """Wait until each runtime has answered or failed once, or has been silent for ``silence_s``."""
        until = time.monotonic() + LONGEST_WAIT_S
        while time.monotonic() < until and not all(
            watch.is_settled or watch.look()[0].silent_s >= silence_s for watch in self._watches.values()
        ):
            time.sleep(0.01)

    def of(self, container: ContainerId) -> RuntimeWatch | None:
        """Return the watch of the runtime that has listed a container; if there are several, one that answers."""
        knowing = [watch for watch in self._watches.values() if watch.knows(container)]
        return next((watch for watch in knowing if watch.answers), knowing[0] if knowing else None)

    def tail(self, container: ContainerId, lines: int) -> tuple[LogLine, ...]:
        """Return the last lines that a container has written, as `RuntimeWatch.tail` does.

        None if nobody knows it; who does not answer is not asked.
        """
        watch = self.of(container)
        return watch.tail(container, lines) if watch and watch.answers else ()

    def follow(self, container: ContainerId, wanted: Wanted) -> Feed | None:
        """Follow what a container writes, as `RuntimeWatch.follow` does.

        None if nobody knows it or has its log; who does not answer is not asked.

        Raises:
            SourceUnavailable: the runtime does not answer, or refuses.
            ParseError: the answer is in no known form.
        """
        watch = self.of(container)
        return watch.follow(container, wanted) if watch and watch.answers else None

    def inspect(self, container: ContainerId) -> Mapping[str, Any] | Problem | None:
        """Return all that its runtime knows of a container, as `RuntimeWatch.inspect` does; None if none can tell."""
        watch = self.of(container)
        if watch is None:
            return None
        return watch.inspect(container) if watch.answers else watch.look()[1]

    def sizes(self, container: ContainerId) -> LayerSizes | Problem | None:
        """Have its runtime count how much of a disk a container takes; None if none can."""
        watch = self.of(container)
        if watch is None:
            return None
        return watch.sizes(container) if watch.answers else watch.look()[1]

    @property
    def is_settling(self) -> bool:
        """Whether one may be about to answer for the first time."""
        return not self._is_started or any(watch.is_settling for watch in self._watches.values())
