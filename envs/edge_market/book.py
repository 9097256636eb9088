"""The arrays of a clearing rule: those that it reads, those that it writes, and those that it works in.

Axes: B worlds, N nodes, P pairs.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..kit.kernels import kernel
from .state import Array


class Book(NamedTuple):
    """The bids, asks and possible pairs of a slot."""

    bid: Array  # (B, N) credits/Gcycle
    ask: Array  # (B, N) likewise
    work: Array  # (B, N) Gcycles of the task that a buyer offers
    buyer: Array  # (B, P) int32 of each pair
    seller: Array  # (B, P) int32
    finish: Array  # (B, P) when the task would be done by what is reported [s]
    n_pairs: Array  # (B,) int32 number of pairs; later entries have no meaning
    area: Array  # (B, N) int32 market area of each node
    n_areas: Array  # (B,) int32 number of market areas


class Outcome(NamedTuple):
    """The trades of a slot and their prices."""

    partner: Array  # (B, N) int32 the seller of each buyer, or NOBODY
    pays: Array  # (B, N) credits that each buyer pays for its task
    earns: Array  # (B, N) credits that its seller gets for it, by buyer
    price: Array  # (B, N) credits/Gcycle in each node's area; negative where there was none
    through: Array  # (B, N) bool: its bid or ask is good enough to trade; it still needs a partner


class Scratch(NamedTuple):
    """Arrays for clearing rules to work in, made once a slot."""

    buys: Array  # (N,) bool
    sells: Array  # (N,) bool
    bidders: Array  # (N,) int32
    askers: Array  # (N,) int32
    cost: Array  # (B, N) prices for buyers
    gain: Array  # (B, N) prices for sellers
    reached: Array  # (N,)
    of_buyer: Array  # (N,) int32
    of_seller: Array  # (N,) int32
    by: Array  # (N,) int32
    buyer: Array  # (P,) int32
    seller: Array  # (P,) int32
    worth: Array  # (P,)


@kernel
def new_outcome(b, n):
    """Returns an `Outcome` of B worlds of N nodes to write into."""
    numbers = np.zeros((3, b, n))
    return Outcome(np.zeros((b, n), np.int32), numbers[0], numbers[1], numbers[2], np.zeros((b, n), np.bool_))


@kernel
def new_scratch(b, n, pairs):
    """Returns a `Scratch` for B worlds of N nodes and at most `pairs` pairs."""
    flags, places, prices = np.zeros((2, n), np.bool_), np.zeros((5, n), np.int32), np.zeros((2, b, n))
    sides, numbers = np.zeros((2, pairs), np.int32), np.zeros(pairs)
    return Scratch(
        flags[0],
        flags[1],
        places[0],
        places[1],
        prices[0],
        prices[1],
        np.zeros(n),
        places[2],
        places[3],
        places[4],
        sides[0],
        sides[1],
        numbers,
    )
