"""`Text` spaces that are flattened in the same way in every process."""

from __future__ import annotations

from typing import Any

from gymnasium.spaces import Dict, OneOf, Space, Text, Tuple


def with_sorted_text(space: Space[Any]) -> Space[Any]:
    """Returns the same space, with the characters of every `Text` in it numbered in sorted order.

    Gymnasium numbers them in the order of a set, which differs between processes.
    """
    if isinstance(space, Text):
        characters = "".join(sorted(space.character_set))
        return Text(space.max_length, min_length=space.min_length, charset=characters)
    if isinstance(space, (Tuple, OneOf)):
        parts = [with_sorted_text(part) for part in space.spaces]
        return Tuple(parts) if isinstance(space, Tuple) else OneOf(parts)
    if isinstance(space, Dict):
        return Dict([(key, with_sorted_text(part)) for key, part in space.spaces.items()])
    return space
