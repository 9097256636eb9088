"""Minibatches against plain indexing."""

from __future__ import annotations

import torch

from algos.experience.minibatches import Minibatches

T, B, N = 3, 4, 2


def rollout() -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    draw = torch.Generator().manual_seed(0)
    fields = {name: torch.randn(T, B, *shape, generator=draw) for name, shape in (("obs", (N, 5)), ("reward", (N,)))}
    return {**fields, "state": torch.randn(T, B, 6, generator=draw)}, torch.rand(T, B, N, generator=draw) < 0.6


def test_a_unit_is_a_step_of_a_world() -> None:
    fields, alive = rollout()
    batches, units = Minibatches(fields, alive, sequences=False), torch.tensor([7, 0, 11])
    assert batches.n_units == T * B
    found = batches.take(("obs", "state", "missing"), units, agent_blind=False)
    assert found.keys() == {"obs", "state"}
    for name, rows in found.items():
        want = torch.stack([fields[name][unit // B, unit % B] for unit in units.tolist()])
        assert torch.equal(rows, want)


def test_a_unit_is_all_steps_of_a_world_where_networks_are_recurrent() -> None:
    fields, alive = rollout()
    batches, units = Minibatches(fields, alive, sequences=True), torch.tensor([2, 0])
    assert batches.n_units == B
    found = batches.take(("obs",), units, agent_blind=True)
    assert torch.equal(found["obs"], fields["obs"][:, [2, 0]])


def test_a_network_that_is_agent_blind_gets_the_samples_of_live_agents() -> None:
    fields, alive = rollout()
    batches, units = Minibatches(fields, alive, sequences=False), torch.tensor([5, 1, 8, 2])
    found = batches.take(("obs", "reward", "state"), units, agent_blind=True)
    live = [
        (*divmod(unit, B), agent) for unit in units.tolist() for agent in range(N) if alive[*divmod(unit, B), agent]
    ]
    assert 0 < len(live) < 4 * N
    assert found["state"].shape == (4, 6)  # a row for a unit, not for each agent in it
    assert found["obs"].shape == (len(live), 1, 5)
    for k, (t, b, agent) in enumerate(live):
        assert torch.equal(found["obs"][k, 0], fields["obs"][t, b, agent])
        assert found["reward"][k, 0] == fields["reward"][t, b, agent]
        assert torch.equal(found["state"][found["unit"][k]], fields["state"][t, b])


def test_all_samples_are_taken_together_where_all_agents_are_alive() -> None:
    fields, alive = rollout()
    batches = Minibatches(fields, torch.ones_like(alive), sequences=False)
    assert batches.take(("obs",), torch.tensor([1, 2]), agent_blind=True)["obs"].shape == (2, N, 5)
