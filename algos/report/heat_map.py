"""A table of numbers between agents as a picture: a cell for each pair, the lighter the greater.

Axes: P agents, [row, column].
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core import Array

LARGEST, SMALLEST = 64, 38
"""Sides of a cell where there are few agents, and where there are many [pixels]."""
_MARGIN, _HEAD, _GAP, _LONGEST = 16, 40, 6, 16
_GROUND, _LOW, _HIGH, _UNKNOWN = (24, 26, 30), (38, 44, 62), (255, 214, 110), (60, 62, 68)
_INK, _MUTED, _DARK = (220, 224, 230), (150, 156, 166), (24, 26, 30)


def heat_map(values: Array, names: Sequence[str], title: str) -> Array:
    """Returns a picture of numbers from 0 on, (height, width, 3) uint8.

    Args:
        values: (P, P); NaN is shown as a dash.
        names: (P,) of the agents, which stand beside rows and above columns.
        title: A line above.
    """
    from PIL import Image, ImageDraw  # here: training without pictures must not need it

    n = len(names)
    names = [name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…" for name in names]
    side = int(np.clip(512 // max(n, 1), SMALLEST, LARGEST))
    labels = [_upright(name, Image, ImageDraw) for name in names]
    room = max(label.height for label in labels) + 2 * _GAP  # of names beside and above [pixels]
    left, top = _MARGIN + room, _MARGIN + _HEAD + room
    width = max(left + n * side, _MARGIN + 7 * len(title)) + _MARGIN
    image = Image.new("RGB", (width, top + n * side + _MARGIN), _GROUND)
    pen = ImageDraw.Draw(image)
    pen.text((_MARGIN, _MARGIN), title, fill=_INK, font_size=13)
    known = values[np.isfinite(values)]
    most = float(known.max()) if len(known) else 0.0
    for place, label in enumerate(labels):
        middle = int(side * (place + 0.5))
        image.paste(_MUTED, (left + middle - label.width // 2, top - _GAP - label.height), label)
        pen.text((left - _GAP, top + middle), names[place], fill=_MUTED, anchor="rm", font_size=12)
    for row in range(n):
        for column in range(n):
            value = float(values[row, column])
            shade = value / most if most > 0.0 else 0.0
            colour, ink = _UNKNOWN, _INK
            if np.isfinite(value):
                mixed = (round((1.0 - shade) * low + shade * high) for low, high in zip(_LOW, _HIGH, strict=True))
                red, green, blue = mixed
                colour, ink = (red, green, blue), _DARK if shade > 0.5 else _INK
            x, y = left + side * column, top + side * row
            pen.rectangle((x, y, x + side - 2, y + side - 2), fill=colour)
            pen.text((x + side // 2 - 1, y + side // 2 - 1), _short(value), fill=ink, anchor="mm", font_size=12)
    return np.asarray(image)


def encode_png(frame: Array) -> bytes:
    """Returns a picture (height, width, 3) uint8 as a PNG file."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(frame).save(file, "PNG")
    return file.getvalue()


def _short(value: float) -> str:
    """Returns a number in at most four characters, as far as it is below 10,000."""
    if not np.isfinite(value):
        return "-"
    if 0.0005 <= value < 0.00995:
        return f"{value:.3f}"[1:]
    return f"{value:.2f}" if value < 9.995 else f"{value:.1f}" if value < 99.95 else f"{value:.0f}"


def _upright(name: str, image: Any, draw: Any) -> Any:
    """Returns a name that is read from below, as a mask."""
    measured = draw.Draw(image.new("L", (1, 1))).textbbox((0, 0), name, font_size=12)
    label = image.new("L", (int(measured[2]) + 1, int(measured[3]) + 1))
    draw.Draw(label).text((0, 0), name, fill=255, font_size=12)
    return label.rotate(90, expand=True)
