"""Reading small files: what is kept open, what is parsed again, and what becomes of files that go or are refused."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from descriptors import open_below

from topcon.errors import ParseError
from topcon.kernel.files import (
    MOST_KEPT,
    READ_BYTES,
    RETRY_AFTER,
    SPARE_DESCRIPTORS,
    Access,
    Directory,
    KeptFile,
    raise_descriptor_limit,
    read_small,
)

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE = 4096
ABSENCES = (errno.ENOENT, errno.ENODEV, errno.ENXIO, errno.ESRCH, errno.EOPNOTSUPP, errno.EINVAL)


class Text:
    """A parsed value, told from its equals by identity."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw


def to_text(raw: bytes, path: str) -> Text:
    if raw.startswith(b"malformed"):
        raise ParseError(path, raw.decode())
    return Text(raw)


def failing(call: str, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a call of ``os`` fail with an error of the system, for this test or until it is undone."""

    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, call, fail)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "cgroup.file"
    path.write_bytes(b"one\n")
    return path


# read_small


@pytest.mark.parametrize("size", [0, 1, PAGE, READ_BYTES - 1, READ_BYTES, READ_BYTES + 1, 5 * READ_BYTES + 7])
def test_a_file_is_read_whole_whatever_its_size(tmp_path: Path, size: int) -> None:
    content = bytes(at % 251 for at in range(size))
    (tmp_path / "file").write_bytes(content)

    assert read_small(str(tmp_path / "file")) == content


def test_a_file_that_hands_out_a_page_at_a_time_is_read_to_its_end(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = b"4242\n" * 3000
    file.write_bytes(content)
    read = os.read
    monkeypatch.setattr(os, "read", lambda fd, size: read(fd, min(size, PAGE)))

    assert read_small(str(file)) == content


def test_an_absent_file_is_none(file: Path) -> None:
    assert read_small(f"{file}.other") is None
    assert read_small(f"{file}/below") is None


@pytest.mark.parametrize("number", ABSENCES)
@pytest.mark.parametrize("call", ["open", "read"])
def test_a_file_that_goes_at_any_moment_is_none(
    file: Path, call: str, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        failing(call, number, patch)

        assert read_small(str(file)) is None

    assert open_below(file.parent) == []


def test_whatever_is_asked_of_a_process_that_has_ended_and_was_not_waited_for_is_none_at_the_worst() -> None:
    access = Access()
    with subprocess.Popen(["true"]) as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        # The kernel says EINVAL to the first one.
        assert access.read(f"/proc/{process.pid}/mountinfo") is None
        for name in ("stat", "status", "schedstat", "limits", "cgroup", "cmdline", "net/dev", "net/snmp"):
            access.read(f"/proc/{process.pid}/{name}")
        for name in ("ns/net", "ns/pid", "ns/mnt"):
            access.link(f"/proc/{process.pid}/{name}")


@pytest.mark.parametrize("call", ["open", "read"])
def test_a_refused_file_raises_and_gives_its_descriptor_back(
    file: Path, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        failing(call, errno.EACCES, patch)

        with pytest.raises(PermissionError):
            read_small(str(file))

    assert open_below(file.parent) == []


@pytest.mark.parametrize("call", ["open", "read"])
def test_an_error_of_another_kind_is_not_hidden(file: Path, call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        failing(call, errno.EIO, patch)

        with pytest.raises(OSError, match="Input/output error"):
            read_small(str(file))


# Access


def test_access_reads_what_is_there_and_nothing_else(file: Path) -> None:
    access = Access()

    assert access.read(str(file)) == b"one\n"
    assert access.read(f"{file}.other") is None
    assert access.refused is None


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM])
def test_the_first_refused_file_is_remembered(file: Path, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    access = Access()
    with monkeypatch.context() as patch:
        failing("open", number, patch)

        assert access.read(str(file)) is None
        assert access.read(f"{file}.other") is None

    assert access.refused == str(file)


def test_a_link_is_read_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "net").symlink_to("net:[4026531833]")
    access = Access()

    assert access.link(str(tmp_path / "net")) == "net:[4026531833]"
    assert access.link(str(tmp_path / "pid")) is None
    assert access.refused is None

    with monkeypatch.context() as patch:
        failing("readlink", errno.EACCES, patch)
        assert access.link(str(tmp_path / "net")) is None
    assert access.refused == str(tmp_path / "net")


def test_an_error_that_is_neither_absence_nor_refusal_is_raised_again() -> None:
    access = Access()

    with pytest.raises(OSError, match="too many"):
        access.note(OSError(errno.EMFILE, "too many open files"), "/sys/file")
    assert access.refused is None


# KeptFile


def test_a_kept_file_is_opened_once_and_read_afresh(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    access = Access(budget=1)
    kept = KeptFile(str(file), to_text, access)
    assert open_below(file.parent) == []
    first = kept.read()
    failing("open", errno.EIO, monkeypatch)
    file.write_bytes(b"a longer second\n")
    second = kept.read()
    file.write_bytes(b"3\n")
    third = kept.read()

    assert [text.raw for text in (first, second, third) if text] == [b"one\n", b"a longer second\n", b"3\n"]
    assert open_below(file.parent) == [str(file)]
    assert access.left == 0


@pytest.mark.parametrize("budget", [0, 1])
def test_unchanged_bytes_give_the_same_object_and_are_not_parsed_again(file: Path, budget: int) -> None:
    parsed = []

    def parse(raw: bytes, path: str) -> Text:
        parsed.append(path)
        return to_text(raw, path)

    kept = KeptFile(str(file), parse, Access(budget))
    first = kept.read()

    assert first is not None
    assert kept.read() is first
    file.write_bytes(b"one\n")
    assert kept.read() is first
    assert parsed == [str(file)]

    file.write_bytes(b"two\n")
    second = kept.read()
    assert second is not None
    assert second.raw == b"two\n"
    assert second is not first


def test_an_empty_file_is_parsed_too(file: Path) -> None:
    file.write_bytes(b"")
    text = KeptFile(str(file), to_text, Access()).read()

    assert text is not None
    assert text.raw == b""


@pytest.mark.parametrize("size", [READ_BYTES - 1, READ_BYTES, READ_BYTES + 1, 4 * READ_BYTES, 20 * READ_BYTES + 3])
@pytest.mark.parametrize("budget", [0, 1])
def test_a_kept_file_is_read_whole_whatever_its_size(file: Path, size: int, budget: int) -> None:
    content = bytes(at % 251 for at in range(size))
    kept = KeptFile(str(file), to_text, Access(budget))
    kept.read()
    file.write_bytes(content)

    text = kept.read()

    assert text is not None
    assert text.raw == content


@pytest.mark.parametrize("number", ABSENCES)
def test_a_kept_file_that_goes_is_none_and_gives_its_descriptor_back(
    file: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    access = Access(budget=3)
    kept = KeptFile(str(file), to_text, access)
    kept.read()
    assert access.left == 2
    with monkeypatch.context() as patch:
        failing("pread", number, patch)

        assert kept.read() is None

    assert access.left == 3
    assert access.refused is None
    assert open_below(file.parent) == []


def test_what_was_read_before_it_went_is_not_shown_again(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = KeptFile(str(file), to_text, Access(budget=1))
    first = kept.read()
    with monkeypatch.context() as patch:
        failing("pread", errno.ENODEV, patch)
        kept.read()
    for _ in range(RETRY_AFTER):
        kept.read()

    again = kept.read()

    assert again is not None
    assert again is not first


def test_an_absent_file_is_looked_for_again_only_after_a_while(tmp_path: Path) -> None:
    path = tmp_path / "io.stat"
    kept = KeptFile(str(path), to_text, Access(budget=1))
    assert kept.read() is None
    path.write_bytes(b"there now")

    reads = [kept.read() for _ in range(RETRY_AFTER + 1)]

    assert reads[:-1] == [None] * RETRY_AFTER
    assert reads[-1] is not None
    assert kept.read() is reads[-1]


def test_a_file_that_stays_away_costs_one_look_in_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(tmp_path / "io.stat")
    looks = opened(path, monkeypatch)
    kept = KeptFile(path, to_text, Access(budget=1))

    for _ in range(3 * (RETRY_AFTER + 1)):
        assert kept.read() is None

    assert len(looks) == 3


def test_refused_files_are_none_and_the_first_is_noted(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    access = Access(budget=2)
    with monkeypatch.context() as patch:
        failing("open", errno.EACCES, patch)
        for name in ("first", "second"):
            assert KeptFile(f"{file}.{name}", to_text, access).read() is None

    assert access.refused == f"{file}.first"
    assert access.left == 2


def test_a_kept_file_that_is_refused_later_is_noted_and_closed(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    access = Access(budget=1)
    kept = KeptFile(str(file), to_text, access)
    kept.read()
    with monkeypatch.context() as patch:
        failing("pread", errno.EACCES, patch)

        assert kept.read() is None

    assert (access.refused, access.left) == (str(file), 1)
    assert open_below(file.parent) == []


@pytest.mark.parametrize("reads_before", [0, 1])
def test_an_error_of_another_kind_is_raised_and_the_descriptor_given_back(
    file: Path, reads_before: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    access = Access(budget=1)
    kept = KeptFile(str(file), to_text, access)
    for _ in range(reads_before):
        kept.read()
    with monkeypatch.context() as patch:
        failing("pread", errno.EIO, patch)

        with pytest.raises(OSError, match="Input/output error"):
            kept.read()

    assert access.left == 1
    assert open_below(file.parent) == []


def test_without_a_budget_a_file_is_opened_each_time_and_closed_again(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    access = Access(budget=0)
    kept = KeptFile(str(file), to_text, access)
    looks = opened(str(file), monkeypatch)

    first, second = kept.read(), kept.read()

    assert first is second is not None
    assert len(looks) == 2
    assert open_below(file.parent) == []
    assert access.left == 0


def test_the_budget_goes_to_those_who_come_first_and_passes_on(tmp_path: Path) -> None:
    access = Access(budget=1)
    paths = [tmp_path / "a", tmp_path / "b"]
    for path in paths:
        path.write_bytes(b"1")
    first, second = (KeptFile(str(path), to_text, access) for path in paths)
    first.read()
    second.read()
    assert open_below(tmp_path) == [str(paths[0])]

    first.close()
    second.read()

    assert open_below(tmp_path) == [str(paths[1])]
    assert access.left == 0


def test_malformed_bytes_raise_each_time_until_they_are_mended(file: Path) -> None:
    access = Access(budget=1)
    kept = KeptFile(str(file), to_text, access)
    first = kept.read()
    file.write_bytes(b"malformed")
    for _ in range(2):
        with pytest.raises(ParseError, match=r"cgroup\.file: cannot understand 'malformed'"):
            kept.read()

    file.write_bytes(b"one\n")

    assert kept.read() is first
    assert open_below(file.parent) == [str(file)]


def test_closing_gives_one_descriptor_back_however_often(file: Path) -> None:
    access = Access(budget=5)
    kept = KeptFile(str(file), to_text, access)
    kept.close()
    assert access.left == 5
    kept.read()
    kept.close()
    kept.close()

    assert access.left == 5
    assert open_below(file.parent) == []
    assert kept.read() is not None


def opened(path: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note each time a path is opened."""
    looks: list[str] = []
    really_open: Callable[..., int] = os.open

    def noted_open(name: str, *arguments: int, **options: int) -> int:
        if name == path:
            looks.append(name)
        return really_open(name, *arguments, **options)

    monkeypatch.setattr(os, "open", noted_open)
    return looks


# Directory


@pytest.fixture
def directory(file: Path) -> Directory:
    """That of the file, which may be kept."""
    kept = Directory(str(file.parent), Access(budget=2))
    kept.may_keep = True
    return kept


def file_in(directory: Directory, name: str = "cgroup.file") -> KeptFile[Text]:
    """A file of a directory, opened for each read."""
    return KeptFile(f"{directory.path}/{name}", to_text, Access(budget=0), directory)


def test_files_are_opened_by_name_in_a_directory_that_is_kept(
    file: Path, directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [opened(name, monkeypatch) for name in ("cgroup.file", str(file), str(file.parent))]
    kept = file_in(directory)

    values = [kept.read() for _ in range(3)]

    assert [value.raw for value in values if value] == [b"one\n"] * 3
    assert [len(each) for each in names] == [3, 0, 1]


@pytest.mark.parametrize(("may_keep", "budget"), [(False, 1), (True, 0)])
def test_files_are_opened_by_path_where_no_directory_may_be_kept(
    file: Path, may_keep: bool, budget: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = Directory(str(file.parent), Access(budget))
    directory.may_keep = may_keep
    paths = opened(str(file), monkeypatch)

    assert file_in(directory).read() is not None
    assert len(paths) == 1
    assert descriptors_of(file.parent) == 0


def test_a_directory_takes_one_descriptor_and_gives_it_back_once(file: Path) -> None:
    access = Access(budget=2)
    directory = Directory(str(file.parent), access)
    directory.may_keep = True
    directory.close()
    assert access.left == 2
    for _ in range(2):
        file_in(directory).read()
    assert (access.left, descriptors_of(file.parent)) == (1, 1)

    directory.close()
    directory.close()

    assert (access.left, descriptors_of(file.parent)) == (2, 0)


def test_a_file_that_is_kept_is_opened_through_the_directory_too(file: Path) -> None:
    access = Access(budget=2)
    directory = Directory(str(file.parent), access)
    directory.may_keep = True
    kept = KeptFile(str(file), to_text, access, directory)

    assert kept.read() is kept.read() is not None
    assert access.left == 0


def test_a_directory_that_was_made_anew_is_found_after_a_while(file: Path, directory: Directory) -> None:
    kept = file_in(directory)
    assert kept.read() is not None
    file.unlink()
    file.parent.rmdir()
    assert kept.read() is None
    file.parent.mkdir()
    file.write_bytes(b"another\n")
    for _ in range(RETRY_AFTER):
        kept.read()

    text = kept.read()

    assert text is not None
    assert text.raw == b"another\n"


def test_a_directory_that_is_not_there_costs_no_descriptor(tmp_path: Path) -> None:
    access = Access(budget=1)
    directory = Directory(str(tmp_path / "gone"), access)
    directory.may_keep = True

    assert file_in(directory).read() is None
    assert access.left == 1


def test_a_file_that_is_refused_in_a_directory_is_noted_by_its_path(
    file: Path, directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    access = Access()
    with monkeypatch.context() as patch:
        failing("open", errno.EACCES, patch)

        assert KeptFile(str(file), to_text, access, directory).read() is None

    assert access.refused == str(file)


def descriptors_of(directory: Path) -> int:
    """How often this process has a directory open."""
    return sum(os.path.realpath(fd) == str(directory) for fd in Path("/proc/self/fd").iterdir())


# raise_descriptor_limit


@pytest.mark.parametrize(
    ("soft", "hard", "raised_to", "budget"),
    [
        (1024, 10_000, (10_000, 10_000), 10_000 - SPARE_DESCRIPTORS),
        (1024, 524_288, (524_288, 524_288), MOST_KEPT),
        (4096, 4096, None, 4096 - SPARE_DESCRIPTORS),
        (64, 100, (100, 100), 0),
    ],
)
def test_the_soft_limit_is_raised_and_some_descriptors_are_spared(
    soft: int, hard: int, raised_to: tuple[int, int] | None, budget: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda what, pair: limits.append((what, pair)))

    assert raise_descriptor_limit() == budget
    assert limits == ([(resource.RLIMIT_NOFILE, raised_to)] if raised_to else [])
