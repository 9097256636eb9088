"""The command line of a clone: train, resume, evaluate.

    python train.py --env warehouse --algo mappo
    python train.py --env warehouse --env.task medium-8 --algo mappo --algo.lr 3e-4 --seed 1 --total-steps 2e6
    python train.py --env mpe2.simple_spread_v3 --env.N 5 --algo mappo
    python train.py --resume runs/NAME
    python train.py --evaluate runs/NAME --episodes 100 --video out.gif

`algos` never imports `envs`: this file hands the environments to the command (`algos.cli`), as `coterie.__main__` does
for the installed command `coterie`. `algos.training.presets` knows environments too, but only by their names.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from algos.cli import command
from envs import builder


def main(argv: list[str], call: Sequence[str] = ("python", "train.py")) -> int:
    """Does what the command line says; returns the exit code. `call` is how the program is called, for messages."""
    return command.main(argv, builder, name="train.py", call=call)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], ("python", sys.argv[0])))
