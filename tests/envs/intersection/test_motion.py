"""Motion, collisions, entries, rewards, costs and metrics, each counted a second time by other means."""

from __future__ import annotations

import itertools
from functools import partial
from typing import Any

import numpy as np
import pytest
from intersection_scenes import (
    BRAKE,
    EAST,
    KEEP,
    LEFT,
    NORTH,
    RIGHT,
    SOUTH,
    SPEED_UP,
    STRAIGHT,
    WEST,
    act,
    crossing,
    driven,
    scene,
)

import envs
from envs import intersection
from envs.conformance.parallel import check_max_cycles
from envs.core import ended
from envs.intersection import Intersection
from envs.intersection.state import (
    ARRIVED,
    BID,
    CLOSES,
    CRASHED,
    DRIVING,
    DUE,
    OPENS,
    PENDING,
    POSITION,
    SPEED,
    STOOD,
    copied,
)
from envs.roads.cars import overlap
from envs.roads.crossing import CROSS, conflicts, half_side, movements


def test_speeding_up_is_constant_acceleration_to_the_limit():
    env = crossing(1)
    state = scene(env, (EAST, STRAIGHT, 40.0, 5.0))
    begin = state.car[0, 0, POSITION]
    state, _ = env.step(state, act(SPEED_UP))
    assert state.car[0, 0, SPEED] == pytest.approx(5.0 + 2.6 * 0.5)
    assert state.car[0, 0, POSITION] - begin == pytest.approx(5.0 * 0.5 + 0.5 * 2.6 * 0.25)
    for _ in range(6):
        state, _ = env.step(state, act(SPEED_UP))
    assert state.car[0, 0, SPEED] == 13.9


@pytest.mark.parametrize("speed", [1.0, 6.3, 13.9])
def test_braking_stops_where_it_should_and_stays(speed):
    env = crossing(1)
    state = scene(env, (EAST, STRAIGHT, 45.0, speed))
    begin = state.car[0, 0, POSITION]
    for _ in range(8):
        state, _ = env.step(state, act(BRAKE))
    assert state.car[0, 0, SPEED] == 0.0
    assert state.car[0, 0, POSITION] - begin == pytest.approx(speed**2 / 9.0, abs=0.02)
    again, _ = env.step(state, act(BRAKE))
    assert again.car[0, 0, POSITION] == state.car[0, 0, POSITION]


def test_curves_are_taken_with_what_the_tyres_allow():
    env = crossing(1)
    state = scene(env, (EAST, RIGHT, 30.0, 13.9))
    radius = half_side(1) - 1.75
    while state.car[0, 0, POSITION] < 50.0 + 1.0:
        state, _ = env.step(state, act(SPEED_UP))
    assert state.car[0, 0, SPEED] ** 2 / radius <= 3.0 + 1e-6


def test_a_crash_ends_only_those_in_it():
    env = crossing(3)
    state = scene(env, (EAST, STRAIGHT, 5.0, 10.0), (NORTH, STRAIGHT, 8.5, 10.0), (WEST, STRAIGHT, 40.0, 10.0))
    state, step = env.step(state, act(KEEP, KEEP, KEEP))
    while not step.terminated.any():
        state, step = env.step(state, act(KEEP, KEEP, KEEP))
    assert step.terminated[0].tolist() == [True, True, False]
    assert state.status[0].tolist() == [CRASHED, CRASHED, DRIVING]
    assert step.alive[0].tolist() == [False, False, True]
    assert (step.reward[0, :2] < -3.0).all()
    assert step.reward[0, 2] > -1.0
    assert (step.metrics["crash_rate"][0], step.metrics["success"][0]) == (pytest.approx(2 / 3), 0.0)


def test_nobody_passes_through_another_unnoticed():
    """Against boxes moved every 10 ms: cars that overlap for longer than a substep have crashed."""
    env, ways, rng = crossing(2), movements(1), np.random.default_rng(0)
    crashes, spared = 0, 0
    for _ in range(150):
        (one, other) = rng.choice(len(ways), 2, replace=False)
        a, b = ways[one], ways[other]
        if a.heading == b.heading:
            continue
        cars = [(way.heading, way.turn, rng.uniform(0.5, 12.0), rng.uniform(2.0, 4.3)) for way in (a, b)]
        state = scene(env, *cars)
        t = np.arange(0.0, 6.0, 0.01)
        # Slower than the limit in any curve, so no car changes its speed.
        poses = [way.path.at(-2.4 - to_line + v * t) for way, (_, _, to_line, v) in zip((a, b), cars, strict=True)]
        longest = max(
            (len(list(run)) for hit, run in itertools.groupby(overlap(*poses[0], *poses[1])) if hit), default=0
        )
        for _ in range(12):
            state, step = env.step(state, act(KEEP, KEEP))
            if ended(step)[0]:
                break
        crashed = bool((state.status[0] == CRASHED).any())
        if longest > 11:
            assert crashed, (cars, longest)
            crashes += 1
        if longest == 0:
            assert not crashed, cars
            spared += 1
    assert crashes > 15
    assert spared > 15


def test_an_entry_lets_in_one_after_the_other_and_never_into_a_crash():
    env = crossing(4, flow=100_000.0, max_steps=60)  # all due at once
    state = env.reset([3])[0]
    state = state._replace(route=np.full_like(state.route, state.route[0, 0]))
    entered: dict[int, int] = {}
    step = None
    for k in range(40):
        action = [BRAKE] * 4 if k % 6 > 2 else [SPEED_UP] + [BRAKE] * 3  # whatever the car ahead does
        # Followers brake at once when they enter; the rule must leave them room for that.
        state, step = env.step(state, act(*action))
        for i in np.flatnonzero(step.alive[0]):
            entered.setdefault(int(i), k)
    assert step is not None
    assert (state.status[0] != CRASHED).all()
    assert list(entered) == sorted(entered)
    assert len(entered) >= 2
    queueing = np.flatnonzero(state.status[0] == PENDING)
    assert (state.car[0, queueing, STOOD] > 10.0).all()


def test_with_nobody_on_the_road_the_next_one_comes_at_once():
    env = crossing(2, flow=1.0)
    state, step = env.reset([0])
    assert step.alive[0].tolist() == [True, False]
    assert state.car[0, 1, DUE] > 100.0
    while state.status[0, 0] == DRIVING:
        state, step = env.step(state, act(SPEED_UP, SPEED_UP))
    assert state.status[0].tolist() == [ARRIVED, DRIVING]
    assert step.terminated[0].tolist() == [True, False]
    assert step.alive[0].tolist() == [False, True]
    assert not ended(step)[0]
    assert state.car[0, 1, DUE] == 0.5 * state.step[0]


def test_standing_still_is_no_success():
    env = crossing(4, max_steps=20)
    state, step = env.reset([0])
    while not ended(step)[0]:
        state, step = env.step(state, act(*[BRAKE] * 4))
    assert step.truncated[0]
    assert step.metrics["success"][0] == step.metrics["crash_rate"][0] == 0.0
    assert step.metrics["delay"][0] > 5.0


def test_a_car_alone_has_no_delay_and_earns_the_whole_route():
    env = crossing(1)
    state, step = env.reset([5])
    total, steps = 0.0, 0
    while not ended(step)[0]:
        state, step = env.step(state, act(SPEED_UP))
        total, steps = total + step.reward[0, 0] + 0.02 * (state.car[0, 0, 2] / 4.5) ** 2, steps + 1
    assert step.metrics["success"][0] == 1.0
    assert step.metrics["delay"][0] == pytest.approx(0.0, abs=0.11)
    assert total == pytest.approx(1.0 + 1.0 - 0.05 * steps, abs=1e-5)


def test_time_to_collision_behind_another_is_gap_over_closing_speed():
    env = crossing(2)
    state = scene(env, (EAST, STRAIGHT, 20.0, 5.0), (EAST, STRAIGHT, 33.0, 10.0))
    _, step = env.step(state, act(KEEP, KEEP))
    gap = 33.0 - 20.0 - 4.8 - 0.5 * 5.0
    assert step.metrics["min_ttc"][0] == pytest.approx(gap / 5.0, abs=1e-6)
    assert step.cost[0].tolist() == [1.0, 1.0]


def test_time_to_collision_of_crossing_paths_is_when_boxes_touch():
    env = crossing(2)
    state = scene(env, (EAST, STRAIGHT, 8.0, 10.0), (NORTH, STRAIGHT, 8.0 + 3.5, 10.0))
    _, step = env.step(state, act(KEEP, KEEP))
    # Both reach the middle of their zone together; northbound is 3.5 m nearer to its own zone's middle.
    times = np.arange(0.0, 3.0, 0.001)
    ways = movements(1)
    east = next(w for w in ways if (w.heading, w.turn) == (EAST, STRAIGHT)).path.at(-2.4 - 8.0 + 10 * (0.5 + times))
    north = next(w for w in ways if (w.heading, w.turn) == (NORTH, STRAIGHT)).path.at(-2.4 - 11.5 + 10 * (0.5 + times))
    first = times[np.argmax(overlap(*east, *north))]
    assert step.metrics["min_ttc"][0] == pytest.approx(first, abs=0.11)


def test_post_encroachment_time_is_from_leaving_to_entering():
    env = crossing(2)
    state = scene(env, (EAST, STRAIGHT, 2.0, 10.0), (NORTH, STRAIGHT, 25.0, 10.0))
    _, step = driven(env, state, KEEP, KEEP, steps=9)
    half, h = 0.5 * (4.8 + 1.9), half_side(1)
    leaves = (2.0 + 2.4 + h + 1.75 + half) / 10.0
    enters = (25.0 + 2.4 + h - 1.75 - half) / 10.0
    assert step.metrics["min_pet"][0] == pytest.approx(enters - leaves, abs=0.03)


def test_post_encroachment_time_counts_cars_that_are_still_to_come():
    env = crossing(3, flow=100_000.0)
    state = scene(env, (EAST, STRAIGHT, -14.0, 13.0), (NORTH, STRAIGHT, 0.0, 0.0), (WEST, STRAIGHT, 45.0, 1.0))
    state.status[0, 1], state.car[0, 1, DUE] = PENDING, 0.4
    state, passed = env.step(state, act(KEEP, KEEP, KEEP))
    assert state.status[0, 1] == DRIVING  # it came after the first had left the zone
    zone, positions = conflicts(1), []
    one, other = (next(m for m, w in enumerate(movements(1)) if (w.heading, w.turn) == (h, STRAIGHT)) for h in (0, 1))
    leaves = (zone.leave[one, other] - (14.0 - 2.4)) / 13.0
    assert 0.0 < leaves < 0.5
    while passed.metrics["min_pet"][0] == 10.0 and state.step[0] < 40:
        positions.append((0.5 * state.step[0], state.car[0, 1, POSITION] - 50.0))
        state, passed = env.step(state, act(KEEP, SPEED_UP, BRAKE))
    positions.append((0.5 * state.step[0], state.car[0, 1, POSITION] - 50.0))
    times, places = zip(*positions, strict=True)
    pet = float(np.interp(zone.enter[other, one], places, times)) - leaves
    assert passed.metrics["min_pet"][0] == pytest.approx(pet, abs=0.02)


@pytest.mark.parametrize("task", ["busy-16", "grid-2x2-24", "liar-8"])
def test_post_encroachment_times_are_those_of_all_pairs_in_hindsight(task):
    env, policy, worlds = envs.make("intersection", task), envs.heuristic("intersection", task), 8
    assert isinstance(env, Intersection)
    state, step = env.reset(range(worlds))
    trace = [state.car[:, :, POSITION]]
    while not ended(step).all():
        state, step = env.step(state, policy(state))
        trace.append(state.car[:, :, POSITION])
    clash, leg, places = conflicts(1), env.network.leg, np.stack(trace)  # (T, B, V)

    def passed(b: int, i: int, mark: float) -> float:
        k = int(np.argmax(places[:, b, i] >= mark))
        if k == 0:
            return np.inf
        before, after = places[k - 1 : k + 1, b, i]
        return 0.5 * (k - 1 + (mark - before) / (after - before))

    compared = 0
    for b in np.flatnonzero(~(state.status == CRASHED).any(axis=1)).tolist():
        least = 10.0
        for i, j in itertools.permutations(range(env.n_cars), 2):
            for (c, mine, line, _), (d, its, its_line, _) in itertools.product(
                leg[state.route[b, i]], leg[state.route[b, j]]
            ):
                m, o = int(mine), int(its)
                if c == d >= 0 and clash.kind[m, o] == CROSS and min(i, j) < env.n_agents:
                    came, comes = passed(b, i, line + clash.enter[m, o]), passed(b, j, its_line + clash.enter[o, m])
                    if came < comes < np.inf:
                        least = min(least, max(comes - passed(b, i, line + clash.leave[m, o]), 0.0))
        assert step.metrics["min_pet"][b] == pytest.approx(least, abs=1e-4)
        compared += least < 10.0
    assert compared >= 3


@pytest.mark.parametrize(
    ("other", "pet"),
    [((NORTH, STRAIGHT, 8.5, 10.0), 0.0), ((EAST, STRAIGHT, 11.0, 13.0), 10.0)],
    ids=["crossing", "rear"],
)
def test_a_crash_costs_and_leaves_no_time_to_collision(other, pet):
    env = crossing(3)
    state = scene(env, (EAST, STRAIGHT, 5.0, 10.0), other, (WEST, STRAIGHT, 45.0, 5.0))
    state, step = env.step(state, act(KEEP, KEEP, KEEP))
    while not step.terminated.any():
        state, step = env.step(state, act(KEEP, KEEP, KEEP))
    assert (state.status[0] == CRASHED).tolist() == [True, True, False]
    assert step.cost[0].tolist() == [1.0, 1.0, 0.0]
    assert step.metrics["min_ttc"][0] == 0.0
    assert step.metrics["min_pet"][0] == pet


def test_announcements_are_kept_or_broken():
    env = crossing(2, intent="declared")
    state = scene(env, (EAST, STRAIGHT, 20.0, 10.0), (WEST, STRAIGHT, 20.0, 10.0))
    honest, lying = SPEED_UP, SPEED_UP + 5 * 2 + 15
    costs = np.zeros(2)
    state, step = env.step(state, act(honest, lying))
    soonest = (13.9 - 10.0) / 2.6 + (20.0 - (13.9**2 - 10.0**2) / (2 * 2.6)) / 13.9
    assert state.car[0, :, OPENS] == pytest.approx([soonest, soonest + 6.0], abs=1e-6)
    assert state.car[0, :, CLOSES] == pytest.approx([soonest + 3.0, soonest + 9.0], abs=1e-6)
    assert state.car[0, :, BID].tolist() == [0.0, 1.0]
    for _ in range(5):
        state, step = env.step(state, act(honest, lying))
        costs += step.cost[0]
    assert costs.tolist() == [0.0, 1.0]
    assert step.metrics["honesty"][0] == 0.5


@pytest.mark.parametrize("kind", ["absent", "stop"])
def test_counterfactuals_take_one_car_out_or_stop_it(kind):
    env = crossing(3, counterfactual=kind)
    # The first creeps into the second, which passes before it: it would stop in time.
    state = scene(env, (EAST, STRAIGHT, -8.1, 2.0), (NORTH, STRAIGHT, -7.65, 4.0), (SOUTH, LEFT, 40.0, 8.0))
    action = act(KEEP, KEEP, KEEP)
    _, step = env.step(state, action)
    assert step.terminated[0].tolist() == [True, True, False]
    again = copied(state)
    if kind == "absent":
        again.status[0, 0] = ARRIVED
    _, shown = env.step(again, act(KEEP if kind == "absent" else BRAKE, KEEP, KEEP))
    assert not shown.terminated.any()
    assert step.counterfactual is not None
    without = step.counterfactual[0]
    assert without == pytest.approx(env.counterfactual(state, action)[0])
    assert without[0] == pytest.approx(shown.team_reward[0])
    assert without[0] > without[2] + 3.0  # the third has no part in the crash


def test_checking_the_time_limit_plays_the_same_actions_each_time():
    played: list[list[Any]] = [[], []]
    for actions in played:

        def recorded(make: Any, seen: list[Any] = actions, **kwargs: Any) -> Any:
            env = make(task="quiet-4", **kwargs)
            step = env.step
            env.step = lambda action: (seen.append(action), step(action))[1]
            return env

        check_max_cycles(partial(recorded, intersection.parallel_env), partial(recorded, intersection.env))
    assert played[0] == played[1]


def test_emergency_vehicles_pay_more_for_their_time():
    env = envs.make("intersection", "emergency-8")
    state, _ = env.reset([0, 1, 2, 3])
    assert (state.emergency.sum(axis=1) == 1).all()
    assert len(set(np.argmax(state.emergency, axis=1).tolist())) > 1
    state.emergency[:, 0] = [True, False, False, False]
    _, step = env.step(state, np.full((4, 8), KEEP))
    assert step.reward[0, 0] < -0.05 * 4
    assert (step.reward[1:, 0] > -0.05).all()


def test_scripted_cars_are_no_agents_and_lie():
    env = envs.make("intersection", "liar-8")
    assert isinstance(env, Intersection)
    state, step = env.reset([1])
    assert step.obs.shape[1] == step.alive.shape[1] == len(env.agents) == 8
    assert state.status.shape[1] == 10
    policy = envs.heuristic("intersection", "liar-8")
    early = 0
    for _ in range(60):
        for i in (8, 9):
            driving = state.status[0, i] == DRIVING and state.car[0, i, OPENS] > 0.0
            line = env.network.leg[state.route[0, i], 0, 2] - 2.4
            early += driving and state.car[0, i, POSITION] > line and 0.5 * state.step[0] < state.car[0, i, OPENS]
        state, step = env.step(state, policy(state))
        if ended(step)[0]:
            break
    assert early > 0


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"n_vehicles": 0}, "from 1 to 256"),
        ({"intent": "honest"}, "none, shared, declared"),
        ({"entry_speed": 13.0, "approach": 20.0}, "lengthen the approach"),
        ({"left_share": 0.7, "right_share": 0.7}, "more than 1"),
        ({"n_liars": 1}, "intent='declared'"),
        ({"n_emergency": 9}, "at most as many"),
        ({"rows": 5, "columns": 5}, "at most 16"),
        ({"lanes": 1.5}, "give a value of type int"),
    ],
    ids=str,
)
def test_values_that_make_no_traffic_are_refused(wrong, says):
    with pytest.raises(ValueError, match=says):
        envs.make("intersection", **wrong)
