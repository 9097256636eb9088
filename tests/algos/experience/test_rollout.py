"""The rollout: it returns what was added, the dead leave nothing, and values bootstrap from the right observations."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete

from algos.core import Obs, Spec, Transition
from algos.experience.fields import bytes_of
from algos.experience.rollout import Rollout, rollout_fields
from algos.maths.arrays import tensor_of

T, B, N, S, A = 4, 3, 2, 6, 4
OBS = 5
SPEC = Spec(N, OBS, S, Discrete(A), ((0, 1),))


def transition(rng, *, alive=None, truncated=(), terminated=None):
    """Random numbers of the right shapes."""
    alive = np.ones((B, N), bool) if alive is None else alive
    terminated = np.zeros((B, N), bool) if terminated is None else terminated

    def seen(alive):
        return Obs(
            obs=rng.standard_normal((B, N, OBS), dtype=np.float32),
            state=rng.standard_normal((B, S), dtype=np.float32),
            adjacency=np.ones((B, N, N), bool),
            alive=alive,
            action_mask=np.repeat(alive[..., None], A, -1),
            started=np.zeros(B, bool),
        )

    return Transition(
        obs=seen(alive),
        action=np.zeros((B, N), np.int64),
        reward=rng.standard_normal((B, N), dtype=np.float32),
        team_reward=rng.standard_normal(B, dtype=np.float32),
        counterfactual=rng.standard_normal((B, N), dtype=np.float32),
        cost=rng.random((B, N), dtype=np.float32),
        terminated=terminated,
        truncated=np.isin(np.arange(B), truncated),
        final=seen(alive & ~terminated),
        ended=np.isin(np.arange(B), truncated),
    )


def fill(rollout, steps):
    """Adds `steps`; returns what they were."""
    rng = np.random.default_rng(0)
    given = []
    for t in range(steps):
        step = transition(rng, truncated=[1] if t == 1 else [])
        action, log_prob = torch.from_numpy(rng.integers(0, A, (B, N))), torch.from_numpy(rng.random((B, N)))
        rollout.add(step, action, log_prob.float())
        given.append((step, action, log_prob.float()))
    return given


def test_it_returns_what_was_added():
    rollout = Rollout(SPEC, T, B, keep=["state", "action_mask"])
    given = fill(rollout, T)
    assert rollout.full
    fields, finals = rollout.to("cpu")
    for t, (step, action, log_prob) in enumerate(given):
        np.testing.assert_array_equal(fields["obs"][t].numpy(), step.obs.obs)
        np.testing.assert_array_equal(fields["state"][t].numpy(), step.obs.state)
        np.testing.assert_array_equal(fields["reward"][t].numpy(), step.reward)
        np.testing.assert_array_equal(fields["team_reward"][t].numpy(), step.team_reward)
        survives = ((step.obs.alive & ~step.terminated) | step.final.alive).any(1)
        np.testing.assert_array_equal(fields["survives"][t].numpy(), survives)
        assert torch.equal(fields["action"][t], action)
        assert torch.equal(fields["log_prob"][t], log_prob)
    # world 1 met its limit at step 1, and every world is bootstrapped at the last step
    assert finals["index"].tolist() == [1 * B + 1, *(3 * B + b for b in range(B))]
    np.testing.assert_array_equal(finals["obs"][0].numpy(), given[1][0].final.obs[1])
    np.testing.assert_array_equal(finals["obs"][1:].numpy(), given[3][0].final.obs)
    np.testing.assert_array_equal(finals["state"][1:].numpy(), given[3][0].final.state)
    rollout.clear()
    assert rollout.t == 0
    assert not rollout.finals


def test_the_dead_leave_nothing():
    rollout = Rollout(SPEC, 1, B, keep=["state", "action_mask"])
    alive = np.array([[True, False], [True, True], [False, True]])
    step = transition(np.random.default_rng(0), alive=alive)
    step.obs.obs[~alive] = np.nan
    step.reward[~alive] = np.nan
    step.final.obs[~alive] = np.nan
    rollout.add(step, torch.full((B, N), 3), torch.full((B, N), torch.nan))
    fields, finals = rollout.to("cpu")
    dead = torch.from_numpy(~alive)
    for name in ("obs", "reward", "action"):
        assert (fields[name][0][dead] == 0).all()
        assert not (fields[name][0][~dead] == 0).any()
    assert (fields["log_prob"][0][dead] == 0).all()
    assert fields["action_mask"][0][dead].all()
    assert (finals["obs"][dead] == 0).all()


def test_final_keeps_agents_that_met_a_time_limit():
    """Some environments report no agent alive at a time limit; values still bootstrap from their last observations."""
    rollout = Rollout(SPEC, 2, B)
    dies = np.zeros((B, N), bool)
    dies[0, 1] = True
    step = transition(np.random.default_rng(0), truncated=[0, 1, 2], terminated=dies)
    step = step._replace(final=step.final._replace(alive=np.zeros((B, N), bool)))
    rollout.add(step, torch.zeros(B, N, dtype=torch.int64), torch.zeros(B, N))
    got = rollout.finals[0]["obs"].numpy()
    np.testing.assert_array_equal(got[~dies], step.final.obs[~dies])
    assert (got[dies] == 0).all()


def leaving(rng, *leavers, over=()):
    """A transition in which agents (world, agent) leave; worlds `over` end with it, without a time limit."""
    step = transition(rng)
    left = np.zeros((B, N), bool)
    left[tuple(np.transpose(leavers))] = True
    return step._replace(final=step.final._replace(alive=~left), ended=np.isin(np.arange(B), over))


def added(rollout, *steps):
    """Adds steps; returns the observations to bootstrap from."""
    for step in steps:
        rollout.add(step, torch.zeros(B, N, dtype=torch.int64), torch.zeros(B, N))
    return [{name: value.tolist() for name, value in row.items() if name != "state"} for row in rollout.finals]


def test_an_agent_that_leaves_a_world_that_goes_on_is_bootstrapped_alone():
    rng = np.random.default_rng(0)
    step, quiet = leaving(rng, (0, 1), (2, 0)), transition(rng)
    rows = added(Rollout(SPEC, 3, B, keep=["state"]), step, quiet)
    saw = step.final.obs.tolist()
    assert rows == [
        {
            "index": [0, 2],
            "whose": [[False, True], [True, False]],
            "of_world": [False, False],
            "present": [[True, True], [True, True]],
            "obs": [saw[0], saw[2]],  # with the agents that stay, which were present beside the leaver
        }
    ]


def test_at_the_last_step_agents_that_stay_are_bootstrapped_without_those_that_left():
    rng = np.random.default_rng(0)
    step = leaving(rng, (1, 0))
    rollout = Rollout(SPEC, 1, B, keep=["state"])
    rows = added(rollout, step)
    saw, nothing = step.final.obs.tolist(), [0.0] * OBS
    assert rows == [
        {
            "index": [0, 1, 2],
            "whose": [[True, True], [False, True], [True, True]],
            "of_world": [True, True, True],
            "present": [[True, True], [False, True], [True, True]],
            "obs": [saw[0], [nothing, saw[1][1]], saw[2]],
        },
        {"index": [1], "whose": [[True, False]], "of_world": [False], "present": [[True, True]], "obs": [saw[1]]},
    ]
    fields, finals = rollout.to("cpu")
    np.testing.assert_array_equal(finals["state"][3].numpy(), step.final.state[1])
    assert not fields["terminated"].any()


def test_a_world_whose_last_agents_leave_is_bootstrapped_whole():
    """It ends without a time limit of its own, and the next row is another episode."""
    step = leaving(np.random.default_rng(0), (1, 0), (1, 1), over=[1])
    rows = added(Rollout(SPEC, 3, B), step)
    saw = step.final.obs.tolist()
    assert rows == [
        {"index": [1], "whose": [[True, True]], "of_world": [True], "present": [[True, True]], "obs": [saw[1]]}
    ]


def test_an_agent_does_not_leave_by_dying_or_by_being_absent():
    alive, dies = np.ones((B, N), bool), np.zeros((B, N), bool)
    alive[0, 1], dies[1, 0] = False, True
    steps = [transition(np.random.default_rng(0), alive=alive, terminated=dies)]
    steps.append(transition(np.random.default_rng(0), alive=alive))  # born in this step
    steps[1] = steps[1]._replace(final=steps[1].final._replace(alive=np.ones((B, N), bool)))
    assert not added(Rollout(SPEC, 3, B), *steps)


def test_goes_on_from_the_middle():
    one, other = (Rollout(SPEC, T, B, keep=["state", "action_mask"]) for _ in range(2))
    fill(one, 3)
    other.load_state_dict(one.state_dict())
    rng = np.random.default_rng(5)
    step = transition(rng)
    for rollout in (one, other):
        rollout.add(step, torch.ones(B, N, dtype=torch.int64), torch.ones(B, N))
    for got, want in zip(other.to("cpu"), one.to("cpu"), strict=True):
        assert got.keys() == want.keys()
        assert all(torch.equal(got[name], want[name]) for name in want)


def test_continuous_actions():
    rollout = Rollout(Spec(N, OBS, S, Box(-1, 1, (2,)), ()), 1, B)
    action = torch.randn(B, N, 2, generator=torch.Generator().manual_seed(0))
    rollout.add(transition(np.random.default_rng(0)), action, torch.zeros(B, N))
    assert torch.equal(rollout.to("cpu")[0]["action"][0], action)
    assert "state" not in rollout.fields


def test_read_only_arrays_are_taken_without_a_warning():
    array = np.arange(3.0)
    assert np.shares_memory(tensor_of(array).numpy(), array)
    array.flags.writeable = False
    assert tensor_of(array).tolist() == [0.0, 1.0, 2.0]


def test_more_is_kept_when_asked_for_and_zeros_of_agents_that_are_absent():
    alive = np.array([[True, False], [True, True], [False, True]])
    one = transition(np.random.default_rng(0), alive=alive)
    assert one.counterfactual is not None
    for array in (one.cost, one.counterfactual):
        array[~alive] = np.nan
    keep = ("adjacency", "cost", "counterfactual")
    rollout = Rollout(SPEC, 1, B, keep=keep)
    rollout.add(one, torch.zeros(B, N, dtype=torch.int64), torch.zeros(B, N))
    fields, finals = rollout.to("cpu")
    np.testing.assert_array_equal(fields["cost"][0].numpy(), np.where(alive, one.cost, 0))
    np.testing.assert_array_equal(fields["counterfactual"][0].numpy(), np.where(alive, one.counterfactual, 0))
    between = alive[:, :, None] & alive[:, None, :]  # all hear all
    np.testing.assert_array_equal(fields["adjacency"][0].numpy(), between)
    np.testing.assert_array_equal(finals["adjacency"].numpy(), between)
    again = Rollout(SPEC, 1, B, keep=keep)
    again.load_state_dict(rollout.state_dict())
    assert all(torch.equal(again.fields[name], rollout.fields[name]) for name in keep)


def test_what_is_not_asked_for_costs_nothing():
    plain, more = rollout_fields(SPEC), rollout_fields(SPEC, ["adjacency", "cost", "counterfactual"])
    assert not {"adjacency", "cost", "counterfactual", "state", "action_mask"} & plain.keys()
    assert bytes_of(more) - bytes_of(plain) == N * N + 4 * N + 4 * N
    rollout = Rollout(SPEC, 1, B)
    assert rollout.fields.keys() == plain.keys()
    rollout.add(transition(np.random.default_rng(0)), torch.zeros(B, N, dtype=torch.int64), torch.zeros(B, N))
    assert "adjacency" not in rollout.finals[0]


def test_what_cannot_be_kept_is_refused():
    with pytest.raises(ValueError, match="cannot keep returns; what can be kept: state, action_mask, adjacency, heard"):
        Rollout(SPEC, 1, B, keep=["returns"])
    with pytest.raises(ValueError, match=r"actions of Box.* have no masks"):
        Rollout(Spec(N, OBS, S, Box(-1, 1, (2,)), ()), 1, B, keep=["action_mask"])
    one = transition(np.random.default_rng(0))._replace(counterfactual=None)
    with pytest.raises(ValueError, match="counterfactual is to be kept, but this environment gives none"):
        Rollout(SPEC, 1, B, keep=["counterfactual"]).add(one, torch.zeros(B, N, dtype=torch.int64), torch.zeros(B, N))
