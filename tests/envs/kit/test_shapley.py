"""Shapley values: their axioms, and games whose values are known."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from envs.core import Array
from envs.kit.shapley import EXACT, shapley

B = 3
KEY = np.arange(B)


def game(members: Array) -> NDArray[np.float64]:
    """A game with no structure: what a coalition earns is a hash of its members, and of the world; nobody earns 2."""
    n = members.shape[-1]
    code = members @ (2.0 ** np.arange(n)) + 0.37 * np.arange(len(members))[:, None]
    return np.where(members.any(-1), np.sin(1.7 * code) * 5.0, 2.0)


def airport(members: Array) -> NDArray[np.float64]:
    """The longest runway that a member needs: 1, 2, ..., N."""
    return (members * np.arange(1, members.shape[-1] + 1)).max(axis=-1).astype(float)


def mean_over_orders(worth, n: int) -> NDArray[np.float64]:
    """The definition: what each adds to those before it, in every order."""
    total = np.zeros((B, n))
    every = list(itertools.permutations(range(n)))
    for order in every:
        present = np.zeros((B, 1, n), bool)
        before = worth(present)
        for agent in order:
            present[:, :, agent] = True
            after = worth(present)
            total[:, agent] += (after - before)[:, 0]
            before = after
    return total / len(every)


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_it_is_the_mean_over_all_orders(n: int) -> None:
    np.testing.assert_allclose(shapley(game, KEY, n, orders=2), mean_over_orders(game, n), atol=1e-12)


@pytest.mark.parametrize("n", [4, EXACT, EXACT + 1, 20])
def test_they_sum_to_what_the_team_earns(n: int) -> None:
    everybody, nobody = np.ones((B, 1, n), bool), np.zeros((B, 1, n), bool)
    np.testing.assert_allclose(
        shapley(game, KEY, n, orders=4).sum(1), (game(everybody) - game(nobody))[:, 0], atol=1e-9
    )


@pytest.mark.parametrize("n", [5, 12])
def test_an_agent_that_adds_nothing_gets_nothing(n: int) -> None:
    def worth(members: Array) -> NDArray[np.float64]:
        return game(members[..., 1:])

    assert np.abs(shapley(worth, KEY, n, orders=4)[:, 0]).max() < 1e-12


@pytest.mark.parametrize("n", [5, 12])
def test_agents_that_add_the_same_get_the_same(n: int) -> None:
    """Exactly where all coalitions are counted, in the mean over many orders where they are drawn."""

    def worth(members: Array) -> NDArray[np.float64]:
        return members[..., :2].sum(-1) ** 2 * (1.0 + members[..., 2:].sum(-1))

    found = shapley(worth, KEY, n, orders=2000)
    np.testing.assert_allclose(found[:, 0], found[:, 1], rtol=1e-12 if n <= EXACT else 0.1)


def test_values_of_a_sum_are_sums_of_values() -> None:
    one, two = shapley(game, KEY, 6, orders=2), shapley(airport, KEY, 6, orders=2)
    both = shapley(lambda members: game(members) + 3 * airport(members), KEY, 6, orders=2)
    np.testing.assert_allclose(both, one + 3 * two, atol=1e-12)


@pytest.mark.parametrize("n", [6, 12])
def test_a_game_with_known_values(n: int) -> None:
    """Littlechild & Owen 1973: each piece of the runway is shared by those that need it."""
    expected = np.array([sum(1.0 / (n - piece) for piece in range(agent + 1)) for agent in range(n)])
    found = shapley(airport, KEY, n, orders=4000)
    np.testing.assert_allclose(found, np.tile(expected, (B, 1)), atol=1e-12 if n <= EXACT else 0.15)


def test_reversed_orders_vary_less() -> None:
    """Where what an agent adds is linear in its place, an order and its reverse give everyone the mean."""
    n = 10

    def worth(members: Array) -> NDArray[np.float64]:
        return members.sum(-1).astype(float) ** 2

    found = shapley(worth, np.arange(200), n, orders=2)
    np.testing.assert_allclose(found, np.full((200, n), n), atol=1e-9)


def test_a_world_draws_its_orders_from_its_own_key() -> None:
    n = 12
    alone = np.stack([shapley(airport, KEY[[world]], n, orders=4)[0] for world in range(B)])
    together = shapley(airport, KEY, n, orders=4)
    assert np.array_equal(together, alone)
    assert not np.array_equal(together[0], together[1])
