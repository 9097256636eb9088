"""How experience keeps who heard whom: a byte a link, or a bit where nothing is remembered and agents are many.

Where messages of earlier steps are heard, a link has an age, a byte. Otherwise it is heard or not, and of many agents
bits take much less memory: 64 steps of 64 worlds of 256 agents take 34 MB instead of 268 MB, beside 336 MB of
observations of 80 numbers. Of few agents observations take nearly all, and bits would only cost time.

Axes: N agents, W = ceil(N / 8) bytes; `...` any leading axes.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..core import NOTHING, Array

AGES, BITS = "heard", "heard_bits"
"""Names of the fields."""
FEWEST_FOR_BITS = 64
"""Agents from which on links are kept as bits."""


def field_of(n_agents: int, *, remembers: bool) -> str:
    """Returns the name of the field in which it is kept who heard whom, see `fields.optional_fields`.

    Args:
        n_agents: N.
        remembers: Whether messages of earlier steps are heard.
    """
    return BITS if n_agents >= FEWEST_FOR_BITS and not remembers else AGES


def packed(age: Tensor) -> Array:
    """Returns bits, (..., N, W) uint8, of ages (..., N, N) uint8 on the CPU that are 0 or `NOTHING`."""
    return np.packbits(age.numpy() == 0, axis=-1, bitorder="little")


def unpacked(bits: Tensor) -> Tensor:
    """Returns ages (..., N, N) uint8, 0 or `NOTHING`, of bits (..., N, W)."""
    places = torch.arange(8, dtype=torch.uint8, device=bits.device)
    one_each = (bits.unsqueeze(-1) >> places) & 1  # (..., N, W, 8)
    return (1 - one_each.flatten(-2)[..., : bits.shape[-2]]) * NOTHING


def ages_of(fields: dict[str, Tensor]) -> Tensor:
    """Returns the ages (..., N, N) of fields that keep them either way."""
    return fields[AGES] if AGES in fields else unpacked(fields[BITS])
