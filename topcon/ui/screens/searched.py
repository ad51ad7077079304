"""A screen over the tree whose lines can be chosen and searched."""

from __future__ import annotations

from typing import TYPE_CHECKING

from topcon.ui.screens.list import ListScreen
from topcon.ui.widgets.answer_line import AnswerBar

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from topcon.ui.widgets.answer_line import AnswerLine


class SearchedScreen(ListScreen):
    """Shows all entries, or those alone that have some words in them."""

    _before = ""
    """What was looked for when the line was opened."""

    @property
    def words(self) -> str:
        """What is looked for; empty for all."""
        raise NotImplementedError

    def search(self, words: str) -> None:
        """Look for something else from now on."""
        raise NotImplementedError

    def compose(self) -> ComposeResult:
        """Lay out the frame, and the line that the words are typed into."""
        yield from super().compose()
        yield AnswerBar()

    def action_search(self) -> None:
        """Ask for the words."""
        self._before = self.words
        self.query_one(AnswerBar).open("/", self.words, "words to look for")

    def on_answer_line_typed(self, message: AnswerLine.Typed) -> None:
        """Look for what is there by now."""
        self.search(message.text)

    def on_answer_line_answered(self, message: AnswerLine.Answered) -> None:
        """Go on looking for it."""
        self.search(message.text)

    def on_answer_line_dropped(self) -> None:
        """Look for what was looked for before."""
        self.search(self._before)

    def action_dismiss(self, result: None = None) -> None:  # type: ignore[override]  # it waits for nothing
        """Show all again, or go back."""
        del result
        if self.words:
            self.search("")
        else:
            self.dismiss()
