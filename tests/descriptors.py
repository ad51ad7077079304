"""Which files the tests' own process has open."""

from __future__ import annotations

import errno
from collections import Counter
from pathlib import Path


def all_open() -> Counter[str]:
    """What this process has open, and how often.

    Something may come and go meanwhile: by the collector, or by a thread that another test has left behind. So do a
    thing many times, and see that fewer are open than were done that were not open before.
    """
    return Counter(_links(beyond="too deep to tell"))


def open_below(directory: str | Path) -> list[str]:
    """The files below a directory that this process has open."""
    # Nobody else is so deep.
    return [link for link in _links(beyond=f"{directory}/") if link.startswith(f"{directory}/")]


def _links(beyond: str) -> list[str]:
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
            links.append(beyond)
    return links
