"""What the title of the terminal says. No Textual here."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from topcon.columns import SEVERITY_MARKS
from topcon.model.snapshot import Severity
from topcon.text import printable

if TYPE_CHECKING:
    from topcon.model.snapshot import Snapshot

TITLE_S = 3.0
"""The least time between two titles: terminals and window managers take theirs to change one."""
SAVE, RESTORE = "\x1b[22;0t", "\x1b[23;0t"
"""Puts the title away, and takes it back (XTWINOPS)."""
_WITHOUT_TITLE = ("", "dumb", "unknown", "linux*", "vt[0-9]*")
"""Terminals that have none, and may show what should be one."""


def has_title(term: str) -> bool:
    """Whether a terminal of this name has a title."""
    return not any(fnmatchcase(term, each) for each in _WITHOUT_TITLE)


def title_text(snapshot: Snapshot) -> str:
    """Say whose host it is, and how much is wrong there."""
    severities = [finding.severity for finding in snapshot.findings]
    counts = ((SEVERITY_MARKS[each], severities.count(each)) for each in (Severity.CRITICAL, Severity.WARNING))
    wrong = [f"{mark}{count}" for mark, count in counts if count]
    return " ".join(("topcon", printable(snapshot.sample.host.name), *wrong))


def to_sequence(title: str) -> str:
    """Write what sets a title."""
    return f"\x1b]2;{title}\x07"
