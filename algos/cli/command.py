"""The command: trains, resumes a run, or evaluates what a run has learned.

python train.py --env warehouse --algo mappo          in a clone
coterie --env warehouse --algo mappo                  installed
"""

from __future__ import annotations

from collections.abc import Sequence

from .. import ALGOS
from ..report import screen
from ..training.checkpoint import CheckpointError, MisfitError
from ..training.environments import Environments
from ..training.finite import NonFiniteError
from ..training.runfolder import RunFolderError
from . import options
from .evaluating import evaluate
from .new_run import train
from .options import UsageError
from .program import Program
from .resuming import resume

USAGE = """\
usage: {call} --env ENV --algo ALGO [options]     train
       {call} --resume runs/NAME                  resume a run
       {call} --evaluate runs/NAME                compare what it has learned

ENV    {envs};
       or anybody's: mpe2.simple_spread_v3, gymnasium:CartPole-v1, ... (docs/foreign.md)
ALGO   {algos}

try    {call} --env spread --algo mappo
       {call} --env spread --algo mappo --help     every option of the two
"""


def main(argv: list[str], envs: Environments, *, name: str, call: Sequence[str]) -> int:
    """Runs a command line, even if nothing can be printed.

    Args:
        argv: The words after the program.
        envs: The environments that can be chosen.
        name: Name of the program in messages.
        call: The words that call the program.

    Returns:
        The exit code: 0; 1 where a run could not go on; 2 for a mistake on the command line; 128 + the number of the
        signal that ended it.

    Raises:
        SystemExit: Help was asked for, and is printed.
    """
    program = Program(name, tuple(call), envs)
    with screen.unbreakable_output():
        if not argv:
            words = {"envs": ", ".join(envs.ENVS), "algos": ", ".join(ALGOS)}
            print(USAGE.format(call=" ".join(call), **words), end="")
            return 0
        try:
            return _done(argv, program)
        except (UsageError, RunFolderError, CheckpointError, MisfitError) as error:
            program.warn(str(error))
            return 2
        except NonFiniteError as error:
            program.warn(f"{error}; nothing was saved over the last good checkpoint")
            return 1
        except (OSError, envs.ForeignError) as error:  # a full disk, a folder that may not be written; a dead worker
            program.warn(str(error))
            return 1


def _done(argv: list[str], program: Program) -> int:
    for option, way in (("--resume", resume), ("--evaluate", evaluate)):
        if options.find(argv, option) is not None:
            return way(argv, program)
    return train(argv, program)
