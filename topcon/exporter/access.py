"""Who is served, and how often: basic authentication (RFC 7617) and a rate limit."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
import threading
import time
from typing import TYPE_CHECKING

from topcon.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

HASH = re.compile(r"\$2[abxy]\$(0[4-9]|[12][0-9]|3[01])\$[./A-Za-z0-9]{53}")
"""A bcrypt hash; the group is its cost."""
LONGEST_PASSWORD = 72
"""Bytes of a password that bcrypt looks at."""
CACHED = 128
"""Results of each kind that are kept: good ones are not pushed out by a flood of bad ones."""
PATIENCE_S = 10.0
"""How long a request may wait for its turn."""

_NOBODY = "." * 53
"""Salt and digest of a hash that no password has."""


class Passwords:
    """Checks passwords, one at a time: a flood of wrong ones costs one core and no more.

    Results are kept under a digest with a key of this process, so that memory holds no password.
    """

    def __init__(self) -> None:
        self._key = os.urandom(32)
        self._one_at_a_time = threading.Lock()
        self._results: dict[bool, dict[bytes, None]] = {True: {}, False: {}}

    def are_right(self, header: str | None, users: Mapping[str, str]) -> bool | None:
        """Whether an ``Authorization`` header names a user and the password; None if too many are waiting to know.

        Who is unknown costs as much as who is known, so that time does not tell them apart.
        """
        given = parse_basic(header)
        if given is None:
            return False
        name, password = given
        known = {user.encode(): hashed for user, hashed in users.items()}
        hashed = known.get(name) or _hash_of_nobody(users)
        key = self._digest(name, hashed.encode(), password)
        result = self._cached(key)
        if result is not None:
            return result
        if not self._one_at_a_time.acquire(timeout=PATIENCE_S):
            return None
        try:
            result = self._cached(key)
            if result is None:
                result = bcrypt_check()(password[:LONGEST_PASSWORD], hashed.encode()) and name in known
                results = self._results[result]
                if len(results) >= CACHED:
                    del results[next(iter(results))]
                results[key] = None
        finally:
            self._one_at_a_time.release()
        return result

    def _cached(self, key: bytes) -> bool | None:
        return next((result for result, keys in self._results.items() if key in keys), None)

    def _digest(self, *parts: bytes) -> bytes:
        digest = hashlib.blake2b(key=self._key, digest_size=32)
        for part in parts:
            # With its length, so that no two triples are one text.
            digest.update(len(part).to_bytes(8, "big") + part)
        return digest.digest()


def bcrypt_check() -> Callable[[bytes, bytes], bool]:
    """Return what compares a password with its hash.

    Raises:
        UsageError: bcrypt is not installed.
    """
    try:
        import bcrypt  # noqa: PLC0415  an extra
    except ImportError:
        message = "--web-config needs PyYAML and bcrypt: pip install 'topcon[web]'"
        raise UsageError(message) from None
    return bcrypt.checkpw


def _hash_of_nobody(users: Mapping[str, str]) -> str:
    """Return a hash that no password has, of the highest cost among the users'."""
    return f"$2b${max((hashed[4:6] for hashed in users.values()), default='10')}${_NOBODY}"


def parse_basic(header: str | None) -> tuple[bytes, bytes] | None:
    """Return the name and the password of an ``Authorization`` header; None if there are none in it."""
    scheme, _, encoded = (header or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        text = base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError):
        return None
    name, colon, password = text.partition(b":")
    return (name, password) if colon else None


class TokenBucket:
    """Lets ``burst`` requests through at once, and one more each interval. Any thread may ask."""

    def __init__(self, interval_s: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.interval_s = interval_s
        self.burst = burst
        self._clock = clock
        self._tokens = float(burst)
        self._filled_s = clock()
        self._lock = threading.Lock()

    def take(self) -> bool:
        """Whether one more may pass."""
        with self._lock:
            now_s = self._clock()
            self._tokens = min(self._tokens + (now_s - self._filled_s) / self.interval_s, self.burst)
            self._filled_s = now_s
            if self._tokens < 1:
                return False
            self._tokens -= 1
            return True
