"""PettingZoo environments and CTDE multi-agent reinforcement learning.

    import coterie

    env = coterie.envs.parallel_env("warehouse")
    policy = coterie.algos.load_policy("runs/NAME")

    config = coterie.run_config("spread", "mappo", seed=1, total_steps=100_000)
    with coterie.session(config, "runs/mine") as session:
        session.advance(50_000)
        print(session.evaluate(20))

`coterie.envs` never needs torch, `coterie.algos` never an environment; each is loaded when it is first asked for, so
that importing `coterie` costs nothing. In a clone that is not installed they are plain `envs` and `algos`.
The command line is `coterie`, or `python -m coterie`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from os import PathLike

    from . import algos, envs
    from .algos.training.run_config import RunConfig
    from .algos.training.session import Session

__version__ = "0.1.0"
"""Written here only: pyproject.toml and the wheel take it from this line."""

__all__ = ["__version__", "algos", "envs", "resume", "run_config", "session"]


def run_config(
    env: str,
    algo: str,
    *,
    task: str | None = None,
    env_options: Mapping[str, Any] | None = None,
    algo_options: Mapping[str, Any] | None = None,
    peers_options: Mapping[str, Any] | None = None,
    **run: Any,
) -> RunConfig:
    """Makes the config of a run, with the presets of environment and algorithm, as the command line has them.

    Args:
        env: Name of an environment, such as "warehouse", or anybody's, such as "mpe2.simple_spread_v3".
        algo: Name of an algorithm, such as "mappo".
        task: Named set of the environment's options; None: its default.
        env_options: Options of the environment that differ from the task's.
        algo_options: Options of the algorithm that differ from the presets, such as `{"lr": 1e-3}`.
        peers_options: Options of learning from peers, such as `{"share": "ucb"}`.
        **run: Options of the run that differ from the presets, such as `seed=1` or `total_steps=100_000`.

    Returns:
        A frozen dataclass; `to_plain` and `from_plain` turn it into data for JSON and back.

    Raises:
        ValueError: A name, option or value is not allowed; the message is one line.
    """
    how: dict[str, Any] = {"task": task, "env_options": env_options, "algo_options": algo_options}
    how |= {"peers_options": peers_options, **run}
    return _training("builder").run_config(env, algo, **_tables(), **how)


def session(
    config: RunConfig,
    folder: str | PathLike[str],
    *,
    stop: Callable[[], bool] = lambda: False,
    say: Callable[[str], None] | None = None,
) -> Session:
    """Makes a session of a new run, which trains in portions.

    Args:
        config: The config of the run.
        folder: Where to make the run folder. If it is taken, `-2`, `-3`, ... is appended; see `Session.folder`.
        stop: Called before every iteration; once it returns True, the session makes no more steps.
        say: Called with remarks on the run, a line each; None: they are not shown.

    Raises:
        ValueError: The config cannot be built; the message is one line.
        OSError: The run folder cannot be made.
    """
    return _training("builder").session(config, _path(folder), **_tables(), peers=_accompany(), stop=stop, say=say)


def resume(
    folder: str | PathLike[str],
    *,
    total_steps: int = 0,
    device: str = "",
    stop: Callable[[], bool] = lambda: False,
    say: Callable[[str], None] | None = None,
    quiet: bool = False,
) -> Session:
    """Makes a session that continues a run bit for bit.

    Args:
        folder: The run folder.
        total_steps: New total of environment steps; 0: the old one.
        device: New device; empty: the old one.
        stop: See `session`.
        say: See `session`.
        quiet: Show no progress.

    Raises:
        ValueError: The folder is not a run that can be resumed; the message is one line.
    """
    how: dict[str, Any] = {"total_steps": total_steps, "device": device, "stop": stop, "say": say, "quiet": quiet}
    return _training("resuming").resume(_path(folder), **_tables(), peers=_accompany(), **how)


def _tables() -> dict[str, Any]:
    """Returns the tables of environments and algorithms, which know nothing of each other."""
    return {
        "envs": importlib.import_module(".envs.builder", __name__),
        "algos": importlib.import_module(".algos", __name__).ALGOS,
    }


def _accompany() -> Any:
    return importlib.import_module(".algos.peers.council", __name__).accompany


def _training(module: str) -> Any:
    return importlib.import_module(f".algos.training.{module}", __name__)


def _path(folder: str | PathLike[str]) -> Any:
    from pathlib import Path  # here, as all that is loaded only when it is needed

    return Path(folder)


def __getattr__(name: str) -> Any:
    if name in ("algos", "envs"):
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
