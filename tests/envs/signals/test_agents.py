"""Observations, adjacency and rewards of signals, their hand-written policies, and blackouts."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from signal_scenes import EAST, LEFT, NORTH, RIGHT, STRAIGHT, WEST, allowed, came, drawn, scene, seen, town, vehicles

import envs
from envs.core import ended
from envs.signals import heuristic
from envs.signals.heuristic import POLICIES, greens
from envs.signals.observe import OWN, PER_NEIGHBOUR
from envs.signals.state import BEFORE_LINE, GRANTED, LANE, NONE, PHASE, SERVED, SINCE, TURNS
from envs.signals.survey import ARRIVING, BEYOND, NEARBY, QUEUE

NS, NS_LEFT, EW, EW_LEFT = range(4)
"""Phases."""


def observed(env, state):
    """(N, O) of one world, as it is."""
    shown = env._shown(state)
    return shown.obs[0], shown.adjacency[0]


def test_counts_are_of_each_movement():
    env = town()
    cars = (
        (EAST, STRAIGHT, 2.0, 0.0),
        (EAST, RIGHT, 9.0, 0.0),
        (EAST, STRAIGHT, 100.0, 10.0),
        (NORTH, LEFT, 60.0, 9.0),
    )
    state = scene(env, *cars)
    counts = env.counts(state)[0, 0]
    for plane, expected in (
        (QUEUE, {3 * EAST + STRAIGHT: 1, 3 * EAST + RIGHT: 1}),
        (ARRIVING, {3 * EAST + STRAIGHT: 1, 3 * NORTH + LEFT: 1}),
        (NEARBY, {3 * EAST + STRAIGHT: 1, 3 * EAST + RIGHT: 1}),
        (BEYOND, {}),
    ):
        assert {m: int(c) for m, c in enumerate(counts[plane]) if c} == expected, plane
    obs, _ = observed(env, state)
    assert obs[0, :12] == pytest.approx(counts[QUEUE] / 25.0)
    assert obs[0, 12:24] == pytest.approx(counts[ARRIVING] / 25.0)
    assert obs[0, 24:31] == pytest.approx([1, 0, 0, 0, 0, 5 / 25, 0])


def test_arrivals_are_those_of_the_last_step():
    env = town(task="arterial-5")
    state = scene(env, (EAST, STRAIGHT, 5.0, 10.0), (EAST, STRAIGHT, 25.0, 10.0))
    state.signal[0, 0, PHASE] = EW
    shown = []
    for _ in range(3):
        state, step = env.step(state, np.array([[EW, NS, NS, NS, NS]]))
        shown.append(float(step.obs[0, 1, 35]))
    assert shown == pytest.approx([2 / 25, 0.0, 0.0])


def test_neighbours_are_shown_by_heading_and_heard():
    env = town(task="grid-2x2")
    state = scene(env, (EAST, STRAIGHT, 2.0, 0.0), link=4 * 1 + NORTH)  # it stands before crossing 1, heading north
    state.signal[0, 1, PHASE] = EW_LEFT
    obs, adjacency = observed(env, state)
    east = obs[0, OWN + PER_NEIGHBOUR * EAST :][:PER_NEIGHBOUR]
    assert east == pytest.approx([1, 0, 0, 0, 0, 1, 0, 1 / 25])
    assert not obs[0, OWN + PER_NEIGHBOUR * WEST :][:PER_NEIGHBOUR].any()
    assert adjacency.tolist() == [
        [False, True, True, False],
        [True, False, False, True],
        [True, False, False, True],
        [False, True, True, False],
    ]
    # The road out of crossing 0 northwards is the approach of crossing 2.
    state = scene(env, *[(EAST, STRAIGHT, 2.0 + 7.0 * k, 0.0) for k in range(4)], link=4 * 2 + NORTH)
    obs, _ = observed(env, state)
    assert obs[0, 31:35] == pytest.approx([0, 4 * 6.8 / 300.0, 0, 0])


def test_pressure_is_what_comes_less_what_goes():
    env = town(task="grid-2x2", reward_kind="pressure")
    state = scene(env, *[(EAST, STRAIGHT, 2.0 + 7.0 * k, 0.0) for k in range(5)], link=4 * 1 + EAST)
    _, step = env.step(state, np.zeros((1, 4), np.int64))
    assert step.reward[0].tolist() == pytest.approx([-0.5, -0.5, 0.0, 0.0])  # before crossing 1, beyond crossing 0


def test_a_counterfactual_is_the_teams_reward_had_the_signal_kept_its_phase():
    env = town(task="grid-2x2", counterfactual="hold")
    policy = heuristic(env)
    state, _ = env.reset([0])
    for _ in range(40):
        state, _ = env.step(state, policy(state))
    state.signal[0, :, SINCE] = 100.0
    action = (state.signal[:, :, PHASE].astype(int) + 1) % 4
    _, step = env.step(state, action)
    assert step.counterfactual is not None
    for i in range(4):
        kept = action.copy()
        kept[0, i] = state.signal[0, i, PHASE]
        assert step.counterfactual[0, i] == env.step(state, kept)[1].team_reward[0]
    assert len(set(step.counterfactual[0].tolist())) > 1


def test_a_dark_signal_is_an_all_way_stop_and_obeys_nobody():
    env = town(n_blackouts=1, blackout_seconds=100.0)
    cars = ((EAST, STRAIGHT, 30.0, 8.0), (NORTH, STRAIGHT, 30.0, 8.0), (WEST, LEFT, 30.0, 8.0), (EAST, LEFT, 30.0, 8.0))
    state = scene(env, *cars)
    state.dark[0, 0] = 0.0, 100.0
    order: list[int] = []
    for _ in range(16):
        before = state
        state, step = env.step(state, np.full((1, 1), EW))
        fresh = [i for i in range(4) if came(env, state, i) >= 0 and i not in order]
        assert all(seen(env, before, i)[1] < 6.0 for i in fresh), "a vehicle that goes has stopped, or was about to"
        order += fresh
        assert allowed(step)[0, 0].tolist() == [True, False, False, False]
    assert sorted(order) == [0, 1, 2, 3]
    assert len(order) == len(set(order))
    assert state.signal[0, 0, PHASE] == NS
    assert state.signal[0, 0, SERVED] in range(8)
    assert env.step(state, np.full((1, 1), EW))[1].obs[0, 0, 30] == 1.0


def test_a_vehicle_too_near_to_stop_goes_on_when_a_signal_fails():
    env = town(n_blackouts=1, blackout_seconds=100.0)
    for to_line, passes in ((12.0, True), (70.0, False)):
        state = scene(env, (NORTH, STRAIGHT, to_line, 13.0))
        state.signal[0, 0, SINCE], state.dark[0, 0] = 100.0, (0.0, 100.0)
        after, _ = env.step(state, np.full((1, 1), NS))
        assert bool(came(env, after, 0) >= 0) is passes
        assert seen(env, after, 0)[1] > 8.0 or not passes


def test_a_vehicle_that_was_let_in_goes_on_when_a_signal_is_back():
    env = town(n_blackouts=1, blackout_seconds=100.0)
    state = scene(env, (EAST, STRAIGHT, 1.5, 2.5), (NORTH, STRAIGHT, 6.0, 9.0))
    state.dark[0, 0] = -100.0, 0.0  # it is back, and green for north and south
    without, _ = env.step(state, np.full((1, 1), NS))
    assert [came(env, without, i) for i in range(2)] == [-1, 3 * NORTH + STRAIGHT]
    state.signal[0, 0, SERVED], state.signal[0, 0, GRANTED] = 2 * EAST + 1, BEFORE_LINE
    after, _ = env.step(state, np.full((1, 1), NS))
    assert came(env, after, 0) == 3 * EAST + STRAIGHT
    assert seen(env, after, 0)[1] > 2.5, "it speeds up all the time"
    later, _ = env.step(after, np.full((1, 1), NS))
    assert came(env, later, 1) == 3 * NORTH + STRAIGHT
    assert later.signal[0, 0, GRANTED] == NONE


def test_blackouts_are_drawn_and_shown_to_neighbours():
    env = town(task="grid-2x2", n_blackouts=2, blackout_seconds=60.0)
    state, _ = env.reset(range(8))
    failing = np.isfinite(state.dark[:, :, 0])
    assert (failing.sum(axis=1) == 2).all()
    assert len({tuple(row) for row in failing.tolist()}) > 1
    assert np.allclose(state.dark[failing, 1] - state.dark[failing, 0], 60.0, atol=1e-3)
    world = scene(env)
    world.dark[0] = np.inf
    world.dark[0, 1] = 0.0, 60.0
    obs, adjacency = observed(env, world)
    assert obs[0, OWN + PER_NEIGHBOUR * EAST :][:2].tolist() == [1.0, 1.0]
    assert not adjacency[1].any()
    assert not adjacency[:, 1].any()


def test_max_pressure_serves_the_longest_queue_and_looks_beyond():
    env = town(task="grid-2x2", rule="max-pressure")
    policy = heuristic(env)
    few = [(EAST, STRAIGHT, 2.0 + 7.0 * k, 0.0) for k in range(4)]
    state = scene(env, *few, link=4 * 0 + EAST)
    assert policy(state)[0, 0] == EW
    state = scene(env, *few, *[(EAST, LEFT, 2.0 + 7.0 * k, 0.0) for k in range(6)], link=4 * 0 + EAST)
    assert policy(state)[0, 0] == EW_LEFT


def test_neighbour_demand_counts_others_by_distance():
    env = town(task="arterial-5", rule="neighbour-demand")
    policy = heuristic(env)
    state = scene(env, *[(EAST, STRAIGHT, 2.0 + 7.0 * k, 0.0) for k in range(18)], link=4 * 2 + EAST)
    # 18 vehicles two crossings away weigh 18 / 3 = 6, more than the gain of 3 for staying.
    assert policy(state)[0].tolist() == [EW] * 5
    state = scene(env, *[(EAST, STRAIGHT, 2.0 + 7.0 * k, 0.0) for k in range(9)], link=4 * 4 + EAST)
    assert policy(state)[0].tolist() == [NS, NS, NS, EW, EW]  # 9 / 5, 9 / 4, 9 / 3, 9 / 2, 9


def test_an_actuated_signal_serves_waiting_vehicles_and_skips_empty_lanes():
    env = town(rule="actuated")
    policy = heuristic(env)
    assert policy(scene(env, (EAST, LEFT, 2.0, 0.0)))[0, 0] == EW_LEFT
    assert policy(scene(env, (EAST, LEFT, 2.0, 0.0), (NORTH, STRAIGHT, 20.0, 10.0)))[0, 0] == NS
    state = scene(env, (EAST, LEFT, 2.0, 0.0), (NORTH, STRAIGHT, 20.0, 10.0))
    state.signal[0, 0, SINCE] = 100.0  # longer than the longest green
    assert policy(state)[0, 0] == EW_LEFT
    assert policy(scene(env))[0, 0] == NS


def test_a_fixed_cycle_goes_through_all_phases_in_turn():
    env = town(rule="fixed", max_steps=60)
    policy = heuristic(env)
    state, step = env.reset([0])
    phases = []
    while not ended(step)[0]:
        action = policy(state)
        assert allowed(step)[0, 0, action[0, 0]]
        state, step = env.step(state, action)
        phases.append(int(state.signal[0, 0, PHASE]))
    changes = [phase for k, phase in enumerate(phases) if k == 0 or phase != phases[k - 1]]
    assert changes[:6] == [0, 1, 2, 3, 0, 1]


def test_the_fixed_plan_is_websters():
    config = town(rule="fixed", peak=1.0, imbalance=0.0, flow=500.0, left_share=0.2, right_share=0.2).config
    # Shares of saturation 400 / 1800 and 100 / 1800, twice; 20 s lost: C = 35 / (1 - 1000 / 1800) = 78.75 s.
    green = 58.75 * np.array([0.4, 0.1, 0.4, 0.1])
    assert np.array(greens(config)) == pytest.approx(np.ceil(np.maximum(green, 10.0) / 5.0) * 5.0)
    busy = dataclasses.replace(config, flow=3600.0)
    assert sum(greens(busy)) <= 180.0
    assert all(g >= 30.0 for g in greens(dataclasses.replace(config, min_green=30.0)))


@pytest.mark.parametrize("rule", list(POLICIES))
def test_rules_beat_chance(rule: str):
    delays = {}
    for name, kwargs in (("random", {}), (rule, {"rule": rule})):
        env = town(task="single", max_steps=120, **kwargs)
        policy = heuristic(env) if kwargs else None
        rng = np.random.default_rng(0)
        state, step = env.reset(range(8))
        while not ended(step).all():
            chance = drawn(step, rng)
            state, step = env.step(state, policy(state) if policy else chance)
        delays[name] = step.metrics["delay"].mean()
    assert delays[rule] < 0.7 * delays["random"]


def test_the_picture_shows_vehicles_where_their_lanes_are():
    from envs.signals.picture import came_by, pose

    env = town(task="grid-2x2")
    policy = heuristic(env)
    state, _ = env.reset([0])
    for _ in range(30):
        state, _ = env.step(state, policy(state))
    begin = len(env.network.line)
    found = range(begin, begin + len(vehicles(env, state)))
    assert len(found) > 20
    lane, turns = state.chain[0, :, LANE].tolist(), state.chain[0, :, TURNS].tolist()
    places = np.array(
        [
            pose(env.config, lane[i], float(state.position[0, i]), came_by(env.network, lane[i], turns[i]))[:2]
            for i in found
        ]
    )
    apart = np.linalg.norm(places[:, None] - places[None], axis=2) + 100.0 * np.eye(len(places))
    assert apart.min() > 1.5  # lanes are 3.5 m apart, vehicles in a lane 4.8 m at least
    frame = env.render(state, 0)
    assert frame.std() > 20.0


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"rows": 0}, "from 1 to 64"),
        ({"rows": 9, "columns": 9}, "at most 64"),
        ({"lanes": 1}, "from 2 to 4"),
        ({"reward_kind": "queue"}, "delay, pressure"),
        ({"left_share": 0.7, "right_share": 0.7}, "more than 1"),
        ({"n_blackouts": 5}, "lower it"),
        ({"flow": "much"}, "give a value of type float"),
    ],
    ids=str,
)
def test_values_that_make_no_network_are_refused(wrong: dict[str, Any], says: str):
    with pytest.raises(ValueError, match=says):
        envs.make("signals", **wrong)
