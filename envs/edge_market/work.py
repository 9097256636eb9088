"""What a slot does after its market: models are loaded, processors run, deadlines pass, the next slot begins.

Axes: B worlds, N nodes, D link slots, Q queue slots, M models, K tasks.
"""

from __future__ import annotations

import math

import numpy as np

from ..kernels import kernel
from .events import arrive, fail, lose, talk
from .market import SOON, World, energy_price, find_links, new_desk, trade
from .models import FETCHED, YIELD, make_room
from .queues import clear_from, move
from .state import (
    ARRIVES,
    ASK,
    CAPACITY,
    COLD_STARTS,
    CYCLES,
    DEADLINE,
    DONE,
    EARNED,
    EARNS,
    FINISHED,
    IN_TRANSIT,
    KEEP,
    LAST_USE,
    LATENCY_BINS,
    LATENCY_LOW,
    LATENCY_RATIO,
    LEFT,
    LOADED,
    MEMORY,
    MISSED,
    MODEL,
    NOBODY,
    ORIGIN,
    OVERLOADED,
    OWN_DONE,
    PAID,
    PAYS,
    PROFIT,
    QUEUED,
    READY,
    RUNNING,
    SALES,
    SCORES,
    SLOT_PROFIT,
    SPEED,
    USED,
    VALUE,
    WELFARE,
    WORK,
)

OWN, TAKEN, ANY, LATE = range(4)
"""The passes over a queue in a slot."""
LOG_RATIO = math.log(LATENCY_RATIO)


@kernel
def world_of(state, b):
    """Row b of a state."""
    return World(
        state.n_held[b],
        state.held[b],
        state.queue[b],
        state.model[b],
        state.loading[b],
        state.link_free[b],
        state.heard[b],
        state.tally[b],
        state.account[b],
        state.totals[b],
        state.latency[b],
        state.status[b],
        state.partner[b],
        state.node[b],
        state.neighbor[b],
        state.link[b],
        state.model_size[b],
        state.task_int[b],
        state.task[b],
        state.energy[b],
        state.up[b],
        state.cut[b],
    )


@kernel
def advance(rules, state, strategy, absent, reward, cost, exchange):
    """One slot of all worlds.

    Args:
        rules: The `Rules`.
        state: The `State` to write into.
        strategy: (B, N, 4 + M), see `market`.
        absent: (B,) int32 a node that is not there in this slot, or NOBODY.
        reward, cost: (B, N) zeros, written.
        exchange: (B,) zeros, written: what buyers paid for what was delivered, less what sellers got [credits].
    """
    desk, book, outcome, room = new_desk(state.n_held.shape[1], state.neighbor.shape[2])
    step = state.step
    for b in range(len(step)):
        w, t = world_of(state, b), step[b]
        now, end = t * rules.slot, (t + 1) * rules.slot
        trade(rules, w, strategy[b], now, t, absent[b], desk, book, outcome, room)
        if rules.load_rate > 0.0:
            _load(rules, w, strategy[b], now, t, absent[b])
        exchange[b] = _run(rules, w, strategy[b], now, t, absent[b], reward[b])
        _settle(rules, w, end, reward[b], cost[b])
        if rules.faulty:
            find_links(w.node, w.neighbor, w.up, w.cut, rules.side, t + 1, desk.works)
            fail(rules, w, t + 1, end, desk.works, reward[b], cost[b])
        state.head[b] = arrive(rules, w, t + 1, state.head[b], reward[b], cost[b])
        talk(rules, w, t + 1, end, absent[b], desk.works)
        _book(w, reward[b], exchange[b])
        step[b] = t + 1


@kernel
def begin(rules, state, reward, cost):
    """What has arrived when the episode starts."""
    works = np.ones(state.neighbor.shape[1:], np.bool_)
    for b in range(len(state.step)):
        w = world_of(state, b)
        for i in range(len(w.n_held)):
            w.tally[i, ASK] = energy_price(rules, w.energy, 0, i)
        state.head[b] = arrive(rules, w, 0, 0, reward[b], cost[b])
        talk(rules, w, 0, 0.0, NOBODY, works)


@kernel
def _load(rules, w, strategy, now, t, absent):
    """Every node goes on reading a model, or begins with one.

    That is the first that a task waits for and that would be there in time, or else the best scored; there must be
    room for it, see `make_room`.
    """
    count, held, queue, model, loading, node = w.n_held, w.held, w.queue, w.model, w.loading, w.node
    size, task_int, task, up, totals = w.model_size, w.task_int, w.task, w.up, w.totals
    rate, t_up, n_models = rules.load_rate, min(t, len(up) - 1), len(size)
    for i in range(len(count)):
        if not up[t_up, i] or i == absent:
            continue
        if loading[i, 0] == NOBODY:
            begun = NOBODY
            for q in range(count[i]):
                k = held[i, q]
                m = task_int[k, MODEL]
                if model[i, m, LOADED] > 0.0 or queue[i, q, READY] > now:
                    continue
                there = now + size[m] / rate + queue[i, q, LEFT] / node[i, SPEED] <= task[k, DEADLINE]
                bar = strategy[i, SCORES + m] + YIELD
                if there and make_room(model, loading, size, node[i, MEMORY], strategy, i, m, bar):
                    begun = m
                    totals[COLD_STARTS] += 1.0
                    break
            if begun == NOBODY:
                wanted, best = NOBODY, FETCHED
                for m in range(n_models):
                    if strategy[i, SCORES + m] > best and model[i, m, LOADED] == 0.0:
                        wanted, best = m, strategy[i, SCORES + m]
                if wanted == NOBODY:
                    continue
                bar = best - YIELD
                if not make_room(model, loading, size, node[i, MEMORY], strategy, i, wanted, bar):
                    continue
                begun = wanted
            loading[i, 0], loading[i, 1] = begun, size[begun] / rate
        loading[i, 1] -= rules.slot
        if loading[i, 1] <= SOON:
            m = int(loading[i, 0])
            model[i, m, LOADED], model[i, m, LAST_USE] = 1.0, t
            loading[i, 0], loading[i, 1] = NOBODY, 0.0


@kernel
def _run(rules, w, strategy, now, t, absent, reward):
    """Runs every node for a slot, earliest deadline first, and returns the exchange's share of what is delivered.

    A node first runs its own tasks within the share it keeps, then sold ones within the rest, then any, then what came
    during the slot. What cannot be done in time any more is left alone.
    """
    count, held, queue, model, tally, account = w.n_held, w.held, w.queue, w.model, w.tally, w.account
    node, task_int, task, energy, up, totals = w.node, w.task_int, w.task, w.energy, w.up, w.totals
    latencies, status = w.latency, w.status
    slot, exchange = rules.slot, 0.0
    t_up = min(t, len(up) - 1)
    for i in range(len(count)):
        speed = node[i, SPEED]
        totals[CAPACITY] += speed * slot
        tally[i, USED] = 0.0
        if count[i] == 0 or not up[t_up, i] or i == absent:
            continue
        used, done = 0.0, 0.0  # seconds, Gcycles
        own, taken, late = False, False, False
        for q in range(count[i]):
            if queue[i, q, READY] > now:
                late = True
            elif task_int[held[i, q], ORIGIN] == i:
                own = True
            else:
                taken = True
        for run in range(4):
            if (run <= TAKEN and not (own and taken)) or (run == LATE and not late) or used >= slot - SOON:
                continue
            allowed = slot
            if run == OWN:
                allowed = strategy[i, KEEP] * slot
            elif run == TAKEN:
                allowed = (1.0 - strategy[i, KEEP]) * slot
            for q in range(count[i]):
                left = queue[i, q, LEFT]
                k = held[i, q]
                mine, m = task_int[k, ORIGIN] == i, task_int[k, MODEL]
                if left <= 0.0 or (run == OWN and not mine) or (run == TAKEN and mine):
                    continue
                if model[i, m, LOADED] == 0.0 or (run != LATE and queue[i, q, READY] > now):
                    continue
                first = max(used, queue[i, q, READY] - now)
                need = left / speed
                if now + first + need > task[k, DEADLINE] + SOON:
                    continue
                seconds = min(need, slot - first, allowed)
                if seconds <= SOON and need > SOON:
                    continue
                used = first + seconds
                allowed -= seconds
                model[i, m, LAST_USE] = t
                if seconds < need:
                    queue[i, q, LEFT] = left - seconds * speed
                    done += seconds * speed
                    continue
                queue[i, q, LEFT] = 0.0
                done += left
                origin, pays, earns = task_int[k, ORIGIN], queue[i, q, PAYS], queue[i, q, EARNS]
                reward[origin] += task[k, VALUE] - pays
                reward[i] += earns
                exchange += pays - earns
                status[k] = DONE
                account[origin, OWN_DONE] += 1.0
                totals[FINISHED] += 1.0
                totals[PAID] += pays
                totals[EARNED] += earns
                latency = max(now + used - task_int[k, ARRIVES] * slot, LATENCY_LOW)
                latencies[min(int(math.log(latency / LATENCY_LOW) / LOG_RATIO), LATENCY_BINS - 1)] += 1
        reward[i] -= energy_price(rules, energy, t, i) * done
        tally[i, USED] = done / (speed * slot)
        totals[CYCLES] += done
    return exchange


@kernel
def _settle(rules, w, end, reward, cost):
    """Removes from the queues what is done or late, and brings the status of the rest up to date."""
    count, held, queue, tally, node = w.n_held, w.held, w.queue, w.tally, w.node
    task_int, task, status, totals = w.task_int, w.task, w.status, w.totals
    for i in range(len(count)):
        sales, waiting, kept = 0.0, 0.0, 0
        for q in range(count[i]):
            k, left = held[i, q], queue[i, q, LEFT]
            if left <= 0.0:
                continue
            if task[k, DEADLINE] <= end + SOON:
                lose(rules.miss_penalty, status, totals, task, i, k, MISSED, reward, cost)
                continue
            if kept < q:
                move(held, queue, i, q, kept)
            kept += 1
            if queue[i, kept - 1, READY] > end:
                status[k] = IN_TRANSIT
            else:
                status[k] = QUEUED if left == task[k, WORK] else RUNNING
            if task_int[k, ORIGIN] != i:
                sales += left
            waiting += left
        clear_from(count, held, queue, i, kept)
        tally[i, SALES] = sales
        if waiting > node[i, SPEED] * rules.deadline:
            cost[i] += 1.0
            totals[OVERLOADED] += 1.0


@kernel
def _book(w, reward, exchange):
    """Adds a slot's profits and the exchange's account to what the episode has brought."""
    account, tally = w.account, w.tally
    total = exchange
    for i in range(len(reward)):
        total += reward[i]
        account[i, PROFIT] += reward[i]
        tally[i, SLOT_PROFIT] = reward[i]
    w.totals[WELFARE] += total
