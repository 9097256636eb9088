"""Output that can never end a run: a closed pipe, a full disk or a narrow encoding loses text, not the training.

`train.py 2>&1 | head -2`, standard error on a full disk, a terminal without umlauts, a standard stream that was closed
before the program began: each of them makes Python raise at the next write, in tqdm and `warnings` too.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Any


class Screen:
    """A text stream whose `write` and `flush` never raise; everything else is that of the stream behind it.

    Attributes:
        fault: The first error of the operating system, or None; a pipe whose reader has gone is not counted.
    """

    def __init__(self, stream: Any) -> None:
        """Wraps a stream.

        Args:
            stream: The stream to write to; None, as Python has it for a closed standard stream, discards everything.
        """
        self._stream = stream
        self.fault: OSError | None = None

    def write(self, text: str) -> int:
        """Writes as much as can be written; characters that the encoding lacks appear as backslash escapes."""
        if self._stream is not None:
            try:
                try:
                    self._stream.write(text)
                except UnicodeEncodeError:
                    encoding = getattr(self._stream, "encoding", None) or "ascii"
                    self._stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
            except (OSError, ValueError) as error:  # ValueError: the stream was closed
                self._note(error)
        return len(text)

    def flush(self) -> None:
        """Flushes the stream."""
        if self._stream is not None:
            try:
                self._stream.flush()
            except (OSError, ValueError) as error:
                self._note(error)

    def isatty(self) -> bool:
        """Returns whether the stream is a terminal."""
        try:
            return self._stream is not None and self._stream.isatty()
        except (OSError, ValueError):
            return False

    @property
    def encoding(self) -> str:
        """The encoding of the stream behind it."""
        return getattr(self._stream, "encoding", None) or "utf-8"

    def fileno(self) -> int:
        """Returns the file descriptor of the stream behind it.

        Raises:
            OSError: The stream is closed.
        """
        if self._stream is None:
            raise OSError("the stream is closed")
        return self._stream.fileno()

    def settle(self) -> None:
        """Flushes, and discards text that cannot be written, on which the interpreter would fail at its exit."""
        if self._stream is None:
            return
        try:
            self._stream.flush()
        except (OSError, ValueError) as error:
            self._note(error)
            with contextlib.suppress(OSError, ValueError, AttributeError):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                try:
                    os.dup2(nowhere, self._stream.fileno())
                finally:
                    os.close(nowhere)
                self._stream.flush()

    def _note(self, error: OSError | ValueError) -> None:
        if self.fault is None and isinstance(error, OSError) and not isinstance(error, BrokenPipeError):
            self.fault = error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def unbreakable(stream: Any) -> Screen:
    """Wraps a stream in a `Screen`, unless it is one already."""
    return stream if isinstance(stream, Screen) else Screen(stream)


@contextlib.contextmanager
def unbreakable_output() -> Iterator[None]:
    """Lets nothing that this process writes to `sys.stdout` and `sys.stderr` raise inside the block."""
    _open_standard_descriptors()
    before = sys.stdout, sys.stderr
    screens = [unbreakable(stream) for stream in before]
    sys.stdout, sys.stderr = screens  # pyright: ignore[reportAttributeAccessIssue]
    try:
        yield
    finally:
        for screen in screens:
            screen.settle()
        sys.stdout, sys.stderr = before


def fault_of(stream: Any) -> OSError | None:
    """Flushes a stream and returns the error that kept it from being written, if it is a `Screen` and there was one."""
    stream.flush()
    return stream.fault if isinstance(stream, Screen) else None


def _open_standard_descriptors() -> None:
    """Gives descriptors 0, 1 and 2 to the null device where they are closed.

    The system hands out the lowest free number: a checkpoint or the memory of a worker would become the "standard
    error" that C code and child processes write to.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            if os.open(os.devnull, os.O_RDWR) == descriptor:
                os.set_inheritable(descriptor, True)
