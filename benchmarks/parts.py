"""Measures how much time each part takes, by wrapping the functions that the program itself calls.

It is no profiler: a wrapped call costs well under a microsecond, a step of 64 worlds some milliseconds.
"""

from __future__ import annotations

import functools
import importlib
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any


class Clock:
    """Measures seconds by part, each without the parts inside it, which are named `outer/inner`.

    Every thread has its own: a part entered in another thread is inside nothing.

    Args:
        now: Which seconds: by the wall clock, or `time.thread_time`, which other programs do not disturb, where only
            one thread works.
        wait: Called at every border between parts; on a GPU it waits until everything asked for is done.
    """

    def __init__(
        self, now: Callable[[], float] = time.perf_counter, *, wait: Callable[[], object] = lambda: None
    ) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._now = now
        self._wait = wait
        self._mine = _OfThread()
        self._wrapped: list[tuple[Any, str, Any]] = []

    def wrap(self, owner: Any, name: str, part: str) -> None:
        """Counts the time inside `owner.name` as that of `part` from now on."""
        function = getattr(owner, name)

        @functools.wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:
            inside = self._mine.inside
            self._border()
            inside.append(f"{inside[-1]}/{part}" if inside else part)
            try:
                return function(*args, **kwargs)
            finally:
                self._border()
                inside.pop()

        self._wrapped.append((owner, name, function))
        setattr(owner, name, timed)

    def unwrap(self) -> None:
        """Puts every function back."""
        while self._wrapped:
            setattr(*self._wrapped.pop())

    def total(self, part: str, inner: str = "") -> float:
        """Returns the seconds in a part and everything inside it, or in all parts named `inner` inside it."""
        return sum(
            seconds
            for path, seconds in self.seconds.items()
            if f"{path}/".startswith(f"{part}/") and (not inner or path.endswith(f"/{inner}"))
        )

    def _border(self) -> None:
        self._wait()
        mine, now = self._mine, self._now()
        if mine.inside:
            self.seconds[mine.inside[-1]] += now - mine.since
        mine.since = now


class _OfThread(threading.local):
    """The parts that a thread is inside of, and the time since the last border."""

    def __init__(self) -> None:
        self.inside: list[str] = []
        self.since = 0.0


def wrap_warehouse(clock: Clock) -> None:
    """Wraps the warehouse's parts: `physics`, `work` (orders, rewards), `senses` (observations, state, adjacency)."""
    module = importlib.import_module("envs.warehouse.env")  # the package's attribute `env` is something else
    clock.wrap(module, "move", "physics")
    for name in ("work_on", "dispatch"):
        clock.wrap(module, name, "work")
    clock.wrap(module, "observe", "senses")


def wrap_counterfactuals(clock: Clock, env: Any) -> None:
    """Wraps the `counterfactuals` of an environment, where they are computed apart from the step itself."""
    for owner, name in ((env, "_counterfactual"), (getattr(env, "_without", None), "each")):
        if callable(getattr(owner, name, None)):
            clock.wrap(owner, name, "counterfactuals")


WAREHOUSE_PARTS = ("physics", "work", "senses")
