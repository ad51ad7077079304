"""The screen: what is run without a command."""

from __future__ import annotations

import contextlib
import sys
import threading
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from topcon import wiring
from topcon.commands.options import config_of, theme_of
from topcon.commands.ticking import end_profile, need_terminal, profiled, quietly, spare_collector
from topcon.wiring.inside import build_inside, build_tails
from topcon.wiring.recording import LiveRecording
from topcon.wiring.replay import build_demo, build_memory

if TYPE_CHECKING:
    from collections.abc import Callable

    from topcon.model.snapshot import Snapshot


def run_ui(options: dict[str, Any]) -> int:
    """Show the screen until somebody quits; return the exit status."""
    config = config_of(options)
    need_terminal("topcon ps prints the tree, topcon serve serves it")
    from topcon.sampler import SamplerThread

    web = wiring.build_web(config) if config.listen else None
    profile = wiring.build_profile(config)
    config = replace(config, problems=(*config.problems, *wiring.exposed(config, web)))
    runtimes = wiring.build_runtimes(config)
    sampler = wiring.build_sampler(config, runtimes, groups=frozenset(config.enable_metrics) if config.listen else None)
    # The kernel is read while Textual, the greater part of the start, is imported. Who scrapes is not to miss anything.
    first = threading.Thread(target=quietly, args=(sampler.tick if config.listen else sampler.glance,), daemon=True)
    first.start()
    endpoint = wiring.build_endpoint(config, sampler, web) if config.listen else None
    actions = wiring.build_actions(config, runtimes, sampler.tell)
    from topcon.config import INTERVAL_SETTING
    from topcon.findings import DEFAULT_THRESHOLDS
    from topcon.rows import ViewState
    from topcon.ui.app import Following, TopconApp
    from topcon.ui.capabilities import capabilities, first_environ
    from topcon.ui.choices import KEPT, to_view

    theme, warning = theme_of(config)
    first.join()

    remembered, recalled = build_memory()
    demo_files = contextlib.ExitStack()
    recording = LiveRecording()
    threads: list[SamplerThread] = []
    tails = build_tails(config, runtimes)

    def follow(on_snapshot: Callable[[Snapshot], object], on_failure: Callable[[BaseException], object]) -> Following:
        seen = profiled(profile, sampler, tails.looking(recording.recorded(remembered(on_snapshot))))

        def begin() -> None:
            """Importing what talks to the runtimes takes a while, and the screen does not wait."""
            runtimes.start()
            if sampler.is_partial:
                # It has no rates of what was not counted yet; those come with the next.
                seen(sampler.tick())

        spare_collector()
        thread = SamplerThread(sampler, config.interval, seen, on_failure, begin=begin, budget=config.budget)
        threads.append(thread)
        thread.start()

        def set_interval(seconds: float) -> None:
            thread.interval_s = seconds

        return Following(thread.stop, set_interval)

    app = TopconApp(
        follow,
        theme=theme,
        capabilities=capabilities(first_environ(), is_ascii=config.ascii),
        warning=warning,
        first=sampler.newest,
        actions=actions,
        interval_s=config.interval,
        parse_interval=INTERVAL_SETTING.parse,
        filter_text=config.filter,
        filters=config.filters,
        keymap=config.keys,
        view=to_view({name: getattr(config, name) for name in KEPT}, ViewState()),
        save=wiring.build_saver(config),
        endpoint=endpoint.url if endpoint else None,
        thresholds=config.thresholds or DEFAULT_THRESHOLDS,
        inside=build_inside(config, runtimes)._replace(last_lines=tails.of),
        shells=wiring.build_shells(config, runtimes, actions),
        recalled=recalled,
        demo=partial(build_demo, demo_files),
        records=recording,
        on_drawn=None if profile is None else partial(profile.note, "screen", ""),
    )
    try:
        return app.run_until_quit()
    finally:
        # While all is still open that it counts.
        end_profile(profile)
        for close in (
            tails.close,
            demo_files.close,
            *([actions.close] if actions else []),
            *([endpoint.close] if endpoint else []),
        ):
            close()
        if all(thread.has_ended() for thread in threads):
            sampler.close()
        if (told := recording.end()) is not None:
            # The terminal may have gone.
            with contextlib.suppress(OSError):
                sys.stderr.write(f"topcon: recorded {told}\n")
