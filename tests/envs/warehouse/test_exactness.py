"""The step is a pure function: batches, replays, seeds, counterfactuals, to the last bit. And bad input is named."""

from __future__ import annotations

import gc
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from warehouse_scenes import YARD, begin, random_action, same_bytes, stop, task, yard

import envs
from envs.core import Step, put_worlds, take_worlds
from envs.warehouse import TASKS, Config, Warehouse
from envs.warehouse.physics import ANGLE, VX, X, Y
from envs.warehouse.state import SCHEDULE, State

CASES: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in TASKS if name != "huge-64"),
    ("small-4", {"dispatch": "claim"}),
    ("small-4", {"dispatch": "fifo", "battery": True, "battery_capacity": 0.1}),
    ("corridor-6", {"continuous": True}),
    ("small-4", {"counterfactual": "absent", "horizon": 2}),
]


def _row(step: Step, b: int) -> Step:
    """World b of a step, as a batch of one."""
    arrays = {name: value for name, value in step._asdict().items() if isinstance(value, np.ndarray)}
    metrics = {name: value[b : b + 1] for name, value in step.metrics.items()}
    return step._replace(metrics=metrics, **{name: value[b : b + 1] for name, value in arrays.items()})


def _episode(env: Warehouse, seed: int, steps: int) -> list[tuple[State, Step]]:
    """The states and steps of one world under random actions."""
    rng = np.random.default_rng(seed)
    episode = [env.reset([seed])]
    for _ in range(steps):
        state = episode[-1][0]
        episode.append(env.step(state, random_action(env, state, rng)))
    return episode


def _met(env: Warehouse, worlds: int = 2, steps: int = 25) -> tuple[State, np.ndarray]:
    """States after some random play, with the robots in motion, and an action to take there."""
    state, rng = env.reset(range(worlds))[0], np.random.default_rng(5)
    for _ in range(steps):
        state, _ = env.step(state, random_action(env, state, rng))
    return state, random_action(env, state, rng)


@pytest.mark.parametrize(("name", "change"), CASES)
def test_row_of_a_batch_equals_the_same_world_alone(name, change):
    env = task(name, **change)
    rng = np.random.default_rng(0)
    batch, step = env.reset([7, 8, 9])
    alone = [env.reset([seed]) for seed in (7, 8, 9)]
    for t in range(40):
        for b in range(3):
            assert same_bytes(take_worlds(batch, slice(b, b + 1)), alone[b][0]), (t, b)
            assert same_bytes(_row(step, b), alone[b][1]), (t, b)
        action = random_action(env, batch, rng)
        alone = [env.step(alone[b][0], action[b : b + 1]) for b in range(3)]
        batch, step = env.step(batch, action)


@pytest.mark.parametrize(("name", "change"), CASES)
def test_snapshot_replays_to_the_same_bytes_after_other_work(name, change):
    env = task(name, **change)
    episode = _episode(env, 1, 30)
    rng = np.random.default_rng(1)
    actions = []
    for state, _ in episode[:-1]:
        actions.append(random_action(env, state, rng))
    _episode(env, 2, 20)
    for t in np.random.default_rng(2).permutation(30):
        state, step = env.step(episode[t][0], actions[t])
        assert same_bytes(state, episode[t + 1][0])
        assert same_bytes(step, episode[t + 1][1])


@pytest.mark.parametrize(("name", "change"), CASES)
def test_same_seed_gives_the_same_episode_for_500_steps(name, change):
    first, second = _episode(task(name, **change), 3, 500), _episode(task(name, **change), 3, 500)
    for t, (one, other) in enumerate(zip(first, second, strict=True)):
        assert same_bytes(one, other), t
    assert first[-1][1].truncated.all()
    different = [task(name, **change).reset([seed])[0] for seed in (3, 4)]
    for field in ("body", "order_face", "order_release", "order_deadline"):
        assert not same_bytes(getattr(different[0], field), getattr(different[1], field))


def test_different_worlds_of_one_batch_differ():
    state, step = task("small-4").reset(range(20))
    assert len({row.tobytes() for row in step.obs}) == 20
    assert len({row.tobytes() for row in state.order_face}) == 20


@pytest.mark.parametrize(("name", "change"), CASES)
def test_step_mutates_neither_state_nor_action(name, change):
    env = task(name, **change)
    state, action = _met(env)
    kept, kept_action = State(*(value.copy() for value in state)), action.copy()
    after, _ = env.step(state, action)
    env.counterfactual(state, action)
    env.waypoints(state)
    assert same_bytes(state, kept)
    assert action.tobytes() == kept_action.tobytes()
    for name, old, new in zip(State._fields, state, after, strict=True):
        assert np.shares_memory(old, new) == (name in SCHEDULE), name


def test_worlds_can_be_taken_out_and_put_back():
    env = task("small-4")
    state, action = _met(env, worlds=3)
    whole, _ = env.step(state, action)
    part, _ = env.step(take_worlds(state, np.array([2, 0])), action[[2, 0]])
    assert same_bytes(put_worlds(whole, np.array([2, 0]), part), whole)


@pytest.mark.parametrize("horizon", [1, 3])
@pytest.mark.parametrize("default", ["stop", "absent"])
@pytest.mark.parametrize("name", ["small-4", "corridor-6"])
def test_counterfactuals_are_factored(name, default, horizon):
    env = task(name, counterfactual=default, horizon=horizon)
    state, action = _met(env)
    step = env.step(state, action)[1]
    assert step.counterfactual is not None
    assert (step.counterfactual != step.team_reward[:, None]).any()
    for i in range(len(env.agents)):
        other = action.copy()
        other[:, i] = (action[:, i] + 3) % 7
        other_step = env.step(state, other)[1]
        assert other_step.counterfactual is not None
        if horizon == 1:  # so D_i = G - counterfactual_i changes exactly as G does
            assert other_step.counterfactual[:, i].tobytes() == step.counterfactual[:, i].tobytes()
        change_of_d = (other_step.team_reward - other_step.counterfactual[:, i]) - (
            step.team_reward - step.counterfactual[:, i]
        )
        change_of_g = _return(env, state, other, horizon) - _return(env, state, action, horizon)
        np.testing.assert_allclose(change_of_d, change_of_g, atol=1e-6)


def _return(env: Warehouse, state: State, action: np.ndarray, steps: int) -> np.ndarray:
    """Returns what the team earns in some steps of the same action, by stepping."""
    plain = Warehouse(Config(**{**vars(env.config), "counterfactual": "none"}))
    total = np.zeros(len(action))
    for _ in range(steps):
        state, step = plain.step(state, action)
        total += step.team_reward
    return total


@pytest.mark.parametrize("horizon", [1, 3])
def test_counterfactual_stop_is_what_the_team_earns_when_the_robot_stops(horizon):
    env = task("small-4", counterfactual="stop", horizon=horizon)
    state, action = _met(env)
    step = env.step(state, action)[1]
    assert step.counterfactual is not None
    for i in range(4):
        stopped = action.copy()
        stopped[:, i] = 0
        difference = _return(env, state, action, horizon) - _return(env, state, stopped, horizon)
        np.testing.assert_allclose(step.team_reward - step.counterfactual[:, i], difference, atol=1e-6)
    np.testing.assert_array_equal(env.counterfactual(state, action), step.counterfactual)


@pytest.mark.parametrize("shaping", [0.0, 1.0])
@pytest.mark.parametrize("horizon", [1, 4])
def test_counterfactual_absent_is_what_a_smaller_team_earns(horizon, shaping):
    settings: dict[str, Any] = {"layout": YARD, "dispatch": "fifo", "orders_per_hour": 0.0, "backlog": 8}
    settings |= {"shaping": shaping, "contact_charge": 0.5}
    env = Warehouse(Config(n_robots=4, counterfactual="absent", horizon=horizon, **settings))
    smaller = Warehouse(Config(n_robots=3, **settings))
    state = env.reset([2, 3])[0]
    # Head-on in pairs, so that a missing robot matters to the other.
    state.body[:, :, X : Y + 1] = [[2.0, 6.5], [2.8, 6.5], [8.5, 4.0], [9.3, 4.0]]
    state.body[:, :, ANGLE] = [0.0, math.pi, 0.0, math.pi]
    state.body[:, :, VX] = [0.8, -0.8, 0.8, -0.8]
    action = np.ones((2, 4), dtype=np.int64)
    step = env.step(state, action)[1]
    assert step.counterfactual is not None
    robots = ("body", "alive", "phase", "goal", "order", "dwell", "free_since", "battery", "potential")
    robots += ("hit", "still_since", "anchor", "delivered")
    present = _return(env, state, action, horizon)
    for i in range(4):
        without = state._replace(**{name: np.delete(getattr(state, name), i, axis=1) for name in robots})
        expected = step.team_reward - (present - _return(smaller, without, np.delete(action, i, axis=1), horizon))
        np.testing.assert_allclose(step.counterfactual[:, i], expected, atol=1e-6)
    if not shaping:
        assert (step.counterfactual > step.team_reward[:, None]).all()  # each of them is only in the way


def test_counterfactual_of_a_dead_robot_is_that_of_an_obstacle():
    env = yard(2, battery=True, counterfactual="stop", continuous=True)
    state = begin(env, [(1.5, 6.5, 0.0), (8.5, 4.5, 0.0)])
    state = state._replace(alive=np.array([[False, True]]))
    _, step = env.step(state, np.array([[[math.nan, 9.0], [1.0, 0.0]]]))  # rows of the dead are ignored
    assert step.counterfactual is not None
    assert step.counterfactual[0, 0] == step.team_reward[0]


def test_robot_that_dies_within_the_horizon_brakes_there():
    env = yard(2, battery=True, continuous=True, counterfactual="stop", horizon=6, contact_charge=1.0)
    state = begin(env, [(2.5, 6.5, 0.0), (4.0, 6.5, math.pi)])
    state.body[0, 0, VX] = 0.3
    state.battery[:] = [[1e-9, 1.0]]
    action = np.array([[[1.0, 0.0], [0.0, 0.0]]])
    difference = _return(env, state, action, 6) - _return(env, state, 0.0 * action, 6)
    step = env.step(state, action)[1]
    assert step.counterfactual is not None
    np.testing.assert_allclose(step.team_reward - step.counterfactual[:, 0], difference, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"n_robots": 0}, r"n_robots=0.*1 to 1024"),
        ({"n_robots": 50}, r"n_robots=50 do not fit layout 'small'.*at most \d+ robots; take fewer"),
        ({"n_robots": 2.5}, "n_robots=2.5 is a float.*int"),
        ({"n_robots": "4"}, "n_robots='4' is a str"),
        ({"n_robots": True}, "n_robots=True is a bool"),
        ({"max_steps": 0}, "max_steps=0.*1 to"),
        ({"max_steps": math.nan}, "max_steps=nan"),
        ({"n_rays": 0}, "n_rays=0"),
        ({"n_neighbors": -1}, "n_neighbors=-1"),
        ({"horizon": 0}, "horizon=0"),
        ({"horizon": 1.5}, "horizon=1.5"),
        ({"orders_per_hour": -1.0}, "orders_per_hour=-1.0"),
        ({"orders_per_hour": math.inf}, "orders_per_hour=inf"),
        ({"rush": 3.1}, "rush=3.1.*1 to 3"),
        ({"deadline": 0.0}, "deadline=0.0"),
        ({"shaping": None}, "shaping=None"),
        ({"shaping_gamma": 1.1}, "shaping_gamma=1.1.*0 to 1"),
        ({"contact_charge": -0.1}, "contact_charge=-0.1"),
        ({"dispatch": "farthest"}, "dispatch='farthest'.*nearest, fifo, claim"),
        ({"counterfactual": "clone"}, "counterfactual='clone'.*none, stop, absent"),
        ({"layout": "smal"}, "'smal' is not known.*small"),
        ({"layout": 3}, "layout=3 is a int.*str"),
        ({"layout": YARD.replace("C", "."), "battery": True}, "battery=True needs a charger C"),
        ({"battery": "yes"}, "battery='yes'"),
        ({"n_robot": 3}, "n_robot.*did you mean 'n_robots'"),
        ({"task": "small-5"}, "small-5.*did you mean 'small-4'"),
    ],
)
def test_bad_argument_is_named_with_what_is_allowed(change, says):
    with pytest.raises(ValueError, match=r"(?s)" + says):
        envs.make("warehouse", **change)


@pytest.mark.parametrize("field", ["orders_per_hour", "deadline", "contact_limit", "battery_capacity", "lidar_range"])
def test_largest_value_allowed_works(field):
    from envs.warehouse import config

    (high,) = [high for name, _, high in config._RANGES if name == field]
    env = task("tiny-2", max_steps=2, **{field: high})
    state, _ = env.reset([0])
    _, step = env.step(state, stop(env, state))
    assert np.isfinite(step.obs).all()
    assert (state.order_deadline > state.order_release).all()


@pytest.mark.parametrize(
    ("action", "says"),
    [
        (np.zeros((1, 3), dtype=int), r"int64\[1, 3\].*\[1, 4\]"),
        (np.zeros(4, dtype=int), r"int64\[4\].*\[1, 4\]"),
        (np.zeros((1, 4)), r"float64.*integers"),
        (np.zeros((1, 4), dtype=bool), r"bool.*integers"),
        (np.array([[0, 1, 7, 2]]), r"action 7 is outside Discrete\(7\).*0 to 6"),
        (np.array([[0, -1, 0, 2]]), r"action -1 is outside"),
        ([["a", "b", "c", "d"]], "integers"),
        (None, "integers"),
    ],
)
def test_bad_discrete_action_is_refused(action, says):
    env = task("small-4")
    state, _ = env.reset([0])
    with pytest.raises(ValueError, match=says):
        env.step(state, action)


@pytest.mark.parametrize(
    ("place", "value", "says"),
    [
        ((0, 1, 0), 1.01, r"1\.01.*outside Box\(-1, 1\)"),
        ((0, 2, 1), -1.5, r"outside Box"),
        ((0, 0, 0), math.nan, r"nan.*finite"),
        ((0, 0, 1), math.inf, r"inf.*finite"),
        ((0, 3, 0), -math.inf, r"-inf.*finite"),
    ],
)
def test_bad_continuous_action_is_refused(place, value, says):
    env = task("small-4", continuous=True)
    state, _ = env.reset([0])
    action = np.zeros((1, 4, 2))
    env.step(state, action)
    action[place] = value
    with pytest.raises(ValueError, match=says):
        env.step(state, action)
    with pytest.raises(ValueError, match=r"\[1, 4, 2\]"):
        env.step(state, np.zeros((1, 4)))


def test_actions_of_the_dead_are_ignored():
    env = task("small-4")
    state, _ = env.reset([0])
    state = state._replace(alive=np.array([[True, False, True, True]]))
    results = [env.step(state, np.array([[1, other, 2, 3]])) for other in (0, 5, 99, -4)]
    assert all(same_bytes(result, results[0]) for result in results)


def _resident() -> int:
    """Bytes of memory this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads Linux's /proc")
def test_memory_stays_level_over_200_000_world_steps():
    env, rng = task("medium-8"), np.random.default_rng(0)
    state, _ = env.reset(range(64))
    held = []
    for t in range(4000):
        if t % 500 == 0:
            state, _ = env.reset(range(64 * t, 64 * t + 64))
        if t >= 800 and t % 400 == 0:
            gc.collect()
            held.append(_resident())
        state, _ = env.step(state, random_action(env, state, rng))
    gc.collect()
    growth = (_resident() - held[0]) / 2**20
    print(f"resident size grew by {growth:.2f} MiB over {(4000 - 800) * 64} world-steps")
    assert growth < 8.0
