"""One colour for every category, the same in the overlay and in the timeline."""

from __future__ import annotations

# Okabe and Ito's palette, which colour-blind people can tell apart, with Paul Tol's wine in place of black.
# What stands out on footage comes first and the yellow, hard to see on white paper, last.
_RGB = (
    (213, 94, 0),
    (86, 180, 233),
    (0, 158, 115),
    (230, 159, 0),
    (204, 121, 167),
    (0, 114, 178),
    (136, 34, 85),
    (240, 228, 66),
)


def colours(categories: tuple[str, ...]) -> dict[str, tuple[int, int, int]]:
    """RGB in 0..255 by category; the palette repeats after eight."""
    return {category: _RGB[index % len(_RGB)] for index, category in enumerate(categories)}


def shorten(text: str, *, length: int) -> str:
    """A category or file name on one line of at most `length` characters."""
    drawable = text.encode(errors="replace").decode()  # a file name may be no valid text
    line = " ".join(drawable.split())
    return line if len(line) <= length else line[: max(length - 1, 0)].rstrip() + "…"
