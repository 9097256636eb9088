"""What nodes see, what a centralised critic sees, and who hears whom. The package's docstring lists every entry.

Axes: B worlds, N nodes, D link slots, M models, H head tasks, O observation, S state.
"""

from __future__ import annotations

import math

import numpy as np

from ..kernels import kernel
from .config import Config
from .market import energy_price, find_links
from .state import (
    ASK,
    BID,
    BOUGHT,
    BYZANTINE,
    CARTEL,
    DEADLINE,
    DEMAND,
    LEFT,
    LOADED,
    MEMORY,
    MODEL,
    NOBODY,
    ORIGIN,
    POSTED_PRICE,
    PRICE,
    QUEUE_SLOTS,
    READY,
    SAID_AT,
    SAID_LOAD,
    SAID_PRICE,
    SALES,
    SLOT_PROFIT,
    SOLD,
    SPEED,
    USED,
    VALUE,
    WANTED,
    WORK,
)
from .work import world_of

HEAD_TASKS = 3
"""H: how many of its tasks a node sees one by one."""
OF_NODE, OF_TASK, OF_MODEL, OF_NEIGHBOR = 22, 7, 5, 7
"""Entries of an observation."""
IN_STATE = 12
"""Entries of a node in the state, before its loaded models."""


def obs_size(config: Config) -> int:
    """O."""
    return OF_NODE + OF_TASK * HEAD_TASKS + OF_MODEL * config.n_models + OF_NEIGHBOR * config.n_neighbors


def state_size(config: Config) -> int:
    """S."""
    return config.n_nodes * (IN_STATE + config.n_models) + 2


@kernel
def _squash(x):
    """[0, inf] to [0, 1]: half at 1."""
    return x / (1.0 + x) if x < 1e9 else 1.0


@kernel
def sense(rules, state, obs, adjacency, overview):
    """Fills obs (B, N, O), adjacency (B, N, N) and overview (B, S), all zero before."""
    n, m_all, d_all = state.n_held.shape[1], state.model.shape[2], state.neighbor.shape[2]
    rate = rules.load_rate
    waiting = np.empty(m_all)  # seconds of work that need each model
    works = np.ones((n, d_all), np.bool_)
    for b in range(len(state.step)):
        w, t = world_of(state, b), state.step[b]
        now = t * rules.slot
        count, queue, held, task, task_int, tally = w.n_held, w.queue, w.held, w.task, w.task_int, w.tally
        model, loading, heard, neighbor, link, free_at = w.model, w.loading, w.heard, w.neighbor, w.link, w.link_free
        node, size, prices, up, cut = w.node, w.model_size, w.energy, w.up, w.cut
        hears, world, seen = adjacency[b], overview[b], obs[b]
        t_now = min(t, len(cut) - 1)
        if rules.faulty:
            find_links(node, neighbor, up, cut, rules.side, t, works)
        for i in range(n):
            o = seen[i]
            speed, energy, memory = node[i, SPEED], energy_price(rules, prices, t, i), node[i, MEMORY]
            load, late, gain, offered = 0.0, 0, 0.0, 0.0
            waiting[:] = 0.0
            at = OF_NODE
            for q in range(count[i]):
                k = held[i, q]
                m, left = task_int[k, MODEL], queue[i, q, LEFT]
                alone, patience, own = left / speed, task[k, DEADLINE] - now, task_int[k, ORIGIN] == i
                need = load + alone
                there = model[i, m, LOADED] > 0.0
                if not there and loading[i, 0] == m:
                    need = max(need, loading[i, 1] + alone)
                elif not there:
                    need = max(need, loading[i, 1] + (size[m] / rate if rate > 0.0 else math.inf) + alone)
                waiting[m] += alone
                if alone <= patience:
                    load += alone
                if need > patience:
                    late += 1
                    if own and left == task[k, WORK] and task[k, VALUE] > gain:
                        gain, offered = task[k, VALUE], left
                if q < HEAD_TASKS:
                    o[at] = 1.0 if own else -1.0
                    o[at + 1] = left / (left + rules.work)
                    o[at + 2] = patience / (patience + rules.deadline)
                    o[at + 3] = _squash(task[k, VALUE] / (task[k, WORK] * rules.price_scale))
                    o[at + 4] = 0.5 * min(need / patience, 2.0)
                    o[at + 5] = 1.0 if there else 0.0
                    o[at + 6] = 1.0 if queue[i, q, READY] <= now else 0.0
                    at += OF_TASK
            o[0] = speed / (2.0 * rules.cpu)
            o[1] = 1.0 if up[t_now, i] else 0.0
            o[2] = energy / rules.energy_high if rules.energy_high > 0.0 else 0.0
            o[3] = _squash(load / rules.deadline)
            o[4] = _squash(max(tally[i, SALES], 0.0) / (speed * rules.deadline))
            o[5] = count[i] / QUEUE_SLOTS
            o[6] = min(tally[i, USED], 1.0)
            o[7] = _squash(tally[i, DEMAND] / speed)
            o[8] = late / QUEUE_SLOTS
            if offered > 0.0:
                o[9] = _squash(gain * (1.0 + rules.miss_penalty) / (offered * rules.price_scale))
                o[10] = offered / (offered + rules.work)
            o[11] = _squash(tally[i, PRICE] / rules.price_scale)
            o[12], o[13] = tally[i, BOUGHT], tally[i, SOLD]
            o[14] = _squash(tally[i, BID] / rules.price_scale)
            o[15] = _squash(tally[i, ASK] / rules.price_scale)
            o[16] = _squash(tally[i, POSTED_PRICE] / rules.price_scale)
            o[17] = _squash(loading[i, 1] / rules.deadline)
            free = memory
            o[19] = tally[i, SLOT_PROFIT] / (1.0 + abs(tally[i, SLOT_PROFIT]))
            o[20], o[21] = node[i, BYZANTINE], node[i, CARTEL]
            at = OF_NODE + OF_TASK * HEAD_TASKS
            for m in range(m_all):
                o[at] = model[i, m, LOADED]
                if loading[i, 0] == m:
                    o[at + 1] = 1.0
                if o[at] + o[at + 1] > 0.0:
                    free -= size[m]
                o[at + 2] = size[m] / memory
                o[at + 3] = _squash(model[i, m, WANTED] * m_all / max(rules.arrivals, 1e-9))
                o[at + 4] = _squash(waiting[m] / rules.deadline)
                at += OF_MODEL
            o[18] = max(free, 0.0) / memory
            for d in range(d_all):
                j = neighbor[i, d]
                if j == NOBODY:
                    break
                hears[i, j] = works[i, d]
                o[at] = 1.0 if works[i, d] else -1.0
                o[at + 1] = link[i, d, 0] / (1.5 * rules.bandwidth)
                o[at + 2] = link[i, d, 1] / (link[i, d, 1] + rules.slot)
                age = now - heard[i, d, SAID_AT]
                if heard[i, d, SAID_AT] >= 0.0:
                    o[at + 3] = _squash(heard[i, d, SAID_LOAD] / rules.deadline)
                    o[at + 4] = _squash(heard[i, d, SAID_PRICE] / rules.price_scale)
                    o[at + 5] = age / (age + rules.deadline)
                else:
                    o[at + 5] = 1.0
                o[at + 6] = _squash(max(free_at[i, d] - now, 0.0) / rules.slot)
                at += OF_NEIGHBOR
            first = i * (IN_STATE + m_all)
            for entry in range(9):
                world[first + entry] = o[entry]
            world[first + 9], world[first + 10], world[first + 11] = o[11], o[12], o[13]
            for m in range(m_all):
                world[first + IN_STATE + m] = model[i, m, LOADED]
        last = len(world)
        world[last - 2] = min(t / rules.max_steps, 1.0)
        world[last - 1] = 1.0 if cut[t_now] else 0.0


@kernel
def sum_of(reward, exchange, out):
    """Welfare into out (B,): the profits (B, N) of a slot and the exchange's account (B,), in one order for every B."""
    for b in range(len(out)):
        total = exchange[b]
        for i in range(reward.shape[1]):
            total += reward[b, i]
        out[b] = total


@kernel
def others_of(reward, exchange, absent, out):
    """As `sum_of`, without the node that is absent (B,)."""
    for b in range(len(out)):
        total = exchange[b]
        for i in range(reward.shape[1]):
            if i != absent[b]:
                total += reward[b, i]
        out[b] += total
