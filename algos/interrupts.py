"""SIGINT and SIGTERM as a question that the training loop asks between two steps."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType


class Interrupts:
    """While entered, the first SIGINT or SIGTERM is remembered, not raised; a second one ends the process at once.

    Outside the main thread, where Python allows no handlers, it never asks to stop.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._previous: dict[signal.Signals, object] = {}

    def __call__(self) -> bool:
        """Whether to stop."""
        return self.received is not None

    @property
    def exit_code(self) -> int:
        """What a shell expects of a process ended by the signal: 130 for SIGINT, 143 for SIGTERM; 0 for none."""
        return 0 if self.received is None else 128 + self.received

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._receive)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._restore()

    def _receive(self, number: int, _: FrameType | None) -> None:
        self.received = signal.Signals(number)
        for every in self._previous:
            signal.signal(every, signal.SIG_DFL)  # whoever asks twice does not want to wait

    def _restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # pyright: ignore[reportArgumentType]
        self._previous.clear()
