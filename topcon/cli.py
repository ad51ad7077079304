"""The command line: arguments to wiring.

The only module that knows every other; it imports none before it is needed.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import gc
import io
import os
import signal
import sys
import threading
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from topcon import __version__
from topcon.errors import HostUnreadable, TopconError, UsageError
from topcon.wiring import (
    build_actions,
    build_endpoint,
    build_profile,
    build_runtimes,
    build_sampler,
    build_saver,
    build_shells,
    build_web,
    exposed,
)
from topcon.wiring.inside import build_inside, build_who

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from textual.theme import Theme

    from topcon.actions import Actions, Request, Verb, Way
    from topcon.config import Config, Origin, Setting
    from topcon.exporter.server import Endpoint
    from topcon.model.snapshot import ContainerNode, Snapshot
    from topcon.profile import Profile
    from topcon.runtimes.watch import RuntimeWatches
    from topcon.sampler import Sampler

EXIT_FAILED = 1
EXIT_WARNINGS = 1
EXIT_CRITICAL = 2
EXIT_USAGE = 64
EXIT_UNAVAILABLE = 69
EXIT_INTERRUPTED = 130
SERVED_UNTIL = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
LONGEST_GRACE_S = 86400
COLLECTOR_THRESHOLDS = (50_000, 50, 100)
"""Samples and snapshots are free of cycles: to look through them for some took a tenth of a tick."""
SPEEDY_NS = 60 * 10**9
"""After a minute at the speed that was asked for, it is worth a word that it is kept."""
FIRST_ANSWER_S = 2.0
"""How long a command waits for the runtimes to lend their names, and how long it looks for names without them."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run topcon; return the exit status."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal of another encoding shows what it can.
        sys.stdout.reconfigure(errors="backslashreplace")
    # All that is made while it starts stays: to look through it for garbage costs as much as to make it.
    gc.disable()
    try:
        try:
            options = vars(_parser().parse_args(arguments))
            run: Callable[[dict[str, Any]], int] = options.pop("run")
            status = run(options)
        finally:
            # --help and --version end with SystemExit.
            sys.stdout.flush()
            gc.enable()
    except (UsageError, HostUnreadable) as error:
        sys.stderr.write(f"topcon: {error}\n")
        return EXIT_USAGE if isinstance(error, UsageError) else EXIT_UNAVAILABLE
    except TopconError as error:
        sys.stderr.write(f"topcon: {error}\n")
        return EXIT_FAILED
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        _close_stdout()
        return 0
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        _close_stdout()
        sys.stderr.write(f"topcon: cannot write: {error.strerror}\n")
        return EXIT_FAILED
    return status


def _close_stdout() -> None:
    """Leave nothing to flush, so that Python does not complain while it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _Parser(argparse.ArgumentParser):
    """Reports a mistake in one line."""

    fill: Callable[[_Parser], object] | None = None
    """Adds its options, once it is known to be the one that is asked for."""

    def parse_known_args(  # type: ignore[override]  # nobody here brings a namespace of another class
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        if self.fill is not None:
            fill, self.fill = self.fill, None
            fill(self)
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        sys.stderr.write(f"topcon: {message}; {self.prog} --help tells more\n")
        sys.exit(EXIT_USAGE)


def _parser() -> argparse.ArgumentParser:
    from topcon.config import COST_SETTINGS, ENDPOINT_SETTINGS, HOST_SETTINGS, UI_SETTINGS, VIEW_SETTINGS

    parser = _Parser(
        prog="topcon",
        description="Show the containers of this host, live, as the kernel counts them.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"topcon {__version__}")
    parser.set_defaults(run=_run_ui)
    _add(parser, *HOST_SETTINGS, *VIEW_SETTINGS, *UI_SETTINGS, *COST_SETTINGS, *ENDPOINT_SETTINGS)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", parser_class=_Parser)
    for name, (text, fill) in _COMMANDS.items():
        commands.add_parser(name, help=text).fill = fill
    return parser


def _fill_serve(serve: _Parser) -> None:
    from topcon.config import COST_SETTINGS, ENDPOINT_SETTINGS, HOST_SETTINGS

    _add(serve, *HOST_SETTINGS, *COST_SETTINGS, *ENDPOINT_SETTINGS)
    serve.set_defaults(run=_run_serve)


def _fill_ps(ps: _Parser) -> None:
    from topcon.config import HOST_SETTINGS, VIEW_SETTINGS

    form = ps.add_mutually_exclusive_group()
    form.add_argument("--json", dest="form", action="store_const", const="json", help="print one JSON object")
    form.add_argument("--csv", dest="form", action="store_const", const="csv", help="print a line a container")
    _add(ps, *HOST_SETTINGS, *VIEW_SETTINGS)
    ps.set_defaults(run=_run_ps)


def _fill_why(why: _Parser) -> None:
    from topcon.config import FILTER_SETTING, HOST_SETTINGS

    why.add_argument("--json", action="store_true", help="print one JSON object")
    _add(why, *HOST_SETTINGS, FILTER_SETTING)
    why.set_defaults(run=_run_why)


def _fill_doctor(doctor: _Parser) -> None:
    from topcon.config import HOST_SETTINGS

    doctor.add_argument("--json", action="store_true", help="print one JSON object")
    _add(doctor, *HOST_SETTINGS)
    doctor.set_defaults(run=_run_doctor)


def _fill_who(who: _Parser) -> None:
    from topcon.config import HOST_SETTINGS

    who.add_argument("thing", nargs="+", metavar="THING", help="pid, :port, address, veth, cgroup, path, line of dmesg")
    who.add_argument("--json", action="store_true", help="print one JSON object")
    _add(who, *HOST_SETTINGS)
    who.set_defaults(run=_run_who)


def _fill_action(verb: str, action: _Parser) -> None:
    from topcon.config import HOST_SETTINGS

    action.add_argument("targets", nargs="+", metavar="TARGET", help="name, start of an id, or runtime:name")
    action.add_argument("--yes", action="store_true", help="do not ask")
    if verb in {"stop", "restart"}:
        action.add_argument("--grace", type=_grace, metavar="S", help="seconds before SIGKILL")
    if verb == "kill":
        action.add_argument("--signal", type=_signal, default="SIGKILL", help="which (default SIGKILL)")
    _add(action, *HOST_SETTINGS)
    action.set_defaults(run=_run_action, verb=verb)


def _fill_setup(setup: _Parser) -> None:
    from topcon.config import LISTEN_SETTING
    from topcon.setup import DASHBOARD_NAMES

    files = setup.add_subparsers(title="files", metavar="WHAT", required=True, parser_class=_Parser)
    for what, (text, write) in _SETUP.items():
        file = files.add_parser(what, help=text)
        file.set_defaults(run=_run_setup, write=write)
        if what == "grafana":
            file.add_argument(
                "dashboard", nargs="?", choices=DASHBOARD_NAMES, default="host", help="which (default host)"
            )
        if what == "prometheus":
            _add(file, LISTEN_SETTING)


_COMMANDS: dict[str, tuple[str, Callable[[_Parser], None]]] = {
    "serve": ("serve Prometheus, without a screen", _fill_serve),
    "ps": ("print the tree as text, JSON or CSV", _fill_ps),
    "why": ("say what is wrong on this host now, worst first", _fill_why),
    "who": ("say which container it is: from a pid, port, address, veth, cgroup, path ...", _fill_who),
    "doctor": ("say what topcon can and cannot read here, and how to mend it", _fill_doctor),
    **{
        verb: (text, partial(_fill_action, verb))
        for verb, text in (
            ("stop", "stop containers"),
            ("restart", "restart containers"),
            ("pause", "freeze containers"),
            ("unpause", "let paused containers run again"),
            ("kill", "send a signal to containers"),
        )
    },
    "setup": ("print a file that is ready to use: a service, alerts, dashboards, ...", _fill_setup),
}
"""What can be asked for: what is said of it, and what adds its options."""


def _add(parser: argparse.ArgumentParser, *settings: Setting) -> None:
    """Add options. Those not given are left out of the result, so that the file's apply."""
    parser.add_argument("--config", type=Path, default=argparse.SUPPRESS, metavar="FILE", help="configuration file")
    for setting in settings:
        options: dict[str, Any] = {
            "dest": setting.key,
            "default": argparse.SUPPRESS,
            "help": setting.help.replace("%", "%%"),
        }
        if setting.metavar is None:
            options |= {"action": "store_true"}
        else:
            parse = setting.items if setting.is_list else setting.parse
            options |= {"metavar": setting.metavar, "type": _typed(parse)}
            if setting.is_list:
                options |= {"action": "extend"}
        parser.add_argument(f"--{setting.name}", **options)


def _typed(take: Callable[[str], Any]) -> Callable[[str], Any]:
    def parse(text: str) -> object:
        try:
            return take(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return parse


def _grace(text: str) -> float:
    try:
        seconds = float(text.removesuffix("s"))
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= LONGEST_GRACE_S:
        message = f"{text!r}: expected seconds, from 0 to {LONGEST_GRACE_S}"
        raise argparse.ArgumentTypeError(message)
    return seconds


def _signal(text: str) -> str:
    from topcon.signals import signal_name

    try:
        return signal_name(text)
    except ValueError:
        message = f"{text!r}: there is no such signal"
        raise argparse.ArgumentTypeError(message) from None


def _config(options: dict[str, Any]) -> Config:
    from topcon.config import load_config

    file = options.pop("config", None)
    lists = {key: tuple(value) for key, value in options.items() if isinstance(value, list)}
    config = load_config(options | lists, file)
    if config.origin is not None and "theme" in config.origin.values:
        config = _with_known_theme(config, config.origin, is_option="theme" in options)
    return config


def _with_known_theme(config: Config, origin: Origin, *, is_option: bool) -> Config:
    """Say so where there is no such theme as the file's; ours takes its place."""
    from topcon.config import DEFAULT_THEME, one_of
    from topcon.model.sample import Problem
    from topcon.ui.themes import theme_names

    theme = origin.values["theme"]
    try:
        # Ours needs no look.
        one_of(theme, [theme] if theme == DEFAULT_THEME else theme_names())
    except ValueError as error:
        problem = Problem("config", f"{origin.place('theme')}: theme = {error}")
        return replace(
            config,
            theme=config.theme if is_option else DEFAULT_THEME,
            origin=origin._replace(values={name: each for name, each in origin.values.items() if name != "theme"}),
            problems=(problem, *config.problems),
        )
    return config


def _run_ui(options: dict[str, Any]) -> int:
    config = _config(options)
    # The screen is drawn on stderr, as Textual has it.
    if not all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)):
        message = "the screen needs a terminal; topcon ps prints the tree, topcon serve serves it"
        raise UsageError(message)
    from topcon.sampler import SamplerThread

    web = build_web(config) if config.listen else None
    profile = build_profile(config)
    config = replace(config, problems=(*config.problems, *exposed(config, web)))
    runtimes = build_runtimes(config)
    sampler = build_sampler(config, runtimes, groups=frozenset(config.enable_metrics) if config.listen else None)
    # The kernel is read while Textual, the greater part of the start, is imported. Who scrapes is not to miss anything.
    first = threading.Thread(target=_quietly, args=(sampler.tick if config.listen else sampler.glance,), daemon=True)
    first.start()
    endpoint = build_endpoint(config, sampler, web) if config.listen else None
    actions = build_actions(config, runtimes, sampler.tell)
    from topcon.config import INTERVAL_SETTING
    from topcon.findings import DEFAULT_THRESHOLDS
    from topcon.rows import ViewState
    from topcon.ui.app import Following, TopconApp
    from topcon.ui.capabilities import capabilities, first_environ
    from topcon.ui.choices import KEPT, to_view

    theme, warning = _theme(config)
    first.join()

    threads: list[SamplerThread] = []

    def follow(on_snapshot: Callable[[Snapshot], object], on_failure: Callable[[BaseException], object]) -> Following:
        seen = _profiled(profile, sampler, on_snapshot)

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
        save=build_saver(config),
        endpoint=endpoint.url if endpoint else None,
        thresholds=config.thresholds or DEFAULT_THRESHOLDS,
        inside=build_inside(config, runtimes),
        shells=build_shells(config, runtimes, actions),
        on_drawn=None if profile is None else partial(profile.note, "screen", ""),
    )
    try:
        return app.run_until_quit()
    finally:
        # While all is still open that it counts.
        _end_profile(profile)
        if actions:
            actions.close()
        if endpoint:
            endpoint.close()
        if all(thread.has_ended() for thread in threads):
            sampler.close()


def _theme(config: Config) -> tuple[Theme, str | None]:
    """Read the theme; where its file is wrong, our own, and what is wrong."""
    from topcon.config import DEFAULT_THEME
    from topcon.ui.themes import theme_or_default

    return theme_or_default(config.theme, DEFAULT_THEME)


def _profiled(
    profile: Profile | None, sampler: Sampler, on_snapshot: Callable[[Snapshot], object]
) -> Callable[[Snapshot], object]:
    """Have each tick taken down before its snapshot is handed on."""
    if profile is None:
        return on_snapshot

    def take(snapshot: Snapshot) -> None:
        profile.take(snapshot, sampler.tick_s, sampler.spent)
        on_snapshot(snapshot)

    return take


def _end_profile(profile: Profile | None) -> None:
    """Write it for the last time."""
    if profile is None:
        return
    try:
        profile.write()
    except OSError as error:
        sys.stderr.write(f"topcon: cannot write the profile: {error.strerror}\n")


def spare_collector() -> None:
    """Let the collector begin, and leave alone what is there and stays: to look through it takes 30 ms each time."""
    gc.freeze()
    gc.set_threshold(*COLLECTOR_THRESHOLDS)
    gc.enable()


def _quietly(tick: Callable[[], object]) -> None:
    """Read once ahead; what goes wrong then goes wrong again when it is waited for, and is told there."""
    with contextlib.suppress(TopconError):
        tick()


def _run_serve(options: dict[str, Any]) -> int:
    from topcon.exporter.listen import LOOPBACK, notify
    from topcon.sampler import SamplerThread

    config = _config(options)
    config = replace(config, listen=config.listen or (LOOPBACK,))
    web = build_web(config)
    profile = build_profile(config)
    config = replace(config, problems=(*config.problems, *exposed(config, web)))
    runtimes = build_runtimes(config)
    sampler = build_sampler(config, runtimes, groups=frozenset(config.enable_metrics))
    failures: list[BaseException] = []
    waiting = threading.get_ident()

    def fail(error: BaseException) -> None:
        failures.append(error)
        signal.pthread_kill(waiting, signal.SIGTERM)

    # Held back from here to the end, here and in the threads to come, until they are waited for: no handler would wake
    # this thread from a sleep that begins just after a signal has come, and a second one does not cut the end short.
    signal.pthread_sigmask(signal.SIG_BLOCK, SERVED_UNTIL)
    # Who asks before the first reading waits for it.
    endpoint = build_endpoint(config, sampler, web)
    try:
        sampler.tick()
    except TopconError:
        endpoint.close()
        raise
    spare_collector()
    seen = _profiled(profile, sampler, _teller(endpoint))
    thread = SamplerThread(sampler, config.interval, seen, fail, budget=config.budget)
    thread.start()
    runtimes.start()
    for url in endpoint.urls:
        sys.stderr.write(f"topcon: {__version__} serves {url}\n")
    notify("READY=1")
    number = signal.sigwait(SERVED_UNTIL)
    notify("STOPPING=1")
    has_ended = thread.has_ended()
    _end_profile(profile)
    endpoint.close()
    if has_ended:
        sampler.close()
    for failure in failures:
        raise failure
    return EXIT_INTERRUPTED if number == signal.SIGINT else 0


def _teller(endpoint: Endpoint) -> Callable[[Snapshot], None]:
    """Return what logs each problem when it begins, in the words it begins with, and when it is over."""
    from topcon.report import problem_text

    told: set[tuple[str, str]] = set()
    tell_pace = _pace_teller()

    def tell(snapshot: Snapshot) -> None:
        if pace := tell_pace(snapshot):
            sys.stderr.write(f"topcon: {pace}\n")
        problems = (*snapshot.sample.problems, *endpoint.problems)
        now = {problem.source for problem in problems}
        old = {source for source, _ in told}
        for problem in problems:
            if problem.source not in old:
                text = problem_text(problem)
                told.add((problem.source, text))
                sys.stderr.write(f"topcon: {text}\n")
        for source, text in [each for each in told if each[0] not in now]:
            told.discard((source, text))
            sys.stderr.write(f"topcon: {source}: works again\n")

    return tell


def _pace_teller() -> Callable[[Snapshot], str | None]:
    """Return what says when sampling begins to be slowed down for the budget, and when that has been over for a while.

    Around the budget it can come and go with each tick, which is not worth a line each time.
    """
    slowed_ns: int | None = None

    def tell(snapshot: Snapshot) -> str | None:
        nonlocal slowed_ns
        own, cost, now_ns = snapshot.sample.own, snapshot.cost, snapshot.sample.monotonic_ns
        if own is None or cost is None or own.budget is None:
            return None
        if cost.is_slowed:
            is_told, slowed_ns = slowed_ns is not None, now_ns
            share = f"{own.budget * 100:g}% of a core"
            asked = f"every {own.asked_interval_s:g} s"
            return None if is_told else f"samples every {own.interval_s:g} s, not {asked}, to stay within {share}"
        if slowed_ns is not None and now_ns - slowed_ns >= SPEEDY_NS:
            slowed_ns = None
            return f"samples every {own.interval_s:g} s again"
        return None

    return tell


@contextlib.contextmanager
def _sampled(config: Config, interval_s: float | None) -> Iterator[tuple[Snapshot, RuntimeWatches]]:
    """Take a sample, and with an interval a second one after it, once the runtimes have answered."""
    import time

    runtimes = build_runtimes(config)
    sampler = build_sampler(config, runtimes, naming_s=FIRST_ANSWER_S)
    try:
        runtimes.start()
        begun = time.monotonic()
        snapshot = sampler.tick()
        runtimes.wait_settled(FIRST_ANSWER_S)
        if interval_s is not None:
            time.sleep(max(begun + interval_s - time.monotonic(), 0.0))
        snapshot = sampler.tick()
        yield snapshot, runtimes
    finally:
        sampler.close()


def _run_ps(options: dict[str, Any]) -> int:
    from topcon.columns import REVERSED
    from topcon.filter import parse_filter
    from topcon.report import to_csv, to_json, to_text
    from topcon.rows import ViewState, rows

    form = options.pop("form")
    config = _config(options)
    with _sampled(config, config.interval) as (snapshot, _):
        view = ViewState(
            sort=config.sort.removesuffix(REVERSED),
            is_reversed=config.sort.endswith(REVERSED),
            filter=parse_filter(config.filter, config.filters),
        )
        # What a person folds away, a program still wants to know.
        shown = rows(snapshot, replace(view, collapsed=frozenset()) if form else view)
        write = {"json": to_json, "csv": to_csv, None: to_text}[form]
        text = write(snapshot, shown)
        sys.stdout.write(text if text.endswith("\n") else text + "\n")
    return 0


def _run_why(options: dict[str, Any]) -> int:
    from topcon.filter import parse_filter
    from topcon.model.snapshot import Severity
    from topcon.report import findings_of, findings_to_json, findings_to_text, problem_text

    is_json = options.pop("json")
    config = _config(options)
    shown = parse_filter(config.filter, config.filters)
    with _sampled(config, config.interval) as (snapshot, _):
        findings = findings_of(snapshot, shown.at(snapshot.sample.wall_ns))
        if is_json:
            sys.stdout.write(findings_to_json(snapshot, findings) + "\n")
        else:
            for problem in snapshot.sample.problems:
                sys.stderr.write(f"topcon: {problem_text(problem)}\n")
            sys.stdout.write(findings_to_text(snapshot, findings))
    worst = max((finding.severity for finding in findings), default=Severity.INFO)
    return {Severity.WARNING: EXIT_WARNINGS, Severity.CRITICAL: EXIT_CRITICAL}.get(worst, 0)


def _run_who(options: dict[str, Any]) -> int:
    from topcon.report import problem_text
    from topcon.who import nothing_text, to_json, to_text

    is_json, thing = options.pop("json"), " ".join(options.pop("thing"))
    config = _config(options)
    with _sampled(config, None) as (snapshot, _):
        answers = build_who(config)(thing, snapshot)
    sys.stdout.write(to_json(answers) + "\n" if is_json else to_text(answers))
    for problem in answers.problems:
        sys.stderr.write(f"topcon: {problem_text(problem)}\n")
    if not answers.answers:
        raise TopconError(nothing_text(answers))
    return 0


def _run_doctor(options: dict[str, Any]) -> int:
    from topcon import doctor
    from topcon.config import DEFAULT_THEME
    from topcon.runtimes import chosen

    is_json = options.pop("json")
    config = _config(options)
    proc_root, _, cgroup_root = config.roots
    checks = doctor.examine(
        proc_root, cgroup_root, config.host_root, chosen(config.runtime) if config.runtime else None
    )
    # Ours need no look, for which Textual would be imported.
    wrong_theme = None if config.theme == DEFAULT_THEME else _theme(config)[1]
    wrong = [problem.message for problem in config.problems] + ([wrong_theme] if wrong_theme else [])
    if config.origin is not None:
        where = str(config.origin.path) if config.origin.content is not None else None
        checks = [*checks, *doctor.configured(where, wrong)]
    sys.stdout.write(doctor.to_json(checks) + "\n" if is_json else doctor.to_text(checks))
    return 0


def _run_setup(options: dict[str, Any]) -> int:
    write: Callable[[dict[str, Any]], str] = options.pop("write")
    sys.stdout.write(write(options))
    return 0


def _systemd(_: dict[str, Any]) -> str:
    from topcon.setup import systemd

    return systemd.unit(systemd.own_command(sys.argv[0]))


def _prometheus(options: dict[str, Any]) -> str:
    from topcon.setup import prometheus

    return prometheus.scrape_config(_config(options).listen)


def _alerts(_: dict[str, Any]) -> str:
    from topcon.setup import alerts

    return alerts.rules()


def _grafana(options: dict[str, Any]) -> str:
    from topcon.setup import grafana

    return grafana.dashboard_text(options["dashboard"])


def _commented_config(_: dict[str, Any]) -> str:
    from topcon.setup import config

    return config.commented()


_SETUP: dict[str, tuple[str, Callable[[dict[str, Any]], str]]] = {
    "systemd": ("a unit of systemd for topcon serve, with no more rights than it needs", _systemd),
    "prometheus": ("a configuration of Prometheus that scrapes topcon", _prometheus),
    "alerts": ("alert rules for Prometheus", _alerts),
    "grafana": ("a dashboard for Grafana", _grafana),
    "config": ("topcon's configuration file, commented", _commented_config),
}
"""What can be printed: what is said of it, and what writes it."""


def _run_action(options: dict[str, Any]) -> int:
    from topcon.actions import Verb, request_for
    from topcon.report import problem_text

    verb = Verb(options.pop("verb"))
    targets: list[str] = options.pop("targets")
    is_sure: bool = options.pop("yes")
    grace_s: float | None = options.pop("grace", None)
    signal_name: str = options.pop("signal", "SIGKILL")
    config = _config(options)
    with _sampled(config, None) as (snapshot, runtimes):
        actions = build_actions(config, runtimes)
        if actions is None:
            message = f"{verb}: refused, since read-only is set"
            raise UsageError(message)
        containers = [_resolve(target, snapshot) for target in targets]
        for problem in snapshot.sample.problems:
            sys.stderr.write(f"topcon: {problem_text(problem)}\n")
        requests = [
            request_for(verb, container, grace_s, signal_name, _way(verb, container, actions))
            for container in containers
        ]
        if not is_sure:
            _ask(list(zip(requests, containers, strict=True)), snapshot, actions)
        return max(_perform(actions, request) for request in requests)


def _perform(actions: Actions, request: Request) -> int:
    outcome = actions.perform(request)
    (sys.stderr if outcome.error else sys.stdout).write(f"{'topcon: ' if outcome.error else ''}{outcome.text}\n")
    return EXIT_FAILED if outcome.error else 0


def _resolve(target: str, snapshot: Snapshot) -> ContainerNode:
    """Find the one container that a person means: by name, by ``runtime:name``, or by the start of its id."""
    from topcon.text import printable

    runtime, colon, rest = target.partition(":")
    name = rest if colon else target
    candidates = [
        container for container in snapshot.containers.values() if not colon or container.info.runtime == runtime
    ]
    found = [each for each in candidates if name in {each.name, each.info.id}]
    found = found or [each for each in candidates if name and each.info.id.startswith(name)]
    if not found:
        message = f"{target}: there is no such container; topcon ps lists them"
        raise UsageError(message)
    if len(found) > 1:
        names = ", ".join(sorted(f"{each.info.runtime}:{printable(each.name)} ({each.info.id[:12]})" for each in found))
        message = f"{target}: which one? {names}"
        raise UsageError(message)
    return found[0]


def _way(verb: Verb, container: ContainerNode, actions: Actions) -> Way:
    """Choose who does it.

    Raises:
        TopconError: nobody can.
    """
    from topcon.text import printable

    way = actions.way(verb, container) if verb in actions.verbs(container) else None
    if way is None:
        message = f"cannot {verb} {printable(container.name)}: {actions.obstacle(verb, container)}"
        raise TopconError(message)
    return way


def _ask(asked: Sequence[tuple[Request, ContainerNode]], snapshot: Snapshot, actions: Actions) -> None:
    """Ask on the terminal, with the consequences; anything but yes is no."""
    from topcon.actions import Way, describe
    from topcon.text import printable

    if not sys.stdin.isatty():
        message = f"{asked[0][0].verb} asks first, and there is no terminal to ask at; --yes goes ahead"
        raise UsageError(message)
    for request, container in asked:
        way = ", through the kernel" if request.way is Way.KERNEL else ""
        sys.stderr.write(f"{request.verb} {printable(request.name)} ({request.key}{way})\n")
        consequences = actions.consequences(request.verb, container, snapshot, request.way, request.signal)
        for line in [describe(request, container), *consequences]:
            sys.stderr.write(f"  {line}\n")
    sys.stderr.write("Go ahead? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        message = "nothing was done"
        raise TopconError(message)
