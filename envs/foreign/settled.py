"""Spaces that are flattened alike in every process."""

from __future__ import annotations

from typing import Any

from gymnasium.spaces import Dict, OneOf, Space, Text, Tuple


def settled(space: Space[Any]) -> Space[Any]:
    """The same space, but that a `Text` numbers its characters in their own order.

    Gymnasium numbers them in the order of a set, which is another one in every process.
    """
    if isinstance(space, Text):
        characters = "".join(sorted(space.character_set))
        return Text(space.max_length, min_length=space.min_length, charset=characters)
    if isinstance(space, (Tuple, OneOf)):
        parts = [settled(part) for part in space.spaces]
        return Tuple(parts) if isinstance(space, Tuple) else OneOf(parts)
    if isinstance(space, Dict):
        return Dict([(key, settled(part)) for key, part in space.spaces.items()])
    return space
