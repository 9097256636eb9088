"""The picture of numbers between agents: cells, names, and what is not known."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from algos.report.heat_map import encode_png, heat_map


def corners(frame: np.ndarray, n: int) -> np.ndarray:
    """Returns a corner of each cell, (n, n, 3): cells fill the picture's lower right, but for the margin."""
    side = int(np.clip(512 // n, 38, 64))
    top = frame.shape[0] - 16 - n * side
    found = np.flatnonzero((frame[top + 1] != frame[0, 0]).any(-1))
    return frame[top + 1 : top + 1 + n * side : side, found[0] + 1 : found[0] + 1 + n * side : side]


@pytest.mark.parametrize("n", [2, 5, 16])
def test_a_cell_is_the_lighter_the_greater_its_number(n: int) -> None:
    values = np.arange(n * n, dtype=float).reshape(n, n)
    values[0, 1] = np.nan
    frame = heat_map(values, [f"learner_{i}" for i in range(n)], "title")
    assert frame.dtype == np.uint8
    assert frame.shape[0] < 800
    assert frame.shape[1] < 800
    cells = corners(frame, n)
    assert cells.shape == (n, n, 3)
    light = cells.astype(int).sum(-1).ravel()
    known = np.delete(light, 1)
    assert (np.diff(known) >= 0).all()
    assert known[-1] == 255 + 214 + 110
    assert cells[0, 1].tolist() == [60, 62, 68]
    assert np.asarray(Image.open(io.BytesIO(encode_png(frame)))).tolist() == frame.tolist()


def test_numbers_that_are_all_zero_are_dark() -> None:
    cells = corners(heat_map(np.zeros((2, 2)), ["a", "a name that is much too long to be shown"], "title"), 2)
    assert (cells == (38, 44, 62)).all()
