"""The command line: train, go on, evaluate.

    python train.py --env warehouse --algo mappo
    python train.py --env warehouse --env.task medium-8 --algo mappo --algo.lr 3e-4 --seed 1 --total-steps 2e6
    python train.py --env mpe2.simple_spread_v3 --env.N 5 --algo mappo
    python train.py --resume runs/NAME
    python train.py --evaluate runs/NAME --episodes 100 --video out.gif

`--help` shows the options: after `--env X --algo Y` those of X and Y, after `--resume RUN` and `--evaluate RUN` theirs.
X is an environment of ours or anybody's: PettingZoo's and Gymnasium's names are in docs/foreign.md.
"""

# The only file that imports both packages.

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import json
import keyword
import os
import re
import shlex
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from gymnasium.spaces import Box, Discrete

import envs
from algos import ALGOS, load_policy
from algos.cli import options
from algos.cli.interrupts import Interrupts
from algos.cli.options import UsageError
from algos.core import spec_of
from algos.maths.ranges import STEPS, Range, check
from algos.report import film, screen, video
from algos.report.progress import announced
from algos.training import checkpoint, evaluation, footprint, identity, runfolder, typed
from algos.training.contrast import LEARNED, SAMPLED, SAMPLING_SEED, contrast_note, far_apart
from algos.training.finite import NonFiniteError
from algos.training.lock import RunLock
from algos.training.presets import defaults_of, settled_obs_norm
from algos.training.session import EPISODES, Outcome, Schedule, run
from algos.training.stage import EvaluationProgress
from envs import adapters
from envs.vector import VectorView

PROGRAM = "train.py"
COMPILING = 3.0
"""To load what was compiled before takes less [s]."""
USAGE = """\
usage: python {program} --env ENV --algo ALGO [options]     train
       python {program} --resume runs/NAME                  go on with a run
       python {program} --evaluate runs/NAME                compare what it has learned

ENV    {envs};
       or anybody's: mpe2.simple_spread_v3, gymnasium:CartPole-v1, ... (docs/foreign.md)
ALGO   {algos}

try    python {program} --env spread --algo mappo
       python {program} --env spread --algo mappo --help     every option of the two
"""


@dataclass(frozen=True)
class RunOptions(Schedule):
    """The run."""

    seed: int = 0
    """Of everything: worlds, first weights, exploration. 0 to 2^31 - 1; evaluation uses seeds above."""
    n_worlds: int = 64
    """Worlds stepped side by side; 0: as many as suit the environment."""
    log_dir: str = "runs"
    """Where run folders are made."""
    run_name: str = ""
    """Name of the run folder; empty: <env>-<task>-<algo>-<seed>-<time>, without a task where there is none."""
    device: str = "cpu"
    """Where networks compute: cpu, cuda, cuda:1, ..."""
    threads: int = 0
    """Threads of torch on the CPU; 0 chooses (see docs/training.md). Part of what makes a run repeatable."""
    quiet: bool = False
    """Show no progress."""

    ranges: ClassVar[dict[str, Range]] = {
        **Schedule.ranges,
        "seed": Range(0, evaluation.FIRST_SEED - 1),
        "n_worlds": Range(0, 100_000),
        "threads": Range(0, 1024),
    }

    def __post_init__(self) -> None:
        """Refuses values that cannot work."""
        super().__post_init__()
        if self.run_name in (".", "..") or "/" in self.run_name or "\\" in self.run_name:
            raise ValueError(f"run_name is {self.run_name!r}; it names one folder inside log_dir")


@dataclass(frozen=True)
class ResumeOptions:
    """Going on with a run; everything else is as it was."""

    resume: str
    """The run folder."""
    total_steps: int = 0
    """New total; 0 keeps the old one."""
    device: str = ""
    """Where networks compute; empty keeps the old one."""
    quiet: bool = False
    """Show no progress."""

    def __post_init__(self) -> None:
        """Refuses values that cannot work."""
        check(self, {"total_steps": STEPS})


@dataclass(frozen=True)
class EvaluateOptions:
    """Evaluating the greedy policy of a run, beside random and the environment's heuristic."""

    evaluate: str
    """The run folder."""
    episodes: int = 100
    """Episodes of each policy, the same for all."""
    checkpoint: Literal["latest", "best"] = "latest"
    """Which checkpoint: the latest, or the best by the evaluations during training."""
    eval_steps: int = 0
    """Longest episode [steps]: it is cut there, and a note says so; 0: as in the run."""
    sampled: bool = False
    """Evaluate the same policy with actions drawn as in training, too."""
    seed: int = 0
    """Another seed is another set of episodes; never any that were trained on, or that chose the best checkpoint."""
    video: str = ""
    """Film an episode of the learned policy into this file: .gif, .mp4, or .png for a series."""
    video_speed: float = 0.0
    """How many times as fast as the world's own clock the film runs; 0: as fast as shows an episode in half a minute,
    and no slower than that clock."""
    json: bool = False
    """Print JSON instead of the table."""
    device: str = "cpu"
    """Where networks compute."""
    quiet: bool = False
    """Show no progress."""

    def __post_init__(self) -> None:
        """Refuses values that cannot work."""
        seeds = Range(0, evaluation.CHOOSING_SEED - evaluation.FIRST_SEED - 1)
        check(self, {"episodes": EPISODES, "seed": seeds, "eval_steps": STEPS, "video_speed": Range(0.0, 1e4)})


def main(argv: list[str]) -> int:
    """Does what the command line says, whatever becomes of the screen; returns the exit code."""
    with screen.unbreakable_output():
        return _main(argv)


def _main(argv: list[str]) -> int:
    if not argv:
        print(USAGE.format(program=PROGRAM, envs=", ".join(envs.ENVS), algos=", ".join(ALGOS)), end="")
        return 0
    try:
        if options.find(argv, "--resume") is not None:
            return resume(argv)
        if options.find(argv, "--evaluate") is not None:
            return evaluate(argv)
        return train(argv)
    except (UsageError, runfolder.RunFolderError, checkpoint.CheckpointError, checkpoint.MisfitError) as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return 2
    except NonFiniteError as error:
        _warn(f"{error}; nothing was saved over the last good checkpoint")
        return 1
    except (OSError, adapters.ForeignError) as error:  # a full disk, a folder that may not be written; a dead worker
        _warn(str(error))
        return 1


def train(argv: list[str]) -> int:
    """A new run."""
    config, chosen = chosen_options(argv)
    with Interrupts() as stop, contextlib.ExitStack() as held:
        make_env, heuristic, suitable = _environment(config)
        config["run"]["n_worlds"] = chosen.n_worlds or suitable
        env = make_env(config["run"]["n_worlds"], stagger=True)
        spec = spec_of(env)
        options_of_algo = config["algo"]["options"]
        options_of_algo["obs_norm"], notes = settled_obs_norm(
            options_of_algo["obs_norm"],
            foreign=adapters.is_foreign(config["env"]["name"]),
            space=env.observation_space,
        )
        algo = _algorithm(config, spec)
        n_worlds = config["run"]["n_worlds"]
        _warm_up(config["env"]["name"], make_env, heuristic, n_worlds=n_worlds, quiet=chosen.quiet)
        config |= {"spec": runfolder.spec_to_plain(spec), "agents": list(env.agents)}
        config["own_spaces"] = getattr(env, "own_spaces", None)
        name = chosen.run_name or _run_name(config)
        try:
            folder = runfolder.create(Path(chosen.log_dir), name, config)
        except OSError as error:
            raise UsageError(f"no run folder can be made in {chosen.log_dir}: {error.strerror or error}") from None
        held.enter_context(RunLock(folder))
        if not chosen.quiet:
            print(f"run folder: {folder}", file=sys.stderr)
            if note := _too_short(config):
                _warn(note)
            for note in (*getattr(env, "notes", ()), *notes):
                _warn(note)
        hparams = _flat({part: config[part] for part in ("env", "algo", "run")})
        try:
            outcome = run(
                env,
                algo,
                _schedule(config["run"]),
                folder=folder,
                seed=chosen.seed,
                make_env=make_env,
                policies=_baselines(heuristic),
                stop=stop,
                hparams=hparams,
                whose=identity.identity_of(config),
                quiet=chosen.quiet,
            )
        except adapters.ForeignError as error:
            return _broken(folder, error)
        return _finish(folder, outcome, stop, chosen.quiet)


def chosen_options(argv: list[str]) -> tuple[dict[str, Any], RunOptions]:
    """What the command line of a new run says, checked.

    Returns:
        The config of the run so far, as plain data, and the options of the run.

    Raises:
        UsageError: Something is missing, unknown or not allowed.
        SystemExit: Help was asked for, and is printed.
    """
    helping = "--help" in argv or "-h" in argv
    env_names, algo_names = list(envs.ENVS), list(ALGOS)
    env_name, algo_name = options.find(argv, "--env"), options.find(argv, "--algo")
    plain = ["--env", "--algo", "--resume", "--evaluate", *options.names({"run": RunOptions()}, flat={"run"})]
    top_level = [word for word in argv if "." not in word.split("=", 1)[0]]
    options.refuse_unknown(plain, top_level, others=_deeper_names(env_name, algo_name))
    if not helping:
        for option, name, allowed in (("--env", env_name, env_names), ("--algo", algo_name, algo_names)):
            if name is None:
                raise UsageError(f"{option} is missing; allowed: {', '.join(allowed)}; --help shows every option")
    foreign = env_name is not None and adapters.is_foreign(env_name)
    if env_name is not None and not foreign and env_name not in envs.ENVS and (hint := adapters.hint(env_name)):
        raise UsageError(f"--env {env_name}: unknown environment; {hint}")
    env_names += [env_name] if env_name is not None and foreign else []
    if env_name is not None:
        options.one_of("--env", env_name, env_names, "environment")
    if algo_name is not None:
        options.one_of("--algo", algo_name, algo_names, "algorithm")
    defaults = defaults_of(env_name or "", algo_name or "", foreign=foreign)
    choices: dict[str, Any] = {
        "env": ("env", "What to learn; also any PettingZoo or Gymnasium environment.", env_name, env_names),
        "algo": ("algo", "How to learn it.", algo_name, algo_names),
    }
    parts: dict[str, Any] = {"run": RunOptions(**defaults.run)}
    task = None
    if env_name is not None and foreign:
        parts["env"] = _foreign_options(env_name, argv)
    elif env_name is not None:
        module = importlib.import_module(f"envs.{env_name}")  # see envs/__init__.py for what such a module offers
        task = options.one_of(
            "--env.task", options.find(argv, "--env.task") or module.DEFAULT_TASK, module.TASKS, f"task of {env_name}"
        )
        choices["task"] = ("env.task", "Named set of the environment's options below.", task, list(module.TASKS))
        parts["env"] = envs.config(env_name, task)
    if algo_name is not None:
        parts["algo"] = ALGOS[algo_name].config(**defaults.algo)
    about = (__doc__ or "").strip().replace("python train.py", f"python {PROGRAM}")
    parts = {"choice": options.group("Choice", **choices), **parts}
    given = options.parse(
        parts, argv, flat=("choice", "run"), program=PROGRAM, about=about, elsewhere=_of_other_algorithms(algo_name)
    )
    assert env_name is not None
    assert algo_name is not None
    chosen: RunOptions = given["run"]
    config: dict[str, Any] = {
        "env": {
            "name": env_name,
            "task": task,
            "options": _changed(parts["env"], given["env"]),
            "version": _version_of(env_name),
        },
        "algo": {"name": algo_name, "options": _fields(given["algo"])},
        "run": {**_fields(chosen), "threads": chosen.threads or best_threads()},
    }
    _device(chosen.device)
    _check_log_dir(Path(chosen.log_dir))
    return config, chosen


def _check_log_dir(log_dir: Path) -> None:
    """Refuses a folder that cannot be made or written into, before minutes are spent."""
    there = next(folder for folder in (log_dir, *log_dir.absolute().parents) if folder.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        reason = "is not a folder" if not there.is_dir() else "may not be written"
        raise UsageError(f"no run folder can be made in {log_dir}: {there} {reason}")


def _of_other_algorithms(name: str | None) -> dict[str, str]:
    """Options that an algorithm does not have, and which algorithms do."""
    having: dict[str, list[str]] = {}
    for other, entry in ALGOS.items():
        for option in options.names({"algo": entry.config()}, set()):
            having.setdefault(option, []).append(other)
    return {option: ", ".join(others) for option, others in having.items() if name not in others}


def _of_new_runs() -> dict[str, str]:
    """Options that only the start of a run takes; the run has them from then on."""
    names = [*_of_other_algorithms(None), *options.names({"run": RunOptions()}, {"run"})]
    return dict.fromkeys(names, "a new run")


def _too_short(config: dict[str, Any]) -> str:
    """A line where a run ends before anything is learned, else empty."""
    settings, total = config["algo"]["options"], config["run"]["total_steps"]
    first = settings.get("warm_up", settings.get("rollout_steps", 0) * config["run"]["n_worlds"])
    if total >= first:
        return ""
    option = "--algo.warm-up" if "warm_up" in settings else "--algo.rollout-steps x --n-worlds"
    return f"nothing will be learned: {total:,} steps end before the first update, after {first:,} ({option})"


def _run_name(config: dict[str, Any]) -> str:
    task = config["env"]["task"]
    names = [re.sub(r"[/:]", "-", config["env"]["name"]), *([] if task is None else [task]), config["algo"]["name"]]
    return "-".join([*names, str(config["run"]["seed"]), time.strftime("%Y%m%d-%H%M%S")])


def _deeper_names(env_name: str | None, algo_name: str | None) -> list[str]:
    """Options of environment and algorithm, for hints: those that were chosen, else all algorithms'."""
    parts = {
        name: {"algo": entry.config()} for name, entry in ALGOS.items() if algo_name not in ALGOS or name == algo_name
    }
    found = [name for part in parts.values() for name in options.names(part, set())]
    if env_name in envs.ENVS:
        found += ["--env.task", *options.names({"env": envs.config(str(env_name))}, set())]
    return list(dict.fromkeys(found))


def resume(argv: list[str]) -> int:
    """Goes on with a run, bit for bit."""
    about = "Goes on with a run. Everything but these options is as it was; it ends as if never interrupted."
    given: ResumeOptions = options.parse(
        {"resume": ResumeOptions(resume="")},
        argv,
        flat=("resume",),
        program=PROGRAM,
        about=about,
        elsewhere=_of_new_runs(),
    )["resume"]
    folder = Path(given.resume)
    config = runfolder.read_config(folder)
    with RunLock(folder):
        return _go_on(folder, config, given)


def _go_on(folder: Path, config: dict[str, Any], given: ResumeOptions) -> int:
    """See `resume`; the run folder is ours alone."""
    settings = config["run"] = _run_settings(folder, config)
    path, content = checkpoint.load_latest(folder / runfolder.CHECKPOINTS, warn=_warn)
    identity.refuse_other(path, content, config)
    settings["total_steps"] = given.total_steps or settings["total_steps"]
    settings["device"] = given.device or settings["device"]
    steps, n_worlds = identity.progress_of(path, content)
    if n_worlds != settings["n_worlds"]:
        raise UsageError(
            f"{path} has {n_worlds} worlds; run.n_worlds of {folder / runfolder.CONFIG} is {settings['n_worlds']}"
        )
    if steps >= settings["total_steps"]:
        print(
            f"{PROGRAM}: {folder} is finished: {steps:,} of {settings['total_steps']:,} steps are done; "
            f"give a larger --total-steps to extend it, or --evaluate it",
            file=sys.stderr,
        )
        return 0
    with Interrupts() as stop:
        make_env, heuristic, _ = _environment(config)
        env = make_env(settings["n_worlds"], stagger=True)
        _compare(config, env)
        algo = _algorithm(config, runfolder.spec_from_plain(config["spec"]))
        _warm_up(config["env"]["name"], make_env, heuristic, n_worlds=settings["n_worlds"], quiet=given.quiet)
        history = [*config.pop("resumed", []), {"steps": steps, "code": runfolder.code_versions()}]
        runfolder.write_config(folder, {**config, "resumed": history})
        if not given.quiet:
            print(f"going on with {folder} at step {steps:,} from {path.name}", file=sys.stderr)
        if note := getattr(env, "resume_note", ""):
            _warn(note)
        try:
            outcome = run(
                env,
                algo,
                _schedule(settings),
                folder=folder,
                seed=settings["seed"],
                make_env=make_env,
                policies=_baselines(heuristic),
                resume=content,
                stop=stop,
                whose=identity.identity_of(config),
                quiet=given.quiet,
            )
        except checkpoint.MisfitError as error:
            raise UsageError(f"{path}: {error}") from None
        except adapters.ForeignError as error:
            return _broken(folder, error)
        return _finish(folder, outcome, stop, given.quiet)


def evaluate(argv: list[str]) -> int:
    """Compares the greedy policy of a run with random and the heuristic."""
    about = "Evaluates the greedy policy of a run beside random and the heuristic, on the same unseen episodes."
    given: EvaluateOptions = options.parse(
        {"evaluate": EvaluateOptions(evaluate="")},
        argv,
        flat=("evaluate",),
        program=PROGRAM,
        about=about,
        elsewhere=_of_new_runs(),
    )["evaluate"]
    folder = Path(given.evaluate)
    config = runfolder.read_config(folder, unknown=lambda _: None)  # `load_policy` says it
    config["run"] = _run_settings(folder, config, unknown=_warn)
    try:
        if given.video:
            video.check_path(Path(given.video))
        policy = load_policy(folder, which=given.checkpoint, device=_device(given.device), warn=_warn)
    except ValueError as error:
        raise UsageError(str(error)) from None
    _set_threads(config["run"]["threads"])
    make_env, heuristic, _ = _environment(config)
    worlds = evaluation.worlds_for(given.episodes)
    _compare(config, make_env(worlds))
    if given.video:
        _check_film(Path(given.video), make_env(1), given.video_speed)
    seed = evaluation.FIRST_SEED + given.seed
    policies: evaluation.Policies = {LEARNED: lambda env: policy.player(agents=env.agents)}
    if given.sampled:
        drawing = torch.Generator(given.device).manual_seed(SAMPLING_SEED)
        policies |= {SAMPLED: lambda env: policy.player(generator=drawing, agents=env.agents)}
    stage = EvaluationProgress(quiet=given.quiet)
    _warm_up(config["env"]["name"], make_env, heuristic, n_worlds=worlds, quiet=given.json or given.quiet)
    with Interrupts() as stop:
        found = evaluation.compare(
            make_env,
            {**policies, **_baselines(heuristic)},
            given.episodes,
            seed=seed,
            most_steps=given.eval_steps or config["run"].get("eval_steps", 0),
            stop=stop,
            tell=stage,
        )
        stage.close()
        if found is None:
            print(f"{PROGRAM}: interrupted", file=sys.stderr)
            return stop.exit_code
    notes = [f"{name}: {note}" for name, one in found.items() for note in one.notes]
    if given.sampled and far_apart(found):
        notes.append(contrast_note(found))
    if given.json:
        plain: dict[str, Any] = {"run": str(folder), "episodes": given.episodes}
        plain |= {"policies": evaluation.summary(found), **({"notes": notes} if notes else {})}
        print(json.dumps(plain, indent=2))
    else:
        print("\n".join([_table(found), *notes]))
    if given.video:
        try:
            with contextlib.nullcontext() if given.quiet else announced(f"filming {given.video}", _warn):
                _film(Path(given.video), make_env(1), policy.player(), seed, given.video_speed)
        except Exception as error:  # foreign code draws, and anything may go wrong
            _warn(f"no video: {' '.join(f'{error}'.split()) or type(error).__name__}")
            return 1
    if (fault := screen.fault_of(sys.stdout)) is not None:
        _warn(f"the result cannot be printed: {fault.strerror or fault}")
        return 1
    return 0


def _table(found: dict[str, evaluation.Evaluation]) -> str:
    episodes = len(found[LEARNED].values)
    return f"{episodes} episode{'s' * (episodes != 1)} each: mean [95 % bootstrap interval]\n{evaluation.table(found)}"


def _film(path: Path, env: Any, act: Any, seed: int, speed: float) -> None:
    """Films an episode into a file, and says how fast it runs."""
    pace = film.pace(env, speed=speed)
    video.write_video(path, film.frames(env, act, pace, seed=seed, most=video.most_frames(path)), pace.seconds)
    print(f"video: {path}, {pace.speed:.3g} times as fast as the world's clock", file=sys.stderr)


def _check_film(path: Path, env: Any, speed: float) -> None:
    """Refuses a film that is too long, before any episode is played."""
    try:
        video.check_length(path, film.pace(env, speed=speed).frames_of(env.max_steps))
    except ValueError as error:
        raise UsageError(f"--video {error}; --video-speed makes it shorter") from None


def best_threads() -> int:
    """Threads of torch: `OMP_NUM_THREADS` if set, else two of the cores; docs/training.md has the measurement."""
    told = os.environ.get("OMP_NUM_THREADS", "")
    if told.isdigit() and int(told):
        return int(told)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, 2)


def _foreign_options(name: str, argv: list[str]) -> Any:
    """The adapter's options and, as text, those of a constructor that is not ours."""
    try:
        texts, complete = adapters.texts(name)
    except ValueError as error:
        raise UsageError(_of_env(name, error)) from None
    if not complete:  # the constructor does not name its keys: it will refuse them itself
        words = (word.split("=", 1)[0].removeprefix("--env.") for word in argv if word.startswith("--env."))
        keys = {word.replace("-", "_") for word in words}.difference(adapters.RESERVED)
        for key in keys:
            if not key.isidentifier() or keyword.iskeyword(key):
                raise UsageError(f"--env.{key}: no constructor has a key of that name; it must be a name of Python's")
        texts = {**dict.fromkeys(sorted(keys), ""), **texts}
    return options.with_texts(adapters.Options, texts)


def _of_env(name: str, error: Exception) -> str:
    """What is wrong with somebody else's environment, after its name."""
    said = str(error)
    return f"--env {said}" if said.startswith((name, repr(name))) else f"--env {name}: {said}"


def _environment(config: dict[str, Any]) -> tuple[Callable[..., Any], Callable[[Any], Any] | None, int]:
    """A maker of worlds, given their number; the heuristic if there is one; and a number of worlds that suits.

    Agents of a run that there is already are in its order.
    """
    name, task, plain = config["env"]["name"], config["env"]["task"], config["env"]["options"]
    if adapters.is_foreign(name):
        try:
            own = {key: value for key, value in plain.items() if key in adapters.RESERVED}
            texts = {key: typed.typed(value, str, key) for key, value in plain.items() if key not in own}
            arguments = typed.fields(adapters.Options, own, "options") | texts
            foreign = adapters.prepare(name, **adapters.parse(name, arguments))
            if "agents" in config:
                foreign = foreign.in_order(config["agents"])
        except ValueError as error:
            raise UsageError(_of_env(name, error)) from None
        return foreign.maker(), None, foreign.n_worlds
    try:
        known = type(envs.config(name, task))
        arguments = typed.fields(known, plain, "options")
        heuristic = envs.heuristic(name, task, **arguments)
        dynamics = envs.make(name, task, **arguments)
    except ValueError as error:
        raise UsageError(f"--env {name}: {error}") from None

    def make_env(n_worlds: int, *, stagger: bool = False) -> Any:
        return VectorView(dynamics, n_worlds, stagger=stagger)

    return make_env, heuristic, RunOptions.n_worlds


def _algorithm(config: dict[str, Any], spec: Any) -> Any:
    """The algorithm with its device and threads set."""
    _set_threads(config["run"]["threads"])
    device = _device(config["run"]["device"])
    name = config["algo"]["name"]
    if name not in ALGOS:
        raise UsageError(f"{name!r} is no algorithm known here; known: {', '.join(ALGOS)}")
    entry = ALGOS[name]
    try:
        algo_config = entry.config(**typed.fields(entry.config, config["algo"]["options"], "options"))
    except (TypeError, ValueError) as error:
        raise UsageError(f"--algo {name}: {error}") from None
    worlds, masks = config["run"]["n_worlds"], isinstance(spec.action_space, Discrete)
    try:
        parts = entry.footprint(spec, algo_config, n_worlds=worlds, action_mask=masks, device=device)
        footprint.refuse_too_large(parts)
    except ValueError as error:
        line = options.with_options(str(error), algo_config, "--algo.", ())
        raise UsageError(line if line.startswith("--") else f"--algo {name}: {line}") from None
    try:
        return entry.algorithm(spec, algo_config, seed=config["run"]["seed"], device=device)
    except (TypeError, ValueError) as error:
        raise UsageError(f"--algo {name}: {error}") from None


def _version_of(name: str) -> str | None:
    """The environment's version, as far as it is known."""
    if adapters.is_foreign(name):
        return adapters.version_of(name)
    return f"{name}_v{importlib.import_module(f'envs.{name}').VERSION}"


def _compare(config: dict[str, Any], env: Any) -> None:
    """Refuses an environment that is not the run's any more, and says so where only its version differs.

    Raises:
        UsageError: Its agents, observations or actions are others.
    """
    name, before = config["env"]["name"], config["env"].get("version")
    now = _version_of(name)
    versions = f" (now {now}, then {before})" if before and now != before else ""
    if differs := runfolder.misfit(config, spec_of(env), env.agents):
        raise UsageError(f"--env {name}: the environment has changed{versions}: {differs}")
    if versions:
        _warn(f"the environment's version is not that of the run{versions}: results may differ")


def _run_settings(folder: Path, config: dict[str, Any], unknown: Callable[[str], None] | None = None) -> dict[str, Any]:
    """The run's own options, checked; those that older folders lack have their defaults.

    Raises:
        UsageError: One is wrong, or, without `unknown` to tell, not known.
    """
    where = folder / runfolder.CONFIG
    say = None if unknown is None else lambda line: unknown(f"{where}: {line}")
    try:
        return _fields(RunOptions(**typed.fields(RunOptions, config["run"], "run", unknown=say)))
    except ValueError as error:
        raise UsageError(f"{where} is damaged: {error}") from None


def _set_threads(count: int) -> None:
    """Threads of torch.

    Raises:
        UsageError: It refuses the number.
    """
    try:
        torch.set_num_threads(count)
    except (RuntimeError, OverflowError, TypeError, ValueError) as error:
        raise UsageError(f"threads is {count}: {str(error).splitlines()[0]}") from None


def _warm_up(
    name: str,
    make_env: Callable[..., Any],
    heuristic: Callable[[Any], Any] | None,
    *,
    n_worlds: int,
    quiet: bool,
) -> None:
    """Compiles what an environment of ours needs, before any clock runs, and counts what its worlds will take.

    Raises:
        UsageError: So many worlds do not fit into the memory.
    """
    if adapters.is_foreign(name):
        return
    words = f"compiling {name} for this machine; it is done once for this version of the code, and takes half a minute"
    with contextlib.nullcontext() if quiet else announced(words, _warn, patience=COMPILING):
        env = make_env(1)
        step = env.reset(0)
        space = env.action_space
        if isinstance(space, Box):
            nothing = np.zeros((*step.reward.shape, *space.shape), np.float32)
            env.step(np.clip(nothing, space.low, space.high))
        else:
            env.step(np.zeros(step.reward.shape, int) if step.action_mask is None else step.action_mask.argmax(axis=-1))
        if heuristic is not None:
            heuristic(env.batch_state)
    kept = env.state_dict()
    world = 3 * (_bytes_of(kept["state"]) + _bytes_of(kept["step"]))  # before a step, after it, and at its restart
    there = footprint.available()
    if there is not None and world * n_worlds > there:
        raise UsageError(
            f"--n-worlds {n_worlds}: a world of {name} with these options takes {footprint.readable(world)}, together "
            f"{footprint.readable(world * n_worlds)}; {footprint.readable(there)} are available: take at most "
            f"{max(there // world, 1):,} worlds, or smaller ones"
        )


def _bytes_of(arrays: Any) -> int:
    if isinstance(arrays, dict):
        return sum(_bytes_of(part) for part in arrays.values())
    return getattr(arrays, "nbytes", 0)


def _device(name: str) -> str:
    """`name`, if torch can compute there and draw random numbers."""
    try:
        torch.ones(1, device=name).add(1.0).item()
        torch.Generator(name)
    except (RuntimeError, AssertionError, ValueError) as error:
        reason = str(error).splitlines()[0].split(". ", 1)[0]  # what follows is for those who build torch
        raise UsageError(
            f"--device {' '.join(name.split())}: {reason}; allowed are cpu and, with a GPU, cuda"
        ) from None
    return name


def _baselines(heuristic: Callable[[Any], Any] | None) -> evaluation.Policies:
    """Random and the heuristic, for comparison."""
    if heuristic is None:
        return {"random": evaluation.random_policy}
    return {"random": evaluation.random_policy, "heuristic": lambda env: lambda _: heuristic(env.batch_state)}  # pyright: ignore


def _broken(folder: Path, error: adapters.ForeignError) -> int:
    """Says why a run ended whose environment could not go on; returns the exit code."""
    if trace := getattr(error, "traceback", ""):
        print(trace.rstrip(), file=sys.stderr)
    _warn(f"{error}; what was learned is saved, go on with: {_resume_command(folder)}")
    return 1


def _finish(folder: Path, outcome: Outcome, stop: Interrupts, quiet: bool) -> int:
    """Says how a run ended; returns the exit code."""
    if not outcome.saved:
        print(
            f"{PROGRAM}: the last checkpoint could not be saved; what there is: {folder}/checkpoints", file=sys.stderr
        )
    if outcome.comparison is not None:
        if not quiet:
            print("\n".join([_table(outcome.comparison), *outcome.notes]))
        plain = json.dumps(evaluation.summary(outcome.comparison), indent=2) + "\n"
        checkpoint.write_atomically(folder / "evaluation.json", plain.encode())
    if stop():
        todo = f"go on with: {_resume_command(folder)}" if not outcome.finished else f"training is finished: {folder}"
        saved = "saved" if outcome.saved else "not saved"
        print(f"{PROGRAM}: interrupted at step {outcome.steps:,}, {saved}; {todo}", file=sys.stderr)
        return stop.exit_code
    return 0 if outcome.saved else 1


def _resume_command(folder: Path) -> str:
    return f"python {shlex.join([sys.argv[0], '--resume', str(folder)])}"


def _schedule(settings: dict[str, Any]) -> Schedule:
    known = (field.name for field in dataclasses.fields(Schedule))
    return Schedule(**{name: settings[name] for name in known if name in settings})  # older folders lack newer options


def _fields(config: Any) -> dict[str, Any]:
    return {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}


def _changed(before: Any, after: Any) -> dict[str, Any]:
    """All options of ours; of a foreign constructor those that were given, for the others are its own affair."""
    free = isinstance(after, adapters.Options)
    kept = _fields(after)
    return {k: v for k, v in kept.items() if not free or k in adapters.RESERVED or v != getattr(before, k)}


def _flat(nested: dict[str, Any], lead: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in nested.items():
        flat |= _flat(value, f"{lead}{key}.") if isinstance(value, dict) else {lead + key: value}
    return flat


def _warn(line: str) -> None:
    print(f"{PROGRAM}: {line}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
