"""Copy what topcon reads of a host into a folder, for tests: ``python3 capture.py FOLDER [DOCKER_SOCKET]``, as root.

With a socket, what Docker says is kept too; without, what tells names where no daemon answers. topcon is needed for it.
Only what the tests need is kept, and nothing that says whose host it was: names, ids of the machine, environments.
Processes of one network namespace share the files of ``net`` by symbolic links, as the kernel has them.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
import sys
import time
from pathlib import Path

from topcon.config import load_config
from topcon.model.sample import CgroupPath
from topcon.runtimes.paths import classify
from topcon.runtimes.watch import RuntimeWatches
from topcon.wiring import build_sampler

CGROUP_FILES = re.compile(
    r"cgroup\.(procs|events|stat|controllers|subtree_control)"
    r"|cpu\.(stat|stat\.local|max|weight|pressure|cfs_quota_us|cfs_period_us|shares)|irq\.pressure|cpuacct\.(usage|stat)"
    r"|memory\.(current|max|min|low|peak|stat|numa_stat|pressure|events|events\.local|swap\.(current|max|events)"
    r"|usage_in_bytes|limit_in_bytes|soft_limit_in_bytes|max_usage_in_bytes|kmem\.usage_in_bytes|failcnt|oom_control)"
    r"|hugetlb\..*(current|events|usage_in_bytes|failcnt)|io\.(stat|pressure)"
    r"|blkio\.throttle\.io_(service_bytes|serviced)_recursive|pids\.(current|max|events)|freezer\.state"
)
HOST_FILES = (
    *("stat", "meminfo", "uptime", "loadavg", "partitions", "diskstats"),
    *("pressure/cpu", "pressure/memory", "pressure/io"),
)
NETWORK_FILES = ("dev", "snmp", "netstat", "sockstat")
TOPOLOGY = ("topology/core_id", "topology/physical_package_id", "topology/core_cpus_list")
DOCKER_FIELDS = {
    "Config": ("Image", "Labels", "StopSignal", "StopTimeout"),
    "HostConfig": ("NetworkMode", "PidMode", "IpcMode", "UTSMode", "CgroupnsMode", "RestartPolicy"),
    "NetworkSettings": ("Ports",),
    "State": ("Status", "Paused", "OOMKilled", "ExitCode", "StartedAt", "FinishedAt", "Health"),
    **dict.fromkeys(("Id", "Name", "Created", "Path", "Args", "RestartCount")),
}
"""What is kept of an inspected container, a level deep."""

PROCESS_FILE = re.compile(r"/proc/\d+/(stat|status|cmdline|cgroup|mountinfo)")
NAME_FILE = re.compile(r"(/proc/\d+/(cwd/\.\.|root)|/run|/var)/.*(\.json|/crun/[^/]+/status)")
TELLING_MOUNT = re.compile("/containers/|/pods/|/sandboxes/| / / ")
STATUS_LINES = ("Name", "PPid", "Uid", "NSpid", "SigIgn", "SigCgt", "SigBlk")
LEFT_OUT = frozenset(
    (
        "env",
        "Env",
        "seccomp",
        "capabilities",
        "rlimits",
        "maskedPaths",
        "readonlyPaths",
        "hooks",
        "resources",
        "devices",
    )
)
"""Of bundles: long, and no names."""

MADE_UP = {
    "etc/hostname": "host\n",
    "proc/sys/kernel/random/boot_id": "00000000-0000-4000-8000-000000000001\n",
}


def main(folder: Path, docker_socket: str | None) -> None:
    """Write ``proc``, ``sys`` and, with a socket, ``docker.json`` below ``folder``."""
    proc = folder / "proc"
    for name in (*HOST_FILES, "sys/kernel/osrelease"):
        save(Path("/proc") / name, proc / name)
    for name, text in MADE_UP.items():
        write(folder / name, text)
    save(Path("/etc/os-release"), folder / "etc/os-release")
    for cpu in Path("/sys/devices/system/cpu").glob("cpu[0-9]*"):
        for name in TOPOLOGY:
            save(cpu / name, folder / str(cpu / name).lstrip("/"))
    write(folder / "time", f"{time.time():.3f}\n")
    mounts = [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if " - cgroup" in line]
    write(proc / "self/mountinfo", "\n".join(mounts) + "\n")
    pids = {1}
    for line in mounts:
        pids |= save_hierarchy(Path(line.split()[4]), folder)
    networks: dict[int, Path] = {}
    for pid in sorted(pids):
        save_process(pid, proc, networks)
    if docker_socket:
        write(folder / "docker.json", json.dumps(docker_containers(docker_socket), indent=1) + "\n")
    else:
        save_names(folder, networks)


def save_hierarchy(mount: Path, folder: Path) -> set[int]:
    """Save the root, the cgroups of containers and those above them; return the containers' pids."""
    pids = set()
    for directory, _, names in os.walk(mount):
        path = Path(directory)
        is_container = is_of_container(path, mount)
        if not is_container and path != mount and not any(is_of_container(each, mount) for each in path.rglob("*/")):
            continue
        for name in names:
            if CGROUP_FILES.fullmatch(name):
                save(path / name, folder / str(path / name).lstrip("/"))
        if is_container:
            pids |= {int(pid) for pid in (path / "cgroup.procs").read_text().split()}
        else:
            write(folder / str(path / "cgroup.procs").lstrip("/"), "")
    return pids


def is_of_container(path: Path, mount: Path) -> bool:
    """Whether a cgroup is a container's or a pod's own, or inside one."""
    place = classify(CgroupPath("/" + str(path.relative_to(mount)).removeprefix(".")))
    return place.is_inside or place.container is not None or place.pod is not None


def save_names(folder: Path, networks: dict[int, Path]) -> None:
    """Save the files that topcon opens to find names without a daemon, and what lives in namespaces of its own."""
    opened: set[str] = set()
    sys.addaudithook(lambda event, values: opened.add(values[0]) if event == "open" else None)
    sampler = build_sampler(load_config({}, None), RuntimeWatches({}), naming_s=60.0)
    sample = sampler.tick().sample
    for each in sample.isolated:
        if not (folder / f"proc/{each.process.pid}").exists():
            save_process(each.process.pid, folder / "proc", networks)
    for path in sorted(path for path in opened if isinstance(path, str)):
        target = folder / path.lstrip("/")
        if PROCESS_FILE.fullmatch(path):
            save_process_file(Path(path), target)
        elif NAME_FILE.fullmatch(path):
            save_bundle(Path(path), target)
    for link in Path("/var/log/containers").glob("*"):
        write(folder / str(link).lstrip("/"), "")


def save_process_file(source: Path, target: Path) -> None:
    """Save a file of a process; of long ones, what tells a name."""
    kept = {"mountinfo": TELLING_MOUNT.search, "status": lambda line: line.startswith(STATUS_LINES)}.get(source.name)
    try:
        lines = source.read_text(errors="replace").splitlines(keepends=True)
    except OSError:
        return
    if not target.exists():
        write(target, "".join(line for line in lines if kept is None or kept(line)))


def save_bundle(source: Path, target: Path) -> None:
    """Save a JSON file without what is long and tells no name."""
    try:
        value = json.loads(source.read_text())
    except (OSError, ValueError):
        return
    before, cwd, _ = str(target).partition("/cwd/")
    if cwd:
        # .. leads back only from a folder that is there.
        write(Path(before) / "cwd/.keep", "")
    write(target, json.dumps(without_long_parts(value), indent=1) + "\n")


def without_long_parts(value: object) -> object:
    """Drop the parts that are left out, however deep."""
    if isinstance(value, dict):
        return {key: without_long_parts(each) for key, each in value.items() if key not in LEFT_OUT}
    return [without_long_parts(each) for each in value] if isinstance(value, list) else value


def save_process(pid: int, proc: Path, networks: dict[int, Path]) -> None:
    """Save a process's stat, status, namespaces and network counters."""
    source = Path("/proc") / str(pid)
    target = proc / str(pid)
    try:
        stat = (source / "net/dev").stat()
        # Root without all capabilities may not see those of process 1; its own are the same ones then.
        namespaces = source if os.access(source / "ns/net", os.R_OK) else Path("/proc/self")
        save(source / "stat", target / "stat")
        status = (source / "status").read_text().splitlines(keepends=True)
    except OSError:
        return
    write(target / "status", "".join(line for line in status if line.startswith(STATUS_LINES)))
    (target / "ns").mkdir(parents=True, exist_ok=True)
    for link in (namespaces / "ns").iterdir():
        try:
            (target / "ns" / link.name).symlink_to(link.readlink())
        except OSError:
            continue
    (target / "net").mkdir(parents=True, exist_ok=True)
    save(source / "limits", target / "limits")
    for thread in (source / "task").iterdir():
        for name in ("stat", "schedstat"):
            save(thread / name, target / "task" / thread.name / name)
    if stat.st_ino in networks:
        for name in NETWORK_FILES:
            (target / "net" / name).symlink_to(os.path.relpath(networks[stat.st_ino] / name, target / "net"))
    else:
        for name in NETWORK_FILES:
            save(source / "net" / name, target / "net" / name)
        networks[stat.st_ino] = target / "net"


def docker_containers(path: str) -> list[object]:
    """Inspect all containers, and keep the fields that are known to be harmless."""
    kept = []
    for each in sorted(get(path, "/containers/json?all=1"), key=lambda each: each["Id"]):
        container = get(path, f"/containers/{each['Id']}/json")
        kept.append(
            {
                name: {key: container[name][key] for key in keys if key in container[name]} if keys else container[name]
                for name, keys in DOCKER_FIELDS.items()
            }
        )
    return kept


def get(path: str, url: str) -> object:
    """Ask a daemon at a unix socket."""
    connection = http.client.HTTPConnection("localhost")
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(path)
    connection.request("GET", url)
    return json.load(connection.getresponse())


def save(source: Path, target: Path) -> None:
    """Copy a file as far as it can be read."""
    try:
        write(target, source.read_text())
    except OSError:
        return


def write(path: Path, text: str) -> None:
    """Write a file, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None)
