"""The wrapper around a PettingZoo `ParallelEnv`. The package's docstring says what it means.

Axes: N possible agents, E entries of a message.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from gymnasium.spaces import Space
from pettingzoo.utils import BaseParallelWrapper

from ..core import Array
from ..parallel import Undefined
from .layout import FlatLayout, Layout
from .medium import Medium, Settings
from .reach import cuts_of, in_range, uncut

Infos = dict[str, dict[str, Any]]


class Channel(BaseParallelWrapper[str, Any, Any]):
    """Lets the agents of an environment talk over a medium that may fail.

    Args:
        env: Any `ParallelEnv` with `possible_agents`.
        entries: Entries of a message, E.
        bits: Bits of an entry, 0 to 16; 0: not rounded.
        loss: Chance that a link loses the message of a step.
        burst: Mean length of a spell of losses [steps]; 0: losses are independent.
        delay: Steps from sending to hearing, or (least, most).
        range: Greatest distance at which agents reach each other, in the units of `positions`; 0 or infinity: any.
        partition: (start, end, groups) each: groups of agents that do not reach each other from step `start` until
            before step `end`.
        decay: Factor on what was heard, for each step that it is old.
        memory: Time for which a message stays heard after it arrived where no newer one comes [steps].
        positions: Takes `env` and returns {agent: (x, y)}; needed for `range`.
        flat: One `Box` for observations, and one for actions; see `envs.channel.layout`.

    Raises:
        ValueError: A value is out of range or at odds with others, or the environment cannot be wrapped.
    """

    def __init__(
        self,
        env: Any,
        entries: int = 8,
        bits: int = 0,
        loss: float = 0.0,
        burst: float = 0.0,
        delay: int | tuple[int, int] = 0,
        range: float = 0.0,  # noqa: A002 - the name of the option everywhere
        partition: Iterable[Any] = (),
        decay: float = 1.0,
        memory: int = 16,
        *,
        positions: Callable[[Any], Mapping[str, Any]] | None = None,
        flat: bool = False,
    ) -> None:
        super().__init__(env)
        agents = getattr(env, "possible_agents", None)
        if not agents:
            raise ValueError(f"{type(env).__name__} has no possible_agents: a channel needs the names of all agents")
        if isinstance(range, bool) or not isinstance(range, (int, float, np.integer, np.floating)) or not range >= 0:
            raise ValueError(f"range={range!r} is out of range: give a distance of at least 0")
        if positions is not None and not callable(positions):
            raise ValueError(
                f"positions={positions!r}: give a function from the environment to {{agent: (x, y)}}, or leave it"
            )
        far = 0.0 < range < math.inf
        if far and positions is None:
            raise ValueError(
                f"range={range} needs positions: give a function from the environment to {{agent: (x, y)}}"
            )
        self.settings = Settings(entries, bits, loss, burst, delay, decay, memory)
        self.range = float(range) if far else math.inf
        self._names = list(agents)
        n = len(self._names)
        self._row = {name: row for row, name in enumerate(self._names)}
        self._others: Array = np.nonzero(~np.eye(n, dtype=bool))[1].reshape(n, n - 1)  # (N, N - 1) rows of the others
        self._positions = positions
        self._cuts = cuts_of(partition, self._names)
        self._medium = Medium(self.settings, n)
        kind = FlatLayout if flat else Layout
        self._layout = {
            name: kind(name, env.observation_space(name), env.action_space(name), self.settings, n)
            for name in self._names
        }
        self._seeds: np.random.SeedSequence | None = None
        self._step = 0
        self._present: Array = np.zeros(n, bool)  # (N,) agents that act in the coming step

    def observation_space(self, agent: str) -> Space[Any]:
        """Returns the observation space of one agent: the same object on every call."""
        return self._layout[agent].observation_space

    def action_space(self, agent: str) -> Space[Any]:
        """Returns the action space of one agent: the same object on every call."""
        return self._layout[agent].action_space

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[dict[str, Any], Infos]:
        """Starts an episode, in which nothing has been heard yet.

        Args:
            seed: Passed on; it also decides what the medium does. None goes on from the last one.
            options: Passed on.
        """
        observations, infos = self.env.reset(seed=seed, options=options)
        if seed is not None or self._seeds is None:
            self._seeds = np.random.SeedSequence(seed)
        self._medium.reset(np.random.default_rng(self._seeds.spawn(1)[0]))
        self._step = 0
        self._present = self._alive()
        nothing = np.zeros((len(self._names),) * 2, bool)
        return self._shown(observations), self._told(infos, nothing, nothing[0])

    def step(
        self, actions: dict[str, Any]
    ) -> tuple[dict[str, Any], dict[str, float], dict[str, bool], dict[str, bool], Infos]:
        """Advances the environment, sends messages, and shows what has arrived.

        Args:
            actions: By agent; those of agents that are not in `agents` are ignored. An agent without an action says
                nothing, and the environment decides what to make of it.

        Raises:
            ValueError: An action has no message, or one that is not in its space.
        """
        own, message = {}, np.zeros((len(self._names), self.settings.entries), np.float32)
        speaks = np.zeros(len(self._names), bool)  # (N,)
        for index in np.flatnonzero(self._present).tolist():
            name = self._names[index]
            if name in actions:
                own[name], message[index] = self._layout[name].parts(actions[name])
                speaks[index] = True
        if wrong := [name for name in actions if name not in self._layout]:
            raise ValueError(f"actions for unknown agents {wrong}; agents are {self._names}")
        reaches = self._reaches()
        shown = self.env.step(own)
        delivered = self._medium.send(message, speaks, reaches)
        self._step += 1
        self._present = self._alive()
        observations, rewards, terminated, truncated, infos = shown
        return self._shown(observations), rewards, terminated, truncated, self._told(infos, delivered, speaks)

    def _alive(self) -> Array:
        """Returns (N,) bool."""
        alive = set(self.env.agents)
        return np.array([name in alive for name in self._names])

    def _reaches(self) -> Array:
        """Returns (N, N) bool: what j says now could reach i, but for losses."""
        links = uncut(self._cuts, self._step, len(self._names)) & self._present[:, None]
        if self._positions is not None and self.range < math.inf:
            links &= in_range(self._positions(self.env), self._names, self.range)
        return links

    def _shown(self, observations: Mapping[str, Any]) -> dict[str, Any]:
        heard = np.take_along_axis(self._medium.heard, self._others[:, :, None], axis=1)  # (N, N - 1, E)
        age = np.take_along_axis(self._medium.age, self._others, axis=1)  # (N, N - 1)
        shown = dict(observations)  # PettingZoo allows further keys beside those of agents
        for name, own in observations.items():
            if name in self._row:
                row = self._row[name]
                shown[name] = self._layout[name].observation(own, heard[row], age[row])
        return shown

    def _told(self, infos: Mapping[str, Any], delivered: Array, speaks: Array) -> Infos:
        """Returns infos with the statistics of the step; see the package's docstring."""
        heard = self._medium.age < self.settings.nothing  # (N, N), False for oneself
        total = np.where(heard, self._medium.age, 0).sum(axis=1).tolist()
        count, came = heard.sum(axis=1).tolist(), delivered.sum(axis=1).tolist()
        others = (speaks.sum() - speaks).tolist()  # (N,) messages that others sent
        told = dict(infos)
        for name, info in infos.items():
            if name in self._row:
                row = self._row[name]
                numbers = {
                    "delivered": came[row] / others[row] if others[row] else Undefined(math.nan),
                    "mean_age": total[row] / count[row] if count[row] else Undefined(math.nan),
                    "bits_sent": self.settings.message_bits * int(speaks[row]),
                }
                told[name] = {**info, "channel": numbers}
        return told
