"""Samples worlds at reset: the plane, nodes and links, the tasks of an episode, energy prices and faults.

All of a world comes from one row of uniform numbers, so the same seed gives the same world in any batch.

Axes: B worlds, N nodes, D link slots, M models, K tasks, T slots.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..consensus.relay import fill_peers
from ..kit.kernels import kernel
from ..kit.seeding import seed_words, uniform
from .config import Config, most_peers
from .params import Params, n_tasks
from .rates import BUSY_SHARE, PER_TASK
from .state import (
    ARRIVES,
    BYZANTINE,
    CARTEL,
    DEADLINE,
    DEMAND,
    FIRST_MODEL,
    GOSSIP,
    LAST_USE,
    LATENCY_BINS,
    LEVELS,
    LOADED,
    MEMORY,
    MODEL,
    N_TALLY,
    N_TOTALS,
    NEIGHBOR_SPEED,
    NO_CONSENSUS,
    NOBODY,
    ORIGIN,
    POSTED_PRICE,
    PRICE,
    QUEUE_SLOTS,
    ROBUST,
    SAID_AT,
    SHARE,
    SIZE,
    SPEED,
    VALUE,
    WANTED,
    WORK,
    Array,
    State,
    X,
    Y,
)

MANY = 50.0
"""The search for a Poisson number begins at zero up to four times this mean, else ten deviations below the mean."""
CANDIDATES = 5
"""Number of random places of which a node takes the one farthest from all other nodes (Mitchell's best candidate)."""
PER_NODE = 2 * CANDIDATES + 4
"""Uniform numbers drawn for each node."""


def start(config: Config, params: Params, seeds: Sequence[int]) -> State:
    """Returns one world for each seed, before anything has arrived; `params` are those of `config`."""
    state = _empty(config, params, len(seeds))
    n, t, k, m = config.n_nodes, config.max_steps + 1, n_tasks(config, params), config.n_models
    a_slot = 2 + (config.failures > 0) + (config.burst > 1)  # numbers for each node
    size = n * (PER_NODE + config.n_neighbors + m) + m + 1 + n * t * a_slot + PER_TASK * k
    words = _spread(seeds)
    chance = uniform([int(word) for word in words], size)
    _sample(params, chance, state)
    if params.consensus in (GOSSIP, ROBUST):
        fill_peers(state.neighbor, params.consensus_hops, state.peer, state.hops)
    return state._replace(key=words)


def _empty(config: Config, params: Params, n_worlds: int) -> State:
    """Returns worlds without a past or a schedule, for `_sample` to fill in."""
    b, n, d, q, m = n_worlds, config.n_nodes, config.n_neighbors, QUEUE_SLOTS, config.n_models
    k, t = n_tasks(config, params), config.max_steps + 1
    t_fault = t if params.faulty else 1
    v = m + FIRST_MODEL if params.consensus != NO_CONSENSUS else 0
    p = most_peers(config) if params.consensus in (GOSSIP, ROBUST) else 0
    heard = np.zeros((b, n, d, 3))
    heard[..., SAID_AT] = -1.0
    loading = np.zeros((b, n, 2))
    loading[..., 0] = NOBODY
    return State(
        step=np.zeros(b, np.int32),
        n_held=np.zeros((b, n), np.int32),
        held=np.full((b, n, q), NOBODY, np.int32),
        queue=np.zeros((b, n, q, 4)),
        model=np.zeros((b, n, m, 3)),
        loading=loading,
        link_free=np.zeros((b, n, d)),
        heard=heard,
        tally=np.zeros((b, n, N_TALLY)),
        account=np.zeros((b, n, 3)),
        totals=np.zeros((b, N_TOTALS)),
        latency=np.zeros((b, LATENCY_BINS), np.int32),
        head=np.zeros(b, np.int32),
        status=np.zeros((b, k), np.int8),
        partner=np.full((b, n), NOBODY, np.int32),
        agreed=np.zeros((b, n, v)),
        measured=np.zeros((b, n, v)),
        silence=np.zeros((b, n), np.int32),
        node=np.zeros((b, n, 8)),
        neighbor=np.full((b, n, d), NOBODY, np.int32),
        link=np.zeros((b, n, d, 2)),
        model_size=np.zeros((b, m)),
        task_int=np.zeros((b, k, 3), np.int16),
        task=np.zeros((b, k, 4), np.float32),
        energy=np.zeros((b, t, n), np.uint8),
        up=np.ones((b, t_fault, n), np.bool_),
        cut=np.zeros((b, t_fault), np.bool_),
        bound=np.zeros(b),
        peer=np.full((b, n, p), NOBODY, np.int32),
        hops=np.zeros((b, n, p), np.int8),
        key=np.zeros(b, np.uint64),
    )


def _spread(seeds: Sequence[int]) -> Array:
    """Returns hashed seeds, (B,) uint64, so that no world shares numbers with other users of its seed."""
    try:
        whole = np.array(seeds, np.uint64)
    except OverflowError:
        words = [np.random.SeedSequence(seed).generate_state(1, np.uint64)[0] for seed in seeds]
        return np.array(words, np.uint64)
    return seed_words(np.stack([whole & np.uint64(0xFFFFFFFF), whole >> np.uint64(32)], axis=1))


@kernel
def _sample(params, chance, state):
    """Fills in the schedule and what nodes start with, from chance (B, U) in [0, 1)."""
    for b in range(len(chance)):
        u = chance[b]
        at = _sample_nodes(params, u, 0, b, state)
        at = _sample_links(params, u, at, b, state)
        at, popular = _sample_models(params, u, at, b, state)
        at = _sample_conditions(params, u, at, b, state)
        _sample_tasks(params, u, at, b, state, popular)


@kernel
def _sample_nodes(params, u, at, b, state):
    node, tally = state.node[b], state.tally[b]
    n = len(node)
    shares = 0.0
    for i in range(n):
        farthest = -1.0
        for _ in range(CANDIDATES):
            x, y, nearest = params.side * u[at], params.side * u[at + 1], math.inf
            for j in range(i):
                nearest = min(nearest, (node[j, X] - x) ** 2 + (node[j, Y] - y) ** 2)
            if nearest > farthest:
                farthest, node[i, X], node[i, Y] = nearest, x, y
            at += 2
        node[i, SPEED] = params.cpu * (1.0 + params.cpu_spread * (2.0 * u[at] - 1.0))
        node[i, MEMORY] = params.memory
        node[i, SHARE] = 1.0 + params.imbalance * (2.0 * u[at + 1] - 1.0)
        shares += node[i, SHARE]
        at += 2
    for i in range(n):
        node[i, SHARE] *= n / max(shares, 1e-9)
        tally[i, PRICE] = tally[i, POSTED_PRICE] = 0.5 * (params.energy_high + params.price_scale)
        tally[i, DEMAND] = params.arrivals * params.work / params.slot
    # Byzantine nodes and the cartel: those with the least of further numbers; none is both while there are enough.
    for which, members in ((BYZANTINE, params.n_byzantine), (CARTEL, params.n_cartel)):
        for _ in range(members):
            best, least = NOBODY, math.inf
            for i in range(n):
                rank = u[at + i] + 2.0 * (node[i, BYZANTINE] + node[i, CARTEL])
                if node[i, which] == 0.0 and rank < least:
                    best, least = i, rank
            if best != NOBODY:
                node[best, which] = 1.0
        at += n
    return at


@kernel
def _apart(node, i, j):
    return math.sqrt((node[i, X] - node[j, X]) ** 2 + (node[i, Y] - node[j, Y]) ** 2)


@kernel
def _sample_links(params, u, at, b, state):
    """Links nodes by a spanning tree of short links, then by the shortest within range; at most D each."""
    node, neighbor, link, free = state.node[b], state.neighbor[b], state.link[b], params.bandwidth
    n, slots = neighbor.shape
    pairs = n * (n - 1) // 2
    length, first, second = np.empty(pairs), np.empty(pairs, np.int32), np.empty(pairs, np.int32)
    at_pair = 0
    for i in range(n):
        for j in range(i + 1, n):
            length[at_pair], first[at_pair], second[at_pair] = _apart(node, i, j), i, j
            at_pair += 1
    order = np.argsort(length, kind="mergesort")
    degree, part = np.zeros(n, np.int32), np.arange(n)
    linked = np.zeros((n, n), np.bool_)
    for tree in (True, False):  # Kruskal's algorithm with a bound on the degrees, then the rest
        for k in order:
            i, j = first[k], second[k]
            if degree[i] == slots or degree[j] == slots or linked[i, j]:
                continue
            if tree:
                if part[i] == part[j]:
                    continue
                part[part == part[j]] = part[i]
            elif length[k] > params.radio_range:
                break
            linked[i, j] = linked[j, i] = True
            degree[i] += 1
            degree[j] += 1
    degree[:] = 0
    for k in order:  # once more, shortest first, so that every node's links are in order of length
        i, j = first[k], second[k]
        if linked[i, j]:
            speed = free * (0.5 + u[at + (i * slots + degree[i])])
            for one, other in ((i, j), (j, i)):
                neighbor[one, degree[one]] = other
                link[one, degree[one], 0] = speed
                link[one, degree[one], 1] = params.latency * (1.0 + length[k])
                node[one, NEIGHBOR_SPEED] = max(node[one, NEIGHBOR_SPEED], node[other, SPEED])
                degree[one] += 1
    return at + n * slots


@kernel
def _sample_models(params, u, at, b, state):
    """Samples sizes and loaded models; returns the place in u, and the shares of models in tasks, cumulated (N, M)."""
    size, model, node = state.model_size[b], state.model[b], state.node[b]
    n, m = model.shape[:2]
    for k in range(m):
        size[k] = params.model_size * (1.0 + params.model_spread * (2.0 * u[at + k] - 1.0))
    at += m
    popular = np.empty((n, m))
    for i in range(n):
        taste = np.argsort(u[at : at + m])  # models in order of their popularity with its users
        at += m
        room, missing = node[i, MEMORY], m
        for rank in range(m):  # in turn, so that together the nodes start with everything
            k = (i + rank) % m
            if size[k] <= room:
                room -= size[k]
                model[i, k, LOADED] = 1.0
                missing -= 1
        total = 0.0
        for rank in range(m):
            k = taste[rank]
            popular[i, k] = (1.0 + rank) ** -params.popularity
            if params.strangers and missing > 0 and model[i, k, LOADED] > 0.0:
                popular[i, k] = 0.0
            total += popular[i, k]
        for k in range(m):
            model[i, k, WANTED] = params.arrivals / m
            model[i, k, LAST_USE] = 0.0
            popular[i, k] = popular[i, k] / total + (popular[i, k - 1] if k > 0 else 0.0)
    return at, popular


@kernel
def _sample_conditions(params, u, at, b, state):
    """Samples energy prices, failures of nodes and the partition."""
    energy, up, cut = state.energy[b], state.up[b], state.cut[b]
    slots, n = energy.shape
    for i in range(n):
        for t in range(slots):
            if t == 0:
                energy[t, i] = int((LEVELS + 1) * u[at])
            elif u[at] < params.energy_churn:  # and where it is below, it is uniform there
                energy[t, i] = int((LEVELS + 1) * (u[at] / params.energy_churn))
            else:
                energy[t, i] = energy[t - 1, i]
            at += 1
    if params.failures > 0.0:
        for i in range(n):
            for t in range(1, slots):
                up[t, i] = u[at] >= params.falls if up[t - 1, i] else u[at] < params.rises
                at += 1
    if params.partition > 0.0:
        begin = (1.0 - params.partition) * u[at] * params.max_steps
        for t in range(slots - 1):
            cut[t] = begin <= t < begin + params.partition * params.max_steps
        cut[slots - 1] = cut[slots - 2]
    return at + 1


@kernel
def _poisson_from(mean):
    """Returns where to begin the search for a Poisson number, and its chance; smaller ones hardly ever happen."""
    if mean < MANY:
        return 0, math.exp(-mean)
    first = int(mean - 10.0 * math.sqrt(mean)) if mean > 4.0 * MANY else 0
    return first, math.exp(first * math.log(mean) - mean - math.lgamma(first + 1.0))


@kernel
def _poisson(mean, first, chance, u):
    """Returns a Poisson number by inversion of u in [0, 1), searched from `_poisson_from` on.

    A tail of 1e-17, beyond the resolution of u, is left out.
    """
    number = first
    while u >= chance and (number < mean or chance > 1e-17):
        u -= chance
        number += 1
        chance *= mean / number
    return number


@kernel
def _sample_tasks(params, u, at, b, state, popular):
    """Samples arrivals slot by slot and node by node until the schedule is full, then what each task needs."""
    task_int, task, node = state.task_int[b], state.task[b], state.node[b]
    slots, n = state.energy[b].shape
    # The state of a node at the start has the chances that it has at any time, so the mean is that of every slot.
    out = 1.0 / params.burst_slots
    into = out * BUSY_SHARE / (1.0 - BUSY_SHARE)
    busy = np.zeros(n, np.int8)
    rates, least, chances = np.empty((n, 2)), np.empty((n, 2), np.int64), np.empty((n, 2))  # when calm, when busy
    for i in range(n):
        for state_of in range(2):
            pace = params.calm * (params.burst if state_of else 1.0)
            rates[i, state_of] = params.arrivals * node[i, SHARE] * pace
            least[i, state_of], chances[i, state_of] = _poisson_from(rates[i, state_of])
    k = 0
    for t in range(slots):
        for i in range(n):
            if params.burst > 1.0:
                if t == 0:
                    busy[i] = u[at] < BUSY_SHARE
                else:
                    busy[i] = u[at] >= out if busy[i] else u[at] < into
                at += 1
            now = busy[i]
            arrivals = _poisson(rates[i, now], least[i, now], chances[i, now], u[at])
            at += 1
            for _ in range(arrivals):
                if k < len(task):  # there is room, see `rates.task_room`
                    task_int[k, ARRIVES], task_int[k, ORIGIN] = t, i
                    k += 1
    for rest in range(k, len(task)):
        task_int[rest, ARRIVES] = 32_767  # never seen
    for j in range(k):
        origin = task_int[j, ORIGIN]
        model = 0
        while model < popular.shape[1] - 1 and u[at] >= popular[origin, model]:
            model += 1
        task_int[j, MODEL] = model
        task[j, WORK] = params.work * (1.0 + params.work_spread * (2.0 * u[at + 1] - 1.0))
        task[j, SIZE] = params.size * (0.5 + u[at + 2])
        patience = params.deadline * (1.0 + params.deadline_spread * (2.0 * u[at + 3] - 1.0))
        task[j, DEADLINE] = task_int[j, ARRIVES] * params.slot + patience
        task[j, VALUE] = task[j, WORK] * (params.value_low + (params.value_high - params.value_low) * u[at + 4])
        at += PER_TASK
