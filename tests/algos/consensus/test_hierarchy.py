"""Hierarchical consensus: leaders are elected and replaced, and the mean over nodes is kept."""

from __future__ import annotations

import pytest
import torch
from consensus_graphs import full, generator, grid, random_graph, ring, spread, values

from algos.consensus import NOBODY, elect, hierarchical


def elected_one_by_one(linked: torch.Tensor, alive: torch.Tensor) -> list[int]:
    """The same election as it is described: node after node, by degree, then by index."""
    n = len(alive)
    linked = linked & alive & alive.unsqueeze(-1)
    degree, leader = linked.sum(-1).tolist(), [NOBODY] * n
    for i in sorted(range(n), key=lambda node: (-degree[node], node)):
        if bool(alive[i]) and leader[i] == NOBODY:
            leader[i] = i
            for j in range(n):
                if bool(linked[i, j]) and leader[j] == NOBODY:
                    leader[j] = i
    return leader


@pytest.mark.parametrize("seed", range(20))
def test_every_live_node_leads_or_has_a_leader_beside_it(seed: int) -> None:
    n = 5 + 2 * seed
    graph = random_graph(n, 3.0 / n, seed, connected=seed % 2 == 0)
    alive = (torch.rand(1, n, generator=generator(seed)) < 0.85) | (torch.arange(n) == 0)
    clusters = elect(graph, alive)
    assert clusters.leader[0].tolist() == elected_one_by_one(graph[0], alive[0])
    for i, c in enumerate(clusters.leader[0].tolist()):
        assert (c == NOBODY) == (not bool(alive[0, i]))
        if c not in (NOBODY, i):
            assert bool(graph[0, i, c])
            assert clusters.leader[0, c] == c
    leads = (clusters.leader[0] == torch.arange(n)).nonzero().flatten()
    assert not graph[0][leads][:, leads].any()


@pytest.mark.parametrize("seed", range(0, 20, 2))
def test_one_bridge_joins_each_two_clusters_that_touch(seed: int) -> None:
    n = 8 + seed
    graph, alive = random_graph(n, 0.2, seed), torch.ones(1, n, dtype=torch.bool)
    leader, bridge = elect(graph, alive)
    assert torch.equal(bridge, bridge.mT)
    assert not (bridge & ~graph).any()
    pairs = [sorted((int(leader[0, i]), int(leader[0, j]))) for i, j in bridge[0].triu().nonzero().tolist()]
    touching = {
        tuple(sorted((int(leader[0, i]), int(leader[0, j]))))
        for i, j in graph[0].nonzero().tolist()
        if leader[0, i] != leader[0, j]
    }
    assert sorted(map(tuple, pairs)) == sorted(touching)

    def hops(i: int, j: int) -> int:
        return 1 + int(leader[0, i] != i) + int(leader[0, j] != j)

    for i, j in bridge[0].nonzero().tolist():
        between = (leader[0] == leader[0, i]).unsqueeze(-1) & (leader[0] == leader[0, j]) & graph[0]
        assert hops(i, j) == min(hops(*link) for link in between.nonzero().tolist())


def test_a_cluster_moves_by_the_smaller_size_over_its_own() -> None:
    """Leaders 0, of nodes 0 to 4, and 5, of nodes 5 and 6; the bridge is 1-5 or 2-6, of which 1-5 has fewer hops."""
    graph = torch.zeros(1, 7, 7, dtype=torch.bool)
    for i, j in ((0, 1), (0, 2), (0, 3), (0, 4), (5, 6), (1, 5), (2, 6), (1, 2)):
        graph[0, i, j] = graph[0, j, i] = True
    clusters = elect(graph, torch.ones(1, 7, dtype=torch.bool))
    assert clusters.leader[0].tolist() == [0, 0, 0, 0, 0, 5, 5]
    assert clusters.bridge[0].triu().nonzero().tolist() == [[1, 5]]
    value = torch.tensor([[[1.0]] * 5 + [[8.0]] * 2]).double()
    agreed = hierarchical(clusters, value, 1).value[0, :, 0]
    torch.testing.assert_close(agreed, torch.tensor([1 + 7 * 2 / 2 / 5] * 5 + [8 - 7 * 2 / 2 / 2] * 2).double())


def test_a_leader_that_fails_is_replaced() -> None:
    star = torch.zeros(1, 6, 6, dtype=torch.bool)
    star[0, 0, 1:] = star[0, 1:, 0] = True
    star[0, 1, 2:5] = star[0, 2:5, 1] = True
    alive = torch.ones(1, 6, dtype=torch.bool)
    assert elect(star, alive).leader[0].tolist() == [0] * 6
    alive[0, 0] = False
    assert elect(star, alive).leader[0].tolist() == [NOBODY, 1, 1, 1, 1, 5]


@pytest.mark.parametrize("seed", range(0, 15, 2))
def test_the_mean_over_nodes_is_kept_and_reached(seed: int) -> None:
    n = 6 + 3 * seed
    graph, alive = random_graph(n, 2.5 / n, seed), torch.ones(1, n, dtype=torch.bool)
    clusters, value = elect(graph, alive), values(n, seed)
    mean = value.mean(-2, keepdim=True)
    few = hierarchical(clusters, value, 2).value
    torch.testing.assert_close(few.mean(-2, keepdim=True), mean, rtol=0, atol=1e-9)
    assert spread(few) < spread(value)
    many = hierarchical(clusters, value, 600).value
    torch.testing.assert_close(many, mean.expand_as(value), rtol=0, atol=1e-6)


def test_the_mean_is_kept_where_exchanges_fail() -> None:
    graph, alive = random_graph(20, 0.15, 3), torch.ones(1, 20, dtype=torch.bool)
    value, drawn = values(20, 4), generator(5)
    mean = value.mean(-2)
    for _ in range(60):
        joins = torch.rand(1, 20, generator=drawn) < 0.6
        works = torch.rand(3, 1, 20, 20, generator=drawn).triu(1) < 0.6
        works = works.triu(1) | works.triu(1).mT
        value = hierarchical(elect(graph, alive), value, 3, joins=joins, works=works).value
        torch.testing.assert_close(value.mean(-2), mean, rtol=0, atol=1e-9)
    assert spread(value) < 0.05


def test_costs_are_counted_by_hops() -> None:
    """A ring of 6: leaders 0 and 2 and 4, which follow none; 1, 3 and 5 follow 0, 2 and 0."""
    alive = torch.ones(1, 6, dtype=torch.bool)
    clusters = elect(ring(6), alive)
    assert clusters.leader[0].tolist() == [0, 0, 2, 2, 4, 0]
    agreed = hierarchical(clusters, values(6, 0), 4)
    # Bridges: 1-2 (from 0 over 1, 2 hops), 5-4 (2 hops), 3-4 (from 2 over 3, 2 hops), each in both directions.
    assert agreed.hops.tolist() == [2 + 4 * 2]
    assert agreed.messages.tolist() == [2 * 3 + 4 * 2 * (2 + 2 + 2)]
    one = hierarchical(elect(full(5), torch.ones(1, 5, dtype=torch.bool)), values(5, 0), 4)
    assert (one.hops.tolist(), one.messages.tolist()) == ([2], [8])


def test_a_batch_is_as_each_world_alone() -> None:
    graphs = torch.cat([random_graph(12, 0.2, 1), grid(3, 4), ring(12)])
    alive = torch.rand(3, 12, generator=generator(2)) < 0.9
    value = values(12, 3, worlds=3)
    together = hierarchical(elect(graphs, alive), value, 3)
    for b in range(3):
        alone = hierarchical(elect(graphs[b : b + 1], alive[b : b + 1]), value[b : b + 1], 3)
        torch.testing.assert_close(alone.value[0], together.value[b])
        assert (alone.hops[0], alone.messages[0]) == (together.hops[b], together.messages[b])


def test_what_a_liar_says_goes_to_its_cluster() -> None:
    """A leader that lies spoils all: hierarchical consensus stands no liars."""
    alive, value = torch.ones(1, 5, dtype=torch.bool), values(5, 6)
    said = torch.full_like(value, torch.nan)
    said[0, 0] = 100.0
    agreed = hierarchical(elect(full(5), alive), value, 1, said=said).value
    assert (agreed[0, 1:] == 100.0).all()
    torch.testing.assert_close(agreed[0, 0], value[0].mean(0))
