from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from fakes import HOST_NAMESPACES
from samples import COMPOSE, HOST_NETNS, own_namespaces, running, sample_of, snapshot_after

from tests.ui.looking import text
from topcon.ui.messages import SnapshotReady
from topcon.ui.screens.namespaces import NamespaceScreen

if TYPE_CHECKING:
    from collections.abc import Callable

    from samples import Box

    from topcon.model.snapshot import Snapshot
    from topcon.ui.app import TopconApp

SIZE = (80, 24)


def living(name: str, project: str | None = None, **inodes: int) -> Box:
    process: dict[str, Any] = {"namespaces": own_namespaces(name, **inodes)}
    if "net" in inodes:
        process["netns"] = HOST_NETNS if inodes["net"] == HOST_NAMESPACES["net"] else inodes["net"]
    return running(name, info={"labels": {COMPOSE: project}} if project else {}, process=process)


def at_host(name: str, *kinds: str) -> Box:
    return living(name, **{kind: HOST_NAMESPACES[kind] for kind in kinds})


def machine(*more: Box) -> Snapshot:
    """Two that share a network, one of them with a debugger; agents of the host; some by themselves."""
    return snapshot_after(
        sample_of(
            living("api", net=4026540001, ipc=4026540002),
            living("api-sidecar", net=4026540001, ipc=4026540002),
            living("api-debug", net=4026540001),
            living("shop-web-1", "shop"),
            living("shop-db-1", "shop"),
            at_host("node-agent", "net", "pid"),
            at_host("debugger", "net", "pid", "ipc", "uts", "mnt", "cgroup"),
            living("remapped", user=4026540003),
            *more,
        )
    )


@pytest.mark.parametrize("key", ["1", "4", "escape", "q"])
async def test_4_shows_the_namespaces_and_these_go_back(make_app: Callable[..., TopconApp], key: str) -> None:
    app = make_app(first=machine())
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("4")
        assert isinstance(app.screen, NamespaceScreen)
        assert "shop-web-1" in text(app, "#page")

        await pilot.press(key)

        assert len(app.screen_stack) == 1


async def test_new_snapshots_are_followed(make_app: Callable[..., TopconApp]) -> None:
    app = make_app(first=machine())
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("4")
        assert "newcomer" not in text(app, "#page")

        app.post_message(SnapshotReady(machine(living("newcomer"))))
        await pilot.pause()

        assert "newcomer" in text(app, "#page")


async def test_the_keys_of_the_tree_do_nothing_here(make_app: Callable[..., TopconApp]) -> None:
    app = make_app(first=machine())
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("4", "slash", "s", "enter", "S")
        await pilot.pause()

        assert isinstance(app.screen, NamespaceScreen)
        assert len(app.screen_stack) == 2


async def test_the_filter_of_the_tree_holds_here(make_app: Callable[..., TopconApp]) -> None:
    app = make_app(first=machine(), filter_text="remapped")
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("4")

        assert "remapped" in text(app, "#page")
        assert "shop-web-1" not in text(app, "#page")


async def test_it_scrolls_and_the_titles_stay(make_app: Callable[..., TopconApp]) -> None:
    app = make_app(first=machine())
    async with app.run_test(size=(80, 16)) as pilot:
        await pilot.press("4")
        assert "In the host's namespaces" not in text(app, "#page")

        await pilot.press("end")
        await pilot.pause()

        assert "In the host's namespaces" in text(app, "#page")
        assert "NAME" in app.screen.query_one("#titles").render_line(0).text


async def test_a_resize_draws_it_anew(make_app: Callable[..., TopconApp]) -> None:
    app = make_app(first=machine())
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("4")
        assert "A api-debug" not in text(app, "#page")

        await pilot.resize_terminal(140, 30)
        await pilot.pause()

        assert "A api-debug" in text(app, "#page")


@pytest.mark.parametrize("size", [(80, 34), (140, 24)], ids=lambda size: f"{size[0]}x{size[1]}")
async def test_the_picture(
    make_app: Callable[..., TopconApp], picture: Callable[[TopconApp], bool], size: tuple[int, int]
) -> None:
    app = make_app(first=machine())
    async with app.run_test(size=size) as pilot:
        await pilot.press("4")
        await pilot.pause()

        assert picture(app)
