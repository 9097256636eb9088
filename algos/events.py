"""Files of events for TensorBoard, and appending that leaves no half-written record behind.

Not `SummaryWriter` of torch: that writes in a thread, which dies with a traceback on a full disk and ends the file.
"""

from __future__ import annotations

import io
import os
import socket
import time
from pathlib import Path
from typing import Any

from tensorboard.compat.proto import event_pb2
from tensorboard.summary.writer.record_writer import RecordWriter

Event: Any = event_pb2.Event  # pyright: ignore[reportAttributeAccessIssue]  (protobuf makes it at import)
SessionLog: Any = event_pb2.SessionLog  # pyright: ignore[reportAttributeAccessIssue]


def append(path: Path, content: bytes) -> None:
    """Appends all of `content` or nothing.

    Raises:
        OSError: The disk is full, or the file is not writable; what had been written is taken back.
    """
    with path.open("ab", buffering=0) as file:
        before = file.tell()
        left = memoryview(content)
        try:
            while left:
                left = left[file.write(left) :]
        except OSError:
            file.truncate(before)
            raise


class EventFile:
    """One file of events in a run folder; records wait in memory until `flush`."""

    def __init__(self, folder: Path, *, purge_step: int | None = None) -> None:
        """Names the file; it is made by the first flush.

        Args:
            folder: The run folder.
            purge_step: Events of earlier files from this step on are to be forgotten: the run was resumed before it.
        """
        now = time.time()
        name = f"events.out.tfevents.{int(now):010d}.{socket.gethostname()}.{os.getpid()}.{time.monotonic_ns()}"
        self._path = folder / name
        self._pending = io.BytesIO()
        self._records = RecordWriter(self._pending)
        self._add(Event(wall_time=now, file_version="brain.Event:2"))
        if purge_step is not None:
            start = SessionLog(status=SessionLog.START)
            self._add(Event(wall_time=now, step=purge_step, session_log=start))
        self._beginning = self._pending.getvalue()  # without it the file means nothing

    def add(self, summary: Any, steps: int = 0) -> None:
        """Adds a `Summary` at a step."""
        self._add(Event(wall_time=time.time(), step=steps, summary=summary))

    def flush(self) -> None:
        """Writes what waits.

        Raises:
            OSError: See `append`; what waited is dropped, but for the file's beginning.
        """
        content = self._pending.getvalue()
        self._pending.seek(0)
        self._pending.truncate()
        try:
            append(self._path, content)
            self._beginning = b""
        except OSError:
            self._pending.write(self._beginning)
            raise

    def _add(self, event: Any) -> None:
        self._records.write(event.SerializeToString())
