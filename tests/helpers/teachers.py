"""Run folders of teachers for tests, and toys whose observations agree with theirs in part."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Box
from run_folders import untrained
from toys import Match

from algos import ALGOS
from algos.core import spec_of
from algos.training import checkpoint, runfolder

LETTERS = ("a", "b", "c", "d")


class Named(Match):
    """`Match` whose entries have names; agents of `Match` alone have none."""

    obs_names = LETTERS


class Mixed(Match):
    """`Match` with its entries in another order, one of them left out and noise in front."""

    obs_dim = 4
    obs_names = ("noise", "d", "b", "a")

    def observe(self) -> np.ndarray[Any, Any]:
        """(B, N, 4): where all but the noise is 0, the third is to be chosen."""
        return np.concatenate([self.draw(9)[..., None], super().observe()[..., [3, 1, 0]]], -1)


def knowing(log_dir: Path, env: Any, algo: str = "ippo", *, right: bool = True, **options: Any) -> Path:
    """The run folder of a policy that does the right thing in `Match`, or in its other answers always the next action.

    Args:
        log_dir: Where it is made.
        env: Worlds of `Match`.
        algo: Name of the algorithm.
        right: Whether it is good.
        **options: Of the algorithm, `algo_...`.
    """
    env.reset(0)
    folder = untrained(log_dir, env, algo, name="toy", **options)
    path, content = checkpoint.load_latest(folder / runfolder.CHECKPOINTS)
    policy = content["algo"]["policy"]
    with torch.no_grad():
        first, head = policy["trunk.layers.0.weights.0"], policy["trunk.head.weights.0"]  # (P, O, 8), (P, 8, A)
        first.copy_(torch.eye(*first.shape[1:]).expand_as(first))
        answer = torch.eye(head.shape[1], head.shape[2])
        head.copy_(8.0 * (answer if right else answer.roll(1, 1)).expand_as(head))
    checkpoint.save(path, content)
    return folder


def student(env: Any, algo: str = "ippo", **options: Any) -> Any:
    """An algorithm for worlds of a toy."""
    entry = ALGOS[algo]
    return entry.algorithm(spec_of(env), entry.config(**{"hidden": (16,), **options}), seed=0, device="cpu")


class Lock(Match):
    """Four steps of `Match` that pay 1 at the end, if all four choices were right: a beginner seldom gets anything."""

    max_steps = 4

    def target(self) -> np.ndarray[Any, Any]:
        """(B, N) in 0..3, another one in every step."""
        return (self.draw(0, self.clock) * 4).astype(np.int64)

    def outcome(self, action: np.ndarray[Any, Any]) -> tuple[Any, Any, None]:
        """1 at the end for those that were right all along."""
        before = True if not hasattr(self, "right") else self.right | (self.clock == 0)[:, None]
        self.right = before & (action == self.target())
        return self.right * (self.clock == self.max_steps - 1)[:, None], np.zeros_like(self.alive), None


class Wide(Match):
    """`Match` with the actions of another task."""

    action_space = Box(-1.0, 1.0, (4,), np.float32)
