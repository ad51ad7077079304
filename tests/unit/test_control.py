"""What the kernel does to a container: to the process and the cgroup that were seen, and to no other."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from topcon.errors import ActionFailed
from topcon.kernel import control
from topcon.kernel.control import GONE, Cgroup
from topcon.kernel.files import Access, read_small
from topcon.kernel.mount import Hierarchies
from topcon.kernel.process import ProcFs
from topcon.model.sample import CgroupPath

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from topcon.model.sample import ProcessSample

PATH = CgroupPath("/docker/web")
HEEDS = "signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))"
IGNORES = "signal.signal(signal.SIGTERM, signal.SIG_IGN)"


@dataclass
class Kernel:
    """Cgroups as directories, in which real processes live as far as the files tell."""

    root: Path
    v1: bool = False
    """Whether the freezer is version 1's."""
    v2: bool = True
    members: dict[str, list[subprocess.Popen[bytes]]] = field(default_factory=dict)
    """By the cgroup's path."""
    is_stuck: bool = False
    """Whether some task cannot be frozen."""

    def __post_init__(self) -> None:
        self.make(PATH)

    def make(self, path: str) -> None:
        if self.v2:
            directory = self.root / "v2" / path.lstrip("/")
            directory.mkdir(parents=True)
            for name in ("cgroup.kill", "cgroup.freeze"):
                (directory / name).write_text("")
        if self.v1:
            for name in ("memory", "freezer"):
                (self.root / name / path.lstrip("/")).mkdir(parents=True)
            (self.root / "freezer" / path.lstrip("/") / "freezer.state").write_text("THAWED\n")

    @property
    def hierarchies(self) -> Hierarchies:
        v1 = {name: str(self.root / name) for name in ("memory", "freezer")} if self.v1 else {}
        return Hierarchies(str(self.root / "v2") if self.v2 else None, v1, is_partial=False)

    def file(self, name: str) -> Path:
        if name == "freezer.state":
            return self.root / "freezer" / PATH.lstrip("/") / name
        return self.root / ("v2" if self.v2 else "memory") / PATH.lstrip("/") / name

    @property
    def cgroup(self) -> Cgroup:
        return Cgroup(self.hierarchies, PATH, self.file("").stat().st_ino)

    def read(self, path: str) -> bytes | None:
        """Read as the kernel lets read: what a file says follows from others and from who lives."""
        directory, _, name = path.rpartition("/")
        if not path.startswith(str(self.root)):
            return read_small(path)
        if name == "cgroup.procs":
            return self._procs(directory)
        if name == "cgroup.events":
            frozen = int(self.file("cgroup.freeze").read_text() == "1" and not self.is_stuck)
            return f"populated 1\nfrozen {frozen}\n".encode()
        raw = read_small(path)
        return b"FREEZING\n" if self.is_stuck and raw == b"FROZEN\n" else raw

    def _procs(self, directory: str) -> bytes:
        kill = self.file("cgroup.kill")
        if kill.exists() and kill.read_text() == "1":
            inside = [path for path in self.members if f"{path}/".startswith(f"{PATH}/")]
            for process in (each for path in inside for each in self.members[path]):
                process.kill()
                process.wait()
        path = next(
            directory.removeprefix(str(each)) for each in self.root.iterdir() if directory.startswith(str(each))
        )
        return b"".join(b"%d\n" % each.pid for each in self.members.get(path, []) if each.poll() is None)


@pytest.fixture
def make_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Kernel]:
    def make(*, v1: bool = False, v2: bool = True) -> Kernel:
        kernel = Kernel(tmp_path, v1, v2)
        monkeypatch.setattr(control, "read_small", kernel.read)
        return kernel

    return make


@pytest.fixture
def kernel(make_kernel: Callable[..., Kernel]) -> Kernel:
    return make_kernel()


@pytest.fixture
def spawn() -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Processes that wait for a signal; none outlives the test."""
    spawned = []

    def start(before: str = "") -> subprocess.Popen[bytes]:
        script = f"import signal, sys\n{before}\nprint(flush=True)\nwhile True: signal.pause()"
        process = subprocess.Popen([sys.executable, "-S", "-c", script], stdout=subprocess.PIPE)
        spawned.append(process)
        assert process.stdout is not None
        process.stdout.readline()
        return process

    yield start
    for process in spawned:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def sample_of(process: subprocess.Popen[bytes]) -> ProcessSample:
    sample = ProcFs("/proc", Access()).sample(process.pid, 0)
    assert sample is not None
    return sample


# One process.


def test_a_process_is_signalled(spawn: Callable[..., subprocess.Popen[bytes]]) -> None:
    process = spawn(HEEDS)

    control.send_signal("/proc", sample_of(process), signal.SIGTERM)

    assert process.wait() == 7


def test_another_process_under_the_pid_is_left_alone(spawn: Callable[..., subprocess.Popen[bytes]]) -> None:
    process = spawn()
    seen = sample_of(process)

    with pytest.raises(ActionFailed, match=f"^{GONE}$"):
        control.send_signal("/proc", replace(seen, start_ticks=seen.start_ticks - 1), signal.SIGKILL)

    assert process.poll() is None


def test_a_process_that_has_ended_is_gone(spawn: Callable[..., subprocess.Popen[bytes]]) -> None:
    process = spawn()
    seen = sample_of(process)
    process.kill()
    process.wait()

    with pytest.raises(ActionFailed, match=f"^{GONE}$"):
        control.send_signal("/proc", seen, signal.SIGTERM)


def test_a_pid_of_another_pid_namespace_is_not_taken_for_ours(
    spawn: Callable[..., subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    """As with the host's /proc bound into a container."""
    process = spawn()
    seen = sample_of(process)
    (tmp_path / str(seen.pid)).mkdir()
    (tmp_path / str(seen.pid) / "stat").write_bytes(Path(f"/proc/{seen.pid}/stat").read_bytes())
    (tmp_path / "self").symlink_to("12")

    assert not control.may_signal(str(tmp_path), seen)
    with pytest.raises(ActionFailed, match=r"is not in topcon's own pid namespace$"):
        control.send_signal(str(tmp_path), seen, signal.SIGKILL)
    assert process.poll() is None


def test_whether_a_process_may_be_signalled(
    spawn: Callable[..., subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    process = spawn()
    seen = sample_of(process)
    assert control.may_signal("/proc", seen)

    process.kill()
    process.wait()
    assert not control.may_signal("/proc", seen)
    assert not control.may_signal("/proc", replace(seen, pid=1))

    def refuse(pid: int, number: int) -> None:
        del pid, number
        raise PermissionError

    monkeypatch.setattr(os, "kill", refuse)
    assert not control.may_signal("/proc", seen)


def test_a_refusal_is_told_with_its_reason(
    spawn: Callable[..., subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = sample_of(spawn())

    def refuse(pidfd: int, number: int) -> None:
        del pidfd, number
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(signal, "pidfd_send_signal", refuse)
    with pytest.raises(ActionFailed, match=f"^permission denied at process {seen.pid}: root may$"):
        control.send_signal("/proc", seen, signal.SIGTERM)


# Stopping.


def test_what_ends_by_its_signal_is_stopped(kernel: Kernel, spawn: Callable[..., subprocess.Popen[bytes]]) -> None:
    process = spawn(HEEDS)
    kernel.members[PATH] = [process]

    control.stop("/proc", sample_of(process), kernel.cgroup, signal.SIGTERM, 60)

    assert process.wait() == 7
    assert kernel.file("cgroup.kill").read_text() == ""


def test_what_ignores_its_signal_is_killed_after_the_grace_period(
    kernel: Kernel, spawn: Callable[..., subprocess.Popen[bytes]]
) -> None:
    process = spawn(IGNORES)
    kernel.members[PATH] = [process]

    control.stop("/proc", sample_of(process), kernel.cgroup, signal.SIGTERM, 0.05)

    assert process.wait() == -signal.SIGKILL


def test_what_its_first_process_leaves_behind_is_killed(
    kernel: Kernel, spawn: Callable[..., subprocess.Popen[bytes]]
) -> None:
    first, other = spawn(HEEDS), spawn()
    kernel.make(f"{PATH}/below")
    kernel.members |= {PATH: [first], f"{PATH}/below": [other]}

    control.stop("/proc", sample_of(first), kernel.cgroup, signal.SIGTERM, 0.05)

    assert (first.wait(), other.wait()) == (7, -signal.SIGKILL)


@pytest.mark.parametrize("v1", [False, True])
def test_a_frozen_one_is_thawed_when_the_signal_is_there(
    make_kernel: Callable[..., Kernel], spawn: Callable[..., subprocess.Popen[bytes]], *, v1: bool
) -> None:
    kernel = make_kernel(v1=v1)
    process = spawn(HEEDS)
    kernel.members[PATH] = [process]
    control.freeze(kernel.cgroup)
    assert control.is_frozen(kernel.cgroup)

    control.stop("/proc", sample_of(process), kernel.cgroup, signal.SIGTERM, 60)

    assert process.wait() == 7
    assert not control.is_frozen(kernel.cgroup)


# Killing.


@pytest.mark.parametrize(
    ("options", "has_switch"),
    [({}, True), ({}, False), ({"v1": True}, True), ({"v1": True}, False), ({"v1": True, "v2": False}, False)],
)
def test_all_of_a_cgroup_and_below_are_killed(
    make_kernel: Callable[..., Kernel],
    spawn: Callable[..., subprocess.Popen[bytes]],
    options: dict[str, bool],
    *,
    has_switch: bool,
) -> None:
    kernel = make_kernel(**options)
    if not has_switch:
        kernel.file("cgroup.kill").unlink(missing_ok=True)
    kernel.make(f"{PATH}/below")
    inside, below, beside = spawn(IGNORES), spawn(), spawn()
    kernel.members |= {PATH: [inside], f"{PATH}/below": [below], f"{PATH}-other": [beside]}

    control.kill(kernel.cgroup)

    assert (inside.wait(), below.wait(), beside.poll()) == (-signal.SIGKILL, -signal.SIGKILL, None)


def test_what_version_1_has_frozen_is_thawed_to_be_killed(
    make_kernel: Callable[..., Kernel], spawn: Callable[..., subprocess.Popen[bytes]]
) -> None:
    kernel = make_kernel(v1=True, v2=False)
    kernel.members[PATH] = [spawn()]
    control.freeze(kernel.cgroup)

    control.kill(kernel.cgroup)

    assert kernel.file("freezer.state").read_text() == "THAWED\n"


def test_what_does_not_end_is_said(
    make_kernel: Callable[..., Kernel],
    spawn: Callable[..., subprocess.Popen[bytes]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As a process that waits for a dead disk."""
    kernel = make_kernel(v1=True, v2=False)
    kernel.members[PATH] = [spawn()]
    monkeypatch.setattr(control, "KILL_S", 0.0)
    monkeypatch.setattr(signal, "pidfd_send_signal", lambda *_: None)

    with pytest.raises(ActionFailed, match=r"^1 of its processes have not ended 0 s after SIGKILL$"):
        control.kill(kernel.cgroup)


def test_what_another_user_owns_is_said(
    make_kernel: Callable[..., Kernel],
    spawn: Callable[..., subprocess.Popen[bytes]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kernel = make_kernel(v1=True, v2=False)
    process = spawn()
    kernel.members[PATH] = [process]

    def refuse(*_: int) -> None:
        raise PermissionError

    monkeypatch.setattr(signal, "pidfd_send_signal", refuse)
    with pytest.raises(ActionFailed, match=f"^permission denied at process {process.pid}: root may$"):
        control.kill(kernel.cgroup)


# Freezing.


@pytest.mark.parametrize(
    ("v1", "name", "contents"),
    [(False, "cgroup.freeze", ("1", "0")), (True, "freezer.state", ("FROZEN\n", "THAWED\n"))],
)
def test_a_cgroup_is_frozen_and_thawed(
    make_kernel: Callable[..., Kernel], name: str, contents: tuple[str, str], *, v1: bool
) -> None:
    kernel = make_kernel(v1=v1)

    control.freeze(kernel.cgroup)
    assert (kernel.file(name).read_text(), control.is_frozen(kernel.cgroup)) == (contents[0], True)

    control.thaw(kernel.cgroup)
    assert (kernel.file(name).read_text(), control.is_frozen(kernel.cgroup)) == (contents[1], False)


@pytest.mark.parametrize(("v1", "name", "left"), [(False, "cgroup.freeze", "0"), (True, "freezer.state", "THAWED\n")])
def test_what_cannot_be_frozen_whole_is_left_as_it_was(
    make_kernel: Callable[..., Kernel], monkeypatch: pytest.MonkeyPatch, name: str, left: str, *, v1: bool
) -> None:
    kernel = make_kernel(v1=v1)
    kernel.is_stuck = True
    monkeypatch.setattr(control, "SETTLE_S", 0.0)

    with pytest.raises(ActionFailed, match=r"^a process of it cannot be frozen, not within 0 s: all are thawed again$"):
        control.freeze(kernel.cgroup)

    assert kernel.file(name).read_text() == left


def test_what_stays_frozen_from_above_is_said(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "SETTLE_S", 0.0)
    monkeypatch.setattr(control, "read_small", lambda _: b"populated 1\nfrozen 1\n")

    with pytest.raises(ActionFailed, match=r"^it is still frozen after 0 s: thaw the cgroup above it$"):
        control.thaw(kernel.cgroup)


@pytest.mark.parametrize("number", [1, 13, 30])
def test_a_switch_that_is_refused_is_named(kernel: Kernel, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def refuse(fd: int, content: bytes) -> int:
        del fd, content
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "write", refuse)
    reason = "read-only file system" if number == 30 else "permission denied"
    with pytest.raises(ActionFailed, match=f"^{reason} at {kernel.file('cgroup.freeze')}(: root may)?$"):
        control.freeze(kernel.cgroup)


# Whether it is the cgroup that was seen.


@pytest.mark.parametrize("act", [control.kill, control.freeze, control.thaw])
@pytest.mark.parametrize("fate", ["replaced", "removed", "root"])
def test_another_cgroup_under_the_path_is_left_alone(
    kernel: Kernel,
    spawn: Callable[..., subprocess.Popen[bytes]],
    act: Callable[[Cgroup], None],
    fate: str,
) -> None:
    process = spawn()
    kernel.members = {PATH: [process], "": [process]}
    seen = kernel.cgroup
    if fate == "replaced":
        seen = replace(seen, inode=seen.inode + 1)
    elif fate == "removed":
        seen = replace(seen, path=CgroupPath("/docker/gone"))
    else:
        seen = replace(seen, path=CgroupPath("/"), inode=(kernel.root / "v2").stat().st_ino)

    with pytest.raises(ActionFailed, match=r"^not done: "):
        act(seen)
    with pytest.raises(ActionFailed, match=r"^not done: "):
        control.stop("/proc", sample_of(process), seen, signal.SIGKILL, 0)

    assert process.poll() is None
    assert {kernel.file(name).read_text() for name in ("cgroup.kill", "cgroup.freeze")} == {""}


def test_one_that_is_started_again_while_it_is_stopped_is_left_alone(
    kernel: Kernel, spawn: Callable[..., subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a daemon does that wakes up: the path is the same, the cgroup another."""
    first, second = spawn(HEEDS), spawn()
    kernel.members[PATH] = [first]
    waited = control.wait_for_end

    def and_start_again(pidfd: int, timeout_s: float) -> bool:
        has_ended = waited(pidfd, timeout_s)
        directory = kernel.file("")
        directory.rename(directory.with_name("old"))
        kernel.make(PATH)
        kernel.members[PATH] = [second]
        return has_ended

    monkeypatch.setattr(control, "wait_for_end", and_start_again)
    control.stop("/proc", sample_of(first), kernel.cgroup, signal.SIGTERM, 60)

    assert (first.wait(), second.poll()) == (7, None)


@pytest.mark.parametrize(("mode", "expected"), [(0o644, True), (0o444, False)])
def test_whether_a_cgroup_may_be_killed_and_frozen(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch, mode: int, *, expected: bool
) -> None:
    # Root may write whatever the mode says.
    monkeypatch.setattr(os, "access", lambda path, *_, **__: bool(Path(path).stat().st_mode & 0o200))
    for name in ("cgroup.kill", "cgroup.freeze"):
        kernel.file(name).chmod(mode)

    assert (control.may_kill(kernel.cgroup), control.may_freeze(kernel.cgroup)) == (expected, expected)


@pytest.mark.parametrize("path", ["/", "/docker/gone"])
def test_neither_the_root_nor_what_has_gone_may_be_killed_or_frozen(kernel: Kernel, path: str) -> None:
    for name in ("cgroup.kill", "cgroup.freeze"):
        (kernel.root / "v2" / name).write_text("")
    cgroup = replace(kernel.cgroup, path=CgroupPath(path))

    assert (control.may_kill(cgroup), control.may_freeze(cgroup)) == (False, False)
