"""Random numbers from a counter: the same for the same link, step and world, in any order and on any machine.

A generator that is drawn from in turn would tie an agent's chance to how many others are simulated beside it. Here
every number is a hash of where it belongs, so that an agent that runs alone loses the same messages as in a batch of
worlds, and no state but the counter is to be saved.
"""

from __future__ import annotations

import torch
from torch import Tensor

WORLD_BITS = 40
"""A counter holds the world above these bits, and the step below."""


def first_counter(n_worlds: int, device: torch.device, seed: int | None = None) -> Tensor:
    """Returns the counters with which worlds begin, (B,) int64; each step adds 1.

    Args:
        n_worlds: B.
        device: Where they are.
        seed: Counters of another seed begin elsewhere among all 2^64, and so do those of training, which has None.
    """
    first = torch.arange(n_worlds, dtype=torch.int64, device=device) << WORLD_BITS
    if seed is None:
        return first
    return first + _mixed(_mixed(torch.tensor(_signed(seed * _GOLDEN % 2**64), device=device)) + _GOLDEN)


def uniform(seed: Tensor, counter: Tensor, stream: int, link: Tensor) -> Tensor:
    """Returns uniform numbers in [0, 1), float64: (..., L) for counters (...) and links (L,).

    Source: Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators" (SplitMix64); the state is the
    hash of seed, counter and stream, and the link is how far it has been advanced.

    Args:
        seed: () int64.
        counter: (...) int64, see `first_counter`.
        stream: Number of the purpose, so that different purposes are independent.
        link: (L,) int64, number of the link.
    """
    start = _mixed(_mixed(seed + _signed(stream * _GOLDEN % 2**64)) + counter)  # (...)
    bits = _mixed(start.unsqueeze(-1) + link * _GOLDEN)  # (..., L)
    return _shifted(bits, 11).double() * 2.0**-53


def _signed(number: int) -> int:
    """Returns the int64 with the same bits."""
    return number - 2**64 if number >= 2**63 else number


_GOLDEN = _signed(0x9E3779B97F4A7C15)
_FIRST, _SECOND = _signed(0xBF58476D1CE4E5B9), _signed(0x94D049BB133111EB)


def _shifted(bits: Tensor, by: int) -> Tensor:
    """Shifts to the right, filling with zeros; torch fills with the sign."""
    return (bits >> by) & ((1 << (64 - by)) - 1)


def _mixed(bits: Tensor) -> Tensor:
    """Mixes the bits of int64 numbers; products wrap around."""
    bits = (bits ^ _shifted(bits, 30)) * _FIRST
    bits = (bits ^ _shifted(bits, 27)) * _SECOND
    return bits ^ _shifted(bits, 31)
