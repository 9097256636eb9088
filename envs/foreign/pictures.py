"""Pictures that agents see: fewer colours, smaller, from 0 to 1, stacked, channels first. SuperSuit does each of these.

Axes: H height, W width, C channels (colours times frames).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium.spaces import Box
from pettingzoo.utils import BaseParallelWrapper
from pettingzoo.utils.env import ParallelEnv

from .film import draw
from .refusals import RefusedError

SMALLEST = 16
"""Pixels a side; what is smaller is a grid of numbers, not a picture."""


def is_picture(what: Any) -> bool:
    """Whether a space, or an array, is a picture: uint8, (H, W) or (H, W, 1 to 4 colours)."""
    if not isinstance(what, (Box, np.ndarray)) or what.dtype != np.uint8 or what.shape is None:
        return False
    shape = what.shape
    return len(shape) in (2, 3) and min(shape[:2]) >= SMALLEST and (len(shape) == 2 or shape[2] <= 4)


class Pictures(BaseParallelWrapper[Any, Any, Any]):
    """Shows each agent whose observation is a picture a (C, H, W) float32 one from 0 to 1; the others what they saw.

    SuperSuit's public functions for single observations turn a `ParallelEnv` into an AEC environment and back, which
    agents that are born late do not survive. Its own transforms and its own frame stack are therefore applied here
    directly, agent by agent; the result is the same (a test compares).

    Args:
        env: What to wrap.
        size: Pixels a side afterwards; 0 leaves the size.
        stack: Frames, the newest last; 1 for none. Before the first there are zeros.
        grayscale: Reduce three colours to one.
    """

    def __init__(self, env: ParallelEnv[Any, Any, Any], *, size: int, stack: int, grayscale: bool) -> None:
        super().__init__(env)
        self._size, self._depth, self._grayscale = size, stack, grayscale
        self._chains = {}  # by agent: transforms and the space each is applied to; only of those who see pictures
        self._framed: dict[Any, Any] = {}  # by agent: the space of one finished frame
        self._stacks: dict[Any, Any] = {}
        self._spaces: dict[Any, Any] = {}
        for agent in env.possible_agents:
            space = env.observation_space(agent)
            self._spaces[agent] = self._prepare(agent, space) if is_picture(space) else space

    def observation_space(self, agent: Any) -> Any:
        """The identical object on every call."""
        return self._spaces[agent]

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        """Starts an episode, with empty stacks."""
        observations, infos = super().reset(seed=seed, options=options)
        self._stacks.clear()
        return self._shown(observations), infos

    def step(self, actions: dict[Any, Any]) -> Any:
        """Steps, and pushes the new frames."""
        observations, *rest = super().step(actions)
        return self._shown(observations), *rest

    def preparation(self, agent: Any) -> tuple[list[list[Any]], int] | None:
        """Names and arguments of the transforms of an agent's pictures, and how many are stacked; None: it sees none.

        The names are modules of `supersuit.utils.basic_transforms`.
        """
        space: Any = self.env.observation_space(agent)
        if not is_picture(space):
            return None
        wanted: list[list[Any]] = []
        if self._grayscale and len(space.shape) == 3 and space.shape[2] == 3:
            wanted.append(["color_reduction", "full"])
        if self._size:
            wanted.append(["resize", [self._size, self._size, True]])
        return [*wanted, ["dtype", "float32"], ["normalize_obs", [0.0, 1.0]]], self._depth

    def render(self) -> Any:
        """Whatever the environment draws."""
        return draw(self.env)

    def _prepare(self, agent: Any, space: Any) -> Box:
        from supersuit.utils import basic_transforms
        from supersuit.utils.frame_stack import stack_obs_space

        chain = []
        for name, argument in (self.preparation(agent) or ([], 0))[0]:
            module = getattr(basic_transforms, name)
            argument = tuple(argument) if isinstance(argument, list) else argument
            module.check_param(space, argument)
            chain.append((module.change_observation, space, argument))
            space = module.change_obs_space(space, argument)
        self._chains[agent], self._framed[agent] = chain, space
        if self._depth > 1:
            space = stack_obs_space(space, self._depth)
        return Box(_channels_first(space.low), _channels_first(space.high), dtype=np.float32)

    def _shown(self, observations: dict[Any, Any]) -> dict[Any, Any]:
        from supersuit.utils.frame_stack import stack_init, stack_obs

        shown = dict(observations)
        for agent, frame in observations.items():
            if agent not in self._chains:
                continue
            declared = self._chains[agent][0][1].shape
            if np.shape(frame) != declared:  # resizing would hide it
                raise RefusedError(f"observation of {agent} has shape {np.shape(frame)}, its space says {declared}")
            for change, space, argument in self._chains[agent]:
                frame = change(frame, space, argument)
            if self._depth > 1:
                space = self._framed[agent]
                if agent not in self._stacks:
                    self._stacks[agent] = stack_init(space, self._depth)
                frame = stack_obs(self._stacks[agent], frame, space, self._depth)
            shown[agent] = _channels_first(np.asarray(frame, np.float32)).copy()  # the stack moves on in place
        return shown


def _channels_first(picture: Any) -> Any:
    """(H, W) or (H, W, C) to (C, H, W)."""
    return picture[None] if picture.ndim == 2 else np.moveaxis(picture, -1, 0)
