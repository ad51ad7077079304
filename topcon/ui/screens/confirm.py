"""The question before anything is changed. Its safe answer has the focus."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Label, Static

from topcon.actions import Request, Verb, Way, describe, request_for
from topcon.text import printable
from topcon.ui.widgets.keys import Keys

if TYPE_CHECKING:
    from textual import events
    from textual.app import ComposeResult
    from textual.binding import BindingType

    from topcon.model.snapshot import ContainerNode

GRACE_S = (0.0, 86400.0)


class ConfirmScreen(ModalScreen[Request | None]):
    """Asks whether to do something to a container; gives the request, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        ("escape,n", "dismiss(None)", "cancel"),
        ("y", "go", "yes"),
        ("tab", "app.focus_next", "next"),
        Binding("left,up", "app.focus_previous", "previous", show=False),
        Binding("right,down", "app.focus_next", "next", show=False),
    ]

    def __init__(self, verb: Verb, container: ContainerNode, consequences: list[str], way: Way = Way.RUNTIME) -> None:
        """Ask about ``container`` as it was seen, and show the consequences of doing it in that way, a line each."""
        super().__init__()
        self._verb = verb
        self._container = container
        self._consequences = consequences
        self._way = way
        self._request = request_for(verb, container, way=way)

    def compose(self) -> ComposeResult:
        """Lay out the question."""
        info = self._container.info
        with Vertical(classes="dialog"):
            name = f"{self._verb.capitalize()} {printable(info.name)}?"
            way = ", through the kernel" if self._way is Way.KERNEL else ""
            yield Static(f"{name}  ({info.runtime}, {info.id[:12]}{way})", classes="title", markup=False)
            yield Static(self._text(self._request), classes="text", id="effect", markup=False)
            if self._verb.has_grace:
                with Horizontal(classes="field"):
                    yield Label("grace period, seconds ")
                    yield Input(f"{self._request.grace_s:g}", id="grace", restrict=r"[0-9]*\.?[0-9]*", max_length=8)
            if self._verb is Verb.KILL:
                with Horizontal(classes="field"):
                    yield Label("signal ")
                    yield Input(self._request.signal, id="signal", max_length=12)
            with Horizontal(classes="buttons"):
                yield Button("Cancel", id="cancel", compact=True)
                yield Button(self._verb.capitalize(), id="go", compact=True)
        yield Keys(id="keys")

    def _text(self, request: Request) -> str:
        lines = [describe(request, self._container), *self._consequences]
        return "\n".join(f"• {line}" for line in lines)

    def on_mount(self) -> None:
        """Put the focus on the safe answer."""
        self.query_one("#cancel").focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Say anew what will happen, with what was typed."""
        event.stop()
        request = self._asked()
        self.query_one("#go", Button).disabled = request is None
        text = self._text(request) if request else f"• there is no such {event.input.id} period or signal"
        self.query_one("#effect", Static).update(text)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Go on to the buttons, the safe one first."""
        event.stop()
        self.query_one("#cancel").focus()

    def _asked(self) -> Request | None:
        """The request with what was typed; None if that makes no sense."""
        try:
            if self._verb.has_grace:
                grace_s = float(self.query_one("#grace", Input).value)
                if not GRACE_S[0] <= grace_s <= GRACE_S[1]:
                    return None
                return request_for(self._verb, self._container, grace_s, way=self._way)
            if self._verb is Verb.KILL:
                signal = self.query_one("#signal", Input).value
                return request_for(self._verb, self._container, signal=signal, way=self._way)
        except ValueError:
            return None
        return self._request

    def action_go(self) -> None:
        """Do it."""
        request = self._asked()
        if request is not None:
            self.dismiss(request)

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
