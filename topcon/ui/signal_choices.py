"""The signals that can be sent, and what each is for. No Textual here."""

from __future__ import annotations

from typing import NamedTuple

from topcon.signals import signal_name, signal_number


class Choice(NamedTuple):
    """A line of the menu."""

    name: str
    help: str = ""

    @property
    def number(self) -> int:
        """What the kernel knows it by."""
        return signal_number(self.name)


CHOICES: tuple[Choice, ...] = (
    Choice("SIGTERM", "end in order"),
    Choice("SIGKILL", "end at once, whatever it does"),
    Choice("SIGHUP", "often: read the configuration again"),
    Choice("SIGINT", "as ctrl+c"),
    Choice("SIGQUIT", "end, often with a dump of what it does"),
    Choice("SIGUSR1", "what the program makes of it"),
    Choice("SIGUSR2", "what the program makes of it"),
    Choice("SIGSTOP", "stand still, whatever it does"),
    Choice("SIGCONT", "go on"),
    Choice("SIGABRT", "end with a core dump"),
    Choice("SIGWINCH", "the terminal has another size"),
    Choice("SIGALRM", "a timer has run out"),
    Choice("SIGPIPE", "nobody reads any more"),
    Choice("SIGCHLD", "a child has ended"),
    Choice("SIGTSTP", "as ctrl+z"),
    Choice("SIGPWR", "the power fails; shuts some inits down"),
    Choice("SIGRTMIN+3", "shuts systemd down"),
)
"""The first is what is asked for most."""


def choices(text: str) -> tuple[Choice, ...]:
    """Return the signals that begin with what was typed, a name or a number; what names one exactly comes first."""
    wanted = text.strip().upper().removeprefix("SIG")
    try:
        exact = signal_name(text.strip())
    except ValueError:
        exact = None
    found = [each for each in CHOICES if each.name.removeprefix("SIG").startswith(wanted) or _is_number(each, wanted)]
    if exact is None:
        return tuple(found)
    first = next((each for each in CHOICES if each.name == exact), Choice(exact))
    return (first, *(each for each in found if each.name != exact))


def _is_number(choice: Choice, text: str) -> bool:
    return bool(text) and str(choice.number).startswith(text)
