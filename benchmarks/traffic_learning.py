"""Does MAPPO beat the hand-written policies of intersection and signals, and what is a shared intent worth?

    python benchmarks/traffic_learning.py --cases "intersection shared" "intersection none" --seeds 3
    python benchmarks/traffic_learning.py --cases "signals" --minutes 10
    python benchmarks/traffic_learning.py --table        # only prints what results/traffic_learning.json holds

Runs the command as a user does, once for each seed. Arguments after `--` are passed to `train.py`, after the case's own
options. The learned policy acts greedily on unseen episodes; the environment's default rule and random actions play the
same ones. Finished runs in `runs/bench/` are not repeated. Only means by seed are kept, without curves.
"""

from __future__ import annotations

import sys

from cases import Case, run, tall_table

_CROSSING = ("success", "crash_rate", "delay", "throughput", "min_ttc", "return")
_TOWN = ("delay", "queue", "stops", "throughput", "fairness", "return")
CASES = {
    "intersection shared": Case(("--env", "intersection", "--env.intent", "shared"), _CROSSING),
    "intersection none": Case(("--env", "intersection", "--env.intent", "none"), _CROSSING),
    "signals": Case(("--env", "signals"), _TOWN),
}


if __name__ == "__main__":
    sys.exit(run(__doc__, {"all": CASES}, "traffic_learning", tall_table, options=("--algo", "mappo")))
