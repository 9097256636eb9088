"""simple_spread learned by Coterie and by its peers: the same task, the same machine, one after another.

    pip install -c constraints.txt -e '.[foreign]'
    python benchmarks/peers.py                       # makes a venv a peer in .benchvenvs/ on the first run
    python benchmarks/peers.py --minutes 10 --cases "Coterie, spread" BenchMARL

Every case trains with its own shipped settings for so many minutes, alone on the machine. The lines that it prints
after each update give its speed, learning included, and when the mean return of the episodes under its exploring policy
reached a level. Returns are mpa: the mean over the three agents of their summed rewards in an episode of 25 steps. The
clock of all cases starts when training does; installing, importing and compiling are not in it.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import learning
import report
from venvs import make_venv

LEVELS = (-18.5, -13.5)
OURS = "Coterie, spread"


class Case(NamedTuple):
    """A learner to measure."""

    script: str
    """In this folder; "" for `train.py`."""
    options: tuple[str, ...] = ()
    """Arguments of `train.py`, or of the script after the seconds."""
    requirements: tuple[str, ...] = ()
    """Packages of a venv of its own; (): it runs in this one."""


_BENCHMARL = ("benchmarl==1.5.2", "pettingzoo[mpe]==1.25.0", "torch==2.13.0")
CASES = {
    OURS: Case("", ("--env", "spread", "--algo", "mappo")),
    "Coterie, mpe2's": Case("", (*learning.CASES["mpe2.simple_spread_v3"].options, "--algo", "mappo")),
    "Coterie MADDPG, spread": Case("", ("--env", "spread", "--algo", "maddpg")),
    "Coterie MADDPG, continuous": Case("", ("--env", "spread", "--env.continuous", "--algo", "maddpg")),
    "CleanRL-style PPO": Case("peer_cleanrl.py", (), ("mpe2==1.1.1", "supersuit==3.11.0", "torch==2.13.0")),
    "BenchMARL MAPPO": Case("peer_benchmarl.py", ("mappo",), _BENCHMARL),
    "BenchMARL MADDPG, continuous": Case("peer_benchmarl.py", ("maddpg",), _BENCHMARL),
}


def rows(name: str, case: Case, python: str, seconds: float) -> list[dict[str, float]]:
    """Runs a case and returns steps, seconds and return of every update.

    Raises:
        RuntimeError: It failed; the message is its last line.
    """
    if case.script:
        command = [python, str(Path(__file__).with_name(case.script)), str(seconds), *case.options]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds + 600)
        found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        if done.returncode or not found:
            raise RuntimeError(report.last_line(done.stderr))
        return found
    with tempfile.TemporaryDirectory() as folder:
        words = [python, "train.py", *case.options, "--log-dir", folder, "--run-name", "run"]
        with (Path(folder) / "log").open("w+", encoding="utf-8") as log:
            process = subprocess.Popen([*words, "--quiet"], cwd=report.ROOT, stdout=log, stderr=log)
            metrics = Path(folder) / "run" / "metrics.jsonl"
            while process.poll() is None and _last(metrics).get("time/training_seconds", 0.0) < seconds:
                time.sleep(0.5)
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                process.wait(120)
            if process.returncode not in (0, 128 + signal.SIGINT):
                log.seek(0)
                raise RuntimeError(f"{name}: {report.last_line(log.read())}")
        every = [json.loads(line) for line in metrics.read_text(encoding="utf-8").splitlines()]
    return [
        {"steps": row["step"], "seconds": row["time/training_seconds"], "return": row["rollout/return"]}
        for row in every
        if "rollout/return" in row and "time/training_seconds" in row
    ]


def _last(metrics: Path) -> dict[str, Any]:
    """Returns the last whole line of metrics.jsonl; {} before there is one."""
    if not metrics.exists():
        return {}
    with metrics.open("rb") as file:
        file.seek(max(0, metrics.stat().st_size - 10_000))
        lines = file.read().decode("utf-8", "replace").split("\n")[:-1]
    return json.loads(lines[-1]) if lines and lines[-1].startswith("{") else {}


def summary(found: list[dict[str, float]]) -> dict[str, Any]:
    """Returns the speed, the last return, and when each level was reached."""
    last = found[-1]
    reached = {str(level): next((row for row in found if row["return"] >= level), None) for level in LEVELS}
    return {"steps_per_second": last["steps"] / last["seconds"], "last": last, "reached": reached}


def table(results: dict[str, dict[str, Any]], failures: dict[str, str]) -> str:
    """Returns a table of all cases, and of those that could not run."""
    ours = results.get(OURS, {}).get("steps_per_second")
    lines = []
    for name, one in results.items():
        cells = [report.short(one["steps_per_second"])]
        cells.append("-" if ours is None else report.short(ours / one["steps_per_second"]))
        for level in LEVELS:
            row = one["reached"][str(level)]
            cells.append("not reached" if row is None else f"{row['seconds']:.0f} s, {report.short(row['steps'])}")
        last = one["last"]
        cells.append(f"{last['return']:.1f} after {last['seconds']:.0f} s, {report.short(last['steps'])}")
        lines.append([name, *cells])
    lines += [[name, f"did not run: {reason}", "", "", "", ""] for name, reason in failures.items()]
    head = ["", "env-steps/s, learning included", "Coterie, spread / this"]
    head += [f"mpa {level}: seconds, steps" for level in LEVELS]
    return report.markdown([*head, "last mpa"], lines)


def main() -> int:
    """Runs all cases, writes the results and prints them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=list(CASES), metavar="CASE")
    parser.add_argument("--minutes", type=float, default=4.0, help="of training, each")
    parser.add_argument("--venvs", type=Path, default=report.ROOT / ".benchvenvs", help="where the peers' venvs are")
    parser.add_argument("--out", type=Path, default=report.RESULTS / "peers.json")
    given = parser.parse_args()
    results: dict[str, dict[str, Any]] = {}
    curves: dict[str, list[dict[str, float]]] = {}
    failures: dict[str, str] = {}
    for name in given.cases:
        case = CASES[name]
        print(f"{name} ...", file=sys.stderr)
        try:
            python = sys.executable
            if case.requirements:
                python = make_venv(given.venvs / name.split()[0], case.requirements, constrained=False)
            curves[name] = rows(name, case, python, given.minutes * 60)
            results[name] = summary(curves[name])
        except (RuntimeError, subprocess.TimeoutExpired) as error:
            failures[name] = str(error)
    load = ", ".join(f"{value:.2f}" for value in os.getloadavg()) if hasattr(os, "getloadavg") else "unknown"
    print(f"{table(results, failures)}\n\nload at the end {load}; each {given.minutes:g} min")
    thinned = {name: found[:: max(1, len(found) // 100)] for name, found in curves.items()}
    content = {"machine": report.machine(), "minutes": given.minutes, "results": results, "curves": thinned}
    report.write(given.out, {**content, "failures": failures})
    return 0


if __name__ == "__main__":
    sys.exit(main())
