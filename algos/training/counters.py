"""The counters of a run: steps, when each task was last done, and the scalars that wait for the next row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..core import Array
from .episodes import EpisodeStatistics


@dataclass
class Counters:
    """Everything that changes during a run beside the algorithm and the worlds; checkpoints hold all of it."""

    steps: int = 0
    """Environment steps made so far."""
    marks: dict[str, int] = field(default_factory=dict)
    """Steps at which each recurring task ("eval", "save", ...) was last done."""
    sums: dict[str, float] = field(default_factory=dict)
    """Sums of the update scalars since the last row."""
    counts: dict[str, int] = field(default_factory=dict)
    """Number of updates that reported each scalar; some report more than others."""
    seconds: float = 0.0
    """Time spent training, over all resumes [s]."""
    best: float | None = None
    """Highest mean return of an evaluation whose policy was written to `best.pt`."""

    def due(self, task: str, every: int) -> bool:
        """Returns whether a multiple of `every` steps was reached since `task` was last done; 0 is never."""
        return every > 0 and self.steps // every > self.marks.get(task, 0) // every

    def add(self, scalars: Mapping[str, float]) -> None:
        """Adds the scalars of one update to those of the next row."""
        for name, value in scalars.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
            self.counts[name] = self.counts.get(name, 0) + 1

    def close_row(self) -> None:
        """Begins a new row: the sums start from zero."""
        self.marks["row"] = self.steps
        self.sums, self.counts = {}, {}


def row_of(
    counters: Counters, episodes: EpisodeStatistics, clock: Array, *, steps: int, n_agents: int
) -> dict[str, float]:
    """Returns the scalars of one row, by name.

    Args:
        counters: Its sums are averaged over the updates since the last row.
        episodes: Statistics of the latest episodes.
        clock: (4,) time spent acting, stepping the worlds, updating, and altogether, since the last row [s].
        steps: Environment steps since the last row.
        n_agents: Number of agents of a world.
    """
    means = {name: total / counters.counts[name] for name, total in counters.sums.items()}
    row = {name if "/" in name else f"train/{name}": mean for name, mean in means.items()}
    for name, mean in episodes.means().items():
        row[f"{'rollout' if name in episodes.own_columns else 'env'}/{name}"] = mean
    row["rollout/episodes"] = episodes.finished
    seconds = max(clock[3], 1e-9)
    row["time/steps_per_second"] = steps / seconds
    row["time/agent_steps_per_second"] = steps * n_agents / seconds
    row["time/training_seconds"] = counters.seconds
    for name, spent in zip(("act", "env", "update"), clock, strict=False):
        row[f"time/share_{name}"] = spent / seconds
    return row
