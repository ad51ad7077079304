"""Patterns that somebody has typed: those that could keep a screen waiting are refused.

Python's ``re`` tries one way after the other, and of some patterns there are far too many: ``(a+)+$``. They are counted
here before one is put to use.
"""

from __future__ import annotations

import re
import warnings

LONGEST_PATTERN = 200
LONGEST_MATCHED = 256
"""So many characters of a text are looked at by a pattern."""
MOST_WAYS = 2**20
"""In no more ways than these may a pattern be tried on a text, from where it begins."""
MOST_AGAIN = 50
"""What can be read in several ways may be repeated so often."""

_PIECE = re.compile(
    r"""(?P<escape>\\(?:x..|u.{4}|U.{8}|N\{[^}]*\}|\d+|.))
    |(?P<set>\[\^?\]?(?:\\.|[^\]\\])*\])
    |(?P<open>\((?:\?(?:P<\w+>|:|<?[=!]))?)
    |(?P<close>\))
    |(?P<either>\|)
    |(?P<repeat>(?:[*+?]|\{(?:(?P<least>\d*)(?P<comma>,)(?P<most>\d*)|(?P<exactly>\d+))\})[?+]?)
    |(?P<other>.)""",
    re.DOTALL | re.VERBOSE,
)
"""What a pattern is made of."""
_LOOKS = frozenset(("(?=", "(?!", "(?<=", "(?<!"))
_ENDS = frozenset(("$", r"\Z"))
_OFTEN = {"*": (0, None), "+": (1, None), "?": (0, 1)}
_SAMPLES = [chr(code) for code in range(0x180)]
"""Characters by which it is told whether two sets have something in common."""


class PatternError(ValueError):
    """A pattern that cannot be used."""

    def __init__(self, at: int, message: str) -> None:
        """Say why, and where in it, counting from 0."""
        super().__init__(message)
        self.at = at


def compile_pattern(source: str) -> re.Pattern[str]:
    """Read a pattern, for texts of `LONGEST_MATCHED` characters, whatever their case.

    Raises:
        PatternError: it is wrong, or there are too many ways to try it.
    """
    if not 0 < len(source) <= LONGEST_PATTERN:
        message = f"expected a pattern of 1 to {LONGEST_PATTERN} characters"
        raise PatternError(0, message)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pattern = re.compile(source, re.IGNORECASE)
    except (re.error, OverflowError) as error:
        message = f"a pattern that is wrong: {getattr(error, 'msg', error)}"
        raise PatternError(getattr(error, "pos", None) or 0, message) from None
    _refuse_toil(source)
    return pattern


def _refuse_toil(source: str) -> None:
    """Refuse a pattern that can be tried on a text in too many ways.

    A repetition of a character is one way where it cannot go on over what comes next: ``[0-9]+[.]``.
    """
    pieces = list(_PIECE.finditer(source))
    has_looks = any(piece["open"] in _LOOKS for piece in pieces)
    # Of each group that is open: the ways of the alternatives before, and of the one that it is in.
    groups = [(0, 1)]
    last = 1
    for at, piece in enumerate(pieces):
        others, ways = groups[-1]
        if piece["open"]:
            if source.startswith("?", piece.end()):
                message = "expected of (?... no other than (?: (?= (?! (?<= (?<! (?P<NAME>"
                raise PatternError(piece.start(), message)
            groups.append((0, 1))
        elif piece["either"]:
            groups[-1] = others + ways, 1
        elif piece["close"]:
            groups.pop()
            last = others + ways
            groups[-1] = groups[-1][0], groups[-1][1] * last
        elif piece["repeat"]:
            again = _ways_again(pieces, at, last, has_looks=has_looks)
            if again is None:
                message = "expected no repetition of what can be read in several ways itself"
                raise PatternError(piece.start(), message)
            groups[-1] = others, ways // last * again
        else:
            last = 1
        if groups[-1][1] > MOST_WAYS:
            message = "expected fewer repetitions such as .* in one pattern"
            raise PatternError(piece.start(), message)


def _ways_again(pieces: list[re.Match[str]], at: int, once: int, *, has_looks: bool) -> int | None:
    """Return in how many ways something can be repeated that has so many ways by itself; None for far too many."""
    least, most = (min(times, LONGEST_MATCHED) for times in _often(pieces[at]))
    if once > 1:
        return None if most > MOST_AGAIN else sum(once**count for count in range(least, most + 1))
    if not pieces[at - 1]["close"] and not has_looks and _is_bounded(pieces, at):
        return 1
    return most - least + 1


def _often(repeat: re.Match[str]) -> tuple[int, int]:
    """Return how many times at least and at most something is repeated, as far as it makes a difference."""
    if repeat["exactly"]:
        times = int(repeat["exactly"])
        return times, times
    if repeat["comma"]:
        return int(repeat["least"] or 0), int(repeat["most"] or LONGEST_MATCHED)
    least, most = _OFTEN[repeat[0][0]]
    return least, LONGEST_MATCHED if most is None else most


def _is_bounded(pieces: list[re.Match[str]], at: int) -> bool:
    """Whether what comes after a repetition of a character can be none of those that are repeated."""
    after = at + 1
    while after < len(pieces) and pieces[after]["close"]:
        after += 1
    if after < len(pieces) and pieces[after][0] in _ENDS:
        return True
    following = pieces[after + 1] if after + 1 < len(pieces) else None
    if after >= len(pieces) or (following is not None and following["repeat"] and not _often(following)[0]):
        return False
    try:
        one, other = (re.compile(pieces[place][0], re.IGNORECASE) for place in (at - 1, after))
    except re.error:
        return False
    both = [each for each in _SAMPLES if one.fullmatch(each) and other.fullmatch(each)]
    return not both and any(map(other.fullmatch, _SAMPLES))
