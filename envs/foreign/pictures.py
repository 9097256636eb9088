"""Pictures as observations: fewer colours, resized, scaled to [0, 1], stacked, channels first, all by SuperSuit.

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
"""Least width and height of a picture [pixels]; smaller arrays are read as grids of numbers."""


def is_picture(what: Any) -> bool:
    """Returns whether a space or an array is a picture: uint8, (H, W) or (H, W, 1 to 4 colours), at least 16 x 16."""
    if not isinstance(what, (Box, np.ndarray)) or what.dtype != np.uint8 or what.shape is None:
        return False
    shape = what.shape
    return len(shape) in (2, 3) and min(shape[:2]) >= SMALLEST and (len(shape) == 2 or shape[2] <= 4)


class Pictures(BaseParallelWrapper[Any, Any, Any]):
    """Turns observations that are pictures into (C, H, W) float32 arrays from 0 to 1; other observations stay the same.

    SuperSuit's public wrappers turn a `ParallelEnv` into an AEC environment and back, which fails for agents that are
    born late. Its transforms and its frame stack are therefore applied here directly, agent by agent; the result is the
    same (a test compares).

    Args:
        env: The environment to wrap.
        size: Width and height afterwards [pixels]; 0 keeps the original size.
        stack: Number of frames, the newest last; 1 for no stack. Frames before the first are zeros.
        grayscale: Reduce three colours to one.
    """

    def __init__(self, env: ParallelEnv[Any, Any, Any], *, size: int, stack: int, grayscale: bool) -> None:
        super().__init__(env)
        self._size, self._depth, self._grayscale = size, stack, grayscale
        self._chains = {}  # by agent, for agents that see pictures: transforms and the space of each
        self._framed: dict[Any, Any] = {}  # by agent: the space of one finished frame
        self._stacks: dict[Any, Any] = {}
        self._spaces: dict[Any, Any] = {}
        for agent in env.possible_agents:
            space = env.observation_space(agent)
            self._spaces[agent] = self._prepare(agent, space) if is_picture(space) else space

    def observation_space(self, agent: Any) -> Any:
        """Returns the same object on every call."""
        return self._spaces[agent]

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        """Starts an episode with empty stacks."""
        observations, infos = super().reset(seed=seed, options=options)
        self._stacks.clear()
        return self._shown(observations), infos

    def step(self, actions: dict[Any, Any]) -> Any:
        """Advances the environment and adds the new frames to the stacks."""
        observations, *rest = super().step(actions)
        return self._shown(observations), *rest

    def preparation(self, agent: Any) -> tuple[list[list[Any]], int] | None:
        """Returns the transforms of an agent's pictures and the number of stacked frames; None if it sees no pictures.

        Each transform is the name of a module in `supersuit.utils.basic_transforms` and its argument.
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
        """Returns what the environment draws."""
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
            if np.shape(frame) != declared:  # resizing would hide the mistake
                raise RefusedError(f"observation of {agent} has shape {np.shape(frame)}, its space says {declared}")
            for change, space, argument in self._chains[agent]:
                frame = change(frame, space, argument)
            if self._depth > 1:
                space = self._framed[agent]
                if agent not in self._stacks:
                    self._stacks[agent] = stack_init(space, self._depth)
                frame = stack_obs(self._stacks[agent], frame, space, self._depth)
            shown[agent] = _channels_first(np.asarray(frame, np.float32)).copy()  # the stack is updated in place
        return shown


def _channels_first(picture: Any) -> Any:
    """Turns (H, W) or (H, W, C) into (C, H, W)."""
    return picture[None] if picture.ndim == 2 else np.moveaxis(picture, -1, 0)
