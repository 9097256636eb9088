"""Views of the policy in training that do not touch it: evaluations, the comparison at the end, films."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from ..core import Algorithm, Array, Player, VectorEnv
from ..report.evaluation_progress import EvaluationStatus
from ..report.heat_map import encode_png
from ..report.monitor import Monitor
from ..report.video import encode_gif
from . import film
from .contrast import LEARNED, SAMPLED, SAMPLING_SEED, far_apart
from .credit_probe import can_tell, measured
from .evaluation import CHOOSING_SEED, FIRST_SEED, Act, Evaluation, Policies, compare, evaluate, worlds_for

FILM_SECONDS, MOST_FRAMES = 15.0, 400
"""Length of a film in TensorBoard [s], about 300 frames; and the most frames where episodes have no known end."""


@dataclass
class Examiner:
    """Evaluates and films the greedy policy, without touching the one in training."""

    algo: Algorithm
    make_env: Callable[[int], VectorEnv]
    monitor: Monitor
    stop: Callable[[], bool]
    show: Callable[[EvaluationStatus], None]
    """Called with the progress of an evaluation."""
    most_steps: int = 0
    """Longest episode [steps], see `evaluation.evaluate`."""

    def evaluate(self, n_episodes: int, steps: int) -> Evaluation | None:
        """Evaluates and writes an `eval/` row at `steps`; returns None, and writes nothing, if `stop` ended it."""
        env = self.make_env(worlds_for(n_episodes))
        evaluation = evaluate(
            env,
            Player(self.algo.policy),
            n_episodes,
            seed=CHOOSING_SEED,
            most_steps=self.most_steps,
            stop=self.stop,
            show=self.show,
            status=EvaluationStatus(LEARNED, 1, 1, 0, n_episodes, 0, 0),
        )
        evaluation = None if evaluation is None else self._with_credit(evaluation, env, CHOOSING_SEED)
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
        """Evaluates the learned policy and others on the same episodes; returns None if `stop` ended it.

        The policy with sampled actions is among them if its return is far from that of the greedy one.
        """
        every = {LEARNED: lambda _: Player(self.algo.policy), SAMPLED: self._sampled, **policies}
        found = compare(self.make_env, every, n_episodes, most_steps=self.most_steps, stop=self.stop, show=self.show)
        if found is None:
            return None
        learned = self._with_credit(found[LEARNED], self.make_env(1), FIRST_SEED)
        if learned is None:
            return None
        found[LEARNED] = learned
        self._write(learned, steps)
        if not far_apart(found):
            del found[SAMPLED]
        return found

    def film(self, steps: int) -> None:
        """Shows an episode in TensorBoard; says so once if that cannot be done, for whatever reason."""
        try:
            env = self.make_env(1)
            pace = film.pace(env, seconds=FILM_SECONDS)
            frames = film.frames(env, Player(self.algo.policy), pace, stop=self.stop, most=MOST_FRAMES)
            first = next(frames)
            gif = encode_gif(itertools.chain((first,), frames), pace.seconds)
            self.monitor.video(steps, gif, *first.shape[:2])
        except Exception as error:  # a missing package, frames of two sizes, a dead world: no picture is worth a run
            self._say_no("videos", error)

    def picture(self, draw: Callable[[], dict[str, Array]], steps: int) -> None:
        """Shows pictures in TensorBoard; says so once if that cannot be done, for whatever reason.

        Args:
            draw: Returns pictures by name, (height, width, 3) uint8 each.
            steps: Environment steps made so far.
        """
        try:
            for name, frame in draw().items():
                self.monitor.picture(steps, name, encode_png(frame), *frame.shape[:2])
        except Exception as error:  # a missing package: no picture is worth a run
            self._say_no("pictures", error)

    def _say_no(self, what: str, error: Exception) -> None:
        reason = " ".join(f"{error}".split())
        if not (reason and isinstance(error, (ImportError, NotImplementedError))):  # those speak to the user
            reason = f"{type(error).__name__}: {reason}".removesuffix(": ")
        self.monitor.say_once(what, f"no {what}: {reason}")

    def _sampled(self, _: VectorEnv) -> Act:
        generator = torch.Generator(self.algo.policy.device).manual_seed(SAMPLING_SEED)
        return Player(self.algo.policy, generator=generator)

    def _with_credit(self, evaluation: Evaluation, env: VectorEnv, seed: int) -> Evaluation | None:
        """Adds how good the credit is, where worlds such as `env` can tell; None if `stop` came first."""
        if not can_tell(env):
            return evaluation
        credit = measured(self.make_env, self.algo, seed=seed, stop=self.stop)
        return None if credit is None else replace(evaluation, credit=credit)

    def _write(self, evaluation: Evaluation, steps: int) -> None:
        for note in evaluation.notes:
            self.monitor.say_once(note, f"evaluation at step {steps:,}: {note}")
        if not self.monitor.evaluated(steps):
            of_eval = {f"eval/{name}": evaluation.mean(name) for name in evaluation.columns}
            self.monitor.row(steps, {**of_eval, **evaluation.credit})
