"""The end of a training on the command line: the table, and how to resume the run."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from ..report.atomic import write_atomically
from ..training import evaluation
from ..training.contrast import LEARNED
from ..training.session import Outcome, Session, run
from .interrupts import Interrupts
from .program import Program


def trained(session: Session, program: Program, stop: Interrupts, *, quiet: bool) -> int:
    """Trains to the end and prints the result; returns the exit code."""
    try:
        outcome = run(session)
    except program.envs.ForeignError as error:
        if trace := getattr(error, "traceback", ""):
            print(trace.rstrip(), file=sys.stderr)
        program.warn(f"{error}; what was learned is saved, resume with: {program.resume_command(session.folder)}")
        return 1
    return _finished(session.folder, outcome, program, stop, quiet=quiet)


def shown(found: dict[str, evaluation.Evaluation]) -> str:
    """Returns a comparison as a table with its heading."""
    n = len(found[LEARNED].values)
    return f"{n} episode{'s' * (n != 1)} each: mean [95 % bootstrap interval]\n{evaluation.table(found)}"


def _finished(folder: Path, outcome: Outcome, program: Program, stop: Interrupts, *, quiet: bool) -> int:
    if not outcome.saved:
        program.warn(f"the last checkpoint could not be saved; what there is: {folder}/checkpoints")
    if outcome.comparison is not None:
        if not quiet:
            print("\n".join([shown(outcome.comparison), *outcome.notes]))
        plain = json.dumps(evaluation.summary(outcome.comparison), indent=2) + "\n"
        write_atomically(folder / "evaluation.json", plain.encode())
    if stop():
        todo = f"resume with: {program.resume_command(folder)}"
        if outcome.finished:
            todo = f"training is finished: {folder}"
        saved = "saved" if outcome.saved else "not saved"
        program.warn(f"interrupted at step {outcome.steps:,}, {saved}; {todo}")
        return stop.exit_code
    return 0 if outcome.saved else 1
