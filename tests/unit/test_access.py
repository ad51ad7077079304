"""Passwords and how often somebody is served."""

from __future__ import annotations

import base64
import builtins
import threading
from typing import Any

import bcrypt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from topcon.errors import UsageError
from topcon.exporter import access
from topcon.exporter.access import CACHED, HASH, Passwords, TokenBucket, bcrypt_check, parse_basic

PATIENCE_S = 10.0


def hashed(password: bytes) -> str:
    return bcrypt.hashpw(password, bcrypt.gensalt(4)).decode()


SECRET = hashed(b"secret")
USERS = {"alice": SECRET, "b\u00f6b": hashed("gr\u00fcn".encode()), "carol": hashed(b"c" * 72)}


def basic(text: str | bytes) -> str:
    return "Basic " + base64.b64encode(text if isinstance(text, bytes) else text.encode()).decode()


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Passwords that bcrypt was asked for, in order."""
    asked: list[bytes] = []
    real = bcrypt.checkpw

    def checkpw(password: bytes, known: bytes) -> bool:
        asked.append(password)
        return real(password, known)

    monkeypatch.setattr(bcrypt, "checkpw", checkpw)
    return asked


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (basic("alice:secret"), True),
        (basic("alice:secret").replace("Basic", "bASIC"), True),
        (basic("alice:secret").replace(" ", "   "), True),
        (basic("b\u00f6b:gr\u00fcn"), True),
        (basic("carol:" + "c" * 72), True),
        (basic("carol:" + "c" * 80), True),
        (basic("carol:" + "c" * 71), False),
        (basic("alice:Secret"), False),
        (basic("alice:secret:"), False),
        (basic("alice:secret\0"), False),
        (basic("alice:\0"), False),
        (basic("alice:"), False),
        (basic("Alice:secret"), False),
        (basic("mallory:secret"), False),
        (basic(":secret"), False),
        (basic(b"b\xf6b:gr\xfcn"), False),
        (basic("alice"), False),
        (None, False),
        ("", False),
        ("Basic", False),
        ("Basic ", False),
        ("Basic !!!!", False),
        ("Basic YWxpY2U6c2VjcmV0!", False),
        ("Basic \u00fc\u00fc\u00fc\u00fc", False),
        (f"{basic('alice:secret')}, {basic('alice:secret')}", False),
        (basic("alice:secret").replace("Basic", "Bearer"), False),
    ],
)
def test_who_is_let_in(header: str | None, expected: bool) -> None:
    assert Passwords().are_right(header, USERS) is expected


@pytest.mark.parametrize("text", ["alice:secret", "alice:wrong", "mallory:secret"])
def test_what_is_known_is_not_computed_again(checked: list[bytes], text: str) -> None:
    passwords = Passwords()

    results = {passwords.are_right(basic(text), USERS) for _ in range(3)}

    assert len(results) == len(checked) == 1


def test_who_is_unknown_costs_as_much_as_who_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bytes] = []

    def checkpw(_: bytes, known: bytes) -> bool:
        asked.append(known)
        # Even if it were right, nobody is nobody.
        return True

    monkeypatch.setattr(bcrypt, "checkpw", checkpw)
    users = {"a": SECRET.replace("$04$", "$06$"), "b": SECRET}

    assert Passwords().are_right(basic("mallory:x"), users) is False
    assert [known[:7] for known in asked] == [b"$2b$06$"]
    assert HASH.fullmatch(asked[0].decode())


def test_without_a_password_nothing_is_computed(checked: list[bytes]) -> None:
    assert Passwords().are_right(None, USERS) is False
    assert checked == []


def test_a_new_password_counts_at_once_and_the_old_one_no_more() -> None:
    passwords = Passwords()
    assert passwords.are_right(basic("alice:secret"), USERS) is True

    after = USERS | {"alice": hashed(b"other")}

    assert passwords.are_right(basic("alice:secret"), after) is False
    assert passwords.are_right(basic("alice:other"), after) is True
    assert passwords.are_right(basic("alice:secret"), {}) is False


def test_a_flood_of_wrong_passwords_does_not_push_out_the_right_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = 0

    def checkpw(password: bytes, _: bytes) -> bool:
        nonlocal asked
        asked += 1
        return password == b"secret"

    monkeypatch.setattr(bcrypt, "checkpw", checkpw)
    passwords = Passwords()
    assert passwords.are_right(basic("alice:secret"), USERS) is True
    for number in range(CACHED + 1):
        assert passwords.are_right(basic(f"alice:{number}"), USERS) is False
    before = asked

    assert passwords.are_right(basic("alice:secret"), USERS) is True
    assert asked == before
    assert passwords.are_right(basic("alice:0"), USERS) is False
    assert asked == before + 1


def test_one_password_is_checked_at_a_time_and_the_same_one_once(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, may_end = threading.Event(), threading.Event()
    asked: list[bytes] = []

    def checkpw(password: bytes, _: bytes) -> bool:
        asked.append(password)
        begun.set()
        assert may_end.wait(PATIENCE_S)
        return True

    monkeypatch.setattr(bcrypt, "checkpw", checkpw)
    passwords = Passwords()
    results: list[bool | None] = []
    threads = [
        threading.Thread(target=lambda: results.append(passwords.are_right(basic("alice:secret"), USERS)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    assert begun.wait(PATIENCE_S)
    may_end.set()
    for thread in threads:
        thread.join(PATIENCE_S)

    assert (results, asked) == ([True] * 4, [b"secret"])


def test_who_would_wait_too_long_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, may_end = threading.Event(), threading.Event()

    def checkpw(*_: bytes) -> bool:
        begun.set()
        return may_end.wait(PATIENCE_S)

    monkeypatch.setattr(bcrypt, "checkpw", checkpw)
    monkeypatch.setattr(access, "PATIENCE_S", 0.01)
    passwords = Passwords()
    thread = threading.Thread(target=passwords.are_right, args=(basic("alice:a"), USERS))
    thread.start()
    assert begun.wait(PATIENCE_S)

    assert passwords.are_right(basic("alice:b"), USERS) is None
    may_end.set()
    thread.join(PATIENCE_S)


def test_without_bcrypt_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name == "bcrypt":
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)

    with pytest.raises(UsageError, match=r"pip install 'topcon\[web\]'"):
        bcrypt_check()


@given(st.text())
def test_any_header_is_a_password_or_none(header: str) -> None:
    assert parse_basic(header) is None or header.lower().startswith("basic ")


@given(st.binary(), st.binary().filter(lambda name: b":" not in name))
def test_whatever_is_sent_comes_out(password: bytes, name: bytes) -> None:
    assert parse_basic(basic(name + b":" + password)) == (name, password)


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_a_burst_passes_at_once_and_one_more_each_interval() -> None:
    clock = Clock()
    bucket = TokenBucket(2.0, 3, clock)

    assert [bucket.take() for _ in range(4)] == [True, True, True, False]
    clock.now_s += 1.9
    assert not bucket.take()
    clock.now_s += 0.2
    assert [bucket.take() for _ in range(2)] == [True, False]
    clock.now_s += 3600
    assert [bucket.take() for _ in range(4)] == [True, True, True, False]
