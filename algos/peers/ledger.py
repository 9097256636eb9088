"""A record of every exchange between learners: peers.jsonl in the run folder, a line each.

After a resume it holds nothing twice: lines of later steps than the checkpoint's are removed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..report.events import append
from ..report.monitor import cut_rows

LEDGER = "peers.jsonl"


class Ledger:
    """Appends lines of JSON; a disk that fails costs lines, but never the run."""

    def __init__(self, folder: Path, steps: int) -> None:
        """Removes lines of later steps, and a line that a killed process left half written.

        Args:
            folder: The run folder.
            steps: Environment steps already made.
        """
        self._path = folder / LEDGER
        cut_rows(self._path, steps)

    def write(self, steps: int, line: Mapping[str, Any]) -> None:
        """Writes a line: what happened, and the steps made by then; null stands for what is not known."""
        known = {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in line.items()
        }
        text = json.dumps({"step": steps, **known}) + "\n"
        try:
            append(self._path, text.encode("utf-8"))
        except OSError:
            return
