"""Observations and adjacency of robots: lidar against a march in small steps, frames, order, range and locality."""

from __future__ import annotations

import math

import numpy as np
import pytest
from warehouse_scenes import begin, gap_to_walls, moved, random_action, stop, target_at, task, with_values, yard

from envs.warehouse import TASKS, Config, Warehouse
from envs.warehouse.observe import (
    GOAL_SCALE,
    OWN,
    PER_NEIGHBOR,
    PER_ORDER,
    ROUTE_SCALE,
    STATE_GLOBAL,
    STATE_PER_ORDER,
    STATE_PER_ROBOT,
)
from envs.warehouse.physics import ANGLE, RADIUS, TOP_SPEED, VX, VY, X, Y
from envs.warehouse.state import DELIVERED, IDLE, NOBODY, TO_STATION, WAITING, State

FAR = 10**6
HINT = slice(10, 14)
"""Entries of the static shortest route."""
OPEN_FLOOR = "\n".join(["#" * 30, *["#" + "." * 28 + "#"] * 24, "#R" + "." * 26 + "S#", "#" * 30])


def _look(env: Warehouse, state: State):
    """The next state and step of worlds in which all robots stand still."""
    after, step = env.step(state, stop(env, state))
    return after, step


def _lidar(env: Warehouse, obs: np.ndarray) -> np.ndarray:
    return obs[..., OWN : OWN + env.config.n_rays]


def _neighbors(env: Warehouse, obs: np.ndarray) -> np.ndarray:
    base = OWN + env.config.n_rays
    size = env.config.n_neighbors * PER_NEIGHBOR
    return obs[..., base : base + size].reshape(*obs.shape[:-1], env.config.n_neighbors, PER_NEIGHBOR)


def _turned(xy: np.ndarray, angle: float) -> np.ndarray:
    c, s = math.cos(angle), math.sin(angle)
    return np.stack([c * xy[..., 0] - s * xy[..., 1], s * xy[..., 0] + c * xy[..., 1]], axis=-1)


@pytest.mark.parametrize("name", ["tiny-2", "small-4", "corridor-6"])
def test_lidar_agrees_with_a_march_in_small_steps(name):
    env = task(name)
    state, rng, stride = env.reset([4])[0], np.random.default_rng(0), 0.002
    for _ in range(10):
        state, _ = env.step(state, random_action(env, state, rng))
    state, step = _look(env, state)
    reach = env.config.lidar_range
    along = np.arange(0.0, reach + stride, stride)  # (L,)
    for i, (x, y, angle) in enumerate(state.body[0, :, :3]):
        others = np.delete(state.body[0, :, :2], i, axis=0)
        for r in range(env.config.n_rays):
            direction = angle + 2.0 * math.pi * r / env.config.n_rays
            points = np.array([x, y]) + along[:, None] * np.array([math.cos(direction), math.sin(direction)])
            hit = gap_to_walls(env, points) == 0.0
            hit |= (np.linalg.norm(points[:, None] - others[None], axis=2) < RADIUS).any(axis=1)
            far = along[hit][0] if hit.any() else reach
            assert _lidar(env, step.obs)[0, i, r] * reach == pytest.approx(min(far, reach), abs=2 * stride)


def test_lidar_sees_walls_racks_and_robots_at_known_distances():
    env = yard(2, n_rays=4, lidar_range=20.0)
    # In the lower aisle, rays ahead, left, back, right: end wall, long rack, end wall, short rack.
    _, step = _look(env, begin(env, [(2.5, 4.5, 0.0), (1.5, 6.5, 0.0)]))
    np.testing.assert_allclose(_lidar(env, step.obs)[0, 0] * 20.0, [8.5, 0.5, 1.5, 0.5], atol=1e-5)
    # Upwards past the rack's end, another robot two metres on.
    _, step = _look(env, begin(env, [(1.5, 4.5, math.pi / 2), (1.5, 6.5, 0.0)]))
    assert _lidar(env, step.obs)[0, 0, 0] * 20.0 == pytest.approx(2.0 - RADIUS, abs=1e-5)


def test_neighbours_are_nearest_first_in_the_robots_own_frame():
    env = Warehouse(Config(layout=OPEN_FLOOR, n_robots=6, n_neighbors=3, sensing_range=6.0, continuous=True))
    rng = np.random.default_rng(3)
    state = begin(env, [(15.0 + 8 * x, 13.0 + 8 * y, 6 * a) for x, y, a in rng.uniform(-0.5, 0.5, (6, 3))])
    state.body[0, :, VX:] = rng.uniform(-0.5, 0.5, (6, 3))
    state, step = env.step(state, rng.uniform(-1, 1, (1, 6, 2)))
    place, velocity = state.body[0, :, :2], state.body[0, :, VX : VY + 1]
    for i in range(6):
        apart = np.linalg.norm(place - place[i], axis=1)
        near = [j for j in np.argsort(apart) if j != i and apart[j] <= 6.0][:3]
        rows = _neighbors(env, step.obs)[0, i]
        angle = -state.body[0, i, ANGLE]
        for row, j in zip(rows, near, strict=False):
            np.testing.assert_allclose(row[1:3], _turned(place[j] - place[i], angle) / 6.0, atol=1e-6)
            np.testing.assert_allclose(
                row[3:5], _turned(velocity[j] - velocity[i], angle) / (2.0 * TOP_SPEED), atol=1e-6
            )
            heading = state.body[0, j, ANGLE] + angle
            np.testing.assert_allclose(row[5:7], [math.cos(heading), math.sin(heading)], atol=1e-6)
            assert (row[0], row[10]) == (1.0, 1.0 if j < i else -1.0)
        assert (rows[len(near) :] == 0.0).all()


def test_neighbour_out_of_range_is_not_sensed_and_a_dead_one_is_marked():
    env = yard(2, sensing_range=3.0)
    for far, seen in ((2.99, True), (3.01, False)):
        _, step = _look(env, begin(env, [(1.5, 6.5, 0.0), (1.5 + far, 6.5, 0.0)]))
        assert _neighbors(env, step.obs)[0, :, 0, 0].tolist() == [float(seen)] * 2
    state = with_values(begin(env, [(1.5, 6.5, 0.0), (3.5, 6.5, 0.0)]), alive=[True, False])
    _, step = _look(env, state)
    assert _neighbors(env, step.obs)[0, 0, 0, 0] == -1.0
    assert (step.obs[0, 1] == 0.0).all()
    assert (step.state[0, STATE_PER_ROBOT : 2 * STATE_PER_ROBOT] == 0.0).all()


def test_neighbour_shows_load_and_next_waypoint():
    env = yard(2, sensing_range=5.0)
    station = target_at(env, 4, 1)
    state = begin(env, [(9.5, 4.5, 0.0), (9.5, 6.5, 0.0)], [(0, FAR, target_at(env, 3, 6), station)])
    state = with_values(state, phase=[IDLE, TO_STATION], order=[NOBODY, 0], goal=[NOBODY, station], order_status=[1])
    state, step = _look(env, state)
    row = _neighbors(env, step.obs)[0, 0, 0]
    assert row[5] == 1.0
    way = env.waypoints(state)[0]
    np.testing.assert_allclose(row[8:10], (way[1, :2] - state.body[0, 0, :2]) / 5.0, atol=1e-6)
    np.testing.assert_array_equal(way[0], [9.5, 4.5, 0.0])  # nowhere to go


def test_moving_the_whole_scene_changes_no_observation():
    env = Warehouse(Config(layout=OPEN_FLOOR, n_robots=4, lidar_range=4.0, sensing_range=5.0, n_rays=8))
    rng = np.random.default_rng(1)
    offsets = np.array([[0.0, 0.0], [1.3, 0.4], [-0.8, 1.9], [0.2, -2.1]])
    headings = rng.uniform(-3.0, 3.0, 4)
    seen = []
    for (x, y), turn in (((13.0, 12.0), 0.0), ((16.2, 13.7), 0.0), ((13.0, 12.0), 0.9), ((14.1, 11.0), -2.2)):
        place = np.array([x, y]) + _turned(offsets, turn)
        _, step = _look(env, begin(env, [(*p, h + turn) for p, h in zip(place, headings, strict=True)]))
        seen.append(step.obs)
    for other in seen[1:]:
        np.testing.assert_allclose(other, seen[0], atol=1e-5)
    assert np.abs(_neighbors(env, seen[0])).max() > 0.1


def test_turning_a_robot_turns_what_it_senses():
    env = yard(2, n_rays=8)
    orders = [(0, FAR, target_at(env, 3, 6), target_at(env, 4, 1))]
    poses = [(9.5, 4.5), (10.5, 6.5)]
    seen = []
    for heading in (0.3, 0.3 + math.pi / 2):  # a quarter turn is two of eight rays
        state, _ = _look(env, begin(env, [(*poses[0], heading), (*poses[1], 0.0)], orders))
        seen.append(_look(env, state)[1].obs[0, 0])
    np.testing.assert_allclose(_lidar(env, seen[1]), np.roll(_lidar(env, seen[0]), -2), atol=1e-5)
    for start in (8, 11):
        np.testing.assert_allclose(
            seen[1][start : start + 2], _turned(seen[0][start : start + 2], -math.pi / 2), atol=1e-6
        )
    np.testing.assert_allclose(
        _neighbors(env, seen[1])[0, 1:3], _turned(_neighbors(env, seen[0])[0, 1:3], -math.pi / 2), atol=1e-6
    )


def test_own_entries_say_where_the_goal_is():
    env = yard(1)
    face = target_at(env, 3, 6)
    state, _ = _look(env, begin(env, [(8.5, 6.5, math.pi)], [(0, FAR, face, target_at(env, 4, 1))]))
    own = _look(env, state)[1].obs[0, 0, :OWN]
    assert own[[0, 1, 2, 4, 6]].tolist() == [0.0, 0.0, 0.0, 0.0, 0.0]
    assert own[5] == 1.0  # it has somewhere to go
    assert own[7] == pytest.approx(5.0 / (5.0 + GOAL_SCALE))
    assert own[10] == pytest.approx(5.0 / (5.0 + ROUTE_SCALE))
    np.testing.assert_allclose(own[[8, 9, 11, 12]], [1.0, 0.0, 1.0, 0.0], atol=1e-6)  # straight ahead
    idle = _look(env, begin(env, [(8.5, 6.5, math.pi)]))[1].obs[0, 0, :OWN]
    assert (idle[4:] == 0.0).all()


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("change", [{}, {"dispatch": "claim", "battery": True, "battery_capacity": 0.05, "n_rays": 5}])
def test_everything_lies_in_its_box_and_the_dead_sense_nothing(name, change):
    env = task(name, **change)
    rng, n_robots = np.random.default_rng(0), len(env.agents)
    state, step = env.reset([1, 2])
    for _ in range(60):
        assert (np.abs(step.obs) <= 1.0).all()
        assert (np.abs(step.state) <= 1.0).all()
        assert step.obs.dtype == step.state.dtype == np.float32
        assert (step.obs[~step.alive] == 0.0).all()
        assert not (step.obs[step.alive] == 0.0).all(axis=1).any()
        assert step.state.shape == (
            2,
            STATE_PER_ROBOT * n_robots + STATE_PER_ORDER * env.config.n_orders + STATE_GLOBAL,
        )
        assert not step.adjacency[~step.alive].any()
        state, step = env.step(state, random_action(env, state, rng))
    if change:
        assert not step.alive.all()


@pytest.mark.parametrize("dispatch", ["nearest", "claim"])
def test_without_the_route_hint_exactly_its_entries_are_missing(dispatch):
    env, blind = (task("small-4", dispatch=dispatch, route_hint=hint) for hint in (True, False))
    rng = np.random.default_rng(0)
    state, step = env.reset([1])
    hinted = 0.0
    for _ in range(40):
        action = random_action(env, state, rng)
        without = blind.step(state, action)[1]
        state, step = env.step(state, action)
        assert (without.obs[:, :, HINT] == 0.0).all()
        hinted = max(hinted, np.abs(step.obs[:, :, HINT]).max())
        end = OWN + env.config.n_rays + PER_NEIGHBOR * env.config.n_neighbors  # then orders, which `claim` points to
        others = np.delete(np.arange(end), HINT)
        np.testing.assert_array_equal(without.obs[:, :, others], step.obs[:, :, others])
        np.testing.assert_array_equal(without.state, step.state)
    assert hinted > 0.5 or dispatch == "claim"


@pytest.mark.parametrize("dispatch", ["nearest", "claim"])
def test_a_robot_may_observe_where_it_is(dispatch):
    plain, env = (task("small-4", dispatch=dispatch, position=position) for position in (False, True))
    assert not hasattr(plain, "pose")
    rng = np.random.default_rng(0)
    state, step = env.reset([1, 2])
    for _ in range(20):
        action = random_action(env, state, rng)
        without = plain.step(state, action)[1]
        state, step = env.step(state, action)
        np.testing.assert_array_equal(step.obs[:, :, :-4], without.obs)
        np.testing.assert_allclose(step.obs[:, :, env.pose] * env.pose_scale, state.body[:, :, [X, Y]], rtol=1e-6)
        angle = np.arctan2(step.obs[:, :, -1], step.obs[:, :, -2])
        np.testing.assert_allclose(np.cos(angle - state.body[:, :, ANGLE]), 1.0, atol=1e-6)
        assert env.observation_space.contains(step.obs[0, 0])


def test_claim_shows_the_oldest_open_orders():
    env = yard(1, dispatch="claim", n_orders=2)
    station = target_at(env, 4, 1)
    faces = [target_at(env, x, 6) for x in (2, 3, 4)]
    orders = [(0, 301, faces[0], station), (0, 151, faces[1], station), (2, 76, faces[2], station)]
    state = begin(env, [(8.5, 6.5, math.pi)], orders)
    moments = [([0, 2, 0], [0]), ([0, 2, 0], [0, 2]), ([0, 0, 0], [0, 1]), ([2, 2, 0], [2]), ([2, 2, 2], [])]
    for t, (status, shown) in enumerate(moments, 1):
        state, step = _look(env, with_values(state, order_status=[WAITING if s == 0 else DELIVERED for s in status]))
        rows = step.obs[0, 0, -2 * PER_ORDER :].reshape(2, PER_ORDER)
        assert rows[:, 0].tolist() == [1.0] * len(shown) + [0.0] * (2 - len(shown))
        for row, k in zip(rows, shown, strict=False):
            length = 8.5 - env.layout.targets[faces[k], 0]  # straight along the aisle, dead ahead
            np.testing.assert_allclose(row[1:4], [1.0, 0.0, length / (length + ROUTE_SCALE)], atol=1e-6)
            assert row[5] == pytest.approx(min((orders[k][1] - t) * 0.2 / 60.0, 1.0))
        assert (rows[len(shown) :] == 0.0).all()


def test_robots_hear_each_other_within_range():
    env = task("large-16", comm_range=5.0)
    state, rng = env.reset([1, 2])[0], np.random.default_rng(0)
    alive = rng.random((2, 16)) < 0.8
    state, step = _look(env, state._replace(alive=alive))
    place = state.body[:, :, :2]
    apart = np.linalg.norm(place[:, :, None] - place[:, None], axis=3)
    expected = (apart <= 5.0) & alive[:, :, None] & alive[:, None] & ~np.eye(16, dtype=bool)
    np.testing.assert_array_equal(step.adjacency, expected)
    np.testing.assert_array_equal(env.adjacency(state), expected)
    assert expected.any()
    assert not expected.all()


def test_racks_block_hearing_if_they_are_to():
    open_air, blocked = task("large-16", comm_range=8.0), task("large-16", comm_range=8.0, comm_blocked=True)
    state = open_air.reset([1])[0]
    heard, muffled = open_air.adjacency(state), blocked.adjacency(state)
    np.testing.assert_array_equal(muffled, muffled.transpose(0, 2, 1))
    assert not (muffled & ~heard).any()
    share = np.linspace(0.0, 1.0, 1001)[:, None]
    for b, i, j in np.argwhere(heard):
        line = state.body[b, i, :2] + share * (state.body[b, j, :2] - state.body[b, i, :2])
        depth = (gap_to_walls(open_air, line) == 0.0).sum()
        if depth == 0 or depth > 5:  # else the line grazes a corner
            assert muffled[b, i, j] == (depth == 0)
    assert (heard & ~muffled).sum() > 10


def test_what_happens_out_of_range_is_not_sensed():
    env = task("huge-64", dispatch="fifo", sensing_range=4.0, lidar_range=4.0, comm_range=4.0)
    state, _ = env.reset([1])
    me = int(np.argmin(state.body[0, :, X]))
    apart = np.linalg.norm(state.body[0, :, :2] - state.body[0, me, :2], axis=1)
    far = apart > 8.0
    assert far.sum() > 20
    rng = np.random.default_rng(0)
    body = state.body.copy()
    body[0, far, X : Y + 1] += rng.uniform(-0.1, 0.1, (int(far.sum()), 2))
    body[0, far, ANGLE] = rng.uniform(-3.0, 3.0, int(far.sum()))
    battery, goal = state.battery.copy(), state.goal.copy()
    battery[0, far] *= 0.5
    goal[0, far & (goal[0] != NOBODY)] = 0
    for changed in (state._replace(body=body), state._replace(goal=goal), state._replace(battery=battery)):
        seen, other = (_look(env, world)[1].obs[0] for world in (state, changed))
        assert seen[me].tobytes() == other[me].tobytes()
        assert (seen[far] != other[far]).any()


def test_far_robot_that_is_moved_next_door_is_sensed():
    env = yard(2, sensing_range=4.0, lidar_range=4.0)
    state = begin(env, [(1.5, 6.5, 0.0), (10.5, 6.5, 0.0)])
    before, after = (_look(env, world)[1].obs[0, 0] for world in (state, moved(state, 1, 3.5, 6.5)))
    assert (_neighbors(env, before) == 0.0).all()
    assert (_neighbors(env, after)[0] != 0.0).any()
    assert _lidar(env, after)[0] < _lidar(env, before)[0]


def test_a_robot_knows_how_long_it_has_been_held_up():
    env = yard(1)
    state = begin(env, [(5.5, 1.5, 0.0)], [(0, FAR, 0, env.layout.n_faces)])
    for k in range(1, 60):
        state, step = env.step(state, stop(env, state))
        assert state.order[0, 0] == 0
        seconds = 0.2 * (k - 1)  # before its first step it had nowhere to go
        assert step.obs[0, 0, 14] == pytest.approx(seconds / (seconds + 5.0), abs=1e-6)
    for _ in range(4):
        state, _ = env.step(state, np.array([[1]]))  # forward
    _, step = env.step(state, np.array([[1]]))
    assert step.obs[0, 0, 14] < 0.2
