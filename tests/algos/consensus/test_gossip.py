"""Gossip keeps the mean, and contracts as fast as the eigenvalues say."""

from __future__ import annotations

import math

import pytest
import torch
from consensus_graphs import full, generator, grid, random_graph, ring, spread, values

from algos.consensus import agree, averaged, both_ways, calls, contraction, drawn, first_speaking, metropolis, pairs
from algos.consensus import speaks as decides

GRAPHS = {
    "ring": ring(12),
    "grid": grid(3, 4),
    "full": full(12),
    **{f"random {seed}": random_graph(12, 0.3, seed) for seed in range(4)},
}


@pytest.mark.parametrize("name", GRAPHS)
def test_weights_are_those_of_metropolis(name: str) -> None:
    active = GRAPHS[name]
    weight, degree = metropolis(active)[0], active[0].sum(-1)
    for i in range(12):
        for j in range(12):
            expected = 1.0 / (1 + max(int(degree[i]), int(degree[j]))) if active[0, i, j] else 0.0
            assert float(weight[i, j]) == pytest.approx(expected, abs=1e-15)


def test_contraction_is_the_closed_form_of_ring_and_full_graph() -> None:
    """Ring: W = (1 + 2 cos(2 pi k / N)) / 3; full: all are at the mean after a round."""
    assert float(contraction(metropolis(ring(12)))) == pytest.approx((1 + 2 * math.cos(2 * math.pi / 12)) / 3)
    assert float(contraction(metropolis(full(12)))) == pytest.approx(0.0, abs=1e-12)
    apart = torch.block_diag(ring(4)[0].double(), ring(5)[0].double()).bool().unsqueeze(0)
    assert float(contraction(metropolis(apart))) == pytest.approx(1.0)


@pytest.mark.parametrize("name", GRAPHS)
def test_the_mean_is_kept_and_contraction_is_that_of_the_eigenvalue(name: str) -> None:
    active = GRAPHS[name]
    weight = metropolis(active)
    # An independent computation: numpy's general eigenvalues of I - diag(sum) + W, sorted by modulus.
    whole = weight[0] + torch.diag(1 - weight[0].sum(-1))
    moduli = torch.linalg.eigvals(whole).abs().sort(descending=True).values
    bound = float(contraction(weight))
    assert bound == pytest.approx(float(moduli[1]), abs=1e-9)
    value = values(12, 1)
    mean = value.mean(-2)
    before = spread(value)
    for number in range(1, 40):
        value = agree(value, active)
        assert spread(value) <= before * bound**number + 1e-9
        torch.testing.assert_close(value.mean(-2), mean, rtol=0, atol=1e-6)
    if name != "full":  # the slowest part is all that is left, and shrinks by the eigenvalue itself
        late = spread(value)
        if late > 1e-6:
            assert spread(agree(value, active)) / late == pytest.approx(bound, rel=0.02)


def test_a_round_of_calls_shrinks_the_variance_to_less_than_a_quarter() -> None:
    """12 nodes, 3 calls each: to 0.121 times what it was in the mean, and to more than 0.25 in 4 % of draws."""
    value = values(12, 2, worlds=400, width=1)
    active = calls(full(12).expand(400, -1, -1), drawn(torch.Size((400, 12, 12)), generator(3)), 3)
    assert (active.sum(-1) >= 3).all()
    after = averaged(value, value, value, metropolis(active))
    torch.testing.assert_close(after.mean(-2), value.mean(-2), rtol=0, atol=1e-12)
    factor = after.var(-2, correction=0) / value.var(-2, correction=0)  # (B, 1)
    assert float(factor.mean()) == pytest.approx(0.121, abs=0.01)
    assert float((factor <= 0.25).double().mean()) > 0.93


def test_calls_are_symmetric_and_only_where_they_are_possible() -> None:
    available = random_graph(20, 0.3, 4)
    active = calls(available, drawn(available.shape, generator(5)), 2)
    assert torch.equal(active, active.mT)
    assert not (active & ~available).any()
    assert (active.sum(-1) >= available.sum(-1).clamp(max=2)).all()
    with pytest.raises(ValueError, match="k: 0 is below 1"):
        calls(available, drawn(available.shape, generator(5)), 0)


def test_pairs_take_each_node_at_most_once_as_often_as_they_should() -> None:
    """On a ring a link is chosen with chance 1 / (2 + 2 - 1)."""
    available = ring(10).expand(3000, -1, -1)
    active = pairs(available, both_ways(drawn(available.shape, generator(6))))
    assert torch.equal(active, active.mT)
    assert int(active.sum(-1).max()) == 1
    assert not (active & ~available).any()
    assert float(active.double().mean() * 10 / 2) == pytest.approx(1 / 3, abs=0.01)
    value = values(10, 7, worlds=3000)
    after = averaged(value, value, value, metropolis(active))
    world, i, j = active[:50].nonzero(as_tuple=True)
    torch.testing.assert_close(after[world, i], (value[world, i] + value[world, j]) / 2)


def test_one_sided_pulls_would_drift_and_are_refused() -> None:
    one_sided = torch.ones(1, 4, 4, dtype=torch.bool).triu(1)
    with pytest.raises(ValueError, match="it is not symmetric, so the mean would drift"):
        metropolis(one_sided)


@pytest.mark.parametrize("seed", range(0, 20, 2))
def test_random_exchanges_keep_the_mean_and_the_hull(seed: int) -> None:
    n = 2 + seed
    value, available = values(n, seed), random_graph(n, 0.4, seed, connected=False)
    mean, low, high = value.mean(-2), value.amin(-2), value.amax(-2)
    numbers = generator(100 + seed)
    for _ in range(30):
        active = calls(available, drawn(available.shape, numbers), 1 + seed % 3)
        before = spread(value)
        value = averaged(value, value, value, metropolis(active))
        torch.testing.assert_close(value.mean(-2), mean, rtol=0, atol=1e-6)
        assert spread(value) <= before + 1e-12
        assert (value >= low - 1e-12).all()
        assert (value <= high + 1e-12).all()


def test_a_partition_heals() -> None:
    """After the cut both sides are at their own means; after it all are at the joint one, and nothing is lost."""
    value, whole = values(10, 8), full(10)
    cut = whole.clone()
    cut[:, :4, 4:] = cut[:, 4:, :4] = False
    mean, left = value.mean(-2), value[:, :4].mean(-2)
    apart = agree(value, cut, 30)
    torch.testing.assert_close(apart[:, :4], left.unsqueeze(-2).expand(-1, 4, -1), rtol=0, atol=1e-9)
    assert spread(apart) > 0.1
    healed = agree(apart, whole, 30)
    torch.testing.assert_close(healed, mean.unsqueeze(-2).expand(-1, 10, -1), rtol=0, atol=1e-9)


def test_nodes_that_join_and_leave_are_counted_in_and_out() -> None:
    """The mean over those that take part is kept: a leaver takes its present value along, a newcomer brings its own."""
    value, here = values(6, 9), torch.tensor([True] * 5 + [False])
    active = full(6) & here & here.unsqueeze(-1)
    later = agree(value, active, 40)
    torch.testing.assert_close(later[:, :5], value[:, :5].mean(-2, keepdim=True).expand(-1, 5, -1))
    assert torch.equal(later[:, 5], value[:, 5])
    joined = agree(later, full(6), 40)
    torch.testing.assert_close(joined, value.mean(-2, keepdim=True).expand(-1, 6, -1))


def test_what_was_said_earlier_keeps_the_mean_and_nodes_come_to_agree() -> None:
    """Nodes speak only when they have moved; others go on with what they said last."""
    value, weight = values(12, 10), metropolis(random_graph(12, 0.4, 11))
    mean, state, spoken = value.mean(-2), first_speaking(value), 0
    for _ in range(200):
        now, state = decides(state, value, tolerance=1e-2)
        spoken += int(now.sum())
        value = averaged(state.said, state.said, value, weight)
        torch.testing.assert_close(value.mean(-2), mean, rtol=0, atol=1e-9)
    assert (value - mean.unsqueeze(-2)).abs().max() < 1e-2
    assert spoken < 0.5 * 200 * 12


def test_a_node_that_moves_speaks_and_one_that_stands_still_is_silent() -> None:
    value = torch.zeros(1, 3, 1, dtype=torch.float64)
    state, told = first_speaking(value), []
    for step in range(40):
        value = torch.tensor([[[0.1 * step], [0.0], [step]]], dtype=torch.float64)
        now, state = decides(state, value, tolerance=0.35, least=2, longest=30)
        told.append(now[0])
    moving, still, fast = torch.stack(told).T
    assert int(moving.sum()) in range(9, 14)
    assert fast.nonzero().flatten().tolist() == list(range(1, 40, 2))
    assert still.nonzero().flatten().tolist() == [29]
    with pytest.raises(ValueError, match="tolerance: 0 is not above 0"):
        decides(state, value, tolerance=0)


def test_what_is_not_heard_may_be_anything() -> None:
    value, weight = values(5, 12), metropolis(ring(5))
    heard = value.unsqueeze(1).expand(-1, 5, -1, -1).masked_fill(~ring(5).unsqueeze(-1), torch.nan)
    torch.testing.assert_close(averaged(heard, value, value, weight), averaged(value, value, value, weight))
