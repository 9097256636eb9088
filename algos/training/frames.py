"""Pictures prepared for training: transformed by SuperSuit, stacked, channels first.

Axes: H height, W width, C channels (colours times frames).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from supersuit.utils import basic_transforms
from supersuit.utils.frame_stack import stack_init, stack_obs

from ..core import Array


class Frames:
    """Prepares the frames of one agent, one after the other.

    Args:
        space: The `Box` of one frame, (H, W) or (H, W, colours).
        transforms: Names of modules of `supersuit.utils.basic_transforms` with their arguments, in order.
        stack: Number of frames in an observation, the newest last; zeros stand for frames before the first.
    """

    def __init__(self, space: Any, transforms: Sequence[tuple[str, Any]], stack: int) -> None:
        self._chain = []
        for name, argument in transforms:
            module = getattr(basic_transforms, name)
            self._chain.append((module.change_observation, space, argument))
            space = module.change_obs_space(space, argument)
        self._space, self._depth = space, stack
        self._stack: Any = stack_init(space, stack)

    def __call__(self, frame: Array) -> Array:
        """Adds a frame and returns the observation: (C, H, W) float32."""
        for change, space, argument in self._chain:
            frame = change(frame.reshape(space.shape), space, argument)
        if self._depth > 1:
            self._stack = stack_obs(self._stack, frame, self._space, self._depth)
            frame = self._stack
        picture = np.asarray(frame, np.float32)
        return picture[None].copy() if picture.ndim == 2 else np.moveaxis(picture, -1, 0).copy()
