"""Estimates relayed over a few links: who hears whom, and rounds of agreement with all that are within reach.

A message is signed, so nodes that relay it cannot change it, and it costs one message for each link that it goes over.

Axes: B worlds, N nodes, D link slots of a node, P peers of a node (nodes within reach), V values of a node.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..kit.kernels import inlined, kernel
from .chance import LOSSES, start_at, uniform_at
from .gossip import gossip_round
from .lists import NOBODY, fill_heard
from .robust import trimmed_round


class Talk(NamedTuple):
    """How nodes exchange values with their peers."""

    rounds: int
    loss: float
    """Probability that an exchange is lost."""
    trims: bool
    """Trimmed means instead of gossip."""
    tolerance: int
    """f, liars among those heard that trimmed means stand."""


class Reach(NamedTuple):
    """Whom nodes hear, and what becomes of it."""

    peer: np.ndarray
    """(B, N, P) int32, nodes within reach in order, then `NOBODY`."""
    hops: np.ndarray
    """(B, N, P) int8, links on the way to each of them at present; 0: there is none."""
    lie: np.ndarray
    """(B, N, V), what liars say whatever they hold; NaN for honest nodes."""
    key: np.ndarray
    """(B,) uint64, key of each world's random numbers."""
    counter: np.ndarray
    """(B,), number of the first round; each round has the next one."""


@inlined
def walk(neighbor, works, most, b, i, distance, queue):
    """Fills in the links on the shortest way from node i to each node (N,), over at most `most` that work; 0 for none.

    Args:
        neighbor: (B, N, D), see `lists_of`; empty slots may be anywhere.
        works: (B, N, D) bool.
        most: Largest number of links.
        b: The world.
        i: The node.
        distance: (N,) int32, written.
        queue: (N,) int32 to work in.
    """
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
def fill_peers(neighbor, most, peer, hops):
    """Fills in the nodes at most `most` links away, `peer` and `hops` as in `Reach`, where all links work.

    P must be large enough for all; entries that are not needed are left as they are.
    """
    works = neighbor != NOBODY
    distance, queue = np.empty(neighbor.shape[1], np.int32), np.empty(neighbor.shape[1], np.int32)
    for b in range(len(peer)):
        for i in range(peer.shape[1]):
            walk(neighbor, works, most, b, i, distance, queue)
            found = 0
            for j in range(len(distance)):
                if distance[j] > 0:
                    peer[b, i, found], hops[b, i, found] = j, distance[j]
                    found += 1


@kernel
def fill_reach(neighbor, works, most, peer, hops):
    """Fills in over how many working links a message comes from each peer at present, `hops` as in `Reach`."""
    distance, queue = np.empty(neighbor.shape[1], np.int32), np.empty(neighbor.shape[1], np.int32)
    for b in range(len(peer)):
        for i in range(peer.shape[1]):
            walk(neighbor, works, most, b, i, distance, queue)
            for p in range(peer.shape[2]):
                hops[b, i, p] = 0 if peer[b, i, p] == NOBODY else distance[peer[b, i, p]]


@kernel
def agree_with_peers(talk, reach, value, spoke, messages):
    """Makes rounds of agreement in place.

    Args:
        talk: The `Talk`.
        reach: The `Reach`.
        value: (B, N, V), written.
        spoke: (B, N) False, written: whether any exchange of the node took place.
        messages: (B,), added to: messages that were sent, lost or not.
    """
    peer, hops, key, counter = reach.peer, reach.hops, reach.key, reach.counter
    active, now, out, said = hops.copy(), value.copy(), np.empty_like(value), np.empty_like(value)
    heard = np.zeros((*peer.shape, value.shape[2]))
    for r in range(talk.rounds):
        if talk.loss > 0.0:
            lose(talk.loss, key, counter + r, peer, hops, active)
        tell(reach.lie, now, said)
        fill_heard(peer, said, heard)
        if talk.trims:
            trimmed_round(active, heard, now, talk.tolerance, out)
        else:
            gossip_round(peer, active, heard, now, now, out)
        now, out = out, now
        _count(hops, active, spoke, messages)
    value[:] = now


@kernel
def tell(lie, value, said):
    """Fills in what nodes say, (B, N, V): their values, or their lies."""
    for b in range(len(value)):
        for i in range(value.shape[1]):
            for v in range(value.shape[2]):
                said[b, i, v] = value[b, i, v] if np.isnan(lie[b, i, v]) else lie[b, i, v]


@kernel
def lose(loss, key, counter, other, possible, active):
    """Fills in which of the possible exchanges take place, (B, N, P); both ends of an exchange draw the same number.

    Args:
        loss: Probability that an exchange is lost.
        key: (B,) uint64.
        counter: (B,), number of the round.
        other: (B, N, P), the node at the other end, or `NOBODY`.
        possible: (B, N, P); what is lost is 0 in `active`, the others are as here.
        active: (B, N, P), written.
    """
    n = other.shape[1]
    for b in range(len(other)):
        start = start_at(key[b], counter[b], LOSSES)
        for i in range(n):
            for p in range(other.shape[2]):
                j = other[b, i, p]
                if j == NOBODY:
                    continue
                lost = uniform_at(start, min(i, j) * n + max(i, j)) < loss
                active[b, i, p] = active.dtype.type(0) if lost else possible[b, i, p]


@kernel
def _count(hops, active, spoke, messages):
    """Marks nodes that exchange anything in spoke (B, N), and adds up messages (B,)."""
    for b in range(len(hops)):
        sent = 0
        for i in range(hops.shape[1]):
            for p in range(hops.shape[2]):
                sent += hops[b, i, p]
                spoke[b, i] |= active[b, i, p] > 0
        messages[b] += sent
