"""Themes on the screen: chosen from a list that dresses the screen at once, and with no more than the terminal has."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from textual.color import Color
from textual.strip import Strip

from topcon.ui import app as app_module
from topcon.ui.capabilities import Capabilities, Colors
from topcon.ui.screens.theme import ThemeScreen
from topcon.ui.themes import COLORS, load_theme, theme_names
from topcon.ui.widgets.lines import Lines
from topcon.ui.widgets.tree_table import TreeTable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rich.color import ColorSystem
    from rich.style import Style
    from textual.pilot import Pilot

    from topcon.ui.app import TopconApp

SGR = re.compile(r"\x1b\[([0-9;]*)m")


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the person's own themes, with none in it."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    folder = tmp_path / "config" / "topcon" / "themes"
    folder.mkdir(parents=True)
    return folder


def grounds(app: TopconApp) -> set[str]:
    """Return the grounds that the tree is drawn on, its cursor's among them."""
    tree = app.screen_stack[0].query_one(TreeTable)
    colors = [
        segment.style.bgcolor
        for y in range(tree.size.height)
        for segment in tree.render_line(y)
        if segment.style is not None and segment.style.bgcolor is not None
    ]
    return {Color.from_rich_color(color).hex.lower() for color in colors}


def ground_of(name: str) -> str:
    return Color.parse(str(load_theme(name).background)).hex.lower()


async def rested(pilot: Pilot[Any]) -> None:
    """Wait until the screen wears what the cursor is on."""
    await pilot.pause(0.2)
    await pilot.pause()


async def test_the_screen_wears_the_theme_under_the_cursor_and_esc_goes_back(
    make_app: Callable[..., TopconApp],
) -> None:
    app = make_app("topcon-dark")
    async with app.run_test(size=(100, 30)) as pilot:
        app.action_themes()
        await pilot.pause()
        before = grounds(app)
        await pilot.press("down")
        await rested(pilot)
        previewed = grounds(app)
        await pilot.press("escape")
        await rested(pilot)

        assert ground_of("topcon-dark") in before
        assert ground_of("topcon-light") in previewed
        assert not previewed & before
        assert grounds(app) == before
        assert app.theme == "topcon-dark"


async def test_enter_keeps_the_theme_even_before_it_was_seen(make_app: Callable[..., TopconApp]) -> None:
    app = make_app("topcon-dark")
    async with app.run_test(size=(100, 30)) as pilot:
        app.action_themes()
        await pilot.press("down", "enter")
        await rested(pilot)

        assert not isinstance(app.screen, ThemeScreen)
        assert app.theme == "topcon-light"
        assert ground_of("topcon-light") in grounds(app)


@pytest.mark.parametrize("size", [(40, 10), (80, 24)])
async def test_the_cursor_is_in_sight_however_many_there_are(
    make_app: Callable[..., TopconApp], own: Path, size: tuple[int, int]
) -> None:
    for at in range(40):
        (own / f"theme-{at}.toml").write_text("", encoding="utf-8")
    app = make_app()
    async with app.run_test(size=size) as pilot:
        app.action_themes()
        await pilot.pause()
        names = app.screen.query_one("#names", Lines)
        for _ in theme_names():
            await pilot.press("down")
            shown = "".join(span.text for line in names._lines for span in line)

            assert "▸" in shown
            assert len(names._lines) <= names.size.height


async def test_a_broken_theme_says_why_and_cannot_be_kept(make_app: Callable[..., TopconApp], own: Path) -> None:
    (own / "zebra.toml").write_text("dark = 1", encoding="utf-8")
    app = make_app()
    async with app.run_test(size=(100, 30)) as pilot:
        app.action_themes()
        while app.screen._names[app.screen._index] != "zebra":  # type: ignore[attr-defined]
            await pilot.press("up")
        await pilot.press("enter")
        await rested(pilot)
        said = "".join(span.text for line in app.screen.query_one("#sample", Lines)._lines for span in line)

        assert isinstance(app.screen, ThemeScreen)
        assert "dark = 1: expected true or false" in said
        await pilot.press("escape")
        assert app.theme == "topcon-dark"


async def test_a_click_goes_to_a_theme_and_one_beside_the_list_goes_back(make_app: Callable[..., TopconApp]) -> None:
    app = make_app()
    async with app.run_test(size=(100, 30)) as pilot:
        app.action_themes()
        await pilot.pause()
        await pilot.click("#names", offset=(4, 0))
        await rested(pilot)
        first = app.theme
        await pilot.click(offset=(5, 20))
        await rested(pilot)

        assert first == theme_names()[0]
        assert app.theme == "topcon-dark"
        assert not isinstance(app.screen, ThemeScreen)


async def test_a_theme_of_a_name_is_worn_and_one_that_is_not_there_is_told_of(
    make_app: Callable[..., TopconApp],
) -> None:
    app = make_app()
    async with app.run_test(size=(200, 30)) as pilot:
        app.action_set_theme("paper")
        await rested(pilot)

        assert ground_of("paper") in grounds(app)

        app.action_set_theme("nosuch")
        await pilot.pause()
        said = "".join(span.text for line in app.screen.query_one("#wrong", Lines)._lines for span in line)

        assert "nosuch: there is no such theme; there are: color-blind, " in said
        assert app.theme == "paper"


async def test_what_is_wrong_with_a_theme_is_told_after_the_command_has_gone(
    make_app: Callable[..., TopconApp], own: Path
) -> None:
    own.joinpath("broken.toml").write_text("[colors", encoding="utf-8")
    app = make_app()
    async with app.run_test(size=(200, 30)) as pilot:
        await pilot.press("colon", *"theme", "space", *"broken", "enter")
        await rested(pilot)
        said = "".join(span.text for line in app.screen.query_one("#wrong", Lines)._lines for span in line)

        assert "broken.toml: " in said
        assert app.theme == "topcon-dark"


async def test_a_theme_that_is_worn_is_read_again(make_app: Callable[..., TopconApp], own: Path) -> None:
    text = own.joinpath("mine.toml")
    content = "\n".join(
        [
            "[colors]",
            *(f'{key} = "#444444"' for key in sorted(COLORS - {"background"})),
            'background = "#101010"\n[tones]\ndim = "#555555"\ncursor = "#666666"',
        ]
    )
    text.write_text(content, encoding="utf-8")
    app = make_app("mine")
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.pause()
        before = grounds(app)
        text.write_text(content.replace("#101010", "#202020"), encoding="utf-8")
        app.action_set_theme("mine")
        await rested(pilot)

        assert "#101010" in before
        assert "#202020" in grounds(app)


def codes(written: str) -> set[int]:
    """Return all numbers in the sequences that order colours and looks."""
    return {int(number) for found in SGR.findall(written) for number in found.split(";") if number}


@pytest.fixture
def drawn(make_app: Callable[..., TopconApp], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Draw the tree, a question, the list of themes and the help; return what is sent."""
    from tests.ui.test_drawing import CountingDriver, settled  # noqa: PLC0415  a driver that keeps what is written

    monkeypatch.setattr(app_module, "has_terminal", lambda: True)
    render = Strip.render_style

    def render_anew(style: Style, text: str, color_system: ColorSystem) -> str:
        """Styles keep what they once were for the terminal; tests have several."""
        style._ansi = None
        return render(style, text, color_system)

    monkeypatch.setattr(Strip, "render_style", staticmethod(render_anew))

    async def draw(colors: Colors, theme: str = "topcon-dark") -> str:
        app = make_app(theme, capabilities=Capabilities(colors))
        app.driver_class = CountingDriver
        written = ""
        async with app.run_test(size=(100, 30)) as pilot:
            driver = await settled(app, pilot)
            for keys in (("down",), ("S",), ("escape", "slash"), ("w", "escape"), ("question_mark",)):
                await pilot.press(*keys)
                await app.workers.wait_for_complete()
                await pilot.pause()
                written += driver.taken()
            await pilot.press("escape")
            app.action_themes()
            await pilot.press("down", "down")
            await rested(pilot)
            app._paint_anew(app)
            await pilot.pause(0.05)
            return written + driver.taken()

    return draw


@pytest.mark.parametrize("theme", ["topcon-dark", "monochrome", "terminal"])
async def test_where_there_are_no_colors_none_is_sent(drawn: Callable[..., Any], theme: str) -> None:
    written = await drawn(Colors.NONE, theme)

    assert not {code for code in codes(written) if 30 <= code <= 49 or 90 <= code <= 107}
    assert codes(written) >= {1, 2, 7}


async def test_where_there_are_sixteen_no_more_are_sent(drawn: Callable[..., Any]) -> None:
    written = await drawn(Colors.FEW)

    assert not codes(written) & {38, 48}
    assert codes(written) & {31, 32, 33}


async def test_where_there_are_256_they_are_sent_by_number(drawn: Callable[..., Any]) -> None:
    written = await drawn(Colors.MANY)

    assert "38;5;" in written
    assert "38;2;" not in written
    assert "48;2;" not in written
