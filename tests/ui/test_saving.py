"""``:save`` writes what was chosen into the configuration file, and says what it wrote or why not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from topcon.config import default_file, load_config
from topcon.ui.widgets.lines import Lines
from topcon.wiring import build_saver

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.pilot import Pilot

    from topcon.ui.app import TopconApp

SIZE = (120, 30)


@pytest.fixture
def make_saving(make_app: Callable[..., TopconApp]) -> Callable[..., TopconApp]:
    """An app that saves into the default file, which is read as it is then."""

    def make(**options: object) -> TopconApp:
        config = load_config({}, None)
        return make_app(save=build_saver(config), filters=config.filters, **options)

    return make


async def save(pilot: Pilot[int], name: str | None = None) -> None:
    app = pilot.app
    await app.run_action("save" if name is None else f"save({name!r})")
    await app.workers.wait_for_complete()
    await pilot.pause()


def told(app: TopconApp) -> str:
    return app.screen.query_one("#wrong", Lines).render_line(0).text.strip()


async def test_what_was_chosen_with_keys_is_there_at_the_next_start(make_saving: Callable[..., TopconApp]) -> None:
    app = make_saving()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("a", "r", "t")
        await app.run_action("set_theme('paper')")
        await save(pilot)

        assert told(app).startswith("saved theme, sort, arrangement, hide in /")
    config = load_config({}, None)
    assert (config.theme, config.sort, config.arrangement, config.hide, config.problems) == (
        "paper",
        "finding:reversed",
        "flat",
        ("stopped",),
        (),
    )


async def test_a_filter_is_saved_by_name_and_can_be_used_at_once(make_saving: Callable[..., TopconApp]) -> None:
    app = make_saving(filter_text="shop !web")
    async with app.run_test(size=SIZE) as pilot:
        await save(pilot, "back")
        app._tree.filter_by("@back")

        assert app._tree.filter_text == "@back"
        assert load_config({}, None).filters == {"back": "shop !web"}


@pytest.mark.parametrize(
    ("filter_text", "reason"), [("", "there is no filter to save"), ("@back", "no filter is saved as back")]
)
async def test_a_filter_that_is_none_is_not_saved(
    make_saving: Callable[..., TopconApp], filter_text: str, reason: str
) -> None:
    default_file().parent.mkdir(parents=True)
    before = "[filters]\nback = 'shop'\n"
    default_file().write_text(before)
    app = make_saving(filter_text=filter_text)
    async with app.run_test(size=SIZE) as pilot:
        await save(pilot, "back")

        assert reason in told(app)
    assert default_file().read_text() == before


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        (None, "interval = 7\n", "somebody has changed it"),
        ("interval = 7\n", "interval = 8\n", "somebody has changed it"),
        ("interval 7\n", "interval 7\n", "Expected '='"),
    ],
)
async def test_what_cannot_be_saved_says_why(
    make_saving: Callable[..., TopconApp], before: str | None, after: str, reason: str
) -> None:
    default_file().parent.mkdir(parents=True)
    if before is not None:
        default_file().write_text(before)
    app = make_saving()
    default_file().write_text(after)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("a")
        await save(pilot)

        assert [reason in note.message for note in app._notifications] == [True]
    assert default_file().read_text() == after


async def test_without_a_file_to_save_into_nothing_is_offered(make_app: Callable[..., TopconApp]) -> None:
    app = make_app()
    async with app.run_test(size=SIZE):
        assert not app.check_action("save", ())
