"""The file of ``--web-config`` against Prometheus' own checker: what that refuses is refused here."""

from __future__ import annotations

import random
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from topcon.errors import UsageError
from topcon.exporter.web_config import WebFile

if TYPE_CHECKING:
    from pathlib import Path

HASH = "$2b$04$Tv0DjmRh8YwkuJmSrZGPTeJ3TIdWgT6jsw4UeB7nHZkgDzVfK1f0i"
PAIR = "cert_file: cert.pem, key_file: key.pem"

VALID = (
    "",
    "# nothing\n",
    "---\n",
    "{}",
    "tls_server_config:\n",
    "basic_auth_users:\n",
    "http_server_config:\n  headers:\n",
    f"tls_server_config: {{{PAIR}}}",
    "tls_server_config:\n  cert_file: cert.pem\n  key_file: key.pem\n  client_auth_type:\n",
    "tls_server_config:\n  cert_file: 'cert.pem'\n  key_file: \"key.pem\"\n  min_version: TLS12\n  max_version: TLS13",
    f"tls_server_config: {{{PAIR}, min_version: TLS13}}",
    f"tls_server_config: {{{PAIR}, min_version: TLS10}}",
    f"tls_server_config: {{{PAIR}, client_auth_type: NoClientCert}}",
    f"tls_server_config: {{{PAIR}, client_auth_type: RequireAndVerifyClientCert, client_ca_file: cert.pem}}",
    f"tls_server_config: {{{PAIR}, client_auth_type: VerifyClientCertIfGiven, client_ca_file: ./cert.pem}}",
    f"tls_server_config: {{{PAIR}, cipher_suites: []}}",
    f"tls_server_config: {{{PAIR}, cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]}}",
    f"tls_server_config: {{{PAIR}, cipher_suites: [TLS_AES_128_GCM_SHA256, TLS_AES_256_GCM_SHA384]}}",
    f"tls_server_config: {{{PAIR}, curve_preferences: [CurveP256]}}",
    f"tls_server_config: {{{PAIR}, curve_preferences: [CurveP521]}}",
    f"tls_server_config: {{{PAIR}, prefer_server_cipher_suites: no}}",
    f"tls_server_config: {{{PAIR}, prefer_server_cipher_suites: On}}",
    f"basic_auth_users: {{alice: '{HASH}'}}",
    f"basic_auth_users:\n  alice: {HASH}\n  bob: {HASH.replace('$2b', '$2y')}\n",
    f"basic_auth_users: {{1: '{HASH}', 'two words': '{HASH}', ünï: \"{HASH}\"}}",
    f"basic_auth_users:\n  alice: &hash {HASH}\n  bob: *hash\n",
    "http_server_config: {http2: true}",
    "http_server_config: {http2: n}",
    "http_server_config: {headers: {X-Frame-Options: deny, X-Content-Type-Options: nosniff}}",
    "http_server_config: {headers: {X-XSS-Protection: 0}}",
    "http_server_config:\n  headers:\n    Strict-Transport-Security: max-age=31536000; includeSubDomains\n",
    "http_server_config:\n  headers:\n    Content-Security-Policy: \"default-src 'self'\"\n",
    f"tls_server_config: {{{PAIR}}}\nbasic_auth_users: {{alice: '{HASH}'}}\nhttp_server_config: {{http2: yes}}\n",
)

REFUSED = (
    "tls_server_config",
    "[]",
    "1",
    "a: 1",
    "tls_config: {}",
    "TLS_SERVER_CONFIG: {}",
    "tls_server_config: []",
    "tls_server_config: x",
    'tls_server_config: ""',
    "tls_server_config: {cert_file: cert.pem}",
    "tls_server_config: {key_file: key.pem}",
    "tls_server_config: {client_ca_file: cert.pem}",
    "tls_server_config: {client_auth_type: NoClientCert}",
    "tls_server_config: {cert_file: none.pem, key_file: key.pem}",
    "tls_server_config: {cert_file: cert.pem, key_file: none.pem}",
    "tls_server_config: {cert_file: key.pem, key_file: cert.pem}",
    "tls_server_config: {cert_file: cert.pem, key_file: other.pem}",
    "tls_server_config: {cert_file: empty.pem, key_file: key.pem}",
    "tls_server_config: {cert_file: ., key_file: key.pem}",
    "tls_server_config: {cert_file: cert.pem, key_file: secret.pem}",
    f"tls_server_config: {{{PAIR}, {PAIR}}}",
    f"tls_server_config: {{{PAIR}, client_ca_file: cert.pem}}",
    f"tls_server_config: {{{PAIR}, client_auth_type: Require}}",
    f"tls_server_config: {{{PAIR}, client_auth_type: RequireAndVerifyClientCert, client_ca_file: none.pem}}",
    f"tls_server_config: {{{PAIR}, min_version: TLS14}}",
    f"tls_server_config: {{{PAIR}, min_version: tls12}}",
    f"tls_server_config: {{{PAIR}, max_version: 1.3}}",
    f'tls_server_config: {{{PAIR}, max_version: ""}}',
    f"tls_server_config: {{{PAIR}, cipher_suites: TLS_AES_128_GCM_SHA256}}",
    f"tls_server_config: {{{PAIR}, cipher_suites: [AES128-SHA]}}",
    f"tls_server_config: {{{PAIR}, cipher_suites: [TLS_RSA_WITH_RC4_128_SHA]}}",
    f"tls_server_config: {{{PAIR}, curve_preferences: [P256]}}",
    f"tls_server_config: {{{PAIR}, prefer_server_cipher_suites: maybe}}",
    f'tls_server_config: {{{PAIR}, prefer_server_cipher_suites: "true"}}',
    f"tls_server_config: {{{PAIR}, prefer_server_cipher_suites: 1}}",
    f"tls_server_config: {{{PAIR}, insecure: true}}",
    "http_server_config: {http2: maybe}",
    'http_server_config: {http2: "true"}',
    "http_server_config: {http2: tRUE}",
    "http_server_config: {http3: true}",
    "http_server_config: {headers: []}",
    "http_server_config: {headers: {Server: x}}",
    "http_server_config: {headers: {x-frame-options: deny}}",
    "http_server_config: {headers: {X-Frame-Options: DENY}}",
    "http_server_config: {headers: {X-Frame-Options: }}",
    "http_server_config: {headers: {X-Content-Type-Options: sniff}}",
    "http_server_config: {headers: {X-XSS-Protection: [0]}}",
    "basic_auth_users: []",
    "basic_auth_users: alice",
    "basic_auth_users: {alice: secret}",
    "basic_auth_users: {alice: }",
    "basic_auth_users: {alice: 12345}",
    "basic_auth_users: {alice: {}}",
    f"basic_auth_users: {{alice: '{HASH}', alice: '{HASH}'}}",
    f"basic_auth_users: {{1: '{HASH}', '1': '{HASH}'}}",
    f"basic_auth_users: {{alice: '{HASH.replace('$04$', '$03$')}'}}",
    f"basic_auth_users: {{alice: '{HASH.replace('$04$', '$32$')}'}}",
    f"basic_auth_users: {{alice: '{HASH.replace('$2b', '$3b')}'}}",
    f"basic_auth_users: {{alice: '{HASH[:-2]}'}}",
    f"basic_auth_users: {{[alice]: '{HASH}'}}",
    "basic_auth_users: {alice: *nobody}",
    "basic_auth_users: {",
    "basic_auth_users:\n\talice: x\n",
    "a: b: c",
    "basic_auth_users: {alice: 'x}",
    "http_server_config: {http2: true}\nhttp_server_config: {http2: true}\n",
    "tls_server_config: {}\n  http_server_config: {}\n",
    "\x01",
    "%YAML 9.9\n---\n{}",
    "...\n{",
)

PIECES = (
    *("tls_server_config", "http_server_config", "basic_auth_users", "cert_file", "key_file", "headers", "http2"),
    *("cert.pem", "key.pem", "client_auth_type", "client_ca_file", "NoClientCert", "RequireAndVerifyClientCert"),
    *("min_version", "TLS12", "cipher_suites", "curve_preferences", "X-Frame-Options", "deny", "alice", f"'{HASH}'"),
    *("true", "yes", "~", "''", "1", "0x1f", "<<", "&a", "*a", "!!str", "---", "...", "|", ">", "?", "-", "#"),
    *(": ", ":", ", ", "{", "}", "[", "]", "\n", "\n  ", "\n    ", "\t", " ", '"', "'", "\u2028", "\u00e9", "%"),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not (shutil.which("promtool") and shutil.which("openssl")):
        pytest.skip("needs promtool (Debian package prometheus) and openssl")
    folder = tmp_path_factory.mktemp("web")
    for certificate, key in (("cert.pem", "key.pem"), ("other-cert.pem", "other.pem")):
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"),
                *("-out", folder / certificate, "-keyout", folder / key),
            ],
            check=True,
            capture_output=True,
        )
    subprocess.run(
        ["openssl", "rsa", "-aes128", "-passout", "pass:x", "-in", folder / "key.pem", "-out", folder / "secret.pem"],
        check=True,
        capture_output=True,
    )
    (folder / "empty.pem").touch()
    return folder


def verdicts(folder: Path, text: str) -> tuple[str | None, str | None]:
    """What Prometheus' checker says against a file, and what we do; None for nothing."""
    file = folder / "web.yml"
    file.write_text(text)
    checked = subprocess.run(["promtool", "check", "web-config", file], capture_output=True, text=True, check=False)
    theirs = checked.stderr.strip() or checked.stdout if checked.returncode else None
    try:
        WebFile(file)
    except UsageError as error:
        return theirs, str(error)
    return theirs, None


@pytest.mark.parametrize("text", VALID)
def test_what_is_valid_is_taken_by_both(folder: Path, text: str) -> None:
    assert verdicts(folder, text) == (None, None)


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_wrong_is_refused_by_both_and_here_in_one_line(folder: Path, text: str) -> None:
    theirs, ours = verdicts(folder, text)

    assert theirs is not None
    assert ours is not None
    assert ours.startswith(f"{folder / 'web.yml'}:")
    assert "\n" not in ours


def mutated(text: str, chance: random.Random) -> str:
    """Take something out of a text, put something in, or write something twice."""
    for _ in range(chance.randint(1, 3)):
        begin = chance.randint(0, len(text))
        end = min(begin + chance.choice((0, 0, 1, 4)), len(text))
        text = text[:begin] + chance.choice(("", *PIECES)) + text[end:]
    return text


def test_what_prometheus_refuses_is_refused_whatever_it_is(folder: Path) -> None:
    chance = random.Random(9338)
    texts = [mutated(chance.choice(VALID), chance) for _ in range(300)]
    texts += ["".join(chance.choices(PIECES, k=chance.randint(1, 12))) for _ in range(100)]

    open_doors = [text for text in texts if (said := verdicts(folder, text))[0] is not None and said[1] is None]

    assert open_doors == []
