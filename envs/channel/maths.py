"""The maths of the medium: functions of arrays, without state and without chance of their own.

Axes: any leading ones; N agents; E entries of a message; K = 1 + the longest delay [steps]. Links are [i, j]: agent i
hears agent j.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..core import Array


def quantised(message: Array, bits: int) -> Array:
    """Returns each entry as the nearest of 2^bits levels -1, -1 + 2 / (2^bits - 1), ..., 1; halfway: the upper one.

    Args:
        message: Numbers from -1 to 1.
        bits: Bits of an entry; 0 returns the message unchanged.

    Returns:
        An array of the same shape, float32.
    """
    if bits == 0:
        return np.asarray(message, np.float32)
    steps = 2**bits - 1
    level = np.floor((np.asarray(message, np.float64) + 1.0) * (steps / 2) + 0.5)
    return (np.clip(level, 0, steps) * (2 / steps) - 1.0).astype(np.float32)


def chances(loss: float, burst: float) -> tuple[float, float]:
    """Returns the chances to be in the bad state after a good and after a bad one (Gilbert 1960, Elliott 1963).

    Args:
        loss: Share of bad steps in the long run.
        burst: Mean number of successive bad steps; 0: successive steps are independent.
    """
    if burst == 0 or loss == 1.0:
        return loss, loss
    return loss / ((1.0 - loss) * burst), 1.0 - 1.0 / burst


def next_bad(bad: Array, uniform: Array, loss: float, burst: float) -> Array:
    """Returns which links are bad in the next step, and lose what is sent in it.

    Args:
        bad: Bool, which are bad in this step.
        uniform: Numbers in [0, 1), of the same shape.
        loss: Share of bad steps in the long run, which is also the chance to begin with a bad one: `uniform < loss`.
        burst: Mean number of successive bad steps; 0: independent.
    """
    after_good, after_bad = chances(loss, burst)
    return uniform < np.where(bad, after_bad, after_good)


def delays(uniform: Array, least: int, most: int) -> Array:
    """Returns whole numbers of steps from `least` to `most`, all equally likely, from numbers in [0, 1)."""
    return np.minimum(least + (uniform * (most - least + 1)).astype(np.int64), most)


class Heard(NamedTuple):
    """The messages that agents hear of each other."""

    message: Array  # (..., N, N, E) float32, the newest message of j that i has heard; zeros where there is none
    age: Array  # (..., N, N) int64 its age [steps]; that of nothing is the greatest
    stays: Array  # (..., N, N) int64 steps for which it stays heard after this one


def heard_after(heard: Heard, sent: Array, arrives: Array, memory: int, nothing: int) -> Heard:
    """Lets one step pass: what was heard grows older, newer messages replace it, and old ones are forgotten.

    Args:
        heard: After the step before.
        sent: (K, ..., N, E) messages of j of this step, of the step before, ...
        arrives: (K, ..., N, N) bool: that message arrives in this step.
        memory: Steps for which a message stays heard after it arrived.
        nothing: The age that says that nothing is heard, above all others [steps].

    Returns:
        What is heard then. A message of this step has age 0.
    """
    message, age = heard.message, np.where(heard.stays > 0, heard.age + 1, nothing)
    stays = np.maximum(heard.stays - 1, 0)
    for k in range(len(sent)):
        newer = arrives[k] & (k < age)
        age, stays = np.where(newer, k, age), np.where(newer, memory, stays)
        message = np.where(newer[..., None], sent[k][..., None, :, :], message)
    return Heard(np.where((age == nothing)[..., None], message.dtype.type(0), message), age, stays)


def faded(heard: Array, age: Array, decay: float) -> Array:
    """Returns what is heard times decay^age: (..., N, N, E), from `age` (..., N, N)."""
    if decay == 1.0:
        return heard
    return heard * np.power(decay, age.astype(np.float64)).astype(heard.dtype)[..., None]
