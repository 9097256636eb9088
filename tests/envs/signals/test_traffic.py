"""Vehicles and lights against closed forms, and what must never happen, over whole episodes."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from signal_scenes import (
    EAST,
    LEFT,
    NORTH,
    RIGHT,
    SOUTH,
    STRAIGHT,
    WEST,
    allowed,
    arrange,
    came,
    drawn,
    go,
    scene,
    seen,
    town,
    vehicles,
)

from envs.core import ended
from envs.roads.crossing import CROSS, MERGE, conflicts, movements
from envs.signals.config import SUBSTEP
from envs.signals.following import ACCELERATION, CAR, DECELERATION, HARDEST, HEADWAY, JAM_GAP, follow, idm
from envs.signals.lights import show_lights
from envs.signals.network import PHASES, may_turn, network_of
from envs.signals.picture import came_by
from envs.signals.state import (
    COME,
    ENTERED,
    GONE,
    LANE,
    LAST_TURN,
    PHASE,
    PREVIOUS,
    SINCE,
    STOPS,
    TURNS,
)
from envs.signals.survey import BEYOND

NS, NS_LEFT, EW, EW_LEFT = range(4)
"""Phases."""


@pytest.mark.parametrize("speed", [2.0, 7.0, 13.0])
def test_the_models_equilibrium_gap_is_the_closed_form(speed):
    """Treiber, Hennecke and Helbing 2000, equation 8: s_e(v) = (s0 + v T) / sqrt(1 - (v / v0)^4)."""
    gap = (JAM_GAP + speed * HEADWAY) / math.sqrt(1.0 - (speed / 13.9) ** 4)
    assert idm(speed / 13.9, speed, gap, 0.0) == pytest.approx(0.0, abs=1e-6)
    assert idm(speed / 13.9, speed, 0.9 * gap, 0.0) < 0.0 < idm(speed / 13.9, speed, 1.1 * gap, 0.0)


def test_the_models_terms_are_those_of_the_paper():
    v, v0, s, dv = 10.0, 15.0, 30.0, 2.0
    wanted = JAM_GAP + v * HEADWAY + v * dv / (2.0 * math.sqrt(ACCELERATION * DECELERATION))
    assert idm(v / v0, v, s, dv) == pytest.approx(ACCELERATION * (1.0 - (v / v0) ** 4 - (wanted / s) ** 2))
    assert idm(1.0, 13.9, 1.0, 10.0) == -HARDEST
    assert idm(5.0 / 13.9, 5.0, 1e9, 0.0) == pytest.approx(ACCELERATION * (1.0 - (5.0 / 13.9) ** 4))


@pytest.mark.parametrize("speed", [2.0, 8.0, 12.0])
def test_a_follower_settles_at_the_equilibrium_gap(speed):
    """Behind one of constant speed, in steps of a second, from too near and from too far."""
    equilibrium = (JAM_GAP + speed * HEADWAY) / math.sqrt(1.0 - (speed / 13.9) ** 4)
    for gap in (0.5 * equilibrium, 3.0 * equilibrium):
        position, own, lost = (np.zeros(1, np.float32) for _ in range(3))
        own[0], slowness = speed, np.full(1, 1.0 / 13.9, np.float32)
        rear = np.full(1, gap, np.float32)
        for _ in range(200):
            follow(1, position, own, rear, np.full(1, speed, np.float32), slowness, slowness, lost)
            rear += np.float32(SUBSTEP * speed)
        assert own[0] == pytest.approx(speed, abs=0.01)
        assert rear[0] - position[0] == pytest.approx(equilibrium, abs=0.05)


def test_steps_of_a_second_are_those_of_the_model():
    """A platoon comes to a red light and stands, against explicit steps of 0.02 s."""
    env, n, dt, limit = town(approach=600.0), 12, 0.02, 13.9
    state = scene(env, *[(EAST, STRAIGHT, 60.0 + 30.0 * k, 12.0) for k in range(n)])
    line = float(env.network.link[EAST, 0])
    at, v = line - 60.0 - 30.0 * np.arange(n), np.full(n, 12.0)
    for _ in range(16):
        state, _ = go(env, state, NS, 1)
        for _ in range(round(5.0 / dt)):
            gap, ahead = np.append(line, at[:-1] - CAR) - at, np.append(0.0, v[:-1])
            change = [idm(v[i] / limit, v[i], gap[i], v[i] - ahead[i]) for i in range(n)]
            after = np.maximum(v + dt * np.array(change), 0.0)
            at, v = at + 0.5 * dt * (v + after), after
        assert [seen(env, state, i)[0] for i in range(n)] == pytest.approx(at, abs=2.5)
    assert [seen(env, state, i)[0] for i in range(n)] == pytest.approx(at, abs=0.2)
    assert state.totals[0, STOPS] == n  # explicit steps of a second make it 19


def test_red_stops_everybody_before_the_line_in_a_queue():
    env = town()
    state = scene(env, (EAST, STRAIGHT, 60.0, 13.0), (EAST, RIGHT, 80.0, 13.0), (EAST, LEFT, 50.0, 13.0))
    state, step = go(env, state, NS, 6)
    length = env.network.link[EAST, 0]
    assert [seen(env, state, i)[1] for i in range(3)] == pytest.approx([0.0] * 3, abs=0.05)
    assert 0.0 < length - seen(env, state, 0)[0] < JAM_GAP + 1.0
    gap = seen(env, state, 0)[0] - CAR - seen(env, state, 1)[0]
    assert gap == pytest.approx(JAM_GAP, abs=0.5)
    assert step.obs[0, 0, :3].tolist() == pytest.approx([1 / 25, 1 / 25, 1 / 25])
    assert state.totals[0, STOPS] == 3.0


def test_green_lets_them_go_and_turns_are_slow():
    env = town()
    state = scene(env, (NORTH, STRAIGHT, 40.0, 13.9), (SOUTH, RIGHT, 40.0, 13.9))
    slowest = np.full(2, np.inf)
    for _ in range(4):
        state, _ = go(env, state, NS, 1)
        for i, _, _, v in vehicles(env, state):
            slowest[i] = min(slowest[i], v)
    state, step = go(env, state, NS, 1)
    assert state.totals[0, GONE] == 2.0
    assert slowest[0] > 12.0
    assert slowest[1] < 8.0
    assert step.metrics["throughput"][0] == pytest.approx(2 * 3600 / 25.0)


def test_a_change_takes_yellow_and_all_red():
    env = town(yellow=3.0, all_red=2.0, min_green=10.0)
    state = scene(env)
    state, step = go(env, state, NS, 2)
    assert allowed(step)[0, 0].tolist() == [True] * 4
    state, step = go(env, state, EW, 1)
    assert state.signal[0, 0, [PHASE, PREVIOUS, SINCE]].tolist() == [EW, NS, 5.0]
    assert allowed(step)[0, 0].tolist() == [False, False, True, False]
    state, step = go(env, state, NS, 1)  # masked: it is not taken
    assert state.signal[0, 0, [PHASE, SINCE]].tolist() == [EW, 10.0]
    assert not allowed(step)[0, 0, NS]
    state, step = go(env, state, EW, 1)
    assert allowed(step)[0, 0].all()


def test_lights_are_yellow_and_red_for_as_long_as_they_should():
    env = town(yellow=3.0, all_red=2.0)
    signal = scene(env).signal.copy()
    signal[0, 0, [PHASE, PREVIOUS, SINCE]] = EW, NS, 0.0
    go, amber = np.zeros(1, np.int64), np.zeros(1, np.int64)
    shown = []
    for _ in range(7):
        show_lights(env._driving, env.network.green, signal, np.full((1, 1, 2), np.inf), 0, 0.0, go, amber)
        shown.append("y" if amber[0] == env.network.green[NS] else "g" if go[0] == env.network.green[EW] else "r")
    assert SUBSTEP == 1.0
    assert "".join(shown) == "yyyrrgg"


def test_a_vehicle_that_finds_room_at_an_entry_is_let_in():
    """However many are on the roads elsewhere: all arms but one are full."""
    env = town(task="single", flow=3600.0, peak=1.0, imbalance=0.0, max_steps=120)
    state, _ = env.reset([0])
    for _ in range(120):
        state, _ = env.step(state, np.full((1, 1), EW))
    waiting = state.entered[0, :, 0] - state.entered[0, :, 1]  # (E,)
    found = vehicles(env, state)
    lanes = {z: min(s for _, at, s, _ in found if at == z) for z in {z for _, z, _, _ in found}}
    assert len(found) > 80
    for e, link in enumerate(env.network.entry.tolist()):
        free = [z for z in range(link * env.config.lanes, (link + 1) * env.config.lanes) if lanes.get(z, 1e9) > 40.0]
        assert len(free) < env.config.lanes or waiting[e] == 0


def test_yellow_stops_the_vehicles_that_can_stop_and_no_others():
    env = town()
    for to_line, passes in ((15.0, True), (60.0, False)):
        state = scene(env, (NORTH, STRAIGHT, to_line, 13.0))
        state.signal[0, 0, SINCE] = 100.0
        state, _ = go(env, state, EW, 2)
        assert bool(came(env, state, 0) >= 0) is passes


@pytest.mark.parametrize("lanes", [2, 3])
def test_movements_of_a_phase_do_not_conflict(lanes):
    """Against the paths of the roads themselves, not the table that the kernels use."""
    ways, kind = movements(lanes), conflicts(lanes).kind
    clash = network_of(town(lanes=lanes).config).clash
    for phase in PHASES:
        for i, one in enumerate(ways):
            for j, other in enumerate(ways):
                a, b = 3 * one.heading + one.turn, 3 * other.heading + other.turn
                if not (may_turn(one.lane, one.turn, lanes) and may_turn(other.lane, other.turn, lanes)):
                    continue
                if a in phase and b in phase and one.heading != other.heading:
                    assert kind[i, j] not in (CROSS, MERGE)
                    assert not clash[a] >> b & 1
    assert sorted(m for phase in PHASES for m in phase) == list(range(12))
    assert clash[3 * EAST + STRAIGHT] >> (3 * NORTH + STRAIGHT) & 1
    assert clash[3 * EAST + LEFT] >> (3 * WEST + STRAIGHT) & 1


def test_nobody_enters_an_occupied_box():
    env = town()
    state = scene(env, (EAST, STRAIGHT, 3.0, 0.0), (NORTH, STRAIGHT, 1.0, 0.0))
    h2 = env.network.turn[STRAIGHT, 0]
    # The eastbound one stands in the middle of the box, where the light has turned.
    into, length = int(env.network.target[0, EAST]) * 2 + 1, env.network.link[NORTH, 0]
    arrange(env, state, [(into, 0, -0.5 * h2, 0.0), (NORTH * 2 + 1, 1, length - 1.0, 0.0)], [STRAIGHT] * 2)
    state.chain[0, len(env.network.line), TURNS] |= STRAIGHT << LAST_TURN  # so it came
    entered = []
    for _ in range(3):
        state, _ = go(env, state, NS, 1)
        places = {i: s for i, _, s, _ in vehicles(env, state)}  # vehicles that are not there have left
        entered.append((places.get(0, math.inf), came(env, state, 1)))
    assert entered[-1][1] >= 0
    assert all(cleared > 0.0 for cleared, movement in entered if movement >= 0)


def test_a_full_road_ahead_keeps_the_box_free():
    env = town(task="arterial-5")
    ahead = int(env.network.target[0, EAST])
    state = scene(env, (EAST, STRAIGHT, 30.0, 10.0))
    # A queue that reaches back to the box.
    queue = [(ahead * 2 + 1, i, env.network.link[ahead, 0] - 2.0 - 6.8 * (i - 1), 0.0) for i in range(1, 23)]
    arrange(env, state, [(EAST * 2 + 1, 0, env.network.link[EAST, 0] - 30.0, 10.0), *queue], [STRAIGHT] * 23)
    assert seen(env, state, 22)[0] < CAR + JAM_GAP
    state.signal[0, 0, PHASE] = EW
    action = np.array([[EW, NS, NS, NS, NS]])
    for _ in range(3):
        state, _ = env.step(state, action)
    state, step = env.step(state, action)
    assert came(env, state, 0) == -1
    assert seen(env, state, 0)[1] < 0.1
    assert step.cost[0].tolist() == [0.0, 1.0, 0.0, 0.0, 0.0]
    assert step.metrics["spillback"][0] > 0.0


@pytest.mark.parametrize(
    "options",
    [
        {"task": "single", "flow": 700.0},
        {"task": "grid-2x2", "lanes": 3},
        {"task": "grid-2x2", "n_blackouts": 2, "block": 60.0},
        {"task": "arterial-5", "flow": 900.0},
    ],
    ids=str,
)
def test_vehicles_are_kept_and_never_overlap(options):
    """No vehicle is lost or doubled, none is inside another of its lane, none in a box with a conflicting path."""
    env = town(max_steps=100, **options)
    rng = np.random.default_rng(0)
    state, step = env.reset([0, 1])
    net, boxes, crowded = env.network, 0, 0
    while not ended(step).all():
        action = drawn(step, rng)
        action = np.where(rng.random(action.shape) < 0.7, state.signal[:, :, PHASE].astype(int), action)
        state, step = env.step(state, action)
        for b in range(2):
            found = vehicles(env, state, b)
            slots = [i for i, *_ in found]
            assert len(set(slots)) == len(slots)
            assert len(found) == state.entered[b, :, ENTERED].sum() - state.totals[b, GONE]
            assert (state.entered[b, :, COME] >= state.entered[b, :, ENTERED]).all()
            now = 5.0 * state.step[b]
            assert state.entered[b, :, COME].tolist() == (state.due[b] <= now).sum(axis=1).tolist()
            inside = {}
            for (_, z, s, _), (_, z_behind, s_behind, v) in itertools.pairwise(found):
                if z == z_behind:
                    assert s - s_behind >= CAR - 1e-4  # float32: a tenth of a millimetre
                    crowded += s - s_behind < CAR + JAM_GAP + 1.0
                assert 0.0 <= v <= 13.9 + 1e-5
            for place in range(len(net.line), len(net.line) + len(found)):
                z = int(state.chain[b, place, LANE])
                if state.position[b, place] < 0.0:
                    movement = came_by(env.network, z, int(state.chain[b, place, TURNS]))
                    inside.setdefault(int(net.source[z]), set()).add(movement)
            for movements_inside in inside.values():
                boxes += len(movements_inside) > 1
                for m in movements_inside:
                    assert not any(net.clash[m] >> other & 1 for other in movements_inside)
    assert boxes > 0
    assert crowded > 0


def test_demand_has_its_mean_peak_and_shares():
    env = town(flow=600.0, peak=3.0, imbalance=0.0, left_share=0.1, right_share=0.3, max_steps=240)
    state, _ = env.reset(range(40))
    times = state.due[np.isfinite(state.due) & (state.due >= 0.0)]
    assert len(times) / (40 * 4) == pytest.approx(200.0, rel=0.03)
    ends = ((times < 120.0) | (times > 1080.0)).sum() / 240.0
    middle = ((times > 540.0) & (times < 660.0)).sum() / 120.0
    # Mean rates of 1 + 2 sin^2 over the outer and the middle tenths.
    outer = np.mean(1.0 + 2.0 * np.sin(np.pi * np.linspace(0.0, 0.1, 101)) ** 2)
    inner = np.mean(1.0 + 2.0 * np.sin(np.pi * np.linspace(0.45, 0.55, 101)) ** 2)
    assert middle / ends == pytest.approx(inner / outer, rel=0.1)
    turns = state.route[np.isfinite(state.due)] & 3
    assert [np.mean(turns == t) for t in (LEFT, STRAIGHT, RIGHT)] == pytest.approx([0.1, 0.6, 0.3], abs=0.02)
    later = state.route[np.isfinite(state.due)] >> 8 & 3
    assert np.mean(later == RIGHT) == pytest.approx(0.3, abs=0.02)


def test_approaches_begin_as_full_as_free_traffic_makes_them():
    env = town(flow=600.0, peak=1.0, imbalance=0.0)
    state, _ = env.reset(range(100))
    found = [vehicles(env, state, b) for b in range(100)]
    cars = [car for world in found for car in world]
    assert len(cars) / 400 == pytest.approx(600 / 3600 * 150.0 / 13.9, rel=0.12)
    assert all(0.0 <= s <= 148.0 and v == np.float32(13.9) for _, _, s, v in cars)
    assert np.mean([s for _, _, s, _ in cars]) == pytest.approx(75.0, abs=8.0)


def test_a_world_without_red_loses_no_time():
    """A vehicle alone, all green: delay is what speeding up from the entry and nothing else costs."""
    env = town()
    state = scene(env, (NORTH, STRAIGHT, 150.0, 13.9))
    state, step = go(env, state, NS, 1)
    steps = 1
    while not state.totals[0, GONE]:
        state, step = go(env, state, NS, 1)
        steps += 1
    whole = 150.0 + env.network.turn[STRAIGHT, 0] + 60.0
    assert 5.0 * (steps - 1) <= whole / 13.9 + 0.5
    assert step.metrics["delay"][0] == pytest.approx(0.0, abs=0.1)
    assert step.metrics["fairness"][0] == pytest.approx(1.0)


def test_time_lost_is_counted_for_vehicles_that_stand_or_wait_outside():
    env = town(max_steps=12)
    state = scene(env, (EAST, STRAIGHT, 2.0, 0.0))
    after, step = go(env, state, NS, 1)
    assert step.reward[0, 0] == pytest.approx(-5.0 / 50.0, abs=0.01)
    assert step.team_reward[0] == pytest.approx(step.reward[0].sum())
    # A queue up to the entry, and a vehicle that is due and finds no room.
    cars = [(EAST, STRAIGHT, 2.0 + 6.8 * k, 0.0) for k in range(22)]
    state = scene(env, *cars)
    entry = env.network.entry.tolist().index(EAST)
    state.due[0, entry, 22] = 0.5
    state.due[0, entry, :22] = 0.0
    state.route[0, entry] = STRAIGHT
    state.entered[0, :] = 0
    state.entered[0, entry] = 22
    after, step = go(env, state, NS, 1)
    assert after.entered[0, entry].tolist() == [23, 22]
    assert step.reward[0, 0] == pytest.approx(-(22 * 5.0 + 5.0) / 50.0, abs=0.1)
    assert env.counts(after)[0, 0, BEYOND].sum() == 0.0
