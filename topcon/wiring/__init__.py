"""Objects put together from settings; what is heavy is imported when it is put to use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from topcon.actions import Actions
    from topcon.config import Config
    from topcon.exporter.server import Endpoint
    from topcon.exporter.web_config import WebFile
    from topcon.kernel.cgroup import CgroupFs
    from topcon.kernel.survey import SurveyThread
    from topcon.model.event import Told
    from topcon.model.sample import Problem
    from topcon.profile import Profile
    from topcon.runtimes.watch import RuntimeWatches
    from topcon.sampler import Sampler
    from topcon.shell import Shells


def build_runtimes(config: Config) -> RuntimeWatches:
    """Prepare to follow the runtimes that are asked for, or all; none is connected yet.

    Raises:
        UsageError: there is no runtime of a name.
    """
    from topcon.runtimes import chosen
    from topcon.runtimes.watch import RuntimeWatches

    return RuntimeWatches(chosen(config.runtime) if config.runtime else None, config.host_root)


def build_sampler(
    config: Config,
    runtimes: RuntimeWatches,
    *,
    naming_s: float | None = None,
    groups: frozenset[str] | None = None,
) -> Sampler:
    """Put the readers of a host together.

    ``naming_s`` is how long a tick may look for names without a runtime. With ``groups`` there is an endpoint, which
    shows more than the screen does, and has these groups of metrics switched on.

    Raises:
        HostUnreadable: there is no ``/proc`` to read.
    """
    from topcon.findings import DEFAULT_THRESHOLDS
    from topcon.kernel.cgroup import CgroupFs
    from topcon.kernel.files import Access, raise_descriptor_limit
    from topcon.kernel.host import HostReader
    from topcon.kernel.isolated import IsolatedScan
    from topcon.kernel.mount import read_hierarchies
    from topcon.kernel.network import Networks, own_links
    from topcon.kernel.own import OwnReader
    from topcon.kernel.process import ProcFs
    from topcon.runtimes.bundle import BUDGET_S, Bundles
    from topcon.sampler import Pace, Sampler, Sources

    has_endpoint = groups is not None
    proc_root, sys_root, cgroup_root = config.roots
    cgroup_access, process_access = Access(raise_descriptor_limit()), Access()
    cgroups = CgroupFs(read_hierarchies(proc_root, cgroup_root), cgroup_access, groups, sys_root=sys_root)
    processes = ProcFs(proc_root, process_access)
    name_file = f"{config.host_root}/etc/hostname" if config.host_root else None
    sources = Sources(
        host=HostReader(proc_root, sys_root, name_file, has_detail=has_endpoint),
        cgroups=cgroups,
        processes=processes,
        isolated=IsolatedScan(processes, cgroups.processes),
        networks=Networks(processes, own_links(processes)),
        runtimes=runtimes,
        bundles=Bundles(config.host_root, proc_root, budget_s=BUDGET_S if naming_s is None else naming_s),
        cgroup_access=cgroup_access,
        process_access=process_access,
        survey=None if groups is None else _build_survey(config, groups, cgroups),
        own=OwnReader(),
    )
    pace = Pace(config.interval, config.interval, config.budget)
    return Sampler(
        sources,
        has_system_cgroups=has_endpoint,
        problems=config.problems,
        pace=pace,
        thresholds=config.thresholds or DEFAULT_THRESHOLDS,
    )


def _build_survey(config: Config, groups: frozenset[str], cgroups: CgroupFs) -> SurveyThread:
    from topcon.kernel.survey import WHOLE_SHARE, SurveyThread

    # The other half is for the ticks.
    share = WHOLE_SHARE if config.budget is None else config.budget / 2
    return SurveyThread(config.roots[0], groups, config.host_root, pids_of=cgroups.processes, share=share)


def build_actions(
    config: Config, runtimes: RuntimeWatches, tell: Callable[[Told], object] = lambda _: None
) -> Actions | None:
    """Put together what can change the host; None with ``--read-only``. ``tell`` is told what was done."""
    if config.read_only:
        return None
    from topcon.actions import Actions, AuditLog, ssh_client
    from topcon.config import default_audit_log
    from topcon.kernel.files import Access
    from topcon.kernel.mount import read_hierarchies
    from topcon.kernel.process import ProcFs

    # Whose session this is stands in our own /proc, whatever host is shown.
    log = AuditLog(config.audit_log or default_audit_log(), ssh_client(ProcFs("/proc", Access())))
    proc_root, _, cgroup_root = config.roots
    hierarchies = read_hierarchies(proc_root, cgroup_root)
    return Actions(runtimes, ProcFs(proc_root, Access()), log, hierarchies=hierarchies, tell=tell)


def build_shells(config: Config, runtimes: RuntimeWatches, actions: Actions | None) -> Shells | None:
    """Put together what opens shells in containers, and logs them where ``actions`` are; None without those."""
    if actions is None:
        return None
    from topcon.shell import Shells

    return Shells(runtimes, config.roots[0], actions.audit_log)


def build_saver(config: Config) -> Callable[[Mapping[tuple[str, ...], Any]], str]:
    """Return what writes settings into the file that they were read from, and tells what it has written.

    It is given values by their names, after those of the tables that they are in, and leaves out what the file, or
    topcon without it, says already. It raises `UsageError` if they cannot be written.
    """
    from topcon.config import Config, default_file

    defaults = Config()
    content, said = (config.origin.content, config.origin.values) if config.origin else (None, {})
    path = config.origin.path if config.origin else default_file()

    def is_said(key: tuple[str, ...], value: object) -> bool:
        table, name = (said.get(key[0], {}), key[-1]) if len(key) > 1 else (said, key[0])
        default = getattr(defaults, key[0]) if len(key) == 1 else None
        return bool(table.get(name, default) == value)

    def write(values: Mapping[tuple[str, ...], Any]) -> str:
        nonlocal content, said
        from topcon.settings_file import save

        changes = {key: value for key, value in values.items() if not is_said(key, value)}
        if not changes:
            return f"nothing to save: {path} says it already, or needs not"
        plain = {key: list(value) if isinstance(value, tuple) else value for key, value in changes.items()}
        content = save(path, content, plain)
        for key, value in changes.items():
            said = {**said, key[0]: value if len(key) == 1 else {**said.get(key[0], {}), key[1]: value}}
        return f"saved {', '.join('.'.join(key) for key in changes)} in {path}"

    return write


def build_profile(config: Config) -> Profile | None:
    """Begin the file of ``--profile``; None if none is named.

    Raises:
        UsageError: it cannot be written.
    """
    if config.profile is None:
        return None
    from topcon.errors import UsageError
    from topcon.profile import Profile

    profile = Profile(config.profile)
    try:
        profile.write()
    except OSError as error:
        message = f"--profile {config.profile}: {(error.strerror or str(error)).lower()}"
        raise UsageError(message) from None
    return profile


def build_web(config: Config) -> WebFile | None:
    """Read the file of TLS, passwords and limits; None if none is named.

    Raises:
        UsageError: it cannot be used.
    """
    if config.web_config is None:
        return None
    from topcon.exporter.web_config import WebFile

    return WebFile(config.web_config)


def exposed(config: Config, web: WebFile | None) -> tuple[Problem, ...]:
    """Return a problem for each address that others can reach without saying who they are."""
    if not config.listen:
        return ()
    from topcon.exporter.listen import is_exposed
    from topcon.model.sample import Problem

    if web is not None and web.rules().has_authentication:
        return ()
    return tuple(
        Problem(
            "endpoint",
            f"listens at {where} without authentication: who reaches it reads names and labels",
            "--web-config FILE",
        )
        for where in config.listen
        if is_exposed(where)
    )


def build_endpoint(config: Config, sampler: Sampler, web: WebFile | None) -> Endpoint:
    """Serve the newest snapshot of a sampler.

    Raises:
        HostUnreadable: an address cannot be used.
    """
    from topcon.exporter.exposition import Exposition
    from topcon.exporter.options import ExportOptions
    from topcon.exporter.server import Endpoint

    options = ExportOptions(
        labels=config.labels,
        extra_labels=config.label,
        groups=frozenset(config.enable_metrics),
        containers_only=config.containers_only,
        openmetrics=config.openmetrics,
    )
    return Endpoint(
        config.listen, Exposition(sampler, options), web, config.max_scrapes, has_openmetrics=config.openmetrics
    )
