"""Turns SIGINT, SIGTERM and SIGHUP into a flag that the training loop reads between two steps."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType

STOPPING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Ctrl-C, `kill`, and a closed terminal."""


class Interrupts:
    """In its `with` block, the first of these signals sets the flag, and a second one ends the process at once.

    If SIGHUP is ignored, as under `nohup`, it stays ignored. Outside the main thread, where Python allows no signal
    handlers, the flag is never set.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._previous: dict[signal.Signals, object] = {}

    def __call__(self) -> bool:
        """Returns whether to stop."""
        return self.received is not None

    @property
    def exit_code(self) -> int:
        """The exit code by convention: 130 after SIGINT, 143 after SIGTERM, 129 after SIGHUP, 0 after none."""
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
            # A second signal ends the process at once. But for a closed terminal, shell and system both send one.
            twice = every == number and every.name == "SIGHUP"
            signal.signal(every, signal.SIG_IGN if twice else signal.SIG_DFL)

    def _restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # pyright: ignore[reportArgumentType]
        self._previous.clear()
