"""Recall: of sampled steps, the earlier steps in which the messages that are heard in them were said.

A replay keeps no messages. It keeps what they are made of, observations, and the age of every message that is heard. So
what was said earlier is computed anew, with the weights that a policy has now, from the step that the age points to.
Only steps that are pointed to are gathered, each of them once: after a fixed delay it is one, after losses these are a
few of the steps that the medium remembers.

No age points across the start of an episode, to a time before an agent was born, or further back than the medium's
history, because acting forgets there; so what is computed is what was heard. There is one exception: where the ring has
overwritten the step, or a run has resumed without its replay, the message is taken for one that was not heard.

With several rounds, what was said in the second depends on what was heard in the first, so each round more reaches as
far back again.

Axes: T rows of the ring, B worlds, N agents, O observation; R sampled steps, H those and earlier ones whose own hearing
matters too, M earlier steps; [i, j] for i hears j.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ..core import NOTHING


class Recalled(NamedTuple):
    """Steps by row: first the R sampled ones, then the M earlier ones. The first H of all have ages."""

    earlier: Tensor  # (M,) indices into the store of the steps of the earlier rows
    age: Tensor  # (H, N, N) uint8 ages of messages, `NOTHING` for one whose step is not stored any more
    said_in: Tensor  # (H, N, N) int64 row of the step in which that message was said; without meaning for `NOTHING`


def recall(moment: Tensor, age: Tensor, heard: Tensor, *, oldest: int, n_worlds: int, rounds: int) -> Recalled:
    """Finds the earlier steps whose messages are heard in sampled ones.

    Steps are counted from the oldest one stored, all worlds of one time after the other, so that one that is `age`
    older in its world counts age * B less.

    Args:
        moment: (R,) int64 sampled steps, counted so; an observation that the newest step led to counts on from there.
        age: (R, N, N) uint8 ages of the messages that are heard in them.
        heard: (T * B, N, N) uint8 ages of all stored steps; read where there are several rounds.
        oldest: Index of the oldest step in `heard`.
        n_worlds: B.
        rounds: Exchanges of messages in a step, 1 or more.
    """
    moments, ages = [moment], [age]  # of the sampled steps, of those heard in them, of those heard in these, ...
    earlier = moment.new_empty(0)
    for number in range(rounds):
        said = _said(moments[-1], ages[-1], n_worlds)
        ages[-1] = ages[-1].masked_fill(said < 0, NOTHING)
        further = said[(ages[-1] != 0) & (ages[-1] != NOTHING)].unique()
        further = further[~torch.isin(further, earlier)]
        earlier = torch.cat([earlier, further])
        if number < rounds - 1:
            moments.append(further)
            ages.append(heard[(oldest + further) % len(heard)])
    hearing, age = torch.cat(moments), torch.cat(ages)  # (H,), (H, N, N)
    said_in = torch.arange(len(hearing), device=age.device).view(-1, 1, 1).expand_as(age)  # within the step
    if len(earlier):
        ordered, row = earlier.sort()
        found = torch.searchsorted(ordered, _said(hearing, age, n_worlds)).clamp(max=len(earlier) - 1)
        said_in = torch.where(age == 0, said_in, len(moment) + row[found])
    return Recalled((oldest + earlier) % len(heard), age, said_in)


def _said(moment: Tensor, age: Tensor, n_worlds: int) -> Tensor:
    """Returns the steps in which messages were said, (R, N, N); negative where they are not stored."""
    return moment.view(-1, 1, 1) - n_worlds * age.long()
