"""Keys, and what they are found by: other keys of a person, the palette, the help, a click, the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from textual import events

from tests.ui.looking import select, text, typed_ahead
from topcon.ui.bindings import KEYS, Place, keys_of, to_textual
from topcon.ui.screens.disk import DiskScreen
from topcon.ui.screens.events import EventScreen
from topcon.ui.screens.findings import FindingsScreen
from topcon.ui.screens.help import HelpScreen
from topcon.ui.screens.menu import MenuScreen
from topcon.ui.screens.namespaces import NamespaceScreen
from topcon.ui.screens.sources import SourceScreen
from topcon.ui.screens.tree import TreeScreen
from topcon.ui.widgets.bound import bound
from topcon.ui.widgets.command_line import CommandLine, Offers
from topcon.ui.widgets.keys import Keys, key_at, key_spans
from topcon.ui.widgets.lines import Lines, ScrollLines
from topcon.ui.widgets.tree_table import TreeTable

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.pilot import Pilot

    from topcon.ui.app import TopconApp

    MakeApp = Callable[..., TopconApp]

SIZE = (120, 40)


async def opened(pilot: Pilot[Any], typed: str = "") -> CommandLine:
    names = {" ": "space", "-": "minus", "@": "at", ".": "full_stop"}
    await pilot.press("colon", *[names.get(character, character) for character in typed])
    await pilot.pause()
    return pilot.app.screen.query_one(CommandLine)


def test_every_line_of_the_table_is_a_binding_of_its_place() -> None:
    for place in Place:
        assert len(bound(place)) == sum(key.place is place for key in KEYS)


async def test_the_app_has_no_key_that_is_not_in_the_table(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("ctrl+q", "ctrl+s")
        await pilot.pause()

        assert not app._exit
        assert set(app._bindings.key_to_bindings) == {
            to_textual(each) for key in KEYS if key.place is Place.APP for each in key.keys
        }


async def test_everything_in_the_table_is_there_to_be_done(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        nodes = {Place.APP: app, Place.TREE: app.screen, Place.TABLE: app.query_one(TreeTable)}
        for key in KEYS:
            if key.place in nodes:
                assert hasattr(nodes[key.place], f"action_{key.action.partition('(')[0]}"), key.id


async def test_a_person_has_other_keys_also_on_screens_that_come_later(make_app: MakeApp) -> None:
    app = make_app(keymap={"sort": ("Z",), "help": ("H", "f3"), "details": ("E",), "close": ("b",), "stop": ("T",)})
    async with app.run_test(size=(120, 100)) as pilot:
        await select(pilot, app, "hog")
        shown = text(app, "#keys")
        assert "Z sort" in shown
        assert "T stop" in shown
        await pilot.press("s", "question_mark", "enter", "S")
        await pilot.pause()
        assert len(app.screen_stack) == 1

        await pilot.press("Z")
        assert isinstance(app.screen, MenuScreen)
        await pilot.press("escape", "E")
        assert "b back" in text(app, "#keys")
        await pilot.press("E")
        assert len(app.screen_stack) == 1
        await pilot.press("E", "b", "H")
        await pilot.pause()
        assert isinstance(app.screen, HelpScreen)
        assert "   H  F3 " in text(app, "#help")


async def test_what_is_started_and_stopped_with_one_key_still_is_with_another(make_app: MakeApp) -> None:
    app = make_app(keymap={"stop": ("T",)})
    async with app.run_test(size=SIZE) as pilot:
        await select(pilot, app, "done")

        assert "T start" in text(app, "#keys")


async def test_a_key_that_something_else_has_is_not_taken(make_app: MakeApp) -> None:
    app = make_app(keymap={"freeze": ("q",)})
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("f")
        assert "FROZEN" in text(app, "#header")
        await pilot.press("q")
        await pilot.pause()
    assert app.return_code == 0


async def test_tab_goes_through_the_views_and_back(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        views = (FindingsScreen, EventScreen, NamespaceScreen, DiskScreen, SourceScreen)
        for screen in views:
            await pilot.press("tab")
            assert isinstance(app.screen, screen)
        for screen in reversed(views[:-1]):
            await pilot.press("shift+tab")
            assert isinstance(app.screen, screen)
        await pilot.press("shift+tab")
        assert len(app.screen_stack) == 1
        await pilot.press("shift+tab")
        assert isinstance(app.screen, SourceScreen)
        await pilot.press("tab")
        assert len(app.screen_stack) == 1


@pytest.mark.parametrize("key", [":", "ctrl+p"])
async def test_the_palette_lists_what_can_be_done_with_its_keys(make_app: MakeApp, key: str) -> None:
    app = make_app()
    async with app.run_test(size=(120, 60)) as pilot:
        await select(pilot, app, "hog")
        await pilot.press(to_textual(key))
        await pilot.pause()
        shown = text(app, "#offers")

        assert ":tree" in shown
        assert "who shares which namespaces" in shown
        await pilot.press(*"stop")
        await pilot.pause()
        assert text(app, "#offers").split()[:3] == ["▸", ":stop", "stop"]


async def test_what_is_not_possible_is_not_listed(make_app: MakeApp) -> None:
    app = make_app(actions=None)
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot, "restart")
        assert text(app, "#offers").strip() == ""

        await pilot.press("escape", "6")
        await opened(pilot, "sort")
        assert ":sort" not in text(app, "#offers")


async def test_what_is_nearest_is_done_with_enter(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot, "frez")
        await pilot.press("enter")
        await pilot.pause()

        assert "FROZEN" in text(app, "#header")
        assert app.screen.query_one(Offers).display is False
        assert isinstance(app.focused, TreeTable)


async def test_arrows_choose_and_tab_takes_over(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        line = await opened(pilot)
        await pilot.press("down", "down")
        assert text(app, "#offers").splitlines()[1].startswith(" ▸ :findings")
        await pilot.press("up", "tab")
        assert line.value == "tree"
        await pilot.press("ctrl+u", *"sort", "tab", *"na", "tab")
        assert line.value == "sort name"
        await pilot.press("enter")
        await pilot.pause()
        assert app._tree.view.sort == "name"


async def test_one_that_wants_an_argument_waits_for_it(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        line = await opened(pilot, "inter")
        await pilot.press("enter")
        await pilot.pause()
        assert line.value == "interval "
        assert line.is_open
        await pilot.press("down", "down", "enter")
        await pilot.pause()
        assert app._interval_s == 2.0
        assert not line.is_open


async def test_what_is_not_possible_now_does_nothing_else_in_its_place(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot, "remove")
        assert "remove-stopped" in text(app, "#offers")
        await pilot.press("enter")
        await pilot.pause()

        assert len(app.screen_stack) == 1
        assert "remove: not possible here and now" in text(app, "#wrong")


async def test_what_only_has_a_letter_of_it_somewhere_is_not_done(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        line = await opened(pilot, "x")
        assert "next-view" in text(app, "#offers")
        assert "▸" not in text(app, "#offers")
        await pilot.press("enter")
        await pilot.pause()
        assert (line.is_open, app.screen is app._tree) == (True, True)
        assert "'x': expected a command" in text(app, "#wrong")

        await pilot.press("ctrl+u", *"set", "down", "enter")
        await pilot.pause()
        assert not line.is_open


async def test_up_in_an_empty_line_goes_to_what_was_done_before(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        for typed in ("interval 5", "freeze"):
            await opened(pilot, typed)
            await pilot.press("enter")
            await pilot.pause()
        line = await opened(pilot)
        await pilot.press("up")
        assert line.value == "freeze"
        await pilot.press("up")
        assert line.value == "interval 5"
        await pilot.press("down", "down")
        assert line.value == ""


async def test_a_click_on_what_is_offered_does_it(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot, "sources")
        await pilot.click(Offers, offset=(10, 0))
        await pilot.pause()

        assert isinstance(app.screen, SourceScreen)


@pytest.mark.parametrize("size", [(40, 10), (80, 24), (200, 60)])
async def test_the_list_leaves_room_for_the_tree(make_app: MakeApp, size: tuple[int, int]) -> None:
    app = make_app()
    async with app.run_test(size=size) as pilot:
        line = await opened(pilot)
        await pilot.press("up")

        assert app.query_one(TreeTable).size.height >= 1
        assert line.region.bottom == size[1]
        assert " ▸ " in text(app, "#offers")


async def test_what_is_pasted_into_a_line_is_one_clean_line(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        line = await opened(pilot)
        line.post_message(events.Paste("filter \x1b[31mx\nq\n"))
        await pilot.pause()

        assert line.value == r"filter \x1b[31mx q"


async def test_what_is_pasted_into_the_tree_does_nothing(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        before = text(app, "#tree")
        app.post_message(events.Paste("qSK\n"))
        await pilot.pause()

        assert text(app, "#tree") == before
        assert len(app.screen_stack) == 1


async def test_keys_typed_ahead_take_effect_in_their_order(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        line = await opened(pilot, "abc")
        for key, character in (("ctrl+u", None), ("x", "x"), ("backspace", None), ("y", "y")):
            app.post_message(events.Key(key, character))
        await pilot.pause()
        await pilot.pause()

        assert line.value == "y"


async def test_a_key_that_does_nothing_says_so(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("f3")
        await pilot.pause()
        assert "F3 does nothing here; ? shows the keys" in text(app, "#wrong")

        await opened(pilot, "E")
        await pilot.pause()
        assert "E does nothing" not in text(app, "#wrong")


def cursor(app: TopconApp) -> int:
    row, rows = app.query_one(TreeTable).row, app._tree._rows
    assert row is not None
    assert rows is not None
    return [each.key for each in rows].index(row.key)


async def test_a_character_right_behind_escape_is_a_key_of_its_own(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        tree = app.query_one(TreeTable)
        line = await opened(pilot, "abc")
        app.post_message(events.Key("alt+j", "j"))
        await pilot.pause()
        await pilot.pause()

        assert (line.has_focus, tree.has_focus) == (False, True)
        assert cursor(app) == 1


@pytest.mark.parametrize(
    ("typed", "moved", "filtered", "sort", "arrangement"),
    [
        ("jj/hog", 2, "hog", "finding", "tree"),
        ("jj:sort mem\r", 2, "", "mem", "tree"),
        ("jjsm", 2, "", "mem", "tree"),
        ("tsnj", 1, "", "name", "flat"),
    ],
)
async def test_keys_that_come_all_at_once_are_done_in_their_order(
    make_app: MakeApp, typed: str, moved: int, filtered: str, sort: str, arrangement: str
) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        moves: list[int] = []
        tree = app.query_one(TreeTable)
        move = tree.action_move
        tree.action_move = lambda rows: (moves.append(rows), move(rows))  # type: ignore[method-assign,assignment,func-returns-value]
        typed_ahead(app, typed)
        for _ in range(4):
            await pilot.pause()

        assert sum(moves) == moved
        view = app._tree.view
        assert (view.filter.text, view.sort, view.arrangement) == (filtered, sort, arrangement)


async def test_what_a_person_has_given_alt_and_a_character_is_done(make_app: MakeApp) -> None:
    app = make_app(keymap={"down": ("alt+j",), "last": ("alt+E",)})
    async with app.run_test(size=SIZE) as pilot:
        app.post_message(events.Key("alt+j", "j"))
        await pilot.pause()
        assert cursor(app) == 1

        # As terminals tell of a capital.
        app.post_message(events.Key("alt+shift+e", "E"))
        await pilot.pause()
        assert cursor(app) > 1


@pytest.mark.parametrize(("size", "is_side_by_side"), [((80, 24), False), ((130, 50), True)])
async def test_the_help_has_two_columns_where_there_is_room(
    make_app: MakeApp, size: tuple[int, int], is_side_by_side: bool
) -> None:
    app = make_app()
    async with app.run_test(size=size) as pilot:
        await pilot.press("h")
        await pilot.pause()
        await pilot.pause()
        first = next(line for line in text(app, "#help").splitlines() if line.startswith(" Move"))

        assert (first.strip() != "Move") is is_side_by_side
        for _ in range(4):
            await pilot.press("pagedown")
        assert app.screen.query_one(ScrollLines).scroll_offset.y > 0 or is_side_by_side


@pytest.mark.parametrize("key", ["enter", "6"])
async def test_the_help_of_a_page_has_its_keys(make_app: MakeApp, key: str) -> None:
    app = make_app()
    async with app.run_test(size=(120, 60)) as pilot:
        await pilot.press(key, "question_mark")
        await pilot.pause()
        await pilot.pause()
        shown = text(app, "#help")

        assert "back to the tree" in shown
        assert "restart" not in shown
        await pilot.press("escape", "escape")
        assert len(app.screen_stack) == 1


async def test_a_click_on_a_key_does_what_the_key_does(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        at = text(app, "#keys").index("s sort") + 3
        await pilot.click(Keys, offset=(at, 0))
        await pilot.pause()

        assert isinstance(app.screen, MenuScreen)


def test_a_column_of_the_line_of_keys_belongs_to_a_key() -> None:
    spans = key_spans([("S", "stop"), ("ctrl+x", "go")], 80)
    written = "".join(span.text for span in spans)

    assert [key_at(spans, x) for x in (0, written.index("S"), written.index("p"), written.index("g"), 79)] == [
        None,
        "S",
        "S",
        "ctrl+x",
        None,
    ]


@pytest.mark.parametrize(
    ("keys", "width", "expected"),
    [
        ([("enter", "keep"), ("esc", "drop"), ("space", "show, hide")], 30, "enter keep  esc drop"),
        ([("enter", "details"), ("/", "filter"), ("?", "help"), ("q", "quit")], 32, "enter details  ? help  q quit"),
        ([("enter", "details"), ("?", "help"), ("q", "quit")], 18, "? help  q quit"),
    ],
)
def test_where_not_all_keys_find_room_the_first_stays_and_help_and_quit(
    keys: list[tuple[str, str]], width: int, expected: str
) -> None:
    assert "".join(span.text for span in key_spans(keys, width)).strip() == expected


async def test_the_mouse_is_given_away_and_taken_back_and_that_is_said(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("m")
        assert "mouse off" in text(app, "#header")
        await pilot.press("m")
        assert "mouse off" not in text(app, "#header")


@pytest.mark.parametrize(
    ("key", "what", "copied"),
    [
        ("n", "name", "hog"),
        ("i", "id", "5" * 64),
        ("s", "short id", "5" * 12),
        ("m", "image", "shop:1.4"),
        ("p", "pid", "105"),
        ("c", "cgroup path", f"/system.slice/docker-{'5' * 64}.scope"),
        ("enter", "name", "hog"),
    ],
)
async def test_y_copies_and_says_what(make_app: MakeApp, key: str, what: str, copied: str) -> None:
    app = make_app()
    async with app.run_test(size=(160, 40)) as pilot:
        await select(pilot, app, "hog")
        await pilot.press("y")
        assert isinstance(app.screen, MenuScreen)
        await pilot.press(key)
        await pilot.pause()
        await pilot.pause()

        assert app.clipboard == copied
        assert text(app, "#wrong").strip().startswith(f"{what}")
        assert copied[:20] in text(app, "#wrong")


async def test_the_menu_of_copies_is_left_with_esc(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("y", "down", "escape")

        assert len(app.screen_stack) == 1
        assert app.clipboard == ""


async def test_ctrl_c_ends_it_as_what_was_interrupted(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("/", "ctrl+c")
        await pilot.pause()

    assert app.return_value == 130


@pytest.mark.parametrize("behind", ["6", "4", "?", "s", "c", "y", "/x", ":theme"])
async def test_what_is_typed_behind_a_quit_does_nothing(make_app: MakeApp, behind: str) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        typed_ahead(app, f"q{behind}")
        await pilot.pause()

    assert app.return_code == 0


@pytest.mark.parametrize("over", [(), (HelpScreen,)])
async def test_a_storm_of_keys_opens_and_closes_what_they_say(make_app: MakeApp, over: tuple[type, ...]) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        typed_ahead(app, "6161464?\x1b4:\x1b4s\x1bc\x1by\x1b6?q1" * 3 + "?" * len(over))
        for _ in range(100):
            await pilot.pause()

        assert [type(screen) for screen in app.screen_stack] == [TreeScreen, *over]


async def test_a_storm_of_keys_with_a_quit_in_it_ends_well(make_app: MakeApp) -> None:
    """Also where a quit overtakes the key before it, on its way through a dialog."""
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        typed_ahead(app, "6161464?q:\x1bs\x1bc\x1by\x1b?4" * 5)
        for _ in range(100):
            await pilot.pause()

    assert app.return_code == 0


async def test_redraw_and_a_storm_of_sizes_end_in_a_right_picture(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        before = text(app, "#tree")
        for width in (40, 10, 200, 79, 5, 120):
            await pilot.resize_terminal(width, 40)
        await pilot.press("ctrl+l")
        await pilot.pause()

        assert text(app, "#tree") == before
        assert app.screen.query_one("#header", Lines).size.width == 120


def test_all_keys_of_the_contract_are_there_where_their_feature_is() -> None:
    for name, keys in {"filter": ("/", "f4"), "sort": ("s", "f6"), "copy": ("y",), "quit": ("q", "f10")}.items():
        assert keys_of(name, {}) == keys
