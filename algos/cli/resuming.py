"""Resuming a run from the command line: `--resume RUN`."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from .. import ALGOS
from ..maths.ranges import STEPS, check
from ..peers.council import accompany
from ..training import runfolder
from ..training.checkpoint import MisfitError
from ..training.lock import RunLock
from ..training.resuming import resumable
from ..training.run_config import ConfigError
from . import options
from .ending import trained
from .interrupts import Interrupts
from .new_run import of_new_runs
from .options import UsageError
from .program import Program


@dataclass(frozen=True)
class ResumeOptions:
    """Options of a resumed run; everything else stays as it was."""

    resume: str
    """Run folder to resume."""
    total_steps: Annotated[int, STEPS] = 0
    """New total of environment steps; 0 keeps the old one."""
    device: str = ""
    """Device on which networks compute; empty keeps the old one."""
    quiet: bool = False
    """Show no progress."""

    def __post_init__(self) -> None:
        """Checks every field.

        Raises:
            ValueError: A value is not allowed; the message says what came and what is allowed.
        """
        check(self)


def resume(argv: list[str], program: Program) -> int:
    """Resumes a run, bit for bit; returns the exit code.

    Raises:
        UsageError: A mistake on the command line, or the run cannot be resumed.
    """
    given: ResumeOptions = options.parse(
        {"resume": ResumeOptions(resume="")},
        argv,
        flat=("resume",),
        program=program.name,
        about="Resumes a run. All but these options stays as it was, and it ends as if never interrupted.",
        elsewhere=of_new_runs(),
    )["resume"]
    folder = Path(given.resume)
    runfolder.read_config(folder)  # raises if there is no run
    with contextlib.ExitStack() as held:
        return _go_on(folder, given, held.enter_context(RunLock(folder)), program)


def _go_on(folder: Path, given: ResumeOptions, lock: RunLock, program: Program) -> int:
    found = resumable(folder, total_steps=given.total_steps, device=given.device, warn=program.warn)
    total, names = found.config.run.total_steps, (found.config.env.name, found.config.algo.name)
    if found.finished:
        program.warn(
            f"{folder} is finished: {found.steps:,} of {total:,} steps are done; give a larger --total-steps to "
            "extend it, or --evaluate it"
        )
        return 0
    with Interrupts() as stop:
        try:
            made = found.set_up(program.envs, ALGOS, peers=accompany, say=None if given.quiet else program.warn)
        except ConfigError as error:
            raise program.usage_error(error, *names) from None
        if not given.quiet:
            print(f"resuming {folder} at step {found.steps:,} from {found.path.name}", file=sys.stderr)
        for note in made.notes:
            program.warn(note)
        try:
            session = made.session(folder, lock=lock, resume=found.content, stop=stop, quiet=given.quiet)
        except MisfitError as error:
            raise UsageError(f"{found.path}: {error}") from None
        return trained(session, program, stop, quiet=given.quiet)
