"""Trees of leaders reach every node over links that exist, and one sweep gives the exact mean."""

from __future__ import annotations

import numpy as np
import pytest
from graphs import full, grid, path, random_connected, star
from scipy.sparse.csgraph import connected_components, shortest_path

from envs.consensus import elect, grow, lists_of, slots_of, swept


def test_a_path_by_hand() -> None:
    """Of 7: leaders 1, 3, 5 with members 0 and 2, 4, 6; then 3, which touches both others; the ways have 2 hops."""
    neighbor = lists_of(path(7)[None])
    tree = grow(neighbor, neighbor >= 0, np.ones((1, 7), np.bool_))
    assert tree.parent[0].tolist() == [1, 3, 1, 3, 3, 3, 5]
    assert tree.level[0].tolist() == [0, 1, 0, 2, 0, 1, 0]
    assert tree.hops[0].tolist() == [1, 2, 1, 0, 1, 2, 1]
    agreed = swept(tree, np.arange(7.0)[None, :, None])
    np.testing.assert_allclose(agreed.value, 3.0)
    assert (agreed.hops[0], agreed.messages[0]) == (6, 16)


def test_one_cluster_is_one_level() -> None:
    for graph in (star(6), full(5)):
        neighbor = lists_of(graph[None])
        tree = grow(neighbor, neighbor >= 0, np.ones((1, len(graph)), np.bool_))
        assert tree.parent[0].tolist() == [0] * len(graph)
        agreed = swept(tree, np.arange(float(len(graph)))[None, :, None])
        assert (agreed.hops[0], agreed.messages[0]) == (2, 2 * (len(graph) - 1))


@pytest.mark.parametrize("seed", range(8))
def test_every_live_node_holds_the_mean_of_its_part(seed: int) -> None:
    """Also where links and nodes have failed, so that the network falls apart."""
    rng = np.random.default_rng(seed)
    adjacency = np.stack([random_connected(rng, 40, 0.04) for _ in range(2)])
    neighbor = lists_of(adjacency)
    alive = rng.random((2, 40)) < 0.9
    works = np.triu(rng.random((2, 40, 40)) < 0.8, 1)
    works = (works | works.transpose(0, 2, 1)) & adjacency
    tree = grow(neighbor, slots_of(neighbor, works), alive)
    value = rng.normal(size=(2, 40, 3))
    agreed = swept(tree, value).value
    for b in range(2):
        linked = works[b] & alive[b] & alive[b][:, None]
        count, part = connected_components(linked, directed=False)
        for one in range(count):
            inside = (part == one) & alive[b]
            expected = np.broadcast_to(value[b, inside].mean(axis=0) if inside.any() else 0.0, (inside.sum(), 3))
            np.testing.assert_allclose(agreed[b, inside], expected, atol=1e-12)
            if inside.any():
                assert (tree.parent[b, inside] == np.nonzero(inside)[0]).sum() == 1  # one at the top
        np.testing.assert_array_equal(agreed[b, ~alive[b]], value[b, ~alive[b]])
        assert (tree.parent[b, ~alive[b]] == -1).all()
        shortest = shortest_path(linked.astype(float), unweighted=True)
        for i in np.nonzero(alive[b])[0]:
            assert tree.hops[b, i] >= shortest[i, tree.parent[b, i]]  # no way is shorter than there is
            assert (tree.hops[b, i] == 0) == (tree.parent[b, i] == i)
            if tree.parent[b, i] != i:
                assert tree.level[b, tree.parent[b, i]] > tree.level[b, i]


def test_its_lowest_level_is_that_of_the_hierarchy() -> None:
    neighbor = lists_of(grid(6)[None])
    everybody = np.ones((1, 36), np.bool_)
    tree = grow(neighbor, neighbor >= 0, everybody)
    leader = elect(neighbor, neighbor >= 0, everybody).leader
    members = tree.level == 0
    np.testing.assert_array_equal(tree.parent[members], leader[members])
    np.testing.assert_array_equal(members, leader != np.arange(36))


def test_a_top_that_fails_is_replaced() -> None:
    neighbor = lists_of(grid(6)[None])
    alive = np.ones((1, 36), np.bool_)
    tree = grow(neighbor, neighbor >= 0, alive)
    top = int(np.nonzero(tree.parent[0] == np.arange(36))[0][0])
    alive[0, top] = False
    value = np.arange(36.0)[None, :, None]
    agreed = swept(grow(neighbor, neighbor >= 0, alive), value).value[0, :, 0]
    np.testing.assert_allclose(agreed[alive[0]], value[0, alive[0], 0].mean())
    assert agreed[top] == top
