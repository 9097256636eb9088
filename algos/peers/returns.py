"""The latest returns of learners: how good each is, and how sure that is.

Axes: P learners, E episodes, W episodes remembered of each learner.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core import Array


def scaled(mean: Array) -> Array:
    """Returns numbers (P,) from 0, the least, to 1, the greatest; all 0 where they do not differ, and 0 for NaN."""
    known = np.isfinite(mean)
    if not known.any():
        return np.zeros_like(mean)
    low, high = mean[known].min(), mean[known].max()
    return np.where(known, (mean - low) / (high - low) if high > low else 0.0, 0.0)


class Returns:
    """A window of the latest returns of every learner."""

    def __init__(self, learners: int, window: int = 100) -> None:
        """Starts empty.

        Args:
            learners: P.
            window: W.
        """
        self._window = np.full((window, learners), np.nan)  # (W, P), a ring
        self._skip = np.zeros(learners, np.int64)
        self.episodes = 0
        """Episodes of each learner so far; all learners end theirs together."""

    def add(self, returns: Array) -> None:
        """Adds the returns of episodes that ended, (E, P)."""
        for one in returns:
            self._window[self.episodes % len(self._window)] = np.where(self._skip > 0, np.nan, one)
            self._skip = np.maximum(self._skip - 1, 0)
            self.episodes += 1

    def forget(self, learner: int, running: int = 0) -> None:
        """Forgets the returns of a learner that has become another.

        Args:
            learner: Its index.
            running: Episodes that it has begun as what it was: as many of the next returns are left out.
        """
        self._window[:, learner] = np.nan
        self._skip[learner] = running

    def of(self, learner: int) -> Array:
        """Returns a copy of what is remembered of a learner, (W,)."""
        return self._window[:, learner].copy()

    def recall(self, learner: int, window: Array, running: int = 0) -> None:
        """Remembers of a learner what `of` returned, because it has become again what it was.

        Args:
            learner: Its index.
            window: (W,).
            running: Episodes that it has begun as another, see `forget`.
        """
        self._window[:, learner] = window
        self._skip[learner] = running

    def gain(self, newest: int) -> tuple[Array, Array]:
        """Returns by how much the newest episodes are better than those before them, and its standard error, (P,) each.

        Args:
            newest: How many episodes are the newest; at most half of the window.
        """
        newest = min(newest, len(self._window) // 2)
        order = (self.episodes - 1 - np.arange(len(self._window))) % len(self._window)  # newest first
        parts = []
        for rows in (self._window[order[:newest]], self._window[order[newest:]]):
            part = Returns(rows.shape[1], len(rows))
            part._window = rows
            parts.append((part.mean, part.error))
        (now, of_now), (before, of_before) = parts
        return now - before, np.hypot(of_now, of_before)

    @property
    def counts(self) -> Array:
        """Returns that are remembered, (P,) int."""
        return np.isfinite(self._window).sum(axis=0)

    @property
    def mean(self) -> Array:
        """Mean returns, (P,); NaN where nothing is remembered."""
        counts = self.counts
        return np.where(counts > 0, np.nansum(self._window, axis=0) / np.maximum(counts, 1), np.nan)

    @property
    def error(self) -> Array:
        """Standard errors of the means, (P,); infinite where fewer than two returns are remembered."""
        counts = self.counts
        away = np.nansum((self._window - self.mean) ** 2, axis=0) / np.maximum(counts - 1, 1)
        return np.where(counts > 1, np.sqrt(away / np.maximum(counts, 1)), np.inf)

    @property
    def normalised(self) -> Array:
        """Means from 0, the worst learner's, to 1, the best one's, (P,); all 0 where they do not differ.

        So a comparison of learners does not depend on the reward's units, nor on its sign.
        """
        return scaled(self.mean)

    @property
    def scale(self) -> float:
        """Standard deviation of single returns: the root of the mean variance over learners; 0 if not known."""
        counts = self.counts
        if not (counts > 1).any():
            return 0.0
        away = np.nansum((self._window - self.mean) ** 2, axis=0) / np.maximum(counts - 1, 1)
        return float(np.sqrt(away[counts > 1].mean()))

    def state_dict(self) -> dict[str, Any]:
        """Returns arrays and plain data from which `load_state_dict` continues exactly."""
        return {"window": self._window.copy(), "skip": self._skip.copy(), "episodes": self.episodes}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continues from what `state_dict` returned.

        Raises:
            ValueError: It came from another number of learners, or remembers another number of episodes.
        """
        if state["window"].shape != self._window.shape:
            raise ValueError(f"returns of {state['window'].shape} episodes x learners do not fit {self._window.shape}")
        self._window, self._skip = state["window"].copy(), state["skip"].copy()
        self.episodes = state["episodes"]
