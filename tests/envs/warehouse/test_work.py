"""Orders, deadlines, rewards, batteries and metrics, each counted a second time by other means.

Robots are put where they need to be by writing their place into the state: a State is a value, so a test may.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from warehouse_scenes import begin, follow, moved, random_action, stop, target_at, task, with_values, yard

from envs.core import Step
from envs.warehouse import Warehouse
from envs.warehouse.physics import CONTROL_STEP, GRAVITY, LOAD_MASS, MASS, MOTOR_FORCE, TOP_SPEED, VX, X, Y
from envs.warehouse.start import start
from envs.warehouse.state import (
    DELIVERED,
    IDLE,
    NOBODY,
    TAKEN,
    TO_CHARGER,
    TO_FACE,
    TO_STATION,
    WAITING,
    State,
)
from envs.warehouse.work import (
    CHARGED,
    DEADLOCK_AFTER,
    DEADLOCK_DISTANCE,
    DWELL_METRES,
    DWELL_STEPS,
    LOW_BATTERY,
    ROLLING_RESISTANCE,
    SLOW,
    STANDBY_POWER,
    TARGET_RADIUS,
)

FAR = 10**6  # a deadline after the end
NORTH, SOUTH, EAST = (3.5, 6.5), (3.5, 4.5), (8.5, 5.5)  # faces of the yard's long rack
STATION, CHARGER = (4.5, 1.5), (8.5, 1.5)
CORNER, OTHER_CORNER = (10.5, 6.5), (1.5, 6.5)


def _target(env: Warehouse, place: tuple[float, float]) -> int:
    return target_at(env, place[0] - 0.5, place[1] - 0.5)


def _order(env: Warehouse, face: tuple[float, float], release: int = 0, deadline: int = FAR) -> tuple[int, ...]:
    return release, deadline, _target(env, face), _target(env, STATION)


def _at(*places: tuple[float, float]) -> list[tuple[float, float, float]]:
    return [(x, y, 0.0) for x, y in places]


def _wait(env: Warehouse, state: State, steps: int) -> tuple[State, Step]:
    """Lets all robots stand still for at least one step."""
    state, step = env.step(state, stop(env, state))
    for _ in range(steps - 1):
        state, step = env.step(state, stop(env, state))
    return state, step


def test_an_order_lives_from_its_face_to_its_station():
    env = yard(1)
    state, step = _wait(env, begin(env, _at(OTHER_CORNER), [_order(env, NORTH)]), 1)
    assert (state.phase[0, 0], state.goal[0, 0], state.order[0, 0]) == (TO_FACE, _target(env, NORTH), 0)
    assert state.order_status[0, 0] == TAKEN
    state, step = _wait(env, moved(state, 0, *NORTH), DWELL_STEPS - 1)
    assert (state.phase[0, 0], state.dwell[0, 0]) == (TO_FACE, DWELL_STEPS - 1)
    state, step = _wait(env, state, 1)
    assert (state.phase[0, 0], state.dwell[0, 0], state.goal[0, 0]) == (TO_STATION, 0, _target(env, STATION))
    state, step = _wait(env, moved(state, 0, *STATION), DWELL_STEPS - 1)
    assert (step.reward == 0.0).all()
    assert state.delivered[0, 0] == 0
    state, step = _wait(env, state, 1)
    assert step.reward.tolist() == [[1.0]]
    assert (state.phase[0, 0], state.goal[0, 0], state.order[0, 0]) == (IDLE, NOBODY, NOBODY)
    assert (state.order_status[0, 0], state.delivered[0, 0], state.step[0]) == (DELIVERED, 1, 1 + 2 * DWELL_STEPS)
    seconds = (1 + 2 * DWELL_STEPS) * CONTROL_STEP
    assert step.metrics["orders_per_hour"][0] == pytest.approx(3600.0 / seconds)
    assert step.metrics["cycle_time"][0] == pytest.approx(seconds)  # it was free from the start
    assert step.metrics["idle_share"][0] == pytest.approx(1.0 / (1 + 2 * DWELL_STEPS))


@pytest.mark.parametrize("interruption", ["leaves", "moves"])
def test_an_interrupted_dwell_starts_again(interruption):
    env = yard(1)
    state, _ = _wait(env, begin(env, _at(NORTH), [_order(env, NORTH)]), DWELL_STEPS)
    assert state.dwell[0, 0] == DWELL_STEPS - 1
    away = moved(state, 0, NORTH[0] + TARGET_RADIUS + 0.01, NORTH[1])
    if interruption == "moves":
        away = moved(state, 0, *NORTH)
        away.body[0, 0, VX] = SLOW + MOTOR_FORCE / MASS * CONTROL_STEP + 0.01  # still too fast after braking
    away, _ = _wait(env, away, 1)
    assert away.dwell[0, 0] == 0
    state, _ = _wait(env, moved(away, 0, *NORTH), DWELL_STEPS - 1)
    assert state.phase[0, 0] == TO_FACE
    assert _wait(env, state, 1)[0].phase[0, 0] == TO_STATION


def test_nearest_dispatch_measures_by_road():
    env = yard(1, dispatch="nearest")
    place, ahead = NORTH, (6.5, 6.5)  # SOUTH lies behind the rack: nearer as the crow flies, farther by road
    assert math.dist(place, SOUTH) < math.dist(place, ahead)
    state, _ = _wait(env, begin(env, _at(place), [_order(env, SOUTH), _order(env, ahead)]), 1)
    assert state.order[0, 0] == 1


def test_fifo_dispatch_gives_the_oldest_to_the_first_robot():
    env = yard(3, dispatch="fifo")
    orders = [_order(env, EAST), _order(env, NORTH), _order(env, SOUTH, release=3)]
    state, _ = _wait(env, begin(env, _at(NORTH, EAST, CORNER), orders), 1)
    assert state.order[0].tolist() == [0, 1, NOBODY]
    state, _ = _wait(env, state, 1)
    assert state.order[0, 2] == NOBODY
    state, _ = _wait(env, state, 1)
    assert state.order[0, 2] == 2  # from the step of its arrival on


def test_nearest_dispatch_chooses_among_the_oldest_only():
    env = yard(1, dispatch="nearest", n_orders=2)
    orders = [_order(env, SOUTH), _order(env, EAST), _order(env, NORTH)]
    assert _wait(env, begin(env, _at(NORTH), orders), 1)[0].order[0, 0] != 2


def test_claim_goes_to_the_robot_that_arrives_first_and_on_a_tie_to_the_lowest_index():
    env = yard(3, dispatch="claim")
    beside = [(NORTH[0] - 0.31, NORTH[1]), (NORTH[0] + 0.31, NORTH[1])]
    state, _ = _wait(env, begin(env, _at(CORNER, beside[0], beside[1]), [_order(env, NORTH)]), 1)
    assert state.order[0].tolist() == [NOBODY, 0, NOBODY]
    assert state.phase[0].tolist() == [IDLE, TO_FACE, IDLE]
    state, _ = _wait(env, begin(env, _at(CORNER, OTHER_CORNER, beside[1]), [_order(env, NORTH)]), 1)
    assert state.order[0].tolist() == [NOBODY, NOBODY, 0]
    state, _ = _wait(env, moved(state, 0, *NORTH), 1)
    assert state.order[0].tolist() == [NOBODY, NOBODY, 0]  # too late


def test_claim_holds_for_the_orders_in_view_only():
    env = yard(2, dispatch="claim", n_orders=2)
    orders = [_order(env, NORTH), _order(env, EAST), _order(env, SOUTH)]
    state, _ = _wait(env, begin(env, _at(CORNER, SOUTH), orders), 2)
    assert state.order[0].tolist() == [NOBODY, NOBODY]
    state, _ = _wait(env, moved(state, 0, *EAST), 1)
    assert state.order[0].tolist() == [1, 2]  # one in view is gone, so the third is seen now


def _teleport(env: Warehouse, state: State, rng: np.random.Generator) -> State:
    """Puts some robots that have somewhere to go right there, at rest; odd ones have to find chargers themselves."""
    goal = state.goal.copy()
    if env.config.dispatch == "claim":
        for b, i in np.argwhere(state.phase == IDLE):
            waiting = (state.order_status[b] == WAITING) & (state.order_release[b] <= state.step[b])
            goal[b, i] = state.order_face[b][waiting][0] if waiting.any() else NOBODY
    there = (goal != NOBODY) & state.alive & (rng.random(goal.shape) < 0.1) & (state.dwell == 0)
    there[:, 1::2] &= state.phase[:, 1::2] != TO_CHARGER
    body = state.body.copy()
    body[there] = 0.0
    body[there, X : Y + 1] = env.layout.targets[goal[there]] + rng.uniform(-0.2, 0.2, (int(there.sum()), 2))
    return state._replace(body=body)


def _play(env: Warehouse, seeds: list[int], steps: int) -> list[tuple[State, State, Step]]:
    """Random play that gets work done: the state before and after every step, and the step."""
    rng = np.random.default_rng(11)
    state, _ = env.reset(seeds)
    played = []
    for _ in range(steps):
        before = _teleport(env, state, rng)
        action = random_action(env, before, rng)
        action[before.dwell > 0] = 0
        state, step = env.step(before, action)
        played.append((before, state, step))
    return played


PLAYS = [
    ("small-4", {}),
    ("medium-8", {"dispatch": "fifo"}),
    ("small-4", {"dispatch": "claim"}),
    ("rush-hour-8", {}),
    ("medium-8", {"battery": True, "battery_capacity": 0.2}),
]


@pytest.mark.parametrize(("name", "change"), PLAYS)
def test_orders_are_neither_lost_nor_doubled(name, change):
    env = task(name, **change)
    delivered = 0
    for before, state, step in _play(env, [1, 2], 300):
        for b in range(2):
            held = state.order[b][state.order[b] != NOBODY]
            assert len(set(held.tolist())) == len(held)
            status = state.order_status[b]
            assert sorted(held.tolist()) == np.flatnonzero(status == TAKEN).tolist()  # the dead hold theirs for ever
            assert (status == DELIVERED).sum() == state.delivered[b].sum()
            assert ((status == WAITING).sum() + (status == TAKEN).sum() + (status == DELIVERED).sum()) == len(status)
            waiting = np.flatnonzero(status == WAITING)
            assert state.head[b] == (waiting[0] if len(waiting) else len(status))
            assert (state.order_release[b][status != WAITING] <= state.step[b]).all()
            assert (before.order_status[b] <= status).all()
            goal_is_face = state.phase[b] == TO_FACE
            assert (state.goal[b] == state.order_face[b][state.order[b]])[goal_is_face].all()
            assert (state.goal[b] == state.order_station[b][state.order[b]])[state.phase[b] == TO_STATION].all()
        np.testing.assert_array_equal((state.phase == TO_FACE) | (state.phase == TO_STATION), state.order != NOBODY)
        seconds = state.step * CONTROL_STEP
        np.testing.assert_allclose(step.metrics["orders_per_hour"] * seconds / 3600.0, state.delivered.sum(axis=1))
        delivered = state.delivered.sum()
    assert delivered > 20


@pytest.mark.parametrize(("name", "change"), PLAYS)
def test_every_missed_deadline_counts_once(name, change):
    env = task(name, contact_limit=1e9, **{**change, "deadline": 10.0})
    delivered_at = np.full((2, 10_000), FAR)
    of_the_dead = np.zeros(2)
    costs = 0
    play = _play(env, [3, 4], 300)
    for before, state, step in play:
        n_orders = state.order_status.shape[1]
        new = (state.order_status == DELIVERED) & (before.order_status != DELIVERED)
        delivered_at[:, :n_orders][new] = np.broadcast_to(state.step[:, None], new.shape)[new]
        due = state.order_deadline <= state.step[:, None]
        late = due & (delivered_at[:, :n_orders] > state.order_deadline)
        expected_cost = step.terminated.astype(float)
        for b, i in zip(*np.nonzero(before.order != NOBODY), strict=True):
            order = before.order[b, i]
            at_its_deadline = state.order_deadline[b, order] == state.step[b] and before.alive[b, i]
            expected_cost[b, i] += at_its_deadline and state.order_status[b, order] == TAKEN
        np.testing.assert_array_equal(step.cost, expected_cost)
        costs += step.cost.sum()
        held_by_dead = np.array(
            [np.isin(np.arange(n_orders), o[~a]) for o, a in zip(state.order, state.alive, strict=True)]
        )
        of_the_dead = (held_by_dead & ~due).sum(axis=1)
        np.testing.assert_array_equal(step.metrics["deadline_misses"], late.sum(axis=1) + of_the_dead)
    assert costs > 0
    if env.config.battery:
        assert not play[-1][1].alive.all()  # the case is in the test


@pytest.mark.parametrize("rush", [1.0, 2.5, 3.0])
def test_orders_arrive_at_the_mean_rate_with_a_rush_in_the_middle(rush):
    env = task("small-4", rush=rush, max_steps=600)
    release = start(env.config, env.layout, range(400)).order_release[:, env.config.backlog :]
    assert (np.diff(release, axis=1) >= 0).all()
    counts = np.stack([((release > begun) & (release <= begun + 200)).sum(axis=1) for begun in (0, 200, 400)], axis=1)
    mean = env.config.orders_per_hour * 600 * CONTROL_STEP / 3600.0
    assert abs(counts.sum(axis=1).mean() - mean) < 4.0 * math.sqrt(mean / 400)
    assert counts.sum(axis=1).var() == pytest.approx(mean, rel=0.3)  # as Poisson counts have it
    for count, rate in zip(counts.T, (1.5 - rush / 2, rush, 1.5 - rush / 2), strict=True):
        assert abs(count.mean() - mean / 3 * rate) <= 4.0 * math.sqrt(mean / 3 * rate / 400)


def test_deadlines_lie_within_half_of_their_mean():
    env = task("small-4", deadline=40.0)
    state = start(env.config, env.layout, range(50))
    patience = (state.order_deadline - state.order_release) * CONTROL_STEP
    assert 20.0 <= patience.min() < 22.0
    assert 58.0 < patience.max() <= 60.0 + CONTROL_STEP
    assert (state.order_release[:, : env.config.backlog] == 0).all()


@pytest.mark.parametrize(("name", "change"), PLAYS)
def test_shaping_telescopes(name, change):
    gamma = 0.95
    env = task(name, **change, shaping=0.7, shaping_gamma=gamma, contact_charge=0.0)
    first, total, deaths = env.reset([5, 6])[0].potential, 0.0, 0
    play = _play(env, [5, 6], 300)
    for t, (before, state, step) in enumerate(play):
        earned = state.delivered - before.delivered
        total = total + gamma**t * (step.reward.astype(float) - earned)
        deaths += step.terminated.sum()
    last = play[-1][1]
    np.testing.assert_allclose(total, gamma**300 * last.potential - first, atol=1e-5)
    assert (np.abs(first) > 0.01).any()
    assert last.delivered.sum() > 20
    assert (deaths > 0) == env.config.battery


def test_without_shaping_only_deliveries_and_contacts_pay():
    env = task("medium-8", shaping=0.0)
    free = task("medium-8", shaping=0.0, contact_charge=0.0)
    rng = np.random.default_rng(2)
    state, _ = env.reset([1, 2, 3])
    for _ in range(200):
        state = _teleport(env, state, rng)
        action = random_action(env, state, rng)
        action[state.dwell > 0] = 0
        before = state
        state, step = env.step(before, action)
        _, without = free.step(before, action)
        np.testing.assert_array_equal(without.reward, state.delivered - before.delivered)
        assert (step.reward <= without.reward).all()
        np.testing.assert_allclose(step.team_reward, step.reward.sum(axis=1), atol=1e-5)
    assert state.delivered.sum() > 20


def test_driving_into_a_wall_at_full_speed_costs_the_contact_charge():
    env = yard(1, contact_charge=0.4)
    state = begin(env, [(1.35, 1.5, math.pi)])  # 5 cm before the west wall, facing it
    state.body[0, 0, VX] = -TOP_SPEED
    _, step = env.step(state, np.array([[1]]))  # forward
    assert step.reward[0, 0] == pytest.approx(-0.4, rel=1e-3)


def test_shaping_pays_the_way_made_good():
    env = yard(1, shaping=1.0, shaping_gamma=1.0)
    begun, _ = _wait(env, begin(env, _at((7.5, 6.5)), [_order(env, NORTH)]), 1)
    typical = 2.0 * (env.layout.mean_route + DWELL_METRES)
    for metres in (1.0, 2.0, -1.0):
        _, step = _wait(env, moved(begun, 0, 7.5 - metres, 6.5), 1)  # straight along the aisle
        assert step.reward[0, 0] == pytest.approx(metres / typical, abs=1e-6)


def test_contact_above_the_limit_is_a_cost():
    env = yard(2, contact_limit=20.0)
    for speed, cost in ((0.4, 0.0), (0.8, 1.0)):
        state = begin(env, [(1.31, 2.5, math.pi), (*CORNER, 0.0)])
        state.body[0, 0, VX] = -speed - MOTOR_FORCE / MASS * CONTROL_STEP  # braked to `speed` before it hits
        _, step = env.step(state, stop(env, state))
        assert step.cost.tolist() == [[cost, 0.0]]
        assert step.reward.tolist() == [[0.0, 0.0]]


def test_energy_is_the_integral_of_power():
    env = yard(1, continuous=True)
    state = begin(env, [(*OTHER_CORNER, 0.0)], [_order(env, SOUTH)])
    state = with_values(state, phase=[TO_STATION], order=[0], goal=[_target(env, STATION)], order_status=[TAKEN])
    for mass in (MASS + LOAD_MASS, MASS):
        joules, speed = 0.0, 0.0
        for t, asked in enumerate([0.3, 0.9, 0.9, 0.2, 0.0, 0.5, -0.2, 0.0, 0.0]):
            gain = MOTOR_FORCE / mass * CONTROL_STEP
            new = speed + min(max(asked * TOP_SPEED - speed, -gain), gain)
            joules += max(0.0, 0.5 * mass * (new**2 - speed**2))
            joules += (STANDBY_POWER + ROLLING_RESISTANCE * mass * GRAVITY * abs(new)) * CONTROL_STEP
            state, step = env.step(state, np.array([[[asked, 0.0]]]))
            speed = new
            assert step.metrics["energy"][0] == pytest.approx(joules / 3600.0, rel=1e-9), t
        state = begin(env, [(*OTHER_CORNER, 0.0)])


def test_battery_drains_by_motion_and_load():
    env = yard(1, continuous=True, battery=True)
    used = []
    for loaded, speed in ((False, 0.0), (False, 0.8), (True, 0.8)):
        state = begin(env, [(*OTHER_CORNER, 0.0)], [_order(env, SOUTH)])
        state.battery[:] = 1.0
        if loaded:
            state = with_values(state, phase=[TO_STATION], order=[0], goal=[_target(env, STATION)], order_status=[1])
        for _ in range(8):
            state, step = env.step(state, np.array([[[speed, 0.0]]]))
            assert 1.0 - state.battery[0, 0] == pytest.approx(step.metrics["energy"][0])
        used.append(1.0 - state.battery[0, 0])
    assert used[0] < used[1] < used[2]


@pytest.mark.parametrize("dispatch", ["nearest", "fifo", "claim"])
def test_low_battery_goes_to_charge_and_comes_back(dispatch):
    env = yard(1, battery=True, dispatch=dispatch)
    full = env.config.battery_capacity
    state = begin(env, _at(NORTH), [_order(env, NORTH)])
    state.battery[:] = LOW_BATTERY * full - 1e-6
    state, _ = _wait(env, state, 1)
    assert (state.phase[0, 0], state.goal[0, 0], state.order[0, 0]) == (TO_CHARGER, _target(env, CHARGER), NOBODY)
    level = state.battery[0, 0]
    state, step = _wait(env, moved(state, 0, *CHARGER), 3)
    gain = (env.config.charge_power - STANDBY_POWER) * CONTROL_STEP / 3600.0
    assert state.battery[0, 0] == pytest.approx(level + 3 * gain)
    state.battery[:] = CHARGED * full - 0.5 * gain
    state, _ = _wait(env, state, 1)
    assert state.phase[0, 0] == (IDLE if dispatch == "claim" else TO_FACE)
    state, _ = _wait(env, state, 30)
    assert state.battery[0, 0] <= full
    assert step.reward.tolist() == [[0.0]]


def test_battery_of_a_robot_with_an_order_is_its_own_business():
    env = yard(1, battery=True)
    state, _ = _wait(env, begin(env, _at(OTHER_CORNER), [_order(env, NORTH)]), 1)
    state.battery[:] = 0.5 * LOW_BATTERY * env.config.battery_capacity
    assert _wait(env, state, 1)[0].phase[0, 0] == TO_FACE


def test_flat_robot_dies_once_and_for_all():
    env = yard(2, battery=True, shaping=1.0, continuous=True)
    state = begin(env, _at(OTHER_CORNER, CORNER), [_order(env, NORTH, deadline=100), _order(env, EAST)])
    state.battery[:] = 2.0
    state, _ = _wait(env, state, 1)
    state.battery[0, 0] = 1e-9
    potential = state.potential[0, 0]
    state, step = _wait(env, state, 1)
    assert step.terminated.tolist() == [[True, False]]
    assert step.alive.tolist() == [[False, True]]
    assert step.cost.tolist() == [[1.0, 0.0]]
    assert step.metrics["deadline_misses"][0] == 1  # its order will not be delivered
    assert step.reward[0, 0] == pytest.approx(-potential, abs=1e-6)  # a terminal state's potential is zero
    place = state.body[0, 0].copy()
    for _ in range(120):
        state, step = env.step(state, np.array([[[1.0, 1.0], [0.0, 0.0]]]))
        assert not step.terminated.any()
        assert step.alive.tolist() == [[False, True]]
        assert step.reward[0, 0] == step.cost[0, 0] == 0.0
        assert (step.obs[0, 0] == 0.0).all()
    np.testing.assert_array_equal(state.body[0, 0], place)
    assert step.metrics["deadline_misses"][0] == 1  # not again at its deadline
    assert (state.order[0, 0], state.order_status[0, 0]) == (0, TAKEN)


def test_death_in_the_step_of_the_deadline_is_one_miss():
    env = yard(1, battery=True)
    state, _ = _wait(env, begin(env, _at(CORNER), [_order(env, NORTH, deadline=2)]), 1)
    state.battery[:] = 1e-9
    _, step = _wait(env, state, 1)
    assert step.metrics["deadline_misses"].tolist() == [1]
    assert step.cost.tolist() == [[2.0]]  # the miss, and the flat battery


def test_world_of_the_dead_goes_on_without_them():
    env = yard(2, battery=True)
    state = begin(env, _at(OTHER_CORNER, CORNER))
    state.battery[:] = 1e-9
    state, step = _wait(env, state, 1)
    assert step.terminated.all()
    assert not step.alive.any()
    energy = step.metrics["energy"][0]
    state, step = _wait(env, state, 5)
    assert step.metrics["energy"][0] == energy
    assert step.team_reward.tolist() == [0.0]


def test_deadlock_counts_robots_that_do_not_get_on():
    env = yard(3, continuous=True)
    orders = [_order(env, NORTH)]
    # One held up, one idle at the same rest, one on its goal.
    state = begin(env, _at(CORNER, OTHER_CORNER, (10.5, 2.5)), orders)
    state, step = _wait(env, state, 1)
    assert state.phase[0].tolist() == [TO_FACE, IDLE, IDLE]
    for n in range(2, DEADLOCK_AFTER + 20):
        state, step = _wait(env, state, 1)
        still = n - 1  # it got its order, and ceased to be idle, at the end of step 1
        expected = max(0, still - DEADLOCK_AFTER) * CONTROL_STEP
        assert step.metrics["deadlock_seconds"][0] == pytest.approx(expected)
    so_far = step.metrics["deadlock_seconds"][0]
    state, step = _wait(env, moved(state, 0, CORNER[0] - DEADLOCK_DISTANCE - 0.01, CORNER[1]), DEADLOCK_AFTER)
    assert step.metrics["deadlock_seconds"][0] == so_far  # it got on
    state, step = _wait(env, moved(state, 0, *NORTH), 1)
    assert step.metrics["deadlock_seconds"][0] == so_far


def test_idle_share_is_that_of_live_robot_steps():
    env = yard(2, dispatch="fifo")
    _, step = _wait(env, begin(env, _at(CORNER, OTHER_CORNER), [_order(env, NORTH, release=4)]), 10)
    assert step.metrics["idle_share"][0] == pytest.approx((10 + 4) / 20)


@pytest.mark.parametrize(
    ("delivered", "index"), [([0, 0, 0], math.nan), ([2, 2, 2], 1.0), ([3, 0, 0], 1 / 3), ([1, 2, 3], 6 / 7)]
)
def test_fairness_is_jains_index(delivered, index):
    env = yard(3)
    state = with_values(begin(env, _at(CORNER, OTHER_CORNER, NORTH)), delivered=delivered)
    assert _wait(env, state, 1)[1].metrics["fairness"][0] == pytest.approx(index, nan_ok=True)


def test_cycle_time_is_the_mean_from_free_to_delivered():
    env = yard(1, continuous=True, dispatch="fifo")
    state = begin(env, _at(CORNER), [_order(env, NORTH), _order(env, EAST), _order(env, SOUTH, release=200)])
    freed, cycles = 0, []
    for t in range(1, 500):
        before = state
        state, step = env.step(state, follow(env, state))
        if state.delivered[0, 0] > before.delivered[0, 0]:
            cycles.append((t - freed) * CONTROL_STEP)
            freed = t
        expected = np.mean(cycles) if cycles else math.nan
        assert step.metrics["cycle_time"][0] == pytest.approx(expected, nan_ok=True)
    assert len(cycles) == 3


def test_time_limit_truncates_and_never_terminates():
    env = task("tiny-2", max_steps=7)
    state, step = env.reset([0])
    for t in range(1, 8):
        state, step = env.step(state, stop(env, state))
        assert step.truncated.tolist() == [t == 7]
        assert not step.terminated.any()
