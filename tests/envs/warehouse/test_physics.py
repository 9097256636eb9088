"""Motion and contact: closed forms where there are any, and robots that try hard to drive through things."""

from __future__ import annotations

import math

import numpy as np
import pytest
from warehouse_scenes import BUMPER_GAP, begin, gap_to_walls, moved, random_action, stop, target_at, task, yard

from envs.warehouse import Warehouse, chipmunk, layout, physics
from envs.warehouse.physics import (
    ANGLE,
    BUMPER,
    CHASSIS_RADIUS,
    CONTROL_STEP,
    FRICTION,
    GRAVITY,
    INERTIA,
    LOAD_MASS,
    MASS,
    MOTOR_FORCE,
    RADIUS,
    SUBSTEPS,
    TOP_SPEED,
    TOP_TURN_RATE,
    TRACTION,
    TURN_ACCELERATION,
    TURN_RATE,
    VX,
    VY,
    Physics,
    X,
    Y,
    physics_of,
)
from envs.warehouse.state import TO_STATION, State

WITHIN_STEP = 0.02
"""Largest overlap of a chassis at one of the substeps, before pymunk has pushed it out again [m]."""
HALL = """
####################
#..................#
#..................#
#..................#
#..................#
#..................#
#..................#
#.......R..........#
#..................#
#..................#
#..................#
#..................#
#..R...............#
#..R...............#
#..R......S......C.#
####################
"""
"""Much room: the floor is 1 to 19 m by 1 to 15 m."""


def _hall(n_robots: int) -> Physics:
    return Physics(layout.load(HALL), n_robots)


def _all_to_pymunk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Takes the short cut for worlds without contacts away."""
    glide = physics.glide

    def spoiled(blocked: np.ndarray, before: np.ndarray, after: np.ndarray, touched: np.ndarray) -> None:
        glide(blocked, before, after, touched)
        after[:], touched[:] = np.nan, True

    monkeypatch.setattr(physics, "glide", spoiled)


def _row(x: float, y: float, vx: float, vy: float, turn: float = 0.0, heading: float = 0.0) -> list[float]:
    return [x, y, heading, vx, vy, turn]


@pytest.mark.parametrize(("speed", "turn"), [(0.4, 0.5), (0.4, -0.9), (-0.3, 0.4), (0.3, 0.0)])
def test_free_motion_ends_exactly_where_the_arc_does(speed, turn):
    env = yard(1, continuous=True)
    heading = 0.4
    state = begin(env, [(8.5, 4.0, heading)])
    v, w = speed * TOP_SPEED, turn * TOP_TURN_RATE
    state.body[0, 0, VX:] = v * math.cos(heading), v * math.sin(heading), w
    for _ in range(7):
        state, _ = env.step(state, np.array([[[speed, turn]]]))
    angle = heading + w * 7 * CONTROL_STEP
    if turn:
        dx, dy = v / w * (math.sin(angle) - math.sin(heading)), v / w * (math.cos(heading) - math.cos(angle))
    else:
        dx, dy = v * 7 * CONTROL_STEP * math.cos(heading), v * 7 * CONTROL_STEP * math.sin(heading)
    expected = [8.5 + dx, 4.0 + dy, angle, v * math.cos(angle), v * math.sin(angle), w]
    np.testing.assert_allclose(state.body[0, 0], expected, atol=1e-9)


@pytest.mark.parametrize("loaded", [False, True])
def test_speed_and_turn_rate_grow_as_the_motors_allow(loaded):
    env = yard(1, continuous=True)
    state = begin(env, [(1.5, 6.5, 0.0)], [(0, 10**6, target_at(env, 3, 6), target_at(env, 8, 1))])
    if loaded:
        state.phase[:], state.order[:], state.goal[:], state.order_status[:] = TO_STATION, 0, target_at(env, 8, 1), 1
    gain = MOTOR_FORCE / (MASS + (LOAD_MASS if loaded else 0.0)) * CONTROL_STEP
    for n in range(1, 6):
        state, _ = env.step(state, np.array([[[1.0, 0.0]]]))
        assert state.body[0, 0, VX] == pytest.approx(min(n * gain, TOP_SPEED), abs=1e-12)
    turning, _ = env.step(begin(env, [(8.5, 4.0, 0.0)]), np.array([[[0.0, -1.0]]]))
    assert turning.body[0, 0, TURN_RATE] == pytest.approx(-min(TURN_ACCELERATION * CONTROL_STEP, TOP_TURN_RATE))


@pytest.mark.parametrize("share", [0.5, 1.5])
def test_sideways_slip_dies_within_the_traction_of_the_tyres(share):
    env = yard(1)
    state = begin(env, [(8.5, 4.5, 0.0)])
    grip = TRACTION * GRAVITY * CONTROL_STEP
    state.body[0, 0, VY] = share * grip
    state, _ = env.step(state, stop(env, state))
    np.testing.assert_allclose(state.body[0, 0, VX:], [0.0, max(share - 1.0, 0.0) * grip, 0.0], atol=1e-12)


def test_headings_stay_within_half_a_turn():
    env = yard(1, continuous=True)
    state = begin(env, [(8.5, 4.5, 0.0)])
    for _ in range(40):
        state, _ = env.step(state, np.array([[[0.0, 1.0]]]))
        assert -math.pi <= state.body[0, 0, ANGLE] < math.pi


@pytest.mark.parametrize("offset", [0.0, 0.25, 0.5])
def test_collision_of_two_robots_keeps_momentum_and_loses_energy(offset):
    before = np.array([[_row(10.0, 4.0, 1.0, 0.0), _row(10.0 + 1.5 * BUMPER_GAP, 4.0 + offset, -0.6, 0.0)]])
    body = before
    for _ in range(5):
        body = _hall(2).advance(body)
    np.testing.assert_allclose(body[0, :, VX : VY + 1].sum(axis=0), before[0, :, VX : VY + 1].sum(axis=0), atol=1e-12)
    speed = (body[0, :, VX : VY + 1] ** 2).sum()
    assert speed < 0.9 * (before[0, :, VX : VY + 1] ** 2).sum()
    normal = body[0, 1, :2] - body[0, 0, :2]
    approach = (body[0, 1, VX : VY + 1] - body[0, 0, VX : VY + 1]) @ normal
    assert approach > -1e-9
    if offset == 0.0:  # head-on: no rebound, so both go on at the mean of their velocities
        np.testing.assert_allclose(body[0, :, VX : VY + 1], [[0.2, 0.0], [0.2, 0.0]], atol=1e-9)


@pytest.mark.parametrize("along", [0.5, 1.0])
@pytest.mark.parametrize("into", [0.05, 0.3, 0.9])
def test_oblique_contact_with_a_wall_obeys_coulomb(along, into):
    body = np.array([[_row(5.0, 1.0 + RADIUS + 0.02, along, -into)]])
    hall = _hall(1)
    for _ in range(4):
        body = hall.advance(body)
    normal = MASS * (body[0, 0, VY] + into)
    tangential = MASS * (along - body[0, 0, VX])
    assert normal == pytest.approx(MASS * into, rel=1e-6)  # no rebound
    assert 0.0 < tangential <= FRICTION * normal * (1.0 + 1e-9)
    rolling = MASS * along / (1.0 + MASS * RADIUS**2 / INERTIA)  # what it takes until the disc rolls
    assert tangential == pytest.approx(min(FRICTION * normal, rolling), rel=1e-3)
    assert INERTIA * abs(body[0, 0, TURN_RATE]) == pytest.approx(RADIUS * tangential, rel=0.05)


def test_contact_is_felt_as_the_change_of_momentum():
    env = yard(2, continuous=True, contact_charge=1.0)
    state = begin(env, [(1.5, 2.5, math.pi), (8.5, 4.5, 0.0)])
    state.body[0, 0, X], state.body[0, 0, VX] = 1.0 + RADIUS + 0.02, -0.8
    _, step = env.step(state, np.array([[[0.8, 0.0], [0.0, 0.0]]]))
    assert step.reward[0].tolist() == pytest.approx([-0.8 / TOP_SPEED, 0.0], abs=1e-6)
    assert step.metrics["contacts"][0] == 1


def _drive(env: Warehouse, mode: str, state: State, hold: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Returns full-speed actions: `random` jumps, `chase` one point, or drive all `together` in one direction."""
    if mode == "random":
        return np.where(rng.random(hold.shape) < 0.1, rng.choice([-1.0, 1.0, 1.0], hold.shape), hold)
    ahead = hold[:, :, :2] - state.body[:, :, :2] if mode == "chase" else hold[:, :, :2]
    off = np.arctan2(ahead[:, :, 1], ahead[:, :, 0]) - state.body[:, :, ANGLE]
    off = np.mod(off + math.pi, 2.0 * math.pi) - math.pi
    return np.stack([np.where(np.abs(off) < 1.0, 1.0, 0.0), np.clip(2.0 * off, -1.0, 1.0)], axis=2)


@pytest.mark.parametrize("mode", ["random", "chase", "together"])
@pytest.mark.parametrize("name", ["tiny-2", "small-4", "corridor-6", "medium-8", "large-16"])
def test_no_robot_drives_through_anything(name, mode, monkeypatch):
    env = task(name, continuous=True)
    n_robots, rng = len(env.agents), np.random.default_rng(7)
    _all_to_pymunk(monkeypatch)
    machine = physics_of(env.config.layout, n_robots)
    room = machine.take()
    machine.give_back(room)  # the one that was given back last is taken first
    space, advance = room.space, room.step
    robots = space.bodies
    walls, pairs = [], []

    def watch(seconds: float) -> None:
        advance(seconds)
        xy = np.array([robot.position for robot in robots])
        if xy[0, 0] > -100.0:  # else they are parked
            walls.append(gap_to_walls(env, xy).min())
            apart = np.linalg.norm(xy[:, None] - xy[None], axis=2)
            pairs.append(apart[~np.eye(n_robots, dtype=bool)].min())

    monkeypatch.setattr(room, "step", watch)
    state, _ = env.reset([3])
    hold = np.ones((1, n_robots, 2))
    for t in range(500):
        if t % 50 == 0 and mode == "chase":
            hold[:] = env.layout.floor[rng.integers(len(env.layout.floor))]
        elif t % 50 == 0 and mode == "together":
            hold[:] = rng.normal(size=2)
        state, _ = env.step(state, _drive(env, mode, state, hold, rng))
    wall, pair = RADIUS - np.array(walls), BUMPER_GAP - np.array(pairs)  # dents of the bumpers, by substep
    print(f"{name} {mode}: dents within steps {wall.max():.3f} and {pair.max():.3f} m", end=", ")
    print(f"at their ends {wall[SUBSTEPS - 1 :: SUBSTEPS].max():.3f} and {pair[SUBSTEPS - 1 :: SUBSTEPS].max():.3f} m")
    assert len(wall) == 500 * SUBSTEPS
    assert wall.max() > 0.02  # they did try
    assert max(wall[SUBSTEPS - 1 :: SUBSTEPS].max() - BUMPER, pair[SUBSTEPS - 1 :: SUBSTEPS].max() - 2 * BUMPER) < 0.02
    assert max(wall.max() - BUMPER, pair.max() - 2.0 * BUMPER) < WITHIN_STEP
    rest = space.static_body
    assert (rest.position, rest.angle, rest.velocity, rest.angular_velocity) == ((0.0, 0.0), 0.0, (0.0, 0.0), 0.0)


def _crowd(n_robots: int, rng: np.random.Generator) -> np.ndarray:
    """(1, N, 6): robots packed shoulder to shoulder between racks, all in motion."""
    side = math.ceil(math.sqrt(n_robots))
    place = np.stack(np.divmod(np.arange(n_robots), side), axis=1) * 0.97 * BUMPER_GAP
    body = np.zeros((1, n_robots, 6))
    body[0, :, :2] = 4.0 + place + rng.normal(0.0, 0.01, (n_robots, 2))
    body[0, :, ANGLE] = rng.uniform(-math.pi, math.pi, n_robots)
    body[0, :, VX : VY + 1] = rng.normal(0.0, 0.7, (n_robots, 2))
    body[0, :, TURN_RATE] = rng.uniform(-TOP_TURN_RATE, TOP_TURN_RATE, n_robots)
    return body


@pytest.mark.parametrize("n_robots", [2, 4, 8, 16, 64])
def test_space_forgets_the_worlds_it_has_seen(n_robots):
    rng = np.random.default_rng(n_robots)
    worlds = [_crowd(n_robots, rng) for _ in range(30)]
    apart = np.linalg.norm(worlds[0][0, :, None, :2] - worlds[0][0, None, :, :2], axis=2)
    assert ((apart < BUMPER_GAP).sum(axis=1) - 1).max() >= min(3, n_robots // 2)  # coupled contacts
    fresh = [_hall(n_robots).advance(world).tobytes() for world in worlds]
    used = _hall(n_robots)
    for index in rng.integers(0, len(worlds), 200):
        assert used.advance(worlds[index]).tobytes() == fresh[index]
    batch = used.advance(np.concatenate(worlds))
    assert [row[None].tobytes() for row in batch] == fresh


@pytest.mark.parametrize("name", ["tiny-2", "small-4", "corridor-6", "medium-8", "large-16"])
def test_gliding_gives_the_bytes_that_pymunk_would(name, monkeypatch):
    env, rng = task(name, continuous=True), np.random.default_rng(1)
    state, _ = env.reset(range(16))
    hold, worlds = np.ones((16, len(env.agents), 2)), []
    machine = physics_of(env.config.layout, len(env.agents))
    for _ in range(150):
        hold = np.where(rng.random(hold.shape) < 0.5, rng.choice([-1.0, 0.0, -0.0, 1.0], hold.shape), hold)
        before, power = np.empty_like(state.body), np.empty(state.alive.shape)
        physics.drive(state.body, hold, state.phase == TO_STATION, before, power)
        worlds.append(before)
        state, _ = env.step(state, hold)
    before = np.concatenate(worlds)
    touched = np.empty(len(before), dtype=bool)
    physics.glide(env.layout.blocked, before, np.empty_like(before), touched)
    assert min(touched.sum(), (~touched).sum()) > 20, "both ways must be tried"
    gliding = machine.advance(before)
    _all_to_pymunk(monkeypatch)
    assert machine.advance(before).tobytes() == gliding.tobytes()


@pytest.mark.parametrize("toward", [(1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1)])
def test_a_robot_within_the_margin_of_a_wall_or_robot_is_left_to_pymunk(toward):
    blocked = layout.load(HALL).blocked
    direction = np.array(toward) / np.linalg.norm(toward)
    corner = math.sqrt(0.5) if 0 not in toward else 0.5  # from the middle of the rack to its edge
    for x, y, robot, reach in ((8.5, 8.5, (15.5, 4.5), corner + RADIUS), (4.5, 9.5, (4.5, 9.5), BUMPER_GAP)):
        for gap, expected in ((-0.01, True), (0.0005, True), (0.0015, False)):
            near = np.array([x, y]) + (reach + gap) * direction
            rows = [_row(near[0], near[1], 0.0, 0.0), _row(robot[0], robot[1], 0.0, 0.0)]
            touched = np.empty(1, dtype=bool)
            physics.glide(blocked, np.array([rows]), np.empty((1, 2, 6)), touched)
            assert touched[0] == expected, (x, y, gap)


def test_chipmunk_called_directly_gives_the_bytes_of_the_public_way(monkeypatch):
    crowd = _crowd(8, np.random.default_rng(2))
    direct = _hall(8)
    assert "cpSpaceStep" in repr(direct.take().step), "the pinned pymunk offers the direct way"
    monkeypatch.setattr(chipmunk, "stepper", lambda space: space.step)
    monkeypatch.setattr(chipmunk, "_each_body", lambda *_: None)
    public = _hall(8)
    assert "Space.step" in repr(public.take().step)
    for _ in range(3):
        assert public.advance(crowd).tobytes() == direct.advance(crowd).tobytes()


def test_robot_that_is_elsewhere_changes_nothing():
    rng = np.random.default_rng(5)
    hall = _hall(6)
    crowd = _crowd(6, rng)
    crowd[0, 5] = 0.0
    results = []
    for x, y in ((-100.0, 0.0), (-118.0, 0.0), (15.0, 14.0)):
        crowd[0, 5, :2] = x, y
        results.append(hall.advance(crowd)[0, :5])
    assert results[0].tobytes() == results[1].tobytes()
    np.testing.assert_allclose(results[0], results[2], atol=1e-12)
    np.testing.assert_allclose(results[0], _hall(5).advance(crowd[:, :5])[0])


def test_dead_robot_stays_in_the_way():
    env = yard(2, continuous=True)
    state = begin(env, [(2.0, 6.5, 0.0), (4.0, 6.5, 0.0)])
    state.alive[0, 1] = False
    for _ in range(25):
        state, _ = env.step(state, np.array([[[1.0, 0.0], [1.0, 1.0]]]))
    gap = state.body[0, 1, X] - state.body[0, 0, X]
    assert 2.0 * CHASSIS_RADIUS < gap < BUMPER_GAP + 0.05
    assert abs(state.body[0, 1, TURN_RATE]) < 1e-6  # it does not act
    alone, _ = env.step(moved(state, 0, 1.5, 2.5), np.array([[[0.0, 0.0], [1.0, 1.0]]]))
    assert (np.abs(alone.body[0, 1, VX:]) < np.abs(state.body[0, 1, VX:]) + 1e-9).all()


def test_numbers_stay_finite_when_robots_are_put_inside_each_other():
    env = task("small-4")
    state, _ = env.reset([0])
    state.body[0, :, X : Y + 1] = state.body[0, 0, X : Y + 1]
    rng = np.random.default_rng(0)
    for _ in range(20):
        state, step = env.step(state, random_action(env, state, rng))
        assert np.isfinite(state.body).all()
        assert np.isfinite(step.obs).all()
