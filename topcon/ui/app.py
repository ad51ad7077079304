"""The app: takes in snapshots and keys, gives out lines to its widgets."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from textual import actions as textual_actions
from textual import events
from textual._compositor import ChopsUpdate, LayoutUpdate
from textual.app import App
from textual.screen import ModalScreen
from textual.widget import AwaitMount
from textual.widgets import Input

from topcon.columns import BY_NAME, SETS
from topcon.errors import UsageError
from topcon.filter import NO_FILTERS, parse_filter
from topcon.findings import DEFAULT_THRESHOLDS
from topcon.model.inside import NOTHING
from topcon.text import printable
from topcon.ui.acting import Acting
from topcon.ui.ascii_driver import AsciiDriver
from topcon.ui.bindings import KEYS, NO_KEYS, Group, Place, checked, to_name, to_textual
from topcon.ui.capabilities import EVERYTHING, Capabilities
from topcon.ui.colors import limit_colors
from topcon.ui.command import COMMANDS, Argument, parse_saved, parse_thing
from topcon.ui.driver import TerminalDriver
from topcon.ui.ending import STATUS_BASE, ending_on_signals, has_shell, has_terminal
from topcon.ui.header import Status, header_lines, hidden_of, wrong_line
from topcon.ui.marks import keys_of
from topcon.ui.messages import PastSeen, Said, SamplerFailed, ShellAsked, SnapshotReady
from topcon.ui.painter import Painter
from topcon.ui.past import BAR_LINE, TIMES, Past
from topcon.ui.preview import preview_lines
from topcon.ui.recording import Recording
from topcon.ui.saving import Saving
from topcon.ui.screens.tree import TreeScreen
from topcon.ui.shelling import LETTERS, READ_ONLY, Shelling, suited_for_shells
from topcon.ui.sources import Terminal
from topcon.ui.spans import Span, Tone, fitted
from topcon.ui.table import BLANK, said_alone
from topcon.ui.themes import load_theme, suited, theme_names
from topcon.ui.title import TITLE_S, title_text
from topcon.ui.widgets.bound import bound, to_textual_keymap
from topcon.ui.widgets.command_line import CommandLine
from topcon.ui.widgets.lines import Lines
from topcon.ui.widgets.small import HEIGHTS, WIDTHS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rich.console import RenderableType
    from textual.actions import ActionParseResult
    from textual.binding import BindingType
    from textual.dom import DOMNode
    from textual.screen import Screen
    from textual.theme import Theme

    from topcon.actions import Actions
    from topcon.filter import Filter
    from topcon.findings import Thresholds
    from topcon.model.inside import Inside
    from topcon.model.snapshot import ContainerNode, Snapshot
    from topcon.rows import ViewState
    from topcon.shell import Shells
    from topcon.ui.bindings import Key, Keymap
    from topcon.ui.past import Recalled
    from topcon.ui.recording import Records
    from topcon.ui.saving import Save
    from topcon.ui.screens.frame import FrameScreen
    from topcon.ui.spans import Spans

    Follow = Callable[[Callable[[Snapshot], object], Callable[[BaseException], object]], "Following"]

SIGHUP_STATUS, SIGINT_STATUS = STATUS_BASE + 1, STATUS_BASE + 2
LATE_S = 2.0
"""A snapshot that is older than the next one should be by so much is told to be old."""
WARNING_S = 30.0
"""How long what was wrong at the start is said."""
TERMINAL_SAMPLES = 11
"""How many snapshots back it is looked for what the terminal was sent since."""


OF_THE_TREE = frozenset(("freeze",))
"""Actions that make no sense while another screen lies over the tree."""
VIEWS = ("tree", "findings", "events", "namespaces", "disk", "sources")
"""The actions that show a view, in the order in which they follow one another."""
OF_VIEWS = frozenset((*VIEWS, "command", "next_view"))
"""Actions that make sense in each view."""
OF_TIME = frozenset(("past", "at", "speed"))
"""Actions that need a past."""
OF_SCREENS = frozenset(("help", "mouse", "redraw"))
"""Actions that make sense wherever there is no question."""
SPANS, COUNTS = ("1m", "10m", "1h", "1d"), ("100", "1000", "10000")
"""What is offered for how far back logs are read; others are taken too."""
INTERVALS = ("0.5", "1", "2", "5", "10", "60")
"""What is offered for the seconds between samples; others are taken too."""
SAID_S = 8.0
"""How long it is said what was done."""


class Following(NamedTuple):
    """A host that is being followed."""

    stop: Callable[[], None]
    set_interval: Callable[[float], None]
    """Sets the seconds between samples."""


class TopconApp(App[int], inherit_bindings=False):
    """The tree and what can be done in it."""

    TITLE = "topcon"
    CSS_PATH = "topcon.tcss"
    ENABLE_COMMAND_PALETTE = False
    HORIZONTAL_BREAKPOINTS = WIDTHS
    VERTICAL_BREAKPOINTS = HEIGHTS
    BINDINGS: ClassVar[list[BindingType]] = bound(Place.APP)

    def __init__(
        self,
        follow: Follow | None,
        *,
        theme: Theme,
        capabilities: Capabilities = EVERYTHING,
        warning: str | None = None,
        first: Snapshot | None = None,
        actions: Actions | None = None,
        interval_s: float = 1.0,
        parse_interval: Callable[[str], float] = float,
        filter_text: str = "",
        filters: Mapping[str, str] = NO_FILTERS,
        sort: str = "finding",
        keymap: Keymap = NO_KEYS,
        view: ViewState | None = None,
        save: Save | None = None,
        endpoint: str | None = None,
        thresholds: Thresholds = DEFAULT_THRESHOLDS,
        inside: Inside = NOTHING,
        shells: Shells | None = None,
        recalled: Recalled | None = None,
        demo: Callable[[], Recalled] | None = None,
        records: Records | None = None,
        on_drawn: Callable[[float], object] | None = None,
    ) -> None:
        """Show what ``follow`` makes known, from ``first`` on. Without ``actions`` nothing can be changed.

        ``inside`` is who is asked for what the snapshot does not say, and ``shells`` who opens shells, None for none.
        ``parse_interval`` takes
        what is typed for an interval, or raises ValueError with what was expected. ``keymap`` are the keys of a person,
        of which those that clash with others are left out. ``on_drawn`` is told at each snapshot the CPU seconds that
        drawing, and all else on the thread of the screen, took since the one before.
        ``capabilities`` are those of the terminal, and ``warning`` is said at first. ``view`` is what the tree
        shows at first. ``save`` writes what was chosen into the configuration file and tells what it wrote, or raises
        UsageError. ``thresholds`` are those of the findings. ``recalled`` is what there is of the past,
        ``demo`` makes that of a host which has more to show, and ``records`` is who records.
        """
        super().__init__(driver_class=AsciiDriver if capabilities.is_ascii else TerminalDriver)
        limit_colors(self, capabilities.colors)
        self._capabilities = capabilities
        self._warning = warning
        self.wear(theme)
        self._follow = follow
        self._following: Following | None = None
        self._event_loop: asyncio.AbstractEventLoop | None = None
        self._newest = first
        self._shown = first
        self._shown_since_s = time.monotonic()
        self._interval_s = interval_s
        self._parse_interval = parse_interval
        self._keys_in_force = checked(keymap).keymap
        self._history: list[str] = []
        self._doers: Mapping[str, DOMNode] = {}
        self._refusal: str | None = None
        self._said: tuple[Span, float] | None = None
        self._has_mouse = True
        self._titled_s = float("-inf")
        self._is_ending = False
        self._is_draw_owed = False
        self._is_paint_owed = False
        self._sent: deque[tuple[int, int]] = deque(maxlen=TERMINAL_SAMPLES)
        self._endpoint = endpoint
        self._thresholds = thresholds
        self._saving = Saving(self, save, self.say) if save is not None else None
        self._on_drawn = on_drawn
        self._drawn_s = 0.0
        self._is_frozen = False
        self._acting = Acting(self, actions, self._draw) if actions is not None else None
        self._past = Past(
            self, recalled, demo, lambda: self._shown, self._show_moment, self._draw, self.say, thresholds=thresholds
        )
        self._inside = inside = self._past.guarded(inside)
        self._recording = Recording(self, records, self.say, self._draw_header)
        self._shelling = Shelling(self, shells) if shells is not None else None
        self._tree = TreeScreen(
            self._header,
            self._wrong,
            self._nothing,
            acting=self._acting,
            inside=inside,
            has_shells=shells is not None,
            filter_text=filter_text,
            filters=filters,
            sort=sort,
            view=view,
        )
        self._tree.snapshot = first
        self._painter = Painter()

    def run_until_quit(self) -> int:
        """Run until the person quits or a signal ends it; return the exit status."""

        def end(status: int) -> None:
            # A signal's handler does not wake the event loop by itself.
            if self._event_loop is not None:
                self._event_loop.call_soon_threadsafe(self.exit, status)

        with ending_on_signals(end, self._close_actions):
            status = self.run()
        return self.return_code or status or 0

    def exit(self, result: int | None = None, return_code: int = 0, message: RenderableType | None = None) -> None:
        """End with this status, and take no more keys; what is being opened stands first.

        It would get no widgets any more.
        """
        self._is_ending = True
        self.call_later(self._exit_standing, partial(super().exit, result, return_code, message))

    async def _exit_standing(self, leave: Callable[[], None]) -> None:
        await AwaitMount(self.screen, [self.screen])
        leave()

    def _close_actions(self) -> None:
        if self._acting is not None:
            self._acting.close()

    def get_default_screen(self) -> TreeScreen:
        """Begin with the tree."""
        return self._tree

    def on_mount(self) -> None:
        """Begin to follow the host, but not before what is known of it already has been drawn."""
        self._event_loop = asyncio.get_running_loop()
        if self._keys_in_force:
            self.set_keymap(to_textual_keymap(self._keys_in_force))
        self.screen_change_signal.subscribe(self, self._come_to_screen)
        self.app_resume_signal.subscribe(self, self._paint_anew)
        self.call_after_refresh(self._begin)
        if self._warning is not None:
            self.notify(self._warning, severity="warning", timeout=WARNING_S, markup=False)
        self.set_interval(LATE_S / 2, self._watch_age)

    def _watch_age(self) -> None:
        """Say how old what is shown is, should nothing new come."""
        if self._age_s() is not None:
            self._draw_header()

    def _begin(self) -> None:
        self._drawn_s = time.thread_time()
        if self._follow is not None:
            self._following = self._follow(
                lambda snapshot: self.post_message(SnapshotReady(snapshot)),
                lambda error: self.post_message(SamplerFailed(error)),
            )
        self._past.begin()

    def on_unmount(self) -> None:
        """Follow no more."""
        if self._following is not None:
            self._following.stop()
        self._past.close()
        self._close_actions()

    def on_snapshot_ready(self, message: SnapshotReady) -> None:
        """Draw a new snapshot, unless the screen is frozen."""
        if not self.is_headless and not has_terminal():
            self.exit(SIGHUP_STATUS)
            return
        if self._on_drawn is not None:
            before_s, self._drawn_s = self._drawn_s, time.thread_time()
            self._on_drawn(self._drawn_s - before_s)
        self._newest = message.snapshot
        self._past.preview(message.snapshot)
        self._sent.append((message.snapshot.sample.monotonic_ns, self._written_bytes() or 0))
        self._set_title(message.snapshot)
        if not (self._is_frozen or self._past.is_shown):
            self._show_moment(message.snapshot)
        elif not self._is_behind():
            self._draw_wrong()

    def on_past_seen(self, message: PastSeen) -> None:
        """Show what was."""
        self._past.take(message)

    def _show_moment(self, snapshot: Snapshot | None) -> None:
        """Draw a snapshot, that of now where it is None; not before the terminal has taken the one before."""
        self._shown, self._shown_since_s = snapshot or self._newest, time.monotonic()
        self._is_frozen = False
        if self._past.is_all:
            self._newest = self._shown
        if self._is_behind():
            self._is_draw_owed = True
        else:
            self._draw()

    def on_terminal_caught_up(self) -> None:
        """Draw what could not be drawn, as it is now, in one frame."""
        if self._is_draw_owed:
            self._is_draw_owed = False
            self._draw()
        if self._is_paint_owed:
            self._is_paint_owed = False
            # All of it, of which no more is sent than what differs from what was sent before.
            self.screen.refresh()

    def _set_title(self, snapshot: Snapshot) -> None:
        """Say in the terminal's title how the host is, not too often."""
        if isinstance(self._driver, TerminalDriver) and time.monotonic() - self._titled_s >= TITLE_S:
            self._titled_s = time.monotonic()
            self._driver.set_title(title_text(snapshot))

    def _is_behind(self) -> bool:
        return isinstance(self._driver, TerminalDriver) and self._driver.is_behind

    def _written_bytes(self) -> int | None:
        return self._driver.written_bytes if isinstance(self._driver, TerminalDriver) else None

    def _terminal(self) -> Terminal:
        """What the terminal was sent."""
        written = self._written_bytes()
        if written is None or len(self._sent) < 2:  # noqa: PLR2004  two ends
            return Terminal(written, None)
        (since_ns, before), (now_ns, sent) = self._sent[0], self._sent[-1]
        return Terminal(written, (sent - before) / ((now_ns - since_ns) / 1e9) if now_ns > since_ns else None)

    def on_sampler_failed(self, message: SamplerFailed) -> None:
        """End with the error."""
        raise message.error

    def _draw(self) -> None:
        """Show the snapshot on whatever screens are seen: the one on top, and what lies behind a dialog."""
        snapshot = self._shown
        if snapshot is None:
            return
        for screen in self._seen_screens():
            show = getattr(screen, "show", None)
            if show is not None:
                show(snapshot)

    def _seen_screens(self) -> list[Screen[Any]]:
        """Whatever is not hidden by another screen over it."""
        stack = self.screen_stack
        full = [at for at, screen in enumerate(stack) if not isinstance(screen, ModalScreen)]
        return stack[full[-1] if full else 0 :]

    def _draw_header(self) -> None:
        for screen in self._seen_screens():
            for lines in screen.query("#header").results(Lines):
                lines.show(self._header(screen.size.width))

    def _draw_wrong(self) -> None:
        """Show how far an action has got, also where the rest stands still."""
        screen = self.screen
        for line in screen.query("#wrong").results(Lines):
            line.show([self._wrong(screen.size.width)])

    def _come_to_screen(self, screen: Screen[Any]) -> None:
        """Draw the tree as it is now once nothing hides it any more."""
        if screen is self.screen_stack[0]:
            self._draw()
            self.refresh_bindings()

    def _paint_anew(self, _: App[Any]) -> None:
        """Draw all of the screen: something else has been shown meanwhile."""
        self._painter.forget()
        self.screen.refresh()

    def on_resize(self) -> None:
        """Take nothing for granted: a terminal of another size may show anything."""
        self._painter.forget()

    def _display(self, screen: Screen[Any], renderable: RenderableType | None) -> None:
        """Send what of a frame the terminal does not show yet; nothing while it has yet to take the one before."""
        if renderable is not None and self._is_behind():
            self._is_paint_owed = True
            self.post_display_hook()
            return
        is_sent = self._running and not self._closed and not self.is_headless and not self._batch_count
        if is_sent and isinstance(renderable, (LayoutUpdate, ChopsUpdate)):
            renderable = self._painter.changed(renderable)
        super()._display(screen, renderable)

    def _header(self, width: int) -> list[Spans]:
        if self._shown is None:
            return []
        status = Status(
            interval_s=self._interval_s,
            filter=self._tree.filter_text,
            matches=self._tree.matches(self._shown),
            is_frozen=self._is_frozen,
            age_s=self._age_s(),
            is_read_only=self._acting is None and not self._past.is_all,
            past=self._past.words(),
            recording=self._recording.words(),
            has_mouse=self._has_mouse,
            endpoint=self._endpoint,
            thresholds=self._thresholds,
            hidden=hidden_of(self._tree.view),
            only_sick=self._tree.view.only_sick,
            marked=len(keys_of(self._tree.view.marks)),
        )
        return [*header_lines(self._shown, status, width), *self._past.bar(width)]

    def _age_s(self) -> float | None:
        """How long what is shown has been there, if that is longer than it should be."""
        if self._past.is_shown:
            return None
        age_s = time.monotonic() - self._shown_since_s
        interval_s = self._interval_s
        if self._shown is not None and self._shown.cost is not None:
            interval_s = max(interval_s, self._shown.cost.interval_s)
        return age_s if age_s > LATE_S + (0.0 if self._is_frozen else interval_s) else None

    def _wrong(self, width: int) -> Spans:
        if self._refusal is not None:
            return fitted([Span(f" {printable(self._refusal)}", Tone.BAD)], width)
        notice = self._acting.notice(self._newest) if self._acting is not None else None
        said = self._said[0] if self._said is not None and time.monotonic() < self._said[1] else None
        if said is not None and (notice is None or said.tone is Tone.BAD):
            notice = said
        if notice is not None and notice.tone is Tone.BAD:
            # A failure has the line to itself: its reason is what counts.
            return fitted([notice._replace(text=f" {notice.text}")], width)
        return wrong_line(self._shown, notice, width, self._recording.problem) if self._shown else []

    def _nothing(self, width: int, height: int) -> list[Spans]:
        """Say that there are no containers, and show what it looks like where there are some."""
        if self._past.is_shown:
            return said_alone("no containers then")
        invitation = "; enter plays a demo with some" if self._past.has_demo else ""
        lines = [*said_alone(f"no containers on this host yet{invitation}"), BLANK]
        previewed = self._past.previewed
        if previewed is not None:
            lines += preview_lines(previewed.playing, previewed.snapshot, width, height - len(lines))
        return lines

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Whether a key works now: what is not possible has no key."""
        if action in OF_TIME:
            return self._past.check(parameters) and not self.screen.is_modal and not isinstance(self.focused, Input)
        if action in OF_THE_TREE:
            return self.screen is self._tree and not self._past.is_shown
        if action in OF_VIEWS:
            takes_commands = action == "command" and getattr(self.screen, "takes_commands", False)
            is_view = bool(getattr(self.screen, "view_name", ""))
            return (is_view or takes_commands) and not isinstance(self.focused, Input)
        if action in OF_SCREENS:
            return not self.screen.is_modal and not isinstance(self.focused, Input)
        return self._has_what_it_takes(action)

    def _has_what_it_takes(self, action: str) -> bool:
        match action:
            case "demo":
                return self._past.has_demo
            case "record":
                return self._recording.is_possible
            case "save":
                return self._saving is not None
            case "suspend_process":
                return self._driver is not None and self._driver.can_suspend and has_shell()
            case _:
                return True

    def action_tree(self) -> None:
        """Show the tree again, or, where it is shown already, as a tree."""
        if not self._leave_view():
            self._tree.action_arrange("tree")

    def _leave_view(self) -> bool:
        """Take away the view that lies over the tree, if there is one."""
        is_there = len(self.screen_stack) > 1
        if is_there:
            self.pop_screen()
        return is_there

    def reveal(self, key: str) -> None:
        """Go to the row of a container or pod in the tree, closing whatever lies over it."""
        while len(self.screen_stack) > 1:
            self.pop_screen()
        self._draw()
        self._tree.reveal(key)

    def action_findings(self, key: str | None = None) -> None:
        """Show what is wrong, with the row of this key alone, or with all."""
        from topcon.ui.screens.findings import FindingsScreen  # noqa: PLC0415  not before it is asked for

        screen = self.screen
        if not isinstance(screen, FindingsScreen) or not screen.widen():
            self._show_view(FindingsScreen(key, self.reveal, self._header, self._wrong))

    def action_events(self) -> None:
        """Show what has happened."""
        from topcon.ui.screens.events import EventScreen  # noqa: PLC0415  not before it is asked for

        view = EventScreen(self._header, self._wrong, reveal=self.reveal, show_sources=self.action_sources)
        self._show_view(view)

    def action_namespaces(self) -> None:
        """Show who lives in which namespace."""
        from topcon.ui.screens.namespaces import NamespaceScreen  # noqa: PLC0415  not before it is asked for

        self._show_view(NamespaceScreen(lambda: self._tree.view, self._header, self._wrong, self._inside))

    def action_who(self, text: str) -> None:
        """Say which container something belongs to."""
        from topcon.ui.screens.who import WhoScreen  # noqa: PLC0415  not before it is asked for

        who, newest, shown = self._inside.who, self._newest, self._shown
        if who is not None and newest is not None and shown is not None:
            screen = WhoScreen(text, lambda: who(text, newest), self.reveal, self._header, self._wrong)
            self.push_screen(screen)
            screen.show(shown)

    def action_disk(self) -> None:
        """Show who fills the disk."""
        from topcon.ui.screens.disk import DiskScreen  # noqa: PLC0415  not before it is asked for

        def open_details(key: str) -> None:
            self._tree.open_details(key, "files", self._shown)

        def chosen() -> Filter:
            return self._tree.view.filter

        self._show_view(DiskScreen(self._inside.disk, chosen, open_details, self._header, self._wrong))

    def action_sources(self) -> None:
        """Show how reading goes, and what topcon costs."""
        from topcon.ui.screens.sources import SourceScreen  # noqa: PLC0415  not before it is asked for

        self._show_view(SourceScreen(self._terminal, self._header, self._wrong))

    def _show_view(self, screen: FrameScreen) -> None:
        """Put a view in the place of the one that lies over the tree; the key of the one that is shown goes back."""
        is_shown = isinstance(self.screen, type(screen))
        if self._shown is not None:
            self._leave_view()
        if self._shown is not None and not is_shown:
            self.push_screen(screen)
            screen.show(self._shown)

    async def action_next_view(self, step: int) -> None:
        """Show the view that comes after this one, or before it."""
        at = VIEWS.index(str(getattr(self.screen, "view_name", VIEWS[0])))
        await self.run_action(VIEWS[(at + step) % len(VIEWS)])

    def action_command(self) -> None:
        """Ask for a command."""
        from topcon.ui.palette import possible  # noqa: PLC0415  not before it is asked for

        arguments = self._arguments()
        commands, self._doers = possible(self, self._keys_in_force, arguments)
        self.screen.query_one(CommandLine).open(commands, arguments, self._history)

    def _arguments(self) -> Mapping[str, Argument]:
        """What commands can be given, by its kind."""
        from topcon.model.playing import SPEEDS, parse_speed  # noqa: PLC0415  not before it is asked for
        from topcon.moment import parse_moment  # noqa: PLC0415  the same
        from topcon.ui.logs import parse_count, parse_since  # noqa: PLC0415  the same

        return {
            "SECONDS": Argument(INTERVALS, self._parse_interval),
            "COLUMN": Argument(tuple(BY_NAME)),
            "SET": Argument(tuple(SETS)),
            "THEME": Argument(tuple(theme_names())),
            "filter NAME": Argument(("filter ",), parse_saved),
            **({} if self._inside.who is None else {"THING": Argument((), parse_thing)}),
            "SPAN": Argument(SPANS, parse_since),
            "LINES": Argument(COUNTS, parse_count),
            "TIME": Argument(TIMES, lambda text: parse_moment(text, self._past.now_ns)),
            "FILE": Argument(parse=str),
            "SPEED": Argument([f"{speed:g}x" for speed in SPEEDS], parse_speed),
            "EXPRESSION": Argument(tuple(f"@{name}" for name in self._tree.filters), self._parse_filter),
        }

    def _parse_filter(self, text: str) -> str:
        parse_filter(text, self._tree.filters)
        return text

    async def _command(self, line: CommandLine) -> None:
        """Do what was typed, or say what was expected."""
        try:
            call = line.asked()
        except ValueError as error:
            self._refusal = str(error)
            self._draw()
            return
        if call is not None:
            line.action_close()
            destination, name, values = textual_actions.parse(call.action)
            await self.run_action((destination, name, (*values, *call.values)), self._doers.get(call.action))

    def action_interval(self, seconds: float) -> None:
        """Set the time between samples."""
        self._interval_s = seconds
        if self._following is not None:
            self._following.set_interval(seconds)
        self._draw()

    def on_input_changed(self) -> None:
        """What is typed may be right now."""
        if self._refusal is not None:
            self._refusal = None
            self._draw()

    async def on_event(self, event: events.Event) -> None:
        """Do what a key does, and let all else happen."""
        if not isinstance(event, events.Key) or event.is_forwarded:
            await super().on_event(event)
        elif self._is_ending:
            event.stop()
        elif self._is_two_keys(event):
            taker = self.focused or self.screen
            await self._take(events.Key("escape", "\x1b"))
            # Not before the escape has been taken, and has done what it does.
            taker.call_later(self.post_message, events.Key(to_name(str(event.character)), event.character))
        else:
            await self._take(event)

    def _is_two_keys(self, event: events.Key) -> bool:
        """Whether it is escape and the character right behind it: nobody wants them for one.

        tmux and slow lines send them together, as terminals send alt with a character.
        """
        if not event.key.startswith("alt+") or event.character is None or not event.character.isprintable():
            return False
        return event.key not in {to_textual(key) for keys in self._keys_in_force.values() for key in keys}

    async def _take(self, event: events.Key) -> None:
        """Do what a key does, at once where there is nothing to type into.

        On its way through the widgets, one that was typed ahead would be overtaken by one that opens a line or a menu.
        """
        screen = self.screen
        if screen.is_modal or isinstance(self.focused, Input):
            await super().on_event(event)
        elif not await self._check_bindings(event.key, priority=True):
            if screen is self._tree:
                self._tree.pressed(event.key, is_told=not self._past.is_shown)
            await self._check_bindings(event.key)

    async def on_input_submitted(self, event: Input.Submitted) -> None:
        """Do what was typed."""
        if isinstance(event.input, CommandLine):
            await self._command(event.input)

    def wear(self, theme: Theme) -> None:
        """Draw all in the colours of a theme, as far as the terminal has them."""
        self.register_theme(suited(theme, self._capabilities.colors))
        if self.is_running and self.theme == theme.name:
            # Its file may say something else by now.
            self.refresh_css(animate=False)
        self.theme = theme.name

    def action_set_theme(self, name: str) -> None:
        """Wear the theme of that name."""
        wrong = self._try_on(name)
        if wrong is not None:
            self.say(wrong, Tone.BAD)

    def _try_on(self, name: str) -> str | None:
        """Wear the theme of that name; where that cannot be, say why."""
        try:
            self.wear(load_theme(name))
        except UsageError as error:
            return str(error)
        return None

    def action_themes(self) -> None:
        """Look at the themes, and choose one."""
        from topcon.ui.screens.theme import ThemeScreen  # noqa: PLC0415  not before it is asked for

        self.push_screen(ThemeScreen(theme_names(), self.theme, self._try_on, self._capabilities.colors))

    def say(self, text: str, tone: Tone = Tone.GOOD) -> None:
        """Say what was done, or why it was not, for a while, in the line of what is wrong."""
        self._said = Span(printable(text), tone), time.monotonic() + SAID_S
        self._draw_wrong()

    def on_shell_asked(self, message: ShellAsked) -> None:
        """Open a shell in one of the containers, which the person chooses if there are several that run."""
        running = suited_for_shells(message.containers)
        if self._shelling is None:
            self.say(READ_ONLY, Tone.WARN)
        elif len(running) == 1:
            self._shelling.ask(running[0])
        elif running:
            self._choose_for_shell(running, self._shelling)
        else:
            self.say("no shell: nothing of it runs", Tone.WARN)

    def _choose_for_shell(self, containers: Sequence[ContainerNode], shelling: Shelling) -> None:
        from topcon.ui.screens.menu import Choice, MenuScreen  # noqa: PLC0415  not before it is asked for

        def choose(at: int | None) -> None:
            if at is not None:
                shelling.ask(containers[at])

        choices = [Choice(letter, printable(each.name)) for letter, each in zip(LETTERS, containers, strict=False)]
        self.push_screen(MenuScreen("Shell in", choices), choose)

    def on_said(self, message: Said) -> None:
        """Say it."""
        self.say(message.text)

    def action_mouse(self) -> None:
        """Give the mouse to the terminal, which marks text with it, or take it back."""
        self._has_mouse = not self._has_mouse
        if isinstance(self._driver, TerminalDriver):
            self._driver.set_mouse(has_mouse=self._has_mouse)
        self._draw_header()

    def action_interrupt(self) -> None:
        """Quit as a program that was interrupted."""
        self.exit(SIGINT_STATUS)

    def action_redraw(self) -> None:
        """Draw all of the screen, whatever the terminal shows."""
        self._paint_anew(self)

    def action_freeze(self) -> None:
        """Hold the screen still, or go on with what is now."""
        self._is_frozen = not self._is_frozen
        if not self._is_frozen:
            self._shown, self._shown_since_s = self._newest, time.monotonic()
        self._draw()

    def action_past(self, verb: str, amount: float) -> None:
        """Do what a key of time does."""
        self._past.do(verb, amount)

    def action_at(self, wall_ns: int) -> None:
        """Show what was at a moment, nanoseconds since 1970."""
        self._past.jump(wall_ns)

    def action_demo(self) -> None:
        """Play what was on a host that has more to show; what goes back to now goes back to this one."""
        self._past.play_demo()

    def action_speed(self, speed: float) -> None:
        """Play the past so many times as fast as it was."""
        self._past.speed(speed)

    def on_back_asked(self) -> None:
        """Go back to now."""
        self._past.leave()

    def on_click(self, event: events.Click) -> None:
        """Go to where the time bar was clicked."""
        if event.widget is not None and event.widget.id == "header" and event.y == BAR_LINE:
            self._past.clicked(event.x, event.widget.size.width)

    def refusal(self, action: str | ActionParseResult) -> str | None:
        """Say why something is not done that would be done otherwise; None where it may be."""
        return self._past.refusal(action)

    async def run_action(
        self,
        action: str | ActionParseResult,
        default_namespace: DOMNode | None = None,
        namespaces: Mapping[str, DOMNode] | None = None,
    ) -> bool:
        """Do it, unless it is not done in the past."""
        refusal = self.refusal(action)
        if refusal is None:
            return await super().run_action(action, default_namespace, namespaces)
        self.say(refusal, Tone.WARN)
        return True

    def action_save(self, name: str | None = None) -> None:
        """Write what was chosen into the configuration file; with a name, the filter alone, under that name."""
        if self._saving is not None and name is None:
            self._saving.choices(self.theme, self._interval_s, self._tree.view)
        elif self._saving is not None:
            self._tree.filters = self._saving.filter(str(name), self._tree.filter_text, self._tree.filters)

    def action_record(self, file: str = "") -> None:
        """Record into a file, or end that."""
        self._recording.ask(file, self._newest)

    def action_help(self) -> None:
        """Show the keys of the screen."""
        from topcon.ui.palette import possible  # noqa: PLC0415  not before it is asked for
        from topcon.ui.screens.help import HelpScreen, help_lines  # noqa: PLC0415  not before it is asked for

        places = getattr(self.screen, "places", ())
        keys = [key for key in KEYS if key.place in places and self._is_in_help(key)]
        names = {name for command in possible(self, {}, self._arguments()).commands for name in command.names}
        commands = [command for command in COMMANDS if command.names[0] in names]
        self.push_screen(HelpScreen(lambda width: help_lines(keys, self._keys_in_force, commands, width)))

    def _is_in_help(self, key: Key) -> bool:
        if key.group is Group.ACT and self._acting is None:
            return False
        return key.place is not Place.APP or bool(self.check_action(key.action.partition("(")[0], ()))
