"""Evaluating a run from the command line: `--evaluate RUN`."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import torch

from .. import ALGOS, load_policy
from ..comm.config import ChannelConfig
from ..core import VectorEnv, spec_of
from ..maths.ranges import STEPS, Range, check
from ..report import screen, video
from ..report.evaluation_progress import EvaluationProgress
from ..report.progress import announced
from ..training import checkpoint, evaluation, film, runfolder, typed
from ..training.builder import baselines, environment, warm_up
from ..training.computing import check_device, set_threads
from ..training.contrast import LEARNED, SAMPLED, SAMPLING_SEED, contrast_note, far_apart, with_best_learner
from ..training.credit_probe import can_tell, measured
from ..training.resuming import config_of, same_environment
from ..training.run_config import ConfigError, options_of
from ..training.run_record import RunRecord
from ..training.schedule import EPISODES
from . import options
from .ending import shown
from .interrupts import Interrupts
from .new_run import of_new_runs
from .options import UsageError
from .program import Program, with_channel


@dataclass(frozen=True)
class EvaluateOptions:
    """Options of an evaluation of a run's greedy policy, beside random actions and the environment's heuristic."""

    evaluate: str
    """Run folder to evaluate."""
    episodes: Annotated[int, EPISODES] = 100
    """Episodes of each policy, the same for all."""
    checkpoint: Literal["latest", "best"] = "latest"
    """Checkpoint to evaluate: the latest, or the best by the evaluations during training."""
    eval_steps: Annotated[int, STEPS] = 0
    """Longest episode [steps], which is cut there, with a note; 0: as in the run."""
    sampled: bool = False
    """Evaluate the policy with sampled actions, as in training, too."""
    seed: Annotated[int, Range(0, evaluation.CHOOSING_SEED - evaluation.FIRST_SEED - 1)] = 0
    """Number of the set of episodes; no set was trained on, and none chose the best checkpoint."""
    video: str = ""
    """File for a film of an episode of the learned policy: .gif, .mp4, or .png for a series."""
    video_speed: Annotated[float, Range(0.0, 1e4)] = 0.0
    """Speed of the film as a multiple of the world's clock; 0: real time, or faster to show an episode in 30 s."""
    json: bool = False
    """Print JSON instead of the table."""
    device: str = "cpu"
    """Device on which networks compute."""
    quiet: bool = False
    """Show no progress."""

    def __post_init__(self) -> None:
        """Checks every field.

        Raises:
            ValueError: A value is not allowed; the message says what came and what is allowed.
        """
        check(self)


ABOUT = """\
Evaluates the greedy policy of a run beside random actions and the heuristic, on the same episodes.

Options of the environment (`--env.X`) may differ from those of the run, and for agents that talk those of the medium
between them (`--channel.X`). A policy that is the same for all agents can act for more or fewer of them."""


def elsewhere(record: RunRecord, argv: list[str], program: Program) -> dict[str, Any]:
    """Returns the options of environment and medium as the run had them, which an evaluation may change.

    Raises:
        UsageError: A task is asked for that there is not.
    """
    parts: dict[str, Any] = {}
    name, envs = record.env.name, program.envs
    if name in envs.ENVS:
        then, task = record.env.task or envs.default_task(name), options.find(argv, "--env.task")
        if task is not None:
            task = options.one_of("--env.task", task, envs.tasks(name), f"task of {name}")
        with contextlib.suppress(KeyError, TypeError, ValueError):  # what is damaged is reported where it is built
            own = envs.options(name, task or then)
            if task is None:
                own = replace(own, **typed.fields(type(own), record.env.options, "env.options"))
            choice = options.group("Task", task=("env.task", "Another task.", task or then, envs.tasks(name)))
            parts |= {"task": choice, "env": own}
    if record.algo.options.get("comm", "none") != "none":
        with contextlib.suppress(TypeError, ValueError):
            of_channel = record.algo.options.get("channel", {})
            medium = ChannelConfig(**typed.fields(ChannelConfig, of_channel, "algo.options.channel"))
            parts["channel"] = replace(medium, curriculum=0.0)  # a matter of training
    return parts


def changed(record: RunRecord, parts: dict[str, Any], program: Program) -> tuple[RunRecord, dict[str, Any]]:
    """Returns the record with another environment, if one is asked for, and the options of the medium that differ."""
    if "env" in parts:
        then = record.env.task or program.envs.default_task(record.env.name)
        task, of_env = parts["task"].task, options_of(parts["env"])
        if task != then or of_env != of_env | record.env.options:
            record = replace(record, env=replace(record.env, task=task, options=of_env))
    if "channel" not in parts:
        return record, {}
    of_channel, then = options_of(parts["channel"]), record.algo.options.get("channel", {})
    return record, {name: value for name, value in of_channel.items() if value != then.get(name, value)}


def evaluate(argv: list[str], program: Program) -> int:
    """Compares the greedy policy of a run with random actions and the heuristic; returns the exit code.

    Raises:
        UsageError: A mistake on the command line, or the run cannot be evaluated.
    """
    record, known = None, {"evaluate": EvaluateOptions(evaluate="")}
    with contextlib.suppress(runfolder.RunFolderError):  # mistakes in options are reported first, the folder's below
        record = runfolder.read_config(Path(options.find(argv, "--evaluate") or ""), unknown=lambda _: None)
    if record is not None:
        known |= elsewhere(record, argv, program)
    parts = options.parse(
        known,
        argv,
        flat=("evaluate", "task"),
        program=program.name,
        about=ABOUT,
        elsewhere=of_new_runs(),
    )
    given: EvaluateOptions = parts["evaluate"]
    folder = Path(given.evaluate)
    if record is None:
        record = runfolder.read_config(folder, unknown=lambda _: None)  # `load_policy` says it
    before = record
    record, channel = changed(record, parts, program)
    config = config_of(folder, record, unknown=program.warn)
    worlds = evaluation.worlds_for(given.episodes)
    try:
        try:
            if given.video:
                video.check_path(Path(given.video))
            device = check_device(given.device)
        except ConfigError:
            raise
        except ValueError as error:
            raise UsageError(str(error)) from None
        set_threads(config.run.threads)
        made = environment(config.env, program.envs, agents=record.agents)
        if record.env != before.env:
            there = made.vector(1)
            record = record.for_worlds(spec_of(there), there.agents)
        try:
            policy = load_policy(
                folder,
                which=given.checkpoint,
                device=device,
                warn=program.warn,
                agents=record.agents,
                channel=channel,
                spec=record.spec,
            )
        except ValueError as error:
            raise UsageError(with_channel(str(error))) from None
        if versions := same_environment(record, made.vector(worlds), made.version):
            program.warn(versions)
        if given.video:
            _check_film(Path(given.video), made.vector(1), given.video_speed)
        loud = not (given.json or given.quiet)
        warm_up(made, config.env.name, n_worlds=worlds, say=program.warn if loud else None)
    except ConfigError as error:
        raise program.usage_error(error, config.env.name, config.algo.name) from None
    policies: dict[str, Any] = {LEARNED: lambda env: policy.player(agents=env.agents)}
    if given.sampled:
        drawing = torch.Generator(given.device).manual_seed(SAMPLING_SEED)
        policies[SAMPLED] = lambda env: policy.player(generator=drawing, agents=env.agents)
    seed = evaluation.FIRST_SEED + given.seed
    bar = EvaluationProgress(quiet=given.quiet)
    with Interrupts() as stop:
        found = evaluation.compare(
            made.vector,
            {**policies, **baselines(made)},
            given.episodes,
            seed=seed,
            most_steps=given.eval_steps or config.run.eval_steps,
            stop=stop,
            show=bar,
        )
        bar.close()
        if found is None:
            program.warn("interrupted")
            return stop.exit_code
    if record is before and not channel and can_tell(made.vector(1)):
        found[LEARNED] = replace(found[LEARNED], credit=_credit_of(record, given, made.vector, seed, program.warn))
    if record.peers.options and record.agents == before.agents:
        found = with_best_learner(found, _best_learner(given), record.agents)
    _print(found, given)
    if given.video and not _filmed(given, made.vector(1), policy.player(), seed, program):
        return 1
    if (fault := screen.fault_of(sys.stdout)) is not None:
        program.warn(f"the result cannot be printed: {fault.strerror or fault}")
        return 1
    return 0


def _credit_of(
    record: RunRecord,
    given: EvaluateOptions,
    make_env: Callable[[int], VectorEnv],
    seed: int,
    warn: Callable[[str], None],
) -> dict[str, float]:
    """Returns how good the credit is that a run learns from, see `measured`, in the worlds that it was trained in.

    A network may have learned the credit, so the algorithm is restored as a whole, not only its policy.
    """
    entry = ALGOS[record.algo.name]
    options = entry.config(**typed.fields(entry.config, record.algo.options, "algo.options"))
    algo = entry.algorithm(record.spec, options, seed=0, device=given.device)
    folder = Path(given.evaluate) / runfolder.CHECKPOINTS
    path, content = checkpoint.load_which(folder, given.checkpoint, warn=_quietly)
    try:
        algo.load_state_dict(content["algo"])
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        warn(f"no measures of credit: {path} does not restore the whole algorithm: {reason}")
        return {}
    return measured(make_env, algo, seed=seed) or {}


def _best_learner(given: EvaluateOptions) -> int | None:
    """Returns the learner that was best in the last evaluation before the checkpoint; None if that is not known."""
    _, content = checkpoint.load_which(Path(given.evaluate) / runfolder.CHECKPOINTS, given.checkpoint, warn=_quietly)
    return content.get("companion", {}).get("best")


def _quietly(_: str) -> None:
    """Says nothing: `load_policy` has warned already."""


def _print(found: dict[str, evaluation.Evaluation], given: EvaluateOptions) -> None:
    notes = [f"{name}: {note}" for name, one in found.items() for note in one.notes]
    if given.sampled and far_apart(found):
        notes.append(contrast_note(found))
    if not given.json:
        print("\n".join([shown(found), *notes]))
        return
    plain: dict[str, Any] = {"run": str(Path(given.evaluate)), "episodes": given.episodes}
    plain |= {"policies": evaluation.summary(found), **({"notes": notes} if notes else {})}
    print(json.dumps(plain, indent=2))


def _check_film(path: Path, env: Any, speed: float) -> None:
    """Refuses a film that is too long, before any episode is played."""
    try:
        video.check_length(path, film.pace(env, speed=speed).frames_of(env.max_steps))
    except ValueError as error:
        raise UsageError(f"--video {error}; --video-speed makes it shorter") from None


def _filmed(given: EvaluateOptions, env: Any, act: Any, seed: int, program: Program) -> bool:
    """Films an episode into the file that was asked for; returns whether that could be done."""
    path = Path(given.video)
    try:
        with contextlib.nullcontext() if given.quiet else announced(f"filming {path}", program.warn):
            pace = film.pace(env, speed=given.video_speed)
            frames = film.frames(env, act, pace, seed=seed, most=video.most_frames(path))
            video.write_video(path, frames, pace.seconds)
            print(f"video: {path}, {pace.speed:.3g} times as fast as the world's clock", file=sys.stderr)
    except Exception as error:  # foreign code draws, and anything may go wrong
        program.warn(f"no video: {' '.join(f'{error}'.split()) or type(error).__name__}")
        return False
    return True
