"""The progress of an evaluation on the screen: a bar of its own on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import sys
import time
from typing import Any, NamedTuple

from tqdm import tqdm

from .progress import BAR_SECONDS, LINE_SECONDS
from .screen import unbreakable


class EvaluationStatus(NamedTuple):
    """How far an evaluation is."""

    policy: str
    """Name of the policy that plays."""
    number: int
    """Number of this policy among those to be evaluated, from 1."""
    policies: int
    """Number of policies to be evaluated."""
    finished: int
    """Episodes of this policy that are over."""
    episodes: int
    """Episodes that this policy plays."""
    steps: int
    """Environment steps made with this policy."""
    most: int
    """Most environment steps that this policy can take, as far as that is known."""


class EvaluationProgress:
    """Shows policy, episodes and the longest time left; called after every step, and ended by `close`."""

    def __init__(self, *, stream: Any = None, quiet: bool = False) -> None:
        """Shows nothing yet.

        Args:
            stream: Where to write; standard error unless given.
            quiet: Show nothing at all.
        """
        self._stream: Any = unbreakable(stream or sys.stderr)
        self._quiet = quiet
        self._terminal = not quiet and self._stream.isatty()
        self._bar: tqdm | None = None
        self._last: EvaluationStatus | None = None
        self._began = self._shown = 0.0

    def __call__(self, status: EvaluationStatus) -> None:
        """Shows the status, if the last one was shown long enough ago."""
        if self._quiet:
            return
        now = time.perf_counter()
        last, self._last = self._last, status
        if last is None or (last.policy, last.number) != (status.policy, status.number) or status.steps < last.steps:
            self._end_bar()
            self._began = now
            if status.number == 1:  # short evaluations show nothing
                self._shown = now
        if now - self._shown < (BAR_SECONDS if self._terminal else LINE_SECONDS):
            return
        self._shown = now
        speed = status.steps / max(now - self._began, 1e-9)
        left = tqdm.format_interval(max(status.most - status.steps, 0) / speed)
        who = f"{status.policy}, {status.number} of {status.policies}" if status.policies > 1 else status.policy
        if self._terminal:
            if self._bar is None:
                self._bar = tqdm(total=status.most, file=self._stream, leave=False, unit="step", unit_scale=True)
            self._bar.set_description_str(f"evaluating {who}", refresh=False)
            self._bar.set_postfix_str(f"{status.finished} of {status.episodes} episodes", refresh=False)
            self._bar.total = max(status.most, status.steps)
            self._bar.update(status.steps - self._bar.n)
            return
        self._stream.write(
            f"evaluating ({who}): {status.finished} of {status.episodes} episodes, {status.steps:,} of at most "
            f"{max(status.most, status.steps):,} steps, at most {left} left\n"
        )
        self._stream.flush()

    def close(self) -> None:
        """Removes the bar."""
        self._end_bar()
        self._last = None

    def _end_bar(self) -> None:
        bar, self._bar = self._bar, None
        if bar is not None:
            bar.close()
