"""Signals that agree: what is kept, what is heard, and what a signal believes."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from envs.core import take_worlds
from envs.signals import Config, Signals, heuristic
from envs.signals.agreement import BELIEVED, MEASURED, SILENT
from envs.signals.network import PHASES
from envs.signals.observe import N_OBS


def played(steps: int, n_worlds: int = 3, **options: Any) -> tuple[Signals, list[Any]]:
    """Returns the environment, and state and step of each moment under the fixed plan."""
    config = Config(**{"rows": 3, "columns": 2, "consensus": "gossip", "rule": "fixed", **options})
    env = Signals(config)
    act, moment = heuristic(env), env.reset(range(n_worlds))
    moments = [moment]
    for _ in range(steps):
        moments.append(env.step(moments[-1][0], act(moments[-1][0])))
    return env, moments


def test_the_mean_of_beliefs_is_the_mean_of_measurements_whatever_is_lost() -> None:
    cases: list[dict[str, Any]] = [
        {},
        {"consensus_pull": 0.0},
        {"consensus_loss": 0.5, "consensus_rounds": 3, "n_blackouts": 4},
    ]
    for options in cases:
        for state, _ in played(40, **options)[1]:
            believed, measured = (
                state.agreement[..., BELIEVED].mean(axis=1),
                state.agreement[..., MEASURED].mean(axis=1),
            )
            assert believed == pytest.approx(measured, abs=1e-12)


def test_a_step_is_the_formula() -> None:
    pull = 0.3
    env, moments = played(12, consensus_pull=pull, n_blackouts=3, blackout_seconds=20.0)
    neighbours = [[j for j in row if j >= 0] for row in env.network.neighbour.tolist()]
    for (before, _), (after, step) in itertools.pairwise(moments):
        for b in range(3):
            x, old = {}, before.agreement[b]
            for i, seen in enumerate(step.obs[b].astype(float)):
                m = np.array([sum(seen[k] + seen[12 + k] for k in phase) for phase in PHASES])
                followed = old[i, BELIEVED] + m - old[i, MEASURED]
                x[i] = followed + pull * (m - followed)
            hears = {i: [j for j in mine if step.adjacency[b, i, j]] for i, mine in enumerate(neighbours)}
            for i, mine in hears.items():
                moved = sum(((x[j] - x[i]) / (1 + max(len(mine), len(hears[j]))) for j in mine), np.zeros(4))
                assert after.agreement[b, i, BELIEVED] == pytest.approx(x[i] + moved, abs=1e-9)
                assert after.agreement[b, i, SILENT] == (0.0 if mine else old[i, SILENT] + 1.0)


def test_who_hears_nobody_believes_what_it_measures() -> None:
    env, moments = played(30, consensus_loss=1.0)
    state, step = moments[-1]
    assert state.agreement[..., BELIEVED] == pytest.approx(state.agreement[..., MEASURED], abs=1e-12)
    assert (state.agreement[..., SILENT] == 30.0).all()
    assert env.obs_names[-1] == "agreed_silence"
    assert step.obs[..., -1] == pytest.approx(150.0 / 170.0)
    x = state.agreement[..., BELIEVED]
    assert step.obs[..., N_OBS:-1] == pytest.approx(x / (1.0 + x))


def test_without_a_pull_all_come_to_believe_the_mean_of_the_town() -> None:
    options = {"consensus_pull": 0.0, "consensus_rounds": 20}, {"consensus_pull": 0.5, "consensus_rounds": 1}
    far, near = (played(60, 3, **one)[1][-1][1] for one in options)
    assert (far.metrics["consensus_disagreement"] < 0.02).all()
    assert (near.metrics["consensus_disagreement"] > far.metrics["consensus_disagreement"]).all()
    assert far.metrics["consensus_bias"] == pytest.approx(0.0, abs=1e-9)
    lost = played(60, consensus_pull=0.0, consensus_rounds=20, consensus_loss=0.9)[1][-1][1]
    assert (lost.metrics["consensus_disagreement"] > far.metrics["consensus_disagreement"]).all()


def test_agreement_changes_nothing_else() -> None:
    plain, agreeing = (played(25, consensus=kind)[1] for kind in ("none", "gossip"))
    for (_, alone), (_, together) in zip(plain, agreeing, strict=True):
        assert np.array_equal(alone.obs, together.obs[..., :N_OBS])
        assert np.array_equal(alone.reward, together.reward)
        assert np.array_equal(alone.state, together.state)
        assert not any(name.startswith("consensus") for name in alone.metrics)


def test_losses_depend_on_the_world_alone_and_steps_change_no_state() -> None:
    options: dict[str, Any] = {"consensus_loss": 0.5, "consensus_rounds": 2}
    env, moments = played(10, **options)
    state, action = moments[4][0], np.zeros((3, 6), np.int64)
    kept = state.agreement.copy()
    whole = env.step(state, action)[0]
    assert np.array_equal(state.agreement, kept)
    alone = env.step(take_worlds(state, np.array([2])), action[2:])[0]
    assert np.array_equal(alone.agreement[0], whole.agreement[2])
    assert len({row.tobytes() for row in whole.agreement}) == 3


def test_the_rule_that_follows_agreement_needs_it_and_counts_far_demand() -> None:
    with pytest.raises(ValueError, match="rule='agreed-demand' follows what signals agree on, and consensus='none'"):
        Config(rule="agreed-demand")
    env = Signals(Config(rows=3, columns=2, consensus="gossip", rule="agreed-demand", min_green=0.0))
    state, _ = env.reset([0])
    state.agreement[:] = 0.0
    assert (heuristic(env)(state) == 0).all()
    state.agreement[0, 3, 2] = 2.0  # 50 vehicles that wait for east and west somewhere near
    assert heuristic(env)(state)[0].tolist() == [0, 0, 0, 2, 0, 0]
