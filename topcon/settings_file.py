"""The configuration file as text: on which line something stands, and how a setting is written into it.

What is not asked for stays as it is, byte for byte: the file is somebody's own, with comments and an order.
"""

from __future__ import annotations

import contextlib
import copy
import json
import os
import re
import stat
import tempfile
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from topcon.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    Key = tuple[str, ...]
    """A name in the file, after those of the tables that it is in."""

_LINES = re.compile(r"[^\n]*\n|[^\n]+")
_COMMENTED_HEAD = re.compile(r"\s*#+\s*\[[^\]]*\]\s*$")
PRIVATE = 0o700
"""Who may look into folders that are made: their owner."""


class Statement(NamedTuple):
    """A key with its value, the head of a table, or a line that says nothing."""

    line: int
    """The first of it, from 1 on."""
    text: str
    """With the ends of its lines."""
    table: Key
    """What it is in."""
    values: Mapping[str, Any]
    """What it says by itself; empty for a comment."""
    is_head: bool = False

    def has(self, key: Key) -> bool:
        """Whether it is here that something is said first of a key, or of what is in it."""
        if self.is_head:
            return _path(self.values)[: len(key)] == key
        inside = len(self.table)
        return key[:inside] == self.table and _holds(self.values, key[inside:])


def statements(text: str) -> list[Statement]:
    """Take a file apart; together their texts are the file.

    Raises:
        ValueError: it is no TOML.
    """
    tomllib.loads(text)
    found = []
    table: Key = ()
    begun, first = "", 1
    for number, line in enumerate(_LINES.findall(text), 1):
        begun += line
        try:
            values = tomllib.loads(begun)
        except ValueError:
            # It goes on in the next line.
            continue
        is_head = begun.lstrip().startswith("[")
        if is_head:
            table = _path(values)
        found.append(Statement(first, begun, table, values, is_head))
        begun, first = "", number + 1
    return found


def line_of(text: str, key: Sequence[str]) -> int | None:
    """Return the line on which a key stands, or begins to; None if it is not there.

    Raises:
        ValueError: the text is no TOML.
    """
    return line_in(statements(text), key)


def line_in(parts: Iterable[Statement], key: Sequence[str]) -> int | None:
    """Return the same of a file that is taken apart already."""
    return next((each.line for each in parts if each.has(tuple(key))), None)


def _path(values: Mapping[str, Any]) -> Key:
    """Return what the head of a table names."""
    path: list[str] = []
    inner: Any = values
    while inner:
        ((name, inner),) = inner.items()
        path.append(name)
        inner = inner[-1] if isinstance(inner, list) else inner
    return tuple(path)


def _holds(values: object, key: Key) -> bool:
    for name in key:
        if not isinstance(values, dict) or name not in values:
            return False
        values = values[name]
    return bool(key)


def changed(text: str, changes: Mapping[Key, object]) -> str:
    """Write values into a file, each in the place of the one that is there.

    A new one comes below the comment that has it, such as ``#theme = "x"``, or behind the others of its table.

    Raises:
        ValueError: the file is no TOML, or has something else under a name.
    """
    expected = tomllib.loads(text)
    for key, value in changes.items():
        spelled = _spelled(expected, key)
        text = _with(text, spelled, value)
        _put(expected, spelled, value)
        # What is there can be written in ways that leave no room for it.
        if not _is_read_as(text, expected):
            message = f"{'.'.join(key)}: there is no room for it in what the file says of {key[0]}"
            raise ValueError(message)
    return text


def _spelled(values: Mapping[str, Any], key: Key) -> Key:
    """Return a key as the file has it: settings may be written as their options are."""
    dashed = key[0].replace("_", "-")
    return (dashed, *key[1:]) if dashed in values and key[0] not in values else key


def _put(values: dict[str, Any], key: Key, value: object) -> None:
    *tables, name = key
    for table in tables:
        inner = values.setdefault(table, {})
        # What is no table is found out by the text, which has one now or cannot.
        values = inner if isinstance(inner, dict) else {}
    values[name] = copy.deepcopy(value)


def _is_read_as(text: str, expected: Mapping[str, Any]) -> bool:
    def plain(values: object) -> str:
        return json.dumps(values, sort_keys=True, default=repr)

    try:
        return plain(tomllib.loads(text)) == plain(expected)
    except ValueError:
        return False


def _with(text: str, key: Key, value: object) -> str:
    parts = statements(text)
    there = next((at for at, each in enumerate(parts) if not each.is_head and each.has(key)), None)
    if there is not None:
        return _joined(parts, there, _edited(parts[there], key, value))
    return _with_new(parts, key, value, "\r\n" if "\r\n" in text else "\n")


def _with_new(parts: Sequence[Statement], key: Key, value: object, newline: str) -> str:
    import tomlkit  # noqa: PLC0415  not before something is saved

    *tables, name = key
    table = tuple(tables)
    line = f"{tomlkit.key(name).as_string()} = {tomlkit.item(value).as_string()}{newline}"
    if not table:
        return _inserted(parts, *_place(parts, name, line, newline), newline)
    head = next((at for at, each in enumerate(parts) if each.is_head and _path(each.values) == table), None)
    if head is not None:
        return _inserted(parts, _end(parts, head) + 1, line, newline)
    around = [at for at, each in enumerate(parts) if not each.is_head and each.has(table)]
    if around and isinstance(tomlkit.parse(parts[around[-1]].text).get(table[0]), tomlkit.items.InlineTable):
        return _joined(parts, around[-1], _edited(parts[around[-1]], key, value))
    if around:
        dotted = tomlkit.key(list(table)).as_string()
        return _inserted(parts, around[-1] + 1, f"{dotted}.{line}", newline)
    gap = newline if parts else ""
    return _inserted(parts, len(parts), f"{gap}[{tomlkit.key(list(table)).as_string()}]{newline}{line}", newline)


def _edited(statement: Statement, key: Key, value: object) -> str:
    """Change a value where it stands, and leave the rest of its line."""
    import tomlkit  # noqa: PLC0415  not before something is saved

    document = tomlkit.parse(statement.text)
    inner: Any = document
    *tables, name = key[len(statement.table) :]
    for table in tables:
        inner = inner[table]
    inner[name] = value
    return tomlkit.dumps(document)


def _joined(parts: Sequence[Statement], at: int, text: str) -> str:
    return "".join(text if number == at else each.text for number, each in enumerate(parts))


def _inserted(parts: Sequence[Statement], at: int, text: str, newline: str) -> str:
    before = "".join(each.text for each in parts[:at])
    # The last line of a file may lack its end.
    end = newline if before and not before.endswith("\n") else ""
    return f"{before}{end}{text}{''.join(each.text for each in parts[at:])}"


def _place(parts: Sequence[Statement], name: str, line: str, newline: str) -> tuple[int, str]:
    """Return before which statement a new line of no table goes, and the line, with a gap where it wants one."""
    heads = [at for at, each in enumerate(parts) if each.is_head or _COMMENTED_HEAD.match(each.text)]
    until = heads[0] if heads else len(parts)
    commented = re.compile(rf"\s*#+\s*{re.escape(name)}\s*=")
    own = [at for at in range(until) if not parts[at].values and commented.match(parts[at].text)]
    said = [at for at in range(until) if parts[at].values]
    if own or said:
        return (own or said)[-1] + 1, line
    while 0 < until < len(parts) and parts[until - 1].text.strip():
        # The comments right above a table are its own.
        until -= 1
    return until, line + newline if heads else line


def _end(parts: Sequence[Statement], head: int) -> int:
    """Return the last statement that says something in a table."""
    end = head
    for at in range(head + 1, len(parts)):
        if parts[at].is_head:
            break
        if parts[at].values:
            end = at
    return end


def read(path: Path) -> bytes | None:
    """Return what a file holds; None if there is none.

    Raises:
        OSError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def save(path: Path, known: bytes | None, changes: Mapping[Key, object]) -> bytes:
    """Write changes into the file, all of them or none; return what it holds now.

    ``known`` is what it held when it was read: what somebody has written into it since is not lost.

    Raises:
        UsageError: it holds something else by now, is no TOML, or cannot be written.
    """
    try:
        if path.exists() and not path.is_file():
            message = f"{path}: it is no regular file; nothing was saved"
            raise UsageError(message)
        if read(path) != known:
            message = f"{path}: somebody has changed it since topcon read it; nothing was saved"
            raise UsageError(message)
        content = changed((known or b"").decode(), changes).encode()
        _replace(path, content)
    except ValueError as error:
        message = f"{path}: {error}; nothing was saved"
        raise UsageError(message) from None
    except OSError as error:
        message = f"{path}: cannot be written: {error.strerror or error}"
        raise UsageError(message) from None
    return content


def _replace(path: Path, content: bytes) -> None:
    """Put a new file in the place of the old one, or of the one that a link leads to; nobody sees half of it."""
    real = Path(os.path.realpath(path))
    _make_folder(real.parent)
    # Under sudo it is still the file of whose folder it is.
    owner = (real if real.exists() else real.parent).stat()
    handle, temporary = tempfile.mkstemp(prefix=f".{real.name}.", dir=real.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            if stat.S_ISREG(owner.st_mode):
                os.fchmod(handle, stat.S_IMODE(owner.st_mode))
            if (owner.st_uid, owner.st_gid) != (os.geteuid(), os.getegid()):
                with contextlib.suppress(PermissionError):
                    os.fchown(handle, owner.st_uid, owner.st_gid)
            file.flush()
            os.fsync(handle)
        Path(temporary).replace(real)
    except BaseException:
        Path(temporary).unlink()
        raise
    folder = os.open(real.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _make_folder(folder: Path) -> None:
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(PRIVATE)
    owner = folder.parent.stat()
    if os.geteuid() == 0 and owner.st_uid != 0:
        os.chown(folder, owner.st_uid, owner.st_gid)
