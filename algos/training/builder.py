"""Runs from configs: the environment, the algorithm and the session that a `RunConfig` describes.

    config = run_config("spread", "mappo", envs=envs.builder, algos=ALGOS, seed=1, total_steps=100_000)
    with session(config, Path("runs/mine"), envs=envs.builder, algos=ALGOS) as one:
        one.advance(50_000)

Installed, `coterie.run_config`, `coterie.session` and `coterie.resume` are these functions with both tables filled in.
Environments and algorithms are handed in as tables; this file imports neither.
"""

from __future__ import annotations

import contextlib
import dataclasses
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from gymnasium.spaces import Discrete

from ..core import Algorithm, Spec, VectorEnv, spec_of
from ..report.progress import announced
from . import footprint, identity, runfolder, typed
from .companion import Accompany, Companion
from .computing import best_threads, check_device, set_threads
from .counterfactuals import settled_counterfactual
from .environments import Environment, Environments
from .evaluation import Policies, random_policy
from .lock import RunLock
from .presets import presets_of, settled_obs_norm
from .run_config import (
    AlgorithmConfig,
    ConfigError,
    EnvironmentConfig,
    PeersPart,
    RunConfig,
    RunOptions,
    options_of,
    with_tuples,
)
from .run_record import RunRecord
from .session import Session

COMPILING = 3.0
"""Loading kernels that were compiled before takes less than this [s]."""
Say = Callable[[str], None]


class AlgorithmEntry(Protocol):
    """A row of the table of algorithms."""

    @property
    def config(self) -> type[Any]:
        """The frozen dataclass of its options."""
        ...

    @property
    def algorithm(self) -> Callable[..., Algorithm]:
        """`algorithm(spec, config, seed=..., device=...)`."""
        ...

    @property
    def footprint(self) -> Callable[..., Any]:
        """The memory that it takes, see `footprint`."""
        ...


def run_config(
    env: str,
    algo: str,
    *,
    envs: Environments,
    algos: Mapping[str, AlgorithmEntry],
    task: str | None = None,
    env_options: Mapping[str, Any] | None = None,
    algo_options: Mapping[str, Any] | None = None,
    peers_options: Mapping[str, Any] | None = None,
    **run: Any,
) -> RunConfig:
    """Makes a config with the presets of environment and algorithm, as the command line has them.

    Args:
        env: Name of the environment.
        algo: Name of the algorithm.
        envs: The environments.
        algos: The table of algorithms.
        task: Named set of the environment's options; None: its default.
        env_options: Options of the environment that differ from the task's.
        algo_options: Options of the algorithm that differ from the presets.
        peers_options: Options of learning from peers that differ from their defaults.
        **run: Fields of `RunOptions` that differ from the presets.

    Raises:
        ConfigError: A name, option or value is not allowed; the message is one line.
    """
    foreign = envs.is_foreign(env)
    presets = presets_of(env, algo, foreign=foreign)
    with _blaming("env"):
        chosen = task if foreign or task is not None else envs.default_task(env)
        known = envs.options(env, chosen)
        own = [field.name for field in dataclasses.fields(known)]
        given = dict(env_options or {})
        if foreign:
            options = options_of(known) | {key: value if key in own else f"{value}" for key, value in given.items()}
        else:
            typed.refuse_unknown(given, own, "options")
            options = options_of(replace(known, **with_tuples(given)))
        version = envs.version_of(env)
    entry = _entry(algos, algo)
    with _blaming("algo"):
        typed.refuse_unknown(algo_options or {}, [field.name for field in dataclasses.fields(entry.config)], "options")
        of_algo = {**presets.algo, **with_tuples(algo_options or {})}
        of_algo = options_of(entry.config(**typed.nested(entry.config, of_algo, "options")))
    with _blaming("run"):
        typed.refuse_unknown(run, [field.name for field in dataclasses.fields(RunOptions)], "")
        of_run = RunOptions(**{**presets.run, **run})
    peers = PeersPart(with_tuples(peers_options or {}))
    return RunConfig(EnvironmentConfig(env, chosen, options, version), AlgorithmConfig(algo, of_algo), of_run, peers)


def environment(config: EnvironmentConfig, envs: Environments, *, agents: tuple[str, ...] = ()) -> Environment:
    """Builds the environment of a config; its options are checked against the types that they must have.

    Args:
        config: Name, task and options.
        envs: The environments.
        agents: (N,) order of the agents of a run that is resumed; empty: the environment's own.

    Raises:
        ConfigError: Something is unknown or not allowed; the message is one line.
    """
    with _blaming("env"):
        known = type(envs.options(config.name, config.task))
        own = [field.name for field in dataclasses.fields(known)]
        foreign = envs.is_foreign(config.name)
        texts = {key: value for key, value in config.options.items() if foreign and key not in own}
        texts = {key: typed.typed(value, str, key) for key, value in texts.items()}
        others = {key: value for key, value in config.options.items() if key not in texts}
        options = typed.fields(known, others, "options") | texts
        return envs.build(config.name, config.task, options, agents=agents)


def algorithm(config: RunConfig, spec: Spec, algos: Mapping[str, AlgorithmEntry]) -> Algorithm:
    """Builds the algorithm of a config for given shapes, and gives torch its threads.

    Raises:
        ConfigError: It is unknown, an option is not allowed, or it takes more memory than there is; the message is one
            line.
    """
    set_threads(config.run.threads)
    with _blaming("run"):
        device = check_device(config.run.device)
    entry = _entry(algos, config.algo.name)
    with _blaming("algo"):
        options = entry.config(**typed.fields(entry.config, config.algo.options, "options"))
        worlds, masks = config.run.n_worlds, isinstance(spec.action_space, Discrete)
        footprint.refuse_too_large(entry.footprint(spec, options, n_worlds=worlds, action_mask=masks, device=device))
        return entry.algorithm(spec, options, seed=config.run.seed, device=device)


@dataclass(frozen=True)
class Setup:
    """All that a session is built from."""

    config: RunConfig
    """The config with nothing left to choose: number of worlds, threads, and whether observations are normalised."""
    record: RunRecord
    """The content of config.json."""
    environment: Environment
    env: VectorEnv
    """The worlds to train on."""
    algo: Algorithm
    notes: tuple[str, ...] = ()
    """Remarks for the user, a line each."""
    peers: Accompany | None = None
    """Makes what accompanies the session."""

    def session(
        self,
        folder: Path,
        *,
        lock: RunLock | None = None,
        resume: dict[str, Any] | None = None,
        stop: Callable[[], bool] = lambda: False,
        quiet: bool = False,
    ) -> Session:
        """Makes the session; see `Session` for the arguments and the errors."""
        companion = self.companion(folder, 0 if resume is None else resume["run"]["steps"], stop)
        return Session(
            self.env,
            self.algo,
            self.config.run,
            folder=folder,
            seed=self.config.run.seed,
            make_env=self.environment.vector,
            policies=baselines(self.environment),
            resume=resume,
            stop=stop,
            hparams=self.config.flat(),
            identity=identity.identity_of(self.record),
            companion=companion,
            lock=lock,
            threads=self.config.run.threads,
            quiet=quiet,
        )

    def companion(self, folder: Path | None, steps: int, stop: Callable[[], bool] = lambda: False) -> Companion | None:
        """Makes what accompanies the session, if anything does; without a folder it only checks the options.

        Raises:
            ConfigError: An option does not fit.
        """
        if self.peers is None:
            return None
        with _blaming("peers"):
            how = self.config.peers.options, self.env, self.algo, self.config.run.seed, folder, steps
            return self.peers(*how, self.environment.vector, stop)


def set_up(
    config: RunConfig,
    envs: Environments,
    algos: Mapping[str, AlgorithmEntry],
    *,
    peers: Accompany | None = None,
    say: Say | None = None,
) -> Setup:
    """Builds environment and algorithm of a new run, and chooses what its config leaves open.

    Args:
        config: The config.
        envs: The environments.
        algos: The table of algorithms.
        peers: Makes what accompanies the session; None: nothing does.
        say: Called with a line where kernels are compiled, which takes a while.

    Raises:
        ConfigError: The config cannot be built; the message is one line.
    """
    hint = typing.get_type_hints(_entry(algos, config.algo.name).config).get("credit")
    config, switched = settled_counterfactual(config, envs, typing.get_args(hint))
    made = environment(config.env, envs)
    run = replace(
        config.run, n_worlds=config.run.n_worlds or made.n_worlds, threads=config.run.threads or best_threads()
    )
    env = made.vector(run.n_worlds, stagger=True)
    spec, options, notes = spec_of(env), dict(config.algo.options), ()
    if "obs_norm" in options:
        foreign = envs.is_foreign(config.env.name)
        options["obs_norm"], notes = settled_obs_norm(options["obs_norm"], foreign=foreign, space=env.observation_space)
    config = replace(config, algo=replace(config.algo, options=options), run=run)
    algo = algorithm(config, spec, algos)
    warm_up(made, config.env.name, n_worlds=run.n_worlds, say=say)
    record = RunRecord.of(config, spec, env.agents, getattr(env, "own_spaces", None), getattr(env, "obs_names", ()))
    setup = Setup(config, record, made, env, algo, (*switched, *getattr(env, "notes", ()), *notes), peers)
    companion = setup.companion(None, 0)
    return setup if companion is None else replace(setup, notes=(*setup.notes, *companion.notes))


def session(
    config: RunConfig,
    folder: Path,
    *,
    envs: Environments,
    algos: Mapping[str, AlgorithmEntry],
    peers: Accompany | None = None,
    stop: Callable[[], bool] = lambda: False,
    say: Say | None = None,
) -> Session:
    """Makes a session of a new run.

    Args:
        config: The config; its `log_dir` and `run_name` are not used.
        folder: Where to make the run folder. If it is taken, `-2`, `-3`, ... is appended; see `Session.folder`.
        envs: The environments.
        algos: The table of algorithms.
        peers: See `set_up`.
        stop: See `Session`.
        say: Called with remarks, a line each; None: they are not shown.

    Raises:
        ConfigError: The config cannot be built; the message is one line.
        OSError: The run folder cannot be made.
    """
    made = set_up(config, envs, algos, peers=peers, say=say)
    folder = runfolder.create(folder.parent, folder.name, made.record)
    if say is not None:
        for note in made.notes:
            say(note)
    return made.session(folder, stop=stop, quiet=config.run.quiet)


def warm_up(made: Environment, name: str, *, n_worlds: int, say: Say | None = None) -> None:
    """Compiles the kernels of an environment before training, and checks that its worlds fit into the memory.

    Args:
        made: The environment.
        name: Its name.
        n_worlds: B.
        say: Called with a line if compiling takes a while; None: nothing is shown.

    Raises:
        ConfigError: So many worlds do not fit into the memory.
    """
    words = f"compiling {name} for this machine; it is done once for this version of the code, and takes half a minute"
    with contextlib.nullcontext() if say is None else announced(words, say, patience=COMPILING):
        world = made.warm_up()
    there = footprint.available()
    if there is not None and world * n_worlds > there:
        raise ConfigError(
            "run",
            f"n_worlds {n_worlds}: a world of {name} with these options takes {footprint.readable(world)}, together "
            f"{footprint.readable(world * n_worlds)}; {footprint.readable(there)} are available: take at most "
            f"{max(there // world, 1):,} worlds, or smaller ones",
        )


def baselines(made: Environment) -> Policies:
    """Returns policies to compare a learned one with: random actions, and the heuristic if there is one."""
    act = made.heuristic
    if act is None:
        return {"random": random_policy}

    def heuristic(env: Any) -> Callable[[Any], Any]:
        return lambda _: act(env.batch_state)

    return {"random": random_policy, "heuristic": heuristic}


def _entry(algos: Mapping[str, AlgorithmEntry], name: str) -> AlgorithmEntry:
    if name not in algos:
        raise ConfigError("algo", f"{name!r} is no algorithm known here; known: {', '.join(algos)}")
    return algos[name]


@contextlib.contextmanager
def _blaming(part: str) -> Iterator[None]:
    """Turns a `ValueError` or `TypeError` of the block into a `ConfigError` that names the part of the config."""
    try:
        yield
    except ConfigError:
        raise
    except (TypeError, ValueError) as error:
        raise ConfigError(part, error) from None
