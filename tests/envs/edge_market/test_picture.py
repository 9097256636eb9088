"""The picture."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from edge_market_scenes import make, roll

from envs.edge_market import TASKS
from envs.edge_market.picture import FOOTER, HEADER, SIDE
from envs.edge_market.state import NOBODY
from envs.kit import paint


@pytest.mark.parametrize("task", sorted(TASKS))
def test_a_picture_of_every_task(task: str) -> None:
    env = make(task)
    state, _ = roll(env, [0, 1], 12, "greedy")
    frame = env.render(state, 1)
    assert frame.shape == (HEADER + SIDE + FOOTER, SIDE, 3)
    assert frame.shape[0] % 2 == frame.shape[1] % 2 == 0  # as video codecs want it
    assert np.array_equal(frame, env.render(state, 1))
    assert not np.array_equal(frame, env.render(state, 0))


def count(frame: Any, colour: paint.Colour) -> int:
    return int((np.abs(frame.astype(int) - colour).max(axis=2) <= 3).sum())


def test_the_picture_shows_load_sales_and_failures() -> None:
    env = make("partition-16", failures=0.0, load=2.5)
    state, _ = roll(env, [0], 30, "truthful")
    plain = env.render(state)
    quiet = env.render(state._replace(n_held=np.zeros_like(state.n_held), queue=np.zeros_like(state.queue)))
    assert count(plain, paint.ALARM) > count(quiet, paint.ALARM) + 100  # overloaded
    assert count(plain, paint.STATION[1]) + count(plain, paint.ALARM) > count(quiet, paint.STATION[1])
    partner = np.full_like(state.partner, NOBODY)
    length = np.where(state.neighbor[0] == NOBODY, 0.0, state.link[0, :, :, 1])
    i, d = np.unravel_index(length.argmax(), length.shape)
    partner[0, i] = state.neighbor[0, i, d]
    sold = env.render(state._replace(partner=partner))
    silent = env.render(state._replace(partner=np.full_like(partner, NOBODY)))
    assert count(sold, paint.OKABE_ITO[6]) > count(silent, paint.OKABE_ITO[6]) + 20
    up = state.up.copy()
    up[0, 30, 5] = False
    assert count(env.render(state._replace(up=up)), paint.DEAD) > count(plain, paint.DEAD) + 100


def test_a_ring_shows_estimates_and_a_tick_the_truth() -> None:
    env = make("byzantine-16", consensus="hierarchical", failures=0.0)
    state, _ = roll(env, [0], 30, "truthful")
    ring = paint.OKABE_ITO[3]
    none = env.render(state._replace(agreed=np.zeros_like(state.agreed)))
    some, full = (env.render(state._replace(agreed=np.full_like(state.agreed, load))) for load in (0.5, 9.0))
    assert count(none, ring) + 200 < count(some, ring) < count(full, ring) - 200
    assert np.array_equal(full, env.render(state._replace(agreed=np.full_like(state.agreed, 99.0))))
    other = env.render(state._replace(measured=state.measured + 0.7))
    assert not np.array_equal(env.render(state), other)
    assert not np.array_equal(full, make("byzantine-16").render(state))
