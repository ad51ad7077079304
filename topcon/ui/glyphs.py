"""The screen in ASCII: what stands for each glyph that topcon draws with. No Textual here."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rich.cells import cell_len

if TYPE_CHECKING:
    from collections.abc import Mapping

GLYPHS: Mapping[str, str] = {
    **dict(zip("■▲•●○✓✗", "!^*@oyx", strict=True)),
    **dict(zip("▾▸▴◂▼▶", "v>^<v>", strict=True)),
    **dict(zip("←→↑↓↵", "<>^v/", strict=True)),
    **dict(zip("…·°—≥", "~.o->", strict=True)),
    # Bars: whole blocks, and parts of one.
    **dict(zip("█▉▊▋▌▍▎▏", "#=======", strict=True)),
    # Sparklines: each level is darker than the one before.
    **dict(zip("▁▂▃▄▅▆▇", ".:-=+*%", strict=True)),
    # Lines of trees, boxes and edges.
    **dict(zip("─━│┃┄┆├└┌┐┘┤┬┴┼", "--||-:|`+++|+++", strict=True)),
    **dict(zip("╭╮╰╯▔▐▀▛▜▙▟░▒▓", "++++-|-++++:%#", strict=True)),
    # Charts: braille, the more dots the darker.
    **{chr(0x2800 + dots): " .:-=+*%#"[dots.bit_count()] for dots in range(256)},
}
"""One ASCII character for each, so that nothing moves."""

_TABLE = str.maketrans(dict(GLYPHS))
_FOREIGN = re.compile(r"[^\x00-\x7f]+")


def to_ascii(text: str) -> str:
    """Write a text, with what orders the terminal about, in ASCII; names of others become ``?`` as wide as they are."""
    if text.isascii():
        return text
    return _FOREIGN.sub(lambda match: "?" * cell_len(match[0]), text.translate(_TABLE))
