"""Is agreement worth anything to a policy that learns? Markets and signals with every rule of consensus, several seeds.

    python benchmarks/consensus_learning.py --cases byzantine-16 partition-16 --seeds 3 -- --threads 1
    python benchmarks/consensus_learning.py --cases "city-50 none" "city-50 gossip" -- --threads 1
    python benchmarks/consensus_learning.py --table      # only prints what results/consensus_learning.json holds

`liars` are `byzantine-16` with a third of the nodes lying (5, of which `robust` can stand 4) and without a cartel. The
heuristic is `truthful` without a consensus, and `consensus-proportional` with one. Arguments after `--` are passed to
`train.py`. Seeds that the file of results holds are not run again.
"""

from __future__ import annotations

import sys

from cases import Case, run, tall_table

_MARKET = ("welfare", "completion_rate")
_SIGNALS = ("delay", "throughput")
_STEPS = ("--total-steps", "500000")
MARKETS: dict[str, tuple[str, ...]] = {
    "byzantine-16": ("--env.task", "byzantine-16", *_STEPS),
    "partition-16": ("--env.task", "partition-16", *_STEPS),
    "city-50": ("--env.task", "city-50", *_STEPS),
    "liars": ("--env.task", "byzantine-16", "--env.byzantine", "0.33", "--env.cartel", "0", *_STEPS),
}
RULES: dict[str, tuple[str, ...]] = {
    "none": (),
    **{
        rule: ("--env.consensus", rule, "--env.heuristic", "consensus-proportional")
        for rule in ("gossip", "hierarchical", "robust")
    },
}
_TOLERANT = ("--env.consensus-tolerance", "4", "--env.consensus-hops", "3")
"""With `robust` where some lie: as many liars as 16 nodes can stand that all hear each other."""
_WITH_LIARS = ("byzantine-16", "liars")
GROUPS: dict[str, dict[str, Case]] = {
    task: {
        f"{task} {rule}": Case(
            (
                "--env",
                "edge_market",
                *options,
                *how,
                *(_TOLERANT if rule == "robust" and task in _WITH_LIARS else ()),
            ),
            _MARKET,
        )
        for rule, how in RULES.items()
    }
    for task, options in MARKETS.items()
}
GROUPS["grid-4x4"] = {
    f"grid-4x4 {rule}": Case(("--env", "signals", "--env.task", "grid-4x4", "--env.consensus", rule, *_STEPS), _SIGNALS)
    for rule in ("none", "gossip", "robust")
}


if __name__ == "__main__":
    options = ("--algo", "mappo", "--no-videos")
    sys.exit(run(__doc__, GROUPS, "consensus_learning", tall_table, options=options))
