"""How far an evaluation is, on the screen: a bar of its own on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import sys
import time
from typing import Any

from tqdm import tqdm

from ..report.progress import BAR_SECONDS, LINE_SECONDS
from ..report.screen import unbreakable
from .evaluation import Stand


class EvaluationProgress:
    """Told after every step; shows policy, episodes and the time that is left at most. Ended by `close`."""

    def __init__(self, *, stream: Any = None, quiet: bool = False) -> None:
        """Shows nothing yet.

        Args:
            stream: Where to, standard error unless given.
            quiet: Show nothing at all.
        """
        self._stream: Any = unbreakable(stream or sys.stderr)
        self._quiet = quiet
        self._terminal = not quiet and self._stream.isatty()
        self._bar: tqdm | None = None
        self._last: Stand | None = None
        self._began = self._shown = 0.0

    def __call__(self, stand: Stand) -> None:
        """Shows where it is, if it is time to."""
        if self._quiet:
            return
        now = time.perf_counter()
        last, self._last = self._last, stand
        if last is None or (last.policy, last.number) != (stand.policy, stand.number) or stand.steps < last.steps:
            self._end_bar()
            self._began = now
            if stand.number == 1:  # short ones show nothing
                self._shown = now
        if now - self._shown < (BAR_SECONDS if self._terminal else LINE_SECONDS):
            return
        self._shown = now
        speed = stand.steps / max(now - self._began, 1e-9)
        left = tqdm.format_interval(max(stand.most - stand.steps, 0) / speed)
        who = f"{stand.policy}, {stand.number} of {stand.policies}" if stand.policies > 1 else stand.policy
        if self._terminal:
            if self._bar is None:
                self._bar = tqdm(total=stand.most, file=self._stream, leave=False, unit="step", unit_scale=True)
            self._bar.set_description_str(f"evaluating {who}", refresh=False)
            self._bar.set_postfix_str(f"{stand.finished} of {stand.episodes} episodes", refresh=False)
            self._bar.total = max(stand.most, stand.steps)
            self._bar.update(stand.steps - self._bar.n)
            return
        self._stream.write(
            f"evaluating ({who}): {stand.finished} of {stand.episodes} episodes, {stand.steps:,} of at most "
            f"{max(stand.most, stand.steps):,} steps, at most {left} left\n"
        )
        self._stream.flush()

    def close(self) -> None:
        """Takes the bar away."""
        self._end_bar()
        self._last = None

    def _end_bar(self) -> None:
        bar, self._bar = self._bar, None
        if bar is not None:
            bar.close()
