"""Output of environments, which must not end them: its reader may be gone, or the disk under it full."""

from __future__ import annotations

import contextlib
import sys
from typing import Any


class Forgiving:
    """A text stream whose `write` and `flush` never raise; everything else is that of the stream behind it."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Writes if that is possible."""
        with contextlib.suppress(OSError, ValueError, AttributeError):  # AttributeError: there is no stream
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Hands on what was written."""
        with contextlib.suppress(OSError, ValueError, AttributeError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def forgive() -> None:
    """From now on nothing that this process writes to `sys.stdout` and `sys.stderr` raises."""
    sys.stdout, sys.stderr = Forgiving(sys.stdout), Forgiving(sys.stderr)  # pyright: ignore[reportAttributeAccessIssue]
