"""TLS of the endpoint, with certificates that OpenSSL makes, against clients of all kinds."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
from contextlib import closing, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import pytest

from topcon.errors import UsageError
from topcon.exporter import server as module
from topcon.exporter.listen import TcpAddress
from topcon.exporter.server import Endpoint
from topcon.exporter.tls import CIPHERS, CURVES, TlsSettings, alternative_names, make_context
from topcon.exporter.web_config import WebFile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATIENCE_S = 10.0
SANS = "DNS:scraper.example,IP:192.0.2.1,IP:2001:db8::1,URI:spiffe://example/scraper,email:ops@example.org"


def _can_set(curve: str) -> bool:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).set_ecdh_curve(curve)
    except (ssl.SSLError, ValueError):
        return False
    return True


pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="makes certificates with openssl")


class Nothing:
    """An exposition that is asked for nothing."""


def openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


def make_pair(folder: Path, name: str, *more: str | Path) -> None:
    openssl(
        *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"),
        *("-subj", f"/CN={name}", "-out", folder / f"{name}.pem", "-keyout", folder / f"{name}.key", *more),
    )


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    make_pair(folder, "localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1")
    make_pair(folder, "stranger")
    make_pair(folder, "authority")
    signed_by = ("-CA", folder / "authority.pem", "-CAkey", folder / "authority.key")
    make_pair(folder, "client", *signed_by, "-addext", f"subjectAltName={SANS}")
    make_pair(folder, "nameless", *signed_by)
    openssl(
        *("pkcs8", "-topk8", "-passout", "pass:x"),
        *("-in", folder / "localhost.key", "-out", folder / "locked.key"),
    )
    return folder


@contextmanager
def served(folder: Path, extra: str = "", pair: str = "localhost") -> Iterator[Endpoint]:
    file = folder / "web.yml"
    file.write_text(f"tls_server_config: {{cert_file: {pair}.pem, key_file: {pair}.key{extra}}}")
    endpoint = Endpoint([TcpAddress("127.0.0.1", 0)], Nothing(), WebFile(file))  # type: ignore[arg-type]
    with closing(endpoint):
        yield endpoint


def client_context(certificates: Path, trusted: str = "localhost", client: str | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=certificates / f"{trusted}.pem")
    if client:
        context.load_cert_chain(certificates / f"{client}.pem", certificates / f"{client}.key")
    return context


def port_of(endpoint: Endpoint) -> int:
    return int(endpoint.url.removesuffix("/metrics").rsplit(":", 1)[1])


def ask(endpoint: Endpoint, context: ssl.SSLContext) -> tuple[bytes, Any]:
    """Return the answer of ``/healthz``, empty if there is none, and the version and cipher."""
    with (
        socket.create_connection(("127.0.0.1", port_of(endpoint)), PATIENCE_S) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as client,
    ):
        try:
            client.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
            answer = b""
            while data := client.recv(4096):
                answer += data
        except (ConnectionError, ssl.SSLError):
            answer = b""
        return answer, (client.version(), (client.cipher() or ("",))[0])


def is_served(endpoint: Endpoint, context: ssl.SSLContext) -> bool:
    try:
        return ask(endpoint, context)[0].endswith(b"\r\n\r\nok\n")
    except (ConnectionError, ssl.SSLError):
        return False


def test_it_is_served_over_tls_and_the_url_says_so(certificates: Path) -> None:
    with served(certificates) as endpoint:
        assert endpoint.url.startswith("https://127.0.0.1:")
        assert is_served(endpoint, client_context(certificates))
        assert not is_served(endpoint, client_context(certificates, "stranger"))


@pytest.mark.parametrize("sent", [b"", b"GET /healthz HTTP/1.0\r\n\r\n", b"\x16\x03\x01\x00\x05\x01\x00", b"\0" * 999])
def test_who_breaks_tls_is_let_go_without_a_word(
    certificates: Path, capfd: pytest.CaptureFixture[str], sent: bytes
) -> None:
    with served(certificates) as endpoint:
        with socket.create_connection(("127.0.0.1", port_of(endpoint)), PATIENCE_S) as client:
            client.sendall(sent)
            client.shutdown(socket.SHUT_WR)
            try:
                answer = client.recv(4096)
            except ConnectionResetError:
                answer = b""
        assert b"HTTP" not in answer
        assert is_served(endpoint, client_context(certificates))
    assert capfd.readouterr() == ("", "")


def test_who_stalls_in_the_handshake_holds_nobody_up_and_is_let_go(
    certificates: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "HEAD_S", 1.0)
    with (
        served(certificates) as endpoint,
        socket.create_connection(("127.0.0.1", port_of(endpoint)), PATIENCE_S) as stalled,
    ):
        assert is_served(endpoint, client_context(certificates))
        assert stalled.recv(1) == b""


@pytest.mark.parametrize(
    ("extra", "client", "expected"),
    [
        ("", "client", True),
        (", client_auth_type: NoClientCert", None, True),
        (", client_auth_type: VerifyClientCertIfGiven, client_ca_file: authority.pem", None, True),
        (", client_auth_type: VerifyClientCertIfGiven, client_ca_file: authority.pem", "client", True),
        (", client_auth_type: VerifyClientCertIfGiven, client_ca_file: authority.pem", "stranger", False),
        (", client_auth_type: RequireAndVerifyClientCert, client_ca_file: authority.pem", None, False),
        (", client_auth_type: RequireAndVerifyClientCert, client_ca_file: authority.pem", "stranger", False),
        (", client_auth_type: RequireAndVerifyClientCert, client_ca_file: authority.pem", "client", True),
        (", client_auth_type: RequireAndVerifyClientCert, client_ca_file: authority.pem", "nameless", True),
    ],
)
def test_which_certificates_a_client_needs(certificates: Path, extra: str, client: str | None, expected: bool) -> None:
    with served(certificates, extra) as endpoint:
        assert is_served(endpoint, client_context(certificates, client=client)) is expected


@pytest.mark.parametrize(
    ("sans", "client", "expected"),
    [
        ("[scraper.example]", "client", True),
        ("[other.example, 192.0.2.1]", "client", True),
        ("['2001:db8::1']", "client", True),
        ("['spiffe://example/scraper']", "client", True),
        ("[ops@example.org]", "client", True),
        ("[Scraper.example]", "client", False),
        ("['*.example']", "client", False),
        ("[client]", "client", False),
        ("[]", "client", False),
        ("[nameless]", "nameless", False),
    ],
)
def test_which_names_a_client_needs(certificates: Path, sans: str, client: str, expected: bool) -> None:
    extra = ", client_auth_type: RequireAndVerifyClientCert, client_ca_file: authority.pem"
    with served(certificates, f"{extra}, client_allowed_sans: {sans}") as endpoint:
        assert is_served(endpoint, client_context(certificates, client=client)) is expected


def test_other_kinds_of_names_do_not_count() -> None:
    assert alternative_names([("DirName", "x"), ("Registered ID", "1.2"), ("DNS", "y")]) == {"y"}


def test_a_new_certificate_is_shown_to_new_connections_and_a_broken_one_to_none(certificates: Path) -> None:
    make_pair(certificates, "changing", "-addext", "subjectAltName=DNS:localhost")
    before = client_context(certificates, "changing")
    with served(certificates, pair="changing") as endpoint:
        assert is_served(endpoint, before)
        (certificates / "changing.pem").write_text("broken")
        assert is_served(endpoint, before)
        assert "cannot be used" in endpoint.problems[0].message
        make_pair(certificates, "changing", "-addext", "subjectAltName=DNS:localhost")
        assert is_served(endpoint, client_context(certificates, "changing"))
        assert not is_served(endpoint, before)
        assert endpoint.problems == ()


@pytest.mark.parametrize(
    ("extra", "version", "cipher"),
    [
        ("", "TLSv1.3", "TLS_"),
        (", min_version: TLS10", "TLSv1.3", "TLS_"),
        (", max_version: TLS12", "TLSv1.2", "ECDHE-"),
        (
            ", max_version: TLS12, cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]",
            "TLSv1.2",
            "ECDHE-ECDSA-AES256-GCM-SHA384",
        ),
        (", cipher_suites: [TLS_AES_128_GCM_SHA256]", "TLSv1.3", "TLS_"),
        (", curve_preferences: [CurveP384], prefer_server_cipher_suites: false", "TLSv1.3", "TLS_"),
    ],
)
def test_versions_and_ciphers(certificates: Path, extra: str, version: str, cipher: str) -> None:
    with served(certificates, extra) as endpoint:
        _, (found_version, found_cipher) = ask(endpoint, client_context(certificates))

    assert (found_version, found_cipher[: len(cipher)]) == (version, cipher)


@pytest.mark.parametrize("extra", [", min_version: TLS13", ", cipher_suites: [TLS_AES_128_GCM_SHA256]"])
def test_what_is_older_than_allowed_is_turned_away(certificates: Path, extra: str) -> None:
    old = client_context(certificates)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with served(certificates, extra) as endpoint:
        assert not is_served(endpoint, old)


def settings(certificates: Path, **changes: Any) -> TlsSettings:
    return TlsSettings(
        **{
            "certificate": (certificates / "localhost.pem").read_bytes(),
            "key": (certificates / "localhost.key").read_bytes(),
            **changes,
        }
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"certificate": b""}, "not in the PEM format|cannot be used"),
        ({"key": b"x"}, "cannot be used"),
        ({"min_version": "TLS13", "max_version": "TLS12"}, "max_version: TLS12 is below"),
        ({"max_version": "TLS11"}, "max_version: TLS11 is below"),
        ({"cipher_suites": ("TLS_AES_128_GCM_SHA256",), "max_version": "TLS12"}, "they are all of TLS 1.3"),
        ({"client_auth": "RequireAndVerifyClientCert"}, "RequireAndVerifyClientCert needs client_ca_file"),
        ({"client_auth": "VerifyClientCertIfGiven", "client_ca": b"x"}, "client_ca_file: holds no certificates"),
        ({"client_auth": "VerifyClientCertIfGiven", "client_ca": b"\xff"}, "client_ca_file: holds no certificates"),
    ],
)
def test_what_cannot_be_used_is_refused(certificates: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        make_context(settings(certificates, **changes))


def test_a_key_under_a_password_is_refused_and_the_password_not_asked_for(certificates: Path) -> None:
    with pytest.raises(UsageError, match="cannot be used"):
        make_context(settings(certificates, key=(certificates / "locked.key").read_bytes()))


def test_a_key_of_another_certificate_is_refused(certificates: Path) -> None:
    with pytest.raises(UsageError, match="key values mismatch"):
        make_context(settings(certificates, key=(certificates / "stranger.key").read_bytes()))


@pytest.mark.skipif(hasattr(ssl.SSLContext, "set_groups"), reason="this Python can set several")
def test_several_curves_are_refused_where_python_can_set_one(certificates: Path) -> None:
    with pytest.raises(UsageError, match="one curve only"):
        make_context(settings(certificates, curves=("X25519", "CurveP256")))


@pytest.mark.parametrize("curve", ["CurveP256", "CurveP384", "CurveP521"])
def test_openssl_knows_all_curves(certificates: Path, curve: str) -> None:
    make_context(settings(certificates, curves=(curve,)))


def test_a_curve_that_older_pythons_cannot_set_is_set_or_refused(certificates: Path) -> None:
    refused = pytest.raises(UsageError, match=r"^curve_preferences: this Python cannot set X25519$")
    with nullcontext() if _can_set("X25519") else refused:
        make_context(settings(certificates, curves=("X25519",)))


def test_what_openssl_does_not_know_is_refused(certificates: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CURVES, "CurveP256", "no-such-curve")

    with pytest.raises(UsageError, match=r"^curve_preferences: this Python cannot set CurveP256$"):
        make_context(settings(certificates, curves=("CurveP256",)))


def test_openssl_knows_all_ciphers(certificates: Path) -> None:
    names = {each["name"] for each in make_context(settings(certificates, cipher_suites=tuple(CIPHERS))).get_ciphers()}

    assert set(CIPHERS.values()) <= names


def test_a_certificate_can_stand_in_the_file_itself(certificates: Path, tmp_path: Path) -> None:
    lines = ["tls_server_config:"]
    for name, file in (("cert", "localhost.pem"), ("key", "localhost.key")):
        lines += [f"  {name}: |", *(f"    {line}" for line in (certificates / file).read_text().splitlines())]
    (tmp_path / "web.yml").write_text("\n".join(lines))

    assert WebFile(tmp_path / "web.yml").rules().context is not None
