"""The configuration file as text: lines are found, values are written, and nothing else in it changes."""

from __future__ import annotations

import os
import stat
import tomllib
from typing import TYPE_CHECKING, Any

import pytest
import tomlkit
from hypothesis import given
from hypothesis import strategies as st

from topcon.config import Config, load_config
from topcon.errors import UsageError
from topcon.settings_file import changed, line_of, read, save, statements
from topcon.setup.config import commented
from topcon.wiring import build_saver

if TYPE_CHECKING:
    from pathlib import Path

FILE = """\
# mine, do not touch
theme = "paper"   # at night: lagoon
"interval" = 2

label = [
  "a", # first
  "[b]",
]
text = \"\"\"
[keys]
theme = "x"
\"\"\"
dotted.name."a b" = 1

# keys of my own
[keys]  # all of them
stop = { a = 1 }

[keys.deep]
x = 1

[[many]]
x = 1
"""


# Lines.


@pytest.mark.parametrize(
    ("key", "line"),
    [
        (("theme",), 2),
        (("interval",), 3),
        (("label",), 5),
        (("text",), 9),
        (("dotted",), 13),
        (("dotted", "name", "a b"), 13),
        (("keys",), 16),
        (("keys", "stop"), 17),
        (("keys", "stop", "a"), 17),
        (("keys", "deep"), 19),
        (("keys", "deep", "x"), 20),
        (("many",), 22),
        (("many", "x"), 23),
        (("x",), None),
        (("name",), None),
        (("keys", "theme"), None),
        (("theme", "x"), None),
    ],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_where_a_key_stands(key: tuple[str, ...], line: int | None, newline: str) -> None:
    assert line_of(FILE.replace("\n", newline), key) == line


def test_a_file_that_is_no_toml_has_no_lines() -> None:
    with pytest.raises(ValueError, match="line 2"):
        line_of("a = 1\nb;\n", ("a",))


NAMES = st.text(st.sampled_from("ab-_ .é\"'#="), min_size=1, max_size=4)
VALUES = st.recursive(
    st.one_of(
        st.text(max_size=8),
        st.integers(-(2**40), 2**40),
        st.booleans(),
        st.floats(allow_nan=False),
        st.lists(st.text(max_size=4), max_size=3),
    ),
    lambda inner: st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)
TABLES = st.dictionaries(NAMES, VALUES, max_size=5)
NOISE = st.sampled_from(["", "# a comment\n", "\n\n", "#theme = 1\n", "  # [x]\n"])


@st.composite
def files(draw: st.DrawFn) -> str:
    """A file as people write them: with comments, blank lines, and now and then the ends of lines of elsewhere."""
    lines = tomlkit.dumps(draw(TABLES)).splitlines(keepends=True)
    text = draw(NOISE) + "".join(lines) + draw(NOISE)
    return text.replace("\n", "\r\n") if draw(st.booleans()) and '"""' not in text else text


def leaves(values: dict[str, Any], path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    return [
        each
        for name, value in values.items()
        for each in [(*path, name), *(leaves(value, (*path, name)) if isinstance(value, dict) else [])]
    ]


@given(files())
def test_a_file_is_its_statements_and_every_key_has_a_line(text: str) -> None:
    assert "".join(each.text for each in statements(text)) == text
    lines = text.split("\n")
    for key in leaves(tomllib.loads(text)):
        line = line_of(text, key)
        assert line is not None
        assert lines[line - 1].strip()


# Values.


@pytest.mark.parametrize(
    ("text", "changes", "expected"),
    [
        ("", {("theme",): "x"}, 'theme = "x"\n'),
        ('theme = "a" # why\n', {("theme",): "x"}, 'theme = "x" # why\n'),
        ('  "theme"="a"\t# why\r\n', {("theme",): "x"}, '  "theme"="x"\t# why\r\n'),
        ("column-set = 'a'", {("column_set",): "x"}, 'column-set = "x"'),
        ("label = [\n'a', # 1\n]\nb = 1", {("label",): ["c"]}, 'label = ["c"]\nb = 1'),
        ("a = 1", {("theme",): "x"}, 'a = 1\ntheme = "x"\n'),
        ("a = 1\r\n", {("theme",): "x"}, 'a = 1\r\ntheme = "x"\r\n'),
        ("# me\n\n# of b\n[b]\nc = 1\n", {("theme",): "x"}, '# me\n\ntheme = "x"\n\n# of b\n[b]\nc = 1\n'),
        ("a = 1\n\n[b]\nc = 1\n", {("theme",): "x"}, 'a = 1\ntheme = "x"\n\n[b]\nc = 1\n'),
        (
            'a = 1\n## colours\n#theme = "y"\n\nz = 1\n[b]\n#theme = 1\n',
            {("theme",): "x"},
            'a = 1\n## colours\n#theme = "y"\ntheme = "x"\n\nz = 1\n[b]\n#theme = 1\n',
        ),
        ("# me\n\n# of b\n#[b]\n#c = 1\n", {("theme",): "x"}, '# me\n\ntheme = "x"\n\n# of b\n#[b]\n#c = 1\n'),
        ("[filters]", {("filters", "a"): "x"}, '[filters]\na = "x"\n'),
        (
            "[filters]\nb = 'y' # b\n\n# of c\n[c]\n",
            {("filters", "a"): "x"},
            "[filters]\nb = 'y' # b\na = \"x\"\n\n# of c\n[c]\n",
        ),
        ("[filters]\nb = 'y' # b\n", {("filters", "b"): "x"}, '[filters]\nb = "x" # b\n'),
        ("filters = {b = 'y'} # b\n", {("filters", "a"): "x"}, "filters = {b = 'y',a = \"x\"} # b\n"),
        ("filters.b = 'y'\nc = 1\n", {("filters", "a"): "x"}, "filters.b = 'y'\nfilters.a = \"x\"\nc = 1\n"),
        ("filters.b = 'y'\n", {("filters", "b"): "x"}, 'filters.b = "x"\n'),
        ("a = 1\n", {("filters", "é"): "x"}, 'a = 1\n\n[filters]\n"é" = "x"\n'),
        ("", {("filters", "a"): "x"}, '[filters]\na = "x"\n'),
        ("", {("a",): True, ("b",): 2.0, ("c",): ["x", "y"]}, 'a = true\nb = 2.0\nc = ["x", "y"]\n'),
    ],
)
def test_a_value_is_written_where_it_belongs(text: str, changes: dict[tuple[str, ...], object], expected: str) -> None:
    assert changed(text, changes) == expected


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[theme]\nname = 1\n", ("theme",)),
        ("filters = 1\n", ("filters", "a")),
        ("[[filters]]\n", ("filters", "a")),
        ("[filters.a]\nb = 1\n", ("filters", "a")),
    ],
)
def test_what_there_is_no_room_for_is_refused(text: str, key: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=f"there is no room for it in what the file says of {key[0]}"):
        changed(text, {key: "x"})


@given(
    files(),
    st.one_of(st.just(("theme",)), st.tuples(st.just("filters"), NAMES)),
    st.one_of(st.text(), st.floats(allow_nan=False), st.booleans(), st.lists(st.text(max_size=5), max_size=3)),
)
def test_whatever_is_written_is_read_again_and_every_other_line_is_as_it_was(
    text: str, key: tuple[str, ...], value: object
) -> None:
    after = changed(text, {key: value})

    assert tomllib.loads(after) == expected_of(tomllib.loads(text), key, value)
    # Nothing was there of that name, so all that was there is still.
    rest = iter(after.splitlines(keepends=True))
    assert all(any(line.rstrip("\r\n") == each.rstrip("\r\n") for each in rest) for line in text.splitlines(True))


def expected_of(values: dict[str, Any], key: tuple[str, ...], value: object) -> dict[str, Any]:
    inner = values
    for table in key[:-1]:
        inner = inner.setdefault(table, {})
    inner[key[-1]] = value
    return values


@given(TABLES.filter(bool), st.data())
def test_a_value_that_is_there_is_replaced_and_its_neighbours_are_not(
    values: dict[str, Any], data: st.DataObject
) -> None:
    text = "# first\n" + tomlkit.dumps(values) + "# last\n"
    name = data.draw(st.sampled_from([name for name in values if not isinstance(values[name], dict)] or [""]))
    if not name:
        return
    after = changed(text, {(name,): "x"})

    assert tomllib.loads(after) == values | {name: "x"}
    (at,) = [at for at, each in enumerate(statements(text)) if each.has((name,)) and not each.table]
    assert [each.text for number, each in enumerate(statements(after)) if number != at] == [
        each.text for number, each in enumerate(statements(text)) if number != at
    ]


# The file itself.


def test_a_new_file_and_its_folders_are_the_persons_own(tmp_path: Path) -> None:
    file = tmp_path / "config" / "topcon" / "config.toml"

    content = save(file, None, {("theme",): "x"})

    assert file.read_bytes() == content == b'theme = "x"\n'
    assert [stat.S_IMODE(each.stat().st_mode) for each in (file, file.parent, file.parent.parent)] == [
        0o600,
        0o700,
        0o700,
    ]


def test_permissions_are_kept_and_a_link_is_followed(tmp_path: Path) -> None:
    real, link = tmp_path / "dotfiles" / "topcon.toml", tmp_path / "config.toml"
    real.parent.mkdir()
    real.write_text("a = 1\n")
    real.chmod(0o640)
    link.symlink_to("dotfiles/topcon.toml")

    save(link, b"a = 1\n", {("theme",): "x"})

    assert link.is_symlink()
    assert real.read_text() == 'a = 1\ntheme = "x"\n'
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert [each.name for each in real.parent.iterdir()] == ["topcon.toml"]


@pytest.mark.parametrize(
    ("now", "known"), [(b"a = 2\n", b"a = 1\n"), (b"a = 1\n", None), (None, b"a = 1\n"), (b"", b"a = 1\n")]
)
def test_what_somebody_else_has_written_meanwhile_is_not_lost(
    tmp_path: Path, now: bytes | None, known: bytes | None
) -> None:
    file = tmp_path / "config.toml"
    if now is not None:
        file.write_bytes(now)

    with pytest.raises(UsageError, match="somebody has changed it since topcon read it; nothing was saved"):
        save(file, known, {("theme",): "x"})

    assert read(file) == now


@pytest.mark.parametrize("content", [b"a = \n", b"\xff", b"[theme]\n"])
def test_a_file_that_cannot_take_it_stays_as_it_is(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "config.toml"
    file.write_bytes(content)

    with pytest.raises(UsageError, match="nothing was saved") as caught:
        save(file, content, {("theme",): "x"})

    assert str(caught.value).startswith(f"{file}: ")
    assert file.read_bytes() == content


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(UsageError, match="no regular file"):
        save(tmp_path / "pipe", b"", {("theme",): "x"})


def test_a_file_that_cannot_be_written_is_told_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "config.toml"
    file.write_text("a = 1\n")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UsageError, match="cannot be written: No space left on device"):
        save(file, b"a = 1\n", {("theme",): "x"})

    assert [each.name for each in tmp_path.iterdir()] == ["config.toml"]
    assert file.read_text() == "a = 1\n"


# What was chosen.

AS_IT_IS: dict[tuple[str, ...], object] = {
    ("theme",): "topcon-dark",
    ("interval",): 1.0,
    ("sort",): "finding",
    ("columns",): (),
    ("filter",): "",
    ("only_sick",): False,
}


def test_only_what_is_other_than_the_file_and_the_defaults_say_is_saved(tmp_path: Path) -> None:
    file = tmp_path / "topcon.toml"
    file.write_text('theme = "paper" # bright\nsort = "cpu"\n')
    write = build_saver(load_config({"theme": "ember"}, file))

    told = write(AS_IT_IS | {("theme",): "paper", ("interval",): 5.0, ("columns",): ("cpu", "mem")})

    assert told == f"saved interval, sort, columns in {file}"
    assert tomllib.loads(file.read_text()) == {
        "theme": "paper",
        "sort": "finding",
        "interval": 5.0,
        "columns": ["cpu", "mem"],
    }
    assert load_config({}, file) == Config(theme="paper", interval=5.0, columns=("cpu", "mem"))


def test_saved_twice_is_written_once_and_then_what_has_changed() -> None:
    write = build_saver(load_config({}, None))

    assert write(AS_IT_IS | {("filters", "busy"): "cpu>0.5"}).startswith("saved filters.busy in ")
    assert write(AS_IT_IS | {("filters", "busy"): "cpu>0.5"}).startswith("nothing to save: ")
    assert write({("filters", "busy"): "cpu>1", ("filters", "big"): "mem>1G"}).startswith(
        "saved filters.busy, filters.big in "
    )
    assert load_config({}, None).filters == {"busy": "cpu>1", "big": "mem>1G"}


def test_the_printed_file_takes_each_value_below_its_explanation() -> None:
    values: dict[str, Any] = {"theme": "paper", "hide": ["system"], "filter": "web", "columns": ["cpu"], "sort": "cpu"}
    after = changed(commented(), {(name,): value for name, value in values.items()})

    lines = after.split("\n")
    keys = lines.index("#[keys]")
    for name in values:
        (at,) = [at for at, line in enumerate(lines) if line.startswith(f"{name} = ")]
        assert lines[at - 1].startswith(f"#{name} = ")
        assert at < keys
    assert tomllib.loads(after) == values
