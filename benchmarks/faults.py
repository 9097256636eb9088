"""Learners that turn bad, to see what they do to the others: one reports false returns, one becomes noise.

Both are companions around a companion, see `algos.training.companion`. A run has one where its companion is made by
`faulty(accompany, Liar, learner=0, since=100_000)` instead of by `algos.peers.council.accompany`.

Axes: E episodes that ended, P learners.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

RECENT = 200
"""Latest episodes that a liar looks at."""


class _Around:
    """All else is as in the companion inside."""

    def __init__(self, inside: Any, algo: Any, *, learner: int, since: int) -> None:
        self._inside, self._algo, self._learner, self._since = inside, algo, learner, since

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inside, name)


class Liar(_Around):
    """From step `since` on, a learner reports returns of ten deviations above the best that anybody has earned."""

    deviations = 10.0

    def __init__(self, inside: Any, algo: Any, *, learner: int, since: int = 0) -> None:
        super().__init__(inside, algo, learner=learner, since=since)
        self._recent: list[Any] = []

    def after_step(self, steps: int, obs: Any, returns: Any, *, learned: bool) -> dict[str, float]:
        """Replaces the column of the learner in (E, P)."""
        self._recent = [*self._recent, *returns][-RECENT:]
        if steps >= self._since and len(returns):
            seen, returns = np.stack(self._recent), returns.copy()
            returns[:, self._learner] = seen.max() + self.deviations * max(float(seen.std()), 1e-3)
        return self._inside.after_step(steps, obs, returns, learned=learned)


class Noisy(_Around):
    """At step `since`, right after an update, the networks of a learner become noise, once."""

    scale = 1.0
    seed = 0

    def __init__(self, inside: Any, algo: Any, *, learner: int, since: int = 0) -> None:
        super().__init__(inside, algo, learner=learner, since=since)
        self._struck = False

    def after_step(self, steps: int, obs: Any, returns: Any, *, learned: bool) -> dict[str, float]:
        """Strikes before the companion looks at the learners."""
        if learned and steps >= self._since and not self._struck:
            self._struck = True
            generator = torch.Generator().manual_seed(self.seed)
            for numbers in self._algo.parameters_of_learners():
                if numbers.own is not None:
                    own = numbers.own[self._learner]
                    noise = torch.randn(len(own), generator=generator).to(numbers.values)
                    numbers.values[own] = self.scale * noise
        return self._inside.after_step(steps, obs, returns, learned=learned)


def faulty(accompany: Callable[..., Any], fault: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    """Returns what makes the companion of a run, with a fault around it."""

    def made(given: Any, env: Any, algo: Any, *rest: Any) -> Any:
        inside = accompany(given, env, algo, *rest)
        return None if inside is None else fault(inside, algo, **options)

    return made
