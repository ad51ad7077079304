"""Commands run in this process, and looked at while they run."""

from __future__ import annotations

import io
import signal
import threading
from dataclasses import dataclass

from topcon import cli

PATIENCE_S = 10.0
"""How long a thread or a program may take on a busy machine; never waited for when all is well."""


@dataclass(frozen=True)
class Answer:
    """What a command has said, and its exit status."""

    status: int
    out: str
    err: str

    @property
    def line(self) -> str:
        """The one line that was said of what went wrong."""
        assert self.out == ""
        assert self.err.count("\n") == 1, self.err
        assert self.err.endswith("\n")
        return self.err[:-1]


class Running:
    """A command on a thread, which gets the signals."""

    def __init__(self, *arguments: str) -> None:
        self.ended: list[int | BaseException] = []
        self._thread = threading.Thread(target=self._run, args=arguments)

    def _run(self, *arguments: str) -> None:
        try:
            self.ended.append(cli.main(arguments))
        except BaseException as error:  # noqa: BLE001  looked at by the test
            self.ended.append(error)

    def start(self) -> None:
        self._thread.start()

    def end(self, number: int) -> int | BaseException:
        if self._thread.is_alive():
            assert self._thread.ident is not None
            signal.pthread_kill(self._thread.ident, number)
        return self.wait()

    def wait(self) -> int | BaseException:
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()
        return self.ended[0]


class Said(io.StringIO):
    """A standard error that can be waited at."""

    def __init__(self) -> None:
        super().__init__()
        self._changed = threading.Condition()

    def write(self, text: str) -> int:
        with self._changed:
            count = super().write(text)
            self._changed.notify_all()
            return count

    def wait_for(self, words: str) -> str:
        """Wait until something has been said, and return all that has been."""
        with self._changed:
            assert self._changed.wait_for(lambda: words in self.getvalue(), PATIENCE_S), self.getvalue()
            return self.getvalue()
