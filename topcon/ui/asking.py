"""Asking what takes its time, for a screen."""

from __future__ import annotations

import contextlib
import threading
from functools import partial
from typing import TYPE_CHECKING, NoReturn, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.message_pump import MessagePump

T = TypeVar("T")


def ask_aside(what: str, ask: Callable[[], T], screen: MessagePump, take: Callable[[T], object]) -> None:
    """Ask on a thread of its own, named by ``what``; what is answered is taken on that of the screen.

    It is no worker of Textual's: those are waited for when topcon ends. A bug in asking ends topcon.
    """

    def run() -> None:
        try:
            taken: Callable[[], object] = partial(take, ask())
        except BaseException as bug:  # noqa: BLE001  raised again where it ends topcon
            taken = partial(_raise, bug)
        # Topcon may have ended meanwhile.
        with contextlib.suppress(RuntimeError):
            screen.call_later(taken)

    threading.Thread(target=run, name=f"topcon-{what}", daemon=True).start()


def _raise(bug: BaseException) -> NoReturn:
    raise bug
