"""What is communication worth, and what do bits, losses and delays cost? The real command, several seeds.

    python benchmarks/communication.py --cases junction --seeds 5 -- --threads 1
    python benchmarks/communication.py --cases crossing --seeds 5 -- --threads 1
    python benchmarks/communication.py --cases whispers bits "blind bits" robots --seeds 3 -- --threads 1
    python benchmarks/communication.py --cases "easy-1 attention" "easy-1 deaf"
    python benchmarks/communication.py --table           # only prints what results/communication.json holds

junction: Traffic Junction, three levels with a vision of 1 and 0; `deaf` is attention in two rounds, of which every
message is lost: a network of equal size, beside which every claim for communication stands. crossing: the intersection
as it is (cross-8), and one where nobody sees far (blind-8); `severed` is the learned policy when every message is lost.
whispers: methods, and what was lost and late beside the optimum in closed form. bits, blind bits: what a message may
hold, in five media, on whispers and on blind-8. robots: policies of four robots that do not see each other, run with 8
and 16.

Arguments after `--` are passed to `train.py`. The learned policy acts greedily on unseen episodes; on Traffic
Junction also with sampled actions, as its papers report it. Finished runs in `runs/bench/` are not repeated.
"""

from __future__ import annotations

import sys

from cases import SAMPLED, Case, run, wide_table

METHODS: dict[str, tuple[str, ...]] = {
    "none": (),
    "mean": ("--algo.comm", "mean"),
    "graph": ("--algo.comm", "graph"),
    "attention": ("--algo.comm", "attention"),
    "attention 2": ("--algo.comm", "attention", "--algo.comm-rounds", "2"),
    "deaf": ("--algo.comm", "attention", "--algo.comm-rounds", "2", "--channel.loss", "1"),
}
LEVELS: dict[str, tuple[str, ...]] = {
    "easy-1": ("--total-steps", "250000"),
    "medium-1": ("--total-steps", "600000"),
    "hard-1": ("--total-steps", "1000000"),
    # Without sight every method settles on always driving, unless it explores much.
    "easy-0": ("--total-steps", "400000", "--algo.ent-coef", "0.3"),
    "medium-0": ("--total-steps", "800000", "--algo.ent-coef", "0.3"),
    "hard-0": ("--total-steps", "1000000", "--algo.ent-coef", "0.3"),
}
_JUNCTION = ("success", "throughput", "delay", "brakes")
_CROSSING = ("return", "success", "crash_rate", "delay")
_NONE, _THREE = ("--env.intent", "none"), ("--algo.hidden", "64", "64", "64")
_ATTENTION = (*_NONE, "--algo.comm", "attention")
CROSSINGS: dict[str, tuple[str, ...]] = {
    "none": _NONE,
    "none, 3 layers": (*_NONE, *_THREE),
    "shared": ("--env.intent", "shared"),
    "shared, 3 layers": ("--env.intent", "shared", *_THREE),
    "attention": _ATTENTION,
    "attention, deaf": (*_ATTENTION, "--channel.loss", "1"),
}
_SEVERED = {"severed": ("--channel.loss", "1")}
_SLOW = ("--env", "whispers", "--env.task", "whispers-4-slow", "--algo.comm", "attention")
MEDIA: dict[str, tuple[str, ...]] = {
    "ideal": (),
    "loss 20 %": ("--channel.loss", "0.2"),
    "loss 50 %": ("--channel.loss", "0.5"),
    "delay 2": ("--channel.delay", "2"),
    "delay 5": ("--channel.delay", "5"),
}
BUDGETS: dict[str, tuple[str, ...]] = {  # entries x bits; attention takes half of the entries as signature
    "0 bits": ("--channel.loss", "1"),
    "2 bits": ("--channel.entries", "2", "--channel.bits", "1"),
    "4 bits": ("--channel.entries", "4", "--channel.bits", "1"),
    "8 bits": ("--channel.entries", "8", "--channel.bits", "1"),
    "16 bits": ("--channel.entries", "8", "--channel.bits", "2"),
    "64 bits": ("--channel.entries", "16", "--channel.bits", "4"),
    "unlimited": (),
}
"""What a message may hold."""
_BLIND = ("--env", "intersection", "--env.task", "blind-8", *_ATTENTION, "--total-steps", "1500000")
_ROBOTS = ("--env", "warehouse", "--env.task", "medium-8", "--env.n-robots", "4", "--env.n-neighbors", "0")
_ROBOTS += ("--env.position", "--total-steps", "1000000")
TEAMS = {f"{n} robots": ("--env.n-robots", f"{n}") for n in (8, 16)}
GROUPS: dict[str, dict[str, Case]] = {
    "junction": {
        f"{level} {method}": Case(
            ("--env", "traffic_junction", "--env.task", level, *steps, *options), _JUNCTION, {SAMPLED: ("--sampled",)}
        )
        for level, steps in LEVELS.items()
        for method, options in METHODS.items()
    },
    "crossing": {
        f"{task} {name}": Case(
            ("--env", "intersection", "--env.task", task, *options),
            _CROSSING,
            _SEVERED if name == "attention" else {},
        )
        for task in ("cross-8", "blind-8")
        for name, options in CROSSINGS.items()
        if not (task == "blind-8" and name == "shared, 3 layers")
    },
    "whispers": {
        "whispers none": Case(("--env", "whispers"), ("share_right",)),
        **{
            f"whispers {method}": Case(("--env", "whispers", "--algo.comm", method), ("share_right",), _SEVERED)
            for method in ("mean", "graph", "attention")
        },
        "whispers slow loss 50 % delay 5": Case((*_SLOW, *MEDIA["loss 50 %"], *MEDIA["delay 5"]), ("share_right",)),
    },
    "bits": {
        f"whispers slow, {medium}, {budget}": Case((*_SLOW, *how, *size), ("share_right",))
        for medium, how in MEDIA.items()
        for budget, size in BUDGETS.items()
        if medium == "ideal" or budget != "0 bits"
    },
    "blind bits": {
        f"blind-8, {medium}, {budget}": Case((*_BLIND, *how, *BUDGETS[budget]), _CROSSING)
        for budget in ("unlimited", "8 bits", "2 bits", "0 bits")
        for medium, how in MEDIA.items()
        if medium == "ideal" or budget != "0 bits"
    },
    "robots": {
        f"robots {name}": Case((*_ROBOTS, *METHODS[name]), ("orders_per_hour", "contacts"), TEAMS)
        for name in ("none", "attention", "deaf")
    },
}


if __name__ == "__main__":
    options = ("--algo", "mappo", "--no-videos")
    sys.exit(run(__doc__, GROUPS, "communication", wide_table, options=options, episodes=400))
