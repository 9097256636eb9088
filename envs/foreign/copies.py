"""A world of `Copies`: stepped without dictionaries as long as no copy ends or tells more than what it sees.

Axes: N agents.
"""

from __future__ import annotations

from typing import Any

from .parallel import Copies
from .refusals import number_of
from .world import World


class WorldOfCopies(World):
    """Steps copies of a single-agent environment; whatever is unusual goes the way of all worlds."""

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
        if not short or not self._settled or layout.masks or self._tellings.columns or self._elapsed + 1 >= self._halt:
            self._take(*self._copies.tell(came))
            return
        self._elapsed += 1
        reward = [0.0] * len(self._alive)
        for (key, i), (observation, paid, *_) in zip(self._acting, came, strict=True):
            reward[i] = paid if isinstance(paid, (float, int)) else number_of(paid, "reward of agent", key)
            self._write(i, observation)
        self._shown = self._final
        self.reward, self.team_reward = reward, sum(reward)
