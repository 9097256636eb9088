"""Resuming runs: reads and checks a run folder, and builds the session that continues it bit for bit."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..core import VectorEnv, spec_of
from . import checkpoint, identity, runfolder
from .builder import AlgorithmEntry, Say, Setup, algorithm, environment, warm_up
from .companion import Accompany
from .environments import Environments
from .lock import RunLock
from .run_config import ConfigError, RunConfig
from .run_record import RunRecord, misfit
from .session import Session


@dataclass(frozen=True)
class Resumable:
    """A run that can be resumed, as its folder describes it."""

    folder: Path
    record: RunRecord
    config: RunConfig
    """Its config with the new total and device."""
    path: Path
    """The checkpoint to resume from."""
    content: dict[str, Any]
    """The content of that checkpoint."""
    steps: int
    """Environment steps made."""

    @property
    def finished(self) -> bool:
        """Whether no steps are left to make."""
        return self.steps >= self.config.run.total_steps

    def set_up(
        self,
        envs: Environments,
        algos: Mapping[str, AlgorithmEntry],
        *,
        peers: Accompany | None = None,
        say: Say | None = None,
    ) -> Setup:
        """Builds environment and algorithm, and records the resume in config.json.

        Args:
            envs: The environments.
            algos: The table of algorithms.
            peers: See `set_up`.
            say: See `set_up`.

        Raises:
            ConfigError: The config cannot be built, or the environment has changed; the message is one line.
        """
        config = self.config
        made = environment(config.env, envs, agents=self.record.agents)
        env = made.vector(config.run.n_worlds, stagger=True)
        versions = same_environment(self.record, env, made.version)
        algo = algorithm(config, self.record.spec, algos)
        warm_up(made, config.env.name, n_worlds=config.run.n_worlds, say=say)
        setup = Setup(config, self.record, made, env, algo, (), peers)
        setup.companion(self.folder, self.steps)  # refuses options that no longer fit before anything is written
        history = (*self.record.resumed, {"steps": self.steps, "code": runfolder.code_versions()})
        record = replace(self.record.with_config(config), resumed=history)
        runfolder.write_config(self.folder, record)
        note = getattr(env, "resume_note", "")
        return replace(setup, record=record, notes=tuple(filter(None, (versions, note))))


def resumable(folder: Path, *, total_steps: int = 0, device: str = "", warn: Say) -> Resumable:
    """Reads a run that is to be resumed; the caller holds the lock of its folder.

    Args:
        folder: The run folder.
        total_steps: New total; 0: the old one.
        device: New device; empty: the old one.
        warn: Called with one line for each newer checkpoint that is damaged.

    Raises:
        RunFolderError: The folder is not a run, or its config.json is damaged.
        CheckpointError: No checkpoint can be read.
        MisfitError: The checkpoint belongs to another run.
    """
    record = runfolder.read_config(folder)
    config = config_of(folder, record)
    path, content = checkpoint.load_latest(folder / runfolder.CHECKPOINTS, warn=warn)
    identity.refuse_other(path, content, record)
    run = replace(config.run, total_steps=total_steps or config.run.total_steps, device=device or config.run.device)
    steps, n_worlds = identity.progress_of(path, content)
    if n_worlds != run.n_worlds:
        raise runfolder.RunFolderError(
            f"{path} has {n_worlds} worlds; run.n_worlds of {folder / runfolder.CONFIG} is {run.n_worlds}"
        )
    return Resumable(folder, record, replace(config, run=run), path, content, steps)


def config_of(folder: Path, record: RunRecord, unknown: Callable[[str], None] | None = None) -> RunConfig:
    """Returns the config of the run in a folder; see `RunRecord.config`.

    Raises:
        RunFolderError: An option of the run is damaged.
    """
    where = folder / runfolder.CONFIG
    try:
        return record.config(None if unknown is None else lambda line: unknown(f"{where}: {line}"))
    except ValueError as error:
        raise runfolder.RunFolderError(f"{where} is damaged: {error}") from None


def same_environment(record: RunRecord, env: VectorEnv, version: str | None) -> str:
    """Compares an environment with the one that a run was trained in.

    Returns:
        A line where only the version differs; "" where nothing does.

    Raises:
        ConfigError: Its agents, observations or actions are others.
    """
    before = record.env.version
    versions = f" (now {version}, then {before})" if before and version != before else ""
    if differs := misfit(record, spec_of(env), env.agents):
        raise ConfigError("env", f"the environment has changed{versions}: {differs}")
    return f"the environment's version is not that of the run{versions}: results may differ" if versions else ""


def resume(
    folder: Path,
    *,
    envs: Environments,
    algos: Mapping[str, AlgorithmEntry],
    peers: Accompany | None = None,
    total_steps: int = 0,
    device: str = "",
    stop: Callable[[], bool] = lambda: False,
    say: Say | None = None,
    quiet: bool = False,
) -> Session:
    """Makes a session that continues a run bit for bit.

    Args:
        folder: The run folder.
        envs: The environments.
        algos: The table of algorithms.
        peers: See `set_up`.
        total_steps: New total; 0: the old one.
        device: New device; empty: the old one.
        stop: See `Session`.
        say: Called with remarks, a line each; None: they are not shown.
        quiet: Show no progress.

    Raises:
        ValueError: The folder is not a run that can be resumed; the message is one line.
    """
    warn = say or _nothing
    runfolder.read_config(folder)  # there is a run at all: no lock is left in another folder
    with contextlib.ExitStack() as held:
        lock = held.enter_context(RunLock(folder))
        found = resumable(folder, total_steps=total_steps, device=device, warn=warn)
        made = found.set_up(envs, algos, peers=peers, say=say)
        for note in made.notes:
            warn(note)
        one = made.session(folder, lock=lock, resume=found.content, stop=stop, quiet=quiet)
        held.pop_all()  # the session holds the lock from here on
    return one


def _nothing(_: str) -> None:
    pass
