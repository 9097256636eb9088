"""Trimming keeps honest nodes within the honest values, for each kind of lie, up to the bound and not beyond it."""

from __future__ import annotations

import numpy as np
import pytest
from graphs import full, random_connected

from envs.consensus import (
    LIES,
    check_tolerance,
    heard_of,
    lists_of,
    most_liars,
    overheard,
    trimmed,
)

HONEST_BEGIN = (-1.0, 1.0)


def play(n: int, n_liars: int, f: int, kind: str, *, k: int | None = None, rounds: int = 60, seed: int = 0) -> tuple:
    """Honest values at the beginning and the end, (N - L,) each; nodes hear all others, or k random ones."""
    rng = np.random.default_rng(seed)
    neighbor = lists_of(full(n)[None])
    value = rng.uniform(*HONEST_BEGIN, (1, n, 1))
    first = value.copy()
    liar = np.arange(n)[None] < n_liars
    for counter in range(rounds):
        active = neighbor >= 0
        if k is not None:
            numbers = rng.random(neighbor.shape)
            active = np.argsort(np.argsort(numbers, axis=2), axis=2) < k  # each hears exactly k
        heard = overheard(kind, heard_of(neighbor, value), neighbor, liar, 5.0, counter, rng.random(neighbor.shape))
        value = trimmed(active, heard, value, f)
    return first[0, n_liars:, 0], value[0, n_liars:, 0]


def test_a_trimmed_mean_by_hand() -> None:
    """Own 2; heard 0, 1, 3, 9, 10. f = 1 drops 0 and 10; f = 2 drops 0, 1, 9, 10; f = 3 all of them."""
    heard = np.array([9.0, 0.0, 3.0, 10.0, 1.0, 77.0])[None, None, :, None]
    active = np.array([[[True, True, True, True, True, False]]])
    own = np.full((1, 1, 1), 2.0)
    found = [trimmed(active, heard, own, f).item() for f in range(4)]
    np.testing.assert_allclose(found, [25 / 6, 15 / 4, 5 / 2, 2.0])


def test_what_equals_ones_own_value_is_kept() -> None:
    heard = np.array([4.0, 4.0, 4.0, 8.0])[None, None, :, None]
    own = np.full((1, 1, 1), 4.0)
    assert trimmed(np.ones((1, 1, 4), np.bool_), heard, own, 1).item() == 4.0
    heard[0, 0, 2, 0] = 2.0
    assert trimmed(np.ones((1, 1, 4), np.bool_), heard, own, 1).item() == 4.0


def test_each_value_of_a_node_is_trimmed_alone() -> None:
    rng = np.random.default_rng(0)
    neighbor = lists_of(random_connected(rng, 14, 0.5)[None])
    value = rng.normal(size=(1, 14, 3))
    heard = rng.normal(size=(*neighbor.shape, 3))
    active = (neighbor >= 0) & (rng.random(neighbor.shape) < 0.8)
    together = trimmed(active, heard, value, 2)
    for v in range(3):
        alone = trimmed(active, heard[..., v : v + 1], value[..., v : v + 1], 2)
        np.testing.assert_array_equal(together[..., v : v + 1], alone)


def test_it_equals_the_sentence_of_the_paper_word_by_word() -> None:
    rng = np.random.default_rng(1)
    neighbor = lists_of(random_connected(rng, 20, 0.4)[None])
    value = np.round(rng.normal(size=(1, 20, 1)), 1)  # with ties
    heard = np.round(rng.normal(size=(*neighbor.shape, 1)), 1)
    active = neighbor >= 0
    for f in range(4):
        out = trimmed(active, heard, value, f)
        for i in range(20):
            own, said = value[0, i, 0], sorted(heard[0, i, active[0, i], 0])
            above, below = [x for x in said if x > own], [x for x in said if x < own]
            kept = [x for x in said if x == own] + above[: max(len(above) - f, 0)] + below[f:]
            np.testing.assert_allclose(out[0, i, 0], np.mean([own, *kept]), atol=1e-12)


@pytest.mark.parametrize("kind", LIES)
@pytest.mark.parametrize(("n", "f"), [(4, 1), (12, 3), (16, 5)])
def test_within_the_bound_honest_values_stay_in_their_hull_and_agree(kind: str, n: int, f: int) -> None:
    for seed in range(5):
        first, last = play(n, f, f, kind, seed=seed)
        assert first.min() <= last.min() <= last.max() <= first.max()
        assert np.ptp(last) < 1e-3 * np.ptp(first)


@pytest.mark.parametrize("kind", ["constant", "growing"])
def test_beyond_the_bound_liars_pull_honest_nodes_out(kind: str) -> None:
    """Of 12, with 4 liars where 3 are tolerated, and with no trimming at all."""
    for n_liars, f in ((4, 3), (1, 0)):
        first, last = play(12, n_liars, f, kind)
        assert last.max() > first.max() + 1


def test_three_random_neighbors_do_not_stand_two_liars_of_twelve() -> None:
    """Trimming one of three heard fails whenever both liars are among them; all 11 heard stand 3 liars."""
    for seed in range(10):
        first, last = play(12, 2, 1, "constant", k=3, seed=seed)
        assert last.max() > first.max()
        first, last = play(12, 3, 3, "constant", seed=seed)
        assert first.min() <= last.min() <= last.max() <= first.max()


def test_what_is_not_finite_counts_as_not_heard() -> None:
    heard = np.array([np.nan, np.inf, -np.inf, 1.0, 3.0])[None, None, :, None]
    own = np.full((1, 1, 1), 2.0)
    assert trimmed(np.ones((1, 1, 5), np.bool_), heard, own, 0).item() == 2.0
    assert np.isfinite(trimmed(np.ones((1, 1, 5), np.bool_), heard, own, 1)).all()


@pytest.mark.parametrize(("n_heard", "most"), [(0, 0), (1, 0), (3, 0), (4, 1), (6, 1), (7, 2), (11, 3)])
def test_the_bound(n_heard: int, most: int) -> None:
    assert most_liars(n_heard) == most
    check_tolerance(n_heard, most)
    with pytest.raises(ValueError, match=rf"tolerance: {most + 1} liars need {3 * most + 4} heard by each node"):
        check_tolerance(n_heard, most + 1)
    with pytest.raises(ValueError, match="tolerance: -1 is below 0"):
        check_tolerance(n_heard, -1)


def test_lies_come_from_liars_only_and_are_as_described() -> None:
    neighbor = lists_of(full(5)[None])
    honest = heard_of(neighbor, np.zeros((1, 5, 2)))
    liar = np.array([[False, False, True, False, False]])
    numbers = np.random.default_rng(2).random(neighbor.shape)
    said = {kind: overheard(kind, honest, neighbor, liar, 2.0, 3, numbers) for kind in LIES}
    for heard in said.values():
        assert not heard[neighbor != 2].any()
    np.testing.assert_array_equal(said["constant"][neighbor == 2], 2.0)
    np.testing.assert_array_equal(said["growing"][neighbor == 2], 8.0)
    np.testing.assert_allclose(said["split"][neighbor == 2][:, 0], [-2, -1, 1, 2])
    assert (np.abs(said["random"][neighbor == 2]) <= 2).all()
    assert len(np.unique(said["random"][neighbor == 2][:, 0])) == 4
    with pytest.raises(ValueError, match="kind of lie: 'loud' is none of constant"):
        overheard("loud", honest, neighbor, liar, 1.0, 0, numbers)
