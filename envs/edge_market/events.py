"""What comes from outside of a node: new tasks, failures, and what its neighbours say.

Axes: N nodes, D link slots, Q queue slots, M models, K tasks.
"""

from __future__ import annotations

from ..kernels import kernel
from .queues import clear_from, insert, move
from .state import (
    ARRIVED,
    ARRIVES,
    ASK,
    BYZANTINE,
    DEMAND,
    DROPPED,
    DROPS,
    LEFT,
    LOADED,
    MISSED,
    MISSES,
    MODEL,
    NOBODY,
    ORIGIN,
    OWN_ARRIVED,
    QUEUE_SLOTS,
    QUEUED,
    READY,
    SAID_AT,
    SAID_LOAD,
    SAID_PRICE,
    SALES,
    SPEED,
    VALUE,
    WANTED,
    WORK,
)

FADING = 0.05
"""Weight of a new slot in running means."""


@kernel
def lose(penalty, status, totals, task, i, k, fate, reward, cost):
    """Node i answers for a task that is missed or dropped."""
    status[k] = fate
    totals[MISSES if fate == MISSED else DROPS] += 1.0
    reward[i] -= penalty * task[k, VALUE]
    cost[i] += 1.0


@kernel
def fail(rules, w, t, now, works, reward, cost):
    """Nodes that fail at slot t lose all they hold, memory included; a cut link loses what is on its way."""
    count, held, queue, tally, neighbor, up = w.n_held, w.held, w.queue, w.tally, w.neighbor, w.up
    task_int, task, status, totals = w.task_int, w.task, w.status, w.totals
    for i in range(len(count)):
        here = up[min(t, len(up) - 1), i]
        kept = 0
        for q in range(count[i]):
            k = held[i, q]
            lost = not here
            if here and queue[i, q, READY] > now:
                d = 0
                while neighbor[i, d] != task_int[k, ORIGIN]:
                    d += 1
                lost = not works[i, d]
            if lost:
                if task_int[k, ORIGIN] != i:
                    tally[i, SALES] -= queue[i, q, LEFT]
                lose(rules.miss_penalty, status, totals, task, i, k, DROPPED, reward, cost)
                continue
            if kept < q:
                move(held, queue, i, q, kept)
            kept += 1
        clear_from(count, held, queue, i, kept)
        if not here:
            w.loading[i, 0], w.loading[i, 1] = NOBODY, 0.0
            if rules.load_rate > 0.0:
                w.model[i, :, LOADED] = 0.0


@kernel
def arrive(rules, w, t, head, reward, cost):
    """Tasks of slot t join their node's queue; returns the first task that is still due."""
    count, held, queue, model, tally, account = w.n_held, w.held, w.queue, w.model, w.tally, w.account
    task_int, task, status, totals, up = w.task_int, w.task, w.status, w.totals, w.up
    for i in range(len(count)):
        tally[i, DEMAND] *= 1.0 - FADING
        for m in range(model.shape[1]):
            model[i, m, WANTED] *= 1.0 - FADING
    while head < len(task_int) and task_int[head, ARRIVES] == t:
        i, m = task_int[head, ORIGIN], task_int[head, MODEL]
        tally[i, DEMAND] += FADING * task[head, WORK] / rules.slot
        model[i, m, WANTED] += FADING
        account[i, OWN_ARRIVED] += 1.0
        totals[ARRIVED] += 1.0
        if count[i] == QUEUE_SLOTS or not up[min(t, len(up) - 1), i]:
            lose(rules.miss_penalty, status, totals, task, i, head, DROPPED, reward, cost)
        else:
            insert(count, held, queue, task, i, head, float(task[head, WORK]), t * rules.slot, 0.0, 0.0)
            status[head] = QUEUED
        head += 1
    return head


@kernel
def talk(rules, w, t, now, absent, works):
    """Nodes whose turn it is tell their neighbours how much work they have [s] and what they ask [credits/Gcycle]."""
    count, queue, tally, node, neighbor, heard, up = w.n_held, w.queue, w.tally, w.node, w.neighbor, w.heard, w.up
    t_up = min(t, len(up) - 1)
    for i in range(len(count)):
        if (t + i) % rules.gossip_every != 0 or not up[t_up, i] or i == absent:
            continue
        load = 0.0
        if node[i, BYZANTINE] == 0.0:
            for q in range(count[i]):
                load += queue[i, q, LEFT]
        for d in range(neighbor.shape[1]):
            j = neighbor[i, d]
            if j == NOBODY or not works[i, d]:
                continue
            back = 0
            while neighbor[j, back] != i:
                back += 1
            heard[j, back, SAID_LOAD] = load / node[i, SPEED]
            heard[j, back, SAID_PRICE] = tally[i, ASK]
            heard[j, back, SAID_AT] = now
