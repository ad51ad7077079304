"""What containers write, live: followed at its end, held where somebody scrolls up."""

from __future__ import annotations

import os
import time
from bisect import bisect_left
from dataclasses import replace
from functools import cache, partial
from typing import TYPE_CHECKING, ClassVar

from textual.widgets import Input

from topcon.logs import Output
from topcon.model.output import Wanted
from topcon.model.sample import Problem, Role
from topcon.model.snapshot import ContainerNode
from topcon.pattern import PatternError
from topcon.text import printable
from topcon.ui.bindings import Place
from topcon.ui.detail import find
from topcon.ui.lives import before_start, nothing_text, of_gone, older_than, predecessor
from topcon.ui.logs import (
    STEP,
    LogView,
    Top,
    entry_rows,
    last_top,
    page,
    parse_pattern,
    place_text,
    saved_line,
    shown_numbers,
    state_text,
    stepped,
    text_of,
)
from topcon.ui.messages import Said
from topcon.ui.screens.frame import FrameScreen
from topcon.ui.spans import Span, Tone, fitted, spread
from topcon.ui.widgets.answer_line import AnswerBar, AnswerLine
from topcon.ui.widgets.bound import bound
from topcon.ui.widgets.lines import Lines
from topcon.ui.widgets.log_lines import LogLines

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from textual.app import ComposeResult
    from textual.binding import BindingType

    from topcon.logs import Open
    from topcon.model.inside import Inside
    from topcon.model.output import Feed, LastLines
    from topcon.model.snapshot import Snapshot
    from topcon.ui.lives import Past
    from topcon.ui.spans import Spans

FRAME_S = 0.1
"""How often it is looked whether something has come."""
LINES = 1000
"""How many of each container's last lines are asked for."""
SCAN_S = 0.03
"""So long at once lines are looked through for what is asked for."""
SEARCH_S = 0.5
"""A search goes no further."""
SCANNED = 100
"""Lines that are looked through before the clock is looked at."""
HELD_ABOVE = 3
"""A line that was found stands below the part of the screen that is 1 by this."""
NOBODY = Problem("logs", "nobody can be asked here for what containers write")


class LogScreen(FrameScreen):
    """Shows the lines of one container, or of several, in the order of time."""

    BINDINGS: ClassVar[list[BindingType]] = bound(Place.LOG)
    places: ClassVar[tuple[Place, ...]] = (Place.LOG, Place.PAGE, Place.APP)
    takes_commands: ClassVar[bool] = True

    def __init__(
        self,
        keys: Sequence[str],
        title: str,
        header: Callable[[int], list[Spans]],
        wrong: Callable[[int], Spans],
        inside: Inside,
    ) -> None:
        """Show what the rows with these keys write, whatever containers are in them; ``title`` names them."""
        super().__init__(header, wrong)
        self._keys = tuple(keys)
        self._title = title
        self._inside = inside
        self.view = LogView()
        """How it is shown."""
        self.output = Output(Wanted(LINES))
        """What is read."""
        self._seen: dict[str, ContainerNode] = {}
        self._placed: set[str] = set()
        """The containers of which it was looked what they wrote in lives that are over."""
        self._kept_at: dict[str, str] = {}
        """Who told what is shown of those."""
        self._names: list[str] = []
        self._held: tuple[int, int] | None = None
        """The number of the line on top, and which of its rows; None while the end is followed."""
        self._found: int | None = None
        """The number of the line that was found last."""
        self._matching: list[int] = []
        self._scanned = 0
        """Lines before this number have been looked through for what is asked for."""
        self._asked: Callable[[str], object] = self._searched
        self._typed: Callable[[str], object] = self._searching
        self._before = self.view

    def compose(self) -> ComposeResult:
        """Lay out the frame, and the line for answers."""
        yield from super().compose()
        yield AnswerBar()

    def body(self) -> LogLines:
        """Make what the lines are shown in."""
        return LogLines(id="page")

    def on_mount(self) -> None:
        """Take the keys, and begin to look for what comes."""
        super().on_mount()
        self.set_interval(FRAME_S, self._look)

    def on_unmount(self) -> None:
        """Read no more."""
        self.output.stop()

    def fill(self, snapshot: Snapshot, width: int) -> list[Spans]:
        """Read what is in the rows by now, and show the lines."""
        there: dict[str, ContainerNode] = {node.key: node for node in self._containers(snapshot)}
        self._seen.update(there)
        feeds: dict[str, Open] = {key: partial(self._open, key) for key, node in there.items() if not node.is_gone}
        self.output.follow(dict(sorted(feeds.items(), key=lambda item: self._seen[item[0]].name)))
        self._take()
        self._draw_lines(width)
        return [self._status(width)]

    def _place_pasts(self) -> int | None:
        """Put what was written in lives that are over above the rest; return from which number on something is new."""
        since: int | None = None
        for key in [key for key in self._seen if key not in self._placed]:
            node = self._seen[key]
            changed = self._place_gone(node) if node.is_gone else self._place_before(node)
            if changed is not None:
                since = changed if since is None else min(since, changed)
        return since

    def _kept(self, node: ContainerNode) -> LastLines | None:
        return self._inside.last_lines(node.key) if self._inside.last_lines is not None else None

    def _place_gone(self, node: ContainerNode) -> int | None:
        """Put what one that is gone wrote last; where it was being read, only how it ended."""
        kept, known = self._kept(node), self.output.lines_of(node.key)
        if not known and (kept is None or not kept.lines):
            return None
        return self._put(node, of_gone(node, None if known else kept), kept)

    def _place_before(self, node: ContainerNode) -> int | None:
        """Put what one wrote before it was started again, or else what the one before it did."""
        if self.snapshot is None or (self.output.is_asking and not self.output.lines_of(node.key)):
            # What it tells itself goes as far back, perhaps.
            return None
        kept, old = self._kept(node), predecessor(self.snapshot, node)
        if kept is not None:
            past = older_than(before_start(node, kept), self.output.lines_of(node.key))
            self._placed.add(node.key)
            return None if past is None else self._put(node, past, kept)
        if old is not None and old.key not in self._placed:
            self._placed.add(node.key)
            self._seen[old.key] = old
            return self._place_gone(old)
        return None

    def _put(self, node: ContainerNode, past: Past, kept: LastLines | None) -> int:
        self._placed.add(node.key)
        if past.lines and kept is not None:
            self._kept_at[node.key] = kept.where
        return self.output.put(node.key, past.lines, past.note, past.at_ns)

    def _containers(self, snapshot: Snapshot) -> list[ContainerNode]:
        """Return what is in the rows, sandboxes left out, which write nothing."""
        nodes: dict[str, ContainerNode] = {}
        for key in self._keys:
            node = find(snapshot, key)
            inside = [] if node is None else [node] if isinstance(node, ContainerNode) else node.containers
            speaking = [each for each in inside if each.info.role is not Role.SANDBOX]
            nodes |= {each.key: each for each in speaking or inside}
        return list(nodes.values())

    def _open(self, key: str, wanted: Wanted) -> Feed | Problem:
        """Ask for what a container writes, as it is by now; on the thread that reads it."""
        follow = self._inside.follow
        return NOBODY if follow is None else follow(self._seen[key], wanted)

    def _look(self) -> None:
        """Take what has come, and draw it."""
        since = self._take()
        is_behind = self.view.only is not None and self._scanned < self.output.ring.end
        if is_behind:
            self._scan()
        if (since is not None or is_behind) and self.is_current:
            self._redraw_lines()

    def _take(self) -> int | None:
        """Take what has come, and what was kept; return the number from which on something is new."""
        news = [number for number in (self.output.take(), self._place_pasts()) if number is not None]
        if not news:
            return None
        since = min(news)
        self._scanned = min(self._scanned, since)
        if len(self._names) != len(self.output.keys):
            self._names = [printable(self._seen[key].name) for key in self.output.keys]
        return since

    def _scan(self) -> None:
        """Look through lines for what is asked for, for a while."""
        ring = self.output.ring
        until = time.monotonic() + SCAN_S
        while self._scanned < ring.end and time.monotonic() < until:
            upto = min(max(self._scanned, ring.first) + SCANNED, ring.end)
            self._matching = shown_numbers(ring, self.view, self._matching, self._scanned, upto)
            self._scanned = upto

    @property
    def _numbers(self) -> Sequence[int]:
        """The lines that are shown."""
        ring = self.output.ring
        if self.view.only is None:
            return range(ring.first, ring.end)
        return self._matching[bisect_left(self._matching, ring.first) :]

    def _rows_of(self, width: int) -> Callable[[int], list[Spans]]:
        ring, view, numbers = self.output.ring, self.view, self._numbers
        names = self._names if len(set(self._names)) > 1 else []
        now_ns = self.snapshot.sample.wall_ns if self.snapshot is not None else time.time_ns()

        @cache
        def rows(at: int) -> list[Spans]:
            number = numbers[at]
            written = entry_rows(ring.entry(number), view, names, width, now_ns)
            if number == self._found:
                written[0] = [Span("▸ ", Tone.ACCENT), *written[0][1:]]
            return written

        return rows

    def _redraw_lines(self) -> None:
        width = self.size.width
        if self.is_mounted and width:
            self._draw_lines(width - 1)
            self.query_one("#titles", Lines).show([self._status(width - 1)])

    def _draw_lines(self, width: int) -> None:
        lines = self.query_one(LogLines)
        height = lines.size.height
        notes = self._notes(width)[:height]
        numbers, rows_of = self._numbers, self._rows_of(width)
        room = height - len(notes)
        top = self._top(room, rows_of)
        rows = page(top, room, len(numbers), rows_of) if numbers else []
        shown = [*notes, *rows]
        lines.show([*shown, *([[]] * (height - len(shown)))])

    def _top(self, height: int, rows_of: Callable[[int], list[Spans]]) -> Top:
        """Return what stands on top: where it is held, or what brings the last line to the bottom."""
        numbers = self._numbers
        if self._held is None:
            return last_top(len(numbers), height, rows_of)
        number, row = self._held
        at = bisect_left(numbers, number)
        if at >= len(numbers):
            return last_top(len(numbers), height, rows_of)
        return Top(at, min(row, len(rows_of(at)) - 1) if numbers[at] == number else 0)

    def _notes(self, width: int) -> list[Spans]:
        """Say why there is nothing to read of some, or of all."""
        names = {key: printable(self._seen[key].name) for key in self.output.keys}
        several = len(names) > 1
        notes = []
        for key, problem in self.output.problems().items():
            remedy = f": {printable(problem.remedy)}" if problem.remedy else ""
            who = f"{names[key]}: " if several else ""
            notes.append([Span(f" {who}{printable(problem.message)}{remedy}", Tone.WARN)])
        now_ns = self.snapshot.sample.wall_ns if self.snapshot is not None else 0
        for key, node in self._seen.items():
            if node.is_gone and key not in self._placed and key not in names:
                who = f"{printable(node.name)}: " if len(self._seen) > 1 else ""
                is_kept = self._inside.last_lines is not None
                text = nothing_text(node, self._kept(node), now_ns, is_kept=is_kept)
                notes.append([Span(f" {who}{printable(text)}", Tone.WARN)])
        if self.output.unread:
            notes.append([Span(f" {self.output.unread} more containers are not read", Tone.WARN)])
        if not notes and not self._numbers:
            notes.append([Span(f" {self._emptiness()}", Tone.DIM)])
        return [fitted(note, width) for note in notes]

    def _emptiness(self) -> str:
        if not self.output.keys:
            return "it is gone"
        if self.view.only is not None and len(self.output.ring.entries):
            return f"no line has {printable(self.view.only.text)}; & and an empty line shows all"
        return "asked for what it has written ..." if self.output.is_asking else "it has written nothing"

    def _status(self, width: int) -> Spans:
        """Write what is shown, and how."""
        place = printable(place_text(self._kept_at | self.output.places()))
        left = [Span(" logs ", Tone.DIM), Span(printable(self._title), Tone.STRONG)]
        if place:
            left.append(Span(f"  from {place}", Tone.DIM))
        is_followed = self._held is None
        said = state_text(self.view, len(self._numbers), self.output.passed)
        right = [Span(f"{said}  ", Tone.DIM)]
        right.append(Span("following", Tone.GOOD) if is_followed else Span("held, G follows", Tone.WARN))
        return spread(left, right, width)

    def _room(self) -> int:
        return max(self.query_one(LogLines).size.height - len(self._notes(self.size.width - 1)), 1)

    def _go(self, rows: int) -> None:
        """Go down so many rows, or up; at the end, what comes is followed."""
        numbers = self._numbers
        if not numbers:
            return
        rows_of, height = self._rows_of(self.size.width - 1), self._room()
        end = last_top(len(numbers), height, rows_of)
        now = self._top(height, rows_of)
        to = stepped(now, rows, len(numbers), rows_of)
        self._held = None if to >= end else (numbers[to.at], to.row)
        self._redraw_lines()

    def on_log_lines_turned(self, message: LogLines.Turned) -> None:
        """Go as far as the wheel was turned."""
        self._go(message.rows)

    def action_step(self, rows: int) -> None:
        """Go down or up."""
        self._go(rows)

    def action_step_page(self, pages: float) -> None:
        """Go by a part of the screen."""
        self._go(int(pages * max(self._room() - 1, 1)))

    def action_oldest(self) -> None:
        """Go to the first line that is kept."""
        numbers = self._numbers
        if numbers:
            self._held = (numbers[0], 0)
            self._go(0)

    def action_newest(self) -> None:
        """Go to the last line, and follow what comes."""
        self._held = None
        self._redraw_lines()

    def action_sideways(self, steps: int) -> None:
        """Move long lines to the left or right."""
        self._see(replace(self.view, column=max(self.view.column + steps * STEP, 0)))

    def _see(self, view: LogView) -> None:
        """Show the lines in another way."""
        if view.only is not self.view.only or (view.only is not None and view.is_raw is not self.view.is_raw):
            self._matching, self._scanned = [], 0
        self.view = view
        if view.only is not None:
            self._scan()
        self._redraw_lines()
        self.refresh_bindings()

    def action_times(self) -> None:
        """Tell in another way when lines were written."""
        self._see(self.view.with_next_times())

    def action_wrap(self) -> None:
        """Wrap long lines, or cut them."""
        self._see(replace(self.view, is_wrapped=not self.view.is_wrapped, column=0))

    def action_raw(self) -> None:
        """Show JSON as it was written, or as fields."""
        self._see(replace(self.view, is_raw=not self.view.is_raw))

    def action_colors(self) -> None:
        """Keep the colours that containers write, or not."""
        self._see(replace(self.view, has_colors=not self.view.has_colors))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Whether a key works now."""
        del parameters
        if action in {"search", "only", "keep"}:
            return not isinstance(self.focused, Input)
        if action == "next_match":
            return self.view.search is not None
        return action != "sideways" or not self.view.is_wrapped

    def action_search(self) -> None:
        """Ask what to search for; it is marked as it is typed."""
        self._ask("/", self.view.search.text if self.view.search else "", self._searching, self._searched)

    def action_only(self) -> None:
        """Ask which lines to show; they are shown as it is typed."""
        self._ask("&", self.view.only.text if self.view.only else "", self._choosing, self._chosen)

    def _ask(
        self, prompt: str, text: str, typed: Callable[[str], object], asked: Callable[[str], object], hint: str = ""
    ) -> None:
        self._before, self._typed, self._asked = self.view, typed, asked
        self.query_one(AnswerBar).open(prompt, text, hint or "text, or /pattern/")

    def on_answer_line_typed(self, message: AnswerLine.Typed) -> None:
        """Show what it would do."""
        if self.query_one(AnswerBar).is_open:
            self._typed(message.text)

    def on_answer_line_answered(self, message: AnswerLine.Answered) -> None:
        """Do it."""
        self._asked(message.text)

    def on_answer_line_dropped(self) -> None:
        """Show what was shown before."""
        self._see(self._before)

    def _searching(self, text: str) -> None:
        try:
            self._see(replace(self.view, search=parse_pattern(text)))
        except PatternError:
            # It may be on its way to a right one.
            return

    def _choosing(self, text: str) -> None:
        try:
            self._see(replace(self.view, only=parse_pattern(text)))
        except PatternError:
            return

    def _searched(self, text: str) -> None:
        self._found = None
        try:
            self._see(replace(self.view, search=parse_pattern(text)))
        except PatternError as error:
            self._refuse(error)
            return
        if self.view.search is not None:
            self._find(-1, self._bottom() + 1)

    def _chosen(self, text: str) -> None:
        try:
            self._see(replace(self.view, only=parse_pattern(text)))
        except PatternError as error:
            self._refuse(error)

    def _refuse(self, error: PatternError) -> None:
        self._see(self._before)
        self.post_message(Said(str(error)))

    def _bottom(self) -> int:
        """Which of the lines that are shown stands in the last row."""
        rows_of, height, count = self._rows_of(self.size.width - 1), self._room(), len(self._numbers)
        return stepped(self._top(height, rows_of), height - 1, count, rows_of).at

    def action_next_match(self, step: int) -> None:
        """Go to the next line that has what was searched for, or to the one before."""
        numbers = self._numbers
        if self._found is not None and numbers and numbers[0] <= self._found <= numbers[-1]:
            at = bisect_left(numbers, self._found)
        else:
            at = self._bottom() + 1 if step < 0 else self._top(self._room(), self._rows_of(self.size.width - 1)).at - 1
        self._find(step, at)

    def _find(self, step: int, at: int) -> None:
        """Look for a line from one on, its own left out, all round once."""
        numbers, search = self._numbers, self.view.search
        if not numbers or search is None:
            return
        count = len(numbers)
        until = time.monotonic() + SEARCH_S
        for steps in range(1, count + 1):
            place = at + step * steps
            if search.find(text_of(self.output.ring.entry(numbers[place % count]), self.view)):
                if not 0 <= place < count:
                    self.post_message(Said(f"on from the {'first' if step > 0 else 'last'} line"))
                self._show_found(place % count)
                return
            if time.monotonic() > until:
                self.post_message(Said("searching takes too long: try a simpler pattern"))
                return
        self.post_message(Said(f"nothing has {search.text}"))

    def _show_found(self, at: int) -> None:
        """Go to a line, unless it is in sight."""
        numbers = self._numbers
        self._found = numbers[at]
        rows_of, height = self._rows_of(self.size.width - 1), self._room()
        top = self._top(height, rows_of)
        if not top.at <= at <= self._bottom():
            to = stepped(Top(at), -(height // HELD_ABOVE), len(numbers), rows_of)
            self._held = None if to >= last_top(len(numbers), height, rows_of) else (numbers[to.at], to.row)
        elif self._held is None and numbers:
            # What was found stays where it is, whatever comes.
            self._held = (numbers[top.at], top.row) if top.at or top.row else None
        self._redraw_lines()

    def action_since(self, seconds: float) -> None:
        """Read again, from so long ago on."""
        self._read_anew(Wanted(None, time.time_ns() - int(seconds * 1e9)))

    def action_tail(self, lines: int) -> None:
        """Read again, the last lines, so many."""
        self._read_anew(Wanted(lines))

    def _read_anew(self, wanted: Wanted) -> None:
        self.output.stop()
        self.output = Output(wanted)
        self._held = self._found = None
        self._matching, self._scanned, self._names = [], 0, []
        self._placed, self._kept_at = set(), {}
        self.redraw()

    def action_keep(self) -> None:
        """Ask for the name of a file to save the lines in."""
        name = "".join(character if character.isalnum() or character in "-_." else "-" for character in self._title)
        text = f"{name.strip('-.') or 'logs'}-{time.strftime('%Y%m%d-%H%M%S')}.log"
        self._ask("save in ", text, lambda _: None, self._save, "a file")

    def _save(self, text: str, may_replace: str | None = None) -> None:
        """Write the lines that are shown into a file, which the screen does not wait for."""
        if not text.strip():
            return
        view, names = self.view, self._names if len(set(self._names)) > 1 else []
        entries = [self.output.ring.entry(number) for number in self._numbers]

        def write() -> None:
            path = os.path.expanduser(text)  # noqa: PTH111  no home, no error
            # What containers write may be nobody else's business.
            flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
            flags |= os.O_TRUNC if text == may_replace else os.O_EXCL
            try:
                with open(os.open(path, flags, 0o600), "w", encoding="utf-8", errors="replace") as file:  # noqa: PTH123
                    file.writelines(f"{saved_line(entry, view, names)}\n" for entry in entries)
            except FileExistsError:
                self.app.call_later(partial(self._ask_again, text))
            except (OSError, ValueError) as error:
                why = getattr(error, "strerror", None) or str(error)
                self.post_message(Said(f"not saved: {why}: {text}"))
            else:
                self.post_message(Said(f"saved {len(entries)} line{'s' * (len(entries) != 1)} in {path}"))

        self.run_worker(write, thread=True, group="keep")

    def _ask_again(self, text: str) -> None:
        """Ask whether a file is to be replaced: the same answer says that it is."""
        self.post_message(Said(f"{text} is there already: enter replaces it, esc does not"))
        self._ask("replace ", text, lambda _: None, partial(self._save, may_replace=text), "a file")
