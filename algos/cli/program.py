"""The program that was called: its name in messages, the words that call it, and its environments."""

from __future__ import annotations

import re
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from .. import ALGOS
from ..peers.config import PeersConfig
from ..training.environments import Environments
from ..training.run_config import ConfigError, RunOptions
from .options import UsageError, with_options


@dataclass(frozen=True)
class Program:
    """A program with a command line."""

    name: str
    """Its name, with which every message begins: "train.py" or "coterie"."""
    call: tuple[str, ...]
    """The words that call it: ("python", "train.py") or ("coterie",)."""
    envs: Environments
    """The environments that it knows."""

    def warn(self, line: str) -> None:
        """Prints a line on standard error, after the program's name."""
        print(f"{self.name}: {line}", file=sys.stderr)

    def resume_command(self, folder: Path) -> str:
        """Returns the command that resumes a run."""
        return shlex.join([*self.call, "--resume", str(folder)])

    def usage_error(self, error: ConfigError, env: str, algo: str) -> UsageError:
        """Turns a mistake in a config into one on the command line, which names the option.

        Args:
            error: The mistake.
            env: Name of the environment.
            algo: Name of the algorithm.
        """
        line = str(error)
        if error.part == "run":
            return UsageError(with_options(line, RunOptions, "--", ()))
        if error.part == "peers":
            return UsageError(with_options(line, PeersConfig, "--peers.", ()))
        if error.part == "algo":
            line = with_options(line, ALGOS[algo].config, "--algo.", ()) if algo in ALGOS else f"--algo {line}"
            line = with_channel(line)
            return UsageError(line if line.startswith("--") else f"--algo {algo}: {line}")
        return UsageError(f"--env {line}" if line.startswith((env, repr(env))) else f"--env {env}: {line}")


def with_channel(line: str) -> str:
    """Returns a line in which options of the channel have the names that they have on the command line."""
    return re.sub(r"(?<![\w.-])channel\.(\w+)", lambda found: f"--channel.{found[1].replace('_', '-')}", line)
