"""The installed command line, `coterie` or `python -m coterie`; in a clone it is `python train.py`."""

from __future__ import annotations

import sys


def main() -> int:
    """Runs the command line; returns the exit code."""
    from .algos.cli import command  # here: `--help` of pip's script and imports of this file load nothing
    from .envs import builder

    return command.main(sys.argv[1:], builder, name="coterie", call=("coterie",))


if __name__ == "__main__":
    sys.exit(main())
