"""The rows of a run in metrics.jsonl and TensorBoard.

Each row is written once to both. After a resume neither holds a step twice: rows of metrics.jsonl after the checkpoint
are removed, and TensorBoard forgets its events after that step. A full disk costs rows, but never the run.
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
from tensorboard.compat.proto import summary_pb2
from torch.utils.tensorboard.summary import custom_scalars, histogram, histogram_raw, hparams

from ..core import Array
from .atomic import write_atomically
from .events import EventFile, append
from .screen import unbreakable

Summary: Any = summary_pb2.Summary  # pyright: ignore[reportAttributeAccessIssue]  (protobuf makes it at import)
METRICS = "metrics.jsonl"


def cut_rows(path: Path, steps: int) -> int | None:
    """Removes the rows of metrics.jsonl after `steps`, and a row that a killed process left half written.

    Returns:
        The step of the last evaluation that is kept; None if there is none.
    """
    if not path.exists():
        return None
    kept, evaluated = [], None
    for line in path.read_bytes().splitlines(keepends=True):
        try:
            row = json.loads(line)
            if row["step"] <= steps and line.endswith(b"\n"):
                kept.append(line)
                evaluated = row["step"] if "eval/length" in row else evaluated
        except (ValueError, KeyError, TypeError):
            continue
    write_atomically(path, b"".join(kept))
    return evaluated


class Monitor:
    """Writes rows of scalars, histograms and videos into a run folder."""

    def __init__(
        self,
        folder: Path,
        *,
        steps: int = 0,
        resumed: bool = False,
        headline: tuple[str, ...] = (),
        say: Callable[[str], object] = lambda line: unbreakable(sys.stderr).write(line + "\n"),
    ) -> None:
        """Removes rows of later steps and sets up TensorBoard's first page.

        Args:
            folder: The run folder.
            steps: Environment steps already made; rows of later steps are removed.
            resumed: Whether the run is resumed, even if from step 0; TensorBoard then forgets events after `steps`.
            headline: Metrics to show first in TensorBoard, after the return.
            say: Called with one line for each kind of file that could not be written.
        """
        self._say = say
        self._said: set[str] = set()
        self._rows = folder / METRICS
        self._events = EventFile(folder, purge_step=steps + 1 if resumed else None)
        self._evaluated: int | None = None
        self._attempt(METRICS, lambda: self._cut(steps))
        if not resumed:
            charts: dict[str, list[Any]] = {"return": ["Multiline", ["rollout/return", "eval/return"]]}
            for name in headline:
                charts[name.replace("_", " ")] = ["Multiline", [f"env/{name}", f"eval/{name}"]]
            self._events.add(custom_scalars({"first look": charts}))
        self.flush()  # a run that is killed before its first row keeps its layout

    def _cut(self, steps: int) -> None:
        self._evaluated = cut_rows(self._rows, steps)

    def _attempt(self, what: str, write: Callable[[], object]) -> None:
        """Calls `write`; if the disk fails, the content is lost and one line says so, but the run continues.

        TensorBoard raises `ValueError` on a name of a folder that is not text in this system's encoding.
        """
        try:
            write()
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            self.say_once(what, f"{what} cannot be written: {reason}; training goes on, rows are lost until it can")

    def say_once(self, what: str, line: str) -> None:
        """Says a line, unless one about `what` was said before."""
        if what not in self._said:
            self._said.add(what)
            self._say(line)

    def hparams(self, options: Mapping[str, Any]) -> None:
        """Writes options to TensorBoard's HPARAMS page, into this run and not into a folder below it."""
        plain = {
            key: value if isinstance(value, (bool, int, float)) else _text(value) for key, value in options.items()
        }

        for part in hparams(plain, {"eval/return": 0.0, "rollout/return": 0.0}):
            self._events.add(part)
        self.flush()

    def row(self, steps: int, scalars: Mapping[str, float]) -> None:
        """Writes scalars, named `group/name`, at `steps`; scalars that are not finite are left out."""
        finite = {name: float(value) for name, value in scalars.items() if math.isfinite(value)}

        line = json.dumps({"step": steps, "time": round(time.time(), 3), **finite}) + "\n"
        self._attempt(METRICS, lambda: append(self._rows, line.encode()))
        values = [Summary.Value(tag=name, simple_value=value) for name, value in finite.items()]
        self._events.add(Summary(value=values), steps)
        self.flush()

    def evaluated(self, steps: int) -> bool:
        """Returns whether an earlier session evaluated at this very step, so that the row is already there."""
        return self._evaluated == steps

    def actions(self, steps: int, action: Array, alive: Array, space: Box | Discrete) -> None:
        """Writes histograms of the actions, (B, N) or (B, N, A), of the agents that are `alive`, (B, N)."""
        chosen = action[alive]
        if not len(chosen):
            return

        if isinstance(space, Box):
            for index in range(chosen.shape[1]):
                self._events.add(histogram(f"rollout/action_{index}", chosen[:, index], bins="auto"), steps)
            return
        counts = np.bincount(chosen - space.start, minlength=int(space.n))
        self._events.add(
            histogram_raw(
                "rollout/action",
                min=float(space.start) - 0.5,
                max=float(space.start + space.n) - 0.5,
                num=int(counts.sum()),
                sum=float(chosen.sum()),
                sum_squares=float((chosen.astype(np.float64) ** 2).sum()),
                bucket_limits=(np.arange(space.n) + space.start + 0.5).tolist(),
                bucket_counts=counts.tolist(),
            ),
            steps,
        )

    def video(self, steps: int, gif: bytes, height: int, width: int) -> None:
        """Shows a GIF among TensorBoard's images."""
        self.picture(steps, "eval/greedy_policy", gif, height, width)

    def picture(self, steps: int, name: str, content: bytes, height: int, width: int) -> None:
        """Shows a GIF or a PNG among TensorBoard's images, named `group/name`."""
        picture = Summary.Image(height=height, width=width, colorspace=3, encoded_image_string=content)
        self._events.add(Summary(value=[Summary.Value(tag=name, image=picture)]), steps)
        self.flush()

    def flush(self) -> None:
        """Hands everything so far to the system."""
        self._attempt("TensorBoard", self._events.flush)

    def close(self) -> None:
        """Writes the rest and ends TensorBoard's writer."""
        self._attempt("TensorBoard", self._events.close)


def _text(value: Any) -> str:
    """Returns a value as text that can be encoded: names of files may hold lone surrogates, which cannot."""
    return str(value).encode("utf-8", "backslashreplace").decode()
