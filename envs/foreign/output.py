"""Output of environments. A failure to write it, to a closed pipe or a full disk, must not end a worker."""

from __future__ import annotations

import contextlib
import sys
from typing import Any


class Forgiving:
    """A text stream whose `write` and `flush` never raise; everything else is that of the stream behind it."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Writes the text, if that is possible."""
        with contextlib.suppress(OSError, ValueError, AttributeError):  # AttributeError: there is no stream
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flushes the stream, if that is possible."""
        with contextlib.suppress(OSError, ValueError, AttributeError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def forgive() -> None:
    """Replaces `sys.stdout` and `sys.stderr` by streams whose `write` and `flush` never raise."""
    sys.stdout, sys.stderr = Forgiving(sys.stdout), Forgiving(sys.stderr)  # pyright: ignore[reportAttributeAccessIssue]
