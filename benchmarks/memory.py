"""Growth of memory: the resident size of the process while worlds are stepped. Linux only.

python benchmarks/memory.py                   # 200,000 world-steps of a VectorView
python benchmarks/memory.py --api dict        # the same through PettingZoo's dictionaries
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import report
import stepping_cases

PAGE = os.sysconf("SC_PAGE_SIZE")
SAMPLES = 20
"""Number of readings after the warm-up."""


def resident() -> int:
    """Returns the resident size of this process [bytes]."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * PAGE


def main() -> None:
    """Steps the worlds, reads the size, and prints and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", default="medium-8")
    parser.add_argument("--api", choices=("vector", "dict"), default="vector")
    parser.add_argument("--world-steps", type=int, default=200_000, help="world-steps after the warm-up")
    parser.add_argument("--warm-up", type=int, default=50_000, help="world-steps before the first reading")
    parser.add_argument("--out", type=Path, default=None, help="results/memory.json, or results/memory_dict.json")
    given = parser.parse_args()
    out = given.out or report.RESULTS / ("memory.json" if given.api == "vector" else "memory_dict.json")

    case = (stepping_cases.vector if given.api == "vector" else stepping_cases.dicts)(given.task)
    machine = report.machine()
    readings: list[tuple[int, int]] = []  # world-steps since the warm-up, bytes
    for goal in (-given.warm_up, *np.linspace(0, given.world_steps, SAMPLES + 1).astype(int).tolist()):
        done = readings[-1][0] if readings else -given.warm_up
        while done < goal:
            case.advance()
            done += case.worlds
        readings.append((done, resident()))
    warm = readings[1:]  # the first reading came before the warm-up
    growth = warm[-1][1] - warm[0][1]
    steps, sizes = np.array(warm, dtype=np.float64).T
    slope = float(np.polyfit(steps, sizes, 1)[0])

    rows = [[f"{done:,}", f"{size / 2**20:.2f}"] for done, size in readings[:: max(1, SAMPLES // 5)] + readings[-1:]]
    print(report.markdown(["world-steps since the warm-up", "resident [MiB]"], rows))
    print(f"\ngrowth over {warm[-1][0] - warm[0][0]:,} world-steps: {growth / 2**20:.2f} MiB")
    print(f"slope: {slope:.2f} bytes a world-step")
    report.write(
        out,
        {
            "machine": machine,
            "task": given.task,
            "api": given.api,
            "worlds": case.worlds,
            "agents": case.agents,
            "growth_bytes": growth,
            "slope_bytes_per_world_step": slope,
            "readings": [{"world_steps": done, "bytes": size} for done, size in readings],
        },
    )


if __name__ == "__main__":
    main()
