"""Events that come to nodes from outside: new tasks, failures, and messages of their neighbours.

Axes: B worlds, N nodes, D link slots, Q queue slots, M models, K tasks.
"""

from __future__ import annotations

from ..kit.kernels import inlined, kernel
from .links import link_to
from .queues import clear_from, copy_place, insert
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
"""Weight of the latest slot in running means."""


@inlined
def lose(penalty, state, b, i, k, fate, reward, cost):
    """Charges node i of world b for task k, which is missed or dropped in its hands (`fate`)."""
    state.status[b, k] = fate
    state.totals[b, MISSES if fate == MISSED else DROPS] += 1.0
    reward[b, i] -= penalty * state.task[b, k, VALUE]
    cost[b, i] += 1.0


@kernel
def fail(params, state, works, reward, cost):
    """Drops what failures destroy as a slot ends: all that a failed node holds, and what is on its way on a cut link.

    A failed node loses its memory, too.

    Args:
        params: The `Params`.
        state: The `State` to write into.
        works: (B, N, D) which links work in the next slot.
        reward: (B, N), written.
        cost: (B, N), written.
    """
    step, count, up = state.step, state.n_held, state.up
    for b in range(len(step)):
        t = min(step[b] + 1, up.shape[1] - 1)
        for i in range(count.shape[1]):
            fail_node(params, state, works, up[b, t, i], b, i, reward, cost)


@inlined
def fail_node(params, state, works, is_up, b, i, reward, cost):
    """Drops what failures destroy at node i of world b, which works in the next slot or not; see `fail`."""
    count, held, queue, model, loading = state.n_held, state.held, state.queue, state.model, state.loading
    kept = 0
    for q in range(count[b, i]):
        k = held[b, i, q]
        if is_up and not _is_cut_off(params, state, works, b, i, q):
            copy_place(held, queue, b, i, q, kept)
            kept += 1
            continue
        if state.task_int[b, k, ORIGIN] != i:
            state.tally[b, i, SALES] -= queue[b, i, q, LEFT]
        lose(params.miss_penalty, state, b, i, k, DROPPED, reward, cost)
    clear_from(count, held, queue, b, i, kept)
    if not is_up:
        loading[b, i, 0], loading[b, i, 1] = NOBODY, 0.0
    if not is_up and params.load_rate > 0.0:
        for m in range(model.shape[2]):
            model[b, i, m, LOADED] = 0.0


@inlined
def _is_cut_off(params, state, works, b, i, q):
    """Returns whether the task at place q of node i's queue is still on its way, over a link that does not work."""
    end = (state.step[b] + 1) * params.slot
    if state.queue[b, i, q, READY] <= end:
        return False
    origin = state.task_int[b, state.held[b, i, q], ORIGIN]
    return not works[b, i, link_to(state.neighbor, b, i, origin)]


@kernel
def arrive(params, state, after, reward, cost):
    """Puts new tasks into their node's queue: those of slot `State.step` + `after`."""
    step, heads, model = state.step, state.head, state.model
    tally, account, task_int, task = state.tally, state.account, state.task_int, state.task
    totals, up = state.totals, state.up
    for b in range(len(step)):
        t, head = step[b] + after, heads[b]
        t_up = min(t, up.shape[1] - 1)
        for i in range(model.shape[1]):
            tally[b, i, DEMAND] *= 1.0 - FADING
            for m in range(model.shape[2]):
                model[b, i, m, WANTED] *= 1.0 - FADING
        while head < task_int.shape[1] and task_int[b, head, ARRIVES] == t:
            i, m = task_int[b, head, ORIGIN], task_int[b, head, MODEL]
            tally[b, i, DEMAND] += FADING * task[b, head, WORK] / params.slot
            model[b, i, m, WANTED] += FADING
            account[b, i, OWN_ARRIVED] += 1.0
            totals[b, ARRIVED] += 1.0
            receive(params, state, up[b, t_up, i], b, i, head, reward, cost)
            head += 1
        heads[b] = head


@inlined
def receive(params, state, is_up, b, i, k, reward, cost):
    """Puts task k, which arrives, into the queue of node i of world b, which works or not; without room it is lost."""
    count, task = state.n_held, state.task
    if count[b, i] == QUEUE_SLOTS or not is_up:
        lose(params.miss_penalty, state, b, i, k, DROPPED, reward, cost)
    else:
        entry = (float(task[b, k, WORK]), state.task_int[b, k, ARRIVES] * params.slot, 0.0, 0.0)
        insert(count, state.held, state.queue, task, b, i, k, entry)
        state.status[b, k] = QUEUED


@kernel
def talk(params, state, after, absent, works):
    """Lets nodes whose turn it is tell their neighbours how much work they hold [s] and what they ask [credits/Gcycle].

    Args:
        params: The `Params`.
        state: The `State`; `heard` is written.
        after: It is slot `State.step` + `after`.
        absent: (B,) int32 a node that says nothing, or NOBODY.
        works: (B, N, D) which links work in that slot.
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
                back = link_to(neighbor, b, j, i)
                heard[b, j, back, SAID_LOAD] = load / node[b, i, SPEED]
                heard[b, j, back, SAID_PRICE] = tally[b, i, ASK]
                heard[b, j, back, SAID_AT] = now
