"""The progress of a run on the screen: a bar on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any, TextIO

from tqdm import tqdm

from .screen import unbreakable

BAR_SECONDS = 0.2
"""Time between two states of the bar [s]."""
LINE_SECONDS = 5.0
"""Time between two lines where there is no terminal [s]."""


class Progress:
    """Shows steps done, speed, return and time left."""

    def __init__(self, total_steps: int, *, steps: int = 0, stream: TextIO | None = None, quiet: bool = False) -> None:
        """Starts the clock.

        Args:
            total_steps: Environment steps of the whole run.
            steps: Those already done, by a run that is resumed.
            stream: Where to, standard error unless given.
            quiet: Show nothing.
        """
        self._total = total_steps
        self._first = steps
        self._stream: Any = unbreakable(stream or sys.stderr)
        self._quiet = quiet
        self._began = self._shown = time.perf_counter()
        self._bar: tqdm | None = None
        if not quiet and self._stream.isatty():
            self._bar = tqdm(
                total=total_steps,
                initial=steps,
                file=self._stream,
                unit="step",
                unit_scale=True,
                dynamic_ncols=True,
                smoothing=0.05,
            )

    def update(self, steps: int, mean_return: Callable[[], float | None]) -> None:
        """Shows where the run is.

        Args:
            steps: Environment steps done.
            mean_return: Of the episodes finished lately; asked only when something is shown.
        """
        now = time.perf_counter()
        if self._quiet or now - self._shown < (BAR_SECONDS if self._bar is not None else LINE_SECONDS):
            return
        self._shown = now
        value = mean_return()
        shown = "" if value is None else f"return {value:.3g}"
        if self._bar is not None:
            self._bar.set_postfix_str(shown, refresh=False)
            self._bar.update(steps - self._bar.n)
            return
        speed = (steps - self._first) / (now - self._began)
        left = tqdm.format_interval((self._total - steps) / speed) if speed > 0 else "?"
        self.say(
            "  ".join(
                filter(None, (f"{steps:,} of {self._total:,} steps", f"{speed:,.0f} steps/s", shown, f"{left} left"))
            )
        )

    def say(self, line: str) -> None:
        """Prints one line without tearing the bar."""
        if self._bar is not None:
            self._bar.write(line, file=self._stream)
        else:
            self._stream.write(line + "\n")
            self._stream.flush()

    def close(self, steps: int) -> None:
        """Ends the bar at `steps`."""
        if self._bar is not None:
            self._bar.update(steps - self._bar.n)
            self._bar.close()
