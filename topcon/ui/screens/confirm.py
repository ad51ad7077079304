"""The question before anything is changed. Its safe answer has the focus."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Label, Static

from topcon.ui.question import Wish, answer, broken, default_grace_s, lines_of, title, typed_answers
from topcon.ui.spans import Span, Spans, Tone
from topcon.ui.widgets.keys import Keys
from topcon.ui.widgets.lines import ScrollLines

if TYPE_CHECKING:
    from textual import events
    from textual.app import ComposeResult
    from textual.binding import BindingType

    from topcon.ui.question import Question

GRACE_S = (0.0, 86400.0)
HIGHEST = 0.95
"""How much of the screen it may take, as ``topcon.tcss`` has it."""
FRAME_LINES, FIELD_LINES = 5, 2
"""The border, the gap below the title, the buttons with theirs; and a field with its gap."""
LEAST_LINES = 5
"""With fewer for what is said, there are no gaps."""


class ConfirmScreen(ModalScreen[Wish | None]):
    """Asks whether to do something to containers; gives what was chosen, or None for no."""

    BINDINGS: ClassVar[list[BindingType]] = [
        ("escape,n,q", "dismiss(None)", "cancel"),
        ("y", "go", "yes"),
        ("tab", "app.focus_next", "next"),
        Binding("left,up", "app.focus_previous", "previous", show=False),
        Binding("right,down", "app.focus_next", "next", show=False),
        Binding("pageup", "page(-1)", "what is above", show=False),
        Binding("pagedown", "page(1)", "what is below", show=False),
    ]

    def __init__(self, question: Question) -> None:
        """Ask about containers as they were seen."""
        super().__init__()
        self._question = question
        self._answers = typed_answers(question)
        self._title = title(question)
        self._wish = Wish(signal=question.signal)

    def compose(self) -> ComposeResult:
        """Lay out the question."""
        verb = self._question.verb
        with Vertical(classes="dialog", id="confirm"):
            yield Static(self._title, classes="title", markup=False)
            yield ScrollLines(id="effect")
            if verb.has_grace:
                grace_s = default_grace_s(self._question)
                with Horizontal(classes="field"):
                    yield Label("grace period, seconds ")
                    yield Input(
                        "" if grace_s is None else f"{grace_s:g}",
                        id="grace",
                        placeholder="each its own" if grace_s is None else "",
                        restrict=r"[0-9]*\.?[0-9]*",
                        max_length=8,
                    )
            if self._answers:
                with Horizontal(classes="field"):
                    yield Label(self._typing(), markup=False)
                    yield Input(id="typed")
            with Horizontal(classes="buttons"):
                yield Label(id="more")
                yield Button("Cancel", id="cancel", compact=True)
                yield Button(answer(self._question), id="go", compact=True, disabled=bool(self._answers))
        yield Keys(id="keys")

    def _typing(self) -> str:
        return f"type {self._answers[0]} " if len(self._answers) == 1 else "type its name, or its id "

    def on_mount(self) -> None:
        """Put the focus on the safe answer; where something has to be typed, that is as safe."""
        self.query_one("#effect").can_focus = False
        self.query_one("#typed" if self._answers else "#cancel").focus()
        self.call_after_refresh(self._draw)

    def on_resize(self) -> None:
        """Use the room there is."""
        self.call_after_refresh(self._draw)

    def _draw(self) -> None:
        """Say what will happen, with what was typed."""
        body = self.query_one(ScrollLines)
        width = body.size.width - 1
        if width <= 0:
            return
        wish = self._asked()
        self.query_one("#go", Button).disabled = wish is None or not self._is_typed()
        lines: list[Spans] = [[Span("• there is no such grace period", Tone.WARN)]]
        if wish is not None:
            lines = lines_of(self._question, wish)
        lines = broken(lines, width)
        fields = FIELD_LINES * (self._question.verb.has_grace + bool(self._answers))
        # The keys have a line of their own below.
        room = int((self.size.height - 1) * HIGHEST) - FRAME_LINES - fields - len(wrap(self._title, width))
        is_tight = room < LEAST_LINES
        self.query_one("#confirm").set_class(is_tight, "-squeezed")
        room += (1 + 1 + fields // FIELD_LINES) * is_tight
        body.styles.height = max(min(len(lines), room), 1)
        body.show(lines)
        self.call_after_refresh(self._count_hidden)

    def _count_hidden(self) -> None:
        body = self.query_one(ScrollLines)
        below = body.virtual_size.height - body.scroll_offset.y - body.size.height
        self.query_one("#more", Label).update(f"PgDn: {below} more" if below > 0 else "")

    def action_page(self, pages: int) -> None:
        """Scroll what is said."""
        body = self.query_one(ScrollLines)
        body.scroll_relative(y=pages * max(body.size.height - 1, 1), animate=False, immediate=True)
        self._count_hidden()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Say anew what will happen."""
        event.stop()
        self._draw()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Go on to the buttons, the safe one first; who has typed a name means it."""
        event.stop()
        if event.input.id == "typed" and self._is_typed():
            self.action_go()
        elif event.input.id != "typed":
            self.query_one("#cancel").focus()

    def _is_typed(self) -> bool:
        return not self._answers or self.query_one("#typed", Input).value.strip() in self._answers

    def _asked(self) -> Wish | None:
        """Return what is chosen; None if that makes no sense."""
        if not self._question.verb.has_grace:
            return self._wish
        text = self.query_one("#grace", Input).value
        if not text and default_grace_s(self._question) is None:
            return self._wish
        try:
            grace_s = float(text)
        except ValueError:
            return None
        return self._wish._replace(grace_s=grace_s) if GRACE_S[0] <= grace_s <= GRACE_S[1] else None

    def action_go(self) -> None:
        """Do it."""
        wish = self._asked()
        if wish is not None and self._is_typed():
            self.dismiss(wish)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Answer."""
        event.stop()
        if event.button.id == "go":
            self.action_go()
        else:
            self.dismiss(None)

    def on_click(self, event: events.Click) -> None:
        """Let a click beside the question answer it with no."""
        if event.widget is self:
            self.dismiss(None)
