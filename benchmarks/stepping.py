"""How fast worlds are stepped on one core, beside peers that are installed and measured in the same run.

    python benchmarks/stepping.py                 # the first run makes a venv for each peer in .benchvenvs/
    python benchmarks/stepping.py --no-peers
    python benchmarks/stepping.py --cases traffic_junction rovers PufferLib --out benchmarks/results/stepping_grids.json

Every case is a process of its own, on the same core, with one thread; only one steps at a time. Every repetition runs
all cases, so that a machine that slows down slows all of them. The table gives medians and quartiles by the wall clock,
and by the processor time of the case's process, which other programs on the core disturb less.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import report
from parts import WAREHOUSE_PARTS
from stepping_cases import CASES
from venvs import make_venv

OURS = "vector medium-8"
"""The case that peers are compared with."""
PEERS: dict[str, tuple[str, ...]] = {
    "RWARE": ("rware==2.0.0",),
    "VMAS": ("vmas==1.5.2", "torch==2.13.0"),
    "mpe2": ("mpe2==1.1.1",),
    "highway-env": ("highway-env==1.10.1",),
    # Its kernel alone, which needs nothing: the package asks for versions that no longer build.
    "PufferLib": ("--no-deps", "pufferlib==2.0.2", "numpy"),
}
"""Packages of each peer, which has a venv of its own; names of its cases in `stepping_cases` begin with its name."""
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS", "TORCH_NUM_THREADS"), "1"
)

KEEP_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 30),
    "MALLOC_TOP_PAD_": str(64 << 20),
}
"""As training sets it (`algos/training/heap.py`), for peers, too: glibc keeps freed memory.

Without it the system clears every page of a step's arrays anew, which takes two thirds of a step of `hard-1`.
"""


class Worker(NamedTuple):
    """A running `stepping_cases.py`."""

    process: subprocess.Popen[str]
    complaints: Any

    def ask(self, seconds: float) -> dict[str, Any]:
        """Lets it measure, and returns the result.

        Raises:
            RuntimeError: It died; the message is the last line of its error output.
        """
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.write(f"{seconds}\n")
            self.process.stdin.flush()
            answer = self.process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            self.process.wait()
            self.complaints.seek(0)
            raise RuntimeError(report.last_line(self.complaints.read()))
        return json.loads(answer)

    def end(self) -> None:
        """Ends the process."""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.wait()
        self.complaints.close()


def start(python: str, name: str, core: int) -> Worker:
    """Starts one case under its own Python."""
    complaints = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed by Worker.end
    process = subprocess.Popen(
        [python, str(Path(__file__).with_name("stepping_cases.py")), name, str(core)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=complaints,
        text=True,
        env={**os.environ, **ONE_THREAD, **KEEP_MEMORY, "PYGAME_HIDE_SUPPORT_PROMPT": "1"},
    )
    return Worker(process, complaints)


def measure(pythons: dict[str, str], *, core: int, repetitions: int, seconds: float) -> tuple[dict, dict]:
    """Measures all cases in turns, repeatedly.

    Returns:
        The answers by case, and the reasons of cases that died.
    """
    workers = {name: start(python, name, core) for name, python in pythons.items()}
    answers: dict[str, list[dict[str, Any]]] = {name: [] for name in pythons}
    failures: dict[str, str] = {}
    for repetition in range(repetitions + 1):  # the first one warms up: compilation, caches
        for name, worker in workers.items():
            if name in failures:
                continue
            try:
                answer = worker.ask(seconds)
            except RuntimeError as error:
                failures[name] = str(error)
                continue
            if repetition:
                answers[name].append(answer)
        print(f"round {repetition} of {repetitions}", file=sys.stderr)
    for worker in workers.values():
        worker.end()
    return {name: found for name, found in answers.items() if name not in failures}, failures


def summary(found: list[dict[str, Any]], ours: list[dict[str, Any]]) -> dict[str, Any]:
    """Returns the rates of a case, and how many times as fast ours is, in pairs of the same round."""
    worlds, agents = found[0]["worlds"], found[0]["agents"]

    def rates(answers: list[dict[str, Any]], clock: str) -> list[float]:
        return [one["steps"] * one["worlds"] * one["agents"] / one[clock] for one in answers]

    ratios = [a / b for a, b in zip(rates(ours, "cpu_seconds"), rates(found, "cpu_seconds"), strict=True)]
    return {
        "worlds": worlds,
        "agents": agents,
        "agent_steps_per_second": report.spread(rates(found, "seconds")),
        "agent_steps_per_cpu_second": report.spread(rates(found, "cpu_seconds")),
        "ours_over_this": report.spread(ratios),
        "core_share": report.spread([one["cpu_seconds"] / one["seconds"] for one in found]),
    }


def split(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Returns microseconds of processor time per world-step, by part."""
    parts = {}
    for part in WAREHOUSE_PARTS:
        parts[part] = [one["parts"].get(part, 0.0) * 1e6 / (one["steps"] * one["worlds"]) for one in found]
    whole = [one["cpu_seconds"] * 1e6 / (one["steps"] * one["worlds"]) for one in found]
    parts["rest"] = [all_of_it - sum(each) for all_of_it, *each in zip(whole, *parts.values(), strict=True)]
    return {part: report.spread(values) for part, values in {**parts, "whole": whole}.items()}


def main() -> None:
    """Measures all cases, writes the results and prints them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--no-peers", action="store_true", help="Coterie only")
    parser.add_argument("--cases", nargs="+", default=[""], help="beginnings of their names")
    parser.add_argument("--repetitions", type=int, default=9, help="rounds through all cases")
    parser.add_argument("--seconds", type=float, default=1.5, help="of each case in each round")
    parser.add_argument("--core", type=int, default=None, help="which core; the last usable one")
    parser.add_argument("--venvs", type=Path, default=report.ROOT / ".benchvenvs", help="where the peers' venvs are")
    parser.add_argument("--out", type=Path, default=report.RESULTS / "stepping.json")
    given = parser.parse_args()
    usable = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
    core = usable[-1] if given.core is None else given.core

    pythons: dict[str, str] = {}
    failures: dict[str, str] = {}
    for name in CASES:
        if name != OURS and not name.startswith(tuple(given.cases)):
            continue
        peer = next((peer for peer in PEERS if name.startswith(peer)), None)
        if peer is None:
            pythons[name] = sys.executable
        elif not given.no_peers and peer not in failures:
            try:
                pythons[name] = make_venv(given.venvs / peer.lower(), PEERS[peer])
            except RuntimeError as error:
                failures[peer] = str(error)
    machine = report.machine()
    answers, died = measure(pythons, core=core, repetitions=given.repetitions, seconds=given.seconds)
    failures |= died
    if OURS not in answers:
        raise SystemExit(f"{OURS}: {failures[OURS]}")

    parts = {name: split(found) for name, found in answers.items() if "parts" in found[0]}
    rates = {name: summary(found, answers[OURS]) for name, found in answers.items() if name not in parts}
    versions = {peer: list(PEERS[peer]) for peer in PEERS if any(name.startswith(peer) for name in pythons)}
    print(f"\n{machine['cpu']}, one core of {machine['cores']}, load {machine['load_average']}\n")
    head = ["", "worlds x agents", "agent-steps/s", "world-steps/s", "agent-steps per CPU second", f"{OURS} / this"]
    rows = [
        [
            name,
            f"{found['worlds']:,} x {found['agents']}",
            report.cell(found["agent_steps_per_second"]),
            report.cell(found["agent_steps_per_second"], 1 / found["agents"]),
            report.cell(found["agent_steps_per_cpu_second"]),
            report.cell(found["ours_over_this"]),
        ]
        for name, found in rates.items()
    ]
    print(report.markdown(head, rows))
    print("\nmedian [quartiles]; the last column by CPU seconds, in pairs of the same round")
    share = min(found["core_share"]["median"] for found in rates.values())
    if share < 0.95:
        print(f"other programs used this core too, {share:.0%} of it was left: read the columns by CPU second")
    if parts:
        print("\nMicroseconds of CPU time a world-step, by part:\n")
        names = [*WAREHOUSE_PARTS, "rest", "whole"]
        print(
            report.markdown(
                ["", *names], [[name, *(report.cell(found[part]) for part in names)] for name, found in parts.items()]
            )
        )
    for name, reason in failures.items():
        print(f"\n{name} could not be measured: {reason}")
    report.write(
        given.out,
        {
            "machine": machine,
            "settings": {"repetitions": given.repetitions, "seconds": given.seconds, "core": core},
            "peers": versions,
            "rates": rates,
            "microseconds_per_world_step": parts,
            "failures": failures,
        },
    )


if __name__ == "__main__":
    main()
