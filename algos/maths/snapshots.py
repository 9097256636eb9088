"""Copies of nested states, as `state_dict` gives them out: what is kept must not move on with what it was taken of."""

from __future__ import annotations

from typing import Any

from torch import Tensor


def copied(state: Any) -> Any:
    """A copy of nested dicts, lists and tuples in which no tensor shares memory with the original."""
    if isinstance(state, Tensor):
        return state.detach().clone()
    if isinstance(state, dict):
        return {name: copied(value) for name, value in state.items()}
    if isinstance(state, list | tuple):
        return type(state)(copied(value) for value in state)
    return state
