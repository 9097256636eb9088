"""The schedule of a run: its length, and how often it logs, saves, evaluates and films."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from ..maths.ranges import STEPS, Range, check

EPISODES = Range(1, 100_000)
"""Allowed numbers of episodes of an evaluation."""


@dataclass(frozen=True)
class Schedule:
    """The schedule of a run. A step is one step of one world, in which all its agents act at once."""

    total_steps: Annotated[int, Range(1, STEPS.high)] = 2_000_000
    """Length of the run [environment steps]; one step of one world moves all its agents at once."""
    log_every: Annotated[int, STEPS] = 0
    """Shortest interval between two rows of scalars [steps]; 0: a row after every update."""
    save_every: Annotated[int, STEPS] = 200_000
    """Interval between checkpoints [steps]; 0: only at the start, at the end and when interrupted."""
    eval_every: Annotated[int, STEPS] = 0
    """Interval between evaluations of the greedy policy, which choose `best.pt` [steps]; 0: only at the end."""
    eval_episodes: Annotated[int, Range(0, EPISODES.high)] = 20
    """Number of episodes of an evaluation, and of each policy in the table at the end; 0: no evaluations."""
    eval_steps: Annotated[int, STEPS] = 0
    """Longest episode of an evaluation [steps], which is cut there; 0: 10,000, or the environment's limit if longer."""
    video_every: Annotated[int, STEPS] = 0
    """Interval between films of the greedy policy in TensorBoard [steps]; 0: only one at the end."""
    videos: bool = True
    """Film the greedy policy, at the end and every `video_every` steps, if the environment draws pictures."""
    save_replay: bool = False
    """Save an off-policy algorithm's replay too, for a resume bit for bit; checkpoints grow by its size."""

    def __post_init__(self) -> None:
        """Checks every field.

        Raises:
            ValueError: A value is not allowed; the message says what came and what is allowed.
        """
        check(self)
