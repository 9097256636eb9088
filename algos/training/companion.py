"""The contract of what accompanies a session: it watches the learners, and changes them between updates."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from ..core import Algorithm, Array, Obs, VectorEnv


class Companion(Protocol):
    """Watches a session, and may change its algorithm where nothing is half done.

    All that it keeps is in `state_dict`, so that a resumed session goes on bit for bit.

    Attributes:
        notes: Remarks for the user at the start of a run, a line each.
    """

    notes: tuple[str, ...]

    def after_step(self, steps: int, obs: Obs, returns: Array, *, learned: bool) -> dict[str, float]:
        """Called after every step of the worlds.

        Args:
            steps: Environment steps made so far.
            obs: The worlds after the step.
            returns: (E, N) sums of each agent's own rewards in the whole episodes that ended in it.
            learned: Whether the algorithm has just learned; on-policy algorithms hold no experience then.

        Returns:
            Scalars for the next row by name, such as `peers/exchanges`.
        """
        ...

    def evaluated(self, of_agents: Array) -> dict[str, float]:
        """Called with the returns of every agent in the episodes of an evaluation during training, (E, N).

        Returns:
            Scalars for the row of that evaluation.
        """
        ...

    def pictures(self) -> dict[str, Array]:
        """Called after `evaluated`; returns pictures of the learners by name, (height, width, 3) uint8 each."""
        ...

    @property
    def best(self) -> int | None:
        """Index of the learner that was best in the last evaluation; None where that is not known."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Returns the state: tensors, arrays and plain data."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores the `state_dict` of an equal companion."""
        ...


MakeEnv = Callable[[int], VectorEnv]
Stop = Callable[[], bool]
Accompany = Callable[[dict[str, Any], VectorEnv, Algorithm, int, Path | None, int, MakeEnv, Stop], Companion | None]
"""Makes the companion of a run.

Takes the options of `--peers.*` by name, the worlds, the algorithm, the seed of the run, its folder (None: only check
the options), the steps already made, a maker of other worlds like these, given their number, and what says that the run
is to stop, which long measurements ask. Returns None where there is nothing to accompany. Raises `ValueError` in one
line where options do not fit.
"""
