"""TLS of the endpoint: a context made of the settings and the files they name."""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from topcon.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

VERSIONS = {
    "TLS10": ssl.TLSVersion.TLSv1,
    "TLS11": ssl.TLSVersion.TLSv1_1,
    "TLS12": ssl.TLSVersion.TLSv1_2,
    "TLS13": ssl.TLSVersion.TLSv1_3,
}
OLDEST_SERVED = ssl.TLSVersion.TLSv1_2
"""What is older is broken; a smaller minimum allows it, but nothing has to use it."""

CLIENT_AUTH = {
    "NoClientCert": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}
UNVERIFIED_CLIENT_AUTH = frozenset({"RequestClientCert", "RequireAnyClientCert", "RequireClientCert"})
"""What asks for certificates that nobody verifies: OpenSSL under Python always does."""

CURVES = {"CurveP256": "prime256v1", "CurveP384": "secp384r1", "CurveP521": "secp521r1", "X25519": "X25519"}

CIPHERS = {
    "TLS_RSA_WITH_AES_128_CBC_SHA": "AES128-SHA",
    "TLS_RSA_WITH_AES_256_CBC_SHA": "AES256-SHA",
    "TLS_RSA_WITH_AES_128_GCM_SHA256": "AES128-GCM-SHA256",
    "TLS_RSA_WITH_AES_256_GCM_SHA384": "AES256-GCM-SHA384",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA": "ECDHE-ECDSA-AES128-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA": "ECDHE-ECDSA-AES256-SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA": "ECDHE-RSA-AES128-SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA": "ECDHE-RSA-AES256-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
}
"""Names of the IANA, and OpenSSL's for the same."""
CIPHERS_1_3 = frozenset({"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"})
"""Those of TLS 1.3, which are all always on."""


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """The settings of TLS, with what their files hold."""

    certificate: bytes
    key: bytes
    client_auth: str = "NoClientCert"
    client_ca: bytes | None = None
    client_allowed_sans: frozenset[str] | None = None
    """None for any."""
    min_version: str = "TLS12"
    max_version: str = "TLS13"
    cipher_suites: tuple[str, ...] = ()
    """Empty for OpenSSL's own choice."""
    curves: tuple[str, ...] = ()
    prefers_own_ciphers: bool = True


def make_context(settings: TlsSettings) -> ssl.SSLContext:
    """Make a context for the server's side.

    Raises:
        UsageError: certificates or keys are broken, or something cannot be done here.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _set_versions(context, settings)
    _set_ciphers(context, settings)
    _set_curves(context, settings.curves)
    _load_certificate(context, settings.certificate, settings.key)
    _set_client_auth(context, settings)
    return context


def _set_versions(context: ssl.SSLContext, settings: TlsSettings) -> None:
    lowest, highest = VERSIONS[settings.min_version], VERSIONS[settings.max_version]
    if highest < max(lowest, OLDEST_SERVED):
        message = f"max_version: {settings.max_version} is below the smallest that is served"
        raise UsageError(message)
    context.minimum_version = max(lowest, OLDEST_SERVED)
    context.maximum_version = highest


def _set_ciphers(context: ssl.SSLContext, settings: TlsSettings) -> None:
    if not settings.prefers_own_ciphers:
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    older = [CIPHERS[name] for name in settings.cipher_suites if name in CIPHERS]
    if older:
        try:
            context.set_ciphers(":".join(older))
        except ssl.SSLError as error:
            raise UsageError(f"cipher_suites: {_reason(error)}") from error  # noqa: EM102  one expression
    elif settings.cipher_suites:
        if context.maximum_version < ssl.TLSVersion.TLSv1_3:
            message = "cipher_suites: they are all of TLS 1.3, which max_version forbids"
            raise UsageError(message)
        context.minimum_version = ssl.TLSVersion.TLSv1_3


def _set_curves(context: ssl.SSLContext, curves: tuple[str, ...]) -> None:
    names = [CURVES[name] for name in curves]
    # Python 3.15 and later.
    set_groups = getattr(context, "set_groups", None)
    if names and set_groups is not None:
        set_groups(":".join(names))
    elif len(names) == 1:
        try:
            context.set_ecdh_curve(names[0])
        except (ssl.SSLError, ValueError) as error:
            # Older ones, such as Debian 12's, cannot set X25519.
            message = f"curve_preferences: this Python cannot set {curves[0]}"
            raise UsageError(message) from error
    elif names:
        message = "curve_preferences: this Python can set one curve only"
        raise UsageError(message)


def _load_certificate(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    # Python loads these from files only; what is in memory has one as well, and an empty name for whoever asks.
    certificate_fd = os.memfd_create("certificate", os.MFD_CLOEXEC)
    key_fd = os.memfd_create("key", os.MFD_CLOEXEC)
    try:
        for fd, content in ((certificate_fd, certificate), (key_fd, key)):
            with os.fdopen(os.dup(fd), "wb") as file:
                file.write(content)
        # A password must not be asked for at the terminal.
        context.load_cert_chain(f"/proc/self/fd/{certificate_fd}", f"/proc/self/fd/{key_fd}", password="")
    except (ssl.SSLError, ValueError) as error:
        message = f"the certificate and its key cannot be used: {_reason(error)}"
        raise UsageError(message) from error
    finally:
        os.close(certificate_fd)
        os.close(key_fd)


def _set_client_auth(context: ssl.SSLContext, settings: TlsSettings) -> None:
    mode = CLIENT_AUTH[settings.client_auth]
    context.check_hostname = False
    context.verify_mode = mode
    if mode == ssl.CERT_NONE:
        return
    if settings.client_ca is None:
        message = f"client_auth_type: {settings.client_auth} needs client_ca_file"
        raise UsageError(message)
    try:
        context.load_verify_locations(cadata=settings.client_ca.decode("ascii"))
    except (ssl.SSLError, ValueError) as error:
        message = f"client_ca_file: holds no certificates that can be used: {_reason(error)}"
        raise UsageError(message) from error


def _reason(error: Exception) -> str:
    reason = getattr(error, "reason", None)
    return str(reason).lower().replace("_", " ") if reason else "they are not in the PEM format"


def alternative_names(certificate: Iterable[tuple[str, str]]) -> frozenset[str]:
    """Return DNS names, addresses, URIs and mail addresses of ``subjectAltName``, as people write them."""
    names = set()
    for kind, name in certificate:
        if kind == "IP Address":
            names.add(str(ip_address(name)))
        elif kind in {"DNS", "URI", "email"}:
            names.add(name)
    return frozenset(names)


def is_allowed(client: ssl.SSLSocket, allowed: frozenset[str] | None) -> bool:
    """Whether a client that has been verified has one of the allowed names."""
    if allowed is None:
        return True
    names: Any = (client.getpeercert() or {}).get("subjectAltName", ())
    return not allowed.isdisjoint(alternative_names(names))
