"""The checkpoints that a run writes: the latest ones, to resume from, and the best policy so far."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..core import Algorithm, Array, VectorEnv
from . import checkpoint
from .companion import Companion
from .counters import Counters
from .episodes import EpisodeStatistics
from .finite import check_saved
from .identity import WHOSE


@dataclass
class RunCheckpoints:
    """Writes checkpoints. A full disk costs a checkpoint but not the run: the next interval tries again."""

    folder: Path
    env: VectorEnv
    algo: Algorithm
    episodes: EpisodeStatistics
    counters: Counters
    say: Callable[[str], object]
    """Called with one line about a checkpoint that could not be written."""
    save_replay: bool
    identity: dict[str, Any] | None
    """The run that the checkpoints belong to, see `identity`."""
    companion: Companion | None = None
    """What accompanies the session; its state is saved, too."""

    def save_best(self, started: Array, mean: float) -> None:
        """Saves the policy as `best.pt` if `mean`, an evaluation's mean return, is the highest so far.

        A policy that could not be written does not count, so that a later one need not be better than a missing file.
        """
        before = self.counters.best
        if np.isfinite(mean) and (before is None or mean > before):
            self.counters.best = mean
            if not self.save(started, best=True):
                self.counters.best = before

    def save(self, started: Array, *, best: bool = False) -> bool:
        """Saves a checkpoint; returns whether it could be written.

        Args:
            started: (B,) bool, worlds whose next step is the first of an episode.
            best: Write `best.pt`; otherwise the newest of the numbered checkpoints.

        Raises:
            NonFiniteError: A learned number is NaN or infinite; nothing is written.
        """
        learned = self.algo.state_dict()
        check_saved(learned)
        content = {
            "algo": learned,
            "env": self.env.state_dict(),
            "episodes": self.episodes.state_dict(),
            "started": started,
            "run": dict(vars(self.counters)),
            WHOSE: self.identity,
            **({} if self.companion is None else {"companion": self.companion.state_dict()}),
        }
        # `best.pt` is for playing, not for resuming, and never holds the replay.
        if self.save_replay and not best and self.algo.replay is not None:
            content["replay"] = self.algo.replay.state_dict()
        try:
            if best:
                checkpoint.save(self.folder / "best.pt", content)
            else:
                checkpoint.save_latest(self.folder, self.counters.steps, content)
        except OSError as error:
            self.say(
                f"checkpoint at step {self.counters.steps:,} could not be saved: {error.strerror or error} "
                f"({error.filename or self.folder}); the earlier ones are intact"
            )
            return False
        return True
