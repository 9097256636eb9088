"""Push-sum reaches the mean over links that are one-way, and lose and delay messages."""

from __future__ import annotations

import pytest
import torch
from consensus_graphs import full, generator, random_graph, spread, values

from algos.comm.config import ChannelConfig
from algos.consensus import Exchange, PushSum, estimate, first_push_sum, pushed, received
from algos.consensus.weights import apart


def in_all(state: PushSum, hears: torch.Tensor) -> torch.Tensor:
    """All that nodes hold and that is on its way, (B, V + 1)."""
    way = (state.given.unsqueeze(1) - state.taken) * apart(hears).unsqueeze(-1)
    return state.held.sum(1) + way.sum((1, 2))


@pytest.mark.parametrize("seed", range(0, 10, 2))
def test_nothing_is_lost_and_all_reach_the_mean_over_one_way_links_that_lose_half(seed: int) -> None:
    n, drawn = 4 + seed, generator(seed)
    one_way = torch.roll(torch.eye(n, dtype=torch.bool), 1, 0).unsqueeze(0)  # a ring
    hears = one_way | (torch.rand(1, n, n, generator=drawn) < 0.2)
    value = values(n, seed)
    state = first_push_sum(value)
    whole = in_all(state, hears)
    for _ in range(400):
        state = pushed(hears, state)
        arrived = hears & (torch.rand(1, n, n, generator=drawn) < 0.5)
        state = received(arrived, state.given.unsqueeze(1).expand(-1, n, -1, -1), state)
        torch.testing.assert_close(in_all(state, hears), whole, rtol=0, atol=1e-9)
    mean = value.mean(1, keepdim=True).expand_as(value)
    torch.testing.assert_close(estimate(state), mean, rtol=0, atol=1e-6)


def test_a_round_gives_equal_shares_to_those_that_hear() -> None:
    """Two nodes; the second hears the first only."""
    hears = torch.tensor([[[False, False], [True, False]]])
    state = pushed(hears, first_push_sum(torch.tensor([[[6.0], [1.0]]])))
    state = received(hears, state.given.unsqueeze(1).expand(-1, 2, -1, -1), state)
    torch.testing.assert_close(state.held, torch.tensor([[[3.0, 0.5], [4.0, 1.5]]]))


@pytest.mark.parametrize(
    ("options", "rounds"),
    [
        ({}, 60),
        ({"loss": 0.5}, 150),
        ({"loss": 0.3, "burst": 5.0}, 250),
        ({"delay": 2}, 150),
        ({"delay": 1, "delay_most": 5, "loss": 0.3}, 250),
    ],
)
def test_the_medium_of_talking_agents_costs_rounds_but_not_the_mean(options: dict[str, float], rounds: int) -> None:
    value, hears = values(8, 3, worlds=2), random_graph(8, 0.4, 4).expand(2, -1, -1)
    exchange = Exchange(ChannelConfig(**options), 8, seed=5)  # type: ignore[arg-type] - options by name
    state = exchange.begin(value)
    for _ in range(rounds):
        before = state.sums.taken[..., -1]
        state = exchange.round(state, hears)
        assert (state.sums.taken[..., -1] >= before).all()  # a message that others have overtaken is not read
        whole = in_all(state.sums, hears)
        torch.testing.assert_close(whole[:, :-1], value.sum(1), rtol=0, atol=1e-9)
    found = estimate(state.sums)
    torch.testing.assert_close(found, value.mean(1, keepdim=True).expand_as(value), rtol=0, atol=1e-6)


def test_a_message_is_delayed_by_as_many_rounds_as_asked_for() -> None:
    value = torch.tensor([[[1.0], [0.0]]], dtype=torch.float64)
    exchange = Exchange(ChannelConfig(delay=3), 2, seed=0)
    state = exchange.begin(value)
    for round_number in range(1, 7):
        state = exchange.round(state, full(2))
        assert (state.sums.taken[0, 1, 0, 0] > 0) == (round_number > 3)
    given = 1 - 0.5 ** (6 - 3)  # what had been given three rounds ago: 1/2, 3/4, 7/8, ...
    assert float(state.sums.taken[0, 1, 0, 0]) == pytest.approx(given)


def test_a_partition_heals_through_the_medium() -> None:
    value = values(6, 6)
    exchange = Exchange(ChannelConfig(partition="0-40:0-2|3-5"), 6, seed=0)
    state = exchange.begin(value)
    for _ in range(40):
        state = exchange.round(state, full(6))
    assert spread(estimate(state.sums)) > 0.1
    for _ in range(60):
        state = exchange.round(state, full(6))
    found = estimate(state.sums)
    torch.testing.assert_close(found, value.mean(1, keepdim=True).expand_as(value), rtol=0, atol=1e-6)


def test_options_that_mean_nothing_here_are_refused() -> None:
    with pytest.raises(ValueError, match="bits is 4; a consensus takes loss, burst"):
        Exchange(ChannelConfig(bits=4), 4, seed=0)
