"""A training session: the loop of act, step, observe and update, with rows, evaluations, films and checkpoints.

    with Session(env, algo, schedule, folder=folder, seed=1, make_env=make_env) as session:
        session.advance(50_000)      # train for a while, and return
        ...                          # look at session.algo, change it, advance another session
        session.advance(50_000)
        outcome = session.finish()   # last checkpoint and, if all steps are made, evaluation and film

`run(session)` does all of it at once. The number of steps alone decides what is due, so that a session that pauses, or
is interrupted and resumed, evaluates, films and saves at the same steps as one that trains in one go.

Axes: B worlds, N agents. `steps` counts environment steps: one step of one world moves all its agents at once, and an
iteration of the loop makes B of them.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import torch

from ..core import Action, Algorithm, Array, StepLike, Transition, VectorEnv
from ..report.evaluation_progress import EvaluationProgress
from ..report.monitor import Monitor
from ..report.progress import Progress
from . import checkpoint
from .companion import Companion
from .contrast import SAMPLED, contrast_note, with_best_learner
from .counters import Counters, row_of
from .episodes import EpisodeStatistics, returns_of_groups
from .evaluation import Evaluation, Policies, ended_worlds, to_obs
from .examiner import Examiner
from .finite import check_learning, check_start, check_step
from .heap import keep_freed_memory
from .lock import RunLock
from .run_checkpoints import RunCheckpoints
from .runfolder import CHECKPOINTS
from .schedule import Schedule


@dataclass
class Outcome:
    """The end of a session."""

    steps: int
    """Environment steps made, over all resumes."""
    finished: bool
    """Whether all steps were made; otherwise the session was stopped or left off."""
    saved: bool
    """Whether the last checkpoint could be written."""
    comparison: dict[str, Evaluation] | None = None
    """Evaluations at the end by policy; None if there were none."""
    notes: tuple[str, ...] = ()
    """Remarks on the comparison, a line each."""


class Session:
    """A run that trains in portions.

    A session holds the lock of its run folder and open files until `close`, which is also called where the `with`
    block ends and where anything raises. Several sessions may live in one process and take turns. The worlds are not
    closed with it: worker processes of an environment of others end with the session object, or by `env.close()`.
    """

    def __init__(
        self,
        env: VectorEnv,
        algo: Algorithm,
        schedule: Schedule,
        *,
        folder: Path,
        seed: int,
        make_env: Callable[[int], VectorEnv],
        policies: Policies | None = None,
        resume: dict[str, Any] | None = None,
        stop: Callable[[], bool] = lambda: False,
        hparams: dict[str, Any] | None = None,
        identity: dict[str, Any] | None = None,
        companion: Companion | None = None,
        lock: RunLock | None = None,
        threads: int = 0,
        quiet: bool = False,
    ) -> None:
        """Resets the worlds, or puts worlds and algorithm back to where a checkpoint left off.

        Args:
            env: The worlds to train on.
            algo: The algorithm that learns.
            schedule: How long to train, and how often to do what.
            folder: The run folder, which has a folder `checkpoints`.
            seed: Seed of the worlds.
            make_env: Makes worlds for evaluation and videos, given their number.
            policies: Policies to compare the learned one with at the end; `contrast.LEARNED` is added.
            resume: Content of a checkpoint to resume from.
            stop: Called before every iteration; once it returns True, the session makes no more steps.
            hparams: Options for TensorBoard's HPARAMS page.
            identity: The run that the checkpoints belong to, see `identity.identity_of`.
            companion: Watches the learners, and may change them between updates.
            lock: The lock of the folder, if it is already held; the session releases it.
            threads: Threads of torch on the CPU while this session computes, which decide on the last bits of what is
                learned; 0: as many as torch has then.
            quiet: Show no progress.

        Raises:
            MisfitError: `resume` does not fit the environment or the algorithm.
            RunFolderError: The folder is being trained in already.
            NonFiniteError: The environment starts with NaN or infinity.
        """
        self.env, self.algo, self.schedule, self.folder = env, algo, schedule, folder
        self._stop, self._threads, self._companion = stop, threads, companion
        self._policies = policies or {}
        self._clock = np.zeros(4)  # [s] acting, stepping, updating, and all of it, since the last row
        self._never = np.zeros(env.n_worlds, dtype=bool)
        with contextlib.ExitStack() as held:
            held.enter_context(lock or RunLock(folder))
            keep_freed_memory()
            step = self._begin(seed) if resume is None else self._restore(resume)
            metrics = tuple(step.metrics)
            groups, window = returns_of_groups(env.agents, env.groups), max(100, env.n_worlds)
            self._episodes = EpisodeStatistics(env.n_worlds, len(env.agents), metrics, groups=groups, window=window)
            if resume is not None:
                self._episodes.load_state_dict(resume["episodes"])
            steps = self._counters.steps
            self._counted = steps  # steps at which the current row began

            self._progress = Progress(schedule.total_steps, steps=steps, quiet=quiet)
            held.callback(lambda: self._progress.close(self._counters.steps))
            headline = getattr(env, "headline_metrics", ()) or metrics[:2]
            say = self._progress.say
            self._monitor = Monitor(folder, steps=steps, resumed=resume is not None, headline=headline, say=say)
            held.callback(self._monitor.close)
            if resume is None and hparams is not None:
                self._monitor.hparams(hparams)
            self._bar = EvaluationProgress(quiet=quiet)
            self._examiner = Examiner(algo, make_env, self._monitor, stop, self._bar, schedule.eval_steps)
            self._checkpoints = RunCheckpoints(
                folder / CHECKPOINTS,
                env,
                algo,
                self._episodes,
                self._counters,
                say,
                schedule.save_replay,
                identity,
                companion,
            )
            self._saved_at = steps if resume is not None else -1  # steps of the newest checkpoint
            if resume is None:
                self._save()  # a run that is killed before its first interval can be resumed too

            check_start(step, env.agents)
            self._obs = to_obs(step, self._started)
            for note in algo.begin(self._obs):
                if not quiet:
                    say(note)
            if algo.replay is not None and steps and resume is not None:
                self._refill(resume)
            self._open: contextlib.ExitStack | None = held.pop_all()

    @property
    def steps(self) -> int:
        """Environment steps made so far, over all resumes."""
        return self._counters.steps

    @property
    def finished(self) -> bool:
        """Whether all steps of the schedule are made."""
        return self.steps >= self.schedule.total_steps

    def advance(self, steps: int) -> int:
        """Trains for at least `steps` environment steps, and does all that is due on the way.

        It returns earlier where the schedule ends or `stop` says so. Steps are made for all B worlds at once, so that
        up to B - 1 more of them may be made.

        Args:
            steps: How many environment steps to make.

        Returns:
            How many were made; 0 where the schedule is at its end or `stop` says so.

        Raises:
            NonFiniteError: Learning or the environment gave NaN or infinity; the last good checkpoint stays the newest.
            Exception: Whatever the environment raises; what was learned before that step is saved.
        """
        before = self.steps
        goal = min(before + steps, self.schedule.total_steps)
        with self._closed_by_errors():
            self._progress.go_on()
            while self.steps < goal and not self._stop():
                if not self._do_what_is_due():
                    break
                self._iterate()
            self._progress.pause()
        return self.steps - before

    def save(self) -> bool:
        """Writes a checkpoint now; returns whether it could be written.

        Raises:
            NonFiniteError: A learned number is NaN or infinite; nothing is written.
        """
        self._take_over()
        return self._save()

    def evaluate(self, n_episodes: int = 20) -> Evaluation:
        """Plays episodes with the greedy policy, without any effect on training or on the rows of the run.

        They are the episodes of the table at the end: none was trained on, and none chose `best.pt`.

        Args:
            n_episodes: How many.

        Raises:
            InterruptedError: `stop` ended the evaluation.
        """
        self._take_over()
        with self._evaluating("evaluating"):
            found = self._examiner.judge(n_episodes)
        if found is None:
            raise InterruptedError("the evaluation was stopped before its end")
        return found

    def finish(self) -> Outcome:
        """Saves; if all steps are made, evaluates, compares and films the policy; then closes the session.

        Returns:
            How the session ended.

        Raises:
            Exception: Whatever the environment raises in the evaluation; the checkpoint is saved by then.
        """
        with self._closed_by_errors():
            n_episodes = self.schedule.eval_episodes
            self._monitor.flush()
            self._progress.trained(self.steps)
            with self._progress.phase("saving"):
                outcome = Outcome(self.steps, self.finished, saved=self._save())
            if self.finished and n_episodes and not self._stop():
                with self._evaluating(f"evaluating {n_episodes} episodes of each policy"):
                    found = self._examiner.compare(self._policies, n_episodes, self.steps)
                if found is not None and self._companion is not None:
                    found = with_best_learner(found, self._companion.best, self.env.agents)
                outcome.comparison, outcome.notes = found, _notes(found)
            if self.finished and self.schedule.videos and not self._stop():
                with self._progress.phase("filming"):
                    self._examiner.film(self.steps)
        self.close()
        return outcome

    def close(self) -> None:
        """Ends the rows and the progress bar and releases the run folder, without saving; again does nothing."""
        held, self._open = self._open, None
        if held is not None:
            held.close()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Saves a checkpoint if there are unsaved steps and nothing was raised, and closes the session."""
        if error is None and self._open is not None and self._saved_at != self.steps:
            with self._closed_by_errors():
                self._save()
        self.close()

    # ---- the loop

    def _do_what_is_due(self) -> bool:
        """Evaluates, films and saves where that is due; returns False if `stop` ended the evaluation."""
        schedule, counters, progress = self.schedule, self._counters, self._progress
        if schedule.eval_episodes and counters.due("eval", schedule.eval_every):
            try:
                with self._evaluating("evaluating"):
                    evaluation = self._examiner.evaluate(schedule.eval_episodes, counters.steps)
            except Exception:  # the evaluation's worlds have failed: what was learned is saved
                self._save()
                raise
            if evaluation is None:
                return False  # not marked as done: a resumed run begins with it
            if self._companion is not None:
                self._monitor.row(counters.steps, self._companion.evaluated(evaluation.of_agents))
                self._examiner.picture(self._companion.pictures, counters.steps)
            self._checkpoints.save_best(self._started, evaluation.mean("return"))
            counters.marks["eval"] = counters.steps
        if schedule.videos and counters.due("video", schedule.video_every):
            with progress.phase("filming"):
                self._examiner.film(counters.steps)
            counters.marks["video"] = counters.steps
        if counters.due("save", schedule.save_every):
            counters.marks["save"] = counters.steps
            with progress.phase("saving"):
                self._save()
        return True

    def _iterate(self) -> None:
        """Makes one step of all worlds and, where it is due, one update."""
        env, algo, now = self.env, self.algo, time.perf_counter
        begin = now()
        action = algo.act(self._obs)
        acted = now()
        try:
            final, step = env.step(action)
        except Exception:  # the environment has failed: what was learned so far is saved
            algo.take_back()  # a resumed run acts on `obs` anew, with the same draws and memory
            self._save()
            raise
        stepped = now()
        started = ended_worlds(final)
        scalars = self._learn(action, final, step, started)
        updated = now()
        self._started = started
        self._count(final)
        alive = self._obs.alive
        self._obs = to_obs(step, started)
        self._counters.steps += env.n_worlds
        if self._companion is not None:
            steps, returns = self._counters.steps, self._episodes.returns
            scalars |= self._companion.after_step(steps, self._obs, returns, learned=bool(scalars))
        end = now()
        self._clock += (acted - begin, stepped - acted, updated - stepped, end - begin)
        if scalars:
            self._counters.add(scalars)
            if self._counters.steps - self._counters.marks.get("row", 0) >= self.schedule.log_every:
                self._write_row(action, alive)
        self._progress.update(self._counters.steps, self._episodes.mean_return)

    def _learn(self, action: Action, final: StepLike, step: StepLike, ended: Array) -> dict[str, float]:
        """Hands a step to the algorithm and lets it update; returns the update's scalars, {} if there was none."""
        env, algo, obs, steps = self.env, self.algo, self._obs, self._counters.steps
        algo.progress = steps / self.schedule.total_steps
        check_step(final, step, obs.alive, env.agents, at=steps)
        algo.observe(
            Transition(
                obs=obs,
                action=action,
                reward=final.reward,
                team_reward=final.team_reward,
                counterfactual=final.counterfactual,
                cost=final.cost,
                terminated=final.terminated,
                truncated=final.truncated,
                final=to_obs(final, self._never),
                ended=ended,
            )
        )
        scalars = algo.update()
        if scalars:
            check_learning(scalars, algo.policy, at=steps + env.n_worlds)
        return scalars

    def _count(self, final: StepLike) -> None:
        """Adds a step to the statistics of episodes; `started` says by now which episodes it ended."""
        self._episodes.add(final, self._started, getattr(self.env, "full_episodes", self._started))
        for name in self._episodes.taken:
            line = f"metric {name!r} of the environment is left out: Coterie has a column of that name"
            self._monitor.say_once(line, line)

    def _write_row(self, action: Array, alive: Array) -> None:
        counters, clock = self._counters, self._clock
        counters.seconds += clock[3]
        steps, n_agents = counters.steps - self._counted, len(self.env.agents)
        self._monitor.actions(counters.steps, action, alive, self.env.action_space)
        self._monitor.row(counters.steps, row_of(counters, self._episodes, clock, steps=steps, n_agents=n_agents))
        counters.close_row()
        self._counted = counters.steps
        clock[:] = 0

    def _save(self) -> bool:
        saved = self._checkpoints.save(self._started)
        if saved:
            self._saved_at = self.steps
        return saved

    # ---- beginning and end

    def _begin(self, seed: int) -> StepLike:
        self._counters = Counters()
        self._started = np.ones(self.env.n_worlds, dtype=bool)  # (B,) worlds at the first step of an episode
        return self.env.reset(seed)

    def _restore(self, resume: dict[str, Any]) -> StepLike:
        try:
            self.algo.load_state_dict(resume["algo"])
            step = self.env.load_state_dict(resume["env"])
            self._started, self._counters = resume["started"], Counters(**resume["run"])
            if self._companion is not None:
                self._companion.load_state_dict(resume["companion"])
        except (KeyError, TypeError, ValueError, RuntimeError) as error:  # RuntimeError is torch's, about shapes
            reason = " ".join(str(error).split())
            raise checkpoint.MisfitError(f"the checkpoint does not fit this run: {reason}") from error
        return step

    def _refill(self, resume: dict[str, Any]) -> None:
        """Puts back the replay of a checkpoint, or says that it has none."""
        if "replay" not in resume:
            self._progress.say(
                "the checkpoint has no replay (--save-replay): it fills up again before learning goes on, not bit for "
                "bit"
            )
            return
        assert self.algo.replay is not None
        try:
            self.algo.replay.load_state_dict(resume["replay"])
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            reason = " ".join(str(error).split())
            raise checkpoint.MisfitError(f"the replay does not fit this run: {reason}") from error

    # ---- resources

    @contextlib.contextmanager
    def _evaluating(self, words: str) -> Iterator[None]:
        """Shows that an evaluation is under way, and how far it is."""
        try:
            with self._progress.phase(words):
                yield
        finally:
            self._bar.close()

    @contextlib.contextmanager
    def _closed_by_errors(self) -> Iterator[None]:
        """Closes the session where the block raises: it may stand in the middle of a step."""
        self._take_over()
        try:
            yield
        except BaseException:
            self.close()
            raise

    def _take_over(self) -> None:
        """Gives torch the threads of this session; another one may have computed meanwhile."""
        if self._open is None:
            raise RuntimeError(f"the session of {self.folder} is closed")
        if self._threads:
            torch.set_num_threads(self._threads)


def run(session: Session) -> Outcome:
    """Trains to the end of the schedule, or until the session's `stop` says so, and finishes the session."""
    with session:
        session.advance(session.schedule.total_steps)
        return session.finish()


def _notes(found: dict[str, Evaluation] | None) -> tuple[str, ...]:
    """Returns remarks on a comparison, a line each."""
    notes = [f"{name}: {note}" for name, one in (found or {}).items() for note in one.notes]
    return (*notes, *([contrast_note(found)] if found and SAMPLED in found else []))
