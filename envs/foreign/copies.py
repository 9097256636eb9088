"""Worlds of `Copies`: stepped without dictionaries in all but unusual steps.

Axes: N agents.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .parallel import Copies
from .refusals import number_of
from .seeds import copy_seed
from .world import World


class WorldOfCopies(World):
    """Steps copies of a single-agent environment; a step with an ending or an info is handled as in `World`."""

    def __init__(self, env: Copies, *rest: Any) -> None:
        super().__init__(env, *rest)
        self._copies, self._envs = env, list(env.envs.values())

    def step(self, action: Any) -> None:
        """See `World.step`."""
        if not self._settled:
            self._call()
        envs, own, short = self._envs, self._own, True
        came = []
        for _, i in self._acting:
            one = envs[i].step(own(i, action[i]))
            came.append(one)
            short = short and not (one[2] or one[3] or one[4])  # ended, or with an info
        layout = self.layout
        if not short or not self._settled or layout.masks or self._reporter.columns or self._elapsed + 1 >= self._halt:
            self._take(*self._copies.tell(came))
            return
        self._elapsed += 1
        reward = [0.0] * len(self._alive)
        for (key, i), (observation, paid, *_) in zip(self._acting, came, strict=True):
            reward[i] = paid if isinstance(paid, (float, int)) else number_of(paid, "reward of agent", key)
            self._write(i, observation)
        if not self._clean:
            self._final.alive[:], self._clean = self._alive, True
        self._shown = self._final
        self.reward, self.team_reward = reward, sum(reward)


class WorldOfOne(WorldOfCopies):
    """Steps one copy, whose end is the world's; a step with an info, or at a limit, is handled as in `World`."""

    def __init__(self, env: Copies, *rest: Any) -> None:
        super().__init__(env, *rest)
        self._step, self._key = self._envs[0].step, self.layout.keys[0]
        shape = None if self.layout.masks else self._shapes[0]
        self._shape = shape  # of an observation that is written without conversion; None where one is needed
        if shape is not None:
            self._target, self._beginning = (
                frame.obs[0, : math.prod(shape)].reshape(shape) for frame in (self._final, self._next)
            )
        self._next_limit = math.inf
        self._metrics = self._reporter.columns
        self._first, self._count = self._simple[0] if self._simple else (0, 0)

    def step(self, action: Any) -> None:
        """See `World.step`."""
        chosen = action[0]
        own = self._first + chosen if self._count and 0 <= chosen < self._count else self._own(0, chosen)
        came = self._step(own)
        observation, paid, dies, stops, info = came
        elapsed = self._elapsed + 1
        if (
            info
            or self._metrics
            or type(observation) is not np.ndarray
            or observation.shape != self._shape
            or elapsed >= self._next_limit
        ):
            self._take(*self._copies.tell([came]))
            return
        self._elapsed = elapsed
        if type(paid) is not float and not isinstance(paid, (float, int)):
            paid = number_of(paid, "reward of agent", self._key)
        self.reward, self.team_reward = [paid], paid
        self._target[...] = observation
        if dies or stops:
            self._end(dies=bool(dies))
        else:
            if not self._clean:
                self._final.alive[0], self._clean = True, True
            self._shown = self._final

    def _begin(self, cut: int = 0) -> None:
        seed = copy_seed(self._number_episode(cut), 0)
        self._next_limit = min(self._halt, self.layout.limit_found or math.inf)
        observation, info = self._envs[0].reset(seed=seed)
        self._copies.agents = [self._key]
        if (
            info
            or self._metrics
            or type(observation) is not np.ndarray
            or observation.shape != self._shape
            or self._called is None
        ):
            self._started({self._key: observation}, {self._key: info})
            return
        self._beginning[...] = observation
        self._next.alive[0] = True
        self._alive, self._gone, self._settled, self._clean, self._shown = [True], [False], True, False, self._next

    def _end(self, *, dies: bool) -> None:
        board, w = self._board, self.index
        board.terminated[w, 0], board.truncated[w], board.ended[w], board.whole[w] = dies, not dies, True, not self._cut
        self._final.alive[0] = not dies
        if dies:
            self._final.obs[0] = 0.0
        self._ended = self._episode, self._elapsed
        board.episode[w] += 1
        self._begin()
