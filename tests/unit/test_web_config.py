"""The file of ``--web-config``: what it may say, what is refused, and what happens when it changes."""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topcon.errors import UsageError
from topcon.exporter import web_config
from topcon.exporter.web_config import RateLimit, WebFile, WebRules

if TYPE_CHECKING:
    from pathlib import Path

HASH = "$2b$04$Tv0DjmRh8YwkuJmSrZGPTeJ3TIdWgT6jsw4UeB7nHZkgDzVfK1f0i"


def rules(folder: Path, text: str | bytes) -> WebRules:
    file = folder / "web.yml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return WebFile(file).rules()


def refusal(folder: Path, text: str | bytes) -> str:
    with pytest.raises(UsageError) as caught:
        rules(folder, text)
    message = str(caught.value)
    assert message.startswith(f"{folder / 'web.yml'}:")
    assert message.isprintable()
    return message


def test_a_whole_file(tmp_path: Path) -> None:
    found = rules(
        tmp_path,
        f"basic_auth_users:\n  alice: {HASH}\n  bob: &h '{HASH}'\n  carol: *h\n"
        "http_server_config:\n  http2: off\n  headers:\n    X-Frame-Options: sameorigin\n    X-XSS-Protection: 0\n"
        "rate_limit:\n  interval: 1m0.5s\n  burst: 20\n",
    )

    assert found == WebRules(
        users={"alice": HASH, "bob": HASH, "carol": HASH},
        headers={"X-Frame-Options": "sameorigin", "X-XSS-Protection": "0"},
        rate_limit=RateLimit(60.5, 20),
    )
    assert found.has_authentication


@pytest.mark.parametrize(
    "text",
    [
        *("", "# nothing", "---", "{}", "~", "tls_server_config:", "tls_server_config: {}", "basic_auth_users: null"),
        *("rate_limit: {interval: 0}", "rate_limit: {burst: 3}", "tls_server_config: {cert_file: ''}"),
        "tls_server_config: {min_version: TLS13, prefer_server_cipher_suites: yes, cipher_suites: []}",
    ],
)
def test_a_file_that_asks_for_nothing(tmp_path: Path, text: str) -> None:
    assert rules(tmp_path, text) == WebRules()
    assert not WebRules().has_authentication


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("500ms", RateLimit(0.5, 1)),
        ("1.5h", RateLimit(5400.0, 1)),
        (".5s", RateLimit(0.5, 1)),
        ("250us", RateLimit(0.00025, 1)),
        ("2m3s", RateLimit(123.0, 1)),
    ],
)
def test_an_interval(tmp_path: Path, text: str, expected: RateLimit) -> None:
    found = rules(tmp_path, f"rate_limit: {{interval: {text}}}").rate_limit

    assert found is not None
    assert (found.interval_s, found.burst) == (pytest.approx(expected.interval_s), expected.burst)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("x", 1, "the file: expected a mapping"),
        ("\n\nusers: {}", 3, "users: there is no such key in the file"),
        ("a\x1bb: 1", None, "special characters are not allowed"),
        ('"a\\eb": 1', 1, "control characters"),
        ("a: 1\n---\nb: 1", 2, "more than one document"),
        ("%YAML 1.1\n---\n{}", 1, "directives are not taken"),
        ("!!map {}", 1, "tags are not taken"),
        ("basic_auth_users: {a: !!str x}", 1, "tags are not taken"),
        ("[" * 17, 1, "too deep"),
        ("[" * 5000, 1, "too deep"),
        ("basic_auth_users: {a: &a *a}", 1, ""),
        ("basic_auth_users: &a\n  a: *a", 1, "a password: expected a text"),
        ("basic_auth_users:\n  <<: {a: b}", 2, "merged mappings are not taken"),
        ("basic_auth_users:\n  ~: b", 2, "a key: expected a text"),
        ("basic_auth_users:\n  a: b\n", 2, "expected a bcrypt hash"),
        (f"basic_auth_users:\n  a: {HASH.replace('$04$', '$17$')}\n", 2, "a cost above 16"),
        (f"basic_auth_users:\n  'a:b': {HASH}\n", 2, "cannot be sent"),
        (f"basic_auth_users:\n  '': {HASH}\n", 2, "cannot be sent"),
        ("basic_auth_users: {a: ~}", 1, "a: has no value"),
        ("http_server_config:\n  headers:\n    X-Powered-By: x", 3, "expected one of Content-Security-Policy"),
        ("http_server_config: {headers: {Content-Security-Policy: 'a\n\n  b'}}", 1, "expected one line"),
        ("http_server_config: {headers: {Content-Security-Policy: ü}}", 1, "expected one line of ASCII"),
        ("http_server_config: {headers: {X-Frame-Options: allow}}", 1, "expected one of deny, sameorigin"),
        ("http_server_config: {http2: 1}", 1, "http2: expected true or false"),
        ("rate_limit: {interval: 1}", 1, "expected a duration"),
        ("rate_limit: {interval: -1s}", 1, "expected a duration"),
        ("rate_limit: {interval: ''}", 1, "expected a duration"),
        (f"rate_limit: {{interval: {'9' * 400}h}}", 1, "too long"),
        ("rate_limit: {burst: 0}", 1, "a whole number from 1"),
        ("rate_limit: {burst: '1'}", 1, "a whole number from 1"),
        ("rate_limit: {burst: 1.5}", 1, "a whole number from 1"),
        ("rate_limit: {rate: 1}", 1, "no such key in rate_limit"),
        ("tls_server_config: {cert_file: a}", 1, "cert_file: "),
        ("tls_server_config: {cert: a}", 1, "key_file is missing"),
        ("tls_server_config: {key: a}", 1, "cert_file is missing"),
        ("tls_server_config: {cert: a, key: b}", 1, "cannot be used"),
        ("tls_server_config: {cert: a, cert_file: b}", 1, "only one of them"),
        ("tls_server_config: {client_auth_type: RequestClientCert}", 1, "which cannot be done here"),
        ("tls_server_config: {client_auth_type: RequireAnyClientCert}", 1, "which cannot be done here"),
        ("tls_server_config: {client_auth_type: Any}", 1, "expected one of NoClientCert"),
        ("tls_server_config: {client_allowed_sans: [a]}", 1, "needs client_auth_type: RequireAndVerifyClientCert"),
        ("tls_server_config: {cipher_suites: x}", 1, "cipher_suites: expected a list"),
        ("tls_server_config: {cipher_suites: [~]}", 1, "cipher_suites: expected a text"),
        ("tls_server_config: {curve_preferences: [P256]}", 1, "expected one of CurveP256"),
        ("tls_server_config: {min_version: TLS9}", 1, "expected one of TLS10"),
        (b"\xff", None, "is not in UTF-8"),
        ("a: '", 1, ""),
        (" " * (1 << 20) + "{}", None, "larger than"),
    ],
)
def test_what_is_wrong_is_refused_in_one_line(tmp_path: Path, text: str | bytes, line: int | None, words: str) -> None:
    message = refusal(tmp_path, text)

    assert words in message
    if line is not None:
        assert message.startswith(f"{tmp_path / 'web.yml'}:{line}: ")


@pytest.mark.parametrize("name", ["none.yml", ".", "a\0b"])
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        WebFile(tmp_path / name)


@pytest.mark.parametrize("package", ["yaml", "bcrypt"])
def test_without_the_packages_it_is_said_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name == package:
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)

    with pytest.raises(UsageError, match=r"^--web-config needs PyYAML and bcrypt: pip install 'topcon\[web\]'$"):
        rules(tmp_path, f"basic_auth_users: {{a: {HASH}}}")


def test_a_new_version_holds_at_once_and_a_broken_one_leaves_the_old(tmp_path: Path) -> None:
    file = tmp_path / "web.yml"
    file.write_text(f"basic_auth_users: {{alice: {HASH}}}")
    web = WebFile(file)
    first = web.rules()

    file.write_text("basic_auth_users: {alice: broken}")
    assert web.rules() is first
    assert web.problem is not None
    assert web.problem.source == "web-config"
    assert "expected a bcrypt hash" in web.problem.message
    assert web.problem.message.endswith("the version before it stays in use")

    file.unlink()
    assert web.rules() is first
    assert web.problem is not None
    assert "cannot be read" in web.problem.message

    file.write_text(f"basic_auth_users: {{bob: {HASH}}}")
    assert list(web.rules().users) == ["bob"]
    assert web.problem is None


def test_what_has_not_changed_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "web.yml"
    file.write_text("{}")
    web = WebFile(file)
    read: list[Path] = []
    real = web_config._read_file
    monkeypatch.setattr(web_config, "_read_file", lambda path: read.append(path) or real(path))

    for _ in range(3):
        web.rules()
    assert read == []
    file.write_text("broken")
    for _ in range(3):
        web.rules()
    assert read == [file]
    other = tmp_path / "other.yml"
    other.write_text("{}")
    other.replace(file)
    web.rules()
    assert read == [file, file]


@given(st.text())
def test_any_file_is_taken_or_refused_in_a_line(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    file = tmp_path_factory.mktemp("any") / "web.yml"
    file.write_text(text, errors="surrogatepass", newline="")
    said = ""
    try:
        WebFile(file)
    except UsageError as error:
        said = str(error)
    assert "\n" not in said
