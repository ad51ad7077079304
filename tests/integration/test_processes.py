"""The processes of real containers against what ps says of them, and a signal to one of them."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.integration.conftest import SPIN, until
from tests.integration.inside import HIERARCHIES, node_inside
from topcon.kernel.processes import ProcessReader
from topcon.model.processes import ProcessTable

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.conftest import Dockerd, Program, Terminal
    from topcon.model.processes import Process
    from topcon.model.snapshot import ContainerNode

FAMILY = ["sh", "-c", "sleep 1001 & (sleep 1002; true) & exec sleep 1003"]


def look(reader: ProcessReader, container: ContainerNode) -> tuple[Process, ...]:
    found = reader.read([container])
    assert isinstance(found, ProcessTable)
    (members,) = found.members
    return members.processes


def test_processes_are_those_that_ps_shows(dockerd: Dockerd, names: Callable[[str], str]) -> None:
    name = names("family")
    dockerd.run(name, FAMILY)
    reader = ProcessReader("/proc", HIERARCHIES)
    until(lambda: len(dockerd.api.top(name)["Processes"]) == 4, "its processes have begun")
    container = node_inside(dockerd, name)

    found = {each.pid: each for each in look(reader, container)}
    told = dockerd.api.top(name, ps_args="-ww -o pid,ppid,euid,rss,nlwp,s,args")["Processes"]

    assert {int(row[0]) for row in told} == found.keys()
    for pid, ppid, _, rss, threads, state, command in told:
        each = found[int(pid)]
        assert (each.ppid, each.threads, each.state, each.command) == (int(ppid), int(threads), state, command)
        assert each.rss_bytes == int(rss) * 1024
        status = dict(
            line.split(":\t") for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line
        )
        assert each.ns_pid == int(status["NSpid"].split()[-1])
    assert container.process is not None
    assert found[container.process.pid].ns_pid == 1


def test_cpu_is_what_the_kernel_let_it_run(dockerd: Dockerd, names: Callable[[str], str]) -> None:
    name = names("half")
    dockerd.run(name, SPIN, nano_cpus=500_000_000)
    reader, container = ProcessReader("/proc", HIERARCHIES), node_inside(dockerd, name)
    look(reader, container)
    before_ns, began_s = _ran_ns(container), time.monotonic()
    time.sleep(3)

    (process,) = look(reader, container)
    ran = (_ran_ns(container) - before_ns) / 1e9 / (time.monotonic() - began_s)

    assert process.cpu_cores is not None
    assert process.cpu_cores <= 0.6
    # It is counted in hundredths of a second.
    assert abs(process.cpu_cores - ran) < 0.05


def _ran_ns(container: ContainerNode) -> int:
    assert container.process is not None
    return int(Path(f"/proc/{container.process.pid}/schedstat").read_text().split()[0])


def test_users_have_the_names_that_the_container_gives_them(dockerd: Dockerd, names: Callable[[str], str]) -> None:
    name = names("users")
    dockerd.run(name, ["sh", "-c", "echo web:x:70:70::/: > /etc/passwd; sleep 1000; true"])
    container = node_inside(dockerd, name)
    until(lambda: len(dockerd.api.top(name)["Processes"]) == 2, "the names are written")
    for user in ("70", "71"):
        ran = dockerd.api.exec_create(name, ["sleep", f"10{user}"], user=user)
        dockerd.api.exec_start(ran["Id"], detach=True)
    reader = ProcessReader("/proc", HIERARCHIES)
    until(lambda: len(look(reader, container)) == 4, "they run")

    users = {each.command: each.user for each in look(reader, container)}

    assert (users["sleep 1070"], users["sleep 1071"], users["sleep 1000"]) == ("web", "71", "0")


def test_one_process_gets_the_signal_and_the_others_go_on(
    dockerd: Dockerd, topcon: Program, terminal: Terminal, names: Callable[[str], str]
) -> None:
    name = names("signalled")
    container_id = dockerd.run(name, FAMILY)
    until(lambda: len(dockerd.api.top(name)["Processes"]) == 4, "its processes have begun")
    terminal.start("--filter", name)
    terminal.wait_for(name, "details")

    terminal.press("p")
    terminal.wait_for("[processes]", "sleep 1001", "sleep 1003")
    terminal.press("t", "s", "s")
    terminal.wait_for("PID▴")
    shown = [line for line in terminal.text().splitlines() if "sleep " in line]
    at = next(at for at, line in enumerate(shown) if "sleep 1001" in line)
    # Between the first one and it there may be a shell.
    rows = [line for line in terminal.text().splitlines() if "sleep " in line or "sh -c" in line]
    terminal.press(*["Down"] * rows.index(shown[at]))
    terminal.press("K")
    terminal.wait_for("Signal for process")
    terminal.press("9", "Enter")
    pid = shown[at].split()[0]
    terminal.wait_for(f"Send SIGKILL to process {pid} (sleep) of {name}?", "alone")
    terminal.press("y")
    terminal.wait_for(f"sent SIGKILL to process {pid} (sleep) of {name}")

    # Nobody waits for it inside.
    stat = Path(f"/proc/{pid}/stat")
    until(lambda: not stat.exists() or ") Z " in stat.read_text(), "it has ended")
    assert dockerd.state(name)["Running"]
    assert "sleep 1003" in str(dockerd.api.top(name))
    (line,) = map(json.loads, topcon.audit_log.read_text().splitlines())
    assert (line["action"], line["signal"], line["way"]) == ("kill", "SIGKILL", "kernel")
    assert line["process"] == {"pid": int(pid), "comm": "sleep"}
    assert line["container"] == f"docker:{container_id}"
