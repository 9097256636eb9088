"""One world of a foreign environment: a `ParallelEnv`, and the rows of the `Board` that show it.

Axes: N agents, O observation, A actions.

What ends an agent and what ends the world is decided in `endings`. An agent without an observation in the step in which
it leaves keeps the one before. An agent may appear late; its first reward is that of the step after. An agent that has
ended must not come back in the same episode, as PettingZoo demands.

In most steps nothing ends, and the agents that acted act again. Those steps take a short path (`_go_on`), which writes
only what changes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from pettingzoo.utils.env import ParallelEnv

from ..core import Array
from .board import Board, Frame
from .by_agent import ALL
from .closing import close
from .endings import EndingsReader
from .film import picture
from .layout import Layout
from .news import ABSENT, Reporter, numbers
from .refusals import RefusedError, number_of, refuse_infinite, unknown_agent, unpaid, unseen
from .seeds import episode_seed
from .spaces import MASK


class World:
    """Steps one environment, and starts its next episode when one has ended.

    A step leaves its rewards in `reward` and `team_reward`; `Block` writes those of all its worlds to the board at
    once. Before a step, `Block` clears the flags of endings and the costs in the board.

    Args:
        env: The environment.
        layout: How to read what it returns.
        board: The arrays to write to.
        index: The world's row in them.
        reporter: Gives metrics their columns, and collects the lines for the user.
    """

    def __init__(
        self, env: ParallelEnv[Any, Any, Any], layout: Layout, board: Board, index: int, reporter: Reporter
    ) -> None:
        self.env, self.layout, self.index = env, layout, index
        n = len(layout.keys)
        self.reward = [0.0] * n
        """(N,) rewards of the last step."""
        self.team_reward = 0.0
        """The team's reward of the last step."""
        self._rows = {key: i for i, key in enumerate(layout.keys)}
        self._board, self._reporter = board, reporter
        self._final, self._next = (Frame(*(array[index] for array in frame)) for frame in (board.final, board.next))
        self._shown = self._next  # the frame that shows the present
        self._shapes = [layout.observations.shape_of(i) for i in range(n)]  # (N,)
        self._targets = [  # (N,) views of `final.obs` in the shapes of the agents' own spaces
            None if shape is None else row[: math.prod(shape)].reshape(shape)
            for shape, row in zip(self._shapes, self._final.obs, strict=True)
        ]
        self._simple = layout.actions.simple  # (N,) (first choice, number of choices), or None
        self._alive = [False] * n
        self._gone = [False] * n
        self._called: list[Any] | None = None  # `env.agents` when it was last read
        self._acting: list[tuple[Any, int]] = []  # these agents, with their rows
        self._settled = False  # whether exactly these agents are alive, and all other rows of `final` are zero
        self._clean = False  # whether `final.alive` is up to date
        self._endings = EndingsReader(layout)
        self._seed = self._episode = self._elapsed = 0
        self._ended = 0, 0  # index and length of the last episode that ended
        self._cut = 0  # steps after which this episode is cut short; 0 for never
        self._halt = math.inf  # steps after which this episode ends, whatever the environment reports

    def reset(self, seed: int) -> None:
        """Starts the episode whose index is in the board."""
        self._seed = seed
        self._begin(int(self._board.stagger[self.index]))

    def step(self, action: Any) -> None:
        """Steps with `action`, (N,) or (N, A), and starts the next episode if this one ends."""
        if not self._settled:
            self._call()
        self._take(*self.env.step({key: self._own(i, action[i]) for key, i in self._acting}))

    def _take(self, observations: Any, rewards: Any, terminations: Any, truncations: Any, infos: Any) -> None:
        """Writes what the environment's `step` returned to the board."""
        self._elapsed += 1
        if (
            self._settled
            and self._elapsed < self._halt
            and list(self.env.agents) == self._called
            and not any(terminations.values())
            and not any(truncations.values())
        ):
            self._go_on(observations, rewards, infos)
        else:
            self._end_or_appear(observations, rewards, terminations, truncations, infos)

    def render(self) -> Array:
        """Returns a picture, (height, width, 3) uint8.

        Raises:
            ValueError: The environment draws none.
        """
        return picture(self.env)

    def close(self) -> None:
        """Closes the environment; errors in its `close()` are ignored."""
        close(self.env)

    def where(self, *, ended: bool = False) -> str:
        """Returns the present as text that is enough to reproduce it; with `ended`, the end of the last episode."""
        episode, elapsed = self._ended if ended else (self._episode, self._elapsed)
        seed = self._episode_seed(episode)
        return f"world {self.index}, step {elapsed} of the episode that began with reset(seed={seed})"

    def _call(self) -> None:
        """Reads from the environment which agents act next."""
        agents = list(self.env.agents)
        if agents != self._called:
            self._called = agents
            self._acting = [(key, self._row(key)) for key in agents]
            self._settled = False

    def _own(self, agent: int, action: Any) -> Any:
        """Returns an action in the agent's own space; an idle one for an agent that is present but no longer alive."""
        actions = self.layout.actions
        if not self._alive[agent]:
            return actions.idle[agent]
        if self._simple is not None:
            start, count = self._simple[agent]
            if 0 <= action < count:
                return start + action
        return actions.decode(agent, action)

    def _go_on(self, observations: Any, rewards: Any, infos: Any) -> None:
        """Writes a step after which exactly the agents that acted go on."""
        frame, reward = self._final, [0.0] * len(self._alive)
        for key, i in self._acting:
            if key not in rewards:
                raise unpaid(key, rewards)
            paid = rewards[key]
            reward[i] = paid if isinstance(paid, (float, int)) else number_of(paid, "reward of agent", key)
            seen = observations.get(key)
            if seen is None:
                raise unseen(key)
            self._write(i, seen)
        if not self._clean:
            frame.alive[:], self._clean = self._alive, True
        self._shown = frame
        self.reward = reward
        self.team_reward = self._team_reward_and_costs(infos, reward) if any(infos.values()) else sum(reward)
        self._surround(frame, observations, infos, self._alive)

    def _write(self, agent: int, observation: Any) -> None:
        """Writes the observation of an agent that goes on."""
        target = self._targets[agent]
        if target is not None and type(observation) is np.ndarray and observation.shape == target.shape:
            target[...] = observation
        else:
            self.layout.observations.write(agent, observation, self._final.obs[agent])

    def _end_or_appear(self, observations: Any, rewards: Any, terminations: Any, truncations: Any, infos: Any) -> None:
        """Writes a step in which an agent ended or appeared, or the world ended."""
        layout, before, n = self.layout, self._alive, len(self._alive)
        there = {self._row(key) for key in self.env.agents}
        self._refuse_strangers(terminations, truncations)
        alive, died, left, reward = [False] * n, [False] * n, [False] * n, [0.0] * n
        for i, key in enumerate(layout.keys):
            dies, stops = bool(terminations.get(key, False)), bool(truncations.get(key, False))
            if before[i]:
                if key in rewards:
                    reward[i] = number_of(rewards[key], "reward of agent", key)
                elif i in there or any(key in part for part in (observations, terminations, truncations)):
                    raise unpaid(key, rewards)
                else:
                    self._disappeared(key, rewards)
                died[i] = dies
                left[i] = not dies and (stops or i not in there)
                alive[i] = not (died[i] or left[i])
                self._gone[i] = not alive[i]
            elif i in there and not (dies or stops):
                if self._gone[i]:
                    raise RefusedError(f"agent {key!r} was gone and came back, which PettingZoo does not allow")
                alive[i] = True

        found = self._endings.read(
            self._elapsed,
            self._cut,
            alive=alive,
            died=died,
            left=left,
            gone=self._gone,
            any_truncation=any(truncations.values()),
        )
        if found.limit_as_death:
            self._reporter.say(
                "limit",
                f"all agents that were left died in step {self._elapsed}, the time limit of the environment: this is "
                f"read as the limit, not as death (first in {self.where()})",
            )
        board, w = self._board, self.index
        board.terminated[w] = found.terminated
        board.truncated[w] = found.truncated
        board.ended[w] = found.ended
        board.whole[w] = found.ended and not self._cut
        self.reward = reward
        self.team_reward = self._team_reward_and_costs(infos, reward)
        final_alive = found.stopped if found.truncated else alive
        shown = [a or b for a, b in zip(final_alive, left, strict=True)]
        self._show(self._final, observations, infos, final_alive, shown, there)
        self._settled = alive == before and sum(alive) == len(there) and list(self.env.agents) == self._called
        self._alive, self._clean = alive, True
        if found.ended:
            self._ended = self._episode, self._elapsed
            board.episode[w] += 1
            self._begin()

    def _begin(self, cut: int = 0) -> None:
        """Starts the episode whose index is in the board, to be cut short after `cut` steps (0: never)."""
        self._started(*self.env.reset(seed=self._number_episode(cut)))

    def _number_episode(self, cut: int) -> int:
        """Resets the counters, and returns the seed of the episode."""
        limit = self.layout.time_limit
        self._elapsed, self._episode, self._cut = 0, int(self._board.episode[self.index]), cut
        self._halt = min(limit or math.inf, cut or math.inf)
        return self._episode_seed(self._episode)

    def _episode_seed(self, episode: int) -> int:
        seed = episode_seed(self._seed, self.index, episode)
        return seed % self.layout.seeds if self.layout.seeds else seed

    def _started(self, observations: Any, infos: Any) -> None:
        """Writes what the environment's `reset` returned to the board."""
        self._call()
        if not self._acting:
            raise RefusedError("after reset() there is no agent; an episode needs at least one")
        n, there = len(self._rows), {i for _, i in self._acting}
        self._alive = [i in there for i in range(n)]
        self._gone = [False] * n
        self._settled, self._clean = len(there) == n, False
        self._show(self._next, observations, infos, self._alive, self._alive, there)

    def refuse_infinite(self, *, begun: bool) -> None:
        """Raises `RefusedError` for NaN and infinity in the last step or, with `begun`, in the start after it."""
        frame, board, w, keys = self._next if begun else self._final, self._board, self.index, self.layout.keys
        refuse_infinite(frame.obs, "observation", keys)
        refuse_infinite(frame.state, "state()")
        if not begun:
            refuse_infinite(board.reward[w], "reward", keys)
            refuse_infinite(board.cost[w], "cost", keys)
            refuse_infinite(board.team_reward[w], "team_reward")

    def ended_just_now(self) -> bool:
        """Returns whether the last step ended an episode and started another."""
        return self._elapsed == 0

    def _row(self, key: Any) -> int:
        if key not in self._rows:
            raise unknown_agent(key, self._rows)
        return self._rows[key]

    def _show(
        self, frame: Frame, observations: Any, infos: Any, alive: list[bool], shown: list[bool], there: set[int]
    ) -> None:
        """Writes a frame.

        Args:
            frame: The frame to write.
            observations: The environment's observations, by agent.
            infos: The environment's infos, by agent.
            alive: (N,) agents that are alive in it.
            shown: (N,) agents whose observations it shows: those that are alive, and those that leave.
            there: Rows of the agents that act next.
        """
        frame.alive[:] = alive
        last = self._shown.obs
        for i, key in enumerate(self.layout.keys):
            if not shown[i]:
                frame.obs[i] = 0.0
            elif observations.get(key) is not None:
                self.layout.observations.write(i, observations[key], frame.obs[i])
            elif i in there:
                raise unseen(key)
            elif last is not frame.obs:  # it left without a last observation, so the one before is kept
                frame.obs[i] = last[i]
        self._surround(frame, observations, infos, alive)
        self._shown = frame

    def _surround(self, frame: Frame, observations: Any, infos: Any, alive: list[bool]) -> None:
        """Writes the rest of a frame: masks, state, who hears whom, metrics."""
        layout = self.layout
        if layout.masks:
            self._show_masks(frame, observations, infos, alive)
        if layout.state_dim:
            self._show_state(frame, alive)
        if layout.neighbors:
            frame.hears[:] = False
            for i, key in enumerate(layout.keys):
                if alive[i]:
                    heard = [self._row(other) for other in infos.get(key, {}).get("neighbors", ())]
                    frame.hears[i, heard] = True
        if self._reporter.columns or any(infos.values()):
            self._show_metrics(frame, infos)

    def _show_masks(self, frame: Frame, observations: Any, infos: Any, alive: list[bool]) -> None:
        actions, last = self.layout.actions, self._shown.mask
        for i, key in enumerate(self.layout.keys):
            mask = infos.get(key, {}).get(MASK) if alive[i] else None
            if mask is None and alive[i]:
                if observations.get(key) is None:  # it left without a last observation
                    frame.mask[i] = last[i]
                    continue
                mask = self.layout.observations.mask(i, observations[key])
            if mask is not None:
                frame.mask[i] = actions.widen(i, mask)
            else:
                frame.mask[i] = True if actions.own is None else actions.own[i]

    def _show_state(self, frame: Frame, alive: list[bool]) -> None:
        if not any(alive):  # no value is needed, and some environments have no state then
            frame.state[:] = 0.0
            return
        try:
            state = np.asarray(self.env.state())
            if state.shape != self.layout.state_shape:
                raise RefusedError(f"state() has shape {state.shape}; before it had {self.layout.state_shape}")
            frame.state[:] = state.reshape(-1)
        except Exception:
            if self.env.agents:
                raise
            frame.state[:] = self._shown.state  # no agent is left, so the state before is kept

    def _show_metrics(self, frame: Frame, infos: Any) -> None:
        """Writes each metric into its column; the first agent's value counts where several report one."""
        found: dict[str, float] = {}
        for key in self.layout.keys:
            info = infos.get(key)
            told = info.get("metrics") if info else None
            if told and not (isinstance(told, Mapping) and told.keys() <= found.keys()):
                for name, value in numbers(told).items():
                    found.setdefault(name, value)
        columns = self._reporter.columns
        for name in found:
            if name not in columns:
                self._reporter.give_column(name, self.where())
        frame.metrics[: len(columns)] = [found.get(name, ABSENT) for name in columns]

    def _team_reward_and_costs(self, infos: Any, reward: list[float]) -> float:
        """Returns the team's reward, from `infos` if it is there, and writes the costs in `infos` to the board."""
        team = None
        for i, key in enumerate(self.layout.keys):
            info = infos.get(key)
            if not info:
                continue
            if MASK in info and not self.layout.masks:
                raise RefusedError(
                    f"infos have an {MASK!r} that was not there before; an environment with masks must give them "
                    "from reset() on"
                )
            if "cost" in info and self._alive[i]:  # `_alive` is still of before the step
                self._board.cost[self.index, i] = number_of(info["cost"], "cost of agent", key)
            if team is None:
                team = info.get("team_reward")
        return sum(reward) if team is None else number_of(team, "team_reward of", "infos")

    def _disappeared(self, key: Any, rewards: Any) -> None:
        """Reports an agent that is in none of the dictionaries, not even with a last reward."""
        if any(name not in self._rows for name in rewards):
            raise unpaid(key, rewards)
        self._reporter.say(
            "vanished", f"agent {key!r} disappeared without a reward, which counts as 0 (first in {self.where()})"
        )

    def _refuse_strangers(self, terminations: Any, truncations: Any) -> None:
        for what, flags in (("terminations", terminations), ("truncations", truncations)):
            for name, flag in flags.items():
                if flag and name not in self._rows and name != ALL:
                    raise unknown_agent(name, self._rows, what)
