"""Opens shells in containers, and lends them the terminal meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any, TypeVar

from topcon.errors import ActionFailed
from topcon.model.sample import Role, State
from topcon.model.shell import Size
from topcon.text import printable
from topcon.ui.spans import Tone

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Sequence

    from topcon.model.shell import Opened
    from topcon.model.snapshot import ContainerNode
    from topcon.shell import Shells
    from topcon.ui.app import TopconApp
    from topcon.ui.relay import Ended, Relay

    Lend = Callable[[TopconApp, Opened, str], Coroutine[Any, Any, Ended | None]]

T = TypeVar("T")

READ_ONLY = "read-only: there is no shell"
LETTERS = "abcdefghilmnoprstuvwxyz"
"""Of a menu, without those that move in it."""
_JOIN_S = 1.0


def suited_for_shells(containers: Sequence[ContainerNode]) -> list[ContainerNode]:
    """Return those that run; a pod's sandbox only where there is nothing else."""
    running = [each for each in containers if each.info.state is State.RUNNING]
    return [each for each in running if each.info.role is not Role.SANDBOX] or running


class Shelling:
    """What the key for a shell does, over whatever screen is shown."""

    def __init__(self, app: TopconApp, shells: Shells, lend: Lend | None = None) -> None:
        """Open ``shells`` and lend them the terminal of ``app``; ``lend`` does that for tests."""
        self._app = app
        self._shells = shells
        self._lend = lend or lend_terminal
        self._is_busy = False

    def ask(self, container: ContainerNode) -> None:
        """Open a shell in a container, unless one is being opened."""
        if not self._is_busy:
            self._is_busy = True
            self._app.say(f"opening a shell in {printable(container.name)} ...")
            self._app.run_worker(self._run(container), group="shell")

    async def _run(self, container: ContainerNode) -> None:
        name = printable(container.name)
        size = Size(self._app.size.width, self._app.size.height)
        try:
            opened = await on_thread(lambda: self._shells.open(container, size), "topcon-shell")
        except ActionFailed as error:
            self._app.say(f"no shell in {name}: {error}", Tone.BAD)
            return
        finally:
            self._is_busy = False
        try:
            ended: Ended | None = await self._lend(self._app, opened, name)
            if ended is None:
                self._app.say("no shell: this terminal cannot be lent", Tone.BAD)
                return
            status = None if ended.was_left else await on_thread(opened.session.status, "topcon-shell")
        finally:
            # It may wait a second for the shell's end.
            threading.Thread(target=opened.session.close, name="topcon-shell-end", daemon=True).start()
        from topcon.ui.relay import ended_text  # noqa: PLC0415  not before it is asked for

        failure = await on_thread(
            lambda: self._shells.note_end(container, opened, status, ended.took_s), "topcon-shell"
        )
        text = ended_text(name, status, was_left=ended.was_left)
        self._app.say(f"{text}, but {failure}" if failure else text, Tone.BAD if failure else Tone.GOOD)


async def lend_terminal(app: TopconApp, opened: Opened, name: str) -> Ended | None:
    """Suspend topcon, lend the terminal until the shell ends, and come back; None if that cannot be.

    Snapshots are taken in meanwhile, and none is drawn.
    """
    driver, terminal, screen = app._driver, sys.__stdin__, sys.__stderr__  # noqa: SLF001  Textual offers no other way
    if driver is None or not driver.can_suspend or terminal is None or screen is None:
        return None
    from topcon.ui.relay import Relay, said_at_first  # noqa: PLC0415  not before it is asked for

    relay = Relay(opened.session, terminal.fileno(), screen.fileno())
    with app.suspend():
        screen.buffer.write(said_at_first(opened.shell, name, opened.through, opened.note))
        screen.flush()
        with _telling_of_size(relay):
            return await _carried(relay)


@contextlib.contextmanager
def _telling_of_size(relay: Relay) -> Iterator[None]:
    """Let the program know when the terminal's size changes: Textual's own handler is away meanwhile."""
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGWINCH, relay.resized)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGWINCH)


async def _carried(relay: Relay) -> Ended:
    """Wait for the end; where topcon itself ends first, the terminal is given back before that."""
    carrying: list[threading.Thread] = []
    try:
        return await on_thread(relay.run, "topcon-relay", carrying.append)
    finally:
        relay.leave()
        for thread in carrying:
            thread.join(_JOIN_S)
            if not thread.is_alive():
                relay.close()


async def on_thread(
    do: Callable[[], T], name: str, on_start: Callable[[threading.Thread], object] = lambda _: None
) -> T:
    """Wait for what a thread does that does not keep topcon from ending."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if ended.done():
            return
        if error is not None:
            ended.set_exception(error)
        else:
            ended.set_result(result)  # type: ignore[arg-type]  # it is None only where T is

    def run() -> None:
        result, error = None, None
        try:
            result = do()
        except BaseException as bug:  # noqa: BLE001  raised again where it is waited for
            error = bug
        with contextlib.suppress(RuntimeError):
            # The loop may be closed: topcon has ended.
            loop.call_soon_threadsafe(settle, result, error)

    thread = threading.Thread(target=run, name=name, daemon=True)
    on_start(thread)
    thread.start()
    return await ended
