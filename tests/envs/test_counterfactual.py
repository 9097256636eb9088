"""`without_each` equals one world at a time, and the closed form of a toy whose reward is known."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest

from envs.conformance import fingerprint
from envs.kit.counterfactual import without_each

DEFAULT = -1.0


class State(NamedTuple):
    step: Any  # (B,)
    weight: Any  # (B, N)
    there: Any  # (B, N) bool


class Orders(NamedTuple):
    push: Any  # (B, N)
    absent: Any  # (B,)


STATE = State(np.array([3, 5]), np.array([[1.0, 2.0, 4.0], [8.0, 16.0, 32.0]]), np.array([[1, 1, 0], [1, 1, 1]], bool))
PUSH = np.array([[0.5, 0.25, 1.0], [2.0, -3.0, 0.125]])


def advance(state: State, push: Any) -> tuple[State, Any]:
    """G of a step: weights times pushes of the agents that are there, times the step."""
    reward = state.step * (state.weight * push * state.there).sum(axis=1)
    return state._replace(step=state.step + 1), reward


def push_default(state: State, push: Any, copy: Any, agent: Any) -> None:
    del state
    push[copy, agent] = DEFAULT


def test_one_step_is_the_closed_form() -> None:
    before = fingerprint((STATE, PUSH))
    found = without_each(advance, push_default, STATE, PUSH, 3)
    assert found.dtype == np.float32
    # 3 (1 p0 + 2 p1) with the default -1 in place of p0 or p1; agent 2 of world 0 is not there.
    # 5 (8 p0 + 16 p1 + 32 p2) likewise.
    assert found.tolist() == [[3 * (-1 + 0.5), 3 * (0.5 - 2), 3 * (0.5 + 0.5)],
                              [5 * (-8 - 48 + 4), 5 * (16 - 16 + 4), 5 * (16 - 48 - 32)]]  # fmt: skip
    assert fingerprint((STATE, PUSH)) == before


def test_a_longer_horizon_is_the_teams_reward_less_what_the_agent_adds_over_it() -> None:
    _, team_reward = advance(STATE, PUSH)
    found = without_each(advance, push_default, STATE, PUSH, 3, horizon=4, team_reward=team_reward)
    for b, n_steps in enumerate((3 + 4 + 5 + 6, 5 + 6 + 7 + 8)):
        for i in range(3):
            adds = n_steps * STATE.weight[b, i] * (PUSH[b, i] - DEFAULT) * STATE.there[b, i]
            assert found[b, i] == pytest.approx(team_reward[b] - adds)
    with pytest.raises(ValueError, match="horizon=4 needs team_reward"):
        without_each(advance, push_default, STATE, PUSH, 3, horizon=4)


def test_what_comes_after_the_time_limit_does_not_count() -> None:
    _, team_reward = advance(STATE, PUSH)
    found = without_each(
        advance, push_default, STATE, PUSH, 3, horizon=4, team_reward=team_reward, left=np.array([2, 9])
    )
    for b, n_steps in enumerate((3 + 4, 5 + 6 + 7 + 8)):
        for i in range(3):
            adds = n_steps * STATE.weight[b, i] * (PUSH[b, i] - DEFAULT) * STATE.there[b, i]
            assert found[b, i] == pytest.approx(team_reward[b] - adds)


def test_an_agent_can_be_taken_out_of_the_state() -> None:
    def leave(state: State, push: Any, copy: Any, agent: Any) -> None:
        del push
        state.there[copy, agent] = False

    found = without_each(advance, leave, STATE, PUSH, 3)
    for b in range(2):
        for i in range(3):
            there = STATE.there[b].copy()
            there[i] = False
            assert found[b, i] == STATE.step[b] * (STATE.weight[b] * PUSH[b])[there].sum()
    assert STATE.there.tolist() == [[True, True, False], [True, True, True]]


def test_actions_can_be_a_named_tuple_that_marks_absent_agents() -> None:
    def obey(state: State, orders: Orders) -> tuple[State, Any]:
        others = np.arange(3) != orders.absent[:, None]
        return advance(state, np.where(others, orders.push, 0.0))

    def drop(state: State, orders: Orders, copy: Any, agent: Any) -> None:
        del state
        orders.absent[copy] = agent

    orders = Orders(PUSH, np.full(2, -1))
    _, team_reward = obey(STATE, orders)
    for horizon in (1, 2):
        found = without_each(obey, drop, STATE, orders, 3, horizon=horizon, team_reward=team_reward)
        absent = without_each(
            advance, lambda _, push, copy, agent: push.__setitem__((copy, agent), 0.0), STATE, PUSH, 3,
            horizon=horizon, team_reward=team_reward,
        )  # fmt: skip
        assert np.array_equal(found, absent)
    assert orders.absent.tolist() == [-1, -1]
