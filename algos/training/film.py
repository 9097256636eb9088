"""Films of a policy: the frames of an episode at a steady rate, however long a control step is.

A control step of a robot takes 0.2 s and one of a traffic signal 5 s: with one frame a step, the first film would
flicker by and the second take 20 minutes. So a film has a frame rate and a speed of its own. If the environment can
draw moments between two steps (`VectorView.render_between`), a step has as many frames as the rate asks for; if several
steps pass during a frame, some are left out.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core import Array, Obs, Player, VectorEnv
from ..report.attention_map import beside
from ..report.video import MOST_FRAMES
from .evaluation import FIRST_SEED, Act, ended_worlds, to_obs

FRAME_RATE = 20.0
"""Frame rate of a film [1/s]."""
SECONDS = 30.0
"""Longest film if no speed is asked for [s]; a shorter episode is shown in real time."""
LONGEST_FRAME = 0.5
"""Longest duration of a control step that is one frame, if no speed is asked for [s]."""


@dataclass(frozen=True)
class Pace:
    """The speed of a film, and its frames."""

    speed: float
    """Speed as a multiple of the world's clock."""
    between: int
    """Number of frames of a control step."""
    every: int
    """Number of control steps of a frame, where `between` is 1."""
    seconds: float
    """Duration of a frame [s]."""

    def frames_of(self, steps: int) -> int:
        """Returns the number of frames of an episode of `steps` steps."""
        return (steps - 1) * self.between + 1 if self.between > 1 else -(-steps // self.every)


def pace(env: VectorEnv, *, speed: float = 0.0, seconds: float = SECONDS) -> Pace:
    """Chooses the pace at which to film an environment.

    Args:
        env: The environment, which has a control step and a time limit.
        speed: Speed as a multiple of its clock; 0: the longest episode takes `seconds`, but is never slower than its
            clock.
        seconds: Longest film if `speed` is 0 [s].
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
    """Yields pictures of the first episode of world 0, (height, width, 3) uint8 each.

    The moment after the last step is not among them, because the world has been reset by then.

    Args:
        env: The worlds; they are reset.
        act: The policy.
        pace: See `pace`.
        seed: Seed of the worlds, and of the medium of a `Player` that talks.
        stop: Called after every step; the film ends once it returns True.
        most: Most frames; some episodes have no end.
    """
    yield from itertools.islice(_frames(env, act, pace, seed, stop), most)


def _frames(env: VectorEnv, act: Act, pace: Pace, seed: int, stop: Callable[[], bool] | None) -> Iterator[Array]:
    step = env.reset(seed)
    if isinstance(act, Player):
        act.reset(seed)
    started = np.ones(env.n_worlds, dtype=bool)
    before: Any = None
    draw: Callable[[Array], Array] = np.asarray
    for count in itertools.count():
        if pace.between > 1:
            if count:
                yield from (draw(frame) for frame in _way(env, before, pace.between))
            draw = _shower(act, to_obs(step, started))
            before = env.batch_state  # pyright: ignore[reportAttributeAccessIssue] - an environment that blends has it
        elif count % pace.every == 0:
            yield _shower(act, to_obs(step, started))(env.render(0))
        final, step = env.step(act(to_obs(step, started)))
        started = ended_worlds(final)
        if started[0] or (stop is not None and stop()):
            break
    if pace.between > 1:
        yield draw(env.render_between(before, 0.0))  # pyright: ignore[reportAttributeAccessIssue]


def _shower(act: Act, obs: Obs) -> Callable[[Array], Array]:
    """Returns what a picture of world 0 is shown with: a map of attention beside it, where agents talk."""
    weights = act.attention(obs) if isinstance(act, Player) else None
    if weights is None:
        return np.asarray
    of_world, alive = weights[0].cpu().numpy(), obs.alive[0]
    return lambda frame: beside(frame, of_world, alive)


def _way(env: Any, before: Any, between: int) -> Iterator[Array]:
    """Yields frames from a kept state to the present one, which is left out."""
    for frame in range(between):
        yield env.render_between(before, frame / between)
