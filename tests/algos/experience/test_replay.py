"""The replay against a list of transitions, searched step by step; prioritised draws against their chances."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete
from streams import SPECS, Stream

from algos.core import Spec, Transition
from algos.experience.priorities import Priorities
from algos.experience.replay import Replay


def filled(
    spec: Spec, size: int, steps: int, *, dead: int | None = None, keep: Sequence[str] = (), **options: Any
) -> tuple[Replay, list[Transition], list[torch.Tensor]]:
    """A replay, and all that was ever written into it."""
    stream, rng = Stream(spec, noise_for_the_dead=dead), np.random.default_rng(1)
    masks = ["action_mask"] * (stream.now.action_mask is not None)
    replay = Replay(spec, size, stream.b, keep=["state", *masks, *keep], **options)
    transitions, actions = [], []
    for _ in range(steps):
        shape = (stream.b, spec.n_agents)
        if isinstance(spec.action_space, Discrete):
            action = torch.from_numpy(rng.integers(0, spec.action_space.n, shape))
        else:
            action = torch.from_numpy(rng.uniform(-1, 1, (*shape, *spec.action_space.shape)).astype(np.float32))
        transitions.append(stream.step(action.numpy()))
        actions.append(action)
        replay.add(transitions[-1], action)
    return replay, transitions, actions


@pytest.mark.parametrize("n_steps", [1, 3])
@pytest.mark.parametrize("steps", [4, 11, 29])
@pytest.mark.parametrize("spec", SPECS, ids=["discrete", "box", "image"])
def test_a_sample_is_what_a_search_finds(spec: Spec, steps: int, n_steps: int) -> None:
    """For every stored transition, before the ring is full and after it has gone round: 11 rows of 5 worlds."""
    replay, transitions, actions = filled(spec, 51, steps)
    rows, worlds = min(steps, 11), 5
    assert (replay.steps, len(replay)) == (11, rows * worlds)
    found = replay.sample(torch.arange(rows * worlds), n_steps)
    endings = 0
    for index in range(rows * worlds):
        row, b = divmod(index, worlds)
        t = max(time for time in range(steps) if time % 11 == row)  # the newest that was written there
        one = transitions[t]
        alive = one.obs.alive[b]
        np.testing.assert_array_equal(found["obs"][index], one.obs.obs[b] * alive[:, None])
        action = actions[t][b].numpy()
        np.testing.assert_array_equal(found["action"][index], action * (alive if action.ndim == 1 else alive[:, None]))
        np.testing.assert_array_equal(found["alive"][index], alive)
        np.testing.assert_array_equal(found["state"][index], one.obs.state[b])
        for k in range(n_steps):
            now = transitions[t + k]
            here = now.obs.alive[b]
            np.testing.assert_array_equal(found["reward"][index, k], now.reward[b] * here)
            np.testing.assert_array_equal(found["terminated"][index, k], now.terminated[b] & here)
            assert found["team_reward"][index, k] == now.team_reward[b]
            survives = here & ~now.terminated[b]
            over = now.truncated[b] | now.ended[b]
            leaves = survives & ~now.final.alive[b]
            assert found["team_over"][index, k] == (over & ~(survives | now.final.alive[b]).any())
            stops = over or leaves.any() or t + k == steps - 1 or k == n_steps - 1
            assert found["stop"][index, k] == stops
            if stops:
                endings += over
                seen = now.final.alive[b] | leaves
                np.testing.assert_array_equal(found["next_obs"][index], now.final.obs[b] * seen[:, None])
                np.testing.assert_array_equal(found["next_state"][index], now.final.state[b])
                np.testing.assert_array_equal(found["next_present"][index], seen)
                np.testing.assert_array_equal(found["left"][index], leaves & (not over))
                break
    assert endings


@pytest.mark.parametrize("spec", SPECS, ids=["discrete", "box", "image"])
def test_data_of_the_dead_are_not_kept(spec: Spec) -> None:
    one, two = (filled(spec, 100, 20, dead=dead)[0] for dead in (1, 2))
    assert one.departures
    assert all(torch.equal(one.fields[name], two.fields[name]) for name in one.fields)


def test_every_mask_allows_something() -> None:
    """In masks of the next observation too, where the environment allows nothing to an agent that leaves."""
    replay, transitions, _ = filled(SPECS[0], 100, 20)
    assert any(not one.final.action_mask.any(-1).all() for one in transitions if one.final.action_mask is not None)
    for name in ("action_mask", "next_action_mask"):
        assert replay.fields[name].any(-1).all()


def test_its_bytes_are_counted_and_stay() -> None:
    """By hand: 10 rows of 5 worlds of 3 agents seeing 4 numbers, state 2, and 3 discrete actions."""
    spec = SPECS[0]
    replay, _, _ = filled(spec, 50, 3)
    numbers = 2 * 3 * 4 + 2 * 2 + 3 + 1  # observations, states, rewards, the team's
    flags = 3 * 3 + 1 + 2 * 3 * 3  # alive, terminated, next_alive; over; masks
    assert replay.nbytes == 50 * (4 * numbers + 8 * 3 + flags)
    places = {name: field.data_ptr() for name, field in replay.fields.items()}
    for transition in filled(spec, 50, 40)[1]:
        replay.add(transition, torch.zeros(5, 3, dtype=torch.int64))
    assert {name: field.data_ptr() for name, field in replay.fields.items()} == places
    assert all(field.dtype in (torch.float32, torch.bool, torch.int64) for field in replay.fields.values())


def test_draws_are_uniform_over_what_is_stored() -> None:
    replay, _, _ = filled(SPECS[1], 100, 6)
    drawn = replay.draw(60_000, torch.Generator().manual_seed(0))
    counts = torch.bincount(drawn, minlength=30)
    assert len(counts) == 30
    assert (counts.float() / 2000 - 1).abs().max() < 0.1


@pytest.mark.parametrize("prioritised", [0.0, 0.6])
@pytest.mark.parametrize("steps", [4, 29])
def test_it_goes_on_as_it_was_saved(steps: int, prioritised: float) -> None:
    one, transitions, actions = filled(SPECS[0], 51, steps, prioritised=prioritised)
    if one.priorities is not None:
        one.priorities.update(torch.tensor([3, 5]), torch.tensor([2.0, 0.1]))
    two = Replay(SPECS[0], 51, 5, keep=["state", "action_mask"], prioritised=prioritised)
    kept = one.state_dict()
    two.load_state_dict(kept)
    for replay in (one, two):
        replay.add(transitions[0], actions[0])
    assert all(torch.equal(one.fields[name], two.fields[name]) for name in one.fields)
    draws = [replay.draw(50, torch.Generator().manual_seed(0)) for replay in (one, two)]
    assert torch.equal(*draws)
    assert kept["rows"] == min(steps, 11), "a kept state does not move"


def test_a_replay_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="a replay of 11 steps of every world, not 4"):
        Replay(SPECS[0], 20, 5, keep=["state", "action_mask"]).load_state_dict(filled(SPECS[0], 51, 29)[0].state_dict())


def test_the_dead_do_nothing_even_if_it_is_nan() -> None:
    stream, replay = Stream(SPECS[1], noise_for_the_dead=1), Replay(SPECS[1], 20, 5)
    while stream.now.alive.all():
        stream.step(np.zeros((5, 3, 2), np.float32))
    alive = stream.now.alive
    replay.add(stream.step(np.zeros((5, 3, 2), np.float32)), torch.full((5, 3, 2), torch.nan))
    np.testing.assert_array_equal(replay.fields["action"][0].isnan(), np.broadcast_to(alive[..., None], (5, 3, 2)))


def test_priorities_by_hand() -> None:
    """Two of five transitions have errors of 1 and 3: drawn as 1 : 3 with alpha = 1, weights as 3 : 1 with beta = 1."""
    priorities, generator = Priorities(5, alpha=1.0), torch.Generator().manual_seed(0)
    index = torch.tensor([1, 4])
    priorities.update(index, torch.tensor([1.0, 3.0]) - Priorities.EPS)
    counts = torch.bincount(priorities.draw(4000, generator), minlength=5)
    assert counts.tolist() == pytest.approx([0, 1000, 0, 0, 3000], abs=1)  # by strata: nearly exact
    np.testing.assert_allclose(priorities.weights(index, 2, 1.0), [1.0, 1 / 3], rtol=1e-6)
    np.testing.assert_allclose(priorities.weights(index, 2, 0.5), [1.0, 3**-0.5], rtol=1e-6)
    priorities.add(torch.tensor([0]))  # gets the highest priority so far
    counts = torch.bincount(priorities.draw(7000, generator), minlength=5)
    assert counts.tolist() == pytest.approx([3000, 1000, 0, 0, 3000], abs=1)


def test_alpha_flattens_priorities() -> None:
    priorities = Priorities(2, alpha=0.5)
    priorities.update(torch.tensor([0, 1]), torch.tensor([1.0, 9.0]) - Priorities.EPS)
    counts = torch.bincount(priorities.draw(4000, torch.Generator().manual_seed(0)))
    assert counts.tolist() == pytest.approx([1000, 3000], abs=1)


@pytest.mark.parametrize("size", [1, 2, 5, 64, 1000])
def test_the_tree_holds_sums_whatever_is_written(size: int) -> None:
    rng, generator = np.random.default_rng(0), torch.Generator().manual_seed(0)
    priorities, want = Priorities(size, alpha=1.0), np.zeros(size)
    for _ in range(20):
        index = np.unique(rng.integers(0, size, 7))  # one may be drawn twice: the larger error counts
        error = rng.random(len(index)) * 10.0 ** rng.integers(-6, 6)
        want[index] = error + Priorities.EPS
        twice = np.concatenate([index, index])
        priorities.update(torch.from_numpy(twice), torch.from_numpy(np.concatenate([error, error / 2])))
        np.testing.assert_allclose(priorities.tree[1], want.sum(), rtol=1e-12)
        drawn = priorities.draw(100, generator).numpy()
        assert (want[drawn] > 0).all()


def test_a_box_is_not_masked() -> None:
    spec = Spec(2, 1, 0, Box(-1, 1, (2,), np.float32), ())
    assert "action_mask" not in Replay(spec, 10, 2).fields


@pytest.mark.parametrize("n_steps", [1, 3])
def test_more_is_kept_when_asked_for(n_steps: int) -> None:
    """Adjacency before and after, cost and counterfactual of every step that is summed; zeros for absent agents."""
    replay, transitions, _ = filled(SPECS[0], 100, 20, dead=1, keep=("adjacency", "cost", "counterfactual"))
    found = replay.sample(torch.arange(100), n_steps)
    for index in range(100):
        t, b = divmod(index, 5)
        one, alive = transitions[t], transitions[t].obs.alive[b]
        heard = one.obs.adjacency[b] & alive[:, None] & alive[None]
        np.testing.assert_array_equal(found["adjacency"][index], heard)
        last = t + int(found["stop"][index].to(torch.uint8).argmax())
        for k in range(last - t + 1):
            now = transitions[t + k]
            for name in ("cost", "counterfactual"):
                value = getattr(now, name)[b]
                np.testing.assert_array_equal(found[name][index, k], np.where(now.obs.alive[b], value, 0))
        present = found["next_present"][index].numpy()
        heard = transitions[last].final.adjacency[b] & present[:, None] & present[None]
        np.testing.assert_array_equal(found["next_adjacency"][index], heard)
    assert not all(one.obs.alive.all() for one in transitions)


def test_what_is_not_asked_for_costs_nothing() -> None:
    plain, _, _ = filled(SPECS[1], 50, 3)
    more, _, _ = filled(SPECS[1], 50, 3, keep=("adjacency", "cost", "counterfactual"))
    assert more.nbytes - plain.nbytes == 50 * (2 * 3 * 3 + 4 * 3 + 4 * 3)
    found = plain.sample(torch.arange(4), 1)
    assert not {"adjacency", "next_adjacency", "cost", "counterfactual"} & (plain.fields.keys() | found.keys())
