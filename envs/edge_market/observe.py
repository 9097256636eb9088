"""What nodes see, what a centralised critic sees, and who hears whom. The package's docstring lists every entry.

Axes: B worlds, N nodes, D link slots, M models, H head tasks, O observation, S state.
"""

from __future__ import annotations

import math

import numpy as np

from ..kit.kernels import kernel
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
def _squash(x, half):
    """[0, inf] to [0, 1]: half at `half`."""
    return x / (x + half) if x < 1e9 * half else 1.0


@kernel
def observe(params, state, obs, adjacency, global_state):
    """Fills obs (B, N, O), adjacency (B, N, N) and global_state (B, S), all zero before."""
    n_worlds, n, d_all = state.neighbor.shape
    m_all, rate = state.model.shape[2], params.load_rate
    waiting = np.empty(m_all)  # seconds of work that need each model
    works = np.ones((n_worlds, n, d_all), np.bool_)
    if params.faulty:
        find_links(state, params.side, 0, works)
    step, count, queue, held, task, task_int = (
        state.step,
        state.n_held,
        state.queue,
        state.held,
        state.task,
        state.task_int,
    )
    tally, model, loading, heard, neighbor = state.tally, state.model, state.loading, state.heard, state.neighbor
    link, free_at, node, size, prices = state.link, state.link_free, state.node, state.model_size, state.energy
    up, cut = state.up, state.cut
    last = global_state.shape[1]
    for b in range(n_worlds):
        t, now = step[b], step[b] * params.slot
        t_now = min(t, cut.shape[1] - 1)
        for i in range(n):
            speed, energy, memory = node[b, i, SPEED], energy_price(params, prices, b, t, i), node[b, i, MEMORY]
            load, late, gain, offered = 0.0, 0, 0.0, 0.0
            waiting[:] = 0.0
            at = OF_NODE
            for q in range(count[b, i]):
                k = held[b, i, q]
                m, left = task_int[b, k, MODEL], queue[b, i, q, LEFT]
                alone, patience, own = left / speed, task[b, k, DEADLINE] - now, task_int[b, k, ORIGIN] == i
                need = load + alone
                there = model[b, i, m, LOADED] > 0.0
                if not there and loading[b, i, 0] == m:
                    need = max(need, loading[b, i, 1] + alone)
                elif not there:
                    need = max(need, loading[b, i, 1] + (size[b, m] / rate if rate > 0.0 else math.inf) + alone)
                waiting[m] += alone
                if alone <= patience:
                    load += alone
                if need > patience:
                    late += 1
                    if own and left == task[b, k, WORK] and task[b, k, VALUE] > gain:
                        gain, offered = task[b, k, VALUE], left
                if q < HEAD_TASKS:
                    obs[b, i, at] = 1.0 if own else -1.0
                    obs[b, i, at + 1] = left / (left + params.work)
                    obs[b, i, at + 2] = patience / (patience + params.deadline)
                    obs[b, i, at + 3] = _squash(task[b, k, VALUE], task[b, k, WORK] * params.price_scale)
                    obs[b, i, at + 4] = 0.5 * min(need / patience, 2.0)
                    obs[b, i, at + 5] = 1.0 if there else 0.0
                    obs[b, i, at + 6] = 1.0 if queue[b, i, q, READY] <= now else 0.0
                    at += OF_TASK
            obs[b, i, 0] = speed / (2.0 * params.cpu)
            obs[b, i, 1] = 1.0 if up[b, t_now, i] else 0.0
            obs[b, i, 2] = energy / params.energy_high if params.energy_high > 0.0 else 0.0
            obs[b, i, 3] = _squash(load, params.deadline)
            obs[b, i, 4] = _squash(max(tally[b, i, SALES], 0.0), speed * params.deadline)
            obs[b, i, 5] = count[b, i] / QUEUE_SLOTS
            obs[b, i, 6] = min(tally[b, i, USED], 1.0)
            obs[b, i, 7] = _squash(tally[b, i, DEMAND], speed)
            obs[b, i, 8] = late / QUEUE_SLOTS
            if offered > 0.0:
                obs[b, i, 9] = _squash(gain * (1.0 + params.miss_penalty), offered * params.price_scale)
                obs[b, i, 10] = offered / (offered + params.work)
            obs[b, i, 11] = _squash(tally[b, i, PRICE], params.price_scale)
            obs[b, i, 12], obs[b, i, 13] = tally[b, i, BOUGHT], tally[b, i, SOLD]
            obs[b, i, 14] = _squash(tally[b, i, BID], params.price_scale)
            obs[b, i, 15] = _squash(tally[b, i, ASK], params.price_scale)
            obs[b, i, 16] = _squash(tally[b, i, POSTED_PRICE], params.price_scale)
            obs[b, i, 17] = _squash(loading[b, i, 1], params.deadline)
            free = memory
            obs[b, i, 19] = tally[b, i, SLOT_PROFIT] / (1.0 + abs(tally[b, i, SLOT_PROFIT]))
            obs[b, i, 20], obs[b, i, 21] = node[b, i, BYZANTINE], node[b, i, CARTEL]
            at = OF_NODE + OF_TASK * HEAD_TASKS
            for m in range(m_all):
                obs[b, i, at] = model[b, i, m, LOADED]
                if loading[b, i, 0] == m:
                    obs[b, i, at + 1] = 1.0
                if obs[b, i, at] + obs[b, i, at + 1] > 0.0:
                    free -= size[b, m]
                obs[b, i, at + 2] = size[b, m] / memory
                obs[b, i, at + 3] = _squash(model[b, i, m, WANTED] * m_all, max(params.arrivals, 1e-9))
                obs[b, i, at + 4] = _squash(waiting[m], params.deadline)
                at += OF_MODEL
            obs[b, i, 18] = max(free, 0.0) / memory
            for d in range(d_all):
                j = neighbor[b, i, d]
                if j == NOBODY:
                    break
                adjacency[b, i, j] = works[b, i, d]
                obs[b, i, at] = 1.0 if works[b, i, d] else -1.0
                obs[b, i, at + 1] = link[b, i, d, 0] / (1.5 * params.bandwidth)
                obs[b, i, at + 2] = link[b, i, d, 1] / (link[b, i, d, 1] + params.slot)
                age = now - heard[b, i, d, SAID_AT]
                if heard[b, i, d, SAID_AT] >= 0.0:
                    obs[b, i, at + 3] = _squash(heard[b, i, d, SAID_LOAD], params.deadline)
                    obs[b, i, at + 4] = _squash(heard[b, i, d, SAID_PRICE], params.price_scale)
                    obs[b, i, at + 5] = age / (age + params.deadline)
                else:
                    obs[b, i, at + 5] = 1.0
                obs[b, i, at + 6] = _squash(max(free_at[b, i, d] - now, 0.0), params.slot)
                at += OF_NEIGHBOR
            first = i * (IN_STATE + m_all)
            for entry in range(9):
                global_state[b, first + entry] = obs[b, i, entry]
            global_state[b, first + 9], global_state[b, first + 10], global_state[b, first + 11] = (
                obs[b, i, 11],
                obs[b, i, 12],
                obs[b, i, 13],
            )
            for m in range(m_all):
                global_state[b, first + IN_STATE + m] = model[b, i, m, LOADED]
        global_state[b, last - 2] = min(t / params.max_steps, 1.0)
        global_state[b, last - 1] = 1.0 if cut[b, t_now] else 0.0


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
