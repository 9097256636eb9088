"""Gossip keeps the mean, contracts as its eigenvalues say, and heals after a partition."""

from __future__ import annotations

import numpy as np
import pytest
from graphs import full, grid, path, random_connected, ring, star

from envs.consensus import (
    agree,
    averaged,
    back_of,
    calls,
    contraction,
    dense_of,
    heard_of,
    lists_of,
    metropolis,
    pairs,
    slots_of,
)
from envs.consensus.chance import link_uniform, uniform
from envs.consensus.gossip import held_round

GRAPHS = {
    "ring": ring(9),
    "path": path(7),
    "grid": grid(4),
    "full": full(6),
    "star": star(8),
    **{f"random {seed}": random_connected(np.random.default_rng(seed), 5 + 4 * seed) for seed in range(6)},
}


def symmetric_mask(rng: np.random.Generator, neighbor: np.ndarray, share: float) -> np.ndarray:
    """A random mask of links, the same at both ends."""
    n_worlds, n_nodes, _ = neighbor.shape
    upper = np.triu(rng.random((n_worlds, n_nodes, n_nodes)) < share, 1)
    return slots_of(neighbor, upper | upper.transpose(0, 2, 1)) & (neighbor >= 0)


def test_lists_hold_the_neighbours_in_order_and_find_the_way_back() -> None:
    adjacency = np.stack([random_connected(np.random.default_rng(seed), 11) for seed in range(3)])
    neighbor = lists_of(adjacency)
    back = back_of(neighbor)
    for b in range(3):
        for i in range(11):
            found = [j for j in neighbor[b, i].tolist() if j >= 0]
            assert found == np.nonzero(adjacency[b, i])[0].tolist()
            assert (neighbor[b, i, len(found) :] == -1).all()
            for d, j in enumerate(found):
                assert neighbor[b, j, back[b, i, d]] == i
    np.testing.assert_array_equal(dense_of(neighbor, neighbor >= 0), adjacency)


def test_lists_refuse_one_way_links_and_too_few_slots() -> None:
    one_way = np.zeros((1, 3, 3), np.bool_)
    one_way[0, 0, 1] = True
    with pytest.raises(ValueError, match="adjacency: it is not symmetric"):
        lists_of(one_way)
    with pytest.raises(ValueError, match="n_slots: 2 are fewer than the 3"):
        lists_of(full(4)[None], 2)
    with pytest.raises(ValueError, match=r"must be \(B, N, N\)"):
        lists_of(full(4))


def test_weights_of_a_path() -> None:
    """The middle node has two exchanges, so each link has 1/3."""
    neighbor = lists_of(path(3)[None])
    np.testing.assert_allclose(
        dense_of(neighbor, metropolis(neighbor, neighbor >= 0))[0], np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]]) / 3
    )


@pytest.mark.parametrize("n", [5, 8, 13])
def test_contraction_has_its_closed_form(n: int) -> None:
    """Ring: (1 + 2 cos(2 pi k / N)) / 3. All to all: 0. Star: 1 - 1/N, the leaves' own weight."""
    around = (1 + 2 * np.cos(2 * np.pi * np.arange(1, n) / n)) / 3
    for graph, expected in ((ring(n), np.abs(around).max()), (full(n), 0.0), (star(n), 1 - 1 / n)):
        neighbor = lists_of(graph[None])
        np.testing.assert_allclose(contraction(neighbor, metropolis(neighbor, neighbor >= 0)), expected, atol=1e-12)


@pytest.mark.parametrize("name", GRAPHS)
def test_a_round_contracts_at_least_by_the_eigenvalue(name: str) -> None:
    neighbor = lists_of(GRAPHS[name][None])
    most = contraction(neighbor, metropolis(neighbor, neighbor >= 0))[0]
    value = np.random.default_rng(1).normal(size=(1, neighbor.shape[1], 3))
    for _ in range(5):
        after = agree(neighbor, neighbor >= 0, value)
        before, now = (np.linalg.norm(x - x.mean(axis=1, keepdims=True), axis=1) for x in (value, after))
        assert (now <= most * before * (1 + 1e-9) + 1e-12).all()
        value = after
    dense = dense_of(neighbor, metropolis(neighbor, neighbor >= 0))[0]
    np.fill_diagonal(dense, 1 - dense.sum(axis=1))
    worst = np.linalg.eigh(dense - 1 / len(dense))  # the slowest direction shrinks by exactly that
    slowest = worst.eigenvectors[:, np.abs(worst.eigenvalues).argmax()][None, :, None]
    slowest = slowest - slowest.mean()  # where all shrink at once, it may be the mean itself
    now = np.linalg.norm(agree(neighbor, neighbor >= 0, slowest))
    np.testing.assert_allclose(now, most * np.linalg.norm(slowest), atol=1e-9)


@pytest.mark.parametrize("name", GRAPHS)
def test_the_mean_is_kept_whatever_exchanges_take_place(name: str) -> None:
    rng = np.random.default_rng(2)
    neighbor = lists_of(np.stack([GRAPHS[name]] * 3))
    value = rng.normal(1e3, 10, (3, neighbor.shape[1], 4))
    now = value
    for _ in range(30):
        active = symmetric_mask(rng, neighbor, 0.5)
        now = averaged(neighbor, active, heard_of(neighbor, now), now, now)
    np.testing.assert_allclose(now.mean(axis=1), value.mean(axis=1), rtol=1e-13)
    assert (now.max(axis=1) <= value.max(axis=1)).all()
    assert (now.min(axis=1) >= value.min(axis=1)).all()
    assert now.var(axis=1).max() < value.var(axis=1).max()


def test_a_round_is_the_product_with_the_matrix_of_weights() -> None:
    rng = np.random.default_rng(3)
    neighbor = lists_of(np.stack([random_connected(rng, 10) for _ in range(2)]))
    active = symmetric_mask(rng, neighbor, 0.7)
    value = rng.normal(size=(2, 10, 3))
    linked = dense_of(neighbor, active)
    degree = linked.sum(axis=2)
    weights = linked / (1 + np.maximum(degree[:, :, None], degree[:, None]))
    weights[:, np.arange(10), np.arange(10)] = 1 - weights.sum(axis=2)
    np.testing.assert_allclose(averaged(neighbor, active, heard_of(neighbor, value), value, value), weights @ value)


def test_the_mean_is_kept_where_nodes_hold_what_was_said_last() -> None:
    """Each says something new in two thirds of the rounds only; what is held much longer would make them swing."""
    rng = np.random.default_rng(4)
    neighbor = lists_of(ring(12)[None])
    value = rng.normal(size=(1, 12, 2))
    now, said = value, value
    for _ in range(400):
        now = averaged(neighbor, neighbor >= 0, heard_of(neighbor, said), said, now)
        said = np.where(rng.random((1, 12, 1)) < 2 / 3, now, said)
    np.testing.assert_allclose(now.mean(axis=1), value.mean(axis=1), atol=1e-12)
    assert now.std(axis=1).max() < 0.01 * value.std(axis=1).min()


def test_the_mean_is_kept_where_single_messages_are_lost() -> None:
    """Each end of a link holds what it heard last; a loss on one side does not bias the mean, as one-sided pulls do."""
    rng = np.random.default_rng(5)
    neighbor = lists_of(random_connected(rng, 12, 0.4)[None])
    back, weight = back_of(neighbor), metropolis(neighbor, neighbor >= 0)
    value = rng.normal(size=(1, 12, 2))
    now, heard = value, np.zeros((*neighbor.shape, 2))
    for _ in range(300):
        heard = np.where(rng.random((*neighbor.shape, 1)) < 0.5, heard_of(neighbor, now), heard)
        out = np.empty_like(now)
        held_round(neighbor, back, weight, heard, now, out)
        now = out
    np.testing.assert_allclose(now.mean(axis=1), value.mean(axis=1), atol=1e-12)
    assert now.std(axis=1).max() < 1e-3 * value.std(axis=1).min()


def test_a_partition_heals() -> None:
    """Both sides agree on their own means while the network is cut, and on that of all afterwards."""
    rng = np.random.default_rng(6)
    neighbor = lists_of(grid(4)[None])
    value = rng.normal(size=(1, 16, 1))
    left = np.arange(16) < 8
    across = left[:, None] != left
    cut = (neighbor >= 0) & ~slots_of(neighbor, across[None])
    apart = agree(neighbor, cut, value, 400)
    for side in (left, ~left):
        np.testing.assert_allclose(apart[0, side], value[0, side].mean(), atol=1e-9)
    np.testing.assert_allclose(agree(neighbor, neighbor >= 0, apart, 400), value.mean(), atol=1e-9)


def test_nodes_that_leave_and_join_are_counted_out_and_in() -> None:
    """One that leaves takes its present value with it; one that joins brings its own."""
    rng = np.random.default_rng(7)
    neighbor = lists_of(full(6)[None])
    value = rng.normal(size=(1, 6, 1))
    here = np.array([True, True, True, True, False, True])
    without = (neighbor >= 0) & slots_of(neighbor, (here[:, None] & here)[None])
    now = agree(neighbor, without, value, 60)
    np.testing.assert_allclose(now[0, here], value[0, here].mean(), atol=1e-9)
    assert now[0, 4] == value[0, 4]
    np.testing.assert_allclose(agree(neighbor, neighbor >= 0, now, 60), value.mean(), atol=1e-9)


def test_calls_reach_at_least_k_and_are_the_same_at_both_ends() -> None:
    neighbor = lists_of(np.stack([full(12), full(12)]))
    back = back_of(neighbor)
    numbers = np.random.default_rng(8).random(neighbor.shape)
    active = calls(neighbor, back, neighbor >= 0, numbers, 3)
    dense = dense_of(neighbor, active)
    assert (dense == dense.transpose(0, 2, 1)).all()
    assert (dense.sum(axis=2) >= 3).all()
    called = slots_of(neighbor, dense) & (np.argsort(np.argsort(numbers, axis=2), axis=2) < 3)
    assert (called.sum(axis=2) == 3).all()
    assert (dense_of(neighbor, called) | dense_of(neighbor, called).transpose(0, 2, 1) == dense).all()
    with pytest.raises(ValueError, match="k: 0 is below 1"):
        calls(neighbor, back, neighbor >= 0, numbers, 0)


def test_calls_keep_to_what_is_available() -> None:
    rng = np.random.default_rng(9)
    neighbor = lists_of(random_connected(rng, 15, 0.4)[None])
    available = symmetric_mask(rng, neighbor, 0.5)
    active = calls(neighbor, back_of(neighbor), available, rng.random(neighbor.shape), 2)
    assert not (active & ~available).any()
    assert (active.sum(axis=2) >= np.minimum(available.sum(axis=2), 2)).all()


def test_three_random_neighbours_of_twelve_quarter_the_variance() -> None:
    """The mean factor over 2,000 draws; the issue's bar is 0.25."""
    n_worlds = 2000
    neighbor = np.repeat(lists_of(full(12)[None]), n_worlds, axis=0)
    rng = np.random.default_rng(10)
    value = rng.normal(size=(n_worlds, 12, 1))
    active = calls(neighbor, back_of(neighbor), neighbor >= 0, rng.random(neighbor.shape), 3)
    after = averaged(neighbor, active, heard_of(neighbor, value), value, value)
    factor = (after.var(axis=1) / value.var(axis=1)).mean()
    assert 0.1 < factor < 0.25


def test_pairs_are_disjoint_and_as_likely_as_stated() -> None:
    """On a path of 4 the links' ends have 1 + 2, 2 + 2 and 2 + 1 links: they pair up with 1/2, 1/3 and 1/2."""
    n_worlds = 20_000
    neighbor = np.repeat(lists_of(path(4)[None]), n_worlds, axis=0)
    key = np.random.default_rng(11).integers(2**64, size=n_worlds, dtype=np.uint64)
    active = pairs(neighbor, neighbor >= 0, link_uniform(key, 0, 1, neighbor, both_ways=True))
    dense = dense_of(neighbor, active)
    assert (dense == dense.transpose(0, 2, 1)).all()
    assert (dense.sum(axis=2) <= 1).all()
    found = dense.mean(axis=0)[[0, 1, 2], [1, 2, 3]]
    np.testing.assert_allclose(found, [1 / 2, 1 / 3, 1 / 2], atol=0.02)


def test_numbers_depend_on_key_round_stream_and_link_alone() -> None:
    neighbor = lists_of(np.stack([ring(5), ring(5)]))
    key = np.array([7, 2**63 + 9], np.uint64)
    numbers = link_uniform(key, np.array([3, 4]), 2, neighbor, both_ways=False)
    for b in range(2):
        link = np.arange(5)[:, None] * 5 + neighbor[b]
        np.testing.assert_array_equal(numbers[b], uniform(int(key[b]), 3 + b, 2, link))
    both = dense_of(neighbor, link_uniform(key, 3, 2, neighbor, both_ways=True))
    np.testing.assert_array_equal(both, both.transpose(0, 2, 1))
    assert len(np.unique(numbers)) == numbers.size


def test_numbers_are_those_of_splitmix64() -> None:
    """The generator's published first outputs of seed 0, which the mixing of a counter has to give."""
    from envs.consensus.chance import mixed

    golden = 0x9E3779B97F4A7C15
    first = [int(mixed(np.uint64(golden * n % 2**64))) for n in (1, 2, 3)]
    assert first == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]


def test_numbers_are_uniform() -> None:
    numbers = uniform(5, 1, 1, np.arange(100_000))
    assert abs(numbers.mean() - 0.5) < 0.005
    assert abs(numbers.var() - 1 / 12) < 0.002
    assert abs(np.corrcoef(numbers[1:], numbers[:-1])[0, 1]) < 0.01
