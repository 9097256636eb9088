"""The training loop: act, step, observe, update; and around it rows, evaluations, videos and checkpoints.

Axes: B worlds, N agents.

`steps` counts environment steps: one step of one world, all its agents at once; an iteration makes B of them.
What is due is decided by steps alone, so an interrupted run does the same things at the same steps.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ..core import Algorithm, Array, Savable, Transition, VectorEnv
from ..maths.ranges import STEPS, Range, check
from ..report.monitor import Monitor
from ..report.progress import Progress
from . import checkpoint
from .contrast import SAMPLED, contrast_note
from .episodes import EpisodeStatistics, returns_of_groups
from .evaluation import Evaluation, Policies, ended_worlds, to_obs
from .examiner import Examiner
from .finite import NonFiniteError, check_learning, check_saved, check_start, check_step
from .heap import keep_freed_memory
from .identity import WHOSE
from .runfolder import CHECKPOINTS
from .stage import EvaluationProgress

EPISODES = Range(1, 100_000)
"""Of an evaluation."""


@dataclass(frozen=True)
class Schedule:
    """How long to train, and what to do how often. Steps are of one world, all its agents at once; 0 means never."""

    total_steps: int = 2_000_000
    """Environment steps: one step of one world, all its agents at once."""
    log_every: int = 0
    """Least distance of two rows of scalars [steps]; 0: one after every update."""
    save_every: int = 200_000
    """Distance of checkpoints [steps]; 0: only at the start, at the end and when interrupted."""
    eval_every: int = 0
    """Distance of evaluations of the greedy policy [steps], which also keep `best.pt`; 0: only at the end."""
    eval_episodes: int = 20
    """Episodes of an evaluation, and of each policy in the table at the end; 0: none."""
    eval_steps: int = 0
    """Longest episode of an evaluation [steps]: it is cut there, and a note says so; 0: 10,000, or a longer limit."""
    video_every: int = 0
    """Distance of films of the greedy policy in TensorBoard [steps]; 0: only the last one."""
    videos: bool = True
    """Film the greedy policy at the end, where the environment draws a picture; switched off, there are no films."""
    save_replay: bool = False
    """Keep an off-policy algorithm's replay in checkpoints, for a resume bit for bit; they grow by its bytes."""

    ranges: ClassVar[dict[str, Range]] = {
        "total_steps": Range(1, STEPS.high),
        "log_every": STEPS,
        "save_every": STEPS,
        "eval_every": STEPS,
        "eval_episodes": Range(0, EPISODES.high),
        "eval_steps": STEPS,
        "video_every": STEPS,
    }
    """Of every number."""

    def __post_init__(self) -> None:
        """Refuses values that cannot work.

        Raises:
            ValueError: Says what came and what is allowed.
        """
        check(self, self.ranges)


@dataclass
class Outcome:
    """How a call of `run` ended."""

    steps: int
    finished: bool
    """All steps were made; otherwise `stop` ended the run."""
    saved: bool
    """The last checkpoint could be written."""
    comparison: dict[str, Evaluation] | None = None
    """Evaluations by policy at the end."""
    notes: tuple[str, ...] = ()
    """What is to be known about the comparison, a line each."""


@dataclass
class _Run:
    """What changes while a run goes on, beside the algorithm and the worlds; all of it is in a checkpoint."""

    steps: int = 0
    marks: dict[str, int] = field(default_factory=dict)
    """Steps at which each recurring thing was last done."""
    sums: dict[str, float] = field(default_factory=dict)
    """Update scalars since the last row, summed."""
    counts: dict[str, int] = field(default_factory=dict)
    """How many updates had each of them; not all have all."""
    seconds: float = 0.0
    """Time spent training, over all resumes [s]."""
    best: float | None = None
    """Highest mean return of an evaluation whose policy could be written to `best.pt`."""

    def due(self, what: str, every: int) -> bool:
        """Whether a multiple of `every` was reached or passed since `what` was last done."""
        return every > 0 and self.steps // every > self.marks.get(what, 0) // every


def run(
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
    whose: dict[str, Any] | None = None,
    quiet: bool = False,
) -> Outcome:
    """Trains until `schedule.total_steps`, or until `stop` says True.

    Args:
        env: The worlds to train on.
        algo: What learns.
        schedule: How long, and what to do how often.
        folder: The run folder; `checkpoints` is in it.
        seed: Of the worlds.
        make_env: Makes worlds for evaluation and videos, given their number.
        policies: What to compare the learned policy with at the end; `contrast.LEARNED` is added.
        resume: Content of a checkpoint to go on from.
        stop: Asked between two steps.
        hparams: Options for TensorBoard's HPARAMS page.
        whose: What checkpoints say of whose they are, see `identity`.
        quiet: Show no progress.

    Returns:
        How it ended.

    Raises:
        MisfitError: `resume` does not fit the environment or the algorithm.
    """
    keep_freed_memory()
    state = _Run()
    if resume is None:
        step = env.reset(seed)
        started = np.ones(env.n_worlds, dtype=bool)
    else:
        step, started, state = _restore(resume, env, algo)
    metrics = tuple(step.metrics)
    groups, window = returns_of_groups(env.agents, env.groups), max(100, env.n_worlds)
    episodes = EpisodeStatistics(env.n_worlds, len(env.agents), metrics, groups=groups, window=window)
    if resume is not None:
        episodes.load_state_dict(resume["episodes"])

    progress = Progress(schedule.total_steps, steps=state.steps, quiet=quiet)
    headline = getattr(env, "headline_metrics", ()) or metrics[:2]
    monitor = Monitor(folder, steps=state.steps, resumed=resume is not None, headline=headline, say=progress.say)
    if resume is None and hparams is not None:
        monitor.hparams(hparams)
    keeper = _Keeper(folder / CHECKPOINTS, env, algo, episodes, state, progress.say, schedule.save_replay, whose)
    stage = EvaluationProgress(quiet=quiet)
    examiner = Examiner(algo, make_env, monitor, stop, stage, schedule.eval_steps)
    if resume is None:
        keeper.save(started)  # a run killed before its first interval can be resumed too

    check_start(step, env.agents)
    obs = to_obs(step, started)
    for note in algo.begin(obs):
        if not quiet:
            progress.say(note)
    if algo.replay is not None and state.steps:
        _refill(algo.replay, resume or {}, progress.say)
    never = np.zeros(env.n_worlds, dtype=bool)
    clock = np.zeros(4)  # seconds in act, env, update, and all of it, since the last row
    counted = state.steps
    now = time.perf_counter
    while state.steps < schedule.total_steps and not stop():
        if schedule.eval_episodes and state.due("eval", schedule.eval_every):
            try:
                with progress.phase("evaluating"):
                    evaluation = examiner.evaluate(schedule.eval_episodes, state.steps)
            except Exception:  # as in a step of training, see below
                keeper.save(started)
                monitor.close()
                progress.close(state.steps)
                raise
            finally:
                stage.close()
            if evaluation is None:
                break  # not marked as done: a resume begins with it
            keeper.save_best(started, evaluation.mean("return"))
            state.marks["eval"] = state.steps
        if schedule.videos and state.due("video", schedule.video_every):
            with progress.phase("filming"):
                examiner.film(state.steps)
            state.marks["video"] = state.steps
        if state.due("save", schedule.save_every):
            state.marks["save"] = state.steps
            with progress.phase("saving"):
                keeper.save(started)

        begin = now()
        action = algo.act(obs)
        acted = now()
        try:
            final, step = env.step(action)
        except Exception:  # an environment that cannot go on: what was learned so far is saved
            algo.take_back()  # a run that goes on from here acts on `obs` anew, with the same draws and memory
            keeper.save(started)
            monitor.close()
            progress.close(state.steps)
            raise
        stepped = now()
        started = ended_worlds(final)
        algo.progress = state.steps / schedule.total_steps
        try:
            check_step(final, step, obs.alive, env.agents, at=state.steps)
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
                    final=to_obs(final, never),
                    ended=started,
                )
            )
            scalars = algo.update()
            if scalars:
                check_learning(scalars, algo.policy, at=state.steps + env.n_worlds)
        except NonFiniteError:  # nothing is saved: the last good checkpoint stays the newest
            monitor.close()
            progress.close(state.steps)
            raise
        updated = now()
        episodes.add(final, started, getattr(env, "full_episodes", started))
        for name in episodes.taken:
            line = f"metric {name!r} of the environment is left out: a column of ours is called so"
            monitor.say_once(line, line)
        alive = obs.alive
        obs = to_obs(step, started)
        state.steps += env.n_worlds
        end = now()
        clock += (acted - begin, stepped - acted, updated - stepped, end - begin)

        if scalars:
            for name, value in scalars.items():
                state.sums[name] = state.sums.get(name, 0.0) + value
                state.counts[name] = state.counts.get(name, 0) + 1
            if state.steps - state.marks.get("row", 0) >= schedule.log_every:
                state.seconds += clock[3]
                monitor.actions(state.steps, action, alive, env.action_space)
                monitor.row(state.steps, _row(state, episodes, clock, state.steps - counted, len(env.agents)))
                state.marks["row"] = counted = state.steps
                state.sums, state.counts = {}, {}
                clock[:] = 0
        progress.update(state.steps, episodes.mean_return)

    monitor.flush()
    finished = state.steps >= schedule.total_steps
    progress.trained(state.steps)
    with progress.phase("saving"):
        outcome = Outcome(state.steps, finished, saved=keeper.save(started))
    if finished and schedule.eval_episodes and not stop():
        try:
            with progress.phase(f"evaluating {schedule.eval_episodes} episodes of each policy"):
                outcome.comparison = found = examiner.compare(policies or {}, schedule.eval_episodes, state.steps)
        except Exception:
            monitor.close()
            progress.close(state.steps)
            raise
        finally:
            stage.close()
        if found is not None:
            notes = [f"{name}: {note}" for name, one in found.items() for note in one.notes]
            outcome.notes = (*notes, *([contrast_note(found)] if SAMPLED in found else []))
    if finished and schedule.videos and not stop():
        with progress.phase("filming"):
            examiner.film(state.steps)
    progress.close(state.steps)
    monitor.close()
    return outcome


def _restore(resume: dict[str, Any], env: VectorEnv, algo: Algorithm) -> tuple[Any, Array, _Run]:
    try:
        algo.load_state_dict(resume["algo"])
        step = env.load_state_dict(resume["env"])
        return step, resume["started"], _Run(**resume["run"])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:  # RuntimeError is torch's, about shapes
        raise checkpoint.MisfitError(f"the checkpoint does not fit this run: {' '.join(str(error).split())}") from error


def _refill(replay: Savable, resume: dict[str, Any], say: Callable[[str], None]) -> None:
    """Puts back the replay of a checkpoint, or says that it has none."""
    if "replay" not in resume:
        say("the checkpoint has no replay (--save-replay): it fills up again before learning goes on, not bit for bit")
        return
    try:
        replay.load_state_dict(resume["replay"])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise checkpoint.MisfitError(f"the replay does not fit this run: {' '.join(str(error).split())}") from error


def _row(state: _Run, episodes: EpisodeStatistics, clock: Array, steps: int, n_agents: int) -> dict[str, float]:
    """The scalars of one row."""
    row = {f"train/{name}": total / state.counts[name] for name, total in state.sums.items()}
    for name, mean in episodes.means().items():
        row[f"{'rollout' if name in episodes.own_columns else 'env'}/{name}"] = mean
    row["rollout/episodes"] = episodes.finished
    seconds = max(clock[3], 1e-9)
    row["time/steps_per_second"] = steps / seconds
    row["time/agent_steps_per_second"] = steps * n_agents / seconds
    row["time/training_seconds"] = state.seconds
    for name, spent in zip(("act", "env", "update"), clock, strict=False):
        row[f"time/share_{name}"] = spent / seconds
    return row


@dataclass
class _Keeper:
    """Saves; a disk that is full costs a checkpoint, not the run: the next interval tries again."""

    folder: Path
    env: VectorEnv
    algo: Algorithm
    episodes: EpisodeStatistics
    state: _Run
    say: Callable[[str], None]
    save_replay: bool
    whose: dict[str, Any] | None

    def save_best(self, started: Array, mean: float) -> None:
        """Keeps the policy as `best.pt` if an evaluation's mean return is the highest so far.

        One that could not be written does not count: a later one need not be better than what is not there.
        """
        before = self.state.best
        if np.isfinite(mean) and (before is None or mean > before):
            self.state.best = mean
            if not self.save(started, best=True):
                self.state.best = before

    def save(self, started: Array, *, best: bool = False) -> bool:
        """Whether the checkpoint could be written."""
        learned = self.algo.state_dict()
        check_saved(learned)
        content = {
            "algo": learned,
            "env": self.env.state_dict(),
            "episodes": self.episodes.state_dict(),
            "started": started,
            "run": dict(vars(self.state)),
            WHOSE: self.whose,
        }
        if self.save_replay and not best and self.algo.replay is not None:  # `best` is to be played, not gone on with
            content["replay"] = self.algo.replay.state_dict()
        try:
            if best:
                checkpoint.save(self.folder / "best.pt", content)
            else:
                checkpoint.save_latest(self.folder, self.state.steps, content)
        except OSError as error:
            self.say(
                f"checkpoint at step {self.state.steps:,} could not be saved: {error.strerror or error} "
                f"({error.filename or self.folder}); the earlier ones are intact"
            )
            return False
        return True
