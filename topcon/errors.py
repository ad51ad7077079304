"""The errors that topcon raises on purpose.

::

    TopconError
      UsageError           what the user wrote cannot be done as written; exit status 64
      HostUnreadable       nothing of this host can be read, or an address cannot be served; exit status 69
      ParseError           a file is not in its documented form
      SourceUnavailable    a whole source cannot be reached now
      ActionFailed         a runtime, or topcon itself, refused to act
      RecordingUnreadable  a file is no recording, or is damaged
      RecordingFailed      what happens now cannot be recorded

Messages say what, where and why in one line, without a capital or a full stop.
"""


class TopconError(Exception):
    """Anything that topcon itself reports."""

    remedy: str | None = None
    """The one command that would mend it, where there is one."""


class UsageError(TopconError):
    """An option, a configuration value or an argument that cannot be used."""


class HostUnreadable(TopconError):
    """A command cannot begin here; the message holds the remedy."""


class ParseError(TopconError):
    """A file that is not in the documented form."""

    def __init__(self, path: str, line: str) -> None:
        """Name the file and the line in it that was not understood."""
        super().__init__(f"{path}: cannot understand {line[:80]!r}")
        self.path = path
        self.line = line


class SourceUnavailable(TopconError):
    """A runtime that does not answer or refuses us."""

    def __init__(self, message: str, remedy: str | None = None) -> None:
        """Say what happened, and what would mend it."""
        super().__init__(message)
        self.remedy = remedy


class ActionFailed(TopconError):
    """An action that was not done; the runtime's own words where it gave any."""


class RecordingUnreadable(TopconError):
    """A file that is no recording that this version reads, or a part of one that is damaged."""

    def __init__(self, message: str, goes_on_ns: int | None = None) -> None:
        """Say what and why; and from when on it can be read again, nanoseconds since 1970, where it can."""
        super().__init__(message)
        self.goes_on_ns = goes_on_ns


class RecordingFailed(TopconError):
    """A frame that could not be written; the next one may be."""
