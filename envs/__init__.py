"""Environments behind one contract: a table of names and five ways in.

    make("warehouse", task="small-4")            BatchEnv: pure functions of a batch of worlds
    vector("warehouse", n_worlds=64)             VectorView: worlds with auto-reset, what training runs on
    parallel_env("warehouse")                    pettingzoo.ParallelEnv
    aec_env("warehouse")                         pettingzoo.AECEnv
    heuristic("warehouse")                       callable State -> action, the baseline to beat

Keyword arguments are the fields of the environment's `Config`; `task` names a ready-made one to start from.
Importing this package registers every environment with PettingZoo:
`pettingzoo.make("parallel", "coterie/warehouse_v0")`, and `"aec"`.

To add an environment, add one line to `ENVS` and one module or folder of that name, which offers:

    VERSION: int                                 raised with every change of behaviour
    Config                                       frozen dataclass, validated in __post_init__
    TASKS: dict[str, Config]; DEFAULT_TASK: str
    build(config) -> BatchEnv
    heuristic(env) -> Callable[[State], Array]
    parallel_env = partial(envs.parallel_env, "warehouse")      # with `from .. import parallel_env, aec_env`
    env = raw_env = partial(envs.aec_env, "warehouse")
"""

from __future__ import annotations

import dataclasses
import difflib
import importlib
from collections.abc import Callable, Iterable
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Any

from pettingzoo.env_registry import registration

from .core import Array, BatchEnv
from .vector import VectorView  # here, not in `vector`: loading the module later would put it in the function's place

if TYPE_CHECKING:
    from pettingzoo.utils.env import AECEnv

    from .parallel import ParallelView, Reward

ENVS: dict[str, str] = {
    "warehouse": "coterie/warehouse_v0",
    "spread": "coterie/spread_v0",
    "intersection": "coterie/intersection_v1",
    "signals": "coterie/signals_v0",
    "edge_market": "coterie/edge_market_v1",
}
"""Name, which is also the module's name, and the versioned name in PettingZoo's registry."""


def make(name: str, task: str | None = None, **kwargs: Any) -> BatchEnv:
    """Builds an environment as pure functions of a batch of worlds.

    Args:
        name: A name in `ENVS`.
        task: A name in the environment's `TASKS`; None is its default.
        **kwargs: Fields of its `Config` that replace the task's.

    Raises:
        ValueError: A name, task, field or value is not allowed. The message says what is.
    """
    return _module(name).build(config(name, task, **kwargs))


def vector(
    name: str, n_worlds: int = 64, task: str | None = None, *, stagger: bool = False, **kwargs: Any
) -> VectorView:
    """Builds `n_worlds` worlds with auto-reset; see `VectorView` for `stagger`."""
    return VectorView(make(name, task, **kwargs), n_worlds, stagger=stagger)


def parallel_env(
    name: str, task: str | None = None, *, render_mode: str | None = None, reward: Reward = "individual", **kwargs: Any
) -> ParallelView:
    """Builds a PettingZoo `ParallelEnv`; `max_cycles`, PettingZoo's word, is accepted for `max_steps`."""
    from .parallel import ParallelView

    if "max_cycles" in kwargs:
        if "max_steps" in kwargs:
            raise ValueError("max_cycles and max_steps are two names of the time limit; give one of them")
        kwargs["max_steps"] = kwargs.pop("max_cycles")
    return ParallelView(make(name, task, **kwargs), render_mode=render_mode, reward=reward)


def aec_env(
    name: str, task: str | None = None, *, render_mode: str | None = None, reward: Reward = "individual", **kwargs: Any
) -> AECEnv[str, Array, Any]:
    """Builds a PettingZoo `AECEnv`, where agents act in turn and the world moves when all have chosen."""
    from .aec import in_turns

    return in_turns(parallel_env(name, task, render_mode=render_mode, reward=reward, **kwargs))


def heuristic(name: str, task: str | None = None, **kwargs: Any) -> Callable[[Any], Array]:
    """The environment's hand-written policy: a callable from `State` to the actions of all worlds and agents."""
    return _module(name).heuristic(make(name, task, **kwargs))


def config(name: str, task: str | None = None, **kwargs: Any) -> Any:
    """The validated `Config` that `make` with the same arguments builds from."""
    module = _module(name)
    chosen: str = module.DEFAULT_TASK if task is None else task
    if chosen not in module.TASKS:
        raise ValueError(_unknown(f"task of {name}", chosen, module.TASKS))
    fields = [field.name for field in dataclasses.fields(module.Config)]
    for key in kwargs:
        if key not in fields:
            raise ValueError(_unknown(f"argument of {name}", key, fields))
    return dataclasses.replace(module.TASKS[chosen], **kwargs)


def _module(name: str) -> ModuleType:
    if name not in ENVS:
        raise ValueError(_unknown("environment", name, ENVS))
    return importlib.import_module(f".{name}", __name__)


def _unknown(what: str, came: str, allowed: Iterable[str]) -> str:
    allowed = list(allowed)
    near = difflib.get_close_matches(str(came), allowed, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"unknown {what}: {came!r}; allowed: {', '.join(allowed)}{hint}"


def _register() -> None:
    # The clone's `envs` and the installed `coterie.envs` may meet in one process: whoever comes first stays.
    for name, versioned in ENVS.items():
        identifier = versioned.replace("_v", "-v")  # PettingZoo stores the suffix so
        if identifier not in registration.parallel_registry:
            registration.register("parallel", versioned, entry_point=partial(parallel_env, name))
        if identifier not in registration.aec_registry:
            registration.register("aec", versioned, entry_point=partial(aec_env, name))


_register()
