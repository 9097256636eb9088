"""Trains one policy for warehouses of different layouts without a server: learners average with their neighbours."""

import functools
import sys
from pathlib import Path

import coterie
from coterie.algos.consensus.config import ConsensusConfig
from coterie.algos.consensus.network import Network
from coterie.algos.training.session import Session

LAYOUTS = ("small", "medium", "large")


def learner(number: int, folder: Path, steps: int) -> Session:
    """Makes the session of one learner; it is called in the learner's own process."""
    layout = LAYOUTS[number % len(LAYOUTS)]
    config = coterie.run_config(
        "warehouse",
        "ippo",
        env_options={"layout": layout, "n_robots": 4},
        seed=number,
        total_steps=steps,
        n_worlds=16,
        eval_episodes=0,
        videos=False,
        threads=1,
        quiet=True,
    )
    return coterie.session(config, folder / f"learner-{number}-{layout}")


def main(n_learners: int, steps: int) -> None:
    """Lets learners on a ring train, and average with both neighbours ten times."""
    runs = Path("runs") / "serverless"
    makers = [functools.partial(learner, number, runs, steps) for number in range(n_learners)]
    rule = ConsensusConfig(consensus="gossip", topology="ring", consensus_every=max(steps // 10, 1))
    with Network(makers, rule, processes=True, folder=runs / "network") as network:
        print(*network.notes, f"shared: {', '.join(network.shared)}", sep="\n")
        for told in network.rounds():
            apart, after = told["disagreement_before"], told["disagreement"]
            print(f"{network.steps:9,} steps: learners were {apart:.4f} apart, and are {after:.4f} after the average")
        for name, evaluation in zip(network.names, network.evaluate(4), strict=True):
            print(f"{name}: return {evaluation.mean('return'):.2f}")
        network.finish()


if __name__ == "__main__":  # each learner's process imports this file, too
    main(*(int(word) for word in (sys.argv[1:] or ["3", "200000"])))
