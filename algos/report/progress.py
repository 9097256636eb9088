"""The progress of a run on the screen: a bar on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, TextIO

from tqdm import tqdm

from .screen import unbreakable

BAR_SECONDS = 0.2
"""Time between two states of the bar [s]."""
LINE_SECONDS = 5.0
"""Time between two lines where there is no terminal [s]."""
PATIENCE = 1.0
"""Work that takes longer than this is announced where there is no terminal [s]."""


class Progress:
    """Shows the steps made, the speed, the return and the time left.

    The clock starts with the second step, because the first one may load kernels, start threads and allocate memory.
    It stands still during a `phase`, which is not training, and between `pause` and `go_on`.
    """

    def __init__(self, total_steps: int, *, steps: int = 0, stream: TextIO | None = None, quiet: bool = False) -> None:
        """Shows an empty bar on a terminal, and nothing elsewhere.

        Args:
            total_steps: Environment steps of the whole run.
            steps: Steps that a resumed run has already made.
            stream: Where to write; standard error unless given.
            quiet: Show nothing.
        """
        self._total = total_steps
        self._first = self._last = steps
        self._stream: Any = unbreakable(stream or sys.stderr)
        self._quiet = quiet
        self._began: float | None = None  # None until the first step is made
        self._paused: float | None = None  # when training was paused; None while it runs
        self._shown = time.perf_counter()
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
        """Shows how far the run is.

        Args:
            steps: Environment steps made.
            mean_return: Gives the mean return of the latest episodes; called only when something is shown.
        """
        now = time.perf_counter()
        self._last = steps
        if self._began is None:
            self._began, self._first = now, steps
            if self._bar is not None:
                self._bar.initial = self._bar.n = min(steps, self._total)
                self._bar.unpause()
        if self._quiet or now - self._shown < (BAR_SECONDS if self._bar is not None else LINE_SECONDS):
            return
        self._shown = now
        value = mean_return()
        shown = "" if value is None else f"return {value:.3g}"
        if self._bar is not None:
            self._bar.set_postfix_str(shown, refresh=False)
            self._advance(steps)
            return
        speed = (steps - self._first) / max(now - self._began, 1e-9)
        left = tqdm.format_interval(max(self._total - steps, 0) / speed) if speed > 0 else "?"
        parts = (self._done(steps), f"{speed:,.0f} steps/s" if speed > 0 else "", shown, f"{left} left")
        self.say("  ".join(filter(None, parts)))

    @contextlib.contextmanager
    def phase(self, words: str) -> Iterator[None]:
        """Shows work other than training, such as "evaluating"; its time does not count."""
        begin = time.perf_counter()
        if self._bar is not None:
            self._bar.set_description_str(words)
        lines = not self._quiet and self._bar is None
        try:
            with announced(words, self.say) if lines else contextlib.nullcontext():
                yield
        finally:
            if self._began is not None and self._paused is None:
                self._began += time.perf_counter() - begin
            if self._bar is not None:
                self._bar.set_description_str("", refresh=False)
                self._bar.unpause()

    def pause(self) -> None:
        """Stops the clock until `go_on`."""
        if self._paused is None:
            self._paused = time.perf_counter()

    def go_on(self) -> None:
        """Starts the clock again after `pause`."""
        if self._paused is None:
            return
        if self._began is not None:
            self._began += time.perf_counter() - self._paused
        self._paused = None
        if self._bar is not None:
            self._bar.unpause()

    def say(self, line: str) -> None:
        """Prints one line without tearing the bar."""
        if self._bar is not None:
            self._bar.write(line, file=self._stream)
        else:
            self._stream.write(line + "\n")
            self._stream.flush()

    def trained(self, steps: int) -> None:
        """Shows the last step of training; evaluation and saving may follow."""
        ended_now = self._last != self._first or self._began is not None
        self._last = steps
        if self._bar is not None:
            self._advance(steps)
            self._bar.refresh()
        elif not self._quiet and ended_now:
            self.say(self._done(steps))

    def close(self, steps: int) -> None:
        """Ends the bar at `steps`."""
        if self._bar is not None:
            self._advance(steps)
            self._bar.close()

    def _advance(self, steps: int) -> None:
        assert self._bar is not None
        self._bar.update(min(steps, self._total) - self._bar.n)  # beyond the total, tqdm shows no percentage

    def _done(self, steps: int) -> str:
        share = 100 * min(steps, self._total) // self._total
        return f"{steps:,} of {self._total:,} steps, {share} %"


@contextlib.contextmanager
def announced(words: str, say: Callable[[str], object], *, patience: float | None = None) -> Iterator[None]:
    """Says `words` if the block takes longer than `patience` [s], by default `PATIENCE`."""
    timer = threading.Timer(PATIENCE if patience is None else patience, say, (f"{words} ...",))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
