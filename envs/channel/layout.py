"""Spaces of agents that talk, as dictionaries or as one flat `Box`.

A flat observation is the environment's own, flattened as `gymnasium.spaces.flatten` does, then `heard` row by row, then
`age` over the age of nothing (`Settings.nothing`): from 0 to 1, where 1 means that nothing is heard. A flat action is
the environment's own, then the message. An own action in a `Box` is flattened; one of `Discrete(n)` becomes n numbers
from -1 to 1, of which the greatest is chosen (the first of equal ones).

Axes: N agents, E entries of a message.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, Space, flatdim, flatten, flatten_space

from ..core import Array
from .medium import Settings


class Layout:
    """The spaces of one agent, and how what it does and sees is laid out in them."""

    def __init__(self, agent: str, observation: Space[Any], action: Space[Any], settings: Settings, n: int) -> None:
        self.agent = agent
        self.settings = settings
        self._own_observation, self._own_action = observation, action
        self.observation_space, self.action_space = self._spaces(n - 1)

    def observation(self, own: Any, heard: Array, age: Array) -> Any:
        """Returns an observation, from the own one, `heard` (N - 1, E) and `age` (N - 1,)."""
        return {"observation": own, "heard": heard, "age": age.astype(np.float32)}

    def parts(self, action: Any) -> tuple[Any, Array]:
        """Returns an action's own part and its message, (E,) float32.

        Raises:
            ValueError: It has no such parts, or the message is not in its space.
        """
        if not isinstance(action, Mapping) or not {"action", "message"} <= action.keys():
            raise ValueError(f"action of {self.agent} is {_short(action)}; give {{'action': ..., 'message': ...}}")
        return action["action"], self._checked(action["message"])

    def _spaces(self, others: int) -> tuple[Space[Any], Space[Any]]:
        entries = self.settings.entries
        observation = Dict(
            observation=self._own_observation,
            heard=Box(-1.0, 1.0, (others, entries), np.float32),
            age=Box(0.0, float(self.settings.nothing), (others,), np.float32),
        )
        return observation, Dict(action=self._own_action, message=Box(-1.0, 1.0, (entries,), np.float32))

    def _checked(self, message: Any) -> Array:
        try:
            found = np.asarray(message, np.float32)
        except (TypeError, ValueError):
            found = np.empty(0, np.float32)
        if found.shape != (self.settings.entries,) or not (np.abs(found) <= 1.0).all():  # False for NaN
            raise ValueError(
                f"message of {self.agent} is {_short(message)}; give {self.settings.entries} numbers from -1 to 1"
            )
        return found


class FlatLayout(Layout):
    """The same in one `Box` each."""

    def observation(self, own: Any, heard: Array, age: Array) -> Array:
        """Returns an observation, from the own one, `heard` (N - 1, E) and `age` (N - 1,)."""
        mine = np.asarray(flatten(self._own_observation, own), np.float32)
        share = (age / self.settings.nothing).astype(np.float32)
        return np.concatenate([mine, heard.ravel(), share])  # (N - 1, E) -> ((N - 1) E,)

    def parts(self, action: Any) -> tuple[Any, Array]:
        """Returns an action's own part and its message, (E,) float32.

        Raises:
            ValueError: It does not have the shape of its space, or the message is not in its space.
        """
        size = self.action_space.shape[0] if self.action_space.shape else 0
        try:
            found = np.asarray(action, np.float32)
        except (TypeError, ValueError):
            found = np.empty(0, np.float32)
        if found.shape != (size,):
            raise ValueError(f"action of {self.agent} is {_short(action)}; give {size} numbers")
        mine, message = found[: size - self.settings.entries], found[size - self.settings.entries :]
        if isinstance(self._own_action, Discrete):
            if np.isnan(mine).any():
                raise ValueError(f"action of {self.agent} is {_short(action)}; give numbers that are not NaN")
            return int(mine.argmax() + self._own_action.start), self._checked(message)
        own = mine.reshape(self._own_action.shape)  # (A,) -> the own shape
        return own.astype(self._own_action.dtype), self._checked(message)

    def _spaces(self, others: int) -> tuple[Space[Any], Space[Any]]:
        own, action, entries = flatten_space(self._own_observation), self._own_action, self.settings.entries
        if not isinstance(own, Box):
            raise ValueError(f"the observation space of {self.agent} is {own}, which cannot be flat: use flat=False")
        if isinstance(action, Discrete):
            low, high = np.full(flatdim(action), -1.0), np.full(flatdim(action), 1.0)
        elif isinstance(action, Box):
            low, high = action.low.ravel(), action.high.ravel()
        else:
            raise ValueError(f"flat=True needs actions in Box or Discrete; {self.agent} has {action}: use flat=False")
        words, ages = np.ones(others * entries, np.float32), np.ones(others, np.float32)
        observation = Box(
            np.concatenate([own.low.astype(np.float32), -words, 0 * ages]),
            np.concatenate([own.high.astype(np.float32), words, ages]),
            dtype=np.float32,
        )
        word = np.ones(entries)
        lowest, highest = np.concatenate([low, -word]), np.concatenate([high, word])
        return observation, Box(lowest.astype(np.float32), highest.astype(np.float32), dtype=np.float32)


def _short(value: Any, most: int = 80) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= most else f"{text[:most]}..."
