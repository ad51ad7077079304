"""What topcon itself has used: clock_gettime(2), and ``/proc/self/statm`` (proc_pid_statm(5))."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from topcon.errors import ParseError
from topcon.kernel.files import Access, KeptFile

if TYPE_CHECKING:
    from collections.abc import Callable

STATM = "/proc/self/statm"
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_RESIDENT = 1


class OwnReader:
    """This process: always by our own ``/proc``, whatever host is shown."""

    def __init__(self, cpu_ns: Callable[[], int] = time.process_time_ns, path: str = STATM) -> None:
        """Read the memory from ``path``, and the time of all threads from ``cpu_ns``."""
        self._cpu_ns = cpu_ns
        self._statm = KeptFile(path, parse_statm, Access(1))

    def cpu_s(self) -> float:
        """Return what all threads have used, those that have ended among them: user and system, seconds."""
        return self._cpu_ns() / 1e9

    def rss_bytes(self) -> int | None:
        """Return the resident memory; None where it cannot be read.

        Raises:
            ParseError: it is not in the documented form.
        """
        return self._statm.read()

    def close(self) -> None:
        """Give the descriptor back."""
        self._statm.close()


def parse_statm(raw: bytes, path: str) -> int:
    """Return the resident memory, bytes.

    Raises:
        ParseError: the second field is no number.
    """
    try:
        pages = int(raw.split(maxsplit=2)[_RESIDENT])
    except (ValueError, IndexError):
        raise ParseError(path, raw[:200].decode(errors="replace")) from None
    if pages < 0:
        raise ParseError(path, raw[:200].decode(errors="replace"))
    return pages * PAGE_BYTES
