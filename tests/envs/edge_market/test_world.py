"""Sampling of worlds, their changes from outside, and observations of nodes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from edge_market_scenes import make, roll

from envs.conformance.play import random_actions
from envs.edge_market.observe import HEAD_TASKS, OF_MODEL, OF_NODE, OF_TASK
from envs.edge_market.state import (
    ARRIVES,
    ASK,
    BID,
    BYZANTINE,
    CARTEL,
    DEADLINE,
    DEMAND,
    LEVELS,
    LOADED,
    MEMORY,
    MODEL,
    NOBODY,
    ORIGIN,
    POSTED_PRICE,
    PRICE,
    READY,
    SAID_AT,
    SAID_LOAD,
    SAID_PRICE,
    SHARE,
    SPEED,
    USED,
    VALUE,
    WANTED,
    WORK,
    State,
    X,
)


@pytest.mark.parametrize("n_nodes", [2, 3, 8, 50])
def test_the_graph_is_connected_and_of_few_links(n_nodes: int) -> None:
    env = make(n_nodes=n_nodes, n_neighbors=3)
    state, step = env.reset(range(8))
    for b in range(8):
        adjacency = step.adjacency[b]
        assert (adjacency == adjacency.T).all()
        assert adjacency.sum(axis=1).max() <= 3
        reached = np.linalg.matrix_power(adjacency.astype(float) + np.eye(n_nodes), n_nodes)
        assert (reached > 0).all()
        for i in range(n_nodes):
            row = [j for j in state.neighbor[b, i].tolist() if j != NOBODY]
            assert sorted(row) == np.flatnonzero(adjacency[i]).tolist()
            far = [np.hypot(*(state.node[b, i, 2:4] - state.node[b, j, 2:4])) for j in row]
            assert far == sorted(far)
            for d, j in enumerate(row):
                back = state.neighbor[b, j].tolist().index(i)
                assert (state.link[b, i, d] == state.link[b, j, back]).all()


def test_no_short_link_is_missing_where_there_is_room() -> None:
    env = make(n_neighbors=6, radio_range=0.4)
    state, step = env.reset(range(10))
    for b in range(10):
        degree = step.adjacency[b].sum(axis=1)
        for i in range(8):
            for j in range(i):
                near = np.hypot(*(state.node[b, i, 2:4] - state.node[b, j, 2:4])) <= 0.4
                assert step.adjacency[b, i, j] or not near or max(degree[i], degree[j]) == 6


def arrivals(state: State, n: int, slots: int) -> Any:
    """(B, slots, N) tasks that arrive."""
    found = np.zeros((len(state.step), slots, n))
    for b, tasks in enumerate(state.task_int):
        here = tasks[tasks[:, ARRIVES] < slots]
        np.add.at(found[b], (here[:, ARRIVES], here[:, ORIGIN]), 1)
    return found


@pytest.mark.parametrize("burst", [1.0, 6.0])
def test_arrivals_have_the_mean_they_should(burst: float) -> None:
    env = make(burst=burst, imbalance=0.5)
    state, _ = env.reset(range(200))
    counts = arrivals(state, 8, 200)
    expected = env.params.arrivals * state.node[..., SHARE]  # (B, N)
    assert counts.mean() == pytest.approx(env.params.arrivals, rel=0.03)
    assert np.corrcoef(counts.mean(axis=1).ravel(), expected.ravel())[0, 1] > 0.5
    # Sums over 3 s: their variance is their mean where arrivals are Poisson, and much more where they come in spells.
    sums = counts[:, :195].reshape(200, 13, 15, 8).sum(axis=2)  # (B, 195, N) -> (B, 13, 15, N)
    ratio = sums.var(axis=1).mean() / sums.mean()
    assert ratio < 1.1 if burst == 1.0 else ratio > 1.8
    assert state.node[..., SHARE].mean(axis=1) == pytest.approx(1.0)


def test_tasks_are_drawn_within_their_ranges() -> None:
    env = make()
    state, _ = env.reset(range(20))
    c = env.config
    here = state.task_int[..., ARRIVES] <= c.max_steps
    work, size, deadline, value = np.moveaxis(state.task.astype(float), -1, 0)
    patience = deadline - state.task_int[..., ARRIVES] * c.slot_seconds
    for values, mean, spread in (
        (work, c.work, c.work_spread),
        (size, c.size, 0.5),
        (patience, c.deadline, c.deadline_spread),
        (value / np.where(here, work, 1.0), 1.0, 0.5),
    ):
        drawn = values[here]
        assert drawn.min() >= mean * (1 - spread) - 1e-4
        assert drawn.max() <= mean * (1 + spread) + 1e-4
        assert drawn.mean() == pytest.approx(mean, rel=0.03)
    assert (np.diff(state.task_int[..., ARRIVES].astype(int), axis=1) >= 0).all()


def test_energy_prices_jump_now_and_then() -> None:
    env = make(energy_churn=0.1)
    state, _ = env.reset(range(50))
    changes = (np.diff(state.energy.astype(int), axis=1) != 0).mean()
    assert changes == pytest.approx(0.1, abs=0.01)
    assert state.energy.mean() / LEVELS == pytest.approx(0.5, abs=0.03)


def test_models_start_where_they_fit_and_users_prefer_some() -> None:
    env = make("serving-12")
    state, _ = env.reset(range(20))
    used = (state.model[..., LOADED] * state.model_size[:, None]).sum(axis=2)
    assert (used <= state.node[..., MEMORY] + 1e-9).all()
    assert state.model[..., LOADED].any(axis=1).all(), "a model that no node has"
    shares = np.zeros((20, 12, 8))
    for b, tasks in enumerate(state.task_int):
        here = tasks[tasks[:, ARRIVES] <= 200]
        np.add.at(shares[b], (here[:, ORIGIN], here[:, MODEL]), 1)
    shares = np.sort(shares / shares.sum(axis=2, keepdims=True), axis=2)[..., ::-1].mean(axis=(0, 1))
    zipf = 1 / np.arange(1, 9) / (1 / np.arange(1, 9)).sum()
    assert shares == pytest.approx(zipf, abs=0.06)


def test_faults_follow_the_schedule() -> None:
    env = make("partition-16", failures=2.0)
    state, step = env.reset(range(30))
    assert state.cut.mean() == pytest.approx(env.config.partition, abs=0.02)
    assert (~state.up).mean() == pytest.approx(2.0 * 0.1 / 1.2, abs=0.05)
    rng = np.random.default_rng(0)
    across = (state.node[..., 2] < 0.5 * env.params.side)[..., None] != (state.node[..., 2] < 0.5 * env.params.side)[
        :, None
    ]
    seen = 0
    for _ in range(120):
        state, step = env.step(state, random_actions(env, step, rng))
        b, t = np.arange(30), int(state.step[0])
        assert not (step.adjacency & across)[state.cut[b, t]].any()
        down = ~state.up[b, t]
        assert not step.adjacency[down].any()
        assert (state.n_held[down] == 0).all()
        assert not state.model[down][..., LOADED].any()
        assert (step.obs[..., 1] == ~down).all()
        seen += int(down.sum())
    assert seen > 100


def test_prices_differ_between_the_parts_of_a_cut_net() -> None:
    env = make("partition-16", partition=1.0, failures=0.0)
    state, _ = roll(env, range(6), 60, "truthful")
    west = state.node[..., 2] < 0.5 * env.params.side
    apart = [
        abs(p[w].mean() - p[~w].mean()) for p, w in zip(state.tally[..., PRICE], west, strict=True) if 0 < w.sum() < 16
    ]
    assert max(apart) > 0.01


def test_liars_say_they_have_nothing_to_do_and_the_cartel_asks_dear() -> None:
    env = make("byzantine-16")
    state, _ = roll(env, range(8), 50, "truthful")
    assert (state.node[..., BYZANTINE].sum(axis=1) == 4).all()
    assert (state.node[..., CARTEL].sum(axis=1) == 4).all()
    assert not (state.node[..., BYZANTINE] * state.node[..., CARTEL]).any()
    energy = env.config.energy_low + (env.config.energy_high - env.config.energy_low) * state.energy[:, 49] / LEVELS
    liar, cartel = state.node[..., BYZANTINE] > 0, state.node[..., CARTEL] > 0
    assert state.tally[..., ASK][liar] == pytest.approx(0.5 * energy[liar])
    assert (state.tally[..., ASK][cartel] >= env.config.cartel_price).all()
    honest = ~liar & ~cartel
    assert state.tally[..., ASK][honest] == pytest.approx(energy[honest])
    said = {True: [], False: []}
    for b in range(8):
        for i in range(16):
            for d, j in enumerate(state.neighbor[b, i]):
                if j != NOBODY:
                    said[bool(liar[b, j])].append(state.heard[b, i, d, SAID_LOAD])
    assert max(said[True]) == 0.0
    assert np.mean(said[False]) > 0.2


def test_neighbours_hear_what_was_said_and_how_long_ago() -> None:
    env = make(gossip_every=5)
    state, step = env.reset([4])
    spoke: dict[int, tuple[float, float, float]] = {}
    rng = np.random.default_rng(0)
    for t in range(40):
        for i in range(8):
            if (t + i) % 5 == 0:
                work = state.queue[0, i, :, 0].sum() / state.node[0, i, SPEED]
                spoke[i] = work, state.tally[0, i, ASK], t * env.step_seconds
        for i in range(8):
            for d, j in enumerate(state.neighbor[0, i].tolist()):
                at = OF_NODE + OF_TASK * HEAD_TASKS + OF_MODEL * 4 + 7 * d
                if j == NOBODY:
                    assert not step.obs[0, i, at : at + 7].any()
                elif j in spoke:
                    load, price, when = spoke[j]
                    heard = state.heard[0, i, d]
                    assert heard[[SAID_LOAD, SAID_PRICE, SAID_AT]] == pytest.approx([load, price, when])
                    age = t * env.step_seconds - when
                    assert step.obs[0, i, at + 5] == pytest.approx(age / (age + 2.0), abs=1e-6)
                    assert step.obs[0, i, at + 3] == pytest.approx(load / (load + 2.0), abs=1e-6)
                else:
                    assert step.obs[0, i, at + 5] == 1.0
        state, step = env.step(state, random_actions(env, step, rng))


# Observations of nodes


def test_a_node_sees_its_own_queue_and_models() -> None:
    env = make(load=1.2)
    state, step = roll(env, range(4), 60, "truthful")
    now, q = 60 * env.step_seconds, lambda x: x / (1 + x)
    for b in range(4):
        for i in range(8):
            o = step.obs[b, i]
            speed, count = state.node[b, i, SPEED], int(state.n_held[b, i])
            tasks, left = state.held[b, i, :count], state.queue[b, i, :count, 0]
            doable = left / speed <= state.task[b, tasks, DEADLINE] - now
            assert o[0] == pytest.approx(speed / 4.0)
            assert o[3] == pytest.approx(q((left * doable).sum() / speed / 2.0), abs=1e-5)
            assert o[5] == pytest.approx(count / 12)
            taken = state.task_int[b, tasks, ORIGIN] != i
            assert o[4] == pytest.approx(q((left * taken).sum() / (2.0 * speed)), abs=1e-5)
            assert o[11] == pytest.approx(q(state.tally[b, i, PRICE]), abs=1e-5)
            for h in range(min(count, HEAD_TASKS)):
                seen, k = o[OF_NODE + OF_TASK * h :][:OF_TASK], tasks[h]
                assert seen[0] == (-1.0 if taken[h] else 1.0)
                assert seen[1] == pytest.approx(left[h] / (left[h] + 1.0), abs=1e-5)
                patience = state.task[b, k, DEADLINE] - now
                assert seen[2] == pytest.approx(patience / (patience + 2.0), abs=1e-5)
                assert seen[3] == pytest.approx(q(state.task[b, k, VALUE] / state.task[b, k, WORK]), abs=1e-5)
                assert seen[5] == state.model[b, i, state.task_int[b, k, MODEL], LOADED]
            assert not o[OF_NODE + OF_TASK * min(count, HEAD_TASKS) : OF_NODE + OF_TASK * HEAD_TASKS].any()
            models = o[OF_NODE + OF_TASK * HEAD_TASKS :][: OF_MODEL * 4].reshape(4, OF_MODEL)  # (20,) -> (4, 5)
            assert (models[:, 0] == state.model[b, i, :, LOADED]).all()
            wanted = state.model[b, i, :, WANTED] * 4 / env.params.arrivals
            assert models[:, 3] == pytest.approx(q(wanted), abs=1e-5)
    assert step.state[:, -2] == pytest.approx(60 / 200)


def test_every_other_entry_of_an_observation() -> None:
    """By the table in the manual: what `test_a_node_sees_its_own_queue_and_models` and the neighbours' test leave."""
    env = make("byzantine-16", load=1.3, rule="posted", failures=4.0, partition=0.5)
    seen: set[str] = set()
    for steps in (25, 60, 110):
        state, step = roll(env, range(3), steps)
        now, q, mean_deadline = steps * env.step_seconds, lambda x: x / (1 + x), env.config.deadline
        for b in range(3):
            for i in range(16):
                o, speed, tally = step.obs[b, i], state.node[b, i, SPEED], state.tally[b, i]
                up = state.up[b, steps]
                energy = 0.05 + 0.4 * state.energy[b, steps, i] / LEVELS
                expected = {
                    1: up[i],
                    2: energy / 0.45,
                    6: tally[USED],
                    7: q(tally[DEMAND] / speed),
                    12: state.partner[b, i] != NOBODY,
                    13: (state.partner[b] == i).any(),
                    14: q(tally[BID]),
                    15: q(tally[ASK]),
                    16: q(tally[POSTED_PRICE]),
                    17: q(state.loading[b, i, 1] / mean_deadline),
                    19: step.reward[b, i] / (1 + abs(step.reward[b, i])),
                    20: state.node[b, i, BYZANTINE],
                    21: state.node[b, i, CARTEL],
                }
                reading = state.loading[b, i, 0]
                inside = [m for m in range(4) if state.model[b, i, m, LOADED] or m == reading]
                expected[18] = 1 - state.model_size[b, inside].sum() / 6.0
                ahead, late, best = 0.0, 0, (0.0, 0.0)
                waiting = np.zeros(4)
                for h, k in enumerate(state.held[b, i, : state.n_held[b, i]]):
                    left, m = state.queue[b, i, h, 0], state.task_int[b, k, MODEL]
                    alone, patience = left / speed, state.task[b, k, DEADLINE] - now
                    there = state.model[b, i, m, LOADED] > 0
                    wait = state.loading[b, i, 1] + (0.0 if reading == m else state.model_size[b, m] / 4.0)
                    need = alone + (ahead if there else max(ahead, wait))
                    waiting[m] += alone
                    ahead += alone * (alone <= patience)
                    if need > patience:
                        late += 1
                        fresh = state.task_int[b, k, ORIGIN] == i and left == state.task[b, k, WORK]
                        best = max(best, (float(state.task[b, k, VALUE]), left)) if fresh else best
                    if h < HEAD_TASKS:
                        expected[OF_NODE + OF_TASK * h + 4] = 0.5 * min(need / patience, 2.0)
                        expected[OF_NODE + OF_TASK * h + 6] = state.queue[b, i, h, READY] <= now
                        seen.add("on its way" if state.queue[b, i, h, READY] > now else "there")
                expected[8] = late / 12
                expected[9] = q(best[0] * 1.3 / best[1]) if best[1] else 0.0
                expected[10] = best[1] / (best[1] + 1.0)
                for m in range(4):
                    at = OF_NODE + OF_TASK * HEAD_TASKS + OF_MODEL * m
                    expected |= {
                        at + 1: m == reading,
                        at + 2: state.model_size[b, m] / 6.0,
                        at + 4: q(waiting[m] / 2.0),
                    }
                for d, j in enumerate(state.neighbor[b, i].tolist()):
                    at = OF_NODE + OF_TASK * HEAD_TASKS + OF_MODEL * 4 + 7 * d
                    if j == NOBODY:
                        continue
                    side = (state.node[b, [i, j], X] < 0.5 * env.params.side).tolist()
                    works = up[i] and up[j] and not (state.cut[b, steps] and side[0] != side[1])
                    assert step.adjacency[b, i, j] == works
                    bandwidth, latency = state.link[b, i, d]
                    free = max(state.link_free[b, i, d] - now, 0.0)
                    expected |= {at: 1.0 if works else -1.0, at + 1: bandwidth / 7.5, at + 2: latency / (latency + 0.2)}
                    expected |= {at + 4: q(state.heard[b, i, d, SAID_PRICE]), at + 6: free / (free + 0.2)}
                    seen |= {"works" if works else "cut", "busy" if free else "free"}
                assert {k: float(o[k]) for k in expected} == pytest.approx(
                    {k: float(v) for k, v in expected.items()}, abs=2e-6
                ), (b, i)
                seen |= {f"{k}" for k in (9, 12, 13, 17) if expected[k] > 0}
    assert seen == {"on its way", "there", "works", "cut", "busy", "free", "9", "12", "13", "17"}


def test_a_world_can_be_stepped_past_its_time_limit() -> None:
    """Past the time limit there are no new tasks, and the last tariffs hold."""
    env = make(max_steps=5, failures=1.0)
    state, step = roll(env, [1], 9)
    assert step.truncated.all()
    assert np.isfinite(step.obs).all()
    assert state.head[0] == (state.task_int[0, :, ARRIVES] <= 5).sum()
