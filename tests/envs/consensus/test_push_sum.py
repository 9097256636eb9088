"""Push-sum reaches the true mean over one-way links, whatever is lost and however late messages are."""

from __future__ import annotations

from collections import deque

import numpy as np
import pytest
from graphs import path, random_connected, ring

from envs.consensus import estimate, first_push_sum, heard_of, lists_of, pushed, received, slots_of


def circle(n: int) -> np.ndarray:
    """Hearing is one-way around a ring: node i hears i - 1 alone."""
    return np.array([[(i - j) % n == 1 for j in range(n)] for i in range(n)])


def one_way(seed: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Neighbours (1, N, D) of a ring with chords, and who hears whom: one way around and some chords one way."""
    rng = np.random.default_rng(seed)
    hears = circle(n) | (rng.random((n, n)) < 0.1)
    np.fill_diagonal(hears, False)
    neighbor = lists_of((hears | hears.T)[None])
    return neighbor, slots_of(neighbor, hears[None])


def test_two_rounds_on_two_nodes_by_hand() -> None:
    """Node 1 hears node 0 alone: 0 halves what it holds each round, and 1 keeps all that it gets."""
    neighbor = lists_of(path(2)[None])
    hears = np.array([[[False], [True]]])
    state = first_push_sum(neighbor, np.array([[[8.0], [2.0]]]))
    expected = [[[[4.0, 0.5], [6.0, 1.5]]], [[[2.0, 0.25], [8.0, 1.75]]]]
    for held in expected:
        state = pushed(neighbor, hears, state)
        state = received(hears, heard_of(neighbor, state.given), state)
        np.testing.assert_allclose(state.held, held)
    np.testing.assert_allclose(estimate(state)[0, :, 0], [8.0, 8 / 1.75])


@pytest.mark.parametrize("loss", [0.0, 0.2, 0.5])
@pytest.mark.parametrize("seed", range(4))
def test_the_mean_is_reached_over_one_way_links_that_lose_messages(seed: int, loss: float) -> None:
    rng = np.random.default_rng(seed)
    neighbor, hears = one_way(seed, 10)
    value = rng.normal(5, 1, (1, 10, 2))
    state = first_push_sum(neighbor, value)
    for _ in range(600):
        state = pushed(neighbor, hears, state)
        arrived = hears & (rng.random(hears.shape) >= loss)
        state = received(arrived, heard_of(neighbor, state.given), state)
        heard = np.where(hears[..., None], heard_of(neighbor, state.given) - state.taken, 0.0)
        total = state.held.sum(axis=1) + heard.sum(axis=(1, 2))  # held, and on its way
        np.testing.assert_allclose(total, [[*value.sum(axis=1)[0], 10.0]], rtol=1e-9)
    np.testing.assert_allclose(estimate(state), np.broadcast_to(value.mean(axis=1), value.shape), atol=1e-6)


def test_the_mean_is_reached_where_messages_are_late_and_lost() -> None:
    """Each takes up to 4 rounds; one that is overtaken by a newer one is dropped."""
    rng = np.random.default_rng(9)
    neighbor = lists_of(random_connected(rng, 12)[None])
    hears = neighbor >= 0
    value = rng.normal(size=(1, 12, 1))
    state = first_push_sum(neighbor, value)
    sent: deque[np.ndarray] = deque(maxlen=5)  # what was said in the last rounds, the newest first
    newest = np.zeros(neighbor.shape, np.int64)  # round of the newest message that has arrived
    for t in range(800):
        state = pushed(neighbor, hears, state)
        sent.appendleft(heard_of(neighbor, state.given))
        delay = rng.integers(0, len(sent), neighbor.shape)
        arrived = hears & (rng.random(hears.shape) >= 0.2) & (t - delay > newest)
        newest = np.where(arrived, t - delay, newest)
        heard = np.take_along_axis(np.stack(sent), delay[None, ..., None], axis=0)[0]
        state = received(arrived, heard, state)
    np.testing.assert_allclose(estimate(state), np.broadcast_to(value.mean(axis=1), value.shape), atol=1e-6)


def test_a_partition_heals() -> None:
    neighbor = lists_of(ring(8)[None])
    hears = neighbor >= 0
    across = (np.arange(8) < 4)[:, None] != (np.arange(8) < 4)
    cut = hears & ~slots_of(neighbor, across[None])
    value = np.arange(8.0)[None, :, None]
    state = first_push_sum(neighbor, value)
    for t in range(900):
        state = pushed(neighbor, hears, state)  # they cannot know that they are cut off
        state = received(cut if t < 300 else hears, heard_of(neighbor, state.given), state)
    np.testing.assert_allclose(estimate(state), np.full((1, 8, 1), 3.5), atol=1e-9)


def test_states_are_values() -> None:
    neighbor, hears = one_way(0, 6)
    state = first_push_sum(neighbor, np.ones((1, 6, 1)))
    kept = [array.copy() for array in state]
    after = pushed(neighbor, hears, state)
    received(hears, heard_of(neighbor, after.given), after)
    for array, before in zip(state, kept, strict=True):
        np.testing.assert_array_equal(array, before)
