"""Environments behind one contract: a table of names, and five functions that build them.

    make("warehouse", task="small-4")            BatchEnv: pure functions of a batch of worlds
    vector("warehouse", n_worlds=64)             VectorView: worlds with auto-reset, for training
    parallel_env("warehouse")                    pettingzoo.ParallelEnv
    aec_env("warehouse")                         pettingzoo.AECEnv
    heuristic("warehouse")                       a hand-written policy, State -> action: the baseline to beat

Keyword arguments are fields of the environment's `Config`; `task` names the ready-made `Config` that they change.
Importing this package registers every environment with PettingZoo:
`pettingzoo.make("parallel", "coterie/warehouse_v1")`, and likewise with `"aec"`.

To add an environment, add one line to `ENVS` and one module or folder of that name, which defines:

    VERSION: int                                 raised with every change of behaviour
    Config                                       frozen dataclass that checks its values in __post_init__
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
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from pettingzoo.env_registry import registration

from .core import Array, BatchEnv
from .vector import VectorView  # not inside `vector()`: importing the module later would replace that function

if TYPE_CHECKING:
    from pettingzoo.utils.env import AECEnv

    from .parallel import ParallelView, Reward

ENVS: dict[str, str] = {
    "warehouse": "coterie/warehouse_v1",
    "spread": "coterie/spread_v0",
    "intersection": "coterie/intersection_v1",
    "signals": "coterie/signals_v1",
    "edge_market": "coterie/edge_market_v2",
    "whispers": "coterie/whispers_v0",
    "traffic_junction": "coterie/traffic_junction_v0",
    "rovers": "coterie/rovers_v0",
}
"""Each environment's name, which is also its module's, and its versioned name in PettingZoo's registry."""


def make(name: str, task: str | None = None, **kwargs: Any) -> BatchEnv:
    """Builds an environment as pure functions of a batch of worlds.

    Args:
        name: A name in `ENVS`.
        task: A name in the environment's `TASKS`; None for its `DEFAULT_TASK`.
        **kwargs: Fields of its `Config`, in place of the task's values.

    Raises:
        ValueError: A name, task, field or value is not allowed; the message says what is.
    """
    return _module(name).build(config(name, task, **kwargs))


def vector(
    name: str, n_worlds: int = 64, task: str | None = None, *, stagger: bool = False, **kwargs: Any
) -> VectorView:
    """Builds `n_worlds` worlds with auto-reset; see `make` for the other arguments and `VectorView` for `stagger`."""
    return VectorView(make(name, task, **kwargs), n_worlds, stagger=stagger)


def parallel_env(
    name: str, task: str | None = None, *, render_mode: str | None = None, reward: Reward = "individual", **kwargs: Any
) -> ParallelView:
    """Builds a PettingZoo `ParallelEnv`; the time limit is `max_steps` or, by PettingZoo's name, `max_cycles`."""
    from .parallel import ParallelView

    if "max_cycles" in kwargs:
        if "max_steps" in kwargs:
            raise ValueError("max_cycles and max_steps are two names of the time limit; give one of them")
        kwargs["max_steps"] = kwargs.pop("max_cycles")
    if reward in ("difference", "shapley"):
        kinds = get_args(get_type_hints(type(config(name, task))).get("counterfactual"))
        fitting = [kind for kind in kinds if kind != "none" and (kind == "shapley") == (reward == "shapley")]
        if not fitting and reward == "shapley":
            allowed = "individual, team" + (", difference" if kinds else "")
            what = f"reward='shapley' needs Shapley values, which {name} does not give"
            raise ValueError(f"{what}; allowed here: {allowed}")
        if fitting:
            kwargs.setdefault("counterfactual", fitting[0])
    return ParallelView(make(name, task, **kwargs), render_mode=render_mode, reward=reward)


def aec_env(
    name: str, task: str | None = None, *, render_mode: str | None = None, reward: Reward = "individual", **kwargs: Any
) -> AECEnv[str, Array, Any]:
    """Builds a PettingZoo `AECEnv`, in which agents act in turn and the world advances after the last of them."""
    from .aec import in_turns

    return in_turns(parallel_env(name, task, render_mode=render_mode, reward=reward, **kwargs))


def heuristic(name: str, task: str | None = None, **kwargs: Any) -> Callable[[Any], Array]:
    """Returns the environment's hand-written policy, a function from `State` to the actions of all agents."""
    return _module(name).heuristic(make(name, task, **kwargs))


def config(name: str, task: str | None = None, **kwargs: Any) -> Any:
    """Returns the `Config`, with its values checked, from which `make` builds with the same arguments."""
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
    # The clone's `envs` and the installed `coterie.envs` may be imported in one process: the first registration stays.
    for name, versioned in ENVS.items():
        identifier = versioned.replace("_v", "-v")  # PettingZoo's registry writes the version like this
        if identifier not in registration.parallel_registry:
            registration.register("parallel", versioned, entry_point=partial(parallel_env, name))
        if identifier not in registration.aec_registry:
            registration.register("aec", versioned, entry_point=partial(aec_env, name))


_register()
