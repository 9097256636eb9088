"""numpy arrays as tensors, and images as bytes."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def tensor_of(array: NDArray[Any], device: torch.device | str = "cpu") -> Tensor:
    """Returns a numpy array as a tensor that shares its memory on the CPU; only a read-only one is copied."""
    return torch.from_numpy(array if array.flags.writeable else array.copy()).to(device)


def as_bytes(images: NDArray[Any]) -> NDArray[Any]:
    """Returns numbers from 0 to 1 as the bytes that they were made from, a quarter of the memory.

    Raises:
        ValueError: A number is no multiple of 1/255.
    """
    scaled = images * np.float32(255)
    whole = np.rint(scaled)
    if not (np.abs(scaled - whole) < 1e-3).all() or whole.min(initial=0) < 0 or whole.max(initial=0) > 255:
        raise ValueError("an observation declared as an image of bytes holds other numbers than multiples of 1/255")
    return whole.astype(np.uint8)


def as_numbers(images: Tensor) -> Tensor:
    """Undoes `as_bytes`, to the bit where the images were made by dividing bytes by 255."""
    return images.float().div_(255.0)
