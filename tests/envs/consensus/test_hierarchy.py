"""Leaders cover the network, are replaced when they fail, and clusters keep the mean in the fewest rounds."""

from __future__ import annotations

import numpy as np
import pytest
from graphs import grid, path, random_connected, ring, star

from envs.consensus import dense_of, elect, hierarchical, lists_of, slots_of
from envs.consensus.hierarchy import gather, leader_round


def net(seed: int, n: int = 20, density: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    """Adjacency (N, N) and neighbours (1, N, D) of a random connected graph."""
    adjacency = random_connected(np.random.default_rng(seed), n, density)
    return adjacency, lists_of(adjacency[None])


def connected(linked: np.ndarray) -> bool:
    reached = np.linalg.matrix_power(linked.astype(np.float64) + np.eye(len(linked)), len(linked))
    return bool((reached > 0).all())


@pytest.mark.parametrize("seed", range(10))
def test_every_live_node_leads_or_has_a_leader_as_its_neighbour(seed: int) -> None:
    adjacency, neighbor = net(seed)
    rng = np.random.default_rng(seed)
    alive = rng.random((1, 20)) < 0.8
    works = rng.random((20, 20)) < 0.9
    linked = adjacency & works & works.T & alive[0] & alive[0][:, None]
    clusters = elect(neighbor, slots_of(neighbor, (works & works.T)[None]), alive)
    leader = clusters.leader[0]
    leads = leader == np.arange(20)
    degree = linked.sum(axis=1)
    for i in range(20):
        if not alive[0, i]:
            assert leader[i] == -1
        elif not leads[i]:
            assert linked[i, leader[i]]
            assert leads[leader[i]]
            asked = [c for c in range(20) if linked[i, c] and leads[c]]
            assert leader[i] == min(asked, key=lambda c: (-degree[c], c))
        else:
            assert not (linked[i] & leads).any()


def test_leaders_have_the_highest_degree_and_ties_go_to_the_lowest_index() -> None:
    everybody = np.ones((1, 6), np.bool_)
    for graph, expected in ((star(6), [0] * 6), (path(6), [1, 1, 1, 3, 3, 5]), (ring(6), [0, 0, 2, 2, 4, 0])):
        neighbor = lists_of(graph[None])
        assert elect(neighbor, neighbor >= 0, everybody).leader[0].tolist() == expected


def test_a_leader_that_fails_is_replaced() -> None:
    neighbor = lists_of(grid(4)[None])
    alive = np.ones((1, 16), np.bool_)
    before = elect(neighbor, neighbor >= 0, alive).leader[0]
    failed = before[0]
    alive[0, failed] = False
    after = elect(neighbor, neighbor >= 0, alive)
    assert (after.leader[0][alive[0]] != failed).all()
    value = np.random.default_rng(0).normal(size=(1, 16, 1))
    agreed = hierarchical(neighbor, after, value, 200).value[0, :, 0]
    np.testing.assert_allclose(agreed[alive[0]], value[0, alive[0], 0].mean())
    assert agreed[failed] == value[0, failed, 0]


@pytest.mark.parametrize("seed", range(10))
def test_bridges_connect_each_two_clusters_that_touch_once_by_the_fewest_hops(seed: int) -> None:
    adjacency, neighbor = net(seed, 30)
    clusters = elect(neighbor, neighbor >= 0, np.ones((1, 30), np.bool_))
    leader, bridge = clusters.leader[0], dense_of(neighbor, clusters.bridge)[0]
    assert (bridge == bridge.T).all()
    touch: dict[tuple[int, int], int] = {}
    for i, j in zip(*np.nonzero(adjacency), strict=True):
        if leader[i] < leader[j]:
            pair = (int(leader[i]), int(leader[j]))
            hops = 1 + int(leader[i] != i) + int(leader[j] != j)
            touch[pair] = min(hops, touch.get(pair, 9))
    found = {}
    for i, j in zip(*np.nonzero(np.triu(bridge) | np.tril(bridge)), strict=True):
        if leader[i] < leader[j]:
            pair = (int(leader[i]), int(leader[j]))
            assert pair not in found
            found[pair] = 1 + int(leader[i] != i) + int(leader[j] != j)
    assert found == touch
    heads = np.unique(leader)
    among = np.array([[(min(c, d), max(c, d)) in touch for d in heads] for c in heads])
    assert connected(among)  # as the graph is connected, so are its leaders


@pytest.mark.parametrize("seed", range(10))
def test_the_mean_of_nodes_is_kept_and_reached(seed: int) -> None:
    """Clusters are of different sizes, so the mean over clusters would be another one."""
    rng = np.random.default_rng(seed)
    _, neighbor = net(seed)
    clusters = elect(neighbor, neighbor >= 0, np.ones((1, 20), np.bool_))
    value = rng.normal(size=(1, 20, 3))
    for rounds in (0, 1, 4):
        works = rng.random((rounds, 1, 20, 20)) < 0.6
        works = np.stack([slots_of(neighbor, w & w.transpose(0, 2, 1)) for w in works]) if rounds else None
        joins = rng.random((1, 20)) < 0.7
        agreed = hierarchical(neighbor, clusters, value, rounds, joins=joins, works=works).value
        np.testing.assert_allclose(agreed.mean(axis=1), value.mean(axis=1), atol=1e-13)
        assert (agreed.max(axis=1) <= value.max(axis=1)).all()
        assert (agreed.min(axis=1) >= value.min(axis=1)).all()
    np.testing.assert_allclose(
        hierarchical(neighbor, clusters, value, 400).value, np.broadcast_to(value.mean(axis=1), value.shape), atol=1e-9
    )


def test_two_clusters_by_hand() -> None:
    """A path of 5: leaders 1 and 3 with 3 and 2 members; a = 2 / (1 + 1) = 1, which moves 1/3 and 1/2 of the gap."""
    neighbor = lists_of(path(5)[None])
    clusters = elect(neighbor, neighbor >= 0, np.ones((1, 5), np.bool_))
    assert clusters.leader[0].tolist() == [1, 1, 1, 3, 3]
    value = np.array([0.0, 1.0, 2.0, 10.0, 12.0])[None, :, None]
    agreed = hierarchical(neighbor, clusters, value, 1)
    np.testing.assert_allclose(agreed.value[0, :, 0], [1 + 10 / 3] * 3 + [11 - 10 / 2] * 2)
    assert agreed.hops[0] == 1 + 2 + 1  # the bridge 2 - 3 ends at leader 3
    assert agreed.messages[0] == 2 * 3 + 2 * 2  # three members, and two hops each way


def test_costs_count_the_hops() -> None:
    neighbor = lists_of(star(6)[None])
    clusters = elect(neighbor, neighbor >= 0, np.ones((1, 6), np.bool_))
    value = np.arange(6.0)[None, :, None]
    agreed = hierarchical(neighbor, clusters, value, 5)
    np.testing.assert_allclose(agreed.value, 2.5)
    assert (agreed.hops[0], agreed.messages[0]) == (2, 10)  # there are no other leaders


def test_a_round_among_leaders_contracts_without_leaving_the_range() -> None:
    rng = np.random.default_rng(3)
    _, neighbor = net(3, 40, 0.05)
    clusters = elect(neighbor, neighbor >= 0, np.ones((1, 40), np.bool_))
    value = rng.normal(size=(1, 40, 1))
    mean, size = np.empty_like(value), np.empty((1, 40))
    gather(clusters.leader, np.ones((1, 40), np.bool_), value, value, mean, size)
    heads = size[0] > 0
    spread = np.inf
    for _ in range(30):
        out = np.empty_like(mean)
        leader_round(neighbor, clusters.leader, clusters.bridge, size, mean, mean, out)
        np.testing.assert_allclose((size[..., None] * out).sum(), value.sum())
        assert np.ptp(out[0, heads]) <= min(spread, np.ptp(mean[0, heads]))
        spread, mean = np.ptp(out[0, heads]), out
    assert spread < 0.1 * np.ptp(value)


def test_a_lying_leader_is_believed_which_is_why_liars_need_trimming() -> None:
    neighbor = lists_of(path(5)[None])
    clusters = elect(neighbor, neighbor >= 0, np.ones((1, 5), np.bool_))
    value = np.array([0.0, 1.0, 2.0, 10.0, 12.0])[None, :, None]
    said = np.full((1, 5, 1), np.nan)
    said[0, 3] = 100.0
    agreed = hierarchical(neighbor, clusters, value, 1, said=said).value[0, :, 0]
    np.testing.assert_allclose(agreed[:3], 1 + 99 / 3)
    assert agreed[4] == 100.0
    said = np.full((1, 5, 1), np.nan)
    said[0, 4] = 100.0  # a member
    agreed = hierarchical(neighbor, clusters, value, 0, said=said).value[0, :, 0]
    np.testing.assert_allclose(agreed[[0, 1, 2, 3, 4]], [1, 1, 1, 55, 55])
