"""Measure what watching a Docker host costs, with topcon and with its peers: ``make peers``, as root.

Starts containers that sleep, on the daemon of DOCKER_HOST, runs each program in turn on a terminal for a while, and
counts the CPU time of the program with its children, and of the daemon with its containerd and shims. The daemon's own
cost without anybody watching is measured first, and taken off.
"""

from __future__ import annotations

import fcntl
import os
import pty
import shutil
import socket
import struct
import subprocess
import sys
import termios
import threading
import time
from contextlib import suppress
from pathlib import Path

import docker

SECONDS = 30
WARM_UP_S = 8
COUNT = int(os.environ.get("COUNT", "60"))
IMAGE = os.environ.get("IMAGE", "topcon/busybox")
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
SIZE = (40, 140)


def stat_of(pid: int) -> tuple[str, int, float]:
    """Return a process's name, its parent, and its CPU seconds with those of children that it has waited for."""
    name, _, rest = Path(f"/proc/{pid}/stat").read_text().partition("(")[2].rpartition(")")
    fields = rest.split()
    return name, int(fields[1]), sum(map(int, fields[11:15])) / TICKS_PER_S


def processes() -> dict[int, tuple[str, int, float]]:
    found = {}
    for pid in (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()):
        with suppress(OSError):
            found[pid] = stat_of(pid)
    return found


def family_seconds(pid: int) -> float:
    """CPU seconds of a process and all that descend from it."""
    all_processes = processes()
    family = {pid}
    for _ in all_processes:
        grown = family | {child for child, (_, parent, _) in all_processes.items() if parent in family}
        if grown == family:
            break
        family = grown
    return sum(all_processes[member][2] for member in family if member in all_processes)


def daemon_seconds(daemon: int) -> float:
    """CPU seconds of the daemon, its containerd, and the shims."""
    return sum(
        seconds for pid, (name, _, seconds) in processes().items() if pid == daemon or name.startswith("containerd")
    )


def daemon_pid() -> int:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(os.environ["DOCKER_HOST"].removeprefix("unix://"))
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return struct.unpack("3i", credentials)[0]


def watch(command: list[str], daemon: int) -> tuple[float, float]:
    """Run a program on a terminal; return its CPU seconds and the daemon's over the time measured."""
    controller, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", *SIZE, 0, 0))
    environment = os.environ | {"TERM": "xterm-256color"}
    process = subprocess.Popen(
        command, stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True, env=environment
    )
    threading.Thread(target=drain, args=(controller,), daemon=True).start()
    time.sleep(WARM_UP_S)
    before = family_seconds(process.pid), daemon_seconds(daemon)
    time.sleep(SECONDS)
    after = family_seconds(process.pid), daemon_seconds(daemon)
    if process.poll() is not None:
        sys.exit(f"{command[0]} ended by itself")
    process.terminate()
    process.wait()
    os.close(terminal)
    return after[0] - before[0], after[1] - before[1]


def drain(controller: int) -> None:
    """Read what a program draws."""
    with suppress(OSError):
        while os.read(controller, 65536):
            pass


def main() -> None:
    """Measure all of them."""
    api = docker.APIClient(base_url=os.environ["DOCKER_HOST"])
    daemon = daemon_pid()
    names = [f"peer-{index}" for index in range(COUNT)]
    try:
        for name in names:
            api.start(api.create_container(IMAGE, ["sleep", "3600"], name=name))
        time.sleep(5)
        before = daemon_seconds(daemon)
        time.sleep(SECONDS)
        alone = daemon_seconds(daemon) - before
        bin_folder = Path(sys.executable).parent
        candidates = {
            "topcon": [
                str(bin_folder / "topcon"),
                "--runtime",
                f"docker={os.environ['DOCKER_HOST'].partition('//')[2]}",
            ],
            "docker stats": ["docker", "stats"],
            "glances": [str(bin_folder / "glances"), "--time", "1"],
        }
        print(f"{COUNT} containers that sleep, {SECONDS} s, % of one core; the daemons alone: {alone / SECONDS:.1%}")
        for name, command in candidates.items():
            if not shutil.which(command[0]):
                print(f"{name}: not installed")
                continue
            own, daemons = watch(command, daemon)
            print(f"{name}: {own / SECONDS:.1%} itself, {max(daemons - alone, 0) / SECONDS:.1%} in the daemons")
    finally:
        for name in names:
            with suppress(docker.errors.NotFound):
                api.remove_container(name, force=True)


if __name__ == "__main__":
    main()
