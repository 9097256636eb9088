"""Makes a venv for each peer, so that its packages cannot disturb the measurements here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import report


def make_venv(folder: Path, requirements: tuple[str, ...], *, constrained: bool = True) -> str:
    """Makes a venv with a peer in it, if it is not there yet.

    Args:
        folder: Where.
        requirements: What to install.
        constrained: Under this project's constraints.

    Returns:
        The path of the interpreter.

    Raises:
        RuntimeError: It could not be installed; the message is the reason's last line.
    """
    python = folder / "bin" / "python"
    stamp = folder / "installed.txt"
    wanted = " ".join(requirements)
    constraints = ("-c", report.ROOT / "constraints.txt") if constrained else ()
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != wanted:
        print(f"installing {wanted} ...", file=sys.stderr)
        install = [python, "-m", "pip", "install", "-q", *constraints, *requirements]
        for command in ([sys.executable, "-m", "venv", "--clear", folder], install):
            done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
            if done.returncode:
                raise RuntimeError(report.last_line(done.stderr or done.stdout))
        stamp.write_text(wanted, encoding="utf-8")
    return str(python)
