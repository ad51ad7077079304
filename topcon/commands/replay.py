"""``topcon replay`` and ``topcon demo``: the screen over what was recorded."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from topcon import wiring
from topcon.commands.options import add_settings, config_of, theme_of
from topcon.commands.recorded import moment_in, thresholds_of, times_of
from topcon.commands.ticking import need_terminal, spare_collector
from topcon.wiring.replay import build_demo, build_replay, first_of

if TYPE_CHECKING:
    from topcon.commands.options import Parser
    from topcon.config import Config
    from topcon.ui.past import Recalled


def fill_replay(replay: Parser) -> None:
    """Add the options of ``replay``."""
    from topcon.config import UI_SETTINGS, VIEW_SETTINGS

    replay.add_argument("file", type=Path, metavar="FILE", help="a recording, which may still be written")
    replay.add_argument(
        "--at", dest="moment", metavar="TIME", help="begin at: 03:12, '2026-11-22 03:12', -10m before its end, now"
    )
    add_settings(replay, *VIEW_SETTINGS, *UI_SETTINGS)
    replay.set_defaults(run=_run_replay)


def fill_demo(demo: Parser) -> None:
    """Add the options of ``demo``."""
    from topcon.config import UI_SETTINGS, VIEW_SETTINGS

    add_settings(demo, *VIEW_SETTINGS, *UI_SETTINGS)
    demo.set_defaults(run=_run_demo)


def _run_replay(options: dict[str, Any]) -> int:
    from topcon.recording.reader import Reader

    path: Path = options.pop("file")
    moment: str | None = options.pop("moment")
    config = _screen_config(options)
    with Reader(path) as reader:
        times_of(reader, path)
        recalled = build_replay(
            reader, 0 if moment is None else reader.index_at(moment_in(reader, path, "--at", moment))
        )
    return _show(config, recalled)


def _run_demo(options: dict[str, Any]) -> int:
    config = _screen_config(options)
    with ExitStack() as stack:
        return _show(config, build_demo(stack))


def _screen_config(options: dict[str, Any]) -> Config:
    config = config_of(options)
    need_terminal("topcon ps --from FILE --at TIME prints the tree of a recording")
    return config


def _show(config: Config, recalled: Recalled) -> int:
    """Show the screen until somebody quits; return the exit status."""
    from topcon.rows import ViewState
    from topcon.ui.app import TopconApp
    from topcon.ui.capabilities import capabilities, first_environ
    from topcon.ui.choices import KEPT, to_view

    theme, warning = theme_of(config)
    first = first_of(recalled, thresholds_of(config))
    spare_collector()
    return TopconApp(
        None,
        theme=theme,
        capabilities=capabilities(first_environ(), is_ascii=config.ascii),
        warning=warning,
        first=first,
        interval_s=config.interval,
        filter_text=config.filter,
        filters=config.filters,
        keymap=config.keys,
        view=to_view({name: getattr(config, name) for name in KEPT}, ViewState()),
        save=wiring.build_saver(config),
        thresholds=thresholds_of(config),
        recalled=recalled._replace(is_all=True),
    ).run_until_quit()
