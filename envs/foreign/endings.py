"""Reads the endings that PettingZoo reports as endings of agents and of their world.

Axes: N agents.

PettingZoo reports endings agent by agent; training needs to know what ends a return and what ends a world:

    an agent terminates                            it dies: `terminated`, once
    an agent is truncated while others go on       it leaves: no longer alive, not terminated; `final` has its last
                                                   observation, to bootstrap from
    an agent disappears without an ending          the same
    no agent goes on, some were truncated just     the world is `truncated`; the agents that this stopped count as alive
    now                                            in `final`
    no agent goes on, none was truncated just now  the world has ended: no agent is alive in `final`
    the adapter's time limit is reached            the world is `truncated`, also where the environment reports it as
                                                   the death of all agents that were left
    all agents that were left die together,        the same, and the user is told once; unless the environment was seen
    exactly in the step of the limit found         to truncate at that limit

An agent that is terminated and truncated at once has died.
"""

from __future__ import annotations

from typing import NamedTuple

from .layout import Layout


class Endings(NamedTuple):
    """The endings of one step of one world."""

    terminated: list[bool]  # (N,) agents that died
    stopped: list[bool]  # (N,) agents that were alive when the world was truncated
    truncated: bool  # whether the world is truncated
    ended: bool  # whether the world's episode is over
    limit_as_death: bool  # whether the deaths of all agents that were left were read as the time limit


class EndingsReader:
    """Reads the endings of one world, episode after episode.

    Args:
        layout: The time limits of the environment.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._limit_kills: bool | None = None  # whether the environment reports its limit as death; None: not known yet

    def read(
        self,
        elapsed: int,
        cut: int,
        *,
        alive: list[bool],
        died: list[bool],
        left: list[bool],
        gone: list[bool],
        any_truncation: bool,
    ) -> Endings:
        """Decides how a step ended in which an agent ended or appeared, or a limit was reached.

        Args:
            elapsed: Steps of the episode, this one included.
            cut: Steps after which this episode is cut short; 0 for never.
            alive: (N,) agents that go on.
            died: (N,) agents that terminated in this step.
            left: (N,) agents that were truncated or disappeared in this step.
            gone: (N,) agents that have died or left in this episode.
            any_truncation: Whether the environment reported a truncation in this step.
        """
        layout = self._layout
        at_limit = bool(layout.time_limit) and elapsed >= layout.time_limit
        at_cut = bool(cut) and elapsed >= cut
        stopped, as_death = [False] * len(alive), False
        if any(left) and elapsed == layout.limit_found:
            self._limit_kills = False
        if any(alive):
            if at_limit or at_cut:
                stopped = [a or b for a, b in zip(alive, left, strict=True)]
        elif any(left):
            stopped = left
        elif at_limit:
            stopped, died = died, stopped
        elif self._death_is_the_limit(elapsed, died, gone, any_truncation=any_truncation):
            stopped, died, as_death = died, stopped, True
        truncated = any(stopped)
        return Endings(died, stopped, truncated, truncated or not any(alive), as_death)

    def _death_is_the_limit(self, elapsed: int, died: list[bool], gone: list[bool], *, any_truncation: bool) -> bool:
        """Returns whether all agents that were left died because the limit that was found is reached.

        An environment that truncates at its limit distinguishes the two, and is believed. One that does not is
        recognised by several agents that die at once, or by the death of all agents there were; from then on a single
        agent that is left counts too.
        """
        layout = self._layout
        if elapsed != layout.limit_found or (layout.tells_limit and any_truncation):
            return False
        if self._limit_kills is None and (sum(died) > 1 or sum(died) == sum(gone)):
            self._limit_kills = True
        return bool(self._limit_kills)
