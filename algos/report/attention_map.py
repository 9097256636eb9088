"""A picture with a map of attention beside it: how much each agent listens to each other.

Axes: N agents, [i, j] for i listens to j.
"""

from __future__ import annotations

import numpy as np

from ..core import Array

WIDTH = 260
"""Width of the map with its margins [pixels]."""
_MARGIN, _HEAD, _LABEL, _LARGEST = 16, 44, 18, 28
_GROUND, _SILENT, _HEARD = (24, 26, 30), (44, 47, 54), (96, 190, 255)
_INK, _MUTED = (220, 224, 230), (150, 156, 166)


def beside(frame: Array, weights: Array, alive: Array) -> Array:
    """Returns a picture with the map at its right.

    A row of the map is an agent that listens, and a column one that it hears, by their numbers; the lighter a cell, the
    more the message counts. Absent agents are left out.

    Args:
        frame: (height, width, 3) uint8.
        weights: (N, N) from 0 to 1.
        alive: (N,) bool.
    """
    from PIL import Image, ImageDraw  # here: training without pictures must not need it

    there, height = np.flatnonzero(alive), frame.shape[0]
    room = min(WIDTH - 2 * _MARGIN, height - _HEAD - _MARGIN) - _LABEL
    side = max(min(room // max(len(there), 1), _LARGEST), 1)  # of a cell [pixels]
    shade = np.clip(weights[np.ix_(there, there)], 0.0, 1.0)[..., None]  # (L, L, 1)
    cells = ((1.0 - shade) * np.array(_SILENT) + shade * np.array(_HEARD)).astype(np.uint8)
    cells = np.repeat(np.repeat(cells, side, axis=0), side, axis=1)
    if side >= 4:  # lines between cells
        cells[::side], cells[:, ::side] = _GROUND, _GROUND
    image = Image.new("RGB", (WIDTH, height), _GROUND)
    pen = ImageDraw.Draw(image)
    pen.text((_MARGIN, 10), "attention: row listens to column", fill=_INK)
    left, top = _MARGIN + _LABEL, _HEAD + _LABEL
    if len(there):
        image.paste(Image.fromarray(cells), (left, top))
    if side >= 12:
        for place, agent in enumerate(there.tolist()):
            middle = side * (place + 0.5)
            pen.text((left + middle, top - 4), f"{agent}", fill=_MUTED, anchor="ms")
            pen.text((left - 5, top + middle), f"{agent}", fill=_MUTED, anchor="rm")
    return np.concatenate([frame, np.asarray(image)], axis=1)
