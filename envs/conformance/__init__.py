"""The checks that an environment must pass, for this suite's environments and for those of other people.

    check_all("warehouse", task="tiny-2")        an environment of the table, in all its views
    check_batch_env(make_env)                    pure functions of a batch of worlds
    check_vector(make_env)                       worlds with auto-reset, in threads, copied
    check_parallel_env(make_parallel)            PettingZoo, AEC and SuperSuit
    check_foreign("my_project.worlds:Maze")      other people's environment, as `envs.adapters` steps it

or `python -m coterie.envs.conformance warehouse tiny-2`, or with `my_project.worlds:Maze` in place of the two names.
A failed check raises `AssertionError` and says what is wrong.
The single checks stand in `BATCH_CHECKS`, `VECTOR_CHECKS`, `PARALLEL_CHECKS` and `FOREIGN_CHECKS` for test frameworks
to list. The first three take functions that make the environment, so that two of them can be compared.
"""

from __future__ import annotations

from .batch import BATCH_CHECKS
from .cli import command
from .compare import assert_same, fingerprint
from .foreign import FOREIGN_CHECKS, check_foreign
from .parallel import PARALLEL_CHECKS
from .play import MakeEnv, MakeParallel, random_actions
from .suites import check_all, check_batch_env, check_parallel_env, check_vector
from .vector import VECTOR_CHECKS

__all__ = [
    "BATCH_CHECKS",
    "FOREIGN_CHECKS",
    "PARALLEL_CHECKS",
    "VECTOR_CHECKS",
    "MakeEnv",
    "MakeParallel",
    "assert_same",
    "check_all",
    "check_batch_env",
    "check_foreign",
    "check_parallel_env",
    "check_vector",
    "command",
    "fingerprint",
    "random_actions",
]
