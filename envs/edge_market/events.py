"""What comes from outside of a node: new tasks, failures, and what its neighbours say.

Axes: B worlds, N nodes, D link slots, Q queue slots, M models, K tasks.
"""

from __future__ import annotations

from ..kit.kernels import kernel
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
def lose(penalty, status, totals, task, b, i, k, fate, reward, cost):
    """Node i of world b answers for a task that is missed or dropped."""
    status[b, k] = fate
    totals[b, MISSES if fate == MISSED else DROPS] += 1.0
    reward[b, i] -= penalty * task[b, k, VALUE]
    cost[b, i] += 1.0


@kernel
def fail(params, state, works, reward, cost):
    """Nodes that fail as a slot ends lose all they hold, memory included; a cut link loses what is on its way.

    `works` (B, N, D) says which links work in the next slot.
    """
    step, count, held, queue, tally, neighbor = (
        state.step,
        state.n_held,
        state.held,
        state.queue,
        state.tally,
        state.neighbor,
    )
    task_int, task, status, totals, up = state.task_int, state.task, state.status, state.totals, state.up
    model, loading = state.model, state.loading
    for b in range(len(step)):
        t = min(step[b] + 1, up.shape[1] - 1)
        end = (step[b] + 1) * params.slot
        for i in range(count.shape[1]):
            here = up[b, t, i]
            kept = 0
            for q in range(count[b, i]):
                k = held[b, i, q]
                lost = not here
                if here and queue[b, i, q, READY] > end:
                    d = 0
                    while neighbor[b, i, d] != task_int[b, k, ORIGIN]:
                        d += 1
                    lost = not works[b, i, d]
                if lost:
                    if task_int[b, k, ORIGIN] != i:
                        tally[b, i, SALES] -= queue[b, i, q, LEFT]
                    lose(params.miss_penalty, status, totals, task, b, i, k, DROPPED, reward, cost)
                    continue
                if kept < q:
                    move(held, queue, b, i, q, kept)
                kept += 1
            clear_from(count, held, queue, b, i, kept)
            if not here:
                loading[b, i, 0], loading[b, i, 1] = NOBODY, 0.0
                if params.load_rate > 0.0:
                    for m in range(model.shape[2]):
                        model[b, i, m, LOADED] = 0.0


@kernel
def arrive(params, state, after, reward, cost):
    """Tasks join their node's queue: those of the slot of `State.step` and so many more."""
    step, heads, count, held, queue, model = (
        state.step,
        state.head,
        state.n_held,
        state.held,
        state.queue,
        state.model,
    )
    tally, account, task_int, task = state.tally, state.account, state.task_int, state.task
    status, totals, up = state.status, state.totals, state.up
    for b in range(len(step)):
        t, head = step[b] + after, heads[b]
        t_up = min(t, up.shape[1] - 1)
        for i in range(count.shape[1]):
            tally[b, i, DEMAND] *= 1.0 - FADING
            for m in range(model.shape[2]):
                model[b, i, m, WANTED] *= 1.0 - FADING
        while head < task_int.shape[1] and task_int[b, head, ARRIVES] == t:
            i, m = task_int[b, head, ORIGIN], task_int[b, head, MODEL]
            tally[b, i, DEMAND] += FADING * task[b, head, WORK] / params.slot
            model[b, i, m, WANTED] += FADING
            account[b, i, OWN_ARRIVED] += 1.0
            totals[b, ARRIVED] += 1.0
            if count[b, i] == QUEUE_SLOTS or not up[b, t_up, i]:
                lose(params.miss_penalty, status, totals, task, b, i, head, DROPPED, reward, cost)
            else:
                insert(count, held, queue, task, b, i, head, float(task[b, head, WORK]), t * params.slot, 0.0, 0.0)
                status[b, head] = QUEUED
            head += 1
        heads[b] = head


@kernel
def talk(params, state, after, absent, works):
    """Nodes whose turn it is tell their neighbours how much work they have [s] and what they ask [credits/Gcycle].

    It is the turn of slot `State.step` and so many more; `works` (B, N, D) says which links work then.
    """
    step, count, queue, tally, node = state.step, state.n_held, state.queue, state.tally, state.node
    neighbor, heard, up = state.neighbor, state.heard, state.up
    for b in range(len(step)):
        t = step[b] + after
        t_up, now = min(t, up.shape[1] - 1), t * params.slot
        for i in range(count.shape[1]):
            if (t + i) % params.gossip_every != 0 or not up[b, t_up, i] or i == absent[b]:
                continue
            load = 0.0
            if node[b, i, BYZANTINE] == 0.0:
                for q in range(count[b, i]):
                    load += queue[b, i, q, LEFT]
            for d in range(neighbor.shape[2]):
                j = neighbor[b, i, d]
                if j == NOBODY or not works[b, i, d]:
                    continue
                back = 0
                while neighbor[b, j, back] != i:
                    back += 1
                heard[b, j, back, SAID_LOAD] = load / node[b, i, SPEED]
                heard[b, j, back, SAID_PRICE] = tally[b, i, ASK]
                heard[b, j, back, SAID_AT] = now
