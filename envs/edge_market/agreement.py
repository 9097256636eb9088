"""Estimates of what no node can see: mean load, ask and demand over all nodes, agreed on by exchanges.

Estimates follow the means as `envs.consensus.tracking` says, for `robust` without changes. A node that is down keeps
its own. Byzantine nodes say what they report to the market (no load, and half of what they ask) and that no model is
needed. They correct and exchange their own estimates as all nodes do.

Axes: B worlds, N nodes, D link slots, P peers, V estimated values, R rounds.
"""

from __future__ import annotations

import math

import numpy as np

from ..consensus.chance import LOSSES, start_at, uniform_at
from ..consensus.hierarchy import Clusters, broadcast, fill_bridges, fill_costs, fill_leaders, gather, leader_round
from ..consensus.lists import fill_back
from ..consensus.relay import Reach, Talk, agree_with_peers, fill_reach, lose, tell
from ..consensus.tracking import correct, judge
from ..kit.kernels import kernel
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
    ROBUST,
    SPEED,
    WANTED,
)


@kernel
def agree(params, state):
    """Lets nodes measure, correct and exchange their estimates, and judges these; `state.step` is the slot to come.

    Args:
        params: The `Params`.
        state: The `State`; `agreed`, `measured`, `silence` and `totals` are written.
    """
    step, up, silence, totals, node = state.step, state.up, state.silence, state.totals, state.node
    n_worlds, n_nodes = silence.shape
    awake, honest = np.empty((n_worlds, n_nodes), np.bool_), np.empty((n_worlds, n_nodes), np.bool_)
    for b in range(n_worlds):
        t_up = min(step[b], up.shape[1] - 1)
        for i in range(n_nodes):
            awake[b, i] = up[b, t_up, i]
            honest[b, i] = awake[b, i] and node[b, i, BYZANTINE] == 0.0
    works, own, lie = np.empty(state.neighbor.shape, np.bool_), np.empty_like(state.agreed), np.empty_like(state.agreed)
    find_links(state, params.side, 0, works)
    _measure(state, own, lie)
    correct(params.consensus_pull, params.consensus != ROBUST, step == 0, awake, own, state.measured, state.agreed)
    spoke, sent = np.zeros((n_worlds, n_nodes), np.bool_), np.zeros(n_worlds, np.int64)
    if params.consensus == HIERARCHICAL:
        _agree_by_leaders(params, state, works, awake, lie, spoke, sent)
    else:
        _agree_by_peers(params, state, works, lie, spoke, sent)
    apart, off = np.zeros(n_worlds), np.zeros(n_worlds)
    judge(_scales(params, state.agreed.shape[2]), honest, state.measured, state.agreed, apart, off)
    for b in range(n_worlds):
        for i in range(n_nodes):
            silence[b, i] = 0 if spoke[b, i] else silence[b, i] + 1
        totals[b, MESSAGES] += sent[b]
        if honest[b].any():
            totals[b, DISAGREEMENT] += apart[b]
            totals[b, BIAS] += off[b]
            totals[b, JUDGED] += 1.0


@kernel
def _measure(state, own, lie):
    """Fills in what nodes measure of themselves, and the lies of byzantine nodes, NaN for others: (B, N, V) each."""
    n_held, queue, node, tally, model = state.n_held, state.queue, state.node, state.tally, state.model
    for b in range(len(own)):
        for i in range(own.shape[1]):
            load, lies = 0.0, node[b, i, BYZANTINE] > 0.0
            for q in range(n_held[b, i]):
                load += queue[b, i, q, LEFT]
            own[b, i, LOAD], own[b, i, ASKED] = load / node[b, i, SPEED], tally[b, i, ASK]
            for m in range(model.shape[2]):
                own[b, i, FIRST_MODEL + m] = model[b, i, m, WANTED]
            for v in range(own.shape[2]):
                lie[b, i, v] = 0.0 if lies else math.nan
            if lies:
                lie[b, i, ASKED] = tally[b, i, ASK]


@kernel
def _scales(params, n_values):
    """Returns the units in which deviations are judged, (V,).

    They are the mean deadline [s], the price scale, and an equal share of the mean arrivals at a node [1/slot].
    """
    scale = np.full(n_values, max(params.arrivals, 1e-9) / (n_values - FIRST_MODEL))
    scale[LOAD], scale[ASKED] = params.deadline, params.price_scale
    return scale


@kernel
def _agree_by_peers(params, state, works, lie, spoke, sent):
    """Exchanges estimates between nodes within reach by gossip or trimmed means; see `agree_with_peers`."""
    hops = state.hops
    if params.faulty:
        hops = np.empty_like(state.hops)
        fill_reach(state.neighbor, works, params.consensus_hops, state.peer, hops)
    rounds = params.consensus_rounds
    talk = Talk(rounds, params.consensus_loss, params.consensus == ROBUST, params.consensus_tolerance)
    agree_with_peers(talk, Reach(state.peer, hops, lie, state.key, rounds * state.step), state.agreed, spoke, sent)


@kernel
def _agree_by_leaders(params, state, works, awake, lie, spoke, sent):
    """Exchanges estimates by elected leaders; spoke (B, N) and sent (B,) as in `agree_with_peers`."""
    neighbor, agreed, rounds = state.neighbor, state.agreed, params.consensus_rounds
    n_worlds, n_nodes = awake.shape
    back, leader, bridge = np.empty_like(neighbor), np.empty((n_worlds, n_nodes), np.int32), np.empty_like(works)
    fill_back(neighbor, back)
    fill_leaders(neighbor, works, awake, leader)
    fill_bridges(neighbor, back, works, leader, bridge)
    joins, active, counter = np.ones((n_worlds, n_nodes), np.bool_), bridge.copy(), (rounds + 1) * state.step
    _join(params.consensus_loss, state.key, counter, leader, joins, spoke)
    mean, size, said = np.empty_like(agreed), np.empty((n_worlds, n_nodes)), np.empty_like(agreed)
    out = np.empty_like(agreed)
    tell(lie, agreed, said)
    gather(leader, joins, said, agreed, mean, size)
    for r in range(rounds):
        if params.consensus_loss > 0.0:
            lose(params.consensus_loss, state.key, counter + 1 + r, neighbor, bridge, active)
        tell(lie, mean, said)
        leader_round(neighbor, leader, active, size, said, mean, out)
        mean, out = out, mean
        _mark_leaders(leader, active, spoke)
    tell(lie, mean, said)
    broadcast(leader, joins, said, mean, agreed)
    hops, messages = np.empty(n_worlds, np.int32), np.empty(n_worlds, np.int32)
    fill_costs(neighbor, Clusters(leader, bridge), awake, rounds, hops, messages)
    sent += messages


@kernel
def _join(loss, key, counter, leader, joins, spoke):
    """Fills in whether the exchange of each node with its leader takes place, joins (B, N), and marks both in spoke."""
    n = leader.shape[1]
    for b in range(len(leader)):
        start = start_at(key[b], counter[b], LOSSES)
        for i in range(n):
            c = leader[b, i]
            if c < 0 or c == i:
                continue
            joins[b, i] = uniform_at(start, min(i, c) * n + max(i, c)) >= loss
            if joins[b, i]:
                spoke[b, i] = spoke[b, c] = True


@kernel
def _mark_leaders(leader, active, spoke):
    """Marks in spoke (B, N) the leaders that exchange over the active bridges (B, N, D)."""
    for b in range(len(spoke)):
        for i in range(spoke.shape[1]):
            if active[b, i].any():
                spoke[b, leader[b, i]] = True
