"""``topcon who``: what it prints where, and its exit status, on a host made of files."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from samples import container_id, unsafe

from topcon import cli

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakes import FakeHost

    Who = Callable[..., tuple[int, str, str]]

ID = container_id("web")


@pytest.fixture
def who(host: FakeHost, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Who:
    """Ask on a host with one container."""
    monkeypatch.setattr(psutil, "PROCFS_PATH", psutil.PROCFS_PATH)
    host.container(f"/docker/{ID}", 4242, comm="nginx")
    host.write("proc/4242/cgroup", f"0::/docker/{ID}\n")
    host.write("proc/1/cgroup", "0::/init.scope\n")

    def who(*arguments: str) -> tuple[int, str, str]:
        try:
            status: Any = cli.main(["who", "--host-root", str(host.root), *arguments])
        except SystemExit as end:
            status = end.code
        return (status, *capsys.readouterr())

    return who


def test_the_answer_is_two_lines(who: Who) -> None:
    assert who("4242") == (0, f"{ID[:12]} (docker {ID[:12]})\n  process 4242 (nginx) is 1 inside\n", "")


def test_the_host_is_an_answer_too(who: Who) -> None:
    status, out, err = who("pid:1")

    assert (status, err) == (0, "")
    assert out.splitlines()[:2] == ["the host", "  process 1 (systemd) of the host, in /init.scope"]


def test_words_that_no_shell_has_kept_together_are_one_thing(who: Who) -> None:
    assert who("pid", "4242") == who("pid 4242")


def test_json_is_one_object(who: Who) -> None:
    status, out, err = who("--json", f"/sys/fs/cgroup/docker/{ID}")

    assert (status, err) == (0, "")
    told = json.loads(out)
    assert (told["version"], told["kind"]) == (1, "cgroup")
    assert [answer["container"] for answer in told["answers"]] == [f"docker:{ID}"]


@pytest.mark.parametrize("arguments", [[], ["--json"]])
def test_nothing_found_is_one_line_and_status_1(who: Who, arguments: list[str]) -> None:
    status, out, err = who(*arguments, "nobody")

    assert status == 1
    assert err == (
        "topcon: nobody: nothing found; looked at the names and ids of 1 container; the interfaces of 2 networks\n"
    )
    assert (json.loads(out)["answers"] if arguments else out) in ([], "")


@pytest.mark.parametrize("thing", ["\x1b[2J\x07", "x" * 1_000_000, "a\nb\nc"], ids=["escapes", "megabyte", "lines"])
def test_what_is_hostile_is_answered_with_one_clean_line(who: Who, thing: str) -> None:
    status, out, err = who(thing)

    assert (status, out) == (1, "")
    assert err.count("\n") == 1
    assert not unsafe(err.rstrip("\n"))


@pytest.mark.parametrize("arguments", [[], [""], ["  "]])
def test_to_ask_nothing_is_a_mistake(who: Who, arguments: list[str]) -> None:
    status, out, err = who(*arguments)

    assert (status, out) == (64, "")
    assert err.count("\n") == 1


def test_help_is_for_stdout(who: Who) -> None:
    status, out, err = who("--help")

    assert (status, err) == (0, "")
    for option in ("THING", "--json", "--runtime NAME", "--host-root DIR", "--config FILE"):
        assert option in out
