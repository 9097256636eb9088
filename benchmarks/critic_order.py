"""What should MAPPO's critic read: the state, all observations in each agent's own order, or its own? Several seeds.

    python benchmarks/critic_order.py --seeds 5 -- --threads 1
    python benchmarks/critic_order.py --cases spread --seeds 2 -- --threads 1
    python benchmarks/critic_order.py --table            # only prints what results/critic_order.json holds

The same number of steps for all. Arguments after `--` are passed to `train.py`. The learned policy acts greedily on
unseen episodes. Finished runs in `runs/bench/` are not repeated.
"""

from __future__ import annotations

import sys

from cases import Case, run, wide_table

TASKS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    # Options and metrics.
    "spread": (("--env", "spread"), ("return",)),
    "medium-8": (
        ("--env", "warehouse", "--env.task", "medium-8", "--total-steps", "1000000"),
        ("orders_per_hour", "contacts"),
    ),
    "large-16, contact charge 0.4": (
        ("--env", "warehouse", "--env.task", "large-16", "--env.contact-charge", "0.4", "--total-steps", "1000000"),
        ("orders_per_hour", "contacts"),
    ),
    "intersection": (("--env", "intersection", "--total-steps", "2000000"), ("return", "success", "delay")),
}
GROUPS: dict[str, dict[str, Case]] = {
    task: {
        f"{task} {critic}": Case((*options, "--algo.critic", critic), columns)
        for critic in ("central", "joint", "local")
    }
    for task, (options, columns) in TASKS.items()
}


if __name__ == "__main__":
    sys.exit(run(__doc__, GROUPS, "critic_order", wide_table, options=("--algo", "mappo", "--no-videos")))
