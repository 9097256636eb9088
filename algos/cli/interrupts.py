"""SIGINT, SIGTERM and SIGHUP as a question that the training loop asks between two steps."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType

STOPPING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Ctrl-C, a polite kill, and a terminal that was closed."""


class Interrupts:
    """While entered, the first of these signals is remembered, not raised; a second one ends the process at once.

    A SIGHUP that is ignored, as `nohup` has it, stays ignored. Outside the main thread, where Python allows no
    handlers, it never asks to stop.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._previous: dict[signal.Signals, object] = {}

    def __call__(self) -> bool:
        """Whether to stop."""
        return self.received is not None

    @property
    def exit_code(self) -> int:
        """What a shell expects of a process ended by the signal: 130 for SIGINT, 143 SIGTERM, 129 SIGHUP; 0: none."""
        return 0 if self.received is None else 128 + self.received

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            for number in STOPPING:
                if number.name == "SIGHUP" and signal.getsignal(number) == signal.SIG_IGN:
                    continue
                self._previous[number] = signal.signal(number, self._receive)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._restore()

    def _receive(self, number: int, _: FrameType | None) -> None:
        self.received = signal.Signals(number)
        for every in self._previous:
            twice = every == number and every.name == "SIGHUP"  # a shell and the system both tell of a closed terminal
            signal.signal(every, signal.SIG_IGN if twice else signal.SIG_DFL)  # who asks twice does not want to wait

    def _restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # pyright: ignore[reportArgumentType]
        self._previous.clear()
