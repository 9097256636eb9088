"""What a slot does after its market: models are loaded, processors run, deadlines pass, the next slot begins.

Axes: B worlds, N nodes, D link slots, Q queue slots, M models, K tasks.
"""

from __future__ import annotations

import math

import numpy as np

from ..kit.kernels import kernel
from .events import arrive, fail, lose, talk
from .market import energy_price, find_links, new_desk, trade
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
    TIME_ROUNDING,
    USED,
    VALUE,
    WELFARE,
    WORK,
)

OWN, TAKEN, ANY, LATE = range(4)
"""The passes over a queue in a slot."""
LOG_RATIO = math.log(LATENCY_RATIO)


@kernel
def advance(params, state, strategy, absent, reward, cost, exchange):
    """One slot of all worlds.

    Args:
        params: The `Params`.
        state: The `State` to write into.
        strategy: (B, N, 4 + M), see `state`.
        absent: (B,) int32 a node that is not there in this slot, or NOBODY.
        reward, cost: (B, N) zeros, written.
        exchange: (B,) zeros, written: what buyers paid for what was delivered, less what sellers got [credits].
    """
    n_worlds, n_nodes, slots = state.neighbor.shape
    desk, book, outcome, room = new_desk(n_worlds, n_nodes, slots)
    trade(params, state, strategy, absent, desk, book, outcome, room)
    if params.load_rate > 0.0:
        _load(params, state, strategy, absent)
    _run(params, state, strategy, absent, reward, exchange)
    _settle(params, state, reward, cost)
    if params.faulty:
        find_links(state, params.side, 1, desk.works)
        fail(params, state, desk.works, reward, cost)
    arrive(params, state, 1, reward, cost)
    talk(params, state, 1, absent, desk.works)
    _book(state, reward, exchange)


@kernel
def begin(params, state, reward, cost):
    """What has arrived when the episode starts."""
    tally, energy = state.tally, state.energy
    absent, works = np.full(len(state.step), NOBODY, np.int32), np.empty(state.neighbor.shape, np.bool_)
    find_links(state, params.side, 0, works)
    for b in range(len(tally)):
        for i in range(tally.shape[1]):
            tally[b, i, ASK] = energy_price(params, energy, b, 0, i)
    arrive(params, state, 0, reward, cost)
    talk(params, state, 0, absent, works)


@kernel
def _load(params, state, strategy, absent):
    """Every node goes on reading a model, or begins with one.

    That is the first that a task waits for and that would be there in time, or else the best scored; there must be
    room for it, see `make_room`.
    """
    step, count, held, queue, model, loading = (
        state.step,
        state.n_held,
        state.held,
        state.queue,
        state.model,
        state.loading,
    )
    node, size, task_int, task = state.node, state.model_size, state.task_int, state.task
    up, totals, rate = state.up, state.totals, params.load_rate
    for b in range(len(step)):
        t, now = step[b], step[b] * params.slot
        t_up = min(t, up.shape[1] - 1)
        for i in range(count.shape[1]):
            if not up[b, t_up, i] or i == absent[b]:
                continue
            if loading[b, i, 0] == NOBODY:
                begun = NOBODY
                for q in range(count[b, i]):
                    k = held[b, i, q]
                    m = task_int[b, k, MODEL]
                    if model[b, i, m, LOADED] > 0.0 or queue[b, i, q, READY] > now:
                        continue
                    there = now + size[b, m] / rate + queue[b, i, q, LEFT] / node[b, i, SPEED] <= task[b, k, DEADLINE]
                    bar = strategy[b, i, SCORES + m] + YIELD
                    if there and make_room(model, loading, size, node[b, i, MEMORY], strategy, b, i, m, bar):
                        begun = m
                        totals[b, COLD_STARTS] += 1.0
                        break
                if begun == NOBODY:
                    wanted, best = NOBODY, FETCHED
                    for m in range(size.shape[1]):
                        if strategy[b, i, SCORES + m] > best and model[b, i, m, LOADED] == 0.0:
                            wanted, best = m, strategy[b, i, SCORES + m]
                    if wanted == NOBODY:
                        continue
                    bar = best - YIELD
                    if not make_room(model, loading, size, node[b, i, MEMORY], strategy, b, i, wanted, bar):
                        continue
                    begun = wanted
                loading[b, i, 0], loading[b, i, 1] = begun, size[b, begun] / rate
            loading[b, i, 1] -= params.slot
            if loading[b, i, 1] <= TIME_ROUNDING:
                m = int(loading[b, i, 0])
                model[b, i, m, LOADED], model[b, i, m, LAST_USE] = 1.0, t
                loading[b, i, 0], loading[b, i, 1] = NOBODY, 0.0


@kernel
def _run(params, state, strategy, absent, reward, exchange):
    """Runs every node for a slot, earliest deadline first.

    A node first runs its own tasks within the share it keeps, then sold ones within the rest, then any, then what came
    during the slot. What cannot be done in time any more is left alone.
    """
    step, count, held, queue, model, tally = (
        state.step,
        state.n_held,
        state.held,
        state.queue,
        state.model,
        state.tally,
    )
    account, node, task_int, task, energy = state.account, state.node, state.task_int, state.task, state.energy
    up, totals, latencies, status = state.up, state.totals, state.latency, state.status
    slot = params.slot
    for b in range(len(step)):
        t, now = step[b], step[b] * slot
        t_up = min(t, up.shape[1] - 1)
        for i in range(count.shape[1]):
            speed = node[b, i, SPEED]
            totals[b, CAPACITY] += speed * slot
            tally[b, i, USED] = 0.0
            if count[b, i] == 0 or not up[b, t_up, i] or i == absent[b]:
                continue
            used, done = 0.0, 0.0  # seconds, Gcycles
            own, taken, late = False, False, False
            for q in range(count[b, i]):
                if queue[b, i, q, READY] > now:
                    late = True
                elif task_int[b, held[b, i, q], ORIGIN] == i:
                    own = True
                else:
                    taken = True
            for run in range(4):
                if (run <= TAKEN and not (own and taken)) or (run == LATE and not late) or used >= slot - TIME_ROUNDING:
                    continue
                allowed = slot
                if run == OWN:
                    allowed = strategy[b, i, KEEP] * slot
                elif run == TAKEN:
                    allowed = (1.0 - strategy[b, i, KEEP]) * slot
                for q in range(count[b, i]):
                    left = queue[b, i, q, LEFT]
                    k = held[b, i, q]
                    mine, m = task_int[b, k, ORIGIN] == i, task_int[b, k, MODEL]
                    if left <= 0.0 or (run == OWN and not mine) or (run == TAKEN and mine):
                        continue
                    if model[b, i, m, LOADED] == 0.0 or (run != LATE and queue[b, i, q, READY] > now):
                        continue
                    first = max(used, queue[b, i, q, READY] - now)
                    need = left / speed
                    if now + first + need > task[b, k, DEADLINE] + TIME_ROUNDING:
                        continue
                    seconds = min(need, slot - first, allowed)
                    if seconds <= TIME_ROUNDING and need > TIME_ROUNDING:
                        continue
                    used = first + seconds
                    allowed -= seconds
                    model[b, i, m, LAST_USE] = t
                    if seconds < need:
                        queue[b, i, q, LEFT] = left - seconds * speed
                        done += seconds * speed
                        continue
                    queue[b, i, q, LEFT] = 0.0
                    done += left
                    origin, pays, earns = task_int[b, k, ORIGIN], queue[b, i, q, PAYS], queue[b, i, q, EARNS]
                    reward[b, origin] += task[b, k, VALUE] - pays
                    reward[b, i] += earns
                    exchange[b] += pays - earns
                    status[b, k] = DONE
                    account[b, origin, OWN_DONE] += 1.0
                    totals[b, FINISHED] += 1.0
                    totals[b, PAID] += pays
                    totals[b, EARNED] += earns
                    latency = max((now + used - task_int[b, k, ARRIVES] * slot) / params.latency_low, 1.0)
                    latencies[b, min(int(math.log(latency) / LOG_RATIO), LATENCY_BINS - 1)] += 1
            reward[b, i] -= energy_price(params, energy, b, t, i) * done
            tally[b, i, USED] = done / (speed * slot)
            totals[b, CYCLES] += done


@kernel
def _settle(params, state, reward, cost):
    """Removes from the queues what is done or late, and brings the status of the rest up to date."""
    step, count, held, queue, tally, node = (
        state.step,
        state.n_held,
        state.held,
        state.queue,
        state.tally,
        state.node,
    )
    task_int, task, status, totals = state.task_int, state.task, state.status, state.totals
    for b in range(len(step)):
        end = (step[b] + 1) * params.slot
        for i in range(count.shape[1]):
            sales, waiting, kept = 0.0, 0.0, 0
            for q in range(count[b, i]):
                k, left = held[b, i, q], queue[b, i, q, LEFT]
                if left <= 0.0:
                    continue
                if task[b, k, DEADLINE] <= end + TIME_ROUNDING:
                    lose(params.miss_penalty, status, totals, task, b, i, k, MISSED, reward, cost)
                    continue
                if kept < q:
                    move(held, queue, b, i, q, kept)
                kept += 1
                if queue[b, i, kept - 1, READY] > end:
                    status[b, k] = IN_TRANSIT
                else:
                    status[b, k] = QUEUED if left == task[b, k, WORK] else RUNNING
                if task_int[b, k, ORIGIN] != i:
                    sales += left
                waiting += left
            clear_from(count, held, queue, b, i, kept)
            tally[b, i, SALES] = sales
            if waiting > node[b, i, SPEED] * params.deadline:
                cost[b, i] += 1.0
                totals[b, OVERLOADED] += 1.0


@kernel
def _book(state, reward, exchange):
    """Adds a slot's profits and the exchange's account to what the episode has brought, and turns the clock."""
    step, account, tally, totals = state.step, state.account, state.tally, state.totals
    for b in range(len(reward)):
        step[b] += 1
        total = exchange[b]
        for i in range(reward.shape[1]):
            total += reward[b, i]
            account[b, i, PROFIT] += reward[b, i]
            tally[b, i, SLOT_PROFIT] = reward[b, i]
        totals[b, WELFARE] += total
