"""The command line of the checks: `python -m coterie.envs.conformance NAME [TASK]` or `MODULE:NAME`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial

from .. import adapters, config
from ..foreign.find import is_foreign
from .batch import BATCH_CHECKS
from .foreign import FOREIGN_CHECKS
from .parallel import PARALLEL_CHECKS
from .suites import check_all
from .vector import VECTOR_CHECKS


def command(words: Sequence[str]) -> int:
    """Runs the checks on the environment that the words name, and prints the first fault in one line.

    Returns:
        The exit code: 0 if all checks passed, 1 if one failed, 2 if the words name nothing that can be checked.
    """
    foreign = bool(words) and is_foreign(words[0])
    if not 1 <= len(words) <= (1 if foreign else 2):
        print(
            "conformance: expected is NAME [TASK] for an environment of Coterie, MODULE:NAME for any other; in Python "
            "constructors can be given arguments: check_foreign(NAME, key=value)",
            file=sys.stderr,
        )
        return 2
    named = " ".join(words)
    try:
        if foreign:
            there = adapters.prepare(words[0])
            checks = [partial(check, there) for check in FOREIGN_CHECKS]
            count = len(checks)
        else:
            config(*words)
            checks = [partial(check_all, *words)]
            count = len(BATCH_CHECKS + VECTOR_CHECKS + PARALLEL_CHECKS)
    except (ValueError, adapters.ForeignError) as error:
        print(f"conformance: {error}", file=sys.stderr)
        return 2
    try:
        for check in checks:
            check()
    except AssertionError as error:
        if not str(error):  # without a message, only the traceback shows where it failed
            raise
        print(f"conformance: {named} fails: {error}", file=sys.stderr)
        return 1
    print(f"{named}: all {count} checks passed")
    return 0
