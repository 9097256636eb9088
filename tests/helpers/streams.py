"""Shapes to check algorithms with, beside the random play that `algos.training.random_play` offers."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from algos.training.conformance import SPECS as NAMED
from algos.training.random_play import Stream, drive, same

__all__ = ["SPECS", "Stream", "assert_same", "drive", "same"]

SPECS = list(NAMED.values())
"""The shapes that every algorithm must take."""


def assert_same(a: Any, b: Any, where: str = "") -> None:
    """Asserts that nested data are equal to the last bit, and names the first entry that is not."""
    assert type(a) is type(b), where
    if isinstance(a, dict):
        assert list(a) == list(b), where
        for key in a:
            assert_same(a[key], b[key], f"{where}.{key}")
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b), where
        for index, (x, y) in enumerate(zip(a, b, strict=True)):
            assert_same(x, y, f"{where}[{index}]")
    elif isinstance(a, torch.Tensor):
        assert a.dtype == b.dtype, where
        assert a.numpy().tobytes() == b.numpy().tobytes(), where
    elif isinstance(a, np.ndarray):
        assert a.dtype == b.dtype, where
        assert a.tobytes() == b.tobytes(), where
    else:
        assert a == b, where
