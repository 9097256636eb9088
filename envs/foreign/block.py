"""The worlds of one process: built, stepped in turn, checked together, closed.

Axes: B worlds, of which W are here, N agents, O observation, A actions.

What costs a numpy call a world is done once for all of them: flags are cleared, actions read, rewards written and
numbers checked for NaN and infinity. A block is W rows of the board beside each other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from gymnasium.spaces import Box

from ..core import Array
from .blame import told
from .board import Board
from .copies import WorldOfCopies, WorldOfOne
from .layout import Layout
from .parallel import Copies
from .refusals import all_finite
from .tellings import News, Tellings
from .world import World


class Block:
    """Worlds beside each other.

    Args:
        build: Makes one environment.
        layout: What they show.
        board: Where their rows are.
        rows: (W,) which are theirs.
    """

    def __init__(self, build: Callable[[], Any], layout: Layout, board: Board, rows: Sequence[int]) -> None:
        self.worlds: list[World] = []
        self._first, part = rows[0], slice(rows[0], rows[-1] + 1)
        self._tellings = Tellings(layout.metrics, (board.final.metrics[part], board.next.metrics[part]))
        self._steers = isinstance(layout.actions.space, Box)
        self._action = board.action[part]  # (W, N) or (W, N, A)
        self._reward, self._team_reward, self._cost = board.reward[part], board.team_reward[part], board.cost[part]
        self._flags = board.terminated[part], board.truncated[part], board.ended[part], board.whole[part]
        # Flat views of what must be finite: what steps bring, and beginnings.
        brought = board.final.obs, board.final.state, board.reward, board.cost, board.team_reward
        begun = board.next.obs, board.next.state
        self._brought, self._begun = ([a[part].reshape(-1) for a in some if a.size] for some in (brought, begun))
        self._at: World | None = None  # which is at work
        self._over = False  # whether its last episode is meant
        try:
            for row in rows:
                env = build()
                kind = _kind(env)
                self.worlds.append(kind(env, layout, board, row, self._tellings))
        except BaseException:
            self.close()
            raise

    def reset(self, seed: int) -> None:
        """Begins the episodes that the board names."""
        self._over = False
        for world in self.worlds:
            self._at = world
            world.reset(seed)
        self._refuse_infinite(begun=True)

    def step(self) -> None:
        """Does what the board says; worlds that end begin anew.

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
        with np.errstate(over="ignore"):  # beyond float32 it is infinite, which is refused in a line of its own
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
        """The moment at which an exception came, for messages."""
        return "when it was built" if self._at is None else "in " + self._at.where(ended=self._over)

    def news(self) -> News | None:
        """Returns what the worlds told since the last call; None for nothing."""
        return self._tellings.news()

    def render(self, row: int) -> Array | str:
        """The picture of a world, or what went wrong as text: foreign code may raise anything, and it is no fault."""
        try:
            return self.worlds[row - self._first].render()
        except Exception as error:
            return told(error)

    def close(self) -> None:
        """Closes all environments, whatever any of them says to that; again does nothing."""
        worlds, self.worlds = self.worlds, []
        for world in worlds:
            world.close()


def _kind(env: Any) -> type[World]:
    if isinstance(env, Copies):
        return WorldOfOne if len(env.envs) == 1 else WorldOfCopies
    return World
