"""Maximum-weight matching of buyers and sellers, and its worth without one of them.

A pair p joins `buyer[p]` and `seller[p]` and is worth `worth[p]` > 0. No trader is both. Kernels over plain arrays, by
augmenting paths of largest gain (Bellman and Ford): the k-th path makes a matching of k pairs that no other of k pairs
exceeds, and the worth is concave in k, so the first path without a gain ends the search (Kuhn 1955; Ahuja, Magnanti and
Orlin 1993, ch. 12).

Axes: N traders, P pairs.
"""

from __future__ import annotations

import math

from ..kit.kernels import kernel
from .state import NOBODY

TINY = 1e-12
"""Gains up to this are rounding errors."""


@kernel
def match(buyer, seller, worth, n_pairs, of_buyer, of_seller, gain, by):
    """Finds the matching of most worth (maximum weight).

    Args:
        buyer: (P,) index of the buyer of each pair.
        seller: (P,) index of the seller of each pair.
        worth: (P,) of the pairs.
        n_pairs: Number of pairs; later entries have no meaning.
        of_buyer: (N,) int32, written: the pair of each buyer, or NOBODY.
        of_seller: (N,) int32, written: the pair of each seller, or NOBODY.
        gain: (N,) to work in.
        by: (N,) int32 to work in.
    """
    of_buyer[:] = NOBODY
    of_seller[:] = NOBODY
    while True:
        gain[:] = -math.inf  # of the best path to each seller; its last pair stands in `by`
        changed = True
        while changed:
            changed = False
            for p in range(n_pairs):
                b, s = buyer[p], seller[p]
                mine = of_buyer[b]
                if mine == p:
                    continue
                reached = worth[p]
                if mine != NOBODY:
                    reached += gain[seller[mine]] - worth[mine]
                if reached > gain[s] + TINY:
                    gain[s], by[s] = reached, p
                    changed = True
        best, end = TINY, NOBODY
        for s in range(len(gain)):
            if of_seller[s] == NOBODY and gain[s] > best:
                best, end = gain[s], s
        if end == NOBODY:
            return
        while end != NOBODY:
            p = by[end]
            before = of_buyer[buyer[p]]
            of_buyer[buyer[p]], of_seller[end] = p, p
            end = NOBODY if before == NOBODY else seller[before]


@kernel
def added_by(i, own, other, worth, n_pairs, matched, gain):
    """Returns what trader i adds to the matching's worth: the whole, less the best matching without i.

    Without i the best matching differs from this one along one path that starts at the partner that i leaves free.

    Args:
        i: A buyer or a seller that has a partner.
        own: (P,) the trader of each pair on the side of i.
        other: (P,) its trader on the other side.
        worth: (P,) of each pair.
        n_pairs: Number of pairs; later entries have no meaning.
        matched: (N,) the pair of each trader on the side of i, or NOBODY.
        gain: (N,) to work in: of freeing each trader on the other side.
    """
    gain[:] = -math.inf
    gain[other[matched[i]]] = 0.0
    best, changed = 0.0, True
    while changed:
        changed = False
        for p in range(n_pairs):
            a, b = own[p], other[p]
            its = matched[a]
            if a == i or its == p or gain[b] == -math.inf:
                continue
            reached = gain[b] + worth[p]
            if its == NOBODY:
                best = max(best, reached)
            elif reached - worth[its] > gain[other[its]] + TINY:
                gain[other[its]] = reached - worth[its]
                best = max(best, gain[other[its]])
                changed = True
    return worth[matched[i]] - best
