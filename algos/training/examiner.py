"""What looks at the policy in training without touching it: evaluations, the comparison at the end, films."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import torch

from ..core import Algorithm, VectorEnv
from ..report.evaluation_progress import EvaluationStatus
from ..report.monitor import Monitor
from ..report.video import encode_gif
from . import film
from .contrast import LEARNED, SAMPLED, SAMPLING_SEED, far_apart
from .evaluation import CHOOSING_SEED, Act, Evaluation, Policies, compare, evaluate, worlds_for
from .policy import Player

FILM_SECONDS, MOST_FRAMES = 15.0, 400
"""Length of a film in TensorBoard [s], 300 frames or so; and the most of them where episodes have no known end."""


@dataclass
class Examiner:
    """Evaluates and films the greedy policy, without touching the one in training."""

    algo: Algorithm
    make_env: Callable[[int], VectorEnv]
    monitor: Monitor
    stop: Callable[[], bool]
    show: Callable[[EvaluationStatus], None]
    """Called with how far an evaluation is."""
    most_steps: int = 0
    """See `evaluate`."""

    def evaluate(self, n_episodes: int, steps: int) -> Evaluation | None:
        """Writes an `eval/` row at `steps`; None where `stop` came first, and nothing is written."""
        evaluation = evaluate(
            self.make_env(worlds_for(n_episodes)),
            Player(self.algo.policy),
            n_episodes,
            seed=CHOOSING_SEED,
            most_steps=self.most_steps,
            stop=self.stop,
            show=self.show,
            status=EvaluationStatus(LEARNED, 1, 1, 0, n_episodes, 0, 0),
        )
        if evaluation is not None:
            self._write(evaluation, steps)
        return evaluation

    def judge(self, n_episodes: int) -> Evaluation | None:
        """Plays the episodes that judge a policy, and writes nothing; None where `stop` came first."""
        return evaluate(
            self.make_env(worlds_for(n_episodes)),
            Player(self.algo.policy),
            n_episodes,
            most_steps=self.most_steps,
            stop=self.stop,
            show=self.show,
            status=EvaluationStatus(LEARNED, 1, 1, 0, n_episodes, 0, 0),
        )

    def compare(self, policies: Policies, n_episodes: int, steps: int) -> dict[str, Evaluation] | None:
        """The learned policy and the others on the same episodes; None where interrupted.

        The policy that draws its actions is among them where it is far from the greedy one.
        """
        every = {LEARNED: lambda _: Player(self.algo.policy), SAMPLED: self._sampled, **policies}
        found = compare(self.make_env, every, n_episodes, most_steps=self.most_steps, stop=self.stop, show=self.show)
        if found is None:
            return None
        self._write(found[LEARNED], steps)
        if not far_apart(found):
            del found[SAMPLED]
        return found

    def film(self, steps: int) -> None:
        """Shows an episode in TensorBoard; where that cannot be done, for whatever reason, says so once."""
        try:
            env = self.make_env(1)
            pace = film.pace(env, seconds=FILM_SECONDS)
            frames = film.frames(env, Player(self.algo.policy), pace, stop=self.stop, most=MOST_FRAMES)
            first = next(frames)
            gif = encode_gif(itertools.chain((first,), frames), pace.seconds)
            self.monitor.video(steps, gif, *first.shape[:2])
        except Exception as error:  # a missing package, frames of two sizes, a dead world: no picture is worth a run
            reason = " ".join(f"{error}".split())
            if not (reason and isinstance(error, (ImportError, NotImplementedError))):  # those speak to the user
                reason = f"{type(error).__name__}: {reason}".removesuffix(": ")
            self.monitor.say_once("video", f"no videos: {reason}")

    def _sampled(self, _: VectorEnv) -> Act:
        device = next(self.algo.policy.parameters()).device
        return Player(self.algo.policy, generator=torch.Generator(device).manual_seed(SAMPLING_SEED))

    def _write(self, evaluation: Evaluation, steps: int) -> None:
        for note in evaluation.notes:
            self.monitor.say_once(note, f"evaluation at step {steps:,}: {note}")
        if not self.monitor.evaluated(steps):
            self.monitor.row(steps, {f"eval/{name}": evaluation.mean(name) for name in evaluation.columns})
