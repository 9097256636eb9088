"""Deep copies of nested states, which later training does not change."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def copied(state: Any) -> Any:
    """Returns a copy of nested dicts, lists and tuples in which no tensor shares memory with the original."""
    if isinstance(state, Tensor):
        return state.detach().clone()
    if isinstance(state, dict):
        return {name: copied(value) for name, value in state.items()}
    if isinstance(state, list | tuple):
        return type(state)(copied(value) for value in state)
    return state


def on_device(state: Any, device: torch.device) -> Any:
    """Returns nested dicts, lists and tuples with every tensor on a device."""
    if isinstance(state, Tensor):
        return state.to(device)
    if isinstance(state, dict):
        return {name: on_device(value, device) for name, value in state.items()}
    if isinstance(state, list | tuple):
        return type(state)(on_device(value, device) for value in state)
    return state
