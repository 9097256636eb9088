"""The part of a slot after its market: models are loaded, processors run, deadlines pass, the next slot begins.

Axes: B worlds, N nodes, D link slots, Q queue slots, M models, K tasks.
"""

from __future__ import annotations

import math

import numpy as np

from ..kit.kernels import inlined, kernel
from .events import arrive, fail, lose, talk
from .links import find_links
from .market import energy_price, new_desk, trade
from .models import FETCHED, YIELD, make_room
from .queues import clear_from, copy_place
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
    QUEUE_SLOTS,
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
"""The turns over a queue in a slot, see `run_node`."""
LOG_RATIO = math.log(LATENCY_RATIO)


@kernel
def run_slot(params, state, strategy, absent, reward, cost, exchange):
    """Runs one slot of all worlds.

    Args:
        params: The `Params`.
        state: The `State` to write into.
        strategy: (B, N, 4 + M), see `state`.
        absent: (B,) int32 a node that is not there in this slot, or NOBODY.
        reward: (B, N) zeros, written: profits [credits].
        cost: (B, N) zeros, written.
        exchange: (B,) zeros, written: what buyers paid on delivery, less what sellers got [credits].
    """
    n_worlds, n_nodes, slots = state.neighbor.shape
    desk, book, outcome, scratch = new_desk(n_worlds, n_nodes, slots)
    trade(params, state, strategy, absent, desk, book, outcome, scratch)
    if params.load_rate > 0.0:
        _load(params, state, strategy, absent)
    _run(params, state, strategy, absent, reward, exchange)
    _settle(params, state, reward, cost)
    if params.faulty:
        find_links(state, params.side, 1, desk.works)
        fail(params, state, desk.works, reward, cost)
    arrive(params, state, 1, reward, cost)
    talk(params, state, 1, absent, desk.works)
    _close_books(state, reward, exchange)


@kernel
def begin(params, state, reward, cost):
    """Lets the tasks of the first slot arrive, and nodes talk, before the first step."""
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
    """Lets every node go on reading a model into memory, or begin with one, see `_next_model`."""
    step, up = state.step, state.up
    for b in range(len(step)):
        t_up = min(step[b], up.shape[1] - 1)
        for i in range(up.shape[2]):
            if up[b, t_up, i] and i != absent[b]:
                load_node(params, state, strategy, b, i)


@inlined
def load_node(params, state, strategy, b, i):
    """Lets node i of world b, which works, go on reading a model into memory for a slot, or begin with one."""
    model, loading = state.model, state.loading
    if loading[b, i, 0] == NOBODY:
        begun = _next_model(params, state, strategy, b, i)
        if begun == NOBODY:
            return
        loading[b, i, 0], loading[b, i, 1] = begun, state.model_size[b, begun] / params.load_rate
    loading[b, i, 1] -= params.slot
    if loading[b, i, 1] <= TIME_ROUNDING:
        m = int(loading[b, i, 0])
        model[b, i, m, LOADED], model[b, i, m, LAST_USE] = 1.0, state.step[b]
        loading[b, i, 0], loading[b, i, 1] = NOBODY, 0.0


@inlined
def _next_model(params, state, strategy, b, i):
    """Makes room for the model that node i of world b reads next, and returns it; NOBODY if there is none.

    It is the first that a task waits for and that would be there in time, or else the one of the best score. A model
    that finds no room is passed over, see `make_room`.
    """
    held, queue, model, loading, size = state.held, state.queue, state.model, state.loading, state.model_size
    task, task_int, rate = state.task, state.task_int, params.load_rate
    now, speed, memory = state.step[b] * params.slot, state.node[b, i, SPEED], state.node[b, i, MEMORY]
    for q in range(state.n_held[b, i]):
        k = held[b, i, q]
        m = task_int[b, k, MODEL]
        if model[b, i, m, LOADED] > 0.0 or queue[b, i, q, READY] > now:
            continue
        in_time = now + size[b, m] / rate + queue[b, i, q, LEFT] / speed <= task[b, k, DEADLINE]
        bar = strategy[b, i, SCORES + m] + YIELD
        if in_time and make_room(model, loading, size, memory, strategy, b, i, m, bar):
            state.totals[b, COLD_STARTS] += 1.0
            return m
    wanted, best = NOBODY, FETCHED
    for m in range(size.shape[1]):
        if strategy[b, i, SCORES + m] > best and model[b, i, m, LOADED] == 0.0:
            wanted, best = m, strategy[b, i, SCORES + m]
    if wanted != NOBODY and make_room(model, loading, size, memory, strategy, b, i, wanted, best - YIELD):
        return wanted
    return NOBODY


@kernel
def _run(params, state, strategy, absent, reward, exchange):
    """Runs the processor of every node for a slot, see `run_node`, and pays for the tasks that are done."""
    step, count, tally, node, energy = state.step, state.n_held, state.tally, state.node, state.energy
    up, totals = state.up, state.totals
    places, ends = np.empty(QUEUE_SLOTS, np.int32), np.empty(QUEUE_SLOTS)
    for b in range(len(step)):
        t = step[b]
        t_up = min(t, up.shape[1] - 1)
        for i in range(count.shape[1]):
            capacity = node[b, i, SPEED] * params.slot
            totals[b, CAPACITY] += capacity
            tally[b, i, USED] = 0.0
            if count[b, i] == 0 or not up[b, t_up, i] or i == absent[b]:
                continue
            done, n_done = run_node(params, state, strategy[b, i, KEEP], b, i, places, ends)
            for at in range(n_done):
                _deliver(params, state, b, i, places[at], ends[at], reward, exchange)
            reward[b, i] -= energy_price(params, energy, b, t, i) * done
            tally[b, i, USED] = done / capacity
            totals[b, CYCLES] += done


@inlined
def run_node(params, state, kept, b, i, places, ends):
    """Runs the tasks of node i of world b, earliest deadline first.

    A node first runs its own tasks within the share `kept` of the slot, then sold ones within the rest, then any, then
    those whose input came during the slot. A task that cannot be done in time any more is left alone.

    Args:
        params: The `Params`.
        state: The `State` to write into.
        kept: The share of the slot that the node keeps.
        b: The world.
        i: The node.
        places: (Q,) int32, written: places in the queue of the tasks that are done, in the order in which they end.
        ends: (Q,), written: when they end [s].

    Returns:
        The work done [Gcycles], and the number of tasks that are done.
    """
    held, queue, model, task, task_int = state.held, state.queue, state.model, state.task, state.task_int
    slot, speed = params.slot, state.node[b, i, SPEED]
    t, n_held = state.step[b], state.n_held[b, i]
    now = t * slot
    used, done, n_done = 0.0, 0.0, 0  # seconds, Gcycles, tasks
    own, taken, late = _kinds_held(state, now, b, i)
    for turn in range(4):
        if (turn <= TAKEN and not (own and taken)) or (turn == LATE and not late) or used >= slot - TIME_ROUNDING:
            continue
        allowed = slot
        if turn == OWN:
            allowed = kept * slot
        elif turn == TAKEN:
            allowed = (1.0 - kept) * slot
        for q in range(n_held):
            left = queue[b, i, q, LEFT]
            k = held[b, i, q]
            mine, m = task_int[b, k, ORIGIN] == i, task_int[b, k, MODEL]
            if left <= 0.0 or (turn == OWN and not mine) or (turn == TAKEN and mine):
                continue
            if model[b, i, m, LOADED] == 0.0 or (turn != LATE and queue[b, i, q, READY] > now):
                continue
            first = max(used, queue[b, i, q, READY] - now)
            need = left / speed
            seconds = min(need, slot - first, allowed)
            if now + first + need > task[b, k, DEADLINE] + TIME_ROUNDING:
                continue
            if seconds <= TIME_ROUNDING and need > TIME_ROUNDING:
                continue
            used = first + seconds
            allowed -= seconds
            model[b, i, m, LAST_USE] = t
            if seconds < need:
                queue[b, i, q, LEFT] = left - seconds * speed
                done += seconds * speed
            else:
                queue[b, i, q, LEFT] = 0.0
                done += left
                places[n_done], ends[n_done] = q, now + used
                n_done += 1
    return done, n_done


@inlined
def _kinds_held(state, now, b, i):
    """Returns whether node i of world b holds own tasks, tasks it took, and tasks whose input is still to come."""
    held, queue, task_int = state.held, state.queue, state.task_int
    own, taken, late = False, False, False
    for q in range(state.n_held[b, i]):
        if queue[b, i, q, READY] > now:
            late = True
        elif task_int[b, held[b, i, q], ORIGIN] == i:
            own = True
        else:
            taken = True
    return own, taken, late


@inlined
def _deliver(params, state, b, i, q, end, reward, exchange):
    """Pays for the task at place q of node i's queue, which is done at time `end` [s], and counts it."""
    k, totals = state.held[b, i, q], state.totals
    origin = state.task_int[b, k, ORIGIN]
    pays, earns = state.queue[b, i, q, PAYS], state.queue[b, i, q, EARNS]
    reward[b, origin] += state.task[b, k, VALUE] - pays
    reward[b, i] += earns
    exchange[b] += pays - earns
    state.status[b, k] = DONE
    state.account[b, origin, OWN_DONE] += 1.0
    totals[b, FINISHED] += 1.0
    totals[b, PAID] += pays
    totals[b, EARNED] += earns
    latency = max((end - state.task_int[b, k, ARRIVES] * params.slot) / params.latency_low, 1.0)
    state.latency[b, min(int(math.log(latency) / LOG_RATIO), LATENCY_BINS - 1)] += 1


@kernel
def _settle(params, state, reward, cost):
    """Removes done and late tasks from the queues, and brings the status of the others up to date."""
    count = state.n_held
    for b in range(count.shape[0]):
        for i in range(count.shape[1]):
            settle_node(params, state, b, i, reward, cost)


@inlined
def settle_node(params, state, b, i, reward, cost):
    """Removes done and late tasks from the queue of node i of world b, see `_settle`."""
    count, held, queue, task, status = state.n_held, state.held, state.queue, state.task, state.status
    end = (state.step[b] + 1) * params.slot
    sales, waiting, kept = 0.0, 0.0, 0
    for q in range(count[b, i]):
        k, left = held[b, i, q], queue[b, i, q, LEFT]
        if left <= 0.0:
            continue
        if task[b, k, DEADLINE] <= end + TIME_ROUNDING:
            lose(params.miss_penalty, state, b, i, k, MISSED, reward, cost)
            continue
        if kept < q:
            copy_place(held, queue, b, i, q, kept)
        kept += 1
        if queue[b, i, kept - 1, READY] > end:
            status[b, k] = IN_TRANSIT
        else:
            status[b, k] = QUEUED if left == task[b, k, WORK] else RUNNING
        if state.task_int[b, k, ORIGIN] != i:
            sales += left
        waiting += left
    clear_from(count, held, queue, b, i, kept)
    state.tally[b, i, SALES] = sales
    if waiting > state.node[b, i, SPEED] * params.deadline:
        cost[b, i] += 1.0
        state.totals[b, OVERLOADED] += 1.0


@kernel
def _close_books(state, reward, exchange):
    """Adds a slot's profits and the exchange's account to the sums of the episode, and advances the clock."""
    step, account, tally, totals = state.step, state.account, state.tally, state.totals
    for b in range(len(reward)):
        step[b] += 1
        total = exchange[b]
        for i in range(reward.shape[1]):
            total += reward[b, i]
            account[b, i, PROFIT] += reward[b, i]
            tally[b, i, SLOT_PROFIT] = reward[b, i]
        totals[b, WELFARE] += total


@kernel
def sum_welfare(reward, exchange, absent, out):
    """Sums the welfare of a slot into out (B,), in one order for every B.

    Args:
        reward: (B, N) profits.
        exchange: (B,) the exchange's account.
        absent: (B,) a node whose profit does not count, or NOBODY.
        out: (B,), written.
    """
    for b in range(len(out)):
        total = exchange[b]
        for i in range(reward.shape[1]):
            if i != absent[b]:
                total += reward[b, i]
        out[b] = total
