"""Shows what was: of a recording, or of what memory holds of the host that is live."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from textual import actions as textual_actions

from topcon.errors import RecordingUnreadable
from topcon.findings import DEFAULT_THRESHOLDS
from topcon.model.inside import Inside
from topcon.model.sample import Problem
from topcon.ui.messages import PastSeen, SamplerFailed
from topcon.ui.spans import Span, Tone
from topcon.ui.timebar import moment_at, past_words, time_bar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from textual.app import App

    from topcon.findings import Thresholds
    from topcon.model.playing import Playing
    from topcon.model.snapshot import Snapshot
    from topcon.recording.frames import Frames
    from topcon.recording.player import Player
    from topcon.ui.spans import Spans

IS_NOW = "this is now; [ goes back, :at 03:12 to a moment"
NOTHING_KEPT = "nothing of the past is kept here"
BARE = {"pause": "toggle", "play": "toggle", "live": "live"}
"""What is asked of the player without a number, by its method."""
BAR_LINE = 2
"""Which line of the header the time bar is."""
TIMES = ("-1m", "-10m", "now")
"""What is offered for moments; others are taken too."""
ABSENT: Mapping[tuple[object, ...], str] = {
    ("act",): "actions",
    ("remove_stopped",): "actions",
    ("progress",): "actions",
    ("signal",): "processes to signal",
    ("shell",): "shells",
    ("logs",): "logs",
    ("who",): "live host to look at",
    ("disk",): "disk usage",
    ("interval",): "interval to set",
    ("details", "processes"): "processes",
    ("tab", "processes"): "processes",
    ("details", "inspect"): "runtime to ask",
    ("tab", "inspect"): "runtime to ask",
}
"""Actions that need the host as it is, by their beginnings, and what they would need."""


class Recalled(NamedTuple):
    """The past that there is."""

    open_frames: Callable[[], Frames]
    """Called on the thread that plays it."""
    name: str = ""
    """What the recording is called; empty for what memory holds."""
    at_ns: int | None = None
    """Where to begin; None for the first."""
    is_all: bool = False
    """Whether there is nothing live beside it."""
    is_looped: bool = False
    """Whether it begins anew after its end."""


class Past:
    """What the keys of time do, over whatever screen is shown."""

    def __init__(
        self,
        app: App[Any],
        recalled: Recalled | None,
        demo: Callable[[], Recalled] | None,
        shown: Callable[[], Snapshot | None],
        show: Callable[[Snapshot | None], object],
        draw: Callable[[], object],
        say: Callable[[str, Tone], object],
        *,
        thresholds: Thresholds = DEFAULT_THRESHOLDS,
    ) -> None:
        """Play for ``app``, from what is ``shown`` on; ``show`` is given what was, and None for what is now.

        ``recalled`` is what there is of the past, and ``demo`` makes that of another host, which is played when asked,
        and beside what is now, which ``draw`` draws anew, where that has nothing.
        """
        self._app = app
        self._recalled = recalled
        self._demo = demo
        self._shown = shown
        self._show = show
        self._draw = draw
        self._say = say
        self._thresholds = thresholds
        self._player: Player | None = None
        self._beside: Player | None = None
        self._has_preview = demo is not None
        self.previewed: PastSeen | None = None
        """A moment of the demo, while it is played beside what is live."""
        self._sent = 0
        self.playing: Playing | None = None
        """What is shown of the past; None while that is now."""

    @property
    def is_possible(self) -> bool:
        """Whether there can be any."""
        return self._recalled is not None or self._demo is not None

    @property
    def has_demo(self) -> bool:
        """Whether there is one that is not played yet."""
        return self._demo is not None and not self.is_demo

    @property
    def is_demo(self) -> bool:
        """Whether what is shown is of another host, though this one is live beside it."""
        return not self.is_all and self.playing is not None and bool(self.playing.name)

    @property
    def is_all(self) -> bool:
        """Whether there is nothing else."""
        return self._recalled is not None and self._recalled.is_all

    @property
    def is_shown(self) -> bool:
        """Whether what is shown is not now."""
        return self.playing is not None or self.is_all

    @property
    def is_busy(self) -> bool:
        """Whether something was asked for that is not shown yet."""
        return self._player is not None and (self.playing is None or self.playing.carried_out < self._sent)

    def begin(self) -> None:
        """Play, where there is nothing else."""
        if self._recalled is not None and self.is_all:
            self._open(self._recalled)

    def play_demo(self) -> None:
        """Show what was on another host, in place of this one."""
        if self._demo is None:
            return
        try:
            demo = self._demo()
        except RecordingUnreadable as error:
            self._say(str(error), Tone.BAD)
        else:
            at_ns = demo.at_ns if self.previewed is None else self.previewed.playing.at_ns
            self.close()
            self._open(demo._replace(at_ns=at_ns))

    def preview(self, now: Snapshot) -> None:
        """Play the demo beside what is live for as long as nothing is there: no container, nor who could have one."""
        has_nothing = not now.containers and not now.sample.runtimes
        # With the first sample nobody has looked for runtimes yet.
        if has_nothing and now.tick and self._has_preview and self._beside is None and not self.is_shown:
            assert self._demo is not None  # noqa: S101  there is a preview
            try:
                self._beside = self._player_of(self._demo())
            except RecordingUnreadable:
                # It is said to who asks for it.
                self._has_preview = False
        elif not has_nothing:
            self._preview_no_more()

    def _preview_no_more(self) -> None:
        self.previewed = None
        if self._beside is not None:
            self._beside.stop()
            self._beside = None

    def _open(self, recalled: Recalled, *, is_paused: bool = False) -> Player:
        self._preview_no_more()
        self._player, self._sent = self._player_of(recalled, is_paused=is_paused), 0
        return self._player

    def _player_of(self, recalled: Recalled, *, is_paused: bool = False) -> Player:
        from topcon.recording.player import Player  # noqa: PLC0415  not before it is asked for

        open_frames, name, at_ns, _, is_looped = recalled

        def tell(playing: Playing, snapshot: Snapshot) -> None:
            self._app.post_message(PastSeen(playing, snapshot, player))

        player = Player(
            open_frames,
            tell,
            thresholds=self._thresholds,
            at_ns=at_ns,
            is_paused=is_paused,
            is_looped=is_looped,
            name=name,
        )
        player.start(lambda error: self._app.post_message(SamplerFailed(error)))
        return player

    def take(self, seen: PastSeen) -> None:
        """Show what the player shows; at the end, what is live beside it."""
        if seen.player is self._beside:
            self.previewed = seen
            self._draw()
        if seen.player is not self._player:
            return
        if seen.playing.is_live and not self.is_all:
            self.leave()
            return
        before, self.playing = self.playing, seen.playing
        problem, done = seen.playing.problem, seen.playing.carried_out
        if problem is not None and (before is None or (problem, done) != (before.problem, before.carried_out)):
            self._say(problem, Tone.WARN)
        self._show(seen.snapshot)
        if before is None or before.is_paused is not seen.playing.is_paused:
            self._app.screen.refresh_bindings()

    def leave(self) -> bool:
        """Go back to what is live; return whether that was not shown, and there is such a thing."""
        if self.is_all or self._player is None:
            return False
        self.close()
        self.playing = None
        self._show(None)
        self._app.screen.refresh_bindings()
        return True

    def close(self) -> None:
        """Play no more."""
        self._preview_no_more()
        if self._player is not None:
            self._player.stop()
            self._player = None

    def do(self, verb: str, amount: float) -> None:
        """Do what a key asks of the player, by the name of its method."""
        if verb == "live" and not self.is_all:
            if not self.leave():
                self._say(IS_NOW, Tone.WARN)
        elif verb in BARE:
            self._command(BARE[verb])
        else:
            is_back = amount < 0 and verb != "faster"
            self._command("step" if verb == "begin" else verb, int(amount), begins=is_back)

    def jump(self, wall_ns: int) -> None:
        """Go to a moment, nanoseconds since 1970."""
        self._command("jump", wall_ns, begins=True)

    def speed(self, speed: float) -> None:
        """Show so many seconds in one."""
        self._command("speed", speed)

    def _command(self, verb: str, *arguments: float, begins: bool = False) -> None:
        """Have the player do something; where nothing is played, begin with what is now, if that makes sense."""
        player = self._player
        if player is None and begins and self._recalled is not None:
            shown = self._shown()
            at_ns = time.time_ns() if shown is None else shown.sample.wall_ns
            player = self._open(self._recalled._replace(at_ns=at_ns), is_paused=True)
        if player is None:
            self._say(IS_NOW if self._recalled is not None else NOTHING_KEPT, Tone.WARN)
            return
        self._sent += 1
        getattr(player, verb)(*arguments)

    def clicked(self, column: int, width: int) -> None:
        """Go to the moment that was clicked in the time bar."""
        wall_ns = None if self.playing is None else moment_at(self.playing, column, width)
        if wall_ns is not None:
            self.jump(wall_ns)

    def bar(self, width: int) -> list[Spans]:
        """Write the time bar; nothing where now is shown."""
        return [] if self.playing is None else [time_bar(self.playing, width)]

    def words(self) -> Span | None:
        """Say which moment is shown; None where that is now."""
        if self.playing is None:
            return None
        return Span(past_words(self.playing, time.time_ns()), Tone.GOOD if self.playing.is_live else Tone.WARN)

    @property
    def now_ns(self) -> int:
        """What `now` is for who asks for a moment: the end of a recording."""
        if self.playing is not None and (self.is_all or self.is_demo):
            return self.playing.last_ns
        return time.time_ns()

    def check(self, parameters: tuple[object, ...]) -> bool:
        """Whether a key of time works now, by what stands in its action: from now one can only go back."""
        if len(parameters) < 2 or not self.is_possible:  # noqa: PLR2004  a command
            return self.is_possible
        verb, amount = parameters
        if self.is_shown:
            is_paused = self.playing is not None and self.playing.is_paused
            return verb not in {"begin", "pause" if is_paused else "play"}
        return verb not in {"step", "faster"} and str(amount).startswith("-")

    def refusal(self, action: str | tuple[str, str, tuple[Any, ...]]) -> str | None:
        """Say why something is not done that needs the host as it is; None where it may be done."""
        if not self.is_shown:
            return None
        _, name, parameters = textual_actions.parse(action) if isinstance(action, str) else action
        word = ABSENT.get((name,)) or ABSENT.get((name, *parameters[:1]))
        if word is None:
            return None
        if self.is_all:
            return f"a recording has no {word}"
        return f"the {'demo' if self.is_demo else 'past'} has no {word}; = goes back to now"

    def guarded(self, inside: Inside) -> Inside:
        """Return whom to ask, who answers nothing of now while the past is shown."""
        if not self.is_possible:
            return inside
        return Inside(*(self._guarded(name, ask) for name, ask in inside._asdict().items()))

    def _guarded(self, name: str, ask: Callable[..., Any] | None) -> Any:  # noqa: ANN401  as many kinds as there are
        if ask is None:
            return None

        def answer(*arguments: object) -> object:
            return _instead(name) if self.is_shown else ask(*arguments)

        return answer


def _instead(name: str) -> object:
    """Return what is answered of the past, in the form in which it is expected."""
    from topcon.model.disk import DiskUse  # noqa: PLC0415  not before it is asked for
    from topcon.model.files import FilesSeen  # noqa: PLC0415  the same
    from topcon.model.security import Privileges  # noqa: PLC0415  the same

    answers: Mapping[str, Callable[[], object]] = {
        "tail": tuple,
        "about": lambda: None,
        "disk": DiskUse,
        "files": FilesSeen,
        "privileges": partial(Privileges, {}),
    }
    made = answers.get(name, lambda: Problem("past", "what is shown is the past, of which this cannot be asked"))
    return made()
