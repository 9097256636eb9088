"""Shapley values of vehicles equal their definition, over whole steps in which all but a coalition brake hard."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from coalitions import by_all_coalitions
from intersection_scenes import BRAKE, EAST, SPEED_UP, STRAIGHT, act, crossing, route_of, scene
from numpy.typing import NDArray

import envs
from envs.conformance.play import random_actions
from envs.core import ended
from envs.intersection import Intersection
from envs.intersection.network import LINE
from envs.intersection.state import ARRIVED, CRASHED, DRIVING, DUE, PENDING, State

NARROW = {"flow": 20_000.0, "approach": 25.0, "entry_speed": 9.0, "exit_length": 15.0}
CASES: dict[str, dict[str, Any]] = {
    "cross-8": {"task": "cross-8", "max_steps": 60},
    "continuous": {"task": "busy-16", "n_vehicles": 7, "continuous": True, "lanes": 2, "flow": 9000.0},
    "narrow": {"n_vehicles": 8, "max_steps": 40, **NARROW},
    "declared": {"task": "liar-8", "n_vehicles": 6, "flow": 9000.0, "max_steps": 40},
    "liars": {
        "n_vehicles": 5, "n_liars": 6, "intent": "declared", "flow": 20_000.0, "n_emergency": 2, "max_steps": 60,
    },
    "one alone": {"n_vehicles": 1, "flow": 100.0},
    "alone among liars": {"n_vehicles": 2, "n_liars": 12, "intent": "declared", "flow": 20_000.0},
    "two at once": {"n_vehicles": 4, "flow": 20_000.0, "exit_length": 15.0, "approach": 25.0, "n_emergency": 4},
}  # fmt: skip


def make(case: dict[str, Any], **more: Any) -> Intersection:
    given = {**case, **more}
    return envs.make("intersection", given.pop("task", None), **given)  # pyright: ignore[reportReturnType]


def braked(env: Intersection, action: NDArray[Any], members: NDArray[np.bool_]) -> NDArray[Any]:
    """The actions, but that all others brake hard; what they announce stays."""
    action = action.copy()
    if env.config.continuous:
        action[~members, 0] = -1.0
    else:
        action[~members] -= action[~members] % 5
    return action


def hasty(env: Intersection, step: Any, rng: np.random.Generator) -> NDArray[Any]:
    """Actions of chance, but mostly full throttle, so that some get far."""
    action = random_actions(env, step, rng)
    if env.config.continuous:
        action[rng.random(step.alive.shape) < 0.4, 0] = 1.0
        return action
    return np.where(rng.random(action.shape) < 0.4, action - action % 5 + 4, action)


@pytest.mark.parametrize("case", CASES)
def test_equals_all_coalitions(case: str) -> None:
    env, plain = make(CASES[case], counterfactual="shapley"), make(CASES[case])
    stop, absent = (make(CASES[case], counterfactual=kind) for kind in ("stop", "absent"))
    n, rng, differs, seen = env.n_agents, np.random.default_rng(6), 0, set()

    def worth(state: State, action: Any, members: NDArray[np.bool_]) -> Any:
        return plain.step(state, braked(plain, action, members))[1].team_reward

    state, step = env.reset(range(12))
    while not ended(step).all():
        action = hasty(env, step, rng)
        expected, earned = by_all_coalitions(worth, state, action, n)
        before, alive = state, step.alive
        state, step = env.step(before, action)
        assert step.counterfactual is not None
        found = step.team_reward[:, None].astype(float) - step.counterfactual
        np.testing.assert_allclose(found, expected, atol=5e-6)
        np.testing.assert_allclose(found.sum(axis=1), earned[:, -1] - earned[:, 0], atol=1e-5)
        np.testing.assert_array_equal(env.counterfactual(before, action), step.counterfactual)
        assert not found[~alive].any(), "an agent that is not on the road adds nothing"
        without = earned[:, 2**n - 1 - 2 ** np.arange(n)]
        assert (stop.counterfactual(before, action) == without).all()
        differs += int((np.abs(earned[:, -1:] - without - found) > 1e-4).sum())
        waits = (state.status[:, :n] == PENDING) & (state.car[:, :n, DUE] <= 0.5 * state.step[:, None])
        seen |= {"crash"} if (state.status == CRASHED).any() else set()
        seen |= {"wait"} if waits.any() else set()
        if plain.config.n_liars:
            continue  # scripted cars would plan anew in a world without the agent; in the counterfactual they do not
        for i, gone in enumerate(absent.counterfactual(before, action).T):
            status = before.status.copy()
            status[:, i] = np.where(status[:, i] == DRIVING, ARRIVED, status[:, i])  # without having been paid for it
            assert (gone == plain.step(before._replace(status=status), action)[1].team_reward).all()
    if "alone" not in case:
        assert differs > 0, "values must be others than difference rewards"
        assert "crash" in seen
    if case in ("narrow", "liars", "two at once"):
        assert "wait" in seen


@pytest.mark.parametrize("case", [{"n_vehicles": 24, **NARROW}, {"task": "grid-2x2-24", "flow": 20_000.0}])
def test_of_many_vehicles_they_sum_to_what_the_team_adds(case: dict[str, Any]) -> None:
    env, plain = make(case, counterfactual="shapley", orders=4), make(case)
    rng, largest = np.random.default_rng(3), 0
    state, step = env.reset((1, 2))
    for _ in range(60):
        action = hasty(env, step, rng)
        nobody = plain.step(state, braked(plain, action, np.zeros(step.alive.shape, bool)))[1].team_reward
        one = env.counterfactual(State(*(value[1:] for value in state)), action[1:])
        state, step = env.step(state, action)
        assert step.counterfactual is not None
        assert one[0].tobytes() == step.counterfactual[1].tobytes()
        found = step.team_reward[:, None].astype(float) - step.counterfactual
        np.testing.assert_allclose(found.sum(axis=1), step.team_reward - nobody, atol=2e-5)
        largest = max(largest, int(step.alive.sum(axis=1).max()))
        if ended(step).all():
            break
    assert largest > 8


def test_two_cars_that_keep_a_third_out_share_its_time() -> None:
    """Neither touches the other, but the third can enter only if both drive on: a unanimity game."""
    env, plain = crossing(3, counterfactual="shapley"), crossing(3)
    room = plain.network.leg[route_of(plain, EAST, STRAIGHT), 0, LINE] - 2.4  # of a front at the entry
    state = scene(plain, (EAST, STRAIGHT, room - 14.6, 4.0), (EAST, STRAIGHT, room - 6.0, 9.5))
    state.route[0, 2] = state.route[0, 0]
    state.status[0, 2], state.car[0, 2, DUE] = PENDING, 0.0
    action = act(SPEED_UP, SPEED_UP, BRAKE)
    _, earned = by_all_coalitions(
        lambda state, action, members: plain.step(state, braked(plain, action, members))[1].team_reward,
        state,
        action,
        3,
    )
    after, step = env.step(state, action)
    assert step.counterfactual is not None
    assert after.status[0].tolist() == [DRIVING, DRIVING, DRIVING]
    nobody, one, other, both = earned[0, :4]
    saved = both + nobody - one - other  # what the two earn more together than each by itself
    assert saved == pytest.approx(0.5 * plain.config.time_charge, abs=1e-6)
    found = step.team_reward - step.counterfactual[0]
    np.testing.assert_allclose(found, [one - nobody + 0.5 * saved, other - nobody + 0.5 * saved, 0.0], atol=1e-6)


def test_orders_come_in_pairs() -> None:
    with pytest.raises(ValueError, match="orders is 3; each order comes with its reverse: give an even number"):
        make({}, orders=3)
