"""Neighbour lists: the sparse form of an adjacency matrix, with which kernels take time in proportion to the links.

Axes: B worlds, N nodes, D link slots of a node.
"""

from __future__ import annotations

import numpy as np

from ..kit.kernels import kernel

NOBODY = -1
"""Marks an empty slot; empty slots are the last ones of a node."""


def lists_of(adjacency: np.ndarray, n_slots: int | None = None) -> np.ndarray:
    """Returns each node's neighbours in increasing order, (B, N, D) int32, with `NOBODY` in empty slots.

    Args:
        adjacency: (B, N, N) bool, symmetric: i and j are neighbours. The diagonal is not read.
        n_slots: D; by default the largest number of neighbours, at least 1.

    Raises:
        ValueError: if `adjacency` is not symmetric, or a node has more than D neighbours.
    """
    linked = np.array(adjacency, np.bool_)  # (B, N, N)
    if linked.ndim != 3 or linked.shape[1] != linked.shape[2]:
        raise ValueError(f"adjacency: it has the shape {linked.shape}, which must be (B, N, N)")
    if (linked != linked.transpose(0, 2, 1)).any():
        raise ValueError("adjacency: it is not symmetric; say which way links work in the mask of a round instead")
    linked[:, np.arange(linked.shape[1]), np.arange(linked.shape[1])] = False
    most = max(int(linked.sum(axis=2).max(initial=0)), 1)
    slots = most if n_slots is None else n_slots
    if most > slots:
        raise ValueError(f"n_slots: {slots} are fewer than the {most} neighbours of a node; give at least {most}")
    neighbor = np.full((*linked.shape[:2], slots), NOBODY, np.int32)
    world, node, other = np.nonzero(linked)
    before = np.cumsum(linked, axis=2)[world, node, other] - 1  # neighbours of a lower index
    neighbor[world, node, before] = other
    return neighbor


@kernel
def fill_back(neighbor, back):
    """Fills `back` as `back_of` says."""
    for b in range(neighbor.shape[0]):
        for i in range(neighbor.shape[1]):
            for d in range(neighbor.shape[2]):
                back[b, i, d] = slot_of(neighbor, b, neighbor[b, i, d], i)


@kernel
def slot_of(neighbor, b, i, j):
    """Returns the slot under which node i knows node j; `NOBODY` where i is nobody or does not know j."""
    if i < 0:
        return NOBODY
    for d in range(neighbor.shape[2]):
        if neighbor[b, i, d] == j:
            return d
    return NOBODY


def back_of(neighbor: np.ndarray) -> np.ndarray:
    """Returns under which slot each neighbour knows the node, (B, N, D) int32; `NOBODY` in empty slots.

    Args:
        neighbor: (B, N, D), see `lists_of`.
    """
    back = np.empty(neighbor.shape, np.int32)
    fill_back(neighbor, back)
    return back


@kernel
def fill_heard(neighbor, said, heard):
    """Fills `heard` as `heard_of` says; empty slots are left as they are."""
    for b in range(neighbor.shape[0]):
        for i in range(neighbor.shape[1]):
            for d in range(neighbor.shape[2]):
                j = neighbor[b, i, d]
                if j < 0:
                    break
                for v in range(said.shape[2]):
                    heard[b, i, d, v] = said[b, j, v]


def heard_of(neighbor: np.ndarray, said: np.ndarray) -> np.ndarray:
    """Returns what each node hears where every neighbour is heard, (B, N, D, V); zeros in empty slots.

    Args:
        neighbor: (B, N, D), see `lists_of`.
        said: (B, N, V), what each node says to all.
    """
    heard = np.zeros((*neighbor.shape, said.shape[2]), said.dtype)
    fill_heard(neighbor, said, heard)
    return heard


def dense_of(neighbor: np.ndarray, by_slot: np.ndarray) -> np.ndarray:
    """Returns what stands at each slot as a matrix, (B, N, N, ...), with zeros where nodes are no neighbours.

    Args:
        neighbor: (B, N, D), see `lists_of`.
        by_slot: (B, N, D, ...).
    """
    n_worlds, n_nodes, _ = neighbor.shape
    dense = np.zeros((n_worlds, n_nodes, n_nodes, *by_slot.shape[3:]), by_slot.dtype)
    world, node, slot = np.nonzero(neighbor >= 0)
    dense[world, node, neighbor[world, node, slot]] = by_slot[world, node, slot]
    return dense


def slots_of(neighbor: np.ndarray, dense: np.ndarray) -> np.ndarray:
    """Returns what a matrix holds for each slot, (B, N, D, ...), with zeros in empty slots: `dense_of` the other way.

    Args:
        neighbor: (B, N, D), see `lists_of`.
        dense: (B, N, N, ...); [i, j] belongs to what i hears of j.
    """
    by_slot = np.zeros((*neighbor.shape, *dense.shape[3:]), dense.dtype)
    world, node, slot = np.nonzero(neighbor >= 0)
    by_slot[world, node, slot] = dense[world, node, neighbor[world, node, slot]]
    return by_slot
