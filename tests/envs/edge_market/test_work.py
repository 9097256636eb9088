"""Tasks, capacity and money, each counted a second time by other means."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import envs
from envs.conformance.play import random_actions
from envs.core import Step
from envs.edge_market import EdgeMarket
from envs.edge_market.heuristic import heuristic
from envs.edge_market.market import energy_price
from envs.edge_market.state import (
    ARRIVES,
    CYCLES,
    DEADLINE,
    DONE,
    DROPPED,
    DUE,
    EARNED,
    EARNS,
    IN_TRANSIT,
    LEFT,
    LOADED,
    MEMORY,
    MISSED,
    MODEL,
    NOBODY,
    ORIGIN,
    PAID,
    PAYS,
    QUEUE_SLOTS,
    QUEUED,
    READY,
    RUNNING,
    SALES,
    SPEED,
    USED,
    VALUE,
    WORK,
    State,
)

WORLDS = (
    {},
    {"task": "partition-16", "failures": 2.0, "max_steps": 120},
    {"task": "byzantine-16", "max_steps": 80},
    {"task": "bursty-8", "load": 1.6, "rule": "vcg"},
    {"task": "serving-12", "rule": "mcafee", "max_steps": 100},
    {"task": "duopoly-2", "rule": "posted"},
)


def make(**kw: Any) -> EdgeMarket:
    return envs.make("edge_market", kw.pop("task", None), **kw)  # pyright: ignore[reportReturnType]


def play(env: EdgeMarket, seeds: Any = (0, 1), act: Any = None) -> Any:
    """(state, action, next state, next step) to the time limit."""
    rng = np.random.default_rng(1)
    state, step = env.reset(seeds)
    for _ in range(env.max_steps):
        action = random_actions(env, step, rng) if act is None else act(state)
        following, step = env.step(state, action)
        yield state, action, following, step
        state = following


def places(state: State, b: int) -> dict[int, tuple[int, int]]:
    """Where each task is held: node and place in its queue; fails if any is held twice."""
    found: dict[int, tuple[int, int]] = {}
    for i, count in enumerate(state.n_held[b].tolist()):
        assert (state.held[b, i, count:] == NOBODY).all()
        assert not state.queue[b, i, count:].any()
        for q, k in enumerate(state.held[b, i, :count].tolist()):
            assert k not in found, f"task {k} is held twice"
            found[k] = i, q
    return found


@pytest.mark.parametrize("world", WORLDS, ids=str)
def test_every_task_is_in_exactly_one_place(world: dict[str, Any]) -> None:
    env = make(**world)
    seen = set()
    for before, _, state, step in play(env):
        for b in range(2):
            held, now = places(state, b), float(state.step[b]) * env.step_seconds
            arrived = np.flatnonzero(state.task_int[b, :, ARRIVES] <= state.step[b]).tolist()
            assert state.head[b] == len(arrived)
            for k, status in enumerate(state.status[b].tolist()):
                assert (k < len(arrived)) == (status != DUE)
                assert (k in held) == (status in (QUEUED, RUNNING, IN_TRANSIT))
                if k in held:
                    left, ready = state.queue[b, *held[k], LEFT], state.queue[b, *held[k], READY]
                    work = state.task[b, k, WORK]
                    assert 0.0 < left <= work
                    assert state.task[b, k, DEADLINE] > now - 1e-6
                    assert status == (IN_TRANSIT if ready > now else QUEUED if left == work else RUNNING)
            seen |= set(state.status[b].tolist())
            ended = before.status[b] >= DONE
            assert (state.status[b][ended] == before.status[b][ended]).all(), "what has ended changed"
            counts = np.bincount(state.status[b], minlength=7)
            metrics = {name: value[b] for name, value in step.metrics.items()}
            total = max(len(arrived), 1)
            assert metrics["completion_rate"] == pytest.approx(counts[DONE] / total)
            assert metrics["miss_rate"] == pytest.approx(counts[MISSED] / total)
            assert metrics["drop_rate"] == pytest.approx(counts[DROPPED] / total)
    assert {QUEUED, DONE} <= seen
    assert (IN_TRANSIT in seen) == (world.get("task") != "duopoly-2")


def test_all_fates_occur() -> None:
    state = list(play(make(task="partition-16", failures=3.0, load=1.5), seeds=range(4)))[-1][2]
    assert set(np.unique(state.status)) >= {MISSED, DROPPED, DONE}


@pytest.mark.parametrize("world", WORLDS, ids=str)
def test_no_capacity_is_used_twice(world: dict[str, Any]) -> None:
    """Work that vanished from queues is no more than the processors could do, and is what the energy was paid for."""
    env = make(**world)
    for before, _, state, step in play(env):
        for b in range(2):
            done = np.zeros(len(env.agents))
            was, held = places(before, b), places(state, b)
            for k in was.keys() | held.keys():
                if k in held:
                    node, left = held[k][0], state.queue[b, *held[k], LEFT]
                elif state.status[b, k] == DONE:
                    node, left = -1, 0.0
                else:
                    continue  # missed or dropped: its work was cut off at an unknown place
                start = before.queue[b, *was[k], LEFT] if k in was else state.task[b, k, WORK]
                assert left <= start + 1e-12
                if node >= 0:
                    done[node] += start - left
            room = before.node[b, :, SPEED] * env.step_seconds
            assert (done <= room + 1e-9).all()
            assert (state.tally[b, :, USED] <= 1.0 + 1e-9).all()
            assert (done <= state.tally[b, :, USED] * room + 1e-9).all()
            up = state.up[b, min(int(before.step[b]), state.up.shape[1] - 1)]
            assert (state.tally[b, ~up, USED] == 0.0).all()
            used = state.model[b, :, :, LOADED] @ state.model_size[b]
            loading = state.loading[b, :, 0].astype(int)
            used += np.where(loading >= 0, state.model_size[b, loading], 0.0)
            assert (used <= state.node[b, :, MEMORY] + 1e-9).all(), "more memory than there is"
        assert (step.metrics["utilisation"] <= 1.0 + 1e-9).all()


@pytest.mark.parametrize("world", WORLDS, ids=str)
def test_money_and_welfare_add_up(world: dict[str, Any]) -> None:
    """Welfare is the value of what was done less energy and penalties, whatever nodes paid each other."""
    env = make(**world)
    welfare, state, step = np.zeros(2), *env.reset((0, 1))
    for before, _, state, step in play(env):
        price = np.array(
            [
                [energy_price(env.params, s.energy, b, int(s.step[b]), i) for i in range(len(env.agents))]
                for s in (before,)
                for b in range(2)
            ]
        )
        spent = (price * state.tally[..., USED] * state.node[..., SPEED] * env.step_seconds).sum(axis=1)
        done = (state.status == DONE) & (before.status != DONE)
        lost = ((state.status == MISSED) & (before.status != MISSED)) | (
            (state.status == DROPPED) & (before.status != DROPPED)
        )
        value = state.task[..., VALUE].astype(float)
        expected = (value * done).sum(axis=1) - env.config.miss_penalty * (value * lost).sum(axis=1) - spent
        assert step.team_reward == pytest.approx(expected, abs=1e-4)
        balance = np.diff(state.totals[:, [EARNED, PAID]] - before.totals[:, [EARNED, PAID]], axis=1)[:, 0]
        assert step.team_reward == pytest.approx(step.reward.sum(axis=1) + balance, abs=1e-4)
        welfare = welfare + expected
        assert step.metrics["welfare"] == pytest.approx(welfare, abs=1e-3)
    if env.config.rule in ("posted", "uniform"):
        assert step.metrics["payments_balance"] == pytest.approx(0.0, abs=1e-9)
    assert step.metrics["utilisation"] == pytest.approx(state.totals[:, CYCLES] / state.totals[:, CYCLES + 1])


def test_links_serve_one_after_the_other_and_each_sale_fits_what_is_not_kept() -> None:
    env = make(load=1.5, imbalance=1.0, bandwidth=2.0)
    sold = 0
    for before, action, state, _ in play(env, act=heuristic(make(load=1.5), "truthful")):
        strategy = env.strategy(before, action)
        for b, i in zip(*np.nonzero(state.partner != NOBODY), strict=True):
            j = state.partner[b, i]
            d = state.neighbor[b, i].tolist().index(j)
            now = float(before.step[b]) * env.step_seconds
            bandwidth, latency = state.link[b, i, d]
            gone = set(before.held[b, i, : before.n_held[b, i]].tolist()) - set(state.held[b, i].tolist())
            arrived = [k for k in state.held[b, j, : state.n_held[b, j]].tolist() if k in gone]
            sent = max(now, before.link_free[b, i, d])
            for k in arrived:
                sent += state.task[b, k, 1] / bandwidth
                q = state.held[b, j].tolist().index(k)
                assert state.queue[b, j, q, READY] == pytest.approx(sent + latency)
                room = (1 - strategy[b, j, 2]) * state.node[b, j, SPEED] * env.config.sale_seconds
                assert before.tally[b, j, SALES] + state.task[b, k, WORK] <= room + 1e-9
                sold += 1
            if arrived:
                assert state.link_free[b, i, d] == pytest.approx(sent)
    assert sold > 50


def test_queues_are_in_order_of_deadline_and_overflow_is_dropped() -> None:
    env = make(load=8.0, max_steps=60)
    overflow = 0
    local = heuristic(env, "local")
    for before, _, state, step in play(env, act=local):
        for b in range(2):
            for i, count in enumerate(state.n_held[b].tolist()):
                deadlines = state.task[b, state.held[b, i, :count], DEADLINE]
                assert (np.diff(deadlines) >= 0).all()
                assert count <= QUEUE_SLOTS
            new = np.flatnonzero((state.status[b] == DROPPED) & (before.status[b] == DUE))
            overflow += len(new)
            for k in new:
                i = state.task_int[b, k, ORIGIN]
                assert state.n_held[b, i] == QUEUE_SLOTS
                assert step.cost[b, i] >= 1.0
    assert overflow > 50


def test_payment_is_on_delivery_and_the_holder_answers() -> None:
    env = make(load=1.2, rule="vcg")
    delivered, failed = 0, 0
    for before, _, state, _ in play(env, act=heuristic(env, "greedy")):
        for b in range(2):
            was = places(before, b)
            paid = state.totals[b, PAID] - before.totals[b, PAID]
            earned = state.totals[b, EARNED] - before.totals[b, EARNED]
            known = [k for k in was if state.status[b, k] == DONE and state.task_int[b, k, ORIGIN] != was[k][0]]
            fresh = [
                k for k in range(len(state.status[b])) if state.status[b, k] == DONE and before.status[b, k] != DONE
            ]
            if set(fresh) == set(known) | {k for k in fresh if k in was}:  # nothing was sold and done in one slot
                assert paid == pytest.approx(sum(before.queue[b, *was[k], PAYS] for k in known), abs=1e-9)
                assert earned == pytest.approx(sum(before.queue[b, *was[k], EARNS] for k in known), abs=1e-9)
                delivered += len(known)
            failed += sum(state.status[b, k] == MISSED and state.task_int[b, k, ORIGIN] != was[k][0] for k in was)
    assert delivered > 50
    assert failed > 0


def test_no_task_runs_without_its_model() -> None:
    env = make(task="serving-12", max_steps=80)
    for before, _, state, _ in play(env):
        for b in range(2):
            was, held = places(before, b), places(state, b)
            for k, (i, q) in held.items():
                ran = k in was and was[k][0] == i and state.queue[b, i, q, LEFT] < before.queue[b, *was[k], LEFT]
                if ran:  # it was there when the slot began, or dropped later in it
                    m = state.task_int[b, k, MODEL]
                    assert before.model[b, i, m, LOADED] or state.model[b, i, m, LOADED]


# Clarke's externality


def finished(step: Step) -> float:
    return float(step.metrics["completion_rate"].mean())


def test_trading_helps() -> None:
    env = make(max_steps=150)
    rates = {
        kind: finished(list(play(env, seeds=range(8), act=heuristic(env, kind)))[-1][3])
        for kind in ("local", "truthful", "greedy", "proportional")
    }
    assert min(rates["truthful"], rates["greedy"], rates["proportional"]) > rates["local"] + 0.03
