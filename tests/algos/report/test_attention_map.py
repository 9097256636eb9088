"""The map of attention beside a picture."""

from __future__ import annotations

import numpy as np

from algos.report.attention_map import WIDTH, beside


def test_only_live_agents_are_shown_and_a_lighter_cell_is_more_attention() -> None:
    frame = np.full((300, 400, 3), 7, np.uint8)
    weights = np.zeros((4, 4))
    weights[1, 3] = 1.0
    weights[0, 2] = 1.0  # of agents that are absent
    alive = np.array([False, True, False, True])
    shown = beside(frame, weights, alive)
    assert shown.shape == (300, 400 + WIDTH, 3)
    assert shown.dtype == np.uint8
    assert (shown[:, :400] == 7).all()
    full, empty = (beside(frame, share * np.ones((4, 4)), alive)[:, 400:].astype(int) for share in (1.0, 0.0))
    cells = (full != empty).any(-1)  # where the map has cells
    rows, columns = np.flatnonzero(cells.any(1)), np.flatnonzero(cells.any(0))
    middle = (rows[0] + rows[-1]) // 2, (columns[0] + columns[-1]) // 2
    map_ = shown[:, 400:].astype(int).sum(-1)
    upper_right = map_[rows[0] : middle[0], middle[1] + 2 : columns[-1]]
    lower_left = map_[middle[0] + 2 : rows[-1], columns[0] : middle[1]]
    assert np.median(upper_right) > np.median(lower_left)
    assert np.median(upper_right) == np.median(full.sum(-1)[cells])


def test_a_world_may_be_empty_and_a_picture_small() -> None:
    assert beside(np.zeros((20, 20, 3), np.uint8), np.ones((50, 50)), np.zeros(50, bool)).shape == (20, 20 + WIDTH, 3)
    assert beside(np.zeros((20, 20, 3), np.uint8), np.ones((50, 50)), np.ones(50, bool)).shape == (20, 20 + WIDTH, 3)
