"""Counts the places that a new environment, a new algorithm, and a new option of networks or of runs touch.

Everything is added to one copy of the repository, and tried from its command line.
"""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
HELPERS = ROOT / "tests" / "helpers"
SCRIPT = """\
import contextlib, io, json, sys
import train
for line in sys.stdin:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        try:
            code = train.main(json.loads(line))
        except SystemExit as asked:  # help was printed
            code = asked.code or 0
    print("\\0" + json.dumps([code, out.getvalue()]), flush=True)
"""
"""Command lines from standard input, all in one process: torch is imported once."""
TRAIN = ["--env", "guess", "--algo", "bandit", "--total-steps", "4000", "--n-worlds", "20", "--eval-episodes", "2"]
TRAIN += ["--algo.lr", "1.0", "--env.n-agents", "3", "--log-dir", "runs", "--run-name", "new", "--quiet"]
SHORT = ["--env", "guess", "--algo", "mappo", "--total-steps", "320", "--n-worlds", "20", "--eval-episodes", "0"]
SHORT += ["--algo.rollout-steps", "8", "--log-dir", "runs", "--run-name", "short", "--quiet", "--no-videos"]
LINES: dict[str, list[str]] = {
    "train": TRAIN,
    "resume": ["--resume", "runs/new", "--total-steps", "6000", "--quiet"],
    "evaluate": ["--evaluate", "runs/new", "--episodes", "20", "--json", "--quiet"],
    "help": ["--env", "guess", "--algo", "mappo", "--help"],
    "options": [*SHORT, "--algo.sparkle", "3", "--patience", "4"],
}


def replace(path: Path, old: str, new: str) -> None:
    """Edits one place of a file."""
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{path} has {text.count(old)} times: {old}"
    path.write_text(text.replace(old, new), encoding="utf-8")


def append_field(path: Path, kind: str, lines: str) -> None:
    """Adds a field to a dataclass, after its docstring."""
    text = path.read_text(encoding="utf-8")
    (found,) = [node for node in ast.parse(text).body if isinstance(node, ast.ClassDef) and node.name == kind]
    rows = text.splitlines(keepends=True)
    at = found.body[0].end_lineno
    assert at is not None
    path.write_text("".join([*rows[:at], "\n", lines, *rows[at:]]), encoding="utf-8")


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, str]]:
    """Exit code and output of every line of `LINES`, in a copy with four things added."""
    copy = tmp_path_factory.mktemp("places") / "copy"
    copy.mkdir()
    for name in ("envs", "algos"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "train.py", copy)

    # An environment: a folder, and one line.
    (copy / "envs" / "guess").mkdir()
    new = (HELPERS / "guess.py").read_text(encoding="utf-8")
    new = new.replace("from envs import", "from .. import").replace("from envs.", "from ..")
    (copy / "envs" / "guess" / "__init__.py").write_text(new, encoding="utf-8")
    table = "ENVS: dict[str, str] = {\n"
    replace(copy / "envs" / "__init__.py", table, table + '    "guess": "coterie/guess_v0",\n')
    # An algorithm: a file, and one line.
    new = (HELPERS / "gradient_bandit.py").read_text(encoding="utf-8").replace("from algos.", "from .")
    (copy / "algos" / "bandit.py").write_text(new, encoding="utf-8")
    table = "ALGOS: dict[str, Entry] = {\n"
    line = '    "bandit": _entry("bandit", "GradientBandit", "BanditConfig"),\n'
    replace(copy / "algos" / "__init__.py", table, table + line)
    # An option of networks, and one of runs: a field each.
    of_networks = '    sparkle: Annotated[int, Range(0, 9)] = 0\n    """Sparkle of it."""\n'
    append_field(copy / "algos" / "nets" / "config.py", "NetConfig", of_networks)
    of_runs = '    patience: Annotated[int, Range(0, 9)] = 0\n    """Patience with it."""\n'
    append_field(copy / "algos" / "training" / "run_config.py", "RunOptions", of_runs)

    said = "".join(json.dumps(words) + "\n" for words in LINES.values())
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=copy,
        env=environment,
        input=said,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = [json.loads(part) for part in done.stdout.split("\0")[1:]]
    assert len(found) == len(LINES), done.stderr
    config = json.loads((copy / "runs" / "short" / "config.json").read_text(encoding="utf-8"))
    answers: dict[str, Any] = dict(zip(LINES, map(tuple, found), strict=True))
    failed = {name: done.stderr for name, (code, _) in answers.items() if code}
    assert not failed, f"{', '.join(failed)}:\n{done.stderr}"
    return {**answers, "config": (0, json.dumps(config))}


def test_an_environment_and_an_algorithm_run_from_the_command_line(answers: dict[str, tuple[int, str]]) -> None:
    found = json.loads(answers["evaluate"][1])
    text = json.dumps(found)
    assert "right" in text
    assert "learned" in text
    assert "heuristic" in text


def test_an_option_of_networks_is_one_field(answers: dict[str, tuple[int, str]]) -> None:
    assert "--algo.sparkle" in answers["help"][1]
    assert "Sparkle of it" in answers["help"][1]
    assert '"sparkle": 3' in answers["config"][1]


def test_an_option_of_runs_is_one_field(answers: dict[str, tuple[int, str]]) -> None:
    assert "--patience" in answers["help"][1]
    assert "Patience with it" in answers["help"][1]
    assert '"patience": 4' in answers["config"][1]
