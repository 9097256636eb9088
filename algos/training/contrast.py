"""The greedy policy beside the one that draws its actions: where the two are far apart, one alone misleads.

Where agents must not all do the same, the most likely action of each may be a bad plan while draws are a good one; an
argmax also hides that a policy has not made up its mind.
"""

from __future__ import annotations

from collections.abc import Mapping

from .evaluation import Evaluation

LEARNED = "learned"
"""The name of the greedy policy among those it is compared with."""
SAMPLED = "sampled"
"""The name of the same policy where actions are drawn as in training."""
SAMPLING_SEED = 0
"""Of those draws: the same policy gives the same numbers."""
FEWEST = 10
"""Episodes; bootstrap intervals of fewer are too narrow to go by."""
FAR = 0.25
"""From this part of the way from random actions on, two returns are far apart."""


def far_apart(evaluations: Mapping[str, Evaluation]) -> bool:
    """Whether `LEARNED` and `SAMPLED` are: their intervals do not meet, and the distance matters.

    The yardstick is the larger of the two distances to the return of "random"; without that, the larger return. On it
    exploring usually costs a few parts in a hundred.
    """
    if min(len(evaluations[name].values) for name in (LEARNED, SAMPLED)) < FEWEST:
        return False
    intervals = {name: one.intervals()["return"] for name, one in evaluations.items()}
    greedy, sampled = intervals[LEARNED], intervals[SAMPLED]
    if not (greedy[2] < sampled[1] or sampled[2] < greedy[1]):  # also where one of them is NaN
        return False
    zero = intervals["random"][0] if "random" in intervals else 0.0
    return abs(greedy[0] - sampled[0]) > FAR * max(abs(greedy[0] - zero), abs(sampled[0] - zero))


def contrast_note(evaluations: Mapping[str, Evaluation]) -> str:
    """A line for people about two that are far apart."""
    greedy, sampled = (evaluations[name].mean("return") for name in (LEARNED, SAMPLED))
    return (
        f"drawing its actions the policy makes a return of {sampled:.3g}, taking the most likely ones {greedy:.3g}: "
        "judge it by how you will use it (load_policy: act(..., greedy=False) draws; --evaluate RUN --sampled)"
    )
