"""Films of a policy: an episode as frames at a rate that eyes follow, whatever a control step lasts.

A control step of a robot is 0.2 s, of a traffic signal 5 s: one frame a step is a flicker here and 20 minutes there.
So a film has a frame rate of its own and a speed. Where the environment can draw moments between two steps
(`VectorView.render_between`), there are as many frames in a step as the rate asks for; where many steps pass in a
frame's time, some are left out.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core import Array, VectorEnv
from ..training.evaluation import FIRST_SEED, Act, ended_worlds, to_obs

FRAME_RATE = 20.0
"""Frames a second of film."""
SECONDS = 30.0
"""Longest film where no speed is asked for [s]; real time, where that is shorter."""
LONGEST_FRAME = 0.5
"""A control step that is one frame is shown no longer than this, where no speed is asked for [s]."""


MOST_FRAMES = 40_000
"""Of any film: half an hour."""


@dataclass(frozen=True)
class Pace:
    """How time passes in a film."""

    speed: float
    """Times as fast as the world's clock."""
    between: int
    """Frames a control step."""
    every: int
    """Control steps a frame, where `between` is 1."""
    seconds: float
    """How long a frame is shown [s]."""

    def frames_of(self, steps: int) -> int:
        """Frames of an episode of so many steps."""
        return (steps - 1) * self.between + 1 if self.between > 1 else -(-steps // self.every)


def pace(env: VectorEnv, *, speed: float = 0.0, seconds: float = SECONDS) -> Pace:
    """The pace at which to film an environment.

    Args:
        env: Whose control step and time limit count.
        speed: Times as fast as its clock; 0 shows an episode of the longest kind within `seconds`, but never slower
            than its clock.
        seconds: See `speed`.
    """
    blends = bool(getattr(env, "can_blend", False))
    if not speed:
        speed = max(1.0, env.max_steps * env.step_seconds / seconds)
        if not blends:
            speed = max(speed, env.step_seconds / LONGEST_FRAME)
    shown = env.step_seconds / speed  # of one control step [s]
    frames = shown * FRAME_RATE
    if frames >= 1.0:
        between = round(frames) if blends else 1
        return Pace(speed, between, 1, shown / between)
    every = math.ceil(1.0 / frames - 1e-9)
    return Pace(speed, 1, every, every * shown)


def frames(
    env: VectorEnv,
    act: Act,
    pace: Pace,
    *,
    seed: int = FIRST_SEED,
    stop: Callable[[], bool] | None = None,
    most: int = MOST_FRAMES,
) -> Iterator[Array]:
    """Pictures of the first episode of world 0, (height, width, 3) uint8 each.

    The moment after the last step is not among them: by then the world has begun anew.

    Args:
        env: The worlds; they are reset.
        act: The policy.
        pace: See `pace`.
        seed: Of the worlds.
        stop: Asked after every step; the film ends once it says True.
        most: The film ends after so many frames, for not all episodes have an end.
    """
    yield from itertools.islice(_frames(env, act, pace, seed, stop), most)


def _frames(env: VectorEnv, act: Act, pace: Pace, seed: int, stop: Callable[[], bool] | None) -> Iterator[Array]:
    step = env.reset(seed)
    started = np.ones(env.n_worlds, dtype=bool)
    before: Any = None
    for count in itertools.count():
        if pace.between > 1:
            if count:
                yield from _way(env, before, pace.between)
            before = env.batch_state  # pyright: ignore[reportAttributeAccessIssue] - an environment that blends has it
        elif count % pace.every == 0:
            yield env.render(0)
        final, step = env.step(act(to_obs(step, started)))
        started = ended_worlds(final)
        if started[0] or (stop is not None and stop()):
            break
    if pace.between > 1:
        yield env.render_between(before, 0.0)  # pyright: ignore[reportAttributeAccessIssue]


def _way(env: Any, before: Any, between: int) -> Iterator[Array]:
    """From a kept state to the present one, which is left out."""
    for frame in range(between):
        yield env.render_between(before, frame / between)
