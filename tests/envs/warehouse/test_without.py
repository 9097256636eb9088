"""Counterfactuals that simulate only what changes equal, to the bit, stepping every world once for each robot."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from warehouse_scenes import BUMPER_GAP, begin, episode, random_action, target_at, task, yard

from envs.kit.counterfactual import without_each
from envs.warehouse import Warehouse, physics
from envs.warehouse.apart import TOGETHER, apart_of
from envs.warehouse.meetings import CROWD, find_partners, keep_apart
from envs.warehouse.physics import SUBSTEPS, VX, VY, Physics, X, Y
from envs.warehouse.state import NOBODY, TAKEN, TO_STATION, State
from envs.warehouse.steps import move
from envs.warehouse.without import gone
from envs.warehouse.work import DWELL_STEPS

BATTERY = {"battery": True, "battery_capacity": 0.1}
EPISODES: list[tuple[str, dict[str, Any], str, int]] = [
    ("tiny-2", {}, "chase", 60),
    ("small-4", {}, "random", 60),
    ("small-4", {"dispatch": "fifo", **BATTERY}, "together", 60),
    ("small-4", {"dispatch": "claim", **BATTERY}, "random", 60),
    ("corridor-6", {"orders_per_hour": 200.0, "backlog": 0}, "heuristic", 60),
    ("corridor-6", {}, "chase", 40),
    ("medium-8", {"contact_charge": 3.0, **BATTERY}, "chase", 40),
    ("medium-8", {"shaping": 0.0}, "heuristic", 60),
    ("large-16", {}, "together", 20),
    ("large-16", {}, "random", 20),
]


def _brute_force(env: Warehouse, state: State, action: np.ndarray) -> np.ndarray:
    """Returns the counterfactuals by stepping a plain environment, every world once for each robot."""
    plain = Warehouse(replace(env.config, counterfactual="none"))

    def advance(state: State, action: np.ndarray) -> tuple[State, np.ndarray]:
        after, step = plain.step(state, action)
        return after, step.team_reward

    def replaced(state: State, action: np.ndarray, copy: np.ndarray, robot: np.ndarray) -> None:
        action[copy, robot] = 0
        if env.config.counterfactual == "absent":
            state.alive[copy, robot] = False
            state.body[copy, robot] = 0.0
            state.body[copy, robot, X] = -100.0 - 3.0 * robot

    team_reward = plain.step(state, action)[1].team_reward
    n_robots, horizon = len(env.agents), env.config.horizon
    return without_each(advance, replaced, state, action, n_robots, horizon=horizon, team_reward=team_reward)


@pytest.mark.parametrize(("name", "change", "mode", "steps"), EPISODES)
def test_counterfactuals_have_the_bytes_of_brute_force(name, change, mode, steps):
    envs = [
        task(name, continuous=mode != "heuristic", counterfactual=default, horizon=horizon, **change)
        for default, horizon in (("stop", 1), ("absent", 1), ("stop", 3), ("absent", 3))
    ]
    compared, moment = np.zeros(3), 0  # robots with less, with the same and with more than G

    def visit(state: State, action: np.ndarray) -> None:
        nonlocal moment
        for env in envs:
            if env.config.horizon == 1 or moment % 20 == 19:
                step = env.step(state, action)[1]
                assert step.counterfactual is not None
                assert step.counterfactual.tobytes() == _brute_force(env, state, action).tobytes(), (env.config, moment)
                sign = np.sign(step.counterfactual - step.team_reward[:, None]).astype(int)
                compared[:] += [(sign == s).sum() for s in (-1, 0, 1)]
        moment += 1

    last = episode(name, change, mode, steps, visit)
    assert np.count_nonzero(compared) > 1
    if "battery" in change:
        assert not last.alive.all(), "some must have died"
        assert last.alive.any()


def test_nothing_is_counted_after_the_time_limit() -> None:
    """Two steps before the end, a horizon of four steps is one of two."""
    long, short = (task("small-4", counterfactual="stop", horizon=horizon, max_steps=10) for horizon in (4, 2))
    compared = 0

    def visit(state: State, action: np.ndarray) -> None:
        nonlocal compared
        left = long.max_steps - int(state.step[0])
        found = [np.asarray(env.step(state, action)[1].counterfactual) for env in (long, short)]
        assert np.array_equal(found[0], found[1]) == (left <= 2)
        compared += left <= 2

    episode("small-4", {"max_steps": 10}, "heuristic", 10, visit)
    assert compared == 2


def _start(env: Warehouse, state: State, action: np.ndarray) -> np.ndarray:
    """Returns the bodies (B, N, 6) at the beginning of the substeps."""
    return move(lambda body: body.copy(), state, env._targets(state, action)).start


def _apart(env: Warehouse, start: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the bodies of worlds (M, n, 6) of a few robots after the substeps, and their paths."""
    path = np.empty((*start.shape[:2], SUBSTEPS, 2))
    return apart_of(env.config.layout, start.shape[1]).advance(start, path), path


def _partner(env: Warehouse, path: np.ndarray, default_path: np.ndarray) -> np.ndarray:
    partner = np.empty(path.shape[:2], dtype=np.int64)
    find_partners(env.layout.blocked, path, default_path, partner)
    return partner


@pytest.mark.parametrize(("name", "mode"), [("corridor-6", "chase"), ("medium-8", "chase"), ("large-16", "random")])
def test_nobody_moves_differently_but_a_robot_and_its_partner(name, mode):
    env = task(name, continuous=True)
    n_robots = len(env.agents)
    shape = (6, n_robots, SUBSTEPS, 2)
    away = np.tile(gone(n_robots), (6, 1, 1))
    seen = {"in contact elsewhere": 0, "at a wall by default": 0, "pairs": 0, "pairs that meet others": 0, "crowd": 0}

    def visit(state: State, action: np.ndarray) -> None:
        start, stop = _start(env, state, action), _start(env, state, 0.0 * action)
        path = np.empty(shape)
        end = env._physics.advance(start, path)
        stopped, stop_path = (
            found.reshape(6, n_robots, *found.shape[2:]) for found in _apart(env, stop.reshape(-1, 1, 6))
        )
        for default, default_end, default_path in ((stop, stopped, stop_path), (away, away, np.full(shape, -100.0))):
            partner = _partner(env, path, default_path)
            world, robot = np.nonzero(partner != CROWD)
            copy, pair = np.arange(len(world)), np.stack([robot, partner[world, robot]], axis=1)
            mixed, expected = start[world], end[world]
            mixed[copy, robot], expected[copy, robot] = default[world, robot], default_end[world, robot]
            (two,) = np.nonzero(pair[:, 1] >= 0)
            if len(two):
                apart, row = np.empty(len(two), dtype=bool), two[:, None]
                expected[row, pair[two]], pair_path = _apart(env, mixed[row, pair[two]])
                keep_apart(env.layout.blocked, path, world[two], pair[two], pair_path, apart)
                known = np.ones(len(world), dtype=bool)
                known[two] = apart
                seen["pairs"] += int(apart.sum())
                seen["pairs that meet others"] += int((~apart).sum())
                mixed, expected, copy, robot = mixed[known], expected[known], copy[: known.sum()], robot[known]
            assert (env._physics.advance(mixed) == expected).all()
            seen["crowd"] += int((partner == CROWD).sum())
            hit = (expected[:, :, VX : VY + 1] != mixed[:, :, VX : VY + 1]).any(axis=2)
            seen["at a wall by default"] += int(hit[copy, robot].sum())
            hit[copy, robot] = False
            seen["in contact elsewhere"] += int(hit.sum())

    episode(name, {}, mode, 60, visit, worlds=6)
    print(name, seen)
    assert min(seen.values()) > 0


@pytest.mark.parametrize("n", [1, 2])
def test_robots_apart_move_as_if_each_group_had_a_space_of_its_own(n):
    env, rng = task("small-4"), np.random.default_rng(3)
    own, worlds = Physics(env.layout, n), 5 * TOGETHER
    start = np.zeros((worlds, n, 6))
    cells = env.layout.targets[rng.integers(env.layout.n_faces, size=worlds)]  # beside racks
    start[:, 0, X : Y + 1] = cells + rng.uniform(-0.35, 0.35, (worlds, 2))
    start[:, 1:, X : Y + 1] = start[:, :1, X : Y + 1] + rng.uniform(-0.5, 0.5, (worlds, n - 1, 2))
    start[:, :, VX:] = rng.uniform(-1.0, 1.0, (worlds, n, 3))
    end, path = _apart(env, start)
    again, _ = _apart(env, start[::-1].copy())
    fixed = np.ones(worlds, dtype=bool)
    if n == 2:
        keep_apart(env.layout.blocked, path, np.arange(worlds), np.tile([0, 1], (worlds, 1)), path, fixed)
    assert (end[fixed] == again[::-1][fixed]).all()
    hits = 0
    for world in np.flatnonzero(fixed):
        its_path = np.empty((1, n, SUBSTEPS, 2))
        assert (end[world] == own.advance(start[world : world + 1], its_path)[0]).all()
        assert (path[world] == its_path[0]).all()
        hits += int((end[world, :, VX:] != start[world, :, VX:]).any())
    assert TOGETHER < hits < worlds  # more than fit into one Space, but not all


def test_path_is_where_pymunk_has_the_robots_after_each_substep(monkeypatch):
    env = task("medium-8")
    state, _ = env.reset([0, 1])
    start = _start(env, state, np.ones(state.alive.shape, dtype=np.int64))
    start[1, 1, : Y + 1] = start[1, 0, : Y + 1] + 0.3  # the second world goes to pymunk
    path = np.empty((*state.alive.shape, SUBSTEPS, 2))
    end = env._physics.advance(start, path)
    assert end.tobytes() == env._physics.advance(start).tobytes()
    for s in range(SUBSTEPS):
        monkeypatch.setattr(physics, "SUBSTEPS", s + 1)
        shorter = Physics(env.layout, 8)
        for b in range(2):
            out = np.empty((8, 6))
            shorter.take().advance(start[b], out)
            assert (out[:, : Y + 1] == path[b, :, s]).all()


@pytest.mark.parametrize(
    ("places", "slide", "default", "expected"),
    [
        ([(5.0, 3.0), (8.0, 3.0), (8.0, 6.0)], 0.0, None, [NOBODY, NOBODY, NOBODY]),
        ([(5.0, 3.0), (5.6, 3.0), (8.0, 6.0)], 0.0, None, [1, 0, NOBODY]),
        ([(5.0, 3.0), (8.0, 3.0), (8.0, 6.0)], 0.0, (8.0, 3.5), [1, NOBODY, NOBODY]),  # by default only
        ([(5.0, 3.0), (5.6, 3.0), (8.0, 6.0)], 0.0, (8.0, 5.5), [CROWD, 0, NOBODY]),  # another one by default
        ([(5.0, 3.0), (8.0, 5.4), (8.0, 6.0)], 0.0, (8.0, 5.0), [CROWD, 2, 1]),  # one that has a partner
        ([(5.0, 3.0), (5.5, 3.3), (6.0, 3.0), (8.0, 6.0)], 0.0, None, [CROWD] * 4),  # three in a row
        ([(5.0, 1.3), (5.6, 1.3), (8.0, 6.0)], 0.0, None, [1, 0, NOBODY]),  # at a wall, but at rest
        ([(5.0, 1.3), (5.6, 1.3), (8.0, 6.0)], 0.03, None, [CROWD] * 3),  # sliding along a wall
        ([(5.0, 3.0), (5.6, 3.0), (8.0, 6.0)], 0.03, None, [1, 0, NOBODY]),  # sliding in the open
    ],
)
def test_partner_is_the_one_robot_that_is_touched_if_there_is_no_crowd(places, slide, default, expected):
    env = yard(len(places))
    path = np.repeat(np.array(places)[None, :, None], SUBSTEPS, axis=2)  # (1, N, S, 2)
    path[:, :, :, 0] += slide * np.arange(SUBSTEPS)
    default_path = path.copy()
    if default is not None:
        default_path[0, 0] = default
    assert _partner(env, path, default_path).tolist() == [expected]


@pytest.mark.parametrize(
    ("second", "slide", "expected"),
    [((5.6, 3.0), 0.0, True), ((5.6, 3.0), 0.03, True), ((7.5, 3.0), 0.0, False), ((5.6, 1.3), 0.03, False)],
)
def test_pair_is_apart_unless_it_touches_a_third_or_slides_along_a_wall(second, slide, expected):
    env = yard(3)
    path = np.repeat(np.array([(5.0, 1.3), (5.0, 3.0), (8.0, 3.0)])[None, :, None], SUBSTEPS, axis=2)
    pair_path = np.repeat(np.array([(5.0, second[1]), second])[None, :, None], SUBSTEPS, axis=2)
    pair_path[:, :, :, 0] += slide * np.arange(SUBSTEPS)
    apart = np.empty(1, dtype=bool)
    keep_apart(env.layout.blocked, path, np.array([0]), np.array([[0, 1]]), pair_path, apart)
    assert apart.tolist() == [expected]


def test_few_worlds_are_simulated_again(monkeypatch):
    env = task("large-16", counterfactual="stop")
    bodies: list[int] = []
    advance = env._physics.advance

    def counted(body: np.ndarray, path: np.ndarray | None = None) -> np.ndarray:
        if path is None:  # not the step itself
            bodies.append(len(body))
        return advance(body, path)

    monkeypatch.setattr(env._physics, "advance", counted)
    rng, (state, _) = np.random.default_rng(0), env.reset(range(4))
    for _ in range(60):
        state, _ = env.step(state, random_action(env, state, rng))
    share = sum(bodies) / (60 * 4 * 16)
    print(f"{share:.1%} of the counterfactuals were simulated")
    assert 0.0 < share < 0.1


def test_robot_that_does_its_default_anyway_has_the_teams_reward_to_the_bit():
    env = yard(2, continuous=True, counterfactual="stop", contact_charge=1.0, shaping=1.0)
    state = begin(env, [(4.0, 6.5, 0.0), (4.0 + BUMPER_GAP, 6.5, math.pi)])
    state.body[0, 1, VX] = -0.8  # robot 1 drives into robot 0, which stands
    step = env.step(state, np.array([[[0.0, 0.0], [1.0, 0.0]]]))[1]
    assert step.counterfactual is not None
    assert step.team_reward[0] < -0.1
    assert step.counterfactual[0, 0] == step.team_reward[0]
    assert step.counterfactual[0, 1] > step.team_reward[0]


@pytest.mark.parametrize(
    ("default", "speed"),
    [
        ("absent", 0.0),  # robot 0 delivers, and takes the order that robot 1 would get
        ("stop", 1.0),  # robot 0 drives on, and would deliver if it stopped
    ],
)
def test_robot_that_is_free_with_one_of_its_actions_changes_who_gets_an_order(default, speed):
    env = yard(2, continuous=True, counterfactual=default, dispatch="fifo", shaping=1.0)
    station, face = target_at(env, 1, 1), target_at(env, 8, 5)
    orders = [(0, 10**6, face, station), (1, 10**6, face, station)]
    state = begin(env, [(1.5, 1.5, 0.0), (8.5, 4.5, 0.0)], orders)
    state.phase[0, 0], state.order[0, 0], state.goal[0, 0], state.order_status[0, 0] = TO_STATION, 0, station, TAKEN
    state.dwell[0, 0], state.head[0] = DWELL_STEPS - 1, 1
    action = np.array([[[speed, 0.0], [0.0, 0.0]]])
    after, step = env.step(state, action)
    assert step.counterfactual is not None
    assert after.order[0].tolist() == ([1, NOBODY] if default == "absent" else [0, 1])
    assert step.counterfactual.tobytes() == _brute_force(env, state, action).tobytes()
    alone = step.team_reward[0] - step.reward[0, 0] if default == "absent" else step.team_reward[0] + 1.0
    assert abs(step.counterfactual[0, 0] - alone) > 0.01, "robot 1's reward must change as well"
