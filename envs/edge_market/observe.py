"""Kernels for the observations of nodes, the global state, and which nodes hear each other.

The package's docstring lists every entry.

Axes: B worlds, N nodes, D link slots, M models, H head tasks, O observation, S state.
"""

from __future__ import annotations

import math

import numpy as np

from ..kit.kernels import inlined, kernel
from .config import Config
from .links import find_links
from .market import energy_price
from .state import (
    ASK,
    ASKED,
    BID,
    BOUGHT,
    BYZANTINE,
    CARTEL,
    DEADLINE,
    DEMAND,
    FIRST_MODEL,
    LEFT,
    LOAD,
    LOADED,
    MEMORY,
    MODEL,
    NO_CONSENSUS,
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
"""H: a node sees this many of its tasks one by one, those of earliest deadline."""
OF_NODE, OF_TASK, OF_MODEL, OF_NEIGHBOR = 22, 7, 5, 7
"""Number of entries of an observation on the node itself, on each head task, model and link."""
IN_STATE = 12
"""Number of entries of each node in the global state, before its loaded models."""


def obs_size(config: Config) -> int:
    """Returns O."""
    agreed = 0 if config.consensus == "none" else FIRST_MODEL + config.n_models + 1
    return OF_NODE + OF_TASK * HEAD_TASKS + OF_MODEL * config.n_models + OF_NEIGHBOR * config.n_neighbors + agreed


def obs_names(config: Config) -> tuple[str, ...]:
    """Returns the names of the entries of an observation, (O,), see `envs.core.BatchEnv`.

    All numbers with a unit are relative to the market's own means, and so are the quantities that are named here.
    """
    names = ["speed", "works", "energy_price", "own_work", "taken_work", "queue", "used", "demand", "late"]
    names += ["best_late_value", "best_late_work", "price", "sold", "took", "bid", "ask", "posted_price"]
    names += ["loading_time", "free_memory", "profit", "byzantine", "cartel"]
    task = ("own", "work", "deadline", "value", "need", "model_loaded", "ready")
    model = ("loaded", "loading", "size", "demand", "work")
    link = ("works", "bandwidth", "latency", "said_load", "said_ask", "said_age", "busy")
    parts = (("task", HEAD_TASKS, task), ("model", config.n_models, model), ("link", config.n_neighbors, link))
    names += [f"{what}_{k}_{part}" for what, n, each in parts for k in range(n) for part in each]
    if config.consensus != "none":
        names += ["agreed_load", "agreed_price", *(f"agreed_demand_{m}" for m in range(config.n_models)), "agreed_age"]
    return tuple(names)


def state_size(config: Config) -> int:
    """Returns S."""
    return config.n_nodes * (IN_STATE + config.n_models) + 2


@kernel
def _squash(x, half):
    """Maps [0, inf] to [0, 1]: x / (x + half), which is 1/2 at `half`."""
    return x / (x + half) if x < 1e9 * half else 1.0


@kernel
def observe(params, state, obs, adjacency, global_state):
    """Fills in the observations, the adjacency and the global state.

    Args:
        params: The `Params`.
        state: The `State`.
        obs: (B, N, O) float32 zeros, written.
        adjacency: (B, N, N) False, written: i and j hear each other.
        global_state: (B, S) float32 zeros, written.
    """
    n_worlds, n_nodes, n_slots = state.neighbor.shape
    works = np.ones((n_worlds, n_nodes, n_slots), np.bool_)
    if params.faulty:
        find_links(state, params.side, 0, works)
    waiting = np.zeros((n_worlds, n_nodes, state.model.shape[2]))  # seconds of work that need each model
    _observe_tasks(params, state, waiting, obs)
    _observe_nodes(params, state, obs)
    _observe_models(params, state, waiting, obs)
    _observe_links(params, state, works, adjacency, obs)
    if params.consensus != NO_CONSENSUS:
        _observe_agreed(params, state, obs)
    _fill_state(params, state, obs, global_state)


@kernel
def _observe_tasks(params, state, waiting, obs):
    """Writes the tasks of each node, one by one and together, into obs; and into waiting (B, N, M), zero before."""
    step, count, queue, held, task, task_int = (
        state.step,
        state.n_held,
        state.queue,
        state.held,
        state.task,
        state.task_int,
    )
    node, model = state.node, state.model
    for b in range(len(step)):
        now = step[b] * params.slot
        for i in range(count.shape[1]):
            speed = node[b, i, SPEED]
            load, late, gain, offered = 0.0, 0, 0.0, 0.0
            for q in range(count[b, i]):
                k = held[b, i, q]
                m, left = task_int[b, k, MODEL], queue[b, i, q, LEFT]
                alone, patience, own = left / speed, task[b, k, DEADLINE] - now, task_int[b, k, ORIGIN] == i
                need = load + alone
                if model[b, i, m, LOADED] == 0.0:
                    need = max(need, _loading_time(params, state, b, i, m) + alone)
                waiting[b, i, m] += alone
                if q < HEAD_TASKS:
                    at = OF_NODE + OF_TASK * q
                    obs[b, i, at] = 1.0 if own else -1.0
                    obs[b, i, at + 1] = left / (left + params.work)
                    obs[b, i, at + 2] = patience / (patience + params.deadline)
                    obs[b, i, at + 3] = _squash(task[b, k, VALUE], task[b, k, WORK] * params.price_scale)
                    obs[b, i, at + 4] = 0.5 * min(need / patience, 2.0)
                    obs[b, i, at + 5] = 1.0 if model[b, i, m, LOADED] > 0.0 else 0.0
                    obs[b, i, at + 6] = 1.0 if queue[b, i, q, READY] <= now else 0.0
                if alone <= patience:
                    load += alone
                if need <= patience:
                    continue
                late += 1
                if own and left == task[b, k, WORK] and task[b, k, VALUE] > gain:
                    gain, offered = task[b, k, VALUE], left
            obs[b, i, 3] = _squash(load, params.deadline)
            obs[b, i, 8] = late / QUEUE_SLOTS
            if offered > 0.0:
                obs[b, i, 9] = _squash(gain * (1.0 + params.miss_penalty), offered * params.price_scale)
                obs[b, i, 10] = offered / (offered + params.work)


@inlined
def _loading_time(params, state, b, i, m):
    """Returns the seconds until model m, which is not loaded, could be in the memory of node i, were there room."""
    left = state.loading[b, i, 1]
    if state.loading[b, i, 0] == m:
        return left
    return left + (state.model_size[b, m] / params.load_rate if params.load_rate > 0.0 else math.inf)


@kernel
def _observe_nodes(params, state, obs):
    """Writes what each node sees of itself, but for its tasks and models, into obs."""
    step, count, tally, node = state.step, state.n_held, state.tally, state.node
    loading, prices, up = state.loading, state.energy, state.up
    for b in range(len(step)):
        t_up = min(step[b], up.shape[1] - 1)
        for i in range(count.shape[1]):
            speed, energy = node[b, i, SPEED], energy_price(params, prices, b, step[b], i)
            obs[b, i, 0] = speed / (2.0 * params.cpu)
            obs[b, i, 1] = 1.0 if up[b, t_up, i] else 0.0
            obs[b, i, 2] = energy / params.energy_high if params.energy_high > 0.0 else 0.0
            obs[b, i, 4] = _squash(max(tally[b, i, SALES], 0.0), speed * params.deadline)
            obs[b, i, 5] = count[b, i] / QUEUE_SLOTS
            obs[b, i, 6] = min(tally[b, i, USED], 1.0)
            obs[b, i, 7] = _squash(tally[b, i, DEMAND], speed)
            obs[b, i, 11] = _squash(tally[b, i, PRICE], params.price_scale)
            obs[b, i, 12], obs[b, i, 13] = tally[b, i, BOUGHT], tally[b, i, SOLD]
            obs[b, i, 14] = _squash(tally[b, i, BID], params.price_scale)
            obs[b, i, 15] = _squash(tally[b, i, ASK], params.price_scale)
            obs[b, i, 16] = _squash(tally[b, i, POSTED_PRICE], params.price_scale)
            obs[b, i, 17] = _squash(loading[b, i, 1], params.deadline)
            obs[b, i, 19] = tally[b, i, SLOT_PROFIT] / (1.0 + abs(tally[b, i, SLOT_PROFIT]))
            obs[b, i, 20], obs[b, i, 21] = node[b, i, BYZANTINE], node[b, i, CARTEL]


@kernel
def _observe_models(params, state, waiting, obs):
    """Writes each node's models and its free memory into obs; waiting (B, N, M) is that of `_observe_tasks`."""
    model, loading, node, size = state.model, state.loading, state.node, state.model_size
    n_models, first = model.shape[2], OF_NODE + OF_TASK * HEAD_TASKS
    for b in range(len(model)):
        for i in range(model.shape[1]):
            memory = node[b, i, MEMORY]
            free = memory
            for m in range(n_models):
                at = first + OF_MODEL * m
                obs[b, i, at] = model[b, i, m, LOADED]
                if loading[b, i, 0] == m:
                    obs[b, i, at + 1] = 1.0
                if obs[b, i, at] + obs[b, i, at + 1] > 0.0:
                    free -= size[b, m]
                obs[b, i, at + 2] = size[b, m] / memory
                obs[b, i, at + 3] = _squash(model[b, i, m, WANTED] * n_models, max(params.arrivals, 1e-9))
                obs[b, i, at + 4] = _squash(waiting[b, i, m], params.deadline)
            obs[b, i, 18] = max(free, 0.0) / memory


@kernel
def _observe_links(params, state, works, adjacency, obs):
    """Writes each node's links and its neighbours' last messages into obs, and which nodes hear each other."""
    step, heard, neighbor, link, free_at = state.step, state.heard, state.neighbor, state.link, state.link_free
    first = OF_NODE + OF_TASK * HEAD_TASKS + OF_MODEL * state.model.shape[2]
    for b in range(len(step)):
        now = step[b] * params.slot
        for i in range(neighbor.shape[1]):
            for d in range(neighbor.shape[2]):
                j = neighbor[b, i, d]
                if j == NOBODY:
                    break
                at = first + OF_NEIGHBOR * d
                adjacency[b, i, j] = works[b, i, d]
                obs[b, i, at] = 1.0 if works[b, i, d] else -1.0
                obs[b, i, at + 1] = link[b, i, d, 0] / (1.5 * params.bandwidth)
                obs[b, i, at + 2] = link[b, i, d, 1] / (link[b, i, d, 1] + params.slot)
                obs[b, i, at + 5] = 1.0
                if heard[b, i, d, SAID_AT] >= 0.0:
                    age = now - heard[b, i, d, SAID_AT]
                    obs[b, i, at + 3] = _squash(heard[b, i, d, SAID_LOAD], params.deadline)
                    obs[b, i, at + 4] = _squash(heard[b, i, d, SAID_PRICE], params.price_scale)
                    obs[b, i, at + 5] = age / (age + params.deadline)
                obs[b, i, at + 6] = _squash(max(free_at[b, i, d] - now, 0.0), params.slot)


@kernel
def _observe_agreed(params, state, obs):
    """Writes each node's estimates and their age into the last entries of obs."""
    agreed, silence, n_models = state.agreed, state.silence, state.model.shape[2]
    first = obs.shape[2] - agreed.shape[2] - 1
    share = max(params.arrivals, 1e-9) / n_models
    for b in range(len(agreed)):
        for i in range(agreed.shape[1]):
            obs[b, i, first + LOAD] = _squash(max(agreed[b, i, LOAD], 0.0), params.deadline)
            obs[b, i, first + ASKED] = _squash(max(agreed[b, i, ASKED], 0.0), params.price_scale)
            for v in range(FIRST_MODEL, agreed.shape[2]):
                obs[b, i, first + v] = _squash(max(agreed[b, i, v], 0.0), share)
            age = silence[b, i] * params.slot
            obs[b, i, first + agreed.shape[2]] = age / (age + params.deadline)


@kernel
def _fill_state(params, state, obs, global_state):
    """Fills global_state (B, S) from the finished obs: some entries of every node, its models, time and partition."""
    step, model, cut = state.step, state.model, state.cut
    n_nodes, n_models = model.shape[1:3]
    for b in range(len(step)):
        t_cut = min(step[b], cut.shape[1] - 1)
        for i in range(n_nodes):
            at = i * (IN_STATE + n_models)
            for entry in range(9):
                global_state[b, at + entry] = obs[b, i, entry]
            for entry in range(3):
                global_state[b, at + 9 + entry] = obs[b, i, 11 + entry]
            for m in range(n_models):
                global_state[b, at + IN_STATE + m] = model[b, i, m, LOADED]
        at = n_nodes * (IN_STATE + n_models)
        global_state[b, at] = min(step[b] / params.max_steps, 1.0)
        global_state[b, at + 1] = 1.0 if cut[b, t_cut] else 0.0
