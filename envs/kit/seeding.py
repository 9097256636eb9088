"""Random numbers from many seeds in one kernel, bit by bit those of numpy.

numpy takes about 10 us a world to make a `SeedSequence` and a `default_rng`: four fifths of the time of stepping small
worlds with episodes of 25 steps. numpy's compatibility policy keeps both algorithms as they are, and tests compare.

Axes: R rows, one a seed; W words of 32 bits, held in 64 so that products fit before they are truncated.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..core import Array
from .kernels import kernel

POOL = 4
"""Number of words in which a `SeedSequence` keeps its entropy."""
LOW = np.uint64(0xFFFFFFFF)
"""Mask of the lower 32 bits."""
MULTIPLIER = (np.uint64(0x2360ED051FC65DA4), np.uint64(0x4385DF649FCCF645))
"""Multiplier of PCG64, upper and lower half (O'Neill 2014, HMC-CS-2014-0905; numpy's pcg64.h)."""


def seed_words(entropy: Array) -> Array:
    """Returns `SeedSequence(row).generate_state(1, np.uint64)` of each row of words: (R, W) -> (R,) uint64."""
    return _sequences(entropy.astype(np.uint64), 1)[:, 0]


def uniform(seeds: Sequence[int], n: int) -> Array:
    """Returns `np.random.default_rng(seed).random(n)` of each seed: (R, n), each in [0, 1)."""
    try:
        whole = np.array(seeds, np.uint64)
    except OverflowError:  # a seed of more than 64 bits, or a negative one, which numpy refuses
        return np.array([np.random.default_rng(seed).random(n) for seed in seeds])
    return _doubles(_sequences(np.stack([whole & LOW, whole >> np.uint64(32)], axis=1), 4), n)


@kernel
def _sequences(entropy, n):
    """Returns n words of 64 bits from each row of entropy (R, W), as numpy's `mix_entropy` and `generate_state` do."""
    out = np.empty((len(entropy), n), np.uint64)
    pool = np.empty(POOL, np.uint64)
    for r in range(len(entropy)):
        constant = np.uint64(0x43B0D7E5)
        for i in range(POOL):
            word = entropy[r, i] if i < entropy.shape[1] else np.uint64(0)
            pool[i], constant = _hashed(word, constant, np.uint64(0x931E8875))
        for source in range(max(POOL, entropy.shape[1])):
            for i in range(POOL):
                if i != source:
                    word = pool[source] if source < POOL else entropy[r, source]
                    word, constant = _hashed(word, constant, np.uint64(0x931E8875))
                    mixed = (np.uint64(0xCA01F9DD) * pool[i] - np.uint64(0x4973F715) * word) & LOW
                    pool[i] = mixed ^ mixed >> np.uint64(16)
        constant = np.uint64(0x8B51F9DD)
        for k in range(n):
            lower, constant = _hashed(pool[2 * k % POOL], constant, np.uint64(0x58F38DED))
            upper, constant = _hashed(pool[(2 * k + 1) % POOL], constant, np.uint64(0x58F38DED))
            out[r, k] = lower | upper << np.uint64(32)
    return out


@kernel
def _hashed(word, constant, factor):
    """Returns a hashed word, and the constant for the next one."""
    following = constant * factor & LOW
    word = (word ^ constant) * following & LOW
    return word ^ word >> np.uint64(16), following


@kernel
def _doubles(words, n):
    """Returns n doubles of PCG64 (XSL-RR 128/64) from each row of words (R, 4): initial state and stream."""
    out = np.empty((len(words), n))
    for r in range(len(words)):
        inc_hi = words[r, 2] << np.uint64(1) | words[r, 3] >> np.uint64(63)
        inc_lo = words[r, 3] << np.uint64(1) | np.uint64(1)
        lo = inc_lo + words[r, 1]
        hi = inc_hi + words[r, 0] + np.uint64(lo < inc_lo)
        hi, lo = _advanced(hi, lo, inc_hi, inc_lo)
        for k in range(n):
            hi, lo = _advanced(hi, lo, inc_hi, inc_lo)
            turn, folded = hi >> np.uint64(58), hi ^ lo
            folded = folded >> turn | folded << (np.uint64(64) - turn & np.uint64(63))
            out[r, k] = (folded >> np.uint64(11)) * (1.0 / 9007199254740992.0)
    return out


@kernel
def _advanced(hi, lo, inc_hi, inc_lo):
    """Returns the next state, state * MULTIPLIER + inc in 128 bits: upper and lower half."""
    factor_hi, factor_lo = MULTIPLIER
    a, b, c, d = lo & LOW, lo >> np.uint64(32), factor_lo & LOW, factor_lo >> np.uint64(32)
    middle = (a * c >> np.uint64(32)) + (b * c & LOW) + (a * d & LOW)
    upper = b * d + (b * c >> np.uint64(32)) + (a * d >> np.uint64(32)) + (middle >> np.uint64(32))
    new_lo = lo * factor_lo + inc_lo
    return upper + hi * factor_lo + lo * factor_hi + inc_hi + np.uint64(new_lo < inc_lo), new_lo
