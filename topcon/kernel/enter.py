"""A shell in a container without its runtime: through the namespaces of its first process (setns(2), pidfd_open(2)).

A process of our own interpreter goes in, since a namespace of users takes nobody who has threads. On its way it puts on
what the first process wears: cgroups, namespaces, root, profile, capabilities, user; its filter of system calls is the
one thing that cannot be had from outside.

What is inside is not trusted. While the process is not yet the shell it cannot be traced from there; what it runs is
found without following links to itself, is no script, and is run by its descriptor: else the container could have us
run, and then overwrite, our own interpreter.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import signal
import socket as sockets
import stat
import struct
import sys
import termios
import time
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from topcon.errors import ActionFailed
from topcon.kernel.credentials import parse_environment, parse_id_map, parse_worn, to_inside
from topcon.kernel.files import read_small
from topcon.kernel.mount import parse_mountinfo
from topcon.kernel.process import parse_stat
from topcon.model.shell import no_shell

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from topcon.kernel.credentials import Worn
    from topcon.kernel.mount import Mount
    from topcon.model.sample import ProcessSample
    from topcon.model.security import IdRange
    from topcon.model.shell import Size

ENTER_S = 5.0
"""How long going in may take."""
END_S = 1.0
"""How long the shell may take to end when its terminal is taken away."""
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_KINDS = {
    "user": 0x10000000,
    "mnt": 0x00020000,
    "uts": 0x04000000,
    "ipc": 0x08000000,
    "net": 0x40000000,
    "pid": 0x20000000,
    "cgroup": 0x02000000,
    "time": 0x00000080,
}
"""The flags of clone(2)."""
_PTMX = (5, 2)
_TIOCSPTLCK, _TIOCGPTPEER = 0x40045431, 0x5441
_SET_DUMPABLE, _SET_KEEPCAPS, _CAPBSET_DROP, _SET_NO_NEW_PRIVS, _CAP_AMBIENT, _AMBIENT_RAISE = 4, 8, 24, 38, 47, 2
_CAPABILITY_VERSION_3 = 0x20080522
_OPENAT2, _NO_MAGICLINKS, _IN_ROOT = 437, 0x02, 0x10
_ELF = b"\x7fELF"
_UNCONFINED = "unconfined"
_MESSAGE_BYTES = 1 << 14
_MOST_DESCRIPTORS = 1 << 20
_CHANNEL = 3
"""The descriptor by which the one who goes in tells how that went."""


def cgroup_directories(cgroup: bytes, mounts: Iterable[Mount]) -> Iterator[str]:
    """Return the directories of the cgroups in ``/proc/PID/cgroup``, one a hierarchy that is mounted whole."""
    roots = [mount for mount in mounts if mount.fstype in {"cgroup", "cgroup2"} and mount.root == "/"]
    for line in cgroup.decode(errors="surrogateescape").splitlines():
        _, _, rest = line.partition(":")
        names, colon, path = rest.partition(":")
        if not colon:
            continue
        root = next((each for each in roots if _holds(each, names)), None)
        if root is not None:
            yield root.point.rstrip("/") + path.rstrip("/")


def _holds(mount: Mount, names: str) -> bool:
    """Whether a mount is the hierarchy of these controllers; version 2 has none named."""
    return set(names.split(",")) <= mount.options if names else mount.fstype == "cgroup2"


def profile_order(label: str) -> bytes | None:
    """Return what has the next program run under a profile of AppArmor or a context of SELinux; None for none."""
    name = label.strip("\0\n ")
    if not name or name == _UNCONFINED:
        return None
    if name.count(":") >= 3:  # noqa: PLR2004  USER:ROLE:TYPE:LEVEL is SELinux's
        return name.encode(errors="surrogateescape")
    return b"exec " + name.rpartition(" (")[0].encode(errors="surrogateescape") if name.endswith(")") else None


class Entered:
    """A shell that was gone in with; see `Session` of model.shell."""

    def __init__(self, terminal: int, pid: int, shell: str, *, has_filter: bool) -> None:
        """Keep the shell's terminal, and the process that waits for its end."""
        self.fd = terminal
        self.early = b""
        self.shell = shell
        self.has_filter = has_filter
        """Whether the container has a filter of system calls, which the shell has not."""
        self._pid = pid
        self._status: int | None = None

    def resize(self, size: Size) -> None:
        """Tell its terminal."""
        with contextlib.suppress(OSError):
            fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", size.rows, size.columns, 0, 0))

    def status(self) -> int | None:
        """Return how it has ended; 128 and more for a signal."""
        self._wait(END_S)
        return self._status

    def close(self) -> None:
        """Take its terminal away, which ends a shell; what outlives that goes on without one."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
        if not self._wait(END_S):
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)
            self._wait(END_S)

    def _wait(self, timeout_s: float) -> bool:
        if self._status is None:
            self._status = _reaped(self._pid, timeout_s)
        return self._status is not None


def enter(
    proc_root: str, process: ProcessSample, commands: Sequence[Sequence[str]], size: Size, environment: Sequence[str]
) -> Entered:
    """Start the first of some shells that is there, where a process is.

    Raises:
        ActionFailed: none was started, and why.
    """
    try:
        is_own = os.readlink(f"{proc_root}/self") == str(os.getpid())  # noqa: PTH115  a string is wanted
    except OSError:
        is_own = False
    if not is_own:
        message = f"not done: the processes of {proc_root} are not in topcon's own pid namespace"
        raise ActionFailed(message)
    if os.geteuid() != 0:
        message = "only root may go into its namespaces: run topcon with sudo"
        raise ActionFailed(message)
    ours, theirs = sockets.socketpair(sockets.AF_UNIX, sockets.SOCK_SEQPACKET)
    with ours:
        with theirs:
            pid = _sent_in(theirs.fileno())
        try:
            ours.sendall(
                json.dumps(
                    [proc_root, process.pid, process.start_ticks, list(map(list, commands)), *environment]
                ).encode()
            )
            return _entered(ours, pid, size)
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            _reaped(pid, END_S)
            raise


def _sent_in(channel: int) -> int:
    """Start the process that goes in, which has nothing of ours but a channel."""
    # What it needs is on the way of this very topcon, wherever that was installed.
    code = f"import sys; sys.path[:] = {sys.path!r}; from topcon.kernel.enter import main; main({_CHANNEL})"
    nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    try:
        return os.posix_spawn(
            sys.executable,
            [sys.executable, "-I", "-c", code],
            {"PATH": DEFAULT_PATH},
            file_actions=[
                *((os.POSIX_SPAWN_DUP2, nothing, number) for number in range(_CHANNEL)),
                (os.POSIX_SPAWN_DUP2, channel, _CHANNEL),
            ],
        )
    finally:
        os.close(nothing)


def _reaped(pid: int, timeout_s: float) -> int | None:
    """Wait for the end of a process of ours; return its exit status as shells do, None if it goes on."""
    until = time.monotonic() + timeout_s
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return _as_shells_do(status)
        if time.monotonic() >= until:
            return None
        time.sleep(0.01)


def _as_shells_do(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return 128 - code if code < 0 else code


def _entered(ours: sockets.socket, pid: int, size: Size) -> Entered:
    """Wait until the shell runs, which is when nobody is left who could tell of an error."""
    until = time.monotonic() + ENTER_S
    terminal: int | None = None
    said: dict[str, object] = {}
    try:
        while True:
            ours.settimeout(max(until - time.monotonic(), 0.001))
            data, fds, _, _ = sockets.recv_fds(ours, _MESSAGE_BYTES, 1, sockets.MSG_CMSG_CLOEXEC)
            terminal = fds[0] if fds else terminal
            if not data:
                break
            said |= json.loads(data)
    except TimeoutError:
        said = {"error": f"going into it has not come to an end within {ENTER_S:g} s"}
    except OSError as error:
        said = {"error": (error.strerror or str(error)).lower()}
    if terminal is None or "error" in said:
        if terminal is not None:
            os.close(terminal)
        raise ActionFailed(str(said.get("error", "the process that should go in has ended")))
    os.set_blocking(terminal, False)
    session = Entered(terminal, pid, str(said.get("shell")), has_filter=said.get("has_filter") is True)
    session.resize(size)
    return session


# What follows runs in a process of its own.


class _Way(NamedTuple):
    """All that is to be known and held before one goes in: nothing of it can be seen from there."""

    pid: int
    pidfd: int
    proc: int
    root: int
    folder: int
    worn: Worn
    environment: Mapping[bytes, bytes]
    others: tuple[str, ...]
    """The kinds of namespaces that are not ours."""
    uid_map: tuple[IdRange, ...]
    gid_map: tuple[IdRange, ...]
    order: bytes | None
    last_capability: int


def main(channel: int) -> NoReturn:
    """Go in, tell how that went, and become the one who waits for the shell."""
    # Whoever has started topcon may have left it some that are none of the container's business.
    os.closerange(channel + 1, _MOST_DESCRIPTORS)
    told = sockets.socket(fileno=channel)
    told.set_inheritable(False)
    proc_root, pid, start_ticks, commands, *environment = json.loads(told.recv(_MESSAGE_BYTES))
    status = 1
    try:
        status = _go_in(told, f"{proc_root}", (int(pid), int(start_ticks)), commands, environment)
    except ActionFailed as error:
        _tell(told, str(error))
    except OSError as error:
        where = f" at {error.filename}" if isinstance(error.filename, str) else ""
        _tell(told, f"{(error.strerror or str(error)).lower()}{where}")
    os._exit(status)


def _tell(told: sockets.socket, error: str) -> None:
    with contextlib.suppress(OSError):
        told.sendall(json.dumps({"error": error}).encode())


def _go_in(
    told: sockets.socket,
    proc_root: str,
    identity: tuple[int, int],
    commands: Sequence[Sequence[str]],
    environment: Sequence[str],
) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    # Nobody inside may look at what we have open.
    _check(libc.prctl(_SET_DUMPABLE, 0, 0, 0, 0))
    way = _looked(proc_root, identity)
    _join_cgroups(f"{proc_root}/{identity[0]}", proc_root)
    spare = os.openpty()
    flags = sum(_KINDS[kind] for kind in way.others)
    if flags:
        _check(libc.setns(way.pidfd, flags), "its namespaces (Linux 5.8 and later let one in)")
    child = os.fork()
    if not child:
        _become(libc, told, way, spare, commands, environment)
    for fd in (*spare, way.pidfd, way.proc, way.root, way.folder):
        os.close(fd)
    told.close()
    return _as_shells_do(os.waitpid(child, 0)[1])


def _looked(proc_root: str, identity: tuple[int, int]) -> _Way:
    pid, start_ticks = identity
    directory = f"{proc_root}/{pid}"
    pidfd = os.pidfd_open(pid)
    raw = read_small(f"{directory}/stat")
    if raw is None or parse_stat(raw, "stat").start_ticks != start_ticks:
        message = "not done: it has ended since you looked; look again"
        raise ActionFailed(message)
    others = _others(directory, proc_root)
    has_own_users = "user" in others
    to_find = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
    return _Way(
        pid=pid,
        pidfd=pidfd,
        proc=os.open(proc_root, to_find),
        root=os.open(f"{directory}/root", to_find),
        folder=os.open(f"{directory}/cwd", to_find),
        worn=parse_worn(read_small(f"{directory}/status") or b""),
        environment=parse_environment(read_small(f"{directory}/environ") or b""),
        others=others,
        uid_map=parse_id_map(read_small(f"{directory}/uid_map") or b"") if has_own_users else (),
        gid_map=parse_id_map(read_small(f"{directory}/gid_map") or b"") if has_own_users else (),
        order=profile_order(_label(directory)),
        last_capability=int(read_small(f"{proc_root}/sys/kernel/cap_last_cap") or b"40"),
    )


def _become(
    libc: ctypes.CDLL,
    told: sockets.socket,
    way: _Way,
    spare: tuple[int, int],
    commands: Sequence[Sequence[str]],
    environment: Sequence[str],
) -> NoReturn:
    """Become the shell, in the namespaces already."""
    # Rights in a namespace of users may have made it possible again.
    _check(libc.prctl(_SET_DUMPABLE, 0, 0, 0, 0))
    os.setsid()
    os.fchdir(way.root)
    os.chroot(".")
    os.fchdir(way.folder)
    terminal, inside = _terminal(spare)
    uid = to_inside(way.worn.uid, way.uid_map)
    with contextlib.suppress(OSError):
        os.fchown(inside, uid, -1)
    fcntl.ioctl(inside, termios.TIOCSCTTY, 0)
    for number in range(_CHANNEL):
        os.dup2(inside, number)
    if way.order is not None:
        _write_order(way.proc, way.order)
    _put_on(libc, way, uid)
    variables = dict(way.environment)
    variables |= {name.encode(): value.encode() for name, _, value in (each.partition("=") for each in environment)}
    variables.setdefault(b"PATH", DEFAULT_PATH.encode())
    # Python ignores them, and what it runs would too.
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    for command in commands:
        fd = _found(libc, command[0], os.fsdecode(variables[b"PATH"]))
        if fd is not None:
            said = json.dumps({"shell": command[0], "has_filter": bool(way.worn.seccomp)}).encode()
            sockets.send_fds(told, [said], [terminal])
            os.execve(fd, list(command), variables)  # noqa: S606  the shell itself
    raise ActionFailed(no_shell(way.pid))


def _check(result: int, what: str | None = None) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)


def _others(directory: str, proc_root: str) -> tuple[str, ...]:
    """Return the kinds of namespaces in which a process is in another one than we."""
    kinds = []
    for kind in _KINDS:
        with contextlib.suppress(FileNotFoundError):
            theirs, ours = (os.stat(f"{each}/ns/{kind}").st_ino for each in (directory, f"{proc_root}/self"))  # noqa: PTH116  no Path is needed
            if theirs != ours:
                kinds.append(kind)
    return tuple(kinds)


def _label(directory: str) -> str:
    with contextlib.suppress(OSError):
        return (read_small(f"{directory}/attr/current") or b"").decode(errors="surrogateescape")
    return ""


def _write_order(proc: int, order: bytes) -> None:
    """Wear a profile from the next program on; without it, it would be less confined than the container."""
    fd = os.open("thread-self/attr/exec", os.O_WRONLY | os.O_CLOEXEC, dir_fd=proc)
    try:
        os.write(fd, order)
    finally:
        os.close(fd)


def _join_cgroups(directory: str, proc_root: str) -> None:
    """Be counted, and limited, with the container, in all hierarchies."""
    path = f"{proc_root}/self/mountinfo"
    mounts = parse_mountinfo(read_small(path) or b"", path)
    for each in cgroup_directories(read_small(f"{directory}/cgroup") or b"", mounts):
        fd = os.open(f"{each}/cgroup.procs", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, b"0")
        finally:
            os.close(fd)


def _terminal(spare: tuple[int, int]) -> tuple[int, int]:
    """Make a terminal: the container's own kind, which has a name in there, or else one of the host's."""
    with contextlib.suppress(OSError):
        ours = os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
        device = os.fstat(ours)
        if stat.S_ISCHR(device.st_mode) and (os.major(device.st_rdev), os.minor(device.st_rdev)) == _PTMX:
            fcntl.ioctl(ours, _TIOCSPTLCK, struct.pack("i", 0))
            theirs = fcntl.ioctl(ours, _TIOCGPTPEER, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
            return ours, theirs
        os.close(ours)
    return spare


def _put_on(libc: ctypes.CDLL, way: _Way, uid: int) -> None:
    """Take on the user and the capabilities, none of which come back."""
    worn, gid = way.worn, to_inside(way.worn.gid, way.gid_map)
    for capability in range(way.last_capability + 1):
        if not worn.bounding >> capability & 1:
            _check(libc.prctl(_CAPBSET_DROP, capability, 0, 0, 0), "capabilities")
    _check(libc.prctl(_SET_KEEPCAPS, 1, 0, 0, 0))
    try:
        os.setgroups([to_inside(group, way.gid_map) for group in worn.groups])
    except PermissionError:
        # A namespace of users that an unprivileged user has made may forbid it.
        if "user" not in way.others:
            raise
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    header = struct.pack("Ii", _CAPABILITY_VERSION_3, 0)
    sets = (worn.effective, worn.permitted, worn.inheritable)
    words = [each >> shift & 0xFFFFFFFF for shift in (0, 32) for each in sets]
    _check(libc.capset(header, struct.pack("6I", *words)), "capabilities")
    for capability in range(way.last_capability + 1):
        if worn.ambient >> capability & 1:
            libc.prctl(_CAP_AMBIENT, _AMBIENT_RAISE, capability, 0, 0)
    if worn.has_no_new_privs:
        _check(libc.prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0))


class _How(ctypes.Structure):
    """``struct open_how`` (openat2(2))."""

    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


def _found(libc: ctypes.CDLL, name: str, path: str) -> int | None:
    """Open a program; None if there is none of that name that may be run."""
    places = [name] if name.startswith("/") else [f"{folder}/{name}" for folder in path.split(":") if folder]
    for place in places:
        how = _How(os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC, 0, _NO_MAGICLINKS | _IN_ROOT)
        root = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fd = libc.syscall(_OPENAT2, root, os.fsencode(place), ctypes.byref(how), ctypes.sizeof(how))
        finally:
            os.close(root)
        if fd < 0:
            continue
        if stat.S_ISREG(os.fstat(fd).st_mode) and os.read(fd, len(_ELF)) == _ELF:
            return int(fd)
        os.close(fd)
    return None
