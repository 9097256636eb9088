"""All checks of a kind in one call."""

from __future__ import annotations

from functools import partial
from typing import Any

from .. import aec_env, make, parallel_env
from .batch import BATCH_CHECKS
from .parallel import PARALLEL_CHECKS
from .play import MakeEnv, MakeParallel
from .vector import VECTOR_CHECKS


def check_all(name: str, task: str | None = None, **kwargs: Any) -> None:
    """Runs every check on an environment of the table."""
    check_batch_env(partial(make, name, task, **kwargs))
    check_vector(partial(make, name, task, **kwargs))
    limit = {"max_cycles": kwargs.pop("max_steps")} if "max_steps" in kwargs else {}  # PettingZoo's test sets its own

    def view(constructor: MakeParallel, **given: Any) -> Any:
        return constructor(name, task, **{**kwargs, **limit, **given})

    check_parallel_env(partial(view, parallel_env), partial(view, aec_env))


def check_batch_env(make_env: MakeEnv) -> None:
    """Runs `BATCH_CHECKS`: the contract of `envs.core`."""
    for check in BATCH_CHECKS:
        check(make_env)


def check_vector(make_env: MakeEnv) -> None:
    """Runs `VECTOR_CHECKS`: auto-reset, seeds, exact continuation, threads and copies."""
    for check in VECTOR_CHECKS:
        check(make_env)


def check_parallel_env(make_parallel: MakeParallel, make_aec: MakeParallel | None = None) -> None:
    """Runs `PARALLEL_CHECKS`: PettingZoo's tests, longer ones, and SuperSuit."""
    from pettingzoo.utils import parallel_to_aec

    def converted(**kwargs: Any) -> Any:
        return parallel_to_aec(make_parallel(**kwargs))

    for check in PARALLEL_CHECKS:
        check(make_parallel, make_aec or converted)
