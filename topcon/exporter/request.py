"""The head of an HTTP request taken apart (RFC 9112), and what it asks for (RFC 9110). Pure."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LONGEST_HEAD = 65536
MOST_HEADERS = 100
MOST_QUERY_FIELDS = 1000

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105  the RFC's word
_REQUEST_LINE = re.compile(rf"({_TOKEN}) ([\x21-\x7e\x80-\xff]+) HTTP/(\d)\.(\d)")
_HEADER = re.compile(rf"({_TOKEN}):[ \t]*([\t\x20-\x7e\x80-\xff]*?)[ \t]*")
_ABSOLUTE = re.compile(r"https?://[^/?#]*", re.IGNORECASE)
_END = re.compile(rb"\r?\n\r?\n")


class Refused(Exception):
    """A request that is answered by nothing but a status."""

    def __init__(self, status: HTTPStatus) -> None:
        """Give the status."""
        super().__init__(status)
        self.status = status


@dataclass(frozen=True, slots=True)
class Head:
    """A request without its body."""

    method: str
    path: str
    """As it was sent: nothing is decoded or made shorter."""
    query: str
    is_http_1_0: bool
    headers: Mapping[str, str]
    """By lower-case name; the values of one name are joined by commas."""

    @property
    def has_body(self) -> bool:
        """Whether something comes after it that is not the next request."""
        return self.headers.get("content-length", "0").strip("0") != "" or "transfer-encoding" in self.headers

    @property
    def is_last(self) -> bool:
        """Whether the connection ends with the answer."""
        options = {each.strip() for each in self.headers.get("connection", "").lower().split(",")}
        return self.is_http_1_0 or self.has_body or "close" in options


def head_end(data: bytes | bytearray, start: int = 0) -> int | None:
    """Find where a head ends; None if more is to come."""
    found = _END.search(data, max(start - 3, 0))
    return found.end() if found else None


def check_request_line(line: bytes) -> tuple[str, str, bool]:
    """Take the first line apart: method, target, whether it is HTTP/1.0.

    Raises:
        Refused: it is none.
    """
    parts = _REQUEST_LINE.fullmatch(line.decode("latin-1").removesuffix("\r"))
    if parts is None:
        raise Refused(HTTPStatus.BAD_REQUEST)
    method, target, major, minor = parts.groups()
    if major != "1":
        raise Refused(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED)
    return method, target, minor == "0"


def parse_head(data: bytes) -> Head:
    """Parse a head, its empty line included.

    Raises:
        Refused: it is none.
    """
    first, *lines = data.split(b"\n")
    method, target, is_http_1_0 = check_request_line(first)
    headers: dict[str, str] = {}
    for count, line in enumerate(lines):
        text = line.decode("latin-1").removesuffix("\r")
        if not text:
            break
        parts = _HEADER.fullmatch(text)
        if parts is None:
            raise Refused(HTTPStatus.BAD_REQUEST)
        if count >= MOST_HEADERS:
            raise Refused(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        name, value = parts[1].lower(), parts[2]
        if name in headers and name in {"host", "content-length"}:
            raise Refused(HTTPStatus.BAD_REQUEST)
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    length = headers.get("content-length", "0")
    if not (length.isascii() and length.isdecimal()) or ("host" not in headers and not is_http_1_0):
        raise Refused(HTTPStatus.BAD_REQUEST)
    path, _, query = _ABSOLUTE.sub("", target, count=1).partition("?")
    return Head(method, path or "/", query, is_http_1_0, headers)


def query_values(query: str) -> dict[str, frozenset[str]]:
    """Return the values of each field of a query.

    Raises:
        Refused: there are too many.
    """
    values: dict[str, set[str]] = {}
    try:
        for name, value in parse_qsl(query, keep_blank_values=True, max_num_fields=MOST_QUERY_FIELDS):
            values.setdefault(name, set()).add(value)
    except ValueError:
        raise Refused(HTTPStatus.BAD_REQUEST) from None
    return {name: frozenset(each) for name, each in values.items()}


def _items(header: str) -> Iterator[tuple[str, dict[str, str], float]]:
    """Yield what an ``Accept`` header lists: name, parameters, quality from 0 to 1; what is malformed is left out."""
    for item in header.lower().split(","):
        name, *rest = (each.strip() for each in item.split(";"))
        parameters = {key.strip(): value.strip().strip('"') for key, _, value in (each.partition("=") for each in rest)}
        quality = _number(parameters.pop("q", "1"))
        if name and quality is not None and 0 <= quality <= 1:
            yield name, parameters, quality


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def accepts_gzip(header: str) -> bool:
    """Whether an ``Accept-Encoding`` header allows gzip; what it says of gzip counts more than what of all."""
    qualities: dict[str, float] = {}
    for name, _, quality in _items(header):
        qualities.setdefault(name, quality)
    return qualities.get("gzip", qualities.get("*", 0.0)) > 0


def prefers_openmetrics(header: str) -> bool:
    """Whether an ``Accept`` header ranks OpenMetrics, of a version that is served, above text; the first wins a tie."""
    best_open: tuple[float, int] = (0.0, 0)
    best_text: tuple[float, int] = (0.0, 0)
    for index, (name, parameters, quality) in enumerate(_items(header)):
        rank = (quality, -index)
        if name == "application/openmetrics-text" and parameters.get("version") in {"1.0.0", "0.0.1"}:
            best_open = max(best_open, rank)
        elif name in {"text/plain", "text/*", "*/*"} and parameters.get("version", "0.0.4") == "0.0.4":
            best_text = max(best_text, rank)
    return best_open[0] > 0 and best_open > best_text


def scrape_timeout_s(header: str | None, *, default_s: float, margin_s: float, bounds_s: tuple[float, float]) -> float:
    """Return how long a scrape may take, of ``X-Prometheus-Scrape-Timeout-Seconds``; what is no time is ignored."""
    seconds = _number(header) if header else None
    if seconds is None or seconds <= 0:
        return default_s
    return min(max(seconds - margin_s, bounds_s[0]), bounds_s[1])
