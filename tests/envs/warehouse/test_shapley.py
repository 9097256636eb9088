"""Shapley values of robots equal their definition, over whole steps in which all but a coalition stop."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from coalitions import by_all_coalitions
from numpy.typing import NDArray
from warehouse_scenes import BUMPER_GAP, begin, episode, target_at, task, yard

from envs.core import take_worlds
from envs.warehouse import Warehouse
from envs.warehouse.coalitions import Coalitions
from envs.warehouse.physics import VX
from envs.warehouse.state import TAKEN, TO_STATION, State
from envs.warehouse.work import DWELL_STEPS

BATTERY = {"battery": True, "battery_capacity": 0.1}
EPISODES: list[tuple[str, dict[str, Any], str, int]] = [
    ("tiny-2", {}, "together", 150),
    ("small-4", {}, "random", 60),
    ("small-4", {"dispatch": "fifo", **BATTERY}, "together", 60),
    ("small-4", {"dispatch": "claim", **BATTERY}, "random", 60),
    ("small-4", {"orders_per_hour": 4000.0, "backlog": 0}, "heuristic", 150),
    ("corridor-6", {"orders_per_hour": 400.0, "backlog": 0}, "heuristic", 150),
    ("corridor-6", {"n_robots": 5}, "chase", 40),
    ("medium-8", {"n_robots": 6, "contact_charge": 3.0, **BATTERY}, "chase", 40),
    ("medium-8", {"shaping": 0.0}, "random", 15),
]


def worth_in(plain: Warehouse) -> Any:
    """What coalitions earn by the public step: the others stop."""

    def worth(state: State, action: Any, members: NDArray[np.bool_]) -> Any:
        action[~members] = 0
        return plain.step(state, action)[1].team_reward

    return worth


@pytest.mark.parametrize(("name", "change", "mode", "steps"), EPISODES)
def test_equals_all_coalitions(name: str, change: dict[str, Any], mode: str, steps: int) -> None:
    env = task(name, continuous=mode != "heuristic", counterfactual="shapley", **change)
    plain = task(name, continuous=mode != "heuristic", **change)
    n, nulls, differs = len(env.agents), 0, 0

    def visit(state: State, action: NDArray[Any]) -> None:
        nonlocal nulls, differs
        expected, earned = by_all_coalitions(worth_in(plain), state, action, n)
        step = env.step(state, action)[1]
        assert step.counterfactual is not None
        found = step.team_reward[:, None].astype(float) - step.counterfactual
        np.testing.assert_allclose(found, expected, atol=5e-6)
        np.testing.assert_allclose(found.sum(axis=1), earned[:, -1] - earned[:, 0], atol=1e-5)
        np.testing.assert_array_equal(env.counterfactual(state, action), step.counterfactual)
        stops = (action == 0).all(axis=2) if action.ndim == 3 else action == 0
        assert (step.counterfactual == step.team_reward[:, None])[stops].all()
        nulls += int(stops.sum())
        last = earned[:, 2**n - 1 - 2 ** np.arange(n)]  # G without each
        differs += int((np.abs(earned[:, -1:] - last - found) > 1e-4).sum())

    last = episode(name, change, mode, steps, visit, worlds=8)
    assert nulls > 0
    assert differs > 0, "values must be others than difference rewards"
    if "battery" in change:
        assert not last.alive.all(), "some must have died"


def test_of_a_crowd_they_are_averaged_over_orders() -> None:
    env = task("large-16", continuous=True, counterfactual="shapley", orders=2)
    plain, gains = task("large-16", continuous=True), []

    def visit(state: State, action: NDArray[Any]) -> None:
        step = env.step(state, action)[1]
        assert step.counterfactual is not None
        nobody = plain.step(state, 0.0 * action)[1].team_reward
        found = step.team_reward[:, None].astype(float) - step.counterfactual
        np.testing.assert_allclose(found.sum(axis=1), step.team_reward - nobody, atol=2e-5)
        one = env.step(take_worlds(state, np.array([1])), action[1:])[1]
        assert one.counterfactual is not None
        assert one.counterfactual[0].tobytes() == step.counterfactual[1].tobytes()
        gains.append(np.abs(found).max())

    episode("large-16", {}, "together", 12, visit)
    assert max(gains) > 0.1


def test_few_copies_of_worlds_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    env = task("medium-8", counterfactual="shapley")
    made: list[int] = []
    earned = Coalitions._earned

    def counted(self: Coalitions, scene: Any, world: Any, members: Any) -> Any:
        made.append(len(world))
        return earned(self, scene, world, members)

    monkeypatch.setattr(Coalitions, "_earned", counted)
    rng, (state, _) = np.random.default_rng(0), env.reset(range(4))
    for _ in range(60):
        state, _ = env.step(state, rng.integers(7, size=state.alive.shape))
    print(f"{sum(made) / (60 * 4):.1f} of 256 coalitions were simulated")
    assert 0 < sum(made) < 60 * 4 * 16


def compared(env: Warehouse, plain: Warehouse, state: State, action: NDArray[Any]) -> NDArray[np.float64]:
    """Returns the Shapley values of one world, which must be those of all coalitions, less the difference rewards."""
    n = len(env.agents)
    expected, earned = by_all_coalitions(worth_in(plain), state, action, n)
    step = env.step(state, action)[1]
    assert step.counterfactual is not None
    found = step.team_reward[:, None].astype(float) - step.counterfactual
    np.testing.assert_allclose(found, expected, atol=1e-6)
    return (found - (earned[:, -1:] - earned[:, 2**n - 1 - 2 ** np.arange(n)]))[0]


def test_robots_that_may_be_free_at_once_divide_what_an_order_is_worth() -> None:
    """Robot 0 drives on; had it stopped, it would deliver and take the order that robot 1, on its way, gets now."""
    env, plain = (
        yard(2, continuous=True, dispatch="fifo", shaping=1.0, counterfactual=kind) for kind in ("shapley", "none")
    )
    station, face = target_at(env, 1, 1), target_at(env, 8, 5)
    state = begin(env, [(1.5, 1.5, 0.0), (8.5, 4.5, 0.0)], [(0, 10**6, face, station), (1, 10**6, face, station)])
    state.phase[0, 0], state.order[0, 0], state.goal[0, 0], state.order_status[0, 0] = TO_STATION, 0, station, TAKEN
    state.dwell[0, 0], state.head[0] = DWELL_STEPS - 1, 1
    state.body[0, 1, VX] = 1.0
    apart = compared(env, plain, state, np.array([[[1.0, 0.0], [1.0, 0.0]]]))
    assert np.abs(apart).min() > 5e-4


def test_a_group_that_gets_to_another_robot_in_some_coalition_only() -> None:
    """Robots 0 and 1 drive into each other and stay. Had 1 alone stopped, it would be pushed into 2 if that stopped."""
    env, plain = (yard(3, continuous=True, contact_charge=3.0, counterfactual=kind) for kind in ("shapley", "none"))
    state = begin(env, [(6.0 - BUMPER_GAP, 6.5, 0.0), (6.0, 6.5, math.pi), (6.02 + BUMPER_GAP, 6.5, 0.0)])
    state.body[0, 0, VX], state.body[0, 1, VX] = 1.0, -1.0
    apart = compared(env, plain, state, np.array([[[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]]]))
    assert abs(apart[2]) > 1e-3


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(
        ValueError, match="horizon is 2; counterfactual='shapley' divides the reward of one step: give 1"
    ):
        task("tiny-2", counterfactual="shapley", horizon=2)
    with pytest.raises(ValueError, match="orders is 3; each order comes with its reverse: give an even number"):
        task("tiny-2", counterfactual="shapley", orders=3)
