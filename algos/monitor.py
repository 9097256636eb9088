"""What a run tells: TensorBoard, metrics.jsonl and the progress line.

A row is written once to each. After a resume neither holds a step twice: metrics.jsonl is cut back to the checkpoint,
and TensorBoard is told from which step on to forget. A disk that is full loses rows, never the run.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium.spaces import Box, Discrete
from tensorboard.compat.proto.summary_pb2 import Summary  # pyright: ignore[reportAttributeAccessIssue]
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams as hparams_summary

from .checkpoint import write_atomically
from .core import Array

METRICS = "metrics.jsonl"


def cut_rows(path: Path, steps: int) -> None:
    """Drops the rows of metrics.jsonl after `steps`, and whatever a killed process left half written."""
    if not path.exists():
        return
    kept = []
    for line in path.read_bytes().splitlines(keepends=True):
        try:
            if json.loads(line)["step"] <= steps and line.endswith(b"\n"):
                kept.append(line)
        except (ValueError, KeyError, TypeError):
            continue
    write_atomically(path, b"".join(kept))


class Monitor:
    """Writes rows of scalars, histograms and videos into a run folder."""

    def __init__(
        self,
        folder: Path,
        *,
        steps: int = 0,
        headline: tuple[str, ...] = (),
        say: Callable[[str], object] = lambda line: sys.stderr.write(line + "\n"),
    ) -> None:
        """Opens the files.

        Args:
            folder: The run folder.
            steps: Environment steps already done; rows after it are removed.
            headline: The metrics to show first in TensorBoard, after the return.
            say: Told, once each, about what could not be written.
        """
        self._folder = folder
        self._say = say
        self._said: set[str] = set()
        self._rows = folder / METRICS
        self._writer: SummaryWriter | None = None
        self._attempt("metrics.jsonl", lambda: cut_rows(self._rows, steps))
        self._attempt("TensorBoard", lambda: self._open(purge_step=steps + 1 if steps else None))
        if not steps:
            self._attempt("TensorBoard", lambda: self._lay_out(headline))

    def _open(self, purge_step: int | None = None) -> SummaryWriter:
        if self._writer is None:
            self._writer = SummaryWriter(str(self._folder), purge_step=purge_step, max_queue=1000)
        return self._writer

    def _lay_out(self, headline: tuple[str, ...]) -> None:
        charts: dict[str, list[Any]] = {"return": ["Multiline", ["rollout/return", "eval/return"]]}
        for name in headline:
            charts[name.replace("_", " ")] = ["Multiline", [f"env/{name}", f"eval/{name}"]]
        self._open().add_custom_scalars({"first look": charts})

    def _attempt(self, what: str, write: Callable[[], object]) -> None:
        """Runs `write`; a failing disk costs this row and one line on the screen, not the run."""
        try:
            write()
        except OSError as error:
            if what == "TensorBoard":
                self._writer = None  # its thread is dead; the next row opens another file
            self.say_once(what, f"{what} cannot be written ({error}); training goes on, rows are lost until it can")

    def say_once(self, what: str, line: str) -> None:
        """Says a line unless one about `what` was said before."""
        if what not in self._said:
            self._said.add(what)
            self._say(line)

    def hparams(self, options: Mapping[str, Any]) -> None:
        """Options for TensorBoard's HPARAMS page, with the returns; in this run, not in a folder below it."""
        plain = {
            key: value if isinstance(value, (bool, int, float, str)) else str(value) for key, value in options.items()
        }

        def write() -> None:
            writer = self._open()
            for part in hparams_summary(plain, {"eval/return": 0.0, "rollout/return": 0.0}):
                writer._get_file_writer().add_summary(part)  # pyright: ignore  (add_hparams would open a second run)

        self._attempt("TensorBoard", write)

    def row(self, steps: int, scalars: Mapping[str, float]) -> None:
        """Writes scalars, named `group/name`, at `steps`. Those that are not finite are left out."""
        finite = {name: float(value) for name, value in scalars.items() if math.isfinite(value)}

        def tensorboard() -> None:
            writer = self._open()
            for name, value in finite.items():
                writer.add_scalar(name, value, steps)

        def jsonl() -> None:
            line = json.dumps({"step": steps, "time": round(time.time(), 3), **finite})
            with self._rows.open("a", encoding="utf-8") as file:
                file.write(line + "\n")

        self._attempt("metrics.jsonl", jsonl)
        self._attempt("TensorBoard", tensorboard)

    def actions(self, steps: int, action: Array, alive: Array, space: Box | Discrete) -> None:
        """Histograms of the actions of live agents: (B, N) or (B, N, A), `alive` (B, N)."""
        chosen = action[alive]
        if not len(chosen):
            return

        def write() -> None:
            writer = self._open()
            if isinstance(space, Discrete):
                edges = np.arange(space.n + 1) + space.start - 0.5
                counts, _ = np.histogram(chosen, bins=edges)
                writer.add_histogram_raw(
                    "rollout/action",
                    min=float(edges[0]),
                    max=float(edges[-1]),
                    num=int(counts.sum()),
                    sum=float(chosen.sum()),
                    sum_squares=float((chosen.astype(np.float64) ** 2).sum()),
                    bucket_limits=edges[1:].tolist(),
                    bucket_counts=counts.tolist(),
                    global_step=steps,
                )
            else:
                for index in range(chosen.shape[1]):
                    writer.add_histogram(f"rollout/action_{index}", chosen[:, index], steps, bins="auto")

        self._attempt("TensorBoard", write)

    def video(self, steps: int, gif: bytes, height: int, width: int) -> None:
        """Shows a GIF among TensorBoard's images."""
        picture = Summary.Image(height=height, width=width, colorspace=3, encoded_image_string=gif)
        summary = Summary(value=[Summary.Value(tag="eval/greedy_policy", image=picture)])
        self._attempt("TensorBoard", lambda: self._open()._get_file_writer().add_summary(summary, steps))  # pyright: ignore

    def flush(self) -> None:
        """Hands everything written so far to the system."""
        writer = self._writer
        if writer is not None:
            self._attempt("TensorBoard", writer.flush)

    def close(self) -> None:
        """Flushes and closes."""
        writer, self._writer = self._writer, None
        if writer is not None:
            self._attempt("TensorBoard", writer.close)
