"""What is it worth to know whose doing the team's reward was? The real command, several seeds.

    python benchmarks/credit.py --cases rovers-16 --seeds 5 -- --threads 1
    python benchmarks/credit.py --cases "rovers-16 difference" "rovers-16 team" --seeds 2 -- --threads 1
    python benchmarks/credit.py --table                  # only prints what results/credit.json holds

Every rule of `--algo.credit` on the same environment for the same number of steps. Arguments after `--` are passed to
`train.py`. The learned policy acts greedily on unseen episodes. Finished runs in `runs/bench/` are not repeated.
"""

from __future__ import annotations

import sys

from cases import Case, run, wide_table

RULES = ("individual", "team", "difference", "shapley", "coma", "learned")
TASKS: dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = {
    # Options, metrics, and the rules that do not work there.
    "rovers-16": (("--env", "rovers", "--total-steps", "400000"), ("score", "overlap"), ()),
    "rovers-32": (
        ("--env", "rovers", "--env.task", "rovers-32", "--total-steps", "400000"),
        ("score", "overlap"),
        ("shapley", "coma", "learned"),
    ),
    "coupled-16": (
        ("--env", "rovers", "--env.task", "coupled-16", "--total-steps", "400000"),
        ("score", "overlap"),
        ("shapley",),
    ),
    "medium-8": (
        ("--env", "warehouse", "--env.task", "medium-8", "--total-steps", "1000000"),
        ("orders_per_hour", "contacts"),
        ("shapley",),
    ),
    "busy-16": (
        ("--env", "intersection", "--env.task", "busy-16", "--total-steps", "1000000"),
        ("success", "crash_rate", "delay"),
        ("shapley",),
    ),
    "village-8": (
        ("--env", "edge_market", "--env.task", "village-8", "--total-steps", "1000000"),
        ("welfare",),
        ("shapley", "coma", "learned"),
    ),
}
"""Where rules are compared."""
GROUPS: dict[str, dict[str, Case]] = {
    task: {f"{task} {rule}": Case((*options, "--algo.credit", rule), columns) for rule in RULES if rule not in without}
    for task, (options, columns, without) in TASKS.items()
}


if __name__ == "__main__":
    options = ("--algo", "mappo", "--no-videos")
    sys.exit(run(__doc__, GROUPS, "credit", wide_table, options=options, curves=True))
