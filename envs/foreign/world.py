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
    all who were left died together, in the very   the same, and the user is told once; not where the environment
    step of the time limit that was found          was seen to truncate at that limit

An agent that is terminated and truncated at once died. The last observation of an agent that is shown none when it
leaves is the one before. An agent may appear late, and is then paid from its next step on. One that is gone must not
come back; PettingZoo says so too.

Most steps end nothing: agents that acted go on acting. Those take a short way (`_go_on`), which rewrites what changed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from pettingzoo.utils.env import ParallelEnv

from ..core import Array
from .board import Board, Frame
from .closing import close
from .film import picture
from .layout import Layout
from .refusals import RefusedError, number_of, refuse_infinite, unknown_agent, unpaid, unseen
from .seeds import episode_seed
from .spaces import MASK
from .tellings import ABSENT, Tellings, numbers

EVERYBODY = "__all__"
"""A key beside the agents in which some environments say that the episode is over for all."""


class World:
    """Steps one environment and begins it anew when it ended.

    Rewards are left in `reward` and `team_reward` for `Block`, which writes those of all its worlds at once, and which
    clears the flags of endings and the costs in the board before a step.

    Args:
        env: The environment.
        layout: How to read it.
        board: Where to write.
        index: Its row.
        tellings: Where metrics have their columns, and what the user is to be told.
    """

    def __init__(
        self, env: ParallelEnv[Any, Any, Any], layout: Layout, board: Board, index: int, tellings: Tellings
    ) -> None:
        self.env, self.layout, self.index = env, layout, index
        n = len(layout.keys)
        self.reward = [0.0] * n
        """(N,) of the last step."""
        self.team_reward = 0.0
        self._rows = {key: i for i, key in enumerate(layout.keys)}
        self._board, self._tellings = board, tellings
        self._final, self._next = (Frame(*(array[index] for array in frame)) for frame in (board.final, board.next))
        self._shown = self._next  # where the last moment is
        self._shapes = [layout.observations.shape_of(i) for i in range(n)]  # (N,)
        self._targets = [  # (N,) views of `final.obs` in the shapes of the agents' own spaces
            None if shape is None else row[: math.prod(shape)].reshape(shape)
            for shape, row in zip(self._shapes, self._final.obs, strict=True)
        ]
        self._simple = layout.actions.simple  # (N,) (first choice, number of choices), or None
        self._alive = [False] * n
        self._gone = [False] * n
        self._called: list[Any] | None = None  # who was in `env.agents` when it was looked at last
        self._acting: list[tuple[Any, int]] = []  # they, with their rows
        self._settled = False  # whether it is they who are alive, and the rows of all others are clean in `final`
        self._clean = False  # whether `final.alive` says so
        self._limit_kills: bool | None = None  # whether it calls its time limit death, once that is known
        self._seed = self._episode = self._elapsed = 0
        self._ended = 0, 0  # episode and steps of the last one that ended
        self._cut = 0  # steps after which this episode is cut short; 0 for never
        self._halt = math.inf  # steps after which it is over, whatever the environment says

    def reset(self, seed: int) -> None:
        """Begins the episode that the board names."""
        self._seed = seed
        self._begin(int(self._board.stagger[self.index]))

    def step(self, action: Any) -> None:
        """Does it, and begins the next episode if this one ended; `action` is (N,) or (N, A)."""
        if not self._settled:
            self._call()
        self._take(*self.env.step({key: self._own(i, action[i]) for key, i in self._acting}))

    def _take(self, observations: Any, rewards: Any, terminations: Any, truncations: Any, infos: Any) -> None:
        """Takes in what `step` returned."""
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
            self._tell_apart(observations, rewards, terminations, truncations, infos)

    def render(self) -> Array:
        """(height, width, 3) uint8.

        Raises:
            ValueError: The environment gives no picture.
        """
        return picture(self.env)

    def close(self) -> None:
        """Closes the environment, whatever its `close()` does."""
        close(self.env)

    def where(self, *, ended: bool = False) -> str:
        """The moment, for messages: enough to come back to it; with `ended`, the last one of the episode before."""
        episode, elapsed = self._ended if ended else (self._episode, self._elapsed)
        seed = self._episode_seed(episode)
        return f"world {self.index}, step {elapsed} of the episode that began with reset(seed={seed})"

    def _call(self) -> None:
        """Looks up which agents are to act."""
        agents = list(self.env.agents)
        if agents != self._called:
            self._called = agents
            self._acting = [(key, self._row(key)) for key in agents]
            self._settled = False

    def _own(self, agent: int, action: Any) -> Any:
        """An action in the agent's own space; an idle one for an agent that is there but no longer alive."""
        actions = self.layout.actions
        if not self._alive[agent]:
            return actions.idle[agent]
        if self._simple is not None:
            start, count = self._simple[agent]
            if 0 <= action < count:
                return start + action
        return actions.decode(agent, action)

    def _go_on(self, observations: Any, rewards: Any, infos: Any) -> None:
        """A step after which everybody who acted goes on."""
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
        self.team_reward = self._told(infos, reward) if any(infos.values()) else sum(reward)
        self._surround(frame, observations, infos, self._alive)

    def _write(self, agent: int, observation: Any) -> None:
        """Writes what an agent that goes on sees."""
        target = self._targets[agent]
        if target is not None and type(observation) is np.ndarray and observation.shape == target.shape:
            target[...] = observation
        else:
            self.layout.observations.write(agent, observation, self._final.obs[agent])

    def _tell_apart(self, observations: Any, rewards: Any, terminations: Any, truncations: Any, infos: Any) -> None:
        """A step in which somebody ended or appeared, or the world did."""
        layout, before, n = self.layout, self._alive, len(self._alive)
        there = {self._row(key) for key in self.env.agents}
        self._refuse_strangers(terminations, truncations)
        alive, died, left, reward = [False] * n, [False] * n, [False] * n, [0.0] * n
        for i, key in enumerate(layout.keys):
            dies, stops = bool(terminations.get(key, False)), bool(truncations.get(key, False))
            if before[i]:
                if key in rewards:
                    reward[i] = number_of(rewards[key], "reward of agent", key)
                elif i in there or any(key in told for told in (observations, terminations, truncations)):
                    raise unpaid(key, rewards)
                else:
                    self._vanished(key, rewards)
                died[i] = dies
                left[i] = not dies and (stops or i not in there)
                alive[i] = not (died[i] or left[i])
                self._gone[i] = not alive[i]
            elif i in there and not (dies or stops):
                if self._gone[i]:
                    raise RefusedError(f"agent {key!r} was gone and came back, which PettingZoo does not allow")
                alive[i] = True

        # Ends. `stopped` are those whom the end of the world stopped alive.
        at_limit = bool(layout.time_limit) and self._elapsed >= layout.time_limit
        cut = bool(self._cut) and self._elapsed >= self._cut
        stopped = [False] * n
        if any(left) and self._elapsed == layout.limit_found:
            self._limit_kills = False
        if any(alive):
            if at_limit or cut:
                stopped = [a or b for a, b in zip(alive, left, strict=True)]
        elif any(left):
            stopped = left
        elif at_limit or self._limit_called_death(died, truncations):
            stopped, died = died, stopped
        truncated = any(stopped)
        ended = truncated or not any(alive)

        board, w = self._board, self.index
        board.terminated[w] = died
        board.truncated[w] = truncated
        board.ended[w] = ended
        board.whole[w] = ended and not self._cut
        self.reward = reward
        self.team_reward = self._told(infos, reward)
        final_alive = stopped if truncated else alive
        shown = [a or b for a, b in zip(final_alive, left, strict=True)]
        self._show(self._final, observations, infos, final_alive, shown, there)
        self._settled = alive == before and sum(alive) == len(there) and list(self.env.agents) == self._called
        self._alive, self._clean = alive, True
        if ended:
            self._ended = self._episode, self._elapsed
            board.episode[w] += 1
            self._begin()

    def _limit_called_death(self, died: list[bool], truncations: Mapping[Any, Any]) -> bool:
        """Whether all who were left died because the limit that was found was reached; told once.

        An environment that truncates at its limit tells the two apart, and is believed. One that does not is recognised
        by several agents that die at once, or by all there were; afterwards a single one that is left is no exception.
        """
        layout = self.layout
        if self._elapsed != layout.limit_found or (layout.tells_limit and any(truncations.values())):
            return False
        if self._limit_kills is None and (sum(died) > 1 or sum(died) == sum(self._gone)):
            self._limit_kills = True
        if not self._limit_kills:
            return False
        self._tellings.say(
            "limit",
            f"all agents that were left died in step {self._elapsed}, the time limit of the environment: this is taken "
            f"for the limit, not for death (first in {self.where()})",
        )
        return True

    def _begin(self, cut: int = 0) -> None:
        """Begins the episode that the board names; `cut`: after how many steps it is cut short."""
        self._started(*self.env.reset(seed=self._number_episode(cut)))

    def _number_episode(self, cut: int) -> int:
        """Counts from the beginning, and says by which seed it is reset."""
        limit = self.layout.time_limit
        self._elapsed, self._episode, self._cut = 0, int(self._board.episode[self.index]), cut
        self._halt = min(limit or math.inf, cut or math.inf)
        return self._episode_seed(self._episode)

    def _episode_seed(self, episode: int) -> int:
        seed = episode_seed(self._seed, self.index, episode)
        return seed % self.layout.seeds if self.layout.seeds else seed

    def _started(self, observations: Any, infos: Any) -> None:
        """Takes in what `reset` returned."""
        self._call()
        if not self._acting:
            raise RefusedError("after reset() there is no agent; an episode needs at least one")
        n, there = len(self._rows), {i for _, i in self._acting}
        self._alive = [i in there for i in range(n)]
        self._gone = [False] * n
        self._settled, self._clean = len(there) == n, False
        self._show(self._next, observations, infos, self._alive, self._alive, there)

    def refuse_infinite(self, *, begun: bool) -> None:
        """Raises `RefusedError` for NaN and infinity in what the last step brought, or the beginning after it."""
        frame, board, w, keys = self._next if begun else self._final, self._board, self.index, self.layout.keys
        refuse_infinite(frame.obs, "observation", keys)
        refuse_infinite(frame.state, "state()")
        if not begun:
            refuse_infinite(board.reward[w], "reward", keys)
            refuse_infinite(board.cost[w], "cost", keys)
            refuse_infinite(board.team_reward[w], "team_reward")

    def ended_just_now(self) -> bool:
        """Whether the last step ended an episode and began another."""
        return self._elapsed == 0

    def _row(self, key: Any) -> int:
        if key not in self._rows:
            raise unknown_agent(key, self._rows)
        return self._rows[key]

    def _show(
        self, frame: Frame, observations: Any, infos: Any, alive: list[bool], shown: list[bool], there: set[int]
    ) -> None:
        """Writes a moment; `shown` are those who are seen, alive or leaving, `there` the rows that go on."""
        frame.alive[:] = alive
        last = self._shown.obs
        for i, key in enumerate(self.layout.keys):
            if not shown[i]:
                frame.obs[i] = 0.0
            elif observations.get(key) is not None:
                self.layout.observations.write(i, observations[key], frame.obs[i])
            elif i in there:
                raise unseen(key)
            elif last is not frame.obs:  # it left without a last look: the one before is all there is
                frame.obs[i] = last[i]
        self._surround(frame, observations, infos, alive)
        self._shown = frame

    def _surround(self, frame: Frame, observations: Any, infos: Any, alive: list[bool]) -> None:
        """Writes the rest of a moment: masks, state, who hears whom, metrics."""
        layout = self.layout
        if layout.masks:
            self._show_masks(frame, observations, infos, alive)
        if layout.state_dim:
            self._show_state(frame, alive)
        if layout.neighbors:
            frame.near[:] = False
            for i, key in enumerate(layout.keys):
                if alive[i]:
                    heard = [self._row(other) for other in infos.get(key, {}).get("neighbors", ())]
                    frame.near[i, heard] = True
        if self._tellings.columns or any(infos.values()):
            self._show_metrics(frame, infos)

    def _show_masks(self, frame: Frame, observations: Any, infos: Any, alive: list[bool]) -> None:
        actions, last = self.layout.actions, self._shown.mask
        for i, key in enumerate(self.layout.keys):
            mask = infos.get(key, {}).get(MASK) if alive[i] else None
            if mask is None and alive[i]:
                if observations.get(key) is None:  # it left without a last look
                    frame.mask[i] = last[i]
                    continue
                mask = self.layout.observations.mask(i, observations[key])
            if mask is not None:
                frame.mask[i] = actions.widen(i, mask)
            else:
                frame.mask[i] = True if actions.own is None else actions.own[i]

    def _show_state(self, frame: Frame, alive: list[bool]) -> None:
        if not any(alive):  # no value is asked for, and some environments have no state by then
            frame.state[:] = 0.0
            return
        try:
            state = np.asarray(self.env.state())
            if state.shape != self.layout.state_shape:
                raise RefusedError(f"state() has shape {state.shape}, at first it had {self.layout.state_shape}")
            frame.state[:] = state.reshape(-1)
        except Exception:
            if self.env.agents:
                raise
            frame.state[:] = self._shown.state  # nobody is there any more: the state before is all there is

    def _show_metrics(self, frame: Frame, infos: Any) -> None:
        """Every metric's number into its column; the first agent that tells one is believed."""
        found: dict[str, float] = {}
        for key in self.layout.keys:
            info = infos.get(key)
            told = info.get("metrics") if info else None
            if told and not (isinstance(told, Mapping) and told.keys() <= found.keys()):
                for name, value in numbers(told).items():
                    found.setdefault(name, value)
        columns = self._tellings.columns
        for name in found:
            if name not in columns:
                self._tellings.give_column(name, self.where())
        frame.metrics[: len(columns)] = [found.get(name, ABSENT) for name in columns]

    def _told(self, infos: Any, reward: list[float]) -> float:
        """The team's reward, and the costs beside it: what `infos` say, where they say it."""
        team = None
        for i, key in enumerate(self.layout.keys):
            info = infos.get(key)
            if not info:
                continue
            if MASK in info and not self.layout.masks:
                raise RefusedError(
                    f"infos hold an {MASK!r} that was not there at first; an environment that masks must do "
                    "so from reset() on"
                )
            if "cost" in info and self._alive[i]:  # `_alive` is still that before the step
                self._board.cost[self.index, i] = number_of(info["cost"], "cost of agent", key)
            if team is None:
                team = info.get("team_reward")
        return sum(reward) if team is None else number_of(team, "team_reward of", "infos")

    def _vanished(self, key: Any, rewards: Any) -> None:
        """An agent of which nothing is said any more, its last reward included."""
        if any(name not in self._rows for name in rewards):
            raise unpaid(key, rewards)
        self._tellings.say(
            "vanished", f"agent {key!r} vanished without a reward, which counts as 0 (first in {self.where()})"
        )

    def _refuse_strangers(self, terminations: Any, truncations: Any) -> None:
        for what, flags in (("terminations", terminations), ("truncations", truncations)):
            for name, flag in flags.items():
                if flag and name not in self._rows and name != EVERYBODY:
                    raise unknown_agent(name, self._rows, what)
