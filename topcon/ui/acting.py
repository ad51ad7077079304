"""Asks before anything is changed, has it done, and says how it ended."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from typing import TYPE_CHECKING, Any

from topcon.actions import Verb, Way, process_text
from topcon.text import printable
from topcon.ui.marks import is_superfluous
from topcon.ui.progress import summary
from topcon.ui.spans import Span, Tone

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from textual.app import App

    from topcon.actions import Actions
    from topcon.batch import Batch
    from topcon.model.sample import ProcessSample
    from topcon.model.snapshot import ContainerNode, Snapshot
    from topcon.ui.question import Question, Target, Wish

NOTICE_S = 8.0
"""How long it is said that an action has ended."""
LOOK_S = 2.0
"""How long the consequences are looked up for."""


class Acting:
    """What the keys that change something do, over whatever screen is shown."""

    def __init__(self, app: App[Any], actions: Actions, on_change: Callable[[], object]) -> None:
        """Ask on the screens of ``app``; ``on_change`` is told when there is something else to say."""
        self._app = app
        self._actions = actions
        self._on_change = on_change
        self._notice: tuple[Span, float] | None = None
        self._batches: list[Batch] = []
        self._slots: threading.Semaphore | None = None

    def verbs(self, container: ContainerNode) -> tuple[Verb, ...]:
        """Return what can be done to a container now."""
        return self._actions.verbs(container)

    def ask(self, verb: Verb, containers: Sequence[ContainerNode], snapshot: Snapshot) -> None:
        """Ask whether to do something to containers, as they are seen in a snapshot."""
        if verb is Verb.RESTART:
            containers = [each for each in containers if not is_superfluous(each, containers)]
        if verb is Verb.KILL and any(verb in self.verbs(each) for each in containers):
            self._ask_for_signal(containers, snapshot)
        elif containers:
            self._look(verb, containers, snapshot)

    def _ask_for_signal(self, containers: Sequence[ContainerNode], snapshot: Snapshot) -> None:
        from topcon.ui.screens.signals import SignalScreen  # noqa: PLC0415  not before it is asked for

        def go_on(signal: str | None) -> None:
            if signal is not None:
                self._look(Verb.KILL, containers, snapshot, signal)

        whom = printable(containers[0].name) if len(containers) == 1 else f"{len(containers)} containers"
        self._app.push_screen(SignalScreen(whom), go_on)

    def ask_process(self, member: ProcessSample, container: ContainerNode, snapshot: Snapshot) -> None:
        """Ask which signal to send to one process of a container, as they are seen in a snapshot."""
        from topcon.ui.screens.signals import SignalScreen  # noqa: PLC0415  not before it is asked for

        def go_on(signal: str | None) -> None:
            if signal is not None:
                self._look_at_process(member, container, snapshot, signal)

        self._app.push_screen(SignalScreen(process_text(member)), go_on)

    def _look_at_process(
        self, member: ProcessSample, container: ContainerNode, snapshot: Snapshot, signal: str
    ) -> None:
        from topcon.ui.question import Question, Target  # noqa: PLC0415  not before it is asked for

        def look() -> None:
            if not self._actions.may_signal(member):
                self._app.call_later(self.say, f"cannot signal {process_text(member)}: it has ended, or only root may")
                return
            lines = self._actions.consequences_for_process(member, container, snapshot, signal)
            question = Question(Verb.KILL, (Target(container, Way.KERNEL, tuple(lines)),), signal, member)
            self._app.call_later(self._question, question)

        self._app.run_worker(look, thread=True, group="question", exclusive=True)

    def _look(
        self, verb: Verb, containers: Sequence[ContainerNode], snapshot: Snapshot, signal: str = "SIGKILL"
    ) -> None:
        """Look up what it would do, which takes its time, and then ask."""
        from topcon.ui.question import Question, refusal  # noqa: PLC0415  not before it is asked for

        def look() -> None:
            until_s = time.monotonic() + LOOK_S
            targets = tuple(self._target(verb, each, snapshot, until_s, signal) for each in containers)
            question = Question(verb, targets, signal)
            if question.possible:
                self._app.call_later(self._question, question)
            else:
                self._app.call_later(self.say, refusal(verb, targets))

        self._app.run_worker(look, thread=True, group="question", exclusive=True)

    def _target(self, verb: Verb, container: ContainerNode, snapshot: Snapshot, until_s: float, signal: str) -> Target:
        from topcon.ui.question import UNSEEN, Target  # noqa: PLC0415  not before it is asked for

        way = self._actions.way(verb, container) if verb in self._actions.verbs(container) else None
        if way is None:
            return Target(container, None, obstacle=self._actions.obstacle(verb, container))
        if time.monotonic() > until_s:
            return Target(container, way, (UNSEEN,))
        return Target(container, way, tuple(self._actions.consequences(verb, container, snapshot, way, signal)))

    def _question(self, question: Question) -> None:
        from topcon.ui.screens.confirm import ConfirmScreen  # noqa: PLC0415  not before it is asked for

        if not self._app.screen.is_modal:
            self._app.push_screen(ConfirmScreen(question), lambda wish: self._answered(question, wish))

    def _answered(self, question: Question, wish: Wish | None) -> None:
        from topcon.batch import MOST_AT_ONCE, Batch, plan  # noqa: PLC0415  not before it is asked for

        if wish is None:
            return
        planned = plan(
            question.verb,
            [target.container for target in question.possible],
            grace_s=wish.grace_s,
            signal=wish.signal,
            ways=question.ways,
            member=question.member,
        )
        # All batches have them in common.
        self._slots = self._slots or threading.Semaphore(MOST_AT_ONCE)
        batch = Batch(planned, self._actions, self._tell, self._slots)
        self._batches = [each for each in self._batches if not each.is_over or each.failed]
        self._batches.append(batch)
        self._notice = None
        self._app.run_worker(self._run(batch), group="action")
        if len(batch.steps) > 1:
            self.show_progress(None)

    def _tell(self) -> None:
        """Have it drawn how far it is; called on any thread."""
        self._app.call_later(self._on_change)

    async def _run(self, batch: Batch) -> None:
        """Wait for a batch, on a thread that does not keep topcon from ending."""
        loop = asyncio.get_running_loop()
        ended = loop.create_future()

        def settle(bug: BaseException | None) -> None:
            if ended.done():
                return
            if bug is None:
                ended.set_result(None)
            else:
                ended.set_exception(bug)

        def run() -> None:
            bug = None
            try:
                batch.run()
            except BaseException as error:  # noqa: BLE001  raised again where it is waited for
                bug = error
            with contextlib.suppress(RuntimeError):
                # The loop may be closed: topcon has ended.
                loop.call_soon_threadsafe(settle, bug)

        threading.Thread(target=run, name="topcon-actions", daemon=True).start()
        await ended
        self._notice = (_said(batch, None), time.monotonic() + NOTICE_S)
        self._on_change()

    @property
    def has_progress(self) -> bool:
        """Whether there is anything to show of what was asked for."""
        return bool(self._batches)

    def show_progress(self, snapshot: Snapshot | None) -> None:
        """Show how far it is, a line a container."""
        from topcon.ui.screens.progress import ProgressScreen  # noqa: PLC0415  not before it is asked for

        self._app.push_screen(ProgressScreen(lambda: self._batches, snapshot))

    def say(self, text: str) -> None:
        """Say for a while why something is not done."""
        self._notice = (Span(text, Tone.WARN), time.monotonic() + NOTICE_S)
        self._on_change()

    def dismiss(self) -> bool:
        """Let go of what was said, and of what has failed; whether anything had."""
        had_any = any(each.is_over and each.failed for each in self._batches)
        self._notice = None
        self._batches = [each for each in self._batches if not each.is_over]
        return had_any

    def notice(self, snapshot: Snapshot | None) -> Span | None:
        """Say what is being done, was just done, or could not be done; ``snapshot`` tells how far it has got."""
        if (notice := self._notice_left()) is not None:
            return notice
        under_way = [each for each in self._batches if not each.is_over]
        failed = [each for each in self._batches if each.is_over and each.failed]
        if not under_way:
            return _said(failed[-1], snapshot) if failed else None
        said = _said(under_way[-1], snapshot)
        others = len(under_way) - 1
        return said._replace(text=f"{said.text} (and {others} more: :progress)") if others else said

    def _notice_left(self) -> Span | None:
        if self._notice is None or time.monotonic() >= self._notice[1]:
            return None
        return self._notice[0]

    def close(self) -> None:
        """Log what has not ended, and what has not begun."""
        for batch in self._batches:
            batch.close()
        self._actions.close()


def _said(batch: Batch, snapshot: Snapshot | None) -> Span:
    """Say how far a batch is, and where more is told of several that have failed."""
    said = summary(batch, snapshot)
    return said._replace(text=f"{said.text} (:progress)") if len(batch.steps) > 1 and batch.failed else said
