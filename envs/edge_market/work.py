"""What a slot does after its market: models are loaded, processors run, deadlines pass, nodes fail, tasks arrive.

Axes: B worlds, N nodes, Q queue slots, M models, K tasks.
"""

from __future__ import annotations

import math

from ..kernels import kernel
from .market import KEEP, SCORES, SOON, YIELD, World, insert, linked, make_room, new_desk, room_for, scheduled, trade
from .state import (
    ARRIVED,
    ARRIVES,
    ASK,
    CAPACITY,
    COLD_STARTS,
    CYCLES,
    DEADLINE,
    DEMAND,
    DONE,
    DROPPED,
    DROPS,
    EARNED,
    EARNS,
    FINISHED,
    IN_TRANSIT,
    LAST_USE,
    LATENCY_BINS,
    LATENCY_LOW,
    LATENCY_RATIO,
    LEFT,
    LOADED,
    MISSED,
    MISSES,
    MODEL,
    NOBODY,
    ORIGIN,
    OVERLOADED,
    OWN_ARRIVED,
    OWN_DONE,
    PAID,
    PAYS,
    PROFIT,
    QUEUE_SLOTS,
    QUEUED,
    READY,
    RUNNING,
    SAID_AT,
    SAID_LOAD,
    SAID_PRICE,
    SALES,
    SLOT_PROFIT,
    SPEED,
    USED,
    VALUE,
    WANTED,
    WELFARE,
    WORK,
    BYZANTINE,
)

MEMORY_OF_DEMAND = 0.05
"""Weight of a new slot in running means."""
OWN, TAKEN, ANY, LATE = range(4)
"""The passes over a queue in a slot."""
LOG_RATIO = math.log(LATENCY_RATIO)


@kernel
def world_of(state, b):
    """Row b of a state."""
    return World(
        state.count[b],
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
    n = state.count.shape[1]
    desk = new_desk(n, state.neighbor.shape[2])
    for b in range(len(state.step)):
        w, t = world_of(state, b), state.step[b]
        now, end = t * rules.slot, (t + 1) * rules.slot
        trade(rules, w, strategy[b], now, t, absent[b], desk)
        for i in range(n):
            w.totals[CAPACITY] += w.node[i, SPEED] * rules.slot
            w.tally[i, USED] = 0.0
            if w.up[scheduled(w, t), i] and i != absent[b]:
                _load(rules, w, strategy[b, i, SCORES:], i, now)
                exchange[b] += _run(rules, w, strategy[b, i, KEEP], i, now, t, reward[b])
            _settle(rules, w, i, end, reward[b], cost[b])
        if rules.faulty:
            _fail(rules, w, t + 1, end, reward[b], cost[b])
        state.head[b] = _arrive(rules, w, t + 1, state.head[b], reward[b], cost[b])
        _talk(rules, w, t + 1, end, absent[b])
        total = exchange[b]
        for i in range(n):
            total += reward[b, i]
            w.account[i, PROFIT] += reward[b, i]
            w.tally[i, SLOT_PROFIT] = reward[b, i]
        w.totals[WELFARE] += total
        state.step[b] = t + 1


@kernel
def begin(rules, state, reward, cost):
    """What has arrived when the episode starts."""
    for b in range(len(state.step)):
        w = world_of(state, b)
        w.tally[:, ASK] = w.energy[0]
        state.head[b] = _arrive(rules, w, 0, 0, reward[b], cost[b])
        _talk(rules, w, 0, 0.0, NOBODY)


@kernel
def _load(rules, w, scores, i, now):
    """Goes on reading a model, or begins with one: the first that a task waits for, or else the best scored."""
    model, loading = w.model, w.loading
    if loading[i, 0] == NOBODY and rules.load_rate > 0.0:
        wanted = NOBODY
        for q in range(w.count[i]):
            k = w.held[i, q]
            m = w.task_int[k, MODEL]
            if model[i, m, LOADED] > 0.0 or w.queue[i, q, READY] > now:
                continue
            seconds = w.model_size[m] / rules.load_rate
            in_time = now + seconds + w.queue[i, q, LEFT] / w.node[i, SPEED] <= w.task[k, DEADLINE]
            if in_time and room_for(w, scores, i, scores[m] + YIELD) >= w.model_size[m]:
                wanted = m
                make_room(w, scores, i, m, scores[m] + YIELD)
                w.totals[COLD_STARTS] += 1.0
                break
        if wanted == NOBODY:
            best = 0.5 * YIELD
            for m in range(len(scores)):
                if model[i, m, LOADED] == 0.0 and scores[m] > best:
                    best, wanted = scores[m], m
            if wanted != NOBODY:
                if room_for(w, scores, i, best - YIELD) >= w.model_size[wanted]:
                    make_room(w, scores, i, wanted, best - YIELD)
                else:
                    wanted = NOBODY
        if wanted != NOBODY:
            loading[i, 0], loading[i, 1] = wanted, w.model_size[wanted] / rules.load_rate
    if loading[i, 0] != NOBODY:
        loading[i, 1] -= rules.slot
        if loading[i, 1] <= SOON:
            m = int(loading[i, 0])
            model[i, m, LOADED], model[i, m, LAST_USE] = 1.0, now / rules.slot
            loading[i, 0], loading[i, 1] = NOBODY, 0.0


@kernel
def _run(rules, w, keep, i, now, t, reward):
    """Runs node i for a slot, earliest deadline first, and returns the exchange's share of what it delivers.

    First its own tasks within the share it keeps, then sold ones within the rest, then any, then what came during the
    slot. What cannot be done in time any more is left alone.
    """
    queue, held, task, task_int, model = w.queue, w.held, w.task, w.task_int, w.model
    count, speed, price = w.count[i], w.node[i, SPEED], w.energy[scheduled(w, t), i]
    used, exchange, done = 0.0, 0.0, 0.0  # seconds, credits, Gcycles
    own, taken, late = False, False, False
    for q in range(count):
        if queue[i, q, READY] > now:
            late = True
        elif task_int[held[i, q], ORIGIN] == i:
            own = True
        else:
            taken = True
    for run in range(4):
        if (run <= TAKEN and not (own and taken)) or (run == LATE and not late) or used >= rules.slot - SOON:
            continue
        allowed = math.inf
        if run == OWN:
            allowed = keep * rules.slot
        elif run == TAKEN:
            allowed = (1.0 - keep) * rules.slot
        for q in range(count):
            left = queue[i, q, LEFT]
            k = held[i, q]
            mine = task_int[k, ORIGIN] == i
            if left <= 0.0 or model[i, task_int[k, MODEL], LOADED] == 0.0 or (run == OWN and not mine):
                continue
            if (run == TAKEN and mine) or (run != LATE and queue[i, q, READY] > now):
                continue
            first = max(used, queue[i, q, READY] - now)
            need = left / speed
            if now + first + need > task[k, DEADLINE] + SOON:
                continue
            seconds = min(need, rules.slot - first, allowed)
            if seconds <= SOON and need > SOON:
                continue
            used = first + seconds
            allowed -= seconds
            model[i, task_int[k, MODEL], LAST_USE] = t
            if seconds < need:
                queue[i, q, LEFT] = left - seconds * speed
                done += seconds * speed
                continue
            queue[i, q, LEFT] = 0.0
            done += left
            exchange += _deliver(w, i, q, k, now + used, t, rules.slot, reward)
    reward[i] -= price * done
    w.tally[i, USED] = done / (speed * rules.slot)
    w.totals[CYCLES] += done
    return exchange


@kernel
def _deliver(w, i, q, k, time, t, slot, reward):
    """Task k is done at node i: its owner has the value and pays, node i is paid."""
    origin, pays, earns = w.task_int[k, ORIGIN], w.queue[i, q, PAYS], w.queue[i, q, EARNS]
    reward[origin] += w.task[k, VALUE] - pays
    reward[i] += earns
    w.status[k] = DONE
    w.account[origin, OWN_DONE] += 1.0
    w.totals[FINISHED] += 1.0
    w.totals[PAID] += pays
    w.totals[EARNED] += earns
    latency = max(time - w.task_int[k, ARRIVES] * slot, LATENCY_LOW)
    w.latency[min(int(math.log(latency / LATENCY_LOW) / LOG_RATIO), LATENCY_BINS - 1)] += 1
    return pays - earns


@kernel
def _lose(rules, w, i, k, fate, reward, cost):
    """Node i answers for a task that is missed or dropped."""
    w.status[k] = fate
    w.totals[MISSES if fate == MISSED else DROPS] += 1.0
    reward[i] -= rules.miss_penalty * w.task[k, VALUE]
    cost[i] += 1.0


@kernel
def _settle(rules, w, i, end, reward, cost):
    """Removes from node i's queue what is done or late, and brings the status of the rest up to date."""
    held, queue, kept = w.held, w.queue, 0
    sales, waiting = 0.0, 0.0
    for q in range(w.count[i]):
        k, left, ready = held[i, q], queue[i, q, LEFT], queue[i, q, READY]
        if left <= 0.0:
            continue
        if w.task[k, DEADLINE] <= end + SOON:
            _lose(rules, w, i, k, MISSED, reward, cost)
            continue
        if kept < q:
            held[i, kept] = k
            for column in range(4):
                queue[i, kept, column] = queue[i, q, column]
        kept += 1
        if ready > end:
            w.status[k] = IN_TRANSIT
        else:
            w.status[k] = QUEUED if left == w.task[k, WORK] else RUNNING
        if w.task_int[k, ORIGIN] != i:
            sales += left
        waiting += left
    _clear_from(w, i, kept)
    w.tally[i, SALES] = sales
    if waiting > w.node[i, SPEED] * rules.deadline:
        cost[i] += 1.0
        w.totals[OVERLOADED] += 1.0


@kernel
def _clear_from(w, i, kept):
    """Empties node i's queue from place `kept` on."""
    for q in range(kept, w.count[i]):
        w.held[i, q] = NOBODY
        for column in range(4):
            w.queue[i, q, column] = 0.0
    w.count[i] = kept


@kernel
def _fail(rules, w, t, now, reward, cost):
    """Nodes that fail at slot t lose all they hold, memory included; a cut link loses what is on its way."""
    for i in range(len(w.count)):
        if not w.up[scheduled(w, t), i]:
            for q in range(w.count[i]):
                _lose(rules, w, i, w.held[i, q], DROPPED, reward, cost)
            _clear_from(w, i, 0)
            w.tally[i, SALES] = 0.0
            w.loading[i, 0], w.loading[i, 1] = NOBODY, 0.0
            if rules.load_rate > 0.0:
                w.model[i, :, LOADED] = 0.0
            continue
        kept = 0
        for q in range(w.count[i]):
            k = w.held[i, q]
            origin = w.task_int[k, ORIGIN]
            if w.queue[i, q, READY] > now and not linked(rules, w, t, i, origin):
                w.tally[i, SALES] -= w.queue[i, q, LEFT]
                _lose(rules, w, i, k, DROPPED, reward, cost)
                continue
            if kept < q:
                w.held[i, kept] = k
                for column in range(4):
                    w.queue[i, kept, column] = w.queue[i, q, column]
            kept += 1
        _clear_from(w, i, kept)


@kernel
def _arrive(rules, w, t, head, reward, cost):
    """Tasks of slot t join their node's queue; returns the first task that is still due."""
    model, tally = w.model, w.tally
    for i in range(len(w.count)):
        tally[i, DEMAND] *= 1.0 - MEMORY_OF_DEMAND
        for m in range(model.shape[1]):
            model[i, m, WANTED] *= 1.0 - MEMORY_OF_DEMAND
    while head < len(w.task_int) and w.task_int[head, ARRIVES] == t:
        i, m = w.task_int[head, ORIGIN], w.task_int[head, MODEL]
        tally[i, DEMAND] += MEMORY_OF_DEMAND * w.task[head, WORK] / rules.slot
        model[i, m, WANTED] += MEMORY_OF_DEMAND
        w.account[i, OWN_ARRIVED] += 1.0
        w.totals[ARRIVED] += 1.0
        if w.count[i] == QUEUE_SLOTS or not w.up[scheduled(w, t), i]:
            _lose(rules, w, i, head, DROPPED, reward, cost)
        else:
            insert(w, i, head, float(w.task[head, WORK]), t * rules.slot, 0.0, 0.0)
            w.status[head] = QUEUED
        head += 1
    return head


@kernel
def _talk(rules, w, t, now, absent):
    """Nodes whose turn it is tell their neighbours how much work they have [s] and what they ask [credits/Gcycle]."""
    for i in range(len(w.count)):
        if (t + i) % rules.gossip_every != 0 or not w.up[scheduled(w, t), i] or i == absent:
            continue
        load = 0.0
        if w.node[i, BYZANTINE] == 0.0:
            for q in range(w.count[i]):
                load += w.queue[i, q, LEFT]
        for d in range(w.neighbor.shape[1]):
            j = w.neighbor[i, d]
            if j == NOBODY:
                break
            if linked(rules, w, t, i, j):
                back = 0
                while w.neighbor[j, back] != i:
                    back += 1
                w.heard[j, back, SAID_LOAD] = load / w.node[i, SPEED]
                w.heard[j, back, SAID_PRICE] = w.tally[i, ASK]
                w.heard[j, back, SAID_AT] = now
