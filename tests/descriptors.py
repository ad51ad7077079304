"""Which files the tests' own process has open."""

from __future__ import annotations

import errno
from pathlib import Path


def open_below(directory: str | Path) -> list[str]:
    """The files below a directory that this process has open.

    Whatever else is open may come and go meanwhile: by the collector, or by a thread that another test has left behind.
    """
    links = []
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            links.append(str(descriptor.readlink()))
        except FileNotFoundError:
            # That of the listing itself.
            continue
        except OSError as error:
            if error.errno != errno.ENAMETOOLONG:
                raise
            # Nobody else is so deep.
            links.append(f"{directory}/")
    return [link for link in links if link.startswith(f"{directory}/")]
