"""TensorBoard's events, written by torch's `SummaryWriter` but safe on a full disk.

`wandb.init(sync_tensorboard=True)` and similar tools replace the class that `SummaryWriter` writes with, so the events
must go through it. But it writes in a thread that dies with a traceback on a full disk, may leave half a record that
hides all later ones, and never writes again. Therefore its bytes are collected here, and appended all or not at all.
"""

from __future__ import annotations

import io
import os
import shutil
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter

PROBE = 4096
"""Space needed for the beginning of a file [bytes], which `SummaryWriter` writes by itself."""


def append(path: Path, content: bytes) -> None:
    """Appends all of `content` or nothing.

    Raises:
        OSError: The disk is full or the file is not writable; a part that was already written is removed.
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
    """A file of events in a run folder; summaries stay in memory until `flush`."""

    def __init__(self, folder: Path, *, purge_step: int | None = None) -> None:
        """Creates no file yet; the first flush does.

        Args:
            folder: The run folder.
            purge_step: Step from which on TensorBoard forgets the events of earlier files, because the run was resumed
                before it; None: it forgets none.
        """
        self._folder = folder
        self._purge_step = purge_step
        self._waiting: list[tuple[Any, int, float]] = []
        self._writer: SummaryWriter | None = None
        self._records: _WholeRecords | None = None

    def add(self, summary: Any, steps: int = 0) -> None:
        """Adds a `Summary` at a step."""
        self._waiting.append((summary, steps, time.time()))

    def flush(self) -> None:
        """Writes the summaries in memory.

        Raises:
            OSError: The disk is full or the folder is not writable; these summaries are lost, later ones are not.
        """
        waiting, self._waiting = self._waiting, []
        if self._writer is None:
            self._open()
        writer: Any = self._writer
        for summary, steps, when in waiting:
            writer.file_writer.add_summary(summary, steps, when)
        writer.flush()
        if self._records is not None:
            self._records.complain()

    def close(self) -> None:
        """Writes the summaries in memory and ends the writer's thread.

        Raises:
            OSError: See `flush`.
        """
        try:
            if self._waiting:
                self.flush()
        finally:
            writer, self._writer = self._writer, None
            if writer is not None:
                writer.close()

    def _open(self) -> None:
        with tempfile.TemporaryFile(dir=self._folder) as probe:
            probe.write(bytes(PROBE))
            probe.flush()
        before = {path.name for path in self._folder.glob("*tfevents*")}
        with tempfile.TemporaryDirectory() as elsewhere:
            log_dir = str(self._folder) if _is_text(self._folder) else elsewhere
            writer = SummaryWriter(log_dir, purge_step=self._purge_step)
            writer.flush()
            self._records = _WholeRecords.behind(writer)
            if self._records is not None:
                self._records.settle(self._folder, max(before, default=""))
        self._writer = writer


def _is_text(folder: Path) -> bool:
    """Returns whether TensorBoard, which reads every path as UTF-8, can find the folder."""
    try:
        return os.fsencode(folder) == str(folder).encode()
    except UnicodeEncodeError:
        return False


class _WholeRecords:
    """Collects the bytes that a `SummaryWriter`'s thread writes, and appends whole records or nothing."""

    closed = False

    def __init__(self, path: Path) -> None:
        self._path = path
        self._pending = io.BytesIO()
        self._lock = threading.Lock()  # the writer's thread flushes now and then too
        self._error: OSError | None = None

    @classmethod
    def behind(cls, writer: Any) -> _WholeRecords | None:
        """Inserts itself between a writer and its file; None if TensorBoard's classes differ from those of 2026."""
        try:
            events = writer.file_writer.event_writer
            path, records = Path(events._file_name), events._async_writer._writer
            assert path.exists()
            assert hasattr(records, "_writer")
        except (AttributeError, TypeError, AssertionError):
            return None
        records._writer = found = cls(path)
        return found

    def settle(self, folder: Path, last: str) -> None:
        """Moves the file into its folder under a name that sorts after `last`, because TensorBoard reads in that order.

        Names hold the time in seconds and a counter without leading zeros; a run that is resumed within the same
        second, or on a machine whose clock is behind, would otherwise be read before the run that it continues.
        """
        name = self._path.name if self._path.name > last else f"{last}.1"
        if self._path != folder / name:
            self._path = Path(shutil.move(self._path, folder / name))

    def write(self, content: bytes) -> None:
        with self._lock:
            self._pending.write(content)

    def flush(self) -> None:
        """Appends what was collected; an error is kept for `complain`, as here it would end the writer's thread."""
        with self._lock:
            content = self._pending.getvalue()
            if not content:
                return
            self._pending = io.BytesIO()
            try:
                append(self._path, content)
            except OSError as error:
                self._error = error

    def close(self) -> None:
        self.flush()

    def complain(self) -> None:
        """Raises the error of the last append, if it failed."""
        with self._lock:
            error, self._error = self._error, None
        if error is not None:
            raise error
