"""Statistics of episodes, collected from the steps of B worlds without a loop over worlds.

Axes: B worlds, N agents, W episodes remembered, K columns.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ..core import Array, StepLike

OWN_COLUMNS = ("return", "team_return", "length", "cost")
"""Mean over agents of the sums of their own rewards; sum of the team reward; number of steps; mean over agents of the
sums of their costs."""


def returns_of_groups(agents: Sequence[str], groups: Sequence[Sequence[int]]) -> dict[str, list[int]]:
    """Returns columns for the mean return of each group, with the agents' indices; {} if all are in one group.

    A group is named after its first agent, without a number at the end: `adversary_0` gives `return_adversary`.
    """
    if len(groups) < 2:
        return {}
    names = [re.sub(r"_?\d+$", "", agents[group[0]]) for group in groups]
    if len(set(names)) < len(names):
        names = [agents[group[0]] for group in groups]
    return {f"return_{name}": list(group) for name, group in zip(names, groups, strict=True)}


class EpisodeStatistics:
    """Sums over the running episode of each world, and a window of finished episodes.

    A row of the window holds `OWN_COLUMNS`, the returns of groups if there are several, and the environment's metrics
    at the last step of the episode. A metric that appears late gets a new last column; NaN stands for a missing one.
    """

    def __init__(
        self,
        n_worlds: int,
        n_agents: int,
        metrics: tuple[str, ...],
        *,
        groups: Mapping[str, Sequence[int]] | None = None,
        window: int = 100,
    ) -> None:
        """Starts with empty sums.

        Args:
            n_worlds: B.
            n_agents: N.
            metrics: Names of the environment's metrics that are known already.
            groups: See `returns_of_groups`.
            window: W, the number of finished episodes that `means` covers.
        """
        self._groups = {name: list(agents) for name, agents in (groups or {}).items()}
        self.own_columns = (*OWN_COLUMNS, *self._groups)
        self.columns = self.own_columns
        self.taken: tuple[str, ...] = ()
        """Metrics of the environment that are left out because `own_columns` has their names."""
        self.finished = 0
        self.returns: Array = np.zeros((0, n_agents))
        """(E, N) sums of each agent's own rewards in the whole episodes that ended in the last step."""
        self._reward = np.zeros((n_worlds, n_agents))  # float64: an episode of float32 sums would drift
        self._cost = np.zeros((n_worlds, n_agents))
        self._team_reward = np.zeros(n_worlds)
        self._length = np.zeros(n_worlds, dtype=np.int64)
        self._window = np.zeros((window, len(self.columns)))  # (W, K), a ring
        self._welcome(metrics)

    def add(self, final: StepLike, ended: Array, whole: Array | None = None) -> tuple[Array, Array] | None:
        """Adds one step of every world.

        Args:
            final: The step before any reset.
            ended: (B,) bool, the worlds whose episode is over.
            whole: (B,) bool, the worlds whose episode was not cut short by a fault; None: all.

        Returns:
            None if no whole episode ended; otherwise the indices (E,) of the worlds and their rows (E, K), where K is
            the number of `columns` by now.
        """
        self._reward += final.reward
        self._cost += final.cost
        self._team_reward += final.team_reward
        self._length += 1
        self.returns = self.returns[:0]
        if not ended.any():
            return None
        worlds = np.flatnonzero(ended if whole is None else ended & whole)
        self.returns = self._reward[worlds]
        self._welcome(final.metrics)
        rows = np.full((len(worlds), len(self.columns)), np.nan)
        rows[:, 0] = self._reward[worlds].mean(axis=1)
        rows[:, 1] = self._team_reward[worlds]
        rows[:, 2] = self._length[worlds]
        rows[:, 3] = self._cost[worlds].mean(axis=1)
        for column, agents in enumerate(self._groups.values(), start=len(OWN_COLUMNS)):
            rows[:, column] = self._reward[worlds][:, agents].mean(axis=1)
        own = len(self.own_columns)
        for column, name in enumerate(self.columns[own:], start=own):
            if name in final.metrics:
                rows[:, column] = final.metrics[name][worlds]
        for sums in (self._reward, self._cost, self._team_reward, self._length):
            sums[ended] = 0
        if not len(worlds):
            return None
        for row in rows:
            self._window[self.finished % len(self._window)] = row
            self.finished += 1
        return worlds, rows

    def mean_return(self) -> float | None:
        """Returns the mean of the column `return` over the window; None before the first episode ends."""
        return float(self._window[: self.finished, 0].mean()) if self.finished else None

    def means(self) -> dict[str, float]:
        """Returns means over the window by column, without undefined ones (NaN); {} before the first episode ends."""
        rows = self._window[: self.finished]
        if not len(rows):
            return {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", category=RuntimeWarning)  # a column of NaN alone
            means = np.nanmean(rows, axis=0)
        return {name: float(mean) for name, mean in zip(self.columns, means, strict=True) if np.isfinite(mean)}

    def state_dict(self) -> dict[str, Any]:
        """Returns arrays and plain data from which `load_state_dict` continues exactly."""
        return {
            "columns": list(self.columns),
            "finished": self.finished,
            "reward": self._reward,
            "cost": self._cost,
            "team_reward": self._team_reward,
            "length": self._length,
            "window": self._window,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continues from what `state_dict` returned.

        Raises:
            ValueError: It came from another number of worlds or agents, or from other groups; metrics may differ.
        """
        own, columns = len(self.own_columns), tuple(state["columns"])
        if columns[:own] != self.own_columns or state["reward"].shape != self._reward.shape:
            raise ValueError(
                f"episode statistics of {state['reward'].shape} worlds x agents with {list(state['columns'])} do not "
                f"fit {self._reward.shape} with {list(self.columns)}"
            )
        metrics, self.columns = self.columns[own:], columns
        self.finished = state["finished"]
        self._reward = state["reward"].copy()
        self._cost = state["cost"].copy()
        self._team_reward = state["team_reward"].copy()
        self._length = state["length"].copy()
        self._window = state["window"].copy()
        self._welcome(metrics)

    def _welcome(self, metrics: Iterable[str]) -> None:
        """Adds a column of NaN for each new metric, unless `own_columns` has its name."""
        metrics = tuple(metrics)
        self.taken = tuple(name for name in self.own_columns if name in metrics or name in self.taken)
        late = tuple(name for name in metrics if name not in self.columns)
        if late:
            self.columns += late
            self._window = widened(self._window, len(self.columns))


def widened(rows: Array, n_columns: int) -> Array:
    """Returns rows (E, K), padded with NaN to `n_columns` columns."""
    if rows.shape[1] == n_columns:
        return rows
    return np.pad(rows, ((0, 0), (0, n_columns - rows.shape[1])), constant_values=np.nan)
