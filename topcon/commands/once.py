"""The commands that look at the host once: ``ps``, ``why``, ``who``, ``doctor``."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from topcon import wiring
from topcon.commands.options import add_settings, config_of, theme_of
from topcon.commands.recorded import add_source, recorded_snapshot, source_of, tell_problems
from topcon.commands.status import EXIT_CRITICAL, EXIT_WARNINGS
from topcon.errors import TopconError
from topcon.wiring.inside import build_who

if TYPE_CHECKING:
    from collections.abc import Iterator

    from topcon.commands.options import Parser
    from topcon.config import Config
    from topcon.model.snapshot import Snapshot
    from topcon.rows import ViewState
    from topcon.runtimes.watch import RuntimeWatches

FIRST_ANSWER_S = 2.0
"""How long a command waits for the runtimes to lend their names, and how long it looks for names without them."""


def fill_ps(ps: Parser) -> None:
    """Add the options of ``ps``."""
    from topcon.config import HOST_SETTINGS, VIEW_SETTINGS

    form = ps.add_mutually_exclusive_group()
    form.add_argument("--json", dest="form", action="store_const", const="json", help="print one JSON object")
    form.add_argument("--csv", dest="form", action="store_const", const="csv", help="print a line a container")
    add_source(ps)
    add_settings(ps, *HOST_SETTINGS, *VIEW_SETTINGS)
    ps.set_defaults(run=_run_ps)


def fill_why(why: Parser) -> None:
    """Add the options of ``why``."""
    from topcon.config import FILTER_SETTING, HOST_SETTINGS

    why.add_argument("--json", action="store_true", help="print one JSON object")
    add_source(why)
    add_settings(why, *HOST_SETTINGS, FILTER_SETTING)
    why.set_defaults(run=_run_why)


def fill_doctor(doctor: Parser) -> None:
    """Add the options of ``doctor``."""
    from topcon.config import HOST_SETTINGS

    doctor.add_argument("--json", action="store_true", help="print one JSON object")
    add_settings(doctor, *HOST_SETTINGS)
    doctor.set_defaults(run=_run_doctor)


def fill_who(who: Parser) -> None:
    """Add the options of ``who``."""
    from topcon.config import HOST_SETTINGS

    who.add_argument("thing", nargs="+", metavar="THING", help="pid, :port, address, veth, cgroup, path, line of dmesg")
    who.add_argument("--json", action="store_true", help="print one JSON object")
    add_settings(who, *HOST_SETTINGS)
    who.set_defaults(run=_run_who)


@contextlib.contextmanager
def sampled(config: Config, interval_s: float | None) -> Iterator[tuple[Snapshot, RuntimeWatches]]:
    """Take a sample, and with an interval a second one after it, once the runtimes have answered."""
    import time

    runtimes = wiring.build_runtimes(config)
    sampler = wiring.build_sampler(config, runtimes, naming_s=FIRST_ANSWER_S)
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


@contextlib.contextmanager
def _seen(options: dict[str, Any], *, is_text: bool) -> Iterator[tuple[Config, Snapshot]]:
    """Look into the recording that is named, or at this host twice; text does not say by itself when it was."""
    path, moment = source_of(options)
    config = config_of(options)
    if path is None:
        with sampled(config, config.interval) as (snapshot, _):
            yield config, snapshot
        return
    snapshot, told = recorded_snapshot(path, moment, config)
    tell_problems(config)
    if is_text:
        sys.stderr.write(f"topcon: {told}\n")
    yield config, snapshot


def view_of(config: Config, *, is_whole: bool) -> ViewState:
    """Return what is shown; what a person folds away, a program still wants to know, who wants the whole."""
    from topcon.columns import REVERSED
    from topcon.filter import parse_filter
    from topcon.rows import ViewState

    view = ViewState(
        sort=config.sort.removesuffix(REVERSED),
        is_reversed=config.sort.endswith(REVERSED),
        filter=parse_filter(config.filter, config.filters),
        has_gone=False,
    )
    return replace(view, collapsed=frozenset()) if is_whole else view


def _run_ps(options: dict[str, Any]) -> int:
    from topcon.report import to_csv, to_json, to_text
    from topcon.rows import rows

    form = options.pop("form")
    with _seen(options, is_text=form is None) as (config, snapshot):
        write = {"json": to_json, "csv": to_csv, None: to_text}[form]
        text = write(snapshot, rows(snapshot, view_of(config, is_whole=form is not None)))
        sys.stdout.write(text if text.endswith("\n") else text + "\n")
    return 0


def _run_why(options: dict[str, Any]) -> int:
    from topcon.filter import parse_filter
    from topcon.model.snapshot import Severity
    from topcon.report import findings_of, findings_to_json, findings_to_text, problem_text

    is_json = options.pop("json")
    with _seen(options, is_text=not is_json) as (config, snapshot):
        shown = parse_filter(config.filter, config.filters)
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
    config = config_of(options)
    with sampled(config, None) as (snapshot, _):
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
    config = config_of(options)
    proc_root, _, cgroup_root = config.roots
    checks = doctor.examine(
        proc_root, cgroup_root, config.host_root, chosen(config.runtime) if config.runtime else None
    )
    # Ours need no look, for which Textual would be imported.
    wrong_theme = None if config.theme == DEFAULT_THEME else theme_of(config)[1]
    wrong = [problem.message for problem in config.problems] + ([wrong_theme] if wrong_theme else [])
    if config.origin is not None:
        where = str(config.origin.path) if config.origin.content is not None else None
        checks = [*checks, *doctor.configured(where, wrong)]
    sys.stdout.write(doctor.to_json(checks) + "\n" if is_json else doctor.to_text(checks))
    return 0
