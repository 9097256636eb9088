"""Estimates of what no node can see: mean load, ask and demand over all nodes, agreed on by exchanges.

In every slot each node i that works measures its own m_i and corrects its estimate x_i of the mean,

    x_i <- x_i + (m_i(t) - m_i(t - 1)) + pull (m_i(t) - x_i)        gossip, hierarchical
    x_i <- x_i + pull (m_i(t) - x_i)                                robust

and then nodes exchange estimates by a rule of `envs.consensus`. Gossip and hierarchy keep the sum of x_i - m_i, which
is zero at first, so the mean of the estimates is that of the measurements. A node that fails takes its x_i - m_i with
it and brings it back. The pull lets fade what liars have added to the sum.

A trimmed mean keeps no sum, and changes of m_i are skew: load jumps up with a task and falls slowly, so the jumps would
be trimmed and the falls would not. Therefore changes do not enter with `robust`. Its estimates are weighted means of
what honest nodes have measured, within their range, while no node hears more than `consensus_tolerance` liars; they
follow within about 1 / pull slots.

Byzantine nodes say what they report to the market (no load, and half of what they ask) and that no model is needed.
They correct and exchange their own estimates as all nodes do.

Source: Spanos, Olfati-Saber and Murray 2005, "Dynamic consensus for mobile networks", for the changes; Friedkin and
Johnsen 1990, "Social influence and opinions", for the pull alone.

Axes: B worlds, N nodes, D link slots, P peers, V estimated values, R rounds.
"""

from __future__ import annotations

import math

import numpy as np

from ..consensus.chance import LOSSES, start_at, uniform_at
from ..consensus.gossip import gossip_round
from ..consensus.hierarchy import Clusters, broadcast, fill_bridges, fill_costs, fill_leaders, gather, leader_round
from ..consensus.lists import fill_back, fill_heard
from ..consensus.robust import trimmed_round
from ..kit.kernels import inlined, kernel
from .links import find_links
from .state import (
    ASK,
    ASKED,
    BIAS,
    BYZANTINE,
    DISAGREEMENT,
    FIRST_MODEL,
    HIERARCHICAL,
    JUDGED,
    LEFT,
    LOAD,
    MESSAGES,
    NOBODY,
    ROBUST,
    SPEED,
    WANTED,
)


@kernel
def find_peers(most, state):
    """Fills in the peers of all nodes, those at most `most` links away, and how many links that is."""
    neighbor, peer, hops = state.neighbor, state.peer, state.hops
    works = neighbor != NOBODY
    distance, queue = np.empty(neighbor.shape[1], np.int32), np.empty(neighbor.shape[1], np.int32)
    for b in range(len(peer)):
        for i in range(peer.shape[1]):
            _walk(neighbor, works, most, b, i, distance, queue)
            found = 0
            for j in range(len(distance)):
                if distance[j] > 0:
                    peer[b, i, found], hops[b, i, found] = j, distance[j]
                    found += 1


@inlined
def _walk(neighbor, works, most, b, i, distance, queue):
    """Fills in the links on the shortest way from node i to each node (N,) over links that work; 0 for none."""
    distance[:] = 0
    queue[0], read, end = i, 0, 1
    while read < end:
        j = queue[read]
        read += 1
        if distance[j] == most:
            break
        for d in range(neighbor.shape[2]):
            k = neighbor[b, j, d]
            if k != NOBODY and works[b, j, d] and distance[k] == 0 and k != i:
                distance[k] = distance[j] + 1
                queue[end] = k
                end += 1


@kernel
def agree(params, state):
    """Lets nodes measure, correct and exchange their estimates, and judges these; `state.step` is the slot to come.

    Args:
        params: The `Params`.
        state: The `State`; `agreed`, `measured`, `silence` and `totals` are written.
    """
    works = np.empty(state.neighbor.shape, np.bool_)
    find_links(state, params.side, 0, works)
    _measure(params, state)
    spoke = np.zeros(state.silence.shape, np.bool_)
    if params.consensus == HIERARCHICAL:
        _agree_by_leaders(params, state, works, spoke)
    else:
        _agree_by_peers(params, state, works, spoke)
    silence = state.silence
    for b in range(len(silence)):
        for i in range(silence.shape[1]):
            silence[b, i] = 0 if spoke[b, i] else silence[b, i] + 1
    _judge(params, state)


@kernel
def _measure(params, state):
    """Lets all nodes that work measure themselves, and corrects their estimates; those that are down keep theirs."""
    step, up, agreed, measured = state.step, state.up, state.agreed, state.measured
    n_held, queue, node, tally, model = state.n_held, state.queue, state.node, state.tally, state.model
    for b in range(len(step)):
        t_up = min(step[b], up.shape[1] - 1)
        for i in range(agreed.shape[1]):
            if not up[b, t_up, i]:
                continue
            for v in range(agreed.shape[2]):
                if v == LOAD:
                    now = 0.0
                    for q in range(n_held[b, i]):
                        now += queue[b, i, q, LEFT]
                    now /= node[b, i, SPEED]
                elif v == ASKED:
                    now = tally[b, i, ASK]
                else:
                    now = model[b, i, v - FIRST_MODEL, WANTED]
                if step[b] == 0:
                    agreed[b, i, v] = now
                elif params.consensus != ROBUST:
                    agreed[b, i, v] += now - measured[b, i, v]
                agreed[b, i, v] += params.consensus_pull * (now - agreed[b, i, v])
                measured[b, i, v] = now


@kernel
def _say(state, value, said):
    """Fills in what nodes say of their values, both (B, N, V): the truth, or the lies of byzantine nodes."""
    node, tally = state.node, state.tally
    for b in range(len(value)):
        for i in range(value.shape[1]):
            lies = node[b, i, BYZANTINE] > 0.0
            for v in range(value.shape[2]):
                said[b, i, v] = 0.0 if lies else value[b, i, v]
            if lies:
                said[b, i, ASKED] = tally[b, i, ASK]


@kernel
def _agree_by_peers(params, state, works, spoke):
    """Exchanges estimates between nodes within reach by gossip or trimmed means, and marks who did in spoke (B, N)."""
    reach = state.hops
    if params.faulty:
        reach = np.zeros_like(state.hops)
        _find_reach(params.consensus_hops, state, works, reach)
    active = reach.copy()
    now, said, out = state.agreed.copy(), np.empty_like(state.agreed), np.empty_like(state.agreed)
    heard = np.zeros((*state.peer.shape, now.shape[2]))
    _count(reach, params.consensus_rounds, state.totals)
    for r in range(params.consensus_rounds):
        if params.consensus_loss > 0.0:
            _lose(params, state, state.peer, r + 1, reach, active)
        _say(state, now, said)
        fill_heard(state.peer, said, heard)
        if params.consensus == ROBUST:
            trimmed_round(active, heard, now, params.consensus_tolerance, out)
        else:
            gossip_round(state.peer, active, heard, now, now, out)
        now, out = out, now
        for b in range(len(spoke)):
            for i in range(spoke.shape[1]):
                spoke[b, i] |= active[b, i].any()
    state.agreed[:] = now


@kernel
def _find_reach(most, state, works, reach):
    """Fills in over how many working links a message comes from each peer (B, N, P), 0 where it does not."""
    neighbor, peer = state.neighbor, state.peer
    distance, queue = np.empty(neighbor.shape[1], np.int32), np.empty(neighbor.shape[1], np.int32)
    for b in range(len(peer)):
        for i in range(peer.shape[1]):
            _walk(neighbor, works, most, b, i, distance, queue)
            for p in range(peer.shape[2]):
                if peer[b, i, p] == NOBODY:
                    break
                reach[b, i, p] = distance[peer[b, i, p]]


@kernel
def _count(reach, n_rounds, totals):
    """Counts messages, of which there is one for every link that an estimate goes over, lost or not."""
    for b in range(len(reach)):
        sent = 0
        for i in range(reach.shape[1]):
            for p in range(reach.shape[2]):
                sent += reach[b, i, p]
        totals[b, MESSAGES] += n_rounds * sent


@kernel
def _lose(params, state, other, r, possible, active):
    """Fills in which of the possible exchanges with the nodes in `other` (B, N, P) take place in round r of the slot.

    Both ends draw the same number.
    """
    step, key, n = state.step, state.key, other.shape[1]
    for b in range(len(step)):
        start = start_at(key[b], step[b] * (params.consensus_rounds + 1) + r, LOSSES)
        for i in range(n):
            for p in range(other.shape[2]):
                j = other[b, i, p]
                if j == NOBODY:
                    break
                lost = uniform_at(start, min(i, j) * n + max(i, j)) < params.consensus_loss
                active[b, i, p] = active.dtype.type(0) if lost else possible[b, i, p]


@kernel
def _agree_by_leaders(params, state, works, spoke):
    """Exchanges estimates by elected leaders, and marks who did in spoke (B, N)."""
    neighbor, up, step, key = state.neighbor, state.up, state.step, state.key
    n_worlds, n_nodes, _ = neighbor.shape
    back, alive = np.empty_like(neighbor), np.empty((n_worlds, n_nodes), np.bool_)
    for b in range(n_worlds):
        alive[b] = up[b, min(step[b], up.shape[1] - 1)]
    leader, bridge = np.empty((n_worlds, n_nodes), np.int32), np.empty_like(works)
    fill_back(neighbor, back)
    fill_leaders(neighbor, works, alive, leader)
    fill_bridges(neighbor, back, works, leader, bridge)
    joins, active = np.ones((n_worlds, n_nodes), np.bool_), bridge.copy()
    for b in range(n_worlds):
        start = start_at(key[b], step[b] * (params.consensus_rounds + 1), LOSSES)
        for i in range(n_nodes):
            c = leader[b, i]
            if params.consensus_loss > 0.0 and c != NOBODY:
                joins[b, i] = uniform_at(start, min(i, c) * n_nodes + max(i, c)) >= params.consensus_loss
            if joins[b, i] and c != NOBODY and c != i:
                spoke[b, i] = spoke[b, c] = True
    mean, size, said = np.empty_like(state.agreed), np.empty((n_worlds, n_nodes)), np.empty_like(state.agreed)
    out = np.empty_like(mean)
    _say(state, state.agreed, said)
    gather(leader, joins, said, state.agreed, mean, size)
    for r in range(params.consensus_rounds):
        if params.consensus_loss > 0.0:
            _lose(params, state, neighbor, r + 1, bridge, active)
        _say(state, mean, said)
        leader_round(neighbor, leader, active, size, said, mean, out)
        mean, out = out, mean
        _mark_leaders(leader, active, spoke)
    _say(state, mean, said)
    broadcast(leader, joins, said, mean, state.agreed)
    hops, messages = np.empty(n_worlds, np.int32), np.empty(n_worlds, np.int32)
    fill_costs(neighbor, Clusters(leader, bridge), alive, params.consensus_rounds, hops, messages)
    for b in range(n_worlds):
        state.totals[b, MESSAGES] += messages[b]


@kernel
def _mark_leaders(leader, active, spoke):
    """Marks in spoke (B, N) the leaders that exchange over the active bridges (B, N, D)."""
    for b in range(len(spoke)):
        for i in range(spoke.shape[1]):
            if active[b, i].any():
                spoke[b, leader[b, i]] = True


@inlined
def _scale(params, v, n_models):
    """Returns the unit in which deviations of value v are judged.

    It is the mean deadline [s], the price scale, or an equal share of the mean arrivals at a node [1/slot].
    """
    if v == LOAD:
        return params.deadline
    if v == ASKED:
        return params.price_scale
    return max(params.arrivals, 1e-9) / n_models


@kernel
def _judge(params, state):
    """Adds disagreement and bias of the honest nodes that work to `totals`, root mean squares over the values."""
    step, up, node, agreed, measured, totals = (
        state.step,
        state.up,
        state.node,
        state.agreed,
        state.measured,
        state.totals,
    )
    n_models = state.model.shape[2]
    for b in range(len(step)):
        t_up = min(step[b], up.shape[1] - 1)
        apart, off, count = 0.0, 0.0, 0
        for v in range(agreed.shape[2]):
            total, squares, truth, count = 0.0, 0.0, 0.0, 0
            for i in range(agreed.shape[1]):
                if up[b, t_up, i] and node[b, i, BYZANTINE] == 0.0:
                    total += agreed[b, i, v]
                    truth += measured[b, i, v]
                    count += 1
            mean = total / max(count, 1)
            for i in range(agreed.shape[1]):
                if up[b, t_up, i] and node[b, i, BYZANTINE] == 0.0:
                    squares += (agreed[b, i, v] - mean) ** 2
            scale = _scale(params, v, n_models)
            apart += squares / max(count, 1) / scale**2
            off += (mean - truth / max(count, 1)) ** 2 / scale**2
        if count > 0:
            totals[b, DISAGREEMENT] += math.sqrt(apart / agreed.shape[2])
            totals[b, BIAS] += math.sqrt(off / agreed.shape[2])
            totals[b, JUDGED] += 1.0
