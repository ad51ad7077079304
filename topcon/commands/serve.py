"""``topcon serve``: the endpoint without a screen."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from topcon import __version__, wiring
from topcon.commands.options import add_settings, config_of
from topcon.commands.ticking import AwaitedEnd, end_profile, profiled, spare_collector, teller
from topcon.errors import TopconError

if TYPE_CHECKING:
    from topcon.commands.options import Parser


def fill(serve: Parser) -> None:
    """Add the options of ``serve``."""
    from topcon.config import COST_SETTINGS, ENDPOINT_SETTINGS, HOST_SETTINGS

    add_settings(serve, *HOST_SETTINGS, *COST_SETTINGS, *ENDPOINT_SETTINGS)
    serve.set_defaults(run=_run_serve)


def _run_serve(options: dict[str, Any]) -> int:
    from topcon.exporter.listen import LOOPBACK, notify
    from topcon.sampler import SamplerThread

    config = config_of(options)
    config = replace(config, listen=config.listen or (LOOPBACK,))
    web = wiring.build_web(config)
    profile = wiring.build_profile(config)
    config = replace(config, problems=(*config.problems, *wiring.exposed(config, web)))
    runtimes = wiring.build_runtimes(config)
    sampler = wiring.build_sampler(config, runtimes, groups=frozenset(config.enable_metrics))
    end = AwaitedEnd()
    # Who asks before the first reading waits for it.
    endpoint = wiring.build_endpoint(config, sampler, web)
    try:
        sampler.tick()
    except TopconError:
        endpoint.close()
        raise
    spare_collector()
    seen = profiled(profile, sampler, teller(lambda: endpoint.problems))
    thread = SamplerThread(sampler, config.interval, seen, end.fail, budget=config.budget)
    thread.start()
    runtimes.start()
    for url in endpoint.urls:
        sys.stderr.write(f"topcon: {__version__} serves {url}\n")
    notify("READY=1")
    status = end.wait()
    notify("STOPPING=1")
    has_ended = thread.has_ended()
    end_profile(profile)
    endpoint.close()
    if has_ended:
        sampler.close()
    end.raise_failure()
    return status
