"""Random numbers from a counter: each is a hash of the key, round, purpose and link that it belongs to.

So a kernel needs no generator, a world's fate depends on its own key alone, and nothing but the key and the number of
the round has to be kept. The construction is that of `algos/comm/chance.py`, which draws the same numbers in torch.

Axes: B worlds, N nodes, D link slots of a node, L links.
"""

from __future__ import annotations

import numpy as np

from ..kit.kernels import inlined, kernel

CALLS, LOSSES, LIES = 1, 2, 3
"""Streams of the numbers that rules and their callers draw; others are free."""

_GOLDEN, _FIRST, _SECOND = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


@inlined
def mixed(bits):
    """Mixes the bits of a uint64; products wrap around."""
    bits = (bits ^ (bits >> np.uint64(30))) * _FIRST
    bits = (bits ^ (bits >> np.uint64(27))) * _SECOND
    return bits ^ (bits >> np.uint64(31))


@inlined
def start_at(key, counter, stream):
    """Returns where the numbers of a key, a counter and a stream begin, as uint64."""
    return mixed(mixed(np.uint64(key) + np.uint64(stream) * _GOLDEN) + np.uint64(counter))


@inlined
def uniform_at(start, link):
    """Returns the uniform number of a link in [0, 1).

    Source: Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators" (SplitMix64); the state is
    `start`, and the link is how far it has been advanced.
    """
    return np.float64(mixed(start + np.uint64(link) * _GOLDEN) >> np.uint64(11)) * 2.0**-53


@kernel
def fill_uniform(key, counter, stream, both_ways, neighbor, out):
    """Fills `out` as `link_uniform` says."""
    n_worlds, n_nodes, n_slots = neighbor.shape
    for b in range(n_worlds):
        start = start_at(key[b], counter[b], stream)
        for i in range(n_nodes):
            for d in range(n_slots):
                j = neighbor[b, i, d]
                if j < 0:
                    out[b, i, d] = 1.0
                    continue
                first, second = (min(i, j), max(i, j)) if both_ways else (i, j)
                out[b, i, d] = uniform_at(start, first * n_nodes + second)


def link_uniform(
    key: np.ndarray, counter: int | np.ndarray, stream: int, neighbor: np.ndarray, *, both_ways: bool
) -> np.ndarray:
    """Returns a uniform number in [0, 1) for each link, (B, N, D); 1 where a slot is empty.

    Args:
        key: (B,) uint64, key of each world.
        counter: Number of the round, or one for each world, (B,).
        stream: Number of the purpose, so that different purposes are independent.
        neighbor: (B, N, D), see `lists_of`.
        both_ways: Whether both ends of a link draw the same number; else each direction has one of its own.
    """
    out = np.empty(neighbor.shape)
    counters = np.broadcast_to(np.asarray(counter, np.uint64), key.shape)
    fill_uniform(key, counters, stream, both_ways, neighbor, out)
    return out


@kernel
def _fill_numbers(key, counter, stream, link, out):
    start = start_at(key, counter, stream)
    for at in range(len(link)):
        out[at] = uniform_at(start, link[at])


def uniform(key: int, counter: int, stream: int, link: np.ndarray) -> np.ndarray:
    """Returns the uniform numbers of links in [0, 1), in the shape of `link`.

    Args:
        key: Key of the world, taken modulo 2^64.
        counter: Number of the round.
        stream: Number of the purpose.
        link: (...) numbers of links; those that `link_uniform` draws have i N + j for what i hears of j.
    """
    links = np.asarray(link, np.uint64)
    out = np.empty(links.size)
    _fill_numbers(np.uint64(key % 2**64), np.uint64(counter), np.uint64(stream), links.ravel(), out)
    return out.reshape(links.shape)
