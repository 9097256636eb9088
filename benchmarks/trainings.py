"""Measurements by real commands: runs of `train.py` with several seeds, each evaluated on unseen episodes.

Finished runs are kept in a folder and not repeated, so that a benchmark can be stopped and started again.
"""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import learning_curves
import report

GRACE = 120.0
"""Time that a command has to save after Ctrl-C before it is killed [s]."""


@dataclass(frozen=True)
class Training:
    """One run of `train.py`, and its evaluation."""

    key: str
    """The row of the results, which all its seeds share."""
    options: tuple[str, ...]
    """Options of `train.py`, beside the seed and the run folder."""
    seed: int
    minutes: float
    """Time after which the command gets a Ctrl-C [min]; 0: never."""
    episodes: int
    """Episodes of each policy in the evaluation."""
    work: Path
    """Folder in which runs are kept."""
    columns: Mapping[str, str]
    """Columns of metrics.jsonl that are kept: new name and name there."""
    elsewhere: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Further evaluations of the learned policy: options of `train.py --evaluate` by name."""

    @property
    def folder(self) -> Path:
        """The folder of the runs of all seeds."""
        return self.work / re.sub(r"[^A-Za-z0-9.=]+", "_", self.key).strip("_")

    @property
    def command(self) -> list[str]:
        """The command without the interpreter."""
        words = ["train.py", *self.options, "--seed", str(self.seed)]
        return [*words, "--log-dir", str(self.folder), "--run-name", f"seed-{self.seed}", "--quiet"]

    def result(self, *, fresh: bool = False) -> dict[str, Any]:
        """Reads the result of a finished run, or else runs it.

        Raises:
            RuntimeError: The command failed; the message is its last line.
        """
        kept = report.ROOT / self.folder / f"seed-{self.seed}.json"
        if kept.exists() and not fresh:
            found = json.loads(kept.read_text(encoding="utf-8"))
            if found["episodes"] == self.episodes:
                if found["code"] != code():
                    print(f"{self.key}, seed {self.seed}: kept, but of other code; --fresh runs it again")
                known = found.get("elsewhere", {})
                found["elsewhere"] = {
                    name: known[name] if name in known else self._evaluate(options)
                    for name, options in self.elsewhere.items()
                }
                if found["elsewhere"] != known:
                    kept.write_text(json.dumps(found) + "\n", encoding="utf-8")
                return found
        run = report.ROOT / self.folder / f"seed-{self.seed}"
        if run.exists():
            shutil.rmtree(run)  # begun and never finished
        run.parent.mkdir(parents=True, exist_ok=True)
        found = {"seed": self.seed, "code": code(), "machine": report.machine(), **self._train()}
        found |= {"episodes": self.episodes, "policies": self._evaluate()}
        found["elsewhere"] = {name: self._evaluate(options) for name, options in self.elsewhere.items()}
        found["curve"] = learning_curves.thinned(run / "metrics.jsonl", self.columns)
        if not found["curve"]:
            raise RuntimeError("no episode ended while it trained; give it more time")
        found["steps"], found["training_seconds"] = found["curve"][-1]["step"], found["curve"][-1]["seconds"]
        kept.write_text(json.dumps(found) + "\n", encoding="utf-8")
        return found

    def _train(self) -> dict[str, Any]:
        log = report.ROOT / self.folder / f"seed-{self.seed}.log"
        with log.open("w", encoding="utf-8") as file:
            begin = time.perf_counter()
            process = subprocess.Popen([sys.executable, *self.command], cwd=report.ROOT, stdout=file, stderr=file)
            stopped = False
            try:
                process.wait(self.minutes * 60 or None)
            except subprocess.TimeoutExpired:
                stopped = True
                process.send_signal(signal.SIGINT)
                try:
                    process.wait(GRACE)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
            seconds = time.perf_counter() - begin
        if process.returncode not in ((0, 128 + signal.SIGINT) if stopped else (0,)):
            raise RuntimeError(report.last_line(log.read_text(encoding="utf-8")))
        return {
            "command": shlex.join(["python", *self.command]),
            "ended": "stopped at the limit" if stopped else "by itself",
            "command_seconds": round(seconds, 1),
        }

    def _evaluate(self, options: tuple[str, ...] = ()) -> dict[str, Any]:
        words = ["train.py", "--evaluate", str(self.folder / f"seed-{self.seed}"), "--json"]
        words += ["--episodes", str(self.episodes), "--seed", str(self.seed), *options]
        done = subprocess.run(
            [sys.executable, *words], cwd=report.ROOT, capture_output=True, text=True, check=False, encoding="utf-8"
        )
        if done.returncode:
            raise RuntimeError(report.last_line(done.stderr))
        return json.loads(done.stdout)["policies"]


def results(trainings: Sequence[Training], *, jobs: int, fresh: bool) -> Iterator[tuple[Training, dict[str, Any]]]:
    """Runs trainings, `jobs` at a time, and yields their results in the order of `trainings`.

    A training that failed is named on standard error with its reason.
    """
    with ThreadPoolExecutor(jobs) as pool:
        futures = [(training, pool.submit(training.result, fresh=fresh)) for training in trainings]
        for training, future in futures:
            try:
                yield training, future.result()
            except KeyboardInterrupt:
                pool.shutdown(cancel_futures=True)
                raise
            except RuntimeError as error:
                print(f"{training.key}, seed {training.seed} failed: {error}", file=sys.stderr)


def without_curves(runs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Returns results without their curves, which have a file of their own."""
    return [{name: value for name, value in run.items() if name != "curve"} for run in runs]


def code() -> str:
    """Returns a fingerprint of the code that a result depends on."""
    digest = hashlib.sha256()
    for path in [report.ROOT / "train.py", *sorted((report.ROOT / "envs").rglob("*.*"))]:
        if path.suffix in (".py", ".txt"):
            digest.update(path.read_bytes())
    for path in sorted((report.ROOT / "algos").rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
