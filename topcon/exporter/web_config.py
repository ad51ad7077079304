"""The file of ``--web-config``: TLS, passwords, headers and a rate limit, as Prometheus' own programs have it.

https://github.com/prometheus/exporter-toolkit/blob/master/docs/web-configuration.md

Whatever is not understood is refused: a slip in this file must not open a door.
"""

from __future__ import annotations

import math
import re
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

from topcon.errors import UsageError
from topcon.exporter.access import HASH, bcrypt_check
from topcon.exporter.tls import (
    CIPHERS,
    CIPHERS_1_3,
    CLIENT_AUTH,
    CURVES,
    UNVERIFIED_CLIENT_AUTH,
    VERSIONS,
    TlsSettings,
    make_context,
)
from topcon.model.sample import Problem

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from yaml.nodes import Node

LARGEST_FILE = 1 << 20
DEEPEST = 16
"""How deep lists and mappings may lie in each other; the file has use for four."""
HIGHEST_COST = 16
"""Of a bcrypt hash: four seconds. What takes longer would outlast a scrape."""

HEADERS: dict[str, frozenset[str] | None] = {
    "Content-Security-Policy": None,
    "Strict-Transport-Security": None,
    "X-Content-Type-Options": frozenset({"nosniff"}),
    "X-Frame-Options": frozenset({"deny", "sameorigin"}),
    "X-XSS-Protection": None,
}
"""The headers that may be set, and to what; None for any text."""

_TRUE = frozenset(each for word in ("y", "yes", "true", "on") for each in (word, word.title(), word.upper()))
_FALSE = frozenset(each for word in ("n", "no", "false", "off") for each in (word, word.title(), word.upper()))
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_DURATION = re.compile(r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:ns|us|\u00b5s|\u03bcs|ms|s|m|h)")
_UNITS_S = {"ns": 1e-9, "us": 1e-6, "\u00b5s": 1e-6, "\u03bcs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_TEXT = re.compile(r"[\t\x20-\x7e]*")


@dataclass(frozen=True, slots=True)
class RateLimit:
    """So many requests at once, then one each interval."""

    interval_s: float
    burst: int


@dataclass(frozen=True, slots=True)
class WebRules:
    """What the file says, and the TLS context made of it."""

    users: Mapping[str, str] = field(default_factory=dict)
    """bcrypt hashes by name; empty where nobody has to tell a password."""
    headers: Mapping[str, str] = field(default_factory=dict)
    rate_limit: RateLimit | None = None
    context: ssl.SSLContext | None = None
    """None for plain HTTP."""
    client_allowed_sans: frozenset[str] | None = None
    client_auth: str = "NoClientCert"

    @property
    def has_authentication(self) -> bool:
        """Whether nobody is served without a password or a certificate."""
        return bool(self.users) or self.client_auth == "RequireAndVerifyClientCert"


Signature = tuple[int, int, int, int] | None
"""What tells one version of a file from the next; None while it is not there."""


class WebFile:
    """The file, read again when it or a file that it names has changed. Any thread may ask."""

    def __init__(self, path: Path) -> None:
        """Read the file.

        Raises:
            UsageError: it cannot be used.
        """
        self.path = path
        self.problem: Problem | None = None
        """Why the newest version is not in use, and the one before it still is."""
        self._lock = threading.Lock()
        self._seen: Mapping[Path, Signature] = {}
        self._rules = self._read()

    def rules(self) -> WebRules:
        """Return what holds now."""
        if self._has_changed():
            with self._lock:
                if self._has_changed():
                    self._read_again()
        return self._rules

    def _has_changed(self) -> bool:
        return any(_signature(path) != signature for path, signature in self._seen.items())

    def _read_again(self) -> None:
        try:
            self._rules = self._read()
            self.problem = None
        except UsageError as error:
            self.problem = Problem("web-config", f"{error}; the version before it stays in use")

    def _read(self) -> WebRules:
        # Signatures are older than what was read: a change meanwhile is one more reading, and never missed.
        seen = {self.path: _signature(self.path)}
        try:
            return _Reader(self.path, seen).rules(_parse(self.path, _read_file(self.path)))
        finally:
            # Even of a broken version it is known which files it hangs on.
            self._seen = seen


def _signature(path: Path) -> Signature:
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _read_file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        message = f"{path}: cannot be read: {reason}"
        raise UsageError(message) from error
    if len(content) > LARGEST_FILE:
        message = f"{path}: cannot be read: it is larger than {LARGEST_FILE} bytes"
        raise UsageError(message)
    return content


def _parse(path: Path, content: bytes) -> Node | None:
    try:
        import yaml  # noqa: PLC0415  an extra
    except ImportError:
        message = "--web-config needs PyYAML and bcrypt: pip install 'topcon[web]'"
        raise UsageError(message) from None
    try:
        text = content.decode()
        _check_events(path, yaml.parse(text, yaml.SafeLoader))
        root: Node | None = yaml.compose(text, yaml.SafeLoader)
    except UnicodeDecodeError:
        message = f"{path}: is not in UTF-8"
        raise UsageError(message) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        what = getattr(error, "problem", None) or getattr(error, "reason", None) or "is no YAML"
        _refuse(path, mark, " ".join(str(what).split()))
    return root


def _refuse(path: Path, mark: Any, why: str) -> NoReturn:  # noqa: ANN401  types-PyYAML leaves marks untyped
    line = f":{mark.line + 1}" if mark is not None else ""
    message = f"{path}{line}: {why}"
    raise UsageError(message)


def _check_events(path: Path, events: Iterator[Any]) -> None:
    """Refuse what one reader of YAML takes otherwise than another, before anything is built of it."""
    from yaml import events as kinds  # noqa: PLC0415  an extra

    depth, documents = 0, 0
    for event in events:
        if isinstance(event, kinds.DocumentStartEvent):
            documents += 1
            if event.version or event.tags:
                _refuse(path, event.start_mark, "directives are not taken")
            if documents > 1:
                _refuse(path, event.start_mark, "more than one document")
        elif isinstance(event, kinds.CollectionStartEvent):
            depth += 1
            if depth > DEEPEST:
                _refuse(path, event.start_mark, "lists and mappings lie too deep in each other")
        elif isinstance(event, kinds.CollectionEndEvent):
            depth -= 1
        if getattr(event, "tag", None) is not None:
            _refuse(path, event.start_mark, "tags are not taken")
        if isinstance(event, kinds.ScalarEvent) and not _is_clean(event.value):
            _refuse(path, event.start_mark, "a value holds control characters")


def _is_clean(text: str) -> bool:
    return all(letter.isprintable() or letter in "\n\t" for letter in text)


class _Reader:
    """Takes the document apart by the names that the toolkit has."""

    def __init__(self, path: Path, seen: dict[Path, Signature]) -> None:
        """Add to ``seen`` the files that the document names."""
        self._path = path
        self._seen = seen

    def rules(self, root: Node | None) -> WebRules:
        top = self._fields(
            root, "the file", {"tls_server_config", "http_server_config", "basic_auth_users", "rate_limit"}
        )
        settings = self._tls(top.get("tls_server_config"))
        context = None
        if settings is not None:
            try:
                context = make_context(settings)
            except UsageError as error:
                self._refuse(top["tls_server_config"], str(error))
        return WebRules(
            users=self._users(top.get("basic_auth_users")),
            headers=self._http(top.get("http_server_config")),
            rate_limit=self._rate_limit(top.get("rate_limit")),
            context=context,
            client_allowed_sans=settings.client_allowed_sans if settings else None,
            client_auth=settings.client_auth if settings else "NoClientCert",
        )

    def _refuse(self, node: Node, why: str) -> NoReturn:
        _refuse(self._path, node.start_mark, why)

    def _fields(self, node: Node | None, what: str, known: set[str] | None) -> dict[str, Node]:
        """Return the values of a mapping, without those that are null; of any name if none is known."""
        found: dict[str, Node] = {}
        seen = set()
        for key, value in self._pairs(node, what):
            name = self._text(key, "a key")
            if known is not None and name not in known:
                self._refuse(key, f"{_shown(name)}: there is no such key in {what}")
            if name in seen:
                self._refuse(key, f"{_shown(name)}: is there twice")
            seen.add(name)
            if not _is_null(value):
                found[name] = value
            elif known is None:
                self._refuse(value, f"{_shown(name)}: has no value")
        return found

    def _pairs(self, node: Node | None, what: str) -> list[tuple[Node, Node]]:
        if node is None or _is_null(node):
            return []
        if not _is(node, "mapping"):
            self._refuse(node, f"{what}: expected a mapping")
        pairs: list[tuple[Node, Node]] = node.value
        return pairs

    def _text(self, node: Node, what: str) -> str:
        if not _is(node, "scalar") or _is_null(node):
            self._refuse(node, f"{what}: expected a text")
        if node.value == "<<" and _is_plain(node):
            self._refuse(node, "merged mappings are not taken")
        text: str = node.value
        return text

    def _one_of(self, node: Node, what: str, known: Iterable[str]) -> str:
        text = self._text(node, what)
        if text not in set(known):
            self._refuse(node, f"{what}: expected one of {', '.join(sorted(known))}")
        return text

    def _texts(self, node: Node | None, what: str) -> list[tuple[Node, str]]:
        if node is None:
            return []
        if not _is(node, "sequence"):
            self._refuse(node, f"{what}: expected a list")
        return [(item, self._text(item, what)) for item in node.value]

    def _switch(self, node: Node, what: str) -> bool:
        text = self._text(node, what)
        if not _is_plain(node) or text not in _TRUE | _FALSE:
            self._refuse(node, f"{what}: expected true or false")
        return text in _TRUE

    def _content(self, fields: dict[str, Node], what: str) -> bytes | None:
        """Return what a file holds, or what stands in its place in this one."""
        by_file, inline = fields.get(f"{what}_file"), fields.get(what)
        name = self._text(by_file, f"{what}_file") if by_file else ""
        text = self._text(inline, what) if inline else ""
        if by_file is not None and name:
            if text:
                self._refuse(by_file, f"{what} and {what}_file: only one of them can be used")
            path = self._path.parent / name
            self._seen[path] = _signature(path)
            try:
                return _read_file(path)
            except UsageError as error:
                self._refuse(by_file, f"{what}_file: {error}")
        return text.encode() if text else None

    def _tls(self, node: Node | None) -> TlsSettings | None:
        known = {
            *("cert", "cert_file", "key", "key_file", "client_ca", "client_ca_file"),
            *("client_auth_type", "client_allowed_sans", "min_version", "max_version"),
            *("cipher_suites", "curve_preferences", "prefer_server_cipher_suites"),
        }
        fields = self._fields(node, "tls_server_config", known)
        given: dict[str, Any] = {}
        for name in ("min_version", "max_version"):
            if name in fields:
                given[name] = self._one_of(fields[name], name, VERSIONS)
        ciphers = self._texts(fields.get("cipher_suites"), "cipher_suites")
        for item, _ in ciphers:
            self._one_of(item, "cipher_suites", CIPHERS.keys() | CIPHERS_1_3)
        curves = self._texts(fields.get("curve_preferences"), "curve_preferences")
        for item, _ in curves:
            self._one_of(item, "curve_preferences", CURVES)
        if "prefer_server_cipher_suites" in fields:
            given["prefers_own_ciphers"] = self._switch(
                fields["prefer_server_cipher_suites"], "prefer_server_cipher_suites"
            )
        auth = self._client_auth(fields.get("client_auth_type"))
        sans = self._allowed_sans(fields.get("client_allowed_sans"), auth)
        certificate, secret = self._content(fields, "cert"), self._content(fields, "key")
        authority = self._content(fields, "client_ca")
        if node is None or (certificate is None and secret is None and authority is None and not auth):
            return None
        for name, content in (("cert", certificate), ("key", secret)):
            if content is None:
                self._refuse(node, f"tls_server_config: {name}_file is missing")
        if authority is not None and auth in {"", "NoClientCert"}:
            self._refuse(node, "client_ca_file: is of no use without client_auth_type")
        return TlsSettings(
            certificate=certificate or b"",
            key=secret or b"",
            client_auth=auth or "NoClientCert",
            client_ca=authority,
            client_allowed_sans=sans,
            cipher_suites=tuple(name for _, name in ciphers),
            curves=tuple(name for _, name in curves),
            **given,
        )

    def _client_auth(self, node: Node | None) -> str:
        text = self._text(node, "client_auth_type") if node else ""
        if node is None or not text:
            return ""
        if text in UNVERIFIED_CLIENT_AUTH:
            self._refuse(node, f"client_auth_type: {text} takes certificates unverified, which cannot be done here")
        return self._one_of(node, "client_auth_type", CLIENT_AUTH)

    def _allowed_sans(self, node: Node | None, auth: str) -> frozenset[str] | None:
        if node is None:
            return None
        if auth != "RequireAndVerifyClientCert":
            self._refuse(node, "client_allowed_sans: needs client_auth_type: RequireAndVerifyClientCert")
        return frozenset(text for _, text in self._texts(node, "client_allowed_sans"))

    def _http(self, node: Node | None) -> dict[str, str]:
        fields = self._fields(node, "http_server_config", {"http2", "headers"})
        if "http2" in fields:
            # HTTP/1.1 is all there is; the key is read so that one file does for all.
            self._switch(fields["http2"], "http2")
        headers = {}
        for name, value in self._fields(fields.get("headers"), "headers", None).items():
            if name not in HEADERS:
                self._refuse(value, f"{_shown(name)}: expected one of {', '.join(sorted(HEADERS))}")
            allowed = HEADERS[name]
            headers[name] = self._text(value, name) if allowed is None else self._one_of(value, name, allowed)
            if not _TEXT.fullmatch(headers[name]):
                self._refuse(value, f"{name}: expected one line of ASCII")
        return headers

    def _users(self, node: Node | None) -> dict[str, str]:
        users = {}
        for name, value in self._fields(node, "basic_auth_users", None).items():
            if not name or ":" in name or not name.isprintable():
                self._refuse(value, f"{_shown(name)}: a name that cannot be sent as a user's")
            found = HASH.fullmatch(self._text(value, "a password"))
            if found is None:
                self._refuse(value, f"{_shown(name)}: expected a bcrypt hash, such as htpasswd -nBC 10 '' writes")
            if int(found[1]) > HIGHEST_COST:
                self._refuse(value, f"{_shown(name)}: a cost above {HIGHEST_COST} takes longer than a scrape may")
            users[name] = found[0]
        if users:
            bcrypt_check()
        return users

    def _rate_limit(self, node: Node | None) -> RateLimit | None:
        fields = self._fields(node, "rate_limit", {"interval", "burst"})
        interval_s, burst = 0.0, 1
        if "interval" in fields:
            interval_s = self._duration_s(fields["interval"])
        if "burst" in fields:
            text = self._text(fields["burst"], "burst")
            if not _is_plain(fields["burst"]) or not re.fullmatch(r"[1-9][0-9]{0,8}", text):
                self._refuse(fields["burst"], "burst: expected a whole number from 1")
            burst = int(text)
        return RateLimit(interval_s, burst) if interval_s else None

    def _duration_s(self, node: Node) -> float:
        text = self._text(node, "interval")
        if text == "0":
            return 0.0
        if not text or _DURATION.sub("", text):
            self._refuse(node, "interval: expected a duration such as 500ms, 1s or 1m30s")
        total_s = 0.0
        for part in _DURATION.findall(text):
            number = part.rstrip("nuµμmsh")
            total_s += float(number) * _UNITS_S[part[len(number) :]]
        if not math.isfinite(total_s):
            self._refuse(node, "interval: too long")
        return total_s


def _is(node: Node, kind: str) -> bool:
    return getattr(node, "id", None) == kind


def _is_plain(node: Node) -> bool:
    return getattr(node, "style", None) is None


def _is_null(node: Node) -> bool:
    return _is(node, "scalar") and _is_plain(node) and node.value in _NULL


def _shown(name: str) -> str:
    from topcon.text import printable  # noqa: PLC0415  for errors only

    return printable(name)[:80]
