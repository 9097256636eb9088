"""The worlds of one process: built, stepped in turn, checked together, closed.

Axes: B worlds, of which W are in this block, N agents, O observation, A actions.

A block is W consecutive rows of the board. Work that would take a numpy call for each world is done once for all of
them: clearing flags, reading actions, writing rewards, and checking numbers for NaN and infinity.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from gymnasium.spaces import Box

from ..core import Array
from .blame import explain
from .board import Board
from .copies import WorldOfCopies, WorldOfOne
from .layout import Layout
from .news import News, Reporter
from .parallel import Copies
from .refusals import all_finite
from .world import World


class Block:
    """The worlds of consecutive rows of the board.

    Args:
        build: Makes one environment.
        layout: The shapes of what the worlds show.
        board: The rows of all worlds.
        rows: (W,) indices of this block's rows.
    """

    def __init__(self, build: Callable[[], Any], layout: Layout, board: Board, rows: Sequence[int]) -> None:
        self.worlds: list[World] = []
        self._first, part = rows[0], slice(rows[0], rows[-1] + 1)
        self._reporter = Reporter(layout.metrics, (board.final.metrics[part], board.next.metrics[part]))
        self._steers = isinstance(layout.actions.space, Box)
        self._action = board.action[part]  # (W, N) or (W, N, A)
        self._reward, self._team_reward, self._cost = board.reward[part], board.team_reward[part], board.cost[part]
        self._flags = board.terminated[part], board.truncated[part], board.ended[part], board.whole[part]
        # Flat views of the arrays that must be finite: those that a step writes, and those that a reset writes.
        brought = board.final.obs, board.final.state, board.reward, board.cost, board.team_reward
        begun = board.next.obs, board.next.state
        self._brought, self._begun = ([a[part].reshape(-1) for a in some if a.size] for some in (brought, begun))
        self._at: World | None = None  # the world that is being stepped
        self._over = False  # whether an exception belongs to its last episode
        try:
            for row in rows:
                env = build()
                kind = _kind(env)
                self.worlds.append(kind(env, layout, board, row, self._reporter))
        except BaseException:
            self.close()
            raise

    def reset(self, seed: int) -> None:
        """Starts the episodes whose indices are in the board."""
        self._over = False
        for world in self.worlds:
            self._at = world
            world.reset(seed)
        self._refuse_infinite(begun=True)

    def step(self) -> None:
        """Steps all worlds with the actions in the board; a world that ends starts its next episode.

        Raises:
            RefusedError: An environment returned what cannot be used.
        """
        self._over = False
        for flag in self._flags:
            flag[...] = False
        self._cost[...] = 0.0
        actions = self._action if self._steers else self._action.tolist()
        for world, action in zip(self.worlds, actions, strict=True):
            self._at = world
            world.step(action)
        with np.errstate(over="ignore"):  # a reward beyond float32 becomes infinite, which is refused below
            self._reward[...] = [world.reward for world in self.worlds]
            self._team_reward[...] = [world.team_reward for world in self.worlds]
        self._refuse_infinite(begun=False)
        self._refuse_infinite(begun=True)

    def _refuse_infinite(self, *, begun: bool) -> None:
        if all(all_finite(numbers) for numbers in (self._begun if begun else self._brought)):
            return
        for world in self.worlds:
            self._at, self._over = world, not begun and world.ended_just_now()
            world.refuse_infinite(begun=begun)

    def where(self) -> str:
        """Returns the world, step and seed of an exception, for messages."""
        return "when it was built" if self._at is None else "in " + self._at.where(ended=self._over)

    def news(self) -> News | None:
        """Returns the worlds' news since the last call; None for none."""
        return self._reporter.news()

    def render(self, row: int) -> Array | str:
        """Returns the picture of a world, or an error as text, because a failure to draw does not end a run."""
        try:
            return self.worlds[row - self._first].render()
        except Exception as error:
            return explain(error)

    def close(self) -> None:
        """Closes all environments, whatever their `close()` raises. A second call does nothing."""
        worlds, self.worlds = self.worlds, []
        for world in worlds:
            world.close()


def _kind(env: Any) -> type[World]:
    if isinstance(env, Copies):
        return WorldOfOne if len(env.envs) == 1 else WorldOfCopies
    return World
