"""Resilient consensus: honest nodes stay within their hull inside the bound, and not beyond it."""

from __future__ import annotations

import pytest
import torch
from consensus_graphs import full, generator, random_graph, spread, values
from torch import Tensor

from algos.consensus import LIES, calls, check_tolerance, drawn, most_liars, overheard, trimmed


def rounds(
    kind: str, n: int, liars: int, tolerance: int, *, k: int | None = None, seed: int = 0, count: int = 40
) -> tuple[Tensor, Tensor]:
    """Returns the honest nodes' values before, and after some rounds with liars, (1, N - F, V)."""
    value, numbers = values(n, seed), generator(100 + seed)
    liar = (torch.arange(n) < liars).unsqueeze(0)
    honest = value[:, liars:].clone()
    for counter in range(count):
        active = full(n) if k is None else calls(full(n), drawn(full(n).shape, numbers), k)
        noise = drawn(full(n).shape, numbers)
        heard = overheard(kind, value, liar, 50.0, counter, noise)
        value = torch.where(liar.unsqueeze(-1), value, trimmed(active, heard, value, tolerance))
    return honest, value[:, liars:]


def inside(before: Tensor, after: Tensor) -> bool:
    low, high = before.amin(-2, keepdim=True), before.amax(-2, keepdim=True)
    return bool(((after >= low - 1e-9) & (after <= high + 1e-9)).all())


@pytest.mark.parametrize("kind", LIES)
@pytest.mark.parametrize("n", [5, 12, 17])
def test_honest_values_stay_in_their_hull_and_agree_inside_the_bound(kind: str, n: int) -> None:
    tolerance = most_liars(n - 1)
    for seed in range(5):
        before, after = rounds(kind, n, tolerance, tolerance, seed=seed)
        assert inside(before, after)
        assert spread(after) < 1e-3 * spread(before)


@pytest.mark.parametrize("kind", ["constant", "growing", "split"])
def test_one_liar_too_many_breaks_it(kind: str) -> None:
    """All 11 others heard: 3 liars are held, and 4 with a tolerance of 3 take the honest nodes along."""
    assert inside(*rounds(kind, 12, 3, 3))
    assert not inside(*rounds(kind, 12, 4, 3))


def test_few_random_neighbours_do_not_stand_what_all_others_stand() -> None:
    """Three random calls with one of them trimmed break with 2 liars of 12 in every run; all 11 heard hold 3."""
    assert all(not inside(*rounds("constant", 12, 2, 1, k=3, seed=seed)) for seed in range(10))
    assert all(inside(*rounds("constant", 12, 3, 3, seed=seed)) for seed in range(10))


@pytest.mark.parametrize("seed", range(20))
def test_the_hull_holds_on_random_graphs_wherever_no_node_hears_too_many_liars(seed: int) -> None:
    n, tolerance = 8 + seed, 1 + seed % 2
    graph, numbers = random_graph(n, 0.6, seed), generator(seed)
    liar = torch.zeros(1, n, dtype=torch.bool)
    liar[0, torch.randperm(n, generator=numbers)[:tolerance]] = True
    value = values(n, seed)
    low, high = value[~liar].amin(0), value[~liar].amax(0)
    for counter in range(20):
        kind = LIES[(seed + counter) % len(LIES)]
        heard = overheard(kind, value, liar, 9.0, counter, drawn(graph.shape, numbers))
        value = torch.where(liar.unsqueeze(-1), value, trimmed(graph, heard, value, tolerance))
        assert (value[~liar] >= low - 1e-9).all()
        assert (value[~liar] <= high + 1e-9).all()


def test_a_round_is_that_of_the_paper() -> None:
    """Own value 0; of 5, 3, 1 above it the highest goes, and so does the only one below."""
    value = torch.tensor([[[0.0], [5.0], [3.0], [1.0], [-2.0]]])
    after = trimmed(full(5), value, value, 1)
    assert float(after[0, 0, 0]) == pytest.approx((0 + 3 + 1) / 3)
    # Own value 5, the highest: none above it; of the four below it the lowest goes.
    assert float(after[0, 1, 0]) == pytest.approx((5 + 3 + 1 + 0) / 4)
    # Own value -2, the lowest: of the four above it the highest goes, and nothing of what is not there below it.
    assert float(after[0, 4, 0]) == pytest.approx((-2 + 3 + 1 + 0) / 4)
    without = trimmed(full(5), value, value, 0)
    torch.testing.assert_close(without, value.mean(-2, keepdim=True).expand_as(value))


@pytest.mark.parametrize("nonsense", [float("nan"), float("inf"), -float("inf")])
def test_what_is_not_finite_is_not_heard(nonsense: float) -> None:
    value = values(6, 1)
    heard = value.unsqueeze(1).expand(-1, 6, -1, -1).clone()
    heard[:, :, 2] = nonsense
    active = full(6).clone()
    active[:, :, 2] = False
    torch.testing.assert_close(trimmed(full(6), heard, value, 1)[:, 3], trimmed(active, value, value, 1)[:, 3])


def test_many_values_are_sorted_in_parts_without_any_effect(monkeypatch: pytest.MonkeyPatch) -> None:
    value = values(7, 2, width=40)
    whole = trimmed(full(7), value, value, 2)
    monkeypatch.setattr("algos.consensus.robust.BLOCK", 7 * 7 * 3)
    torch.testing.assert_close(trimmed(full(7), value, value, 2), whole)


def test_a_tolerance_that_does_not_hold_is_refused_with_the_bound() -> None:
    check_tolerance(11, 3)
    with pytest.raises(ValueError, match=r"tolerance: 4 liars need 13 heard .*11 are heard, which stand 3"):
        check_tolerance(11, 4)
    with pytest.raises(ValueError, match=r"tolerance: 1 liars need 4 heard .*3 are heard, which stand 0"):
        check_tolerance(3, 1)
    with pytest.raises(ValueError, match="kind of lie: 'white' is none of constant"):
        overheard("white", values(3, 0), torch.ones(1, 3, dtype=torch.bool), 1.0, 0, full(3).double())
