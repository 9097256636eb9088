"""What a comparison of policies says beside the greedy policy: sampled actions, and the best of several learners.

Where greedy and sampled actions are far apart, either alone misleads: where agents must not all do the same, the most
likely action of each may be a bad joint action while sampled ones are good; the most likely action also hides that a
policy is still undecided.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .evaluation import Evaluation

LEARNED = "learned"
"""Name of the greedy policy among the policies of a comparison."""
SAMPLED = "sampled"
"""Name of the same policy with actions sampled as in training."""
SAMPLING_SEED = 0
"""Seed of the sampled actions: the same policy gives the same numbers."""
FEWEST = 10
"""Fewest episodes to judge by; bootstrap intervals of fewer are too narrow."""
FAR = 0.25
"""Smallest distance of two returns that are far apart, as a share of the larger distance to random actions."""


def far_apart(evaluations: Mapping[str, Evaluation]) -> bool:
    """Returns whether `LEARNED` and `SAMPLED` are far apart: intervals do not overlap, and the distance is large.

    The distance is compared with the larger of the two distances to the return of "random"; without that, with the
    larger return. On that scale sampling usually costs a few per cent.
    """
    if min(len(evaluations[name].values) for name in (LEARNED, SAMPLED)) < FEWEST:
        return False
    intervals = {name: one.intervals()["return"] for name, one in evaluations.items()}
    greedy, sampled = intervals[LEARNED], intervals[SAMPLED]
    if not (greedy[2] < sampled[1] or sampled[2] < greedy[1]):  # true for NaN, too
        return False
    zero = intervals["random"][0] if "random" in intervals else 0.0
    return abs(greedy[0] - sampled[0]) > FAR * max(abs(greedy[0] - zero), abs(sampled[0] - zero))


def contrast_note(evaluations: Mapping[str, Evaluation]) -> str:
    """Returns a line for the user about two policies that are far apart."""
    greedy, sampled = (evaluations[name].mean("return") for name in (LEARNED, SAMPLED))
    return (
        f"sampling its actions the policy makes a return of {sampled:.3g}, taking the most likely ones {greedy:.3g}: "
        "judge it by how you will use it (load_policy: act(..., greedy=False) samples; --evaluate RUN --sampled)"
    )


def with_best_learner(
    evaluations: Mapping[str, Evaluation], best: int | None, agents: Sequence[str]
) -> dict[str, Evaluation]:
    """Adds what the best of several learners has earned, after `LEARNED`, which is the mean of all.

    Args:
        evaluations: By name.
        best: Its index, by earlier episodes than these; None: not known, nothing is added.
        agents: (N,) names of the learners.
    """
    if best is None:
        return dict(evaluations)
    of_best = Evaluation(("return",), evaluations[LEARNED].of_agents[:, best : best + 1])
    return {LEARNED: evaluations[LEARNED], f"best learner ({agents[best]})": of_best, **evaluations}
