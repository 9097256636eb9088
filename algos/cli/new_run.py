"""A new run from the command line: `--env X --algo Y` and the options of both."""

from __future__ import annotations

import contextlib
import dataclasses
import keyword
import os
import re
import sys
import time
from pathlib import Path
from typing import Any

from .. import ALGOS
from ..peers.config import PeersConfig
from ..peers.council import accompany
from ..training import runfolder
from ..training.builder import set_up
from ..training.computing import best_threads, check_device
from ..training.lock import RunLock
from ..training.presets import presets_of
from ..training.run_config import (
    AlgorithmConfig,
    ConfigError,
    EnvironmentConfig,
    PeersPart,
    RunConfig,
    RunOptions,
    options_of,
)
from . import options
from .ending import trained
from .interrupts import Interrupts
from .options import UsageError
from .program import Program

ABOUT = """\
Trains a team of agents, resumes a run, or evaluates what a run has learned.

    {call} --env warehouse --algo mappo
    {call} --env warehouse --env.task medium-8 --algo mappo --algo.lr 3e-4 --seed 1 --total-steps 2e6
    {call} --env mpe2.simple_spread_v3 --env.N 5 --algo mappo
    {call} --resume runs/NAME
    {call} --evaluate runs/NAME --episodes 100 --video out.gif

`--help` shows the options: after `--env X --algo Y` those of X and Y, after `--resume RUN` and `--evaluate RUN` theirs.
X is an environment of Coterie or anybody's: docs/foreign.md says how PettingZoo's and Gymnasium's are named."""


def train(argv: list[str], program: Program) -> int:
    """Trains a new run; returns the exit code.

    Raises:
        UsageError: A mistake on the command line.
    """
    config = chosen_config(argv, program)
    run = config.run
    with Interrupts() as stop, contextlib.ExitStack() as held:
        try:
            made = set_up(config, program.envs, ALGOS, peers=accompany, say=None if run.quiet else program.warn)
        except ConfigError as error:
            raise program.usage_error(error, config.env.name, config.algo.name) from None
        try:
            folder = runfolder.create(Path(run.log_dir), run.run_name or _run_name(made.config), made.record)
        except OSError as error:
            raise UsageError(f"no run folder can be made in {run.log_dir}: {error.strerror or error}") from None
        lock = held.enter_context(RunLock(folder))
        if not run.quiet:
            print(f"run folder: {folder}", file=sys.stderr)
            for note in (*_too_short(made.config), *made.notes):
                program.warn(note)
        session = made.session(folder, lock=lock, stop=stop, quiet=run.quiet)
        return trained(session, program, stop, quiet=run.quiet)


def chosen_config(argv: list[str], program: Program) -> RunConfig:
    """Returns the config that the command line of a new run describes, checked.

    Raises:
        UsageError: Something is missing, unknown or not allowed.
        SystemExit: Help was asked for, and is printed.
    """
    envs = program.envs
    env_name, algo_name = _names(argv, program)
    foreign = env_name is not None and envs.is_foreign(env_name)
    env_names = [*envs.ENVS, *([env_name] if env_name is not None and foreign else [])]
    defaults = presets_of(env_name or "", algo_name or "", foreign=foreign)
    choices: dict[str, Any] = {
        "env": ("env", "Environment to learn; also any PettingZoo or Gymnasium environment.", env_name, env_names),
        "algo": ("algo", "Algorithm that learns.", algo_name, list(ALGOS)),
    }
    parts: dict[str, Any] = {"run": RunOptions(**defaults.run)}
    task = None
    if env_name is not None and foreign:
        parts["env"] = _foreign_options(env_name, argv, program)
    elif env_name is not None:
        tasks, asked = envs.tasks(env_name), options.find(argv, "--env.task")
        task = options.one_of("--env.task", asked or str(envs.default_task(env_name)), tasks, f"task of {env_name}")
        choices["task"] = ("env.task", "Named set of the environment's options below.", task, list(tasks))
        parts["env"] = envs.options(env_name, task)
    if algo_name is not None:
        parts |= options.apart("algo", ALGOS[algo_name].config(**defaults.algo))
        parts["peers"] = PeersConfig()
    given = options.parse(
        {"choice": options.group("Choice", **choices), **parts},
        argv,
        flat=("choice", "run"),
        program=program.name,
        about=ABOUT.format(call=" ".join(program.call)),
        elsewhere=_of_other_algorithms(algo_name),
    )
    assert env_name is not None
    assert algo_name is not None
    run: RunOptions = given["run"]
    of_env = options_of(given["env"])
    if foreign:  # of a foreign constructor's options only those that were given are kept
        typed = options_of(envs.options(env_name))
        before = parts["env"]
        of_env = {key: value for key, value in of_env.items() if key in typed or value != getattr(before, key)}
    try:
        check_device(run.device)
    except ConfigError as error:
        raise program.usage_error(error, env_name, algo_name) from None
    _check_log_dir(Path(run.log_dir))
    return RunConfig(
        EnvironmentConfig(env_name, task, of_env, envs.version_of(env_name)),
        AlgorithmConfig(algo_name, options.joined("algo", given)),
        dataclasses.replace(run, threads=run.threads or best_threads()),
        PeersPart({} if given["peers"] == PeersConfig() else options_of(given["peers"])),
    )


def of_new_runs() -> dict[str, str]:
    """Returns the options that only a new run takes, because the run keeps them from then on."""
    parts = {"run": RunOptions(), "peers": PeersConfig()}
    names = [*_of_other_algorithms(None), *options.names(parts, {"run"})]
    return dict.fromkeys(names, "a new run")


def _names(argv: list[str], program: Program) -> tuple[str | None, str | None]:
    """Returns the names of environment and algorithm, checked; None only where help was asked for."""
    envs = program.envs
    env_name, algo_name = options.find(argv, "--env"), options.find(argv, "--algo")
    plain = ["--env", "--algo", "--resume", "--evaluate", *options.names({"run": RunOptions()}, flat={"run"})]
    top_level = [word for word in argv if "." not in word.split("=", 1)[0]]
    options.refuse_unknown(plain, top_level, others=_deeper_names(env_name, algo_name, program))
    if "--help" not in argv and "-h" not in argv:
        for option, name, allowed in (("--env", env_name, envs.ENVS), ("--algo", algo_name, ALGOS)):
            if name is None:
                raise UsageError(f"{option} is missing; allowed: {', '.join(allowed)}; --help shows every option")
    if env_name is not None and not envs.is_foreign(env_name):
        if env_name not in envs.ENVS and (hint := envs.hint(env_name)):
            raise UsageError(f"--env {env_name}: unknown environment; {hint}")
        options.one_of("--env", env_name, envs.ENVS, "environment")
    if algo_name is not None:
        options.one_of("--algo", algo_name, ALGOS, "algorithm")
    return env_name, algo_name


def _foreign_options(name: str, argv: list[str], program: Program) -> Any:
    """Returns a dataclass instance of a foreign environment's options, those of its constructor as text."""
    words = (word.split("=", 1)[0].removeprefix("--env.") for word in argv if word.startswith("--env."))
    typed = program.envs.options(name)
    keys = {word.replace("-", "_") for word in words}.difference(options_of(typed))
    try:
        texts = program.envs.constructor_options(name, keys)
    except ValueError as error:
        raise program.usage_error(ConfigError("env", error), name, "") from None
    for key in keys.intersection(texts):
        if not key.isidentifier() or keyword.iskeyword(key):
            raise UsageError(f"--env.{key}: no constructor has a key of that name; it must be a name of Python's")
    return options.with_texts(type(typed), texts)


def _check_log_dir(log_dir: Path) -> None:
    """Refuses a folder that cannot be made or written into, before minutes are spent."""
    there = next(folder for folder in (log_dir, *log_dir.absolute().parents) if folder.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        reason = "is not a folder" if not there.is_dir() else "may not be written"
        raise UsageError(f"no run folder can be made in {log_dir}: {there} {reason}")


def _of_other_algorithms(name: str | None) -> dict[str, str]:
    """Returns options that the named algorithm does not have, and the algorithms that do."""
    having: dict[str, list[str]] = {}
    for other, entry in ALGOS.items():
        for option in options.names(options.apart("algo", entry.config()), set()):
            having.setdefault(option, []).append(other)
    return {option: ", ".join(others) for option, others in having.items() if name not in others}


def _deeper_names(env_name: str | None, algo_name: str | None, program: Program) -> list[str]:
    """Returns options of environment and algorithm to suggest; those of all algorithms where none is chosen."""
    parts = {
        name: options.apart("algo", entry.config())
        for name, entry in ALGOS.items()
        if algo_name not in ALGOS or name == algo_name
    }
    found = [name for part in (*parts.values(), {"peers": PeersConfig()}) for name in options.names(part, set())]
    if env_name in program.envs.ENVS:
        found += ["--env.task", *options.names({"env": program.envs.options(str(env_name))}, set())]
    return list(dict.fromkeys(found))


def _too_short(config: RunConfig) -> tuple[str, ...]:
    """Returns a line where a run ends before anything is learned."""
    settings, total = config.algo.options, config.run.total_steps
    first = settings.get("warm_up", settings.get("rollout_steps", 0) * config.run.n_worlds)
    if total >= first:
        return ()
    option = "--algo.warm-up" if "warm_up" in settings else "--algo.rollout-steps x --n-worlds"
    return (f"nothing will be learned: {total:,} steps end before the first update, after {first:,} ({option})",)


def _run_name(config: RunConfig) -> str:
    env, task = config.env.name, config.env.task
    names = [re.sub(r"[/:]", "-", env), *([] if task is None else [task]), config.algo.name, str(config.run.seed)]
    return "-".join([*names, time.strftime("%Y%m%d-%H%M%S")])
