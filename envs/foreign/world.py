"""One world: a `ParallelEnv` and its row of the `Board`.

Axes: N agents, O observation, A actions.

Who ended how is told apart here, for PettingZoo says it agent by agent:

    an agent terminated                            it died: `terminated`, once
    an agent truncated, others go on               it left: no longer alive, not terminated; `final` has its last
                                                   observation, to bootstrap from
    an agent vanished without a word               the same
    nobody goes on, somebody truncated just now    the world is `truncated`; those it stopped count as alive in `final`
    nobody goes on, nobody truncated just now      the world ended: nobody is alive in `final`
    the adapter's time limit                       the world is `truncated`, also where the environment calls that the
                                                   death of all who were left

An agent that is terminated and truncated at once died. An agent may appear late, and is then paid from its next step
on. One that is gone must not come back; PettingZoo says so too.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium.spaces import Box
from pettingzoo.utils.env import ParallelEnv

from ..core import Array
from .board import Board, Frame
from .closing import close
from .film import picture
from .layout import Layout
from .spaces import MASK


def episode_seed(seed: int, world: int, episode: int) -> int:
    """What world w's e-th episode is reset with: below 2^31, for some environments hand it to C."""
    return int(np.random.SeedSequence([seed, world, episode]).generate_state(1)[0] >> 1)


class World:
    """Steps one environment and begins it anew when it ended.

    Args:
        env: The environment.
        layout: How to read it.
        board: Where to write.
        index: Its row.
    """

    def __init__(self, env: ParallelEnv[Any, Any, Any], layout: Layout, board: Board, index: int) -> None:
        self.env, self.layout, self.index = env, layout, index
        self._rows = {key: i for i, key in enumerate(layout.keys)}
        self._board = board
        self._action = board.action[index]  # (N,) or (N, A)
        self._reward, self._cost = board.reward[index], board.cost[index]  # (N,)
        self._terminated = board.terminated[index]  # (N,)
        self._final, self._next = (Frame(*(array[index] for array in frame)) for frame in (board.final, board.next))
        self._alive = [False] * len(layout.keys)
        self._gone = [False] * len(layout.keys)
        self._seed = 0
        self._elapsed = 0
        self._cut = 0  # steps after which this episode is cut short; 0 for never

    def reset(self, seed: int) -> None:
        """Begins the episode that the board names."""
        self._seed = seed
        self._cut = int(self._board.stagger[self.index])
        self._begin()

    def step(self) -> None:
        """Does what the board says, and begins the next episode if this one ended."""
        env, layout, before = self.env, self.layout, self._alive
        decode, idle = layout.actions.decode, layout.actions.idle
        discrete = not isinstance(layout.actions.space, Box)
        action = self._action.tolist() if discrete else self._action
        chosen = {}
        for key in env.agents:
            i = self._row(key)
            chosen[key] = decode(i, action[i]) if before[i] else idle[i]
        observations, rewards, terminations, truncations, infos = env.step(chosen)

        self._elapsed += 1
        n = len(before)
        there = {self._row(key) for key in env.agents}
        alive, died, left, reward = [False] * n, [False] * n, [False] * n, [0.0] * n
        for i, key in enumerate(layout.keys):
            dies, stops = bool(terminations.get(key, False)), bool(truncations.get(key, False))
            if before[i]:
                reward[i] = float(rewards.get(key, 0.0))
                died[i] = dies
                left[i] = not dies and (stops or i not in there)
                alive[i] = not (died[i] or left[i])
                self._gone[i] = not alive[i]
            elif i in there and not (dies or stops):
                if self._gone[i]:
                    raise ValueError(f"agent {key!r} was gone and came back, which PettingZoo does not allow")
                alive[i] = True

        # Ends. `stopped` are those whom the end of the world stopped alive.
        limit = layout.time_limit
        at_limit = bool(limit) and self._elapsed >= limit
        cut = bool(self._cut) and self._elapsed >= self._cut
        stopped = [False] * n
        if any(alive):
            if at_limit or cut:
                stopped = [a or b for a, b in zip(alive, left, strict=True)]
        elif any(left):
            stopped = left
        elif at_limit:
            stopped, died = died, stopped
        truncated = any(stopped)
        ended = truncated or not any(alive)

        board, w = self._board, self.index
        self._reward[:] = reward
        self._terminated[:] = died
        board.truncated[w] = truncated
        board.ended[w] = ended
        board.whole[w] = ended and not self._cut
        board.team_reward[w] = self._told(infos, reward)
        final_alive = stopped if truncated else alive
        shown = [a or (b and key in observations) for a, b, key in zip(final_alive, left, layout.keys, strict=True)]
        self._show(self._final, observations, infos, final_alive, shown)
        self._alive = alive
        if ended:
            board.episode[w] += 1
            self._cut = 0
            self._begin()

    def render(self) -> Array:
        """(height, width, 3) uint8.

        Raises:
            ValueError: The environment gives no picture.
        """
        return picture(self.env)

    def close(self) -> None:
        """Closes the environment, whatever its `close()` does."""
        close(self.env)

    def where(self) -> str:
        """The moment, for messages: enough to come back to it."""
        began = f"reset(seed={self._episode_seed()})"
        return f"world {self.index}, step {self._elapsed} of the episode that began with {began}"

    def _episode_seed(self) -> int:
        seed = episode_seed(self._seed, self.index, int(self._board.episode[self.index]))
        return seed % self.layout.seeds if self.layout.seeds else seed

    def _begin(self) -> None:
        self._elapsed = 0
        observations, infos = self.env.reset(seed=self._episode_seed())
        there = {self._row(key) for key in self.env.agents}
        if not there:
            raise ValueError("after reset() there is no agent; an episode needs at least one")
        self._alive = [i in there for i in range(len(self._rows))]
        self._gone = [False] * len(self._rows)
        self._show(self._next, observations, infos, self._alive, self._alive)

    def _row(self, key: Any) -> int:
        if key not in self._rows:
            raise ValueError(f"agent {key!r} is not among possible_agents: {list(self._rows)}")
        return self._rows[key]

    def _show(self, frame: Frame, observations: Any, infos: Any, alive: list[bool], shown: list[bool]) -> None:
        """Writes a moment; `shown` are those who are seen, alive or leaving."""
        layout = self.layout
        frame.alive[:] = alive
        for i, key in enumerate(layout.keys):
            if not shown[i]:
                frame.obs[i] = 0.0
                continue
            if key not in observations:
                raise ValueError(f"there is no observation of agent {key!r}, which is among the environment's agents")
            layout.observations.write(i, observations[key], frame.obs[i])
        if layout.masks:
            self._show_masks(frame, observations, infos, alive)
        if layout.state_dim and not any(alive):  # no value is asked for, and some environments have no state by then
            frame.state[:] = 0.0
        elif layout.state_dim:
            state = np.asarray(self.env.state())
            if state.shape != layout.state_shape:
                raise ValueError(f"state() has shape {state.shape}, at first it had {layout.state_shape}")
            frame.state[:] = state.reshape(-1)
        if layout.neighbors:
            frame.near[:] = False
            for i, key in enumerate(layout.keys):
                if alive[i]:
                    heard = [self._row(other) for other in infos.get(key, {}).get("neighbors", ())]
                    frame.near[i, heard] = True
        if layout.metrics:
            for key in layout.keys:
                told = infos.get(key, {}).get("metrics")
                if told is not None:
                    frame.metrics[:] = [told[name] for name in layout.metrics]
                    break

    def _show_masks(self, frame: Frame, observations: Any, infos: Any, alive: list[bool]) -> None:
        actions = self.layout.actions
        for i, key in enumerate(self.layout.keys):
            frame.mask[i] = True if actions.own is None else actions.own[i]
            if alive[i]:
                mask = infos.get(key, {}).get(MASK)
                if mask is None:
                    mask = self.layout.observations.mask(i, observations[key])
                if mask is not None:
                    frame.mask[i] = actions.widen(i, mask)

    def _told(self, infos: Any, reward: list[float]) -> float:
        """The team's reward, and the costs beside it: what `infos` say, where they say it."""
        self._cost[:] = 0.0
        team = None
        for i, key in enumerate(self.layout.keys):
            info = infos.get(key)
            if not info:
                continue
            if MASK in info and not self.layout.masks:
                raise ValueError(
                    f"infos hold an {MASK!r} that was not there at first; an environment that masks must do "
                    "so from reset() on"
                )
            if "cost" in info and self._alive[i]:  # `_alive` is still that before the step
                self._cost[i] = info["cost"]
            if team is None:
                team = info.get("team_reward")
        return sum(reward) if team is None else float(team)
