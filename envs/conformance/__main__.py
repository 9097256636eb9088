"""`python -m coterie.envs.conformance`, or `python -m envs.conformance` in a clone."""

from __future__ import annotations

import sys

from .cli import command

if __name__ == "__main__":
    sys.exit(command(sys.argv[1:]))
