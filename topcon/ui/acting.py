"""Asks before anything is changed, has it done, and says how it ended."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from topcon.text import printable
from topcon.ui.spans import Span, Tone

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.app import App

    from topcon.actions import Actions, Outcome, Request, Verb, Way
    from topcon.model.snapshot import ContainerNode, Snapshot

NOTICE_S = 8.0
"""How long it is said that an action has ended."""
ERROR_S = 30.0


class Acting:
    """What the keys that change something do, over whatever screen is shown."""

    def __init__(self, app: App[Any], actions: Actions, on_change: Callable[[], object]) -> None:
        """Ask on the screens of ``app``; ``on_change`` is told when there is something else to say."""
        self._app = app
        self._actions = actions
        self._on_change = on_change
        self._notice: tuple[Span, float] | None = None

    def verbs(self, container: ContainerNode) -> tuple[Verb, ...]:
        """Return what can be done to a container now."""
        return self._actions.verbs(container)

    def ask(self, verb: Verb, container: ContainerNode, snapshot: Snapshot) -> None:
        """Ask whether to do something to a container, as it is seen in a snapshot."""

        def look() -> None:
            way = self._actions.way(verb, container)
            if way is not None:
                consequences = self._actions.consequences(verb, container, snapshot, way)
                self._app.call_later(self._question, verb, container, consequences, way)

        self._app.run_worker(look, thread=True, group="question", exclusive=True)

    def _question(self, verb: Verb, container: ContainerNode, consequences: list[str], way: Way) -> None:
        from topcon.ui.screens.confirm import ConfirmScreen  # noqa: PLC0415  not before it is asked for

        if not self._app.screen.is_modal:
            self._app.push_screen(ConfirmScreen(verb, container, consequences, way), self._answered)

    def _answered(self, request: Request | None) -> None:
        if request is None:
            return

        def perform() -> None:
            self._app.call_later(self._ended, self._actions.perform(request))

        self._app.run_worker(perform, thread=True, group="action")

    def _ended(self, outcome: Outcome) -> None:
        if outcome.error is not None:
            self._app.notify(outcome.text, severity="error", timeout=ERROR_S, markup=False)
        else:
            tone = Tone.WARN if outcome.warning else Tone.GOOD
            self._notice = (Span(outcome.text, tone), time.monotonic() + NOTICE_S)
        self._on_change()

    def notice(self, snapshot: Snapshot | None) -> Span | None:
        """Say what is being done, or was just done; ``snapshot`` tells how far it has got."""
        for request, ago_s in self._actions.running():
            left = _left(request, snapshot)
            return Span(f"{request.verb} {printable(request.name)} … {ago_s:.0f} s{left}", Tone.ACCENT)
        if self._notice is not None and time.monotonic() < self._notice[1]:
            return self._notice[0]
        return None

    def close(self) -> None:
        """Log what has not ended."""
        self._actions.close()


def _left(request: Request, snapshot: Snapshot | None) -> str:
    node = snapshot.containers.get(request.key) if snapshot else None
    pids = node.usage.pids if node else None
    return f", {pids} task{'s' if pids > 1 else ''} left" if pids else ""
