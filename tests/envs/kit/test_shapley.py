"""Shapley values: their axioms, and games whose values are known."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from envs.core import Array
from envs.kit import shapley as module
from envs.kit.shapley import EXACT, keys_of, shapley, shapley_in_groups

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


def test_worlds_and_steps_have_keys_of_their_own() -> None:
    schedule = np.array([[1, 2], [2, 1], [1, 2]])
    keys = keys_of(np.array([3, 3, 4]), schedule)
    assert len(set(keys.tolist())) == 3
    assert keys.min() >= 0
    assert np.array_equal(keys_of(np.array([3]), schedule[1:2]), keys[1:2])


def in_copies(group: Array) -> Callable[[Array, Array], NDArray[np.float64]]:
    """A game that is a sum of games of groups, and of one number for each agent in none."""

    def worth(world: Array, members: Array) -> NDArray[np.float64]:
        earned = members @ np.arange(1.0, members.shape[1] + 1)
        for number in range(members.shape[1]):
            inside = (group[world] == number) & members
            code = inside @ (2.0 ** np.arange(members.shape[1]))
            earned += np.where(inside.any(axis=1), np.sin(1.7 * code + world) * 5.0, 0.0)
        return earned

    return worth


GROUPS = np.array([[3, -1, 3, 0, 0, 3, -1], [-1, 4, -1, -1, -1, -1, 4], [2, 2, 2, 2, 2, 2, 2], [-1] * 7])


@pytest.mark.parametrize("knows", [True, False])
def test_groups_have_the_values_of_the_whole_game(monkeypatch: pytest.MonkeyPatch, knows: bool) -> None:
    """For a worth that is a sum over groups, from the coalitions within groups alone."""
    monkeypatch.setattr(module, "MOST_COPIES", 7)
    worth, (worlds, n), copies = in_copies(GROUPS), GROUPS.shape, []

    def counted(world: Array, members: Array) -> NDArray[np.float64]:
        copies.append(len(world))
        outside = GROUPS[world] != np.where(members, -2, GROUPS[world]).max(axis=1, keepdims=True)
        assert members[outside].all(), "all agents outside the group are members"
        return worth(world, members)

    def in_batch(members: Array) -> NDArray[np.float64]:
        world = np.repeat(np.arange(worlds), members.shape[1])
        return worth(world, members.reshape(-1, n)).reshape(members.shape[:2])

    whole = worth(np.arange(worlds), np.ones((worlds, n), bool)) if knows else None
    found = shapley_in_groups(counted, GROUPS, np.arange(worlds), orders=2, whole=whole)
    expected = np.where(GROUPS >= 0, shapley(in_batch, np.arange(worlds), n, orders=2), 0.0)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert sum(copies) == 2**3 + 2**2 + 2**2 + 2**7 - 4 * knows
    assert max(copies) == 7


def test_of_a_large_group_the_values_are_averaged_over_orders() -> None:
    group = np.zeros((B, 12), np.int64)
    group[:, 3] = -1
    found = shapley_in_groups(in_copies(group), group, KEY, orders=4)
    everybody = np.ones((B, 12), bool)
    added = in_copies(group)(KEY, everybody) - in_copies(group)(KEY, group < 0)
    np.testing.assert_allclose(found.sum(axis=1), added, atol=1e-9)
    assert (found[:, 3] == 0.0).all()
    alone = shapley_in_groups(
        lambda world, members: in_copies(group)(world + 1, members), group[1:2], KEY[1:2], orders=4
    )
    assert np.array_equal(alone[0], found[1])
